//! Deposits, and the files that belong to them.

use std::collections::HashSet;

use casebridge::case::text::is_deceptive;
use casebridge::case::{
    Attachment, AttachmentState, ContentDigest, Deposit, DepositedFile, Event, FileContent, FollowUp, Form, Kind,
    Priority, Submission,
};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Bench, at, content, deposit, incidents, load};

pub async fn a_07_an_event_that_is_deposited_twice_is_one_incident(bench: &dyn Bench) {
    let store = bench.open().await;
    let first = store.deposit(vec![deposit("edge-1"), deposit("edge-2")], at(0)).await.unwrap();
    assert!(first.iter().all(|one| one.new));
    let changed = Deposit { group: Some("late".into()), ..deposit("edge-1") };
    let again = store.deposit(vec![deposit("edge-3"), changed], at(1)).await.unwrap();
    assert!(again[0].new, "the one beside it is not held up");
    assert!(!again[1].new);
    assert_eq!(again[1].incident, first[0].incident);
    assert_eq!(load(&store, first[0].incident).await.group, None, "what was there stays as it was");
    let history = store.history(first[0].incident, 10).await.unwrap();
    assert_eq!(history.len(), 1, "and it is deposited once in its history");
}

pub async fn a_07_an_event_that_stands_twice_in_one_batch_is_one_incident(bench: &dyn Bench) {
    let store = bench.open().await;
    let stored = store.deposit(vec![deposit("edge-1"), deposit("edge-2"), deposit("edge-1")], at(0)).await.unwrap();
    assert_eq!(stored.iter().map(|one| one.new).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(stored[2].incident, stored[0].incident);
    assert_ne!(stored[1].incident, stored[0].incident);
}

pub async fn a_07_batches_that_come_at_once_make_one_incident_of_each_event(bench: &dyn Bench) {
    let (one, two) = (bench.open().await, bench.open().await);
    let names: Vec<String> = (0..20).map(|number| format!("edge-{number}")).collect();
    let batches: Vec<_> = (0..8)
        .map(|turn| {
            let store = if turn % 2 == 0 { one.clone() } else { two.clone() };
            let mut deposits: Vec<Deposit> = names.iter().map(|name| deposit(name)).collect();
            deposits.rotate_left(turn);
            tokio::spawn(async move { store.deposit(deposits, at(0)).await.unwrap() })
        })
        .collect();
    let mut all = HashSet::new();
    let mut new = 0;
    for batch in batches {
        let stored = batch.await.unwrap();
        new += stored.iter().filter(|one| one.new).count();
        all.extend(incidents(&stored));
    }
    assert_eq!((new, all.len()), (20, 20));
}

pub async fn an_empty_batch_stores_nothing(bench: &dyn Bench) {
    assert_eq!(bench.open().await.deposit(vec![], at(0)).await.unwrap(), []);
}

pub async fn a_06_every_field_of_a_deposit_reads_back_unchanged(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(48) });
    let runtime = tokio::runtime::Handle::current();
    let stories = std::cell::Cell::new(0);
    let told = tokio::task::block_in_place(|| {
        runner.run(&prop::collection::vec(any_deposit(), 1..6), |mut deposits| {
            let story = stories.get();
            stories.set(story + 1);
            for (number, deposit) in deposits.iter_mut().enumerate() {
                // Unique, and otherwise as arbitrary as it came.
                deposit.event.host_event_id.insert_str(0, &format!("{story}-{number} "));
                prop_assert_eq!(deposit.event.check(), Ok(()));
                prop_assert_eq!(deposit.form.check(), Ok(()));
            }
            let (stored, loaded) = runtime.block_on(async {
                let stored = store.deposit(deposits.clone(), at(story)).await.unwrap();
                let loaded = store.load(&incidents(&stored)).await.unwrap();
                (stored, loaded)
            });
            prop_assert_eq!(&loaded.unreadable, &[]);
            prop_assert_eq!(loaded.incidents.len(), deposits.len());
            for ((deposit, stored), incident) in deposits.iter().zip(stored).zip(loaded.incidents) {
                prop_assert_eq!(incident.id, stored.incident, "numbers are given in the order of the batch");
                prop_assert_eq!(&incident.event, &deposit.event);
                prop_assert_eq!(&incident.form, &deposit.form);
                prop_assert_eq!(&incident.group, &deposit.group);
                let wanted = if deposit.hold { Submission::Held } else { Submission::Undecided };
                prop_assert_eq!(incident.submission, wanted);
                prop_assert_eq!(incident.created_at, at(story));
                prop_assert_eq!((incident.client, incident.case), (None, None));
            }
            Ok(())
        })
    });
    told.unwrap();
}

pub async fn a_09_files_are_stored_awaited_or_failed_as_the_bundle_says(bench: &dyn Bench) {
    let store = bench.open().await;
    let file = |name: &str, content| DepositedFile { name: name.into(), media_type: None, content };
    let files = vec![
        DepositedFile { media_type: Some("text/plain".into()), ..file("log", FileContent::Embedded(b"a\0b".into())) },
        file("core", FileContent::Listed),
        file("shell", FileContent::Failed { reason: "no such command".into() }),
        file("empty", FileContent::Embedded(vec![])),
    ];
    let stored = store.deposit(vec![Deposit { files, ..deposit("edge-1") }], at(0)).await.unwrap();
    let attachment = |name: &str, state| Attachment { name: name.into(), media_type: None, state };
    let log = AttachmentState::Stored { bytes: 3, sha256: sha256_of_a0b() };
    let empty = AttachmentState::Stored {
        bytes: 0,
        sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".into(),
    };
    assert_eq!(
        store.attachments(stored[0].incident).await.unwrap(),
        [
            Attachment { media_type: Some("text/plain".into()), ..attachment("log", log) },
            attachment("core", AttachmentState::Awaited),
            attachment("shell", AttachmentState::Failed { reason: "no such command".into() }),
            attachment("empty", empty),
        ]
    );
    let awaited = store.awaited_attachments(0, 10).await.unwrap();
    assert_eq!(awaited.len(), 1);
    assert_eq!(awaited[0].incident, stored[0].incident);
    assert_eq!((awaited[0].host_event_id.as_str(), awaited[0].name.as_str()), ("edge-1", "core"));
}

fn sha256_of_a0b() -> String {
    use sha2::Digest;
    sha2::Sha256::digest(b"a\0b").iter().map(|byte| format!("{byte:02x}")).collect()
}

pub async fn a_13_a_file_that_comes_late_is_added_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let files = vec![DepositedFile { name: "core".into(), media_type: None, content: FileContent::Listed }];
    let stored = store.deposit(vec![Deposit { files, ..deposit("edge-1") }], at(0)).await.unwrap();
    let incident = stored[0].incident;
    let awaited = store.awaited_attachments(0, 10).await.unwrap();
    let half = store.begin_content(&ContentDigest::of(b"half"), 4).await.unwrap().content;
    store.add_attachment(awaited[0].id, half, at(1)).await.unwrap();
    assert_eq!(store.awaited_attachments(0, 10).await.unwrap().len(), 1, "only a content that is whole counts");
    store.add_attachment(awaited[0].id, content(&store, b"first").await, at(1)).await.unwrap();
    store.add_attachment(awaited[0].id, content(&store, b"second one").await, at(2)).await.unwrap();
    let attachments = store.attachments(incident).await.unwrap();
    assert_eq!(attachments.len(), 1);
    assert!(matches!(attachments[0].state, AttachmentState::Stored { bytes: 5, .. }), "{attachments:?}");
    assert_eq!(store.awaited_attachments(0, 10).await.unwrap(), []);
    assert_eq!(store.history(incident, 10).await.unwrap().len(), 2, "deposited, and added once");
}

pub async fn awaited_files_are_paged_each_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let listed = |name: &str| DepositedFile { name: name.into(), media_type: None, content: FileContent::Listed };
    for event in ["edge-1", "edge-2", "edge-3"] {
        let files = vec![listed("a"), listed("b"), listed("c")];
        store.deposit(vec![Deposit { files, ..deposit(event) }], at(0)).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut after = 0;
    loop {
        let page = store.awaited_attachments(after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2 && page.iter().all(|one| one.id > after));
        after = last.id;
        seen.extend(page.into_iter().map(|one| one.host_event_id + &one.name));
    }
    assert_eq!(seen.len(), 9);
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 9);
}

fn any_deposit() -> impl Strategy<Value = Deposit> {
    (any_event(), prop::option::of(a_line(64)), any_form(), any::<bool>())
        .prop_map(|(event, group, form, hold)| Deposit { event, group, form, hold, ..Deposit::default() })
}

fn any_event() -> impl Strategy<Value = Event> {
    let instant = (Timestamp::MIN.as_nanosecond()..=Timestamp::MAX.as_nanosecond())
        .prop_map(|nanosecond| Timestamp::from_nanosecond(nanosecond).unwrap())
        .prop_filter("a year that RFC 3339 can write", |instant| !instant.to_string().starts_with('-'));
    let texts = prop::array::uniform7(prop::option::of(a_line(80)));
    let manifest = prop::collection::btree_map(a_line(40), a_paragraph(120), 0..5);
    let words =
        (prop::sample::select(Kind::ALL.to_vec()), prop::option::of(prop::sample::select(Priority::ALL.to_vec())));
    (a_line(120), a_line(300), a_paragraph(600), words, texts, prop::option::of(instant), manifest).prop_map(
        |(host_event_id, synopsis, description, (kind, priority), texts, occurred_at, manifest)| {
            let [severity, problem_class, service_type, event_type, event_type_group, device, serial] = texts;
            Event {
                host_event_id,
                kind,
                synopsis,
                description,
                priority,
                severity,
                problem_class,
                service_type,
                event_type,
                event_type_group,
                occurred_at,
                device,
                serial,
                manifest,
            }
        },
    )
}

fn any_form() -> impl Strategy<Value = Form> {
    let address = "[a-z.]{1,8}é[a-z]@[a-z]{1,8}\\.example".prop_filter_map("an address", |text| text.parse().ok());
    (
        prop::option::of(prop::sample::select(Priority::ALL.to_vec())),
        prop::option::of(prop::sample::select(FollowUp::ALL.to_vec())),
        prop::collection::vec(address, 0..3),
        prop::option::of(a_line(64)),
        prop::option::of(a_line(64)),
        prop::option::of(a_paragraph(200)),
    )
        .prop_map(|(priority, follow_up, cc, tracking_number, site_id, comment)| Form {
            priority,
            follow_up,
            cc,
            tracking_number,
            site_id,
            comment,
            link: None,
            contact: None,
            recipient: None,
        })
}

/// One line that the rules of `case::text` allow, of at most `limit` bytes.
fn a_line(limit: usize) -> impl Strategy<Value = String> {
    a_text(limit, |c| !c.is_control() && !is_deceptive(c)).prop_filter("not blank", |text| !text.trim().is_empty())
}

fn a_paragraph(limit: usize) -> impl Strategy<Value = String> {
    a_text(limit, |c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
}

fn a_text(limit: usize, allowed: fn(char) -> bool) -> impl Strategy<Value = String> {
    let awkward = prop::sample::select(
        "\"'\\{}[]$%?;:,0 \n\r\t\u{2028}\u{feff}\u{fffd}\u{10ffff}é🔥".chars().collect::<Vec<_>>(),
    );
    let character = prop_oneof![prop::char::range(' ', '~'), awkward, any::<char>()];
    prop::collection::vec(character, 0..limit).prop_map(move |characters| {
        let mut text = String::new();
        let plain = |c: &char| allowed(*c) && !matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
        for character in characters.into_iter().filter(plain) {
            if text.len() + character.len_utf8() <= limit {
                text.push(character);
            }
        }
        text
    })
}
