//! What happened and is in no history yet: another program put an incident into the store, or a case ID into an incident;
//! or a case ID came with the whole picture of an exchange. Whoever reacts to such an event reads of it there.

use super::{Engine, EngineError};
use crate::case::{Action, Edit, HistoryLine, Incident};
use crate::store::{Untold, Write, Writer};

impl Engine {
    /// Called by the one pass that reads changes, so that nothing is told twice.
    pub(super) async fn tell_untold(&self, incidents: &[Incident]) -> Result<(), EngineError> {
        let ids: Vec<_> = incidents.iter().map(|incident| incident.id).collect();
        let untold = self.store().untold(&ids).await?;
        let mut writes = Vec::with_capacity(untold.len());
        for (id, what) in untold {
            let Some(incident) = incidents.iter().find(|incident| incident.id == id) else { continue };
            let line = match (what, &incident.case) {
                (Untold::Detected, _) => {
                    self.daemons_line(incident, Action::Detected, "put into the store by another program".into())
                }
                (Untold::CaseAssigned, Some(case)) => {
                    self.daemons_line(incident, Action::CaseAccepted, format!("case {} was entered", case.id))
                }
                (Untold::CaseAssigned, None) => continue,
            };
            writes.push(Write { history: vec![line], ..Write::to(id, Writer::Bridge) });
        }
        self.store().write(writes).await?;
        Ok(())
    }

    /// The line for a case ID that an incident gets with the picture that the peer has of it.
    pub(super) fn case_line(&self, incident: &Incident, edit: &Edit) -> Option<HistoryLine> {
        let case = edit.case.as_ref().filter(|_| incident.case.is_none())?;
        Some(self.daemons_line(incident, Action::CaseAccepted, format!("case {}, as the peer has it", case.id)))
    }

    fn daemons_line(&self, incident: &Incident, action: Action, detail: String) -> HistoryLine {
        HistoryLine {
            incident: incident.id,
            at: self.now(),
            who: "casebridge".into(),
            action: action.as_str().into(),
            exchange: None,
            seq: None,
            detail,
        }
    }
}
