//! The jobs of case management: what there is, and what a run did or would do.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /v1/jobs`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobList {
    /// By whose clocks the schedules fire.
    pub time_zone: String,
    pub jobs: Vec<JobRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobRow {
    pub name: String,
    /// Six fields, seconds first.
    pub schedule: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_run: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_run: Option<Timestamp>,
}

/// `POST /v1/jobs/{name}/run`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// Only says what would happen.
    #[serde(default)]
    pub dry_run: bool,
    #[serde(default)]
    pub operator: String,
}

/// What a run did, or would do.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct JobAnswer {
    pub job: String,
    pub dry_run: bool,
    /// How many there are in all.
    pub found: u64,
    /// At most [`JobAnswer::SHOWN`] of them.
    pub cases: Vec<JobCase>,
    /// Cases that could not be looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<JobFailure>,
    /// Whether the first of these ended the run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// What is to be said of the run as a whole, where it has no cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One case, and what happens to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobCase {
    pub incident: i64,
    /// `warn`, `violate` or `close`.
    pub what: String,
    /// When it was due to happen.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Why, in a sentence.
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobFailure {
    pub incident: i64,
    pub reason: String,
}

impl JobAnswer {
    /// More than a person reads one by one.
    pub const SHOWN: usize = 1000;

    pub fn of(job: &str, dry_run: bool) -> Self {
        Self { job: job.to_owned(), dry_run, ..Self::default() }
    }

    /// Counts a case, and shows it if there is room.
    pub fn add(&mut self, case: JobCase) {
        self.found += 1;
        if self.cases.len() < Self::SHOWN {
            self.cases.push(case);
        }
    }

    /// Counts a failure, and shows it if there is room.
    pub fn fail(&mut self, incident: i64, reason: String) {
        if self.failed.len() < Self::SHOWN {
            self.failed.push(JobFailure { incident, reason });
        }
    }

    /// In a few words.
    pub fn told(&self) -> String {
        let counted = match self.found {
            1 => "1 case".to_owned(),
            more => format!("{more} cases"),
        };
        match (&self.note, self.failed.first()) {
            (Some(note), _) => note.clone(),
            (None, None) => counted,
            (None, Some(first)) if self.stopped => {
                format!("{counted}; stopped at incident {}: {}", first.incident, first.reason)
            }
            (None, Some(_)) => format!("{counted}; {} could not be looked at", self.failed.len()),
        }
    }
}
