//! What may not be done, and what does not go: each is refused where it is asked for, and nothing else is held up.

use serde_json::{Value, json};

use crate::support::caller::{Caller, assert_refused, exchange, operation};
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL, partner_config};
use crate::support::wire::free_port;
use crate::support::{Pair, Site, eventually};

fn by(mut request: Value) -> Value {
    request["operator"] = "anna".into();
    request
}

async fn shared(count: usize) -> Pair {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, count).await;
    for id in 1..=count {
        pair.end_user.step(id as i64, "partner", "open").await;
    }
    pair
}

async fn refused(site: &Site, path: &str, request: Value, said: &str) {
    let answer = site.post(path, by(request)).await;
    assert_eq!((answer.status, answer.body["type"].as_str()), (409, Some("urn:casebridge:problem:action")), "{path}");
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains(said), "{path}: {detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_back_is_over_for_every_command() {
    let pair = shared(1).await;
    refused(&pair.end_user, "/v1/incidents/1/reject", json!({}), "is no client's").await;
    pair.partner.act("/v1/incidents/1/reject", by(json!({"comment": "Not ours"}))).await;
    pair.end_user.when(1, "the rejection", |shown| shown["submission"] == "held").await;
    // How the partner's own case ended is no part of the story of one that goes on here.
    assert_eq!(pair.end_user.count("SELECT count(*) FROM milestone").await, 0);
    assert_eq!(pair.partner.count("SELECT count(*) FROM milestone WHERE state = 'canceled'").await, 1);
    for (path, request) in [
        ("update", json!({"solution": "Reseated"})),
        ("reopen", json!({})),
        ("assign", json!({"group": "north"})),
        ("override", json!({"status": "Ours"})),
        ("active", json!({"active": false})),
        ("resync", json!({})),
    ] {
        refused(&pair.partner, &format!("/v1/incidents/1/{path}"), request, "was rejected").await;
    }
    refused(&pair.end_user, "/v1/incidents/1/resync", json!({}), "rejected").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c_18_a_reject_brings_neither_solution_nor_code() {
    let pair = shared(1).await;
    pair.partner
        .execute(
            "UPDATE incident SET phase = 'close', completion_code = 'request_rejected', solution = 'Go away' WHERE id = 1",
        )
        .await;
    let shown = pair.end_user.when(1, "the rejection", |shown| shown["submission"] == "held").await;
    assert_eq!((&shown["solution"], &shown["completion_code"]), (&Value::Null, &Value::Null), "{shown}");
    assert_eq!(shown["phase"], "initial_support", "it is solved here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_no_peer_would_take_is_left_alone_until_it_is_corrected() {
    let mut pair = shared(2).await;
    pair.end_user.execute("UPDATE incident SET solution = char(27) || '[2J' WHERE id = 1").await;
    pair.end_user.execute("UPDATE incident SET solution = 'Reseated' WHERE id = 2").await;
    pair.partner.when(2, "the other one", |shown| shown["solution"] == "Reseated").await;
    eventually("the reason", || async { pair.end_user.log().contains("incident_unreadable").then_some(()) }).await;
    // Nobody looks at it again before somebody writes to it, and it is known all the same after a start.
    pair.end_user.stop().await;
    pair.end_user.start().await;
    let warned = || async { pair.end_user.get("/v1/status").await.body["warnings"].to_string() };
    assert!(warned().await.contains("`casebridge why 1` says what to correct"));
    assert_eq!(pair.partner.get("/v1/incidents/1").await.body["solution"], Value::Null);
    assert_eq!(pair.end_user.get("/v1/parked").await.body["total"], 0, "nothing waits for an answer");
    pair.end_user.execute("UPDATE incident SET solution = 'Screen cleared' WHERE id = 1").await;
    pair.partner.when(1, "the corrected one", |shown| shown["solution"] == "Screen cleared").await;
    assert!(!warned().await.contains("casebridge why"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_15_what_is_submitted_is_not_submitted_again_whatever_becomes_of_its_record() {
    let pair = shared(2).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    // A rule that it was not held to, another program's word, an assignment, and a row that breaks a rule for a while.
    north.edit_config("[[submit.policy]]", "[submit]\nrequire_site_id = true\n[[submit.policy]]");
    north.signal("HUP");
    eventually("the rule", || async { north.log().contains("event=\"reloaded\"").then_some(()) }).await;
    north.execute("UPDATE incident SET submission = 'held' WHERE id = 2").await;
    let broken = "UPDATE incident SET assignment = 'partner', synopsis = 'Fan' || char(10) || 'failed' WHERE id = 2";
    north.execute(broken).await;
    let speaks = async |text: &str| {
        for id in [1, 2] {
            north.act(&format!("/v1/incidents/{id}/comments"), by(json!({"text": text}))).await;
        }
        for id in [1, 2] {
            let has_it = |shown: &Value| shown["comments"].to_string().contains(text);
            partner.when(id, text, has_it).await;
        }
    };
    speaks("Any news?").await;
    north.execute("UPDATE incident SET synopsis = 'Fan failed' WHERE id = 2").await;
    speaks("And now?").await;
    for id in [1, 2] {
        let form = json!({"form": {"site_id": "B1"}});
        let answer = north.post(&format!("/v1/incidents/{id}/submit"), by(form)).await;
        let said = (answer.status, answer.body["type"].as_str());
        assert_eq!(said, (409, Some("urn:casebridge:problem:already-submitted")), "{}", answer.body);
    }
    let held = north.count("SELECT count(*) FROM incident WHERE id = 1 AND submission = 'held'").await;
    assert_eq!(held, 0, "nobody is asked to submit what is submitted");
    assert_eq!(partner.count("SELECT count(*) FROM incident").await, 2, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_public_does_not_become_internal() {
    let pair = shared(1).await;
    let told = pair.end_user.act("/v1/incidents/1/comments", by(json!({"text": "la carte est morte"}))).await;
    let uid = told["message"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned();
    let path = format!("/v1/incidents/1/comments/{uid}");
    refused(&pair.end_user, &path, json!({"internal": true}), "may be at other sites already").await;
    let store = pair.end_user.store().await;
    let fault = sqlx::query("UPDATE comment SET internal = 1").execute(&store).await.unwrap_err().to_string();
    store.close().await;
    assert!(fault.contains("cannot become internal"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_does_not_say_which_case_it_is() {
    let port = free_port();
    let mut partner = Site::new("partner", &partner_config(port, ACCEPT_ALL));
    partner.start().await;
    let caller = Caller::north(port);
    caller.create(1).await;
    let case = json!({"id": "CASE-9", "link": "https://evil.example/", "status": "Closed"});
    for kind in ["assign", "accept", "update", "resolve", "close", "reject", "cancel", "reopen"] {
        let told = caller.operate(operation(1, 2, kind, json!({"case": case, "solution": "x"}))).await;
        assert_refused(&told, 422, "content", &["`case`"]);
    }
    let shown = partner.get("/v1/incidents/1").await.body;
    assert_eq!((&shown["case_id"], &shown["case_status"]), (&json!("CASE-1"), &json!("Open")));
    assert_eq!((&shown["solution"], &shown["phase"]), (&Value::Null, &json!("initial_support")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_tells_no_more_than_an_operation_would() {
    let port = free_port();
    let hides = "[client.attachments]\nhide_addresses = true\n";
    let mut partner = Site::new("partner", &partner_config(port, &format!("{ACCEPT_ALL}{hides}")));
    partner.start().await;
    let caller = Caller::north(port);
    caller.create(1).await;
    let say = |text: &str, internal: bool| by(json!({"text": text, "internal": internal}));
    partner.act("/v1/incidents/1/comments", say("our margin is forty percent", true)).await;
    partner.act("/v1/incidents/1/comments", say("seen from 192.0.2.7 and 2001:db8::7", false)).await;
    let told = partner.act("/v1/incidents/1/comments", say("said in anger", false)).await;
    let uid = told["message"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned();
    partner.act(&format!("/v1/incidents/1/comments/{uid}"), by(json!({"deleted": true}))).await;
    let work = json!({"solution": "Rerouted by 192.0.2.9", "status": "Down at 192.0.2.8"});
    partner.act("/v1/incidents/1/update", by(work)).await;
    let one = exchange(1);
    eventually("the record", || async { caller.get("/v1/exchanges").await.text.contains("Rerouted by").then_some(()) })
        .await;
    for path in [
        "/v1/exchanges".to_owned(),
        format!("/v1/exchanges?exchange={one}"),
        format!("/v1/transactions?exchange={one}"),
        "/v1/transactions/1".to_owned(),
    ] {
        let told = caller.get(&path).await;
        assert_eq!(told.status, 200, "{path}: {}", told.text);
        for secret in ["margin", "anger", "192.0.2", "2001:db8"] {
            assert!(!told.text.contains(secret), "{path} tells {secret}: {}", told.text);
        }
        assert!(told.text.contains("***"), "{path}: {}", told.text);
    }
}

/// Several alarms can be one case for the people at the partner: whoever gives two incidents one case ID means it. Each
/// keeps its own exchange, and ends by itself.
#[tokio::test(flavor = "multi_thread")]
async fn two_incidents_may_be_one_case_and_each_ends_by_itself() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, ..Plan::default() }).await;
    pair.end_user.insert(0, 2).await;
    for id in 1..=2 {
        pair.end_user.step(id, "partner", "awaiting_case").await;
        pair.partner.act(&format!("/v1/incidents/{id}/accept"), by(json!({"case_id": "RMA-7"}))).await;
        pair.end_user.when(id, "the case", |shown| shown["case_id"] == "RMA-7").await;
    }
    let listed = pair.partner.get("/v1/incidents?case_id=RMA-7").await.body;
    assert_eq!(listed["incidents"].as_array().unwrap().len(), 2, "{listed}");
    pair.partner.act("/v1/incidents/1/close", by(json!({"solution": "Replaced"}))).await;
    pair.end_user.step(1, "partner", "closed").await;
    let other = pair.end_user.get("/v1/incidents/2").await.body;
    assert_eq!((&other["phase"], &other["solution"]), (&json!("initial_support"), &Value::Null), "{other}");
}
