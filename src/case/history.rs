//! The append-only record of who did what, when, to which case, with what result (A-54, C-58).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::id::{ExchangeId, IncidentId};

/// What happened to an incident. The words stand in the store and are shown to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Deposited,
    /// Another program put it into the store.
    Detected,
    DraftSaved,
    Submitted,
    Escalated,
    Held,
    CreateReceived,
    IncidentOpened,
    Acknowledged,
    CaseAccepted,
    OperationApplied,
    ConflictFound,
    OperationSent,
    OperationParked,
    OperationRetried,
    Edited,
    StateChanged,
    MilestoneReached,
    Overridden,
    Assigned,
    Commented,
    AttachmentAdded,
    DocumentRemoved,
    AttachmentSent,
    AttachmentSkipped,
    AttachmentRefused,
    AttachmentFailed,
    Adopted,
    Reconciled,
    Resynced,
    OpenedByHand,
    Linked,
    OperationPostponed,
    Receipt,
    /// A peer has signed for something else than went there.
    ReceiptWrong,
    KeyMade,
    KeyRotated,
    KeyPinned,
    KeyOffered,
    PartyAdded,
    PartyRemoved,
    MailSent,
    MailRefused,
    MailRetried,
    Reminded,
    DeadlineWarned,
    DeadlineMissed,
    AutoClosed,
    ContactDiffers,
    ReactionsChanged,
    ReactionsRetried,
    JobRun,
    SettingsRead,
    TokensChanged,
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Deposited => "deposited",
            Action::Detected => "detected",
            Action::DraftSaved => "draft_saved",
            Action::Submitted => "submitted",
            Action::Escalated => "escalated",
            Action::Held => "held",
            Action::CreateReceived => "create_received",
            Action::IncidentOpened => "incident_opened",
            Action::Acknowledged => "acknowledged",
            Action::CaseAccepted => "case_accepted",
            Action::OperationApplied => "operation_applied",
            Action::ConflictFound => "conflict_found",
            Action::OperationSent => "operation_sent",
            Action::OperationParked => "operation_parked",
            Action::OperationRetried => "operation_retried",
            Action::Edited => "edited",
            Action::StateChanged => "state_changed",
            Action::MilestoneReached => "milestone_reached",
            Action::Overridden => "overridden",
            Action::Assigned => "assigned",
            Action::Commented => "commented",
            Action::AttachmentAdded => "attachment_added",
            Action::DocumentRemoved => "document_removed",
            Action::AttachmentSent => "attachment_sent",
            Action::AttachmentSkipped => "attachment_skipped",
            Action::AttachmentRefused => "attachment_refused",
            Action::AttachmentFailed => "attachment_failed",
            Action::Adopted => "adopted",
            Action::Reconciled => "reconciled",
            Action::Resynced => "resynced",
            Action::OpenedByHand => "opened_by_hand",
            Action::Linked => "linked",
            Action::OperationPostponed => "operation_postponed",
            Action::Receipt => "receipt",
            Action::ReceiptWrong => "receipt_wrong",
            Action::KeyMade => "key_made",
            Action::KeyRotated => "key_rotated",
            Action::KeyPinned => "key_pinned",
            Action::KeyOffered => "key_offered",
            Action::PartyAdded => "party_added",
            Action::PartyRemoved => "party_removed",
            Action::MailSent => "mail_sent",
            Action::MailRefused => "mail_refused",
            Action::MailRetried => "mail_retried",
            Action::Reminded => "reminded",
            Action::DeadlineWarned => "deadline_warned",
            Action::DeadlineMissed => "deadline_missed",
            Action::AutoClosed => "auto_closed",
            Action::ContactDiffers => "contact_differs",
            Action::ReactionsChanged => "reactions_changed",
            Action::ReactionsRetried => "reactions_retried",
            Action::JobRun => "job_run",
            Action::SettingsRead => "settings_read",
            Action::TokensChanged => "tokens_changed",
        }
    }
}

/// One line of an incident's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryLine {
    #[schema(value_type = i64)]
    pub incident: IncidentId,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// A person (`operator NAME`), a peer (`peer ALIAS`) or the daemon itself (`casebridge`).
    pub who: String,
    pub action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<ExchangeId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// What exactly, in a sentence.
    pub detail: String,
}
