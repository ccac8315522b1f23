//! Lists of cases search an index, whatever is asked for: no filter, order or sight reads through all that is stored.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Row as _};

use super::*;
use crate::case::{IncidentId, Priority};
use crate::config::settings;
use crate::store::{Seen, SqliteStore, Words};

fn filters() -> Vec<Option<CaseFilter>> {
    let at = |second| jiff::Timestamp::from_second(second).ok();
    let span = Span { from: at(0), before: at(9) };
    let user = || "ann".parse().unwrap();
    let all = [
        CaseFilter::Number(IncidentId(1)),
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
    // Whoever asks for what was missed is told all that was missed.
    let missed = "SCAN d USING COVERING INDEX deadline_violated";
    ["SCAN json_each", "SCAN g ", "SCAN t VIRTUAL TABLE", "SCAN x VIRTUAL TABLE", missed]
        .iter()
        .any(|start| format!("{step} ").starts_with(start))
}

#[tokio::test]
async fn every_list_of_cases_searches_an_index() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings::Store {
        path: dir.path().join("incidents.db"),
        poll_interval: Duration::from_secs(1),
        batch: 500,
        busy_timeout: Duration::from_secs(60),
    };
    let store = SqliteStore::open(&settings).await.unwrap();
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
                    for query in [first, next] {
                        let sql = statement(&query).unwrap().sql().as_str().to_owned();
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
