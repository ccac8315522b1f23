//! A history that was touched anywhere is told by the first entry that is not as it was written.

use proptest::prelude::*;

use super::*;
use crate::case::{Action, ContentDigest, ExchangeId, SiteId, Towards};

const SITE: u128 = 7;

fn site() -> String {
    SiteId(uuid::Uuid::from_u128(SITE)).0.to_string()
}

fn keys() -> (SigningKey, SigningKey) {
    (SigningKey::make().unwrap(), SigningKey::make().unwrap())
}

fn entry(number: u64, previous: ContentDigest) -> Entry {
    Entry {
        number,
        previous,
        site: site(),
        node: "host".into(),
        at: format!("2026-11-22T10:00:{:02}Z", number % 60),
        incident: Some(1 + (number % 2) as i64),
        who: "operator ida".into(),
        action: "edited".into(),
        exchange: None,
        seq: None,
        peer: None,
        way: None,
        sha256: None,
        detail: format!("Überprüfung {number} \u{1}\"\\"),
        context: Some(
            serde_json::value::RawValue::from_string(r#"{"phase":["initial_support","review"]}"#.into()).unwrap(),
        ),
    }
}

/// So many entries, every third an operation that went to the partner, and the partner's receipt for all of them.
fn history(own: &SigningKey, partner: &SigningKey, count: u64) -> Vec<Kept> {
    let mut kept: Vec<Kept> = Vec::new();
    let mut previous = root_of(&site());
    let mut received = Vec::new();
    let mut push = |mut entry: Entry, content: Option<String>| {
        entry.sha256 = content.as_ref().map(|content| ContentDigest::of(content.as_bytes()).to_string());
        entry.previous = previous.clone();
        let (_, hash) = chained(&entry).unwrap();
        previous = hash.clone();
        kept.push(Kept { entry, hash: hash.to_string(), content });
    };
    for number in 1..=count {
        let mut one = entry(number, root_of(&site()));
        let content = (number % 3 == 0).then(|| format!(r#"{{"kind":"update","content":{{"solution":"{number}"}}}}"#));
        if let Some(content) = &content {
            let exchange = ExchangeId::from_bytes([number as u8; 16]);
            one.exchange = Some(exchange.to_string());
            one.seq = Some(2);
            one.peer = Some("partner".into());
            one.way = Some("out".into());
            received.push(Received {
                exchange,
                towards: Towards::Upstream,
                seq: 2,
                sha256: ContentDigest::of(content.as_bytes()),
                at: "2026-11-22T10:00:00Z".parse().unwrap(),
                number,
            });
        }
        push(one, content);
    }
    if !received.is_empty() {
        let head = Head { number: 99, hash: ContentDigest::of(b"theirs") };
        let from = (SiteId(uuid::Uuid::from_u128(8)), "partner".parse().unwrap());
        let at = "2026-11-22T10:01:00Z".parse().unwrap();
        let receipt = Receipt::sign(partner, from, at, head, received, Vec::new()).unwrap();
        let mut one = entry(count + 1, root_of(&site()));
        (one.incident, one.action, one.peer) = (None, Action::Receipt.as_str().into(), Some("partner".into()));
        push(one, Some(serde_json::to_string(&receipt).unwrap()));
    }
    let _ = own;
    kept
}

fn export(own: &SigningKey, kept: &[Kept]) -> Vec<String> {
    let alias = "north".parse().unwrap();
    let whose = Whose { version: 1, site: site(), alias, incident: None };
    let begin = Begin { export: whose.clone() };
    let last = kept.last().unwrap();
    let head = Head { number: last.entry.number, hash: last.hash.parse().unwrap() };
    let at = "2026-11-22T11:00:00Z".parse().unwrap();
    let end = End { export: whose, head, numbers: None, at, key: own.public() }.signed(own).unwrap();
    let line = |one: &Kept| serde_json::to_string(&Line::of(one, None).unwrap()).unwrap();
    let mut lines = vec![serde_json::to_string(&begin).unwrap()];
    lines.extend(kept.iter().map(line));
    lines.push(serde_json::to_string(&end).unwrap());
    lines
}

fn verify(lines: &[String], believed: &[PublicKey]) -> Result<Report, Finding> {
    let mut keys = Keys::default();
    believed.iter().for_each(|key| keys.add(*key));
    let mut verifier = Verifier::of_export(keys);
    lines.iter().try_for_each(|line| verifier.line(line))?;
    verifier.exported()
}

#[test]
fn h_07_a_history_that_nobody_touched_is_whole_and_its_receipts_hold() {
    let (own, partner) = keys();
    let lines = export(&own, &history(&own, &partner, 9));
    let report = verify(&lines, &[own.public(), partner.public()]).unwrap();
    let expected = Report { entries: 10, sent: 3, proved: 3, end_is_signed: true, ..Report::default() };
    assert_eq!(report, expected);
    let stranger = verify(&lines, &[SigningKey::make().unwrap().public()]).unwrap();
    assert_eq!((stranger.proved, stranger.unchecked, stranger.end_is_signed), (0, 3, false));
}

#[test]
fn h_07_an_entry_that_is_dropped_doubled_or_moved_is_named() {
    let (own, partner) = keys();
    let lines = export(&own, &history(&own, &partner, 9));
    let believed = [own.public(), partner.public()];
    let named = |lines: &[String]| verify(lines, &believed).unwrap_err().entry;
    for entry in 1..=10_usize {
        let mut dropped = lines.clone();
        dropped.remove(entry);
        assert_eq!(named(&dropped), Some(entry as u64), "{entry} is dropped");
        let mut doubled = lines.clone();
        doubled.insert(entry, lines[entry].clone());
        assert_eq!(named(&doubled), Some(entry as u64), "{entry} is doubled");
    }
    for entry in 1..10_usize {
        let mut moved = lines.clone();
        moved.swap(entry, entry + 1);
        assert_eq!(named(&moved), Some(entry as u64), "{entry} is moved");
    }
    for end in 1..lines.len() {
        assert!(verify(&lines[..end], &believed).is_err(), "cut off behind {end} lines");
    }
    assert!(verify(&[lines.clone(), vec![lines[1].clone()]].concat(), &believed).is_err());
}

#[test]
fn h_07_whoever_writes_the_chain_anew_does_not_have_the_key_of_its_end_nor_what_the_peer_holds() {
    let (own, partner) = keys();
    let (mine, theirs) = (history(&own, &partner, 9), history(&own, &partner, 6));
    let thief = SigningKey::make().unwrap();
    let report = verify(&export(&thief, &theirs), &[own.public(), partner.public()]).unwrap();
    assert!(!report.end_is_signed, "it is told that nobody vouches for the end");
    let held = std::collections::BTreeMap::from([(9, mine[8].hash.parse().unwrap())]);
    let mut verifier = Verifier::of_store(Keys::default(), &site()).held_by_a_peer(held);
    theirs.iter().for_each(|one| verifier.kept(one).unwrap());
    let head = Head { number: 7, hash: theirs[6].hash.parse().unwrap() };
    assert_eq!(verifier.stored(&head).unwrap_err().entry, Some(8), "the peer holds the signature for entry 9");
}

#[test]
fn h_07_a_receipt_for_another_content_is_named_at_the_operation() {
    let (own, partner) = keys();
    let mut kept = history(&own, &partner, 3);
    let content = r#"{"kind":"update","content":{"solution":"another"}}"#;
    kept[2].content = Some(content.into());
    kept[2].entry.sha256 = Some(ContentDigest::of(content.as_bytes()).to_string());
    // The thief of the store chains it anew.
    let mut previous = kept[1].hash.parse().unwrap();
    for one in &mut kept[2..] {
        one.entry.previous = previous;
        let (_, hash) = chained(&one.entry).unwrap();
        one.hash = hash.to_string();
        previous = hash;
    }
    let finding = verify(&export(&own, &kept), &[own.public(), partner.public()]).unwrap_err();
    assert_eq!(finding.entry, Some(3));
    assert!(finding.reason.contains("partner has signed for another operation"), "{finding}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn h_07_any_byte_that_is_changed_is_named(place in any::<prop::sample::Index>(), bit in 0..8u32) {
        use std::sync::LazyLock;
        static EXPORT: LazyLock<(Vec<u8>, Vec<PublicKey>)> = LazyLock::new(|| {
            let (own, partner) = keys();
            let lines = export(&own, &history(&own, &partner, 9));
            (lines.join("\n").into_bytes(), vec![own.public(), partner.public()])
        });
        let (bytes, believed) = &*EXPORT;
        let place = place.index(bytes.len());
        let line = bytes[..place].iter().filter(|byte| **byte == b'\n').count() as u64;
        let mut changed = bytes.clone();
        changed[place] ^= 1 << bit;
        // What is no text is told by whoever reads the file.
        prop_assume!(std::str::from_utf8(&changed).is_ok());
        let lines: Vec<String> = String::from_utf8(changed).unwrap().split('\n').map(str::to_owned).collect();
        let finding = verify(&lines, believed).expect_err("it was changed");
        if let Some(entry) = finding.entry {
            prop_assert!(entry <= line.max(1) + 1, "{entry} for line {line}: {finding}");
        }
        if (1..=10).contains(&line) {
            prop_assert_eq!(finding.entry, Some(line), "{}", finding);
        }
    }
}
