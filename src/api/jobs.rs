//! Scheduled work, for the site's own people: `casebridge job list` and `job run` (M-10).

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};

use super::Door;
use super::body::Answer;
use super::local::request;
use super::problem::Refusal;
use crate::protocol::{JobAnswer, JobList, JobRequest, Problem, ProblemType};

pub fn routes() -> Router<Door> {
    Router::new().route("/v1/jobs", get(jobs)).route("/v1/jobs/{name}/run", post(run))
}

/// The scheduled jobs: when each last ran, and when it is due.
#[utoipa::path(get, path = "/v1/jobs", tag = "local", responses((status = 200, body = JobList)))]
pub async fn jobs(State(door): State<Door>) -> Result<Answer<JobList>, Refusal> {
    Ok(Answer(door.engine.jobs().await?))
}

/// Runs a job now. Those of case management say case by case what they did or, with `dry_run`, would do.
#[utoipa::path(post, path = "/v1/jobs/{name}/run", tag = "local", params(("name" = String, Path)),
    request_body = JobRequest, responses(
    (status = 200, body = JobAnswer),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn run(
    State(door): State<Door>,
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<JobAnswer>, Refusal> {
    let Path(name) = name.map_err(|_| ProblemType::BadRequest.with("a job is named by its name"))?;
    let request: JobRequest = request(&headers, body).await?;
    Ok(Answer(door.engine.run_job(&name, request.dry_run, &request.operator).await?))
}
