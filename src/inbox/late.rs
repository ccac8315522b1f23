//! Attachments that a deposit only lists: fetched from beside it, whenever they come.
//!
//! A file belongs to an awaited attachment if it stands in one of these places, the first counts:
//!
//! 1. `attachments/<host event ID>/<name>`, the ID as a safe name (see below)
//! 2. `attachments/<host event ID>/<name as a safe name>`, for names that a file system cannot hold
//! 3. `attachments/<name>`: for the attachment of this name that has been awaited longest
//!
//! A safe name has everything but ASCII letters, digits and `.-_+,=@` as `%XX`, and so a dot or hyphen at its beginning.
//! The file must be settled like a deposit, and no larger than one may be. Once it is stored it is moved to `done`.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::files::unsafe_to_fetch;
use super::folder::Folder;
use super::place::{Folders, Seen, put, safe_name, set_apart, told_name};
use super::settled::{Print, Unread, open, read_piece, rests};
use super::watch::{Mentioned, blocking};
use super::{Awaited, DepositError, Depositor, Fault};
use crate::case::ContentDigest;
use crate::config::settings;
use crate::telemetry::{Seldom, discreet};

/// How many awaited attachments are asked for at once.
const PAGE: usize = 100;
/// Bytes of a file that are in memory at once.
const PIECE: usize = 1 << 20;
/// The most pages of one search: a million attachments.
const PAGES_LIMIT: usize = 10_000;

/// What one search did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FetchSummary {
    /// Attachments that were looked for.
    pub awaited: usize,
    pub added: usize,
    /// The engine could not answer or take them just now; the next search tries again.
    pub delayed: bool,
}

/// The attachments of one inbox. Clones are the same; searches take turns.
#[derive(Clone)]
pub struct Attachments {
    shared: Arc<Shared>,
}

struct Shared {
    group: Option<String>,
    settle: Duration,
    max_bytes: u64,
    dir: PathBuf,
    depositor: Arc<dyn Depositor>,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// The highest number of an attachment that was looked for.
    newest: i64,
    /// Files that the log has mentioned as unusable.
    mentioned: Mentioned,
    /// Files that the store refused.
    refused: Seldom<()>,
    /// The last search was broken off, and that was said.
    delayed: bool,
}

impl Progress {
    fn delay(&mut self, summary: FetchSummary, reason: &str) -> FetchSummary {
        if !std::mem::replace(&mut self.delayed, true) {
            tracing::warn!(event = "attachments_delayed", reason, "awaited attachments cannot be added now");
        }
        FetchSummary { delayed: true, ..summary }
    }
}

/// A file that an awaited attachment was waiting for.
#[derive(Clone)]
struct Found {
    awaited: Awaited,
    folder: Folder,
    name: OsString,
    print: Print,
}

impl Found {
    fn seen(&self) -> Seen<'_> {
        Seen { folder: &self.folder, name: &self.name, print: &self.print }
    }
}

impl Attachments {
    pub fn new(settings: settings::Inbox, depositor: Arc<dyn Depositor>) -> Self {
        let shared = Shared {
            dir: settings.dir,
            group: settings.group,
            settle: settings.settle,
            max_bytes: settings.max_attachment_bytes,
            depositor,
            progress: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Looks for everything that is awaited, and adds what has come.
    pub async fn fetch_awaited(&self) -> FetchSummary {
        let mut progress = self.shared.progress.lock().await;
        self.shared.fetch(0, &mut progress, SystemTime::now()).await
    }

    /// The same for what came to be awaited since the last search: enough after a deposit, and its cost does not grow
    /// with all that is awaited elsewhere.
    pub(super) async fn fetch_new(&self) -> FetchSummary {
        let mut progress = self.shared.progress.lock().await;
        let after = progress.newest;
        self.shared.fetch(after, &mut progress, SystemTime::now()).await
    }
}

impl Shared {
    async fn fetch(self: &Arc<Self>, mut after: i64, progress: &mut Progress, now: SystemTime) -> FetchSummary {
        let mut summary = FetchSummary::default();
        for _ in 0..PAGES_LIMIT {
            let page = match self.depositor.awaited_attachments(after, PAGE).await {
                Ok(page) => page,
                Err(DepositError::Transient(reason) | DepositError::Refused(reason)) => {
                    return progress.delay(summary, &reason);
                }
            };
            // A page that does not lead on would be asked for again and again.
            let Some(last) = page.last().map(|awaited| awaited.id).filter(|last| *last > after) else { break };
            summary.awaited += page.len();
            let shared = self.clone();
            let found = blocking(move || {
                let folders = Folders::open(&shared.dir)?;
                let find = |awaited| shared.find(&folders, awaited, now);
                let found: Vec<Found> = page.into_iter().filter_map(find).collect();
                Ok::<_, std::io::Error>((folders, found))
            });
            // Of an inbox that cannot be used its watcher tells; the next search begins here.
            let Ok(Ok((folders, found))) = found.await else { break };
            for found in found {
                match self.add(&folders, found, progress, now).await {
                    Ok(added) => summary.added += usize::from(added),
                    Err(reason) => return progress.delay(summary, &reason),
                }
            }
            after = last;
            progress.newest = progress.newest.max(last);
            progress.delayed = false;
        }
        summary
    }

    /// The file of an awaited attachment, if it is there and settled.
    fn find(&self, folders: &Folders, awaited: Awaited, now: SystemTime) -> Option<Found> {
        let foreign = self.group.is_some() && self.group != awaited.group;
        if foreign || unsafe_to_fetch(&awaited.name).is_some() {
            return None;
        }
        let all = &folders.attachments;
        let mut places = Vec::new();
        if let Ok(own) = all.inside(safe_name(OsStr::new(&awaited.host_event_id))) {
            places.push((own.clone(), OsString::from(&awaited.name)));
            places.push((own, safe_name(OsStr::new(&awaited.name)).into()));
        }
        places.push((all.clone(), OsString::from(&awaited.name)));
        places.into_iter().find_map(|(folder, name)| {
            let metadata = folder.look(&name).ok()?;
            let ready = metadata.is_file() && rests(&metadata, self.settle, now);
            ready.then(|| Found { awaited: awaited.clone(), print: Print::of(&metadata), folder, name })
        })
    }

    /// Puts a file's content into the store, never whole in memory: its digest first, then piece by piece.
    async fn store(&self, found: &Found) -> Result<i64, Unstored> {
        let (folder, name, print) = (found.folder.clone(), found.name.clone(), found.print);
        let (file, sha256) = blocking(move || {
            let file = open(&folder, &name, &print)?;
            let (mut hash, mut start) = (Sha256::new(), 0);
            while start < print.bytes {
                let piece = read_piece(&file, &print, start, PIECE)?;
                start += piece.len() as u64;
                hash.update(&piece);
            }
            Ok::<_, Unread>((Arc::new(file), ContentDigest::ended(hash)))
        })
        .await??;
        let begun = self.depositor.begin_content(&sha256, print.bytes).await.map_err(Unstored::Store)?;
        let mut start = begun.received;
        loop {
            let open = Arc::clone(&file);
            let piece = blocking(move || read_piece(&open, &print, start, PIECE)).await??;
            let length = piece.len() as u64;
            self.depositor.append(begun.content, start, piece).await.map_err(Unstored::Store)?;
            start += length;
            if start >= print.bytes {
                return Ok(begun.content);
            }
        }
    }

    /// Whether it was added; the error is why nothing can be added at the moment.
    async fn add(
        &self,
        folders: &Folders,
        found: Found,
        progress: &mut Progress,
        now: SystemTime,
    ) -> Result<bool, String> {
        let (awaited, print) = (&found.awaited, found.print);
        let (incident, file) = (awaited.incident.0, told_name(&found.name));
        let mut unusable = |reason: String| {
            if progress.mentioned.first(found.folder.path().join(&found.name)) {
                tracing::warn!(
                    event = "attachment_unusable",
                    incident,
                    file,
                    reason,
                    "an attachment stays where it is"
                );
            }
        };
        if print.bytes > self.max_bytes {
            unusable(Fault::AttachmentTooLarge { bytes: print.bytes, limit: self.max_bytes }.to_string());
            return Ok(false);
        }
        let stored = match self.store(&found).await {
            Err(Unstored::File(Unread::Vanished | Unread::Changing)) => return Ok(false),
            Err(Unstored::File(Unread::Denied)) => {
                unusable(Fault::Unreadable.to_string());
                return Ok(false);
            }
            Err(Unstored::File(Unread::Failed(error))) => {
                unusable(error.to_string());
                return Ok(false);
            }
            Err(Unstored::Store(fault)) => Err(fault),
            Ok(content) => self.depositor.add_attachment(awaited.id, content).await,
        };
        let (folders, standing) = (folders.clone(), found.clone());
        let name = safe_name(OsStr::new(&format!("{}.{}", awaited.host_event_id, awaited.name)));
        let (added, moved) = match stored {
            Ok(()) => {
                tracing::info!(event = "attachment_added", incident, file, "an awaited attachment was added");
                (true, blocking(move || put(standing.seen(), &folders.done, &name)).await)
            }
            Err(DepositError::Transient(reason)) => return Err(reason),
            Err(DepositError::Refused(reason)) => {
                if let Some(files) = progress.refused.note((), Instant::now()) {
                    tracing::warn!(
                        event = "deposit_quarantined",
                        incident,
                        file,
                        files,
                        reason = %discreet(&reason),
                        "an attachment was set apart"
                    );
                }
                let fault = Fault::Refused(reason);
                (
                    false,
                    blocking(move || {
                        let (reason, remedy) = (fault.to_string(), fault.remedy());
                        set_apart(standing.seen(), &folders.quarantine, OsStr::new(&name), &reason, remedy, now)
                    })
                    .await,
                )
            }
        };
        if let Err(error) = moved.and_then(|moved| moved)
            && error.kind() != io::ErrorKind::NotFound
        {
            unusable(error.to_string());
        }
        Ok(added)
    }
}

/// Why the content of a file is not in the store.
enum Unstored {
    File(Unread),
    Store(DepositError),
}

impl From<Unread> for Unstored {
    fn from(fault: Unread) -> Self {
        Unstored::File(fault)
    }
}

impl From<std::io::Error> for Unstored {
    fn from(fault: std::io::Error) -> Self {
        Unstored::File(fault.into())
    }
}
