//! What `casebridge key` and the daemon say to each other: who signs what (H-07).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::case::Alias;
use crate::case::evidence::PublicKey;

/// `GET /v1/keys`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct KeyList {
    /// Oldest first.
    pub keys: Vec<KeyRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct KeyRow {
    /// Absent for this site's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    pub key: PublicKey,
    /// The beginning of its SHA-256, which people compare.
    pub fingerprint: String,
    /// `present`, `past`, or `offered`: the peer shows it, and a person has to confirm it.
    pub standing: String,
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
}

/// `POST /v1/keys/pin`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PinRequest {
    pub peer: Alias,
    /// The one that the peer shows, when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PublicKey>,
    #[serde(default)]
    pub operator: String,
}

/// `POST /v1/keys/rotate`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RotateRequest {
    pub operator: String,
}

/// The key that counts from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct KeyAnswer {
    pub key: PublicKey,
    /// In a sentence.
    pub message: String,
}
