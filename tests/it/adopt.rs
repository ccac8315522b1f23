//! sled can be lost (invariant 4): every exchange is taken up again from the store and the peer.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::{Fault, Pair, eventually};

const COUNT: usize = 300;

async fn in_the_middle(pair: &Pair) {
    pair.give(COUNT).await;
    eventually("some of them to be under way", || async {
        (pair.partner.count("SELECT count(*) FROM incident").await > 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_user_loses_its_state_in_the_middle() {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    in_the_middle(&pair).await;
    pair.end_user.kill();
    pair.end_user.lose_state();
    pair.end_user.start().await;
    pair.wait_all_open(COUNT as i64).await;
    pair.touch().await;
    pair.at_rest(COUNT as i64).await;
    pair.touched_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_partner_loses_its_state_in_the_middle() {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    in_the_middle(&pair).await;
    pair.partner.kill();
    pair.partner.lose_state();
    pair.partner.start().await;
    pair.wait_all_open(COUNT as i64).await;
    pair.touch().await;
    pair.at_rest(COUNT as i64).await;
    pair.touched_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_user_loses_its_state_after_the_partner_committed_and_before_any_answer() {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    eventually("the first contact", || async { pair.end_user.log().contains("exchanges_adopted").then_some(()) }).await;
    pair.wire.set(Fault::LoseAnswer);
    pair.give(COUNT).await;
    eventually("the partner to commit", || async {
        (pair.partner.count("SELECT count(*) FROM incident").await == COUNT as i64).then_some(())
    })
    .await;
    pair.end_user.kill();
    pair.end_user.lose_state();
    // Without the policy that submitted them, only the peer still knows of these exchanges.
    pair.end_user.edit_config(SUBMIT_ALL, "");
    pair.wire.set(Fault::None);
    pair.end_user.start().await;
    pair.at_rest(COUNT as i64).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_lose_their_state_and_news_from_before_is_not_lost() {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.give(COUNT).await;
    pair.at_rest(COUNT as i64).await;
    pair.wire.set(Fault::Down);
    pair.touch().await;
    // Both sites have what they would tell each other, and neither can.
    tokio::time::sleep(Duration::from_millis(200)).await;
    pair.end_user.kill();
    pair.partner.kill();
    pair.end_user.lose_state();
    pair.partner.lose_state();
    pair.wire.set(Fault::None);
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.at_rest(COUNT as i64).await;
    pair.touched_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reopening_that_was_not_sent_before_the_state_was_lost_is_sent_once() {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 2).await;
    pair.wait_all_open(2).await;
    let by = |who: &str, more: &str| json!({"operator": who, "comment": more});
    for (incident, end) in [(1, "resolve"), (2, "close")] {
        let solved = json!({"operator": "bert", "solution": "Reseated"});
        pair.partner.act(&format!("/v1/incidents/{incident}/{end}"), solved).await;
        pair.end_user.when(incident, end, |shown| shown["solution"] == "Reseated").await;
    }
    let phase = pair.end_user.get("/v1/incidents/2").await.body["phase"].clone();
    assert_eq!(phase, "close");

    pair.wire.set(Fault::Down);
    for incident in [1, 2] {
        pair.end_user.act(&format!("/v1/incidents/{incident}/reopen"), by("anna", "It fails again")).await;
    }
    pair.end_user.kill();
    pair.end_user.lose_state();
    pair.wire.set(Fault::None);
    pair.end_user.start().await;

    for incident in [1, 2] {
        for site in [&pair.partner, &pair.end_user] {
            let shown = site
                .when(incident, "the reopening", |shown| {
                    shown["phase"] == "initial_support" && shown["exchanges"][0]["step"] == "open"
                })
                .await;
            assert_eq!((&shown["solution"], &shown["completion_code"]), (&Value::Null, &Value::Null), "{shown}");
        }
    }
    pair.at_rest(2).await;
    let said = pair.partner.count("SELECT count(*) FROM comment WHERE text LIKE '%It fails again%'").await;
    assert_eq!(said, 2, "each once");

    // What the partner says after our last move is news all the same.
    pair.wire.set(Fault::Down);
    let said = json!({"operator": "bert", "solution": "Swap it"});
    pair.partner.act("/v1/incidents/1/update", said).await;
    pair.end_user.kill();
    pair.end_user.lose_state();
    pair.wire.set(Fault::None);
    pair.end_user.start().await;
    pair.end_user.when(1, "the solution", |shown| shown["solution"] == "Swap it").await;
    pair.at_rest(2).await;
    assert_eq!(pair.partner.get("/v1/incidents/1").await.body["solution"], "Swap it");
}
