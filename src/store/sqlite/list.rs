//! Lists for people: filters, order, and pages that go on after the last row seen.

use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::read::{columns, complete};
use crate::store::{ListFilter, ListOrder, ListPage, ListQuery, StoreError};

pub async fn list(connection: &mut SqliteConnection, query: &ListQuery) -> Result<ListPage, StoreError> {
    let key = match query.order {
        ListOrder::Id => "''",
        // Other programs write other zones and forms; as text they would not compare.
        ListOrder::CreatedAt => "strftime('%Y-%m-%d %H:%M:%f', i.created_at)",
        ListOrder::Priority => "coalesce(i.priority, '9')",
        ListOrder::Device => "coalesce(i.device, '')",
        ListOrder::Group => "coalesce(i.device_group, '')",
    };
    let direction = if query.descending { " DESC" } else { "" };
    let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT ");
    sql.push(columns!()).push(", ").push(key).push(" AS sort_key FROM incident i WHERE true");
    for (filter, value) in &query.filters {
        match filter {
            ListFilter::Group => sql.push(" AND i.device_group = ").push_bind(value),
            ListFilter::Client => sql.push(" AND i.client = ").push_bind(value),
            ListFilter::Device => sql.push(" AND i.device = ").push_bind(value),
            ListFilter::Kind => sql.push(" AND i.kind = ").push_bind(value),
            ListFilter::Priority => sql.push(" AND i.priority = ").push_bind(value),
            ListFilter::Submission => sql.push(" AND i.submission = ").push_bind(value),
            ListFilter::Phase => sql.push(" AND i.phase = ").push_bind(value),
            ListFilter::TrackingNumber => sql.push(" AND i.form ->> 'tracking_number' = ").push_bind(value),
            ListFilter::CaseId => sql.push(" AND i.case_id = ").push_bind(value),
            ListFilter::Standing => sql
                .push(" AND (EXISTS (SELECT 1 FROM reference r WHERE r.incident = i.id AND r.standing = ")
                .push_bind(value)
                // Submitted and on its way: there is no reference before the acknowledgement.
                .push(") OR (i.submission = 'requested' AND 'submitted' = ")
                .push_bind(value)
                .push(" AND NOT EXISTS (SELECT 1 FROM reference r WHERE r.incident = i.id)))"),
        };
    }
    if let Some(after) = &query.after {
        let (id, sort_key) = position(query, after)?;
        sql.push(" AND (").push(key).push(", i.id) ").push(if query.descending { "< (" } else { "> (" });
        sql.push_bind(sort_key).push(", ").push_bind(id).push(")");
    }
    sql.push(" ORDER BY sort_key").push(direction).push(", i.id").push(direction);
    sql.push(" LIMIT ").push_bind(query.limit as i64);

    let rows = sql.build().fetch_all(&mut *connection).await?;
    let next = match rows.last() {
        Some(row) if rows.len() == query.limit => {
            let (id, sort_key): (i64, String) = (row.try_get(0)?, row.try_get("sort_key")?);
            Some(format!("{}:{id}:{sort_key}", name(query)))
        }
        _ => None,
    };
    let order: Vec<i64> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let mut loaded = complete(connection, rows).await?;
    loaded.incidents.sort_by_key(|incident| order.iter().position(|id| *id == incident.id.0));
    Ok(ListPage { loaded, next })
}

/// Leads the `next` of a page, so that it is not taken for a page of a list in another order.
fn name(query: &ListQuery) -> String {
    format!("{:?}{}", query.order, if query.descending { "-" } else { "+" })
}

/// The number and the key of the last row seen.
fn position<'a>(query: &ListQuery, after: &'a str) -> Result<(i64, &'a str), StoreError> {
    let rest = after.strip_prefix(&name(query)).and_then(|rest| rest.strip_prefix(':'));
    let parts = rest.and_then(|rest| rest.split_once(':'));
    parts
        .and_then(|(id, sort_key)| Some((id.parse().ok()?, sort_key)))
        .ok_or_else(|| StoreError::Query("`after` is not a page of this list".into()))
}
