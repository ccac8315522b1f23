//! What is due towards the upstream: the head of each exchange's outbox goes out, many in one request; each result is
//! written back to the store and then to state.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use jiff::Timestamp;
use tracing::{debug, info};

use super::detect::reference;
use super::health::{elapsed, served};
use super::link::links;
use super::retry::Backoff;
use super::settle;
use super::{Engine, EngineError};
use crate::case::evidence::{Travelled, Way};
use crate::case::{
    Action, Alias, ExchangeId, HandOver, HistoryLine, IncidentId, Leg, OperationKind, Phase, Standing, Submission,
    Towards, TransactionId, Upward,
};
use crate::peer::Upstream;
use crate::protocol::{OperationBatch, OperationRequest, OperationResult, Outcome, Problem, ProblemType};
use crate::state::{ExchangeKey, ExchangeRecord, Lane, OutboxEntry, View};
use crate::store::{Write, Writer};
use crate::telemetry::{CrashPoint, crash_point, discreet};

/// A request that has grown to so many bytes is long enough: it has to get through in the time that a request may take.
const BATCH_BYTES: usize = 4 << 20;

/// What one pass found to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// So many exchanges were served; there may be more.
    Some(usize),
    /// Nothing was due.
    Nothing,
    /// The upstream is down; its next probe is the next thing to do.
    Down,
}

/// An exchange with something to do, and what that is.
pub(super) struct Task {
    pub key: ExchangeKey,
    pub record: ExchangeRecord,
    pub what: What,
    /// The Create that the upstream has, where its transaction ID is asked for.
    pub asked: Option<OutboxEntry>,
}

pub(super) enum What {
    Send(OutboxEntry),
    /// The Create is there; its transaction ID is asked for, or the case after a long time without news.
    Ask,
}

impl Engine {
    /// Serves what is due towards the upstream: up to one batch. Adopts first, where state was lost.
    pub async fn push(&self) -> Result<Pushed, EngineError> {
        let Some((alias, upstream)) = self.upstream() else { return Ok(Pushed::Nothing) };
        if !self.upstream_is_up() {
            return Ok(Pushed::Down);
        }
        if !self.adopt_upstream(&alias, &upstream).await? {
            return Ok(Pushed::Down);
        }
        let tasks = self.take_due(&alias).await?;
        if tasks.is_empty() {
            return Ok(Pushed::Nothing);
        }
        let taken: Vec<ExchangeId> = tasks.iter().map(|task| task.key.exchange).collect();
        let served = tasks.len();
        let done = match self.serve(&alias, &upstream, tasks).await {
            Ok(()) => Ok(Pushed::Some(served)),
            // Known to be down before anybody else can take what is released.
            Err(EngineError::Peer(error)) => self.peer_failed(&alias, &error).await.map(|()| Pushed::Down),
            Err(other) => Err(other),
        };
        self.release(&taken);
        done
    }

    /// Returns when something may be due: at once when the engine queued it, else at the next instant that stands in
    /// the index, at the latest after `longest`.
    pub async fn wait_for_due(&self, longest: std::time::Duration) -> Result<(), EngineError> {
        let Some((alias, _)) = self.upstream() else { return Ok(()) };
        self.wait_for_index(Lane::Upstream(alias), &self.0.to_push, longest).await
    }

    pub(super) async fn wait_for_index(
        &self,
        lane: Lane,
        told: &tokio::sync::Notify,
        longest: std::time::Duration,
    ) -> Result<(), EngineError> {
        self.mind_the_clock().await?;
        // What is under way stands in the index until its answer is settled; whoever settles it tells.
        let in_flight = self.0.in_flight.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let latest = self.latest_due();
        let look =
            move |view: View<'_>| Ok((view.next_due(&lane, &in_flight), !view.due_after(&lane, latest).is_empty()));
        let (next, out_of_time) = self.state().read(look).await?;
        if out_of_time {
            return self.check_due_index().await;
        }
        let wait = next.map_or(longest, |at| elapsed(self.now(), at).min(longest));
        // Out of time is as good a reason to look as being told.
        let _ = tokio::time::timeout(wait, told.notified()).await;
        Ok(())
    }

    /// Marks what it takes as under way, so that a second pass at the same time takes something else.
    async fn take_due(&self, alias: &Alias) -> Result<Vec<Task>, EngineError> {
        let settings = self.settings();
        let Some(limit) = settings.upstream.as_ref().map(|upstream| upstream.batch) else { return Ok(Vec::new()) };
        // What is under way still stands in the index.
        let in_flight = self.0.in_flight.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (peer, now) = (alias.clone(), self.now());
        let tasks = self
            .state()
            .read(move |view| {
                let mut tasks = Vec::new();
                let mut bytes = 0;
                for entry in view.due(&Lane::Upstream(peer.clone()), now, limit + in_flight.len()) {
                    if in_flight.contains(&entry.key.exchange) {
                        continue;
                    }
                    if tasks.len() >= limit || bytes >= BATCH_BYTES {
                        break;
                    }
                    let Some(record) = view.exchange(&entry.key)? else { continue };
                    let waits = matches!(record.leg, Leg::Upward { step: Upward::AwaitingTransaction, .. });
                    let head = match record.pending.first() {
                        Some(position) => view.outbox(&peer, *position)?,
                        None => None,
                    };
                    let (head, asked) = if waits { (None, head) } else { (head, None) };
                    bytes += head.as_ref().map_or(0, |head: &OutboxEntry| head.operation.get().len());
                    let what = head.map_or(What::Ask, What::Send);
                    tasks.push(Task { key: entry.key, record, what, asked });
                }
                Ok(tasks)
            })
            .await?;
        let mut in_flight = self.0.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(tasks.into_iter().filter(|task| in_flight.insert(task.key.exchange)).collect())
    }

    fn release(&self, exchanges: &[ExchangeId]) {
        let mut in_flight = self.0.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        for exchange in exchanges {
            in_flight.remove(exchange);
        }
        drop(in_flight);
        self.0.to_push.notify_one();
    }

    async fn serve(&self, alias: &Alias, upstream: &Arc<dyn Upstream>, tasks: Vec<Task>) -> Result<(), EngineError> {
        let (send, ask): (Vec<Task>, Vec<Task>) =
            tasks.into_iter().partition(|task| matches!(task.what, What::Send(_)));
        self.ask_transactions(alias, upstream, ask).await?;
        let (unmapped, send): (Vec<Task>, Vec<Task>) = send.into_iter().partition(|task| task.unmapped().is_some());
        let reason = |task: Task| Some((task.unmapped()?.to_owned(), task.key));
        self.park(unmapped.into_iter().filter_map(reason).map(|(reason, key)| (key, reason)).collect()).await?;
        /// So many operations in a row, each alone, and the upstream failed over every one: it is not about them.
        const ILL: usize = 3;
        // A batch that the upstream refuses as a whole is halved until the culprit stands alone; the others go through.
        let mut batches = vec![send];
        let mut failed = 0;
        while let Some(batch) = batches.pop() {
            if batch.is_empty() {
                continue;
            }
            let requests = batch.iter().filter_map(request).collect();
            match upstream.operations(&OperationBatch::ours(requests)).await {
                Ok(answer) => {
                    crash_point(CrashPoint::PushAnswered);
                    failed = 0;
                    self.take_answers(alias, upstream, batch, answer.results).await?;
                }
                // A request over which the connection ends, while the peer answers others, is as bad as a refused one.
                Err(error) if error.ended_connection() && failed < ILL && upstream.site().await.is_ok() => {
                    debug!(event = "batch_doubted", peer = %alias, operations = batch.len(), reason = %error, "halved");
                    let mut first = batch;
                    if first.len() > 1 {
                        let second = first.split_off(first.len() / 2);
                        batches.extend([second, first]);
                        continue;
                    }
                    failed += 1;
                    if failed == ILL {
                        return Err(error.into());
                    }
                    for task in first {
                        self.postpone(&task.key, &error.to_string(), None).await?;
                    }
                }
                Err(error) if error.blames_request() && batch.len() > 1 => {
                    debug!(event = "batch_halved", peer = %alias, operations = batch.len(), reason = %error, "halved");
                    let mut first = batch;
                    let second = first.split_off(first.len() / 2);
                    batches.extend([second, first]);
                }
                Err(error) if error.is_failure() => {
                    failed += 1;
                    let rest = if failed < ILL { Vec::new() } else { std::mem::take(&mut batches) };
                    for task in batch.into_iter().chain(rest.into_iter().flatten()) {
                        self.postpone(&task.key, &error.to_string(), error.retry_after()).await?;
                    }
                }
                Err(error) if error.blames_request() => {
                    let refused = batch.iter().filter(|_| error.is_refusal());
                    let seen = refused.filter_map(|task| Some((task.key.clone(), task.travelled(Way::Refused)?)));
                    let seen = seen.collect();
                    self.park_seen(batch.into_iter().map(|task| (task.key, error.to_string())).collect(), seen).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn take_answers(
        &self,
        alias: &Alias,
        upstream: &Arc<dyn Upstream>,
        batch: Vec<Task>,
        results: Vec<OperationResult>,
    ) -> Result<(), EngineError> {
        let mut acknowledged = Vec::new();
        let mut parked = Vec::new();
        let mut seen = HashMap::new();
        let mut unlinked = Vec::new();
        let mut unopened = Vec::new();
        for (task, result) in batch.into_iter().zip(results) {
            match result.outcome {
                Outcome::Applied { transaction } => acknowledged.push((task, transaction)),
                Outcome::Received => self.hear_received(&task).await?,
                Outcome::Refused { problem } if matches!(&task.what, What::Send(entry) if links(entry)) => {
                    unlinked.push((task, problem.to_string()));
                }
                Outcome::Refused { problem } => {
                    seen.extend(task.travelled(Way::Refused).map(|travelled| (task.key.clone(), travelled)));
                    if task.reopens() && problem.is(ProblemType::Illegal) {
                        unopened.push((task, problem));
                        continue;
                    }
                    parked.push((task.key, in_their_words(&problem)));
                }
                Outcome::OutOfOrder { expected, .. } => {
                    parked.push((task.key, format!("the peer expects operation {expected}, we are at {}", result.seq)));
                }
                Outcome::Later { problem } => self.postpone(&task.key, &problem.to_string(), None).await?,
            }
        }
        self.take_transactions(alias, acknowledged).await?;
        self.take_unlinked(unlinked).await?;
        parked.extend(self.take_unopened(alias, upstream, unopened).await?);
        self.park_seen(parked, seen).await
    }

    /// Operations that took effect at the upstream: the transaction ID goes to the store first, then to state. Dying
    /// between the two sends the operation again, and gets the same answer.
    pub(super) async fn take_transactions(
        &self,
        alias: &Alias,
        acknowledged: Vec<(Task, TransactionId)>,
    ) -> Result<(), EngineError> {
        if acknowledged.is_empty() {
            return Ok(());
        }
        let mut writes = Vec::with_capacity(acknowledged.len());
        for (task, transaction) in &acknowledged {
            writes.extend(self.acknowledgement(task, transaction));
        }
        self.store().write(writes).await?;
        crash_point(CrashPoint::TransactionWrittenBack);
        self.0.to_prepare.notify_one();
        self.0.receipts_due.notify_one();

        let (peer, now, sound) = (alias.clone(), self.now(), self.is_sound());
        let (settled, refused) = self
            .state()
            .transact::<_, EngineError, _>(move |transaction| {
                let mut settled = Vec::with_capacity(acknowledged.len());
                let mut refused = Vec::new();
                for (task, id) in acknowledged {
                    match settle::acknowledged(transaction, &task.key, task.sent().as_ref(), &id, now) {
                        Ok(record) => settled.push((task, id, record)),
                        // The upstream changed its mind about the ID; the others of the batch are not to blame.
                        Err(EngineError::Peer(fault)) => refused.push((task.key, fault.to_string())),
                        Err(other) => return Err(other),
                    }
                }
                let before = transaction.peer(&peer)?;
                transaction.put_peer(&peer, &served(before, now, sound))?;
                Ok((settled, refused))
            })
            .await?;
        self.park(refused).await?;
        crash_point(CrashPoint::AnswerCommitted);
        // What was announced just now is awaited there.
        self.0.transfers.tell();
        let mut again = Vec::new();
        let mut overtaken = Vec::new();
        for (task, id, record) in settled {
            let (kind, seq) = match &task.what {
                What::Send(entry) => (entry.kind, entry.seq),
                What::Ask => (OperationKind::Create, 1),
            };
            info!(
                event = "operation_acknowledged",
                peer = %alias,
                exchange = %task.key.exchange,
                incident = task.record.incident().map(|incident| incident.0),
                transaction = %id,
                operation = kind.as_str(),
                seq,
                "acknowledged"
            );
            let now = record.as_ref().map(|record| record.leg.standing(record.shadow.phase == Phase::Review));
            if let (true, Some(standing), Some(incident)) = (task.moves(), now, task.record.incident())
                && task.standing(&id) != now
            {
                // An operation of the peer's came in between.
                let reference = Some(reference(&task.key, Towards::Upstream, None, standing));
                overtaken.push(Write { reference, ..Write::to(incident, Writer::Bridge) });
            }
            if let Some(record) = record
                && record.changed_meanwhile
                && record.pending.is_empty()
            {
                again.extend(record.incident().map(|incident| (task.key, incident)));
            }
        }
        self.store().write(overtaken).await?;
        if !again.is_empty() {
            self.look_again(again).await?;
        }
        Ok(())
    }

    /// The write that brings the transaction ID, and with it a policy's submission, into the store.
    fn acknowledgement(&self, task: &Task, transaction: &TransactionId) -> Option<Write> {
        let incident = task.record.incident()?;
        let Leg::Upward { step, .. } = &task.record.leg else { return None };
        let travelled = task.travelled(Way::Out);
        let entry = task.entry();
        let sent = entry.and_then(|entry| sent_line(self.now(), &task.key, incident, entry));
        if step.transaction().is_some() && !task.moves() {
            // A Create whose transaction ID came with the feed.
            let line = sent.or_else(|| Some(told_line(self.now(), &task.key, incident, entry?, "create")))?;
            return Some(Write { history: vec![line], travelled, ..Write::to(incident, Writer::Bridge) });
        }
        let standing = task.standing(transaction)?;
        let line = |at: Timestamp, action: Action, detail: String| HistoryLine {
            incident,
            at,
            who: "casebridge".into(),
            action: action.as_str().into(),
            exchange: Some(task.key.exchange),
            seq: (action == Action::Acknowledged).then_some(1),
            detail,
        };
        let mut write = Write {
            reference: Some(reference(&task.key, Towards::Upstream, Some(transaction.clone()), standing)),
            travelled,
            ..Write::to(incident, Writer::Bridge)
        };
        if let Some(submitted) = &task.record.submitted_by {
            write.submission = Some(Submission::Requested);
            write.form = submitted.form.clone();
            let detail = format!("submitted by policy \"{}\"", submitted.policy);
            write.history.push(line(submitted.at, Action::Submitted, detail));
        }
        if step.transaction().is_none() {
            let detail = format!("acknowledged by {}, transaction {transaction}", task.key.peer);
            write.history.push(line(self.now(), Action::Acknowledged, detail));
            write.hand_over = Some(HandOver::Submitted);
        }
        write.history.extend(sent);
        Some(write)
    }

    /// Incidents that changed while too much was pending are compared again.
    pub(super) async fn look_again(
        &self,
        again: Vec<(ExchangeKey, crate::case::IncidentId)>,
    ) -> Result<(), EngineError> {
        let alone = self.0.between_record_and_shadow.write().await;
        let ids: Vec<_> = again.iter().map(|(_, incident)| *incident).collect();
        let incidents = self.store().load(&ids).await?.incidents;
        let scene = self.scene();
        let withheld = self
            .state()
            .transact::<_, EngineError, _>(move |transaction| {
                let mut withheld = Vec::new();
                for (key, id) in &again {
                    let Some(incident) = incidents.iter().find(|incident| incident.id == *id) else { continue };
                    let parked = settle::changed_again(transaction, key, incident, &scene)?;
                    withheld.extend(parked.map(|parked| (key.clone(), *id, parked)));
                }
                Ok(withheld)
            })
            .await?;
        drop(alone);
        self.note_withheld(withheld).await
    }

    async fn hear_received(&self, task: &Task) -> Result<(), EngineError> {
        let attempts = task.record.due.as_ref().map_or(0, |due| due.attempts);
        let now = self.now();
        let ask_at = Backoff::new(self.settings().retry).next(now, attempts + 1, None);
        let key = task.key.clone();
        info!(
            event = "create_received",
            peer = %key.peer,
            exchange = %key.exchange,
            incident = task.record.incident().map(|incident| incident.0),
            next_attempt = %ask_at,
            "the peer has the request; its transaction ID is polled for"
        );
        self.state().transact(move |transaction| settle::answered_received(transaction, &key, now, ask_at)).await
    }

    /// Later, after the exchange's own back-off; a person's when it was tried for longer than the settings allow.
    pub(super) async fn postpone(
        &self,
        key: &ExchangeKey,
        reason: &str,
        retry_after: Option<std::time::Duration>,
    ) -> Result<(), EngineError> {
        let (now, retry) = (self.now(), self.settings().retry);
        let (again, text) = (key.clone(), reason.to_owned());
        let postponed = self
            .state()
            .transact::<_, EngineError, _>(move |transaction| {
                let backoff = Backoff::new(retry);
                let (queued_at, attempts) = settle::waiting_since(transaction, &again)?;
                if let Some(queued_at) = queued_at.filter(|at| backoff.is_over(*at, now, attempts)) {
                    return Ok(Err(queued_at));
                }
                let next = |attempt| backoff.next(now, attempt, retry_after);
                let known = transaction.exchange(&again)?.and_then(|record| record.due?.last_error);
                let postponed = settle::postponed(transaction, &again, &text, next)?;
                Ok(Ok(postponed.map(|postponed| (postponed, known.as_ref() != Some(&text)))))
            })
            .await?;
        match postponed {
            Ok(None) => Ok(()),
            Ok(Some((postponed, is_news))) => {
                info!(
                    event = "operation_postponed",
                    peer = %key.peer,
                    exchange = %key.exchange,
                    incident = postponed.incident.map(|incident| incident.0),
                    attempt = postponed.attempt,
                    next_attempt = %postponed.next_attempt,
                    reason = &*discreet(reason),
                    "later"
                );
                // Of many that are alike the histories tell the first, the second, the fourth and so on, for the others, too (C-58).
                match postponed.incident.filter(|_| is_news || postponed.attempt.is_power_of_two()) {
                    Some(incident) => self.tell_postponed(key, incident, (postponed.attempt, is_news), reason).await,
                    None => Ok(()),
                }
            }
            Err(queued_at) => self.park(vec![(key.clone(), format!("in vain since {queued_at}: {reason}"))]).await,
        }
    }

    async fn tell_postponed(
        &self,
        key: &ExchangeKey,
        incident: IncidentId,
        (attempt, is_news): (u32, bool),
        reason: &str,
    ) -> Result<(), EngineError> {
        let others = if is_news || attempt <= 2 { "" } else { ", like those since the line before" };
        let line = HistoryLine {
            incident,
            at: self.now(),
            who: "casebridge".into(),
            action: Action::OperationPostponed.as_str().into(),
            exchange: Some(key.exchange),
            seq: None,
            detail: format!("attempt {attempt} at {}{others}: {reason}", key.peer),
        };
        self.store().write(vec![Write { history: vec![line], ..Write::to(incident, Writer::Bridge) }]).await?;
        Ok(())
    }
}

impl Task {
    /// Why it cannot be sent as it stands.
    fn unmapped(&self) -> Option<&str> {
        let What::Send(entry) = &self.what else { return None };
        entry.unmapped.as_deref()
    }

    /// The operation that this is about.
    fn entry(&self) -> Option<&OutboxEntry> {
        match &self.what {
            What::Send(entry) => Some(entry),
            What::Ask => self.asked.as_ref(),
        }
    }

    /// The same, as the history keeps it.
    pub(super) fn travelled(&self, way: Way) -> Option<Travelled> {
        let entry = self.entry()?;
        Some(Travelled::ours(&self.key.peer, way, entry.seq, &entry.operation))
    }

    /// Whether an operation of ours moves the exchange another step.
    fn moves(&self) -> bool {
        use OperationKind::{Cancel, Close, Reject, Reopen, Resolve};
        matches!(&self.what, What::Send(entry) if matches!(entry.kind, Cancel | Close | Reject | Reopen | Resolve))
    }

    fn reopens(&self) -> bool {
        matches!(&self.what, What::Send(entry) if entry.kind == OperationKind::Reopen)
    }

    /// How the exchange stands once this is acknowledged.
    fn standing(&self, transaction: &TransactionId) -> Option<Standing> {
        let Leg::Upward { incident, step } = &self.record.leg else { return None };
        let agreed = self.record.shadow.phase;
        let leg = Leg::Upward { incident: *incident, step: step.clone().acknowledged(transaction.clone()).ok()? };
        let leg = match self.sent().and_then(|sent| sent.operation) {
            Some(operation) => leg.arrived(&operation, agreed),
            None => leg,
        };
        Some(leg.standing(agreed == Phase::Review))
    }

    /// What was sent, as the step that settles its answer needs it.
    fn sent(&self) -> Option<settle::Sent> {
        let What::Send(entry) = &self.what else { return None };
        let operation = match entry.kind {
            OperationKind::Create => None,
            _ => serde_json::from_str(entry.in_our_words()).ok(),
        };
        Some(settle::Sent { position: self.record.pending.first().copied()?, operation })
    }
}

/// A peer's reason: what the peer wrote by itself stands in quotes, which the log leaves out.
pub(super) fn in_their_words(problem: &Problem) -> String {
    format!("{}: \"{}\"", problem.title, problem.detail)
}

/// The line for an operation of ours that took effect at the peer. A Create has its own, with the transaction ID.
pub(super) fn sent_line(
    at: Timestamp,
    key: &ExchangeKey,
    incident: IncidentId,
    entry: &OutboxEntry,
) -> Option<HistoryLine> {
    Some(told_line(at, key, incident, entry, entry.told.as_ref()?))
}

fn told_line(at: Timestamp, key: &ExchangeKey, incident: IncidentId, entry: &OutboxEntry, told: &str) -> HistoryLine {
    HistoryLine {
        incident,
        at,
        who: "casebridge".into(),
        action: Action::OperationSent.as_str().into(),
        exchange: Some(key.exchange),
        seq: Some(entry.seq),
        detail: format!("taken by {}, {told}", key.peer),
    }
}

fn request(task: &Task) -> Option<OperationRequest> {
    match &task.what {
        What::Send(entry) => {
            let (seq, operation) = (entry.seq, entry.operation.clone());
            let (exchange, seen) = (task.key.exchange, Some(entry.seen));
            Some(OperationRequest { exchange, seq, seen, operation, unknown: None })
        }
        What::Ask => None,
    }
}
