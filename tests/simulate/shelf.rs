//! What stands in a simulated store, and the rules by which it changes: those of the SQL schema, over a map.

use std::collections::{BTreeMap, HashMap};

use casebridge::case::evidence::{Travelled, Way};
use casebridge::case::{
    Action, CaseState, Comment, Deposit, Edit, Event, Fact, Form, HistoryLine, Holder, Incident, IncidentId, Instance,
    Milestone, PassTag, Priority, Reference, Submission, Work,
};
use casebridge::store::{Deposited, Open, Opened, PageSeen, PeopleTold, StoreError, UsedPass, Write, Writer, Written};
use jiff::Timestamp;
use uuid::Uuid;

use super::bugs::Bug;
use super::store::deadline::{self, Promises};
use super::store::evidence::Chain;
use super::store::mail::{Mails, deliveries};
use super::store::reaction::Deeds;

/// Every commit is durable.
#[derive(Default)]
pub struct Shelf {
    pub incidents: BTreeMap<IncidentId, Incident>,
    /// The number of each record's last change by somebody other than the bridge.
    pub changes: BTreeMap<IncidentId, i64>,
    /// What cases have beside their records.
    pub instances: BTreeMap<IncidentId, Instance>,
    pub history: BTreeMap<IncidentId, Vec<HistoryLine>>,
    /// The same lines in the order of their commits, and how far each reader of them has come.
    pub events: Vec<HistoryLine>,
    pub places: BTreeMap<&'static str, i64>,
    /// Where each began.
    pub followed: BTreeMap<&'static str, i64>,
    pub promises: Promises,
    pub deeds: Deeds,
    pub mails: Mails,
    pub chain: Chain,
    /// The links that were used.
    pub passes: HashMap<PassTag, UsedPass>,
    /// Whether a record changed since somebody looked.
    pub touched: bool,
    /// Tells the milestones of one site from those of another.
    site: u64,
    clock: i64,
    positions: i64,
}

impl Shelf {
    pub fn of(site: u64) -> Self {
        Self { site, ..Self::default() }
    }

    /// Somebody other than the bridge changed the record.
    pub fn news(&mut self, incident: IncidentId) {
        self.clock += 1;
        self.changes.insert(incident, self.clock);
    }

    /// Of the last milestone or comment that came.
    pub fn positions(&self) -> i64 {
        self.positions
    }

    /// Something happened.
    pub fn told(&mut self, line: HistoryLine) {
        self.events.push(line.clone());
        self.history.entry(line.incident).or_default().push(line);
    }

    /// The store has a word of its own for the other sites of a case.
    pub fn say(&mut self, incident: IncidentId, word: impl FnOnce(Uuid) -> Milestone) {
        let word = word(Uuid::from_u64_pair(self.site, self.positions as u64 | 1 << 62));
        let edit = Edit { milestones: vec![word], ..Edit::default() };
        self.write_one(Write { edit, ..Write::to(incident, Writer::Operator) }, None);
    }

    fn next(&self) -> IncidentId {
        IncidentId(self.incidents.keys().next_back().map_or(1, |last| last.0 + 1))
    }

    pub fn deposit(&mut self, deposits: Vec<Deposit>, at: Timestamp) -> Vec<Deposited> {
        let one = |deposit: Deposit| {
            let known = self
                .incidents
                .values()
                .find(|known| known.client.is_none() && known.event.host_event_id == deposit.event.host_event_id);
            if let Some(known) = known {
                return Deposited { incident: known.id, new: false };
            }
            let id = self.next();
            self.incidents.insert(id, plain(id, deposit.event, deposit.form, at));
            self.touched = true;
            self.promises.changed(id);
            self.told(line(id, at, Action::Deposited, "deposited"));
            self.news(id);
            Deposited { incident: id, new: true }
        };
        deposits.into_iter().map(one).collect()
    }

    pub fn open(&mut self, opens: Vec<Open>, bug: Option<Bug>) -> Result<Vec<Opened>, StoreError> {
        let mut opened = Vec::new();
        for open in opens {
            let belongs = |one: &&Incident| {
                one.references.iter().any(|known| known.peer == open.peer && known.exchange == open.exchange)
            };
            if let Some(known) = self.incidents.values().find(belongs).filter(|_| bug != Some(Bug::OpensTwice)) {
                opened.push(Opened { incident: known.clone(), new: false });
                continue;
            }
            let id = self.next();
            let case =
                open.accept.as_ref().map(|template| template.fill(id, &open.peer).expect("the template is good"));
            let mut incident = plain(id, open.create.event, open.create.form, open.at);
            incident.trace_route = open.create.trace_route;
            incident.client = Some(open.peer.clone());
            incident.submission = open.submission;
            incident.references.push(Reference {
                peer: open.peer.clone(),
                exchange: open.exchange,
                towards: casebridge::case::Towards::Client,
                peer_incident: Some(open.create.incident),
                transaction: None,
                applied: 1,
                holder: Holder::Us,
                standing: match case {
                    Some(_) => casebridge::case::Standing::Created,
                    None => casebridge::case::Standing::Acknowledged,
                },
            });
            incident.case = case;
            for comment in open.create.comments {
                self.positions += 1;
                let (origin, came_in) = (Some(open.peer.clone()), Some(open.exchange));
                incident.comments.push(Comment { origin, came_in, position: self.positions, ..comment });
            }
            let create = Travelled { peer: open.peer, way: Way::In, seq: 1, sha256: open.sha256, content: None };
            self.chain.add(open.exchange, open.at, create);
            self.incidents.insert(id, incident.clone());
            self.touched = true;
            self.promises.changed(id);
            self.told(line(id, open.at, Action::IncidentOpened, "opened"));
            if incident.case.is_some() {
                self.told(line(id, open.at, Action::CaseAccepted, "accepted by policy"));
            }
            if open.submission != Submission::Held {
                self.news(id);
            }
            opened.push(Opened { incident, new: true });
        }
        Ok(opened)
    }

    pub fn pass(&mut self, seen: &PageSeen) -> bool {
        let place = self.places.get_mut(seen.consumer).filter(|place| **place == seen.after);
        place.map(|place| *place = seen.through).is_some()
    }

    /// Another program gives an incident another priority.
    pub fn prioritize(&mut self, id: IncidentId, priority: Priority) {
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        incident.event.priority = Some(priority);
        incident.revision += 1;
        self.promises.changed(id);
        self.news(id);
    }

    pub fn write(&mut self, writes: Vec<Write>, bug: Option<Bug>) -> Vec<Written> {
        writes.into_iter().map(|write| self.write_one(write, bug)).collect()
    }

    fn write_one(&mut self, mut write: Write, bug: Option<Bug>) -> Written {
        let told = |people: &PeopleTold| deliveries(self, write.incident, &people.reasons) == people.deliveries;
        let is_overtaken = !write.people.as_ref().is_none_or(told);
        let Some(incident) = self.incidents.get_mut(&write.incident) else { return Written::Gone };
        if let Some(reference) = &write.reference {
            let applied = find(incident, reference).map_or(0, |known| known.applied);
            if reference.applies.is_some_and(|seq| seq <= applied) && bug != Some(Bug::AppliesTwice) {
                return Written::AlreadyApplied;
            }
        }
        let is_stale = write.expected_revision.is_some_and(|expected| expected != incident.revision);
        let is_looked_at = write.instance.is_none() || bug != Some(Bug::TakesStaleClaims);
        if is_overtaken || is_stale && is_looked_at {
            return Written::Stale;
        }
        if let Some(used) = write.pass {
            if self.passes.contains_key(&used.tag) {
                return Written::Used;
            }
            self.passes.insert(used.tag, UsedPass { purpose: used.purpose, incident: write.incident, at: used.at });
        }
        self.touched = true;
        let mut news = false;
        let was = incident.state();
        if revises(&write) {
            incident.revision += 1;
            news = write.writer == Writer::Operator;
            let edit = &write.edit;
            incident.work.phase = edit.phase.unwrap_or(incident.work.phase);
            set(&mut incident.work.solution, &edit.solution);
            set(&mut incident.work.completion_code, &edit.completion_code);
            set(&mut incident.work.expected_resolution, &edit.expected_resolution);
            set(&mut incident.assignment, &edit.assignment);
            set(&mut incident.active, &edit.active);
            set(&mut incident.submission, &write.submission);
            set(&mut incident.form, &write.form);
            set(&mut incident.generation, &write.generation);
            set(&mut incident.own_case, &write.own_case);
            set(&mut incident.case, &edit.case.clone().map(Some));
            set(&mut incident.upstream_case, &write.upstream_case.clone().map(Some));
        }
        if let Some(edit) = &write.instance {
            let instance = self.instances.entry(write.incident).or_default();
            set(&mut instance.assigned_users, &edit.assigned_users);
            set(&mut instance.assigned_groups, &edit.assigned_groups);
            set(&mut instance.tags, &edit.tags);
        }
        if let Some(reference) = write.reference {
            match find(incident, &reference) {
                Some(known) => {
                    known.transaction = reference.transaction.or(known.transaction.take());
                    let applied = reference.recount.or(reference.applies).unwrap_or(0);
                    known.applied = reference.recount.unwrap_or(known.applied.max(applied));
                    known.standing = reference.standing;
                    known.holder = reference.holder.unwrap_or(known.holder);
                }
                None => incident.references.push(Reference {
                    peer: reference.peer,
                    exchange: reference.exchange,
                    towards: reference.towards,
                    peer_incident: None,
                    transaction: reference.transaction,
                    applied: reference.recount.or(reference.applies).unwrap_or(0),
                    holder: reference.holder.unwrap_or(Holder::at_first(reference.towards)),
                    standing: reference.standing,
                }),
            }
        }
        for comment in write.edit.comments {
            match incident.comments.iter_mut().find(|known| known.id == comment.id) {
                Some(known) if comment.origin != known.origin => continue,
                Some(known) if comment.edits <= known.edits && !write.yields.contains(&comment.id) => continue,
                Some(known) => {
                    self.positions += 1;
                    *known = Comment { position: self.positions, ..comment };
                    news |= known.origin.is_none();
                }
                None => {
                    self.positions += 1;
                    news |= comment.origin.is_none();
                    incident.comments.push(Comment { position: self.positions, ..comment });
                }
            }
        }
        news |= deadline::promise(incident, write.edit.deadlines);
        let mut milestones = write.edit.milestones;
        let now = match incident.work.phase.group() == was.group() {
            true => write.edit.state.unwrap_or(was),
            false => CaseState::of(incident.work.phase, incident.work.completion_code, Some(CaseState::Reopened)),
        };
        if let (true, Writer::Operator, Some(since)) = (now != was, write.writer, write.edit.since) {
            let id = Uuid::from_u64_pair(self.site, self.positions as u64);
            milestones.push(Milestone::new(id, since, Fact::State(now)));
        }
        for one in milestones {
            if incident.milestones.iter().any(|known| known.id == one.id) {
                continue;
            }
            self.positions += 1;
            if bug == Some(Bug::ForgetsAWarning) && matches!(one.fact, Fact::Deadline { .. }) && self.positions % 3 == 0
            {
                continue;
            }
            let highest = incident.milestones.iter().map(|known| known.n).max().unwrap_or(0);
            let n = if one.n == 0 { highest + 1 } else { one.n };
            news |= one.origin.is_none();
            incident.milestones.push(Milestone { n, position: self.positions, ..one });
        }
        let lines = self.history.entry(write.incident).or_default();
        for line in write.history {
            let is_once = |line: &HistoryLine| matches!(line.action.as_str(), "acknowledged" | "operation_sent");
            let same = |known: &HistoryLine| is_once(known) && (known.exchange, known.seq) == (line.exchange, line.seq);
            if !is_once(&line) || !lines.iter().any(same) {
                let travelled = write.travelled.take_if(|one| Some(one.seq) == line.seq);
                if let (Some(exchange), Some(travelled)) = (line.exchange, travelled) {
                    self.chain.add(exchange, line.at, travelled);
                }
                self.events.push(line.clone());
                lines.push(line);
            }
        }
        if news {
            self.news(write.incident);
        }
        Written::Done
    }
}

fn line(incident: IncidentId, at: Timestamp, action: Action, detail: &str) -> HistoryLine {
    let (who, action, detail) = ("casebridge".into(), action.as_str().into(), detail.into());
    HistoryLine { incident, at, who, action, exchange: None, seq: None, detail }
}

fn find<'a>(incident: &'a mut Incident, write: &casebridge::store::ReferenceWrite) -> Option<&'a mut Reference> {
    incident.references.iter_mut().find(|one| one.peer == write.peer && one.exchange == write.exchange)
}

fn set<T: Clone>(place: &mut T, value: &Option<T>) {
    if let Some(value) = value {
        *place = value.clone();
    }
}

fn revises(write: &Write) -> bool {
    let edit = &write.edit;
    edit.phase.is_some()
        || edit.solution.is_some()
        || edit.completion_code.is_some()
        || edit.expected_resolution.is_some()
        || edit.case.is_some()
        || edit.assignment.is_some()
        || edit.active.is_some()
        || edit.state.is_some()
        || write.submission.is_some()
        || write.form.is_some()
        || write.generation.is_some()
        || write.upstream_case.is_some()
        || write.own_case.is_some()
        || write.instance.is_some()
}

fn plain(id: IncidentId, event: Event, form: Form, at: Timestamp) -> Incident {
    Incident {
        id,
        revision: 1,
        generation: 0,
        group: None,
        client: None,
        trace_route: Vec::new(),
        created_at: at,
        event,
        submission: Submission::Undecided,
        assignment: None,
        active: true,
        form,
        work: Work::default(),
        case: None,
        upstream_case: None,
        own_case: Default::default(),
        references: Vec::new(),
        comments: Vec::new(),
        milestones: Vec::new(),
        deadlines: Vec::new(),
        announced: Vec::new(),
    }
}
