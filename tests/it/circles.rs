//! A peer that says the same again and again is stopped in that one exchange, and says so once (design, invariant 9).

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::support::caller::{Caller, assert_refused, operation, update};
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL, partner_config};
use crate::support::relay::{Relayed, Said, Twist};
use crate::support::wire::free_port;
use crate::support::{Site, eventually};

const SHORT: &str = "[retry]\nrepeats = 5";

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_round_in_circles_is_refused_until_a_person_lets_it_go_on() {
    let port = free_port();
    let mut partner = Site::new("partner", &partner_config(port, ACCEPT_ALL));
    partner.edit_config("[retry]", SHORT);
    partner.start().await;
    let client = Caller::north(port);
    client.create(1).await;
    client.create(2).await;
    let word = |seq: u64| if seq.is_multiple_of(2) { "one" } else { "other" };
    // Two that are new, and five repetitions.
    for seq in 2..=8 {
        assert_eq!(client.operate(update(1, seq, word(seq))).await["outcome"], "applied", "{seq}");
    }
    for _ in 0..3 {
        assert_refused(&client.operate(update(1, 9, word(9))).await, 409, "no-progress", &["said nothing new"]);
    }
    assert_eq!(client.operate(update(1, 8, word(8))).await["outcome"], "applied", "what was taken is still told so");
    assert_eq!(client.operate(update(2, 2, "one")).await["outcome"], "applied", "the other exchange goes on");
    assert_eq!(partner.log().matches("exchange_stopped").count(), 1, "it is said once");
    let parked = partner.get("/v1/parked").await.body;
    assert_eq!(parked["total"], 1);
    assert!(parked["parked"][0]["reason"].as_str().unwrap().contains("no progress: 5 operations"), "{parked}");

    // It stays so across a restart, and our own changes wait.
    partner.kill();
    partner.start().await;
    eventually("the door", || async { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok() }).await;
    assert_refused(&client.operate(update(1, 9, word(9))).await, 409, "no-progress", &[]);
    let cursor = client.get("/v1/exchanges").await.body["cursor"].as_str().unwrap().to_owned();
    for incident in [1, 2] {
        let news = json!({"comment": format!("news of {incident}"), "operator": "bert"});
        partner.act(&format!("/v1/incidents/{incident}/update"), news).await;
    }
    let feed = client.get(&format!("/v1/updates?after={cursor}&wait=5")).await.body;
    assert_eq!(feed["operations"].as_array().unwrap().len(), 1, "{feed}");
    assert_eq!(feed["operations"][0]["transaction"], "2");
    let cursor = feed["cursor"].as_str().unwrap();

    partner.command(&["retry", "1"]).ok();
    let feed = client.get(&format!("/v1/updates?after={cursor}&wait=5")).await.body;
    assert_eq!(feed["operations"][0]["operation"]["content"]["comments"][0]["text"], "news of 1", "{feed}");
    assert_eq!(client.operate(update(1, 9, word(9))).await["outcome"], "applied");
    assert_eq!(partner.get("/v1/parked").await.body["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_move_a_case_to_and_fro_are_not_a_circle_and_an_echo_of_their_moves_is_one() {
    let port = free_port();
    let mut partner = Site::new("partner", &partner_config(port, ACCEPT_ALL));
    partner.edit_config("[retry]", SHORT);
    partner.start().await;
    let client = Caller::north(port);
    client.create(1).await;
    let moves = |seq: u64, n: u64| {
        let state = if n.is_multiple_of(2) { "on_hold" } else { "in_process" };
        let one = json!({"id": uuid::Uuid::from_u128(n.into()), "n": n, "at": jiff::Timestamp::now(),
            "fact": {"state": state}});
        operation(1, seq, "update", json!({"milestones": [one]}))
    };
    for seq in 2..=40 {
        assert_eq!(client.operate(moves(seq, seq)).await["outcome"], "applied", "{seq}");
    }
    for seq in 41..=44 {
        assert_eq!(client.operate(moves(seq, 39 + seq % 2)).await["outcome"], "applied", "{seq}");
    }
    assert_refused(&client.operate(moves(45, 40)).await, 409, "no-progress", &["said nothing new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_goes_round_in_circles_is_not_listened_to_until_a_person_says_so() {
    let mut pair = Relayed::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.edit_config("[retry]", SHORT);
    pair.run().await;
    pair.end_user.insert(0, 2).await;
    pair.open(2).await;
    eventually("the step", || async {
        let shown = pair.end_user.get("/v1/incidents/1").await.body;
        (shown["exchanges"][0]["step"] == "open").then_some(())
    })
    .await;
    let shown = pair.end_user.get("/v1/incidents/1").await.body;
    let (exchange, transaction) = (shown["exchanges"][0]["exchange"].clone(), shown["transaction"].clone());
    let case = |seq: u64| json!({"id": "CASE-1", "status": if seq.is_multiple_of(2) { "Open" } else { "In Progress" }});
    let next = AtomicU64::new(2);
    pair.relay.twist(move |call| {
        let seq = next.load(Ordering::SeqCst);
        if call.path != "/v1/updates" || seq > 40 {
            return Twist::Pass;
        }
        next.store(seq + 1, Ordering::SeqCst);
        let cursor = call.query.split('&').find_map(|part| part.strip_prefix("after=")).unwrap();
        let update = operation(1, seq, "update", json!({"case": case(seq)}));
        let one = json!({"exchange": exchange, "seq": seq, "transaction": transaction,
            "operation": update["operation"]});
        let answer = json!({"cursor": cursor, "operations": [one]});
        Twist::Say(Said::plain(200, &answer.to_string()).with("content-type", "application/json"))
    });
    let passed = eventually("all of it", || async {
        let shown = pair.end_user.get("/v1/incidents/1").await.body;
        (shown["exchanges"][0]["applied"] == 40).then_some(shown)
    })
    .await;
    assert_eq!(pair.end_user.log().matches("exchange_stopped").count(), 1, "it is said once");
    assert_eq!(pair.end_user.get("/v1/parked").await.body["total"], 1);
    let taken = passed["history"].as_array().unwrap().iter().filter(|line| line["action"] == "operation_applied");
    assert_eq!(taken.count(), 7, "two that were new, and five repetitions");

    pair.partner.act("/v1/incidents/1/update", json!({"status": "With the vendor", "operator": "bert"})).await;
    pair.end_user.command(&["retry", "1"]).ok();
    eventually("what the upstream really says", || async {
        let shown = pair.end_user.get("/v1/incidents/1").await.body;
        (shown["case_status"] == "With the vendor").then_some(())
    })
    .await;
    assert_eq!(pair.end_user.get("/v1/parked").await.body["total"], 0);
}
