//! Both stores are compared (`casebridge reconcile`): a change that nobody saw is named with a handful of requests, shown
//! first, and repaired when told to. One exchange is settled anew (`casebridge resync`).

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::support::attachment::noise;
use crate::support::caller::{Caller, SECOND_CLIENT, exchange, second_client};
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL, partner_config};
use crate::support::relay::{Call, Relayed, Said, Twist, operates};
use crate::support::wire::free_port;
use crate::support::{Site, eventually, operator};

/// Another program's statement, as the store's triggers see it, or behind their backs.
async fn execute(site: &Site, sql: &str) {
    let store = site.store().await;
    sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&store).await.unwrap();
    store.close().await;
}

/// No detector hears of it.
async fn silently(site: &Site, set: &str) {
    execute(site, &format!("UPDATE incident SET bridge = bridge + 1, {set}")).await;
}

async fn reconcile(site: &Site, apply: bool) -> Value {
    site.act("/v1/reconcile", json!({"apply": apply, "operator": "anna"})).await
}

/// Open cases at both sites, with nothing under way.
async fn at_rest(count: i64) -> Relayed {
    let pair = Relayed::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, count as usize).await;
    pair.open(count).await;
    settled(&pair).await;
    pair
}

/// Waits until nothing is under way.
async fn settled(pair: &Relayed) {
    for site in [&pair.end_user, &pair.partner] {
        eventually("an empty outbox", || async { (site.get("/v1/outbox").await.body["total"] == 0).then_some(()) })
            .await;
    }
}

/// The calls of the comparison itself.
fn compares(call: &Call) -> bool {
    call.path == "/v1/digests" || call.path == "/v1/exchanges"
}

/// What happens is put in order by its count, and a whole record could bring one at the end of all numbers.
#[tokio::test(flavor = "multi_thread")]
async fn m_02_no_record_of_the_upstreams_uses_up_the_numbers_of_what_happens() {
    let mut pair = at_rest(1).await;
    pair.relay.twist(|call| match call.path.as_str() {
        "/v1/exchanges" => Twist::Tell(Box::new(|mut page| {
            for one in page["exchanges"].as_array_mut().into_iter().flatten() {
                one["record"]["milestones"] = json!([{"id": "ffffffff-ffff-ffff-ffff-ffffffffffff",
                    "n": 1_000_000_000, "at": "2026-11-21T10:00:00Z", "fact": {"state": "on_hold"}}]);
                if one["agreed"].is_object() {
                    one["agreed"]["milestones"] = "of another record".into();
                }
            }
            page
        })),
        _ => Twist::Pass,
    });
    let taken = "SELECT count(*) FROM milestone";
    silently(&pair.end_user, "solution = 'Nobody saw this' WHERE id = 1").await;
    let answer = reconcile(&pair.end_user, true).await;
    let fields: Vec<_> = answer["differences"].as_array().unwrap().iter().map(|one| one["field"].clone()).collect();
    assert!(fields.contains(&json!("milestones")) && fields.contains(&json!("solution")), "{answer}");
    assert_eq!(pair.end_user.count(taken).await, 0, "by a comparison");
    pair.end_user.stop().await;
    pair.end_user.lose_state();
    pair.end_user.start().await;
    pair.end_user.step(1, "partner", "open").await;
    assert_eq!(pair.end_user.count(taken).await, 0, "after lost state");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_silent_change_among_many_is_named_with_a_handful_of_requests() {
    const COUNT: i64 = 2_000;
    let pair = at_rest(COUNT).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    let answer = reconcile(north, false).await;
    assert_eq!((&answer["compared"], &answer["differences"]), (&json!(COUNT), &json!([])), "{answer}");

    silently(north, "solution = 'Nobody saw this' WHERE id = 1234").await;
    let began = pair.relay.calls().len();
    let answer = reconcile(north, false).await;
    let calls: Vec<Call> = pair.relay.calls()[began..].iter().filter(|call| compares(call)).cloned().collect();
    // The whole in 256 parts; one part, exchange by exchange; one record. A range of up to 1,000 is answered exchange by
    // exchange, so n exchanges cost 2 + log(n / 1,000) / log(256) requests: 100,000 cost as many as these.
    assert_eq!(calls.len(), 3, "{calls:?}");
    assert!(calls[1].query.contains("after=") && calls[2].query.matches("0000000004d2").count() == 1, "{calls:?}");
    let differences = answer["differences"].as_array().unwrap();
    assert_eq!(differences.len(), 1, "{answer}");
    let one = &differences[0];
    assert_eq!((&one["incident"], &one["field"], &one["there"]), (&json!(1234), &json!("solution"), &Value::Null));
    assert_eq!((&one["here"], &one["repaired"]), (&json!("Nobody saw this"), &json!(false)));
    let shown = "SELECT count(*) FROM incident WHERE solution IS NOT NULL";
    assert_eq!(north.count(shown).await, 1, "a plan changes nothing");
    assert!(north.log().contains("drift_found") && !north.log().contains("Nobody saw"), "told without its text");

    partner.command(&["reconcile"]).refused(6, &["no [upstream]", "`casebridge reconcile` at north"]);
    let text = north.command(&["reconcile"]).ok();
    for part in ["1234", "solution", "Nobody saw this", "take the peer's value", "casebridge reconcile --apply"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = north.command(&["reconcile", "1234", "--apply"]).ok();
    assert!(text.contains("yes") && text.contains("(1 exchange compared"), "{text}");
    assert_eq!((north.count(shown).await, partner.count(shown).await), (0, 0), "the upstream counts");
    assert_eq!(reconcile(north, false).await["differences"], json!([]));
}

/// What a range is cut into, each part as an empty one that no record has.
fn cut(query: &str, parts: u128) -> Value {
    let bound = |name: &str| {
        let value = query.split('&').find_map(|one| one.strip_prefix(name));
        value.map(|value| u128::from_str_radix(value, 16).unwrap())
    };
    let (after, through) = (bound("after="), bound("through="));
    let from = after.unwrap_or_default();
    let width = (through.unwrap_or(u128::MAX) - from) / parts;
    let inner = (1..parts).map(|part| Some(from + part * width));
    let part = |end: Option<u128>| match end {
        Some(end) => json!({"through": format!("{end:032x}"), "count": 1, "digest": ""}),
        None => json!({"count": 1, "digest": ""}),
    };
    json!({"parts": inner.chain([through]).map(part).collect::<Vec<_>>()})
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_are_too_many_cover_the_whole_or_never_end_are_refused_with_the_first_answers() {
    type Answer = fn(&Call) -> Value;
    let answers: [(Answer, &str, std::ops::RangeInclusive<usize>); 4] = [
        (|_| json!({"parts": vec![json!({"count": 1, "digest": ""}); 130_000]}), "more in one page", 1..=1),
        (|_| json!({"parts": vec![json!({"count": 1, "digest": ""}); 256]}), "parts that are not in order", 1..=1),
        (|call| cut(&call.query, 256), "parts that lead nowhere", 10..=20),
        (
            |_| json!({"exchanges": vec![json!({"exchange": "0".repeat(32), "digest": ""}); 1_001]}),
            "more in one page",
            1..=1,
        ),
    ];
    let pair = at_rest(1).await;
    for (answer, reason, requests) in answers {
        let began = pair.relay.count("/v1/digests");
        pair.relay.twist(move |call| match call.path.as_str() {
            "/v1/digests" => {
                Twist::Say(Said::plain(200, &answer(call).to_string()).with("content-type", "application/json"))
            }
            _ => Twist::Pass,
        });
        let refused = pair.end_user.post("/v1/reconcile", json!({"operator": "anna"})).await;
        assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.contains(reason)), "{}", refused.body);
        let asked = pair.relay.count("/v1/digests") - began;
        assert!(requests.contains(&asked), "{reason}: {asked} requests");
    }
    pair.relay.pass();
    assert_eq!(reconcile(&pair.end_user, false).await["differences"], json!([]), "nothing of it stayed");
}

/// The most memory that this site's daemon had, in bytes.
fn most(site: &Site) -> u64 {
    crate::hostile::most_memory(site)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_for_everything_about_many_long_records_costs_little_memory() {
    const COUNT: i64 = 600;
    let pair = at_rest(COUNT).await;
    let (partner, north) = (&pair.partner, Caller::north(pair.relay.target()));
    // Nothing but an operator shows a description again: a page counts bytes without it.
    silently(partner, "description = hex(zeroblob(125000))").await;
    let before = most(partner);
    let page = north.get("/v1/exchanges?limit=1000").await;
    let ids: Vec<&str> =
        page.body["exchanges"].as_array().unwrap().iter().map(|one| one["exchange"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), COUNT as usize);
    for ids in ids.chunks(100) {
        let whole = north.get(&format!("/v1/exchanges?exchange={}", ids.join(","))).await;
        assert_eq!(whole.body["exchanges"].as_array().map(Vec::len), Some(ids.len()));
        assert_eq!(north.get(&format!("/v1/transactions?exchange={}", ids.join(","))).await.status, 200);
    }
    assert_eq!(north.get("/v1/digests").await.body["exchanges"].as_array().map(Vec::len), Some(COUNT as usize));
    let grown = most(partner).saturating_sub(before);
    assert!(grown < 100 << 20, "{grown} bytes more, for records of {} bytes", COUNT * 250_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_do_not_fit_one_page_are_compared_page_by_page() {
    let pair = at_rest(100).await;
    silently(&pair.partner, "solution = hex(zeroblob(30000))").await;
    let began = pair.relay.count("/v1/exchanges");
    let answer = reconcile(&pair.end_user, false).await;
    assert_eq!(answer["differences"].as_array().map(Vec::len), Some(100), "{answer}");
    assert_eq!(pair.relay.count("/v1/exchanges") - began, 5, "a slice of 20 records each");
    // However little a page holds, the rest is asked for again.
    pair.relay.twist(|call| match call.path.as_str() {
        "/v1/exchanges" => Twist::Tell(Box::new(|mut page| {
            page["exchanges"].as_array_mut().unwrap().truncate(15);
            page["more"] = json!(true);
            page
        })),
        _ => Twist::Pass,
    });
    assert_eq!(reconcile(&pair.end_user, false).await["differences"], answer["differences"]);
    pair.relay.pass();

    let north = Caller::north(pair.relay.target());
    let page = north.get("/v1/exchanges?limit=1000").await.body;
    let ids: Vec<&str> =
        page["exchanges"].as_array().unwrap().iter().map(|one| one["exchange"].as_str().unwrap()).collect();
    assert!(page["more"] == true && (60..80).contains(&ids.len()), "{}", ids.len());
    let last = ids.last().unwrap();
    let rest = north.get(&format!("/v1/exchanges?after={last}&limit=1000")).await.body;
    assert_eq!((rest["exchanges"].as_array().map(Vec::len), &rest["more"]), (Some(100 - ids.len()), &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn h_07_what_a_client_reads_by_a_comparison_and_was_never_told_stands_in_the_history() {
    let pair = at_rest(2).await;
    let shown = "SELECT count(*) FROM history WHERE way = 'shown'";
    let disclosed = || pair.partner.command(&["history", "disclosed", "--peer", "north", "1"]).ok();
    silently(&pair.end_user, "solution = 'Ours' WHERE id = 1").await;
    assert_eq!(reconcile(&pair.end_user, false).await["differences"].as_array().unwrap().len(), 1);
    assert_eq!(pair.partner.count(shown).await, 0, "what was told before is no news");

    silently(&pair.partner, "solution = 'Nobody saw this' WHERE id = 1").await;
    assert!(!disclosed().contains("Nobody saw this"));
    for _ in 0..2 {
        let row = &reconcile(&pair.end_user, false).await["differences"][0];
        assert_eq!((&row["incident"], &row["there"]), (&json!(1), &json!("Nobody saw this")), "{row}");
    }
    let told = disclosed();
    assert!(told.contains("record 0 (to be read") && told.contains("Nobody saw this"), "{told}");
    assert_eq!(pair.partner.count(shown).await, 1, "each content once");
    eventually("everything to be signed for", || async {
        (pair.partner.command(&["history", "verify"]).code == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_differs_is_repaired_also_by_a_site_that_dies_over_it() {
    let mut pair = at_rest(6).await;
    execute(&pair.end_user, "INSERT INTO comment (incident, author, text) VALUES (5, 'anna', 'from below')").await;
    execute(&pair.partner, "INSERT INTO comment (incident, author, text) VALUES (4, 'bert', 'from above')").await;
    let comments = "SELECT count(*) FROM comment";
    for site in [&pair.end_user, &pair.partner] {
        eventually("both comments", || async { (site.count(comments).await == 2).then_some(()) }).await;
    }
    settled(&pair).await;

    silently(&pair.partner, "solution = 'Replaced', phase = 'review', completion_code = 'fulfilled' WHERE id = 1")
        .await;
    silently(&pair.end_user, "case_id = 'CASE-77', case_status = 'Lost' WHERE id = 2").await;
    silently(&pair.end_user, "phase = 'close' WHERE id = 3").await;
    for (site, lost) in [(&pair.end_user, "from above"), (&pair.partner, "from below")] {
        execute(site, "DROP TRIGGER comment_stays").await;
        execute(site, &format!("DELETE FROM comment WHERE text = '{lost}'")).await;
    }

    let plan = reconcile(&pair.end_user, false).await;
    let rows = plan["differences"].as_array().unwrap();
    let told: Vec<(i64, &str)> =
        rows.iter().map(|row| (row["incident"].as_i64().unwrap(), row["field"].as_str().unwrap())).collect();
    assert_eq!(told[..3], [(1, "phase"), (1, "solution"), (1, "completion code")], "{plan}");
    let expected = [(2, "case"), (3, "phase"), (3, "completion code"), (4, "comment"), (5, "comment")];
    for ((incident, field), (expected_incident, expected_field)) in told[3..].iter().zip(expected) {
        assert!(*incident == expected_incident && field.starts_with(expected_field), "{plan}");
    }
    assert_eq!(told.len(), 8, "{plan}");

    pair.end_user.stop().await;
    pair.end_user.crash_at("Reconciled:2");
    pair.end_user.start().await;
    let request = pair.end_user.request("POST", "/v1/reconcile").json(&json!({"apply": true, "operator": "anna"}));
    assert!(request.send().await.is_err(), "it died in the middle");
    pair.end_user.exited().await;
    pair.end_user.start().await;
    let done = reconcile(&pair.end_user, true).await;
    assert!(done["differences"].as_array().unwrap().iter().all(|row| row["repaired"] == true), "{done}");
    for site in [&pair.end_user, &pair.partner] {
        eventually("both comments again", || async { (site.count(comments).await == 2).then_some(()) }).await;
    }
    settled(&pair).await;
    assert_eq!(reconcile(&pair.end_user, false).await["differences"], json!([]));
    let first = pair.end_user.get("/v1/incidents/1").await.body;
    assert_eq!((&first["solution"], &first["phase"]), (&json!("Replaced"), &json!("review")));
    assert_eq!(pair.end_user.get("/v1/incidents/2").await.body["case_id"], "CASE-2");
    let third = pair.end_user.get("/v1/incidents/3").await.body;
    assert_eq!((&third["phase"], &third["exchanges"][0]["step"]), (&json!("initial_support"), &json!("open")));
    let lines = first["history"].as_array().unwrap();
    assert!(lines.iter().any(|line| line["action"] == "reconciled" && line["who"] == operator("anna")), "{first}");
    // And the case goes on.
    pair.partner.act("/v1/incidents/3/close", json!({"operator": "bert"})).await;
    eventually("the end", || async {
        (pair.end_user.get("/v1/incidents/3").await.body["exchanges"][0]["step"] == "closed").then_some(())
    })
    .await;
    settled(&pair).await;
    assert_eq!(reconcile(&pair.end_user, false).await["differences"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn c_47_what_this_site_owns_is_told_to_the_other_and_not_taken_from_it() {
    let owner = "[exchange.owner]\nsolution = \"client\"\nphase = \"client\"\n";
    let (end_user, partner) = (format!("{SUBMIT_ALL}{owner}"), format!("{ACCEPT_ALL}{owner}"));
    let pair = Relayed::start(Plan { end_user: &end_user, partner: &partner }).await;
    pair.end_user.insert(0, 3).await;
    pair.open(3).await;
    settled(&pair).await;
    silently(&pair.partner, "solution = 'theirs', expected_resolution = '2026-12-01T12:00:00Z' WHERE id = 1").await;
    silently(&pair.end_user, "solution = 'ours' WHERE id = 2").await;
    silently(&pair.end_user, "phase = 'close', solution = 'Reseated', completion_code = 'fulfilled' WHERE id = 3")
        .await;
    let plan = reconcile(&pair.end_user, false).await;
    let repairs: Vec<(&str, &str)> = plan["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["field"].as_str().unwrap(), row["repair"].as_str().unwrap()))
        .collect();
    let (ours, take) = ("tell the peer ours, which counts", "take the peer's value");
    assert_eq!(repairs[..3], [("solution", ours), ("expected resolution", take), ("solution", ours)], "{plan}");
    assert_eq!(repairs[3..5], [("phase", ours), ("solution", ours)], "{plan}");

    reconcile(&pair.end_user, true).await;
    settled(&pair).await;
    for site in [&pair.end_user, &pair.partner] {
        site.when(1, "no solution", |shown| shown["solution"].is_null() && shown["expected_resolution"].is_string())
            .await;
        site.when(2, "our solution", |shown| shown["solution"] == "ours").await;
        site.when(3, "our end", |shown| shown["phase"] == "close" && shown["solution"] == "Reseated").await;
    }
    settled(&pair).await;
    assert_eq!(reconcile(&pair.end_user, false).await["differences"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_one_site_has_lost_is_named_and_carried_again() {
    let pair = at_rest(2).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    let (ours, theirs) = (noise(1, 300_000), noise(2, 70_000));
    north.attach(1, "core", &ours).await;
    partner.attach(2, "firmware", &theirs).await;
    partner.has_file(1, "core", &ours).await;
    north.has_file(2, "firmware", &theirs).await;
    north.transfer(1, "core to sent").await;
    partner.transfer(2, "firmware to sent").await;
    settled(&pair).await;
    assert_eq!(reconcile(north, false).await["differences"], json!([]));

    // Gone from the list, and gone altogether.
    for forgotten in [false, true] {
        for (site, name) in [(partner, "core"), (north, "firmware")] {
            execute(site, &format!("DELETE FROM attachment WHERE name = '{name}'")).await;
            if forgotten {
                execute(site, &format!("DELETE FROM incoming WHERE name = '{name}'")).await;
            }
        }
        let plan = reconcile(north, false).await;
        let fields: Vec<(&str, &str)> = plan["differences"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["field"].as_str().unwrap(), row["repair"].as_str().unwrap()))
            .collect();
        assert_eq!(fields, [("attachment core", "send it again"), ("attachment firmware", "take it from the peer")]);
        reconcile(north, true).await;
        partner.has_file(1, "core", &ours).await;
        north.has_file(2, "firmware", &theirs).await;
        north.transfer(1, "core to sent").await;
        settled(&pair).await;
        assert_eq!(reconcile(north, false).await["differences"], json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_no_drift() {
    let pair = at_rest(3).await;
    pair.relay.twist(|call| if operates(call) { Twist::Say(Said::problem(503, "busy", "later")) } else { Twist::Pass });
    execute(&pair.end_user, "UPDATE incident SET solution = 'on its way' WHERE id = 2").await;
    eventually("the change to be queued", || async {
        (pair.end_user.get("/v1/outbox").await.body["total"] == 1).then_some(())
    })
    .await;
    // The refusal of operations brings the peer down as a whole; it is asked again as soon as it is up.
    pair.relay.pass();
    pair.relay.twist(|call| if operates(call) { Twist::Say(Said::problem(409, "illegal", "no")) } else { Twist::Pass });
    eventually("it to be parked", || async {
        (pair.end_user.get("/v1/parked").await.body["total"] == 1).then_some(())
    })
    .await;
    let answer = reconcile(&pair.end_user, true).await;
    assert_eq!((&answer["in_motion"], &answer["differences"]), (&json!(1), &json!([])), "{answer}");
    pair.relay.pass();
    pair.end_user.act("/v1/retry", json!({"incident": 2, "operator": "anna"})).await;
    settled(&pair).await;
    let answer = reconcile(&pair.end_user, false).await;
    assert_eq!((&answer["in_motion"], &answer["differences"]), (&json!(0), &json!([])), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_found_on_schedule_and_told_as_an_event() {
    let mut pair = Relayed::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.edit_config("[log]", "[schedule]\nreconcile = \"* * * * * *\"\n[log]");
    pair.run().await;
    pair.end_user.insert(0, 2).await;
    pair.open(2).await;
    settled(&pair).await;
    assert!(!pair.end_user.log().contains("drift_found"), "what is new is no drift");
    silently(&pair.partner, "case_status = 'Changed behind our back' WHERE id = 2").await;
    let line = eventually("the event", || async {
        pair.end_user.log().lines().find(|line| line.contains("drift_found")).map(str::to_owned)
    })
    .await;
    assert!(line.contains("WARN") && line.contains("incidents=\"[2]\""), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_of_its_own_exchanges_alone() {
    let port = free_port();
    let mut partner = Site::new("partner", &partner_config(port, SECOND_CLIENT));
    second_client(&partner);
    partner.start().await;
    let (north, south) = (Caller::north(port), Caller::south(port));
    north.create(1).await;
    south.create(2).await;
    for (caller, own, other) in [(&north, 1, 2), (&south, 2, 1)] {
        let page = caller.get("/v1/digests").await;
        let exchanges = page.body["exchanges"].as_array().unwrap().clone();
        assert_eq!((exchanges.len(), &exchanges[0]["exchange"]), (1, &json!(exchange(own))), "{page:?}");
        let both = format!("/v1/exchanges?exchange={},{}", exchange(own), exchange(other));
        let page = caller.get(&both).await;
        assert_eq!(page.body["exchanges"].as_array().unwrap().len(), 1, "{page:?}");
        assert_eq!(page.body["exchanges"][0]["agreed"]["phase"], "resolution", "{page:?}");
    }
    assert_eq!(north.get("/v1/digests?after=x").await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_changed_in_silence_is_named_where_neither_site_hides_any() {
    for (hides, named) in [("", 1), ("[upstream.attachments]\nhide_addresses = true\n", 0)] {
        let end_user = format!("{hides}{SUBMIT_ALL}");
        let pair = Relayed::start(Plan { end_user: &end_user, partner: ACCEPT_ALL }).await;
        pair.end_user.insert(0, 1).await;
        pair.open(1).await;
        execute(&pair.partner, "UPDATE incident SET solution = 'Rerouted by 192.0.2.7'").await;
        pair.end_user.when(1, "the solution", |shown| shown["solution"].is_string()).await;
        settled(&pair).await;
        silently(&pair.partner, "solution = 'Rerouted by 192.0.2.8'").await;
        let answer = reconcile(&pair.end_user, false).await;
        let rows = answer["differences"].as_array().unwrap();
        assert_eq!((&answer["compared"], rows.len()), (&json!(1), named), "{answer}");
        assert!(rows.iter().all(|row| row["field"] == "solution"), "{answer}");
    }
}

/// A batch or a feed without what came with a later version.
fn older(mut told: Value) -> Value {
    told.as_object_mut().unwrap().remove("protocol");
    for one in told["operations"].as_array_mut().into_iter().flatten() {
        one.as_object_mut().unwrap().remove("seen");
        if let Some(content) = one["operation"]["content"].as_object_mut() {
            content.remove("milestones");
            content.remove("deadlines");
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_peer_keeps_working_and_is_not_asked_for_what_it_has_not() {
    let mut pair = Relayed::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.relay.twist(|call| match call.path.as_str() {
        "/v1/site" => Twist::Tell(Box::new(|mut site| {
            site["protocol"] = json!("1.0");
            site.as_object_mut().unwrap().remove("capabilities");
            site
        })),
        "/v1/digests" => Twist::Say(Said::problem(404, "not-found", "see /openapi.json for what there is")),
        // It tells neither what it has seen nor of milestones, and hears of neither.
        "/v1/updates" => Twist::Tell(Box::new(older)),
        "/v1/operations" => Twist::Ask(older(call.body.clone())),
        _ => Twist::Pass,
    });
    pair.run().await;
    pair.end_user.insert(0, 3).await;
    pair.open(3).await;
    let refused = pair.end_user.post("/v1/reconcile", json!({"operator": "anna"})).await;
    assert_eq!((refused.status, &refused.body["type"]), (409, &json!("urn:casebridge:problem:unsupported")));
    pair.end_user.command(&["reconcile"]).refused(6, &["does not know \"reconcile\" yet"]);
    pair.end_user.command(&["resync", "1"]).refused(6, &["does not know \"reconcile\" yet"]);
    assert_eq!(pair.relay.count("/v1/digests"), 0);
    // The rest of the flow: words and a file, resolved, opened again, closed; and one that is given back.
    let (north, partner) = (&pair.end_user, &pair.partner);
    north.act("/v1/incidents/1/comments", json!({"text": "From below", "operator": "anna"})).await;
    partner.act("/v1/incidents/1/comments", json!({"text": "From above", "operator": "bert"})).await;
    north.attach(1, "core", b"a file").await;
    north.when(1, "the word from above", |shown| shown["comments"].to_string().contains("From above")).await;
    partner.when(1, "the word from below", |shown| shown["comments"].to_string().contains("From below")).await;
    eventually("the file", || async {
        let stored = "SELECT count(*) FROM attachment WHERE name = 'core' AND state = 'stored'";
        (partner.count(stored).await == 1).then_some(())
    })
    .await;
    partner.act("/v1/incidents/1/resolve", json!({"solution": "Reseated", "operator": "bert"})).await;
    north
        .when(1, "the solution", |shown| {
            (&shown["phase"], &shown["solution"]) == (&json!("review"), &json!("Reseated"))
        })
        .await;
    north.act("/v1/incidents/1/reopen", json!({"comment": "It fails again", "operator": "anna"})).await;
    partner.when(1, "the reopening", |shown| shown["phase"] == "initial_support").await;
    partner.act("/v1/incidents/1/close", json!({"operator": "bert"})).await;
    north.step(1, "partner", "closed").await;
    partner.act("/v1/incidents/2/reject", json!({"comment": "Not ours", "operator": "bert"})).await;
    north.step(2, "partner", "rejected").await;
    north.act("/v1/incidents/3/cancel", json!({"operator": "anna"})).await;
    partner.when(3, "the cancellation", |shown| shown["completion_code"] == "abandoned_by_user").await;
    for site in [north, partner] {
        assert_eq!(site.get("/v1/parked").await.body["total"], 0, "{}", site.alias);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_21_one_exchange_is_settled_anew_from_either_end() {
    let pair = at_rest(2).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    // From below: read from the upstream.
    silently(north, "case_id = NULL, case_link = NULL, case_status = NULL WHERE id = 1").await;
    let told = north.command(&["resync", "1"]).ok();
    assert!(told.contains("settled anew"), "{told}");
    assert_eq!(north.get("/v1/incidents/1").await.body["case_id"], "CASE-1");
    north.command(&["resync", "77"]).refused(6, &["there is no incident 77"]);
    // From above: told once more.
    partner.act("/v1/incidents/2/update", json!({"status": "Parts came", "comment": "Done", "operator": "bert"})).await;
    eventually("the status", || async {
        (north.get("/v1/incidents/2").await.body["case_status"] == "Parts came").then_some(())
    })
    .await;
    settled(&pair).await;
    silently(north, "case_status = 'Lost' WHERE id = 2").await;
    partner.act("/v1/incidents/2/resync", json!({"operator": "bert"})).await;
    let again = eventually("the status again", || async {
        let shown = north.get("/v1/incidents/2").await.body;
        (shown["case_status"] == "Parts came").then_some(shown)
    })
    .await;
    assert_eq!(again["comments"].as_array().unwrap().len(), 1, "a comment has an ID and arrives once: {again}");
    settled(&pair).await;
    assert_eq!(reconcile(north, false).await["differences"], json!([]));
}

/// A case whose solution and comment the partner has without their address, at a site that hides none any more.
async fn told_hidden() -> Relayed {
    let hides = "[upstream.attachments]\nhide_addresses = true\n";
    let pair = Relayed::start(Plan { end_user: &format!("{hides}{SUBMIT_ALL}"), partner: ACCEPT_ALL }).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    north.insert(0, 1).await;
    pair.open(1).await;
    execute(north, "UPDATE incident SET solution = 'set 10.0.0.1 on r1'").await;
    north.act("/v1/incidents/1/comments", json!({"text": "from 10.0.0.2", "operator": "anna"})).await;
    partner.when(1, "the solution", |shown| shown["solution"] == "set *** on r1").await;
    partner.when(1, "the comment", |shown| shown["comments"][0]["text"] == "from ***").await;
    settled(&pair).await;
    north.edit_config(hides, "");
    north.reload("reloaded").await;
    pair
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_while_addresses_were_hidden_takes_the_place_of_no_text_and_is_told_whole() {
    let whole =
        |shown: &Value| shown["solution"] == "set 10.0.0.1 on r1" && shown["comments"][0]["text"] == "from 10.0.0.2";
    let pair = told_hidden().await;
    let answer = reconcile(&pair.end_user, true).await;
    let rows = answer["differences"].as_array().unwrap();
    let plans: Vec<_> = rows.iter().map(|row| (row["repair"].as_str().unwrap(), &row["repaired"])).collect();
    let (ours, comment) = ("tell the peer ours, which counts", "tell the peer the text of this site, its author's");
    assert_eq!(plans, [(ours, &json!(true)), (comment, &json!(true))], "{answer}");
    pair.partner.when(1, "the whole texts", whole).await;
    settled(&pair).await;
    assert!(whole(&pair.end_user.get("/v1/incidents/1").await.body), "and kept here");
    assert_eq!(reconcile(&pair.end_user, false).await["differences"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_while_addresses_were_hidden_is_kept_by_a_resync_and_by_what_comes_back() {
    let solution = |shown: &Value| shown["solution"] == "set 10.0.0.1 on r1";
    let pair = told_hidden().await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    // The partner tells the text that it has, as a change.
    execute(partner, "UPDATE incident SET solution = 'another'").await;
    north.when(1, "another solution", |shown| shown["solution"] == "another").await;
    settled(&pair).await;
    silently(north, "solution = 'set 10.0.0.1 on r1'").await;
    execute(partner, "UPDATE incident SET solution = 'set *** on r1'").await;
    settled(&pair).await;
    assert!(solution(&north.get("/v1/incidents/1").await.body), "what comes back takes the place of nothing");
    north.command(&["resync", "1"]).ok();
    partner.when(1, "the whole solution", solution).await;
    assert!(solution(&north.get("/v1/incidents/1").await.body));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_given_up_is_named_everywhere_and_taken_once_the_peers_limit_allows_it() {
    let limit = "[client.attachments]\nreceive_limit = \"1 KiB\"\n";
    let pair = Relayed::start(Plan { end_user: SUBMIT_ALL, partner: &format!("{ACCEPT_ALL}{limit}") }).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    north.insert(0, 1).await;
    pair.open(1).await;
    let core = noise(1, 3_000);
    north.attach(1, "core", &core).await;
    north.transfer(1, "core to failed").await;
    settled(&pair).await;
    let reason = "the peer does not take it";
    for apply in [false, true] {
        let answer = reconcile(north, apply).await;
        let row = &answer["differences"][0];
        assert_eq!((&row["incident"], &row["field"]), (&json!(1), &json!("attachment core")), "{answer}");
        assert_eq!((&row["repair"], &row["repaired"]), (&json!("try it again: casebridge retry 1"), &json!(apply)));
        assert!(row["here"].as_str().unwrap().contains(reason), "{answer}");
        // The peer still does not take it.
        north.transfer(1, "core to failed").await;
        settled(&pair).await;
        let why = north.command(&["why", "1"]).ok();
        for part in ["the file core to partner was given up", reason, "casebridge retry 1"] {
            assert!(why.contains(part), "{part}: {why}");
        }
    }
    let status = north.command(&["status"]).ok();
    assert!(status.contains("1 file was given up on the way, one of incident 1; see `casebridge why 1`"), "{status}");

    partner.edit_config(limit, "");
    partner.reload("reloaded").await;
    north.act("/v1/retry", json!({"incident": 1, "operator": "anna"})).await;
    partner.has_file(1, "core", &core).await;
    north.transfer(1, "core to sent").await;
    settled(&pair).await;
    assert_eq!(reconcile(north, false).await["differences"], json!([]));
    assert!(!north.command(&["status"]).ok().contains("given up"));
    assert!(!north.command(&["why", "1"]).ok().contains("given up"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_that_was_altered_at_either_site_has_the_text_of_its_authors_site_again() {
    let texts = |site: &Value| {
        let mut all: Vec<_> = site["comments"].as_array().unwrap().iter().map(|one| one["text"].clone()).collect();
        all.sort_by_key(ToString::to_string);
        all
    };
    for command in [&["reconcile", "--apply"][..], &["resync", "1"]] {
        let pair = at_rest(1).await;
        let (north, partner) = (&pair.end_user, &pair.partner);
        north.act("/v1/incidents/1/comments", json!({"text": "from below", "operator": "anna"})).await;
        partner.act("/v1/incidents/1/comments", json!({"text": "from above", "operator": "bert"})).await;
        for site in [north, partner] {
            site.when(1, "both comments", |shown| shown["comments"].as_array().unwrap().len() == 2).await;
        }
        settled(&pair).await;
        for (site, text) in [(north, "from above"), (partner, "from below")] {
            let altered = format!("UPDATE comment SET text = 'altered', edits = edits + 1 WHERE text = '{text}'");
            execute(site, &altered).await;
        }
        assert_eq!(reconcile(north, false).await["differences"].as_array().unwrap().len(), 2);
        let told = north.command(command).ok();
        assert!(!told.contains("none:") && !told.contains("still"), "{told}");
        for site in [north, partner] {
            site.when(1, "the authors' texts", |shown| texts(shown) == ["from above", "from below"]).await;
        }
        settled(&pair).await;
        assert_eq!(reconcile(north, false).await["differences"], json!([]));
        // And its author edits it on.
        let shown = partner.get("/v1/incidents/1").await.body;
        let own = shown["comments"].as_array().unwrap().iter().find(|one| one["text"] == "from above").unwrap();
        let id = own["id"].as_str().unwrap();
        partner
            .act(&format!("/v1/incidents/1/comments/{id}"), json!({"text": "from far above", "operator": "bert"}))
            .await;
        north.when(1, "the edit", |shown| texts(shown) == ["from below", "from far above"]).await;
    }
}
