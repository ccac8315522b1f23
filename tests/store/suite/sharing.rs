//! Files on their way: what a peer announces, what goes to one, and contents in pieces.

use std::sync::Arc;

use casebridge::case::{Alias, AttachmentNote, AttachmentState, ContentDigest, IncidentId};
use casebridge::store::{Appended, IncidentStore, Incoming, Prepared, ReferenceWrite, Write, Writer};

use super::{Bench, at, client, content, deposited, exchange, load, news, peer, reference, write};

fn note(name: &str, content: &[u8]) -> AttachmentNote {
    let (bytes, sha256) = (content.len() as u64, ContentDigest::of(content));
    AttachmentNote { name: name.into(), media_type: None, bytes, sha256 }
}

/// The operation `seq` of a peer announces these.
async fn announced(store: &Arc<dyn IncidentStore>, incident: IncidentId, from: &Alias, seq: u64, notes: Vec<Incoming>) {
    let reference = ReferenceWrite { peer: from.clone(), ..reference(1, Some(seq)) };
    let write_of = Write { reference: Some(reference), attachments: notes, ..Write::to(incident, Writer::Bridge) };
    write(store, write_of).await;
}

fn taken(note: &AttachmentNote) -> Vec<Incoming> {
    vec![Incoming { note: note.clone(), refused: None, at: at(1) }]
}

async fn state_of(store: &Arc<dyn IncidentStore>, incident: IncidentId, name: &str) -> Option<AttachmentState> {
    let all = store.attachments(incident).await.unwrap();
    all.into_iter().find(|one| one.name == name).map(|one| one.state)
}

async fn told(store: &Arc<dyn IncidentStore>, incident: IncidentId, action: &str) -> usize {
    store.history(incident, 1000).await.unwrap().iter().filter(|line| line.action == action).count()
}

pub async fn c_34_what_a_peer_announces_is_awaited_arrives_and_is_replaced(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let first = note("core", b"first");
    announced(&store, incident, &peer(), 1, taken(&first)).await;
    announced(&store, incident, &peer(), 2, taken(&first)).await;
    let awaited = store.downloads(&peer(), 0, 10).await.unwrap();
    assert_eq!(awaited.len(), 1, "said twice, awaited once");
    assert_eq!((awaited[0].incident, awaited[0].bytes, awaited[0].received), (incident, 5, 0));
    assert_eq!(store.downloads(&peer(), awaited[0].id, 10).await.unwrap(), []);
    assert_eq!(store.downloads(&client(), 0, 10).await.unwrap(), [], "from nobody else");
    assert_eq!(state_of(&store, incident, "core").await, None);
    assert_eq!(store.append(awaited[0].content, 0, b"first".to_vec(), at(2)).await.unwrap(), Appended::Complete);
    assert!(matches!(state_of(&store, incident, "core").await, Some(AttachmentState::Stored { bytes: 5, .. })));
    assert_eq!(store.content(awaited[0].content, 1, 3).await.unwrap(), b"irs");
    announced(&store, incident, &peer(), 3, taken(&first)).await;
    assert_eq!(store.downloads(&peer(), 0, 10).await.unwrap(), [], "the same content is not sent");

    announced(&store, incident, &peer(), 4, taken(&note("core", b"second"))).await;
    let awaited = store.downloads(&peer(), 0, 10).await.unwrap();
    assert!(
        matches!(state_of(&store, incident, "core").await, Some(AttachmentState::Stored { bytes: 5, .. })),
        "until then"
    );
    assert_eq!(store.append(awaited[0].content, 0, b"second".to_vec(), at(3)).await.unwrap(), Appended::Complete);
    assert!(matches!(state_of(&store, incident, "core").await, Some(AttachmentState::Stored { bytes: 6, .. })));
    // The same content under another name is there at once, and so is an empty one.
    announced(&store, incident, &peer(), 5, taken(&note("core 2", b"second"))).await;
    announced(&store, incident, &peer(), 6, taken(&note("empty", b""))).await;
    assert_eq!(store.downloads(&peer(), 0, 10).await.unwrap(), []);
    assert_eq!(store.attachments(incident).await.unwrap().len(), 3);
    assert_eq!(told(&store, incident, "attachment_added").await, 4);
}

pub async fn a_content_goes_on_where_it_ends_and_a_wrong_one_begins_anew(bench: &dyn Bench) {
    let store = bench.open().await;
    let whole: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    let begun = store.begin_content(&ContentDigest::of(&whole), 3_000_000).await.unwrap();
    assert_eq!((begun.received, begun.complete), (0, false));
    let append = async |start: usize, end: usize| {
        store.append(begun.content, start as u64, whole[start..end].to_vec(), at(1)).await.unwrap()
    };
    assert_eq!(append(0, 1_000_000).await, Appended::Part(1_000_000));
    assert_eq!(append(0, 1_000_000).await, Appended::Elsewhere(1_000_000), "said twice, it changes nothing");
    assert_eq!(append(2_000_000, 3_000_000).await, Appended::Elsewhere(1_000_000));
    // As after a restart.
    let store = bench.open().await;
    let again = store.begin_content(&ContentDigest::of(&whole), 3_000_000).await.unwrap();
    assert_eq!((again.content, again.received), (begun.content, 1_000_000));
    assert_eq!(append(1_000_000, 1_700_001).await, Appended::Part(1_700_001));
    assert_eq!(append(1_700_001, 3_000_000).await, Appended::Complete);
    assert_eq!(store.content(begun.content, 999_990, 1_000_000).await.unwrap(), &whole[999_990..1_999_990]);
    assert_eq!(store.content(begun.content, 2_999_999, 10).await.unwrap(), &whole[2_999_999..]);
    assert_eq!(store.content(begun.content, 3_000_000, 10).await.unwrap(), b"");

    let other = store.begin_content(&ContentDigest::of(b"right"), 5).await.unwrap();
    assert_eq!(store.append(other.content, 0, b"wrong".to_vec(), at(1)).await.unwrap(), Appended::WrongDigest);
    assert_eq!(store.append(other.content, 0, b"too long".to_vec(), at(1)).await.unwrap(), Appended::Elsewhere(0));
    assert_eq!(store.append(other.content, 0, b"right".to_vec(), at(1)).await.unwrap(), Appended::Complete);
    assert_eq!(store.append(999, 0, b"x".to_vec(), at(1)).await.unwrap(), Appended::Elsewhere(0));
}

pub async fn a_content_that_is_wrong_too_often_is_given_up(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let note = note("core", b"right");
    announced(&store, incident, &peer(), 1, taken(&note)).await;
    let awaited = store.downloads(&peer(), 0, 10).await.unwrap().remove(0);
    for _ in 0..3 {
        assert_eq!(store.downloads(&peer(), 0, 10).await.unwrap().len(), 1);
        assert_eq!(store.append(awaited.content, 0, b"wrong".to_vec(), at(1)).await.unwrap(), Appended::WrongDigest);
    }
    assert_eq!(store.downloads(&peer(), 0, 10).await.unwrap(), []);
    let expected = store.expected(&peer(), exchange(1), &note.sha256).await.unwrap().unwrap();
    assert!(expected.refused.unwrap().contains("SHA-256"));
    assert_eq!(told(&store, incident, "attachment_failed").await, 1);
    // Announced anew, it has a new chance; given up by hand, it has none.
    announced(&store, incident, &peer(), 2, taken(&note)).await;
    let awaited = store.downloads(&peer(), 0, 10).await.unwrap().remove(0);
    store.given_up(awaited.id, "in vain".into(), at(2)).await.unwrap();
    store.given_up(awaited.id, "in vain".into(), at(2)).await.unwrap();
    assert_eq!(store.downloads(&peer(), 0, 10).await.unwrap(), []);
    assert_eq!(told(&store, incident, "attachment_failed").await, 2);
}

pub async fn a_file_that_is_refused_is_told_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let refused = || vec![Incoming { note: note("a.exe", b"x"), refused: Some("no such files".into()), at: at(1) }];
    announced(&store, incident, &peer(), 1, refused()).await;
    announced(&store, incident, &peer(), 2, refused()).await;
    assert_eq!(store.downloads(&peer(), 0, 10).await.unwrap(), []);
    assert_eq!(told(&store, incident, "attachment_refused").await, 1);
    let transfers = store.transfers(incident).await.unwrap();
    assert_eq!((transfers.len(), transfers[0].state.as_str()), (1, "refused"));
    assert_eq!(transfers[0].reason.as_deref(), Some("no such files"));
    let many = |from: u32| {
        (from..from + 600).map(|one| Incoming { note: note(&one.to_string(), b"x"), refused: None, at: at(1) })
    };
    announced(&store, incident, &peer(), 3, many(0).collect()).await;
    announced(&store, incident, &peer(), 4, many(600).collect()).await;
    assert_eq!(told(&store, incident, "attachment_refused").await, 202, "an incident has an end");
}

pub async fn a_content_is_known_only_to_whom_it_came_from(bench: &dyn Bench) {
    let store = bench.open().await;
    let (ours, theirs) = (deposited(&store, "edge-1").await, deposited(&store, "edge-2").await);
    content(&store, b"secret").await;
    let note = note("file", b"secret");
    announced(&store, ours, &peer(), 1, taken(&note)).await;
    let first = store.downloads(&peer(), 0, 10).await.unwrap().remove(0);
    assert_eq!(first.received, 0, "that the site has it itself is no help");
    store.append(first.content, 0, b"secret".to_vec(), at(1)).await.unwrap();
    announced(&store, theirs, &client(), 1, taken(&note)).await;
    let second = store.downloads(&client(), 0, 10).await.unwrap().remove(0);
    assert_eq!(second.received, 0, "nor that another peer sent it");
    assert_eq!(store.append(second.content, 0, b"public".to_vec(), at(1)).await.unwrap(), Appended::WrongDigest);
    assert_eq!(store.content(first.content, 0, 10).await.unwrap(), b"secret", "and nobody spoils another's");
    assert!(store.expected(&peer(), exchange(1), &note.sha256).await.unwrap().is_some());
    assert_eq!(store.expected(&peer(), exchange(2), &note.sha256).await.unwrap(), None);
    assert_eq!(store.expected(&peer(), exchange(1), &ContentDigest::of(b"")).await.unwrap(), None);
    assert_eq!(store.offered(&client(), exchange(1), &note.sha256).await.unwrap(), None, "nothing was announced");
}

pub async fn a_file_of_ours_goes_to_each_peer_once_and_not_back_to_its_own(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let note = note("core", b"core");
    announced(&store, incident, &client(), 1, taken(&note)).await;
    let awaited = store.downloads(&client(), 0, 10).await.unwrap().remove(0);
    store.append(awaited.content, 0, b"core".to_vec(), at(1)).await.unwrap();
    assert_eq!(store.due_attachments(10).await.unwrap(), [], "not back to where it came from");
    // The next hop comes to be known.
    let to_peer = Write { reference: Some(reference(2, None)), ..Write::to(incident, Writer::Bridge) };
    write(&store, to_peer.clone()).await;
    write(&store, to_peer).await;
    let due = store.due_attachments(10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!((&due[0].peer, due[0].name.as_str(), due[0].bytes), (&peer(), "core", 4));

    let mut cursor = Default::default();
    news(&store, &mut cursor).await;
    assert_eq!(load(&store, incident).await.announced, []);
    store.prepared(due[0].id, Prepared::Ready { content: due[0].content, told_as: None }, at(2)).await.unwrap();
    assert_eq!(news(&store, &mut cursor).await, [incident], "what is ready is news");
    store.prepared(due[0].id, Prepared::Ready { content: due[0].content, told_as: None }, at(2)).await.unwrap();
    assert_eq!(news(&store, &mut cursor).await, []);
    let ready = load(&store, incident).await.announced;
    assert_eq!((ready.len(), &ready[0].peer, &ready[0].note), (1, &peer(), &note));
    let uploads = store.uploads(&peer(), 0, 10).await.unwrap();
    assert_eq!((uploads.len(), uploads[0].exchange, &uploads[0].sha256), (1, exchange(2), &note.sha256));
    assert_eq!(store.uploads(&client(), 0, 10).await.unwrap(), []);
    let offered = store.offered(&peer(), exchange(2), &note.sha256).await.unwrap().unwrap();
    assert_eq!((offered.id, offered.bytes, offered.active), (uploads[0].id, 4, true));

    // Nothing moves while the exchange is switched off.
    let mut other = bench.other().await;
    other.set(incident, "active", Some("0")).await;
    assert_eq!(store.uploads(&peer(), 0, 10).await.unwrap(), []);
    assert!(!store.offered(&peer(), exchange(2), &note.sha256).await.unwrap().unwrap().active);
    assert!(!store.expected(&client(), exchange(1), &note.sha256).await.unwrap().unwrap().active);
    let later = Incoming { note: self::note("later", b"later"), refused: None, at: at(1) };
    announced(&store, incident, &client(), 2, vec![later]).await;
    assert_eq!(store.downloads(&client(), 0, 10).await.unwrap(), []);
    other.set(incident, "active", Some("1")).await;
    assert_eq!(store.uploads(&peer(), 0, 10).await.unwrap().len(), 1);
    assert_eq!(store.downloads(&client(), 0, 10).await.unwrap().len(), 1);
}

pub async fn what_is_decided_and_what_became_of_it_is_told_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    for (name, seq) in [("skipped", 1), ("sent", 2), ("failed", 3)] {
        announced(&store, incident, &client(), seq, taken(&note(name, name.as_bytes()))).await;
        let awaited = store.downloads(&client(), 0, 10).await.unwrap().remove(0);
        store.append(awaited.content, 0, name.as_bytes().to_vec(), at(1)).await.unwrap();
    }
    write(&store, Write { reference: Some(reference(2, None)), ..Write::to(incident, Writer::Bridge) }).await;
    for due in store.due_attachments(10).await.unwrap() {
        for _ in 0..2 {
            if due.name == "skipped" {
                store.prepared(due.id, Prepared::Skipped { reason: "too large".into() }, at(2)).await.unwrap();
                continue;
            }
            store.prepared(due.id, Prepared::Ready { content: due.content, told_as: None }, at(2)).await.unwrap();
            let outcome = if due.name == "sent" { Ok(()) } else { Err("refused there".to_owned()) };
            store.gone(due.id, outcome, at(3)).await.unwrap();
        }
    }
    assert_eq!(store.uploads(&peer(), 0, 10).await.unwrap(), []);
    for action in ["attachment_skipped", "attachment_sent", "attachment_failed"] {
        assert_eq!(told(&store, incident, action).await, 1, "{action}");
    }
    let names: Vec<_> = load(&store, incident).await.announced.into_iter().map(|one| one.note.name).collect();
    assert_eq!(names, ["sent"]);

    // What was given up is decided about and awaited once more, when somebody says so.
    announced(&store, incident, &client(), 4, taken(&note("lost", b"lost"))).await;
    let awaited = store.downloads(&client(), 0, 10).await.unwrap().remove(0);
    store.given_up(awaited.id, "in vain".into(), at(3)).await.unwrap();
    let failed = store.failed_files(None, 10).await.unwrap();
    let shown: Vec<_> = failed.iter().map(|one| (one.name.as_str(), one.goes, one.reason.as_str())).collect();
    assert_eq!(shown, [("failed", true, "refused there"), ("lost", false, "in vain")]);
    assert_eq!(store.failed_files(Some(incident), 10).await.unwrap(), failed);
    assert_eq!(store.failed_files(Some(incident), 1).await.unwrap().len(), 1);
    let other = deposited(&store, "edge-2").await;
    assert_eq!(store.retry_files(Some(other), "operator anna", at(4)).await.unwrap(), 0);
    assert_eq!(store.retry_files(None, "operator anna", at(4)).await.unwrap(), 2);
    assert_eq!(store.retry_files(Some(incident), "operator anna", at(4)).await.unwrap(), 0, "said twice");
    assert_eq!(store.failed_files(Some(incident), 10).await.unwrap(), []);
    let due = store.due_attachments(10).await.unwrap();
    assert_eq!((due.len(), due[0].name.as_str()), (1, "failed"));
    assert_eq!(store.downloads(&client(), 0, 10).await.unwrap().len(), 1);
    assert_eq!(told(&store, incident, "operation_retried").await, 2);
}

pub async fn a_file_has_gone_once_all_of_it_was_fetched_from_the_first_byte_on(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let bytes = vec![7; 300];
    announced(&store, incident, &client(), 1, taken(&note("core", &bytes))).await;
    let awaited = store.downloads(&client(), 0, 10).await.unwrap().remove(0);
    store.append(awaited.content, 0, bytes, at(1)).await.unwrap();
    write(&store, Write { reference: Some(reference(2, None)), ..Write::to(incident, Writer::Bridge) }).await;
    let due = store.due_attachments(10).await.unwrap().remove(0);
    store.served(due.id, 0, 300, at(2)).await.unwrap();
    assert_eq!(told(&store, incident, "attachment_sent").await, 0, "it is not ready");
    store.prepared(due.id, Prepared::Ready { content: due.content, told_as: None }, at(2)).await.unwrap();
    // The end alone, a piece behind a gap, and one that is there already bring it no nearer.
    for (start, end) in [(299, 300), (0, 100), (150, 300), (0, 50), (50, 200), (0, 50), (201, 300)] {
        store.served(due.id, start, end, at(3)).await.unwrap();
        assert_eq!(store.uploads(&peer(), 0, 10).await.unwrap().len(), 1, "{start} to {end}");
    }
    store.served(due.id, 200, 300, at(3)).await.unwrap();
    assert_eq!(store.uploads(&peer(), 0, 10).await.unwrap(), []);
    store.served(due.id, 0, 300, at(3)).await.unwrap();
    assert_eq!(told(&store, incident, "attachment_sent").await, 1, "and it is told once");
}

pub async fn a_file_of_a_peers_takes_the_place_of_no_other_site_s(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let arrives = async |from: &Alias, seq: u64, name: &str, content: &[u8]| {
        announced(&store, incident, from, seq, taken(&note(name, content))).await;
        for one in store.downloads(from, 0, 10).await.unwrap() {
            store.append(one.content, 0, content.to_vec(), at(1)).await.unwrap();
        }
    };
    let apart = |content: &[u8]| format!("core-{}.gz", &ContentDigest::of(content).as_str()[..8]);
    let names = async || {
        let all = store.attachments(incident).await.unwrap();
        all.into_iter()
            .map(|one| (one.name, matches!(one.state, AttachmentState::Stored { bytes: 5, .. })))
            .collect::<Vec<_>>()
    };
    arrives(&client(), 1, "core.gz", b"first").await;
    arrives(&peer(), 1, "core.gz", b"other").await;
    assert_eq!(names().await, [("core.gz".to_owned(), true), (apart(b"other"), true)]);
    assert_eq!(told(&store, incident, "conflict_found").await, 1);
    // Its next content follows it there; the same content is no other file.
    arrives(&peer(), 2, "core.gz", b"longer").await;
    assert_eq!(names().await, [("core.gz".to_owned(), true), (apart(b"other"), false)]);
    arrives(&peer(), 3, "core.gz", b"first").await;
    arrives(&client(), 2, "core.gz", b"again").await;
    assert_eq!(names().await, [("core.gz".to_owned(), true), (apart(b"other"), true)]);
    assert_eq!(told(&store, incident, "conflict_found").await, 1);
    // Not even a file that the same peer calls as its first one is kept here.
    let called = apart(b"other");
    arrives(&peer(), 4, &called, b"third").await;
    let third = format!("{}-{}.gz", called.trim_end_matches(".gz"), &ContentDigest::of(b"third").as_str()[..8]);
    assert_eq!(names().await, [("core.gz".to_owned(), true), (called, true), (third, true)]);
    assert_eq!(told(&store, incident, "conflict_found").await, 2);
}

pub async fn what_was_announced_both_ways_is_known_by_name_and_comes_or_goes_again(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let note = note("core", b"core");
    announced(&store, incident, &client(), 1, taken(&note)).await;
    let awaited = store.downloads(&client(), 0, 10).await.unwrap().remove(0);
    store.append(awaited.content, 0, b"core".to_vec(), at(1)).await.unwrap();
    write(&store, Write { reference: Some(reference(2, None)), ..Write::to(incident, Writer::Bridge) }).await;
    let known = |peer: Alias| {
        let store = Arc::clone(&store);
        async move {
            let mut files = store.announced_files(&peer, &[incident]).await.unwrap();
            files.remove(&incident).unwrap_or_default().into_iter().collect::<Vec<_>>()
        }
    };
    assert_eq!(known(client()).await, [("core".to_owned(), note.sha256.clone())]);
    assert_eq!(known(peer()).await, [], "not announced there yet");
    let due = store.due_attachments(10).await.unwrap().remove(0);
    store.prepared(due.id, Prepared::Ready { content: due.content, told_as: None }, at(2)).await.unwrap();
    store.gone(due.id, Ok(()), at(3)).await.unwrap();
    assert_eq!(known(peer()).await, [("core".to_owned(), note.sha256.clone())]);
    assert_eq!(store.uploads(&peer(), 0, 10).await.unwrap(), []);
    store.ready_again(incident, &peer(), vec!["other".into()]).await.unwrap();
    assert_eq!(store.uploads(&peer(), 0, 10).await.unwrap(), []);
    store.ready_again(incident, &peer(), vec!["core".into()]).await.unwrap();
    assert_eq!(store.uploads(&peer(), 0, 10).await.unwrap().len(), 1);
}
