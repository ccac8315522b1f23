//! History is evidence: what stands in it stays, and what was touched is named.

use std::sync::Arc;

use casebridge::case::evidence::{
    Context, Finding, Head, Keys, Proof, Receipt, Received, Report, SigningKey, ToldElsewhere, Travelled, Verifier, Way,
};
use casebridge::case::{Action, ContentDigest, Edit, HistoryLine, IncidentId, Phase, SiteId, Towards};
use casebridge::store::history::{KeyStanding, KnownKey, Note, Of, OnTheWay};
use casebridge::store::{IncidentStore, Write, Writer};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Bench, at, client, deposited, exchange, open_of, peer, reference, write};

fn operation(text: &str) -> Box<RawValue> {
    RawValue::from_string(format!(r#"{{"kind":"update","content":{{"solution":"{text}"}}}}"#)).unwrap()
}

/// An operation of ours that the partner has taken.
fn sent(incident: IncidentId, seq: u64) -> Write {
    let line = HistoryLine {
        incident,
        at: at(1),
        who: "casebridge".into(),
        action: Action::OperationSent.as_str().into(),
        exchange: Some(exchange(1)),
        seq: Some(seq),
        detail: "taken".into(),
    };
    Write {
        reference: Some(reference(1, None)),
        history: vec![line],
        travelled: Some(Travelled::ours(&peer(), Way::Out, seq, &operation(&seq.to_string()))),
        ..Write::to(incident, Writer::Bridge)
    }
}

pub fn received(seq: u64, text: &str) -> Received {
    Received {
        exchange: exchange(1),
        towards: Towards::Upstream,
        seq,
        sha256: ContentDigest::of(operation(text).get().as_bytes()),
        at: at(2),
        number: 10 + seq,
    }
}

pub fn receipt(key: &SigningKey, operations: Vec<Received>, head: u64) -> Receipt {
    let head = Head { number: head, hash: ContentDigest::of(b"theirs") };
    Receipt::sign(key, (SiteId(Uuid::from_u128(8)), peer()), at(3), head, operations, Vec::new()).unwrap()
}

pub async fn verified(store: &Arc<dyn IncidentStore>, keys: Keys) -> Result<Report, Finding> {
    let mut verifier = Verifier::of_store(keys, &store.site().0.to_string(), &"north".parse().unwrap());
    let mut after = 0;
    loop {
        let page = store.entries(&Of::All, after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.entry.number;
        page.iter().try_for_each(|one| verifier.kept(one))?;
    }
    verifier.stored(&store.head().await.unwrap(), &ToldElsewhere::default())
}

pub async fn a_54_an_entry_has_the_machine_and_the_old_and_the_new_values(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let line = HistoryLine {
        incident,
        at: at(1),
        who: "operator ida".into(),
        action: Action::Edited.as_str().into(),
        exchange: None,
        seq: None,
        detail: "resolved".into(),
    };
    for (phase, solution) in [(Phase::Review, "Replaced"), (Phase::Close, "Replaced twice")] {
        let edit = Edit { phase: Some(phase), solution: Some(Some(solution.into())), ..Edit::default() };
        let one = Write { edit, history: vec![line.clone()], ..Write::to(incident, Writer::Operator) };
        write(&store, one).await;
    }
    let entries = store.entries(&Of::Incident(incident), 0, 10).await.unwrap();
    let contexts: Vec<&str> = entries.iter().filter_map(|one| Some(one.entry.context.as_ref()?.get())).collect();
    assert_eq!(
        contexts,
        [
            r#"{"phase":["initial_support","review"],"solution":[null,"Replaced"]}"#,
            r#"{"phase":["review","close"],"solution":["Replaced","Replaced twice"]}"#,
        ]
    );
    assert!(entries.iter().all(|one| !one.entry.node.is_empty() && !one.entry.who.is_empty()));
    assert_eq!(entries[0].entry.number, 1);
}

pub async fn h_07_everything_that_writes_history_is_chained(bench: &dyn Bench) {
    let store = bench.open().await;
    assert_eq!(verified(&store, Keys::default()).await.unwrap().entries, 0);
    let incident = deposited(&store, "edge-1").await;
    store.open(vec![open_of(client(), 2), open_of(client(), 3)]).await.unwrap();
    // Twice in one call, and again, with whichever answer: told once.
    store.write(vec![sent(incident, 2), sent(incident, 2), sent(incident, 3)]).await.unwrap();
    let mut again = sent(incident, 2);
    again.history[0].action = Action::Acknowledged.as_str().into();
    store.write(vec![again, sent(incident, 2)]).await.unwrap();
    let note = Note {
        at: at(1),
        who: "operator ida".into(),
        action: Action::KeyMade,
        peer: None,
        detail: "about the site".into(),
        context: Context::default(),
    };
    store.note(note).await.unwrap();
    let report = verified(&store, Keys::default()).await.unwrap();
    assert_eq!((report.entries, report.sent, report.unproved), (6, 2, Some(4)));
}

pub async fn a_54_the_tokens_that_the_history_tells_of_are_remembered(bench: &dyn Bench) {
    let store = bench.open().await;
    assert_eq!(store.noted_tokens().await.unwrap(), []);
    let note = |detail: &str| Note {
        at: at(1),
        who: "operator ida".into(),
        action: Action::TokensChanged,
        peer: None,
        detail: detail.into(),
        context: Context::default(),
    };
    let noted = |id: &str, revoked| (id.to_owned(), revoked);
    store.note_tokens(vec![noted("1", false), noted("2", false)], vec![note("1 made"), note("2 made")]).await.unwrap();
    store.note_tokens(vec![noted("2", true)], vec![note("2 revoked")]).await.unwrap();
    let mut kept = store.noted_tokens().await.unwrap();
    kept.sort();
    assert_eq!(kept, [noted("1", false), noted("2", true)]);
    let entries = store.entries(&Of::All, 0, 10).await.unwrap();
    let told: Vec<&str> = entries.iter().map(|one| one.entry.detail.as_str()).collect();
    assert_eq!(told, ["1 made", "2 made", "2 revoked"]);
    assert_eq!(verified(&store, Keys::default()).await.unwrap().entries, 3);
}

pub async fn a_receipt_stands_beside_what_it_proves_once_and_a_wrong_one_is_told(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    store.write(vec![sent(incident, 2), sent(incident, 3)]).await.unwrap();
    let key = SigningKey::make().unwrap();
    let both = receipt(&key, vec![received(2, "2"), received(3, "3")], 20);
    for proved in [2, 0] {
        let taking = store.take_receipt(&peer(), &both, &OnTheWay::new(), at(4)).await.unwrap();
        assert_eq!((taking.proved, taking.wrong.len(), taking.through), (proved, 0, 13));
    }
    let mut keys = Keys::default();
    keys.add(&peer(), key.public());
    let report = verified(&store, keys.clone()).await.unwrap();
    assert_eq!((report.entries, report.sent, report.proved, report.unproved), (4, 2, 2, None));
    assert!(store.receipts_of(&[1, 2, 3], 3).await.unwrap().is_empty(), "it came as entry 4");
    let found = store.receipts_of(&[1, 2, 3], 4).await.unwrap();
    assert_eq!(found.iter().map(|(entry, ..)| *entry).collect::<Vec<_>>(), [2, 3]);
    for (entry, receipt, place) in found {
        let proof = receipt.proof(place).unwrap();
        assert_eq!((proof.check(), proof.operation.seq), (Ok(()), entry));
    }

    // Another content, a history that became shorter, and one that this site has not told itself yet.
    for _ in 0..2 {
        let other = receipt(&key, vec![received(2, "x")], 20);
        let wrong = store.take_receipt(&peer(), &other, &OnTheWay::new(), at(5)).await.unwrap();
        assert_eq!((wrong.proved, wrong.wrong.len()), (0, 1), "{wrong:?}");
        assert_eq!(store.head().await.unwrap().number, 5, "it is kept, and once");
    }
    let story = store.entries(&Of::Incident(incident), 0, 10).await.unwrap();
    let kept = story.last().unwrap();
    assert_eq!((kept.entry.action.as_str(), kept.entry.seq), ("receipt_wrong", Some(2)));
    let proof: Proof = serde_json::from_str(kept.content.as_ref().unwrap()).unwrap();
    assert_eq!((proof.check(), proof.operation.sha256), (Ok(()), received(2, "x").sha256));
    let shorter = receipt(&key, vec![received(2, "2")], 19);
    let shorter = store.take_receipt(&peer(), &shorter, &OnTheWay::new(), at(5)).await.unwrap();
    assert!(shorter.wrong[0].contains("ends with entry 19"), "{shorter:?}");
    let early = receipt(&key, vec![received(3, "3"), received(4, "4")], 21);
    for (on_the_way, through) in [(OnTheWay::from([(exchange(1), 4)]), 13), (OnTheWay::new(), 14)] {
        let taking = store.take_receipt(&peer(), &early, &on_the_way, at(5)).await.unwrap();
        assert_eq!(taking.through, through, "asked for again as long as this history may still tell of it");
    }
    assert_eq!(store.head().await.unwrap().number, 6, "what proves nothing leaves nothing");
    let report = verified(&store, keys).await.unwrap();
    assert_eq!((report.proved, report.disputed, report.first_disputed), (2, 2, Some(5)));
}

pub async fn what_arrived_is_signed_for_and_what_nobody_signed_for_is_found_once(bench: &dyn Bench) {
    let store = bench.open().await;
    store.open(vec![open_of(client(), 2), open_of(client(), 3), open_of(peer(), 4)]).await.unwrap();
    let arrived = store.arrived(&client(), 0, 10).await.unwrap();
    assert_eq!(arrived.iter().map(|one| one.exchange).collect::<Vec<_>>(), [exchange(2), exchange(3)]);
    assert_eq!(arrived[0].sha256, ContentDigest::of(b"as it travelled"));
    assert_eq!(store.arrived(&client(), arrived[0].number, 10).await.unwrap(), arrived[1..]);
    store.mark(&client(), Some(7), None).await.unwrap();
    store.mark(&client(), None, Some(9)).await.unwrap();
    let marks = store.marks(&client()).await.unwrap();
    assert_eq!((marks.given, marks.taken), (7, 9));

    let incident = deposited(&store, "edge-1").await;
    store.write(vec![sent(incident, 2), sent(incident, 3)]).await.unwrap();
    assert_eq!(store.look_for_unproved(&peer(), at(0), 10).await.unwrap().operations, 0, "they have time");
    let found = store.look_for_unproved(&peer(), at(100), 10).await.unwrap();
    assert_eq!((found.operations, found.first), (2, Some(5)));
    assert_eq!(store.look_for_unproved(&peer(), at(100), 10).await.unwrap().operations, 0, "told once");
}

pub async fn keys_are_kept_in_their_order_and_one_is_present(bench: &dyn Bench) {
    let store = bench.open().await;
    let keys: Vec<_> = (0..3).map(|_| SigningKey::make().unwrap().public()).collect();
    let set = |index: usize, standing| {
        let peer = Some(peer());
        let known = KnownKey { peer: peer.clone(), key: keys[index], standing, since: at(1), endorsement: None };
        let note = Note {
            at: at(1),
            who: "operator ida".into(),
            action: Action::KeyPinned,
            peer,
            detail: "confirmed".into(),
            context: Context::default(),
        };
        store.set_key(known, note)
    };
    set(0, KeyStanding::Present).await.unwrap();
    set(1, KeyStanding::Offered).await.unwrap();
    set(2, KeyStanding::Offered).await.unwrap();
    let standing = |known: &[KnownKey]| known.iter().map(|one| (one.key, one.standing)).collect::<Vec<_>>();
    let known = store.keys(Some(&peer())).await.unwrap();
    assert_eq!(standing(&known), [(keys[0], KeyStanding::Present), (keys[2], KeyStanding::Offered)]);
    set(2, KeyStanding::Present).await.unwrap();
    let known = store.keys(Some(&peer())).await.unwrap();
    assert_eq!(standing(&known), [(keys[0], KeyStanding::Past), (keys[2], KeyStanding::Present)]);
    assert!(store.keys(None).await.unwrap().is_empty());
    assert_eq!(verified(&store, Keys::default()).await.unwrap().entries, 4);
}
