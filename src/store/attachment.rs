//! Attachments on their way between sites: what goes to a peer, what is awaited from one, and the content itself, which
//! is read and written in pieces and never whole.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::case::{Alias, AttachmentNote, ContentDigest, ExchangeId, IncidentId, Transfer};

/// A file that a peer announced, as an operation brought it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    pub note: AttachmentNote,
    /// Why it is not taken.
    pub refused: Option<String>,
    pub at: Timestamp,
}

/// A file of which nobody decided yet whether it goes to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueAttachment {
    pub id: i64,
    pub incident: IncidentId,
    pub peer: Alias,
    pub name: String,
    pub content: i64,
    pub bytes: u64,
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prepared {
    /// It goes, with this content; under another name than its own where that has an address which is hidden.
    Ready {
        content: i64,
        told_as: Option<String>,
    },
    Skipped {
        reason: String,
    },
}

/// A file whose content has to move between this site and its upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moving {
    pub id: i64,
    pub incident: IncidentId,
    pub exchange: ExchangeId,
    pub content: i64,
    pub sha256: ContentDigest,
    pub bytes: u64,
    /// Bytes of it that are here.
    pub received: u64,
    /// Of one that goes, where its announcement stands among the others; see [`Announced`](crate::case::Announced).
    pub position: i64,
}

/// A file that was given up on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedFile {
    pub incident: IncidentId,
    pub peer: Alias,
    pub exchange: ExchangeId,
    /// As the peer knows it.
    pub name: String,
    /// Whether it was to go to the peer, and not to come from there.
    pub goes: bool,
    pub reason: String,
}

/// A file that a peer announced in one of its exchanges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    pub incident: IncidentId,
    pub content: i64,
    pub bytes: u64,
    pub received: u64,
    /// Why its content is not taken, now or ever.
    pub refused: Option<String>,
    /// Whether the incident's exchange is switched on.
    pub active: bool,
}

/// A file that was announced to a peer in one of its exchanges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    pub id: i64,
    pub content: i64,
    pub bytes: u64,
    /// Whether the incident's exchange is switched on.
    pub active: bool,
}

/// What became of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// So many bytes are here now.
    Part(u64),
    /// All are here and the digest is right; who waited for the file has it.
    Complete,
    /// It does not go on where the content ends, which is here.
    Elsewhere(u64),
    /// All were here, and it was another file: it has to begin anew.
    WrongDigest,
}

/// Content of the site's own that is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    pub content: i64,
    pub received: u64,
    pub complete: bool,
}

/// What a peer says of itself counts for that peer's own content only.
#[async_trait]
pub trait AttachmentStore: Send + Sync {
    /// Up to `limit` files of which nobody decided yet whether they go to a peer.
    async fn due_attachments(&self, limit: usize) -> Result<Vec<DueAttachment>, StoreError>;

    /// Sets the decision. What is ready is a change of the incident. Said twice, it changes nothing.
    async fn prepared(&self, id: i64, prepared: Prepared, at: Timestamp) -> Result<(), StoreError>;

    /// Up to `limit` files that are ready for `peer` and have not gone, after the one numbered `after`; none of an incident
    /// whose exchange is switched off.
    async fn uploads(&self, peer: &Alias, after: i64, limit: usize) -> Result<Vec<Moving>, StoreError>;

    /// Up to `limit` files that are awaited from `peer`, after the one numbered `after`; none of an incident whose exchange is
    /// switched off.
    async fn downloads(&self, peer: &Alias, after: i64, limit: usize) -> Result<Vec<Moving>, StoreError>;

    /// The file with this digest that `peer` announced in this exchange.
    async fn expected(
        &self,
        peer: &Alias,
        exchange: ExchangeId,
        sha256: &ContentDigest,
    ) -> Result<Option<Expected>, StoreError>;

    /// The file with this digest that was announced to `peer` in this exchange.
    async fn offered(
        &self,
        peer: &Alias,
        exchange: ExchangeId,
        sha256: &ContentDigest,
    ) -> Result<Option<Offered>, StoreError>;

    /// Up to `most` bytes of a content from `start` on; none at its end.
    async fn content(&self, content: i64, start: u64, most: usize) -> Result<Vec<u8>, StoreError>;

    /// Adds a piece to a content, where it ends. The last one is checked against the digest, and with it the files that
    /// wait for the content arrive.
    async fn append(&self, content: i64, start: u64, data: Vec<u8>, at: Timestamp) -> Result<Appended, StoreError>;

    /// Content of the site's own, known by its digest; begun or there already.
    async fn begin_content(&self, sha256: &ContentDigest, bytes: u64) -> Result<Begun, StoreError>;

    /// The outcome of a file that was ready: gone, or why not. Said twice, it changes nothing.
    async fn gone(&self, id: i64, outcome: Result<(), String>, at: Timestamp) -> Result<(), StoreError>;

    /// A peer fetched the bytes of a ready file from `start` up to `end`, which is the first that it did not.
    /// Once all were, from the first on and in whatever pieces, the file is gone.
    async fn served(&self, id: i64, start: u64, end: u64, at: Timestamp) -> Result<(), StoreError>;

    /// Gives up a file that is awaited from a peer.
    async fn given_up(&self, id: i64, reason: String, at: Timestamp) -> Result<(), StoreError>;

    /// The files of these incidents that were announced between this site and `peer`, in either direction, by name; one that
    /// came and is not there any more is none.
    async fn announced_files(
        &self,
        peer: &Alias,
        incidents: &[IncidentId],
    ) -> Result<HashMap<IncidentId, BTreeMap<String, ContentDigest>>, StoreError>;

    /// Files that went to a peer, or were given up, are ready to go there once more.
    async fn ready_again(&self, incident: IncidentId, peer: &Alias, names: Vec<String>) -> Result<(), StoreError>;

    /// Up to `limit` files that were given up: of one incident, or of all whose exchange is not over.
    async fn failed_files(&self, incident: Option<IncidentId>, limit: usize) -> Result<Vec<FailedFile>, StoreError>;

    /// What was given up, of one incident or of all, is tried once more: what goes is decided about and announced anew, what
    /// comes is awaited again. The history says who asked. Returns how many files.
    async fn retry_files(&self, incident: Option<IncidentId>, who: &str, at: Timestamp) -> Result<u64, StoreError>;

    /// How the files of one incident stand towards its peers.
    async fn transfers(&self, incident: IncidentId) -> Result<Vec<Transfer>, StoreError>;
}
