//! Milestones that people give a name.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::call::{self, Id, done, id};
use super::{Caller, Coded};
use crate::api::Door;
use crate::api::local::request;
use crate::api::problem::Refusal;
use crate::protocol::Problem;
use crate::protocol::cases::{CaseAnswer, MilestoneRequest};

/// Notes that a case has come to what the request names. Both sites come to know it.
#[utoipa::path(post, path = "/v1/cases/{id}/milestones", tag = "cases", params(("id" = String, Path)), request_body = MilestoneRequest, responses(
    (status = 200, body = Coded<CaseAnswer>),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 412, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn reach(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    path: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (name, request): (_, MilestoneRequest) = (id(path)?, request(&headers, body).await?);
    let call = call::call(&door, &caller, &name, &headers, &request.operator).await?;
    Ok(done(&caller, door.engine.reach_milestone(&call, request.name).await?))
}
