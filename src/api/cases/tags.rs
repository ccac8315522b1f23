//! The tags of a case.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::call::{self, Id, Pair, done, id, pair};
use super::{Caller, Coded};
use crate::api::Door;
use crate::api::local::request;
use crate::api::problem::Refusal;
use crate::case::Tag;
use crate::protocol::cases::{CaseAnswer, TagRequest};
use crate::protocol::{Problem, ProblemType};

/// Puts a tag to a case; one that is there stays.
#[utoipa::path(post, path = "/v1/cases/{id}/tags", tag = "cases", params(("id" = String, Path)), request_body = TagRequest, responses(
    (status = 200, body = Coded<CaseAnswer>),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 412, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn tag(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    path: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (name, request): (_, TagRequest) = (id(path)?, request(&headers, body).await?);
    let call = call::call(&door, &caller, &name, &headers, &request.operator).await?;
    Ok(done(&caller, door.engine.tag_case(&call, request.tag).await?))
}

/// Takes a tag from a case.
#[utoipa::path(delete, path = "/v1/cases/{id}/tags/{tag}", tag = "cases", params(("id" = String, Path), ("tag" = String, Path)), responses(
    (status = 200, body = Coded<CaseAnswer>),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 412, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn untag(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    path: Pair,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (name, tag) = pair(path)?;
    let call = call::call(&door, &caller, &name, &headers, "").await?;
    let tag: Tag = tag.parse().map_err(|fault| ProblemType::Form.with(format!("the tag {fault}")))?;
    Ok(done(&caller, door.engine.untag_case(&call, tag).await?))
}
