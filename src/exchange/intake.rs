//! Mails that come in: a link to a form for whoever writes anew, a comment for whoever answers a mail of ours.

use jiff::SignedDuration;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::work::TRIES;
use super::{Engine, EngineError};
use crate::case::{Action, Edit, IncidentId, Language, MailAddress, Phase};
use crate::protocol::ProblemType;
use crate::store::{Intake, LinkRule, TakenMail, Write, Writer, Written};

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replied {
    Comment,
    /// It stands there already.
    Known,
    /// Its sender has nothing to do with the case.
    Stranger,
    /// The case is closed: nobody reads what is said of it.
    Over,
}

impl Engine {
    /// Gives the sender of a mail a link to a form, once for the mail and only so often in an hour.
    pub async fn invite(&self, mail: Intake, links_per_hour: usize) -> Result<TakenMail, EngineError> {
        let now = self.now();
        let settings = self.settings();
        let rule = LinkRule {
            since: now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(now),
            most: links_per_hour,
            otherwise: settings.mail.as_ref().map(|mail| mail.language).unwrap_or_default(),
        };
        let taken = self.store().take_mail(mail, rule, now).await?;
        self.0.to_mail.notify_one();
        Ok(taken)
    }

    /// The case that a mail belongs to which answers these Message-IDs.
    pub async fn case_of_mails(&self, answers: &[String]) -> Result<Option<IncidentId>, EngineError> {
        let mails: Vec<i64> = answers.iter().filter_map(|id| self.own_mail(id)).collect();
        Ok(self.store().case_of_mails(&mails).await?)
    }

    /// Notes mails of ours that came back. Says how many it did not know of.
    pub async fn bounced(&self, message_ids: &[String]) -> Result<usize, EngineError> {
        let mut bounced = 0;
        for mail in message_ids.iter().filter_map(|id| self.own_mail(id)) {
            bounced += usize::from(self.store().mail_bounced(mail, self.now()).await?);
        }
        Ok(bounced)
    }

    /// The number of a mail of ours, from its Message-ID: only this store's own are numbered like that.
    fn own_mail(&self, message_id: &str) -> Option<i64> {
        let (number, rest) = message_id.split_once('.')?;
        let (site, _) = rest.split_once('@')?;
        if site != self.site().0.simple().to_string() {
            return None;
        }
        number.parse().ok()
    }

    /// What one of a case's people has answered by mail becomes a comment, once for the mail, and the case goes on.
    pub async fn replied(
        &self,
        id: IncidentId,
        message_id: &str,
        sender: &MailAddress,
        text: String,
        language: Option<Language>,
    ) -> Result<Replied, EngineError> {
        let uid = comment_of(message_id);
        for _ in 0..TRIES {
            let Some(incident) = self.store().load(&[id]).await?.incidents.pop() else { return Ok(Replied::Stranger) };
            if incident.comments.iter().any(|comment| comment.id == uid) {
                return Ok(Replied::Known);
            }
            let parties = self.store().parties(id).await?;
            let is_sender = |address: &MailAddress| address.as_str().eq_ignore_ascii_case(sender.as_str());
            let Some(party) = parties.iter().find(|party| is_sender(&party.address)) else {
                return Ok(Replied::Stranger);
            };
            if incident.work.phase == Phase::Close {
                return Ok(Replied::Over);
            }
            let word = self.word(uid, party, text.clone(), language);
            let write = Write {
                expected_revision: Some(incident.revision),
                edit: Edit { comments: vec![word], since: Some(self.now()), ..self.heard(&incident) },
                history: vec![self.line(id, Action::Commented, &party.author(), format!("comment {uid} by mail"))],
                ..Write::to(id, Writer::Operator)
            };
            match self.write_one(write).await? {
                Written::Done => {
                    self.0.changed.notify_one();
                    self.0.to_mail.notify_one();
                    return Ok(Replied::Comment);
                }
                Written::Gone => return Ok(Replied::Stranger),
                Written::Stale | Written::AlreadyApplied | Written::Used => {}
            }
        }
        Err(ProblemType::Busy.with("the record changes all the time").into())
    }
}

/// A v8 UUID of the mail: the same mail, read twice, makes the same comment.
fn comment_of(message_id: &str) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(b"casebridge mail comment 1");
    hash.update(message_id);
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Uuid::new_v8(bytes)
}
