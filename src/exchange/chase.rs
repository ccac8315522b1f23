//! Reminders, the notice, and the end of a case whose people do not answer, by the rules of
//! [`crate::case::reminder`]. Each step is a milestone, written together with its mails: the other site sees that it was
//! taken, and does not take it too. The site whose people they are reminds them.

use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};
use uuid::Uuid;

use super::stand_in::TakenOver;
use super::{Decision, Engine, EngineError};
use crate::case::reminder::{Asked, Delivery, Next, Pace, Round, Step};
use crate::case::{
    Action, Comment, CompletionCode, Edit, Fact, Holder, Incident, IncidentId, Milestone, Notice, reminder,
};
use crate::protocol::operator::WorkRequest;
use crate::store::mail::{About, Audience, Deliveries, NewsTaken, StepTaken, Telling};
use crate::store::{PeopleTold, Write, Writer, Written};

/// Cases looked after in one go, and goes in one run.
const PAGE: usize = 100;
const ROUNDS: usize = 100;
/// A case whose people cannot be told for now is looked at again then.
const WITHOUT_MAIL: SignedDuration = SignedDuration::from_hours(1);
/// The solution of a case whose people did not say what was asked of them.
const UNANSWERED: &str = "Closed, since nobody answered";
const UNREACHABLE: &str = "nobody of its people can be reached by mail; see `casebridge mails --state refused`";
const UNHEARD: &str =
    "its people did not answer; the other site has people in it too, and has not said that theirs was told in vain";
const UNREAD: &str =
    "an answer by mail could not be taken; read it in quarantine/ of the mail inbox, and go on with the case";
const UNREACHED: &str =
    "none of the mails to its customer, or to its integrator, was taken; see `casebridge mails --state refused`";
/// Who is said to have done it.
const DAEMON: &str = "casebridge";

impl Engine {
    /// Takes every step that is due. Returns how many were taken.
    pub async fn remind(&self) -> Result<usize, EngineError> {
        let mut steps = 0;
        for _ in 0..ROUNDS {
            self.tell_parties().await?;
            let due = self.store().due_reminders(self.now(), PAGE).await?;
            if due.is_empty() {
                break;
            }
            for id in due {
                steps += usize::from(self.look_after(id).await?);
            }
        }
        if steps > 0 {
            self.0.to_mail.notify_one();
        }
        Ok(steps)
    }

    /// Looks after one case. Says whether a step was taken.
    async fn look_after(&self, id: IncidentId) -> Result<bool, EngineError> {
        let Some(incident) = self.store().load(&[id]).await?.incidents.pop() else {
            return self.look_later(id, None).await;
        };
        let Some(round) = Round::of(incident.state(), &incident.milestones) else {
            return self.look_later(id, None).await;
        };
        if round.is_answered {
            return self.leave(id, "its customer answered after it was resolved; close it, or reopen it").await;
        }
        if let Some(milestone) = round.unread {
            return match &milestone.origin {
                None => self.leave(id, UNREAD).await,
                Some(peer) => {
                    self.leave(id, &format!("an answer by mail could not be taken at {peer}; it is read there")).await
                }
            };
        }
        let is_asked = matches!(round.last, Some((Step::Close, _)));
        let people = self.store().parties(id).await?;
        let nobody = people.iter().all(|one| one.told_by.is_some());
        let mail = self.settings().mail.clone().filter(|_| self.post().is_some());
        if is_asked {
            let pace = mail.filter(|_| !nobody).map(|mail| mail.reminders.pace(round.asked).clone());
            return self.close_as_asked(&incident, &round, pace).await;
        }
        let pace_here = mail.as_ref().map(|mail| mail.reminders.pace(round.asked));
        let late = match pace_here {
            Some(pace) => match self.take_over(&incident, &round, &people, pace).await? {
                TakenOver::Done => return Ok(true),
                TakenOver::Later(at) => Some(at),
                TakenOver::Nobody => None,
            },
            None => None,
        };
        let by = |at: Option<Timestamp>| at.into_iter().chain(late).min();
        if nobody {
            // Whoever had to be waited for is gone.
            return match round.owes_a_word() && round.step_elsewhere() == Some(Step::Notice) {
                true => self.ask_to_close(&incident, round.asked, Some(PeopleTold::default())).await,
                false => self.look_later(id, by(None)).await,
            };
        }
        let Some(mail) = mail else {
            let later = self.now().checked_add(WITHOUT_MAIL).unwrap_or(Timestamp::MAX);
            return self.look_later(id, Some(later)).await;
        };
        if let Some(step) = round.step_elsewhere() {
            let told = self.store().deliveries(id, &[round.reason_of(step)]).await?;
            if told.sent + told.waiting + told.refused == 0 {
                let at = round.last.map_or(self.now(), |(_, milestone)| milestone.at);
                if let Some(again) = self.unheard(&incident, at) {
                    return self.look_later(id, by(Some(again))).await;
                }
                return self.take_step_along(&incident, &round, step, mail.reminders.pace(round.asked)).await;
            }
        }
        let counted = self.store().deliveries(id, &round.reasons()).await?;
        let pace = &counted.pace(mail.reminders.pace(round.asked));
        if counted.missing > 0 {
            // Somebody joined since: they are told what is asked, and the time begins anew when they have it.
            let tellings = vec![catching_up(&incident, &round, pace)];
            self.store().take_mail_news(NewsTaken { tellings, ..NewsTaken::default() }, self.now()).await?;
            return self.look_later(id, by(None)).await;
        }
        let delivery = delivery(counted);
        let next = round.next(pace, delivery, has_in_hand(&incident));
        if let Next::At(_, at) = next
            && at <= self.now()
            && let Some(again) = self.unheard(&incident, at)
        {
            return self.look_later(id, by(Some(again))).await;
        }
        match next {
            // Those of the other site had the notice; they are not kept waiting for addresses that are wrong.
            Next::Wait
                if delivery == Delivery::Refused
                    && round.owes_a_word()
                    && round.step_elsewhere() == Some(Step::Notice) =>
            {
                let people = PeopleTold { reasons: round.reasons(), deliveries: counted };
                self.ask_to_close(&incident, round.asked, Some(people)).await
            }
            Next::Wait if delivery == Delivery::Refused => self.leave(id, UNREACHABLE).await,
            Next::Wait => self.look_later(id, by(None)).await,
            Next::At(_, at) if at > self.now() => self.look_later(id, by(Some(at))).await,
            Next::At(Step::Close, at) if round.awaits_a_word() => {
                let span = SignedDuration::try_from(pace.close).unwrap_or(SignedDuration::MAX);
                let end = at.checked_add(span).unwrap_or(Timestamp::MAX);
                match end > self.now() {
                    true => self.look_later(id, by(Some(end))).await,
                    false => self.leave(id, UNHEARD).await,
                }
            }
            // As above, those of the other site had the notice.
            Next::At(Step::Close, _)
                if counted.unreached > 0 && !(round.owes_a_word() && round.step_elsewhere() == Some(Step::Notice)) =>
            {
                self.leave(id, UNREACHED).await
            }
            Next::At(Step::Close, _) => {
                let people = PeopleTold { reasons: round.reasons(), deliveries: counted };
                self.close_unanswered(&incident, &round, people).await
            }
            Next::At(step, _) => self.take_step(&incident, &round, step, pace).await,
        }
    }

    /// Every case that waits for its people is looked at anew: what it waits for may come sooner by the settings in force.
    pub async fn count_reminders_anew(&self) -> Result<(), EngineError> {
        if self.settings().mail.is_none() {
            return Ok(());
        }
        self.store().look_at_all(self.now()).await?;
        self.0.to_mail.notify_one();
        Ok(())
    }

    async fn look_later(&self, id: IncidentId, at: Option<Timestamp>) -> Result<bool, EngineError> {
        self.store().look_again(id, at).await?;
        Ok(false)
    }

    /// Nothing more happens by itself: it stands in the history, once, and in `status` until the case goes on.
    async fn leave(&self, id: IncidentId, reason: &str) -> Result<bool, EngineError> {
        let line = self.line_of_daemon(id, Action::Reminded, format!("left to a person: {reason}"));
        self.store().leave_to_people(id, reason, line).await?;
        Ok(false)
    }

    /// The people of this site are told what the other site tells its own.
    async fn take_step_along(
        &self,
        incident: &Incident,
        round: &Round<'_>,
        step: Step,
        pace: &Pace,
    ) -> Result<bool, EngineError> {
        let write = Write {
            edit: Edit { milestones: self.holding(incident, round), ..Edit::default() },
            history: vec![self.line_of_daemon(
                incident.id,
                Action::Reminded,
                format!("as the other site did: {}", step.name(round.asked)),
            )],
            ..Write::to(incident.id, Writer::Operator)
        };
        self.write_step(incident, write, Some(telling(incident, round, step, pace))).await
    }

    /// With the first step whose mails are written here, a site that has not the case in hand says that it has people in it.
    fn holding(&self, incident: &Incident, round: &Round<'_>) -> Vec<Milestone> {
        match has_in_hand(incident) || round.is_held_here() {
            true => Vec::new(),
            false => vec![Milestone::new(Uuid::now_v7(), self.now(), Fact::Notice(reminder::held(round.asked)))],
        }
    }

    async fn take_step(
        &self,
        incident: &Incident,
        round: &Round<'_>,
        step: Step,
        pace: &Pace,
    ) -> Result<bool, EngineError> {
        let (id, now, name) = (incident.id, self.now(), step.name(round.asked));
        let mut milestones = vec![Milestone::new(Uuid::now_v7(), now, Fact::Notice(name.clone()))];
        milestones.extend(self.holding(incident, round));
        let write = Write {
            edit: Edit { milestones, ..Edit::default() },
            history: vec![self.line_of_daemon(id, Action::Reminded, name.clone())],
            ..Write::to(id, Writer::Operator)
        };
        let taken = self.write_step(incident, write, Some(telling(incident, round, step, pace))).await?;
        if taken {
            info!(event = "reminded", incident = id.0, step = name, "its people are told");
        }
        Ok(taken)
    }

    /// Nobody answered, though everybody had the notice for its full time. Where this site may not close the case, the one
    /// that has it in hand is asked to, by a milestone.
    async fn close_unanswered(
        &self,
        incident: &Incident,
        round: &Round<'_>,
        people: PeopleTold,
    ) -> Result<bool, EngineError> {
        match self.closing_of(incident, round.asked) {
            Ok(edit) => self.close_by(incident, edit, Some(people), "closed, since nobody answered").await,
            Err(EngineError::Refused(_)) => self.ask_to_close(incident, round.asked, Some(people)).await,
            Err(other) => Err(other),
        }
    }

    async fn ask_to_close(
        &self,
        incident: &Incident,
        asked: Asked,
        people: Option<PeopleTold>,
    ) -> Result<bool, EngineError> {
        let fact = Fact::Notice(Step::Close.name(asked));
        let milestone = Milestone::new(Uuid::now_v7(), self.now(), fact);
        let detail = "nobody answered; the site that has the case in hand is asked to close it".to_owned();
        let write = Write {
            edit: Edit { milestones: vec![milestone], ..Edit::default() },
            history: vec![self.line_of_daemon(incident.id, Action::Reminded, detail)],
            people,
            ..Write::to(incident.id, Writer::Operator)
        };
        let taken = self.write_step(incident, write, None).await?;
        if taken {
            info!(event = "closing_asked_for", incident = incident.id.0, "the site that has it in hand closes it");
        }
        Ok(taken)
    }

    /// The closing was asked for, by a peer whose people did not answer, or here. Whoever of this site's people had no notice
    /// has it first, for its full time: `pace` is theirs.
    async fn close_as_asked(
        &self,
        incident: &Incident,
        round: &Round<'_>,
        pace: Option<Pace>,
    ) -> Result<bool, EngineError> {
        let reasons = vec![round.reason_of(Step::Notice)];
        let people = PeopleTold {
            deliveries: match pace {
                Some(_) => self.store().deliveries(incident.id, &reasons).await?,
                None => Deliveries::default(),
            },
            reasons,
        };
        let mut due = round.last.map_or(self.now(), |(_, milestone)| milestone.at);
        if let Some(pace) = &pace {
            if people.deliveries.missing > 0 {
                let tellings = vec![telling(incident, round, Step::Notice, pace)];
                self.store().take_mail_news(NewsTaken { tellings, ..NewsTaken::default() }, self.now()).await?;
                return self.look_later(incident.id, None).await;
            }
            match delivery(people.deliveries) {
                Delivery::Out(at) => {
                    let close = people.deliveries.pace(pace).close;
                    let span = SignedDuration::try_from(close).unwrap_or(SignedDuration::MAX);
                    let end = at.checked_add(span).unwrap_or(Timestamp::MAX);
                    if end > self.now() {
                        return self.look_later(incident.id, Some(end)).await;
                    }
                    due = due.max(end);
                }
                Delivery::Waiting => return self.look_later(incident.id, None).await,
                Delivery::Refused | Delivery::None => return self.leave(incident.id, UNREACHABLE).await,
            }
        }
        if people.deliveries.unreached > 0 && !round.owes_a_word() {
            return self.leave(incident.id, UNREACHED).await;
        }
        if round.awaits_a_word() {
            return self.look_later(incident.id, None).await;
        }
        if let Some(again) = self.unheard(incident, due) {
            return self.look_later(incident.id, Some(again)).await;
        }
        let people = pace.map(|_| people);
        match self.closing_of(incident, round.asked) {
            Ok(edit) => {
                let told = match round.is_own() {
                    true => "closed, since nobody answered",
                    false => "closed for the other site, whose people did not answer",
                };
                self.close_by(incident, edit, people, told).await
            }
            Err(EngineError::Refused(_)) if round.owes_a_word() => {
                self.ask_to_close(incident, round.asked, people).await
            }
            Err(EngineError::Refused(_)) if round.is_own() => {
                self.leave(incident.id, "nobody answered, and the site that has it in hand was asked to close it").await
            }
            Err(EngineError::Refused(problem)) => {
                warn!(event = "closing_refused", incident = incident.id.0, reason = %problem, "close it by hand");
                self.leave(incident.id, &format!("nobody answered, and it cannot be closed by itself: {problem}")).await
            }
            Err(other) => Err(other),
        }
    }

    fn closing_of(&self, incident: &Incident, asked: Asked) -> Result<Edit, EngineError> {
        let code = match asked {
            Asked::Input => Some(CompletionCode::AbandonedByUser.as_str().to_owned()),
            Asked::Closing => None,
        };
        // Each site would fill in what is left empty by its own rule (C-15, C-27).
        let empty = incident.work.solution.as_deref().is_none_or(|text| text.trim().is_empty());
        let solution = (asked == Asked::Input && empty).then(|| UNANSWERED.to_owned());
        let request =
            WorkRequest { completion_code: code, solution, operator: DAEMON.into(), ..WorkRequest::default() };
        self.edit_for(incident, Decision::Close, &request)
    }

    /// Not when somebody was added since `people` were counted, who has had no notice.
    async fn close_by(
        &self,
        incident: &Incident,
        edit: Edit,
        people: Option<PeopleTold>,
        told: &str,
    ) -> Result<bool, EngineError> {
        let write = Write {
            expected_revision: Some(incident.revision),
            edit: Edit { since: Some(self.now()), ..edit },
            history: vec![self.line_of_daemon(incident.id, Action::Edited, told.into())],
            people,
            ..Write::to(incident.id, Writer::Operator)
        };
        let closed = self.write_step(incident, write, None).await?;
        if closed {
            info!(event = "closed_unanswered", incident = incident.id.0, "nobody answered in time");
        }
        Ok(closed)
    }

    /// Writes a step that was decided on the record as it stands here; not when it moved on since.
    pub(super) async fn write_step(
        &self,
        incident: &Incident,
        write: Write,
        telling: Option<Telling>,
    ) -> Result<bool, EngineError> {
        let seen = incident.milestones.iter().map(|one| one.position).max().unwrap_or_default();
        let step = StepTaken { seen, write, telling, at: self.now() };
        match self.store().take_step(step).await? {
            Written::Done => {
                self.0.changed.notify_one();
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

fn delivery(deliveries: Deliveries) -> Delivery {
    match deliveries {
        Deliveries { waiting: 1.., .. } => Delivery::Waiting,
        Deliveries { last_sent: Some(at), .. } => Delivery::Out(at),
        Deliveries { refused: 1.., .. } => Delivery::Refused,
        _ => Delivery::None,
    }
}

/// Whether the case is in this site's hands, and in nobody's beside it.
fn has_in_hand(incident: &Incident) -> bool {
    incident.references.iter().all(|one| !one.standing.is_open() || one.holder == Holder::Us)
}

fn telling(incident: &Incident, round: &Round<'_>, step: Step, pace: &Pace) -> Telling {
    let (notice, reminder) = match (round.asked, step) {
        (Asked::Input, Step::Reminder(number)) => (Notice::InputReminder, Some(number)),
        (Asked::Input, Step::Notice | Step::Close) => (Notice::InputNotice, None),
        (Asked::Closing, Step::Reminder(number)) => (Notice::ClosingReminder, Some(number)),
        (Asked::Closing, Step::Notice | Step::Close) => (Notice::ClosingNotice, None),
    };
    let is_notice = matches!(step, Step::Notice | Step::Close);
    Telling {
        incident: incident.id,
        reason: round.reason_of(step),
        notice,
        about: About { reminder, within: is_notice.then_some(pace.close.as_millis() as u64), ..About::default() },
        audience: Audience::All,
    }
}

/// For whoever has no mail of this round yet: its notice, or what is asked; with it the last word, which may be the question.
fn catching_up(incident: &Incident, round: &Round<'_>, pace: &Pace) -> Telling {
    let public = |comment: &&Comment| !comment.internal && !comment.deleted;
    let last = incident.comments.iter().filter(public).max_by_key(|comment| comment.position);
    let about = |about: About| About { comments: last.map(|comment| comment.id).into_iter().collect(), ..about };
    match round.last {
        Some((Step::Notice, _)) => {
            let telling = telling(incident, round, Step::Notice, pace);
            Telling { about: about(telling.about), ..telling }
        }
        _ => Telling {
            incident: incident.id,
            reason: reminder::reason(round.begun),
            notice: Notice::of(incident.state()),
            about: about(About { state: Some(incident.state()), ..About::default() }),
            audience: Audience::All,
        },
    }
}
