//! The ten actions, and `delete`.

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::{Failure, Local, Method, Target, who};
use crate::case::CompletionCode;
use crate::protocol::cases::{Acting, ActionRequest};

/// Of an action.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// A remark, for both sites
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

/// Of `resolve` and `complete`.
#[derive(Debug, Args)]
pub struct EndArguments {
    #[command(flatten)]
    action: Arguments,
    /// What solved it
    #[arg(long, value_name = "TEXT")]
    resolution: Option<String>,
    /// How it ended; "fulfilled" when left out
    #[arg(long, value_parser = PossibleValuesParser::new(CompletionCode::ALL.map(CompletionCode::as_str)))]
    code: Option<String>,
}

/// Of a verb that takes nothing more.
#[derive(Debug, Args)]
pub struct BareArguments {
    #[command(flatten)]
    target: Target,
}

pub async fn act(local: &Local, action: &str, arguments: Arguments) -> Result<(), Failure> {
    let request = ActionRequest { comment: arguments.comment, operator: who::operator(), ..ActionRequest::default() };
    post(local, action, &arguments.target, &request).await
}

pub async fn end(local: &Local, action: &str, arguments: EndArguments) -> Result<(), Failure> {
    let EndArguments { action: Arguments { target, comment }, resolution, code } = arguments;
    let request = ActionRequest { comment, resolution, completion_code: code, operator: who::operator() };
    post(local, action, &target, &request).await
}

async fn post(local: &Local, action: &str, target: &Target, request: &ActionRequest) -> Result<(), Failure> {
    let done = match action {
        "claim" => "claimed",
        "unclaim" => "unclaimed",
        _ => "moved",
    };
    target.change(local, Method::POST, &format!("/{action}"), request, done).await
}

/// Takes a case from the lists.
pub async fn delete(local: &Local, BareArguments { target }: BareArguments) -> Result<(), Failure> {
    target.change(local, Method::DELETE, "", &Acting::default(), "deleted from the lists").await
}
