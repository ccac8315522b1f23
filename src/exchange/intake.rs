//! Mails that come in: a link to a form for whoever writes anew, a comment for whoever answers a mail of ours.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::work::TRIES;
use super::{Engine, EngineError};
use crate::case::reminder::Round;
use crate::case::{Action, Comment, Edit, Fact, IncidentId, Language, MailAddress, Milestone, Phase, reminder};
use crate::config::settings::MailInbox;
use crate::protocol::ProblemType;
use crate::store::{Intake, LinkRule, TakenMail, Write, Writer, Written};

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replied {
    Comment,
    /// It stands there already.
    Known,
    /// Its sender is not whom the mail was for that it answers.
    Stranger,
    /// The case is closed: nobody reads what is said of it.
    Over,
    /// Its sender has answered the case that often within the hour: a program may answer programs.
    TooMany {
        limit: usize,
    },
}

/// What a mail answers, by the Message-IDs that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// A mail of this case, to the person with this number.
    Case(IncidentId, i64),
    /// The mail with the link to the form.
    Form,
    /// No mail of ours.
    Nothing,
}

/// An answer by mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the mail is known by.
    pub id: String,
    pub sender: MailAddress,
    pub text: String,
    pub language: Option<Language>,
    /// Where the mail is found, if files came with it.
    pub files: Option<String>,
}

/// Answers of one person to one case within an hour.
const ANSWERS: usize = 20;

/// Why a mail that came in got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unanswered {
    /// Its sender has got as many links as one gets.
    Sender,
    /// All together have.
    All,
    /// The servers that it came over name a sender elsewhere: whoever it seems to be from may know nothing of it.
    Elsewhere,
}

impl Unanswered {
    pub fn as_str(self) -> &'static str {
        match self {
            Unanswered::Sender => "its sender got mail_inbox.links_per_hour",
            Unanswered::All => "its inbox gave mail_inbox.answers_per_hour",
            Unanswered::Elsewhere => "its Return-Path is of another domain than its sender",
        }
    }
}

/// The mails that got no answer, until none was for a day.
#[derive(Debug, Default)]
pub(super) struct Silence(Mutex<Option<Silent>>);

#[derive(Debug, Clone, Copy)]
struct Silent {
    mails: u64,
    last: Timestamp,
    why: Unanswered,
}

impl Silence {
    fn note(&self, why: Unanswered, at: Timestamp) {
        let mails = self.lately(at).map_or(0, |before| before.mails);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Silent { mails: mails + 1, last: at, why });
    }

    fn lately(&self, now: Timestamp) -> Option<Silent> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.filter(|one| now.duration_since(one.last) < SignedDuration::from_hours(24))
    }

    /// What a person sees of them in `status`.
    pub(super) fn warning(&self, now: Timestamp) -> Option<String> {
        let Silent { mails, last, why } = self.lately(now)?;
        Some(format!(
            "{mails} mails that came in got no answer, the last {last}: {}; they stand in done/ of their inbox",
            why.as_str()
        ))
    }
}

/// Mails of each Maildir that stand where they are not read.
#[derive(Debug, Default)]
pub(super) struct Overlooked(Mutex<BTreeMap<PathBuf, usize>>);

impl Overlooked {
    /// What a person sees of them in `status`.
    pub(super) fn warnings(&self, inboxes: &[MailInbox]) -> Vec<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |inbox: &MailInbox| {
            let (dir, mails) = (inbox.dir.join("cur"), known.get(&inbox.dir).filter(|mails| **mails > 0)?);
            let dir = dir.display();
            Some(format!(
                "{mails} mails in {dir} are not read: a mail program put them there; move to new/ what is to be taken"
            ))
        };
        inboxes.iter().filter_map(of).collect()
    }
}

impl Engine {
    /// So many mails of a Maildir stand where they are not read.
    pub fn overlooks(&self, maildir: &Path, mails: usize) {
        let mut known = self.0.overlooked.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(maildir.to_owned(), mails);
    }

    /// A mail that came in gets no answer.
    pub fn left_unanswered(&self, why: Unanswered) {
        self.0.silence.note(why, self.now());
    }

    /// Gives the sender of a mail a link to a form, once for the mail and only so often in an hour.
    pub async fn invite(
        &self,
        mail: Intake,
        links_per_hour: usize,
        answers_per_hour: usize,
    ) -> Result<TakenMail, EngineError> {
        let now = self.now();
        let settings = self.settings();
        let rule = LinkRule {
            since: now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(now),
            most: links_per_hour,
            most_of_all: answers_per_hour,
            otherwise: settings.mail.as_ref().map(|mail| mail.language).unwrap_or_default(),
        };
        let mail = Intake { text: self.without_passes(mail.text), ..mail };
        let taken = self.store().take_mail(mail, rule, now).await?;
        match taken {
            TakenMail::TooMany => self.left_unanswered(Unanswered::Sender),
            TakenMail::TooManyOfAll => self.left_unanswered(Unanswered::All),
            TakenMail::New(_) | TakenMail::Known(_) => {}
        }
        self.0.to_mail.notify_one();
        Ok(taken)
    }

    /// What a mail answers that names these Message-IDs. Of several mails of cases it is one to the person who answers.
    pub async fn answered_mail(&self, answers: &[String], sender: &MailAddress) -> Result<Answered, EngineError> {
        let mails: Vec<i64> = answers.iter().filter_map(|id| self.own_mail(id)).collect();
        let sent = self.store().sent_mails(&mails).await?;
        let is_sender = |address: &MailAddress| address.as_str().eq_ignore_ascii_case(sender.as_str());
        let of_cases = || sent.iter().filter_map(|mail| Some((mail.about?, &mail.address)));
        let one = of_cases().find(|(_, address)| is_sender(address)).or(of_cases().next());
        Ok(match one {
            Some(((incident, party), _)) => Answered::Case(incident, party),
            None if sent.is_empty() => Answered::Nothing,
            None => Answered::Form,
        })
    }

    /// Whether a case is open, and its person with this number has this address.
    pub async fn may_answer(&self, (id, party): (IncidentId, i64), sender: &MailAddress) -> Result<bool, EngineError> {
        let is_sender = |address: &MailAddress| address.as_str().eq_ignore_ascii_case(sender.as_str());
        let known = self.store().party(id, party).await?.is_some_and(|one| is_sender(&one.address));
        let incident = self.store().load(&[id]).await?.incidents.pop();
        Ok(known && incident.is_some_and(|incident| incident.work.phase != Phase::Close))
    }

    /// An answer to a case came that could not be taken, `why` says where it is: as long as it is not read nobody is asked any
    /// more, and the case is not closed for want of an answer.
    pub async fn left_unread(&self, id: IncidentId, why: &str) -> Result<(), EngineError> {
        for _ in 0..TRIES {
            let Some(incident) = self.store().load(&[id]).await?.incidents.pop() else { return Ok(()) };
            let Some(round) = Round::of(incident.state(), &incident.milestones).filter(|round| !round.is_over()) else {
                return Ok(());
            };
            let fact = Fact::Notice(reminder::unread(round.asked));
            let milestones = vec![Milestone::new(Uuid::now_v7(), self.now(), fact)];
            let write = Write {
                expected_revision: Some(incident.revision),
                edit: Edit { milestones, since: Some(self.now()), ..Edit::default() },
                history: vec![self.line_of_daemon(id, Action::Reminded, format!("left to a person: {why}"))],
                ..Write::to(id, Writer::Operator)
            };
            match self.write_one(write).await? {
                Written::Done => {
                    self.0.changed.notify_one();
                    self.0.to_mail.notify_one();
                    return Ok(());
                }
                Written::Gone => return Ok(()),
                Written::Stale | Written::AlreadyApplied | Written::Used => {}
            }
        }
        Err(ProblemType::Busy.with("the record changes all the time").into())
    }

    /// Notes mails of ours that came back, by their Message-IDs and their numbers. Says how many it did not know of.
    pub async fn bounced(&self, message_ids: &[String], mails: &[i64]) -> Result<usize, EngineError> {
        let named = message_ids.iter().filter_map(|id| self.own_mail(id));
        let mut bounced = 0;
        for mail in named.chain(mails.iter().copied()) {
            bounced += usize::from(self.store().mail_bounced(mail, self.now()).await?);
        }
        Ok(bounced)
    }

    /// The number of a mail of ours, from its Message-ID, where it is one that this site gave.
    fn own_mail(&self, message_id: &str) -> Option<i64> {
        let (local, _) = message_id.split_once('@')?;
        let (name, site) = local.rsplit_once('.')?;
        let (number, mark) = name.split_once('.')?;
        let number = number.parse().ok()?;
        let is_ours = site == self.site().0.simple().to_string() && self.0.links.get()?.is_mark(number, mark);
        is_ours.then_some(number)
    }

    /// What one of a case's people has answered by mail becomes a comment, once for the mail, and the case goes on. `party` is
    /// whom the answered mail was for: nobody else speaks with it.
    pub async fn replied(&self, (id, party): (IncidentId, i64), answer: Answer) -> Result<Replied, EngineError> {
        let Answer { id: mail, sender, text, language, files } = answer;
        let uid = comment_of(&mail);
        let files = files.map_or(String::new(), |file| format!("; its files stand in {file} of the mail inbox"));
        for _ in 0..TRIES {
            let Some(incident) = self.store().load(&[id]).await?.incidents.pop() else { return Ok(Replied::Stranger) };
            if incident.comments.iter().any(|comment| comment.id == uid) {
                return Ok(Replied::Known);
            }
            let parties = self.store().parties(id).await?;
            let is_sender = |address: &MailAddress| address.as_str().eq_ignore_ascii_case(sender.as_str());
            let Some(party) = parties.iter().find(|one| one.id == party && is_sender(&one.address)) else {
                return Ok(Replied::Stranger);
            };
            if incident.work.phase == Phase::Close {
                return Ok(Replied::Over);
            }
            let hour = SignedDuration::from_hours(1);
            let is_lately =
                |one: &&Comment| one.party == Some(party.id) && self.now().duration_since(one.written_at) < hour;
            if incident.comments.iter().filter(is_lately).count() >= ANSWERS {
                return Ok(Replied::TooMany { limit: ANSWERS });
            }
            let word = self.word(uid, party, text.clone(), language);
            let write = Write {
                expected_revision: Some(incident.revision),
                edit: Edit { comments: vec![word], since: Some(self.now()), ..self.heard(&incident) },
                history: vec![self.line_by(
                    id,
                    Action::Commented,
                    party.who(),
                    format!("comment {uid} by mail, of party {}{files}", party.id),
                )],
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
fn comment_of(mail: &str) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(b"casebridge mail comment 1");
    hash.update(mail);
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Uuid::new_v8(bytes)
}
