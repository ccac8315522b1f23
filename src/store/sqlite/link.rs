//! A client's exchange is given an incident that was entered here beforehand. The unique (peer, exchange) of the
//! reference guards it as it guards a Create: it is linked once, and to one.

use sqlx::SqliteConnection;

use super::history::{NewEntry, append};
use super::read::{self, json as to_json};
use super::write::{comment_rows, insert_comments};
use crate::case::{
    Action, Comment, HistoryLine, Incident, IncidentId, LinkTo, Phase, Standing, Towards, TransactionId,
};
use crate::store::{Open, Opened, StoreError};

pub async fn link(connection: &mut SqliteConnection, opens: Vec<Open>) -> Result<Vec<Option<Opened>>, StoreError> {
    let mut linked = Vec::with_capacity(opens.len());
    for open in opens {
        let known = sqlx::query_scalar("SELECT incident FROM reference WHERE peer = ? AND exchange = ?")
            .bind(open.peer.as_str())
            .bind(open.exchange.to_string())
            .fetch_optional(&mut *connection)
            .await?;
        let (found, new) = match known {
            Some(incident) => (Some(incident), false),
            None => (free(connection, &open).await?, true),
        };
        let Some(incident) = loaded(connection, found).await? else {
            linked.push(None);
            continue;
        };
        if new {
            refer(connection, &incident, open).await?;
        }
        let incident = loaded(connection, Some(incident.id.0)).await?;
        linked.push(incident.map(|incident| Opened { incident, new }));
    }
    Ok(linked)
}

async fn loaded(connection: &mut SqliteConnection, id: Option<i64>) -> Result<Option<Incident>, StoreError> {
    let Some(id) = id else { return Ok(None) };
    Ok(read::load(connection, &[IncidentId(id)]).await?.incidents.into_iter().next())
}

/// The client's own incident of that name, when it is in no exchange and there is no second one.
async fn free(connection: &mut SqliteConnection, open: &Open) -> Result<Option<i64>, StoreError> {
    let statement = match &open.create.form.link {
        Some(LinkTo::Transaction(_)) => {
            "SELECT id FROM incident WHERE id = ?1 AND client = ?2 \
               AND NOT EXISTS (SELECT 1 FROM reference WHERE incident = id) LIMIT 2"
        }
        Some(LinkTo::CaseId(_)) => {
            "SELECT id FROM incident WHERE case_id = ?1 AND client = ?2 \
               AND NOT EXISTS (SELECT 1 FROM reference WHERE incident = id) LIMIT 2"
        }
        None => return Ok(None),
    };
    let name = match &open.create.form.link {
        Some(LinkTo::Transaction(id)) => number(id),
        Some(LinkTo::CaseId(id)) => Some(id.to_string()),
        None => None,
    };
    let found: Vec<i64> =
        sqlx::query_scalar(statement).bind(name).bind(open.peer.as_str()).fetch_all(&mut *connection).await?;
    match found.as_slice() {
        [one] => Ok(Some(*one)),
        _ => Ok(None),
    }
}

/// One transaction has one spelling.
fn number(id: &TransactionId) -> Option<String> {
    let number: i64 = id.as_str().parse().ok()?;
    Some(number.to_string()).filter(|text| text == id.as_str())
}

async fn refer(connection: &mut SqliteConnection, incident: &Incident, open: Open) -> Result<(), StoreError> {
    let standing = match (incident.work.phase, &incident.case) {
        (Phase::Close, _) => Standing::Closed,
        (Phase::Review, _) => Standing::Resolved,
        (_, Some(_)) => Standing::Created,
        (_, None) => Standing::Acknowledged,
    };
    sqlx::query(
        "INSERT INTO reference (peer, exchange, incident, towards, holder, applied, standing, peer_incident) \
         VALUES (?, ?, ?, ?, 'us', 1, ?, ?)",
    )
    .bind(open.peer.as_str())
    .bind(open.exchange.to_string())
    .bind(incident.id.0)
    .bind(Towards::Client.as_str())
    .bind(standing.as_str())
    .bind(open.create.incident.0)
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE incident SET trace_route = ? WHERE id = ?")
        .bind(to_json(&open.create.trace_route))
        .bind(incident.id.0)
        .execute(&mut *connection)
        .await?;
    let from_peer = |comment: Comment| Comment { origin: Some(open.peer.clone()), ..comment };
    let comments: Vec<Comment> = open.create.comments.into_iter().map(from_peer).collect();
    insert_comments(connection, comment_rows(incident.id, &comments)).await?;
    let line = HistoryLine {
        incident: incident.id,
        at: open.at,
        who: format!("peer {}", open.peer),
        action: Action::Linked.as_str().into(),
        exchange: Some(open.exchange),
        seq: Some(1),
        detail: format!("linked to incident {} of {}", open.create.incident, open.peer),
    };
    append(connection, vec![NewEntry::from(&line).arrived(&open.peer, &open.sha256)]).await.map(|_| ())
}
