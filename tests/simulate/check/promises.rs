//! What was promised, and what came of it: deadlines, and cases that are closed because they stayed resolved.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use casebridge::case::{Action, Alias, Case, Deadline, Fact, HistoryLine, Incident, Instants, PhaseGroup};

use crate::model::{CANCELED, COMPLETED, Expected, REOPENED, RESOLVED, STATUS, UNANSWERED, UNANSWERED_BELOW};

/// Whether the line tells of this.
pub fn is(line: &HistoryLine, action: Action) -> bool {
    line.action == action.as_str()
}

/// Whether the site closed a case by itself.
fn closes(line: &HistoryLine) -> bool {
    is(line, Action::AutoClosed) || line.detail == UNANSWERED || line.detail == UNANSWERED_BELOW
}

/// Each warning and each violation is one milestone and one line at the site that promised it; and a case that a site closes
/// is not closed yet, and resolved where it is closed for that.
pub fn noted_once(incident: &Incident, lines: &[HistoryLine], alias: &Alias) {
    let mut seen = HashSet::new();
    let mut own = 0;
    for one in &incident.milestones {
        let Fact::Deadline { deadline, passed } = &one.fact else { continue };
        assert!(seen.insert((*deadline, *passed)), "{passed:?} was noted twice in {} at {alias}", incident.id);
        own += usize::from(one.origin.is_none());
    }
    let told = lines.iter().filter(|line| is(line, Action::DeadlineWarned) || is(line, Action::DeadlineMissed)).count();
    assert_eq!(told, own, "lines and milestones of the deadlines of {} at {alias}", incident.id);
    let (mut resolved, mut closed) = (false, false);
    for line in lines {
        if closes(line) {
            let may = resolved || !is(line, Action::AutoClosed);
            assert!(may && !closed, "{} was closed at {alias}, and was not resolved, or closed before", incident.id);
            (resolved, closed) = (false, true);
        } else if line.detail == RESOLVED || line.detail == REOPENED {
            (resolved, closed) = (line.detail == RESOLVED, false);
        } else if line.detail == COMPLETED || line.detail == CANCELED {
            (resolved, closed) = (false, true);
        } else if is(line, Action::OperationApplied) {
            closed = false;
        }
    }
}

/// How a case ends.
pub struct Ending {
    pub phase: PhaseGroup,
    /// The people of a site below have not answered either: that may have closed it.
    pub or_done: bool,
    /// Somebody at the lowest site did not want it any more, which counts or does not, by what the one above knew.
    pub withdrawn: bool,
    pub status: Option<String>,
}

impl Ending {
    /// What stays resolved is closed in the end.
    pub fn allows(&self, phase: PhaseGroup) -> bool {
        let done = self.or_done || self.phase == PhaseGroup::Validation;
        let allowed = phase == self.phase || (done && phase == PhaseGroup::Done);
        phase != PhaseGroup::Validation && (allowed || self.withdrawn)
    }
}

/// By what the lines at the top say, in their order, and those of the other sites.
pub fn ending(lines: &[HistoryLine], elsewhere: &[HistoryLine], expected: &Expected) -> Ending {
    let or_done = elsewhere.iter().any(closes);
    let withdrawn = elsewhere.iter().any(|line| line.detail == CANCELED);
    let mut ending = Ending { phase: PhaseGroup::Resolution, or_done, withdrawn, status: None };
    for line in lines {
        match line.detail.as_str() {
            RESOLVED => ending.phase = PhaseGroup::Validation,
            REOPENED => ending.phase = PhaseGroup::Resolution,
            COMPLETED => ending = Ending { phase: PhaseGroup::Done, status: Some(Case::CLOSED.into()), ..ending },
            CANCELED => ending = Ending { phase: PhaseGroup::Done, status: Some(Case::CANCELED.into()), ..ending },
            STATUS => ending.status = expected.status.clone(),
            _ if closes(line) => {
                ending = Ending { phase: PhaseGroup::Done, status: Some(Case::CLOSED.into()), ..ending };
            }
            _ => {}
        }
    }
    Ending { status: ending.status.filter(|_| !or_done && !withdrawn), ..ending }
}

/// Both sites know the same promises, which fall on the same instants, and the same that happened.
pub fn agreed(record: &Incident, top: &Incident, whose: &str) {
    assert_eq!(promised(record), promised(top), "the deadlines of {whose}");
    assert_eq!(happened(record), happened(top), "the milestones of {whose}");
}

fn promised(incident: &Incident) -> BTreeMap<uuid::Uuid, (Deadline, Instants)> {
    let bare = |one: &Deadline| Deadline { origin: None, position: 0, ..one.clone() };
    let instants = |one: &Deadline| one.instants(&incident.milestones, incident.state());
    let all: BTreeMap<_, _> = incident.deadlines.iter().map(|one| (one.id, (bare(one), instants(one)))).collect();
    assert!(!all.is_empty(), "nothing is promised on {}", incident.id);
    all
}

fn happened(incident: &Incident) -> BTreeSet<(u32, uuid::Uuid, String)> {
    incident.milestones.iter().map(|one| (one.n, one.id, format!("{} {:?}", one.at, one.fact))).collect()
}
