//! Named places between two persistence steps at which a test can kill the process. A release build holds none of it.

/// Every place: behind each durable step and before the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    // The store: a write is made and not committed; and behind the commit of each verb that writes.
    StoreCommitting,
    StoreDeposited,
    StoreOpened,
    StoreLinked,
    StoreWritten,
    CasesTimed,
    DeadlinesRefreshed,
    ClosingsQueued,
    ClosingSettled,
    AttachmentAdded,
    AttachmentDecided,
    ContentBegun,
    ContentAppended,
    AttachmentGone,
    AttachmentGivenUp,
    EventsPassed,
    ReactionsSet,
    ReactionsQueued,
    ReactionBegun,
    ReactionDone,
    ReactionEnded,
    ReceiptKept,
    ReceiptMarked,
    KeySet,
    PartyChanged,
    MailQueued,
    MailSettled,
    StepTaken,
    ReminderMoved,
    MailTaken,
    FormTaken,
    // The state: made; a group written, synced, and counted as acknowledged.
    StateCreated,
    StateApplied,
    StateSynced,
    StateFlushed,
    // The inbox: each move of a file, and the reason beside one in quarantine.
    DepositMoved,
    ReasonWritten,
    QuarantineMoved,
    // Acknowledgements: answers that are about to go out at a partner, and what a client took, told in the histories.
    OperationsAnswered,
    UpdatesAnswered,
    TakenTold,
    // Between two of these, where the flow goes on from one to the next.
    DepositStored,
    HeldMarked,
    DetectCommitted,
    PushAnswered,
    TransactionWrittenBack,
    AnswerCommitted,
    IncidentOpened,
    OpenCommitted,
    ReceivedCommitted,
    OperationApplied,
    ApplyCommitted,
    FeedAnswered,
    FeedWrittenBack,
    FeedCommitted,
    FeedAcknowledged,
    AdoptedPage,
    Reconciled,
    // The mail server has a mail, and its row does not say so yet.
    MailAccepted,
    // The jobs of case management: a deadline that passed and is not noted, one that is, a case that was closed and not
    // taken off the queue.
    DeadlineFound,
    DeadlineNoted,
    CaseClosed,
}

impl CrashPoint {
    pub const ALL: [CrashPoint; 62] = [
        CrashPoint::StoreCommitting,
        CrashPoint::StoreDeposited,
        CrashPoint::StoreOpened,
        CrashPoint::StoreLinked,
        CrashPoint::StoreWritten,
        CrashPoint::CasesTimed,
        CrashPoint::DeadlinesRefreshed,
        CrashPoint::ClosingsQueued,
        CrashPoint::ClosingSettled,
        CrashPoint::AttachmentAdded,
        CrashPoint::AttachmentDecided,
        CrashPoint::ContentBegun,
        CrashPoint::ContentAppended,
        CrashPoint::AttachmentGone,
        CrashPoint::AttachmentGivenUp,
        CrashPoint::EventsPassed,
        CrashPoint::ReactionsSet,
        CrashPoint::ReactionsQueued,
        CrashPoint::ReactionBegun,
        CrashPoint::ReactionDone,
        CrashPoint::ReactionEnded,
        CrashPoint::ReceiptKept,
        CrashPoint::ReceiptMarked,
        CrashPoint::KeySet,
        CrashPoint::PartyChanged,
        CrashPoint::MailQueued,
        CrashPoint::MailSettled,
        CrashPoint::StepTaken,
        CrashPoint::ReminderMoved,
        CrashPoint::MailTaken,
        CrashPoint::FormTaken,
        CrashPoint::StateCreated,
        CrashPoint::StateApplied,
        CrashPoint::StateSynced,
        CrashPoint::StateFlushed,
        CrashPoint::DepositMoved,
        CrashPoint::ReasonWritten,
        CrashPoint::QuarantineMoved,
        CrashPoint::OperationsAnswered,
        CrashPoint::UpdatesAnswered,
        CrashPoint::TakenTold,
        CrashPoint::DepositStored,
        CrashPoint::HeldMarked,
        CrashPoint::DetectCommitted,
        CrashPoint::PushAnswered,
        CrashPoint::TransactionWrittenBack,
        CrashPoint::AnswerCommitted,
        CrashPoint::IncidentOpened,
        CrashPoint::OpenCommitted,
        CrashPoint::ReceivedCommitted,
        CrashPoint::OperationApplied,
        CrashPoint::ApplyCommitted,
        CrashPoint::FeedAnswered,
        CrashPoint::FeedWrittenBack,
        CrashPoint::FeedCommitted,
        CrashPoint::FeedAcknowledged,
        CrashPoint::AdoptedPage,
        CrashPoint::Reconciled,
        CrashPoint::MailAccepted,
        CrashPoint::DeadlineFound,
        CrashPoint::DeadlineNoted,
        CrashPoint::CaseClosed,
    ];

    /// As a test names it in `CASEBRIDGE_CRASH_AT`, optionally with the pass to die in: `DetectCommitted:3`.
    pub fn name(self) -> String {
        format!("{self:?}")
    }
}

/// Dies here, as `kill -9` would, when `CASEBRIDGE_CRASH_AT` names this point.
#[cfg(debug_assertions)]
pub fn crash_point(point: CrashPoint) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static PLAN: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSES: AtomicU64 = AtomicU64::new(0);

    let plan = PLAN.get_or_init(|| {
        let plan = std::env::var("CASEBRIDGE_CRASH_AT").ok()?;
        let (name, pass) = plan.split_once(':').unwrap_or((&plan, "1"));
        Some((name.to_owned(), pass.parse().unwrap_or(1)))
    });
    if let Some((name, pass)) = plan
        && *name == point.name()
        && PASSES.fetch_add(1, Ordering::SeqCst) + 1 == *pass
    {
        std::process::abort();
    }
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn crash_point(_: CrashPoint) {}
