//! What a record says before a write, so that its history can tell the old value beside the new one.

use std::collections::{BTreeMap, HashSet};

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::case::evidence::Context;
use crate::case::{Alias, Case, ExchangeId, Holder};
use crate::store::{ReferenceWrite, StoreError, Write, Writer};

/// What a write may change, by name, and where it stands.
const KNOWN: [(&str, &str); 15] = [
    ("phase", "i.phase"),
    ("submission", "i.submission"),
    ("solution", "substr(i.solution, 1, 2000)"),
    ("completion_code", "i.completion_code"),
    ("expected_resolution", "i.expected_resolution"),
    ("case_id", "i.case_id"),
    ("case_link", "i.case_link"),
    ("case_status", "i.case_status"),
    ("assignment", "i.assignment"),
    ("active", "i.active"),
    ("upstream_case_id", "i.upstream_case_id"),
    ("upstream_case_link", "i.upstream_case_link"),
    ("upstream_case_status", "i.upstream_case_status"),
    ("form", "i.form"),
    ("state", "i.state"),
];

/// What is to be known of records before some writes: what these change, and nothing else.
pub struct Wanted(Vec<(&'static str, &'static str)>);

impl Wanted {
    pub fn of(writes: &[Write]) -> Self {
        let names: HashSet<&str> = writes.iter().flat_map(changes).map(|(name, _)| name).collect();
        Self(KNOWN.into_iter().filter(|(name, _)| names.contains(name)).collect())
    }

    /// The columns that [`Values::read`] reads, behind those that decide about a write.
    pub fn columns(&self) -> String {
        self.0
            .iter()
            .map(|(_, column)| *column)
            .chain(["r.standing", "r.holder"])
            .map(|one| format!(", {one}"))
            .collect()
    }
}

/// The columns that decide about a write.
const FIRST: usize = 3;

/// One record, and its references, as the writes of one call leave them.
#[derive(Default)]
pub struct Values {
    /// Nothing was read where nobody tells.
    is_read: bool,
    record: BTreeMap<&'static str, Option<String>>,
    /// Standing and holder.
    references: BTreeMap<(Alias, ExchangeId), (Option<String>, Option<String>)>,
}

impl Values {
    pub fn read(
        &mut self,
        row: &SqliteRow,
        wanted: &Wanted,
        reference: Option<&ReferenceWrite>,
    ) -> Result<(), StoreError> {
        if !self.is_read {
            for (index, (name, _)) in wanted.0.iter().enumerate() {
                let value = match *name {
                    "active" => row.try_get::<Option<i64>, _>(FIRST + index)?.map(|active| active.to_string()),
                    _ => row.try_get::<Option<String>, _>(FIRST + index)?,
                };
                self.record.insert(name, value);
            }
            self.is_read = true;
        }
        if let Some(one) = reference {
            let last = FIRST + wanted.0.len();
            let known = (row.try_get(last)?, row.try_get(last + 1)?);
            self.references.insert((one.peer.clone(), one.exchange), known);
        }
        Ok(())
    }

    /// What a write changes; it has changed from then on.
    pub fn follow(&mut self, write: &Write) -> Context {
        let mut context = Context::default();
        if !self.is_read {
            return context;
        }
        for (name, new) in changes(write) {
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

/// The values that a write sets, by name.
fn changes(write: &Write) -> Vec<(&'static str, Option<String>)> {
    let mut changes: Vec<(&'static str, Option<String>)> = Vec::new();
    let edit = &write.edit;
    changes.extend(edit.phase.map(|phase| ("phase", Some(phase.as_str().to_owned()))));
    changes.extend(edit.state.map(|state| ("state", Some(state.as_str().to_owned()))));
    changes.extend(write.submission.map(|submission| ("submission", Some(submission.as_str().to_owned()))));
    changes.extend(edit.solution.as_ref().map(|solution| ("solution", solution.clone())));
    changes.extend(edit.completion_code.map(|code| ("completion_code", code.map(|code| code.as_str().to_owned()))));
    changes.extend(edit.expected_resolution.map(|expected| ("expected_resolution", expected.map(|at| at.to_string()))));
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
    changes
}
