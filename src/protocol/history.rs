//! What `casebridge history` and the daemon say to each other (H-05, H-07).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::case::evidence::Line;
use crate::case::{Alias, ExchangeId, Transfer};

/// Which entries `GET /v1/history`, `/v1/history/end` and `/v1/history/disclosed` are asked for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// One case, or all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<i64>,
    /// What was disclosed to whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<Alias>,
    /// The number of the last entry before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// As the history was when it ended with this entry: the `until` of the first page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// At most 1,000; 100 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// `GET /v1/history`: entries as an export holds them.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct HistoryPage {
    #[schema(value_type = Object)]
    pub begin: crate::case::evidence::Begin,
    #[schema(value_type = Vec<Object>)]
    pub lines: Vec<Line>,
    /// Where the history ended: give it with what is asked for next, so that it is all of one instant.
    pub until: u64,
    /// Give it as `after` for the next page.
    pub next: Option<u64>,
}

/// `GET /v1/history/end`: the signed end of an export up to the entry `after`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct HistoryEnd {
    #[schema(value_type = Object)]
    pub end: crate::case::evidence::Exported,
}

/// `GET /v1/history/disclosed`: what a peer has ever seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DisclosedPage {
    pub operations: Vec<Disclosed>,
    /// Of one case: how its files stand towards the peer.
    pub files: Vec<Transfer>,
    /// Give it as `after` for the next page.
    pub next: Option<u64>,
}

/// One operation that the peer has seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Disclosed {
    /// The entry that tells of it; absent while it is on its way, and may have been seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
    pub incident: Option<i64>,
    pub at: String,
    pub exchange: ExchangeId,
    pub seq: u64,
    /// `taken`, `refused`, `under way`, or `to be read`: a record as a whole, after this site has lost its state.
    pub outcome: String,
    pub operation: String,
    /// What stood in it, in the words that travelled: what was hidden is hidden here too.
    pub fields: Vec<Seen>,
    /// When the peer received it, by its own signed word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub signed: Option<Timestamp>,
}

/// One value in an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Seen {
    /// Its place, such as `event.synopsis`.
    pub field: String,
    pub value: String,
}
