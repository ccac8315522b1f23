//! `POST /v1/cases`

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::call::{done, need};
use super::{Caller, Coded};
use crate::api::Door;
use crate::api::local::request;
use crate::api::problem::Refusal;
use crate::case::{InitiatorType, Permission};
use crate::protocol::cases::{CaseAnswer, CreateCase};
use crate::protocol::{Problem, ProblemType};

/// Opens a case. In another's name it takes the permission for that. Whoever is tied to groups opens it in one of them.
#[utoipa::path(post, path = "/v1/cases", tag = "cases", request_body = CreateCase, responses(
    (status = 200, body = Coded<CaseAnswer>),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn create(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let mut request: CreateCase = request(&headers, body).await?;
    let (operator, person) = (caller.acting_as(&request.operator)?, caller.person(&request.operator)?);
    let creator = caller.oneself(&request.operator)?;
    let other = request.initiator_id.as_ref().is_some_and(|initiator| *initiator != person);
    if other || request.initiator_type == Some(InitiatorType::Customer) {
        need(&caller, Permission::InstanceProxySave, "a case in another's name")?;
    }
    if request.comment.is_some() {
        need(&caller, Permission::Comment, "a comment")?;
    }
    // It hands what is said here to another company.
    if request.submit {
        need(&caller, Permission::Everything, "to submit a case")?;
    }
    request.device_group = group(&caller, request.device_group)?;
    Ok(done(&caller, door.engine.create_case(request, &operator, [&person, &creator], caller.permissions).await?))
}

/// The group of a case: whoever is tied to some sees it afterwards.
fn group(caller: &Caller, asked: Option<String>) -> Result<Option<String>, Refusal> {
    match (caller.groups.as_slice(), asked) {
        ([], asked) => Ok(asked),
        ([only], None) => Ok(Some(only.clone())),
        (groups, Some(asked)) if groups.contains(&asked) => Ok(Some(asked)),
        (groups, _) => {
            let detail = format!("`deviceGroup` must be one of the token's groups: {}", groups.join(", "));
            Err(ProblemType::Form.with(detail).into())
        }
    }
}
