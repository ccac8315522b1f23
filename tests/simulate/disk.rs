//! The disk under a site's state: what is written is there for the running machine, and for good only after a sync.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use casebridge::case::{Alias, ExchangeId};
use casebridge::state::{Bytes, Database, Pair, StateError};

type Map = BTreeMap<Vec<u8>, Bytes>;
type Batch = Vec<(Vec<u8>, Option<Bytes>)>;

#[derive(Default)]
struct Platter {
    /// As the machine sees it.
    seen: Map,
    /// As it is after a power cut.
    durable: Map,
    unsynced: Vec<Batch>,
    acknowledged: u64,
    full: bool,
    sync_fails: bool,
    lies: bool,
}

/// Cheap to clone; survives the process, and what is durable survives the machine.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<Platter>>);

impl Disk {
    pub fn lying(lies: bool) -> Self {
        let disk = Self::default();
        disk.0.lock().unwrap().lies = lies;
        disk
    }

    pub fn set_full(&self, full: bool) {
        self.0.lock().unwrap().full = full;
    }

    pub fn is_full(&self) -> bool {
        self.0.lock().unwrap().full
    }

    /// The next sync fails.
    pub fn fail_sync(&self) {
        self.0.lock().unwrap().sync_fails = true;
    }

    pub fn heal(&self) {
        self.0.lock().unwrap().sync_fails = false;
    }

    /// Of what was not synced, the first `kept` writes got there nevertheless.
    pub fn cut_power(&self, kept: usize) {
        let platter = &mut *self.0.lock().unwrap();
        platter.sync_fails = false;
        for batch in std::mem::take(&mut platter.unsynced).into_iter().take(kept) {
            write(&mut platter.durable, &batch);
        }
        platter.seen = platter.durable.clone();
        // It was never synced, and is not ahead of what was.
        platter.acknowledged = 0;
    }

    pub fn unsynced(&self) -> usize {
        self.0.lock().unwrap().unsynced.len()
    }

    /// The last number that an operation in this exchange got, as a power cut would leave it.
    pub fn durably_sent(&self, peer: &Alias, exchange: ExchangeId) -> u64 {
        let platter = self.0.lock().unwrap();
        let key = [b"e", peer.as_str().as_bytes(), &[0], exchange.as_bytes()].concat();
        let map = if platter.lies { &platter.seen } else { &platter.durable };
        let Some(value) = map.get(&key) else { return 0 };
        let record: serde_json::Value = serde_json::from_slice(&value[5..]).expect("a record is JSON in an envelope");
        record["sent"].as_u64().expect("it counts")
    }
}

fn write(map: &mut Map, batch: &Batch) {
    for (key, value) in batch {
        match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
    }
}

impl Database for Disk {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        Ok(self.0.lock().unwrap().seen.get(key).cloned())
    }

    fn range(&self, from: Vec<u8>, to: Vec<u8>) -> Box<dyn Iterator<Item = Pair>> {
        let platter = self.0.lock().unwrap();
        let found: Vec<Pair> =
            platter.seen.range(from..to).map(|(k, v)| Ok((k.as_slice().into(), v.clone()))).collect();
        Box::new(found.into_iter())
    }

    fn write(&self, writes: &mut dyn Iterator<Item = (&[u8], Option<&Bytes>)>) -> Result<(), StateError> {
        let platter = &mut *self.0.lock().unwrap();
        if platter.full {
            return Err(StateError::Io("No space left on device".into()));
        }
        let batch: Batch = writes.map(|(key, value)| (key.to_vec(), value.cloned())).collect();
        write(&mut platter.seen, &batch);
        platter.unsynced.push(batch);
        Ok(())
    }

    fn sync(&self, commit: u64) -> Result<(), StateError> {
        let platter = &mut *self.0.lock().unwrap();
        if std::mem::take(&mut platter.sync_fails) {
            return Err(StateError::Io("Input/output error".into()));
        }
        platter.acknowledged = commit;
        if platter.lies {
            return Ok(());
        }
        for batch in std::mem::take(&mut platter.unsynced) {
            write(&mut platter.durable, &batch);
        }
        Ok(())
    }

    fn acknowledged(&self) -> Result<u64, StateError> {
        Ok(self.0.lock().unwrap().acknowledged)
    }
}
