//! Lists of cases search an index, whatever is asked for: no filter, order or sight reads through all that is stored.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};

use super::*;
use crate::case::{IncidentId, Priority};
use crate::config::{settings, token::GROUP_LIMIT};
use crate::store::{Seen, SqliteStore, Words};

fn filters() -> Vec<Option<CaseFilter>> {
    let at = |second| jiff::Timestamp::from_second(second).ok();
    let span = Span { from: at(0), before: at(9) };
    let user = || "ann".parse().unwrap();
    let all = [
        CaseFilter::Numbers(vec![IncidentId(1), IncidentId(2)]),
        CaseFilter::States(vec![CaseState::Opened]),
        CaseFilter::States(vec![CaseState::Completed]),
        CaseFilter::States(CaseState::ALL.to_vec()),
        CaseFilter::Type("hardware".parse().unwrap()),
        CaseFilter::Priority(Priority::High),
        CaseFilter::Client("north".parse().unwrap()),
        CaseFilter::Group("core".into()),
        CaseFilter::Owner(user()),
        CaseFilter::Initiator(user()),
        CaseFilter::AssignedTo(user()),
        CaseFilter::AssignedToGroup("noc".parse().unwrap()),
        CaseFilter::Unassigned,
        CaseFilter::Tag("fan".parse().unwrap()),
        CaseFilter::Watcher(user()),
        CaseFilter::Flagged(user()),
        CaseFilter::Words(Words::of("fan").unwrap()),
        CaseFilter::Created(span),
        CaseFilter::Updated(span),
        CaseFilter::Due(span),
        CaseFilter::Breached(jiff::Timestamp::UNIX_EPOCH),
        CaseFilter::AboutToBreach(jiff::Timestamp::UNIX_EPOCH),
    ];
    [None].into_iter().chain(all.into_iter().map(Some)).collect()
}

fn sights() -> Vec<Seen> {
    let of = |sight: Sight, within: &[&str]| Seen {
        sight,
        within: within.iter().map(|group| (*group).to_owned()).collect(),
    };
    let some = |mine, assigned, unassigned| Sight::Some {
        mine,
        assigned,
        unassigned,
        user: "ann".into(),
        groups: vec!["noc".into()],
    };
    vec![
        of(Sight::All, &[]),
        of(Sight::All, &["core", "edge"]),
        of(some(true, false, false), &[]),
        of(some(false, true, false), &[]),
        of(some(false, false, true), &[]),
        of(some(true, true, true), &["core"]),
    ]
}

/// Walks through what the call itself handed over, or through what the index of words found.
fn is_of_the_call(step: &str) -> bool {
    ["SCAN json_each", "SCAN g ", "SCAN t VIRTUAL TABLE", "SCAN x VIRTUAL TABLE"]
        .iter()
        .any(|start| format!("{step} ").starts_with(start))
}

async fn open(dir: &Path) -> SqliteStore {
    let settings = settings::Store {
        path: dir.join("incidents.db"),
        poll_interval: Duration::from_secs(1),
        batch: 500,
        busy_timeout: Duration::from_secs(60),
    };
    SqliteStore::open(&settings).await.unwrap()
}

#[tokio::test]
async fn every_list_of_cases_searches_an_index() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut connection = store.readers.acquire().await.unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for filter in filters() {
        for order in CaseOrder::ALL {
            for descending in [false, true] {
                for sight in sights() {
                    let first = CaseQuery {
                        filters: filter.iter().cloned().collect(),
                        order,
                        descending,
                        ..CaseQuery::of(sight, 10)
                    };
                    let after = Some(format!("{}:7:x", name(&first)));
                    let next = CaseQuery { after, ..first.clone() };
                    let last = Some(format!("{}:7:{NO_INSTANT}", name(&first)));
                    let undated = CaseQuery { after: last, ..first.clone() };
                    for (query, part) in [first, next, undated].iter().flat_map(|query| parts(query).unwrap()) {
                        let sql = statement(&query, part).unwrap().sql().as_str().to_owned();
                        if !seen.insert(sql.clone()) {
                            continue;
                        }
                        let explained = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")));
                        let steps = explained.fetch_all(&mut *connection).await.unwrap();
                        let steps: Vec<String> = steps.iter().map(|step| step.get("detail")).collect();
                        let scanned = steps.iter().find(|step| step.starts_with("SCAN") && !is_of_the_call(step));
                        assert_eq!(scanned, None, "{query:?}\n{sql}\n{steps:#?}");
                        assert!(!steps.iter().any(|step| step.contains("AUTOMATIC")), "{sql}\n{steps:#?}");
                        // What has an order of its own in an index is not sorted.
                        if filter.is_none() && query.seen == Seen::all() {
                            let sorted = steps.iter().any(|step| step.contains("TEMP B-TREE"));
                            assert!(!sorted, "{sql}\n{steps:#?}");
                        }
                    }
                }
            }
        }
    }
    assert!(seen.len() > 500, "{}", seen.len());
}

/// So many cases, of which each filter finds a quarter, spread over all of them and over each order; or those of the last
/// ones that are told.
struct Filled {
    _dir: tempfile::TempDir,
    store: SqliteStore,
}

impl Filled {
    async fn with(cases: i64, found: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).await;
        let rows = SqliteConnectOptions::new().filename(dir.path().join("incidents.db"));
        let mut rows = rows.connect().await.unwrap();
        let fill = [
            // 7,919 is a prime: the orders have nothing to do with each other, nor with what is found.
            format!(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {cases}), \
                 k (i, f, t) AS (SELECT i, {found}, strftime('%Y-%m-%dT%H:%M:%fZ', i * 7919 % {cases} * 60 + 5, 'unixepoch') \
                   FROM n) \
                 INSERT INTO incident (host_event_id, synopsis, client, device_group, case_type, owner, initiator, \
                   initiator_type, priority, state, created_at, updated_at) \
                 SELECT 'e-' || i, iif(f, 'fan', 'disk'), iif(f, 'north', 'south'), iif(f, 'core', 'edge'), \
                   iif(f, 'hardware', 'other'), iif(f, 'ann', 'bert'), iif(f, 'ann', 'bert'), 'USER', \
                   iif(f, '2 - High', (1 + 2 * (i % 2)) || iif(i % 2, ' - Medium', ' - Critical')), \
                   iif(f, 'on_hold', 'in_process'), t, t FROM k"
            ),
            "UPDATE incident SET breached = 1, warned = 1 WHERE client = 'north'".to_owned(),
            "UPDATE incident SET sort_due = sort_created WHERE id % 3 <> 0 OR client = 'north'".to_owned(),
            "INSERT INTO deadline (incident, uid, kind, promise, revision, position, warns_at, due_at, warned, stale) \
             SELECT id, printf('%032x', id), 'sla', '{}', 0, 1, -1, 1, 1, 0 FROM incident WHERE client = 'north'"
                .to_owned(),
            "INSERT INTO deadline (incident, uid, kind, promise, revision, position, violated, stale) \
             SELECT id, printf('%031xf', id), 'sla', '{}', 0, 2, 1, 0 FROM incident WHERE client = 'north'"
                .to_owned(),
            "INSERT INTO case_mark (kind, name, incident) SELECT m.kind, m.name, id FROM incident, \
               (SELECT 'user' AS kind, 'ann' AS name UNION ALL VALUES ('group', 'noc'), ('tag', 'fan'), ('watcher', 'ann')) m \
             WHERE client = 'north'"
                .to_owned(),
            "INSERT INTO case_mark (kind, name, incident) SELECT 'user', 'bert', id FROM incident WHERE client = 'south' \
               AND id % 4 <> 2"
                .to_owned(),
            "INSERT INTO case_flag (user, incident, flagged_by, flagged_at) \
             SELECT 'ann', id, 'bert', '2026-01-01T00:00:00Z' FROM incident WHERE client = 'north'"
                .to_owned(),
        ];
        for statement in fill {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut rows).await.unwrap();
        }
        crate::store::sqlite::cases::words::catch_up(&store).await.unwrap();
        Self { _dir: dir, store }
    }

    /// How often SQLite looks whether to go on while it finds a page and the next one, and how many are on them. The same at
    /// every time.
    async fn steps(&self, query: &CaseQuery) -> (u64, usize) {
        let mut connection = self.store.readers.acquire().await.unwrap();
        let steps = Arc::new(AtomicU64::new(0));
        let counted = steps.clone();
        let count = move || counted.fetch_add(1, Ordering::Relaxed) < u64::MAX;
        connection.lock_handle().await.unwrap().set_progress_handler(1, count);
        let first = list(&mut connection, query).await.unwrap();
        let next = CaseQuery { after: first.next.clone(), ..query.clone() };
        let mut found = first.cases.len();
        if next.after.is_some() {
            found += list(&mut connection, &next).await.unwrap().cases.len();
        }
        connection.lock_handle().await.unwrap().remove_progress_handler();
        (steps.load(Ordering::Relaxed), found)
    }
}

/// What costs what its filter finds: an index for each order would cost every write more than these lists are worth.
fn costs_what_it_finds(filter: &CaseFilter, order: CaseOrder) -> bool {
    use CaseFilter::*;
    match filter {
        // By number it is the index of words alone that reads all that the words find.
        Priority(_) => !matches!(order, CaseOrder::Number | CaseOrder::Priority),
        Created(_) => order != CaseOrder::Created,
        Updated(_) => order != CaseOrder::Updated,
        Due(_) => order != CaseOrder::Due,
        Words(_) | Initiator(_) | AssignedTo(_) | AssignedToGroup(_) | Unassigned | Tag(_) | Watcher(_)
        | Flagged(_) => order != CaseOrder::Number,
        _ => false,
    }
}

fn asked(filter: &Option<CaseFilter>, order: CaseOrder, descending: bool) -> CaseQuery {
    CaseQuery { filters: filter.iter().cloned().collect(), order, descending, ..CaseQuery::of(Seen::all(), 10) }
}

/// Each filter finds a quarter of what is stored: a page costs the same, however much that is.
#[tokio::test]
async fn a_page_costs_what_is_on_it_and_not_what_is_stored() {
    let (few, many) = (Filled::with(1_000, "i % 4 = 1").await, Filled::with(10_000, "i % 4 = 1").await);
    let spans = |cases: i64| {
        let at = |second| jiff::Timestamp::from_second(second).ok();
        Span { from: at(0), before: at(cases * 15) }
    };
    let of = |filter: Option<CaseFilter>, cases| match filter {
        Some(CaseFilter::Created(_)) => Some(CaseFilter::Created(spans(cases))),
        Some(CaseFilter::Updated(_)) => Some(CaseFilter::Updated(spans(cases))),
        Some(CaseFilter::Due(_)) => Some(CaseFilter::Due(spans(cases))),
        other => other,
    };
    let states = CaseFilter::States(vec![CaseState::OnHold, CaseState::Opened]);
    for filter in filters().into_iter().chain([Some(states), Some(CaseFilter::States(vec![CaseState::OnHold]))]) {
        for order in CaseOrder::ALL {
            for descending in [false, true] {
                let (small, found) = few.steps(&asked(&of(filter.clone(), 1_000), order, descending)).await;
                let (large, as_many) = many.steps(&asked(&of(filter.clone(), 10_000), order, descending)).await;
                assert_eq!(found, as_many, "{filter:?} by {order:?}");
                let excepted = filter.as_ref().is_some_and(|filter| costs_what_it_finds(filter, order));
                let bounded = large <= 2 * small;
                assert_eq!(
                    bounded, !excepted,
                    "{filter:?} by {order:?}, descending {descending}: {small}, then {large}"
                );
            }
        }
    }
}

/// Each filter finds the same forty cases, the first ones: no list costs more because others are stored.
#[tokio::test]
async fn a_list_costs_no_more_than_what_its_filter_finds() {
    let (few, many) = (Filled::with(1_000, "i <= 40").await, Filled::with(10_000, "i <= 40").await);
    let of_all = |filter: &CaseFilter| {
        use CaseFilter::*;
        matches!(filter, Created(_) | Updated(_) | Due(_) | Unassigned)
    };
    for filter in filters().into_iter().flatten().filter(|filter| !of_all(filter)) {
        for order in CaseOrder::ALL {
            for descending in [false, true] {
                let query = asked(&Some(filter.clone()), order, descending);
                let ((small, found), (large, as_many)) = (few.steps(&query).await, many.steps(&query).await);
                assert_eq!(found, as_many, "{filter:?} by {order:?}");
                assert!(large <= 2 * small, "{filter:?} by {order:?}, descending {descending}: {small}, then {large}");
            }
        }
    }
}

/// A token may name a hundred groups: each of them has arms of its own, and SQLite takes no more than 500.
#[tokio::test]
async fn a_list_within_as_many_groups_as_a_token_may_name_costs_what_is_on_the_page() {
    let (few, many) = (Filled::with(1_000, "i % 4 = 1").await, Filled::with(10_000, "i % 4 = 1").await);
    let groups: Vec<String> =
        ["core".to_owned(), "south".into()].into_iter().chain((2..GROUP_LIMIT).map(|i| format!("g{i}"))).collect();
    let states = CaseFilter::States(vec![CaseState::OnHold, CaseState::InProcess]);
    let narrow =
        Sight::Some { mine: true, assigned: true, unassigned: true, user: "nobody".into(), groups: groups.clone() };
    for (sight, filter) in [(Sight::All, None), (Sight::All, Some(states)), (narrow, None)] {
        for order in CaseOrder::ALL {
            for descending in [false, true] {
                let seen = Seen { sight: sight.clone(), within: groups.clone() };
                let query = CaseQuery { seen, ..asked(&filter, order, descending) };
                let ((small, found), (large, as_many)) = (few.steps(&query).await, many.steps(&query).await);
                assert_eq!((found, as_many), (20, 20), "{filter:?} by {order:?}, descending {descending}");
                // What is assigned, or unassigned, has no index for each order.
                let is_bounded = sight == Sight::All || order == CaseOrder::Number;
                assert!(large <= 2 * small || !is_bounded, "{filter:?} by {order:?}: {small}, then {large}");
            }
        }
    }
}

#[tokio::test]
async fn cases_without_a_due_date_come_last_in_either_direction_page_by_page() {
    let filled = Filled::with(40, "i % 4 = 1").await;
    let mut connection = filled.store.readers.acquire().await.unwrap();
    for (descending, order) in [(false, "sort_due, id"), (true, "sort_due = 'none', sort_due DESC, id DESC")] {
        let all = format!("SELECT id FROM incident ORDER BY {order}");
        let expected: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(all)).fetch_all(&mut *connection).await.unwrap();
        for limit in [1, 7, 40, 41] {
            let first = CaseQuery { limit, ..asked(&None, CaseOrder::Due, descending) };
            let (mut found, mut after) = (Vec::new(), None);
            for _ in 0..=40 {
                let page = list(&mut connection, &CaseQuery { after: after.clone(), ..first.clone() }).await.unwrap();
                found.extend(page.cases.iter().map(|case| case.incident.0));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{limit} at once, descending {descending}");
        }
    }
}
