//! `show`: everything about one incident.

use clap::Args;
use jiff::Timestamp;

use super::exit::Failure;
use super::local::Local;
use super::print::{self, Column, Table, safe_lines, span, time};
use super::{Output, queue};
use crate::case::{Attachment, AttachmentState, Form, OwnCase, Transfer};
use crate::protocol::external::External;
use crate::protocol::operator::{CommentDetail, ExchangeDetail, IncidentDetail};

/// Of `show`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The number of the incident
    #[arg(value_name = "ID")]
    incident: i64,
    #[command(flatten)]
    output: Output,
}

/// Prints everything about the incident.
pub async fn run(local: &Local, arguments: Arguments) -> Result<(), Failure> {
    let detail = fetch(local, arguments.incident).await?;
    if arguments.output.json {
        return print::out(&print::json(&detail)?);
    }
    print::out(&shown(&detail, Timestamp::now(), print::width(), print::colour_out()))
}

/// Asks for one incident.
pub async fn fetch(local: &Local, incident: i64) -> Result<IncidentDetail, Failure> {
    local.get(&format!("incident {incident} cannot be shown"), &format!("/v1/incidents/{incident}")).await
}

/// Lines of names and values, in sections.
struct Page {
    text: String,
    colour: bool,
}

impl Page {
    fn section(&mut self, title: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(&print::Paint::Bold.on(&print::safe(title), self.colour));
        self.text.push('\n');
    }

    fn field(&mut self, name: &str, value: impl Into<Option<String>>) {
        if let Some(value) = value.into() {
            self.aligned(name, &value, 20);
        }
    }

    fn aligned(&mut self, name: &str, value: &str, width: usize) {
        let value = if value.is_empty() { print::NONE } else { value };
        self.text.push_str(&format!("  {:<width$} {}\n", print::safe(name), print::safe(value)));
    }

    fn paragraph(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.text.push_str(&format!("  {name}\n{}", safe_lines(value, "    ")));
        }
    }

    fn table(&mut self, table: &Table, width: Option<usize>) {
        self.text.push_str(&safe_indented(&table.render(width.map(|width| width.saturating_sub(2)))));
    }
}

/// A table made its cells safe already.
fn safe_indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn shown(detail: &IncidentDetail, now: Timestamp, width: Option<usize>, colour: bool) -> String {
    let mut page = Page { text: String::new(), colour };
    record(&mut page, detail, now);
    for exchange in &detail.exchanges {
        show_exchange(&mut page, exchange, now, width);
    }
    form(&mut page, &detail.form);
    if !detail.comments.is_empty() {
        page.section(&format!("comments ({})", detail.comments.len()));
        for CommentDetail { comment, origin } in &detail.comments {
            let marks = print::Marks {
                initiator: comment.initiator,
                internal: comment.internal,
                language: comment.language.as_deref(),
                origin: origin.as_deref(),
            };
            page.paragraph(&print::comment(comment.written_at, &comment.author, marks), Some(&comment.text));
        }
    }
    attachments(&mut page, &detail.attachments, width);
    transfers(&mut page, &detail.transfers, width);
    history(&mut page, detail, width);
    page.text
}

fn record(page: &mut Page, detail: &IncidentDetail, now: Timestamp) {
    let row = &detail.row;
    page.section(&format!("incident {}: {}", row.incident, row.synopsis));
    page.field("event", row.host_event_id.clone());
    page.field("kind", row.kind.clone());
    page.field("occurred", row.occurred_at.map(|at| span(at, now)));
    page.field("stored", span(row.created_at, now));
    page.field("device", row.device.clone());
    page.field("serial", row.serial.clone());
    page.field("group", row.group.clone());
    page.field("client", row.client.clone());
    page.field("came through", Some(detail.trace_route.join(" > ")).filter(|route| !route.is_empty()));
    page.field("priority", row.priority.clone());
    page.field("severity", row.severity.clone());
    page.field("problem class", detail.problem_class.clone());
    page.field("service type", detail.service_type.clone());
    page.field("event type", detail.event_type.clone());
    page.field("event type group", detail.event_type_group.clone());
    page.field("submission", row.submission.clone());
    page.field("phase", row.phase.clone());
    page.field("standing", row.standing.clone());
    page.field("transaction ID", row.transaction.clone());
    page.field("case ID", row.case_id.clone());
    page.field("case link", row.case_link.clone());
    page.field("case status", row.case_status.clone());
    for one in &detail.contacts {
        page.field(one.role.as_str(), format!("{} {} <{}>", one.first_name, one.last_name, one.address));
    }
    if let Some(case) = &detail.upstream_case {
        page.field("upstream case ID", case.id.to_string());
        page.field("upstream case link", case.link.as_ref().map(ToString::to_string));
        page.field("upstream case status", case.status.clone());
        page.field("overridden", overridden(detail.own_case));
    }
    page.field("completion code", detail.completion_code.clone());
    page.field("expected resolution", detail.expected_resolution.map(time));
    page.paragraph("description", Some(&detail.description));
    page.paragraph("solution", detail.solution.as_deref());
    if !detail.manifest.is_empty() {
        page.section("manifest");
        let widest = detail.manifest.keys().map(|name| name.chars().count()).max().unwrap_or(0);
        for (name, value) in &detail.manifest {
            page.aligned(name, value, widest.clamp(20, 40));
        }
    }
}

fn overridden(own: OwnCase) -> Option<String> {
    let parts = [(own.id, "case ID"), (own.link, "case link"), (own.status, "case status")];
    let named: Vec<&str> = parts.into_iter().filter_map(|(own, name)| own.then_some(name)).collect();
    Some(named.join(", ")).filter(|named| !named.is_empty())
}

fn show_exchange(page: &mut Page, exchange: &ExchangeDetail, now: Timestamp, width: Option<usize>) {
    page.section(&format!("exchange with {} ({})", exchange.peer, exchange.towards));
    page.field("step", exchange.step.clone());
    page.field("waits for", exchange.waits_for.clone());
    page.field("since", span(exchange.since, now));
    page.field("next try", exchange.next_attempt.map(|at| next_try(at, exchange.attempts, now)));
    page.field("last error", exchange.last_error.clone());
    page.field("parked", exchange.parked.clone());
    page.field("transaction ID", exchange.transaction.clone());
    page.field("exchange ID", exchange.exchange.to_string());
    let External { id, status, created_at, active, originator, integration } = &exchange.external;
    page.field("external ID", id.clone());
    page.field("external status", status.clone());
    page.field("created", time(*created_at));
    page.field("active", if *active { "yes" } else { "no" }.to_owned());
    page.field("originator", originator.clone());
    page.field("integration", integration.clone());
    page.field("operations", format!("{} sent, {} applied", exchange.sent, exchange.applied));
    if !exchange.pending.is_empty() {
        page.field("pending", format!("{} not acknowledged yet", exchange.pending.len()));
        page.table(&queue::table(&exchange.pending), width);
    }
}

fn next_try(at: Timestamp, attempts: u32, now: Timestamp) -> String {
    let tried = match attempts {
        0 => String::new(),
        1 => ", after 1 attempt".to_owned(),
        more => format!(", after {more} attempts"),
    };
    if at > now { format!("{}{tried}", span(at, now)) } else { format!("now{tried}") }
}

fn form(page: &mut Page, form: &Form) {
    if *form == Form::default() {
        return;
    }
    page.section("form");
    page.field("priority", form.priority.map(|priority| priority.to_string()));
    page.field("follow-up", form.follow_up.map(|method| method.to_string()));
    let addresses: Vec<&str> = form.cc.iter().map(|address| address.as_str()).collect();
    page.field("CC", Some(addresses.join(", ")).filter(|list| !list.is_empty()));
    page.field("tracking number", form.tracking_number.clone());
    page.field("site ID", form.site_id.clone());
    page.paragraph("comment", form.comment.as_deref());
}

fn attachments(page: &mut Page, attachments: &[Attachment], width: Option<usize>) {
    if attachments.is_empty() {
        return;
    }
    page.section(&format!("attachments ({})", attachments.len()));
    let mut table = Table::new(&[Column::new("NAME", 12, 0), Column::new("TYPE", 8, 2), Column::new("STATE", 12, 1)]);
    for attachment in attachments {
        let state = match &attachment.state {
            AttachmentState::Stored { bytes, .. } => format!("{bytes} bytes"),
            AttachmentState::Awaited => "awaited".to_owned(),
            AttachmentState::Failed { reason } => format!("not made by the device: {reason}"),
        };
        table.row([Some(attachment.name.clone()), attachment.media_type.clone(), Some(state)]);
    }
    page.table(&table, width);
}

fn transfers(page: &mut Page, transfers: &[Transfer], width: Option<usize>) {
    if transfers.is_empty() {
        return;
    }
    page.section(&format!("attachments to and from peers ({})", transfers.len()));
    let mut table = Table::new(&[
        Column::new("NAME", 12, 0),
        Column::new("PEER", 12, 2),
        Column::new("STATE", 12, 1),
        Column::new("REASON", 12, 3),
    ]);
    for one in transfers {
        let state = match one.state.as_str() {
            "awaited" => format!("awaited, {} of {} bytes", one.received, one.bytes),
            state => state.to_owned(),
        };
        let peer = format!("{} {}", one.direction, one.peer);
        table.row([Some(one.name.clone()), Some(peer), Some(state), one.reason.clone()]);
    }
    page.table(&table, width);
}

fn history(page: &mut Page, detail: &IncidentDetail, width: Option<usize>) {
    if detail.history.is_empty() {
        return;
    }
    page.section("history");
    let columns = [
        Column::new("TIME", 20, 0),
        Column::new("WHO", 10, 2),
        Column::new("WHAT", 9, 1),
        Column::new("SEQ", 3, 4),
        Column::new("DETAIL", 16, 3),
    ];
    let mut table = Table::new(&columns);
    for line in &detail.history {
        table.row([
            Some(time(line.at)),
            Some(line.who.clone()),
            Some(line.action.clone()),
            line.seq.map(|seq| seq.to_string()),
            Some(line.detail.clone()),
        ]);
    }
    page.table(&table, width);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Case, Comment, ExchangeId, HistoryLine, IncidentId};
    use crate::cli::incidents::tests::row;
    use crate::protocol::operator::OutboxRow;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn comment(text: &str, internal: bool, language: Option<&str>) -> Comment {
        Comment {
            author: "anna".into(),
            written_at: at("2026-11-21T12:02:00Z"),
            text: text.into(),
            internal,
            language: language.map(str::to_owned),
            ..Comment::default()
        }
    }

    fn detail() -> IncidentDetail {
        let exchange = ExchangeId::from_bytes([1; 16]);
        let pending = OutboxRow {
            peer: "partner".into(),
            position: 9,
            exchange,
            incident: Some(7),
            seq: 2,
            operation: "update".into(),
            queued_at: at("2026-11-21T12:01:00Z"),
            changes: Some("update: 1 comment".into()),
            attempts: 3,
            next_attempt: None,
            last_error: None,
        };
        let waiting = ExchangeDetail {
            exchange,
            peer: "partner".into(),
            towards: "upstream".into(),
            step: "awaiting_case".into(),
            since: at("2026-11-21T12:00:00Z"),
            waits_for: "the case ID and link: a person at partner decides".into(),
            next_attempt: Some(at("2026-11-21T12:05:12Z")),
            attempts: 3,
            last_error: Some("nobody answers\u{1b}[2J".into()),
            parked: None,
            transaction: Some("12".into()),
            sent: 2,
            applied: 1,
            pending: vec![pending],
            external: External {
                id: Some("CASE-12".into()),
                status: Some("Open".into()),
                created_at: at("2026-11-21T12:00:00Z"),
                active: true,
                originator: "north".into(),
                integration: "upstream partner".into(),
            },
        };
        let deposited = HistoryLine {
            incident: IncidentId(7),
            at: at("2026-11-21T12:00:00Z"),
            who: "casebridge".into(),
            action: "deposited".into(),
            exchange: None,
            seq: None,
            detail: "from the inbox".into(),
        };
        IncidentDetail {
            row: row(),
            problem_class: Some("Support".into()),
            service_type: None,
            event_type: Some("PSU_FAILURE".into()),
            event_type_group: Some("hardware".into()),
            description: "Power supply 0\n\u{202e}fails".into(),
            solution: None,
            completion_code: None,
            expected_resolution: None,
            upstream_case: Some(Case {
                id: "V-4".parse().expect("an ID"),
                link: None,
                status: "Open".into(),
                contact: None,
            }),
            own_case: OwnCase { status: true, ..OwnCase::default() },
            trace_route: vec!["north".into(), "partner".into()],
            manifest: std::collections::BTreeMap::from([("router.model".to_owned(), "MX480".to_owned())]),
            contacts: vec![],
            form: Form { tracking_number: Some("CRQ-4711".into()), ..Form::default() },
            comments: vec![
                CommentDetail { comment: comment("for us alone", true, None), origin: None },
                CommentDetail { comment: comment("pour vous", false, Some("fr")), origin: Some("partner".into()) },
            ],
            attachments: vec![Attachment { name: "core".into(), media_type: None, state: AttachmentState::Awaited }],
            transfers: vec![],
            exchanges: vec![waiting],
            history: vec![deposited],
        }
    }

    #[test]
    fn what_it_waits_for_since_when_and_the_next_try_are_told() {
        let text = shown(&detail(), at("2026-11-21T12:05:00Z"), None, false);
        for part in [
            "incident 7: PSU 0 output failure\n",
            "exchange with partner (upstream)\n",
            "  waits for            the case ID and link: a person at partner decides\n",
            "  since                2026-11-21 12:00:00Z (5 min ago)\n",
            "  next try             2026-11-21 12:05:12Z (in 12 s), after 3 attempts\n",
            "  tracking number      CRQ-4711\n",
            "  upstream case ID     V-4\n",
            "  overridden           case status\n",
            "  came through         north > partner\n",
            "  router.model         MX480\n",
            "  external ID          CASE-12\n",
            "  external status      Open\n",
            "  active               yes\n",
            "  originator           north\n",
            "  integration          upstream partner\n",
            "awaited",
            "  2026-11-21 12:02:00Z anna (internal)\n    for us alone\n",
            "  2026-11-21 12:02:00Z anna (fr, from partner)\n    pour vous\n",
            "from the inbox",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn nothing_from_outside_steers_the_terminal() {
        let text = shown(&detail(), at("2026-11-21T12:05:00Z"), Some(80), false);
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
        assert!(text.contains("    \\u{202e}fails\n"), "{text}");
    }
}
