//! `token new`, `token list`, `token revoke`: the credentials that this site hands out. They work on the file itself, whether
//! the daemon runs or not; it reads the file again when it changes.

use std::path::Path;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::exit::{Exit, Failure};
use super::print::{self, Column, Table, time};
use super::{Output, run, who};
use crate::case::text::line;
use crate::case::{Alias, NotAPermission, Permission};
use crate::config::Settings;
use crate::config::token::{self, Holder, Operator, Token, TokenFault};

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token for a client, or for an operator of the cases; it is shown this once
    #[command(after_help = super::examples::TOKEN, after_long_help = super::examples::token())]
    New(NewArguments),
    /// List the tokens: for whom, since when, until when
    List(Output),
    /// Take a token back
    Revoke(RevokeArguments),
}

#[derive(Debug, Args)]
pub struct NewArguments {
    /// The client, by the alias of its `[[client]]`; the token opens the exchange between sites
    #[arg(long, value_name = "ALIAS", required_unless_present = "owner", conflicts_with = "owner")]
    client: Option<Alias>,
    /// The operator, by the name that cases know; the token opens `/v1/cases` and what belongs to it
    #[arg(long, value_name = "NAME", value_parser = name)]
    owner: Option<String>,
    /// What the operator may do; can be given several times
    #[arg(long = "scope", value_name = "PERMISSION", requires = "owner", value_parser = permission())]
    scopes: Vec<Permission>,
    /// What the operator may do, by the name of a `[[role]]`; what the configuration says of it counts, also later
    #[arg(long, value_name = "NAME", requires = "owner", value_parser = name)]
    role: Option<String>,
    /// A group that the operator belongs to; can be given several times
    #[arg(long = "group", value_name = "NAME", requires = "owner", value_parser = name)]
    groups: Vec<String>,
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
    #[command(flatten)]
    output: Output,
}

fn note(text: &str) -> Result<String, String> {
    line(text, 200).map(str::to_owned).map_err(|fault| format!("it {fault}"))
}

fn name(text: &str) -> Result<String, String> {
    token::name(text).map(str::to_owned).map_err(|fault| format!("it {fault}"))
}

fn permission() -> impl TypedValueParser<Value = Permission> {
    let words = Permission::ALL.map(|one| PossibleValue::new(one.as_str()).help(one.about()));
    PossibleValuesParser::new(words).try_map(|text| -> Result<Permission, NotAPermission> { text.parse() })
}

/// For whom the token is.
fn holder(config: &Path, settings: &Settings, arguments: &NewArguments) -> Result<Holder, Failure> {
    let refuse = |exit: Exit, why: String, help: &str| Failure::new(exit, "no token is made", why, help);
    if let Some(client) = &arguments.client {
        if !settings.clients.iter().any(|one| one.alias == *client) {
            let why = format!("{} has no [[client]] {client}", config.display());
            return Err(refuse(Exit::Failed, why, "add the section first"));
        }
        return Ok(Holder::Client(client.clone()));
    }
    if arguments.scopes.is_empty() && arguments.role.is_none() {
        let why = "an operator without a permission may do nothing".to_owned();
        return Err(refuse(Exit::Usage, why, "name what it may do with --scope, or a role with --role"));
    }
    if let Some(role) = arguments.role.as_ref().filter(|role| settings.role(role).is_none()) {
        let why = format!("{} has no [[role]] {role:?}", config.display());
        let known: Vec<&str> = settings.roles.iter().map(|role| role.name.as_str()).collect();
        let help = match known.is_empty() {
            true => "add the section first".to_owned(),
            false => format!("add the section first, or take one that is there: {}", known.join(", ")),
        };
        return Err(refuse(Exit::Failed, why, &help));
    }
    if arguments.groups.len() > token::GROUP_LIMIT {
        let why = format!("an operator belongs to at most {} groups", token::GROUP_LIMIT);
        return Err(refuse(Exit::Usage, why, "name fewer"));
    }
    Ok(Holder::Operator(Operator {
        name: arguments.owner.clone().unwrap_or_default(),
        groups: arguments.groups.clone(),
        scopes: arguments.scopes.iter().copied().collect(),
        role: arguments.role.clone(),
    }))
}

pub fn run(config: &Path, command: TokenCommand) -> Result<(), Failure> {
    let settings = run::settings(config)?;
    let path = settings.site.tokens_file.as_path();
    match command {
        TokenCommand::New(arguments) => {
            let holder = holder(config, &settings, &arguments)?;
            new(path, holder, arguments)
        }
        TokenCommand::List(output) => list(settings.tokens, output),
        TokenCommand::Revoke(arguments) => revoke(path, &arguments),
    }
}

fn new(path: &Path, holder: Holder, arguments: NewArguments) -> Result<(), Failure> {
    let now = Timestamp::now();
    if arguments.expires.is_some_and(|ends| ends <= now) {
        return Err(Failure::new(Exit::Usage, "no token is made", "--expires is in the past", "name a later instant"));
    }
    let made = token::change(path, &who::here(), now, |tokens| {
        let again = || token::new(holder.clone(), now, arguments.expires, arguments.note.clone());
        let mut made = again();
        while tokens.iter().any(|one| one.id == made.0.id) {
            made = again();
        }
        tokens.push(made.0.clone());
        made
    });
    let (kept, text) = made.map_err(|fault| unwritable(&fault))?;
    if arguments.output.json {
        let mut value = row(&kept);
        value["token"] = token::shown(&text).into();
        return print::out(&print::json(&value)?);
    }
    let where_to = match kept.holder {
        Holder::Client(_) => "At the client it goes into a file of mode 0640, named by `token_file` in [upstream].",
        Holder::Operator(_) => "It goes into the header of each request: Authorization: Bearer TOKEN",
    };
    eprintln!("token {} of {}; it is not shown again. {where_to}", kept.id, kept.holder);
    print::out(token::shown(&text))
}

fn list(tokens: Vec<Token>, output: Output) -> Result<(), Failure> {
    if output.json {
        return print::out(&print::json(&tokens.iter().map(row).collect::<Vec<_>>())?);
    }
    if tokens.is_empty() {
        return print::out("no tokens; `casebridge token new --client ALIAS` or `--owner NAME` makes one");
    }
    let mut table = Table::new(&COLUMNS);
    for token in tokens {
        let ends = token.expires_at.map_or("never".to_owned(), time);
        table.row([
            Some(token.id),
            Some(token.holder.to_string()),
            may(&token.holder),
            Some(time(token.created_at)),
            Some(ends),
            token.note,
        ]);
    }
    print::out(&table.render(print::width()))
}

/// A token as a program gets it.
fn row(token: &Token) -> Value {
    let mut row = json!({ "id": token.id, "created_at": token.created_at, "expires_at": token.expires_at,
        "note": token.note });
    match &token.holder {
        Holder::Client(alias) => row["client"] = json!(alias),
        Holder::Operator(operator) => {
            row["owner"] = json!(operator.name);
            row["scopes"] = json!(operator.scopes);
            row["role"] = json!(operator.role);
            row["groups"] = json!(operator.groups);
        }
    }
    row
}

/// What an operator may do, in short, and within which groups.
fn may(holder: &Holder) -> Option<String> {
    /// Groups shown.
    const GROUPS: usize = 3;
    let Holder::Operator(operator) = holder else { return None };
    let role = operator.role.iter().map(|role| format!("role {role}"));
    let may = role.chain(operator.scopes.iter().map(|one| one.to_string())).collect::<Vec<_>>().join(" ");
    let shown = operator.groups.iter().take(GROUPS).cloned().collect::<Vec<_>>().join(", ");
    Some(match operator.groups.len() {
        0 => may,
        1..=GROUPS => format!("{may} within {shown}"),
        more => format!("{may} within {shown} and {} more", more - GROUPS),
    })
}

const COLUMNS: [Column; 6] = [
    Column::new("ID", 8, 0),
    Column::new("FOR", 8, 1),
    Column::new("MAY", 12, 3),
    Column::new("MADE", 16, 4),
    Column::new("ENDS", 16, 2),
    Column::new("NOTE", 10, 5),
];

fn revoke(path: &Path, RevokeArguments { id, output }: &RevokeArguments) -> Result<(), Failure> {
    let removed = token::change(path, &who::here(), Timestamp::now(), |tokens| {
        let before = tokens.len();
        tokens.retain(|one| one.id != *id);
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
    if output.json {
        return print::out(&print::json(&json!({ "id": id, "revoked": true }))?);
    }
    print::out("the token is revoked; a running daemon takes note within site.reread_secrets")
}

fn unwritable(fault: &TokenFault) -> Failure {
    Failure::new(Exit::Failed, "the tokens are as they were", &fault.message, &fault.help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_tied_to_groups_is_listed_with_them() {
        let told = |groups: &[&str]| {
            may(&Holder::Operator(Operator {
                name: "ann".into(),
                groups: groups.iter().map(|group| (*group).to_owned()).collect(),
                scopes: [Permission::View].into_iter().collect(),
                role: Some("night shift".into()),
            }))
            .unwrap()
        };
        assert_eq!(told(&[]), "role night shift CASE_VIEW");
        assert_eq!(told(&["core", "edge"]), "role night shift CASE_VIEW within core, edge");
        assert_eq!(told(&["a", "b", "c", "d"]), "role night shift CASE_VIEW within a, b, c and 1 more");
    }
}
