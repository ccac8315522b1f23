//! What a setting is when the file does not say, and the bounds of every number. `config.example.toml` shows the same
//! values; a test compares the two.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::settings::{BundlePaths, FromUpstream, LogFormat, MailTls, OnDamage};
use crate::case::sharing::Send;
use crate::case::{Kind, Language, Owner, PolicyAction};

/// A number or duration with its default and the bounds that it must keep, both included.
#[derive(Debug, Clone, Copy)]
pub struct Bounded<T> {
    /// What counts when the file does not say.
    pub default: T,
    /// The smallest value that is accepted.
    pub least: T,
    /// The largest value that is accepted.
    pub most: T,
}

const fn ms(amount: u64) -> Duration {
    Duration::from_millis(amount)
}

const fn s(amount: u64) -> Duration {
    Duration::from_secs(amount)
}

const fn m(amount: u64) -> Duration {
    s(amount * 60)
}

const fn h(amount: u64) -> Duration {
    m(amount * 60)
}

const fn d(amount: u64) -> Duration {
    h(amount * 24)
}

const fn bounded<T>(default: T, least: T, most: T) -> Bounded<T> {
    Bounded { default, least, most }
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// `site.data_dir`
pub const DATA_DIR: &str = "/var/lib/casebridge";

/// `site.socket`: `casebridge.sock` in the data directory.
pub fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join("casebridge.sock")
}

/// `site.socket_mode`: the owner and the group may give commands.
pub const SOCKET_MODE: u32 = 0o660;
/// `site.stop_within`: shorter than the 90 s after which systemd kills.
pub const STOP_WITHIN: Bounded<Duration> = bounded(s(20), s(1), m(5));

/// `site.tokens_file`: `tokens.json` in the data directory.
pub fn tokens_file(data_dir: &Path) -> PathBuf {
    data_dir.join("tokens.json")
}

/// `site.reread_secrets`
pub const REREAD_SECRETS: Bounded<Duration> = bounded(s(10), ms(50), h(1));

/// `site.why_notes`
pub const WHY_NOTES: bool = false;

/// `log.format`
pub const LOG_FORMAT: LogFormat = LogFormat::Text;
/// `log.level`
pub const LOG_LEVEL: &str = "info";

/// `store.path`: `incidents.db` in the data directory.
pub fn store_path(data_dir: &Path) -> PathBuf {
    data_dir.join("incidents.db")
}

/// `store.poll_interval`
pub const STORE_POLL_INTERVAL: Bounded<Duration> = bounded(ms(250), ms(20), m(1));
/// `store.batch`, incidents
pub const STORE_BATCH: Bounded<usize> = bounded(500, 1, 5000);
/// `store.busy_timeout`
pub const STORE_BUSY_TIMEOUT: Bounded<Duration> = bounded(s(5), ms(100), m(1));

/// `state.path`: `state` in the data directory.
pub fn state_path(data_dir: &Path) -> PathBuf {
    data_dir.join("state")
}

/// `state.group`, commands
pub const STATE_GROUP: Bounded<usize> = bounded(256, 1, 4096);
/// `state.cache`
pub const STATE_CACHE: Bounded<u64> = bounded(64 * MIB, MIB, 16 * GIB);

/// `state.on_damage`
pub const STATE_ON_DAMAGE: OnDamage = OnDamage::Rebuild;

/// `history.key_file`: `history.key` in the data directory.
pub fn history_key(data_dir: &Path) -> PathBuf {
    data_dir.join("history.key")
}

/// `history.receipt_within`
pub const HISTORY_RECEIPT_WITHIN: Bounded<Duration> = bounded(m(10), ms(100), d(30));

/// `mail_inbox.poll_interval`
pub const MAIL_INBOX_POLL_INTERVAL: Bounded<Duration> = bounded(s(2), ms(20), h(1));
/// `mail_inbox.settle`
pub const MAIL_INBOX_SETTLE: Bounded<Duration> = bounded(s(1), ms(0), m(10));
/// `mail_inbox.max_size`: what mail servers usually take.
pub const MAIL_INBOX_MAX_SIZE: Bounded<u64> = bounded(16 * MIB, KIB, 64 * MIB);
/// `mail_inbox.links_per_hour`
pub const MAIL_INBOX_LINKS_PER_HOUR: Bounded<usize> = bounded(10, 1, 10_000);
/// `mail_inbox.answers_per_hour`: more people than write on a bad day.
pub const MAIL_INBOX_ANSWERS_PER_HOUR: Bounded<usize> = bounded(200, 1, 100_000);

/// `pages.languages`
pub const PAGES_LANGUAGES: [Language; 2] = Language::ALL;
/// `pages.form_expires`
pub const PAGES_FORM_EXPIRES: Bounded<Duration> = bounded(d(7), m(5), d(365));
/// `pages.requests_per_minute`: a person with a slow hand and a mail scanner.
pub const PAGES_REQUESTS_PER_MINUTE: Bounded<usize> = bounded(120, 5, 100_000);

/// `inbox.poll_interval`
pub const INBOX_POLL_INTERVAL: Bounded<Duration> = bounded(s(1), ms(20), h(1));
/// `inbox.settle`
pub const INBOX_SETTLE: Bounded<Duration> = bounded(s(1), ms(0), m(10));
/// `inbox.max_size`
pub const INBOX_MAX_SIZE: Bounded<u64> = bounded(16 * MIB, KIB, 64 * MIB);

/// `inbox.max_attachment_size`
pub const INBOX_MAX_ATTACHMENT_SIZE: Bounded<u64> = bounded(GIB, KIB, 1024 * GIB);

/// `upstream.allow_plain_http` and `listen.allow_plain_http`
pub const ALLOW_PLAIN_HTTP: bool = false;

/// `upstream.poll_interval`: the two minutes of A-29.
pub const UPSTREAM_POLL_INTERVAL: Bounded<Duration> = bounded(s(120), s(1), m(10));
/// `upstream.connect_timeout`
pub const UPSTREAM_CONNECT_TIMEOUT: Bounded<Duration> = bounded(s(5), ms(100), m(1));
/// `upstream.request_timeout`
pub const UPSTREAM_REQUEST_TIMEOUT: Bounded<Duration> = bounded(s(30), ms(100), m(10));
/// `upstream.batch`, operations
pub const UPSTREAM_BATCH: Bounded<usize> = bounded(500, 1, 1000);
/// `upstream.in_flight`, requests
pub const UPSTREAM_IN_FLIGHT: Bounded<usize> = bounded(2, 1, 16);
/// `upstream.check_after`
pub const UPSTREAM_CHECK_AFTER: Bounded<Duration> = bounded(h(24), s(1), d(30));

/// `upstream.hide_clients`
pub const UPSTREAM_HIDE_CLIENTS: bool = false;
/// `upstream.attachments.send` and `client.attachments.send`
pub const ATTACHMENTS_SEND: Send = Send::All;
/// `...attachments.hide_addresses`
pub const ATTACHMENTS_HIDE_ADDRESSES: bool = false;
/// `...attachments.send_limit`: the vendor's megabyte would keep most core files back.
pub const ATTACHMENTS_SEND_LIMIT: Bounded<u64> = bounded(GIB, KIB, 64 * GIB);
/// `...attachments.receive_limit`
pub const ATTACHMENTS_RECEIVE_LIMIT: Bounded<u64> = bounded(GIB, KIB, 64 * GIB);

/// `...attachments.configuration`
pub fn attachments_configuration() -> Vec<String> {
    ["configuration*", "show configuration*", "*.conf", "*.conf.gz"].map(str::to_owned).to_vec()
}

/// `...attachments.features`
pub fn attachments_features() -> Vec<String> {
    ["features*", "show system license*"].map(str::to_owned).to_vec()
}

/// `upstream.field.default` and `client.field.default`: a value without a word waits for a person.
pub const FIELD_KEEP: bool = false;

/// `listen.max_body`
pub const LISTEN_MAX_BODY: Bounded<u64> = bounded(16 * MIB, 64 * KIB, 256 * MIB);
/// `listen.answer_within`
pub const LISTEN_ANSWER_WITHIN: Bounded<Duration> = bounded(s(2), ms(10), m(1));
/// `listen.read_timeout`
pub const LISTEN_READ_TIMEOUT: Bounded<Duration> = bounded(s(20), ms(100), m(5));
/// `listen.write_timeout`: a page of 4 MiB over a line of 1 Mbit/s.
pub const LISTEN_WRITE_TIMEOUT: Bounded<Duration> = bounded(m(1), ms(100), m(10));
/// `listen.connections`
pub const LISTEN_CONNECTIONS: Bounded<usize> = bounded(2048, 4, 65_536);
/// `listen.connections_per_address`: many sites may come through one.
pub const LISTEN_CONNECTIONS_PER_ADDRESS: Bounded<usize> = bounded(256, 2, 65_536);
/// `listen.failures_per_minute`
pub const LISTEN_FAILURES_PER_MINUTE: Bounded<usize> = bounded(30, 1, 10_000);
/// `client.limits.requests_per_second`: more than a site asks that sends each change by itself.
pub const CLIENT_REQUESTS_PER_SECOND: Bounded<usize> = bounded(2000, 1, 100_000);
/// `client.limits.burst`, requests
pub const CLIENT_BURST: Bounded<usize> = bounded(4000, 1, 100_000);
/// `client.limits.at_once`, requests: more than a site's own `in_flight`, its files and its poll come to.
pub const CLIENT_AT_ONCE: Bounded<usize> = bounded(64, 2, 4096);
/// `listen.max_wait`: the longest `upstream.poll_interval` of a client.
pub const LISTEN_MAX_WAIT: Bounded<Duration> = bounded(m(10), s(1), h(1));

/// `retry.first`
pub const RETRY_FIRST: Bounded<Duration> = bounded(s(1), ms(10), h(1));
/// `retry.factor`
pub const RETRY_FACTOR: Bounded<f64> = bounded(2.0, 1.1, 10.0);
/// `retry.max`
pub const RETRY_MAX: Bounded<Duration> = bounded(m(5), ms(10), d(1));
/// `retry.give_up_after`
pub const RETRY_GIVE_UP_AFTER: Bounded<Duration> = bounded(d(7), s(1), d(90));
/// `retry.retry_after_max`
pub const RETRY_AFTER_MAX: Bounded<Duration> = bounded(h(1), s(1), d(1));

/// `retry.repeats`, operations
pub const RETRY_REPEATS: Bounded<usize> = bounded(50, 2, 10_000);
/// `retry.repeats_within`
pub const RETRY_REPEATS_WITHIN: Bounded<Duration> = bounded(m(10), s(1), d(1));

/// `submit.require_site_id`
pub const REQUIRE_SITE_ID: bool = false;

/// `submit.policy.enabled` and `case.accept.enabled`
pub const POLICY_ENABLED: bool = true;
/// `submit.policy.action`
pub const POLICY_ACTION: PolicyAction = PolicyAction::Submit;

/// `case.id_template`
pub const CASE_ID_TEMPLATE: &str = "CASE-{incident}";
/// `case.opened_status`
pub const CASE_OPENED_STATUS: &str = "Open";
/// `case.pending_status`
pub const CASE_PENDING_STATUS: &str = "Pending Customer";
/// `case.resumed_status`
pub const CASE_RESUMED_STATUS: &str = "In Progress";

/// `exchange.default_solution`
pub const EXCHANGE_DEFAULT_SOLUTION: &str = "Resolved; no solution was recorded.";
/// `exchange.owner.resolution`, `exchange.owner.validation` and `exchange.owner.done`
pub const EXCHANGE_OWNER: Owner = Owner::Holder;
/// `upstream.internal_comments` and `client.internal_comments`: nothing internal leaves a site unless it says so.
pub const INTERNAL_COMMENTS: bool = false;

/// `site.test_mode`
pub const TEST_MODE: bool = false;

/// `case.reopen_closed`
pub const CASE_REOPEN_CLOSED: bool = true;
/// `case.max_document`
pub const CASE_MAX_DOCUMENT: Bounded<u64> = bounded(64 * MIB, KIB, 1024 * GIB);
/// `case.from_upstream`
pub const CASE_FROM_UPSTREAM: FromUpstream = FromUpstream::Pass;

/// `schedule.housekeeping`: at night, and not on the hour, when everything else runs.
pub const SCHEDULE_HOUSEKEEPING: &str = "0 17 3 * * *";
/// `schedule.late_attachments`: the two hours of A-13.
pub const SCHEDULE_LATE_ATTACHMENTS: &str = "0 0 */2 * * *";
/// `schedule.expiry_check`: before the working day.
pub const SCHEDULE_EXPIRY_CHECK: &str = "0 30 6 * * *";
/// `schedule.reconcile`: at night, after the housekeeping.
pub const SCHEDULE_RECONCILE: &str = "0 47 3 * * *";
/// `schedule.time_zone`
pub const SCHEDULE_TIME_ZONE: &str = "UTC";
/// `schedule.auto_close`: the hour of M-06.
pub const SCHEDULE_AUTO_CLOSE: &str = "0 0 * * * *";
/// `schedule.due_date_check`: the 15 minutes of M-07.
pub const SCHEDULE_DUE_DATE_CHECK: &str = "0 */15 * * * *";
/// `schedule.sla_check`: the 5 minutes of M-08.
pub const SCHEDULE_SLA_CHECK: &str = "0 */5 * * * *";
/// `schedule.case_check`: the span is `upstream.check_after`; this is only how often the exchanges are looked through.
pub const SCHEDULE_CASE_CHECK: &str = "0 7 * * * *";
/// `job.due_date_check.continue` and `job.sla_check.continue`
pub const JOB_CONTINUE: bool = true;
/// `schedule.keep_done`
pub const SCHEDULE_KEEP_DONE: Bounded<Duration> = bounded(d(30), h(1), d(3650));

/// `mail.tls`
pub const MAIL_TLS: MailTls = MailTls::StartTls;

/// `mail.port`: the one that belongs to `mail.tls` (RFC 8314, RFC 5321).
pub const fn mail_port(tls: MailTls) -> Bounded<usize> {
    let port = match tls {
        MailTls::StartTls => 587,
        MailTls::Implicit => 465,
        MailTls::None => 25,
    };
    bounded(port, 1, 65_535)
}

/// `mail.connect_timeout`
pub const MAIL_CONNECT_TIMEOUT: Bounded<Duration> = bounded(s(20), ms(100), m(5));
/// `mail.send_timeout`
pub const MAIL_SEND_TIMEOUT: Bounded<Duration> = bounded(m(2), ms(100), m(10));
/// `mail.retry.first`
pub const MAIL_RETRY_FIRST: Bounded<Duration> = bounded(m(1), ms(10), h(1));
/// `mail.retry.max`
pub const MAIL_RETRY_MAX: Bounded<Duration> = bounded(m(30), ms(10), d(1));
/// `mail.retry.give_up_after`: what mail servers do (RFC 5321, section 4.5.4.1, asks for four to five days).
pub const MAIL_RETRY_GIVE_UP_AFTER: Bounded<Duration> = bounded(d(4), s(1), d(30));
/// Every time in `mail.reminders`: the 24 hours of.
pub const MAIL_REMINDER: Bounded<Duration> = bounded(h(24), s(1), d(90));
/// `mail.reminders.input`: so many.
pub const MAIL_INPUT_REMINDERS: usize = 3;
/// `mail.reminders.closing`: so many.
pub const MAIL_CLOSING_REMINDERS: usize = 1;

/// `bundle.roots`. The element names of the vendor's bundles are not public: these are the ones of our samples.
pub fn bundle_roots() -> Vec<String> {
    ["juniper-message-bundle", "jmb"].map(str::to_owned).to_vec()
}

/// `[bundle.paths]`
pub fn bundle_paths() -> BundlePaths {
    BundlePaths {
        manifest: "manifest".to_owned(),
        trend_data: "trend-data".to_owned(),
        attachments: "attachments".to_owned(),
        logs: "logs".to_owned(),
        host_event_id: "manifest/host-event-id".to_owned(),
        kind: "manifest/bundle-type".to_owned(),
        problem_class: "manifest/problem-class".to_owned(),
        service_type: "manifest/service-type".to_owned(),
        occurred_at: "manifest/time-occurred".to_owned(),
        event_type_group: "manifest/event-type-group".to_owned(),
        event_type: "manifest/event-type".to_owned(),
        synopsis: "manifest/problem-synopsis".to_owned(),
        description: "manifest/problem-description".to_owned(),
        priority: "manifest/priority".to_owned(),
        severity: "manifest/severity".to_owned(),
        device: "manifest/device-name".to_owned(),
        serial: "manifest/chassis-serial".to_owned(),
    }
}

/// `[bundle.kinds]`, in the order of the words.
pub fn bundle_kinds() -> Vec<(String, Kind)> {
    [
        ("bios-check", Kind::BiosCheck),
        ("event", Kind::Event),
        ("event-low-end", Kind::EventLowEnd),
        ("event-rma", Kind::EventRma),
        ("health-check", Kind::HealthCheck),
        ("information", Kind::Information),
        ("intelligence", Kind::Information),
        ("off-box", Kind::OffBox),
        ("on-demand", Kind::OnDemand),
        ("on-demand-information", Kind::OnDemandInformation),
        ("on-demand-rma", Kind::OnDemandRma),
    ]
    .map(|(word, kind)| (word.to_owned(), kind))
    .to_vec()
}

/// `reaction_target.webhook.private_addresses`: a name that turns out to stand for one reaches nobody.
pub const REACTION_PRIVATE_ADDRESSES: bool = false;
/// `reaction_target.webhook.within` and `reaction_target.command.within`
pub const REACTION_WITHIN: Bounded<Duration> = bounded(s(20), ms(100), m(10));

/// `reaction_target.snmp.oid`: the node for experiments of the Net-SNMP project, where nobody else's traps are.
pub fn reaction_oid() -> Vec<u32> {
    vec![1, 3, 6, 1, 4, 1, 8072, 9999, 9999]
}
