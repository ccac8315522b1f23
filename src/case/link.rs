//! A case that the site above has already, made by phone for instance, to which an incident is linked by hand.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::{CaseId, TransactionId};

/// How the case is named. It has to be the calling client's own, and in no exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkTo {
    /// The number of the incident at the site above.
    Transaction(TransactionId),
    CaseId(CaseId),
}

impl fmt::Display for LinkTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkTo::Transaction(id) => write!(f, "transaction {id}"),
            LinkTo::CaseId(id) => write!(f, "case {id}"),
        }
    }
}
