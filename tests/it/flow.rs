//! One incident, all the way: from a deposited row or bundle to a closed case.

use serde_json::json;

use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::{Pair, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_goes_all_the_way_from_the_inbox_to_a_closed_case() {
    let pair = Pair::start(Plan::default()).await;
    let (end_user, partner) = (&pair.end_user, &pair.partner);

    // Deposit and detect.
    std::fs::copy("tests/data/bundles/event.xml", end_user.path("inbox/event.xml")).unwrap();
    let incident = eventually("the deposited incident", || async {
        let list = end_user.get("/v1/incidents").await.body;
        let row = list["incidents"].get(0)?.clone();
        (row["submission"] == "held").then_some(row)
    })
    .await;
    let id = incident["incident"].as_i64().unwrap();

    // Submit, once.
    let form = json!({"priority": "1 - Critical", "follow_up": "Phone Call", "cc": ["noc@north.example"],
        "tracking_number": "N-17", "site_id": "BER1", "comment": "Please hurry"});
    end_user.act(&format!("/v1/incidents/{id}/submit"), json!({"form": form, "operator": "anna"})).await;
    let again = end_user.post(&format!("/v1/incidents/{id}/submit"), json!({"operator": "anna"})).await;
    assert_eq!((again.status, again.body["type"].as_str().unwrap()), (409, "urn:casebridge:problem:already-submitted"));

    // The transaction ID is the partner's incident.
    let acknowledged = eventually("the transaction ID", || async {
        let shown = end_user.get(&format!("/v1/incidents/{id}")).await.body;
        (shown["exchanges"][0]["step"] == "awaiting_case").then_some(shown)
    })
    .await;
    let theirs = acknowledged["transaction"].as_str().expect("a transaction ID").to_owned();
    let opened = partner.get(&format!("/v1/incidents/{theirs}")).await.body;
    assert_eq!(opened["client"], "north");
    assert_eq!(opened["host_event_id"], incident["host_event_id"]);
    assert_eq!(opened["form"]["tracking_number"], "N-17");

    // A person at the partner takes it.
    partner.act(&format!("/v1/incidents/{theirs}/accept"), json!({"operator": "bert", "comment": "On it"})).await;
    let created = eventually("the case ID and link", || async {
        let shown = end_user.get(&format!("/v1/incidents/{id}")).await.body;
        (shown["exchanges"][0]["step"] == "open").then_some(shown)
    })
    .await;
    assert_eq!(created["case_id"], format!("CASE-{theirs}"));
    assert_eq!(created["case_link"], format!("https://partner.example/CASE-{theirs}"));

    // Status updates, a solution, the end.
    partner.act(&format!("/v1/incidents/{theirs}/update"), json!({"status": "In Progress", "operator": "bert"})).await;
    eventually("the status", || async {
        let shown = end_user.get(&format!("/v1/incidents/{id}")).await.body;
        (shown["case_status"] == "In Progress").then_some(())
    })
    .await;
    partner
        .act(&format!("/v1/incidents/{theirs}/resolve"), json!({"solution": "Reseated the card", "operator": "bert"}))
        .await;
    let resolved = eventually("the solution", || async {
        let shown = end_user.get(&format!("/v1/incidents/{id}")).await.body;
        (shown["phase"] == "review").then_some(shown)
    })
    .await;
    assert_eq!(resolved["solution"], "Reseated the card");
    assert_eq!(resolved["completion_code"], "fulfilled");
    partner.act(&format!("/v1/incidents/{theirs}/close"), json!({"operator": "bert"})).await;
    let closed = eventually("the end", || async {
        let shown = end_user.get(&format!("/v1/incidents/{id}")).await.body;
        (shown["exchanges"][0]["step"] == "closed").then_some(shown)
    })
    .await;
    assert_eq!((closed["phase"].as_str(), closed["case_status"].as_str()), (Some("close"), Some("Closed")));
    // The bundle's files go their own way beside it: each is announced by an Update, and then sent.
    let is_of_case = |action: &&str| !["operation_sent", "attachment_sent"].contains(action);
    let told = closed["history"].as_array().unwrap().iter().filter_map(|l| l["action"].as_str());
    let told: Vec<&str> = told.filter(is_of_case).collect();
    assert_eq!(
        told,
        [
            "deposited",
            "held",
            "submitted",
            "acknowledged",
            "case_accepted",
            "operation_applied",
            "operation_applied",
            "operation_applied",
            "operation_applied"
        ]
    );
    assert_eq!(closed["comments"][0]["text"], "On it");
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_carry_many_incidents_without_a_person() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 2000).await;
    eventually("every case ID", || async {
        let open = pair.end_user.count("SELECT count(*) FROM incident WHERE case_id IS NOT NULL").await;
        (open == 2000).then_some(())
    })
    .await;
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident").await, 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_status_is_told_however_fast_a_person_decides() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: "" }).await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "awaiting_case").await;
    let bert = |request: serde_json::Value| {
        let mut request = request;
        request["operator"] = "bert".into();
        request
    };
    pair.partner.act("/v1/incidents/1/accept", bert(json!({}))).await;
    for status in ["In Progress", "Waiting for parts", "Testing"] {
        pair.partner.act("/v1/incidents/1/update", bert(json!({"status": status}))).await;
    }
    pair.partner.act("/v1/incidents/1/resolve", bert(json!({"solution": "Reseated"}))).await;
    pair.partner.act("/v1/incidents/1/close", bert(json!({}))).await;
    pair.end_user.step(1, "partner", "closed").await;
    let shown = pair.end_user.when(1, "the whole story", |shown| shown["history"].to_string().contains("Closed")).await;
    let history = shown["history"].to_string();
    for status in ["In Progress", "Waiting for parts", "Testing", "Resolved", "Closed"] {
        assert!(history.contains(status), "{status}: {history}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_still_on_its_way_can_be_cancelled() {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.partner.kill();
    pair.end_user.insert(0, 1).await;
    eventually("it to be queued", || async {
        (pair.end_user.get("/v1/outbox").await.body["total"] == 1).then_some(())
    })
    .await;
    pair.end_user.act("/v1/incidents/1/cancel", json!({"operator": "anna"})).await;
    pair.partner.start().await;
    let theirs = pair.partner.when(1, "the cancellation", |shown| shown["phase"] == "close").await;
    assert_eq!(theirs["completion_code"], "abandoned_by_user", "{theirs}");
}
