//! Each state that a case comes into has its milestone, at both sites the same one (M-02).

use uuid::Uuid;

use super::apply::Arrival;
use super::conflict::Merged;
use super::incident::Incident;
use super::milestone::{Fact, Milestone, last_state, state_within};
use super::ownership::Field;
use super::phase::PhaseGroup;
use super::state::CaseState;

/// Adds the milestone of a state that the operation leads to and that is not the last one told. It is the peer's, where that
/// one moved the case and never tells how: one that does has told it before, or tells it yet, and what was made up for it here
/// would stay unknown there. It is our own, where what both sites did at once leaves a state, and we are the site above, which
/// `decides`: the other one comes to know it with the decision.
pub fn dated(record: &Incident, merged: Merged, arrival: Arrival<'_>, decides: bool) -> Merged {
    let edit = &merged.edit;
    let told: Vec<Milestone> =
        record.milestones.iter().chain(&edit.milestones).filter(|one| one.state().is_some()).cloned().collect();
    let phase = edit.phase.unwrap_or(record.work.phase);
    let code = edit.completion_code.unwrap_or(record.work.completion_code);
    let is_moved = phase.group() != record.work.phase.group();
    let tells = edit.milestones.iter().any(|one| one.state().is_some());
    let contested = merged.conflicts.iter().any(|one| matches!(one.field, Field::Phase | Field::CompletionCode));
    let is_unsaid = is_moved && !tells && !contested;
    // What it told came in an exchange; what was made up for it did not.
    let is_telling = told.iter().any(|one| one.origin.as_ref() == Some(arrival.peer) && one.came_in.is_some());
    let theirs = is_unsaid && !is_telling;
    let last = last_state(&told);
    let is_elsewhere = last.is_none_or(|last| last.group() != phase.group());
    let within = if is_unsaid && is_elsewhere { Some(CaseState::Reopened) } else { state_within(&told) };
    let state = CaseState::of(phase, code, within);
    let is_told = match last {
        Some(last) => last == state,
        None => !is_moved && phase.group() == PhaseGroup::Resolution,
    };
    if is_told || !(theirs || decides) {
        return merged;
    }
    let one = Milestone::new(arrival.id(Uuid::from_u128(1)), arrival.at, Fact::State(state));
    let mut merged = Merged { restates: merged.restates || !theirs, ..merged };
    merged.edit.milestones.push(Milestone { origin: theirs.then(|| arrival.peer.clone()), ..one });
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::example::{incident, peer};
    use crate::case::{CompletionCode, Conflict, Edit, ExchangeId, Phase, Winner};

    fn told(number: u128, n: u32, state: CaseState) -> Milestone {
        let at = incident().created_at;
        Milestone { n, position: 1, ..Milestone::new(Uuid::from_u128(number), at, Fact::State(state)) }
    }

    /// What is added to the record of a case in this phase by what is left of a peer's operation: whose it is, and the state.
    fn added(record: &Incident, merged: Merged, decides: bool) -> Option<(bool, CaseState)> {
        let (came, peer) = (merged.edit.milestones.len(), peer());
        let at = Arrival { peer: &peer, exchange: ExchangeId::from_bytes([7; 16]), seq: 3, at: record.created_at };
        let after = dated(record, merged.clone(), at, decides);
        let added = after.edit.milestones.get(came).map(|one| (one.origin.is_none(), one.state().unwrap()));
        assert_eq!(after.restates, added.is_some_and(|(ours, _)| ours), "our own goes there");
        added
    }

    fn closes(milestones: Vec<Milestone>) -> Merged {
        let edit = Edit {
            phase: Some(Phase::Close),
            completion_code: Some(Some(CompletionCode::Fulfilled)),
            milestones,
            ..Edit::default()
        };
        Merged { edit, ..Merged::default() }
    }

    fn in_phase(phase: Phase, milestones: Vec<Milestone>) -> Incident {
        let mut record = incident();
        record.work.phase = phase;
        record.milestones = milestones;
        record
    }

    #[test]
    fn a_peer_that_tells_how_it_moves_a_case_is_taken_at_its_word() {
        let record = in_phase(Phase::InitialSupport, vec![told(1, 1, CaseState::InProcess)]);
        for decides in [true, false] {
            assert_eq!(added(&record, closes(vec![told(2, 2, CaseState::Completed)]), decides), None);
            assert_eq!(
                added(&record, closes(vec![]), decides),
                Some((false, CaseState::Completed)),
                "it does not tell"
            );
            let said_again = in_phase(Phase::Close, vec![told(2, 2, CaseState::Completed)]);
            assert_eq!(added(&said_again, closes(vec![]), decides), None, "a remark on a case that is over");
        }
    }

    #[test]
    fn for_a_peer_that_tells_nothing_is_made_up() {
        let theirs = |number, n, state| {
            let came_in = Some(ExchangeId::from_bytes([7; 16]));
            Milestone { origin: Some(peer()), came_in, ..told(number, n, state) }
        };
        let reopens =
            Merged { edit: Edit { phase: Some(Phase::InitialSupport), ..Edit::default() }, ..Merged::default() };
        let (completed, reopened) = (told(1, 2, CaseState::Completed), theirs(2, 3, CaseState::Reopened));
        let held = theirs(3, 4, CaseState::OnHold);
        let record = in_phase(Phase::Close, vec![completed.clone(), reopened.clone(), held]);
        for decides in [true, false] {
            assert_eq!(added(&record, reopens.clone(), decides), None, "it said before that it is on hold");
        }
        let record = in_phase(Phase::InitialSupport, vec![completed, reopened, told(4, 4, CaseState::InputRequested)]);
        assert_eq!(added(&record, closes(vec![]), false), None, "the milestone of its decision is on its way");
        assert_eq!(added(&record, closes(vec![]), true), Some((true, CaseState::Completed)), "we say how it stands");
    }

    #[test]
    fn what_both_did_at_once_is_told_by_the_site_above_alone() {
        let mut record = in_phase(Phase::Close, vec![told(1, 2, CaseState::Canceled)]);
        record.work.completion_code = Some(CompletionCode::WithdrawnByUser);
        let contested = Conflict {
            field: Field::CompletionCode,
            winner: Winner::Ours,
            unsent: false,
            ours: String::new(),
            theirs: String::new(),
        };
        let keeps = |number| {
            let edit = Edit { milestones: vec![told(number, 2, CaseState::Completed)], ..Edit::default() };
            Merged { edit, conflicts: vec![contested.clone()], ..Merged::default() }
        };
        assert_eq!(added(&record, keeps(9), true), Some((true, CaseState::Canceled)), "theirs would be the last");
        assert_eq!(added(&record, keeps(9), false), None, "the site above says it");
        assert_eq!(added(&record, keeps(0), true), None, "ours is the last as it is");
    }

    #[test]
    fn a_case_that_is_reopened_by_a_peer_that_does_not_tell_is_in_that_state() {
        let reopens =
            Merged { edit: Edit { phase: Some(Phase::InitialSupport), ..Edit::default() }, ..Merged::default() };
        for told in [vec![], vec![told(1, 1, CaseState::OnHold), told(2, 2, CaseState::Resolved)]] {
            let record = in_phase(Phase::Review, told);
            assert_eq!(added(&record, reopens.clone(), true), Some((false, CaseState::Reopened)));
        }
        assert_eq!(added(&in_phase(Phase::InitialSupport, vec![]), reopens, true), None);
    }
}
