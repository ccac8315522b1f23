//! Every record of every kind in one map, told apart by the first byte of its key.

use std::sync::Arc;

use super::StateError;
use super::database::{Bytes, Database, Pair};
use super::keys::{Kind, outbox_key};
use super::transaction::Writes;
use crate::case::Alias;

/// Cheap to clone.
#[derive(Clone)]
pub struct Records(Arc<dyn Database>);

impl Records {
    pub fn on(database: Arc<dyn Database>) -> Self {
        Self(database)
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        self.0.get(key)
    }

    /// All writes or none.
    pub fn write(&self, writes: &Writes) -> Result<(), StateError> {
        self.0.write(&mut writes.iter())
    }

    /// Makes durable what was written up to now.
    pub fn sync(&self, commit: u64) -> Result<(), StateError> {
        self.0.sync(commit)
    }

    /// Everything of one kind, in the order of the keys.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = Pair> + use<> {
        self.after(kind, vec![kind as u8])
    }

    /// What is of one kind and not before a key.
    pub fn after(&self, kind: Kind, from: Vec<u8>) -> impl Iterator<Item = Pair> + use<> {
        self.0.range(from, vec![kind as u8 + 1])
    }

    /// The positions in a peer's outbox after `after`, in order.
    pub fn positions(&self, peer: &Alias, after: u64) -> impl Iterator<Item = Result<u64, StateError>> + use<> {
        let from = outbox_key(peer, after.saturating_add(1));
        let mut to = outbox_key(peer, u64::MAX);
        // The last position itself is in.
        to.push(0);
        self.0.range(from, to).map(|item| {
            let (key, _) = item?;
            let position = key.last_chunk::<8>();
            position
                .map(|bytes| u64::from_be_bytes(*bytes))
                .ok_or_else(|| StateError::Damaged("an outbox key is too short".into()))
        })
    }
}
