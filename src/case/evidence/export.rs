//! A history as it is handed out: one JSON value a line. The first says whose it is, the last one, signed, where it ends.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::entry::{Kept, chained};
use super::key::{KeyFault, PublicKey, Signature, SigningKey};
use super::receipt::{Head, Proof};
use crate::case::{Alias, ContentDigest};

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    pub export: Whose,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whose {
    /// Of this format: 1.
    pub version: u32,
    pub site: String,
    pub alias: Alias,
    /// Present where it is the history of one case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<i64>,
}

/// The line of an entry. Its hash is that of the bytes of `entry` as they stand here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    pub entry: Box<RawValue>,
    pub hash: String,
    /// What `sha256` in the entry is the digest of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Box<RawValue>>,
    /// Beside an operation of one case: the peer's word for it. In a whole history the receipts are entries of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Proof>,
}

impl Line {
    pub fn of(kept: &Kept, receipt: Option<Proof>) -> Result<Self, serde_json::Error> {
        let (text, _) = chained(&kept.entry)?;
        // What is no JSON any more is handed out all the same; its digest tells.
        let json = |text: &String| {
            RawValue::from_string(text.clone()).or_else(|_| RawValue::from_string(serde_json::to_string(text)?))
        };
        let content = kept.content.as_ref().map(json).transpose()?;
        Ok(Self { entry: RawValue::from_string(text)?, hash: kept.hash.clone(), content, receipt })
    }

    /// What the end of an export of one case holds of it.
    pub fn sealed(&self) -> Result<ContentDigest, serde_json::Error> {
        Ok(ContentDigest::of(&serde_json::to_vec(self)?))
    }
}

/// Where an export ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// As in the first line.
    pub export: Whose,
    /// The last entry.
    pub head: Head,
    /// Of one case, whose entries do not follow one another: of each the number, and the SHA-256 of its line as it stands
    /// here, with its content and its receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<Vec<(u64, ContentDigest)>>,
    pub at: Timestamp,
    pub key: PublicKey,
}

impl End {
    fn text(&self) -> Vec<u8> {
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("casebridge export 1 {json}").into_bytes()
    }

    pub fn signed(self, key: &SigningKey) -> Result<Exported, KeyFault> {
        let signature = key.sign(&self.text())?;
        Ok(Exported { end: self, signature })
    }
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exported {
    pub end: End,
    /// Over the line `casebridge export 1 `, followed by the JSON of `end` as it stands here.
    pub signature: Signature,
}

impl Exported {
    pub fn is_sound(&self) -> bool {
        self.end.key.verifies(&self.end.text(), &self.signature)
    }
}
