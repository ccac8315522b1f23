//! Everything about one case, as far as the caller may view it.

use jiff::Timestamp;

use super::{Found, list};
use crate::case::deadline::{Deadline, DeadlineKind};
use crate::case::text::encoded;
use crate::case::{
    Action, Attachment, AttachmentState, CaseState, Comment, DueDate, HistoryLine, IncidentId, Instants, Milestone,
    case_name, case_type,
};
use crate::exchange::work::action;
use crate::exchange::{Engine, EngineError};
use crate::protocol::cases::{CaseComment, CaseDetail, CaseDocument, CaseMilestone, CaseRow, CaseSla};
use crate::store::Seen;

impl Engine {
    /// The case of this name, if the caller sees it. Comments and documents only for whom may view them.
    pub async fn show_case(
        &self,
        name: &str,
        seen: &Seen,
        comments: bool,
        documents: bool,
    ) -> Result<CaseDetail, EngineError> {
        let case = match self.look_up(name, seen).await? {
            Found::Sound(case) => *case,
            Found::Unreadable(id) => return Err(action(format!("case {id} does not read; see `casebridge why {id}`"))),
        };
        let id = case.incident;
        // Read after its revision: what is shown is never older than the revision that is named with it.
        let incident = self.incident(id).await?;
        let settings = self.settings();
        let name = case.instance.case_type.as_ref();
        let case_type = name.and_then(|name| settings.definitions.case_type(name.as_str()));
        let (milestones, state) = (incident.milestones.as_slice(), incident.state());
        let counts = |kind| incident.deadlines.iter().filter(move |one: &&Deadline| one.kind == kind && !one.dropped);
        let warned = |one: &&Deadline| one.passed(milestones).0;
        let due = DueDate::of(&incident.deadlines, milestones, state);
        let (due_warned, exceeded) = due.map(|due| due.deadline.passed(milestones)).unwrap_or_default();
        let mut row = list::row(case.clone(), self.site(), &settings.site.alias);
        self.hide_relation(&mut row, seen).await?;
        Ok(CaseDetail {
            row: CaseRow {
                due_date: due.map(|due| due.at),
                due_date_stands_still: due.is_some_and(|due| due.stands_still),
                ..row
            },
            case_type_id: name.map(|name| case_type::guid("case type", name.as_str())),
            solution_name: case_type.map(|one| one.solution.clone()),
            process_name: case_type.map(|one| one.process.clone()),
            sla_instance_ids: counts(DeadlineKind::Sla).map(|one| one.id).collect(),
            message_warned_slas: counts(DeadlineKind::Sla).filter(warned).map(|one| one.id).collect(),
            slas: counts(DeadlineKind::Sla).map(|one| sla(one, milestones, state, self.now())).collect(),
            due_date_warning: due.and_then(|due| due.warns_at),
            marked_due_date_warning: due_warned,
            marked_due_date_exceeded: exceeded,
            description: incident.event.description,
            resolution: incident.work.solution,
            milestones: incident.milestones.iter().cloned().map(milestone).collect(),
            comments: comments.then(|| incident.comments.into_iter().map(comment).collect()),
            documents: if documents { Some(self.case_documents(id).await?) } else { None },
        })
    }

    /// What was said about a case.
    pub async fn case_comments(&self, id: IncidentId) -> Result<Vec<CaseComment>, EngineError> {
        Ok(self.incident(id).await?.comments.into_iter().map(comment).collect())
    }

    /// The files of a case.
    pub async fn case_documents(&self, id: IncidentId) -> Result<Vec<CaseDocument>, EngineError> {
        let guid = case_name::guid(self.site(), id);
        let attachments = self.store().attachments(id).await?;
        Ok(attachments.into_iter().map(|one| document(one, &guid.to_string())).collect())
    }

    /// Who did what with a case, when: the newest lines, the oldest of them first. Documents are named only to whom may view
    /// them.
    pub async fn case_activities(&self, id: IncidentId, documents: bool) -> Result<Vec<HistoryLine>, EngineError> {
        /// Lines shown.
        const HISTORY: usize = 1000;
        let mut lines = self.store().history(id, HISTORY).await?;
        for line in lines.iter_mut().filter(|line| !documents && names_a_document(&line.action)) {
            line.detail = "a document".into();
        }
        Ok(lines)
    }
}

fn names_a_document(action: &str) -> bool {
    const NAMING: [Action; 6] = [
        Action::AttachmentAdded,
        Action::DocumentRemoved,
        Action::AttachmentSent,
        Action::AttachmentSkipped,
        Action::AttachmentRefused,
        Action::AttachmentFailed,
    ];
    NAMING.iter().any(|one| one.as_str() == action)
}

fn comment(comment: Comment) -> CaseComment {
    CaseComment {
        id: comment.id,
        author: comment.author,
        written_at: comment.written_at,
        text: comment.text,
        language: comment.language,
        internal: comment.internal,
        initiator: comment.initiator,
        deleted: comment.deleted,
        origin: comment.origin.map(|origin| origin.to_string()),
    }
}

fn sla(one: &Deadline, milestones: &[Milestone], state: CaseState, now: Timestamp) -> CaseSla {
    let Instants { warns_at, due_at } = one.instants(milestones, state);
    let (warned, violated) = one.passed(milestones);
    CaseSla {
        id: one.id,
        name: one.name.clone(),
        goal: one.goal.as_str().to_owned(),
        origin: one.origin.as_ref().map(ToString::to_string),
        warns_at,
        due_at,
        warned,
        // Also before the job comes to note it.
        missed: violated || due_at.is_some_and(|at| at <= now),
    }
}

fn milestone(one: Milestone) -> CaseMilestone {
    CaseMilestone { id: one.id, at: one.at, fact: one.fact }
}

fn document(attachment: Attachment, guid: &str) -> CaseDocument {
    let Attachment { name, media_type, state } = attachment;
    let link = format!("/v1/cases/{guid}/documents/{}", encoded(&name));
    let bare = |state: &str| CaseDocument {
        name: name.clone(),
        media_type: media_type.clone(),
        state: state.into(),
        bytes: None,
        sha256: None,
        reason: None,
        link: None,
    };
    match state {
        AttachmentState::Stored { bytes, sha256 } => {
            CaseDocument { bytes: Some(bytes), sha256: Some(sha256), link: Some(link), ..bare("stored") }
        }
        AttachmentState::Awaited => bare("awaited"),
        AttachmentState::Failed { reason } => CaseDocument { reason: Some(reason), ..bare("failed") },
    }
}
