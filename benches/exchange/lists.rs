//! Pages of case lists, by each filter and in each order, in a store of a thousand cases and in one of a hundred thousand. Where
//! a filter finds the same hundred cases in both, every list should take the same time; where it finds a quarter of all,
//! those lists should that have an index of their own.

use std::path::Path;
use std::time::Instant;

use casebridge::case::{CaseState, IncidentId, Priority};
use casebridge::config::Settings;
use casebridge::store::{CaseFilter, CaseOrder, CaseQuery, CaseStore, Seen, Span, SqliteStore, Words};
use jiff::Timestamp;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection};

const FEW: i64 = 1_000;
const MANY: i64 = 100_000;
/// Cases that a filter finds, wherever it does not find a quarter.
const FOUND: i64 = 100;
const PAGE: usize = 50;
const ROUNDS: usize = 31;

pub async fn measure() {
    compare("the same 100", &format!("i <= {FOUND}")).await;
    compare("a quarter", "i % 4 = 1").await;
}

async fn compare(what: &str, found: &str) {
    let dirs = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let stores = (filled(dirs.0.path(), FEW, found).await, filled(dirs.1.path(), MANY, found).await);
    for (name, filter) in filters() {
        let mut told = Vec::new();
        for order in CaseOrder::ALL {
            let query = CaseQuery {
                filters: filter.iter().cloned().collect(),
                order,
                descending: true,
                ..CaseQuery::of(Seen::all(), PAGE)
            };
            let (few, many) = (median(&stores.0, &query).await, median(&stores.1, &query).await);
            told.push(format!("{} {:.1} ({many:.2} ms)", order.as_str(), many / few));
        }
        println!("ratio  lists that find {what}: {name:<18} by {}", told.join(", "));
    }
}

/// The median time of one page, in milliseconds.
async fn median(store: &SqliteStore, query: &CaseQuery) -> f64 {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        store.cases(query).await.unwrap();
        times.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}

/// Those whose cases are chosen by `filled`, and none.
fn filters() -> Vec<(&'static str, Option<CaseFilter>)> {
    let ann = || "ann".parse().unwrap();
    let until = Timestamp::from_second(60 * FOUND).ok();
    let span = Span { from: Some(Timestamp::UNIX_EPOCH), before: until };
    vec![
        ("none", None),
        ("number", Some(CaseFilter::Numbers(vec![IncidentId(7)]))),
        ("state", Some(CaseFilter::States(vec![CaseState::OnHold]))),
        ("states", Some(CaseFilter::States(vec![CaseState::OnHold, CaseState::Opened]))),
        ("type", Some(CaseFilter::Type("hardware".parse().unwrap()))),
        ("priority", Some(CaseFilter::Priority(Priority::High))),
        ("client", Some(CaseFilter::Client("north".parse().unwrap()))),
        ("device group", Some(CaseFilter::Group("core".into()))),
        ("owner", Some(CaseFilter::Owner(ann()))),
        ("initiator", Some(CaseFilter::Initiator(ann()))),
        ("assigned to", Some(CaseFilter::AssignedTo(ann()))),
        ("assigned to group", Some(CaseFilter::AssignedToGroup("noc".parse().unwrap()))),
        ("unassigned", Some(CaseFilter::Unassigned)),
        ("tag", Some(CaseFilter::Tag("fan".parse().unwrap()))),
        ("watcher", Some(CaseFilter::Watcher(ann()))),
        ("flagged", Some(CaseFilter::Flagged(ann()))),
        ("words", Words::of("fan").map(CaseFilter::Words)),
        ("created", Some(CaseFilter::Created(span))),
        ("updated", Some(CaseFilter::Updated(span))),
        ("due", Some(CaseFilter::Due(span))),
        ("breached", Some(CaseFilter::Breached(Timestamp::UNIX_EPOCH))),
        ("about to breach", Some(CaseFilter::AboutToBreach(Timestamp::UNIX_EPOCH))),
    ]
}

/// An empty store, and a connection to it as other programs have one.
pub async fn empty(dir: &Path) -> (SqliteStore, SqliteConnection) {
    let text = format!(
        "[site]\nalias = \"north\"\ndata_dir = \"{}\"\n[upstream]\nalias = \"partner\"\nurl = \"http://127.0.0.1:1\"\n\
         user = \"north\"\npassword_file = \"password\"\n",
        dir.display()
    );
    crate::pair::write_secret(&dir.join("password"), "correct horse battery");
    let settings = Settings::parse(&text, "config.toml", dir).unwrap_or_else(|fault| panic!("{fault}"));
    let store = SqliteStore::open(&settings.store).await.unwrap();
    let rows = SqliteConnectOptions::new().filename(&settings.store.path).connect().await.unwrap();
    (store, rows)
}

/// A store of so many cases, of which every filter finds those for which `found` holds; a span finds the first hundred minutes.
async fn filled(dir: &Path, cases: i64, found: &str) -> SqliteStore {
    let (store, mut rows) = empty(dir).await;
    for statement in [
        format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {cases}), \
             k (i, f, t) AS (SELECT i, {found}, strftime('%Y-%m-%dT%H:%M:%fZ', i * 7919 % {cases} * 60, 'unixepoch') FROM n) \
             INSERT INTO incident (host_event_id, synopsis, client, device_group, case_type, owner, initiator, \
               initiator_type, priority, state, created_at, updated_at) \
             SELECT 'e-' || i, iif(f, 'fan', 'disk'), iif(f, 'north', 'south'), iif(f, 'core', 'edge'), \
               iif(f, 'hardware', 'other'), iif(f, 'ann', 'bert'), iif(f, 'ann', 'bert'), 'USER', \
               iif(f, '2 - High', '4 - Low'), iif(f, 'on_hold', 'in_process'), t, t FROM k"
        ),
        "UPDATE incident SET sort_due = sort_created, breached = client = 'north', warned = client = 'north'".to_owned(),
        "INSERT INTO deadline (incident, uid, kind, promise, revision, position, warns_at, due_at, warned, stale) \
         SELECT id, printf('%032x', id), 'sla', '{}', 0, 1, -1, 1, 1, 0 FROM incident WHERE client = 'north'"
            .to_owned(),
        "INSERT INTO case_mark (kind, name, incident) SELECT m.kind, m.name, id FROM incident, \
           (SELECT 'user' AS kind, 'ann' AS name UNION ALL VALUES ('group', 'noc'), ('tag', 'fan'), ('watcher', 'ann')) m \
         WHERE client = 'north'"
            .to_owned(),
        "INSERT INTO case_mark (kind, name, incident) SELECT 'user', 'bert', id FROM incident WHERE client = 'south'"
            .to_owned(),
        "DELETE FROM case_mark WHERE kind IN ('user', 'group') AND incident % 50 = 1 AND incident <= 1000".to_owned(),
        "INSERT INTO case_flag (user, incident, flagged_by, flagged_at) \
         SELECT 'ann', id, 'bert', '2026-01-01T00:00:00Z' FROM incident WHERE client = 'north'"
            .to_owned(),
    ] {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut rows).await.unwrap();
    }
    store
}
