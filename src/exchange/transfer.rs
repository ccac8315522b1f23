//! The content of files between this site and its upstream, both ways, each apart from the operations and from each other:
//! what is to be moved stands in the store, and a file that is stuck waits for its own next try.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tracing::{debug, info, warn};

use super::health::elapsed;
use super::retry::Backoff;
use super::{Engine, EngineError};
use crate::case::Alias;
use crate::peer::{PeerError, Upstream};
use crate::protocol::attachment::{PIECE_LEAST, PIECE_LIMIT};
use crate::protocol::{ContentRange, ProblemType};
use crate::state::{ExchangeKey, StateError, View};
use crate::store::{Appended, Moving, StoreError};
use crate::telemetry::discreet;

/// The first piece after trouble: a connection that breaks soon gets it through. Each one that gets through doubles the
/// next.
const PIECE_FIRST: u64 = 128 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    Up,
    Down,
}

/// How often a file may begin again before where it had been: a peer that lost what it had is no fault of the file.
const SETBACKS: u8 = 3;

/// The bytes of a file that the receiver had when an attempt began, and when it ended.
#[derive(Clone, Copy)]
struct Course {
    from: u64,
    to: u64,
}

/// One file on its way.
type Job = (Way, i64);

/// How a file fared that did not get through.
struct Tries {
    since: Timestamp,
    attempts: u32,
    /// Tries that found the way not open yet. They make the next one later, and do not count towards giving up.
    held: u32,
    /// The most bytes that the receiver had: what comes after them gets on.
    reached: u64,
    /// How often it had fewer since, and where it stood then counted anew.
    setbacks: u8,
    /// Nothing while it is under way.
    next: Option<Timestamp>,
}

impl Tries {
    fn begun(now: Timestamp) -> Self {
        Self { since: now, attempts: 0, held: 0, reached: 0, setbacks: 0, next: Some(now) }
    }

    /// Whether an attempt got the file on. A receiver that takes a piece and loses it, over and over, does not.
    fn gets_on(&mut self, course: Course) -> bool {
        if course.from < self.reached && self.setbacks < SETBACKS {
            self.setbacks += 1;
            self.reached = course.from;
        }
        let gets_on = course.to > self.reached;
        self.reached = self.reached.max(course.to);
        gets_on
    }
}

/// The files that are under way or wait for their next try. Lost at a restart, after which each is tried at once.
#[derive(Default)]
pub(super) struct Transfers {
    tries: Mutex<HashMap<Job, Tries>>,
    told: tokio::sync::Notify,
}

impl Transfers {
    /// A file may be there to be moved.
    pub(super) fn tell(&self) {
        self.told.notify_one();
    }

    /// A person asks: nothing that failed waits any longer.
    pub(super) fn again(&self, now: Timestamp) {
        let mut all = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        all.values_mut().filter_map(|tries| tries.next.as_mut()).for_each(|next| *next = now.min(*next));
        drop(all);
        self.tell();
    }
}

/// Why a file is not at its end.
enum Stop {
    /// Worth another try.
    Later(String),
    /// The case is switched off at the peer: nobody is to blame, however long that takes.
    Held(String),
    /// The peer says never.
    Never(String),
    /// Trouble of our own.
    Here(EngineError),
}

impl From<StoreError> for Stop {
    fn from(fault: StoreError) -> Self {
        Stop::Here(fault.into())
    }
}

impl From<PeerError> for Stop {
    fn from(error: PeerError) -> Self {
        match error {
            PeerError::Refused { problem, .. } if problem.is(ProblemType::AttachmentRefused) => {
                Stop::Never(format!("the peer does not take it: {}", problem.detail))
            }
            PeerError::Refused { problem, .. } if problem.is(ProblemType::Inactive) => Stop::Held(problem.detail),
            error => Stop::Later(error.to_string()),
        }
    }
}

impl Engine {
    /// Moves one file as far as it goes, or waits up to `longest` for one to be due.
    pub async fn transfer(&self, longest: Duration) -> Result<(), EngineError> {
        let Some((alias, upstream)) = self.upstream() else { return Ok(()) };
        match self.take_transfer(&alias).await? {
            Ok((way, file)) => {
                // One that was told of many wakes the next.
                self.0.transfers.tell();
                let mut course = None;
                let outcome = match way {
                    Way::Up => self.upload(&upstream, &file, &mut course).await,
                    Way::Down => self.download(&alias, &upstream, &file, &mut course).await,
                };
                self.settle_transfer(&alias, way, &file, outcome, course).await
            }
            Err(next) => {
                let wait = next.map_or(longest, |next| elapsed(self.now(), next).min(longest));
                // Out of time is as good a reason to look as being told.
                let _ = tokio::time::timeout(wait, self.0.transfers.told.notified()).await;
                Ok(())
            }
        }
    }

    /// A file whose turn it is, marked as under way; or when the next one's turn comes.
    async fn take_transfer(&self, alias: &Alias) -> Result<Result<(Way, Moving), Option<Timestamp>>, EngineError> {
        /// Files looked at in one go.
        const PAGE: usize = 100;
        let mut next: Option<Timestamp> = None;
        for way in [Way::Up, Way::Down] {
            let mut after = 0;
            loop {
                let page = match way {
                    Way::Up => self.store().uploads(alias, after, PAGE).await?,
                    Way::Down => self.store().downloads(alias, after, PAGE).await?,
                };
                let Some(last) = page.last().map(|file| file.id) else { break };
                after = last;
                let page = match way {
                    Way::Up => self.announced(alias, page).await?,
                    Way::Down => page,
                };
                let now = self.now();
                let mut tries = self.0.transfers.tries.lock().unwrap_or_else(PoisonError::into_inner);
                for file in page {
                    let known = tries.entry((way, file.id));
                    let known = known.or_insert(Tries::begun(now));
                    match known.next {
                        Some(at) if at <= now => {
                            known.next = None;
                            return Ok(Ok((way, file)));
                        }
                        Some(at) => next = Some(next.map_or(at, |next| next.min(at))),
                        None => {}
                    }
                }
            }
        }
        Ok(Err(next))
    }

    async fn upload(
        &self,
        upstream: &Arc<dyn Upstream>,
        file: &Moving,
        course: &mut Option<Course>,
    ) -> Result<(), Stop> {
        let offset = upstream.attachment_offset(file.exchange, &file.sha256).await?;
        let Some(mut offset) = offset else {
            return Err(Stop::Later("the peer does not await it, though it was told of it".into()));
        };
        let mut most = PIECE_FIRST;
        let from = offset;
        while offset < file.bytes {
            let piece = self.store().content(file.content, offset, most as usize).await?;
            let end = offset + piece.len() as u64;
            if end == offset {
                return Err(Stop::Later("its content is not in the store".into()));
            }
            let range = ContentRange { start: offset, end, bytes: file.bytes };
            let received = upstream.put_attachment(file.exchange, &file.sha256, range, piece).await?;
            if received < end {
                return Err(Stop::Later("the peer lost what it had".into()));
            }
            offset = received;
            *course = Some(Course { from, to: offset });
            most = (most * 2).min(PIECE_LIMIT);
        }
        self.store().gone(file.id, Ok(()), self.now()).await?;
        Ok(())
    }

    /// Those that the peer has been told of; it can await no other. The operation of the rest waits for a person or behind another
    /// one, or for the reopening of a case that was canceled (C-13): until it is through, they cost no request.
    async fn announced(&self, alias: &Alias, files: Vec<Moving>) -> Result<Vec<Moving>, EngineError> {
        let peer = alias.clone();
        let told = move |view: View<'_>| {
            let mut told = Vec::with_capacity(files.len());
            for file in files {
                if is_announced(&view, &peer, &file)? {
                    told.push(file);
                }
            }
            Ok(told)
        };
        Ok(self.state().read(told).await?)
    }

    async fn download(
        &self,
        alias: &Alias,
        upstream: &Arc<dyn Upstream>,
        file: &Moving,
        course: &mut Option<Course>,
    ) -> Result<(), Stop> {
        let mut offset = file.received;
        let mut most = PIECE_FIRST;
        loop {
            let piece = upstream.get_attachment(file.exchange, &file.sha256, offset, most).await?;
            let length = piece.len() as u64;
            if length == 0 {
                return Err(Stop::Later("the peer gave nothing".into()));
            }
            // Byte by byte, a file would be as many requests and commits, and none of them a reason to back off.
            if length < PIECE_LEAST.min(file.bytes.saturating_sub(offset)) {
                return Err(Stop::Later(format!("the peer gave {length} bytes, and that is not all of it")));
            }
            match self.store().append(file.content, offset, piece, self.now()).await? {
                Appended::Part(received) => offset = received,
                Appended::Complete => {
                    self.arrived(alias, file.incident.0, file.bytes);
                    return Ok(());
                }
                Appended::Elsewhere(_) => return Err(Stop::Later("it is another length than announced".into())),
                Appended::WrongDigest => {
                    *course = None;
                    warn!(event = "attachment_wrong", peer = %alias, incident = file.incident.0, "another file than announced");
                    return Err(Stop::Later("its SHA-256 is another one than announced".into()));
                }
            }
            *course = Some(Course { from: file.received, to: offset });
            most = (most * 2).min(PIECE_LIMIT);
        }
    }

    async fn settle_transfer(
        &self,
        alias: &Alias,
        way: Way,
        file: &Moving,
        outcome: Result<(), Stop>,
        course: Option<Course>,
    ) -> Result<(), EngineError> {
        let job = (way, file.id);
        let reason = match outcome {
            Ok(()) => {
                self.forget_transfer(job);
                if way == Way::Up {
                    let (incident, bytes) = (file.incident.0, file.bytes);
                    info!(event = "attachment_sent", peer = %alias, incident, bytes, "the peer has it");
                }
                return Ok(());
            }
            Err(Stop::Never(reason)) => Err(reason),
            Err(Stop::Later(reason)) => Ok(reason),
            Err(Stop::Held(reason)) => {
                self.hold_transfer(job);
                debug!(event = "attachment_postponed", peer = %alias, incident = file.incident.0, reason, "held");
                return Ok(());
            }
            Err(Stop::Here(fault)) => {
                self.postpone_transfer(job, None);
                return Err(fault);
            }
        };
        let given_up = match reason {
            Ok(reason) => match self.postpone_transfer(job, course) {
                None => {
                    debug!(event = "attachment_postponed", peer = %alias, incident = file.incident.0, reason, "later");
                    return Ok(());
                }
                Some(since) => format!("in vain since {since}: {reason}"),
            },
            Err(reason) => reason,
        };
        let reason = discreet(&given_up);
        warn!(event = "attachment_failed", peer = %alias, incident = file.incident.0, %reason, "given up");
        let settled = match way {
            Way::Up => self.store().gone(file.id, Err(given_up), self.now()).await,
            Way::Down => self.store().given_up(file.id, given_up, self.now()).await,
        };
        // Not before: until the store knows, whoever looks for work would take it up once more.
        match &settled {
            Ok(()) => self.forget_transfer(job),
            Err(_) => _ = self.postpone_transfer(job, None),
        }
        Ok(settled?)
    }

    /// Sets the next try. Says since when it was tried in vain when that is too long.
    fn postpone_transfer(&self, job: Job, course: Option<Course>) -> Option<Timestamp> {
        let (now, backoff) = (self.now(), Backoff::new(self.settings().retry));
        let mut all = self.0.transfers.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = all.get_mut(&job)?;
        if course.is_some_and(|course| tries.gets_on(course)) {
            // What gets on, however slowly, is not kept waiting.
            *tries = Tries { reached: tries.reached, setbacks: tries.setbacks, ..Tries::begun(now) };
            return None;
        }
        tries.attempts = tries.attempts.saturating_add(1);
        tries.next = Some(backoff.next(now, tries.attempts.saturating_add(tries.held), None));
        backoff.is_over(tries.since, now, tries.attempts).then_some(tries.since)
    }

    /// Sets the next try of a file whose way is not open. The time for which it is tried begins when it is.
    fn hold_transfer(&self, job: Job) {
        let (now, backoff) = (self.now(), Backoff::new(self.settings().retry));
        let mut all = self.0.transfers.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(tries) = all.get_mut(&job) else { return };
        let held = tries.held.saturating_add(1);
        let next = Some(backoff.next(now, held, None));
        *tries = Tries { held, next, reached: tries.reached, setbacks: tries.setbacks, ..Tries::begun(now) };
    }

    fn forget_transfer(&self, job: Job) {
        self.0.transfers.tries.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
    }
}

/// Whether an operation that names the file was made, and none that does is still on its way.
fn is_announced(view: &View<'_>, peer: &Alias, file: &Moving) -> Result<bool, StateError> {
    let Some(record) = view.exchange(&ExchangeKey::new(peer, file.exchange))? else { return Ok(false) };
    if record.shadow.attachments < file.position {
        return Ok(false);
    }
    for position in record.pending {
        let entry = view.outbox(peer, position)?;
        if entry.is_some_and(|entry| entry.operation.get().contains(file.sha256.as_str())) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn courses(all: &[(u64, u64)]) -> Vec<bool> {
        let mut tries = Tries::begun(Timestamp::UNIX_EPOCH);
        all.iter().map(|(from, to)| tries.gets_on(Course { from: *from, to: *to })).collect()
    }

    #[test]
    fn a_file_gets_on_as_long_as_more_of_it_is_there_after_each_try() {
        assert_eq!(courses(&[(0, 300), (300, 600), (600, 601), (601, 900)]), [true; 4]);
        assert_eq!(courses(&[(0, 300), (300, 300)]), [true, false]);
    }

    #[test]
    fn a_peer_that_takes_a_piece_and_loses_it_again_and_again_is_backed_off_from() {
        let all = courses(&[(0, 300); 8]);
        assert_eq!(all, [true, true, true, true, false, false, false, false]);
        let all = courses(&[(0, 300), (0, 300), (0, 300), (0, 300), (0, 300), (300, 400)]);
        assert_eq!(all.last(), Some(&true), "what comes behind where it had been gets on");
    }
}
