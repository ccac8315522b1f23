//! What happened at this site: the lines of the history in the order of their commits, read by whoever reacts to them.
//!
//! A reader has a place that outlives a restart. It moves in the transaction that writes what the lines led to, so that
//! each line leads to it once, whatever crashes in between.

use async_trait::async_trait;
use tokio::sync::watch;

use super::StoreError;
use crate::case::{HistoryLine, IncidentId};

/// A line of the history, with its number: a later one has a higher one.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub number: i64,
    pub line: HistoryLine,
}

/// What a reader has before it.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    pub events: Vec<Event>,
    /// The page as a whole.
    pub seen: PageSeen,
}

/// Lines that a reader is done with: those after `after` up to `through`. It counts when the place of the reader is still
/// at `after`, so that of two who read the same lines one does what they lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSeen {
    pub consumer: &'static str,
    pub after: i64,
    pub through: i64,
}

impl PageSeen {
    /// Whether there is no line between its ends.
    pub fn is_empty(&self) -> bool {
        self.through <= self.after
    }
}

/// What another program's change means, where the history does not say so yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Untold {
    /// The incident is new.
    Detected,
    /// Its case got an ID.
    CaseAssigned,
}

#[async_trait]
pub trait EventStore: Send + Sync {
    /// Gives each of these readers a place, at the end of what has happened, unless it has one.
    async fn follow(&self, consumers: &[&'static str]) -> Result<(), StoreError>;

    /// Up to `limit` lines after the reader's place, oldest first; none for a reader that was never given one.
    async fn events(&self, consumer: &'static str, limit: usize) -> Result<EventPage, StoreError>;

    /// From the reader's place to the end of what has happened, without its lines; empty for a reader that was never given one.
    async fn unread(&self, consumer: &'static str) -> Result<PageSeen, StoreError>;

    /// Moves a reader's place past lines that lead to nothing; says whether it still stood before them. What they do lead
    /// to is written by a verb of the reader's own, which moves the place itself.
    async fn pass(&self, seen: PageSeen) -> Result<bool, StoreError>;

    /// Sees a new value when something may have happened.
    fn happenings(&self) -> watch::Receiver<()>;

    /// What of these incidents the history does not tell yet. Only one may ask and tell at a time.
    async fn untold(&self, incidents: &[IncidentId]) -> Result<Vec<(IncidentId, Untold)>, StoreError>;
}
