//! Clients' incidents, each opened once for its (peer, exchange): design, invariant 2.

use std::collections::HashSet;

use casebridge::case::{
    Case, CaseTemplate, Comment, Edit, Event, Form, Incident, IncidentId, Standing, Submission, Towards,
};
use casebridge::store::{Cursor, Open, Write, Writer, Written};

use super::{Bench, Row, at, client, comment, deposited, exchange, load, news, open_of, row, write};

fn other_client() -> casebridge::case::Alias {
    "south".parse().unwrap()
}

pub async fn an_exchange_is_opened_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let first = store.open(vec![open_of(client(), 1)]).await.unwrap().remove(0);
    assert!(first.new);
    let changed = Open { create: open_of(client(), 2).create, ..open_of(client(), 1) };
    let again = store.open(vec![open_of(client(), 2), changed]).await.unwrap();
    assert!(again[0].new);
    assert!(!again[1].new);
    assert_eq!(again[1].incident, first.incident, "it is the one that was there, as it was");
    assert_eq!(store.history(first.incident.id, 10).await.unwrap().len(), 1);
}

pub async fn the_same_exchange_of_two_clients_is_two_incidents(bench: &dyn Bench) {
    let store = bench.open().await;
    let opened = store.open(vec![open_of(client(), 1), open_of(other_client(), 1)]).await.unwrap();
    assert!(opened[0].new && opened[1].new);
    assert_ne!(opened[0].incident.id, opened[1].incident.id);
    assert_eq!(load(&store, opened[0].incident.id).await.client, Some(client()));
    assert_eq!(load(&store, opened[1].incident.id).await.client, Some(other_client()));
}

pub async fn a_clients_event_may_have_the_name_of_one_of_our_own(bench: &dyn Bench) {
    let store = bench.open().await;
    let own = deposited(&store, "edge-1").await;
    let opened = store.open(vec![open_of(client(), 1)]).await.unwrap().remove(0);
    assert_eq!(opened.incident.event.host_event_id, "edge-1");
    assert_ne!(opened.incident.id, own);
}

pub async fn an_exchange_that_stands_twice_in_one_batch_is_opened_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let batch = vec![open_of(client(), 1), open_of(client(), 2), open_of(client(), 1)];
    let opened = store.open(batch).await.unwrap();
    assert_eq!(opened.iter().map(|one| one.new).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(opened[2].incident, opened[0].incident);
    assert_ne!(opened[1].incident.id, opened[0].incident.id);
}

pub async fn what_nobody_has_decided_on_is_news_and_what_is_held_is_not(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut cursor = Cursor::default();
    let undecided = Open { submission: Submission::Undecided, ..open_of(client(), 1) };
    let opened = store.open(vec![undecided, open_of(client(), 2)]).await.unwrap();
    assert_eq!(news(&store, &mut cursor).await, [opened[0].incident.id]);
    assert_eq!(load(&store, opened[0].incident.id).await.submission, Submission::Undecided);
    assert_eq!(load(&store, opened[1].incident.id).await.submission, Submission::Held);
}

pub async fn tasks_that_open_at_once_open_once(bench: &dyn Bench) {
    let (one, two) = (bench.open().await, bench.open().await);
    let tasks: Vec<_> = (0..8)
        .map(|turn| {
            let store = if turn % 2 == 0 { one.clone() } else { two.clone() };
            let mut batch: Vec<Open> = (1..=10).map(|number| open_of(client(), number)).collect();
            batch.rotate_left(turn);
            tokio::spawn(async move { store.open(batch).await.unwrap() })
        })
        .collect();
    let mut new = 0;
    let mut all = HashSet::new();
    for task in tasks {
        for opened in task.await.unwrap() {
            new += usize::from(opened.new);
            all.insert((opened.incident.references[0].exchange, opened.incident.id));
        }
    }
    assert_eq!((new, all.len()), (10, 10));
}

pub async fn an_exchange_stays_opened_when_the_store_is_opened_again(bench: &dyn Bench) {
    let store = bench.open().await;
    let site = store.site();
    let first = store.open(vec![open_of(client(), 1)]).await.unwrap().remove(0);
    drop(store);
    let store = bench.open().await;
    assert_eq!(store.site(), site);
    let again = store.open(vec![open_of(client(), 1)]).await.unwrap().remove(0);
    assert!(!again.new);
    assert_eq!(again.incident, first.incident);
}

/// Positions are the store's own affair; what an open hands back names none yet.
fn without_positions(incident: Incident) -> Incident {
    let comments = incident.comments.into_iter().map(|comment| Comment { position: 0, ..comment }).collect();
    Incident { comments, ..incident }
}

pub async fn what_is_handed_back_is_what_stands_in_the_store(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut open = open_of(client(), 1);
    open.create.trace_route = vec!["far".parse().unwrap(), client()];
    open.create.event = Event {
        description: "two\nlines".into(),
        priority: Some(casebridge::case::Priority::High),
        device: Some("edge".into()),
        occurred_at: Some(at(-100)),
        manifest: [("router".to_owned(), "re0".to_owned())].into(),
        ..open.create.event
    };
    open.create.form = Form { tracking_number: Some("T-1".into()), ..Form::default() };
    open.create.comments = vec![comment(1, "first"), comment(2, "second")];
    let opened = store.open(vec![open.clone()]).await.unwrap().remove(0).incident;
    assert_eq!(opened.event, open.create.event);
    assert_eq!(opened.form, open.create.form);
    assert_eq!(opened.trace_route, open.create.trace_route);
    assert_eq!(opened.created_at, open.at);
    let reference = &opened.references[0];
    assert_eq!((&reference.peer, reference.exchange, reference.applied), (&client(), exchange(1), 1));
    assert_eq!((reference.towards, reference.standing), (Towards::Client, Standing::Acknowledged));
    assert_eq!(reference.peer_incident, Some(open.create.incident));
    assert!(opened.comments.iter().all(|comment| comment.origin == Some(client())), "it never travels back (C-32)");
    assert_eq!(without_positions(load(&store, opened.id).await), opened);
}

pub async fn a_case_template_is_filled_with_the_new_number(bench: &dyn Bench) {
    let store = bench.open().await;
    let template = CaseTemplate {
        id: "{client}-{incident}".into(),
        link: Some("https://noc.example/{case}".into()),
        status: "Accepted".into(),
        contact: None,
    };
    let opened = store.open(vec![Open { accept: Some(template), ..open_of(client(), 1) }]).await.unwrap().remove(0);
    let id = format!("north-{}", opened.incident.id);
    let case = Case {
        id: id.parse().unwrap(),
        link: Some(format!("https://noc.example/{id}").parse().unwrap()),
        status: "Accepted".into(),
        contact: None,
    };
    assert_eq!(opened.incident.case.as_ref(), Some(&case));
    assert_eq!(opened.incident.references[0].standing, Standing::Created);
    assert_eq!(without_positions(load(&store, opened.incident.id).await), opened.incident);
    let history: Vec<String> =
        store.history(opened.incident.id, 10).await.unwrap().into_iter().map(|line| line.action).collect();
    assert_eq!(history, ["incident_opened", "case_accepted"]);
}

pub async fn an_exchange_that_is_there_comes_back_with_its_present_case(bench: &dyn Bench) {
    let store = bench.open().await;
    let opened = store.open(vec![open_of(client(), 1)]).await.unwrap().remove(0);
    let case = Case { id: "CASE-9".parse().unwrap(), link: None, status: "Working".into(), contact: None };
    let accept = Write {
        edit: Edit { case: Some(case.clone()), ..Edit::default() },
        ..Write::to(opened.incident.id, Writer::Operator)
    };
    assert_eq!(write(&store, accept).await, Written::Done);
    let template = CaseTemplate { id: "NEW-{incident}".into(), link: None, status: "Accepted".into() };
    let again = store.open(vec![Open { accept: Some(template), ..open_of(client(), 1) }]).await.unwrap().remove(0);
    assert!(!again.new);
    assert_eq!(again.incident.case, Some(case));
}

pub async fn a_template_that_gives_no_case_id_opens_nothing(bench: &dyn Bench) {
    let store = bench.open().await;
    let template = CaseTemplate { id: "x".repeat(200), link: None, status: "Accepted".into() };
    let refused = store.open(vec![open_of(client(), 1), Open { accept: Some(template), ..open_of(client(), 2) }]).await;
    assert!(refused.is_err());
    assert!(store.open(vec![open_of(client(), 1)]).await.unwrap()[0].new, "the one beside it was not opened either");
}

pub async fn numbers_that_other_programs_chose_are_stepped_over(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut other = bench.other().await;
    let low = other.insert(row("edge-100")).await;
    other.insert(Row { id: Some(900), ..row("edge-101") }).await;
    other.set(low, "id", Some("2000")).await;
    let opened = store.open(vec![open_of(client(), 1), open_of(client(), 2)]).await.unwrap();
    assert_eq!([opened[0].incident.id, opened[1].incident.id], [IncidentId(2001), IncidentId(2002)]);
}
