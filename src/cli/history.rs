//! `history`: the story of a case, and the history as evidence: export, verify, what was disclosed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure};
use super::local::Local;
use super::print::{self, Column, Table};
use super::{Output, Site, run};
use crate::case::Alias;
use crate::case::evidence::{Begin, Entry, Finding, Keys, Line, Report, Verifier, heads_in};
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
    /// The public keys of a site, one a line: the site's own for the end of its export, and those of its peers
    #[arg(long, value_name = "SITE=FILE")]
    key: Vec<KeyFile>,
    /// The peer's export: the history must reach as far as the signatures that the peer holds
    #[arg(long, value_name = "FILE")]
    held: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// A file of keys, and whose they are: that is said by who verifies, and not by who wrote the file.
#[derive(Debug, Clone)]
struct KeyFile {
    site: Alias,
    path: PathBuf,
}

impl FromStr for KeyFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (site, path) = text.split_once('=').ok_or("it is SITE=FILE, such as partner=partner.keys")?;
        let site = site.parse().map_err(|fault| format!("`{site}` names no site: {fault}"))?;
        Ok(Self { site, path: path.into() })
    }
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
    let (after, until) = (number("after", query.after), number("until", query.until));
    format!("{path}?{incident}{peer}{after}{until}limit={PAGE}")
}

/// Every page in its turn; hands back how the end of it is asked for.
async fn pages(
    local: &Local,
    incident: Option<i64>,
    mut each: impl FnMut(&HistoryPage) -> Result<(), Failure>,
) -> Result<HistoryQuery, Failure> {
    let mut query = HistoryQuery { incident, ..HistoryQuery::default() };
    let mut last = None;
    loop {
        let page: HistoryPage = local.get("the history cannot be read", &address("/v1/history", &query)).await?;
        each(&page)?;
        if let Some(line) = page.lines.last() {
            last = Some(entry(line)?.number);
        }
        query.until = Some(page.until);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(HistoryQuery { after: last, ..query }),
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
    let query = pages(local, incident, |page| {
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
    for KeyFile { site, path } in &arguments.key {
        let text = std::fs::read_to_string(path).map_err(|fault| unread(path, &fault.to_string()))?;
        keys.read(site, &text).map_err(|fault| unread(path, &fault))?;
    }
    let outcome = match &arguments.file {
        Some(path) => verify_export(path, keys, arguments.held.as_deref())?,
        None => verify_store(config, keys, arguments.held.as_deref()).await?,
    };
    let report = outcome.map_err(|finding| {
        let remedy = "compare it with a copy from before, and with the export of the peer";
        Failure::new(Exit::Failed, "the history is not as it was written", finding, remedy)
    })?;
    match arguments.output.json {
        true => print::out(&print::json(&report)?)?,
        false => print::out(&told(&report))?,
    }
    let lacking = lacking(&report);
    match lacking.is_empty() {
        true => Ok(()),
        false => Err(Failure::said(Exit::Unproved, format!("not everything is proved; {}", lacking.join("; ")))),
    }
}

fn unread(path: &Path, fault: &str) -> Failure {
    let path = path.display();
    Failure::new(Exit::Failed, "nothing is verified", format!("{path} does not read: {fault}"), "name another file")
}

/// The lines of a file with their ends, one at a time. A longer one than there may be has none.
fn lines(path: &Path) -> Result<impl Iterator<Item = Result<Vec<u8>, Failure>>, Failure> {
    let mut reader = BufReader::new(File::open(path).map_err(|fault| unread(path, &fault.to_string()))?);
    let path = path.to_owned();
    Ok(std::iter::from_fn(move || {
        let mut line = Vec::new();
        let mut bounded = std::io::Read::take(&mut reader, LINE_LIMIT as u64);
        match bounded.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => Some(Ok(line)),
            Err(fault) => Some(Err(unread(&path, &fault.to_string()))),
        }
    }))
}

type Verified = Result<Report, Finding>;

/// With what the peer's export holds, where there is one.
fn holding(
    verifier: impl FnOnce(Keys) -> Verifier,
    mut keys: Keys,
    peer: Option<&Path>,
    (site, alias): (&str, &Alias),
) -> Result<Verifier, Failure> {
    let Some(path) = peer else { return Ok(verifier(keys)) };
    let mut heads = BTreeMap::new();
    for line in lines(path)? {
        heads.append(&mut heads_in(std::iter::once(line?.as_slice()), (site, alias), &mut keys));
    }
    Ok(verifier(keys).held_by_a_peer(heads))
}

fn verify_export(path: &Path, keys: Keys, peer: Option<&Path>) -> Result<Verified, Failure> {
    let begin = lines(path)?.next().transpose()?.unwrap_or_default();
    let mut verifier = match serde_json::from_slice::<Begin>(&begin) {
        Ok(Begin { export }) => holding(Verifier::of_export, keys, peer, (&export.site, &export.alias))?,
        // Its first line tells.
        Err(_) => Verifier::of_export(keys),
    };
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
        let remedy = "check [store] path, and run the command as root or as the daemon's user";
        Failure::new(Exit::Failed, "nothing is verified", fault, remedy)
    };
    let store = SqliteStore::open_to_read(&settings.store).await.map_err(failed)?;
    let site = crate::store::IncidentStore::site(&store).0.to_string();
    let alias = &settings.site.alias;
    let peers = settings.upstream.iter().map(|one| &one.alias).chain(settings.clients.iter().map(|one| &one.alias));
    for known in std::iter::once(None).chain(peers.map(Some)) {
        for one in store.keys(known).await.map_err(failed)? {
            if one.standing != crate::store::history::KeyStanding::Offered {
                keys.add(known.unwrap_or(alias), one.key);
            }
        }
    }
    // What is added from here on is not looked for. An end that does not read is named as what it is.
    let head = store.head().await;
    let elsewhere = store.told_elsewhere().await.map_err(failed)?;
    let mut verifier = holding(|keys| Verifier::of_store(keys, &site, alias), keys, peer, (&site, alias))?;
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
    Ok(verifier.stored(&head.map_err(failed)?, &elsewhere))
}

fn told(report: &Report) -> String {
    let Report { entries, sent, proved, end_is_signed, held, .. } = report;
    let mut told = vec![format!("{entries} entries are as they were written.")];
    if *sent > 0 {
        told.push(format!("Operations that went to peers: {sent}; signed for by a known key: {proved}."));
    }
    if let Some(held) = held.filter(|held| *held > 0) {
        told.push(format!("Entries that a peer holds this site's signature for: {held}."));
    }
    match end_is_signed {
        Some(true) => told.push("The end is signed by a known key.".to_owned()),
        Some(false) => {}
        None if held.is_some() => {}
        None => told.push(
            "That nothing was cut off at the end, only a peer's export can prove: name it with --held FILE.".to_owned(),
        ),
    }
    told.join("\n")
}

/// What was to be proved and is not, each with what to do about it.
fn lacking(report: &Report) -> Vec<String> {
    let Report { unchecked, waiting, unproved, disputed, first_disputed, end_is_signed, held, .. } = report;
    let mut lacking = Vec::new();
    if *end_is_signed == Some(false) {
        lacking.push(
            "the end is signed by nobody that is known: name the site's own keys with --key SITE=FILE, as `casebridge key \
             show` prints them there"
                .to_owned(),
        );
    }
    if *unchecked > 0 {
        lacking.push(format!(
            "receipts by a key that is not known as the peer's: {unchecked}; name the peer's keys with --key PEER=FILE, as \
             `casebridge key show` prints them there"
        ));
    }
    if let Some(entry) = unproved {
        lacking.push(format!(
            "operations that no peer has signed for: {waiting}, the first in entry {entry}; receipts come a moment later, and \
             older sites give none"
        ));
    }
    if let Some(entry) = first_disputed {
        lacking.push(format!(
            "receipts for something else than went there: {disputed}, the first in entry {entry}; compare the exports of \
             both sites"
        ));
    }
    if *held == Some(0) {
        lacking.push(
            "the peer's export holds no known signature of this site for any of these entries: name the site's own keys \
             with --key SITE=FILE"
                .to_owned(),
        );
    }
    lacking
}

async fn disclosed(local: &Local, peer: String, incident: Option<i64>, output: Output) -> Result<(), Failure> {
    let what = format!("what {peer} has seen cannot be told");
    let named: Alias = peer.parse().map_err(|fault| {
        Failure::new(Exit::Usage, &what, fault, "name the site by its alias; see `casebridge status`")
    })?;
    let mut query = HistoryQuery { incident, peer: Some(named), ..HistoryQuery::default() };
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
        true => print::out(&print::safe(&format!("Nothing of it has gone to {peer}."))),
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
