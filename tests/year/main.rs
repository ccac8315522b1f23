//! A year of a thousand cases (M-06 to M-10): two engines over real stores, clocks that are moved by hand and of which one is an
//! hour wrong, both changes of daylight saving, holidays, a partner that is down for days and a way that is cut for days.
//! Each warning, violation and close happens once, at its instant and in order, and both sites know the same deadlines.

mod line;
mod site;

use std::collections::{BTreeMap, BTreeSet};

use casebridge::case::{CaseState, Fact, Incident, Instants, Passed};
use casebridge::config::{Cron, defaults};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use site::Site;

/// So many stories, each of so many cases.
const STORIES: usize = 50;
const EACH: usize = 20;
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

/// What people do to the cases of a story, and where.
#[derive(Debug, Clone, Copy)]
enum Step {
    Arrive,
    Partner(CaseState),
    North(CaseState),
}

/// What happens to the cases of each story, by second.
fn stories(dice: &mut Dice) -> BTreeMap<i64, Vec<(usize, Step)>> {
    use CaseState::*;
    let mut stories: BTreeMap<i64, Vec<(usize, Step)>> = BTreeMap::new();
    // People come to their desks twice a day; that is also when the cases come.
    let desk = |second: i64| second.div_euclid(DAY / 2) * (DAY / 2) + DAY / 4 + 1;
    for story in 0..STORIES {
        let mut now = desk(START + dice.roll(ARRIVALS as u64) as i64 * DAY);
        let mut steps = vec![Step::Arrive];
        for _ in 0..dice.roll(4) {
            steps.extend(match dice.roll(5) {
                0 => vec![Step::Partner(InProcess)],
                1 => vec![Step::Partner(InputRequested), Step::North(InProcess)],
                2 => vec![Step::Partner(OnHold), Step::Partner(InProcess)],
                3 => vec![Step::North(OnHold), Step::North(Opened)],
                _ => vec![Step::Partner(Resolved), Step::Partner(Reopened)],
            });
        }
        match dice.roll(6) {
            0 => steps.push(Step::North(Canceled)),
            1 => {}
            _ => steps.push(Step::Partner(Resolved)),
        }
        for step in steps {
            stories.entry(now).or_default().push((story, step));
            now = desk(now + DAY / 2 + dice.roll(6) as i64 * DAY);
        }
    }
    stories
}

struct World {
    north: Site,
    partner: Site,
    now: i64,
    /// The next runs of the partner's jobs that have something to do, as the rules say.
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
        if self.is_down() || self.is_cut() {
            return self.north.detect().await;
        }
        self.north.talk().await;
        self.partner.time().await;
        self.partner.detect().await;
        self.north.talk().await;
    }

    async fn step(&mut self, story: usize, step: Step) {
        match step {
            Step::Arrive => self.north.deposit(story, EACH).await,
            Step::Partner(state) => self.partner.people(story, state).await,
            Step::North(state) => self.north.people(story, state).await,
        }
    }

    /// The runs that have something to do by the rules, from now on: each job's own instant, at its next tick.
    async fn plan(&mut self, crons: &[Cron; 3]) {
        let now = at(self.now);
        for (next, cron) in self.partner.next().await.into_iter().zip(crons) {
            let Some(next) = next else { continue };
            let from = if next > now { next.checked_sub(SignedDuration::from_secs(1)).unwrap() } else { now };
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
    let mut story = stories(&mut Dice(2026));
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
            world.partner.is_done().await;
            world.settle().await;
            world.plan(&crons).await;
        }
        if world.wakes.remove(&next) {
            world.partner.run_jobs(next).await;
            world.plan(&crons).await;
        }
        let Some(steps) = story.remove(&next) else { continue };
        for (story, step) in steps {
            world.step(story, step).await;
        }
        world.settle().await;
        world.plan(&crons).await;
    }
    world.settle().await;
    check(&world).await;
}

async fn check(world: &World) {
    let (here, there) = (world.partner.all().await, world.north.all().await);
    assert_eq!((here.len(), there.len()), (STORIES * EACH, STORIES * EACH));
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
fn the_stories_have_everything_in_them() {
    let stories = stories(&mut Dice(2026));
    let steps: Vec<Step> = stories.values().flatten().map(|(_, step)| *step).collect();
    assert_eq!(steps.iter().filter(|step| matches!(step, Step::Arrive)).count(), STORIES);
    assert!(steps.iter().filter(|step| matches!(step, Step::North(_))).count() > 15);
    for outage in [DOWN, CUT] {
        assert!(stories.keys().any(|second| outage.contains(&((second - START) / DAY))));
    }
}
