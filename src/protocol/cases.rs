//! Cases as the case-management API tells them, in the names of the case-management reference (M-01).

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::asked;
use crate::case::operation::given;
use crate::case::{
    CaseState, CaseTypeName, Fact, GroupName, HistoryLine, InitiatorType, OwnerStatus, Percent, Priority, Relation,
    Tag, UserName,
};

/// What an action on a case did: how the case is named, and how it stands. Says nothing that would take a permission to view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaseAnswer {
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    pub number: i64,
    pub display_id: String,
    pub state: CaseState,
    /// Give it as `If-Match: "REVISION"` with what is decided on how the case stands now.
    pub revision: i64,
}

/// One case in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaseRow {
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    /// The number of its incident.
    pub number: i64,
    /// `CM[client]-[number]`
    pub display_id: String,
    pub revision: i64,
    pub case_type_name: Option<CaseTypeName>,
    pub state: CaseState,
    pub state_label: String,
    pub priority: Option<Priority>,
    /// The title.
    pub details: String,
    pub client: Option<String>,
    pub device_group: Option<String>,
    pub device: Option<String>,
    pub kind: String,
    pub initiator_id: Option<UserName>,
    pub initiator_type: Option<InitiatorType>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub created_by: Option<UserName>,
    pub assigned_to_users: Vec<UserName>,
    pub assigned_to_groups: Vec<GroupName>,
    pub tags: Vec<Tag>,
    pub watchers: Vec<UserName>,
    pub location: Option<String>,
    #[schema(value_type = Option<String>, format = "uuid")]
    pub location_id: Option<Uuid>,
    pub location_code: Option<String>,
    pub completed_percent: Percent,
    pub resolved_by: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resolution_date: Option<Timestamp>,
    pub case_relation: Option<Relation>,
    pub owner: Option<UserName>,
    /// `Unassigned`, or the owner's own word.
    pub owner_status: String,
    pub flags: Vec<CaseFlag>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// The site's own promise goes before a peer's. While its clock stands still, and once the case is over, it is what it
    /// was when the clock last ran.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_date: Option<Timestamp>,
    /// The case waits, is resolved or is over: the due date moves on once it is worked on again.
    #[serde(default)]
    pub due_date_stands_still: bool,
    /// False once it was deleted from the lists.
    pub active: bool,
}

/// Somebody who is to look at a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaseFlag {
    pub user: UserName,
    pub flagged_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub flagged_at: Timestamp,
    pub unread: bool,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CasePage {
    pub cases: Vec<CaseRow>,
    /// Those of the page that do not read: another program wrote what breaks a rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<i64>,
    /// Give it as `after` for the next page.
    pub next: Option<String>,
}

/// Everything about one case (M-01).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaseDetail {
    #[serde(flatten)]
    pub row: CaseRow,
    #[schema(value_type = Option<String>, format = "uuid")]
    pub case_type_id: Option<Uuid>,
    pub solution_name: Option<String>,
    pub process_name: Option<String>,
    /// The body.
    pub description: String,
    pub resolution: Option<String>,
    /// The SLAs that count for the case.
    #[schema(value_type = Vec<String>)]
    pub sla_instance_ids: Vec<Uuid>,
    /// Those of them that were warned of.
    #[serde(rename = "messageWarnedSLAs")]
    #[schema(value_type = Vec<String>)]
    pub message_warned_slas: Vec<Uuid>,
    /// The same SLAs, with their instants.
    #[serde(default)]
    pub slas: Vec<CaseSla>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_date_warning: Option<Timestamp>,
    pub marked_due_date_warning: bool,
    pub marked_due_date_exceeded: bool,
    pub milestones: Vec<CaseMilestone>,
    /// Left out where the caller may not view them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comments: Option<Vec<CaseComment>>,
    /// Left out where the caller may not view them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<Vec<CaseDocument>>,
}

/// An SLA that counts for a case (M-08).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaseSla {
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    pub name: String,
    /// `answer` or `solution`: what has to come in time.
    pub goal: String,
    /// The site that promised it, if it was another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// None while its clock stands still, and where nobody is to be warned.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub warns_at: Option<Timestamp>,
    /// None while its clock stands still; once it is met it does so for good.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Timestamp>,
    pub warned: bool,
    pub missed: bool,
}

/// Something that happened to a case, once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CaseMilestone {
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub fact: Fact,
}

/// What somebody said about a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaseComment {
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    pub author: String,
    #[schema(value_type = String, format = DateTime)]
    pub written_at: Timestamp,
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// For this site's own people.
    pub internal: bool,
    /// Of whom the case was opened for, and not of those who work on it (M-12).
    pub initiator: bool,
    pub deleted: bool,
    /// The site that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

/// A file of a case: what is known of it, and where it is (M-11).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaseDocument {
    pub name: String,
    pub media_type: Option<String>,
    /// `stored`, `awaited` or `failed`.
    pub state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Why it could not be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where its content is, once it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CaseComments {
    pub comments: Vec<CaseComment>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CaseDocuments {
    pub documents: Vec<CaseDocument>,
}

/// Who did what, when; the oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CaseActivities {
    pub activities: Vec<HistoryLine>,
}

/// What a comment came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CommentAnswer {
    #[serde(flatten)]
    pub case: CaseAnswer,
    #[schema(value_type = String, format = "uuid")]
    pub comment: Uuid,
}

/// The filters, the order and the page of `GET /v1/cases`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CaseListQuery {
    /// One state or several, with commas between them.
    #[param(pattern = "^[a-z_]+(,[a-z_]+)*$")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// A case type's name.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub case_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// A client of this site, or one that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// A device group: one line, at most 128 bytes.
    #[param(min_length = 1, max_length = 128)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiator: Option<String>,
    /// A user to whom it is assigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<String>,
    /// A group of people to whom it is assigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_to_group: Option<String>,
    /// Only those that are assigned to nobody.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unassigned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watcher: Option<String>,
    /// A user before whom it was put.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flagged: Option<String>,
    /// Words of the title, or their beginnings; all have to be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "asked::instant")]
    pub created_from: Option<Timestamp>,
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "asked::instant")]
    pub created_before: Option<Timestamp>,
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "asked::instant")]
    pub updated_from: Option<Timestamp>,
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "asked::instant")]
    pub updated_before: Option<Timestamp>,
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "asked::instant")]
    pub due_from: Option<Timestamp>,
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "asked::instant")]
    pub due_before: Option<Timestamp>,
    /// Only those with a deadline that was missed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub breached: bool,
    /// Only those with a deadline that is to be warned of, and is not missed yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub about_to_breach: bool,
    /// Also those that were deleted from the lists.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub inactive: bool,
    /// `number` (default), `created`, `updated`, `priority`, `due` (those without a due date last); a leading `-` reverses.
    #[param(pattern = "^-?(number|created|updated|priority|due)$")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// 1 to 1,000; 100 when left out.
    #[param(minimum = 1, maximum = 1000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// `POST /v1/cases`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateCase {
    /// The title, in one line.
    pub details: String,
    pub description: String,
    /// As an event's; `on_demand` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case_type_name: Option<CaseTypeName>,
    /// Who asks for it; the caller when left out. In another's name only with the permission for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiator_id: Option<UserName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiator_type: Option<InitiatorType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    pub assigned_to_users: Vec<UserName>,
    pub assigned_to_groups: Vec<GroupName>,
    pub tags: Vec<Tag>,
    pub watchers: Vec<UserName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub location_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// What the initiator wants to add.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Submit it to the site above at once, and do not leave it to a person.
    pub submit: bool,
    pub operator: String,
}

/// `PATCH /v1/cases/{id}`: what is left out stays; `null` takes away the type and what says where it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct EditCase {
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "value")]
    #[schema(value_type = String, required = false)]
    pub details: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "value")]
    #[schema(value_type = String, required = false)]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "value")]
    #[schema(value_type = Priority, required = false)]
    pub priority: Option<Priority>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<CaseTypeName>)]
    pub case_type_name: Option<Option<CaseTypeName>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "value")]
    #[schema(value_type = UserName, required = false)]
    pub initiator_id: Option<UserName>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "value")]
    #[schema(value_type = InitiatorType, required = false)]
    pub initiator_type: Option<InitiatorType>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "value")]
    #[schema(value_type = String, required = false)]
    pub first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "value")]
    #[schema(value_type = String, required = false)]
    pub last_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub location: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub location_id: Option<Option<Uuid>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub location_code: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "value")]
    #[schema(value_type = Percent, required = false)]
    pub completed_percent: Option<Percent>,
    /// What solves it. Travels to the peers; another site's to change where that one has the case in hand.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "value")]
    #[schema(value_type = String, required = false)]
    pub resolution: Option<String>,
    /// True brings back what was deleted from the lists.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "value")]
    #[schema(value_type = bool, required = false)]
    pub active: Option<bool>,
    pub operator: String,
}

/// A value that is given is no `null`: what a case always has cannot be taken away.
fn value<'d, D: Deserializer<'d>, T: Deserialize<'d>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl EditCase {
    /// Whether it names nothing to change.
    pub fn is_empty(&self) -> bool {
        *self == Self { operator: self.operator.clone(), ..Self::default() }
    }

    /// Whether it says who asked for the case.
    pub fn names_initiator(&self) -> bool {
        self.initiator_id.is_some()
            || self.initiator_type.is_some()
            || self.first_name.is_some()
            || self.last_name.is_some()
    }
}

/// `POST /v1/cases/{id}/ACTION` (M-02)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ActionRequest {
    /// For both sites.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What solved it; with Resolve and Complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<String>,
    /// `fulfilled`, `withdrawn_by_user`, `request_rejected` or `abandoned_by_user`; with Resolve and Complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_code: Option<String>,
    pub operator: String,
}

/// Who does something that needs no more words.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Acting {
    pub operator: String,
}

/// `POST /v1/cases/{id}/tags`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TagRequest {
    pub tag: Tag,
    #[serde(default)]
    pub operator: String,
}

/// `PUT /v1/cases/{id}/assignment`: to these and to nobody else.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AssignmentRequest {
    pub users: Vec<UserName>,
    pub groups: Vec<GroupName>,
    pub operator: String,
}

/// `PUT /v1/cases/{id}/owner`: without a user nobody answers for it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OwnerRequest {
    pub user: Option<UserName>,
    /// `Assigned` when left out.
    pub status: Option<OwnerStatus>,
    pub operator: String,
}

/// `PUT /v1/cases/{id}/flags`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FlagRequest {
    /// Who is to look at it: these and nobody else, so that an empty list clears it. Left out, it stays as it is.
    pub users: Option<Vec<UserName>>,
    /// The caller has looked at it: its own mark is unread no longer.
    pub read: bool,
    pub operator: String,
}

/// `PUT /v1/cases/{id}/relation`: without a case it comes from none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RelationRequest {
    /// The case that this one came from: its number, its GUID or its display ID.
    pub case: Option<String>,
    pub operator: String,
}

/// `POST /v1/cases/{id}/milestones`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MilestoneRequest {
    /// One line, at most 128 bytes.
    pub name: String,
    pub operator: String,
}

/// `POST /v1/cases/{id}/comments` and `.../initiator-comments`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CaseCommentRequest {
    pub text: String,
    /// For this site's own people; not of the initiator.
    pub internal: bool,
    /// A BCP 47 tag, such as `fr`.
    pub language: Option<String>,
    pub operator: String,
}
