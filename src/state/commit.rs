//! The one thread that owns the database. It takes all commands that wait, gathers their writes in one batch,
//! syncs, and only then answers them (see README, "State").

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::mpsc;
use tracing::error;

use super::StateError;
use super::due::{DueIndex, Place};
use super::recent::Recent;
use super::records::Records;
use super::transaction::{Transaction, Writes};
use crate::telemetry::{CrashPoint, crash_point};

/// A step: decides on the transaction, and hands back what tells its caller once the group is durable (or is not).
pub type Command = Box<dyn FnOnce(&mut Transaction<'_>) -> Answer + Send>;
pub type Answer = Box<dyn FnOnce(Result<(), StateError>) + Send>;

/// What may stand in the committer's queue.
pub enum Message {
    Step(Command),
    /// Nothing after this is taken.
    Close,
}

/// How the committer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Running {
    Yes,
    /// A flush or sync failed: the process has to stop.
    Failed(String),
    /// It came to its end in order, and the database is released.
    Closed,
}

/// What readers look at.
pub struct Readable {
    pub records: Records,
    pub recent: Recent,
    pub due: DueIndex,
}

/// Held by the committer while a group is written and not yet on the disk; none once the database is released.
pub type Durable = Arc<RwLock<Option<Readable>>>;

pub struct Committer {
    pub records: Records,
    pub durable: Durable,
    /// Returns when the database can be opened again; called when nobody here holds it any more.
    pub released: Box<dyn FnOnce() + Send>,
    /// The number of the last commit.
    pub commit: u64,
    pub group: usize,
    pub running: tokio::sync::watch::Sender<Running>,
}

impl Committer {
    /// Serves messages until the last one, or until the disk fails.
    pub fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut open = true;
        while open {
            let Some(group) = self.next_group(&mut messages, &mut open) else { break };
            if !self.take(group) {
                return;
            }
        }
        // Whoever still waits is told at once.
        drop(messages);
        self.release();
    }

    /// Decides, writes, syncs, and only then answers. False when the disk failed, which is final.
    pub fn take(&mut self, group: Vec<Command>) -> bool {
        if *self.running.borrow() != Running::Yes {
            return false;
        }
        let mut answers = Vec::with_capacity(group.len());
        let Some(writes) = self.decide(group, &mut answers) else { return false };
        let committed = self.commit(writes);
        for answer in answers {
            answer(committed.clone());
        }
        if let Err(fault) = committed {
            // Never tried again: the kernel may have dropped what it could not write.
            error!(event = "state_failed", reason = %fault, "the state cannot be written; stopping");
            // Never closed either: sled would write once more, and panics where it cannot.
            std::mem::forget(self.records.clone());
            let _ = self.running.send(Running::Failed(fault.to_string()));
            return false;
        }
        true
    }

    /// What the steps of a group write; none once the database is released.
    fn decide(&self, group: Vec<Command>, answers: &mut Vec<Answer>) -> Option<Writes> {
        let readable = self.durable.read().unwrap_or_else(PoisonError::into_inner);
        let Readable { records, recent, .. } = readable.as_ref()?;
        let mut transaction = Transaction::new(records, recent);
        for command in group {
            answers.push(command(&mut transaction));
            transaction.keep();
        }
        Some(transaction.into_writes())
    }

    /// All that waits, up to the size of a group; none when no caller is left.
    fn next_group(&self, messages: &mut mpsc::Receiver<Message>, open: &mut bool) -> Option<Vec<Command>> {
        let mut next = Some(messages.blocking_recv()?);
        let mut group = Vec::new();
        while let Some(message) = next {
            match message {
                Message::Step(command) => group.push(command),
                Message::Close => {
                    *open = false;
                    break;
                }
            }
            next = if group.len() < self.group { messages.try_recv().ok() } else { None };
        }
        Some(group)
    }

    fn commit(&mut self, mut writes: Writes) -> Result<(), StateError> {
        if writes.is_empty() {
            return Ok(());
        }
        let commit = self.commit + 1;
        writes.number(commit)?;
        // Readers wait until the group is on the disk: what a view shows can be told to a peer.
        let mut readable = self.durable.write().unwrap_or_else(PoisonError::into_inner);
        self.records.write(&writes)?;
        crash_point(CrashPoint::StateApplied);
        self.records.sync(commit)?;
        self.commit = commit;
        if let Some(Readable { recent, due, .. }) = readable.as_mut() {
            for (key, record) in writes.into_exchanges() {
                due.put(key.clone(), Place::of(&key, &record));
                recent.put(key, record);
            }
        }
        crash_point(CrashPoint::StateFlushed);
        Ok(())
    }

    /// Gives the database back, so that it can be opened again at once.
    fn release(self) {
        let Self { records, durable, released, running, .. } = self;
        *durable.write().unwrap_or_else(PoisonError::into_inner) = None;
        drop(records);
        released();
        let _ = running.send(Running::Closed);
    }
}
