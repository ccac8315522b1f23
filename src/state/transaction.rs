//! One step of the engine, as the committer sees it: reads go through to the database, writes are gathered, and a step
//! that fails leaves none. Nothing is durable before the whole group is.

use std::cell::RefCell;
use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::exchange::{
    Due, DueEntry, ExchangeKey, ExchangeRecord, InboundEntry, MetaRecord, OutboxEntry, Parked, PeerRecord, peer_prefix,
};
use super::record::{decode, encode};
use super::tree::{Lane, Tree, Trees, due_key, outbox_key};
use super::{StateError, View, chunk};
use crate::case::Alias;

type Key = (Tree, Vec<u8>);
type Value = Option<Vec<u8>>;

/// What a group writes.
#[derive(Default)]
pub struct Writes(HashMap<Key, Value>);

impl Writes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names the commit that these become.
    pub(super) fn number(&mut self, commit: u64) -> Result<(), StateError> {
        self.0.insert((Tree::Meta, COMMIT.to_vec()), Some(encode(&commit)?));
        Ok(())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Tree, &[u8], Option<&[u8]>)> {
        self.0.iter().map(|((tree, key), value)| (*tree, key.as_slice(), value.as_deref()))
    }
}

/// A typed view of the trees, with the group's writes on top.
pub struct Transaction<'a> {
    trees: &'a Trees,
    writes: Writes,
    /// What stood in `writes` before the present step, latest last.
    undo: Vec<(Key, Option<Value>)>,
    /// Where the exchanges that this group has read or written stand in the indexes.
    indexed: RefCell<HashMap<Vec<u8>, Indexed>>,
}

/// What the indexes say of an exchange.
#[derive(Clone, Copy, PartialEq)]
struct Indexed {
    place: Option<(Timestamp, u64)>,
    needs_a_person: bool,
}

impl Indexed {
    fn of(record: &ExchangeRecord) -> Self {
        Self { place: place(record), needs_a_person: needs_a_person(record) }
    }
}

impl<'a> Transaction<'a> {
    pub(super) fn new(trees: &'a Trees) -> Self {
        Self { trees, writes: Writes::default(), undo: Vec::new(), indexed: RefCell::default() }
    }

    pub(super) fn keep(&mut self) {
        self.undo.clear();
    }

    pub(super) fn roll_back(&mut self) {
        self.indexed.borrow_mut().clear();
        while let Some((key, before)) = self.undo.pop() {
            match before {
                Some(value) => self.writes.0.insert(key, value),
                None => self.writes.0.remove(&key),
            };
        }
    }

    pub(super) fn into_writes(self) -> Writes {
        self.writes
    }

    fn bytes(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        if self.writes.is_empty() {
            return self.trees.get(tree, key);
        }
        match self.writes.0.get(&(tree, key.to_vec())) {
            Some(written) => Ok(written.clone()),
            None => self.trees.get(tree, key),
        }
    }

    fn get<T: DeserializeOwned>(&self, tree: Tree, key: &[u8]) -> Result<Option<T>, StateError> {
        self.bytes(tree, key)?.map(|bytes| decode(&bytes)).transpose()
    }

    fn set(&mut self, tree: Tree, key: Vec<u8>, value: Value) {
        let before = self.writes.0.insert((tree, key.clone()), value);
        self.undo.push(((tree, key), before));
    }

    fn put<T: Serialize>(&mut self, tree: Tree, key: Vec<u8>, value: &T) -> Result<(), StateError> {
        let bytes = encode(value)?;
        if bytes.len() > super::VALUE_LIMIT {
            return Err(StateError::ValueTooLarge { tree: tree.name(), bytes: bytes.len() });
        }
        self.set(tree, key, Some(bytes));
        Ok(())
    }

    /// A value that may be larger than sled takes well: cut into chunks.
    fn put_large<T: Serialize>(&mut self, tree: Tree, key: &[u8], value: &T) -> Result<(), StateError> {
        // The pieces of a larger value that stood here before would stay for ever.
        self.remove_large(tree, key.to_vec())?;
        let (head, pieces) = chunk::cut(encode(value)?);
        for (number, piece) in pieces.into_iter().enumerate() {
            self.set(Tree::Chunk, chunk::key(tree, key, number), Some(piece));
        }
        self.set(tree, key.to_vec(), Some(head));
        Ok(())
    }

    fn get_large<T: DeserializeOwned>(&self, tree: Tree, key: &[u8]) -> Result<Option<T>, StateError> {
        let Some(head) = self.bytes(tree, key)? else { return Ok(None) };
        let whole = chunk::join(head, |number| self.bytes(Tree::Chunk, &chunk::key(tree, key, number)))?;
        decode(&whole).map(Some)
    }

    fn remove_large(&mut self, tree: Tree, key: Vec<u8>) -> Result<(), StateError> {
        if let Some(head) = self.bytes(tree, &key)? {
            for number in 0..chunk::count(&head) {
                self.set(Tree::Chunk, chunk::key(tree, &key, number), None);
            }
            self.set(tree, key, None);
        }
        Ok(())
    }

    pub fn exchange(&self, key: &ExchangeKey) -> Result<Option<ExchangeRecord>, StateError> {
        let encoded = key.encode();
        let record: Option<ExchangeRecord> = self.get(Tree::Exchange, &encoded)?;
        if let Some(record) = &record {
            self.indexed.borrow_mut().insert(encoded, Indexed::of(record));
        }
        Ok(record)
    }

    /// Stores the record, and keeps the due index, the list of parked ones and the count in step with it.
    pub fn put_exchange(&mut self, key: &ExchangeKey, record: &ExchangeRecord) -> Result<(), StateError> {
        let encoded = key.encode();
        let known = self.indexed.borrow().get(&encoded).copied();
        let before = match known {
            Some(indexed) => Some(indexed),
            None => self.exchange(key)?.as_ref().map(Indexed::of),
        };
        let after = Indexed::of(record);
        self.indexed.borrow_mut().insert(encoded.clone(), after);
        let lane = Lane::of(key, record.leg.towards());
        let due_before = before.and_then(|indexed| indexed.place);
        if due_before != after.place {
            if let Some((at, head)) = due_before {
                self.set(Tree::Due, due_key(&lane, at, head, &encoded), None);
            }
            if let Some((at, head)) = after.place {
                self.set(Tree::Due, due_key(&lane, at, head, &encoded), Some(Vec::new()));
            }
        }
        if before.is_some_and(|indexed| indexed.needs_a_person) != after.needs_a_person {
            self.set(Tree::Parked, encoded.clone(), after.needs_a_person.then(Vec::new));
        }
        if before.is_none() {
            let count: u64 = self.get(Tree::Meta, COUNT)?.unwrap_or(0);
            self.put(Tree::Meta, COUNT.to_vec(), &(count + 1))?;
        }
        self.put(Tree::Exchange, encoded, record)
    }

    /// Adds an operation to the peer's outbox and returns its position.
    pub fn enqueue(&mut self, peer: &Alias, entry: &OutboxEntry) -> Result<u64, StateError> {
        let counter = position_key(peer);
        let position = self.get::<u64>(Tree::Meta, &counter)?.unwrap_or(0) + 1;
        self.put(Tree::Meta, counter, &position)?;
        self.put_large(Tree::Outbox, &outbox_key(peer, position), entry)?;
        Ok(position)
    }

    /// The position of the last operation that was ever added.
    pub fn last_position(&self, peer: &Alias) -> Result<u64, StateError> {
        Ok(self.get::<u64>(Tree::Meta, &position_key(peer))?.unwrap_or(0))
    }

    pub fn outbox(&self, peer: &Alias, position: u64) -> Result<Option<OutboxEntry>, StateError> {
        self.get_large(Tree::Outbox, &outbox_key(peer, position))
    }

    pub fn dequeue(&mut self, peer: &Alias, position: u64) -> Result<(), StateError> {
        self.remove_large(Tree::Outbox, outbox_key(peer, position))
    }

    /// The positions in a peer's outbox up to `through`, at most `limit`, that were durable before this group.
    pub fn positions_through(&self, peer: &Alias, through: u64, limit: usize) -> Result<Vec<u64>, StateError> {
        let mut positions = Vec::new();
        for position in self.trees.positions(peer, 0)? {
            let position = position?;
            if position > through || positions.len() >= limit {
                break;
            }
            if self.bytes(Tree::Outbox, &outbox_key(peer, position))?.is_some() {
                positions.push(position);
            }
        }
        Ok(positions)
    }

    /// What was due before this group, see [`View::due`].
    pub fn due(&self, lane: &Lane, now: Timestamp, limit: usize) -> Result<Vec<DueEntry>, StateError> {
        View { trees: self.trees }.due(lane, now, limit)
    }

    pub fn inbound(&self, key: &ExchangeKey, seq: u64) -> Result<Option<InboundEntry>, StateError> {
        self.get_large(Tree::Inbound, &inbound_key(key, seq))
    }

    pub fn put_inbound(&mut self, key: &ExchangeKey, entry: &InboundEntry) -> Result<(), StateError> {
        self.put_large(Tree::Inbound, &inbound_key(key, entry.seq), entry)
    }

    pub fn remove_inbound(&mut self, key: &ExchangeKey, seq: u64) -> Result<(), StateError> {
        self.remove_large(Tree::Inbound, inbound_key(key, seq))
    }

    pub fn peer(&self, peer: &Alias) -> Result<PeerRecord, StateError> {
        Ok(self.get(Tree::Peer, &peer_prefix(peer))?.unwrap_or_default())
    }

    pub fn put_peer(&mut self, peer: &Alias, record: &PeerRecord) -> Result<(), StateError> {
        self.put(Tree::Peer, peer_prefix(peer), record)
    }

    /// How far the incident store was read; the store's own text.
    pub fn store_cursor(&self) -> Result<Option<String>, StateError> {
        self.get(Tree::Meta, STORE_CURSOR)
    }

    pub fn put_store_cursor(&mut self, cursor: &str) -> Result<(), StateError> {
        self.put(Tree::Meta, STORE_CURSOR.to_vec(), &cursor)
    }

    /// When a scheduled job last ran.
    pub fn last_run(&self, job: &str) -> Result<Option<Timestamp>, StateError> {
        self.get(Tree::Meta, &job_key(job))
    }

    pub fn put_last_run(&mut self, job: &str, at: Timestamp) -> Result<(), StateError> {
        self.put(Tree::Meta, job_key(job), &at)
    }

    pub(super) fn meta(&self) -> Result<Option<MetaRecord>, StateError> {
        self.get(Tree::Meta, META)
    }

    pub(super) fn put_meta(&mut self, meta: &MetaRecord) -> Result<(), StateError> {
        self.put(Tree::Meta, META.to_vec(), meta)
    }

    /// The number of the last commit.
    pub(super) fn commit(&self) -> Result<u64, StateError> {
        Ok(self.get(Tree::Meta, COMMIT)?.unwrap_or(0))
    }

    pub fn count(&self) -> Result<u64, StateError> {
        Ok(self.get(Tree::Meta, COUNT)?.unwrap_or(0))
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

const META: &[u8] = b"meta";
const COUNT: &[u8] = b"count";
const COMMIT: &[u8] = b"commit";
const STORE_CURSOR: &[u8] = b"store cursor";

/// Where an exchange stands in the due index: what was queued first goes first.
pub(super) fn place(record: &ExchangeRecord) -> Option<(Timestamp, u64)> {
    let due = record.due.as_ref()?;
    Some((due.at, record.pending.first().copied().unwrap_or(0)))
}

/// Whether an exchange stands among the parked.
pub(super) fn needs_a_person(record: &ExchangeRecord) -> bool {
    record.parked.is_some() || record.held.is_some()
}

/// Where the position of the last operation for a peer stands.
pub(super) fn position_key(peer: &Alias) -> Vec<u8> {
    [b"position/", peer.as_str().as_bytes()].concat()
}

fn inbound_key(key: &ExchangeKey, seq: u64) -> Vec<u8> {
    let mut inbound = key.encode();
    inbound.extend_from_slice(&seq.to_be_bytes());
    inbound
}

fn job_key(job: &str) -> Vec<u8> {
    [b"job/", job.as_bytes()].concat()
}
