//! The trees of the database and the order of their keys.

use jiff::Timestamp;
use sled::transaction::{ConflictableTransactionError, TransactionError, Transactional};

use super::StateError;
use super::exchange::{ExchangeKey, peer_prefix};
use super::transaction::Writes;
use crate::case::{Alias, Towards};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tree {
    Exchange,
    Outbox,
    Due,
    Parked,
    Inbound,
    Peer,
    Meta,
    Chunk,
}

impl Tree {
    pub const ALL: [Tree; 8] =
        [Tree::Exchange, Tree::Outbox, Tree::Due, Tree::Parked, Tree::Inbound, Tree::Peer, Tree::Meta, Tree::Chunk];

    pub fn name(self) -> &'static str {
        match self {
            Tree::Exchange => "exchange",
            Tree::Outbox => "outbox",
            Tree::Due => "due",
            Tree::Parked => "parked",
            Tree::Inbound => "inbound",
            Tree::Peer => "peer",
            Tree::Meta => "meta",
            Tree::Chunk => "chunk",
        }
    }

    /// Whether its values carry the envelope of `record.rs`; the others are indexes, or pieces of one.
    pub fn has_records(self) -> bool {
        !matches!(self, Tree::Due | Tree::Parked | Tree::Chunk)
    }
}

/// The open trees.
#[derive(Clone)]
pub struct Trees {
    trees: [sled::Tree; 8],
}

impl Trees {
    pub fn open(db: &sled::Db) -> Result<Self, StateError> {
        let mut trees = Vec::with_capacity(Tree::ALL.len());
        for tree in Tree::ALL {
            trees.push(db.open_tree(tree.name())?);
        }
        let trees = trees.try_into().map_err(|_| StateError::Damaged("the trees do not open".into()))?;
        Ok(Self { trees })
    }

    pub fn tree(&self, tree: Tree) -> &sled::Tree {
        &self.trees[tree as usize]
    }

    pub fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.tree(tree).get(key)?.map(|value| value.to_vec()))
    }

    /// All writes or none, across the trees.
    pub fn write(&self, writes: &Writes) -> Result<(), StateError> {
        let trees = self.trees.as_slice();
        let written = trees.transaction(|trees| {
            for (tree, key, value) in writes.iter() {
                let tree = &trees[tree as usize];
                match value {
                    Some(value) => tree.insert(key, value)?,
                    None => tree.remove(key)?,
                };
            }
            Ok::<(), ConflictableTransactionError<()>>(())
        });
        match written {
            Ok(()) => Ok(()),
            Err(TransactionError::Storage(error)) => Err(error.into()),
            // The closure never aborts.
            Err(TransactionError::Abort(())) => Err(StateError::Damaged("a transaction was aborted".into())),
        }
    }

    /// The positions in a peer's outbox after `after`, in order.
    pub fn positions(
        &self,
        peer: &Alias,
        after: u64,
    ) -> Result<impl Iterator<Item = Result<u64, StateError>> + use<>, StateError> {
        let from = outbox_key(peer, after.saturating_add(1));
        let to = outbox_key(peer, u64::MAX);
        Ok(self.tree(Tree::Outbox).range(from..=to).keys().map(|key| {
            let key = key?;
            let position = key.last_chunk::<8>();
            position
                .map(|bytes| u64::from_be_bytes(*bytes))
                .ok_or_else(|| StateError::Damaged("an outbox key is too short".into()))
        }))
    }
}

/// Peer, then position: a peer's outbox is one range, in order.
pub fn outbox_key(peer: &Alias, position: u64) -> Vec<u8> {
    let mut key = peer_prefix(peer);
    key.extend_from_slice(&position.to_be_bytes());
    key
}

/// One part of the due index: what one loop serves. No lane can starve another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lane {
    /// Towards this upstream.
    Upstream(Alias),
    /// Towards all clients.
    Clients,
}

impl Lane {
    pub fn of(key: &ExchangeKey, towards: Towards) -> Self {
        match towards {
            Towards::Upstream => Lane::Upstream(key.peer.clone()),
            Towards::Client => Lane::Clients,
        }
    }

    fn prefix(&self) -> Vec<u8> {
        match self {
            Lane::Upstream(peer) => [b"u", peer_prefix(peer).as_slice()].concat(),
            Lane::Clients => b"c\0".to_vec(),
        }
    }
}

/// Lane, instant, place in the outbox, exchange: what is due in one lane is one range from its start.
pub fn due_key(lane: &Lane, at: Timestamp, head: u64, exchange: &[u8]) -> Vec<u8> {
    let mut key = lane.prefix();
    key.extend_from_slice(&(at.as_millisecond().max(0) as u64).to_be_bytes());
    key.extend_from_slice(&head.to_be_bytes());
    key.extend_from_slice(exchange);
    key
}

/// Instant and exchange of a due key.
pub fn split_due(key: &[u8]) -> Option<(Timestamp, &[u8])> {
    let lane = key.iter().position(|byte| *byte == 0)?;
    let (at, rest) = key.get(lane + 1..)?.split_first_chunk::<8>()?;
    Some((Timestamp::from_millisecond(u64::from_be_bytes(*at) as i64).ok()?, rest.get(8..)?))
}
