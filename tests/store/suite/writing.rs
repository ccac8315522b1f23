//! Write-back: guards, what is set and what is left, and each write in one piece.

use casebridge::case::{
    Action, Case, Changes, Comment, CompletionCode, Edit, Form, HistoryLine, IncidentId, Operation, OwnCase, Phase,
    Standing, Submission, Work,
};
use casebridge::store::{ReferenceWrite, Write, Writer, Written};

use super::{Bench, at, client, comment, deposited, exchange, load, open_of, peer, reference, row, write};

fn solved(incident: IncidentId, solution: &str) -> Write {
    Write {
        edit: Edit { solution: Some(Some(solution.into())), ..Edit::default() },
        history: vec![line(incident, solution)],
        ..Write::to(incident, Writer::Bridge)
    }
}

fn line(incident: IncidentId, detail: &str) -> HistoryLine {
    HistoryLine {
        incident,
        at: at(5),
        who: "casebridge".into(),
        action: Action::Edited.as_str().into(),
        exchange: Some(exchange(1)),
        seq: Some(3),
        detail: detail.into(),
    }
}

pub async fn invariant_2_an_operation_takes_effect_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let first = Write { reference: Some(reference(1, Some(1))), ..solved(incident, "first") };
    assert_eq!(write(&store, first.clone()).await, Written::Done);
    let second = Write { reference: Some(reference(1, Some(2))), ..solved(incident, "second") };
    assert_eq!(write(&store, second).await, Written::Done);
    let mut again = Write { reference: Some(reference(1, Some(1))), ..first };
    again.edit.comments = vec![comment(1, "first again")];
    assert_eq!(write(&store, again).await, Written::AlreadyApplied);
    let record = load(&store, incident).await;
    assert_eq!(record.work.solution.as_deref(), Some("second"));
    assert_eq!((record.comments, record.references[0].applied), (vec![], 2));
    assert_eq!(store.history(incident, 10).await.unwrap().len(), 3, "deposited, first, second");
}

pub async fn invariant_2_an_operation_that_stands_twice_in_one_call_takes_effect_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let numbered = |seq, solution| Write { reference: Some(reference(1, Some(seq))), ..solved(incident, solution) };
    let writes = vec![numbered(1, "first"), numbered(1, "first again"), numbered(2, "second"), numbered(1, "late")];
    assert_eq!(
        store.write(writes).await.unwrap(),
        [Written::Done, Written::AlreadyApplied, Written::Done, Written::AlreadyApplied]
    );
    assert_eq!(load(&store, incident).await.work.solution.as_deref(), Some("second"));
}

pub async fn an_operation_that_was_applied_is_told_so_even_when_the_record_moved_on(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let numbered =
        Write { expected_revision: Some(1), reference: Some(reference(1, Some(1))), ..solved(incident, "first") };
    assert_eq!(write(&store, numbered.clone()).await, Written::Done);
    assert_eq!(write(&store, numbered).await, Written::AlreadyApplied);
}

pub async fn the_same_number_of_another_peer_or_exchange_is_another_operation(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let to = |reference| Write { reference: Some(reference), ..Write::to(incident, Writer::Bridge) };
    let elsewhere = ReferenceWrite { peer: client(), ..reference(1, Some(1)) };
    let writes = vec![to(reference(1, Some(1))), to(elsewhere), to(reference(2, Some(1)))];
    assert_eq!(store.write(writes).await.unwrap(), [Written::Done; 3]);
    assert_eq!(load(&store, incident).await.references.len(), 3);
}

pub async fn a_write_that_was_decided_on_an_older_revision_is_stale(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut other = bench.other().await;
    let incident = deposited(&store, "edge-1").await;
    let revision = load(&store, incident).await.revision;
    other.set(incident, "phase", Some("escalate")).await;
    let stale = Write {
        expected_revision: Some(revision),
        reference: Some(reference(1, Some(1))),
        ..solved(incident, "too late")
    };
    assert_eq!(write(&store, stale.clone()).await, Written::Stale);
    let record = load(&store, incident).await;
    assert_eq!((record.work.solution, record.references), (None, vec![]));
    assert_eq!(store.history(incident, 10).await.unwrap().len(), 1, "it left no history either");
    let fresh = Write { expected_revision: Some(record.revision), ..stale };
    assert_eq!(write(&store, fresh).await, Written::Done, "the number was not used up");
    assert!(load(&store, incident).await.revision > record.revision);
}

pub async fn the_second_of_two_writes_in_one_call_that_expect_one_revision_is_stale(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let expecting = |solution| Write { expected_revision: Some(1), ..solved(incident, solution) };
    assert_eq!(
        store.write(vec![expecting("first"), expecting("second")]).await.unwrap(),
        [Written::Done, Written::Stale]
    );
    assert_eq!(load(&store, incident).await.work.solution.as_deref(), Some("first"));
    let revision = load(&store, incident).await.revision;
    let quiet = Write {
        expected_revision: Some(revision),
        history: vec![line(incident, "seen")],
        ..Write::to(incident, Writer::Bridge)
    };
    assert_eq!(
        store.write(vec![quiet.clone(), quiet]).await.unwrap(),
        [Written::Done; 2],
        "a line of history is no new revision"
    );
}

pub async fn a_write_to_no_incident_is_gone(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut other = bench.other().await;
    let incident = other.insert(row("edge-1")).await;
    let beside = deposited(&store, "edge-2").await;
    other.delete(incident).await;
    let gone = Write { reference: Some(reference(1, Some(1))), ..solved(incident, "whom for") };
    assert_eq!(store.write(vec![gone, solved(beside, "done")]).await.unwrap(), [Written::Gone, Written::Done]);
    assert_eq!(load(&store, beside).await.work.solution.as_deref(), Some("done"));
    assert_eq!(store.write(vec![]).await.unwrap(), []);
}

pub async fn what_an_edit_leaves_out_stays_and_what_it_clears_goes(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let case = Case {
        id: "CASE-1".parse().unwrap(),
        link: Some("https://noc.example/1".parse().unwrap()),
        status: "Open".into(),
        contact: None,
    };
    let form = Form { tracking_number: Some("T-1".into()), comment: Some("more\nof it".into()), ..Form::default() };
    let full = Write {
        edit: Edit {
            phase: Some(Phase::Review),
            solution: Some(Some("replaced".into())),
            completion_code: Some(Some(CompletionCode::Fulfilled)),
            expected_resolution: Some(Some(at(77))),
            case: Some(case.clone()),
            comments: vec![],
            assignment: Some(Some("Vendor NOC".into())),
            active: Some(false),
            state: None,
            since: None,
            milestones: vec![],
            deadlines: vec![],
        },
        submission: Some(Submission::Requested),
        form: Some(form.clone()),
        generation: Some(2),
        ..Write::to(incident, Writer::Bridge)
    };
    assert_eq!(write(&store, full).await, Written::Done);
    let work = Work {
        phase: Phase::Review,
        solution: Some("replaced".into()),
        completion_code: Some(CompletionCode::Fulfilled),
        expected_resolution: Some(at(77)),
    };
    let record = load(&store, incident).await;
    assert_eq!((&record.work, &record.case), (&work, &Some(case.clone())));
    assert_eq!((record.submission, &record.form, record.generation), (Submission::Requested, &form, 2));
    assert_eq!((record.assignment.as_deref(), record.active), (Some("Vendor NOC"), false));

    let nothing = Write { history: vec![line(incident, "looked")], ..Write::to(incident, Writer::Bridge) };
    assert_eq!(write(&store, nothing).await, Written::Done);
    assert_eq!(load(&store, incident).await, record, "not even the revision moves");

    let clearing =
        Edit { solution: Some(None), completion_code: Some(None), expected_resolution: Some(None), ..Edit::default() };
    assert_eq!(write(&store, Write { edit: clearing, ..Write::to(incident, Writer::Bridge) }).await, Written::Done);
    let cleared = load(&store, incident).await;
    assert_eq!(cleared.work, Work { phase: Phase::Review, ..Work::default() });
    assert_eq!((cleared.case, cleared.submission), (Some(case), Submission::Requested));

    let without_link = Case { id: "CASE-2".parse().unwrap(), link: None, status: "Moved".into(), contact: None };
    let edit = Edit { case: Some(without_link.clone()), ..Edit::default() };
    assert_eq!(write(&store, Write { edit, ..Write::to(incident, Writer::Bridge) }).await, Written::Done);
    assert_eq!(load(&store, incident).await.case, Some(without_link), "a case is written whole, the old link goes");
}

pub async fn a_32_the_upstreams_case_stands_beside_the_one_that_is_shown(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = store.open(vec![open_of(client(), 1)]).await.unwrap().remove(0).incident.id;
    let case = |id: &str, link: Option<&str>| Case {
        id: id.parse().unwrap(),
        link: link.map(|link| link.parse().unwrap()),
        status: "Open".into(),
        contact: None,
    };
    let (theirs, ours) = (case("V-1", Some("https://vendor.example/V-1")), case("P-1", None));
    let own_case = OwnCase { id: true, link: true, status: false };
    let both = Write {
        edit: Edit { case: Some(ours.clone()), ..Edit::default() },
        upstream_case: Some(theirs.clone()),
        own_case: Some(own_case),
        ..Write::to(incident, Writer::Bridge)
    };
    assert_eq!(write(&store, both).await, Written::Done);
    let record = load(&store, incident).await;
    assert_eq!((&record.case, &record.upstream_case, record.own_case), (&Some(ours.clone()), &Some(theirs), own_case));

    let moved = case("V-2", None);
    let theirs_alone = Write { upstream_case: Some(moved.clone()), ..Write::to(incident, Writer::Bridge) };
    assert_eq!(write(&store, theirs_alone).await, Written::Done);
    let after = load(&store, incident).await;
    assert_eq!((after.case, after.upstream_case, after.own_case), (Some(ours), Some(moved), own_case));
    assert!(after.revision > record.revision, "it is a change of the record");
}

pub async fn a_reference_keeps_its_transaction_and_its_count(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let to = |reference| Write { reference: Some(reference), ..Write::to(incident, Writer::Bridge) };
    let acknowledged = ReferenceWrite {
        transaction: Some("4711".parse().unwrap()),
        standing: Standing::Acknowledged,
        ..reference(1, Some(4))
    };
    assert_eq!(write(&store, to(acknowledged)).await, Written::Done);
    let created = ReferenceWrite { standing: Standing::Created, ..reference(1, None) };
    assert_eq!(write(&store, to(created)).await, Written::Done);
    let reference_now = load(&store, incident).await.references.remove(0);
    assert_eq!(reference_now.transaction, Some("4711".parse().unwrap()));
    assert_eq!((reference_now.applied, reference_now.standing), (4, Standing::Created));
    assert_eq!((reference_now.peer, reference_now.exchange), (peer(), exchange(1)));
}

pub async fn a_recount_sets_the_number_outright(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let to = |reference| Write { reference: Some(reference), ..Write::to(incident, Writer::Bridge) };
    assert_eq!(write(&store, to(reference(1, Some(9)))).await, Written::Done);
    let recount = ReferenceWrite { recount: Some(2), ..reference(1, None) };
    assert_eq!(write(&store, to(recount.clone())).await, Written::Done);
    assert_eq!(load(&store, incident).await.references[0].applied, 2);
    assert_eq!(write(&store, to(reference(1, Some(3)))).await, Written::Done, "the peer counts on from there");
    let fresh = ReferenceWrite { exchange: exchange(2), ..recount };
    assert_eq!(write(&store, to(fresh)).await, Written::Done);
    let applied: Vec<u64> = load(&store, incident).await.references.iter().map(|one| one.applied).collect();
    assert_eq!(applied, [3, 2]);
}

pub async fn a_recount_holds_for_what_follows_in_the_same_call(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let to = |reference| Write { reference: Some(reference), ..Write::to(incident, Writer::Bridge) };
    assert_eq!(write(&store, to(reference(1, Some(9)))).await, Written::Done);
    let recount = ReferenceWrite { recount: Some(0), ..reference(1, None) };
    let outcomes = store.write(vec![to(recount), to(reference(1, Some(1)))]).await.unwrap();
    assert_eq!(outcomes, [Written::Done; 2]);
    assert_eq!(load(&store, incident).await.references[0].applied, 1);
}

pub async fn c_31_a_comment_arrives_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let beside = deposited(&store, "edge-2").await;
    let saying = |incident, comments| Write {
        edit: Edit { comments, ..Edit::default() },
        ..Write::to(incident, Writer::Bridge)
    };
    let first = vec![comment(1, "one"), comment(2, "two"), comment(1, "one again")];
    assert_eq!(write(&store, saying(incident, first)).await, Written::Done);
    let again = vec![comment(2, "other words"), comment(3, "three")];
    assert_eq!(write(&store, saying(incident, again)).await, Written::Done);
    assert_eq!(write(&store, saying(beside, vec![comment(1, "elsewhere")])).await, Written::Done);
    let comments = load(&store, incident).await.comments;
    assert_eq!(comments.iter().map(|comment| comment.text.as_str()).collect::<Vec<_>>(), ["one", "two", "three"]);
    assert!(comments.is_sorted_by(|a, b| a.position < b.position), "in the order in which they came");
    assert_eq!(comments[0].id, comment(1, "").id);
    assert_eq!((&comments[0].author, comments[0].written_at), (&"night shift".to_owned(), at(100)));
    assert_eq!(load(&store, beside).await.comments.len(), 1, "its ID counts within one incident");
}

pub async fn two_writes_to_one_incident_in_one_call_follow_each_other(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let beside = deposited(&store, "edge-2").await;
    let reviewing = Write {
        edit: Edit { phase: Some(Phase::Review), solution: Some(None), ..Edit::default() },
        history: vec![line(incident, "third")],
        ..Write::to(incident, Writer::Bridge)
    };
    let writes = vec![solved(incident, "first"), solved(beside, "other"), solved(incident, "second"), reviewing];
    assert_eq!(store.write(writes).await.unwrap(), [Written::Done; 4]);
    let record = load(&store, incident).await;
    assert_eq!(record.work, Work { phase: Phase::Review, ..Work::default() });
    assert_eq!(record.revision, 4);
    let details: Vec<String> =
        store.history(incident, 10).await.unwrap().into_iter().map(|line| line.detail).skip(1).collect();
    assert_eq!(details, ["first", "second", "third"]);
}

pub async fn writes_of_both_kinds_can_share_a_call(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut cursor = Default::default();
    let bridge = deposited(&store, "edge-1").await;
    let operator = deposited(&store, "edge-2").await;
    super::news(&store, &mut cursor).await;
    let writes = vec![solved(bridge, "theirs"), Write { writer: Writer::Operator, ..solved(operator, "ours") }];
    assert_eq!(store.write(writes).await.unwrap(), [Written::Done; 2]);
    assert_eq!(super::news(&store, &mut cursor).await, [operator]);
}

pub async fn a_call_of_many_writes_is_all_done(bench: &dyn Bench) {
    let store = bench.open().await;
    let opened = store.open((0..250).map(|number| open_of(client(), number)).collect()).await.unwrap();
    let writes = opened.iter().map(|one| solved(one.incident.id, &format!("solved {}", one.incident.id))).collect();
    assert_eq!(store.write(writes).await.unwrap(), vec![Written::Done; 250]);
    for one in opened {
        let solution = load(&store, one.incident.id).await.work.solution;
        assert_eq!(solution, Some(format!("solved {}", one.incident.id)));
    }
}

/// A peer may send every instant that the rules of `case` let in; a store that refused one would refuse all that came
/// with it.
pub async fn the_first_and_the_last_instant_that_an_operation_may_carry_are_kept(bench: &dyn Bench) {
    let store = bench.open().await;
    for (number, instant) in [(1, "0000-01-01T00:00:00Z"), (2, "9999-12-30T22:00:00.999999999Z")] {
        let instant: jiff::Timestamp = instant.parse().unwrap();
        let mut open = open_of(client(), number);
        open.create.event.occurred_at = Some(instant);
        open.create.comments = vec![Comment { written_at: instant, ..comment(1, "early or late") }];
        assert_eq!(Operation::Create(Box::new(open.create.clone())).check(), Ok(()));
        let incident = store.open(vec![open]).await.unwrap()[0].incident.id;
        let changes = Changes { expected_resolution: Some(Some(instant)), ..Changes::default() };
        assert_eq!(Operation::Update(changes).check(), Ok(()));
        let edit = Edit { expected_resolution: Some(Some(instant)), ..Edit::default() };
        assert_eq!(write(&store, Write { edit, ..Write::to(incident, Writer::Bridge) }).await, Written::Done);
        let record = load(&store, incident).await;
        assert_eq!(record.event.occurred_at, Some(instant));
        assert_eq!(record.work.expected_resolution, Some(instant));
        assert_eq!(record.comments[0].written_at, instant);
    }
    let before: jiff::Timestamp = "-000001-12-31T23:59:59Z".parse().unwrap();
    let mut create = open_of(client(), 3).create;
    create.comments = vec![Comment { written_at: before, ..comment(1, "too early") }];
    assert!(Operation::Create(Box::new(create.clone())).check().is_err());
    create.comments.clear();
    create.event.occurred_at = Some(before);
    assert!(Operation::Create(Box::new(create)).check().is_err());
    let changes = Changes { expected_resolution: Some(Some(before)), ..Changes::default() };
    assert!(Operation::Update(changes).check().is_err());
}
