//! Deposits through a watched directory, as devices and people make them.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::pair::{Plan, SUBMIT_ALL};
use crate::support::{Pair, Site, eventually};

/// Regular files of a directory whose names end so, with their bytes.
fn files(dir: &Path, endings: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().flatten();
    let names = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let named = names.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
    let wanted = named.filter(|(name, _)| endings.iter().any(|ending| name.ends_with(ending)));
    // One may be moved away meanwhile.
    wanted.filter_map(|(name, path)| Some((name, std::fs::read(path).ok()?))).collect()
}

fn samples() -> BTreeMap<String, Vec<u8>> {
    let mut good = files(Path::new("tests/data/bundles"), &[".xml"]);
    good.extend(
        files(Path::new("tests/data/incidents"), &[".json"])
            .into_iter()
            .map(|(name, bytes)| (format!("j-{name}"), bytes)),
    );
    good
}

/// Puts a file into the inbox as a careful writer does.
fn put(site: &Site, name: &str, bytes: &[u8]) {
    let part = site.path(&format!("inbox/{name}.part"));
    std::fs::write(&part, bytes).unwrap();
    std::fs::rename(part, site.path(&format!("inbox/{name}"))).unwrap();
}

/// What is in the inbox itself, apart from its own directories and files that are still being written.
fn waiting(site: &Site) -> Vec<String> {
    let written = |name: &str| name.ends_with(".part") || name.starts_with('.');
    let names = files(&site.path("inbox"), &[""]).into_keys();
    names.filter(|name| !written(name)).collect()
}

async fn all_taken(site: &Site) {
    eventually("the inbox to be empty", || async { waiting(site).is_empty().then_some(()) }).await;
}

async fn events(site: &Site) -> Vec<(String, String)> {
    let store = site.store().await;
    let rows =
        sqlx::query_as("SELECT host_event_id, kind FROM incident ORDER BY host_event_id").fetch_all(&store).await;
    store.close().await;
    rows.unwrap()
}

/// A bundle as small as they come.
fn bundle(event: &str, kind: &str, more: &str) -> Vec<u8> {
    format!(
        "<juniper-message-bundle><manifest><host-event-id>{event}</host-event-id><bundle-type>{kind}</bundle-type>\
         <problem-synopsis>Synopsis of {event}</problem-synopsis>{more}</manifest></juniper-message-bundle>"
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn good_deposits_become_incidents_once_and_bad_ones_are_set_apart_with_the_reason() {
    let mut pair = Pair::new(Plan::default()).await;
    pair.end_user.start().await;
    let good = samples();
    let bad = files(Path::new("tests/data/bundles/bad"), &[".xml", ".json"]);
    assert!(good.len() >= 15 && bad.len() >= 50, "{} good ones, {} bad ones", good.len(), bad.len());
    // Two that are still being written, all along.
    let event = std::fs::read("tests/data/bundles/event.xml").unwrap();
    for (name, bytes) in [("slow.xml.part", &event[..event.len() / 2]), (".hidden.xml", &event[..10])] {
        std::fs::write(pair.end_user.path(&format!("inbox/{name}")), bytes).unwrap();
    }
    for (name, bytes) in good.iter().chain(&bad) {
        put(&pair.end_user, name, bytes);
    }
    all_taken(&pair.end_user).await;
    let once = events(&pair.end_user).await;
    let distinct: std::collections::BTreeSet<&String> = once.iter().map(|(event, _)| event).collect();
    assert_eq!(distinct.len(), once.len(), "each event once: {once:?}");
    assert_eq!(once.len(), good.len(), "each good file has an event of its own: {once:?}");

    // The bad ones: every byte, and beside it the reason and the remedy.
    let quarantine = pair.end_user.path("inbox/quarantine");
    for (name, bytes) in &bad {
        assert!(std::fs::read(quarantine.join(name)).unwrap() == *bytes, "every byte of {name} is kept");
        let reason = std::fs::read_to_string(quarantine.join(format!("{name}.reason"))).unwrap();
        let expected = std::fs::read_to_string(format!("tests/data/bundles/bad/{name}.expected")).unwrap();
        for line in expected.lines() {
            // The words for kinds that are known are a matter of the settings.
            let line = line.split(" is unknown; known are").next().unwrap();
            assert!(reason.contains(line), "\"{line}\" is said of {name}: {reason}");
        }
    }
    assert_eq!(std::fs::read_dir(&quarantine).unwrap().count(), 2 * bad.len(), "and nothing else is there");
    assert_eq!(files(&pair.end_user.path("inbox/done"), &[""]), good, "the others are done, unchanged");

    // Later files go on; the same events under other names are known, before and after a restart.
    put(&pair.end_user, "later.xml", &bundle("later-1", "event", ""));
    for (name, bytes) in &good {
        put(&pair.end_user, &format!("again-{name}"), bytes);
    }
    all_taken(&pair.end_user).await;
    assert_eq!(pair.end_user.stop().await, 0);
    for (name, bytes) in &good {
        put(&pair.end_user, &format!("restart-{name}"), bytes);
    }
    put(&pair.end_user, "while-down.xml", &bundle("later-2", "event", ""));
    pair.end_user.start().await;
    all_taken(&pair.end_user).await;
    let finally: Vec<String> = events(&pair.end_user).await.into_iter().map(|(event, _)| event).collect();
    let mut expected: Vec<String> = once.into_iter().map(|(event, _)| event).collect();
    expected.extend(["later-1".to_owned(), "later-2".to_owned()]);
    expected.sort();
    assert_eq!(finally, expected);
    let known = pair.end_user.log().matches("event=\"deposit_known\"").count();
    assert_eq!(known, 2 * good.len(), "each of the others is said to be known");

    // What was still being written is taken when it is whole.
    assert!(pair.end_user.path("inbox/slow.xml.part").exists() && pair.end_user.path("inbox/.hidden.xml").exists());
    std::fs::write(pair.end_user.path("inbox/slow.xml.part"), bundle("slow-1", "event", "")).unwrap();
    std::fs::rename(pair.end_user.path("inbox/slow.xml.part"), pair.end_user.path("inbox/slow.xml")).unwrap();
    eventually("the slow one", || async {
        (pair.end_user.count("SELECT count(*) FROM incident WHERE host_event_id = 'slow-1'").await == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_and_what_is_no_file_hinder_nothing() {
    let mut pair = Pair::new(Plan::default()).await;
    let site = &mut pair.end_user;
    let inbox = site.path("inbox");
    let names: [&[u8]; 6] =
        [b"-rf.xml", b"a b\nc.xml", b"\xff\xfe.xml", b"%2e%2e%2f.xml", b"$(reboot).xml", b"\x1b[2J.xml"];
    for (number, name) in names.iter().enumerate() {
        std::fs::write(inbox.join(std::ffi::OsStr::from_bytes(name)), bundle(&format!("named-{number}"), "event", ""))
            .unwrap();
    }
    std::fs::create_dir(inbox.join("directory.xml")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", inbox.join("link.xml")).unwrap();
    std::os::unix::fs::symlink("nowhere", inbox.join("dangling.xml")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(inbox.join("socket.xml")).unwrap();
    site.start().await;
    eventually("all six", || async {
        (site.count("SELECT count(*) FROM incident WHERE host_event_id LIKE 'named-%'").await == 6).then_some(())
    })
    .await;
    assert_eq!(site.count("SELECT count(*) FROM incident").await, 6);
    assert!(inbox.join("link.xml").is_symlink() && inbox.join("directory.xml").is_dir(), "left alone");
    eventually("word of the others", || async {
        (site.log().matches("event=\"deposit_ignored\"").count() == 4).then_some(())
    })
    .await;
    assert!(!site.log().contains('\u{1b}'), "names cannot steer the terminal of who reads the log");
}

/// The incident of this event at a site, as `show` tells it.
async fn shown(site: &Site, event: &str) -> Option<Value> {
    let list = site.get("/v1/incidents?limit=1000").await.body;
    let row = list["incidents"].as_array()?.iter().find(|row| row["host_event_id"] == event)?.clone();
    Some(site.get(&format!("/v1/incidents/{}", row["incident"])).await.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_and_manifests_arrive_at_the_partner_unchanged_and_information_never_does() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, ..Plan::default() }).await;
    for (name, bytes) in &samples() {
        put(&pair.end_user, name, bytes);
    }
    all_taken(&pair.end_user).await;
    let ours = events(&pair.end_user).await;
    let (informing, submitted): (Vec<_>, Vec<_>) =
        ours.into_iter().partition(|(_, kind)| ["information", "on_demand_information"].contains(&kind.as_str()));
    assert!(informing.len() >= 3, "{informing:?}");
    let kinds: std::collections::BTreeSet<&str> = submitted.iter().map(|(_, kind)| kind.as_str()).collect();
    let expected =
        ["bios_check", "event", "event_low_end", "event_rma", "health_check", "off_box", "on_demand", "on_demand_rma"];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected, "there is a sample of each");
    eventually("the others at the partner", || async {
        (pair.partner.count("SELECT count(*) FROM incident").await >= submitted.len() as i64).then_some(())
    })
    .await;
    // With their kinds, and no informational one among them.
    assert_eq!(events(&pair.partner).await, submitted);

    // Every field of the manifest.
    for (event, _) in &submitted {
        let (ours, theirs) = (shown(&pair.end_user, event).await.unwrap(), shown(&pair.partner, event).await.unwrap());
        for field in ["kind", "synopsis", "description", "priority", "severity", "device", "serial", "manifest", "form"]
        {
            assert_eq!(ours[field], theirs[field], "{field} of {event}");
        }
    }
    let columns = "SELECT kind, synopsis, description, priority, severity, problem_class, service_type, event_type, \
                   event_type_group, occurred_at, device, serial, manifest FROM incident WHERE host_event_id = \
                   'edge1-JN11A2B3C-20261121-120000-1'";
    let mut records = Vec::new();
    for site in [&pair.end_user, &pair.partner] {
        let store = site.store().await;
        let row = sqlx::query(columns).fetch_one(&store).await.unwrap();
        store.close().await;
        let text = |column| sqlx::Row::get::<Option<String>, usize>(&row, column).expect("every field is given");
        records.push((0..12).map(text).collect::<Vec<String>>());
        let manifest: Value = serde_json::from_str(&text(12)).unwrap();
        assert!(manifest.as_object().unwrap().len() >= 5, "{manifest}");
        assert_eq!(manifest["router/model"], "MX480");
    }
    assert_eq!(records[0], records[1]);
    let expected = ["event", "PSU 0 output failure & fan speed raised"];
    assert_eq!(records[1][..2], expected);
    assert_eq!(records[1][4..9], ["major", "Support", "reactive", "CHASSISD_PSU_ALARM", "CHASSIS"]);
    assert_eq!(records[1][9..12], ["2026-11-21T12:00:00Z", "edge1", "JN11A2B3C"]);

    // An informational one is held, and no person can submit it either; nor can another program.
    for (event, _) in &informing {
        let row = eventually("it to be held", || async {
            shown(&pair.end_user, event).await.filter(|row| row["submission"] == "held")
        })
        .await;
        let answer =
            pair.end_user.post(&format!("/v1/incidents/{}/submit", row["incident"]), json!({"operator": "anna"})).await;
        assert_eq!(answer.status, 409, "{}", answer.body);
        assert!(answer.body["detail"].as_str().unwrap().contains("never becomes a case"), "{}", answer.body);
    }
    let store = pair.end_user.store().await;
    sqlx::query("UPDATE incident SET submission = 'requested' WHERE kind LIKE '%information'")
        .execute(&store)
        .await
        .unwrap();
    store.close().await;
    eventually("all to be held again", || async {
        let held = "SELECT count(*) FROM incident WHERE submission = 'held' AND kind LIKE '%information'";
        (pair.end_user.count(held).await == informing.len() as i64).then_some(())
    })
    .await;
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident").await, submitted.len() as i64);
}

#[tokio::test(flavor = "multi_thread")]
async fn event_types_that_are_switched_off_are_stored_and_never_submitted_by_a_policy() {
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, ..Plan::default() }).await;
    pair.end_user.edit_config("[[inbox]]", "[bundle]\ndisabled_event_types = [\"LINK_UP\", \"FAN_TEST\"]\n[[inbox]]");
    pair.partner.start().await;
    pair.end_user.start().await;
    let site = &pair.end_user;
    put(site, "1.xml", &bundle("e-1", "event", "<event-type>LINK_UP</event-type>"));
    put(site, "2.xml", &bundle("e-2", "event", "<event-type>LINK_UP_AGAIN</event-type>"));
    let event = json!({"event": {"host_event_id": "e-3", "synopsis": "x", "event_type": "FAN_TEST"}});
    put(site, "3.json", event.to_string().as_bytes());
    put(site, "4.xml", &bundle("e-4", "event", ""));
    eventually("the others at the partner", || async {
        (pair.partner.count("SELECT count(*) FROM incident").await == 2).then_some(())
    })
    .await;
    let names = |rows: Vec<(String, String)>| rows.into_iter().map(|(event, _)| event).collect::<Vec<_>>();
    assert_eq!(names(events(site).await), ["e-1", "e-2", "e-3", "e-4"], "all are stored");
    for event in ["e-1", "e-3"] {
        let row = shown(site, event).await.unwrap();
        assert_eq!((&row["submission"], &row["exchanges"]), (&json!("held"), &json!([])), "{row}");
    }
    assert_eq!(names(events(&pair.partner).await), ["e-2", "e-4"]);
    // A person may.
    let id = shown(site, "e-1").await.unwrap()["incident"].clone();
    site.act(&format!("/v1/incidents/{id}/submit"), json!({"operator": "anna"})).await;
    eventually("it at the partner", || async {
        (pair.partner.count("SELECT count(*) FROM incident").await == 3).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_that_comes_late_is_added_to_its_incident() {
    let mut pair = Pair::new(Plan::default()).await;
    pair.end_user.start().await;
    put(&pair.end_user, "event.xml", &std::fs::read("tests/data/bundles/event.xml").unwrap());
    let event = "edge1-JN11A2B3C-20261121-120000-1";
    let state = |shown: &Value| {
        let found = shown["attachments"].as_array().unwrap().iter().find(|one| one["name"] == "show tech-support.txt");
        found.unwrap()["state"].clone()
    };
    let before = eventually("the incident", || shown(&pair.end_user, event)).await;
    assert!(state(&before).to_string().contains("awaited"), "{before}");
    assert!(pair.end_user.command(&["show", "1"]).ok().contains("awaited"));

    // It comes while the daemon is down; the next start looks for it.
    assert_eq!(pair.end_user.stop().await, 0);
    let folder = pair.end_user.path(&format!("inbox/attachments/{event}"));
    std::fs::create_dir_all(&folder).unwrap();
    let content = b"everything about edge1\n\0\xff";
    std::fs::write(folder.join("show tech-support.txt"), content).unwrap();
    // One that is still being written is left for later; so it is old enough here.
    let an_hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    std::fs::File::options()
        .write(true)
        .open(folder.join("show tech-support.txt"))
        .unwrap()
        .set_modified(an_hour_ago)
        .unwrap();
    pair.end_user.start().await;
    let after = eventually("the attachment", || async {
        shown(&pair.end_user, event).await.filter(|shown| state(shown).to_string().contains("stored"))
    })
    .await;
    assert_eq!(after["attachments"].as_array().unwrap().len(), before["attachments"].as_array().unwrap().len());
    let store = pair.end_user.store().await;
    let stored: Vec<u8> = sqlx::query_scalar(
        "SELECT p.data FROM attachment a JOIN content_part p ON p.content = a.content \
         WHERE a.name = 'show tech-support.txt'",
    )
    .fetch_one(&store)
    .await
    .unwrap();
    store.close().await;
    assert_eq!(stored, content, "byte for byte");
    assert!(!folder.join("show tech-support.txt").exists(), "it was taken");
    assert!(pair.end_user.log().contains("event=\"attachment_added\""));
    // Other attachments that never come are still awaited, and nothing was doubled.
    assert_eq!(pair.end_user.count("SELECT count(*) FROM incident").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_vanishes_is_said_once_and_used_again_when_it_is_back() {
    let mut pair = Pair::new(Plan::default()).await;
    pair.end_user.start().await;
    let inbox = pair.end_user.path("inbox");
    std::fs::rename(&inbox, pair.end_user.path("away")).unwrap();
    // Something else stands in its place.
    std::fs::write(&inbox, "no directory").unwrap();
    eventually("word of it", || async { pair.end_user.log().contains("event=\"inbox_blocked\"").then_some(()) }).await;
    let status = pair.end_user.command(&["status"]).ok();
    assert!(status.contains(&format!("nothing is taken from {}: ", inbox.display())), "{status}");
    // It keeps nobody from new settings, and nobody from a start.
    pair.end_user.signal("HUP");
    eventually("the reload", || async { pair.end_user.log().contains("event=\"reloaded\"").then_some(()) }).await;
    pair.end_user.stop().await;
    pair.end_user.start().await;
    let said = || pair.end_user.log().matches("event=\"inbox_blocked\"").count();
    eventually("word of it again", || async { (said() == 2).then_some(()) }).await;
    std::fs::remove_file(&inbox).unwrap();
    std::fs::rename(pair.end_user.path("away"), &inbox).unwrap();
    put(&pair.end_user, "event.xml", &bundle("back-1", "event", ""));
    eventually("the incident", || shown(&pair.end_user, "back-1")).await;
    let status = pair.end_user.command(&["status"]).ok();
    assert!(!status.contains("nothing is taken"), "{status}");
    assert_eq!(said(), 2, "said once by each process");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_bad_deposits_is_one_line_for_each_remedy_and_a_reason_beside_each_file() {
    let mut site = Pair::new(Plan::default()).await.end_user;
    site.start().await;
    for number in 0..60 {
        put(&site, &format!("words-{number}.json"), b"no deposit");
        put(&site, &format!("empty-{number}.xml"), b"");
    }
    all_taken(&site).await;
    assert_eq!(files(&site.path("inbox/quarantine"), &[".reason"]).len(), 120);
    let log = site.log();
    let told = log.lines().filter(|line| line.contains("WARN") && line.contains("deposit_quarantined")).count();
    assert_eq!(told, 2, "{log}");
}
