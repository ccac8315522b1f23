//! Cases as the people see them who work on them: lists, the attributes beside the incident record, documents.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::case::{
    Alias, CaseState, CaseTypeName, GroupName, HistoryLine, IncidentId, Instance, Kind, Priority, Sight, Tag, UserName,
};

/// Which cases to list, in which order, from where. All filters must match.
#[derive(Debug, Clone)]
pub struct CaseQuery {
    pub filters: Vec<CaseFilter>,
    /// Also those that were deleted from the lists.
    pub deleted: bool,
    pub order: CaseOrder,
    pub descending: bool,
    /// The `next` of the page before.
    pub after: Option<String>,
    pub limit: usize,
    pub seen: Seen,
}

/// What of the cases somebody sees; the others are not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub sight: Sight,
    /// Only those of these groups: of their devices, of the client of that name, or assigned to them. Without a
    /// group nothing is left out.
    pub within: Vec<String>,
}

impl Seen {
    pub fn all() -> Self {
        Self { sight: Sight::All, within: Vec::new() }
    }
}

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub enum CaseFilter {
    /// One of these.
    Numbers(Vec<IncidentId>),
    /// In one of these states.
    States(Vec<CaseState>),
    Type(CaseTypeName),
    Priority(Priority),
    Client(Alias),
    /// Of this device group.
    Group(String),
    Owner(UserName),
    Initiator(UserName),
    AssignedTo(UserName),
    AssignedToGroup(GroupName),
    Unassigned,
    Tag(Tag),
    Watcher(UserName),
    Flagged(UserName),
    Words(Words),
    Created(Span),
    Updated(Span),
    /// With a due date in this span.
    Due(Span),
    /// With a deadline that was missed by then.
    Breached(Timestamp),
    /// With a deadline that is to be warned of by then and is not missed yet.
    AboutToBreach(Timestamp),
}

/// From an instant on, before another one, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub from: Option<Timestamp>,
    pub before: Option<Timestamp>,
}

/// Words, or their beginnings, that a title holds all of. Upper and lower case are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    const LIMIT: usize = 16;

    /// None where there is no word, or there are too many.
    pub fn of(text: &str) -> Option<Self> {
        let words: Vec<String> =
            text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        (1..=Self::LIMIT).contains(&words.len()).then_some(Self(words))
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CaseOrder {
    #[default]
    Number,
    Created,
    Updated,
    Priority,
    /// Those without a due date behind the others.
    Due,
}

impl CaseOrder {
    pub const ALL: [CaseOrder; 5] =
        [CaseOrder::Number, CaseOrder::Created, CaseOrder::Updated, CaseOrder::Priority, CaseOrder::Due];

    pub fn as_str(self) -> &'static str {
        match self {
            CaseOrder::Number => "number",
            CaseOrder::Created => "created",
            CaseOrder::Updated => "updated",
            CaseOrder::Priority => "priority",
            CaseOrder::Due => "due",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|order| order.as_str() == text)
    }
}

/// One case in a list: what can be said of it without its comments, files and exchanges.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedCase {
    pub incident: IncidentId,
    pub revision: i64,
    pub client: Option<Alias>,
    pub group: Option<String>,
    pub device: Option<String>,
    pub kind: Kind,
    pub synopsis: String,
    pub priority: Option<Priority>,
    pub state: CaseState,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// As [`DueDate`](crate::case::DueDate) says.
    pub due_at: Option<Timestamp>,
    pub due_stands_still: bool,
    pub instance: Instance,
}

/// One page of a list.
#[derive(Debug, Clone, Default)]
pub struct CasePage {
    pub cases: Vec<ListedCase>,
    /// Those that do not read, because another program wrote what breaks a rule.
    pub unreadable: Vec<IncidentId>,
    pub next: Option<String>,
}

/// A file of a case, as it is put there by hand.
#[derive(Debug, Clone)]
pub struct Document {
    pub incident: IncidentId,
    pub name: String,
    pub media_type: Option<String>,
    /// A content of the site's own that is whole.
    pub content: i64,
    /// The revision of the case that it was decided on, where that matters.
    pub revision: Option<i64>,
}

/// A file of a case that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDocument {
    pub media_type: Option<String>,
    pub content: i64,
    pub bytes: u64,
    pub sha256: String,
    /// The peer that it came from.
    pub origin: Option<Alias>,
}

/// What became of a file that was put to a case or taken from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    Done,
    /// There is no such incident, or no such file.
    Gone,
    /// The case has a file of this name from a peer, or one that a bundle still has to bring.
    Foreign(Option<Alias>),
    /// The case has as many files as it may have.
    Full,
    /// The case is at this revision, and no more at the one that it was decided on.
    Stale(i64),
}

/// The part of a store that people who work on cases need.
#[async_trait]
pub trait CaseStore: Send + Sync {
    /// One page of the cases that the query means.
    async fn cases(&self, query: &CaseQuery) -> Result<CasePage, StoreError>;

    /// What these cases have beside their records, or why that does not read.
    async fn instances(
        &self,
        incidents: &[IncidentId],
    ) -> Result<HashMap<IncidentId, Result<Instance, String>>, StoreError>;

    /// Takes the unread mark from a flag. Said twice, it changes nothing; neither does it at another revision than the
    /// one that is given, which is handed back then.
    async fn looked_at(
        &self,
        incident: IncidentId,
        user: &UserName,
        revision: Option<i64>,
    ) -> Result<Option<i64>, StoreError>;

    /// A file of a case that is there.
    async fn document(&self, incident: IncidentId, name: &str) -> Result<Option<StoredDocument>, StoreError>;

    /// Puts a file to a case, in place of one of the same name that was put there by hand, with its line of history.
    async fn put_document(&self, document: Document, line: HistoryLine) -> Result<Put, StoreError>;

    /// Takes a file from a case. What a peer has of it stays there.
    async fn remove_document(
        &self,
        incident: IncidentId,
        name: &str,
        revision: Option<i64>,
        line: HistoryLine,
    ) -> Result<Put, StoreError>;
}

impl CaseQuery {
    /// The first page of what this caller sees, in order of number.
    pub fn of(seen: Seen, limit: usize) -> Self {
        let order = CaseOrder::default();
        Self { filters: Vec::new(), deleted: false, order, descending: false, after: None, limit, seen }
    }

    /// Whether two filters ask for one thing differently, so that nothing can match.
    pub fn contradicts_itself(&self) -> Option<&'static str> {
        let has = |wanted: fn(&CaseFilter) -> bool| self.filters.iter().any(wanted);
        let assigned = has(|one| matches!(one, CaseFilter::AssignedTo(_) | CaseFilter::AssignedToGroup(_)));
        if assigned && has(|one| matches!(one, CaseFilter::Unassigned)) {
            return Some("a case that is assigned to somebody is not unassigned");
        }
        let waits = |one: &CaseFilter| matches!(one, CaseFilter::States(states) if !states.iter().any(|state| state.is_running()));
        if self.filters.iter().any(waits) && has(|one| matches!(one, CaseFilter::AboutToBreach(_))) {
            return Some(
                "the clock of a case in such a state stands still, so that it is not about to miss a deadline",
            );
        }
        let empty = |span: &Span| matches!((span.from, span.before), (Some(from), Some(before)) if from >= before);
        let spans = self.filters.iter().filter_map(|one| match one {
            CaseFilter::Created(span) | CaseFilter::Updated(span) | CaseFilter::Due(span) => Some(span),
            _ => None,
        });
        spans.into_iter().any(empty).then_some("nothing lies between an instant and an earlier one")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_stands_between_other_characters() {
        let words = Words::of("Fan-tray 2: \"failed\" *").unwrap();
        assert_eq!(words.iter().collect::<Vec<_>>(), ["Fan", "tray", "2", "failed"]);
        assert_eq!(Words::of(" *\"-"), None);
        assert_eq!(Words::of(&"a ".repeat(17)), None);
    }

    #[test]
    fn filters_that_nothing_can_match_are_found() {
        let query = |filters: Vec<CaseFilter>| CaseQuery { filters, ..CaseQuery::of(Seen::all(), 10) };
        let at = |second| Timestamp::from_second(second).ok();
        let sound = [
            CaseFilter::AssignedTo("ann".parse().unwrap()),
            CaseFilter::States(vec![CaseState::Opened, CaseState::OnHold]),
            CaseFilter::Created(Span { from: at(1), before: at(2) }),
        ];
        let about = CaseFilter::AboutToBreach(Timestamp::UNIX_EPOCH);
        let with = |state| query(vec![CaseFilter::States(vec![CaseState::OnHold, state]), about.clone()]);
        for over in [CaseState::Completed, CaseState::InputRequested] {
            assert!(with(over).contradicts_itself().is_some(), "{over:?}");
        }
        assert_eq!(with(CaseState::InProcess).contradicts_itself(), None, "one of the two may match");
        assert_eq!(query(sound.to_vec()).contradicts_itself(), None);
        for wrong in [CaseFilter::Unassigned, CaseFilter::Updated(Span { from: at(2), before: at(2) })] {
            let filters = [sound.to_vec(), vec![wrong.clone()]].concat();
            assert!(query(filters).contradicts_itself().is_some(), "{wrong:?}");
        }
    }
}
