//! Records by number, by reference, and their history.

use casebridge::case::{Action, ExchangeId, HistoryLine, IncidentId, Reference};
use casebridge::store::{ReferenceWrite, Write, Writer, Written};

use super::{Bench, at, client, deposit, deposited, exchange, ids, incidents, load, peer, reference, write};

pub async fn a_number_that_is_not_there_is_left_out(bench: &dyn Bench) {
    let store = bench.open().await;
    let stored = incidents(&store.deposit(vec![deposit("edge-1"), deposit("edge-2")], at(0)).await.unwrap());
    let loaded = store.load(&[stored[1], IncidentId(999), stored[0], stored[1]]).await.unwrap();
    assert_eq!(ids(&loaded), stored, "in order of their numbers, each once");
    assert_eq!(ids(&store.load(&[]).await.unwrap()), []);
    assert_eq!(store.history(IncidentId(999), 10).await.unwrap(), []);
    assert_eq!(store.attachments(IncidentId(999)).await.unwrap(), []);
}

pub async fn referenced_records_come_in_order_of_their_exchange(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut wanted = Vec::new();
    for number in [7, 3, 9, 1, 5] {
        let incident = deposited(&store, &format!("edge-{number}")).await;
        let to = |reference| Write { reference: Some(reference), ..Write::to(incident, Writer::Bridge) };
        assert_eq!(write(&store, to(reference(number, None))).await, Written::Done);
        wanted.push((exchange(number), incident));
    }
    let elsewhere = deposited(&store, "edge-20").await;
    let to_client = ReferenceWrite { peer: client(), ..reference(4, None) };
    write(&store, Write { reference: Some(to_client), ..Write::to(elsewhere, Writer::Bridge) }).await;

    wanted.sort_unstable();
    let mut seen: Vec<(ExchangeId, IncidentId)> = Vec::new();
    let mut after = None;
    loop {
        let page = store.referenced(&peer(), after, 2).await.unwrap().incidents;
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.references[0].exchange);
        seen.extend(page.iter().map(|incident| (incident.references[0].exchange, incident.id)));
    }
    assert_eq!(seen, wanted);
}

pub async fn a_record_with_two_references_comes_whole_for_each(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    for number in [1, 2] {
        let again = Write { reference: Some(reference(number, None)), ..Write::to(incident, Writer::Bridge) };
        assert_eq!(write(&store, again).await, Written::Done);
    }
    let whole = load(&store, incident).await;
    assert_eq!(whole.references.len(), 2);
    for record in store.referenced(&peer(), None, 10).await.unwrap().incidents {
        assert_eq!(record, whole);
    }
    let exchanges = |references: &[Reference]| references.iter().map(|one| one.exchange).collect::<Vec<_>>();
    let later = store.referenced(&peer(), Some(exchange(1)), 10).await.unwrap().incidents;
    assert_eq!(exchanges(&later[0].references), [exchange(1), exchange(2)]);
}

pub async fn history_is_the_newest_lines_oldest_first(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let beside = deposited(&store, "edge-2").await;
    let lines: Vec<HistoryLine> = (0..6)
        .map(|number| HistoryLine {
            incident,
            // A clock that goes backwards does not turn the story round.
            at: at(-number),
            who: "operator ida".into(),
            action: Action::Edited.as_str().into(),
            exchange: (number == 3).then(|| exchange(1)),
            seq: (number == 3).then_some(12),
            detail: format!("step {number}"),
        })
        .collect();
    for pair in lines.chunks(2) {
        let one = Write { history: pair.to_vec(), ..Write::to(incident, Writer::Operator) };
        assert_eq!(write(&store, one).await, Written::Done);
    }
    let whole = store.history(incident, 100).await.unwrap();
    assert_eq!(whole[0].action, Action::Deposited.as_str());
    assert_eq!(whole[1..], lines);
    assert_eq!(store.history(incident, 2).await.unwrap(), lines[4..]);
    assert_eq!(store.history(beside, 100).await.unwrap().len(), 1);
}

pub async fn a_store_that_is_open_twice_is_one_store(bench: &dyn Bench) {
    let (one, two) = tokio::join!(bench.open(), bench.open());
    assert_eq!(one.site(), two.site());
    let incident = deposited(&one, "edge-1").await;
    assert_eq!(load(&two, incident).await, load(&one, incident).await);
    assert!(!two.deposit(vec![deposit("edge-1")], at(1)).await.unwrap()[0].new);
}

pub async fn references_come_without_their_records_in_order_of_their_exchange(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut wanted = Vec::new();
    for number in [3, 1, 2] {
        let incident = deposited(&store, &format!("edge-{number}")).await;
        write(&store, Write { reference: Some(reference(number, None)), ..Write::to(incident, Writer::Bridge) }).await;
        wanted.push((incident, load(&store, incident).await.references.remove(0)));
    }
    wanted.sort_unstable_by_key(|(_, one)| one.exchange);
    let first = store.references(&peer(), None, 2).await.unwrap();
    assert_eq!(first, wanted[..2]);
    assert_eq!(store.references(&peer(), Some(first[1].1.exchange), 2).await.unwrap(), wanted[2..]);
    assert_eq!(store.references(&client(), None, 2).await.unwrap(), []);
}
