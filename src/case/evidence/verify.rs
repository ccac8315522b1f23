//! Reads a history, entry by entry, and names the first one that is not as it was written. It needs the history and public
//! keys, and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::entry::{Entry, Kept, Way, chained, hash_of, root_of};
use super::export::{Begin, Exported, Line, Whose};
use super::key::{Endorsement, PublicKey};
use super::receipt::{Head, Proof, Receipt, Received, Statement};
use crate::case::{Action, Alias, ContentDigest};

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", place(.entry))]
pub struct Finding {
    /// The first entry that is not as it was written.
    pub entry: Option<u64>,
    pub reason: String,
}

fn place(entry: &Option<u64>) -> String {
    entry.map(|entry| format!("entry {entry}: ")).unwrap_or_default()
}

/// What was found to be as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    pub entries: u64,
    /// Operations that went to peers and were taken there.
    pub sent: u64,
    /// So many of them a peer has signed for, by a key that is known to be its own.
    pub proved: u64,
    /// So many by a key that is not.
    pub unchecked: u64,
    /// So many no peer has signed for, and the first of them.
    pub waiting: u64,
    pub unproved: Option<u64>,
    /// Entries that keep a peer's word for something else than the history tells, and the first of them.
    pub disputed: u64,
    pub first_disputed: Option<u64>,
    /// Of an export: whether its end is signed by a key that is known to be the site's. One that was cut off would show.
    pub end_is_signed: Option<bool>,
    /// Where a peer's export is at hand: entries that the peer holds this site's own signature for.
    pub held: Option<u64>,
}

/// What a store tells of its history beside it, by which an end that was cut off may show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToldElsewhere {
    /// The last entry that something goes by, and what does.
    pub last: Option<(u64, String)>,
    /// Something that happened, and of which no entry tells; a sentence.
    pub untold: Option<String>,
}

/// Public keys that are believed, each as that of one site, by the site's alias.
#[derive(Debug, Clone, Default)]
pub struct Keys(BTreeMap<String, BTreeSet<PublicKey>>);

impl Keys {
    pub fn add(&mut self, site: &Alias, key: PublicKey) {
        self.0.entry(site.to_string()).or_default().insert(key);
    }

    /// Reads a file of a site's keys: the first word of each line that is not empty and no comment.
    pub fn read(&mut self, site: &Alias, text: &str) -> Result<(), String> {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(word) = line.split_whitespace().next().filter(|word| !word.starts_with('#')) {
                self.add(site, word.parse().map_err(|fault| format!("line {}: {fault}", number + 1))?);
            }
        }
        Ok(())
    }

    fn is_of(&self, site: &str, key: PublicKey) -> bool {
        self.0.get(site).is_some_and(|keys| keys.contains(&key))
    }

    /// Whether a key is believed to be a site's, by itself or by the word of one that is.
    fn believes(&mut self, site: &str, key: PublicKey, endorsements: &[Endorsement]) -> bool {
        let Some(keys) = self.0.get_mut(site) else { return false };
        let believed = keys.contains(&key) || keys.iter().any(|known| Endorsement::lead(endorsements, *known, key));
        if believed {
            keys.insert(key);
        }
        believed
    }
}

/// Whether the entries are those of a site or of one case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Whole,
    Case(i64),
}

/// Whose history it is.
#[derive(Debug, Clone)]
struct Owner {
    site: String,
    alias: String,
    scope: Scope,
}

/// Operations that went to a peer, by peer, exchange and number.
type Sent = (String, String, i64);

/// Takes the entries one by one.
pub struct Verifier {
    keys: Keys,
    /// What this site has signed for and peers hold.
    heads: BTreeMap<u64, ContentDigest>,
    owner: Option<Owner>,
    /// The first line of an export.
    begin: Option<Whose>,
    last: u64,
    hash: Option<ContentDigest>,
    /// Of one case, whose end names each line: the lines that were read, and the first of them that is not in order.
    lines: Vec<ContentDigest>,
    broken: Option<(usize, Finding)>,
    /// What waits for a receipt: the entry and the digest.
    waiting: HashMap<Sent, Vec<(u64, String)>>,
    /// What a peer has signed for in place of it, by which key.
    disputed: HashSet<(Sent, ContentDigest, PublicKey)>,
    report: Report,
    is_over: bool,
}

impl Verifier {
    /// Of an export, line by line.
    pub fn of_export(keys: Keys) -> Self {
        Self {
            keys,
            heads: BTreeMap::new(),
            owner: None,
            begin: None,
            last: 0,
            hash: None,
            lines: Vec::new(),
            broken: None,
            waiting: HashMap::new(),
            disputed: HashSet::new(),
            report: Report::default(),
            is_over: false,
        }
    }

    /// Of a store, entry by entry.
    pub fn of_store(keys: Keys, site: &str, alias: &Alias) -> Self {
        let owner = Owner { site: site.to_owned(), alias: alias.to_string(), scope: Scope::Whole };
        Self { owner: Some(owner), ..Self::of_export(keys) }
    }

    /// With what a peer's own export holds of this site's signatures: the history cannot be shorter than that.
    pub fn held_by_a_peer(mut self, heads: BTreeMap<u64, ContentDigest>) -> Self {
        self.heads = heads;
        self.report.held = Some(0);
        self
    }

    fn fault(&self, entry: u64, reason: impl Into<String>) -> Finding {
        Finding { entry: Some(entry), reason: reason.into() }
    }

    /// The next line of an export, with its end.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Finding> {
        let wrong = |reason: String| Err(Finding { entry: None, reason });
        if self.is_over {
            return wrong("something stands behind the signed end".into());
        }
        let text = match line.strip_suffix(b"\n").map(std::str::from_utf8) {
            Some(Ok(text)) => Ok(text),
            Some(Err(_)) => Err("it is no UTF-8 text".to_owned()),
            None => Err("the line has no end, or is longer than any that was written".to_owned()),
        };
        let Some(scope) = self.owner.as_ref().map(|owner| owner.scope) else {
            return text
                .and_then(|text| self.begins(text))
                .or_else(|fault| wrong(format!("the first line is not the beginning of an export: {fault}")));
        };
        if line.starts_with(b"{\"end\":") {
            return match text.and_then(exactly) {
                Ok(end) => self.end(&end),
                Err(fault) => {
                    self.or_broken(Finding { entry: None, reason: format!("the end does not read: {fault}") })
                }
            };
        }
        let found = match text {
            // Behind the first one that is not in order, only the signed end can tell.
            Ok(_) if self.broken.is_some() => Ok(()),
            Ok(text) => self.written(text),
            Err(reason) => Err(Finding { entry: Some(self.next(line)), reason }),
        };
        match (found, scope) {
            (Ok(()), Scope::Whole) => Ok(()),
            (Err(finding), Scope::Whole) => Err(finding),
            (found, Scope::Case(_)) => {
                if let (Err(finding), None) = (found, &self.broken) {
                    self.broken = Some((self.lines.len(), finding));
                }
                let text = line.strip_suffix(b"\n").unwrap_or(line);
                self.lines.push(ContentDigest::of(text));
                Ok(())
            }
        }
    }

    fn begins(&mut self, text: &str) -> Result<(), String> {
        let Begin { export } = exactly(text)?;
        if export.version != 1 {
            return Err(format!("it is of version {}, and this program knows 1", export.version));
        }
        let scope = export.incident.map_or(Scope::Whole, Scope::Case);
        self.owner = Some(Owner { site: export.site.clone(), alias: export.alias.to_string(), scope });
        self.begin = Some(export);
        Ok(())
    }

    /// The line of an entry.
    fn written(&mut self, text: &str) -> Result<(), Finding> {
        let next = self.next(text.as_bytes());
        let unreadable = |fault: String| Finding { entry: Some(next), reason: format!("it does not read: {fault}") };
        let line: Line = exactly(text).map_err(unreadable)?;
        let entry: Entry = exactly(line.entry.get()).map_err(unreadable)?;
        let content = line.content.as_ref().map(|content| content.get());
        self.entry(&entry, line.entry.get(), &line.hash, content)?;
        match &line.receipt {
            Some(proof) => self.proof(&entry, proof),
            None => Ok(()),
        }
    }

    /// Which entry a line is to be that may not read.
    fn next(&self, line: &[u8]) -> u64 {
        let is_case = self.owner.as_ref().is_some_and(|owner| owner.scope != Scope::Whole);
        stated(line).filter(|_| is_case).unwrap_or(self.last + 1)
    }

    /// What is wrong, unless something before it is.
    fn or_broken(&mut self, finding: Finding) -> Result<(), Finding> {
        Err(self.broken.take().map_or(finding, |(_, broken)| broken))
    }

    /// The next entry of a store.
    pub fn kept(&mut self, kept: &Kept) -> Result<(), Finding> {
        let (text, _) = chained(&kept.entry).map_err(|fault| self.fault(kept.entry.number, fault.to_string()))?;
        self.entry(&kept.entry, &text, &kept.hash, kept.content.as_deref())
    }

    fn entry(&mut self, entry: &Entry, text: &str, hash: &str, content: Option<&str>) -> Result<(), Finding> {
        let number = entry.number;
        let Some(Owner { site, scope, .. }) = self.owner.clone() else { return Ok(()) };
        let made = hash_of(text);
        if made.as_str() != hash {
            // Its number may be what was changed.
            let number = if scope == Scope::Whole { self.last + 1 } else { number };
            return Err(self.fault(number, "its content is not what was written: the hash does not fit"));
        }
        if number <= self.last {
            return Err(self.fault(number, format!("it stands behind entry {}: doubled, or out of order", self.last)));
        }
        let follows = number == self.last + 1;
        if scope == Scope::Whole && !follows {
            return Err(self.fault(self.last + 1, format!("it is missing; entry {number} follows")));
        }
        if entry.site != site {
            return Err(self.fault(number, "it is of another site"));
        }
        let before = match (number, &self.hash) {
            (1, _) => Some(root_of(&site)),
            (_, before) => before.clone().filter(|_| follows),
        };
        if before.is_some_and(|before| entry.previous != before) {
            return Err(self.fault(number, "it does not follow the entry before it: the chain is broken"));
        }
        if let Scope::Case(incident) = scope
            && entry.incident != Some(incident)
        {
            return Err(self.fault(number, "it is of another case"));
        }
        let is = |action: Action| entry.action == action.as_str();
        let is_signed = is(Action::Receipt) || is(Action::ReceiptWrong);
        let is_sent = matches!(entry.way.as_deref(), Some(way) if way != Way::In.as_str());
        match (content, &entry.sha256) {
            (Some(content), Some(sha256)) if ContentDigest::of(content.as_bytes()).as_str() == sha256 => {}
            (None, _) if !is_signed && !is_sent => {}
            (None, _) => return Err(self.fault(number, "its content is gone")),
            (Some(_), _) => {
                return Err(self.fault(number, "its content is not what was written: the digest does not fit"));
            }
        }
        if let Some(held) = self.heads.remove(&number) {
            if held != made {
                return Err(self.fault(number, "the peer holds this site's signature for another entry"));
            }
            self.report.held = self.report.held.map(|held| held + 1);
        }
        (self.last, self.hash) = (number, Some(made));
        self.report.entries += 1;
        if entry.way.as_deref() == Some(Way::Out.as_str())
            && let (Some(sent), Some(sha256)) = (sent(entry), &entry.sha256)
        {
            self.report.sent += 1;
            self.waiting.entry(sent).or_default().push((number, sha256.clone()));
        }
        match content {
            Some(content) if is(Action::Receipt) => self.receipt(entry, content),
            Some(content) if is(Action::ReceiptWrong) => self.dispute(entry, content),
            _ => Ok(()),
        }
    }

    /// An entry that keeps what a peer has signed of several operations.
    fn receipt(&mut self, entry: &Entry, content: &str) -> Result<(), Finding> {
        let number = entry.number;
        let receipt: Receipt = self.signed(entry, content)?;
        let towards = receipt.operations.first().map(|one| one.towards);
        let checked = towards.map_or(Ok(()), |towards| receipt.check(towards));
        checked.map_err(|fault| self.fault(number, format!("the receipt proves nothing: {fault}")))?;
        let believed = self.believes(entry, &receipt.statement, &receipt.endorsements)?;
        let peer = entry.peer.clone().unwrap_or_default();
        for one in &receipt.operations {
            let sent = (peer.clone(), one.exchange.to_string(), one.seq as i64);
            let Some(waiting) = self.waiting.get_mut(&sent) else { continue };
            let Some(place) = waiting.iter().position(|(_, sha256)| sha256 == one.sha256.as_str()) else {
                let entry = waiting.first().map_or(number, |(entry, _)| *entry);
                // The site has told it itself, before it took the receipt.
                if self.disputed.contains(&(sent, one.sha256.clone(), receipt.statement.key)) {
                    continue;
                }
                return Err(self.fault(entry, format!("{peer} has signed for another operation than this one")));
            };
            waiting.remove(place);
            if waiting.is_empty() {
                self.waiting.remove(&sent);
            }
            self.count(believed);
        }
        Ok(())
    }

    /// An entry that keeps a peer's word for something else than went there.
    fn dispute(&mut self, entry: &Entry, content: &str) -> Result<(), Finding> {
        let number = entry.number;
        let proof: Proof = self.signed(entry, content)?;
        let operation = &proof.operation;
        // Without an operation, it is about the peer's own history.
        if entry.exchange.is_some() && !is_about(entry, operation) {
            return Err(self.fault(number, "its receipt is about another operation"));
        }
        proof.check().map_err(|fault| self.fault(number, format!("its receipt proves nothing: {fault}")))?;
        match self.believes(entry, &proof.statement, &[])? {
            true => {
                self.report.disputed += 1;
                self.report.first_disputed.get_or_insert(number);
            }
            false => self.report.unchecked += 1,
        }
        if let Some(sent) = sent(entry) {
            self.disputed.insert((sent, operation.sha256.clone(), proof.statement.key));
        }
        Ok(())
    }

    fn signed<T: DeserializeOwned>(&self, entry: &Entry, content: &str) -> Result<T, Finding> {
        serde_json::from_str(content)
            .map_err(|fault| self.fault(entry.number, format!("its receipt does not read: {fault}")))
    }

    /// A peer's word for one operation.
    fn proof(&mut self, entry: &Entry, proof: &Proof) -> Result<(), Finding> {
        let number = entry.number;
        if self.owner.as_ref().is_some_and(|owner| owner.scope == Scope::Whole) {
            return Err(
                self.fault(number, "a receipt stands beside it; in a whole history each is an entry of its own")
            );
        }
        let is_this = entry.way.as_deref() == Some(Way::Out.as_str())
            && entry.sha256.as_deref() == Some(proof.operation.sha256.as_str());
        if !is_this || !is_about(entry, &proof.operation) {
            return Err(self.fault(number, "its receipt is about another operation"));
        }
        proof.check().map_err(|fault| self.fault(number, format!("its receipt proves nothing: {fault}")))?;
        let believed = self.believes(entry, &proof.statement, &[])?;
        self.waiting.retain(|_, waiting| {
            waiting.retain(|(entry, _)| *entry != number);
            !waiting.is_empty()
        });
        self.count(believed);
        Ok(())
    }

    /// Whether a receipt is the word of the peer that the entry names, as far as is known here. One of the site's own is a
    /// finding: whoever writes the history can make it.
    fn believes(
        &mut self,
        entry: &Entry,
        statement: &Statement,
        endorsements: &[Endorsement],
    ) -> Result<bool, Finding> {
        let peer = entry.peer.as_deref().unwrap_or_default();
        let is_own = self.owner.as_ref().is_some_and(|owner| {
            statement.site.0.to_string() == owner.site
                || peer == owner.alias
                || self.keys.is_of(&owner.alias, statement.key)
        });
        if is_own {
            return Err(self.fault(entry.number, "its receipt is signed by the site itself, and not by the peer"));
        }
        Ok(statement.alias.as_str() == peer && self.keys.believes(peer, statement.key, endorsements))
    }

    fn count(&mut self, believed: bool) {
        match believed {
            true => self.report.proved += 1,
            false => self.report.unchecked += 1,
        }
    }

    fn end(&mut self, exported: &Exported) -> Result<(), Finding> {
        let end = &exported.end;
        let Some(Owner { alias, scope, .. }) = self.owner.clone() else { return Ok(()) };
        let wrong = |reason: &str| Finding { entry: None, reason: reason.to_owned() };
        if self.begin.as_ref() != Some(&end.export) {
            return Err(wrong("the end is that of another export than the first line begins"));
        }
        if !exported.is_sound() {
            return self.or_broken(wrong("the signature of the end does not fit"));
        }
        match (&end.lines, scope) {
            (Some(lines), Scope::Case(_)) => self.sealed(lines)?,
            (None, Scope::Whole) => {}
            _ => return self.or_broken(wrong("the end is that of another export")),
        }
        if end.head.number > self.last {
            return Err(
                self.fault(self.last + 1, format!("it is missing; the history ends with entry {}", end.head.number))
            );
        }
        let is_empty = self.hash.is_none() && end.head.number == 0;
        if !is_empty && (end.head.number != self.last || Some(&end.head.hash) != self.hash.as_ref()) {
            return Err(self.fault(end.head.number, "it is not the one with which the signed history ends"));
        }
        self.report.end_is_signed = Some(self.keys.is_of(&alias, end.key));
        self.is_over = true;
        Ok(())
    }

    /// Holds the lines of one case against those that were signed.
    fn sealed(&self, signed: &[(u64, ContentDigest)]) -> Result<(), Finding> {
        let count = self.lines.len().max(signed.len());
        let differs = |place: &usize| self.lines.get(*place) != signed.get(*place).map(|(_, digest)| digest);
        let Some(place) = (0..count).find(differs) else {
            let Some((place, finding)) = &self.broken else { return Ok(()) };
            // It was like that when it was signed.
            let entry = signed.get(*place).map(|(number, _)| *number);
            return Err(Finding { entry, reason: finding.reason.clone() });
        };
        let found = self.lines.get(place);
        let other = found.and_then(|found| signed.iter().position(|(_, digest)| digest == found));
        match (signed.get(place), other.and_then(|other| Some((other, signed.get(other)?.0)))) {
            (_, Some((other, number))) if other < place => {
                Err(self.fault(number, "it stands there again: doubled, or out of order"))
            }
            (Some((number, _)), Some((_, follows))) => {
                Err(self.fault(*number, format!("it is missing; entry {follows} follows")))
            }
            (Some((number, _)), None) if found.is_none() => Err(self.fault(*number, "it is missing")),
            (Some((number, _)), None) => match &self.broken {
                Some((broken, finding)) if *broken == place => Err(self.fault(*number, finding.reason.clone())),
                _ => Err(self.fault(*number, "it is not as it was when the end was signed, or its receipt is not")),
            },
            (None, _) => Err(Finding { entry: None, reason: "it holds more entries than were signed".into() }),
        }
    }

    /// After the last line of an export.
    pub fn exported(mut self) -> Result<Report, Finding> {
        if !self.is_over {
            let next = self.last + 1;
            let finding = match &self.owner {
                Some(Owner { scope: Scope::Whole, .. }) => {
                    self.fault(next, "it is missing, or the signed end is: the export was cut off here")
                }
                _ => {
                    let reason =
                        format!("the signed end is missing: the export was cut off behind entry {}", self.last);
                    Finding { entry: None, reason }
                }
            };
            self.or_broken(finding)?;
        }
        self.finish()
    }

    /// After the last entry of a store that has given out numbers up to that of `head`, and that tells `elsewhere` of entries.
    pub fn stored(self, head: &Head, elsewhere: &ToldElsewhere) -> Result<Report, Finding> {
        let missing = |reason: String| Err(self.fault(self.last + 1, format!("it is missing; {reason}")));
        if head.number > self.last {
            return missing(format!("entries up to {} were made", head.number));
        }
        if let Some((number, place)) = elsewhere.last.as_ref().filter(|(number, _)| *number > self.last) {
            return missing(format!("{place} goes by entry {number}"));
        }
        if let Some(lost) = &elsewhere.untold {
            return missing(lost.clone());
        }
        self.finish()
    }

    fn finish(self) -> Result<Report, Finding> {
        // Of one case, the peer's heads are mostly those of others.
        let is_whole = self.owner.as_ref().is_none_or(|owner| owner.scope == Scope::Whole);
        if let (Some((number, _)), true) = (self.heads.last_key_value(), is_whole) {
            let reason = format!("it is missing; a peer holds this site's signature for entry {number}");
            return Err(self.fault(self.last + 1, reason));
        }
        let unproved = self.waiting.values().flatten().map(|(entry, _)| *entry).min();
        let waiting = self.waiting.values().map(|waiting| waiting.len() as u64).sum();
        Ok(Report { waiting, unproved, ..self.report })
    }
}

/// What a peer's export holds of a site's own signatures: up to where the site's history went, as it said itself. Only what is
/// signed by one of the site's own keys counts.
pub fn heads_in<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    (site, alias): (&str, &Alias),
    keys: &mut Keys,
) -> BTreeMap<u64, ContentDigest> {
    let mut heads = BTreeMap::new();
    for line in lines {
        let Ok(line) = serde_json::from_slice::<Line>(line) else { continue };
        let statements = match (&line.receipt, &line.content) {
            (Some(proof), _) => proof.check().is_ok().then(|| (proof.statement.clone(), Vec::new())),
            (None, Some(content)) => serde_json::from_str::<Receipt>(content.get()).ok().and_then(|receipt| {
                let towards = receipt.operations.first()?.towards;
                receipt.check(towards).is_ok().then_some((receipt.statement, receipt.endorsements))
            }),
            _ => None,
        };
        let Some((statement, endorsements)) = statements else { continue };
        if statement.site.0.to_string() == site && keys.believes(alias.as_str(), statement.key, &endorsements) {
            heads.insert(statement.head.number, statement.head.hash);
        }
    }
    heads.remove(&0);
    heads
}

fn sent(entry: &Entry) -> Option<Sent> {
    Some((entry.peer.clone()?, entry.exchange.clone()?, entry.seq?))
}

fn is_about(entry: &Entry, operation: &Received) -> bool {
    entry.exchange == Some(operation.exchange.to_string()) && entry.seq == Some(operation.seq as i64)
}

/// The number of the entry in a line that does not read.
fn stated(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(br#"{"entry":{"number":"#)?;
    let digits = rest.split(|byte| !byte.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// One thing has one spelling: what reads, and would be written otherwise, was changed.
fn exactly<T: DeserializeOwned + Serialize>(text: &str) -> Result<T, String> {
    let value: T = serde_json::from_str(text).map_err(|fault| fault.to_string())?;
    match serde_json::to_string(&value) {
        Ok(again) if again == text => Ok(value),
        _ => Err("it is not as it was written".to_owned()),
    }
}
