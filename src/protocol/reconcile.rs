//! `POST /v1/reconcile`: both sites are compared, and what drifted apart is named and repaired.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::case::ExchangeId;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReconcileRequest {
    /// One incident, or all.
    pub incident: Option<i64>,
    /// Repair what differs, and do not only name it.
    pub apply: bool,
    pub operator: String,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct ReconcileAnswer {
    /// Exchanges of this site that were compared by their digests.
    pub compared: u64,
    /// Those that differed and were under way: they are left alone.
    pub in_motion: u64,
    pub differences: Vec<DriftRow>,
    /// Whether it was stopped at its limit; repair these, and run it again.
    pub more: bool,
}

/// One field of one exchange in which the sites differ, and what is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DriftRow {
    pub incident: Option<i64>,
    pub exchange: ExchangeId,
    pub field: String,
    pub here: Option<String>,
    pub there: Option<String>,
    /// In a few words.
    pub repair: String,
    pub repaired: bool,
}
