//! `key show`, `key pin`, `key rotate`: with which keys this site and its peers sign their receipts.

use clap::{Args, Subcommand};

use super::exit::Failure;
use super::local::Local;
use super::print;
use super::{Output, who};
use crate::case::Alias;
use crate::case::evidence::PublicKey;
use crate::protocol::key::{KeyAnswer, KeyList, PinRequest, RotateRequest};

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Print the public keys of this site, or of a peer, as `history verify --key` reads them
    Show(ShowArguments),
    /// Confirm that a key is the peer's
    Pin(PinArguments),
    /// Sign with a new key from now on; the old one endorses it
    Rotate(Output),
}

#[derive(Debug, Args)]
pub struct ShowArguments {
    /// The peer, by its alias
    #[arg(long, value_name = "ALIAS")]
    peer: Option<Alias>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub struct PinArguments {
    /// The peer, by its alias
    #[arg(long, value_name = "ALIAS")]
    peer: Alias,
    /// The key; the one that the peer shows when left out
    #[arg(long, value_name = "KEY")]
    key: Option<PublicKey>,
    #[command(flatten)]
    output: Output,
}

pub async fn run(local: &Local, command: KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::Show(ShowArguments { peer, output }) => show(local, peer, output).await,
        KeyCommand::Pin(PinArguments { peer, key, output }) => {
            let request = PinRequest { peer, key, operator: who::operator() };
            told(&local.post("no key is pinned", "/v1/keys/pin", &request).await?, output)
        }
        KeyCommand::Rotate(output) => {
            let request = RotateRequest { operator: who::operator() };
            told(&local.post("the key stays", "/v1/keys/rotate", &request).await?, output)
        }
    }
}

async fn show(local: &Local, peer: Option<Alias>, output: Output) -> Result<(), Failure> {
    let query = peer.as_ref().map(|peer| format!("?peer={peer}")).unwrap_or_default();
    let list: KeyList = local.get("the keys cannot be shown", &format!("/v1/keys{query}")).await?;
    if output.json {
        return print::out(&print::json(&list)?);
    }
    let whose = peer.map_or_else(|| "this site".to_owned(), |peer| peer.to_string());
    if list.keys.is_empty() {
        return print::out(&print::safe(&format!("# {whose} has shown no key yet")));
    }
    let line = |row: &crate::protocol::key::KeyRow| {
        // What nobody has confirmed is no key to verify with.
        let mark = if row.standing == "offered" { "# " } else { "" };
        let (standing, fingerprint) = (print::safe(&row.standing), print::safe(&row.fingerprint));
        format!("{mark}{} {whose} {standing} since {} {fingerprint}", row.key, row.since)
    };
    let lines: Vec<String> = list.keys.iter().map(line).collect();
    print::out(&lines.join("\n"))
}

fn told(answer: &KeyAnswer, output: Output) -> Result<(), Failure> {
    if output.json {
        return print::out(&print::json(answer)?);
    }
    print::out(&print::safe(&answer.message))
}
