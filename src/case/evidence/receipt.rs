//! What a site signs about operations that it has received: one signature for many of them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::key::{Endorsement, KeyFault, PublicKey, Signature, SigningKey};
use super::merkle::{self, Hash};
use crate::case::{Alias, ContentDigest, ExchangeId, SiteId, Towards};

/// Up to where a history goes, and the hash of its last entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// 0 where there is no entry yet.
    pub number: u64,
    pub hash: ContentDigest,
}

/// One operation that a site has received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Received {
    pub exchange: ExchangeId,
    /// Which way it travelled: to the upstream, or to the client.
    #[schema(value_type = String, pattern = "^(upstream|client)$")]
    pub towards: Towards,
    pub seq: u64,
    /// Of the operation as it travelled.
    pub sha256: ContentDigest,
    /// When the receiver's history took it up, and as which entry.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub number: u64,
}

impl Received {
    /// Its leaf: the hash of its JSON, compact, with the members in this order.
    fn leaf(&self) -> Hash {
        merkle::leaf(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// What is signed: the line `casebridge receipt 1 `, followed by the JSON of this, compact, with the members in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Statement {
    /// Who received, by the identity of its store, and by its own name.
    #[schema(value_type = String, format = "uuid")]
    pub site: SiteId,
    pub alias: Alias,
    pub key: PublicKey,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How far the receiver's own history went: it cannot be shortened behind this any more.
    pub head: Head,
    /// The root of the hash tree (RFC 6962) over the operations, and how many they are.
    pub root: ContentDigest,
    pub count: u64,
}

impl Statement {
    fn text(&self) -> Vec<u8> {
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("casebridge receipt 1 {json}").into_bytes()
    }
}

/// A statement, its signature, and the operations that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Receipt {
    pub statement: Statement,
    pub signature: Signature,
    /// In the order of the tree's leaves.
    #[schema(max_items = 1000)]
    pub operations: Vec<Received>,
    /// How the key came to speak for the site, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    pub endorsements: Vec<Endorsement>,
}

/// Why a receipt proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptFault {
    #[error("it is about {0} operations; a receipt is about 1 to {max}", max = Receipt::LIMIT)]
    Count(usize),
    #[error("its operations are not those that were signed")]
    Root,
    #[error("it is about operations that went the other way")]
    Direction,
    #[error("its signature does not fit")]
    Signature,
}

impl Receipt {
    /// The most operations of one receipt.
    pub const LIMIT: usize = 1000;

    /// Signs for operations.
    pub fn sign(
        key: &SigningKey,
        (site, alias): (SiteId, Alias),
        at: Timestamp,
        head: Head,
        operations: Vec<Received>,
        endorsements: Vec<Endorsement>,
    ) -> Result<Self, KeyFault> {
        let root = digest(&merkle::root(&leaves(&operations)));
        let count = operations.len() as u64;
        let statement = Statement { site, alias, key: key.public(), at, head, root, count };
        let signature = key.sign(&statement.text())?;
        Ok(Self { statement, signature, operations, endorsements })
    }

    /// Whether the key that it names has signed for these operations, which travelled `towards`. Whose key that is has to
    /// be known.
    pub fn check(&self, towards: Towards) -> Result<(), ReceiptFault> {
        if self.operations.iter().any(|one| one.towards != towards) {
            return Err(ReceiptFault::Direction);
        }
        let count = self.operations.len();
        if count == 0 || count > Self::LIMIT || self.statement.count != count as u64 {
            return Err(ReceiptFault::Count(count));
        }
        if digest(&merkle::root(&leaves(&self.operations))) != self.statement.root {
            return Err(ReceiptFault::Root);
        }
        check_signature(&self.statement, &self.signature)
    }

    /// What proves the operation with this place by itself.
    pub fn proof(&self, place: usize) -> Option<Proof> {
        self.proofs(&[place]).pop()
    }

    /// The same of each of these places.
    pub fn proofs(&self, places: &[usize]) -> Vec<Proof> {
        let leaves = leaves(&self.operations);
        let proof = |place: &usize| {
            Some(Proof {
                operation: self.operations.get(*place)?.clone(),
                place: *place as u64,
                path: merkle::path(&leaves, *place).iter().map(digest).collect(),
                statement: self.statement.clone(),
                signature: self.signature,
            })
        };
        places.iter().filter_map(proof).collect()
    }
}

/// A peer's word for one operation, with the way to what it signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    pub operation: Received,
    pub place: u64,
    pub path: Vec<ContentDigest>,
    pub statement: Statement,
    pub signature: Signature,
}

impl Proof {
    pub fn check(&self) -> Result<(), ReceiptFault> {
        let path: Vec<Hash> = self.path.iter().map(bytes).collect();
        let (place, count) = (self.place as usize, self.statement.count as usize);
        let root = merkle::climb(self.operation.leaf(), place, count, &path);
        if root.as_ref().map(digest) != Some(self.statement.root.clone()) {
            return Err(ReceiptFault::Root);
        }
        check_signature(&self.statement, &self.signature)
    }
}

fn check_signature(statement: &Statement, signature: &Signature) -> Result<(), ReceiptFault> {
    match statement.key.verifies(&statement.text(), signature) {
        true => Ok(()),
        false => Err(ReceiptFault::Signature),
    }
}

fn leaves(operations: &[Received]) -> Vec<Hash> {
    operations.iter().map(Received::leaf).collect()
}

fn digest(hash: &Hash) -> ContentDigest {
    ContentDigest::from_bytes(hash)
}

fn bytes(digest: &ContentDigest) -> Hash {
    digest.to_bytes()
}
