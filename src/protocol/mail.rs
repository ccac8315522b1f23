//! The people of a case and their mails, as commands and daemon speak of them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::case::{Language, Party, Role};

/// `POST /v1/incidents/{id}/parties`, and `.../parties/remove`, which needs the address alone.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PartyRequest {
    /// `customer` when left out.
    pub role: Option<Role>,
    pub name: String,
    pub address: String,
    /// What is remembered for the address when left out, else that of `[mail]`.
    pub language: Option<Language>,
    pub operator: String,
}

/// `GET /v1/incidents/{id}/parties`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PartyPage {
    pub parties: Vec<Party>,
}

/// The filters of `GET /v1/mails`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MailsQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<i64>,
    /// `waiting`, `sent`, `refused` or `withdrawn`.
    #[param(pattern = "^(waiting|sent|refused|withdrawn)$")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// At most 1,000; 100 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// `POST /v1/mails/retry`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MailRetryRequest {
    /// All that were refused, when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail: Option<i64>,
    pub operator: String,
}

/// `GET /v1/mails`: the newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MailPage {
    pub mails: Vec<MailAnswer>,
}

/// One mail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MailAnswer {
    pub mail: i64,
    pub incident: Option<i64>,
    /// What it tells: the name of its template.
    pub notice: String,
    pub address: String,
    pub state: String,
    #[schema(value_type = String, format = DateTime)]
    pub made_at: Timestamp,
    /// Tries in vain.
    pub attempts: u32,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt: Option<Timestamp>,
    /// When it was sent, refused or withdrawn.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub settled_at: Option<Timestamp>,
    pub last_error: Option<String>,
}
