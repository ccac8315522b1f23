//! Three sites in a row: an end user, the partner that it submits to, and the vendor that the partner hands cases on to.

use serde_json::{Value, json};

use crate::support::pair::{ACCEPT_ALL, SUBMIT_ALL};
use crate::support::row::{ESCALATE_ALL, Row, RowPlan, comments, exchange};
use crate::support::{Fault, eventually};

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
    row.north.act("/v1/incidents/1/close", json!({"operator": "anna"})).await;
    row.vendor.step(1, "partner", "closed").await;
    row.at_rest().await;
    for site in row.sites() {
        let shown = site.get("/v1/incidents/1").await.body;
        assert_eq!((shown["phase"].as_str(), comments(&shown).len()), (Some("close"), 2), "{}", site.alias);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_34_what_is_handled_here_makes_no_traffic_upstream() {
    let row = Row::start(RowPlan::default()).await;
    row.submitted().await;
    row.partner.act("/v1/incidents/1/accept", by(json!({}))).await;
    row.north.act("/v1/incidents/1/update", json!({"comment": "Still down", "operator": "anna"})).await;
    row.partner.when(1, "the comment", |shown| comments(shown).len() == 1).await;
    row.partner.act("/v1/incidents/1/resolve", by(json!({"solution": "Reseated the card"}))).await;
    row.partner.act("/v1/incidents/1/close", by(json!({}))).await;
    row.north.step(1, "partner", "closed").await;
    row.at_rest().await;
    assert_eq!(row.vendor.count("SELECT count(*) FROM incident").await, 0);
    assert_eq!(row.partner.count("SELECT count(*) FROM reference WHERE towards = 'upstream'").await, 0);
    let late = row.partner.post("/v1/incidents/1/escalate", by(json!({}))).await;
    assert_eq!(late.status, 409, "what is closed is not handed on: {}", late.body);
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
    row.north.act("/v1/incidents/1/resolve", by(json!({"completion_code": "withdrawn_by_user"}))).await;
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
    let told = canceled["history"].as_array().unwrap().last().unwrap();
    assert!(told["detail"].as_str().unwrap().starts_with("cancel"), "{told}");
    row.north.act("/v1/incidents/1/close", by(json!({}))).await;
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

/// Status and comments; whose turn it is has no field of its own yet.
#[tokio::test(flavor = "multi_thread")]
async fn c_54_a_question_travels_down_two_hops_and_its_answer_up_two() {
    let mut row = Row::start(RowPlan::default()).await;
    row.escalated().await;
    row.partner.kill();
    let question = json!({"status": "Pending Customer", "comment": "Which firmware runs there?"});
    row.vendor.act("/v1/incidents/1/update", by(question)).await;
    row.partner.crash_at("FeedWrittenBack");
    row.partner.spawn();
    row.partner.exited().await;
    row.partner.start().await;
    let asked = row.north.when(1, "the question", |shown| shown["case_status"] == "Pending Customer").await;
    assert_eq!(comments(&asked), ["bert: Which firmware runs there?"]);

    row.partner.kill();
    row.north.act("/v1/incidents/1/update", json!({"comment": "22.4R3", "operator": "anna"})).await;
    row.partner.crash_at("OperationApplied");
    row.partner.spawn();
    row.partner.exited().await;
    row.partner.start().await;
    let answered = row.vendor.when(1, "the answer", |shown| comments(shown).len() == 2).await;
    assert_eq!(comments(&answered)[1], "anna: 22.4R3");
    row.vendor.act("/v1/incidents/1/update", by(json!({"status": "In Progress"}))).await;
    row.north.when(1, "work to go on", |shown| shown["case_status"] == "In Progress").await;
    row.at_rest().await;
    for site in row.sites() {
        assert_eq!(site.count("SELECT count(*) FROM comment").await, 2, "{}: nothing is doubled", site.alias);
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
    row.vendor.act("/v1/incidents/2/accept", by(json!({}))).await;
    let again = row.north.when(1, "the second case", |shown| shown["case_id"] == "vendor-2").await;
    assert_eq!(exchange(&again, "partner")["step"], "open");
    row.at_rest().await;
    assert_eq!(row.partner.count("SELECT count(*) FROM reference WHERE towards = 'upstream'").await, 2);
}
