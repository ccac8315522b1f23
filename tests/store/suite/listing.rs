//! Lists for people: filters, orders, pages.

use std::sync::Arc;

use casebridge::case::{Case, Deposit, Edit, Event, Form, IncidentId, Kind, Phase, Priority, Standing, Submission};
use casebridge::store::{IncidentStore, ListFilter, ListOrder, ListQuery, ReferenceWrite, StoreError, Write, Writer};

use super::{Bench, Row, at, client, deposit, event, ids, listed, open_of, reference, row, write};

const ORDERS: [ListOrder; 5] =
    [ListOrder::Id, ListOrder::CreatedAt, ListOrder::Priority, ListOrder::Device, ListOrder::Group];

fn all() -> ListQuery {
    ListQuery { limit: 100, ..ListQuery::default() }
}

/// Five of our own, all different, and one of a client's.
async fn furnished(store: &Arc<dyn IncidentStore>) -> Vec<IncidentId> {
    let with = |number: i64, group: Option<&str>, device: Option<&str>, priority, kind, hold| {
        let deposit = Deposit {
            event: Event { device: device.map(Into::into), priority, kind, ..event(&format!("edge-{number}")) },
            group: group.map(Into::into),
            form: Form { tracking_number: Some(format!("T-{number}")), ..Form::default() },
            hold,
            ..deposit("")
        };
        (deposit, at(-number))
    };
    let mut made = Vec::new();
    for (deposit, at) in [
        with(1, Some("b"), Some("mx-2"), Some(Priority::Low), Kind::Event, false),
        with(2, Some("a"), Some("mx-1"), Some(Priority::Critical), Kind::EventRma, false),
        with(3, None, Some("mx-2"), None, Kind::Event, true),
        with(4, Some("b"), None, Some(Priority::High), Kind::Event, false),
        with(5, Some("b"), Some("mx-2"), Some(Priority::Low), Kind::OnDemand, false),
    ] {
        made.push(store.deposit(vec![deposit], at).await.unwrap()[0].incident);
    }
    made.push(store.open(vec![open_of(client(), 9)]).await.unwrap()[0].incident.id);
    let accepted = Write {
        edit: Edit {
            phase: Some(Phase::Review),
            case: Some(Case { id: "CASE 7".parse().unwrap(), link: None, status: "Open".into(), contact: None }),
            ..Edit::default()
        },
        reference: Some(ReferenceWrite { standing: Standing::Created, ..reference(1, None) }),
        ..Write::to(made[1], Writer::Bridge)
    };
    write(store, accepted).await;
    made
}

pub async fn every_filter_chooses_what_it_names(bench: &dyn Bench) {
    let store = bench.open().await;
    let made = furnished(&store).await;
    let by = |filter: ListFilter, value: &str| ListQuery { filters: vec![(filter, value.into())], ..all() };
    for (filter, value, wanted) in [
        (ListFilter::Group, "b", vec![0, 3, 4]),
        (ListFilter::Client, "north", vec![5]),
        (ListFilter::Device, "mx-2", vec![0, 2, 4]),
        (ListFilter::Kind, "event_rma", vec![1]),
        (ListFilter::Priority, "4 - Low", vec![0, 4]),
        (ListFilter::Submission, Submission::Held.as_str(), vec![2, 5]),
        (ListFilter::Standing, "created", vec![1]),
        (ListFilter::Standing, "acknowledged", vec![5]),
        (ListFilter::Phase, "review", vec![1]),
        (ListFilter::TrackingNumber, "T-4", vec![3]),
        (ListFilter::CaseId, "CASE 7", vec![1]),
        (ListFilter::Group, "nobody's", vec![]),
        (ListFilter::Group, "b' OR '1'='1", vec![]),
    ] {
        let wanted: Vec<IncidentId> = wanted.into_iter().map(|index: usize| made[index]).collect();
        assert_eq!(listed(&store, by(filter, value)).await, wanted, "{filter:?} {value}");
    }
    let both =
        ListQuery { filters: vec![(ListFilter::Group, "b".into()), (ListFilter::Priority, "4 - Low".into())], ..all() };
    assert_eq!(listed(&store, both).await, [made[0], made[4]], "all of them must match");
}

pub async fn every_order_holds_in_both_directions(bench: &dyn Bench) {
    let store = bench.open().await;
    let made = furnished(&store).await;
    for (order, wanted) in [
        (ListOrder::Id, [0, 1, 2, 3, 4, 5]),
        (ListOrder::CreatedAt, [4, 3, 2, 1, 0, 5]),
        (ListOrder::Priority, [1, 3, 0, 4, 2, 5]),
        (ListOrder::Device, [3, 5, 1, 0, 2, 4]),
        (ListOrder::Group, [2, 5, 1, 0, 3, 4]),
    ] {
        let mut wanted = wanted.map(|index: usize| made[index]);
        assert_eq!(listed(&store, ListQuery { order, ..all() }).await, wanted, "{order:?}");
        wanted.reverse();
        assert_eq!(
            listed(&store, ListQuery { order, descending: true, ..all() }).await,
            wanted,
            "{order:?} descending"
        );
    }
}

pub async fn times_are_ordered_whoever_wrote_them(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut other = bench.other().await;
    let mut made = Vec::new();
    for (name, created_at) in [
        ("edge-1", "2026-11-21T12:00:00.5Z"),
        ("edge-2", "2026-11-21 12:00:00"),
        ("edge-3", "2026-11-21T13:00:00+02:00"),
        ("edge-4", "2026-11-21T12:00:00.250Z"),
    ] {
        made.push(other.insert(Row { created_at: Some(created_at), ..row(name) }).await);
    }
    let wanted = [made[2], made[1], made[3], made[0]];
    let query = ListQuery { order: ListOrder::CreatedAt, limit: 1, ..ListQuery::default() };
    assert_eq!(listed(&store, query).await, wanted);
}

pub async fn pages_visit_each_incident_once_whatever_the_order(bench: &dyn Bench) {
    let store = bench.open().await;
    let made = furnished(&store).await;
    for order in ORDERS {
        for descending in [false, true] {
            let whole = listed(&store, ListQuery { order, descending, ..all() }).await;
            assert_eq!(whole.len(), made.len());
            for limit in 1..=made.len() {
                let query = ListQuery { order, descending, limit, ..ListQuery::default() };
                assert_eq!(listed(&store, query).await, whole, "{order:?}, {limit} at a time");
            }
        }
    }
}

pub async fn a_page_goes_on_after_what_was_seen_though_the_list_grew(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut other = bench.other().await;
    let first = other.insert(Row { id: Some(10), ..row("edge-1") }).await;
    let second = other.insert(Row { id: Some(20), ..row("edge-2") }).await;
    let query = ListQuery { limit: 1, ..ListQuery::default() };
    let page = store.list(&query).await.unwrap();
    assert_eq!(ids(&page.loaded), [first]);
    other.insert(Row { id: Some(5), ..row("edge-3") }).await;
    other.delete(first).await;
    assert_eq!(listed(&store, ListQuery { after: page.next, ..query }).await, [second]);
}

pub async fn a_page_that_is_none_of_this_list_is_an_error(bench: &dyn Bench) {
    let store = bench.open().await;
    furnished(&store).await;
    let from = |order, after: &str| ListQuery { order, after: Some(after.into()), ..all() };
    for after in ["", "x", ":", "1", "one:two", "9999999999999999999:"] {
        let refused = store.list(&from(ListOrder::Device, after)).await;
        assert!(matches!(refused, Err(StoreError::Query(_))), "{after}: {refused:?}");
    }
    let page = store.list(&ListQuery { order: ListOrder::Device, limit: 2, ..ListQuery::default() }).await.unwrap();
    let next = page.next.unwrap();
    assert!(store.list(&from(ListOrder::Device, &next)).await.is_ok());
    let other_order = store.list(&from(ListOrder::Group, &next)).await;
    assert!(matches!(other_order, Err(StoreError::Query(_))), "{other_order:?}");
    let turned = ListQuery { descending: true, ..from(ListOrder::Device, &next) };
    assert!(matches!(store.list(&turned).await, Err(StoreError::Query(_))));
}
