//! `GET /v1/solutions`, `/v1/processes`, `/v1/case-types`, `/v1/case-types/{name}` and `/v1/priorities`: what the configuration
//! says that this site offers (M-05).

use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};

use super::{Caller, Coded};
use crate::api::Door;
use crate::api::body::Answer;
use crate::api::problem::Refusal;
use crate::case::case_type::{Process, Sla, Solution, Terms, guid};
use crate::case::{CaseType, Priority};
use crate::protocol::definitions::{
    CaseTypeList, CaseTypeView, PriorityList, PriorityView, ProcessList, ProcessView, SlaView, SolutionList,
    SolutionView, TermsView,
};
use crate::protocol::{Problem, ProblemType};

/// The solutions.
#[utoipa::path(get, path = "/v1/solutions", tag = "cases", responses((status = 200, body = Coded<SolutionList>)))]
pub async fn solutions(State(door): State<Door>, Extension(caller): Extension<Caller>) -> Answer<Coded<SolutionList>> {
    let view = |one: &Solution| SolutionView {
        id: guid("solution", &one.name),
        name: one.name.clone(),
        description: one.description.clone(),
    };
    let settings = door.engine.settings();
    caller.answer(SolutionList { solutions: settings.definitions.solutions.iter().map(view).collect() })
}

/// The processes, each with its solution.
#[utoipa::path(get, path = "/v1/processes", tag = "cases", responses((status = 200, body = Coded<ProcessList>)))]
pub async fn processes(State(door): State<Door>, Extension(caller): Extension<Caller>) -> Answer<Coded<ProcessList>> {
    let view = |one: &Process| ProcessView {
        id: guid("process", &one.name),
        name: one.name.clone(),
        solution_name: one.solution.clone(),
        description: one.description.clone(),
    };
    let settings = door.engine.settings();
    caller.answer(ProcessList { processes: settings.definitions.processes.iter().map(view).collect() })
}

/// The case types, each with what it promises.
#[utoipa::path(get, path = "/v1/case-types", tag = "cases", responses((status = 200, body = Coded<CaseTypeList>)))]
pub async fn case_types(State(door): State<Door>, Extension(caller): Extension<Caller>) -> Answer<Coded<CaseTypeList>> {
    let settings = door.engine.settings();
    caller.answer(CaseTypeList { case_types: settings.definitions.case_types.iter().map(case_type_view).collect() })
}

/// One case type.
#[utoipa::path(get, path = "/v1/case-types/{name}", tag = "cases", params(("name" = String, Path)), responses(
    (status = 200, body = Coded<CaseTypeView>),
    (status = 404, body = Problem, content_type = "application/problem+json")
))]
pub async fn case_type(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Answer<Coded<CaseTypeView>>, Refusal> {
    let Path(name) = name.map_err(|_| ProblemType::BadRequest.with("a case type is named by its name"))?;
    let settings = door.engine.settings();
    let found = settings.definitions.case_type(&name);
    let nothing = || ProblemType::NotFound.with("there is no case type of this name; GET /v1/case-types has them all");
    Ok(caller.answer(case_type_view(found.ok_or_else(nothing)?)))
}

/// The four priorities, with what the configuration says of them.
#[utoipa::path(get, path = "/v1/priorities", tag = "cases", responses((status = 200, body = Coded<PriorityList>)))]
pub async fn priorities(State(door): State<Door>, Extension(caller): Extension<Caller>) -> Answer<Coded<PriorityList>> {
    let settings = door.engine.settings();
    let view = |priority: Priority| {
        let note = settings.definitions.priorities.iter().find(|note| note.priority == priority);
        PriorityView {
            id: guid("priority", priority.as_str()),
            name: priority,
            description: note.and_then(|note| note.description.clone()),
        }
    };
    caller.answer(PriorityList { priorities: Priority::ALL.map(view).to_vec() })
}

fn case_type_view(one: &CaseType) -> CaseTypeView {
    let sla = |one: &Sla| SlaView {
        name: one.name.clone(),
        goal: one.goal.as_str().to_owned(),
        priorities: one.priorities.clone(),
        terms: terms(&one.terms),
    };
    CaseTypeView {
        id: one.id(),
        name: one.name.clone(),
        process_name: one.process.clone(),
        solution_name: one.solution.clone(),
        description: one.description.clone(),
        priorities: one.filter.priorities.clone(),
        auto_close_after: one.auto_close_after.as_ref().map(Duration::as_secs),
        due: one.due.as_ref().map(terms),
        slas: one.slas.iter().map(sla).collect(),
    }
}

fn terms(one: &Terms) -> TermsView {
    TermsView {
        within: one.within.as_secs(),
        warn_before: one.warn_before.as_ref().map(Duration::as_secs),
        calendar: one.calendar.clone(),
    }
}
