//! `reconcile` and `resync`: both sites are compared, and what drifted apart is repaired.

use clap::Args;

use super::exit::Failure;
use super::local::Local;
use super::print::{self, Column, Table};
use super::{Output, submit, who};
use crate::case::text::counted;
use crate::protocol::operator::ResyncRequest;
use crate::protocol::{DriftRow, ReconcileAnswer, ReconcileRequest};

/// Of `reconcile`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The number of the incident; all when left out
    #[arg(value_name = "ID")]
    incident: Option<i64>,
    /// Repair what differs, as the plan says
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    output: Output,
}

/// Of `resync`.
#[derive(Debug, Args)]
pub struct ResyncArguments {
    /// The number of the incident
    #[arg(value_name = "ID")]
    incident: i64,
    #[command(flatten)]
    output: Output,
}

/// Prints what differs and the plan, or what was repaired.
pub async fn run(local: &Local, arguments: Arguments) -> Result<(), Failure> {
    let Arguments { incident, apply, output } = arguments;
    let request = ReconcileRequest { incident, apply, operator: who::operator() };
    let answer: ReconcileAnswer = local.post("the sites cannot be compared", "/v1/reconcile", &request).await?;
    if output.json {
        return print::out(&print::json(&answer)?);
    }
    print::out(&shown(&answer, apply, print::width()))
}

/// Has one exchange settled anew.
pub async fn resync(local: &Local, arguments: ResyncArguments) -> Result<(), Failure> {
    let id = arguments.incident;
    let request = ResyncRequest { operator: who::operator() };
    let what = format!("incident {id} is not settled anew");
    let answer = local.post(&what, &format!("/v1/incidents/{id}/resync"), &request).await?;
    submit::done(&answer, arguments.output)
}

fn shown(answer: &ReconcileAnswer, apply: bool, width: Option<usize>) -> String {
    let mut text = match answer.differences.is_empty() {
        true => "Both sites agree.\n".to_owned(),
        false => table(&answer.differences).render(width),
    };
    text.push_str(&format!("({} compared", counted(answer.compared, "exchange", "exchanges")));
    if answer.in_motion > 0 {
        text.push_str(&format!(", {} in motion and left alone", answer.in_motion));
    }
    text.push_str(")\n");
    if answer.more {
        text.push_str("(stopped at the limit; there may be more: run it again)\n");
    }
    if !answer.differences.is_empty() && !apply {
        text.push_str("(nothing was changed; to repair: casebridge reconcile --apply)\n");
    }
    text
}

fn table(rows: &[DriftRow]) -> Table {
    let mut table = Table::new(&[
        Column::new("INCIDENT", 8, 0),
        Column::new("FIELD", 8, 1),
        Column::new("HERE", 12, 3),
        Column::new("THERE", 12, 4),
        Column::new("REPAIR", 16, 2),
        Column::new("DONE", 4, 5),
    ]);
    for row in rows {
        table.row([
            Some(row.incident.map_or_else(|| row.exchange.to_string(), |incident| incident.to_string())),
            Some(row.field.clone()),
            row.here.clone(),
            row.there.clone(),
            Some(row.repair.clone()),
            row.repaired.then(|| "yes".to_owned()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::ExchangeId;

    fn drift() -> DriftRow {
        DriftRow {
            incident: Some(7),
            exchange: ExchangeId::from_bytes([1; 16]),
            field: "solution".into(),
            here: None,
            there: Some("Reseated\u{1b}[2J".into()),
            repair: "take the peer's value".into(),
            repaired: false,
        }
    }

    #[test]
    fn what_differs_is_shown_with_the_plan() {
        let answer = ReconcileAnswer { compared: 9, in_motion: 2, differences: vec![drift()], more: true };
        let text = shown(&answer, false, None);
        for part in ["solution", "take the peer's value", "9 exchanges", "2 in motion", "--apply", "run it again"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
        let done = ReconcileAnswer { differences: vec![DriftRow { repaired: true, ..drift() }], ..answer };
        let text = shown(&done, true, None);
        assert!(text.contains("yes") && !text.contains("--apply"), "{text}");
        assert!(shown(&ReconcileAnswer::default(), false, None).starts_with("Both sites agree."));
    }
}
