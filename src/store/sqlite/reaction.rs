//! Reaction policies, and the queue of what they have led to.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::history::append_note;
use super::read::json as to_json;
use super::{SqliteStore, events};
use crate::case::{Deposit, IncidentId, Owned, Reactions};
use crate::store::history::Note;
use crate::store::{
    BundleFile, NewRun, PageSeen, ReactionList, ReactionStore, Run, RunEnd, RunPage, RunState, StoreError,
};
use crate::telemetry::CrashPoint;

/// What [`run`] reads, in its order.
macro_rules! columns {
    () => {
        "id, event, reaction, action, incident, name, target, attach_bundle, message, queued_at, attempts, last_error"
    };
}

async fn version(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let version: Option<String> =
        sqlx::query_scalar("SELECT value FROM meta WHERE name = 'reactions'").fetch_optional(connection).await?;
    Ok(version.and_then(|version| version.parse().ok()).unwrap_or(0))
}

async fn set(connection: &mut SqliteConnection, list: ReactionList, note: Note) -> Result<bool, StoreError> {
    if version(connection).await? != list.version {
        return Ok(false);
    }
    sqlx::query("INSERT INTO meta VALUES ('reactions', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
        .bind((list.version + 1).to_string())
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM reaction").execute(&mut *connection).await?;
    let rows: Vec<_> = list
        .reactions
        .0
        .iter()
        .map(|one| (one.id, &one.owner, &one.reaction.name, one.copy_of, to_json(&one.reaction)))
        .collect();
    sqlx::query(
        "INSERT INTO reaction (id, place, owner, name, copy_of, definition) \
         SELECT value ->> 0, key, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?)",
    )
    .bind(to_json(&rows))
    .execute(&mut *connection)
    .await?;
    let acting: Vec<i64> = list.reactions.0.iter().filter(|one| one.reaction.enabled).map(|one| one.id).collect();
    sqlx::query(
        "UPDATE reaction_run SET state = 'given_up', ended_at = ?, last_error = 'the reaction was deleted or disabled' \
         WHERE state = 'due' AND reaction NOT IN (SELECT value FROM json_each(?))",
    )
    .bind(note.at.as_millisecond())
    .bind(to_json(&acting))
    .execute(&mut *connection)
    .await?;
    append_note(connection, &note).await?;
    Ok(true)
}

async fn queue(
    connection: &mut SqliteConnection,
    seen: &PageSeen,
    runs: &[NewRun],
    most: usize,
) -> Result<bool, StoreError> {
    if !events::pass(connection, seen).await? {
        return Ok(false);
    }
    if runs.is_empty() {
        return Ok(true);
    }
    let due: i64 =
        sqlx::query_scalar("SELECT count(*) FROM reaction_run WHERE state = 'due'").fetch_one(&mut *connection).await?;
    let room = most.saturating_sub(due as usize);
    let rows: Vec<_> = runs
        .iter()
        .enumerate()
        .map(|(index, run)| {
            let at = run.at.as_millisecond();
            let full = index >= room;
            serde_json::json!([
                run.event,
                run.reaction,
                run.action,
                run.incident,
                run.name,
                run.target,
                i64::from(run.attach_bundle),
                run.message,
                if full { "given_up" } else { "due" },
                at,
                full.then_some(at),
                full.then(|| format!("{most} deeds wait already")),
            ])
        })
        .collect();
    sqlx::query(
        "INSERT INTO reaction_run (event, reaction, action, incident, name, target, attach_bundle, message, state, \
           queued_at, due_at, ended_at, last_error) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, \
           value ->> 8, value ->> 9, value ->> 9, value ->> 10, value ->> 11 FROM json_each(?) WHERE true \
         ON CONFLICT (event, reaction, action) DO NOTHING",
    )
    .bind(to_json(&rows))
    .execute(connection)
    .await?;
    Ok(true)
}

fn instant(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}

fn run(row: &SqliteRow) -> Result<Run, StoreError> {
    Ok(Run {
        id: row.try_get(0)?,
        event: row.try_get(1)?,
        reaction: row.try_get(2)?,
        action: row.try_get::<i64, _>(3)? as u32,
        incident: IncidentId(row.try_get(4)?),
        name: row.try_get(5)?,
        target: row.try_get(6)?,
        attach_bundle: row.try_get::<i64, _>(7)? != 0,
        message: row.try_get(8)?,
        queued_at: instant(row.try_get(9)?),
        attempts: row.try_get::<i64, _>(10)? as u32,
        last_error: row.try_get(11)?,
    })
}

#[async_trait]
impl ReactionStore for SqliteStore {
    async fn reactions(&self) -> Result<ReactionList, StoreError> {
        // One picture: the list and its version.
        let mut connection = self.readers.begin().await?;
        let version = version(&mut connection).await?;
        let rows = sqlx::query("SELECT id, owner, copy_of, definition FROM reaction ORDER BY place LIMIT ?")
            .bind(Reactions::LIMIT as i64)
            .fetch_all(&mut *connection)
            .await?;
        let one = |row: &SqliteRow| {
            let id: i64 = row.try_get(0)?;
            let reaction = serde_json::from_str(row.try_get::<&str, _>(3)?)
                .map_err(|fault| StoreError::Failed(format!("reaction {id} does not read: {fault}")))?;
            Ok(Owned { id, owner: row.try_get(1)?, copy_of: row.try_get(2)?, reaction })
        };
        let reactions = rows.iter().map(one).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(ReactionList { version, reactions: Reactions(reactions) })
    }

    async fn set_reactions(&self, list: ReactionList, note: Note) -> Result<bool, StoreError> {
        self.in_transaction(CrashPoint::ReactionsSet, move |connection| Box::pin(set(connection, list, note))).await
    }

    async fn queue_runs(&self, seen: PageSeen, runs: Vec<NewRun>, most: usize) -> Result<bool, StoreError> {
        self.in_transaction(CrashPoint::ReactionsQueued, move |connection| {
            Box::pin(async move { queue(connection, &seen, &runs, most).await })
        })
        .await
    }

    async fn waiting_targets(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        // From one target to the next in the index, however much waits for each.
        let rows = sqlx::query(
            "WITH RECURSIVE t (target) AS (SELECT min(target) FROM reaction_run WHERE state = 'due' UNION ALL \
               SELECT (SELECT min(r.target) FROM reaction_run r WHERE r.state = 'due' AND r.target > t.target) FROM t \
               WHERE t.target IS NOT NULL) \
             SELECT target, (SELECT min(due_at) FROM reaction_run r WHERE r.state = 'due' AND r.target = t.target) \
             FROM t WHERE target IS NOT NULL",
        )
        .fetch_all(&mut *connection)
        .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, instant(row.try_get(1)?)))).collect()
    }

    async fn due_run(&self, target: &str, now: Timestamp) -> Result<Option<Run>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let row = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM reaction_run WHERE state = 'due' AND target = ? AND due_at <= ? ORDER BY due_at, id LIMIT 1"
        ))
        .bind(target)
        .bind(now.as_millisecond())
        .fetch_optional(&mut *connection)
        .await?;
        row.as_ref().map(run).transpose()
    }

    async fn run_begun(&self, id: i64) -> Result<Option<u32>, StoreError> {
        self.in_transaction(CrashPoint::ReactionBegun, move |connection| {
            Box::pin(async move {
                let attempt: Option<i64> = sqlx::query_scalar(
                    "UPDATE reaction_run SET attempts = attempts + 1 WHERE id = ? AND state = 'due' RETURNING attempts",
                )
                .bind(id)
                .fetch_optional(connection)
                .await?;
                Ok(attempt.map(|attempt| u32::try_from(attempt).unwrap_or(u32::MAX)))
            })
        })
        .await
    }

    async fn run_ended(&self, id: i64, end: RunEnd, now: Timestamp) -> Result<(), StoreError> {
        let (state, at, reason) = match end {
            RunEnd::Done => ("done", None, None),
            RunEnd::Again { at, reason } => ("due", Some(at.as_millisecond()), Some(reason)),
            RunEnd::GivenUp { reason } => ("given_up", None, Some(reason)),
        };
        self.in_transaction(CrashPoint::ReactionEnded, move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE reaction_run SET state = ?1, due_at = coalesce(?2, due_at), last_error = ?3, \
                       ended_at = iif(?1 = 'due', NULL, ?4) \
                     WHERE id = ?5 AND state = 'due'",
                )
                .bind(state)
                .bind(at)
                .bind(reason)
                .bind(now.as_millisecond())
                .bind(id)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    async fn files(&self, incident: IncidentId) -> Result<Vec<BundleFile>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let rows = sqlx::query(
            "SELECT name, content, bytes FROM attachment WHERE incident = ? AND state = 'stored' AND content IS NOT NULL \
             ORDER BY id LIMIT ?",
        )
        .bind(incident.0)
        .bind(Deposit::FILE_LIMIT as i64)
        .fetch_all(&mut *connection)
        .await?;
        let file = |row: &SqliteRow| {
            let bytes: Option<i64> = row.try_get(2)?;
            Ok(BundleFile { name: row.try_get(0)?, content: row.try_get(1)?, bytes: bytes.unwrap_or(0).max(0) as u64 })
        };
        rows.iter().map(file).collect()
    }

    async fn runs(&self, limit: usize) -> Result<RunPage, StoreError> {
        let mut connection = self.readers.begin().await?;
        let count = "SELECT (SELECT count(*) FROM reaction_run WHERE state = 'due'), \
                       (SELECT count(*) FROM reaction_run WHERE state = 'given_up')";
        let (due, given_up): (i64, i64) = sqlx::query_as(count).fetch_one(&mut *connection).await?;
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            ", state, due_at FROM reaction_run WHERE state = 'given_up' OR (state = 'due' AND last_error IS NOT NULL) \
             ORDER BY id DESC LIMIT ?"
        ))
        .bind(limit as i64)
        .fetch_all(&mut *connection)
        .await?;
        let one = |row: &SqliteRow| {
            let state = match row.try_get::<&str, _>(12)? {
                "given_up" => RunState::GivenUp,
                _ => RunState::Due { at: instant(row.try_get(13)?) },
            };
            Ok((run(row)?, state))
        };
        let runs = rows.iter().map(one).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(RunPage { due: due as u64, given_up: given_up as u64, runs })
    }

    async fn retry_runs(&self, reaction: Option<i64>, now: Timestamp) -> Result<u64, StoreError> {
        self.in_transaction(CrashPoint::ReactionEnded, move |connection| {
            Box::pin(async move {
                let again = sqlx::query(
                    "UPDATE reaction_run SET state = 'due', due_at = ?1, queued_at = ?1, attempts = 0, ended_at = NULL \
                     WHERE state = 'given_up' AND (?2 IS NULL OR reaction = ?2)",
                )
                .bind(now.as_millisecond())
                .bind(reaction)
                .execute(connection)
                .await?;
                Ok(again.rows_affected())
            })
        })
        .await
    }

    async fn forget_runs(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.in_transaction(CrashPoint::ReactionEnded, move |connection| {
            Box::pin(async move {
                let gone = sqlx::query("DELETE FROM reaction_run WHERE ended_at < ?")
                    .bind(before.as_millisecond())
                    .execute(connection)
                    .await?;
                Ok(gone.rows_affected())
            })
        })
        .await
    }
}
