//! What the site offers its customers, for who asks (M-05).

use super::{Engine, EngineError};
use crate::case::case_type::{CaseType, Terms, guid};
use crate::case::{Priority, Sla};
use crate::protocol::ProblemType;
use crate::protocol::definitions::{
    CaseTypeDetail, CaseTypeList, PriorityList, PriorityRow, ProcessList, ProcessRow, SlaRow, SolutionList,
    SolutionRow, TermsRow,
};

impl Engine {
    pub fn solutions(&self) -> SolutionList {
        let settings = self.settings();
        let row = |one: &crate::case::case_type::Solution| SolutionRow {
            id: guid("solution", &one.name),
            name: one.name.clone(),
            description: one.description.clone(),
        };
        SolutionList { solutions: settings.definitions.solutions.iter().map(row).collect() }
    }

    pub fn processes(&self) -> ProcessList {
        let settings = self.settings();
        let row = |one: &crate::case::case_type::Process| ProcessRow {
            id: guid("process", &one.name),
            name: one.name.clone(),
            solution: one.solution.clone(),
            description: one.description.clone(),
        };
        ProcessList { processes: settings.definitions.processes.iter().map(row).collect() }
    }

    pub fn case_types(&self) -> CaseTypeList {
        CaseTypeList { case_types: self.settings().definitions.case_types.iter().map(detail).collect() }
    }

    pub fn case_type(&self, name: &str) -> Result<CaseTypeDetail, EngineError> {
        let settings = self.settings();
        let found = settings.definitions.case_type(name).map(detail);
        found.ok_or_else(|| ProblemType::NotFound.with("there is no case type of that name").into())
    }

    /// All four, under the names that the settings give them.
    pub fn priorities(&self) -> PriorityList {
        let settings = self.settings();
        let row = |priority: Priority| {
            let named = settings.definitions.priorities.iter().find(|one| one.priority == priority);
            PriorityRow {
                name: named.map_or_else(|| priority.as_str().to_owned(), |one| one.name.clone()),
                priority: priority.as_str().to_owned(),
                description: named.and_then(|one| one.description.clone()),
            }
        };
        PriorityList { priorities: Priority::ALL.map(row).into() }
    }
}

fn detail(one: &CaseType) -> CaseTypeDetail {
    CaseTypeDetail {
        id: one.id(),
        name: one.name.clone(),
        process: one.process.clone(),
        solution: one.solution.clone(),
        description: one.description.clone(),
        priorities: words(&one.filter.priorities),
        auto_close_hours: one.auto_close_after.map(|after| after.as_secs_f64() / 3600.0),
        due_date: one.due.as_ref().map(terms),
        slas: one.slas.iter().map(sla).collect(),
    }
}

fn sla(one: &Sla) -> SlaRow {
    SlaRow {
        name: one.name.clone(),
        goal: one.goal.as_str().to_owned(),
        priorities: words(&one.priorities),
        terms: terms(&one.terms),
    }
}

fn terms(one: &Terms) -> TermsRow {
    TermsRow {
        within: one.within.as_secs(),
        warn_before: one.warn_before.map(|before| before.as_secs()),
        calendar: one.calendar.clone(),
    }
}

fn words(priorities: &[Priority]) -> Vec<String> {
    priorities.iter().map(|priority| priority.as_str().to_owned()).collect()
}
