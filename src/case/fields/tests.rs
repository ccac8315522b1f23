use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::case::example::{comment, incident, peer};
use crate::case::{
    Agreed, Arrival, Between, Changes, Counterpart, ExchangeId, Groups, Holder, Incident, Operation, Phase, Texts,
    Towards, apply, derive_create, derive_operations,
};

fn map(field: FieldName, direction: Direction, words: &[(&str, &str)], keep: bool) -> FieldMap {
    let values = (!words.is_empty()).then(|| {
        let mut values = Values::new(keep);
        words.iter().for_each(|(ours, theirs)| values.add(ours, theirs).unwrap());
        values
    });
    FieldMap::new([(field, Rule { direction, values })].into())
}

/// A content with every field in it.
fn content(field: FieldName) -> Value {
    let record = incident();
    let across = Counterpart {
        peer: &peer(),
        towards: Towards::Upstream,
        holder: Holder::Us,
        groups: &Groups::default(),
        internal: false,
        fields: FieldMap::plain(),
    };
    let created = derive_create(&record, Default::default(), vec![], across);
    let mut content = serde_json::to_value(&created[0]).unwrap()["content"].take();
    let text = json!("x");
    for (name, value) in [
        ("description", text.clone()),
        ("priority", json!("2 - High")),
        ("severity", text.clone()),
        ("problem_class", text.clone()),
        ("service_type", text.clone()),
        ("event_type", text.clone()),
        ("event_type_group", text.clone()),
        ("occurred_at", json!("2026-11-21T10:00:00Z")),
        ("device", text.clone()),
        ("serial", text.clone()),
        ("manifest", json!({"re": "re0"})),
    ] {
        content["event"][name] = value;
    }
    content["form"] = json!({"priority": "2 - High", "follow_up": "Phone Call", "cc": ["a@b.example"],
        "tracking_number": "x", "site_id": "x", "comment": "x"});
    if content.pointer(field.places()[0]).is_none() {
        content = json!({"solution": "x", "completion_code": "fulfilled", "case": {"id": "CASE-1", "status": "x"},
            "expected_resolution": "2026-11-21T10:00:00Z", "comments": [comment(1, None)]});
    }
    content
}

#[test]
fn every_field_stands_where_the_table_says_and_travels_as_its_direction_says() {
    for field in FieldName::ALL.iter().copied() {
        let whole = content(field);
        for place in field.places() {
            assert!(whole.pointer(place).is_some(), "{field:?} stands at {place}");
        }
        assert_eq!(FieldMap::plain().translate_in(&mut whole.clone()), Ok(vec![]), "{field:?}");
        for direction in field.directions() {
            let (map, name) = (map(field, *direction, &[], false), (field, direction));
            let (mut out, mut back) = (whole.clone(), whole.clone());
            map.translate_out(&mut out).unwrap();
            let left = map.translate_in(&mut back).unwrap();
            for place in field.places() {
                assert_eq!(out.pointer(place).is_some(), map.sends(field), "{name:?}");
                assert_eq!(back.pointer(place).is_some(), map.takes(field), "{name:?}");
            }
            assert_eq!(left, if map.takes(field) { vec![] } else { vec![field] }, "{name:?}");
            if map.sends(field) {
                assert_eq!(out, whole, "{name:?}");
            }
        }
    }
}

#[test]
fn what_nobody_could_do_without_always_travels() {
    let always: Vec<&str> = FieldName::ALL
        .iter()
        .filter(|field| !field.directions().contains(&Direction::Never))
        .map(|field| field.as_str())
        .collect();
    assert_eq!(always, ["host_event_id", "synopsis", "case_status"]);
}

#[test]
fn c_29_words_are_translated_wherever_the_field_stands_and_one_without_a_word_is_named() {
    let priority = map(FieldName::Priority, Direction::Once, &[("2 - High", "P2"), ("4 - Low", "P4")], false);
    let mut create = json!({"event": {"priority": "2 - High"}, "form": {"priority": "4 - Low"}});
    priority.translate_out(&mut create).unwrap();
    assert_eq!(create, json!({"event": {"priority": "P2"}, "form": {"priority": "P4"}}));
    priority.translate_in(&mut create).unwrap();
    assert_eq!(create, json!({"event": {"priority": "2 - High"}, "form": {"priority": "4 - Low"}}));

    let out = priority.translate_out(&mut json!({"event": {"priority": "1 - Critical"}})).unwrap_err();
    assert_eq!(out.to_string(), "priority: \"1 - Critical\" has no word of the peer's in the field map");
    let back = priority.translate_in(&mut json!({"form": {"priority": "P9"}})).unwrap_err();
    assert_eq!(back.to_string(), "priority: \"P9\" is no word of the sender's in the receiver's field map");
    assert_eq!(
        priority.translate_in(&mut json!({"event": {"priority": 7}, "form": null})),
        Ok(vec![]),
        "read refuses it"
    );

    let code = map(FieldName::CompletionCode, Direction::Both, &[("fulfilled", "Done")], false);
    let mut taken_away = json!({"completion_code": null});
    code.translate_out(&mut taken_away).unwrap();
    assert_eq!(taken_away, json!({"completion_code": null}), "no value needs no word");
}

#[test]
fn a_whole_record_leaves_out_what_has_no_word_and_names_it() {
    let status = map(FieldName::CaseStatus, Direction::Both, &[("Open", "New")], false);
    let mut record = json!({"case": {"id": "CASE-1", "status": "Odd"}, "solution": "x"});
    let reasons = status.hear(&mut record);
    assert_eq!((record, reasons.len()), (json!({"solution": "x"}), 1));
    let mut record = json!({"case": {"id": "CASE-1", "status": "Open"}});
    status.tell(&mut record);
    assert_eq!(record["case"]["status"], "New");
}

#[test]
fn c_29_a_value_with_an_explicit_none_is_no_value_at_the_other_side() {
    let mut values = Values::new(true);
    values.add("2 - High", "P2").unwrap();
    assert!(values.add_none_out("4 - Low") && values.add_none_in("P9"));
    assert!(!values.add_none_out("2 - High") && !values.add_none_in("P2"), "a value has one meaning");
    let rule = |values: &Values| Rule { direction: Direction::Both, values: Some(values.clone()) };
    let rules = [(FieldName::Priority, rule(&values)), (FieldName::CompletionCode, rule(&values))];
    let map = FieldMap::new(rules.into());
    let mut create = json!({"event": {"priority": "4 - Low"}, "form": {"priority": "2 - High"}});
    map.translate_out(&mut create).unwrap();
    assert_eq!(create, json!({"event": {}, "form": {"priority": "P2"}}), "though what has no word is kept");
    let mut shared = json!({"completion_code": "4 - Low"});
    map.translate_out(&mut shared).unwrap();
    assert_eq!(shared, json!({"completion_code": null}), "what both keep the same is said to be gone");
    let mut arriving = json!({"event": {"priority": "P9"}});
    map.translate_in(&mut arriving).unwrap();
    assert_eq!(arriving, json!({"event": {}}));
}

#[test]
fn two_words_of_ours_cannot_be_one_of_the_peers() {
    let mut values = Values::new(false);
    values.add("Open", "New").unwrap();
    assert_eq!(values.add("Reopened", "New"), Err("Open".to_owned()));
    assert!(!values.has("Reopened"));
}

proptest! {
    /// Whatever goes out comes back as what it was, and the other way round; also where the map names only a part.
    #[test]
    fn what_has_a_word_comes_back_as_it_went(
        pairs in prop::collection::vec(("[a-e]{1,2}", "[a-e]{1,2}"), 0..8), keep: bool, value in "[a-e]{1,2}",
    ) {
        let mut values = Values::new(keep);
        for (ours, theirs) in &pairs {
            if !values.out.contains_key(ours) {
                let _ = values.add(ours, theirs);
            }
        }
        for (ours, theirs) in &values.out {
            prop_assert_eq!(values.word(ours, Way::Out), Word::Is(theirs.clone()));
            prop_assert_eq!(values.word(theirs, Way::In), Word::Is(ours.clone()));
        }
        if let Word::Is(out) = values.word(&value, Way::Out) {
            prop_assert_eq!(values.word(&out, Way::In), Word::Is(value.clone()));
        }
        if let Word::Is(back) = values.word(&value, Way::In) {
            prop_assert_eq!(values.word(&back, Way::Out), Word::Is(value));
        }
    }
}

fn across<'a>(fields: &'a FieldMap, groups: &'a Groups, peer: &'a crate::case::Alias) -> Counterpart<'a> {
    Counterpart { peer, towards: Towards::Upstream, holder: Holder::Us, groups, internal: false, fields }
}

#[test]
fn what_does_not_go_is_not_derived_again_and_again_and_not_claimed_to_be_agreed_on() {
    let (groups, peer) = (Groups::default(), peer());
    let rules = [FieldName::Solution, FieldName::ExpectedResolution, FieldName::Comments, FieldName::CompletionCode];
    let fields = FieldMap::new(
        rules.into_iter().map(|field| (field, Rule { direction: Direction::In, values: None })).collect(),
    );
    let mut record = incident();
    let before = Shadow::of(&record, None);
    record.work.solution = Some("Reseated".into());
    record.work.expected_resolution = Some(record.created_at);
    record.work.completion_code = Some(CompletionCode::Fulfilled);
    record.comments.push(comment(9, None));
    let operations = derive_operations(&before, &record, across(&fields, &groups, &peer));
    assert_eq!(operations, []);
    let after = before.after(&operations, &record, None, &fields);
    assert_eq!(after, before, "nothing of it was agreed on");

    record.work.phase = Phase::Review;
    let operations = derive_operations(&after, &record, across(&fields, &groups, &peer));
    assert_eq!(operations, [Operation::Resolve(Changes::default())], "the phase goes, and nothing else");
    let after = after.after(&operations, &record, None, &fields);
    record.work.phase = Phase::InitialSupport;
    let reopened = derive_operations(&after, &record, across(&fields, &groups, &peer));
    assert_eq!(reopened, [Operation::Reopen(Changes::default())]);

    // Once it may go, it goes.
    let all = derive_operations(&before, &record, across(FieldMap::plain(), &groups, &peer));
    let changes = all[0].changes().unwrap();
    assert_eq!((changes.solution.clone(), changes.comments.len()), (Some(Some("Reseated".into())), 1));
}

#[test]
fn what_is_not_taken_stays_also_where_a_rule_would_change_it() {
    let fields = map(FieldName::Solution, Direction::Out, &[], false);
    let mut record = incident();
    record.work.solution = Some("Ours".into());
    let at = Arrival { peer: &peer(), exchange: ExchangeId::from_bytes([7; 16]), seq: 1, at: record.created_at };
    let theirs = Changes { solution: Some(Some("Theirs".into())), ..Changes::default() };
    for operation in [Operation::Update(theirs.clone()), Operation::Reopen(theirs.clone()), Operation::Cancel(theirs)] {
        assert_eq!(fields.taken(apply(&operation, &record.work, at)).solution, None, "{operation:?}");
    }
    let shadow = Shadow::of(&incident(), None);
    assert_eq!(fields.level(shadow.clone(), &record.work), shadow, "a change that goes can meet another");
    let comes = map(FieldName::Solution, Direction::In, &[], false);
    assert_eq!(comes.level(shadow, &record.work).solution, Some(Mark::of("Ours")), "one that stays meets none");
}

fn agreed(incident: &Incident, towards: Towards, fields: &FieldMap) -> Agreed {
    let exchange = ExchangeId::from_bytes([7; 16]);
    Agreed::of(incident, Between { peer: &peer(), exchange, towards, fields, texts: Texts::Hidden, canceled: false })
}

#[test]
fn reconciliation_compares_words_that_travel_and_leaves_out_what_does_not() {
    let (mut here, mut there) = (incident(), incident());
    let case = |status: &str| {
        Some(crate::case::Case { id: "CASE-1".parse().unwrap(), link: None, status: status.into(), contact: None })
    };
    (here.case, there.case) = (case("Neu"), case("Open"));
    let ours = map(FieldName::CaseStatus, Direction::Both, &[("Neu", "New")], false);
    let theirs = map(FieldName::CaseStatus, Direction::Both, &[("Open", "New")], false);
    let (one, other) = (agreed(&here, Towards::Upstream, &ours), agreed(&there, Towards::Client, &theirs));
    assert_eq!((one.differences(&other), one.digest()), (vec![], other.digest()));
    assert_ne!(one.digest(), agreed(&there, Towards::Client, FieldMap::plain()).digest());

    there.case = here.case.clone();
    here.work.solution = Some("Ours alone".into());
    let out = map(FieldName::Solution, Direction::Out, &[], false);
    let (one, other) = (agreed(&here, Towards::Upstream, &out), agreed(&there, Towards::Client, FieldMap::plain()));
    assert_eq!(one.differences(&other), [], "one site's map is enough");
    assert_eq!(one.digest(), other.digest());
    assert_eq!(other.differences(&one), []);
}
