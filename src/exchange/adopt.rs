//! After lost state: every exchange is known again, from the store and from the peer. No case is created twice, and none
//! is forgotten (design, invariant 4).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use tracing::{debug, info, warn};

use super::detect::reference;
use super::fields::hear;
use super::forward::{Settled, forward};
use super::poll_case::FORGOTTEN;
use super::settle::{self, Scene, Standpoint};
use super::{Engine, EngineError};
use crate::case::evidence::Travelled;
use crate::case::hide::is_ours_hidden;
use crate::case::shadow::Mark;
use crate::case::{
    Action, Alias, Changes, Comment, Deadline, Downward, Edit, ExchangeId, HistoryLine, Holder, Incident, IncidentId,
    Leg, Milestone, Operation, Phase, Relayed, Shadow, Standing, Submission, Towards, Upward, last_move, told,
};
use crate::peer::{PeerError, Upstream};
use crate::protocol::{ExchangeSnapshot, SnapshotStep};
use crate::state::{ExchangeKey, ExchangeRecord, PeerRecord, View};
use crate::store::{Write, Writer};
use crate::telemetry::{CrashPoint, crash_point};

/// Exchanges read in one go.
const PAGE: usize = 500;
/// More than this that nobody here knows are no list of our exchanges, or this is no store of ours.
const ORPHANS: usize = 250_000;
/// So many of them are named.
const NAMED: usize = 20;

/// Exchanges of a peer's list to which nothing here belongs.
#[derive(Default)]
pub(super) struct Orphans {
    count: usize,
    named: Vec<String>,
}

impl Orphans {
    fn add(&mut self, exchange: ExchangeId) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(exchange.to_string());
        }
    }

    fn extend(&mut self, more: Orphans) {
        self.count += more.count;
        self.named.extend(more.named);
        self.named.truncate(NAMED);
    }
}

impl Engine {
    /// Takes up the exchanges of every client from the store's own references. A client notices by its cursor that the
    /// feed began anew, and reads how its exchanges stand.
    pub(super) async fn adopt_clients(&self) -> Result<(), EngineError> {
        let clients: Vec<Alias> = self.settings().clients.iter().map(|client| client.alias.clone()).collect();
        for client in clients {
            let peer = client.clone();
            if self.state().read(move |view| view.peer(&peer)).await?.adopted {
                continue;
            }
            let mut after = None;
            let mut count = 0;
            loop {
                let page = self.store().referenced(&client, after, PAGE).await?.incidents;
                let Some(last) = page.last().and_then(|incident| exchange_with(incident, &client)) else { break };
                after = Some(last);
                count += page.len();
                self.store().write(self.to_be_read(&client, &page).await?).await?;
                let (peer, scene) = (client.clone(), self.scene());
                self.state()
                    .transact::<_, EngineError, _>(move |transaction| {
                        for incident in &page {
                            adopt_downward(transaction, &peer, incident, &scene)?;
                        }
                        Ok(())
                    })
                    .await?;
                crash_point(CrashPoint::AdoptedPage);
            }
            self.mark_adopted(&client, None).await?;
            if count > 0 {
                info!(event = "exchanges_adopted", peer = %client, count, "taken up from the store");
            }
        }
        Ok(())
    }

    /// What a client reads instead of operations of ours, in the histories (H-07).
    async fn to_be_read(&self, client: &Alias, page: &[Incident]) -> Result<Vec<Write>, EngineError> {
        let references = page.iter().flat_map(|incident| incident.references.iter().map(move |one| (incident, one)));
        let below: Vec<_> = references
            .filter(|(_, one)| one.peer == *client && one.towards == Towards::Client)
            .map(|(incident, one)| (incident, one.holder, ExchangeKey::new(client, one.exchange)))
            .collect();
        let keys: Vec<ExchangeKey> = below.iter().map(|(_, _, key)| key.clone()).collect();
        let known = move |view: View<'_>| keys.iter().map(|key| Ok(view.exchange(key)?.is_some())).collect();
        let known: Vec<bool> = self.state().read(known).await?;
        let one = |(incident, holder, key): (&Incident, Holder, ExchangeKey)| Write {
            history: vec![HistoryLine {
                incident: incident.id,
                at: self.now(),
                who: "casebridge".into(),
                action: Action::Adopted.as_str().into(),
                exchange: Some(key.exchange),
                seq: Some(0),
                detail: format!("known again from the store; {client} reads the record as it stands"),
            }],
            travelled: Some(Travelled::shown(client, &self.told_whole(&key, holder, None, incident))),
            ..Write::to(incident.id, Writer::Bridge)
        };
        Ok(below.into_iter().zip(known).filter(|(_, known)| !known).map(|(new, _)| one(new)).collect())
    }

    /// Takes up every exchange that the upstream knows. False when the upstream did not answer.
    pub(super) async fn adopt_upstream(
        &self,
        alias: &Alias,
        upstream: &Arc<dyn Upstream>,
    ) -> Result<bool, EngineError> {
        let _one_at_a_time = self.0.adopting.lock().await;
        let peer = alias.clone();
        if self.state().read(move |view| view.peer(&peer)).await?.adopted {
            self.0.upstream_known.send_replace(true);
            return Ok(true);
        }
        // What is in the store has to be known first: an exchange is told by its ID, and that comes from the incident.
        self.detect_all().await?;
        let mut after = None;
        let mut cursor = None;
        // Taken before the first page: what is acknowledged while the pages are read need not stand in them.
        let mut missing = self.acknowledged_by(alias).await?;
        let mut count = 0;
        let mut orphans = Orphans::default();
        loop {
            let page = match upstream.exchanges(after, PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    self.peer_failed(alias, &error).await?;
                    return Ok(false);
                }
            };
            // The first page's cursor: everything later comes with the feed, and what came twice is known by its number.
            cursor = cursor.or(Some(page.cursor));
            let last = page.exchanges.last().map(|snapshot| snapshot.exchange);
            count += page.exchanges.len();
            for snapshot in &page.exchanges {
                missing.remove(&snapshot.exchange);
            }
            orphans.extend(self.adopt_page(alias, page.exchanges).await?);
            crash_point(CrashPoint::AdoptedPage);
            if orphans.count > ORPHANS {
                self.tell_orphans(alias, &orphans);
                let fault = PeerError::Malformed(format!("more than {ORPHANS} exchanges that nobody here knows"));
                self.peer_failed(alias, &fault).await?;
                return Ok(false);
            }
            match last {
                // A peer that turns its pages backwards would keep us here for ever.
                Some(last) if page.more && after.is_none_or(|after| last > after) => after = Some(last),
                _ => break,
            }
        }
        self.tell_orphans(alias, &orphans);
        self.park_forgotten(alias, missing).await?;
        self.mark_adopted(alias, cursor).await?;
        self.0.upstream_known.send_replace(true);
        info!(event = "exchanges_adopted", peer = %alias, count, "known again from the peer");
        Ok(true)
    }

    async fn mark_adopted(&self, peer: &Alias, cursor: Option<String>) -> Result<(), EngineError> {
        let peer = peer.clone();
        self.state()
            .transact(move |transaction| {
                let before = transaction.peer(&peer)?;
                let cursor = cursor.or(before.cursor.clone());
                Ok(transaction.put_peer(&peer, &PeerRecord { adopted: true, cursor, ..before })?)
            })
            .await
    }

    /// One line for all of them, and one a minute however often they are told.
    pub(super) fn tell_orphans(&self, alias: &Alias, orphans: &Orphans) {
        let (count, exchanges) = (orphans.count, orphans.named.join(", "));
        if count == 0 {
            return;
        }
        match self.0.orphans_told.note(alias.clone(), Instant::now()) {
            Some(_) => {
                warn!(event = "exchange_orphaned", peer = %alias, count, exchanges, "no incident here belongs to them");
            }
            None => debug!(event = "exchange_orphaned", peer = %alias, count, exchanges, "still"),
        }
    }

    /// Takes up these exchanges. Returns those to which nothing here belongs.
    pub(super) async fn adopt_page(&self, alias: &Alias, page: Vec<ExchangeSnapshot>) -> Result<Orphans, EngineError> {
        let _undetected = self.0.detecting.lock().await;
        let between = self.between().await;
        let keys: Vec<ExchangeKey> = page.iter().map(|one| ExchangeKey::new(alias, one.exchange)).collect();
        let records = self
            .state()
            .read(move |view| keys.iter().map(|key| view.exchange(key)).collect::<Result<Vec<_>, _>>())
            .await?;
        let ids: Vec<IncidentId> = page
            .iter()
            .zip(&records)
            .map(|(one, record)| record.as_ref().and_then(ExchangeRecord::incident).unwrap_or(one.incident))
            .collect();
        let incidents: HashMap<IncidentId, Incident> =
            self.store().load(&ids).await?.incidents.into_iter().map(|incident| (incident.id, incident)).collect();
        let mut adopting = Vec::with_capacity(page.len());
        let mut writes = Vec::with_capacity(page.len());
        let mut refused = Vec::new();
        let mut orphans = Orphans::default();
        let settings = self.settings();
        for ((one, record), id) in page.into_iter().zip(records).zip(ids) {
            let ours = |incident: &&Incident| record.is_some() || self.is_ours(&one, incident);
            let Some(incident) = incidents.get(&id).filter(ours) else {
                orphans.add(one.exchange);
                continue;
            };
            let key = ExchangeKey::new(alias, one.exchange);
            let base = record.as_ref().map(|record| &record.shadow);
            let (mut heard, reason) = hear(settings.fields(alias), &one.record);
            let theirs = heard.solution.clone().flatten();
            let is_hidden = is_ours_hidden(incident.work.solution.as_deref(), theirs.as_deref());
            if is_hidden {
                heard.solution = Some(incident.work.solution.clone());
            }
            refused.extend(reason.map(|reason| (key.clone(), reason)));
            let level = base.map(|base| settings.fields(alias).level(base.clone(), &incident.work));
            let is_superseded = settle::is_superseded(&self.scene(), Towards::Upstream, one.exchange, incident);
            let edit = self.catch_up(&one, &heard, incident, level.as_ref(), alias);
            let edit = if is_superseded { edit.written() } else { edit };
            let given_back = one.step == SnapshotStep::Rejected && !is_superseded;
            let relayed = self.relayed(edit, incident, given_back).unwrap_or_else(|reason| {
                refused.push((key.clone(), reason));
                Relayed::default()
            });
            let mut standpoint = standpoint(&one, &heard, incident, &relayed.edit, base);
            // It was told when addresses were hidden, and is now told whole.
            if is_hidden && !settings.hides_addresses_from(alias) {
                standpoint.shadow.solution = theirs.as_deref().map(Mark::of);
            }
            let already = incident
                .references
                .iter()
                .any(|r| r.exchange == one.exchange && r.applied == one.sent && r.transaction == one.transaction);
            if !already || relayed != Relayed::default() || !heard.attachments.is_empty() {
                writes.push(self.adoption(&key, &one, &heard, incident, relayed, &standpoint));
            }
            adopting.push((key, standpoint, incident.id));
        }
        self.store().write(writes).await?;
        self.0.to_prepare.notify_one();
        self.0.transfers.tell();
        let ids: Vec<IncidentId> = adopting.iter().map(|(_, _, id)| *id).collect();
        let incidents: HashMap<IncidentId, Incident> =
            self.store().load(&ids).await?.incidents.into_iter().map(|incident| (incident.id, incident)).collect();
        let (scene, relays) = (self.scene(), between.relays());
        let settled = self
            .state()
            .transact::<_, EngineError, _>(move |transaction| {
                let mut settled = Settled::default();
                for (key, standpoint, id) in adopting {
                    let Some(incident) = incidents.get(&id) else { continue };
                    settle::adopted(transaction, &key, standpoint, incident, &scene)?;
                    if relays {
                        forward(transaction, &scene, incident, Some(&key), &mut settled)?;
                    }
                }
                Ok(settled)
            })
            .await?;
        self.tell(settled).await?;
        self.park(refused).await?;
        Ok(orphans)
    }

    /// Whether the exchange's ID is really made from this incident; a peer's word alone does not bind the two.
    fn is_ours(&self, one: &ExchangeSnapshot, incident: &Incident) -> bool {
        (0..=incident.generation).any(|generation| {
            ExchangeId::of(self.site(), incident.id, &incident.event.host_event_id, generation) == one.exchange
        })
    }

    /// What the upstream's record has and ours has not. Without a common base a value beats none, and the upstream's
    /// beats ours; with one, our own change stays and is sent.
    fn catch_up(
        &self,
        one: &ExchangeSnapshot,
        theirs: &Changes,
        incident: &Incident,
        base: Option<&Shadow>,
        alias: &Alias,
    ) -> Edit {
        let work = &incident.work;
        let mut edit = Edit::default();
        if let Some(case) = &theirs.case
            && incident.case_told(Towards::Upstream) != Some(case)
        {
            edit.case = Some(case.clone());
        }
        let reference = incident.references.iter().find(|reference| reference.exchange == one.exchange);
        // Operations of theirs are missing here: what they took away or took back is news too.
        let behind = reference.is_some_and(|reference| reference.applied < one.sent);
        let phase = match one.step {
            SnapshotStep::Resolved => Some(Phase::Review),
            SnapshotStep::Closed => Some(Phase::Close),
            SnapshotStep::Open => Some(Phase::InitialSupport),
            SnapshotStep::Received | SnapshotStep::Rejected => None,
        };
        // Without a base the milestones say who moved the case last, where the two sites have it in different phases; whoever
        // tells none is believed.
        let is_moved_here = phase.is_some_and(|phase| phase.group() != work.phase.group())
            && moved_last(&incident.milestones, &theirs.milestones, alias);
        let ours_changed = |base: Option<bool>| base.unwrap_or(is_moved_here);
        let takes = |has_value: bool| has_value || behind || base.is_some();
        if let Some(solution) = &theirs.solution
            && work.solution != *solution
            && takes(solution.is_some())
            && !ours_changed(base.map(|base| base.solution != work.solution.as_deref().map(Mark::of)))
        {
            edit.solution = Some(solution.clone());
        }
        if let Some(code) = theirs.completion_code
            && work.completion_code != code
            && takes(code.is_some())
            && !ours_changed(base.map(|base| base.completion_code != work.completion_code))
        {
            edit.completion_code = Some(code);
        }
        if let Some(expected) = theirs.expected_resolution
            && work.expected_resolution != expected
            && takes(expected.is_some())
            && base.is_none_or(|base| base.expected_resolution == work.expected_resolution)
        {
            edit.expected_resolution = Some(expected);
        }
        let is_open = one.step == SnapshotStep::Open;
        edit.phase = phase.filter(|_| !is_open || takes(false)).filter(|phase| {
            work.phase.group() != phase.group()
                && !ours_changed(base.map(|base| base.phase != work.phase))
                && (work.phase != Phase::Close || takes(false))
        });
        let known: HashMap<_, _> = incident.comments.iter().map(|comment| (comment.id, comment)).collect();
        let is_news = |comment: &&Comment| match known.get(&comment.id) {
            Some(known) => known.origin.as_ref() == Some(alias) && known.edits < comment.edits,
            None => true,
        };
        let news = theirs.comments.iter().filter(is_news).filter(|comment| comment.check().is_ok());
        edit.comments = news
            .map(|comment| Comment { origin: Some(alias.clone()), came_in: Some(one.exchange), ..comment.clone() })
            .collect();
        let is_news =
            |one: &&Milestone| one.check().is_ok() && !incident.milestones.iter().any(|known| known.id == one.id);
        let news = theirs.milestones.iter().filter(is_news);
        let news = news.filter(|one| !one.is_far_beyond(&incident.milestones));
        edit.milestones = news
            .map(|known| Milestone { origin: Some(alias.clone()), came_in: Some(one.exchange), ..known.clone() })
            .collect();
        let is_news = |one: &&Deadline| {
            let known = incident.deadlines.iter().find(|known| known.id == one.id);
            one.check().is_ok() && known.is_none_or(|known| known.revision < one.revision)
        };
        let news = theirs.deadlines.iter().filter(is_news);
        edit.deadlines = news.map(|one| Deadline { origin: Some(alias.clone()), ..one.clone() }).collect();
        edit
    }

    fn adoption(
        &self,
        key: &ExchangeKey,
        one: &ExchangeSnapshot,
        record: &Changes,
        incident: &Incident,
        relayed: Relayed,
        standpoint: &Standpoint,
    ) -> Write {
        let Relayed { edit, upstream_case, own_case } = relayed;
        let is_superseded = settle::is_superseded(&self.scene(), Towards::Upstream, one.exchange, incident);
        let resolved = edit.phase.unwrap_or(incident.work.phase) == Phase::Review;
        let standing = standpoint.leg.standing(resolved);
        let mut reference = reference(key, Towards::Upstream, one.transaction.clone(), standing);
        reference.recount = Some(one.sent);
        let case = upstream_case.clone().or(edit.case.clone());
        let before = Shadow { case: incident.case_told(Towards::Upstream).cloned(), ..Shadow::of(incident, None) };
        let nothing = Operation::Update(Changes::default());
        let told = told::received(&nothing, &before, &Edit { case, ..edit.clone() });
        let mut history = vec![HistoryLine {
            incident: incident.id,
            at: self.now(),
            who: format!("peer {}", key.peer),
            action: Action::Adopted.as_str().into(),
            exchange: Some(key.exchange),
            seq: None,
            detail: format!(
                "known again from the peer, {}{}",
                standpoint.leg.name(),
                told.strip_prefix("update").unwrap_or(&told)
            ),
        }];
        history.extend(self.case_line(incident, &edit));
        Write {
            edit,
            upstream_case,
            own_case,
            submission: (incident.submission != Submission::Requested
                && standing != Standing::Rejected
                && !is_superseded)
                .then_some(Submission::Requested),
            reference: Some(reference),
            attachments: self.incoming(&key.peer, &record.attachments),
            history,
            ..Write::to(incident.id, Writer::Bridge)
        }
    }

    /// The exchanges that the upstream has acknowledged and that go on.
    async fn acknowledged_by(&self, alias: &Alias) -> Result<HashSet<ExchangeId>, EngineError> {
        let (mut acknowledged, mut after) = (HashSet::new(), None);
        loop {
            let peer = alias.clone();
            let page = self.state().read(move |view| view.exchanges_after(&peer, after, PAGE)).await?;
            let Some((last, _)) = page.last() else { return Ok(acknowledged) };
            after = Some(last.exchange);
            acknowledged.extend(page.iter().filter(|(_, record)| goes_on(record)).map(|(key, _)| key.exchange));
        }
    }

    /// Exchanges that the upstream once acknowledged and does not know any more: a person has to look.
    async fn park_forgotten(&self, alias: &Alias, missing: HashSet<ExchangeId>) -> Result<(), EngineError> {
        let mut keys = missing.into_iter().map(|exchange| ExchangeKey::new(alias, exchange));
        loop {
            let page: Vec<ExchangeKey> = keys.by_ref().take(PAGE).collect();
            if page.is_empty() {
                return Ok(());
            }
            let forgotten = move |view: View<'_>| {
                let mut forgotten = Vec::new();
                for key in page {
                    if view.exchange(&key)?.is_some_and(|record| goes_on(&record)) {
                        forgotten.push((key, FORGOTTEN.to_owned()));
                    }
                }
                Ok(forgotten)
            };
            let forgotten = self.state().read(forgotten).await?;
            self.park(forgotten).await?;
        }
    }
}

/// Whether the upstream has it, and neither its end nor a person is what it waits for.
fn goes_on(record: &ExchangeRecord) -> bool {
    let acknowledged = matches!(&record.leg, Leg::Upward { step, .. } if step.transaction().is_some());
    acknowledged && !record.leg.is_over() && record.parked.is_none()
}

/// Whether the last move of a case is not the peer's: it comes after all that the peer tells of.
fn moved_last(ours: &[Milestone], theirs: &[Milestone], peer: &Alias) -> bool {
    let tells = theirs.iter().any(|one| one.state().is_some());
    let ours_alone = ours.iter().filter(|one| one.origin.as_ref() != Some(peer));
    let of_both = last_move(ours_alone.clone().chain(theirs)).map(|one| one.id);
    tells && of_both.is_some() && of_both == last_move(ours_alone).map(|one| one.id)
}

fn exchange_with(incident: &Incident, peer: &Alias) -> Option<ExchangeId> {
    incident.references.iter().filter(|reference| reference.peer == *peer).map(|reference| reference.exchange).max()
}

fn adopt_downward(
    transaction: &mut crate::state::Transaction<'_>,
    peer: &Alias,
    incident: &Incident,
    scene: &Scene,
) -> Result<(), EngineError> {
    for reference in incident.references.iter().filter(|reference| reference.peer == *peer) {
        let key = ExchangeKey::new(peer, reference.exchange);
        if reference.towards != Towards::Client || transaction.exchange(&key)?.is_some() {
            continue;
        }
        let (id, case) = (incident.id, incident.case.as_ref().map(|case| case.id.clone()));
        let step = match (reference.standing, case) {
            (Standing::Rejected, _) => Downward::Rejected { incident: id },
            (Standing::Closed, case) => Downward::Closed { incident: id, case },
            (_, case) if incident.work.phase == Phase::Close => Downward::Closed { incident: id, case },
            (_, Some(case)) => Downward::Open { incident: id, case },
            (_, None) => Downward::Deciding { incident: id },
        };
        let counterpart = scene.counterpart(peer, Towards::Client, reference.holder);
        let standpoint = Standpoint {
            leg: Leg::Downward(step),
            // The client will read the whole record, so nothing is left to tell but what has no word there.
            holder: reference.holder,
            shadow: counterpart.fields.wordless(Shadow::of(incident, counterpart.has(incident))),
            sent: 0,
            applied: reference.applied,
        };
        settle::adopted(transaction, &key, standpoint, incident, scene)?;
    }
    Ok(())
}

/// How the upstream sees the exchange.
pub(super) fn standpoint(
    one: &ExchangeSnapshot,
    record: &Changes,
    incident: &Incident,
    edit: &Edit,
    base: Option<&Shadow>,
) -> Standpoint {
    let known = incident.references.iter().find(|reference| reference.exchange == one.exchange);
    let holder = known.map_or(Holder::at_first(Towards::Upstream), |reference| reference.holder);
    let incident = incident.id;
    let case = record.case.as_ref().map(|case| case.id.clone());
    let step = match (one.step, one.transaction.clone(), case) {
        (SnapshotStep::Rejected, ..) => Upward::Rejected,
        (SnapshotStep::Received, ..) | (_, None, _) => Upward::AwaitingTransaction,
        (SnapshotStep::Closed, Some(transaction), case) => Upward::Closed { transaction, case },
        (_, Some(transaction), Some(case)) => Upward::Open { transaction, case },
        (_, Some(transaction), None) => Upward::AwaitingCase { transaction },
    };
    let mut shadow = match base {
        Some(base) => base.clone(),
        // Without a base everything that the upstream has is agreed on; what we have beyond it is a change of ours. Our
        // comments are told again: each has an ID, and arrives once.
        None => Shadow {
            phase: match one.step {
                SnapshotStep::Resolved => Phase::Review,
                SnapshotStep::Closed => Phase::Close,
                SnapshotStep::Received | SnapshotStep::Open | SnapshotStep::Rejected => Phase::InitialSupport,
            },
            solution: record.solution.clone().flatten().as_deref().map(Mark::of),
            completion_code: record.completion_code.flatten(),
            expected_resolution: record.expected_resolution.flatten(),
            case: record.case.clone(),
            comments: 0,
            attachments: 0,
            milestones: 0,
            deadlines: 0,
            assigned: None,
        },
    };
    shadow.follow(edit);
    Standpoint { leg: Leg::Upward { incident, step }, holder, shadow, sent: one.applied, applied: one.sent }
}
