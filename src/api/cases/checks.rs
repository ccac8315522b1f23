//! `GET /v1/cases/auto-close`, `POST /v1/checks/due-dates` and `POST /v1/checks/slas`: what the jobs do, for whoever may ask for
//! it (M-06 to M-08).

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Caller, Coded, call};
use crate::api::Door;
use crate::api::body::Answer;
use crate::api::problem::Refusal;
use crate::exchange::EngineError;
use crate::protocol::{JobAnswer, Problem, ProblemType};
use crate::store::Seen;

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
    let found = door.engine.queue_closings(true).await?;
    Ok(caller.answer(seen_of(&door, &caller, found).await?))
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
    let found = door.engine.check_due_dates(is_dry(query)?).await?;
    Ok(caller.answer(seen_of(&door, &caller, found).await?))
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
    let found = door.engine.check_slas(is_dry(query)?).await?;
    Ok(caller.answer(seen_of(&door, &caller, found).await?))
}

fn is_dry(query: Result<Query<CheckQuery>, QueryRejection>) -> Result<bool, Refusal> {
    let Query(query) = query
        .map_err(|_| ProblemType::BadRequest.with("`dry_run` is true or false, and nothing else is taken here"))?;
    Ok(query.dry_run)
}

/// What a job found, without the cases that the caller does not see. It ran for all of them.
async fn seen_of(door: &Door, caller: &Caller, mut found: JobAnswer) -> Result<JobAnswer, Refusal> {
    let seen = call::seen(caller);
    if seen == Seen::all() {
        return Ok(found);
    }
    let (cases, failed) = (std::mem::take(&mut found.cases), std::mem::take(&mut found.failed));
    // How many there are in all would tell of those that are not seen.
    found.found = 0;
    for case in cases {
        if is_seen(door, case.incident, &seen).await? {
            found.add(case);
        }
    }
    for case in failed {
        if is_seen(door, case.incident, &seen).await? {
            found.fail(case.incident, case.reason);
        }
    }
    Ok(found)
}

async fn is_seen(door: &Door, incident: i64, seen: &Seen) -> Result<bool, EngineError> {
    match door.engine.find_case(&incident.to_string(), seen).await {
        Ok(_) => Ok(true),
        Err(EngineError::Refused(problem)) if problem.is(ProblemType::NotFound) => Ok(false),
        Err(fault) => Err(fault),
    }
}
