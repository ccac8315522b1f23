//! Who has a case in hand, what people say about it, and what becomes of changes that meet (C-31 to C-33, C-47, C-48, C-51,
//! C-59, A-23).

use serde_json::{Value, json};

use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::{Pair, eventually};

fn anna(mut request: Value) -> Value {
    request["operator"] = "anna".into();
    request
}

fn bert(mut request: Value) -> Value {
    request["operator"] = "bert".into();
    request
}

/// One incident that both sites have, as number 1.
async fn shared() -> Pair {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "open").await;
    pair
}

fn texts(shown: &Value) -> Vec<String> {
    let comments = shown["comments"].as_array().unwrap().iter();
    let told = |one: &Value| format!("{}: {}", one["author"].as_str().unwrap(), one["text"].as_str().unwrap());
    comments.filter(|one| one["deleted"] != true).map(told).collect()
}

/// What the history says of fields that both sites changed.
fn conflicts(shown: &Value) -> Vec<String> {
    let lines = shown["history"].as_array().unwrap().iter();
    let found = lines.filter(|line| line["action"] == "conflict_found");
    found.map(|line| line["detail"].as_str().unwrap().to_owned()).collect()
}

fn kind(answer: &crate::support::site::Answer) -> &str {
    answer.body["type"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn c_48_what_another_site_has_in_hand_is_changed_there_and_notes_flow() {
    let pair = shared().await;
    let refused = pair.end_user.post("/v1/incidents/1/update", anna(json!({"solution": "Reseated"}))).await;
    assert_eq!((refused.status, kind(&refused)), (409, "urn:casebridge:problem:not-owner"));
    let told = refused.body["detail"].as_str().unwrap();
    assert!(told.contains("partner") && told.contains("casebridge take 1"), "{told}");
    pair.end_user.act("/v1/incidents/1/comments", anna(json!({"text": "We reseated it"}))).await;
    pair.partner.when(1, "the note", |shown| texts(shown) == ["anna: We reseated it"]).await;

    // Taken back: now the end user may, and the partner may not.
    pair.end_user.act("/v1/incidents/1/take", anna(json!({}))).await;
    eventually("the partner to know", || async {
        let tried = pair.partner.post("/v1/incidents/1/update", bert(json!({"solution": "Replaced"}))).await;
        (kind(&tried) == "urn:casebridge:problem:not-owner").then_some(())
    })
    .await;
    pair.end_user.act("/v1/incidents/1/update", anna(json!({"solution": "Reseated"}))).await;
    pair.partner.when(1, "the solution", |shown| shown["solution"] == "Reseated").await;
    let twice = pair.end_user.post("/v1/incidents/1/take", anna(json!({}))).await;
    assert_eq!((twice.status, kind(&twice)), (409, "urn:casebridge:problem:action"));
}

#[tokio::test(flavor = "multi_thread")]
async fn c_51_a_question_hands_the_case_to_the_client_and_the_answer_hands_it_back() {
    let pair = shared().await;
    let mine = |site: &'static str| {
        let site = if site == "north" { &pair.end_user } else { &pair.partner };
        async move { site.count("SELECT count(*) FROM reference WHERE holder = 'us'").await == 1 }
    };
    assert!(mine("partner").await && !mine("north").await);
    pair.partner.act("/v1/incidents/1/assign", bert(json!({"group": "north", "comment": "Which slot?"}))).await;
    let asked = pair.end_user.when(1, "the question", |shown| shown["case_status"] == "Pending Customer").await;
    assert!(texts(&asked).contains(&"bert: Which slot?".to_owned()));
    eventually("the end user to have it", || async { mine("north").await.then_some(()) }).await;
    eventually("the partner to know", || async { (!mine("partner").await).then_some(()) }).await;

    pair.end_user.act("/v1/incidents/1/assign", anna(json!({"group": "partner", "comment": "Slot 3"}))).await;
    pair.end_user.when(1, "the work to go on", |shown| shown["case_status"] == "In Progress").await;
    let answered = pair.partner.get("/v1/incidents/1").await.body;
    assert!(texts(&answered).contains(&"anna: Slot 3".to_owned()), "{answered}");
    assert!(mine("partner").await);
    let again = pair.partner.post("/v1/incidents/1/assign", bert(json!({"group": "\u{1b}"}))).await;
    assert_eq!((again.status, kind(&again)), (422, "urn:casebridge:problem:form"));
}

#[tokio::test(flavor = "multi_thread")]
async fn c_02_a_group_of_another_site_starts_the_exchange_and_one_of_our_own_does_not() {
    let groups = "[[exchange.group]]\nname = \"Vendor NOC\"\nsystem = \"partner\"\n";
    let pair = Pair::start(Plan { end_user: groups, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 2).await;
    pair.end_user.when(2, "the detector", |shown| shown["submission"] == "held").await;
    pair.end_user.act("/v1/incidents/1/assign", anna(json!({"group": "Night shift"}))).await;
    // Another program does the same with its own hands.
    let store = pair.end_user.store().await;
    sqlx::query("UPDATE incident SET assignment = 'Vendor NOC' WHERE id = 2").execute(&store).await.unwrap();
    store.close().await;
    pair.end_user.step(2, "partner", "open").await;
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident").await, 1, "the night shift is our own");
    pair.end_user.act("/v1/incidents/1/assign", anna(json!({"group": "Vendor NOC"}))).await;
    pair.end_user.step(1, "partner", "open").await;
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident").await, 2);

    // C-18: a rejected one leaves no reference; assigned again, it is a new case.
    pair.partner.act("/v1/incidents/2/reject", bert(json!({"comment": "Not ours"}))).await;
    pair.end_user.when(1, "the rejection", |shown| shown["submission"] == "held").await;
    pair.end_user.act("/v1/incidents/1/assign", anna(json!({"group": "Vendor NOC"}))).await;
    eventually("the new case", || async {
        (pair.partner.count("SELECT count(*) FROM incident").await == 3).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_are_edited_and_deleted_by_the_site_that_wrote_them_and_internal_ones_stay() {
    let pair = shared().await;
    let say = |text: &str, internal: bool| anna(json!({"text": text, "internal": internal, "language": "fr"}));
    pair.end_user.act("/v1/incidents/1/comments", say("leur contrat finit en mars", true)).await;
    let told = pair.end_user.act("/v1/incidents/1/comments", say("la carte est morte", false)).await;
    let uid = told["message"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned();
    let shown = pair.partner.when(1, "the comment", |shown| texts(shown) == ["anna: la carte est morte"]).await;
    assert_eq!(shown["comments"][0]["language"], "fr");

    let path = format!("/v1/incidents/1/comments/{uid}");
    let foreign = pair.partner.post(&path, bert(json!({"text": "no"}))).await;
    assert_eq!((foreign.status, kind(&foreign)), (409, "urn:casebridge:problem:action"));
    pair.end_user.act(&path, anna(json!({"text": "la carte est réparée"}))).await;
    pair.partner.when(1, "the edit", |shown| texts(shown) == ["anna: la carte est réparée"]).await;
    pair.end_user.act(&path, anna(json!({"deleted": true}))).await;
    let shown = pair.partner.when(1, "the deletion", |shown| texts(shown).is_empty()).await;
    assert_eq!(shown["comments"][0]["text"], "", "the words are gone too");
    assert_eq!(pair.partner.count("SELECT count(*) FROM comment").await, 1, "the internal one never left");

    // An internal one leaves when its author makes it public, and not before.
    let told = pair.end_user.act("/v1/incidents/1/comments", say("ils viennent lundi", true)).await;
    let uid = told["message"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned();
    pair.end_user.act(&format!("/v1/incidents/1/comments/{uid}"), anna(json!({"internal": false}))).await;
    pair.partner.when(1, "the comment", |shown| texts(shown) == ["anna: ils viennent lundi"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c_59_a_case_that_is_switched_off_neither_sends_nor_takes_and_then_goes_on() {
    let pair = shared().await;
    pair.end_user.act("/v1/incidents/1/active", anna(json!({"active": false}))).await;
    let twice = pair.end_user.post("/v1/incidents/1/active", anna(json!({"active": false}))).await;
    assert_eq!((twice.status, kind(&twice)), (409, "urn:casebridge:problem:action"));
    pair.end_user.act("/v1/incidents/1/comments", anna(json!({"text": "said while off"}))).await;
    pair.partner.act("/v1/incidents/1/update", bert(json!({"status": "In Progress"}))).await;
    pair.partner.act("/v1/incidents/1/comments", bert(json!({"text": "said meanwhile"}))).await;
    let parked = eventually("the update to be held", || async {
        let parked = pair.end_user.get("/v1/parked").await.body;
        (parked["total"] == 1).then_some(parked)
    })
    .await;
    assert!(parked["parked"][0]["reason"].as_str().unwrap().contains("switched off"), "{parked}");
    assert_eq!(pair.end_user.get("/v1/incidents/1").await.body["case_status"], "Open");
    assert_eq!(pair.partner.count("SELECT count(*) FROM comment WHERE author = 'anna'").await, 0);

    pair.end_user.act("/v1/incidents/1/active", anna(json!({"active": true}))).await;
    let shown = pair.end_user.when(1, "what was held", |shown| texts(shown).len() == 2).await;
    assert_eq!(shown["case_status"], "In Progress");
    pair.partner.when(1, "what waited", |shown| texts(shown).len() == 2).await;
    assert_eq!(pair.end_user.get("/v1/parked").await.body["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn c_47_one_field_changed_at_both_sites_ends_as_the_owner_has_it_and_nothing_is_lost_in_silence() {
    let mut pair = shared().await;
    // Neither hears of the other while people work.
    pair.partner.kill();
    let long = |text: &str| format!("{}{text}", "x".repeat(30_000));
    for (site, text) in [(&pair.end_user, "ours"), (&pair.partner, "theirs")] {
        let store = site.store().await;
        sqlx::query("UPDATE incident SET solution = ? WHERE id = 1").bind(long(text)).execute(&store).await.unwrap();
        // Another field, which nobody else touches, merges.
        let merged = if text == "ours" {
            "INSERT INTO comment (incident, author, text) VALUES (1, 'anna', 'and a note')"
        } else {
            "UPDATE incident SET expected_resolution = '2026-12-01T12:00:00Z' WHERE id = 1"
        };
        sqlx::query(merged).execute(&store).await.unwrap();
        store.close().await;
    }
    pair.partner.start().await;
    let both = |told: &String| told.contains(&long("ours")) && told.contains(&long("theirs"));
    for site in [&pair.end_user, &pair.partner] {
        site.when(1, "the owner's word", |shown| shown["solution"] == long("theirs")).await;
        site.when(1, "both values in the history", |shown| conflicts(shown).iter().any(both)).await;
        site.when(1, "the note", |shown| texts(shown) == ["anna: and a note"]).await;
        site.when(1, "what nobody else touched", |shown| shown["expected_resolution"].is_string()).await;
    }
    assert!(pair.partner.log().contains("conflict_found"), "and the log says so");
    assert!(!pair.partner.log().contains("theirs"), "without the words");
}

#[tokio::test(flavor = "multi_thread")]
async fn c_47_a_change_that_the_owner_had_not_told_yet_is_known_to_both_histories_whoever_wins() {
    for (owner, stays) in [("", "theirs"), ("[exchange.owner]\nsolution = \"client\"\n", "ours")] {
        let partner = format!("{ACCEPT_ALL}{owner}");
        let mut pair = Pair::new(Plan { end_user: &format!("{SUBMIT_ALL}{owner}"), partner: &partner }).await;
        // The partner's detector looks when it is woken, and not while this goes on.
        pair.partner.edit_config("poll_interval = \"50ms\"", "poll_interval = \"1m\"");
        pair.partner.start().await;
        pair.end_user.start().await;
        pair.end_user.insert(0, 1).await;
        pair.end_user.step(1, "partner", "open").await;
        pair.partner.execute("UPDATE incident SET solution = 'theirs' WHERE id = 1").await;
        pair.end_user.execute("UPDATE incident SET solution = 'ours' WHERE id = 1").await;
        let both = |told: &String| told.contains("ours") && told.contains("theirs");
        for site in [&pair.partner, &pair.end_user] {
            site.when(1, "both values in the history", |shown| conflicts(shown).iter().any(both)).await;
            site.when(1, "the owner's word", |shown| shown["solution"] == stays).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_23_a_test_is_marked_once() {
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.edit_config("[site]\n", "[site]\ntest_mode = true\n");
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "open").await;
    let (ours, theirs) =
        (pair.end_user.get("/v1/incidents/1").await.body, pair.partner.get("/v1/incidents/1").await.body);
    let synopsis = ours["synopsis"].as_str().unwrap();
    assert_eq!(theirs["synopsis"], format!("[TEST] {synopsis}"));
    assert!(!synopsis.contains("[TEST]"), "the record at home stays as it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn c_27_a_case_that_ends_without_a_solution_has_the_same_one_at_both_sites() {
    let pair = shared().await;
    pair.partner.act("/v1/incidents/1/resolve", bert(json!({}))).await;
    let ours = pair.end_user.when(1, "the end", |shown| shown["phase"] == "review").await;
    let theirs = pair.partner.get("/v1/incidents/1").await.body;
    assert!(ours["solution"].as_str().is_some_and(|text| !text.is_empty()));
    assert_eq!((&ours["solution"], &ours["completion_code"]), (&theirs["solution"], &theirs["completion_code"]));

    // C-16: reopened, the solution is gone at both, and quoted at both.
    pair.end_user.act("/v1/incidents/1/reopen", anna(json!({"comment": "It fails again"}))).await;
    let theirs = pair.partner.when(1, "the reopening", |shown| shown["phase"] == "initial_support").await;
    assert_eq!((&theirs["solution"], &theirs["completion_code"]), (&Value::Null, &Value::Null));
    assert!(texts(&theirs).iter().any(|text| text.contains("Previous solution was")), "{:?}", texts(&theirs));
    pair.end_user.act("/v1/incidents/1/cancel", anna(json!({"comment": "Not needed any more"}))).await;
    let theirs = pair.partner.when(1, "the cancellation", |shown| shown["phase"] == "close").await;
    assert_eq!(theirs["completion_code"], "abandoned_by_user");
}

#[tokio::test(flavor = "multi_thread")]
async fn c_50_dissatisfied_with_what_is_resolved_closed_or_closed_for_good() {
    // Only resolved, and closed at a partner that opens it again: back to work, the same case.
    let pair = shared().await;
    for end in ["resolve", "close"] {
        pair.partner.act(&format!("/v1/incidents/1/{end}"), bert(json!({"solution": "Reseated"}))).await;
        pair.end_user
            .when(1, end, |shown| shown["solution"] == "Reseated" && shown["phase"] != "initial_support")
            .await;
        pair.end_user.act("/v1/incidents/1/reopen", anna(json!({"comment": "It fails again"}))).await;
        let theirs = pair.partner.when(1, "the work to go on", |shown| shown["phase"] == "initial_support").await;
        assert_eq!(theirs["case_id"], "CASE-1");
    }
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident").await, 1);

    // Closed for good: a new case; what the old one was stays in the history, and it hears nothing more.
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.partner.edit_config("[case]\n", "[case]\nreopen_closed = false\n");
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "open").await;
    pair.partner.act("/v1/incidents/1/close", bert(json!({"solution": "Reseated"}))).await;
    pair.end_user.step(1, "partner", "closed").await;
    pair.end_user.act("/v1/incidents/1/reopen", anna(json!({"comment": "It fails again"}))).await;
    let ours = pair.end_user.when(1, "the new case", |shown| shown["case_id"] == "CASE-2").await;
    let history = ours["history"].to_string();
    assert!(history.contains("case CASE-1 is closed and does not open again"), "{history}");
    let theirs = pair.partner.get("/v1/incidents/2").await.body;
    assert!(texts(&theirs).contains(&"anna: It fails again".to_owned()), "{theirs}");
    let old = pair.partner.get("/v1/incidents/1").await.body;
    assert_eq!((&old["phase"], texts(&old).len()), (&json!("close"), 0), "{old}");
    assert_eq!(pair.end_user.get("/v1/parked").await.body["total"], 0);
}
