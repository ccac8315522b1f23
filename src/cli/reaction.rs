//! `reaction`: what the site does when something happens.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;

use super::exit::{Exit, Failure};
use super::local::Local;
use super::print::{self, Column, Table, time};
use super::{Output, incidents, who};
use crate::case::{IncidentId, Owned, Reaction, ReactionChange};
use crate::protocol::operator::RetryAnswer;
use crate::protocol::reaction::{ReactionAnswer, ReactionPage, ReactionRequest, ReactionRetryRequest, RunRow, RunRows};

/// The largest file with reactions, in bytes; what the daemon takes.
const FILE_LIMIT: u64 = 1 << 20;

#[derive(Debug, Subcommand)]
pub enum ReactionCommand {
    /// List the reactions in their order
    List(Output),
    /// Add a reaction from a JSON file
    #[command(after_help = super::examples::REACTION)]
    Add(AddArguments),
    /// Change a reaction into what a JSON file says
    Edit(EditArguments),
    /// Copy a reaction; the copy is disabled at first and keeps its trigger
    Copy(CopyArguments),
    /// Let a reaction act
    Enable(OneArguments),
    /// Keep a reaction from acting
    Disable(OneArguments),
    /// Delete a reaction
    Delete(OneArguments),
    /// Move a reaction to another place in the order
    Move(MoveArguments),
    /// Add the reactions of a JSON file, in its order
    Import(FileArguments),
    /// Print reactions as JSON, for `import`
    Export(ExportArguments),
    /// What reactions led to, and has failed or was given up
    Runs(RunsArguments),
    /// Try again what was given up
    Retry(RetryArguments),
}

#[derive(Debug, Args)]
pub struct AddArguments {
    #[command(flatten)]
    source: FileArguments,
    /// For these incidents only, by number; may be repeated
    #[arg(long = "incident", value_name = "ID")]
    incidents: Vec<i64>,
}

#[derive(Debug, Args)]
pub struct FileArguments {
    /// A JSON file; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Whose it is to be; yours when left out
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub struct EditArguments {
    /// The number of the reaction
    #[arg(value_name = "ID")]
    id: i64,
    /// A JSON file; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub struct CopyArguments {
    /// The number of the reaction
    #[arg(value_name = "ID")]
    id: i64,
    /// The name of the copy
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub struct OneArguments {
    /// The number of the reaction
    #[arg(value_name = "ID")]
    id: i64,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub struct MoveArguments {
    /// The number of the reaction
    #[arg(value_name = "ID")]
    id: i64,
    /// Its new place, from 1
    #[arg(value_name = "PLACE", value_parser = clap::value_parser!(u32).range(1..))]
    to: u32,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub struct ExportArguments {
    /// Whose reactions; yours when left out
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
}

#[derive(Debug, Args)]
pub struct RunsArguments {
    /// The most that are shown, 1 to 1000
    #[arg(long, value_name = "N", default_value = "100", value_parser = incidents::limit)]
    limit: usize,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["id", "all"]))]
pub struct RetryArguments {
    /// The number of the reaction
    #[arg(value_name = "ID")]
    id: Option<i64>,
    /// Of all reactions
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: Output,
}

pub async fn run(local: &Local, command: ReactionCommand) -> Result<(), Failure> {
    match command {
        ReactionCommand::List(output) => list(local, output).await,
        ReactionCommand::Add(AddArguments { source, incidents }) => {
            let mut reaction: Reaction = read(&source.file)?;
            if !incidents.is_empty() {
                reaction.scope.incidents = incidents.into_iter().map(IncidentId).collect();
            }
            change(local, ReactionChange::Add { reaction }, source.owner, "added", source.output).await
        }
        ReactionCommand::Edit(EditArguments { id, file, output }) => {
            change(local, ReactionChange::Edit { id, reaction: read(&file)? }, None, "changed", output).await
        }
        ReactionCommand::Copy(CopyArguments { id, name, output }) => {
            change(local, ReactionChange::Copy { id, name }, None, "made as a copy", output).await
        }
        ReactionCommand::Enable(one) => {
            change(local, ReactionChange::Enable { id: one.id }, None, "enabled", one.output).await
        }
        ReactionCommand::Disable(one) => {
            change(local, ReactionChange::Disable { id: one.id }, None, "disabled", one.output).await
        }
        ReactionCommand::Delete(one) => {
            change(local, ReactionChange::Delete { id: one.id }, None, "deleted", one.output).await
        }
        ReactionCommand::Move(MoveArguments { id, to, output }) => {
            change(local, ReactionChange::Move { id, to }, None, "moved", output).await
        }
        ReactionCommand::Import(FileArguments { file, owner, output }) => {
            change(local, ReactionChange::Import { reactions: read(&file)? }, owner, "imported", output).await
        }
        ReactionCommand::Export(arguments) => export(local, arguments.owner).await,
        ReactionCommand::Runs(arguments) => runs(local, arguments).await,
        ReactionCommand::Retry(arguments) => retry(local, arguments).await,
    }
}

async fn change(
    local: &Local,
    change: ReactionChange,
    owner: Option<String>,
    done: &str,
    output: Output,
) -> Result<(), Failure> {
    let request = ReactionRequest { change, owner, operator: who::operator() };
    let what = format!("nothing is {done}");
    let answer: ReactionAnswer = local.post(&what, "/v1/reactions", &request).await?;
    if output.json {
        return print::out(&print::json(&answer)?);
    }
    print::out(&match answer.id {
        Some(id) => format!("reaction {id} is {done}"),
        None => format!("the reactions are {done}; there are {} now", answer.count),
    })
}

async fn page(local: &Local) -> Result<ReactionPage, Failure> {
    local.get("the reactions cannot be listed", "/v1/reactions").await
}

async fn list(local: &Local, output: Output) -> Result<(), Failure> {
    let page = page(local).await?;
    if output.json {
        return print::out(&print::json(&page)?);
    }
    if page.reactions.is_empty() {
        return print::out("no reactions; `casebridge reaction add FILE` adds one");
    }
    let mut table = Table::new(&[
        Column::new("ID", 4, 0),
        Column::new("OWNER", 8, 4),
        Column::new("NAME", 16, 1),
        Column::new("ON", 3, 2),
        Column::new("TRIGGER", 21, 3),
        Column::new("TARGETS", 16, 5),
    ]);
    for Owned { id, owner, reaction, .. } in page.reactions {
        let targets: Vec<&str> = reaction.actions.iter().map(|deed| deed.target.as_str()).collect();
        table.row([
            Some(id.to_string()),
            Some(owner),
            Some(reaction.name),
            Some(if reaction.enabled { "yes" } else { "no" }.to_owned()),
            Some(reaction.trigger.as_str().to_owned()),
            Some(targets.join(", ")),
        ]);
    }
    print::out(&table.render(print::width()))
}

async fn export(local: &Local, owner: Option<String>) -> Result<(), Failure> {
    let owner = owner.unwrap_or_else(who::operator);
    let page = page(local).await?;
    let own = page.reactions.into_iter().filter(|one| one.owner == owner);
    print::out(&print::json(&own.map(|one| one.reaction).collect::<Vec<_>>())?)
}

async fn runs(local: &Local, arguments: RunsArguments) -> Result<(), Failure> {
    let path = format!("/v1/reactions/runs?limit={}", arguments.limit);
    let rows: RunRows = local.get("what reactions led to cannot be listed", &path).await?;
    if arguments.output.json {
        return print::out(&print::json(&rows)?);
    }
    let mut table = Table::new(&[
        Column::new("REACTION", 8, 2),
        Column::new("TARGET", 10, 1),
        Column::new("INCIDENT", 8, 0),
        Column::new("SINCE", 20, 5),
        Column::new("TRIES", 5, 6),
        Column::new("NEXT TRY", 20, 4),
        Column::new("LAST ERROR", 24, 3),
    ]);
    for RunRow { name, target, incident, queued_at, attempts, next_attempt, last_error, .. } in rows.runs {
        table.row([
            Some(name),
            Some(target),
            Some(incident.to_string()),
            Some(time(queued_at)),
            Some(attempts.to_string()),
            Some(next_attempt.map_or_else(|| "given up".to_owned(), time)),
            last_error,
        ]);
    }
    let counts = format!("{} waiting, {} given up\n", rows.waiting, rows.given_up);
    let hint = if rows.given_up > 0 { "(when the reason is gone: casebridge reaction retry --all)\n" } else { "" };
    print::out(&(table.render(print::width()) + &counts + hint))
}

async fn retry(local: &Local, arguments: RetryArguments) -> Result<(), Failure> {
    let request = ReactionRetryRequest { reaction: arguments.id, operator: who::operator() };
    let answer: RetryAnswer = local.post("nothing is tried again", "/v1/reactions/retry", &request).await?;
    if arguments.output.json {
        return print::out(&print::json(&answer)?);
    }
    print::out(&format!("{} tried again", answer.rearmed))
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<T, Failure> {
    let failure = |why: String, help: &str| Failure::new(Exit::Failed, "nothing is changed", why, help);
    let shown = file.display();
    let mut text = String::new();
    let source: std::io::Result<Box<dyn Read>> = match file.to_str() {
        Some("-") => Ok(Box::new(std::io::stdin())),
        _ => std::fs::File::open(file).map(|file| Box::new(file) as Box<dyn Read>),
    };
    source
        .and_then(|source| source.take(FILE_LIMIT).read_to_string(&mut text))
        .map_err(|fault| failure(format!("{shown} cannot be read: {fault}"), "name a JSON file of at most 1 MiB"))?;
    let mut deserializer = serde_json::Deserializer::from_str(&text);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|fault| {
        failure(format!("{shown} does not read: {fault}"), "`casebridge reaction export` shows how one is written")
    })
}
