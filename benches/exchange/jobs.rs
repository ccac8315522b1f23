//! What the three jobs of case management read, once the instants of what changed are up to date, in a store of a thousand cases
//! and in one of a hundred thousand with as many that are due and that changed: the time should be the same.

use std::time::Instant;

use casebridge::store::{DeadlineStore, Place, SqliteStore};
use jiff::Timestamp;
use sqlx::SqliteConnection;

/// Cases with which each job has something to do.
const DUE: i64 = 100;
const ROUNDS: usize = 101;

pub async fn measure() {
    let (few, many) = (at(1_000).await, at(100_000).await);
    println!(
        "ratio  three jobs, 100,000 cases to 1,000 {:>8.1}   (goal: at most 2; median {many:.2} ms, and {few:.2} ms)",
        many / few
    );
}

/// The median time of one look of each job, in milliseconds.
async fn at(cases: i64) -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut rows) = store(dir.path(), cases).await;
    let now = Timestamp::from_second(1_790_000_000).unwrap();
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        sqlx::query("UPDATE deadline SET stale = 1 WHERE incident <= ?").bind(DUE).execute(&mut rows).await.unwrap();
        let start = Instant::now();
        store.refresh_deadlines().await.unwrap();
        let slas = store.passing(None, now, Place::default(), 200).await.unwrap();
        let due = store.passing(Some("Chassis"), now, Place::default(), 200).await.unwrap();
        let resolved = store.resolved("Chassis", now, Place::default(), 200).await.unwrap();
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        let found = (slas.len() as i64, due.len() as i64, resolved.len() as i64);
        assert_eq!(found, (DUE, DUE, DUE));
    }
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}

async fn store(dir: &std::path::Path, cases: i64) -> (SqliteStore, SqliteConnection) {
    let (store, mut rows) = crate::lists::empty(dir).await;
    for statement in [
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
         INSERT INTO incident (host_event_id, synopsis, case_type, phase, state, state_since) \
         SELECT 'edge1-' || i, 'Chassis alarm', 'Chassis', 'review', 'resolved', \
           iif(i <= ?2, '2020-01-01T00:00:00Z', '2030-01-01T00:00:00Z') FROM n",
        "INSERT INTO deadline (incident, uid, kind, promise, revision, case_type, position, next_at, stale) \
         SELECT i.id, printf('%032x', k.sign * i.id), k.kind, json_object('id', printf('%032x', k.sign * i.id), \
             'kind', k.kind, 'name', 'mend', 'starts_at', iif(i.id <= ?2, '2020-01-01T00:00:00Z', '2030-01-01T00:00:00Z'), \
             'within', 3600), 0, 'Chassis', k.position, iif(i.id <= ?2, 1577840400000, 1893459600000), 0 \
         FROM incident i, (SELECT 'sla' AS kind, 1 AS sign, 1 AS position UNION ALL VALUES ('due', -1, 2)) k WHERE i.id <= ?1",
    ] {
        sqlx::query(statement).bind(cases).bind(DUE).execute(&mut rows).await.unwrap();
    }
    (store, rows)
}
