//! `list`: the views of those who manage cases.

use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;

use super::{Failure, Local, Output, print, who};
use crate::case::{CaseState, Priority};
use crate::cli::incidents::limit;
use crate::cli::print::{Column, Paint, Table};
use crate::cli::query;
use crate::protocol::cases::{CaseListQuery, CasePage, CaseRow};
use crate::store::CaseOrder;

/// Of `list`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// In this state; may be given more than once
    #[arg(long = "state", help_heading = "Filters",
          value_parser = PossibleValuesParser::new(CaseState::ALL.map(CaseState::as_str)))]
    states: Vec<String>,
    /// Of this case type
    #[arg(long = "type", help_heading = "Filters", value_name = "NAME")]
    case_type: Option<String>,
    /// "1 - Critical", "2 - High", "3 - Medium" or "4 - Low"
    #[arg(long, help_heading = "Filters")]
    priority: Option<Priority>,
    /// Of this client
    #[arg(long, help_heading = "Filters", value_name = "ALIAS")]
    client: Option<String>,
    /// Of this device group
    #[arg(long, help_heading = "Filters")]
    group: Option<String>,
    /// For which this user answers
    #[arg(long, help_heading = "Filters", value_name = "USER")]
    owner: Option<String>,
    /// For which this user or customer asked
    #[arg(long, help_heading = "Filters", value_name = "USER")]
    initiator: Option<String>,
    /// Assigned to this user
    #[arg(long, help_heading = "Filters", value_name = "USER")]
    assigned_to: Option<String>,
    /// Assigned to this group of people
    #[arg(long, help_heading = "Filters", value_name = "GROUP")]
    assigned_to_group: Option<String>,
    /// Assigned to nobody
    #[arg(long, help_heading = "Filters", conflicts_with_all = ["assigned_to", "assigned_to_group", "mine"])]
    unassigned: bool,
    /// Assigned to you
    #[arg(long, help_heading = "Filters", conflicts_with = "assigned_to")]
    mine: bool,
    /// With this tag
    #[arg(long, help_heading = "Filters")]
    tag: Option<String>,
    /// Watched by this user
    #[arg(long, help_heading = "Filters", value_name = "USER")]
    watcher: Option<String>,
    /// Put before this user
    #[arg(long, help_heading = "Filters", value_name = "USER")]
    flagged: Option<String>,
    /// With all of these words in the title, or words that begin so
    #[arg(long, help_heading = "Filters", value_name = "WORDS")]
    text: Option<String>,
    /// Stored at this time or later, for example 2026-11-25T12:00:00Z
    #[arg(long, help_heading = "Filters", value_name = "TIME")]
    created_from: Option<Timestamp>,
    /// Stored before this time
    #[arg(long, help_heading = "Filters", value_name = "TIME")]
    created_before: Option<Timestamp>,
    /// Changed at this time or later
    #[arg(long, help_heading = "Filters", value_name = "TIME")]
    updated_from: Option<Timestamp>,
    /// Not changed since this time
    #[arg(long, help_heading = "Filters", value_name = "TIME")]
    updated_before: Option<Timestamp>,
    /// Due at this time or later
    #[arg(long, help_heading = "Filters", value_name = "TIME")]
    due_from: Option<Timestamp>,
    /// Due before this time
    #[arg(long, help_heading = "Filters", value_name = "TIME")]
    due_before: Option<Timestamp>,
    /// With a deadline that was missed
    #[arg(long, help_heading = "Filters")]
    breached: bool,
    /// With a deadline that is to be warned of, and is not missed yet
    #[arg(long, help_heading = "Filters")]
    about_to_breach: bool,
    /// Also those that were deleted from the lists
    #[arg(long)]
    inactive: bool,
    /// The order; a hyphen in front reverses it
    #[arg(long, value_name = "KEY", default_value = "number", allow_hyphen_values = true, value_parser = sort)]
    sort: String,
    /// The most cases shown, 1 to 1000
    #[arg(long, value_name = "N", default_value = "100", value_parser = limit)]
    limit: usize,
    /// Go on after the page that ended with this mark
    #[arg(long, value_name = "MARK")]
    after: Option<String>,
    #[command(flatten)]
    output: Output,
}

fn sort(text: &str) -> Result<String, String> {
    let known = CaseOrder::ALL.map(CaseOrder::as_str);
    match known.contains(&text.strip_prefix('-').unwrap_or(text)) {
        true => Ok(text.to_owned()),
        false => Err(format!("must be one of {}", known.join(", "))),
    }
}

/// Prints one page.
pub async fn run(local: &Local, arguments: Arguments) -> Result<(), Failure> {
    let output = arguments.output;
    let query = query_of(arguments);
    let page: CasePage = local.get("the cases cannot be listed", &query::address("/v1/cases", &query)?).await?;
    if output.json {
        return print::out(&print::json(&page)?);
    }
    print::out(&shown(&page, &who::operator(), print::width(), print::colour_out()))
}

fn query_of(arguments: Arguments) -> CaseListQuery {
    CaseListQuery {
        state: (!arguments.states.is_empty()).then(|| arguments.states.join(",")),
        case_type: arguments.case_type,
        priority: arguments.priority.map(|priority| priority.to_string()),
        client: arguments.client,
        group: arguments.group,
        owner: arguments.owner,
        initiator: arguments.initiator,
        assigned_to: if arguments.mine { Some(who::operator()) } else { arguments.assigned_to },
        assigned_to_group: arguments.assigned_to_group,
        unassigned: arguments.unassigned,
        tag: arguments.tag,
        watcher: arguments.watcher,
        flagged: arguments.flagged,
        text: arguments.text,
        created_from: arguments.created_from,
        created_before: arguments.created_before,
        updated_from: arguments.updated_from,
        updated_before: arguments.updated_before,
        due_from: arguments.due_from,
        due_before: arguments.due_before,
        breached: arguments.breached,
        about_to_breach: arguments.about_to_breach,
        inactive: arguments.inactive,
        sort: Some(arguments.sort),
        after: arguments.after,
        limit: Some(arguments.limit),
    }
}

const COLUMNS: [Column; 11] = [
    Column::new("ID", 8, 0),
    Column::new("STATE", 8, 2),
    Column::new("PRIORITY", 8, 3),
    Column::new("TYPE", 8, 7),
    Column::new("ASSIGNED TO", 8, 4),
    Column::new("OWNER", 6, 5),
    Column::new("OWNER STATUS", 8, 9),
    Column::new("DUE", 20, 6),
    Column::new("UPDATED", 20, 10),
    Column::new("TAGS", 6, 8),
    Column::new("DETAILS", 16, 1),
];

/// The page as a table; what is still unread by `user` stands out.
fn shown(page: &CasePage, user: &str, width: Option<usize>, colour: bool) -> String {
    if page.cases.is_empty() && page.unreadable.is_empty() {
        return "There is no such case.\n".to_owned();
    }
    let mut table = Table::new(&COLUMNS);
    page.cases.iter().for_each(|case| table.row(cells(case)));
    let unread = |case: &CaseRow| case.flags.iter().any(|flag| flag.unread && flag.user.as_str() == user);
    let mut text = String::new();
    for (number, line) in table.render(width).lines().enumerate() {
        let case = number.checked_sub(1).and_then(|number| page.cases.get(number));
        text.push_str(&Paint::Bold.on(line, colour && case.is_some_and(unread)));
        text.push('\n');
    }
    for id in &page.unreadable {
        text.push_str(&format!("(case {id} does not read; `casebridge why {id}` says what to correct)\n"));
    }
    if let Some(next) = &page.next {
        text.push_str(&format!("(there are more: --after '{}')\n", print::safe(next)));
    }
    text
}

fn cells(case: &CaseRow) -> [Option<String>; 11] {
    let users = case.assigned_to_users.iter().map(ToString::to_string);
    let assigned: Vec<String> = users.chain(case.assigned_to_groups.iter().map(|group| format!("@{group}"))).collect();
    [
        Some(case.display_id.clone()),
        Some(case.state_label.clone()),
        case.priority.map(|priority| priority.to_string()),
        case.case_type_name.as_ref().map(ToString::to_string),
        Some(assigned.join(", ")),
        case.owner.as_ref().map(ToString::to_string),
        case.owner.as_ref().map(|_| case.owner_status.clone()),
        case.due_date.map(print::time),
        Some(print::time(case.updated_at)),
        Some(case.tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        Some(case.details.clone()),
    ]
}
