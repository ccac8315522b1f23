//! Messages that are lost, and a peer that is away.

use std::time::Duration;

use serde_json::json;

use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::{Fault, Pair, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_after_the_partner_committed_opens_no_second_case() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, ..Plan::default() }).await;
    eventually("the first contact", || async { pair.end_user.log().contains("exchanges_adopted").then_some(()) }).await;
    pair.wire.set(Fault::LoseAnswer);
    pair.give(10).await;
    eventually("the partner to commit", || async {
        (pair.partner.count("SELECT count(*) FROM incident").await == 10).then_some(())
    })
    .await;
    eventually("a failed try", || async { pair.end_user.log().contains("peer_down").then_some(()) }).await;
    assert_eq!(pair.end_user.count("SELECT count(*) FROM reference").await, 0, "no answer came");
    pair.wire.set(Fault::None);
    eventually("every transaction ID", || async {
        let acknowledged = "SELECT count(DISTINCT transaction_id) FROM reference WHERE standing = 'acknowledged'";
        (pair.end_user.count(acknowledged).await == 10).then_some(())
    })
    .await;
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident").await, 10, "no second one was opened");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_lost_is_sent_again_after_the_back_off() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    eventually("the first contact", || async { pair.end_user.log().contains("exchanges_adopted").then_some(()) }).await;
    pair.wire.set(Fault::LoseRequest);
    pair.give(10).await;
    eventually("a failed try", || async { pair.end_user.log().contains("peer_down").then_some(()) }).await;
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident").await, 0, "nothing arrived");
    pair.wire.set(Fault::None);
    pair.at_rest(10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_away_costs_one_probe_for_each_step_and_gets_everything_when_it_returns() {
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.partner.start().await;
    pair.wire.set(Fault::Down);
    pair.end_user.start().await;
    pair.give(500).await;
    eventually("the submissions", || async {
        (pair.end_user.get("/v1/outbox").await.body["total"] == 500).then_some(())
    })
    .await;
    let attempts = || async { pair.end_user.get("/v1/status").await.body["peers"][0]["attempts"].as_u64().unwrap() };
    let (tried, steps) = (pair.wire.tried(), attempts().await);
    let later = eventually("five more steps", || async {
        let now = attempts().await;
        (now >= steps + 5).then_some(now)
    })
    .await;
    let probes = pair.wire.tried() - tried;
    // A step under way at either end of the count may be one more.
    assert!(probes <= later - steps + 2, "{probes} connections in {} steps, for 500 incidents", later - steps);
    assert_eq!(pair.end_user.get("/v1/parked").await.body["total"], 0, "nothing is parked for mere unreachability");
    let shown = pair.end_user.get("/v1/incidents/1").await.body;
    assert!(shown["exchanges"][0]["waits_for"].as_str().unwrap().contains("does not answer"), "{shown}");
    pair.wire.set(Fault::None);
    pair.at_rest(500).await;
    let positions = pair.partner.count(
        "SELECT count(*) FROM incident a JOIN incident b ON b.id = a.id + 1 \
         WHERE a.host_event_id LIKE 'edge1-JN1-%' AND b.host_event_id LIKE 'edge1-JN1-%' \
         AND CAST(substr(a.host_event_id, 20) AS INTEGER) > CAST(substr(b.host_event_id, 20) AS INTEGER)",
    );
    assert_eq!(positions.await, 0, "they came in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_longer_than_the_span_is_parked_with_one_alert_and_can_be_retried() {
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.edit_config("[retry]", "[retry]\ngive_up_after = \"1s\"");
    pair.partner.start().await;
    pair.wire.set(Fault::Down);
    pair.end_user.start().await;
    pair.give(30).await;
    eventually("everything to be parked", || async {
        (pair.end_user.get("/v1/parked").await.body["total"] == 30).then_some(())
    })
    .await;
    assert_eq!(pair.end_user.log().matches("peer_given_up").count(), 1, "one alert for the peer");
    let parked = pair.end_user.get("/v1/parked").await.body;
    assert!(parked["parked"][0]["reason"].as_str().unwrap().contains("could not be reached since"), "{parked}");
    pair.wire.set(Fault::None);
    eventually("the peer", || async { pair.end_user.log().contains("peer_up").then_some(()) }).await;
    let answer = pair.end_user.act("/v1/retry", json!({"operator": "anna"})).await;
    assert_eq!(answer["rearmed"], 30);
    pair.at_rest(30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn back_off_survives_a_restart() {
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.edit_config("first = \"50ms\"\nmax = \"400ms\"", "first = \"30s\"\nmax = \"60s\"");
    pair.wire.set(Fault::Down);
    pair.end_user.start().await;
    eventually("the first failure", || async { pair.end_user.log().contains("peer_down").then_some(()) }).await;
    let tried = pair.wire.tried();
    pair.end_user.kill();
    pair.end_user.start().await;
    // Whatever would hammer would do so at once.
    pair.end_user.get("/v1/status").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(pair.wire.tried(), tried, "the next try is remembered");
}
