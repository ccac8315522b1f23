//! Whether what people may have answered was heard, before a step of the reminders is taken. While the site was away, or a
//! way to it was cut, their answers wait elsewhere: as mails in a directory, or at another site.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Engine;
use crate::case::reminder::GRACE;
use crate::case::{Alias, Incident};

/// A peer that shows itself again brings what waited for it within this time.
const BRINGS: SignedDuration = SignedDuration::from_secs(5);
/// After the longest wait of its poll a peer is away when it has not shown itself for as long again.
const AWAY: SignedDuration = SignedDuration::from_mins(1);
/// How soon it is looked again at a step that waits for answers: the rarer, the longer it waits.
const SOON: SignedDuration = SignedDuration::from_secs(2);
const LATE: SignedDuration = SignedDuration::from_mins(15);

/// What was heard since the start.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// By their directory: up to when all mails were taken.
    mails: Mutex<HashMap<PathBuf, Timestamp>>,
    peers: Mutex<HashMap<Alias, Contact>>,
}

/// A time for which a peer does not stay away.
#[derive(Debug, Clone, Copy)]
struct Contact {
    since: Timestamp,
    until: Timestamp,
}

/// Whether a peer shows itself, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    There(Timestamp),
    Away(Timestamp),
}

impl Engine {
    /// Every mail that stood in this directory at that instant was taken, or held for a person.
    pub fn heard_mails(&self, dir: &Path, at: Timestamp) {
        self.0.hearing.mails.lock().unwrap_or_else(PoisonError::into_inner).insert(dir.to_owned(), at);
    }

    fn mails_heard(&self, dir: &Path) -> Option<Timestamp> {
        self.0.hearing.mails.lock().unwrap_or_else(PoisonError::into_inner).get(dir).copied()
    }

    /// A peer is there, and may say nothing more for so long.
    pub(super) fn in_touch(&self, peer: &Alias, wait: Duration) {
        let now = self.now();
        let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX).saturating_add(AWAY);
        let until = now.checked_add(wait).unwrap_or(Timestamp::MAX);
        let mut peers = self.0.hearing.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let contact = peers.entry(peer.clone()).or_insert(Contact { since: now, until });
        let is_new = contact.until < now;
        *contact = match is_new {
            true => Contact { since: now, until },
            false => Contact { since: contact.since, until: contact.until.max(until) },
        };
    }

    /// Whether a peer has shown itself lately.
    pub(super) fn is_in_touch(&self, peer: &Alias) -> bool {
        self.contact(peer).is_some()
    }

    /// How a peer stands; one that was not heard of yet is away since the start.
    pub(super) fn presence(&self, peer: &Alias) -> Presence {
        let contact = self.0.hearing.peers.lock().unwrap_or_else(PoisonError::into_inner).get(peer).copied();
        match contact {
            Some(contact) if contact.until >= self.now() => Presence::There(contact.since),
            Some(contact) => Presence::Away(contact.until),
            None => Presence::Away(self.0.started_at),
        }
    }

    fn contact(&self, peer: &Alias) -> Option<Contact> {
        let contact = self.0.hearing.peers.lock().unwrap_or_else(PoisonError::into_inner).get(peer).copied();
        contact.filter(|contact| contact.until >= self.now())
    }

    /// Whether a peer is there, and has had the time to bring what waited.
    fn is_heard(&self, peer: &Alias) -> bool {
        self.contact(peer).is_some_and(|contact| {
            // A clock that went back begins no new contact.
            !(SignedDuration::ZERO..BRINGS).contains(&self.now().duration_since(contact.since))
        })
    }

    /// When to look again at a step that is due since `at`, where answers that were given before may be under way. Mails are
    /// waited for until they are read; a peer that is away, for a bounded time.
    pub(super) fn unheard(&self, incident: &Incident, at: Timestamp) -> Option<Timestamp> {
        let (now, settings) = (self.now(), self.settings());
        let at = at.min(now);
        let unread = settings.mail_inboxes.iter().any(|one| self.mails_heard(&one.dir).is_none_or(|heard| heard < at));
        let began = at.max(self.0.started_at.min(now));
        let is_over = now.duration_since(began) >= GRACE;
        let mut peers = incident.references.iter().filter(|one| one.standing.is_open()).map(|one| &one.peer);
        let is_away = !is_over && peers.any(|peer| !self.is_heard(peer));
        (unread || is_away).then(|| {
            let waits = now.duration_since(began) / 4;
            now.checked_add(waits.clamp(SOON, LATE)).unwrap_or(Timestamp::MAX)
        })
    }

    /// What a person sees of mails that are not read, in `status`.
    pub(super) fn deafness(&self) -> Vec<String> {
        let (now, settings) = (self.now(), self.settings());
        let told = settings.mail_inboxes.iter().filter_map(|inbox| {
            let since = self.mails_heard(&inbox.dir).unwrap_or(self.0.started_at);
            (now.duration_since(since) >= GRACE).then(|| {
                format!(
                    "the mails in {} were not read to the end since {since}; until they are, nobody is reminded, and no case \
                     is closed for want of an answer",
                    inbox.dir.display()
                )
            })
        });
        told.collect()
    }
}
