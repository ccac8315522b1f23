//! Files of an incident: apart from the case, both ways, through everything that a connection and a peer can do.

use casebridge::case::ContentDigest;
use serde_json::{Value, json};

use crate::support::attachment::noise;
use crate::support::caller::{
    Caller, SECOND_CLIENT, assert_problem, assert_refused, create, exchange, hear, operation, second_client,
};
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL, partner_config};
use crate::support::relay::{Call, Relayed, Said, Twist};
use crate::support::wire::free_port;
use crate::support::{Fault, Pair, Site, eventually};

async fn pair() -> Pair {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 1).await;
    pair.wait_all_open(1).await;
    pair
}

#[tokio::test(flavor = "multi_thread")]
async fn c_34_files_go_both_ways_once_and_a_new_content_replaces_the_old() {
    let pair = pair().await;
    let (up, down) = (noise(1, 700_000), noise(2, 300_000));
    pair.end_user.attach(1, "core", &up).await;
    pair.partner.attach(1, "fix", &down).await;
    pair.end_user.attach(1, "empty", b"").await;
    pair.partner.has_file(1, "core", &up).await;
    pair.end_user.has_file(1, "fix", &down).await;
    pair.end_user.transfer(1, "core to sent").await;
    pair.end_user.transfer(1, "empty to sent").await;
    pair.partner.transfer(1, "fix to sent").await;
    let theirs = ["core from arrived", "empty from arrived", "fix to sent"];
    assert_eq!(pair.partner.transfers(1).await, theirs, "what came from a peer does not go back there");
    assert_eq!(pair.partner.told(1, "attachment_added").await.len(), 2);

    // A new content of the same name takes the old one's place; the others stay.
    let newer = noise(3, 200_000);
    pair.end_user.attach(1, "core", &newer).await;
    pair.partner.has_file(1, "core", &newer).await;
    pair.end_user.transfer(1, "core to sent").await;
    assert_eq!(pair.partner.count("SELECT count(*) FROM attachment").await, 3);
    assert_eq!(pair.partner.count("SELECT count(*) FROM content").await, 3, "the old content is gone");
    let text = pair.end_user.command(&["show", "1"]).ok();
    assert!(text.contains("attachments to and from peers (3)") && text.contains("arrived"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposits_files_follow_its_case_and_what_is_there_is_not_sent_again() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    std::fs::copy("tests/data/bundles/event.xml", pair.end_user.path("inbox/event.xml")).unwrap();
    pair.wait_all_open(1).await;
    let stored = pair.end_user.count("SELECT count(*) FROM attachment WHERE state = 'stored'").await;
    assert!(stored > 1, "the bundle holds files");
    eventually("every file", || async {
        let there = pair.partner.count("SELECT count(*) FROM attachment WHERE state = 'stored'").await;
        (there == stored).then_some(())
    })
    .await;

    pair.end_user.insert(0, 1).await;
    pair.wait_all_open(2).await;
    let content = noise(5, 900_000);
    pair.end_user.attach(1, "log", &content).await;
    pair.partner.has_file(1, "log", &content).await;
    let carried = pair.wire.carried();
    let store = pair.end_user.store().await;
    sqlx::query(
        "INSERT INTO attachment (incident, name, state, bytes, sha256, content) \
         SELECT 2, 'same log', state, bytes, sha256, content FROM attachment WHERE name = 'log'",
    )
    .execute(&store)
    .await
    .unwrap();
    store.close().await;
    pair.partner.has_file(2, "same log", &content).await;
    pair.end_user.transfer(2, "same log to sent").await;
    assert!(pair.wire.carried() - carried < 100_000, "skipped, as the partner had it from this client");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_given_up_goes_when_a_person_says_so() {
    let pair = pair().await;
    let content = |seed| noise(seed, 5000);
    let give_up = "UPDATE outgoing SET state = 'failed', reason = 'in vain' WHERE state = 'ready'";
    // Nobody has told the partner of them.
    for (seed, name, verb) in [(1, "retried", "retry"), (2, "reconciled", "reconcile"), (3, "settled", "resync")] {
        pair.end_user.execute("UPDATE incident SET active = 0 WHERE id = 1").await;
        pair.end_user.attach(1, name, &content(seed)).await;
        pair.end_user.transfer(1, &format!("{name} to ready")).await;
        pair.end_user.execute(give_up).await;
        pair.end_user.execute("UPDATE incident SET active = 1 WHERE id = 1").await;
        let differs = async || {
            let answer = pair.end_user.act("/v1/reconcile", json!({"apply": false, "operator": "anna"})).await;
            answer["differences"].as_array().filter(|all| all.len() == 1).map(|all| all[0].clone())
        };
        let row = eventually("the difference", differs).await;
        assert_eq!((&row["field"], &row["repair"]), (&json!(format!("attachment {name}")), &json!("send it again")));
        match verb {
            "retry" => {
                let said = pair.end_user.command(&["retry", "--all"]).ok();
                assert_eq!(said.trim_end(), "1 attachment is tried again.");
            }
            "reconcile" => {
                let answer = pair.end_user.act("/v1/reconcile", json!({"apply": true, "operator": "anna"})).await;
                assert_eq!(answer["differences"][0]["repaired"], true, "{answer}");
            }
            _ => _ = pair.end_user.act("/v1/incidents/1/resync", json!({"operator": "anna"})).await,
        }
        pair.partner.has_file(1, name, &content(seed)).await;
        pair.end_user.transfer(1, &format!("{name} to sent")).await;
    }
    let told = pair.end_user.told(1, "operation_retried").await;
    assert_eq!(told, ["retried", "reconciled", "settled"].map(|name| format!("{name} to partner is tried again")));
}

/// The name under which a file is kept where its own is taken.
fn apart(name: &str, content: &[u8]) -> String {
    let (stem, ending) = name.rsplit_once('.').unwrap();
    format!("{stem}-{}.{ending}", &ContentDigest::of(content).as_str()[..8])
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_name_used_at_both_sites_at_once_loses_neither_file_and_both_histories_say_so() {
    let pair = pair().await;
    let (ours, theirs) = (noise(1, 3000), noise(2, 4000));
    pair.wire.set(Fault::Down);
    pair.end_user.attach(1, "ph.jpg", &ours).await;
    pair.partner.attach(1, "ph.jpg", &theirs).await;
    pair.end_user.transfer(1, "ph.jpg to ready").await;
    pair.partner.transfer(1, "ph.jpg to ready").await;
    pair.wire.set(Fault::None);
    pair.end_user.has_file(1, &apart("ph.jpg", &theirs), &theirs).await;
    pair.partner.has_file(1, &apart("ph.jpg", &ours), &ours).await;
    pair.end_user.has_file(1, "ph.jpg", &ours).await;
    pair.partner.has_file(1, "ph.jpg", &theirs).await;
    for (site, kept) in [(&pair.end_user, apart("ph.jpg", &theirs)), (&pair.partner, apart("ph.jpg", &ours))] {
        let told = site.told(1, "conflict_found").await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("ph.jpg: ") && told[0].ends_with(&format!("is kept as {kept}")), "{told:?}");
        assert!(site.log().contains("conflict_found"), "{}", site.alias);
    }
    let agree = async || {
        let answer = pair.end_user.act("/v1/reconcile", json!({"apply": false, "operator": "anna"})).await;
        (answer["in_motion"] == 0).then(|| assert_eq!(answer["differences"], json!([]), "{answer}"))
    };
    eventually("both sites to agree", agree).await;

    // A new content follows the old one, whatever that is called there.
    let newer = noise(3, 3000);
    pair.end_user.attach(1, "ph.jpg", &newer).await;
    pair.partner.has_file(1, &apart("ph.jpg", &ours), &newer).await;
    pair.partner.has_file(1, "ph.jpg", &theirs).await;
    eventually("both sites to agree", agree).await;
    assert_eq!(pair.partner.count("SELECT count(*) FROM attachment").await, 2);
    assert_eq!(pair.end_user.count("SELECT count(*) FROM attachment").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_made_here_before_a_peers_of_the_same_name_arrives_stays() {
    let mut pair = Relayed::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.run().await;
    pair.end_user.insert(0, 1).await;
    pair.open(1).await;
    let (ours, theirs) = (noise(1, 3000), noise(2, 4000));
    let place = format!("/v1/attachments/{}", ContentDigest::of(&theirs));
    let held = place.clone();
    pair.relay.twist(move |call: &Call| match call.path == held {
        true => Twist::Say(Said::problem(503, "busy", "not now")),
        false => Twist::Pass,
    });
    pair.partner.attach(1, "ph.jpg", &theirs).await;
    eventually("a try", || async { (pair.relay.count(&place) > 0).then_some(()) }).await;
    pair.end_user.attach(1, "ph.jpg", &ours).await;
    pair.partner.has_file(1, &apart("ph.jpg", &ours), &ours).await;
    pair.relay.pass();
    pair.end_user.has_file(1, &apart("ph.jpg", &theirs), &theirs).await;
    assert_eq!(pair.end_user.file(1, "ph.jpg").await, Some(ours));
    assert_eq!(pair.partner.file(1, "ph.jpg").await, Some(theirs));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_dies_every_300_kb_gets_a_file_through_both_ways_without_beginning_anew() {
    let pair = pair().await;
    let (up, down) = (noise(1, 2_000_000), noise(2, 2_000_000));
    pair.wire.set(Fault::CutAfter(300_000));
    pair.end_user.attach(1, "core", &up).await;
    pair.partner.has_file(1, "core", &up).await;
    pair.partner.attach(1, "fix", &down).await;
    pair.end_user.has_file(1, "fix", &down).await;
    assert!(pair.wire.carried() < 14_000_000, "{} bytes for four million", pair.wire.carried());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_comes_byte_by_byte_is_not_taken_so_and_arrives_when_it_comes_in_pieces() {
    let pair = Relayed::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 1).await;
    pair.open(1).await;
    let gives = |call: &Call| call.path.starts_with("/v1/attachments/") && call.method == "GET";
    pair.relay.twist(move |call| match gives(call) {
        true => Twist::Say(Said::plain(206, "x").with("content-range", "bytes 0-0/300000")),
        false => Twist::Pass,
    });
    let content = noise(1, 300_000);
    pair.partner.attach(1, "fix", &content).await;
    eventually("some tries", || async {
        (pair.relay.calls().iter().filter(|call| gives(call)).count() > 2).then_some(())
    })
    .await;
    let received = "SELECT sum(received) FROM content";
    assert_eq!(pair.end_user.count(received).await, 0, "each byte would be a request and a commit");
    pair.relay.pass();
    pair.end_user.has_file(1, "fix", &content).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_another_program_damaged_fails_alone_and_says_why() {
    let pair = pair().await;
    pair.wire.set(Fault::Down);
    for (site, names) in [(&pair.end_user, ["a", "b"]), (&pair.partner, ["c", "d"])] {
        for (seed, name) in names.iter().enumerate() {
            site.attach(1, name, &noise(seed as u64, 1000)).await;
        }
    }
    let ready = "SELECT count(*) FROM outgoing WHERE state = 'ready'";
    eventually("both to be ready", || async { (pair.end_user.count(ready).await == 2).then_some(()) }).await;
    pair.end_user.execute("UPDATE outgoing SET exchange = 'x' WHERE id = (SELECT min(id) FROM outgoing)").await;
    pair.end_user
        .execute(
            "INSERT INTO incoming (incident, peer, exchange, name, content, state) \
             SELECT 1, 'partner', 'x', 'lost', max(id), 'awaited' FROM content",
        )
        .await;
    pair.wire.set(Fault::None);
    pair.partner.has_file(1, "b", &noise(1, 1000)).await;
    pair.end_user.has_file(1, "c", &noise(0, 1000)).await;
    pair.end_user.has_file(1, "d", &noise(1, 1000)).await;
    pair.end_user.transfer(1, "a to failed").await;
    pair.end_user.transfer(1, "lost from failed").await;
    let told = pair.end_user.told(1, "attachment_failed").await.join("; ");
    assert_eq!(told.matches("an attachment's exchange does not read").count(), 2, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_either_side_goes_on_where_it_was() {
    let mut pair = pair().await;
    let content = noise(1, 12_000_000);
    // Slow enough to be met in the middle.
    pair.wire.set(Fault::CutAfter(300_000));
    pair.end_user.attach(1, "core", &content).await;
    let received = "SELECT coalesce(sum(received), 0) FROM content WHERE source = 'north'";
    let mut seen = 0;
    for round in 0..4 {
        seen = eventually("some more of it", || async {
            let now = pair.partner.count(received).await;
            (now > seen).then_some(now)
        })
        .await;
        assert!(seen < 12_000_000, "still in the middle");
        let site = if round % 2 == 0 { &mut pair.partner } else { &mut pair.end_user };
        site.kill();
        let kept = pair.partner.count(received).await;
        assert!(kept >= seen, "what was acknowledged is there");
        let site = if round % 2 == 0 { &mut pair.partner } else { &mut pair.end_user };
        site.start().await;
    }
    pair.wire.set(Fault::None);
    pair.partner.has_file(1, "core", &content).await;
    let back = noise(2, 3_000_000);
    pair.wire.set(Fault::CutAfter(300_000));
    pair.partner.attach(1, "fix", &back).await;
    eventually("some of it", || async {
        (pair.end_user.count("SELECT coalesce(sum(received), 0) FROM content WHERE source = 'partner'").await > 0)
            .then_some(())
    })
    .await;
    pair.end_user.kill();
    pair.end_user.start().await;
    pair.wire.set(Fault::None);
    pair.end_user.has_file(1, "fix", &back).await;
    assert_eq!(pair.partner.count("SELECT count(*) FROM attachment").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_state_on_either_side_loses_and_doubles_no_file() {
    let mut pair = pair().await;
    let (up, down) = (noise(1, 400_000), noise(2, 400_000));
    pair.end_user.attach(1, "core", &up).await;
    pair.partner.attach(1, "fix", &down).await;
    pair.partner.has_file(1, "core", &up).await;
    pair.end_user.has_file(1, "fix", &down).await;
    for round in 0..2 {
        pair.end_user.kill();
        pair.end_user.lose_state();
        pair.end_user.start().await;
        pair.partner.kill();
        pair.partner.lose_state();
        pair.partner.start().await;
        let (up, down) = (noise(10 + round, 300_000), noise(20 + round, 300_000));
        let (core, fix) = (format!("core {round}"), format!("fix {round}"));
        pair.end_user.attach(1, &core, &up).await;
        pair.partner.attach(1, &fix, &down).await;
        pair.partner.has_file(1, &core, &up).await;
        pair.end_user.has_file(1, &fix, &down).await;
    }
    for site in [&pair.end_user, &pair.partner] {
        assert_eq!(site.count("SELECT count(*) FROM attachment").await, 6, "{}", site.alias);
        let added = site.told(1, "attachment_added").await;
        assert_eq!(added.len(), 3, "{}: each came once: {added:?}", site.alias);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_stuck_holds_up_neither_a_status_nor_a_comment_nor_another_file() {
    let mut pair = Relayed::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.run().await;
    pair.end_user.insert(0, 1).await;
    pair.open(1).await;
    let (stuck, other) = (noise(1, 200_000), noise(2, 200_000));
    let path = format!("/v1/attachments/{}", ContentDigest::of(&stuck));
    let held = path.clone();
    pair.relay.twist(move |call: &Call| match call.path == held && call.method == "PUT" {
        true => Twist::Say(Said::problem(503, "busy", "not now")),
        false => Twist::Pass,
    });
    pair.end_user.attach(1, "stuck", &stuck).await;
    eventually("a try", || async { (pair.relay.count(&path) > 1).then_some(()) }).await;
    pair.end_user.attach(1, "other", &other).await;
    pair.partner.has_file(1, "other", &other).await;
    let update = json!({"operator": "bert", "status": "In Progress", "comment": "On it"});
    pair.partner.act("/v1/incidents/1/update", update).await;
    eventually("status and comment", || async {
        let shown = pair.end_user.get("/v1/incidents/1").await.body;
        (shown["case_status"] == "In Progress" && shown["comments"][0]["text"] == "On it").then_some(())
    })
    .await;
    assert_eq!(pair.partner.file(1, "stuck").await, None);
    pair.relay.pass();
    pair.partner.has_file(1, "stuck", &stuck).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c_60_limits_and_types_keep_the_file_and_not_the_case_and_the_history_names_it() {
    let up = format!("[upstream.attachments]\nsend_limit = \"1 KiB\"\nrefuse_types = [\"exe\"]\n{SUBMIT_ALL}");
    let taken = format!("{ACCEPT_ALL}[client.attachments]\nreceive_limit = \"1 KiB\"\nrefuse_types = [\"com\"]\n");
    let pair = Pair::start(Plan { end_user: &up, partner: &taken }).await;
    pair.end_user.insert(0, 1).await;
    pair.wait_all_open(1).await;
    pair.end_user.attach(1, "large", &noise(1, 1025)).await;
    pair.end_user.attach(1, "tool.EXE", &noise(2, 10)).await;
    pair.end_user.attach(1, "tool.com", &noise(3, 10)).await;
    pair.end_user.attach(1, "fits", &noise(4, 1024)).await;
    pair.partner.has_file(1, "fits", &noise(4, 1024)).await;
    pair.end_user.transfer(1, "tool.com to failed").await;
    pair.end_user.transfer(1, "large to skipped").await;
    pair.end_user.transfer(1, "tool.EXE to skipped").await;
    let skipped = pair.end_user.told(1, "attachment_skipped").await.join("; ");
    assert!(skipped.contains("large does not go to partner: it is 1025 bytes long"), "{skipped}");
    assert!(skipped.contains("tool.EXE does not go to partner: files of type exe are refused"), "{skipped}");
    let failed = pair.end_user.told(1, "attachment_failed").await;
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0].contains("the peer does not take it: files of type com are refused"), "{failed:?}");
    assert_eq!(pair.partner.told(1, "attachment_refused").await.len(), 1);
    assert_eq!(pair.partner.transfers(1).await, ["fits from arrived", "tool.com from refused"]);
    assert_eq!(pair.end_user.get("/v1/parked").await.body["total"], 0, "nothing waits for a person");
}

/// An Update that announces these.
fn announce(number: u64, seq: u64, notes: Value) -> Value {
    operation(number, seq, "update", json!({"attachments": notes}))
}

fn note(name: &str, content: &[u8]) -> Value {
    json!({"name": name, "bytes": content.len(), "sha256": ContentDigest::of(content)})
}

fn place(number: u64, content: &[u8]) -> String {
    format!("/v1/attachments/{}?exchange={}", ContentDigest::of(content), exchange(number))
}

fn piece(caller: &Caller, path: &str, range: &str, content: &[u8]) -> reqwest::RequestBuilder {
    caller.request("PUT", path).header("content-range", range).body(content.to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_files_are_answered_with_a_problem_that_names_the_culprit_and_change_nothing() {
    let port = free_port();
    let mut partner = Site::new("partner", &partner_config(port, ACCEPT_ALL));
    partner.start().await;
    let caller = Caller::north(port);
    caller.create(1).await;
    let content = noise(1, 100_000);
    let right = note("core", &content);

    let many: Vec<Value> = (0..101).map(|number| note(&format!("file {number}"), b"x")).collect();
    assert_refused(&caller.operate(announce(1, 2, json!(many))).await, 422, "content", &["101", "100"]);
    for (name, said) in
        [("a\u{1b}[2J", "U+001B"), ("", "empty"), ("x\r\nSet-Cookie: y", "U+000D"), ("\u{202e}gpj", "U+202E")]
    {
        let result = caller.operate(announce(1, 2, json!([right, note(name, b"x")]))).await;
        assert_refused(&result, 422, "content", &["attachment", said]);
    }
    let wrong = json!([{"name": "core", "bytes": 1, "sha256": "../../etc/passwd"}]);
    assert_refused(&caller.operate(announce(1, 2, wrong)).await, 422, "content", &["attachments[0].sha256"]);
    assert_eq!(partner.count("SELECT count(*) FROM incoming").await, 0, "nothing of all that is there");

    // Never announced.
    let path = place(1, &content);
    assert_problem(&hear(piece(&caller, &path, "bytes 0-99999/100000", &content)).await, 404, "not-found", &[]);
    let result = caller.operate(announce(1, 2, json!([right, note("../../etc/passwd", b"name")]))).await;
    assert_eq!(result["outcome"], "applied", "a name is data: {result}");

    let ask = async |range: &str, content: &[u8]| hear(piece(&caller, &path, range, content)).await;
    assert_problem(&ask("bytes 0-99999/100001", &content).await, 422, "attachment-length", &["100000", "100001"]);
    assert_problem(&ask("bytes 0-99998/100000", &content).await, 422, "attachment-length", &["99999", "100000"]);
    assert_problem(&ask("bytes 0-9/100000", &content[..10]).await, 422, "attachment-length", &["65536"]);
    assert_problem(&ask("bytes 0-99999/100000", b"").await, 422, "attachment-length", &["0"]);
    assert_problem(&ask("bytes 1-99999/100000", &content[1..]).await, 409, "attachment-offset", &["0 bytes"]);
    assert_problem(&ask("what", &content).await, 400, "bad-request", &["Content-Range"]);
    let too_large = vec![0; (1 << 20) + 1];
    assert_problem(&ask("bytes 0-1048576/1048577", &too_large).await, 413, "too-large", &[]);
    let other = noise(2, 100_000);
    assert_problem(&ask("bytes 0-99999/100000", &other).await, 422, "attachment-digest", &["SHA-256"]);
    assert_eq!(partner.count("SELECT sum(received) FROM content").await, 0, "nothing was kept of it");
    let head = hear(caller.request("HEAD", &path)).await;
    assert_eq!((head.status, head.headers["upload-offset"].to_str().unwrap()), (200, "0"));

    // And it is not held against the right one.
    let reply = ask("bytes 0-69999/100000", &content[..70_000]).await;
    assert_eq!((reply.status, &reply.body["received"]), (200, &json!(70_000)), "{}", reply.text);
    let reply = ask("bytes 70000-99999/100000", &content[70_000..]).await;
    assert_eq!((reply.status, &reply.body["received"]), (200, &json!(100_000)), "{}", reply.text);
    assert_eq!(partner.file(1, "core").await.as_deref(), Some(&content[..]));
    let again = ask("bytes 0-69999/100000", &content[..70_000]).await;
    assert_eq!((again.status, &again.body["received"]), (200, &json!(100_000)), "said twice, it changes nothing");

    // A content that is wrong each time is given up, and the case goes on.
    let path = place(1, b"name");
    for _ in 0..3 {
        let reply = hear(piece(&caller, &path, "bytes 0-3/4", b"eman")).await;
        assert_problem(&reply, 422, "attachment-digest", &[]);
    }
    let reply = hear(piece(&caller, &path, "bytes 0-3/4", b"name")).await;
    assert_problem(&reply, 422, "attachment-refused", &["another SHA-256"]);
    assert_eq!(partner.told(1, "attachment_failed").await.len(), 1);
    let result = caller.operate(operation(1, 3, "update", json!({"solution": "reseated"}))).await;
    assert_eq!(result["outcome"], "applied", "{result}");
    let written = std::fs::read_dir(partner.path("")).unwrap().map(|file| file.unwrap().file_name());
    assert!(!written.into_iter().any(|name| name.to_string_lossy().contains("passwd")), "nothing became a path");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_41_a_digest_opens_nothing_to_another_client() {
    let port = free_port();
    let mut partner = Site::new("partner", &partner_config(port, &format!("{ACCEPT_ALL}{SECOND_CLIENT}")));
    second_client(&partner);
    partner.start().await;
    let (north, south) = (Caller::north(port), Caller::south(port));
    let secret = noise(1, 5_000);
    for caller in [&north, &south] {
        assert_eq!(caller.operate(create(1)).await["outcome"], "applied");
    }
    north.operate(announce(1, 2, json!([note("secret", &secret)]))).await;
    let path = place(1, &secret);
    assert_eq!(hear(piece(&north, &path, "bytes 0-4999/5000", &secret)).await.status, 200);
    partner.attach(1, "answer", &secret).await;
    eventually("the answer to be offered", || async {
        (hear(north.request("GET", &path)).await.status == 206).then_some(())
    })
    .await;

    // Nothing tells south that anybody has it: not asking, not guessing, not announcing it.
    let never = place(1, &noise(9, 5_000));
    for method in ["GET", "HEAD", "PUT"] {
        let ask =
            |path: &str| south.request(method, path).header("content-range", "bytes 0-4999/5000").body(secret.clone());
        let (theirs, unknown) = (hear(ask(&path)).await, hear(ask(&never)).await);
        assert_eq!((theirs.status, &theirs.text), (404, &unknown.text), "{method}");
        assert_eq!(unknown.status, 404);
    }
    south.operate(announce(1, 2, json!([note("mine", &secret)]))).await;
    let head = hear(south.request("HEAD", &path)).await;
    assert_eq!((head.status, head.headers["upload-offset"].to_str().unwrap()), (200, "0"), "it has to have it");
    assert_eq!(hear(south.request("GET", &path)).await.status, 404, "and gets nothing back for it");
    assert_eq!(partner.file(2, "mine").await, None);
    // What south makes of the name spoils nothing of north's.
    let lie = vec![7; 5_000];
    assert_eq!(hear(piece(&south, &path, "bytes 0-4999/5000", &lie)).await.status, 422);
    assert_eq!(partner.file(1, "secret").await, Some(secret.clone()));
    assert_eq!(hear(piece(&south, &path, "bytes 0-4999/5000", &secret)).await.status, 200);
    assert_eq!(partner.file(2, "mine").await, Some(secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_45_each_level_lets_through_what_it_says_and_nothing_else_is_on_the_wire() {
    for (level, expected) in [
        ("nothing", &[][..]),
        ("no_configuration", &["core", "features"]),
        ("all", &["configuration", "core", "features"]),
        ("features_only", &["features"]),
    ] {
        let more = format!("[upstream.attachments]\nsend = \"{level}\"\n{SUBMIT_ALL}");
        let pair = Relayed::start(Plan { end_user: &more, partner: ACCEPT_ALL }).await;
        pair.end_user.insert(0, 1).await;
        pair.open(1).await;
        for name in ["configuration", "core", "features"] {
            pair.end_user.attach(1, name, name.as_bytes()).await;
        }
        eventually("every file's end", || async {
            let ended = "SELECT count(*) FROM outgoing WHERE state IN ('sent', 'skipped')";
            (pair.end_user.count(ended).await == 3).then_some(())
        })
        .await;
        let mut announced: Vec<String> = Vec::new();
        for call in pair.relay.calls() {
            let operations = call.body["operations"].as_array().cloned().unwrap_or_default();
            for one in operations {
                let notes = one["operation"]["content"]["attachments"].as_array().cloned().unwrap_or_default();
                announced.extend(notes.iter().map(|note| note["name"].as_str().unwrap().to_owned()));
            }
        }
        announced.sort();
        assert_eq!(announced, expected, "{level}");
        let puts = pair.relay.calls().iter().filter(|call| call.method == "PUT").count();
        assert_eq!(puts, expected.len(), "{level}");
        assert_eq!(pair.end_user.told(1, "attachment_skipped").await.len(), 3 - expected.len(), "{level}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_45_with_hidden_addresses_none_is_on_the_wire_and_the_local_copy_stays_whole() {
    let hide = "hide_addresses = true\n";
    let up = format!("[upstream.attachments]\n{hide}{SUBMIT_ALL}");
    let down = format!("{ACCEPT_ALL}[client.attachments]\n{hide}");
    let pair = Relayed::start(Plan { end_user: &up, partner: &down }).await;
    let store = pair.end_user.store().await;
    sqlx::query(
        "INSERT INTO incident (host_event_id, synopsis, description, device, manifest, form) \
         VALUES ('e-10.1.2.3', 'BGP to 10.1.2.3 is down', 'peer fe80::5eed is gone at 12:30:45', '10.1.2.3', \
           json('{\"loopback 10.1.2.3\": \"fe80::5eed/128\"}'), json('{\"comment\": \"see 10.1.2.3\"}'))",
    )
    .execute(&store)
    .await
    .unwrap();
    pair.open(1).await;
    sqlx::query("INSERT INTO comment (incident, author, text) VALUES (1, 'anna', 'ping 10.1.2.3 fails')")
        .execute(&store)
        .await
        .unwrap();
    store.close().await;
    // Long enough for several pieces, and an address on every seam.
    let text = "neighbor 10.1.2.3 and fe80::5eed at 12:30:45, version 1.2.3\n".repeat(20_000);
    pair.end_user.attach(1, "show bgp 10.1.2.3", text.as_bytes()).await;
    let hidden = text.replace("10.1.2.3", "***").replace("fe80::5eed", "***");
    pair.partner.has_file(1, "show bgp ***", hidden.as_bytes()).await;
    let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain("10.1.2.3".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    pair.end_user.attach(1, "wide", &wide).await;
    pair.end_user.transfer(1, "wide to skipped").await;
    pair.partner.act("/v1/incidents/1/update", json!({"operator": "bert", "comment": "try fe80::5eed"})).await;
    eventually("the comment", || async {
        let comments = pair.end_user.get("/v1/incidents/1").await.body["comments"].clone();
        comments.as_array().unwrap().iter().any(|one| one["text"] == "try ***").then_some(())
    })
    .await;
    eventually("the other comment", || async {
        let shown = pair.partner.get("/v1/incidents/1").await.body;
        let comments = shown["comments"].as_array().unwrap();
        comments.iter().any(|one| one["text"] == "ping *** fails").then_some(())
    })
    .await;

    for call in pair.relay.calls() {
        let said = format!("{} {} {}", call.path, call.query, call.body);
        // Without its colon it stands in a digest now and then.
        assert!(["10.1.2.3", ":5eed", "%3A5eed", "%3a5eed"].iter().all(|part| !said.contains(part)), "{said}");
    }
    let there = pair.partner.get("/v1/incidents/1").await.body;
    assert_eq!(there["synopsis"], "BGP to *** is down");
    assert_eq!(there["description"], "peer *** is gone at 12:30:45");
    let here = pair.end_user.get("/v1/incidents/1").await.body;
    assert_eq!(here["synopsis"], "BGP to 10.1.2.3 is down", "the local copy is whole");
    assert_eq!(pair.end_user.file(1, "show bgp 10.1.2.3").await.as_deref(), Some(text.as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_45_a_text_behind_nuls_goes_without_its_addresses_and_an_archive_of_texts_stays_here() {
    let up = format!("[upstream.attachments]\nhide_addresses = true\n{SUBMIT_ALL}");
    let pair = Pair::start(Plan { end_user: &up, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 1).await;
    pair.wait_all_open(1).await;
    let line = "neighbor 10.9.8.7 is down\n".repeat(100);
    let log = [vec![0; 300_000], line.clone().into_bytes()].concat();
    let hidden = [vec![0; 300_000], line.replace("10.9.8.7", "***").into_bytes()].concat();
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    tar.extend(line.bytes());
    pair.end_user.attach(1, "logs.tar", &tar).await;
    pair.end_user.attach(1, "noise", &noise(1, 5000)).await;
    pair.end_user.attach(1, "syslog", &log).await;
    pair.partner.has_file(1, "syslog", &hidden).await;
    pair.end_user.transfer(1, "logs.tar to skipped").await;
    pair.end_user.transfer(1, "noise to skipped").await;
    let told = pair.end_user.told(1, "attachment_skipped").await.join("; ");
    assert!(
        told.contains("logs.tar does not go to partner: addresses are to be hidden, and it is an archive"),
        "{told}"
    );
    assert!(told.contains("noise does not go to partner") && told.contains("nor of a known binary kind"), "{told}");
    assert_eq!(pair.end_user.file(1, "syslog").await, Some(log), "the local copy is whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_45_what_comes_back_without_its_addresses_is_ours_and_names_that_are_hidden_stay_apart() {
    let up = format!("[upstream.attachments]\nhide_addresses = true\n{SUBMIT_ALL}");
    let mut pair = Relayed::start(Plan { end_user: &up, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 1).await;
    pair.open(1).await;
    pair.end_user.execute("UPDATE incident SET solution = 'set 10.0.0.1 on r1' WHERE id = 1").await;
    let hidden = |shown: &serde_json::Value| shown["solution"] == "set *** on r1";
    pair.partner.when(1, "the solution without its address", hidden).await;
    pair.end_user.attach(1, "log-10.0.0.1.txt", b"first").await;
    pair.partner.has_file(1, "log-***.txt", b"first").await;
    pair.end_user.attach(1, "log-10.0.0.2.txt", b"second").await;
    pair.partner.has_file(1, "log-****.txt", b"second").await;
    pair.partner.has_file(1, "log-***.txt", b"first").await;

    let stays_whole = async |pair: &Relayed, status: &str| {
        let ours = pair.end_user.when(1, status, |shown| shown["case_status"] == status).await;
        assert_eq!(ours["solution"], "set 10.0.0.1 on r1", "after {status}");
    };
    pair.partner.act("/v1/incidents/1/resync", json!({"operator": "bert"})).await;
    pair.partner.act("/v1/incidents/1/update", json!({"operator": "bert", "status": "told again"})).await;
    stays_whole(&pair, "told again").await;
    pair.end_user.kill();
    pair.end_user.lose_state();
    pair.end_user.start().await;
    pair.partner.act("/v1/incidents/1/update", json!({"operator": "bert", "status": "taken up"})).await;
    stays_whole(&pair, "taken up").await;
    eventually("both sites to agree", || async {
        let answer = pair.end_user.act("/v1/reconcile", json!({"apply": false, "operator": "anna"})).await;
        (answer["in_motion"] == 0).then(|| assert_eq!(answer["differences"], json!([]), "{answer}"))
    })
    .await;
    // A new content goes under the name that the peer knows.
    pair.end_user.attach(1, "log-10.0.0.2.txt", b"third").await;
    pair.partner.has_file(1, "log-****.txt", b"third").await;
    assert_eq!(pair.partner.count("SELECT count(*) FROM attachment").await, 2);
    // A person changes what they read there: that is a change.
    pair.partner.act("/v1/incidents/1/update", json!({"operator": "bert", "solution": "set *** on r2"})).await;
    pair.end_user.when(1, "the other solution", |shown| shown["solution"] == "set *** on r2").await;
}
