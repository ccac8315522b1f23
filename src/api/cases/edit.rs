//! `PATCH` and `DELETE /v1/cases/{id}`, the case that it came from, and before whom it is put.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::call::{self, Id, done, id, need};
use super::{Caller, Coded};
use crate::api::Door;
use crate::api::local::request;
use crate::api::problem::Refusal;
use crate::case::Permission;
use crate::protocol::cases::{CaseAnswer, EditCase, FlagRequest, RelationRequest};
use crate::protocol::{Problem, ProblemType};

/// Changes a case. Its revision may be given as `If-Match`: what was decided on an older one changes nothing.
#[utoipa::path(patch, path = "/v1/cases/{id}", tag = "cases", params(("id" = String, Path)), request_body = EditCase, responses(
    (status = 200, body = Coded<CaseAnswer>),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 412, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn edit(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    path: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (name, request): (_, EditCase) = (id(path)?, request(&headers, body).await?);
    if request.operator.is_empty() || request.operator == caller.name {
        need(&caller, Permission::Edit, "an edit in one's own name")?;
    }
    if request.active.is_some() {
        need(&caller, Permission::Everything, "to put a deleted case back")?;
    }
    if request.names_initiator() {
        need(&caller, Permission::InstanceProxySave, "another initiator")?;
    }
    let call = call::call(&door, &caller, &name, &headers, &request.operator).await?;
    Ok(done(&caller, door.engine.edit_case(&call, &request).await?))
}

/// Takes a case from the lists; it is listed with `inactive`.
#[utoipa::path(delete, path = "/v1/cases/{id}", tag = "cases", params(("id" = String, Path)), responses(
    (status = 200, body = Coded<CaseAnswer>),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 412, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn delete(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    path: Id,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let call = call::call(&door, &caller, &id(path)?, &headers, "").await?;
    Ok(done(&caller, door.engine.delete_case(&call).await?))
}

/// Relates a case to the one that it came from.
#[utoipa::path(put, path = "/v1/cases/{id}/relation", tag = "cases", params(("id" = String, Path)), request_body = RelationRequest, responses(
    (status = 200, body = Coded<CaseAnswer>),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 412, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn relate(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    path: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (name, request): (_, RelationRequest) = (id(path)?, request(&headers, body).await?);
    let call = call::call(&door, &caller, &name, &headers, &request.operator).await?;
    Ok(done(&caller, door.engine.relate_case(&call, request.case.as_deref(), &call::seen(&caller)).await?))
}

/// Puts a case before people, or notes that the caller has looked. Nothing of it travels.
#[utoipa::path(put, path = "/v1/cases/{id}/flags", tag = "cases", params(("id" = String, Path)), request_body = FlagRequest, responses(
    (status = 200, body = Coded<CaseAnswer>),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 412, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn flag(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    path: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (name, request): (_, FlagRequest) = (id(path)?, request(&headers, body).await?);
    let mut call = call::call(&door, &caller, &name, &headers, &request.operator).await?;
    if request.users.is_none() && !request.read {
        return Err(ProblemType::Form.with("give `users`, or `read`").into());
    }
    if let Some(users) = request.users {
        need(&caller, Permission::Edit, "to put a case before people")?;
        door.engine.flag_case(&call, users).await?;
        // That was decided on the revision; what follows from it is another one.
        call.revision = None;
    }
    if request.read {
        door.engine.looked_at_case(&call).await?;
    }
    Ok(done(&caller, door.engine.case_answer(call.case).await?))
}
