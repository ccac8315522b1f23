//! An operation of the peer's took effect here, or could not.

use jiff::Timestamp;

use super::answer::{forget, transacted};
use super::change::difference;
use super::{Changed, Scene, enqueue, stand, step};
use crate::case::{
    Changes, Holder, Incident, IncidentId, Leg, Merged, Operation, OperationKind, TransactionId, Upward,
};
use crate::exchange::EngineError;
use crate::state::{ExchangeKey, ExchangeRecord, InboundEntry, Parked, Transaction};

/// An operation of the peer's took effect here.
pub struct Taken {
    pub key: ExchangeKey,
    pub incident: IncidentId,
    pub seq: u64,
    pub digest: u64,
    pub operation: Operation,
    pub merged: Merged,
    pub transaction: Option<TransactionId>,
    /// The record as it was before, where the operation met a change of ours that the peer never heard of.
    pub before: Option<Incident>,
    /// The record afterwards, where something of ours has to be said again.
    pub after: Option<Incident>,
}

impl Taken {
    /// What the operation does to the exchange: one whose phase does not count here moves no step.
    pub fn moves(&self) -> Operation {
        match self.operation.changes() {
            Some(changes) if self.merged.keeps_step() => Operation::Update(changes.clone()),
            _ => self.operation.clone(),
        }
    }
}

/// What an operation of the peer's leaves in the record of its exchange. `sent` counts our operations before it came.
fn take(record: &mut ExchangeRecord, taken: &Taken, sent: u64) {
    match taken.operation.kind() {
        _ if taken.merged.keeps_holder || record.touched.hands_over_after(sent) => {}
        OperationKind::Assign => record.holder = Holder::Us,
        OperationKind::Accept => record.holder = Holder::Peer,
        _ => {}
    }
    record.shadow.follow(&taken.merged.agreed);
    if taken.merged.unsent {
        record.unseen.get_or_insert(taken.seq);
    }
}

/// What followed from an operation of the peer's.
#[derive(Default)]
pub struct Applied {
    /// Where the exchange stands, when something was queued in answer.
    pub queued: Option<Changed>,
    /// Why the exchange is stopped from now on.
    pub stopped: Option<Parked>,
    /// What could not be queued.
    pub withheld: Option<Parked>,
}

/// Step, shadow and number follow in one transaction.
pub fn applied(transaction: &mut Transaction<'_>, taken: &Taken, scene: &Scene) -> Result<Applied, EngineError> {
    let now = scene.now;
    let Some(mut record) = transaction.exchange(&taken.key)? else { return Ok(Applied::default()) };
    if taken.seq <= record.applied {
        return Ok(Applied::default());
    }
    if let Some(id) = &taken.transaction {
        transacted(&mut record, id, now)?;
    }
    let (sent, stood) = (record.sent, stand(&record));
    // Said as if the detector had come first: what met is known to both histories then, whoever's value stays (C-47).
    let untold = match &taken.before {
        Some(incident) => difference(transaction, &taken.key, &mut record, incident, scene)?,
        None => None,
    };
    // One that has ended in between, by a decision here, stays ended.
    if let Ok(leg) = record.leg.clone().operated(&taken.moves()) {
        step(&mut record, leg, now);
    }
    record.applied = taken.seq;
    record.applied_digest = Some(taken.digest);
    record.heard = now;
    take(&mut record, taken, sent);
    // Who has it in hand is said by the site above, as often as the one below does not know.
    if taken.merged.keeps_holder {
        let told = match record.holder {
            Holder::Us => Operation::Accept(Changes::default()),
            Holder::Peer => Operation::Assign(Changes::default()),
        };
        let shadow = record.shadow.clone();
        enqueue(transaction, &taken.key, &mut record, vec![told], &shadow, scene)?;
    }
    let withheld = match &taken.after {
        Some(incident) => difference(transaction, &taken.key, &mut record, incident, scene)?,
        None => None,
    }
    .or(untold);
    let leg = record.leg.clone().in_phase(record.shadow.phase);
    step(&mut record, leg, now);
    if record.leg.is_over() && record.pending.is_empty() {
        record.due = None;
    }
    let patience = scene.settings.retry.patience;
    // What was on its way when the case was given back goes nowhere, and needs nobody (C-18).
    if matches!(record.leg, Leg::Upward { step: Upward::Rejected, .. }) {
        forget(transaction, &taken.key, &mut record)?;
    }
    let stopped = record.progress.note(&taken.operation, now, patience).then(|| Parked {
        since: now,
        seq: taken.seq,
        operation: taken.operation.kind(),
        reason: format!(
            "{NO_PROGRESS}: {} operations in a row said nothing new, or many more moved the case to and fro",
            patience.repeats
        ),
        untaken: false,
    });
    if let Some(parked) = &stopped {
        record.park(parked.clone());
    }
    if stand(&record) != stood {
        record.since = now;
    }
    transaction.put_exchange(&taken.key, &record)?;
    let queued = (record.sent > sent).then_some(Changed { leg: record.leg, holder: record.holder });
    Ok(Applied { queued, stopped, withheld })
}

/// An operation of the upstream's in an exchange that is stopped: what it says is read from the upstream when a person
/// lets the exchange go on.
pub fn passed_over(transaction: &mut Transaction<'_>, key: &ExchangeKey, seq: u64) -> Result<(), EngineError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(()) };
    record.applied = record.applied.max(seq);
    record.applied_digest = None;
    Ok(transaction.put_exchange(key, &record)?)
}

/// Why an operation of a peer's is held on its way in.
#[derive(Debug, Clone)]
pub enum Hold {
    /// Nothing is to pass for now (C-59).
    Paused,
    /// The operation of this number is held, and comes first.
    Behind(u64),
    /// It cannot take effect here; the reason is for people.
    Refused(String),
}

impl std::fmt::Display for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Paused => f.write_str(PAUSED),
            Self::Behind(seq) => write!(f, "it waits behind operation {seq}"),
            Self::Refused(reason) => f.write_str(reason),
        }
    }
}

/// How the reason begins why an exchange is stopped that goes round in circles.
pub const NO_PROGRESS: &str = "no progress";
/// Of what came while nothing was to pass.
pub const PAUSED: &str = "the exchange of this case is switched off at this site";
/// Of what nothing is wrong with: the one before it was.
const BEHIND: &str = "it waited behind another operation";

/// Whether an operation is held that nothing keeps back any more: it is to be let in.
pub fn is_free(record: &ExchangeRecord) -> bool {
    let reason = record.held.as_ref().map(|held| held.reason.as_str());
    !record.paused && reason.is_some_and(|reason| [PAUSED, BEHIND].contains(&reason))
}

/// An operation of the peer's cannot take effect here; it is kept for a person, and the peer is not held up. Whether what it was to
/// wait for is over by now: then it is to be let in at once.
pub fn parked_incoming(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    kind: OperationKind,
    entry: InboundEntry,
    why: &Hold,
) -> Result<bool, EngineError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(false) };
    let (seq, now) = (entry.seq, entry.received_at);
    if seq <= record.applied {
        return Ok(false);
    }
    record.applied = seq;
    record.applied_digest = None;
    // What comes later waits behind the first one, in order.
    if record.held.is_none() {
        let reason = if matches!(why, Hold::Behind(_)) { BEHIND.to_owned() } else { why.to_string() };
        record.held = Some(Parked { since: now, seq, operation: kind, reason, untaken: false });
    }
    transaction.put_inbound(key, &entry)?;
    transaction.put_exchange(key, &record)?;
    Ok(is_free(&record))
}

/// An operation that was held on its way in took effect after all; its number was counted when it came. Hands back the
/// next one that waits behind it.
pub fn applied_late(
    transaction: &mut Transaction<'_>,
    taken: &Taken,
    scene: &Scene,
) -> Result<(Option<InboundEntry>, Option<Parked>), EngineError> {
    let now = scene.now;
    let Some(mut record) = transaction.exchange(&taken.key)? else { return Ok((None, None)) };
    let sent = record.sent;
    let untold = match &taken.before {
        Some(incident) => difference(transaction, &taken.key, &mut record, incident, scene)?,
        None => None,
    };
    if let Ok(leg) = record.leg.clone().operated(&taken.moves()) {
        step(&mut record, leg, now);
    }
    take(&mut record, taken, sent);
    transaction.remove_inbound(&taken.key, taken.seq)?;
    let mut next = None;
    for seq in taken.seq + 1..=record.applied {
        next = transaction.inbound(&taken.key, seq)?;
        if next.is_some() {
            break;
        }
    }
    record.held = next.as_ref().map(|entry| Parked {
        since: entry.received_at,
        seq: entry.seq,
        operation: OperationKind::Update,
        reason: BEHIND.to_owned(),
        untaken: false,
    });
    let withheld = match &taken.after {
        Some(incident) => difference(transaction, &taken.key, &mut record, incident, scene)?,
        None => None,
    }
    .or(untold);
    transaction.put_exchange(&taken.key, &record)?;
    Ok((next, withheld))
}

/// It still cannot follow.
pub fn held_again(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    kind: OperationKind,
    seq: u64,
    reason: &str,
    now: Timestamp,
) -> Result<(), EngineError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(()) };
    record.held = Some(Parked { since: now, seq, operation: kind, reason: reason.to_owned(), untaken: false });
    transaction.put_exchange(key, &record)?;
    Ok(())
}
