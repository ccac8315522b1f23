//! What is promised on cases, and the rows from which the jobs work.

use casebridge::case::{Alias, CaseState, Deadline, Edit, Fact, IncidentId, Instants, Milestone, Passed};
use casebridge::store::{
    CaseFilter, CaseOrder, CaseQuery, Closed, Cursor, Passing, Place, Seen, Span, Timing, Untimed, Write, Writer,
    Written,
};

use super::{Bench, at, client, deadline, deposited, load, milestone, news, open_of, peer, write};

fn timing(incident: IncidentId, deadlines: Vec<Deadline>) -> Timing {
    Timing { incident, expected_revision: None, case_type: Some("repair".into()), deadlines }
}

fn untimed(incident: IncidentId, case_type: Option<&str>) -> Untimed {
    Untimed { incident, case_type: case_type.map(str::to_owned) }
}

fn who(passing: &[Passing]) -> Vec<(IncidentId, uuid::Uuid)> {
    passing.iter().map(|one| (one.incident, one.deadline)).collect()
}

fn moved(incident: IncidentId, milestone: Milestone) -> Write {
    Write { edit: Edit { milestones: vec![milestone], ..Edit::default() }, ..Write::to(incident, Writer::Operator) }
}

pub async fn m_05_whatever_comes_or_changes_is_looked_at_once(bench: &dyn Bench) {
    let (store, mut other) = (bench.open().await, bench.other().await);
    let first = deposited(&store, "edge-1").await;
    let second = other.insert(super::row("edge-2")).await;
    let third = store.open(vec![open_of(client(), 3)]).await.unwrap()[0].incident.id;
    let all = vec![untimed(first, None), untimed(second, None), untimed(third, None)];
    assert_eq!(store.untimed(IncidentId(0), 10).await.unwrap(), all);
    assert_eq!(store.untimed(first, 1).await.unwrap(), all[1..2]);

    let stale = Timing { expected_revision: Some(99), ..timing(first, vec![]) };
    let gone = timing(IncidentId(999), vec![deadline(8, None)]);
    let done = [first, second, third].map(|incident| timing(incident, vec![]));
    let outcomes = store.time([vec![stale, gone], done.to_vec()].concat()).await.unwrap();
    assert_eq!(outcomes, [Written::Stale, Written::Gone, Written::Done, Written::Done, Written::Done]);
    assert_eq!(store.untimed(IncidentId(0), 10).await.unwrap(), []);

    other.set(first, "solution", Some("replaced")).await;
    assert_eq!(store.untimed(IncidentId(0), 10).await.unwrap(), [], "nothing depends on that");
    other.set(first, "priority", Some("1 - Critical")).await;
    other.set(third, "case_type", Some("swap")).await;
    let again = [untimed(first, Some("repair")), untimed(third, Some("swap"))];
    assert_eq!(store.untimed(IncidentId(0), 10).await.unwrap(), again);
}

pub async fn a_promise_is_kept_as_it_was_made_and_is_news(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let mut cursor = Cursor::default();
    news(&store, &mut cursor).await;
    let promise = deadline(1, None);
    store.time(vec![timing(incident, vec![promise.clone()])]).await.unwrap();
    assert_eq!(news(&store, &mut cursor).await, [incident], "the peers are to know");
    let kept = load(&store, incident).await.deadlines;
    assert_eq!(kept, [Deadline { position: 1, ..promise.clone() }]);

    store.time(vec![timing(incident, vec![promise.clone()])]).await.unwrap();
    assert_eq!(news(&store, &mut cursor).await, [], "the same promise is none");
    let other = Deadline { revision: 1, within: 60, warn_before: None, ..promise.clone() };
    store.time(vec![timing(incident, vec![other.clone()])]).await.unwrap();
    store.time(vec![timing(incident, vec![promise])]).await.unwrap();
    assert_eq!(
        load(&store, incident).await.deadlines,
        [Deadline { position: 2, ..other }],
        "the highest revision counts"
    );
    assert_eq!(news(&store, &mut cursor).await, [incident]);
}

pub async fn a_peer_changes_its_own_promises_only_and_makes_not_too_many(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let ours = deadline(1, None);
    store.time(vec![timing(incident, vec![ours.clone()])]).await.unwrap();
    let mut cursor = Cursor::default();
    news(&store, &mut cursor).await;
    let brings = |deadlines: Vec<Deadline>| Write {
        edit: Edit { deadlines, ..Edit::default() },
        ..Write::to(incident, Writer::Bridge)
    };
    let theirs = deadline(2, Some(peer()));
    let claimed = Deadline { revision: 9, dropped: true, origin: Some(peer()), ..ours.clone() };
    let stolen = Deadline { revision: 9, origin: Some("vendor".parse::<Alias>().unwrap()), ..theirs.clone() };
    for one in [theirs.clone(), claimed, stolen] {
        assert_eq!(write(&store, brings(vec![one])).await, Written::Done);
    }
    let kept = load(&store, incident).await.deadlines;
    assert_eq!(kept, [Deadline { position: 1, ..ours }, Deadline { position: 2, ..theirs }]);
    assert_eq!(news(&store, &mut cursor).await, []);
    for hundred in 1..4u128 {
        let many = (0..100).map(|number| deadline(1000 * hundred + number, Some(peer()))).collect();
        write(&store, brings(many)).await;
    }
    assert!(load(&store, incident).await.deadlines.len() <= 228);
    assert_eq!(
        store.passing(None, at(1_000_000), Place::default(), 10).await.unwrap().len(),
        1,
        "theirs is theirs to watch"
    );
}

pub async fn m_08_a_job_sees_what_is_due_in_its_order(bench: &dyn Bench) {
    let (store, mut other) = (bench.open().await, bench.other().await);
    let (first, second) = (deposited(&store, "edge-1").await, deposited(&store, "edge-2").await);
    let late = Deadline { starts_at: at(1000), ..deadline(1, None) };
    let early = deadline(2, None);
    let due = Deadline { kind: casebridge::case::DeadlineKind::Due, ..deadline(3, None) };
    store
        .time(vec![timing(first, vec![late.clone(), due.clone()]), timing(second, vec![early.clone()])])
        .await
        .unwrap();
    let passing = async |now| who(&store.passing(None, at(now), Place::default(), 10).await.unwrap());
    assert_eq!(passing(2699).await, []);
    assert_eq!(passing(2700).await, [(second, early.id)], "the warning");
    assert_eq!(passing(9999).await, [(second, early.id), (first, late.id)]);
    let page = store.passing(None, at(9999), Place::default(), 1).await.unwrap();
    assert_eq!(who(&store.passing(None, at(9999), page[0].place, 10).await.unwrap()), [(first, late.id)]);
    assert_eq!(store.passing(Some("swap"), at(9999), Place::default(), 10).await.unwrap(), []);
    assert_eq!(who(&store.passing(Some("repair"), at(9999), Place::default(), 10).await.unwrap()), [(first, due.id)]);

    // Once it is noted, its end is what comes next.
    let fact = Fact::Deadline { deadline: early.id, passed: Passed::Warned };
    write(&store, moved(second, Milestone::new(Deadline::milestone_id(early.id, Passed::Warned), at(2700), fact)))
        .await;
    assert_eq!(passing(3599).await, []);
    assert_eq!(passing(3600).await, [(second, early.id)]);

    // The clock stands still in the transaction that says so, whoever says it.
    write(&store, moved(second, milestone(50, 3000, CaseState::OnHold))).await;
    assert_eq!(passing(9999).await, [(first, late.id)]);
    other.set(first, "phase", Some("close")).await;
    store.refresh_deadlines().await.unwrap();
    assert_eq!(passing(9999).await, []);
    write(&store, moved(second, milestone(51, 4000, CaseState::InProcess))).await;
    assert_eq!(passing(4599).await, []);
    assert_eq!(passing(4600).await, [(second, early.id)], "it stood still for a thousand seconds");
    let record = load(&store, second).await;
    let Instants { due_at, .. } = record.deadlines[0].instants(&record.milestones, record.state());
    assert_eq!(due_at, Some(at(4600)));
}

/// The case that is due, and whether its clock stands still, as a list says it.
async fn listed(store: &std::sync::Arc<dyn casebridge::store::IncidentStore>, query: CaseQuery) -> Vec<DueAt> {
    let page = store.cases(&query).await.unwrap();
    page.cases.iter().map(|case| (case.incident, case.due_at, case.due_stands_still)).collect()
}

type DueAt = (IncidentId, Option<jiff::Timestamp>, bool);

pub async fn m_01_lists_are_ordered_by_the_due_date_that_stays_while_a_clock_stands_still(bench: &dyn Bench) {
    let store = bench.open().await;
    let due = |number, seconds: u64, origin| Deadline {
        kind: casebridge::case::DeadlineKind::Due,
        within: seconds,
        warn_before: None,
        ..deadline(number, origin)
    };
    let mut made = Vec::new();
    for name in ["edge-1", "edge-2", "edge-3", "edge-4"] {
        made.push(deposited(&store, name).await);
    }
    let [first, second, none, theirs] = made[..] else { panic!("{made:?}") };
    let promised = [(first, due(1, 3000, None)), (second, due(2, 1000, None)), (theirs, due(3, 2000, None))];
    store.time(promised.map(|(incident, one)| timing(incident, vec![one])).to_vec()).await.unwrap();
    let brought = Edit { deadlines: vec![due(4, 10, Some(peer()))], ..Edit::default() };
    write(&store, Write { edit: brought, ..Write::to(theirs, Writer::Bridge) }).await;
    write(&store, moved(second, milestone(50, 500, CaseState::OnHold))).await;

    let by_due = CaseQuery { order: CaseOrder::Due, ..CaseQuery::of(Seen::all(), 10) };
    let mut wanted = vec![
        (second, Some(at(1000)), true),
        (theirs, Some(at(2000)), false),
        (first, Some(at(3000)), false),
        (none, None, false),
    ];
    assert_eq!(listed(&store, by_due.clone()).await, wanted, "its own goes before a peer's");
    let until = |second| vec![CaseFilter::Due(Span { from: None, before: Some(at(second)) })];
    for (second, found) in [(1000, 0), (1001, 1), (9999, 3)] {
        let query = CaseQuery { filters: until(second), ..by_due.clone() };
        assert_eq!(listed(&store, query).await, wanted[..found], "before {second}");
    }
    let from = vec![CaseFilter::Due(Span { from: Some(at(1001)), before: None })];
    assert_eq!(listed(&store, CaseQuery { filters: from, ..by_due.clone() }).await, wanted[1..3], "none is not late");
    wanted[..3].reverse();
    let latest = CaseQuery { descending: true, ..by_due.clone() };
    assert_eq!(listed(&store, latest).await, wanted, "none comes last in either direction");
    wanted[..3].reverse();
    for limit in [1, 2, 3] {
        let visited = super::cases::cases(&store, CaseQuery { limit, ..by_due.clone() }).await;
        assert_eq!(visited, wanted.iter().map(|one| one.0).collect::<Vec<_>>(), "{limit} at a time");
    }

    write(&store, moved(second, milestone(51, 4000, CaseState::InProcess))).await;
    let last = listed(&store, CaseQuery { filters: until(9999), ..by_due }).await.pop();
    assert_eq!(last, Some((second, Some(at(4500)), false)), "it stood still for 3,500 seconds");
}

pub async fn m_06_a_resolved_case_is_queued_once_for_each_time(bench: &dyn Bench) {
    let (store, mut other) = (bench.open().await, bench.other().await);
    let resolve = async |incident, second| {
        let resolved =
            Edit { phase: Some(casebridge::case::Phase::Review), since: Some(at(second)), ..Edit::default() };
        write(&store, Write { edit: resolved, ..Write::to(incident, Writer::Operator) }).await
    };
    let mut cases = Vec::new();
    for (name, second) in [("edge-1", 30), ("edge-2", 10), ("edge-3", 90)] {
        let incident = deposited(&store, name).await;
        store.time(vec![timing(incident, vec![])]).await.unwrap();
        resolve(incident, second).await;
        cases.push(incident);
    }
    let page = store.resolved("repair", at(60), Place::default(), 10).await.unwrap();
    let found: Vec<IncidentId> = page.iter().map(|one| one.incident).collect();
    assert_eq!(found, [cases[1], cases[0]], "the longest first");
    assert_eq!(store.resolved("repair", at(60), page[0].place, 10).await.unwrap(), page[1..]);
    assert_eq!(store.resolved("swap", at(60), Place::default(), 10).await.unwrap(), []);

    assert_eq!(store.queue_closings(page.clone(), at(100)).await.unwrap(), 2);
    assert_eq!(store.queue_closings(page, at(101)).await.unwrap(), 0, "once");
    assert_eq!(store.resolved("repair", at(60), Place::default(), 10).await.unwrap(), []);
    assert_eq!(store.closings(at(99), 10).await.unwrap(), []);
    let queue = store.closings(at(100), 10).await.unwrap();
    assert!(queue.iter().all(|one| one.revision.is_some() && one.attempts == 0), "{queue:?}");

    other.set(cases[1], "phase", Some("initial_support")).await;
    assert_eq!(store.closings(at(100), 10).await.unwrap()[0].revision, None, "somebody reopened it");
    store.closed(queue[0].id, Closed::Overtaken).await.unwrap();
    store.closed(queue[1].id, Closed::Later(at(200), "busy".into())).await.unwrap();
    assert_eq!(store.closings(at(199), 10).await.unwrap(), []);
    assert_eq!(store.closings(at(200), 10).await.unwrap()[0].attempts, 1);
    store.closed(queue[1].id, Closed::Closed).await.unwrap();
    assert_eq!(store.closings(at(999), 10).await.unwrap(), []);

    resolve(cases[1], 300).await;
    let again = store.resolved("repair", at(300), Place::default(), 10).await.unwrap();
    let found: Vec<IncidentId> = again.iter().map(|one| one.incident).collect();
    assert_eq!(found, [cases[2], cases[1]], "resolved anew, it is another time");
    store.queue_closings(again, at(400)).await.unwrap();
    let queue = store.closings(at(400), 1).await.unwrap();
    store.closed(queue[0].id, Closed::Refused("not ours".into())).await.unwrap();
    assert_eq!(store.closings(at(400), 10).await.unwrap().len(), 1);
}
