//! The record changed here: what the shadow does not show is queued for the peer.

use jiff::Timestamp;
use tracing::warn;

use super::answer::forget;
use super::{Scene, enqueue, is_superseded, stand, step, upward_exchange};
use crate::case::{
    Alias, Downward, Form, Holder, Incident, Leg, Operation, OperationKind, Phase, Reference, Shadow, Submission,
    Touched, Towards, Upward, derive_create, derive_operations,
};
use crate::exchange::PENDING_LIMIT;
use crate::exchange::fields::{Encoded, encode};
use crate::state::{ExchangeKey, ExchangeRecord, Parked, StateError, SubmittedBy, Transaction};
use crate::telemetry::discreet;

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
    let submitted_by = policy.map(|policy| {
        let form = incident.client.is_none().then(|| form.clone());
        SubmittedBy { policy, at: scene.now, form }
    });
    let operations = create_operations(scene, upstream, incident, form);
    let record = begun(transaction, &key, operations, submitted_by, incident, scene)?;
    transaction.put_exchange(&key, &record)?;
    Ok(true)
}

/// The Create, and what does not fit into it.
fn create_operations(scene: &Scene, upstream: &Alias, incident: &Incident, form: Form) -> Vec<Operation> {
    let hidden = |alias: &Alias| if alias.is_hidden() { alias.clone() } else { alias.hidden(scene.site) };
    let mut trace_route: Vec<Alias> = match scene.hides_clients() {
        true => incident.trace_route.iter().map(hidden).collect(),
        false => incident.trace_route.clone(),
    };
    trace_route.push(scene.alias.clone());
    let counterpart = scene.counterpart(upstream, Towards::Upstream, Holder::Peer);
    let mut operations = derive_create(incident, form, trace_route, counterpart);
    if let (true, Some(Operation::Create(create))) = (scene.settings.site.test_mode, operations.first_mut()) {
        create.event.mark_as_test();
    }
    operations
}

/// An exchange at its begin, with its first operations in the outbox.
fn begun(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    operations: Vec<Operation>,
    submitted_by: Option<SubmittedBy>,
    incident: &Incident,
    scene: &Scene,
) -> Result<ExchangeRecord, StateError> {
    let counterpart = scene.counterpart(&key.peer, Towards::Upstream, Holder::Peer);
    let leg = Leg::Upward { incident: incident.id, step: Upward::Creating };
    let shadow = Shadow::of_create(incident, counterpart.has(incident));
    let mut record = ExchangeRecord { submitted_by, ..ExchangeRecord::begun(leg, shadow, scene.now) };
    enqueue(transaction, key, &mut record, operations, &Shadow::default(), scene)?;
    // What is in the record already and no part of a Create follows at once.
    difference(transaction, key, &mut record, incident, scene)?;
    Ok(record)
}

/// Whether the Create stands among the parked and had no effect at the upstream: the exchange has not begun there.
pub fn is_untaken(record: &ExchangeRecord) -> bool {
    matches!(record.leg, Leg::Upward { step: Upward::Creating, .. })
        && record.parked.as_ref().is_some_and(|parked| parked.untaken && parked.operation == OperationKind::Create)
}

/// The record of a Create that the upstream has not taken was changed. The Create is made anew from the record as it stands,
/// and tried again; where the record is over, nothing is sent any more.
fn corrected(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    record: &mut ExchangeRecord,
    incident: &Incident,
    scene: &Scene,
) -> Result<Option<Parked>, StateError> {
    record.paused = !incident.active;
    if record.paused || is_superseded(scene, Towards::Upstream, key.exchange, incident) {
        return Ok(None);
    }
    if incident.work.phase == Phase::Close {
        forget(transaction, key, record)?;
        step(record, Leg::Upward { incident: incident.id, step: Upward::Rejected }, scene.now);
        return Ok(None);
    }
    let head = match record.pending.first() {
        Some(position) => transaction.outbox(&key.peer, *position)?,
        None => None,
    };
    let Some(before) = head else { return Ok(None) };
    let by_hand = incident.submission == Submission::Requested;
    let of_the_record = form_to_send(incident, scene.hides_clients());
    let form = match serde_json::from_str(before.in_our_words()) {
        // What the policy filled in stands in the Create alone.
        Ok(Operation::Create(create)) if !by_hand => {
            let recipient = of_the_record.recipient.clone().filter(|_| incident.client.is_none());
            Form { recipient, ..of_the_record }.or(&create.form)
        }
        _ => of_the_record.or(&scene.settings.submit.defaults),
    };
    // It is written back when the upstream has taken it.
    let told = |by: SubmittedBy| SubmittedBy { form: by.form.is_some().then(|| form.clone()), ..by };
    let submitted_by = record.submitted_by.clone().filter(|_| !by_hand).map(told);
    let operations = create_operations(scene, &key.peer, incident, form);
    let after = operations
        .first()
        .map(|create| encode(scene.settings.fields(&key.peer), &scene.hidden(&key.peer, create.clone())));
    let same = |after: &Encoded| after.ours.as_ref().unwrap_or(&after.wire).get() == before.in_our_words();
    if after.transpose()?.as_ref().is_some_and(same) {
        return difference(transaction, key, record, incident, scene);
    }
    forget(transaction, key, record)?;
    *record = begun(transaction, key, operations, submitted_by, incident, scene)?;
    Ok(None)
}

/// What of the record's form goes to the upstream.
pub fn form_to_send(incident: &Incident, hides_clients: bool) -> Form {
    match incident.client.is_some() && hides_clients {
        true => Form { cc: Vec::new(), tracking_number: None, site_id: None, contact: None, ..incident.form.clone() },
        false => incident.form.clone(),
    }
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
    let withheld = match is_untaken(&record) {
        true => corrected(transaction, key, &mut record, incident, scene)?,
        false => difference(transaction, key, &mut record, incident, scene)?,
    };
    if record != before {
        transaction.put_exchange(key, &record)?;
    }
    let changed = (record.sent != before.sent || record.pending != before.pending)
        .then_some(Changed { leg: record.leg, holder: record.holder });
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
pub(super) fn difference(
    transaction: &mut Transaction<'_>,
    key: &ExchangeKey,
    record: &mut ExchangeRecord,
    incident: &Incident,
    scene: &Scene,
) -> Result<Option<Parked>, StateError> {
    record.paused = !incident.active;
    if is_superseded(scene, record.leg.towards(), key.exchange, incident) {
        return Ok(None);
    }
    if matches!(record.leg, Leg::Upward { step: Upward::Rejected, .. } | Leg::Downward(Downward::Rejected { .. })) {
        return Ok(None);
    }
    // What changes in the meantime is told when the exchange is active again: the shadow stays.
    if record.paused {
        return Ok(None);
    }
    if is_behind(record, key, incident) || record.pending.len() >= PENDING_LIMIT || record.progress.is_stopped() {
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
    let stood = stand(record);
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
    if stand(record) != stood {
        record.since = scene.now;
    }
    enqueue(transaction, key, record, operations, &before, scene)?;
    Ok(None)
}

/// Whether an operation of the peer's is in the record, and was not counted before we died: it comes again. Until then it
/// would look like a change of ours.
fn is_behind(record: &ExchangeRecord, key: &ExchangeKey, incident: &Incident) -> bool {
    let is_behind =
        |one: &Reference| (one.exchange, &one.peer) == (key.exchange, &key.peer) && one.applied > record.applied;
    incident.references.iter().any(is_behind)
}

/// What a client has once [`difference`] has told it our changes, and the numbers by which it knows them. None where
/// something keeps them here.
pub fn once_told(
    record: &ExchangeRecord,
    key: &ExchangeKey,
    incident: &Incident,
    scene: &Scene,
) -> Option<(Shadow, Touched)> {
    let is_over = matches!(record.leg, Leg::Downward(Downward::Rejected { .. }));
    if is_over || !incident.active || record.progress.is_stopped() || is_behind(record, key, incident) {
        return None;
    }
    let counterpart = scene.counterpart(&key.peer, Towards::Client, record.holder);
    let operations = derive_operations(&record.shadow, incident, counterpart);
    let mut touched = record.touched;
    for (operation, seq) in operations.iter().zip(record.sent + 1..) {
        let hidden = scene.hidden(&key.peer, operation.clone());
        encode(counterpart.fields, &hidden).ok().filter(|encoded| encoded.unmapped.is_none())?;
        touched.note(&hidden, seq);
    }
    let has = counterpart.has(incident);
    Some((record.shadow.after(&operations, incident, has, counterpart.fields), touched))
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
    let parked = Parked { since: now, seq: record.sent + 1, operation: kind, reason, untaken: true };
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
