//! An incident is linked to a case that the partner has already, made by phone for instance: both belong to one
//! exchange from then on, once, whoever dies over it.

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::support::pair::Plan;
use crate::support::relay::{Relayed, Twist};
use crate::support::{Pair, Site, eventually};

/// Somebody at the partner's desk enters a case for a client.
async fn phoned(partner: &Site, client: &str, case: &str) {
    let store = partner.store().await;
    let sql = format!(
        "INSERT INTO incident (client, host_event_id, synopsis, submission, case_id, case_status, solution) \
         VALUES ('{client}', 'phone-{case}', 'Fan tray is noisy', 'held', '{case}', 'Waiting for parts', 'New fan tray')"
    );
    sqlx::query(AssertSqlSafe(sql)).execute(&store).await.unwrap();
    let sql = "INSERT INTO comment (incident, author, text) SELECT max(id), 'bert', 'Part is ordered' FROM incident";
    sqlx::query(sql).execute(&store).await.unwrap();
    store.close().await;
}

async fn reaches(site: &Site, id: i64, field: &str, value: Value) -> Value {
    eventually(&format!("{field} to be {value}"), || async {
        let shown = site.get(&format!("/v1/incidents/{id}")).await.body;
        let exchanges = shown["exchanges"].as_array().map(Vec::as_slice).unwrap_or_default();
        let found = shown[field] == value || field == "step" && exchanges.iter().any(|one| one["step"] == value);
        found.then_some(shown)
    })
    .await
}

/// One partner's incident, one reference, both the linked ones.
async fn linked_once(pair: &Pair) {
    let shown = reaches(&pair.end_user, 1, "step", json!("open")).await;
    assert_eq!((&shown["case_id"], &shown["transaction"]), (&json!("T-17"), &json!("1")), "{shown}");
    assert_eq!((&shown["case_status"], &shown["solution"]), (&json!("Waiting for parts"), &json!("New fan tray")));
    assert_eq!(shown["comments"].as_array().unwrap().len(), 1, "what was said before the link comes along: {shown}");
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident").await, 1, "no second case");
    assert_eq!(pair.partner.count("SELECT count(*) FROM reference").await, 1);
    // Status polling has begun, and what is done here goes there.
    pair.partner.act("/v1/incidents/1/update", json!({"status": "Part is there", "operator": "bert"})).await;
    reaches(&pair.end_user, 1, "case_status", json!("Part is there")).await;
    pair.end_user.act("/v1/incidents/1/update", json!({"comment": "Come at night", "operator": "anna"})).await;
    eventually("the comment at the partner", || async {
        (pair.partner.count("SELECT count(*) FROM comment WHERE origin = 'north'").await == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_62_an_existing_case_is_linked_and_its_status_followed() {
    let pair = Pair::start(Plan::default()).await;
    phoned(&pair.partner, "north", "T-17").await;
    pair.end_user.insert(0, 1).await;
    reaches(&pair.end_user, 1, "submission", json!("held")).await;
    let told = pair.end_user.command(&["link", "1", "--transaction", "1"]).ok();
    assert!(told.contains("to be linked to transaction 1"), "{told}");
    linked_once(&pair).await;
    pair.end_user.command(&["link", "1", "--case-id", "T-17"]).refused(6, &["already submitted"]);
    let shown = pair.partner.get("/v1/incidents/1").await.body;
    let lines = shown["history"].as_array().unwrap();
    assert!(lines.iter().any(|line| line["action"] == "linked" && line["who"] == "peer north"), "{shown}");
}

/// `point` kills the partner (or the end user) while the link takes effect.
async fn linked_although(at_partner: bool, point: &str) {
    let mut pair = Pair::new(Plan::default()).await;
    pair.partner.start().await;
    phoned(&pair.partner, "north", "T-17").await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 1).await;
    reaches(&pair.end_user, 1, "submission", json!("held")).await;
    eventually("the first contact", || async { pair.end_user.log().contains("exchanges_adopted").then_some(()) }).await;
    let site = if at_partner { &mut pair.partner } else { &mut pair.end_user };
    site.stop().await;
    site.crash_at(point);
    site.start().await;
    eventually("both to talk", || async {
        let told = pair.end_user.log();
        (told.matches("peer_up").count() > told.matches("event=\"peer_down\"").count()).then_some(())
    })
    .await;
    pair.end_user.act("/v1/incidents/1/link", json!({"to": {"case_id": "T-17"}, "operator": "anna"})).await;
    let site = if at_partner { &mut pair.partner } else { &mut pair.end_user };
    site.exited().await;
    site.start().await;
    linked_once(&pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_dies_over_a_link_links_once() {
    for point in ["StoreLinked", "IncidentOpened", "OpenCommitted"] {
        linked_although(true, point).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_user_that_dies_over_a_link_links_once() {
    for point in ["DetectCommitted", "PushAnswered", "TransactionWrittenBack"] {
        linked_although(false, point).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_foreign_taken_or_unknown_cannot_be_linked_and_looks_alike() {
    let pair = Pair::start(Plan::default()).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    phoned(partner, "south", "T-1").await;
    phoned(partner, "north", "T-2").await;
    north.insert(0, 3).await;
    reaches(north, 3, "submission", json!("held")).await;
    north.act("/v1/incidents/3/link", json!({"to": {"transaction": "2"}, "operator": "anna"})).await;
    reaches(north, 3, "step", json!("open")).await;
    // South's, one that is in an exchange already, one that never was; by number and by name.
    let mut reasons = Vec::new();
    for to in
        [json!({"transaction": "1"}), json!({"case_id": "T-1"}), json!({"transaction": "2"}), json!({"case_id": "T-9"})]
    {
        let before = north.get("/v1/incidents/1").await.body["history"].as_array().unwrap().len();
        north.act("/v1/incidents/1/link", json!({"to": to, "operator": "anna"})).await;
        let shown = eventually("it to be held again", || async {
            let shown = north.get("/v1/incidents/1").await.body;
            let lines = shown["history"].as_array()?.len();
            (shown["submission"] == "held" && lines >= before + 2).then_some(shown)
        })
        .await;
        let line = shown["history"].as_array().unwrap().last().unwrap()["detail"].as_str().unwrap().to_owned();
        assert!(line.contains("no such case that could be linked to"), "{line}");
        reasons.push(line);
        eventually("the exchange to be over", || async {
            let shown = north.get("/v1/incidents/1").await.body;
            (shown["exchanges"].as_array()?.iter().all(|one| one["step"] == "rejected")).then_some(())
        })
        .await;
    }
    assert!(reasons.windows(2).all(|pair| pair[0] == pair[1]), "{reasons:?}");
    assert_eq!(north.get("/v1/parked").await.body["total"], 0);
    assert_eq!(partner.count("SELECT count(*) FROM incident").await, 2);
    let why = north.get("/v1/incidents/1/why").await.body["line"].as_str().unwrap().to_owned();
    assert!(why.contains("no such case that could be linked to"), "{why}");
    let compared = north.act("/v1/reconcile", json!({"apply": false, "operator": "anna"})).await;
    assert_eq!((&compared["in_motion"], &compared["differences"]), (&json!(0), &json!([])), "{compared}");
    // The incident is a person's again, who submits it as any other.
    north.act("/v1/incidents/1/submit", json!({"operator": "anna"})).await;
    reaches(north, 1, "step", json!("awaiting_case")).await;
    assert_eq!(partner.count("SELECT count(*) FROM incident").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_peer_is_not_asked_to_link() {
    let mut pair = Relayed::new(Plan { end_user: "", partner: "" }).await;
    pair.relay.twist(|call| match call.path.as_str() {
        "/v1/site" => Twist::Tell(Box::new(|mut site| {
            site.as_object_mut().unwrap().remove("capabilities");
            site
        })),
        _ => Twist::Pass,
    });
    pair.run().await;
    pair.end_user.insert(0, 1).await;
    reaches(&pair.end_user, 1, "submission", json!("held")).await;
    pair.end_user.command(&["link", "1", "--transaction", "1"]).refused(6, &["does not know \"link\" yet"]);
    assert_eq!(pair.end_user.get("/v1/incidents/1").await.body["submission"], "held", "it stays as it was");
}
