//! Which files go to which peer, and which come from one.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use tracing::warn;

use super::history::{NewEntry, append};
use super::read::json as to_json;
use super::{SqliteStore, content};
use crate::case::attachment::{file_name_apart, name_of_clients};
use crate::case::{Action, Alias, ContentDigest, Deposit, ExchangeId, HistoryLine, IncidentId, Transfer};
use crate::store::{
    Appended, AttachmentStore, Begun, DueAttachment, Expected, FailedFile, Incoming, Moving, Offered, Prepared,
    StoreError,
};
use crate::telemetry::CrashPoint;

/// The times that a content may turn out to be another file before it is given up.
const TRIES: i64 = 3;
const WRONG: &str = "its content has another SHA-256 than announced";

/// What a peer announced, each file by its name (C-34): the same content again is not sent, another one replaces it.
pub async fn announce(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    peer: &Alias,
    exchange: ExchangeId,
    incoming: &[Incoming],
) -> Result<(), StoreError> {
    for Incoming { note, refused, at } in incoming {
        let at = *at;
        let known = sqlx::query(
            "SELECT i.id, i.state, c.sha256, c.bytes FROM incoming i JOIN content c ON c.id = i.content \
             WHERE i.incident = ? AND i.peer = ? AND i.name = ?",
        )
        .bind(incident.0)
        .bind(peer.as_str())
        .bind(&note.name)
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(row) = &known {
            let same =
                row.try_get::<&str, _>(2)? == note.sha256.as_str() && row.try_get::<i64, _>(3)? as u64 == note.bytes;
            let settled = match row.try_get::<&str, _>(1)? {
                "failed" => false,
                "refused" => refused.is_some(),
                _ => refused.is_none(),
            };
            if same && settled {
                sqlx::query("UPDATE incoming SET exchange = ? WHERE id = ?")
                    .bind(exchange.to_string())
                    .bind(row.try_get::<i64, _>(0)?)
                    .execute(&mut *connection)
                    .await?;
                restore(connection, row.try_get(0)?, at).await?;
                continue;
            }
        }
        let mut refused = refused.clone();
        if known.is_none() && refused.is_none() && count(connection, incident).await? >= Deposit::FILE_LIMIT as i64 {
            refused = Some(format!("an incident has at most {} attachments", Deposit::FILE_LIMIT));
        }
        let begun = content::begin(connection, peer.as_str(), &note.sha256, note.bytes).await?;
        sqlx::query(
            "INSERT INTO incoming (incident, peer, exchange, name, media_type, content, state, reason) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (incident, peer, name) DO UPDATE SET \
               exchange = excluded.exchange, media_type = excluded.media_type, content = excluded.content, \
               state = excluded.state, reason = excluded.reason, tries = 0",
        )
        .bind(incident.0)
        .bind(peer.as_str())
        .bind(exchange.to_string())
        .bind(&note.name)
        .bind(&note.media_type)
        .bind(begun.content)
        .bind(if refused.is_some() { "refused" } else { "awaited" })
        .bind(&refused)
        .execute(&mut *connection)
        .await?;
        if let Some(reason) = refused {
            let detail = format!("{} of {peer} is not taken: {reason}", note.name);
            tell(connection, incident, peer.as_str(), Action::AttachmentRefused, detail, at).await?;
        } else if begun.complete {
            arrive(connection, begun.content, at).await?;
        } else if note.bytes == 0 {
            Box::pin(content::append(connection, begun.content, 0, &[], at)).await?;
        }
    }
    Ok(())
}

/// A file that came, and that somebody has removed since, is there again: its content was kept.
async fn restore(connection: &mut SqliteConnection, incoming: i64, at: Timestamp) -> Result<(), StoreError> {
    let content: Option<i64> = sqlx::query_scalar(
        "UPDATE incoming SET state = 'awaited' WHERE id = ? AND state = 'arrived' AND NOT EXISTS \
           (SELECT 1 FROM attachment a \
            WHERE a.incident = incoming.incident AND a.name = coalesce(incoming.kept_as, incoming.name)) \
         RETURNING content",
    )
    .bind(incoming)
    .fetch_optional(&mut *connection)
    .await?;
    match content {
        Some(content) => arrive(connection, content, at).await,
        None => Ok(()),
    }
}

async fn count(connection: &mut SqliteConnection, incident: IncidentId) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM attachment WHERE incident = ?1) \
           + (SELECT count(*) FROM incoming WHERE incident = ?1 AND state <> 'arrived')",
    );
    Ok(count.bind(incident.0).fetch_one(&mut *connection).await?)
}

/// A content is whole: every file that waits for it is there.
pub async fn arrive(connection: &mut SqliteConnection, content: i64, at: Timestamp) -> Result<(), StoreError> {
    let rows = sqlx::query(
        "UPDATE incoming SET state = 'arrived', reason = NULL WHERE content = ? AND state = 'awaited' \
         RETURNING incident, peer, name, media_type, id",
    )
    .bind(content)
    .fetch_all(&mut *connection)
    .await?;
    for row in rows {
        let (incident, peer): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
        let name = place(connection, row.try_get(4)?, at).await?;
        let added: Option<i64> = sqlx::query_scalar(
            "INSERT INTO attachment (incident, name, media_type, state, bytes, sha256, content, origin) \
             SELECT ?1, ?2, ?3, 'stored', bytes, sha256, id, ?4 FROM content WHERE id = ?5 \
             ON CONFLICT (incident, name) DO UPDATE SET media_type = excluded.media_type, state = 'stored', \
               reason = NULL, bytes = excluded.bytes, sha256 = excluded.sha256, content = excluded.content, \
               origin = excluded.origin WHERE sha256 IS NOT excluded.sha256 RETURNING bytes",
        )
        .bind(incident)
        .bind(&name)
        .bind(row.try_get::<Option<String>, _>(3)?)
        .bind(&peer)
        .bind(content)
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(bytes) = added {
            let detail = format!("{name}, {bytes} bytes, from {peer}");
            tell(connection, IncidentId(incident), &peer, Action::AttachmentAdded, detail, at).await?;
        }
    }
    Ok(())
}

/// The name under which a file of a peer's is kept. What this site has from elsewhere under the name that the peer gave it
/// stays, and so does another file of the peer's that was told apart by this name, for the peer knew of neither: the
/// arriving one is told apart by its content.
async fn place(connection: &mut SqliteConnection, incoming: i64, at: Timestamp) -> Result<String, StoreError> {
    /// Digits of the SHA-256 that tell it apart, unless that is not enough.
    const DIGITS: usize = 8;
    let row = sqlx::query(
        "SELECT i.incident, i.peer, i.name, coalesce(i.kept_as, i.name), c.sha256, EXISTS (SELECT 1 FROM attachment a \
           WHERE a.incident = i.incident AND a.name = coalesce(i.kept_as, i.name) AND a.sha256 IS NOT c.sha256 \
             AND (a.origin IS NOT i.peer OR EXISTS (SELECT 1 FROM incoming o \
               WHERE o.incident = i.incident AND o.peer = i.peer AND o.id <> i.id AND o.kept_as = a.name))) \
         FROM incoming i JOIN content c ON c.id = i.content WHERE i.id = ?",
    )
    .bind(incoming)
    .fetch_one(&mut *connection)
    .await?;
    let (kept_as, sha256): (String, String) = (row.try_get(3)?, row.try_get(4)?);
    if !row.try_get::<bool, _>(5)? {
        return Ok(kept_as);
    }
    let (incident, peer, name): (i64, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    for digits in DIGITS..=sha256.len() {
        let apart = file_name_apart(&name, &format!("-{}", sha256.get(..digits).unwrap_or_default()));
        let is_kept: bool = sqlx::query_scalar(
            "UPDATE incoming SET kept_as = ?2 WHERE id = ?1 \
               AND NOT EXISTS (SELECT 1 FROM attachment a WHERE a.incident = incoming.incident AND a.name = ?2) \
               AND NOT EXISTS (SELECT 1 FROM incoming i \
                 WHERE i.incident = incoming.incident AND i.peer = incoming.peer AND i.name = ?2) \
             RETURNING 1",
        )
        .bind(incoming)
        .bind(&apart)
        .fetch_optional(&mut *connection)
        .await?
        .unwrap_or(false);
        if is_kept {
            warn!(
                event = "conflict_found",
                peer,
                incident,
                field = "attachment",
                kept = "both",
                "both sites have a file of one name"
            );
            let detail =
                format!("{kept_as}: this site has another file of this name; the one of {peer} is kept as {apart}");
            tell(connection, IncidentId(incident), &peer, Action::ConflictFound, detail, at).await?;
            return Ok(apart);
        }
    }
    Err(StoreError::Failed("no name is left for a file that arrived".into()))
}

/// A content that was whole was another file: those who wait for it get it anew, a few times.
pub async fn blame(connection: &mut SqliteConnection, content: i64, at: Timestamp) -> Result<(), StoreError> {
    let rows = sqlx::query(
        "UPDATE incoming SET tries = tries + 1, state = iif(tries + 1 >= ?2, 'failed', state), \
           reason = ?3 WHERE content = ?1 AND state = 'awaited' RETURNING incident, peer, name, state",
    )
    .bind(content)
    .bind(TRIES)
    .bind(WRONG)
    .fetch_all(&mut *connection)
    .await?;
    for row in rows {
        if row.try_get::<&str, _>(3)? == "failed" {
            let peer: &str = row.try_get(1)?;
            let detail = format!("{} of {peer}: {WRONG}", row.try_get::<&str, _>(2)?);
            tell(connection, IncidentId(row.try_get(0)?), peer, Action::AttachmentFailed, detail, at).await?;
        }
    }
    Ok(())
}

async fn tell(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    peer: &str,
    action: Action,
    detail: String,
    at: Timestamp,
) -> Result<(), StoreError> {
    let line = HistoryLine {
        incident,
        at,
        who: "casebridge".into(),
        action: action.as_str().into(),
        exchange: None,
        seq: None,
        detail,
    };
    append(connection, vec![NewEntry::from(&line).with_peer(peer)]).await.map(|_| ())
}

async fn prepared(
    connection: &mut SqliteConnection,
    id: i64,
    prepared: Prepared,
    at: Timestamp,
) -> Result<(), StoreError> {
    match prepared {
        Prepared::Ready { content, told_as } => {
            let told_as = match told_as {
                Some(name) => Some(told_apart(connection, id, &name).await?),
                None => None,
            };
            let incident: Option<i64> = sqlx::query_scalar(
                "UPDATE outgoing SET state = 'ready', content = ?1, told_as = ?2, served = iif(content IS ?1, served, 0), \
                   position = (SELECT last + 1 FROM change_clock) \
                 WHERE id = ?3 AND state = 'due' RETURNING incident",
            )
            .bind(content)
            .bind(told_as)
            .bind(id)
            .fetch_optional(&mut *connection)
            .await?;
            let Some(incident) = incident else { return Ok(()) };
            sqlx::query("UPDATE change_clock SET last = last + 1").execute(&mut *connection).await?;
            sqlx::query("UPDATE incident SET change_seq = (SELECT last FROM change_clock) WHERE id = ?")
                .bind(incident)
                .execute(&mut *connection)
                .await?;
            Ok(())
        }
        Prepared::Skipped { reason } => {
            settle(connection, id, "due", ("skipped", Action::AttachmentSkipped), Some(reason), at).await
        }
    }
}

/// The name under which the peer gets a file: no two of an incident have the same, whatever was hidden in them.
async fn told_apart(connection: &mut SqliteConnection, id: i64, name: &str) -> Result<String, StoreError> {
    for more in 0..=Deposit::FILE_LIMIT {
        let name = file_name_apart(name, &"*".repeat(more));
        let is_taken: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM outgoing o JOIN attachment a ON a.id = o.attachment \
               WHERE o.incident = own.incident AND o.peer = own.peer AND o.id <> own.id AND o.content IS NOT NULL \
                 AND coalesce(o.told_as, a.name) = ?2) \
             OR EXISTS (SELECT 1 FROM incoming i \
               WHERE i.incident = own.incident AND i.peer = own.peer AND i.name = ?2 \
                 AND i.name <> (SELECT name FROM attachment WHERE id = own.attachment)) \
             FROM outgoing own WHERE own.id = ?1",
        )
        .bind(id)
        .bind(&name)
        .fetch_one(&mut *connection)
        .await?;
        if !is_taken {
            return Ok(name);
        }
    }
    Err(StoreError::Failed("an incident has more files than it may have".into()))
}

/// The end of a file's way to a peer, told once.
async fn settle(
    connection: &mut SqliteConnection,
    id: i64,
    from: &str,
    (state, action): (&str, Action),
    reason: Option<String>,
    at: Timestamp,
) -> Result<(), StoreError> {
    let row = sqlx::query(
        "UPDATE outgoing SET state = ?, reason = ? WHERE id = ? AND state = ? \
         RETURNING incident, peer, (SELECT name FROM attachment WHERE id = attachment)",
    )
    .bind(state)
    .bind(&reason)
    .bind(id)
    .bind(from)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(()) };
    let (peer, name): (String, String) = (row.try_get(1)?, row.try_get(2)?);
    let detail = match reason {
        Some(reason) => format!("{name} does not go to {peer}: {reason}"),
        None => format!("{name} went to {peer}"),
    };
    tell(connection, IncidentId(row.try_get(0)?), &peer, action, detail, at).await
}

async fn served(
    connection: &mut SqliteConnection,
    id: i64,
    start: u64,
    end: u64,
    at: Timestamp,
) -> Result<(), StoreError> {
    let whole: Option<bool> = sqlx::query_scalar(
        "UPDATE outgoing SET served = ?3 WHERE id = ?1 AND state = 'ready' AND served BETWEEN ?2 AND ?3 \
         RETURNING served = (SELECT bytes FROM content c WHERE c.id = outgoing.content)",
    )
    .bind(id)
    .bind(start as i64)
    .bind(end as i64)
    .fetch_optional(&mut *connection)
    .await?;
    match whole {
        Some(true) => settle(connection, id, "ready", ("sent", Action::AttachmentSent), None, at).await,
        Some(false) | None => Ok(()),
    }
}

async fn given_up(connection: &mut SqliteConnection, id: i64, reason: String, at: Timestamp) -> Result<(), StoreError> {
    let row = sqlx::query(
        "UPDATE incoming SET state = 'failed', reason = ? WHERE id = ? AND state = 'awaited' \
         RETURNING incident, peer, name",
    )
    .bind(&reason)
    .bind(id)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(()) };
    let peer: &str = row.try_get(1)?;
    let detail = format!("{} of {peer}: {reason}", row.try_get::<&str, _>(2)?);
    tell(connection, IncidentId(row.try_get(0)?), peer, Action::AttachmentFailed, detail, at).await
}

async fn retry(
    connection: &mut SqliteConnection,
    incident: Option<IncidentId>,
    who: String,
    at: Timestamp,
) -> Result<u64, StoreError> {
    /// Files of one call, each way.
    const LIMIT: i64 = 10_000;
    let mut count = 0;
    // What was closed is left alone, unless it is asked for by its number.
    for statement in [
        "UPDATE outgoing SET state = 'due', reason = NULL WHERE id IN (SELECT o.id FROM outgoing o \
           WHERE o.state = 'failed' AND (o.incident = ?1 OR ?1 IS NULL AND EXISTS (SELECT 1 FROM reference r \
             WHERE r.peer = o.peer AND r.exchange = o.exchange AND r.standing NOT IN ('closed', 'rejected'))) LIMIT ?2) \
         RETURNING incident, peer, (SELECT name FROM attachment WHERE id = attachment), 'to'",
        "UPDATE incoming SET state = 'awaited', reason = NULL, tries = 0 WHERE id IN (SELECT i.id FROM incoming i \
           WHERE i.state = 'failed' AND (i.incident = ?1 OR ?1 IS NULL AND EXISTS (SELECT 1 FROM reference r \
             WHERE r.peer = i.peer AND r.exchange = i.exchange AND r.standing NOT IN ('closed', 'rejected'))) LIMIT ?2) \
         RETURNING incident, peer, name, 'from'",
    ] {
        let rows: Vec<(i64, String, String, String)> =
            sqlx::query_as(statement).bind(incident.map(|id| id.0)).bind(LIMIT).fetch_all(&mut *connection).await?;
        for (incident, peer, name, way) in rows {
            let line = HistoryLine {
                incident: IncidentId(incident),
                at,
                who: who.clone(),
                action: Action::OperationRetried.as_str().into(),
                exchange: None,
                seq: None,
                detail: format!("{name} {way} {peer} is tried again"),
            };
            append(connection, vec![NewEntry::from(&line).with_peer(&peer)]).await?;
            count += 1;
        }
    }
    Ok(count)
}

/// The rows of one page that read. One that another program damaged fails for good, with its reason, and holds up nobody.
type Read<T> = (Vec<T>, Vec<(i64, String)>);

fn sorted<T>(rows: &[SqliteRow], read: fn(&SqliteRow) -> Result<T, StoreError>) -> Result<Read<T>, StoreError> {
    let (mut sound, mut damaged) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows {
        match read(row) {
            Ok(one) => sound.push(one),
            Err(fault) => damaged.push((row.try_get(0)?, fault.to_string())),
        }
    }
    Ok((sound, damaged))
}

fn due(row: &SqliteRow) -> Result<DueAttachment, StoreError> {
    let peer: &str = row.try_get(2)?;
    Ok(DueAttachment {
        id: row.try_get(0)?,
        incident: IncidentId(row.try_get(1)?),
        peer: peer.parse().map_err(|_| StoreError::Failed("an attachment's peer does not read".into()))?,
        name: row.try_get(3)?,
        content: row.try_get(4)?,
        bytes: row.try_get::<i64, _>(5)? as u64,
    })
}

fn moving(row: &SqliteRow) -> Result<Moving, StoreError> {
    let damaged = |what: &str| StoreError::Failed(format!("an attachment's {what} does not read"));
    Ok(Moving {
        id: row.try_get(0)?,
        incident: IncidentId(row.try_get(1)?),
        exchange: row.try_get::<&str, _>(2)?.parse().map_err(|_| damaged("exchange"))?,
        content: row.try_get(3)?,
        sha256: row.try_get::<&str, _>(4)?.parse().map_err(|_| damaged("digest"))?,
        bytes: row.try_get::<i64, _>(5)? as u64,
        received: row.try_get::<i64, _>(6)? as u64,
        position: row.try_get(7)?,
    })
}

fn failed(row: &SqliteRow) -> Result<FailedFile, StoreError> {
    let damaged = |what: &str| StoreError::Failed(format!("the {what} of a file that was given up does not read"));
    Ok(FailedFile {
        incident: IncidentId(row.try_get(0)?),
        peer: row.try_get::<&str, _>(1)?.parse().map_err(|_| damaged("peer"))?,
        exchange: row.try_get::<&str, _>(2)?.parse().map_err(|_| damaged("exchange"))?,
        name: row.try_get(3)?,
        goes: row.try_get(4)?,
        reason: row.try_get::<Option<String>, _>(5)?.unwrap_or_default(),
    })
}

fn transfer(row: &SqliteRow) -> Result<Transfer, StoreError> {
    Ok(Transfer {
        name: row.try_get(0)?,
        peer: row.try_get(1)?,
        direction: row.try_get(2)?,
        state: row.try_get(3)?,
        reason: row.try_get(4)?,
        received: row.try_get::<Option<i64>, _>(5)?.unwrap_or(0) as u64,
        bytes: row.try_get::<Option<i64>, _>(6)?.unwrap_or(0) as u64,
    })
}

#[async_trait]
impl AttachmentStore for SqliteStore {
    async fn due_attachments(&self, limit: usize) -> Result<Vec<DueAttachment>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let rows = sqlx::query(
            "SELECT o.id, o.incident, o.peer, a.name, a.content, c.bytes FROM outgoing o \
             JOIN attachment a ON a.id = o.attachment JOIN content c ON c.id = a.content \
             WHERE o.state = 'due' ORDER BY o.id LIMIT ?",
        )
        .bind(limit as i64)
        .fetch_all(&mut *connection)
        .await?;
        drop(connection);
        let (sound, damaged) = sorted(&rows, due)?;
        for (id, reason) in damaged {
            self.prepared(id, Prepared::Skipped { reason }, Timestamp::now()).await?;
        }
        Ok(sound)
    }

    async fn prepared(&self, id: i64, decision: Prepared, at: Timestamp) -> Result<(), StoreError> {
        self.in_transaction(CrashPoint::AttachmentDecided, move |connection| {
            Box::pin(prepared(connection, id, decision, at))
        })
        .await
    }

    async fn uploads(&self, peer: &Alias, after: i64, limit: usize) -> Result<Vec<Moving>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let rows = sqlx::query(
            "SELECT o.id, o.incident, o.exchange, c.id, c.sha256, c.bytes, c.received, o.position FROM outgoing o \
             JOIN content c ON c.id = o.content JOIN incident n ON n.id = o.incident AND n.active = 1 \
             WHERE o.state = 'ready' AND o.peer = ? AND o.id > ? ORDER BY o.id LIMIT ?",
        )
        .bind(peer.as_str())
        .bind(after)
        .bind(limit as i64)
        .fetch_all(&mut *connection)
        .await?;
        drop(connection);
        let (sound, damaged) = sorted(&rows, moving)?;
        for (id, reason) in damaged {
            self.gone(id, Err(reason), Timestamp::now()).await?;
        }
        Ok(sound)
    }

    async fn downloads(&self, peer: &Alias, after: i64, limit: usize) -> Result<Vec<Moving>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let rows = sqlx::query(
            "SELECT i.id, i.incident, i.exchange, c.id, c.sha256, c.bytes, c.received, 0 FROM incoming i \
             JOIN content c ON c.id = i.content JOIN incident n ON n.id = i.incident AND n.active = 1 \
             WHERE i.state = 'awaited' AND i.peer = ? AND i.id > ? ORDER BY i.id LIMIT ?",
        )
        .bind(peer.as_str())
        .bind(after)
        .bind(limit as i64)
        .fetch_all(&mut *connection)
        .await?;
        drop(connection);
        let (sound, damaged) = sorted(&rows, moving)?;
        for (id, reason) in damaged {
            self.given_up(id, reason, Timestamp::now()).await?;
        }
        Ok(sound)
    }

    async fn expected(
        &self,
        peer: &Alias,
        exchange: ExchangeId,
        sha256: &ContentDigest,
    ) -> Result<Option<Expected>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let row = sqlx::query(
            "SELECT i.incident, c.id, c.bytes, c.received, iif(i.state IN ('refused', 'failed'), i.reason, NULL), n.active \
             FROM incoming i JOIN content c ON c.id = i.content JOIN incident n ON n.id = i.incident \
             WHERE i.peer = ? AND i.exchange = ? AND c.sha256 = ? ORDER BY i.state IN ('refused', 'failed'), i.id LIMIT 1",
        )
        .bind(peer.as_str())
        .bind(exchange.to_string())
        .bind(sha256.as_str())
        .fetch_optional(&mut *connection)
        .await?;
        row.map(|row| {
            Ok(Expected {
                incident: IncidentId(row.try_get(0)?),
                content: row.try_get(1)?,
                bytes: row.try_get::<i64, _>(2)? as u64,
                received: row.try_get::<i64, _>(3)? as u64,
                refused: row.try_get(4)?,
                active: row.try_get(5)?,
            })
        })
        .transpose()
    }

    async fn offered(
        &self,
        peer: &Alias,
        exchange: ExchangeId,
        sha256: &ContentDigest,
    ) -> Result<Option<Offered>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let row = sqlx::query(
            "SELECT o.id, c.id, c.bytes, n.active FROM outgoing o JOIN content c ON c.id = o.content \
             JOIN incident n ON n.id = o.incident WHERE o.peer = ? AND o.exchange = ? AND c.sha256 = ? AND o.state IN ('ready', 'sent') \
             ORDER BY o.state = 'sent', o.id LIMIT 1",
        )
        .bind(peer.as_str())
        .bind(exchange.to_string())
        .bind(sha256.as_str())
        .fetch_optional(&mut *connection)
        .await?;
        row.map(|row| {
            Ok(Offered {
                id: row.try_get(0)?,
                content: row.try_get(1)?,
                bytes: row.try_get::<i64, _>(2)? as u64,
                active: row.try_get(3)?,
            })
        })
        .transpose()
    }

    async fn content(&self, content: i64, start: u64, most: usize) -> Result<Vec<u8>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        content::read(&mut connection, content, start, most).await
    }

    async fn append(&self, content: i64, start: u64, data: Vec<u8>, at: Timestamp) -> Result<Appended, StoreError> {
        self.in_transaction(CrashPoint::ContentAppended, move |connection| {
            Box::pin(async move { content::append(connection, content, start, &data, at).await })
        })
        .await
    }

    async fn begin_content(&self, sha256: &ContentDigest, bytes: u64) -> Result<Begun, StoreError> {
        let sha256 = sha256.clone();
        self.in_transaction(CrashPoint::ContentBegun, move |connection| {
            Box::pin(async move { content::begin(connection, content::OWN, &sha256, bytes).await })
        })
        .await
    }

    async fn gone(&self, id: i64, outcome: Result<(), String>, at: Timestamp) -> Result<(), StoreError> {
        let end = if outcome.is_ok() { ("sent", Action::AttachmentSent) } else { ("failed", Action::AttachmentFailed) };
        let reason = outcome.err();
        self.in_transaction(CrashPoint::AttachmentGone, move |connection| {
            Box::pin(settle(connection, id, "ready", end, reason, at))
        })
        .await
    }

    async fn served(&self, id: i64, start: u64, end: u64, at: Timestamp) -> Result<(), StoreError> {
        self.in_transaction(CrashPoint::AttachmentGone, move |connection| {
            Box::pin(served(connection, id, start, end, at))
        })
        .await
    }

    async fn given_up(&self, id: i64, reason: String, at: Timestamp) -> Result<(), StoreError> {
        self.in_transaction(CrashPoint::AttachmentGivenUp, move |connection| {
            Box::pin(given_up(connection, id, reason, at))
        })
        .await
    }

    async fn announced_files(
        &self,
        peer: &Alias,
        incidents: &[IncidentId],
    ) -> Result<HashMap<IncidentId, BTreeMap<String, ContentDigest>>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let rows = sqlx::query(
            "SELECT i.incident, i.name, c.sha256, (SELECT towards = 'client' FROM reference r \
               WHERE r.incident = i.incident AND r.peer = i.peer LIMIT 1) AS clients \
             FROM incoming i JOIN content c ON c.id = i.content \
             WHERE i.peer = ?1 AND i.incident IN (SELECT value FROM json_each(?2)) AND (i.state <> 'arrived' \
               OR EXISTS (SELECT 1 FROM attachment a WHERE a.incident = i.incident AND a.name = coalesce(i.kept_as, i.name))) \
             UNION ALL \
             SELECT o.incident, coalesce(o.told_as, a.name), c.sha256, (SELECT towards = 'upstream' FROM reference r \
               WHERE r.incident = o.incident AND r.peer = o.peer LIMIT 1) \
             FROM outgoing o JOIN attachment a ON a.id = o.attachment JOIN content c ON c.id = o.content \
             WHERE o.peer = ?1 AND o.incident IN (SELECT value FROM json_each(?2)) ORDER BY clients",
        )
        .bind(peer.as_str())
        .bind(to_json(incidents))
        .fetch_all(&mut *connection)
        .await?;
        let mut files: HashMap<IncidentId, BTreeMap<String, ContentDigest>> = HashMap::new();
        for row in rows {
            let Ok(sha256) = row.try_get::<&str, _>(2)?.parse() else { continue };
            let of_incident = files.entry(IncidentId(row.try_get(0)?)).or_default();
            let name: String = row.try_get(1)?;
            // The upstream's come first, at both sites.
            let name = if of_incident.contains_key(&name) { name_of_clients(&name) } else { name };
            of_incident.insert(name, sha256);
        }
        Ok(files)
    }

    async fn ready_again(&self, incident: IncidentId, peer: &Alias, names: Vec<String>) -> Result<(), StoreError> {
        let (peer, names) = (peer.clone(), to_json(&names));
        self.in_transaction(CrashPoint::AttachmentDecided, move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE outgoing SET state = 'ready', reason = NULL WHERE incident = ? AND peer = ? \
                     AND state IN ('sent', 'failed') AND content IS NOT NULL \
                     AND coalesce(told_as, (SELECT name FROM attachment WHERE id = attachment)) \
                       IN (SELECT value FROM json_each(?))",
                )
                .bind(incident.0)
                .bind(peer.as_str())
                .bind(names)
                .execute(&mut *connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    async fn failed_files(&self, incident: Option<IncidentId>, limit: usize) -> Result<Vec<FailedFile>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let statement = match incident {
            Some(_) => {
                "SELECT o.incident, o.peer, o.exchange, coalesce(o.told_as, a.name), 1, o.reason FROM outgoing o \
                 JOIN attachment a ON a.id = o.attachment WHERE o.state = 'failed' AND o.incident = ?1 UNION ALL \
                 SELECT i.incident, i.peer, i.exchange, i.name, 0, i.reason FROM incoming i \
                 WHERE i.state = 'failed' AND i.incident = ?1 LIMIT ?2"
            }
            None => {
                "SELECT o.incident, o.peer, o.exchange, coalesce(o.told_as, a.name), 1, o.reason FROM outgoing o \
                 JOIN attachment a ON a.id = o.attachment WHERE o.state = 'failed' AND EXISTS (SELECT 1 FROM reference r \
                   WHERE r.peer = o.peer AND r.exchange = o.exchange AND r.standing NOT IN ('closed', 'rejected')) \
                 UNION ALL \
                 SELECT i.incident, i.peer, i.exchange, i.name, 0, i.reason FROM incoming i \
                 WHERE i.state = 'failed' AND EXISTS (SELECT 1 FROM reference r \
                   WHERE r.peer = i.peer AND r.exchange = i.exchange AND r.standing NOT IN ('closed', 'rejected')) \
                 LIMIT ?2"
            }
        };
        let rows =
            sqlx::query(statement).bind(incident.map(|id| id.0)).bind(limit as i64).fetch_all(&mut *connection).await?;
        rows.iter().map(failed).collect()
    }

    async fn retry_files(&self, incident: Option<IncidentId>, who: &str, at: Timestamp) -> Result<u64, StoreError> {
        let who = who.to_owned();
        self.in_transaction(CrashPoint::AttachmentDecided, move |connection| {
            Box::pin(retry(connection, incident, who, at))
        })
        .await
    }

    async fn transfers(&self, incident: IncidentId) -> Result<Vec<Transfer>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let rows = sqlx::query(
            "SELECT a.name, o.peer, 'to', o.state, o.reason, c.received, coalesce(c.bytes, a.bytes) FROM outgoing o \
             JOIN attachment a ON a.id = o.attachment LEFT JOIN content c ON c.id = o.content WHERE o.incident = ?1 \
             UNION ALL \
             SELECT coalesce(i.kept_as, i.name), i.peer, 'from', i.state, i.reason, c.received, c.bytes FROM incoming i \
             JOIN content c ON c.id = i.content WHERE i.incident = ?1 LIMIT ?2",
        )
        .bind(incident.0)
        .bind(2 * Deposit::FILE_LIMIT as i64)
        .fetch_all(&mut *connection)
        .await?;
        rows.iter().map(transfer).collect()
    }
}
