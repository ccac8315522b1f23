//! Files that people put to a case and take from it (M-11). Like any other file they go to the peers of the incident, which
//! the triggers of the schema see to.

use sqlx::{Row, SqliteConnection};

use crate::case::{Alias, Deposit, HistoryLine, IncidentId};
use crate::store::sqlite::history::insert_history;
use crate::store::{Document, Put, StoreError, StoredDocument};

pub async fn document(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    name: &str,
) -> Result<Option<StoredDocument>, StoreError> {
    let row = sqlx::query(
        "SELECT media_type, content, bytes, sha256, origin FROM attachment \
         WHERE incident = ? AND name = ? AND state = 'stored' AND content IS NOT NULL",
    )
    .bind(incident.0)
    .bind(name)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(StoredDocument {
        media_type: row.try_get(0)?,
        content: row.try_get(1)?,
        bytes: row.try_get::<Option<i64>, _>(2)?.unwrap_or(0).max(0) as u64,
        sha256: row.try_get::<Option<String>, _>(3)?.unwrap_or_default(),
        origin: origin(row.try_get(4)?),
    }))
}

fn origin(text: Option<String>) -> Option<Alias> {
    text.and_then(|text| text.parse().ok())
}

pub async fn put(connection: &mut SqliteConnection, document: Document, line: HistoryLine) -> Result<Put, StoreError> {
    let Document { incident, name, media_type, content, revision } = document;
    if let Some(found) = moved_on(connection, incident, revision).await? {
        return Ok(Put::Stale(found));
    }
    let known = sqlx::query("SELECT state, origin FROM attachment WHERE incident = ? AND name = ?")
        .bind(incident.0)
        .bind(&name)
        .fetch_optional(&mut *connection)
        .await?;
    match &known {
        Some(row) => {
            let from: Option<String> = row.try_get(1)?;
            if from.is_some() || row.try_get::<&str, _>(0)? == "awaited" {
                return Ok(Put::Foreign(origin(from)));
            }
        }
        None => {
            let counts = sqlx::query(
                "SELECT (SELECT count(*) FROM incident WHERE id = ?1), (SELECT count(*) FROM attachment WHERE incident = ?1)",
            );
            let row = counts.bind(incident.0).fetch_one(&mut *connection).await?;
            if row.try_get::<i64, _>(0)? == 0 {
                return Ok(Put::Gone);
            }
            if row.try_get::<i64, _>(1)? >= Deposit::FILE_LIMIT as i64 {
                return Ok(Put::Full);
            }
        }
    }
    let put = sqlx::query(
        "INSERT INTO attachment (incident, name, media_type, state, bytes, sha256, content) \
         SELECT ?1, ?2, ?3, 'stored', bytes, sha256, id FROM content WHERE id = ?4 AND complete \
         ON CONFLICT (incident, name) DO UPDATE SET media_type = excluded.media_type, state = 'stored', reason = NULL, \
           bytes = excluded.bytes, sha256 = excluded.sha256, content = excluded.content",
    )
    .bind(incident.0)
    .bind(&name)
    .bind(&media_type)
    .bind(content)
    .execute(&mut *connection)
    .await?;
    if put.rows_affected() == 0 {
        return Ok(Put::Gone);
    }
    insert_history(connection, &[line]).await?;
    touch(connection, incident).await?;
    Ok(Put::Done)
}

pub async fn remove(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    name: String,
    revision: Option<i64>,
    line: HistoryLine,
) -> Result<Put, StoreError> {
    if let Some(found) = moved_on(connection, incident, revision).await? {
        return Ok(Put::Stale(found));
    }
    let known =
        sqlx::query("SELECT id, content FROM attachment WHERE incident = ? AND name = ? AND state <> 'awaited'")
            .bind(incident.0)
            .bind(&name)
            .fetch_optional(&mut *connection)
            .await?;
    let Some(row) = known else { return Ok(Put::Gone) };
    let (id, content): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    for statement in ["DELETE FROM outgoing WHERE attachment = ?", "DELETE FROM attachment WHERE id = ?"] {
        sqlx::query(statement).bind(id).execute(&mut *connection).await?;
    }
    sqlx::query(
        "DELETE FROM content WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM attachment WHERE content = ?1) \
           AND NOT EXISTS (SELECT 1 FROM outgoing WHERE content = ?1) \
           AND NOT EXISTS (SELECT 1 FROM incoming WHERE content = ?1)",
    )
    .bind(content)
    .execute(&mut *connection)
    .await?;
    insert_history(connection, &[line]).await?;
    touch(connection, incident).await?;
    Ok(Put::Done)
}

/// The revision of the case, where it is another than the one that was decided on.
pub async fn moved_on(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    decided_on: Option<i64>,
) -> Result<Option<i64>, StoreError> {
    let Some(decided_on) = decided_on else { return Ok(None) };
    let found: Option<i64> = sqlx::query_scalar("SELECT revision FROM incident WHERE id = ?")
        .bind(incident.0)
        .fetch_optional(connection)
        .await?;
    Ok(found.filter(|found| *found != decided_on))
}

/// A file more or less is a change of the case.
async fn touch(connection: &mut SqliteConnection, incident: IncidentId) -> Result<(), StoreError> {
    sqlx::query("UPDATE incident SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = ?")
        .bind(incident.0)
        .execute(&mut *connection)
        .await?;
    Ok(())
}
