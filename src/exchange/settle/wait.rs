//! When an exchange is due, and when not without a person.

use jiff::Timestamp;

use super::Scene;
use crate::case::{Downward, IncidentId, Leg, OperationKind, Progress, Towards, Upward};
use crate::exchange::EngineError;
use crate::exchange::fields::{Encoded, encode_again};
use crate::state::{Due, ExchangeKey, ExchangeRecord, InboundEntry, OutboxEntry, Parked, StateError, Transaction};

/// What an exchange is due for when nothing is wrong: its next operation at once, else nothing.
pub(super) fn rest(record: &mut ExchangeRecord, now: Timestamp) {
    record.due = None;
    if !record.pending.is_empty() {
        record.wake_at(now);
    }
}

/// Since when the operation waits that is first in turn towards the upstream, and how often it was tried.
pub fn waiting_since(
    transaction: &Transaction<'_>,
    key: &ExchangeKey,
) -> Result<(Option<Timestamp>, u32), EngineError> {
    let Some(record) = transaction.exchange(key)? else { return Ok((None, 0)) };
    let head = match record.pending.first() {
        Some(position) => transaction.outbox(&key.peer, *position)?,
        None => None,
    };
    Ok((head.map(|entry| entry.queued_at), record.due.map_or(0, |due| due.attempts)))
}

/// When an exchange is tried again.
pub struct Postponed {
    pub incident: Option<IncidentId>,
    pub attempt: u32,
    pub next_attempt: Timestamp,
}

/// Not now: the exchange's own next try.
pub fn postponed(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    reason: &str,
    next: impl FnOnce(u32) -> Timestamp,
) -> Result<Option<Postponed>, EngineError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(None) };
    let attempts = record.due.as_ref().map_or(0, |due| due.attempts) + 1;
    let at = next(attempts);
    record.due = Some(Due { at, attempts, last_error: Some(reason.to_owned()) });
    transaction.put_exchange(key, &record)?;
    Ok(Some(Postponed { incident: record.incident(), attempt: attempts, next_attempt: at }))
}

/// Its instant lies where the clock will not come for long; the tries are not forgotten.
pub fn due_now(transaction: &mut Transaction<'_>, key: &ExchangeKey, now: Timestamp) -> Result<(), EngineError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(()) };
    if let Some(due) = &mut record.due {
        due.at = now;
        transaction.put_exchange(key, &record)?;
    }
    Ok(())
}

/// Not without a person. Of a `refused` one the peer has said that it is without effect.
pub fn parked(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    reason: &str,
    refused: bool,
    now: Timestamp,
) -> Result<Option<Parked>, EngineError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(None) };
    // Given back while the answer was on its way.
    if matches!(record.leg, Leg::Upward { step: Upward::Rejected, .. }) {
        return Ok(None);
    }
    let head = match record.pending.first() {
        Some(position) => transaction.outbox(&key.peer, *position)?,
        None => None,
    };
    let parked = Parked {
        since: now,
        seq: head.as_ref().map_or(record.sent, |entry| entry.seq),
        operation: head.as_ref().map_or(OperationKind::Create, |entry| entry.kind),
        reason: reason.to_owned(),
        untaken: refused || head.is_some_and(|entry| entry.unmapped.is_some()),
    };
    record.park(parked.clone());
    transaction.put_exchange(key, &record)?;
    Ok(Some(parked))
}

/// A person says: try again. The first operation that is held on its way in is handed back, to be applied; it stays
/// until it is.
pub fn rearmed(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    scene: &Scene,
) -> Result<Option<InboundEntry>, EngineError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(None) };
    if record.parked.is_some() {
        let stopped = record.progress.is_stopped();
        record.progress = Progress::default();
        if record.leg.towards() == Towards::Upstream {
            record.parked = None;
            put_into_words(transaction, key, &mut record, scene)?;
            record.wake_at(scene.now);
        } else if stopped || matches!(record.leg, Leg::Downward(Downward::Rejected { .. })) {
            record.parked = None;
        }
        transaction.put_exchange(key, &record)?;
    }
    match &record.held {
        Some(held) => Ok(transaction.inbound(key, held.seq)?),
        None => Ok(None),
    }
}

/// What waits goes in the words of the settings as they are now: whatever kept the first one may lie in them.
fn put_into_words(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    record: &mut ExchangeRecord,
    scene: &Scene,
) -> Result<(), StateError> {
    let fields = scene.settings.fields(&key.peer);
    for place in &mut record.pending {
        let Some(entry) = transaction.outbox(&key.peer, *place)? else { continue };
        if fields.is_plain() && entry.ours.is_none() && entry.unmapped.is_none() {
            continue;
        }
        let Encoded { wire, ours, unmapped } = encode_again(fields, &entry)?;
        transaction.dequeue(&key.peer, *place)?;
        *place = transaction.enqueue(&key.peer, &OutboxEntry { operation: wire, ours, unmapped, ..entry })?;
    }
    Ok(())
}

/// A look at the case found nothing new.
pub fn checked(transaction: &mut Transaction<'_>, key: &ExchangeKey, now: Timestamp) -> Result<(), EngineError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(()) };
    record.heard = now;
    rest(&mut record, now);
    transaction.put_exchange(key, &record)?;
    Ok(())
}
