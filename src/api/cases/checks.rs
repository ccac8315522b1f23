//! The jobs of case management, asked for by whoever may (M-06 to M-08).

use axum::Extension;
use axum::extract::State;

use super::{Caller, Coded};
use crate::api::Door;
use crate::api::body::Answer;
use crate::api::problem::Refusal;
use crate::protocol::JobAnswer;

/// The resolved cases that are to be closed by themselves, and why; nothing is changed.
#[utoipa::path(get, path = "/v1/cases/auto-close", tag = "cases", responses((status = 200, body = Coded<JobAnswer>)))]
pub async fn auto_close(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
) -> Result<Answer<Coded<JobAnswer>>, Refusal> {
    Ok(caller.answer(door.engine.queue_closings(true).await?))
}

/// Looks at the due dates of the configured case types, as the job does.
#[utoipa::path(post, path = "/v1/checks/due-dates", tag = "cases", responses((status = 200, body = Coded<JobAnswer>)))]
pub async fn due_dates(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
) -> Result<Answer<Coded<JobAnswer>>, Refusal> {
    Ok(caller.answer(door.engine.check_due_dates(false).await?))
}

/// Looks at the SLAs of all cases, as the job does.
#[utoipa::path(post, path = "/v1/checks/slas", tag = "cases", responses((status = 200, body = Coded<JobAnswer>)))]
pub async fn slas(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
) -> Result<Answer<Coded<JobAnswer>>, Refusal> {
    Ok(caller.answer(door.engine.check_slas(false).await?))
}
