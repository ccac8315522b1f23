//! The sample deposits under `tests/data`, each read once; and what the tests of this room share.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::{Fault, read};
use crate::case::{Deposit, FileContent, Kind, Priority};
use crate::config::settings::{Bundle, BundlePaths};

/// The default `[bundle]`, with one event type switched off.
pub fn settings() -> Bundle {
    let kinds = Kind::ALL.map(|kind| (kind.as_str().replace('_', "-"), kind)).to_vec();
    let field = |name: &str| format!("manifest/{name}");
    Bundle {
        roots: vec!["juniper-message-bundle".into(), "jmb".into()],
        paths: BundlePaths {
            manifest: "manifest".into(),
            trend_data: "trend-data".into(),
            attachments: "attachments".into(),
            logs: "logs".into(),
            host_event_id: field("host-event-id"),
            kind: field("bundle-type"),
            problem_class: field("problem-class"),
            service_type: field("service-type"),
            occurred_at: field("time-occurred"),
            event_type_group: field("event-type-group"),
            event_type: field("event-type"),
            synopsis: field("problem-synopsis"),
            description: field("problem-description"),
            priority: field("priority"),
            severity: field("severity"),
            device: field("device-name"),
            serial: field("chassis-serial"),
        },
        kinds,
        disabled_event_types: vec!["SNMP_TRAP_LINK_UP".into()],
    }
}

pub fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

pub fn sample(path: &str) -> Vec<u8> {
    fs::read(data(path)).expect(path)
}

fn deposit(path: &str) -> Deposit {
    read(&sample(path), &settings()).expect(path)
}

/// The files of one directory with one of these endings, in the order of their names.
fn files(directory: &str, endings: &[&str]) -> Vec<PathBuf> {
    let entries = fs::read_dir(data(directory)).unwrap().map(|entry| entry.unwrap().path());
    let wanted = |path: &PathBuf| path.extension().is_some_and(|ending| endings.iter().any(|e| ending == *e));
    let mut found: Vec<_> = entries.filter(wanted).collect();
    found.sort();
    found
}

/// A least bundle with `inside` at the end of its manifest and `behind` after it.
fn bundle(inside: &str, behind: &str) -> String {
    format!(
        "<jmb><manifest><host-event-id>e-1</host-event-id><problem-synopsis>s</problem-synopsis>{inside}</manifest>\
         {behind}</jmb>"
    )
}

fn read_text(text: &str) -> Result<Deposit, Fault> {
    read(text.as_bytes(), &settings())
}

#[test]
fn every_good_sample_is_read() {
    let samples = [files("bundles", &["xml"]), files("incidents", &["json"])].concat();
    assert!(samples.len() >= 15, "{samples:?}");
    for path in samples {
        let deposit = read(&fs::read(&path).unwrap(), &settings());
        assert!(deposit.is_ok(), "{}: {deposit:?}", path.display());
    }
}

#[test]
fn a_12_every_bad_sample_is_refused_with_the_reason_beside_it() {
    let samples = files("bundles/bad", &["xml", "json"]);
    assert!(samples.len() >= 50, "{}", samples.len());
    for path in samples {
        let fault = read(&fs::read(&path).unwrap(), &settings()).expect_err(&path.display().to_string());
        let reason = format!("{fault}\n{}\n", fault.remedy());
        let expected = fs::read_to_string(format!("{}.expected", path.display())).unwrap_or_default();
        assert_eq!(reason, expected, "{}", path.display());
        assert!(reason.chars().count() < 700 && !reason.contains('\u{1b}'), "{}", path.display());
    }
}

#[test]
fn a_04_a_bundle_has_all_sections_or_only_a_manifest() {
    let whole = deposit("bundles/event.xml");
    let names: Vec<_> = whole.files.iter().map(|file| file.name.as_str()).collect();
    let expected = [
        "trend-data.xml",
        "core.chassisd.0.gz",
        "show chassis environment",
        "show version",
        "configuration",
        "show tech-support.txt",
        "logs.tgz",
    ];
    assert_eq!(names, expected);
    let FileContent::Embedded(trend) = &whole.files[0].content else { panic!("trend data is kept") };
    assert!(trend.starts_with(b"<sensor name=\"psu-0-output\""));
    assert!(deposit("bundles/manifest_only.xml").files.is_empty());
    assert!(read_text("<jmb><logs/></jmb>").is_err());
}

#[test]
fn a_05_every_kind_is_kept_and_information_is_never_submittable() {
    for kind in Kind::ALL {
        let read = deposit(&format!("bundles/{}.xml", kind.as_str())).event.kind;
        assert_eq!(read, kind);
        let informational = matches!(kind, Kind::Information | Kind::OnDemandInformation);
        assert_eq!(read.is_submittable(), !informational, "{kind:?}");
    }
    assert_eq!(deposit("bundles/manifest_only.xml").event.kind, Kind::Event, "a bundle without a kind is an event");
}

#[test]
fn a_06_every_manifest_field_arrives_unchanged() {
    let event = deposit("bundles/event.xml").event;
    assert_eq!(event.host_event_id, "edge1-JN11A2B3C-20261121-120000-1");
    assert_eq!(event.problem_class.as_deref(), Some("Support"));
    assert_eq!(event.service_type.as_deref(), Some("reactive"));
    assert_eq!(event.occurred_at, "2026-11-21T12:00:00Z".parse().ok());
    assert_eq!(event.event_type_group.as_deref(), Some("CHASSIS"));
    assert_eq!(event.event_type.as_deref(), Some("CHASSISD_PSU_ALARM"));
    assert_eq!(event.synopsis, "PSU 0 output failure & fan speed raised");
    assert_eq!(event.description, "Power supply 0 reports an output failure.\nThe chassis runs on power supply 1.");
    assert_eq!(event.priority, Some(Priority::High));
    assert_eq!(event.severity.as_deref(), Some("major"));
    assert_eq!(event.device.as_deref(), Some("edge1"));
    assert_eq!(event.serial.as_deref(), Some("JN11A2B3C"));
    let rest: Vec<_> = event.manifest.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("core-files", ""),
        ("router/model", "MX480"),
        ("router/os-version", "24.2R1"),
        ("routing-engine/@slot", "0"),
        ("routing-engine/@slot[2]", "1"),
        ("routing-engine/state", "master"),
        ("routing-engine/state[2]", "backup"),
        ("script-settings/collect-logs", "true"),
    ];
    assert_eq!(rest, expected);
}

#[test]
fn a_06_the_paths_of_the_fields_can_be_set() {
    let mut settings = settings();
    settings.roots = vec!["x:message".into()];
    settings.paths.manifest = "body/x:facts".into();
    settings.paths.host_event_id = "@id".into();
    settings.paths.synopsis = "head/title".into();
    settings.paths.device = "body/facts/device/@name".into();
    settings.paths.attachments = "body/parts".into();
    let document =
        b"<message id='e-9'><head><title>Fan</title></head><body><facts><device name='edge9' rack='4'/></facts>\
        <parts><file name='a'>x</file></parts></body></message>";
    let deposit = read(document, &settings).unwrap();
    assert_eq!(deposit.event.host_event_id, "e-9");
    assert_eq!(deposit.event.synopsis, "Fan");
    assert_eq!(deposit.event.device.as_deref(), Some("edge9"));
    assert_eq!(deposit.event.manifest.get("device/@rack").map(String::as_str), Some("4"));
    assert_eq!(deposit.files.len(), 1);
}

#[test]
fn a_07_the_host_event_id_is_read_from_either_format() {
    assert_eq!(deposit("bundles/manifest_only.xml").event.host_event_id, "edge4-JN00-20261121-150000-1");
    assert_eq!(deposit("incidents/least.json").event.host_event_id, "edge5-JN55-20261121-160000-2");
}

#[test]
fn a_09_files_are_carried_listed_or_failed() {
    let event = deposit("bundles/event.xml");
    let content = |name: &str| {
        let file = event.files.iter().find(|file| file.name == name).expect(name);
        file.content.clone()
    };
    assert_eq!(
        content("show version"),
        FileContent::Embedded(b"Hostname: edge1\nModel: mx480\nJunos: 24.2R1\n".to_vec())
    );
    let FileContent::Embedded(text) = content("show chassis environment") else { panic!("text is carried") };
    assert!(text.ends_with(b"31 degrees C\n"), "text is kept to the last line break");
    assert_eq!(
        content("configuration"),
        FileContent::Embedded(b"<configuration><system><host-name>edge1</host-name></system></configuration>".to_vec())
    );
    assert_eq!(content("show tech-support.txt"), FileContent::Listed);
    assert_eq!(content("core.chassisd.0.gz"), FileContent::Failed { reason: "no disk space left in /var/tmp".into() });
    let FileContent::Embedded(archive) = content("logs.tgz") else { panic!("the archive is carried") };
    assert!(archive.starts_with(&[0x1f, 0x8b]));

    let listed = deposit("bundles/event_rma.xml").files;
    assert_eq!(listed[1].content, FileContent::Listed);
    assert_eq!(listed[2].name, "chassisd.log");
    assert!(matches!(&listed[3].content, FileContent::Failed { .. }), "a path is not followed");
}

#[test]
fn a_11_a_switched_off_event_type_is_held() {
    let off = "<event-type>SNMP_TRAP_LINK_UP</event-type>";
    assert!(read_text(&bundle(off, "")).unwrap().hold);
    assert!(!read_text(&bundle("<event-type>OTHER</event-type>", "")).unwrap().hold);
    let json = r#"{"event":{"host_event_id":"e","synopsis":"s","event_type":"SNMP_TRAP_LINK_UP"}}"#;
    assert!(read_text(json).unwrap().hold);
}

#[test]
fn namespaces_and_a_byte_order_mark_do_not_matter() {
    let event = deposit("bundles/information.xml").event;
    assert_eq!(event.device.as_deref(), Some("edge3"));
    assert_eq!(event.manifest.get("router/@model").map(String::as_str), Some("MX204"));
    assert_eq!(deposit("bundles/byte_order_mark.xml").event.synopsis, "Störung am Netzteil 電源");
}

#[test]
fn long_paths_over_many_elements_do_not_fill_the_memory() {
    let name = "n".repeat(120);
    let deep = format!("<{name}>").repeat(25) + &"<x/>".repeat(50_000) + &format!("</{name}>").repeat(25);
    assert!(matches!(read_text(&bundle(&deep, "")), Err(Fault::Bundle(_))));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000), json in any::<bool>()) {
        let _ = read(&bytes, &settings());
        let framed = [if json { b"{".as_slice() } else { b"<" }, &bytes].concat();
        let _ = read(&framed, &settings());
    }

    #[test]
    fn a_damaged_deposit_never_panics(
        json in any::<bool>(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        doubled in any::<prop::sample::Index>(),
    ) {
        let mut bytes = sample(if json { "incidents/whole.json" } else { "bundles/event.xml" });
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = read(&bytes, &settings());
        let tail = bytes[doubled.index(bytes.len())..].to_vec();
        bytes.truncate(cut.index(bytes.len()));
        let _ = read(&bytes, &settings());
        bytes.extend(tail);
        let _ = read(&bytes, &settings());
    }

    #[test]
    fn what_is_read_can_be_stored(text in "\\PC{0,40}") {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
        if let Ok(deposit) = read_text(&bundle(&format!("<problem-description>{escaped}</problem-description>"), "")) {
            prop_assert_eq!(deposit.event.check(), Ok(()));
            prop_assert_eq!(deposit.event.description, text.trim());
        }
    }
}
