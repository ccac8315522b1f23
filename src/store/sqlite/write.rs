//! Write-back: many records in one transaction, a handful of statements whatever their number.

use std::collections::HashMap;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use super::columns::revises;
use super::history::{NewEntry, append};
use super::read::json as to_json;
use super::rows::{self, Cell};
use super::values::{Values, Wanted};
use super::{cases, columns, contacts, deadline, mail, page, sharing};
use crate::case::{Comment, ExchangeId, Holder, IncidentId, Milestone};
use crate::store::{ReferenceWrite, StoreError, Write, Written};

pub async fn write(connection: &mut SqliteConnection, writes: Vec<Write>) -> Result<Vec<Written>, StoreError> {
    let (mut outcomes, mut values) = outcomes(connection, &writes).await?;
    check_people(connection, &writes, &mut outcomes).await?;
    take_passes(connection, &writes, &mut outcomes).await?;
    let chosen: Vec<&Write> = writes
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| **outcome == Written::Done)
        .map(|(write, _)| write)
        .collect();
    if chosen.is_empty() {
        return Ok(outcomes);
    }
    // A record that is written twice in one call has its edits made one after the other.
    let mut rounds: Vec<Vec<&Write>> = Vec::new();
    let mut seen: HashMap<IncidentId, usize> = HashMap::new();
    for write in chosen {
        let round = seen.entry(write.incident).or_insert(0);
        match rounds.get_mut(*round) {
            Some(writes) => writes.push(write),
            None => rounds.push(vec![write]),
        }
        *round += 1;
    }
    for round in rounds {
        let contexts: Vec<_> =
            round.iter().map(|write| values.entry(write.incident).or_default().follow(write)).collect();
        columns::update(connection, &round).await?;
        upsert_references(connection, &round).await?;
        yield_comments(connection, &round).await?;
        let comments = round.iter().flat_map(|write| comment_rows(write.incident, &write.edit.comments)).collect();
        insert_comments(connection, comments).await?;
        insert_milestones(connection, &round).await?;
        let promised = round.iter().flat_map(|write| deadline::rows(write.incident, None, &write.edit.deadlines));
        deadline::upsert(connection, promised.collect()).await?;
        for write in &round {
            if let (Some(reference), false) = (&write.reference, write.attachments.is_empty()) {
                let (peer, exchange) = (&reference.peer, reference.exchange);
                sharing::announce(connection, write.incident, peer, exchange, &write.attachments).await?;
            }
            if let Some(instance) = &write.instance {
                cases::edit(connection, write.incident, instance).await?;
            }
        }
        let people = contacts::take(connection, &round.iter().map(|write| write.telling()).collect::<Vec<_>>()).await?;
        let mut entries = Vec::with_capacity(round.len());
        for ((write, context), told) in round.iter().zip(contexts).zip(people) {
            entries.extend(NewEntry::of(write, &context.with(&told.context)));
            entries.extend(told.differences);
        }
        append(connection, entries).await?;
    }
    deadline::refresh(connection).await?;
    Ok(outcomes)
}

/// Holds back what was decided while the people of a case were others, or told otherwise.
async fn check_people(
    connection: &mut SqliteConnection,
    writes: &[Write],
    outcomes: &mut [Written],
) -> Result<(), StoreError> {
    for (write, outcome) in writes.iter().zip(outcomes) {
        if let (Some(people), Written::Done) = (&write.people, *outcome)
            && mail::deliveries(connection, write.incident, &people.reasons).await? != people.deliveries
        {
            *outcome = Written::Stale;
        }
    }
    Ok(())
}

/// Takes the links of those writes that may go ahead; one whose link was used before may not.
async fn take_passes(
    connection: &mut SqliteConnection,
    writes: &[Write],
    outcomes: &mut [Written],
) -> Result<(), StoreError> {
    for (write, outcome) in writes.iter().zip(outcomes) {
        if let (Some(used), Written::Done) = (&write.pass, *outcome)
            && !page::take_pass(connection, used, write.incident).await?
        {
            *outcome = Written::Used;
        }
    }
    Ok(())
}

/// Which of the writes may go ahead, and the records as they stand before them, seen under the write lock.
async fn outcomes(
    connection: &mut SqliteConnection,
    writes: &[Write],
) -> Result<(Vec<Written>, HashMap<IncidentId, Values>), StoreError> {
    let keys: Vec<_> = writes
        .iter()
        .map(|write| {
            let reference = write.reference.as_ref();
            (write.incident, reference.map(|one| &one.peer), reference.map(|one| one.exchange))
        })
        .collect();
    // Old values are read where a line of history may need them.
    let tells = writes.iter().any(|write| !write.history.is_empty() && (revises(write) || write.reference.is_some()));
    let wanted = tells.then(|| Wanted::of(writes));
    let columns = wanted.as_ref().map(Wanted::columns).unwrap_or_default();
    let statement = format!(
        "SELECT j.key, i.revision, r.applied{columns} FROM jsonb_each(?) j \
         JOIN incident i ON i.id = j.value ->> 0 \
         LEFT JOIN reference r ON r.peer = j.value ->> 1 AND r.exchange = j.value ->> 2"
    );
    // Made of literals only.
    let rows = sqlx::query(AssertSqlSafe(statement)).bind(to_json(&keys)).fetch_all(&mut *connection).await?;
    let mut values: HashMap<IncidentId, Values> = HashMap::new();
    let mut outcomes = vec![Written::Gone; writes.len()];
    // As earlier writes of this very call will have left them.
    let mut revisions: HashMap<IncidentId, i64> = HashMap::new();
    let mut counts: HashMap<(&str, ExchangeId), u64> = HashMap::new();
    let mut found: Vec<Option<(i64, Option<i64>)>> = vec![None; writes.len()];
    for row in rows {
        let index = row.try_get::<i64, _>(0)? as usize;
        if let Some(slot) = found.get_mut(index) {
            *slot = Some((row.try_get(1)?, row.try_get(2)?));
        }
        if let (Some(write), Some(wanted)) = (writes.get(index), &wanted) {
            values.entry(write.incident).or_default().read(&row, wanted, write.reference.as_ref())?;
        }
    }
    for ((write, found), outcome) in writes.iter().zip(found).zip(&mut outcomes) {
        let Some((revision, applied)) = found else { continue };
        let revision = revisions.entry(write.incident).or_insert(revision);
        let count = write.reference.as_ref().map(|reference| {
            let applied = applied.unwrap_or(0).max(0) as u64;
            (reference, counts.entry((reference.peer.as_str(), reference.exchange)).or_insert(applied))
        });
        *outcome = match &count {
            Some((reference, applied)) if reference.applies.is_some_and(|seq| seq <= **applied) => {
                Written::AlreadyApplied
            }
            _ if write.expected_revision.is_some_and(|expected| expected != *revision) => Written::Stale,
            _ => Written::Done,
        };
        if *outcome == Written::Done {
            *revision += i64::from(revises(write));
            if let Some((reference, applied)) = count {
                *applied = reference.recount.unwrap_or((*applied).max(reference.applies.unwrap_or(0)));
            }
        }
    }
    Ok((outcomes, values))
}

async fn upsert_references(connection: &mut SqliteConnection, writes: &[&Write]) -> Result<(), StoreError> {
    let references = || writes.iter().filter_map(|write| Some((write.incident, write.reference.as_ref()?)));
    let row = |(incident, one): (IncidentId, &ReferenceWrite)| -> [Cell; 8] {
        [
            one.peer.as_str().into(),
            one.exchange.to_string().into(),
            incident.0.into(),
            one.towards.as_str().into(),
            one.transaction.as_ref().map(ToString::to_string).into(),
            one.recount.or(one.applies).unwrap_or(0).into(),
            one.standing.as_str().into(),
            one.holder.unwrap_or(Holder::at_first(one.towards)).as_str().into(),
        ]
    };
    rows::execute(
        connection,
        "INSERT INTO reference (peer, exchange, incident, towards, transaction_id, applied, standing, holder) VALUES",
        "ON CONFLICT (peer, exchange) DO UPDATE SET \
           transaction_id = coalesce(excluded.transaction_id, transaction_id), \
           applied = max(applied, excluded.applied), \
           standing = excluded.standing",
        references().map(row).collect(),
    )
    .await?;
    let set = |one: &&ReferenceWrite| one.recount.is_some() || one.holder.is_some();
    let rows: Vec<_> = references()
        .map(|(_, one)| one)
        .filter(set)
        .map(|one| (&one.peer, one.exchange, one.recount, one.holder.map(Holder::as_str)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "WITH j (v) AS MATERIALIZED (SELECT value FROM jsonb_each(?1)) \
         UPDATE reference SET applied = coalesce(v ->> 2, applied), holder = coalesce(v ->> 3, holder) \
         FROM j WHERE peer = v ->> 0 AND exchange = v ->> 1",
    )
    .bind(to_json(&rows))
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// What [`insert_comments`] takes.
pub fn comment_rows(incident: IncidentId, comments: &[Comment]) -> Vec<Value> {
    let row = |comment: &Comment| {
        let uid = comment.id.simple().to_string();
        json!([
            uid,
            incident,
            comment.author,
            comment.written_at,
            comment.text,
            comment.origin,
            comment.language,
            i64::from(comment.internal),
            comment.edits,
            i64::from(comment.deleted),
            i64::from(comment.initiator),
            comment.party,
            comment.came_in
        ])
    };
    comments.iter().map(row).collect()
}

/// A comment that is there already stays as it is (C-31), unless its own author edited it since.
pub async fn insert_comments(connection: &mut SqliteConnection, rows: Vec<Value>) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "WITH j (v) AS MATERIALIZED (SELECT value FROM jsonb_each(?1)) \
         INSERT INTO comment (uid, incident, author, written_at, text, origin, language, internal, edits, deleted, \
           initiator, party, came_in) \
         SELECT v ->> 0, v ->> 1, v ->> 2, v ->> 3, v ->> 4, v ->> 5, v ->> 6, v ->> 7, v ->> 8, v ->> 9, v ->> 10, v ->> 11, \
           v ->> 12 FROM j \
         WHERE true ON CONFLICT (incident, uid) DO UPDATE SET text = excluded.text, language = excluded.language, \
           internal = excluded.internal, edits = excluded.edits, deleted = excluded.deleted \
         WHERE excluded.edits > comment.edits AND excluded.origin IS comment.origin",
    )
    .bind(to_json(&rows))
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Comments of a peer's that are to give way count no edit any more, so that the ones that follow replace them.
async fn yield_comments(connection: &mut SqliteConnection, writes: &[&Write]) -> Result<(), StoreError> {
    let row = |incident: IncidentId, one: &Comment| json!([incident, one.id.simple().to_string(), one.origin]);
    let of = |write: &&Write| {
        let given = write.edit.comments.iter().filter(|one| one.origin.is_some() && write.yields.contains(&one.id));
        given.map(|one| row(write.incident, one)).collect::<Vec<_>>()
    };
    let rows: Vec<Value> = writes.iter().flat_map(of).collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "WITH j (v) AS MATERIALIZED (SELECT value FROM jsonb_each(?1)) \
         UPDATE comment SET edits = -1 FROM j WHERE incident = v ->> 0 AND uid = v ->> 1 AND origin = v ->> 2",
    )
    .bind(to_json(&rows))
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// A milestone that is there already stays as it is.
async fn insert_milestones(connection: &mut SqliteConnection, writes: &[&Write]) -> Result<(), StoreError> {
    let row = |incident: IncidentId, one: &Milestone| {
        let fact = json!(one.fact).to_string();
        json!([incident, one.id.simple().to_string(), one.n, one.at, fact, one.origin, one.came_in])
    };
    let of = |write: &&Write| write.edit.milestones.iter().map(|one| row(write.incident, one)).collect::<Vec<_>>();
    let rows: Vec<Value> = writes.iter().flat_map(of).collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "WITH j (v) AS MATERIALIZED (SELECT value FROM jsonb_each(?1)) \
         INSERT INTO milestone (incident, uid, n, at, fact, origin, came_in) \
         SELECT v ->> 0, v ->> 1, v ->> 2, v ->> 3, v ->> 4, v ->> 5, v ->> 6 FROM j \
         WHERE true ON CONFLICT (incident, uid) DO NOTHING",
    )
    .bind(to_json(&rows))
    .execute(&mut *connection)
    .await?;
    Ok(())
}
