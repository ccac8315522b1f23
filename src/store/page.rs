//! What people do by their links and mails: mails that were answered with a form, forms that were filled in, and links that
//! were used.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::case::{Deposit, IncidentId, Language, MailAddress, Party, PassTag, Purpose};

/// A mail that is no answer to one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intake {
    /// At most 998 bytes; a second mail of the same ID is the same mail.
    pub message_id: String,
    /// The Message-ID itself, where an answer can name it.
    pub answerable: Option<String>,
    /// The directory that it came into.
    pub inbox: String,
    pub sender: MailAddress,
    pub name: Option<String>,
    pub language: Option<Language>,
    pub subject: String,
    pub text: String,
}

/// How a mail is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkRule {
    /// One sender gets at most `most` links from then on, and all who write into the same inbox `most_of_all`.
    pub since: Timestamp,
    pub most: usize,
    pub most_of_all: usize,
    /// The language of whoever did not show another one yet.
    pub otherwise: Language,
}

/// What became of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenMail {
    /// It gets a link.
    New(i64),
    /// It got one before.
    Known(i64),
    /// Its sender has got so many lately that this one is not answered.
    TooMany,
    /// All senders together have.
    TooManyOfAll,
}

/// A use of a link, to be written with what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassUse {
    pub tag: PassTag,
    pub purpose: Purpose,
    pub at: Timestamp,
}

/// A link that was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedPass {
    pub purpose: Purpose,
    pub incident: IncidentId,
    pub at: Timestamp,
}

/// A mail of ours that somebody answers, or whose link somebody follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMail {
    /// The case and one of its people, by number; none for a mail to somebody who wrote anew.
    pub about: Option<(IncidentId, i64)>,
    pub address: MailAddress,
    /// Under which it was written.
    pub reason: String,
}

/// The language in which a page was filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spoken {
    pub language: Language,
    /// By the person, instead of the one that the page would have had: it is remembered.
    pub is_chosen: bool,
}

/// A form that was filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct FilledForm {
    pub intake: i64,
    pub used: PassUse,
    pub language: Spoken,
    /// Who is to be told as well.
    pub also: Option<MailAddress>,
    pub deposit: Deposit,
}

#[async_trait]
pub trait PageStore: Send + Sync {
    /// Takes a mail once by its ID, and with it writes the mail that answers it with a link.
    async fn take_mail(&self, mail: Intake, rule: LinkRule, at: Timestamp) -> Result<TakenMail, StoreError>;

    async fn intake(&self, id: i64) -> Result<Option<Intake>, StoreError>;

    /// Makes the incident of a form, once, with its people and the mails that acknowledge it. The same form again answers with
    /// the same incident.
    async fn take_form(&self, form: FilledForm) -> Result<IncidentId, StoreError>;

    /// Somebody of a case, by the number in a link.
    async fn party(&self, incident: IncidentId, party: i64) -> Result<Option<Party>, StoreError>;

    /// What these mails of ours were about, and whom they were for; of those that were ever written.
    async fn sent_mails(&self, mails: &[i64]) -> Result<Vec<SentMail>, StoreError>;

    /// Notes that a mail of ours came back. False where it was noted before, or never went out.
    async fn mail_bounced(&self, mail: i64, at: Timestamp) -> Result<bool, StoreError>;

    /// Whether and for what a link was used.
    async fn used_pass(&self, tag: PassTag) -> Result<Option<UsedPass>, StoreError>;
}
