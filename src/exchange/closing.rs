//! Cases that stayed resolved for long enough are closed (M-06), in two steps: they are found and queued, each once for each
//! time that it was resolved; and the queue is worked off, so that each close travels as its operation.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};

use super::{Decision, Engine, EngineError};
use crate::case::reminder::Round;
use crate::case::{Action, CaseType, Edit, HistoryLine, IncidentId};
use crate::config::show_duration;
use crate::protocol::JobAnswer;
use crate::protocol::job::JobCase;
use crate::protocol::operator::WorkRequest;
use crate::store::{Closed, Closing, PeopleTold, Place, Resolved, Seen, Write, Writer};
use crate::telemetry::{CrashPoint, crash_point, discreet};

/// Cases at once.
const PAGE: usize = 200;
/// Times that the closing of one case is tried: with the pauses between them half a day.
const TRIES: u32 = 16;
/// A case whose people are asked first, or that does not read, is looked at again then.
const AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// What there is to know of cases before they are closed.
struct Looked {
    asked: HashSet<IncidentId>,
    /// With the reason.
    unreadable: HashMap<IncidentId, String>,
}

impl Engine {
    /// The first step: ends when all are queued. The answer tells of those that are `seen`.
    pub async fn queue_closings(&self, dry_run: bool, seen: &Seen) -> Result<JobAnswer, EngineError> {
        let _alone = self.0.checking.lock().await;
        let mut answer = JobAnswer::of("auto_close", dry_run);
        let settings = self.settings();
        let now = self.now();
        let types = settings.definitions.case_types.iter();
        for (case_type, after) in types.filter_map(|one| Some((one, one.auto_close_after?))) {
            let span = SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX);
            let Ok(by) = now.checked_sub(span) else { continue };
            let mut place = Place::default();
            loop {
                let page = self.store().resolved(&case_type.name, by, place, PAGE).await?;
                let Some(last) = page.last() else { break };
                place = last.place;
                let seen = self.seen_of(page.iter().map(|one| one.incident), seen).await?;
                let page = self.to_be_closed(page, &seen, &mut answer).await?;
                let shown = page.iter().filter(|one| seen.contains(&one.incident));
                shown.for_each(|one| answer.add(told(one, case_type, after)));
                if !dry_run {
                    self.store().queue_closings(page, now).await?;
                }
            }
        }
        self.0.to_close.notify_one();
        Ok(answer)
    }

    /// The second step: what is queued and whose turn it is. Returns how many were closed.
    pub async fn work_closings(&self) -> Result<usize, EngineError> {
        let mut closed = 0;
        loop {
            let page = self.store().closings(self.now(), PAGE).await?;
            if page.is_empty() {
                return Ok(closed);
            }
            for one in page {
                let outcome = self.close_one(&one).await?;
                closed += usize::from(outcome == Closed::Closed);
                crash_point(CrashPoint::CaseClosed);
                self.store().closed(one.id, outcome).await?;
            }
        }
    }

    async fn close_one(&self, one: &Closing) -> Result<Closed, EngineError> {
        // Reopened, closed by somebody, or by this very queue before the daemon died.
        let Some(revision) = one.revision else { return Ok(Closed::Overtaken) };
        let later = |reason: String| {
            let at = self.now().checked_add(AGAIN).unwrap_or(Timestamp::MAX);
            Ok(Closed::Later(at, reason))
        };
        let seen = self.look(&[one.incident]).await?;
        if let Some(reason) = seen.unreadable.get(&one.incident) {
            return later(reason.clone());
        }
        if seen.asked.contains(&one.incident) {
            return later("its people are asked first, and its reminders close it".into());
        }
        match self.close_at(one, revision).await {
            Ok(()) => {
                info!(event = "case_auto_closed", incident = one.incident.0, "a resolved case was closed");
                Ok(Closed::Closed)
            }
            Err(fault) if fault.is_busy() && one.attempts + 1 < TRIES => {
                let pause = SignedDuration::from_mins(1 << one.attempts.min(6));
                let at = self.now().checked_add(pause).unwrap_or(Timestamp::MAX);
                Ok(Closed::Later(at, fault.to_string()))
            }
            Err(EngineError::Refused(problem)) => {
                let reason = problem.to_string();
                warn!(
                    event = "auto_close_refused",
                    incident = one.incident.0,
                    reason = &*discreet(&reason),
                    "a resolved case is not closed by itself; a person decides"
                );
                Ok(Closed::Refused(reason))
            }
            // The store's or the state's own trouble: the row stays, and is worked on again.
            Err(other) => Err(other),
        }
    }

    /// Those of which nobody is asked: the others are closed by their reminders, after a notice. One that does not read is
    /// found again by each run until it is corrected.
    async fn to_be_closed(
        &self,
        page: Vec<Resolved>,
        seen: &HashSet<IncidentId>,
        answer: &mut JobAnswer,
    ) -> Result<Vec<Resolved>, EngineError> {
        let ids: Vec<IncidentId> = page.iter().map(|one| one.incident).collect();
        let looked = self.look(&ids).await?;
        let mut found = Vec::with_capacity(page.len());
        for one in page {
            match looked.unreadable.get(&one.incident) {
                Some(reason) => {
                    let incident = one.incident.0;
                    warn!(
                        event = "job_case_failed",
                        job = answer.job,
                        incident,
                        reason = &*discreet(reason),
                        "a case could not be looked at"
                    );
                    if seen.contains(&one.incident) {
                        answer.fail(incident, reason.clone());
                    }
                }
                None if looked.asked.contains(&one.incident) => {}
                None => found.push(one),
            }
        }
        Ok(found)
    }

    /// The resolved cases of whose closing people are asked, here or at the other site, or have answered; and those that do not
    /// read.
    async fn look(&self, ids: &[IncidentId]) -> Result<Looked, EngineError> {
        let loaded = self.store().load(ids).await?;
        let told = |(id, reason): (IncidentId, String)| (id, format!("the record does not read: {reason}"));
        let unreadable = loaded.unreadable.into_iter().map(told).collect();
        let mut asked = HashSet::new();
        for incident in loaded.incidents {
            let round = Round::of(incident.state(), &incident.milestones);
            let is_known = round.is_some_and(|round| round.is_answered || !round.is_own());
            if is_known || self.settings().mail.is_some() && !self.store().parties(incident.id).await?.is_empty() {
                asked.insert(incident.id);
            }
        }
        Ok(Looked { asked, unreadable })
    }

    /// Closes the case if it still stands as it was found.
    async fn close_at(&self, one: &Closing, revision: i64) -> Result<(), EngineError> {
        let incident = self.incident(one.incident).await?;
        let request = WorkRequest::default();
        let edit = self.edit_for(&incident, Decision::Close, &request)?;
        let line = HistoryLine {
            incident: incident.id,
            at: self.now(),
            who: "casebridge".into(),
            action: Action::AutoClosed.as_str().into(),
            exchange: None,
            seq: None,
            detail: "closed, because it stayed resolved for as long as its type says".into(),
        };
        let write = Write {
            expected_revision: Some(revision),
            edit: Edit { since: Some(self.now()), ..edit },
            history: vec![line],
            // Somebody who was added since is asked first.
            people: self.settings().mail.is_some().then(PeopleTold::default),
            ..Write::to(incident.id, Writer::Operator)
        };
        self.write_decision(write).await
    }

    /// Does nothing until something may be queued, or `most` has passed.
    pub async fn wait_for_closings(&self, most: Duration) {
        // Either way the queue is looked at.
        let _ = tokio::time::timeout(most, self.0.to_close.notified()).await;
    }
}

fn told(one: &Resolved, case_type: &CaseType, after: Duration) -> JobCase {
    let at = Timestamp::from_millisecond(one.place.at).unwrap_or_default();
    let span = show_duration(after);
    let why = format!("resolved since {}, and cases of type \"{}\" close after {span}", one.since, case_type.name);
    let due = SignedDuration::try_from(after).ok().and_then(|after| at.checked_add(after).ok());
    JobCase { incident: one.incident.0, what: "close".into(), at: due.unwrap_or(at), why }
}
