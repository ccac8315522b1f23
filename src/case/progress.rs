//! Whether an exchange gets on (design, invariant 9). An operation of the peer's that says only what it has said before is a
//! repetition; so many in a row, in a short time, and something goes round in circles.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::operation::Operation;

/// Different contents that are remembered of one exchange.
const MEMORY: usize = 16;
/// Moves from state to state that weigh as much as one repetition: people who move a case to and fro are let, two programs
/// that fight over its state are stopped.
const MOVES: u32 = 20;

/// How many repetitions in a row, and within which time, are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    pub repeats: u32,
    pub within: std::time::Duration,
}

/// What the peer said lately, in one exchange.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// A mark of each of the last different contents.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    said: Vec<u32>,
    /// What the repetitions since something was new weigh, and when they began.
    #[serde(skip_serializing_if = "Option::is_none")]
    repeated: Option<(u32, Timestamp)>,
    /// The highest count of a state that the peer told: whoever moves the case anew counts further, an echo does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stopped: bool,
}

impl Progress {
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Takes note of an operation that took effect. True when this one stops the exchange.
    pub fn note(&mut self, operation: &Operation, now: Timestamp, patience: Patience) -> bool {
        let mark = mark(operation);
        let moves = highest_move(operation);
        let weight = if moves > self.moved { 1 } else { MOVES };
        self.moved = self.moved.max(moves);
        if !self.said.contains(&mark) {
            if self.said.len() >= MEMORY {
                self.said.remove(0);
            }
            self.said.push(mark);
            self.repeated = None;
            return false;
        }
        let within = SignedDuration::try_from(patience.within).unwrap_or(SignedDuration::MAX);
        let (weighs, began) = match self.repeated {
            Some((weighs, began)) if now.duration_since(began) <= within => (weighs.saturating_add(weight), began),
            _ => (weight, now),
        };
        self.repeated = Some((weighs, began));
        let stops = weighs >= patience.repeats.saturating_mul(MOVES) && !self.stopped;
        self.stopped |= stops;
        stops
    }
}

fn highest_move(operation: &Operation) -> Option<u32> {
    let milestones = &operation.changes()?.milestones;
    milestones.iter().filter(|one| one.state().is_some()).map(|one| one.n).max()
}

/// Tells contents apart. A comment is its author and its text: whoever echoes one gives it another ID.
fn mark(operation: &Operation) -> u32 {
    let Some(changes) = operation.changes() else { return 0 };
    let comments: Vec<_> = changes.comments.iter().map(|comment| (&comment.author, &comment.text)).collect();
    let facts: Vec<_> = changes.milestones.iter().map(|one| &one.fact).collect();
    let deadlines: Vec<_> = changes.deadlines.iter().map(|one| (one.id, one.revision)).collect();
    let content = (
        operation.kind(),
        &changes.case,
        &changes.solution,
        &changes.completion_code,
        &changes.expected_resolution,
        comments,
        facts,
        deadlines,
    );
    // Nothing in it can fail to be written.
    crc32fast::hash(&serde_json::to_vec(&content).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::example::comment;
    use crate::case::{CaseState, Changes, Fact, Milestone};

    const PATIENCE: Patience = Patience { repeats: 5, within: std::time::Duration::from_secs(60) };

    fn says(solution: impl Into<String>) -> Operation {
        Operation::Update(Changes { solution: Some(Some(solution.into())), ..Changes::default() })
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    #[test]
    fn what_goes_round_in_circles_is_stopped_once() {
        let mut progress = Progress::default();
        let stops: Vec<bool> =
            (0..9).map(|turn| progress.note(&says(format!("{}", turn % 2)), at(turn), PATIENCE)).collect();
        assert_eq!(stops, [false, false, false, false, false, false, true, false, false]);
        assert!(progress.is_stopped());
    }

    #[test]
    fn something_new_or_enough_time_begins_the_count_anew() {
        let mut progress = Progress::default();
        for turn in 0..100 {
            let word = if turn % 4 == 0 { format!("new {turn}") } else { "old".into() };
            assert!(!progress.note(&says(word), at(turn), PATIENCE), "{turn}");
        }
        for turn in 0..100 {
            assert!(!progress.note(&says("old"), at(1000 + 20 * turn), PATIENCE), "a slow rhythm is somebody's habit");
        }
    }

    /// The `n`th state of a case, told by somebody's move.
    fn moves(n: u32) -> Operation {
        let state = if n.is_multiple_of(2) { CaseState::OnHold } else { CaseState::InProcess };
        let one = Milestone { n, ..Milestone::new(uuid::Uuid::from_u128(n.into()), at(0), Fact::State(state)) };
        Operation::Update(Changes { milestones: vec![one], ..Changes::default() })
    }

    #[test]
    fn people_who_move_a_case_to_and_fro_say_something_new_and_an_echo_does_not() {
        let mut progress = Progress::default();
        assert!((0..50).all(|n| !progress.note(&moves(n), at(n.into()), PATIENCE)), "ten times as much as repetitions");
        let mut progress = Progress::default();
        let echoes = (0..8).map(|n| progress.note(&moves(n % 2), at(n.into()), PATIENCE)).position(|stops| stops);
        assert_eq!(echoes, Some(6), "two that were new, and five repetitions");
    }

    #[test]
    fn two_programs_that_fight_over_a_state_are_stopped() {
        let mut progress = Progress::default();
        let stopped = (0..200).position(|n| progress.note(&moves(n), at(0), PATIENCE));
        assert_eq!(stopped, Some(101), "no person is so quick");
    }

    #[test]
    fn a_comment_with_another_id_is_the_same_comment() {
        let mut progress = Progress::default();
        let echo = |turn: i64| {
            let comment = crate::case::Comment { text: "Still down".into(), ..comment(turn, None) };
            Operation::Update(Changes { comments: vec![comment], ..Changes::default() })
        };
        assert!((0..6).any(|turn| progress.note(&echo(turn), at(turn), PATIENCE)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut progress = Progress::default();
        for turn in 0..1000 {
            progress.note(&says(format!("{turn}")), at(0), PATIENCE);
        }
        assert_eq!(progress.said.len(), MEMORY);
    }
}
