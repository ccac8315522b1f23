//! `submit`: hands an incident to the site above, or keeps the form for later.

use clap::Args;

use super::exit::Failure;
use super::local::Local;
use super::{Output, print, who};
use crate::case::{FollowUp, Form, MailAddress, Priority};
use crate::protocol::operator::{ActionAnswer, SubmitRequest};

/// Of `submit`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The number of the incident
    #[arg(value_name = "ID")]
    incident: i64,
    /// "1 - Critical", "2 - High", "3 - Medium" or "4 - Low"
    #[arg(long)]
    priority: Option<Priority>,
    /// "Email Full Text Update", "Email Secure Web Link" or "Phone Call"
    #[arg(long, value_name = "METHOD")]
    follow_up: Option<FollowUp>,
    /// Mail addresses that are kept informed, separated by commas; at most 50
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    cc: Vec<MailAddress>,
    /// Your own number for this incident; at most 64 bytes
    #[arg(long, value_name = "NUMBER")]
    tracking_number: Option<String>,
    /// Your site as the site above knows it; at most 64 bytes
    #[arg(long, value_name = "SITE")]
    site_id: Option<String>,
    /// What you want to add
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Keep the form for later and send nothing
    #[arg(long)]
    save_draft: bool,
    #[command(flatten)]
    output: Output,
}

/// Submits, or saves the draft.
pub async fn run(local: &Local, arguments: Arguments) -> Result<(), Failure> {
    let Arguments { incident, output, .. } = arguments;
    let (verb, what) = match arguments.save_draft {
        true => ("draft", format!("the draft of incident {incident} is not saved")),
        false => ("submit", format!("incident {incident} is not submitted")),
    };
    let form = Form {
        priority: arguments.priority,
        follow_up: arguments.follow_up,
        cc: arguments.cc,
        tracking_number: arguments.tracking_number,
        site_id: arguments.site_id,
        comment: arguments.comment,
        link: None,
    };
    let request = SubmitRequest { form, operator: who::operator() };
    let answer: ActionAnswer = local.post(&what, &format!("/v1/incidents/{incident}/{verb}"), &request).await?;
    done(&answer, output)
}

/// Prints what an action did.
pub fn done(answer: &ActionAnswer, output: Output) -> Result<(), Failure> {
    if output.json { print::out(&print::json(answer)?) } else { print::out(&print::safe(&answer.message)) }
}
