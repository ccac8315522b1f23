//! The OpenAPI document is held to the daemon that serves it, and the daemon to the document.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::caller::{Caller, create, exchange, hear, operation, update};
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL, partner_config};
use crate::support::relay::{Relayed, Said, Twist, operates};
use crate::support::schema::Document;
use crate::support::wire::free_port;
use crate::support::{Site, eventually};

/// A running partner, and its document as a client gets it.
struct Served {
    site: Site,
    caller: Caller,
    document: Document,
    /// The pairs of operation and status that were seen.
    seen: BTreeSet<(String, String, u16)>,
    faults: Vec<String>,
}

impl Served {
    async fn start(more: &str) -> Self {
        let port = free_port();
        let mut site = Site::new("partner", &partner_config(port, more));
        site.start().await;
        let caller = Caller::north(port);
        let reply = hear(caller.stranger("GET", "/openapi.json")).await;
        assert_eq!((reply.status, reply.headers["content-type"].to_str().unwrap()), (200, "application/json"));
        Self { site, caller, document: Document(reply.body), seen: BTreeSet::new(), faults: Vec::new() }
    }

    fn is_local(&self, method: &str, path: &str) -> bool {
        // Operators may come either way.
        let tags = &self.document.operation(method, path)["tags"];
        *tags == json!(["local"]) || *tags == json!(["cases"])
    }

    /// Calls a documented operation and holds the answer to the document. `filled` is the path with its values.
    async fn ask(&mut self, method: &str, path: &str, filled: &str, body: Option<&str>) -> (u16, Value) {
        let mut request = match self.is_local(method, path) {
            true => self.site.request(method, filled),
            false => self.caller.request(method, filled),
        };
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let reply = hear(request).await;
        let kind = reply.headers.get("content-type").map(|value| value.to_str().unwrap()).unwrap_or_default();
        let value = if kind.contains("json") { reply.body } else { Value::String(reply.text) };
        self.faults.extend(self.document.faults_of_answer(method, path, reply.status, kind, &value));
        self.seen.insert((method.to_owned(), path.to_owned(), reply.status));
        (reply.status, value)
    }

    /// The same, for an answer that has to succeed.
    async fn right(&mut self, method: &str, path: &str, filled: &str, body: Option<Value>) -> Value {
        let body = body.map(|body| body.to_string());
        let (status, value) = self.ask(method, path, filled, body.as_deref()).await;
        assert_eq!(status, 200, "{method} {filled}: {value}");
        value
    }

    async fn wrong(&mut self, method: &str, path: &str, filled: &str, body: Option<&str>) {
        let (status, value) = self.ask(method, path, filled, body).await;
        assert!(status >= 400, "{method} {filled}: {value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_whole_and_the_same_at_both_doors() {
    let served = Served::start("").await;
    let document = &served.document.0;
    assert_eq!(served.site.get("/openapi.json").await.body, *document);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    for (method, path) in served.document.operations() {
        let operation = served.document.operation(&method, &path);
        assert!(operation["summary"].is_string(), "{method} {path} says what it does");
        let responses = operation["responses"].as_object().unwrap();
        for (status, response) in responses {
            let told = response["description"].as_str().unwrap_or_default();
            assert!(!told.is_empty(), "{method} {path}: {status} says what it means");
            if status == "default" || status.as_str() >= "400" {
                assert_eq!(
                    response["content"]["application/problem+json"]["schema"]["$ref"], "#/components/schemas/Problem",
                    "{method} {path}: {status}"
                );
            }
        }
        let succeeds = ["200", "206"].iter().any(|status| responses.contains_key(*status));
        assert!(succeeds && responses.contains_key("default"), "{method} {path}");
        // Each value in the path is a parameter.
        for name in path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
            let parameters = operation["parameters"].as_array().unwrap();
            assert!(parameters.iter().any(|one| one["name"] == name && one["in"] == "path"), "{method} {path}: {name}");
        }
        let secured = operation["security"] == json!([{"client": []}, {"token": []}]);
        assert_eq!(secured, operation["tags"] == json!(["protocol"]), "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_operation_is_there_and_every_address_of_the_protocol_is_documented() {
    let served = Served::start("").await;
    served.caller.create(1).await;
    for (method, path) in served.document.operations() {
        let filled = path.replace("{id}", "1").replace("{sha256}", "1").replace(['{', '}'], "");
        let request = match served.is_local(&method, &path) {
            true => served.site.request(&method, &filled),
            false => served.caller.request(&method, &filled),
        };
        let reply = hear(request).await;
        // A part of a case may be missing; the address is not.
        let part = path.starts_with("/v1/case") && !reply.text.contains("see /openapi.json");
        assert!(reply.status != 405 && (reply.status != 404 || part), "{method} {path}: {reply:?}");
    }
    let documented: BTreeSet<String> = served.document.operations().into_iter().map(|(_, path)| path).collect();
    for path in [
        "/v1/site",
        "/v1/operations",
        "/v1/transactions",
        "/v1/transactions/{id}",
        "/v1/updates",
        "/v1/exchanges",
        "/v1/attachments/{sha256}",
        "/v1/status",
        "/v1/metrics",
        "/v1/incidents",
        "/v1/incidents/{id}",
        "/v1/outbox",
        "/v1/parked",
        "/v1/retry",
        "/v1/deposits",
        "/v1/cases",
        "/v1/cases/{id}",
        "/v1/cases/{id}/hold",
        "/healthz",
        "/readyz",
    ] {
        assert!(documented.contains(path), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_answers_are_as_the_document_says() {
    let mut served = Served::start("").await;
    for (path, filled) in [("/healthz", "/healthz"), ("/readyz", "/readyz"), ("/v1/site", "/v1/site")] {
        served.right("GET", path, filled, None).await;
    }
    let cursor = served.right("GET", "/v1/exchanges", "/v1/exchanges", None).await["cursor"].clone();
    let cursor = cursor.as_str().unwrap().to_owned();

    // Every outcome in one batch, apart from "received", which has a story of its own.
    let batch = json!({"operations": [create(1), create(2), create(3), update(1, 2, "reseated"), update(1, 9, "x"),
        update(99, 2, "x"), operation(2, 2, "delete", json!({})), update(2, 2, "\u{1b}")]});
    let answer = served.right("POST", "/v1/operations", "/v1/operations", Some(batch)).await;
    let outcomes: Vec<_> = answer["results"].as_array().unwrap().iter().map(|one| one["outcome"].clone()).collect();
    let told = ["applied", "applied", "applied", "applied", "out_of_order", "refused", "refused", "refused"];
    assert_eq!(outcomes, told);

    // Cases in every step. What is decided in one breath travels as one operation, so each decision waits for the last.
    let work = |status: &str| json!({"status": status, "operator": "bert", "comment": "On it"});
    let by = json!({"operator": "bert"});
    for (id, verb, body, kind) in [
        (1, "accept", by.clone(), "accept"),
        (2, "accept", by.clone(), "accept"),
        (1, "update", work("In Progress"), "update"),
        (1, "override", json!({"status": "Taken", "operator": "bert"}), "update"),
        (1, "resolve", work("Resolved"), "resolve"),
        (2, "close", work("Closed"), "close"),
        (3, "reject", by, "reject"),
    ] {
        let path = format!("/v1/incidents/{{id}}/{verb}");
        served.right("POST", &path, &format!("/v1/incidents/{id}/{verb}"), Some(body)).await;
        eventually("the operation to be queued", || async {
            let outbox = served.site.get("/v1/outbox").await.body;
            let mut operations = outbox["operations"].as_array()?.iter();
            operations.any(|one| one["operation"] == kind && one["incident"] == id).then_some(())
        })
        .await;
    }
    let feed = served.right("GET", "/v1/updates", &format!("/v1/updates?after={cursor}&limit=100"), None).await;
    assert!(feed["operations"].as_array().unwrap().len() >= 5, "{feed}");
    served.right("GET", "/v1/exchanges", "/v1/exchanges?limit=2", None).await;
    let some = format!("/v1/exchanges?exchange={},{}", exchange(1), exchange(99));
    served.right("GET", "/v1/exchanges", &some, None).await;
    served.right("GET", "/v1/digests", "/v1/digests", None).await;
    let many = format!("/v1/transactions?exchange={},{},{}", exchange(1), exchange(2), exchange(99));
    served.right("GET", "/v1/transactions", &many, None).await;
    for id in 1..=3 {
        served.right("GET", "/v1/transactions/{id}", &format!("/v1/transactions/{id}"), None).await;
        served.right("GET", "/v1/incidents/{id}", &format!("/v1/incidents/{id}"), None).await;
        served.right("GET", "/v1/incidents/{id}/why", &format!("/v1/incidents/{id}/why"), None).await;
    }
    for path in ["/v1/status", "/v1/metrics", "/v1/incidents", "/v1/outbox", "/v1/parked"] {
        served.right("GET", path, path, None).await;
    }
    served.right("GET", "/v1/incidents", "/v1/incidents?limit=1&sort=-priority&client=north", None).await;
    served.right("POST", "/v1/retry", "/v1/retry", Some(json!({"operator": "bert"}))).await;
    let by_hand = json!({"synopsis": "Replace the fan tray", "due": "2026-11-25T12:00:00Z", "operator": "bert"});
    served.right("POST", "/v1/incidents", "/v1/incidents", Some(by_hand)).await;
    let resync = Some(json!({"operator": "bert"}));
    served.right("POST", "/v1/incidents/{id}/resync", "/v1/incidents/1/resync", resync).await;
    let deposited = std::fs::read_to_string("tests/data/bundles/event.xml").unwrap();
    let (status, deposited) = served.ask("POST", "/v1/deposits", "/v1/deposits", Some(&deposited)).await;
    assert_eq!(status, 200, "{deposited}");
    let filled = format!("/v1/incidents/{}", deposited["incident"]);
    served.right("GET", "/v1/incidents/{id}", &filled, None).await;
    assert_eq!(served.faults, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn real_problems_are_as_the_document_says() {
    let mut served = Served::start("").await;
    served.caller.create(1).await;
    for (path, filled) in [
        ("/v1/transactions", "/v1/transactions?exchange=x"),
        ("/v1/transactions/{id}", "/v1/transactions/77"),
        ("/v1/updates", "/v1/updates?after=x"),
        ("/v1/updates", "/v1/updates?wait=x"),
        ("/v1/exchanges", "/v1/exchanges?after=x"),
        ("/v1/exchanges", "/v1/exchanges?exchange=x"),
        ("/v1/digests", "/v1/digests?through=x"),
        ("/v1/incidents/{id}/why", "/v1/incidents/77/why"),
        ("/v1/incidents", "/v1/incidents?sort=colour"),
        ("/v1/incidents", "/v1/incidents?colour=red"),
        ("/v1/incidents/{id}", "/v1/incidents/77"),
        ("/v1/incidents/{id}", "/v1/incidents/x"),
        ("/v1/outbox", "/v1/outbox?limit=x"),
        ("/v1/parked", "/v1/parked?limit=x"),
    ] {
        served.wrong("GET", path, filled, None).await;
    }
    let empty = Some(r#"{"operations": []}"#);
    for body in [None, Some("{"), empty] {
        served.wrong("POST", "/v1/operations", "/v1/operations", body).await;
    }
    for verb in
        ["submit", "escalate", "draft", "link", "resync", "accept", "override", "update", "resolve", "close", "reject"]
    {
        let path = format!("/v1/incidents/{{id}}/{verb}");
        for (id, body) in [
            ("1", None),
            ("1", Some("{")),
            ("1", Some(r#"{"colour": "red"}"#)),
            ("77", Some(r#"{"operator": "bert"}"#)),
            ("x", Some(r#"{"operator": "bert"}"#)),
        ] {
            served.wrong("POST", &path, &path.replace("{id}", id), body).await;
        }
    }
    served.wrong("POST", "/v1/reconcile", "/v1/reconcile", Some(r#"{"operator": "bert"}"#)).await;
    served.wrong("POST", "/v1/incidents", "/v1/incidents", Some("{}")).await;
    served.wrong("POST", "/v1/retry", "/v1/retry", Some(r#"{"incident": 1}"#)).await;
    served.wrong("POST", "/v1/deposits", "/v1/deposits", Some("<nothing/>")).await;
    assert_eq!(served.faults, Vec::<String>::new());
    let told: BTreeSet<u16> = served.seen.iter().map(|(_, _, status)| *status).collect();
    assert!(told.is_superset(&BTreeSet::from([400, 404, 409, 410, 415, 422])), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_end_user_sends_and_shows_is_as_the_document_says() {
    let pair = Relayed::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    let document = Document(pair.end_user.get("/openapi.json").await.body);
    std::fs::copy("tests/data/bundles/event.xml", pair.end_user.path("inbox/event.xml")).unwrap();
    pair.end_user.insert(0, 3).await;
    pair.open(4).await;
    let refused = Said::problem(409, "illegal", "not now");
    pair.relay.twist(move |call| if operates(call) { Twist::Say(refused.clone()) } else { Twist::Pass });
    let store = pair.end_user.store().await;
    sqlx::query("INSERT INTO comment (incident, author, text) VALUES (1, 'anna', 'still down')")
        .execute(&store)
        .await
        .unwrap();
    store.close().await;
    eventually("a parked operation", || async {
        // The announcement of the bundle's files may be refused as well.
        (pair.end_user.get("/v1/parked").await.body["total"].as_u64() >= Some(1)).then_some(())
    })
    .await;
    let schema = &document.operation("POST", "/v1/operations")["requestBody"]["content"]["application/json"]["schema"];
    let mut kinds = BTreeSet::new();
    for call in pair.relay.calls().iter().filter(|call| operates(call)) {
        assert_eq!(document.faults(schema, &call.body), Vec::<String>::new());
        kinds
            .extend(call.body["operations"].as_array().unwrap().iter().map(|one| one["operation"]["kind"].to_string()));
    }
    assert!(kinds.contains("\"create\"") && kinds.contains("\"update\""), "{kinds:?}");
    for (path, filled) in [
        ("/v1/status", "/v1/status"),
        ("/v1/incidents", "/v1/incidents"),
        ("/v1/incidents/{id}", "/v1/incidents/1"),
        ("/v1/outbox", "/v1/outbox"),
        ("/v1/parked", "/v1/parked"),
    ] {
        let answer = pair.end_user.get(filled).await;
        let faults = document.faults_of_answer("GET", path, answer.status, "application/json", &answer.body);
        assert_eq!(faults, Vec::<String>::new());
    }
}
