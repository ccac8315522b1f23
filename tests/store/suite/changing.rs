//! What changed since a cursor: all that others did, however late, and nothing that the bridge did itself.

use std::collections::HashSet;

use casebridge::case::{Case, CaseState, Edit, IncidentId, Milestone, Phase, Submission};
use casebridge::store::{Cursor, Write, Writer, Written};

use super::{
    Bench, Row, at, client, comment, deadline, deposit, deposited, ids, incidents, load, milestone, news, open_of,
    peer, reference, row, write,
};

pub async fn inserts_edits_and_comments_of_another_program_are_reported(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut other = bench.other().await;
    let mut cursor = Cursor::default();
    assert_eq!(news(&store, &mut cursor).await, []);
    assert!(!store.has_changes(&cursor).await.unwrap());

    let incident = other.insert(row("edge-1")).await;
    assert!(store.has_changes(&cursor).await.unwrap());
    assert_eq!(news(&store, &mut cursor).await, [incident]);
    assert!(!store.has_changes(&cursor).await.unwrap());
    assert_eq!(news(&store, &mut cursor).await, [], "a change is reported once");

    other.set(incident, "solution", Some("replaced the fan")).await;
    assert!(store.has_changes(&cursor).await.unwrap());
    assert_eq!(news(&store, &mut cursor).await, [incident]);
    let record = load(&store, incident).await;
    assert_eq!(record.work.solution.as_deref(), Some("replaced the fan"));
    assert_eq!(record.revision, 2, "an edit is a new revision");

    other.comment(incident, "on my way").await;
    assert!(store.has_changes(&cursor).await.unwrap());
    assert_eq!(news(&store, &mut cursor).await, [incident]);
    assert_eq!(load(&store, incident).await.comments[0].text, "on my way");
}

pub async fn a_deposit_is_reported_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut cursor = Cursor::default();
    let stored = store.deposit(vec![deposit("edge-1"), deposit("edge-2"), deposit("edge-3")], at(0)).await.unwrap();
    assert_eq!(news(&store, &mut cursor).await, incidents(&stored));
    store.deposit(vec![deposit("edge-2")], at(1)).await.unwrap();
    assert_eq!(news(&store, &mut cursor).await, [], "nothing changed when it came again");
}

pub async fn pages_follow_the_cursor_until_there_is_no_more(bench: &dyn Bench) {
    let store = bench.open().await;
    let names = ["edge-1", "edge-2", "edge-3", "edge-4", "edge-5"];
    let stored = incidents(&store.deposit(names.map(deposit).to_vec(), at(0)).await.unwrap());
    let first = store.changes(&Cursor::default(), 2).await.unwrap();
    assert_eq!((ids(&first.loaded), first.more), (stored[..2].to_vec(), true));
    let second = store.changes(&first.cursor, 2).await.unwrap();
    assert_eq!((ids(&second.loaded), second.more), (stored[2..4].to_vec(), true));
    let third = store.changes(&second.cursor, 2).await.unwrap();
    assert_eq!((ids(&third.loaded), third.more), (stored[4..].to_vec(), false));
    let again = store.changes(&first.cursor, 2).await.unwrap();
    assert_eq!(ids(&again.loaded), stored[2..4], "a page that was not taken in is read again");
}

pub async fn a_record_that_changes_again_is_reported_as_it_stands_now(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut other = bench.other().await;
    let one = other.insert(row("edge-1")).await;
    let two = other.insert(row("edge-2")).await;
    other.set(one, "phase", Some("escalate")).await;
    other.set(one, "phase", Some("review")).await;
    let mut cursor = Cursor::default();
    assert_eq!(news(&store, &mut cursor).await, [two, one]);
    assert_eq!(load(&store, one).await.work.phase, Phase::Review);
}

pub async fn a_change_that_is_taken_back_is_not_reported(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut other = bench.other().await;
    let mut cursor = Cursor::default();
    other.begin().await;
    other.insert(row("edge-1")).await;
    assert_eq!(news(&store, &mut cursor).await, [], "not before it is committed");
    other.roll_back().await;
    assert_eq!(news(&store, &mut cursor).await, []);
    assert!(!store.has_changes(&cursor).await.unwrap());
}

pub async fn nothing_that_the_bridge_does_is_reported_back_to_it(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut cursor = Cursor::default();
    let incident = deposited(&store, "edge-1").await;
    assert_eq!(news(&store, &mut cursor).await, [incident]);

    let mut open = open_of(client(), 1);
    open.create.comments = vec![comment(1, "from the client")];
    store.open(vec![open]).await.unwrap();
    let from_peer = casebridge::case::Comment { origin: Some(peer()), ..comment(2, "from the partner") };
    let everything = Write {
        edit: Edit {
            phase: Some(Phase::Review),
            solution: Some(Some("replaced".into())),
            completion_code: Some(Some(casebridge::case::CompletionCode::Fulfilled)),
            expected_resolution: Some(Some(at(9))),
            case: Some(Case { id: "CASE-1".parse().unwrap(), link: None, status: "Open".into(), contact: None }),
            comments: vec![from_peer],
            assignment: Some(Some("Vendor NOC".into())),
            active: Some(true),
            state: None,
            since: Some(at(9)),
            milestones: vec![Milestone { origin: Some(peer()), ..milestone(1, 9, CaseState::Resolved) }],
            deadlines: vec![deadline(9, Some(peer()))],
        },
        submission: Some(Submission::Requested),
        form: Some(casebridge::case::Form { site_id: Some("S-1".into()), ..Default::default() }),
        generation: Some(1),
        reference: Some(reference(1, Some(1))),
        ..Write::to(incident, Writer::Bridge)
    };
    assert_eq!(write(&store, everything).await, Written::Done);
    let only_reference = Write { reference: Some(reference(1, Some(2))), ..Write::to(incident, Writer::Bridge) };
    assert_eq!(write(&store, only_reference).await, Written::Done);
    assert_eq!(news(&store, &mut cursor).await, []);
    assert!(!store.has_changes(&cursor).await.unwrap());
}

pub async fn a_change_of_others_right_after_the_bridges_own_is_reported(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut other = bench.other().await;
    let mut cursor = Cursor::default();
    let incident = store.open(vec![open_of(client(), 1)]).await.unwrap()[0].incident.id;
    other.set(incident, "phase", Some("review")).await;
    assert_eq!(news(&store, &mut cursor).await, [incident]);
    let back = Write {
        edit: Edit { phase: Some(Phase::InitialSupport), ..Edit::default() },
        ..Write::to(incident, Writer::Bridge)
    };
    assert_eq!(write(&store, back).await, Written::Done);
    assert_eq!(news(&store, &mut cursor).await, []);
    other.set(incident, "phase", Some("review")).await;
    assert_eq!(news(&store, &mut cursor).await, [incident]);
}

pub async fn what_an_operator_writes_is_reported(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut cursor = Cursor::default();
    let incident = deposited(&store, "edge-1").await;
    news(&store, &mut cursor).await;
    let edit = Edit { solution: Some(Some("replaced".into())), ..Edit::default() };
    assert_eq!(write(&store, Write { edit, ..Write::to(incident, Writer::Operator) }).await, Written::Done);
    assert_eq!(news(&store, &mut cursor).await, [incident]);
    let edit = Edit { comments: vec![comment(1, "own words")], ..Edit::default() };
    assert_eq!(write(&store, Write { edit, ..Write::to(incident, Writer::Operator) }).await, Written::Done);
    assert_eq!(news(&store, &mut cursor).await, [incident], "a comment alone is news too");
    let again = Edit { comments: vec![comment(1, "own words")], ..Edit::default() };
    assert_eq!(write(&store, Write { edit: again, ..Write::to(incident, Writer::Operator) }).await, Written::Done);
    assert_eq!(news(&store, &mut cursor).await, [], "the same comment again is not");
}

/// Design, invariant 8: the slow program decided on its number and its time long before, and writes last.
pub async fn invariant_8_a_row_with_an_older_number_and_time_that_is_committed_late_is_reported(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut slow = bench.other().await;
    let mut quick = bench.other().await;
    let mut cursor = Cursor::default();
    slow.begin().await;
    let first = quick.insert(Row { id: Some(500), ..row("edge-1") }).await;
    assert_eq!(news(&store, &mut cursor).await, [first]);
    let second = deposited(&store, "edge-2").await;
    assert_eq!(news(&store, &mut cursor).await, [second]);

    let late = Row { id: Some(7), created_at: Some("2020-01-01T00:00:00Z"), ..row("edge-3") };
    assert_eq!(slow.insert(late).await, IncidentId(7));
    assert_eq!(news(&store, &mut cursor).await, []);
    slow.commit().await;
    assert!(store.has_changes(&cursor).await.unwrap());
    assert_eq!(news(&store, &mut cursor).await, [IncidentId(7)]);
}

/// The slow program wrote first and commits last; another writer waits for it or overtakes it, as the store allows.
pub async fn invariant_8_a_row_written_early_and_committed_late_is_reported(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut slow = bench.other().await;
    let mut cursor = Cursor::default();
    slow.begin().await;
    let early = slow.insert(row("edge-1")).await;
    let overtaking = tokio::spawn({
        let store = store.clone();
        async move { deposited(&store, "edge-2").await }
    });
    let mut seen = news(&store, &mut cursor).await;
    assert!(!seen.contains(&early));
    slow.commit().await;
    let other = overtaking.await.unwrap();
    seen.extend(news(&store, &mut cursor).await);
    assert_eq!(seen.iter().collect::<HashSet<_>>(), HashSet::from([&early, &other]));
    assert_eq!(seen.len(), 2);
}

/// Many programs at once, and a reader that never stops: whatever the order of commits, nothing is missed.
pub async fn invariant_8_a_reader_amid_many_writers_misses_nothing(bench: &dyn Bench) {
    const WRITERS: usize = 4;
    const ROUNDS: usize = 15;
    let store = bench.open().await;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let mut program = bench.other().await;
        writers.push(tokio::spawn(async move {
            let mut written = Vec::new();
            for round in 0..ROUNDS {
                let name: &'static str = Box::leak(format!("edge-{writer}-{round}").into_boxed_str());
                program.begin().await;
                let incident = program.insert(row(name)).await;
                program.comment(incident, "why").await;
                program.commit().await;
                written.push(incident);
            }
            written
        }));
    }
    let mut cursor = Cursor::default();
    let mut seen = HashSet::new();
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        seen.extend(news(&store, &mut cursor).await);
        tokio::task::yield_now().await;
    }
    seen.extend(news(&store, &mut cursor).await);
    for writer in writers {
        let written = writer.await.unwrap();
        assert_eq!(written.len(), ROUNDS);
        assert!(written.iter().all(|incident| seen.contains(incident)));
    }
}

pub async fn a_newest_row_that_is_deleted_hides_no_later_change(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut other = bench.other().await;
    let mut cursor = Cursor::default();
    let kept = other.insert(row("edge-1")).await;
    let newest = other.insert(row("edge-2")).await;
    assert_eq!(news(&store, &mut cursor).await, [kept, newest]);
    other.delete(newest).await;
    assert!(!store.has_changes(&cursor).await.unwrap());
    let next = other.insert(row("edge-3")).await;
    assert_ne!(next, newest, "a number is never given twice");
    assert_eq!(news(&store, &mut cursor).await, [next]);
    other.delete(next).await;
    other.set(kept, "phase", Some("review")).await;
    assert_eq!(news(&store, &mut cursor).await, [kept]);
}

pub async fn a_row_that_came_and_went_unread_leaves_no_news(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut other = bench.other().await;
    let incident = other.insert(row("edge-1")).await;
    other.delete(incident).await;
    let mut cursor = Cursor::default();
    assert!(!store.has_changes(&cursor).await.unwrap());
    assert_eq!(news(&store, &mut cursor).await, []);
}

pub async fn a_cursor_outlives_the_store_that_gave_it(bench: &dyn Bench) {
    let mut other = bench.other().await;
    let mut cursor = Cursor::default();
    let store = bench.open().await;
    other.insert(row("edge-1")).await;
    news(&store, &mut cursor).await;
    drop(store);
    let later = other.insert(row("edge-2")).await;
    let store = bench.open().await;
    assert_eq!(news(&store, &mut cursor).await, [later]);
    assert!(store.changes(&Cursor("from another store".into()), 2).await.is_err());
}
