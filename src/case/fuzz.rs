//! What can stand where a name belongs.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use super::evidence::{Keys, Verifier};
use super::*;
use crate::fuzz::{Target, assert_harmless};

#[test]
fn names() {
    let target = Target {
        name: "name",
        words: &[
            "north",
            "north-1.a_b",
            "..",
            "https://",
            "http://",
            "javascript:",
            "https://a.example/{case}",
            "{case}",
            "{incident}",
            "noc@north.example",
            "@",
            "00000000000000000000000000000001",
            "0123456789abcdef",
            "CASE-1",
            "1 - Critical",
        ],
        samples: &[],
        tries: 4000,
    };
    target.run(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        let answers = [
            read::<Alias>(&text),
            read::<TransactionId>(&text),
            read::<CaseId>(&text),
            read::<CaseLink>(&text),
            read::<ExchangeId>(&text),
            read::<ContentDigest>(&text),
            read_mail(&text),
            read::<Priority>(&text),
            read::<FollowUp>(&text),
        ];
        answers.join(" | ")
    });
}

fn read<T: FromStr<Err: Display> + Display + PartialEq + Debug>(text: &str) -> String {
    match text.parse::<T>() {
        Ok(name) => {
            assert_harmless(&name.to_string(), 2048);
            assert_eq!(name.to_string(), text, "a name has one spelling");
            "a name".into()
        }
        Err(fault) => {
            assert_harmless(&fault.to_string(), 400);
            fault.to_string()
        }
    }
}

fn read_mail(text: &str) -> String {
    match text.parse::<MailAddress>() {
        Ok(address) => {
            assert_harmless(address.as_str(), 320);
            assert_eq!(address.as_str(), text);
            "an address".into()
        }
        Err(fault) => {
            assert_harmless(&fault.to_string(), 400);
            fault.to_string()
        }
    }
}

/// What a file that is said to be an export can hold.
#[test]
fn exports() {
    let words = &[
        "{\"export\":{\"version\":1,\"site\":\"a\",\"alias\":\"north\"}}\n",
        "{\"entry\":{\"number\":1,",
        "\"hash\":\"",
        "\"content\":",
        "\"receipt\":{",
        "{\"end\":{\"export\":",
        "\"lines\":[[1,\"",
        "\"incident\":1",
        "\"before\":",
        "\n",
        "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]",
    ];
    let target = Target { name: "export", words, samples: &[], tries: 3000 };
    target.run(|bytes| {
        let mut verifier = Verifier::of_export(Keys::default());
        let found = bytes.split(|byte| *byte == b'\n').try_for_each(|line| verifier.line(line));
        let outcome = found.and_then(|()| verifier.exported());
        match outcome {
            Ok(report) => {
                assert_eq!(report.proved, 0, "no key is believed");
                "verified".into()
            }
            Err(finding) => {
                assert_harmless(&finding.to_string(), 900);
                finding.reason
            }
        }
    });
}
