//! Opening: in a thread of its own, because sled can panic there; checked record by record; damage is told, never
//! silently replaced.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::commit::Committer;
use super::exchange::MetaRecord;
use super::transaction::Transaction;
use super::tree::{Tree, Trees};
use super::{QUEUE, State, StateError, record};
use crate::case::SiteId;
use crate::config::settings;

/// Why the state did not open, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("the state in {path} is damaged: {reason}")]
    Damaged { path: PathBuf, reason: String },
    #[error(
        "the state in {path} was written by a newer version of casebridge (format {found}, this one knows {known}); \
         install that version, or run `casebridge state rebuild` to set it aside and rebuild from store and peers"
    )]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error("the state in {path} is in use by another process; is the daemon already running?")]
    InUse { path: PathBuf },
    #[error("the state in {path} belongs to another incident store; check [store] path and [state] path")]
    ForeignStore { path: PathBuf },
    #[error("the state in {path} cannot be opened: {reason}")]
    Io { path: PathBuf, reason: String },
}

impl State {
    /// Opens or creates the state of the site whose incident store is `site`.
    pub fn open(settings: &settings::State, site: SiteId, now: Timestamp) -> Result<State, OpenError> {
        let path = settings.path.clone();
        let io = |error: std::io::Error| OpenError::Io { path: path.clone(), reason: error.to_string() };
        std::fs::create_dir_all(&path).map_err(io)?;
        let opened = open_database(&path, settings.cache_bytes)
            .and_then(|db| Ok((Trees::open(&db)?, db)))
            .and_then(|(trees, db)| check(&trees).map(|()| (Arc::new(trees), db)));
        let (trees, db) = opened.map_err(|fault| refused(&path, fault))?;
        let file = File::options().read(true).write(true).open(path.join("db")).map_err(io)?;

        let mut transaction = Transaction::new(&trees);
        let meta = match transaction.meta().map_err(|fault| refused(&path, fault))? {
            Some(meta) if meta.site != site => return Err(OpenError::ForeignStore { path }),
            Some(meta) => meta,
            None => {
                let meta = MetaRecord { epoch: Uuid::new_v4(), created_at: now, site };
                transaction.put_meta(&meta).map_err(|fault| refused(&path, fault))?;
                let written = trees.write(&transaction.into_writes());
                written.and_then(|()| Ok(db.flush().map(|_| ())?)).map_err(|fault| refused(&path, fault))?;
                sync_all_below(&path).map_err(io)?;
                meta
            }
        };

        let (commands, receiver) = mpsc::channel(QUEUE);
        let (failed_sender, failed) = watch::channel(None);
        let committer = Committer {
            db,
            trees: Arc::clone(&trees),
            file,
            group: settings.group,
            commands: receiver,
            failed: failed_sender,
        };
        std::thread::Builder::new().name("state-committer".into()).spawn(move || committer.run()).map_err(io)?;
        Ok(State { trees, commands, failed, meta, path })
    }
}

fn open_database(path: &Path, cache_bytes: u64) -> Result<sled::Db, StateError> {
    let config = sled::Config::new()
        .path(path)
        // Fixed at creation. 8 MiB keeps values of 60 KiB out of the blob files that sled never syncs.
        .segment_size(8 << 20)
        .cache_capacity(cache_bytes)
        .flush_every_ms(Some(500));
    let opening = std::thread::Builder::new().name("state-open".into()).spawn(move || config.open());
    let opened = opening.map_err(|error| StateError::Io(error.to_string()))?.join();
    match opened {
        Ok(opened) => Ok(opened?),
        Err(_) => Err(StateError::Damaged("sled panicked while opening it".into())),
    }
}

/// Reads every record once: a wrong checksum, a record of a newer version and a missing exchange are all noticed here.
fn check(trees: &Trees) -> Result<(), StateError> {
    let mut exchanges = 0;
    for tree in Tree::ALL.into_iter().filter(|tree| tree.has_records()) {
        for item in trees.tree(tree).iter() {
            let (_, value) = item?;
            if value.first() != Some(&0) {
                record::verify(&value)?;
            }
            exchanges += u64::from(tree == Tree::Exchange);
        }
    }
    let expected = super::View { trees }.count()?;
    if exchanges != expected {
        return Err(StateError::Damaged(format!("{expected} exchanges were recorded, {exchanges} are there")));
    }
    Ok(())
}

fn refused(path: &Path, fault: StateError) -> OpenError {
    let path = path.to_owned();
    match fault {
        StateError::Newer { found, known } => OpenError::Newer { path, found, known },
        StateError::Damaged(reason) => OpenError::Damaged { path, reason },
        StateError::Io(reason) if reason.contains("could not acquire lock") => OpenError::InUse { path },
        StateError::Io(reason) if reason.contains("No space left") => {
            OpenError::Io { path, reason: format!("{reason}; free some space and start again, nothing is lost") }
        }
        other => OpenError::Io { path, reason: other.to_string() },
    }
}

/// At the first start every new file, its folder and the parent are synced, or a power cut leaves a database that does
/// not open.
fn sync_all_below(path: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(path)?.sync_all()?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

/// Moves a state directory out of the way, bytes and all, and says where it is now.
pub fn set_aside(path: &Path, now: Timestamp) -> std::io::Result<PathBuf> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(now.strftime(".set-aside-%Y%m%dT%H%M%SZ").to_string());
    let aside = path.with_file_name(name);
    std::fs::rename(path, &aside)?;
    if let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(aside)
}
