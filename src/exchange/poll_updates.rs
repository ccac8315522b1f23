//! The feed of the upstream, one long poll for all cases: case ID and link, then each status. What a page brings is in
//! the store and in state before the next poll acknowledges it.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use tracing::{debug, error, info, warn};

use super::apply::{Arriving, Fate, rounds};
use super::fields::{Envelope, take};
use super::health::served;
use super::settle::{self, Hold};
use super::{Engine, EngineError};
use crate::case::{Alias, Operation, Sequence};
use crate::peer::PeerError;
use crate::protocol::{BATCH_LIMIT, ProblemType, UpdateAnswer, UpdateOperation, Version};
use crate::state::{ExchangeKey, PeerRecord};
use crate::telemetry::{CrashPoint, crash_point};

impl Engine {
    /// One poll that may wait up to `wait`, and everything that it brought. Returns how many operations were news here. Where
    /// people are asked for answers, it is known at once after a pause whether any wait there.
    pub async fn poll_updates(&self, wait: Duration) -> Result<usize, EngineError> {
        let is_away = || self.upstream().is_some_and(|(alias, _)| !self.is_in_touch(&alias));
        if self.settings().mail.is_some() && !wait.is_zero() && is_away() {
            let count = self.poll_once(Duration::ZERO).await?;
            if count > 0 || is_away() {
                return Ok(count);
            }
        }
        self.poll_once(wait).await
    }

    async fn poll_once(&self, wait: Duration) -> Result<usize, EngineError> {
        let Some((alias, upstream)) = self.upstream() else { return Ok(0) };
        let peer = alias.clone();
        let record = self.state().read(move |view| view.peer(&peer)).await?;
        let (true, Some(cursor)) = (record.adopted, record.cursor) else { return Ok(0) };
        let limit = self.settings().upstream.as_ref().map_or(BATCH_LIMIT, |upstream| upstream.batch);
        crash_point(CrashPoint::FeedAcknowledged);
        match upstream.updates(&cursor, wait, limit).await {
            Ok(answer) => {
                crash_point(CrashPoint::FeedAnswered);
                let count = self.take_updates(&alias, &cursor, answer).await?;
                if count < limit {
                    // Its feed is read to the end.
                    let longest = self.settings().upstream.as_ref().map_or(wait, |upstream| upstream.poll_interval);
                    self.in_touch(&alias, longest);
                }
                Ok(count)
            }
            Err(PeerError::Refused { problem, .. }) if problem.is(ProblemType::CursorLost) => {
                match self.0.restarts_told.note(alias.clone(), Instant::now()) {
                    Some(_) => {
                        info!(event = "feed_restarted", peer = %alias, "the peer's feed began anew; re-adopting")
                    }
                    None => debug!(event = "feed_restarted", peer = %alias, "once more; re-adopting"),
                }
                self.read_anew(&alias, "a feed that begins anew again and again").await?;
                Ok(0)
            }
            Err(error) => {
                self.peer_failed(&alias, &error).await?;
                Err(error.into())
            }
        }
    }

    async fn take_updates(&self, alias: &Alias, after: &str, answer: UpdateAnswer) -> Result<usize, EngineError> {
        let count = answer.operations.len();
        let mut news = 0;
        for round in rounds(answer.operations, |one| ExchangeKey::new(alias, one.exchange)) {
            match self.take_round(alias, answer.protocol, round).await? {
                Some(taken) => news += taken,
                None => return Ok(count),
            }
        }
        if count > 0 && news == 0 && answer.cursor == after {
            // The same page would come again, at once and for ever.
            let fault = PeerError::Malformed("a cursor that does not go on".into());
            self.peer_failed(alias, &fault).await?;
            return Err(fault.into());
        }
        let (peer, cursor, now, sound) = (alias.clone(), answer.cursor, self.now(), self.is_sound());
        self.state()
            .transact::<_, EngineError, _>(move |transaction| {
                let before = served(transaction.peer(&peer)?, now, sound);
                let after = PeerRecord { cursor: Some(cursor), ..before };
                Ok(transaction.put_peer(&peer, &after)?)
            })
            .await?;
        crash_point(CrashPoint::FeedCommitted);
        if count > 0 {
            self.0.receipts_due.notify_one();
        }
        Ok(news)
    }

    /// What the feed lacks is read from the peer. One that makes us do so twice in a minute is as good as away: the back-off
    /// of an outage holds for it.
    async fn read_anew(&self, alias: &Alias, fault: &str) -> Result<(), EngineError> {
        let is_sound = self.is_sound();
        *self.0.read_anew_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.now());
        self.adopt_again(alias).await?;
        self.0.to_push.notify_one();
        if is_sound {
            return Ok(());
        }
        let fault = PeerError::Malformed(fault.to_owned());
        self.peer_failed(alias, &fault).await?;
        Err(fault.into())
    }

    /// How many of these were not known; nothing when a number is missing: the feed cannot be followed from here, and everything
    /// is read anew.
    async fn take_round(
        &self,
        alias: &Alias,
        protocol: Option<Version>,
        round: Vec<UpdateOperation>,
    ) -> Result<Option<usize>, EngineError> {
        let keys: Vec<ExchangeKey> = round.iter().map(|one| ExchangeKey::new(alias, one.exchange)).collect();
        let records = self
            .state()
            .read(move |view| keys.iter().map(|key| view.exchange(key)).collect::<Result<Vec<_>, _>>())
            .await?;
        let settings = self.settings();
        let mut arriving = Vec::with_capacity(round.len());
        let mut news = 0;
        for (one, record) in round.into_iter().zip(records) {
            let key = ExchangeKey::new(alias, one.exchange);
            let Some(record) = record else {
                if let Some(operations) = self.0.unknown_told.note(alias.clone(), Instant::now()) {
                    let exchange = one.exchange;
                    warn!(event = "exchange_unknown", peer = %alias, %exchange, operations, "nothing here belongs to it");
                }
                continue;
            };
            match Sequence::of(one.seq, record.applied) {
                Sequence::Next => {}
                Sequence::Repeated => continue,
                Sequence::Early { expected } => {
                    let (exchange, seq) = (one.exchange, one.seq);
                    match self.0.gaps_told.note(alias.clone(), Instant::now()) {
                        Some(_) => {
                            error!(event = "feed_gap", peer = %alias, %exchange, seq, expected, "re-adopting");
                        }
                        None => debug!(event = "feed_gap", peer = %alias, %exchange, seq, expected, "re-adopting"),
                    }
                    self.read_anew(alias, "a feed that lacks numbers again and again").await?;
                    return Ok(None);
                }
            }
            news += 1;
            if record.progress.is_stopped() {
                self.state().transact(move |transaction| settle::passed_over(transaction, &key, one.seq)).await?;
                continue;
            }
            let behind = match &record.held {
                Some(held) => Some(Hold::Behind(held.seq)),
                None => record.paused.then_some(Hold::Paused),
            };
            let envelope = Envelope { protocol, seen: one.seen, unknown: one.unknown.as_deref() };
            let ((operation, left), fault) =
                match take(settings.fields(alias), one.operation.get(), &envelope, self.now()) {
                    Ok(read) => (read, behind),
                    Err(problem) => {
                        ((Operation::Update(Default::default()), Vec::new()), Some(Hold::Refused(problem.to_string())))
                    }
                };
            let one = Arriving {
                key,
                record,
                seq: one.seq,
                seen: one.seen,
                operation,
                left,
                raw: one.operation,
                transaction: Some(one.transaction),
            };
            match fault {
                None => arriving.push(one),
                Some(fault) => self.park_incoming(vec![(one, fault)]).await?,
            }
        }
        let fates = self.apply(&mut arriving).await?;
        let refused = arriving
            .into_iter()
            .zip(fates)
            .filter_map(|(one, fate)| match fate {
                Fate::Refused(reason) => Some((one, Hold::Refused(reason))),
                Fate::Applied => None,
            })
            .collect();
        self.park_incoming(refused).await?;
        Ok(Some(news))
    }
}
