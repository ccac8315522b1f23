//! What is promised on cases, and the rows from which the jobs of case management work: each reads what is due and nothing else.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{StoreError, Written};
use crate::case::{Deadline, IncidentId};

/// A case of which nobody has looked yet what is promised on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untimed {
    pub incident: IncidentId,
    /// Its type, where it has one already.
    pub case_type: Option<String>,
}

/// What is promised on a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Timing {
    pub incident: IncidentId,
    /// Refused when the record is at another revision by now.
    pub expected_revision: Option<i64>,
    pub case_type: Option<String>,
    /// Those that are new or changed.
    pub deadlines: Vec<Deadline>,
}

/// A deadline of this site's own with which its job has something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passing {
    pub incident: IncidentId,
    pub deadline: uuid::Uuid,
    pub place: Place,
}

/// Where a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// In milliseconds since 1970.
    pub at: i64,
    pub id: i64,
}

/// A resolved case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    pub incident: IncidentId,
    /// Since when; the text of the store, which names this time of being resolved.
    pub since: String,
    pub place: Place,
}

/// A case that waits to be closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    pub id: i64,
    pub incident: IncidentId,
    /// How often it was tried.
    pub attempts: u32,
    /// The revision of the record; none when the case is not resolved any more, or was resolved anew.
    pub revision: Option<i64>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    Closed,
    /// Somebody moved the case in the meantime.
    Overtaken,
    Refused(String),
    /// To be tried again then.
    Later(Timestamp, String),
}

/// Every write is durable when it returns, and each call is one transaction.
#[async_trait]
pub trait DeadlineStore: Send + Sync {
    /// Up to `limit` cases that came, or changed in what their promises depend on, behind the one numbered `after`.
    async fn untimed(&self, after: IncidentId, limit: usize) -> Result<Vec<Untimed>, StoreError>;

    /// Sets types and promises; with them the cases are no longer untimed.
    async fn time(&self, timings: Vec<Timing>) -> Result<Vec<Written>, StoreError>;

    /// Brings the instants up to date for what other programs changed. The writes of this program do it by themselves.
    async fn refresh_deadlines(&self) -> Result<(), StoreError>;

    /// Up to `limit` of this site's own deadlines that something is to be done with by `now`, behind `after`, in the order of
    /// their instants: the due dates of a case type, or all SLAs.
    async fn passing(
        &self,
        due_dates_of: Option<&str>,
        now: Timestamp,
        after: Place,
        limit: usize,
    ) -> Result<Vec<Passing>, StoreError>;

    /// Up to `limit` cases of a type that are resolved since `by` or longer and were not queued, behind `after`, the longest
    /// first.
    async fn resolved(
        &self,
        case_type: &str,
        by: Timestamp,
        after: Place,
        limit: usize,
    ) -> Result<Vec<Resolved>, StoreError>;

    /// Queues cases to be closed, each once for each time that it was resolved. Returns how many are new.
    async fn queue_closings(&self, cases: Vec<Resolved>, at: Timestamp) -> Result<u64, StoreError>;

    /// Up to `limit` of them whose turn it is by `now`.
    async fn closings(&self, now: Timestamp, limit: usize) -> Result<Vec<Closing>, StoreError>;

    /// Notes what became of one.
    async fn closed(&self, id: i64, outcome: Closed) -> Result<(), StoreError>;
}
