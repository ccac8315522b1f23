//! `assign`, `take`, `pause`, `resume` and `comment`: who has a case in hand, and what people say about it.

use clap::Args;
use serde::Serialize;
use uuid::Uuid;

use super::exit::Failure;
use super::local::Local;
use super::{Output, submit, who};
use crate::protocol::operator::{ActiveRequest, AssignRequest, CommentEditRequest, CommentRequest, TakeRequest};

/// Of `assign`.
#[derive(Debug, Args)]
pub struct AssignArguments {
    #[command(flatten)]
    target: Target,
    /// A group of your own, one of another site's (see `exchange.group` in the configuration), or the alias of that site
    #[arg(value_name = "GROUP")]
    group: String,
    /// A remark, for both sites
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

/// Of `take`.
#[derive(Debug, Args)]
pub struct TakeArguments {
    #[command(flatten)]
    target: Target,
    /// A remark, for both sites
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

/// Of `pause` and `resume`.
#[derive(Debug, Args)]
pub struct ActiveArguments {
    #[command(flatten)]
    target: Target,
}

/// Of `comment`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["text", "delete"]))]
pub struct CommentArguments {
    #[command(flatten)]
    target: Target,
    /// What you want to say
    #[arg(value_name = "TEXT", conflicts_with = "delete")]
    text: Option<String>,
    /// For the people of this site only
    #[arg(long)]
    internal: bool,
    /// The language of the text, for example fr
    #[arg(long, value_name = "TAG", conflicts_with_all = ["edit", "delete"])]
    language: Option<String>,
    /// Change this comment, which was written here
    #[arg(long, value_name = "COMMENT", conflicts_with = "delete")]
    edit: Option<Uuid>,
    /// Take this comment back, which was written here
    #[arg(long, value_name = "COMMENT")]
    delete: Option<Uuid>,
}

#[derive(Debug, Args)]
struct Target {
    /// The number of the incident
    #[arg(value_name = "ID")]
    incident: i64,
    #[command(flatten)]
    output: Output,
}

/// Hands a case over, or assigns it within the site.
pub async fn assign(local: &Local, arguments: AssignArguments) -> Result<(), Failure> {
    let AssignArguments { target, group, comment } = arguments;
    let request = AssignRequest { group, comment, operator: who::operator() };
    act(local, "assign", "assigned", &target, &request).await
}

/// Takes a case back.
pub async fn take(local: &Local, arguments: TakeArguments) -> Result<(), Failure> {
    let request = TakeRequest { comment: arguments.comment, operator: who::operator() };
    act(local, "take", "taken back", &arguments.target, &request).await
}

/// Stops the exchange of an incident.
pub async fn pause(local: &Local, arguments: ActiveArguments) -> Result<(), Failure> {
    let request = ActiveRequest { active: false, operator: who::operator() };
    act(local, "active", "paused", &arguments.target, &request).await
}

/// Lets the exchange of an incident go on.
pub async fn resume(local: &Local, arguments: ActiveArguments) -> Result<(), Failure> {
    let request = ActiveRequest { active: true, operator: who::operator() };
    act(local, "active", "resumed", &arguments.target, &request).await
}

/// Adds, changes or deletes a comment.
pub async fn comment(local: &Local, arguments: CommentArguments) -> Result<(), Failure> {
    let CommentArguments { target, text, internal, language, edit, delete } = arguments;
    let operator = who::operator();
    match edit.or(delete) {
        Some(comment) => {
            let request =
                CommentEditRequest { text, internal: internal.then_some(true), deleted: delete.is_some(), operator };
            act(local, &format!("comments/{comment}"), "changed", &target, &request).await
        }
        None => {
            let request = CommentRequest { text: text.unwrap_or_default(), internal, language, operator };
            act(local, "comments", "commented", &target, &request).await
        }
    }
}

async fn act(local: &Local, verb: &str, done: &str, target: &Target, request: &impl Serialize) -> Result<(), Failure> {
    let what = format!("incident {} is not {done}", target.incident);
    let answer = local.post(&what, &format!("/v1/incidents/{}/{verb}", target.incident), request).await?;
    submit::done(&answer, target.output)
}
