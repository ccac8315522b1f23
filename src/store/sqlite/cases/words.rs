//! The index of the words in titles follows what was written, before it is searched.

use sqlx::SqliteConnection;

use crate::store::StoreError;
use crate::store::sqlite::SqliteStore;
use crate::telemetry::CrashPoint;

/// So many in one transaction: others write in between.
const AT_ONCE: i64 = 2_000;

/// Takes into the index what was written until now.
pub async fn catch_up(store: &SqliteStore) -> Result<(), StoreError> {
    let due: i64 = sqlx::query_scalar("SELECT count(*) FROM incident_text_due").fetch_one(&store.readers).await?;
    for _ in 0..(due + AT_ONCE - 1) / AT_ONCE {
        store.in_transaction(CrashPoint::StoreWritten, |connection| Box::pin(take(connection))).await?;
    }
    Ok(())
}

async fn take(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let last: Option<i64> = sqlx::query_scalar(
        "SELECT max(incident) FROM (SELECT incident FROM incident_text_due ORDER BY incident LIMIT ?)",
    )
    .bind(AT_ONCE)
    .fetch_one(&mut *connection)
    .await?;
    for statement in [
        "DELETE FROM incident_text WHERE rowid IN (SELECT incident FROM incident_text_due WHERE incident <= ?)",
        "INSERT INTO incident_text (rowid, synopsis) \
         SELECT i.id, i.synopsis FROM incident_text_due d JOIN incident i ON i.id = d.incident WHERE d.incident <= ?",
        "DELETE FROM incident_text_due WHERE incident <= ?",
    ] {
        sqlx::query(statement).bind(last).execute(&mut *connection).await?;
    }
    Ok(())
}
