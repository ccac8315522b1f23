//! What the site offers its customers (M-05), as its configuration says.

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};

use super::{Caller, Coded};
use crate::api::Door;
use crate::api::body::Answer;
use crate::api::problem::Refusal;
use crate::protocol::definitions::{CaseTypeDetail, CaseTypeList, PriorityList, ProcessList, SolutionList};
use crate::protocol::{Problem, ProblemType};

/// The solutions.
#[utoipa::path(get, path = "/v1/solutions", tag = "cases", responses((status = 200, body = Coded<SolutionList>)))]
pub async fn solutions(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
) -> Result<Answer<Coded<SolutionList>>, Refusal> {
    Ok(caller.answer(door.engine.solutions()))
}

/// The processes, each with its solution.
#[utoipa::path(get, path = "/v1/processes", tag = "cases", responses((status = 200, body = Coded<ProcessList>)))]
pub async fn processes(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
) -> Result<Answer<Coded<ProcessList>>, Refusal> {
    Ok(caller.answer(door.engine.processes()))
}

/// The case types, each with what it promises.
#[utoipa::path(get, path = "/v1/case-types", tag = "cases", responses((status = 200, body = Coded<CaseTypeList>)))]
pub async fn case_types(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
) -> Result<Answer<Coded<CaseTypeList>>, Refusal> {
    Ok(caller.answer(door.engine.case_types()))
}

/// One case type.
#[utoipa::path(get, path = "/v1/case-types/{name}", tag = "cases", params(("name" = String, Path)), responses(
    (status = 200, body = Coded<CaseTypeDetail>),
    (status = 404, body = Problem, content_type = "application/problem+json")
))]
pub async fn case_type(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Answer<Coded<CaseTypeDetail>>, Refusal> {
    let Path(name) = name.map_err(|_| ProblemType::BadRequest.with("a case type is named by its name"))?;
    Ok(caller.answer(door.engine.case_type(&name)?))
}

/// The priorities, with this site's own names for them.
#[utoipa::path(get, path = "/v1/priorities", tag = "cases", responses((status = 200, body = Coded<PriorityList>)))]
pub async fn priorities(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
) -> Result<Answer<Coded<PriorityList>>, Refusal> {
    Ok(caller.answer(door.engine.priorities()))
}
