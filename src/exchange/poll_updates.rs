//! The feed of the upstream, one long poll for all cases: case ID and link, then each status. What a page brings is in
//! the store and in state before the next poll acknowledges it.

use std::time::Duration;

use tracing::{error, info, warn};

use super::apply::{Arriving, Fate, rounds};
use super::fields::decode;
use super::{Engine, EngineError, settle};
use crate::case::{Alias, Operation, Sequence};
use crate::peer::PeerError;
use crate::protocol::{BATCH_LIMIT, ProblemType, UpdateAnswer, UpdateOperation};
use crate::state::{ExchangeKey, PeerRecord};
use crate::telemetry::{CrashPoint, crash_point};

/// Why an operation is held that came while nothing was to pass (C-59).
const PAUSED: &str = "the exchange of this case is switched off at this site";

impl Engine {
    /// One poll that may wait up to `wait`, and everything that it brought. Returns how many operations that was.
    pub async fn poll_updates(&self, wait: Duration) -> Result<usize, EngineError> {
        let Some((alias, upstream)) = self.upstream() else { return Ok(0) };
        let peer = alias.clone();
        let record = self.state().read(move |view| view.peer(&peer)).await?;
        let (true, Some(cursor)) = (record.adopted, record.cursor) else { return Ok(0) };
        let limit = self.settings().upstream.as_ref().map_or(BATCH_LIMIT, |upstream| upstream.batch);
        crash_point(CrashPoint::FeedAcknowledged);
        match upstream.updates(&cursor, wait, limit).await {
            Ok(answer) => {
                crash_point(CrashPoint::FeedAnswered);
                self.take_updates(&alias, answer).await
            }
            Err(PeerError::Refused { problem, .. }) if problem.is(ProblemType::CursorLost) => {
                info!(event = "feed_restarted", peer = %alias, "the peer's feed began anew; re-adopting");
                self.adopt_again(&alias).await?;
                self.0.to_push.notify_one();
                Ok(0)
            }
            Err(error) => {
                self.peer_failed(&alias, &error).await?;
                Err(error.into())
            }
        }
    }

    async fn take_updates(&self, alias: &Alias, answer: UpdateAnswer) -> Result<usize, EngineError> {
        let count = answer.operations.len();
        for round in rounds(answer.operations, |one| ExchangeKey::new(alias, one.exchange)) {
            if !self.take_round(alias, round).await? {
                return Ok(count);
            }
        }
        let (peer, cursor, now) = (alias.clone(), answer.cursor, self.now());
        self.state()
            .transact::<_, EngineError, _>(move |transaction| {
                let before = transaction.peer(&peer)?;
                let after = PeerRecord { last_contact: Some(now), cursor: Some(cursor), ..before };
                Ok(transaction.put_peer(&peer, &after)?)
            })
            .await?;
        crash_point(CrashPoint::FeedCommitted);
        Ok(count)
    }

    /// False when a number is missing: the feed cannot be followed from here, and everything is read anew.
    async fn take_round(&self, alias: &Alias, round: Vec<UpdateOperation>) -> Result<bool, EngineError> {
        let keys: Vec<ExchangeKey> = round.iter().map(|one| ExchangeKey::new(alias, one.exchange)).collect();
        let records = self
            .state()
            .read(move |view| keys.iter().map(|key| view.exchange(key)).collect::<Result<Vec<_>, _>>())
            .await?;
        let settings = self.settings();
        let mut arriving = Vec::with_capacity(round.len());
        for (one, record) in round.into_iter().zip(records) {
            let key = ExchangeKey::new(alias, one.exchange);
            let Some(record) = record else {
                warn!(event = "exchange_unknown", peer = %alias, exchange = %one.exchange, "nothing here belongs to it");
                continue;
            };
            match Sequence::of(one.seq, record.applied) {
                Sequence::Next => {}
                Sequence::Repeated => continue,
                Sequence::Early { expected } => {
                    error!(event = "feed_gap", peer = %alias, exchange = %one.exchange, seq = one.seq, expected, "re-adopting");
                    self.adopt_again(alias).await?;
                    self.0.to_push.notify_one();
                    return Ok(false);
                }
            }
            if record.progress.is_stopped() {
                self.state().transact(move |transaction| settle::passed_over(transaction, &key, one.seq)).await?;
                continue;
            }
            let behind = match &record.held {
                Some(held) => Some(format!("it waits behind operation {}", held.seq)),
                None => record.paused.then(|| PAUSED.to_owned()),
            };
            let ((operation, left), fault) = match decode(settings.fields(alias), one.operation.get()) {
                Ok(read) => (read, behind),
                Err(problem) => ((Operation::Update(Default::default()), Vec::new()), Some(problem.to_string())),
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
                Fate::Refused(reason) => Some((one, reason)),
                Fate::Applied => None,
            })
            .collect();
        self.park_incoming(refused).await?;
        Ok(true)
    }
}
