//! `GET /v1/exchanges?after=&limit=`

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Door;
use super::auth::Caller;
use super::body::Answer;
use super::problem::Refusal;
use crate::case::ExchangeId;
use crate::protocol::{self, BATCH_LIMIT, ExchangePage, ProblemType};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExchangeQuery {
    /// The last exchange of the page before.
    after: Option<String>,
    /// The most exchanges in the answer, 1 to 1,000.
    limit: Option<usize>,
}

/// How every exchange of the calling client stands, for re-adoption after lost state.
#[utoipa::path(get, path = "/v1/exchanges", tag = "protocol", security(("client" = [])), params(ExchangeQuery),
    responses(
    (status = 200, body = ExchangePage),
    (status = 400, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 401, body = protocol::Problem, content_type = "application/problem+json")
))]
pub async fn exchanges(
    State(door): State<Door>,
    Extension(Caller(client)): Extension<Caller>,
    query: Result<Query<ExchangeQuery>, QueryRejection>,
) -> Result<Answer<ExchangePage>, Refusal> {
    let Query(query) = query.map_err(|_| ProblemType::BadRequest.with("`limit` is a whole number"))?;
    let after: Option<ExchangeId> = match query.after.as_deref() {
        None | Some("") => None,
        Some(after) => Some(after.parse().map_err(|_| ProblemType::BadRequest.with("`after` is no exchange ID"))?),
    };
    let limit = query.limit.unwrap_or(BATCH_LIMIT).clamp(1, BATCH_LIMIT);
    Ok(Answer(door.engine.exchanges(&client, after, limit).await?))
}
