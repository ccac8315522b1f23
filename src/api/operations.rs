//! `POST /v1/operations`

use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;

use super::Door;
use super::auth::Caller;
use super::body::{self, Answer};
use super::problem::Refusal;
use crate::protocol::{self, BATCH_LIMIT, OperationAnswer, OperationBatch, ProblemType};
use crate::telemetry::{CrashPoint, crash_point};

/// Takes a batch of operations, each once and in order; one result each. What is answered is durable.
#[utoipa::path(post, path = "/v1/operations", tag = "protocol", security(("client" = [])),
    request_body = OperationBatch, responses(
    (status = 200, body = OperationAnswer),
    (status = 400, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 401, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 404, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 408, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 413, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 415, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 422, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 503, body = protocol::Problem, content_type = "application/problem+json")
))]
pub async fn operations(
    State(door): State<Door>,
    Extension(Caller(client)): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<OperationAnswer>, Refusal> {
    let settings = door.engine.settings();
    let within = settings.listen.as_ref().map_or(Duration::ZERO, |listen| listen.read_timeout);
    let limit = settings.max_body(&client);
    let room = door.rooms.of(&client);
    let (batch, held): (OperationBatch, _) = body::large_json(&headers, body, limit, within, &room).await?;
    if batch.operations.is_empty() || batch.operations.len() > BATCH_LIMIT {
        let has = if batch.operations.is_empty() { "none" } else { "more" };
        return Err(ProblemType::BatchLimit
            .with(format!("a batch holds 1 to {BATCH_LIMIT} operations, this one {has}"))
            .into());
    }
    // In a task of its own: a caller that hangs up cannot stop it half way.
    let engine = door.engine.clone();
    let receiving = async move {
        let _held = held;
        engine.receive(&client, batch).await
    };
    let received = tokio::spawn(receiving).await;
    let results = received.map_err(|_| ProblemType::Internal.with("the site's log says more"))??;
    crash_point(CrashPoint::OperationsAnswered);
    Ok(Answer(OperationAnswer { results }))
}
