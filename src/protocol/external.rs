//! How a record stands at the other site, as people ask for it (C-58).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct External {
    /// The case ID of the upstream's, before that the transaction ID; a client's own incident number.
    pub id: Option<String>,
    pub status: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Whether the record is exchanged at all.
    pub active: bool,
    /// The site that the case began at.
    pub originator: String,
    /// The section of the settings that connects the two sites.
    pub integration: String,
}
