//! Signed links: what a page or a reply by mail may do, for whom and until when. A pass is a short text
//! that nobody can guess or change. It stands in the address of a page and in the address that a mail is answered to, so it
//! holds small letters and digits only: mail systems change capitals.
//!
//! Whether a pass was used is known to the store alone; the rest is said here, without asking anybody.

mod letters;

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

use super::id::IncidentId;

/// Stands where a pass was taken out of a text.
const LEFT_OUT: &str = "[…]";
/// The longest pass, in letters.
const LIMIT: usize = 120;
/// Bytes of the signature: half of what HMAC-SHA-256 gives (RFC 2104, section 5).
const TAG: usize = 16;
/// Also signed, so that the key signs nothing else that looks like a pass.
const DOMAIN: &[u8] = b"casebridge pass 1";
/// The same for the marks of mails.
const MARK_DOMAIN: &[u8] = b"casebridge mail 1";

/// The one thing that a pass is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Filling in the incident form, once.
    Form,
    /// Answering a request, once.
    Answer,
    /// Confirming that a case may be closed, once.
    Confirm,
    /// Saying that it is not solved, once.
    NotSolved,
    /// Answering by mail, as often as somebody likes.
    Reply,
}

impl Purpose {
    pub const ALL: [Purpose; 5] =
        [Purpose::Form, Purpose::Answer, Purpose::Confirm, Purpose::NotSolved, Purpose::Reply];

    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Form => "form",
            Purpose::Answer => "answer",
            Purpose::Confirm => "confirm",
            Purpose::NotSolved => "not_solved",
            Purpose::Reply => "reply",
        }
    }

    fn code(self) -> u8 {
        match self {
            Purpose::Form => 1,
            Purpose::Answer => 2,
            Purpose::Confirm => 3,
            Purpose::NotSolved => 4,
            Purpose::Reply => 5,
        }
    }
}

/// What it is about, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A mail that came in, by its number in the store: the form is its sender's.
    Intake(i64),
    /// An incident, and one of its parties, by the number of each in the store.
    Party { incident: IncidentId, party: i64 },
}

/// What is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    pub purpose: Purpose,
    pub subject: Subject,
    /// Counts to the second.
    pub expires_at: Timestamp,
    /// Tells passes apart that are alike otherwise, such as those of two mails: the number of the mail.
    pub serial: u64,
}

/// The name of one pass, under which the store remembers that it was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PassTag(pub [u8; TAG]);

impl fmt::Display for PassTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a pass opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PassFault {
    /// Also one that was cut off or changed on its way.
    #[error("this is no link of this site's")]
    NotOurs,
    #[error("the link has expired")]
    Expired,
    #[error("the link was used")]
    Used,
}

/// Signs passes and knows them again. It is never shown.
pub struct PassKey([u8; 32]);

impl fmt::Debug for PassKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PassKey(..)")
    }
}

impl PassKey {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The pass as a text.
    pub fn sign(&self, pass: &Pass) -> String {
        let mut bytes = encode(pass);
        let tag = self.mac(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&tag[..TAG]);
        letters::write(&bytes)
    }

    /// What a text that came in allows at `now`. The store has to be asked whether it was used.
    pub fn read(&self, text: &str, now: Timestamp) -> Result<(Pass, PassTag), PassFault> {
        let (pass, tag) = self.known(text).ok_or(PassFault::NotOurs)?;
        if pass.expires_at <= now { Err(PassFault::Expired) } else { Ok((pass, tag)) }
    }

    /// The pass that was signed here as this text, whether it has expired or not.
    pub fn known(&self, text: &str) -> Option<(Pass, PassTag)> {
        let bytes = Some(text).filter(|text| text.len() <= LIMIT).and_then(letters::read)?;
        let (content, tag) = bytes.split_last_chunk::<TAG>()?;
        // In constant time: how long the answer takes tells nothing about the right one.
        self.mac(content).verify_truncated_left(tag).ok()?;
        Some((decode(content)?, PassTag(*tag)))
    }

    /// Stands beside the number of a mail in its Message-ID, so that nobody names a mail that they did not get.
    pub fn mark(&self, mail: i64) -> String {
        let tag = self.mac_in(MARK_DOMAIN, &mail.to_be_bytes()).finalize().into_bytes();
        letters::write(&tag[..TAG])
    }

    pub fn is_mark(&self, mail: i64, text: &str) -> bool {
        let tag = Some(text).filter(|text| text.len() <= LIMIT).and_then(letters::read);
        // One length only: a part of a mark is easier to guess.
        let tag = tag.filter(|tag| tag.len() == TAG);
        tag.is_some_and(|tag| self.mac_in(MARK_DOMAIN, &mail.to_be_bytes()).verify_truncated_left(&tag).is_ok())
    }

    fn mac(&self, content: &[u8]) -> Hmac<Sha256> {
        self.mac_in(DOMAIN, content)
    }

    fn mac_in(&self, domain: &[u8], content: &[u8]) -> Hmac<Sha256> {
        // `KeyInit` for HMAC takes keys of every length; this one is as long as the digest.
        let mut mac = Hmac::<Sha256>::new(&self.block());
        mac.update(domain);
        mac.update(content);
        mac
    }

    /// The key, filled up with zeros to the block of SHA-256 as RFC 2104 has it.
    fn block(&self) -> hmac::digest::Key<Hmac<Sha256>> {
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        block[..self.0.len()].copy_from_slice(&self.0);
        block
    }
}

/// Makes the links of a site.
#[derive(Debug)]
pub struct Links {
    key: PassKey,
    /// The public address of the pages: scheme, host, port.
    address: String,
}

impl Links {
    pub fn new(key: PassKey, address: String) -> Self {
        Self { key, address }
    }

    /// The address of a page.
    pub fn url(&self, pass: &Pass) -> String {
        format!("{}/p/{}", self.address, self.key.sign(pass))
    }

    /// A mail address with a pass in it: `support@site` becomes `support+PASS@site`. None where the local part would become
    /// longer than mail allows.
    pub fn reply_address(&self, mailbox: &str, pass: &Pass) -> Option<String> {
        const LOCAL_LIMIT: usize = 64;
        let (local, domain) = mailbox.rsplit_once('@')?;
        let local = format!("{local}+{}", self.key.sign(pass));
        (local.len() <= LOCAL_LIMIT).then(|| format!("{local}@{domain}"))
    }

    /// The pass in a mail address that [`Links::reply_address`] made; `None` where there is none at all.
    pub fn in_address(&self, address: &str, now: Timestamp) -> Option<Result<(Pass, PassTag), PassFault>> {
        let (local, _) = address.rsplit_once('@')?;
        let (_, text) = local.rsplit_once('+')?;
        Some(self.read(text, now))
    }

    /// The text without the passes of this site: what somebody quotes is read by others, for whom they are not.
    pub fn without_passes(&self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(begin) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
            let (before, from) = rest.split_at(begin);
            let (word, after) = from.split_at(from.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(from.len()));
            clean.push_str(before);
            // In the address of another page, `%2F` stands for a slash.
            let escape = if before.ends_with('%') { word.len().min(2) } else { 0 };
            match self.known(&word[escape..]) {
                Some(_) => {
                    clean.push_str(&word[..escape]);
                    clean.push_str(LEFT_OUT);
                }
                None => clean.push_str(word),
            }
            rest = after;
        }
        clean.push_str(rest);
        clean
    }

    /// See [`PassKey::mark`].
    pub fn mark(&self, mail: i64) -> String {
        self.key.mark(mail)
    }

    /// See [`PassKey::is_mark`].
    pub fn is_mark(&self, mail: i64, text: &str) -> bool {
        self.key.is_mark(mail, text)
    }

    /// See [`PassKey::known`].
    pub fn known(&self, text: &str) -> Option<(Pass, PassTag)> {
        self.key.known(text)
    }

    /// See [`PassKey::read`].
    pub fn read(&self, text: &str, now: Timestamp) -> Result<(Pass, PassTag), PassFault> {
        self.key.read(text, now)
    }
}

fn encode(pass: &Pass) -> Vec<u8> {
    let mut bytes = vec![pass.purpose.code()];
    match pass.subject {
        Subject::Intake(intake) => {
            bytes.push(0);
            number(&mut bytes, intake as u64);
        }
        Subject::Party { incident, party } => {
            bytes.push(1);
            number(&mut bytes, incident.0 as u64);
            number(&mut bytes, party as u64);
        }
    }
    number(&mut bytes, pass.expires_at.as_second() as u64);
    number(&mut bytes, pass.serial);
    bytes
}

/// Whether the signature is right was looked at before: what does not read was signed by another version.
fn decode(bytes: &[u8]) -> Option<Pass> {
    let (code, rest) = bytes.split_first()?;
    let purpose = Purpose::ALL.into_iter().find(|purpose| purpose.code() == *code)?;
    let (kind, mut rest) = rest.split_first()?;
    let mut next = || {
        let (value, after) = take_number(rest)?;
        rest = after;
        Some(value)
    };
    let subject = match kind {
        0 => Subject::Intake(next()? as i64),
        1 => Subject::Party { incident: IncidentId(next()? as i64), party: next()? as i64 },
        _ => return None,
    };
    let expires_at = Timestamp::from_second(next()? as i64).ok()?;
    let serial = next()?;
    rest.is_empty().then_some(Pass { purpose, subject, expires_at, serial })
}

/// Seven bits a byte, the lowest first: small numbers make short passes.
fn number(bytes: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * at as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests;
