//! `history`: the story of a case, and the history as evidence: export, verify, what was disclosed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure};
use super::local::Local;
use super::print::{self, Column, Table};
use super::{Output, Site, run};
use crate::case::evidence::{Entry, Keys, Line, Report, Verifier, heads_in};
use crate::protocol::history::{Disclosed, DisclosedPage, HistoryEnd, HistoryPage, HistoryQuery};
use crate::store::SqliteStore;
use crate::store::history::{HistoryStore, Of};

/// Entries that are asked for at once.
const PAGE: usize = 500;
/// The longest line of an export that is read, in bytes: an operation with all that it may hold, and its receipt.
const LINE_LIMIT: usize = 64 << 20;

/// Of `history`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<HistoryCommand>,
    /// The number of the incident
    #[arg(value_name = "ID", required = true)]
    incident: Option<i64>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum HistoryCommand {
    /// Hand out the history as JSON lines: of one case, or the whole of it
    Export {
        /// The number of an incident
        #[arg(value_name = "ID")]
        incident: Option<i64>,
    },
    /// Read an export, or the store itself, and name the first entry that is not as it was written
    Verify(VerifyArguments),
    /// What a peer has ever seen: of one case, or of all
    Disclosed {
        /// The peer, by its alias
        #[arg(long, value_name = "ALIAS")]
        peer: String,
        /// The number of an incident
        #[arg(value_name = "ID")]
        incident: Option<i64>,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Args)]
struct VerifyArguments {
    /// The export; without it the site's store is read
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Public keys that are believed, one a line: the peer's, and the site's own for the end of its export
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// The peer's export: the history must reach as far as the signatures that the peer holds
    #[arg(long, value_name = "FILE")]
    held: Option<PathBuf>,
}

pub async fn run(site: &Site, arguments: Arguments) -> Result<(), Failure> {
    match (arguments.command, arguments.incident) {
        (None, Some(incident)) => story(&site.local()?, incident, arguments.output).await,
        (None, None) => Err(Failure::new(Exit::Usage, "nothing is shown", "no incident is named", "see --help")),
        (Some(HistoryCommand::Export { incident }), _) => export(&site.local()?, incident).await,
        (Some(HistoryCommand::Verify(arguments)), _) => verify(&site.config, arguments).await,
        (Some(HistoryCommand::Disclosed { peer, incident, output }), _) => {
            disclosed(&site.local()?, peer, incident, output).await
        }
    }
}

fn address(path: &str, query: &HistoryQuery) -> String {
    let number = |name: &str, value: Option<u64>| value.map(|value| format!("{name}={value}&")).unwrap_or_default();
    let incident = query.incident.map(|id| format!("incident={id}&")).unwrap_or_default();
    let peer: String = query.peer.iter().map(|peer| format!("peer={peer}&")).collect();
    format!("{path}?{incident}{peer}{}limit={PAGE}", number("after", query.after))
}

/// Every page in its turn; hands back the number of the last entry.
async fn pages(
    local: &Local,
    incident: Option<i64>,
    mut each: impl FnMut(&HistoryPage) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let mut query = HistoryQuery { incident, ..HistoryQuery::default() };
    let mut last = 0;
    loop {
        let page: HistoryPage = local.get("the history cannot be read", &address("/v1/history", &query)).await?;
        each(&page)?;
        if let Some(line) = page.lines.last() {
            last = entry(line)?.number;
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(last),
        }
    }
}

fn entry(line: &Line) -> Result<Entry, Failure> {
    serde_json::from_str(line.entry.get()).map_err(unreadable)
}

fn unreadable(fault: serde_json::Error) -> Failure {
    let remedy = "command and daemon may be of two versions; restart the daemon";
    Failure::new(Exit::Failed, "the history cannot be shown", format!("an entry does not read: {fault}"), remedy)
}

async fn story(local: &Local, incident: i64, output: Output) -> Result<(), Failure> {
    let mut table = Table::new(&[
        Column::new("ENTRY", 5, 5),
        Column::new("TIME", 20, 0),
        Column::new("WHO", 10, 2),
        Column::new("WHAT", 9, 1),
        Column::new("PEER", 8, 6),
        Column::new("SEQ", 3, 7),
        Column::new("SIGNED", 6, 8),
        Column::new("DETAIL", 16, 3),
        Column::new("CHANGES", 16, 4),
    ]);
    let mut lines = Vec::new();
    pages(local, Some(incident), |page| {
        for line in &page.lines {
            let entry = entry(line)?;
            if output.json {
                lines.push(serde_json::to_value(line).map_err(unreadable)?);
                continue;
            }
            let signed = match (&line.receipt, entry.way.as_deref()) {
                (Some(_), _) => Some("yes".to_owned()),
                (None, Some("out")) => Some("no".to_owned()),
                _ => None,
            };
            table.row([
                Some(entry.number.to_string()),
                Some(entry.at.clone()),
                Some(entry.who.clone()),
                Some(entry.action.clone()),
                entry.peer.clone(),
                entry.seq.map(|seq| seq.to_string()),
                signed,
                Some(entry.detail.clone()),
                changes(&entry),
            ]);
        }
        Ok(())
    })
    .await?;
    match output.json {
        true => print::out(&print::json(&lines)?),
        false => print::out(&table.render(print::width())),
    }
}

/// Old and new values, in one line.
fn changes(entry: &Entry) -> Option<String> {
    let context: BTreeMap<String, (Option<String>, Option<String>)> =
        serde_json::from_str(entry.context.as_ref()?.get()).ok()?;
    let value = |value: &Option<String>| value.as_ref().map_or_else(|| "none".to_owned(), |text| format!("\"{text}\""));
    let told = context.iter().map(|(name, (old, new))| format!("{name} {} -> {}", value(old), value(new)));
    Some(told.collect::<Vec<_>>().join(", "))
}

async fn export(local: &Local, incident: Option<i64>) -> Result<(), Failure> {
    let mut begun = false;
    let last = pages(local, incident, |page| {
        let mut text = String::new();
        if !begun {
            text = serde_json::to_string(&page.begin).map_err(unreadable)? + "\n";
            begun = true;
        }
        for line in &page.lines {
            text += &serde_json::to_string(line).map_err(unreadable)?;
            text.push('\n');
        }
        written(&text)
    })
    .await?;
    let query = HistoryQuery { incident, after: Some(last), ..HistoryQuery::default() };
    let end: HistoryEnd = local.get("the export has no end", &address("/v1/history/end", &query)).await?;
    written(&(serde_json::to_string(&end.end).map_err(unreadable)? + "\n"))
}

/// Byte for byte: an export is no text for a terminal, and every byte of it counts.
fn written(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|fault| {
        Failure::new(Exit::Failed, "the export is not whole", fault, "free space, or write it elsewhere")
    })
}

async fn verify(config: &Path, arguments: VerifyArguments) -> Result<(), Failure> {
    let mut keys = Keys::default();
    for path in &arguments.key {
        let text = std::fs::read_to_string(path).map_err(|fault| unread(path, &fault.to_string()))?;
        keys = keys.with(Keys::read(&text).map_err(|fault| unread(path, &fault))?);
    }
    let outcome = match &arguments.file {
        Some(path) => verify_export(path, keys, arguments.held.as_deref())?,
        None => verify_store(config, keys, arguments.held.as_deref()).await?,
    };
    match outcome {
        Ok(report) => print::out(&told(&report)),
        Err(finding) => Err(Failure::new(
            Exit::Failed,
            "the history is not as it was written",
            finding,
            "compare it with a copy from before, and with the export of the peer",
        )),
    }
}

fn unread(path: &Path, fault: &str) -> Failure {
    let path = path.display();
    Failure::new(Exit::Failed, "nothing is verified", format!("{path} does not read: {fault}"), "name another file")
}

/// The lines of a file, one at a time.
fn lines(path: &Path) -> Result<impl Iterator<Item = Result<String, Failure>>, Failure> {
    let mut reader = BufReader::new(File::open(path).map_err(|fault| unread(path, &fault.to_string()))?);
    let path = path.to_owned();
    Ok(std::iter::from_fn(move || {
        let mut line = Vec::new();
        let mut bounded = std::io::Read::take(&mut reader, LINE_LIMIT as u64);
        match bounded.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => {
                let is_whole = line.pop_if(|last| *last == b'\n').is_some();
                let text = String::from_utf8(line).map_err(|_| "a line that is no UTF-8 text".to_owned());
                // Every line ends; one that does not was cut off or changed.
                let text = text.and_then(|text| match is_whole {
                    true => Ok(text),
                    false => Err("the last line has no end".to_owned()),
                });
                Some(text.map_err(|fault| unread(&path, &fault)))
            }
            Err(fault) => Some(Err(unread(&path, &fault.to_string()))),
        }
    }))
}

type Verified = Result<Report, crate::case::evidence::Finding>;

fn held(
    path: Option<&Path>,
    site: &str,
    keys: &mut Keys,
) -> Result<BTreeMap<u64, crate::case::ContentDigest>, Failure> {
    let Some(path) = path else { return Ok(BTreeMap::new()) };
    let mut heads = BTreeMap::new();
    for line in lines(path)? {
        heads.append(&mut heads_in(std::iter::once(line?.as_str()), site, keys));
    }
    Ok(heads)
}

fn verify_export(path: &Path, mut keys: Keys, peer: Option<&Path>) -> Result<Verified, Failure> {
    let begin = lines(path)?.next().transpose()?.unwrap_or_default();
    let site = serde_json::from_str::<crate::case::evidence::Begin>(&begin).map(|begin| begin.export.site);
    let heads = held(peer, &site.unwrap_or_default(), &mut keys)?;
    let mut verifier = Verifier::of_export(keys).held_by_a_peer(heads);
    for line in lines(path)? {
        if let Err(finding) = verifier.line(&line?) {
            return Ok(Err(finding));
        }
    }
    Ok(verifier.exported())
}

/// The store itself, with the keys that it knows; no daemon is asked.
async fn verify_store(config: &Path, mut keys: Keys, peer: Option<&Path>) -> Result<Verified, Failure> {
    let settings = run::settings(config)?;
    let failed = |fault: crate::store::StoreError| {
        Failure::new(Exit::Failed, "nothing is verified", fault, "run the command as root or as the daemon's user")
    };
    let store = SqliteStore::open(&settings.store).await.map_err(failed)?;
    let site = crate::store::IncidentStore::site(&store).0.to_string();
    let peers = settings.upstream.iter().map(|one| &one.alias).chain(settings.clients.iter().map(|one| &one.alias));
    for known in std::iter::once(None).chain(peers.map(Some)) {
        for one in store.keys(known).await.map_err(failed)? {
            if one.standing != crate::store::history::KeyStanding::Offered {
                keys.add(one.key);
            }
        }
    }
    let heads = held(peer, &site, &mut keys)?;
    // What is added from here on is not looked for.
    let head = store.head().await.map_err(failed)?;
    let mut verifier = Verifier::of_store(keys, &site).held_by_a_peer(heads);
    let mut after = 0;
    loop {
        let page = store.entries(&Of::All, after, PAGE).await.map_err(failed)?;
        let Some(last) = page.last() else { break };
        after = last.entry.number;
        for one in &page {
            if let Err(finding) = verifier.kept(one) {
                return Ok(Err(finding));
            }
        }
    }
    Ok(verifier.stored(&head))
}

fn told(report: &Report) -> String {
    let Report { entries, sent, proved, unchecked, unproved, end_is_signed, held } = report;
    let mut told = vec![format!("{entries} entries are as they were written.")];
    if *sent > 0 {
        told.push(format!("Operations that went to peers: {sent}; signed for by a known key: {proved}."));
    }
    if *unchecked > 0 {
        told.push(format!("Signed for by a key that is not known here: {unchecked}; name it with --key."));
    }
    if let Some(entry) = unproved {
        told.push(format!("Not signed for: {}, the first in entry {entry}.", sent - proved - unchecked));
    }
    if *held > 0 {
        told.push(format!("Entries that a peer holds this site's signature for: {held}."));
    }
    if *end_is_signed {
        told.push("The end is signed by a known key.".to_owned());
    }
    told.join("\n")
}

async fn disclosed(local: &Local, peer: String, incident: Option<i64>, output: Output) -> Result<(), Failure> {
    let what = format!("what {peer} has seen cannot be told");
    let mut query = HistoryQuery { incident, peer: Some(peer.clone()), ..HistoryQuery::default() };
    let mut is_empty = true;
    loop {
        let page: DisclosedPage = local.get(&what, &address("/v1/history/disclosed", &query)).await?;
        is_empty &= page.operations.is_empty();
        match output.json {
            true => page.operations.iter().try_for_each(|one| {
                written(&(print::safe_json(&serde_json::to_string(one).map_err(unreadable)?) + "\n"))
            })?,
            false => page.operations.iter().try_for_each(|one| print::out(&shown(one)))?,
        }
        for file in page.files.iter().filter(|_| !output.json) {
            print::out(&print::safe(&format!("file {}: {}, {} bytes", file.name, file.state, file.bytes)))?;
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    match is_empty && !output.json {
        true => print::out(&print::safe(&format!("{peer} has seen nothing."))),
        false => Ok(()),
    }
}

fn shown(one: &Disclosed) -> String {
    let entry = one.entry.map_or_else(|| "no entry yet".to_owned(), |entry| format!("entry {entry}"));
    let incident = one.incident.map(|incident| format!("incident {incident}, ")).unwrap_or_default();
    let signed = one.signed.map(|at| format!(", signed for as received {at}")).unwrap_or_default();
    let title = format!("{} {incident}{} {} ({}; {entry}{signed})", one.at, one.operation, one.seq, one.outcome);
    let mut text = print::safe(&title).into_owned();
    for seen in &one.fields {
        text.push_str(&format!("\n  {:<28} {}", print::safe(&seen.field), print::safe(&seen.value)));
    }
    text
}
