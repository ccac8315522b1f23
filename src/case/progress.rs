//! Whether an exchange gets on (design, invariant 9). An operation of the peer's that says only what it has said before is a
//! repetition; so many in a row, in a short time, and something goes round in circles.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::operation::Operation;

/// Different contents that are remembered of one exchange.
const MEMORY: usize = 16;

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
    /// Repetitions since something was new, and when they began.
    #[serde(skip_serializing_if = "Option::is_none")]
    repeated: Option<(u32, Timestamp)>,
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
        if !self.said.contains(&mark) {
            if self.said.len() >= MEMORY {
                self.said.remove(0);
            }
            self.said.push(mark);
            self.repeated = None;
            return false;
        }
        let within = SignedDuration::try_from(patience.within).unwrap_or(SignedDuration::MAX);
        let (count, began) = match self.repeated {
            Some((count, began)) if now.duration_since(began) <= within => (count + 1, began),
            _ => (1, now),
        };
        self.repeated = Some((count, began));
        let stops = count >= patience.repeats && !self.stopped;
        self.stopped |= stops;
        stops
    }
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
    use crate::case::Changes;
    use crate::case::example::comment;

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
