//! Values that people and programs write into addresses and bodies, refused in words that say what they have to be.

use jiff::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// An instant.
pub fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let read = |text: String| {
        text.parse().map_err(|_| D::Error::custom("must be an instant with its offset, such as 2026-11-25T12:00:00Z"))
    };
    Option::<String>::deserialize(deserializer)?.map(read).transpose()
}
