//! The case that a case came from (M-01).

use super::{CaseCall, Change, Found};
use crate::case::{Action, InstanceEdit, Relation, case_name};
use crate::exchange::work::{action, form};
use crate::exchange::{Engine, EngineError};
use crate::protocol::cases::CaseAnswer;
use crate::store::Seen;

impl Engine {
    /// Relates a case to the one that it came from, as that one stands now; to none without one.
    pub async fn relate_case(&self, call: &CaseCall, to: Option<&str>, seen: &Seen) -> Result<CaseAnswer, EngineError> {
        let relation = match to {
            Some(name) => Some(self.relation_to(call, name, seen).await?),
            None => None,
        };
        self.change(call, Action::Edited, |_, instance| {
            if relation.is_none() && instance.relation.is_none() {
                return Ok(None);
            }
            // Not to which one: whoever sees this case need not see that one.
            let told = if relation.is_some() { "related to another case" } else { "related to no case" };
            let edit = InstanceEdit { relation: Some(relation.clone()), ..InstanceEdit::default() };
            Ok(Some(Change::beside(edit, told)))
        })
        .await
    }

    async fn relation_to(&self, call: &CaseCall, name: &str, seen: &Seen) -> Result<Relation, EngineError> {
        let case = match self.look_up(name, seen).await? {
            Found::Sound(case) => case,
            Found::Unreadable(id) => return Err(action(format!("case {id} does not read"))),
        };
        if case.incident == call.case {
            return Err(form("a case does not come from itself".into()));
        }
        Ok(Relation {
            id: case_name::guid(self.site(), case.incident),
            display_id: case_name::display_id(case.client.as_ref(), &self.settings().site.alias, case.incident),
            details: case.synopsis,
            state: case.state,
            priority: case.priority,
            created_at: case.created_at,
            related_at: self.now(),
        })
    }
}
