//! `job list` and `job run`: scheduled work, and what it would do.

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::exit::{Exit, Failure};
use super::local::Local;
use super::print::{self, Column, Table};
use super::{Output, who};
use crate::protocol::{JobAnswer, JobCase, JobList, JobRequest};

/// Of `job`.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// The jobs: when each last ran, and when it is due
    List(Output),
    /// Run a job now, whenever it is due
    #[command(after_help = super::examples::JOB_RUN)]
    Run(RunArguments),
}

/// Of `job run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// The name of the job, as `job list` shows it
    #[arg(value_name = "NAME")]
    name: String,
    /// Only say case by case what would happen, and why; of auto_close, due_date_check and sla_check
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

pub async fn run(local: &Local, command: JobCommand) -> Result<(), Failure> {
    match command {
        JobCommand::List(output) => {
            let list: JobList = local.get("the jobs cannot be listed", "/v1/jobs").await?;
            if output.json {
                return print::out(&print::json(&list)?);
            }
            print::out(&listed(&list, Timestamp::now(), print::width()))
        }
        JobCommand::Run(RunArguments { name, dry_run, output }) => {
            let request = JobRequest { dry_run, operator: who::operator() };
            // It stands in an address; the daemon knows no job with any of the others.
            let path: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
            let what = format!("job {path} does not run");
            let answer: JobAnswer = local.post(&what, &format!("/v1/jobs/{path}/run"), &request).await?;
            print::out(&if output.json { print::json(&answer)? } else { ran(&answer, print::width()) })?;
            ended(&answer)
        }
    }
}

fn listed(list: &JobList, now: Timestamp, width: Option<usize>) -> String {
    let mut table = Table::new(&[
        Column::new("JOB", 8, 0),
        Column::new("SCHEDULE", 8, 3),
        Column::new("LAST RUN", 12, 2),
        Column::new("NEXT RUN", 12, 1),
    ]);
    for row in &list.jobs {
        let at = |at: Option<Timestamp>| at.map(|at| print::span(at, now));
        table.row([Some(row.name.clone()), Some(row.schedule.clone()), at(row.last_run), at(row.next_run)]);
    }
    format!("{}(by the clocks of {})\n", table.render(width), print::safe(&list.time_zone))
}

fn ran(answer: &JobAnswer, width: Option<usize>) -> String {
    let mut text = String::new();
    if !answer.cases.is_empty() {
        text.push_str(&table(&answer.cases).render(width));
    }
    for one in &answer.failed {
        let (incident, reason) = (one.incident, print::safe(&one.reason));
        text.push_str(&format!("incident {incident} could not be looked at: {reason}\n"));
    }
    let shown = answer.cases.len() as u64;
    let more = if answer.found > shown { format!(", the first {shown} are shown") } else { String::new() };
    let dry = if answer.dry_run { "; nothing was changed" } else { "" };
    text.push_str(&format!("({}: {}{more}{dry})\n", print::safe(&answer.job), print::safe(&answer.told())));
    text
}

/// A job that was told to stop at the first error (M-09), and did, has failed.
fn ended(answer: &JobAnswer) -> Result<(), Failure> {
    let Some(first) = answer.failed.first().filter(|_| answer.stopped) else { return Ok(()) };
    Err(Failure::new(
        Exit::Failed,
        format!("{} stopped before its end", answer.job),
        format!("incident {} could not be looked at: {}", first.incident, first.reason),
        "correct the record and run the job again; with `continue = true` in its section the others do not wait for it",
    ))
}

fn table(cases: &[JobCase]) -> Table {
    let mut table = Table::new(&[
        Column::new("INCIDENT", 8, 0),
        Column::new("WHAT", 7, 0),
        Column::new("SINCE", 12, 2),
        Column::new("WHY", 16, 1),
    ]);
    for case in cases {
        let at = print::time(case.at);
        table.row([Some(case.incident.to_string()), Some(case.what.clone()), Some(at), Some(case.why.clone())]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m_10_a_run_is_told_case_by_case() {
        let at = "2026-11-23T14:00:00Z".parse().unwrap();
        let mut answer = JobAnswer::of("sla_check", true);
        answer.add(JobCase { incident: 7, what: "warn".into(), at, why: "solution \"fast\u{1b}[2J\" is due".into() });
        answer.fail(8, "the record does not read".into());
        let text = ran(&answer, None);
        for part in ["7", "warn", "2026-11-23 14:00:00Z", "fast", "incident 8", "1 case", "nothing was changed"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
        let told = JobAnswer { stopped: true, dry_run: false, ..answer }.told();
        assert_eq!(told, "1 case; stopped at incident 8: the record does not read");
    }
}
