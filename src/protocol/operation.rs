//! `POST /v1/operations`: a batch of operations, one result each, in order.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::bounded::few;
use super::problem::{Problem, ProblemType};
use super::unknown::{noting, noting_its_own};
use super::version::Version;
use crate::case::{ExchangeId, TransactionId};

/// What is posted. At most [`super::BATCH_LIMIT`] operations, in order per exchange.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OperationBatch {
    /// What the sender speaks; sites before 1.2 do not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^1[.](0|[1-9][0-9]{0,3})$")]
    pub protocol: Option<Version>,
    #[schema(min_items = 1, max_items = 1000)]
    pub operations: Vec<OperationRequest>,
    /// A key beside these, as it came.
    #[serde(skip)]
    pub unknown: Option<String>,
}

impl OperationBatch {
    /// A batch of this site's.
    pub fn ours(operations: Vec<OperationRequest>) -> Self {
        Self { protocol: Some(Version::OURS), operations, unknown: None }
    }
}

impl<'de> Deserialize<'de> for OperationBatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Known {
            #[serde(default)]
            protocol: Option<Version>,
            #[serde(deserialize_with = "few")]
            operations: Vec<OperationRequest>,
        }
        let (Known { protocol, operations }, unknown) = noting_its_own(deserializer)?;
        Ok(Self { protocol, operations, unknown })
    }
}

/// One operation. The operation itself is read apart from the batch, so that a bad one spoils no other.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OperationRequest {
    pub exchange: ExchangeId,
    /// Counts the operations of one exchange in one direction, from 1.
    #[schema(minimum = 1)]
    pub seq: u64,
    /// The last operation of the receiver's that had taken effect at the sender when this one was made: what crossed it on
    /// the way is told by that. Who says its version says this with all but a Create.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
    /// `{"kind": "create", "content": {...}}`
    #[schema(value_type = crate::case::Operation)]
    pub operation: Box<RawValue>,
    /// A key beside these, as it came.
    #[serde(skip)]
    pub unknown: Option<String>,
}

impl<'de> Deserialize<'de> for OperationRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Known {
            exchange: ExchangeId,
            seq: u64,
            #[serde(default)]
            seen: Option<u64>,
            operation: Box<RawValue>,
        }
        let (Known { exchange, seq, seen, operation }, unknown) = noting(deserializer)?;
        Ok(Self { exchange, seq, seen, operation, unknown })
    }
}

/// What is answered: as many results as operations were posted, in their order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OperationAnswer {
    #[serde(deserialize_with = "few")]
    pub results: Vec<OperationResult>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OperationResult {
    pub exchange: ExchangeId,
    pub seq: u64,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What became of one operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Durable and in effect; said again when the operation arrives again.
    Applied { transaction: TransactionId },
    /// Durable, not yet in effect: ask `GET /v1/transactions?exchange=` for the transaction ID.
    Received,
    /// Never, as it stands. Sending it again gives the same answer until somebody acts.
    Refused { problem: Problem },
    /// Another number has to come first. Sites before 1.2 do not say why in words.
    OutOfOrder {
        expected: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<Problem>,
    },
    /// Not now; the reason is the receiver's.
    Later { problem: Problem },
}

impl Outcome {
    /// An operation that came before its turn.
    pub fn out_of_order(seq: u64, expected: u64) -> Self {
        let detail = format!("operation {seq} came and {expected} did not; send on from {expected}");
        Outcome::OutOfOrder { expected, problem: Some(ProblemType::OutOfOrder.with(detail)) }
    }
}
