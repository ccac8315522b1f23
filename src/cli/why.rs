//! `why`: one plain answer, what an incident waits for.

use clap::Args;

use super::exit::Failure;
use super::local::Local;
use super::{Output, print};
use crate::protocol::WhyAnswer;

/// Of `why`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The number of the incident
    #[arg(value_name = "ID")]
    incident: i64,
    #[command(flatten)]
    output: Output,
}

/// Prints the answer.
pub async fn run(local: &Local, arguments: Arguments) -> Result<(), Failure> {
    let id = arguments.incident;
    let what = format!("what incident {id} waits for cannot be told");
    let answer: WhyAnswer = local.get(&what, &format!("/v1/incidents/{id}/why")).await?;
    if arguments.output.json {
        return print::out(&print::json(&answer)?);
    }
    print::out(&print::safe(&answer.line))
}
