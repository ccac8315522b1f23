//! Reminders, the notice, and the end of a case whose people do not answer, by the rules of
//! [`crate::case::reminder`]. Each step is a milestone, written together with its mails: the other site sees that it was
//! taken, and does not take it too. The site whose people they are reminds them.

use tracing::{info, warn};
use uuid::Uuid;

use super::{Decision, Engine, EngineError};
use crate::case::reminder::{Asked, Delivery, Next, Round, Step};
use crate::case::{Action, CompletionCode, Edit, Fact, Holder, Incident, IncidentId, Milestone, Notice, Party};
use crate::protocol::operator::WorkRequest;
use crate::store::mail::{About, Audience, Deliveries, NewsTaken, StepTaken, Telling};
use crate::store::{Write, Writer, Written};

/// Cases looked after in one go, and goes in one run.
const PAGE: usize = 100;
const ROUNDS: usize = 100;
/// Who is said to have done it.
const DAEMON: &str = "casebridge";

impl Engine {
    /// Takes every step that is due. Returns how many were taken.
    pub async fn remind(&self) -> Result<usize, EngineError> {
        if self.post().is_none() {
            return Ok(0);
        }
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
        let parties = self.store().parties(id).await?;
        let incident = self.store().load(&[id]).await?.incidents.pop().filter(|_| !parties.is_empty());
        let Some(incident) = incident else { return self.look_later(id, None).await };
        let Some(round) = Round::of(incident.state(), &incident.milestones) else {
            return self.look_later(id, None).await;
        };
        let Some(mail) = self.settings().mail.clone() else { return self.look_later(id, None).await };
        let pace = match round.asked {
            Asked::Input => mail.reminders.input,
            Asked::Closing => mail.reminders.closing,
        };
        let is_own = round.last.is_none_or(|(_, milestone)| milestone.origin.is_none());
        let deliveries = match is_own {
            true => self.store().deliveries(id, &round.reason()).await?,
            false => Deliveries::default(),
        };
        match round.next(&pace, delivery(deliveries), has_in_hand(&incident)) {
            Next::Wait => self.look_later(id, None).await,
            Next::At(_, at) if at > self.now() => self.look_later(id, Some(at)).await,
            Next::At(Step::Close, _) if is_unwarned(&parties, deliveries) => {
                // Somebody joined since: the full time begins anew when they have the notice.
                let tellings = vec![telling(&incident, &round, Step::Notice)];
                self.store().take_mail_news(NewsTaken { tellings, ..NewsTaken::default() }, self.now()).await?;
                self.look_later(id, None).await
            }
            Next::At(Step::Close, _) => self.close_unanswered(&incident, &round).await,
            Next::At(step, _) => self.take_step(&incident, &round, step).await,
        }
    }

    async fn look_later(&self, id: IncidentId, at: Option<jiff::Timestamp>) -> Result<bool, EngineError> {
        self.store().look_again(id, at).await?;
        Ok(false)
    }

    async fn take_step(&self, incident: &Incident, round: &Round<'_>, step: Step) -> Result<bool, EngineError> {
        let (id, now, name) = (incident.id, self.now(), step.name(round.asked));
        let milestone = Milestone::new(Uuid::now_v7(), now, Fact::Notice(name.clone()));
        let write = Write {
            edit: Edit { milestones: vec![milestone], ..Edit::default() },
            history: vec![self.line_of_daemon(id, Action::Reminded, name.clone())],
            ..Write::to(id, Writer::Operator)
        };
        let taken = self.write_step(incident, write, Some(telling(incident, round, step))).await?;
        if taken {
            info!(event = "reminded", incident = id.0, step = name, "its people are told");
        }
        Ok(taken)
    }

    /// Nobody answered, though everybody had the notice for its full time.
    async fn close_unanswered(&self, incident: &Incident, round: &Round<'_>) -> Result<bool, EngineError> {
        let code = match round.asked {
            Asked::Input => Some(CompletionCode::AbandonedByUser.as_str().to_owned()),
            Asked::Closing => None,
        };
        let request = WorkRequest { completion_code: code, operator: DAEMON.into(), ..WorkRequest::default() };
        let edit = match self.edit_for(incident, Decision::Close, &request) {
            Ok(edit) => edit,
            // Another site has it in hand: there it is decided.
            Err(EngineError::Refused(problem)) => {
                warn!(event = "closing_refused", incident = incident.id.0, reason = %problem, "close it by hand");
                return self.look_later(incident.id, None).await;
            }
            Err(other) => return Err(other),
        };
        let write = Write {
            expected_revision: Some(incident.revision),
            edit: Edit { since: Some(self.now()), ..edit },
            history: vec![self.line_of_daemon(incident.id, Action::Edited, "closed, since nobody answered".into())],
            ..Write::to(incident.id, Writer::Operator)
        };
        let closed = self.write_step(incident, write, None).await?;
        if closed {
            info!(event = "closed_unanswered", incident = incident.id.0, "nobody answered in time");
        }
        Ok(closed)
    }

    /// Writes a step that was decided on the record as it stands here; not when it moved on since.
    async fn write_step(
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

/// Whether somebody of these has had no notice at all.
fn is_unwarned(parties: &[Party], deliveries: Deliveries) -> bool {
    parties.len() > deliveries.sent + deliveries.refused
}

/// Whether the case is in this site's hands, and in nobody's beside it.
fn has_in_hand(incident: &Incident) -> bool {
    incident.references.iter().all(|one| !one.standing.is_open() || one.holder == Holder::Us)
}

fn telling(incident: &Incident, round: &Round<'_>, step: Step) -> Telling {
    let (notice, reminder) = match (round.asked, step) {
        (Asked::Input, Step::Reminder(number)) => (Notice::InputReminder, Some(number)),
        (Asked::Input, Step::Notice | Step::Close) => (Notice::InputNotice, None),
        (Asked::Closing, Step::Reminder(number)) => (Notice::ClosingReminder, Some(number)),
        (Asked::Closing, Step::Notice | Step::Close) => (Notice::ClosingNotice, None),
    };
    Telling {
        incident: incident.id,
        reason: round.reason_of(step),
        notice,
        about: About { reminder, ..About::default() },
        audience: Audience::All,
    }
}
