//! `submit`: hands an incident to the site above, or keeps the form for later. `escalate` does the same for a client's.

use clap::Args;

use super::contact::PersonArguments;
use super::exit::Failure;
use super::local::Local;
use super::{Output, print, who};
use crate::case::{ContactAddress, FollowUp, Form, MailAddress, Priority};
use crate::protocol::operator::{ActionAnswer, SubmitRequest};

/// Of `submit`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    handover: Handover,
    /// Keep the form for later and send nothing
    #[arg(long)]
    save_draft: bool,
}

/// Of `escalate`, and the most of `submit`.
#[derive(Debug, Args)]
pub struct Handover {
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
    /// The address of the person at the site above whom it is for
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<ContactAddress>,
    #[command(flatten)]
    contact: PersonArguments,
    #[command(flatten)]
    output: Output,
}

/// Submits, or saves the draft.
pub async fn run(local: &Local, arguments: Arguments) -> Result<(), Failure> {
    let Arguments { handover, save_draft } = arguments;
    match save_draft {
        true => {
            let what = format!("the draft of incident {} is not saved", handover.incident);
            hand(local, "draft", &what, handover).await
        }
        false => {
            let what = format!("incident {} is not submitted", handover.incident);
            hand(local, "submit", &what, handover).await
        }
    }
}

/// Hands a client's incident on.
pub async fn escalate(local: &Local, handover: Handover) -> Result<(), Failure> {
    let what = format!("incident {} is not escalated", handover.incident);
    hand(local, "escalate", &what, handover).await
}

async fn hand(local: &Local, verb: &str, what: &str, handover: Handover) -> Result<(), Failure> {
    let Handover { incident, output, .. } = handover;
    let form = Form {
        priority: handover.priority,
        follow_up: handover.follow_up,
        cc: handover.cc,
        tracking_number: handover.tracking_number,
        site_id: handover.site_id,
        comment: handover.comment,
        contact: handover.contact.person(),
        recipient: handover.recipient,
        link: None,
    };
    let request = SubmitRequest { form, operator: who::operator() };
    let answer: ActionAnswer = local.post(what, &format!("/v1/incidents/{incident}/{verb}"), &request).await?;
    done(&answer, output)
}

/// Prints what an action did.
pub fn done(answer: &ActionAnswer, output: Output) -> Result<(), Failure> {
    if output.json { print::out(&print::json(answer)?) } else { print::out(&print::safe(&answer.message)) }
}
