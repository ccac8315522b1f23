//! What an end user does on the network, and what not: it calls, and nobody can call it; one poll serves all cases
//! no step of a case is skipped.

use std::collections::HashSet;

use serde_json::json;

use crate::support::pair::{Plan, SUBMIT_ALL};
use crate::support::relay::Relayed;
use crate::support::{Site, eventually};

/// The addresses that a process listens on with TCP, as the kernel writes them.
fn listening(site: &Site) -> Vec<String> {
    let process = format!("/proc/{}", site.process_id());
    let mut inodes = HashSet::new();
    for entry in std::fs::read_dir(format!("{process}/fd")).unwrap().flatten() {
        let Ok(target) = std::fs::read_link(entry.path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        inodes.extend(target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')).map(str::to_owned));
    }
    assert!(!inodes.is_empty(), "a daemon has sockets, if only its Unix socket");
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        let text = std::fs::read_to_string(format!("{process}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // 0A is LISTEN.
            if fields[3] == "0A" && inodes.contains(fields[9]) {
                found.push(fields[1].to_owned());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_30_an_end_user_completes_a_cycle_without_listening_on_the_network() {
    let pair = Relayed::start(Plan { end_user: SUBMIT_ALL, ..Plan::default() }).await;
    let (end_user, partner) = (&pair.end_user, &pair.partner);
    assert_eq!(listening(partner).len(), 1, "the partner has the one door that this looks for");
    let quiet = || assert_eq!(listening(end_user), Vec::<String>::new());
    quiet();
    end_user.insert(0, 1).await;
    // every step is seen, in order.
    let standing = |wanted: &'static str| {
        eventually(wanted, move || async move {
            quiet();
            let row = end_user.get("/v1/incidents").await.body["incidents"][0].clone();
            (row["standing"] == wanted).then_some(row)
        })
    };
    let acknowledged = standing("acknowledged").await;
    assert!(acknowledged["transaction"].is_string() && acknowledged["case_id"].is_null(), "{acknowledged}");
    partner.act("/v1/incidents/1/accept", json!({"operator": "bert"})).await;
    let created = standing("created").await;
    assert_eq!((&created["case_id"], &created["case_status"]), (&json!("CASE-1"), &json!("Open")));
    partner.act("/v1/incidents/1/resolve", json!({"solution": "Reseated", "operator": "bert"})).await;
    standing("resolved").await;
    partner.act("/v1/incidents/1/close", json!({"operator": "bert"})).await;
    standing("closed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_28_an_incident_that_is_not_submitted_has_no_standing_and_one_on_its_way_says_so() {
    let mut pair = Relayed::new(Plan::default()).await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 2).await;
    let row = |number: usize| {
        let end_user = &pair.end_user;
        async move { end_user.get("/v1/incidents").await.body["incidents"][number].clone() }
    };
    eventually("both to be held", || async { (row(1).await["submission"] == "held").then_some(()) }).await;
    assert!(row(0).await["standing"].is_null(), "{}", row(0).await);
    pair.end_user.act("/v1/incidents/1/submit", json!({"operator": "anna"})).await;
    let shown = eventually("the exchange", || async {
        let shown = pair.end_user.get("/v1/incidents/1").await.body;
        (shown["exchanges"][0]["step"] == "creating").then_some(shown)
    })
    .await;
    assert!(shown["exchanges"][0]["waits_for"].as_str().unwrap().starts_with("the transaction ID"), "{shown}");
    assert_eq!(shown["standing"], "submitted", "{shown}");
    assert!(row(1).await["standing"].is_null());
    let listed = pair.end_user.get("/v1/incidents?standing=submitted").await.body;
    assert_eq!(listed["incidents"].as_array().unwrap().len(), 1, "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_29_one_poll_serves_all_cases() {
    const COUNT: i64 = 60;
    let pair = Relayed::start(Plan { end_user: SUBMIT_ALL, partner: crate::support::pair::ACCEPT_ALL }).await;
    pair.end_user.insert(0, COUNT as usize).await;
    pair.open(COUNT).await;
    let began = pair.relay.calls().len();
    eventually("three more polls", || async {
        let calls = pair.relay.calls();
        let polls: Vec<_> = calls[began..].iter().filter(|call| call.path == "/v1/updates").collect();
        (polls.iter().filter(|call| call.status.is_some()).count() >= 3).then_some(())
    })
    .await;
    let calls = pair.relay.calls();
    // What the other has signed for is asked for on its own, and for all cases at once, too.
    let besides: Vec<_> = calls[began..].iter().filter(|call| call.path != "/v1/updates").collect();
    assert!(besides.iter().all(|call| call.path == "/v1/receipts"), "nothing is asked for each case: {besides:?}");
    assert!(calls.iter().filter(|call| call.status.is_none()).count() <= 1, "one poll at a time");
    // What changes in many cases comes with it.
    let store = pair.partner.store().await;
    sqlx::query("UPDATE incident SET case_status = 'In Progress'").execute(&store).await.unwrap();
    store.close().await;
    eventually("every status", || async {
        let known = "SELECT count(*) FROM incident WHERE case_status = 'In Progress'";
        (pair.end_user.count(known).await == COUNT).then_some(())
    })
    .await;
    let calls = pair.relay.calls();
    let (polls, besides): (Vec<_>, Vec<_>) = calls[began..].iter().partition(|call| call.path == "/v1/updates");
    assert!(besides.iter().all(|call| call.path == "/v1/receipts"), "{besides:?}");
    assert!(polls.len() < 20 && besides.len() < 20, "{} polls, {besides:?}", polls.len());
}
