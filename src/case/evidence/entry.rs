//! One entry of a site's history, in the one form that its hash is made of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::case::{Alias, ContentDigest};

/// Which way an operation went that an entry tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// The peer has taken it.
    Out,
    /// The peer has got it and does not take it.
    Refused,
    In,
    /// The peer reads it, in a record as a whole, and no operation of this site's stands for it.
    Shown,
}

impl Way {
    pub fn as_str(self) -> &'static str {
        match self {
            Way::Out => "out",
            Way::Refused => "refused",
            Way::In => "in",
            Way::Shown => "shown",
        }
    }
}

/// What went over the wire, where a line tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Travelled {
    pub peer: Alias,
    pub way: Way,
    /// The line with this number tells of it.
    pub seq: u64,
    /// Of the operation as it travelled.
    pub sha256: ContentDigest,
    /// The operation itself, where it is ours: what a peer has seen is told from it.
    pub content: Option<String>,
}

impl Travelled {
    /// An operation of ours.
    pub fn ours(peer: &Alias, way: Way, seq: u64, operation: &RawValue) -> Self {
        let text = operation.get();
        let sha256 = ContentDigest::of(text.as_bytes());
        Self { peer: peer.clone(), way, seq, sha256, content: Some(text.to_owned()) }
    }

    /// An operation of the peer's.
    pub fn theirs(peer: &Alias, seq: u64, operation: &RawValue) -> Self {
        let sha256 = ContentDigest::of(operation.get().as_bytes());
        Self { peer: peer.clone(), way: Way::In, seq, sha256, content: None }
    }
}

impl Travelled {
    /// A record that a peer reads as a whole; no operation has the number 0.
    pub fn shown(peer: &Alias, record: &RawValue) -> Self {
        let text = format!(r#"{{"kind":"record","content":{}}}"#, record.get());
        let sha256 = ContentDigest::of(text.as_bytes());
        Self { peer: peer.clone(), way: Way::Shown, seq: 0, sha256, content: Some(text) }
    }
}

/// What changed, by name: the old and the new value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Context(BTreeMap<&'static str, (Option<String>, Option<String>)>);

impl Context {
    /// The most characters that are kept of a value; the record has it whole.
    pub const SHOWN: usize = 2000;

    /// Notes a change. What stays as it was is none.
    pub fn note(&mut self, name: &'static str, old: Option<&str>, new: Option<&str>) {
        if old != new {
            let short = |value: Option<&str>| value.map(|text| text.chars().take(Self::SHOWN).collect::<String>());
            self.0.insert(name, (short(old), short(new)));
        }
    }

    /// The same with what another one has; what stands here already stays.
    pub fn with(mut self, other: &Context) -> Self {
        for (name, change) in &other.0 {
            self.0.entry(name).or_insert_with(|| change.clone());
        }
        self
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An entry as its hash sees it. Its JSON, compact and with the members in this order, is what is hashed; texts are kept as
/// they stand in the store, so that one thing has one spelling.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Counts the entries of the site, from 1.
    pub number: u64,
    /// The hash of the entry before it; of the first one [`root_of`] the site.
    pub previous: ContentDigest,
    pub site: String,
    /// The machine that made it (A-54).
    pub node: String,
    pub at: String,
    /// Absent where it is about the site and no case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<i64>,
    pub who: String,
    pub action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<String>,
    /// Of what travelled, or of the receipt that the entry keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    pub detail: String,
    /// Old and new values, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Box<RawValue>>,
}

/// An entry with what stands beside it.
#[derive(Debug, Clone)]
pub struct Kept {
    pub entry: Entry,
    pub hash: String,
    /// What `sha256` is the digest of.
    pub content: Option<String>,
}

/// The hash that stands before the first entry of a site.
pub fn root_of(site: &str) -> ContentDigest {
    ContentDigest::of(format!("casebridge history 1 {site}").as_bytes())
}

/// The text that is hashed, and its hash.
pub fn chained(entry: &Entry) -> Result<(String, ContentDigest), serde_json::Error> {
    let text = serde_json::to_string(entry)?;
    let hash = hash_of(&text);
    Ok((text, hash))
}

/// The hash of an entry's text, in which the hash before it stands.
pub fn hash_of(text: &str) -> ContentDigest {
    ContentDigest::ended(Sha256::new_with_prefix(text))
}
