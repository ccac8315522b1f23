//! The reaction policies, and what became of what they led to: `casebridge reaction`.

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};

use super::Door;
use super::body::Answer;
use super::local::{Limit, request};
use super::problem::Refusal;
use crate::protocol::Problem;
use crate::protocol::operator::RetryAnswer;
use crate::protocol::reaction::{ReactionAnswer, ReactionPage, ReactionRequest, ReactionRetryRequest, RunRows};

pub fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/reactions", get(list).post(change))
        .route("/v1/reactions/runs", get(runs))
        .route("/v1/reactions/retry", post(retry))
}

/// The reactions, in order.
#[utoipa::path(get, path = "/v1/reactions", tag = "local", responses((status = 200, body = ReactionPage)))]
pub async fn list(State(door): State<Door>) -> Result<Answer<ReactionPage>, Refusal> {
    Ok(Answer(door.engine.reactions().await?))
}

/// Changes the reactions.
#[utoipa::path(post, path = "/v1/reactions", tag = "local", request_body = ReactionRequest, responses(
    (status = 200, body = ReactionAnswer),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn change(
    State(door): State<Door>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<ReactionAnswer>, Refusal> {
    let request: ReactionRequest = request(&headers, body).await?;
    Ok(Answer(door.engine.change_reactions(&request).await?))
}

/// What reactions led to and is not done.
#[utoipa::path(get, path = "/v1/reactions/runs", tag = "local", params(Limit),
    responses((status = 200, body = RunRows)))]
pub async fn runs(
    State(door): State<Door>,
    query: Result<Query<Limit>, QueryRejection>,
) -> Result<Answer<RunRows>, Refusal> {
    Ok(Answer(door.engine.reaction_runs(Limit::rows(query)?).await?))
}

/// Tries again what was given up.
#[utoipa::path(post, path = "/v1/reactions/retry", tag = "local", request_body = ReactionRetryRequest,
    responses((status = 200, body = RetryAnswer)))]
pub async fn retry(State(door): State<Door>, headers: HeaderMap, body: Body) -> Result<Answer<RetryAnswer>, Refusal> {
    let request: ReactionRetryRequest = request(&headers, body).await?;
    let rearmed = door.engine.retry_reactions(request.reaction, &request.operator).await?;
    Ok(Answer(RetryAnswer { rearmed, files: 0 }))
}
