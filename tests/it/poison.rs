//! One operation that the partner cannot take, and answers that cannot be believed: that is the operation's own trouble,
//! or the peer's, and nobody else notices (invariants 5 and 6).

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::relay::{Call, Relayed, Said, Twist, creates, operates};
use crate::support::{Pair, Site, eventually};

/// The host event ID of the one that `Site::insert` numbers so.
fn event(number: usize) -> String {
    format!("edge1-JN1-20261121-{number}")
}

const BUSY: Plan<'static> = Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL };

fn carries(call: &Call, culprit: &str) -> bool {
    operates(call) && creates(call).iter().any(|event| event == culprit)
}

async fn parked(pair: &Relayed) -> Vec<Value> {
    pair.end_user.get("/v1/parked").await.body["parked"].as_array().unwrap().clone()
}

/// The incident of a host event at the end user.
async fn incident(pair: &Relayed, event: &str) -> Value {
    let list = pair.end_user.get("/v1/incidents?limit=1000").await.body;
    let id =
        list["incidents"].as_array().unwrap().iter().find(|row| row["host_event_id"] == event).unwrap()["incident"]
            .as_i64()
            .unwrap();
    pair.end_user.get(&format!("/v1/incidents/{id}")).await.body
}

#[tokio::test(flavor = "multi_thread")]
async fn one_incident_that_the_partner_refuses_parks_with_its_reason_and_2000_others_do_not_notice() {
    let pair = Relayed::start(BUSY).await;
    let culprit = event(777);
    let bad = culprit.clone();
    pair.relay.twist(move |call| {
        if !carries(call, &bad) {
            return Twist::Pass;
        }
        let mut body = call.body.clone();
        for one in body["operations"].as_array_mut().unwrap() {
            let content = &mut one["operation"]["content"];
            if content["event"]["host_event_id"] == bad {
                content["event"]["kind"] = json!("information");
            }
        }
        Twist::Ask(body)
    });
    pair.end_user.insert(0, 2001).await;
    pair.open(2000).await;
    let parked = eventually("the culprit to be parked", || async {
        let parked = parked(&pair).await;
        (!parked.is_empty()).then_some(parked)
    })
    .await;
    assert_eq!(parked.len(), 1, "{parked:?}");
    let reason = parked[0]["reason"].as_str().unwrap();
    assert!(reason.contains("an incident of kind information cannot become a case"), "{reason}");
    assert_eq!((&parked[0]["operation"], &parked[0]["seq"]), (&json!("create"), &json!(1)));
    let shown = incident(&pair, &culprit).await;
    assert_eq!(shown["incident"], parked[0]["incident"]);
    assert!(shown["exchanges"][0]["waits_for"].as_str().unwrap().contains("a person here"), "{shown}");
    eventually("the history to say so", || async {
        let shown = incident(&pair, &culprit).await;
        (shown["history"].as_array()?.last()?["action"] == "operation_parked").then_some(())
    })
    .await;
    eventually("an outbox with nothing but the culprit, which is not forgotten either", || async {
        (pair.end_user.get("/v1/outbox").await.body["total"] == 1).then_some(())
    })
    .await;
    assert_eq!(pair.opened().await, (2000, 2000));

    // It is not tried again before a person says so.
    let tries = || pair.relay.calls().iter().filter(|call| carries(call, &culprit)).count();
    assert_eq!(tries(), 1);
    pair.relay.pass();
    let answer = pair.end_user.act("/v1/retry", json!({"incident": shown["incident"], "operator": "anna"})).await;
    assert_eq!(answer["rearmed"], 1);
    pair.open(2001).await;
    assert_eq!(tries(), 2);
    assert_eq!(pair.opened().await, (2001, 2001));
}

/// The partner refuses every batch with one operation in it, as a whole.
async fn refused_as_a_whole(said: Said, reason: &str) {
    const COUNT: usize = 300;
    let pair = Relayed::start(BUSY).await;
    let culprit = event(123);
    let bad = culprit.clone();
    pair.relay.twist(move |call| if carries(call, &bad) { Twist::Say(said.clone()) } else { Twist::Pass });
    pair.end_user.insert(0, COUNT).await;
    pair.open(COUNT as i64 - 1).await;
    let parked = eventually("the culprit to be parked", || async {
        let parked = parked(&pair).await;
        (!parked.is_empty()).then_some(parked)
    })
    .await;
    assert_eq!(parked.len(), 1, "{parked:?}");
    assert!(parked[0]["reason"].as_str().unwrap().contains(reason), "{parked:?}");
    assert_eq!(parked[0]["incident"], incident(&pair, &culprit).await["incident"]);
    // Halving finds it in as many steps as the batch has doublings.
    let tries: Vec<usize> = sizes(&pair, &culprit);
    assert!(tries.len() <= 10 && tries.last() == Some(&1), "{tries:?}");
    pair.relay.pass();
    pair.end_user.act("/v1/retry", json!({"operator": "anna"})).await;
    pair.open(COUNT as i64).await;
    assert_eq!(pair.opened().await, (COUNT as i64, COUNT as i64));
}

/// The sizes of the batches that one operation was sent in.
fn sizes(pair: &Relayed, culprit: &str) -> Vec<usize> {
    let calls = pair.relay.calls();
    let batches = calls.iter().filter(|call| carries(call, culprit));
    batches.map(|call| call.body["operations"].as_array().unwrap().len()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_cannot_be_read_is_halved_until_the_culprit_stands_alone() {
    refused_as_a_whole(Said::problem(400, "bad-request", "at `operations[7].seq`: no"), "at `operations[7].seq`: no")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_too_large_is_halved_until_the_culprit_stands_alone() {
    refused_as_a_whole(Said::problem(413, "too-large", "at most 16 bytes"), "at most 16 bytes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_a_server_in_between_finds_too_large_is_halved_too() {
    let nginx = Said::plain(413, "<html>413 Request Entity Too Large</html>").with("content-type", "text/html");
    refused_as_a_whole(nginx, "413").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_without_end_is_kept_short_and_harms_no_other() {
    let detail = "\u{1b}]0;owned\u{7}no".repeat(40_000);
    refused_as_a_whole(Said::problem(422, "content", &detail), "]0;owned").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_with_a_refusal_without_end_is_kept_short_and_harms_no_other() {
    let pair = Relayed::start(Plan { end_user: SUBMIT_ALL, ..Plan::default() }).await;
    pair.relay.twist(|call| {
        let place = creates(call).iter().position(|one| *one == event(3));
        let Some(place) = place.filter(|_| operates(call)) else { return Twist::Pass };
        Twist::Tell(Box::new(move |mut answer| {
            let result = &mut answer["results"][place];
            let detail = "\u{1b}[2J".repeat(50_000);
            *result = json!({"exchange": result["exchange"], "seq": result["seq"], "outcome": "refused",
                "problem": {"type": "urn:x", "title": "\u{1b}[2J", "status": 409, "detail": detail}});
            answer
        }))
    });
    pair.end_user.insert(0, 20).await;
    eventually("the other transactions", || async {
        let known = "SELECT count(*) FROM reference WHERE transaction_id IS NOT NULL";
        (pair.end_user.count(known).await == 19).then_some(())
    })
    .await;
    let parked = eventually("a person to be asked", || async { parked(&pair).await.first().cloned() }).await;
    let reason = parked["reason"].as_str().unwrap();
    assert!(reason.contains("[2J") && reason.len() < 1000 && !reason.contains('\u{1b}'), "{reason}");
    assert!(!pair.end_user.log().contains('\u{1b}'));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_the_partner_fails_over_is_halved_and_the_culprit_stays_queued() {
    const COUNT: usize = 300;
    let pair = Relayed::start(BUSY).await;
    let culprit = event(123);
    let bad = culprit.clone();
    let failed = Said::problem(500, "internal", "the site's log says more");
    pair.relay.twist(move |call| if carries(call, &bad) { Twist::Say(failed.clone()) } else { Twist::Pass });
    pair.end_user.insert(0, COUNT).await;
    pair.open(COUNT as i64 - 1).await;
    let row = eventually("a second try of its own", || async {
        let outbox = pair.end_user.get("/v1/outbox").await.body;
        (outbox["operations"][0]["attempts"].as_u64()? >= 2).then_some(outbox)
    })
    .await;
    assert_eq!(row["total"], 1);
    assert!(row["operations"][0]["last_error"].as_str().unwrap().contains("the site's log says more"), "{row}");
    assert_eq!(parked(&pair).await.len(), 0);
    assert_eq!(pair.end_user.get("/v1/status").await.body["peers"][0]["health"], "up", "the peer is not to blame");
    pair.relay.pass();
    pair.open(COUNT as i64).await;
    assert_eq!(pair.opened().await, (COUNT as i64, COUNT as i64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_fails_over_everything_parks_nothing_and_is_not_asked_for_each_incident() {
    const COUNT: usize = 300;
    for failed in [
        Said::problem(500, "internal", "the site's log says more"),
        Said::plain(500, "oops"),
        Said::problem(503, "busy", "the incident store is busy"),
        Said::plain(502, "bad gateway"),
        Said::problem(404, "unknown-version", "2.0"),
        Said::problem(408, "timed-out", "the body took too long"),
    ] {
        println!("{failed:?}");
        let pair = Relayed::start(BUSY).await;
        let before = pair.relay.count("/v1/operations");
        pair.relay.twist(move |call| if operates(call) { Twist::Say(failed.clone()) } else { Twist::Pass });
        pair.end_user.insert(0, COUNT).await;
        eventually("some steps", || async {
            let log = pair.end_user.log();
            (log.matches("operation_postponed").count() > 50 || log.matches("_down\" peer=").count() > 3).then_some(())
        })
        .await;
        // The cheapest that a step can be is one request for all; the dearest would be two for each incident.
        let asked = pair.relay.count("/v1/operations") - before;
        assert!(asked < COUNT / 3, "{asked} requests");
        assert_eq!(pair.end_user.get("/v1/outbox").await.body["total"], COUNT);
        assert_eq!(parked(&pair).await.len(), 0);
        pair.relay.pass();
        pair.open(COUNT as i64).await;
        assert_eq!(pair.opened().await, (COUNT as i64, COUNT as i64));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_partner_fails_over_for_longer_than_the_span_is_parked_for_a_person() {
    let mut pair = Relayed::new(BUSY).await;
    pair.end_user.edit_config("[retry]", "[retry]\ngive_up_after = \"1s\"");
    pair.run().await;
    let failed = Said::problem(500, "internal", "the site's log says more");
    pair.relay.twist(move |call| if carries(call, &event(3)) { Twist::Say(failed.clone()) } else { Twist::Pass });
    pair.end_user.insert(0, 10).await;
    pair.open(9).await;
    let parked = eventually("the culprit to be parked", || async { parked(&pair).await.first().cloned() }).await;
    let reason = parked["reason"].as_str().unwrap();
    assert!(reason.contains("the site's log says more") && reason.contains("since"), "{reason}");
    pair.relay.pass();
    pair.end_user.act("/v1/retry", json!({"operator": "anna"})).await;
    pair.open(10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_that_do_not_belong_to_the_request_are_not_believed() {
    type Lie = fn(&mut Value);
    let lies: [(&str, Lie); 7] = [
        ("in another order", |answer| answer["results"].as_array_mut().unwrap().reverse()),
        ("one less", |answer| drop(answer["results"].as_array_mut().unwrap().pop())),
        ("one more", |answer| {
            let results = answer["results"].as_array_mut().unwrap();
            results.push(results[0].clone());
        }),
        ("of another exchange", |answer| answer["results"][0]["exchange"] = json!("0".repeat(32))),
        ("of another number", |answer| answer["results"][0]["seq"] = json!(2)),
        ("none at all", |answer| *answer = json!({"results": []})),
        ("something else", |answer| *answer = json!([1, 2, 3])),
    ];
    // The feed of a partner that decides nothing cannot tell the transaction either.
    let pair = Relayed::start(Plan { end_user: SUBMIT_ALL, ..Plan::default() }).await;
    let known = || pair.end_user.count("SELECT count(*) FROM reference WHERE transaction_id IS NOT NULL");
    for (number, (what, lie)) in lies.into_iter().enumerate() {
        println!("{what}");
        let mark = pair.end_user.log().len();
        pair.relay.twist(move |call| {
            if !operates(call) {
                return Twist::Pass;
            }
            Twist::Tell(Box::new(move |mut answer| {
                lie(&mut answer);
                answer
            }))
        });
        pair.end_user.insert(number * 10, 10).await;
        eventually("the partner to be doubted", || async {
            let log = pair.end_user.log();
            log[mark..].contains("is not casebridge's protocol").then_some(())
        })
        .await;
        assert_eq!(known().await, number as i64 * 10, "{what}: nothing is taken from such an answer");
        assert_eq!(parked(&pair).await.len(), 0);
        pair.relay.pass();
        let all = (number as i64 + 1) * 10;
        eventually("every transaction", || async { (known().await == all).then_some(()) }).await;
        assert_eq!(pair.opened().await, (all, all), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_changes_its_mind_about_a_transaction_is_asked_once_and_a_person_looks() {
    let pair = Relayed::start(BUSY).await;
    pair.end_user.insert(0, 3).await;
    pair.open(3).await;
    pair.relay.twist(|call| {
        if !operates(call) {
            return Twist::Pass;
        }
        Twist::Tell(Box::new(|mut answer| {
            answer["results"][0]["transaction"] = json!("4711");
            answer
        }))
    });
    let store = pair.end_user.store().await;
    sqlx::query("INSERT INTO comment (incident, author, text) VALUES (1, 'anna', 'still down')")
        .execute(&store)
        .await
        .unwrap();
    let parked = eventually("a person to be asked", || async { parked(&pair).await.first().cloned() }).await;
    assert!(parked["reason"].as_str().unwrap().contains("another transaction ID"), "{parked}");
    let sent = || pair.relay.calls().iter().filter(|call| operates(call) && creates(call).is_empty()).count();
    assert_eq!(sent(), 1);
    // The others are not held up, and when the partner has come to its senses, neither is this one.
    pair.relay.pass();
    sqlx::query("INSERT INTO comment (incident, author, text) VALUES (2, 'anna', 'still down')")
        .execute(&store)
        .await
        .unwrap();
    store.close().await;
    let comments = |count| {
        let partner = &pair.partner;
        eventually("the comments", move || async move {
            (partner.count("SELECT count(*) FROM comment").await == count).then_some(())
        })
    };
    comments(2).await;
    pair.end_user.act("/v1/retry", json!({"operator": "anna"})).await;
    eventually("an empty outbox", || async {
        (pair.end_user.get("/v1/outbox").await.body["total"] == 0).then_some(())
    })
    .await;
    comments(2).await;
    assert_eq!(sent(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_to_be_left_alone_is_honoured_within_its_bound() {
    for (said, wish, kept) in [
        (Said::problem(503, "busy", "later"), 20, 20),
        (Said::plain(503, "<html>maintenance</html>"), 20, 20),
        (Said::plain(429, "slow down"), 20, 20),
        (Said::plain(503, "<html>maintenance</html>"), 86_400, 30),
        (Said::problem(503, "busy", "later"), u64::MAX, 30),
    ] {
        println!("{said:?} {wish}");
        let mut pair = Relayed::new(BUSY).await;
        pair.end_user.edit_config("[retry]", "[retry]\nretry_after_max = \"30s\"");
        pair.run().await;
        let said = said.with("retry-after", wish);
        pair.relay.twist(move |call| if operates(call) { Twist::Say(said.clone()) } else { Twist::Pass });
        let before = Timestamp::now();
        pair.end_user.insert(0, 10).await;
        let peer = eventually("the peer to rest", || async {
            let peer = pair.end_user.get("/v1/status").await.body["peers"][0].clone();
            (peer["health"] == "down").then_some(peer)
        })
        .await;
        let after = Timestamp::now();
        let next: Timestamp = peer["next_attempt"].as_str().unwrap().parse().unwrap();
        let span = SignedDuration::from_secs(kept);
        // State keeps milliseconds.
        let slack = SignedDuration::from_millis(1);
        assert!(
            before + span - slack <= next && next <= after + span,
            "{before} + {kept}s <= {next} <= {after} + {kept}s"
        );
        assert_eq!(pair.relay.count("/v1/operations"), 1, "one request was enough");
        assert_eq!(parked(&pair).await.len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_larger_than_the_partner_takes_goes_through_in_pieces() {
    let mut pair = Pair::new(BUSY).await;
    pair.partner.edit_config("[listen]", "[listen]\nmax_body = \"256 KiB\"");
    pair.partner.start().await;
    pair.end_user.start().await;
    insert_large(&pair.end_user).await;
    pair.at_rest(100).await;
    assert!(!pair.end_user.log().contains("peer_down"), "the partner is not to blame");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_stays_short_enough_to_get_through_in_time() {
    let pair = Relayed::start(BUSY).await;
    insert_large(&pair.end_user).await;
    pair.open(100).await;
    let calls = pair.relay.calls();
    let sizes: Vec<usize> =
        calls.iter().filter(|call| operates(call)).map(|call| call.body.to_string().len()).collect();
    assert!(sizes.iter().all(|bytes| *bytes < 5 << 20), "{sizes:?}");
    assert!(sizes.len() < 20, "and is a batch all the same: {sizes:?}");
}

/// A hundred incidents of 200,000 bytes each.
async fn insert_large(site: &Site) {
    let store = site.store().await;
    sqlx::query(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99) \
         INSERT INTO incident (host_event_id, synopsis, description) SELECT 'large-' || i, 'Large', ? FROM n",
    )
    .bind("x".repeat(200_000))
    .execute(&store)
    .await
    .unwrap();
    store.close().await;
}

/// A partner that knows one site ID of the client's, and end users who submit by hand or by policy.
async fn one_site_id(policy: &str) -> Pair {
    let mut pair = Pair::new(Plan { end_user: policy, partner: ACCEPT_ALL }).await;
    let known = "[[client.field]]\nname = \"site_id\"\nvalues = { \"B1\" = \"S1\" }\n";
    pair.partner.edit_config("password_file = \"password\"\n", &format!("password_file = \"password\"\n{known}"));
    pair.partner.start().await;
    pair.end_user.start().await;
    pair
}

async fn refused_once(site: &Site) {
    eventually("the refusal", || async {
        let parked = site.get("/v1/parked").await.body;
        parked["parked"][0]["reason"].as_str()?.contains("\"WRONG\" is no word").then_some(())
    })
    .await;
}

fn by_anna(form: Value) -> Value {
    json!({"form": form, "operator": "anna"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_create_is_corrected_by_submitting_it_again_or_in_the_record_and_goes() {
    let pair = one_site_id("").await;
    pair.end_user.insert(0, 2).await;
    let wrong = json!({"site_id": "WRONG", "comment": "first"});
    pair.end_user.act("/v1/incidents/1/submit", by_anna(wrong.clone())).await;
    refused_once(&pair.end_user).await;
    // Nothing is written over it by a draft, and the same again is the same again.
    let draft = pair.end_user.post("/v1/incidents/1/draft", by_anna(json!({"site_id": "S1"}))).await;
    assert!(draft.body["detail"].as_str().unwrap().contains("already submitted"), "{:?}", draft.body);
    pair.end_user.act("/v1/incidents/1/submit", by_anna(json!({"site_id": "S1"}))).await;
    pair.end_user.step(1, "partner", "open").await;
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident WHERE form ->> 'site_id' = 'B1'").await, 1);
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident WHERE form ->> 'comment' = 'first'").await, 1);

    pair.end_user.act("/v1/incidents/2/submit", by_anna(wrong)).await;
    refused_once(&pair.end_user).await;
    pair.end_user.execute("UPDATE incident SET form = json_set(form, '$.site_id', 'S1') WHERE id = 2").await;
    pair.end_user.step(2, "partner", "open").await;
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident WHERE form ->> 'site_id' = 'B1'").await, 2);
    pair.at_rest(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_create_of_a_policy_is_corrected_in_the_record_and_the_correction_stays() {
    let pair = one_site_id("[[submit.policy]]\nname = \"all\"\npriority = \"4 - Low\"\nsite_id = \"WRONG\"\n").await;
    pair.end_user.insert(0, 1).await;
    refused_once(&pair.end_user).await;
    pair.end_user.execute("UPDATE incident SET form = '{\"site_id\": \"S1\"}' WHERE id = 1").await;
    let shown = pair.end_user.step(1, "partner", "open").await;
    assert_eq!((&shown["form"]["site_id"], &shown["form"]["priority"]), (&json!("S1"), &json!("4 - Low")), "{shown}");
    pair.at_rest(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_incident_whose_create_was_refused_goes_nowhere_and_needs_nobody() {
    let pair = one_site_id("").await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.act("/v1/incidents/1/submit", by_anna(json!({"site_id": "WRONG"}))).await;
    refused_once(&pair.end_user).await;
    pair.end_user.act("/v1/incidents/1/cancel", json!({"operator": "anna"})).await;
    eventually("nothing to be parked or sent", || async {
        let parked = pair.end_user.get("/v1/parked").await.body["total"] == 0;
        (parked && pair.end_user.get("/v1/outbox").await.body["total"] == 0).then_some(())
    })
    .await;
    let shown = pair.end_user.when(1, "its end", |shown| shown["standing"] == "rejected").await;
    assert!(shown["history"].to_string().contains("partner never took it; nothing is sent any more"), "{shown}");
    let again = pair.end_user.post("/v1/retry", json!({"incident": 1, "operator": "anna"})).await;
    assert!(again.body["detail"].as_str().unwrap().contains("nothing of incident 1 is parked"), "{:?}", again.body);
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_has_submitted_is_not_submitted_by_hand_while_the_partner_is_away() {
    let policy = "[[submit.policy]]\nname = \"all\"\npriority = \"4 - Low\"\n";
    let mut pair = Pair::new(Plan { end_user: policy, partner: ACCEPT_ALL }).await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 1).await;
    let listed = eventually("the list to know of it", || async {
        let row = pair.end_user.get("/v1/incidents").await.body["incidents"][0].clone();
        (row["submission"] == "requested").then_some(row)
    })
    .await;
    assert_eq!(listed["standing"], "submitted");
    assert_eq!(pair.end_user.get("/v1/incidents/1").await.body["submission"], "requested");
    for verb in ["submit", "draft"] {
        let form = by_anna(json!({"priority": "1 - Critical", "comment": "IMPORTANT"}));
        let twice = pair.end_user.post(&format!("/v1/incidents/1/{verb}"), form).await;
        let reason = "incident 1 was already submitted by policy \"all\" and is on its way";
        assert_eq!(twice.body["detail"], reason, "{verb}: {:?}", twice.body);
    }
    pair.partner.start().await;
    let shown = pair.end_user.step(1, "partner", "open").await;
    assert_eq!(shown["form"]["comment"], Value::Null, "nobody was told that it goes");
    pair.at_rest(1).await;
}
