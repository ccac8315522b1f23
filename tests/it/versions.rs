//! What a site sends is held to the version that it says it speaks (C-22): unknown keys, and what it has seen.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::caller::{Caller, assert_problem, assert_refused, create, operation, update};
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL, partner_config};
use crate::support::relay::{Relayed, Twist};
use crate::support::wire::free_port;
use crate::support::{Site, eventually};

/// A site that says this version; what became of each of its operations.
async fn speaks(client: &Caller, version: Value, operations: Value) -> Vec<Value> {
    let reply = client.post_text(json!({"protocol": version, "operations": operations}).to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.body["results"].as_array().unwrap().clone()
}

async fn partner() -> (Site, Caller) {
    let port = free_port();
    let mut partner = Site::new("partner", &partner_config(port, ACCEPT_ALL));
    partner.start().await;
    let client = Caller::north(port);
    client.create(1).await;
    (partner, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn c_22_each_operation_with_a_key_that_nobody_knows_is_refused_by_its_place_and_a_newer_site_s_is_left_aside() {
    let (partner, client) = partner().await;
    let changes = ["assign", "accept", "update", "resolve", "close", "reject", "cancel", "reopen"];
    let mut all: Vec<(Value, String)> = Vec::new();
    for kind in changes {
        all.push((operation(1, 2, kind, json!({"colour": "red"})), "`operation.content.colour`".into()));
    }
    let comment = json!({"id": "0198c0de-0000-7000-8000-000000000001", "author": "anna", "text": "x",
        "written_at": "2026-11-21T10:00:00Z", "colour": "red"});
    let note = json!({"name": "core", "sha256": "0".repeat(64), "bytes": 1, "colour": 1});
    let happened = json!({"id": "0198c0de-0000-7000-8000-000000000002", "n": 1, "at": "2026-11-21T10:00:00Z",
        "fact": {"state": "in_process"}, "colour": 1});
    for (field, one) in [("comments", &comment), ("attachments", &note), ("milestones", &happened)] {
        let one = operation(1, 2, "update", json!({ (field): [one] }));
        all.push((one, format!("`operation.content.{field}[0].colour`")));
    }
    for (pointer, place) in [("", ""), ("/event", "event."), ("/form", "form.")] {
        let mut one = create(2);
        one["operation"]["content"].pointer_mut(pointer).unwrap()["colour"] = json!({"of": "it"});
        all.push((one, format!("`operation.content.{place}colour`")));
    }
    let mut beside = update(1, 2, "x");
    beside["operation"]["colour"] = json!(1);
    all.push((beside, "`operation.colour`".into()));
    let mut beside = update(1, 2, "x");
    beside["hint"] = json!(1);
    all.push((beside, "`hint`".into()));

    let before = partner.get("/v1/incidents/1").await.body;
    for (one, place) in &all {
        let mut one = one.clone();
        one["seen"] = json!(0);
        for version in [Value::Null, json!("1.0"), json!("1.2")] {
            let results = speaks(&client, version, json!([one, create(90)])).await;
            assert_refused(&results[0], 422, "content", &[place, "no such key", "1.2"]);
            assert_eq!(results[1]["outcome"], "applied", "the others do not notice");
        }
    }
    assert_eq!(partner.get("/v1/incidents/1").await.body, before, "and nothing has changed");
    // Of a newer site each of them is taken, as far as it is known here.
    let mut seq = 1;
    for (one, place) in all.into_iter().filter(|(one, _)| one["operation"]["kind"] == "update") {
        seq += 1;
        let (mut one, milestones) = (one, place.contains("milestones"));
        (one["seq"], one["seen"]) = (json!(seq), json!(0));
        if milestones {
            one["operation"]["content"]["milestones"][0]["n"] = json!(90);
        }
        let results = speaks(&client, json!("1.99"), json!([one])).await;
        assert_eq!(results[0]["outcome"], "applied", "{place}: {results:?}");
    }
    let mut newer = create(11);
    newer["hint"] = json!(1);
    newer["operation"]["content"]["event"]["colour"] = json!("red");
    newer["operation"]["content"]["form"]["colour"] = json!("red");
    assert_eq!(speaks(&client, json!("1.3"), json!([newer])).await[0]["outcome"], "applied");
    // A key beside the operations spoils the whole batch, since nobody knows what it would have meant for them.
    let beside = |version: Value, number: u64| {
        json!({"protocol": version, "dry_run": true, "operations": [create(number)]}).to_string()
    };
    for version in [Value::Null, json!("1.2")] {
        let answer = client.post_text(beside(version, 12)).await;
        assert_problem(&answer, 422, "content", &["`dry_run`", "no such key", "1.2"]);
    }
    assert_eq!(client.post_text(beside(json!("1.3"), 13)).await.status, 200);
    // A version that is none, and one that nobody here understands.
    let batch = |version: &str| json!({"protocol": version, "operations": [create(12)]}).to_string();
    assert_problem(&client.post_text(batch("1.x")).await, 400, "bad-request", &["`protocol`", "major.minor"]);
    assert_problem(&client.post_text(batch("2.0")).await, 404, "unknown-version", &["2.0 was asked for", "1.2"]);
    assert_eq!(partner.count("SELECT count(*) FROM incident WHERE host_event_id = 'edge1-12'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn c_20_a_site_of_this_version_says_what_it_has_seen_and_an_older_one_need_not() {
    let (_partner, client) = partner().await;
    let one = |seq: u64| update(1, seq, &format!("solution {seq}"));
    let silent = speaks(&client, json!("1.2"), json!([one(2)])).await;
    assert_refused(&silent[0], 422, "content", &["`seen` is missing", "1.2"]);
    let mut told = one(2);
    told["seen"] = json!(1);
    assert_eq!(speaks(&client, json!("1.2"), json!([told])).await[0]["outcome"], "applied");
    // Nothing comes before a Create, and an older site has no such key.
    assert_eq!(speaks(&client, json!("1.2"), json!([create(2)])).await[0]["outcome"], "applied");
    assert_eq!(client.operate(one(3)).await["outcome"], "applied");
}

#[tokio::test(flavor = "multi_thread")]
async fn c_22_an_upstream_s_operation_with_a_key_that_nobody_knows_waits_for_a_person_alone() {
    static NEWER: AtomicBool = AtomicBool::new(false);
    let mut pair = Relayed::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.relay.twist(|call| match call.path.as_str() {
        "/v1/updates" => Twist::Tell(Box::new(|mut page| {
            for one in page["operations"].as_array_mut().into_iter().flatten() {
                let content = &mut one["operation"]["content"];
                if content["case"]["status"].as_str().is_some_and(|status| status.starts_with("Odd")) {
                    content["case"]["colour"] = json!("red");
                }
                if content["case"]["status"] == "Silent" {
                    one.as_object_mut().unwrap().remove("seen");
                }
            }
            if NEWER.load(Ordering::SeqCst) {
                page["protocol"] = json!("1.3");
            }
            page
        })),
        _ => Twist::Pass,
    });
    pair.run().await;
    pair.end_user.insert(0, 3).await;
    pair.open(3).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    let says = |id: i64, status: &'static str| async move {
        let request = json!({"status": status, "operator": "bert"});
        partner.act(&format!("/v1/incidents/{id}/update"), request).await;
    };
    says(1, "Odd").await;
    says(2, "Silent").await;
    says(3, "Even").await;
    north.when(3, "what is whole", |shown| shown["case_status"] == "Even").await;
    let parked = eventually("both", || async {
        let parked = north.get("/v1/parked").await.body;
        (parked["total"] == 2).then_some(parked)
    })
    .await;
    let reasons = parked["parked"].to_string();
    for said in ["`operation.content.case.colour`", "no such key", "`seen` is missing"] {
        assert!(reasons.contains(said), "{said}: {reasons}");
    }
    for id in [1, 2] {
        assert_eq!(north.get(&format!("/v1/incidents/{id}")).await.body["case_status"], "Open");
    }
    // A person takes what can be taken.
    for (id, status) in [(1, "Odd"), (2, "Silent")] {
        north.command(&["retry", &id.to_string()]).ok();
        north.when(id, "the status", |shown| shown["case_status"] == status).await;
    }
    assert_eq!(north.get("/v1/parked").await.body["total"], 0);
    // A newer upstream's key is left aside, and nobody is asked.
    NEWER.store(true, Ordering::SeqCst);
    says(1, "Odd again").await;
    north.when(1, "the status", |shown| shown["case_status"] == "Odd again").await;
    assert_eq!(north.get("/v1/parked").await.body["total"], 0);
}
