//! A client that speaks the wire protocol by hand, and what it must hear when it speaks it badly.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::Site;
use super::site::write_secret;

/// A second client's section for a partner's configuration; its secret is written by [`second_client`].
pub const SECOND_CLIENT: &str = "[[client]]\nalias = \"south\"\nuser = \"south\"\npassword_file = \"password-south\"\n";
const NORTH: &str = "correct horse battery";
const SOUTH: &str = "staple correct horse";

/// One client of a partner, without a daemon behind it.
#[derive(Clone)]
pub struct Caller {
    http: reqwest::Client,
    address: String,
    user: String,
    password: String,
}

/// An answer of the partner's, whole.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Caller {
    /// The client that every partner of the stories knows.
    pub fn north(port: u16) -> Self {
        Self::new(port, "north", NORTH)
    }

    /// The client of [`SECOND_CLIENT`].
    pub fn south(port: u16) -> Self {
        Self::new(port, "south", SOUTH)
    }

    pub fn new(port: u16, user: &str, password: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        Self { http, address: format!("http://127.0.0.1:{port}"), user: user.into(), password: password.into() }
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse::<reqwest::Method>().unwrap();
        self.http.request(method, format!("{}{path}", self.address)).basic_auth(&self.user, Some(&self.password))
    }

    /// Without credentials.
    pub fn stranger(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse::<reqwest::Method>().unwrap(), format!("{}{path}", self.address))
    }

    pub async fn get(&self, path: &str) -> Reply {
        hear(self.request("GET", path)).await
    }

    /// Posts these bytes as a batch of operations.
    pub async fn post_text(&self, body: impl Into<reqwest::Body>) -> Reply {
        let request = self.request("POST", "/v1/operations").header("content-type", "application/json");
        hear(request.body(body)).await
    }

    pub async fn post(&self, operations: Value) -> Reply {
        self.post_text(json!({"operations": operations}).to_string()).await
    }

    /// Posts one operation; its result.
    pub async fn operate(&self, operation: Value) -> Value {
        let reply = self.post(json!([operation])).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.body["results"][0].clone()
    }

    /// Opens an incident; its transaction ID.
    pub async fn create(&self, exchange: u64) -> String {
        let result = self.operate(create(exchange)).await;
        assert_eq!(result["outcome"], "applied", "{result}");
        result["transaction"].as_str().unwrap().to_owned()
    }
}

/// Writes the secret that [`SECOND_CLIENT`] names.
pub fn second_client(partner: &Site) {
    write_secret(&partner.path("password-south"), SOUTH);
}

pub async fn hear(request: reqwest::RequestBuilder) -> Reply {
    let answer = request.send().await.expect("the partner answers");
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Reply { status, headers, text, body }
}

/// An exchange's ID, from a number.
pub fn exchange(number: u64) -> String {
    format!("{number:032x}")
}

pub fn operation(number: u64, seq: u64, kind: &str, content: Value) -> Value {
    json!({"exchange": exchange(number), "seq": seq, "operation": {"kind": kind, "content": content}})
}

/// A Create that any partner takes.
pub fn create(number: u64) -> Value {
    let content = json!({
        "incident": number,
        "trace_route": ["north"],
        "event": {"host_event_id": format!("edge1-{number}"), "synopsis": "Chassis alarm", "manifest": {"re": "re0"}},
        "form": {"priority": "2 - High"},
        "created_at": "2026-11-21T10:00:00Z",
    });
    operation(number, 1, "create", content)
}

/// [`create`] with one value of its content put in place.
pub fn create_with(number: u64, pointer: &str, value: Value) -> Value {
    let mut operation = create(number);
    *operation["operation"]["content"].pointer_mut(pointer).expect(pointer) = value;
    operation
}

pub fn update(number: u64, seq: u64, solution: &str) -> Value {
    operation(number, seq, "update", json!({"solution": solution}))
}

/// The reply is this problem, whole and well-formed, and names all of `said`.
#[track_caller]
pub fn assert_problem(reply: &Reply, status: u16, slug: &str, said: &[&str]) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(reply.headers.get("content-type").unwrap(), "application/problem+json", "{reply:?}");
    assert_is_problem(&reply.body, status, slug, said);
}

/// A problem document, alone or in the result of an operation.
#[track_caller]
pub fn assert_is_problem(problem: &Value, status: u16, slug: &str, said: &[&str]) {
    assert_eq!(problem["type"], format!("urn:casebridge:problem:{slug}"), "{problem}");
    assert_eq!(problem["status"], status, "{problem}");
    assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(!detail.is_empty() && detail.len() <= 500, "{} bytes: {detail}", detail.len());
    assert!(!detail.chars().any(char::is_control), "{detail:?}");
    for word in said {
        assert!(detail.contains(word), "{word:?} is told: {detail}");
    }
}

/// An operation's result is a refusal with this problem.
#[track_caller]
pub fn assert_refused(result: &Value, status: u16, slug: &str, said: &[&str]) {
    assert_eq!(result["outcome"], "refused", "{result}");
    assert_is_problem(&result["problem"], status, slug, said);
}
