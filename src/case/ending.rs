//! The two endings of which the other site hears by an operation of its own: after a Cancel nothing but a Reopen follows
//! (C-13), and after a Reject nothing at all (C-18).

use super::apply::{CANCELED_ELSEWHERE, is_canceled_elsewhere};
use super::derive::Towards;
use super::incident::Work;
use super::phase::{CompletionCode, Phase, PhaseGroup};
use super::shadow::{Mark, Shadow};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Cancel,
    Reject,
}

impl Ending {
    /// How the work ended, if it ended so. While it goes on, a code says nothing yet.
    pub fn of(work: &Work) -> Option<Self> {
        match work.completion_code.filter(|_| work.phase.group() != PhaseGroup::Resolution)? {
            CompletionCode::WithdrawnByUser => Some(Self::Cancel),
            CompletionCode::RequestRejected => Some(Self::Reject),
            CompletionCode::AbandonedByUser if is_canceled_elsewhere(work) => Some(Self::Cancel),
            CompletionCode::AbandonedByUser | CompletionCode::Fulfilled => None,
        }
    }

    /// The same, as it is told that way: only whoever a case was submitted to gives it back (C-09), and whoever submitted it
    /// takes it back (C-08).
    pub fn told(work: &Work, towards: Towards) -> Option<Self> {
        match (Self::of(work)?, towards) {
            (Self::Reject, Towards::Client) => Some(Self::Reject),
            (Self::Reject, Towards::Upstream) | (Self::Cancel, _) => Some(Self::Cancel),
        }
    }
}

impl CompletionCode {
    /// Whether work that ends with this code is over at once: there is nothing to validate.
    pub fn ends_at_once(self) -> bool {
        matches!(self, CompletionCode::WithdrawnByUser | CompletionCode::RequestRejected)
    }
}

impl Shadow {
    /// Whether both sites know that the case was canceled, whichever of the two did it.
    pub fn is_canceled(&self) -> bool {
        let elsewhere = || self.solution == Some(Mark::of(CANCELED_ELSEWHERE));
        self.phase == Phase::Close
            && match self.completion_code {
                // A refusal that is told as a Reject leaves no exchange in which to ask; told as a Cancel it is one.
                Some(CompletionCode::WithdrawnByUser | CompletionCode::RequestRejected) => true,
                Some(CompletionCode::AbandonedByUser) => elsewhere(),
                Some(CompletionCode::Fulfilled) | None => false,
            }
    }
}
