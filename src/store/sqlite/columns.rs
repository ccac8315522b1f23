//! What a write sets in the incident's own row. Records of which the same columns are set share a statement.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;

use super::cases;
use super::read::json as to_json;
use super::rows::{self, Cell};
use crate::case::{Case, Phase, doer, operator};
use crate::store::{StoreError, Write, Writer};

/// Columns with their new values.
#[derive(Debug, Default)]
pub struct Columns {
    setters: Vec<&'static str>,
    values: Vec<Cell>,
}

impl Columns {
    /// `setter` is what stands behind `SET`, with `?` for the value. A column that is named is checked and indexed anew,
    /// whether it changes or not.
    pub fn set(&mut self, setter: &'static str, value: impl Into<Cell>) {
        self.setters.push(setter);
        self.values.push(value.into());
    }

    fn of(write: &Write) -> Self {
        let (mut columns, edit) = (Self::default(), &write.edit);
        if let Some(phase) = edit.phase {
            columns.set("phase = ?", phase.as_str());
        }
        if let Some(solution) = &edit.solution {
            columns.set("solution = ?", solution.as_deref());
        }
        if let Some(code) = edit.completion_code {
            columns.set("completion_code = ?", code.map(|code| code.as_str()));
        }
        if let Some(expected) = edit.expected_resolution {
            columns.set("expected_resolution = ?", expected.map(|at| at.to_string()));
        }
        if let Some(case) = &edit.case {
            columns.set_case(["case_id = ?", "case_link = ?", "case_status = ?", "case_contact = ?"], case);
        }
        if let Some(assignment) = &edit.assignment {
            columns.set("assignment = ?", assignment.as_deref());
        }
        if let Some(active) = edit.active {
            columns.set("active = ?", active);
        }
        if let Some(state) = edit.state {
            columns.set("state = ?", state.as_str());
        }
        if let Some(since) = edit.since {
            columns.set("state_since = ?", since.to_string());
        }
        if let Some(submission) = write.submission {
            columns.set("submission = ?", submission.as_str());
        }
        if let Some(form) = &write.form {
            columns.set("form = ?", to_json(form));
        }
        if let Some(generation) = write.generation {
            columns.set("generation = ?", i64::from(generation));
        }
        if let Some(case) = &write.upstream_case {
            let setters = [
                "upstream_case_id = ?",
                "upstream_case_link = ?",
                "upstream_case_status = ?",
                "upstream_case_contact = ?",
            ];
            columns.set_case(setters, case);
        }
        if let Some(own) = &write.own_case {
            columns.set("case_own = ?", to_json(own));
        }
        if let Some(instance) = &write.instance {
            cases::set_columns(instance, &mut columns);
        }
        if let (Some(Phase::Review), Some(line)) = (edit.phase, write.history.first()) {
            // Whoever says once more what is resolved already is not who resolved it.
            let person = write.person.as_ref().map(|person| operator(person.as_str(), None));
            let by = doer(person.as_deref().unwrap_or(&line.who));
            columns.set("resolved_by = iif(phase = 'review', resolved_by, ?)", by);
            let at = edit.since.unwrap_or(line.at).to_string();
            columns.set("resolution_date = iif(phase = 'review', resolution_date, ?)", at);
        }
        columns
    }

    fn set_case(&mut self, [id, link, status, contact]: [&'static str; 4], case: &Case) {
        self.set(id, case.id.to_string());
        self.set(link, case.link.as_ref().map(ToString::to_string));
        self.set(status, case.status.as_str());
        self.set(contact, case.contact.as_ref().map(to_json));
    }
}

/// Whether a write sets columns, and does not only have a reference, comments or history.
pub fn revises(write: &Write) -> bool {
    let edit = &write.edit;
    edit.phase.is_some()
        || edit.solution.is_some()
        || edit.completion_code.is_some()
        || edit.expected_resolution.is_some()
        || edit.case.is_some()
        || edit.assignment.is_some()
        || edit.active.is_some()
        || edit.state.is_some()
        || write.submission.is_some()
        || write.form.is_some()
        || write.generation.is_some()
        || write.upstream_case.is_some()
        || write.own_case.is_some()
        || write.instance.as_deref().is_some_and(cases::revises)
}

/// Sets what the writes say, and counts them. Each record is in one of them only.
pub async fn update(connection: &mut SqliteConnection, writes: &[&Write]) -> Result<(), StoreError> {
    let mut alike: BTreeMap<Vec<&'static str>, Vec<Vec<Cell>>> = BTreeMap::new();
    for write in writes.iter().filter(|write| revises(write)) {
        let Columns { setters, values } = Columns::of(write);
        let mut row: Vec<Cell> = vec![write.incident.0.into(), (write.writer == Writer::Bridge).into()];
        row.extend(values);
        alike.entry(setters).or_default().push(row);
    }
    for (setters, rows) in alike {
        let assignments: String = setters
            .iter()
            .zip(3..)
            .map(|(setter, number)| format!("{}, ", setter.replace('?', &format!("j.column{number}"))))
            .collect();
        let tail = format!(
            ") UPDATE incident SET revision = revision + 1, bridge = incident.bridge + j.column2, {assignments}\
               updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') \
             FROM j WHERE incident.id = j.column1"
        );
        rows::execute(connection, "WITH j AS (VALUES", &tail, rows).await?;
    }
    Ok(())
}
