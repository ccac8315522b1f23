//! The ten actions (M-02) on a case: eight move it through its states, two assign it to whoever asks.

use super::{CaseCall, Change};
use crate::case::{Action, CaseAction, InstanceEdit};
use crate::exchange::work::action;
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
            CaseAction::Claim => return self.claim(call).await,
            CaseAction::Unclaim => return self.unclaim(call).await,
            CaseAction::Open
            | CaseAction::Process
            | CaseAction::RequestInput
            | CaseAction::Hold
            | CaseAction::Resolve
            | CaseAction::Complete
            | CaseAction::Cancel
            | CaseAction::Reopen => {}
        }
        let request = WorkRequest { operator: call.operator.clone(), revision: call.revision, ..request };
        self.act(call.case, asked, &request).await?;
        self.case_answer(call.case).await
    }

    /// Assigns the case to whoever asks, unless somebody else has it.
    async fn claim(&self, call: &CaseCall) -> Result<CaseAnswer, EngineError> {
        let user = &call.person;
        self.check_may_work([user])?;
        self.change(call, Action::Assigned, |incident, instance| {
            CaseAction::Claim.leads_to(incident.state()).map_err(|illegal| action(illegal.to_string()))?;
            if instance.assigned_users.contains(user) {
                return Ok(None);
            }
            if let Some(other) = instance.assigned_users.first() {
                return Err(action(format!("{other} has claimed the case; let them unclaim it, or assign it anew")));
            }
            let assigned_users = Some([user.clone()].into());
            Ok(Some(Change::beside(InstanceEdit { assigned_users, ..InstanceEdit::default() }, "claimed")))
        })
        .await
    }

    /// Takes whoever asks away from those whom the case is assigned to.
    async fn unclaim(&self, call: &CaseCall) -> Result<CaseAnswer, EngineError> {
        let user = &call.person;
        self.change(call, Action::Assigned, |incident, instance| {
            CaseAction::Unclaim.leads_to(incident.state()).map_err(|illegal| action(illegal.to_string()))?;
            let mut users = instance.assigned_users.clone();
            if !users.remove(user) {
                return Err(action(format!("the case is not assigned to {user}")));
            }
            let edit = InstanceEdit { assigned_users: Some(users), ..InstanceEdit::default() };
            Ok(Some(Change::beside(edit, "unclaimed")))
        })
        .await
    }
}
