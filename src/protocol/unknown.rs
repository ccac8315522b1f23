//! Keys that no type of ours has. A site that speaks a newer minor version may send them, and they are left aside; who
//! does not has made a mistake, which is told (C-22).

use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_ignored::Path;

use super::Version;
use crate::case::text::shown;

/// What becomes of a key that this version does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    Refused,
    LeftAside,
}

impl Unknown {
    /// By the version that a site says it speaks. Those before 1.2 say none.
    pub fn of(theirs: Option<Version>) -> Self {
        match theirs {
            Some(theirs) if theirs > Version::OURS => Unknown::LeftAside,
            Some(_) | None => Unknown::Refused,
        }
    }
}

/// A value, and the place of the first key in it that its type does not have, such as `comments[0].colour`; at most 120
/// bytes.
pub fn noting<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<(T, Option<String>), D::Error> {
    noting_where(deserializer, |_| true)
}

/// The same of the value's own keys; those of its parts are the parts' affair.
pub fn noting_its_own<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<(T, Option<String>), D::Error> {
    noting_where(deserializer, |path| matches!(path, Path::Map { parent: Path::Root, .. }))
}

fn noting_where<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
    counts: fn(&Path<'_>) -> bool,
) -> Result<(T, Option<String>), D::Error> {
    let mut first = None;
    let value = serde_ignored::deserialize(deserializer, |path| {
        if counts(&path) {
            first.get_or_insert_with(|| shown(&Place(&path).to_string(), 120));
        }
    })?;
    Ok((value, first))
}

/// What is said of such a key; `root` is the name of what it stands in, if that has one.
pub fn no_such_key(root: &str, place: &str) -> String {
    let dot = if root.is_empty() { "" } else { "." };
    format!("at `{root}{dot}{place}`: version {} of the protocol has no such key; leave it out", Version::OURS)
}

/// A place as other faults name it.
struct Place<'a>(&'a Path<'a>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Path::Root => Ok(()),
            Path::Seq { parent, index } => write!(f, "{}[{index}]", Place(parent)),
            Path::Map { parent, key } => {
                let before = Place(parent).to_string();
                let dot = if before.is_empty() { "" } else { "." };
                write!(f, "{before}{dot}{key}")
            }
            Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
                Place(parent).fmt(f)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Changes;

    #[test]
    fn the_first_key_that_nobody_knows_is_named_with_its_place() {
        let place = |text: &str| {
            let read: Result<(Changes, _), _> = noting(&mut serde_json::Deserializer::from_str(text));
            read.unwrap().1
        };
        let comment = r#"{"id":"0198c0de-0000-7000-8000-000000000001","author":"a","written_at":"2026-11-21T10:00:00Z","text":"t""#;
        for (text, said) in [
            (r#"{"solution":null}"#.to_owned(), None),
            (r#"{"colour":1,"shape":2}"#.to_owned(), Some("colour")),
            (r#"{"case":{"id":"C","status":"Open","colour":{"of":1}}}"#.to_owned(), Some("case.colour")),
            (format!(r#"{{"comments":[{comment}}},{comment},"colour":1}}]}}"#), Some("comments[1].colour")),
            ("{\"\\u001b[31m\":1}".to_owned(), Some("\\u{1b}[31m")),
        ] {
            assert_eq!(place(&text).as_deref(), said, "{text}");
        }
        assert_eq!(no_such_key("", "colour").split_once(':').unwrap().0, "at `colour`");
    }

    #[test]
    fn keys_of_a_newer_version_are_left_aside() {
        let of = |version: &str| Unknown::of(Some(version.parse().unwrap()));
        assert_eq!((of("1.3"), of("2.0")), (Unknown::LeftAside, Unknown::LeftAside));
        assert_eq!([of("1.2"), of("1.0"), Unknown::of(None)], [Unknown::Refused; 3]);
    }
}
