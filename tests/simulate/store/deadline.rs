//! What is promised on the cases of a site: their types, which of them nobody has looked at yet, and the queue of those that
//! are to be closed. What follows from a promise is computed whenever somebody asks.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use casebridge::case::{CaseState, Deadline, DeadlineKind, Incident, IncidentId};
use casebridge::store::{
    Closed, Closing, DeadlineStore, Passing, Place, Resolved, StoreError, Timing, Untimed, Written,
};
use jiff::Timestamp;

use super::Store;
use crate::check::answers;
use crate::shelf::Shelf;

/// A page of a test must not hold everything.
const PAGE: usize = 3;

#[derive(Default)]
pub struct Promises {
    untimed: BTreeSet<IncidentId>,
    types: BTreeMap<IncidentId, String>,
    closings: Vec<Queued>,
}

struct Queued {
    incident: IncidentId,
    since: Timestamp,
    next: Timestamp,
    attempts: u32,
    outcome: Option<Closed>,
}

impl Promises {
    /// The incident is new, or changed in what its promises depend on.
    pub fn changed(&mut self, incident: IncidentId) {
        self.untimed.insert(incident);
    }

    fn is_queued(&self, incident: &Incident) -> bool {
        let since = resolved_since(incident);
        self.closings.iter().any(|one| one.incident == incident.id && Some(one.since) == since)
    }
}

/// Takes new and changed promises. Says whether one is this site's own.
pub fn promise(incident: &mut Incident, deadlines: Vec<Deadline>) -> bool {
    let mut own = false;
    for one in deadlines {
        let position = 1 + incident.deadlines.iter().map(|known| known.position).max().unwrap_or(0);
        let one = Deadline { position, ..one };
        own |= match incident.deadlines.iter_mut().find(|known| known.id == one.id) {
            Some(known) if one.revision <= known.revision || one.origin != known.origin => continue,
            Some(known) => {
                *known = one;
                known.origin.is_none()
            }
            None => {
                let is_own = one.origin.is_none();
                incident.deadlines.push(one);
                is_own
            }
        };
    }
    own
}

/// Why a clock of case management still runs at this site; none when each has done what it is there for.
pub fn runs(shelf: &Shelf, closes: bool) -> Option<String> {
    let promises = &shelf.promises;
    if let Some(incident) = promises.untimed.first() {
        return Some(format!("incident {incident} is untimed"));
    }
    if let Some(one) = promises.closings.iter().find(|one| one.outcome.is_none()) {
        return Some(format!("incident {} waits to be closed", one.incident));
    }
    shelf.incidents.values().find_map(|incident| {
        let is_left = answers::is_left(incident);
        if closes && incident.state() == CaseState::Resolved && !is_left && !promises.is_queued(incident) {
            return Some(format!("incident {} is resolved", incident.id));
        }
        let (_, next) = own(incident).find_map(|(_, one)| one.next(&incident.milestones, incident.state()))?;
        Some(format!("a deadline of incident {} is due at {next}", incident.id))
    })
}

fn own(incident: &Incident) -> impl Iterator<Item = (usize, &Deadline)> {
    incident.deadlines.iter().enumerate().filter(|(_, one)| one.origin.is_none())
}

/// Names the time of being resolved that the case is in.
fn resolved_since(incident: &Incident) -> Option<Timestamp> {
    let states = incident.milestones.iter().filter(|one| one.state().is_some());
    let last = states.max_by_key(|one| one.position)?;
    (incident.state() == CaseState::Resolved).then_some(last.at)
}

#[async_trait]
impl DeadlineStore for Store {
    async fn untimed(&self, after: IncidentId, _: usize) -> Result<Vec<Untimed>, StoreError> {
        Ok(self.read(|shelf| {
            let behind = shelf.promises.untimed.iter().filter(|id| **id > after).take(PAGE);
            let one = |id: &IncidentId| Untimed { incident: *id, case_type: shelf.promises.types.get(id).cloned() };
            behind.map(one).collect()
        }))
    }

    async fn time(&self, timings: Vec<Timing>) -> Result<Vec<Written>, StoreError> {
        self.commit(|shelf| Ok(timings.into_iter().map(|timing| time(shelf, timing)).collect())).await
    }

    async fn refresh_deadlines(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn passing(
        &self,
        due_dates_of: Option<&str>,
        now: Timestamp,
        after: Place,
        _: usize,
    ) -> Result<Vec<Passing>, StoreError> {
        let kind = if due_dates_of.is_some() { DeadlineKind::Due } else { DeadlineKind::Sla };
        Ok(self.read(|shelf| {
            let mut found = Vec::new();
            for incident in shelf.incidents.values() {
                let case_type = shelf.promises.types.get(&incident.id);
                if due_dates_of.is_some_and(|wanted| case_type.is_none_or(|known| known != wanted)) {
                    continue;
                }
                for (index, one) in own(incident).filter(|(_, one)| one.kind == kind) {
                    let Some((_, at)) = one.next(&incident.milestones, incident.state()) else { continue };
                    let place = Place { at: at.as_millisecond(), id: incident.id.0 * 100 + index as i64 };
                    if at <= now && place > after {
                        found.push(Passing { incident: incident.id, deadline: one.id, place });
                    }
                }
            }
            found.sort_by_key(|one| one.place);
            found.truncate(PAGE);
            found
        }))
    }

    async fn resolved(
        &self,
        case_type: &str,
        by: Timestamp,
        after: Place,
        _: usize,
    ) -> Result<Vec<Resolved>, StoreError> {
        Ok(self.read(|shelf| {
            let promises = &shelf.promises;
            let of_type = shelf.incidents.values().filter(|one| {
                promises.types.get(&one.id).is_some_and(|known| known == case_type) && !promises.is_queued(one)
            });
            let long = of_type.filter_map(|one| {
                let since = resolved_since(one).filter(|since| *since <= by)?;
                let place = Place { at: since.as_millisecond(), id: one.id.0 };
                Some(Resolved { incident: one.id, since: since.to_string(), place })
            });
            let mut found: Vec<Resolved> = long.filter(|one| one.place > after).collect();
            found.sort_by_key(|one| one.place);
            found.truncate(PAGE);
            found
        }))
    }

    async fn queue_closings(&self, cases: Vec<Resolved>, at: Timestamp) -> Result<u64, StoreError> {
        self.commit(|shelf| {
            let before = shelf.promises.closings.len();
            for one in cases {
                let since: Timestamp = one.since.parse().expect("it was written here");
                let known =
                    shelf.promises.closings.iter().any(|known| known.incident == one.incident && known.since == since);
                if !known {
                    let queued = Queued { incident: one.incident, since, next: at, attempts: 0, outcome: None };
                    shelf.promises.closings.push(queued);
                }
            }
            Ok((shelf.promises.closings.len() - before) as u64)
        })
        .await
    }

    async fn closings(&self, now: Timestamp, _: usize) -> Result<Vec<Closing>, StoreError> {
        Ok(self.read(|shelf| {
            let queue = shelf.promises.closings.iter().enumerate();
            let due = queue.filter(|(_, one)| one.outcome.is_none() && one.next <= now);
            due.take(PAGE)
                .map(|(index, one)| {
                    let incident = &shelf.incidents[&one.incident];
                    let stands = resolved_since(incident) == Some(one.since);
                    let revision = stands.then_some(incident.revision);
                    Closing { id: index as i64, incident: one.incident, attempts: one.attempts, revision }
                })
                .collect()
        }))
    }

    async fn closed(&self, id: i64, outcome: Closed) -> Result<(), StoreError> {
        self.commit(|shelf| {
            let one = &mut shelf.promises.closings[id as usize];
            one.attempts += 1;
            match outcome {
                Closed::Later(next, _) => one.next = next,
                other => one.outcome = Some(other),
            }
            Ok(())
        })
        .await
    }
}

fn time(shelf: &mut Shelf, timing: Timing) -> Written {
    let id = timing.incident;
    let Some(incident) = shelf.incidents.get_mut(&id) else { return Written::Gone };
    if timing.expected_revision.is_some_and(|expected| expected != incident.revision) {
        return Written::Stale;
    }
    if promise(incident, timing.deadlines) {
        shelf.news(id);
    }
    if let Some(case_type) = timing.case_type {
        shelf.promises.types.insert(id, case_type);
    }
    shelf.promises.untimed.remove(&id);
    Written::Done
}
