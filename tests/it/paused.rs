//! A case whose exchange is switched off, and what comes first when it goes on (C-59).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use casebridge::case::ContentDigest;
use serde_json::{Value, json};

use crate::support::attachment::noise;
use crate::support::caller::{Caller, assert_is_problem, assert_problem, exchange, hear, operation, update};
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL, partner_config};
use crate::support::relay::{Call, Relayed, Said, Twist};
use crate::support::wire::free_port;
use crate::support::{Pair, Site, eventually};

fn by(mut request: Value) -> Value {
    request["operator"] = "anna".into();
    request
}

/// The place of the first line of this kind in the history.
fn place(shown: &Value, action: &str, seq: i64) -> Option<usize> {
    let mut lines = shown["history"].as_array()?.iter();
    lines.position(|line| line["action"] == action && line["seq"] == seq)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_held_comes_before_our_own_changes_whoever_switches_the_exchange_on() {
    for by_command in [true, false] {
        let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
        pair.end_user.insert(0, 1).await;
        pair.end_user.step(1, "partner", "open").await;
        switch_off(&pair.end_user).await;
        pair.partner.act("/v1/incidents/1/update", by(json!({"solution": "theirs"}))).await;
        eventually("the update to be held", || async {
            (pair.end_user.get("/v1/parked").await.body["total"] == 1).then_some(())
        })
        .await;
        let why = pair.end_user.get("/v1/incidents/1/why").await.body["line"].as_str().unwrap().to_owned();
        for part in ["the exchange is switched off", "since operation 2", "casebridge resume 1"] {
            assert!(why.contains(part), "{why}");
        }
        pair.end_user.execute("INSERT INTO comment (incident, author, text) VALUES (1, 'anna', 'ours')").await;
        match by_command {
            true => _ = pair.end_user.act("/v1/incidents/1/active", by(json!({"active": true}))).await,
            false => pair.end_user.execute("UPDATE incident SET active = 1 WHERE id = 1").await,
        }
        let shown = pair.end_user.when(1, "both", |shown| {
            let (taken, sent) = (place(shown, "operation_applied", 2), place(shown, "operation_sent", 2));
            taken.is_some() && sent.is_some()
        });
        let shown = shown.await;
        assert!(place(&shown, "operation_applied", 2) < place(&shown, "operation_sent", 2), "{shown}");
        assert_eq!(shown["solution"], "theirs");
        pair.partner.when(1, "what waited", |shown| shown["comments"][0]["text"] == "ours").await;
        eventually("nothing to be held", || async {
            (pair.end_user.get("/v1/parked").await.body["total"] == 0).then_some(())
        })
        .await;
    }
}

/// Until the detector has seen it, operations pass.
async fn switch_off(site: &Site) {
    site.act("/v1/incidents/1/active", by(json!({"active": false}))).await;
    eventually("the exchange to be off", || async {
        let why = site.get("/v1/incidents/1/why").await.body;
        why["line"].as_str().unwrap().contains("switched off").then_some(())
    })
    .await;
}

async fn held(site: &Site) -> u64 {
    site.get("/v1/parked").await.body["total"].as_u64().unwrap()
}

/// It dies at one step after the other of letting in two operations, and takes up the rest at its next start.
#[tokio::test(flavor = "multi_thread")]
async fn who_dies_while_letting_in_what_was_held_goes_on_at_the_next_start() {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "open").await;
    for count in 1..=8 {
        switch_off(&pair.end_user).await;
        let behind = |site: &Site| site.log().matches("it waits behind operation").count();
        let before = behind(&pair.end_user);
        let (first, last) = (format!("first of round {count}"), format!("last of round {count}"));
        pair.partner.act("/v1/incidents/1/update", by(json!({"solution": first}))).await;
        eventually("an update to be held", || async { (held(&pair.end_user).await == 1).then_some(()) }).await;
        pair.partner.act("/v1/incidents/1/update", by(json!({"solution": last}))).await;
        eventually("the one behind it", || async { (behind(&pair.end_user) > before).then_some(()) }).await;
        pair.end_user.kill();
        pair.end_user.execute("UPDATE incident SET active = 1 WHERE id = 1").await;
        pair.end_user.crash_at(&format!("StateFlushed:{count}"));
        pair.end_user.spawn();
        for _ in 0..50 {
            if !pair.end_user.is_running() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        pair.end_user.kill();
        pair.end_user.start().await;
        pair.end_user.when(1, "the last update", |shown| shown["solution"] == last.as_str()).await;
        eventually("nothing to be held", || async { (held(&pair.end_user).await == 0).then_some(()) }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_case_is_switched_off_is_told_to_come_later() {
    let port = free_port();
    let mut partner = Site::new("partner", &partner_config(port, ACCEPT_ALL));
    partner.start().await;
    let caller = Caller::north(port);
    caller.create(1).await;
    caller.create(2).await;
    partner.act("/v1/incidents/1/active", by(json!({"active": false}))).await;
    // Until the detector has seen it, they are taken.
    let next = AtomicU64::new(2);
    let told = eventually("the exchange to be off", || async {
        let told = caller.operate(update(1, next.load(Ordering::SeqCst), "Reseated")).await;
        let later = told["outcome"] == "later";
        next.fetch_add(u64::from(!later), Ordering::SeqCst);
        later.then_some(told)
    })
    .await;
    assert_is_problem(&told["problem"], 409, "inactive", &["switched off"]);
    assert_eq!(caller.operate(update(2, 2, "Reseated")).await["outcome"], "applied", "another case does not notice");
    partner.act("/v1/incidents/1/active", by(json!({"active": true}))).await;
    assert_eq!(caller.operate(update(1, next.into_inner(), "Reseated")).await["outcome"], "applied");
}

/// A pair between which every request is written down; what fails is given up soon.
async fn impatient() -> Relayed {
    let mut pair = Relayed::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.edit_config("[retry]", "[retry]\ngive_up_after = \"1s\"");
    pair.run().await;
    pair.end_user.insert(0, 2).await;
    pair.open(2).await;
    pair
}

fn place_of(content: &[u8]) -> String {
    format!("/v1/attachments/{}", ContentDigest::of(content))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_attached_during_a_pause_waits_for_its_end_at_whichever_site_it_is() {
    let pair = impatient().await;
    let (ours, other, theirs, late) = (noise(1, 3000), noise(2, 3000), noise(3, 3000), noise(5, 3000));
    switch_off(&pair.end_user).await;
    pair.end_user.attach(1, "ours", &ours).await;
    pair.end_user.transfer(1, "ours to ready").await;
    pair.end_user.attach(2, "other", &other).await;
    pair.partner.has_file(2, "other", &other).await;
    assert_eq!(pair.relay.count(&place_of(&ours)), 0, "nobody is asked for it");
    pair.end_user.act("/v1/incidents/1/active", by(json!({"active": true}))).await;
    pair.partner.has_file(1, "ours", &ours).await;

    // The partner's pause begins when it was told of a file: its refusals last longer than anything else is tried.
    let place = place_of(&theirs);
    let held = place.clone();
    pair.relay.twist(move |call| match call.path == held {
        true => Twist::Say(Said::problem(409, "inactive", "switched off")),
        false => Twist::Pass,
    });
    pair.end_user.attach(1, "theirs", &theirs).await;
    pair.partner.transfer(1, "theirs from awaited").await;
    switch_off(&pair.partner).await;
    pair.relay.pass();
    pair.end_user.attach(1, "late", &late).await;
    // Another one's acknowledgement lets the others be looked at.
    pair.end_user.attach(2, "theirs", &noise(4, 3000)).await;
    pair.partner.has_file(2, "theirs", &noise(4, 3000)).await;
    let before = pair.relay.count(&place);
    eventually("many tries", || async { (pair.relay.count(&place) >= before + 5).then_some(()) }).await;
    assert!(pair.end_user.transfers(1).await.contains(&"theirs to ready".to_owned()), "it is not given up");
    assert_eq!(pair.relay.count(&place_of(&late)), 0, "nobody was told of it");
    pair.partner.act("/v1/incidents/1/active", by(json!({"active": true}))).await;
    // Its announcement may be: a person has it tried again.
    pair.end_user.post("/v1/retry", by(json!({"incident": 1}))).await;
    pair.partner.has_file(1, "theirs", &theirs).await;
    pair.partner.has_file(1, "late", &late).await;
    assert_eq!(pair.end_user.told(1, "attachment_failed").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_content_moves_while_an_exchange_is_switched_off() {
    let port = free_port();
    let mut partner = Site::new("partner", &partner_config(port, ACCEPT_ALL));
    partner.start().await;
    let caller = Caller::north(port);
    caller.create(1).await;
    let (up, down) = (noise(1, 1000), noise(2, 1000));
    let note = json!({"name": "up", "bytes": up.len(), "sha256": ContentDigest::of(&up)});
    let announced = caller.operate(operation(1, 2, "update", json!({"attachments": [note]}))).await;
    assert_eq!(announced["outcome"], "applied", "{announced}");
    partner.attach(1, "down", &down).await;
    partner.transfer(1, "down to ready").await;
    let ask = async |method: &str, content: &[u8]| {
        let path = format!("{}?exchange={}", place_of(content), exchange(1));
        let request = caller.request(method, &path).header("content-range", "bytes 0-999/1000").body(content.to_vec());
        hear(request).await
    };
    partner.act("/v1/incidents/1/active", by(json!({"active": false}))).await;
    assert_problem(&ask("PUT", &up).await, 409, "inactive", &["switched off"]);
    assert_problem(&ask("GET", &down).await, 409, "inactive", &["switched off"]);
    assert_eq!(ask("HEAD", &up).await.status, 409);
    assert_eq!(partner.transfers(1).await, ["down to ready", "up from awaited"]);
    partner.act("/v1/incidents/1/active", by(json!({"active": true}))).await;
    assert_eq!(ask("PUT", &up).await.status, 200);
    assert_eq!(ask("GET", &down).await.status, 206);
    assert_eq!(partner.transfers(1).await, ["down to sent", "up from arrived"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partners_pause_does_not_make_the_end_user_give_a_file_up() {
    let pair = impatient().await;
    let fix = noise(1, 3000);
    let place = place_of(&fix);
    let held = place.clone();
    // Announced, and not yet fetched.
    pair.relay.twist(move |call: &Call| match call.path == held {
        true => Twist::Say(Said::problem(503, "busy", "not now")),
        false => Twist::Pass,
    });
    pair.partner.attach(1, "fix", &fix).await;
    eventually("a try", || async { (pair.relay.count(&place) > 0).then_some(()) }).await;
    pair.partner.act("/v1/incidents/1/active", by(json!({"active": false}))).await;
    pair.relay.pass();
    let before = pair.relay.count(&place);
    eventually("many more", || async { (pair.relay.count(&place) >= before + 10).then_some(()) }).await;
    assert!(pair.end_user.transfers(1).await.contains(&"fix from awaited".to_owned()));
    pair.partner.act("/v1/incidents/1/active", by(json!({"active": true}))).await;
    pair.end_user.has_file(1, "fix", &fix).await;
}
