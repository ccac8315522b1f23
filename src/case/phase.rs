//! Where an incident stands in its life, in the words of the Case Exchange tables (C-03 to C-12).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The phase of an incident. The first two make up the resolution group of phases, then come validation and done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    #[default]
    InitialSupport,
    Escalate,
    Review,
    Close,
}

/// The group of phases that the outgoing table is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhaseGroup {
    Resolution,
    Validation,
    Done,
}

impl Phase {
    pub const ALL: [Phase; 4] = [Phase::InitialSupport, Phase::Escalate, Phase::Review, Phase::Close];

    pub fn group(self) -> PhaseGroup {
        match self {
            Phase::InitialSupport | Phase::Escalate => PhaseGroup::Resolution,
            Phase::Review => PhaseGroup::Validation,
            Phase::Close => PhaseGroup::Done,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Phase::InitialSupport => "initial_support",
            Phase::Escalate => "escalate",
            Phase::Review => "review",
            Phase::Close => "close",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }
}

/// How an incident ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompletionCode {
    Fulfilled,
    WithdrawnByUser,
    RequestRejected,
    AbandonedByUser,
}

impl CompletionCode {
    pub const ALL: [CompletionCode; 4] = [
        CompletionCode::Fulfilled,
        CompletionCode::WithdrawnByUser,
        CompletionCode::RequestRejected,
        CompletionCode::AbandonedByUser,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            CompletionCode::Fulfilled => "fulfilled",
            CompletionCode::WithdrawnByUser => "withdrawn_by_user",
            CompletionCode::RequestRejected => "request_rejected",
            CompletionCode::AbandonedByUser => "abandoned_by_user",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }
}
