//! `GET /v1/transactions?exchange=` and `GET /v1/transactions/{id}`: one case, asked for directly.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::case::{Case, ExchangeId, TransactionId};

/// The answer to `?exchange=a,b,c`: one entry for each exchange that this upstream knows of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TransactionList {
    pub transactions: Vec<TransactionAnswer>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TransactionAnswer {
    pub exchange: ExchangeId,
    /// Absent while the Create is durable but not yet in the upstream's incident store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<TransactionId>,
    pub step: TransactionStep,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<Case>,
}

/// How far the upstream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransactionStep {
    Received,
    Pending,
    Open,
    Closed,
    Rejected,
}
