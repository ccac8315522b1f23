use uuid::Uuid;

use super::*;
use crate::case::milestone::Passed;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// The night in which clocks in Paris go from 2 to 3 (2027-03-28, 01:00 UTC), and one in which they go back (2026-10-25).
const NIGHTS: [&str; 3] = ["2027-03-27T18:00:00Z", "2026-10-24T18:00:00Z", "2026-11-22T12:00:00Z"];

fn pace(reminders: usize) -> Pace {
    let day = Duration::from_secs(86_400);
    Pace { reminders: vec![day; reminders], notice: day, close: day }
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at + SignedDuration::from_secs(seconds)
}

/// A case, its people's mail server and the daemon, over a clock that is moved by hand.
struct Story {
    now: Timestamp,
    asked: Asked,
    pace: Pace,
    milestones: Vec<Milestone>,
    /// When the mails of the last step were taken by the server; none while they wait.
    out: Option<Timestamp>,
    /// Each step, with the seconds since the story began.
    steps: Vec<(Step, i64)>,
    begun: Timestamp,
}

impl Story {
    fn begin(asked: Asked, at: &str) -> Self {
        let now: Timestamp = at.parse().unwrap();
        let reminders = if asked == Asked::Input { 3 } else { 1 };
        let mut story = Self {
            now,
            asked,
            pace: pace(reminders),
            milestones: Vec::new(),
            out: Some(now),
            steps: Vec::new(),
            begun: now,
        };
        story.happens(Fact::State(CaseState::InProcess));
        story.happens(Fact::State(story.waits()));
        story
    }

    fn waits(&self) -> CaseState {
        if self.asked == Asked::Input { CaseState::InputRequested } else { CaseState::Resolved }
    }

    fn happens(&mut self, fact: Fact) {
        let n = self.milestones.len() as u32 + 1;
        let id = Uuid::from_u128(u128::from(1000 - n));
        self.milestones.push(Milestone { n, position: i64::from(n), ..Milestone::new(id, self.now, fact) });
    }

    fn state(&self) -> CaseState {
        self.milestones.iter().rev().find_map(Milestone::state).unwrap()
    }

    /// What the daemon does when it looks. Says whether it did something.
    fn look(&mut self) -> bool {
        let Some(round) = Round::of(self.state(), &self.milestones) else { return false };
        let delivery = self.out.map_or(Delivery::Waiting, Delivery::Out);
        match round.next(&self.pace, delivery, true) {
            Next::At(step, at) if at <= self.now => {
                self.steps.push((step, self.now.duration_since(self.begun).as_secs()));
                match step {
                    Step::Close => self.happens(Fact::State(CaseState::Canceled)),
                    step => {
                        self.happens(Fact::Notice(step.name(self.asked)));
                        self.out = Some(self.now);
                    }
                }
                true
            }
            _ => false,
        }
    }

    /// Goes on to this many seconds since the beginning, and looks each minute.
    fn runs_until(&mut self, seconds: i64) {
        while self.now < later(self.begun, seconds) {
            self.now = later(self.now, 60);
            while self.look() {}
        }
    }
}

const INPUT: [(Step, i64); 5] = [
    (Step::Reminder(1), DAY),
    (Step::Reminder(2), 2 * DAY),
    (Step::Reminder(3), 3 * DAY),
    (Step::Notice, 4 * DAY),
    (Step::Close, 5 * DAY),
];
const CLOSING: [(Step, i64); 3] = [(Step::Reminder(1), DAY), (Step::Notice, 2 * DAY), (Step::Close, 3 * DAY)];

#[test]
fn r_05_three_reminders_the_notice_and_the_end_each_at_its_instant() {
    for night in NIGHTS {
        let mut story = Story::begin(Asked::Input, night);
        story.runs_until(10 * DAY);
        assert_eq!(story.steps, INPUT, "{night}");
    }
}

#[test]
fn r_07_a_reminder_the_notice_and_the_end_each_at_its_instant() {
    for night in NIGHTS {
        let mut story = Story::begin(Asked::Closing, night);
        story.runs_until(10 * DAY);
        assert_eq!(story.steps, CLOSING, "{night}");
    }
}

/// The answer comes at each possible point: before the first step, between any two, and in the last minute.
#[test]
fn r_05_an_answer_at_any_point_ends_the_round_and_a_new_request_begins_anew() {
    for (asked, steps) in [(Asked::Input, INPUT.as_slice()), (Asked::Closing, CLOSING.as_slice())] {
        for (taken, (_, next)) in steps.iter().enumerate() {
            for answer in [next - DAY + 60, next - 60] {
                let mut story = Story::begin(asked, NIGHTS[0]);
                story.runs_until(answer);
                let state = if asked == Asked::Input { CaseState::InProcess } else { CaseState::Reopened };
                story.happens(Fact::State(state));
                story.runs_until(answer + 20 * DAY);
                assert_eq!(story.steps, steps[..taken], "{asked:?}, answered at {answer}");
                story.happens(Fact::State(story.waits()));
                story.out = Some(story.now);
                story.runs_until(answer + 40 * DAY);
                let again: Vec<_> = steps.iter().map(|(step, at)| (*step, at + answer + 20 * DAY)).collect();
                assert_eq!(story.steps[taken..], again, "a new round");
            }
        }
    }
}

#[test]
fn r_05_a_system_event_is_no_answer() {
    let mut story = Story::begin(Asked::Input, NIGHTS[2]);
    for hours in (1..130).step_by(5) {
        story.runs_until(hours * HOUR);
        if story.state() == CaseState::InputRequested {
            story.happens(Fact::Deadline { deadline: Uuid::nil(), passed: Passed::Warned });
            story.happens(Fact::Named("Technician on site".into()));
            story.happens(Fact::Notice("hello".into()));
        }
    }
    assert_eq!(story.steps, INPUT);
}

/// Down for two days, from many an hour on: every step is taken, one at a time, and the notice is out for a day before the end.
#[test]
fn r_07_after_two_days_of_downtime_there_is_one_mail_and_no_burst() {
    for (asked, expected) in [(Asked::Input, INPUT.as_slice()), (Asked::Closing, CLOSING.as_slice())] {
        for hours in (0..6 * 24).step_by(5) {
            let mut story = Story::begin(asked, NIGHTS[1]);
            story.runs_until(hours * HOUR);
            story.now = later(story.now, 2 * DAY);
            story.runs_until(20 * DAY);
            let steps: Vec<Step> = story.steps.iter().map(|(step, _)| *step).collect();
            assert_eq!(steps, expected.iter().map(|(step, _)| *step).collect::<Vec<_>>());
            for pair in story.steps.windows(2) {
                assert!(pair[1].1 - pair[0].1 >= DAY, "down at {hours} h: {:?}", story.steps);
            }
        }
    }
}

#[test]
fn r_07_no_case_is_closed_before_its_notice_was_taken_by_the_mail_server() {
    let mut story = Story::begin(Asked::Closing, NIGHTS[2]);
    story.runs_until(2 * DAY);
    assert_eq!(story.steps, CLOSING[..2]);
    story.out = None;
    story.runs_until(9 * DAY);
    assert_eq!(story.steps, CLOSING[..2], "it waits with the mail");
    story.out = Some(story.now);
    story.runs_until(20 * DAY);
    assert_eq!(story.steps[2..], [(Step::Close, 10 * DAY)]);
}

#[test]
fn r_09_where_nobody_can_be_reached_nobody_is_reminded_and_nothing_is_closed() {
    let story = Story::begin(Asked::Input, NIGHTS[2]);
    let round = Round::of(story.state(), &story.milestones).unwrap();
    assert_eq!(round.next(&story.pace, Delivery::Refused, true), Next::Wait);
    assert_eq!(round.next(&story.pace, Delivery::Waiting, true), Next::Wait);
}

#[test]
fn r_05_a_step_that_the_other_site_took_is_not_taken_here_and_its_notice_closes_there() {
    let mut story = Story::begin(Asked::Input, NIGHTS[2]);
    story.now = later(story.begun, DAY);
    story.happens(Fact::Notice("input-reminder-1".into()));
    let next = |story: &Story, in_hand| {
        let round = Round::of(story.state(), &story.milestones).unwrap();
        round.next(&story.pace, Delivery::None, in_hand)
    };
    assert_eq!(next(&story, true), Next::At(Step::Reminder(2), later(story.begun, 2 * DAY)));
    let Next::At(_, at) = next(&story, false) else { panic!("a step") };
    assert_eq!(at, later(story.begun, 2 * DAY) + GRACE, "whoever has it in hand comes first");
    story.happens(Fact::Notice("input-notice".into()));
    assert_eq!(next(&story, true), Next::Wait);
}

#[test]
fn r_05_a_site_with_people_of_its_own_is_waited_for_until_it_has_asked_for_the_end() {
    let mut story = Story::begin(Asked::Input, NIGHTS[2]);
    let round = |story: &Story| {
        let round = Round::of(story.state(), &story.milestones).unwrap();
        (round.step_elsewhere(), round.owes_a_word(), round.awaits_a_word())
    };
    let hears = |story: &mut Story, name: &str, origin: Option<&str>| {
        story.happens(Fact::Notice(name.into()));
        story.milestones.last_mut().unwrap().origin = origin.map(|alias| alias.parse().unwrap());
        round(story)
    };
    let (north, south) = (Some("north"), Some("south"));
    assert_eq!(hears(&mut story, "input-reminder-1", north), (Some(Step::Reminder(1)), false, false));
    assert_eq!(hears(&mut story, "input-held", None), (Some(Step::Reminder(1)), true, false));
    assert_eq!(hears(&mut story, "input-notice", None), (None, true, false), "its own people have its own");
    assert_eq!(hears(&mut story, "input-close", None), (None, false, false));
    assert_eq!(hears(&mut story, "input-held", north), (None, false, true));
    assert_eq!(hears(&mut story, "input-close", south), (None, false, true), "it speaks for nobody else");
    assert_eq!(hears(&mut story, "input-held", north), (None, false, true));
    assert_eq!(hears(&mut story, "input-close", north), (None, false, true), "two sites behind one peer");
    assert_eq!(hears(&mut story, "input-close", north), (None, false, false));
}

#[test]
fn r_07_an_answer_that_moves_nothing_ends_the_round_at_either_site() {
    let mut story = Story::begin(Asked::Closing, NIGHTS[2]);
    story.runs_until(2 * DAY);
    story.happens(Fact::Notice(ANSWERED.into()));
    story.milestones.last_mut().unwrap().origin = Some("north".parse().unwrap());
    story.runs_until(20 * DAY);
    assert_eq!(story.steps, CLOSING[..2]);
    assert!(Round::of(story.state(), &story.milestones).unwrap().is_answered);
    story.happens(Fact::State(CaseState::Reopened));
    story.happens(Fact::State(CaseState::Resolved));
    assert!(!Round::of(story.state(), &story.milestones).unwrap().is_answered, "it is asked anew");
}

#[test]
fn r_05_a_cancel_is_no_end_for_want_of_an_answer() {
    let fact =
        |n: u32, fact: Fact| Milestone { n, ..Milestone::new(Uuid::from_u128(n.into()), Timestamp::UNIX_EPOCH, fact) };
    let state = |n, state| fact(n, Fact::State(state));
    let notice = |n| fact(n, Fact::Notice(Step::Notice.name(Asked::Input)));
    let end = state(9, CaseState::Canceled);
    let asked = state(2, CaseState::InputRequested);
    for (before, unanswered) in [
        (vec![state(1, CaseState::InProcess)], false),
        (vec![asked.clone()], false),
        (vec![asked.clone(), notice(3)], true),
        (vec![notice(3), fact(4, Fact::Notice("input-close".into())), asked.clone()], true),
        (vec![asked.clone(), notice(3), state(4, CaseState::InProcess)], false),
        (vec![asked.clone(), notice(10)], false),
        (vec![asked, fact(3, Fact::Notice(Step::Notice.name(Asked::Closing)))], false),
    ] {
        let all: Vec<Milestone> = before.into_iter().chain([end.clone()]).collect();
        assert_eq!(ended_unanswered(&all, &end), unanswered, "{all:?}");
    }
}
