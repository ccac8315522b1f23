//! `GET /v1/cases`

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};

use super::{Caller, Coded, call};
use crate::api::Door;
use crate::api::body::Answer;
use crate::api::problem::Refusal;
use crate::api::query;
use crate::protocol::Problem;
use crate::protocol::cases::{CaseListQuery, CasePage};

/// A page of the cases that the caller sees.
#[utoipa::path(get, path = "/v1/cases", tag = "cases", params(CaseListQuery), responses(
    (status = 200, body = Coded<CasePage>),
    (status = 400, body = Problem, content_type = "application/problem+json")
))]
pub async fn cases(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<CaseListQuery>, QueryRejection>,
) -> Result<Answer<Coded<CasePage>>, Refusal> {
    let query = query::read(query)?;
    Ok(caller.answer(door.engine.list_cases(&query, call::seen(&caller), caller.permissions).await?))
}
