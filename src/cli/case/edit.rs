//! `create`, `edit`, `comment`, `tag`, `milestone` and `relate`: what is said of a case.

use clap::Args;
use uuid::Uuid;

use super::{CaseAnswer, Failure, Local, Method, Output, Target, Told, encoded, who};
use crate::case::{CaseTypeName, GroupName, InitiatorType, Percent, Priority, Tag, UserName};
use crate::protocol::cases::{
    Acting, CaseCommentRequest, CommentAnswer, CreateCase, EditCase, MilestoneRequest, RelationRequest, TagRequest,
};

/// Of `create`.
#[derive(Debug, Args)]
pub struct CreateArguments {
    /// The title, in one line
    #[arg(long, value_name = "TEXT")]
    details: String,
    /// The body
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    /// "1 - Critical", "2 - High", "3 - Medium" or "4 - Low"
    #[arg(long)]
    priority: Option<Priority>,
    /// The case type, as the configuration names it
    #[arg(long = "type", value_name = "NAME")]
    case_type: Option<CaseTypeName>,
    /// Who asks for it; you when left out
    #[arg(long, value_name = "USER")]
    initiator: Option<UserName>,
    /// The initiator is a customer, and no user
    #[arg(long, requires = "initiator")]
    customer: bool,
    /// The initiator's first name
    #[arg(long, value_name = "NAME")]
    first_name: Option<String>,
    /// The initiator's last name
    #[arg(long, value_name = "NAME")]
    last_name: Option<String>,
    /// Assign it to this user; may be given more than once
    #[arg(long = "user", value_name = "USER")]
    users: Vec<UserName>,
    /// Assign it to this group of people; may be given more than once
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<GroupName>,
    /// May be given more than once
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<Tag>,
    /// May be given more than once
    #[arg(long = "watcher", value_name = "USER")]
    watchers: Vec<UserName>,
    /// Where it is
    #[arg(long, value_name = "NAME")]
    location: Option<String>,
    /// Your own code of the place
    #[arg(long, value_name = "CODE")]
    location_code: Option<String>,
    /// The device group that it belongs to
    #[arg(long, value_name = "GROUP")]
    device_group: Option<String>,
    /// The name of the device
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Its serial number
    #[arg(long, value_name = "NUMBER")]
    serial: Option<String>,
    /// Submit it to the site above at once
    #[arg(long)]
    submit: bool,
    #[command(flatten)]
    output: Output,
}

/// Of `edit`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("news").required(true).multiple(true).args([
    "details", "description", "priority", "case_type", "initiator", "location", "location_id", "location_code",
    "completed", "resolution", "active",
]))]
pub struct EditArguments {
    #[command(flatten)]
    target: Target,
    /// The title, in one line
    #[arg(long, value_name = "TEXT")]
    details: Option<String>,
    /// The body
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// "1 - Critical", "2 - High", "3 - Medium" or "4 - Low"
    #[arg(long)]
    priority: Option<Priority>,
    /// The case type, as the configuration names it
    #[arg(long = "type", value_name = "NAME")]
    case_type: Option<CaseTypeName>,
    /// Who asks for it
    #[arg(long, value_name = "USER")]
    initiator: Option<UserName>,
    /// Where it is
    #[arg(long, value_name = "NAME")]
    location: Option<String>,
    /// The GUID of the place
    #[arg(long, value_name = "GUID")]
    location_id: Option<Uuid>,
    /// Your own code of the place
    #[arg(long, value_name = "CODE")]
    location_code: Option<String>,
    /// How far the work has come, in percent
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    completed: Option<Percent>,
    /// What solves it
    #[arg(long, value_name = "TEXT")]
    resolution: Option<String>,
    /// Bring back what was deleted from the lists
    #[arg(long)]
    active: bool,
}

fn percent(text: &str) -> Result<Percent, String> {
    let number = text.parse::<i64>().map_err(|_| "must be a number from 0 to 100".to_owned())?;
    Percent::try_from(number).map_err(|fault| fault.to_string())
}

/// Of `comment`.
#[derive(Debug, Args)]
pub struct CommentArguments {
    #[command(flatten)]
    target: Target,
    /// What you want to say
    #[arg(value_name = "TEXT")]
    text: String,
    /// Say it as the one who asked for the case
    #[arg(long, conflicts_with = "internal")]
    initiator: bool,
    /// For the people of this site only
    #[arg(long)]
    internal: bool,
    /// The language of the text, for example fr
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
}

/// Of `tag`.
#[derive(Debug, Args)]
pub struct TagArguments {
    #[command(flatten)]
    target: Target,
    #[arg(value_name = "TAG")]
    tag: Tag,
    /// Take it away
    #[arg(long)]
    remove: bool,
}

/// Of `milestone`.
#[derive(Debug, Args)]
pub struct MilestoneArguments {
    #[command(flatten)]
    target: Target,
    /// What the case has come to, for example "Technician on site"
    #[arg(value_name = "NAME")]
    name: String,
}

/// Of `relate`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["to", "none"]))]
pub struct RelateArguments {
    #[command(flatten)]
    target: Target,
    /// The case that it came from
    #[arg(value_name = "OTHER")]
    to: Option<String>,
    /// It came from no other case
    #[arg(long)]
    none: bool,
}

pub async fn create(local: &Local, arguments: CreateArguments) -> Result<(), Failure> {
    let request = CreateCase {
        details: arguments.details,
        description: arguments.description,
        kind: None,
        priority: arguments.priority,
        case_type_name: arguments.case_type,
        initiator_id: arguments.initiator,
        initiator_type: arguments.customer.then_some(InitiatorType::Customer),
        first_name: arguments.first_name,
        last_name: arguments.last_name,
        assigned_to_users: arguments.users,
        assigned_to_groups: arguments.groups,
        tags: arguments.tags,
        watchers: arguments.watchers,
        location: arguments.location,
        location_id: None,
        location_code: arguments.location_code,
        device_group: arguments.device_group,
        device: arguments.device,
        serial: arguments.serial,
        comment: None,
        submit: arguments.submit,
        operator: who::operator(),
    };
    let answer: Told<CaseAnswer> = local.post("no case is created", "/v1/cases", &request).await?;
    let CaseAnswer { display_id, number, .. } = &answer.data;
    answer.print(arguments.output, &format!("case {display_id} is created, as incident {number}"))
}

pub async fn edit(local: &Local, arguments: EditArguments) -> Result<(), Failure> {
    let request = EditCase {
        details: arguments.details,
        description: arguments.description,
        priority: arguments.priority,
        case_type_name: arguments.case_type.map(Some),
        initiator_id: arguments.initiator,
        location: arguments.location.map(Some),
        location_id: arguments.location_id.map(Some),
        location_code: arguments.location_code.map(Some),
        completed_percent: arguments.completed,
        resolution: arguments.resolution,
        active: arguments.active.then_some(true),
        operator: who::operator(),
        ..EditCase::default()
    };
    arguments.target.change(local, Method::PATCH, "", &request, "changed").await
}

pub async fn comment(local: &Local, arguments: CommentArguments) -> Result<(), Failure> {
    let CommentArguments { target, text, initiator, internal, language } = arguments;
    let request = CaseCommentRequest { text, internal, language, operator: who::operator() };
    let path = target.path(if initiator { "/initiator-comments" } else { "/comments" });
    let what = format!("case {} is not commented on", target.case);
    let answer: Told<CommentAnswer> =
        local.ask(&what, Method::POST, &path, |builder| target.conditional(builder).json(&request)).await?;
    let CommentAnswer { case, comment } = &answer.data;
    let words = format!("case {} is commented on, as {comment}; it is {}", case.display_id, case.state.label());
    answer.print(target.output, &words)
}

pub async fn tag(local: &Local, arguments: TagArguments) -> Result<(), Failure> {
    let TagArguments { target, tag, remove } = arguments;
    if remove {
        let rest = format!("/tags/{}", encoded(tag.as_str()));
        return target.change(local, Method::DELETE, &rest, &Acting::default(), "untagged").await;
    }
    let request = TagRequest { tag, operator: who::operator() };
    target.change(local, Method::POST, "/tags", &request, "tagged").await
}

pub async fn milestone(local: &Local, arguments: MilestoneArguments) -> Result<(), Failure> {
    let request = MilestoneRequest { name: arguments.name, operator: who::operator() };
    arguments.target.change(local, Method::POST, "/milestones", &request, "noted to have come there").await
}

pub async fn relate(local: &Local, arguments: RelateArguments) -> Result<(), Failure> {
    let request = RelationRequest { case: arguments.to, operator: who::operator() };
    arguments.target.change(local, Method::PUT, "/relation", &request, "related").await
}
