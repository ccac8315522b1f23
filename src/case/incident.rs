//! A record in a site's incident store: what the bundle said, what the person added, how the work stands.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::attachment::Announced;
use super::contact::{Person, PersonFault};
use super::deadline::Deadline;
use super::form::{Form, Priority};
use super::id::{Alias, CaseId, CaseLink, ExchangeId, IncidentId, TransactionId};
use super::kind::Kind;
use super::language::is_tag;
use super::milestone::{self, Milestone, Stop};
use super::ownership::Holder;
use super::phase::{CompletionCode, Phase};
use super::state::CaseState;
use super::teller::Tellers;
use super::text::{TextFault, instant, line, paragraph};

/// One incident, as the store holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    pub id: IncidentId,
    /// Counts the writes to this record; a write-back names the revision that it was decided on.
    pub revision: i64,
    /// Counts the hand-overs to the upstream; see [`ExchangeId::of`].
    pub generation: u32,
    /// The device group, customer or site part that the incident belongs to.
    pub group: Option<String>,
    /// The client that it was opened for; an incident of our own has none.
    pub client: Option<Alias>,
    /// The sites that the case has passed on its way here, in hop order.
    pub trace_route: Vec<Alias>,
    /// When the store got the record.
    pub created_at: Timestamp,
    pub event: Event,
    pub submission: Submission,
    /// The group that has the record in hand; one with an external system hands the case over (C-02).
    pub assignment: Option<String>,
    /// False stops the exchange of this record in both directions (C-59).
    pub active: bool,
    pub form: Form,
    pub work: Work,
    /// The case as this site's people see it, and the client that it was opened for.
    pub case: Option<Case>,
    /// The upstream's own, where the incident is a client's.
    pub upstream_case: Option<Case>,
    pub own_case: super::shown::OwnCase,
    pub references: Vec<Reference>,
    pub comments: Vec<Comment>,
    /// Dated facts, its states among them.
    pub milestones: Vec<Milestone>,
    /// What was promised on it, by this site and by its peers.
    pub deadlines: Vec<Deadline>,
    /// Files that are ready for a peer.
    pub announced: Vec<Announced>,
}

/// What a bundle's manifest says. Travels unchanged in Create Case.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// The natural key: at most 256 bytes.
    pub host_event_id: String,
    #[serde(default)]
    pub kind: Kind,
    /// One line, at most 1,024 bytes.
    pub synopsis: String,
    /// At most 262,144 bytes; may be empty (C-30).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem_class: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type_group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub occurred_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// The rest of the manifest, name by name: router, routing engine, core files, script settings. At most 256 entries
    /// and 65,536 bytes in all.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub manifest: BTreeMap<String, String>,
}

/// Why an event cannot be taken: a mandatory field is missing, or a value breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventFault {
    #[error("{field} {fault}")]
    Text { field: &'static str, fault: TextFault },
    #[error(
        "the manifest holds {entries} further entries of {bytes} bytes in all; at most 256 entries and 65,536 bytes are allowed"
    )]
    Manifest { entries: usize, bytes: usize },
}

impl Event {
    /// Stands before the synopsis of what is submitted in test mode.
    pub const TEST_MARKER: &str = "[TEST]";
    /// The longest synopsis, in bytes.
    pub const SYNOPSIS_LIMIT: usize = 1024;
    /// The longest description, in bytes.
    pub const DESCRIPTION_LIMIT: usize = 262_144;

    /// Puts the marker before the synopsis, once, however many sites the case has passed.
    pub fn mark_as_test(&mut self) {
        if self.synopsis.contains(Self::TEST_MARKER) {
            return;
        }
        self.synopsis = format!("{} {}", Self::TEST_MARKER, self.synopsis);
        let end = self.synopsis.floor_char_boundary(Self::SYNOPSIS_LIMIT);
        self.synopsis.truncate(end);
    }

    /// Checks every text. Mandatory are the host event ID and the synopsis.
    pub fn check(&self) -> Result<(), EventFault> {
        let at = |field| move |fault| EventFault::Text { field, fault };
        line(&self.host_event_id, 256).map_err(at("host_event_id"))?;
        line(&self.synopsis, Self::SYNOPSIS_LIMIT).map_err(at("synopsis"))?;
        paragraph(&self.description, Self::DESCRIPTION_LIMIT).map_err(at("description"))?;
        for (field, value) in [
            ("severity", &self.severity),
            ("problem_class", &self.problem_class),
            ("service_type", &self.service_type),
            ("event_type", &self.event_type),
            ("event_type_group", &self.event_type_group),
            ("device", &self.device),
            ("serial", &self.serial),
        ] {
            if let Some(value) = value {
                line(value, 256).map_err(at(field))?;
            }
        }
        if let Some(occurred_at) = self.occurred_at {
            instant(occurred_at).map_err(at("occurred_at"))?;
        }
        let bytes = self.manifest.iter().map(|(name, value)| name.len() + value.len()).sum();
        if self.manifest.len() > 256 || bytes > 65_536 {
            return Err(EventFault::Manifest { entries: self.manifest.len(), bytes });
        }
        for (name, value) in &self.manifest {
            line(name, 256).map_err(at("manifest name"))?;
            paragraph(value, 65_536).map_err(at("manifest value"))?;
        }
        Ok(())
    }
}

impl Incident {
    /// Who writes to its people. What a site said in an exchange that is over counts no more, while the case goes on here.
    pub fn tellers(&self) -> Tellers<'_> {
        let is_open = |one: &Milestone| {
            let of = |reference: &&Reference| {
                one.origin.as_ref() == Some(&reference.peer)
                    && one.came_in.is_none_or(|exchange| exchange == reference.exchange)
            };
            self.references.iter().filter(of).any(|reference| reference.standing.is_open())
        };
        let is_over = self.work.phase == Phase::Close;
        Tellers::of(self.milestones.iter().filter(|one| one.origin.is_none() || is_over || is_open(one)))
    }

    /// Where the case stands for the people who work on it (M-02).
    pub fn state(&self) -> CaseState {
        CaseState::of(self.work.phase, self.work.completion_code, milestone::state_within(&self.milestones))
    }

    /// The case as the site in this direction has it: a relay may show its client another one than the upstream's.
    pub fn case_told(&self, towards: super::derive::Towards) -> Option<&Case> {
        match towards {
            super::derive::Towards::Upstream if self.client.is_some() => self.upstream_case.as_ref(),
            _ => self.case.as_ref(),
        }
    }

    /// When the clocks of its deadlines stood still.
    pub fn stops(&self) -> Vec<Stop> {
        milestone::stops(&self.milestones, self.state())
    }

    /// Checks what another program may have written and a peer would refuse. The reason is a sentence for people.
    pub fn check_told(&self) -> Result<(), String> {
        if let Some(solution) = &self.work.solution {
            paragraph(solution, 65_536).map_err(|fault| format!("solution {fault}"))?;
        }
        if let Some(expected) = self.work.expected_resolution {
            instant(expected).map_err(|fault| format!("expected_resolution {fault}"))?;
        }
        if let Some(case) = &self.case {
            case.check().map_err(|fault| format!("case: {fault}"))?;
        }
        for comment in self.comments.iter().filter(|comment| comment.origin.is_none()) {
            comment.check().map_err(|fault| format!("comment {} {fault}", comment.id))?;
        }
        for one in self.milestones.iter().filter(|one| one.origin.is_none()) {
            one.check().map_err(|fault| format!("milestone {}: {fault}", one.id))?;
        }
        Ok(())
    }
}

/// Whether the incident is to be handed to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Submission {
    /// Nobody looked yet; the policies decide when the incident is detected.
    #[default]
    Undecided,
    /// No policy wanted it, or it cannot be submitted: a person decides.
    Held,
    /// A person saved a form without submitting.
    Draft,
    /// A person or a policy submitted it. Never goes back by itself.
    Requested,
}

impl Submission {
    pub const ALL: [Submission; 4] =
        [Submission::Undecided, Submission::Held, Submission::Draft, Submission::Requested];

    pub fn as_str(self) -> &'static str {
        match self {
            Submission::Undecided => "undecided",
            Submission::Held => "held",
            Submission::Draft => "draft",
            Submission::Requested => "requested",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|submission| submission.as_str() == text)
    }
}

/// How the work on the incident stands; these fields are kept the same at both sites.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Work {
    pub phase: Phase,
    /// At most 65,536 bytes.
    pub solution: Option<String>,
    pub completion_code: Option<CompletionCode>,
    pub expected_resolution: Option<Timestamp>,
}

/// What the upstream opened for an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Case {
    pub id: CaseId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<CaseLink>,
    /// The upstream's own word for the state of the case; one line, at most 64 bytes.
    pub status: String,
    /// Who has taken it there (H-04).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Person>,
}

/// Why a case is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaseFault {
    #[error("status {0}")]
    Status(#[from] TextFault),
    #[error("contact's {0}")]
    Contact(#[from] PersonFault),
}

impl Case {
    /// The statuses that a command gives a case which is resolved, closed, opened again, canceled or rejected.
    pub const RESOLVED: &str = "Resolved";
    pub const CLOSED: &str = "Closed";
    pub const REOPENED: &str = "Reopened";
    pub const CANCELED: &str = "Canceled";
    pub const REJECTED: &str = "Rejected";

    /// The ID and the link are checked by their types; the rest is checked here.
    pub fn check(&self) -> Result<(), CaseFault> {
        line(&self.status, 64)?;
        Ok(self.contact.as_ref().map_or(Ok(()), Person::check)?)
    }
}

/// The external reference record (C-25): which exchange at which peer an incident belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub peer: Alias,
    pub exchange: ExchangeId,
    pub towards: super::derive::Towards,
    /// Towards an upstream: its acknowledgement, once it came.
    pub transaction: Option<TransactionId>,
    /// The number of the incident at the peer, where the peer told it (C-23).
    pub peer_incident: Option<IncidentId>,
    /// The last operation of the peer's that this record took in.
    pub applied: u64,
    pub holder: Holder,
    pub standing: Standing,
}

/// How an exchange stands, in the words that people see. `None` of these is shown for an incident without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Submitted,
    Acknowledged,
    Created,
    Resolved,
    Closed,
    Rejected,
}

impl Standing {
    pub const ALL: [Standing; 6] = [
        Standing::Submitted,
        Standing::Acknowledged,
        Standing::Created,
        Standing::Resolved,
        Standing::Closed,
        Standing::Rejected,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Submitted => "submitted",
            Standing::Acknowledged => "acknowledged",
            Standing::Created => "created",
            Standing::Resolved => "resolved",
            Standing::Closed => "closed",
            Standing::Rejected => "rejected",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.as_str() == text)
    }

    /// Whether the exchange can still move.
    pub fn is_open(self) -> bool {
        !matches!(self, Standing::Closed | Standing::Rejected)
    }
}

/// A remark on an incident. Its ID is made where it is written and never changes, so it arrives once (C-31).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Comment {
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    /// One line, at most 256 bytes.
    pub author: String,
    #[schema(value_type = String, format = DateTime)]
    pub written_at: Timestamp,
    /// At most 65,536 bytes; empty when the comment was deleted.
    pub text: String,
    /// A BCP 47 tag such as `fr` or `pt-BR`, where the author's language is known. What is none is left out, and holds up nothing.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "tag")]
    pub language: Option<String>,
    /// For this site's own people; leaves the site only where the settings say so (C-33).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub internal: bool,
    /// Of whom the case was opened for, and not of those who work on it (M-12).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub initiator: bool,
    /// Counts the edits of the author's; the highest counts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub edits: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// The peer that it came from; a comment never travels back there (C-32). Not sent.
    #[serde(skip)]
    pub origin: Option<Alias>,
    /// The exchange that it came in: the next one with the same peer does not have it (C-18, C-50). Not sent.
    #[serde(skip)]
    pub came_in: Option<ExchangeId>,
    /// The person of this site's mails who wrote it, by their number in the store. Not sent.
    #[serde(skip)]
    pub party: Option<i64>,
    /// The order in which this site's store got it, or its last edit. Not sent.
    #[serde(skip)]
    pub position: i64,
}

impl Comment {
    pub fn check(&self) -> Result<(), TextFault> {
        line(&self.author, 256)?;
        instant(self.written_at)?;
        if let Some(language) = &self.language {
            line(language, 35)?;
        }
        if self.text.trim().is_empty() && !self.deleted {
            return Err(TextFault::Empty);
        }
        paragraph(&self.text, 65_536).map(|_| ())
    }
}

fn tag<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| is_tag(text)))
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A file that belongs to an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attachment {
    /// As the bundle names it; shown, never used as a path. One line, at most 256 bytes.
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    pub state: AttachmentState,
}

/// What became of an attachment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum AttachmentState {
    /// In the store, content and all.
    Stored { bytes: u64, sha256: String },
    /// Listed by the bundle, not yet there; it is looked for again.
    Awaited,
    /// The device itself says that it could not be made.
    Failed { reason: String },
}
