//! What a site does when something happens (A-47 to A-51): once for each event, whoever fails, hangs or dies.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::post_office::{Mood as Away, PostOffice};
use crate::support::receiver::{Hit, Mood, Receiver, SECRET};
use crate::support::{Pair, Site, eventually, write_secret};

const TRIGGERS: [&str; 5] =
    ["incident_detected", "incident_submitted", "case_assigned", "case_updated", "intelligence_received"];

fn reaction(name: &str, trigger: &str, target: &str) -> Value {
    json!({"name": name, "trigger": trigger, "actions": [{"target": target}]})
}

async fn add(site: &Site, reaction: Value) -> i64 {
    let request = json!({"operator": "anna", "change": {"do": "add", "reaction": reaction}});
    site.act("/v1/reactions", request).await["id"].as_i64().unwrap()
}

/// A pair, not started, whose sites have this configuration besides, and the secret for their webhooks.
async fn pair(end_user: &str, partner: &str) -> Pair {
    let pair = Pair::new(Plan { end_user, partner }).await;
    for site in [&pair.end_user, &pair.partner] {
        write_secret(&site.path("whsec"), SECRET);
    }
    pair
}

async fn start(pair: &mut Pair) {
    pair.partner.start().await;
    pair.end_user.start().await;
}

/// How often each trigger was told, once so much of it was.
async fn told(receiver: &Receiver, least: &[(&str, usize)]) -> BTreeMap<String, usize> {
    eventually(&format!("{least:?}"), || async {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        receiver.hits().iter().for_each(|hit| *counts.entry(hit.trigger().into()).or_default() += 1);
        least.iter().all(|(trigger, count)| counts.get(*trigger).copied().unwrap_or(0) >= *count).then_some(counts)
    })
    .await
}

/// All that waited is done.
async fn done(site: &Site) {
    eventually("nothing to be done any more", || async {
        let read = "SELECT (SELECT count(*) FROM reaction_run WHERE state = 'due') + (SELECT count(*) FROM history, consumer \
                    WHERE name = 'reactions' AND id > position AND incident IS NOT NULL)";
        (site.count(read).await == 0).then_some(())
    })
    .await;
}

/// Each event once; a repeat has the ID of the first attempt.
fn ids_by_event(hits: &[Hit]) -> BTreeMap<i64, BTreeSet<String>> {
    let mut ids: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    for hit in hits {
        ids.entry(hit.event()).or_default().insert(hit.id().to_owned());
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_47_each_trigger_fires_once_per_event_at_both_sites() {
    let (below, above) = (Receiver::new(Mood::Takes).await, Receiver::new(Mood::Takes).await);
    let mut pair = pair(&below.target("desk"), &above.target("desk")).await;
    start(&mut pair).await;
    for site in [&pair.end_user, &pair.partner] {
        for trigger in TRIGGERS {
            add(site, reaction(&trigger.replace('_', " "), trigger, "desk")).await;
        }
    }
    let information = std::fs::read_to_string("tests/data/bundles/information.xml").unwrap();
    std::fs::write(pair.end_user.path("inbox/information.xml"), information).unwrap();
    told(&below, &[("intelligence_received", 1)]).await;
    // By another program, without a word in the history.
    pair.end_user.insert(0, 1).await;
    told(&below, &[("incident_detected", 1)]).await;
    pair.end_user.act("/v1/incidents/2/submit", json!({"operator": "anna"})).await;
    told(&above, &[("incident_detected", 1)]).await;
    pair.partner.act("/v1/incidents/1/accept", json!({"operator": "bert"})).await;
    told(&below, &[("case_assigned", 1)]).await;
    for status in ["In Progress", "Waiting"] {
        pair.partner.act("/v1/incidents/1/update", json!({"operator": "bert", "status": status})).await;
    }
    pair.end_user.act("/v1/incidents/2/update", json!({"operator": "anna", "comment": "thanks"})).await;
    told(&below, &[("case_updated", 3)]).await;
    told(&above, &[("case_updated", 3)]).await;
    for site in [&pair.end_user, &pair.partner] {
        done(site).await;
    }
    let counts = |counts: [usize; 5]| -> BTreeMap<String, usize> {
        TRIGGERS.map(str::to_owned).into_iter().zip(counts).filter(|(_, count)| *count > 0).collect()
    };
    assert_eq!(told(&below, &[]).await, counts([1, 1, 1, 3, 1]));
    assert_eq!(told(&above, &[]).await, counts([1, 0, 1, 3, 0]));
    let hit = below.hits().into_iter().find(|hit| hit.trigger() == "case_assigned").unwrap();
    assert_eq!(hit.body["data"]["site"], "north");
    assert_eq!(hit.body["data"]["incident"]["case"]["id"], "CASE-1");
    assert!(hit.headers["webhook-signature"].starts_with("v1,") && hit.id().starts_with("msg_"), "{hit:?}");
}

/// A case ID that another program writes into the partner's store is one, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_47_a_case_id_of_another_program_fires_once() {
    let receiver = Receiver::new(Mood::Takes).await;
    let mut pair = pair(SUBMIT_ALL, &receiver.target("desk")).await;
    start(&mut pair).await;
    add(&pair.partner, reaction("assigned", "case_assigned", "desk")).await;
    pair.end_user.insert(0, 1).await;
    eventually("the case at the partner", || async {
        (pair.partner.count("SELECT count(*) FROM incident").await == 1).then_some(())
    })
    .await;
    for change in ["case_id = 'T-1', case_status = 'New'", "case_status = 'Old'", "solution = 'x'"] {
        pair.partner.execute(format!("UPDATE incident SET {change}")).await;
    }
    told(&receiver, &[("case_assigned", 1)]).await;
    pair.at_rest(1).await;
    done(&pair.partner).await;
    assert_eq!(receiver.hits().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_48_filters_names_and_a_disabled_reaction() {
    let receiver = Receiver::new(Mood::Takes).await;
    let mut pair = pair(&receiver.target("desk"), "").await;
    start(&mut pair).await;
    let site = &pair.end_user;
    let mut all = reaction("all", "incident_detected", "desk");
    all["filter"] =
        json!({"priorities": ["2 - High"], "device": "edge1", "has_words": "CHASSIS alarm", "has_not_words": "lab"});
    add(site, all.clone()).await;
    for (name, filter) in [
        ("priority", json!({"priorities": ["1 - Critical"]})),
        ("device", json!({"device": "edge"})),
        ("words", json!({"has_words": "chassis fire"})),
        ("not words", json!({"has_not_words": "fire alarm"})),
    ] {
        add(
            site,
            json!({"filter": filter, "name": name, "trigger": "incident_detected", "actions": [{"target": "desk"}]}),
        )
        .await;
    }
    let off = add(site, reaction("off", "incident_detected", "desk")).await;
    site.act("/v1/reactions", json!({"operator": "anna", "change": {"do": "disable", "id": off}})).await;
    site.insert(0, 1).await;
    told(&receiver, &[("incident_detected", 1)]).await;
    done(site).await;
    let names: Vec<Value> = receiver.hits().iter().map(|hit| hit.body["data"]["reaction"].clone()).collect();
    assert_eq!(names, ["all"]);

    for (change, status, said) in [
        (json!({"do": "add", "reaction": all}), 409, "named \"all\" already"),
        (json!({"do": "add", "reaction": reaction("a;b", "case_updated", "desk")}), 422, "1 to 64 letters"),
        (json!({"do": "add", "reaction": reaction("x", "case_updated", "root shell")}), 422, "there are: desk"),
        (json!({"do": "copy", "id": 99, "name": "y"}), 404, "no reaction 99"),
        (json!({"do": "add", "reaction": reaction("x", "sunrise", "desk")}), 400, "sunrise"),
    ] {
        let answer = site.post("/v1/reactions", json!({"operator": "anna", "change": change})).await;
        assert_eq!(answer.status, status, "{change}: {}", answer.body);
        assert!(answer.body["detail"].as_str().unwrap().contains(said), "{change}: {}", answer.body);
    }
}

/// With mail server, receivers and commands all failing, cases are exchanged; and all is delivered afterwards, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_49_failing_actions_hold_up_neither_the_exchange_nor_each_other() {
    const COUNT: usize = 12;
    let moods = [Mood::Fails, Mood::Redirects, Mood::Hangs];
    let mut receivers = Vec::new();
    let mut config = SUBMIT_ALL.to_owned();
    for (number, mood) in moods.into_iter().enumerate() {
        let receiver = Receiver::new(mood).await;
        config += &receiver.target(&format!("receiver {number}"));
        receivers.push(receiver);
    }
    let mut dead = receivers[0].clone();
    dead.port = 1;
    config += &dead.target("dead");
    for (name, command) in [
        ("hangs", r#"["/bin/sh", "-c", "sleep 1000"]"#),
        ("floods", r#"["/bin/sh", "-c", "yes"]"#),
        ("fails", r#"["/bin/sh", "-c", "[ -e {dir}/mended ] && cat >> {dir}/said && echo >> {dir}/said"]"#),
    ] {
        config += &format!("[[reaction_target.command]]\nname = \"{name}\"\ncommand = {command}\nwithin = \"1s\"\n");
    }
    let mut pair = pair(&config, ACCEPT_ALL).await;
    start(&mut pair).await;
    let targets = ["receiver 0", "receiver 1", "receiver 2", "dead", "hangs", "floods", "fails"];
    for target in targets {
        add(&pair.end_user, reaction(target, "case_assigned", target)).await;
    }
    pair.give(COUNT).await;
    pair.wait_all_open(COUNT as i64).await;
    pair.at_rest(COUNT as i64).await;
    eventually("every target to have failed", || async {
        let failing = "SELECT count(DISTINCT target) FROM reaction_run WHERE last_error IS NOT NULL AND state = 'due'";
        (pair.end_user.count(failing).await == targets.len() as i64).then_some(())
    })
    .await;
    assert!(pair.end_user.log().contains("reaction_failing"));
    assert_eq!(pair.end_user.count("SELECT count(*) FROM reaction_run WHERE state = 'done'").await, 0);
    assert!(receivers[1].hits().iter().all(|hit| !hit.headers.contains_key("referer")));

    receivers.iter().for_each(|receiver| receiver.becomes(Mood::Takes));
    std::fs::write(pair.end_user.path("mended"), "").unwrap();
    eventually("what can be done to be done", || async {
        let open =
            "SELECT count(*) FROM reaction_run WHERE state <> 'done' AND target NOT IN ('dead', 'hangs', 'floods')";
        (pair.end_user.count(open).await == 0).then_some(())
    })
    .await;
    for receiver in &receivers {
        let ids = ids_by_event(&receiver.hits());
        assert_eq!(ids.len(), COUNT);
        assert!(ids.values().all(|ids| ids.len() == 1), "a repeat has the same ID");
    }
    let said = std::fs::read_to_string(pair.end_user.path("said")).unwrap();
    let events: BTreeSet<i64> = said
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["data"]["event"].as_i64().unwrap())
        .collect();
    assert_eq!((events.len(), said.lines().count()), (COUNT, COUNT), "each event once");
}

/// Some hundreds of cases, and nobody who takes what they lead to until all of them are exchanged.
#[tokio::test(flavor = "multi_thread")]
async fn a_49_what_hundreds_of_cases_led_to_while_every_receiver_failed_is_delivered_once_afterwards() {
    const COUNT: usize = 200;
    let (office, receiver) = (PostOffice::open().await, Receiver::new(Mood::Fails).await);
    office.set(Away::Closes);
    let said = r#"["/bin/sh", "-c", "[ -e {dir}/mended ] && cat >> {dir}/said && echo >> {dir}/said"]"#;
    let targets = [
        SUBMIT_ALL.to_owned(),
        office.config(),
        receiver.target("hook"),
        "[[reaction_target.mail]]\nname = \"mail\"\nto = [\"noc@north.example\"]\n".to_owned(),
        format!("[[reaction_target.command]]\nname = \"command\"\ncommand = {said}\n"),
    ];
    let mut pair = pair(&targets.concat(), ACCEPT_ALL).await;
    start(&mut pair).await;
    for target in ["hook", "mail", "command"] {
        add(&pair.end_user, reaction(target, "case_assigned", target)).await;
    }
    pair.give(COUNT).await;
    pair.wait_all_open(COUNT as i64).await;
    pair.at_rest(COUNT as i64).await;
    eventually("every target to have failed", || async {
        let failing = "SELECT count(DISTINCT target) FROM reaction_run WHERE last_error IS NOT NULL AND state = 'due'";
        (pair.end_user.count(failing).await == 3).then_some(())
    })
    .await;
    assert_eq!(pair.end_user.count("SELECT count(*) FROM reaction_run WHERE state = 'done'").await, 0);

    office.set(Away::Takes);
    receiver.becomes(Mood::Takes);
    std::fs::write(pair.end_user.path("mended"), "").unwrap();
    done(&pair.end_user).await;
    let delivered = "SELECT count(*) FROM reaction_run WHERE state = 'done'";
    assert_eq!(pair.end_user.count(delivered).await, 3 * COUNT as i64);
    let hooks = ids_by_event(&receiver.hits());
    assert!(hooks.len() == COUNT && hooks.values().all(|ids| ids.len() == 1), "a repeat has the same ID");
    let mails: BTreeSet<String> = office.taken().iter().map(|mail| mail.id()).collect();
    assert_eq!((mails.len(), office.taken().len()), (COUNT, COUNT), "each mail once");
    let said = std::fs::read_to_string(pair.end_user.path("said")).unwrap();
    let event = |line: &str| serde_json::from_str::<Value>(line).unwrap()["data"]["event"].as_i64().unwrap();
    let events: BTreeSet<i64> = said.lines().map(event).collect();
    assert_eq!((events.len(), said.lines().count()), (COUNT, COUNT), "each event once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_49_what_cannot_be_done_is_given_up_visibly_and_tried_again_by_command() {
    let receiver = Receiver::new(Mood::IsGone).await;
    let mut pair = pair(&receiver.target("desk"), "").await;
    start(&mut pair).await;
    add(&pair.end_user, reaction("new", "incident_detected", "desk")).await;
    pair.end_user.insert(0, 1).await;
    let runs = eventually("the deed to be given up", || async {
        let runs = pair.end_user.get("/v1/reactions/runs").await.body;
        (runs["given_up"] == 1).then_some(runs)
    })
    .await;
    assert!(runs["runs"][0]["last_error"].as_str().unwrap().contains("410"), "{runs}");
    assert!(pair.end_user.log().contains("reaction_given_up"));
    assert!(pair.end_user.command(&["reaction", "runs"]).ok().contains("given up"));
    receiver.becomes(Mood::Takes);
    pair.end_user.command(&["reaction", "retry", "--all"]).ok();
    eventually("it to be done", || async { (receiver.hits().len() == 2).then_some(()) }).await;
    done(&pair.end_user).await;
    assert_eq!(ids_by_event(&receiver.hits()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_54_who_changes_reactions_and_what_runs_stands_in_the_history_and_what_is_deleted_is_not_done() {
    let receiver = Receiver::new(Mood::Fails).await;
    let mut pair = pair(&receiver.target("desk"), "").await;
    start(&mut pair).await;
    let site = &pair.end_user;
    let id = add(site, reaction("new", "incident_detected", "desk")).await;
    site.insert(0, 1).await;
    eventually("a try that fails", || async { (!receiver.hits().is_empty()).then_some(()) }).await;
    let delete = json!({"operator": "mallory", "change": {"do": "delete", "id": id}});
    site.act("/v1/reactions", delete).await;
    receiver.becomes(Mood::Takes);
    done(site).await;
    let runs = site.get("/v1/reactions/runs").await.body;
    assert_eq!((&runs["waiting"], &runs["given_up"]), (&json!(0), &json!(1)), "{runs}");
    assert!(runs["runs"][0]["last_error"].as_str().unwrap().contains("deleted or disabled"), "{runs}");
    site.act("/v1/jobs/sla_check/run", json!({"operator": "bert"})).await;
    site.command(&["token", "new", "--owner", "eve", "--scope", "CASE_ALL"]).ok();
    site.signal("HUP");
    for count in [
        "SELECT count(*) FROM history WHERE who LIKE 'operator anna (uid %)' AND detail = 'added new'",
        "SELECT count(*) FROM history WHERE who LIKE 'operator mallory (uid %)' AND action = 'reactions_changed'",
        "SELECT count(*) FROM history WHERE who LIKE 'operator bert (uid %)' AND action = 'job_run'",
        "SELECT count(*) FROM history WHERE action = 'tokens_changed' AND who LIKE 'operator anna (uid %)' AND detail LIKE '% of operator eve made at %'",
        "SELECT count(*) FROM history WHERE action = 'settings_read'",
    ] {
        eventually(count, || async { (site.count(count).await == 1).then_some(()) }).await;
    }
}

/// A mail server that is away delays nothing and undoes nothing; the mail goes out when it is back, with the files.
#[tokio::test(flavor = "multi_thread")]
async fn a_49_a_mail_goes_to_the_listed_addresses_with_the_bundle_where_that_is_asked() {
    let office = PostOffice::open().await;
    office.set(Away::Closes);
    let target = "[[reaction_target.mail]]\nname = \"desk\"\nto = [\"noc@north.example\", \"night@north.example\"]\n";
    let mut pair = pair(&format!("{SUBMIT_ALL}{}{target}", office.config()), ACCEPT_ALL).await;
    start(&mut pair).await;
    let mut one = reaction("assigned", "case_assigned", "desk");
    one["actions"][0]["attach_bundle"] = json!(true);
    add(&pair.end_user, one).await;
    let event = std::fs::read_to_string("tests/data/bundles/event.xml").unwrap();
    std::fs::write(pair.end_user.path("inbox/event.xml"), event).unwrap();
    pair.wait_all_open(1).await;
    eventually("the mail to fail", || async {
        let failed = "SELECT count(*) FROM reaction_run WHERE last_error IS NOT NULL AND state = 'due'";
        (pair.end_user.count(failed).await == 1).then_some(())
    })
    .await;
    pair.at_rest(1).await;
    office.set(Away::Takes);
    let mail = eventually("the mail", || async { office.taken().into_iter().next() }).await;
    done(&pair.end_user).await;
    assert_eq!((office.taken().len(), mail.to.len()), (1, 2), "once, to both");
    assert!(mail.subject().contains("case assigned"), "{}", mail.text);
    assert!(mail.id().starts_with("<msg_") && mail.header("Auto-Submitted").is_some(), "{}", mail.text);
    assert!(mail.text.contains("CASE-1"), "{}", mail.text);
    let files = pair.end_user.count("SELECT count(*) FROM attachment WHERE state = 'stored'").await;
    assert!(files > 0);
    assert_eq!(mail.text.matches("Content-Disposition: attachment").count() as i64, files, "{}", mail.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_49_a_trap_is_one_datagram_that_says_what_happened() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let target = format!(
        "[[reaction_target.snmp]]\nname = \"nms\"\naddress = \"127.0.0.1:{port}\"\ncommunity_file = \"community\"\n"
    );
    let mut pair = pair(&target, "").await;
    write_secret(&pair.end_user.path("community"), "c0mmun1ty\n");
    start(&mut pair).await;
    add(&pair.end_user, reaction("new", "incident_detected", "nms")).await;
    pair.end_user.insert(7, 1).await;
    let mut packet = [0; 2000];
    let length =
        tokio::time::timeout(std::time::Duration::from_secs(60), socket.recv(&mut packet)).await.unwrap().unwrap();
    let packet = &packet[..length];
    let has = |part: &[u8]| packet.windows(part.len()).any(|window| window == part);
    // SEQUENCE { version 1 (2c), community, trap PDU, ...
    assert_eq!((packet[0], usize::from(packet[1] & 0x7f)), (0x30, 2), "{packet:?}");
    assert!(has(&[2, 1, 1, 4, 9]) && has(b"c0mmun1ty") && has(&[0xa7, 0x82]), "{packet:?}");
    // snmpTrapOID.0 is our node, .0.1 for a new incident.
    assert!(has(&[6, 10, 0x2b, 6, 1, 6, 3, 1, 1, 4, 1, 0]), "{packet:?}");
    assert!(has(&[6, 13, 0x2b, 6, 1, 4, 1, 0xbf, 0x08, 0xce, 0x0f, 0xce, 0x0f, 0, 1]), "{packet:?}");
    assert!(has(b"edge1-JN1-20261121-7") && has(b"Chassis alarm 7") && has(b"2 - High"), "{packet:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_50_a_reaction_is_for_some_incidents_or_for_one_client() {
    let receiver = Receiver::new(Mood::Takes).await;
    let south = "[[client]]\nalias = \"south\"\nuser = \"south\"\npassword_file = \"password\"\n";
    let mut pair = pair("", &format!("{south}{}", receiver.target("desk"))).await;
    start(&mut pair).await;
    for (name, scope) in [("north", json!({"client": "north"})), ("south", json!({"client": "south"}))] {
        let mut one = reaction(name, "incident_detected", "desk");
        one["scope"] = scope;
        add(&pair.partner, one).await;
    }
    let some = json!(reaction("some", "case_updated", "desk")).to_string();
    std::fs::write(pair.partner.path("some.json"), some).unwrap();
    let file = pair.partner.path("some.json");
    pair.partner.command(&["reaction", "add", file.to_str().unwrap(), "--incident", "2"]).ok();
    pair.end_user.insert(0, 2).await;
    for incident in 1..=2 {
        pair.end_user.when(incident, "to be held", |shown| shown["submission"] == "held").await;
        pair.end_user.act(&format!("/v1/incidents/{incident}/submit"), json!({"operator": "anna"})).await;
    }
    told(&receiver, &[("incident_detected", 2)]).await;
    for incident in 1..=2 {
        let path = format!("/v1/incidents/{incident}/update");
        pair.partner.act(&path, json!({"operator": "bert", "comment": "news"})).await;
    }
    told(&receiver, &[("case_updated", 1)]).await;
    done(&pair.partner).await;
    let told: Vec<(String, i64)> = receiver
        .hits()
        .iter()
        .map(|hit| (hit.body["data"]["reaction"].as_str().unwrap().to_owned(), hit.incident()))
        .collect();
    let expected = [("north", 1), ("north", 2), ("some", 2)].map(|(name, id)| (name.to_owned(), id));
    assert_eq!(told, expected, "south hears nothing of north");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_51_the_order_survives_export_and_import() {
    let receiver = Receiver::new(Mood::Takes).await;
    let mut pair = pair(&receiver.target("desk"), &receiver.target("desk")).await;
    start(&mut pair).await;
    let file = |site: &Site, value: &Value| {
        let path = site.path("in.json");
        std::fs::write(&path, value.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    for (name, last) in [("first", true), ("second", true), ("third", false)] {
        let mut one = reaction(name, "incident_detected", "desk");
        one["last"] = json!(last);
        pair.end_user.command(&["reaction", "add", &file(&pair.end_user, &one)]).ok();
    }
    pair.end_user.command(&["reaction", "move", "2", "1"]).ok();
    pair.end_user.command(&["reaction", "copy", "3", "fourth"]).ok();
    let exported = pair.end_user.command(&["reaction", "export"]).json();
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&exported), ["second", "first", "third", "fourth"]);
    assert_eq!(exported[3]["enabled"], false);
    let copy = json!({"name": "fourth", "trigger": "case_updated", "actions": [{"target": "desk"}]});
    let edited = pair.end_user.command(&["reaction", "edit", "4", &file(&pair.end_user, &copy)]);
    edited.refused(6, &["a copy keeps its trigger: incident_detected"]);
    pair.partner.command(&["reaction", "import", &file(&pair.partner, &exported)]).ok();
    let there = pair.partner.get("/v1/reactions").await.body;
    assert_eq!(names(&there["reactions"]), names(&exported));
    assert_eq!(pair.partner.command(&["reaction", "export"]).json(), exported);

    pair.end_user.insert(0, 1).await;
    told(&receiver, &[("incident_detected", 1)]).await;
    done(&pair.end_user).await;
    let hits = receiver.hits();
    assert_eq!((hits.len(), hits[0].body["data"]["reaction"].as_str()), (1, Some("second")), "the first match wins");
}

/// Between an event and its deed a site dies at each step; the receiver hears of each event, under one ID.
#[tokio::test(flavor = "multi_thread")]
async fn a_47_whoever_dies_between_event_and_deed_tells_it_all_the_same() {
    let receiver = Receiver::new(Mood::Takes).await;
    let mut pair = pair(&receiver.target("desk"), "").await;
    let site = &mut pair.end_user;
    site.crash_at("EventsPassed");
    site.spawn();
    site.exited().await;
    site.start().await;
    add(site, reaction("new", "incident_detected", "desk")).await;
    site.stop().await;
    site.crash_at("ReactionsSet");
    site.start().await;
    let change = json!({"operator": "anna", "change": {"do": "copy", "id": 1, "name": "copy"}});
    assert!(site.request("POST", "/v1/reactions").json(&change).send().await.is_err());
    site.exited().await;
    for (round, point) in ["ReactionsQueued", "ReactionBegun", "ReactionDone", "ReactionEnded", "StoreCommitting:2"]
        .into_iter()
        .enumerate()
    {
        site.crash_at(point);
        site.start().await;
        site.insert(round, 1).await;
        site.exited().await;
        site.start().await;
        eventually(point, || async { (ids_by_event(&receiver.hits()).len() == round + 1).then_some(()) }).await;
        done(site).await;
        site.stop().await;
    }
    assert_eq!(site.count("SELECT count(*) FROM reaction").await, 2, "the copy is there");
    let ids = ids_by_event(&receiver.hits());
    assert!(ids.values().all(|ids| ids.len() == 1), "{ids:?}");
    assert_eq!(ids.len(), 5);
}

/// Over the first attempt the site dies, and not the command.
#[tokio::test(flavor = "multi_thread")]
async fn a_49_a_command_over_which_the_site_dies_runs_again_as_another_attempt_and_alone() {
    const SCRIPT: &str = r#"echo $CASEBRIDGE_ATTEMPT $$ >> {dir}/runs
[ $CASEBRIDGE_ATTEMPT != 1 ] || exec sleep 1000
read attempt first < {dir}/runs
case "$(cat /proc/$first/stat)" in "" | *") Z"*) ;; *) echo both >> {dir}/runs ;; esac"#;
    let target =
        format!("[[reaction_target.command]]\nname = \"script\"\ncommand = [\"/bin/sh\", \"-c\", '''{SCRIPT}''']\n");
    let mut pair = pair(&target, "").await;
    let site = &mut pair.end_user;
    site.start().await;
    add(site, reaction("new", "incident_detected", "script")).await;
    site.insert(0, 1).await;
    let runs = site.path("runs");
    let lines = || std::fs::read_to_string(&runs).unwrap_or_default();
    eventually("the first attempt", || async { lines().ends_with('\n').then_some(()) }).await;
    site.kill();
    site.start().await;
    done(site).await;
    let text = lines();
    let told: Vec<&str> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(told, ["1", "2"], "the first one is gone when the second one begins");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_47_a_storm_of_kills_loses_and_doubles_no_event() {
    const ROUNDS: usize = 12;
    const EACH: usize = 20;
    let receiver = Receiver::new(Mood::Takes).await;
    let mut pair = pair(&receiver.target("desk"), "").await;
    let site = &mut pair.end_user;
    site.start().await;
    add(site, reaction("new", "incident_detected", "desk")).await;
    for round in 0..ROUNDS {
        site.insert(round * EACH, EACH).await;
        tokio::time::sleep(std::time::Duration::from_millis(40 + 90 * (round as u64 % 5))).await;
        site.kill();
        site.start().await;
    }
    eventually("every incident to be told", || async {
        let told: BTreeSet<i64> = receiver.hits().iter().map(Hit::incident).collect();
        (told.len() == ROUNDS * EACH).then_some(())
    })
    .await;
    done(site).await;
    let ids: BTreeSet<String> = receiver.hits().iter().map(|hit| hit.id().to_owned()).collect();
    assert_eq!(ids.len(), ROUNDS * EACH, "one ID for each incident, however often it was told");
    assert!(receiver.hits().len() <= ROUNDS * EACH + ROUNDS, "at most what was under way is told twice");
    assert_eq!(site.count("SELECT count(*) FROM reaction_run").await, (ROUNDS * EACH) as i64);
}

/// For `tests/webhooks/run`: the webhooks of a real site are printed for a library that is not ours.
#[tokio::test(flavor = "multi_thread")]
async fn webhooks_for_another_library() {
    let Some(file) = std::env::var_os("CASEBRIDGE_WEBHOOKS") else { return };
    let receiver = Receiver::new(Mood::Takes).await;
    let mut pair = pair(&receiver.target("desk"), "").await;
    start(&mut pair).await;
    add(&pair.end_user, reaction("new", "incident_detected", "desk")).await;
    let event = json!({"event": {"host_event_id": "é-1", "synopsis": "Ünïcode \"quoted\" \u{1F525} alarm"}});
    std::fs::write(pair.end_user.path("inbox/one.json"), event.to_string()).unwrap();
    pair.end_user.insert(0, 3).await;
    told(&receiver, &[("incident_detected", 4)]).await;
    let hits: Vec<Value> =
        receiver.hits().iter().map(|hit| json!({"headers": hit.headers, "body": hit.text})).collect();
    let path = Path::new(&file);
    std::fs::write(path, json!({"secret": SECRET, "hits": hits}).to_string()).unwrap();
}
