//! The people of a case, the mails that wait for them, and when they are to be reminded. Each mail is a row that is
//! written in the transaction that decides it, once for its reason and address; it is sent from the row.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{StoreError, Write, Written};
use crate::case::reminder::Pace;
use crate::case::{CaseState, Comment, HistoryLine, IncidentId, Language, MailAddress, Milestone, Notice, Party, Role};

/// Somebody who is to be told of a case from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewParty {
    pub role: Role,
    pub name: String,
    pub address: MailAddress,
    /// None: the one that is remembered for the address, else `otherwise`.
    pub language: Option<Language>,
    pub otherwise: Language,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartyAdded {
    Added(Language),
    /// The case has as many as it may have.
    TooMany,
    /// There is no such incident.
    Gone,
}

/// How far milestones and comments were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MailCursor {
    pub milestone: i64,
    pub comment: i64,
    /// Among the comments that became public later.
    pub shown: i64,
}

/// What people may have to be told.
#[derive(Debug, Clone, Default)]
pub struct MailNews {
    pub milestones: Vec<(IncidentId, Milestone)>,
    /// Public ones.
    pub comments: Vec<(IncidentId, Comment)>,
    /// Those who were not told yet that their case is open.
    pub ungreeted: Vec<(IncidentId, MailAddress)>,
    /// Whether there was anything behind the cursor, or anybody to greet.
    pub is_news: bool,
    /// Where this reading began, and where it ended.
    pub since: MailCursor,
    pub cursor: MailCursor,
}

/// What a mail is about, apart from the record as it stands when it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<CaseState>,
    /// Comments that it brings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<Uuid>,
    /// The mail that came in, by its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intake: Option<i64>,
    /// Which reminder it is, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reminder: Option<usize>,
    /// When the case will be closed, as a notice says: so many milliseconds after it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<u64>,
}

/// Who of a case's people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    All,
    /// All but the one with this number.
    Except(i64),
    Only(MailAddress),
}

/// People of a case are to be told something, once for the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    pub incident: IncidentId,
    pub reason: String,
    pub notice: Notice,
    pub about: About,
    pub audience: Audience,
}

impl Telling {
    /// Comments of it alone, for one person; none where there are none.
    pub fn comments_apart(&self, comments: Vec<Uuid>, party: &Party) -> Option<Self> {
        let first = comments.first()?;
        Some(Self {
            incident: self.incident,
            reason: format!("comment {}", first.simple()),
            notice: Notice::Comment,
            about: About { comments, ..About::default() },
            audience: Audience::Only(party.address.clone()),
        })
    }
}

/// What the news came to.
#[derive(Debug, Clone, Default)]
pub struct NewsTaken {
    /// Where the reading began, if it was one. Nothing is written when another one moved on from there: what both read would be told
    /// under reasons that are taken, and the rest with it of nobody.
    pub since: Option<MailCursor>,
    pub cursor: MailCursor,
    pub tellings: Vec<Telling>,
    /// Their state went on: what still waits and tells of an earlier one, or asks for something, is withdrawn, but for what was
    /// written under this; with comments it goes out for their sake.
    pub moved_on: Vec<(IncidentId, Option<String>)>,
    /// To be looked after now.
    pub look: Vec<IncidentId>,
}

/// A mail whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueMail {
    pub id: i64,
    pub incident: Option<IncidentId>,
    pub notice: Notice,
    pub about: About,
    pub to: Party,
    pub made_at: Timestamp,
    /// Tries in vain.
    pub attempts: u32,
    /// Mails of the same case that the same person has: the first, and the last ones; each with its name, where that is known.
    pub thread: Vec<(i64, Option<String>)>,
}

/// What became of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailOutcome {
    Sent {
        /// What its Message-ID was made of.
        name: String,
    },
    /// Tried again then.
    Later {
        next: Timestamp,
        reason: String,
    },
    Refused {
        reason: String,
    },
    Withdrawn {
        reason: String,
    },
}

/// What became of the mails of a step, for each person who is in the case now: their last mail counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deliveries {
    /// People for whom none was written, or whose mail was withdrawn.
    pub missing: usize,
    pub waiting: usize,
    pub sent: usize,
    pub refused: usize,
    /// When the last one was sent.
    pub last_sent: Option<Timestamp>,
    /// The longest time that any of them gives.
    pub within: Option<Duration>,
    /// Roles whose people are there, and none of them has it.
    pub unreached: usize,
}

impl Deliveries {
    /// The pace, with no less time to the end than people were told.
    pub fn pace(&self, pace: &Pace) -> Pace {
        Pace { close: pace.close.max(self.within.unwrap_or_default()), ..pace.clone() }
    }
}

/// What was known of a case's people when something was decided that must not happen to somebody who was not told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeopleTold {
    /// Under which their mails were written.
    pub reasons: Vec<String>,
    /// What became of those. Without reasons: that there is nobody.
    pub deliveries: Deliveries,
}

/// A step of the reminders, decided on a case as it stood.
#[derive(Debug, Clone)]
pub struct StepTaken {
    /// The highest position of its milestones when it was decided; the step is not taken when there is a later one.
    pub seen: i64,
    pub write: Write,
    pub telling: Option<Telling>,
    pub at: Timestamp,
}

/// A row of the list of mails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailRow {
    pub id: i64,
    pub incident: Option<IncidentId>,
    pub notice: String,
    pub address: String,
    pub state: String,
    pub made_at: Timestamp,
    pub attempts: u32,
    pub next_attempt: Option<Timestamp>,
    pub settled_at: Option<Timestamp>,
    pub last_error: Option<String>,
}

/// Which mails to list: the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailQuery {
    pub incident: Option<IncidentId>,
    /// `waiting`, `sent`, `refused` or `withdrawn`.
    pub state: Option<String>,
    pub limit: usize,
}

/// Each call is one transaction.
#[async_trait]
pub trait MailStore: Send + Sync {
    /// Adds somebody to a case; who is there already is changed.
    async fn add_party(
        &self,
        incident: IncidentId,
        party: NewParty,
        line: HistoryLine,
    ) -> Result<PartyAdded, StoreError>;

    /// Takes somebody out of a case, with the mails that wait. False when nobody has the address.
    async fn remove_party(
        &self,
        incident: IncidentId,
        address: &MailAddress,
        line: HistoryLine,
    ) -> Result<bool, StoreError>;

    async fn parties(&self, incident: IncidentId) -> Result<Vec<Party>, StoreError>;

    /// Up to `limit` milestones, comments and people each, of which nobody was told yet.
    async fn mail_news(&self, limit: usize) -> Result<MailNews, StoreError>;

    /// Writes the mails that news came to, and moves the cursor behind it.
    async fn take_mail_news(&self, taken: NewsTaken, at: Timestamp) -> Result<(), StoreError>;

    /// Up to `limit` mails that are due, in the order in which they became so: of what one person is told of one case, the first
    /// alone.
    async fn due_mails(&self, now: Timestamp, limit: usize) -> Result<Vec<DueMail>, StoreError>;

    /// Whether a mail still waits: it may have been withdrawn since it was read.
    async fn waits(&self, id: i64) -> Result<bool, StoreError>;

    /// When the next mail is due, or the next case is to be looked after.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Said twice, it changes nothing; what was sent counts as sent, though it was withdrawn meanwhile. `line` tells it in the history, where it is worth telling.
    async fn settle_mail(
        &self,
        id: i64,
        outcome: MailOutcome,
        line: Option<HistoryLine>,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Of the mails that were written under any of these reasons.
    async fn deliveries(&self, incident: IncidentId, reasons: &[String]) -> Result<Deliveries, StoreError>;

    /// Up to `limit` cases whose people are to be looked after.
    async fn due_reminders(&self, now: Timestamp, limit: usize) -> Result<Vec<IncidentId>, StoreError>;

    /// When to look again; never without a reason, where it is none.
    async fn look_again(&self, incident: IncidentId, due: Option<Timestamp>) -> Result<(), StoreError>;

    /// All that are to be looked at later are looked at now: the times of the reminders were changed.
    async fn look_at_all(&self, at: Timestamp) -> Result<(), StoreError>;

    /// A person has to go on with a case that waits for its people: it is not looked after any more. `line` is written
    /// unless the same was said before.
    async fn leave_to_people(&self, incident: IncidentId, reason: &str, line: HistoryLine) -> Result<(), StoreError>;

    /// Up to `limit` cases that wait like that, with the reason.
    async fn left_to_people(&self, limit: usize) -> Result<Vec<(IncidentId, String)>, StoreError>;

    /// Takes a step of the reminders: record, milestone and mails together.
    async fn take_step(&self, step: StepTaken) -> Result<Written, StoreError>;

    async fn mails(&self, query: &MailQuery) -> Result<Vec<MailRow>, StoreError>;

    /// Has one mail that was refused tried again, or all of them; not those of people who are not in the case any more. It
    /// stands in the history of each case, or of the site where a mail is about no case, that `who` wanted it. Returns how many there were.
    async fn retry_mails(&self, mail: Option<i64>, who: &str, at: Timestamp) -> Result<u64, StoreError>;

    /// How many mails wait, and how many were refused, counted up to `limit`.
    async fn mail_counts(&self, limit: usize) -> Result<(u64, u64), StoreError>;
}
