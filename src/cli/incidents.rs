//! `incidents`: the list, filtered, sorted, page by page.

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::exit::Failure;
use super::local::Local;
use super::print::{self, Column, Table};
use super::{Output, query};
use crate::case::{Kind, Phase, Priority, Standing, Submission};
use crate::protocol::operator::{IncidentPage, IncidentQuery, IncidentRow};

/// The most incidents that the daemon gives at once.
const PAGE: usize = 1000;

/// Of `incidents`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Of this device group
    #[arg(long, help_heading = "Filters")]
    group: Option<String>,
    /// Of this client
    #[arg(long, help_heading = "Filters", value_name = "ALIAS")]
    client: Option<String>,
    /// Of the device with this name
    #[arg(long, help_heading = "Filters", value_name = "NAME")]
    device: Option<String>,
    /// Of this kind
    #[arg(long, help_heading = "Filters", value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::as_str)))]
    kind: Option<String>,
    /// "1 - Critical", "2 - High", "3 - Medium" or "4 - Low"
    #[arg(long, help_heading = "Filters")]
    priority: Option<Priority>,
    /// Whether it is to be handed to the site above
    #[arg(long, help_heading = "Filters",
          value_parser = PossibleValuesParser::new(Submission::ALL.map(Submission::as_str)))]
    submission: Option<String>,
    /// How its exchange stands
    #[arg(long, help_heading = "Filters",
          value_parser = PossibleValuesParser::new(Standing::ALL.map(Standing::as_str)))]
    standing: Option<String>,
    /// Where it stands in its life
    #[arg(long, help_heading = "Filters", value_parser = PossibleValuesParser::new(Phase::ALL.map(Phase::as_str)))]
    phase: Option<String>,
    /// With your own number for it
    #[arg(long, help_heading = "Filters", value_name = "NUMBER")]
    tracking_number: Option<String>,
    /// With the case of this ID
    #[arg(long, help_heading = "Filters", value_name = "CASE")]
    case_id: Option<String>,
    /// The order; a hyphen in front reverses it
    #[arg(long, value_name = "KEY", default_value = "id", allow_hyphen_values = true,
          value_parser = PossibleValuesParser::new(SORTS))]
    sort: String,
    /// The most incidents shown, 1 to 1000
    #[arg(long, value_name = "N", default_value = "100", value_parser = limit)]
    limit: usize,
    /// Go on after the page that ended with this mark
    #[arg(long, value_name = "MARK")]
    after: Option<String>,
    /// Show them all, page after page
    #[arg(long, conflicts_with_all = ["limit", "after"])]
    all: bool,
    #[command(flatten)]
    output: Output,
}

const SORTS: [&str; 10] =
    ["id", "-id", "created_at", "-created_at", "priority", "-priority", "device", "-device", "group", "-group"];

/// A number of rows that the daemon gives at once.
pub fn limit(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(limit @ 1..=PAGE) => Ok(limit),
        _ => Err(format!("must be a number from 1 to {PAGE}")),
    }
}

/// Prints one page, or all of them.
pub async fn run(local: &Local, arguments: Arguments) -> Result<(), Failure> {
    let (all, output) = (arguments.all, arguments.output);
    let mut query = query_of(arguments);
    let mut list = page(local, &query).await?;
    // A page that names itself as the next one would go on for ever.
    while all && list.next.is_some() && list.next != query.after {
        query.after = list.next.take();
        let more = page(local, &query).await?;
        list.incidents.extend(more.incidents);
        list.unreadable.extend(more.unreadable);
        list.next = more.next;
    }
    if output.json { print::out(&print::json(&list)?) } else { print::out(&shown(&list, print::width())) }
}

async fn page(local: &Local, query: &IncidentQuery) -> Result<IncidentPage, Failure> {
    local.get("the incidents cannot be listed", &query::address("/v1/incidents", query)?).await
}

fn query_of(arguments: Arguments) -> IncidentQuery {
    IncidentQuery {
        group: arguments.group,
        client: arguments.client,
        device: arguments.device,
        kind: arguments.kind,
        priority: arguments.priority.map(|priority| priority.to_string()),
        submission: arguments.submission,
        standing: arguments.standing,
        phase: arguments.phase,
        tracking_number: arguments.tracking_number,
        case_id: arguments.case_id,
        sort: Some(arguments.sort),
        after: arguments.after,
        limit: Some(if arguments.all { PAGE } else { arguments.limit }),
    }
}

const COLUMNS: [Column; 13] = [
    Column::new("ID", 6, 0),
    Column::new("TIME", 20, 3),
    Column::new("DEVICE", 8, 5),
    Column::new("SERIAL", 8, 10),
    Column::new("PRIORITY", 8, 6),
    Column::new("KIND", 7, 12),
    Column::new("GROUP/CLIENT", 8, 8),
    Column::new("SUBMISSION", 9, 9),
    Column::new("STANDING", 12, 2),
    Column::new("TRANSACTION", 6, 11),
    Column::new("CASE ID", 8, 4),
    Column::new("STATUS", 8, 7),
    Column::new("SYNOPSIS", 16, 1),
];

fn shown(page: &IncidentPage, width: Option<usize>) -> String {
    if page.incidents.is_empty() && page.unreadable.is_empty() {
        return "There is no such incident.\n".to_owned();
    }
    let mut table = Table::new(&COLUMNS);
    page.incidents.iter().for_each(|row| table.row(cells(row)));
    let mut text = table.render(width);
    for id in &page.unreadable {
        text.push_str(&format!("(incident {id} does not read; `casebridge why {id}` says what to correct)\n"));
    }
    if let Some(next) = &page.next {
        text.push_str(&format!("(there are more: --after {}, or --all)\n", quoted(next)));
    }
    text
}

fn cells(row: &IncidentRow) -> [Option<String>; 13] {
    [
        Some(row.incident.to_string()),
        Some(print::time(row.occurred_at.unwrap_or(row.created_at))),
        row.device.clone(),
        row.serial.clone(),
        row.priority.clone(),
        Some(row.kind.clone()),
        row.client.clone().or_else(|| row.group.clone()),
        Some(row.submission.clone()),
        row.standing.clone(),
        row.transaction.clone(),
        row.case_id.clone(),
        row.case_status.clone(),
        Some(row.synopsis.clone()),
    ]
}

/// For the shell: a mark may hold what the incidents hold.
fn quoted(mark: &str) -> String {
    format!("'{}'", print::safe(mark).replace('\'', "'\\''"))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn row() -> IncidentRow {
        IncidentRow {
            incident: 7,
            host_event_id: "edge1-1".into(),
            kind: "event".into(),
            synopsis: "PSU 0 output failure".into(),
            priority: Some("2 - High".into()),
            severity: Some("major".into()),
            device: Some("edge1".into()),
            serial: Some("JN11A2B3C".into()),
            group: Some("core routers".into()),
            client: None,
            occurred_at: "2026-11-21T11:58:00Z".parse().ok(),
            created_at: "2026-11-21T12:00:00Z".parse().expect("an instant"),
            submission: "requested".into(),
            phase: "initial_support".into(),
            standing: Some("created".into()),
            transaction: Some("12".into()),
            case_id: Some("CASE-12".into()),
            case_link: Some("https://desk.example/CASE-12".into()),
            case_status: Some("In Progress".into()),
            tracking_number: None,
        }
    }

    #[test]
    fn in_a_pipe_every_column_is_whole() {
        let page = IncidentPage { incidents: vec![row()], unreadable: Vec::new(), next: Some("7:it's".into()) };
        let text = shown(&page, None);
        for part in ["ID  TIME", "core routers", "2 - High", "CASE-12", "In Progress", "PSU 0 output failure\n"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.ends_with("(there are more: --after '7:it'\\''s', or --all)\n"), "{text}");
    }

    #[test]
    fn on_a_narrow_terminal_number_synopsis_and_standing_stay() {
        let text = shown(&IncidentPage { incidents: vec![row()], unreadable: Vec::new(), next: None }, Some(60));
        for part in ["ID", "STANDING", "SYNOPSIS", "no room for"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.lines().take(2).all(|line| line.chars().count() <= 60), "{text}");
    }

    #[test]
    fn a_limit_is_within_what_the_daemon_gives() {
        assert_eq!(limit("1000"), Ok(1000));
        assert!(["0", "1001", "x", "-1"].into_iter().all(|text| limit(text).is_err()));
    }
}
