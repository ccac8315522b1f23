//! The inbox: files that someone deposits become incidents (design, section 7).
//!
//! In reading order: [`bundle`] and [`incident`] read the two formats, [`read()`] chooses between them and checks,
//! [`Inbox`] watches a directory, [`Attachments`] adds what a deposit only lists. A file that cannot be taken goes to
//! quarantine with the reason beside it, and the files behind it go on (A-12).
//!
//! ```text
//! <inbox>/                 deposits; names beginning with "." or ending in ".part" or ".tmp" are left alone
//! <inbox>/attachments/     files that deposits only list
//! <inbox>/done/            what the engine has
//! <inbox>/quarantine/      what was refused, each with <name>.reason beside it
//! ```
//!
//! [`mail`] watches directories of mails in the same way.

pub mod bundle;
pub mod incident;
pub mod mail;

mod encoding;
mod engine;
mod files;
mod folder;
#[cfg(test)]
mod fuzz;
mod late;
mod look;
mod place;
mod read;
#[cfg(test)]
mod samples;
mod settled;
mod shown;
mod time;
mod watch;

pub use encoding::EncodingFault;
pub use late::{Attachments, FetchSummary};
pub use read::{Fault, Format, read};
pub use shown::shown;
pub use watch::{Inbox, PassSummary};

use std::path::Path;

use crate::case::{ContentDigest, Deposit, IncidentId};

/// What the inbox asks of the engine.
#[async_trait::async_trait]
pub trait Depositor: Send + Sync {
    /// Stores the deposits and answers once they are durable: one result each, in order. A host event ID that is
    /// already known, also from earlier in the same batch, changes nothing and answers with `new: false` (A-07). After
    /// an error any part of the batch may be stored; the inbox brings all of it again.
    async fn deposit(&self, deposits: Vec<Deposit>) -> Result<Vec<Deposited>, DepositError>;

    /// At most `limit` attachments that are awaited (A-13), those with the lowest IDs above `after`, in ascending order.
    async fn awaited_attachments(&self, after: i64, limit: usize) -> Result<Vec<Awaited>, DepositError>;

    /// A content with this digest, to be written in pieces; what was written before is still there.
    async fn begin_content(&self, sha256: &ContentDigest, bytes: u64) -> Result<Begun, DepositError>;

    /// Adds a piece to a content where it ends, and answers once it is durable.
    async fn append(&self, content: i64, start: u64, piece: Vec<u8>) -> Result<(), DepositError>;

    /// Gives an awaited attachment a content that is whole, and answers once that is durable. One that is already there
    /// is left as it is, without an error.
    async fn add_attachment(&self, id: i64, content: i64) -> Result<(), DepositError>;

    /// The directory cannot be used for a reason, or can be again.
    fn blocked(&self, dir: &Path, reason: Option<&str>);
}

/// A content that is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    pub content: i64,
    /// So many bytes are there.
    pub received: u64,
}

/// What became of a deposit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deposited {
    pub incident: IncidentId,
    /// Whether this deposit made the incident.
    pub new: bool,
}

/// An attachment that an incident lists and nobody has seen yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// The attachment's own number in the store. Later ones have higher numbers.
    pub id: i64,
    pub incident: IncidentId,
    pub host_event_id: String,
    pub name: String,
    /// The group of the incident. An inbox with a group serves only its own.
    pub group: Option<String>,
}

/// Why the engine did not take something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DepositError {
    /// The store is busy or down: the same may succeed later.
    #[error("{0}")]
    Transient(String),
    /// It will never be taken as it is; the reason is for a person.
    #[error("{0}")]
    Refused(String),
}
