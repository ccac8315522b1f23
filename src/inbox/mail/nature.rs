//! Who or what wrote a mail. A program is never answered: it might answer in its turn, for ever (RFC 3834).

use mail_parser::Message;

use super::parts;
use crate::case::MailAddress;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nature {
    Person,
    /// An absence notice, a list, a report on something that is under way.
    Program,
    /// A mail server could not deliver the mails of these Message-IDs.
    Bounce {
        of: Vec<String>,
    },
}

/// `reported` are mails that a report in it names as failed.
pub fn of(header: &Message<'_>, from: &MailAddress, reported: Vec<String>) -> Nature {
    let raw = |name: &'static str| header.header_raw(name).map(|text| text.trim().to_ascii_lowercase());
    let without_return = raw("Return-Path").is_some_and(|path| path == "<>");
    if parts::is_report(header) && !reported.is_empty() {
        return Nature::Bounce { of: reported };
    }
    let submitted = raw("Auto-Submitted").is_some_and(|word| word.split(';').next().unwrap_or_default().trim() != "no");
    let precedence = raw("Precedence");
    let bulk = ["bulk", "list", "junk", "auto_reply", "auto-reply"];
    let answering =
        ["X-Autoreply", "X-Autorespond", "X-Auto-Reply", "X-Autorespond-Reply", "List-Id", "List-Unsubscribe"];
    let program = parts::is_report(header)
        || without_return
        || submitted
        || precedence.is_some_and(|word| bulk.contains(&word.as_str()))
        || answering.into_iter().any(|name| header.header_raw(name).is_some())
        || is_role(from);
    if program { Nature::Program } else { Nature::Person }
}

/// Addresses behind which nobody reads.
fn is_role(from: &MailAddress) -> bool {
    let local = from.as_str().split('@').next().unwrap_or_default().to_ascii_lowercase();
    let plain: String = local.chars().filter(char::is_ascii_alphanumeric).collect();
    ["mailerdaemon", "postmaster", "noreply", "donotreply", "nepasrepondre"].contains(&plain.as_str())
}
