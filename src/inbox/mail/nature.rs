//! Who or what wrote a mail. A program is never answered: it might answer in its turn, for ever (RFC 3834).

use mail_parser::Message;

use super::parts;
use crate::case::MailAddress;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nature {
    Person,
    /// An absence notice, a report on something that is under way.
    Program,
    /// Marked as what programs write, or with a subject as theirs, and no more: it is answered by nobody. Where it comes from one
    /// of a case's people, a person looks at it.
    Doubtful,
    /// From a list, or an address behind which mostly nobody reads: it is not answered. One of a case's people may be there.
    Impersonal,
    /// A mail server could not deliver the mails of these Message-IDs.
    Bounce {
        of: Vec<String>,
    },
}

/// What is known of a mail beside its header.
#[derive(Debug, Default)]
pub struct Signs {
    /// Mails that a report in it names as failed.
    pub reported: Vec<String>,
    /// Mails that are named in its text, as mail servers without such reports return them.
    pub returned: Vec<String>,
    /// It went to an address that may be signed.
    pub is_signed: bool,
}

pub fn of(header: &Message<'_>, from: &MailAddress, signs: Signs) -> Nature {
    let raw = |name: &'static str| header.header_raw(name).map(|text| text.trim().to_ascii_lowercase());
    let without_return = raw("Return-Path").is_some_and(|path| path == "<>");
    if parts::is_report(header) {
        return match signs.reported.is_empty() {
            true => Nature::Program,
            false => Nature::Bounce { of: signs.reported },
        };
    }
    // What takes long is told by the same sender, and may arrive after all.
    let subject = header.subject().unwrap_or_default().to_lowercase();
    let is_delay = ["delay", "warning", "retard"].into_iter().any(|word| subject.contains(word));
    if is_daemon(from) && !is_delay && (signs.is_signed || !signs.returned.is_empty()) {
        return Nature::Bounce { of: signs.returned };
    }
    let submitted = raw("Auto-Submitted").is_some_and(|word| word.split(';').next().unwrap_or_default().trim() != "no");
    let precedence = raw("Precedence");
    let has_precedence = |words: &[&str]| precedence.as_deref().is_some_and(|word| words.contains(&word));
    let has = |names: &[&'static str]| names.iter().any(|name| header.header_raw(*name).is_some());
    if without_return
        || submitted
        || has_precedence(&["auto_reply", "auto-reply"])
        || has(&["X-Autoreply", "X-Autorespond", "X-Auto-Reply", "X-Autorespond-Reply"])
        || is_daemon(from)
    {
        return Nature::Program;
    }
    let is_marked =
        has_precedence(&["bulk", "junk"]) || raw("X-Auto-Response-Suppress").is_some_and(|word| suppresses_all(&word));
    match (is_marked, is_automatic(&subject)) {
        (true, true) => return Nature::Program,
        (true, false) | (false, true) => return Nature::Doubtful,
        (false, false) => {}
    }
    match has_precedence(&["list"]) || has(&["List-Id", "List-Unsubscribe"]) || is_role(from) {
        true => Nature::Impersonal,
        false => Nature::Person,
    }
}

/// Responders begin their subject so, with a colon behind it or nothing at all: a person who writes about automatic replies
/// mostly has more to say. It is no proof: an answer that is taken for an absence notice would be lost.
fn is_automatic(subject: &str) -> bool {
    const BEGINNINGS: [&str; 21] = [
        "automatic reply",
        "automatic response",
        "auto reply",
        "auto-reply",
        "autoreply",
        "auto response",
        "auto-response",
        "out of office",
        "out of the office",
        "out-of-office",
        "réponse automatique",
        "reponse automatique",
        "message d'absence",
        "message d’absence",
        "absence du bureau",
        "absent du bureau",
        "automatische antwort",
        "abwesenheitsnotiz",
        "respuesta automática",
        "risposta automatica",
        "automatisch antwoord",
    ];
    let follows = |beginning: &&str| subject.trim_start().strip_prefix(*beginning);
    BEGINNINGS.iter().filter_map(follows).any(|rest| {
        let rest = rest.trim_start();
        rest.is_empty() || rest.starts_with(':') || rest.starts_with("auto-reply")
    })
}

/// Whether no kind of answer is wanted. Exchange marks its absence notices so, as programs mark their mails; a person's mail may
/// ask for no receipts or no absence notices, and is a person's all the same.
fn suppresses_all(word: &str) -> bool {
    let has = |wanted: &str| word.split(',').any(|one| one.trim() == wanted);
    has("all") || has("oof") && has("autoreply")
}

/// The sender of what a mail server says about a mail.
fn is_daemon(from: &MailAddress) -> bool {
    plain_local(from) == "mailerdaemon"
}

/// Addresses behind which nobody reads.
fn is_role(from: &MailAddress) -> bool {
    ["postmaster", "noreply", "donotreply", "nepasrepondre"].contains(&plain_local(from).as_str())
}

fn plain_local(from: &MailAddress) -> String {
    let local = from.as_str().split('@').next().unwrap_or_default().to_ascii_lowercase();
    local.chars().filter(char::is_ascii_alphanumeric).collect()
}
