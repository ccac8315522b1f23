//! tokio-cron-scheduler tells each job's worker that it may be time; the worker asks the clocks of its time zone, and does the
//! work, one run after the other.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::Notify;
use tokio_cron_scheduler::{Job as CronJob, JobScheduler};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::{Job, Scheduled};
use crate::config::Cron;
use crate::exchange::Engine;

/// Why the schedules could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the scheduler does not start: {0}")]
pub struct ScheduleError(String);

/// The running schedules.
pub struct Scheduler {
    scheduler: JobScheduler,
}

impl Scheduler {
    /// Starts the schedules and one worker for each job.
    pub async fn start(
        jobs: Vec<Scheduled>,
        zone: TimeZone,
        engine: &Engine,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<Self, ScheduleError> {
        let start = |error: tokio_cron_scheduler::JobSchedulerError| ScheduleError(error.to_string());
        let scheduler = JobScheduler::new().await.map_err(start)?;
        for Scheduled { cron, job } in jobs {
            let tick = Arc::new(Notify::new());
            let told = Arc::clone(&tick);
            // A worker that is told while it works looks once more afterwards, however often it was told.
            let wakes = CronJob::new(cron.wakes().as_str(), move |_, _| told.notify_one()).map_err(start)?;
            scheduler.add(wakes).await.map_err(start)?;
            let worker = Worker { cron, zone: zone.clone(), job, engine: engine.clone() };
            tasks.spawn(worker.work(tick, stop.clone()));
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

struct Worker {
    cron: Cron,
    zone: TimeZone,
    job: Arc<dyn Job>,
    engine: Engine,
}

impl Worker {
    async fn work(self, tick: Arc<Notify>, stop: CancellationToken) {
        let name = self.job.name();
        let asked = self.engine.asked_for(name);
        // Where that cannot be read, the job waits for its next turn.
        let mut last = match self.job.runs_at_start() {
            true => None,
            false => self.engine.last_run(name).await.unwrap_or_else(|_| Some(Timestamp::now())),
        };
        loop {
            if is_due(&self.cron, &self.zone, last, Timestamp::now()) {
                last = Some(self.run().await);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tick.notified() => {}
                () = asked.notified() => last = Some(self.run().await),
            }
        }
    }

    /// Returns when the run began.
    async fn run(&self) -> Timestamp {
        let began = Timestamp::now();
        let name = self.job.name();
        let result = self.job.run().await;
        info!(event = "job_ran", job = name, result, "a scheduled job ran");
        if let Err(error) = self.engine.ran(name).await {
            warn!(event = "job_not_recorded", job = name, reason = %error, "it will run again after a restart");
        }
        began
    }
}

/// Whether a job should have run since it last did: what was missed is done once, however much it was (M-10).
pub fn is_due(cron: &Cron, zone: &TimeZone, last: Option<Timestamp>, now: Timestamp) -> bool {
    match last {
        // A last run in the future is a clock that went back; better once too often.
        Some(last) if last <= now => cron.next_after(last, zone).is_some_and(|next| next <= now),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m_10_a_job_runs_once_for_whatever_it_missed() {
        let cron = Cron::parse("0 */5 * * * *").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let is_due = |last: Option<&str>, now: &str| is_due(&cron, &TimeZone::UTC, last.map(at), at(now));
        assert!(is_due(None, "2026-11-22T10:01:00Z"), "it never ran");
        assert!(!is_due(Some("2026-11-22T10:00:00Z"), "2026-11-22T10:04:59Z"));
        assert!(is_due(Some("2026-11-22T10:00:00Z"), "2026-11-22T10:05:00Z"));
        // After three days of downtime it is due; and when it has run, it is not.
        assert!(is_due(Some("2026-11-19T10:00:00Z"), "2026-11-22T10:01:00Z"));
        assert!(!is_due(Some("2026-11-22T10:01:00Z"), "2026-11-22T10:01:01Z"));
        assert!(is_due(Some("2027-11-22T10:00:00Z"), "2026-11-22T10:01:00Z"), "the clock went back");
    }
}
