//! `outbox`, `parked` and `retry`: what has not got through, and what to do about it.

use clap::Args;
use jiff::Timestamp;

use super::exit::Failure;
use super::local::Local;
use super::print::{self, Column, Table, time};
use super::{Output, incidents, who};
use crate::protocol::operator::{OutboxPage, OutboxRow, ParkedPage, ParkedRow, RetryAnswer, RetryRequest};

/// Of `outbox` and `parked`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The most operations shown, 1 to 1000
    #[arg(long, value_name = "N", default_value = "100", value_parser = incidents::limit)]
    limit: usize,
    #[command(flatten)]
    output: Output,
}

/// Of `retry`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["incident", "all"]))]
pub struct RetryArguments {
    /// The number of the incident
    #[arg(value_name = "ID")]
    incident: Option<i64>,
    /// Everything that is parked
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: Output,
}

/// Lists what peers have not acknowledged.
pub async fn outbox(local: &Local, arguments: Arguments) -> Result<(), Failure> {
    let path = format!("/v1/outbox?limit={}", arguments.limit);
    let page: OutboxPage = local.get("the outbox cannot be listed", &path).await?;
    if arguments.output.json {
        return print::out(&print::json(&page)?);
    }
    if page.operations.is_empty() {
        return print::out("Every operation was acknowledged.");
    }
    print::out(&(table(&page.operations).render(print::width()) + &rest(page.operations.len(), page.total)))
}

/// Lists what needs a person.
pub async fn parked(local: &Local, arguments: Arguments) -> Result<(), Failure> {
    let path = format!("/v1/parked?limit={}", arguments.limit);
    let page: ParkedPage = local.get("what is parked cannot be listed", &path).await?;
    if arguments.output.json {
        return print::out(&print::json(&page)?);
    }
    if page.parked.is_empty() {
        return print::out("Nothing needs a person.");
    }
    let text = parked_table(&page.parked).render(print::width());
    print::out(&(text + &rest(page.parked.len(), page.total) + "(when the reason is gone: casebridge retry ID)\n"))
}

/// Has it tried again.
pub async fn retry(local: &Local, arguments: RetryArguments) -> Result<(), Failure> {
    let what = match arguments.incident {
        Some(incident) => format!("incident {incident} is not tried again"),
        None => "nothing is tried again".to_owned(),
    };
    let request = RetryRequest { incident: arguments.incident, operator: who::operator() };
    let answer: RetryAnswer = local.post(&what, "/v1/retry", &request).await?;
    if arguments.output.json {
        return print::out(&print::json(&answer)?);
    }
    let exchanges = match answer.rearmed {
        0 => None,
        1 => Some("1 exchange is tried again.".to_owned()),
        more => Some(format!("{more} exchanges are tried again.")),
    };
    let files = match answer.files {
        0 => None,
        1 => Some("1 attachment is tried again.".to_owned()),
        more => Some(format!("{more} attachments are tried again.")),
    };
    let told: Vec<String> = exchanges.into_iter().chain(files).collect();
    print::out(&if told.is_empty() { "Nothing was parked.".to_owned() } else { told.join("\n") })
}

/// Operations that wait for a peer.
pub fn table(rows: &[OutboxRow]) -> Table {
    let mut table = Table::new(&[
        Column::new("INCIDENT", 8, 0),
        Column::new("PEER", 8, 2),
        Column::new("SEQ", 3, 5),
        Column::new("OPERATION", 9, 1),
        Column::new("QUEUED", 20, 3),
        Column::new("TRIES", 5, 7),
        Column::new("NEXT TRY", 20, 6),
        Column::new("LAST ERROR", 16, 4),
        Column::new("CHANGES", 16, 8),
    ]);
    for row in rows {
        table.row([
            row.incident.map(|incident| incident.to_string()),
            Some(row.peer.clone()),
            Some(row.seq.to_string()),
            Some(row.operation.clone()),
            Some(time(row.queued_at)),
            Some(row.attempts.to_string()),
            row.next_attempt.map(time),
            row.last_error.clone(),
            row.changes.clone(),
        ]);
    }
    table
}

fn parked_table(rows: &[ParkedRow]) -> Table {
    let now = Timestamp::now();
    let mut table = Table::new(&[
        Column::new("INCIDENT", 8, 0),
        Column::new("PEER", 8, 3),
        Column::new("SEQ", 3, 5),
        Column::new("OPERATION", 9, 2),
        Column::new("SINCE", 20, 4),
        Column::new("REASON", 24, 1),
    ]);
    for row in rows {
        table.row([
            row.incident.map(|incident| incident.to_string()),
            Some(row.peer.clone()),
            Some(row.seq.to_string()),
            Some(row.operation.clone()),
            Some(print::span(row.since, now)),
            Some(row.reason.clone()),
        ]);
    }
    table
}

/// Says so when there are more than are shown.
fn rest(shown: usize, total: u64) -> String {
    if total > shown as u64 { format!("({shown} of {total}; --limit shows more)\n") } else { String::new() }
}
