//! Reads that need no order among the writes: what is due, what is parked, pages for people.

use std::collections::HashSet;

use jiff::Timestamp;

use super::StateError;
use super::chunk;
use super::exchange::{DueEntry, ExchangeKey, ExchangeRecord, OutboxEntry, PeerRecord, peer_prefix};
use super::record::decode;
use super::transaction::position_key;
use super::tree::{Lane, Tree, Trees, due_key, outbox_key, split_due};
use crate::case::{Alias, ExchangeId};

/// What is durable: no write shows before its group is on the disk, so what is read here can be told to a peer. (A
/// number that a peer has seen must not be given to another operation after a power cut.)
pub struct View<'a> {
    pub(super) trees: &'a Trees,
}

impl View<'_> {
    pub fn exchange(&self, key: &ExchangeKey) -> Result<Option<ExchangeRecord>, StateError> {
        self.trees.get(Tree::Exchange, &key.encode())?.map(|bytes| decode(&bytes)).transpose()
    }

    /// Up to `limit` exchanges of one lane with something to do at `now`, the longest due first.
    pub fn due(&self, lane: &Lane, now: Timestamp, limit: usize) -> Result<Vec<DueEntry>, StateError> {
        let start = due_key(lane, Timestamp::UNIX_EPOCH, 0, &[]);
        let end = due_key(lane, now, u64::MAX, &[0xff; 96]);
        self.due_between(&start, &end, limit)
    }

    /// The exchanges of one lane that are due after `at`.
    pub fn due_after(&self, lane: &Lane, at: Timestamp) -> Result<Vec<DueEntry>, StateError> {
        let start = due_key(lane, at, u64::MAX, &[0xff; 96]);
        let end = due_key(lane, Timestamp::MAX, u64::MAX, &[0xff; 96]);
        self.due_between(&start, &end, usize::MAX)
    }

    fn due_between(&self, start: &[u8], end: &[u8], limit: usize) -> Result<Vec<DueEntry>, StateError> {
        let mut due = Vec::new();
        for key in self.trees.tree(Tree::Due).range(start..=end).keys().take(limit) {
            let key = key?;
            let entry = split_due(&key).and_then(|(at, key)| Some(DueEntry { key: ExchangeKey::decode(key)?, at }));
            due.push(entry.ok_or_else(|| StateError::Damaged("a due key does not read".into()))?);
        }
        Ok(due)
    }

    /// The next instant at which something is due in one lane, apart from the exchanges of `except`.
    pub fn next_due(&self, lane: &Lane, except: &HashSet<ExchangeId>) -> Result<Option<Timestamp>, StateError> {
        for entry in self.due(lane, Timestamp::MAX, except.len() + 1)? {
            if !except.contains(&entry.key.exchange) {
                return Ok(Some(entry.at));
            }
        }
        Ok(None)
    }

    pub fn outbox(&self, peer: &Alias, position: u64) -> Result<Option<OutboxEntry>, StateError> {
        let key = outbox_key(peer, position);
        let Some(head) = self.trees.get(Tree::Outbox, &key)? else { return Ok(None) };
        let piece = |number| self.trees.get(Tree::Chunk, &chunk::key(Tree::Outbox, &key, number));
        decode(&chunk::join(head, piece)?).map(Some)
    }

    /// Up to `limit` operations in a peer's outbox after `after`, in order.
    pub fn outbox_after(&self, peer: &Alias, after: u64, limit: usize) -> Result<Vec<(u64, OutboxEntry)>, StateError> {
        let mut entries = Vec::new();
        for position in self.trees.positions(peer, after)?.take(limit) {
            let position = position?;
            if let Some(entry) = self.outbox(peer, position)? {
                entries.push((position, entry));
            }
        }
        Ok(entries)
    }

    /// Up to `limit` operations in a peer's outbox up to `through`, in order.
    pub fn outbox_through(&self, peer: &Alias, through: u64, limit: usize) -> Result<Vec<OutboxEntry>, StateError> {
        let mut entries = Vec::new();
        for position in self.trees.positions(peer, 0)?.take(limit) {
            let position = position?;
            if position > through {
                break;
            }
            entries.extend(self.outbox(peer, position)?);
        }
        Ok(entries)
    }

    /// The position of the last operation that was ever added to a peer's outbox.
    pub fn last_position(&self, peer: &Alias) -> Result<u64, StateError> {
        let last = self.trees.get(Tree::Meta, &position_key(peer))?;
        Ok(last.map(|bytes| decode(&bytes)).transpose()?.unwrap_or(0))
    }

    /// How many operations wait in a peer's outbox, counted up to `limit`.
    pub fn outbox_len(&self, peer: &Alias, limit: usize) -> Result<u64, StateError> {
        Ok(self.trees.positions(peer, 0)?.take(limit).count() as u64)
    }

    /// Up to `limit` exchanges that need a person.
    pub fn parked(&self, limit: usize) -> Result<Vec<(ExchangeKey, ExchangeRecord)>, StateError> {
        let mut parked = Vec::new();
        for key in self.trees.tree(Tree::Parked).iter().keys().take(limit) {
            let key = key?;
            let key = ExchangeKey::decode(&key)
                .ok_or_else(|| StateError::Damaged("a key among the parked does not read".into()))?;
            if let Some(record) = self.exchange(&key)? {
                parked.push((key, record));
            }
        }
        Ok(parked)
    }

    /// How many need a person, counted up to `limit`.
    pub fn parked_count(&self, limit: usize) -> u64 {
        self.trees.tree(Tree::Parked).iter().keys().take(limit).count() as u64
    }

    /// Up to `limit` exchanges with one peer after the given one, in order of their IDs.
    pub fn exchanges_after(
        &self,
        peer: &Alias,
        after: Option<crate::case::ExchangeId>,
        limit: usize,
    ) -> Result<Vec<(ExchangeKey, ExchangeRecord)>, StateError> {
        let prefix = peer_prefix(peer);
        let mut from = prefix.clone();
        if let Some(after) = after {
            from.extend_from_slice(after.as_bytes());
            from.push(0);
        }
        let mut page = Vec::new();
        for item in self.trees.tree(Tree::Exchange).range(from..) {
            let (key, value) = item?;
            if !key.starts_with(&prefix) || page.len() >= limit {
                break;
            }
            let key = ExchangeKey::decode(&key)
                .ok_or_else(|| StateError::Damaged("an exchange's key does not read".into()))?;
            page.push((key, decode(&value)?));
        }
        Ok(page)
    }

    pub fn peer(&self, peer: &Alias) -> Result<PeerRecord, StateError> {
        let record = self.trees.get(Tree::Peer, &peer_prefix(peer))?;
        Ok(record.map(|bytes| decode(&bytes)).transpose()?.unwrap_or_default())
    }

    pub fn count(&self) -> Result<u64, StateError> {
        let count = self.trees.get(Tree::Meta, b"count")?;
        Ok(count.map(|bytes| decode(&bytes)).transpose()?.unwrap_or(0))
    }
}
