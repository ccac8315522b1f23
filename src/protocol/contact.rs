//! The people whom cases are passed between, as commands and daemon speak of them.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::case::{CaseRole, Contact};

/// The filters of `GET /v1/contacts`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ContactsQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Those of which the address alone is known, or the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temporary: Option<bool>,
    /// The `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
    /// At most 1,000; 100 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// `GET /v1/contacts`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ContactPage {
    pub contacts: Vec<ContactAnswer>,
    /// Give it as `after` for the next page.
    pub next: Option<i64>,
}

/// Somebody, and the newest of their cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ContactAnswer {
    pub contact: i64,
    pub address: String,
    /// `Pending`, and `CREATION` as the last name, while the address alone is known.
    pub first_name: String,
    pub last_name: String,
    pub phone: Option<String>,
    pub temporary: bool,
    /// The peer that told the names; absent of this site's own people.
    pub told_by: Option<String>,
    /// The newest 100, the newest first.
    pub cases: Vec<ContactCase>,
    /// What was told and not taken over (H-02).
    pub differences: Vec<ContactDifference>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ContactCase {
    pub incident: i64,
    pub role: CaseRole,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ContactDifference {
    /// The peer; absent where it was this site.
    pub told_by: Option<String>,
    pub told: String,
}

/// One of the people of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CaseContact {
    pub role: CaseRole,
    pub contact: i64,
    pub address: String,
    pub first_name: String,
    pub last_name: String,
    pub phone: Option<String>,
}

impl CaseContact {
    pub fn of(role: CaseRole, contact: Contact) -> Self {
        let Contact { id, address, first_name, last_name, phone } = contact;
        Self { role, contact: id, address: address.into(), first_name, last_name, phone }
    }
}
