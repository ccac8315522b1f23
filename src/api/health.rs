//! `/healthz` (the process answers) and `/readyz` (it can do its work).

use axum::extract::State;

use super::Door;
use super::problem::Refusal;
use crate::protocol::{self, ProblemType};

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// State and store can be used.
#[utoipa::path(get, path = "/readyz", tag = "operations", responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 503, body = protocol::Problem, content_type = "application/problem+json")
))]
pub async fn readyz(State(door): State<Door>) -> Result<&'static str, Refusal> {
    if door.engine.is_alive().await {
        Ok("ready\n")
    } else {
        Err(ProblemType::Busy.with("the state cannot be written").into())
    }
}
