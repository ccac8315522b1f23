//! Comments by command: public ones travel, internal ones stay (C-33); their author's site edits and deletes them.

use uuid::Uuid;

use super::work::{action, form};
use super::{Engine, EngineError};
use crate::case::language::is_tag;
use crate::case::{Action, Comment, Edit, IncidentId};
use crate::protocol::ProblemType;
use crate::protocol::operator::{CommentEditRequest, CommentRequest};

/// Refuses what is no language tag: a peer would leave it out.
pub(super) fn check_language(language: Option<&str>) -> Result<(), EngineError> {
    match language {
        Some(language) if !is_tag(language) => {
            Err(form("the language must be a tag (BCP 47), such as fr or pt-BR".into()))
        }
        _ => Ok(()),
    }
}

impl Engine {
    /// Adds a comment, whoever has the case in hand (C-48). Returns its ID.
    pub async fn remark(&self, id: IncidentId, request: &CommentRequest) -> Result<Uuid, EngineError> {
        check_language(request.language.as_deref())?;
        let incident = self.incident(id).await?;
        let comment = Comment {
            id: Uuid::now_v7(),
            author: request.operator.clone(),
            written_at: self.now(),
            text: request.text.clone(),
            language: request.language.clone(),
            internal: request.internal,
            ..Comment::default()
        };
        comment.check().map_err(|fault| form(format!("comment {fault}")))?;
        let (uid, kind) = (comment.id, if comment.internal { "internal comment" } else { "comment" });
        let edit = Edit { comments: vec![comment], ..Edit::default() };
        self.edit(&incident, edit, Action::Commented, &request.operator, format!("{kind} {uid}")).await?;
        Ok(uid)
    }

    /// Changes a comment that was written here, or takes it back.
    pub async fn edit_remark(
        &self,
        id: IncidentId,
        comment: Uuid,
        request: &CommentEditRequest,
    ) -> Result<(), EngineError> {
        let incident = self.incident(id).await?;
        let Some(known) = incident.comments.iter().find(|one| one.id == comment) else {
            return Err(ProblemType::NotFound.with(format!("incident {id} has no comment {comment}")).into());
        };
        if let Some(origin) = &known.origin {
            return Err(action(format!("comment {comment} was written at {origin} and is edited there")));
        }
        if request.internal == Some(true) && !known.internal {
            return Err(action(format!(
                "comment {comment} may be at other sites already; delete it, and write an internal one"
            )));
        }
        if known.deleted {
            return Err(action(format!("comment {comment} was deleted")));
        }
        let edited = Comment {
            text: request.text.clone().unwrap_or_else(|| known.text.clone()),
            internal: request.internal.unwrap_or(known.internal),
            deleted: request.deleted,
            edits: known.edits + 1,
            ..known.clone()
        };
        if (&edited.text, edited.internal, edited.deleted) == (&known.text, known.internal, known.deleted) {
            return Err(form("nothing to change was given".into()));
        }
        edited.check().map_err(|fault| form(format!("comment {fault}")))?;
        let detail = format!("comment {comment} {}", if edited.deleted { "deleted" } else { "edited" });
        let edit = Edit { comments: vec![edited], ..Edit::default() };
        self.edit(&incident, edit, Action::Commented, &request.operator, detail).await
    }
}
