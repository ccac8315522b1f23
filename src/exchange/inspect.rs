//! What people ask: how does the site stand, what waits, what is parked, everything about one incident.

use std::collections::HashSet;
use std::sync::PoisonError;

use jiff::Timestamp;

use super::{Engine, EngineError, why};
use crate::case::text::counted;
use crate::case::{Alias, Comment, Incident, IncidentId, Leg, Standing, Submission, Towards};
use crate::config::Settings;
use crate::config::settings::Client;
use crate::config::token::{Holder, Operator, Token};
use crate::protocol::ProblemType;
use crate::protocol::external::External;
use crate::protocol::operator::{
    CommentDetail, ExchangeDetail, IncidentDetail, IncidentPage, IncidentQuery, IncidentRow, OutboxPage, OutboxRow,
    ParkedPage, ParkedRow, PeerStatus, StatusAnswer,
};
use crate::state::{ExchangeKey, ExchangeRecord, OutboxEntry, PeerRecord, View};
use crate::store::{ListFilter, ListOrder, ListQuery};

/// So many of one kind are named in the warnings.
const NAMED: usize = 5;

/// Clients as which nobody can come in, a sentence each for the first of them.
fn locked_out(settings: &Settings) -> Vec<String> {
    let with_token: HashSet<&Alias> = settings.tokens.iter().filter_map(Token::client).collect();
    let out = settings.clients.iter().filter(|client| {
        client.login.is_none() && client.certificate_name.is_none() && !with_token.contains(&client.alias)
    });
    let sentence =
        |client: &Client| format!("nobody can come in as {0}; see `casebridge token new --client {0}`", client.alias);
    out.take(NAMED).map(sentence).collect()
}

/// Tokens whose role is not in the configuration, which gives them nothing; a sentence each for the first of them.
fn without_role(settings: &Settings) -> Vec<String> {
    let lost = settings.tokens.iter().filter_map(|token| match &token.holder {
        Holder::Operator(Operator { role: Some(role), .. }) if settings.role(role).is_none() => {
            Some(format!("token {} of {} has the role {role:?}, of which there is no [[role]]", token.id, token.holder))
        }
        _ => None,
    });
    lost.take(NAMED).collect()
}

/// Entries counted before a count becomes "at least".
const COUNT_LIMIT: usize = 100_000;

/// Files that were given up and are counted.
const FAILED: usize = 1_000;

impl Engine {
    pub async fn status(&self) -> Result<StatusAnswer, EngineError> {
        let settings = self.settings();
        let clients: Vec<Alias> = settings.clients.iter().map(|client| client.alias.clone()).collect();
        let upstream = settings.upstream.as_ref().map(|upstream| upstream.alias.clone());
        let has_upstream = upstream.is_some();
        let (records, exchanges, parked) = self
            .state()
            .read(move |view| {
                let mut records = Vec::new();
                for alias in upstream.into_iter().chain(clients) {
                    let queued = view.outbox_len(&alias, COUNT_LIMIT)?;
                    records.push((view.peer(&alias)?, queued, alias));
                }
                Ok((records, view.count()?, view.parked_count(COUNT_LIMIT)))
            })
            .await?;
        let mut peers = Vec::with_capacity(records.len());
        for (index, (record, queued, alias)) in records.into_iter().enumerate() {
            let towards = if has_upstream && index == 0 { Towards::Upstream } else { Towards::Client };
            peers.push(self.peer_status(alias, towards, record, queued));
        }
        let mut warnings = Vec::new();
        for peer in &peers {
            if peer.clock_difference_seconds.is_some_and(|seconds| seconds.abs() > 30.0) {
                warnings.push(format!("the clocks of this site and of {} differ by more than 30 s", peer.alias));
            }
            if let Some(error) = &peer.last_error {
                warnings.push(format!("{}: {error}", peer.alias));
            }
        }
        if let Some(fault) = self.store().trouble() {
            warnings.push(format!("nothing was stored the last time: {fault}"));
        }
        warnings.extend(self.0.failing.warnings());
        warnings.extend(self.ending_soon());
        warnings.extend(locked_out(&settings));
        warnings.extend(without_role(&settings));
        if parked > 0 {
            let exchanges = counted(parked, "exchange needs", "exchanges need");
            warnings.push(format!("{exchanges} a person; see `casebridge parked`"));
        }
        let failed = self.store().failed_files(None, FAILED).await?;
        if let Some(first) = failed.first() {
            let least = if failed.len() < FAILED { "" } else { "at least " };
            let files = counted(failed.len(), "file was", "files were");
            warnings.push(format!(
                "{least}{files} given up on the way, one of incident {0}; see `casebridge why {0}`",
                first.incident
            ));
        }
        let unreadable = self.0.unreadable.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(first) = unreadable.first() {
            let count = unreadable.len();
            warnings.push(format!(
                "{count} incidents do not read and are left alone, {first} for one; `casebridge why {first}` says what to correct"
            ));
        }
        warnings.extend(self.0.strains.warnings(self.now()));
        warnings.extend(self.mail_warnings().await?);
        warnings.extend(self.0.overlooked.warnings(&settings.mail_inboxes));
        if self.state().has_blobs() {
            warnings.push("the state database writes files that it does not sync; please report this".into());
        }
        Ok(StatusAnswer {
            alias: settings.site.alias.to_string(),
            version: env!("CARGO_PKG_VERSION").into(),
            started_at: self.0.started_at,
            queued: peers.iter().map(|peer| peer.queued).sum(),
            peers,
            exchanges,
            parked,
            warnings,
        })
    }

    fn peer_status(&self, alias: Alias, towards: Towards, record: PeerRecord, queued: u64) -> PeerStatus {
        let contact = match towards {
            Towards::Upstream => record,
            Towards::Client => {
                let contacts = self.0.contacts.lock().unwrap_or_else(PoisonError::into_inner);
                contacts.get(&alias).cloned().unwrap_or_default()
            }
        };
        let health = if contact.unauthorized {
            "unauthorized"
        } else if contact.down_since.is_some() {
            "down"
        } else if contact.last_contact.is_some() {
            "up"
        } else {
            "unknown"
        };
        PeerStatus {
            alias: alias.to_string(),
            towards: towards.as_str().into(),
            health: health.into(),
            last_contact: contact.last_contact,
            next_attempt: contact.next_attempt,
            // Those of an outage that is over count for the next one only.
            attempts: contact.down_since.map_or(0, |_| contact.attempts),
            last_error: contact.last_error,
            version: contact.version,
            clock_difference_seconds: contact.clock_difference.map(|difference| difference as f64 / 1000.0),
            queued,
        }
    }

    /// Operations that peers have not acknowledged, the oldest first, up to `limit` for each peer.
    pub async fn outbox(&self, limit: usize) -> Result<OutboxPage, EngineError> {
        let settings = self.settings();
        let peers: Vec<Alias> = settings
            .upstream
            .iter()
            .map(|upstream| upstream.alias.clone())
            .chain(settings.clients.iter().map(|client| client.alias.clone()))
            .collect();
        let page = self
            .state()
            .read(move |view| {
                let mut page = OutboxPage { operations: Vec::new(), total: 0 };
                for peer in peers {
                    let health = view.peer(&peer)?;
                    page.total += view.outbox_len(&peer, COUNT_LIMIT)?;
                    for (position, entry) in view.outbox_after(&peer, 0, limit)? {
                        let key = ExchangeKey::new(&peer, entry.exchange);
                        let record = view.exchange(&key)?;
                        page.operations.push(outbox_row(&peer, position, entry, record.as_ref(), &health));
                    }
                }
                Ok(page)
            })
            .await?;
        Ok(page)
    }

    /// What needs a person.
    pub async fn parked(&self, limit: usize) -> Result<ParkedPage, EngineError> {
        let (parked, total) =
            self.state().read(move |view| Ok((view.parked(limit)?, view.parked_count(COUNT_LIMIT)))).await?;
        let rows = parked.into_iter().flat_map(|(key, record)| {
            let incident = record.incident().map(|incident| incident.0);
            let both = record.parked.into_iter().chain(record.held);
            both.map(move |parked| ParkedRow {
                incident,
                exchange: key.exchange,
                peer: key.peer.to_string(),
                operation: parked.operation.to_string(),
                seq: parked.seq,
                since: parked.since,
                reason: parked.reason,
            })
        });
        Ok(ParkedPage { parked: rows.collect(), total })
    }

    /// One page of incidents.
    pub async fn incidents(&self, query: &IncidentQuery) -> Result<IncidentPage, EngineError> {
        let list = list_query(query)?;
        let page = self.store().list(&list).await?;
        let by_policy = self.on_their_way_by_policy(&page.loaded.incidents).await?;
        let row = |incident: &Incident| row(incident, by_policy.contains(&incident.id));
        Ok(IncidentPage {
            incidents: page.loaded.incidents.iter().map(row).collect(),
            unreadable: page.loaded.unreadable.iter().map(|(id, _)| id.0).collect(),
            next: page.next,
        })
    }

    /// What a policy has submitted; the record learns of it when the upstream has taken it.
    async fn on_their_way_by_policy(&self, incidents: &[Incident]) -> Result<HashSet<IncidentId>, EngineError> {
        let scene = self.scene();
        let unknown = |one: &&Incident| one.submission == Submission::Undecided && one.references.is_empty();
        let key = |one: &Incident| Some((one.id, super::settle::upward_key(&scene, one)?));
        let keys: Vec<_> = incidents.iter().filter(unknown).filter_map(key).collect();
        let found = move |view: View<'_>| {
            let mut found = HashSet::new();
            for (id, key) in keys {
                if view.exchange(&key)?.is_some_and(|record| record.submitted_by.is_some()) {
                    found.insert(id);
                }
            }
            Ok(found)
        };
        Ok(self.state().read(found).await?)
    }

    /// Everything about one incident.
    pub async fn show(&self, id: IncidentId) -> Result<IncidentDetail, EngineError> {
        /// Lines of history shown.
        const HISTORY: usize = 1000;
        let incident = self.incident(id).await?;
        let known = self.known(&incident).await?;
        // What an operation does is in the store before it is in state: read last, the record is never behind its step.
        let incident = self.incident(id).await?;
        let by_policy = self.on_their_way_by_policy(std::slice::from_ref(&incident)).await?;
        Ok(IncidentDetail {
            row: row(&incident, !by_policy.is_empty()),
            problem_class: incident.event.problem_class.clone(),
            service_type: incident.event.service_type.clone(),
            event_type: incident.event.event_type.clone(),
            event_type_group: incident.event.event_type_group.clone(),
            description: incident.event.description.clone(),
            solution: incident.work.solution.clone(),
            completion_code: incident.work.completion_code.map(|code| code.as_str().to_owned()),
            expected_resolution: incident.work.expected_resolution,
            upstream_case: incident.upstream_case.clone(),
            own_case: incident.own_case,
            trace_route: incident.trace_route.iter().map(ToString::to_string).collect(),
            manifest: incident.event.manifest.clone(),
            form: incident.form.clone(),
            contacts: self.people(id).await?,
            comments: incident.comments.iter().map(comment_detail).collect(),
            attachments: self.store().attachments(id).await?,
            transfers: self.store().transfers(id).await?,
            exchanges: known
                .into_iter()
                .map(|one| exchange_detail(one, &incident, &self.settings().site.alias))
                .collect(),
            history: self.store().history(id, HISTORY).await?,
        })
    }

    /// The exchanges of an incident, as state knows them.
    pub(super) async fn known(&self, incident: &Incident) -> Result<Vec<Known>, EngineError> {
        let mut keys: Vec<ExchangeKey> =
            incident.references.iter().map(|one| ExchangeKey::new(&one.peer, one.exchange)).collect();
        if let Some(key) = super::settle::upward_key(&self.scene(), incident)
            && !keys.contains(&key)
        {
            keys.push(key);
        }
        let known = self
            .state()
            .read(move |view| {
                let mut known = Vec::new();
                for key in keys {
                    let Some(record) = view.exchange(&key)? else { continue };
                    let mut pending = Vec::new();
                    let health = view.peer(&key.peer)?;
                    if record.leg.towards() == Towards::Upstream {
                        for position in &record.pending {
                            pending.extend(view.outbox(&key.peer, *position)?.map(|entry| (*position, entry)));
                        }
                    } else {
                        let waiting = view.outbox_after(&key.peer, 0, 10_000)?;
                        pending.extend(waiting.into_iter().filter(|(_, entry)| entry.exchange == key.exchange));
                    }
                    known.push(Known { key, record, pending, health });
                }
                Ok(known)
            })
            .await?;
        Ok(known)
    }
}

/// One exchange with what is on its way, and how its peer is.
pub(super) struct Known {
    pub key: ExchangeKey,
    pub record: ExchangeRecord,
    /// With their places in the outbox.
    pub pending: Vec<(u64, OutboxEntry)>,
    pub health: PeerRecord,
}

impl Known {
    pub fn needs_a_person(&self) -> bool {
        self.record.parked.is_some() || self.record.held.is_some()
    }
}

/// How the record stands at the other site (C-58).
fn external(known: &Known, transaction: Option<&String>, incident: &Incident, own: &Alias) -> External {
    let towards = known.record.leg.towards();
    let case = incident.upstream_case.as_ref().or(incident.case.as_ref());
    let reference = incident.references.iter().find(|one| one.exchange == known.key.exchange);
    let (id, status) = match towards {
        Towards::Upstream => {
            (case.map(|case| case.id.to_string()).or(transaction.cloned()), case.map(|case| case.status.clone()))
        }
        Towards::Client => (
            reference.and_then(|one| one.peer_incident).map(|id| id.to_string()),
            reference.map(|one| one.standing.as_str().to_owned()),
        ),
    };
    External {
        id,
        status,
        created_at: incident.created_at,
        active: incident.active,
        originator: incident.trace_route.first().unwrap_or(own).to_string(),
        integration: format!("{} {}", towards.as_str(), known.key.peer),
    }
}

fn comment_detail(comment: &Comment) -> CommentDetail {
    CommentDetail { comment: comment.clone(), origin: comment.origin.as_ref().map(ToString::to_string) }
}

fn exchange_detail(known: Known, incident: &Incident, own: &Alias) -> ExchangeDetail {
    let waits_for = why::of_exchange(&known, incident).waits_for;
    let transaction = match &known.record.leg {
        Leg::Upward { step, .. } => step.transaction().map(ToString::to_string),
        Leg::Downward(step) => step.incident().map(|incident| incident.to_string()),
    };
    let external = external(&known, transaction.as_ref(), incident, own);
    let Known { key, record, pending, health } = known;
    let towards = record.leg.towards();
    let probe = resting(&record, &health);
    ExchangeDetail {
        external,
        exchange: key.exchange,
        peer: key.peer.to_string(),
        towards: towards.as_str().into(),
        step: record.leg.name().into(),
        since: record.since,
        waits_for,
        next_attempt: probe.or(record.due.as_ref().map(|due| due.at)),
        attempts: record.due.as_ref().map_or(0, |due| due.attempts),
        last_error: last_error(&record, &health),
        parked: record.parked.as_ref().or(record.held.as_ref()).map(|parked| parked.reason.clone()),
        transaction,
        sent: record.sent,
        applied: record.applied,
        pending: pending
            .into_iter()
            .map(|(position, entry)| outbox_row(&key.peer, position, entry, Some(&record), &health))
            .collect(),
    }
}

/// While the upstream is down, nothing is tried before its next probe.
fn resting(record: &ExchangeRecord, health: &PeerRecord) -> Option<Timestamp> {
    let upstream_is_down = record.leg.towards() == Towards::Upstream && health.down_since.is_some();
    health.next_attempt.filter(|_| upstream_is_down && record.parked.is_none())
}

fn last_error(record: &ExchangeRecord, health: &PeerRecord) -> Option<String> {
    let own = record.due.as_ref().and_then(|due| due.last_error.clone());
    own.or_else(|| resting(record, health).and(health.last_error.clone()))
}

fn outbox_row(
    peer: &Alias,
    position: u64,
    entry: OutboxEntry,
    record: Option<&ExchangeRecord>,
    health: &PeerRecord,
) -> OutboxRow {
    let due = record.and_then(|record| record.due.as_ref());
    let probe = record.and_then(|record| resting(record, health));
    OutboxRow {
        peer: peer.to_string(),
        position,
        exchange: entry.exchange,
        incident: record.and_then(ExchangeRecord::incident).map(|incident| incident.0),
        seq: entry.seq,
        operation: entry.kind.to_string(),
        queued_at: entry.queued_at,
        changes: entry.told,
        attempts: due.map_or(0, |due| due.attempts),
        next_attempt: probe.or(due.map(|due| due.at)),
        last_error: record.and_then(|record| last_error(record, health)),
    }
}

fn row(incident: &Incident, on_its_way_by_policy: bool) -> IncidentRow {
    let submission = if on_its_way_by_policy { Submission::Requested } else { incident.submission };
    let upwards = incident.references.iter().filter(|reference| reference.towards == Towards::Upstream);
    // Those that were rejected may stand beside the present one.
    let upward = upwards.max_by_key(|reference| reference.standing != Standing::Rejected);
    let reference = upward.or(incident.references.first());
    let on_its_way = submission == Submission::Requested && reference.is_none();
    let standing = reference.map(|one| one.standing).or(on_its_way.then_some(Standing::Submitted));
    let text = |value: &Option<String>| value.clone();
    IncidentRow {
        incident: incident.id.0,
        host_event_id: incident.event.host_event_id.clone(),
        kind: incident.event.kind.as_str().into(),
        synopsis: incident.event.synopsis.clone(),
        priority: incident.form.priority.or(incident.event.priority).map(|priority| priority.to_string()),
        severity: text(&incident.event.severity),
        device: text(&incident.event.device),
        serial: text(&incident.event.serial),
        group: text(&incident.group),
        client: incident.client.as_ref().map(ToString::to_string),
        occurred_at: incident.event.occurred_at,
        created_at: incident.created_at,
        submission: submission.as_str().into(),
        phase: incident.work.phase.as_str().into(),
        standing: standing.map(|standing| standing.as_str().into()),
        transaction: match upward {
            Some(reference) => reference.transaction.as_ref().map(ToString::to_string),
            // A client knows it by our number.
            None => incident.client.as_ref().map(|_| incident.id.to_string()),
        },
        case_id: incident.case.as_ref().map(|case| case.id.to_string()),
        case_link: incident.case.as_ref().and_then(|case| case.link.as_ref()).map(ToString::to_string),
        case_status: incident.case.as_ref().map(|case| case.status.clone()),
        tracking_number: incident.form.tracking_number.clone(),
    }
}

fn list_query(query: &IncidentQuery) -> Result<ListQuery, EngineError> {
    let filters = [
        (ListFilter::Group, &query.group),
        (ListFilter::Client, &query.client),
        (ListFilter::Device, &query.device),
        (ListFilter::Kind, &query.kind),
        (ListFilter::Priority, &query.priority),
        (ListFilter::Submission, &query.submission),
        (ListFilter::Standing, &query.standing),
        (ListFilter::Phase, &query.phase),
        (ListFilter::TrackingNumber, &query.tracking_number),
        (ListFilter::CaseId, &query.case_id),
    ];
    let sort = query.sort.as_deref().unwrap_or("id");
    let (order, descending) = match sort.strip_prefix('-') {
        Some(order) => (order, true),
        None => (sort, false),
    };
    let order = match order {
        "id" => ListOrder::Id,
        "created_at" => ListOrder::CreatedAt,
        "priority" => ListOrder::Priority,
        "device" => ListOrder::Device,
        "group" => ListOrder::Group,
        _ => {
            let known = "`sort` must be id, created_at, priority, device or group, with - in front to reverse";
            return Err(ProblemType::BadRequest.with(known).into());
        }
    };
    Ok(ListQuery {
        filters: filters.into_iter().filter_map(|(filter, value)| Some((filter, value.clone()?))).collect(),
        order,
        descending,
        after: query.after.clone(),
        limit: query.limit.unwrap_or(100).clamp(1, 1000),
    })
}
