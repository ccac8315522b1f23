//! A client's exchange is given an incident that was entered beforehand, and what an operation came to is told
//! once.

use casebridge::case::{Action, HistoryLine, IncidentId, LinkTo, Standing};
use casebridge::store::{Open, Write, Writer};

use super::{Bench, at, client, comment, deposited, exchange, load, open_of, row};

/// Somebody enters a case for a client.
async fn entered(bench: &dyn Bench, host_event_id: &'static str, client: &str, case: &str) -> IncidentId {
    let mut program = bench.other().await;
    let incident = program.insert(row(host_event_id)).await;
    program.set(incident, "client", Some(client)).await;
    program.set(incident, "case_id", Some(case)).await;
    incident
}

fn link_of(number: u8, to: LinkTo) -> Open {
    let mut open = open_of(client(), number);
    open.create.form.link = Some(to);
    open.create.comments = vec![comment(7, "from below")];
    open
}

fn transaction(incident: IncidentId) -> LinkTo {
    LinkTo::Transaction(incident.to_string().parse().unwrap())
}

fn case(id: &str) -> LinkTo {
    LinkTo::CaseId(id.parse().unwrap())
}

pub async fn a_62_an_incident_that_was_entered_beforehand_is_linked_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let entered = entered(bench, "phone-1", client().as_str(), "T-1").await;
    for new in [true, false] {
        let linked = store.link(vec![link_of(1, case("T-1"))]).await.unwrap().remove(0).expect("it is linked");
        assert_eq!((linked.incident.id, linked.new), (entered, new));
    }
    let incident = load(&store, entered).await;
    assert_eq!(incident.references.len(), 1);
    let reference = &incident.references[0];
    assert_eq!((reference.exchange, reference.standing, reference.applied), (exchange(1), Standing::Created, 1));
    assert_eq!(reference.peer_incident, Some(IncidentId(4001)));
    assert_eq!((incident.comments.len(), incident.comments[0].origin.clone()), (1, Some(client())));
    assert_eq!(incident.event.host_event_id, "phone-1", "it stays what it was");
    let told = store.history(entered, 10).await.unwrap();
    assert_eq!(told.iter().filter(|line| line.action == Action::Linked.as_str()).count(), 1);
}

pub async fn what_is_foreign_taken_unknown_or_not_unique_is_not_linked(bench: &dyn Bench) {
    let store = bench.open().await;
    let foreign = entered(bench, "phone-1", "south", "T-1").await;
    let taken = entered(bench, "phone-2", client().as_str(), "T-2").await;
    for name in ["phone-3", "phone-4"] {
        entered(bench, name, client().as_str(), "T-3").await;
    }
    let own = deposited(&store, "edge-1").await;
    assert!(store.link(vec![link_of(1, transaction(taken))]).await.unwrap()[0].is_some());
    let refused = [transaction(foreign), case("T-1"), transaction(taken), case("T-2"), case("T-3"), transaction(own)];
    let odd = ["02", "x", "999"].map(|text| LinkTo::Transaction(text.parse().unwrap()));
    for to in refused.into_iter().chain(odd) {
        let linked = store.link(vec![link_of(2, to.clone())]).await.unwrap();
        assert!(linked[0].is_none(), "{to}");
    }
    // In one call as in two.
    let free = entered(bench, "phone-5", client().as_str(), "T-5").await;
    let both = store.link(vec![link_of(3, transaction(free)), link_of(4, case("T-5"))]).await.unwrap();
    assert!(both[0].is_some() && both[1].is_none());
}

pub async fn what_an_operation_came_to_is_told_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let line = |action: Action, seq| HistoryLine {
        incident,
        at: at(1),
        who: "casebridge".into(),
        action: action.as_str().into(),
        exchange: Some(exchange(1)),
        seq: Some(seq),
        detail: "taken".into(),
    };
    let sent = [line(Action::OperationSent, 2), line(Action::OperationSent, 3), line(Action::Acknowledged, 1)];
    // One that is parked again is told again.
    let parked = line(Action::OperationParked, 2);
    for _ in 0..2 {
        let history = sent.iter().cloned().chain([parked.clone()]).collect();
        store.write(vec![Write { history, ..Write::to(incident, Writer::Bridge) }]).await.unwrap();
    }
    let told = store.history(incident, 100).await.unwrap();
    let count = |wanted: &HistoryLine| told.iter().filter(|line| *line == wanted).count();
    assert_eq!(sent.iter().map(count).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(count(&parked), 2);
}
