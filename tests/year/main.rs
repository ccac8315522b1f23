//! A year of a thousand cases (M-06 to M-10): two engines over real stores, clocks that are moved by hand and of which one is an
//! hour wrong, both changes of daylight saving, holidays, a partner that is down for days and a way that is cut for days.
//! Each warning, violation and close happens once, at its instant and in order, and both sites know the same deadlines.

mod line;
mod site;

use std::collections::{BTreeMap, BTreeSet};

use casebridge::case::{CaseAction, CaseState, Fact, Incident, Instants, Passed};
use casebridge::config::{Cron, defaults};
use casebridge::protocol::operator::WorkRequest;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use site::Site;

const CASES: u64 = 1000;
const START: i64 = 1_790_812_800; // 2026-10-01T00:00:00Z
const DAY: i64 = 86_400;
const DAYS: i64 = 366;
/// The last days are for what is still to come.
const ARRIVALS: i64 = 290;
/// The partner is down, and the way to it is cut, in these days.
const DOWN: std::ops::Range<i64> = 60..63;
const CUT: std::ops::Range<i64> = 170..175;
/// North's clock.
const WRONG: i64 = 3600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Numbers that look like chance and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What a person does to a case, and where.
#[derive(Debug, Clone, Copy)]
enum Step {
    Arrives,
    Partner(CaseAction),
    North(CaseAction),
}

/// What happens to each case, by second.
fn story(dice: &mut Dice) -> BTreeMap<i64, Vec<(u64, Step)>> {
    use CaseAction::*;
    let mut story: BTreeMap<i64, Vec<(u64, Step)>> = BTreeMap::new();
    // People come to their desks twice a day; that is also when the cases come.
    let desk = |second: i64| second.div_euclid(DAY / 2) * (DAY / 2) + DAY / 4 + 1;
    for case in 0..CASES {
        let mut now = desk(START + dice.roll(ARRIVALS as u64) as i64 * DAY);
        let mut steps = vec![Step::Arrives];
        for _ in 0..dice.roll(4) {
            steps.extend(match dice.roll(5) {
                0 => vec![Step::Partner(Process)],
                1 => vec![Step::Partner(RequestInput), Step::North(Process)],
                2 => vec![Step::Partner(Hold), Step::Partner(Process)],
                3 => vec![Step::North(Hold), Step::North(Open)],
                _ => vec![Step::Partner(Resolve), Step::Partner(Reopen)],
            });
        }
        match dice.roll(6) {
            0 => steps.push(Step::North(Cancel)),
            1 => {}
            _ => steps.push(Step::Partner(Resolve)),
        }
        for step in steps {
            story.entry(now).or_default().push((case, step));
            now = desk(now + DAY / 2 + dice.roll(6) as i64 * DAY);
        }
    }
    story
}

struct World {
    north: Site,
    partner: Site,
    now: i64,
    /// The next run of each of the partner's jobs that has something to do, as the rules say.
    wakes: BTreeSet<i64>,
    day: i64,
}

impl World {
    async fn new() -> Self {
        let partner = Site::partner(at(START)).await;
        let north = Site::north(at(START + WRONG), &partner).await;
        Self { north, partner, now: START, wakes: BTreeSet::new(), day: 0 }
    }

    fn is_down(&self) -> bool {
        DOWN.contains(&((self.now - START) / DAY))
    }

    fn is_cut(&self) -> bool {
        CUT.contains(&((self.now - START) / DAY))
    }

    /// Moves both clocks.
    async fn go(&mut self, second: i64) {
        let by = 1000 * (second - self.now);
        self.north.clock.advance(by);
        self.partner.clock.advance(by);
        let was_down = self.is_down();
        self.now = second;
        match (was_down, self.is_down()) {
            (false, true) => self.partner.stop().await,
            (true, false) => self.partner.start().await,
            _ => {}
        }
        self.partner.line.cut(self.is_cut());
    }

    /// Everything that is on its way arrives, where it can.
    async fn settle(&mut self) {
        self.north.time().await;
        if !self.is_down() {
            self.partner.time().await;
        }
        if self.is_down() || self.is_cut() {
            return self.north.detect().await;
        }
        for _ in 0..3 {
            self.north.talk().await;
            self.partner.time().await;
            self.partner.detect().await;
            self.north.talk().await;
        }
    }

    async fn step(&mut self, case: u64, step: Step) {
        let request = WorkRequest { operator: "ann".into(), ..WorkRequest::default() };
        let (site, action) = match step {
            Step::Arrives => return self.north.deposit(case).await,
            Step::Partner(action) => (&self.partner, action),
            Step::North(action) => (&self.north, action),
        };
        let (Some(engine), Some(id)) = (site.engine.clone(), site.number(case).await) else { return };
        // What cannot be done any more, people leave alone.
        let _ = engine.act(id, action, &request).await;
    }

    /// The runs that have something to do by the rules, from now on.
    async fn plan(&mut self, crons: &[Cron]) {
        let Some(next) = self.partner.next().await else { return };
        let now = at(self.now);
        let from = if next > now { next.checked_sub(SignedDuration::from_secs(1)).unwrap() } else { now };
        for cron in crons {
            self.wakes.extend(cron.next_after(from, &TimeZone::UTC).map(Timestamp::as_second));
        }
    }
}

/// The defaults, in the order of SLAs, due dates, closing.
fn crons() -> [Cron; 3] {
    [defaults::SCHEDULE_SLA_CHECK, defaults::SCHEDULE_DUE_DATE_CHECK, defaults::SCHEDULE_AUTO_CLOSE]
        .map(|text| Cron::parse(text).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn m_06_to_m_10_a_year_of_a_thousand_cases() {
    let mut dice = Dice(2026);
    let mut story = story(&mut dice);
    let mut world = World::new().await;
    let crons = crons();
    loop {
        // What comes first: a person, a job with something to do, or the end of a day, at which all jobs run.
        let person = story.keys().next().copied().unwrap_or(i64::MAX);
        let job = world.wakes.first().copied().unwrap_or(i64::MAX);
        let next = person.min(job).min(START + (world.day + 1) * DAY);
        if next > START + DAYS * DAY {
            break;
        }
        world.go(next).await;
        if next == START + (world.day + 1) * DAY {
            world.day += 1;
            world.partner.run_jobs(next).await;
            world.north.run_jobs(next).await;
            world.settle().await;
            world.plan(&crons).await;
        }
        if world.wakes.remove(&next) {
            world.partner.run_jobs(next).await;
            world.plan(&crons).await;
        }
        let Some(steps) = story.remove(&next) else { continue };
        for (case, step) in steps {
            world.step(case, step).await;
        }
        world.settle().await;
        world.plan(&crons).await;
    }
    world.settle().await;
    check(&world).await;
}

async fn check(world: &World) {
    let (here, there) = (world.partner.all().await, world.north.all().await);
    assert_eq!((here.len(), there.len()), (CASES as usize, CASES as usize));
    let there: BTreeMap<&str, &Incident> = there.iter().map(|one| (one.event.host_event_id.as_str(), one)).collect();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for incident in &here {
        let theirs = there[incident.event.host_event_id.as_str()];
        assert_eq!(incident.state(), theirs.state(), "{incident:?}\n{theirs:?}");
        agree(incident, theirs);
        let history = world.partner.history(incident.id).await;
        for deadline in incident.deadlines.iter().filter(|one| one.origin.is_none()) {
            let mut last: Option<(u32, Timestamp)> = None;
            for (passed, action) in [(Passed::Warned, "deadline_warned"), (Passed::Violated, "deadline_missed")] {
                let fact = Fact::Deadline { deadline: deadline.id, passed };
                let noted: Vec<_> = incident.milestones.iter().filter(|one| one.fact == fact).collect();
                assert!(noted.len() <= 1, "{passed:?} of {} in {}", deadline.name, incident.id);
                let Some(one) = noted.first() else { continue };
                assert!(last.is_none_or(|last| last < (one.n, one.at)), "in order");
                last = Some((one.n, one.at));
                // At its instant: the one that the rules gave when the job looked, and the job looked in time.
                let ours: Vec<_> = history
                    .iter()
                    .filter(|line| line.action == action && line.detail.contains(&one.at.to_string()))
                    .filter(|line| line.detail.contains(&deadline.name))
                    .collect();
                assert_eq!(ours.len(), 1, "{action} of {} in {}: {history:#?}", deadline.name, incident.id);
                in_time(one.at, ours[0].at, if deadline.name == "due date" { 900 } else { 300 });
                *seen.entry(action).or_default() += 1;
            }
            let next = deadline.next(&incident.milestones, incident.state());
            assert!(next.is_none_or(|(_, at)| at > world.partner.clock.now()), "{next:?} of {} was left", incident.id);
        }
        // Each close belongs to one time of being resolved.
        let mut resolved: Vec<Timestamp> = incident
            .milestones
            .iter()
            .filter(|one| one.state() == Some(CaseState::Resolved))
            .map(|one| one.at.checked_add(SignedDuration::from_hours(5 * 24)).unwrap())
            .collect();
        for close in history.iter().filter(|line| line.action == "auto_closed") {
            let due = resolved.iter().rposition(|due| *due <= close.at).expect("long enough");
            in_time(resolved.swap_remove(due), close.at, 3600);
            *seen.entry("auto_closed").or_default() += 1;
        }
        assert_ne!(incident.state(), CaseState::Resolved, "each was closed in the end: {}", incident.id);
    }
    println!("{seen:?}");
    assert!(seen["deadline_warned"] > 500 && seen["deadline_missed"] > 200 && seen["auto_closed"] > 300, "{seen:?}");
}

/// What was promised, by whichever site, falls on the same second at both.
fn agree(here: &Incident, there: &Incident) {
    let instants = |incident: &Incident| -> BTreeMap<_, Instants> {
        let of = |one: &casebridge::case::Deadline| one.instants(&incident.milestones, incident.state());
        incident.deadlines.iter().map(|one| (one.id, of(one))).collect()
    };
    assert_eq!(instants(here), instants(there), "{here:#?}\n{there:#?}");
    assert_eq!(here.deadlines.len(), 4, "three of the partner's, one of north's");
}

/// A job that runs in so many seconds' steps noted it with its next run, or with its first after the site was down, or the way
/// was cut and a move became known late.
fn in_time(due: Timestamp, noted: Timestamp, step: i64) {
    let late = noted.as_second() - due.as_second();
    let day = |at: Timestamp| (at.as_second() - START).div_euclid(DAY);
    let outage =
        [DOWN, CUT].iter().any(|days| days.contains(&day(due)) || days.start <= day(noted) && day(due) < days.end);
    assert!(late >= 0 && (late <= step || outage), "due {due}, noted {noted}");
}

#[test]
fn the_story_has_everything_in_it() {
    let story = story(&mut Dice(2026));
    let steps: Vec<Step> = story.values().flatten().map(|(_, step)| *step).collect();
    assert_eq!(steps.iter().filter(|step| matches!(step, Step::Arrives)).count(), CASES as usize);
    assert!(steps.iter().filter(|step| matches!(step, Step::North(_))).count() > 300);
    assert!(story.keys().any(|second| DOWN.contains(&((second - START) / DAY))));
}
