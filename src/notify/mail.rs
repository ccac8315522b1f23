//! A mail as it stands on the wire: text and HTML side by side, in its thread, and marked as a machine's (RFC 3834), so that
//! no auto-responder answers it.

use std::time::SystemTime;

use jiff::Timestamp;
use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder, MultiPart};
use lettre::{Address, Message};

use super::template::{Fields, RenderFault, Text};
use crate::case::{MailAddress, Notice, Party, SiteId};
use crate::config::settings::Mail;

/// What a mail is made of.
#[derive(Debug, Clone)]
pub struct Sheet<'a> {
    /// The Message-ID is made from it: the same at every try, and of no other mail of the site.
    pub name: String,
    pub notice: Notice,
    pub to: &'a Party,
    /// The names of earlier mails of the same case to the same person, the first one first.
    pub thread: Vec<String>,
    pub fields: Fields,
    /// The Message-ID of somebody's mail that this one answers.
    pub answers: Option<String>,
    /// Where answers go, in place of what the settings say.
    pub reply_to: Option<String>,
    pub at: Timestamp,
}

/// A mail that is ready to go.
#[derive(Debug, Clone)]
pub struct Letter {
    envelope: Envelope,
    bytes: Vec<u8>,
}

impl Letter {
    pub(super) fn of(message: &Message) -> Self {
        Self { envelope: message.envelope().clone(), bytes: message.formatted() }
    }

    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Why a mail cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LetterFault {
    #[error("its template fails: {0}")]
    Template(#[from] RenderFault),
    #[error("{0}")]
    Message(String),
}

pub(super) fn letter(settings: &Mail, site: SiteId, sheet: &Sheet<'_>, text: Text) -> Result<Letter, LetterFault> {
    let domain = settings.from.address.as_str().rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let message_id = |name: &str| format!("<{name}.{}@{domain}>", site.0.simple());
    let mut message = Message::builder()
        .from(mailbox(&settings.from.name, &settings.from.address)?)
        .to(mailbox(&sheet.to.name, &sheet.to.address)?)
        .subject(text.subject)
        .date(SystemTime::from(sheet.at))
        .message_id(Some(message_id(&sheet.name)));
    let signed = sheet.reply_to.as_deref().and_then(|address| address.parse().ok());
    if let Some(reply_to) = signed.as_ref().or(settings.reply_to.as_ref()) {
        message = message.reply_to(mailbox("", reply_to)?);
    }
    let answered = sheet.answers.iter().map(|id| format!("<{id}>"));
    let earlier: Vec<String> = answered.chain(sheet.thread.iter().map(|name| message_id(name))).collect();
    if let Some(last) = earlier.last() {
        message = message.in_reply_to(last.clone()).references(earlier.join(" "));
    }
    let message = automatic(message, if sheet.notice == Notice::Form { "auto-replied" } else { "auto-generated" });
    let fault = |fault: lettre::error::Error| LetterFault::Message(fault.to_string());
    let message = message.multipart(MultiPart::alternative_plain_html(text.plain, text.html)).map_err(fault)?;
    Ok(Letter::of(&message))
}

/// The headers of a mail that no person wrote: on its own account, or as an answer.
pub(super) fn automatic(message: MessageBuilder, how: &'static str) -> MessageBuilder {
    let header = |name, value: &str| HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned());
    [("Auto-Submitted", how)]
        .into_iter()
        .chain(AUTOMATIC)
        .fold(message, |message, (name, value)| message.raw_header(header(name, value)))
}

/// What tells auto-responders that nobody is there to read them.
const AUTOMATIC: [(&str, &str); 2] = [("Precedence", "bulk"), ("X-Auto-Response-Suppress", "All")];

pub(super) fn mailbox(name: &str, address: &MailAddress) -> Result<Mailbox, LetterFault> {
    let address: Address = address.as_str().parse().map_err(|_| LetterFault::Message("the address is none".into()))?;
    let name = Some(name).filter(|name| !name.is_empty()).map(str::to_owned);
    Ok(Mailbox::new(name, address))
}
