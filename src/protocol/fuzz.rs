//! What the peer that is asked can answer, and what the one that asks can put into a header.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::attachment::read_range;
use super::problem::misread;
use super::*;
use crate::case::evidence::Receipt;
use crate::fuzz::{Target, assert_harmless};

fn read<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> String {
    match serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_slice(bytes)) {
        Ok(answer) => {
            let written = serde_json::to_string(&answer).unwrap();
            let again: T = serde_json::from_str(&written).unwrap();
            assert_eq!(serde_json::to_string(&again).unwrap(), written, "it reads back as written");
            "an answer".into()
        }
        Err(fault) => {
            let said = misread(&fault, "");
            assert_harmless(&said, 400);
            said
        }
    }
}

#[test]
fn answers() {
    let target = Target {
        name: "answer",
        words: &[
            "{\"results\":[",
            "\"outcome\":\"applied\"",
            "\"outcome\":\"out_of_order\",\"expected\":2",
            "\"transaction\":\"1\"",
            "\"problem\":{\"type\":\"a\",\"title\":\"b\",\"status\":500,\"detail\":\"c\"}",
            "{\"cursor\":\"a-1\",\"operations\":[",
            "\"exchange\":\"00000000000000000000000000000001\"",
            "\"seq\":1",
            "\"seen\":0",
            "\"operation\":{\"kind\":\"update\",\"content\":{}}",
            "{\"cursor\":\"a-1\",\"exchanges\":[",
            "\"more\":true",
            "\"step\":\"open\"",
            "\"record\":{}",
            "\"agreed\":{",
            "\"incident\":1",
            "{\"parts\":[",
            "\"digest\":\"0123456789abcdef\"",
            "\"count\":1",
            "{\"alias\":\"partner\",\"client\":\"north\"",
            "\"protocol\":\"1.1\"",
            "\"capabilities\":[\"link\"]",
            "\"time\":\"2026-11-21T10:00:00Z\"",
            "\"received\":1,\"bytes\":2",
            "\"transactions\":[",
            "{\"receipt\":{\"statement\":{",
            "\"operations\":[{\"towards\":\"upstream\"",
            "\"head\":{\"number\":1,\"hash\":",
            "\"endorsements\":[",
            "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]",
        ],
        samples: &[],
        tries: 3000,
    };
    target.run(|bytes| {
        let problem = serde_json::from_slice::<Problem>(bytes);
        if let Ok(problem) = problem {
            let shown = problem.shown();
            assert_harmless(&format!("{} {} {} {:?}", shown.kind, shown.title, shown.detail, shown.code), 900);
        }
        let answers = [
            read::<OperationAnswer>(bytes),
            read::<OperationBatch>(bytes),
            read::<UpdateAnswer>(bytes),
            read::<ExchangePage>(bytes),
            read::<TransactionList>(bytes),
            read::<DigestPage>(bytes),
            read::<SiteAnswer>(bytes),
            read::<AttachmentAnswer>(bytes),
            read::<Receipt>(bytes),
            read::<ReceiptAnswer>(bytes),
            read::<Problem>(bytes),
        ];
        answers.join(" | ")
    });
}

#[test]
fn ranges() {
    let words = &["bytes ", "bytes=", "bytes 0-65535/131072", "bytes=65536-", "-", "/", "*", "+", ","];
    let target = Target { name: "range", words, samples: &[], tries: 4000 };
    target.run(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        let piece = ContentRange::parse(&text);
        if let Some(range) = piece {
            assert!(range.start < range.end && range.end <= range.bytes, "{range:?}");
            assert_eq!(ContentRange::parse(&range.to_string()), Some(range));
        }
        let asked = read_range(&text);
        if let Some((start, Some(last))) = asked {
            assert!(start <= last);
            assert_eq!(read_range(&format!("bytes={start}-{last}")), asked);
        }
        format!("{} {}", piece.is_some(), asked.is_some())
    });
}
