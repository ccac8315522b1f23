//! Rows into records.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::deadline::deadlines;
use crate::case::{
    Alias, Announced, AttachmentNote, Case, Comment, CompletionCode, Event, ExchangeId, HistoryLine, Holder, Incident,
    IncidentId, Kind, Milestone, Phase, Reference, Standing, Submission, Towards, Work, form,
};
use crate::store::{ChangePage, Cursor, Loaded, StoreError};

/// What [`incident`] reads, in its order; a literal, so that each statement can be one.
macro_rules! columns {
    () => {
        "i.id, i.revision, i.generation, i.client, i.trace_route, i.device_group, i.created_at, i.host_event_id, \
         i.kind, i.synopsis, i.description, i.priority, i.severity, i.problem_class, i.service_type, i.event_type, \
         i.event_type_group, i.occurred_at, i.device, i.serial, i.manifest, i.submission, i.form, i.phase, \
         i.solution, i.completion_code, i.expected_resolution, i.case_id, i.case_link, i.case_status, i.assignment, i.active, \
         i.upstream_case_id, i.upstream_case_link, i.upstream_case_status, i.case_own, \
         i.case_contact, i.upstream_case_contact"
    };
}
pub(super) use columns;

/// The number of a cursor; before the first change it is 0.
pub fn position(cursor: &Cursor) -> Result<i64, StoreError> {
    match cursor.0.as_str() {
        "" => Ok(0),
        text => text.parse().map_err(|_| StoreError::Failed("the store's cursor does not read".into())),
    }
}

pub async fn changes(
    connection: &mut SqliteConnection,
    after: &Cursor,
    limit: usize,
) -> Result<ChangePage, StoreError> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        ", i.change_seq FROM incident i WHERE i.change_seq > ? ORDER BY i.change_seq LIMIT ?"
    ))
    .bind(position(after)?)
    .bind(limit as i64)
    .fetch_all(&mut *connection)
    .await?;
    let last = rows.last().map(|row| row.try_get::<i64, _>("change_seq")).transpose()?;
    let cursor = last.map_or_else(|| after.clone(), |last| Cursor(last.to_string()));
    let more = rows.len() == limit;
    Ok(ChangePage { loaded: complete(connection, rows).await?, cursor, more })
}

/// Asked of the rows: the clock also counts changes whose row was deleted since.
pub async fn has_changes(connection: &mut SqliteConnection, after: &Cursor) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM incident WHERE change_seq > ?)");
    Ok(found.bind(position(after)?).fetch_one(&mut *connection).await?)
}

pub async fn load(connection: &mut SqliteConnection, incidents: &[IncidentId]) -> Result<Loaded, StoreError> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM incident i WHERE i.id IN (SELECT value FROM json_each(?)) ORDER BY i.id"
    ))
    .bind(json(incidents))
    .fetch_all(&mut *connection)
    .await?;
    complete(connection, rows).await
}

pub async fn referenced(
    connection: &mut SqliteConnection,
    peer: &Alias,
    after: Option<ExchangeId>,
    limit: usize,
) -> Result<Loaded, StoreError> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM reference r JOIN incident i ON i.id = r.incident \
         WHERE r.peer = ? AND r.exchange > ? ORDER BY r.exchange LIMIT ?"
    ))
    .bind(peer.as_str())
    .bind(after.map(|after| after.to_string()).unwrap_or_default())
    .bind(limit as i64)
    .fetch_all(&mut *connection)
    .await?;
    complete(connection, rows).await
}

/// The rows as records, with their references and comments.
pub async fn complete(connection: &mut SqliteConnection, rows: Vec<SqliteRow>) -> Result<Loaded, StoreError> {
    let mut loaded = Loaded::default();
    for row in &rows {
        match incident(row) {
            Ok(incident) => loaded.incidents.push(incident),
            Err(reason) => loaded.unreadable.push((IncidentId(row.try_get(0)?), reason)),
        }
    }
    let ids: Vec<IncidentId> = loaded.incidents.iter().map(|incident| incident.id).collect();
    if ids.is_empty() {
        return Ok(loaded);
    }
    let ids = json(&ids);
    let references = references(connection, &ids).await?;
    let comments = comments(connection, &ids).await?;
    let announced = announced(connection, &ids).await?;
    let milestones = milestones(connection, &ids).await?;
    let deadlines = deadlines(connection, &ids).await?;
    let Loaded { incidents, unreadable } = &mut loaded;
    // Cloned, not taken: a record with two references at one peer comes once for each.
    let of = |incident: &Incident| {
        let references = references.get(&incident.id).cloned().unwrap_or(Ok(Vec::new()))?;
        let comments = comments.get(&incident.id).cloned().unwrap_or(Ok(Vec::new()))?;
        let milestones = milestones.get(&incident.id).cloned().unwrap_or(Ok(Vec::new()))?;
        let deadlines = deadlines.get(&incident.id).cloned().unwrap_or(Ok(Vec::new()))?;
        Ok((
            references,
            comments,
            (milestones, deadlines),
            announced.get(&incident.id).cloned().unwrap_or(Ok(Vec::new()))?,
        ))
    };
    incidents.retain_mut(|incident| match of(incident) {
        Ok((references, comments, (milestones, deadlines), announced)) => {
            (incident.references, incident.comments) = (references, comments);
            (incident.milestones, incident.deadlines, incident.announced) = (milestones, deadlines, announced);
            true
        }
        Err(reason) => {
            unreadable.push((incident.id, reason));
            false
        }
    });
    Ok(loaded)
}

/// What hangs on each incident, or why some of it does not read.
pub(super) type Hanging<T> = HashMap<IncidentId, Result<Vec<T>, String>>;

pub(super) fn hang<T>(on: &mut Hanging<T>, incident: IncidentId, read: Result<T, String>) {
    let all = on.entry(incident).or_insert(Ok(Vec::new()));
    match (all, read) {
        (Ok(all), Ok(one)) => all.push(one),
        (Ok(_), Err(reason)) => _ = on.insert(incident, Err(reason)),
        (Err(_), _) => {}
    }
}

async fn references(connection: &mut SqliteConnection, ids: &str) -> Result<Hanging<Reference>, StoreError> {
    let rows = sqlx::query(
        "SELECT incident, peer, exchange, towards, transaction_id, applied, standing, peer_incident, holder FROM reference \
         WHERE incident IN (SELECT value FROM json_each(?))",
    )
    .bind(ids)
    .fetch_all(&mut *connection)
    .await?;
    let mut found = Hanging::new();
    for row in rows {
        hang(&mut found, IncidentId(row.try_get(0)?), reference(&row));
    }
    Ok(found)
}

/// Those that do not read are left out: their incidents are, too.
pub async fn references_at(
    connection: &mut SqliteConnection,
    peer: &Alias,
    after: Option<ExchangeId>,
    limit: usize,
) -> Result<Vec<(IncidentId, Reference)>, StoreError> {
    let rows = sqlx::query(
        "SELECT incident, peer, exchange, towards, transaction_id, applied, standing, peer_incident, holder FROM reference \
         WHERE peer = ? AND exchange > ? ORDER BY exchange LIMIT ?",
    )
    .bind(peer.as_str())
    .bind(after.map(|after| after.to_string()).unwrap_or_default())
    .bind(limit as i64)
    .fetch_all(&mut *connection)
    .await?;
    let sound = rows.iter().filter_map(|row| Some((IncidentId(row.try_get(0).ok()?), reference(row).ok()?)));
    Ok(sound.collect())
}

fn reference(row: &SqliteRow) -> Result<Reference, String> {
    let wrong = |what: &str| format!("a reference's {what} does not read");
    let need = |index: usize, what: &str| row.try_get::<String, _>(index).map_err(|_| wrong(what));
    let transaction: Option<String> = row.try_get(4).map_err(|_| wrong("transaction ID"))?;
    Ok(Reference {
        peer: need(1, "peer")?.parse().map_err(|_| wrong("peer"))?,
        exchange: need(2, "exchange")?.parse().map_err(|_| wrong("exchange"))?,
        towards: if need(3, "direction")? == "upstream" { Towards::Upstream } else { Towards::Client },
        transaction: transaction.map(|id| id.parse()).transpose().map_err(|_| wrong("transaction ID"))?,
        applied: row
            .try_get::<i64, _>(5)
            .ok()
            .and_then(|applied| applied.try_into().ok())
            .ok_or_else(|| wrong("count"))?,
        peer_incident: row.try_get::<Option<i64>, _>(7).map_err(|_| wrong("peer incident"))?.map(IncidentId),
        standing: Standing::parse(&need(6, "standing")?).ok_or_else(|| wrong("standing"))?,
        holder: Holder::parse(&need(8, "holder")?).ok_or_else(|| wrong("holder"))?,
    })
}

async fn comments(connection: &mut SqliteConnection, ids: &str) -> Result<Hanging<Comment>, StoreError> {
    /// Comments of one page of incidents that are held in memory at once.
    const LIMIT: i64 = 100_000;
    let rows = sqlx::query(
        "SELECT incident, coalesce(change, id) AS position, uid, author, written_at, text, origin, language, internal, edits, \
           deleted, initiator, party, came_in FROM comment \
         WHERE incident IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?",
    )
    .bind(ids)
    .bind(LIMIT)
    .fetch_all(&mut *connection)
    .await?;
    let mut found = Hanging::new();
    for row in rows {
        hang(&mut found, IncidentId(row.try_get(0)?), comment(&row));
    }
    Ok(found)
}

fn comment(row: &SqliteRow) -> Result<Comment, String> {
    let wrong = |what: &str| format!("a comment's {what} does not read");
    let need = |index: usize, what: &str| row.try_get::<String, _>(index).map_err(|_| wrong(what));
    let flag = |index: usize, what: &str| row.try_get::<bool, _>(index).map_err(|_| wrong(what));
    let origin: Option<String> = row.try_get(6).map_err(|_| wrong("origin"))?;
    Ok(Comment {
        position: row.try_get(1).map_err(|_| wrong("number"))?,
        id: Uuid::parse_str(&need(2, "uid")?).map_err(|_| wrong("uid"))?,
        author: need(3, "author")?,
        written_at: instant(&need(4, "written_at")?).ok_or_else(|| wrong("written_at"))?,
        text: need(5, "text")?,
        origin: origin.map(|origin| origin.parse()).transpose().map_err(|_| wrong("origin"))?,
        language: row.try_get(7).map_err(|_| wrong("language"))?,
        internal: flag(8, "visibility")?,
        edits: row.try_get::<i64, _>(9).ok().and_then(|edits| edits.try_into().ok()).ok_or_else(|| wrong("edits"))?,
        deleted: flag(10, "deletion")?,
        initiator: flag(11, "side")?,
        party: row.try_get(12).map_err(|_| wrong("party"))?,
        came_in: came_in(row, 13).ok_or_else(|| wrong("exchange"))?,
    })
}

pub(super) async fn milestones(connection: &mut SqliteConnection, ids: &str) -> Result<Hanging<Milestone>, StoreError> {
    /// Milestones of one page of incidents that are held in memory at once.
    const LIMIT: i64 = 100_000;
    let rows = sqlx::query(
        "SELECT incident, id, uid, n, at, fact, origin, came_in FROM milestone \
         WHERE incident IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?",
    )
    .bind(ids)
    .bind(LIMIT)
    .fetch_all(&mut *connection)
    .await?;
    let mut found = Hanging::new();
    for row in rows {
        hang(&mut found, IncidentId(row.try_get(0)?), milestone(&row));
    }
    Ok(found)
}

fn milestone(row: &SqliteRow) -> Result<Milestone, String> {
    let wrong = |what: &str| format!("a milestone's {what} does not read");
    let need = |index: usize, what: &str| row.try_get::<String, _>(index).map_err(|_| wrong(what));
    let origin: Option<String> = row.try_get(6).map_err(|_| wrong("origin"))?;
    Ok(Milestone {
        position: row.try_get(1).map_err(|_| wrong("number"))?,
        id: Uuid::parse_str(&need(2, "uid")?).map_err(|_| wrong("uid"))?,
        n: row.try_get::<i64, _>(3).ok().and_then(|n| n.try_into().ok()).ok_or_else(|| wrong("n"))?,
        at: instant(&need(4, "at")?).ok_or_else(|| wrong("at"))?,
        fact: serde_json::from_str(&need(5, "fact")?).map_err(|_| wrong("fact"))?,
        origin: origin.map(|origin| origin.parse()).transpose().map_err(|_| wrong("origin"))?,
        came_in: came_in(row, 7).ok_or_else(|| wrong("exchange"))?,
    })
}

/// The exchange that a comment or a milestone came in.
fn came_in(row: &SqliteRow, index: usize) -> Option<Option<ExchangeId>> {
    let text: Option<String> = row.try_get(index).ok()?;
    text.map(|text| text.parse()).transpose().ok()
}

/// In the order in which they became ready.
async fn announced(connection: &mut SqliteConnection, ids: &str) -> Result<Hanging<Announced>, StoreError> {
    let rows = sqlx::query(
        "SELECT o.incident, o.peer, o.position, coalesce(o.told_as, a.name), a.media_type, c.bytes, c.sha256 FROM outgoing o \
         JOIN attachment a ON a.id = o.attachment JOIN content c ON c.id = o.content \
         WHERE o.incident IN (SELECT value FROM json_each(?)) AND o.state IN ('ready', 'sent') ORDER BY o.position",
    )
    .bind(ids)
    .fetch_all(&mut *connection)
    .await?;
    let mut found = Hanging::new();
    for row in rows {
        hang(&mut found, IncidentId(row.try_get(0)?), announced_row(&row));
    }
    Ok(found)
}

fn announced_row(row: &SqliteRow) -> Result<Announced, String> {
    let column = |error: sqlx::Error| error.to_string();
    let peer: String = row.try_get(1).map_err(column)?;
    let sha256: String = row.try_get(6).map_err(column)?;
    let note = AttachmentNote {
        name: row.try_get(3).map_err(column)?,
        media_type: row.try_get(4).map_err(column)?,
        bytes: row.try_get::<i64, _>(5).map_err(column)?.max(0) as u64,
        sha256: sha256.parse().map_err(|_| "an attachment's digest does not read")?,
    };
    let peer = peer.parse().map_err(|_| "an attachment's peer does not read")?;
    Ok(Announced { peer, note, position: row.try_get(2).map_err(column)? })
}

pub async fn history(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    limit: usize,
) -> Result<Vec<HistoryLine>, StoreError> {
    let rows = sqlx::query(
        "SELECT at, who, action, exchange, seq, detail, incident FROM history WHERE incident = ? ORDER BY id DESC LIMIT ?",
    )
    .bind(incident.0)
    .bind(limit as i64)
    .fetch_all(&mut *connection)
    .await?;
    rows.iter().rev().map(history_line).collect()
}

/// A line whose row begins with `at, who, action, exchange, seq, detail, incident`.
pub fn history_line(row: &SqliteRow) -> Result<HistoryLine, StoreError> {
    let exchange: Option<String> = row.try_get(3)?;
    Ok(HistoryLine {
        incident: IncidentId(row.try_get(6)?),
        at: instant(&text(row, 0)?).unwrap_or_default(),
        who: text(row, 1)?,
        action: text(row, 2)?,
        exchange: exchange.and_then(|exchange| exchange.parse().ok()),
        seq: row.try_get::<Option<i64>, _>(4)?.map(|seq| seq as u64),
        detail: text(row, 5)?,
    })
}

/// Everything of a record that stands in its own row. The error is a sentence for people.
fn incident(row: &SqliteRow) -> Result<Incident, String> {
    let column = |error: sqlx::Error| error.to_string();
    let get = |index: usize| row.try_get::<Option<String>, _>(index).map_err(column);
    let need = |index: usize| row.try_get::<String, _>(index).map_err(column);
    let time = |name: &str, value: Option<String>| match value {
        Some(value) => instant(&value).map(Some).ok_or_else(|| format!("{name} is not an instant")),
        None => Ok(None),
    };
    let word = |name: &str| format!("{name} is not one of the known words");
    let event = Event {
        host_event_id: need(7)?,
        kind: Kind::parse(&need(8)?).ok_or_else(|| word("kind"))?,
        synopsis: need(9)?,
        description: need(10)?,
        priority: get(11)?.map(|text| text.parse()).transpose().map_err(|_| word("priority"))?,
        severity: get(12)?,
        problem_class: get(13)?,
        service_type: get(14)?,
        event_type: get(15)?,
        event_type_group: get(16)?,
        occurred_at: time("occurred_at", get(17)?)?,
        device: get(18)?,
        serial: get(19)?,
        manifest: match need(20)?.as_str() {
            "{}" => Default::default(),
            text => serde_json::from_str(text).map_err(|error| format!("manifest: {error}"))?,
        },
    };
    Ok(Incident {
        id: IncidentId(row.try_get(0).map_err(column)?),
        revision: row.try_get(1).map_err(column)?,
        generation: row.try_get(2).map_err(column)?,
        client: get(3)?.map(|client| client.parse()).transpose().map_err(|fault| format!("client {fault}"))?,
        trace_route: match need(4)?.as_str() {
            "[]" => Vec::new(),
            text => serde_json::from_str(text).map_err(|error| format!("trace_route: {error}"))?,
        },
        group: get(5)?,
        created_at: instant(&need(6)?).ok_or("created_at is not an instant")?,
        event,
        assignment: get(30)?,
        active: row.try_get(31).map_err(column)?,
        submission: Submission::parse(&need(21)?).ok_or_else(|| word("submission"))?,
        form: match need(22)?.as_str() {
            "{}" => Default::default(),
            text => {
                form::strict(&mut serde_json::Deserializer::from_str(text)).map_err(|error| format!("form: {error}"))?
            }
        },
        work: Work {
            phase: Phase::parse(&need(23)?).ok_or_else(|| word("phase"))?,
            solution: get(24)?,
            completion_code: match get(25)? {
                Some(code) => Some(CompletionCode::parse(&code).ok_or_else(|| word("completion_code"))?),
                None => None,
            },
            expected_resolution: time("expected_resolution", get(26)?)?,
        },
        case: case("", get(27)?, get(28)?, get(29)?, get(36)?)?,
        upstream_case: case("upstream_", get(32)?, get(33)?, get(34)?, get(37)?)?,
        own_case: match need(35)?.as_str() {
            "{}" => Default::default(),
            text => serde_json::from_str(text).map_err(|error| format!("case_own: {error}"))?,
        },
        references: Vec::new(),
        comments: Vec::new(),
        milestones: Vec::new(),
        deadlines: Vec::new(),
        announced: Vec::new(),
    })
}

fn case(
    whose: &str,
    id: Option<String>,
    link: Option<String>,
    status: Option<String>,
    contact: Option<String>,
) -> Result<Option<Case>, String> {
    let Some(id) = id else { return Ok(None) };
    Ok(Some(Case {
        id: id.parse().map_err(|fault| format!("{whose}case_id {fault}"))?,
        link: link.map(|link| link.parse()).transpose().map_err(|fault| format!("{whose}case_link {fault}"))?,
        status: status.unwrap_or_else(|| "Open".to_owned()),
        contact: contact
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| format!("{whose}case_contact: {error}"))?,
    }))
}

fn text(row: &SqliteRow, index: usize) -> Result<String, StoreError> {
    Ok(row.try_get(index)?)
}

/// RFC 3339, or as SQLite's own functions print a time, which is UTC.
pub fn instant(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })
}

/// An instant as lists are ordered by it: one form for all, which compares as text.
pub fn sort_key(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// Stands for an instant where there is none, behind all of them.
pub const NO_INSTANT: &str = "none";

/// Values of our own that go into a statement as one JSON parameter.
pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    // Only maps with keys that are no strings, and I/O, can fail; there is neither.
    serde_json::to_string(value).unwrap_or_default()
}
