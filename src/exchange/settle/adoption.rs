//! An exchange is known again, as the peer has it, after state was lost or a comparison found a difference.

use super::change::difference;
use super::wait::rest;
use super::{Scene, enqueue, step};
use crate::case::{Changes, Holder, Incident, Leg, Operation, Shadow, Towards};
use crate::state::{ExchangeKey, ExchangeRecord, StateError, Transaction};

/// How an exchange is known at the other side, for re-adoption.
pub struct Standpoint {
    pub leg: Leg,
    pub holder: Holder,
    pub shadow: Shadow,
    /// The last of our operations that took effect there.
    pub sent: u64,
    /// The last of their operations whose effect is in our store.
    pub applied: u64,
}

/// An exchange is known again after state was lost at either end. Operations that the peer has not got stay.
pub fn adopted(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    standpoint: Standpoint,
    incident: &Incident,
    scene: &Scene,
) -> Result<bool, StateError> {
    let now = scene.now;
    let mut record = match transaction.exchange(key)? {
        Some(mut record) => {
            let mut pending = Vec::new();
            for position in std::mem::take(&mut record.pending) {
                match transaction.outbox(&key.peer, position)? {
                    Some(entry) if entry.seq > standpoint.sent => pending.push(position),
                    _ => transaction.dequeue(&key.peer, position)?,
                }
            }
            record.pending = pending;
            record.sent = record.sent.max(standpoint.sent);
            record.shadow = standpoint.shadow;
            record
        }
        None => ExchangeRecord {
            sent: standpoint.sent,
            ..ExchangeRecord::begun(standpoint.leg.clone(), standpoint.shadow, now)
        },
    };
    record.holder = standpoint.holder;
    record.applied = standpoint.applied;
    record.applied_digest = None;
    record.submitted_by = None;
    record.heard = now;
    step(&mut record, standpoint.leg, now);
    let sent = record.sent;
    if record.parked.is_none() {
        record.due = None;
    }
    difference(transaction, key, &mut record, incident, scene)?;
    if record.parked.is_none() && record.leg.towards() == Towards::Upstream {
        rest(&mut record, now);
    }
    let news = record.sent != sent;
    transaction.put_exchange(key, &record)?;
    Ok(news)
}

/// Comments, files and milestones of ours that the peer has lost are told once more; each has an ID or a digest, and arrives once.
/// What was canceled waits for its Reopen (C-13).
pub fn told_again(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    lost: Changes,
    scene: &Scene,
) -> Result<(), StateError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(()) };
    if record.shadow.is_canceled() {
        return Ok(());
    }
    let comments = lost.comments.chunks(Operation::COMMENT_LIMIT);
    let comments = comments.map(|comments| Changes { comments: comments.to_vec(), ..Changes::default() });
    let files = lost.attachments.chunks(Operation::ATTACHMENT_LIMIT);
    let files = files.map(|attachments| Changes { attachments: attachments.to_vec(), ..Changes::default() });
    let milestones = lost.milestones.chunks(Operation::MILESTONE_LIMIT);
    let milestones = milestones.map(|milestones| Changes { milestones: milestones.to_vec(), ..Changes::default() });
    let operations = comments.chain(files).chain(milestones).map(Operation::Update).collect();
    let shadow = record.shadow.clone();
    enqueue(transaction, key, &mut record, operations, &shadow, scene)?;
    transaction.put_exchange(key, &record)
}
