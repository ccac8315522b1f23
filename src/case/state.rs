//! Where a case stands for the people who work on it, and the moves between the states (M-02). The phases of Case Exchange
//! ([`Phase`]) are coarser: each state belongs to one phase group.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::phase::{CompletionCode, Phase, PhaseGroup};

/// The state of a case (M-01, M-02).
///
/// | state | phase group | clocks |
/// |---|---|---|
/// | opened, in process, reopened | resolution | run |
/// | input requested, on hold | resolution | stand still |
/// | resolved | validation | stand still |
/// | completed | done | stand still |
/// | canceled | done, with a code of a withdrawal, a refusal or an abandonment | stand still |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaseState {
    #[default]
    Opened,
    InProcess,
    /// The case waits for its customer.
    InputRequested,
    OnHold,
    Resolved,
    Completed,
    Canceled,
    Reopened,
}

impl CaseState {
    pub const ALL: [CaseState; 8] = [
        CaseState::Opened,
        CaseState::InProcess,
        CaseState::InputRequested,
        CaseState::OnHold,
        CaseState::Resolved,
        CaseState::Completed,
        CaseState::Canceled,
        CaseState::Reopened,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            CaseState::Opened => "opened",
            CaseState::InProcess => "in_process",
            CaseState::InputRequested => "input_requested",
            CaseState::OnHold => "on_hold",
            CaseState::Resolved => "resolved",
            CaseState::Completed => "completed",
            CaseState::Canceled => "canceled",
            CaseState::Reopened => "reopened",
        }
    }

    /// The same for people (`stateLabel`).
    pub fn label(self) -> &'static str {
        match self {
            CaseState::Opened => "Opened",
            CaseState::InProcess => "In Process",
            CaseState::InputRequested => "Input Requested",
            CaseState::OnHold => "On Hold",
            CaseState::Resolved => "Resolved",
            CaseState::Completed => "Completed",
            CaseState::Canceled => "Canceled",
            CaseState::Reopened => "Reopened",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    pub fn group(self) -> PhaseGroup {
        match self {
            CaseState::Resolved => PhaseGroup::Validation,
            CaseState::Completed | CaseState::Canceled => PhaseGroup::Done,
            CaseState::Opened
            | CaseState::InProcess
            | CaseState::InputRequested
            | CaseState::OnHold
            | CaseState::Reopened => PhaseGroup::Resolution,
        }
    }

    /// Whether the clocks of deadlines run.
    pub fn is_running(self) -> bool {
        matches!(self, CaseState::Opened | CaseState::InProcess | CaseState::Reopened)
    }

    /// The state of a record in this phase, where `within` is the last state that the resolution phases had.
    pub fn of(phase: Phase, code: Option<CompletionCode>, within: Option<CaseState>) -> Self {
        use CompletionCode::{AbandonedByUser, RequestRejected, WithdrawnByUser};
        match (phase.group(), code) {
            (PhaseGroup::Resolution, _) => within.unwrap_or_default(),
            (PhaseGroup::Validation, _) => CaseState::Resolved,
            (PhaseGroup::Done, Some(WithdrawnByUser | RequestRejected | AbandonedByUser)) => CaseState::Canceled,
            (PhaseGroup::Done, _) => CaseState::Completed,
        }
    }
}

impl std::fmt::Display for CaseState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

/// What a person does with a case (M-02).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CaseAction {
    Open,
    Process,
    RequestInput,
    Hold,
    Resolve,
    Complete,
    Cancel,
    Reopen,
    Claim,
    Unclaim,
}

/// An action that the state of the case does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} does not follow on the state {from}; {}", action.as_str(), remedy(*action, *from))]
pub struct IllegalMove {
    pub action: CaseAction,
    pub from: CaseState,
}

fn remedy(action: CaseAction, from: CaseState) -> &'static str {
    match (action, from.group()) {
        (CaseAction::Reopen, PhaseGroup::Resolution) => "the case is open",
        (_, PhaseGroup::Resolution) => "the case is in that state already",
        (CaseAction::Cancel | CaseAction::Complete, _) => "the case is over already",
        (_, _) => "reopen the case first",
    }
}

impl CaseAction {
    pub const ALL: [CaseAction; 10] = [
        CaseAction::Open,
        CaseAction::Process,
        CaseAction::RequestInput,
        CaseAction::Hold,
        CaseAction::Resolve,
        CaseAction::Complete,
        CaseAction::Cancel,
        CaseAction::Reopen,
        CaseAction::Claim,
        CaseAction::Unclaim,
    ];

    /// The word in addresses and commands.
    pub fn as_str(self) -> &'static str {
        match self {
            CaseAction::Open => "open",
            CaseAction::Process => "process",
            CaseAction::RequestInput => "request-input",
            CaseAction::Hold => "hold",
            CaseAction::Resolve => "resolve",
            CaseAction::Complete => "complete",
            CaseAction::Cancel => "cancel",
            CaseAction::Reopen => "reopen",
            CaseAction::Claim => "claim",
            CaseAction::Unclaim => "unclaim",
        }
    }

    /// The state afterwards, where the action may follow.
    ///
    /// | action | from | to |
    /// |---|---|---|
    /// | open | in process, input requested, on hold, reopened | opened |
    /// | process | opened, input requested, on hold, reopened | in process |
    /// | request input | opened, in process, on hold, reopened | input requested |
    /// | hold | opened, in process, input requested, reopened | on hold |
    /// | resolve | every state of the resolution phases | resolved |
    /// | complete | the same, and resolved | completed |
    /// | cancel | the same, and resolved | canceled |
    /// | reopen | resolved, completed, canceled | reopened |
    /// | claim, unclaim | all but completed and canceled | as it was |
    pub fn leads_to(self, from: CaseState) -> Result<CaseState, IllegalMove> {
        let group = from.group();
        let (may, to) = match self {
            CaseAction::Open => (group == PhaseGroup::Resolution, CaseState::Opened),
            CaseAction::Process => (group == PhaseGroup::Resolution, CaseState::InProcess),
            CaseAction::RequestInput => (group == PhaseGroup::Resolution, CaseState::InputRequested),
            CaseAction::Hold => (group == PhaseGroup::Resolution, CaseState::OnHold),
            CaseAction::Resolve => (group == PhaseGroup::Resolution, CaseState::Resolved),
            CaseAction::Complete => (group != PhaseGroup::Done, CaseState::Completed),
            CaseAction::Cancel => (group != PhaseGroup::Done, CaseState::Canceled),
            CaseAction::Reopen => (group != PhaseGroup::Resolution, CaseState::Reopened),
            CaseAction::Claim | CaseAction::Unclaim => return self.stays(from),
        };
        if may && to != from { Ok(to) } else { Err(IllegalMove { action: self, from }) }
    }

    fn stays(self, from: CaseState) -> Result<CaseState, IllegalMove> {
        if from.group() == PhaseGroup::Done { Err(IllegalMove { action: self, from }) } else { Ok(from) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CaseAction::*;

    /// Every action from every state: where it leads, or that it is illegal.
    #[test]
    fn m_02_every_move_is_legal_or_illegal_as_the_table_says() {
        use CaseState::*;
        let states = [Opened, InProcess, InputRequested, OnHold, Reopened, Resolved, Completed, Canceled];
        let no = None;
        #[rustfmt::skip]
        let table: [(CaseAction, [Option<CaseState>; 8]); 10] = [
            (Open,         [no, Some(Opened), Some(Opened), Some(Opened), Some(Opened), no, no, no]),
            (Process,      [Some(InProcess), no, Some(InProcess), Some(InProcess), Some(InProcess), no, no, no]),
            (RequestInput, [Some(InputRequested), Some(InputRequested), no, Some(InputRequested), Some(InputRequested), no, no, no]),
            (Hold,         [Some(OnHold), Some(OnHold), Some(OnHold), no, Some(OnHold), no, no, no]),
            (Resolve,      [Some(Resolved), Some(Resolved), Some(Resolved), Some(Resolved), Some(Resolved), no, no, no]),
            (Complete,     [Some(Completed), Some(Completed), Some(Completed), Some(Completed), Some(Completed), Some(Completed), no, no]),
            (Cancel,       [Some(Canceled), Some(Canceled), Some(Canceled), Some(Canceled), Some(Canceled), Some(Canceled), no, no]),
            (Reopen,       [no, no, no, no, no, Some(Reopened), Some(Reopened), Some(Reopened)]),
            (Claim,        [Some(Opened), Some(InProcess), Some(InputRequested), Some(OnHold), Some(Reopened), Some(Resolved), no, no]),
            (Unclaim,      [Some(Opened), Some(InProcess), Some(InputRequested), Some(OnHold), Some(Reopened), Some(Resolved), no, no]),
        ];
        assert_eq!(table.map(|(action, _)| action), CaseAction::ALL);
        for (action, row) in table {
            for (from, expected) in states.into_iter().zip(row) {
                let led = action.leads_to(from);
                assert_eq!(led.ok(), expected, "{} from {from}", action.as_str());
                if let Err(fault) = led {
                    assert!(fault.to_string().contains(action.as_str()), "{fault}");
                }
            }
        }
    }

    #[test]
    fn m_02_a_state_belongs_to_one_phase_group() {
        for state in CaseState::ALL {
            for phase in Phase::ALL.into_iter().filter(|phase| phase.group() == state.group()) {
                let code = (state == CaseState::Canceled).then_some(CompletionCode::WithdrawnByUser);
                assert_eq!(CaseState::of(phase, code, Some(state)), state);
            }
            assert_eq!(CaseState::parse(state.as_str()), Some(state));
        }
        for code in CompletionCode::ALL {
            let over = CaseState::of(Phase::Close, Some(code), Some(CaseState::OnHold));
            let fulfilled = code == CompletionCode::Fulfilled;
            assert_eq!(over, if fulfilled { CaseState::Completed } else { CaseState::Canceled });
        }
        assert_eq!(CaseState::of(Phase::Escalate, None, None), CaseState::Opened);
    }
}
