//! The states of a case (M-02): an action at either site, and both are in the same state with the same clocks.

use casebridge::case::{CaseAction, CaseState};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::{Pair, Site, eventually};

async fn state(site: &Site, id: i64) -> String {
    let pool = site.store().await;
    sqlx::query_scalar("SELECT state FROM incident WHERE id = ?").bind(id).fetch_one(&pool).await.unwrap()
}

async fn both_in(pair: &Pair, expected: &str) {
    for site in [&pair.end_user, &pair.partner] {
        eventually(expected, || async { (state(site, 1).await == expected).then_some(()) }).await;
    }
}

/// The facts of a case as a site's store has them, in the order that both sites agree on.
async fn facts(site: &Site) -> Vec<(i64, Timestamp, String)> {
    let pool = site.store().await;
    let rows: Vec<(i64, String, String)> =
        sqlx::query_as("SELECT n, at, fact FROM milestone WHERE incident = 1 ORDER BY n, uid")
            .fetch_all(&pool)
            .await
            .unwrap();
    rows.into_iter().map(|(n, at, fact)| (n, at.parse().unwrap(), fact)).collect()
}

fn by(mut request: Value) -> Value {
    request["operator"] = "anna".into();
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn m_02_a_case_moves_at_either_site_and_both_are_in_the_same_state() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "open").await;
    pair.partner.execute("UPDATE incident SET state = 'in_process' WHERE id = 1").await;
    both_in(&pair, "in_process").await;
    pair.end_user.execute("UPDATE incident SET state = 'on_hold' WHERE id = 1").await;
    both_in(&pair, "on_hold").await;
    pair.partner.act("/v1/incidents/1/resolve", by(json!({"solution": "Reseated"}))).await;
    both_in(&pair, "resolved").await;
    pair.end_user.act("/v1/incidents/1/reopen", by(json!({}))).await;
    both_in(&pair, "reopened").await;
    pair.partner.act("/v1/incidents/1/close", by(json!({}))).await;
    both_in(&pair, "completed").await;
    let ours = facts(&pair.end_user).await;
    assert_eq!(ours, facts(&pair.partner).await, "the same facts, with the same instants");
    let states: Vec<_> = ours.iter().map(|(n, _, fact)| (*n, fact.as_str())).collect();
    assert_eq!(
        states,
        [
            (1, "{\"state\":\"in_process\"}"),
            (2, "{\"state\":\"on_hold\"}"),
            (3, "{\"state\":\"resolved\"}"),
            (4, "{\"state\":\"reopened\"}"),
            (5, "{\"state\":\"completed\"}")
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn m_02_a_case_that_another_program_enters_on_hold_or_resolved_stands_so_at_both_sites() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user
        .execute("INSERT INTO incident (host_event_id, synopsis, state) VALUES ('e-1', 'Fan', 'on_hold')")
        .await;
    pair.end_user.step(1, "partner", "open").await;
    both_in(&pair, "on_hold").await;
    let held = facts(&pair.end_user).await;
    assert_eq!(held.len(), 1, "{held:?}");
    eventually("the same fact", || async { (facts(&pair.partner).await == held).then_some(()) }).await;
    pair.end_user.execute("UPDATE incident SET state = 'in_process' WHERE id = 1").await;
    both_in(&pair, "in_process").await;
    assert_eq!(facts(&pair.end_user).await, facts(&pair.partner).await, "the clocks stood still as long at both");
}

/// At both sites, and in every state: what the table does not allow changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn m_02_no_illegal_move_changes_anything_at_either_site() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "open").await;
    let mut sent = 0;
    for (leads, state) in [
        (None, CaseState::Opened),
        (Some("process"), CaseState::InProcess),
        (Some("request-input"), CaseState::InputRequested),
        (Some("hold"), CaseState::OnHold),
        (Some("resolve"), CaseState::Resolved),
        (Some("complete"), CaseState::Completed),
        (Some("reopen"), CaseState::Reopened),
        (Some("cancel"), CaseState::Canceled),
    ] {
        if let Some(verb) = leads {
            pair.partner.act(&format!("/v1/cases/1/{verb}"), by(json!({}))).await;
        }
        both_in(&pair, state.as_str()).await;
        if state == CaseState::Canceled {
            pair.end_user.when(1, "its status", |shown| shown["case_status"] == "Canceled").await;
            assert_eq!(pair.partner.get("/v1/incidents/1").await.body["case_status"], "Canceled");
        }
        pair.at_rest(1).await;
        for site in [&pair.end_user, &pair.partner] {
            let look = async || (site.get("/v1/cases/1").await.body, facts(site).await, lines(site).await);
            let before = look().await;
            for action in CaseAction::ALL.into_iter().filter(|action| action.leads_to(state).is_err()) {
                let path = format!("/v1/cases/1/{}", action.as_str());
                let refused = site.post(&path, by(json!({"comment": "x"}))).await;
                assert_eq!(refused.status, 409, "{} from {state} at {}: {}", action.as_str(), site.alias, refused.body);
                assert_eq!(refused.body["type"], "urn:casebridge:problem:action", "{}", refused.body);
                assert_eq!(look().await, before, "{} from {state} at {}", action.as_str(), site.alias);
                sent += 1;
            }
        }
    }
    let illegal = CaseState::ALL.iter().flat_map(|from| CaseAction::ALL.map(|action| action.leads_to(*from)));
    assert_eq!(sent, 2 * illegal.filter(Result::is_err).count());
}

/// How much was ever said of the case, and noted of what a person did.
async fn lines(site: &Site) -> (i64, i64) {
    (
        site.count("SELECT count(*) FROM history WHERE who LIKE 'operator%'").await,
        site.count("SELECT count(*) FROM comment").await,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn r_04_an_answer_of_the_client_thaws_a_case_that_waits_for_it() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "open").await;
    pair.partner.execute("UPDATE incident SET state = 'input_requested' WHERE id = 1").await;
    both_in(&pair, "input_requested").await;
    pair.partner.execute("INSERT INTO comment (incident, author, text) VALUES (1, 'anna', 'Which slot?')").await;
    pair.end_user.when(1, "the question", |shown| shown["comments"][0]["text"] == "Which slot?").await;
    assert_eq!(state(&pair.partner, 1).await, "input_requested", "our own question is no answer");
    pair.end_user.execute("INSERT INTO comment (incident, author, text) VALUES (1, 'bob', 'Slot 2')").await;
    both_in(&pair, "in_process").await;
    assert_eq!(facts(&pair.end_user).await, facts(&pair.partner).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn m_02_two_people_who_act_at_both_sites_at_once_leave_one_state() {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "open").await;
    pair.end_user.stop().await;
    pair.end_user.execute("UPDATE incident SET state = 'on_hold' WHERE id = 1").await;
    pair.partner.execute("UPDATE incident SET state = 'in_process' WHERE id = 1").await;
    pair.end_user.start().await;
    let settled = eventually("both to have both facts", || async {
        let (ours, theirs) = (facts(&pair.end_user).await, facts(&pair.partner).await);
        (ours.len() == 2 && ours == theirs).then_some(ours)
    })
    .await;
    assert_eq!((settled[0].0, settled[1].0), (1, 1), "neither knew of the other");
    let one = state(&pair.end_user, 1).await;
    assert_eq!(one, state(&pair.partner, 1).await);
    assert!(settled[1].2.contains(&one), "{settled:?}");
}

/// What people do that ends a case, or opens it again.
const VERBS: [(&str, &str, &str); 4] = [
    ("resolve", "resolved", "phase = 'review', completion_code = 'fulfilled', solution = 'Solved at SITE'"),
    (
        "complete",
        "completed",
        "phase = 'close', completion_code = 'fulfilled', solution = coalesce(solution, 'Done at SITE')",
    ),
    ("cancel", "canceled", "phase = 'close', completion_code = 'withdrawn_by_user'"),
    ("reopen", "reopened", "phase = 'initial_support', completion_code = NULL, solution = NULL"),
];

/// Two who act on one case at once: its number, and their verbs at the end user and at the partner.
type Clash = (usize, usize, usize);

fn event(case: usize) -> String {
    format!("edge1-JN1-20261121-{case}")
}

async fn act(site: &Site, case: usize, verb: usize) {
    let set = VERBS[verb].2.replace("SITE", &site.alias);
    site.execute(&format!("UPDATE incident SET {set} WHERE host_event_id = '{}'", event(case))).await;
}

/// The state of a case, and all its facts in the order that both sites agree on.
async fn told(site: &Site, case: usize) -> (String, Vec<(i64, String, String)>) {
    let pool = site.store().await;
    let state = sqlx::query_scalar("SELECT state FROM incident WHERE host_event_id = ?")
        .bind(event(case))
        .fetch_one(&pool)
        .await
        .unwrap();
    let facts = sqlx::query_as(
        "SELECT m.n, m.uid, m.state FROM milestone m JOIN incident i ON i.id = m.incident \
         WHERE i.host_event_id = ? ORDER BY m.n, m.uid",
    )
    .bind(event(case))
    .fetch_all(&pool)
    .await
    .unwrap();
    pool.close().await;
    (state, facts)
}

#[tokio::test(flavor = "multi_thread")]
async fn m_02_two_who_end_or_reopen_a_case_at_once_leave_a_state_that_one_of_them_chose_and_the_same_milestones() {
    let (open, resolved) = ([0, 1, 2], [1, 2, 3]);
    let mut clashes: Vec<Clash> = Vec::new();
    for verbs in [open, resolved, open, resolved] {
        for (ours, theirs) in verbs.iter().flat_map(|ours| verbs.map(|theirs| (*ours, theirs))) {
            clashes.push((clashes.len(), ours, theirs));
        }
    }
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, clashes.len()).await;
    pair.wait_all_open(clashes.len() as i64).await;
    let begin_resolved = || clashes.iter().map(|(case, ..)| *case).filter(|case| case / 9 % 2 == 1);
    for case in begin_resolved() {
        act(&pair.partner, case, 0).await;
    }
    for case in begin_resolved() {
        eventually("a resolved case", || async { (told(&pair.end_user, case).await.0 == "resolved").then_some(()) })
            .await;
    }
    // What the partner did waits for the end user, which then finds its own change beside it; and the other way round.
    let (one, other) = clashes.split_at(18);
    pair.end_user.stop().await;
    for (case, ours, theirs) in one {
        act(&pair.end_user, *case, *ours).await;
        act(&pair.partner, *case, *theirs).await;
    }
    pair.end_user.start().await;
    pair.at_rest(clashes.len() as i64).await;
    pair.partner.stop().await;
    for (case, ours, theirs) in other {
        act(&pair.end_user, *case, *ours).await;
        act(&pair.partner, *case, *theirs).await;
    }
    pair.partner.start().await;
    pair.at_rest(clashes.len() as i64).await;
    for (case, ours, theirs) in &clashes {
        let (ours, theirs) = (VERBS[*ours], VERBS[*theirs]);
        let both = format!("{} at the end user and {} at the partner at once (case {case})", ours.0, theirs.0);
        let (state, facts) = eventually(&format!("the same at both sites after {both}"), || async {
            let (mut one, mut other) = (told(&pair.end_user, *case).await, told(&pair.partner, *case).await);
            // After a Cancel nothing is told, also not what was done before it was heard of (C-13).
            if one.0 == "canceled" {
                one.1.retain(|fact| other.1.contains(fact));
                other.1.retain(|fact| one.1.contains(fact));
            }
            (one == other).then_some(one)
        })
        .await;
        assert!([ours.1, theirs.1].contains(&state.as_str()), "{both}: nobody chose {state}; {facts:?}");
        assert_eq!(facts.last().map(|(.., last)| last), Some(&state), "{both}: {facts:?}");
    }
}
