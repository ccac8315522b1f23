//! Who works on a case, who answers for it, who watches it.

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
use crate::case::UserName;
use crate::protocol::cases::{AssignmentRequest, CaseAnswer, OwnerRequest};
use crate::protocol::{Problem, ProblemType};

/// Assigns a case to these users and groups, and to nobody else.
#[utoipa::path(put, path = "/v1/cases/{id}/assignment", tag = "cases", params(("id" = String, Path)), request_body = AssignmentRequest, responses(
    (status = 200, body = Coded<CaseAnswer>),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 412, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn assign(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    path: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (name, request): (_, AssignmentRequest) = (id(path)?, request(&headers, body).await?);
    let call = call::call(&door, &caller, &name, &headers, &request.operator).await?;
    Ok(done(&caller, door.engine.assign_case(&call, request.users, request.groups).await?))
}

/// Says who answers for a case, and how the work stands for them. Nothing of it travels.
#[utoipa::path(put, path = "/v1/cases/{id}/owner", tag = "cases", params(("id" = String, Path)), request_body = OwnerRequest, responses(
    (status = 200, body = Coded<CaseAnswer>),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 412, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn owner(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    path: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (name, request): (_, OwnerRequest) = (id(path)?, request(&headers, body).await?);
    let call = call::call(&door, &caller, &name, &headers, &request.operator).await?;
    Ok(done(&caller, door.engine.own_case(&call, request.user, request.status).await?))
}

/// Adds somebody to those who watch a case.
#[utoipa::path(put, path = "/v1/cases/{id}/watchers/{user}", tag = "cases", params(("id" = String, Path), ("user" = String, Path)), responses(
    (status = 200, body = Coded<CaseAnswer>),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 412, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn watch(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    path: Pair,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    watching(&door, &caller, path, &headers, true).await
}

/// Takes somebody from those who watch a case.
#[utoipa::path(delete, path = "/v1/cases/{id}/watchers/{user}", tag = "cases", params(("id" = String, Path), ("user" = String, Path)), responses(
    (status = 200, body = Coded<CaseAnswer>),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 412, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn unwatch(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    path: Pair,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    watching(&door, &caller, path, &headers, false).await
}

async fn watching(
    door: &Door,
    caller: &Caller,
    path: Pair,
    headers: &HeaderMap,
    watches: bool,
) -> Result<Response, Refusal> {
    let (name, user) = pair(path)?;
    let call = call::call(door, caller, &name, headers, "").await?;
    let user: UserName = user.parse().map_err(|fault| ProblemType::Form.with(format!("the watcher's name {fault}")))?;
    Ok(done(caller, door.engine.watch_case(&call, user, watches).await?))
}
