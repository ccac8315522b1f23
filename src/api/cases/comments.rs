//! What is said about a case: by those who work on it, and by whom it was opened for (M-12).

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::call::{self, Id, find, id, tagged};
use super::{Caller, Coded};
use crate::api::Door;
use crate::api::body::Answer;
use crate::api::local::request;
use crate::api::problem::Refusal;
use crate::protocol::Problem;
use crate::protocol::cases::{CaseCommentRequest, CaseComments, CommentAnswer};

/// The comments of a case, in the order in which they came.
#[utoipa::path(get, path = "/v1/cases/{id}/comments", tag = "cases", params(("id" = String, Path)), responses(
    (status = 200, body = Coded<CaseComments>),
    (status = 404, body = Problem, content_type = "application/problem+json")
))]
pub async fn comments(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    path: Id,
) -> Result<Answer<Coded<CaseComments>>, Refusal> {
    let case = find(&door, &caller, &id(path)?).await?;
    Ok(caller.answer(CaseComments { comments: door.engine.case_comments(case).await? }))
}

/// Comments on a case as somebody who works on it; an internal comment stays at this site (C-33).
#[utoipa::path(post, path = "/v1/cases/{id}/comments", tag = "cases", params(("id" = String, Path)),
    request_body = CaseCommentRequest, responses(
    (status = 200, body = Coded<CommentAnswer>),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 412, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn comment(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    path: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    add(&door, &caller, path, &headers, body, false).await
}

/// Comments on a case as its initiator, and is marked so. A case that waited for its customer goes on.
#[utoipa::path(post, path = "/v1/cases/{id}/initiator-comments", tag = "cases", params(("id" = String, Path)),
    request_body = CaseCommentRequest, responses(
    (status = 200, body = Coded<CommentAnswer>),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 412, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn initiator_comment(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    path: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    add(&door, &caller, path, &headers, body, true).await
}

async fn add(
    door: &Door,
    caller: &Caller,
    path: Id,
    headers: &HeaderMap,
    body: Body,
    initiator: bool,
) -> Result<Response, Refusal> {
    let (name, request): (_, CaseCommentRequest) = (id(path)?, request(headers, body).await?);
    let call = call::call(door, caller, &name, headers, &request.operator).await?;
    let answer = door.engine.comment_on_case(&call, request, initiator).await?;
    Ok(tagged(answer.case.revision, caller.answer(answer)))
}
