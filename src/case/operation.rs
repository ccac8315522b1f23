//! What travels: the nine operations of Case Exchange, and what each carries.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::attachment::{AttachmentNote, NoteFault};
use super::deadline::{Deadline, DeadlineFault};
use super::form::{Form, FormFault};
use super::id::{Alias, IncidentId};
use super::incident::{Case, CaseFault, Comment, Event, EventFault};
use super::milestone::{Milestone, MilestoneFault};
use super::phase::CompletionCode;
use super::text::{TextFault, instant, paragraph, shown};

/// One of the nine operations. On the wire: `{"kind": "update", "content": {...}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", content = "content", rename_all = "snake_case")]
pub enum Operation {
    /// Open a case for this incident (C-14).
    Create(Box<Create>),
    Assign(Changes),
    /// The receiver of a Create took the case; carries case ID and link.
    Accept(Changes),
    Update(Changes),
    Resolve(Changes),
    Close(Changes),
    Reject(Changes),
    Cancel(Changes),
    Reopen(Changes),
}

/// The name of an operation, without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    Create,
    Assign,
    Accept,
    Update,
    Resolve,
    Close,
    Reject,
    Cancel,
    Reopen,
}

impl OperationKind {
    pub const ALL: [OperationKind; 9] = [
        OperationKind::Create,
        OperationKind::Assign,
        OperationKind::Accept,
        OperationKind::Update,
        OperationKind::Resolve,
        OperationKind::Close,
        OperationKind::Reject,
        OperationKind::Cancel,
        OperationKind::Reopen,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            OperationKind::Create => "create",
            OperationKind::Assign => "assign",
            OperationKind::Accept => "accept",
            OperationKind::Update => "update",
            OperationKind::Resolve => "resolve",
            OperationKind::Close => "close",
            OperationKind::Reject => "reject",
            OperationKind::Cancel => "cancel",
            OperationKind::Reopen => "reopen",
        }
    }
}

impl std::fmt::Display for OperationKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a Create carries: the whole incident as it stood when it was submitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Create {
    /// The number of the incident at the submitting site (C-23).
    #[schema(value_type = i64)]
    pub incident: IncidentId,
    /// The aliases of the sites that the case has passed, in hop order, the submitting site last.
    pub trace_route: Vec<Alias>,
    pub event: Event,
    #[serde(default)]
    pub form: Form,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<Comment>,
}

/// What the other eight carry: only what changed. `null` means that the value was taken away.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Changes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<Case>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub solution: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<CompletionCode>)]
    pub completion_code: Option<Option<CompletionCode>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expected_resolution: Option<Option<Timestamp>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<Comment>,
    /// Files whose content follows apart, at most 100 (C-34).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachmentNote>,
    /// What happened to the case, its states among it, at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub milestones: Vec<Milestone>,
    /// What was promised on the case, as far as it is new or changed, at most 32.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deadlines: Vec<Deadline>,
}

/// A field that is present, even as `null`, was given.
pub fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        *self == Changes::default()
    }

    /// Which code contradicts an operation of this kind: with some a case is over at once, and only a Cancel or a Reject says so
    /// (C-08, C-09). What is opened again may keep one, which says nothing while the work goes on.
    fn check_code(&self, kind: OperationKind) -> Result<(), ContentFault> {
        use OperationKind::{Accept, Assign, Cancel, Close, Create, Reject, Reopen, Resolve, Update};
        match (kind, self.completion_code.flatten().filter(|code| code.ends_at_once())) {
            (Assign | Accept | Update | Resolve | Close, Some(code)) => Err(ContentFault::EndsAtOnce { kind, code }),
            (Create | Reject | Cancel | Reopen, Some(_)) | (_, None) => Ok(()),
        }
    }

    fn check_milestones(&self) -> Result<(), ContentFault> {
        if self.milestones.len() > Operation::MILESTONE_LIMIT {
            let given = self.milestones.len();
            return Err(ContentFault::TooManyMilestones { given, limit: Operation::MILESTONE_LIMIT });
        }
        let mut ids = HashSet::new();
        self.milestones.iter().try_for_each(|one| {
            one.check()?;
            if ids.insert(one.id) { Ok(()) } else { Err(ContentFault::MilestoneTwice(one.id)) }
        })
    }

    fn check_deadlines(&self) -> Result<(), ContentFault> {
        if self.deadlines.len() > Operation::DEADLINE_LIMIT {
            let given = self.deadlines.len();
            return Err(ContentFault::TooManyDeadlines { given, limit: Operation::DEADLINE_LIMIT });
        }
        Ok(self.deadlines.iter().try_for_each(Deadline::check)?)
    }

    fn check_attachments(&self) -> Result<(), ContentFault> {
        if self.attachments.len() > Operation::ATTACHMENT_LIMIT {
            let given = self.attachments.len();
            return Err(ContentFault::TooManyAttachments { given, limit: Operation::ATTACHMENT_LIMIT });
        }
        let (mut lengths, mut contents) = (HashMap::new(), HashMap::new());
        self.attachments.iter().try_for_each(|note| {
            let name = || shown(&note.name, 80);
            note.check().map_err(|fault| ContentFault::Attachment { name: name(), fault })?;
            let other = *lengths.entry(&note.sha256).or_insert(note.bytes);
            if other != note.bytes {
                return Err(ContentFault::Lengths { name: name(), bytes: note.bytes, other });
            }
            if *contents.entry(&note.name).or_insert(&note.sha256) != &note.sha256 {
                return Err(ContentFault::Contents(name()));
            }
            Ok(())
        })
    }
}

/// Why an operation's content cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentFault {
    #[error("event: {0}")]
    Event(#[from] EventFault),
    #[error("form: {0}")]
    Form(#[from] FormFault),
    #[error("{field} {fault}")]
    Text { field: &'static str, fault: TextFault },
    #[error("the case's {0}")]
    Case(#[from] CaseFault),
    #[error("trace_route holds {given} sites; at most {limit} are allowed")]
    TraceRoute { given: usize, limit: usize },
    #[error("trace_route is empty; the site that sends a case stands in it, as the last one")]
    NoRoute,
    #[error("trace_route holds {0} twice; a case that comes to a site again goes in a circle")]
    PassedTwice(Alias),
    #[error("{given} comments in one operation; at most {limit} are allowed")]
    TooManyComments { given: usize, limit: usize },
    #[error("comment {0} stands in one operation twice")]
    CommentTwice(Uuid),
    #[error("attachment \"{name}\": it is {bytes} bytes long, and another one with its digest {other}")]
    Lengths { name: String, bytes: u64, other: u64 },
    #[error("attachment \"{0}\" stands in one operation with two contents")]
    Contents(String),
    #[error("{given} attachments in one operation; at most {limit} are allowed")]
    TooManyAttachments { given: usize, limit: usize },
    #[error("attachment \"{name}\": {fault}")]
    Attachment { name: String, fault: NoteFault },
    #[error("{given} milestones in one operation; at most {limit} are allowed")]
    TooManyMilestones { given: usize, limit: usize },
    #[error("a milestone's {0}")]
    Milestone(#[from] MilestoneFault),
    #[error("milestone {0} stands in one operation twice")]
    MilestoneTwice(Uuid),
    #[error("{given} deadlines in one operation; at most {limit} are allowed")]
    TooManyDeadlines { given: usize, limit: usize },
    #[error("a deadline's {0}")]
    Deadline(#[from] DeadlineFault),
    #[error("an incident of kind {kind} cannot become a case")]
    NotSubmittable { kind: &'static str },
    #[error("completion_code {} contradicts {kind}: a case that ends so is over at once, by a cancel or a reject", code.as_str())]
    EndsAtOnce { kind: OperationKind, code: CompletionCode },
}

impl Operation {
    /// The most sites that a case may pass.
    pub const TRACE_ROUTE_LIMIT: usize = 16;
    /// The most comments in one operation; what is more goes into a further one.
    pub const COMMENT_LIMIT: usize = 100;
    /// The most attachments that one operation announces; the same.
    pub const ATTACHMENT_LIMIT: usize = 100;
    /// The most milestones in one operation; the same.
    pub const MILESTONE_LIMIT: usize = 100;
    /// The most deadlines in one operation: with their calendars these are the longest of all.
    pub const DEADLINE_LIMIT: usize = 32;

    pub fn kind(&self) -> OperationKind {
        match self {
            Operation::Create(_) => OperationKind::Create,
            Operation::Assign(_) => OperationKind::Assign,
            Operation::Accept(_) => OperationKind::Accept,
            Operation::Update(_) => OperationKind::Update,
            Operation::Resolve(_) => OperationKind::Resolve,
            Operation::Close(_) => OperationKind::Close,
            Operation::Reject(_) => OperationKind::Reject,
            Operation::Cancel(_) => OperationKind::Cancel,
            Operation::Reopen(_) => OperationKind::Reopen,
        }
    }

    /// What changed, for the eight operations that carry changes.
    pub fn changes(&self) -> Option<&Changes> {
        match self {
            Operation::Create(_) => None,
            Operation::Assign(changes)
            | Operation::Accept(changes)
            | Operation::Update(changes)
            | Operation::Resolve(changes)
            | Operation::Close(changes)
            | Operation::Reject(changes)
            | Operation::Cancel(changes)
            | Operation::Reopen(changes) => Some(changes),
        }
    }

    /// The files that it announces.
    pub fn attachments(&self) -> &[AttachmentNote] {
        self.changes().map_or(&[], |changes| &changes.attachments)
    }

    /// Checks everything that the types do not guarantee. Call it where an operation comes in.
    pub fn check(&self) -> Result<(), ContentFault> {
        let comments = match self {
            Operation::Create(create) => {
                create.event.check()?;
                create.form.check()?;
                if !create.event.kind.is_submittable() {
                    return Err(ContentFault::NotSubmittable { kind: create.event.kind.as_str() });
                }
                if create.trace_route.len() > Self::TRACE_ROUTE_LIMIT {
                    let given = create.trace_route.len();
                    return Err(ContentFault::TraceRoute { given, limit: Self::TRACE_ROUTE_LIMIT });
                }
                if create.trace_route.is_empty() {
                    return Err(ContentFault::NoRoute);
                }
                let mut passed = HashSet::new();
                if let Some(twice) = create.trace_route.iter().find(|alias| !passed.insert(*alias)) {
                    return Err(ContentFault::PassedTwice(twice.clone()));
                }
                instant(create.created_at).map_err(|fault| ContentFault::Text { field: "created_at", fault })?;
                &create.comments
            }
            operation => {
                let Some(changes) = operation.changes() else { return Ok(()) };
                let at = |field| move |fault| ContentFault::Text { field, fault };
                if let Some(case) = &changes.case {
                    case.check()?;
                }
                if let Some(Some(solution)) = &changes.solution {
                    paragraph(solution, 65_536).map_err(at("solution"))?;
                }
                if let Some(Some(expected)) = changes.expected_resolution {
                    instant(expected).map_err(at("expected_resolution"))?;
                }
                changes.check_code(operation.kind())?;
                changes.check_attachments()?;
                changes.check_milestones()?;
                changes.check_deadlines()?;
                &changes.comments
            }
        };
        if comments.len() > Self::COMMENT_LIMIT {
            return Err(ContentFault::TooManyComments { given: comments.len(), limit: Self::COMMENT_LIMIT });
        }
        let mut ids = HashSet::new();
        comments.iter().try_for_each(|comment| {
            comment.check().map_err(|fault| ContentFault::Text { field: "comment", fault })?;
            if ids.insert(comment.id) { Ok(()) } else { Err(ContentFault::CommentTwice(comment.id)) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::example::{announced, comment, incident, peer};
    use crate::case::{ContentDigest, Counterpart, Fact, FieldMap, Form, Groups, Holder, Towards, derive_create};

    #[test]
    fn a_33_a_case_passes_no_site_twice() {
        let (peer, groups, fields) = (peer(), Groups::default(), FieldMap::plain());
        let (towards, holder) = (Towards::Upstream, Holder::Peer);
        let above = Counterpart { peer: &peer, towards, holder, groups: &groups, internal: false, fields };
        let mut operations = derive_create(&incident(), Form::default(), vec![peer.clone()], above);
        let Operation::Create(mut create) = operations.remove(0) else { panic!() };
        assert_eq!(Operation::Create(create.clone()).check(), Ok(()));
        create.trace_route.extend(["x".parse().unwrap(), peer.clone()]);
        let fault = Operation::Create(create.clone()).check();
        assert_eq!(fault, Err(ContentFault::PassedTwice(peer)));
        create.trace_route.clear();
        assert_eq!(Operation::Create(create).check(), Err(ContentFault::NoRoute), "whoever sends it stands in it");
    }

    #[test]
    fn what_contradicts_itself_is_refused_by_name() {
        let twice =
            Changes { comments: vec![comment(1, None), comment(2, None), comment(1, None)], ..Changes::default() };
        let fault = Operation::Update(twice).check().unwrap_err().to_string();
        assert_eq!(fault, format!("comment {} stands in one operation twice", comment(1, None).id));

        let ends = |code| Changes { completion_code: Some(Some(code)), ..Changes::default() };
        let fault = Operation::Resolve(ends(CompletionCode::RequestRejected)).check().unwrap_err().to_string();
        assert!(fault.starts_with("completion_code request_rejected contradicts resolve: "), "{fault}");
        for kind in [Operation::Assign, Operation::Accept, Operation::Update, Operation::Resolve, Operation::Close] {
            assert!(kind(ends(CompletionCode::WithdrawnByUser)).check().is_err());
            assert_eq!(kind(ends(CompletionCode::AbandonedByUser)).check(), Ok(()));
        }
        for kind in [Operation::Reject, Operation::Cancel, Operation::Reopen] {
            assert_eq!(kind(ends(CompletionCode::WithdrawnByUser)).check(), Ok(()));
        }

        let note = announced(1, peer()).note;
        let other = AttachmentNote { name: "f.bin".into(), bytes: 3, ..note.clone() };
        let changes = |attachments: Vec<AttachmentNote>| Changes { attachments, ..Changes::default() };
        let fault = Operation::Update(changes(vec![note.clone(), other])).check().unwrap_err().to_string();
        assert_eq!(fault, "attachment \"f.bin\": it is 3 bytes long, and another one with its digest 9");

        let other = AttachmentNote { sha256: ContentDigest::of(b"another"), ..note.clone() };
        let fault = Operation::Update(changes(vec![note.clone(), other])).check().unwrap_err().to_string();
        assert_eq!(fault, format!("attachment \"{}\" stands in one operation with two contents", note.name));

        // One content under two names is none, nor one that is named twice.
        let again = AttachmentNote { name: "again".into(), ..note.clone() };
        assert_eq!(Operation::Update(changes(vec![note.clone(), again, note])).check(), Ok(()));

        let fact = |name: &str| Milestone::new(Uuid::nil(), incident().created_at, Fact::Named(name.into()));
        let twice = Changes { milestones: vec![fact("one"), fact("other")], ..Changes::default() };
        let fault = Operation::Update(twice).check();
        assert_eq!(fault, Err(ContentFault::MilestoneTwice(Uuid::nil())));
    }
}
