//! Clients' incidents, each opened once: the unique (peer, exchange) of the reference and the incident are written in
//! one transaction (design, invariant 2).

use std::collections::HashMap;

use serde_json::json;
use sqlx::{Row, SqliteConnection};

use super::contacts::{self, Telling};
use super::history::{NewEntry, append};
use super::read::{self, json as to_json};
use super::rows::{self, Cell};
use super::write::{comment_rows, insert_comments};
use crate::case::{
    Action, Alias, Case, Comment, ContentDigest, ExchangeId, HandOver, HistoryLine, Holder, Incident, IncidentId,
    Person, Priority, Reference, Standing, Submission, Towards, Work,
};
use crate::store::{Open, Opened, StoreError};

pub async fn open(connection: &mut SqliteConnection, opens: Vec<Open>) -> Result<Vec<Opened>, StoreError> {
    let known = known(connection, &opens).await?;
    // The write lock is held, so nobody else can take these numbers.
    let mut last: i64 = sqlx::query_scalar(
        "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'incident'), 0), \
           coalesce((SELECT max(id) FROM incident), 0))",
    )
    .fetch_one(&mut *connection)
    .await?;
    let mut fresh: HashMap<(Alias, ExchangeId), (Incident, ContentDigest)> = HashMap::new();
    let mut order = Vec::with_capacity(opens.len());
    for open in opens {
        let key = (open.peer.clone(), open.exchange);
        let is_new = !known.contains_key(&key) && !fresh.contains_key(&key);
        if is_new {
            last =
                last.checked_add(1).ok_or_else(|| StoreError::Failed("there is no higher incident number".into()))?;
            let sha256 = open.sha256.clone();
            let recipient = open.create.form.recipient.as_ref().filter(|_| open.accept.is_some());
            let contact = match recipient {
                Some(address) => contacts::own(connection, address).await?,
                None => None,
            };
            fresh.insert(key.clone(), (made(IncidentId(last), open, contact)?, sha256));
        }
        order.push((key, is_new));
    }
    let new: Vec<&(Incident, ContentDigest)> =
        order.iter().filter(|(_, is_new)| *is_new).filter_map(|(key, _)| fresh.get(key)).collect();
    insert(connection, &new).await?;

    let ids: Vec<IncidentId> = known.values().copied().collect();
    let loaded = if ids.is_empty() { Vec::new() } else { read::load(connection, &ids).await?.incidents };
    let by_id: HashMap<IncidentId, Incident> = loaded.into_iter().map(|incident| (incident.id, incident)).collect();
    order
        .into_iter()
        .map(|(key, new)| {
            let incident = match known.get(&key) {
                Some(id) => by_id.get(id),
                None => fresh.get(&key).map(|(incident, _)| incident),
            };
            let incident = incident.cloned().ok_or_else(|| StoreError::Failed("an opened incident is gone".into()))?;
            Ok(Opened { incident, new })
        })
        .collect()
}

/// Which of them are there already.
async fn known(
    connection: &mut SqliteConnection,
    opens: &[Open],
) -> Result<HashMap<(Alias, ExchangeId), IncidentId>, StoreError> {
    let keys: Vec<_> = opens.iter().map(|open| json!([open.peer, open.exchange])).collect();
    let rows = sqlx::query(
        "SELECT j.key, r.incident FROM jsonb_each(?) j \
         JOIN reference r ON r.peer = j.value ->> 0 AND r.exchange = j.value ->> 1",
    )
    .bind(to_json(&keys))
    .fetch_all(&mut *connection)
    .await?;
    let mut known = HashMap::new();
    for row in rows {
        let index: i64 = row.try_get(0)?;
        if let Some(open) = opens.get(index as usize) {
            known.insert((open.peer.clone(), open.exchange), IncidentId(row.try_get(1)?));
        }
    }
    Ok(known)
}

/// The incident as it will stand in the store.
fn made(id: IncidentId, open: Open, contact: Option<Person>) -> Result<Incident, StoreError> {
    let case = match &open.accept {
        Some(template) => {
            let filled = template.fill(id, &open.peer);
            let unfit = |fault| StoreError::Failed(format!("the case template gives no case ID or link: {fault}"));
            Some(Case { contact, ..filled.map_err(unfit)? })
        }
        None => None,
    };
    let from_peer =
        |comment: Comment| Comment { origin: Some(open.peer.clone()), came_in: Some(open.exchange), ..comment };
    Ok(Incident {
        id,
        revision: 1 + open.create.comments.len() as i64,
        generation: 0,
        group: None,
        trace_route: open.create.trace_route,
        created_at: open.at,
        event: open.create.event,
        submission: open.submission,
        assignment: None,
        active: true,
        form: open.create.form,
        work: Work::default(),
        references: vec![Reference {
            peer: open.peer.clone(),
            exchange: open.exchange,
            towards: Towards::Client,
            peer_incident: Some(open.create.incident),
            transaction: None,
            applied: 1,
            holder: Holder::at_first(Towards::Client),
            standing: if case.is_some() { Standing::Created } else { Standing::Acknowledged },
        }],
        case,
        upstream_case: None,
        own_case: Default::default(),
        announced: Vec::new(),
        milestones: Vec::new(),
        deadlines: Vec::new(),
        comments: open.create.comments.into_iter().map(from_peer).collect(),
        client: Some(open.peer),
    })
}

async fn insert(connection: &mut SqliteConnection, made: &[&(Incident, ContentDigest)]) -> Result<(), StoreError> {
    if made.is_empty() {
        return Ok(());
    }
    let incidents: Vec<&Incident> = made.iter().map(|(incident, _)| incident).collect();
    // Who asks is the client: of its people nothing is told. `bridge` is 1 where the detector has no news in what the bridge opened.
    let row = |incident: &&Incident| -> [Cell; 28] {
        let (event, case, at) = (&incident.event, incident.case.as_ref(), incident.created_at.to_string());
        let client = incident.client.as_ref().map(Alias::as_str);
        [
            incident.id.0.into(),
            (incident.submission == Submission::Held).into(),
            client.into(),
            to_json(&incident.trace_route).into(),
            at.as_str().into(),
            at.as_str().into(),
            event.host_event_id.as_str().into(),
            event.kind.as_str().into(),
            event.synopsis.as_str().into(),
            event.description.as_str().into(),
            event.priority.map(Priority::as_str).into(),
            event.severity.as_deref().into(),
            event.problem_class.as_deref().into(),
            event.service_type.as_deref().into(),
            event.event_type.as_deref().into(),
            event.event_type_group.as_deref().into(),
            event.occurred_at.map(|at| at.to_string()).into(),
            event.device.as_deref().into(),
            event.serial.as_deref().into(),
            to_json(&event.manifest).into(),
            incident.submission.as_str().into(),
            to_json(&incident.form).into(),
            case.map(|case| case.id.to_string()).into(),
            case.and_then(|case| case.link.as_ref()).map(ToString::to_string).into(),
            case.map(|case| case.status.as_str()).into(),
            case.and_then(|case| case.contact.as_ref()).map(to_json).into(),
            client.into(),
            client.map(|_| "CUSTOMER").into(),
        ]
    };
    rows::execute(
        connection,
        "INSERT INTO incident (id, bridge, client, trace_route, created_at, updated_at, host_event_id, kind, synopsis, \
           description, priority, severity, problem_class, service_type, event_type, event_type_group, occurred_at, \
           device, serial, manifest, submission, form, case_id, case_link, case_status, case_contact, \
           initiator, initiator_type) VALUES",
        "",
        incidents.iter().map(row).collect(),
    )
    .await?;

    let reference = |incident: IncidentId| {
        move |one: &Reference| -> [Cell; 8] {
            [
                one.peer.as_str().into(),
                one.exchange.to_string().into(),
                incident.0.into(),
                "client".into(),
                "us".into(),
                one.applied.into(),
                one.standing.as_str().into(),
                one.peer_incident.map(|incident| incident.0).into(),
            ]
        }
    };
    rows::execute(
        connection,
        "INSERT INTO reference (peer, exchange, incident, towards, holder, applied, standing, peer_incident) VALUES",
        "",
        incidents.iter().flat_map(|one| one.references.iter().map(reference(one.id))).collect(),
    )
    .await?;

    let comments = incidents.iter().flat_map(|incident| comment_rows(incident.id, &incident.comments)).collect();
    insert_comments(connection, comments).await?;
    let mut lines = Vec::with_capacity(incidents.len());
    for (incident, sha256) in made {
        let line = |action: Action, detail: String| HistoryLine {
            incident: incident.id,
            at: incident.created_at,
            who: incident.client.as_ref().map_or_else(String::new, |client| format!("peer {client}")),
            action: action.as_str().into(),
            exchange: incident.references.first().map(|reference| reference.exchange),
            seq: Some(1),
            detail,
        };
        let opened = line(Action::IncidentOpened, format!("create received, transaction {}", incident.id));
        lines.push((incident, opened, Some(sha256)));
        if let Some(Case { id, .. }) = &incident.case {
            let mut accepted = line(Action::CaseAccepted, format!("case {id} opened by policy"));
            (accepted.who, accepted.seq) = ("casebridge".into(), None);
            lines.push((incident, accepted, None));
        }
    }
    let tellings: Vec<Telling<'_>> = lines
        .iter()
        .map(|(incident, line, create)| Telling {
            incident: incident.id,
            hand_over: Some(if create.is_some() { HandOver::Submitted } else { HandOver::Approved }),
            contact: incident.case.as_ref().and_then(|case| case.contact.as_ref()).filter(|_| create.is_none()),
            teller: incident.client.as_ref().filter(|_| create.is_some()),
            line: Some(line),
        })
        .collect();
    let people = contacts::take(connection, &tellings).await?;
    let mut history = Vec::with_capacity(lines.len());
    for ((incident, line, create), told) in lines.iter().zip(people) {
        let mut context = told.context;
        if create.is_some() {
            let standing = incident.references.first().map(|reference| reference.standing.as_str());
            context.note("holder", None, Some(Holder::at_first(Towards::Client).as_str()));
            context.note("standing", None, standing);
        }
        let entry = NewEntry::from(line).with_context(&context);
        history.push(match (&incident.client, create) {
            (Some(client), Some(sha256)) => entry.arrived(client, sha256),
            _ => entry,
        });
        history.extend(told.differences);
    }
    append(connection, history).await.map(|_| ())
}
