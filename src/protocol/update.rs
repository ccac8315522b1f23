//! `GET /v1/updates?after=&wait=&limit=`: the feed of operations from the upstream to one client. The cursor
//! acknowledges: asking for what comes after it says that everything before it is durable at the client.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::bounded::few;
use super::unknown::noting;
use super::version::Version;
use crate::case::{ExchangeId, TransactionId};

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct UpdateAnswer {
    /// What the upstream speaks; sites before 1.2 do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^1[.](0|[1-9][0-9]{0,3})$")]
    pub protocol: Option<Version>,
    /// Give it as `after` the next time. An opaque text of at most 80 bytes.
    pub cursor: String,
    #[serde(deserialize_with = "few")]
    pub operations: Vec<UpdateOperation>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UpdateOperation {
    pub exchange: ExchangeId,
    pub seq: u64,
    /// As in a request: the last operation of the receiver's that had taken effect here when this one was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
    pub transaction: TransactionId,
    /// `{"kind": "accept", "content": {...}}`
    #[schema(value_type = crate::case::Operation)]
    pub operation: Box<RawValue>,
    /// A key beside these, as it came.
    #[serde(skip)]
    pub unknown: Option<String>,
}

impl<'de> Deserialize<'de> for UpdateOperation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Known {
            exchange: ExchangeId,
            seq: u64,
            #[serde(default)]
            seen: Option<u64>,
            transaction: TransactionId,
            operation: Box<RawValue>,
        }
        let (Known { exchange, seq, seen, transaction, operation }, unknown) = noting(deserializer)?;
        Ok(Self { exchange, seq, seen, transaction, operation, unknown })
    }
}
