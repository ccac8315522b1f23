//! What becomes of a letter: a link for its sender, a comment of a case, or nothing. The engine does it; here is decided which
//! case a mail belongs to: by the pass in the address that it went to, else by the mail of ours that it answers, never by its
//! subject, which anybody can write.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use jiff::Timestamp;

use super::Nature;
use super::read::{Envelope, Letter, MailFault, paragraphs};
use crate::case::pass::Subject;
use crate::case::{IncidentId, Links, Pass, Purpose};
use crate::config::settings::MailInbox;
use crate::exchange::{Answer, Answered, Engine, EngineError, Replied, Unanswered};
use crate::store::{Intake, StoreError, TakenMail};

/// What became of a mail that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Its sender gets a link to a form.
    Link,
    /// It was taken before.
    Known,
    Unanswered(Unanswered),
    Comment(IncidentId),
    /// A program wrote it; it is never answered.
    Program,
    /// So many mails of ours are told to be undeliverable.
    Bounce(usize),
}

/// Why it was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Untaken {
    /// The store is busy: the same may work later.
    Later(String),
    /// A person has to look at it.
    Held(MailFault),
}

/// What the mail inbox asks for.
#[async_trait]
pub trait MailTaker: Send + Sync {
    /// Answers once what it says is durable. The same mail again changes nothing. `file` is where it will be found.
    async fn take(&self, letter: Letter, file: &str) -> Result<Taken, Untaken>;

    /// A mail cannot be taken at all and is held: what it answers waits for a person. `file` is its name.
    async fn held(&self, envelope: Envelope, fault: &MailFault, file: &str) -> Result<(), Untaken>;

    /// Every mail that stood in the inbox then was taken, or held.
    fn heard(&self, through: SystemTime);

    /// So many mails of the inbox stand where they are not read.
    fn overlooks(&self, mails: usize);

    /// The inbox cannot be used for a reason, or can be again.
    fn blocked(&self, reason: Option<&str>);
}

/// The engine, as the mail inbox sees it.
pub struct Postman {
    engine: Engine,
    links: Arc<Links>,
    inbox: MailInbox,
}

impl Postman {
    pub fn new(engine: Engine, links: Arc<Links>, inbox: MailInbox) -> Self {
        Self { engine, links, inbox }
    }

    /// What a mail answers: a case with the number of the person who was written to, by the pass in the address that it went
    /// to, or a mail of ours.
    async fn answered(&self, envelope: &Envelope) -> Result<Answered, EngineError> {
        let signed = self.passes(&envelope.to).find_map(|pass| match pass.subject {
            Subject::Party { incident, party } => Some((incident, party)),
            Subject::Intake(_) => None,
        });
        match signed {
            Some((incident, party)) => Ok(Answered::Case(incident, party)),
            None => self.engine.answered_mail(&envelope.answers, &envelope.from).await,
        }
    }

    /// Of the signed addresses that a mail went to.
    fn passes<'l>(&'l self, to: &'l [String]) -> impl Iterator<Item = Pass> + 'l {
        let read = |address: &String| Some(self.links.in_address(address, self.engine.now())?.ok()?.0);
        to.iter().filter_map(read).filter(|pass| pass.purpose == Purpose::Reply)
    }

    /// Takes an answer to a case; none is taken of one that is closed.
    async fn answer(
        &self,
        (incident, party): (IncidentId, i64),
        letter: &Letter,
        file: &str,
    ) -> Result<Option<Taken>, Untaken> {
        if letter.nature == Nature::Doubtful {
            return Err(Untaken::Held(MailFault::Doubtful { incident: incident.0 }));
        }
        if letter.text.is_empty() {
            return Err(Untaken::Held(MailFault::Empty { incident: incident.0 }));
        }
        let answer = Answer {
            id: letter.id.clone(),
            sender: letter.from.clone(),
            text: letter.text.clone(),
            language: letter.language,
            files: letter.has_files.then(|| file.to_owned()),
        };
        match self.engine.replied((incident, party), answer).await.map_err(untaken)? {
            Replied::Comment => Ok(Some(Taken::Comment(incident))),
            Replied::Known => Ok(Some(Taken::Known)),
            Replied::Stranger => Err(Untaken::Held(MailFault::Stranger { incident: incident.0 })),
            Replied::TooMany { limit } => Err(Untaken::Held(MailFault::TooMany { incident: incident.0, limit })),
            Replied::Over => Ok(None),
        }
    }

    /// What a case is told of an answer that is held.
    async fn left_unread(&self, incident: IncidentId, fault: &MailFault, file: &str) -> Result<(), Untaken> {
        let name = file.rsplit('/').next().unwrap_or_default();
        let why = format!("a mail could not be taken: {fault}; it stands in quarantine/ of its inbox, as {name}");
        self.engine.left_unread(incident, &why).await.map_err(|fault| Untaken::Later(fault.to_string()))
    }
}

#[async_trait]
impl MailTaker for Postman {
    fn overlooks(&self, mails: usize) {
        self.engine.overlooks(&self.inbox.dir, mails);
    }

    fn blocked(&self, reason: Option<&str>) {
        self.engine.inbox_blocked(&self.inbox.dir, reason);
    }

    async fn take(&self, letter: Letter, file: &str) -> Result<Taken, Untaken> {
        let is_person = match &letter.nature {
            Nature::Program => return Ok(Taken::Program),
            Nature::Bounce { of } => {
                let passes = self.passes(&letter.to);
                let mails: Vec<i64> = passes.filter_map(|pass| i64::try_from(pass.serial).ok()).collect();
                return Ok(Taken::Bounce(self.engine.bounced(of, &mails).await.map_err(untaken)?));
            }
            Nature::Doubtful | Nature::Impersonal => false,
            Nature::Person => true,
        };
        let envelope = Envelope { from: letter.from.clone(), to: letter.to.clone(), answers: letter.answers.clone() };
        let answered = self.answered(&envelope).await.map_err(untaken)?;
        if !is_person {
            let may_answer = match answered {
                Answered::Case(incident, party) => {
                    self.engine.may_answer((incident, party), &letter.from).await.map_err(untaken)?
                }
                Answered::Form | Answered::Nothing => false,
            };
            if !may_answer {
                return Ok(Taken::Program);
            }
        }
        match answered {
            Answered::Case(incident, party) => match self.answer((incident, party), &letter, file).await {
                Ok(Some(taken)) => return Ok(taken),
                Ok(None) if !is_person => return Ok(Taken::Program),
                // What is written of a closed case is the beginning of a new one.
                Ok(None) => {}
                Err(Untaken::Held(fault)) => {
                    self.left_unread(incident, &fault, file).await?;
                    return Err(Untaken::Held(fault));
                }
                Err(later) => return Err(later),
            },
            Answered::Form => return Err(Untaken::Held(MailFault::AnswersForm)),
            Answered::Nothing => {}
        }
        if letter.is_from_elsewhere {
            self.engine.left_unanswered(Unanswered::Elsewhere);
            return Ok(Taken::Unanswered(Unanswered::Elsewhere));
        }
        let intake = Intake {
            message_id: letter.id,
            answerable: letter.answerable,
            inbox: self.inbox.dir.to_string_lossy().into_owned(),
            sender: letter.from,
            name: letter.name,
            language: letter.language,
            subject: letter.subject,
            text: paragraphs([letter.quoted, letter.text]),
        };
        let MailInbox { links_per_hour, answers_per_hour, .. } = self.inbox;
        match self.engine.invite(intake, links_per_hour, answers_per_hour).await.map_err(untaken)? {
            TakenMail::New(_) => Ok(Taken::Link),
            TakenMail::Known(_) => Ok(Taken::Known),
            TakenMail::TooMany => Ok(Taken::Unanswered(Unanswered::Sender)),
            TakenMail::TooManyOfAll => Ok(Taken::Unanswered(Unanswered::All)),
        }
    }

    async fn held(&self, envelope: Envelope, fault: &MailFault, file: &str) -> Result<(), Untaken> {
        match self.answered(&envelope).await.map_err(untaken)? {
            Answered::Case(incident, _) => self.left_unread(incident, fault, file).await,
            Answered::Form | Answered::Nothing => Ok(()),
        }
    }

    fn heard(&self, through: SystemTime) {
        if let Ok(through) = Timestamp::try_from(through) {
            self.engine.heard_mails(&self.inbox.dir, through);
        }
    }
}

/// A lock and a full disk pass; what the store itself refuses does not.
fn untaken(fault: EngineError) -> Untaken {
    match fault {
        EngineError::Store(StoreError::Failed(reason)) if reason.contains("CHECK constraint") => {
            Untaken::Held(MailFault::Refused(reason))
        }
        other => Untaken::Later(other.to_string()),
    }
}
