//! The upstream as a whole. Trouble with the connection is its state, not that of each operation: one probe per back-off
//! step, one line in the log when it goes and one when it comes back.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::{info, warn};

use super::retry::Backoff;
use super::{Engine, EngineError};
use crate::case::Alias;
use crate::case::text::{line, shown};
use crate::peer::{PeerError, Upstream};
use crate::protocol::{ProblemType, SiteAnswer};
use crate::state::PeerRecord;
use crate::telemetry::discreet;

/// How long a feed has to be followed before it may be read anew as if nothing had been.
const SOUND_AFTER: Duration = Duration::from_secs(60);

impl Engine {
    /// Whether the upstream answered the last time.
    pub fn upstream_is_up(&self) -> bool {
        *self.0.upstream_up.borrow()
    }

    /// Returns at once while the upstream is up, else when it is again.
    pub async fn upstream_up(&self) {
        let mut up = self.0.upstream_up.subscribe();
        // The sender lives as long as this engine.
        let _ = up.wait_for(|up| *up).await;
    }

    /// Returns at once while the upstream is down, else when it is the next time.
    pub async fn upstream_down(&self) {
        let mut up = self.0.upstream_up.subscribe();
        let _ = up.wait_for(|up| !*up).await;
    }

    /// Returns when the upstream is up and its exchanges are known, so that its feed can be followed.
    pub async fn feed_ready(&self) {
        let mut known = self.0.upstream_known.subscribe();
        let _ = known.wait_for(|known| *known).await;
        self.upstream_up().await;
    }

    /// Asks the upstream who it is. Success brings it up; failure sets the next try.
    pub async fn probe(&self) -> Result<(), EngineError> {
        let Some((alias, upstream)) = self.upstream() else { return Ok(()) };
        match upstream.site().await {
            Ok(site) => {
                if let Some(ends) = upstream.certificate_ends() {
                    self.saw_certificate(&alias, ends);
                }
                self.peer_answered(&alias, Some(site)).await
            }
            Err(error) => {
                self.peer_failed(&alias, &error).await?;
                Err(error.into())
            }
        }
    }

    /// The upstream, when it has what is asked for; else the reason in plain words.
    pub(super) async fn upstream_with(&self, capability: &str) -> Result<(Alias, Arc<dyn Upstream>), EngineError> {
        let Some((alias, upstream)) = self.upstream() else {
            return Err(ProblemType::NotConnected.with("this site has no [upstream] in its settings").into());
        };
        let peer = alias.clone();
        let record = self.state().read(move |view| view.peer(&peer)).await?;
        let Some(version) = record.version else {
            return Err(ProblemType::Busy.with(format!("{alias} was not reached yet; see `casebridge status`")).into());
        };
        if !record.capabilities.iter().any(|one| one == capability) {
            let reason = format!("{alias} runs casebridge {version}, which does not know \"{capability}\" yet");
            return Err(ProblemType::Unsupported.with(reason).into());
        }
        Ok((alias, upstream))
    }

    /// The instant before which the upstream is left alone, when it is down.
    pub async fn next_probe(&self) -> Result<Option<Timestamp>, EngineError> {
        let Some((alias, _)) = self.upstream() else { return Ok(None) };
        Ok(self.state().read(move |view| view.peer(&alias)).await?.next_attempt)
    }

    fn told_of_peer(&self) -> MutexGuard<'_, Told> {
        self.0.told_of_peer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the upstream's feed was followed for a while and not read anew.
    pub(super) fn is_sound(&self) -> bool {
        let read_anew_at = *self.0.read_anew_at.lock().unwrap_or_else(PoisonError::into_inner);
        read_anew_at.is_none_or(|at| elapsed(at, self.now()) >= SOUND_AFTER)
    }

    pub(super) async fn peer_answered(&self, alias: &Alias, site: Option<SiteAnswer>) -> Result<(), EngineError> {
        let (peer, now) = (alias.clone(), self.now());
        if let Some(site) = &site {
            self.heard_key(site.key, site.endorsements.clone());
        }
        let before = self
            .state()
            .transact::<_, EngineError, _>(move |transaction| {
                let before = transaction.peer(&peer)?;
                let mut record = PeerRecord {
                    last_contact: Some(now),
                    down_since: None,
                    next_attempt: None,
                    last_error: None,
                    unauthorized: false,
                    given_up: false,
                    ..before.clone()
                };
                if let Some(site) = site {
                    record.clock_difference = Some(site.time.as_millisecond() - now.as_millisecond());
                    record.capabilities = capabilities(site.capabilities);
                    record.version = Some(shown(&site.version, 40));
                }
                transaction.put_peer(&peer, &record)?;
                Ok(before)
            })
            .await?;
        self.0.upstream_up.send_replace(true);
        let told = std::mem::replace(&mut *self.told_of_peer(), Told::Up);
        if told != Told::Up {
            let down_since = before.down_since.map(|since| since.to_string());
            info!(event = "peer_up", peer = %alias, down_since, "the peer answers");
        }
        Ok(())
    }

    /// The request failed as a whole: the peer rests until its next attempt.
    pub(super) async fn peer_failed(&self, alias: &Alias, error: &PeerError) -> Result<(), EngineError> {
        let (peer, now, retry) = (alias.clone(), self.now(), self.settings().retry);
        let (reason, retry_after) = (error.to_string(), error.retry_after());
        let unauthorized = matches!(error, PeerError::Unauthorized);
        // Too many wrong credentials are answered otherwise after a while.
        let still = matches!(error, PeerError::Refused { problem, .. } if problem.is(ProblemType::TooManyRequests));
        let (before, after) = self
            .state()
            .transact::<_, EngineError, _>(move |transaction| {
                let before = transaction.peer(&peer)?;
                let attempts = before.attempts.saturating_add(1);
                let after = PeerRecord {
                    down_since: before.down_since.or(Some(now)),
                    attempts,
                    next_attempt: Some(Backoff::new(retry).next(now, attempts, retry_after)),
                    last_error: Some(reason),
                    unauthorized: unauthorized || still && before.unauthorized,
                    ..before.clone()
                };
                transaction.put_peer(&peer, &after)?;
                Ok((before, after))
            })
            .await?;
        // Told once the next attempt stands: the probe waits for what is written there.
        self.0.upstream_up.send_replace(false);
        let attempt = after.attempts;
        let next_attempt = after.next_attempt.map(|at| at.to_string());
        let (was, is) = (before.last_error.as_deref().map(gist), after.last_error.as_deref().map(gist));
        // Two reasons that take turns are not told of in turns, nor is an outage that ends and begins again and again.
        let is_news = was != is || *self.told_of_peer() != Told::Down;
        let key = (alias.clone(), is.map(str::to_owned));
        if is_news && self.0.down_told.note(key, Instant::now()).is_some() {
            *self.told_of_peer() = Told::Down;
            let reason = error.to_string();
            // Its own words may be about a case.
            let reason = if matches!(error, PeerError::Refused { .. }) { discreet(&reason) } else { reason.into() };
            warn!(event = "peer_down", peer = %alias, attempt, next_attempt, %reason, "the peer does not answer");
        } else {
            tracing::debug!(event = "peer_still_down", peer = %alias, attempt, next_attempt, reason = %error, "still down");
        }
        if after.down_since.is_some_and(|since| Backoff::new(retry).is_over(since, now, attempt)) {
            self.give_up(alias, &after).await?;
        }
        Ok(())
    }
}

/// What the log said last of how the upstream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Told {
    #[default]
    Nothing,
    Up,
    Down,
}

/// The peer took or told operations. That it says who it is ends an outage; that it works ends the growth of the back-off.
pub(super) fn served(before: PeerRecord, now: Timestamp, sound: bool) -> PeerRecord {
    let attempts = if sound { 0 } else { before.attempts };
    PeerRecord { last_contact: Some(now), attempts, ..before }
}

/// What is kept of a peer's word.
fn capabilities(told: Vec<String>) -> Vec<String> {
    told.into_iter().filter(|name| line(name, 40).is_ok()).take(64).collect()
}

/// A reason without what stands in its brackets: a connection can break in many ways, and it is one reason.
fn gist(reason: &str) -> &str {
    reason.split_once(" (").map_or(reason, |(gist, _)| gist)
}

/// The time from one instant to a later one; none when the clock went back.
pub(super) fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
