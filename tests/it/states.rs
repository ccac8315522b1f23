//! The states of a case (M-02): an action at either site, and both are in the same state with the same clocks.

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
