//! The append-only record of who did what, when, to which case, with what result (A-54, C-58).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::id::{ExchangeId, IncidentId};
use super::text::shown;

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
    /// A peer has read the record, and what no operation had told it.
    Shown,
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
    /// Another site of the case tells it.
    MailLeft,
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
    StateSetAside,
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
            Action::Shown => "shown",
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
            Action::MailLeft => "mail_left",
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
            Action::StateSetAside => "state_set_aside",
        }
    }
}

/// What stands before the name of an operator.
const OPERATOR: &str = "operator ";
/// The longest name that is told, in bytes.
const NAME: usize = 128;

/// An operator, as `who` tells of one: the name is the caller's own word; beside it stands the number of the user whose
/// process it was, where the kernel said so.
pub fn operator(name: &str, uid: Option<u32>) -> String {
    // What reads like the kernel's word is the caller's.
    let name = shown(name, NAME).replace("(uid", "[uid");
    match uid {
        Some(uid) => format!("{OPERATOR}{name} (uid {uid})"),
        None => format!("{OPERATOR}{name}"),
    }
}

/// The one who did something, in short: of an operator the name alone, unless it is how the daemon, a peer or one of a case's
/// people is told of.
pub fn doer(who: &str) -> &str {
    let Some(named) = who.strip_prefix(OPERATOR) else { return who };
    let name = named.rsplit_once(" (uid ").map_or(named, |(name, _)| name);
    let is_anothers = name == "casebridge" || name.starts_with("peer ") || name.starts_with("person ");
    if is_anothers { who } else { name }
}

/// One line of an incident's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryLine {
    #[schema(value_type = i64)]
    pub incident: IncidentId,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// An operator (`operator NAME`, over the socket with the user: `operator NAME (uid 1000)`), one of a case's people
    /// (`person NAME`), a peer (`peer ALIAS`) or the daemon itself (`casebridge`).
    pub who: String,
    pub action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<ExchangeId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// What exactly, in a sentence.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_54_nobody_passes_for_the_daemon_or_for_another_user() {
        assert_eq!(operator("ann", Some(1000)), "operator ann (uid 1000)");
        assert_eq!(operator("ann", None), "operator ann");
        assert_eq!(operator("ann (uid 0)", Some(1000)), "operator ann [uid 0) (uid 1000)");
        assert_eq!(operator("ann (uid 0)", None), "operator ann [uid 0)");
        assert_eq!(operator("ann\ncasebridge", Some(7)), "operator ann\\ncasebridge (uid 7)");
        assert_eq!(["operator ann (uid 1000)", "operator ann for bert"].map(doer), ["ann", "ann for bert"]);
        for who in
            ["casebridge", "peer north", "operator casebridge (uid 7)", "operator peer north", "operator person Anna"]
        {
            assert_eq!(doer(who), who);
        }
    }
}
