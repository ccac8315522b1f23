//! `token new`, `token list`, `token revoke`: the credentials that this site hands out. They work on the file itself, whether
//! the daemon runs or not; it reads the file again when it changes.

use std::path::Path;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use super::exit::{Exit, Failure};
use super::print::{self, Column, Table, time};
use super::{Output, run};
use crate::case::Alias;
use crate::case::text::line;
use crate::config::token::{self, Token, TokenFault};

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token for a client; it is shown this once
    #[command(after_help = super::examples::TOKEN)]
    New(NewArguments),
    /// List the tokens: for whom, since when, until when
    List(Output),
    /// Take a token back
    Revoke(RevokeArguments),
}

#[derive(Debug, Args)]
pub struct NewArguments {
    /// The client, by the alias of its `[[client]]`
    #[arg(long, value_name = "ALIAS")]
    client: Alias,
    /// When it stops being good, for example 2027-06-30T00:00:00Z; never without it
    #[arg(long, value_name = "INSTANT")]
    expires: Option<Timestamp>,
    /// A word for the list
    #[arg(long, value_name = "TEXT", value_parser = note)]
    note: Option<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub struct RevokeArguments {
    /// The ID of the token, as the list shows it
    #[arg(value_name = "ID")]
    id: String,
}

fn note(text: &str) -> Result<String, String> {
    line(text, 200).map(str::to_owned).map_err(|fault| format!("it {fault}"))
}

pub fn run(config: &Path, command: TokenCommand) -> Result<(), Failure> {
    let settings = run::settings(config)?;
    let path = settings.site.tokens_file.as_path();
    match command {
        TokenCommand::New(arguments) => {
            if !settings.clients.iter().any(|client| client.alias == arguments.client) {
                let why = format!("{} has no [[client]] {}", config.display(), arguments.client);
                return Err(Failure::new(Exit::Failed, "no token is made", why, "add the section first"));
            }
            new(path, arguments)
        }
        TokenCommand::List(output) => list(settings.tokens, output),
        TokenCommand::Revoke(arguments) => revoke(path, &arguments.id),
    }
}

fn new(path: &Path, arguments: NewArguments) -> Result<(), Failure> {
    let now = Timestamp::now();
    if arguments.expires.is_some_and(|ends| ends <= now) {
        return Err(Failure::new(Exit::Usage, "no token is made", "--expires is in the past", "name a later instant"));
    }
    let made = token::change(path, |tokens| {
        let again = || token::new(arguments.client.clone(), now, arguments.expires, arguments.note.clone());
        let mut made = again();
        while tokens.iter().any(|one| one.id == made.0.id) {
            made = again();
        }
        tokens.push(made.0.clone());
        made
    });
    let (kept, text) = made.map_err(|fault| unwritable(&fault))?;
    if arguments.output.json {
        let value = json!({ "id": kept.id, "client": kept.client, "token": token::shown(&text),
            "created_at": kept.created_at, "expires_at": kept.expires_at, "note": kept.note });
        return print::out(&print::json(&value)?);
    }
    eprintln!(
        "token {} of client {}; it is not shown again. At the client it goes into a file of mode 0640, named by \
         `token_file` in [upstream].",
        kept.id, kept.client
    );
    print::out(token::shown(&text))
}

fn list(tokens: Vec<Token>, output: Output) -> Result<(), Failure> {
    if output.json {
        let row = |token: &Token| {
            json!({ "id": token.id, "client": token.client, "created_at": token.created_at,
                "expires_at": token.expires_at, "note": token.note })
        };
        return print::out(&print::json(&tokens.iter().map(row).collect::<Vec<_>>())?);
    }
    if tokens.is_empty() {
        return print::out("no tokens; `casebridge token new --client ALIAS` makes one");
    }
    let mut table = Table::new(&COLUMNS);
    for token in tokens {
        let ends = token.expires_at.map_or("never".to_owned(), time);
        table.row([
            Some(token.id),
            Some(token.client.to_string()),
            Some(time(token.created_at)),
            Some(ends),
            token.note,
        ]);
    }
    print::out(&table.render(print::width()))
}

const COLUMNS: [Column; 5] = [
    Column::new("ID", 8, 0),
    Column::new("CLIENT", 8, 1),
    Column::new("MADE", 16, 3),
    Column::new("ENDS", 16, 2),
    Column::new("NOTE", 10, 4),
];

fn revoke(path: &Path, id: &str) -> Result<(), Failure> {
    let removed = token::change(path, |tokens| {
        let before = tokens.len();
        tokens.retain(|one| one.id != id);
        before - tokens.len()
    });
    if removed.map_err(|fault| unwritable(&fault))? == 0 {
        return Err(Failure::new(
            Exit::Failed,
            "no token is revoked",
            "there is none with this ID",
            "`casebridge token list` shows them",
        ));
    }
    print::out("the token is revoked; a running daemon takes note within site.reread_secrets")
}

fn unwritable(fault: &TokenFault) -> Failure {
    Failure::new(Exit::Failed, "the tokens are as they were", &fault.message, &fault.help)
}
