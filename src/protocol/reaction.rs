//! What the commands and the daemon say to each other about reactions.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::case::{Owned, ReactionChange};

/// The reactions in their order, and the targets that the settings allow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReactionPage {
    pub reactions: Vec<Owned>,
    pub targets: Vec<String>,
}

/// A change of the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReactionRequest {
    pub change: ReactionChange,
    /// Whose reaction it is to be, where it is not the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Who gives the command.
    pub operator: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReactionAnswer {
    /// The one that was changed, where it is one.
    pub id: Option<i64>,
    /// How many there are now.
    pub count: usize,
}

/// What reactions led to and is not done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunRows {
    pub waiting: u64,
    pub given_up: u64,
    /// Those that failed, newest first.
    pub runs: Vec<RunRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunRow {
    pub id: i64,
    /// The number of the line in the history.
    pub event: i64,
    pub reaction: i64,
    /// The reaction's, when it happened.
    pub name: String,
    pub target: String,
    pub incident: i64,
    #[schema(value_type = String, format = DateTime)]
    pub queued_at: Timestamp,
    pub attempts: u32,
    /// None for what was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// What was given up is to be tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReactionRetryRequest {
    /// All of it, when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reaction: Option<i64>,
    pub operator: String,
}
