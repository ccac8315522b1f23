//! History as evidence, for the commands: `casebridge history` and `casebridge key` (H-05, H-07).

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};

use super::Door;
use super::body::Answer;
use super::local::request;
use super::problem::Refusal;
use super::query;
use crate::protocol::history::{DisclosedPage, HistoryEnd, HistoryPage, HistoryQuery};
use crate::protocol::key::{KeyAnswer, KeyList, PinRequest, RotateRequest};
use crate::protocol::{Problem, ProblemType};

pub fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/history", get(history))
        .route("/v1/history/end", get(end))
        .route("/v1/history/disclosed", get(disclosed))
        .route("/v1/keys", get(keys))
        .route("/v1/keys/pin", post(pin))
        .route("/v1/keys/rotate", post(rotate))
}

type Asked = Result<Query<HistoryQuery>, QueryRejection>;

fn asked(query: Asked) -> Result<HistoryQuery, Refusal> {
    let query = query::read(query)?;
    for (name, number) in [("after", query.after), ("until", query.until)] {
        if number.is_some_and(|number| i64::try_from(number).is_err()) {
            return Err(ProblemType::BadRequest.with(format!("`{name}` must be at most {}", i64::MAX)).into());
        }
    }
    Ok(query)
}

/// Entries of the history, of one case or of all, as an export holds them.
#[utoipa::path(get, path = "/v1/history", tag = "local", params(HistoryQuery), responses(
    (status = 200, body = HistoryPage),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json")
))]
pub async fn history(State(door): State<Door>, query: Asked) -> Result<Answer<HistoryPage>, Refusal> {
    Ok(Answer(door.engine.history_page(&asked(query)?).await?))
}

/// The signed end of an export that was read up to the entry `after`.
#[utoipa::path(get, path = "/v1/history/end", tag = "local", params(HistoryQuery), responses(
    (status = 200, body = HistoryEnd),
    (status = 400, body = Problem, content_type = "application/problem+json")
))]
pub async fn end(State(door): State<Door>, query: Asked) -> Result<Answer<HistoryEnd>, Refusal> {
    Ok(Answer(door.engine.history_end(&asked(query)?).await?))
}

/// What a peer has ever seen, of one case or of all.
#[utoipa::path(get, path = "/v1/history/disclosed", tag = "local", params(HistoryQuery), responses(
    (status = 200, body = DisclosedPage),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn disclosed(State(door): State<Door>, query: Asked) -> Result<Answer<DisclosedPage>, Refusal> {
    Ok(Answer(door.engine.disclosed(&asked(query)?).await?))
}

/// The public keys of this site, or of `peer`.
#[utoipa::path(get, path = "/v1/keys", tag = "local", params(HistoryQuery), responses(
    (status = 200, body = KeyList),
    (status = 400, body = Problem, content_type = "application/problem+json")
))]
pub async fn keys(State(door): State<Door>, query: Asked) -> Result<Answer<KeyList>, Refusal> {
    let peer = asked(query)?.peer;
    Ok(Answer(door.engine.keys(peer.as_ref()).await?))
}

/// A person confirms a peer's key.
#[utoipa::path(post, path = "/v1/keys/pin", tag = "local", request_body = PinRequest, responses(
    (status = 200, body = KeyAnswer),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json")
))]
pub async fn pin(State(door): State<Door>, headers: HeaderMap, body: Body) -> Result<Answer<KeyAnswer>, Refusal> {
    let asked: PinRequest = request(&headers, body).await?;
    let key = door.engine.pin_key(&asked.peer, asked.key, &asked.operator).await?;
    let message = format!("receipts of {} are taken with key {}", asked.peer, key.fingerprint());
    Ok(Answer(KeyAnswer { key, message }))
}

/// The site signs with a new key, which the old one endorses.
#[utoipa::path(post, path = "/v1/keys/rotate", tag = "local", request_body = RotateRequest, responses(
    (status = 200, body = KeyAnswer),
    (status = 409, body = Problem, content_type = "application/problem+json")
))]
pub async fn rotate(State(door): State<Door>, headers: HeaderMap, body: Body) -> Result<Answer<KeyAnswer>, Refusal> {
    let asked: RotateRequest = request(&headers, body).await?;
    let key = door.engine.rotate_key(&asked.operator).await?;
    Ok(Answer(KeyAnswer { key, message: format!("the site signs with key {} from now on", key.fingerprint()) }))
}
