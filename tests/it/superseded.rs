//! An incident that was submitted anew (C-18, C-50) has two exchanges with one partner: the later one is what the record is
//! about, and nothing that is said in the earlier one, or found out about it, touches it.

use serde_json::{Value, json};

use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::row::comments;
use crate::support::{Pair, Site, eventually};

fn by(operator: &str, more: Value) -> Value {
    let mut body = json!({ "operator": operator });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn reconciled(pair: &Pair) -> Value {
    for site in [&pair.end_user, &pair.partner] {
        eventually("an empty outbox", || async { (site.get("/v1/outbox").await.body["total"] == 0).then_some(()) })
            .await;
    }
    pair.end_user.act("/v1/reconcile", json!({"apply": true, "operator": "anna"})).await
}

async fn nobody_is_needed(site: &Site) {
    assert_eq!(site.get("/v1/parked").await.body["total"], 0, "{}", site.alias);
}

/// A case that was closed for good, and the one that was opened for the same incident when it failed again.
async fn opened_anew() -> Pair {
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.partner.edit_config("[case]\n", "[case]\nreopen_closed = false\n");
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "open").await;
    pair.partner.act("/v1/incidents/1/update", by("bert", json!({"comment": "Found the card"}))).await;
    pair.partner.act("/v1/incidents/1/close", by("bert", json!({"solution": "first"}))).await;
    pair.end_user.step(1, "partner", "closed").await;
    pair.end_user.act("/v1/incidents/1/reopen", by("anna", json!({"comment": "It fails again"}))).await;
    pair.end_user.when(1, "the new case", |shown| shown["case_id"] == "CASE-2").await;
    pair
}

async fn is_at_work(site: &Site, incident: i64) {
    let shown = site.get(&format!("/v1/incidents/{incident}")).await.body;
    let told = json!([shown["case_id"], shown["phase"], shown["solution"], shown["completion_code"]]);
    assert_eq!(told, json!(["CASE-2", "initial_support", null, null]), "{}", site.alias);
}

#[tokio::test(flavor = "multi_thread")]
async fn c_50_the_case_that_went_before_is_never_taken_up_compared_or_told_of_the_new_one() {
    let mut pair = opened_anew().await;
    let answer = reconciled(&pair).await;
    assert_eq!((&answer["differences"], &answer["compared"]), (&json!([]), &json!(1)), "{answer}");

    for site in ["north", "partner", "both"] {
        let lost = [(&mut pair.end_user, site != "partner"), (&mut pair.partner, site != "north")];
        for (site, _) in lost.into_iter().filter(|(_, loses)| *loses) {
            site.kill();
            site.lose_state();
            site.start().await;
        }
        pair.partner.act("/v1/incidents/2/update", by("bert", json!({"status": format!("after {site}")}))).await;
        let status = format!("after {site}");
        pair.end_user.when(1, "the status of the new case", |shown| shown["case_status"] == status.as_str()).await;
        is_at_work(&pair.end_user, 1).await;
        is_at_work(&pair.partner, 2).await;
    }

    // Late words about the old case arrive as words; what becomes of the old case is its own affair.
    pair.partner.execute("INSERT INTO comment (incident, author, text) VALUES (1, 'bert', 'late words')").await;
    let has_words = |shown: &Value| comments(shown).iter().any(|text| text.contains("late words"));
    pair.end_user.when(1, "late words", has_words).await;
    pair.partner.act("/v1/incidents/1/reopen", by("bert", json!({"comment": "Looked again"}))).await;
    let has_words = |shown: &Value| comments(shown).iter().any(|text| text.contains("Looked again"));
    pair.end_user.when(1, "more words", has_words).await;
    is_at_work(&pair.end_user, 1).await;
    let answer = reconciled(&pair).await;
    assert_eq!(answer["differences"], json!([]), "{answer}");
    is_at_work(&pair.end_user, 1).await;
    is_at_work(&pair.partner, 2).await;
    for site in [&pair.end_user, &pair.partner] {
        nobody_is_needed(site).await;
    }
    let old = comments(&pair.partner.get("/v1/incidents/1").await.body);
    assert!(!old.iter().any(|text| text.contains("It fails again")), "{old:?}");

    // And the new case goes its way.
    pair.partner.act("/v1/incidents/2/close", by("bert", json!({"solution": "second"}))).await;
    pair.end_user.when(1, "the end", |shown| shown["phase"] == "close" && shown["solution"] == "second").await;
    assert_eq!(reconciled(&pair).await["differences"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn c_50_a_site_that_opens_closed_cases_no_more_is_asked_again_when_it_refuses() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "open").await;
    pair.partner.act("/v1/incidents/1/close", by("bert", json!({"solution": "first"}))).await;
    pair.end_user.step(1, "partner", "closed").await;
    // Nothing tells the end user of the new settings.
    pair.partner.edit_config("[case]\n", "[case]\nreopen_closed = false\n");
    pair.partner.reload("reloaded").await;
    pair.end_user.act("/v1/incidents/1/reopen", by("anna", json!({"comment": "It fails again"}))).await;
    let ours = pair.end_user.when(1, "the new case", |shown| shown["case_id"] == "CASE-2").await;
    assert!(ours["history"].to_string().contains("case CASE-1 is closed and does not open again"), "{ours}");
    is_at_work(&pair.end_user, 1).await;
    is_at_work(&pair.partner, 2).await;
    let theirs = comments(&pair.partner.get("/v1/incidents/2").await.body);
    assert!(theirs.iter().any(|text| text.contains("It fails again")), "{theirs:?}");
    nobody_is_needed(&pair.end_user).await;
    assert_eq!(reconciled(&pair).await["differences"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn c_18_what_was_said_when_a_case_was_given_back_is_no_difference_when_it_is_submitted_anew() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: "" }).await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "awaiting_case").await;
    pair.partner.act("/v1/incidents/1/reject", by("bert", json!({"comment": "wrong queue"}))).await;
    pair.end_user.step(1, "partner", "rejected").await;
    pair.end_user.act("/v1/incidents/1/submit", json!({"operator": "anna", "form": {}})).await;
    eventually("the second case", || async {
        (pair.partner.count("SELECT count(*) FROM incident").await == 2).then_some(())
    })
    .await;
    pair.partner.act("/v1/incidents/2/accept", by("bert", json!({}))).await;
    pair.end_user.when(1, "the second case", |shown| shown["case_id"] == "CASE-2").await;
    let answer = reconciled(&pair).await;
    assert_eq!(answer["differences"], json!([]), "{answer}");
    let ours = comments(&pair.end_user.get("/v1/incidents/1").await.body);
    assert!(ours.iter().any(|text| text.contains("wrong queue")), "{ours:?}");
}
