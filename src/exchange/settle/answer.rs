//! What the upstream answers to what was sent.

use jiff::Timestamp;

use super::step;
use super::wait::rest;
use crate::case::{Leg, Operation, OperationKind, TransactionId, Upward};
use crate::exchange::EngineError;
use crate::peer::PeerError;
use crate::state::{Due, ExchangeKey, ExchangeRecord, StateError, Transaction};

/// The operation at the head of an exchange's outbox, as it was sent.
pub struct Sent {
    pub position: u64,
    pub operation: Option<Operation>,
}

/// The upstream told the transaction ID, in the answer to `sent` or when it was asked.
pub fn acknowledged(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    sent: Option<&Sent>,
    id: &TransactionId,
    now: Timestamp,
) -> Result<Option<ExchangeRecord>, EngineError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(None) };
    let was_asked = matches!(record.leg, Leg::Upward { step: Upward::AwaitingTransaction, .. });
    transacted(&mut record, id, now)?;
    record.submitted_by = None;
    // The Create of an exchange that was asked about is its head.
    let head = record.pending.first().copied();
    let done = match sent {
        Some(sent) => head.filter(|head| *head == sent.position),
        None => head.filter(|_| was_asked),
    };
    if let Some(position) = done {
        transaction.dequeue(&key.peer, position)?;
        record.pending.remove(0);
        if let Some(operation) = sent.and_then(|sent| sent.operation.as_ref()) {
            let leg = record.leg.clone().arrived(operation, record.shadow.phase);
            step(&mut record, leg, now);
        }
    }
    record.parked = None;
    record.heard = now;
    rest(&mut record, now);
    transaction.put_exchange(key, &record)?;
    Ok(Some(record))
}

/// The transaction ID came, in an answer or with the feed.
pub(super) fn transacted(record: &mut ExchangeRecord, id: &TransactionId, now: Timestamp) -> Result<(), EngineError> {
    let Leg::Upward { incident, step: upward } = record.leg.clone() else { return Ok(()) };
    let upward = upward
        .acknowledged(id.clone())
        .map_err(|illegal| PeerError::Malformed(format!("it changed its mind: {illegal}")))?;
    step(record, Leg::Upward { incident, step: upward }, now);
    Ok(())
}

/// The upstream has the Create and will tell the transaction ID later: ask again at `ask_at`.
pub fn answered_received(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    now: Timestamp,
    ask_at: Timestamp,
) -> Result<(), EngineError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(()) };
    let Leg::Upward { incident, step: upward } = record.leg.clone() else { return Ok(()) };
    if let Ok(upward) = upward.received() {
        step(&mut record, Leg::Upward { incident, step: upward }, now);
    }
    let attempts = record.due.as_ref().map_or(0, |due| due.attempts);
    record.due = Some(Due { at: ask_at, attempts, last_error: None });
    transaction.put_exchange(key, &record)?;
    Ok(())
}

/// The upstream had the Create, and has it no more. True when it can be sent again.
pub fn forgotten(transaction: &mut Transaction<'_>, key: &ExchangeKey) -> Result<bool, EngineError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(false) };
    let head = match record.pending.first() {
        Some(position) => transaction.outbox(&key.peer, *position)?,
        None => None,
    };
    let Leg::Upward { incident, step: Upward::AwaitingTransaction } = record.leg else { return Ok(false) };
    if head.is_none_or(|entry| entry.kind != OperationKind::Create) {
        return Ok(false);
    }
    record.leg = Leg::Upward { incident, step: Upward::Creating };
    transaction.put_exchange(key, &record)?;
    Ok(true)
}

/// The exchange is over at the upstream, and another one follows it: what waits in it goes nowhere.
pub fn left(transaction: &mut Transaction<'_>, key: &ExchangeKey) -> Result<(), StateError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(()) };
    forget(transaction, key, &mut record)?;
    transaction.put_exchange(key, &record)
}

/// Nothing of ours goes there any more.
pub(super) fn forget(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    record: &mut ExchangeRecord,
) -> Result<(), StateError> {
    for position in std::mem::take(&mut record.pending) {
        transaction.dequeue(&key.peer, position)?;
    }
    (record.due, record.parked) = (None, None);
    Ok(())
}

/// The upstream has no case that the Create named; nothing came of it.
pub fn unlinked(transaction: &mut Transaction<'_>, key: &ExchangeKey, now: Timestamp) -> Result<(), StateError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(()) };
    let Leg::Upward { incident, step: Upward::Creating } = record.leg else { return Ok(()) };
    for position in std::mem::take(&mut record.pending) {
        transaction.dequeue(&key.peer, position)?;
    }
    record.due = None;
    step(&mut record, Leg::Upward { incident, step: Upward::Rejected }, now);
    transaction.put_exchange(key, &record)
}
