//! What only an exchange with a client has: its incident is opened here, its feed is acknowledged, and everything can be told
//! anew.

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::Scene;
use super::change::difference;
use crate::case::{Alias, Case, Downward, Incident, Leg, Shadow, is_canceled_elsewhere};
use crate::exchange::EngineError;
use crate::state::{ExchangeKey, ExchangeRecord, InboundEntry, Parked, StateError, Transaction};

/// A client's Create that the store could not take yet is kept, durably.
pub fn received(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    operation: Box<RawValue>,
    now: Timestamp,
) -> Result<(), EngineError> {
    if transaction.exchange(key)?.is_some() {
        return Ok(());
    }
    transaction.put_inbound(key, &InboundEntry { seq: 1, received_at: now, seen: None, operation })?;
    let mut record = ExchangeRecord::begun(Leg::Downward(Downward::Received), Shadow::default(), now);
    record.wake_at(now);
    transaction.put_exchange(key, &record)?;
    Ok(())
}

/// A client's incident stands in the store. What it already has to tell, such as a case that a policy opened, follows.
pub fn opened(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    incident: &Incident,
    digest: u64,
    scene: &Scene,
) -> Result<(bool, Option<Parked>), EngineError> {
    let now = scene.now;
    let known = transaction.exchange(key)?;
    if known.as_ref().is_some_and(|record| record.incident().is_some()) {
        return Ok((false, None));
    }
    if known.is_some() {
        transaction.remove_inbound(key, 1)?;
    }
    let mut record = ExchangeRecord {
        applied_digest: Some(digest),
        applied: 1,
        ..ExchangeRecord::begun(
            Leg::Downward(Downward::Deciding { incident: incident.id }),
            // The client knows what it sent, and nothing else of the record.
            Shadow::default(),
            now,
        )
    };
    let withheld = difference(transaction, key, &mut record, incident, scene)?;
    transaction.put_exchange(key, &record)?;
    Ok((record.sent > 0, withheld))
}

/// The first `count` operations up to a position are durable at the client, and its histories say so.
pub fn acknowledged_through(
    transaction: &mut Transaction<'_>,
    client: &Alias,
    through: u64,
    count: usize,
) -> Result<(), StateError> {
    for position in transaction.positions_through(client, through, count)? {
        transaction.dequeue(client, position)?;
    }
    Ok(())
}

/// Everything that a client should know of its incident is told once more; or what of it waits for a person.
pub fn restated(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    incident: &Incident,
    scene: &Scene,
) -> Result<Result<bool, Parked>, StateError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(Ok(false)) };
    let sent = record.sent;
    // Another status than any case has: a case that is there is told by an Update, which hands nothing over.
    let case = incident.case.as_ref().map(|case| Case { status: String::new(), ..case.clone() });
    record.shadow = Shadow { case, assigned: record.shadow.assigned, ..Shadow::default() };
    // What a Cancel left here (C-19) is this site's own word for it; said again, it would cancel at the other site.
    if is_canceled_elsewhere(&incident.work) {
        let Shadow { phase, solution, completion_code, .. } = Shadow::of(incident, None);
        record.shadow = Shadow { phase, solution, completion_code, ..record.shadow };
    }
    difference(transaction, key, &mut record, incident, scene)?;
    transaction.put_exchange(key, &record)?;
    Ok(match record.parked {
        Some(parked) if record.sent == sent => Err(parked),
        _ => Ok(record.sent > sent),
    })
}
