//! The history as a feed: each reader sees each line once, whoever else reads, dies or comes late.

use std::collections::BTreeSet;

use casebridge::case::{Action, HistoryLine, IncidentId};
use casebridge::store::{Event, PageSeen, Untold, Write, Writer};

use super::{Bench, at, client, deposited, open_of, row, write};

fn line(incident: IncidentId, detail: &str) -> HistoryLine {
    HistoryLine {
        incident,
        at: at(1),
        who: "operator ann".into(),
        action: Action::Edited.as_str().into(),
        exchange: None,
        seq: None,
        detail: detail.into(),
    }
}

fn details(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.line.detail.as_str()).collect()
}

pub async fn a_reader_sees_each_line_once_and_goes_on_after_a_restart(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    assert_eq!(store.events("a", 10).await.unwrap().events, [], "nobody reads without a place");
    store.follow(&["a", "b"]).await.unwrap();
    assert_eq!(store.events("a", 10).await.unwrap().events, [], "what happened before is not news");
    for detail in ["one", "two", "three"] {
        write(&store, Write { history: vec![line(incident, detail)], ..Write::to(incident, Writer::Operator) }).await;
    }
    store.follow(&["a", "b"]).await.unwrap();
    let page = store.events("a", 2).await.unwrap();
    assert_eq!(details(&page.events), ["one", "two"]);
    assert!(page.events[0].number < page.events[1].number);
    assert_eq!(page.events[0].line, line(incident, "one"));
    assert_eq!(store.events("a", 2).await.unwrap(), page, "a page that was not taken is read again");
    assert!(store.pass(page.seen.clone()).await.unwrap());
    assert!(!store.pass(page.seen).await.unwrap(), "nobody takes a page twice");
    let store = bench.open().await;
    assert_eq!(details(&store.events("a", 10).await.unwrap().events), ["three"]);
    assert_eq!(details(&store.events("b", 10).await.unwrap().events), ["one", "two", "three"], "each has a place");
}

pub async fn what_a_reader_has_before_it_is_known_without_its_lines(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    assert!(store.unread("a").await.unwrap().is_empty(), "nobody reads without a place");
    store.follow(&["a"]).await.unwrap();
    assert!(store.unread("a").await.unwrap().is_empty(), "what happened before is not news");
    for detail in ["one", "two", "three"] {
        write(&store, Write { history: vec![line(incident, detail)], ..Write::to(incident, Writer::Operator) }).await;
    }
    let unread = store.unread("a").await.unwrap();
    assert_eq!(unread, store.events("a", 10).await.unwrap().seen);
    write(&store, Write { history: vec![line(incident, "four")], ..Write::to(incident, Writer::Operator) }).await;
    assert!(store.pass(unread).await.unwrap());
    assert_eq!(details(&store.events("a", 10).await.unwrap().events), ["four"], "what came later is not passed over");
}

pub async fn of_many_who_read_the_same_lines_one_takes_them(bench: &dyn Bench) {
    const LINES: usize = 120;
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    store.follow(&["a"]).await.unwrap();
    let first = store.events("a", 1).await.unwrap().seen.after;
    let writer = tokio::spawn({
        let store = bench.open().await;
        async move {
            for number in 0..LINES {
                let history = vec![line(incident, &number.to_string())];
                write(&store, Write { history, ..Write::to(incident, Writer::Operator) }).await;
            }
        }
    });
    let mut readers = Vec::new();
    for _ in 0..3 {
        let store = bench.open().await;
        readers.push(tokio::spawn(async move {
            let mut taken: Vec<i64> = Vec::new();
            loop {
                let page = store.events("a", 7).await.unwrap();
                let numbers: Vec<i64> = page.events.iter().map(|event| event.number).collect();
                if numbers.is_empty() && page.seen.after == first + LINES as i64 {
                    return taken;
                }
                if store.pass(page.seen).await.unwrap() {
                    taken.extend(numbers);
                }
                tokio::task::yield_now().await;
            }
        }));
    }
    writer.await.unwrap();
    let mut all = Vec::new();
    for reader in readers {
        all.extend(reader.await.unwrap());
    }
    assert_eq!(all.len(), LINES, "none lost, none twice");
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), LINES);
}

pub async fn whoever_waits_is_woken_by_what_is_written(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let mut happenings = store.happenings();
    happenings.mark_unchanged();
    write(&store, Write { history: vec![line(incident, "one")], ..Write::to(incident, Writer::Operator) }).await;
    assert!(happenings.has_changed().unwrap());
}

pub async fn a_place_that_was_never_given_is_moved_by_nobody(bench: &dyn Bench) {
    let store = bench.open().await;
    deposited(&store, "edge-1").await;
    assert!(!store.pass(PageSeen { consumer: "a", after: 0, through: 1 }).await.unwrap());
    store.follow(&["a"]).await.unwrap();
    assert!(!store.pass(PageSeen { consumer: "a", after: 0, through: 1 }).await.unwrap(), "it stands at the end");
}

pub async fn a_47_what_another_program_did_is_untold_until_it_stands_in_the_history(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut other = bench.other().await;
    let own = deposited(&store, "edge-1").await;
    let opened = store.open(vec![open_of(client(), 1)]).await.unwrap()[0].incident.id;
    let foreign = other.insert(row("edge-2")).await;
    let all = [own, opened, foreign, IncidentId(99)];
    assert_eq!(store.untold(&all).await.unwrap(), [(foreign, Untold::Detected)]);
    other.set(opened, "case_id", Some("CASE-1")).await;
    let mut untold = store.untold(&all).await.unwrap();
    untold.sort_by_key(|(incident, _)| *incident);
    assert_eq!(untold, [(opened, Untold::CaseAssigned), (foreign, Untold::Detected)]);
    for (incident, action) in [(foreign, Action::Detected), (opened, Action::CaseAccepted)] {
        let history = vec![HistoryLine { action: action.as_str().into(), ..line(incident, "told") }];
        write(&store, Write { history, ..Write::to(incident, Writer::Bridge) }).await;
    }
    assert_eq!(store.untold(&all).await.unwrap(), []);
}
