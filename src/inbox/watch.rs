//! The watcher of one directory: deposits in it become incidents, in the order of their names.
//!
//! A file is read once it is settled, deposited, and only when that is durable moved to `done`. A crash in between
//! brings the same file again, and the store knows its host event ID. A file that cannot be taken is moved to
//! `quarantine` with the reason beside it.

use std::collections::{HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio_util::sync::CancellationToken;

use super::late::{Attachments, FetchSummary};
use super::look::{Candidate, Look, Moment, Table, look};
use super::place::{Folders, put, safe_name, set_apart, told_name};
use super::read::into_group;
use super::settled::{Unread, read_whole};
use super::{DepositError, Depositor, Fault, read};
use crate::case::{Deposit, FileContent};
use crate::config::settings;
use crate::telemetry::{Seldom, discreet};

/// The most deposits that the engine gets in one call.
const CHUNK_FILES: usize = 100;
/// The most bytes that are read for one call, unless a single file has more.
const CHUNK_BYTES: u64 = 32 * 1024 * 1024;
/// The most names that are remembered as mentioned in the log.
const MENTION_LIMIT: usize = 10_000;

/// What one pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PassSummary {
    /// New incidents.
    pub deposited: usize,
    /// Deposits of incidents that were known.
    pub known: usize,
    pub quarantined: usize,
    /// Files that are not settled yet.
    pub waiting: usize,
    /// Files that could be neither taken nor moved away; they are tried again after a while.
    pub stuck: usize,
    /// There is more to read at once.
    pub more: bool,
    /// The engine could not take deposits just now; they are still there.
    pub delayed: bool,
    /// The directory itself cannot be used.
    pub blocked: bool,
}

/// One watched directory.
pub struct Inbox {
    dir: PathBuf,
    settings: settings::Inbox,
    bundle: Arc<settings::Bundle>,
    depositor: Arc<dyn Depositor>,
    attachments: Attachments,
    stop: CancellationToken,
    table: Table,
    passes: u64,
    mentioned: Mentioned,
    /// What was set apart, by what is to be done about it.
    apart: Seldom<&'static str>,
    /// The directory could not be used at the last pass, and that was said.
    blocked: bool,
    /// The engine could not take deposits at the last pass, and that was said.
    delayed: bool,
}

impl Inbox {
    pub fn new(settings: settings::Inbox, bundle: settings::Bundle, depositor: Arc<dyn Depositor>) -> Self {
        Self {
            dir: settings.dir.clone(),
            attachments: Attachments::new(settings.clone(), depositor.clone()),
            settings,
            bundle: Arc::new(bundle),
            depositor,
            stop: CancellationToken::new(),
            table: Table::default(),
            passes: 0,
            mentioned: Mentioned::default(),
            apart: Seldom::default(),
            blocked: false,
            delayed: false,
        }
    }

    /// The attachments of this inbox, for the job that looks for late ones while [`Inbox::run`] has the inbox.
    pub fn attachments(&self) -> Attachments {
        self.attachments.clone()
    }

    /// Looks for the attachments that are awaited.
    pub async fn fetch_awaited(&self) -> FetchSummary {
        self.attachments.fetch_awaited().await
    }

    /// Watches until told to stop. What is under way is finished first; waiting is not.
    pub async fn run(mut self, stop: CancellationToken) {
        self.stop = stop.clone();
        self.fetch_awaited().await;
        while !stop.is_cancelled() {
            if self.pass().await.more {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(self.settings.poll_interval) => {}
            }
        }
    }

    /// One look at the directory, and everything that follows from it. Takes at most 1,000 files.
    pub async fn pass(&mut self) -> PassSummary {
        self.pass_at(SystemTime::now()).await
    }

    async fn pass_at(&mut self, now: SystemTime) -> PassSummary {
        self.passes += 1;
        for (remedy, files) in self.apart.overdue(Instant::now()) {
            let more = "so many more were set apart since; the reasons stand beside them";
            tracing::warn!(event = "deposit_quarantined", files, remedy, "{more}");
        }
        let (folders, found) = match self.look(now).await {
            Ok(found) => found,
            Err(error) => return self.block(&error),
        };
        if std::mem::take(&mut self.blocked) {
            self.depositor.blocked(&self.dir, None);
        }
        self.table = found.table;
        for name in found.others.iter().filter(|name| self.mentioned.first(name)) {
            tracing::warn!(
                event = "deposit_ignored",
                file = told_name(name),
                "only regular files directly in the inbox are taken"
            );
        }
        if found.ready.is_empty() && found.waiting == 0 {
            self.undelay();
        }
        let mut summary = PassSummary { waiting: found.waiting, more: found.more, ..PassSummary::default() };
        let mut chunks = chunks(found.ready);
        // Ends: a chunk leaves for good, or once as chunks of one file.
        while let Some(chunk) = chunks.pop_front() {
            if self.stop.is_cancelled() {
                break;
            }
            match self.take(&folders, chunk, now, &mut summary).await {
                Taken::Done => {}
                Taken::OneByOne(files) => files.into_iter().rev().for_each(|file| chunks.push_front(vec![file])),
                Taken::Later => {
                    summary.delayed = true;
                    summary.more = false;
                    break;
                }
            }
        }
        summary
    }

    async fn look(&mut self, now: SystemTime) -> io::Result<(Folders, Look)> {
        let (dir, before) = (self.dir.clone(), std::mem::take(&mut self.table));
        let moment = Moment { pass: self.passes, now, before: None, settle: self.settings.settle };
        blocking(move || {
            let folders = Folders::open(&dir)?;
            let look = look(&folders.inbox, before, moment)?;
            Ok((folders, look))
        })
        .await?
    }

    fn block(&mut self, error: &io::Error) -> PassSummary {
        if !std::mem::replace(&mut self.blocked, true) {
            self.depositor.blocked(&self.dir, Some(&error.to_string()));
            tracing::error!(
                event = "inbox_blocked",
                dir = %self.dir.display(),
                reason = %error,
                "the inbox cannot be used; it must be a directory that the daemon may read and write"
            );
        }
        PassSummary { blocked: true, ..PassSummary::default() }
    }

    /// Reads the files of one chunk and deposits those that are good.
    async fn take(
        &mut self,
        folders: &Folders,
        chunk: Vec<Candidate>,
        now: SystemTime,
        summary: &mut PassSummary,
    ) -> Taken {
        let names = chunk.clone();
        let opened = match self.open(folders, chunk).await {
            Ok(opened) => opened,
            Err(_) if names.len() > 1 => return Taken::OneByOne(names),
            Err(error) => {
                names.iter().for_each(|file| self.stick(&file.name, &error, summary));
                return Taken::Done;
            }
        };
        let mut files = Vec::new();
        let mut deposits = Vec::new();
        for (file, outcome) in opened {
            match outcome {
                Ok(deposit) => {
                    files.push(file);
                    deposits.push(deposit);
                }
                Err(Trouble::Refused(fault)) => self.quarantine(folders, &file, fault, now, summary).await,
                Err(Trouble::Unread(Unread::Denied)) => {
                    self.quarantine(folders, &file, Fault::Unreadable, now, summary).await;
                }
                Err(Trouble::Unread(Unread::Vanished)) => {
                    tracing::debug!(
                        event = "deposit_vanished",
                        file = told_name(&file.name),
                        "gone before it was read"
                    );
                }
                Err(Trouble::Unread(Unread::Changing)) => summary.waiting += 1,
                Err(Trouble::Unread(Unread::Failed(error))) => self.stick(&file.name, &error, summary),
            }
        }
        if files.is_empty() {
            return Taken::Done;
        }
        self.deposit(folders, files, deposits, now, summary).await
    }

    /// Reads and parses away from the async threads.
    async fn open(
        &self,
        folders: &Folders,
        chunk: Vec<Candidate>,
    ) -> io::Result<Vec<(Candidate, Result<Deposit, Trouble>)>> {
        let (dir, bundle, limit) = (folders.inbox.clone(), self.bundle.clone(), self.settings.max_bytes);
        let group = self.settings.group.clone();
        blocking(move || {
            let open = |file: &Candidate| {
                let bytes = file.print.bytes;
                if bytes > limit {
                    return Err(Trouble::Refused(Fault::TooLarge { bytes, limit }));
                }
                let content = read_whole(&dir, &file.name, &file.print).map_err(Trouble::Unread)?;
                let deposit = read(&content, &bundle).map_err(Trouble::Refused)?;
                into_group(deposit, group.as_deref()).map_err(Trouble::Refused)
            };
            chunk.into_iter().map(|file| (file.clone(), open(&file))).collect()
        })
        .await
    }

    async fn deposit(
        &mut self,
        folders: &Folders,
        files: Vec<Candidate>,
        deposits: Vec<Deposit>,
        now: SystemTime,
        summary: &mut PassSummary,
    ) -> Taken {
        let lists = |deposit: &Deposit| deposit.files.iter().any(|file| file.content == FileContent::Listed);
        let listing = deposits.iter().any(lists);
        let answers = match self.depositor.deposit(deposits).await {
            Ok(answers) if answers.len() == files.len() => answers,
            Ok(answers) => {
                let given = answers.len();
                return self.delay(&format!("{given} answers came for {} deposits", files.len()));
            }
            Err(DepositError::Transient(reason)) => return self.delay(&reason),
            // One of them is refused, and nobody said which.
            Err(DepositError::Refused(_)) if files.len() > 1 => return Taken::OneByOne(files),
            Err(DepositError::Refused(reason)) => {
                for file in files {
                    self.quarantine(folders, &file, Fault::Refused(reason.clone()), now, summary).await;
                }
                return Taken::Done;
            }
        };
        self.undelay();
        for (file, answer) in files.iter().zip(&answers) {
            let (incident, file) = (answer.incident.0, told_name(&file.name));
            if answer.new {
                summary.deposited += 1;
                tracing::info!(event = "incident_deposited", incident, file, "a deposit became an incident");
            } else {
                summary.known += 1;
                tracing::info!(event = "deposit_known", incident, file, "the incident of a deposit was already known");
            }
        }
        self.finish(folders, files, summary).await;
        if listing && answers.iter().any(|answer| answer.new) {
            self.attachments.fetch_new().await;
        }
        Taken::Done
    }

    /// Moves deposits to `done` that the engine has.
    async fn finish(&mut self, folders: &Folders, files: Vec<Candidate>, summary: &mut PassSummary) {
        let (dir, done) = (folders.inbox.clone(), folders.done.clone());
        let moving = files.clone();
        let moved = blocking(move || {
            let to_done = |file: &Candidate| put(file.seen_in(&dir), &done, &safe_name(&file.name));
            moving.iter().map(to_done).collect::<Vec<_>>()
        });
        let moved = moved.await.unwrap_or_default();
        for (file, moved) in files.iter().zip(moved) {
            match moved {
                Err(error) if error.kind() != io::ErrorKind::NotFound => self.stick(&file.name, &error, summary),
                Ok(()) | Err(_) => {}
            }
        }
    }

    async fn quarantine(
        &mut self,
        folders: &Folders,
        file: &Candidate,
        fault: Fault,
        now: SystemTime,
        summary: &mut PassSummary,
    ) {
        let (dir, folder, moving, name) = (folders.inbox.clone(), folders.quarantine.clone(), file.clone(), &file.name);
        let (reason, remedy) = (fault.to_string(), fault.remedy());
        let told = reason.clone();
        let apart = move || set_apart(moving.seen_in(&dir), &folder, &moving.name, &reason, remedy, now);
        let moved = blocking(apart).await;
        match moved.and_then(|moved| moved) {
            Ok(()) => {
                summary.quarantined += 1;
                let (file, reason) = (told_name(name), discreet(&told));
                match self.apart.note(remedy, Instant::now()) {
                    Some(files) => tracing::warn!(
                        event = "deposit_quarantined",
                        file,
                        files,
                        %reason,
                        "a deposit was set apart; the reason and what to do stand beside it"
                    ),
                    None => tracing::debug!(event = "deposit_quarantined", file, %reason, "one more"),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::debug!(event = "deposit_vanished", file = told_name(name), "gone before it was set apart");
            }
            Err(error) => self.stick(name, &error, summary),
        }
    }

    /// Leaves a file where it is for a while: it cannot be read or moved. Said once.
    fn stick(&mut self, name: &OsStr, error: &io::Error, summary: &mut PassSummary) {
        summary.stuck += 1;
        self.table.rest(name, self.passes);
        if self.mentioned.first(name) {
            tracing::warn!(
                event = "deposit_stuck",
                file = told_name(name),
                reason = %error,
                "a deposit can be neither read nor moved; it stays in the inbox"
            );
        }
    }

    fn delay(&mut self, reason: &str) -> Taken {
        if !std::mem::replace(&mut self.delayed, true) {
            self.depositor.blocked(&self.dir, Some(reason));
            tracing::warn!(event = "deposits_delayed", reason, "deposits cannot be stored now; they wait in the inbox");
        }
        Taken::Later
    }

    /// The last deposits were stored, or nobody waits for that any more.
    fn undelay(&mut self) {
        if std::mem::take(&mut self.delayed) {
            self.depositor.blocked(&self.dir, None);
        }
    }
}

/// What became of a chunk.
enum Taken {
    Done,
    /// Something in it spoils the whole; each of these is tried alone.
    OneByOne(Vec<Candidate>),
    /// Nothing can be deposited at the moment.
    Later,
}

enum Trouble {
    Refused(Fault),
    Unread(Unread),
}

/// Names that the log has mentioned, so that it says a thing once.
#[derive(Debug, Default)]
pub(super) struct Mentioned(HashSet<OsString>);

impl Mentioned {
    /// Whether this is the first time. When there are too many to remember, the later ones are not mentioned.
    pub fn first(&mut self, name: impl AsRef<OsStr>) -> bool {
        self.0.len() < MENTION_LIMIT && self.0.insert(name.as_ref().to_owned())
    }
}

/// Files in order, in groups that bound what is in memory at once.
fn chunks(files: Vec<Candidate>) -> VecDeque<Vec<Candidate>> {
    let mut chunks: VecDeque<Vec<Candidate>> = VecDeque::new();
    let mut bytes = 0;
    for file in files {
        let size = file.print.bytes;
        match chunks.back_mut() {
            Some(chunk) if chunk.len() < CHUNK_FILES && bytes + size <= CHUNK_BYTES => {
                bytes += size;
                chunk.push(file);
            }
            _ => {
                bytes = size;
                chunks.push_back(vec![file]);
            }
        }
    }
    chunks
}

/// Runs what waits for a disk where waiting is allowed. A panic in there becomes an error, so that one file cannot end
/// the watcher.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

#[cfg(test)]
mod tests;
