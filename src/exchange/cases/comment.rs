//! Comments of those who work on a case, and of whom it was opened for (M-12).

use uuid::Uuid;

use super::CaseCall;
use crate::case::{Action, Comment, Edit};
use crate::exchange::remark::check_language;
use crate::exchange::work::{check_revision, form};
use crate::exchange::{Engine, EngineError};
use crate::protocol::cases::{CaseCommentRequest, CommentAnswer};
use crate::store::Write;

impl Engine {
    /// Adds a comment. One of the initiator's is never internal, and a case that waited for it goes on.
    pub async fn comment_on_case(
        &self,
        call: &CaseCall,
        request: CaseCommentRequest,
        initiator: bool,
    ) -> Result<CommentAnswer, EngineError> {
        if initiator && request.internal {
            return Err(form("what the initiator says is not internal".into()));
        }
        check_language(request.language.as_deref())?;
        let incident = self.incident(call.case).await?;
        check_revision(&incident, call.revision)?;
        let comment = Comment {
            id: Uuid::now_v7(),
            author: call.operator.clone(),
            written_at: self.now(),
            text: request.text,
            language: request.language,
            internal: request.internal,
            initiator,
            ..Comment::default()
        };
        comment.check().map_err(|fault| form(format!("comment {fault}")))?;
        let id = comment.id;
        let kind = match (initiator, request.internal) {
            (true, _) => "initiator's comment",
            (false, true) => "internal comment",
            (false, false) => "comment",
        };
        let edit = Edit { comments: vec![comment], ..Edit::default() };
        let write = self.edited(&incident, edit, Action::Commented, &call.operator, format!("{kind} {id}"));
        self.write_decision(Write { expected_revision: call.revision, ..write }).await?;
        if initiator {
            self.answered(call.case, &call.operator).await?;
        }
        Ok(CommentAnswer { case: self.case_answer(call.case).await?, comment: id })
    }
}
