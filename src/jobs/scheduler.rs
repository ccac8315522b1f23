//! tokio-cron-scheduler tells each job's worker that it is time; the worker does the work, one run after the other.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_cron_scheduler::{Job as CronJob, JobScheduler};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::{Job, Scheduled};
use crate::exchange::Engine;

/// Why the schedules could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error(
        "[schedule] {job} = \"{expression}\" is not a schedule: {reason}; write six fields, seconds first, \
         for example \"0 30 6 * * *\""
    )]
    Expression { job: &'static str, expression: String, reason: String },
    #[error("the scheduler does not start: {0}")]
    Start(String),
}

/// The running schedules.
pub struct Scheduler {
    scheduler: JobScheduler,
}

impl Scheduler {
    /// Starts the schedules and one worker for each job.
    pub async fn start(
        jobs: Vec<Scheduled>,
        engine: &Engine,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<Self, ScheduleError> {
        let start = |error: tokio_cron_scheduler::JobSchedulerError| ScheduleError::Start(error.to_string());
        let scheduler = JobScheduler::new().await.map_err(start)?;
        for Scheduled { expression, job } in jobs {
            let due = Arc::new(Notify::new());
            let told = Arc::clone(&due);
            // A job that is told while it runs runs once more afterwards, however often it was told.
            let cron = CronJob::new(expression.as_str(), move |_, _| told.notify_one());
            let cron = cron.map_err(|error| ScheduleError::Expression {
                job: job.name(),
                expression: expression.clone(),
                reason: error.to_string(),
            })?;
            scheduler.add(cron).await.map_err(start)?;
            tasks.spawn(work(job, due, engine.clone(), stop.clone()));
        }
        scheduler.start().await.map_err(start)?;
        Ok(Self { scheduler })
    }

    /// Nothing is told any more; the workers end with the token they were given.
    pub async fn stop(mut self) {
        if let Err(error) = self.scheduler.shutdown().await {
            warn!(event = "scheduler_failed", reason = %error, "the scheduler did not stop in order");
        }
    }
}

async fn work(job: Arc<dyn Job>, due: Arc<Notify>, engine: Engine, stop: CancellationToken) {
    if is_overdue(job.as_ref(), &engine).await {
        due.notify_one();
    }
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = due.notified() => {}
        }
        let result = job.run().await;
        info!(event = "job_ran", job = job.name(), result, "a scheduled job ran");
        if let Err(error) = engine.ran(job.name()).await {
            warn!(event = "job_not_recorded", job = job.name(), reason = %error, "it will run again after a restart");
        }
    }
}

async fn is_overdue(job: &dyn Job, engine: &Engine) -> bool {
    match engine.last_run(job.name()).await {
        Ok(Some(last)) => {
            let since = std::time::Duration::try_from(jiff::Timestamp::now().duration_since(last));
            // A last run in the future is a clock that went back; better once too often.
            since.map_or(true, |since| since > job.at_least_every())
        }
        Ok(None) => true,
        Err(_) => false,
    }
}
