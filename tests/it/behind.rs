//! A kill between store and state, and lost state: neither leaves a word behind, takes one back, or says one again.

use serde_json::{Value, json};

use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::{Fault, Pair, eventually};

fn by(mut request: Value) -> Value {
    request["operator"] = "bert".into();
    request
}

async fn shared() -> Pair {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "open").await;
    pair
}

async fn at_rest(pair: &Pair) {
    for site in [&pair.end_user, &pair.partner] {
        eventually("an empty outbox", || async { (site.get("/v1/outbox").await.body["total"] == 0).then_some(()) })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_case_in_hand_is_known_again_after_a_kill_behind_the_decision() {
    let mut pair = shared().await;
    at_rest(&pair).await;
    pair.partner.stop().await;
    pair.partner
        .execute("UPDATE incident SET assignment = 'north', case_status = 'Pending Customer' WHERE id = 1")
        .await;
    pair.partner.crash_at("DetectCommitted");
    pair.partner.spawn();
    pair.partner.exited().await;
    let ours = "SELECT count(*) FROM reference WHERE holder = 'us'";
    assert_eq!(pair.partner.count(ours).await, 1, "it died before it could say so");
    pair.partner.start().await;
    assert_eq!(pair.partner.count(ours).await, 0);
    pair.end_user.when(1, "the question", |shown| shown["case_status"] == "Pending Customer").await;
    let refused = pair.partner.post("/v1/incidents/1/update", by(json!({"solution": "x"}))).await;
    assert_eq!(refused.body["type"], "urn:casebridge:problem:not-owner", "{}", refused.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_peer_changed_just_before_a_kill_does_not_look_like_our_own_change() {
    let mut pair = shared().await;
    at_rest(&pair).await;
    pair.end_user.stop().await;
    pair.partner.act("/v1/incidents/1/resolve", by(json!({"solution": "Reseated"}))).await;
    // An Update comes before the Resolve.
    pair.end_user.crash_at("FeedWrittenBack:2");
    pair.end_user.spawn();
    pair.end_user.exited().await;
    assert_eq!(pair.end_user.count("SELECT count(*) FROM incident WHERE phase = 'review'").await, 1);
    // Somebody changes the record before the daemon is back, and the detector looks before the partner can be asked.
    pair.end_user.execute("INSERT INTO comment (incident, author, text) VALUES (1, 'anna', 'meanwhile')").await;
    pair.end_user.insert(1, 1).await;
    pair.wire.set(Fault::Down);
    pair.end_user.start().await;
    let waiting = eventually("the detector", || async {
        let waiting = pair.end_user.get("/v1/outbox").await.body;
        waiting.to_string().contains("create").then_some(waiting)
    })
    .await;
    assert_eq!(waiting["total"], 1, "nothing of the first incident: {waiting}");
    pair.wire.set(Fault::None);
    pair.partner.when(1, "what was said", |shown| shown["comments"][0]["text"] == "meanwhile").await;
    at_rest(&pair).await;
    let echoes = "SELECT count(*) FROM history WHERE who = 'peer north' AND (detail LIKE '%Reseated%' OR seq > 2)";
    assert_eq!(pair.partner.count(echoes).await, 0, "one operation, with the comment alone");
    assert_eq!(pair.end_user.get("/v1/incidents/1").await.body["solution"], "Reseated");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_partner_took_back_is_gone_after_lost_state_too() {
    for end in ["resolve", "close"] {
        let mut pair = shared().await;
        let told = pair.partner.act("/v1/incidents/1/comments", by(json!({"text": "try slot 2"}))).await;
        let uid = told["message"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned();
        let work = json!({"solution": "Reseated", "expected_resolution": "2026-12-01T12:00:00Z"});
        pair.partner.act("/v1/incidents/1/update", by(work)).await;
        pair.end_user.when(1, "the expectation", |shown| shown["expected_resolution"].is_string()).await;
        pair.partner.act(&format!("/v1/incidents/1/{end}"), by(json!({}))).await;
        pair.end_user.when(1, end, |shown| shown["phase"] != "initial_support").await;
        at_rest(&pair).await;

        pair.end_user.kill();
        pair.end_user.lose_state();
        pair.partner.act("/v1/incidents/1/reopen", by(json!({}))).await;
        pair.partner.act(&format!("/v1/incidents/1/comments/{uid}"), by(json!({"text": "try slot 3"}))).await;
        pair.partner.execute("UPDATE incident SET expected_resolution = NULL WHERE id = 1").await;
        pair.partner.when(1, "the reopening", |shown| shown["exchanges"][0]["step"] == "open").await;
        pair.end_user.start().await;
        let shown = pair.end_user.when(1, "the reopening", |shown| shown["phase"] == "initial_support").await;
        assert_eq!((&shown["solution"], &shown["completion_code"]), (&Value::Null, &Value::Null), "{end}: {shown}");
        pair.end_user.when(1, "no expectation", |shown| shown["expected_resolution"].is_null()).await;
        pair.end_user.when(1, "the edit", |shown| shown["comments"].to_string().contains("try slot 3")).await;
        at_rest(&pair).await;
        let theirs = pair.partner.get("/v1/incidents/1").await.body;
        assert_eq!((&theirs["phase"], &theirs["solution"]), (&json!("initial_support"), &Value::Null), "{end}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_canceled_is_not_canceled_back_when_it_is_told_everything_again() {
    let pair = shared().await;
    pair.end_user.act("/v1/incidents/1/cancel", by(json!({"comment": "Not needed"}))).await;
    pair.partner.when(1, "the end", |shown| shown["completion_code"] == "abandoned_by_user").await;
    at_rest(&pair).await;
    // There may be something to tell, and there may be nothing.
    pair.partner.post("/v1/incidents/1/resync", by(json!({}))).await;
    at_rest(&pair).await;
    let shown = pair.end_user.get("/v1/incidents/1").await.body;
    assert_eq!(shown["completion_code"], "withdrawn_by_user", "{shown}");
    let canceled = "SELECT count(*) FROM history WHERE who = 'peer partner' AND detail LIKE 'cancel%'";
    assert_eq!(pair.end_user.count(canceled).await, 0);
}
