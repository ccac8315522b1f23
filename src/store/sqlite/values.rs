//! What a record says before a write, so that its history can tell the old value beside the new one.

use std::collections::BTreeMap;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::case::evidence::Context;
use crate::case::{Alias, Case, ExchangeId, Holder};
use crate::store::{ReferenceWrite, StoreError, Write, Writer};

/// What [`Values::read`] reads, behind the columns that decide about a write.
pub const COLUMNS: &str = ", i.phase, i.submission, substr(i.solution, 1, 2000), i.completion_code, \
    i.expected_resolution, i.case_id, i.case_link, i.case_status, i.assignment, i.active, i.upstream_case_id, \
    i.upstream_case_link, i.upstream_case_status, i.form, i.state, r.standing, r.holder";
const FIRST: usize = 3;

/// The names of the columns in [`COLUMNS`] that belong to the record, in their order.
const NAMES: [&str; 15] = [
    "phase",
    "submission",
    "solution",
    "completion_code",
    "expected_resolution",
    "case_id",
    "case_link",
    "case_status",
    "assignment",
    "active",
    "upstream_case_id",
    "upstream_case_link",
    "upstream_case_status",
    "form",
    "state",
];

/// One record, and its references, as the writes of one call leave them.
#[derive(Default)]
pub struct Values {
    record: BTreeMap<&'static str, Option<String>>,
    /// Standing and holder.
    references: BTreeMap<(Alias, ExchangeId), (Option<String>, Option<String>)>,
}

impl Values {
    pub fn read(&mut self, row: &SqliteRow, reference: Option<&ReferenceWrite>) -> Result<(), StoreError> {
        if self.record.is_empty() {
            for (index, name) in NAMES.into_iter().enumerate() {
                let value = match name {
                    "active" => row.try_get::<Option<i64>, _>(FIRST + index)?.map(|active| active.to_string()),
                    _ => row.try_get::<Option<String>, _>(FIRST + index)?,
                };
                self.record.insert(name, value);
            }
        }
        if let Some(one) = reference {
            let last = FIRST + NAMES.len();
            let known = (row.try_get(last)?, row.try_get(last + 1)?);
            self.references.insert((one.peer.clone(), one.exchange), known);
        }
        Ok(())
    }

    /// What a write changes; it has changed from then on.
    pub fn follow(&mut self, write: &Write) -> Context {
        let mut context = Context::default();
        // Nothing was read where nobody tells.
        if self.record.is_empty() {
            return context;
        }
        let mut changes: Vec<(&'static str, Option<String>)> = Vec::new();
        let edit = &write.edit;
        changes.extend(edit.phase.map(|phase| ("phase", Some(phase.as_str().to_owned()))));
        changes.extend(edit.state.map(|state| ("state", Some(state.as_str().to_owned()))));
        changes.extend(write.submission.map(|submission| ("submission", Some(submission.as_str().to_owned()))));
        changes.extend(edit.solution.as_ref().map(|solution| ("solution", solution.clone())));
        changes.extend(edit.completion_code.map(|code| ("completion_code", code.map(|code| code.as_str().to_owned()))));
        changes.extend(
            edit.expected_resolution.map(|expected| ("expected_resolution", expected.map(|at| at.to_string()))),
        );
        let case = |case: &Case, [id, link, status]: [&'static str; 3]| {
            let shown = case.link.as_ref().map(ToString::to_string);
            [(id, Some(case.id.to_string())), (link, shown), (status, Some(case.status.clone()))]
        };
        changes.extend(edit.case.iter().flat_map(|one| case(one, ["case_id", "case_link", "case_status"])));
        changes.extend(edit.assignment.as_ref().map(|assignment| ("assignment", assignment.clone())));
        changes.extend(edit.active.map(|active| ("active", Some(i64::from(active).to_string()))));
        let upstream = ["upstream_case_id", "upstream_case_link", "upstream_case_status"];
        changes.extend(write.upstream_case.iter().flat_map(|one| case(one, upstream)));
        // What a policy fills in stands in the Create.
        if let Some(form) = write.form.as_ref().filter(|_| write.writer == Writer::Operator) {
            changes.push(("form", serde_json::to_string(form).ok()));
        }
        for (name, new) in changes {
            let old = self.record.insert(name, new.clone()).flatten();
            // A long text was read as far as it is kept.
            let new = new.map(|text| text.chars().take(Context::SHOWN).collect::<String>());
            context.note(name, old.as_deref(), new.as_deref());
        }
        if let Some(one) = &write.reference {
            let known = self.references.entry((one.peer.clone(), one.exchange)).or_default();
            let holder = match (&known.1, one.holder) {
                (_, Some(holder)) => Some(holder),
                (None, None) => Some(Holder::at_first(one.towards)),
                (Some(_), None) => None,
            };
            let standing = Some(one.standing.as_str().to_owned());
            context.note("standing", known.0.as_deref(), standing.as_deref());
            known.0 = standing;
            if let Some(holder) = holder {
                context.note("holder", known.1.as_deref(), Some(holder.as_str()));
                known.1 = Some(holder.as_str().to_owned());
            }
        }
        context
    }
}
