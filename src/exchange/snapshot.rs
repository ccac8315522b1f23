//! How every exchange of one client stands: what a client re-adopts from, and what answers a question about one
//! transaction. Another client's exchange is as unknown as one that never was.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::digest::SLICE;
use super::fields::{tell, tell_case};
use super::{Engine, EngineError};
use crate::case::evidence::Travelled;
use crate::case::hide::{hide_in_case, hide_in_changes};
use crate::case::shadow::Mark;
use crate::case::{
    Action, Alias, Case, Changes, Downward, ExchangeId, FieldName, HistoryLine, Holder, Incident, IncidentId, Leg,
    Phase, Shadow, Texts, Towards, TransactionId,
};
use crate::protocol::{
    ExchangePage, ExchangeSnapshot, PAGE_BYTES, ProblemType, SnapshotStep, TransactionAnswer, TransactionList,
    TransactionStep,
};
use crate::state::{ExchangeKey, ExchangeRecord};
use crate::store::{Write, Writer};

impl Engine {
    /// Up to `limit` exchanges of a client after the given one.
    pub async fn exchanges(
        &self,
        client: &Alias,
        after: Option<ExchangeId>,
        limit: usize,
    ) -> Result<ExchangePage, EngineError> {
        // The cursor is read first: what happens while the page is made comes again with the feed, and is known by its
        // number.
        let cursor = self.feed_end(client).await?.to_string();
        let (mut exchanges, mut bytes, mut last) = (Vec::new(), 0, after);
        while exchanges.len() < limit && bytes < PAGE_BYTES {
            let (peer, count) = (client.clone(), SLICE.min(limit - exchanges.len()));
            let records = self.state().read(move |view| view.exchanges_after(&peer, last, count)).await?;
            let Some((key, _)) = records.last() else {
                return Ok(ExchangePage { cursor, exchanges, more: false });
            };
            last = Some(key.exchange);
            let ids: Vec<IncidentId> = records.iter().filter_map(|(_, record)| record.incident()).collect();
            let incidents: HashMap<IncidentId, Incident> =
                self.store().load(&ids).await?.incidents.into_iter().map(|incident| (incident.id, incident)).collect();
            let mut news = Vec::new();
            for (key, record) in records.into_iter().filter(|(_, record)| record.leg.towards() == Towards::Client) {
                if bytes >= PAGE_BYTES {
                    break;
                }
                let incident = record.incident().and_then(|id| incidents.get(&id));
                let snapshot = self.snapshot(&key, &record, incident);
                bytes += snapshot.record.get().len();
                news.extend(self.news_in(&key, &record, incident, &snapshot));
                exchanges.push(snapshot);
            }
            self.store().write(news).await?;
        }
        Ok(ExchangePage { cursor, exchanges, more: true })
    }

    /// These exchanges of a client, each with the record that both sites should have; unknown ones are left out. When the
    /// page is full, those after its last one are to be asked for again.
    pub async fn exchanges_of(
        &self,
        client: &Alias,
        exchanges: &[ExchangeId],
        texts: Texts,
    ) -> Result<ExchangePage, EngineError> {
        self.may_compare(client, texts)?;
        let cursor = self.feed_end(client).await?.to_string();
        let settings = self.settings();
        let (mut shown, mut bytes) = (Vec::with_capacity(exchanges.len()), 0);
        for slice in exchanges.chunks(SLICE) {
            let (pictures, mut news, before) = (self.pictures(client, slice).await?, Vec::new(), shown.len());
            let ours: Vec<_> = pictures.iter().filter(|one| one.record.leg.towards() == Towards::Client).collect();
            for one in &ours {
                if bytes >= PAGE_BYTES {
                    break;
                }
                let snapshot = self.snapshot(&one.key, &one.record, one.incident.as_ref());
                news.extend(self.news_in(&one.key, &one.record, one.incident.as_ref(), &snapshot));
                // In motion there is nothing to compare.
                let at_rest = one.incident.as_ref().filter(|_| !one.in_motion);
                let agreed = at_rest.map(|incident| one.agreed(incident, settings.fields(client), texts));
                bytes += snapshot.record.get().len();
                shown.push(ExchangeSnapshot { agreed, ..snapshot });
            }
            self.store().write(news).await?;
            if shown.len() - before < ours.len() {
                return Ok(ExchangePage { cursor, exchanges: shown, more: true });
            }
        }
        Ok(ExchangePage { cursor, exchanges: shown, more: false })
    }

    /// The entry of a history for what a client reads here and no operation has told it (H-07).
    fn news_in(
        &self,
        key: &ExchangeKey,
        record: &ExchangeRecord,
        incident: Option<&Incident>,
        snapshot: &ExchangeSnapshot,
    ) -> Option<Write> {
        let incident = incident?;
        let told = self.told_whole(key, record.holder, record.shadow.case.as_ref(), &as_told(incident, &record.shadow));
        // What is parked may never have come there.
        if told.get() == snapshot.record.get() && record.parked.is_none() {
            return None;
        }
        let client = &key.peer;
        Some(Write {
            history: vec![HistoryLine {
                exchange: Some(key.exchange),
                seq: Some(0),
                ..self.line_of_daemon(incident.id, Action::Shown, format!("{client} has read the record as it stands"))
            }],
            travelled: Some(Travelled::shown(client, &snapshot.record)),
            ..Write::to(incident.id, Writer::Bridge)
        })
    }

    /// How an exchange stands, with what the client may know of the record.
    fn snapshot(&self, key: &ExchangeKey, record: &ExchangeRecord, incident: Option<&Incident>) -> ExchangeSnapshot {
        let told = incident.filter(|incident| !incident.active).map(|incident| as_told(incident, &record.shadow));
        let incident = told.as_ref().or(incident);
        let known = record.shadow.case.as_ref();
        let step = match (&record.leg, incident.map(|incident| incident.work.phase)) {
            (Leg::Downward(Downward::Received), _) | (_, None) => SnapshotStep::Received,
            (Leg::Downward(Downward::Rejected { .. }), _) => SnapshotStep::Rejected,
            (Leg::Downward(Downward::Closed { .. }), _) | (_, Some(Phase::Close)) => SnapshotStep::Closed,
            (_, Some(Phase::Review)) => SnapshotStep::Resolved,
            _ => SnapshotStep::Open,
        };
        let reference = incident.and_then(|incident| {
            incident.references.iter().find(|one| one.exchange == key.exchange && one.peer == key.peer)
        });
        ExchangeSnapshot {
            exchange: key.exchange,
            incident: reference.and_then(|reference| reference.peer_incident).unwrap_or(IncidentId(0)),
            transaction: transaction(record),
            step,
            applied: record.applied,
            sent: record.sent,
            record: match incident {
                Some(incident) => self.told_whole(key, record.holder, known, incident),
                None => tell(self.settings().fields(&key.peer), Changes::default()),
            },
            agreed: None,
        }
    }

    /// What a client may know of a record, in the words that travel.
    pub(super) fn told_whole(
        &self,
        key: &ExchangeKey,
        holder: Holder,
        known: Option<&Case>,
        incident: &Incident,
    ) -> Box<RawValue> {
        let scene = self.scene();
        let counterpart = scene.counterpart(&key.peer, Towards::Client, holder);
        let fields = counterpart.fields;
        let announced = incident.announced.iter().filter(|one| one.peer == key.peer);
        let changes = Changes {
            case: incident.case.clone().map(|case| match known {
                // A status without a word waits for a person; until then the peer knows the last one that had one.
                Some(known) if fields.word(FieldName::CaseStatus, &case.status).is_none() => known.clone(),
                _ => case,
            }),
            solution: Some(incident.work.solution.clone()),
            completion_code: Some(incident.work.completion_code),
            expected_resolution: Some(incident.work.expected_resolution),
            comments: counterpart.shared(incident),
            attachments: announced.map(|one| one.note.clone()).collect(),
            milestones: counterpart.told_milestones(incident),
            deadlines: counterpart.told_deadlines(incident),
        };
        let hides = scene.settings.hides_addresses_from(&key.peer);
        tell(fields, if hides { hide_in_changes(changes) } else { changes })
    }

    /// The transactions of some exchanges; unknown ones are left out.
    pub async fn transactions(
        &self,
        client: &Alias,
        exchanges: Vec<ExchangeId>,
    ) -> Result<TransactionList, EngineError> {
        let peer = client.clone();
        let records = self
            .state()
            .read(move |view| {
                let mut records = Vec::new();
                for exchange in exchanges {
                    let key = ExchangeKey::new(&peer, exchange);
                    records.extend(view.exchange(&key)?.map(|record| (key, record)));
                }
                Ok(records)
            })
            .await?;
        let ids: Vec<IncidentId> = records.iter().filter_map(|(_, record)| record.incident()).collect();
        // Of an exchange that is switched off the client knows the case that it was told last (C-59).
        let mut cases: HashMap<IncidentId, Option<Case>> = HashMap::new();
        for slice in ids.chunks(SLICE) {
            let loaded = self.store().load(slice).await?.incidents.into_iter();
            cases.extend(loaded.map(|one| (one.id, one.case.filter(|_| one.active))));
        }
        let settings = self.settings();
        let hides = settings.hides_addresses_from(client);
        let shown = |case: Case| if hides { hide_in_case(case) } else { case };
        let answer = |(key, record): (ExchangeKey, ExchangeRecord)| TransactionAnswer {
            exchange: key.exchange,
            transaction: transaction(&record),
            step: transaction_step(&record),
            case: record
                .incident()
                .and_then(|id| cases.get(&id).cloned())
                .and_then(|case| case.or_else(|| record.shadow.case.clone()))
                .map(shown)
                .and_then(|case| tell_case(settings.fields(client), case, record.shadow.case.as_ref())),
        };
        Ok(TransactionList { transactions: records.into_iter().map(answer).collect() })
    }

    /// One transaction by its ID.
    pub async fn transaction(&self, client: &Alias, id: &str) -> Result<TransactionAnswer, EngineError> {
        let unknown = || EngineError::from(ProblemType::NotFound.with("there is no such transaction"));
        let incident: IncidentId = IncidentId(id.parse().map_err(|_| unknown())?);
        // One transaction has one spelling.
        if incident.to_string() != id {
            return Err(unknown());
        }
        let loaded = self.store().load(&[incident]).await?.incidents;
        let reference = loaded
            .first()
            .and_then(|incident| {
                incident.references.iter().find(|one| one.towards == Towards::Client && one.peer == *client)
            })
            .ok_or_else(unknown)?;
        let answer = self.transactions(client, vec![reference.exchange]).await?;
        answer.transactions.into_iter().next().ok_or_else(unknown)
    }
}

/// The record as the client was told of it: what changed since the exchange was switched off stays here (C-59).
fn as_told(incident: &Incident, shadow: &Shadow) -> Incident {
    let mut told = incident.clone();
    let is_known = |text: &String| shadow.solution == Some(Mark::of(text));
    let short = || shadow.solution.as_ref().and_then(Mark::text).map(str::to_owned);
    told.work.solution = incident.work.solution.clone().filter(is_known).or_else(short);
    (told.work.phase, told.work.completion_code) = (shadow.phase, shadow.completion_code);
    told.work.expected_resolution = shadow.expected_resolution;
    told.case = shadow.case.clone();
    told.comments.retain(|one| one.position <= shadow.comments);
    told.announced.retain(|one| one.position <= shadow.attachments);
    told.milestones.retain(|one| one.position <= shadow.milestones);
    told.deadlines.retain(|one| one.position <= shadow.deadlines);
    told
}

fn transaction(record: &ExchangeRecord) -> Option<TransactionId> {
    record.incident().and_then(|id| id.to_string().parse().ok())
}

fn transaction_step(record: &ExchangeRecord) -> TransactionStep {
    match &record.leg {
        Leg::Downward(Downward::Received) => TransactionStep::Received,
        Leg::Downward(Downward::Open { .. }) => TransactionStep::Open,
        Leg::Downward(Downward::Closed { .. }) => TransactionStep::Closed,
        Leg::Downward(Downward::Rejected { .. }) => TransactionStep::Rejected,
        Leg::Downward(Downward::Deciding { .. }) | Leg::Upward { .. } => TransactionStep::Pending,
    }
}
