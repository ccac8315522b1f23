//! `assign`, `watch`, `owner` and `flag`: whose affair a case is.

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::{Failure, Local, Method, Target, encoded, who};
use crate::case::{GroupName, OwnerStatus, UserName};
use crate::protocol::cases::{Acting, AssignmentRequest, FlagRequest, OwnerRequest};

/// Of `assign`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("whom").required(true).multiple(true).args(["users", "groups", "nobody"]))]
pub struct AssignArguments {
    #[command(flatten)]
    target: Target,
    /// May be given more than once
    #[arg(long = "user", value_name = "USER")]
    users: Vec<UserName>,
    /// A group of people; may be given more than once
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<GroupName>,
    /// To nobody
    #[arg(long, conflicts_with_all = ["users", "groups"])]
    nobody: bool,
}

/// Of `watch`.
#[derive(Debug, Args)]
pub struct WatchArguments {
    #[command(flatten)]
    target: Target,
    /// Who watches it; you when left out
    #[arg(value_name = "USER")]
    user: Option<UserName>,
    /// No longer
    #[arg(long)]
    stop: bool,
}

/// Of `owner`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("whom").required(true).args(["user", "nobody"]))]
pub struct OwnerArguments {
    #[command(flatten)]
    target: Target,
    #[arg(value_name = "USER")]
    user: Option<UserName>,
    /// How the work stands for them
    #[arg(long, requires = "user", value_parser = PossibleValuesParser::new(OwnerStatus::ALL.map(OwnerStatus::as_str)))]
    status: Option<String>,
    /// Nobody answers for it
    #[arg(long)]
    nobody: bool,
}

/// Of `flag`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("whom").required(true).args(["users", "clear"]))]
pub struct FlagArguments {
    #[command(flatten)]
    target: Target,
    /// Who is to look at it
    #[arg(value_name = "USER")]
    users: Vec<UserName>,
    /// Nobody has to
    #[arg(long)]
    clear: bool,
}

pub async fn assign(local: &Local, arguments: AssignArguments) -> Result<(), Failure> {
    let AssignArguments { target, users, groups, .. } = arguments;
    let request = AssignmentRequest { users, groups, operator: who::operator() };
    target.change(local, Method::PUT, "/assignment", &request, "assigned").await
}

pub async fn watch(local: &Local, arguments: WatchArguments) -> Result<(), Failure> {
    let WatchArguments { target, user, stop } = arguments;
    let user = user.map_or_else(who::operator, |user| user.to_string());
    let (method, done) = if stop { (Method::DELETE, "no longer watched") } else { (Method::PUT, "watched") };
    target.change(local, method, &format!("/watchers/{}", encoded(&user)), &Acting::default(), done).await
}

pub async fn owner(local: &Local, arguments: OwnerArguments) -> Result<(), Failure> {
    let OwnerArguments { target, user, status, .. } = arguments;
    let status = status.and_then(|status| status.parse().ok());
    let request = OwnerRequest { user, status, operator: who::operator() };
    target.change(local, Method::PUT, "/owner", &request, "given its owner").await
}

pub async fn flag(local: &Local, arguments: FlagArguments) -> Result<(), Failure> {
    let FlagArguments { target, users, .. } = arguments;
    let request = FlagRequest { users: Some(users), read: false, operator: who::operator() };
    target.change(local, Method::PUT, "/flags", &request, "flagged").await
}
