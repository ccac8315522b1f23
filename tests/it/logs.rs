//! What the log says, and what it never says.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::site::write_secret;
use crate::support::{Fault, Pair, Site, eventually};

/// A word that stands in one text only.
fn secret_word(number: usize) -> String {
    format!("zebra{number}quagga")
}

/// A pair that logs as JSON at the default level.
async fn pair_with_json_logs(plan: Plan<'_>) -> Pair {
    let pair = Pair::new(plan).await;
    for site in [&pair.end_user, &pair.partner] {
        site.edit_config("level = \"debug\"", "format = \"json\"");
    }
    pair
}

/// Everything that can happen to an incident, with a word of its own in every text.
async fn full_cycle(pair: &mut Pair) {
    for (site, name) in [(&pair.end_user, "password"), (&pair.partner, "password")] {
        write_secret(&site.path(name), &secret_word(0));
    }
    pair.partner.start().await;
    pair.end_user.start().await;
    let word = secret_word;
    let deposit = |event: &str| {
        json!({"event": {"host_event_id": event, "synopsis": word(1), "description": word(2), "device": "edge1",
            "manifest": {"router/model": word(3)}}, "files": [{"name": "a.txt", "content_base64": "eHg="}]})
    };
    let deposited = pair.end_user.path("inbox/e.json");
    std::fs::write(&deposited, deposit("e-1").to_string()).unwrap();
    std::fs::write(pair.end_user.path("inbox/again.json"), deposit("e-1").to_string()).unwrap();
    let (north, partner) = (&pair.end_user, &pair.partner);
    eventually("the incident", || async { (north.count("SELECT count(*) FROM incident").await == 1).then_some(()) })
        .await;
    let form = json!({"cc": [format!("noc@{}.example", word(4))], "comment": word(5), "site_id": word(6),
        "tracking_number": word(7), "follow_up": "Phone Call"});
    eventually("it to be held", || async {
        (north.get("/v1/incidents").await.body["incidents"][0]["submission"] == "held").then_some(())
    })
    .await;
    north.act("/v1/incidents/1/draft", json!({"form": form, "operator": "anna"})).await;
    north.act("/v1/incidents/1/submit", json!({"operator": "anna"})).await;
    eventually("it at the partner", || async { (partner.get("/v1/incidents/1").await.status == 200).then_some(()) })
        .await;
    partner.post("/v1/incidents/1/reopen", json!({"operator": "bert"})).await;
    let link = format!("https://desk.example/?key={}", word(8));
    let id = format!("CASE-ann@{}.example", word(24));
    let case = json!({"case_id": id, "case_link": link, "comment": word(9), "operator": "bert"});
    partner.act("/v1/incidents/1/accept", case).await;
    let news = json!({"status": word(10), "comment": word(11), "operator": "bert"});
    partner.act("/v1/incidents/1/update", news).await;
    let store = north.store().await;
    for sql in [
        format!("INSERT INTO comment (incident, author, text) VALUES (1, 'anna@{}.example', '{}')", word(12), word(13)),
        format!("INSERT INTO incident (host_event_id, synopsis, description) VALUES ('e-2', '{}', char(27))", word(14)),
        format!(
            "INSERT INTO incident (host_event_id, synopsis, form) VALUES ('e-3', 'x', '{{\"cc\": [\"a@{}\"]}}')",
            word(22)
        ),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&store).await.unwrap();
    }
    store.close().await;
    eventually("the comment at the partner", || async {
        (partner.count("SELECT count(*) FROM comment WHERE origin = 'north'").await == 1).then_some(())
    })
    .await;
    partner.act("/v1/incidents/1/resolve", json!({"solution": word(15), "operator": "bert"})).await;
    eventually("the solution", || async {
        (north.get("/v1/incidents/1").await.body["phase"] == "review").then_some(())
    })
    .await;
    // It comes back, is solved again, and closed.
    let store = north.store().await;
    sqlx::query("UPDATE incident SET phase = 'initial_support', solution = NULL, completion_code = NULL WHERE id = 1")
        .execute(&store)
        .await
        .unwrap();
    store.close().await;
    eventually("it to be open again", || async {
        (partner.get("/v1/incidents/1").await.body["phase"] == "initial_support").then_some(())
    })
    .await;
    partner.act("/v1/incidents/1/close", json!({"solution": word(16), "operator": "bert"})).await;
    eventually("the end", || async {
        (north.get("/v1/incidents/1").await.body["exchanges"][0]["step"] == "closed").then_some(())
    })
    .await;
    // What goes wrong is told as well: a bad file, an outage, a wrong password, a broken configuration.
    // Of another kind than the next: the same remedy would be the same line.
    let bad = format!(
        "<juniper-message-bundle><manifest><host-event-id>{}</host-event-id><bundle-type>{}</bundle-type>\
         <problem-synopsis>{}</problem-synopsis></manifest></juniper-message-bundle>",
        word(17),
        word(19),
        word(18)
    );
    std::fs::write(north.path("inbox/bad.xml"), bad).unwrap();
    let bad = json!({"event": {"host_event_id": "e-4", "synopsis": "x"}, "form": {"cc": [format!("b@{}", word(23))]}});
    std::fs::write(north.path("inbox/bad-address.json"), bad.to_string()).unwrap();
    // A name that is an address, and an element in the sender's own words.
    let own = format!("<juniper-message-bundle><{} /></juniper-message-bundle>", word(25));
    std::fs::write(north.path(&format!("inbox/ann.mueller@{}.example.xml", word(26))), own).unwrap();
    eventually("the quarantine", || async { (north.log().matches("deposit_quarantined").count() == 3).then_some(()) })
        .await;
    pair.wire.set(Fault::Down);
    eventually("the outage", || async { north.log().contains("peer_down").then_some(()) }).await;
    pair.wire.set(Fault::None);
    write_secret(&partner.path("password"), &secret_word(20));
    partner.signal("HUP");
    eventually("the refusal", || async { partner.log().contains("client_unauthorized").then_some(()) }).await;
    let config = std::fs::read_to_string(partner.path("config.toml")).unwrap();
    let with_password = config.replace("user = \"north\"", &format!("user = \"north\"\npassword = \"{}\"", word(21)));
    std::fs::write(partner.path("config.toml"), with_password).unwrap();
    partner.signal("HUP");
    eventually("the refusal", || async { partner.log().contains("reload_refused").then_some(()) }).await;
    assert_eq!(pair.end_user.stop().await, 0);
    assert_eq!(pair.partner.stop().await, 0);
}

/// The log, line by line.
fn lines(site: &Site) -> Vec<Value> {
    let log = site.log();
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|fault| panic!("{fault}: {line}"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_cycle_logs_facts_in_fields_and_no_secret_no_address_and_no_text() {
    let mut pair = pair_with_json_logs(Plan::default()).await;
    full_cycle(&mut pair).await;
    let mut seen = BTreeMap::<String, usize>::new();
    for site in [&pair.end_user, &pair.partner] {
        // Whoever has to find a fault finds its words in the file's reason, in `parked` and in `show`.
        let log = site.log();
        assert!(!log.contains("zebra"), "{}: {}", site.alias, log.lines().find(|line| line.contains("zebra")).unwrap());
        assert!(!log.contains('@'), "{}: {}", site.alias, log.lines().find(|line| line.contains('@')).unwrap());
        for line in lines(site) {
            *seen.entry(line["event"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
            check_fields(&line);
            if line["event"] == "operator_action" && site.alias == "partner" {
                assert!(
                    ["exchange", "transaction"].iter().all(|name| line[name].is_string()),
                    "which case it was: {line}"
                );
            }
        }
    }
    let log = pair.end_user.log();
    assert!(log.contains("\"file\":\"(address)\"") && log.contains("at line 1, column 25 has no place"), "{log}");
    assert!(log.contains("\"case\":\"(address)\""), "{log}");
    let place = pair.partner.path("config.toml");
    assert!(pair.partner.log().contains(&format!("{}:", place.display())), "the place of the fault is told");
    let told = [
        "starting",
        "ready",
        "peer_up",
        "incident_deposited",
        "deposit_known",
        "deposit_quarantined",
        "incident_held",
        "incident_unreadable",
        "operator_action",
        "incident_submitted",
        "incident_opened",
        "operation_acknowledged",
        "operation_applied",
        "peer_down",
        "client_unauthorized",
        "reloaded",
        "reload_refused",
        "job_ran",
        "stopping",
        "stopped",
    ];
    for event in told {
        assert!(seen.contains_key(event), "{event} is told: {seen:?}");
    }
}

/// One fact has one name and one form, whoever tells it.
fn check_fields(line: &Value) {
    let fields = line.as_object().unwrap();
    if line["target"].as_str().unwrap().starts_with("casebridge") {
        let event = fields.get("event").and_then(Value::as_str).unwrap_or_default();
        let is_name = event.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(!event.is_empty() && is_name, "every line of ours names its event: {line}");
        let message = line["message"].as_str().unwrap_or_default();
        assert!(message.chars().next().is_some_and(|first| !first.is_uppercase()), "{line}");
    }
    for (name, value) in fields {
        let fits = match name.as_str() {
            "incident" | "seq" | "attempt" | "count" | "clients" | "requests" | "operations" => value.is_u64(),
            "exchange" => value.as_str().is_some_and(is_exchange),
            "next_attempt" | "down_since" | "timestamp" => {
                value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok())
            }
            "peer" | "client" => value.as_str().is_some_and(|text| ["north", "partner"].contains(&text)),
            "operation" => value.as_str().is_some_and(|text| {
                ["create", "assign", "accept", "update", "resolve", "close", "reject", "cancel", "reopen"]
                    .contains(&text)
            }),
            "level" => value.as_str().is_some_and(|text| ["ERROR", "WARN", "INFO"].contains(&text)),
            "transaction" | "case" | "reason" | "message" | "event" | "target" => value.is_string(),
            _ => true,
        };
        assert!(fits, "{name} has its form: {line}");
    }
}

fn is_exchange(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_incident_can_be_followed_through_both_logs_by_its_exchange() {
    let mut pair = pair_with_json_logs(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.give(3).await;
    pair.at_rest(3).await;
    pair.touch().await;
    eventually("the comments at the partner", || async {
        (pair.partner.count("SELECT count(*) FROM comment").await == 3).then_some(())
    })
    .await;
    eventually("the solutions", || async {
        (pair.end_user.count("SELECT count(*) FROM incident WHERE phase = 'review'").await == 3).then_some(())
    })
    .await;
    let exchange = pair.end_user.get("/v1/incidents/2").await.body["exchanges"][0]["exchange"].clone();
    let story = |site: &Site| -> Vec<String> {
        let of_it = lines(site).into_iter().filter(|line| line["exchange"] == exchange);
        of_it
            .map(|line| format!("{} {}", line["event"].as_str().unwrap(), line["operation"].as_str().unwrap_or("-")))
            .collect()
    };
    let ours = story(&pair.end_user);
    for step in [
        "incident_submitted -",
        "operation_acknowledged create",
        "operation_applied accept",
        "operation_applied resolve",
    ] {
        assert!(ours.contains(&step.to_owned()), "{step}: {ours:?}");
    }
    let theirs = story(&pair.partner);
    // The comment travels with whatever operation the phase asks for: the solution may be there before it.
    for step in ["incident_opened -", "operation_applied "] {
        assert!(theirs.iter().any(|line| line.starts_with(step)), "{step}: {theirs:?}");
    }
    // Its number stands in every line that names it.
    for site in [&pair.end_user, &pair.partner] {
        for line in lines(site).iter().filter(|line| line["exchange"].is_string()) {
            assert!(line["incident"].is_u64() && line["peer"].is_string(), "{}: {line}", site.alias);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_level_that_is_none_is_refused_and_a_higher_one_is_quiet() {
    let mut pair = Pair::new(Plan::default()).await;
    pair.end_user.edit_config("level = \"debug\"", "level = \"casebridge=loud\"");
    pair.end_user.command(&["check-config"]).refused(3, &["log.level"]);
    pair.end_user.edit_config("level = \"casebridge=loud\"", "level = \"warn\"");
    pair.partner.start().await;
    pair.end_user.start().await;
    eventually("the peer", || async {
        (pair.end_user.get("/v1/status").await.body["peers"][0]["health"] == "up").then_some(())
    })
    .await;
    assert_eq!(pair.end_user.log(), "", "nothing that is not worth a warning");
}
