//! `GET /v1/cases/{id}`

use axum::Extension;
use axum::extract::State;
use axum::response::Response;

use super::call::{Id, id, seen, tagged};
use super::{Caller, Coded};
use crate::api::Door;
use crate::api::problem::Refusal;
use crate::case::Permission;
use crate::protocol::Problem;
use crate::protocol::cases::CaseDetail;

/// Everything about one case; comments and documents for whom may view them. The `ETag` is its revision, which counts
/// what people say and do: comments, documents, milestones and flags as well as fields.
#[utoipa::path(get, path = "/v1/cases/{id}", tag = "cases", params(("id" = String, Path)), responses(
    (status = 200, body = Coded<CaseDetail>, headers(("ETag" = String, description = "The revision of the case, in quotes"))),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json")
))]
pub async fn show(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    path: Id,
) -> Result<Response, Refusal> {
    let (comments, documents) = (caller.may(Permission::CommentView), caller.may(Permission::DocView));
    let case = door.engine.show_case(&id(path)?, &seen(&caller), comments, documents).await?;
    Ok(tagged(case.row.revision, caller.answer(case)))
}
