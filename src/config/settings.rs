//! What the program relies on: every value checked, every default filled in. `section/` makes it from TOML.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use secrecy::SecretString;

use super::cron::Cron;
use super::origin::Watched;
use super::token::{Operator, Token, TokenChange};
use crate::case::case_type::Definitions;
use crate::case::evidence::PublicKey;
use crate::case::reminder::{Asked, Pace};
use crate::case::{Alias, FieldMap, Form, Groups, Language, MailAddress, Ownership, Permissions, Policy, Sharing};

/// All settings of one site.
#[derive(Debug, Clone)]
pub struct Settings {
    pub site: Site,
    pub log: Log,
    pub store: Store,
    pub state: State,
    pub history: History,
    pub inboxes: Vec<Inbox>,
    pub mail_inboxes: Vec<MailInbox>,
    pub bundle: Bundle,
    /// Present at a site that submits to another: an end user, or a relay.
    pub upstream: Option<Upstream>,
    /// Present at a site that others submit to: a partner, or a relay.
    pub listen: Option<Listen>,
    pub clients: Vec<Client>,
    /// Present where people may follow the links in their mails.
    pub pages: Option<Pages>,
    pub retry: Retry,
    pub submit: Submit,
    pub case: CaseSettings,
    pub exchange: ExchangeSettings,
    pub schedule: Schedule,
    /// `[[reaction_target...]]`
    pub reaction_targets: Vec<ReactionTarget>,
    /// Present at a site that tells the people of its cases by mail.
    pub mail: Option<Mail>,
    /// `[[role]]`
    pub roles: Vec<Role>,
    pub jobs: Jobs,
    /// What the site offers its customers (M-05).
    pub definitions: Definitions,
    /// The credentials that this site handed out, without those that were revoked.
    pub tokens: Vec<Token>,
    /// Who made and revoked them lately.
    pub token_changes: Vec<TokenChange>,
    /// Every file that holds a credential: the daemon reads them again when they change.
    pub secrets: Vec<Watched>,
}

impl Settings {
    /// The largest body that a client may send.
    pub fn max_body(&self, client: &Alias) -> usize {
        let own = self.clients.iter().find(|one| one.alias == *client).and_then(|one| one.limits.max_body_bytes);
        let listen = self.listen.as_ref().map_or(0, |listen| listen.max_body_bytes);
        own.map_or(listen, |own| own.min(listen))
    }

    /// What an operator may do: what its token allows, and what its role does. Nothing at all where there is no such role any
    /// more: a role may have narrowed what its holder saw.
    pub fn permissions(&self, operator: &Operator) -> Permissions {
        match &operator.role {
            None => operator.scopes,
            Some(name) => {
                self.role(name).map_or_else(Permissions::default, |role| operator.scopes.and(role.permissions))
            }
        }
    }

    /// The role of this name.
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// What is said about a peer's files.
    pub fn sharing(&self, peer: &Alias) -> Option<&Sharing> {
        let upstream = self.upstream.iter().map(|upstream| (&upstream.alias, &upstream.attachments));
        let clients = self.clients.iter().map(|client| (&client.alias, &client.attachments));
        upstream.chain(clients).find(|(alias, _)| *alias == peer).map(|(_, sharing)| sharing)
    }

    /// Which fields go to a peer and come from it, and in whose words.
    pub fn fields(&self, peer: &Alias) -> &FieldMap {
        let upstream = self.upstream.iter().map(|upstream| (&upstream.alias, &upstream.fields));
        let clients = self.clients.iter().map(|client| (&client.alias, &client.fields));
        upstream.chain(clients).find(|(alias, _)| *alias == peer).map_or(FieldMap::plain(), |(_, fields)| fields)
    }

    /// The public key that the settings name for a peer.
    pub fn peer_key(&self, peer: &Alias) -> Option<PublicKey> {
        let upstream = self.upstream.iter().map(|upstream| (&upstream.alias, upstream.key));
        let clients = self.clients.iter().map(|client| (&client.alias, client.key));
        upstream.chain(clients).find(|(alias, _)| *alias == peer).and_then(|(_, key)| key)
    }

    /// Whether a peer is to see no addresses.
    pub fn hides_addresses_from(&self, peer: &Alias) -> bool {
        self.sharing(peer).is_some_and(|sharing| sharing.hide_addresses)
    }
}

/// `[site]`
#[derive(Debug, Clone)]
pub struct Site {
    /// The name under which this site appears in trace routes and histories.
    pub alias: Alias,
    /// Where state and, unless told otherwise, the store and the socket live.
    pub data_dir: PathBuf,
    /// The Unix socket of the commands; its file permissions are the access control.
    pub socket: PathBuf,
    /// Permission bits of the socket, for example 0o660.
    pub socket_mode: u32,
    /// How long a stop waits for what is in flight.
    pub stop_within: Duration,
    /// Whether what a parked exchange waits for is noted in its incident, as an internal comment.
    pub why_notes: bool,
    /// Whether everything that this site submits is marked as a test.
    pub test_mode: bool,
    /// Where the tokens stand that `casebridge token new` makes.
    pub tokens_file: PathBuf,
    /// How often the files with credentials are looked at for a change.
    pub reread_secrets: Duration,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub format: LogFormat,
    /// A `tracing` filter, for example `info` or `casebridge::exchange=debug,info`.
    pub level: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
    Journald,
}

/// `[store]`: the site's incident store.
#[derive(Debug, Clone)]
pub struct Store {
    /// The SQLite file.
    pub path: PathBuf,
    /// How often a change made by another program is looked for.
    pub poll_interval: Duration,
    /// The most incidents taken in one step.
    pub batch: usize,
    /// How long a write waits for another program's lock.
    pub busy_timeout: Duration,
}

/// `[state]`: sled.
#[derive(Debug, Clone)]
pub struct State {
    pub path: PathBuf,
    /// The most commands that one durable transaction takes together.
    pub group: usize,
    /// Memory for sled's cache, in bytes.
    pub cache_bytes: u64,
    pub on_damage: OnDamage,
}

/// `[history]`: history as evidence (H-07).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The private key that this site signs with, PEM; made where there is none.
    pub key_file: PathBuf,
    /// Whether systemd hands the key over, so that it is neither made nor exchanged here.
    pub is_credential: bool,
    /// How soon a peer is expected to sign for an operation that it took.
    pub receipt_within: Duration,
}

/// What to do with a state database that does not open or does not check out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDamage {
    /// Set it aside, say so, and re-adopt every open exchange from the store and the peers.
    Rebuild,
    /// Stop with a message; `casebridge state rebuild` goes on.
    Stop,
}

/// `[[inbox]]`: a watched directory. `done`, `quarantine` and `attachments` are made below it.
#[derive(Debug, Clone)]
pub struct Inbox {
    pub dir: PathBuf,
    /// The device group that its incidents belong to.
    pub group: Option<String>,
    pub poll_interval: Duration,
    /// A file must have been left alone for this long before it is read.
    pub settle: Duration,
    /// The largest deposit, in bytes.
    pub max_bytes: u64,
    /// The largest file that a deposit lists, in bytes.
    pub max_attachment_bytes: u64,
}

/// `[[mail_inbox]]`: a Maildir, or a directory of mails. `done` and `quarantine` are made below it.
#[derive(Debug, Clone)]
pub struct MailInbox {
    pub dir: PathBuf,
    pub poll_interval: Duration,
    /// A file must have been left alone for this long before it is read.
    pub settle: Duration,
    /// The largest mail, in bytes.
    pub max_bytes: u64,
    /// The most links to a form that one sender gets in an hour.
    pub links_per_hour: usize,
    /// The most that all senders get.
    pub answers_per_hour: usize,
}

/// `[bundle]`: where a bundle's fields stand. A path is element names joined by `/`, from the root element's children
/// down; `@name` at its end is an attribute.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The accepted root element names.
    pub roots: Vec<String>,
    pub paths: BundlePaths,
    /// Kind words in a bundle and the kinds that they mean.
    pub kinds: Vec<(String, crate::case::Kind)>,
    /// Event types that are stored but never submitted.
    pub disabled_event_types: Vec<String>,
}

/// `[bundle.paths]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundlePaths {
    pub manifest: String,
    pub trend_data: String,
    pub attachments: String,
    pub logs: String,
    pub host_event_id: String,
    pub kind: String,
    pub problem_class: String,
    pub service_type: String,
    pub occurred_at: String,
    pub event_type_group: String,
    pub event_type: String,
    pub synopsis: String,
    pub description: String,
    pub priority: String,
    pub severity: String,
    pub device: String,
    pub serial: String,
}

/// `[upstream]`: the site that we submit to.
#[derive(Debug, Clone)]
pub struct Upstream {
    pub alias: Alias,
    /// Its address, without a path: `https://partner.example:8443`.
    pub url: String,
    /// Whether everything travels there unencrypted, over a network.
    pub is_exposed: bool,
    pub login: Login,
    /// Our own certificate chain and its key, PEM, for an upstream that asks for one.
    pub identity: Option<Identity>,
    /// Certificate authority of the upstream, PEM. Without it the system's roots count.
    pub ca: Option<Vec<u8>>,
    /// How long one poll for updates may wait at the upstream, and so how often an idle site asks.
    pub poll_interval: Duration,
    pub connect_timeout: Duration,
    /// For one request, apart from the time that a poll may wait.
    pub request_timeout: Duration,
    /// The most operations in one request.
    pub batch: usize,
    /// The most requests with operations under way at once.
    pub in_flight: usize,
    /// How long an exchange may be without news before its transaction is asked for directly.
    pub check_after: Duration,
    /// Whether other names stand for those of our clients in what it gets.
    pub hide_clients: bool,
    /// Whether internal comments go there (C-33).
    pub internal_comments: bool,
    /// `[upstream.attachments]`
    pub attachments: Sharing,
    /// `[[upstream.field]]`
    pub fields: FieldMap,
    /// The key that it signs with; without it the first one that it shows is believed.
    pub key: Option<PublicKey>,
}

/// How we show the upstream who we are.
#[derive(Debug, Clone)]
pub enum Login {
    /// A user name of at most 128 bytes and a password of 8 to 32.
    Password { user: String, password: SecretString },
    /// What the upstream's `casebridge token new` showed.
    Token(SecretString),
    /// The certificate alone.
    Certificate,
}

/// Certificate chain and key, PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    pub certificate: Vec<u8>,
    pub key: SecretString,
}

/// `[listen]`
#[derive(Debug, Clone)]
pub struct Listen {
    pub address: SocketAddr,
    pub tls: Option<ListenTls>,
    /// The largest request body, in bytes.
    pub max_body_bytes: usize,
    /// How long a Create may wait for the store before it is answered "received".
    pub answer_within: Duration,
    /// The most time that reading a request may take.
    pub read_timeout: Duration,
    /// The most time until what was answered is taken by the client's machine.
    pub write_timeout: Duration,
    /// The most connections at once, and from one address.
    pub connections: usize,
    pub connections_per_address: usize,
    /// How many wrong credentials an address may try in a minute.
    pub failures_per_minute: usize,
    /// The longest wait that a client may ask for when it polls.
    pub max_wait: Duration,
}

/// Certificate chain and key, PEM.
#[derive(Debug, Clone)]
pub struct ListenTls {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The authority of the clients' certificates, PEM.
    pub client_ca: Option<Vec<u8>>,
}

/// `[pages]`
#[derive(Debug, Clone)]
pub struct Pages {
    /// Where people reach them: scheme, host, port.
    pub address: String,
    /// Whose pages they are, in the words of people; the alias where nothing is said.
    pub name: Option<String>,
    /// At least one; the first is for whoever wants none of them.
    pub languages: Vec<Language>,
    /// How long the link to an incident form is good.
    pub form_expires: Duration,
    /// What one address may ask.
    pub requests_per_minute: usize,
}

/// `[[client]]`: a site that submits to us.
#[derive(Debug, Clone)]
pub struct Client {
    pub alias: Alias,
    /// Absent where tokens or its certificate do.
    pub login: Option<ClientLogin>,
    /// The DNS name in the certificate without which nobody is this client.
    pub certificate_name: Option<String>,
    /// Whether internal comments go there (C-33).
    pub internal_comments: bool,
    pub limits: ClientLimits,
    /// `[client.attachments]`
    pub attachments: Sharing,
    /// `[[client.field]]`
    pub fields: FieldMap,
    /// The key that it signs with; without it the first one that it shows is believed.
    pub key: Option<PublicKey>,
}

/// User name and password of a client.
#[derive(Debug, Clone)]
pub struct ClientLogin {
    pub user: String,
    pub password: SecretString,
    /// The one before, which counts as well while it is being changed at the other side.
    pub previous_password: Option<SecretString>,
}

/// `[client.limits]`: what one client may ask, so that it harms no other.
#[derive(Debug, Clone, Copy)]
pub struct ClientLimits {
    pub requests_per_second: usize,
    /// So many at once after a rest.
    pub burst: usize,
    /// Requests under way.
    pub at_once: usize,
    /// The largest body, where it is not `listen.max_body`.
    pub max_body_bytes: Option<usize>,
}

/// `[retry]`
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// The first delay after a failure.
    pub first: Duration,
    /// Each delay is at most this many times the one before.
    pub factor: f64,
    /// The longest delay.
    pub max: Duration,
    /// How long an operation is retried before it is parked.
    pub give_up_after: Duration,
    /// The longest `Retry-After` that is honoured.
    pub retry_after_max: Duration,
    /// When an exchange that makes no progress is stopped.
    pub patience: crate::case::Patience,
}

/// `[submit]`
#[derive(Debug, Clone)]
pub struct Submit {
    pub require_site_id: bool,
    /// What a form leaves out.
    pub defaults: Form,
    /// `[[submit.policy]]`, in order.
    pub policies: Vec<Policy>,
}

/// Whose case a client sees when its incident was handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromUpstream {
    /// The upstream's, as it stands.
    Pass,
    /// This site's own: the one that it opened, or one from the templates.
    Own,
}

/// `[case]`: at a site with clients.
#[derive(Debug, Clone)]
pub struct CaseSettings {
    /// `{incident}` and `{client}` are filled in.
    pub id_template: String,
    /// The same placeholders and `{case}`; no link is given without it.
    pub link_template: Option<String>,
    /// The status of a case that was just accepted.
    pub opened_status: String,
    pub from_upstream: FromUpstream,
    /// The status of a case that waits for an answer of the client's (C-51), and of one that was answered.
    pub pending_status: String,
    pub resumed_status: String,
    /// Whether a client may open a closed case again; else it submits a new one (C-50).
    pub reopen_closed: bool,
    /// The largest file that a person may put to a case, in bytes (M-11).
    pub max_document: u64,
    /// `[[case.accept]]`: incidents of clients that are accepted without a person.
    pub accept: Vec<Policy>,
    /// `[[case.escalate]]`: incidents of clients that are handed on to the upstream without a person.
    pub escalate: Vec<Policy>,
}

/// `[exchange]`: who may change what of a case that two sites share.
#[derive(Debug, Clone)]
pub struct ExchangeSettings {
    /// What a case is solved with that is resolved or closed without a solution (C-27).
    pub default_solution: String,
    pub ownership: Ownership,
    /// The assignment groups that belong to another site (C-02).
    pub groups: Groups,
}

/// `[[role]]`: permissions under one name (M-03).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub name: String,
    pub permissions: Permissions,
}

/// `[schedule]`: cron expressions with seconds (M-10).
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The IANA name of the time zone by whose clocks they fire.
    pub time_zone: String,
    pub housekeeping: Cron,
    /// When listed attachments that were missing are looked for again.
    pub late_attachments: Cron,
    /// When certificates and secrets are looked at for their end.
    pub expiry_check: Cron,
    /// When both sites' stores are compared.
    pub reconcile: Cron,
    /// When resolved cases are closed that nobody touched for long enough (M-06).
    pub auto_close: Cron,
    /// When due dates are looked at (M-07).
    pub due_date_check: Cron,
    /// When SLAs are looked at (M-08).
    pub sla_check: Cron,
    /// How often it is looked for cases without news for longer than `upstream.check_after`.
    pub case_check: Cron,
    /// How long done deposits are kept.
    pub keep_done: Duration,
}

/// A place that reactions may go to.
#[derive(Debug, Clone)]
pub struct ReactionTarget {
    pub name: String,
    pub to: ReactionTo,
}

#[derive(Debug, Clone)]
pub enum ReactionTo {
    Mail {
        addresses: Vec<MailAddress>,
    },
    Webhook(Webhook),
    /// `address` is a host and a port; `oid` the node under which traps and values are numbered.
    Snmp {
        address: String,
        community: SecretString,
        oid: Vec<u32>,
    },
    /// Run without a shell.
    Command {
        program: PathBuf,
        arguments: Vec<String>,
        within: Duration,
    },
}

/// A receiver of webhooks by the Standard Webhooks scheme.
#[derive(Debug, Clone)]
pub struct Webhook {
    pub url: String,
    /// `whsec_` and 24 to 64 bytes in Base64.
    pub secret: SecretString,
    /// Certificate authority of the receiver, PEM. Without it the system's roots count.
    pub ca: Option<Vec<u8>>,
    /// Whether its name may stand for an address inside a network.
    pub private_addresses: bool,
    pub within: Duration,
}

/// `[mail]`: how the people of a case are told.
#[derive(Debug, Clone)]
pub struct Mail {
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    /// Certificate authority of the mail server, PEM. Without it the system's roots count.
    pub ca: Option<Vec<u8>>,
    pub login: Option<MailLogin>,
    pub from: Sender,
    pub reply_to: Option<MailAddress>,
    /// Of a party whose language nobody told.
    pub language: Language,
    /// A directory with templates that take the place of the program's own.
    pub templates: Option<PathBuf>,
    /// Until the server has greeted, encrypted and let us in.
    pub connect_timeout: Duration,
    /// For one mail, from the greeting to its acceptance.
    pub send_timeout: Duration,
    pub retry: MailRetry,
    pub reminders: Reminders,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// Begun in the clear and encrypted before anything is told (RFC 3207).
    StartTls,
    /// Encrypted from the first byte (RFC 8314).
    Implicit,
    /// To this machine only.
    None,
}

#[derive(Debug, Clone)]
pub struct MailLogin {
    pub user: String,
    pub password: SecretString,
}

/// Whose name stands over the mails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// May be empty.
    pub name: String,
    pub address: MailAddress,
}

/// `[mail.retry]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailRetry {
    pub first: Duration,
    pub max: Duration,
    /// How long a mail is tried.
    pub give_up_after: Duration,
}

/// `[mail.reminders]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reminders {
    pub input: Pace,
    pub closing: Pace,
}

impl Reminders {
    pub fn pace(&self, asked: Asked) -> &Pace {
        match asked {
            Asked::Input => &self.input,
            Asked::Closing => &self.closing,
        }
    }
}

impl Schedule {
    /// The clocks by which they fire. A zone that was there when the settings were read is there.
    pub fn zone(&self) -> TimeZone {
        TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC)
    }

    /// Each job by its name.
    pub fn all(&self) -> [(&'static str, &Cron); 8] {
        [
            ("auto_close", &self.auto_close),
            ("case_check", &self.case_check),
            ("due_date_check", &self.due_date_check),
            ("expiry_check", &self.expiry_check),
            ("housekeeping", &self.housekeeping),
            ("late_attachments", &self.late_attachments),
            ("reconcile", &self.reconcile),
            ("sla_check", &self.sla_check),
        ]
    }
}

/// `[job]`: what the jobs of case management look at.
#[derive(Debug, Clone)]
pub struct Jobs {
    /// The case types whose due dates are looked at (M-07).
    pub due_types: Vec<String>,
    /// Whether a case that fails leaves the others to be looked at (M-09).
    pub due_goes_on: bool,
    pub sla_goes_on: bool,
}
