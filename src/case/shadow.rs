//! The incident as both sides last agreed on it. Long texts are kept as a digest: the shadow only has to tell whether a
//! value changed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::apply::Edit;
use super::fields::{FieldMap, FieldName};
use super::incident::{Case, Incident};
use super::operation::{Changes, Operation, OperationKind};
use super::phase::{CompletionCode, Phase};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Shadow {
    pub phase: Phase,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solution: Option<Mark>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_code: Option<CompletionCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_resolution: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<Case>,
    /// The position of the last local comment that was handed over.
    pub comments: i64,
    /// The position of the last attachment that was announced.
    pub attachments: i64,
    /// The position of the last local milestone that was handed over.
    #[serde(skip_serializing_if = "is_zero")]
    pub milestones: i64,
    /// The position of the last local deadline that was handed over.
    #[serde(skip_serializing_if = "is_zero")]
    pub deadlines: i64,
    /// Whether the record was assigned to a group of the other side's; none when nobody assigned it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned: Option<bool>,
}

/// A text as the shadow remembers it: itself when short, else its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mark(String);

impl Mark {
    const VERBATIM: usize = 64;

    pub fn of(text: &str) -> Self {
        if text.len() <= Self::VERBATIM {
            return Self(text.to_owned());
        }
        // Longer than any verbatim mark, so the two can never be taken for each other.
        let digest = Sha256::digest(text);
        let mut mark = String::from("sha256:");
        for byte in digest {
            mark.push_str(&format!("{byte:02x}"));
        }
        Self(mark)
    }

    /// The text itself, when it was short.
    pub fn text(&self) -> Option<&str> {
        Some(self.0.as_str()).filter(|text| text.len() <= Self::VERBATIM)
    }
}

impl Shadow {
    /// The whole record as it stands: everything is agreed on.
    pub fn of(incident: &Incident, assigned: Option<bool>) -> Self {
        Self {
            phase: incident.work.phase,
            solution: incident.work.solution.as_deref().map(Mark::of),
            completion_code: incident.work.completion_code,
            expected_resolution: incident.work.expected_resolution,
            case: incident.case.clone(),
            comments: incident.comments.iter().map(|comment| comment.position).max().unwrap_or(0),
            attachments: incident.announced.iter().map(|one| one.position).max().unwrap_or(0),
            milestones: incident.milestones.iter().map(|one| one.position).max().unwrap_or(0),
            deadlines: incident.deadlines.iter().map(|one| one.position).max().unwrap_or(0),
            assigned,
        }
    }

    /// The incident as a Create hands it over: work has not begun, and there is no case. What was announced before
    /// belongs to an earlier hand-over; it becomes ready anew.
    pub fn of_create(incident: &Incident, assigned: Option<bool>) -> Self {
        let Self { comments, attachments, deadlines, .. } = Self::of(incident, assigned);
        Self { comments, attachments, deadlines, assigned, ..Self::default() }
    }

    /// After `operations` were made from the difference. What no row of the table let through is still to be told, by the
    /// next operation that may carry it. A field that does not go to the peer was not agreed on either. A Cancel says how
    /// the case ended whichever fields go there, and what is written after it waits for the Reopen.
    pub fn after(
        &self,
        operations: &[Operation],
        incident: &Incident,
        assigned: Option<bool>,
        fields: &FieldMap,
    ) -> Self {
        let carried = |field: fn(&Changes) -> bool| {
            operations.iter().any(|one| one.kind() == OperationKind::Reopen || one.changes().is_some_and(field))
        };
        let now = Self::of(incident, assigned);
        let has = |kind| operations.iter().any(|one| one.kind() == kind);
        if self.is_canceled() && !has(OperationKind::Reopen) {
            let milestones = if has(OperationKind::Cancel) { now.milestones } else { self.milestones };
            return Self { milestones, ..self.clone() };
        }
        if has(OperationKind::Cancel) {
            return Self { phase: Phase::Close, ..now };
        }
        let code = carried(|changes| changes.completion_code.is_some()) && fields.sends(FieldName::CompletionCode);
        let expected =
            carried(|changes| changes.expected_resolution.is_some()) && fields.sends(FieldName::ExpectedResolution);
        Self {
            solution: if fields.sends(FieldName::Solution) { now.solution } else { self.solution.clone() },
            completion_code: if code { now.completion_code } else { self.completion_code },
            expected_resolution: if expected { now.expected_resolution } else { self.expected_resolution },
            comments: if fields.sends(FieldName::Comments) { now.comments } else { self.comments },
            ..now
        }
    }

    /// Moves with what an operation of the peer's changed here, so that the detector sees nothing new (no echo).
    pub fn follow(&mut self, edit: &Edit) {
        if let Some(phase) = edit.phase {
            self.phase = phase;
        }
        if let Some(solution) = &edit.solution {
            self.solution = solution.as_deref().map(Mark::of);
        }
        if let Some(code) = edit.completion_code {
            self.completion_code = code;
        }
        if let Some(expected) = edit.expected_resolution {
            self.expected_resolution = expected;
        }
        if let Some(case) = &edit.case {
            self.case = Some(case.clone());
        }
        if edit.assignment.is_some() {
            self.assigned = None;
        }
    }
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_tells_two_texts_apart_whatever_their_length() {
        let long = "x".repeat(65);
        assert_eq!(Mark::of(&long), Mark::of(&long));
        assert_ne!(Mark::of(&long), Mark::of(&"y".repeat(65)));
        let Mark(digest) = Mark::of(&long);
        assert_ne!(Mark::of(&digest), Mark::of(&long), "a text that looks like a digest is not one");
    }
}
