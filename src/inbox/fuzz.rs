//! What anybody who may write into an inbox can put there.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::bundle::BundleFault;
use super::incident::IncidentFault;
use super::samples::settings;
use super::{Fault, Format, mail, read};
use crate::case::text;
use crate::case::{Deposit, DepositedFile, FileContent};
use crate::fuzz::{Target, assert_harmless};

#[test]
fn bundles() {
    let target = Target {
        name: "bundle",
        words: &[
            "<jmb>",
            "</jmb>",
            "<manifest>",
            "</manifest>",
            "<host-event-id>",
            "</host-event-id>",
            "<problem-synopsis>",
            "<bundle-type>",
            "event_rma",
            "<time-occurred>2026-11-21 12:00:00 PST</time-occurred>",
            "<attachments>",
            "<attachment name='a' encoding='base64'>",
            "<logs>",
            "<file href='../a'/>",
            "<status>",
            "<trend-data>",
            "<part name='x' made='no'>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]>",
            "<!ENTITY % d SYSTEM 'file:///etc/passwd'>",
            "&b;",
            "&amp;",
            "&#27;",
            "&#x110000;",
            "&#0;",
            "<![CDATA[",
            "]]>",
            "<!--",
            "-->",
            "--",
            "<?xml version='1.0'?>",
            "<?pi",
            "?>",
            "xmlns:x='y'",
            "x:",
            "encoding='UTF-16'",
            "YWJj",
            "=",
            "xml",
        ],
        samples: &["bundles", "bundles/bad"],
        tries: 3000,
    };
    target.run(|bytes| {
        let answer = look(bytes);
        // The same bytes as a bundle that they perhaps are not.
        look(&[b"<jmb><manifest>", bytes].concat());
        answer
    });
}

#[test]
fn incidents() {
    let target = Target {
        name: "incident",
        words: &[
            "{\"event\":",
            "\"host_event_id\":\"e\"",
            "\"synopsis\":\"s\"",
            "\"kind\":\"event_rma\"",
            "\"manifest\":{\"a\":\"b\"}",
            "\"priority\":\"2 - High\"",
            "\"occurred_at\":\"2026-11-21 12:00:00 PST\"",
            "\"form\":{\"cc\":[\"a@b.example\"]}",
            "\"link\":{\"case_id\":\"1\"}",
            "\"files\":[{\"name\":\"a\",\"listed\":true}]",
            "\"content_base64\":\"YQ==\"",
            "\"group\":\"north\"",
            "\"description\":\"d\"",
            "a@\u{202e}b",
            "@",
            "`, expected ",
            "\", expected ",
        ],
        samples: &["incidents", "bundles/bad"],
        tries: 3000,
    };
    target.run(look);
}

#[test]
fn mails() {
    let target = Target {
        name: "mail",
        words: &[
            "From: a@b.example\r\n",
            "From: ",
            "To: support+abc@desk.example\r\n",
            "Message-ID: <1@x>\r\n",
            "References: <1@x> <2@x>\r\n",
            "Subject: =?utf-8?B?YQ0K?=\r\n",
            "=?iso-8859-1?Q?=E9?=",
            "Content-Type: multipart/mixed; boundary=b\r\n",
            "Content-Type: multipart/report; boundary=b\r\n",
            "Content-Type: message/rfc822\r\n",
            "Content-Type: message/delivery-status\r\n",
            "Content-Type: text/html; charset=utf-16\r\n",
            "Content-Transfer-Encoding: base64\r\n",
            "Content-Transfer-Encoding: quoted-printable\r\n",
            "Content-Disposition: attachment; filename*=utf-8''a\r\n",
            "Auto-Submitted: auto-replied\r\n",
            "\r\n--b\r\n",
            "\r\n--b--\r\n",
            "\r\n\r\n",
            "\r\n ",
            "<script>",
            "</script>",
            "<blockquote>",
            "</div>",
            "&#27;",
            "&#x202e;",
            "<!--",
            "=0D=0A",
            "> ",
            "-- \r\n",
            " wrote:\r\n",
            "(((",
            "\"",
        ],
        samples: &["mails"],
        tries: 2000,
    };
    target.run(|bytes| match mail::read(bytes) {
        Ok(letter) => {
            let plain = |text: &str, limit| text.is_empty() || text::paragraph(text, limit).is_ok();
            assert!(plain(&letter.text, 16_500), "{:?}", letter.text);
            assert!(plain(&letter.quoted, 16_000), "{:?}", letter.quoted);
            assert!(letter.subject.is_empty() || text::line(&letter.subject, 200).is_ok(), "{:?}", letter.subject);
            assert!(text::line(&letter.id, 998).is_ok(), "{:?}", letter.id);
            assert!(letter.name.iter().all(|name| text::line(name, 128).is_ok()), "{:?}", letter.name);
            assert!(letter.to.len() <= 100 && letter.answers.len() <= 100);
            format!("a letter of nature {:?} with {} answers", letter.nature, letter.answers.len().min(1))
        }
        Err(fault) => {
            assert_harmless(&fault.to_string(), 300);
            assert_harmless(fault.remedy(), 300);
            fault.to_string()
        }
    });
}

fn look(bytes: &[u8]) -> String {
    match read(bytes, &settings()) {
        Ok(deposit) => {
            assert_eq!((deposit.event.check(), deposit.form.check()), (Ok(()), Ok(())));
            let plain = Deposit { files: deposit.files.iter().filter(can_be_written).cloned().collect(), ..deposit };
            assert_eq!(read(&written(&plain), &settings()), Ok(plain.clone()), "it reads back as written");
            format!("a deposit with {} files", if plain.files.is_empty() { "no" } else { "some" })
        }
        Err(fault) => {
            let said = fault.to_string();
            assert_harmless(&said, 1500);
            assert_harmless(fault.remedy(), 300);
            assert!(names_the_place(&fault, &said), "the place is named: {said}");
            said
        }
    }
}

/// The other faults name their field, or are about the file as a whole.
fn names_the_place(fault: &Fault, said: &str) -> bool {
    match fault {
        Fault::Bundle(BundleFault::Xml(_))
        | Fault::Incident(IncidentFault::Malformed { .. } | IncidentFault::Content { .. }) => said.contains("line "),
        _ => true,
    }
}

/// Nobody but a device says that a file could not be made.
fn can_be_written(file: &&DepositedFile) -> bool {
    !matches!(file.content, FileContent::Failed { .. })
}

fn written(deposit: &Deposit) -> Vec<u8> {
    let file = |file: &DepositedFile| {
        let mut written = json!({"name": file.name, "media_type": file.media_type});
        match &file.content {
            FileContent::Embedded(content) => written["content_base64"] = json!(STANDARD.encode(content)),
            FileContent::Listed | FileContent::Failed { .. } => written["listed"] = json!(true),
        }
        written
    };
    let files: Vec<Value> = deposit.files.iter().map(file).collect();
    let written = json!({"event": deposit.event, "group": deposit.group, "form": deposit.form, "files": files});
    let written = written.to_string().into_bytes();
    assert_eq!(Format::of(&written), Ok(Format::Incident));
    written
}
