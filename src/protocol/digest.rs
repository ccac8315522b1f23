//! `GET /v1/digests?after=&through=`: digests over a client's exchanges, to find what differs without moving it. Large
//! ranges are answered in parts of about equal size; the client asks again for the parts in which it differs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::bounded::few;
use crate::case::ExchangeId;

/// The most parts of one answer.
pub const PART_LIMIT: usize = 256;

/// Either parts, or the exchanges themselves.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct DigestPage {
    /// In order, each beginning where the one before ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "few")]
    pub parts: Vec<DigestPart>,
    /// In order of their IDs; present when there are at most 1,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "few")]
    pub exchanges: Vec<ExchangeDigest>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DigestPart {
    /// The last exchange of the part; the last part ends where the range does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<ExchangeId>,
    pub count: u64,
    /// 16 hexadecimal digits: the beginning of the SHA-256 over the exchanges' IDs and digests.
    pub digest: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExchangeDigest {
    pub exchange: ExchangeId,
    /// 16 hexadecimal digits: the beginning of the SHA-256 of its `agreed` record as JSON.
    pub digest: String,
}
