//! The mail of a reaction: plain text to the addresses of a target, with the incident's files where that is asked.

use std::time::SystemTime;

use jiff::Timestamp;
use lettre::Message;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, MultiPart, SinglePart};

use super::mail::{Letter, LetterFault, automatic, mailbox};
use crate::case::MailAddress;
use crate::config::settings::Mail;

/// What it is made of.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    /// The same at every try; the Message-ID is made from it.
    pub id: &'a str,
    pub to: &'a [MailAddress],
    /// One line.
    pub subject: String,
    pub text: String,
    pub enclosures: Vec<Enclosure>,
    pub at: Timestamp,
}

/// A file that goes with it.
#[derive(Debug, Clone)]
pub struct Enclosure {
    pub name: String,
    pub content: Vec<u8>,
}

pub(super) fn letter(settings: &Mail, report: Report<'_>) -> Result<Letter, LetterFault> {
    let fault = |fault: lettre::error::Error| LetterFault::Message(fault.to_string());
    let domain = settings.from.address.as_str().rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let mut message = Message::builder()
        .from(mailbox(&settings.from.name, &settings.from.address)?)
        .subject(report.subject)
        .date(SystemTime::from(report.at))
        .message_id(Some(format!("<{}@{domain}>", report.id)));
    for address in report.to {
        message = message.to(mailbox("", address)?);
    }
    let message = automatic(message, "auto-generated");
    let message = if report.enclosures.is_empty() {
        message.singlepart(SinglePart::plain(report.text)).map_err(fault)?
    } else {
        // Whatever a file calls itself, nobody's mail program is to open it by itself.
        let unknown = ContentType::parse("application/octet-stream");
        let unknown = unknown.map_err(|fault| LetterFault::Message(fault.to_string()))?;
        let parts = MultiPart::mixed().singlepart(SinglePart::plain(report.text));
        let enclose = |parts: MultiPart, one: Enclosure| {
            parts.singlepart(Attachment::new(one.name).body(one.content, unknown.clone()))
        };
        message.multipart(report.enclosures.into_iter().fold(parts, enclose)).map_err(fault)?
    };
    Ok(Letter::of(&message))
}
