//! A batch of operations from a client: each once, in order per exchange, with one result each (design, invariant 2).

use std::collections::HashMap;
use std::time::Instant;

use tracing::{debug, info, warn};

use super::apply::{Arriving, Fate, digest, rounds};
use super::fields::{Envelope, decode, take};
use super::{Engine, EngineError};
use crate::case::{Alias, Downward, ExchangeId, FieldName, Leg, Operation, OperationKind, Sequence, TransactionId};
use crate::protocol::problem::unknown_version;
use crate::protocol::unknown::no_such_key;
use crate::protocol::{OperationBatch, OperationResult, Outcome, Problem, ProblemType, Unknown};
use crate::state::{ExchangeKey, ExchangeRecord, Lane};
use crate::telemetry::{CrashPoint, crash_point};

/// So many bytes of operations are read without a pause.
const IN_ONE_GO: usize = 256 << 10;

/// One operation of the batch, and what stands about its exchange.
struct Item {
    index: usize,
    key: ExchangeKey,
    seq: u64,
    seen: Option<u64>,
    operation: Result<(Operation, Vec<FieldName>), Problem>,
    raw: Box<serde_json::value::RawValue>,
}

impl Engine {
    /// Takes a client's operations. An answer is given only for what is durable here (design, invariant 1).
    pub async fn receive(&self, client: &Alias, batch: OperationBatch) -> Result<Vec<OperationResult>, EngineError> {
        let OperationBatch { protocol, operations: requests, unknown } = batch;
        if let Some(theirs) = protocol.filter(|theirs| !theirs.is_spoken()) {
            return Err(ProblemType::UnknownVersion.with(unknown_version(&theirs.to_string())).into());
        }
        if let (Some(key), Unknown::Refused) = (unknown, Unknown::of(protocol)) {
            return Err(ProblemType::Content.with(no_such_key("", &key)).into());
        }
        let asked: Vec<_> = requests.iter().map(|request| (request.exchange, request.seq)).collect();
        self.heard_from(client, self.now());
        let settings = self.settings();
        let mut items = Vec::with_capacity(requests.len());
        let mut bytes = 0;
        for (index, request) in requests.into_iter().enumerate() {
            bytes += request.operation.get().len();
            if bytes > IN_ONE_GO {
                // Whoever else asks has the processor in between.
                bytes = 0;
                tokio::task::yield_now().await;
            }
            let envelope = Envelope { protocol, seen: request.seen, unknown: request.unknown.as_deref() };
            items.push(Item {
                index,
                key: ExchangeKey::new(client, request.exchange),
                seq: request.seq,
                seen: request.seen,
                operation: take(settings.fields(client), request.operation.get(), &envelope, self.now()),
                raw: request.operation,
            });
        }
        let mut outcomes: Vec<Option<Outcome>> = asked.iter().map(|_| None).collect();
        for round in rounds(items, |item: &Item| item.key.clone()) {
            for (index, outcome) in self.receive_round(client, round).await? {
                if let Some(slot) = outcomes.get_mut(index) {
                    *slot = Some(outcome);
                }
            }
        }
        let missing = || Outcome::Later { problem: ProblemType::Internal.with("no outcome; send it again") };
        Ok(asked
            .into_iter()
            .zip(outcomes)
            .map(|((exchange, seq), outcome)| OperationResult {
                exchange,
                seq,
                outcome: outcome.unwrap_or_else(missing),
            })
            .collect())
    }

    /// Operations of different exchanges.
    async fn receive_round(&self, client: &Alias, round: Vec<Item>) -> Result<Vec<(usize, Outcome)>, EngineError> {
        let keys: Vec<ExchangeKey> = round.iter().map(|item| item.key.clone()).collect();
        let named: HashMap<usize, (ExchangeId, u64)> =
            round.iter().map(|item| (item.index, (item.key.exchange, item.seq))).collect();
        let records = self
            .state()
            .read(move |view| keys.iter().map(|key| view.exchange(key)).collect::<Result<Vec<_>, _>>())
            .await?;
        let mut outcomes = Vec::with_capacity(round.len());
        let mut creates = Vec::new();
        let mut arriving = Vec::new();
        let mut indexes = Vec::new();
        for (item, record) in round.into_iter().zip(records) {
            let index = item.index;
            match self.sort(item, record) {
                Turn::Answer(outcome) => outcomes.push((index, outcome)),
                Turn::Open(key, create, raw) => creates.push((index, key, create, raw)),
                Turn::Apply(one) => {
                    arriving.push(*one);
                    indexes.push(index);
                }
            }
        }
        if !creates.is_empty() {
            outcomes.extend(self.open(client, creates).await?);
        }
        if !arriving.is_empty() {
            let fates = self.apply(&mut arriving).await?;
            crash_point(CrashPoint::ApplyCommitted);
            for ((index, one), fate) in indexes.into_iter().zip(&arriving).zip(fates) {
                let outcome = match fate {
                    Fate::Applied => applied(&one.record),
                    Fate::Refused(reason) => Outcome::Refused { problem: ProblemType::Illegal.with(reason) },
                };
                outcomes.push((index, outcome));
            }
        }
        for (index, outcome) in &outcomes {
            if let (Outcome::Refused { problem }, Some((exchange, seq))) = (outcome, named.get(index)) {
                let reason = &problem.kind;
                match self.0.refused_told.note(client.clone(), Instant::now()) {
                    Some(operations) => {
                        warn!(event = "operation_refused", peer = %client, %exchange, seq, reason, operations, "refused");
                    }
                    None => debug!(event = "operation_refused", peer = %client, %exchange, seq, reason, "refused"),
                }
            }
        }
        Ok(outcomes)
    }

    /// Whose turn it is: the sequence rule of invariant 2.
    fn sort(&self, item: Item, record: Option<ExchangeRecord>) -> Turn {
        let refused = |problem: Problem| Turn::Answer(Outcome::Refused { problem });
        if item.seq == 0 {
            return refused(ProblemType::Content.with("`seq` counts from 1"));
        }
        // What is in effect is answered so whatever this site's settings make of it by now.
        if let Some(answer) = record.as_ref().and_then(|record| repeated(&item, record)) {
            return Turn::Answer(answer);
        }
        let (operation, left) = match item.operation {
            Ok(read) => read,
            Err(problem) => return refused(problem),
        };
        let Some(record) = record else {
            return match operation {
                Operation::Create(create) if item.seq == 1 => {
                    if self.has_passed(&create.trace_route) {
                        let ExchangeKey { peer, exchange } = &item.key;
                        match self.0.loops_told.note(peer.clone(), Instant::now()) {
                            Some(operations) => {
                                info!(event = "loop_refused", peer = %peer, %exchange, operations, "refused");
                            }
                            None => debug!(event = "loop_refused", peer = %peer, %exchange, "refused"),
                        }
                        return refused(ProblemType::Loop.with("this site stands in the case's trace route"));
                    }
                    Turn::Open(item.key, create, item.raw)
                }
                Operation::Create(_) => Turn::Answer(Outcome::out_of_order(item.seq, 1)),
                _ => refused(ProblemType::UnknownExchange.with("send its Create first, or re-adopt it")),
            };
        };
        match &record.leg {
            Leg::Downward(Downward::Received) => {
                let problem = ProblemType::Busy.with("the incident is not in the store yet");
                return Turn::Answer(Outcome::Later { problem });
            }
            Leg::Downward(Downward::Rejected { .. }) if item.seq > record.applied => {
                return refused(ProblemType::Rejected.with("this exchange was rejected; submit the incident anew"));
            }
            _ => {}
        }
        match Sequence::of(item.seq, record.applied) {
            Sequence::Next => {}
            Sequence::Repeated => {
                return refused(ProblemType::SequenceConflict.with(format!("operation {} was another one", item.seq)));
            }
            Sequence::Early { expected } => return Turn::Answer(Outcome::out_of_order(item.seq, expected)),
        }
        if record.paused {
            let problem = ProblemType::Inactive.with("the exchange of this case is switched off at this site");
            return Turn::Answer(Outcome::Later { problem });
        }
        // The case is ours: its ID, link and status come from here.
        if operation.changes().is_some_and(|changes| changes.case.is_some()) {
            return refused(ProblemType::Content.with("`case` is told by the site that the case was submitted to"));
        }
        if operation.kind() == OperationKind::Reject {
            return refused(ProblemType::Illegal.with(
                "reject is for the site that a case was submitted to; who submitted it takes it back with a cancel",
            ));
        }
        let closed = matches!(record.leg, Leg::Downward(Downward::Closed { .. }));
        if closed && operation.kind() == OperationKind::Reopen && !self.settings().case.reopen_closed {
            return refused(ProblemType::Illegal.with("this site does not open a closed case again; submit it anew"));
        }
        if operation.kind() == OperationKind::Create {
            return refused(ProblemType::Illegal.with("the exchange was created already"));
        }
        if record.progress.is_stopped() {
            return refused(ProblemType::NoProgress.with("its operations said nothing new, again and again"));
        }
        Turn::Apply(Box::new(Arriving {
            key: item.key,
            record,
            seq: item.seq,
            seen: item.seen,
            operation,
            left,
            raw: item.raw,
            transaction: None,
        }))
    }

    /// Whether this site stands in a trace route, itself or as the one that hid a client.
    fn has_passed(&self, trace_route: &[Alias]) -> bool {
        let (alias, site) = (&self.settings().site.alias, self.site());
        trace_route.iter().any(|passed| passed == alias || passed.is_hidden_by(site))
    }

    /// Returns when a kept Create may be due, at the latest after `longest`.
    pub async fn wait_for_received(&self, longest: std::time::Duration) -> Result<(), EngineError> {
        self.wait_for_index(Lane::Clients, &self.0.to_open, longest).await
    }

    /// What is kept from a time when the store was slow, put into the store now. Returns how many.
    pub async fn open_received(&self) -> Result<usize, EngineError> {
        /// Kept Creates handled in one pass.
        const LIMIT: usize = 500;
        let now = self.now();
        let kept = self
            .state()
            .read(move |view| {
                let mut kept = Vec::new();
                for entry in view.due(&Lane::Clients, now, LIMIT) {
                    if let Some(create) = view.inbound(&entry.key, 1)? {
                        kept.push((entry.key, create));
                    }
                }
                Ok(kept)
            })
            .await?;
        let count = kept.len();
        let settings = self.settings();
        for (key, entry) in kept {
            let client = key.peer.clone();
            let create = match decode(settings.fields(&client), entry.operation.get(), Unknown::LeftAside) {
                Ok((Operation::Create(create), _)) => create,
                Ok(_) => continue,
                // It had its words when it came; the map was changed since.
                Err(problem) => {
                    self.postpone(&key, &problem.to_string(), None).await?;
                    continue;
                }
            };
            let outcomes = self.open(&client, vec![(0, key.clone(), create, entry.operation)]).await?;
            if outcomes.iter().any(|(_, outcome)| *outcome == Outcome::Received) {
                self.postpone(&key, "the store does not take it yet", None).await?;
            }
        }
        Ok(count)
    }
}

enum Turn {
    Answer(Outcome),
    Open(ExchangeKey, Box<crate::case::Create>, Box<serde_json::value::RawValue>),
    Apply(Box<Arriving>),
}

/// The answer to an operation that came before; none where it is new, or another one with a number that was used.
fn repeated(item: &Item, record: &ExchangeRecord) -> Option<Outcome> {
    if matches!(record.leg, Leg::Downward(Downward::Received)) {
        return (item.seq == 1).then_some(Outcome::Received);
    }
    if Sequence::of(item.seq, record.applied) != Sequence::Repeated {
        return None;
    }
    let is_create = || matches!(&item.operation, Ok((operation, _)) if operation.kind() == OperationKind::Create);
    let is_known = || record.applied_digest.is_none_or(|known| known == digest(&item.raw));
    (item.seq < record.applied || is_create() || is_known()).then(|| applied(record))
}

/// The answer to an operation that is in effect, now or since long: always the same.
fn applied(record: &ExchangeRecord) -> Outcome {
    match record.incident().and_then(|incident| incident.to_string().parse::<TransactionId>().ok()) {
        Some(transaction) => Outcome::Applied { transaction },
        None => Outcome::Received,
    }
}
