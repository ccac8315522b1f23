//! The content of files, in pieces. What was hashed of it stands beside it, so that the last piece needs no second look at
//! all the others.

use jiff::Timestamp;
use sha2::digest::common::hazmat::SerializableState;
use sha2::{Digest, Sha256};
use sqlx::{Row, SqliteConnection};

use super::sharing;
use crate::case::ContentDigest;
use crate::store::{Appended, Begun, StoreError};

/// The site's own, as `content.source` names it.
pub const OWN: &str = "";
/// The most bytes of one row.
const PART: usize = 1 << 20;

/// The content with this digest from this source; begun where it is not there.
pub async fn begin(
    connection: &mut SqliteConnection,
    source: &str,
    sha256: &ContentDigest,
    bytes: u64,
) -> Result<Begun, StoreError> {
    sqlx::query("INSERT INTO content (source, sha256, bytes) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(source)
        .bind(sha256.as_str())
        .bind(bytes as i64)
        .execute(&mut *connection)
        .await?;
    let row = sqlx::query("SELECT id, received, complete FROM content WHERE source = ? AND sha256 = ? AND bytes = ?")
        .bind(source)
        .bind(sha256.as_str())
        .bind(bytes as i64)
        .fetch_one(&mut *connection)
        .await?;
    let received: i64 = row.try_get(1)?;
    Ok(Begun { content: row.try_get(0)?, received: received as u64, complete: row.try_get(2)? })
}

/// A content of the site's own that is in memory already.
pub async fn store(
    connection: &mut SqliteConnection,
    content: &[u8],
    at: Timestamp,
) -> Result<(i64, ContentDigest), StoreError> {
    let sha256 = ContentDigest::of(content);
    let begun = begin(connection, OWN, &sha256, content.len() as u64).await?;
    if begun.complete {
        return Ok((begun.content, sha256));
    }
    let mut start = begun.received as usize;
    loop {
        let piece = content.get(start..content.len().min(start + PART)).unwrap_or_default();
        match append(connection, begun.content, start as u64, piece, at).await? {
            Appended::Part(received) => start = received as usize,
            Appended::Complete => return Ok((begun.content, sha256)),
            // Never of the bytes that were hashed just now.
            Appended::Elsewhere(_) | Appended::WrongDigest => {
                return Err(StoreError::Failed("a content does not match its digest".into()));
            }
        }
    }
}

pub async fn read(
    connection: &mut SqliteConnection,
    content: i64,
    start: u64,
    most: usize,
) -> Result<Vec<u8>, StoreError> {
    let start = start as i64;
    let rows = sqlx::query(
        "SELECT start, data FROM content_part WHERE content = ?1 AND start < ?2 + ?3 AND start >= \
           coalesce((SELECT max(start) FROM content_part WHERE content = ?1 AND start <= ?2), 0) ORDER BY start",
    )
    .bind(content)
    .bind(start)
    .bind(most as i64)
    .fetch_all(&mut *connection)
    .await?;
    let mut piece = Vec::with_capacity(most);
    for row in rows {
        let (first, data): (i64, &[u8]) = (row.try_get(0)?, row.try_get(1)?);
        let skip = (start - first).max(0) as usize;
        let data = data.get(skip..).unwrap_or_default();
        piece.extend_from_slice(data.get(..data.len().min(most - piece.len())).unwrap_or_default());
    }
    Ok(piece)
}

pub async fn append(
    connection: &mut SqliteConnection,
    content: i64,
    start: u64,
    data: &[u8],
    at: Timestamp,
) -> Result<Appended, StoreError> {
    let row = sqlx::query("SELECT received, bytes, complete, sha256, hash FROM content WHERE id = ?")
        .bind(content)
        .fetch_optional(&mut *connection)
        .await?;
    // Replaced by another file in the meantime.
    let Some(row) = row else { return Ok(Appended::Elsewhere(0)) };
    if row.try_get(2)? {
        return Ok(Appended::Complete);
    }
    let (received, bytes): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let end = received + data.len() as i64;
    if start as i64 != received || end > bytes {
        return Ok(Appended::Elsewhere(received as u64));
    }
    let mut hash = resumed(row.try_get(4)?)?;
    hash.update(data);
    if end < bytes {
        insert(connection, content, received, data).await?;
        sqlx::query("UPDATE content SET received = ?, hash = ? WHERE id = ?")
            .bind(end)
            .bind(hash.serialize().to_vec())
            .bind(content)
            .execute(&mut *connection)
            .await?;
        return Ok(Appended::Part(end as u64));
    }
    if ContentDigest::ended(hash).as_str() != row.try_get::<&str, _>(3)? {
        sqlx::query("DELETE FROM content_part WHERE content = ?").bind(content).execute(&mut *connection).await?;
        sqlx::query("UPDATE content SET received = 0, hash = NULL WHERE id = ?")
            .bind(content)
            .execute(&mut *connection)
            .await?;
        sharing::blame(connection, content, at).await?;
        return Ok(Appended::WrongDigest);
    }
    insert(connection, content, received, data).await?;
    sqlx::query("UPDATE content SET received = bytes, hash = NULL, complete = 1 WHERE id = ?")
        .bind(content)
        .execute(&mut *connection)
        .await?;
    sharing::arrive(connection, content, at).await?;
    Ok(Appended::Complete)
}

fn resumed(hash: Option<Vec<u8>>) -> Result<Sha256, StoreError> {
    let damaged = || StoreError::Failed("the digest of a half content does not read".into());
    match hash {
        None => Ok(Sha256::new()),
        Some(hash) => {
            let hash = hash.as_slice().try_into().map_err(|_| damaged())?;
            Sha256::deserialize(&hash).map_err(|_| damaged())
        }
    }
}

async fn insert(connection: &mut SqliteConnection, content: i64, start: i64, data: &[u8]) -> Result<(), StoreError> {
    if data.is_empty() {
        return Ok(());
    }
    sqlx::query("INSERT INTO content_part VALUES (?, ?, ?)")
        .bind(content)
        .bind(start)
        .bind(data)
        .execute(&mut *connection)
        .await?;
    Ok(())
}
