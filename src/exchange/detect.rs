//! The store reports what changed; each incident is compared with its shadow, and what is new and wanted is submitted.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use tracing::{debug, info, warn};

use super::forward::{Settled, forward};
use super::settle::{self, Scene};
use super::submit::anew;
use super::{Engine, EngineError};
use crate::case::policy::{first_disabled, first_match};
use crate::case::{
    Action, CompletionCode, Edit, Form, HistoryLine, Incident, IncidentId, PolicyAction, Reference, Standing,
    Submission, Towards, TransactionId, completed,
};
use crate::state::{ExchangeKey, ExchangeRecord, Transaction, View};
use crate::store::{Cursor, ReferenceWrite, Write, Writer, Written};
use crate::telemetry::{CrashPoint, crash_point, discreet};

/// What is to become of a new incident.
enum Decision {
    Submit {
        form: Box<Form>,
        policy: Option<String>,
    },
    Hold {
        reason: String,
    },
    /// It has an exchange, or a person has it.
    Leave,
}

/// How a page of changes is looked at.
enum Pass {
    /// While peers may change what is shared; only what is not is settled.
    Beside,
    /// Unless something in it was switched on since the look before: what was held comes first.
    Alone,
    /// Whatever was switched on since.
    Last,
}

/// What became of a page of changes.
enum Looked {
    /// It held so many records.
    Settled(usize),
    /// Some of it has an exchange already, and is to be looked at alone.
    Shared { switched_on: Vec<(IncidentId, ExchangeKey)> },
}

impl Engine {
    /// One page of changes. Returns how many records it held; call again at once when it was full.
    pub async fn detect(&self) -> Result<usize, EngineError> {
        /// Looks at one page, should somebody switch exchanges on between each two of them.
        const LOOKS: usize = 3;
        let mut switched_on = {
            let mut cursor = self.0.detecting.lock().await;
            match self.detect_page(&mut cursor, Pass::Beside).await? {
                Looked::Settled(count) => return Ok(count),
                Looked::Shared { switched_on } => switched_on,
            }
        };
        for look in 1..=LOOKS {
            self.resume(switched_on).await?;
            let mut cursor = self.0.detecting.lock().await;
            // Read again, now that nobody moves the shadows: what a peer changed just now must not look like our change, nor
            // like one of ours that takes it back.
            let _alone = self.0.between_record_and_shadow.write().await;
            let pass = if look < LOOKS { Pass::Alone } else { Pass::Last };
            match self.detect_page(&mut cursor, pass).await? {
                Looked::Settled(count) => return Ok(count),
                Looked::Shared { switched_on: since } => switched_on = since,
            }
        }
        Ok(0)
    }

    async fn detect_page(&self, cursor: &mut Cursor, pass: Pass) -> Result<Looked, EngineError> {
        let settings = self.settings();
        let page = self.store().changes(cursor, settings.store.batch).await?;
        let count = page.loaded.incidents.len() + page.loaded.unreadable.len();
        if count == 0 {
            return Ok(Looked::Settled(0));
        }
        let scene = self.scene();
        match pass {
            Pass::Beside if self.any_has_exchange(&scene, &page.loaded.incidents).await? => {
                return Ok(Looked::Shared { switched_on: self.switched_on(&page.loaded.incidents).await? });
            }
            Pass::Alone => {
                let switched_on = self.switched_on(&page.loaded.incidents).await?;
                if !switched_on.is_empty() {
                    return Ok(Looked::Shared { switched_on });
                }
            }
            Pass::Beside | Pass::Last => {}
        }
        let (sound, unsound): (Vec<_>, Vec<_>) =
            page.loaded.incidents.into_iter().map(|one| (one.check_told().err(), one)).partition(|one| one.0.is_none());
        let unsound = unsound.into_iter().filter_map(|(reason, one)| Some((one.id, reason?)));
        let unreadable: Vec<(IncidentId, String)> = page.loaded.unreadable.into_iter().chain(unsound).collect();
        for (incident, reason) in &unreadable {
            let reason = discreet(reason);
            warn!(event = "incident_unreadable", incident = incident.0, %reason, "left alone; correct the record");
        }
        let unreadable = self.remember_unreadable(&unreadable, sound.iter().map(|(_, one)| one.id));
        let incidents = self.prepare(sound.into_iter().map(|(_, one)| one).collect()).await?;
        self.tell_untold(&incidents).await?;
        let mut held = Vec::new();
        let mut decided = Vec::with_capacity(incidents.len());
        for incident in incidents {
            let decision = self.decide(&scene, &incident);
            if incident.submission == Submission::Undecided && incident.client.is_none() {
                debug!(
                    event = "incident_detected",
                    incident = incident.id.0,
                    kind = incident.event.kind.as_str(),
                    "detected"
                );
            }
            if let Decision::Hold { reason } = &decision {
                held.push(self.hold(&incident, reason));
            }
            decided.push((incident, decision));
        }
        self.store().write(held).await?;
        crash_point(CrashPoint::HeldMarked);

        let next = page.cursor.clone();
        let settled = self
            .state()
            .transact::<_, EngineError, _>(move |transaction| {
                let mut settled = Settled::default();
                for (incident, decision) in &decided {
                    settle_one(transaction, &scene, incident, decision, &mut settled)?;
                }
                if let Some(unreadable) = &unreadable {
                    transaction.put_unreadable(unreadable)?;
                }
                transaction.put_store_cursor(&next.0)?;
                Ok(settled)
            })
            .await?;
        *cursor = page.cursor;
        crash_point(CrashPoint::DetectCommitted);
        // Not in the committer's thread, where a slow log would hold up every commit.
        for (incident, ExchangeKey { peer, exchange }) in &settled.submitted {
            info!(event = "incident_submitted", incident = incident.0, %peer, %exchange, "submitted");
        }
        self.tell(settled).await?;
        Ok(Looked::Settled(count))
    }

    /// Takes note of those that do not read. Returns all of them where they are others than before.
    fn remember_unreadable(
        &self,
        unreadable: &[(IncidentId, String)],
        sound: impl Iterator<Item = IncidentId>,
    ) -> Option<BTreeSet<i64>> {
        /// Told by `status`; more than a person reads one by one.
        const LIMIT: usize = 1000;
        let mut known = self.0.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_news = false;
        if !known.is_empty() {
            sound.for_each(|id| is_news |= known.remove(&id));
        }
        let room = LIMIT.saturating_sub(known.len());
        unreadable.iter().take(room).for_each(|(id, _)| is_news |= known.insert(*id));
        is_news.then(|| known.iter().map(|id| id.0).collect())
    }

    /// Puts into the records what the rules say before they are compared: a solution and a code where a shared case ends
    /// without (C-27), the end at once where its code withdraws or refuses it (C-08, C-09), and the submission of what was assigned to the upstream's group (C-02).
    async fn prepare(&self, mut incidents: Vec<Incident>) -> Result<Vec<Incident>, EngineError> {
        let settings = self.settings();
        let mut writes = Vec::new();
        let mut completing = Vec::new();
        for (index, incident) in incidents.iter().enumerate() {
            if !incident.references.is_empty()
                && let Some(edit) = completed(&incident.work, &settings.exchange.default_solution)
            {
                completing.push((index, edit.clone()));
                let code = incident.work.completion_code.filter(|_| edit.phase.is_some());
                let write = Write {
                    expected_revision: Some(incident.revision),
                    edit: Edit { since: code.map(|_| self.now()), ..edit },
                    ..Write::to(incident.id, Writer::Bridge)
                };
                writes.push(match code {
                    // The end is a step of its own, which gets its milestone.
                    Some(code) => {
                        Write { writer: Writer::Operator, history: vec![self.ended(incident.id, code)], ..write }
                    }
                    None => write,
                });
            } else if let Some(write) = self.assigned(incident) {
                writes.push(write);
            }
        }
        let written = self.store().write(writes.clone()).await?;
        let mut closed = Vec::new();
        for (index, edit) in completing {
            let Some(incident) = incidents.get_mut(index) else { continue };
            let done = writes
                .iter()
                .zip(&written)
                .any(|(write, outcome)| write.incident == incident.id && *outcome == Written::Done);
            if done && edit.phase.is_some() {
                closed.push(incident.id);
            } else if done {
                incident.revision += 1;
                incident.work.solution = edit.solution.unwrap_or(incident.work.solution.take());
                incident.work.completion_code = edit.completion_code.unwrap_or(incident.work.completion_code);
            }
        }
        // The store has dated the end.
        if !closed.is_empty() {
            for read in self.store().load(&closed).await?.incidents {
                incidents.iter_mut().filter(|one| one.id == read.id).for_each(|one| one.clone_from(&read));
            }
        }
        Ok(incidents)
    }

    /// The line of a record that is over by its code, whatever phase it was left in.
    fn ended(&self, incident: IncidentId, code: CompletionCode) -> HistoryLine {
        let detail = format!("closed, since its completion code is {}", code.as_str());
        self.line_of_daemon(incident, Action::StateChanged, detail)
    }

    /// The submission of a record that was assigned to a group of the upstream's and is not there. The write comes back
    /// to the detector as a change.
    fn assigned(&self, incident: &Incident) -> Option<Write> {
        let settings = self.settings();
        let upstream = settings.upstream.as_ref()?;
        let group = incident.assignment.as_deref()?;
        let external = settings.exchange.groups.is_external(group, &upstream.alias);
        // One that is there was submitted; a Reject takes that back.
        let again = incident.references.iter().any(|one| one.towards == Towards::Upstream);
        let submitted = incident.submission == Submission::Requested;
        let submitted = submitted || settle::is_submitted(&self.scene(), incident);
        if !external || submitted || self.check_submittable(incident).is_err() {
            return None;
        }
        Some(Write {
            expected_revision: Some(incident.revision),
            submission: Some(Submission::Requested),
            generation: again.then_some(incident.generation + 1),
            edit: if again { anew() } else { Edit::default() },
            history: vec![HistoryLine {
                incident: incident.id,
                at: self.now(),
                who: "casebridge".into(),
                action: Action::Submitted.as_str().into(),
                exchange: None,
                seq: None,
                detail: format!("assigned to {group}"),
            }],
            ..Write::to(incident.id, Writer::Operator)
        })
    }

    /// Exchanges that another program switched on again while something was held on its way in.
    async fn switched_on(&self, incidents: &[Incident]) -> Result<Vec<(IncidentId, ExchangeKey)>, EngineError> {
        let mut keys = Vec::new();
        for incident in incidents.iter().filter(|incident| incident.active) {
            let key = |one: &Reference| (incident.id, ExchangeKey::new(&one.peer, one.exchange));
            keys.extend(incident.references.iter().map(key));
        }
        // It may have been switched off and on again before anybody looked, with an operation in between.
        let waits = |record: Option<ExchangeRecord>| {
            record.is_some_and(|one| one.held.is_some() && (one.paused || settle::is_free(&one)))
        };
        let found = move |view: View<'_>| {
            let mut waiting = Vec::new();
            for (incident, key) in keys {
                if waits(view.exchange(&key)?) {
                    waiting.push((incident, key));
                }
            }
            Ok(waiting)
        };
        Ok(self.state().read(found).await?)
    }

    /// What was held on its way in comes before our own changes, as it does by command (C-59).
    async fn resume(&self, switched_on: Vec<(IncidentId, ExchangeKey)>) -> Result<(), EngineError> {
        for (incident, key) in switched_on {
            self.let_in(incident).await?;
            self.state().transact::<_, EngineError, _>(move |t| Ok(settle::resumed(t, &key)?)).await?;
            // What came in the meantime.
            self.let_in(incident).await?;
        }
        Ok(())
    }

    /// Whether the peer may be changing one of these.
    async fn any_has_exchange(&self, scene: &Scene, incidents: &[Incident]) -> Result<bool, EngineError> {
        if incidents.iter().any(|incident| !incident.references.is_empty()) {
            return Ok(true);
        }
        // Submitted, and the store does not know of it yet. Only this pass submits.
        let keys: Vec<ExchangeKey> =
            incidents.iter().filter_map(|incident| settle::upward_key(scene, incident)).collect();
        let found = move |view: View<'_>| {
            for key in &keys {
                if view.exchange(key)?.is_some() {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        Ok(self.state().read(found).await?)
    }

    /// Everything that changed up to now.
    pub async fn detect_all(&self) -> Result<(), EngineError> {
        self.0.interrupted.get_or_try_init(|| self.let_in_interrupted()).await?;
        let batch = self.settings().store.batch;
        while self.detect().await? >= batch {}
        Ok(())
    }

    pub(super) fn scene(&self) -> Scene {
        let settings = self.settings();
        Scene {
            site: self.site(),
            alias: settings.site.alias.clone(),
            upstream: settings.upstream.as_ref().map(|upstream| upstream.alias.clone()),
            settings,
            now: self.now(),
        }
    }

    fn decide(&self, scene: &Scene, incident: &Incident) -> Decision {
        let settings = &scene.settings;
        match incident.submission {
            Submission::Held | Submission::Draft => Decision::Leave,
            // What breaks a rule of submitting by now was submitted when it broke none.
            _ if settle::is_submitted(scene, incident) => Decision::Leave,
            // Set by `submit`, which has checked it, or by another program, which has not.
            Submission::Requested => {
                let form = settle::form_to_send(incident, self.hides_clients()).or(&settings.submit.defaults);
                let checked = self.check_submittable(incident);
                match checked.and_then(|()| self.check_form(&form).map_err(|fault| fault.to_string())) {
                    Ok(()) => Decision::Submit { form: Box::new(form), policy: None },
                    Err(reason) => Decision::Hold { reason },
                }
            }
            Submission::Undecided => {
                if let Err(reason) = self.check_submittable(incident) {
                    return Decision::Hold { reason };
                }
                let policies = match incident.client {
                    Some(_) => &settings.case.escalate,
                    None => &settings.submit.policies,
                };
                let Some(policy) = first_match(policies, incident) else {
                    let disabled = first_disabled(policies, incident);
                    let but = disabled.map(|policy| format!(" (\"{}\" would, and has `enabled = false`)", policy.name));
                    let reason = format!("no policy submits it{}; a person decides", but.unwrap_or_default());
                    return Decision::Hold { reason };
                };
                if policy.action == PolicyAction::Hold {
                    return Decision::Hold { reason: format!("held by policy \"{}\"", policy.name) };
                }
                let form = settle::form_to_send(incident, self.hides_clients());
                // Whom a client meant is a person of ours.
                let recipient = form.recipient.clone().filter(|_| incident.client.is_none());
                let form = Form { recipient, ..form }.or(&policy.form).or(&settings.submit.defaults);
                match self.check_form(&form) {
                    Ok(()) => Decision::Submit { form: Box::new(form), policy: Some(policy.name.clone()) },
                    Err(fault) => Decision::Hold { reason: format!("policy \"{}\": {fault}", policy.name) },
                }
            }
        }
    }

    fn hold(&self, incident: &Incident, reason: &str) -> Write {
        info!(event = "incident_held", incident = incident.id.0, reason = %discreet(reason), "held");
        let history = HistoryLine {
            incident: incident.id,
            at: self.now(),
            who: "casebridge".into(),
            action: Action::Held.as_str().into(),
            exchange: None,
            seq: None,
            detail: reason.to_owned(),
        };
        Write {
            // A person may have submitted it in the meantime.
            expected_revision: Some(incident.revision),
            submission: Some(Submission::Held),
            history: vec![history],
            ..Write::to(incident.id, Writer::Bridge)
        }
    }
}

fn settle_one(
    transaction: &mut Transaction<'_>,
    scene: &Scene,
    incident: &Incident,
    decision: &Decision,
    settled: &mut Settled,
) -> Result<(), EngineError> {
    forward(transaction, scene, incident, None, settled)?;
    let Some(key) = settle::upward_key(scene, incident) else { return Ok(()) };
    if incident.references.iter().any(|reference| reference.exchange == key.exchange) {
        return Ok(());
    }
    if let Decision::Submit { form, policy } = decision
        && settle::submitted(transaction, scene, incident, form.as_ref().clone(), policy.clone())?
    {
        settled.queued.insert(key.peer.clone());
        settled.submitted.push((incident.id, key));
    }
    Ok(())
}

/// The reference that a write puts beside the incident.
pub(super) fn reference(
    key: &ExchangeKey,
    towards: Towards,
    transaction: Option<TransactionId>,
    standing: Standing,
) -> ReferenceWrite {
    ReferenceWrite {
        peer: key.peer.clone(),
        exchange: key.exchange,
        towards,
        transaction,
        standing,
        holder: None,
        applies: None,
        recount: None,
    }
}
