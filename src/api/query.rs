//! Values in an address.

use std::error::Error;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use serde::{Deserialize, Deserializer};

use super::problem::Refusal;
use crate::case::text::shown;
use crate::protocol::ProblemType;

/// What the address asks for. The problem names the value, and what it has to be.
pub fn read<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Refusal> {
    let Query(query) = query.map_err(|fault| {
        let reason = fault.source().map_or_else(|| fault.body_text(), ToString::to_string);
        ProblemType::BadRequest.with(shown(&plain(&reason), 600))
    })?;
    Ok(query)
}

/// The reason of a library in words for people.
fn plain(reason: &str) -> String {
    const WORDS: [(&str, &str); 4] = [
        ("invalid digit", "must be a whole number"),
        ("cannot parse integer", "must be a whole number"),
        ("number too", "must be a smaller number"),
        ("was not `true` or `false`", "must be true or false"),
    ];
    if let Some(name) = reason.strip_prefix("duplicate field ") {
        return format!("{name} is given more than once");
    }
    let Some((name, told)) = reason.split_once(": ") else { return reason.to_owned() };
    match WORDS.iter().find(|(library, _)| told.contains(library)) {
        Some((_, own)) => format!("`{name}` {own}"),
        None if told.starts_with("must be ") => format!("`{name}` {told}"),
        None => told.to_owned(),
    }
}

/// A number of 63 bits, which is what the document means by a whole number: others are refused and not cut.
pub fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = i64::deserialize(deserializer)?;
    u64::try_from(number).map(Some).map_err(serde::de::Error::custom)
}

/// How many, when so many were asked for and no more than `most` are given; all that are given where nobody said.
pub fn within(asked: Option<u64>, most: usize) -> usize {
    asked.and_then(|asked| usize::try_from(asked).ok()).map_or(most, |asked| asked.clamp(1, most))
}
