//! A state directory of its own for one story, and records to put into it.

use std::path::{Path, PathBuf};

use casebridge::case::{Alias, ExchangeId, IncidentId, Leg, OperationKind, Shadow, SiteId, Upward};
use casebridge::config::settings::{self, OnDamage};
use casebridge::state::{Due, ExchangeKey, ExchangeRecord, Lane, OpenError, OutboxEntry, Parked, State, StateError};
use jiff::Timestamp;
use tempfile::TempDir;
use uuid::Uuid;

pub struct Scene {
    directory: TempDir,
}

impl Scene {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn open(&self) -> State {
        open(&self.path()).unwrap()
    }
}

pub fn open(path: &Path) -> Result<State, OpenError> {
    State::open(&settings(path), site(), at(0))
}

pub fn settings(path: &Path) -> settings::State {
    settings::State { path: path.to_owned(), group: 64, cache_bytes: 16 << 20, on_damage: OnDamage::Stop }
}

pub fn site() -> SiteId {
    SiteId(Uuid::from_u128(7))
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

pub fn peer() -> Alias {
    "partner".parse().unwrap()
}

/// Where all of these exchanges are due.
pub fn lane() -> Lane {
    Lane::Upstream(peer())
}

pub fn key(number: u64) -> ExchangeKey {
    ExchangeKey::new(&peer(), ExchangeId::of(site(), IncidentId(number as i64), "edge-1", 0))
}

pub fn record(number: u64) -> ExchangeRecord {
    let leg = Leg::Upward { incident: IncidentId(number as i64), step: Upward::Creating };
    ExchangeRecord { sent: number, ..ExchangeRecord::begun(leg, Shadow::default(), at(0)) }
}

pub fn due(second: i64) -> Option<Due> {
    Some(Due { at: at(second), attempts: 1, last_error: Some("no answer".into()) })
}

pub fn parked() -> Option<Parked> {
    Some(Parked { since: at(1), seq: 1, operation: OperationKind::Create, reason: "refused".into(), untaken: true })
}

pub fn entry(number: u64, bytes: usize) -> OutboxEntry {
    let text = format!("{{\"text\":\"{}\"}}", "x".repeat(bytes));
    OutboxEntry {
        exchange: key(number).exchange,
        seq: 1,
        kind: OperationKind::Create,
        seen: 0,
        queued_at: at(0),
        operation: serde_json::value::RawValue::from_string(text).unwrap(),
        told: None,
        ours: None,
        unmapped: None,
    }
}

/// An exchange with an operation in the outbox and something due.
pub async fn submit(state: &State, number: u64, bytes: usize) -> u64 {
    state
        .transact::<_, StateError, _>(move |transaction| {
            let position = transaction.enqueue(&peer(), &entry(number, bytes))?;
            let record = ExchangeRecord { pending: vec![position], due: due(number as i64), ..record(number) };
            transaction.put_exchange(&key(number), &record)?;
            Ok(position)
        })
        .await
        .unwrap()
}

/// Every exchange in the state, by the number in its record.
pub async fn exchanges(state: &State) -> Result<Vec<u64>, StateError> {
    state
        .read(|view| {
            let mut numbers = Vec::new();
            let mut after = None;
            loop {
                let page = view.exchanges_after(&peer(), after, 7)?;
                let Some((last, _)) = page.last() else { break };
                after = Some(last.exchange);
                numbers.extend(page.iter().map(|(_, record)| record.sent));
            }
            numbers.sort_unstable();
            Ok(numbers)
        })
        .await
}

/// What sled wrote into files that it never syncs.
pub fn blobs(path: &Path) -> usize {
    std::fs::read_dir(path.join("blobs")).map_or(0, Iterator::count)
}

/// Waits until nobody holds sled's lock on the database: sled gives it back in its own time.
pub async fn released(path: &Path) {
    let database = std::fs::File::options().write(true).open(path.join("db")).unwrap();
    let waiting = tokio::task::spawn_blocking(move || database.lock().unwrap());
    tokio::time::timeout(std::time::Duration::from_secs(60), waiting).await.expect("it is released").unwrap();
}
