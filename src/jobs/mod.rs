//! Scheduled work. A schedule wakes a job and does not do it: a job never overlaps itself, its last run is remembered
//! across restarts, and what was missed while the daemon was down is done once.

mod auto_close;
mod case_check;
mod due_date;
mod expiry;
mod housekeeping;
mod reconcile;
mod scheduler;
mod sla;

use std::sync::Arc;

use async_trait::async_trait;

use crate::config::Cron;
use crate::exchange::EngineError;
use crate::protocol::JobAnswer;

pub use auto_close::AutoClose;
pub use case_check::CaseCheck;
pub use due_date::DueDateCheck;
pub use expiry::ExpiryCheck;
pub use housekeeping::Housekeeping;
pub use reconcile::Reconcile;
pub use scheduler::{ScheduleError, Scheduler, is_due};
pub use sla::SlaCheck;

/// One kind of scheduled work.
#[async_trait]
pub trait Job: Send + Sync {
    /// The name in logs, in the state, and in the settings' `[schedule]`.
    fn name(&self) -> &'static str;

    /// Whether it runs at each start too, however lately it ran.
    fn runs_at_start(&self) -> bool {
        false
    }

    /// Does the work. Returns what there is to say about it, in a few words.
    async fn run(&self) -> String;
}

/// A job and when it is due.
pub struct Scheduled {
    pub cron: Cron,
    pub job: Arc<dyn Job>,
}

/// What there is to say of a run of one of the three jobs of case management.
fn told(outcome: Result<JobAnswer, EngineError>) -> String {
    match outcome {
        Ok(answer) => answer.told(),
        Err(fault) => format!("not finished: {fault}"),
    }
}
