//! Which version of the protocol a site speaks, said with what it sends (C-22).

use std::fmt;

use serde::{Deserialize, Serialize};

/// `major.minor`, each 0 to 65,535 without leading zeros. An older site leaves aside what is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    major: u16,
    minor: u16,
}

impl Version {
    /// What this program speaks.
    pub const OURS: Version = Version { major: 1, minor: 2 };

    /// Whether both understand each other, each by leaving aside what it does not know.
    pub fn is_spoken(self) -> bool {
        self.major == Self::OURS.major
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Why a text is no version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a version is written major.minor, such as {ours}", ours = Version::OURS)]
pub struct NotAVersion;

impl std::str::FromStr for Version {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let (major, minor) = text.split_once('.').ok_or(NotAVersion)?;
        let number = |text: &str| text.parse().map_err(|_| NotAVersion);
        let version = Self { major: number(major)?, minor: number(minor)? };
        // A number has other spellings.
        if version.to_string() == text { Ok(version) } else { Err(NotAVersion) }
    }
}

impl TryFrom<String> for Version {
    type Error = NotAVersion;

    fn try_from(text: String) -> Result<Self, NotAVersion> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> String {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_and_our_own_reads_as_it_is_told() {
        let read = |text: &str| text.parse::<Version>();
        assert_eq!(read(super::super::VERSION), Ok(Version::OURS));
        assert!(read("1.10").unwrap() > read("1.9").unwrap() && read("2.0").unwrap() > read("1.65535").unwrap());
        assert!(!read("2.0").unwrap().is_spoken() && read("1.0").unwrap().is_spoken());
        for wrong in ["", "1", "1.", ".1", "1.2.3", "01.2", "1.+2", "1.65536", " 1.2", "1.x"] {
            assert_eq!(read(wrong), Err(NotAVersion), "{wrong:?}");
        }
    }
}
