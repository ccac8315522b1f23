//! What needs a person: operations that the peer refused, or that waited longer than the settings allow. Nothing
//! vanishes (design, invariant 6).

use std::collections::{HashMap, HashSet};

use tracing::{error, info, warn};

use super::fields::{decode, in_time};
use super::health::elapsed;
use super::{Engine, EngineError, settle};
use crate::case::evidence::Travelled;
use crate::case::{Action, Alias, HistoryLine, IncidentId, OperationKind, Towards};
use crate::protocol::operator::RetryAnswer;
use crate::protocol::{ProblemType, Unknown};
use crate::state::{ExchangeKey, ExchangeRecord, InboundEntry, Lane, Parked, PeerRecord};
use crate::store::{Write, Writer};
use crate::telemetry::discreet;

impl Engine {
    /// Parks these exchanges, each with its reason, and says so in their histories.
    pub(super) async fn park(&self, reasons: Vec<(ExchangeKey, String)>) -> Result<(), EngineError> {
        self.park_seen(reasons, HashMap::new()).await
    }

    /// The same, with what the peer has seen of them though it refused it.
    pub(super) async fn park_seen(
        &self,
        reasons: Vec<(ExchangeKey, String)>,
        seen: HashMap<ExchangeKey, Travelled>,
    ) -> Result<(), EngineError> {
        let warn = |key: &ExchangeKey, incident: Option<IncidentId>, entry: &Parked| {
            warn!(
                event = "operation_parked",
                peer = %key.peer,
                exchange = %key.exchange,
                incident = incident.map(|incident| incident.0),
                operation = entry.operation.as_str(),
                seq = entry.seq,
                reason = &*discreet(&entry.reason),
                "needs a person; see `casebridge parked`"
            );
        };
        self.park_and_tell(reasons, seen, warn).await
    }

    async fn park_and_tell(
        &self,
        reasons: Vec<(ExchangeKey, String)>,
        mut seen: HashMap<ExchangeKey, Travelled>,
        tell: impl Fn(&ExchangeKey, Option<IncidentId>, &Parked),
    ) -> Result<(), EngineError> {
        if reasons.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let refused: HashSet<ExchangeKey> = seen.keys().cloned().collect();
        let parked = self
            .state()
            .transact::<_, EngineError, _>(move |transaction| {
                let mut parked = Vec::new();
                for (key, reason) in reasons {
                    if let Some(entry) = settle::parked(transaction, &key, &reason, refused.contains(&key), now)? {
                        let incident = transaction.exchange(&key)?.and_then(|record| record.incident());
                        parked.push((key, incident, entry));
                    }
                }
                Ok(parked)
            })
            .await?;
        let mut writes = Vec::new();
        let incidents = parked.iter().filter_map(|(_, incident, _)| *incident).collect();
        for (key, incident, entry) in parked {
            tell(&key, incident, &entry);
            let travelled = seen.remove(&key);
            writes.extend(
                incident.map(|incident| Write { travelled, ..self.parked_line(&key, incident, &entry, "our") }),
            );
        }
        self.store().write(writes).await?;
        self.note_why(incidents).await
    }

    /// Says in the histories what could not be queued for clients; the exchanges stand among the parked.
    pub(super) async fn note_withheld(
        &self,
        withheld: Vec<(ExchangeKey, IncidentId, Parked)>,
    ) -> Result<(), EngineError> {
        if withheld.is_empty() {
            return Ok(());
        }
        let line = |(key, incident, parked): &(ExchangeKey, IncidentId, Parked)| {
            self.parked_line(key, *incident, parked, "our")
        };
        self.store().write(withheld.iter().map(line).collect()).await?;
        self.note_why(withheld.into_iter().map(|(_, incident, _)| incident).collect()).await
    }

    pub(super) fn parked_line(&self, key: &ExchangeKey, incident: IncidentId, parked: &Parked, whose: &str) -> Write {
        let line = HistoryLine {
            incident,
            at: self.now(),
            who: "casebridge".into(),
            action: Action::OperationParked.as_str().into(),
            exchange: Some(key.exchange),
            seq: Some(parked.seq),
            detail: format!("{whose} {}: {}", parked.operation, parked.reason),
        };
        Write { history: vec![line], ..Write::to(incident, Writer::Bridge) }
    }

    /// The peer was away for longer than the settings allow: what waited that long is parked. One alert for the peer.
    pub(super) async fn give_up(&self, alias: &Alias, peer: &PeerRecord) -> Result<(), EngineError> {
        /// Exchanges looked at in one go.
        const PAGE: usize = 500;
        let (now, span) = (self.now(), self.settings().retry.give_up_after);
        if !peer.given_up {
            let down_since = peer.down_since.map(|since| since.to_string());
            error!(event = "peer_given_up", peer = %alias, down_since, "the peer is away for too long; operations are parked");
            let peer = alias.clone();
            self.state()
                .transact::<_, EngineError, _>(move |transaction| {
                    let record = PeerRecord { given_up: true, ..transaction.peer(&peer)? };
                    Ok(transaction.put_peer(&peer, &record)?)
                })
                .await?;
        }
        loop {
            let peer = alias.clone();
            let overdue = self
                .state()
                .read(move |view| {
                    let mut overdue = Vec::new();
                    for entry in view.due(&Lane::Upstream(peer.clone()), now, PAGE) {
                        let Some(record) = view.exchange(&entry.key)? else { continue };
                        let Some(position) = record.pending.first() else { continue };
                        let Some(head) = view.outbox(&peer, *position)? else { continue };
                        if elapsed(head.queued_at, now) >= span {
                            overdue
                                .push((entry.key, format!("the peer could not be reached since {}", head.queued_at)));
                        }
                    }
                    Ok(overdue)
                })
                .await?;
            if overdue.is_empty() {
                return Ok(());
            }
            // One alert stands for them all.
            let tell = |key: &ExchangeKey, incident: Option<IncidentId>, entry: &Parked| {
                info!(
                    event = "operation_given_up",
                    peer = %key.peer,
                    exchange = %key.exchange,
                    incident = incident.map(|incident| incident.0),
                    operation = entry.operation.as_str(),
                    seq = entry.seq,
                    "parked; see `casebridge parked`"
                );
            };
            self.park_and_tell(overdue, HashMap::new(), tell).await?;
        }
    }

    /// Tries what is parked again, and files that were given up: of one incident, or of all. Returns how many.
    pub async fn retry(&self, incident: Option<IncidentId>, operator: &str) -> Result<RetryAnswer, EngineError> {
        /// Parked exchanges handled by one call.
        const LIMIT: usize = 10_000;
        let parked = self.state().read(|view| view.parked(LIMIT)).await?;
        let chosen: Vec<_> =
            parked.into_iter().filter(|(_, record)| incident.is_none() || record.incident() == incident).collect();
        let files = self.retry_files(incident, operator).await?;
        if chosen.is_empty()
            && files == 0
            && let Some(id) = incident
        {
            return Err(ProblemType::NotParked.with(format!("nothing of incident {id} is parked")).into());
        }
        let count = chosen.len() as u64;
        for (key, record) in chosen {
            let (again, scene) = (key.clone(), self.scene());
            let inbound = self
                .state()
                .transact::<_, EngineError, _>(move |transaction| settle::rearmed(transaction, &again, &scene))
                .await?;
            if let Some(incident) = record.incident() {
                let line = self.line(incident, Action::OperationRetried, operator, "to be tried again".into());
                self.write_one(Write { history: vec![line], ..Write::to(incident, Writer::Bridge) }).await?;
            }
            if let Some(inbound) = inbound {
                self.apply_held(&key, inbound).await?;
            }
            let nothing_waits = record.pending.is_empty() || record.leg.towards() == Towards::Client;
            if record.parked.is_some() && (record.progress.is_stopped() || nothing_waits) {
                self.go_on(key, &record).await?;
            }
        }
        info!(event = "operations_retried", count, files, "armed again");
        self.0.to_push.notify_one();
        Ok(RetryAnswer { rearmed: count, files })
    }

    /// What was left out while the exchange was stopped, or waited for a word: our changes are sent, and the upstream's record is read anew.
    async fn go_on(&self, key: ExchangeKey, record: &ExchangeRecord) -> Result<(), EngineError> {
        if record.leg.towards() == Towards::Upstream {
            self.adopt_again(&key.peer).await?;
        }
        if let Some(incident) = record.incident() {
            let peer = key.peer.clone();
            self.look_again(vec![(key, incident)]).await?;
            self.wake(&HashSet::from([peer]));
        }
        Ok(())
    }

    /// Operations of the peer's that could not take effect when they came, in order, as far as they can now. A
    /// person has said so: a key that nobody here knows is left aside.
    async fn apply_held(&self, key: &ExchangeKey, first: InboundEntry) -> Result<(), EngineError> {
        let settings = self.settings();
        let mut next = Some(first);
        while let Some(entry) = next {
            next = match decode(settings.fields(&key.peer), entry.operation.get(), Unknown::LeftAside)
                .and_then(|read| in_time(read, self.now()))
            {
                Ok(read) => self.apply_late(key, entry, read).await?,
                Err(problem) => {
                    let reason = problem.to_string();
                    let (key, now) = (key.clone(), self.now());
                    self.state()
                        .transact::<_, EngineError, _>(move |transaction| {
                            settle::held_again(transaction, &key, OperationKind::Update, entry.seq, &reason, now)
                        })
                        .await?;
                    None
                }
            };
        }
        Ok(())
    }
}
