//! History as evidence (H-07): the whole of it, in order; what peers signed of it; and whose keys those are.

use std::collections::HashSet;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::case::evidence::{Context, Endorsement, Head, Kept, PublicKey, Receipt};
use crate::case::{Action, Alias, ContentDigest, ExchangeId, IncidentId};

/// Which entries are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    All,
    Incident(IncidentId),
    /// What went to a peer, of one incident or of all.
    Sent {
        peer: Alias,
        incident: Option<IncidentId>,
    },
}

/// An entry about the site and no case.
#[derive(Debug, Clone)]
pub struct Note {
    pub at: Timestamp,
    pub who: String,
    pub action: Action,
    pub peer: Option<Alias>,
    pub detail: String,
    pub context: Context,
}

/// An operation of a peer's that stands in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    pub number: u64,
    pub at: Timestamp,
    pub exchange: ExchangeId,
    pub seq: u64,
    pub sha256: ContentDigest,
}

/// How far receipts have gone between this site and a peer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks {
    /// The peer has our receipts for its operations up to this entry of ours.
    pub given: u64,
    /// We have its receipts for our operations up to this entry of its own.
    pub taken: u64,
    /// Our entries up to this one were looked through for operations that have no receipt.
    pub looked: u64,
}

/// Operations of ours, each by its exchange and number.
pub type OnTheWay = HashSet<(ExchangeId, u64)>;

/// What became of a peer's receipt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taking {
    /// Operations of ours that it proves, and that nothing proved before.
    pub proved: usize,
    /// What it says that is not so, a sentence each.
    pub wrong: Vec<String>,
    /// The last entry of the peer's up to which nothing has to be asked again.
    pub through: u64,
}

/// What has no receipt though it could have one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unproved {
    pub operations: usize,
    /// The first of them, as an entry of ours.
    pub first: Option<u64>,
    /// Whether there is more to look through.
    pub more: bool,
}

/// How a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStanding {
    Present,
    Past,
    /// The peer shows it, and a person has to say whether it is the peer's.
    Offered,
}

impl KeyStanding {
    pub const ALL: [KeyStanding; 3] = [KeyStanding::Present, KeyStanding::Past, KeyStanding::Offered];

    pub fn as_str(self) -> &'static str {
        match self {
            KeyStanding::Present => "present",
            KeyStanding::Past => "past",
            KeyStanding::Offered => "offered",
        }
    }
}

/// A public key of a peer's, or of this site where there is no peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    pub peer: Option<Alias>,
    pub key: PublicKey,
    pub standing: KeyStanding,
    pub since: Timestamp,
    pub endorsement: Option<Endorsement>,
}

#[async_trait]
pub trait HistoryStore: Send + Sync {
    /// Up to `limit` entries behind the one numbered `after`, oldest first.
    async fn entries(&self, of: &Of, after: u64, limit: usize) -> Result<Vec<Kept>, StoreError>;

    /// Where the history ends. A number that was given out and is gone counts as well.
    async fn head(&self) -> Result<Head, StoreError>;

    /// Adds an entry about the site itself.
    async fn note(&self, note: Note) -> Result<(), StoreError>;

    /// The tokens that the history tells of, each by its ID, and whether they were revoked.
    async fn noted_tokens(&self) -> Result<Vec<(String, bool)>, StoreError>;

    /// Adds the entries about tokens, and remembers of which they tell.
    async fn note_tokens(&self, noted: Vec<(String, bool)>, notes: Vec<Note>) -> Result<(), StoreError>;

    /// Up to `limit` operations of `peer` behind the entry numbered `after`, oldest first.
    async fn arrived(&self, peer: &Alias, after: u64, limit: usize) -> Result<Vec<Arrived>, StoreError>;

    /// Puts a peer's receipt beside the operations that it proves; one that proves nothing new leaves nothing. What it says
    /// that is not so is an entry of its own, once. Its signature was checked before. What is `on_the_way` the peer may have
    /// taken, and this history does not tell of it yet: it is asked for again.
    async fn take_receipt(
        &self,
        peer: &Alias,
        receipt: &Receipt,
        on_the_way: &OnTheWay,
        at: Timestamp,
    ) -> Result<Taking, StoreError>;

    /// The receipts that stand beside these entries, each with the entry's place in it; those that the entries up to `until`
    /// keep.
    async fn receipts_of(&self, entries: &[u64], until: u64) -> Result<Vec<(u64, Receipt, usize)>, StoreError>;

    async fn marks(&self, peer: &Alias) -> Result<Marks, StoreError>;

    /// Moves the marks that are given here.
    async fn mark(&self, peer: &Alias, given: Option<u64>, taken: Option<u64>) -> Result<(), StoreError>;

    /// Looks through up to `limit` operations that `peer` took before `before`, each once.
    async fn look_for_unproved(&self, peer: &Alias, before: Timestamp, limit: usize) -> Result<Unproved, StoreError>;

    /// The keys of a peer, of this site with none, oldest first.
    async fn keys(&self, peer: Option<&Alias>) -> Result<Vec<KnownKey>, StoreError>;

    /// Sets how a key stands, with the entry that says so. A present one makes the one before it a past one; of those that
    /// are offered the last one counts.
    async fn set_key(&self, key: KnownKey, note: Note) -> Result<(), StoreError>;
}
