//! Which change an operation of the peer's means here: the incoming table C-14 to C-19.

use jiff::Timestamp;
use uuid::Uuid;

use super::deadline::Deadline;
use super::ending::Ending;
use super::id::Alias;
use super::incident::{Case, Comment, Incident, Work};
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

/// Who signs what the daemon writes into a case by itself.
pub const OWN_AUTHOR: &str = "casebridge";

/// How the comments begin that the rules below write.
const ASSIGNED: &str = "Incident was assigned locally from external system";
const REJECTED: &str = "Incident was rejected by the external fulfillment system";
const REOPENED: &str = "Incident was reopened. Previous solution was: ";

/// What a reopening leaves of the old solution, where it is made and where it arrives (C-16).
pub fn reopened_remark(solution: &str) -> String {
    let end = if solution.ends_with('.') { "" } else { "." };
    format!("{REOPENED}{solution}{end}")
}

/// Whether a site wrote this comment for its own people alone: what keeps a case, and the solution that it reopened, which
/// a rule writes where the Reopen arrives.
pub fn is_own_remark(comment: &Comment) -> bool {
    comment.internal && comment.origin.is_none() && (comment.author == OWN_AUTHOR || comment.text.starts_with(REOPENED))
}

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
            let mut carried = Edit { solution: None, completion_code: None, ..carried(changes, arrival) };
            carried.milestones.retain(|one| one.state().is_none_or(|state| state.group() == PhaseGroup::Resolution));
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
/// it sets a field that both sides may change, or tells a milestone that may be known.
pub fn depends_on_record(operation: &Operation) -> bool {
    use OperationKind::{Assign, Cancel, Close, Reopen, Resolve};
    let sets = |changes: &Changes| {
        changes.solution.is_some()
            || changes.completion_code.is_some()
            || changes.expected_resolution.is_some()
            || !changes.milestones.is_empty()
    };
    matches!(operation.kind(), Assign | Resolve | Close | Reopen | Cancel)
        || takes_back(operation)
        || operation.changes().is_some_and(|changes| changes.comments.iter().any(is_edited))
        || operation.changes().is_some_and(sets)
}

/// Whether it changes a comment that was there before.
fn is_edited(comment: &Comment) -> bool {
    comment.edits > 0 || comment.deleted
}

/// An Accept of a case that has its ID takes it back.
fn takes_back(operation: &Operation) -> bool {
    operation.kind() == OperationKind::Accept && operation.changes().is_some_and(|changes| changes.case.is_none())
}

/// What a record needs which is resolved or closed here, so that both sides end alike: a solution and a code (C-27), or, where
/// its code says that it was withdrawn or refused, the end at once, as the operation means it there (C-08, C-09).
pub fn completed(work: &Work, default_solution: &str) -> Option<Edit> {
    if work.phase.group() == PhaseGroup::Resolution {
        return None;
    }
    if Ending::of(work).is_some() {
        return (work.phase != Phase::Close).then(|| Edit { phase: Some(Phase::Close), ..Edit::default() });
    }
    if work.completion_code == Some(CompletionCode::AbandonedByUser) {
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

/// C-15: what is still empty gets the fixed solution and the completion code "fulfilled". What was canceled ended otherwise.
fn ended(changes: &Changes, work: &Work, arrival: Arrival<'_>, phase: Phase) -> Edit {
    let mut edit = carried(changes, arrival);
    if Ending::of(work) == Some(Ending::Cancel) {
        return edit;
    }
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
        Some(solution) => edit.with_comment(arrival, reopened_remark(solution)),
        None => edit,
    }
}

impl Edit {
    /// Leaves out what would change a comment that the peer did not write, and says which.
    pub fn without_foreign(&mut self, record: &Incident, peer: &Alias) -> Vec<Uuid> {
        let is_foreign = |one: &Comment| {
            let known = record.comments.iter().find(|known| known.id == one.id);
            is_edited(one) && known.is_some_and(|known| known.origin.as_ref() != Some(peer))
        };
        let foreign: Vec<Uuid> = self.comments.iter().filter(|one| is_foreign(one)).map(|one| one.id).collect();
        self.comments.retain(|one| !foreign.contains(&one.id));
        foreign
    }

    /// Leaves out milestones that are known, which stay as they are, and says which of them tell something else now.
    pub fn without_known(&mut self, record: &Incident) -> Vec<Uuid> {
        let known = |one: &Milestone| record.milestones.iter().find(|known| known.id == one.id);
        let is_other = |one: &&Milestone| known(one).is_some_and(|known| known.fact != one.fact);
        let others = self.milestones.iter().filter(is_other).map(|one| one.id).collect();
        self.milestones.retain(|one| known(one).is_none());
        others
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::ExchangeId;
    use crate::case::example::{comment, incident, peer};
    use crate::case::operation::Create;

    #[test]
    fn c_16_a_quoted_solution_ends_with_one_full_stop() {
        for solution in ["Resolved; no solution was recorded.", "Resolved; no solution was recorded"] {
            assert!(reopened_remark(solution).ends_with(": Resolved; no solution was recorded."), "{solution}");
        }
    }

    fn arrives(operation: &Operation, work: &Work) -> Edit {
        let peer = peer();
        let at = incident().created_at;
        apply(operation, work, Arrival { peer: &peer, exchange: ExchangeId::from_bytes([7; 16]), seq: 4, at })
    }

    /// The work after an operation, with what the rules wrote of it.
    fn after(operation: &Operation, work: &Work) -> (Work, Vec<String>) {
        let edit = arrives(operation, work);
        let after = Work {
            phase: edit.phase.unwrap_or(work.phase),
            solution: edit.solution.unwrap_or(work.solution.clone()),
            completion_code: edit.completion_code.unwrap_or(work.completion_code),
            expected_resolution: edit.expected_resolution.unwrap_or(work.expected_resolution),
        };
        (after, edit.comments.into_iter().filter(is_remark).map(|comment| comment.text).collect())
    }

    /// One row of the incoming table: the operation, the work before, the work afterwards, and what the rule writes.
    /// Delivered twice it leaves the same work, and its remark is the same comment.
    fn row(name: &str, operation: Operation, before: Work, expected: Work, remarks: &[&str]) {
        let (once, told) = after(&operation, &before);
        assert_eq!(once, expected, "{name}");
        assert_eq!(told, remarks, "{name}");
        let (twice, _) = after(&operation, &once);
        assert_eq!(twice, once, "{name}: twice");
        let ids = |work| arrives(&operation, work).comments.iter().map(|comment| comment.id).collect::<Vec<_>>();
        let (first, second) = (ids(&before), ids(&once));
        assert!(second.iter().all(|id| first.contains(id)), "{name}: one remark, however often it arrives");
    }

    fn open() -> Work {
        Work::default()
    }

    fn ended(phase: Phase, solution: &str, code: CompletionCode) -> Work {
        Work { phase, solution: Some(solution.into()), completion_code: Some(code), ..Work::default() }
    }

    fn says(solution: &str, code: CompletionCode) -> Changes {
        Changes { solution: Some(Some(solution.into())), completion_code: Some(Some(code)), ..Changes::default() }
    }

    fn nothing() -> Changes {
        Changes::default()
    }

    #[test]
    fn incoming_table() {
        use CompletionCode::*;
        use Phase::{Close, Review};
        let create = Create {
            incident: crate::case::IncidentId(1),
            trace_route: vec![],
            event: incident().event,
            form: Default::default(),
            created_at: incident().created_at,
            comments: vec![],
        };
        row("C-14 makes the reference alone", Operation::Create(Box::new(create)), open(), open(), &[]);

        let filled = |phase| ended(phase, RESOLVED_ELSEWHERE, Fulfilled);
        row("C-15 resolve, empty", Operation::Resolve(nothing()), open(), filled(Review), &[]);
        row("C-15 close, empty", Operation::Close(nothing()), open(), filled(Close), &[]);
        let blank = Work { solution: Some("  ".into()), ..open() };
        row("C-15 a blank is empty", Operation::Close(nothing()), blank, filled(Close), &[]);
        let known = Work { solution: Some("Reseated".into()), ..open() };
        row("C-15 keeps", Operation::Resolve(nothing()), known.clone(), ended(Review, "Reseated", Fulfilled), &[]);
        let given = Operation::Resolve(says("Replaced", AbandonedByUser));
        row("C-15 what it brings", given, known, ended(Review, "Replaced", AbandonedByUser), &[]);
        let closed = ended(Close, "Reseated", Fulfilled);
        row("C-15 no way back", Operation::Resolve(nothing()), closed.clone(), closed.clone(), &[]);
        let reviewed = ended(Review, "Reseated", Fulfilled);
        row("C-15 close after it", Operation::Close(nothing()), reviewed.clone(), closed.clone(), &[]);

        let quoted = "Incident was reopened. Previous solution was: Reseated.";
        row("C-16 from review", Operation::Reopen(nothing()), reviewed, open(), &[quoted]);
        row("C-16 from done", Operation::Reopen(nothing()), closed.clone(), open(), &[quoted]);
        let stated = Changes { solution: Some(Some("Reseated".into())), ..nothing() };
        let kept = Work { solution: Some("Reseated".into()), ..open() };
        row("C-16 unless it states another", Operation::Reopen(stated), closed.clone(), kept, &[]);
        row("C-16 no solution, no remark", Operation::Reopen(nothing()), open(), open(), &[]);

        row("C-17 a remark alone", Operation::Assign(nothing()), open(), open(), &[ASSIGNED]);
        row("C-18 a remark", Operation::Reject(nothing()), open(), open(), &[REJECTED]);
        let how = Operation::Reject(says("Not ours", RequestRejected));
        row("C-18 how it ended there is no word here", how, open(), open(), &[REJECTED]);

        let canceled = ended(Close, CANCELED_ELSEWHERE, AbandonedByUser);
        row("C-19", Operation::Cancel(nothing()), open(), canceled.clone(), &[]);
        row("C-19 overwrites", Operation::Cancel(nothing()), closed, canceled.clone(), &[]);
        row("C-19 whatever it brings", Operation::Cancel(says("x", WithdrawnByUser)), open(), canceled.clone(), &[]);
        row("C-13 nothing is filled in", Operation::Close(nothing()), canceled.clone(), canceled.clone(), &[]);
        row(
            "C-16 after a Cancel",
            Operation::Reopen(nothing()),
            canceled,
            open(),
            &[&format!("Incident was reopened. Previous solution was: {CANCELED_ELSEWHERE}.")],
        );

        let solved = Work { solution: Some("Replaced".into()), completion_code: Some(Fulfilled), ..open() };
        row("an update carries", Operation::Update(says("Replaced", Fulfilled)), open(), solved.clone(), &[]);
        row("so does an accept", Operation::Accept(says("Replaced", Fulfilled)), open(), solved, &[]);
    }

    #[test]
    fn what_is_taken_back_or_given_is_nobodys_group_here() {
        let cleared = Some(None);
        assert_eq!(arrives(&Operation::Assign(nothing()), &open()).assignment, cleared);
        assert_eq!(arrives(&Operation::Accept(nothing()), &open()).assignment, cleared);
        assert_eq!(arrives(&Operation::Reject(nothing()), &open()).assignment, cleared);
        let case = Case { id: "CASE-7".parse().unwrap(), link: None, status: "Open".into(), contact: None };
        let opened = Operation::Accept(Changes { case: Some(case.clone()), ..nothing() });
        let edit = arrives(&opened, &open());
        assert_eq!((edit.assignment, edit.case), (None, Some(case)));
    }

    #[test]
    fn c_18_the_end_of_a_case_that_is_given_back_is_no_end_here() {
        use crate::case::Fact;
        let at = incident().created_at;
        let facts =
            [Fact::State(CaseState::OnHold), Fact::State(CaseState::Resolved), Fact::State(CaseState::Canceled)];
        let told = facts.into_iter().chain([Fact::Named("Technician on site".into())]).zip(1..);
        let milestones = told.map(|(fact, number)| Milestone::new(Uuid::from_u128(number), at, fact)).collect();
        let edit = arrives(&Operation::Reject(Changes { milestones, ..nothing() }), &open());
        let kept: Vec<_> = edit.milestones.iter().map(|one| one.id.as_u128()).collect();
        assert_eq!(kept, [1, 4]);
    }

    #[test]
    fn nobody_edits_what_the_other_site_wrote() {
        let mut record = incident();
        record.comments = vec![comment(1, None), comment(2, Some(peer()))];
        let edited = |position| Comment { edits: 1, ..comment(position, None) };
        let changes = Changes { comments: vec![edited(1), edited(2), edited(3)], ..nothing() };
        let mut edit = arrives(&Operation::Update(changes), &open());
        assert_eq!(edit.without_foreign(&record, &peer()), [comment(1, None).id]);
        let left: Vec<_> = edit.comments.iter().map(|one| one.id).collect();
        assert_eq!(left, [comment(2, None).id, comment(3, None).id]);
    }

    #[test]
    fn c_08_a_record_whose_code_withdraws_it_is_over_at_once() {
        use CompletionCode::*;
        let phase = |work: &Work| completed(work, "Done").and_then(|edit| edit.phase);
        for code in [WithdrawnByUser, RequestRejected] {
            assert_eq!(phase(&ended(Phase::Review, "x", code)), Some(Phase::Close));
            assert_eq!(completed(&ended(Phase::Close, "x", code), "Done"), None);
            assert_eq!(completed(&ended(Phase::InitialSupport, "x", code), "Done"), None, "work goes on");
        }
        assert_eq!(completed(&ended(Phase::Review, "x", AbandonedByUser), "Done"), None);
        assert_eq!(phase(&ended(Phase::Review, CANCELED_ELSEWHERE, AbandonedByUser)), Some(Phase::Close));
        let missing = completed(&Work { phase: Phase::Review, ..open() }, "Done").unwrap();
        assert_eq!((missing.phase, missing.solution), (None, Some(Some("Done".into()))));
    }
}
