//! Correlation and retry state in sled: a cache of what both sides agreed on. The incident store is the system of
//! record, so this directory can be lost (design, invariant 4).

mod chunk;
mod commit;
mod exchange;
mod open;
mod record;
mod transaction;
mod tree;
mod view;

use std::sync::{Arc, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};

pub use exchange::{
    Due, DueEntry, ExchangeKey, ExchangeRecord, InboundEntry, MetaRecord, OutboxEntry, Parked, PeerRecord, SubmittedBy,
};
pub use open::{OpenError, set_aside};
pub use transaction::Transaction;
pub use tree::Lane;
pub use view::View;

use tree::Trees;

/// The largest value in one piece, in bytes: with 8 MiB segments this never reaches sled's unsynced blob files.
const VALUE_LIMIT: usize = 60 * 1024;
/// Commands that may wait for the committer before callers have to.
const QUEUE: usize = 1024;

/// Why the state did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    #[error("the state database failed: {0}")]
    Io(String),
    #[error("the state database is damaged: {0}")]
    Damaged(String),
    #[error("the state was written by a newer version (format {found}, this program knows {known})")]
    Newer { found: u32, known: u32 },
    #[error("a record cannot be written as JSON: {0}")]
    Encode(String),
    #[error("a record for {tree} is {bytes} bytes long")]
    ValueTooLarge { tree: &'static str, bytes: usize },
    #[error("the state is closed")]
    Closed,
}

impl From<sled::Error> for StateError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Corruption { .. } => StateError::Damaged(error.to_string()),
            other => StateError::Io(other.to_string()),
        }
    }
}

/// The open state of one site. Cheap to clone.
#[derive(Clone)]
pub struct State {
    trees: Arc<Trees>,
    commands: mpsc::Sender<commit::Command>,
    failed: watch::Receiver<Option<String>>,
    meta: MetaRecord,
    path: std::path::PathBuf,
}

impl State {
    /// Runs `step` in the committer thread, after all that were asked for before it, and returns when its writes are
    /// durable. A step that returns an error leaves no writes.
    pub async fn transact<T, E, F>(&self, step: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StateError> + Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let command: commit::Command = Box::new(move |transaction| {
            let result = step(transaction);
            if result.is_err() {
                transaction.roll_back();
            }
            Box::new(move |committed| {
                let _ = sender.send(match committed {
                    Ok(()) => result,
                    Err(fault) => Err(fault.into()),
                });
            })
        });
        self.commands.send(command).await.map_err(|_| StateError::Closed)?;
        receiver.await.unwrap_or_else(|_| Err(StateError::Closed.into()))
    }

    /// Reads what is durable, outside the committer's order, in a thread that may wait.
    pub async fn read<T, F>(&self, read: F) -> Result<T, StateError>
    where
        T: Send + 'static,
        F: FnOnce(View<'_>) -> Result<T, StateError> + Send + 'static,
    {
        let trees = Arc::clone(&self.trees);
        let reading = move || {
            let _durable = trees.durable.read().unwrap_or_else(PoisonError::into_inner);
            read(View { trees: &trees })
        };
        tokio::task::spawn_blocking(reading).await.unwrap_or(Err(StateError::Closed))
    }

    /// Tells feeds of different states apart.
    pub fn epoch(&self) -> uuid::Uuid {
        self.meta.epoch
    }

    /// Resolves when a flush or sync failed: the process has to stop.
    pub async fn failed(&self) -> String {
        let mut failed = self.failed.clone();
        loop {
            if let Some(reason) = failed.borrow_and_update().clone() {
                return reason;
            }
            if failed.changed().await.is_err() {
                return StateError::Closed.to_string();
            }
        }
    }

    /// Whether sled has begun to write files that it never syncs; it must not, see [`VALUE_LIMIT`].
    pub fn has_blobs(&self) -> bool {
        std::fs::read_dir(self.path.join("blobs")).is_ok_and(|mut entries| entries.next().is_some())
    }
}
