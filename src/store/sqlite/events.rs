//! The history as a feed. Writers take turns in SQLite, so a line's number is the order of its commit.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use tokio::sync::watch;

use super::SqliteStore;
use super::read::{self, json as to_json};
use crate::case::IncidentId;
use crate::store::{Event, EventPage, EventStore, PageSeen, StoreError, Untold};
use crate::telemetry::CrashPoint;

/// Moves the place of a reader, in the transaction that writes what the lines led to. False when it is somewhere else by
/// now: somebody wrote that already.
pub async fn pass(connection: &mut SqliteConnection, seen: &PageSeen) -> Result<bool, StoreError> {
    let moved = sqlx::query("UPDATE consumer SET position = ? WHERE name = ? AND position = ?")
        .bind(seen.through)
        .bind(seen.consumer)
        .bind(seen.after)
        .execute(connection)
        .await?;
    Ok(moved.rows_affected() == 1)
}

async fn place(connection: &mut SqliteConnection, consumer: &str) -> Result<Option<i64>, StoreError> {
    let place = sqlx::query_scalar("SELECT position FROM consumer WHERE name = ?");
    Ok(place.bind(consumer).fetch_optional(connection).await?)
}

#[async_trait]
impl EventStore for SqliteStore {
    async fn follow(&self, consumers: &[&'static str]) -> Result<(), StoreError> {
        // A store that is locked for a while does not keep the daemon from starting.
        let mut missing = Vec::new();
        for consumer in consumers {
            let mut connection = self.readers.acquire().await?;
            if place(&mut connection, consumer).await?.is_none() {
                missing.push(*consumer);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let names = to_json(&missing);
        self.in_transaction(CrashPoint::EventsPassed, move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO consumer (name, position) \
                     SELECT value, (SELECT coalesce(max(id), 0) FROM history) FROM json_each(?) WHERE true \
                     ON CONFLICT (name) DO NOTHING",
                )
                .bind(names)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    async fn events(&self, consumer: &'static str, limit: usize) -> Result<EventPage, StoreError> {
        // One picture: the place and the lines behind it.
        let mut connection = self.readers.begin().await?;
        let Some(after) = place(&mut connection, consumer).await? else {
            return Ok(EventPage { events: Vec::new(), seen: PageSeen { consumer, after: 0, through: 0 } });
        };
        let rows = sqlx::query(
            "SELECT at, who, action, exchange, seq, detail, incident, id FROM history \
             WHERE id > ? AND incident IS NOT NULL ORDER BY id LIMIT ?",
        )
        .bind(after)
        .bind(limit as i64)
        .fetch_all(&mut *connection)
        .await?;
        let event = |row: &SqliteRow| Ok(Event { number: row.try_get(7)?, line: read::history_line(row)? });
        let events = rows.iter().map(event).collect::<Result<Vec<_>, StoreError>>()?;
        let through = events.last().map_or(after, |event| event.number);
        Ok(EventPage { events, seen: PageSeen { consumer, after, through } })
    }

    async fn unread(&self, consumer: &'static str) -> Result<PageSeen, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let ends: Option<(i64, i64)> = sqlx::query_as(
            "SELECT position, max(position, coalesce((SELECT max(id) FROM history), 0)) FROM consumer WHERE name = ?",
        )
        .bind(consumer)
        .fetch_optional(&mut *connection)
        .await?;
        let (after, through) = ends.unwrap_or_default();
        Ok(PageSeen { consumer, after, through })
    }

    async fn pass(&self, seen: PageSeen) -> Result<bool, StoreError> {
        self.in_transaction(CrashPoint::EventsPassed, move |connection| {
            Box::pin(async move { pass(connection, &seen).await })
        })
        .await
    }

    fn happenings(&self) -> watch::Receiver<()> {
        self.happened.subscribe()
    }

    async fn untold(&self, incidents: &[IncidentId]) -> Result<Vec<(IncidentId, Untold)>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let rows = sqlx::query(
            "SELECT i.id, 0 FROM json_each(?1) j JOIN incident i ON i.id = j.value WHERE NOT EXISTS (SELECT 1 \
               FROM history h WHERE h.incident = i.id AND h.action IN ('deposited', 'incident_opened', 'detected')) \
             UNION ALL \
             SELECT i.id, 1 FROM json_each(?1) j JOIN incident i ON i.id = j.value WHERE i.case_id IS NOT NULL \
               AND NOT EXISTS (SELECT 1 FROM history h WHERE h.incident = i.id AND h.action = 'case_accepted')",
        )
        .bind(to_json(&incidents))
        .fetch_all(&mut *connection)
        .await?;
        let untold = |row: &SqliteRow| {
            let what = if row.try_get::<i64, _>(1)? == 0 { Untold::Detected } else { Untold::CaseAssigned };
            Ok((IncidentId(row.try_get(0)?), what))
        };
        rows.iter().map(untold).collect()
    }
}
