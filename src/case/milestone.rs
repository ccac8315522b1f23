//! Milestones: dated facts of a case (M-01). Both sites keep all of them: a set that only grows, so that two people who act
//! at both sites at once leave the same set at both, in the same order.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::id::{Alias, ExchangeId};
use super::phase::PhaseGroup;
use super::state::CaseState;
use super::text::{TextFault, instant, line};

/// Something that happened to a case, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Milestone {
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    /// One more than the highest that was known where it was made: whoever knew of another comes after it, whatever the
    /// clocks say. 0 where the store is still to count.
    pub n: u32,
    /// By the clock of the site that it happened at.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub fact: Fact,
    /// The peer that it came from; it never travels back there. Not sent.
    #[serde(skip)]
    pub origin: Option<Alias>,
    /// The exchange that it came in: the next one with the same peer does not have it. Not sent.
    #[serde(skip)]
    pub came_in: Option<ExchangeId>,
    /// The order in which this site's store got it. Not sent.
    #[serde(skip)]
    pub position: i64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The case came into a state.
    State(CaseState),
    /// People were told, or asked: a request, a reminder, a notice. One line, at most 64 bytes.
    Notice(String),
    /// A deadline was warned of or missed (M-07, M-08).
    Deadline {
        #[schema(value_type = String, format = "uuid")]
        deadline: Uuid,
        passed: Passed,
    },
    /// What people gave a name. One line, at most 128 bytes.
    Named(String),
}

/// How far a deadline has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Passed {
    Warned,
    Violated,
}

impl Passed {
    pub fn as_str(self) -> &'static str {
        match self {
            Passed::Warned => "warned",
            Passed::Violated => "violated",
        }
    }
}

/// Why a milestone cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MilestoneFault {
    #[error("{field} {fault}")]
    Text { field: &'static str, fault: TextFault },
    #[error("n is {0}; at most {max} is allowed", max = Milestone::HIGHEST)]
    Count(u32),
}

impl Milestone {
    /// The highest that is counted to; what comes later has the same number, and is told apart by its ID.
    pub const HIGHEST: u32 = 1_000_000_000;
    /// The most by which one that a peer tells of is counted beyond what is known here: what one site counted without
    /// the other is less by far, and nothing that is told leaves no numbers for what happens later.
    pub const AHEAD: u32 = 100_000;

    /// A fact of this site's own, still to be counted and stored.
    pub fn new(id: Uuid, at: Timestamp, fact: Fact) -> Self {
        Self { id, n: 0, at, fact, origin: None, came_in: None, position: 0 }
    }

    pub fn check(&self) -> Result<(), MilestoneFault> {
        let text = |field| move |fault| MilestoneFault::Text { field, fault };
        instant(self.at).map_err(text("at"))?;
        if self.n > Self::HIGHEST {
            return Err(MilestoneFault::Count(self.n));
        }
        match &self.fact {
            Fact::Notice(name) => line(name, 64).map(|_| ()).map_err(text("notice")),
            Fact::Named(name) => line(name, 128).map(|_| ()).map_err(text("name")),
            Fact::State(_) | Fact::Deadline { .. } => Ok(()),
        }
    }

    /// Whether a clock that is set cannot have given its instant: it is more than a day ahead of `now`, or more than a
    /// year behind it, which is longer than an operation waits for a site that is away.
    pub fn is_far_off(&self, now: Timestamp) -> bool {
        const AHEAD: SignedDuration = SignedDuration::from_hours(24);
        const BEHIND: SignedDuration = SignedDuration::from_hours(-366 * 24);
        !(BEHIND..=AHEAD).contains(&self.at.duration_since(now))
    }

    /// Whether it is counted so far beyond the `known` ones that whoever told of it cannot have counted.
    pub fn is_far_beyond(&self, known: &[Milestone]) -> bool {
        let highest = || known.iter().map(|one| one.n).max().unwrap_or_default();
        self.n > Self::AHEAD && self.n > highest().saturating_add(Self::AHEAD)
    }

    /// The state that it tells of.
    pub fn state(&self) -> Option<CaseState> {
        match self.fact {
            Fact::State(state) => Some(state),
            _ => None,
        }
    }

    /// What is still to be counted comes last.
    fn rank(&self) -> (u32, Uuid) {
        (if self.n == 0 { u32::MAX } else { self.n }, self.id)
    }
}

/// A time in which the clocks of a case stand still: it waits for its customer, is on hold, resolved or over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    pub from: Timestamp,
    /// None while it lasts.
    pub until: Option<Timestamp>,
}

/// The last state that the resolution phases had, as both sites agree on it.
pub fn state_within(milestones: &[Milestone]) -> Option<CaseState> {
    let within =
        milestones.iter().filter(|one| one.state().is_some_and(|state| state.group() == PhaseGroup::Resolution));
    within.max_by_key(|one| one.rank())?.state()
}

/// The last state that was told, of any phase.
pub fn last_state(milestones: &[Milestone]) -> Option<CaseState> {
    last_move(milestones)?.state()
}

/// The milestone of the last state that was told.
pub fn last_move<'a>(milestones: impl IntoIterator<Item = &'a Milestone>) -> Option<&'a Milestone> {
    milestones.into_iter().filter(|one| one.state().is_some()).max_by_key(|one| one.rank())
}

/// When the clocks stood still, in order and without overlaps, for a case that is in this state now. The same at both
/// sites, whatever their clocks say: it is made of the milestones alone. An end before its beginning, by a clock that is
/// wrong, ends it at once.
pub fn stops(milestones: &[Milestone], now_in: CaseState) -> Vec<Stop> {
    let mut states: Vec<&Milestone> = milestones.iter().filter(|one| one.state().is_some()).collect();
    states.sort_by_key(|one| one.rank());
    let mut stops: Vec<Stop> = Vec::new();
    for one in states {
        let running = one.state().is_none_or(CaseState::is_running);
        match stops.last_mut() {
            Some(last @ Stop { until: None, .. }) if running => last.until = Some(one.at.max(last.from)),
            Some(Stop { until: None, .. }) => {}
            last if !running => {
                let from = last.and_then(|last| last.until).map_or(one.at, |until| until.max(one.at));
                stops.push(Stop { from, until: None });
            }
            _ => {}
        }
    }
    // A step that lost against the other site's leaves its milestone behind, and no standstill.
    if now_in.is_running() && stops.last().is_some_and(|last| last.until.is_none()) {
        stops.pop();
    }
    stops.retain(|stop| stop.until != Some(stop.from));
    stops
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + 60 * minute).unwrap()
    }

    fn state(n: u32, minute: i64, state: CaseState) -> Milestone {
        Milestone { n, ..Milestone::new(Uuid::from_u128(u128::from(n) * 100), at(minute), Fact::State(state)) }
    }

    fn minutes(stops: &[Stop]) -> Vec<(i64, Option<i64>)> {
        let minute = |at: Timestamp| (at.as_second() - 1_790_000_000) / 60;
        stops.iter().map(|stop| (minute(stop.from), stop.until.map(minute))).collect()
    }

    #[test]
    fn clocks_stand_still_while_the_case_waits_is_on_hold_or_resolved() {
        use CaseState::*;
        let all = [
            state(1, 10, InProcess),
            state(2, 20, InputRequested),
            state(3, 25, OnHold),
            state(4, 40, InProcess),
            state(5, 50, Resolved),
            state(6, 70, Reopened),
            state(7, 90, Completed),
        ];
        assert_eq!(minutes(&stops(&all, Completed)), [(20, Some(40)), (50, Some(70)), (90, None)]);
        assert_eq!(minutes(&stops(&all[..3], OnHold)), [(20, None)]);
        assert_eq!(stops(&[], Opened), []);
        assert_eq!(state_within(&all), Some(Reopened));
    }

    #[test]
    fn the_order_of_arrival_and_a_wrong_clock_change_nothing() {
        use CaseState::*;
        // The second site's clock is an hour behind: its answer seems to come before the question.
        let mut all = vec![state(1, 100, InputRequested), state(2, 45, InProcess), state(3, 120, OnHold)];
        let told = stops(&all, OnHold);
        assert_eq!(minutes(&told), [(120, None)]);
        all.reverse();
        assert_eq!(stops(&all, OnHold), told);
        let ahead = [state(1, 100, InputRequested), state(2, 160, InProcess), state(3, 110, OnHold)];
        assert_eq!(minutes(&stops(&ahead, OnHold)), [(100, Some(160)), (160, None)], "no overlap");
    }

    #[test]
    fn a_step_that_lost_is_no_standstill() {
        let all = [state(1, 10, CaseState::InProcess), state(2, 20, CaseState::Resolved)];
        assert_eq!(stops(&all, CaseState::InProcess), []);
    }

    #[test]
    fn two_who_act_at_once_leave_one_state() {
        let (ours, theirs) = (state(4, 10, CaseState::OnHold), state(4, 9, CaseState::InProcess));
        let theirs = Milestone { id: Uuid::from_u128(7), ..theirs };
        let one_way = state_within(&[ours.clone(), theirs.clone()]);
        assert_eq!(one_way, state_within(&[theirs, ours]));
    }

    #[test]
    fn a_fact_is_short_in_json() {
        let told = serde_json::to_string(&state(1, 0, CaseState::OnHold).fact).unwrap();
        assert_eq!(told, "{\"state\":\"on_hold\"}");
        let fact = Fact::Deadline { deadline: Uuid::nil(), passed: Passed::Warned };
        let back: Fact = serde_json::from_str(&serde_json::to_string(&fact).unwrap()).unwrap();
        assert_eq!(back, fact);
        assert!(Milestone::new(Uuid::nil(), at(0), Fact::Named("x".repeat(129))).check().is_err());
        assert!(Milestone { n: u32::MAX, ..state(1, 0, CaseState::Opened) }.check().is_err());
    }
}
