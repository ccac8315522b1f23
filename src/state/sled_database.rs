//! The records on sled (see README, "State"): `flush` alone does not reach the disk, so its file is synced by a handle of
//! our own.

use std::fs::File;
use std::path::Path;

use super::StateError;
use super::acknowledged::Acknowledged;
use super::database::{Bytes, Database, Pair};
use crate::telemetry::{CrashPoint, crash_point};

/// One tree, because sled reads each key once more when it writes to several at once.
pub struct SledDatabase {
    db: sled::Db,
    tree: sled::Tree,
    file: File,
    acknowledged: Acknowledged,
}

impl SledDatabase {
    /// May panic where sled finds what it does not expect.
    pub fn open(path: &Path, cache_bytes: u64) -> Result<Self, StateError> {
        let config = sled::Config::new()
            .path(path)
            // Fixed at creation. 8 MiB keeps values of 60 KiB out of the blob files that sled never syncs.
            .segment_size(8 << 20)
            .cache_capacity(cache_bytes)
            .flush_every_ms(Some(500));
        let db = config.open()?;
        let tree = db.open_tree("records")?;
        let file = File::options().read(true).write(true).open(path.join("db")).map_err(io)?;
        Ok(Self { db, tree, file, acknowledged: Acknowledged::open(path).map_err(io)? })
    }

    /// A second handle on its file, by which it is seen when sled lets go of its lock.
    pub fn lock(&self) -> Result<File, StateError> {
        self.file.try_clone().map_err(io)
    }
}

fn io(error: std::io::Error) -> StateError {
    StateError::Io(error.to_string())
}

impl Database for SledDatabase {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        Ok(self.tree.get(key)?)
    }

    fn range(&self, from: Vec<u8>, to: Vec<u8>) -> Box<dyn Iterator<Item = Pair>> {
        Box::new(self.tree.range(from..to).map(|item| Ok(item?)))
    }

    fn write(&self, writes: &mut dyn Iterator<Item = (&[u8], Option<&Bytes>)>) -> Result<(), StateError> {
        let mut batch = sled::Batch::default();
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(key, value.clone()),
                None => batch.remove(key),
            }
        }
        Ok(self.tree.apply_batch(batch)?)
    }

    fn sync(&self, commit: u64) -> Result<(), StateError> {
        self.db.flush()?;
        self.file.sync_data().map_err(io)?;
        crash_point(CrashPoint::StateSynced);
        self.acknowledged.write(commit).map_err(io)
    }

    fn acknowledged(&self) -> Result<u64, StateError> {
        let unread = || StateError::Damaged("the number of the last commit does not read".into());
        self.acknowledged.read().map_err(io)?.ok_or_else(unread)
    }
}
