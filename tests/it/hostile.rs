//! A partner that means harm, or is no partner at all: what it says is bounded, believed only as far as it can be, told to
//! the operator in words that are safe to read, and over when it comes to its senses.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL, end_user_config};
use crate::support::raw::{Say, Server, http, json as answer};
use crate::support::relay::{Relayed, Said, Twist, creates, operates};
use crate::support::{Pair, Site, eventually};

const BUSY: Plan<'static> = Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL };

/// An end user whose partner is at this port, with little patience.
pub fn end_user(port: u16) -> Site {
    let site = Site::new("north", &end_user_config(port, SUBMIT_ALL));
    site.edit_config("timeout = \"2s\"", "timeout = \"500ms\"");
    site.edit_config("timeout = \"5s\"", "timeout = \"1s\"");
    site.edit_config("poll_interval = \"2s\"", "poll_interval = \"1s\"");
    site
}

fn who() -> Value {
    json!({"alias": "partner", "client": "north", "version": "0.1.0", "protocol": "1.1",
        "time": Timestamp::now().to_string(), "capabilities": []})
}

/// What a partner says that is like any other until it is asked `path`, and then says this.
pub fn but_at(path: &'static str, said: Say) -> impl Fn(&str) -> Say + Send + Sync {
    move |request| {
        let asked = request.split(' ').nth(1).unwrap_or_default();
        match asked {
            _ if asked.starts_with(path) => said.clone(),
            _ if asked.starts_with("/v1/site") => answer(&who()),
            _ if asked.starts_with("/v1/exchanges") => {
                answer(&json!({"cursor": "a-1", "exchanges": [], "more": false}))
            }
            _ if asked.starts_with("/v1/updates") => Say::Half(Vec::new()),
            _ => Say::HangUp,
        }
    }
}

/// Every way in which an answer can be of no use, and what is said of it.
fn useless() -> Vec<(&'static str, Say, &'static str)> {
    let ok = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let bytes = |text: &str| text.as_bytes().to_vec();
    let zeros = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3].repeat(500);
    vec![
        ("endless", Say::Endless(bytes(&format!("{ok}\r\n[")), vec![b' '; 65536]), "an answer of more than"),
        (
            "endless, in chunks",
            Say::Endless(
                bytes(&format!("{ok}transfer-encoding: chunked\r\n\r\n")),
                bytes(&format!("10000\r\n{}\r\n", " ".repeat(65536))),
            ),
            "an answer of more than",
        ),
        ("endless, as a refusal", Say::Endless(bytes("HTTP/1.1 500 No\r\n\r\n"), vec![b'x'; 65536]), "status 500"),
        ("with endless headers", Say::Endless(bytes(ok), bytes("x-a: aaaaaaaaaaaaaaaaaaaaaaaa\r\n")), "broke off"),
        ("with one endless header", Say::Endless(bytes(&format!("{ok}x: ")), vec![b'a'; 65536]), "broke off"),
        ("cut off", Say::Bytes(bytes(&format!("{ok}content-length: 500\r\n\r\n{{\"alias\""))), "broke off"),
        (
            "half, and then silence",
            Say::Half(bytes(&format!("{ok}content-length: 500\r\n\r\n{{"))),
            "no answer in time",
        ),
        ("late", Say::Half(Vec::new()), "no answer in time"),
        ("none", Say::HangUp, "broke off"),
        (
            "compressed",
            Say::Bytes(http("200 OK", "content-type: application/json\r\ncontent-encoding: gzip\r\n", &zeros)),
            "is not casebridge's protocol",
        ),
        (
            "nested for ever",
            Say::Bytes(http("200 OK", "", "[".repeat(50_000).as_bytes())),
            "is not casebridge's protocol",
        ),
        ("no text", Say::Bytes(http("200 OK", "", b"\xff\xfe{}")), "is not casebridge's protocol"),
        ("of no length", Say::Bytes(bytes(&format!("{ok}content-length: -1\r\n\r\n"))), "broke off"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_endless_half_late_or_compressed_fails_the_connection_test_with_its_reason() {
    for (what, said, reason) in useless() {
        let server = Server::start(but_at("/v1/site", said)).await;
        let done = end_user(server.port).command(&["test-peer"]).refused(5, &[reason]);
        assert_eq!(done.err.lines().count(), 1, "{what}: {}", done.err);
        assert!(done.err.len() < 600 && !done.err.contains(['\u{1b}', '\u{ff}']), "{what}: {}", done.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_outlives_every_such_answer_with_bounded_memory() {
    for path in ["/v1/exchanges", "/v1/updates", "/v1/operations"] {
        for (what, said, _) in useless().into_iter().filter(|(what, ..)| !what.contains("late")) {
            println!("{path}: {what}");
            let server = Server::start(but_at(path, said)).await;
            let mut site = end_user(server.port);
            site.start().await;
            site.insert(0, 3).await;
            eventually("the partner to be doubted", || async {
                site.log().contains("event=\"peer_down\"").then_some(())
            })
            .await;
            let most = most_memory(&site);
            assert!(most < 256 << 20, "{path}: {what}: {most} bytes");
            assert_eq!(site.get("/v1/parked").await.body["total"], 0, "what waits is not to blame");
            assert!(!site.log().contains('\u{1b}'));
            if what != "none" {
                continue;
            }
            // Once for all: it still stops in order.
            assert_eq!(site.stop().await, 0);
        }
    }
}

/// Answers that are no larger than they may be, and of which each byte would take dozens of memory.
pub fn swelling() -> Vec<(&'static str, &'static str, Say)> {
    /// As much as there is room for in the largest answer.
    const BYTES: usize = 15 << 20;
    let id = "00000000000000000000000000000001";
    let page = |record: &str| {
        format!(
            "{{\"cursor\":\"a-1\",\"more\":false,\"exchanges\":[{{\"exchange\":\"{id}\",\"incident\":1,\"step\":\"open\",\
             \"applied\":0,\"sent\":0,\"record\":{record}}}]}}"
        )
    };
    let feed = |operations: &str| format!("{{\"cursor\":\"a-2\",\"operations\":[{operations}]}}");
    let operation =
        |content: &str| format!("{{\"exchange\":\"{id}\",\"seq\":1,\"transaction\":\"1\",\"operation\":{content}}}");
    let repeated = |one: &str| one.repeat(BYTES / one.len());
    let route = format!("{{\"kind\":\"create\",\"content\":{{\"trace_route\":[{}\"a\"]}}}}", repeated("\"a\","));
    let many = format!("{}{}", format!("{},", operation("{}")).repeat(60_000), operation("{}"));
    let json = |text: String| Say::Bytes(http("200 OK", "content-type: application/json\r\n", text.as_bytes()));
    vec![
        ("/v1/exchanges", "values", json(page(&format!("{{\"x\":[{}0]}}", repeated("0,"))))),
        ("/v1/exchanges", "values", json(page(&format!("[{}0]", repeated("{\"\":0},"))))),
        ("/v1/exchanges", "values", json(page(&repeated("[")))),
        ("/v1/updates", "values", json(feed(&operation(&route)))),
        ("/v1/updates", "than was asked for", json(feed(&many))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_many_small_values_takes_little_more_memory_than_its_bytes() {
    for (path, reason, said) in swelling() {
        let server = Server::start(but_at(path, said)).await;
        let mut site = end_user(server.port);
        site.start().await;
        eventually(reason, || async { site.log().contains(reason).then_some(()) }).await;
        let most = most_memory(&site);
        println!("{path}: {reason}: {} MiB", most >> 20);
        assert!(most < 128 << 20, "{path}: {reason}: {most} bytes");
    }
}

/// The most memory that a daemon had so far, in bytes.
pub fn most_memory(site: &Site) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", site.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_never_followed_and_the_credentials_stay() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let thief = Server::start(|_| answer(&who())).await;
        let location = format!("location: http://127.0.0.1:{}/v1/site\r\n", thief.port);
        let said = Say::Bytes(http(status, &location, b""));
        let server = Server::start(but_at("/v1/", said)).await;
        let site = end_user(server.port);
        site.command(&["test-peer"]).refused(5, &["answered with status", "is that casebridge?"]);
        assert_eq!((server.requests(), thief.requests()), (1, 0), "{status}");
    }
    // In the middle of the work as well, and round in circles.
    let server =
        Server::start(but_at("/v1/operations", Say::Bytes(http("307 No", "location: /v1/operations\r\n", b"")))).await;
    let mut site = end_user(server.port);
    site.start().await;
    site.insert(0, 3).await;
    eventually("the refusal", || async { site.log().contains("answered with status 307").then_some(()) }).await;
    eventually("what waits", || async { (site.get("/v1/outbox").await.body["total"] == 3).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_to_wait_until_a_date_is_honoured_within_its_bound() {
    for (ahead, kept) in [(SignedDuration::from_secs(20), 20), (SignedDuration::from_hours(100), 60)] {
        let mut pair = Relayed::new(BUSY).await;
        pair.end_user.edit_config("[retry]", "[retry]\nretry_after_max = \"60s\"");
        pair.run().await;
        let until = (Timestamp::now() + ahead).to_zoned(jiff::tz::TimeZone::UTC);
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&until.timestamp()).unwrap();
        let said = Said::plain(503, "later").with("retry-after", date);
        pair.relay.twist(move |call| if operates(call) { Twist::Say(said.clone()) } else { Twist::Pass });
        pair.end_user.insert(0, 3).await;
        let next: Timestamp = eventually("the peer to rest", || async {
            let peer = pair.end_user.get("/v1/status").await.body["peers"][0].clone();
            (peer["health"] == "down").then(|| peer["next_attempt"].as_str().unwrap().parse().unwrap())
        })
        .await;
        let wait = next.duration_since(Timestamp::now()).as_secs();
        assert!((kept - 15..=kept).contains(&wait), "{wait} s of {kept}");
        assert_eq!(pair.relay.count("/v1/operations"), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_goes_backwards_or_stands_still_is_not_believed() {
    type Lie = fn(&mut Value);
    let lies: [(&str, Lie); 2] = [
        ("backwards", |answer| {
            let cursor = answer["cursor"].as_str().unwrap().rsplit_once('-').unwrap().0.to_owned();
            answer["cursor"] = json!(format!("{cursor}-0"));
        }),
        ("still", |answer| {
            let (feed, number) = answer["cursor"].as_str().unwrap().rsplit_once('-').unwrap();
            let count = answer["operations"].as_array().unwrap().len() as u64;
            answer["cursor"] = json!(format!("{feed}-{}", number.parse::<u64>().unwrap() - count));
        }),
    ];
    for (what, lie) in lies {
        let pair = Relayed::start(BUSY).await;
        pair.end_user.insert(0, 2).await;
        pair.open(2).await;
        pair.relay.twist(move |call| match call.path == "/v1/updates" {
            true => Twist::Tell(Box::new(move |mut answer| {
                if answer["operations"].as_array().is_some_and(|operations| !operations.is_empty()) {
                    lie(&mut answer);
                }
                answer
            })),
            false => Twist::Pass,
        });
        next_poll(&pair).await;
        pair.partner.act("/v1/incidents/1/update", json!({"comment": "on its way", "operator": "bert"})).await;
        eventually("the partner to be doubted", || async {
            let log = pair.end_user.log();
            (log.contains("a cursor that goes back") || log.contains("a cursor that does not go on")).then_some(())
        })
        .await;
        let asked = pair.relay.count("/v1/updates");
        assert!(asked < 40, "{what}: asked {asked} times");
        pair.relay.pass();
        eventually("the comment", || async {
            (pair.end_user.count("SELECT count(*) FROM comment").await == 1).then_some(())
        })
        .await;
    }
}

/// Waits for a question that is treated by the new rule from its beginning.
async fn next_poll(pair: &Relayed) {
    let before = pair.relay.count("/v1/updates");
    eventually("the next poll", || async { (pair.relay.count("/v1/updates") > before).then_some(()) }).await;
}

/// Puts `value` at `pointer` into the operations of one incident's exchange, in what the partner tells.
fn spoil(pair: &Relayed, exchange: String, pointer: &'static str, value: Value) {
    pair.relay.twist(move |call| {
        if call.path != "/v1/updates" {
            return Twist::Pass;
        }
        let (exchange, value) = (exchange.clone(), value.clone());
        Twist::Tell(Box::new(move |mut answer| {
            let operations = answer["operations"].as_array_mut().map(Vec::as_mut_slice).unwrap_or_default();
            for one in operations.iter_mut().filter(|one| one["exchange"] == json!(exchange)) {
                if let Some(place) = one.pointer_mut(pointer) {
                    *place = value.clone();
                }
            }
            answer
        }))
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_steers_hides_or_never_ends_is_held_for_a_person_and_the_other_cases_flow() {
    let case = "/operation/content/case";
    let rows: [(&str, Value, &str); 8] = [
        ("/operation/content/case/link", json!("javascript:alert(1)"), "link"),
        ("/operation/content/case/link", json!("https://a.example/\u{1b}[2J"), "link"),
        ("/operation/content/case/link", json!("file:///etc/passwd"), "link"),
        ("/operation/content/case/status", json!("\u{1b}]0;owned\u{7}"), "U+001B"),
        ("/operation/content/case/status", json!("\u{202e}nepO"), "U+202E"),
        ("/operation/content/case/status", json!("x".repeat(3 << 20)), "3145728 bytes"),
        ("/operation/content/case/id", json!("C-1\r\nSet-Cookie: x"), "id"),
        ("/operation/content/case", json!(["\u{1b}[2J"]), "case"),
    ];
    assert!(rows.iter().all(|(pointer, ..)| pointer.starts_with(case)));
    for (pointer, value, said) in rows {
        let plan = Plan { end_user: SUBMIT_ALL, ..Plan::default() };
        let pair = Relayed::start(plan).await;
        pair.end_user.insert(0, 2).await;
        let exchange = eventually("both to be there", || async {
            let there = pair.partner.count("SELECT count(*) FROM incident").await == 2;
            let shown = pair.end_user.get("/v1/incidents/1").await.body;
            let exchange = shown["exchanges"][0]["exchange"].as_str().map(str::to_owned);
            if there { exchange } else { None }
        })
        .await;
        spoil(&pair, exchange.clone(), pointer, value);
        next_poll(&pair).await;
        for incident in pair.partner.get("/v1/incidents").await.body["incidents"].as_array().unwrap() {
            let path = format!("/v1/incidents/{}/accept", incident["incident"]);
            pair.partner.act(&path, json!({"operator": "bert"})).await;
        }
        let parked = eventually("a person to be asked", || async {
            pair.end_user.get("/v1/parked").await.body["parked"].as_array()?.first().cloned()
        })
        .await;
        let reason = parked["reason"].as_str().unwrap();
        assert!(reason.contains(said) && reason.len() < 700, "{pointer}: {reason}");
        assert_eq!(parked["exchange"], json!(exchange));
        pair.open(1).await;
        for text in
            [pair.end_user.log(), pair.end_user.command(&["show", "1"]).ok(), pair.end_user.command(&["parked"]).ok()]
        {
            assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{pointer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_over_which_the_connection_ends_each_time_stands_alone_and_the_others_flow() {
    const COUNT: usize = 100;
    for hang in [false, true] {
        let mut pair = Relayed::new(BUSY).await;
        pair.end_user.edit_config("timeout = \"2s\"", "timeout = \"500ms\"");
        pair.end_user.edit_config("timeout = \"5s\"", "timeout = \"1s\"");
        pair.run().await;
        let culprit = format!("edge1-JN1-20261121-{}", 42);
        let bad = culprit.clone();
        let carries = move |call: &crate::support::relay::Call| operates(call) && creates(call).contains(&bad);
        pair.relay.twist(move |call| match carries(call) {
            true if hang => Twist::Hang,
            true => Twist::Break,
            false => Twist::Pass,
        });
        pair.end_user.insert(0, COUNT).await;
        pair.open(COUNT as i64 - 1).await;
        let waiting = eventually("a second try of its own", || async {
            let outbox = pair.end_user.get("/v1/outbox").await.body;
            (outbox["total"] == 1 && outbox["operations"][0]["attempts"].as_u64()? >= 2).then_some(outbox)
        })
        .await;
        assert!(waiting["operations"][0]["last_error"].is_string(), "{waiting}");
        assert_eq!(pair.end_user.get("/v1/status").await.body["peers"][0]["health"], "up", "the peer is not to blame");
        pair.relay.pass();
        pair.open(COUNT as i64).await;
        assert_eq!(pair.opened().await, (COUNT as i64, COUNT as i64));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_of_exchanges_that_nobody_knows_are_one_line_and_the_others_flow() {
    let pair = Relayed::start(BUSY).await;
    pair.relay.twist(|call| match call.path == "/v1/updates" {
        true => Twist::Tell(Box::new(|mut answer| {
            let Some(operations) = answer["operations"].as_array_mut().filter(|one| !one.is_empty()) else {
                return answer;
            };
            for number in 0..200u64 {
                let mut stray = operations[0].clone();
                stray["exchange"] = json!(format!("{:032x}", number + 7));
                operations.push(stray);
            }
            answer
        })),
        false => Twist::Pass,
    });
    next_poll(&pair).await;
    pair.end_user.insert(0, 5).await;
    pair.open(5).await;
    eventually("the line", || async { pair.end_user.log().contains("event=\"exchange_unknown\"").then_some(()) }).await;
    assert_eq!(pair.end_user.log().matches("event=\"exchange_unknown\"").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_changes_who_it_is_in_silence_is_told_in_safe_words() {
    let names = ["\u{1b}[2J0.1.0", "\u{202e}0.1.0", &"9".repeat(30_000)];
    for version in names {
        let mut said = who();
        said["version"] = json!(version);
        said["capabilities"] = json!(vec!["\u{1b}]0;owned\u{7}"; 500]);
        said["unknown"] = json!("x".repeat(20_000));
        let server = Server::start(but_at("/v1/site", answer(&said))).await;
        let mut site = end_user(server.port);
        let tested = site.command(&["test-peer"]);
        site.start().await;
        eventually("first contact", || async { site.log().contains("event=\"peer_up\"").then_some(()) }).await;
        let status = site.command(&["status"]).ok();
        let shown = [tested.out, tested.err, status, site.log(), site.get("/v1/status").await.body.to_string()];
        for text in shown {
            assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{}", text.escape_debug());
            assert!(text.len() < 40_000, "{} bytes", text.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_misspells_is_refused_and_what_a_newer_peer_adds_is_not() {
    let mut pair = Pair::new(Plan::default()).await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 1).await;
    let path = "/v1/incidents/1/submit";
    let answer = pair.end_user.post(path, json!({"form": {"prioriti": "2 - High"}, "operator": "anna"})).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(answer.body["detail"].as_str().unwrap().contains("prioriti"), "{}", answer.body);
    tokio::time::timeout(Duration::from_secs(30), pair.end_user.act(path, json!({"operator": "anna"}))).await.unwrap();
}
