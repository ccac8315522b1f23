//! Which change an operation of the peer's means here: the incoming table C-14 to C-19.

use jiff::Timestamp;
use uuid::Uuid;

use super::deadline::Deadline;
use super::id::Alias;
use super::incident::{Case, Comment, Work};
use super::milestone::Milestone;
use super::operation::{Changes, Operation, OperationKind};
use super::phase::{CompletionCode, Phase, PhaseGroup};
use super::state::CaseState;

/// What to change in the record. `None` leaves a field as it is, `Some(None)` clears it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Edit {
    pub phase: Option<Phase>,
    pub solution: Option<Option<String>>,
    pub completion_code: Option<Option<CompletionCode>>,
    pub expected_resolution: Option<Option<Timestamp>>,
    pub case: Option<Case>,
    pub comments: Vec<Comment>,
    /// The group that has the record in hand.
    pub assignment: Option<Option<String>>,
    pub active: Option<bool>,
    /// The state within the resolution phases; the others follow from phase and completion code.
    pub state: Option<CaseState>,
    /// When phase or state changed.
    pub since: Option<Timestamp>,
    pub milestones: Vec<Milestone>,
    /// What a peer promises; of each the highest revision counts.
    pub deadlines: Vec<Deadline>,
}

/// Who sent the operation, and which one it was: a comment that a rule writes gets its ID from this, so that it is the
/// same however often the operation arrives.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    pub peer: &'a Alias,
    pub exchange: super::id::ExchangeId,
    pub seq: u64,
    pub at: Timestamp,
}

impl Arrival<'_> {
    /// A v8 UUID of exchange, direction and number: the same operation always writes the same. `apart` tells several apart.
    pub fn id(&self, apart: Uuid) -> Uuid {
        let mut seed = *self.exchange.as_bytes();
        for (byte, mixed) in seed.iter_mut().zip(self.seq.to_be_bytes().into_iter().cycle()) {
            *byte ^= mixed;
        }
        for (byte, mixed) in seed.iter_mut().zip(apart.as_bytes()) {
            *byte ^= mixed;
        }
        Uuid::new_v8(seed)
    }
}

/// The solution that a Resolve or Close leaves when there is none (C-15).
pub const RESOLVED_ELSEWHERE: &str = "Resolved by external system";
/// The solution that a Cancel leaves (C-19).
pub const CANCELED_ELSEWHERE: &str = "Incident canceled by external system";

/// Whether a Cancel ended this record: no other operation leaves these two together.
pub fn is_canceled_elsewhere(work: &Work) -> bool {
    work.completion_code == Some(CompletionCode::AbandonedByUser)
        && work.solution.as_deref() == Some(CANCELED_ELSEWHERE)
}

/// How the comments begin that the rules below write.
const ASSIGNED: &str = "Incident was assigned locally from external system";
const REJECTED: &str = "Incident was rejected by the external fulfillment system";
const REOPENED: &str = "Incident was reopened. Previous solution was: ";

/// Whether a rule wrote this comment here when an operation came in. It is not told to a third site: where the operation
/// goes on, the same rule writes it there, and where it does not, nothing of it is that site's affair (C-49).
pub fn is_remark(comment: &Comment) -> bool {
    let begins = [ASSIGNED, REJECTED, REOPENED].iter().any(|remark| comment.text.starts_with(remark));
    begins && comment.origin.as_ref().is_some_and(|origin| origin.as_str() == comment.author)
}

/// The changes that `operation` means for a record whose work stands like this. Applying the result and asking again
/// yields the same record.
pub fn apply(operation: &Operation, work: &Work, arrival: Arrival<'_>) -> Edit {
    match operation {
        Operation::Create(_) => Edit::default(),
        Operation::Assign(changes) => {
            let edit = Edit { assignment: Some(None), ..carried(changes, arrival) };
            edit.with_comment(arrival, ASSIGNED.into())
        }
        Operation::Accept(changes) if changes.case.is_none() => {
            Edit { assignment: Some(None), ..carried(changes, arrival) }
        }
        Operation::Accept(changes) | Operation::Update(changes) => carried(changes, arrival),
        Operation::Resolve(changes) => ended(changes, work, arrival, Phase::Review),
        Operation::Close(changes) => ended(changes, work, arrival, Phase::Close),
        Operation::Reject(changes) => {
            // How it ended there is no word on how it ends here: it is solved at this site, or submitted anew.
            let carried = Edit { solution: None, completion_code: None, ..carried(changes, arrival) };
            Edit { assignment: Some(None), ..carried }.with_comment(arrival, REJECTED.into())
        }
        Operation::Cancel(changes) => Edit {
            phase: Some(Phase::Close),
            solution: Some(Some(CANCELED_ELSEWHERE.to_owned())),
            completion_code: Some(Some(CompletionCode::AbandonedByUser)),
            ..carried(changes, arrival)
        },
        Operation::Reopen(changes) => reopened(changes, work, arrival),
    }
}

/// Whether the meaning of an operation depends on how the record stands: by the rules C-15, C-16 and C-51, or because
/// it sets a field that both sides may change, or tells a state.
pub fn depends_on_record(operation: &Operation) -> bool {
    use OperationKind::{Assign, Cancel, Close, Reopen, Resolve};
    let sets = |changes: &Changes| {
        changes.solution.is_some()
            || changes.completion_code.is_some()
            || changes.expected_resolution.is_some()
            || changes.milestones.iter().any(|one| one.state().is_some())
    };
    matches!(operation.kind(), Assign | Resolve | Close | Reopen | Cancel) || operation.changes().is_some_and(sets)
}

/// The solution and the code that a record needs which is resolved or closed here, so that both sides end with the same
/// ones (C-27). None when it has them, or when its code says that it was withdrawn or refused.
pub fn completed(work: &Work, default_solution: &str) -> Option<Edit> {
    use CompletionCode::{AbandonedByUser, RequestRejected, WithdrawnByUser};
    if work.phase.group() == PhaseGroup::Resolution
        || matches!(work.completion_code, Some(WithdrawnByUser | RequestRejected | AbandonedByUser))
    {
        return None;
    }
    let empty = work.solution.as_deref().is_none_or(|text| text.trim().is_empty());
    let edit = Edit {
        solution: empty.then(|| Some(default_solution.to_owned())),
        completion_code: work.completion_code.is_none().then_some(Some(CompletionCode::Fulfilled)),
        ..Edit::default()
    };
    (edit != Edit::default()).then_some(edit)
}

fn of_peer(one: &Milestone, arrival: Arrival<'_>) -> Milestone {
    Milestone { origin: Some(arrival.peer.clone()), came_in: Some(arrival.exchange), ..one.clone() }
}

/// The fields just as the operation gives them.
fn carried(changes: &Changes, arrival: Arrival<'_>) -> Edit {
    let from_peer = |comment: &Comment| Comment {
        origin: Some(arrival.peer.clone()),
        came_in: Some(arrival.exchange),
        ..comment.clone()
    };
    Edit {
        solution: changes.solution.clone(),
        completion_code: changes.completion_code,
        expected_resolution: changes.expected_resolution,
        case: changes.case.clone(),
        comments: changes.comments.iter().map(from_peer).collect(),
        milestones: changes.milestones.iter().map(|one| of_peer(one, arrival)).collect(),
        deadlines: changes
            .deadlines
            .iter()
            .map(|one| Deadline { origin: Some(arrival.peer.clone()), ..one.clone() })
            .collect(),
        ..Edit::default()
    }
}

/// C-15: what is still empty gets the fixed solution and the completion code "fulfilled".
fn ended(changes: &Changes, work: &Work, arrival: Arrival<'_>, phase: Phase) -> Edit {
    let mut edit = carried(changes, arrival);
    let solution = edit.solution.as_ref().unwrap_or(&work.solution);
    if solution.as_deref().is_none_or(|text| text.trim().is_empty()) {
        edit.solution = Some(Some(RESOLVED_ELSEWHERE.to_owned()));
    }
    if edit.completion_code.unwrap_or(work.completion_code).is_none() {
        edit.completion_code = Some(Some(CompletionCode::Fulfilled));
    }
    // A Resolve that comes after the Close does not open the record again.
    if phase == Phase::Close || work.phase.group() == PhaseGroup::Resolution {
        edit.phase = Some(phase);
    }
    edit
}

/// C-16: solution and completion code go, unless the sender states others; the old solution is kept in a comment.
fn reopened(changes: &Changes, work: &Work, arrival: Arrival<'_>) -> Edit {
    let edit = Edit {
        phase: Some(Phase::InitialSupport),
        solution: Some(changes.solution.clone().flatten()),
        completion_code: Some(changes.completion_code.flatten()),
        ..carried(changes, arrival)
    };
    let kept = edit.solution.as_ref().and_then(Option::as_ref);
    match work.solution.as_ref().filter(|solution| kept != Some(*solution)) {
        Some(solution) => edit.with_comment(arrival, format!("{REOPENED}{solution}.")),
        None => edit,
    }
}

impl Edit {
    /// What people wrote, and nothing of how the case stands.
    pub fn written(mut self) -> Self {
        self.comments.retain(|comment| !is_remark(comment));
        Self { comments: self.comments, ..Self::default() }
    }

    fn with_comment(mut self, arrival: Arrival<'_>, text: String) -> Self {
        self.comments.push(Comment {
            id: arrival.id(Uuid::nil()),
            author: arrival.peer.to_string(),
            written_at: arrival.at,
            text,
            origin: Some(arrival.peer.clone()),
            came_in: Some(arrival.exchange),
            ..Comment::default()
        });
        self
    }
}
