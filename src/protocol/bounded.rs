//! JSON that stays as small as it came. A few bytes of text can become a hundred in memory: a list of zeros, an object of empty
//! objects. How many values there are is counted before any is made, and of a list no more is kept than its call has.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::BATCH_LIMIT;

/// The most values in one body or answer; a full batch of large operations has half of them.
pub const VALUES: usize = 400_000;

/// Whether a JSON text holds no more values than [`VALUES`]. It need not be well formed.
pub fn is_bounded(text: &[u8]) -> bool {
    let mut count = 0usize;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b',' | b'[' | b'{' => count += 1,
            b'"' => {
                // To the end of the string.
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => drop(bytes.next()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        if count > VALUES {
            return false;
        }
    }
    true
}

/// What is said of a text that is not.
pub fn too_many() -> String {
    format!("more than {VALUES} values")
}

/// A list of which one more than [`BATCH_LIMIT`] is kept, so that it can be told that there are too many. The rest is read over.
pub fn few<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_seq(Few(PhantomData))
}

struct Few<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Few<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut kept = Vec::new();
        while kept.len() <= BATCH_LIMIT {
            match list.next_element()? {
                Some(one) => kept.push(one),
                None => return Ok(kept),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_and_what_stands_in_strings_is_none() {
        let list = |count: usize| format!("[{}]", vec!["0"; count].join(","));
        assert!(is_bounded(list(VALUES).as_bytes()) && !is_bounded(list(VALUES + 1).as_bytes()));
        assert!(!is_bounded("{\"\":".repeat(VALUES + 1).as_bytes()));
        assert!(is_bounded(format!("\"{}\"", "[,{".repeat(VALUES)).as_bytes()));
        assert!(is_bounded(format!("\"\\\"{}\"", "[,{".repeat(VALUES)).as_bytes()), "an escaped quote ends nothing");
        assert!(
            !is_bounded(format!("\"\\\\\"{}", "[".repeat(VALUES + 1)).as_bytes()),
            "an escaped backslash does not hide one"
        );
        assert!(is_bounded(b"\"\\") && is_bounded(b"\""), "cut short");
    }

    #[test]
    fn of_a_list_no_more_is_kept_than_tells_that_it_is_too_long() {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(deserialize_with = "few")]
            list: Vec<u8>,
        }
        let read = |count: usize| {
            let text = format!("{{\"list\":[{}]}}", vec!["1"; count].join(","));
            serde_json::from_str::<Answer>(&text).unwrap().list.len()
        };
        assert_eq!(
            [0, 1, BATCH_LIMIT, BATCH_LIMIT + 1, 50_000].map(read),
            [0, 1, BATCH_LIMIT, BATCH_LIMIT + 1, BATCH_LIMIT + 1]
        );
        assert!(serde_json::from_str::<Answer>("{\"list\":[1,x]}").is_err());
    }
}
