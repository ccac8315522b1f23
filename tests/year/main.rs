//! A year of a thousand cases (M-06 to M-10): two engines over real stores, clocks that are moved by hand and of which one is an
//! hour wrong, both changes of daylight saving, holidays, a partner that is down for days and a way that is cut for days.
//! Each warning, violation and close of either site happens once, at its instant, in time and in order, and both sites know the
//! same deadlines while the clocks run and at the end. What an outage kept from a job is made up for by the scheduler's own
//! rule, from the last run that the state remembers.
//!
//! It takes about 75 s of processor time without optimisation: the cost is that of some thousand runs of the jobs and of as
//! many rounds of messages, and not of the year.

mod check;
mod line;
mod site;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use casebridge::case::CaseState;
use casebridge::config::{Cron, defaults};
use jiff::Timestamp;
use site::Site;

/// So many stories, each of so many cases.
const STORIES: usize = 50;
const EACH: usize = 20;
const START: i64 = 1_790_812_800; // 2026-10-01T00:00:00Z
const DAY: i64 = 86_400;
const DAYS: i64 = 366;
/// The last days are for what is still to come.
const ARRIVALS: i64 = 290;
/// When the partner is down, and the way to it is cut: neither ends when a schedule fires.
const DOWN: Range<i64> = START + 60 * DAY..START + 63 * DAY + 437;
const CUT: Range<i64> = START + 170 * DAY..START + 175 * DAY + 1237;
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
    /// When an outage begins or ends.
    turns: BTreeSet<i64>,
    /// Deadlines that were compared while they came nearer.
    compared: usize,
}

impl World {
    async fn new() -> Self {
        let partner = Site::partner().await;
        let north = Site::north(&partner).await;
        let turns = [DOWN, CUT].iter().flat_map(|outage| [outage.start, outage.end]).collect();
        Self { north, partner, now: START, turns, compared: 0 }
    }

    fn is_down(&self) -> bool {
        DOWN.contains(&self.now)
    }

    fn is_cut(&self) -> bool {
        CUT.contains(&self.now)
    }

    /// Moves both clocks.
    fn go(&mut self, second: i64) {
        let by = 1000 * (second - self.now);
        self.north.clock.advance(by);
        self.partner.clock.advance(by);
        self.now = second;
    }

    /// An outage begins or ends.
    async fn turn(&mut self, crons: &[Cron; 3]) {
        self.partner.line.cut(self.is_cut());
        match (self.is_down(), self.partner.engine.is_some()) {
            (true, true) => self.partner.stop().await,
            (false, false) => {
                self.partner.start().await;
                assert_eq!(self.partner.catch_up(crons).await, crons.len(), "each job missed something");
                assert_eq!(self.partner.catch_up(crons).await, 0, "and makes up for it once");
                self.partner.is_done().await;
            }
            _ => {}
        }
        self.settle().await;
        self.compare().await;
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

    /// The jobs of each site that has something to do now.
    async fn run_jobs(&mut self, crons: &[Cron; 3]) {
        for site in [&mut self.north, &mut self.partner] {
            if site.wakes.remove(&self.now) {
                site.run_jobs(crons).await;
            }
        }
    }

    /// While the clocks run: every case that is open is the same at both sites, and so are its deadlines.
    async fn compare(&mut self) {
        if self.is_down() || self.is_cut() {
            return;
        }
        let (here, there) = (self.partner.open().await, self.north.open().await);
        self.compared += check::agree(&here, &there);
    }
}

/// The defaults, in the order of [`site::JOBS`].
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
        // What comes first: a person, a job with something to do, or an outage that begins or ends.
        let wakes = [world.partner.wakes.first(), world.north.wakes.first()];
        let events = [story.keys().next(), world.turns.first()].into_iter().chain(wakes);
        let Some(next) = events.flatten().min().copied().filter(|next| *next <= START + DAYS * DAY) else {
            break;
        };
        world.go(next);
        if world.turns.remove(&next) {
            world.turn(&crons).await;
        }
        world.run_jobs(&crons).await;
        let (day, second) = ((next - START) / DAY, (next - START) % DAY);
        if second == 0 {
            world.partner.is_done().await;
            world.north.is_done().await;
            world.settle().await;
            if day % 30 == 0 {
                world.compare().await;
            }
        }
        if let Some(steps) = story.remove(&next) {
            for (story, step) in steps {
                world.step(story, step).await;
            }
            world.settle().await;
        }
        world.partner.plan(&crons).await;
        world.north.plan(&crons).await;
    }
    world.settle().await;
    check::at_the_end(&world).await;
}

#[test]
fn the_stories_have_everything_in_them() {
    let stories = stories(&mut Dice(2026));
    let steps: Vec<Step> = stories.values().flatten().map(|(_, step)| *step).collect();
    assert_eq!(steps.iter().filter(|step| matches!(step, Step::Arrive)).count(), STORIES);
    assert!(steps.iter().filter(|step| matches!(step, Step::North(_))).count() > 15);
    for outage in [DOWN, CUT] {
        assert!(stories.keys().any(|second| outage.contains(second)));
    }
}
