//! `link`: an incident belongs to a case that the site above has already.

use clap::Args;

use super::exit::Failure;
use super::local::Local;
use super::{Output, submit, who};
use crate::case::{CaseId, LinkTo, TransactionId};
use crate::protocol::operator::LinkRequest;

/// Of `link`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("to").required(true).args(["transaction", "case_id"]))]
pub struct Arguments {
    /// The number of the incident
    #[arg(value_name = "ID")]
    incident: i64,
    /// The number of the incident at the site above
    #[arg(long, value_name = "NUMBER")]
    transaction: Option<TransactionId>,
    /// The ID of the case
    #[arg(long, value_name = "CASE")]
    case_id: Option<CaseId>,
    #[command(flatten)]
    output: Output,
}

/// Links it; whether there is such a case is told by `why` and `show`.
pub async fn run(local: &Local, arguments: Arguments) -> Result<(), Failure> {
    let Arguments { incident, transaction, case_id, output } = arguments;
    let to = transaction.map(LinkTo::Transaction).or(case_id.map(LinkTo::CaseId));
    let request = LinkRequest { to, operator: who::operator() };
    let what = format!("incident {incident} is not linked");
    let answer = local.post(&what, &format!("/v1/incidents/{incident}/link"), &request).await?;
    submit::done(&answer, output)
}
