//! Scheduled work, as people see it and ask for it (M-10).

use std::sync::{Arc, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::{Engine, EngineError};
use crate::case::Action;
use crate::config::Settings;
use crate::protocol::job::JobRow;
use crate::protocol::{JobAnswer, JobList, ProblemType};
use crate::store::Seen;

/// The jobs that say case by case what they do.
const OF_CASES: [&str; 3] = ["auto_close", "due_date_check", "sla_check"];

impl Engine {
    /// All jobs, when each last ran and when it is due.
    pub async fn jobs(&self) -> Result<JobList, EngineError> {
        let settings = self.settings();
        let schedule = &settings.schedule;
        let zone = schedule.zone();
        let mut jobs = Vec::new();
        for (name, cron) in schedule.all().into_iter().filter(|(name, _)| runs_here(&settings, name)) {
            let last_run = self.last_run(name).await?;
            let next_run = cron.next_after(self.now(), &zone);
            jobs.push(JobRow { name: name.into(), schedule: cron.to_string(), last_run, next_run });
        }
        Ok(JobList { time_zone: schedule.time_zone.clone(), jobs })
    }

    /// Runs a job now. Those of case management say case by case what they did, or would do.
    pub async fn run_job(&self, name: &str, dry_run: bool, operator: &str) -> Result<JobAnswer, EngineError> {
        let answer = self.job_answer(name, dry_run).await?;
        if !dry_run {
            // The others are run by the scheduler, which notes that itself.
            if let Some(job) = OF_CASES.into_iter().find(|job| *job == name) {
                self.ran(job).await?;
            }
            let detail = format!("{name} by hand");
            self.store().note(self.command_note(Action::JobRun, operator, detail)).await?;
        }
        Ok(answer)
    }

    async fn job_answer(&self, name: &str, dry_run: bool) -> Result<JobAnswer, EngineError> {
        match name {
            "auto_close" => self.queue_closings(dry_run, &Seen::all()).await,
            "due_date_check" => self.check_due_dates(dry_run, &Seen::all()).await,
            "sla_check" => self.check_slas(dry_run, &Seen::all()).await,
            other => {
                let settings = self.settings();
                let known: Vec<&str> = settings
                    .schedule
                    .all()
                    .into_iter()
                    .map(|(name, _)| name)
                    .filter(|name| runs_here(&settings, name))
                    .collect();
                let wakes = self.0.asked.lock().unwrap_or_else(PoisonError::into_inner).get(other).cloned();
                let Some(wake) = wakes else {
                    let detail = format!("there is no job \"{other}\" at this site; the jobs are {}", known.join(", "));
                    return Err(ProblemType::NotFound.with(detail).into());
                };
                if dry_run {
                    let detail = format!("{other} cannot say what it would do; run it without dry-run");
                    return Err(ProblemType::Action.with(detail).into());
                }
                wake.notify_one();
                let note = Some("it runs now; the event job_ran tells what came of it".to_owned());
                Ok(JobAnswer { note, ..JobAnswer::of(other, false) })
            }
        }
    }

    /// Told when a person asks for the job.
    pub fn asked_for(&self, job: &'static str) -> Arc<Notify> {
        let mut asked = self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(asked.entry(job).or_default())
    }

    /// When a scheduled job last ran, across restarts.
    pub async fn last_run(&self, job: &'static str) -> Result<Option<Timestamp>, EngineError> {
        self.state().transact(move |transaction| Ok(transaction.last_run(job)?)).await
    }

    /// Remembers that a scheduled job ran.
    pub async fn ran(&self, job: &'static str) -> Result<(), EngineError> {
        let now = self.now();
        self.state().transact(move |transaction| Ok(transaction.put_last_run(job, now)?)).await
    }
}

/// Without an upstream there is nothing to compare with.
fn runs_here(settings: &Settings, job: &str) -> bool {
    job != "reconcile" || settings.upstream.is_some()
}
