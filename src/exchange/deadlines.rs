//! Deadlines that come near or are missed (M-07, M-08): each is noted once, as a milestone that both sites know, with its line
//! of history in one transaction, by the site that promised it.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use tracing::{info, warn};
use uuid::Uuid;

use super::{Engine, EngineError};
use crate::case::{Action, Deadline, DeadlineKind, Edit, Fact, HistoryLine, Incident, IncidentId, Milestone, Passed};
use crate::protocol::JobAnswer;
use crate::protocol::job::JobCase;
use crate::store::{Passing, Place, Seen, Write, Writer, Written};
use crate::telemetry::{CrashPoint, crash_point, discreet};

/// Deadlines at once.
const PAGE: usize = 200;

/// One that has passed.
struct Found {
    deadline: Uuid,
    name: String,
    passed: Passed,
    at: Timestamp,
    why: String,
}

impl Engine {
    /// The SLAs of all cases (M-08). The answer tells of those that are `seen`.
    pub async fn check_slas(&self, dry_run: bool, seen: &Seen) -> Result<JobAnswer, EngineError> {
        let _alone = self.0.checking.lock().await;
        let mut answer = JobAnswer::of("sla_check", dry_run);
        let goes_on = self.settings().jobs.sla_goes_on;
        self.check(None, goes_on, seen, &mut answer).await?;
        Ok(answer)
    }

    /// The due dates of the configured case types; of none where none is configured (M-07). The answer tells of those
    /// cases that are `seen`.
    pub async fn check_due_dates(&self, dry_run: bool, seen: &Seen) -> Result<JobAnswer, EngineError> {
        let _alone = self.0.checking.lock().await;
        let mut answer = JobAnswer::of("due_date_check", dry_run);
        let settings = self.settings();
        if settings.jobs.due_types.is_empty() {
            answer.note = Some("no case type is named in [job.due_date_check]; none was looked at".into());
        }
        for case_type in &settings.jobs.due_types {
            if !answer.stopped {
                self.check(Some(case_type), settings.jobs.due_goes_on, seen, &mut answer).await?;
            }
        }
        Ok(answer)
    }

    async fn check(
        &self,
        due_dates_of: Option<&str>,
        goes_on: bool,
        seen: &Seen,
        answer: &mut JobAnswer,
    ) -> Result<(), EngineError> {
        self.store().refresh_deadlines().await?;
        let (now, mut place, mut is_news) = (self.now(), Place::default(), false);
        while !answer.stopped {
            let page = self.store().passing(due_dates_of, now, place, PAGE).await?;
            let Some(last) = page.last() else { break };
            place = last.place;
            is_news |= self.check_page(page, now, goes_on, seen, answer).await?;
        }
        if is_news && !answer.dry_run {
            self.0.changed.notify_one();
        }
        Ok(())
    }

    /// Returns whether anything was noted, or would be.
    async fn check_page(
        &self,
        page: Vec<Passing>,
        now: Timestamp,
        goes_on: bool,
        seen: &Seen,
        answer: &mut JobAnswer,
    ) -> Result<bool, EngineError> {
        let mut wanted: BTreeMap<IncidentId, Vec<Uuid>> = BTreeMap::new();
        let mut order: Vec<IncidentId> = Vec::new();
        for one in page {
            let of = wanted.entry(one.incident).or_default();
            if of.is_empty() {
                order.push(one.incident);
            }
            of.push(one.deadline);
        }
        let loaded = self.store().load(&order).await?;
        let incidents: HashMap<IncidentId, Incident> =
            loaded.incidents.into_iter().map(|incident| (incident.id, incident)).collect();
        let unreadable: HashMap<IncidentId, String> = loaded.unreadable.into_iter().collect();
        let seen = self.seen_of(order.iter().copied(), seen).await?;
        let (mut writes, mut found) = (Vec::new(), Vec::new());
        for id in order {
            match (incidents.get(&id), unreadable.get(&id)) {
                (Some(incident), _) => {
                    let passed = passed(incident, wanted.get(&id).map_or(&[][..], Vec::as_slice), now);
                    if !passed.is_empty() {
                        writes.push(self.note(incident, &passed, now));
                        found.push((id, passed));
                    }
                }
                (None, Some(reason)) => {
                    let reason = format!("the record does not read: {reason}");
                    let (told, job) = (discreet(&reason), answer.job.clone());
                    warn!(
                        event = "job_case_failed",
                        job,
                        incident = id.0,
                        reason = &*told,
                        "a case could not be looked at"
                    );
                    if seen.contains(&id) {
                        answer.fail(id.0, reason);
                    }
                    answer.stopped = !goes_on;
                }
                // It is gone, and nothing was promised on it.
                (None, None) => {}
            }
            if answer.stopped {
                break;
            }
        }
        let outcomes = match answer.dry_run {
            true => vec![Written::Done; writes.len()],
            false => {
                crash_point(CrashPoint::DeadlineFound);
                let outcomes = self.store().write(writes).await?;
                crash_point(CrashPoint::DeadlineNoted);
                outcomes
            }
        };
        let mut is_news = false;
        // A record that moved at the same moment is looked at by the next run.
        for ((id, passed), _) in found.into_iter().zip(outcomes).filter(|(_, outcome)| *outcome == Written::Done) {
            is_news = true;
            for one in passed {
                if !answer.dry_run {
                    told(id, &one);
                }
                if !seen.contains(&id) {
                    continue;
                }
                answer.add(JobCase { incident: id.0, what: word(one.passed).into(), at: one.at, why: one.why });
            }
        }
        Ok(is_news)
    }

    /// Milestones and history lines, in the order in which it came to pass.
    fn note(&self, incident: &Incident, passed: &[Found], now: Timestamp) -> Write {
        let milestone = |one: &Found| {
            let fact = Fact::Deadline { deadline: one.deadline, passed: one.passed };
            Milestone::new(Deadline::milestone_id(one.deadline, one.passed), one.at, fact)
        };
        let line = |one: &Found| HistoryLine {
            incident: incident.id,
            at: now,
            who: "casebridge".into(),
            action: match one.passed {
                Passed::Warned => Action::DeadlineWarned.as_str().into(),
                Passed::Violated => Action::DeadlineMissed.as_str().into(),
            },
            exchange: None,
            seq: None,
            detail: one.why.clone(),
        };
        Write {
            expected_revision: Some(incident.revision),
            edit: Edit { milestones: passed.iter().map(milestone).collect(), ..Edit::default() },
            history: passed.iter().map(line).collect(),
            ..Write::to(incident.id, Writer::Bridge)
        }
    }
}

/// What has come to pass by now of these deadlines, in the order of the instants. After a pause both the warning and the end
/// may have.
fn passed(incident: &Incident, deadlines: &[Uuid], now: Timestamp) -> Vec<Found> {
    let state = incident.state();
    let mut found = Vec::new();
    for one in incident.deadlines.iter().filter(|one| one.origin.is_none() && deadlines.contains(&one.id)) {
        let mut milestones = incident.milestones.clone();
        while let Some((passed, at)) = one.next(&milestones, state).filter(|(_, at)| *at <= now) {
            let fact = Fact::Deadline { deadline: one.id, passed };
            milestones.push(Milestone::new(Deadline::milestone_id(one.id, passed), at, fact));
            let (deadline, name) = (one.id, one.name.clone());
            found.push(Found { deadline, name, passed, at, why: why(one, incident, passed, at) });
        }
    }
    found.sort_by_key(|one| one.at);
    found
}

fn why(deadline: &Deadline, incident: &Incident, passed: Passed, at: Timestamp) -> String {
    let what = match deadline.kind {
        DeadlineKind::Due => "the due date".to_owned(),
        DeadlineKind::Sla => format!("{} \"{}\"", deadline.goal.as_str(), deadline.name),
    };
    match passed {
        Passed::Warned => {
            let due = deadline.instants(&incident.milestones, incident.state()).due_at;
            let due = due.map_or_else(|| "soon".to_owned(), |due| format!("at {due}"));
            format!("{what} is due {due}; warned of since {at}")
        }
        Passed::Violated => format!("{what} was due at {at} and is missed"),
    }
}

fn word(passed: Passed) -> &'static str {
    match passed {
        Passed::Warned => "warn",
        Passed::Violated => "violate",
    }
}

fn told(incident: IncidentId, one: &Found) {
    let (deadline, name, at) = (one.deadline, &one.name, one.at);
    match one.passed {
        Passed::Warned => {
            info!(event = "deadline_warned", incident = incident.0, %deadline, name, %at, "a deadline comes near");
        }
        Passed::Violated => {
            warn!(event = "deadline_missed", incident = incident.0, %deadline, name, %at, "a deadline is missed");
        }
    }
}
