//! What a site offers its customers, as the case-management API tells it (M-05). Durations are in seconds.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::case::{Calendar, Priority};

/// `GET /v1/solutions`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SolutionList {
    pub solutions: Vec<SolutionView>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SolutionView {
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// `GET /v1/processes`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProcessList {
    pub processes: Vec<ProcessView>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessView {
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    pub name: String,
    pub solution_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// `GET /v1/priorities`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PriorityList {
    pub priorities: Vec<PriorityView>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PriorityView {
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    pub name: Priority,
    /// What it means at this site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// `GET /v1/case-types`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaseTypeList {
    pub case_types: Vec<CaseTypeView>,
}

/// `GET /v1/case-types/{name}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaseTypeView {
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    pub name: String,
    pub process_name: String,
    pub solution_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Those that its cases may have; all when empty.
    pub priorities: Vec<Priority>,
    /// How long a case stays resolved before it is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_close_after: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<TermsView>,
    pub slas: Vec<SlaView>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SlaView {
    pub name: String,
    /// `answer` or `solution`: what has to come in time.
    pub goal: String,
    /// For cases of these priorities only; for all when empty.
    pub priorities: Vec<Priority>,
    pub terms: TermsView,
}

/// So much working time, by this calendar; by the clock without one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TermsView {
    pub within: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn_before: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<Calendar>,
}
