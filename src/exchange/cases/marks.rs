//! Tags of a case, and milestones that people give a name.

use super::{CaseCall, Change, check_not_over};
use crate::case::{Action, Fact, InstanceEdit, Tag};
use crate::exchange::{Engine, EngineError};
use crate::protocol::ProblemType;
use crate::protocol::cases::CaseAnswer;

impl Engine {
    /// Puts a tag to a case. One that is there already stays.
    pub async fn tag_case(&self, call: &CaseCall, tag: Tag) -> Result<CaseAnswer, EngineError> {
        self.change(call, Action::Edited, |_, instance| {
            let mut tags = instance.tags.clone();
            let new = tags.insert(tag.clone());
            let edit = InstanceEdit { tags: Some(tags), ..InstanceEdit::default() };
            Ok(new.then(|| Change::beside(edit, format!("tagged {tag}"))))
        })
        .await
    }

    /// Takes a tag from a case.
    pub async fn untag_case(&self, call: &CaseCall, tag: Tag) -> Result<CaseAnswer, EngineError> {
        self.change(call, Action::Edited, |_, instance| {
            let mut tags = instance.tags.clone();
            if !tags.remove(&tag) {
                return Err(ProblemType::NotFound.with("the case has no such tag").into());
            }
            let edit = InstanceEdit { tags: Some(tags), ..InstanceEdit::default() };
            Ok(Some(Change::beside(edit, format!("tag {tag} removed"))))
        })
        .await
    }

    /// Notes that the case has come to what people gave a name. Both sites come to know it.
    pub async fn reach_milestone(&self, call: &CaseCall, name: String) -> Result<CaseAnswer, EngineError> {
        check_not_over(&self.incident(call.case).await?)?;
        self.reach(call.case, vec![Fact::Named(name)], &call.operator, call.revision).await?;
        self.case_answer(call.case).await
    }
}
