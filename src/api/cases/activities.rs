//! `GET /v1/cases/{id}/activities`

use axum::Extension;
use axum::extract::State;

use super::call::{Id, find, id};
use super::{Caller, Coded};
use crate::api::Door;
use crate::api::body::Answer;
use crate::api::problem::Refusal;
use crate::case::Permission;
use crate::protocol::Problem;
use crate::protocol::cases::CaseActivities;

/// The history of a case: its newest 1,000 lines, the oldest of them first.
#[utoipa::path(get, path = "/v1/cases/{id}/activities", tag = "cases", params(("id" = String, Path)), responses(
    (status = 200, body = Coded<CaseActivities>),
    (status = 404, body = Problem, content_type = "application/problem+json")
))]
pub async fn activities(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    path: Id,
) -> Result<Answer<Coded<CaseActivities>>, Refusal> {
    let case = find(&door, &caller, &id(path)?).await?;
    let documents = caller.may(Permission::DocView);
    Ok(caller.answer(CaseActivities { activities: door.engine.case_activities(case, documents).await? }))
}
