//! Deadlines in rows: what is promised stands as it travels, beside the instants that follow from it.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::SqliteStore;
use super::read::{self, Hanging, NO_INSTANT, hang, json as to_json, sort_key};
use crate::case::{CaseState, Deadline, DueDate, IncidentId, Instants};
use crate::store::{Closed, Closing, DeadlineStore, Passing, Place, Resolved, Timing, Untimed};
use crate::store::{StoreError, Written};
use crate::telemetry::CrashPoint;

/// The most deadlines of one incident: whatever its peers send.
const LIMIT: i64 = 128;

#[async_trait]
impl DeadlineStore for SqliteStore {
    async fn untimed(&self, after: IncidentId, limit: usize) -> Result<Vec<Untimed>, StoreError> {
        let rows = sqlx::query(
            "SELECT u.incident, i.case_type FROM untimed u JOIN incident i ON i.id = u.incident \
             WHERE u.incident > ? ORDER BY u.incident LIMIT ?",
        )
        .bind(after.0)
        .bind(limit as i64)
        .fetch_all(&self.readers)
        .await?;
        let one = |row: &SqliteRow| Ok(Untimed { incident: IncidentId(row.try_get(0)?), case_type: row.try_get(1)? });
        rows.iter().map(one).collect()
    }

    async fn time(&self, timings: Vec<Timing>) -> Result<Vec<Written>, StoreError> {
        self.in_transaction(CrashPoint::CasesTimed, move |connection| Box::pin(time(connection, timings))).await
    }

    async fn refresh_deadlines(&self) -> Result<(), StoreError> {
        let stale = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM deadline WHERE stale = 1)");
        if !stale.fetch_one(&self.readers).await? {
            return Ok(());
        }
        self.in_transaction(CrashPoint::DeadlinesRefreshed, |connection| Box::pin(refresh(connection))).await
    }

    async fn passing(
        &self,
        due_dates_of: Option<&str>,
        now: Timestamp,
        after: Place,
        limit: usize,
    ) -> Result<Vec<Passing>, StoreError> {
        let statement = match due_dates_of {
            None => {
                "SELECT incident, uid, next_at, id FROM deadline INDEXED BY deadline_sla \
                 WHERE kind = 'sla' AND origin IS NULL AND next_at BETWEEN ?1 AND ?2 AND (next_at > ?1 OR id > ?3) \
                 ORDER BY next_at, id LIMIT ?4"
            }
            Some(_) => {
                "SELECT incident, uid, next_at, id FROM deadline INDEXED BY deadline_due \
                 WHERE kind = 'due' AND origin IS NULL AND case_type = ?5 AND next_at BETWEEN ?1 AND ?2 \
                   AND (next_at > ?1 OR id > ?3) ORDER BY next_at, id LIMIT ?4"
            }
        };
        let query = sqlx::query(statement).bind(after.at).bind(now.as_millisecond()).bind(after.id).bind(limit as i64);
        let query = match due_dates_of {
            None => query,
            Some(case_type) => query.bind(case_type),
        };
        query.fetch_all(&self.readers).await?.iter().map(passing).collect()
    }

    async fn resolved(
        &self,
        case_type: &str,
        by: Timestamp,
        after: Place,
        limit: usize,
    ) -> Result<Vec<Resolved>, StoreError> {
        let rows = sqlx::query(
            "SELECT i.id, i.state_since, unixepoch(i.state_since) FROM incident i INDEXED BY incident_resolved \
             WHERE i.state = 'resolved' AND i.case_type = ?1 AND unixepoch(i.state_since) BETWEEN ?2 AND ?3 \
               AND (unixepoch(i.state_since) > ?2 OR i.id > ?4) AND i.active = 1 \
               AND NOT EXISTS (SELECT 1 FROM closing c WHERE c.incident = i.id AND c.resolved_at = i.state_since) \
             ORDER BY unixepoch(i.state_since), i.id LIMIT ?5",
        )
        .bind(case_type)
        .bind(after.at / 1000)
        .bind(by.as_second())
        .bind(after.id)
        .bind(limit as i64)
        .fetch_all(&self.readers)
        .await?;
        let one = |row: &SqliteRow| {
            let (id, second): (i64, i64) = (row.try_get(0)?, row.try_get(2)?);
            Ok(Resolved { incident: IncidentId(id), since: row.try_get(1)?, place: Place { at: second * 1000, id } })
        };
        rows.iter().map(one).collect()
    }

    async fn queue_closings(&self, cases: Vec<Resolved>, at: Timestamp) -> Result<u64, StoreError> {
        let rows: Vec<_> = cases.into_iter().map(|one| (one.incident, one.since)).collect();
        self.in_transaction(CrashPoint::ClosingsQueued, move |connection| {
            Box::pin(async move {
                let queued = sqlx::query(
                    "WITH j (v) AS MATERIALIZED (SELECT value FROM jsonb_each(?1)) \
                     INSERT INTO closing (incident, resolved_at, queued_at, next_at) SELECT v ->> 0, v ->> 1, ?2, ?3 FROM j \
                     WHERE true ON CONFLICT (incident, resolved_at) DO NOTHING",
                )
                .bind(to_json(&rows))
                .bind(at.to_string())
                .bind(at.as_millisecond())
                .execute(&mut *connection)
                .await?;
                Ok(queued.rows_affected())
            })
        })
        .await
    }

    async fn closings(&self, now: Timestamp, limit: usize) -> Result<Vec<Closing>, StoreError> {
        let rows = sqlx::query(
            "SELECT c.id, c.incident, c.attempts, iif(i.state = 'resolved' AND i.state_since = c.resolved_at, i.revision, NULL) \
             FROM closing c JOIN incident i ON i.id = c.incident WHERE c.outcome IS NULL AND c.next_at <= ? \
             ORDER BY c.next_at, c.id LIMIT ?",
        )
        .bind(now.as_millisecond())
        .bind(limit as i64)
        .fetch_all(&self.readers)
        .await?;
        let one = |row: &SqliteRow| {
            let incident = IncidentId(row.try_get(1)?);
            Ok(Closing { id: row.try_get(0)?, incident, attempts: row.try_get(2)?, revision: row.try_get(3)? })
        };
        rows.iter().map(one).collect()
    }

    async fn closed(&self, id: i64, outcome: Closed) -> Result<(), StoreError> {
        let (word, reason, next) = match outcome {
            Closed::Closed => (Some("closed"), None, None),
            Closed::Overtaken => (Some("overtaken"), None, None),
            Closed::Refused(reason) => (Some("refused"), Some(reason), None),
            Closed::Later(at, reason) => (None, Some(reason), Some(at.as_millisecond())),
        };
        self.in_transaction(CrashPoint::ClosingSettled, move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE closing SET outcome = ?, reason = ?, next_at = coalesce(?, next_at), attempts = attempts + 1 \
                     WHERE id = ?",
                )
                .bind(word)
                .bind(reason)
                .bind(next)
                .bind(id)
                .execute(&mut *connection)
                .await?;
                Ok(())
            })
        })
        .await
    }
}

fn passing(row: &SqliteRow) -> Result<Passing, StoreError> {
    let uid: String = row.try_get(1)?;
    let deadline = Uuid::parse_str(&uid).map_err(|_| StoreError::Failed("a deadline's uid does not read".into()))?;
    let place = Place { at: row.try_get(2)?, id: row.try_get(3)? };
    Ok(Passing { incident: IncidentId(row.try_get(0)?), deadline, place })
}

async fn time(connection: &mut SqliteConnection, timings: Vec<Timing>) -> Result<Vec<Written>, StoreError> {
    let ids: Vec<IncidentId> = timings.iter().map(|one| one.incident).collect();
    let found = sqlx::query("SELECT id, revision FROM incident WHERE id IN (SELECT value FROM json_each(?))")
        .bind(to_json(&ids))
        .fetch_all(&mut *connection)
        .await?;
    let mut revisions: HashMap<IncidentId, i64> = HashMap::with_capacity(found.len());
    for row in &found {
        revisions.insert(IncidentId(row.try_get(0)?), row.try_get(1)?);
    }
    let outcome = |timing: &Timing| match revisions.get(&timing.incident) {
        None => Written::Gone,
        Some(revision) if timing.expected_revision.is_some_and(|expected| expected != *revision) => Written::Stale,
        Some(_) => Written::Done,
    };
    let outcomes: Vec<Written> = timings.iter().map(outcome).collect();
    let done = || timings.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == Written::Done).map(|(one, _)| one);
    let types: Vec<_> = done().filter_map(|one| Some((one.incident, one.case_type.as_ref()?))).collect();
    if !types.is_empty() {
        sqlx::query(
            "WITH j (v) AS MATERIALIZED (SELECT value FROM jsonb_each(?1)) \
             UPDATE incident SET case_type = v ->> 1, bridge = bridge + 1 FROM j \
             WHERE incident.id = v ->> 0 AND case_type IS NOT v ->> 1",
        )
        .bind(to_json(&types))
        .execute(&mut *connection)
        .await?;
    }
    let rows = done().flat_map(|one| rows(one.incident, one.case_type.as_deref(), &one.deadlines)).collect();
    upsert(connection, rows).await?;
    let timed: Vec<IncidentId> = done().map(|one| one.incident).collect();
    sqlx::query("DELETE FROM untimed WHERE incident IN (SELECT value FROM json_each(?))")
        .bind(to_json(&timed))
        .execute(&mut *connection)
        .await?;
    refresh(connection).await?;
    Ok(outcomes)
}

/// What [`upsert`] takes.
pub fn rows(incident: IncidentId, case_type: Option<&str>, deadlines: &[Deadline]) -> Vec<Value> {
    let row = |one: &Deadline| {
        let (uid, promise) = (one.id.simple().to_string(), json!(one).to_string());
        json!([incident, uid, one.kind.as_str(), promise, one.revision, case_type, one.origin])
    };
    deadlines.iter().map(row).collect()
}

/// A deadline that is there already stays as it is, unless whoever promised it changed it since.
pub async fn upsert(connection: &mut SqliteConnection, rows: Vec<Value>) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "WITH j (v) AS MATERIALIZED (SELECT value FROM jsonb_each(?1)) \
         INSERT INTO deadline (incident, uid, kind, promise, revision, case_type, origin, position) \
         SELECT v ->> 0, v ->> 1, v ->> 2, v ->> 3, v ->> 4, v ->> 5, v ->> 6, \
           1 + coalesce((SELECT max(position) FROM deadline d WHERE d.incident = v ->> 0), 0) FROM j \
         WHERE (SELECT count(*) FROM deadline d WHERE d.incident = v ->> 0) < ?2 \
           OR EXISTS (SELECT 1 FROM deadline d WHERE d.incident = v ->> 0 AND d.uid = v ->> 1) \
         ON CONFLICT (incident, uid) DO UPDATE SET promise = excluded.promise, revision = excluded.revision, \
           kind = excluded.kind, case_type = excluded.case_type, position = excluded.position, stale = 1 \
         WHERE excluded.revision > deadline.revision AND excluded.origin IS deadline.origin",
    )
    .bind(to_json(&rows))
    .bind(LIMIT)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Computes what follows from promises and milestones wherever one of them changed; in the transaction that changed it.
pub async fn refresh(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    /// Incidents at once.
    const PAGE: i64 = 500;
    loop {
        let rows = sqlx::query(
            "SELECT i.id, i.state FROM (SELECT DISTINCT incident FROM deadline WHERE stale = 1 LIMIT ?) d \
             JOIN incident i ON i.id = d.incident",
        )
        .bind(PAGE)
        .fetch_all(&mut *connection)
        .await?;
        if rows.is_empty() {
            return Ok(());
        }
        let mut states = HashMap::new();
        for row in &rows {
            let state: String = row.try_get(1)?;
            states.insert(IncidentId(row.try_get(0)?), CaseState::parse(&state).unwrap_or_default());
        }
        let ids = to_json(&states.keys().copied().collect::<Vec<_>>());
        let milestones = read::milestones(connection, &ids).await?;
        let (mut computed, mut cases): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
        for (incident, found) in deadlines(connection, &ids).await? {
            let of = milestones.get(&incident).and_then(|found| found.as_ref().ok()).map_or(&[][..], Vec::as_slice);
            let state = states.get(&incident).copied().unwrap_or_default();
            let found = found.unwrap_or_default();
            let due = DueDate::of(&found, of, state);
            let sort_due = due.map_or_else(|| NO_INSTANT.to_owned(), |due| sort_key(due.at));
            let stands_still = due.is_some_and(|due| due.stands_still);
            let (mut breached, mut alarmed) = (false, false);
            for one in &found {
                let Instants { warns_at, due_at } = one.instants(of, state);
                // What counts no more was neither missed nor comes near.
                let (warned, violated) = if one.dropped { (false, false) } else { one.passed(of) };
                let next = one.next(of, state).map(|(_, at)| at);
                // What had run out when the clock stopped was missed, whether or not a job came to note it.
                breached |= violated || (due_at.is_some() && !state.is_running());
                alarmed |= warned && !violated && due_at.is_some() && state.is_running();
                let ms = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
                let (warned, violated) = (i64::from(warned), i64::from(violated));
                let uid = one.id.simple().to_string();
                computed.push(json!([incident, uid, ms(warns_at), ms(due_at), warned, violated, ms(next)]));
            }
            let marks = [stands_still, breached, alarmed].map(i64::from);
            cases.push(json!([incident, sort_due, marks[0], marks[1], marks[2]]));
        }
        sqlx::query(
            "WITH j (v) AS MATERIALIZED (SELECT value FROM jsonb_each(?1)) \
             UPDATE deadline SET warns_at = v ->> 2, due_at = v ->> 3, warned = v ->> 4, violated = v ->> 5, next_at = v ->> 6 \
             FROM j WHERE deadline.incident = v ->> 0 AND deadline.uid = v ->> 1",
        )
        .bind(to_json(&computed))
        .execute(&mut *connection)
        .await?;
        sqlx::query(
            "WITH j (v) AS MATERIALIZED (SELECT value FROM jsonb_each(?1)) \
             UPDATE incident SET sort_due = v ->> 1, due_stands_still = v ->> 2, breached = v ->> 3, warned = v ->> 4 \
             FROM j WHERE incident.id = v ->> 0 \
               AND (sort_due, due_stands_still, breached, warned) IS NOT (v ->> 1, v ->> 2, v ->> 3, v ->> 4)",
        )
        .bind(to_json(&cases))
        .execute(&mut *connection)
        .await?;
        // Also of those that do not read: they have no instants.
        sqlx::query("UPDATE deadline SET stale = 0 WHERE stale = 1 AND incident IN (SELECT value FROM json_each(?))")
            .bind(&ids)
            .execute(&mut *connection)
            .await?;
    }
}

/// The deadlines of these incidents, in the order in which they came.
pub async fn deadlines(connection: &mut SqliteConnection, ids: &str) -> Result<Hanging<Deadline>, StoreError> {
    let rows = sqlx::query(
        "SELECT incident, promise, origin, position FROM deadline \
         WHERE incident IN (SELECT value FROM json_each(?)) ORDER BY incident, id",
    )
    .bind(ids)
    .fetch_all(&mut *connection)
    .await?;
    let mut found = Hanging::new();
    for row in rows {
        hang(&mut found, IncidentId(row.try_get(0)?), deadline(&row));
    }
    Ok(found)
}

fn deadline(row: &SqliteRow) -> Result<Deadline, String> {
    let wrong = |what: &str| format!("a deadline's {what} does not read");
    let promise: String = row.try_get(1).map_err(|_| wrong("promise"))?;
    let origin: Option<String> = row.try_get(2).map_err(|_| wrong("origin"))?;
    let one: Deadline = serde_json::from_str(&promise).map_err(|_| wrong("promise"))?;
    let origin = origin.map(|origin| origin.parse()).transpose().map_err(|_| wrong("origin"))?;
    Ok(Deadline { origin, position: row.try_get(3).map_err(|_| wrong("position"))?, ..one })
}
