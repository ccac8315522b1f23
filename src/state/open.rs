//! Opening: in a thread of its own, because sled can panic there; checked record by record; damage is told, never
//! silently replaced.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::check::check;
use super::commit::{Committer, Readable, Running};
use super::database::Database;
use super::due::DueIndex;
use super::exchange::MetaRecord;
use super::recent::Recent;
use super::records::Records;
use super::sled_database::SledDatabase;
use super::transaction::Transaction;
use super::{QUEUE, State, StateError, Way};
use crate::case::SiteId;
use crate::config::settings;
use crate::telemetry::{CrashPoint, crash_point};

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
    #[error("the state cannot be in {path}: that is no directory; move it away, or set [state] path to another place")]
    NotADirectory { path: PathBuf },
    #[error("the state in {path} cannot be opened: {reason}")]
    Io { path: PathBuf, reason: String },
}

impl State {
    /// Opens or creates the state of the site whose incident store is `site`.
    pub fn open(settings: &settings::State, site: SiteId, now: Timestamp) -> Result<State, OpenError> {
        let path = settings.path.clone();
        let io = |error: std::io::Error| refused(&settings.path, StateError::Io(error.to_string()));
        if path.exists() && !path.is_dir() {
            return Err(OpenError::NotADirectory { path });
        }
        std::fs::create_dir_all(&path).map_err(io)?;
        let opening = {
            let (path, cache_bytes) = (path.clone(), settings.cache_bytes);
            std::thread::Builder::new().name("state-open".into()).spawn(move || open(&path, cache_bytes, site, now))
        };
        let panicked = |_| Err(refused(&path, StateError::Damaged("sled panicked while opening it".into())));
        let (opened, lock) = opening.map_err(io)?.join().unwrap_or_else(panicked)?;
        let released = Box::new(move || {
            // sled's own threads may hold its lock for a moment longer; this waits behind them.
            let _ = lock.lock();
            // And this is not to be held by a child that is being made just now.
            let _ = lock.unlock();
        });
        let (messages, receiver) = mpsc::channel(QUEUE);
        let (committer, state) = opened.ready(settings.group, path, released, Way::Thread(messages));
        let thread = std::thread::Builder::new().name("state-committer".into());
        thread.spawn(move || committer.run(receiver)).map_err(io)?;
        Ok(state)
    }

    /// The state of a site on a database of another kind than the daemon's. It has no thread: each step is a group of its
    /// own, and done when its caller's task has asked for it. So whoever drives the tasks decides what happens when.
    pub fn on(database: Arc<dyn Database>, site: SiteId, now: Timestamp) -> Result<State, OpenError> {
        let nowhere = PathBuf::new();
        let opened = read(&nowhere, database, site, now, || Ok(()))?;
        let (committer, mut state) = opened.ready(1, nowhere, Box::new(|| ()), Way::Closed);
        state.way = Way::Inline(Arc::new(Mutex::new(committer)));
        Ok(state)
    }
}

struct Opened {
    records: Records,
    due: DueIndex,
    commit: u64,
    meta: MetaRecord,
}

impl Opened {
    fn ready(self, group: usize, path: PathBuf, released: Box<dyn FnOnce() + Send>, way: Way) -> (Committer, State) {
        let Self { records, due, commit, meta } = self;
        let (running_sender, running) = watch::channel(Running::Yes);
        let durable =
            Arc::new(RwLock::new(Some(Readable { records: records.clone(), recent: Recent::default(), due })));
        let committer =
            Committer { records, durable: Arc::clone(&durable), released, commit, group, running: running_sender };
        (committer, State { durable, way, running, meta, path })
    }
}

/// Everything at which sled can panic.
fn open(path: &Path, cache_bytes: u64, site: SiteId, now: Timestamp) -> Result<(Opened, File), OpenError> {
    let fault = |fault: StateError| refused(path, fault);
    let database = SledDatabase::open(path, cache_bytes).map_err(fault)?;
    let lock = database.lock().map_err(fault)?;
    let made = || sync_all_below(path).map_err(|error| StateError::Io(error.to_string()));
    Ok((read(path, Arc::new(database), site, now, made)?, lock))
}

/// Reads everything that is there, or makes the first record; `made` follows that.
fn read(
    path: &Path,
    database: Arc<dyn Database>,
    site: SiteId,
    now: Timestamp,
    made: impl Fn() -> Result<(), StateError>,
) -> Result<Opened, OpenError> {
    let fault = |fault: StateError| refused(path, fault);
    let records = Records::on(Arc::clone(&database));
    let due = check(&records).map_err(fault)?;
    let recent = Recent::default();
    let mut transaction = Transaction::new(&records, &recent);
    let last = transaction.commit().map_err(fault)?;
    let told = database.acknowledged().map_err(fault)?;
    if told > last {
        let reason = format!("commit {told} was acknowledged, and the last one there is {last}");
        return Err(fault(StateError::Damaged(reason)));
    }
    let (commit, meta) = match transaction.meta().map_err(fault)? {
        Some(meta) if meta.site != site => return Err(OpenError::ForeignStore { path: path.to_owned() }),
        Some(meta) => (last, meta),
        None => {
            let meta = MetaRecord { epoch: Uuid::new_v4(), created_at: now, site };
            transaction.put_meta(&meta).map_err(fault)?;
            let mut writes = transaction.into_writes();
            writes.number(1).and_then(|()| records.write(&writes)).map_err(fault)?;
            crash_point(CrashPoint::StateCreated);
            (1, meta)
        }
    };
    // What a process that was killed left unsynced was read just now, and may be told to a peer from here on.
    database.sync(commit).map_err(fault)?;
    if commit == 1 {
        made().map_err(fault)?;
    }
    Ok(Opened { records, due, commit, meta })
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
    let mut aside = path.with_file_name(&name);
    let mut number = 1;
    // Twice within a second.
    while aside.exists() {
        number += 1;
        name.push(format!("-{number}"));
        aside.set_file_name(&name);
    }
    std::fs::rename(path, &aside)?;
    if let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(aside)
}
