//! The only writer of state. Each function is one event of one exchange: load the record, decide with the rules of
//! `case`, and put step, shadow, outbox and due entry into the same transaction.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::value::RawValue;
use tracing::{debug, warn};

use super::fields::{Encoded, encode, encode_again};
use super::{EngineError, PENDING_LIMIT};
use crate::case::hide::hide_in_operation;
use crate::case::{
    Alias, Case, Changes, Counterpart, Downward, ExchangeId, Form, Holder, Incident, IncidentId, Leg, Merged,
    Operation, OperationKind, Progress, Reference, Shadow, SiteId, Towards, TransactionId, Upward, derive_create,
    derive_operations, is_canceled_elsewhere, told,
};
use crate::config::Settings;
use crate::peer::PeerError;
use crate::state::{
    Due, ExchangeKey, ExchangeRecord, InboundEntry, OutboxEntry, Parked, StateError, SubmittedBy, Transaction,
};
use crate::telemetry::discreet;

/// Where and when an event is settled.
#[derive(Debug, Clone)]
pub struct Scene {
    pub site: SiteId,
    pub alias: Alias,
    pub upstream: Option<Alias>,
    pub settings: Arc<Settings>,
    pub now: Timestamp,
}

impl Scene {
    /// What the settings say about the other side of an exchange.
    pub fn counterpart<'a>(&'a self, peer: &'a Alias, towards: Towards, holder: Holder) -> Counterpart<'a> {
        let internal = match towards {
            Towards::Upstream => self.settings.upstream.as_ref().is_some_and(|upstream| upstream.internal_comments),
            Towards::Client => {
                self.settings.clients.iter().any(|client| client.alias == *peer && client.internal_comments)
            }
        };
        Counterpart {
            peer,
            towards,
            holder,
            groups: &self.settings.exchange.groups,
            internal,
            fields: self.settings.fields(peer),
        }
    }
}

impl Scene {
    /// An operation as a peer may see it.
    fn hidden(&self, peer: &Alias, operation: Operation) -> Operation {
        if self.settings.hides_addresses_from(peer) { hide_in_operation(operation) } else { operation }
    }
}

/// Gives each operation its number and its place in the outbox.
fn enqueue(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    record: &mut ExchangeRecord,
    operations: Vec<Operation>,
    before: &Shadow,
    scene: &Scene,
) -> Result<(), StateError> {
    let now = scene.now;
    // What is held has not taken effect.
    let effective = record.held.as_ref().map_or(record.applied, |held| held.seq.saturating_sub(1));
    let seen = record.unseen.take().map_or(effective, |unseen| unseen.saturating_sub(1).min(effective));
    for operation in operations {
        let operation = scene.hidden(&key.peer, operation);
        let Encoded { wire, ours, unmapped } = encode(scene.settings.fields(&key.peer), &operation)?;
        record.sent += 1;
        record.touched.note(&operation, record.sent);
        let entry = OutboxEntry {
            exchange: key.exchange,
            seq: record.sent,
            kind: operation.kind(),
            seen,
            queued_at: now,
            operation: wire,
            told: operation.changes().map(|_| told::sent(&operation, before)),
            ours,
            unmapped,
        };
        let position = transaction.enqueue(&key.peer, &entry)?;
        // Towards a client the feed's cursor acknowledges, in the order of positions; nothing is tracked per exchange.
        if record.leg.towards() == Towards::Upstream {
            record.pending.push(position);
        }
        debug!(
            event = "operation_queued",
            peer = %key.peer,
            exchange = %key.exchange,
            incident = record.incident().map(|incident| incident.0),
            operation = entry.kind.as_str(),
            seq = entry.seq,
            "queued"
        );
    }
    // One that waits after a failed try keeps its turn.
    let tried = record.due.as_ref().is_some_and(|due| due.attempts > 0);
    let asking = matches!(record.leg, Leg::Upward { step: Upward::AwaitingTransaction, .. });
    if !record.pending.is_empty() && !tried && !asking && record.parked.is_none() {
        record.wake_at(now);
    }
    Ok(())
}

/// An incident is handed to the upstream for the first time in this generation. Says whether it was news.
pub fn submitted(
    transaction: &mut Transaction<'_>,
    scene: &Scene,
    incident: &Incident,
    form: Form,
    policy: Option<String>,
) -> Result<bool, StateError> {
    let Some(upstream) = &scene.upstream else { return Ok(false) };
    let exchange = upward_exchange(scene, incident);
    let key = ExchangeKey::new(upstream, exchange);
    if transaction.exchange(&key)?.is_some() {
        return Ok(false);
    }
    let counterpart = scene.counterpart(upstream, Towards::Upstream, Holder::Peer);
    let hidden = |alias: &Alias| if alias.is_hidden() { alias.clone() } else { alias.hidden(scene.site) };
    let hides = scene.settings.upstream.as_ref().is_some_and(|upstream| upstream.hide_clients);
    let mut trace_route: Vec<Alias> = match hides {
        true => incident.trace_route.iter().map(hidden).collect(),
        false => incident.trace_route.clone(),
    };
    trace_route.push(scene.alias.clone());
    let mut record = ExchangeRecord {
        submitted_by: policy.map(|policy| {
            let form = incident.client.is_none().then(|| form.clone());
            SubmittedBy { policy, at: scene.now, form }
        }),
        ..ExchangeRecord::begun(
            Leg::Upward { incident: incident.id, step: Upward::Creating },
            Shadow::of_create(incident, counterpart.has(incident)),
            scene.now,
        )
    };
    let mut operations = derive_create(incident, form, trace_route, counterpart);
    if let (true, Some(Operation::Create(create))) = (scene.settings.site.test_mode, operations.first_mut()) {
        create.event.mark_as_test();
    }
    enqueue(transaction, &key, &mut record, operations, &Shadow::default(), scene)?;
    // What is in the record already and no part of a Create follows at once.
    difference(transaction, &key, &mut record, incident, scene)?;
    transaction.put_exchange(&key, &record)?;
    Ok(true)
}

/// A local change of an incident that has an exchange: where the exchange stands when something was queued, and what
/// could not be.
pub fn changed(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    incident: &Incident,
    scene: &Scene,
) -> Result<(Option<Changed>, Option<Parked>), StateError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok((None, None)) };
    let before = record.clone();
    let withheld = difference(transaction, key, &mut record, incident, scene)?;
    if record != before {
        transaction.put_exchange(key, &record)?;
    }
    let changed = (record.sent != before.sent).then_some(Changed { leg: record.leg, holder: record.holder });
    Ok((changed, withheld))
}

/// What was held on its way in while the exchange was paused has had its turn: our own changes follow.
pub fn resumed(transaction: &mut Transaction<'_>, key: &ExchangeKey) -> Result<(), StateError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(()) };
    record.paused = false;
    transaction.put_exchange(key, &record)
}

/// Where an exchange stands after something was queued.
pub struct Changed {
    pub leg: Leg,
    pub holder: Holder,
}

/// Queues what the shadow does not show. Hands back what newly needs a person instead: see [`withhold`].
fn difference(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    record: &mut ExchangeRecord,
    incident: &Incident,
    scene: &Scene,
) -> Result<Option<Parked>, StateError> {
    record.paused = !incident.active;
    if matches!(record.leg, Leg::Upward { step: Upward::Rejected, .. } | Leg::Downward(Downward::Rejected { .. })) {
        return Ok(None);
    }
    // What changes in the meantime is told when the exchange is active again: the shadow stays.
    if record.paused {
        return Ok(None);
    }
    let is_behind =
        |one: &Reference| (one.exchange, &one.peer) == (key.exchange, &key.peer) && one.applied > record.applied;
    // An operation of the peer's is in the record, and was not counted before we died: it comes again. Until then it would
    // look like a change of ours.
    let is_behind = incident.references.iter().any(is_behind);
    if is_behind || record.pending.len() >= PENDING_LIMIT || record.progress.is_stopped() {
        record.changed_meanwhile = true;
        return Ok(None);
    }
    record.changed_meanwhile = false;
    let counterpart = scene.counterpart(&key.peer, record.leg.towards(), record.holder);
    let operations = derive_operations(&record.shadow, incident, counterpart);
    if record.leg.towards() == Towards::Client {
        for operation in &operations {
            let hidden = scene.hidden(&key.peer, operation.clone());
            if let Some(unmapped) = encode(counterpart.fields, &hidden)?.unmapped {
                return Ok(withhold(key, record, operation.kind(), unmapped, scene.now));
            }
        }
        record.parked = None;
    }
    let after = record.shadow.after(&operations, incident, counterpart.has(incident), counterpart.fields);
    let before = std::mem::replace(&mut record.shadow, after);
    if operations.is_empty() {
        return Ok(None);
    }
    for operation in &operations {
        match operation.kind() {
            OperationKind::Assign => record.holder = Holder::Peer,
            OperationKind::Accept => record.holder = Holder::Us,
            _ => {}
        }
    }
    // Towards a client our word is what counts, from the moment that it is queued.
    if record.leg.towards() == Towards::Client {
        for operation in &operations {
            if let Ok(leg) = record.leg.clone().operated(operation) {
                step(record, leg, scene.now);
            }
        }
    }
    enqueue(transaction, key, record, operations, &before, scene)?;
    Ok(None)
}

/// A client's feed cannot leave out one exchange's operation and go on behind it: one with a value that has no word is
/// not queued. The shadow stays, and the change is derived anew when the record changes, or when a person says so.
fn withhold(
    key: &ExchangeKey,
    record: &mut ExchangeRecord,
    kind: OperationKind,
    reason: String,
    now: Timestamp,
) -> Option<Parked> {
    let parked = Parked { since: now, seq: record.sent + 1, operation: kind, reason };
    if record.parked.as_ref().is_some_and(|known| known.reason == parked.reason && known.seq == parked.seq) {
        return None;
    }
    warn!(
        event = "operation_parked",
        peer = %key.peer,
        exchange = %key.exchange,
        incident = record.incident().map(|incident| incident.0),
        operation = kind.as_str(),
        seq = parked.seq,
        reason = &*discreet(&parked.reason),
        "needs a person; see `casebridge parked`"
    );
    record.park(parked.clone());
    Some(parked)
}

fn step(record: &mut ExchangeRecord, leg: Leg, now: Timestamp) {
    if record.leg.name() != leg.name() {
        record.since = now;
    }
    record.leg = leg;
}

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

/// What an exchange is due for when nothing is wrong: its next operation at once, else nothing.
fn rest(record: &mut ExchangeRecord, now: Timestamp) {
    record.due = None;
    if !record.pending.is_empty() {
        record.wake_at(now);
    }
}

/// The transaction ID came, in an answer or with the feed.
fn transacted(record: &mut ExchangeRecord, id: &TransactionId, now: Timestamp) -> Result<(), EngineError> {
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

/// Not now: the exchange's own next try.
pub fn postponed(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    reason: &str,
    next: impl FnOnce(u32) -> Timestamp,
) -> Result<u32, EngineError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(0) };
    let attempts = record.due.as_ref().map_or(0, |due| due.attempts) + 1;
    record.due = Some(Due { at: next(attempts), attempts, last_error: Some(reason.to_owned()) });
    transaction.put_exchange(key, &record)?;
    Ok(attempts)
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

/// Not without a person.
pub fn parked(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    reason: &str,
    now: Timestamp,
) -> Result<Option<Parked>, EngineError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(None) };
    let head = match record.pending.first() {
        Some(position) => transaction.outbox(&key.peer, *position)?,
        None => None,
    };
    let parked = Parked {
        since: now,
        seq: head.as_ref().map_or(record.sent, |entry| entry.seq),
        operation: head.as_ref().map_or(OperationKind::Create, |entry| entry.kind),
        reason: reason.to_owned(),
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
    transaction.put_inbound(key, &InboundEntry { seq: 1, received_at: now, operation })?;
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
            Some(changes) if self.merged.keeps_phase => Operation::Update(changes.clone()),
            _ => self.operation.clone(),
        }
    }
}

/// What an operation of the peer's leaves in the record of its exchange.
fn take(record: &mut ExchangeRecord, taken: &Taken) {
    match taken.operation.kind() {
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
    let sent = record.sent;
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
    take(&mut record, taken);
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
    let stopped = record.progress.note(&taken.operation, now, patience).then(|| Parked {
        since: now,
        seq: taken.seq,
        operation: taken.operation.kind(),
        reason: format!("no progress: {} operations in a row said nothing new", patience.repeats),
    });
    if let Some(parked) = &stopped {
        record.park(parked.clone());
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

/// An operation of the peer's cannot take effect here; it is kept for a person, and the peer is not held up.
pub fn parked_incoming(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    seq: u64,
    kind: OperationKind,
    operation: Box<RawValue>,
    reason: &str,
    now: Timestamp,
) -> Result<(), EngineError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(()) };
    if seq <= record.applied {
        return Ok(());
    }
    record.applied = seq;
    record.applied_digest = None;
    // What comes later waits behind the first one, in order.
    record.held.get_or_insert(Parked { since: now, seq, operation: kind, reason: reason.to_owned() });
    transaction.put_inbound(key, &InboundEntry { seq, received_at: now, operation })?;
    transaction.put_exchange(key, &record)?;
    Ok(())
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
    if let Ok(leg) = record.leg.clone().operated(&taken.moves()) {
        step(&mut record, leg, now);
    }
    take(&mut record, taken);
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
        reason: "it waited behind another operation".to_owned(),
    });
    let withheld = match &taken.after {
        Some(incident) => difference(transaction, &taken.key, &mut record, incident, scene)?,
        None => None,
    };
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
    record.held = Some(Parked { since: now, seq, operation: kind, reason: reason.to_owned() });
    transaction.put_exchange(key, &record)?;
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

/// The changes that were gathered while too much was pending, or that waited for a word.
pub fn changed_again(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    incident: &Incident,
    scene: &Scene,
) -> Result<Option<Parked>, StateError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(None) };
    record.changed_meanwhile = false;
    let withheld = difference(transaction, key, &mut record, incident, scene)?;
    transaction.put_exchange(key, &record)?;
    Ok(withheld)
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

/// Comments and files of ours that the peer has lost are told once more; each has an ID or a digest, and arrives once.
pub fn told_again(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    lost: Changes,
    scene: &Scene,
) -> Result<(), StateError> {
    let Some(mut record) = transaction.exchange(key)? else { return Ok(()) };
    let comments = lost.comments.chunks(Operation::COMMENT_LIMIT);
    let comments = comments.map(|comments| Changes { comments: comments.to_vec(), ..Changes::default() });
    let files = lost.attachments.chunks(Operation::ATTACHMENT_LIMIT);
    let files = files.map(|attachments| Changes { attachments: attachments.to_vec(), ..Changes::default() });
    let operations = comments.chain(files).map(Operation::Update).collect();
    let shadow = record.shadow.clone();
    enqueue(transaction, key, &mut record, operations, &shadow, scene)?;
    transaction.put_exchange(key, &record)
}

/// The key of an incident's exchange with the upstream.
pub fn upward_key(scene: &Scene, incident: &Incident) -> Option<ExchangeKey> {
    let upstream = scene.upstream.as_ref()?;
    Some(ExchangeKey::new(upstream, upward_exchange(scene, incident)))
}

fn upward_exchange(scene: &Scene, incident: &Incident) -> ExchangeId {
    ExchangeId::of(scene.site, incident.id, &incident.event.host_event_id, incident.generation)
}
