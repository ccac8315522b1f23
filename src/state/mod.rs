//! Correlation and retry state in sled: a cache of what both sides agreed on. The incident store is the system of
//! record, so this directory can be lost (design, invariant 4).

mod acknowledged;
mod check;
mod chunk;
mod commit;
mod due;
mod exchange;
#[cfg(test)]
mod fuzz;
mod keys;
mod open;
mod recent;
mod record;
mod records;
mod transaction;
mod view;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

pub use due::Lane;
pub use exchange::{
    Due, DueEntry, ExchangeKey, ExchangeRecord, InboundEntry, MetaRecord, OutboxEntry, Parked, PeerRecord, SubmittedBy,
};
pub use open::{OpenError, set_aside};
pub use transaction::Transaction;
pub use view::View;

use commit::{Command, Durable, Message, Readable, Running};

/// The largest value in one piece, in bytes: with 8 MiB segments this never reaches sled's unsynced blob files.
const VALUE_LIMIT: usize = 60 * 1024;
/// Commands that may wait for the committer before callers have to.
const QUEUE: usize = 1024;
/// How long a close waits for what is under way.
const CLOSE_WITHIN: Duration = Duration::from_secs(30);

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
    #[error("a record for {what} is {bytes} bytes long")]
    ValueTooLarge { what: &'static str, bytes: usize },
    #[error("a step failed inside and was taken back; please report this")]
    Panicked,
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
    durable: Durable,
    messages: mpsc::Sender<Message>,
    running: watch::Receiver<Running>,
    meta: MetaRecord,
    path: std::path::PathBuf,
}

impl State {
    /// Runs `step` in the committer thread, after all that were asked for before it, and returns when its writes are
    /// durable. A step that returns an error, or panics, leaves no writes.
    pub async fn transact<T, E, F>(&self, step: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StateError> + Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let command: Command = Box::new(move |transaction| {
            // A panic in one step must not take the owner of the database with it.
            let result = catch_unwind(AssertUnwindSafe(|| step(transaction)));
            let result = result.unwrap_or_else(|_| Err(StateError::Panicked.into()));
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
        self.messages.send(Message::Step(command)).await.map_err(|_| StateError::Closed)?;
        receiver.await.unwrap_or_else(|_| Err(StateError::Closed.into()))
    }

    /// Reads what is durable, outside the committer's order, in a thread that may wait.
    pub async fn read<T, F>(&self, read: F) -> Result<T, StateError>
    where
        T: Send + 'static,
        F: FnOnce(View<'_>) -> Result<T, StateError> + Send + 'static,
    {
        let durable = Durable::clone(&self.durable);
        let reading = move || {
            let open = durable.read().unwrap_or_else(PoisonError::into_inner);
            let Readable { records, recent, due } = open.as_ref().ok_or(StateError::Closed)?;
            read(View { records, recent, due })
        };
        match tokio::task::spawn_blocking(reading).await {
            Ok(read) => read,
            Err(fault) if fault.is_panic() => Err(StateError::Panicked),
            Err(_) => Err(StateError::Closed),
        }
    }

    /// Makes durable what was asked for so far, takes nothing more, and releases the database: when this returns without
    /// an error it can be opened again, though clones of this state are left.
    pub async fn close(mut self) -> Result<(), StateError> {
        // A committer that has ended already takes no message.
        let _ = self.messages.send(Message::Close).await;
        drop(self.messages);
        let ended = self.running.wait_for(|running| *running != Running::Yes);
        match tokio::time::timeout(CLOSE_WITHIN, ended).await {
            Ok(Ok(running)) => match &*running {
                Running::Failed(reason) => Err(StateError::Io(reason.clone())),
                Running::Yes | Running::Closed => Ok(()),
            },
            Ok(Err(_)) => Err(StateError::Io("its committer ended out of order".into())),
            Err(_) => Err(StateError::Io(format!("not released within {} s", CLOSE_WITHIN.as_secs()))),
        }
    }

    /// Tells feeds of different states apart.
    pub fn epoch(&self) -> uuid::Uuid {
        self.meta.epoch
    }

    /// Resolves when a flush or sync failed: the process has to stop. A state that was closed in order does not fail.
    pub async fn failed(&self) -> String {
        let mut running = self.running.clone();
        let ended = running.wait_for(|running| *running != Running::Yes).await.map(|running| running.clone());
        match ended {
            Ok(Running::Failed(reason)) => reason,
            Ok(Running::Yes | Running::Closed) => std::future::pending().await,
            Err(_) => "the state's committer ended out of order".to_owned(),
        }
    }

    /// Whether sled has begun to write files that it never syncs; values are cut so that it must not.
    pub fn has_blobs(&self) -> bool {
        std::fs::read_dir(self.path.join("blobs")).is_ok_and(|mut entries| entries.next().is_some())
    }
}
