//! Comments of those who work on a case, and of whom it was opened for (M-12).

use uuid::Uuid;

use super::CaseCall;
use crate::case::{Action, CaseState, Comment, Edit};
use crate::exchange::remark::check_language;
use crate::exchange::work::{TRIES, check_revision, form};
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
        let id = Uuid::now_v7();
        for _ in 1..TRIES {
            match self.comment_once(call, &request, initiator, id).await {
                Err(fault) if fault.is_busy() => {}
                other => return other,
            }
        }
        self.comment_once(call, &request, initiator, id).await
    }

    async fn comment_once(
        &self,
        call: &CaseCall,
        request: &CaseCommentRequest,
        initiator: bool,
        id: Uuid,
    ) -> Result<CommentAnswer, EngineError> {
        let incident = self.incident(call.case).await?;
        check_revision(&incident, call.revision)?;
        let comment = Comment {
            id,
            author: call.operator.clone(),
            written_at: self.now(),
            text: request.text.clone(),
            language: request.language.clone(),
            internal: request.internal,
            initiator,
            ..Comment::default()
        };
        comment.check().map_err(|fault| form(format!("comment {fault}")))?;
        let kind = match (initiator, request.internal) {
            (true, _) => "initiator's comment",
            (false, true) => "internal comment",
            (false, false) => "comment",
        };
        let from = incident.state();
        // In one write with the answer: died in between, the case would wait for what was said.
        let state = (initiator && from == CaseState::InputRequested).then_some(CaseState::InProcess);
        let edit = Edit { comments: vec![comment], state, ..Edit::default() };
        let write = self.edited(&incident, edit, Action::Commented, &call.operator, format!("{kind} {id}"));
        let mut history = write.history;
        history.extend(state.map(|to| {
            let detail = format!("{} -> {}", from.as_str(), to.as_str());
            self.line(call.case, Action::StateChanged, &call.operator, detail)
        }));
        let expected_revision = call.revision.or(write.expected_revision);
        self.write_decision(Write { expected_revision, history, ..write }).await?;
        Ok(CommentAnswer { case: self.case_answer(call.case).await?, comment: id })
    }
}
