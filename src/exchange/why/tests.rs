use super::*;
use crate::case::example::{incident, peer};
use crate::case::{Fact, Kind, Milestone, OperationKind, Reference, Shadow, TransactionId, Work};
use crate::state::{Due, ExchangeKey, ExchangeRecord, OutboxEntry, Parked, PeerRecord};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn transaction() -> TransactionId {
    "12".parse().unwrap()
}

fn up(step: Upward) -> Leg {
    Leg::Upward { incident: IncidentId(7), step }
}

fn known(leg: Leg) -> Known {
    Known {
        key: ExchangeKey::new(&peer(), ExchangeId::from_bytes([1; 16])),
        record: ExchangeRecord::begun(leg, Shadow::default(), at(0)),
        pending: Vec::new(),
        health: PeerRecord::default(),
    }
}

fn entry() -> OutboxEntry {
    OutboxEntry {
        exchange: ExchangeId::from_bytes([1; 16]),
        seq: 2,
        kind: OperationKind::Update,
        seen: 0,
        queued_at: at(1),
        operation: serde_json::value::RawValue::from_string("{}".into()).unwrap(),
        told: None,
        ours: None,
        unmapped: None,
    }
}

fn parked(reason: &str) -> Option<Parked> {
    Some(Parked { since: at(5), seq: 2, operation: OperationKind::Update, reason: reason.into(), untaken: false })
}

#[test]
fn every_step_of_an_exchange_has_its_answer() {
    let (case, id) = ("CASE-7".parse().unwrap(), IncidentId(7));
    let over = |step| (step, Side::Nobody, "nothing");
    let theirs = |step, waits_for| (step, Side::Peer(peer()), waits_for);
    let ours = |step, waits_for| (Leg::Downward(step), Side::Here, waits_for);
    let open = |case| Upward::Open { transaction: transaction(), case };
    for (leg, side, waits_for) in [
        theirs(up(Upward::Creating), "the transaction ID: partner has not answered the Create yet"),
        theirs(up(Upward::AwaitingTransaction), "the transaction ID: partner has the Create and has not stored"),
        theirs(up(Upward::AwaitingCase { transaction: transaction() }), "the case ID and link: a person at partner"),
        theirs(up(open("CASE-7".parse().unwrap())), "updates from partner"),
        over(up(Upward::Closed { transaction: transaction(), case: None })),
        over(up(Upward::Rejected)),
        ours(Downward::Received, "our own incident store"),
        ours(Downward::Deciding { incident: id }, "a person here: accept or reject it"),
        ours(Downward::Open { incident: id, case }, "the work on the case here"),
        over(Leg::Downward(Downward::Closed { incident: id, case: None })),
        over(Leg::Downward(Downward::Rejected { incident: id })),
    ] {
        let answer = of_exchange(&known(leg.clone()), &incident());
        assert!(answer.waits_for.starts_with(waits_for), "{leg:?}: {answer:?}");
        assert_eq!((answer.side, answer.since), (side, Some(at(0))), "{leg:?}");
    }
}

#[test]
fn who_has_the_case_in_hand_and_a_switch_are_told() {
    let open = || up(Upward::Open { transaction: transaction(), case: "CASE-7".parse().unwrap() });
    let mut one = known(open());
    one.record.holder = Holder::Us;
    assert_eq!(of_exchange(&one, &incident()).waits_for, "a person here, who has the case in hand and not partner");
    let case = "CASE-7".parse().unwrap();
    let mut below = known(Leg::Downward(Downward::Open { incident: IncidentId(7), case }));
    below.record.holder = Holder::Peer;
    assert_eq!(of_exchange(&below, &incident()).side, Side::Peer(peer()));
    one.record.paused = true;
    assert_eq!(of_exchange(&one, &incident()).remedy.as_deref(), Some("casebridge resume 7"));
}

#[test]
fn what_is_solved_waits_for_whoever_submitted_it() {
    let case = || "CASE-7".parse().unwrap();
    let mut above = known(up(Upward::Open { transaction: transaction(), case: case() }));
    let mut below = known(Leg::Downward(Downward::Open { incident: IncidentId(7), case: case() }));
    for (one, side) in [(&mut above, Side::Here), (&mut below, Side::Peer(peer()))] {
        one.record.shadow.phase = crate::case::Phase::Review;
        let answer = of_exchange(one, &incident());
        assert_eq!(answer.side, side, "{answer:?}");
        assert!(answer.waits_for.contains("solved"), "{answer:?}");
    }
}

#[test]
fn what_is_pending_is_told() {
    let open = up(Upward::AwaitingCase { transaction: transaction() });
    let busy = Known { pending: vec![(1, entry()), (2, entry())], ..known(open) };
    assert!(of_exchange(&busy, &incident()).waits_for.ends_with("and 2 operations to get through"));
    let closed = Leg::Downward(Downward::Closed { incident: IncidentId(7), case: None });
    let unfetched = of_exchange(&Known { pending: vec![(1, entry())], ..known(closed) }, &incident());
    assert_eq!((unfetched.waits_for.as_str(), unfetched.side), ("partner to fetch 1 operation", Side::Peer(peer())));
}

#[test]
fn what_is_parked_wins_over_everything_and_has_its_reason_and_remedy() {
    let mut one = known(up(Upward::Creating));
    one.health = PeerRecord { down_since: Some(at(3)), ..PeerRecord::default() };
    for (reason, remedy) in [
        ("at `operation.content.solution`: too long", "remove the reason, then: casebridge retry 7"),
        (FORGOTTEN, "talk to partner; when it has the case again: casebridge resync 7"),
        (
            "no progress: 50 operations in a row said nothing new",
            "find out at both sites which program changes the case over and over, and stop it; then: casebridge retry 7",
        ),
        (
            "The case has already passed this site: \"this site stands in the case's trace route\"",
            "no retry helps: solve it here, or change at partner where it sends such cases",
        ),
        (
            "The exchange was rejected: \"this exchange was rejected; submit the incident anew\"",
            "no retry helps: solve it here, or submit it anew: casebridge submit 7",
        ),
    ] {
        one.record.parked = parked(reason);
        let answer = of_exchange(&one, &incident());
        assert_eq!(answer.waits_for, "a person here: update 2 is parked");
        assert_eq!((answer.cause.as_deref(), answer.since), (Some(reason), Some(at(5))));
        assert_eq!(answer.remedy.as_deref(), Some(remedy));
    }
    (one.record.parked, one.record.held) = (None, parked("it cannot follow"));
    assert_eq!(of_exchange(&one, &incident()).waits_for, "a person here: update 2 of the peer's is parked");
}

#[test]
fn a_peer_that_is_away_or_does_not_know_us_is_named_with_the_next_try() {
    let mut one = known(up(Upward::Creating));
    one.health = PeerRecord {
        down_since: Some(at(3)),
        next_attempt: Some(at(9)),
        last_error: Some("nobody answers there".into()),
        ..PeerRecord::default()
    };
    let answer = of_exchange(&one, &incident());
    assert!(answer.waits_for.ends_with("; the peer does not answer"), "{answer:?}");
    assert_eq!((answer.since, answer.next_try), (Some(at(3)), Some(at(9))));
    assert_eq!(answer.cause.as_deref(), Some("nobody answers there"));
    one.health.unauthorized = true;
    assert!(of_exchange(&one, &incident()).remedy.unwrap().contains("user and password"));
    // What is over waits for no peer.
    one.record.leg = up(Upward::Rejected);
    assert_eq!(of_exchange(&one, &incident()).side, Side::Nobody);
}

#[test]
fn an_operation_that_was_put_off_has_its_next_try_and_the_reason() {
    let mut one = known(up(Upward::Creating));
    one.record.due = Some(Due { at: at(8), attempts: 2, last_error: Some("the site cannot do this now".into()) });
    let answer = of_exchange(&one, &incident());
    assert_eq!((answer.next_try, answer.cause.as_deref()), (Some(at(8)), Some("the site cannot do this now")));
}

#[test]
fn an_incident_without_an_exchange_has_its_answer() {
    let upstream = peer();
    let with = |submission| Incident { submission, ..incident() };
    let line = HistoryLine {
        incident: IncidentId(1),
        at: at(4),
        who: "casebridge".into(),
        action: Action::Held.as_str().into(),
        exchange: None,
        seq: None,
        detail: "held by policy \"night\"".into(),
    };
    let of = |incident: &Incident, held| of_incident(incident, (held, Some(at(6))), Some(&upstream));
    assert!(of(&with(Submission::Undecided), None).waits_for.starts_with("the policies here"));
    assert!(of(&with(Submission::Requested), None).waits_for.starts_with("the detector here"));
    assert_eq!(of(&with(Submission::Draft), None).cause.as_deref(), Some("its form is a draft"));
    let held = of(&with(Submission::Held), Some(&line));
    assert_eq!((held.cause.as_deref(), held.since), (Some("held by policy \"night\""), Some(at(4))));
    assert_eq!(held.remedy.as_deref(), Some("casebridge submit 1"));
    assert_eq!(of(&with(Submission::Held), None).cause.as_deref(), Some("no policy submits it"));

    let mut informational = with(Submission::Held);
    informational.event.kind = Kind::Information;
    let answer = of(&informational, Some(&line));
    assert_eq!(answer.side, Side::Nobody);
    assert!(answer.cause.unwrap().contains("kind information never becomes a case"));

    let mut broken = with(Submission::Held);
    broken.event.synopsis = String::new();
    let answer = of(&broken, Some(&line));
    assert!(answer.cause.unwrap().contains("synopsis"));
    assert_eq!(answer.remedy.as_deref(), Some("correct its row in the incident store, then: casebridge submit 1"));

    let reference = Reference {
        peer: peer(),
        exchange: ExchangeId::from_bytes([1; 16]),
        towards: Towards::Upstream,
        peer_incident: None,
        transaction: None,
        applied: 0,
        holder: crate::case::Holder::Peer,
        standing: Standing::Rejected,
    };
    let back = Incident { references: vec![reference.clone()], ..with(Submission::Held) };
    let answer = of(&back, Some(&line));
    assert_eq!((answer.cause.as_deref(), answer.since), (Some("partner gave it back"), Some(at(6))));
    let unlinked = HistoryLine { exchange: Some(ExchangeId::from_bytes([1; 16])), ..line.clone() };
    assert_eq!(of(&back, Some(&unlinked)).since, Some(at(4)), "of a link that was refused");
    let ended = Work { phase: crate::case::Phase::Close, ..Work::default() };
    for upstream in [Some(&upstream), None] {
        for over in [&back, &with(Submission::Draft)] {
            let answer = of_incident(&Incident { work: ended.clone(), ..over.clone() }, (None, None), upstream);
            assert_eq!((answer.waits_for.as_str(), answer.side), ("nothing", Side::Nobody));
            assert_eq!(answer.cause.as_deref(), Some("the case is closed here"));
        }
    }
    let lost = Incident { references: vec![reference], ..with(Submission::Requested) };
    assert!(of(&lost, None).waits_for.contains("to be known again"));
    let alone = of_incident(&with(Submission::Held), (Some(&line), None), None);
    assert_eq!(alone.cause.as_deref(), Some("this site has no [upstream] to submit to"));
    let phoned = Incident { client: Some("north".parse().unwrap()), ..with(Submission::Held) };
    assert!(of(&phoned, None).remedy.unwrap().contains("--transaction 1"));
    assert!(unreadable("priority is not one of the known words").cause.unwrap().starts_with("priority"));
}

#[test]
fn the_line_holds_everything() {
    let answer = Answer { next_try: Some(at(9)), ..Answer::new("news", Side::Here, Some(at(0))) };
    assert_eq!(
        answer.because("it is night").remedied_by("wait").line(IncidentId(7)),
        "incident 7 waits for news; since 2026-09-21 14:13:20Z; next try 2026-09-21 14:13:29Z; because: it is night; \
         to do: wait"
    );
}

/// Open at both sites, in this state, which came from the peer where `theirs`.
fn in_state(state: CaseState, theirs: bool) -> (Incident, [Known; 2]) {
    let case = || "CASE-7".parse().unwrap();
    let milestone = Milestone::new(Uuid::nil(), at(7), Fact::State(state));
    let milestone = Milestone { origin: theirs.then(peer), ..milestone };
    let open = [
        up(Upward::Open { transaction: transaction(), case: case() }),
        Leg::Downward(Downward::Open { incident: IncidentId(7), case: case() }),
    ];
    (Incident { milestones: vec![milestone], ..incident() }, open.map(known))
}

#[test]
fn m_02_what_waits_for_its_customer_or_is_on_hold_says_so_at_both_sites() {
    let (one, [above, below]) = in_state(CaseState::InputRequested, true);
    let answer = of_exchange(&above, &one);
    assert_eq!((answer.waits_for.as_str(), answer.side), ("a person here: partner asked for input", Side::Here));
    assert_eq!((answer.since, answer.remedy.as_deref()), (Some(at(7)), Some("answer it: casebridge comment 7 TEXT")));
    let answer = of_exchange(&below, &one);
    assert_eq!(answer.waits_for, "the answer of partner, who was asked for input");
    assert_eq!((answer.side, answer.since), (Side::Peer(peer()), Some(at(7))));

    for (theirs, side, waits_for) in [
        (true, Side::Peer(peer()), "partner to go on: the case is on hold there"),
        (false, Side::Here, "a person here to go on: the case is on hold"),
    ] {
        let (one, both) = in_state(CaseState::OnHold, theirs);
        for known in both {
            let answer = of_exchange(&known, &one);
            assert_eq!((answer.waits_for.as_str(), &answer.side, answer.since), (waits_for, &side, Some(at(7))));
            assert_eq!(answer.remedy.is_some(), !theirs);
        }
    }
}

#[test]
fn what_is_switched_off_at_the_peers_is_told_of_the_peer() {
    let mut one = known(up(Upward::Open { transaction: transaction(), case: "CASE-7".parse().unwrap() }));
    let error = format!("The exchange of this case is switched off: \"{PAUSED}\"");
    one.record.due = Some(Due { at: at(8), attempts: 2, last_error: Some(error) });
    let answer = of_exchange(&one, &incident());
    assert_eq!(answer.waits_for, "a person at partner: the exchange is switched off there");
    assert_eq!((answer.side.clone(), answer.next_try), (Side::Peer(peer()), Some(at(8))));
    assert!(!answer.line(IncidentId(7)).contains("this site"), "{answer:?}");
}

#[test]
fn c_49_a_relay_is_told_that_the_site_above_gave_a_case_back() {
    let reference = Reference {
        peer: peer(),
        exchange: ExchangeId::from_bytes([2; 16]),
        towards: Towards::Upstream,
        peer_incident: None,
        transaction: None,
        applied: 0,
        holder: Holder::Peer,
        standing: Standing::Rejected,
    };
    let one = Incident { references: vec![reference], ..incident() };
    let case = "CASE-7".parse().unwrap();
    for step in [Downward::Deciding { incident: IncidentId(7) }, Downward::Open { incident: IncidentId(7), case }] {
        let waits_for = of_exchange(&known(Leg::Downward(step)), &one).waits_for;
        assert!(waits_for.ends_with("; partner gave it back, and `casebridge escalate 1` hands it over anew"));
    }
}
