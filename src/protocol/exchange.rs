//! `GET /v1/exchanges?after=&limit=`: how every exchange of one client stands, for re-adoption after lost state; with
//! `?exchange=a,b,c` how these stand, for a comparison.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::bounded::few;
use crate::case::{Agreed, ExchangeId, IncidentId, TransactionId};

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ExchangePage {
    /// The feed's cursor when this page was made: what is not in it comes after that cursor.
    pub cursor: String,
    /// In order of their IDs.
    #[serde(deserialize_with = "few")]
    pub exchanges: Vec<ExchangeSnapshot>,
    /// Whether there are more, after the last one here.
    pub more: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ExchangeSnapshot {
    pub exchange: ExchangeId,
    /// The number of the incident at the client, as its Create told it.
    #[schema(value_type = i64)]
    pub incident: IncidentId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<TransactionId>,
    pub step: SnapshotStep,
    /// The last operation of the client's that took effect.
    pub applied: u64,
    /// The last operation to the client whose effect is in `record`.
    pub sent: u64,
    /// The fields that both sites keep the same, as they stand now; the comments are those that this site would send. In the words
    /// that travel between the two sites.
    #[schema(value_type = crate::case::Changes)]
    pub record: Box<RawValue>,
    /// The whole record for a comparison; present when single exchanges were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed: Option<Agreed>,
}

/// Where the case stands. A record whose `case` is empty in step `open` waits for a person's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotStep {
    Received,
    Open,
    Resolved,
    Closed,
    Rejected,
}
