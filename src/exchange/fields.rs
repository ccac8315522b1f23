//! The door between our words and a peer's: what is queued or read passes through the field map of the settings.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::read::read;
use crate::case::text::shown;
use crate::case::{Case, Changes, FieldMap, FieldName, Operation, OperationKind, Unmapped};
use crate::protocol::unknown::no_such_key;
use crate::protocol::{Problem, ProblemType, Unknown, Version};
use crate::state::{OutboxEntry, StateError};

/// An operation of ours on its way through the door.
pub(super) struct Encoded {
    /// As it goes over the wire.
    pub wire: Box<RawValue>,
    /// In our words, where those are others.
    pub ours: Option<Box<RawValue>>,
    /// Why it cannot go: then both are as one.
    pub unmapped: Option<String>,
}

pub(super) fn encode(fields: &FieldMap, operation: &Operation) -> Result<Encoded, StateError> {
    let plain = to_raw_value(operation).map_err(fault)?;
    if fields.is_plain() {
        return Ok(Encoded { wire: plain, ours: None, unmapped: None });
    }
    let mut whole = serde_json::to_value(operation).map_err(fault)?;
    match whole.get_mut(CONTENT).map(|content| fields.translate_out(content)) {
        Some(Err(unmapped)) => Ok(Encoded { wire: plain, ours: None, unmapped: Some(unmapped.to_string()) }),
        _ => {
            let wire = to_raw_value(&whole).map_err(fault)?;
            Ok(Encoded { wire, ours: Some(plain), unmapped: None })
        }
    }
}

/// An operation that waits, with the map as it is now.
pub(super) fn encode_again(fields: &FieldMap, entry: &OutboxEntry) -> Result<Encoded, StateError> {
    encode(fields, &serde_json::from_str(entry.in_our_words()).map_err(fault)?)
}

fn fault(error: serde_json::Error) -> StateError {
    StateError::Encode(error.to_string())
}

/// An operation of a peer's in our words, and the fields of it that are left alone.
pub(super) fn decode(fields: &FieldMap, text: &str, unknown: Unknown) -> Result<(Operation, Vec<FieldName>), Problem> {
    if fields.is_plain() {
        return Ok((read(text, unknown)?, Vec::new()));
    }
    let mut whole: Value = serde_json::from_str(text).map_err(|fault| match read(text, unknown) {
        Err(problem) => problem,
        // A value that is not for us may be one that cannot be read; the map cannot be held to the rest either.
        Ok(_) => ProblemType::Content.with(format!("at `operation`: {}", shown(&fault.to_string(), 200))),
    })?;
    let left = match whole.get_mut(CONTENT).map(|content| fields.translate_in(content)) {
        Some(Ok(left)) => left,
        Some(Err(unmapped)) => return Err(ProblemType::Unmapped.with(unmapped.to_string())),
        None => Vec::new(),
    };
    Ok((read(&whole.to_string(), unknown)?, left))
}

/// What a peer sends with an operation that is not a part of it.
pub(super) struct Envelope<'a> {
    /// What the peer says it speaks.
    pub protocol: Option<Version>,
    pub seen: Option<u64>,
    /// A key that stands beside the operation.
    pub unknown: Option<&'a str>,
}

/// An operation as it comes in: held to what the peer's version has, and to a time that can be.
pub(super) fn take(
    fields: &FieldMap,
    text: &str,
    envelope: &Envelope<'_>,
    now: Timestamp,
) -> Result<(Operation, Vec<FieldName>), Problem> {
    let unknown = Unknown::of(envelope.protocol);
    if let (Some(key), Unknown::Refused) = (envelope.unknown, unknown) {
        return Err(ProblemType::Content.with(no_such_key("", key)));
    }
    let read = decode(fields, text, unknown)?;
    // What an older site does not say is no fault of its; of a Create nothing can have come before.
    if let (Some(theirs), None) = (envelope.protocol, envelope.seen)
        && read.0.kind() != OperationKind::Create
    {
        return Err(ProblemType::Content.with(format!(
            "`seen` is missing: a site of version {theirs} says with each operation which one of this site's it had taken last"
        )));
    }
    in_time(read, now)
}

/// Refuses what its peer says to have happened long after now: clocks of both sites would be set by it for good.
pub(super) fn in_time<T>(read: (Operation, T), now: Timestamp) -> Result<(Operation, T), Problem> {
    /// The most that a clock may be ahead of ours: one that is days wrong holds up no case.
    const AHEAD: SignedDuration = SignedDuration::from_hours(24 * 366);
    let latest = now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
    let ahead = read.0.changes().and_then(|changes| changes.milestones.iter().find(|one| one.at > latest));
    match ahead {
        None => Ok(read),
        Some(one) => Err(ProblemType::Content.with(format!(
            "at `operation.content.milestones`: {} is more than a year after now, {now}; set the clocks of both sites right",
            one.at
        ))),
    }
}

/// The record of a snapshot as the peer is told it: what has no word is left out.
pub(super) fn tell(fields: &FieldMap, record: Changes) -> Box<RawValue> {
    let mut whole = serde_json::to_value(record).unwrap_or_default();
    fields.tell(&mut whole);
    to_raw_value(&whole).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// The record of a peer's snapshot in our words, and why it is not whole.
pub(super) fn hear(fields: &FieldMap, record: &RawValue) -> (Changes, Option<String>) {
    let mut reasons = Vec::new();
    let read = if fields.is_plain() {
        serde_json::from_str(record.get())
    } else {
        serde_json::from_str(record.get()).and_then(|mut whole: Value| {
            reasons.extend(fields.hear(&mut whole).iter().map(Unmapped::to_string));
            Changes::deserialize(whole)
        })
    };
    let changes = read.unwrap_or_else(|fault| {
        reasons.push(shown(&fault.to_string(), 200));
        Changes::default()
    });
    (changes, (!reasons.is_empty()).then(|| reasons.join("; ")))
}

/// A case as the peer is told it; `known` is what it was told before, where the status has no word.
pub(super) fn tell_case(fields: &FieldMap, case: Case, known: Option<&Case>) -> Option<Case> {
    let told = |case: Case| Some(Case { status: fields.word(FieldName::CaseStatus, &case.status)?, ..case });
    told(case).or_else(|| known.cloned().and_then(told))
}

const CONTENT: &str = "content";
