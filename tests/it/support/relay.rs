//! Stands between an end user and its partner, understands what they say, writes it down, and twists it on purpose. What
//! it leaves alone is the real partner's.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::pair::{Plan, end_user_config, partner_config};
use super::wire::free_port;
use super::{Site, eventually};

/// One request of the end user's.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub query: String,
    /// Null where there is none.
    pub body: Value,
    /// What the end user was answered; nothing while the answer is under way.
    pub status: Option<u16>,
}

/// What becomes of a call.
pub enum Twist {
    Pass,
    /// The partner never hears of it; this is the answer.
    Say(Said),
    /// The partner never hears of it, and the connection breaks.
    Break,
    /// The partner never hears of it, and no answer comes.
    Hang,
    /// The partner hears something else.
    Ask(Value),
    /// The end user hears something else.
    Tell(Box<dyn FnOnce(Value) -> Value + Send>),
}

/// An answer that the partner never gave.
#[derive(Debug, Clone)]
pub struct Said {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Said {
    /// A problem document.
    pub fn problem(status: u16, slug: &str, detail: &str) -> Self {
        let body = json!({"type": format!("urn:casebridge:problem:{slug}"), "title": "No", "status": status,
            "detail": detail});
        Self::plain(status, &body.to_string()).with("content-type", "application/problem+json")
    }

    /// What another kind of server says.
    pub fn plain(status: u16, body: &str) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub fn with(mut self, header: &'static str, value: impl ToString) -> Self {
        self.headers.push((header, value.to_string()));
        self
    }
}

type Rule = Arc<dyn Fn(&Call) -> Twist + Send + Sync>;

#[derive(Clone)]
struct Inner {
    target: u16,
    http: reqwest::Client,
    rule: Arc<Mutex<Rule>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

pub struct Relay {
    port: u16,
    inner: Inner,
    task: tokio::task::JoinHandle<()>,
}

impl Relay {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner = Inner {
            target: free_port(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            rule: Arc::new(Mutex::new(Arc::new(|_| Twist::Pass))),
            calls: Arc::default(),
        };
        let app = Router::new().fallback(carry).with_state(inner.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { port, inner, task }
    }

    /// Where the partner listens.
    pub fn target(&self) -> u16 {
        self.inner.target
    }

    /// From here on, calls are treated so.
    pub fn twist(&self, rule: impl Fn(&Call) -> Twist + Send + Sync + 'static) {
        *self.inner.rule.lock().unwrap() = Arc::new(rule);
    }

    pub fn pass(&self) {
        self.twist(|_| Twist::Pass);
    }

    /// Every call so far, in the order in which they began.
    pub fn calls(&self) -> Vec<Call> {
        self.inner.calls.lock().unwrap().clone()
    }

    /// How many calls there were to one address.
    pub fn count(&self, path: &str) -> usize {
        self.calls().iter().filter(|call| call.path == path).count()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(State(relay): State<Inner>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let call = Call {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
        status: None,
    };
    let place = {
        let mut calls = relay.calls.lock().unwrap();
        calls.push(call.clone());
        calls.len() - 1
    };
    let rule = Arc::clone(&relay.rule.lock().unwrap());
    let mut tell: Option<Box<dyn FnOnce(Value) -> Value + Send>> = None;
    let bytes = match rule(&call) {
        Twist::Pass => bytes.to_vec(),
        Twist::Ask(value) => value.to_string().into_bytes(),
        Twist::Tell(other) => {
            tell = Some(other);
            bytes.to_vec()
        }
        // The server's task dies with its connection.
        Twist::Break => std::panic::resume_unwind(Box::new(())),
        Twist::Hang => std::future::pending().await,
        Twist::Say(said) => {
            relay.calls.lock().unwrap()[place].status = Some(said.status);
            let mut response = Response::builder().status(said.status);
            for (name, value) in said.headers {
                response = response.header(name, value);
            }
            return response.body(Body::from(said.body)).unwrap();
        }
    };
    let address = format!("http://127.0.0.1:{}{}", relay.target, head.uri);
    let mut forward = relay.http.request(head.method, address).body(bytes);
    for name in ["authorization", "content-type", "user-agent", "content-range", "range"] {
        if let Some(value) = head.headers.get(name) {
            forward = forward.header(name, value);
        }
    }
    let Ok(answer) = forward.send().await else {
        return Response::builder().status(502).body(Body::from("the partner is away")).unwrap();
    };
    let status = answer.status().as_u16();
    let mut response = Response::builder().status(status);
    for name in ["content-type", "retry-after", "content-range", "upload-offset"] {
        if let Some(value) = answer.headers().get(name) {
            response = response.header(name, value);
        }
    }
    let mut body = answer.bytes().await.unwrap_or_default().to_vec();
    if let Some(tell) = tell {
        body = tell(serde_json::from_slice(&body).unwrap_or_default()).to_string().into_bytes();
    }
    relay.calls.lock().unwrap()[place].status = Some(status);
    response.body(Body::from(body)).unwrap()
}

/// An end user and its partner, with a relay between them.
pub struct Relayed {
    pub end_user: Site,
    pub partner: Site,
    pub relay: Relay,
}

impl Relayed {
    /// Configured and not started.
    pub async fn new(plan: Plan<'_>) -> Self {
        let relay = Relay::new().await;
        let partner = Site::new("partner", &partner_config(relay.inner.target, plan.partner));
        let end_user = Site::new("north", &end_user_config(relay.port, plan.end_user));
        Self { end_user, partner, relay }
    }

    pub async fn start(plan: Plan<'_>) -> Self {
        let mut pair = Self::new(plan).await;
        pair.run().await;
        pair
    }

    /// Starts both, and returns when they know each other.
    pub async fn run(&mut self) {
        self.partner.start().await;
        self.end_user.start().await;
        eventually("the first contact", || async { self.end_user.log().contains("exchanges_adopted").then_some(()) })
            .await;
    }

    /// Waits until so many incidents have their case ID.
    pub async fn open(&self, count: i64) {
        eventually("every case ID", || async {
            let open = self.end_user.count("SELECT count(*) FROM incident WHERE case_id IS NOT NULL").await;
            (open == count).then_some(())
        })
        .await;
    }

    /// Incidents at the partner, each counted once for its reference.
    pub async fn opened(&self) -> (i64, i64) {
        let incidents = self.partner.count("SELECT count(*) FROM incident").await;
        (incidents, self.partner.count("SELECT count(*) FROM reference").await)
    }
}

/// Whether a call carries operations.
pub fn operates(call: &Call) -> bool {
    call.path == "/v1/operations"
}

/// The host events of the Creates that a call carries.
pub fn creates(call: &Call) -> Vec<String> {
    let operations = call.body["operations"].as_array().map(Vec::as_slice).unwrap_or_default();
    let events = operations.iter().filter_map(|one| one["operation"]["content"]["event"]["host_event_id"].as_str());
    events.map(str::to_owned).collect()
}
