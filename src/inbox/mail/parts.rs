//! The structure of a mail. It is walked here, with a bound on everything: the library is handed one header or one text at a
//! time, never what lies in each other.

use mail_parser::{ContentType, HeaderName, Message, MimeHeaders, PartType};

use super::read::{FIELDS, HEADER, MailFault, parser};
use super::text::{self, Said};

/// How deep parts may lie in each other.
const DEPTH: usize = 10;
/// The most parts in all.
const PARTS: usize = 200;
/// The most bytes of a text that are read.
const TEXT: usize = 1 << 20;
/// The longest name of a file, in bytes.
const NAME: usize = 80;
/// The most Message-IDs that a report names.
const REPORTED: usize = 20;

/// What is in a mail.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// What a person wrote, as plain text.
    pub said: Said,
    /// The names of the files that came along; one without a name is an empty one.
    pub files: Vec<String>,
    /// The Message-IDs of mails that a report says were not delivered.
    pub reported: Vec<String>,
}

/// Header and body: the first line without a letter ends the header.
pub fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut start = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let end = start + line.len();
        if line.iter().all(u8::is_ascii_whitespace) {
            return (&bytes[..start], &bytes[end..]);
        }
        start = end;
    }
    (bytes, &[])
}

/// A header, once it is known to be of a usual size.
pub fn header(head: &[u8], limit: usize) -> Result<Message<'_>, MailFault> {
    if head.len() > limit {
        return Err(MailFault::LongHeader { limit });
    }
    let begins = |line: &&[u8]| !line.starts_with(b" ") && !line.starts_with(b"\t");
    if head.split(|byte| *byte == b'\n').filter(begins).count() > FIELDS {
        return Err(MailFault::ManyFields { limit: FIELDS });
    }
    parser().parse_headers(head).ok_or(MailFault::NoMail)
}

/// What is in the mail, from its parts.
pub fn content(bytes: &[u8]) -> Result<Content, MailFault> {
    let mut walk = Walk::default();
    let found = walk.part(bytes, 0)?;
    let said = found.map(Found::said).unwrap_or_default();
    let reported = if walk.failed { walk.reported } else { Vec::new() };
    Ok(Content { said, files: walk.files, reported })
}

/// The Message-IDs that stand in the text of a mail, as in the copy of a mail that could not be delivered.
pub fn returned(bytes: &[u8]) -> Vec<String> {
    let (_, body) = split(bytes);
    let lines = body[..body.len().min(TEXT)].split(|byte| *byte == b'\n');
    let id = |line: &[u8]| {
        let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
        let is_id = name.trim_start_matches(['>', ' ', '\t']).trim_end().eq_ignore_ascii_case("message-id");
        is_id.then(|| value.trim().trim_matches(['<', '>']).to_owned())
    };
    lines.filter_map(id).take(REPORTED).collect()
}

#[derive(Default)]
struct Walk {
    parts: usize,
    files: Vec<String>,
    /// A report says that something was not delivered, for good.
    failed: bool,
    reported: Vec<String>,
}

/// The text of a part, before it is made plain.
#[derive(Debug)]
enum Found {
    Plain(String),
    Html(String),
}

impl Found {
    fn said(self) -> Said {
        match self {
            Found::Plain(text) => text::said(&text),
            Found::Html(html) => text::said(&text::of_html(&html)),
        }
    }
}

impl Walk {
    fn part(&mut self, bytes: &[u8], depth: usize) -> Result<Option<Found>, MailFault> {
        if depth > DEPTH {
            return Err(MailFault::Deep { limit: DEPTH });
        }
        self.parts += 1;
        if self.parts > PARTS {
            return Err(MailFault::ManyParts { limit: PARTS });
        }
        let (head, body) = split(bytes);
        // A part may have no header at all, and is a text then.
        let header = match header(head, HEADER) {
            Err(MailFault::NoMail) => return Ok(depth.gt(&0).then(|| plain(body))),
            other => other?,
        };
        let kind = header.content_type();
        let (main, sub) = names(kind);
        match (main.as_str(), sub.as_str()) {
            ("multipart", sub) => match kind.and_then(|kind| kind.attribute("boundary")) {
                Some(boundary) => self.parts_of(body, boundary, sub, depth),
                None => Ok(Some(plain(body))),
            },
            ("message", "delivery-status" | "global-delivery-status") => {
                self.failed |= says_failed(body);
                Ok(None)
            }
            ("message", "rfc822" | "global" | "rfc822-headers") | ("text", "rfc822-headers") => {
                if sub != "rfc822-headers" {
                    self.files.push(file_name(&header));
                }
                self.report(body);
                Ok(None)
            }
            ("text", "plain" | "html") if !is_file(&header) => Ok(self.text(bytes)),
            _ => {
                self.files.push(file_name(&header));
                Ok(None)
            }
        }
    }

    fn parts_of(&mut self, body: &[u8], boundary: &str, sub: &str, depth: usize) -> Result<Option<Found>, MailFault> {
        let mut found = Vec::new();
        for part in between(body, boundary) {
            found.extend(self.part(part, depth + 1)?);
        }
        if sub == "alternative" {
            // The same several times: what needs nothing to be made of it is nearest to what was written.
            let plain = found.iter().position(|one| matches!(one, Found::Plain(text) if !text.trim().is_empty()));
            let chosen = plain.or(found.len().checked_sub(1));
            return Ok(chosen.map(|chosen| found.swap_remove(chosen)));
        }
        if found.len() < 2 {
            return Ok(found.pop());
        }
        let texts: Vec<String> = found
            .into_iter()
            .map(|one| match one {
                Found::Plain(text) => text,
                Found::Html(html) => text::of_html(&html),
            })
            .collect();
        Ok(Some(Found::Plain(texts.join("\n"))))
    }

    /// One text, out of its encoding and its character set.
    fn text(&mut self, bytes: &[u8]) -> Option<Found> {
        let cut = &bytes[..bytes.len().min(TEXT + HEADER)];
        let message = parser().parse(cut)?;
        match message.parts.into_iter().next()?.body {
            PartType::Text(text) => Some(Found::Plain(text.into_owned())),
            PartType::Html(html) => Some(Found::Html(html.into_owned())),
            _ => None,
        }
    }

    /// The mail that a report returns.
    fn report(&mut self, body: &[u8]) {
        let (head, _) = split(body);
        let Ok(returned) = header(head, HEADER) else { return };
        if let Some(id) = returned.message_id().filter(|_| self.reported.len() < REPORTED) {
            self.reported.push(id.trim().to_owned());
        }
    }
}

fn names(kind: Option<&ContentType<'_>>) -> (String, String) {
    let Some(kind) = kind else { return ("text".into(), "plain".into()) };
    (kind.ctype().to_ascii_lowercase(), kind.subtype().unwrap_or_default().to_ascii_lowercase())
}

fn plain(body: &[u8]) -> Found {
    Found::Plain(String::from_utf8_lossy(&body[..body.len().min(TEXT)]).into_owned())
}

/// As its sender calls it, in one short line.
fn file_name(header: &Message<'_>) -> String {
    text::shortened(&text::one_line(header.attachment_name().unwrap_or_default()), NAME)
}

fn is_file(header: &Message<'_>) -> bool {
    header.content_disposition().is_some_and(ContentType::is_attachment)
}

/// RFC 3464: each recipient has an action; one that failed will not be tried again.
fn says_failed(body: &[u8]) -> bool {
    let lines = body.split(|byte| *byte == b'\n').take(FIELDS);
    lines
        .filter_map(|line| std::str::from_utf8(line).ok()?.split_once(':'))
        .any(|(name, value)| name.trim().eq_ignore_ascii_case("action") && value.trim().eq_ignore_ascii_case("failed"))
}

/// The parts between the lines of a boundary.
fn between<'b>(body: &'b [u8], boundary: &str) -> Vec<&'b [u8]> {
    let marker = [b"--", boundary.as_bytes()].concat();
    let (mut parts, mut begun, mut start) = (Vec::new(), None, 0);
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let end = start + line.len();
        if let Some(rest) = line.strip_prefix(&*marker) {
            let rest = rest.trim_ascii();
            if rest.is_empty() || rest == b"--" {
                if let Some(begun) = begun {
                    parts.push(&body[begun..start]);
                }
                begun = rest.is_empty().then_some(end);
                // One more than is read: the reader says so.
                if rest == b"--" || parts.len() > PARTS {
                    return parts;
                }
            }
        }
        start = end;
    }
    parts.extend(begun.map(|begun| &body[begun..]));
    parts
}

/// The content type by which a whole mail is a report (RFC 6522).
pub fn is_report(header: &Message<'_>) -> bool {
    let (main, sub) = names(header.content_type());
    main == "multipart" && sub == "report" && header.header(HeaderName::ContentType).is_some()
}
