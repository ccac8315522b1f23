//! Cases for the people who work on them: the API over the socket and over the network, and `casebridge case`.

use serde_json::{Value, json};

use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL, partner_config};
use crate::support::wire::free_port;
use crate::support::{Pair, Site, eventually, operator};

/// The roles of A-16.
const ROLES: &str = r#"
[[role]]
name = "admin"
permissions = ["CASE_ALL"]
[[role]]
name = "unrestricted"
permissions = ["CASE_VIEW", "CASE_CREATE", "CASE_EDIT", "CASE_PROCESS"]
[[role]]
name = "reader"
permissions = ["CASE_VIEW", "CASE_COMMENT_VIEW", "CASE_DOC_VIEW", "CASE_ACTIVITY_VIEW"]

[[priority]]
name = "1 - Critical"
description = "The network is down."
[[solution]]
name = "Support"
[[process]]
name = "Repair"
solution = "Support"
[[sla]]
name = "solve"
within = "8h"
[[case_type]]
name = "hardware"
process = "Repair"
priorities = ["2 - High", "3 - Medium"]
due_within = "2d"
due_warn_before = "4h"
slas = ["solve"]
"#;

/// A partner that operators reach over the network.
struct Desk {
    site: Site,
    http: reqwest::Client,
    port: u16,
}

/// An answer: its status, its code, its ETag and its body.
#[derive(Debug, PartialEq)]
struct Heard {
    status: u16,
    etag: Option<String>,
    body: Value,
}

async fn hear(request: reqwest::RequestBuilder) -> Heard {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let etag = answer.headers().get("etag").map(|value| value.to_str().unwrap().to_owned());
    let text = answer.text().await.unwrap();
    Heard { status, etag, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
}

impl Desk {
    async fn start() -> Self {
        Self::with_tokens([]).await.0
    }

    /// With tokens for operators, each of these.
    async fn with_tokens<const N: usize>(operators: [&[&str]; N]) -> (Self, [String; N]) {
        let port = free_port();
        let mut site = Site::new("partner", &partner_config(port, ROLES));
        let tokens = operators.map(|operator| {
            let made = site.command(&[&["token", "new", "--json"], operator].concat()).json();
            made["token"].as_str().unwrap().to_owned()
        });
        site.start().await;
        (Self { site, http: reqwest::Client::builder().no_proxy().build().unwrap(), port }, tokens)
    }

    async fn ask(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> Heard {
        let request = self.http.request(method.parse().unwrap(), format!("http://127.0.0.1:{}{path}", self.port));
        let request = request.bearer_auth(token);
        hear(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }
}

async fn local(site: &Site, method: &str, path: &str, body: Value) -> Heard {
    hear(site.request(method, path).json(&body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn m_01_every_attribute_survives_store_and_wire() {
    let desk = Desk::start().await;
    let site = &desk.site;
    let said = json!({
        "details": "Fan tray 2 is loud", "description": "It beeps.\nAll night.", "priority": "3 - Medium",
        "caseTypeName": "hardware", "initiatorId": "C-4711", "initiatorType": "CUSTOMER", "firstName": "Ann",
        "lastName": "O'Neill", "assignedToUsers": ["ann", "bert"], "assignedToGroups": ["night shift"],
        "tags": ["fan", "loud"], "watchers": ["cleo"], "location": "Köln, cellar",
        "locationId": "00000000-0000-0000-0000-000000000007", "locationCode": "B-17", "deviceGroup": "core",
        "device": "edge7", "operator": "olga",
    });
    let made = local(site, "POST", "/v1/cases", said.clone()).await;
    assert_eq!((made.status, &made.body["code"]), (200, &json!("CASE0600")), "{made:?}");
    assert_eq!(made.body["displayId"], "CMpartner-1");
    let first = local(site, "POST", "/v1/cases", json!({"details": "The first", "operator": "olga"})).await;
    let guid = made.body["id"].as_str().unwrap();
    for (method, rest, body) in [
        ("PATCH", "", json!({"completedPercent": 40, "resolution": "Replace it"})),
        ("PUT", "/owner", json!({"user": "olga", "status": "In Progress"})),
        ("PUT", "/flags", json!({"users": ["dora"], "operator": "bert"})),
        ("PUT", "/relation", json!({"case": first.body["displayId"]})),
        ("POST", "/milestones", json!({"name": "Technician on site"})),
        ("POST", "/process", json!({})),
        ("POST", "/comments", json!({"text": "On it", "operator": "bert"})),
        ("GET", "", json!({})),
        ("POST", "/resolve", json!({"operator": "ann"})),
    ] {
        let done = local(site, method, &format!("/v1/cases/{guid}{rest}"), body).await;
        assert_eq!(done.status, 200, "{method} {rest}: {done:?}");
    }
    // What was promised, as long as the clock ran; see `m_07` and `m_08` in deadlines.rs for what comes of it.
    let promised = local(site, "POST", "/v1/cases", json!({"details": "Fan", "caseTypeName": "hardware"})).await;
    let promised = format!("/v1/cases/{}", promised.body["number"]);
    let timed = eventually("its promises", || async {
        let shown = hear(site.request("GET", &promised)).await.body;
        shown["dueDate"].is_string().then_some(shown)
    })
    .await;
    assert!(timed["dueDateWarning"].as_str() < timed["dueDate"].as_str(), "{timed}");
    assert_eq!((&timed["markedDueDateWarning"], &timed["markedDueDateExceeded"]), (&json!(false), &json!(false)));
    assert_eq!(timed["slaInstanceIds"].as_array().map(Vec::len), Some(1), "{timed}");
    assert_eq!(timed["messageWarnedSLAs"], json!([]));
    assert_eq!(local(site, "POST", &format!("{promised}/hold"), json!({})).await.status, 200);
    let held = hear(site.request("GET", &promised)).await.body;
    for date in ["dueDate", "dueDateWarning"] {
        assert_eq!(held[date], timed[date], "the last one stays while the clock stands still: {held}");
    }
    assert_eq!((&timed["dueDateStandsStill"], &held["dueDateStandsStill"]), (&json!(false), &json!(true)));
    let due = timed["dueDate"].as_str().unwrap();
    let listed = hear(site.request("GET", &format!("/v1/cases?state=on_hold&due_from={due}&sort=-due"))).await.body;
    for said in ["number", "dueDate", "dueDateStandsStill"] {
        assert_eq!(listed["cases"][0][said], held[said], "a list says the same: {listed}");
    }
    let earlier = hear(site.request("GET", &format!("/v1/cases?due_before={due}"))).await.body;
    let earlier: Vec<&Value> = earlier["cases"].as_array().unwrap().iter().map(|case| &case["number"]).collect();
    assert_eq!(earlier, [&json!(1)], "the resolved one had been due before; this one is not");
    for name in ["1", "CMpartner-1", guid] {
        let shown = hear(site.request("GET", &format!("/v1/cases/{name}"))).await;
        let case = &shown.body;
        assert_eq!(shown.etag, Some(format!("\"{}\"", case["revision"])));
        for (attribute, value) in said.as_object().unwrap().iter().filter(|(name, _)| *name != "operator") {
            assert_eq!(&case[attribute], value, "{attribute}: {case}");
        }
        assert_eq!((&case["id"], &case["createdBy"]), (&json!(guid), &json!("olga")));
        assert_eq!((&case["state"], &case["stateLabel"]), (&json!("resolved"), &json!("Resolved")));
        assert_eq!((&case["resolution"], &case["resolvedBy"]), (&json!("Replace it"), &json!("ann")));
        assert!(case["resolutionDate"].is_string() && case["active"] == true, "{case}");
        assert_eq!((&case["completedPercent"], &case["owner"]), (&json!(40), &json!("olga")));
        assert_eq!(case["ownerStatus"], "In Progress");
        assert_eq!((&case["solutionName"], &case["processName"]), (&json!("Support"), &json!("Repair")));
        assert!(case["caseTypeId"].is_string(), "{case}");
        let flag = &case["flags"][0];
        assert_eq!(
            (&flag["user"], &flag["flaggedBy"], &flag["unread"]),
            (&json!("dora"), &json!("bert"), &json!(true))
        );
        assert_eq!(case["caseRelation"]["details"], "The first");
        let facts: Vec<&Value> = case["milestones"].as_array().unwrap().iter().map(|one| &one["fact"]).collect();
        assert!(facts.contains(&&json!({"named": "Technician on site"})), "{facts:?}");
        assert_eq!((&case["comments"][0]["author"], &case["documents"]), (&json!("bert"), &json!([])));
    }
    let lines = hear(site.request("GET", "/v1/cases/1/activities")).await.body;
    let whose: Vec<&str> =
        lines["activities"].as_array().unwrap().iter().map(|line| line["who"].as_str().unwrap()).collect();
    for who in ["olga", "bert", "ann"].map(operator) {
        assert!(whose.contains(&who.as_str()), "{who}: {whose:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn m_01_a_case_tells_who_entered_it_and_for_whom_and_who_resolved_it() {
    let proxy: Vec<&str> = ["CASE_VIEW", "CASE_CREATE", "CASE_RESOLVE", "CASE_INSTANCE_PROXY_SAVE"]
        .iter()
        .flat_map(|scope| ["--scope", *scope])
        .chain(["--owner", "ann"])
        .collect();
    let (desk, [ann]) = Desk::with_tokens([&proxy]).await;
    let made = desk.ask(&ann, "POST", "/v1/cases", Some(json!({"details": "One", "operator": "bert"}))).await;
    assert_eq!(made.status, 200, "{made:?}");
    let done =
        desk.ask(&ann, "POST", "/v1/cases/1/resolve", Some(json!({"resolution": "x", "operator": "bert"}))).await;
    assert_eq!(done.status, 200, "{done:?}");
    let case = desk.ask(&ann, "GET", "/v1/cases/1", None).await.body;
    let told = (&case["createdBy"], &case["initiatorId"], &case["resolvedBy"]);
    assert_eq!(told, (&json!("ann"), &json!("bert"), &json!("bert")), "{case}");
    let told = "SELECT count(*) FROM history WHERE who = 'operator ann for bert' AND action = 'edited'";
    assert_eq!(desk.site.count(told).await, 1, "the history names both");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_edit_changes_nothing_and_says_so() {
    let desk = Desk::start().await;
    let site = &desk.site;
    local(site, "POST", "/v1/cases", json!({"details": "One"})).await;
    let seen = hear(site.request("GET", "/v1/cases/1")).await;
    let on = |etag: &str, body: Value| site.request("PATCH", "/v1/cases/1").header("if-match", etag).json(&body);
    let etag = seen.etag.clone().unwrap();
    assert_eq!(hear(on(&etag, json!({"details": "Two"}))).await.status, 200);
    let before = hear(site.request("GET", "/v1/cases/1")).await;
    let stale = hear(on(&etag, json!({"details": "Three"}))).await;
    assert_eq!((stale.status, &stale.body["code"]), (412, &json!("CASE0602")), "{stale:?}");
    assert_eq!(stale.body["type"], "urn:casebridge:problem:stale");
    assert_eq!(hear(on("nonsense", json!({"details": "Three"}))).await.status, 400);
    for path in ["hold", "claim"] {
        let request = site.request("POST", &format!("/v1/cases/1/{path}")).header("if-match", &etag).json(&json!({}));
        assert_eq!(hear(request).await.status, 412, "{path}");
    }
    assert_eq!(hear(site.request("GET", "/v1/cases/1")).await, before, "nothing changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_say_and_do_is_a_part_of_a_cases_etag() {
    let desk = Desk::start().await;
    let site = &desk.site;
    local(site, "POST", "/v1/cases", json!({"details": "One"})).await;
    let shown = || hear(site.request("GET", "/v1/cases/1"));
    let mut seen = shown().await;
    for (method, path, body) in [
        ("POST", "comments", json!({"text": "It beeps", "internal": true})),
        ("POST", "initiator-comments", json!({"text": "Still"})),
        ("POST", "milestones", json!({"name": "Technician on site"})),
        ("PUT", "documents/log.txt", json!({})),
        ("PUT", "flags", json!({"users": ["anna"]})),
        ("PUT", "flags", json!({"read": true, "operator": "anna"})),
        ("POST", "hold", json!({})),
    ] {
        let call =
            |etag: &str| site.request(method, &format!("/v1/cases/1/{path}")).header("if-match", etag).json(&body);
        let old = seen.etag.clone().unwrap();
        let done = hear(call(&format!("\"0\", {old}, \"of-another-site\""))).await;
        assert_eq!(done.status, 200, "{path}: {done:?}");
        seen = shown().await;
        assert_eq!(done.etag, seen.etag, "{path}");
        assert_ne!(seen.etag.as_deref(), Some(old.as_str()), "{path} is shown");
        for stale in [old.clone(), format!("W/{}", seen.etag.clone().unwrap()), format!("\"0\", {old}")] {
            let stale = hear(call(&stale)).await;
            assert_eq!((stale.status, &stale.body["type"]), (412, &json!("urn:casebridge:problem:stale")), "{path}");
        }
        assert_eq!(shown().await, seen, "{path}: nothing changed");
    }
    let marks = seen.body["flags"][0]["unread"].clone();
    assert_eq!(marks, json!(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_calls_at_once_on_one_revision_one_is_told_that_it_is_stale() {
    let desk = Desk::start().await;
    let site = &desk.site;
    let file = |name: &str| (reqwest::Method::PUT, format!("documents/{name}"));
    let post = |path: &str| (reqwest::Method::POST, path.to_owned());
    let edit = (reqwest::Method::PATCH, String::new());
    for (number, (one, other)) in
        [(post("hold"), post("process")), (edit.clone(), post("process")), (file("a"), file("b")), (file("a"), edit)]
            .into_iter()
            .enumerate()
    {
        for round in 0..10 {
            let made = local(site, "POST", "/v1/cases", json!({"details": "One"})).await.body["number"].clone();
            let etag = hear(site.request("GET", &format!("/v1/cases/{made}"))).await.etag.unwrap();
            let call = |(method, rest): &(reqwest::Method, String)| {
                let path = format!("/v1/cases/{made}/{rest}");
                let request = site.request(method.as_str(), path.trim_end_matches('/')).header("if-match", &etag);
                hear(request.json(&json!({"details": "Two"})).body(if *method == reqwest::Method::PATCH {
                    json!({"details": "Two"}).to_string()
                } else {
                    "{}".to_owned()
                }))
            };
            let (one, other) = tokio::join!(call(&one), call(&other));
            let mut both = [one.status, other.status];
            both.sort_unstable();
            assert_eq!(both, [200, 412], "pair {number}, round {round}: {one:?} {other:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_case_can_have_is_refused_and_changes_nothing() {
    let desk = Desk::start().await;
    let site = &desk.site;
    let made = local(site, "POST", "/v1/cases", json!({"details": "One", "priority": "2 - High"})).await;
    assert_eq!(made.status, 200, "{made:?}");
    let before = eventually("its type and its promises", || async {
        let shown = hear(site.request("GET", "/v1/cases/1")).await;
        (shown.body["dueDate"].is_string() && shown.body["caseTypeName"].is_string()).then_some(shown)
    })
    .await;
    for (method, path, body, reason) in [
        ("POST", "", json!({"details": "x", "caseTypeName": "hardwear"}), "there are hardware"),
        (
            "POST",
            "",
            json!({"details": "x", "caseTypeName": "hardware", "priority": "4 - Low"}),
            "2 - High, 3 - Medium",
        ),
        ("POST", "", json!({"details": "x", "deviceGroup": "\u{0}"}), "deviceGroup"),
        ("POST", "", json!({"details": "x", "deviceGroup": ""}), "deviceGroup"),
        ("POST", "", json!({"details": "x", "deviceGroup": "z".repeat(129)}), "deviceGroup"),
        ("PATCH", "/1", json!({"caseTypeName": "hardwear"}), "there are hardware"),
        ("PATCH", "/1", json!({"caseTypeName": "hardware", "priority": "1 - Critical"}), "2 - High, 3 - Medium"),
        ("POST", "/1/complete", json!({"completionCode": "withdrawn_by_user"}), "cancel the case instead"),
        ("POST", "/1/resolve", json!({"completionCode": "abandoned_by_user"}), "cancel the case instead"),
        ("POST", "/1/cancel", json!({"resolution": "x"}), "no solution or code"),
        ("POST", "", json!({"details": "x", "initiatorType": "CUSTOMER"}), "initiatorId"),
        ("PATCH", "/1", json!({}), "nothing to change"),
        ("POST", "/1/comments", json!({"text": "x", "language": "klingon!!"}), "BCP 47"),
    ] {
        let refused = local(site, method, &format!("/v1/cases{path}"), body.clone()).await;
        assert_eq!(refused.status, 422, "{method} {path} {body}: {refused:?}");
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains(reason), "{method} {path} {body}: {detail}");
    }
    let emptied = local(site, "PATCH", "/v1/cases/1", json!({"details": null})).await;
    assert_eq!(emptied.status, 400, "a case has a title: {emptied:?}");
    assert_eq!(hear(site.request("GET", "/v1/cases/1")).await, before, "nothing changed");
    assert_eq!(site.count("SELECT count(*) FROM incident").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_stays_as_it_ended_until_it_is_reopened() {
    let desk = Desk::start().await;
    let site = &desk.site;
    let done = |method: &'static str, rest: &'static str, body: Value| async move {
        let heard = local(site, method, &format!("/v1/cases/1{rest}"), body).await;
        (heard.status, heard.body["detail"].as_str().unwrap_or_default().to_owned())
    };
    local(site, "POST", "/v1/cases", json!({"details": "One"})).await;
    let fixed = [
        ("PATCH", "", json!({"details": "Two"})),
        ("PATCH", "", json!({"resolution": "Something else"})),
        ("PATCH", "", json!({"priority": "3 - Medium", "location": "Hall 2"})),
        ("PUT", "/assignment", json!({"users": ["anna"]})),
        ("PUT", "/owner", json!({"user": "olga"})),
        ("POST", "/milestones", json!({"name": "Technician on site"})),
    ];
    for (ends, state) in [("/complete", "Completed"), ("/cancel", "Canceled")] {
        assert_eq!(done("POST", ends, json!({})).await.0, 200);
        for (method, rest, body) in fixed.clone() {
            let (status, detail) = done(method, rest, body).await;
            assert_eq!(status, 409, "{method} {rest}: {detail}");
            assert!(detail.contains(state) && detail.contains("reopen it first"), "{detail}");
        }
        for (method, rest, body) in [
            ("POST", "/comments", json!({"text": "Thank you"})),
            ("POST", "/tags", json!({"tag": format!("after {state}")})),
            ("PUT", "/flags", json!({"users": ["anna", state]})),
            ("PUT", "/watchers/olga", json!({})),
            ("DELETE", "", json!({})),
            ("PATCH", "", json!({"active": true})),
            ("POST", "/reopen", json!({})),
        ] {
            let (status, detail) = done(method, rest, body).await;
            assert_eq!(status, 200, "{method} {rest}: {detail}");
        }
    }
    for (method, rest, body) in fixed {
        assert_eq!(done(method, rest, body).await.0, 200, "{method} {rest}: it is open again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_lacks_is_not_had_by_a_way_round() {
    let scopes = |owner: &'static str, scopes: &[&'static str]| -> Vec<&'static str> {
        ["--owner", owner].into_iter().chain(scopes.iter().flat_map(|scope| ["--scope", *scope])).collect()
    };
    let proxy = scopes("proxy", &["CASE_VIEW", "CASE_INSTANCE_PROXY_SAVE"]);
    let holder = scopes("holder", &["CASE_HOLD", "CASE_CREATE"]);
    let editor = scopes("editor", &["CASE_VIEW", "CASE_EDIT"]);
    let assigned = scopes("assi", &["CASE_VIEW_ASSIGNED"]);
    let operators = [&proxy, &holder, &editor, &assigned].map(Vec::as_slice);
    let (desk, [proxy, holder, editor, assigned]) = Desk::with_tokens(operators).await;
    for details in ["One", "Two"] {
        local(&desk.site, "POST", "/v1/cases", json!({"details": details})).await;
    }
    local(&desk.site, "PUT", "/v1/cases/1/assignment", json!({"users": ["assi"]})).await;
    local(&desk.site, "PUT", "/v1/cases/1/relation", json!({"case": "2"})).await;
    local(&desk.site, "DELETE", "/v1/cases/2", json!({})).await;
    for (token, method, path, body) in [
        (&proxy, "PATCH", "/v1/cases/1", json!({"location": "x", "operator": "proxy"})),
        (&holder, "POST", "/v1/cases/1/hold", json!({"comment": "no right to say so"})),
        (&holder, "POST", "/v1/cases", json!({"details": "x", "comment": "no right to say so"})),
        (&holder, "POST", "/v1/cases", json!({"details": "for another company", "submit": true})),
        (&editor, "PATCH", "/v1/cases/2", json!({"active": true})),
    ] {
        let refused = desk.ask(token, method, path, Some(body.clone())).await;
        assert_eq!(refused.status, 403, "{method} {path} {body}: {refused:?}");
    }
    assert_eq!(desk.site.count("SELECT count(*) FROM comment").await, 0);
    assert_eq!(desk.ask(&assigned, "GET", "/v1/cases/2", None).await.status, 404);
    let shown = desk.ask(&assigned, "GET", "/v1/cases/1", None).await.body;
    assert_eq!(shown["caseRelation"], Value::Null, "of a case that it does not see: {shown}");
    let listed = desk.ask(&assigned, "GET", "/v1/cases", None).await.body;
    assert_eq!(listed["cases"][0]["caseRelation"], Value::Null);
    let all = hear(desk.site.request("GET", "/v1/cases/1")).await.body;
    assert_eq!(all["caseRelation"]["details"], "Two");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_with_impossible_filters_are_refused_with_the_reason() {
    let desk = Desk::start().await;
    for (query, reason) in [
        ("state=open", "`state` must be of"),
        ("priority=high", "priority must be one of"),
        ("unassigned=true&assigned_to=ann", "not unassigned"),
        ("created_from=2026-02-01T00:00:00Z&created_before=2026-01-01T00:00:00Z", "nothing lies between"),
        ("text=%2A", "`text` needs"),
        ("sort=colour", "`sort` must be"),
        ("limit=0", "`limit` must be"),
        ("limit=many", "`limit` must be a whole number"),
        ("limit=99999999999999999999", "`limit` must be a smaller number"),
        ("breached=yes", "`breached` must be true or false"),
        ("created_from=2026-01-01", "`created_from` must be an instant"),
        ("due_before=%2B99999-01-01T00:00:00Z", "`due_before` must be an instant"),
        ("state=completed&about_to_breach=true", "stands still"),
        ("client=nobody", "there is no client nobody"),
        ("group=", "`group` must not be empty"),
        ("group=%00", "`group` holds"),
        ("after=x", "`after` is not a page"),
        ("colour=red", "colour"),
        ("group=nonexistent", "there is no group nonexistent"),
        ("type=hardware&priority=4%20-%20Low", "2 - High, 3 - Medium"),
        ("state=opened&state=resolved", "`state` is given more than once"),
        ("type=hardwear", "there are hardware"),
        ("tag=%1b", "`tag`"),
    ] {
        let answer = hear(desk.site.request("GET", &format!("/v1/cases?{query}"))).await;
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(reason), "{query}: {answer:?}");
        for library in ["deserialize", "parsing", "invalid digit", "The form"] {
            assert!(!detail.contains(library), "{query}: {detail}");
        }
    }
    // What a library says of a body is not what people read either.
    local(&desk.site, "POST", "/v1/cases", json!({"details": "One"})).await;
    for (body, reason) in [
        ("garbage", "this is no JSON at line 1, column 1"),
        (r#"{"completedPercent": 40"#, "the JSON breaks off"),
        (r#"{"completedPercent": -1}"#, "`completedPercent`: -1 is no percentage; give 0 to 100"),
        (r#"{"completedPercent": 1.5}"#, "expected a whole number"),
        (r#"{"details": ""}"#, "details must not be empty"),
        (r#"{"resolution": ""}"#, "resolution must not be empty"),
        (r#"{"priority": null}"#, "at `priority`: no value that can stand here"),
        (r#"{"priority": "High"}"#, "there is no `High`, expected one of `1 - Critical`"),
        (r#"{"active": null}"#, "null is given, expected true or false, at line 1"),
        (r#"{"locationId": "zz"}"#, "at `locationId`: expected a UUID, such as"),
    ] {
        let request = desk.site.request("PATCH", "/v1/cases/1").header("content-type", "application/json").body(body);
        let answer = hear(request).await;
        assert!(matches!(answer.status, 400 | 422), "{body}: {answer:?}");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(reason), "{body}: {answer:?}");
        for library in ["parsing", "invalid type", "unknown variant"] {
            assert!(!detail.contains(library), "{body}: {detail}");
        }
    }
    let nameless = local(&desk.site, "POST", "/v1/cases", json!({"details": " "})).await;
    assert_eq!((nameless.status, &nameless.body["detail"]), (422, &json!("details must not be empty")));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_see_all_learns_no_client_and_no_type_from_a_refusal() {
    let (desk, [tenant, mine, all]) = Desk::with_tokens([
        &["--owner", "tina", "--scope", "CASE_VIEW", "--group", "core"],
        &["--owner", "max", "--scope", "CASE_VIEW_MINE"],
        &["--owner", "alba", "--scope", "CASE_VIEW"],
    ])
    .await;
    desk.site.execute("INSERT INTO incident (host_event_id, synopsis, client) VALUES ('e-1', 'One', 'gone')").await;
    let ask = async |token: &str, query: &str| {
        let answer = desk.ask(token, "GET", &format!("/v1/cases?{query}"), None).await;
        let detail = answer.body["detail"].as_str().unwrap_or_default().to_owned();
        (answer.status, detail)
    };
    for (query, status) in [("client=north", 200), ("client=gone", 200), ("client=nobody", 400), ("client=core", 400)] {
        assert_eq!(ask(&all, query).await.0, status, "{query}");
    }
    assert_eq!(ask(&tenant, "client=core").await.0, 200, "its own");
    for token in [&tenant, &mine] {
        let refused = ask(token, "client=nobody").await;
        assert_eq!(refused.0, 400, "{refused:?}");
        for there_is in ["north", "gone"] {
            let (status, detail) = ask(token, &format!("client={there_is}")).await;
            assert_eq!((status, detail.replace(there_is, "nobody")), refused, "as if there were none");
        }
        let (status, detail) = ask(token, "type=hardwear").await;
        assert_eq!((status, detail.as_str()), (400, "there is no case type hardwear"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn m_05_what_a_site_offers_is_read_by_whoever_may_and_told_in_no_refusal_to_others() {
    let (desk, [viewer, maker, lists]) = Desk::with_tokens([
        &["--owner", "vera", "--scope", "CASE_DEF_VIEW", "--scope", "CASE_PRIORITY_VIEW"],
        &["--owner", "max", "--scope", "CASE_CREATE", "--scope", "CASE_EDIT"],
        &["--owner", "lis", "--scope", "CASE_VIEW"],
    ])
    .await;
    let read = async |path: &'static str| desk.ask(&viewer, "GET", path, None).await.body.to_string();
    for (path, parts) in [
        ("/v1/solutions", &["\"Support\""][..]),
        ("/v1/processes", &["\"Repair\"", "\"Support\""]),
        ("/v1/case-types", &["\"hardware\"", "\"Repair\"", "\"solve\"", "2 - High", "3 - Medium"]),
        ("/v1/case-types/hardware", &["\"hardware\"", "\"Repair\"", "\"solve\"", "2 - High", "3 - Medium"]),
        ("/v1/priorities", &["1 - Critical", "The network is down.", "2 - High", "3 - Medium", "4 - Low"]),
    ] {
        let told = read(path).await;
        for part in parts {
            assert!(told.contains(part), "{path}: {part}: {told}");
        }
    }
    assert_eq!(desk.ask(&viewer, "GET", "/v1/case-types/nope", None).await.status, 404);

    local(&desk.site, "POST", "/v1/cases", json!({"details": "One", "priority": "4 - Low"})).await;
    let own = |body: Value| {
        let mut body = body;
        body["details"] = json!("x");
        body
    };
    for (method, path) in [("POST", "/v1/cases"), ("PATCH", "/v1/cases/1")] {
        for (body, told) in [
            (own(json!({"caseTypeName": "nope"})), "there is no case type nope"),
            (
                own(json!({"caseTypeName": "hardware", "priority": "4 - Low"})),
                "cases of type hardware do not have the priority 4 - Low",
            ),
        ] {
            let refused = desk.ask(&maker, method, path, Some(body)).await;
            assert_eq!((refused.status, &refused.body["detail"]), (422, &json!(told)), "{method}");
        }
    }
    let listed = async |query: &str| {
        let answer = desk.ask(&lists, "GET", &format!("/v1/cases?{query}"), None).await;
        (answer.status, answer.body["detail"].as_str().unwrap_or_default().to_owned())
    };
    let unknown = (400, "there is no case type nope".to_owned());
    assert_eq!(listed("type=nope").await, unknown);
    for query in ["type=hardware", "type=hardware&priority=4%20-%20Low"] {
        let (status, detail) = listed(query).await;
        assert_eq!((status, detail.replace("hardware", "nope")), unknown, "no name can be guessed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn activities_name_neither_another_case_nor_a_document_to_whom_may_not_view_it() {
    let (desk, [reader, all]) = Desk::with_tokens([
        &["--owner", "rita", "--scope", "CASE_VIEW", "--scope", "CASE_ACTIVITY_VIEW", "--group", "tenant-a"],
        &["--owner", "alba", "--scope", "CASE_ALL"],
    ])
    .await;
    for (group, details) in [("tenant-a", "A's"), ("tenant-b", "B's")] {
        local(&desk.site, "POST", "/v1/cases", json!({"details": details, "deviceGroup": group})).await;
    }
    assert_eq!(local(&desk.site, "PUT", "/v1/cases/1/relation", json!({"case": "2"})).await.status, 200);
    let put = desk.site.request("PUT", "/v1/cases/1/documents/merger-plan.txt").body("x");
    assert_eq!(hear(put).await.status, 200);
    let told = async |token: &str| desk.ask(token, "GET", "/v1/cases/1/activities", None).await.body.to_string();
    let (of_reader, of_all) = (told(&reader).await, told(&all).await);
    assert!(of_all.contains("merger-plan.txt"), "{of_all}");
    for hidden in ["merger-plan", "CMpartner-2"] {
        assert!(!of_reader.contains(hidden), "{hidden}: {of_reader}");
    }
    for shown in ["related to another case", "a document"] {
        assert!(of_reader.contains(shown), "{shown}: {of_reader}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn m_04_claim_and_unclaim_keep_what_is_said_and_take_nothing_else() {
    let desk = Desk::start().await;
    let site = &desk.site;
    local(site, "POST", "/v1/cases", json!({"details": "One"})).await;
    let said = |text: &str| json!({"comment": text, "operator": "anna"});
    for (action, text) in [("claim", "I drive there"), ("claim", "Tonight"), ("unclaim", "I gave up")] {
        for wrong in [json!({"resolution": "zz", "operator": "anna"}), json!({"completionCode": "fulfilled"})] {
            let refused = local(site, "POST", &format!("/v1/cases/1/{action}"), wrong).await;
            assert_eq!(refused.status, 422, "{action}: {refused:?}");
        }
        let done = local(site, "POST", &format!("/v1/cases/1/{action}"), said(text)).await;
        assert_eq!(done.status, 200, "{done:?}");
        let shown = hear(site.request("GET", "/v1/cases/1")).await.body;
        let last = shown["comments"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((&last["text"], &last["author"]), (&json!(text), &json!("anna")), "{shown}");
        let assigned = if action == "claim" { json!(["anna"]) } else { json!([]) };
        assert_eq!(shown["assignedToUsers"], assigned, "{action}");
    }
    assert_eq!(local(site, "POST", "/v1/cases/1/unclaim", said("Once more")).await.status, 409);
    assert_eq!(site.count("SELECT count(*) FROM comment").await, 3, "what is refused says nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn m_11_documents_are_put_travel_are_viewed_and_removed() {
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.partner.start().await;
    pair.end_user.start().await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    north.insert(0, 1).await;
    north.step(1, "partner", "open").await;
    let content = crate::support::attachment::noise(7, 3 << 20);
    let path = "/v1/cases/1/documents/photo%20of%20it.jpg";
    let put = |body: Vec<u8>| partner.request("PUT", path).header("content-type", "image/jpeg").body(body);
    let answer = hear(put(content.clone())).await;
    assert_eq!((answer.status, &answer.body["code"]), (200, &json!("CASE0510")), "{answer:?}");
    let listed = hear(partner.request("GET", "/v1/cases/1/documents")).await.body;
    let one = &listed["documents"][0];
    assert_eq!((&one["name"], &one["bytes"]), (&json!("photo of it.jpg"), &json!(3 << 20)), "{listed}");
    let fetched = partner.request("GET", one["link"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(fetched.headers()["content-type"], "application/octet-stream");
    assert!(fetched.bytes().await.unwrap() == content);
    north.has_file(1, "photo of it.jpg", &content).await;
    let theirs = hear(north.request("PUT", path).body("mine")).await;
    assert_eq!(theirs.status, 409, "a peer's file is not overwritten: {theirs:?}");
    let removed = hear(partner.request("DELETE", path)).await;
    assert_eq!((removed.status, &removed.body["code"]), (200, &json!("CASE0500")), "{removed:?}");
    for method in ["GET", "DELETE"] {
        assert_eq!(hear(partner.request(method, path)).await.status, 404);
    }
    assert_eq!(partner.told(1, "document_removed").await, ["photo of it.jpg"]);
    let too_large = hear(put(vec![0; (64 << 20) + 1])).await;
    assert_eq!(too_large.status, 413, "{too_large:?}");
    for (method, path) in [("PUT", path), ("POST", "/v1/deposits?operator=anna")] {
        let packed = hear(partner.request(method, path).header("content-encoding", "gzip").body("x")).await;
        assert_eq!(packed.status, 415, "what is inside would be kept as it came: {packed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn m_11_whoever_may_only_put_documents_learns_of_none_where_it_came_from() {
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    let made = pair.partner.command(&["token", "new", "--json", "--owner", "uli", "--scope", "CASE_DOC_UPLOAD"]).json();
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "open").await;
    let put = |site: &Site| site.request("PUT", "/v1/cases/1/documents/photo.jpg").body("fan tray").send();
    assert_eq!(put(&pair.end_user).await.unwrap().status(), 200);
    eventually("the photo", || async {
        let shown = pair.partner.get("/v1/cases/1").await.body;
        (shown["documents"][0]["state"] == "stored").then_some(())
    })
    .await;
    let known = hear(pair.partner.request("PUT", "/v1/cases/1/documents/photo.jpg").body("x")).await;
    assert!(known.status == 409 && known.body["detail"].as_str().unwrap().contains("came from north"), "{known:?}");
    let address = format!("http://127.0.0.1:{}/v1/cases/1/documents/photo.jpg", pair.wire.target_port());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let refused = hear(client.put(address).bearer_auth(made["token"].as_str().unwrap()).body("x")).await;
    let detail = refused.body["detail"].as_str().unwrap();
    assert_eq!((refused.status, detail), (409, "photo.jpg is not yours to replace; give yours another name"));
}

#[tokio::test(flavor = "multi_thread")]
async fn m_12_the_initiators_comments_are_told_apart_at_both_sites() {
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.partner.start().await;
    pair.end_user.start().await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    north.insert(0, 1).await;
    north.step(1, "partner", "open").await;
    let theirs = hear(partner.request("GET", "/v1/cases/1")).await.body;
    assert_eq!((&theirs["initiatorId"], &theirs["initiatorType"]), (&json!("north"), &json!("CUSTOMER")));
    for (path, text, code) in [("comments", "On it", "CASE0609"), ("initiator-comments", "It still beeps", "CASE0623")]
    {
        let body = json!({"text": text, "operator": "ann"});
        let answer = local(north, "POST", &format!("/v1/cases/1/{path}"), body).await;
        assert_eq!((answer.status, &answer.body["code"]), (200, &json!(code)), "{answer:?}");
    }
    let internal = json!({"text": "x", "internal": true});
    assert_eq!(local(north, "POST", "/v1/cases/1/initiator-comments", internal).await.status, 422);
    eventually("both comments at the partner", || async {
        let comments = hear(partner.request("GET", "/v1/cases/1/comments")).await.body;
        let told: Vec<(String, bool)> = comments["comments"]
            .as_array()?
            .iter()
            .map(|one| (one["text"].as_str().unwrap_or_default().to_owned(), one["initiator"] == true))
            .collect();
        (told == [("On it".to_owned(), false), ("It still beeps".to_owned(), true)]).then_some(())
    })
    .await;
}

/// The answer and what follows from it are one write: whoever dies behind it has both.
#[tokio::test(flavor = "multi_thread")]
async fn m_12_a_case_goes_on_with_its_initiators_answer_wherever_the_daemon_dies() {
    let mut site = Site::new("partner", &partner_config(free_port(), ROLES));
    site.start().await;
    assert_eq!(local(&site, "POST", "/v1/cases", json!({"details": "Fan"})).await.status, 200);
    assert_eq!(local(&site, "POST", "/v1/cases/1/request-input", json!({})).await.status, 200);
    site.stop().await;
    site.crash_at("StoreWritten");
    site.start().await;
    let answer = json!({"text": "Slot 2", "operator": "olga"});
    let lost = site.request("POST", "/v1/cases/1/initiator-comments").json(&answer).send().await;
    assert!(lost.is_err(), "it died before it answered");
    site.exited().await;
    site.start().await;
    let shown = hear(site.request("GET", "/v1/cases/1")).await.body;
    assert_eq!((&shown["comments"][0]["text"], &shown["state"]), (&json!("Slot 2"), &json!("in_process")), "{shown}");
    let told =
        "SELECT count(*) FROM history WHERE action = 'state_changed' AND detail = 'input_requested -> in_process'";
    assert_eq!(site.count(told).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_16_readers_only_read_and_work_is_given_to_those_who_may_work() {
    let (desk, [admin, worker, reader]) = Desk::with_tokens([
        &["--owner", "anna", "--role", "admin"],
        &["--owner", "bert", "--role", "unrestricted"],
        &["--owner", "rita", "--role", "reader"],
    ])
    .await;
    let made = desk.ask(&worker, "POST", "/v1/cases", Some(json!({"details": "One"}))).await;
    assert_eq!(made.status, 200, "{made:?}");
    let before = desk.ask(&reader, "GET", "/v1/cases/1", None).await;
    assert_eq!((before.status, &before.body["initiatorId"]), (200, &json!("bert")));
    for (method, path, body) in [
        ("POST", "/v1/cases", json!({"details": "Two"})),
        ("POST", "/v1/cases", json!({"details": "Two", "submit": true})),
        ("PATCH", "/v1/cases/1", json!({"details": "Two"})),
        ("PUT", "/v1/cases/1/owner", json!({"user": "bert"})),
        ("POST", "/v1/cases/1/claim", json!({})),
        ("DELETE", "/v1/cases/1", json!({})),
    ] {
        let refused = desk.ask(&reader, method, path, Some(body)).await;
        assert_eq!(refused.status, 403, "{method} {path}: {refused:?}");
    }
    // To hand a case to another company is nothing for a worker either, and the commands of this machine are for no token.
    let submit = json!({"details": "Two", "submit": true});
    assert_eq!(desk.ask(&worker, "POST", "/v1/cases", Some(submit)).await.status, 403);
    for token in [&reader, &worker, &admin] {
        let refused = desk.ask(token, "POST", "/v1/incidents/1/submit", Some(json!({}))).await;
        assert!([403, 404].contains(&refused.status), "{refused:?}");
    }
    let asked = "SELECT count(*) FROM incident WHERE submission = 'requested' OR id > 1";
    assert_eq!(desk.site.count(asked).await, 0, "nothing is on its way");
    for (path, body) in [
        ("owner", json!({"user": "rita"})),
        ("flags", json!({"users": ["bert", "rita"]})),
        ("assignment", json!({"users": ["rita"]})),
    ] {
        let refused = desk.ask(&admin, "PUT", &format!("/v1/cases/1/{path}"), Some(body)).await;
        assert_eq!(refused.status, 422, "{path}: {refused:?}");
        assert!(
            refused.body["detail"]
                .as_str()
                .unwrap()
                .contains("no case can be given to rita, who lacks CASE_EDIT or CASE_PROCESS"),
            "{refused:?}"
        );
    }
    assert_eq!(desk.ask(&worker, "DELETE", "/v1/cases/1", None).await.status, 403, "unrestricted, but for deleting");
    assert_eq!(desk.ask(&reader, "GET", "/v1/cases/1", None).await, before, "nothing changed");
    assert_eq!(desk.ask(&worker, "PUT", "/v1/cases/1/owner", Some(json!({"user": "bert"}))).await.status, 200);
    assert_eq!(desk.ask(&admin, "DELETE", "/v1/cases/1", None).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_41_who_is_tied_to_groups_neither_sees_nor_moves_what_is_of_others() {
    let operator = ["--owner", "ada", "--role", "admin", "--group", "tenant-a"];
    let (desk, [a]) = Desk::with_tokens([&operator]).await;
    for (group, details) in [("tenant-a", "A's"), ("tenant-b", "B's")] {
        let made = local(&desk.site, "POST", "/v1/cases", json!({"details": details, "deviceGroup": group})).await;
        assert_eq!(made.status, 200, "{made:?}");
    }
    let listed = desk.ask(&a, "GET", "/v1/cases?inactive=true", None).await.body;
    let seen: Vec<&Value> = listed["cases"].as_array().unwrap().iter().map(|case| &case["details"]).collect();
    assert_eq!(seen, [&json!("A's")]);
    let of_a_tenant = async |name: &str| {
        let answer = desk.ask(&a, "GET", &format!("/v1/cases?group={name}"), None).await;
        (answer.status, answer.body["detail"].to_string().replace(name, "NAME"))
    };
    assert_eq!(of_a_tenant("tenant-a").await.0, 200);
    assert_eq!(of_a_tenant("tenant-b").await.0, 400);
    assert_eq!(of_a_tenant("tenant-b").await, of_a_tenant("nobodys").await, "as if there were none");
    let foreign = hear(desk.site.request("GET", "/v1/cases/2")).await.body;
    let guid = foreign["id"].as_str().unwrap();
    for (method, rest, body) in [
        ("GET", "", None),
        ("GET", "/comments", None),
        ("GET", "/documents/x", None),
        ("GET", "/activities", None),
        ("PATCH", "", Some(json!({"details": "Mine"}))),
        ("POST", "/complete", Some(json!({}))),
        ("POST", "/claim", Some(json!({}))),
        ("POST", "/tags", Some(json!({"tag": "mine"}))),
        ("DELETE", "", None),
    ] {
        let nothing = desk.ask(&a, method, &format!("/v1/cases/4711{rest}"), body.clone()).await;
        assert_eq!(nothing.status, 404, "{method} {rest}: {nothing:?}");
        for name in ["2", "CMpartner-2", guid] {
            let unseen = desk.ask(&a, method, &format!("/v1/cases/{name}{rest}"), body.clone()).await;
            assert_eq!(unseen, nothing, "{method} {name}{rest}");
        }
    }
    let relate = desk.ask(&a, "PUT", "/v1/cases/1/relation", Some(json!({"case": "2"}))).await;
    assert_eq!(relate.status, 404, "{relate:?}");
    assert_eq!(hear(desk.site.request("GET", "/v1/cases/2")).await.body, foreign, "nothing changed");
    let made = desk.ask(&a, "POST", "/v1/cases", Some(json!({"details": "Another"}))).await;
    assert_eq!(made.status, 200, "{made:?}");
    let other = json!({"details": "For b", "deviceGroup": "tenant-b"});
    assert_eq!(desk.ask(&a, "POST", "/v1/cases", Some(other)).await.status, 422);
    assert_eq!(desk.ask(&a, "GET", "/v1/cases/3", None).await.body["deviceGroup"], "tenant-a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_52_owner_and_flag_send_nothing_and_what_was_looked_at_is_read() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    let north = &pair.end_user;
    north.insert(0, 1).await;
    north.step(1, "partner", "open").await;
    eventually("an empty outbox", || async { (north.get("/v1/outbox").await.body["total"] == 0).then_some(()) }).await;
    let news = north.count("SELECT change_seq FROM incident WHERE id = 1").await;
    north.command(&["case", "owner", "1", "olga", "--status", "In Progress"]).ok();
    north.command(&["case", "flag", "1", "anna", "dora"]).ok();
    north.command(&["case", "tag", "1", "fan"]).ok();
    let unread = || async {
        let shown = hear(north.request("GET", "/v1/cases/1")).await.body;
        let flags = shown["flags"].as_array().unwrap().clone();
        flags.iter().filter(|flag| flag["unread"] == true).map(|flag| flag["user"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(unread().await, ["\"anna\"", "\"dora\""]);
    let shown = north.command(&["case", "show", "1"]).ok();
    assert!(shown.contains("olga, In Progress") && shown.contains("dora (unread)"), "{shown}");
    assert_eq!(unread().await, ["\"dora\""], "anna has looked at it");
    let flagged = north.command(&["case", "list", "--flagged", "dora", "--json"]).json();
    assert_eq!(flagged["cases"].as_array().unwrap().len(), 1);
    north.command(&["case", "flag", "1", "--clear"]).ok();
    assert_eq!(unread().await, Vec::<String>::new());
    assert_eq!(north.count("SELECT change_seq FROM incident WHERE id = 1").await, news, "nothing for the exchange");
    assert_eq!(north.get("/v1/outbox").await.body["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_52_whoever_may_be_flagged_may_say_that_it_has_looked_and_puts_the_case_before_nobody() {
    let (desk, [worker, reader]) = Desk::with_tokens([
        &["--owner", "wim", "--scope", "CASE_VIEW", "--scope", "CASE_PROCESS"],
        &["--owner", "rita", "--scope", "CASE_VIEW"],
    ])
    .await;
    assert_eq!(local(&desk.site, "POST", "/v1/cases", json!({"details": "One"})).await.status, 200);
    assert_eq!(local(&desk.site, "PUT", "/v1/cases/1/flags", json!({"users": ["wim"]})).await.status, 200);
    let unread = async || hear(desk.site.request("GET", "/v1/cases/1")).await.body["flags"][0]["unread"].clone();
    let (read, clear) = (json!({"read": true}), json!({"users": [], "read": true}));
    for (token, body) in [(&reader, &read), (&worker, &clear)] {
        let refused = desk.ask(token, "PUT", "/v1/cases/1/flags", Some(body.clone())).await;
        assert_eq!(refused.status, 403, "{refused:?}");
        assert_eq!(unread().await, true, "nothing changed");
    }
    assert_eq!(desk.ask(&worker, "PUT", "/v1/cases/1/flags", Some(read)).await.status, 200);
    assert_eq!(unread().await, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_53_a_deleted_case_is_hidden_and_what_comes_late_does_not_bring_it_back() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, ..Plan::default() }).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    let deposit = |name: &str| {
        let part = north.path(&format!("inbox/{name}.part"));
        std::fs::copy("tests/data/bundles/event.xml", &part).unwrap();
        std::fs::rename(part, north.path(&format!("inbox/{name}"))).unwrap();
    };
    deposit("event.xml");
    north.step(1, "partner", "awaiting_case").await;
    north.command(&["case", "delete", "CMnorth-1"]).ok();
    let listed = |arguments: &[&str]| {
        let page = north.command(&[&["case", "list", "--json"], arguments].concat()).json();
        page["cases"].as_array().unwrap().len()
    };
    assert_eq!((listed(&[]), listed(&["--inactive"])), (0, 1));
    partner.act("/v1/incidents/1/accept", json!({"operator": "bert"})).await;
    north.step(1, "partner", "open").await;
    assert_eq!(north.get("/v1/incidents/1").await.body["case_id"], "CASE-1");
    assert_eq!((listed(&[]), listed(&["--inactive"])), (0, 1));
    deposit("again.xml");
    let taken = || async {
        std::fs::read_dir(north.path("inbox/done")).ok()?.flatten().find(|one| one.file_name() == "again.xml")
    };
    eventually("the bundle to be taken once more", taken).await;
    assert_eq!((listed(&[]), listed(&["--inactive"])), (0, 1), "it is the same case, and stays deleted");
    north.command(&["case", "edit", "1", "--active"]).ok();
    assert_eq!(listed(&[]), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_work_a_case_from_its_beginning_to_its_end() {
    let desk = Desk::start().await;
    let site = &desk.site;
    let told = site.command(&["case", "create", "--details", "Fan tray 2 is loud", "--tag", "fan"]).ok();
    assert!(told.contains("case CMpartner-1 is created, as incident 1"), "{told}");
    for (arguments, said) in [
        (&["case", "claim", "1"][..], "case CMpartner-1 is claimed; it is Opened"),
        (&["case", "process", "1", "--comment", "On it"], "it is In Process"),
        (&["case", "edit", "1", "--completed", "40"], "is changed"),
        (&["case", "comment", "1", "It still beeps", "--initiator"], "is commented on"),
        (&["case", "assign", "1", "--user", "bert", "--group", "night shift"], "is assigned"),
        (&["case", "watch", "1"], "is watched"),
        (&["case", "milestone", "1", "Technician on site"], "come there"),
        (&["case", "resolve", "1", "--resolution", "Screwed it down"], "it is Resolved"),
        (&["case", "complete", "1"], "it is Completed"),
    ] {
        let told = site.command(arguments).ok();
        assert!(told.contains(said), "{arguments:?}: {told}");
    }
    site.command(&["case", "unclaim", "1"]).refused(6, &["does not follow on the state Completed"]);
    site.command(&["case", "show", "99"]).refused(6, &["no such case"]);
    let told = site.command(&["case", "tag", "1", "loud", "--json"]).json();
    let (code, message) = (told["code"].as_str().unwrap(), told["message"].as_str().unwrap());
    assert!(code.starts_with("CASE06") && !message.is_empty() && told["displayId"] == "CMpartner-1", "{told}");
    assert!(site.command(&["case", "tag", "1", "fan"]).ok().trim_end().ends_with(&format!("({code})")));
    let refused = ["\"code\": \"CASE06", "\"type\": \"urn:casebridge:problem:action\"", "\"exit\": 6", "\"title\""];
    site.command(&["case", "hold", "1", "--json"]).refused(6, &refused);
    site.command(&["case", "edit", "1", "--details", "x", "--revision", "1"]).refused(6, &["revision"]);
    let shown = site.command(&["case", "show", "1"]).ok();
    let parts = ["Fan tray 2 is loud", "Completed", "bert", "night shift", "40 %", "Screwed it down", "(initiator)"];
    for part in parts.into_iter().chain(["entered by           anna", "Z Technician on site\n", "Z In Process\n"]) {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let usage = ["\"exit\": 2", "\"type\": \"about:blank\"", "invalid value 'nope' for '--state"];
    site.command(&["case", "list", "--state", "nope", "--json"]).refused(2, &usage);
    let listed = site.command(&["case", "list", "--state", "completed", "--text", "fan"]).ok();
    assert!(listed.contains("CMpartner-1") && listed.contains("@night shift"), "{listed}");
    let activities = site.command(&["case", "activities", "1"]).ok();
    assert!(activities.contains("claimed") && activities.contains("operator anna"), "{activities}");
    assert_eq!(site.command(&["reaction", "retry", "--all", "--json"]).json()["rearmed"], 0);
    site.command(&["reaction", "delete", "99", "--json"]).refused(6, &["\"exit\": 6", "\"title\""]);
    assert!(site.command(&["history", "verify", "--json"]).json()["entries"].as_u64() > Some(0));
    let file = site.path("note.txt");
    std::fs::write(&file, "It beeps.").unwrap();
    site.command(&["case", "upload", "1", file.to_str().unwrap()]).ok();
    let copy = site.path("copy.txt");
    site.command(&["case", "documents", "1", "--get", "note.txt", "--to", copy.to_str().unwrap()]).ok();
    assert_eq!(std::fs::read_to_string(copy).unwrap(), "It beeps.");
}
