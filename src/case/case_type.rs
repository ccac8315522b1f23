//! What a site offers its customers (M-05): solutions, the processes that belong to them, the types of case of a process, and
//! what each promises.

use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::calendar::Calendar;
use super::deadline::{Deadline, DeadlineKind, Goal};
use super::form::Priority;
use super::id::SiteId;
use super::incident::Incident;
use super::policy::Policy;

/// Everything of it, with all references resolved: a case type has its SLAs, and they their calendars.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Definitions {
    pub solutions: Vec<Solution>,
    pub processes: Vec<Process>,
    pub priorities: Vec<PriorityNote>,
    pub case_types: Vec<CaseType>,
}

/// A `[[solution]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solution {
    pub name: String,
    pub description: Option<String>,
}

/// A `[[process]]`: it belongs to one solution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub name: String,
    pub solution: String,
    pub description: Option<String>,
}

/// A `[[priority]]`: what one of the four means at this site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriorityNote {
    pub priority: Priority,
    pub description: Option<String>,
}

/// A `[[case_type]]`: it belongs to one process.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseType {
    pub name: String,
    pub process: String,
    pub solution: String,
    pub description: Option<String>,
    /// Which incidents are of this type, unless a person said otherwise. Its priorities are those that its cases may have.
    pub filter: Policy,
    /// How long a case stays resolved before it is closed (M-06).
    pub auto_close_after: Option<Duration>,
    /// When its cases are due (M-07).
    pub due: Option<Terms>,
    pub slas: Vec<Sla>,
}

/// An `[[sla]]` (M-08).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sla {
    pub name: String,
    pub goal: Goal,
    /// For cases of these priorities only; for all when empty.
    pub priorities: Vec<Priority>,
    pub terms: Terms,
}

/// So much working time, by this calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    pub within: Duration,
    pub warn_before: Option<Duration>,
    pub calendar: Option<Calendar>,
}

/// The GUID of something that a configuration names: the same for the same name, at every site.
pub fn guid(what: &str, name: &str) -> Uuid {
    let digest: [u8; 32] = Sha256::new().chain_update(what).chain_update([0]).chain_update(name).finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    Uuid::new_v8(id)
}

impl Definitions {
    pub fn case_type(&self, name: &str) -> Option<&CaseType> {
        self.case_types.iter().find(|one| one.name == name)
    }

    /// The first type whose filters match.
    pub fn type_for(&self, incident: &Incident) -> Option<&CaseType> {
        self.case_types.iter().find(|one| one.filter.matches(incident))
    }
}

impl Terms {
    /// Tells these terms from others. Days off come and go, and are a part of the same promise.
    fn fingerprint(&self, goal: Goal) -> String {
        let calendar = self.calendar.iter().map(|one| Calendar { holidays: Vec::new(), ..one.clone() });
        let seconds = |span: Duration| span.as_secs();
        json!([goal, seconds(self.within), self.warn_before.map(seconds), calendar.collect::<Vec<_>>()]).to_string()
    }
}

impl CaseType {
    /// `caseTypeId` of M-01.
    pub fn id(&self) -> Uuid {
        guid("case type", &self.name)
    }

    /// What is promised on a case of this type.
    pub fn deadlines(&self, site: SiteId, incident: &Incident) -> Vec<Deadline> {
        let make = |kind: DeadlineKind, name: &str, goal: Goal, terms: &Terms| Deadline {
            id: Deadline::id_of(site, incident.id, &format!("{} {name}", kind.as_str()), &terms.fingerprint(goal)),
            kind,
            name: name.to_owned(),
            goal,
            starts_at: incident.created_at,
            within: terms.within.as_secs(),
            warn_before: terms.warn_before.map(|before| before.as_secs()),
            calendar: terms.calendar.as_ref().map(|calendar| calendar.since(incident.created_at)),
            revision: 0,
            dropped: false,
            origin: None,
            position: 0,
        };
        let priority = incident.form.priority.or(incident.event.priority);
        let applies = |sla: &&Sla| {
            sla.priorities.is_empty() || priority.is_some_and(|priority| sla.priorities.contains(&priority))
        };
        let due = self.due.iter().map(|terms| make(DeadlineKind::Due, "due date", Goal::Solution, terms));
        let slas = self.slas.iter().filter(applies);
        due.chain(slas.map(|sla| make(DeadlineKind::Sla, &sla.name, sla.goal, &sla.terms))).collect()
    }
}

/// What is to be changed so that a case has exactly the promises `wanted`, of those that are this site's own: new ones, those
/// that promise something else now, and those that count no more.
pub fn changed(have: &[Deadline], wanted: &[Deadline]) -> Vec<Deadline> {
    let own = || have.iter().filter(|one| one.origin.is_none());
    let mut changes = Vec::new();
    for want in wanted {
        match own().find(|one| one.id == want.id) {
            None => changes.push(want.clone()),
            Some(one) if one.differs(want) => changes.push(Deadline { revision: one.revision + 1, ..want.clone() }),
            Some(_) => {}
        }
    }
    for gone in own().filter(|one| !one.dropped && !wanted.iter().any(|want| want.id == one.id)) {
        changes.push(Deadline { revision: gone.revision + 1, dropped: true, ..gone.clone() });
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::example::incident;
    use crate::case::milestone::{Fact, Milestone, Passed};

    fn terms(hours: u64) -> Terms {
        Terms { within: Duration::from_secs(hours * 3600), warn_before: None, calendar: None }
    }

    fn sla(name: &str, priorities: Vec<Priority>) -> Sla {
        Sla { name: name.into(), goal: Goal::Solution, priorities, terms: terms(8) }
    }

    fn repair() -> CaseType {
        CaseType {
            name: "repair".into(),
            process: "field".into(),
            solution: "hardware".into(),
            description: None,
            filter: Policy { enabled: true, kinds: vec![crate::case::Kind::Event], ..Policy::default() },
            auto_close_after: None,
            due: Some(terms(100)),
            slas: vec![sla("solve", vec![]), sla("fast", vec![Priority::Critical])],
        }
    }

    fn site() -> SiteId {
        SiteId(Uuid::from_u128(1))
    }

    fn names(deadlines: &[Deadline]) -> Vec<&str> {
        deadlines.iter().map(|one| one.name.as_str()).collect()
    }

    #[test]
    fn m_05_the_first_type_that_matches_counts() {
        let by_hand = CaseType { filter: Policy::default(), name: "by hand".into(), ..repair() };
        let all = CaseType { filter: Policy { enabled: true, ..Policy::default() }, name: "all".into(), ..repair() };
        let definitions = Definitions { case_types: vec![by_hand, repair(), all], ..Definitions::default() };
        let mut record = incident();
        assert_eq!(definitions.type_for(&record).map(|one| one.name.as_str()), Some("repair"));
        record.event.kind = crate::case::Kind::EventRma;
        assert_eq!(definitions.type_for(&record).map(|one| one.name.as_str()), Some("all"));
        assert_eq!(definitions.case_type("by hand").map(|one| one.name.as_str()), Some("by hand"));
        assert_eq!(guid("case type", "repair"), repair().id());
    }

    #[test]
    fn m_05_another_priority_makes_other_promises_and_drops_the_old_ones() {
        let mut record = incident();
        let first = repair().deadlines(site(), &record);
        assert_eq!(names(&first), ["due date", "solve"]);
        assert!(first.iter().all(|one| one.starts_at == record.created_at));
        assert_eq!(changed(&first, &first), []);
        record.event.priority = Some(Priority::Critical);
        let more = changed(&first, &repair().deadlines(site(), &record));
        assert_eq!(names(&more), ["fast"]);
        let all = [first.clone(), more].concat();
        let back = changed(&all, &first);
        assert_eq!((names(&back), back[0].dropped, back[0].revision), (vec!["fast"], true, 1));
        let dropped: Vec<Deadline> = [first.clone(), back].concat();
        assert_eq!(changed(&dropped, &first), [], "dropped once");
        let again = changed(&dropped, &repair().deadlines(site(), &record));
        assert_eq!((names(&again), again[0].dropped, again[0].revision), (vec!["fast"], false, 2));
    }

    #[test]
    fn m_07_other_terms_are_another_promise_and_the_same_ones_are_the_same() {
        let record = incident();
        let first = repair().deadlines(site(), &record);
        let warned = Fact::Deadline { deadline: first[0].id, passed: Passed::Warned };
        let milestones = [Milestone::new(Uuid::from_u128(7), record.created_at, warned)];
        let marked = |one: &Deadline| one.passed(&milestones).0;
        let other = CaseType { name: "slow".into(), due: Some(terms(200)), ..repair() };
        let moved = changed(&first, &other.deadlines(site(), &record));
        let told: Vec<(bool, u64, bool)> =
            moved.iter().map(|one| (one.dropped, one.within / 3600, marked(one))).collect();
        assert_eq!(told, [(false, 200, false), (true, 100, true)], "nobody was warned of the new one");
        let corrected = CaseType { name: "mend".into(), ..repair() };
        assert_eq!(changed(&first, &corrected.deadlines(site(), &record)), [], "the same promise by another type");
        let all = [vec![Deadline { ..moved[1].clone() }], vec![moved[0].clone()], first[1..].to_vec()].concat();
        let back = changed(&all, &first);
        let told: Vec<(bool, u64, bool)> =
            back.iter().map(|one| (one.dropped, one.within / 3600, marked(one))).collect();
        assert_eq!(told, [(false, 100, true), (true, 200, false)], "it was warned of, once");
    }

    #[test]
    fn what_a_peer_promised_is_left_alone() {
        let theirs =
            Deadline { origin: Some("partner".parse().unwrap()), ..repair().deadlines(site(), &incident())[0].clone() };
        assert_eq!(changed(&[theirs], &[]), []);
    }
}
