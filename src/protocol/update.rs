//! `GET /v1/updates?after=&wait=&limit=`: the feed of operations from the upstream to one client. The cursor
//! acknowledges: asking for what comes after it says that everything before it is durable at the client.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::bounded::few;
use crate::case::{ExchangeId, TransactionId};

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct UpdateAnswer {
    /// Give it as `after` the next time. An opaque text of at most 80 bytes.
    pub cursor: String,
    #[serde(deserialize_with = "few")]
    pub operations: Vec<UpdateOperation>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UpdateOperation {
    pub exchange: ExchangeId,
    pub seq: u64,
    /// As in a request: the last operation of the receiver's that had taken effect here when this one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
    pub transaction: TransactionId,
    /// `{"kind": "accept", "content": {...}}`
    #[schema(value_type = crate::case::Operation)]
    pub operation: Box<RawValue>,
}
