//! What sites tell each other of a file before its content goes: a name, a type, a length and a digest. All four are data
//! and never a path, a header or a command (C-34, C-60).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::id::Alias;
use super::text::{TextFault, line};

/// The SHA-256 of a file's content, as 64 lowercase hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentDigest(String);

/// Why a text is no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 is written with 64 lowercase hexadecimal digits")]
pub struct NotADigest;

impl ContentDigest {
    pub fn of(content: &[u8]) -> Self {
        Self::ended(Sha256::new_with_prefix(content))
    }

    /// Of everything that was put into `hash`.
    pub fn ended(hash: Sha256) -> Self {
        Self::from_bytes(&hash.finalize().into())
    }

    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |half: u8| char::from(DIGITS[usize::from(half & 0xf)]);
        Self(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect())
    }

    pub fn to_bytes(&self) -> [u8; 32] {
        let digit = |letter: u8| if letter.is_ascii_digit() { letter - b'0' } else { letter.wrapping_sub(b'a' - 10) };
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(self.0.as_bytes().chunks_exact(2)) {
            *byte = digit(pair[0]) << 4 | digit(pair[1]) & 0xf;
        }
        bytes
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContentDigest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let fits = text.len() == 64 && text.bytes().all(is_digit);
        if fits { Ok(Self(text.to_owned())) } else { Err(NotADigest) }
    }
}

impl TryFrom<String> for ContentDigest {
    type Error = NotADigest;

    fn try_from(text: String) -> Result<Self, NotADigest> {
        text.parse()
    }
}

impl From<ContentDigest> for String {
    fn from(digest: ContentDigest) -> Self {
        digest.0
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A file that is announced; its content follows apart from the case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttachmentNote {
    /// One line, at most 256 bytes.
    pub name: String,
    /// One line, at most 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    pub bytes: u64,
    pub sha256: ContentDigest,
}

/// Why a note cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteFault {
    #[error("its name {0}")]
    Name(TextFault),
    #[error("its media type {0}")]
    MediaType(TextFault),
    #[error("it is {0} bytes long, which no file is")]
    Bytes(u64),
}

impl AttachmentNote {
    /// A petabyte: what is longer is a mistake, and would not fit into a store's numbers for ever.
    const BYTES_LIMIT: u64 = 1 << 50;

    pub fn check(&self) -> Result<(), NoteFault> {
        line(&self.name, 256).map_err(NoteFault::Name)?;
        if let Some(media_type) = &self.media_type {
            line(media_type, 128).map_err(NoteFault::MediaType)?;
        }
        if self.bytes > Self::BYTES_LIMIT { Err(NoteFault::Bytes(self.bytes)) } else { Ok(()) }
    }
}

/// The name of a file told apart from others of the same name, by a mark before its ending.
pub fn file_name_apart(name: &str, mark: &str) -> String {
    /// The longest name of a file, in bytes.
    const LIMIT: usize = 255;
    /// What is longer says nothing of a file's kind.
    const ENDING: usize = 32;
    let (stem, ending) = match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= ENDING => name.split_at(dot),
        _ => (name, ""),
    };
    let mut room = LIMIT.saturating_sub(mark.len() + ending.len()).min(stem.len());
    while !stem.is_char_boundary(room) {
        room -= 1;
    }
    format!("{}{mark}{ending}", stem.get(..room).unwrap_or_default())
}

/// Where both sites have a file of one name, how the client's is told from the upstream's when they compare.
pub fn name_of_clients(name: &str) -> String {
    format!("{name} (the client's)")
}

/// A file of an incident that is ready for one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    pub peer: Alias,
    pub note: AttachmentNote,
    /// Grows with each file that becomes ready, and when its content changes.
    pub position: i64,
}

/// How one file stands towards one peer, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transfer {
    pub name: String,
    pub peer: String,
    /// `to` or `from` the peer.
    pub direction: String,
    /// `due`, `ready`, `sent`, `skipped` or `failed`; `awaited`, `arrived`, `refused` or `failed`.
    pub state: String,
    /// Why it does not go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Bytes of it that are here, of one that comes from the peer.
    pub received: u64,
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_one_spelling() {
        let digest = ContentDigest::of(b"");
        assert_eq!(digest.as_str(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(digest.as_str().parse(), Ok(digest.clone()));
        assert_eq!(ContentDigest::from_bytes(&digest.to_bytes()), digest);
        for wrong in ["", "e3", &digest.as_str().to_uppercase(), &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(wrong.parse::<ContentDigest>(), Err(NotADigest), "{wrong}");
        }
    }

    #[test]
    fn a_name_told_apart_keeps_its_ending_and_its_limit() {
        for (name, apart) in
            [("ph.jpg", "ph-1.jpg"), ("core", "core-1"), (".profile", ".profile-1"), ("a.b.gz", "a.b-1.gz")]
        {
            assert_eq!(file_name_apart(name, "-1"), apart);
        }
        for name in ["é".repeat(128), format!("x.{}", "y".repeat(250)), format!("{}.conf", "x".repeat(251))] {
            let apart = file_name_apart(&name, &"*".repeat(65));
            assert!(apart.len() <= 255 && apart.contains('*'), "{apart}");
            assert_eq!(apart.ends_with(".conf"), name.ends_with(".conf"));
        }
    }

    #[test]
    fn a_name_that_would_steer_a_terminal_is_refused_and_one_that_looks_like_a_path_is_a_name() {
        let note = |name: &str| AttachmentNote {
            name: name.into(),
            media_type: None,
            bytes: 1,
            sha256: ContentDigest::of(b"x"),
        };
        assert_eq!(note("../../etc/passwd").check(), Ok(()), "nothing opens it");
        assert_eq!(note("a\u{1b}[2J").check(), Err(NoteFault::Name(TextFault::Control(0x1b))));
        assert_eq!(note("a\r\nX: y").check(), Err(NoteFault::Name(TextFault::Control(13))));
        assert_eq!(note("").check(), Err(NoteFault::Name(TextFault::Empty)));
        let long = AttachmentNote { bytes: u64::MAX, ..note("x") };
        assert_eq!(long.check(), Err(NoteFault::Bytes(u64::MAX)));
    }
}
