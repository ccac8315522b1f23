//! A file becomes a letter: who writes, what it answers, what is in it. Everything in it is its writer's word.

use mail_parser::{Address, HeaderName, HeaderValue, Message, MessageParser};
use sha2::{Digest, Sha256};

use super::nature::{self, Nature, Signs};
use super::origin;
use super::parts::{self, Content};
use super::text::{Said, one_line, shortened};
use crate::case::text::line;
use crate::case::{Language, MailAddress};

/// A mail, as far as it counts here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// What it is known by: a digest of its Message-ID and of what it says, or of the whole where it has none. Whoever gives two
    /// mails one ID has written two mails.
    pub id: String,
    /// Its Message-ID, where it is one that an answer can name.
    pub answerable: Option<String>,
    pub nature: Nature,
    pub from: MailAddress,
    /// The name beside the address, at most 128 bytes.
    pub name: Option<String>,
    /// Addresses that it went to: those with a `+`, which may hold a pass.
    pub to: Vec<String>,
    /// The Message-IDs that it answers.
    pub answers: Vec<String>,
    /// One line of at most 200 bytes; may be empty.
    pub subject: String,
    /// What was written, without what it quotes and without the signature, at most 16,000 bytes, and which files came along;
    /// may be empty.
    pub text: String,
    /// What it quotes, where nothing else is written.
    pub quoted: String,
    pub has_files: bool,
    pub language: Option<Language>,
    /// The servers that it came over name a sender of another domain. What is sent in many names at once looks like that.
    pub is_from_elsewhere: bool,
}

/// Whom a mail is from and what it answers, where the rest of it cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    pub from: MailAddress,
    /// As in a [`Letter`].
    pub to: Vec<String>,
    pub answers: Vec<String>,
}

/// Why a file is no mail that can be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailFault {
    #[error("it is no mail: it has no header")]
    NoMail,
    #[error("its header is longer than {limit} bytes")]
    LongHeader { limit: usize },
    #[error("its header has more than {limit} fields")]
    ManyFields { limit: usize },
    #[error("it has more than {limit} parts")]
    ManyParts { limit: usize },
    #[error("its parts lie more than {limit} deep in each other")]
    Deep { limit: usize },
    #[error("it names no sender that could be answered")]
    NoSender,
    #[error("it names more than one sender")]
    ManySenders,
    #[error("it has {bytes} bytes; at most {limit} are allowed")]
    TooLarge { bytes: u64, limit: u64 },
    #[error("the daemon may not read it")]
    Unreadable,
    /// Who wrote it is not whom the mail was for that it answers.
    #[error("it answers a mail of case {incident}, and its sender is not the person whom that mail was for")]
    Stranger { incident: i64 },
    #[error("it answers a mail of case {incident}, and nothing is written in it")]
    Empty { incident: i64 },
    /// Two programs that answer each other would go on for ever.
    #[error("its sender has answered case {incident} {limit} times within an hour")]
    TooMany { incident: i64, limit: usize },
    /// A program that answers each mail would get a link for each answer.
    #[error("it answers the mail with the link to the form, and no form was filled in")]
    AnswersForm,
    #[error("it answers a mail of case {incident}, and is marked as what programs write")]
    Doubtful { incident: i64 },
    /// The store itself does not take it.
    #[error("{0}")]
    Refused(String),
}

impl MailFault {
    /// What a person can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            MailFault::NoMail | MailFault::Unreadable | MailFault::Refused(_) => {
                "Find out what writes into this directory, and put the mail back when it is right."
            }
            MailFault::LongHeader { .. }
            | MailFault::ManyFields { .. }
            | MailFault::ManyParts { .. }
            | MailFault::Deep { .. }
            | MailFault::NoSender
            | MailFault::ManySenders => "No mail program writes such a mail. Look at it with care, or delete it.",
            MailFault::TooLarge { .. } => "Read it with a mail program, or raise mail_inbox.max_size and put it back.",
            MailFault::Stranger { .. } => {
                "If the sender may speak for the case, write down what it says with `casebridge comment`, and add the address with \
                 `casebridge party add`: answers to mails of their own are taken."
            }
            MailFault::Empty { .. } => "Read it with a mail program; there may be something in what it quotes.",
            MailFault::Doubtful { .. } => {
                "Look whether a person wrote it. What counts of it can be written down with `casebridge comment`."
            }
            MailFault::TooMany { .. } => {
                "Look whether a person wrote it. What counts of it can be written down with `casebridge comment`; put back later, it \
                 is taken."
            }
            MailFault::AnswersForm => {
                "Its sender has the link. If it reports an incident all the same, enter it with `casebridge open`, or ask its sender \
                 to use the link or to write a new mail."
            }
        }
    }
}

/// The longest header of a mail, in bytes.
pub(super) const HEADER: usize = 256 << 10;
/// The most fields of a header.
pub(super) const FIELDS: usize = 1000;
/// The most addresses and Message-IDs that are looked at.
const LOOKED_AT: usize = 100;
/// What a line of a mail can hold (RFC 5322), so no Message-ID is longer.
const ID_LIMIT: usize = 998;

pub fn read(bytes: &[u8]) -> Result<Letter, MailFault> {
    let (head, _) = parts::split(bytes);
    let header = parts::header(head, HEADER)?;
    let (from, name) = sender(&header)?;
    let Content { said: Said { own, quoted }, files, reported } = parts::content(bytes)?;
    let to = recipients(&header);
    let nature =
        nature::of(&header, &from, Signs { reported, returned: parts::returned(bytes), is_signed: !to.is_empty() });
    let text = paragraphs([own, note(&files)]);
    let subject = shortened(&one_line(header.subject().unwrap_or_default()), 200);
    Ok(Letter {
        id: id(&header, bytes, [from.as_str(), &subject, &paragraphs([text.clone(), quoted.clone()])]),
        answerable: answerable(&header),
        is_from_elsewhere: origin::is_elsewhere(&header, &from),
        nature,
        from,
        name,
        to,
        answers: answers(&header),
        subject,
        text,
        quoted,
        has_files: !files.is_empty(),
        language: language(&header),
    })
}

/// From the beginning of a mail that cannot be taken; none where it is no person's.
pub fn envelope(beginning: &[u8]) -> Option<Envelope> {
    let (head, _) = parts::split(beginning);
    let header = parts::header(head, HEADER).ok()?;
    let (from, _) = sender(&header).ok()?;
    let nature = nature::of(&header, &from, Signs::default());
    let is_program = matches!(nature, Nature::Program | Nature::Bounce { .. });
    (!is_program).then(|| Envelope { to: recipients(&header), answers: answers(&header), from })
}

/// Which files came along: how many, and the names of the first ones.
fn note(files: &[String]) -> String {
    const NAMED: usize = 5;
    let named: Vec<&str> = files.iter().map(String::as_str).filter(|name| !name.is_empty()).take(NAMED).collect();
    let more = if files.len() > named.len() && !named.is_empty() { ", ..." } else { "" };
    match files.len() {
        0 => String::new(),
        count if named.is_empty() => format!("[{count} attached]"),
        count => format!("[{count} attached: {}{more}]", named.join(", ")),
    }
}

/// Those that are not empty, below each other.
pub(super) fn paragraphs(texts: [String; 2]) -> String {
    texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// A mail with two of them is made to be understood in two ways.
fn sender(header: &Message<'_>) -> Result<(MailAddress, Option<String>), MailFault> {
    let mut fields = header.header_values(HeaderName::From);
    let field = fields.next().and_then(HeaderValue::as_address).ok_or(MailFault::NoSender)?;
    if fields.next().is_some() || field.iter().nth(1).is_some() {
        return Err(MailFault::ManySenders);
    }
    let one = field.first().ok_or(MailFault::NoSender)?;
    let address = one.address.as_deref().unwrap_or_default().trim();
    let address: MailAddress = address.parse().map_err(|_| MailFault::NoSender)?;
    if !address.as_str().is_ascii() {
        return Err(MailFault::NoSender);
    }
    let name = one_line(one.name.as_deref().unwrap_or_default());
    Ok((address, line(&name, 128).ok().map(str::to_owned).filter(|name| !name.contains(['<', '>', '@']))))
}

fn id(header: &Message<'_>, bytes: &[u8], says: [&str; 3]) -> String {
    let digest = match header.message_id().map(str::trim).filter(|id| line(id, ID_LIMIT).is_ok()) {
        // Not of the whole: each copy has the marks of the servers that it came over.
        Some(given) => says
            .into_iter()
            .fold(Sha256::new_with_prefix(given), |hash, part| hash.chain_update([0]).chain_update(part)),
        None => Sha256::new_with_prefix(bytes),
    };
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// It goes into a header of ours, and what is no Message-ID there could be anything.
fn answerable(header: &Message<'_>) -> Option<String> {
    const LONG: usize = 250;
    let id = header.message_id()?.trim();
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '(' | ')' | '"' | '\\' | ',' | ';');
    let has_sides = id.split_once('@').is_some_and(|(left, right)| !left.is_empty() && !right.is_empty());
    (id.len() <= LONG && has_sides && id.chars().all(is_plain)).then(|| id.to_owned())
}

/// Where the mail went, by the fields that mail programs and mail servers write.
fn recipients(header: &Message<'_>) -> Vec<String> {
    let lists = [HeaderName::To, HeaderName::Cc].into_iter().flat_map(|name| header.header_values(name));
    let listed = lists.filter_map(HeaderValue::as_address).flat_map(Address::iter);
    let listed = listed.filter_map(|one| one.address.as_deref());
    let delivered = ["Delivered-To", "X-Original-To", "Envelope-To"];
    let delivered = delivered.into_iter().filter_map(|name| header.header_raw(name));
    let one = |address: &str| address.trim().trim_matches(['<', '>']).to_owned();
    let signed = |address: &String| address.contains('+') && address.len() <= 320;
    delivered.chain(listed).map(one).filter(signed).take(LOOKED_AT).collect()
}

fn answers(header: &Message<'_>) -> Vec<String> {
    let mut answers = Vec::new();
    for value in [header.in_reply_to(), header.references()] {
        match value {
            HeaderValue::Text(id) => answers.push(id.trim().to_owned()),
            // The last ones are the nearest.
            HeaderValue::TextList(ids) => answers.extend(ids.iter().rev().map(|id| id.trim().to_owned())),
            _ => {}
        }
    }
    answers.truncate(LOOKED_AT);
    answers.retain(|id| line(id, ID_LIMIT).is_ok());
    answers
}

fn language(header: &Message<'_>) -> Option<Language> {
    let raw = |name: &'static str| header.header_raw(name).map(str::trim).filter(|text| text.len() <= 1000);
    raw("Content-Language")
        .and_then(Language::of_tag)
        .or_else(|| raw("Accept-Language").and_then(|accept| Language::wanted(accept, &Language::ALL)))
}

/// The parser that every part is read with.
pub(super) fn parser() -> MessageParser {
    MessageParser::default()
}

#[cfg(test)]
mod tests;
