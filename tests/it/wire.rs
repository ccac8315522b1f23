//! What a partner answers to a client that speaks the protocol badly: what and why, and nothing has changed.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::caller::{
    Caller, assert_problem, assert_refused, create, create_with, exchange, hear, operation, update,
};
use crate::support::pair::partner_config;
use crate::support::wire::free_port;
use crate::support::{Site, eventually};

/// A real partner, and one client that stands ready in it with exchange 1, so that there is something to spoil.
struct Partner {
    site: Site,
    port: u16,
    caller: Caller,
}

/// The longest body that the partner of these stories takes.
const MAX_BODY: usize = 64 * 1024;

impl Partner {
    async fn start() -> Self {
        let port = free_port();
        let mut site = Site::new("partner", &partner_config(port, ""));
        site.edit_config(
            "[listen]",
            "[listen]\nmax_body = \"64 KiB\"\nread_timeout = \"1s\"\nfailures_per_minute = 10000",
        );
        site.start().await;
        let caller = Caller::north(port);
        caller.create(1).await;
        Self { site, port, caller }
    }

    /// Everything that a request could spoil.
    async fn standing(&self) -> (i64, i64, i64, Value, Value) {
        let incidents = self.site.count("SELECT count(*) FROM incident").await;
        let references = self.site.count("SELECT coalesce(sum(applied), 0) * 1000 + count(*) FROM reference").await;
        let history = self.site.count("SELECT count(*) FROM history").await;
        let outbox = self.site.get("/v1/outbox").await.body["total"].clone();
        let exchanges = self.site.get("/v1/status").await.body["exchanges"].clone();
        (incidents, references, history, outbox, exchanges)
    }

    /// What is asked changes nothing, and the partner still works afterwards.
    async fn unchanged<T>(&self, what: impl Future<Output = T>) -> T {
        let before = self.standing().await;
        let outcome = what.await;
        assert_eq!(self.standing().await, before, "nothing has changed");
        outcome
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_batch_is_refused_and_the_place_is_named() {
    let partner = Partner::start().await;
    let one = |field: &str, value: Value| {
        let mut operation = create(2);
        operation[field] = value;
        json!({"operations": [create(3), operation]}).to_string()
    };
    let without = |field: &str| {
        let mut operation = create(2);
        operation.as_object_mut().unwrap().remove(field);
        json!({"operations": [create(3), operation]}).to_string()
    };
    let long = "x".repeat(20_000);
    let cases: Vec<(&str, String, Vec<&str>)> = vec![
        ("nothing", String::new(), vec!["breaks off"]),
        ("no JSON", "<case/>".into(), vec!["no JSON", "line 1"]),
        ("cut short", r#"{"operations": [{"exch"#.into(), vec!["operations[0]", "breaks off"]),
        ("a list", "[]".into(), vec!["expected an object"]),
        ("no operations", "{}".into(), vec!["operations", "missing"]),
        ("operations that are no list", r#"{"operations": {"a": 1}}"#.into(), vec!["`operations`", "sequence"]),
        ("an operation that is none", r#"{"operations": [7]}"#.into(), vec!["operations[0]"]),
        ("no exchange", without("exchange"), vec!["operations[1]", "`exchange`"]),
        ("no number", without("seq"), vec!["operations[1]", "`seq`"]),
        ("no operation", without("operation"), vec!["operations[1]", "`operation`"]),
        ("an exchange that is none", one("exchange", json!("x")), vec!["operations[1].exchange", "hexadecimal"]),
        ("a number for an exchange", one("exchange", json!(5)), vec!["operations[1].exchange"]),
        ("a number as text", one("seq", json!("1")), vec!["operations[1].seq", "whole number"]),
        ("a negative number", one("seq", json!(-1)), vec!["operations[1].seq", "whole number"]),
        ("a fraction", one("seq", json!(1.5)), vec!["operations[1].seq", "whole number"]),
        ("a long number", one("seq", json!(long)), vec!["operations[1].seq"]),
        ("garbage behind it", format!("{} x", json!({"operations": [create(2)]})), vec!["after the JSON value"]),
        ("a second one behind it", json!({"operations": [create(2)]}).to_string().repeat(2), vec!["after the JSON"]),
        ("nested for ever", "[".repeat(60_000), vec!["at"]),
        ("nested for ever, inside", format!("{{\"operations\": {}", "[".repeat(60_000)), vec!["operations"]),
        ("twice the same name", r#"{"operations": [], "operations": []}"#.into(), vec!["duplicate"]),
    ];
    for (what, body, said) in cases {
        let reply = partner.unchanged(partner.caller.post_text(body)).await;
        println!("{what}: {}", reply.text);
        assert_problem(&reply, 400, "bad-request", &said);
    }
    let reply = partner.unchanged(partner.caller.post_text(b"{\"operations\": \"\xff\"}".to_vec())).await;
    assert_problem(&reply, 400, "bad-request", &["the body is not UTF-8 at byte 17"]);
    let coded = [&b"\xff\xfe"[..], &b"{\0}\0"[..]].concat();
    assert_problem(&partner.unchanged(partner.caller.post_text(coded)).await, 400, "bad-request", &["not UTF-8"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_breaks_a_rule_is_refused_alone_and_the_rule_is_named() {
    let partner = Partner::start().await;
    let long = "x".repeat(20_000);
    let content = |content: Value| operation(2, 1, "create", content);
    let without = |pointer: &str, field: &str| {
        let mut operation = create(2);
        let content = operation["operation"]["content"].pointer_mut(pointer).unwrap();
        content.as_object_mut().unwrap().remove(field);
        operation
    };
    let with = |pointer: &str, value: Value| create_with(2, pointer, value);
    let comment = json!({"id": "0198c0de-0000-7000-8000-000000000001", "author": "anna", "text": "x",
        "written_at": "2026-11-21T10:00:00Z"});
    let cases: Vec<(&str, Value, Vec<&str>)> = vec![
        ("no content", operation(2, 1, "create", Value::Null), vec!["content"]),
        ("content of another type", content(json!([1, 2])), vec!["content"]),
        ("no kind", json!({"exchange": exchange(2), "seq": 1, "operation": {"content": {}}}), vec!["`kind`"]),
        ("a kind that is no text", operation_with_kind(json!(7)), vec!["kind"]),
        ("no operation at all", json!({"exchange": exchange(2), "seq": 1, "operation": 7}), vec!["at"]),
        ("no event", without("", "event"), vec!["content", "`event`"]),
        ("no synopsis", without("/event", "synopsis"), vec!["content.event", "`synopsis`"]),
        ("no trace route", without("", "trace_route"), vec!["`trace_route`"]),
        ("a number for a synopsis", with("/event/synopsis", json!(5)), vec!["content.event.synopsis", "string"]),
        ("a text for an incident", with("/incident", json!("5")), vec!["content.incident", "whole number"]),
        ("a day for an instant", with("/created_at", json!("2026-11-21")), vec!["content.created_at"]),
        ("a priority that is none", with("/form/priority", json!("urgent")), vec!["priority", "1 - Critical"]),
        ("a long priority", with("/form/priority", json!(long)), vec!["form.priority"]),
        (
            "a kind that is none",
            with("/event", json!({"host_event_id": "a", "synopsis": "b", "kind": long})),
            vec!["content.event.kind"],
        ),
        ("an alias that is none", with("/trace_route", json!(["north", "../etc"])), vec!["content.trace_route[1]"]),
        ("a long name", with("/event/manifest", json!({ (long.clone()): 5 })), vec!["content.event.manifest"]),
        ("a name with an escape", with("/event/manifest", json!({"\u{1b}]0;owned\u{7}": 5})), vec!["manifest"]),
        ("an empty synopsis", with("/event/synopsis", json!(" ")), vec!["synopsis", "empty"]),
        ("a long synopsis", with("/event/synopsis", json!(long)), vec!["synopsis", "20000 bytes", "1024"]),
        ("two lines", with("/event/synopsis", json!("a\nb")), vec!["synopsis", "U+000A"]),
        ("an escape", with("/event/synopsis", json!("\u{1b}[31m")), vec!["synopsis", "U+001B"]),
        ("a zero", with("/event/manifest/re", json!("a\u{0}b")), vec!["manifest", "U+0000"]),
        ("text that turns around", with("/event/host_event_id", json!("\u{202e}1")), vec!["host_event_id", "U+202E"]),
        (
            "an informational kind",
            with(
                "/event",
                json!({"host_event_id": "a", "synopsis": "b",
            "kind": "information"}),
            ),
            vec!["information", "cannot become a case"],
        ),
        ("a route without its sender", with("/trace_route", json!([])), vec!["trace_route", "empty"]),
        ("a route without end", with("/trace_route", json!(vec!["north"; 17])), vec!["trace_route", "17", "16"]),
        (
            "too many comments",
            {
                let mut one = create(2);
                one["operation"]["content"]["comments"] = json!(vec![comment.clone(); 101]);
                one
            },
            vec!["101 comments", "100"],
        ),
        ("an update with an escape", update(1, 2, "\u{1b}"), vec!["solution", "U+001B"]),
        (
            "a status with an escape",
            operation(1, 2, "update", json!({"case": {"id": "C", "status": "\u{1b}"}})),
            vec!["the case's status", "U+001B"],
        ),
        (
            "a link that is code",
            operation(
                1,
                2,
                "update",
                json!({"case": {"id": "C", "status": "s",
            "link": "javascript:alert(1)"}}),
            ),
            vec!["content.case.link"],
        ),
        (
            "a completion code that is none",
            operation(1, 2, "update", json!({"completion_code": long})),
            vec!["content.completion_code"],
        ),
        ("the number zero", update(1, 0, "x"), vec!["`seq`", "from 1"]),
        (
            "the number zero, for something new",
            {
                let mut zero = create(2);
                zero["seq"] = json!(0);
                zero
            },
            vec!["`seq`", "from 1"],
        ),
    ];
    for (what, operation, said) in cases {
        let result = partner.unchanged(partner.caller.operate(operation)).await;
        println!("{what}: {result}");
        assert_refused(&result, 422, "content", &said);
    }
    for kind in ["delete", "Create", "", &long, "\u{1b}[31m"] {
        let result = partner.unchanged(partner.caller.operate(operation(2, 1, kind, json!({})))).await;
        let known = ["create, assign, accept, update, resolve, close, reject, cancel, reopen"];
        assert_refused(&result, 422, "unknown-operation", &known);
    }
    // The others of a batch do not notice.
    let reply = partner.caller.post(json!([create(10), operation(2, 1, "delete", json!({})), create(11)])).await;
    let outcomes: Vec<_> = reply.body["results"].as_array().unwrap().iter().map(|one| one["outcome"].clone()).collect();
    assert_eq!(outcomes, ["applied", "refused", "applied"]);
}

fn operation_with_kind(kind: Value) -> Value {
    json!({"exchange": exchange(2), "seq": 1, "operation": {"kind": kind, "content": {}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_neither_empty_nor_endless() {
    let partner = Partner::start().await;
    let reply = partner.unchanged(partner.caller.post(json!([]))).await;
    assert_problem(&reply, 422, "batch-limit", &["1 to 1000", "this one none"]);
    let many: Vec<Value> =
        (0..1001).map(|number| json!({"exchange": exchange(number + 10), "seq": 1, "operation": {}})).collect();
    partner.site.edit_config("64 KiB", "1 MiB");
    partner.site.signal("HUP");
    eventually("the larger limit", || async { partner.site.log().contains("reloaded").then_some(()) }).await;
    let reply = partner.unchanged(partner.caller.post(json!(many))).await;
    assert_problem(&reply, 422, "batch-limit", &["1 to 1000", "this one more"]);
    // One less is a batch, if one of operations that are none.
    let reply = partner.unchanged(partner.caller.post(json!(many[1..]))).await;
    assert_eq!((reply.status, reply.body["results"].as_array().unwrap().len()), (200, 1000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused_whether_it_says_so_or_not() {
    let partner = Partner::start().await;
    let large = create_with(2, "/event/synopsis", json!("x".repeat(MAX_BODY)));
    let body = json!({"operations": [large]}).to_string();
    assert!(body.len() > MAX_BODY);
    let reply = partner.unchanged(partner.caller.post_text(body.clone())).await;
    assert_problem(&reply, 413, "too-large", &["65536 bytes"]);

    // In chunks, without a length.
    let chunked = |body: &str, ends: bool| {
        let mut text = head(partner.port, "Transfer-Encoding: chunked");
        for piece in body.as_bytes().chunks(1000) {
            text.push_str(&format!("{:x}\r\n{}\r\n", piece.len(), std::str::from_utf8(piece).unwrap()));
        }
        if ends { text + "0\r\n\r\n" } else { text }
    };
    for ends in [true, false] {
        let answer = partner.unchanged(raw(partner.port, &chunked(&body, ends), true)).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("application/problem+json") && answer.contains("65536 bytes"), "{answer}");
    }
    // A length that promises the moon is enough to say no.
    let promise = head(partner.port, "Content-Length: 1000000000");
    let answer = partner.unchanged(raw(partner.port, &promise, true)).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // What fits is taken in chunks too.
    let small = json!({"operations": [create(2)]}).to_string();
    let answer = raw(partner.port, &chunked(&small, true), true).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("applied"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_or_never_comes_has_no_effect() {
    let partner = Partner::start().await;
    let whole = json!({"operations": [create(2)]}).to_string();
    // Everything is there but the last byte.
    let cut = format!("{}{}", head(partner.port, &format!("Content-Length: {}", whole.len() + 1)), whole);
    partner
        .unchanged(async {
            let answer = raw(partner.port, &cut, false).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
        })
        .await;
    // The same, and the connection stays open: an answer comes when the time is up.
    let answer = partner.unchanged(raw(partner.port, &cut, true)).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("urn:casebridge:problem:timed-out"), "{answer}");
    let answer = partner.unchanged(raw(partner.port, &head(partner.port, "Transfer-Encoding: chunked"), true)).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    partner.caller.create(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_another_type_is_refused() {
    let partner = Partner::start().await;
    let body = json!({"operations": [create(2)]}).to_string();
    for given in [None, Some("text/plain"), Some("application/xml"), Some("application/json-seq"), Some(";")] {
        let mut request = partner.caller.request("POST", "/v1/operations").body(body.clone());
        if let Some(given) = given {
            request = request.header("content-type", given);
        }
        let reply = partner.unchanged(hear(request)).await;
        assert_problem(&reply, 415, "media-type", &["application/json"]);
    }
    let named =
        partner.caller.request("POST", "/v1/operations").header("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(hear(named.body(body.clone())).await.status, 200);
    // Packed it is not read, whatever is inside.
    let exchange = create(2)["exchange"].as_str().unwrap().to_owned();
    let file = format!("/v1/attachments/{}?exchange={exchange}", "0".repeat(64));
    for (method, path) in [("POST", "/v1/operations"), ("PUT", file.as_str())] {
        let packed = partner.caller.request(method, path).header("content-type", "application/json");
        let packed = packed.header("content-range", "bytes 0-1/2").header("content-encoding", "gzip");
        let reply = partner.unchanged(hear(packed.body(body.clone()))).await;
        assert_problem(&reply, 415, "content-encoding", &["without Content-Encoding: gzip"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_credentials_every_door_says_the_same() {
    let partner = Partner::start().await;
    let body = json!({"operations": [create(2)]}).to_string();
    let calls = [
        ("GET", "/v1/site"),
        ("POST", "/v1/operations"),
        ("GET", "/v1/transactions?exchange=1"),
        ("GET", "/v1/transactions/1"),
        ("GET", "/v1/updates"),
        ("GET", "/v1/exchanges"),
    ];
    for (method, path) in calls {
        let ask = |request: reqwest::RequestBuilder| {
            hear(request.header("content-type", "application/json").body(body.clone()))
        };
        let missing = partner.unchanged(ask(partner.caller.stranger(method, path))).await;
        let unknown = Caller::new(partner.port, "nobody", "correct horse battery");
        let wrong = Caller::new(partner.port, "north", "incorrect horse");
        let swapped = Caller::new(partner.port, "correct horse battery", "north");
        let none = Caller::new(partner.port, "", "");
        let others = [
            partner.caller.stranger(method, path).header("authorization", "Bearer abc"),
            partner.caller.stranger(method, path).header("authorization", format!("Bearer cbt_0_{}", "0".repeat(64))),
            partner.caller.stranger(method, path).header("authorization", b"Bearer \xff".as_slice()),
            partner.caller.stranger(method, path).header("authorization", "Basic %%%"),
            partner.caller.stranger(method, path).header("authorization", "Basic"),
            unknown.request(method, path),
            wrong.request(method, path),
            swapped.request(method, path),
            none.request(method, path),
        ];
        assert_problem(&missing, 401, "unauthorized", &["user name and password"]);
        let challenge = missing.headers.get("www-authenticate").unwrap().to_str().unwrap();
        assert!(challenge.starts_with("Basic realm="), "{challenge}");
        for other in others {
            let other = partner.unchanged(ask(other)).await;
            assert_eq!(told(&other), told(&missing), "{method} {path}");
        }
    }
    assert!(!partner.site.log().contains("incorrect horse"), "a wrong password is not logged");
}

/// Everything of an answer but its date.
fn told(reply: &crate::support::caller::Reply) -> (u16, Vec<(String, String)>, String) {
    let headers = reply.headers.iter().filter(|(name, _)| *name != "date");
    let mut headers: Vec<_> =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    headers.sort();
    (reply.status, headers, reply.text.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_are_none_and_methods_that_do_not_fit_are_told_apart() {
    let partner = Partner::start().await;
    for path in ["/v2/operations", "/v2/site", "/v2", "/v17/whatever"] {
        let reply = partner.unchanged(partner.caller.get(path)).await;
        assert_problem(&reply, 404, "unknown-version", &["this site speaks 1.2", path.split('/').nth(1).unwrap()]);
    }
    for path in ["/", "/v1", "/v1/", "/v1/nothing", "/v1/site/", "/v", "/vx/site", "//v1/site", "/v1/operations/1"] {
        let reply = partner.unchanged(partner.caller.get(path)).await;
        assert_problem(&reply, 404, "not-found", &["/openapi.json"]);
    }
    // The verbs of the site's own people are not there, for nobody on the network.
    for (method, path) in [("GET", "/v1/status"), ("GET", "/v1/incidents"), ("POST", "/v1/incidents/1/accept")] {
        let reply = partner.unchanged(hear(partner.caller.request(method, path))).await;
        assert_problem(&reply, 404, "not-found", &[]);
    }
    for (method, path, allowed) in [
        ("GET", "/v1/operations", "POST"),
        ("DELETE", "/v1/operations", "POST"),
        ("POST", "/v1/site", "GET"),
        ("PUT", "/v1/transactions/1", "GET"),
        ("POST", "/v1/updates", "GET"),
        ("POST", "/openapi.json", "GET"),
        ("AVERYLONGMETHODINDEEDTHATNOBODYKNOWS", "/v1/site", "GET"),
    ] {
        let reply = partner.unchanged(hear(partner.caller.request(method, path))).await;
        assert_problem(&reply, 405, "method-not-allowed", &[&method[..method.len().min(20)]]);
        let allow = reply.headers.get("allow").expect("what is allowed is told").to_str().unwrap();
        assert!(allow.contains(allowed), "{allow}");
    }
}

/// Deadlines at both sites follow from when a case moved: one that moves it in the year 9999 would never be late.
#[tokio::test(flavor = "multi_thread")]
async fn m_02_a_case_does_not_move_long_after_now() {
    let partner = Partner::start().await;
    let moved = |at: &str| {
        let milestone = json!({"id": exchange(7), "n": 1, "at": at, "fact": {"state": "in_process"}});
        operation(1, 2, "update", json!({"milestones": [milestone]}))
    };
    for ahead in
        ["9999-01-01T00:00:00Z", &(jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * 367)).to_string()]
    {
        let result = partner.unchanged(partner.caller.operate(moved(ahead))).await;
        assert_refused(&result, 422, "content", &["milestones", "more than a year after now"]);
    }
    // A clock that is days wrong is borne.
    let ahead = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(100)).to_string();
    let result = partner.caller.operate(moved(&ahead)).await;
    assert_eq!(result["outcome"], "applied", "{result}");
    let told = async || {
        let lines = partner.site.get("/v1/incidents/1").await.body["history"].clone();
        let far = |line: &&Value| line["detail"].as_str().unwrap().contains("far from this site's clock");
        (lines.as_array().unwrap().iter().filter(far).count(), partner.site.log().matches("milestone_far_off").count())
    };
    eventually("to be told", || async { (told().await == (1, 1)).then_some(()) }).await;
    // As late as an operation can be that waited for a site that was away.
    for (seq, behind, far) in [(3, 24 * 365, 1), (4, 24 * 367, 2)] {
        let at = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(behind)).to_string();
        let milestone = json!({"id": exchange(seq), "n": seq, "at": at, "fact": {"state": "on_hold"}});
        let result = partner.caller.operate(operation(1, seq, "update", json!({"milestones": [milestone]}))).await;
        assert_eq!(result["outcome"], "applied", "{result}");
        eventually("to be told", || async { (told().await == (far, far)).then_some(()) }).await;
    }
}

/// What happens is put in order by its count: one at the end of all numbers would be the last for good.
#[tokio::test(flavor = "multi_thread")]
async fn m_02_a_peer_leaves_numbers_for_what_happens_after_it() {
    let partner = Partner::start().await;
    let counted = |seq: u64, n: u64, fact: Value| {
        let milestone = json!({"id": exchange(u64::MAX - seq), "n": n, "at": "2026-11-21T10:00:00Z", "fact": fact});
        operation(1, seq, "update", json!({"milestones": [milestone]}))
    };
    for fact in [json!({"state": "on_hold"}), json!({"named": "Technician on site"})] {
        let result = partner.unchanged(partner.caller.operate(counted(2, 1_000_000_000, fact))).await;
        assert_refused(&result, 409, "illegal", &["has the number 1000000000", "what happens later would not count"]);
    }
    // As far as one site may have counted without the other.
    for (seq, n) in [(2, 100_000), (3, 200_000)] {
        let result = partner.caller.operate(counted(seq, n, json!({"state": "on_hold"}))).await;
        assert_eq!(result["outcome"], "applied", "{result}");
    }
    let moved = partner.site.act("/v1/cases/1/process", json!({"operator": "bert"})).await;
    assert_eq!(moved["state"], "in_process", "{moved}");
}

fn assert_gap(result: &Value, expected: u64, said: &str) {
    assert_eq!((&result["outcome"], &result["expected"]), (&json!("out_of_order"), &json!(expected)));
    assert_eq!(result["problem"]["type"], "urn:casebridge:problem:out-of-order", "{result}");
    assert!(result["problem"]["detail"].as_str().unwrap().contains(said), "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_say_what_is_new_what_is_known_and_what_is_missing() {
    let partner = Partner::start().await;
    let caller = &partner.caller;
    // Unknown exchanges begin with a Create that has the number 1.
    let result = partner.unchanged(caller.operate(update(2, 1, "x"))).await;
    assert_refused(&result, 409, "unknown-exchange", &["Create"]);
    let result = partner.unchanged(caller.operate(update(2, 2, "x"))).await;
    assert_refused(&result, 409, "unknown-exchange", &["Create"]);
    let mut late = create(2);
    late["seq"] = json!(2);
    let result = partner.unchanged(caller.operate(late)).await;
    assert_gap(&result, 1, "operation 2 came and 1 did not; send on from 1");

    // A Create twice is one incident and one answer, and so is everything else.
    let first = caller.operate(create(1)).await;
    let again = partner.unchanged(caller.operate(create(1))).await;
    assert_eq!(first, again);
    let result = partner.unchanged(caller.operate(update(1, 3, "x"))).await;
    assert_gap(&result, 2, "operation 3 came and 2 did not; send on from 2");
    let result = partner.unchanged(caller.operate(update(1, u64::MAX, "x"))).await;
    assert_gap(&result, 2, "and 2 did not");
    let result = partner.unchanged(caller.operate(update(1, 1, "not a Create"))).await;
    assert_refused(&result, 409, "sequence-conflict", &["operation 1"]);
    let second = caller.operate(update(1, 2, "reseated")).await;
    assert_eq!(second["outcome"], "applied");
    let again = partner.unchanged(caller.operate(update(1, 2, "reseated"))).await;
    assert_eq!(second, again);
    let result = partner.unchanged(caller.operate(update(1, 2, "replaced"))).await;
    assert_refused(&result, 409, "sequence-conflict", &["operation 2"]);
    let mut recreated = create(1);
    recreated["seq"] = json!(3);
    let result = partner.unchanged(caller.operate(recreated)).await;
    assert_refused(&result, 409, "illegal", &["created already"]);

    // In one batch, the order counts, and one exchange's trouble is its own.
    let batch = json!([update(1, 4, "c"), update(1, 3, "b"), create(5), update(5, 2, "d"), update(5, 2, "d")]);
    let reply = caller.post(batch).await;
    let outcomes: Vec<_> = reply.body["results"].as_array().unwrap().iter().map(|one| one["outcome"].clone()).collect();
    assert_eq!(outcomes, ["out_of_order", "applied", "applied", "applied", "applied"]);

    let looped = create_with(6, "/trace_route", json!(["north", "partner", "south"]));
    let result = partner.unchanged(caller.operate(looped)).await;
    assert_refused(&result, 409, "loop", &["trace route"]);

    // After a rejection there is nothing more to say.
    let transaction = caller.create(7).await;
    partner.site.act(&format!("/v1/incidents/{transaction}/reject"), json!({"operator": "bert"})).await;
    eventually("the rejection", || async {
        let answer = caller.get(&format!("/v1/transactions/{transaction}")).await;
        (answer.body["step"] == "rejected").then_some(())
    })
    .await;
    let result = partner.unchanged(caller.operate(update(7, 2, "x"))).await;
    assert_refused(&result, 409, "rejected", &["anew"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_is_not_of_this_feed_is_lost() {
    let partner = Partner::start().await;
    let caller = &partner.caller;
    let cursor = caller.get("/v1/exchanges").await.body["cursor"].as_str().unwrap().to_owned();
    let (epoch, number) = cursor.split_once('-').unwrap();
    let (epoch, number) = (epoch.to_owned(), number.parse::<u64>().unwrap());
    // Something waits for the client, and must still be there afterwards.
    partner.site.act("/v1/incidents/1/accept", json!({"operator": "bert"})).await;
    eventually("the case to be queued", || async {
        (partner.site.get("/v1/outbox").await.body["total"] == 1).then_some(())
    })
    .await;
    let long = "9".repeat(5_000);
    for after in [
        "".to_owned(),
        "garbage".into(),
        "%00%1b%5B31m".into(),
        format!("{epoch}-"),
        format!("{epoch}-x"),
        format!("{epoch}--1"),
        format!("{epoch}-{long}"),
        format!("{epoch}-{}", number + 2),
        format!("{epoch}-{}", u64::MAX),
        format!("{}-{}", "0".repeat(32), number),
        long.clone(),
    ] {
        let reply = partner.unchanged(caller.get(&format!("/v1/updates?after={after}&wait=1"))).await;
        assert_problem(&reply, 410, "cursor-lost", &["GET /v1/exchanges"]);
    }
    assert_problem(&partner.unchanged(caller.get("/v1/updates")).await, 410, "cursor-lost", &[]);
    for query in ["wait=x", "wait=-1", "wait=1.5", "limit=x", "limit=-1", "limit=", "wait=1&wait=2", "limit=%ff"] {
        let reply = partner.unchanged(caller.get(&format!("/v1/updates?after={cursor}&{query}"))).await;
        assert_problem(&reply, 400, "bad-request", &["`wait` and `limit`", "whole numbers"]);
    }
    // What is only too large or too small is brought to what there is.
    for query in ["limit=0", "limit=1000000", "wait=100000000000"] {
        let reply = partner.unchanged(caller.get(&format!("/v1/updates?after={cursor}&{query}"))).await;
        assert_eq!((reply.status, reply.body["operations"].as_array().unwrap().len()), (200, 1), "{query}");
    }
    // Having seen it acknowledges it.
    let seen = caller.get(&format!("/v1/updates?after={cursor}")).await.body["cursor"].as_str().unwrap().to_owned();
    caller.get(&format!("/v1/updates?after={seen}")).await;
    eventually("an empty outbox", || async { (partner.site.get("/v1/outbox").await.body["total"] == 0).then_some(()) })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_are_none_are_refused() {
    let partner = Partner::start().await;
    let caller = &partner.caller;
    let long = "0".repeat(5_000);
    let mixed = format!("{},{}", exchange(1), "x");
    for list in ["", ",", "1", "%ff", "%1b", &exchange(1)[1..], &long, &mixed, &format!("{},", exchange(1))] {
        let reply = partner.unchanged(caller.get(&format!("/v1/transactions?exchange={list}"))).await;
        assert_problem(&reply, 400, "bad-request", &["exchange"]);
    }
    assert_problem(&caller.get("/v1/transactions").await, 400, "bad-request", &["`exchange`"]);
    let many: Vec<String> = (0..101).map(exchange).collect();
    let reply = partner.unchanged(caller.get(&format!("/v1/transactions?exchange={}", many.join(",")))).await;
    assert_problem(&reply, 422, "batch-limit", &["at most 100"]);
    let reply = caller.get(&format!("/v1/transactions?exchange={}", many[..100].join(","))).await;
    assert_eq!((reply.status, reply.body["transactions"].as_array().unwrap().len()), (200, 1));

    for id in ["0", "-1", "2", "x", "%00", "%ff", "1%2F2", "99999999999999999999", "01", "+1", "%201", &long] {
        let reply = partner.unchanged(caller.get(&format!("/v1/transactions/{id}"))).await;
        assert_problem(&reply, 404, "not-found", &["transaction"]);
    }
    for query in ["after=x", "after=%00", "limit=x", "limit=-1", &format!("after={long}")] {
        let reply = partner.unchanged(caller.get(&format!("/v1/exchanges?{query}"))).await;
        assert_problem(&reply, 400, "bad-request", &[]);
    }
}

/// The head of a request with operations, up to its body.
fn head(port: u16, length: &str) -> String {
    // north:correct horse battery
    format!(
        "POST /v1/operations HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Basic \
         bm9ydGg6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\nContent-Type: application/json\r\n{length}\r\n\r\n"
    )
}

/// Sends bytes as they are, with or without leaving the connection open, and returns everything that is answered.
async fn raw(port: u16, text: &str, stays: bool) -> String {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // The partner may have said no before it saw everything.
    let _ = stream.write_all(text.as_bytes()).await;
    if !stays {
        stream.shutdown().await.unwrap();
    }
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(Ok(count)) = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut buffer)).await {
        answer.extend_from_slice(&buffer[..count]);
        let seen = String::from_utf8_lossy(&answer);
        let whole = seen.split_once("\r\n\r\n").is_some_and(|(_, body)| body.ends_with('}'));
        if count == 0 || whole {
            break;
        }
    }
    String::from_utf8(answer).unwrap()
}
