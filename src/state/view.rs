//! Reads that need no order among the writes: what is due, what is parked, pages for people.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::StateError;
use super::chunk;
use super::due::{DueIndex, Lane};
use super::exchange::{DueEntry, ExchangeKey, ExchangeRecord, InboundEntry, OutboxEntry, PeerRecord};
use super::keys::{
    Kind, chunk_key, exchange_key, exchanges_of, inbound_key, meta_key, named_exchange, outbox_key, peer_key,
};
use super::recent::Recent;
use super::record::decode;
use super::records::Records;
use super::transaction::{COUNT, position_key};
use crate::case::{Alias, ExchangeId};

/// What is durable: no write shows before its group is on the disk, so what is read here can be told to a peer. (A
/// number that a peer has seen must not be given to another operation after a power cut.)
pub struct View<'a> {
    pub(super) records: &'a Records,
    pub(super) recent: &'a Recent,
    pub(super) due: &'a DueIndex,
}

impl View<'_> {
    pub fn exchange(&self, key: &ExchangeKey) -> Result<Option<ExchangeRecord>, StateError> {
        match self.recent.get(key) {
            Some(record) => Ok(Some(record.clone())),
            None => self.records.get(&exchange_key(key))?.map(|bytes| decode(&bytes)).transpose(),
        }
    }

    /// Up to `limit` exchanges of one lane with something to do at `now`, the longest due first.
    pub fn due(&self, lane: &Lane, now: Timestamp, limit: usize) -> Vec<DueEntry> {
        self.due.of(lane).take_while(|entry| entry.at <= now).take(limit).collect()
    }

    /// The exchanges of one lane that are due after `at`.
    pub fn due_after(&self, lane: &Lane, at: Timestamp) -> Vec<DueEntry> {
        self.due.after(lane, at).collect()
    }

    /// The next instant at which something is due in one lane, apart from the exchanges of `except`.
    pub fn next_due(&self, lane: &Lane, except: &HashSet<ExchangeId>) -> Option<Timestamp> {
        self.due.of(lane).find(|entry| !except.contains(&entry.key.exchange)).map(|entry| entry.at)
    }

    pub fn outbox(&self, peer: &Alias, position: u64) -> Result<Option<OutboxEntry>, StateError> {
        self.large(&outbox_key(peer, position))
    }

    /// A client's Create that is kept, or an operation that is held.
    pub fn inbound(&self, key: &ExchangeKey, seq: u64) -> Result<Option<InboundEntry>, StateError> {
        self.large(&inbound_key(key, seq))
    }

    fn large<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StateError> {
        let Some(head) = self.records.get(key)? else { return Ok(None) };
        decode(&chunk::join(&head, |number| self.records.get(&chunk_key(key, number)))?).map(Some)
    }

    /// Up to `limit` operations in a peer's outbox after `after`, in order.
    pub fn outbox_after(&self, peer: &Alias, after: u64, limit: usize) -> Result<Vec<(u64, OutboxEntry)>, StateError> {
        let mut entries = Vec::new();
        for position in self.records.positions(peer, after).take(limit) {
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
        for position in self.records.positions(peer, 0).take(limit) {
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
        let last = self.records.get(&position_key(peer))?;
        Ok(last.map(|bytes| decode(&bytes)).transpose()?.unwrap_or(0))
    }

    /// How many operations wait in a peer's outbox, counted up to `limit`.
    pub fn outbox_len(&self, peer: &Alias, limit: usize) -> Result<u64, StateError> {
        Ok(self.records.positions(peer, 0).take(limit).count() as u64)
    }

    /// Up to `limit` exchanges that need a person.
    pub fn parked(&self, limit: usize) -> Result<Vec<(ExchangeKey, ExchangeRecord)>, StateError> {
        let mut parked = Vec::new();
        for item in self.records.of(Kind::Parked).take(limit) {
            let key = named_exchange(&item?.0)
                .ok_or_else(|| StateError::Damaged("a key among the parked does not read".into()))?;
            if let Some(record) = self.exchange(&key)? {
                parked.push((key, record));
            }
        }
        Ok(parked)
    }

    /// How many need a person, counted up to `limit`.
    pub fn parked_count(&self, limit: usize) -> u64 {
        self.records.of(Kind::Parked).take(limit).count() as u64
    }

    /// Up to `limit` exchanges with one peer after the given one, in order of their IDs.
    pub fn exchanges_after(
        &self,
        peer: &Alias,
        after: Option<crate::case::ExchangeId>,
        limit: usize,
    ) -> Result<Vec<(ExchangeKey, ExchangeRecord)>, StateError> {
        let prefix = exchanges_of(peer);
        let mut from = prefix.clone();
        if let Some(after) = after {
            from.extend_from_slice(after.as_bytes());
            from.push(0);
        }
        let mut page = Vec::new();
        for item in self.records.after(Kind::Exchange, from) {
            let (key, value) = item?;
            if !key.starts_with(&prefix) || page.len() >= limit {
                break;
            }
            let key =
                named_exchange(&key).ok_or_else(|| StateError::Damaged("an exchange's key does not read".into()))?;
            page.push((key, decode(&value)?));
        }
        Ok(page)
    }

    pub fn peer(&self, peer: &Alias) -> Result<PeerRecord, StateError> {
        let record = self.records.get(&peer_key(peer))?;
        Ok(record.map(|bytes| decode(&bytes)).transpose()?.unwrap_or_default())
    }

    pub fn count(&self) -> Result<u64, StateError> {
        let count = self.records.get(&meta_key(COUNT))?;
        Ok(count.map(|bytes| decode(&bytes)).transpose()?.unwrap_or(0))
    }
}
