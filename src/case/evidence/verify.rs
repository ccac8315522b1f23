//! Reads a history, entry by entry, and names the first one that is not as it was written. It needs the history and public
//! keys, and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::entry::{Entry, Kept, Way, chained, hash_of, root_of};
use super::export::{Begin, Exported, Line, Whose};
use super::key::{Endorsement, PublicKey};
use super::receipt::{Head, Proof, Receipt, Statement};
use crate::case::{Action, ContentDigest};

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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    pub entries: u64,
    /// Operations that went to peers and were taken there.
    pub sent: u64,
    /// So many of them a peer has signed for, by a key that is known here.
    pub proved: u64,
    /// So many by a key that is not.
    pub unchecked: u64,
    /// The first one that no peer has signed for.
    pub unproved: Option<u64>,
    /// Whether the end is signed by a key that is known here: a history that was cut off would show.
    pub end_is_signed: bool,
    /// Entries that a peer holds this site's own signature for.
    pub held: u64,
}

/// Public keys that are believed.
#[derive(Debug, Clone, Default)]
pub struct Keys(BTreeSet<PublicKey>);

impl Keys {
    pub fn add(&mut self, key: PublicKey) {
        self.0.insert(key);
    }

    /// Reads a file of keys: the first word of each line that is not empty and no comment.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut keys = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(word) = line.split_whitespace().next().filter(|word| !word.starts_with('#')) {
                keys.add(word.parse().map_err(|fault| format!("line {}: {fault}", number + 1))?);
            }
        }
        Ok(keys)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn with(mut self, other: Keys) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether a key is believed, by itself or by the word of one that is.
    fn believes(&mut self, key: PublicKey, endorsements: &[Endorsement]) -> bool {
        let believed = self.0.contains(&key) || self.0.iter().any(|known| Endorsement::lead(endorsements, *known, key));
        if believed {
            self.0.insert(key);
        }
        believed
    }
}

/// Whether the entries are those of a site or of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Scope {
    Whole,
    Case(i64),
}

/// Takes the entries one by one.
pub struct Verifier {
    keys: Keys,
    /// What this site has signed for and peers hold.
    heads: BTreeMap<u64, ContentDigest>,
    whose: Option<(String, Scope)>,
    /// The first line of an export.
    begin: Option<Whose>,
    last: u64,
    hash: Option<ContentDigest>,
    numbers: Vec<u64>,
    /// Operations that wait for a receipt: by peer, exchange and number, the entry and the digest.
    waiting: HashMap<(String, String, i64), Vec<(u64, String)>>,
    report: Report,
    is_over: bool,
}

impl Verifier {
    /// Of an export, line by line.
    pub fn of_export(keys: Keys) -> Self {
        Self {
            keys,
            heads: BTreeMap::new(),
            whose: None,
            begin: None,
            last: 0,
            hash: None,
            numbers: Vec::new(),
            waiting: HashMap::new(),
            report: Report::default(),
            is_over: false,
        }
    }

    /// Of a store, entry by entry.
    pub fn of_store(keys: Keys, site: &str) -> Self {
        Self { whose: Some((site.to_owned(), Scope::Whole)), ..Self::of_export(keys) }
    }

    /// With what a peer's own export holds of this site's signatures: the history cannot be shorter than that.
    pub fn held_by_a_peer(mut self, heads: BTreeMap<u64, ContentDigest>) -> Self {
        self.heads = heads;
        self
    }

    fn fault(&self, entry: u64, reason: impl Into<String>) -> Finding {
        Finding { entry: Some(entry), reason: reason.into() }
    }

    /// The next line of an export.
    pub fn line(&mut self, text: &str) -> Result<(), Finding> {
        let next = self.last + 1;
        if self.is_over {
            return Err(Finding { entry: None, reason: "something stands behind the signed end".into() });
        }
        if self.whose.is_none() {
            let begin: Begin = exactly(text).map_err(|fault| Finding {
                entry: None,
                reason: format!("the first line is not the beginning of an export: {fault}"),
            })?;
            if begin.export.version != 1 {
                let reason = format!("the export is of version {}, and this program knows 1", begin.export.version);
                return Err(Finding { entry: None, reason });
            }
            let scope = begin.export.incident.map_or(Scope::Whole, Scope::Case);
            self.whose = Some((begin.export.site.clone(), scope));
            self.begin = Some(begin.export);
            return Ok(());
        }
        if text.starts_with("{\"end\":") {
            let end: Exported = exactly(text)
                .map_err(|fault| Finding { entry: None, reason: format!("the end does not read: {fault}") })?;
            return self.end(&end);
        }
        let line: Line = exactly(text).map_err(|fault| self.fault(next, format!("it does not read: {fault}")))?;
        let entry: Entry =
            exactly(line.entry.get()).map_err(|fault| self.fault(next, format!("it does not read: {fault}")))?;
        let content = line.content.as_ref().map(|content| content.get());
        self.entry(&entry, line.entry.get(), &line.hash, content)?;
        match &line.receipt {
            Some(proof) => self.proof(&entry, proof),
            None => Ok(()),
        }
    }

    /// The next entry of a store.
    pub fn kept(&mut self, kept: &Kept) -> Result<(), Finding> {
        let (text, _) = chained(&kept.entry).map_err(|fault| self.fault(kept.entry.number, fault.to_string()))?;
        self.entry(&kept.entry, &text, &kept.hash, kept.content.as_deref())
    }

    fn entry(&mut self, entry: &Entry, text: &str, hash: &str, content: Option<&str>) -> Result<(), Finding> {
        let number = entry.number;
        let Some((site, scope)) = self.whose.clone() else { return Ok(()) };
        let made = hash_of(text);
        if made.as_str() != hash {
            // Its number may be what was changed.
            let number = if scope == Scope::Whole { self.last + 1 } else { number };
            return Err(self.fault(number, "its content is not what was written: the hash does not fit"));
        }
        if number <= self.last {
            return Err(self.fault(number, format!("it stands behind entry {}: doubled, or out of order", self.last)));
        }
        if scope == Scope::Whole && number != self.last + 1 {
            return Err(self.fault(self.last + 1, format!("it is missing; entry {number} follows")));
        }
        if entry.site != site {
            return Err(self.fault(number, "it is of another site"));
        }
        match scope {
            Scope::Whole => {
                let before = self.hash.clone().unwrap_or_else(|| root_of(&site));
                if entry.previous != before {
                    return Err(self.fault(number, "it does not follow the entry before it: the chain is broken"));
                }
            }
            Scope::Case(incident) if entry.incident != Some(incident) => {
                return Err(self.fault(number, "it is of another case"));
            }
            Scope::Case(_) => self.numbers.push(number),
        }
        let is_receipt = entry.action == Action::Receipt.as_str();
        let is_sent = matches!(entry.way.as_deref(), Some(way) if way != Way::In.as_str());
        match (content, &entry.sha256) {
            (Some(content), Some(sha256)) if ContentDigest::of(content.as_bytes()).as_str() == sha256 => {}
            (None, _) if !is_receipt && !is_sent => {}
            (None, _) => return Err(self.fault(number, "its content is gone")),
            (Some(_), _) => {
                return Err(self.fault(number, "its content is not what was written: the digest does not fit"));
            }
        }
        if let Some(held) = self.heads.remove(&number) {
            if held != made {
                return Err(self.fault(number, "the peer holds this site's signature for another entry"));
            }
            self.report.held += 1;
        }
        (self.last, self.hash) = (number, Some(made));
        self.report.entries += 1;
        if entry.way.as_deref() == Some(Way::Out.as_str())
            && let (Some(peer), Some(exchange), Some(seq), Some(sha256)) =
                (&entry.peer, &entry.exchange, entry.seq, &entry.sha256)
        {
            self.report.sent += 1;
            let key = (peer.clone(), exchange.clone(), seq);
            self.waiting.entry(key).or_default().push((number, sha256.clone()));
        }
        match content.filter(|_| is_receipt) {
            Some(content) => self.receipt(entry, content),
            None => Ok(()),
        }
    }

    fn receipt(&mut self, entry: &Entry, content: &str) -> Result<(), Finding> {
        let number = entry.number;
        let receipt: Receipt = serde_json::from_str(content)
            .map_err(|fault| self.fault(number, format!("its receipt does not read: {fault}")))?;
        let towards = receipt.operations.first().map(|one| one.towards);
        let checked = towards.map_or(Ok(()), |towards| receipt.check(towards));
        checked.map_err(|fault| self.fault(number, format!("the receipt proves nothing: {fault}")))?;
        let believed = self.believes(&receipt.statement, &receipt.endorsements);
        let peer = entry.peer.clone().unwrap_or_default();
        for one in &receipt.operations {
            let key = (peer.clone(), one.exchange.to_string(), one.seq as i64);
            let Some(waiting) = self.waiting.get_mut(&key) else { continue };
            let Some(place) = waiting.iter().position(|(_, sha256)| sha256 == one.sha256.as_str()) else {
                let entry = waiting.first().map_or(number, |(entry, _)| *entry);
                return Err(self.fault(entry, format!("{peer} has signed for another operation than this one")));
            };
            waiting.remove(place);
            if waiting.is_empty() {
                self.waiting.remove(&key);
            }
            self.count(believed);
        }
        Ok(())
    }

    /// A peer's word for one operation.
    fn proof(&mut self, entry: &Entry, proof: &Proof) -> Result<(), Finding> {
        let number = entry.number;
        let is_this = entry.exchange == Some(proof.operation.exchange.to_string())
            && entry.seq == Some(proof.operation.seq as i64)
            && entry.sha256.as_deref() == Some(proof.operation.sha256.as_str());
        if !is_this {
            return Err(self.fault(number, "its receipt is about another operation"));
        }
        proof.check().map_err(|fault| self.fault(number, format!("its receipt proves nothing: {fault}")))?;
        let believed = self.believes(&proof.statement, &[]);
        self.waiting.retain(|_, waiting| {
            waiting.retain(|(entry, _)| *entry != number);
            !waiting.is_empty()
        });
        self.count(believed);
        Ok(())
    }

    fn believes(&mut self, statement: &Statement, endorsements: &[Endorsement]) -> bool {
        self.keys.believes(statement.key, endorsements)
    }

    fn count(&mut self, believed: bool) {
        match believed {
            true => self.report.proved += 1,
            false => self.report.unchecked += 1,
        }
    }

    fn end(&mut self, exported: &Exported) -> Result<(), Finding> {
        let end = &exported.end;
        let Some((_, scope)) = &self.whose else { return Ok(()) };
        let wrong = |reason: &str| Err(Finding { entry: None, reason: reason.to_owned() });
        if self.begin.as_ref() != Some(&end.export) {
            return wrong("the end is that of another export than the first line begins");
        }
        if !exported.is_sound() {
            return wrong("the signature of the end does not fit");
        }
        match (&end.numbers, scope) {
            (Some(numbers), Scope::Case(_)) => {
                let missing = numbers.iter().zip(self.numbers.iter().map(Some).chain(std::iter::repeat(None)));
                if let Some((number, _)) = missing.into_iter().find(|(number, found)| Some(*number) != *found) {
                    return Err(self.fault(*number, "it is missing"));
                }
                if numbers.len() != self.numbers.len() {
                    return wrong("it holds more entries than were signed");
                }
            }
            (None, Scope::Whole) => {}
            _ => return wrong("the end is that of another export"),
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
        self.report.end_is_signed = self.keys.believes(end.key, &[]);
        self.is_over = true;
        Ok(())
    }

    /// After the last line of an export.
    pub fn exported(self) -> Result<Report, Finding> {
        if !self.is_over {
            let next = self.last + 1;
            return Err(self.fault(next, "it is missing, or the signed end is: the export was cut off here"));
        }
        self.finish()
    }

    /// After the last entry of a store that has given out numbers up to that of `head`.
    pub fn stored(self, head: &Head) -> Result<Report, Finding> {
        if head.number > self.last {
            let next = self.last + 1;
            return Err(self.fault(next, format!("it is missing; entries up to {} were made", head.number)));
        }
        self.finish()
    }

    fn finish(self) -> Result<Report, Finding> {
        // Of one case, the peer's heads are mostly those of others.
        let is_whole = !matches!(self.whose, Some((_, Scope::Case(_))));
        if let (Some((number, _)), true) = (self.heads.last_key_value(), is_whole) {
            let reason = format!("it is missing; a peer holds this site's signature for entry {number}");
            return Err(self.fault(self.last + 1, reason));
        }
        let unproved = self.waiting.values().flatten().map(|(entry, _)| *entry).min();
        Ok(Report { unproved, ..self.report })
    }
}

/// What a peer's export holds of a site's own signatures: up to where the site's history went, as it said itself. Only what is
/// signed by one of the site's keys counts.
pub fn heads_in<'a>(lines: impl Iterator<Item = &'a str>, site: &str, keys: &mut Keys) -> BTreeMap<u64, ContentDigest> {
    let mut heads = BTreeMap::new();
    for line in lines {
        let Ok(line) = serde_json::from_str::<Line>(line) else { continue };
        let statements = match (&line.receipt, &line.content) {
            (Some(proof), _) => proof.check().is_ok().then(|| (proof.statement.clone(), Vec::new())),
            (None, Some(content)) => serde_json::from_str::<Receipt>(content.get()).ok().and_then(|receipt| {
                let towards = receipt.operations.first()?.towards;
                receipt.check(towards).is_ok().then_some((receipt.statement, receipt.endorsements))
            }),
            _ => None,
        };
        let Some((statement, endorsements)) = statements else { continue };
        if statement.site.0.to_string() == site && keys.believes(statement.key, &endorsements) {
            heads.insert(statement.head.number, statement.head.hash);
        }
    }
    heads.remove(&0);
    heads
}

/// One thing has one spelling: what reads, and would be written otherwise, was changed.
fn exactly<T: DeserializeOwned + Serialize>(text: &str) -> Result<T, String> {
    let value: T = serde_json::from_str(text).map_err(|fault| fault.to_string())?;
    match serde_json::to_string(&value) {
        Ok(again) if again == text => Ok(value),
        _ => Err("it is not as it was written".to_owned()),
    }
}
