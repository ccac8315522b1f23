//! `GET /v1/transactions?exchange=` and `GET /v1/transactions/{id}`

use axum::Extension;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Door;
use super::auth::Caller;
use super::body::Answer;
use super::exchanges::listed;
use super::problem::Refusal;
use crate::protocol::{self, ProblemType, TransactionAnswer, TransactionList};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TransactionQuery {
    /// Exchange IDs, with commas between them; at most 100.
    #[param(pattern = "^[0-9a-f]{32}(,[0-9a-f]{32}){0,99}$")]
    exchange: String,
}

/// The transaction IDs of exchanges whose Create was answered "received". Unknown exchanges are left out.
#[utoipa::path(get, path = "/v1/transactions", tag = "protocol", security(("client" = [])), params(TransactionQuery),
    responses(
    (status = 200, body = TransactionList),
    (status = 400, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 401, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 422, body = protocol::Problem, content_type = "application/problem+json")
))]
pub async fn transactions(
    State(door): State<Door>,
    Extension(Caller(client)): Extension<Caller>,
    query: Result<Query<TransactionQuery>, QueryRejection>,
) -> Result<Answer<TransactionList>, Refusal> {
    let Query(query) = query.map_err(|_| ProblemType::BadRequest.with("give `exchange` as a list of exchange IDs"))?;
    let exchanges = listed(&query.exchange)?;
    Ok(Answer(door.engine.transactions(&client, exchanges).await?))
}

/// One case by its transaction ID: pending, or case ID, link and status. Another client's is as unknown as one that
/// never was.
#[utoipa::path(get, path = "/v1/transactions/{id}", tag = "protocol", security(("client" = [])),
    params(("id" = String, Path)), responses(
    (status = 200, body = TransactionAnswer),
    (status = 401, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 404, body = protocol::Problem, content_type = "application/problem+json")
))]
pub async fn transaction(
    State(door): State<Door>,
    Extension(Caller(client)): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Answer<TransactionAnswer>, Refusal> {
    // What does not even read as text is as unknown as any other.
    let id = id.map(|Path(id)| id).unwrap_or_default();
    Ok(Answer(door.engine.transaction(&client, &id).await?))
}
