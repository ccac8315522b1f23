//! Operations of a peer's take effect: in the incident store first, guarded by their number, then in state. The same
//! path in both directions.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::act::{may_answer, thaw};
use super::detect::reference;
use super::forward::{Between, Settled, forward, next_in_turn};
use super::settle::{self, Hold, Taken};
use super::{Engine, EngineError};
use crate::case::evidence::Travelled;
use crate::case::hide::is_ours_hidden;
use crate::case::{
    Action, Arrival, Case, CaseState, Conflict, Edit, Field, FieldName, HandOver, HistoryLine, Holder, Illegal,
    Incident, IncidentId, Leg, Meeting, Merged, Milestone, Operation, OperationKind, Phase, Shadow, Standing,
    Submission, Touched, Towards, TransactionId, Winner, Work, apply, completed, dated, depends_on_record, last_move,
    legal, told,
};
use crate::protocol::ProblemType;
use crate::state::{ExchangeKey, ExchangeRecord, InboundEntry, Parked};
use crate::store::{ReferenceWrite, Write, Writer, Written};
use crate::telemetry::{discreet, discreet_name};

/// An operation in its turn: `seq` is the one that the exchange expects.
pub(super) struct Arriving {
    pub key: ExchangeKey,
    pub record: ExchangeRecord,
    pub seq: u64,
    /// The last operation of ours that the peer knew of.
    pub seen: Option<u64>,
    pub operation: Operation,
    /// Fields of it that this site's settings leave alone.
    pub left: Vec<FieldName>,
    pub raw: Box<RawValue>,
    /// Comes with every operation of an upstream.
    pub transaction: Option<TransactionId>,
}

/// What became of it.
pub(super) enum Fate {
    Applied,
    /// It cannot follow, or its incident is gone; the reason is for people.
    Refused(String),
}

/// Tells two operations with the same number apart, in whichever version of this program the first one came.
pub(super) fn digest(raw: &RawValue) -> u64 {
    let hash: [u8; 32] = Sha256::digest(raw.get().as_bytes()).into();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

impl Arriving {
    /// The leg afterwards, or why it cannot be.
    fn leg(&self) -> Result<Leg, Illegal> {
        let leg = match (&self.record.leg, &self.transaction) {
            (Leg::Upward { incident, step }, Some(id)) => {
                Leg::Upward { incident: *incident, step: step.clone().acknowledged(id.clone())? }
            }
            (leg, _) => leg.clone(),
        };
        if self.knows_all() {
            legal(&self.operation, &self.record.shadow, self.record.holder)?;
        }
        leg.operated(&self.operation)
    }

    /// Whether it comes from below and was sent in knowledge of all that this site had said, and takes up where this site
    /// was not made to begin anew: two honest changes that cross, and what comes after a loss, are never at fault. Who
    /// says that it has seen more than there is claims to know all.
    fn knows_all(&self) -> bool {
        let knows = self.seen.is_some_and(|seen| seen >= self.record.sent);
        decides(self) && knows && self.record.applied_digest.is_some()
    }
}

impl Engine {
    /// Puts operations of different exchanges into effect, all in one transaction of the store and one of state; says
    /// for each, in order, what became of it.
    pub(super) async fn apply(&self, arriving: &mut [Arriving]) -> Result<Vec<Fate>, EngineError> {
        /// Rounds of somebody else changing the same records at the same moment.
        const TRIES: usize = 8;
        let between = self.between().await;
        let needs = |one: &Arriving| {
            depends_on_record(&one.operation)
                || (between.relays() && one.transaction.is_some())
                || may_answer(&one.record.leg, &one.operation)
                // The incident may have been submitted anew.
                || (one.transaction.is_some() && one.record.leg.is_over())
        };
        self.read_under_lock(arriving.iter_mut().filter(|one| needs(one)).collect()).await?;
        let mut fates: Vec<Option<Fate>> = arriving.iter().map(|_| None).collect();
        let mut taken: Vec<Taken> = Vec::with_capacity(arriving.len());
        for _ in 0..TRIES {
            let open: Vec<usize> = (0..arriving.len()).filter(|index| fates[*index].is_none()).collect();
            if open.is_empty() {
                break;
            }
            let needed = |index: &&usize| needs(&arriving[**index]);
            let ids: Vec<IncidentId> =
                open.iter().filter(needed).filter_map(|index| arriving[*index].record.incident()).collect();
            let loaded = if ids.is_empty() { Vec::new() } else { self.store().load(&ids).await?.incidents };
            let incidents: HashMap<IncidentId, Incident> =
                loaded.into_iter().map(|incident| (incident.id, incident)).collect();
            let mut writes = Vec::with_capacity(open.len());
            let mut written: Vec<(usize, Taken)> = Vec::with_capacity(open.len());
            for index in open {
                let one = &arriving[index];
                let incident = one.record.incident().and_then(|id| incidents.get(&id));
                let gone = needs(one) && incident.is_none();
                match (one.leg(), one.record.incident()) {
                    (Ok(leg), Some(id)) if !gone => match self.effect(one, id, incident, &leg) {
                        Ok((write, one)) => {
                            writes.push(write);
                            written.push((index, one));
                        }
                        Err(reason) => fates[index] = Some(Fate::Refused(reason)),
                    },
                    (Err(illegal), _) => fates[index] = Some(Fate::Refused(illegal.to_string())),
                    (Ok(_), _) => fates[index] = Some(Fate::Refused("the incident is gone from the store".into())),
                }
            }
            let outcomes = self.store().write(writes).await?;
            for ((index, mut one), outcome) in written.into_iter().zip(outcomes) {
                // What changed here before it was counted waits for that.
                one.merged.restates |= outcome == Written::AlreadyApplied;
                match outcome {
                    Written::Done | Written::AlreadyApplied => {
                        taken.push(one);
                        fates[index] = Some(Fate::Applied);
                    }
                    Written::Stale => {}
                    Written::Gone | Written::Used => {
                        fates[index] = Some(Fate::Refused("the incident is gone from the store".into()));
                    }
                }
            }
        }
        crash_point_after(arriving);
        self.load_contested(&mut taken).await?;
        self.settle_taken(&between, taken).await?;
        // What never came to rest is tried again with the next delivery.
        fates
            .into_iter()
            .map(|fate| fate.ok_or_else(|| ProblemType::Busy.with("the record keeps changing; try again").into()))
            .collect()
    }

    /// The detector may have moved a shadow between the look at whose turn it is and now, when it cannot any more: what
    /// is compared with the record has to be of the same moment.
    async fn read_under_lock(&self, arriving: Vec<&mut Arriving>) -> Result<(), EngineError> {
        if arriving.is_empty() {
            return Ok(());
        }
        let keys: Vec<ExchangeKey> = arriving.iter().map(|one| one.key.clone()).collect();
        let records = self
            .state()
            .read(move |view| keys.iter().map(|key| view.exchange(key)).collect::<Result<Vec<_>, _>>())
            .await?;
        for (one, record) in arriving.into_iter().zip(records) {
            one.record = record.unwrap_or_else(|| one.record.clone());
        }
        Ok(())
    }

    async fn settle_taken(&self, between: &Between<'_>, taken: Vec<Taken>) -> Result<(), EngineError> {
        if taken.is_empty() {
            return Ok(());
        }
        for one in &taken {
            for conflict in &one.merged.conflicts {
                warn!(
                    event = "conflict_found",
                    peer = %one.key.peer,
                    exchange = %one.key.exchange,
                    incident = one.incident.0,
                    seq = one.seq,
                    field = conflict.field.as_str(),
                    kept = kept(conflict.winner),
                    "both sites changed one field; both values stand in the history"
                );
            }
            for milestone in far_off(&one.operation, self.now()) {
                warn!(
                    event = "milestone_far_off",
                    peer = %one.key.peer,
                    exchange = %one.key.exchange,
                    incident = one.incident.0,
                    seq = one.seq,
                    at = %milestone.at,
                    "a peer dates what happened as no clock that is set would"
                );
            }
            let case = one.merged.edit.case.as_ref().map(|case| discreet_name(case.id.as_str()));
            // A client knows it by our number.
            let transaction = one.transaction.as_ref().map_or_else(|| one.incident.to_string(), ToString::to_string);
            info!(
                event = "operation_applied",
                peer = %one.key.peer,
                exchange = %one.key.exchange,
                incident = one.incident.0,
                operation = one.operation.kind().as_str(),
                seq = one.seq,
                transaction,
                case = case.as_deref(),
                "applied"
            );
        }
        self.0.to_prepare.notify_one();
        // They may tell of people who do not answer, and this site may be the one that closes their case.
        if taken.iter().any(|one| one.operation.changes().is_some_and(|changes| !changes.milestones.is_empty())) {
            self.0.to_mail.notify_one();
        }
        self.0.transfers.tell();
        let ids: Vec<IncidentId> = taken.iter().map(|one| one.incident).collect();
        let incidents = self.to_forward(between, &ids).await?;
        let scene = self.scene();
        let (settled, stopped) = self
            .state()
            .transact::<_, EngineError, _>(move |transaction| {
                let mut settled = Settled::default();
                let mut stopped = Vec::new();
                for one in &taken {
                    let applied = settle::applied(transaction, one, &scene)?;
                    if let Some(changed) = applied.queued {
                        settled.queued.insert(one.key.peer.clone());
                        let resolved = one.after.as_ref().is_some_and(|after| after.work.phase == Phase::Review);
                        let standing = changed.leg.standing(resolved);
                        let reference = reference(&one.key, changed.leg.towards(), None, standing);
                        let reference = Some(ReferenceWrite { holder: Some(changed.holder), ..reference });
                        settled.standings.push(Write { reference, ..Write::to(one.incident, Writer::Bridge) });
                    }
                    let withheld = applied.withheld.map(|parked| (one.key.clone(), one.incident, parked));
                    settled.withheld.extend(withheld);
                    stopped.extend(applied.stopped.map(|parked| (one.key.clone(), one.incident, parked)));
                }
                // In the same transaction: an operation that counts as taken is on its way to the other peer.
                for one in &taken {
                    let Some(incident) = incidents.get(&one.incident) else { continue };
                    forward(transaction, &scene, incident, Some(&one.key), &mut settled)?;
                }
                Ok((settled, stopped))
            })
            .await?;
        self.tell(settled).await?;
        self.tell_stopped(stopped).await
    }

    /// Says of exchanges that something in them goes round in circles (design, invariant 9).
    async fn tell_stopped(&self, stopped: Vec<(ExchangeKey, IncidentId, Parked)>) -> Result<(), EngineError> {
        let mut writes = Vec::with_capacity(stopped.len());
        let incidents = stopped.iter().map(|(_, incident, _)| *incident).collect();
        for (key, incident, parked) in stopped {
            warn!(
                event = "exchange_stopped",
                peer = %key.peer,
                exchange = %key.exchange,
                incident = incident.0,
                seq = parked.seq,
                reason = %discreet(&parked.reason),
                "stopped until a person says otherwise; see `casebridge parked`"
            );
            writes.push(self.parked_line(&key, incident, &parked, "the peer's"));
        }
        self.store().write(writes).await?;
        self.note_why(incidents).await
    }

    /// The records in which a value of ours stays that the peer does not have.
    async fn load_contested(&self, taken: &mut [Taken]) -> Result<(), EngineError> {
        let ids: Vec<IncidentId> = taken.iter().filter(|one| one.merged.restates).map(|one| one.incident).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let loaded = self.store().load(&ids).await?.incidents;
        for one in taken.iter_mut().filter(|one| one.merged.restates) {
            one.after = loaded.iter().find(|incident| incident.id == one.incident).cloned();
        }
        Ok(())
    }

    /// Whose value of a contested field stays: the site that the case was submitted to decides by ownership, the other
    /// waits for its word.
    fn winner(&self, record: &ExchangeRecord, field: Field, phase: Phase) -> Winner {
        let towards = record.leg.towards();
        if towards == Towards::Upstream {
            return Winner::Undecided;
        }
        let ours = self.settings().exchange.ownership.is_ours(field, phase.group(), record.holder, towards);
        if ours { Winner::Ours } else { Winner::Theirs }
    }

    /// The write that an operation means for its incident.
    /// The record is needed, and its revision counts, where the rules ask how it stands.
    fn effect(
        &self,
        one: &Arriving,
        id: IncidentId,
        record: Option<&Incident>,
        leg: &Leg,
    ) -> Result<(Write, Taken), String> {
        let told = one.operation.changes().map_or(&[][..], |changes| changes.milestones.as_slice());
        let is_beyond = |one: &&Milestone| record.is_some_and(|record| one.is_far_beyond(&record.milestones));
        if let Some(Milestone { id, n, .. }) = told.iter().find(is_beyond) {
            return Err(format!(
                "milestone {id} has the number {n}, more than {} beyond all that are known here: what happens later would \
                 not count",
                Milestone::AHEAD
            ));
        }
        let now = self.now();
        let agreed = Work { phase: one.record.shadow.phase, ..Work::default() };
        let work = record.map_or(&agreed, |record| &record.work);
        let arrival = Arrival { peer: &one.key.peer, exchange: one.key.exchange, seq: one.seq, at: now };
        let settings = self.settings();
        let fields = settings.fields(&one.key.peer);
        let mut edit = fields.taken(apply(&one.operation, work, arrival));
        // Whatever the settings say today: it may have been told when they hid addresses.
        if is_ours_hidden(work.solution.as_deref(), edit.solution.as_ref().and_then(Option::as_deref)) {
            edit.solution = None;
        }
        let foreign = record.map(|record| edit.without_foreign(record, &one.key.peer)).unwrap_or_default();
        let scene = self.scene();
        let is_superseded =
            |record: &Incident| settle::is_superseded(&scene, one.record.leg.towards(), one.key.exchange, record);
        let is_superseded = record.is_some_and(is_superseded);
        let mut is_untold = false;
        let merged = match record {
            Some(_) if is_superseded => Merged { agreed: edit.clone(), edit: edit.written(), ..Merged::default() },
            Some(record) => {
                let meet = |shadow: &Shadow, touched: Touched| {
                    let shadow = &fields.level(shadow.clone(), work);
                    let met = Meeting { record: &record.work, shadow, touched, seen: one.seen, decides: decides(one) };
                    let winner = |field| self.winner(&one.record, field, record.work.phase);
                    met.merge(&one.operation, edit.clone(), winner)
                };
                let merged = meet(&one.record.shadow, one.record.touched);
                // A peer that does not tell what it has seen would take a word that lost for the last one.
                let is_met = merged.conflicts.iter().any(|conflict| conflict.unsent);
                is_untold = one.seen.is_some() && decides(one) && is_met;
                let told = is_untold.then(|| settle::once_told(&one.record, &one.key, record, &scene)).flatten();
                // What is told before it gives way crosses the operation as if it had gone a moment earlier.
                told.map_or(merged, |(shadow, touched)| meet(&shadow, touched))
            }
            None => Merged { agreed: edit.clone(), edit, ..Merged::default() },
        };
        let mut merged = self.resumed(one, record, self.complete(one, work, merged));
        if record.is_some_and(|record| waits_for_this(one, record)) && !is_superseded && merged.edit.phase.is_none() {
            merged.edit.milestones.push(thaw(arrival));
        }
        // How a case that is given back ended there is no word on how it stands here.
        if let Some(record) = record.filter(|_| one.operation.kind() != OperationKind::Reject && !is_superseded) {
            merged = dated(record, merged, arrival, decides(one));
        }
        let retold = record.map(|record| merged.edit.without_known(record)).unwrap_or_default();
        let edit = &merged.edit;
        let kind = one.operation.kind();
        let resolved = edit.phase.unwrap_or(work.phase) == Phase::Review;
        // A phase that does not count here moves no step.
        let agreed = merged.agreed.phase.unwrap_or(one.record.shadow.phase);
        let leg = if merged.keeps_step() { one.record.leg.clone() } else { leg.clone().in_phase(agreed) };
        let standing = leg.standing(resolved);
        let mut reference = reference(&one.key, leg.towards(), one.transaction.clone(), standing);
        reference.applies = Some(one.seq);
        reference.holder = match kind {
            _ if merged.keeps_holder => None,
            OperationKind::Assign => Some(Holder::Us),
            OperationKind::Accept => Some(Holder::Peer),
            _ => None,
        };
        let action = if opens_case(one) { Action::CaseAccepted } else { Action::OperationApplied };
        let mut history = Vec::new();
        let line = |action: Action, seq, detail| HistoryLine {
            incident: id,
            at: now,
            who: format!("peer {}", one.key.peer),
            action: action.as_str().into(),
            exchange: Some(one.key.exchange),
            seq,
            detail,
        };
        if let (Leg::Upward { step, .. }, Some(transaction)) = (&one.record.leg, &one.transaction)
            && step.transaction().is_none()
        {
            history.push(line(Action::Acknowledged, None, format!("transaction {transaction}, with the feed")));
        }
        let told = match record.filter(|_| leg.towards() == Towards::Upstream && !is_superseded) {
            // A relay shows its client another case than the one that the upstream tells of.
            Some(record) => {
                let case = record.case_told(Towards::Upstream).cloned();
                told::received(&one.operation, &Shadow { case, ..one.record.shadow.clone() }, edit)
            }
            None => told::received(&one.operation, &one.record.shadow, edit),
        };
        let mut told = with_left(told, &one.left);
        if merged.after_cancel {
            told.push_str("; it was canceled before, and how it ended stands");
        }
        for comment in &foreign {
            told.push_str(&format!("; left alone, for it is not theirs: comment {comment}"));
        }
        for milestone in &retold {
            told.push_str(&format!("; left alone, for something else is known by its ID: milestone {milestone}"));
        }
        for milestone in far_off(&one.operation, now) {
            told.push_str(&format!("; dated {}, far from this site's clock", milestone.at));
        }
        history.push(line(action, Some(one.seq), told));
        for conflict in &merged.conflicts {
            history.push(line(Action::ConflictFound, Some(one.seq), told_conflict(conflict)));
        }
        let before = record.filter(|_| is_untold).cloned();
        let (mut merged, upstream_case, own_case) = match record {
            Some(record) if leg.towards() == Towards::Upstream => {
                let relayed = self.relayed(merged.edit, record, kind == OperationKind::Reject && !is_superseded)?;
                (Merged { edit: relayed.edit, ..merged }, relayed.upstream_case, relayed.own_case)
            }
            _ => (merged, None, None),
        };
        if let Some(next) = record
            .filter(|_| kind == OperationKind::Assign && !is_superseded)
            .and_then(|record| next_in_turn(record, &one.key))
        {
            merged.edit.assignment = Some(Some(next.to_string()));
        }
        let mut write = Write {
            expected_revision: record.map(|record| record.revision),
            edit: merged.edit.clone(),
            upstream_case,
            own_case,
            reference: Some(reference),
            attachments: self.incoming(&one.key.peer, one.operation.attachments()),
            history,
            travelled: Some(Travelled::theirs(&one.key.peer, one.seq, &one.raw)),
            hand_over: HandOver::of(kind, leg.towards()).filter(|_| !is_superseded),
            ..Write::to(id, Writer::Bridge)
        };
        if let Some(submitted) = &one.record.submitted_by {
            write.submission = Some(Submission::Requested);
            write.form = submitted.form.clone();
        }
        if standing == Standing::Rejected && leg.towards() == Towards::Upstream && !is_superseded {
            write.submission = Some(Submission::Held);
        }
        let taken = Taken {
            key: one.key.clone(),
            incident: id,
            seq: one.seq,
            digest: digest(&one.raw),
            operation: one.operation.clone(),
            merged,
            transaction: one.transaction.clone(),
            before,
            after: None,
        };
        Ok((write, taken))
    }

    /// Where our side of a conflict leaves an ended case without a solution or a code, it gets the settings' (C-27), and the
    /// client is told.
    fn complete(&self, one: &Arriving, work: &Work, merged: Merged) -> Merged {
        if one.record.leg.towards() == Towards::Upstream || !merged.restates {
            return merged;
        }
        let after = Work {
            phase: merged.edit.phase.unwrap_or(work.phase),
            solution: merged.edit.solution.clone().unwrap_or(work.solution.clone()),
            completion_code: merged.edit.completion_code.unwrap_or(work.completion_code),
            ..Work::default()
        };
        match completed(&after, &self.settings().exchange.default_solution) {
            Some(missing) => Merged {
                edit: Edit {
                    solution: missing.solution.or(merged.edit.solution),
                    completion_code: missing.completion_code.or(merged.edit.completion_code),
                    ..merged.edit
                },
                ..merged
            },
            None => merged,
        }
    }

    /// A client that answers a question hands the case back: work goes on, and the client is told so (C-51).
    fn resumed(&self, one: &Arriving, record: Option<&Incident>, merged: Merged) -> Merged {
        let settings = self.settings();
        let ours = one.record.leg.towards() == Towards::Client && one.operation.kind() == OperationKind::Assign;
        let case = record.and_then(|record| record.case.as_ref());
        let merged = Merged { restates: merged.restates || ours, ..merged };
        match case.filter(|case| ours && case.status == settings.case.pending_status) {
            Some(case) => {
                let case = Case { status: settings.case.resumed_status.clone(), ..case.clone() };
                Merged { edit: Edit { case: Some(case), ..merged.edit }, ..merged }
            }
            None => merged,
        }
    }

    /// Keeps operations that cannot take effect for a person; the peer's other operations go on.
    pub(super) async fn park_incoming(&self, refused: Vec<(Arriving, Hold)>) -> Result<(), EngineError> {
        if refused.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let mut writes = Vec::new();
        for (one, why) in &refused {
            let (kind, reason) = (one.operation.kind(), why.to_string());
            warn!(
                event = "operation_parked",
                peer = %one.key.peer,
                exchange = %one.key.exchange,
                incident = one.record.incident().map(|incident| incident.0),
                operation = kind.as_str(),
                seq = one.seq,
                reason = &*discreet(&reason),
                "an operation of the peer's needs a person; see `casebridge parked`"
            );
            let parked = Parked { since: now, seq: one.seq, operation: kind, reason, untaken: false };
            writes.extend(one.record.incident().map(|incident| Write {
                travelled: Some(Travelled::theirs(&one.key.peer, one.seq, &one.raw)),
                ..self.parked_line(&one.key, incident, &parked, "the peer's")
            }));
        }
        let incidents = writes.iter().map(|write| write.incident).collect();
        self.store().write(writes).await?;
        let free = self
            .state()
            .transact::<_, EngineError, _>(move |transaction| {
                let mut free = Vec::new();
                for (one, why) in refused {
                    let (kind, incident) = (one.operation.kind(), one.record.incident());
                    let entry = InboundEntry { seq: one.seq, received_at: now, seen: one.seen, operation: one.raw };
                    if settle::parked_incoming(transaction, &one.key, kind, entry, &why)? {
                        free.extend(incident);
                    }
                }
                Ok(free)
            })
            .await?;
        // Somebody let in what these were to wait for, after they were looked at and before they were held.
        for incident in free {
            self.let_in(incident).await?;
        }
        self.note_why(incidents).await
    }

    /// An operation that was held on its way in, once more. Hands back the next one that waits behind it; none when this
    /// one still cannot follow.
    pub(super) async fn apply_late(
        &self,
        key: &ExchangeKey,
        entry: InboundEntry,
        (operation, left): (Operation, Vec<FieldName>),
    ) -> Result<Option<InboundEntry>, EngineError> {
        let InboundEntry { seq, seen, operation: raw, .. } = entry;
        let between = self.between().await;
        let again = key.clone();
        let Some(record) = self.state().read(move |view| view.exchange(&again)).await? else { return Ok(None) };
        let Some(id) = record.incident() else { return Ok(None) };
        let incident = self.incident(id).await?;
        let one = Arriving { key: key.clone(), record, seq, seen, operation, left, raw, transaction: None };
        let now = self.now();
        let effect = one.leg().map_err(|illegal| illegal.to_string());
        match effect.and_then(|leg| self.effect(&one, id, Some(&incident), &leg)) {
            Ok((mut write, mut taken)) => {
                // Its number was counted when it was held. Said twice, the write changes nothing: comments have IDs.
                if let Some(reference) = &mut write.reference {
                    reference.applies = None;
                }
                if self.write_one(write).await? != Written::Done {
                    return Err(ProblemType::Busy.with("the record changed at the same moment; try again").into());
                }
                taken.after = Some(self.incident(id).await?);
                let incidents = self.to_forward(&between, &[id]).await?;
                let scene = self.scene();
                let (next, settled) = self
                    .state()
                    .transact::<_, EngineError, _>(move |transaction| {
                        let (next, withheld) = settle::applied_late(transaction, &taken, &scene)?;
                        let withheld = withheld.map(|parked| (taken.key.clone(), id, parked)).into_iter().collect();
                        let mut settled = Settled { withheld, ..Settled::default() };
                        settled.queued.insert(taken.key.peer.clone());
                        if let Some(incident) = incidents.get(&id) {
                            forward(transaction, &scene, incident, Some(&taken.key), &mut settled)?;
                        }
                        Ok((next, settled))
                    })
                    .await?;
                self.tell(settled).await?;
                Ok(next)
            }
            Err(reason) => {
                let (kind, key) = (one.operation.kind(), one.key);
                self.state()
                    .transact::<_, EngineError, _>(move |transaction| {
                        settle::held_again(transaction, &key, kind, seq, &reason, now)
                    })
                    .await?;
                Ok(None)
            }
        }
    }
}

/// Whether this is the site above, whose word on a contested field counts.
fn decides(one: &Arriving) -> bool {
    one.record.leg.towards() == Towards::Client
}

/// Whether the case waits for its customer, and the operation was made by one who knew so: what was said before is no answer.
fn waits_for_this(one: &Arriving, record: &Incident) -> bool {
    if record.state() != CaseState::InputRequested {
        return false;
    }
    let asked = record.milestones.iter().filter(|one| one.state() == Some(CaseState::InputRequested));
    let is_sent = |asked: &Milestone| {
        asked.origin.as_ref() == Some(&one.key.peer) || asked.position <= one.record.shadow.milestones
    };
    last_move(asked).is_some_and(is_sent)
        && !one.seen.is_some_and(|seen| one.record.touched.asks_after(seen))
        && may_answer(&one.record.leg, &one.operation)
}

/// Whether the case has its ID from this operation: an Accept also takes a case back that has one.
fn opens_case(one: &Arriving) -> bool {
    let id = one.operation.changes().and_then(|changes| changes.case.as_ref()).map(|case| &case.id);
    let known = one.record.shadow.case.as_ref().map(|case| &case.id);
    one.operation.kind() == OperationKind::Accept && id.is_some() && id != known
}

fn crash_point_after(arriving: &[Arriving]) {
    use crate::telemetry::{CrashPoint, crash_point};
    let from_upstream = arriving.iter().any(|one| one.transaction.is_some());
    crash_point(if from_upstream { CrashPoint::FeedWrittenBack } else { CrashPoint::OperationApplied });
}

fn kept(winner: Winner) -> &'static str {
    match winner {
        Winner::Ours => "ours",
        Winner::Theirs => "theirs",
        Winner::Undecided => "ours, until the peer decides",
    }
}

/// What a peer tells of that its clock, or ours, dates wrongly. Deadlines are counted by it all the same, at both sites
/// alike.
fn far_off(operation: &Operation, now: Timestamp) -> impl Iterator<Item = &Milestone> {
    let milestones = operation.changes().map_or(&[][..], |changes| changes.milestones.as_slice());
    milestones.iter().filter(move |one| one.is_far_off(now))
}

/// A line of history, with what this site's field map left alone.
fn with_left(told: String, left: &[FieldName]) -> String {
    if left.is_empty() {
        return told;
    }
    let names: Vec<&str> = left.iter().map(|field| field.as_str()).collect();
    format!("{told}; left alone, by this site's field map: {}", names.join(", "))
}

/// Both values whole, the one that is kept and the one that is not (C-47): nowhere else the loser is sure to stay.
fn told_conflict(conflict: &Conflict) -> String {
    format!(
        "{}: both sites changed it; here \"{}\", there \"{}\"; kept: {}",
        conflict.field.as_str(),
        conflict.ours,
        conflict.theirs,
        kept(conflict.winner)
    )
}

/// Cuts a delivery into rounds in which no exchange appears twice, keeping the order within each exchange.
pub(super) fn rounds<T>(items: Vec<T>, key: impl Fn(&T) -> ExchangeKey) -> Vec<Vec<T>> {
    let mut rounds: Vec<(HashSet<ExchangeKey>, Vec<T>)> = Vec::new();
    let mut depth: HashMap<ExchangeKey, usize> = HashMap::new();
    for item in items {
        let key = key(&item);
        let round = depth.entry(key.clone()).or_insert(0);
        if *round == rounds.len() {
            rounds.push((HashSet::new(), Vec::new()));
        }
        if let Some((keys, items)) = rounds.get_mut(*round) {
            keys.insert(key);
            items.push(item);
        }
        *round += 1;
    }
    rounds.into_iter().map(|(_, items)| items).collect()
}
