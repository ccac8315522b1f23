//! The ten actions (M-02) on a case: eight move it through its states, two assign it to whoever asks.

use super::{CaseCall, Change};
use crate::case::{Action, CaseAction, Edit, InstanceEdit};
use crate::exchange::act::check_comment_only;
use crate::exchange::work::{action, is_to_be_taken};
use crate::exchange::{Engine, EngineError};
use crate::protocol::cases::CaseAnswer;
use crate::protocol::operator::WorkRequest;

impl Engine {
    /// Moves a case as one of the actions says.
    pub async fn act_on_case(
        &self,
        call: &CaseCall,
        asked: CaseAction,
        request: WorkRequest,
    ) -> Result<CaseAnswer, EngineError> {
        match asked {
            CaseAction::Claim => return self.claim(call, &request).await,
            CaseAction::Unclaim => return self.unclaim(call, &request).await,
            CaseAction::Open
            | CaseAction::Process
            | CaseAction::RequestInput
            | CaseAction::Hold
            | CaseAction::Resolve
            | CaseAction::Complete
            | CaseAction::Cancel
            | CaseAction::Reopen => {}
        }
        let (operator, person) = (call.operator.clone(), Some(call.person.clone()));
        let request = WorkRequest { operator, person, revision: call.revision, ..request };
        self.act(call.case, asked, &request).await?;
        self.case_answer(call.case).await
    }

    /// Assigns the case to whoever asks, unless somebody else has it. A client's that nobody has taken is taken with
    /// it.
    async fn claim(&self, call: &CaseCall, request: &WorkRequest) -> Result<CaseAnswer, EngineError> {
        let user = &call.person;
        self.check_may_work([user])?;
        check_comment_only(CaseAction::Claim, request)?;
        let comments = self.comment(&request.comment, &call.operator)?;
        let case = self.case_begun(&self.incident(call.case).await?).await?;
        self.change(call, Action::Assigned, |incident, instance| {
            CaseAction::Claim.leads_to(incident.state()).map_err(|illegal| action(illegal.to_string()))?;
            let assigned_users = match instance.assigned_users.first() {
                _ if instance.assigned_users.contains(user) => None,
                Some(other) => {
                    return Err(action(format!(
                        "{other} has claimed the case; let them unclaim it, or assign it anew"
                    )));
                }
                None => Some([user.clone()].into()),
            };
            let taken = case.clone().filter(|_| is_to_be_taken(incident));
            if assigned_users.is_none() && comments.is_empty() && taken.is_none() {
                return Ok(None);
            }
            let edit = Edit { comments: comments.clone(), ..Edit::default() };
            let instance = InstanceEdit { assigned_users, ..InstanceEdit::default() };
            Ok(Some(Change { edit, instance, taken, told: "claimed".into() }))
        })
        .await
    }

    /// Takes whoever asks away from those whom the case is assigned to.
    async fn unclaim(&self, call: &CaseCall, request: &WorkRequest) -> Result<CaseAnswer, EngineError> {
        let user = &call.person;
        check_comment_only(CaseAction::Unclaim, request)?;
        let comments = self.comment(&request.comment, &call.operator)?;
        self.change(call, Action::Assigned, |incident, instance| {
            CaseAction::Unclaim.leads_to(incident.state()).map_err(|illegal| action(illegal.to_string()))?;
            let mut users = instance.assigned_users.clone();
            if !users.remove(user) {
                return Err(action(format!("the case is not assigned to {user}")));
            }
            let edit = Edit { comments: comments.clone(), ..Edit::default() };
            let instance = InstanceEdit { assigned_users: Some(users), ..InstanceEdit::default() };
            Ok(Some(Change { edit, instance, taken: None, told: "unclaimed".into() }))
        })
        .await
    }
}
