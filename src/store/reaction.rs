//! Reaction policies, and what they have led to: a queue of deeds, each of which is entered once for its event.

use async_trait::async_trait;
use jiff::Timestamp;

use super::history::Note;
use super::{PageSeen, StoreError};
use crate::case::{IncidentId, Reactions};

/// The list as it was read. It is written back only when nobody else did so in between.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReactionList {
    pub version: i64,
    pub reactions: Reactions,
}

/// One deed of one policy on one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    pub event: i64,
    pub reaction: i64,
    /// Which of the policy's actions, from 0.
    pub action: u32,
    pub incident: IncidentId,
    /// The policy's.
    pub name: String,
    pub target: String,
    pub attach_bundle: bool,
    /// What is told, as JSON; the same in every attempt.
    pub message: String,
    pub at: Timestamp,
}

/// A deed that is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub id: i64,
    pub event: i64,
    pub reaction: i64,
    pub action: u32,
    pub incident: IncidentId,
    pub name: String,
    pub target: String,
    pub attach_bundle: bool,
    pub message: String,
    pub queued_at: Timestamp,
    /// Those that were begun.
    pub attempts: u32,
    pub last_error: Option<String>,
}

/// A file of an incident, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleFile {
    pub name: String,
    pub content: i64,
    pub bytes: u64,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    Done,
    Again { at: Timestamp, reason: String },
    GivenUp { reason: String },
}

/// What the queue holds, and the newest of what was given up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunPage {
    pub due: u64,
    pub given_up: u64,
    /// Waiting ones that failed before, and given up ones.
    pub runs: Vec<(Run, RunState)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    Due { at: Timestamp },
    GivenUp,
}

#[async_trait]
pub trait ReactionStore: Send + Sync {
    async fn reactions(&self) -> Result<ReactionList, StoreError>;

    /// Replaces the list that has this version, and notes who did. What a policy wanted that is gone or disabled now is
    /// given up. False when the list has another version by now.
    async fn set_reactions(&self, list: ReactionList, note: Note) -> Result<bool, StoreError>;

    /// Enters what a page of events led to, and moves the reader's place; false when somebody else has done so. What goes
    /// beyond `most` waiting deeds is entered as given up.
    async fn queue_runs(&self, seen: PageSeen, runs: Vec<NewRun>, most: usize) -> Result<bool, StoreError>;

    /// The targets for which something waits, each with the earliest instant at which something of it is due.
    async fn waiting_targets(&self) -> Result<Vec<(String, Timestamp)>, StoreError>;

    /// What is due first for a target.
    async fn due_run(&self, target: &str, now: Timestamp) -> Result<Option<Run>, StoreError>;

    /// Enters that an attempt begins, and says which one it is, from 1: whoever dies over it has begun it all the same. None when
    /// the deed has ended.
    async fn run_begun(&self, id: i64) -> Result<Option<u32>, StoreError>;

    /// Enters what became of an attempt. Said of a deed that has ended, it changes nothing.
    async fn run_ended(&self, id: i64, end: RunEnd, now: Timestamp) -> Result<(), StoreError>;

    /// The files of an incident that are there, at most [`Deposit::FILE_LIMIT`](crate::case::Deposit::FILE_LIMIT).
    async fn files(&self, incident: IncidentId) -> Result<Vec<BundleFile>, StoreError>;

    async fn runs(&self, limit: usize) -> Result<RunPage, StoreError>;

    /// What was given up is due again: all of it, or that of one policy. Says how many those are.
    async fn retry_runs(&self, reaction: Option<i64>, now: Timestamp) -> Result<u64, StoreError>;

    /// Removes what ended before `before`.
    async fn forget_runs(&self, before: Timestamp) -> Result<u64, StoreError>;
}
