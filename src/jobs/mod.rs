//! Scheduled work. A schedule wakes a job and does not do it: a job never overlaps itself, its last run is remembered
//! across restarts, and what was missed while the daemon was down is done once.

mod case_check;
mod expiry;
mod housekeeping;
mod reconcile;
mod scheduler;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use case_check::CaseCheck;
pub use expiry::ExpiryCheck;
pub use housekeeping::Housekeeping;
pub use reconcile::Reconcile;
pub use scheduler::{ScheduleError, Scheduler};

/// One kind of scheduled work.
#[async_trait]
pub trait Job: Send + Sync {
    /// The name in logs and state.
    fn name(&self) -> &'static str;

    /// The longest time that may lie between two runs: a start after a longer pause runs the job at once.
    fn at_least_every(&self) -> Duration;

    /// Does the work. Returns what there is to say about it, in a few words.
    async fn run(&self) -> String;
}

/// A job and its cron expression: six fields, seconds first, in UTC.
pub struct Scheduled {
    pub expression: String,
    pub job: Arc<dyn Job>,
}
