//! Rows into what a case has beside its record.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use crate::case::{
    CaseOwner, CaseState, Flag, IncidentId, Initiator, InitiatorType, Instance, Kind, Location, OwnerStatus, Percent,
    Resolution,
};
use crate::store::sqlite::read::{instant, json};
use crate::store::{ListedCase, StoreError};

/// What [`instance`] reads.
macro_rules! columns {
    () => {
        "i.id, i.case_type, i.initiator, i.initiator_type, i.initiator_first_name, i.initiator_last_name, i.created_by, \
         i.location, i.location_id, i.location_code, i.completed_percent, i.resolved_by, i.resolution_date, i.relation, \
         i.owner, i.owner_status, i.deleted"
    };
}

pub async fn instances(
    connection: &mut SqliteConnection,
    incidents: &[IncidentId],
) -> Result<HashMap<IncidentId, Result<Instance, String>>, StoreError> {
    let ids = json(incidents);
    let rows =
        sqlx::query(concat!("SELECT ", columns!(), " FROM incident i WHERE i.id IN (SELECT value FROM json_each(?))"))
            .bind(&ids)
            .fetch_all(&mut *connection)
            .await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        found.insert(IncidentId(row.try_get(0)?), instance(row));
    }
    marks(connection, &ids, &mut found).await?;
    flags(connection, &ids, &mut found).await?;
    Ok(found)
}

/// The rows of one page of a list, in this order, and those that do not read.
pub async fn listed(
    connection: &mut SqliteConnection,
    order: &[i64],
) -> Result<(Vec<ListedCase>, Vec<IncidentId>), StoreError> {
    let ids: Vec<IncidentId> = order.iter().copied().map(IncidentId).collect();
    let mut instances = instances(connection, &ids).await?;
    let rows = sqlx::query(
        "SELECT id, revision, client, device_group, device, kind, synopsis, nullif(sort_priority, '9'), state, created_at, \
           updated_at, sort_due, due_stands_still \
         FROM incident WHERE id IN (SELECT value FROM json_each(?))",
    )
    .bind(json(&ids))
    .fetch_all(&mut *connection)
    .await?;
    let mut cases = HashMap::with_capacity(rows.len());
    for row in &rows {
        let id = IncidentId(row.try_get(0)?);
        if let Some(case) = instances.remove(&id).and_then(|instance| one(row, id, instance.ok()?)) {
            cases.insert(id, case);
        }
    }
    let unreadable = ids.iter().copied().filter(|id| !cases.contains_key(id)).collect();
    Ok((ids.iter().filter_map(|id| cases.remove(id)).collect(), unreadable))
}

fn one(row: &SqliteRow, incident: IncidentId, instance: Instance) -> Option<ListedCase> {
    let client: Option<String> = row.try_get(2).ok()?;
    let priority: Option<String> = row.try_get(7).ok()?;
    Some(ListedCase {
        incident,
        revision: row.try_get(1).ok()?,
        client: client.map(|client| client.parse()).transpose().ok()?,
        group: row.try_get(3).ok()?,
        device: row.try_get(4).ok()?,
        kind: Kind::parse(row.try_get(5).ok()?)?,
        synopsis: row.try_get(6).ok()?,
        priority: priority.map(|priority| priority.parse()).transpose().ok()?,
        state: CaseState::parse(row.try_get(8).ok()?)?,
        created_at: instant(row.try_get(9).ok()?)?,
        updated_at: instant(row.try_get(10).ok()?)?,
        due_at: instant(row.try_get(11).ok()?),
        due_stands_still: row.try_get(12).ok()?,
        instance,
    })
}

/// What stands in the row of the incident. The error is a sentence for people.
fn instance(row: &SqliteRow) -> Result<Instance, String> {
    let get =
        |index: usize, what: &str| row.try_get::<Option<String>, _>(index).map_err(|_| format!("{what} does not read"));
    let wrong = |what: &str| format!("{what} does not read");
    let initiator = match get(2, "initiator")? {
        Some(id) => Some(Initiator {
            id: id.parse().map_err(|fault| format!("initiator {fault}"))?,
            kind: match get(3, "initiator_type")? {
                Some(kind) => InitiatorType::parse(&kind).ok_or_else(|| wrong("initiator_type"))?,
                None => InitiatorType::default(),
            },
            first_name: get(4, "initiator_first_name")?,
            last_name: get(5, "initiator_last_name")?,
        }),
        None => None,
    };
    let owner = match get(14, "owner")? {
        Some(user) => Some(CaseOwner {
            user: user.parse().map_err(|fault| format!("owner {fault}"))?,
            status: match get(15, "owner_status")? {
                Some(status) => status.parse::<OwnerStatus>().map_err(|fault| format!("owner_status {fault}"))?,
                None => OwnerStatus::default(),
            },
        }),
        None => None,
    };
    let resolution = match get(12, "resolution_date")? {
        Some(at) => {
            Some(Resolution { by: get(11, "resolved_by")?, at: instant(&at).ok_or_else(|| wrong("resolution_date"))? })
        }
        None => None,
    };
    let id = get(8, "location_id")?;
    let relation = get(13, "relation")?;
    let case_type = get(1, "case_type")?;
    let created_by = get(6, "created_by")?;
    let percent: i64 = row.try_get(10).map_err(|_| wrong("completed_percent"))?;
    Ok(Instance {
        case_type: case_type.map(|name| name.parse()).transpose().map_err(|fault| format!("case_type {fault}"))?,
        initiator,
        created_by: created_by.map(|name| name.parse()).transpose().map_err(|fault| format!("created_by {fault}"))?,
        location: Location {
            name: get(7, "location")?,
            id: id.map(|id| Uuid::parse_str(&id)).transpose().map_err(|_| wrong("location_id"))?,
            code: get(9, "location_code")?,
        },
        completed: Percent::try_from(percent).map_err(|fault| fault.to_string())?,
        resolution,
        relation: relation
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|fault| format!("relation: {fault}"))?,
        owner,
        deleted: row.try_get(16).map_err(|_| wrong("deleted"))?,
        ..Instance::default()
    })
}

type Found = HashMap<IncidentId, Result<Instance, String>>;

/// The users, groups, tags and watchers of these cases.
async fn marks(connection: &mut SqliteConnection, ids: &str, found: &mut Found) -> Result<(), StoreError> {
    let rows =
        sqlx::query("SELECT incident, kind, name FROM case_mark WHERE incident IN (SELECT value FROM json_each(?))")
            .bind(ids)
            .fetch_all(&mut *connection)
            .await?;
    for row in &rows {
        let Some(slot) = found.get_mut(&IncidentId(row.try_get(0)?)) else { continue };
        let (kind, name): (&str, &str) = (row.try_get(1)?, row.try_get(2)?);
        if let Ok(instance) = slot
            && let Err(reason) = mark(instance, kind, name)
        {
            *slot = Err(reason);
        }
    }
    Ok(())
}

fn mark(instance: &mut Instance, kind: &str, name: &str) -> Result<(), String> {
    let fault = |fault| format!("a {kind} of the case {fault}");
    match kind {
        "user" => _ = instance.assigned_users.insert(name.parse().map_err(fault)?),
        "group" => _ = instance.assigned_groups.insert(name.parse().map_err(fault)?),
        "tag" => _ = instance.tags.insert(name.parse().map_err(fault)?),
        _ => _ = instance.watchers.insert(name.parse().map_err(fault)?),
    }
    Ok(())
}

async fn flags(connection: &mut SqliteConnection, ids: &str, found: &mut Found) -> Result<(), StoreError> {
    let rows = sqlx::query(
        "SELECT incident, user, flagged_by, flagged_at, unread FROM case_flag \
         WHERE incident IN (SELECT value FROM json_each(?))",
    )
    .bind(ids)
    .fetch_all(&mut *connection)
    .await?;
    for row in &rows {
        let Some(slot) = found.get_mut(&IncidentId(row.try_get(0)?)) else { continue };
        let user: &str = row.try_get(1)?;
        let at = instant(row.try_get(3)?);
        if let Ok(instance) = slot {
            match (user.parse(), at) {
                (Ok(user), Some(at)) => {
                    let flag = Flag { by: row.try_get(2)?, at, unread: row.try_get(4)? };
                    instance.flags.insert(user, flag);
                }
                _ => *slot = Err("a flag of the case does not read".into()),
            }
        }
    }
    Ok(())
}
