//! States and milestones: whoever changes the record, its state follows, and both sites keep the same facts.

use casebridge::case::{CaseState, CompletionCode, Edit, Fact, IncidentId, Milestone, Phase};
use casebridge::store::{Cursor, Write, Writer, Written};
use jiff::Timestamp;
use uuid::Uuid;

use super::{Bench, Row, at, deposited, load, milestone, news, peer, row, write};

fn edit(incident: IncidentId, writer: Writer, edit: Edit) -> Write {
    Write { edit, ..Write::to(incident, writer) }
}

fn reached(incident: IncidentId, writer: Writer, milestone: Milestone) -> Write {
    edit(incident, writer, Edit { milestones: vec![milestone], ..Edit::default() })
}

pub async fn m_02_the_state_follows_whoever_changes_the_record(bench: &dyn Bench) {
    let (store, mut other) = (bench.open().await, bench.other().await);
    let incident = deposited(&store, "edge-1").await;
    let mut cursor = Cursor::default();
    let state = async || {
        let record = load(&store, incident).await;
        let last = record.milestones.last().cloned();
        (record.state(), last.map(|one| (one.n, one.at, one.fact)))
    };
    assert_eq!(state().await, (CaseState::Opened, None));

    let held = Edit { state: Some(CaseState::OnHold), since: Some(at(10)), ..Edit::default() };
    assert_eq!(write(&store, edit(incident, Writer::Operator, held)).await, Written::Done);
    assert_eq!(state().await, (CaseState::OnHold, Some((1, at(10), Fact::State(CaseState::OnHold)))));
    let resolved = Edit { phase: Some(Phase::Review), since: Some(at(20)), ..Edit::default() };
    write(&store, edit(incident, Writer::Operator, resolved)).await;
    assert_eq!(state().await, (CaseState::Resolved, Some((2, at(20), Fact::State(CaseState::Resolved)))));
    let closed = Edit {
        phase: Some(Phase::Close),
        completion_code: Some(Some(CompletionCode::WithdrawnByUser)),
        since: Some(at(30)),
        ..Edit::default()
    };
    write(&store, edit(incident, Writer::Operator, closed)).await;
    assert_eq!(state().await, (CaseState::Canceled, Some((3, at(30), Fact::State(CaseState::Canceled)))));

    // Another program knows of no states: the instant is its own.
    other.set(incident, "completion_code", None).await;
    assert_eq!(state().await.0, CaseState::Completed);
    other.set(incident, "phase", Some("initial_support")).await;
    let (reopened, last) = state().await;
    assert_eq!(
        (reopened, last.map(|(n, _, fact)| (n, fact))),
        (CaseState::Reopened, Some((5, Fact::State(CaseState::Reopened))))
    );
    news(&store, &mut cursor).await;
    other.set(incident, "state", Some("in_process")).await;
    assert_eq!(state().await.0, CaseState::InProcess);
    assert_eq!(news(&store, &mut cursor).await, [incident], "it is told to the peers");
    let before = load(&store, incident).await.revision;
    other.set(incident, "state", Some("input_requested")).await;
    assert!(load(&store, incident).await.revision > before);
}

pub async fn m_02_a_state_that_its_phase_does_not_have_is_not_taken(bench: &dyn Bench) {
    let (store, mut other) = (bench.open().await, bench.other().await);
    let incident = deposited(&store, "edge-1").await;
    other.set(incident, "state", Some("completed")).await;
    let record = load(&store, incident).await;
    assert_eq!((record.state(), record.milestones.len()), (CaseState::Opened, 0));
    other.set(incident, "phase", Some("review")).await;
    other.set(incident, "state", Some("on_hold")).await;
    let record = load(&store, incident).await;
    assert_eq!((record.state(), record.milestones.len()), (CaseState::Resolved, 1));
}

pub async fn m_02_a_case_that_is_entered_in_a_state_has_the_milestone_of_it(bench: &dyn Bench) {
    let (store, mut other) = (bench.open().await, bench.other().await);
    let mut entered = async |name, columns| {
        let incident = other.insert(Row { columns, ..row(name) }).await;
        let record = load(&store, incident).await;
        let told: Vec<_> = record.milestones.iter().map(|one| (one.n, one.at, one.state())).collect();
        let instance = store.instances(&[incident]).await.unwrap().remove(&incident).unwrap().unwrap();
        (record.state(), told, instance.resolution.map(|one| one.at))
    };
    let since: Timestamp = "2026-11-20T08:00:00Z".parse().unwrap();
    let held = entered("edge-1", &[("state", "on_hold"), ("state_since", "2026-11-20T08:00:00Z")]).await;
    assert_eq!(held, (CaseState::OnHold, vec![(1, since, Some(CaseState::OnHold))], None));
    let resolved = entered("edge-2", &[("phase", "review"), ("state_since", "2026-11-20T08:00:00Z")]).await;
    assert_eq!(resolved, (CaseState::Resolved, vec![(1, since, Some(CaseState::Resolved))], Some(since)));
    let (state, told, resolved) = entered("edge-3", &[("phase", "close"), ("state", "on_hold")]).await;
    let told: Vec<_> = told.into_iter().map(|(n, _, state)| (n, state)).collect();
    assert_eq!((state, told, resolved), (CaseState::Completed, vec![(1, Some(CaseState::Completed))], None));
    for (name, columns) in [("edge-4", &[] as &[_]), ("edge-5", &[("state", "resolved")])] {
        assert_eq!(entered(name, columns).await, (CaseState::Opened, vec![], None), "{name}");
    }
}

pub async fn a_milestone_is_kept_once_and_counted_by_who_knew_what(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let mut cursor = Cursor::default();
    news(&store, &mut cursor).await;
    let theirs = |number, n| {
        let fact = Fact::Named("Technician on site".into());
        Milestone { n, origin: Some(peer()), ..Milestone::new(Uuid::from_u128(number), at(5), fact) }
    };
    for _ in 0..2 {
        write(&store, reached(incident, Writer::Bridge, theirs(1, 7))).await;
    }
    assert_eq!(news(&store, &mut cursor).await, [], "no echo");
    write(&store, reached(incident, Writer::Bridge, milestone(2, 6, CaseState::InProcess))).await;
    assert_eq!(news(&store, &mut cursor).await, [incident], "ours is told");
    let all = load(&store, incident).await.milestones;
    let seen: Vec<_> = all.iter().map(|one| (one.n, one.origin.clone(), &one.fact)).collect();
    assert_eq!(
        seen,
        [(7, Some(peer()), &Fact::Named("Technician on site".into())), (8, None, &Fact::State(CaseState::InProcess))]
    );
}

pub async fn two_who_act_at_once_leave_the_same_state_at_both_sites(bench: &dyn Bench) {
    let store = bench.open().await;
    let (one, two) = (deposited(&store, "edge-1").await, deposited(&store, "edge-2").await);
    let ours = Milestone { n: 4, ..milestone(90, 10, CaseState::OnHold) };
    let theirs = Milestone { n: 4, ..milestone(80, 11, CaseState::InProcess) };
    for (incident, first, second) in [(one, &ours, &theirs), (two, &theirs, &ours)] {
        write(&store, reached(incident, Writer::Bridge, first.clone())).await;
        write(&store, reached(incident, Writer::Bridge, second.clone())).await;
    }
    let (one, two) = (load(&store, one).await, load(&store, two).await);
    assert_eq!((one.state(), two.state()), (CaseState::OnHold, CaseState::OnHold));
    assert_eq!(one.stops(), two.stops());
}

pub async fn nobody_changes_what_happened(bench: &dyn Bench) {
    let (store, mut other) = (bench.open().await, bench.other().await);
    let incident = deposited(&store, "edge-1").await;
    write(&store, reached(incident, Writer::Operator, milestone(1, 6, CaseState::OnHold))).await;
    assert!(other.forget_milestones().await.contains("what happened stays"));
    assert_eq!(load(&store, incident).await.milestones.len(), 1);
}
