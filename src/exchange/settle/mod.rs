//! The only writer of state. Each function is one event of one exchange: load the record, decide with the rules of
//! `case`, and put step, shadow, outbox and due entry into the same transaction.
//!
//! A change made here is in `change`, and what becomes of it in `answer` and `wait`; the peer's is in `incoming`. What only
//! a client's exchange has is in `client`, and what comes from a peer's snapshot in `adoption`.

mod adoption;
mod answer;
mod change;
mod client;
mod incoming;
mod wait;

use std::sync::Arc;

use jiff::Timestamp;
use tracing::debug;

use super::fields::{Encoded, encode};
use crate::case::hide::hide_in_operation;
use crate::case::{
    Alias, Counterpart, ExchangeId, Holder, Incident, Leg, Operation, PhaseGroup, Reference, Shadow, SiteId, Standing,
    Towards, Upward, told,
};
use crate::config::Settings;
use crate::state::{ExchangeKey, ExchangeRecord, OutboxEntry, StateError, Transaction};

pub use adoption::{Standpoint, adopted, told_again};
pub use answer::{Sent, acknowledged, answered_received, forgotten, left, unlinked};
pub use change::{Changed, changed, changed_again, form_to_send, is_untaken, once_told, resumed, submitted};
pub use client::{acknowledged_through, opened, received, restated};
pub use incoming::{
    Hold, NO_PROGRESS, PAUSED, Taken, applied, applied_late, held_again, is_free, parked_incoming, passed_over,
};
pub use wait::{checked, due_now, parked, postponed, rearmed, waiting_since};

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
    /// Whether the upstream is not to know who our clients are.
    fn hides_clients(&self) -> bool {
        self.settings.upstream.as_ref().is_some_and(|upstream| upstream.hide_clients)
    }

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

fn step(record: &mut ExchangeRecord, leg: Leg, now: Timestamp) {
    if record.leg.name() != leg.name() {
        record.since = now;
    }
    record.leg = leg;
}

/// Who has the case in hand, and whether it is solved, beside the step.
fn stand(record: &ExchangeRecord) -> (Holder, PhaseGroup) {
    (record.holder, record.shadow.phase.group())
}

/// The key of an incident's exchange with the upstream.
pub fn upward_key(scene: &Scene, incident: &Incident) -> Option<ExchangeKey> {
    let upstream = scene.upstream.as_ref()?;
    Some(ExchangeKey::new(upstream, upward_exchange(scene, incident)))
}

/// The reference of an incident's present exchange with the upstream; those of earlier generations stand in no order
/// beside it.
pub fn present<'a>(scene: &Scene, incident: &'a Incident) -> Option<&'a Reference> {
    let key = upward_key(scene, incident)?;
    incident.references.iter().find(|one| one.peer == key.peer && one.exchange == key.exchange)
}

/// Whether the upstream has the incident, or had it to its end: whatever becomes of the record, it is not submitted a second
/// time. What was given back may be.
pub fn is_submitted(scene: &Scene, incident: &Incident) -> bool {
    present(scene, incident).is_some_and(|one| one.standing != Standing::Rejected)
}

/// Whether the incident was submitted anew after this exchange (C-18, C-50): its record is about another case now. What
/// comes in it is no word on that one, and nothing of that one goes there.
pub fn is_superseded(scene: &Scene, towards: Towards, exchange: ExchangeId, incident: &Incident) -> bool {
    towards == Towards::Upstream && upward_exchange(scene, incident) != exchange
}

fn upward_exchange(scene: &Scene, incident: &Incident) -> ExchangeId {
    ExchangeId::of(scene.site, incident.id, &incident.event.host_event_id, incident.generation)
}
