//! The watcher of one directory of mails. A mail is read once it is whole, taken, and only when that is durable moved to
//! `done`. A crash in between brings the same mail again, and the store knows its Message-ID. One that a person has to look
//! at is moved to `quarantine` with the reason beside it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use rustix::fs::FileType;
use tokio_util::sync::CancellationToken;

use super::nature::Nature;
use super::read::{HEADER, MailFault, envelope, read};
use super::take::{MailTaker, Taken, Untaken};
use crate::config::settings;
use crate::exchange::Unanswered;
use crate::inbox::folder::Folder;
use crate::inbox::look::{Candidate, Look, Moment, Table, look};
use crate::inbox::place::{put, safe_name, set_apart, told_name};
use crate::inbox::settled::{Unread, open, read_piece, read_whole};
use crate::inbox::watch::{Mentioned, blocking};
use crate::telemetry::{Seldom, discreet};

/// What one pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MailSummary {
    pub taken: usize,
    pub quarantined: usize,
    /// Mails that are not whole yet.
    pub waiting: usize,
    /// Mails that could be neither taken nor moved away.
    pub stuck: usize,
    /// There is more to read at once.
    pub more: bool,
    /// Nothing can be taken at the moment.
    pub delayed: bool,
}

/// Where a mail program puts what somebody has looked at.
const SEEN: &str = "cur";
/// The most mails that are counted there.
const COUNTED: usize = 1000;

/// The folders, what came into them, and how many mails of the Maildir nobody reads.
struct Found {
    folders: Folders,
    look: Look,
    overlooked: usize,
}

fn overlooked(maildir: &Folder) -> usize {
    let Ok(seen) = maildir.inside(SEEN) else { return 0 };
    let Ok(entries) = seen.entries() else { return 0 };
    let is_mail = |entry: &io::Result<(OsString, FileType)>| matches!(entry, Ok((name, FileType::RegularFile)) if !name.as_encoded_bytes().starts_with(b"."));
    entries.filter(is_mail).take(COUNTED).count()
}

/// Where mails come in, and where they go.
struct Folders {
    root: Folder,
    new: Folder,
    done: Folder,
    quarantine: Folder,
}

/// One watched directory.
pub struct MailInbox {
    settings: settings::MailInbox,
    taker: Arc<dyn MailTaker>,
    table: Table,
    passes: u64,
    /// When it was looked last.
    looked: Option<SystemTime>,
    mentioned: Mentioned,
    blocked: bool,
    delayed: bool,
    /// Mails that stand where they are not read.
    overlooked: usize,
    silent: Seldom<Unanswered>,
    /// What was set apart, by what is to be done about it.
    apart: Seldom<&'static str>,
}

impl MailInbox {
    pub fn new(settings: settings::MailInbox, taker: Arc<dyn MailTaker>) -> Self {
        Self {
            settings,
            taker,
            table: Table::default(),
            passes: 0,
            looked: None,
            mentioned: Mentioned::default(),
            blocked: false,
            delayed: false,
            overlooked: 0,
            silent: Seldom::default(),
            apart: Seldom::default(),
        }
    }

    /// Watches until told to stop. The mail under way is finished first.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if self.pass(&stop).await.more {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(self.settings.poll_interval) => {}
            }
        }
    }

    /// One look at the directory, and everything that follows from it. Takes at most 1,000 mails.
    pub async fn pass(&mut self, stop: &CancellationToken) -> MailSummary {
        self.passes += 1;
        let now = SystemTime::now();
        for (remedy, mails) in self.apart.overdue(Instant::now()) {
            let more = "so many more were set apart since; the reasons stand beside them";
            tracing::warn!(event = "mail_quarantined", mails, remedy, "{more}");
        }
        let Found { folders, look: found, overlooked } = match self.look(now).await {
            Ok(found) => found,
            Err(error) => {
                self.looked = None;
                if !std::mem::replace(&mut self.blocked, true) {
                    self.taker.blocked(Some(&error.to_string()));
                    tracing::error!(
                        event = "mail_inbox_blocked",
                        dir = %self.settings.dir.display(),
                        reason = %error,
                        "the mails cannot be read; it must be a directory that the daemon may read and write"
                    );
                }
                return MailSummary::default();
            }
        };
        if std::mem::take(&mut self.blocked) {
            self.taker.blocked(None);
        }
        self.looked = Some(now);
        self.overlooks(overlooked);
        self.table = found.table;
        for name in found.others.iter().filter(|name| self.mentioned.first(name)) {
            tracing::warn!(
                event = "mail_ignored",
                file = told_name(name),
                "a mail is a regular file, and no link to one"
            );
        }
        let mut summary = MailSummary { waiting: found.waiting, more: found.more, ..MailSummary::default() };
        let mut is_whole = !found.more;
        for file in found.ready {
            if stop.is_cancelled() {
                is_whole = false;
                break;
            }
            let waiting = summary.waiting;
            if !self.take(&folders, &file, now, &mut summary).await {
                summary.delayed = true;
                summary.more = false;
                is_whole = false;
                break;
            }
            // One that was changed in between is read at another pass.
            is_whole &= summary.waiting == waiting;
        }
        if let Some(through) = found.through.filter(|_| is_whole) {
            self.taker.heard(through);
        }
        summary
    }

    /// The folders, and what came into them.
    async fn look(&mut self, now: SystemTime) -> io::Result<Found> {
        let (root, before) = (self.settings.dir.clone(), std::mem::take(&mut self.table));
        let moment = Moment { pass: self.passes, now, before: self.looked, settle: self.settings.settle };
        blocking(move || {
            let root = Folder::open(&root)?;
            let (done, quarantine) = (root.made("done")?, root.made("quarantine")?);
            // A Maildir has what is new in a folder of its own; what is being written stands elsewhere.
            let is_maildir = ["new", "tmp"].iter().all(|name| root.look(name).is_ok_and(|found| found.is_dir()));
            let overlooked = if is_maildir { overlooked(&root) } else { 0 };
            let new = if is_maildir { root.inside("new")? } else { root.clone() };
            let look = look(&new, before, moment)?;
            Ok(Found { folders: Folders { root, new, done, quarantine }, look, overlooked })
        })
        .await?
    }

    /// Mails that somebody has looked at with a mail program are in that person's hands, and may be years old: they are told
    /// of, and not answered.
    fn overlooks(&mut self, mails: usize) {
        let before = std::mem::replace(&mut self.overlooked, mails);
        if before != mails {
            self.taker.overlooks(mails);
        }
        if before == 0 && mails > 0 {
            tracing::warn!(
                event = "mail_overlooked",
                dir = %self.settings.dir.join(SEEN).display(),
                mails,
                "a mail program has moved mails there, and they are not read; move to `new` what is to be taken"
            );
        }
    }

    /// False when nothing can be taken at the moment.
    async fn take(&mut self, folders: &Folders, file: &Candidate, now: SystemTime, summary: &mut MailSummary) -> bool {
        let (reading, original) = (folders.new.clone(), file.name.clone());
        let (print, limit) = (file.print, self.settings.max_bytes);
        let letter = blocking(move || {
            if print.bytes > limit {
                let file = open(&reading, &original, &print)?;
                let beginning = read_piece(&file, &print, 0, HEADER)?;
                return Ok(Err((MailFault::TooLarge { bytes: print.bytes, limit }, envelope(&beginning))));
            }
            let bytes = read_whole(&reading, &original, &print)?;
            Ok(read(&bytes).map_err(|fault| (fault, envelope(&bytes))))
        })
        .await
        .unwrap_or_else(|panic| Err(Unread::Failed(panic)));
        let letter = match letter {
            Ok(Ok(letter)) => letter,
            Ok(Err((fault, envelope))) => {
                if let Some(envelope) = envelope
                    && let Err(Untaken::Later(reason)) = self.taker.held(envelope, &fault, &safe_name(&file.name)).await
                {
                    return self.delay(&reason);
                }
                self.hold(folders, file, &fault, now, summary).await;
                return true;
            }
            Err(Unread::Denied) => {
                self.hold(folders, file, &MailFault::Unreadable, now, summary).await;
                return true;
            }
            Err(Unread::Vanished) => return true,
            Err(Unread::Changing) => {
                summary.waiting += 1;
                return true;
            }
            Err(Unread::Failed(error)) => {
                self.stick(&file.name, &error, summary);
                return true;
            }
        };
        let name = safe_name(&file.name);
        // What comes with an answer is nowhere else: housekeeping does not go there.
        let apart = match letter.nature {
            Nature::Person => letter.has_files,
            Nature::Impersonal => letter.has_files && !letter.to.is_empty(),
            Nature::Program | Nature::Doubtful | Nature::Bounce { .. } => false,
        };
        let place = format!("{}/{name}", if apart { "with_files" } else { "done" });
        match self.taker.take(letter, &place).await {
            Ok(taken) => {
                self.delayed = false;
                summary.taken += 1;
                self.told(&file.name, taken);
                let (from, root, done) = (folders.new.clone(), folders.root.clone(), folders.done.clone());
                let moving = file.clone();
                let moved = blocking(move || {
                    let folder = if apart { root.made("with_files")? } else { done };
                    put(moving.seen_in(&from), &folder, &name)
                })
                .await;
                if let Err(error) = moved.and_then(|moved| moved)
                    && error.kind() != io::ErrorKind::NotFound
                {
                    self.stick(&file.name, &error, summary);
                }
                true
            }
            Err(Untaken::Held(fault)) => {
                self.hold(folders, file, &fault, now, summary).await;
                true
            }
            Err(Untaken::Later(reason)) => self.delay(&reason),
        }
    }

    /// Nothing can be taken at the moment.
    fn delay(&mut self, reason: &str) -> bool {
        if !std::mem::replace(&mut self.delayed, true) {
            tracing::warn!(event = "mails_delayed", reason, "mails cannot be taken now; they wait");
        }
        false
    }

    async fn hold(
        &mut self,
        folders: &Folders,
        file: &Candidate,
        fault: &MailFault,
        now: SystemTime,
        summary: &mut MailSummary,
    ) {
        let (from, folder, moving, name) = (folders.new.clone(), folders.quarantine.clone(), file.clone(), &file.name);
        let (reason, remedy) = (fault.to_string(), fault.remedy());
        let told = reason.clone();
        let apart = move || set_apart(moving.seen_in(&from), &folder, &moving.name, &reason, remedy, now);
        let moved = blocking(apart).await;
        match moved.and_then(|moved| moved) {
            Ok(()) => {
                summary.quarantined += 1;
                let (file, reason) = (told_name(name), discreet(&told));
                match self.apart.note(remedy, Instant::now()) {
                    Some(mails) => tracing::warn!(
                        event = "mail_quarantined",
                        file,
                        mails,
                        %reason,
                        "a mail was set apart; the reason and what to do stand beside it"
                    ),
                    None => tracing::debug!(event = "mail_quarantined", file, %reason, "one more"),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.stick(name, &error, summary),
        }
    }

    /// Leaves a file where it is for a while. Said once.
    fn stick(&mut self, name: &OsStr, error: &io::Error, summary: &mut MailSummary) {
        summary.stuck += 1;
        self.table.rest(name, self.passes);
        if self.mentioned.first(name) {
            tracing::warn!(
                event = "mail_stuck",
                file = told_name(name),
                reason = %error,
                "a mail can be neither read nor moved; it stays where it is"
            );
        }
    }

    fn told(&self, name: &OsStr, taken: Taken) {
        let file = told_name(name);
        match taken {
            Taken::Link => {
                tracing::info!(event = "mail_taken", file, became = "link", "its sender gets a link to a form")
            }
            Taken::Known => tracing::info!(event = "mail_taken", file, became = "known", "a mail was taken before"),
            Taken::Comment(incident) => tracing::info!(
                event = "mail_taken",
                file,
                became = "comment",
                incident = incident.0,
                "an answer became a comment of its case"
            ),
            Taken::Program => tracing::info!(event = "mail_taken", file, became = "nothing", "a program wrote a mail"),
            Taken::Bounce(mails) => tracing::info!(
                event = "mail_taken",
                file,
                became = "bounce",
                mails,
                "a mail server tells of mails that it could not deliver"
            ),
            Taken::Unanswered(why) => {
                if let Some(mails) = self.silent.note(why, Instant::now()) {
                    tracing::warn!(
                        event = "mail_unanswered",
                        file,
                        mails,
                        reason = why.as_str(),
                        "nobody gets a link for it"
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
