//! The names of things. Each is its own type, so that an incident's number cannot stand where a transaction ID belongs.

mod hidden;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::text::{TextFault, line};

/// The identity of one incident store, made once when the store is made. It outlives a lost state directory, so an
/// exchange keeps its ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SiteId(pub Uuid);

/// The number of an incident in the site's own store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(pub i64);

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The correlation of one local incident with one case at one peer. The same incident always gets the same ID, so a
/// Create that is sent twice opens one case (design, invariant 2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId([u8; 16]);

impl ExchangeId {
    /// It begins with the incident's number, so that exchanges which are made one after the other lie side by side in
    /// every index; the rest is a digest. The natural key is part of it, so that a number which a restored store gives out again names another exchange.
    /// `generation` counts the times this incident was handed over anew, for example after a Reject (C-18).
    pub fn of(site: SiteId, incident: IncidentId, host_event_id: &str, generation: u32) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"casebridge exchange 1");
        hash.update(site.0.as_bytes());
        hash.update(incident.0.to_be_bytes());
        hash.update(generation.to_be_bytes());
        hash.update(host_event_id.as_bytes());
        let digest = hash.finalize();
        let mut id = [0; 16];
        id[..6].copy_from_slice(&incident.0.to_be_bytes()[2..]);
        id[6..].copy_from_slice(&digest[..10]);
        Self(id)
    }

    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 0xf)];
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An exchange ID is 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an exchange ID is 32 lower-case hexadecimal digits")]
pub struct NotAnExchangeId;

impl FromStr for ExchangeId {
    type Err = NotAnExchangeId;

    fn from_str(text: &str) -> Result<Self, NotAnExchangeId> {
        let digits = text.as_bytes();
        if digits.len() != 32 {
            return Err(NotAnExchangeId);
        }
        let mut id = [0; 16];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
        }
        Ok(Self(id))
    }
}

fn hex_digit(digit: u8) -> Result<u8, NotAnExchangeId> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(NotAnExchangeId),
    }
}

impl Serialize for ExchangeId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ExchangeId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A text of one line that came through the door: checked for length and characters when it is made.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $limit:expr, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The longest value, in bytes.
            pub const LIMIT: usize = $limit;

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameFault;

            fn from_str(text: &str) -> Result<Self, NameFault> {
                line(text, Self::LIMIT)?;
                let check: fn(&str) -> Result<(), NameFault> = $check;
                check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameFault;

            fn try_from(text: String) -> Result<Self, NameFault> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

pub(super) use name;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    #[error(transparent)]
    Text(#[from] TextFault),
    #[error("may hold letters, digits, '-', '_' and '.' only, and starts with a letter or digit")]
    Alias,
    #[error("must start with https:// or http://")]
    Scheme,
}

name!(
    /// The name under which the other side knows a site. Letters, digits, `-`, `_` and `.`, at most 64 bytes; it appears
    /// in trace routes, logs and file names.
    Alias,
    64,
    |text| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let starts_plainly = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if starts_plainly && text.chars().all(plain) { Ok(()) } else { Err(NameFault::Alias) }
    }
);

name!(
    /// The upstream's own incident ID: its acknowledgement of Create Case. Free text of one line, at most 64 bytes.
    TransactionId,
    64,
    |_| Ok(())
);

name!(
    /// The ID of the case at the upstream. Free text of one line, at most 128 bytes.
    CaseId,
    128,
    |_| Ok(())
);

name!(
    /// Where a person can look at the case: an `https` or `http` address, at most 2,048 bytes.
    CaseLink,
    2048,
    |text| {
        if text.starts_with("https://") || text.starts_with("http://") { Ok(()) } else { Err(NameFault::Scheme) }
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_incident_always_gets_the_same_exchange() {
        let site = SiteId(Uuid::from_u128(7));
        let id = ExchangeId::of(site, IncidentId(1), "edge1-1", 0);
        assert_eq!(id, ExchangeId::of(site, IncidentId(1), "edge1-1", 0));
        assert_ne!(id, ExchangeId::of(site, IncidentId(2), "edge1-1", 0));
        assert_ne!(id, ExchangeId::of(site, IncidentId(1), "edge1-2", 0));
        assert_ne!(id, ExchangeId::of(site, IncidentId(1), "edge1-1", 1));
        assert_ne!(id, ExchangeId::of(SiteId(Uuid::from_u128(8)), IncidentId(1), "edge1-1", 0));
    }

    #[test]
    fn an_exchange_id_reads_back_as_written_and_nothing_else_reads() {
        let id = ExchangeId::of(SiteId(Uuid::from_u128(7)), IncidentId(1), "edge1-1", 0);
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "00", &"G".repeat(32), &"A".repeat(32), &"é".repeat(16)] {
            assert_eq!(wrong.parse::<ExchangeId>(), Err(NotAnExchangeId), "{wrong}");
        }
    }

    #[test]
    fn names_are_checked_at_the_door() {
        assert!("north-noc.1".parse::<Alias>().is_ok());
        assert_eq!("../etc".parse::<Alias>(), Err(NameFault::Alias));
        assert_eq!("".parse::<Alias>(), Err(NameFault::Text(TextFault::Empty)));
        assert_eq!("javascript:alert(1)".parse::<CaseLink>(), Err(NameFault::Scheme));
        assert!("Case 2026/11 (b)".parse::<CaseId>().is_ok(), "a free-text case ID is kept (A-31)");
        assert!("a\u{1b}]0;x".parse::<CaseId>().is_err());
    }
}
