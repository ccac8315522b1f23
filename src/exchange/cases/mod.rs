//! Cases for the people who work on them: `list` and `show` tell, `create` opens one by hand, `edit`, `people`, `marks` and
//! `relate` change what a case has beside its record, `comment` and `documents` add what travels, `act` does its actions.
//!
//! A case is named by its number, its GUID or its display ID. What the caller does not see is answered like what is not there.

mod act;
mod comment;
mod create;
mod documents;
mod edit;
mod list;
mod marks;
mod people;
mod relate;
mod show;
mod spool;

use std::collections::HashSet;

use super::work::{TRIES, action, check_revision};
use super::{Engine, EngineError};
use crate::case::{
    Action, Case, CaseName, CaseState, Edit, Incident, IncidentId, Instance, InstanceEdit, Permissions, UserName,
    case_name,
};
use crate::protocol::ProblemType;
use crate::protocol::cases::CaseAnswer;
use crate::store::{CaseFilter, CasePage, CaseQuery, ListedCase, Seen, Write, Writer, Written};

pub use documents::Download;
pub use people::WORK;
pub use spool::Spool;

/// A person's call on one case.
#[derive(Debug, Clone)]
pub struct CaseCall {
    pub case: IncidentId,
    /// The revision that it was decided on (`If-Match`).
    pub revision: Option<i64>,
    /// In whose name, as the history tells it.
    pub operator: String,
    /// Whoever it is meant for, as cases name people.
    pub person: UserName,
    /// What the caller may do: a refusal tells nothing that it may not view.
    pub may: Permissions,
}

/// What a call changes: in the record, beside it, and how the history tells it.
struct Change {
    edit: Edit,
    instance: InstanceEdit,
    /// The case that a client's incident becomes with it.
    taken: Option<Case>,
    told: String,
}

impl Change {
    fn beside(instance: InstanceEdit, told: impl Into<String>) -> Self {
        Self { edit: Edit::default(), instance, taken: None, told: told.into() }
    }
}

impl Engine {
    /// The case of this name, if the caller sees it.
    pub async fn find_case(&self, name: &str, seen: &Seen) -> Result<IncidentId, EngineError> {
        match self.look_up(name, seen).await? {
            Found::Sound(case) => Ok(case.incident),
            Found::Unreadable(id) => Ok(id),
        }
    }

    async fn look_up(&self, name: &str, seen: &Seen) -> Result<Found, EngineError> {
        let nothing = || EngineError::from(ProblemType::NotFound.with("there is no such case, or none that you see"));
        let name = CaseName::parse(name).ok_or_else(nothing)?;
        let number = name.number(self.site()).ok_or_else(nothing)?;
        let page = self.of_numbers(vec![number], seen).await?;
        if let Some(id) = page.unreadable.first() {
            return Ok(Found::Unreadable(*id));
        }
        let own = self.settings().site.alias.clone();
        let case = page.cases.into_iter().next().filter(|case| name.is_of(case.client.as_ref(), &own));
        case.map(|case| Found::Sound(Box::new(case))).ok_or_else(nothing)
    }

    /// Those of these cases that the caller sees.
    pub(super) async fn seen_of(
        &self,
        cases: impl IntoIterator<Item = IncidentId>,
        seen: &Seen,
    ) -> Result<HashSet<IncidentId>, EngineError> {
        let numbers: Vec<IncidentId> = cases.into_iter().collect();
        if *seen == Seen::all() || numbers.is_empty() {
            return Ok(numbers.into_iter().collect());
        }
        let page = self.of_numbers(numbers, seen).await?;
        Ok(page.cases.into_iter().map(|case| case.incident).chain(page.unreadable).collect())
    }

    async fn of_numbers(&self, numbers: Vec<IncidentId>, seen: &Seen) -> Result<CasePage, EngineError> {
        let limit = numbers.len();
        let filters = vec![CaseFilter::Numbers(numbers)];
        Ok(self.store().cases(&CaseQuery { filters, deleted: true, ..CaseQuery::of(seen.clone(), limit) }).await?)
    }

    /// What the case has beside its record.
    async fn instance(&self, id: IncidentId) -> Result<Instance, EngineError> {
        match self.store().instances(&[id]).await?.remove(&id) {
            Some(Ok(instance)) => Ok(instance),
            Some(Err(reason)) => Err(action(format!("case {id} does not read: {reason}"))),
            None => Err(ProblemType::NotFound.with("there is no such case, or none that you see").into()),
        }
    }

    /// How the case is named, and how it stands now.
    pub async fn case_answer(&self, id: IncidentId) -> Result<CaseAnswer, EngineError> {
        let incident = self.incident(id).await?;
        Ok(CaseAnswer {
            id: case_name::guid(self.site(), id),
            number: id.0,
            display_id: case_name::display_id(incident.client.as_ref(), &self.settings().site.alias, id),
            state: incident.state(),
            revision: incident.revision,
        })
    }

    /// Changes a case as `decide` says, seen as it stands; None changes nothing. Decided anew when somebody else changes it at
    /// the same moment, unless the caller named a revision.
    async fn change(
        &self,
        call: &CaseCall,
        action_word: Action,
        decide: impl Fn(&Incident, &Instance) -> Result<Option<Change>, EngineError>,
    ) -> Result<CaseAnswer, EngineError> {
        for _ in 0..TRIES {
            let incident = self.incident(call.case).await?;
            check_revision(&incident, call.revision)?;
            let instance = self.instance(call.case).await?;
            let Some(Change { edit, instance, taken, told }) = decide(&incident, &instance)? else {
                return self.case_answer(call.case).await;
            };
            instance.check().map_err(|fault| super::work::form(fault.to_string()))?;
            let write = Write {
                expected_revision: Some(incident.revision),
                edit,
                instance: Some(Box::new(instance)),
                history: vec![self.line(call.case, action_word, &call.operator, told)],
                ..Write::to(call.case, Writer::Operator)
            };
            if self.write_one(self.taking(taken, write, &call.operator)).await? == Written::Done {
                self.0.changed.notify_one();
                return self.case_answer(call.case).await;
            }
        }
        Err(ProblemType::Busy.with("the case keeps changing; try again").into())
    }
}

/// What is over stays as it ended: remarks, documents, tags, flags, watchers and the relation are added, the rest is changed
/// after it was reopened.
fn check_not_over(incident: &Incident) -> Result<(), EngineError> {
    match incident.state() {
        state @ (CaseState::Completed | CaseState::Canceled) => Err(action(format!(
            "the case is {state}; comments, documents, tags, flags, watchers and its relation may be changed, for the rest reopen it first"
        ))),
        _ => Ok(()),
    }
}

/// What a name led to.
enum Found {
    Sound(Box<ListedCase>),
    /// Another program wrote what breaks a rule.
    Unreadable(IncidentId),
}
