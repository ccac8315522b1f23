//! Changes of what a case has beside its record. They go with the write of the record, in its statement and its transaction.

use std::collections::BTreeSet;

use sqlx::SqliteConnection;

use super::documents::moved_on;
use crate::case::{IncidentId, InstanceEdit, UserName};
use crate::store::StoreError;
use crate::store::sqlite::columns::Columns;
use crate::store::sqlite::read::json as to_json;

/// Whether it changes the record's own row, or what counts as it.
pub fn revises(edit: &InstanceEdit) -> bool {
    *edit != InstanceEdit::default()
}

/// The columns that it sets.
pub fn set_columns(edit: &InstanceEdit, columns: &mut Columns) {
    if let Some(details) = &edit.details {
        columns.set("synopsis = ?", details.as_str());
    }
    if let Some(description) = &edit.description {
        columns.set("description = ?", description.as_str());
    }
    if let Some(priority) = edit.priority {
        columns.set("priority = ?", priority.as_str());
        // A form that names one as well goes before the event's.
        columns
            .set("form = iif(form ->> 'priority' IS NULL, form, json_set(form, '$.priority', ?))", priority.as_str());
    }
    if let Some(case_type) = &edit.case_type {
        columns.set("case_type = ?", case_type.as_ref().map(|name| name.as_str()));
    }
    if let Some(initiator) = &edit.initiator {
        columns.set("initiator = ?", initiator.id.as_str());
        columns.set("initiator_type = ?", initiator.kind.as_str());
        columns.set("initiator_first_name = ?", initiator.first_name.as_deref());
        columns.set("initiator_last_name = ?", initiator.last_name.as_deref());
    }
    if let Some(name) = &edit.created_by {
        columns.set("created_by = ?", name.as_str());
    }
    if let Some(name) = &edit.location_name {
        columns.set("location = ?", name.as_deref());
    }
    if let Some(id) = edit.location_id {
        columns.set("location_id = ?", id.map(|id| id.to_string()));
    }
    if let Some(code) = &edit.location_code {
        columns.set("location_code = ?", code.as_deref());
    }
    if let Some(percent) = edit.completed {
        columns.set("completed_percent = ?", i64::from(percent.get()));
    }
    if let Some(relation) = &edit.relation {
        columns.set("relation = ?", relation.as_ref().map(to_json));
    }
    if let Some(owner) = &edit.owner {
        columns.set("owner = ?", owner.as_ref().map(|owner| owner.user.as_str()));
        columns.set("owner_status = ?", owner.as_ref().map(|owner| owner.status.as_str()));
    }
    if let Some(deleted) = edit.deleted {
        columns.set("deleted = ?", deleted);
    }
}

/// Its sets and its flags.
pub async fn edit(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    edit: &InstanceEdit,
) -> Result<(), StoreError> {
    fn names<T: ToString>(members: &Option<BTreeSet<T>>) -> Option<Vec<String>> {
        members.as_ref().map(|members| members.iter().map(ToString::to_string).collect())
    }
    for (kind, members) in [
        ("user", names(&edit.assigned_users)),
        ("group", names(&edit.assigned_groups)),
        ("tag", names(&edit.tags)),
        ("watcher", names(&edit.watchers)),
    ] {
        let Some(members) = members else { continue };
        let members = to_json(&members);
        sqlx::query(
            "DELETE FROM case_mark WHERE incident = ?1 AND kind = ?2 AND name NOT IN (SELECT value FROM json_each(?3))",
        )
        .bind(incident.0)
        .bind(kind)
        .bind(&members)
        .execute(&mut *connection)
        .await?;
        sqlx::query(
            "INSERT INTO case_mark (kind, name, incident) SELECT ?2, value, ?1 FROM json_each(?3) WHERE true \
             ON CONFLICT DO NOTHING",
        )
        .bind(incident.0)
        .bind(kind)
        .bind(&members)
        .execute(&mut *connection)
        .await?;
    }
    if let Some(flags) = &edit.flags {
        let rows: Vec<_> = flags.iter().map(|(user, flag)| (user, &flag.by, flag.at, i64::from(flag.unread))).collect();
        let rows = to_json(&rows);
        sqlx::query("DELETE FROM case_flag WHERE incident = ? AND user NOT IN (SELECT value ->> 0 FROM json_each(?))")
            .bind(incident.0)
            .bind(&rows)
            .execute(&mut *connection)
            .await?;
        sqlx::query(
            "INSERT INTO case_flag (user, incident, flagged_by, flagged_at, unread) \
             SELECT value ->> 0, ?1, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?2) WHERE true \
             ON CONFLICT (user, incident) DO UPDATE SET flagged_by = excluded.flagged_by, \
               flagged_at = excluded.flagged_at, unread = excluded.unread",
        )
        .bind(incident.0)
        .bind(&rows)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

pub async fn looked_at(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    user: UserName,
    revision: Option<i64>,
) -> Result<Option<i64>, StoreError> {
    if let Some(found) = moved_on(connection, incident, revision).await? {
        return Ok(Some(found));
    }
    sqlx::query("UPDATE case_flag SET unread = 0 WHERE user = ? AND incident = ? AND unread = 1")
        .bind(user.as_str())
        .bind(incident.0)
        .execute(&mut *connection)
        .await?;
    Ok(None)
}
