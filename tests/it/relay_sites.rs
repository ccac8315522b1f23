//! Three sites in a row: an end user, the partner that it submits to, and the vendor that the partner hands cases on to.

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::pair::{ACCEPT_ALL, SUBMIT_ALL};
use crate::support::row::{ESCALATE_ALL, Row, RowPlan, comments, exchange, ring};
use crate::support::wire::Fault;

/// Anybody who acts in a story; who it is does not matter.
fn by(mut request: Value) -> Value {
    request["operator"] = "bert".into();
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_is_handed_on_is_the_same_at_three_sites() {
    let row = Row::start(RowPlan::default()).await;
    row.submitted().await;
    assert_eq!(row.vendor.count("SELECT count(*) FROM incident").await, 0, "the partner decides first");
    let form = json!({"form": {"priority": "1 - Critical", "comment": "Our spare part did not help"}});
    row.partner.act("/v1/incidents/1/escalate", by(form)).await;
    let theirs = row.vendor.when(1, "the incident", |shown| shown["client"] == "partner").await;
    assert_eq!(theirs["trace_route"], json!(["north", "partner"]), "A-33: the end user's alias and the way");
    assert_eq!(theirs["priority"], "1 - Critical");
    assert_eq!(theirs["tracking_number"], "CRQ-1", "what the form left out comes from the client's");
    let again = row.partner.post("/v1/incidents/1/escalate", by(json!({}))).await;
    assert_eq!((again.status, again.body["type"].as_str()), (409, Some("urn:casebridge:problem:already-submitted")));

    // Down: the case, news, a solution, the end.
    row.vendor.act("/v1/incidents/1/accept", by(json!({"comment": "On it"}))).await;
    let ours = row.north.step(1, "partner", "open").await;
    assert_eq!(ours["case_id"], "vendor-1", "the upstream's case passes");
    assert_eq!(ours["case_link"], "https://vendor.example/vendor-1");
    row.vendor.act("/v1/incidents/1/update", by(json!({"status": "In Progress"}))).await;
    row.north.when(1, "the status", |shown| shown["case_status"] == "In Progress").await;
    // Up: what the end user says, under the name of who said it.
    row.north.act("/v1/incidents/1/update", json!({"comment": "Still down", "operator": "anna"})).await;
    let told = row.vendor.when(1, "the comment", |shown| comments(shown).len() == 2).await;
    assert_eq!(comments(&told), ["bert: On it", "anna: Still down"]);
    row.vendor.act("/v1/incidents/1/resolve", by(json!({"solution": "Replaced the routing engine"}))).await;
    let solved = row.north.when(1, "the solution", |shown| shown["phase"] == "review").await;
    assert_eq!(solved["solution"], "Replaced the routing engine");
    for (site, side) in [(&row.north, "here"), (&row.partner, "north"), (&row.vendor, "partner")] {
        let waits = site.get("/v1/incidents/1/why").await.body;
        assert_eq!(
            (&waits["side"], waits["waits_for"].to_string().contains("solved")),
            (&json!(side), true),
            "{waits}"
        );
        let shown = site.get("/v1/incidents/1").await.body;
        assert_ne!(waits["since"], shown["created_at"], "since it was solved");
    }
    row.north.act("/v1/incidents/1/close", json!({"operator": "anna"})).await;
    row.vendor.step(1, "partner", "closed").await;
    row.at_rest().await;
    for site in row.sites() {
        let shown = site.get("/v1/incidents/1").await.body;
        assert_eq!((shown["phase"].as_str(), comments(&shown).len()), (Some("close"), 2), "{}", site.alias);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_settles_a_case_anew_towards_both_its_sides() {
    let row = Row::start(RowPlan::default()).await;
    row.escalated().await;
    row.vendor.act("/v1/incidents/1/update", by(json!({"status": "In Progress"}))).await;
    row.north.when(1, "the status", |shown| shown["case_status"] == "In Progress").await;
    row.at_rest().await;
    // Both lost it, each in a way that nobody noticed.
    let lost = "UPDATE incident SET bridge = bridge + 1, case_status = 'Lost'";
    row.north.execute(lost).await;
    row.partner.execute(format!("{lost}, upstream_case_status = 'Lost'")).await;
    let told = row.partner.command(&["resync", "1"]).ok();
    assert!(told.contains("as vendor has it; north is told everything"), "{told}");
    row.partner.when(1, "the vendor's status", |shown| shown["case_status"] == "In Progress").await;
    row.north.when(1, "the vendor's status", |shown| shown["case_status"] == "In Progress").await;
    row.at_rest().await;

    // With the vendor away the end user is told all the same.
    row.upper.set(Fault::Down);
    let told = row.partner.command(&["resync", "1"]).ok();
    assert!(told.starts_with("north is told everything"), "{told}");
    assert!(told.contains("not so towards the site above"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_34_what_is_handled_here_makes_no_traffic_upstream() {
    let row = Row::start(RowPlan::default()).await;
    row.submitted().await;
    row.north.act("/v1/incidents/1/update", json!({"comment": "Still down", "operator": "anna"})).await;
    row.partner.when(1, "the comment", |shown| comments(shown).len() == 1).await;
    // Who solves it has taken it.
    row.partner.act("/v1/incidents/1/resolve", by(json!({"solution": "Reseated the card"}))).await;
    let solved = row.north.when(1, "the solution", |shown| shown["phase"] == "review").await;
    assert_eq!((&solved["case_id"], &solved["solution"]), (&json!("partner-1"), &json!("Reseated the card")));
    row.partner.act("/v1/incidents/1/close", by(json!({}))).await;
    row.north.step(1, "partner", "closed").await;
    row.at_rest().await;
    assert_eq!(row.vendor.count("SELECT count(*) FROM incident").await, 0);
    assert_eq!(row.partner.count("SELECT count(*) FROM reference WHERE towards = 'upstream'").await, 0);
    let late = row.partner.post("/v1/incidents/1/escalate", by(json!({}))).await;
    assert_eq!(late.status, 409, "what is closed is not handed on: {}", late.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_34_who_works_on_what_was_handed_on_takes_no_case_from_the_site_above() {
    let row = Row::start(RowPlan::default()).await;
    row.submitted().await;
    row.partner.act("/v1/incidents/1/escalate", by(json!({"form": {"priority": "1 - Critical"}}))).await;
    row.vendor.when(1, "the incident", |shown| shown["client"] == "partner").await;
    for verb in ["claim", "process"] {
        row.partner.act(&format!("/v1/cases/1/{verb}"), by(json!({}))).await;
    }
    assert_eq!(row.partner.get("/v1/incidents/1").await.body["case_id"], Value::Null);
    row.vendor.act("/v1/cases/1/claim", by(json!({}))).await;
    let ours = row.north.step(1, "partner", "open").await;
    assert_eq!(ours["case_id"], "vendor-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_the_two_verbs_is_for_its_own_incidents() {
    let row = Row::start(RowPlan::default()).await;
    row.submitted().await;
    row.partner.insert(7, 1).await;
    row.partner.when(2, "an incident of its own", |shown| shown["submission"] == "held").await;
    let rows = [(1, "submit", "casebridge escalate"), (2, "escalate", "casebridge submit")];
    for (incident, verb, said) in rows {
        let answer = row.partner.post(&format!("/v1/incidents/{incident}/{verb}"), by(json!({}))).await;
        assert_eq!(answer.status, 409, "{}", answer.body);
        assert!(answer.body["detail"].as_str().unwrap().contains(said), "{}", answer.body);
    }
    let done = row.partner.command(&["escalate", "1", "--priority", "1 - Critical"]).ok();
    assert_eq!(done, "incident 1 is escalated\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_hand_on_what_they_match_and_leave_the_rest_to_a_person() {
    let policy = "[[case.escalate]]\nname = \"one device\"\ngroups = [\"north\"]\nhas_words = [\"3\"]\n";
    let plan = RowPlan { north: SUBMIT_ALL, partner: policy, vendor: ACCEPT_ALL };
    let row = Row::start(plan).await;
    row.north.insert(0, 5).await;
    eventually("the one case", || async {
        let open = row.north.count("SELECT count(*) FROM incident WHERE case_id LIKE 'vendor-%'").await;
        (open == 1).then_some(())
    })
    .await;
    eventually("the others to be held", || async {
        (row.partner.count("SELECT count(*) FROM incident WHERE submission = 'held'").await == 4).then_some(())
    })
    .await;
    assert_eq!(row.vendor.count("SELECT count(*) FROM incident WHERE synopsis = 'Chassis alarm 3'").await, 1);
    assert_eq!(row.vendor.count("SELECT count(*) FROM incident").await, 1);
    let form = "SELECT count(*) FROM history WHERE action = 'submitted' AND detail LIKE '%one device%'";
    assert_eq!(row.partner.count(form).await, 1, "the history names the policy");
}

#[tokio::test(flavor = "multi_thread")]
async fn c_52_cancel_reaches_the_third_site_though_the_second_is_down_at_the_time() {
    let mut row = Row::start(RowPlan::default()).await;
    row.escalated().await;
    row.partner.kill();
    row.north.act("/v1/incidents/1/cancel", by(json!({}))).await;
    row.north
        .when(1, "the cancel to be queued", |shown| exchange(shown, "partner")["pending"][0]["operation"] == "cancel")
        .await;
    // It dies once more, between its store and its state.
    row.partner.crash_at("OperationApplied");
    row.partner.spawn();
    row.partner.exited().await;
    assert_eq!(row.vendor.get("/v1/incidents/1").await.body["phase"], "initial_support");
    row.partner.start().await;
    let canceled = row.vendor.step(1, "partner", "closed").await;
    assert_eq!(canceled["completion_code"], "abandoned_by_user");
    assert_eq!(canceled["solution"], "Incident canceled by external system");
    // What the partner took before it died may be told after it.
    let mut told = canceled["history"].as_array().unwrap().iter().filter_map(|line| line["detail"].as_str());
    assert!(told.any(|detail| detail.starts_with("cancel")), "{canceled}");
    row.at_rest().await;
    assert_eq!(row.north.get("/v1/incidents/1").await.body["phase"], "close");
}

#[tokio::test(flavor = "multi_thread")]
async fn c_53_solved_not_satisfied_solved_again_over_two_hops() {
    let mut row = Row::start(RowPlan::default()).await;
    row.escalated().await;
    // The solution is in the partner's store and nowhere else when it dies.
    row.partner.kill();
    row.partner.crash_at("FeedWrittenBack");
    row.vendor.act("/v1/incidents/1/resolve", by(json!({"solution": "Turn it off and on\nagain"}))).await;
    row.partner.spawn();
    row.partner.exited().await;
    row.partner.start().await;
    let solved = row.north.when(1, "the solution", |shown| shown["phase"] == "review").await;
    assert_eq!(solved["solution"], "Turn it off and on\nagain", "it arrives unchanged");

    row.partner.kill();
    row.partner.crash_at("OperationApplied");
    row.partner.spawn();
    row.north.execute("INSERT INTO comment (incident, author, text) VALUES (1, 'anna', 'It fails again')").await;
    row.north.execute("UPDATE incident SET phase = 'initial_support', solution = NULL, completion_code = NULL").await;
    row.partner.exited().await;
    row.partner.start().await;
    let reopened = row.vendor.when(1, "the reopen", |shown| shown["phase"] == "initial_support").await;
    assert_eq!(reopened["solution"], Value::Null);
    let reopened = row.vendor.when(1, "what the end user says", |shown| comments(shown).len() == 2).await;
    let mut told = comments(&reopened);
    told.sort();
    let remark = "partner: Incident was reopened. Previous solution was: Turn it off and on\nagain.";
    assert_eq!(told, ["anna: It fails again", remark], "the first solution is kept, once");

    row.vendor.act("/v1/incidents/1/resolve", by(json!({"solution": "Replaced it"}))).await;
    let solved = row.north.when(1, "the second solution", |shown| shown["phase"] == "review").await;
    assert_eq!(solved["solution"], "Replaced it");
    row.north.act("/v1/incidents/1/close", by(json!({}))).await;
    row.vendor.step(1, "partner", "closed").await;
    row.at_rest().await;
    let remarks = "SELECT count(*) FROM comment WHERE text LIKE 'Incident was reopened%'";
    assert_eq!((row.partner.count(remarks).await, row.vendor.count(remarks).await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn c_50_a_closed_case_is_opened_again_over_two_hops() {
    let mut row = Row::start(RowPlan::default()).await;
    row.escalated().await;
    row.vendor.act("/v1/incidents/1/close", by(json!({"solution": "Replaced it"}))).await;
    row.north.step(1, "partner", "closed").await;
    row.partner.kill();
    row.north.execute("UPDATE incident SET phase = 'initial_support', solution = NULL, completion_code = NULL").await;
    row.partner.crash_at("OperationApplied");
    row.partner.spawn();
    row.partner.exited().await;
    row.partner.start().await;
    let reopened = row.vendor.step(1, "partner", "open").await;
    assert_eq!(reopened["phase"], "initial_support");
    assert_eq!(reopened["case_id"], "vendor-1", "the case is the same one");
    row.at_rest().await;
    for (site, peer) in [(&row.north, "partner"), (&row.partner, "vendor"), (&row.partner, "north")] {
        assert_eq!(exchange(&site.get("/v1/incidents/1").await.body, peer)["step"], "open", "{}", site.alias);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c_50_where_the_third_site_opens_no_closed_case_the_second_submits_anew() {
    let mut row = Row::new(RowPlan::default()).await;
    row.vendor.edit_config("[case]\n", "[case]\nreopen_closed = false\n");
    row.vendor.start().await;
    row.partner.start().await;
    row.north.start().await;
    row.escalated().await;
    row.vendor.act("/v1/incidents/1/close", by(json!({"solution": "Replaced it"}))).await;
    row.north.step(1, "partner", "closed").await;
    // The partner dies over the Reopen, and once more when it has decided what becomes of it.
    row.partner.kill();
    row.north.act("/v1/incidents/1/reopen", json!({"operator": "anna", "comment": "It fails again"})).await;
    for point in ["OperationApplied", "PushAnswered"] {
        row.partner.crash_at(point);
        row.partner.spawn();
        row.partner.exited().await;
    }
    row.partner.start().await;
    let again = row.vendor.when(2, "a second incident", |shown| shown["client"] == "partner").await;
    assert!(comments(&again).contains(&"anna: It fails again".to_owned()), "{again}");
    row.vendor.act("/v1/incidents/2/accept", by(json!({}))).await;
    let ours = row.north.when(1, "the second case", |shown| shown["case_id"] == "vendor-2").await;
    assert_eq!((&ours["phase"], &ours["solution"]), (&json!("initial_support"), &Value::Null));
    row.at_rest().await;
    assert_eq!(row.vendor.get("/v1/incidents/1").await.body["phase"], "close", "the first one stays as it ended");
    let told = row.partner.get("/v1/incidents/1").await.body["history"].to_string();
    assert!(told.contains("case vendor-1 is closed and does not open again"), "{told}");
    row.vendor.act("/v1/incidents/2/close", by(json!({"solution": "Replaced the other one"}))).await;
    let closed = row.north.step(1, "partner", "closed").await;
    assert_eq!(closed["solution"], "Replaced the other one");
    row.at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c_54_a_question_travels_down_two_hops_and_its_answer_up_two() {
    let mut row = Row::start(RowPlan::default()).await;
    row.escalated().await;
    assert_eq!(row.holders().await, ["peer", "us", "peer", "us"], "the vendor has the case in hand");
    row.partner.kill();
    let question = json!({"group": "partner", "comment": "Which firmware runs there?"});
    row.vendor.act("/v1/incidents/1/assign", by(question)).await;
    row.partner.crash_at("FeedWrittenBack");
    row.partner.spawn();
    row.partner.exited().await;
    row.partner.start().await;
    let asked = row.north.when(1, "the question", |shown| shown["case_status"] == "Pending Customer").await;
    assert!(comments(&asked).contains(&"bert: Which firmware runs there?".to_owned()), "{asked}");
    row.at_rest().await;
    row.held_by(["us", "peer", "us", "peer"]).await;
    let waits = row.partner.get("/v1/incidents/1/why").await.body;
    assert_eq!(waits["side"], "north", "the one that was asked, and not the vendor: {waits}");

    row.partner.kill();
    let answer = json!({"group": "partner", "comment": "22.4R3", "operator": "anna"});
    row.north.act("/v1/incidents/1/assign", answer).await;
    row.partner.crash_at("OperationApplied");
    row.partner.spawn();
    row.partner.exited().await;
    row.partner.start().await;
    let answered = row.vendor.when(1, "work to go on", |shown| shown["case_status"] == "In Progress").await;
    assert!(comments(&answered).contains(&"anna: 22.4R3".to_owned()), "{answered}");
    row.north.when(1, "work to go on", |shown| shown["case_status"] == "In Progress").await;
    row.at_rest().await;
    row.held_by(["peer", "us", "peer", "us"]).await;
    for site in row.sites() {
        let said = "SELECT count(*) FROM comment WHERE text IN ('22.4R3', 'Which firmware runs there?')";
        assert_eq!(site.count(said).await, 2, "{}: nothing is doubled", site.alias);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c_51_a_relay_asks_its_client_itself_and_the_answer_comes_back_to_whoever_works_on_it() {
    // Before it was handed on: the two alone.
    let row = Row::start(RowPlan::default()).await;
    row.submitted().await;
    row.partner.act("/v1/incidents/1/accept", by(json!({}))).await;
    row.north.step(1, "partner", "open").await;
    let question = json!({"group": "north", "comment": "Which slot?"});
    row.partner.act("/v1/incidents/1/assign", by(question.clone())).await;
    let asked = row.north.when(1, "the question", |shown| shown["case_status"] == "Pending Customer").await;
    assert!(comments(&asked).contains(&"bert: Which slot?".to_owned()), "{asked}");
    row.north.act("/v1/incidents/1/assign", json!({"group": "partner", "comment": "Slot 3", "operator": "anna"})).await;
    let back = row.partner.when(1, "work to go on", |shown| shown["case_status"] == "In Progress").await;
    assert!(comments(&back).contains(&"anna: Slot 3".to_owned()), "{back}");
    row.north.when(1, "work to go on", |shown| shown["case_status"] == "In Progress").await;
    row.at_rest().await;
    assert_eq!(row.vendor.count("SELECT count(*) FROM incident").await, 0, "it is nobody else's affair");

    // While the vendor works on it: taken from the vendor for as long as the client is asked.
    let mut row = Row::start(RowPlan::default()).await;
    row.escalated().await;
    row.partner.crash_at("DetectCommitted");
    row.partner.stop().await;
    row.partner.start().await;
    let asked = row.partner.request("POST", "/v1/incidents/1/assign").json(&by(question)).send().await;
    drop(asked);
    row.partner.exited().await;
    row.partner.start().await;
    row.north.when(1, "the question", |shown| shown["case_status"] == "Pending Customer").await;
    row.held_by(["us", "peer", "us", "peer"]).await;
    row.north.act("/v1/incidents/1/assign", json!({"group": "partner", "comment": "Slot 3", "operator": "anna"})).await;
    let answered = row.vendor.when(1, "the answer", |shown| comments(shown).contains(&"anna: Slot 3".to_owned())).await;
    assert_eq!(answered["case_status"], "Open", "the vendor was not asked, and its case was never pending");
    row.north.when(1, "work to go on", |shown| shown["case_status"] == "In Progress").await;
    row.at_rest().await;
    row.held_by(["peer", "us", "peer", "us"]).await;
    for site in row.sites() {
        let said = "SELECT count(*) FROM comment WHERE text IN ('Which slot?', 'Slot 3')";
        assert_eq!(site.count(said).await, 2, "{}: nothing is doubled", site.alias);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c_49_what_the_upstream_gives_back_is_solved_here_and_the_client_is_not_rejected() {
    let mut row = Row::start(RowPlan::default()).await;
    row.escalated().await;
    row.partner.kill();
    row.vendor.act("/v1/incidents/1/reject", by(json!({"comment": "Not under contract"}))).await;
    row.partner.crash_at("FeedWrittenBack");
    row.partner.spawn();
    row.partner.exited().await;
    row.partner.start().await;
    let back = row.partner.step(1, "vendor", "rejected").await;
    assert_eq!((back["submission"].as_str(), back["phase"].as_str()), (Some("held"), Some("initial_support")));
    assert_eq!(back["completion_code"], Value::Null, "it is not the client who is rejected");
    assert_eq!(exchange(&back, "north")["step"], "open");
    let told = row.north.when(1, "what the vendor said", |shown| !comments(shown).is_empty()).await;
    assert_eq!(comments(&told), ["bert: Not under contract"]);
    assert_eq!(
        (exchange(&told, "partner")["step"].as_str(), told["case_status"].as_str()),
        (Some("open"), Some("Open"))
    );
    for site in [&row.partner, &row.north] {
        let ended = "SELECT count(*) FROM milestone WHERE state IN ('resolved', 'completed', 'canceled')";
        assert_eq!(site.count(ended).await, 0, "{}: no clock stands still", site.alias);
    }

    row.partner.act("/v1/incidents/1/resolve", by(json!({"solution": "Reseated the card"}))).await;
    row.partner.act("/v1/incidents/1/close", by(json!({}))).await;
    let closed = row.north.step(1, "partner", "closed").await;
    assert_eq!(
        (closed["solution"].as_str(), closed["completion_code"].as_str()),
        (Some("Reseated the card"), Some("fulfilled"))
    );
    row.at_rest().await;
    let told = "SELECT count(*) FROM history WHERE action = 'operation_applied'";
    assert_eq!(row.vendor.count(told).await, 0, "closing afterwards tells the vendor nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_back_can_be_handed_on_anew() {
    let row = Row::start(RowPlan::default()).await;
    row.escalated().await;
    row.vendor.act("/v1/incidents/1/reject", by(json!({}))).await;
    row.partner.step(1, "vendor", "rejected").await;
    row.partner.act("/v1/incidents/1/escalate", by(json!({"form": {"comment": "Under contract since May"}}))).await;
    row.partner.step(1, "vendor", "awaiting_case").await;
    let twice = row.partner.post("/v1/incidents/1/escalate", by(json!({}))).await;
    assert_eq!(twice.status, 409, "{}", twice.body);
    row.vendor.act("/v1/incidents/2/accept", by(json!({}))).await;
    let again = row.north.when(1, "the second case", |shown| shown["case_id"] == "vendor-2").await;
    assert_eq!(exchange(&again, "partner")["step"], "open");
    row.at_rest().await;
    assert_eq!(row.partner.count("SELECT count(*) FROM reference WHERE towards = 'upstream'").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn c_09_what_a_relay_gives_back_to_its_client_it_takes_back_from_the_site_above() {
    let row = Row::start(RowPlan::default()).await;
    row.escalated().await;
    row.partner.act("/v1/incidents/1/reject", by(json!({"comment": "Not our network"}))).await;
    row.north.step(1, "partner", "rejected").await;
    let above = row.vendor.step(1, "partner", "closed").await;
    assert_eq!(above["completion_code"], "abandoned_by_user", "{above}");
    row.partner.step(1, "vendor", "closed").await;
    row.at_rest().await;
    let compared = row.partner.act("/v1/reconcile", by(json!({"apply": true}))).await;
    assert_eq!(compared["differences"], json!([]), "{compared}");
}

/// The case as the end user sees it: ID, link and status.
fn case(shown: &Value) -> [Option<&str>; 3] {
    ["case_id", "case_link", "case_status"].map(|name| shown[name].as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_32_an_override_survives_what_the_upstream_says_later_and_can_be_cleared() {
    let mut row = Row::start(RowPlan::default()).await;
    row.escalated().await;
    let link = "https://desk.example/T-17";
    row.partner.command(&["override", "1", "--case-id", "T-17", "--case-link", link]).ok();
    let seen = row.north.when(1, "our own ID", |shown| shown["case_id"] == "T-17").await;
    assert_eq!(case(&seen), [Some("T-17"), Some(link), Some("Open")]);
    row.vendor.act("/v1/incidents/1/update", by(json!({"status": "In Progress"}))).await;
    let seen = row.north.when(1, "the status", |shown| shown["case_status"] == "In Progress").await;
    assert_eq!(case(&seen), [Some("T-17"), Some(link), Some("In Progress")], "what is not overridden follows");
    // The history tells the change of the upstream's case, and not of the one that the client sees.
    let history = row.partner.get("/v1/incidents/1").await.body["history"].to_string();
    assert!(history.contains("update: status \\\"Open\\\" -> \\\"In Progress\\\""), "{history}");

    row.partner.act("/v1/incidents/1/override", by(json!({"status": "With the manufacturer"}))).await;
    row.north.when(1, "our own status", |shown| shown["case_status"] == "With the manufacturer").await;
    // The next word of the upstream's is in the store and not in state when the partner dies.
    row.partner.kill();
    row.vendor.act("/v1/incidents/1/update", by(json!({"status": "Waiting", "comment": "Ordered"}))).await;
    row.partner.crash_at("FeedWrittenBack");
    row.partner.spawn();
    row.partner.exited().await;
    row.partner.lose_state();
    row.partner.start().await;
    let seen = row.north.when(1, "the comment", |shown| comments(shown).len() == 1).await;
    assert_eq!(case(&seen), [Some("T-17"), Some(link), Some("With the manufacturer")]);
    let ours = row.partner.get("/v1/incidents/1").await.body;
    assert_eq!(ours["upstream_case"]["id"], "vendor-1", "the upstream's values stay");
    assert_eq!(ours["upstream_case"]["status"], "Waiting");
    let told = row.partner.command(&["show", "1"]).ok();
    assert!(told.contains("case ID, case link, case status") && told.contains("vendor-1"), "{told}");

    row.partner.command(&["override", "1", "--clear"]).ok();
    let seen = row.north.when(1, "the upstream's case", |shown| shown["case_id"] == "vendor-1").await;
    assert_eq!(case(&seen), [Some("vendor-1"), Some("https://vendor.example/vendor-1"), Some("Waiting")]);
    row.partner.command(&["override", "1", "--clear"]).refused(6, &["nothing of the case of incident 1"]);
    row.at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_32_without_an_upstream_what_was_overridden_is_as_the_settings_fill_it_in_again() {
    let row = Row::start(RowPlan::default()).await;
    row.submitted().await;
    row.partner.act("/v1/incidents/1/accept", by(json!({}))).await;
    let before = row.north.step(1, "partner", "open").await;
    row.partner.command(&["override", "1", "--case-id", "T-17", "--status", "Odd"]).ok();
    let seen = row.north.when(1, "our own ID", |shown| shown["case_id"] == "T-17").await;
    assert_eq!(case(&seen), [Some("T-17"), None, Some("Odd")]);
    row.partner.act("/v1/incidents/1/resolve", by(json!({"solution": "Reseated", "status": "Odd"}))).await;
    row.partner.command(&["override", "1", "--clear"]).ok();
    let seen = row.north.when(1, "the template's ID", |shown| shown["case_id"] == "partner-1").await;
    assert_eq!(case(&seen), [Some("partner-1"), case(&before)[1], Some("Resolved")]);
    row.at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_23_a_test_is_marked_once_though_each_site_on_its_way_is_in_test_mode() {
    let plan = RowPlan { north: SUBMIT_ALL, partner: ESCALATE_ALL, vendor: ACCEPT_ALL };
    let mut row = Row::new(plan).await;
    for site in [&mut row.north, &mut row.partner] {
        site.edit_config("[site]\n", "[site]\ntest_mode = true\n");
    }
    row.vendor.start().await;
    row.partner.start().await;
    row.north.start().await;
    row.north.insert(0, 1).await;
    let theirs = row.vendor.when(1, "the incident", |shown| shown["synopsis"].is_string()).await;
    let synopsis = row.north.get("/v1/incidents/1").await.body["synopsis"].as_str().unwrap().to_owned();
    assert_eq!(theirs["synopsis"], format!("[TEST] {synopsis}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_32_by_the_settings_the_end_user_sees_the_partners_own_case() {
    let mut row = Row::new(RowPlan::default()).await;
    row.partner.edit_config("[case]", "[case]\nfrom_upstream = \"own\"\nopened_status = \"Taken\"");
    row.vendor.start().await;
    row.partner.start().await;
    row.north.start().await;
    row.escalated().await;
    let seen = row.north.get("/v1/incidents/1").await.body;
    assert_eq!(case(&seen), [Some("partner-1"), Some("https://partner.example/partner-1"), Some("Taken")]);
    row.vendor.act("/v1/incidents/1/update", by(json!({"status": "In Progress", "comment": "On it"}))).await;
    let seen = row.north.when(1, "the comment", |shown| comments(shown).len() == 1).await;
    assert_eq!(seen["case_status"], "Taken");
    row.partner.act("/v1/incidents/1/update", by(json!({"status": "Half done"}))).await;
    row.north.when(1, "our own word", |shown| shown["case_status"] == "Half done").await;
    row.vendor.act("/v1/incidents/1/resolve", by(json!({"solution": "Replaced it"}))).await;
    let seen = row.north.when(1, "the solution", |shown| shown["phase"] == "review").await;
    assert_eq!(case(&seen), [Some("partner-1"), Some("https://partner.example/partner-1"), Some("Half done")]);
    assert_eq!(row.partner.get("/v1/incidents/1").await.body["upstream_case"]["status"], "Resolved");
    row.at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_end_user_has_another_name_above_the_partner_and_always_the_same() {
    let plan = RowPlan { north: SUBMIT_ALL, partner: ESCALATE_ALL, vendor: ACCEPT_ALL };
    let mut row = Row::new(plan).await;
    row.partner.edit_config("[upstream]", "[upstream]\nhide_clients = true");
    row.north.edit_config(
        "[[submit.policy]]",
        "[submit.defaults]\nsite_id = \"B1\"\ncc = [\"a@b.example\"]\n[[submit.policy]]",
    );
    row.vendor.start().await;
    row.partner.start().await;
    row.north.start().await;
    row.north.insert(0, 2).await;
    let mut routes = Vec::new();
    for incident in 1..=2 {
        let theirs = row.vendor.when(incident, "the incident", |shown| shown["trace_route"].is_array()).await;
        assert_eq!(theirs["trace_route"][1], "partner", "our own alias stays");
        assert_eq!((&theirs["form"]["site_id"], &theirs["form"]["cc"]), (&Value::Null, &Value::Null));
        assert!(!theirs.to_string().contains("north"), "{theirs}");
        routes.push(theirs["trace_route"][0].as_str().unwrap().to_owned());
    }
    assert_eq!(routes[0], routes[1]);
    assert!(routes[0].starts_with("client-"), "{routes:?}");
    assert_eq!(row.partner.get("/v1/incidents/1").await.body["form"]["site_id"], "B1", "the partner still knows");
    row.north.when(1, "the case", |shown| shown["case_id"].is_string()).await;
}

/// A case goes all the way round, is refused where it began, is solved by the last site, and the solution comes back.
/// Returns how many operations took effect in all.
async fn all_the_way_round(count: usize) -> i64 {
    let mut sites = ring(count, ESCALATE_ALL);
    for site in &mut sites {
        site.spawn();
    }
    for site in &mut sites {
        site.ready().await;
    }
    let (first, last) = (&sites[0], &sites[count - 1]);
    first.insert(0, 1).await;
    first.when(1, "the incident to be held", |shown| shown["submission"] == "held").await;
    first.act("/v1/incidents/1/submit", by(json!({}))).await;
    let stopped = last.when(1, "the end of the way", |shown| exchange(shown, &first.alias)["parked"].is_string()).await;
    let reason = exchange(&stopped, &first.alias)["parked"].as_str().unwrap().to_owned();
    assert!(reason.contains("already passed this site"), "said where it came from: {reason}");
    assert_eq!(first.log().matches("loop_refused").count(), 1, "and where it was refused");
    assert_eq!(stopped["trace_route"].as_array().unwrap().len(), count - 1);

    last.act("/v1/incidents/1/accept", by(json!({}))).await;
    first.step(1, &sites[1].alias, "open").await;
    last.act("/v1/incidents/1/resolve", by(json!({"solution": "Found it"}))).await;
    first.when(1, "the solution", |shown| shown["phase"] == "review").await;
    let mut messages = 0;
    for site in &sites {
        assert_eq!(site.count("SELECT count(*) FROM incident").await, 1, "{}", site.alias);
        let taken = "SELECT count(*) FROM history WHERE action IN ('incident_opened', 'operation_applied') \
                     OR (action = 'case_accepted' AND who LIKE 'peer %')";
        messages += site.count(taken).await;
    }
    messages
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_ring_of_ten_sites_nothing_circulates_and_messages_grow_with_the_hops() {
    // Create, Accept, Update and Resolve, once on each hop.
    assert_eq!(all_the_way_round(3).await, 4 * 2);
    assert_eq!(all_the_way_round(10).await, 4 * 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_every_site_of_a_ring_hides_its_clients_the_case_still_stops() {
    let mut sites = ring(3, ESCALATE_ALL);
    for site in &mut sites {
        site.edit_config("[upstream]", "[upstream]\nhide_clients = true");
        site.start().await;
    }
    sites[0].insert(0, 1).await;
    sites[0].when(1, "the incident to be held", |shown| shown["submission"] == "held").await;
    sites[0].act("/v1/incidents/1/submit", by(json!({}))).await;
    // Nobody above tells the first site's name, so it takes the case; the second one knows the name that it gave.
    sites[0].when(2, "the end of the way", |shown| exchange(shown, "site-1")["parked"].is_string()).await;
    assert!(sites[1].log().contains("loop_refused"));
    assert_eq!(sites[1].count("SELECT count(*) FROM incident").await, 1);
    assert_eq!(sites[2].count("SELECT count(*) FROM incident").await, 1);
}
