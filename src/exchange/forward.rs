//! A changed incident, and each of its exchanges: what is new is queued for the peer. At a relay this is how a client's
//! change reaches the upstream, and the upstream's the client.

use std::collections::{HashMap, HashSet};

use tokio::sync::{RwLockReadGuard, RwLockWriteGuard};

use super::detect::reference;
use super::settle::{self, Scene};
use super::{Engine, EngineError};
use crate::case::{
    Action, Alias, Edit, HistoryLine, Holder, Incident, IncidentId, Leg, Phase, Reference, Relayed, Standing, Towards,
    Upward, relayed,
};
use crate::config::settings::FromUpstream;
use crate::state::{ExchangeKey, Parked, Transaction};
use crate::store::{ReferenceWrite, Write, Writer};

/// What a pass queued and submitted, and where exchanges with clients stand after it.
#[derive(Default)]
pub(super) struct Settled {
    pub queued: HashSet<Alias>,
    pub standings: Vec<Write>,
    pub submitted: Vec<(IncidentId, ExchangeKey)>,
    /// What could not be queued, for want of a word.
    pub withheld: Vec<(ExchangeKey, IncidentId, Parked)>,
}

/// Queues what is new for every exchange of the incident but `source`, which the change came from. What was queued
/// before is not new any more, so that it can be asked for again after a crash.
pub(super) fn forward(
    transaction: &mut Transaction<'_>,
    scene: &Scene,
    incident: &Incident,
    source: Option<&ExchangeKey>,
    settled: &mut Settled,
) -> Result<(), EngineError> {
    let present = settle::upward_key(scene, incident);
    for one in &incident.references {
        let key = ExchangeKey::new(&one.peer, one.exchange);
        if source == Some(&key) || settle::is_superseded(scene, one.towards, one.exchange, incident) {
            continue;
        }
        let (changed, withheld) = settle::changed(transaction, &key, incident, scene)?;
        settled.withheld.extend(withheld.map(|parked| (key.clone(), incident.id, parked)));
        let Some(changed) = changed else { continue };
        let standing = match one.towards {
            Towards::Client => changed.leg.standing(incident.work.phase == Phase::Review),
            Towards::Upstream => one.standing,
        };
        if standing != one.standing || changed.holder != one.holder {
            let reference = reference(&key, one.towards, None, standing);
            let reference = Some(ReferenceWrite { holder: Some(changed.holder), ..reference });
            settled.standings.push(Write { reference, ..Write::to(incident.id, Writer::Bridge) });
        }
        settled.queued.insert(key.peer);
    }
    // Submitted, but the store does not know of it yet: compare with what is on its way.
    if let Some(key) = present
        && source != Some(&key)
        && !incident.references.iter().any(|reference| reference.exchange == key.exchange)
        && let Some(changed) = settle::changed(transaction, &key, incident, scene)?.0
    {
        if matches!(changed.leg, Leg::Upward { step: Upward::Rejected, .. }) {
            settled.standings.push(never_sent(scene, incident.id, &key));
        }
        settled.queued.insert(key.peer);
    }
    Ok(())
}

/// The upstream never took the Create, and the record is over.
fn never_sent(scene: &Scene, incident: IncidentId, key: &ExchangeKey) -> Write {
    let line = HistoryLine {
        incident,
        at: scene.now,
        who: "casebridge".into(),
        action: Action::Held.as_str().into(),
        exchange: Some(key.exchange),
        seq: None,
        detail: format!("{} never took it; nothing is sent any more", key.peer),
    };
    let reference = Some(reference(key, Towards::Upstream, None, Standing::Rejected));
    Write { reference, history: vec![line], ..Write::to(incident, Writer::Bridge) }
}

/// Whom an Assign hands the case on to at a relay: a question of the upstream's goes to the client, and the client's answer
/// back to the upstream that asked (C-54).
pub(super) fn next_in_turn<'a>(incident: &'a Incident, source: &ExchangeKey) -> Option<&'a Alias> {
    let from = incident.references.iter().find(|one| one.exchange == source.exchange && one.peer == source.peer)?;
    let next = |one: &&Reference| one.towards != from.towards && one.standing.is_open() && one.holder == Holder::Us;
    incident.references.iter().find(next).map(|one| &one.peer)
}

/// Held while records are written and their shadows follow: with others, or alone at a relay, where the shadow of another
/// exchange is compared as well.
pub(super) struct Between<'a> {
    _with_others: Option<RwLockReadGuard<'a, ()>>,
    alone: Option<RwLockWriteGuard<'a, ()>>,
}

impl Between<'_> {
    /// Whether what one peer changed goes on to another.
    pub fn relays(&self) -> bool {
        self.alone.is_some()
    }
}

impl Engine {
    /// Whether the site stands between others: it has an upstream, and clients.
    pub(super) fn relays(&self) -> bool {
        let settings = self.settings();
        settings.upstream.is_some() && !settings.clients.is_empty()
    }

    /// Whether the upstream is not to know who our clients are.
    pub(super) fn hides_clients(&self) -> bool {
        self.settings().upstream.as_ref().is_some_and(|upstream| upstream.hide_clients)
    }

    pub(super) async fn between(&self) -> Between<'_> {
        let lock = &self.0.between_record_and_shadow;
        match self.relays() {
            true => Between { _with_others: None, alone: Some(lock.write().await) },
            false => Between { _with_others: Some(lock.read().await), alone: None },
        }
    }

    /// What an operation of the upstream's changes in the record, where that is a client's; an incident of our own changes
    /// as `edit` says.
    pub(super) fn relayed(&self, edit: Edit, incident: &Incident, given_back: bool) -> Result<Relayed, String> {
        let Some(client) = &incident.client else { return Ok(Relayed { edit, ..Relayed::default() }) };
        // Decided once, when the upstream opens its case; from then on a person may decide otherwise.
        let decides = edit.case.is_some() && incident.upstream_case.is_none();
        let own = match self.settings().case.from_upstream {
            FromUpstream::Own if decides && !given_back => match &incident.case {
                Some(case) => Some(case.clone()),
                None => {
                    let filled = self.case_template().fill(incident.id, client);
                    Some(filled.map_err(|fault| format!("the case template gives no case ID or link: {fault}"))?)
                }
            },
            _ => None,
        };
        Ok(relayed(edit, incident, own, given_back))
    }

    /// The records as they stand after a peer's operations; none where nothing goes on.
    pub(super) async fn to_forward(
        &self,
        between: &Between<'_>,
        ids: &[IncidentId],
    ) -> Result<HashMap<IncidentId, Incident>, EngineError> {
        if !between.relays() || ids.is_empty() {
            return Ok(HashMap::new());
        }
        let loaded = self.store().load(ids).await?.incidents;
        Ok(loaded.into_iter().map(|incident| (incident.id, incident)).collect())
    }

    /// Wakes whoever carries what was queued, and notes for people and their lists where the exchanges stand; what counts
    /// is in the record and in state.
    pub(super) async fn tell(&self, settled: Settled) -> Result<(), EngineError> {
        self.wake(&settled.queued);
        self.store().write(settled.standings).await?;
        self.note_withheld(settled.withheld).await
    }
}
