//! Which fields travel, which way, and in whose words; and what becomes of a value that has no word (C-29, C-42).

use serde_json::{Value, json};

use crate::support::caller::{Caller, assert_refused, create, operation, update};
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL, partner_config};
use crate::support::wire::free_port;
use crate::support::{Pair, Site, eventually};

fn bert(mut request: Value) -> Value {
    request["operator"] = "bert".into();
    request
}

async fn shared(end_user: &str, partner: &str) -> Pair {
    let end_user = format!("{SUBMIT_ALL}{end_user}");
    // The client's sections stand behind it.
    let mut pair = Pair::new(Plan { end_user: &end_user, partner: ACCEPT_ALL }).await;
    if !partner.is_empty() {
        pair.partner.edit_config("password_file = \"password\"\n", &format!("password_file = \"password\"\n{partner}"));
    }
    pair.partner.start().await;
    pair.end_user.start().await;
    pair
}

/// SIGHUP, and the settings are in force.
async fn reload(site: &Site) {
    let count = || site.log().matches("event=\"reloaded\"").count();
    let before = count();
    site.signal("HUP");
    eventually("the reload", || async { (count() > before).then_some(()) }).await;
}

async fn parked(site: &Site) -> Vec<Value> {
    site.get("/v1/parked").await.body["parked"].as_array().unwrap().clone()
}

/// The one reason why something waits for a person.
async fn reason(site: &Site) -> String {
    let parked = eventually(&format!("something parked at {}", site.alias), || async {
        let parked = parked(site).await;
        (!parked.is_empty()).then_some(parked)
    })
    .await;
    assert_eq!(parked.len(), 1, "{parked:?}");
    parked[0]["reason"].as_str().unwrap().to_owned()
}

async fn retry(site: &Site) {
    site.act("/v1/retry", bert(json!({}))).await;
}

fn told(shown: &Value) -> String {
    shown["history"].to_string()
}

async fn at_rest(pair: &Pair) {
    for site in [&pair.end_user, &pair.partner] {
        eventually("an empty outbox", || async { (site.get("/v1/outbox").await.body["total"] == 0).then_some(()) })
            .await;
        assert_eq!(parked(site).await, Vec::<Value>::new(), "{}", site.alias);
    }
}

const NORTHS_WORDS: &str = r#"
[[upstream.field]]
name = "priority"
values = { "1 - Critical" = "P1", "2 - High" = "P2", "3 - Medium" = "P3", "4 - Low" = "P4" }
[[upstream.field]]
name = "case_status"
values = { "Neu" = "New", "In Arbeit" = "Active", "Gelöst" = "Solved" }
[[upstream.field]]
name = "completion_code"
default = "keep"
values = { "fulfilled" = "Solved" }
"#;

const PARTNERS_WORDS: &str = r#"
[[client.field]]
name = "priority"
values = { "1 - Critical" = "P2", "2 - High" = "P1", "3 - Medium" = "P3", "4 - Low" = "P4" }
[[client.field]]
name = "case_status"
values = { "Open" = "New", "In Progress" = "Active", "Pending Customer" = "Waiting", "Resolved" = "Solved", "Closed" = "Done", "Reopened" = "Again", "Canceled" = "Off", "Rejected" = "No" }
[[client.field]]
name = "completion_code"
default = "keep"
values = { "fulfilled" = "Solved" }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn each_site_keeps_its_own_words_and_both_agree_also_after_lost_state() {
    let mut pair = shared(NORTHS_WORDS, PARTNERS_WORDS).await;
    pair.end_user.insert(0, 1).await;
    let opened = pair.end_user.when(1, "the case", |shown| shown["case_status"] == "Neu").await;
    assert_eq!(opened["case_id"], "CASE-1");
    let high = "SELECT count(*) FROM incident WHERE priority = '1 - Critical'";
    assert_eq!(pair.partner.count(high).await, 1, "the partner's word for P2");
    pair.partner.act("/v1/incidents/1/update", bert(json!({"status": "In Progress"}))).await;
    pair.end_user.when(1, "the status", |shown| shown["case_status"] == "In Arbeit").await;
    pair.partner.act("/v1/incidents/1/resolve", bert(json!({"solution": "Reseated"}))).await;
    let resolved = pair.end_user.when(1, "the end", |shown| shown["completion_code"] == "fulfilled").await;
    assert_eq!((&resolved["solution"], &resolved["case_status"]), (&json!("Reseated"), &json!("Gelöst")));
    at_rest(&pair).await;
    let compared = pair.end_user.act("/v1/reconcile", bert(json!({"apply": false}))).await;
    assert_eq!((&compared["compared"], &compared["differences"]), (&json!(1), &json!([])), "{compared}");

    pair.end_user.stop().await;
    pair.partner.stop().await;
    pair.partner.execute("UPDATE incident SET case_status = 'Open', completion_code = NULL").await;
    pair.end_user.lose_state();
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.end_user.when(1, "the status of now", |shown| shown["case_status"] == "Neu").await;
    at_rest(&pair).await;
    let compared = pair.end_user.act("/v1/reconcile", bert(json!({"apply": false}))).await;
    assert_eq!(compared["differences"], json!([]), "{compared}");
}

#[tokio::test(flavor = "multi_thread")]
async fn c_29_a_value_without_a_word_parks_with_field_and_value_and_goes_on_when_it_has_one() {
    let severity = "[[upstream.field]]\nname = \"severity\"\nvalues = { \"major\" = \"2\" }\n";
    let pair = shared(severity, "").await;
    pair.end_user
        .execute(
            "INSERT INTO incident (host_event_id, synopsis, severity) \
             VALUES ('e-1', 'one', 'minor'), ('e-2', 'two', 'major'), ('e-3', 'three', NULL)",
        )
        .await;
    for other in [2, 3] {
        pair.end_user.step(other, "partner", "open").await;
    }
    let missing = "severity: \"minor\" has no word of the peer's in the field map";
    assert_eq!(reason(&pair.end_user).await, missing);
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident WHERE severity = '2'").await, 1);
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident").await, 2, "no silent default");
    pair.end_user.when(1, "the history", |shown| told(shown).contains("our create: severity")).await;

    // Too early: it waits again.
    retry(&pair.end_user).await;
    assert_eq!(reason(&pair.end_user).await, missing);
    pair.end_user.edit_config("\"major\" = \"2\"", "\"major\" = \"2\", \"minor\" = \"3\"");
    reload(&pair.end_user).await;
    retry(&pair.end_user).await;
    pair.end_user.step(1, "partner", "open").await;
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident WHERE severity = '3'").await, 1);
    at_rest(&pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_that_the_receiver_does_not_know_is_refused_by_name_and_either_site_can_correct_it() {
    let pair = shared(NORTHS_WORDS, &PARTNERS_WORDS.replace("= \"P2\"", "= \"P9\"")).await;
    pair.end_user.insert(0, 1).await;
    let refused = reason(&pair.end_user).await;
    assert!(refused.contains("priority: \"P2\" is no word of the sender's in the receiver's field map"), "{refused}");
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident").await, 0);
    // The sender's map is the wrong one: what was refused goes in its new words.
    pair.end_user.edit_config("\"2 - High\" = \"P2\"", "\"2 - High\" = \"P9\"");
    reload(&pair.end_user).await;
    retry(&pair.end_user).await;
    pair.end_user.step(1, "partner", "open").await;
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident WHERE priority = '1 - Critical'").await, 1);
    at_rest(&pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_without_a_word_waits_at_the_partner_and_one_that_is_not_known_waits_at_the_end_user() {
    let mut pair = shared(NORTHS_WORDS, PARTNERS_WORDS).await;
    pair.end_user.insert(0, 2).await;
    for incident in [1, 2] {
        pair.end_user.when(incident, "the case", |shown| shown["case_status"] == "Neu").await;
    }
    let odd = json!({"status": "Odd", "comment": "Ask the vendor"});
    pair.partner.act("/v1/incidents/1/update", bert(odd)).await;
    assert_eq!(reason(&pair.partner).await, "case_status: \"Odd\" has no word of the peer's in the field map");
    let why = pair.partner.get("/v1/incidents/1/why").await.body;
    assert!(why["line"].as_str().unwrap().contains("casebridge retry 1"), "{why}");
    // The other case goes on, and a note from below arrives.
    pair.partner.act("/v1/incidents/2/update", bert(json!({"status": "In Progress"}))).await;
    pair.end_user.when(2, "the status", |shown| shown["case_status"] == "In Arbeit").await;
    pair.end_user.act("/v1/incidents/1/comments", bert(json!({"text": "from below"}))).await;
    pair.partner.when(1, "the note", |shown| shown["comments"].to_string().contains("from below")).await;
    let waiting = pair.end_user.get("/v1/incidents/1").await.body;
    assert_eq!((&waiting["case_status"], waiting["comments"].as_array().unwrap().len()), (&json!("Neu"), 1));

    // It is not forgotten by a site that dies over it, nor by one that has lost its state.
    pair.partner.kill();
    pair.partner.start().await;
    reason(&pair.partner).await;
    pair.partner.stop().await;
    pair.partner.lose_state();
    pair.partner.start().await;
    reason(&pair.partner).await;
    pair.partner.edit_config("\"Open\" = \"New\"", "\"Open\" = \"New\", \"Odd\" = \"Strange\"");
    reload(&pair.partner).await;
    retry(&pair.partner).await;
    let unknown = reason(&pair.end_user).await;
    assert!(unknown.contains("case_status: \"Strange\" is no word of the sender's"), "{unknown}");
    assert_eq!(pair.end_user.get("/v1/incidents/1").await.body["case_status"], "Neu");

    pair.end_user.edit_config("\"Neu\" = \"New\"", "\"Neu\" = \"New\", \"Seltsam\" = \"Strange\"");
    reload(&pair.end_user).await;
    retry(&pair.end_user).await;
    let shown = pair.end_user.when(1, "the status", |shown| shown["case_status"] == "Seltsam").await;
    assert!(shown["comments"].to_string().contains("Ask the vendor"), "{shown}");
    at_rest(&pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_go_once_one_way_or_never_and_what_is_not_taken_is_named() {
    let directions = r#"
[[upstream.field]]
name = "description"
direction = "never"
[[upstream.field]]
name = "solution"
direction = "in"
[[upstream.field]]
name = "expected_resolution"
direction = "never"
[[upstream.field]]
name = "comments"
direction = "out"
[exchange.owner]
solution = "site"
"#;
    let pair = shared(directions, "").await;
    pair.end_user
        .execute("INSERT INTO incident (host_event_id, synopsis, description) VALUES ('e-1', 'one', 'secret')")
        .await;
    pair.end_user.step(1, "partner", "open").await;
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident WHERE description = ''").await, 1);

    let set = "solution = 'ours', expected_resolution = '2026-12-01T10:00:00Z'";
    pair.end_user.execute(format!("UPDATE incident SET {set} WHERE id = 1")).await;
    pair.end_user.act("/v1/incidents/1/comments", bert(json!({"text": "from below"}))).await;
    let noted = pair.partner.when(1, "the note", |shown| !shown["comments"].as_array().unwrap().is_empty()).await;
    assert_eq!((&noted["solution"], &noted["expected_resolution"]), (&Value::Null, &Value::Null), "{noted}");

    let theirs = "solution = 'theirs', expected_resolution = '2027-01-01T10:00:00Z'";
    pair.partner.act("/v1/incidents/1/comments", bert(json!({"text": "from above"}))).await;
    pair.partner.execute(format!("UPDATE incident SET {theirs} WHERE id = 1")).await;
    let shown = pair.end_user.when(1, "the solution", |shown| shown["solution"] == "theirs").await;
    assert!(shown["expected_resolution"].as_str().unwrap().starts_with("2026-12-01"), "{shown}");
    eventually("both to be told", || async {
        let told = told(&pair.end_user.get("/v1/incidents/1").await.body);
        let left = |field: &str| {
            let mut lines = told.split("left alone, by this site's field map: ").skip(1);
            lines.any(|line| line.split('"').next().unwrap().contains(field))
        };
        (left("comments") && left("expected_resolution")).then_some(())
    })
    .await;
    assert_eq!(pair.end_user.get("/v1/incidents/1").await.body["comments"].as_array().unwrap().len(), 1);
    assert!(!pair.end_user.log().contains("conflict_found"), "{}", pair.end_user.log());
    at_rest(&pair).await;
    let sent = pair.end_user.count("SELECT count(*) FROM history WHERE action = 'operation_sent'").await;
    assert_eq!(sent, 1, "what does not go is not sent again and again");
    let compared = pair.end_user.act("/v1/reconcile", bert(json!({"apply": false}))).await;
    assert_eq!(compared["differences"], json!([]), "{compared}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_effect_stays_so_when_the_map_changes_under_a_repetition() {
    let port = free_port();
    let mut partner = Site::new("partner", &partner_config(port, ACCEPT_ALL));
    partner.start().await;
    let caller = Caller::north(port);
    caller.create(1).await;
    let said = |seq: u64| operation(1, seq, "update", json!({"completion_code": "fulfilled"}));
    let first = caller.operate(said(2)).await;
    assert_eq!(first["outcome"], "applied", "{first}");
    let words =
        "\n[[client.field]]\nname = \"completion_code\"\ndefault = \"keep\"\nvalues = { \"fulfilled\" = \"Solved\" }\n";
    partner.edit_config("password_file = \"password\"\n", &format!("password_file = \"password\"\n{words}"));
    reload(&partner).await;
    assert_eq!(caller.operate(said(2)).await, first, "the answer was lost, and the same bytes come again");
    assert_eq!(caller.operate(create(1)).await["outcome"], "applied");
    assert_refused(&caller.operate(said(3)).await, 422, "unmapped", &["completion_code", "fulfilled"]);
    assert_refused(&caller.operate(update(1, 2, "another")).await, 409, "sequence-conflict", &["operation 2"]);
}
