//! Both sides changed one field before either had heard of the other: a three-way compare of the record, of the shadow
//! and of what arrives. The site above decides by ownership and says its decision again; the site below keeps its own
//! value until it hears it. No clock decides, and the losing value is reported, never dropped in silence (C-47).

use serde::{Deserialize, Serialize};

use super::apply::Edit;
use super::derive::Towards;
use super::ending::Ending;
use super::incident::Work;
use super::operation::{Changes, Operation, OperationKind};
use super::ownership::Field;
use super::phase::{Phase, PhaseGroup};
use super::shadow::{Mark, Shadow};
use super::state::CaseState;

/// The number of our last operation that set each field, gave the case into other hands, or asked its customer for an answer; 0
/// before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Touched {
    phase: u64,
    solution: u64,
    completion_code: u64,
    expected_resolution: u64,
    holder: u64,
    cancel: u64,
    asked: u64,
}

impl Touched {
    /// Remembers what an operation of ours sets.
    pub fn note(&mut self, operation: &Operation, seq: u64) {
        use OperationKind::{Accept, Assign, Cancel, Close, Reopen, Resolve};
        let Some(changes) = operation.changes() else { return };
        let kind = operation.kind();
        let decides = matches!(kind, Cancel | Reopen);
        if matches!(kind, Assign | Accept) {
            self.holder = seq;
        }
        if kind == Cancel {
            self.cancel = seq;
        }
        if matches!(kind, Resolve | Close | Cancel | Reopen) {
            self.phase = seq;
        }
        if changes.solution.is_some() || decides {
            self.solution = seq;
        }
        if changes.completion_code.is_some() || decides {
            self.completion_code = seq;
        }
        if changes.expected_resolution.is_some() {
            self.expected_resolution = seq;
        }
        if changes.milestones.iter().any(|one| one.state() == Some(CaseState::InputRequested)) {
            self.asked = seq;
        }
    }

    /// Whether an operation of ours after this one asked the customer for an answer.
    pub fn asks_after(&self, seq: u64) -> bool {
        self.asked > seq
    }

    /// Whether an operation of ours after this one gave the case into other hands.
    pub fn hands_over_after(&self, seq: u64) -> bool {
        self.holder > seq
    }

    fn of(&self, field: Field) -> u64 {
        match field {
            Field::Phase => self.phase,
            Field::Solution => self.solution,
            Field::CompletionCode => self.completion_code,
            Field::ExpectedResolution => self.expected_resolution,
        }
    }
}

/// An edit that arrives, and what stands here.
#[derive(Debug)]
pub struct Meeting<'a> {
    pub record: &'a Work,
    pub shadow: &'a Shadow,
    pub touched: Touched,
    /// The last operation of ours that the peer had applied when it sent this one. An older peer does not tell, and is
    /// believed.
    pub seen: Option<u64>,
    /// Whether this is the site above, which decides.
    pub decides: bool,
}

/// Whose value of a field stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Winner {
    Ours,
    Theirs,
    /// The site above will say: until then each keeps its own.
    Undecided,
}

/// One field that both sides changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub field: Field,
    pub winner: Winner,
    /// Our value was not sent yet.
    pub unsent: bool,
    /// In words for the history.
    pub ours: String,
    pub theirs: String,
}

/// What is left of an edit after it met our own changes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Merged {
    /// What changes in the record.
    pub edit: Edit,
    /// What the peer is known to have, for the shadow.
    pub agreed: Edit,
    pub conflicts: Vec<Conflict>,
    /// A change of ours, not sent yet, was made without knowledge of this operation.
    pub unsent: bool,
    /// The phase that the operation brings does not count here, until the peer says it again.
    pub keeps_phase: bool,
    /// The record keeps or gets a value that the peer does not have: it is told.
    pub restates: bool,
    /// The case was canceled before, as the peer knew: how it ended stands, whatever the operation says of it (C-13).
    pub after_cancel: bool,
    /// Who has the case in hand does not change: ours came first, and the peer hears of it.
    pub keeps_holder: bool,
}

impl Merged {
    /// Whether the operation moves no step of the exchange: not even the peer's own phase is known by it.
    pub fn keeps_step(&self) -> bool {
        self.keeps_phase && self.agreed.phase.is_none()
    }

    /// Whether our phase stays, or stays until the peer decides.
    fn loses_phase(&self) -> bool {
        self.conflicts.iter().any(|one| one.field == Field::Phase && one.winner != Winner::Theirs)
    }
}

impl Meeting<'_> {
    /// Merges what an operation means field by field. `winner` is asked only about fields that both sides changed to
    /// different values.
    pub fn merge(&self, operation: &Operation, edit: Edit, winner: impl Fn(Field) -> Winner) -> Merged {
        // What waited for its row, while the case was resolved, may go now.
        let restates = operation.kind() == OperationKind::Reopen;
        let mut merged = Merged { agreed: edit.clone(), edit, restates, ..Merged::default() };
        self.hold(operation, &mut merged);
        if self.is_over(operation) {
            merged.after_cancel = says_how_it_ended(operation);
            merged.keeps_phase = true;
            for field in OUTCOME {
                clear(&mut merged.edit, field);
                clear(&mut merged.agreed, field);
            }
            return merged;
        }
        let canceled = self.is_canceled();
        // Both sites canceled it: each keeps its own words for that.
        let both = canceled && operation.kind() == OperationKind::Cancel;
        if both {
            OUTCOME.into_iter().for_each(|field| clear(&mut merged.edit, field));
            // What is on its way may still count at the site above, until it hears that it was canceled here too.
            if !self.decides && self.crossed(Field::Phase) {
                OUTCOME.into_iter().for_each(|field| clear(&mut merged.agreed, field));
                merged.keeps_phase = true;
            }
        } else {
            self.fill(operation, &mut merged);
            self.step(operation, &mut merged);
        }
        for field in Field::ALL {
            if field == Field::Phase && merged.edit.phase.is_none() || both && OUTCOME.contains(&field) {
                continue;
            }
            let waits = operation.kind() == OperationKind::Cancel && merged.keeps_phase;
            if (merged.loses_phase() || waits) && means(operation, field) {
                clear(&mut merged.edit, field);
                if !self.decides && self.crossed(Field::Phase) {
                    clear(&mut merged.agreed, field);
                }
                continue;
            }
            let Some((ours, theirs)) = self.differs(field, &merged.agreed) else {
                // Alike by chance: what the site above makes of ours, which is on its way, is still to come.
                if !self.decides && self.crossed(field) {
                    clear(&mut merged.agreed, field);
                }
                // The peer may have got the words of our Cancel over it since.
                if field == Field::Solution && self.cancel_crossed() {
                    merged.agreed.solution = unknown();
                    merged.restates = true;
                }
                continue;
            };
            let unsent = self.differs_from_shadow(field);
            let crossed = self.crossed(field);
            if !unsent && !crossed {
                continue;
            }
            let decided = match operation.kind() {
                // A Cancel that counts overwrites (C-19), and one of ours that the peer did not know of does so there.
                OperationKind::Cancel if means(operation, field) => Some(Winner::Theirs),
                kind if canceled && kind != OperationKind::Reopen && OUTCOME.contains(&field) => Some(self.own()),
                _ if self.is_overwritten(operation, field) => Some(Winner::Ours),
                _ => self.ending(field, operation, &merged),
            };
            let winner = decided.unwrap_or_else(|| winner(field));
            if winner != Winner::Theirs {
                clear(&mut merged.edit, field);
                merged.keeps_phase |= field == Field::Phase && winner == Winner::Undecided;
            }
            merged.restates |= winner == Winner::Ours;
            if self.is_overwritten(operation, field) {
                merged.agreed.solution = unknown();
            }
            if winner == Winner::Undecided {
                if crossed {
                    clear(&mut merged.agreed, field);
                } else {
                    merged.unsent = true;
                }
            }
            merged.conflicts.push(Conflict { field, winner, unsent, ours, theirs });
        }
        // Where the phases crossed, the site below did not take what ours brought with it.
        let gives_way = merged.conflicts.iter().any(|one| one.field == Field::Phase && one.winner == Winner::Theirs)
            || merged.agreed.phase.is_some() && self.is_step_forward(&merged.agreed);
        if self.decides && self.crossed(Field::Phase) && (gives_way || !canceled && moves(operation.kind())) {
            merged.agreed.solution = merged.agreed.solution.take().or_else(unknown);
            merged.agreed.completion_code.get_or_insert(None);
            merged.restates = true;
        }
        // An end that does not count fills nothing in.
        if merged.loses_phase() {
            for field in filled(operation, &merged.edit) {
                clear(&mut merged.edit, field);
                clear(&mut merged.agreed, field);
            }
        }
        merged
    }

    /// How a case ended comes from whoever ended it: a completion code goes with the phase, so that no state is left that
    /// nobody chose. None where the phase is the same.
    fn ending(&self, field: Field, operation: &Operation, merged: &Merged) -> Option<Winner> {
        let theirs = merged.agreed.phase.filter(|_| field == Field::CompletionCode && moves(operation.kind()))?;
        if theirs.group() == self.record.phase.group() {
            return None;
        }
        match merged.edit.phase {
            Some(_) => Some(Winner::Theirs),
            None => Some(self.own()),
        }
    }

    /// Whether it was canceled here, and not opened again since, whatever else was changed in the record.
    fn is_canceled(&self) -> bool {
        let told = self.shadow.is_canceled() && self.record.phase.group() != PhaseGroup::Resolution;
        let towards = if self.decides { Towards::Client } else { Towards::Upstream };
        told || Ending::told(self.record, towards) == Some(Ending::Cancel)
    }

    /// Ours stays; at the site below, until the site above says so.
    fn own(&self) -> Winner {
        if self.decides { Winner::Ours } else { Winner::Undecided }
    }

    /// Whether a Cancel of ours, on its way, takes the place of this solution at the peer. One that moves the case as well
    /// keeps it until it hears our decision.
    fn is_overwritten(&self, operation: &Operation, field: Field) -> bool {
        use OperationKind::{Accept, Assign, Update};
        self.cancel_crossed() && field == Field::Solution && matches!(operation.kind(), Update | Assign | Accept)
    }

    /// Whether a Cancel of the deciding site's, ours, was on its way when the peer sent this.
    fn cancel_crossed(&self) -> bool {
        self.decides && self.seen.is_some_and(|seen| self.touched.cancel > seen)
    }

    /// Whether both sites know that the case was canceled, and the operation does not open it again.
    fn is_over(&self, operation: &Operation) -> bool {
        operation.kind() != OperationKind::Reopen && self.shadow.is_canceled() && !self.crossed(Field::Phase)
    }

    /// Who has the case in hand, where both sites gave it away or took it at once, is said by the site above.
    fn hold(&self, operation: &Operation, merged: &mut Merged) {
        let hands_over = matches!(operation.kind(), OperationKind::Assign | OperationKind::Accept);
        if hands_over && self.decides && self.seen.is_some_and(|seen| self.touched.hands_over_after(seen)) {
            merged.keeps_holder = true;
            merged.edit.assignment = None;
            merged.agreed.assignment = None;
        }
    }

    /// What C-15 fills in is nobody's word yet: the site above says it, the site below drops it where a change of its own
    /// is on the way.
    fn fill(&self, operation: &Operation, merged: &mut Merged) {
        for field in filled(operation, &merged.edit) {
            if self.decides {
                clear(&mut merged.agreed, field);
                merged.restates = true;
            } else if self.differs_from_shadow(field) || self.crossed(field) {
                clear(&mut merged.agreed, field);
                clear(&mut merged.edit, field);
                merged.restates = true;
            }
        }
    }

    /// The phase that the peer has now. Resolve and Close that crossed are no conflict: the further one counts, and the site
    /// above says so.
    fn step(&self, operation: &Operation, merged: &mut Merged) {
        let theirs = match operation.kind() {
            OperationKind::Resolve => Phase::Review,
            OperationKind::Close | OperationKind::Cancel => Phase::Close,
            OperationKind::Reopen => Phase::InitialSupport,
            _ => return,
        };
        merged.agreed.phase = Some(theirs);
        let crossed = self.crossed(Field::Phase);
        let ended = self.record.phase.group() != PhaseGroup::Resolution;
        match operation.kind() {
            // Two ends that met: the site above says which one it is.
            OperationKind::Cancel if ended && crossed && !self.decides => {
                clear(&mut merged.edit, Field::Phase);
                clear(&mut merged.agreed, Field::Phase);
                merged.keeps_phase = true;
                return;
            }
            OperationKind::Resolve | OperationKind::Close if crossed && self.decides && self.is_canceled() => {
                merged.agreed.completion_code.get_or_insert(None);
                merged.restates = true;
                return;
            }
            _ => {}
        }
        if merged.edit.phase.is_some() && !self.is_step_forward(&merged.edit) {
            return;
        }
        if !self.decides && self.crossed(Field::Phase) {
            clear(&mut merged.edit, Field::Phase);
            clear(&mut merged.agreed, Field::Phase);
            merged.keeps_phase = true;
        } else if merged.edit.phase.is_none() && self.record.phase.group() != theirs.group() {
            merged.restates |= self.decides;
            merged.unsent |= !self.decides;
        }
    }

    fn is_step_forward(&self, edit: &Edit) -> bool {
        self.record.phase.group() == PhaseGroup::Validation && edit.phase == Some(Phase::Close)
    }

    fn crossed(&self, field: Field) -> bool {
        self.seen.is_some_and(|seen| self.touched.of(field) > seen)
    }

    /// Both values, where the edit brings another one than the record has.
    fn differs(&self, field: Field, edit: &Edit) -> Option<(String, String)> {
        let none = || "nothing".to_owned();
        match field {
            Field::Phase => {
                let (ours, theirs) = (self.record.phase, edit.phase?);
                (ours != theirs && !self.is_step_forward(edit))
                    .then(|| (ours.as_str().to_owned(), theirs.as_str().to_owned()))
            }
            Field::Solution => {
                let (ours, theirs) = (&self.record.solution, edit.solution.as_ref()?);
                (ours != theirs).then(|| (ours.clone().unwrap_or_else(none), theirs.clone().unwrap_or_else(none)))
            }
            Field::CompletionCode => {
                let (ours, theirs) = (self.record.completion_code, edit.completion_code?);
                let word =
                    |code: Option<super::CompletionCode>| code.map_or_else(none, |code| code.as_str().to_owned());
                (ours != theirs).then(|| (word(ours), word(theirs)))
            }
            Field::ExpectedResolution => {
                let (ours, theirs) = (self.record.expected_resolution, edit.expected_resolution?);
                let word = |at: Option<jiff::Timestamp>| at.map_or_else(none, |at| at.to_string());
                (ours != theirs).then(|| (word(ours), word(theirs)))
            }
        }
    }

    fn differs_from_shadow(&self, field: Field) -> bool {
        match field {
            Field::Phase => self.record.phase.group() != self.shadow.phase.group(),
            Field::Solution => self.record.solution.as_deref().map(Mark::of) != self.shadow.solution,
            Field::CompletionCode => self.record.completion_code != self.shadow.completion_code,
            Field::ExpectedResolution => self.record.expected_resolution != self.shadow.expected_resolution,
        }
    }
}

/// What a peer has whose solution is not known: none that anybody wrote, so that ours is told.
fn unknown() -> Option<Option<String>> {
    Some(Some(String::new()))
}

/// The fields that say how a case stands or ended; its expectations are another matter.
const OUTCOME: [Field; 3] = [Field::Phase, Field::Solution, Field::CompletionCode];

/// Whether an operation would end the case otherwise; a Cancel ends it as it did.
fn says_how_it_ended(operation: &Operation) -> bool {
    use OperationKind::{Cancel, Close, Resolve};
    let says = |changes: &Changes| changes.solution.is_some() || changes.completion_code.is_some();
    let kind = operation.kind();
    kind != Cancel && (matches!(kind, Resolve | Close) || operation.changes().is_some_and(says))
}

/// The fields of an edit whose values the operation does not carry: the rule C-15 made them.
fn filled(operation: &Operation, edit: &Edit) -> Vec<Field> {
    let (OperationKind::Resolve | OperationKind::Close, Some(changes)) = (operation.kind(), operation.changes()) else {
        return Vec::new();
    };
    let solution = changes.solution.clone().flatten().is_none() && edit.solution.clone().flatten().is_some();
    let code = changes.completion_code.flatten().is_none() && edit.completion_code.flatten().is_some();
    let fields = [(Field::Solution, solution), (Field::CompletionCode, code)];
    fields.into_iter().filter(|(_, made)| *made).map(|(field, _)| field).collect()
}

/// Whether an operation sets a field by canceling the case or opening it again: that is nobody's word without it.
fn means(operation: &Operation, field: Field) -> bool {
    matches!(operation.kind(), OperationKind::Cancel | OperationKind::Reopen)
        && matches!(field, Field::Solution | Field::CompletionCode)
}

/// Whether an operation says in which phase its sender is now.
fn moves(kind: OperationKind) -> bool {
    use OperationKind::{Cancel, Close, Reopen, Resolve};
    matches!(kind, Resolve | Close | Cancel | Reopen)
}

fn clear(edit: &mut Edit, field: Field) {
    match field {
        Field::Phase => edit.phase = None,
        Field::Solution => edit.solution = None,
        Field::CompletionCode => edit.completion_code = None,
        Field::ExpectedResolution => edit.expected_resolution = None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Changes, CompletionCode};

    fn solved(text: &str) -> Work {
        Work { solution: Some(text.into()), ..Work::default() }
    }

    fn update() -> Operation {
        Operation::Update(Changes::default())
    }

    fn brings(text: &str) -> Edit {
        Edit { solution: Some(Some(text.into())), ..Edit::default() }
    }

    fn sent(seq: u64) -> Touched {
        let mut touched = Touched::default();
        let changes = Changes { solution: Some(Some("ours".into())), ..Changes::default() };
        touched.note(&Operation::Update(changes), seq);
        touched
    }

    fn agreed(work: &Work) -> Shadow {
        Shadow { solution: work.solution.as_deref().map(Mark::of), ..Shadow::default() }
    }

    #[test]
    fn what_was_sent_knowingly_is_taken() {
        let record = solved("ours");
        let shadow = agreed(&record);
        let meeting = Meeting { record: &record, shadow: &shadow, touched: sent(3), seen: Some(3), decides: true };
        let merged = meeting.merge(&update(), brings("theirs"), |_| panic!("there is nothing to decide"));
        assert_eq!((merged.edit, merged.conflicts), (brings("theirs"), vec![]));
    }

    #[test]
    fn what_crossed_is_decided_by_the_owner_and_the_loser_is_named() {
        let record = solved("ours");
        let shadow = agreed(&record);
        let meeting = Meeting { record: &record, shadow: &shadow, touched: sent(3), seen: Some(2), decides: true };
        let ours = meeting.merge(&update(), brings("theirs"), |_| Winner::Ours);
        assert_eq!((ours.edit.clone(), ours.agreed.clone()), (Edit::default(), brings("theirs")));
        assert!(ours.restates && ours.conflicts[0].theirs == "theirs");
        let theirs = meeting.merge(&update(), brings("theirs"), |_| Winner::Theirs);
        assert_eq!((theirs.edit, theirs.conflicts[0].ours.as_str()), (brings("theirs"), "ours"));
        let open = meeting.merge(&update(), brings("theirs"), |_| Winner::Undecided);
        assert_eq!((open.edit, open.agreed), (Edit::default(), Edit::default()), "the peer will hear of ours");
    }

    #[test]
    fn a_change_that_was_not_sent_yet_is_a_conflict_too() {
        let record = solved("ours");
        let shadow = Shadow::default();
        let meeting =
            Meeting { record: &record, shadow: &shadow, touched: Touched::default(), seen: Some(0), decides: true };
        let open = meeting.merge(&update(), brings("theirs"), |_| Winner::Undecided);
        assert!(open.unsent);
        assert_eq!((open.edit, open.agreed), (Edit::default(), brings("theirs")));
    }

    #[test]
    fn equal_values_other_fields_and_steps_forward_are_no_conflict() {
        let record = Work { phase: Phase::Review, ..solved("same") };
        let shadow = Shadow::default();
        let meeting = Meeting { record: &record, shadow: &shadow, touched: sent(9), seen: Some(0), decides: true };
        let edit = Edit {
            phase: Some(Phase::Close),
            completion_code: Some(Some(CompletionCode::Fulfilled)),
            ..brings("same")
        };
        let merged = meeting.merge(&update(), edit.clone(), |field| panic!("{field:?} is no conflict"));
        assert_eq!(merged.edit, edit);
    }

    #[test]
    fn c_15_what_is_filled_in_is_said_by_the_site_above_and_yields_at_the_site_below() {
        let record = Work::default();
        let shadow = Shadow::default();
        let resolve = Operation::Resolve(Changes::default());
        let mut meeting =
            Meeting { record: &record, shadow: &shadow, touched: Touched::default(), seen: Some(0), decides: true };
        let in_review = Edit { phase: Some(Phase::Review), ..Edit::default() };
        let merged = meeting.merge(&resolve, brings("filled in"), |_| panic!("nobody changed it"));
        assert_eq!((merged.edit, merged.agreed, merged.restates), (brings("filled in"), in_review, true));
        meeting.decides = false;
        assert_eq!(meeting.merge(&resolve, brings("filled in"), |_| panic!()).edit, brings("filled in"));
        meeting.touched = sent(1);
        assert_eq!(meeting.merge(&resolve, brings("filled in"), |_| panic!()).edit, Edit::default());
    }

    #[test]
    fn how_a_case_ended_comes_from_whoever_ended_it() {
        let ended = |phase, code| Work { phase, completion_code: Some(code), ..solved("ours") };
        let shadow = Shadow::default();
        let touched = Touched::default();
        let edit = |phase, code| Edit { phase, completion_code: Some(Some(code)), ..Edit::default() };
        let (fulfilled, abandoned) = (CompletionCode::Fulfilled, CompletionCode::AbandonedByUser);
        let resolved = Changes { completion_code: Some(Some(fulfilled)), ..Changes::default() };
        let (cancel, resolve) = (Operation::Cancel(Changes::default()), Operation::Resolve(resolved));

        let record = ended(Phase::Review, fulfilled);
        let meeting = Meeting { record: &record, shadow: &shadow, touched, seen: Some(0), decides: true };
        let merged = meeting.merge(&cancel, edit(Some(Phase::Close), abandoned), |field| panic!("{field:?}"));
        assert_eq!(merged.edit, edit(Some(Phase::Close), abandoned), "it is canceled, and not completed");

        let record = ended(Phase::Close, CompletionCode::WithdrawnByUser);
        let meeting = Meeting { record: &record, shadow: &shadow, touched, seen: Some(0), decides: true };
        let merged = meeting.merge(&resolve, edit(None, fulfilled), |field| panic!("{field:?}"));
        assert_eq!((merged.edit.completion_code, merged.restates), (None, true), "it stays canceled");
        let merged = meeting.merge(&cancel, edit(Some(Phase::Close), abandoned), |_| Winner::Theirs);
        assert_eq!(
            (merged.edit, merged.restates),
            (Edit::default(), false),
            "both canceled it, and neither says so again"
        );
        assert_eq!(merged.agreed.completion_code, Some(Some(abandoned)));
    }

    #[test]
    fn c_13_how_a_canceled_case_ended_stands_whatever_comes_late() {
        use CompletionCode::{AbandonedByUser, Fulfilled, WithdrawnByUser};
        let record = Work { phase: Phase::Close, completion_code: Some(WithdrawnByUser), ..solved("ours") };
        let shadow = Shadow { phase: Phase::Close, completion_code: Some(WithdrawnByUser), ..agreed(&record) };
        let mut touched = Touched::default();
        touched.note(&Operation::Cancel(Changes::default()), 4);
        let says = Changes {
            solution: Some(Some("theirs".into())),
            completion_code: Some(Some(Fulfilled)),
            ..Changes::default()
        };
        let close = Operation::Close(says);
        let edit = Edit { completion_code: Some(Some(Fulfilled)), ..brings("theirs") };
        for decides in [true, false] {
            // In knowledge of the Cancel.
            let knowing = Meeting { record: &record, shadow: &shadow, touched, seen: Some(4), decides };
            let merged = knowing.merge(&close, edit.clone(), |field| panic!("{field:?}"));
            assert_eq!((&merged.edit, &merged.agreed), (&Edit::default(), &Edit::default()));
            assert!(merged.after_cancel && merged.keeps_phase && !merged.restates);
            // Without: the site above says it again, the one below waits for no word.
            let crossed = Meeting { seen: Some(3), ..knowing };
            let merged = crossed.merge(&close, edit.clone(), |field| panic!("{field:?}"));
            assert_eq!((merged.edit.solution, merged.edit.completion_code, merged.restates), (None, None, decides));
        }
        // And the Cancel that meets an end of ours overwrites it: above at once, below with the word from there.
        let record = Work { phase: Phase::Close, completion_code: Some(Fulfilled), ..solved("ours") };
        let mut touched = Touched::default();
        touched.note(&close, 4);
        let canceled = Edit { phase: Some(Phase::Close), completion_code: Some(Some(AbandonedByUser)), ..brings("x") };
        for decides in [true, false] {
            let shadow = Shadow::default();
            let meeting = Meeting { record: &record, shadow: &shadow, touched, seen: Some(3), decides };
            let merged = meeting.merge(&Operation::Cancel(Changes::default()), canceled.clone(), |_| Winner::Ours);
            let expected = if decides { canceled.clone() } else { Edit::default() };
            assert_eq!((merged.edit, merged.keeps_phase), (expected, !decides));
        }
    }

    #[test]
    fn who_has_the_case_where_both_gave_it_away_or_took_it_is_said_by_the_site_above() {
        let record = Work::default();
        let shadow = Shadow::default();
        let mut touched = Touched::default();
        touched.note(&Operation::Assign(Changes::default()), 4);
        let accept = Operation::Accept(Changes::default());
        let edit = Edit { assignment: Some(None), ..Edit::default() };
        for (seen, decides, keeps) in
            [(Some(3), true, true), (Some(4), true, false), (None, true, false), (Some(3), false, false)]
        {
            let meeting = Meeting { record: &record, shadow: &shadow, touched, seen, decides };
            let merged = meeting.merge(&accept, edit.clone(), |_| panic!("nobody changed a field"));
            assert_eq!((merged.keeps_holder, merged.edit.assignment.is_none()), (keeps, keeps), "{seen:?} {decides}");
        }
    }

    #[test]
    fn a_reopen_that_does_not_count_takes_nothing_away() {
        let record = Work { phase: Phase::Close, ..solved("ours") };
        let shadow = Shadow { phase: Phase::Review, ..agreed(&record) };
        let reopen = Operation::Reopen(Changes::default());
        let edit = Edit { phase: Some(Phase::InitialSupport), solution: Some(None), ..Edit::default() };
        let mut meeting =
            Meeting { record: &record, shadow: &shadow, touched: Touched::default(), seen: Some(0), decides: true };
        let merged = meeting.merge(&reopen, edit.clone(), |_| Winner::Ours);
        assert_eq!((&merged.edit, merged.agreed.solution), (&Edit::default(), Some(None)), "the peer gets it back");
        meeting.decides = false;
        let merged = meeting.merge(&reopen, edit, |_| Winner::Undecided);
        assert_eq!((merged.edit, merged.unsent), (Edit::default(), true));
    }

    #[test]
    fn close_against_reopen_is_a_conflict() {
        let record = Work::default();
        let shadow = Shadow::default();
        let mut touched = Touched::default();
        touched.note(&Operation::Reopen(Changes::default()), 4);
        let meeting = Meeting { record: &record, shadow: &shadow, touched, seen: Some(3), decides: true };
        let edit = Edit { phase: Some(Phase::Close), ..Edit::default() };
        assert!(meeting.merge(&update(), edit.clone(), |_| Winner::Ours).restates);
        assert!(meeting.merge(&update(), edit, |_| Winner::Undecided).keeps_phase);
    }
}
