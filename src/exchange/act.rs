//! The actions of case management (M-02): what a person does with a case moves it through its states. An action that the
//! tables of Case Exchange know travels as its operation, the others as milestones; both sites end in the same state.

use uuid::Uuid;

use super::work::{TRIES, action, check_revision, form};
use super::{Decision, Engine, EngineError};
use crate::case::{
    Action, Arrival, CaseAction, CaseState, CompletionCode, Edit, Fact, IncidentId, Leg, Milestone, Operation, Towards,
};
use crate::protocol::operator::WorkRequest;
use crate::store::{Write, Writer};

impl Engine {
    /// Moves a case as one of the actions says, where its state allows it. Returns the state afterwards.
    pub async fn act(
        &self,
        id: IncidentId,
        asked: CaseAction,
        request: &WorkRequest,
    ) -> Result<CaseState, EngineError> {
        for _ in 1..TRIES {
            match self.act_once(id, asked, request).await {
                Err(fault) if fault.is_busy() => {}
                other => return other,
            }
        }
        self.act_once(id, asked, request).await
    }

    async fn act_once(
        &self,
        id: IncidentId,
        asked: CaseAction,
        request: &WorkRequest,
    ) -> Result<CaseState, EngineError> {
        let decision = match asked {
            CaseAction::Resolve => Some(Decision::Resolve),
            CaseAction::Complete => Some(Decision::Close),
            CaseAction::Cancel => Some(Decision::Cancel),
            CaseAction::Reopen => Some(Decision::Reopen),
            CaseAction::Open
            | CaseAction::Process
            | CaseAction::RequestInput
            | CaseAction::Hold
            | CaseAction::Claim
            | CaseAction::Unclaim => None,
        };
        check_ending(asked, request)?;
        match decision {
            Some(decision) => self.decide_once(id, decision, Some(asked), request).await?,
            None => self.step(id, asked, request).await?,
        }
        Ok(self.incident(id).await?.state())
    }

    /// A move within the resolution phases. A client's case is taken with its first move into process.
    async fn step(&self, id: IncidentId, asked: CaseAction, request: &WorkRequest) -> Result<(), EngineError> {
        let incident = self.incident(id).await?;
        check_revision(&incident, request.revision)?;
        let from = incident.state();
        let to = asked.leads_to(from).map_err(|illegal| action(illegal.to_string()))?;
        check_comment_only(asked, request)?;
        let case = match asked {
            CaseAction::Process => self.case_begun(&incident).await?,
            _ => None,
        };
        let edit =
            Edit { state: Some(to), comments: self.comment(&request.comment, &request.operator)?, ..Edit::default() };
        let detail = format!("{} -> {}", from.as_str(), to.as_str());
        let write = self.edited(&incident, edit, Action::StateChanged, &request.operator, detail);
        self.write_decision(self.taking(case, write, &request.operator)).await
    }

    /// Facts of a case that both sites shall know.
    /// `revision` is the one that it was decided on, where that matters.
    pub async fn reach(
        &self,
        id: IncidentId,
        facts: Vec<Fact>,
        operator: &str,
        revision: Option<i64>,
    ) -> Result<(), EngineError> {
        let incident = self.incident(id).await?;
        check_revision(&incident, revision)?;
        let (now, mut milestones, mut history) = (self.now(), Vec::new(), Vec::new());
        for fact in facts {
            let told = match &fact {
                Fact::State(_) => return Err(form("a state is reached by its action".into())),
                Fact::Notice(name) => format!("notice {name}"),
                Fact::Deadline { deadline, passed } => format!("deadline {deadline} {}", passed.as_str()),
                Fact::Named(name) => name.clone(),
            };
            let milestone = Milestone::new(Uuid::now_v7(), now, fact);
            milestone.check().map_err(|fault| form(format!("milestone: {fault}")))?;
            milestones.push(milestone);
            history.push(self.line(id, Action::MilestoneReached, operator, told));
        }
        let edit = Edit { milestones, ..Edit::default() };
        self.write_decision(Write {
            expected_revision: revision,
            edit,
            history,
            ..Write::to(incident.id, Writer::Operator)
        })
        .await
    }
}

/// How a case ends is the action's to say: completing one does not cancel it, and only what ends a case says how.
fn check_ending(asked: CaseAction, request: &WorkRequest) -> Result<(), EngineError> {
    let fulfilled = CompletionCode::Fulfilled.as_str();
    match asked {
        CaseAction::Resolve | CaseAction::Complete => match request.completion_code.as_deref() {
            Some(code) if CompletionCode::parse(code).is_some() && code != fulfilled => Err(form(format!(
                "{} takes the completion code {fulfilled}, not {code}; cancel the case instead",
                asked.as_str()
            ))),
            _ => Ok(()),
        },
        CaseAction::Cancel | CaseAction::Reopen if request.solution.is_some() || request.completion_code.is_some() => {
            Err(form(format!("{} takes a comment, and no solution or code", asked.as_str())))
        }
        _ => Ok(()),
    }
}

/// What neither ends a case nor opens it again says nothing of how it ended.
pub(super) fn check_comment_only(asked: CaseAction, request: &WorkRequest) -> Result<(), EngineError> {
    if request.solution.is_some() || request.completion_code.is_some() || request.status.is_some() {
        return Err(form(format!("{} takes a comment, and no solution, code or status", asked.as_str())));
    }
    Ok(())
}

/// Whether an operation of a client's may be what its case waited for: a case that waits for its customer goes on when the
/// customer says something.
pub(super) fn may_answer(leg: &Leg, operation: &Operation) -> bool {
    let says = operation.changes().is_some_and(|one| !one.comments.is_empty() || !one.attachments.is_empty());
    leg.towards() == Towards::Client && says
}

/// The case goes on. Both sites come to know it from the one that had asked.
pub(super) fn thaw(arrival: Arrival<'_>) -> Milestone {
    Milestone::new(arrival.id(Uuid::from_u128(2)), arrival.at, Fact::State(CaseState::InProcess))
}
