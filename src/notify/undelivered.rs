//! Why something did not get out of the site.

use std::time::Duration;

/// What is said of a failed attempt. The reason never repeats a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Undelivered {
    pub reason: String,
    /// Whether it is of no use to try again.
    pub is_final: bool,
    /// How long the receiver wants to be left alone.
    pub retry_after: Option<Duration>,
}

impl Undelivered {
    /// It may work in a while.
    pub fn now(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_final: false, retry_after: None }
    }

    /// It never will.
    pub fn ever(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_final: true, retry_after: None }
    }
}
