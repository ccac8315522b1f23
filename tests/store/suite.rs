//! What the engine relies on, told as stories. An adapter starts here: it implements [`Bench`] and [`Program`], names
//! itself in [`conformance`], and is done when every story passes.

pub mod cases;
pub mod changing;
pub mod commenting;
pub mod contacts;
pub mod depositing;
pub mod events;
pub mod evidence;
pub mod linking;
pub mod listing;
pub mod mailing;
pub mod milestones;
pub mod opening;
pub mod paging;
pub mod promising;
pub mod reacting;
pub mod reading;
pub mod sharing;
pub mod writing;

use std::sync::Arc;

use async_trait::async_trait;
use casebridge::case::{
    Alias, CaseState, Comment, ContentDigest, Create, Deadline, DeadlineKind, Deposit, Event, ExchangeId, Fact, Form,
    Goal, Incident, IncidentId, Milestone, Standing, Submission, Towards,
};
use casebridge::store::{
    Appended, Cursor, Deposited, IncidentStore, ListQuery, Loaded, Open, ReferenceWrite, Write, Written,
};
use jiff::Timestamp;
use uuid::Uuid;

/// A store of its own for one story, kept until the bench goes.
#[async_trait]
pub trait Bench: Send + Sync {
    /// Opens the store; each time the same one, as after a restart.
    async fn open(&self) -> Arc<dyn IncidentStore>;

    /// Another program on the site, with its own connection to the same store.
    async fn other(&self) -> Box<dyn Program>;
}

/// What other programs do to a store.
#[async_trait]
pub trait Program: Send {
    /// Begins a transaction; without one, each act commits by itself.
    async fn begin(&mut self);
    async fn commit(&mut self);
    async fn roll_back(&mut self);

    async fn insert(&mut self, row: Row) -> IncidentId;
    /// Sets one column of an incident, named as in the documented schema.
    async fn set(&mut self, incident: IncidentId, column: &'static str, value: Option<&str>);
    async fn comment(&mut self, incident: IncidentId, text: &str);
    /// Tries to delete what happened; what the store says to it.
    async fn forget_milestones(&mut self) -> String;
    /// Removes an incident that nothing hangs on.
    async fn delete(&mut self, incident: IncidentId);
}

/// An incident as another program inserts it.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub host_event_id: &'static str,
    /// Chosen by the program, in place of the next number.
    pub id: Option<i64>,
    pub created_at: Option<&'static str>,
    /// Further columns, named as in the documented schema.
    pub columns: &'static [(&'static str, &'static str)],
}

pub fn row(host_event_id: &'static str) -> Row {
    Row { host_event_id, id: None, created_at: None, columns: &[] }
}

/// Makes a test of each story for one bench.
macro_rules! conformance {
    ($bench:path: $($chapter:ident: $($story:ident),+ $(,)?;)+) => {
        $(mod $chapter {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                let bench = $bench().await;
                crate::suite::$chapter::$story(&bench).await;
            })+
        })+
    };
}
pub(crate) use conformance;

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

pub fn peer() -> Alias {
    "partner".parse().unwrap()
}

pub fn client() -> Alias {
    "north".parse().unwrap()
}

pub fn exchange(number: u8) -> ExchangeId {
    ExchangeId::from_bytes([number; 16])
}

pub fn event(host_event_id: &str) -> Event {
    Event { host_event_id: host_event_id.into(), synopsis: "Chassis alarm".into(), ..Event::default() }
}

/// A state that the case came into, counted by the store.
pub fn milestone(number: u128, second: i64, state: CaseState) -> Milestone {
    Milestone::new(Uuid::from_u128(number), at(second), Fact::State(state))
}

/// An SLA from second 0 on, warned of at second 2700 and due at second 3600.
pub fn deadline(number: u128, origin: Option<Alias>) -> Deadline {
    Deadline {
        id: Uuid::from_u128(number),
        kind: DeadlineKind::Sla,
        name: format!("sla {number}"),
        goal: Goal::Solution,
        starts_at: at(0),
        within: 3600,
        warn_before: Some(900),
        calendar: None,
        revision: 0,
        dropped: false,
        origin,
        position: 0,
    }
}

pub fn deposit(host_event_id: &str) -> Deposit {
    Deposit { event: event(host_event_id), ..Deposit::default() }
}

pub fn comment(number: u128, text: &str) -> Comment {
    Comment {
        id: Uuid::from_u128(number),
        author: "night shift".into(),
        written_at: at(100),
        text: text.into(),
        ..Comment::default()
    }
}

pub fn open_of(peer: Alias, number: u8) -> Open {
    Open {
        peer,
        exchange: exchange(number),
        create: Create {
            incident: IncidentId(i64::from(number) + 4000),
            trace_route: vec![client()],
            event: event(&format!("edge-{number}")),
            form: Form::default(),
            created_at: at(-60),
            comments: vec![],
        },
        sha256: ContentDigest::of(b"as it travelled"),
        accept: None,
        submission: Submission::Held,
        at: at(0),
    }
}

pub fn reference(number: u8, applies: Option<u64>) -> ReferenceWrite {
    ReferenceWrite {
        peer: peer(),
        exchange: exchange(number),
        towards: Towards::Upstream,
        transaction: None,
        standing: Standing::Submitted,
        holder: None,
        applies,
        recount: None,
    }
}

pub async fn deposited(store: &Arc<dyn IncidentStore>, host_event_id: &str) -> IncidentId {
    let stored = store.deposit(vec![deposit(host_event_id)], at(0)).await.unwrap();
    assert!(stored[0].new);
    stored[0].incident
}

/// A content of the site's own, whole.
pub async fn content(store: &Arc<dyn IncidentStore>, content: &[u8]) -> i64 {
    let begun = store.begin_content(&ContentDigest::of(content), content.len() as u64).await.unwrap();
    let rest = content[begun.received as usize..].to_vec();
    assert_eq!(store.append(begun.content, begun.received, rest, at(1)).await.unwrap(), Appended::Complete);
    begun.content
}

/// The one incident, which is there and reads.
pub async fn load(store: &Arc<dyn IncidentStore>, incident: IncidentId) -> Incident {
    let mut loaded = store.load(&[incident]).await.unwrap();
    assert_eq!(loaded.unreadable, []);
    assert_eq!(loaded.incidents.len(), 1, "incident {incident} is there once");
    loaded.incidents.remove(0)
}

pub async fn write(store: &Arc<dyn IncidentStore>, write: Write) -> Written {
    let outcomes = store.write(vec![write]).await.unwrap();
    assert_eq!(outcomes.len(), 1);
    outcomes[0]
}

/// Reads every change there is, in pages of two, and says whose records they were.
pub async fn news(store: &Arc<dyn IncidentStore>, cursor: &mut Cursor) -> Vec<IncidentId> {
    let mut seen = Vec::new();
    loop {
        let page = store.changes(cursor, 2).await.unwrap();
        assert_eq!(page.loaded.unreadable, []);
        assert!(page.loaded.incidents.len() <= 2);
        seen.extend(ids(&page.loaded));
        *cursor = page.cursor;
        if !page.more {
            return seen;
        }
    }
}

pub fn ids(loaded: &Loaded) -> Vec<IncidentId> {
    loaded.incidents.iter().map(|incident| incident.id).collect()
}

/// All that a list shows, page by page.
pub async fn listed(store: &Arc<dyn IncidentStore>, mut query: ListQuery) -> Vec<IncidentId> {
    let mut seen = Vec::new();
    loop {
        let page = store.list(&query).await.unwrap();
        assert!(page.loaded.incidents.len() <= query.limit);
        seen.extend(ids(&page.loaded));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return seen,
        }
    }
}

pub fn incidents(stored: &[Deposited]) -> Vec<IncidentId> {
    stored.iter().map(|one| one.incident).collect()
}
