//! Cases as people see them: attributes, lists, documents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use casebridge::case::{
    CaseOwner, CaseState, Deposit, Edit, Event, Flag, Form, IncidentId, Initiator, InitiatorType, Instance,
    InstanceEdit, OwnerStatus, Percent, Phase, Priority, Relation, Resolution, Sight,
};
use casebridge::store::{
    CaseFilter, CaseOrder, CaseQuery, Document, IncidentStore, Put, Seen, Span, StoreError, Words, Write, Writer,
    Written,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Bench, Row, at, client, comment, content, deposit, deposited, event, load, open_of, reference, row, write,
};
use casebridge::case::HistoryLine;

pub fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn set<T: std::str::FromStr<Err: std::fmt::Debug> + Ord>(names: &[&str]) -> Option<BTreeSet<T>> {
    Some(names.iter().map(|text| name(text)).collect())
}

pub fn line(incident: IncidentId, detail: &str) -> HistoryLine {
    HistoryLine {
        incident,
        at: at(5),
        who: "operator ann".into(),
        action: "edited".into(),
        exchange: None,
        seq: None,
        detail: detail.into(),
    }
}

fn change(incident: IncidentId, instance: InstanceEdit) -> Write {
    let instance = Some(Box::new(instance));
    Write { instance, history: vec![line(incident, "changed")], ..Write::to(incident, Writer::Operator) }
}

async fn instance(store: &Arc<dyn IncidentStore>, incident: IncidentId) -> Instance {
    store.instances(&[incident]).await.unwrap().remove(&incident).unwrap().unwrap()
}

/// Everything that can be said, at once.
pub fn everything() -> InstanceEdit {
    let initiator = Initiator {
        id: name("C-4711"),
        kind: InitiatorType::Customer,
        first_name: Some("Ann".into()),
        last_name: Some("O'Neill".into()),
    };
    InstanceEdit {
        details: Some("Fan tray 2 failed again".into()),
        description: Some("No speed.\nNo noise.".into()),
        priority: Some(Priority::Critical),
        case_type: Some(Some(name("hardware"))),
        initiator: Some(initiator),
        created_by: Some(name("bert")),
        location_name: Some(Some("Köln, cellar".into())),
        location_id: Some(Some(Uuid::from_u128(7))),
        location_code: Some(Some("B-17".into())),
        completed: Some(Percent::try_from(40).unwrap()),
        relation: Some(Some(Relation {
            id: Uuid::from_u128(8),
            display_id: "CMnorth-8".into(),
            details: "The first one".into(),
            state: CaseState::Resolved,
            priority: Some(Priority::Low),
            created_at: at(-100),
            related_at: at(1),
        })),
        owner: Some(Some(CaseOwner { user: name("olga"), status: OwnerStatus::InProgress })),
        deleted: Some(true),
        assigned_users: set(&["ann", "bert"]),
        assigned_groups: set(&["night shift"]),
        tags: set(&["fan", "warranty"]),
        watchers: set(&["cleo"]),
        flags: Some(BTreeMap::from([(name("dora"), Flag { by: "ann".into(), at: at(2), unread: true })])),
    }
}

pub async fn m_01_every_attribute_survives_the_store(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    assert_eq!(instance(&store, incident).await, Instance::default());
    assert_eq!(write(&store, change(incident, everything())).await, Written::Done);
    for store in [store.clone(), bench.open().await] {
        let found = instance(&store, incident).await;
        let record = load(&store, incident).await;
        let event = &record.event;
        let read_back = InstanceEdit {
            details: Some(event.synopsis.clone()),
            description: Some(event.description.clone()),
            priority: event.priority,
            case_type: Some(found.case_type),
            initiator: found.initiator,
            created_by: found.created_by,
            location_name: Some(found.location.name),
            location_id: Some(found.location.id),
            location_code: Some(found.location.code),
            completed: Some(found.completed),
            relation: Some(found.relation),
            owner: Some(found.owner),
            deleted: Some(found.deleted),
            assigned_users: Some(found.assigned_users),
            assigned_groups: Some(found.assigned_groups),
            tags: Some(found.tags),
            watchers: Some(found.watchers),
            flags: Some(found.flags),
        };
        assert_eq!(read_back, everything());
        assert_eq!(record.revision, 2);
    }
    let cleared = InstanceEdit {
        case_type: Some(None),
        location_name: Some(None),
        location_code: Some(None),
        relation: Some(None),
        owner: Some(None),
        assigned_users: Some(BTreeSet::new()),
        tags: set(&["warranty"]),
        flags: Some(BTreeMap::new()),
        ..InstanceEdit::default()
    };
    write(&store, change(incident, cleared)).await;
    let found = instance(&store, incident).await;
    assert_eq!((found.case_type, found.relation, found.owner), (None, None, None));
    assert_eq!((found.location.name, found.location.id), (None, Some(Uuid::from_u128(7))), "what was left out stays");
    assert_eq!((found.tags.len(), found.flags.len(), found.watchers.len()), (1, 0, 1));
    assert!(found.assigned_users.is_empty() && !found.assigned_groups.is_empty());
}

pub async fn an_edit_beside_the_record_counts_as_a_revision_and_a_stale_one_changes_nothing(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let tagged = |tag: &str| InstanceEdit { tags: set(&[tag]), ..InstanceEdit::default() };
    let on = |revision, tag: &str| Write { expected_revision: Some(revision), ..change(incident, tagged(tag)) };
    assert_eq!(write(&store, on(1, "first")).await, Written::Done);
    assert_eq!(write(&store, on(1, "second")).await, Written::Stale);
    assert_eq!(instance(&store, incident).await.tags, set(&["first"]).unwrap());
    assert_eq!(load(&store, incident).await.revision, 2);
    assert_eq!(store.history(incident, 10).await.unwrap().len(), 2, "deposited, and changed once");
}

pub async fn m_01_whoever_resolves_a_case_is_kept_until_it_is_resolved_again(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let resolve = |who: &str, since: i64| {
        let edit = Edit { phase: Some(Phase::Review), since: Some(at(since)), ..Edit::default() };
        let history = vec![HistoryLine { who: who.into(), ..line(incident, "resolved") }];
        Write { edit, history, ..Write::to(incident, Writer::Operator) }
    };
    let resolved = |by: Option<&str>, second| Some(Resolution { by: by.map(str::to_owned), at: at(second) });
    write(&store, resolve("operator ann", 10)).await;
    assert_eq!(instance(&store, incident).await.resolution, resolved(Some("ann"), 10));
    write(&store, resolve("operator bert", 20)).await;
    assert_eq!(instance(&store, incident).await.resolution, resolved(Some("ann"), 10), "it was resolved already");
    let reopen = Edit { phase: Some(Phase::InitialSupport), ..Edit::default() };
    write(&store, Write { edit: reopen, ..Write::to(incident, Writer::Operator) }).await;
    assert_eq!(instance(&store, incident).await.resolution, resolved(Some("ann"), 10));
    write(&store, Write { writer: Writer::Bridge, ..resolve("peer partner", 30) }).await;
    assert_eq!(instance(&store, incident).await.resolution, resolved(Some("peer partner"), 30));
    let mut other = bench.other().await;
    other.set(incident, "phase", Some("initial_support")).await;
    other.set(incident, "phase", Some("review")).await;
    let found = instance(&store, incident).await.resolution.unwrap();
    assert!(found.by.is_none() && found.at > at(30), "another program does not say who it was: {found:?}");
}

fn all() -> CaseQuery {
    CaseQuery::of(Seen::all(), 100)
}

/// All that a list shows, page by page.
pub async fn cases(store: &Arc<dyn IncidentStore>, mut query: CaseQuery) -> Vec<IncidentId> {
    let mut seen = Vec::new();
    loop {
        let page = store.cases(&query).await.unwrap();
        assert_eq!(page.unreadable, []);
        assert!(page.cases.len() <= query.limit);
        seen.extend(page.cases.iter().map(|case| case.incident));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return seen,
        }
    }
}

/// Six cases that differ in whatever can be asked for.
async fn furnished(store: &Arc<dyn IncidentStore>) -> Vec<IncidentId> {
    let mut made = Vec::new();
    for (index, (group, priority, words)) in [
        (Some("core"), Some(Priority::Low), "Fan tray 2 failed"),
        (Some("edge"), Some(Priority::High), "Fan of the chassis is slow"),
        (None, None, "Chassis alarm"),
        (Some("core"), Some(Priority::Critical), "Power supply 1: no output"),
        (None, Some(Priority::High), "Disk is full"),
    ]
    .into_iter()
    .enumerate()
    {
        let event = Event { synopsis: words.into(), priority, ..event(&format!("edge-{index}")) };
        let deposit = Deposit { event, group: group.map(str::to_owned), ..Deposit::default() };
        made.push(store.deposit(vec![deposit], at(10 - index as i64)).await.unwrap()[0].incident);
    }
    made.push(store.open(vec![open_of(client(), 1)]).await.unwrap()[0].incident.id);
    let ann = |kind| Initiator { kind, ..Initiator::user(name("ann")) };
    for (index, edit) in [
        (0, InstanceEdit { assigned_users: set(&["ann"]), tags: set(&["fan"]), ..InstanceEdit::default() }),
        (1, InstanceEdit { assigned_groups: set(&["noc"]), tags: set(&["fan", "slow"]), ..InstanceEdit::default() }),
        (2, InstanceEdit { initiator: Some(ann(InitiatorType::User)), watchers: set(&["cleo"]), ..Default::default() }),
        (
            3,
            InstanceEdit {
                initiator: Some(ann(InitiatorType::Customer)),
                case_type: Some(Some(name("hardware"))),
                ..Default::default()
            },
        ),
        (
            4,
            InstanceEdit {
                owner: Some(Some(CaseOwner { user: name("olga"), status: OwnerStatus::Assigned })),
                assigned_users: set(&["bert"]),
                ..Default::default()
            },
        ),
        (
            5,
            InstanceEdit {
                flags: Some(BTreeMap::from([(name("dora"), Flag { by: "ann".into(), at: at(2), unread: true })])),
                ..Default::default()
            },
        ),
    ] {
        assert_eq!(write(store, change(made[index], edit)).await, Written::Done);
    }
    let state = |index: usize, state| {
        let edit = Edit { state: Some(state), since: Some(at(50)), ..Edit::default() };
        Write { edit, ..Write::to(made[index], Writer::Operator) }
    };
    write(store, state(1, CaseState::OnHold)).await;
    write(store, state(4, CaseState::InProcess)).await;
    let resolve = Edit { phase: Some(Phase::Review), since: Some(at(60)), ..Edit::default() };
    write(store, Write { edit: resolve, ..Write::to(made[3], Writer::Operator) }).await;
    made
}

pub async fn every_filter_of_a_case_list_chooses_what_it_names(bench: &dyn Bench) {
    use CaseFilter::*;
    let store = bench.open().await;
    let made = furnished(&store).await;
    let words = |text: &str| Words(casebridge::store::Words::of(text).unwrap());
    let rows: [(CaseFilter, &[usize]); 24] = [
        (Numbers(vec![made[2], made[4], IncidentId(4711)]), &[2, 4]),
        (Numbers(vec![IncidentId(4711)]), &[]),
        (States(vec![CaseState::Opened]), &[0, 2, 5]),
        (States(vec![CaseState::OnHold, CaseState::Resolved]), &[1, 3]),
        (Type(name("hardware")), &[3]),
        (Priority(casebridge::case::Priority::High), &[1, 4]),
        (Client(client()), &[5]),
        (Group("core".into()), &[0, 3]),
        (Owner(name("olga")), &[4]),
        (Initiator(name("ann")), &[2, 3]),
        (AssignedTo(name("ann")), &[0]),
        (AssignedToGroup(name("noc")), &[1]),
        (Unassigned, &[2, 3, 5]),
        (Tag(name("fan")), &[0, 1]),
        (Watcher(name("cleo")), &[2]),
        (Watcher(name("ann")), &[]),
        (Flagged(name("dora")), &[5]),
        (words("fan"), &[0, 1]),
        (words("CHASSIS fan"), &[1]),
        (words("alar"), &[2, 5]),
        (words("2 fail"), &[0]),
        (Created(Span { from: Some(at(8)), before: None }), &[0, 1, 2]),
        (Created(Span { from: Some(at(8)), before: Some(at(10)) }), &[1, 2]),
        (Updated(Span { from: Some("2100-01-01T00:00:00Z".parse().unwrap()), before: None }), &[]),
    ];
    for (filter, wanted) in rows {
        let wanted: Vec<IncidentId> = wanted.iter().map(|index| made[*index]).collect();
        for order in CaseOrder::ALL {
            for limit in [1, 100] {
                let query = CaseQuery { filters: vec![filter.clone()], order, limit, ..all() };
                let mut found = cases(&store, query).await;
                found.sort_unstable();
                assert_eq!(found, wanted, "{filter:?} by {order:?}, {limit} at a time");
            }
        }
    }
    let both = vec![Tag(name("fan")), States(vec![CaseState::OnHold]), words("slow")];
    assert_eq!(cases(&store, CaseQuery { filters: both, ..all() }).await, [made[1]], "all of them must match");
}

pub async fn every_order_of_a_case_list_holds_and_pages_visit_each_case_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let made = furnished(&store).await;
    for (order, wanted) in [
        (CaseOrder::Number, [0, 1, 2, 3, 4, 5]),
        // The client's was opened first.
        (CaseOrder::Created, [5, 4, 3, 2, 1, 0]),
        (CaseOrder::Priority, [3, 1, 4, 0, 2, 5]),
    ] {
        let mut wanted = wanted.map(|index: usize| made[index]).to_vec();
        for descending in [false, true] {
            for limit in 1..=made.len() {
                let query = CaseQuery { order, descending, limit, ..all() };
                assert_eq!(cases(&store, query).await, wanted, "{order:?}, {limit} at a time");
            }
            wanted.reverse();
        }
    }
    let updated = CaseQuery { order: CaseOrder::Updated, ..all() };
    assert_eq!(cases(&store, updated).await.len(), made.len());
}

pub async fn a_page_of_cases_goes_on_after_what_was_seen_though_the_list_grew(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut other = bench.other().await;
    for order in [CaseOrder::Number, CaseOrder::Created, CaseOrder::Priority] {
        for descending in [false, true] {
            let before = cases(&store, CaseQuery { order, descending, ..all() }).await;
            let names: [&'static str; 4] = match (order, descending) {
                (CaseOrder::Number, false) => ["a-1", "a-2", "a-3", "a-4"],
                (CaseOrder::Number, true) => ["b-1", "b-2", "b-3", "b-4"],
                (CaseOrder::Created, false) => ["c-1", "c-2", "c-3", "c-4"],
                (CaseOrder::Created, true) => ["d-1", "d-2", "d-3", "d-4"],
                (_, false) => ["e-1", "e-2", "e-3", "e-4"],
                (_, true) => ["f-1", "f-2", "f-3", "f-4"],
            };
            let mut present = before.clone();
            for one in &names[..2] {
                present.push(other.insert(row(one)).await);
            }
            let mut query = CaseQuery { order, descending, limit: 1, ..all() };
            let page = store.cases(&query).await.unwrap();
            let mut seen: Vec<IncidentId> = page.cases.iter().map(|case| case.incident).collect();
            for one in &names[2..] {
                other.insert(row(one)).await;
            }
            query.after = page.next;
            seen.extend(cases(&store, query).await);
            let distinct: BTreeSet<IncidentId> = seen.iter().copied().collect();
            assert_eq!(distinct.len(), seen.len(), "no case comes twice by {order:?}");
            assert!(present.iter().all(|one| distinct.contains(one)), "none that was there is left out by {order:?}");
        }
    }
    for after in ["", "number+:", "number+:x:", "created+:1:2026", "number-:1:"] {
        let query = CaseQuery { after: Some(after.into()), ..all() };
        assert!(matches!(store.cases(&query).await, Err(StoreError::Query(_))), "{after}");
    }
}

pub async fn a_41_a_list_holds_what_its_caller_sees_and_nothing_else(bench: &dyn Bench) {
    let store = bench.open().await;
    let made = furnished(&store).await;
    let some = |mine, assigned, unassigned| Sight::Some {
        mine,
        assigned,
        unassigned,
        user: "ann".into(),
        groups: vec!["noc".into()],
    };
    let seen = |sight: Sight, within: &[&str]| Seen {
        sight,
        within: within.iter().map(|group| (*group).to_owned()).collect(),
    };
    let rows: [(Seen, &[usize]); 11] = [
        (seen(Sight::All, &[]), &[0, 1, 2, 3, 4, 5]),
        (seen(some(true, false, false), &[]), &[2]),
        (seen(some(false, true, false), &[]), &[0, 1]),
        (seen(some(false, false, true), &[]), &[2, 3, 5]),
        (seen(some(true, true, true), &[]), &[0, 1, 2, 3, 5]),
        (seen(Sight::All, &["core"]), &[0, 3]),
        (seen(Sight::All, &["core", "edge"]), &[0, 1, 3]),
        (seen(Sight::All, &["north"]), &[5]),
        (seen(Sight::All, &["noc", "core"]), &[0, 1, 3]),
        (seen(Sight::All, &["nowhere"]), &[]),
        (seen(some(false, true, true), &["core"]), &[0, 3]),
    ];
    let filters = [
        None,
        Some((CaseFilter::States(vec![CaseState::Opened]), &[0, 2, 5][..])),
        Some((CaseFilter::Tag(name("fan")), &[0, 1])),
        Some((CaseFilter::Group("core".into()), &[0, 3])),
        Some((CaseFilter::Initiator(name("ann")), &[2, 3])),
        Some((CaseFilter::Words(Words::of("fan").unwrap()), &[0, 1])),
        Some((CaseFilter::States(vec![CaseState::Opened, CaseState::OnHold]), &[0, 1, 2, 5])),
    ];
    for (seen, visible) in rows {
        for filter in &filters {
            let matching = |index: &&usize| filter.as_ref().is_none_or(|(_, matching)| matching.contains(index));
            let wanted: Vec<IncidentId> = visible.iter().filter(matching).map(|index| made[*index]).collect();
            let filters: Vec<CaseFilter> = filter.iter().map(|(filter, _)| filter.clone()).collect();
            for order in CaseOrder::ALL {
                for (descending, limit) in [(false, 1), (true, 2), (false, 100)] {
                    let query = CaseQuery {
                        filters: filters.clone(),
                        order,
                        descending,
                        limit,
                        ..CaseQuery::of(seen.clone(), 1)
                    };
                    let mut found = cases(&store, query).await;
                    found.sort_unstable();
                    assert_eq!(found, wanted, "{seen:?} with {filter:?} by {order:?}, {limit} at a time");
                }
            }
        }
        for (index, incident) in made.iter().enumerate() {
            let query =
                CaseQuery { filters: vec![CaseFilter::Numbers(vec![*incident])], ..CaseQuery::of(seen.clone(), 1) };
            let found = cases(&store, query).await;
            assert_eq!(found.len(), usize::from(visible.contains(&index)), "{seen:?}: {incident}");
        }
    }
}

pub async fn a_53_what_was_deleted_from_the_lists_is_shown_only_to_whom_asks_for_it(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let delete = InstanceEdit { deleted: Some(true), ..InstanceEdit::default() };
    write(&store, change(incident, delete)).await;
    assert_eq!(cases(&store, all()).await, []);
    assert_eq!(cases(&store, CaseQuery { deleted: true, ..all() }).await, [incident]);
    let again = store.deposit(vec![deposit("edge-1")], at(9)).await.unwrap();
    assert_eq!((again[0].incident, again[0].new), (incident, false), "it is not brought back by the same event");
    let case = casebridge::case::Case { id: name("CASE-9"), link: None, status: "Open".into(), contact: None };
    let late = Write {
        edit: Edit { case: Some(case.clone()), ..Edit::default() },
        reference: Some(reference(1, Some(1))),
        ..Write::to(incident, Writer::Bridge)
    };
    write(&store, late).await;
    assert_eq!(load(&store, incident).await.case, Some(case), "a late case ID is stored");
    assert_eq!(cases(&store, all()).await, [], "and does not bring it back");
}

pub async fn a_52_a_flag_is_unread_until_its_user_has_looked(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let flag = || Flag { by: "ann".into(), at: at(2), unread: true };
    let flags = BTreeMap::from([(name("dora"), flag()), (name("emil"), flag())]);
    write(&store, change(incident, InstanceEdit { flags: Some(flags), ..InstanceEdit::default() })).await;
    let revision = load(&store, incident).await.revision;
    for _ in 0..2 {
        assert_eq!(store.looked_at(incident, &name("dora"), None).await.unwrap(), None);
        assert_eq!(store.looked_at(incident, &name("nobody"), None).await.unwrap(), None);
    }
    let found = load(&store, incident).await.revision;
    assert_eq!(found, revision + 1, "what a case shows is a part of its revision");
    assert_eq!(store.looked_at(incident, &name("emil"), Some(revision)).await.unwrap(), Some(found), "it moved on");
    let found = instance(&store, incident).await.flags;
    assert_eq!(found.values().map(|flag| flag.unread).collect::<Vec<_>>(), [false, true]);
}

pub async fn m_11_a_document_is_put_replaced_and_removed(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    write(&store, Write { reference: Some(reference(1, None)), ..Write::to(incident, Writer::Bridge) }).await;
    let put = |content| Document {
        incident,
        name: "log.txt".into(),
        media_type: Some("text/plain".into()),
        content,
        revision: None,
    };
    let first = content(&store, b"first").await;
    assert_eq!(store.put_document(put(first), line(incident, "log.txt")).await.unwrap(), Put::Done);
    let found = store.document(incident, "log.txt").await.unwrap().unwrap();
    assert_eq!((found.content, found.bytes, found.origin), (first, 5, None));
    assert_eq!(store.due_attachments(10).await.unwrap().len(), 1, "it goes to the peer");
    let second = content(&store, b"second").await;
    assert_eq!(store.put_document(put(second), line(incident, "log.txt")).await.unwrap(), Put::Done);
    assert_eq!(store.document(incident, "log.txt").await.unwrap().unwrap().bytes, 6);
    assert_eq!(store.content(first, 0, 10).await.unwrap(), b"", "what nobody has any more is gone");
    let revision = load(&store, incident).await.revision;
    let remove = |name: &'static str| store.remove_document(incident, name, None, line(incident, name));
    assert_eq!(remove("log.txt").await.unwrap(), Put::Done);
    assert_eq!(remove("log.txt").await.unwrap(), Put::Gone);
    assert_eq!(load(&store, incident).await.revision, revision + 1);
    assert_eq!(store.document(incident, "log.txt").await.unwrap(), None);
    assert_eq!(store.due_attachments(10).await.unwrap(), [], "and goes nowhere");
    assert_eq!(store.content(second, 0, 10).await.unwrap(), b"");
    assert_eq!(store.put_document(put(4711), line(incident, "log.txt")).await.unwrap(), Put::Gone, "no such content");
    let nowhere = Document { incident: IncidentId(99), ..put(content(&store, b"third").await) };
    assert_eq!(store.put_document(nowhere, line(IncidentId(99), "x")).await.unwrap(), Put::Gone);
}

pub async fn m_12_a_comment_of_the_initiators_stays_marked(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let comments =
        vec![casebridge::case::Comment { initiator: true, ..comment(1, "It still beeps") }, comment(2, "We are on it")];
    write(&store, Write { edit: Edit { comments, ..Edit::default() }, ..Write::to(incident, Writer::Operator) }).await;
    let marks: Vec<bool> = load(&store, incident).await.comments.iter().map(|one| one.initiator).collect();
    assert_eq!(marks, [true, false]);
}

pub async fn a_case_that_another_program_broke_is_told_and_hides_no_other(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut other = bench.other().await;
    let sound = other.insert(Row { id: Some(1), ..row("edge-1") }).await;
    let broken = other.insert(Row { id: Some(2), ..row("edge-2") }).await;
    other.set(broken, "owner", Some("\u{202e}")).await;
    let page = store.cases(&all()).await.unwrap();
    assert_eq!((page.cases.len(), page.unreadable), (1, vec![broken]));
    assert_eq!(page.cases[0].incident, sound);
    let reason = store.instances(&[broken]).await.unwrap().remove(&broken).unwrap().unwrap_err();
    assert!(reason.contains("owner"), "{reason}");
}

pub async fn a_case_opened_by_hand_is_there_with_all_that_was_said_of_it(bench: &dyn Bench) {
    let store = bench.open().await;
    let said = InstanceEdit { created_by: Some(name("ann")), tags: set(&["fan"]), ..InstanceEdit::default() };
    let form = Form { priority: Some(Priority::Low), ..Form::default() };
    let deposit = Deposit {
        hold: true,
        opened_by: Some("operator ann".into()),
        instance: Some(Box::new(said)),
        form,
        ..deposit("manual-1")
    };
    let incident = store.deposit(vec![deposit], at(0)).await.unwrap()[0].incident;
    let found = instance(&store, incident).await;
    assert_eq!((found.created_by, found.tags), (Some(name("ann")), set(&["fan"]).unwrap()));
    let history = store.history(incident, 10).await.unwrap();
    let told: Vec<(&str, &str)> = history.iter().map(|line| (line.who.as_str(), line.action.as_str())).collect();
    assert_eq!(told, [("casebridge", "deposited"), ("operator ann", "opened_by_hand")]);
    let higher = InstanceEdit { priority: Some(Priority::High), ..InstanceEdit::default() };
    write(&store, change(incident, higher)).await;
    let record = load(&store, incident).await;
    assert_eq!((record.form.priority, record.event.priority), (Some(Priority::High), Some(Priority::High)));
    let _: Timestamp = record.created_at;
}
