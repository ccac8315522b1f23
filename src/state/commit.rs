//! The one thread that owns the database. It takes all commands that wait, gathers their writes in one transaction
//! across the trees, flushes, syncs the file itself, and only then answers them (see README, "State").

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use tokio::sync::mpsc;
use tracing::error;

use super::StateError;
use super::transaction::Transaction;
use super::tree::Trees;
use crate::telemetry::{CrashPoint, crash_point};

/// A step: decides on the transaction, and hands back what tells its caller once the group is durable (or is not).
pub type Command = Box<dyn FnOnce(&mut Transaction<'_>) -> Answer + Send>;
pub type Answer = Box<dyn FnOnce(Result<(), StateError>) + Send>;

pub struct Committer {
    pub db: sled::Db,
    pub trees: Arc<Trees>,
    /// A handle of our own on sled's file: `flush` alone does not reach the disk.
    pub file: File,
    pub group: usize,
    pub commands: mpsc::Receiver<Command>,
    /// Told once when a flush or sync failed: the process has to stop.
    pub failed: tokio::sync::watch::Sender<Option<String>>,
}

impl Committer {
    pub fn run(mut self) {
        while let Some(first) = self.commands.blocking_recv() {
            let mut group = vec![first];
            while group.len() < self.group {
                match self.commands.try_recv() {
                    Ok(command) => group.push(command),
                    Err(_) => break,
                }
            }
            let mut transaction = Transaction::new(&self.trees);
            let mut answers = Vec::with_capacity(group.len());
            for command in group {
                // A panic in one step must not take the owner of the database with it: the step leaves no writes, and
                // its caller sees that no answer comes.
                match catch_unwind(AssertUnwindSafe(|| command(&mut transaction))) {
                    Ok(answer) => {
                        transaction.keep();
                        answers.push(answer);
                    }
                    Err(_) => transaction.roll_back(),
                }
            }
            let committed = self.commit(transaction);
            for answer in answers {
                answer(committed.clone());
            }
            if let Err(fault) = committed {
                // Never tried again: the kernel may have dropped what it could not write.
                error!(event = "state_failed", reason = %fault, "the state cannot be written; stopping");
                let _ = self.failed.send(Some(fault.to_string()));
                return;
            }
        }
    }

    fn commit(&self, transaction: Transaction<'_>) -> Result<(), StateError> {
        let writes = transaction.into_writes();
        if writes.is_empty() {
            return Ok(());
        }
        // Readers wait until the group is on the disk: what a view shows can be told to a peer.
        let _readers_wait = self.trees.durable.write().unwrap_or_else(PoisonError::into_inner);
        self.trees.write(&writes)?;
        crash_point(CrashPoint::StateApplied);
        self.db.flush()?;
        self.file.sync_data().map_err(|error| StateError::Io(error.to_string()))?;
        crash_point(CrashPoint::StateFlushed);
        Ok(())
    }
}
