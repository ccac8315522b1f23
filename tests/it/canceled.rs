//! A case that is canceled, by whichever way: it ends at both sites, and nothing more is said of it until it is reopened (C-13).

use serde_json::{Value, json};

use crate::support::caller::{Caller, assert_refused, exchange, operation};
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL, partner_config};
use crate::support::row::comments;
use crate::support::wire::free_port;
use crate::support::{Pair, Site, eventually};

fn by(operator: &str, more: Value) -> Value {
    let mut body = json!({ "operator": operator });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn shared(count: i64) -> Pair {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    for number in 1..=count {
        pair.end_user.insert(number as usize, 1).await;
        pair.end_user.step(number, "partner", "open").await;
    }
    pair
}

/// What went out from both sites, ever.
async fn said(pair: &Pair) -> [i64; 2] {
    let sent = "SELECT count(*) FROM history WHERE action IN ('operation_applied', 'case_accepted')";
    [pair.end_user.count(sent).await, pair.partner.count(sent).await]
}

async fn at_rest(pair: &Pair) {
    for site in [&pair.end_user, &pair.partner] {
        eventually("an empty outbox", || async { (site.get("/v1/outbox").await.body["total"] == 0).then_some(()) })
            .await;
        assert_eq!(site.get("/v1/parked").await.body["total"], 0, "{}", site.alias);
    }
}

/// A person compares the two, and repairs what differs: nothing does.
async fn agree(pair: &Pair) {
    at_rest(pair).await;
    let before = said(pair).await;
    let answer = pair.end_user.act("/v1/reconcile", by("anna", json!({"apply": true}))).await;
    assert_eq!(answer["differences"], json!([]), "{answer}");
    at_rest(pair).await;
    assert_eq!(said(pair).await, before, "and nothing is told");
}

async fn over_at(site: &Site, incident: i64) -> Value {
    site.when(incident, "the end", |shown| shown["phase"] == "close").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_withdraws_or_refuses_a_case_ends_it_at_both_sites() {
    let pair = shared(5).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    let withdrawn = json!({"completion_code": "withdrawn_by_user", "solution": "A test", "comment": "Never mind"});

    // By command, from above, and from below once the case was taken back.
    partner.act("/v1/incidents/1/resolve", by("bert", withdrawn.clone())).await;
    north.act("/v1/incidents/2/take", by("anna", json!({}))).await;
    north.act("/v1/incidents/2/resolve", by("anna", withdrawn)).await;
    // By another program, in whichever phase it leaves the record.
    north.execute("UPDATE incident SET phase = 'review', completion_code = 'withdrawn_by_user' WHERE id = 3").await;
    partner.act("/v1/incidents/4/resolve", by("bert", json!({"solution": "Reseated"}))).await;
    north.when(4, "the solution", |shown| shown["phase"] == "review").await;
    partner.execute("UPDATE incident SET completion_code = 'withdrawn_by_user' WHERE id = 4").await;
    for (incident, canceling, other) in
        [(1, partner, north), (2, north, partner), (3, north, partner), (4, partner, north)]
    {
        let ours = over_at(canceling, incident).await;
        assert_eq!(ours["completion_code"], "withdrawn_by_user", "{ours}");
        let theirs = over_at(other, incident).await;
        assert_eq!(theirs["completion_code"], "abandoned_by_user", "{theirs}");
        assert_eq!(theirs["solution"], "Incident canceled by external system");
        for shown in [over_at(canceling, incident).await, theirs] {
            assert_eq!(shown["exchanges"][0]["step"], "closed", "{shown}");
        }
    }

    // What the daemon closed by itself is a step of the case like any other.
    for (site, incident, ends) in [
        (north, 3, "SELECT count(*) FROM milestone WHERE incident = 3 AND state = 'canceled'"),
        (partner, 4, "SELECT count(*) FROM milestone WHERE incident = 4 AND state = 'canceled'"),
    ] {
        let lines = site.told(incident, "state_changed").await;
        assert_eq!(lines, ["closed, since its completion code is withdrawn_by_user"]);
        assert_eq!(site.count(ends).await, 1, "{}", site.alias);
    }

    // One that is refused is over where it was refused, and with its client again (C-18).
    partner.act("/v1/incidents/5/resolve", by("bert", json!({"completion_code": "request_rejected"}))).await;
    assert_eq!(over_at(partner, 5).await["exchanges"][0]["step"], "rejected");
    let ours = north.step(5, "partner", "rejected").await;
    assert_eq!(ours["phase"], "initial_support");
    let refused =
        north.post("/v1/incidents/5/resolve", by("anna", json!({"completion_code": "withdrawn_by_user"}))).await;
    assert_eq!(refused.status, 200, "it is north's own affair by now: {}", refused.body);
    over_at(north, 5).await;
    agree(&pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c_13_after_a_cancel_nothing_is_told_but_the_reopening_and_what_was_written_meanwhile() {
    let pair = shared(1).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    north.act("/v1/incidents/1/cancel", by("anna", json!({"comment": "Not needed"}))).await;
    let theirs = over_at(partner, 1).await;
    assert_eq!(comments(&theirs), ["anna: Not needed"], "it goes with the Cancel");
    at_rest(&pair).await;
    let before = said(&pair).await;

    north.act("/v1/incidents/1/comments", by("anna", json!({"text": "From below"}))).await;
    partner.act("/v1/incidents/1/comments", by("bert", json!({"text": "From above"}))).await;
    for site in [north, partner] {
        let field = json!({"solution": "By command"});
        let refused = site.post("/v1/incidents/1/update", by("carl", field)).await;
        assert_eq!(refused.status, 409, "{}", refused.body);
        assert!(refused.body["detail"].as_str().unwrap().contains("reopen it first"), "{}", refused.body);
    }
    partner.execute("UPDATE incident SET solution = 'Else', case_status = 'Archived' WHERE id = 1").await;
    north.execute("UPDATE incident SET solution = 'Other' WHERE id = 1").await;
    north.attach(1, "late.log", b"too late").await;
    // A later change of another incident passes by: what comes before it was looked at.
    north.insert(2, 1).await;
    north.step(2, "partner", "open").await;
    north.attach(2, "other.log", b"in time").await;
    partner.has_file(2, "other.log", b"in time").await;
    assert!(pair.wire.asked_for(b"in time") > 0);
    assert_eq!(pair.wire.asked_for(b"too late"), 0, "nor is a file asked for of which nobody was told");
    partner.act("/v1/incidents/2/update", by("bert", json!({"comment": "On its way"}))).await;
    north.when(2, "the comment", |shown| !comments(shown).is_empty()).await;
    at_rest(&pair).await;
    let [ours, theirs] = said(&pair).await;
    assert_eq!([ours, theirs], [before[0] + 2, before[1] + 2], "what the other incident says alone");
    assert_eq!(comments(&north.get("/v1/incidents/1").await.body).len(), 2, "and of the first nothing");

    // Reopened it is told, from both sides.
    partner.act("/v1/incidents/1/reopen", by("bert", json!({}))).await;
    north.when(1, "the reopening", |shown| shown["phase"] == "initial_support").await;
    north.when(1, "what was said above", |shown| comments(shown).contains(&"bert: From above".to_owned())).await;
    partner.when(1, "what was said below", |shown| comments(shown).contains(&"anna: From below".to_owned())).await;
    north.when(1, "the status", |shown| shown["case_status"] == "Reopened").await;
    partner.has_file(1, "late.log", b"too late").await;
    agree(&pair).await;
}

/// A partner, and a client that says what no honest one would.
async fn alone() -> (Site, Caller) {
    let port = free_port();
    let mut site = Site::new("partner", &partner_config(port, ACCEPT_ALL));
    site.start().await;
    let caller = Caller::north(port);
    caller.create(1).await;
    site.when(1, "the case", |shown| !shown["case_id"].is_null()).await;
    (site, caller)
}

/// How the partner writes the ID of a comment.
fn uid(number: u128) -> String {
    uuid::Uuid::from_u128(number).to_string()
}

/// An operation by one who knows the first `seen` of the partner's.
fn knowing(seen: u64, seq: u64, kind: &str, content: Value) -> Value {
    let mut one = operation(1, seq, kind, content);
    one["seen"] = json!(seen);
    one
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_late_does_not_undo_a_cancel_and_is_noted() {
    let (site, caller) = alone().await;
    let cancel = caller.operate(knowing(1, 2, "cancel", json!({}))).await;
    assert_eq!(cancel["outcome"], "applied", "{cancel}");
    let comment =
        json!({"id": exchange(70), "author": "anna", "written_at": "2026-11-21T12:00:00Z", "text": "By the way"});
    let late = json!({"solution": "un-cancel", "completion_code": "fulfilled", "comments": [comment]});
    for (seq, kind) in [(3, "close"), (4, "update"), (5, "resolve")] {
        let result = caller.operate(knowing(1, seq, kind, late.clone())).await;
        assert_eq!(result["outcome"], "applied", "{kind}: {result}");
        let shown = site.get("/v1/incidents/1").await.body;
        assert_eq!(shown["solution"], "Incident canceled by external system", "{kind}: {shown}");
        assert_eq!((&shown["phase"], &shown["completion_code"]), (&json!("close"), &json!("abandoned_by_user")));
        assert_eq!(comments(&shown), ["anna: By the way"], "what people wrote is not lost");
        let noted = shown["history"].to_string().matches("it was canceled before, and how it ended stands").count();
        assert_eq!(noted as u64, seq - 2, "{shown}");
    }
    let reopened = caller.operate(knowing(1, 6, "reopen", json!({}))).await;
    assert_eq!(reopened["outcome"], "applied", "{reopened}");
    assert_eq!(site.get("/v1/incidents/1").await.body["phase"], "initial_support");
}

#[tokio::test(flavor = "multi_thread")]
async fn c_20_what_the_phase_does_not_allow_is_refused_with_its_reason_and_changes_nothing() {
    let (site, caller) = alone().await;
    let record = || async {
        let shown = site.get("/v1/incidents/1").await.body;
        (
            shown["phase"].clone(),
            shown["solution"].clone(),
            shown["comments"].clone(),
            shown["exchanges"][0]["step"].clone(),
        )
    };
    let refused = |seq, kind: &'static str, reason: &'static str| {
        let (site, caller, record) = (&site, &caller, &record);
        async move {
            let before = record().await;
            let seen = site.get("/v1/incidents/1").await.body["exchanges"][0]["sent"].as_u64().unwrap();
            let result = caller.operate(knowing(seen, seq, kind, json!({"solution": "x"}))).await;
            assert_refused(&result, 409, "illegal", &[kind, reason]);
            assert_eq!(record().await, before);
        }
    };
    refused(2, "reopen", "open").await;
    refused(2, "assign", "in this site's hands already").await;
    // Whoever says that it has seen more than there is knows all.
    assert_refused(&caller.operate(knowing(99, 2, "reopen", json!({}))).await, 409, "illegal", &["reopen", "open"]);
    assert_eq!(caller.operate(knowing(1, 2, "close", json!({}))).await["outcome"], "applied");
    refused(3, "resolve", "closed").await;
    // One that had not heard of everything may have crossed something, and is borne.
    let crossed = caller.operate(knowing(0, 3, "resolve", json!({}))).await;
    assert_eq!(crossed["outcome"], "applied", "{crossed}");
    assert_eq!(site.get("/v1/incidents/1").await.body["phase"], "close");
}

#[tokio::test(flavor = "multi_thread")]
async fn c_09_who_submitted_a_case_does_not_give_it_back() {
    let (site, caller) = alone().await;
    for seen in [0, 1, 99] {
        let result = caller.operate(knowing(seen, 2, "reject", json!({}))).await;
        assert_refused(&result, 409, "illegal", &["reject", "submitted to", "cancel"]);
    }
    let shown = site.get("/v1/incidents/1").await.body;
    assert_eq!(shown["exchanges"][0]["step"], "open", "{shown}");
    site.act("/v1/incidents/1/resolve", by("bert", json!({"solution": "Reseated"}))).await;

    // An honest site whose program knows no better takes its case back.
    let pair = shared(1).await;
    pair.end_user
        .execute("UPDATE incident SET phase = 'close', completion_code = 'request_rejected' WHERE id = 1")
        .await;
    assert_eq!(over_at(&pair.partner, 1).await["completion_code"], "abandoned_by_user");
    pair.end_user.step(1, "partner", "closed").await;
    pair.end_user.act("/v1/incidents/1/comments", by("anna", json!({"text": "Later"}))).await;
    agree(&pair).await;
    pair.partner.act("/v1/incidents/1/reopen", by("bert", json!({}))).await;
    pair.end_user.when(1, "the reopening", |shown| shown["phase"] == "initial_support").await;
    pair.partner.when(1, "what was said", |shown| comments(shown).contains(&"anna: Later".to_owned())).await;
    agree(&pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_a_case_is_not_told_as_news() {
    let (site, caller) = alone().await;
    let named = |name: &str| json!({"milestones": [{"id": exchange(80), "n": 5, "at": "2026-11-21T12:00:00Z", "fact": {"named": name}}]});
    for (seq, name) in [(2, "first"), (3, "first"), (4, "second")] {
        let result = caller.operate(knowing(1, seq, "update", named(name))).await;
        assert_eq!(result["outcome"], "applied", "{result}");
    }
    let other = format!("update; left alone, for something else is known by its ID: milestone {}", uid(80));
    let told = ["update: milestone \"first\"".to_owned(), "update".into(), other];
    assert_eq!(site.told(1, "operation_applied").await, told);
    assert_eq!(site.count("SELECT count(*) FROM milestone WHERE fact ->> '$.named' IS NOT NULL").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_contradicts_itself_is_refused_by_name_and_the_words_of_others_stay() {
    let (site, caller) = alone().await;
    let comment = |id, text: &str, more: Value| {
        let mut one = json!({"id": exchange(id), "author": "anna", "written_at": "2026-11-21T12:00:00Z", "text": text});
        one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        one
    };
    let twice = json!({"comments": [comment(70, "one", json!({})), comment(70, "other", json!({}))]});
    let result = caller.operate(knowing(1, 2, "update", twice)).await;
    assert_refused(&result, 422, "content", &["comment", &uid(70), "twice"]);
    let file = |name: &str, bytes: u64| json!({"name": name, "bytes": bytes, "sha256": "ab".repeat(32)});
    let lengths = json!({"attachments": [file("f.bin", 200_000), file("f.bin", 3)]});
    let result = caller.operate(knowing(1, 2, "update", lengths)).await;
    assert_refused(&result, 422, "content", &["f.bin", "3 bytes long"]);
    let two = json!({"attachments": [file("f.bin", 3), {"name": "f.bin", "bytes": 3, "sha256": "cd".repeat(32)}]});
    let result = caller.operate(knowing(1, 2, "update", two)).await;
    assert_refused(&result, 422, "content", &["f.bin", "two contents"]);
    // With these codes a case is over at once, and other operations than a Cancel or a Reject say that it is not.
    for kind in ["update", "resolve", "close", "assign", "accept"] {
        for code in ["withdrawn_by_user", "request_rejected"] {
            let ends = json!({"solution": "s", "completion_code": code});
            let result = caller.operate(knowing(1, 2, kind, ends)).await;
            assert_refused(&result, 422, "content", &["completion_code", code, kind]);
        }
    }
    let shown = site.get("/v1/incidents/1").await.body;
    assert_eq!((&shown["phase"], &shown["completion_code"]), (&json!("initial_support"), &Value::Null));
    assert_eq!(comments(&shown).len(), 0);

    // An edit of what somebody else wrote: an honest site may have lost whose it is, so that it is noted and left alone.
    site.execute(format!(
        "INSERT INTO comment (incident, uid, author, text) VALUES (1, '{}', 'bert', 'Ours')",
        exchange(71)
    ))
    .await;
    for (seq, more) in [(2, json!({"edits": 1})), (3, json!({"deleted": true, "edits": 2}))] {
        let changes = json!({"comments": [comment(71, "Theirs", more)]});
        let result = caller.operate(knowing(1, seq, "update", changes)).await;
        assert_eq!(result["outcome"], "applied", "{result}");
        let shown = site.get("/v1/incidents/1").await.body;
        assert_eq!(comments(&shown), ["bert: Ours"]);
        let noted = format!("left alone, for it is not theirs: comment {}", uid(71));
        assert_eq!(shown["history"].to_string().matches(&noted).count() as u64, seq - 1, "{shown}");
    }
}
