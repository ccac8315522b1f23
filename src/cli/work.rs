//! `accept`, `override`, `update`, `resolve`, `close`, `reopen`, `cancel` and `reject`: a person's decisions on an
//! incident.

use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;
use serde::Serialize;

use super::contact::PersonArguments;
use super::exit::Failure;
use super::local::Local;
use super::{Output, submit, who};
use crate::case::CompletionCode;
use crate::protocol::operator::{AcceptRequest, OverrideRequest, WorkRequest};

/// Of `accept`.
#[derive(Debug, Args)]
pub struct AcceptArguments {
    #[command(flatten)]
    target: Target,
    /// The ID of the case, from your own ticket system; made from the template of the configuration when left out
    #[arg(long, value_name = "CASE")]
    case_id: Option<String>,
    /// Where people look at the case
    #[arg(long, value_name = "URL")]
    case_link: Option<String>,
    /// The status of the case, in your own words
    #[arg(long, value_name = "TEXT")]
    status: Option<String>,
    #[command(flatten)]
    contact: PersonArguments,
}

/// Of `override`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("shown").required(true).multiple(true)
    .args(["case_id", "case_link", "status", "clear"]))]
pub struct OverrideArguments {
    /// The number of the incident
    #[arg(value_name = "ID")]
    incident: i64,
    /// The ID that the client sees; the link goes with it
    #[arg(long, value_name = "CASE")]
    case_id: Option<String>,
    /// Where the client's people look at the case
    #[arg(long, value_name = "URL")]
    case_link: Option<String>,
    /// The status that the client sees
    #[arg(long, value_name = "TEXT")]
    status: Option<String>,
    /// Show what the site above says again
    #[arg(long, conflicts_with_all = ["case_id", "case_link", "status"])]
    clear: bool,
    #[command(flatten)]
    output: Output,
}

/// Of `update`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("news").required(true).multiple(true)
    .args(["status", "comment", "solution", "expected_resolution", "contact"]))]
pub struct UpdateArguments {
    #[command(flatten)]
    target: Target,
    /// The status of the case, in your own words
    #[arg(long, value_name = "TEXT")]
    status: Option<String>,
    /// What solves it, or will
    #[arg(long, value_name = "TEXT")]
    solution: Option<String>,
    /// When it will be resolved, for example 2026-11-25T12:00:00Z
    #[arg(long, value_name = "TIME")]
    expected_resolution: Option<Timestamp>,
    #[command(flatten)]
    contact: PersonArguments,
}

/// Of `resolve` and `close`.
#[derive(Debug, Args)]
pub struct EndArguments {
    #[command(flatten)]
    target: Target,
    /// What solved it
    #[arg(long, value_name = "TEXT")]
    solution: Option<String>,
    /// How it ended; "fulfilled" when left out
    #[arg(long, value_parser = PossibleValuesParser::new(CompletionCode::ALL.map(CompletionCode::as_str)))]
    code: Option<String>,
    /// The status of the case, in your own words
    #[arg(long, value_name = "TEXT")]
    status: Option<String>,
}

/// Of `reopen`, `cancel` and `reject`.
#[derive(Debug, Args)]
pub struct RemarkArguments {
    #[command(flatten)]
    target: Target,
}

/// What all decisions have.
#[derive(Debug, Args)]
struct Target {
    /// The number of the incident
    #[arg(value_name = "ID")]
    incident: i64,
    /// A remark, for both sites
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Opens a case for a client's incident.
pub async fn accept(local: &Local, arguments: AcceptArguments) -> Result<(), Failure> {
    let AcceptArguments { target, case_id, case_link, status, contact } = arguments;
    let (comment, contact) = (target.comment.clone(), contact.person());
    let request = AcceptRequest { case_id, case_link, status, contact, comment, operator: who::operator() };
    act(local, "accept", "accepted", &target, &request).await
}

/// Decides what the client sees of its case.
pub async fn overrule(local: &Local, arguments: OverrideArguments) -> Result<(), Failure> {
    let OverrideArguments { incident, case_id, case_link, status, clear, output } = arguments;
    let request = OverrideRequest { case_id, case_link, status, clear, operator: who::operator() };
    let what = format!("the case of incident {incident} is shown as before");
    let answer = local.post(&what, &format!("/v1/incidents/{incident}/override"), &request).await?;
    submit::done(&answer, output)
}

/// Tells news; at least one is given.
pub async fn update(local: &Local, arguments: UpdateArguments) -> Result<(), Failure> {
    let UpdateArguments { target, status, solution, expected_resolution, contact } = arguments;
    let request = WorkRequest { status, solution, expected_resolution, contact: contact.person(), ..target.request() };
    act(local, "update", "updated", &target, &request).await
}

/// Moves the incident to its review.
pub async fn resolve(local: &Local, arguments: EndArguments) -> Result<(), Failure> {
    end(local, "resolve", "resolved", arguments).await
}

/// Ends the work on the incident.
pub async fn close(local: &Local, arguments: EndArguments) -> Result<(), Failure> {
    end(local, "close", "closed", arguments).await
}

/// Opens the work on the incident again.
pub async fn reopen(local: &Local, arguments: RemarkArguments) -> Result<(), Failure> {
    remark(local, "reopen", "reopened", arguments).await
}

/// Withdraws what was submitted.
pub async fn cancel(local: &Local, arguments: RemarkArguments) -> Result<(), Failure> {
    remark(local, "cancel", "canceled", arguments).await
}

/// Gives the incident back to the client.
pub async fn reject(local: &Local, arguments: RemarkArguments) -> Result<(), Failure> {
    remark(local, "reject", "rejected", arguments).await
}

async fn remark(local: &Local, verb: &str, done: &str, arguments: RemarkArguments) -> Result<(), Failure> {
    let request = arguments.target.request();
    act(local, verb, done, &arguments.target, &request).await
}

async fn end(local: &Local, verb: &str, done: &str, arguments: EndArguments) -> Result<(), Failure> {
    let EndArguments { target, solution, code, status } = arguments;
    let request = WorkRequest { solution, completion_code: code, status, ..target.request() };
    act(local, verb, done, &target, &request).await
}

async fn act(local: &Local, verb: &str, done: &str, target: &Target, request: &impl Serialize) -> Result<(), Failure> {
    let what = format!("incident {} is not {done}", target.incident);
    let answer = local.post(&what, &format!("/v1/incidents/{}/{verb}", target.incident), request).await?;
    submit::done(&answer, target.output)
}

impl Target {
    fn request(&self) -> WorkRequest {
        WorkRequest { comment: self.comment.clone(), operator: who::operator(), ..WorkRequest::default() }
    }
}
