//! A receiver of webhooks, which answers as a test wants it to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;

/// What its webhooks are signed with, in the file `whsec` of a site.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mood {
    Takes,
    Fails,
    Redirects,
    Hangs,
    IsGone,
}

/// One request, as it came.
#[derive(Debug, Clone)]
pub struct Hit {
    pub headers: BTreeMap<String, String>,
    pub body: Value,
    pub text: String,
}

impl Hit {
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub fn trigger(&self) -> &str {
        self.body["type"].as_str().unwrap()
    }

    pub fn event(&self) -> i64 {
        self.body["data"]["event"].as_i64().unwrap()
    }

    pub fn incident(&self) -> i64 {
        self.body["data"]["incident"]["id"].as_i64().unwrap()
    }
}

#[derive(Clone)]
pub struct Receiver {
    pub port: u16,
    mood: Arc<Mutex<Mood>>,
    hits: Arc<Mutex<Vec<Hit>>>,
}

impl Receiver {
    pub async fn new(mood: Mood) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = Self { port, mood: Arc::new(Mutex::new(mood)), hits: Arc::default() };
        let router =
            Router::new().route("/hook", post(take)).route("/elsewhere", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    pub fn becomes(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub fn hits(&self) -> Vec<Hit> {
        self.hits.lock().unwrap().clone()
    }

    /// A target of this name that leads here. The secret stands in a file of the site's.
    pub fn target(&self, name: &str) -> String {
        let port = self.port;
        format!(
            "[[reaction_target.webhook]]\nname = \"{name}\"\nurl = \"http://127.0.0.1:{port}/hook\"\n\
             secret_file = \"whsec\"\nwithin = \"2s\"\n"
        )
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let mood = *receiver.mood.lock().unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let hit = Hit { headers: headers.collect(), body: serde_json::from_str(&text).unwrap(), text };
    receiver.hits.lock().unwrap().push(hit);
    match mood {
        Mood::Takes => StatusCode::NO_CONTENT.into_response(),
        Mood::Fails => (StatusCode::INTERNAL_SERVER_ERROR, "x".repeat(1 << 20)).into_response(),
        Mood::Redirects => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere")]).into_response(),
        Mood::IsGone => StatusCode::GONE.into_response(),
        Mood::Hangs => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            StatusCode::NO_CONTENT.into_response()
        }
    }
}
