//! When people are reminded, warned, and a case is closed because nobody answered. Pure: from what both
//! sites know of a case, and what became of the last mail, to the next step and its instant.
//!
//! A step counts from the instant at which the one before it was out, as the mail server took it. So what was late, by a
//! daemon or a mail server that was down, is done once and moves the rest; nobody gets two steps at once, and no case is
//! closed before its notice has been out for its full time.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::id::Alias;
use super::milestone::{Fact, Milestone};
use super::state::CaseState;

/// What people are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// An answer, by a request for input.
    Input,
    /// To confirm that the case may be closed.
    Closing,
}

impl Asked {
    fn as_str(self) -> &'static str {
        match self {
            Asked::Input => "input",
            Asked::Closing => "closing",
        }
    }
}

/// What is done while nobody answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Counted from 1.
    Reminder(usize),
    /// That the case will be closed.
    Notice,
    /// As a milestone: the site that has the case in hand is asked to close it.
    Close,
}

/// The time from each step to the next: to each reminder, to the notice, and to the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    pub reminders: Vec<Duration>,
    pub notice: Duration,
    pub close: Duration,
}

/// What became of the mails of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// None were written here: the step was taken before anybody was to be told.
    None,
    /// The mail server has not taken all of them yet, nor refused them for good.
    Waiting,
    /// The last one was taken then.
    Out(Timestamp),
    /// All were refused: nobody can be reached.
    Refused,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    At(Step, Timestamp),
    /// Nothing, until something changes.
    Wait,
}

/// One time of asking: the case came into a state that waits for people, and what was done since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round<'m> {
    pub asked: Asked,
    /// With it the state began.
    pub begun: &'m Milestone,
    /// What came into the same state right before it, where two sites asked at once: people may have been told under that.
    pub asked_with: Vec<&'m Milestone>,
    /// The step that was taken last, by whichever site.
    pub last: Option<(Step, &'m Milestone)>,
    /// Somebody answered without another state: nothing is asked any more, and a person decides what the answer means.
    pub is_answered: bool,
    /// An answer came that a site could not take: nothing is asked any more before a person has read it.
    pub unread: Option<&'m Milestone>,
    /// Sites that have not the case in hand, and people in it: the case is not closed before each of them has asked for it.
    held: Vec<&'m Milestone>,
    /// Askings to close it.
    closes: Vec<&'m Milestone>,
}

/// The notice by which both sites know that the people of a resolved case have answered.
pub const ANSWERED: &str = "closing-answered";

/// So much later comes a step at a site that has not the case in hand: the other site's own would have arrived by then.
pub const GRACE: SignedDuration = SignedDuration::from_mins(15);

impl<'m> Round<'m> {
    /// The round that a case is in. Only its states and the steps that were taken count: a warning of a deadline, or what
    /// people gave a name, is no answer.
    pub fn of(state: CaseState, milestones: &'m [Milestone]) -> Option<Self> {
        let asked = match state {
            CaseState::InputRequested => Asked::Input,
            CaseState::Resolved => Asked::Closing,
            _ => return None,
        };
        let rank = |one: &Milestone| (one.n, one.id);
        let states = milestones.iter().filter(|one| one.state() == Some(state));
        let begun = states.max_by_key(|one| rank(one))?;
        let mut before: Vec<&Milestone> =
            milestones.iter().filter(|one| one.state().is_some() && rank(one) < rank(begun)).collect();
        before.sort_by_key(|one| std::cmp::Reverse(rank(one)));
        let asked_with = before.into_iter().take_while(|one| one.state() == Some(state)).collect();
        let since = milestones.iter().filter(|one| rank(one) > rank(begun));
        let answers = |one: &Milestone| asked == Asked::Closing && one.fact == Fact::Notice(ANSWERED.into());
        let is_answered = since.clone().any(answers);
        let unread = since.clone().find(|one| one.fact == Fact::Notice(unread(asked)));
        let named = |name: String| since.clone().filter(move |one| one.fact == Fact::Notice(name.clone())).collect();
        let (held, closes) = (named(held(asked)), named(Step::Close.name(asked)));
        let steps = since.filter_map(|one| match &one.fact {
            Fact::Notice(name) => Some((Step::parse(asked, name)?, one)),
            _ => None,
        });
        let last = steps.max_by_key(|(step, one)| (step.place(), std::cmp::Reverse(one.at)));
        Some(Self { asked, begun, asked_with, last, is_answered, unread, held, closes })
    }

    /// Whether an answer came, and only a person goes on.
    pub fn is_over(&self) -> bool {
        self.is_answered || self.unread.is_some()
    }

    /// Whether the step that was taken last was taken here; the asking itself is told at every site.
    pub fn is_own(&self) -> bool {
        self.last.is_none_or(|(_, milestone)| milestone.origin.is_none())
    }

    /// Whether this site has said that it has people in the case.
    pub fn is_held_here(&self) -> bool {
        self.held.iter().any(|one| one.origin.is_none())
    }

    /// Whether it has said so, and not yet that they had their notice for its full time.
    pub fn owes_a_word(&self) -> bool {
        self.is_held_here() && !self.closes.iter().any(|one| one.origin.is_none())
    }

    /// Whether another site owes its word. One peer may speak for several sites behind it.
    pub fn awaits_a_word(&self) -> bool {
        let of = |all: &[&Milestone], origin: &Option<Alias>| all.iter().filter(|one| one.origin == *origin).count();
        let mut theirs = self.held.iter().filter(|one| one.origin.is_some());
        theirs.any(|one| of(&self.held, &one.origin) > of(&self.closes, &one.origin))
    }

    /// A reminder or notice of another site. Its own people are not this site's, who are told the same.
    pub fn step_elsewhere(&self) -> Option<Step> {
        let (step, milestone) = self.last?;
        (milestone.origin.is_some() && step != Step::Close).then_some(step)
    }

    /// Each present person is to have a mail that was written under one of these: what is asked, and with the last notice
    /// nothing less than that.
    pub fn reasons(&self) -> Vec<String> {
        let requests = self.asked_with.iter().copied().chain([self.begun]).map(reason);
        match self.last {
            Some((step @ Step::Reminder(_), _)) => requests.chain([self.reason_of(step)]).collect(),
            Some((Step::Notice, _)) => vec![self.reason_of(Step::Notice)],
            Some((Step::Close, _)) | None => requests.collect(),
        }
    }

    /// Under which the mails of a step are written, once for the round.
    pub fn reason_of(&self, step: Step) -> String {
        format!("{} {}", reason(self.begun), step.name(self.asked))
    }

    /// What comes next, where `delivery` is what became of the last step's mails. `in_hand` says whether this site has the
    /// case in hand.
    pub fn next(&self, pace: &Pace, delivery: Delivery, in_hand: bool) -> Next {
        if self.is_over() {
            return Next::Wait;
        }
        let (step, after) = match self.last {
            None => match pace.reminders.first() {
                Some(first) => (Step::Reminder(1), *first),
                None => (Step::Notice, pace.notice),
            },
            Some((Step::Reminder(number), _)) => match pace.reminders.get(number) {
                Some(next) => (Step::Reminder(number + 1), *next),
                None => (Step::Notice, pace.notice),
            },
            Some((Step::Notice, _)) => (Step::Close, pace.close),
            Some((Step::Close, _)) => return Next::Wait,
        };
        let from = match (delivery, self.last) {
            (Delivery::Out(at), _) => at,
            (Delivery::None, None) => self.begun.at,
            // Nobody has had it.
            (Delivery::None, Some((Step::Notice, _))) => return Next::Wait,
            (Delivery::None, Some((_, milestone))) => milestone.at,
            (Delivery::Waiting | Delivery::Refused, _) => return Next::Wait,
        };
        // The notice names its time, and only the site that gave it counts on from there.
        let grace = if in_hand || step == Step::Close { SignedDuration::ZERO } else { GRACE };
        let after = SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX).saturating_add(grace);
        Next::At(step, from.checked_add(after).unwrap_or(Timestamp::MAX))
    }
}

/// As the milestone tells the site that has the case in hand that it has to wait.
pub fn held(asked: Asked) -> String {
    format!("{}-held", asked.as_str())
}

/// Whether a case ended because nobody answered: its people were asked, and had the notice that it will be closed. `end`
/// is the milestone of its end. A cancel has the same completion code.
pub fn ended_unanswered<'m>(milestones: impl IntoIterator<Item = &'m Milestone>, end: &Milestone) -> bool {
    let place = |one: &Milestone| (one.n, one.id);
    let mut before: Vec<&Milestone> = milestones.into_iter().filter(|one| place(one) < place(end)).collect();
    before.sort_by_key(|one| place(one));
    let notice = Fact::Notice(Step::Notice.name(Asked::Input));
    before.iter().fold(false, |noticed, one| match one.state() {
        Some(_) => false,
        None => noticed || one.fact == notice,
    })
}

/// As the milestone tells that an answer came which nobody has read.
pub fn unread(asked: Asked) -> String {
    format!("{}-unread", asked.as_str())
}

/// Under which the mails of a state are written.
pub fn reason(state: &Milestone) -> String {
    state.id.simple().to_string()
}

impl Step {
    /// As the milestone tells it to the other site.
    pub fn name(self, asked: Asked) -> String {
        let about = asked.as_str();
        match self {
            Step::Reminder(number) => format!("{about}-reminder-{number}"),
            Step::Notice => format!("{about}-notice"),
            Step::Close => format!("{about}-close"),
        }
    }

    fn parse(asked: Asked, name: &str) -> Option<Self> {
        let number = name.rsplit('-').next().and_then(|number| number.parse().ok());
        let steps = [Some(Step::Notice), Some(Step::Close), number.map(Step::Reminder)];
        steps.into_iter().flatten().find(|step| step.name(asked) == name)
    }

    fn place(self) -> usize {
        match self {
            Step::Reminder(number) => number,
            Step::Notice => usize::MAX - 1,
            Step::Close => usize::MAX,
        }
    }
}

#[cfg(test)]
mod tests;
