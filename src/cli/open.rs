//! `open`: a case without an incident.

use clap::Args;
use jiff::Timestamp;

use super::exit::Failure;
use super::local::Local;
use super::{Output, submit, who};
use crate::case::Priority;
use crate::protocol::operator::OpenRequest;

/// Of `open`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What it is about, in one line
    #[arg(long, value_name = "TEXT")]
    synopsis: String,
    /// All there is to say
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    /// The name of the device
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Its serial number
    #[arg(long, value_name = "NUMBER")]
    serial: Option<String>,
    /// "1 - Critical", "2 - High", "3 - Medium" or "4 - Low"
    #[arg(long)]
    priority: Option<Priority>,
    /// The kind of case; "on_demand" when left out
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// What you want to add
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// When it should be done, for example 2026-11-25T12:00:00Z
    #[arg(long, value_name = "TIME")]
    due: Option<Timestamp>,
    /// Submit it to the site above at once
    #[arg(long)]
    submit: bool,
    #[command(flatten)]
    output: Output,
}

/// Opens it; its number is told.
pub async fn run(local: &Local, arguments: Arguments) -> Result<(), Failure> {
    let request = OpenRequest {
        synopsis: arguments.synopsis,
        description: arguments.description,
        kind: arguments.kind,
        priority: arguments.priority,
        device: arguments.device,
        serial: arguments.serial,
        comment: arguments.comment,
        due: arguments.due,
        submit: arguments.submit,
        operator: who::operator(),
    };
    let answer = local.post("no incident is opened", "/v1/incidents", &request).await?;
    submit::done(&answer, arguments.output)
}
