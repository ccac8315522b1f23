//! The ten actions: `POST /v1/cases/{id}/open`, `process`, `request-input`, `hold`, `resolve`, `complete`, `cancel`, `reopen`,
//! `claim` and `unclaim` (M-02).

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::call::{self, Id, id, need};
use super::{Caller, Coded};
use crate::api::Door;
use crate::api::local::request;
use crate::api::problem::Refusal;
use crate::case::{CaseAction, Permission};
use crate::protocol::Problem;
use crate::protocol::cases::{ActionRequest, CaseAnswer};
use crate::protocol::operator::WorkRequest;

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident, $path:literal, $action:ident;)+) => {
        $($(#[$doc])*
        #[utoipa::path(post, path = $path, tag = "cases", params(("id" = String, Path)), request_body = ActionRequest,
            responses(
            (status = 200, body = Coded<CaseAnswer>),
            (status = 404, body = Problem, content_type = "application/problem+json"),
            (status = 409, body = Problem, content_type = "application/problem+json"),
            (status = 412, body = Problem, content_type = "application/problem+json"),
            (status = 422, body = Problem, content_type = "application/problem+json")
        ))]
        pub async fn $name(
            State(door): State<Door>,
            Extension(caller): Extension<Caller>,
            path: Id,
            headers: HeaderMap,
            body: Body,
        ) -> Result<Response, Refusal> {
            act(&door, &caller, &id(path)?, &headers, body, CaseAction::$action).await
        })+
    };
}

actions! {
    /// Sets a case back to what it was before anybody worked on it.
    open, "/v1/cases/{id}/open", Open;
    /// Takes a case into process.
    process, "/v1/cases/{id}/process", Process;
    /// Lets a case wait for its customer.
    request_input, "/v1/cases/{id}/request-input", RequestInput;
    /// Puts a case on hold.
    hold, "/v1/cases/{id}/hold", Hold;
    /// Resolves a case.
    resolve, "/v1/cases/{id}/resolve", Resolve;
    /// Completes a case.
    complete, "/v1/cases/{id}/complete", Complete;
    /// Cancels a case.
    cancel, "/v1/cases/{id}/cancel", Cancel;
    /// Opens a case again that is resolved or over.
    reopen, "/v1/cases/{id}/reopen", Reopen;
    /// Assigns a case to whoever calls.
    claim, "/v1/cases/{id}/claim", Claim;
    /// Takes whoever calls away from those whom the case is assigned to.
    unclaim, "/v1/cases/{id}/unclaim", Unclaim;
}

async fn act(
    door: &Door,
    caller: &Caller,
    name: &str,
    headers: &HeaderMap,
    body: Body,
    action: CaseAction,
) -> Result<Response, Refusal> {
    let request: ActionRequest = request(headers, body).await?;
    if request.comment.is_some() {
        need(caller, Permission::Comment, "a comment")?;
    }
    let call = call::call(door, caller, name, headers, &request.operator).await?;
    let work = WorkRequest {
        solution: request.resolution,
        completion_code: request.completion_code,
        comment: request.comment,
        ..WorkRequest::default()
    };
    Ok(call::done(caller, door.engine.act_on_case(&call, action, work).await?))
}
