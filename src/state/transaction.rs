//! One step of the engine, as the committer sees it: reads go through to the database, writes are gathered, and a step
//! that fails leaves none. Nothing is durable before the whole group is.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::exchange::{Due, ExchangeKey, ExchangeRecord, InboundEntry, MetaRecord, OutboxEntry, Parked, PeerRecord};
use super::keys::{chunk_key, exchange_key, inbound_key, meta_key, outbox_key, parked_key, peer_key};
use super::recent::Recent;
use super::record::{decode, encode};
use super::records::Records;
use super::{StateError, chunk};
use crate::case::Alias;

type Key = Vec<u8>;
type Value = Option<sled::IVec>;

/// What a group writes.
#[derive(Default)]
pub struct Writes {
    values: HashMap<Key, Value>,
    /// The exchanges among them.
    exchanges: HashMap<ExchangeKey, ExchangeRecord>,
}

impl Writes {
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Names the commit that these become.
    pub(super) fn number(&mut self, commit: u64) -> Result<(), StateError> {
        self.values.insert(meta_key(COMMIT), Some(encode(&commit)?.into()));
        Ok(())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&sled::IVec>)> {
        self.values.iter().map(|(key, value)| (key.as_slice(), value.as_ref()))
    }

    pub(super) fn into_exchanges(self) -> HashMap<ExchangeKey, ExchangeRecord> {
        self.exchanges
    }
}

/// What stood in the writes before.
enum Undo {
    Value(Key, Option<Value>),
    Exchange(ExchangeKey, Option<Box<ExchangeRecord>>),
}

/// A typed view of the records, with the group's writes on top.
pub struct Transaction<'a> {
    records: &'a Records,
    recent: &'a Recent,
    writes: Writes,
    /// What the present step changed, latest last.
    undo: Vec<Undo>,
    /// The exchanges that were looked for and are not on the disk.
    absent: RefCell<HashSet<ExchangeKey>>,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(records: &'a Records, recent: &'a Recent) -> Self {
        Self { records, recent, writes: Writes::default(), undo: Vec::new(), absent: RefCell::default() }
    }

    pub(super) fn keep(&mut self) {
        self.undo.clear();
    }

    pub(super) fn roll_back(&mut self) {
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Value(key, before) => restore(&mut self.writes.values, key, before),
                Undo::Exchange(key, before) => restore(&mut self.writes.exchanges, key, before.map(|before| *before)),
            }
        }
    }

    pub(super) fn into_writes(self) -> Writes {
        self.writes
    }

    fn bytes(&self, key: &[u8]) -> Result<Option<sled::IVec>, StateError> {
        match self.writes.values.get(key) {
            Some(written) => Ok(written.clone()),
            None => self.records.get(key),
        }
    }

    fn get<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StateError> {
        self.bytes(key)?.map(|bytes| decode(&bytes)).transpose()
    }

    fn set(&mut self, key: Key, value: Value) {
        let before = self.writes.values.insert(key.clone(), value);
        self.undo.push(Undo::Value(key, before));
    }

    fn put<T: Serialize>(&mut self, what: &'static str, key: Key, value: &T) -> Result<(), StateError> {
        let bytes = encode(value)?;
        if bytes.len() > super::VALUE_LIMIT {
            return Err(StateError::ValueTooLarge { what, bytes: bytes.len() });
        }
        self.set(key, Some(bytes.into()));
        Ok(())
    }

    /// A value that may be larger than sled takes well, where none stands: cut into chunks.
    fn put_large<T: Serialize>(&mut self, key: Key, value: &T) -> Result<(), StateError> {
        let (head, pieces) = chunk::cut(encode(value)?);
        for (number, piece) in pieces.into_iter().enumerate() {
            self.set(chunk_key(&key, number), Some(piece.into()));
        }
        self.set(key, Some(head.into()));
        Ok(())
    }

    fn get_large<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StateError> {
        let Some(head) = self.bytes(key)? else { return Ok(None) };
        let whole = chunk::join(&head, |number| self.bytes(&chunk_key(key, number)))?;
        decode(&whole).map(Some)
    }

    fn remove_large(&mut self, key: Key) -> Result<(), StateError> {
        if let Some(head) = self.bytes(&key)? {
            for number in 0..chunk::count(&head) {
                self.set(chunk_key(&key, number), None);
            }
            self.set(key, None);
        }
        Ok(())
    }

    pub fn exchange(&self, key: &ExchangeKey) -> Result<Option<ExchangeRecord>, StateError> {
        if let Some(record) = self.writes.exchanges.get(key).or_else(|| self.recent.get(key)) {
            return Ok(Some(record.clone()));
        }
        if self.absent.borrow().contains(key) {
            return Ok(None);
        }
        let record = self.get(&exchange_key(key))?;
        if record.is_none() {
            self.absent.borrow_mut().insert(key.clone());
        }
        Ok(record)
    }

    /// Stores the record, and keeps the due index, the list of parked ones and the count in step with it.
    pub fn put_exchange(&mut self, key: &ExchangeKey, record: &ExchangeRecord) -> Result<(), StateError> {
        let encoded = exchange_key(key);
        let before = match self.writes.exchanges.get(key).or_else(|| self.recent.get(key)) {
            Some(known) => Some(needs_a_person(known)),
            None => self.exchange(key)?.as_ref().map(needs_a_person),
        };
        let after = needs_a_person(record);
        if before.unwrap_or(false) != after {
            self.set(parked_key(key), after.then(sled::IVec::default));
        }
        if before.is_none() {
            let count: u64 = self.get(&meta_key(COUNT))?.unwrap_or(0);
            self.put("count", meta_key(COUNT), &(count + 1))?;
        }
        self.put("exchange", encoded.clone(), record)?;
        debug_assert_eq!(self.get(&encoded).as_ref(), Ok(&Some(record.clone())), "it must read back as it is kept");
        let before = self.writes.exchanges.insert(key.clone(), record.clone());
        self.undo.push(Undo::Exchange(key.clone(), before.map(Box::new)));
        Ok(())
    }

    /// Adds an operation to the peer's outbox and returns its position.
    pub fn enqueue(&mut self, peer: &Alias, entry: &OutboxEntry) -> Result<u64, StateError> {
        let position = self.last_position(peer)? + 1;
        self.put("position", position_key(peer), &position)?;
        self.put_large(outbox_key(peer, position), entry)?;
        Ok(position)
    }

    /// The position of the last operation that was ever added.
    pub fn last_position(&self, peer: &Alias) -> Result<u64, StateError> {
        Ok(self.get(&position_key(peer))?.unwrap_or(0))
    }

    pub fn outbox(&self, peer: &Alias, position: u64) -> Result<Option<OutboxEntry>, StateError> {
        self.get_large(&outbox_key(peer, position))
    }

    pub fn dequeue(&mut self, peer: &Alias, position: u64) -> Result<(), StateError> {
        self.remove_large(outbox_key(peer, position))
    }

    /// The positions in a peer's outbox up to `through`, at most `limit`, that were durable before this group.
    pub fn positions_through(&self, peer: &Alias, through: u64, limit: usize) -> Result<Vec<u64>, StateError> {
        let mut positions = Vec::new();
        for position in self.records.positions(peer, 0) {
            let position = position?;
            if position > through || positions.len() >= limit {
                break;
            }
            if self.bytes(&outbox_key(peer, position))?.is_some() {
                positions.push(position);
            }
        }
        Ok(positions)
    }

    pub fn inbound(&self, key: &ExchangeKey, seq: u64) -> Result<Option<InboundEntry>, StateError> {
        self.get_large(&inbound_key(key, seq))
    }

    pub fn put_inbound(&mut self, key: &ExchangeKey, entry: &InboundEntry) -> Result<(), StateError> {
        let place = inbound_key(key, entry.seq);
        // The pieces of a larger one that stood here before would stay for ever.
        self.remove_large(place.clone())?;
        self.put_large(place, entry)
    }

    pub fn remove_inbound(&mut self, key: &ExchangeKey, seq: u64) -> Result<(), StateError> {
        self.remove_large(inbound_key(key, seq))
    }

    pub fn peer(&self, peer: &Alias) -> Result<PeerRecord, StateError> {
        Ok(self.get(&peer_key(peer))?.unwrap_or_default())
    }

    pub fn put_peer(&mut self, peer: &Alias, record: &PeerRecord) -> Result<(), StateError> {
        self.put("peer", peer_key(peer), record)
    }

    /// How far the incident store was read; the store's own text.
    pub fn store_cursor(&self) -> Result<Option<String>, StateError> {
        self.get(&meta_key(STORE_CURSOR))
    }

    pub fn put_store_cursor(&mut self, cursor: &str) -> Result<(), StateError> {
        self.put("store cursor", meta_key(STORE_CURSOR), &cursor)
    }

    /// The incidents that the store's reader found unreadable.
    pub fn unreadable(&self) -> Result<BTreeSet<i64>, StateError> {
        Ok(self.get(&meta_key(UNREADABLE))?.unwrap_or_default())
    }

    pub fn put_unreadable(&mut self, incidents: &BTreeSet<i64>) -> Result<(), StateError> {
        self.put("unreadable incidents", meta_key(UNREADABLE), incidents)
    }

    /// When a scheduled job last ran.
    pub fn last_run(&self, job: &str) -> Result<Option<Timestamp>, StateError> {
        self.get(&job_key(job))
    }

    pub fn put_last_run(&mut self, job: &str, at: Timestamp) -> Result<(), StateError> {
        self.put("job", job_key(job), &at)
    }

    pub(super) fn meta(&self) -> Result<Option<MetaRecord>, StateError> {
        self.get(&meta_key(META))
    }

    pub(super) fn put_meta(&mut self, meta: &MetaRecord) -> Result<(), StateError> {
        self.put("meta", meta_key(META), meta)
    }

    /// The number of the last commit.
    pub(super) fn commit(&self) -> Result<u64, StateError> {
        Ok(self.get(&meta_key(COMMIT))?.unwrap_or(0))
    }

    pub fn count(&self) -> Result<u64, StateError> {
        Ok(self.get(&meta_key(COUNT))?.unwrap_or(0))
    }
}

impl ExchangeRecord {
    /// Something is to be done at `at`, for the first time.
    pub fn wake_at(&mut self, at: Timestamp) {
        self.due = Some(Due { at, attempts: 0, last_error: None });
    }

    /// An operation needs a person; nothing is tried until one acts.
    pub fn park(&mut self, parked: Parked) {
        self.due = None;
        self.parked = Some(parked);
    }
}

const META: &str = "meta";
pub(super) const COUNT: &str = "count";
const COMMIT: &str = "commit";
const STORE_CURSOR: &str = "store cursor";
const UNREADABLE: &str = "unreadable";

/// Whether an exchange stands among the parked.
pub(super) fn needs_a_person(record: &ExchangeRecord) -> bool {
    record.parked.is_some() || record.held.is_some()
}

fn job_key(job: &str) -> Key {
    meta_key(&format!("job/{job}"))
}

/// Counts the operations that a peer's outbox ever held.
pub(super) fn position_key(peer: &Alias) -> Key {
    meta_key(&format!("position/{peer}"))
}

fn restore<K: std::hash::Hash + Eq, V>(map: &mut HashMap<K, V>, key: K, before: Option<V>) {
    match before {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}
