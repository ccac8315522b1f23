//! Whole numbers in an address.

use serde::{Deserialize, Deserializer};

/// A number of 63 bits, which is what the document means by a whole number: others are refused and not cut.
pub fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = i64::deserialize(deserializer)?;
    u64::try_from(number).map(Some).map_err(serde::de::Error::custom)
}

/// How many, when so many were asked for and no more than `most` are given; all that are given where nobody said.
pub fn within(asked: Option<u64>, most: usize) -> usize {
    asked.and_then(|asked| usize::try_from(asked).ok()).map_or(most, |asked| asked.clamp(1, most))
}
