//! `party` and `mails`: who is told of a case, and what they were told.

use clap::{Args, Subcommand};

use super::exit::Failure;
use super::local::Local;
use super::print::{self, Column, Table, time};
use super::query;
use super::{Output, incidents, submit, who};
use crate::case::text::counted;
use crate::case::{Language, Party, Role};
use crate::protocol::operator::{ActionAnswer, RetryAnswer};
use crate::protocol::{MailPage, MailRetryRequest, MailsQuery, PartyPage, PartyRequest};

#[derive(Debug, Subcommand)]
pub enum PartyCommand {
    /// Add somebody, who is told by mail that the case is open
    #[command(after_help = super::examples::PARTY)]
    Add(AddArguments),
    /// List the people of a case
    List(ListArguments),
    /// Take somebody out of a case
    Remove(RemoveArguments),
}

#[derive(Debug, Args)]
pub struct AddArguments {
    /// The number of the incident
    #[arg(value_name = "ID")]
    incident: i64,
    /// The mail address
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// customer or integrator
    #[arg(long, value_name = "ROLE", default_value = "customer", value_parser = role)]
    role: Role,
    /// What the mails call them
    #[arg(long, value_name = "NAME", default_value = "")]
    name: String,
    /// en or fr; what is remembered for the address when left out
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<Language>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub struct ListArguments {
    /// The number of the incident
    #[arg(value_name = "ID")]
    incident: i64,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub struct RemoveArguments {
    /// The number of the incident
    #[arg(value_name = "ID")]
    incident: i64,
    /// The mail address
    #[arg(value_name = "ADDRESS")]
    address: String,
    #[command(flatten)]
    output: Output,
}

/// Of `mails`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct MailsArguments {
    #[command(subcommand)]
    command: Option<MailsCommand>,
    /// Of this incident alone
    #[arg(value_name = "ID")]
    incident: Option<i64>,
    /// waiting, sent, refused or withdrawn
    #[arg(long, value_name = "STATE", value_parser = ["waiting", "sent", "refused", "withdrawn"])]
    state: Option<String>,
    /// The most mails shown, 1 to 1000
    #[arg(long, value_name = "N", default_value = "100", value_parser = incidents::limit)]
    limit: usize,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum MailsCommand {
    /// Try mails again that were refused, when the reason is gone
    #[command(after_help = super::examples::MAILS_RETRY)]
    Retry(MailsRetryArguments),
}

#[derive(Debug, Args)]
struct MailsRetryArguments {
    /// The number of the mail
    #[arg(value_name = "MAIL", required_unless_present = "all", conflicts_with = "all")]
    mail: Option<i64>,
    /// All that were refused
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: Output,
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "it must be customer or integrator".to_owned())
}

pub async fn run(local: &Local, command: PartyCommand) -> Result<(), Failure> {
    match command {
        PartyCommand::Add(arguments) => add(local, arguments).await,
        PartyCommand::List(arguments) => list(local, arguments).await,
        PartyCommand::Remove(arguments) => remove(local, arguments).await,
    }
}

async fn add(local: &Local, arguments: AddArguments) -> Result<(), Failure> {
    let AddArguments { incident, address, role, name, language, output } = arguments;
    let request = PartyRequest { role: Some(role), name, address, language, operator: who::operator() };
    let path = format!("/v1/incidents/{incident}/parties");
    let party: Party = local.post("nobody is added", &path, &request).await?;
    if output.json {
        return print::out(&print::json(&party)?);
    }
    let (address, role) = (print::safe(party.address.as_str()), party.role.as_str());
    print::out(&format!("{address} is {role} of incident {incident} and reads {}", party.language))
}

async fn list(local: &Local, arguments: ListArguments) -> Result<(), Failure> {
    let path = format!("/v1/incidents/{}/parties", arguments.incident);
    let page: PartyPage = local.get("the people of the case cannot be listed", &path).await?;
    if arguments.output.json {
        return print::out(&print::json(&page)?);
    }
    if page.parties.is_empty() {
        return print::out("Nobody is told of this case by mail.");
    }
    let mut table = Table::new(&[
        Column::new("ROLE", 10, 1),
        Column::new("ADDRESS", 16, 0),
        Column::new("NAME", 12, 2),
        Column::new("LANGUAGE", 8, 3),
        Column::new("TOLD BY", 12, 4),
    ]);
    for party in page.parties {
        table.row([
            Some(party.role.as_str().to_owned()),
            Some(party.address.as_str().to_owned()),
            Some(party.name),
            Some(party.language.to_string()),
            Some(party.told_by.map_or_else(|| "this site".to_owned(), |site| site.to_string())),
        ]);
    }
    print::out(&table.render(print::width()))
}

async fn remove(local: &Local, arguments: RemoveArguments) -> Result<(), Failure> {
    let RemoveArguments { incident, address, output } = arguments;
    let request = PartyRequest { address, operator: who::operator(), ..PartyRequest::default() };
    let path = format!("/v1/incidents/{incident}/parties/remove");
    let answer: ActionAnswer = local.post("nobody is removed", &path, &request).await?;
    submit::done(&answer, output)
}

/// Lists mails, the newest first.
pub async fn mails(local: &Local, arguments: MailsArguments) -> Result<(), Failure> {
    if let Some(MailsCommand::Retry(arguments)) = arguments.command {
        return retry(local, arguments).await;
    }
    let query =
        MailsQuery { incident: arguments.incident, state: arguments.state.clone(), limit: Some(arguments.limit) };
    let page: MailPage = local.get("the mails cannot be listed", &query::address("/v1/mails", &query)?).await?;
    if arguments.output.json {
        return print::out(&print::json(&page)?);
    }
    if page.mails.is_empty() {
        return print::out("There are no such mails.");
    }
    let mut table = Table::new(&[
        Column::new("MAIL", 4, 0),
        Column::new("INCIDENT", 8, 1),
        Column::new("NOTICE", 12, 2),
        Column::new("ADDRESS", 16, 4),
        Column::new("STATE", 9, 3),
        Column::new("SINCE", 20, 5),
        Column::new("TRIES", 5, 8),
        Column::new("NEXT TRY", 20, 7),
        Column::new("LAST ERROR", 16, 6),
    ]);
    for mail in page.mails {
        table.row([
            Some(mail.mail.to_string()),
            mail.incident.map(|incident| incident.to_string()),
            Some(mail.notice),
            Some(mail.address),
            Some(mail.state),
            Some(time(mail.settled_at.unwrap_or(mail.made_at))),
            Some(mail.attempts.to_string()),
            mail.next_attempt.map(time),
            mail.last_error,
        ]);
    }
    print::out(&table.render(print::width()))
}

async fn retry(local: &Local, arguments: MailsRetryArguments) -> Result<(), Failure> {
    let request = MailRetryRequest { mail: arguments.mail, operator: who::operator() };
    let answer: RetryAnswer = local.post("nothing is tried again", "/v1/mails/retry", &request).await?;
    if arguments.output.json {
        return print::out(&print::json(&answer)?);
    }
    print::out(&format!("{} tried again", counted(answer.rearmed, "mail is", "mails are")))
}
