//! One case at three sites, each with words of its own: what each hop says is in the words of that hop, and a word that one
//! hop has not waits there (C-29).

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::pair::{ACCEPT_ALL, SUBMIT_ALL};
use crate::support::row::{ESCALATE_ALL, Row, RowPlan};

const NORTH: &str = r#"
[[upstream.field]]
name = "priority"
values = { "1 - Critical" = "P1", "2 - High" = "P2", "3 - Medium" = "P3", "4 - Low" = "P4" }
[[upstream.field]]
name = "case_status"
values = { "Neu" = "New", "In Arbeit" = "Active", "Wartet" = "Waiting", "Gelöst" = "Solved" }
"#;

const PARTNER: &str = r#"
[[client.field]]
name = "priority"
values = { "1 - Critical" = "P1", "2 - High" = "P2", "3 - Medium" = "P3", "4 - Low" = "P4" }
[[client.field]]
name = "case_status"
default = "keep"
values = { "Open" = "New", "In Progress" = "Active", "Pending Customer" = "Waiting", "Resolved" = "Solved" }
[[upstream.field]]
name = "priority"
values = { "1 - Critical" = "Sev1", "2 - High" = "Sev2", "3 - Medium" = "Sev3" }
none_out = ["4 - Low"]
[[upstream.field]]
name = "case_status"
values = { "Open" = "Accepted", "In Progress" = "Working", "Resolved" = "Fixed" }
"#;

const VENDOR: &str = r#"
[[client.field]]
name = "priority"
values = { "1 - Critical" = "Sev1", "2 - High" = "Sev2", "3 - Medium" = "Sev3" }
none_out = ["4 - Low"]
[[client.field]]
name = "case_status"
default = "keep"
values = { "Open" = "Accepted", "In Progress" = "Working", "Resolved" = "Fixed" }
"#;

fn by(mut request: Value) -> Value {
    request["operator"] = "vera".into();
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn c_29_each_hop_speaks_its_own_words_and_what_one_hop_has_no_word_for_waits_there() {
    let north = format!("{SUBMIT_ALL}{NORTH}");
    let partner = format!("{ESCALATE_ALL}{PARTNER}");
    let vendor = format!("{ACCEPT_ALL}{VENDOR}");
    let row = Row::start(RowPlan { north: &north, partner: &partner, vendor: &vendor }).await;
    row.north
        .execute(
            "INSERT INTO incident (host_event_id, synopsis, priority) \
             VALUES ('e-1', 'high', '2 - High'), ('e-2', 'low', '4 - Low')",
        )
        .await;
    let mut at_vendor = Vec::new();
    for id in 1..=2 {
        let shown = row.north.when(id, "the case", |shown| shown["case_status"] == "Neu").await;
        at_vendor.push(shown["case_id"].as_str().unwrap().rsplit('-').next().unwrap().parse::<i64>().unwrap());
    }
    let [high, low] = at_vendor[..] else { panic!("two cases") };
    assert_eq!(row.vendor.get(&format!("/v1/incidents/{high}")).await.body["priority"], "2 - High");
    let shown = row.vendor.get(&format!("/v1/incidents/{low}")).await.body;
    assert_eq!((&shown["synopsis"], &shown["priority"]), (&json!("low"), &Value::Null), "told as no value, by name");
    let low_here = row.partner.count("SELECT count(*) FROM incident WHERE priority = '4 - Low'").await;
    assert_eq!(low_here, 1, "the hop below has a word for it");

    let status = |status: &str| by(json!({"status": status}));
    let (of_high, of_low) = (format!("/v1/incidents/{high}/update"), format!("/v1/incidents/{low}/update"));
    row.vendor.act(&of_high, status("In Progress")).await;
    row.north.when(1, "the status in its own word", |shown| shown["case_status"] == "In Arbeit").await;

    // The hop above has a word that the relay's map does not know.
    row.vendor.act(&of_high, status("Waiting for parts")).await;
    let parked = eventually("the status to wait at the relay", || async {
        let parked = row.partner.get("/v1/parked").await.body;
        (parked["total"] == 1).then_some(parked)
    })
    .await;
    let reason = parked["parked"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("case_status") && reason.contains("\"Waiting for parts\""), "{reason}");
    row.vendor.act(&of_low, status("In Progress")).await;
    row.north.when(2, "the other case to go on", |shown| shown["case_status"] == "In Arbeit").await;
    assert_eq!(row.north.get("/v1/incidents/1").await.body["case_status"], "In Arbeit", "no silent default");
    assert_eq!(row.north.get("/v1/parked").await.body["total"], 0);

    row.partner.edit_config(
        "\"Resolved\" = \"Fixed\"",
        "\"Resolved\" = \"Fixed\", \"Pending Customer\" = \"Waiting for parts\"",
    );
    let reloaded = || row.partner.log().matches("event=\"reloaded\"").count();
    let before = reloaded();
    row.partner.signal("HUP");
    eventually("the reload", || async { (reloaded() > before).then_some(()) }).await;
    row.partner.act("/v1/retry", by(json!({}))).await;
    row.north.when(1, "the status", |shown| shown["case_status"] == "Wartet").await;

    row.vendor.act(&format!("/v1/incidents/{high}/resolve"), by(json!({"solution": "Reseated"}))).await;
    let shown = row.north.when(1, "the end", |shown| shown["phase"] == "review").await;
    assert_eq!((&shown["case_status"], &shown["solution"]), (&json!("Gelöst"), &json!("Reseated")));
    row.at_rest().await;
    for site in [&row.north, &row.partner] {
        let compared = site.act("/v1/reconcile", by(json!({"apply": false}))).await;
        assert_eq!((&compared["compared"], &compared["differences"]), (&json!(2), &json!([])), "{compared}");
    }
}
