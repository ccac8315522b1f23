//! `GET` and `POST /v1/receipts`: what each site signs about the operations that it has received from the other (H-07). Apart
//! from the operations themselves, so that no receipt holds up a case.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::case::evidence::Receipt;

/// What the upstream signs for, of the calling client's operations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptAnswer {
    /// Absent where there is nothing behind the entry that was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

/// What became of a client's receipt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptTaken {
    /// Nothing has to be handed in again up to this entry of the client's.
    pub through: u64,
}
