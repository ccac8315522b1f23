//! History as evidence: the story of every hand-over, receipts between two sites, keys, and what a kill leaves.

use std::path::Path;

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::support::caller::Caller;
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::{Pair, Site, eventually, operator};

/// The entries of an incident, as the daemon hands them out.
async fn entries(site: &Site, incident: i64) -> Vec<Value> {
    let page = site.get(&format!("/v1/history?incident={incident}&limit=1000")).await.body;
    page["lines"].as_array().unwrap().clone()
}

async fn signed(site: &Site, count: i64) {
    let what = format!("{count} receipts at {}", site.alias);
    eventually(&what, || async { (site.count("SELECT count(*) FROM receipted").await >= count).then_some(()) }).await;
}

/// What `history verify` says of the site's own store.
fn verified(site: &Site) -> String {
    site.command(&["history", "verify"]).ok()
}

fn refused(site: &Site) -> String {
    site.command(&["history", "verify"]).refused(1, &["the history is not as it was written"]).err
}

#[tokio::test(flavor = "multi_thread")]
async fn h_07_each_site_proves_what_the_other_had_received_with_the_others_public_key() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 3).await;
    pair.wait_all_open(3).await;
    for (site, peer) in [(&pair.end_user, "partner"), (&pair.partner, "north")] {
        signed(site, 3).await;
        let (export, theirs, own) = (site.path("export.jsonl"), site.path("peer.keys"), site.path("own.keys"));
        std::fs::write(&export, site.command(&["history", "export"]).ok()).unwrap();
        std::fs::write(&theirs, site.command(&["key", "show", "--peer", peer]).ok()).unwrap();
        std::fs::write(&own, site.command(&["key", "show"]).ok()).unwrap();
        let export = export.to_str().unwrap();
        let named = |site: &str, path: &Path| format!("{site}={}", path.display());
        let (their_keys, own_keys) = (named(peer, &theirs), named(&site.alias, &own));
        let all = ["--key", &their_keys, "--key", &own_keys];
        let with = |keys: &[&str]| site.command(&[&["history", "verify", export][..], keys].concat());
        let told = with(&all).ok();
        assert!(told.contains("went to peers: 3; signed for by a known key: 3"), "{told}");
        assert!(told.contains("The end is signed by a known key"), "{told}");
        // Without a key, with one of them, and with each as that of the other: nothing is wrong, and not all is proved.
        with(&[]).refused(8, &["the peer's: 3", "the end is signed by nobody", "--key SITE=FILE"]);
        with(&all[..2]).refused(8, &["the end is signed by nobody that is known"]);
        with(&all[2..]).refused(8, &["not known as the peer's: 3"]);
        let swapped = [named(peer, &own), named(&site.alias, &theirs)];
        with(&["--key", &swapped[0]]).refused(8, &["the peer's: 3"]);
        with(&["--key", &own_keys, "--key", &swapped[0]]).refused(8, &["the peer's: 3"]);
        with(&["--key", &swapped[1]]).refused(1, &["signed by the site itself"]);
        with(&["--key", own.to_str().unwrap()]).refused(2, &["SITE=FILE"]);
        let told = verified(site);
        assert!(told.contains("signed for by a known key: 3"), "{told}");
        let one = site.path("one.jsonl");
        std::fs::write(&one, site.command(&["history", "export", "1"]).ok()).unwrap();
        let told = site.command(&[&["history", "verify", one.to_str().unwrap()][..], &all[..]].concat()).ok();
        assert!(told.contains("went to peers: 1; signed for by a known key: 1"), "{told}");
        let text = std::fs::read_to_string(&one).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let dropped = [&lines[..2], &lines[3..]].concat().join("\n") + "\n";
        std::fs::write(&one, dropped).unwrap();
        site.command(&["history", "verify", one.to_str().unwrap()]).refused(1, &["it is missing"]);
        // Bytes that are no text are named as well.
        let mut bytes = text.clone().into_bytes();
        let place = lines[0].len() + lines[1].len() / 2;
        bytes[place] = 0xff;
        let number = &serde_json::from_str::<Value>(lines[1]).unwrap()["entry"]["number"];
        std::fs::write(&one, bytes).unwrap();
        site.command(&["history", "verify", one.to_str().unwrap()])
            .refused(1, &[&format!("entry {number}: "), "UTF-8"]);
    }
    // The partner holds the end user's signatures, which tell how far its history went.
    let held = pair.partner.path("export.jsonl");
    let (export, own) = (pair.end_user.path("export.jsonl"), pair.end_user.path("own.keys"));
    std::fs::write(&export, pair.end_user.command(&["history", "export"]).ok()).unwrap();
    let [held, export] = [&held, &export].map(|path| path.to_str().unwrap());
    let theirs = pair.end_user.path("peer.keys");
    let [own, theirs] =
        [("north", &own), ("partner", &theirs)].map(|(site, path)| format!("{site}={}", path.display()));
    let verify = ["history", "verify", export, "--key", &theirs, "--held", held];
    let told = pair.end_user.command(&[&verify[..], &["--key", &own]].concat()).ok();
    assert!(told.contains("Entries that a peer holds"), "{told}");
    // The partner's keys do not speak for north.
    pair.end_user.command(&verify).refused(8, &["no known signature of this site"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn h_05_every_hand_over_leaves_one_entry_with_who_when_and_the_holder_before_and_after() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: "" }).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    north.insert(0, 2).await;
    eventually("both to be there", || async {
        (partner.count("SELECT count(*) FROM incident").await == 2).then_some(())
    })
    .await;
    let by = json!({"operator": "bert"});
    partner.act("/v1/incidents/1/accept", by.clone()).await;
    eventually("the case", || async {
        (north.count("SELECT count(*) FROM incident WHERE case_id IS NOT NULL").await == 1).then_some(())
    })
    .await;
    partner.act("/v1/incidents/1/assign", json!({"group": "north", "operator": "bert"})).await;
    partner.act("/v1/incidents/2/reject", by.clone()).await;
    eventually("the return", || async {
        let held = "SELECT count(*) FROM reference WHERE standing = 'rejected'";
        (north.count(held).await == 1).then_some(())
    })
    .await;
    let at_partner = entries(partner, 1).await;
    let actions: Vec<&str> = at_partner.iter().map(|line| line["entry"]["action"].as_str().unwrap()).collect();
    let handed: Vec<&&str> =
        actions.iter().filter(|action| ["incident_opened", "case_accepted", "assigned"].contains(action)).collect();
    assert_eq!(handed, [&"incident_opened", &"case_accepted", &"assigned"], "{actions:?}");
    let of = |action: &str| at_partner.iter().find(|line| line["entry"]["action"] == action).unwrap()["entry"].clone();
    assert_eq!(of("incident_opened")["context"]["holder"], json!([null, "us"]));
    assert_eq!(of("incident_opened")["context"]["standing"], json!([null, "acknowledged"]));
    assert_eq!(of("case_accepted")["who"], operator("bert"));
    assert_eq!(of("assigned")["context"]["holder"], json!(["us", "peer"]));
    assert_eq!(of("assigned")["context"]["assignment"], json!([null, "north"]));
    assert!(of("assigned")["context"]["hand_over"][1].as_str().unwrap().starts_with("to north, "));
    assert!(of("assigned")["at"].is_string() && of("assigned")["node"].is_string());
    let rejected = entries(partner, 2).await;
    let rejected = rejected.iter().find(|line| line["entry"]["detail"] == "rejected").unwrap();
    assert_eq!(rejected["entry"]["context"]["phase"], json!(["initial_support", "close"]));
    let given_back = entries(north, 2).await;
    let back = given_back.iter().find(|line| line["entry"]["context"]["standing"][1] == "rejected").unwrap();
    assert_eq!(back["entry"]["who"], "peer partner");
}

#[tokio::test(flavor = "multi_thread")]
async fn c_58_the_record_shows_each_attempt_with_its_result_and_whose_it_is() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 1).await;
    pair.wait_all_open(1).await;
    let shown = pair.end_user.get("/v1/incidents/1").await.body;
    let external = &shown["exchanges"][0]["external"];
    assert_eq!(external["id"], "CASE-1");
    assert_eq!(external["status"], "Open");
    assert_eq!(external["active"], true);
    assert_eq!(external["originator"], "north");
    assert_eq!(external["integration"], "upstream partner");
    assert!(external["created_at"].is_string());
    let of_client = pair.partner.get("/v1/incidents/1").await.body;
    let external = &of_client["exchanges"][0]["external"];
    assert_eq!((&external["id"], &external["originator"]), (&json!("1"), &json!("north")));
    // An attempt that came to nothing stands there with its result.
    pair.partner.act("/v1/incidents/1/active", json!({"operator": "bert", "active": false})).await;
    let store = pair.end_user.store().await;
    let comment = "INSERT INTO comment (incident, author, text) VALUES (1, 'anna', 'still down')";
    sqlx::query(comment).execute(&store).await.unwrap();
    store.close().await;
    eventually("an attempt with its result", || async {
        let postponed = "SELECT count(*) FROM history WHERE action = 'operation_postponed' AND detail LIKE 'attempt 1 at partner: %'";
        (pair.end_user.count(postponed).await == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_rotated_is_followed_and_a_foreign_one_waits_for_a_person() {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 1).await;
    pair.wait_all_open(1).await;
    signed(&pair.end_user, 1).await;
    pair.partner.command(&["key", "rotate"]).ok();
    pair.end_user.insert(10, 1).await;
    pair.wait_all_open(2).await;
    signed(&pair.end_user, 2).await;
    let past = "SELECT count(*) FROM signing_key WHERE peer = 'partner' AND standing = 'past'";
    assert_eq!(pair.end_user.count(past).await, 1);

    // The partner's key is gone, and it makes another one that nobody has endorsed.
    pair.partner.kill();
    std::fs::remove_file(pair.partner.path("history.key")).unwrap();
    pair.partner.start().await;
    pair.end_user.insert(20, 1).await;
    pair.wait_all_open(3).await;
    eventually("the key to be refused", || async {
        pair.end_user.log().contains("event=\"peer_key_changed\"").then_some(())
    })
    .await;
    assert_eq!(pair.end_user.count("SELECT count(*) FROM receipted").await, 2, "nothing of it counts");
    pair.end_user.command(&["key", "pin", "--peer", "partner"]).ok();
    signed(&pair.end_user, 3).await;
    let told = verified(&pair.end_user);
    assert!(told.contains("went to peers: 3; signed for by a known key: 3"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn h_07_what_is_changed_in_the_store_by_sql_is_named() {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 2).await;
    pair.wait_all_open(2).await;
    signed(&pair.end_user, 2).await;
    pair.end_user.kill();
    let pool = pair.end_user.store().await;
    let mut store = pool.acquire().await.unwrap();
    for refused in ["UPDATE history SET who = 'nobody' WHERE id = 2", "DELETE FROM history WHERE id = 2"] {
        let fault = sqlx::query(refused).execute(&mut *store).await.unwrap_err().to_string();
        assert!(fault.contains("append-only"), "{fault}");
    }
    sqlx::raw_sql("DROP TRIGGER history_stays; DROP TRIGGER history_is_kept; PRAGMA foreign_keys = OFF")
        .execute(&mut *store)
        .await
        .unwrap();
    let columns =
        ["at", "who", "action", "detail", "node", "context", "hash", "content", "sha256", "peer", "way", "exchange"];
    for column in columns {
        let select = format!("SELECT id, {column} FROM history WHERE {column} IS NOT NULL ORDER BY id LIMIT 1");
        let (id, before): (i64, String) = sqlx::query_as(AssertSqlSafe(select)).fetch_one(&mut *store).await.unwrap();
        // One letter is another one; a way has three spellings only.
        let changed = match column {
            "way" => {
                if before == "in" {
                    "out".to_owned()
                } else {
                    "in".to_owned()
                }
            }
            _ => format!("{}{}", if before.starts_with('0') { '1' } else { '0' }, &before[1..]),
        };
        let set = |value: String| {
            sqlx::query(AssertSqlSafe(format!("UPDATE history SET {column} = ? WHERE id = ?"))).bind(value).bind(id)
        };
        set(changed).execute(&mut *store).await.unwrap();
        let told = refused(&pair.end_user);
        assert!(told.contains(&format!("entry {id}: ")), "{column}: {told}");
        set(before.clone()).execute(&mut *store).await.unwrap();
        if column == "way" {
            continue;
        }
        // A byte that no text has.
        let no_text =
            format!("UPDATE history SET {column} = CAST(x'ff' AS TEXT) || substr({column}, 2) WHERE id = {id}");
        sqlx::raw_sql(AssertSqlSafe(no_text)).execute(&mut *store).await.unwrap();
        let told = refused(&pair.end_user);
        assert!(told.contains(&format!("entry {id}: ")), "{column}: {told}");
        set(before).execute(&mut *store).await.unwrap();
    }
    let last: i64 = sqlx::query_scalar("SELECT max(id) FROM history").fetch_one(&mut *store).await.unwrap();
    let hash: String =
        sqlx::query_scalar("SELECT hash FROM history WHERE id = ?").bind(last).fetch_one(&mut *store).await.unwrap();
    for changed in ["replace(hash, substr(hash, 1, 1), 'x')", "CAST(x'ff' AS TEXT) || substr(hash, 2)"] {
        let set = format!("UPDATE history SET hash = {changed} WHERE id = {last}");
        sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut *store).await.unwrap();
        let told = refused(&pair.end_user);
        assert!(told.contains(&format!("entry {last}: ")), "{told}");
        let set = sqlx::query("UPDATE history SET hash = ? WHERE id = ?").bind(&hash).bind(last);
        set.execute(&mut *store).await.unwrap();
    }
    for id in [1, 3, last] {
        sqlx::raw_sql(AssertSqlSafe(format!(
            "CREATE TABLE aside AS SELECT * FROM history WHERE id = {id}; DELETE FROM history WHERE id = {id}"
        )))
        .execute(&mut *store)
        .await
        .unwrap();
        let told = refused(&pair.end_user);
        assert!(told.contains(&format!("entry {id}: ")), "{told}");
        sqlx::raw_sql("INSERT INTO history SELECT * FROM aside; DROP TABLE aside").execute(&mut *store).await.unwrap();
    }
    assert!(verified(&pair.end_user).contains("are as they were written"));
    drop(store);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h_07_a_history_that_is_gone_or_cut_off_is_named_by_what_else_the_store_tells() {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 2).await;
    pair.wait_all_open(2).await;
    signed(&pair.end_user, 2).await;
    signed(&pair.partner, 2).await;
    let told = verified(&pair.end_user);
    assert!(told.contains("only a peer's export can prove: name it with --held FILE"), "{told}");
    pair.end_user.stop().await;
    pair.partner.stop().await;
    let site = &pair.end_user;
    site.execute("DROP TRIGGER history_stays; DROP TRIGGER history_is_kept; PRAGMA foreign_keys = OFF").await;
    let hide = |from: i64| {
        let keep = format!("CREATE TABLE aside AS SELECT * FROM history WHERE id > {from}");
        format!(
            "PRAGMA foreign_keys = OFF; {keep}; DELETE FROM history WHERE id > {from}; \
             UPDATE sqlite_sequence SET seq = {from} WHERE name = 'history'"
        )
    };
    const SHOW: &str = "INSERT INTO history SELECT * FROM aside; DROP TABLE aside";
    let (last, opened) =
        (site.count("SELECT max(id) FROM history").await, "SELECT min(id) FROM history WHERE way = 'in'");
    // By a receipt or a reader of the history that was behind the cut.
    site.execute(&hide(last - 1)).await;
    assert!(refused(site).contains(&format!("entry {last}: it is missing; ")));
    site.execute(SHOW).await;
    // With all of those set back as well, by what was applied.
    let applied = site.count(opened).await;
    site.execute(
        "CREATE TABLE others AS SELECT * FROM receipted; DELETE FROM receipted; UPDATE receipt_mark SET given = 0, looked = 0; \
         UPDATE consumer SET position = 0",
    )
    .await;
    site.execute(&hide(applied - 1)).await;
    let told = refused(site);
    assert!(told.contains(&format!("entry {applied}: it is missing; operation ")), "{told}");
    assert!(told.contains("of partner was applied to incident"), "{told}");
    site.execute(SHOW).await;
    site.execute("UPDATE reference SET applied = 0").await;
    site.execute(&hide(0)).await;
    let told = refused(site);
    assert!(told.contains("the site has worked, and its history is empty"), "{told}");

    // Without a store there is nothing to verify, and none is made.
    std::fs::remove_file(pair.partner.path("incidents.db")).unwrap();
    let told = pair.partner.command(&["history", "verify"]).refused(1, &["nothing is verified", "is not there"]);
    assert!(!pair.partner.path("incidents.db").exists(), "{}", told.err);
    std::fs::write(pair.partner.path("incidents.db"), "").unwrap();
    pair.partner.command(&["history", "verify"]).refused(1, &["holds no incident store"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_is_whole_and_the_receipts_come_after_a_kill_at_each_of_their_steps() {
    for point in ["ReceiptKept", "ReceiptMarked", "KeySet"] {
        for at_partner in [false, true] {
            if at_partner && point == "ReceiptMarked" {
                continue;
            }
            let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
            let dying = if at_partner { &mut pair.partner } else { &mut pair.end_user };
            dying.crash_at(point);
            pair.partner.spawn();
            pair.end_user.spawn();
            let path = pair.end_user.path("incidents.db");
            eventually("the store", || async { path.exists().then_some(()) }).await;
            eventually("an incident", || async {
                let store = pair.end_user.store().await;
                let insert =
                    "INSERT INTO incident (host_event_id, synopsis) VALUES ('edge-1', 'Fan') ON CONFLICT DO NOTHING";
                let done = sqlx::query(insert).execute(&store).await;
                store.close().await;
                done.is_ok().then_some(())
            })
            .await;
            let dying = if at_partner { &mut pair.partner } else { &mut pair.end_user };
            dying.exited().await;
            // What nobody could sign for yet is not proved, and nothing is wrong.
            let told = dying.command(&["history", "verify"]);
            assert!([0, 8].contains(&told.code) && told.out.contains("are as they were written"), "{point}: {told:?}");
            dying.start().await;
            for site in [&pair.end_user, &pair.partner] {
                signed(site, 1).await;
                assert!(verified(site).contains("signed for by a known key: 1"), "{point} {at_partner}");
            }
        }
    }
}

/// An incident that goes nowhere.
async fn store_and_hold(site: &Site) {
    site.execute("INSERT INTO incident (host_event_id, synopsis, submission) VALUES ('edge-2', 'Fan', 'held')").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_peer_has_seen_is_one_command_and_hidden_values_are_hidden() {
    let hide = format!("[upstream.attachments]\nhide_addresses = true\n{SUBMIT_ALL}");
    let pair = Pair::start(Plan { end_user: &hide, partner: ACCEPT_ALL }).await;
    let store = pair.end_user.store().await;
    let insert = "INSERT INTO incident (host_event_id, synopsis, device) VALUES ('edge-1', 'Fan of 10.1.2.3', 'edge1')";
    sqlx::query(insert).execute(&store).await.unwrap();
    store.close().await;
    pair.wait_all_open(1).await;
    signed(&pair.end_user, 1).await;
    let told = pair.end_user.command(&["history", "disclosed", "--peer", "partner", "1"]).ok();
    assert!(told.contains("event.synopsis") && told.contains("Fan of ***") && !told.contains("10.1.2.3"), "{told}");
    assert!(told.contains("(taken; entry ") && told.contains("signed for as received"), "{told}");
    // Whoever mistypes the name is not told that all is well.
    pair.end_user.command(&["history", "disclosed", "--peer", "nobody"]).refused(6, &["know a peer nobody"]);
    store_and_hold(&pair.end_user).await;
    let nothing = pair.end_user.command(&["history", "disclosed", "--peer", "partner", "2"]).ok();
    assert!(nothing.contains("Nothing of it has gone to partner."), "{nothing}");
    let story = pair.end_user.command(&["history", "1"]).ok();
    assert!(story.contains("acknowledged") && story.contains("yes"), "{story}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_peer_reads_of_a_whole_record_is_what_it_was_told_or_stands_in_the_history() {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 1).await;
    pair.wait_all_open(1).await;
    let by = |more: Value| {
        let mut body = json!({"operator": "bert"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    pair.partner.act("/v1/incidents/1/update", by(json!({"comment": "On it", "solution": "a first thought"}))).await;
    pair.end_user.when(1, "the comment", |shown| shown["comments"][0]["text"] == "On it").await;
    pair.partner.act("/v1/incidents/1/active", by(json!({"active": false}))).await;
    let secret = json!({"comment": "SECRET", "solution": "SECRET too", "status": "SECRET as well"});
    pair.partner.act("/v1/incidents/1/update", by(secret)).await;
    // C-59: what it reads as a whole holds no more than it was told. The case is asked for in two other ways.
    let caller = Caller::north(pair.wire.target_port());
    for path in ["/v1/exchanges?limit=10", "/v1/transactions/1"] {
        let read = caller.get(path).await.body.to_string();
        assert!(!read.contains("SECRET") && read.contains("CASE-1"), "{path}: {read}");
    }
    let read = caller.get("/v1/exchanges?limit=10").await.body.to_string();
    assert!(read.contains("On it") && read.contains("a first thought"), "{read}");
    let told = pair.partner.command(&["history", "disclosed", "--peer", "north", "1"]).ok();
    assert!(!told.contains("SECRET"), "{told}");

    // After lost state nobody knows what was told: the client reads the record as it stands, and the history says so.
    pair.partner.act("/v1/incidents/1/active", by(json!({"active": true}))).await;
    pair.end_user.when(1, "what waited", |shown| shown["solution"] == "SECRET too").await;
    pair.partner.kill();
    pair.partner.execute("UPDATE incident SET solution = 'found meanwhile' WHERE id = 1").await;
    pair.partner.lose_state();
    pair.partner.start().await;
    pair.end_user.when(1, "what was found", |shown| shown["solution"] == "found meanwhile").await;
    let told = pair.partner.command(&["history", "disclosed", "--peer", "north", "1"]).ok();
    assert!(told.contains("record 0 (to be read") && told.contains("found meanwhile"), "{told}");
    eventually("everything to be signed for", || async {
        (pair.partner.command(&["history", "verify"]).code == 0).then_some(())
    })
    .await;
}
