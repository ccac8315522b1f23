//! What becomes of a letter: a link for its sender, a comment of a case, or nothing. The engine does it; here is decided which
//! case a mail belongs to: by the pass in the address that it went to, else by the mail of ours that it answers, never by its
//! subject, which anybody can write.

use std::sync::Arc;

use async_trait::async_trait;

use super::Nature;
use super::read::{Letter, MailFault};
use crate::case::pass::Subject;
use crate::case::{IncidentId, Links, Pass, Purpose};
use crate::config::settings::MailInbox;
use crate::exchange::{Engine, EngineError, Replied, Unanswered};
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
    /// Answers once what it says is durable. The same mail again changes nothing.
    async fn take(&self, letter: Letter) -> Result<Taken, Untaken>;
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

    /// The case that a letter belongs to, and the number of the person who was written to.
    async fn answered(&self, letter: &Letter) -> Result<Option<(IncidentId, i64)>, EngineError> {
        let signed = self.passes(letter).find_map(|pass| match pass.subject {
            Subject::Party { incident, party } => Some((incident, party)),
            Subject::Intake(_) => None,
        });
        match signed {
            Some(signed) => Ok(Some(signed)),
            None => self.engine.answered_mail(&letter.answers, &letter.from).await,
        }
    }

    /// Of the signed addresses that a letter went to.
    fn passes<'l>(&'l self, letter: &'l Letter) -> impl Iterator<Item = Pass> + 'l {
        let read = |address: &String| Some(self.links.in_address(address, self.engine.now())?.ok()?.0);
        letter.to.iter().filter_map(read).filter(|pass| pass.purpose == Purpose::Reply)
    }
}

#[async_trait]
impl MailTaker for Postman {
    async fn take(&self, letter: Letter) -> Result<Taken, Untaken> {
        match &letter.nature {
            Nature::Program => return Ok(Taken::Program),
            Nature::Bounce { of } => {
                let mails: Vec<i64> = self.passes(&letter).filter_map(|pass| i64::try_from(pass.serial).ok()).collect();
                return Ok(Taken::Bounce(self.engine.bounced(of, &mails).await.map_err(untaken)?));
            }
            Nature::Person => {}
        }
        if let Some((incident, party)) = self.answered(&letter).await.map_err(untaken)? {
            if letter.text.is_empty() {
                return Err(Untaken::Held(MailFault::Empty { incident: incident.0 }));
            }
            let (text, language) = (letter.text.clone(), letter.language);
            match self
                .engine
                .replied((incident, party), &letter.id, &letter.from, text, language)
                .await
                .map_err(untaken)?
            {
                Replied::Comment => return Ok(Taken::Comment(incident)),
                Replied::Known => return Ok(Taken::Known),
                Replied::Stranger => return Err(Untaken::Held(MailFault::Stranger { incident: incident.0 })),
                // What is written of a closed case is the beginning of a new one.
                Replied::Over => {}
            }
        }
        if letter.is_from_elsewhere {
            self.engine.left_unanswered(Unanswered::Elsewhere);
            return Ok(Taken::Unanswered(Unanswered::Elsewhere));
        }
        let intake = Intake {
            message_id: letter.id,
            inbox: self.inbox.dir.to_string_lossy().into_owned(),
            sender: letter.from,
            name: letter.name,
            language: letter.language,
            subject: letter.subject,
            text: letter.text,
        };
        let MailInbox { links_per_hour, answers_per_hour, .. } = self.inbox;
        match self.engine.invite(intake, links_per_hour, answers_per_hour).await.map_err(untaken)? {
            TakenMail::New(_) => Ok(Taken::Link),
            TakenMail::Known(_) => Ok(Taken::Known),
            TakenMail::TooMany => Ok(Taken::Unanswered(Unanswered::Sender)),
            TakenMail::TooManyOfAll => Ok(Taken::Unanswered(Unanswered::All)),
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
