//! Faults of syntax: all of them, in words for people who do not know TOML by heart.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use toml::de::{DeTable, Error};

use super::faults::{Fault, Faults, Nature, Spot};

/// Records every fault of syntax. Gives back the text without the lines at which the parser would stop, every other byte
/// in its place.
pub(super) fn check<'t>(text: &'t str, faults: &Faults) -> Cow<'t, str> {
    let (_, mut errors) = DeTable::parse_recoverable(text);
    let lone_keys: BTreeSet<usize> =
        errors.iter().filter(|error| is_lone_key(error)).map(|error| span(error).start).collect();
    let sound = if lone_keys.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(without_lines(text, &lone_keys)) };
    if let Cow::Owned(sound) = &sound {
        // Behind the first of these lines nothing was read yet.
        let (_, more) = DeTable::parse_recoverable(sound);
        let known: HashSet<Range<usize>> = errors.iter().map(span).collect();
        errors.extend(more.into_iter().filter(|error| !known.contains(&span(error))));
    }
    for error in &errors {
        let span = span(error);
        let (message, help) = explain(error.message(), text.get(span.clone()).unwrap_or_default());
        let spot = Spot { key: String::new(), span };
        let (message, help) = (message.to_owned(), help.to_owned());
        faults.add(Fault { spot, message, help, cut: None, nature: Nature::Syntax });
    }
    sound
}

fn span(error: &Error) -> Range<usize> {
    error.span().unwrap_or(0..0)
}

fn is_lone_key(error: &Error) -> bool {
    error.message().starts_with("key with no value")
}

/// The text with blanks in place of the lines in which these bytes stand.
fn without_lines(text: &str, bytes: &BTreeSet<usize>) -> String {
    let mut start = 0;
    let line = |line: &str| {
        let range = start..start + line.len();
        start = range.end;
        if bytes.range(range).next().is_none() {
            return line.to_owned();
        }
        let content = line.trim_end_matches(['\r', '\n']);
        " ".repeat(content.len()) + line.strip_prefix(content).unwrap_or_default()
    };
    text.split_inclusive('\n').map(line).collect()
}

/// Message and remedy for what the parser says. `at` is the text that it is about.
fn explain<'m>(message: &'m str, at: &str) -> (&'m str, &'static str) {
    if message.contains("duplicate key") {
        (message, "every key and every [section] may stand only once; [[section]] may stand several times")
    } else if at.starts_with(|c: char| c.is_alphanumeric() || c == '/') {
        // The parser takes a bare word for a number and says so.
        ("this is not a value", "put texts and durations in double quotes; true, false and numbers stand without")
    } else {
        (message, "the form of the file is TOML 1.0: https://toml.io/en/v1.0.0")
    }
}
