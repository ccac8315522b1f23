//! `GET /v1/cases/auto-close`, `POST /v1/checks/due-dates` and `POST /v1/checks/slas`: what the jobs do, for whoever may ask for
//! it (M-06 to M-08). They run for all cases, and tell of those that the caller sees.

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Caller, Coded, call};
use crate::api::Door;
use crate::api::body::Answer;
use crate::api::problem::Refusal;
use crate::protocol::{JobAnswer, Problem, ProblemType};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CheckQuery {
    /// Only says what would happen.
    #[serde(default)]
    dry_run: bool,
}

/// The cases that were resolved for long enough to be closed.
#[utoipa::path(get, path = "/v1/cases/auto-close", tag = "cases", responses((status = 200, body = Coded<JobAnswer>)))]
pub async fn auto_close(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
) -> Result<Answer<Coded<JobAnswer>>, Refusal> {
    let found = door.engine.queue_closings(true, &call::seen(&caller)).await?;
    Ok(caller.answer(found))
}

/// Warns of due dates that are near, and notes those that have passed, each once.
#[utoipa::path(post, path = "/v1/checks/due-dates", tag = "cases", params(CheckQuery), responses(
    (status = 200, body = Coded<JobAnswer>),
    (status = 400, body = Problem, content_type = "application/problem+json")
))]
pub async fn due_dates(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<CheckQuery>, QueryRejection>,
) -> Result<Answer<Coded<JobAnswer>>, Refusal> {
    let found = door.engine.check_due_dates(is_dry(query)?, &call::seen(&caller)).await?;
    Ok(caller.answer(found))
}

/// Warns of SLAs that are near their end, and notes those that are violated, each once.
#[utoipa::path(post, path = "/v1/checks/slas", tag = "cases", params(CheckQuery), responses(
    (status = 200, body = Coded<JobAnswer>),
    (status = 400, body = Problem, content_type = "application/problem+json")
))]
pub async fn slas(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<CheckQuery>, QueryRejection>,
) -> Result<Answer<Coded<JobAnswer>>, Refusal> {
    let found = door.engine.check_slas(is_dry(query)?, &call::seen(&caller)).await?;
    Ok(caller.answer(found))
}

fn is_dry(query: Result<Query<CheckQuery>, QueryRejection>) -> Result<bool, Refusal> {
    let Query(query) = query
        .map_err(|_| ProblemType::BadRequest.with("`dry_run` is true or false, and nothing else is taken here"))?;
    Ok(query.dry_run)
}
