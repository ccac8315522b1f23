//! What does it wait for (`casebridge why`), and the whole story of a case in `show`.

use serde_json::{Value, json};

use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::relay::{Relayed, Said, Twist, operates};
use crate::support::{Pair, Site, eventually};

async fn why(site: &Site, id: i64) -> Value {
    let answer = site.get(&format!("/v1/incidents/{id}/why")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// Waits for an answer whose line holds all of this.
async fn told(site: &Site, id: i64, parts: &[&str]) -> Value {
    let what = format!("{}: incident {id} waits for {parts:?}", site.alias);
    eventually(&what, || async {
        let answer = why(site, id).await;
        let line = answer["line"].as_str()?.to_owned();
        parts.iter().all(|part| line.contains(part)).then_some(answer)
    })
    .await
}

/// Another program writes a solution, whoever has the case in hand.
async fn solve(site: &Site) {
    let store = site.store().await;
    sqlx::query("UPDATE incident SET solution = 'Reseated' WHERE id = 1").execute(&store).await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wait_of_a_case_has_one_plain_answer() {
    let hold = "[[submit.policy]]\nname = \"night shift\"\naction = \"hold\"\n";
    let pair = Relayed::start(Plan { end_user: hold, ..Plan::default() }).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    north.insert(0, 1).await;
    let held = told(north, 1, &["a person here", "held by policy \"night shift\"", "casebridge submit 1"]).await;
    assert_eq!((&held["side"], held["since"].is_string()), (&json!("here"), true));

    north.act("/v1/incidents/1/submit", json!({"operator": "anna"})).await;
    let waits = told(north, 1, &["the case ID and link: a person at partner decides"]).await;
    assert_eq!(waits["side"], "partner");
    told(partner, 1, &["accept or reject it", "casebridge accept 1"]).await;
    assert_eq!(why(partner, 1).await["side"], "here");

    partner.act("/v1/incidents/1/accept", json!({"operator": "bert"})).await;
    told(north, 1, &["updates from partner"]).await;

    // A field that the peer does not take: the field is named, and what to do.
    let refused = Said::problem(422, "content", "at `operation.content.solution`: is too long");
    pair.relay.twist(move |call| if operates(call) { Twist::Say(refused.clone()) } else { Twist::Pass });
    solve(north).await;
    let parked = told(north, 1, &["update 2 is parked", "operation.content.solution", "casebridge retry 1"]).await;
    assert_eq!(parked["side"], "here");
    pair.relay.pass();
    north.act("/v1/retry", json!({"incident": 1, "operator": "anna"})).await;
    eventually("the solution at the partner", || async {
        (partner.get("/v1/incidents/1").await.body["solution"] == "Reseated").then_some(())
    })
    .await;
    told(north, 1, &["updates from partner"]).await;

    partner.act("/v1/incidents/1/close", json!({"operator": "bert"})).await;
    let closed = told(north, 1, &["nothing", "the case is closed"]).await;
    assert_eq!(closed["side"], "nobody");
    let line = north.command(&["why", "1"]).ok();
    assert_eq!(line.trim_end(), why(north, 1).await["line"]);
    north.command(&["why", "77"]).refused(6, &["there is no incident 77"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_away_is_named_with_the_reason_and_the_next_try() {
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, ..Plan::default() }).await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 1).await;
    let answer = told(&pair.end_user, 1, &["the transaction ID", "the peer does not answer", "test-peer"]).await;
    assert_eq!(answer["side"], "partner");
    assert!(answer["next_try"].is_string() && answer["cause"].is_string(), "{answer}");
    // A row that another program spoiled is answered as well, with the field.
    let store = pair.end_user.store().await;
    sqlx::query("UPDATE incident SET form = '{\"priority\": \"soon\"}' WHERE id = 1").execute(&store).await.unwrap();
    store.close().await;
    told(&pair.end_user, 1, &["its row breaks a rule", "form: ", "correct the row"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_settings_want_it_the_answer_stands_in_the_case_and_stays_here() {
    let mut pair = Relayed::new(Plan { end_user: SUBMIT_ALL, ..Plan::default() }).await;
    pair.end_user.edit_config("[site]", "[site]\nwhy_notes = true");
    pair.run().await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    north.insert(0, 1).await;
    told(north, 1, &["the case ID and link"]).await;
    let refused = Said::problem(422, "content", "at `operation.content.solution`: is too long");
    pair.relay.twist(move |call| if operates(call) { Twist::Say(refused.clone()) } else { Twist::Pass });
    solve(north).await;
    let note = eventually("the note", || async {
        let comments = north.get("/v1/incidents/1").await.body["comments"].clone();
        comments.as_array()?.iter().find(|one| one["author"] == "casebridge").cloned()
    })
    .await;
    let text = note["text"].as_str().unwrap();
    assert!(note["internal"] == true && text.contains("operation.content.solution"), "{note}");
    pair.relay.pass();
    north.act("/v1/retry", json!({"incident": 1, "operator": "anna"})).await;
    eventually("the solution at the partner", || async {
        (partner.get("/v1/incidents/1").await.body["solution"] == "Reseated").then_some(())
    })
    .await;
    assert_eq!(partner.count("SELECT count(*) FROM comment").await, 0, "a note stays at home");
}

#[tokio::test(flavor = "multi_thread")]
async fn m_02_a_case_that_waits_for_its_customer_is_on_hold_or_is_switched_off_says_whose_turn_it_is() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    north.insert(0, 1).await;
    told(north, 1, &["updates from partner"]).await;
    partner.command(&["case", "request-input", "1", "--comment", "which slot?"]).ok();
    let asked = told(north, 1, &["partner asked for input", "casebridge comment 1 TEXT"]).await;
    assert_eq!(asked["side"], "here");
    assert_eq!(told(partner, 1, &["the answer of north"]).await["side"], "north");
    north.command(&["comment", "1", "Slot 3"]).ok();
    told(partner, 1, &["the work on the case here"]).await;
    told(north, 1, &["updates from partner"]).await;

    partner.command(&["case", "hold", "1"]).ok();
    told(partner, 1, &["the case is on hold", "since", "casebridge case process 1"]).await;
    assert_eq!(told(north, 1, &["partner to go on: the case is on hold there"]).await["side"], "partner");
    partner.command(&["case", "process", "1"]).ok();
    told(north, 1, &["updates from partner"]).await;

    partner.command(&["pause", "1"]).ok();
    told(partner, 1, &["the exchange is switched off; since", "casebridge resume 1"]).await;
    north.command(&["comment", "1", "Are you there?"]).ok();
    let answer = told(north, 1, &["a person at partner: the exchange is switched off there"]).await;
    assert_eq!(answer["side"], "partner");
    assert!(!answer["line"].as_str().unwrap().contains("this site"), "{answer}");
}

/// The lines with a number: who did it, what, number, and what changed.
async fn story(site: &Site) -> Vec<(String, String, i64, String)> {
    let shown = site.get("/v1/incidents/1").await.body;
    let lines = shown["history"].as_array().unwrap().iter().filter(|line| line["seq"].is_i64());
    let text = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    lines
        .map(|line| (text(line, "who"), text(line, "action"), line["seq"].as_i64().unwrap(), text(line, "detail")))
        .collect()
}

fn is(line: &(String, String, i64, String), who: &str, action: &str, seq: i64, detail: &str) {
    assert_eq!((line.0.as_str(), line.1.as_str(), line.2), (who, action, seq), "{line:?}");
    assert!(line.3.contains(detail), "{detail} in {line:?}");
}

/// Waits until the story has so many lines.
async fn lines(site: &Site, count: usize) -> Vec<(String, String, i64, String)> {
    eventually(&format!("{count} lines at {}", site.alias), || async {
        let lines = story(site).await;
        (lines.len() >= count).then_some(lines)
    })
    .await
}

/// A case with operations in both directions. `crash_at` kills the end user while it hears that its update was taken.
async fn told_at_both_ends(crash_at: Option<&str>) {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, ..Plan::default() }).await;
    pair.end_user.insert(0, 1).await;
    told(&pair.end_user, 1, &["the case ID and link"]).await;
    pair.partner.act("/v1/incidents/1/accept", json!({"operator": "bert"})).await;
    told(&pair.end_user, 1, &["updates from partner"]).await;
    lines(&pair.partner, 2).await;
    if let Some(point) = crash_at {
        pair.end_user.stop().await;
        pair.end_user.crash_at(point);
        pair.end_user.start().await;
    }
    solve(&pair.end_user).await;
    if crash_at.is_some() {
        pair.end_user.exited().await;
        pair.end_user.start().await;
    }
    lines(&pair.end_user, 3).await;
    pair.partner.act("/v1/incidents/1/resolve", json!({"solution": "Replaced", "operator": "bert"})).await;

    let north = lines(&pair.end_user, 5).await;
    assert_eq!(north.len(), 5, "{north:?}");
    is(&north[0], "casebridge", "acknowledged", 1, "by partner, transaction 1");
    is(&north[1], "peer partner", "case_accepted", 1, "accept: case none -> \"CASE-1\"");
    is(&north[2], "casebridge", "operation_sent", 2, "taken by partner, update: solution none -> \"Reseated\"");
    is(&north[3], "peer partner", "operation_applied", 2, "update: solution \"Reseated\" -> \"Replaced\"");
    is(&north[4], "peer partner", "operation_applied", 3, "phase \"initial_support\" -> \"review\"");

    let partner = lines(&pair.partner, 5).await;
    assert_eq!(partner.len(), 5, "{partner:?}");
    is(&partner[0], "peer north", "incident_opened", 1, "transaction 1");
    is(&partner[1], "casebridge", "operation_sent", 1, "taken by north, accept: case none -> \"CASE-1\"");
    is(&partner[2], "peer north", "operation_applied", 2, "update: solution none -> \"Reseated\"");
    is(&partner[3], "casebridge", "operation_sent", 2, "taken by north, update: solution");
    is(&partner[4], "casebridge", "operation_sent", 3, "taken by north, resolve: status \"Open\" -> \"Resolved\"");
    let log = pair.end_user.log() + &pair.partner.log();
    assert!(!log.contains("Reseated") && !log.contains("Replaced"), "texts stay in the store");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_is_told_in_order_at_both_ends() {
    told_at_both_ends(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_dies_over_an_answer_tells_it_once() {
    told_at_both_ends(Some("TransactionWrittenBack")).await;
}
