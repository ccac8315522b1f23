//! The people whom cases are passed between: looked up by address, never doubled, never overwritten.

use std::sync::Arc;

use casebridge::case::{
    Action, Alias, Case, CaseRole, Contact, Edit, Form, HandOver, HistoryLine, IncidentId, Person, Standing,
};
use casebridge::store::{ContactDetail, ContactQuery, IncidentStore, Open, ReferenceWrite, Write, Writer, Written};

use super::{Bench, at, client, deposited, exchange, open_of, peer, reference, write};

const RITA: &str = "rita@partner.example";

fn address(text: &str) -> Person {
    Person::at(text.parse().unwrap())
}

fn named(text: &str, first: &str, last: &str) -> Person {
    Person { first_name: Some(first.into()), last_name: Some(last.into()), ..address(text) }
}

fn line(incident: IncidentId, action: Action, seq: u64) -> HistoryLine {
    HistoryLine {
        incident,
        at: at(5),
        who: "peer partner".into(),
        action: action.as_str().into(),
        exchange: Some(exchange(1)),
        seq: Some(seq),
        detail: "told".into(),
    }
}

/// An incident of our own that the partner has got, for somebody there.
async fn submitted(store: &Arc<dyn IncidentStore>, number: u8, recipient: &str) -> IncidentId {
    let incident = deposited(store, &format!("edge-{number}")).await;
    let form = Form {
        contact: Some(named("anna@north.example", "Anna", "Martin")),
        recipient: Some(recipient.parse().unwrap()),
        ..Form::default()
    };
    let handed = Write {
        form: Some(form),
        reference: Some(reference(number, None)),
        hand_over: Some(HandOver::Submitted),
        history: vec![line(incident, Action::Acknowledged, 1)],
        ..Write::to(incident, Writer::Bridge)
    };
    assert_eq!(write(store, handed).await, Written::Done);
    incident
}

/// The partner says who has the case.
fn told(incident: IncidentId, number: u8, seq: u64, from: Alias, contact: Person) -> Write {
    let case = Case {
        id: format!("CASE-{number}").parse().unwrap(),
        link: None,
        status: format!("Status {seq}"),
        contact: Some(contact),
    };
    let reference = ReferenceWrite { peer: from, standing: Standing::Created, ..reference(number, Some(seq)) };
    Write {
        edit: Edit { case: Some(case), ..Edit::default() },
        reference: Some(reference),
        hand_over: (seq == 1).then_some(HandOver::Approved),
        history: vec![line(incident, Action::CaseAccepted, seq)],
        ..Write::to(incident, Writer::Bridge)
    }
}

async fn all(store: &Arc<dyn IncidentStore>) -> Vec<ContactDetail> {
    store.contacts(&ContactQuery { limit: 100, ..ContactQuery::default() }).await.unwrap()
}

async fn known(store: &Arc<dyn IncidentStore>, text: &str) -> ContactDetail {
    let query = ContactQuery { address: Some(text.parse().unwrap()), limit: 10, ..ContactQuery::default() };
    let mut found = store.contacts(&query).await.unwrap();
    assert_eq!(found.len(), 1, "{text} is there once");
    found.remove(0)
}

async fn differences(store: &Arc<dyn IncidentStore>, incident: IncidentId) -> Vec<String> {
    let lines = store.history(incident, 100).await.unwrap();
    let differs = lines.into_iter().filter(|line| line.action == Action::ContactDiffers.as_str());
    differs.map(|line| line.detail).collect()
}

pub async fn h_01_those_who_arrive_at_once_under_one_address_are_one_contact(bench: &dyn Bench) {
    let stores = [bench.open().await, bench.open().await];
    let opens = |peer: Alias, spelling: &'static str| -> Vec<Open> {
        let form =
            || Form { contact: Some(address(spelling)), recipient: Some(RITA.parse().unwrap()), ..Form::default() };
        let mut opens: Vec<Open> = (1..=20).map(|number| open_of(peer.clone(), number)).collect();
        opens.iter_mut().for_each(|open| open.create.form = form());
        opens
    };
    let (here, there) =
        (opens(client(), "Anna@North.example"), opens("south".parse().unwrap(), " anna@NORTH.example "));
    let mut tasks = Vec::new();
    for (store, opens) in stores.iter().zip([here, there]) {
        for open in opens {
            let store = Arc::clone(store);
            tasks.push(tokio::spawn(async move { store.open(vec![open]).await.unwrap() }));
        }
    }
    for task in tasks {
        assert!(task.await.unwrap()[0].new);
    }
    let contacts = all(&stores[0]).await;
    let mut addresses: Vec<&str> = contacts.iter().map(|one| one.contact.address.as_str()).collect();
    addresses.sort_unstable();
    assert_eq!(addresses, ["anna@north.example", RITA]);
    let [anna, rita] = [known(&stores[1], "ANNA@north.example\t").await, known(&stores[1], RITA).await];
    assert!(anna.cases.iter().all(|(_, role)| *role == CaseRole::Sender) && anna.cases.len() == 40);
    assert!(rita.cases.iter().all(|(_, role)| *role == CaseRole::Recipient) && rita.cases.len() == 40);
}

pub async fn h_02_somebody_whose_names_are_known_is_never_changed_and_what_differs_is_noted_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = submitted(&store, 1, RITA).await;
    write(&store, told(incident, 1, 1, peer(), named(RITA, "Rita", "Roy"))).await;
    let before = known(&store, RITA).await;
    assert_eq!((before.contact.first_name.as_str(), before.origin.clone()), ("Rita", Some(peer())));

    let other = Person { phone: Some("+1 555".into()), ..named(RITA, "Margarita", "Cansino") };
    for seq in 2..5 {
        assert_eq!(write(&store, told(incident, 1, seq, peer(), other.clone())).await, Written::Done);
    }
    let after = known(&store, RITA).await;
    assert_eq!(after.contact, before.contact, "nobody is overwritten");
    let said = "Margarita Cansino <rita@partner.example>, phone +1 555";
    assert_eq!(after.differences, [(Some(peer()), said.to_owned())]);
    let stays = "the contact stays Rita Roy <rita@partner.example>";
    assert_eq!(differences(&store, incident).await, [format!("told of {said}; {stays}")], "once");

    write(&store, told(incident, 1, 5, peer(), named(RITA, "Rita", "Hayworth"))).await;
    assert_eq!(differences(&store, incident).await.len(), 2, "another name is another difference");
    let anna = known(&store, "anna@north.example").await;
    assert_eq!((anna.contact.last_name.as_str(), anna.origin, anna.differences.len()), ("Martin", None, 0));
}

pub async fn h_03_a_temporary_contact_is_completed_and_keeps_its_number_in_all_its_cases(bench: &dyn Bench) {
    let store = bench.open().await;
    let first = submitted(&store, 1, RITA).await;
    let second = submitted(&store, 2, " RITA@partner.example").await;
    let before = known(&store, RITA).await;
    assert!(before.contact.is_temporary());
    assert_eq!(before.cases, [(second, CaseRole::Recipient), (first, CaseRole::Recipient)]);

    write(&store, told(first, 1, 1, peer(), address(RITA))).await;
    assert_eq!(known(&store, RITA).await, before, "nothing new is told");
    write(&store, told(first, 1, 2, peer(), named(RITA, "Rita", "Roy"))).await;
    let after = known(&store, RITA).await;
    assert_eq!((after.contact.id, after.contact.is_temporary()), (before.contact.id, false));
    assert_eq!(after.origin, Some(peer()));
    for incident in [first, second] {
        let people = store.people(incident).await.unwrap();
        let names: Vec<String> = people.iter().map(|(_, contact)| contact.to_string()).collect();
        assert_eq!(names, ["Anna Martin <anna@north.example>", "Rita Roy <rita@partner.example>"]);
    }
    assert_eq!(differences(&store, first).await, [] as [String; 0]);
}

pub async fn h_04_whoever_is_not_there_is_made_as_far_as_the_names_are_told(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = submitted(&store, 1, RITA).await;
    let rita = known(&store, RITA).await.contact;
    assert_eq!((rita.first_name.as_str(), rita.last_name.as_str()), (Contact::PENDING, Contact::CREATION));
    // Somebody else has taken it.
    write(&store, told(incident, 1, 1, peer(), named("otto@partner.example", "Otto", "Orff"))).await;
    let people = store.people(incident).await.unwrap();
    assert_eq!(people[1].0, CaseRole::Recipient);
    assert_eq!(people[1].1.to_string(), "Otto Orff <otto@partner.example>");
    assert_eq!(known(&store, RITA).await.cases, []);

    let pages = ContactQuery { limit: 1, ..ContactQuery::default() };
    let mut after = 0;
    let mut seen = Vec::new();
    while let Some(one) = store.contacts(&ContactQuery { after, ..pages.clone() }).await.unwrap().pop() {
        after = one.contact.id;
        seen.push(one.contact.address.to_string());
    }
    assert_eq!(seen, ["anna@north.example", RITA, "otto@partner.example"]);
    let temporary = ContactQuery { temporary: Some(true), limit: 10, ..ContactQuery::default() };
    assert_eq!(store.contacts(&temporary).await.unwrap().len(), 1);
}

pub async fn h_06_what_is_delivered_again_or_says_nothing_new_touches_nobody(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = submitted(&store, 1, RITA).await;
    let accepted = told(incident, 1, 1, peer(), named(RITA, "Rita", "Roy"));
    assert_eq!(write(&store, accepted.clone()).await, Written::Done);
    let (before, lines) = (all(&store).await, store.history(incident, 100).await.unwrap());
    let other = Case { contact: Some(named(RITA, "Not", "Rita")), ..accepted.edit.case.clone().unwrap() };
    let forged = Write { edit: Edit { case: Some(other), ..Edit::default() }, ..accepted.clone() };
    for again in [accepted.clone(), forged] {
        assert_eq!(write(&store, again).await, Written::AlreadyApplied);
    }
    assert_eq!(all(&store).await, before);
    assert_eq!(store.history(incident, 100).await.unwrap(), lines);
    // Nor does the same under a later number.
    write(&store, told(incident, 1, 2, peer(), named(RITA, "Rita", "Roy"))).await;
    assert_eq!(all(&store).await, before);
    assert_eq!(differences(&store, incident).await, [] as [String; 0]);
}
