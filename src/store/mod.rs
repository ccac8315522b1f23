//! Incident stores: the system of record. A trait with the few verbs that the engine needs, and its adapters. The suite
//! in `tests/store` is where an adapter starts.

mod attachment;
mod cases;
mod contacts;
mod deadline;
mod events;
pub mod history;
pub mod mail;
mod page;
mod reaction;
pub mod sqlite;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use crate::case::evidence::{Context, Travelled};
use crate::case::{
    Alias, Attachment, Case, CaseTemplate, ContentDigest, Create, Deposit, Edit, ExchangeId, Form, HandOver,
    HistoryLine, Holder, Incident, IncidentId, InstanceEdit, OwnCase, Reference, SiteId, Standing, Submission, Towards,
    TransactionId, UserName,
};

pub use attachment::{
    Appended, AttachmentStore, Begun, DueAttachment, Expected, FailedFile, Incoming, Moving, Offered, Prepared,
};
pub use cases::{
    CaseFilter, CaseOrder, CasePage, CaseQuery, CaseStore, Document, ListedCase, Put, Seen, Span, StoredDocument, Words,
};
pub use contacts::{ContactDetail, ContactQuery, ContactStore};
pub use deadline::{Closed, Closing, DeadlineStore, Passing, Place, Resolved, Timing, Untimed};
pub use events::{Event, EventPage, EventStore, PageSeen, Untold};
pub use history::HistoryStore;
pub use mail::{MailStore, PeopleTold};
pub use page::{FilledForm, Intake, LinkRule, PageStore, PassUse, SentMail, Spoken, TakenMail, UsedPass};
pub use reaction::{BundleFile, NewRun, ReactionList, ReactionStore, Run, RunEnd, RunPage, RunState};
pub use sqlite::SqliteStore;

/// Why the store did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another program holds the lock, or the disk is full: worth another try.
    #[error("the incident store is busy: {0}")]
    Busy(String),
    #[error("the incident store failed: {0}")]
    Failed(String),
    #[error("the incident store was made by a newer version (schema {found}, this program knows {known})")]
    Newer { found: i64, known: i64 },
    #[error("there is no such filter or order: {0}")]
    Query(String),
}

/// How far a store's changes were read. Its text is the adapter's own affair.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor(pub String);

/// Records that were loaded, and those whose content breaks a rule (written by another program), with the reason.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    pub incidents: Vec<Incident>,
    pub unreadable: Vec<(IncidentId, String)>,
}

/// What changed after a cursor.
#[derive(Debug, Clone)]
pub struct ChangePage {
    pub loaded: Loaded,
    pub cursor: Cursor,
    /// Whether there may be more after this page.
    pub more: bool,
}

/// What became of a deposit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposited {
    pub incident: IncidentId,
    /// Whether it was not there before.
    pub new: bool,
}

/// A client's incident to be opened here, once for its exchange.
#[derive(Debug, Clone)]
pub struct Open {
    pub peer: Alias,
    pub exchange: ExchangeId,
    pub create: Create,
    /// Of the Create as it travelled.
    pub sha256: ContentDigest,
    /// Accept it in the same step.
    pub accept: Option<CaseTemplate>,
    /// `Undecided` is news for the detector, `Held` is not.
    pub submission: Submission,
    pub at: Timestamp,
}

/// The incident that stands for an exchange, whether it was there before or not.
#[derive(Debug, Clone)]
pub struct Opened {
    pub incident: Incident,
    pub new: bool,
}

/// Who changes a record. What the daemon writes on a peer's behalf is no news to its own detector (no echo).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    Bridge,
    Operator,
}

/// One record's change, in one piece with its comments, its reference and its history.
#[derive(Debug, Clone)]
pub struct Write {
    pub incident: IncidentId,
    pub writer: Writer,
    /// Refused when the record is at another revision by now.
    pub expected_revision: Option<i64>,
    pub edit: Edit,
    /// Comments of another site's whose text here gives way to the one in `edit`, however often either was edited.
    pub yields: Vec<Uuid>,
    pub submission: Option<Submission>,
    pub form: Option<Form>,
    pub generation: Option<u32>,
    /// What the upstream says of the case of a client's incident.
    pub upstream_case: Option<Case>,
    pub own_case: Option<OwnCase>,
    pub reference: Option<ReferenceWrite>,
    /// What the peer of `reference` announces.
    pub attachments: Vec<Incoming>,
    /// What the case has beside its record.
    pub instance: Option<Box<InstanceEdit>>,
    pub history: Vec<HistoryLine>,
    /// In whose name, as cases name people, where `history` names whoever did it for them as well.
    pub person: Option<UserName>,
    /// What went over the wire, where a line of `history` tells of it.
    pub travelled: Option<Travelled>,
    /// Old and new values for the history that the record does not show; the store adds those that it does.
    pub context: Context,
    /// The hand-over from person to person that it is (H-05).
    pub hand_over: Option<HandOver>,
    /// The link by which a person did it: the whole write is skipped when it was used before.
    pub pass: Option<PassUse>,
    /// Refused when another is to be told by now: somebody was added, or has the mail later.
    pub people: Option<PeopleTold>,
}

impl Write {
    /// A write that changes nothing yet.
    pub fn to(incident: IncidentId, writer: Writer) -> Self {
        Self {
            incident,
            writer,
            expected_revision: None,
            edit: Edit::default(),
            yields: Vec::new(),
            submission: None,
            form: None,
            generation: None,
            upstream_case: None,
            own_case: None,
            reference: None,
            attachments: Vec::new(),
            instance: None,
            history: Vec::new(),
            person: None,
            travelled: None,
            context: Context::default(),
            hand_over: None,
            pass: None,
            people: None,
        }
    }
}

/// The state of one reference after a write.
#[derive(Debug, Clone)]
pub struct ReferenceWrite {
    pub peer: Alias,
    pub exchange: ExchangeId,
    pub towards: Towards,
    pub transaction: Option<TransactionId>,
    pub standing: Standing,
    /// Who has the case in hand from now on.
    pub holder: Option<Holder>,
    /// The peer's operation that this write puts into effect: the whole write is skipped when the reference has taken
    /// that number already (exactly once in effect).
    pub applies: Option<u64>,
    /// Sets the number outright, when the peer began to count anew after it lost its state.
    pub recount: Option<u64>,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Done,
    /// The operation had taken effect before; nothing was written.
    AlreadyApplied,
    /// The link had been used before; nothing was written.
    Used,
    /// The record moved on; load it and decide again.
    Stale,
    /// There is no such incident.
    Gone,
}

/// A listed attachment that is not there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwaitedAttachment {
    pub id: i64,
    pub incident: IncidentId,
    pub host_event_id: String,
    pub name: String,
    /// The group of its incident: an inbox serves only its own.
    pub group: Option<String>,
}

/// Which incidents to list, in which order, from where.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Column and wanted value; all must match.
    pub filters: Vec<(ListFilter, String)>,
    pub order: ListOrder,
    pub descending: bool,
    /// The `next` of the page before.
    pub after: Option<String>,
    pub limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListFilter {
    Group,
    Client,
    Device,
    Kind,
    Priority,
    Submission,
    Standing,
    Phase,
    TrackingNumber,
    CaseId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListOrder {
    #[default]
    Id,
    CreatedAt,
    Priority,
    Device,
    Group,
}

#[derive(Debug, Clone, Default)]
pub struct ListPage {
    pub loaded: Loaded,
    pub next: Option<String>,
}

/// What the engine asks of a store. Every write is durable when it returns, and each call is one transaction.
#[async_trait]
pub trait IncidentStore:
    AttachmentStore
    + CaseStore
    + ContactStore
    + DeadlineStore
    + EventStore
    + HistoryStore
    + MailStore
    + PageStore
    + ReactionStore
{
    /// The identity of this store, made when it was made.
    fn site(&self) -> SiteId;

    /// Lets go of what it stands on, so that other programs can copy it or carry it away as a whole. After the last call.
    async fn close(&self) {}

    /// Why the last write failed, when it did.
    fn trouble(&self) -> Option<StoreError>;

    /// Up to `limit` records that somebody other than the bridge changed after `after`. A change is reported after the
    /// transaction that made it, however long that took (design, invariant 8).
    async fn changes(&self, after: &Cursor, limit: usize) -> Result<ChangePage, StoreError>;

    /// A cheap look whether `changes` would report anything.
    async fn has_changes(&self, after: &Cursor) -> Result<bool, StoreError>;

    async fn load(&self, incidents: &[IncidentId]) -> Result<Loaded, StoreError>;

    /// Up to `limit` records that have a reference at `peer` whose exchange comes after `after`, in order of exchange.
    async fn referenced(&self, peer: &Alias, after: Option<ExchangeId>, limit: usize) -> Result<Loaded, StoreError>;

    /// Up to `limit` references at `peer`, each with its incident, whose exchange comes after `after`, in order of exchange.
    async fn references(
        &self,
        peer: &Alias,
        after: Option<ExchangeId>,
        limit: usize,
    ) -> Result<Vec<(IncidentId, Reference)>, StoreError>;

    /// Stores each incident once by its host event ID.
    async fn deposit(&self, deposits: Vec<Deposit>, at: Timestamp) -> Result<Vec<Deposited>, StoreError>;

    /// Opens a client's incidents, each once for its (peer, exchange).
    async fn open(&self, opens: Vec<Open>) -> Result<Vec<Opened>, StoreError>;

    /// Gives clients' exchanges, each once, the incidents that were entered here for them and that their Creates name in
    /// `form.link`. None where the client has no such incident outside of an exchange.
    async fn link(&self, opens: Vec<Open>) -> Result<Vec<Option<Opened>>, StoreError>;

    /// All of them in one transaction; each has its own outcome.
    async fn write(&self, writes: Vec<Write>) -> Result<Vec<Written>, StoreError>;

    async fn list(&self, query: &ListQuery) -> Result<ListPage, StoreError>;

    /// The history of one incident, oldest first.
    async fn history(&self, incident: IncidentId, limit: usize) -> Result<Vec<HistoryLine>, StoreError>;

    async fn attachments(&self, incident: IncidentId) -> Result<Vec<Attachment>, StoreError>;

    async fn awaited_attachments(&self, after: i64, limit: usize) -> Result<Vec<AwaitedAttachment>, StoreError>;

    /// Gives a listed attachment a content that is whole. Said twice, it changes nothing.
    async fn add_attachment(&self, id: i64, content: i64, at: Timestamp) -> Result<(), StoreError>;
}
