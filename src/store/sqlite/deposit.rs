//! Deposits, and the files that belong to them.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::json;
use sqlx::{Row, SqliteConnection};

use super::content;
use super::history::insert_history;
use super::read::json as to_json;
use super::write;
use crate::case::{Action, Attachment, AttachmentState, Deposit, FileContent, HistoryLine, IncidentId, InstanceEdit};
use crate::store::{AwaitedAttachment, Deposited, StoreError, Write, Writer};

pub async fn deposit(
    connection: &mut SqliteConnection,
    deposits: Vec<Deposit>,
    at: Timestamp,
) -> Result<Vec<Deposited>, StoreError> {
    let rows: Vec<_> = deposits
        .iter()
        .map(|deposit| {
            let submission = if deposit.hold { "held" } else { "undecided" };
            json!({ "event": deposit.event, "group": deposit.group, "form": deposit.form, "submission": submission })
        })
        .collect();
    let inserted = sqlx::query(
        "WITH j (key, v) AS MATERIALIZED (SELECT key, value FROM jsonb_each(?1)) \
         INSERT INTO incident (device_group, created_at, updated_at, host_event_id, kind, synopsis, description, priority, \
           severity, problem_class, service_type, event_type, event_type_group, occurred_at, device, serial, manifest, \
           form, submission) \
         SELECT v ->> 'group', ?2, ?2, v ->> '$.event.host_event_id', v ->> '$.event.kind', \
           v ->> '$.event.synopsis', coalesce(v ->> '$.event.description', ''), v ->> '$.event.priority', \
           v ->> '$.event.severity', v ->> '$.event.problem_class', v ->> '$.event.service_type', \
           v ->> '$.event.event_type', v ->> '$.event.event_type_group', v ->> '$.event.occurred_at', \
           v ->> '$.event.device', v ->> '$.event.serial', coalesce(v -> '$.event.manifest', '{}'), \
           v -> '$.form', v ->> '$.submission' \
         FROM j WHERE true ORDER BY key \
         ON CONFLICT (host_event_id) WHERE client IS NULL DO NOTHING RETURNING id, host_event_id",
    )
    .bind(to_json(&rows))
    .bind(at.to_string())
    .fetch_all(&mut *connection)
    .await?;
    let mut new: HashMap<String, IncidentId> = HashMap::new();
    for row in inserted {
        new.insert(row.try_get(1)?, IncidentId(row.try_get(0)?));
    }
    let mut results = Vec::with_capacity(deposits.len());
    let (mut history, mut opened) = (Vec::new(), Vec::new());
    for deposit in &deposits {
        let event_id = &deposit.event.host_event_id;
        let Some(incident) = new.remove(event_id) else {
            let known = sqlx::query_scalar("SELECT id FROM incident WHERE host_event_id = ? AND client IS NULL")
                .bind(event_id)
                .fetch_one(&mut *connection)
                .await?;
            results.push(Deposited { incident: IncidentId(known), new: false });
            continue;
        };
        insert_files(connection, incident, deposit, at).await?;
        history.push(HistoryLine {
            incident,
            at,
            who: deposit.handed_in_by.clone().unwrap_or_else(|| "casebridge".into()),
            action: Action::Deposited.as_str().into(),
            exchange: None,
            seq: None,
            detail: format!("deposited as {} with {} files", deposit.event.kind.as_str(), deposit.files.len()),
        });
        if let Some(who) = &deposit.opened_by {
            opened.push(by_hand(incident, who, deposit.instance.clone(), at));
        }
        results.push(Deposited { incident, new: true });
    }
    insert_history(connection, &history).await?;
    write::write(connection, opened).await?;
    Ok(results)
}

/// What a person says of a case who opens it.
fn by_hand(incident: IncidentId, who: &str, instance: Option<Box<InstanceEdit>>, at: Timestamp) -> Write {
    let line = HistoryLine {
        incident,
        at,
        who: who.to_owned(),
        action: Action::OpenedByHand.as_str().into(),
        exchange: None,
        seq: None,
        detail: "opened by hand".into(),
    };
    Write { instance, history: vec![line], ..Write::to(incident, Writer::Bridge) }
}

async fn insert_files(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    deposit: &Deposit,
    at: Timestamp,
) -> Result<(), StoreError> {
    for file in &deposit.files {
        let (state, reason, content) = match &file.content {
            FileContent::Embedded(content) => ("stored", None, Some(content)),
            FileContent::Listed => ("awaited", None, None),
            FileContent::Failed { reason } => ("failed", Some(reason), None),
        };
        let stored = match content {
            Some(content) => Some(content::store(connection, content, at).await?),
            None => None,
        };
        sqlx::query(
            "INSERT INTO attachment (incident, name, media_type, state, reason, bytes, sha256, content) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (incident, name) DO NOTHING",
        )
        .bind(incident.0)
        .bind(&file.name)
        .bind(&file.media_type)
        .bind(state)
        .bind(reason)
        .bind(content.map(|content| content.len() as i64))
        .bind(stored.as_ref().map(|(_, sha256)| sha256.as_str()))
        .bind(stored.as_ref().map(|(content, _)| *content))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

pub async fn attachments(
    connection: &mut SqliteConnection,
    incident: IncidentId,
) -> Result<Vec<Attachment>, StoreError> {
    let rows = sqlx::query(
        "SELECT name, media_type, state, reason, bytes, sha256 FROM attachment WHERE incident = ? ORDER BY id LIMIT ?",
    )
    .bind(incident.0)
    .bind(Deposit::FILE_LIMIT as i64)
    .fetch_all(&mut *connection)
    .await?;
    let mut attachments = Vec::with_capacity(rows.len());
    for row in rows {
        let state = match row.try_get::<String, _>(2)?.as_str() {
            "stored" => AttachmentState::Stored {
                bytes: row.try_get::<Option<i64>, _>(4)?.unwrap_or(0) as u64,
                sha256: row.try_get::<Option<String>, _>(5)?.unwrap_or_default(),
            },
            "awaited" => AttachmentState::Awaited,
            _ => AttachmentState::Failed { reason: row.try_get::<Option<String>, _>(3)?.unwrap_or_default() },
        };
        attachments.push(Attachment { name: row.try_get(0)?, media_type: row.try_get(1)?, state });
    }
    Ok(attachments)
}

pub async fn awaited(
    connection: &mut SqliteConnection,
    after: i64,
    limit: usize,
) -> Result<Vec<AwaitedAttachment>, StoreError> {
    let rows = sqlx::query(
        "SELECT a.id, a.incident, i.host_event_id, a.name, i.device_group FROM attachment a JOIN incident i ON i.id = a.incident \
         WHERE a.state = 'awaited' AND a.id > ? ORDER BY a.id LIMIT ?",
    )
    .bind(after)
    .bind(limit as i64)
    .fetch_all(&mut *connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(AwaitedAttachment {
                id: row.try_get(0)?,
                incident: IncidentId(row.try_get(1)?),
                host_event_id: row.try_get(2)?,
                name: row.try_get(3)?,
                group: row.try_get(4)?,
            })
        })
        .collect()
}

pub async fn add_attachment(
    connection: &mut SqliteConnection,
    id: i64,
    content: i64,
    at: Timestamp,
) -> Result<(), StoreError> {
    let row: Option<(i64, String, i64)> = sqlx::query_as(
        "UPDATE attachment SET state = 'stored', reason = NULL, bytes = c.bytes, sha256 = c.sha256, content = c.id \
         FROM content c WHERE c.id = ?1 AND c.complete AND attachment.id = ?2 AND attachment.state <> 'stored' \
         RETURNING incident, name, attachment.bytes",
    )
    .bind(content)
    .bind(id)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((incident, name, bytes)) = row else { return Ok(()) };
    let line = HistoryLine {
        incident: IncidentId(incident),
        at,
        who: "casebridge".into(),
        action: Action::AttachmentAdded.as_str().into(),
        exchange: None,
        seq: None,
        detail: format!("{name}, {bytes} bytes"),
    };
    insert_history(connection, &[line]).await
}
