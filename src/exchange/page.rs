//! What people do by the links of their mails: each link once, and its use is written with what it does.

use std::sync::Arc;

use uuid::Uuid;

use super::work::TRIES;
use super::{Decision, Engine, EngineError};
use crate::case::case_name::display_id;
use crate::case::pass::Subject;
use crate::case::reminder::Round;
use crate::case::{
    Action, CaseState, Comment, Deposit, Edit, Fact, Incident, IncidentId, Language, Links, MailAddress, Milestone,
    Party, Pass, PassTag, Phase, PhaseGroup, Purpose, reminder,
};
use crate::protocol::operator::WorkRequest;
use crate::store::{FilledForm, Intake, PassUse, Spoken, Write, Writer, Written};
use crate::telemetry::{CrashPoint, crash_point};

/// Where a link leads.
#[derive(Debug, Clone)]
pub enum Leads {
    /// To a form, for the sender of this mail.
    Form(Intake),
    /// To a case, of which its purpose can be done.
    Case(CaseView),
    /// It was used, for this case or incident.
    Done { number: String, language: Option<Language> },
    /// Nowhere.
    Shut(Shut),
}

/// As much of a case as its people see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseView {
    pub number: String,
    pub title: String,
    /// The solution; the last public comment where there is none yet.
    pub text: Option<String>,
    /// How the person is spoken to.
    pub language: Option<Language>,
}

/// Why there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// What it was for is not there, or not any more.
    NotOurs,
    Expired,
    /// The case is over.
    Closed,
    /// It is not up to be closed.
    NotResolved,
    /// It is up to be closed, by another solution than the one that the link was sent with.
    Earlier,
}

/// A case by a link, with what it takes to act on it.
struct Followed {
    incident: Incident,
    party: Party,
}

impl Engine {
    /// What makes and knows the links of the pages, where there are any.
    pub fn links(&self) -> Option<Arc<Links>> {
        self.0.links.get().cloned()
    }

    /// Where a link leads at the moment. Changes nothing.
    pub async fn leads(&self, pass: &Pass, tag: PassTag) -> Result<Leads, EngineError> {
        if let Some(used) = self.store().used_pass(tag).await? {
            return self.done(pass, used.incident).await;
        }
        if pass.expires_at <= self.now() {
            return Ok(Leads::Shut(Shut::Expired));
        }
        match (pass.purpose, pass.subject) {
            (Purpose::Form, Subject::Intake(id)) => {
                Ok(self.store().intake(id).await?.map_or(Leads::Shut(Shut::NotOurs), Leads::Form))
            }
            (Purpose::Answer | Purpose::Confirm | Purpose::NotSolved, Subject::Party { .. }) => {
                match self.followed(pass).await? {
                    Ok(Followed { incident, party }) => Ok(Leads::Case(self.case_view(&incident, &party))),
                    Err(shut) => Ok(Leads::Shut(shut)),
                }
            }
            // A mail address leads to no page, and no other purpose is signed for such a subject.
            _ => Ok(Leads::Shut(Shut::NotOurs)),
        }
    }

    /// Makes the incident of a form, once.
    pub async fn fill_form(
        &self,
        pass: &Pass,
        tag: PassTag,
        language: Spoken,
        form: impl FnOnce(i64) -> (Deposit, Option<MailAddress>),
    ) -> Result<Leads, EngineError> {
        let (Purpose::Form, Subject::Intake(intake)) = (pass.purpose, pass.subject) else {
            return Ok(Leads::Shut(Shut::NotOurs));
        };
        let used = PassUse { tag, purpose: pass.purpose, at: self.now() };
        let (deposit, also) = form(intake);
        let form = FilledForm { intake, used, language, also, deposit };
        let incident = self.store().take_form(form).await?;
        crash_point(CrashPoint::DepositStored);
        self.0.changed.notify_one();
        self.0.to_mail.notify_one();
        self.done(pass, incident).await
    }

    /// Does what a link to a case is for: `said` is what the person wrote.
    pub async fn follow(
        &self,
        pass: &Pass,
        tag: PassTag,
        said: &str,
        language: Language,
    ) -> Result<Leads, EngineError> {
        for _ in 0..TRIES {
            let Followed { incident, party } = match self.followed(pass).await? {
                Ok(followed) => followed,
                // Pressed twice at once, it may have been done, and the case may have gone on since.
                Err(_) => return self.leads(pass, tag).await,
            };
            let now = self.now();
            let edit = self.followed_edit(pass.purpose, &incident, &party, said, language)?;
            let write = Write {
                expected_revision: Some(incident.revision),
                edit: Edit { since: Some(now), ..edit },
                history: vec![self.line_by(
                    incident.id,
                    Action::Edited,
                    party.who(),
                    format!("{} by a link, of party {}", pass.purpose.as_str(), party.id),
                )],
                pass: Some(PassUse { tag, purpose: pass.purpose, at: now }),
                ..Write::to(incident.id, Writer::Operator)
            };
            match self.write_one(write).await? {
                Written::Done => {
                    self.0.changed.notify_one();
                    self.0.to_mail.notify_one();
                    return self.done(pass, incident.id).await;
                }
                Written::Used => return self.done(pass, incident.id).await,
                Written::Gone => return Ok(Leads::Shut(Shut::NotOurs)),
                Written::Stale | Written::AlreadyApplied => {}
            }
        }
        self.leads(pass, tag).await
    }

    fn followed_edit(
        &self,
        purpose: Purpose,
        incident: &Incident,
        party: &Party,
        said: &str,
        language: Language,
    ) -> Result<Edit, EngineError> {
        let request = WorkRequest { operator: party.author().to_owned(), ..WorkRequest::default() };
        let edit = match purpose {
            Purpose::Confirm => self.edit_for(incident, Decision::Close, &request)?,
            Purpose::NotSolved => self.edit_for(incident, Decision::Reopen, &request)?,
            Purpose::Answer | Purpose::Form | Purpose::Reply => self.heard(incident),
        };
        let word = self.word(Uuid::now_v7(), party, said.to_owned(), Some(language));
        let words = (purpose != Purpose::Confirm).then_some(word);
        Ok(Edit { comments: edit.comments.into_iter().chain(words).collect(), ..edit })
    }

    /// What one of a case's people writes.
    pub(super) fn word(&self, id: Uuid, party: &Party, text: String, language: Option<Language>) -> Comment {
        Comment {
            id,
            author: party.author().to_owned(),
            party: Some(party.id),
            written_at: self.now(),
            text: self.without_passes(text),
            language: language.map(|language| language.as_str().to_owned()),
            ..Comment::default()
        }
    }

    /// Others read what somebody writes, and a link that stands in it would be theirs.
    pub(super) fn without_passes(&self, text: String) -> String {
        match self.0.links.get() {
            Some(links) => links.without_passes(&text),
            None => text,
        }
    }

    /// An answer lets a case go on that waited for it. One that is resolved is not closed by itself any more;
    /// whether the answer says thanks or that nothing is solved, a person reads.
    pub(super) fn heard(&self, incident: &Incident) -> Edit {
        match incident.state() {
            CaseState::InputRequested => Edit { state: Some(CaseState::InProcess), ..Edit::default() },
            CaseState::Resolved => {
                let fact = Fact::Notice(reminder::ANSWERED.into());
                let milestones = vec![Milestone::new(Uuid::now_v7(), self.now(), fact)];
                Edit { milestones, ..Edit::default() }
            }
            _ => Edit::default(),
        }
    }

    /// The case and the person of a link, as long as its purpose can be done.
    async fn followed(&self, pass: &Pass) -> Result<Result<Followed, Shut>, EngineError> {
        let Subject::Party { incident, party } = pass.subject else { return Ok(Err(Shut::NotOurs)) };
        let Some(party) = self.store().party(incident, party).await? else { return Ok(Err(Shut::NotOurs)) };
        let Some(incident) = self.store().load(&[incident]).await?.incidents.pop() else {
            return Ok(Err(Shut::NotOurs));
        };
        let decides = matches!(pass.purpose, Purpose::Confirm | Purpose::NotSolved);
        if incident.work.phase == Phase::Close {
            return Ok(Err(Shut::Closed));
        }
        if decides && incident.work.phase.group() == PhaseGroup::Resolution {
            return Ok(Err(Shut::NotResolved));
        }
        if decides && !self.is_of_this_round(pass, &incident).await? {
            return Ok(Err(Shut::Earlier));
        }
        Ok(Ok(Followed { incident, party }))
    }

    /// Whether the mail with the link was written for the solution that the case has now.
    async fn is_of_this_round(&self, pass: &Pass, incident: &Incident) -> Result<bool, EngineError> {
        let Some(round) = Round::of(incident.state(), &incident.milestones) else { return Ok(false) };
        let Ok(serial) = i64::try_from(pass.serial) else { return Ok(false) };
        let mail = self.store().sent_mails(&[serial]).await?.pop();
        let mut begun = round.asked_with.iter().copied().chain([round.begun]);
        Ok(mail.is_some_and(|mail| begun.any(|state| mail.reason.starts_with(&reminder::reason(state)))))
    }

    fn case_view(&self, incident: &Incident, party: &Party) -> CaseView {
        let public = |comment: &&Comment| !comment.internal && !comment.deleted;
        let last = incident.comments.iter().filter(public).max_by_key(|comment| comment.position);
        CaseView {
            number: self.number(incident),
            title: incident.event.synopsis.clone(),
            text: incident.work.solution.clone().or(last.map(|comment| comment.text.clone())),
            language: Some(party.language),
        }
    }

    /// The name of a case, for people.
    fn number(&self, incident: &Incident) -> String {
        display_id(incident.client.as_ref(), &self.settings().site.alias, incident.id)
    }

    /// How the person of a link is spoken to.
    pub async fn language_of(&self, pass: &Pass) -> Result<Option<Language>, EngineError> {
        Ok(match pass.subject {
            Subject::Intake(intake) => self.store().intake(intake).await?.and_then(|intake| intake.language),
            Subject::Party { incident, party } => {
                self.store().party(incident, party).await?.map(|party| party.language)
            }
        })
    }

    async fn done(&self, pass: &Pass, incident: IncidentId) -> Result<Leads, EngineError> {
        let language = self.language_of(pass).await?;
        let number = match (pass.purpose, self.store().load(&[incident]).await?.incidents.pop()) {
            (Purpose::Form, _) | (_, None) => incident.to_string(),
            (_, Some(incident)) => self.number(&incident),
        };
        Ok(Leads::Done { number, language })
    }
}
