//! The one tree of the database: every record of every kind, told apart by the first byte of its key. One tree, because
//! sled reads each key once more when it writes to several at once.

use super::StateError;
use super::keys::{Kind, outbox_key};
use super::transaction::Writes;
use crate::case::Alias;

/// Cheap to clone.
#[derive(Clone)]
pub struct Records(sled::Tree);

impl Records {
    pub fn open(db: &sled::Db) -> Result<Self, StateError> {
        Ok(Self(db.open_tree("records")?))
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, StateError> {
        Ok(self.0.get(key)?)
    }

    /// All writes or none.
    pub fn write(&self, writes: &Writes) -> Result<(), StateError> {
        let mut batch = sled::Batch::default();
        for (key, value) in writes.iter() {
            match value {
                Some(value) => batch.insert(key, value.clone()),
                None => batch.remove(key),
            }
        }
        Ok(self.0.apply_batch(batch)?)
    }

    /// Everything of one kind, in the order of the keys.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = Result<(sled::IVec, sled::IVec), StateError>> + use<> {
        self.after(kind, vec![kind as u8])
    }

    /// What is of one kind and not before a key.
    pub fn after(
        &self,
        kind: Kind,
        from: Vec<u8>,
    ) -> impl Iterator<Item = Result<(sled::IVec, sled::IVec), StateError>> + use<> {
        self.0.range(from..vec![kind as u8 + 1]).map(|item| Ok(item?))
    }

    /// The positions in a peer's outbox after `after`, in order.
    pub fn positions(&self, peer: &Alias, after: u64) -> impl Iterator<Item = Result<u64, StateError>> + use<> {
        let from = outbox_key(peer, after.saturating_add(1));
        let to = outbox_key(peer, u64::MAX);
        self.0.range(from..=to).keys().map(|key| {
            let key = key?;
            let position = key.last_chunk::<8>();
            position
                .map(|bytes| u64::from_be_bytes(*bytes))
                .ok_or_else(|| StateError::Damaged("an outbox key is too short".into()))
        })
    }
}
