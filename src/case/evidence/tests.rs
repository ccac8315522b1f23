//! A history that was touched anywhere is told by the first entry that is not as it was written.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::case::{Action, Alias, ContentDigest, ExchangeId, SiteId, Towards};

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
fn history(partner: &SigningKey, count: u64) -> Vec<Kept> {
    told(partner, (8, "partner"), count)
}

/// The same, where the receipt says that it is this site's.
fn told(signer: &SigningKey, (number, alias): (u128, &str), count: u64) -> Vec<Kept> {
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
        let from = (SiteId(uuid::Uuid::from_u128(number)), alias.parse().unwrap());
        let at = "2026-11-22T10:01:00Z".parse().unwrap();
        let receipt = Receipt::sign(signer, from, at, head, received, Vec::new()).unwrap();
        let mut one = entry(count + 1, root_of(&site()));
        (one.incident, one.action, one.peer) = (None, Action::Receipt.as_str().into(), Some("partner".into()));
        push(one, Some(serde_json::to_string(&receipt).unwrap()));
    }
    kept
}

fn alias(name: &str) -> Alias {
    name.parse().unwrap()
}

/// The receipt that a history ends with.
fn receipt_in(kept: &[Kept]) -> Receipt {
    serde_json::from_str(kept.last().unwrap().content.as_ref().unwrap()).unwrap()
}

fn export(own: &SigningKey, kept: &[Kept]) -> Vec<String> {
    let whose = Whose { version: 1, site: site(), alias: alias("north"), incident: None };
    let begin = Begin { export: whose.clone() };
    let last = kept.last().unwrap();
    let head = Head { number: last.entry.number, hash: last.hash.parse().unwrap() };
    let at = "2026-11-22T11:00:00Z".parse().unwrap();
    let end = End { export: whose, head, lines: None, at, key: own.public() }.signed(own).unwrap();
    let line = |one: &Kept| serde_json::to_string(&Line::of(one, None).unwrap()).unwrap();
    let mut lines = vec![serde_json::to_string(&begin).unwrap()];
    lines.extend(kept.iter().map(line));
    lines.push(serde_json::to_string(&end).unwrap());
    lines
}

/// The export of case 1, which has every second entry, with the receipts beside them.
fn export_of_a_case(own: &SigningKey, kept: &[Kept]) -> Vec<String> {
    let receipt = receipt_in(kept);
    let whose = Whose { version: 1, site: site(), alias: alias("north"), incident: Some(1) };
    let mut lines = vec![serde_json::to_string(&Begin { export: whose.clone() }).unwrap()];
    let mut signed = Vec::new();
    let of_case: Vec<&Kept> = kept.iter().filter(|one| one.entry.incident == Some(1)).collect();
    for one in &of_case {
        let place = receipt.operations.iter().position(|operation| operation.number == one.entry.number);
        let line = Line::of(one, place.and_then(|place| receipt.proof(place))).unwrap();
        signed.push((one.entry.number, line.sealed().unwrap()));
        lines.push(serde_json::to_string(&line).unwrap());
    }
    let last = of_case.last().unwrap();
    let head = Head { number: last.entry.number, hash: last.hash.parse().unwrap() };
    let at = "2026-11-22T11:00:00Z".parse().unwrap();
    let end = End { export: whose, head, lines: Some(signed), at, key: own.public() }.signed(own).unwrap();
    lines.push(serde_json::to_string(&end).unwrap());
    lines
}

/// North's key and the partner's.
fn believed(own: &SigningKey, partner: &SigningKey) -> Keys {
    let mut keys = Keys::default();
    keys.add(&alias("north"), own.public());
    keys.add(&alias("partner"), partner.public());
    keys
}

fn verify(lines: &[String], keys: &Keys) -> Result<Report, Finding> {
    verify_bytes((lines.join("\n") + "\n").as_bytes(), keys)
}

fn verify_bytes(bytes: &[u8], keys: &Keys) -> Result<Report, Finding> {
    let mut verifier = Verifier::of_export(keys.clone());
    bytes.split_inclusive(|byte| *byte == b'\n').try_for_each(|line| verifier.line(line))?;
    verifier.exported()
}

#[test]
fn h_07_a_history_that_nobody_touched_is_whole_and_its_receipts_hold() {
    let (own, partner) = keys();
    let kept = history(&partner, 9);
    let lines = export(&own, &kept);
    let report = verify(&lines, &believed(&own, &partner)).unwrap();
    let expected = Report { entries: 10, sent: 3, proved: 3, end_is_signed: Some(true), ..Report::default() };
    assert_eq!(report, expected);
    let strangers = keys();
    let stranger = verify(&lines, &believed(&strangers.0, &strangers.1)).unwrap();
    assert_eq!((stranger.proved, stranger.unchecked, stranger.end_is_signed), (0, 3, Some(false)));
    // Whose key it is counts, and not only which.
    let swapped = verify(&lines, &believed(&strangers.0, &own)).unwrap();
    assert_eq!((swapped.unchecked, swapped.end_is_signed), (3, Some(false)));

    let of_a_case = verify(&export_of_a_case(&own, &kept), &believed(&own, &partner)).unwrap();
    let expected = Report { entries: 4, sent: 1, proved: 1, end_is_signed: Some(true), ..Report::default() };
    assert_eq!(of_a_case, expected);
}

#[test]
fn h_07_a_receipt_that_the_site_signed_itself_is_a_finding() {
    let (own, partner) = keys();
    let everybody = believed(&own, &partner);
    // By its own key under the peer's name, and by a new key under its own identity.
    for (signer, from) in [(&own, (8, "partner")), (&SigningKey::make().unwrap(), (SITE, "partner"))] {
        let kept = told(signer, from, 9);
        let whole = verify(&export(&own, &kept), &everybody).unwrap_err();
        assert_eq!(whole.entry, Some(10));
        assert!(whole.reason.contains("signed by the site itself"), "{whole}");
        let of_a_case = verify(&export_of_a_case(&own, &kept), &everybody).unwrap_err();
        assert_eq!(of_a_case.entry, Some(6));
        assert!(of_a_case.reason.contains("signed by the site itself"), "{of_a_case}");
    }
    // The word of another peer is no word of this one.
    let kept = told(&partner, (8, "other"), 9);
    let report = verify(&export(&own, &kept), &everybody).unwrap();
    assert_eq!((report.proved, report.unchecked), (0, 3));
}

#[test]
fn h_07_a_peer_cannot_sign_for_the_head_of_a_site() {
    let (own, partner) = keys();
    let head_by = |signer: &SigningKey| {
        let kept = told(signer, (SITE, "north"), 3);
        let lines = export(&partner, &kept);
        let lines = lines.iter().map(String::as_bytes);
        heads_in(lines, (&site(), &alias("north")), &mut believed(&own, &partner))
    };
    assert_eq!(head_by(&own).into_keys().collect::<Vec<_>>(), [99]);
    assert!(head_by(&partner).is_empty(), "it would frame the site");
}

#[test]
fn h_07_what_a_peer_signed_in_place_of_an_operation_is_told_and_ends_nothing() {
    let (own, partner) = keys();
    let mut kept = history(&partner, 3);
    let wrong = |sha256: &[u8]| {
        let mut operation = receipt_in(&history(&partner, 3)).operations.remove(0);
        operation.sha256 = ContentDigest::of(sha256);
        let from = (SiteId(uuid::Uuid::from_u128(8)), alias("partner"));
        let head = Head { number: 99, hash: ContentDigest::of(b"theirs") };
        let receipt = Receipt::sign(&partner, from, operation.at, head, vec![operation], Vec::new()).unwrap();
        (serde_json::to_string(&receipt.proof(0)).unwrap(), serde_json::to_string(&receipt).unwrap())
    };
    let (dispute, receipt) = wrong(b"another");
    kept[3].entry.action = Action::ReceiptWrong.as_str().into();
    kept[3].entry.incident = kept[2].entry.incident;
    (kept[3].entry.exchange, kept[3].entry.seq) = (kept[2].entry.exchange.clone(), kept[2].entry.seq);
    kept[3].content = Some(dispute);
    let mut whole = kept[3].clone();
    (whole.entry.number, whole.entry.action) = (5, Action::Receipt.as_str().into());
    (whole.entry.exchange, whole.entry.seq) = (None, None);
    whole.content = Some(receipt);
    kept.push(whole);
    chain(&mut kept, 3);
    let report = verify(&export(&own, &kept), &believed(&own, &partner)).unwrap();
    assert_eq!((report.disputed, report.first_disputed), (1, Some(4)));
    assert_eq!((report.proved, report.unproved), (0, Some(3)));
    // A word that the site invents for it explains nothing away.
    kept[3].content = Some(wrong(b"a third").0);
    chain(&mut kept, 3);
    let finding = verify(&export(&own, &kept), &believed(&own, &partner)).unwrap_err();
    assert_eq!(finding.entry, Some(3), "{finding}");
}

/// Chains anew what stands from `first` on, as whoever has the store can.
fn chain(kept: &mut [Kept], first: usize) {
    for place in first..kept.len() {
        let previous = kept[place - 1].hash.parse().unwrap();
        let one = &mut kept[place];
        one.entry.previous = previous;
        one.entry.sha256 = one.content.as_ref().map(|content| ContentDigest::of(content.as_bytes()).to_string());
        one.hash = chained(&one.entry).unwrap().1.to_string();
    }
}

#[test]
fn h_07_an_export_that_was_cut_off_or_goes_on_is_told() {
    let (own, partner) = keys();
    let (kept, everybody) = (history(&partner, 9), believed(&own, &partner));
    for lines in [export(&own, &kept), export_of_a_case(&own, &kept)] {
        for end in 1..lines.len() {
            assert!(verify(&lines[..end], &everybody).is_err(), "cut off behind {end} lines");
        }
        assert!(verify(&[lines.clone(), vec![lines[1].clone()]].concat(), &everybody).is_err());
        assert!(verify_bytes(lines.join("\n").as_bytes(), &everybody).is_err(), "cut off within the end");
    }
}

#[test]
fn h_07_whoever_writes_the_chain_anew_does_not_have_the_key_of_its_end_nor_what_the_peer_holds() {
    let (own, partner) = keys();
    let (mine, theirs) = (history(&partner, 9), history(&partner, 6));
    let thief = SigningKey::make().unwrap();
    let report = verify(&export(&thief, &theirs), &believed(&own, &partner)).unwrap();
    assert_eq!(report.end_is_signed, Some(false), "it is told that nobody vouches for the end");
    let held = std::collections::BTreeMap::from([(9, mine[8].hash.parse().unwrap())]);
    let mut verifier = Verifier::of_store(Keys::default(), &site(), &alias("north")).held_by_a_peer(held);
    theirs.iter().for_each(|one| verifier.kept(one).unwrap());
    let head = Head { number: 7, hash: theirs[6].hash.parse().unwrap() };
    let elsewhere = ToldElsewhere::default();
    assert_eq!(
        verifier.stored(&head, &elsewhere).unwrap_err().entry,
        Some(8),
        "the peer holds the signature for entry 9"
    );
}

#[test]
fn h_07_a_receipt_for_another_content_is_named_at_the_operation() {
    let (own, partner) = keys();
    let mut kept = history(&partner, 3);
    let content = r#"{"kind":"update","content":{"solution":"another"}}"#;
    kept[2].content = Some(content.into());
    // The thief of the store chains it anew.
    chain(&mut kept, 2);
    let finding = verify(&export(&own, &kept), &believed(&own, &partner)).unwrap_err();
    assert_eq!(finding.entry, Some(3));
    assert!(finding.reason.contains("partner has signed for another operation"), "{finding}");
}

/// A whole history and that of one case, as they are handed out, with the numbers of their entries and the keys.
struct World {
    exports: [(Vec<String>, Vec<u64>); 2],
    keys: Keys,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let (own, partner) = keys();
    let kept = history(&partner, 24);
    let numbers =
        |is: fn(&Entry) -> bool| kept.iter().map(|one| &one.entry).filter(move |one| is(one)).map(|one| one.number);
    let whole = (export(&own, &kept), numbers(|_| true).collect());
    let of_a_case = (export_of_a_case(&own, &kept), numbers(|one| one.incident == Some(1)).collect());
    World { exports: [whole, of_a_case], keys: believed(&own, &partner) }
});

/// The hash that belongs to an entry's line as it stands now, which takes no key.
fn with_its_hash(line: &str, changed: impl FnOnce(&mut Entry)) -> String {
    let mut line: Line = serde_json::from_str(line).unwrap();
    let mut entry: Entry = serde_json::from_str(line.entry.get()).unwrap();
    changed(&mut entry);
    let (text, hash) = chained(&entry).unwrap();
    line.entry = serde_json::value::RawValue::from_string(text).unwrap();
    line.hash = hash.to_string();
    serde_json::to_string(&line).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn h_07_any_byte_that_is_changed_is_named(of in 0..2_usize, place in any::<prop::sample::Index>(), bits in 1..=255_u8) {
        let (lines, numbers) = &WORLD.exports[of];
        let mut changed = (lines.join("\n") + "\n").into_bytes();
        let place = place.index(changed.len());
        let line = changed[..place].iter().filter(|byte| **byte == b'\n').count();
        changed[place] ^= bits;
        let finding = verify_bytes(&changed, &WORLD.keys).expect_err("it was changed");
        if let Some(number) = line.checked_sub(1).and_then(|place| numbers.get(place)) {
            prop_assert_eq!(finding.entry, Some(*number), "{}", finding);
        }
    }

    #[test]
    fn h_07_an_entry_that_is_dropped_is_named(of in 0..2_usize, place in any::<prop::sample::Index>()) {
        let (mut lines, numbers) = WORLD.exports[of].clone();
        let place = place.index(numbers.len());
        lines.remove(place + 1);
        let finding = verify(&lines, &WORLD.keys).expect_err("it was dropped");
        prop_assert_eq!(finding.entry, Some(numbers[place]), "{}", finding);
    }

    #[test]
    fn h_07_an_entry_that_is_doubled_is_named(
        of in 0..2_usize, place in any::<prop::sample::Index>(), behind in any::<prop::sample::Index>(),
    ) {
        let (mut lines, numbers) = WORLD.exports[of].clone();
        let place = place.index(numbers.len());
        let behind = place + behind.index(numbers.len() - place);
        lines.insert(behind + 2, lines[place + 1].clone());
        let finding = verify(&lines, &WORLD.keys).expect_err("it was doubled");
        prop_assert_eq!(finding.entry, Some(numbers[place]), "{}", finding);
    }

    #[test]
    fn h_07_entries_in_another_order_are_named(
        of in 0..2_usize, one in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(),
    ) {
        let (mut lines, numbers) = WORLD.exports[of].clone();
        let (one, other) = (one.index(numbers.len()), other.index(numbers.len()));
        prop_assume!(one != other);
        lines.swap(one + 1, other + 1);
        let finding = verify(&lines, &WORLD.keys).expect_err("they were swapped");
        prop_assert_eq!(finding.entry, Some(numbers[one.min(other)]), "{}", finding);
    }

    /// Whoever has the export of a case, and no key.
    #[test]
    fn h_07_who_writes_the_hashes_of_a_case_anew_is_found_out(
        place in any::<prop::sample::Index>(), text in "[a-z ]{1,12}", what in 0..4_usize,
    ) {
        let (mut lines, numbers) = WORLD.exports[1].clone();
        let place = place.index(numbers.len());
        lines[place + 1] = with_its_hash(&lines[place + 1], |entry| match what {
            0 => entry.who = format!("operator x{text}"),
            1 => entry.at = "2026-11-01T10:00:00Z".into(),
            2 => entry.context = None,
            _ => entry.detail.push_str(&text),
        });
        let finding = verify(&lines, &WORLD.keys).expect_err("it was changed");
        prop_assert_eq!(finding.entry, Some(numbers[place]), "{}", finding);
    }

    #[test]
    fn h_07_who_takes_or_swaps_the_receipts_of_a_case_is_found_out(
        place in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(), is_taken in any::<bool>(),
    ) {
        let (mut lines, numbers) = WORLD.exports[1].clone();
        let mut read: Vec<Line> = lines[1..=numbers.len()].iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let signed: Vec<usize> = (0..read.len()).filter(|place| read[*place].receipt.is_some()).collect();
        let (place, other) = (signed[place.index(signed.len())], other.index(read.len()));
        prop_assume!(is_taken || place != other);
        let receipt = read[place].receipt.take();
        if !is_taken {
            let swapped = std::mem::replace(&mut read[other].receipt, receipt);
            read[place].receipt = swapped;
        }
        let first = if is_taken { place } else { place.min(other) };
        for (line, read) in lines[1..].iter_mut().zip(&read) {
            *line = serde_json::to_string(read).unwrap();
        }
        let finding = verify(&lines, &WORLD.keys).expect_err("it was changed");
        prop_assert_eq!(finding.entry, Some(numbers[first]), "{}", finding);
    }
}
