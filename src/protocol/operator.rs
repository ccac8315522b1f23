//! What the commands and the daemon say to each other over the local socket.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::asked;
use super::contact::CaseContact;
use crate::case::{Person, UserName};

/// One incident in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IncidentRow {
    pub incident: i64,
    pub host_event_id: String,
    pub kind: String,
    pub synopsis: String,
    pub priority: Option<String>,
    pub severity: Option<String>,
    pub device: Option<String>,
    pub serial: Option<String>,
    pub group: Option<String>,
    /// The client that it was opened for.
    pub client: Option<String>,
    /// When the event happened, where its deposit says so.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub occurred_at: Option<Timestamp>,
    /// When it was stored here.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    pub submission: String,
    pub phase: String,
    /// Towards the upstream, else towards the client; absent without an exchange.
    pub standing: Option<String>,
    pub transaction: Option<String>,
    pub case_id: Option<String>,
    pub case_link: Option<String>,
    pub case_status: Option<String>,
    pub tracking_number: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IncidentPage {
    pub incidents: Vec<IncidentRow>,
    /// Those of the page that do not read: another program wrote what breaks a rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<i64>,
    /// Give it as `after` for the next page.
    pub next: Option<String>,
}

/// The filters, the order and the page of `GET /v1/incidents`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct IncidentQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submission: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case_id: Option<String>,
    /// `id` (default), `created_at`, `priority`, `device`, `group`; a leading `-` reverses.
    #[param(pattern = "^-?(id|created_at|priority|device|group)$")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most 1,000; 100 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Everything about one incident: `GET /v1/incidents/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IncidentDetail {
    #[serde(flatten)]
    pub row: IncidentRow,
    pub problem_class: Option<String>,
    pub service_type: Option<String>,
    pub event_type: Option<String>,
    pub event_type_group: Option<String>,
    pub description: String,
    pub solution: Option<String>,
    pub completion_code: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expected_resolution: Option<Timestamp>,
    /// The upstream's case, where the incident is a client's, and which parts the client sees in our own words.
    pub upstream_case: Option<crate::case::Case>,
    pub own_case: crate::case::OwnCase,
    /// The sites that the case has passed on its way here, in hop order.
    pub trace_route: Vec<String>,
    pub manifest: std::collections::BTreeMap<String, String>,
    pub form: crate::case::Form,
    /// Who hands it over, and who gets it (H-05).
    #[serde(default)]
    pub contacts: Vec<CaseContact>,
    pub comments: Vec<CommentDetail>,
    pub attachments: Vec<crate::case::Attachment>,
    /// How its attachments stand towards the peers.
    pub transfers: Vec<crate::case::Transfer>,
    pub exchanges: Vec<ExchangeDetail>,
    pub history: Vec<crate::case::HistoryLine>,
}

/// A comment, and where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CommentDetail {
    #[serde(flatten)]
    pub comment: crate::case::Comment,
    /// The site that it came from; none for one that was written here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

/// One exchange of an incident, and what it waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExchangeDetail {
    pub exchange: crate::case::ExchangeId,
    pub peer: String,
    /// `upstream` or `client`.
    pub towards: String,
    pub step: String,
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// In a sentence: what it waits for, on whose side.
    pub waits_for: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt: Option<Timestamp>,
    pub attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The reason, when an operation is parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<String>,
    pub transaction: Option<String>,
    /// The last operation that we gave a number to, and the last one of the peer's that took effect here.
    pub sent: u64,
    pub applied: u64,
    /// Operations not yet acknowledged.
    pub pending: Vec<OutboxRow>,
    pub external: super::external::External,
}

/// One operation that a peer has not yet acknowledged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OutboxRow {
    pub peer: String,
    pub position: u64,
    pub exchange: crate::case::ExchangeId,
    pub incident: Option<i64>,
    pub seq: u64,
    pub operation: String,
    #[schema(value_type = String, format = DateTime)]
    pub queued_at: Timestamp,
    /// Each field with its old and its new value; absent for a Create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<String>,
    pub attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OutboxPage {
    pub operations: Vec<OutboxRow>,
    /// How many there are in all.
    pub total: u64,
}

/// One exchange that needs a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ParkedRow {
    pub incident: Option<i64>,
    pub exchange: crate::case::ExchangeId,
    pub peer: String,
    pub operation: String,
    pub seq: u64,
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ParkedPage {
    pub parked: Vec<ParkedRow>,
    pub total: u64,
}

/// `GET /v1/status`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StatusAnswer {
    pub alias: String,
    pub version: String,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    pub peers: Vec<PeerStatus>,
    pub exchanges: u64,
    pub queued: u64,
    pub parked: u64,
    /// Everything that is not as it should be, a sentence each.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PeerStatus {
    pub alias: String,
    /// `upstream` or `client`.
    pub towards: String,
    /// `up`, `down`, `unauthorized`, or `unknown` before the first contact.
    pub health: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_contact: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt: Option<Timestamp>,
    pub attempts: u32,
    pub last_error: Option<String>,
    pub version: Option<String>,
    /// The peer's clock less ours, in seconds.
    pub clock_difference_seconds: Option<f64>,
    pub queued: u64,
}

/// `POST /v1/incidents/{id}/submit`, `.../escalate` and `.../draft`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SubmitRequest {
    #[serde(deserialize_with = "form")]
    pub form: crate::case::Form,
    /// Who does it, for the history.
    pub operator: String,
}

/// A form of a person's: an object, with nothing in it that is not known.
fn form<'de, D: Deserializer<'de>>(deserializer: D) -> Result<crate::case::Form, D::Error> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Strict(#[serde(deserialize_with = "crate::case::form::strict")] crate::case::Form);
    super::object::object(deserializer).map(|Strict(form)| form)
}

/// `POST /v1/incidents`: a case without an incident.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OpenRequest {
    pub synopsis: String,
    pub description: String,
    /// As an event's; `on_demand` when left out.
    pub kind: Option<String>,
    pub priority: Option<crate::case::Priority>,
    pub device: Option<String>,
    pub serial: Option<String>,
    pub comment: Option<String>,
    /// When it should be done.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(deserialize_with = "asked::instant")]
    pub due: Option<Timestamp>,
    /// Submit it at once, and do not leave it to a person.
    pub submit: bool,
    pub operator: String,
}

/// `POST /v1/incidents/{id}/link`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LinkRequest {
    /// Required.
    pub to: Option<crate::case::LinkTo>,
    pub operator: String,
}

/// `POST /v1/incidents/{id}/resync`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResyncRequest {
    pub operator: String,
}

/// `POST /v1/incidents/{id}/accept`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AcceptRequest {
    /// From the site's own ticket system; from the template when left out.
    pub case_id: Option<String>,
    pub case_link: Option<String>,
    pub status: Option<String>,
    /// Who has taken it (H-04).
    pub contact: Option<Person>,
    pub comment: Option<String>,
    pub operator: String,
}

/// `POST /v1/incidents/{id}/override`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OverrideRequest {
    pub case_id: Option<String>,
    pub case_link: Option<String>,
    pub status: Option<String>,
    /// Shows the upstream's values again.
    pub clear: bool,
    pub operator: String,
}

/// `POST /v1/incidents/{id}/update`, `.../resolve`, `.../close`, `.../reject`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkRequest {
    pub status: Option<String>,
    pub solution: Option<String>,
    /// `fulfilled`, `withdrawn_by_user`, `request_rejected` or `abandoned_by_user`.
    pub completion_code: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(deserialize_with = "asked::instant")]
    pub expected_resolution: Option<Timestamp>,
    /// Who has the case in hand from now on (H-04).
    pub contact: Option<Person>,
    pub comment: Option<String>,
    pub operator: String,
    /// The revision that it was decided on (`If-Match`), never a part of the body.
    #[serde(skip)]
    pub revision: Option<i64>,
    /// In whose name, as cases name people; never a part of the body either.
    #[serde(skip)]
    pub person: Option<UserName>,
}

/// `POST /v1/incidents/{id}/assign`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct AssignRequest {
    /// A group of this site's, or one that belongs to another site, such as its alias.
    pub group: String,
    pub comment: Option<String>,
    pub operator: String,
}

/// `POST /v1/incidents/{id}/take`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct TakeRequest {
    pub comment: Option<String>,
    pub operator: String,
}

/// `POST /v1/incidents/{id}/active`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ActiveRequest {
    pub active: bool,
    #[serde(default)]
    pub operator: String,
}

/// `POST /v1/incidents/{id}/comments`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct CommentRequest {
    pub text: String,
    /// For this site's own people.
    pub internal: bool,
    /// A BCP 47 tag, such as `fr`.
    pub language: Option<String>,
    pub operator: String,
}

/// `POST /v1/incidents/{id}/comments/{comment}`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct CommentEditRequest {
    pub text: Option<String>,
    pub internal: Option<bool>,
    pub deleted: bool,
    pub operator: String,
}

/// What an action did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ActionAnswer {
    pub incident: i64,
    /// In a sentence.
    pub message: String,
}

/// Who hands in a file: `POST /v1/deposits`, whose body is the file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DepositQuery {
    /// For the history.
    pub operator: String,
}

/// `POST /v1/deposits`: the body is the file, a bundle or a JSON incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DepositAnswer {
    pub incident: i64,
    pub host_event_id: String,
    /// Whether it was not there before.
    pub new: bool,
}

/// `POST /v1/retry`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetryRequest {
    /// One incident, or all that are parked.
    pub incident: Option<i64>,
    pub operator: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RetryAnswer {
    pub rearmed: u64,
    /// Files that were given up, where exchanges are tried again.
    #[serde(default)]
    pub files: u64,
}
