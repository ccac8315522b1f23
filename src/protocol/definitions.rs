//! What a site offers its customers (M-05): solutions, processes, case types, priorities.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::case::Calendar;

/// `GET /v1/solutions`
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SolutionList {
    pub solutions: Vec<SolutionRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SolutionRow {
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// `GET /v1/processes`
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ProcessList {
    pub processes: Vec<ProcessRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ProcessRow {
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    pub name: String,
    pub solution: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// `GET /v1/case-types`
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaseTypeList {
    pub case_types: Vec<CaseTypeDetail>,
}

/// `GET /v1/case-types/{name}`
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaseTypeDetail {
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    pub name: String,
    pub process: String,
    pub solution: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Those that its cases may have; all when empty.
    pub priorities: Vec<String>,
    /// Hours that a case stays resolved before it is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_close_hours: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_date: Option<TermsRow>,
    pub slas: Vec<SlaRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SlaRow {
    pub name: String,
    /// `answer` or `solution`.
    pub goal: String,
    /// Those that it is for; all when empty.
    pub priorities: Vec<String>,
    #[serde(flatten)]
    pub terms: TermsRow,
}

/// Working time, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TermsRow {
    pub within: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn_before: Option<u64>,
    /// Around the clock without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calendar: Option<Calendar>,
}

/// `GET /v1/priorities`
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PriorityList {
    pub priorities: Vec<PriorityRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PriorityRow {
    /// The site's own, or the one that travels.
    pub name: String,
    /// The one that travels.
    pub priority: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}
