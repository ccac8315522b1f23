//! What a peer can put into an operation, a snapshot and a cursor.

use serde_json::value::RawValue;

use super::feed::Position;
use super::fields::{decode, encode, hear};
use crate::case::{Direction, FieldMap, FieldName, Rule, Values};
use crate::fuzz::{Target, assert_harmless};
use crate::protocol::Unknown;

/// A peer with words of its own for the status, who takes every other word too.
fn other_words() -> FieldMap {
    let mut values = Values::new(true);
    for (ours, theirs) in [("In Progress", "WORKING"), ("Open", "NEW")] {
        values.add(ours, theirs).unwrap();
    }
    FieldMap::new([(FieldName::CaseStatus, Rule { direction: Direction::Both, values: Some(values) })].into())
}

const WORDS: &[&str] = &[
    "\"kind\":\"update\"",
    "\"kind\":\"create\"",
    "\"kind\":\"accept\"",
    "\"content\":{",
    "\"solution\":null",
    "\"solution\":\"x\"",
    "\"completion_code\":\"fulfilled\"",
    "\"expected_resolution\":\"2026-11-21T10:00:00Z\"",
    "\"expected_resolution\":\"-009999-01-02T01:59:59Z\"",
    "\"comments\":[",
    "\"attachments\":[",
    "\"case\":{\"id\":\"C\",\"status\":\"NEW\"}",
    "\"link\":\"javascript:x\"",
    "\"link\":\"https://a\\u001b\"",
    "\"author\":\"\u{202e}\"",
    "\"edits\":4294967295",
    "\"deleted\":true",
    "\"bytes\":18446744073709551615",
    "\"trace_route\":[\"north\"]",
    "\"created_at\":\"2026-11-21T10:00:00Z\"",
    "\"incident\":-1",
    "\"event\":{\"host_event_id\":\"e\",\"synopsis\":\"s\"}",
    "\"form\":{\"cc\":[\"a@\u{202e}b\"]}",
    "In Progress",
    "WORKING",
];

#[test]
fn operations() {
    let target = Target { name: "operation", words: WORDS, samples: &[], tries: 4000 };
    let maps = [FieldMap::plain().clone(), other_words()];
    target.run(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        let answers = maps.each_ref().map(|map| match decode(map, &text, Unknown::Refused) {
            Ok((operation, left)) => {
                assert_eq!((operation.check(), left), (Ok(()), vec![]));
                let encoded = encode(map, &operation).unwrap();
                assert_eq!(encoded.unmapped, None, "what came in their words has words to go back in");
                assert_eq!(
                    decode(map, encoded.wire.get(), Unknown::Refused).map(|(again, _)| again),
                    Ok(operation.clone())
                );
                format!("{} is taken", operation.kind())
            }
            Err(problem) => {
                assert_harmless(&problem.to_string(), 700);
                problem.to_string()
            }
        });
        answers[0].clone()
    });
}

#[test]
fn snapshots() {
    let target = Target { name: "snapshot", words: WORDS, samples: &[], tries: 2000 };
    let maps = [FieldMap::plain().clone(), other_words()];
    target.run(|bytes| {
        let Ok(record) = serde_json::from_slice::<Box<RawValue>>(bytes) else { return "no JSON".into() };
        let reasons = maps.each_ref().map(|map| hear(map, &record).1);
        for reason in reasons.iter().flatten() {
            assert_harmless(reason, 700);
        }
        let [reason, _] = reasons;
        reason.unwrap_or_else(|| "heard".into())
    });
}

#[test]
fn cursors() {
    let words =
        &["-", "+", "{", "}", "urn:uuid:", "0123456789abcdef0123456789abcdef", "01234567-89ab-cdef-0123-456789abcdef"];
    let target = Target { name: "cursor", words, samples: &[], tries: 4000 };
    target.run(|bytes| match String::from_utf8_lossy(bytes).parse::<Position>() {
        Ok(position) => {
            assert_eq!(position.to_string(), String::from_utf8_lossy(bytes), "a place has one spelling");
            "a place".into()
        }
        Err(fault) => fault.to_string(),
    });
}
