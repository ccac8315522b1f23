//! `GET /v1/site`: who are you, which version, what time is it, what can you do. The connection test.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::case::Alias;
use crate::case::evidence::{Endorsement, PublicKey};

/// What a site answers in [`SiteAnswer::capabilities`] beyond the operations of 1.0; a client uses it only then.
pub mod capability {
    /// A closed case can be opened again.
    pub const REOPEN: &str = "reopen";
    /// `GET /v1/digests`, and `GET /v1/exchanges?exchange=` with `agreed`.
    pub const RECONCILE: &str = "reconcile";
    /// Texts are compared word by word where they are asked for with `whole=true`, since this site hides nothing from the
    /// client; else, as by older sites, without addresses.
    pub const WHOLE_TEXTS: &str = "whole_texts";
    /// A Create whose form has `link`.
    pub const LINK: &str = "link";
    /// `GET` and `POST /v1/receipts`.
    pub const RECEIPTS: &str = "receipts";
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SiteAnswer {
    pub alias: Alias,
    /// The name under which the upstream knows the caller.
    pub client: Alias,
    /// The program's version.
    pub version: String,
    /// `major.minor`, see [`super::VERSION`].
    pub protocol: String,
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// The key that it signs its receipts with (H-07), and the words of the keys before it, oldest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PublicKey>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endorsements: Vec<Endorsement>,
}
