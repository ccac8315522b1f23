//! A case without an incident: a person opens it by hand, and it takes the same path as any other.

use serde_json::json;

use crate::support::pair::{Plan, SUBMIT_ALL};
use crate::support::{Pair, eventually, operator};

#[tokio::test(flavor = "multi_thread")]
async fn a_25_a_case_opened_by_hand_takes_the_same_path_as_any_other() {
    let pair = Pair::start(Plan::default()).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    let told = north
        .command(&[
            "open",
            "--synopsis",
            "Replace the fan tray",
            "--device",
            "edge7",
            "--serial",
            "JN77",
            "--priority",
            "3 - Medium",
            "--comment",
            "At night, please",
            "--due",
            "2026-11-25T12:00:00Z",
            "--submit",
        ])
        .ok();
    assert!(told.contains("incident 1 is opened by hand and submitted"), "{told}");
    let waits = |step: &'static str| {
        eventually(step, move || async move {
            let shown = north.get("/v1/incidents/1").await.body;
            (shown["exchanges"][0]["step"] == step).then_some(shown)
        })
    };
    let shown = waits("awaiting_case").await;
    assert!(shown["host_event_id"].as_str().unwrap().starts_with("manual-"), "{shown}");
    assert_eq!((&shown["kind"], &shown["standing"]), (&json!("on_demand"), &json!("acknowledged")));

    let theirs = partner.get("/v1/incidents/1").await.body;
    assert_eq!((&theirs["synopsis"], &theirs["device"]), (&json!("Replace the fan tray"), &json!("edge7")));
    assert_eq!((&theirs["serial"], &theirs["priority"]), (&json!("JN77"), &json!("3 - Medium")));
    assert_eq!(theirs["manifest"]["due"], "2026-11-25T12:00:00Z");
    assert_eq!(theirs["form"]["comment"], "At night, please");
    // A case that nobody has taken yet has no status.
    let early = partner.command(&["update", "1", "--status", "Early"]);
    early.refused(6, &["incident 1 is not accepted yet", "`casebridge accept 1` first"]);
    partner.act("/v1/incidents/1/accept", json!({"operator": "bert"})).await;
    assert_eq!(waits("open").await["case_id"], "CASE-1");
    partner.act("/v1/incidents/1/close", json!({"operator": "bert"})).await;
    let closed = waits("closed").await;
    let lines = closed["history"].as_array().unwrap();
    assert!(lines.iter().any(|line| line["action"] == "opened_by_hand" && line["who"] == operator("anna")), "{closed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_submit_a_person_decides_whatever_the_policies_say() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, ..Plan::default() }).await;
    let north = &pair.end_user;
    for id in 1..=2 {
        let told = north.command(&["open", "--synopsis", "The same again"]).ok();
        assert!(told.contains(&format!("incident {id} is opened by hand and held")), "{told}");
    }
    // What a device reports meanwhile is submitted, so the policies have looked.
    north.insert(0, 1).await;
    eventually("the other one", || async {
        (north.get("/v1/incidents/3").await.body["submission"] == "requested").then_some(())
    })
    .await;
    assert_eq!(north.count("SELECT count(*) FROM incident WHERE submission = 'held'").await, 2);
    assert_eq!(north.count("SELECT count(DISTINCT host_event_id) FROM incident").await, 3);
    for (arguments, reason) in [
        (&["open", "--synopsis", " "][..], "synopsis must not be empty"),
        (&["open", "--synopsis", "x", "--kind", "printer"], "kind must be one of"),
        (&["open", "--synopsis", "x", "--kind", "information", "--submit"], "never becomes a case"),
    ] {
        north.command(arguments).refused(6, &[reason]);
    }
    let alone = pair.partner.post("/v1/incidents", json!({"synopsis": "x", "submit": true, "operator": "bert"})).await;
    assert_eq!(alone.status, 409, "{}", alone.body);
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident WHERE client IS NULL").await, 0);
}
