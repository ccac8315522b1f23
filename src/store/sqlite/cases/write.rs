//! Changes of what a case has beside its record. They go with the write of the record, in its statement and its transaction.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use sqlx::SqliteConnection;

use super::documents::moved_on;
use crate::case::{IncidentId, InstanceEdit, UserName};
use crate::store::StoreError;
use crate::store::sqlite::read::json as to_json;

/// What may stand in a row of a write, and how it sets its columns.
pub const SETTERS: [(&str, &str); 12] = [
    ("details", "synopsis = coalesce(j.v ->> 'details', synopsis), "),
    ("description", "description = coalesce(j.v ->> 'description', description), "),
    (
        // A form that names one as well goes before the event's.
        "priority",
        "priority = coalesce(j.v ->> 'priority', priority), \
         form = iif(j.v ->> 'priority' IS NULL OR form ->> 'priority' IS NULL, form, \
           json_set(form, '$.priority', j.v ->> 'priority')), ",
    ),
    ("type", "case_type = iif(json_type(j.v, '$.type') IS NULL, case_type, j.v ->> 'type'), "),
    (
        "initiator",
        "initiator = coalesce(j.v ->> '$.initiator.initiatorId', initiator), \
         initiator_type = coalesce(j.v ->> '$.initiator.initiatorType', initiator_type), \
         initiator_first_name = iif(j.v -> 'initiator' IS NULL, initiator_first_name, j.v ->> '$.initiator.firstName'), \
         initiator_last_name = iif(j.v -> 'initiator' IS NULL, initiator_last_name, j.v ->> '$.initiator.lastName'), ",
    ),
    ("created_by", "created_by = coalesce(j.v ->> 'created_by', created_by), "),
    (
        "place",
        "location = iif(json_type(j.v, '$.place.name') IS NULL, location, j.v ->> '$.place.name'), \
         location_id = iif(json_type(j.v, '$.place.id') IS NULL, location_id, j.v ->> '$.place.id'), \
         location_code = iif(json_type(j.v, '$.place.code') IS NULL, location_code, j.v ->> '$.place.code'), ",
    ),
    ("percent", "completed_percent = coalesce(j.v ->> 'percent', completed_percent), "),
    ("relation", "relation = iif(json_type(j.v, '$.relation') IS NULL, relation, nullif(j.v -> 'relation', 'null')), "),
    (
        "owner",
        "owner = iif(json_type(j.v, '$.owner') IS NULL, owner, j.v ->> '$.owner.user'), \
         owner_status = iif(json_type(j.v, '$.owner') IS NULL, owner_status, j.v ->> '$.owner.status'), ",
    ),
    ("deleted", "deleted = coalesce(j.v ->> 'deleted', deleted), "),
    (
        // Whoever says once more what is resolved already is not who resolved it.
        "resolved",
        "resolved_by = iif(j.v -> 'resolved' IS NULL OR phase = 'review', resolved_by, j.v ->> '$.resolved.by'), \
         resolution_date = iif(phase = 'review', resolution_date, coalesce(j.v ->> '$.resolved.at', resolution_date)), ",
    ),
];

/// Whether it changes the record's own row, or what counts as it.
pub fn revises(edit: &InstanceEdit) -> bool {
    *edit != InstanceEdit::default()
}

/// The columns that it sets.
pub fn row(edit: &InstanceEdit, row: &mut Map<String, Value>) {
    let InstanceEdit { details, description, priority, case_type, initiator, created_by, completed, .. } = edit;
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            row.insert(name.into(), value);
        }
    };
    set("details", details.as_ref().map(|text| json!(text)));
    set("description", description.as_ref().map(|text| json!(text)));
    set("priority", priority.map(|priority| json!(priority)));
    set("type", case_type.as_ref().map(|name| json!(name)));
    set("initiator", initiator.as_ref().map(|initiator| json!(initiator)));
    set("created_by", created_by.as_ref().map(|name| json!(name)));
    set("percent", completed.map(|percent| json!(percent)));
    set("relation", edit.relation.as_ref().map(|relation| json!(relation)));
    let owner = |owner: &Option<crate::case::CaseOwner>| match owner {
        Some(owner) => json!({ "user": owner.user, "status": owner.status }),
        None => Value::Null,
    };
    set("owner", edit.owner.as_ref().map(owner));
    set("deleted", edit.deleted.map(|deleted| i64::from(deleted).into()));
    let mut place = Map::new();
    for (name, value) in [
        ("name", edit.location_name.as_ref().map(|name| json!(name))),
        ("id", edit.location_id.as_ref().map(|id| json!(id))),
        ("code", edit.location_code.as_ref().map(|code| json!(code))),
    ] {
        if let Some(value) = value {
            place.insert(name.into(), value);
        }
    }
    set("place", (!place.is_empty()).then_some(Value::Object(place)));
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
