//! By when a case is to be answered or solved (M-07, M-08): what was promised, and the instants that follow from it. They
//! follow from what travels alone, the promise with its calendar and the milestones, so that both sites come to the same second.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use super::calendar::{Calendar, CalendarFault, Working};
use super::id::{Alias, IncidentId, SiteId};
use super::milestone::{Fact, Milestone, Passed, Stop, stops};
use super::state::CaseState;
use super::text::{TextFault, instant, line};

/// A promise on one case: so much working time until it is answered or solved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deadline {
    /// Made of the site, the incident, the rule and its terms: `slaInstanceIds` of M-01.
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    pub kind: DeadlineKind,
    /// The name of the SLA; one line, at most 128 bytes.
    pub name: String,
    #[serde(default, skip_serializing_if = "Goal::is_solution")]
    pub goal: Goal,
    #[schema(value_type = String, format = DateTime)]
    pub starts_at: Timestamp,
    /// Working time until it is due, in seconds.
    pub within: u64,
    /// Working time before that at which it is warned of, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn_before: Option<u64>,
    /// Around the clock without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<Calendar>,
    /// Counts the changes made by the site whose deadline it is; the highest counts.
    #[serde(default)]
    pub revision: u32,
    /// It counts no more: the case is of another type or priority now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dropped: bool,
    /// The peer that it came from. Not sent.
    #[serde(skip)]
    pub origin: Option<Alias>,
    /// The order in which this site's store got it, or its last change. Not sent.
    #[serde(skip)]
    pub position: i64,
}

/// Who looks after a deadline: the due-date job or the SLA job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeadlineKind {
    Due,
    Sla,
}

impl DeadlineKind {
    pub fn as_str(self) -> &'static str {
        match self {
            DeadlineKind::Due => "due",
            DeadlineKind::Sla => "sla",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [DeadlineKind::Due, DeadlineKind::Sla].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What a deadline waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// The first move by which somebody works on the case: into process, a request for input, a solution.
    Answer,
    #[default]
    Solution,
}

impl Goal {
    pub const ALL: [Goal; 2] = [Goal::Answer, Goal::Solution];

    pub fn as_str(self) -> &'static str {
        match self {
            Goal::Answer => "answer",
            Goal::Solution => "solution",
        }
    }

    fn is_solution(&self) -> bool {
        *self == Goal::Solution
    }
}

/// Why a deadline cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeadlineFault {
    #[error("{field} {fault}")]
    Text { field: &'static str, fault: TextFault },
    #[error("is not due within {} years", Deadline::LONGEST / (365 * 86_400))]
    Within,
    #[error("is warned of before it begins")]
    Warning,
    #[error("revision is {0}; at most {max} is allowed", max = Milestone::HIGHEST)]
    Revision(u32),
    #[error("calendar {0}")]
    Calendar(#[from] CalendarFault),
}

/// When a deadline is warned of and when it is due, as the case stands. None: its clock stands still, or the deadline is met
/// or dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Instants {
    pub warns_at: Option<Timestamp>,
    pub due_at: Option<Timestamp>,
}

/// By when a case should be solved (M-01).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DueDate<'a> {
    pub deadline: &'a Deadline,
    pub at: Timestamp,
    pub warns_at: Option<Timestamp>,
    /// Its clock stands still: the instants are those of when it last ran.
    pub stands_still: bool,
}

impl<'a> DueDate<'a> {
    /// The due date of a case with these milestones that is in this state now: the earliest that this site promised itself,
    /// or else the earliest of all.
    pub fn of(deadlines: &'a [Deadline], milestones: &[Milestone], now_in: CaseState) -> Option<Self> {
        let counts = deadlines.iter().filter(|one| one.kind == DeadlineKind::Due && !one.dropped);
        let read = |deadline: &'a Deadline| {
            let stops = deadline.stops(milestones, now_in);
            let over: Vec<Stop> = stops.iter().copied().filter(|stop| stop.until.is_some()).collect();
            let stands_still = deadline.due(&stops).is_none();
            Some(Self { deadline, at: deadline.due(&over)?, warns_at: deadline.warns(&over), stands_still })
        };
        counts.filter_map(read).min_by_key(|one| (one.deadline.origin.is_some(), one.at, one.deadline.id))
    }
}

impl Deadline {
    /// The longest span, in seconds: ten years.
    pub const LONGEST: u64 = 10 * 365 * 86_400;

    /// The same at every time for a site, an incident, and a rule of its configuration with its terms: what was noted of one
    /// promise (M-07) says nothing of another one that takes its place.
    pub fn id_of(site: SiteId, incident: IncidentId, rule: &str, terms: &str) -> Uuid {
        let mut hash = Sha256::new();
        hash.update(b"casebridge deadline 1");
        hash.update(site.0.as_bytes());
        hash.update(incident.0.to_be_bytes());
        hash.update(rule.as_bytes());
        hash.update([0]);
        hash.update(terms.as_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Uuid::new_v8(id)
    }

    pub fn check(&self) -> Result<(), DeadlineFault> {
        let text = |field| move |fault| DeadlineFault::Text { field, fault };
        line(&self.name, 128).map_err(text("name"))?;
        instant(self.starts_at).map_err(text("starts_at"))?;
        if self.within == 0 || self.within > Self::LONGEST {
            return Err(DeadlineFault::Within);
        }
        if self.warn_before.is_some_and(|before| before >= self.within) {
            return Err(DeadlineFault::Warning);
        }
        if self.revision > Milestone::HIGHEST {
            return Err(DeadlineFault::Revision(self.revision));
        }
        Ok(self.calendar.iter().try_for_each(Calendar::check)?)
    }

    /// The instants for a case with these milestones that is in this state now.
    pub fn instants(&self, milestones: &[Milestone], now_in: CaseState) -> Instants {
        if self.dropped {
            return Instants::default();
        }
        let stops = self.stops(milestones, now_in);
        Instants { warns_at: self.warns(&stops), due_at: self.due(&stops) }
    }

    /// When its clock stood still: with the case, and for good once it is met.
    fn stops(&self, milestones: &[Milestone], now_in: CaseState) -> Vec<Stop> {
        let mut stops = stops(milestones, now_in);
        if self.goal == Goal::Answer
            && let Some(answered) = answered(milestones)
        {
            stops.retain(|stop| stop.from < answered);
            stops.push(Stop { from: answered, until: None });
        }
        stops
    }

    /// When its working time is over, with these stops in order; none while it stands still.
    pub fn due(&self, stops: &[Stop]) -> Option<Timestamp> {
        self.reached(self.within, stops)
    }

    /// The same for its warning.
    pub fn warns(&self, stops: &[Stop]) -> Option<Timestamp> {
        self.reached(self.within.checked_sub(self.warn_before?)?, stops)
    }

    fn reached(&self, seconds: u64, stops: &[Stop]) -> Option<Timestamp> {
        let working = Working::by(self.calendar.as_ref())?;
        let mut left = i64::try_from(seconds).ok()?.checked_mul(1000)?;
        let mut from = self.starts_at;
        for stop in stops {
            // A stop of before it began, or by a clock that is wrong, takes nothing away.
            if stop.from > from {
                let run = working.between(from, stop.from);
                if run >= left {
                    break;
                }
                left -= run;
            }
            from = from.max(stop.until?);
        }
        working.after(from, left)
    }

    /// How far the milestones say that it has come: whether it was warned of, and whether it was missed. Only whoever
    /// promised it says so.
    pub fn passed(&self, milestones: &[Milestone]) -> (bool, bool) {
        let of_promiser = |one: &&Milestone| one.origin == self.origin;
        let has = |passed| {
            let fact = Fact::Deadline { deadline: self.id, passed };
            milestones.iter().filter(of_promiser).any(|one| one.fact == fact)
        };
        (has(Passed::Warned), has(Passed::Violated))
    }

    /// What comes next for it, and when; nothing for a case that is over, and nothing after it was missed.
    pub fn next(&self, milestones: &[Milestone], now_in: CaseState) -> Option<(Passed, Timestamp)> {
        if matches!(now_in, CaseState::Completed | CaseState::Canceled) {
            return None;
        }
        let Instants { warns_at, due_at } = self.instants(milestones, now_in);
        match self.passed(milestones) {
            (_, true) => None,
            (false, false) if warns_at.is_some() => warns_at.map(|at| (Passed::Warned, at)),
            (_, false) => due_at.map(|at| (Passed::Violated, at)),
        }
    }

    /// The milestone that tells of it has the same ID wherever and however often it is made.
    pub fn milestone_id(deadline: Uuid, passed: Passed) -> Uuid {
        let mut id = *deadline.as_bytes();
        for (byte, mixed) in id.iter_mut().zip(passed.as_str().bytes().cycle()) {
            *byte ^= mixed;
        }
        Uuid::new_v8(id)
    }

    /// Whether it promises something else than `other`.
    pub fn differs(&self, other: &Self) -> bool {
        let bare = |one: &Self| Self { revision: 0, origin: None, position: 0, ..one.clone() };
        bare(self) != bare(other)
    }
}

/// When somebody first worked on the case. Which site it was is not asked: of three in a row not all could tell. What is put
/// on hold, canceled or opened again is no answer.
fn answered(milestones: &[Milestone]) -> Option<Timestamp> {
    use CaseState::{Completed, InProcess, InputRequested, Resolved};
    let works = |state| matches!(state, InProcess | InputRequested | Resolved | Completed);
    milestones.iter().filter(|one| one.state().is_some_and(works)).map(|one| one.at).min()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::case::calendar::tests::{at, calendars, instants, office};

    fn sla() -> Deadline {
        Deadline {
            id: Deadline::id_of(SiteId(Uuid::from_u128(1)), IncidentId(7), "sla solve", "8h"),
            kind: DeadlineKind::Sla,
            name: "solve".into(),
            goal: Goal::Solution,
            starts_at: at("2026-11-23T07:00:00Z"),
            within: 8 * 3600,
            warn_before: Some(2 * 3600),
            calendar: Some(office("Europe/Paris")),
            revision: 0,
            dropped: false,
            origin: None,
            position: 0,
        }
    }

    fn stop(from: &str, until: Option<&str>) -> Stop {
        Stop { from: at(from), until: until.map(at) }
    }

    fn state(n: u32, when: &str, state: CaseState) -> Milestone {
        Milestone { n, ..Milestone::new(Uuid::from_u128(u128::from(n)), at(when), Fact::State(state)) }
    }

    #[test]
    fn m_08_only_whoever_promised_says_that_it_was_warned_of_or_missed() {
        let ours = sla();
        let theirs = Deadline { origin: Some("partner".parse().unwrap()), ..sla() };
        let told = |passed, origin: Option<&str>| {
            let fact = Fact::Deadline { deadline: ours.id, passed };
            let milestone = Milestone::new(Deadline::milestone_id(ours.id, passed), at("2026-11-23T12:00:00Z"), fact);
            [Milestone { origin: origin.map(|peer| peer.parse().unwrap()), ..milestone }]
        };
        let own = told(Passed::Violated, None);
        assert_eq!((ours.passed(&own), theirs.passed(&own)), ((false, true), (false, false)));
        let of_partner = told(Passed::Warned, Some("partner"));
        assert_eq!((ours.passed(&of_partner), theirs.passed(&of_partner)), ((false, false), (true, false)));
        let of_client = told(Passed::Violated, Some("north"));
        assert_eq!((ours.passed(&of_client), theirs.passed(&of_client)), ((false, false), (false, false)));
    }

    #[test]
    fn m_08_the_clock_stands_still_while_the_case_does() {
        let sla = sla();
        assert_eq!(sla.due(&[]), Some(at("2026-11-23T16:00:00Z")));
        assert_eq!(sla.warns(&[]), Some(at("2026-11-23T14:00:00Z")));
        let lunch = stop("2026-11-23T10:00:00Z", Some("2026-11-23T13:00:00Z"));
        assert_eq!(sla.due(&[lunch]), Some(at("2026-11-24T09:00:00Z")), "two of the three hours were working time");
        let night = stop("2026-11-23T17:00:00Z", Some("2026-11-24T06:00:00Z"));
        assert_eq!(sla.due(&[lunch, night]), Some(at("2026-11-24T09:00:00Z")), "nobody worked at night");
        let for_ever = stop("2026-11-23T15:00:00Z", None);
        assert_eq!((sla.warns(&[for_ever]), sla.due(&[for_ever])), (Some(at("2026-11-23T14:00:00Z")), None));
        assert_eq!(sla.due(&[stop("2026-11-23T16:00:00Z", None)]), Some(at("2026-11-23T16:00:00Z")), "it is over then");
    }

    #[test]
    fn m_08_an_answer_ends_the_clock_of_an_answer_and_no_other() {
        let solve = sla();
        let answer = Deadline { goal: Goal::Answer, ..sla() };
        let moved = [state(1, "2026-11-23T09:00:00Z", CaseState::InProcess)];
        assert_eq!(answer.instants(&moved, CaseState::InProcess), Instants::default());
        assert_eq!(answer.instants(&[], CaseState::Opened), solve.instants(&moved, CaseState::InProcess));
        for state_of in [CaseState::OnHold, CaseState::Canceled, CaseState::Reopened] {
            let held = [state(1, "2026-11-23T09:00:00Z", state_of)];
            assert_eq!(answered(&held), None, "{state_of:?} is no answer");
        }
        let late = [state(1, "2026-11-24T09:00:00Z", CaseState::OnHold)];
        assert_eq!(answer.instants(&late, CaseState::OnHold).due_at, Some(at("2026-11-23T16:00:00Z")));
    }

    #[test]
    fn m_01_the_due_date_is_the_sites_own_and_stays_while_the_clock_stands_still() {
        let due = |hours: u64, origin: Option<&str>| Deadline {
            id: Deadline::id_of(SiteId(Uuid::from_u128(1)), IncidentId(7), "due date", &hours.to_string()),
            kind: DeadlineKind::Due,
            within: hours * 3600,
            calendar: None,
            origin: origin.map(|peer| peer.parse().unwrap()),
            ..sla()
        };
        let told = |deadlines: &[Deadline], milestones: &[Milestone], now_in| {
            DueDate::of(deadlines, milestones, now_in).map(|one| (one.at, one.warns_at, one.stands_still))
        };
        let running = (at("2026-11-23T15:00:00Z"), Some(at("2026-11-23T13:00:00Z")), false);
        let (theirs, ours, later) = (due(4, Some("north")), due(8, None), due(9, None));
        let gone = Deadline { dropped: true, ..due(3, None) };
        let all = [sla(), theirs.clone(), later, ours.clone(), gone];
        assert_eq!(told(&all, &[], CaseState::Opened), Some(running));
        let earliest = told(&[due(5, Some("partner")), theirs], &[], CaseState::Opened);
        assert_eq!(earliest.map(|due| due.0), Some(at("2026-11-23T11:00:00Z")), "none is its own");
        assert_eq!(told(&[sla()], &[], CaseState::Opened), None, "an SLA is no due date");

        let held = [state(1, "2026-11-23T12:00:00Z", CaseState::OnHold)];
        assert_eq!(told(&all, &held, CaseState::OnHold), Some((running.0, running.1, true)), "it stays");
        assert_eq!(ours.instants(&held, CaseState::OnHold), Instants::default(), "though nothing is due");
        let went_on = [held.to_vec(), vec![state(2, "2026-11-23T14:00:00Z", CaseState::InProcess)]].concat();
        let moved = (at("2026-11-23T17:00:00Z"), Some(at("2026-11-23T15:00:00Z")));
        assert_eq!(
            told(&all, &went_on, CaseState::InProcess),
            Some((moved.0, moved.1, false)),
            "the hold took two hours"
        );
        let over = [went_on, vec![state(3, "2026-11-23T16:00:00Z", CaseState::Completed)]].concat();
        assert_eq!(told(&all, &over, CaseState::Completed), Some((moved.0, moved.1, true)), "it had been due then");
        let late = [state(1, "2026-11-23T16:00:00Z", CaseState::Completed)];
        assert_eq!(told(&all, &late, CaseState::Completed), Some(running), "the time had run out by then");
    }

    #[test]
    fn m_08_warning_then_violation_then_nothing() {
        let sla = sla();
        let passed = |n: u32, passed| {
            let fact = Fact::Deadline { deadline: sla.id, passed };
            Milestone { n, ..Milestone::new(Deadline::milestone_id(sla.id, passed), at("2026-11-23T14:00:00Z"), fact) }
        };
        let (warned, missed) = (passed(1, Passed::Warned), passed(2, Passed::Violated));
        let now = CaseState::Opened;
        assert_eq!(sla.next(&[], now), Some((Passed::Warned, at("2026-11-23T14:00:00Z"))));
        assert_eq!(sla.next(std::slice::from_ref(&warned), now), Some((Passed::Violated, at("2026-11-23T16:00:00Z"))));
        assert_eq!(sla.next(&[warned.clone(), missed.clone()], now), None);
        assert_eq!(sla.next(&[missed], now), None, "there is no warning after the event");
        assert_eq!(sla.next(&[], CaseState::Completed), None);
        assert_eq!(Deadline { dropped: true, ..sla.clone() }.next(&[], now), None);
        assert_eq!(Deadline { warn_before: None, ..sla }.next(&[], now).map(|next| next.0), Some(Passed::Violated));
        assert_ne!(warned.id, passed(2, Passed::Violated).id);
    }

    #[test]
    fn what_a_peer_sends_is_checked() {
        let sound = sla();
        assert_eq!(sound.check(), Ok(()));
        for wrong in [
            Deadline { name: String::new(), ..sound.clone() },
            Deadline { within: 0, ..sound.clone() },
            Deadline { within: u64::MAX, ..sound.clone() },
            Deadline { warn_before: Some(sound.within), ..sound.clone() },
            Deadline { revision: u32::MAX, ..sound.clone() },
            Deadline { calendar: Some(Calendar { hours: Default::default(), ..office("UTC") }), ..sound.clone() },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
        let endless = Deadline { within: u64::MAX, warn_before: Some(1), ..sound.clone() };
        assert_eq!(endless.instants(&[], CaseState::Opened), Instants::default());
        let nowhere = Deadline { calendar: Some(office("Europe/Nowhere")), ..sound };
        assert_eq!(nowhere.instants(&[], CaseState::Opened), Instants::default(), "no instant rather than a wrong one");
    }

    #[test]
    fn its_id_is_its_own() {
        let id = |site: u128, incident, rule, terms| {
            Deadline::id_of(SiteId(Uuid::from_u128(site)), IncidentId(incident), rule, terms)
        };
        let one = id(1, 7, "sla solve", "8h");
        assert_eq!(one, id(1, 7, "sla solve", "8h"));
        for (site, incident, rule, terms) in [
            (2, 7, "sla solve", "8h"),
            (1, 8, "sla solve", "8h"),
            (1, 7, "sla answer", "8h"),
            (1, 7, "sla solve", "9h"),
        ] {
            assert_ne!(one, id(site, incident, rule, terms), "{site} {incident} {rule} {terms}");
        }
    }

    fn histories() -> impl Strategy<Value = Vec<(CaseState, i64)>> {
        use CaseState::*;
        let states = [InProcess, InputRequested, OnHold, Resolved, Reopened];
        prop::collection::vec((prop::sample::select(states.to_vec()), -3_600_000i64..200_000_000), 0..12)
    }

    proptest! {
        /// What arrived in another order, over the wire, at a site with other clocks, comes to the same instants.
        #[test]
        fn both_sites_come_to_the_same_second(
            calendar in prop::option::of(calendars()), starts_at in instants(), within in 2u64..400_000, warn in 1u64..400_000,
            history in histories(), wrong in any::<u64>(),
        ) {
            let ours = Deadline { calendar, starts_at, within, warn_before: Some(warn % (within - 1) + 1), ..sla() };
            let mut at = starts_at.as_millisecond();
            let mut milestones: Vec<Milestone> = history.iter().enumerate().map(|(index, (state, later))| {
                at += later;
                // The peer's clock is an hour wrong, one way or the other.
                let seen = at + [0, 3_600_000, -3_600_000][(wrong >> (2 * index)) as usize % 3];
                let seen = Timestamp::from_millisecond(seen).unwrap();
                Milestone { n: index as u32 + 1, ..Milestone::new(Uuid::from_u128(index as u128), seen, Fact::State(*state)) }
            }).collect();
            let now_in = history.last().map_or(CaseState::Opened, |(state, _)| *state);
            let here = ours.instants(&milestones, now_in);
            let theirs: Deadline = serde_json::from_str(&serde_json::to_string(&ours).unwrap()).unwrap();
            milestones.reverse();
            prop_assert_eq!(theirs.instants(&milestones, now_in), here);
            if let Instants { warns_at: Some(warns), due_at: Some(due) } = here {
                prop_assert!(warns <= due, "in order");
            }
        }

        /// A stop never brings a deadline nearer, and moves it by the working time that it held.
        #[test]
        fn a_stop_moves_a_deadline_by_its_working_time(
            calendar in prop::option::of(calendars()), starts_at in instants(), within in 2u64..400_000,
            from in 0i64..200_000, length in 1i64..500_000,
        ) {
            let sla = Deadline { calendar, starts_at, within, warn_before: None, ..sla() };
            let after = |second: i64| Timestamp::from_millisecond(starts_at.as_millisecond() + 1000 * second).unwrap();
            let stop = Stop { from: after(from), until: Some(after(from + length)) };
            let (Some(plain), Some(moved)) = (sla.due(&[]), sla.due(&[stop])) else { return Ok(()) };
            prop_assert!(moved >= plain);
            let working = Working::by(sla.calendar.as_ref()).unwrap();
            let held = if stop.from < plain { working.between(stop.from, after(from + length)) } else { 0 };
            prop_assert_eq!(working.between(starts_at, moved), 1000 * within as i64 + held.min(working.between(starts_at, moved)));
        }
    }
}
