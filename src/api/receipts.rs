//! `GET` and `POST /v1/receipts`

use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Door;
use super::auth::Caller;
use super::body::{self, Answer};
use super::problem::Refusal;
use super::query::{count, within};
use crate::case::evidence::Receipt;
use crate::protocol::{self, ProblemType, ReceiptAnswer, ReceiptTaken};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReceiptQuery {
    /// The highest `number` of the receipts before; 0 at the beginning.
    #[serde(default, deserialize_with = "count")]
    after: Option<u64>,
    /// The most operations in the receipt, 1 to 1,000.
    #[serde(default, deserialize_with = "count")]
    limit: Option<u64>,
}

/// What this site signs for, of the calling client's operations behind an entry of its history (H-07).
#[utoipa::path(get, path = "/v1/receipts", tag = "protocol", security(("client" = [])), params(ReceiptQuery), responses(
    (status = 200, body = ReceiptAnswer),
    (status = 400, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 401, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 503, body = protocol::Problem, content_type = "application/problem+json")
))]
pub async fn get(
    State(door): State<Door>,
    Extension(Caller(client)): Extension<Caller>,
    query: Result<Query<ReceiptQuery>, QueryRejection>,
) -> Result<Answer<ReceiptAnswer>, Refusal> {
    let Query(query) = query.map_err(|_| ProblemType::BadRequest.with("`after` and `limit` are whole numbers"))?;
    let after = query.after.unwrap_or(0).min(i64::MAX as u64);
    Ok(Answer(door.engine.receipt_for(&client, after, within(query.limit, Receipt::LIMIT)).await?))
}

/// The calling client hands in what it signs for (H-07).
#[utoipa::path(post, path = "/v1/receipts", tag = "protocol", security(("client" = [])), request_body = Receipt, responses(
    (status = 200, body = ReceiptTaken),
    (status = 400, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 401, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 413, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 415, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 422, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 503, body = protocol::Problem, content_type = "application/problem+json")
))]
pub async fn post(
    State(door): State<Door>,
    Extension(Caller(client)): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<ReceiptTaken>, Refusal> {
    let settings = door.engine.settings();
    let wait = settings.listen.as_ref().map_or(Duration::ZERO, |listen| listen.read_timeout);
    let room = door.rooms.of(&client);
    let (receipt, _held): (Receipt, _) =
        body::large_json(&headers, body, settings.max_body(&client), wait, &room).await?;
    Ok(Answer(door.engine.receipt_of(&client, &receipt).await?))
}
