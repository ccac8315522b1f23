//! The people of a case and their mails, in rows.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::SqliteStore;
use super::history::{append_note, insert_history};
use super::write;
use crate::case::evidence::Context;
use crate::case::{
    Action, Alias, Comment, Edit, HistoryLine, IncidentId, MailAddress, Milestone, Notice, Party, Role, Tellers, teller,
};
use crate::store::history::Note;
use crate::store::mail::{
    Audience, Deliveries, DueMail, MailCursor, MailNews, MailOutcome, MailQuery, MailRow, MailStore, NewParty,
    NewsTaken, PartyAdded, StepTaken, Telling,
};
use crate::store::{StoreError, Write, Writer, Written};
use crate::telemetry::CrashPoint;

/// The most earlier mails that a mail names: the first and the last ones.
const THREAD: i64 = 10;
/// What somebody is told of a case goes out in the order in which it was written: a mail waits for the one before it.
const FIRST: &str = "NOT EXISTS (SELECT 1 FROM mail AS before WHERE before.incident = m.incident \
     AND before.address = m.address AND before.id < m.id AND before.state = 'waiting')";
/// The most mails that are tried again at once.
const RETRIED: i64 = 10_000;

#[async_trait]
impl MailStore for SqliteStore {
    async fn add_party(
        &self,
        incident: IncidentId,
        party: NewParty,
        line: HistoryLine,
    ) -> Result<PartyAdded, StoreError> {
        self.in_transaction(CrashPoint::PartyChanged, move |connection| {
            Box::pin(add_party(connection, incident, party, line))
        })
        .await
    }

    async fn remove_party(
        &self,
        incident: IncidentId,
        address: &MailAddress,
        line: HistoryLine,
    ) -> Result<bool, StoreError> {
        let address = address.as_str().to_owned();
        self.in_transaction(CrashPoint::PartyChanged, move |connection| {
            Box::pin(remove_party(connection, incident, address, line))
        })
        .await
    }

    async fn parties(&self, incident: IncidentId) -> Result<Vec<Party>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        parties(&mut connection, incident).await
    }

    async fn mail_news(&self, limit: usize) -> Result<MailNews, StoreError> {
        // One picture: a state and the comment that came with it belong together.
        let mut connection = self.readers.begin().await?;
        news(&mut connection, limit as i64).await
    }

    async fn take_mail_news(&self, taken: NewsTaken, at: Timestamp) -> Result<(), StoreError> {
        self.in_transaction(CrashPoint::MailQueued, move |connection| Box::pin(take_news(connection, taken, at))).await
    }

    async fn due_mails(&self, now: Timestamp, limit: usize) -> Result<Vec<DueMail>, StoreError> {
        let mut connection = self.readers.begin().await?;
        due(&mut connection, now, limit as i64).await
    }

    async fn waits(&self, id: i64) -> Result<bool, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let waits: Option<bool> = sqlx::query_scalar("SELECT state = 'waiting' FROM mail WHERE id = ?")
            .bind(id)
            .fetch_optional(&mut *connection)
            .await?;
        Ok(waits.unwrap_or_default())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let next: Option<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "SELECT min(next) FROM (SELECT min(next_attempt) AS next FROM mail AS m WHERE state = 'waiting' AND {FIRST} \
               UNION ALL SELECT min(due) FROM reminder_due)"
        )))
        .fetch_one(&mut *connection)
        .await?;
        next.map(instant).transpose()
    }

    async fn settle_mail(
        &self,
        id: i64,
        outcome: MailOutcome,
        line: Option<HistoryLine>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.in_transaction(CrashPoint::MailSettled, move |connection| {
            Box::pin(settle(connection, id, outcome, line, at))
        })
        .await
    }

    async fn deliveries(&self, incident: IncidentId, reasons: &[String]) -> Result<Deliveries, StoreError> {
        let mut connection = self.readers.acquire().await?;
        deliveries(&mut connection, incident, reasons).await
    }

    async fn due_reminders(&self, now: Timestamp, limit: usize) -> Result<Vec<IncidentId>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let due: Vec<i64> = sqlx::query_scalar("SELECT incident FROM reminder_due WHERE due <= ? ORDER BY due LIMIT ?")
            .bind(now.as_millisecond())
            .bind(limit as i64)
            .fetch_all(&mut *connection)
            .await?;
        Ok(due.into_iter().map(IncidentId).collect())
    }

    async fn look_again(&self, incident: IncidentId, due: Option<Timestamp>) -> Result<(), StoreError> {
        self.in_transaction(CrashPoint::ReminderMoved, move |connection| {
            Box::pin(look_again(connection, incident, due))
        })
        .await
    }

    async fn look_at_all(&self, at: Timestamp) -> Result<(), StoreError> {
        self.in_transaction(CrashPoint::ReminderMoved, move |connection| {
            Box::pin(async move {
                sqlx::query("UPDATE reminder_due SET due = min(due, ?)")
                    .bind(at.as_millisecond())
                    .execute(&mut *connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    async fn leave_to_people(&self, incident: IncidentId, reason: &str, line: HistoryLine) -> Result<(), StoreError> {
        let reason = reason.to_owned();
        self.in_transaction(CrashPoint::ReminderMoved, move |connection| {
            Box::pin(leave(connection, incident, reason, line))
        })
        .await
    }

    async fn left_to_people(&self, limit: usize) -> Result<Vec<(IncidentId, String)>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let left: Vec<(i64, String)> = sqlx::query_as(
            "SELECT l.incident, l.reason FROM left_to_people l JOIN incident i ON i.id = l.incident \
             WHERE i.state IN ('resolved', 'input_requested') ORDER BY l.incident LIMIT ?",
        )
        .bind(limit as i64)
        .fetch_all(&mut *connection)
        .await?;
        Ok(left.into_iter().map(|(incident, reason)| (IncidentId(incident), reason)).collect())
    }

    async fn take_step(&self, step: StepTaken) -> Result<Written, StoreError> {
        self.in_transaction(CrashPoint::StepTaken, move |connection| Box::pin(take_step(connection, step))).await
    }

    async fn mails(&self, query: &MailQuery) -> Result<Vec<MailRow>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let rows = sqlx::query(
            "SELECT id, incident, notice, address, state, made_at, attempts, next_attempt, settled_at, last_error \
             FROM mail WHERE (?1 IS NULL OR incident = ?1) AND (?2 IS NULL OR state = ?2) ORDER BY id DESC LIMIT ?3",
        )
        .bind(query.incident.map(|incident| incident.0))
        .bind(&query.state)
        .bind(query.limit as i64)
        .fetch_all(&mut *connection)
        .await?;
        rows.iter().map(row).collect()
    }

    async fn retry_mails(&self, mail: Option<i64>, who: &str, at: Timestamp) -> Result<u64, StoreError> {
        let who = who.to_owned();
        self.in_transaction(CrashPoint::MailSettled, move |connection| Box::pin(retry(connection, mail, who, at))).await
    }

    async fn mail_counts(&self, limit: usize) -> Result<(u64, u64), StoreError> {
        let mut connection = self.readers.acquire().await?;
        let row = sqlx::query(
            "SELECT (SELECT count(*) FROM (SELECT 1 FROM mail WHERE state = 'waiting' LIMIT ?1)), \
               (SELECT count(*) FROM (SELECT 1 FROM mail WHERE state = 'refused' LIMIT ?1))",
        )
        .bind(limit as i64)
        .fetch_one(&mut *connection)
        .await?;
        Ok((count(&row, 0)? as u64, count(&row, 1)? as u64))
    }
}

pub async fn add_party(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    party: NewParty,
    line: HistoryLine,
) -> Result<PartyAdded, StoreError> {
    let address = party.address.as_str();
    let seen = sqlx::query(
        "SELECT (SELECT count(*) FROM party WHERE incident = i.id AND removed = 0 AND address <> ?2), \
           (SELECT language FROM party_language WHERE address = ?2) \
         FROM incident i WHERE i.id = ?1",
    )
    .bind(incident.0)
    .bind(address)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(seen) = seen else { return Ok(PartyAdded::Gone) };
    if count(&seen, 0)? >= Party::LIMIT {
        return Ok(PartyAdded::TooMany);
    }
    let remembered = seen.try_get::<Option<&str>, _>(1)?.and_then(|text| text.parse().ok());
    let language = party.language.or(remembered).unwrap_or(party.otherwise);
    sqlx::query(
        "INSERT INTO party (incident, role, name, address, language) VALUES (?, ?, ?, ?, ?) \
         ON CONFLICT (incident, address) DO UPDATE SET role = excluded.role, name = excluded.name, \
           language = excluded.language, removed = 0, by_form = 0",
    )
    .bind(incident.0)
    .bind(party.role.as_str())
    .bind(&party.name)
    .bind(address)
    .bind(language.as_str())
    .execute(&mut *connection)
    .await?;
    if let Some(language) = party.language {
        sqlx::query(
            "INSERT INTO party_language VALUES (?, ?) ON CONFLICT (address) DO UPDATE SET language = excluded.language",
        )
        .bind(address)
        .bind(language.as_str())
        .execute(&mut *connection)
        .await?;
    }
    // Whoever comes to a case that waits for people is to be looked after.
    look(connection, incident, Some(line.at)).await?;
    insert_history(connection, [&line]).await?;
    Ok(PartyAdded::Added(language))
}

async fn remove_party(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    address: String,
    line: HistoryLine,
) -> Result<bool, StoreError> {
    let removed = sqlx::query("UPDATE party SET removed = 1 WHERE incident = ? AND address = ? AND removed = 0")
        .bind(incident.0)
        .bind(&address)
        .execute(&mut *connection)
        .await?;
    if removed.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query(
        "UPDATE mail SET state = 'withdrawn', settled_at = ?, last_error = 'no party of the case any more' \
         WHERE incident = ? AND address = ? AND state = 'waiting'",
    )
    .bind(line.at.as_millisecond())
    .bind(incident.0)
    .bind(&address)
    .execute(&mut *connection)
    .await?;
    let words = words(connection, incident).await?;
    let taken_back: Vec<Milestone> = Tellers::of(&words)
        .ours(&self::address(&address)?)
        .map(|word| teller::leaves(Uuid::now_v7(), line.at, word))
        .collect();
    say(connection, incident, taken_back).await?;
    look(connection, incident, Some(line.at)).await?;
    insert_history(connection, [&line]).await?;
    Ok(true)
}

/// With the other sites that write to them.
async fn parties(connection: &mut SqliteConnection, incident: IncidentId) -> Result<Vec<Party>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, role, name, address, language FROM party WHERE incident = ? AND removed = 0 ORDER BY id",
    )
    .bind(incident.0)
    .fetch_all(&mut *connection)
    .await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let words = words(connection, incident).await?;
    let tellers = Tellers::of(&words);
    let told = |party: Party| {
        let told_by = tellers.of_person(&party.address).and_then(|word| word.origin.clone());
        Party { told_by, ..party }
    };
    rows.iter().map(|row| party(row).map(&told)).collect()
}

/// What the sites of a case said of whom they write to, as [`crate::case::Incident::tellers`] reads it of the record.
async fn words(connection: &mut SqliteConnection, incident: IncidentId) -> Result<Vec<Milestone>, StoreError> {
    let rows = sqlx::query(
        "SELECT m.uid, m.n, m.fact, m.origin FROM milestone m JOIN incident i ON i.id = m.incident \
         WHERE m.incident = ?1 AND m.state IS NULL \
           AND (m.fact ->> 'notice' GLOB ?2 || '*' OR m.fact ->> 'notice' GLOB ?3 || '*') \
           AND (m.origin IS NULL OR i.phase = 'close' OR EXISTS (SELECT 1 FROM reference r \
             WHERE r.incident = m.incident AND r.peer = m.origin AND (m.came_in IS NULL OR r.exchange = m.came_in) \
               AND r.standing NOT IN ('closed', 'rejected')))",
    )
    .bind(incident.0)
    .bind(teller::TELLS)
    .bind(teller::LEAVES)
    .fetch_all(&mut *connection)
    .await?;
    let mut words = Vec::with_capacity(rows.len());
    for row in rows {
        let (id, fact) = (Uuid::try_parse(row.try_get(0)?), serde_json::from_str(row.try_get(2)?));
        let origin = row.try_get::<Option<&str>, _>(3)?.map(str::parse::<Alias>).transpose();
        // What another program wrote, and what does not read, is nobody's word.
        if let (Ok(id), Ok(fact), Ok(origin)) = (id, fact, origin) {
            let n = u32::try_from(row.try_get::<i64, _>(1)?).unwrap_or_default();
            words.push(Milestone { n, origin, ..Milestone::new(id, Timestamp::UNIX_EPOCH, fact) });
        }
    }
    Ok(words)
}

/// Tells the other sites of the case.
async fn say(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    milestones: Vec<Milestone>,
) -> Result<(), StoreError> {
    if milestones.is_empty() {
        return Ok(());
    }
    let edit = Edit { milestones, ..Edit::default() };
    write::write(connection, vec![Write { edit, ..Write::to(incident, Writer::Operator) }]).await?;
    Ok(())
}

/// Whoever is written to here is told of to the other sites, if they were not yet.
async fn claim(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    address: &MailAddress,
    at: Timestamp,
) -> Result<(), StoreError> {
    let is_elsewhere: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM reference WHERE incident = ? AND standing NOT IN ('closed', 'rejected'))",
    )
    .bind(incident.0)
    .fetch_one(&mut *connection)
    .await?;
    if !is_elsewhere {
        return Ok(());
    }
    let words = words(connection, incident).await?;
    let is_said = Tellers::of(&words).ours(address).next().is_some();
    let word = (!is_said).then(|| teller::tells(Uuid::now_v7(), at, address));
    say(connection, incident, word.into_iter().collect()).await
}

/// What waits for somebody to whom another site writes is not sent.
async fn withdraw(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    party: &Party,
    site: &Alias,
    at: Timestamp,
) -> Result<(), StoreError> {
    let reason = format!("{site} writes to them about this case");
    let left: Vec<String> = sqlx::query_scalar(
        "UPDATE mail SET state = 'withdrawn', settled_at = ?1, last_error = ?2 \
         WHERE incident = ?3 AND address = ?4 AND state = 'waiting' RETURNING notice",
    )
    .bind(at.as_millisecond())
    .bind(&reason)
    .bind(incident.0)
    .bind(party.address.as_str())
    .fetch_all(&mut *connection)
    .await?;
    let line = |notice: String| HistoryLine {
        incident,
        at,
        who: "casebridge".into(),
        action: Action::MailLeft.as_str().into(),
        exchange: None,
        seq: None,
        detail: format!("{notice} to {}: {reason}", party.address.as_str()),
    };
    let lines: Vec<HistoryLine> = left.into_iter().map(line).collect();
    insert_history(connection, &lines).await
}

async fn news(connection: &mut SqliteConnection, limit: i64) -> Result<MailNews, StoreError> {
    let row = sqlx::query("SELECT milestone, comment FROM mail_cursor").fetch_one(&mut *connection).await?;
    let since = MailCursor { milestone: row.try_get(0)?, comment: row.try_get(1)?, shown: 0 };
    let mut news = MailNews { since, cursor: since, ..MailNews::default() };
    let milestones =
        sqlx::query("SELECT incident, id, uid, n, at, fact FROM milestone WHERE id > ? ORDER BY id LIMIT ?")
            .bind(news.cursor.milestone)
            .bind(limit)
            .fetch_all(&mut *connection)
            .await?;
    news.is_news |= !milestones.is_empty();
    for row in milestones {
        let position: i64 = row.try_get(1)?;
        news.cursor.milestone = position;
        // What another program wrote, and what does not read, is told of nobody.
        let (id, at, fact) = (
            Uuid::try_parse(row.try_get(2)?),
            row.try_get::<&str, _>(4)?.parse(),
            serde_json::from_str(row.try_get(5)?),
        );
        if let (Ok(id), Ok(at), Ok(fact)) = (id, at, fact) {
            let n = u32::try_from(row.try_get::<i64, _>(3)?).unwrap_or_default();
            let milestone = Milestone { n, position, ..Milestone::new(id, at, fact) };
            news.milestones.push((IncidentId(row.try_get(0)?), milestone));
        }
    }
    let comments =
        sqlx::query("SELECT incident, id, uid, party, internal, deleted FROM comment WHERE id > ? ORDER BY id LIMIT ?")
            .bind(news.cursor.comment)
            .bind(limit)
            .fetch_all(&mut *connection)
            .await?;
    news.is_news |= !comments.is_empty();
    for row in comments {
        news.cursor.comment = row.try_get(1)?;
        let kept_back = row.try_get::<bool, _>(4)? || row.try_get::<bool, _>(5)?;
        if let (Ok(id), false) = (Uuid::try_parse(row.try_get(2)?), kept_back) {
            let comment = Comment { id, party: row.try_get(3)?, ..Comment::default() };
            news.comments.push((IncidentId(row.try_get(0)?), comment));
        }
    }
    let shown = sqlx::query(
        "SELECT c.incident, s.id, c.uid, c.party FROM comment_shown s JOIN comment c ON c.id = s.comment \
         WHERE c.deleted = 0 ORDER BY s.id LIMIT ?",
    )
    .bind(limit)
    .fetch_all(&mut *connection)
    .await?;
    news.is_news |= !shown.is_empty();
    for row in shown {
        news.cursor.shown = row.try_get(1)?;
        if let Ok(id) = Uuid::try_parse(row.try_get(2)?) {
            let comment = Comment { id, party: row.try_get(3)?, ..Comment::default() };
            news.comments.push((IncidentId(row.try_get(0)?), comment));
        }
    }
    // A client's incident is open once this site has taken it; one that came by a form, once somebody here works on it.
    let ungreeted = sqlx::query(
        "SELECT p.incident, p.address FROM party p JOIN incident i ON i.id = p.incident \
         WHERE p.greeted = 0 AND p.removed = 0 AND i.phase <> 'close' AND (i.client IS NULL OR i.case_id IS NOT NULL) \
           AND (i.case_id IS NOT NULL OR NOT EXISTS (SELECT 1 FROM intake WHERE incident = i.id) \
             OR EXISTS (SELECT 1 FROM reference WHERE incident = i.id) \
             OR EXISTS (SELECT 1 FROM milestone WHERE incident = i.id AND state <> 'canceled')) \
         ORDER BY p.id LIMIT ?",
    )
    .bind(limit)
    .fetch_all(&mut *connection)
    .await?;
    news.is_news |= !ungreeted.is_empty();
    for row in ungreeted {
        news.ungreeted.push((IncidentId(row.try_get(0)?), address(row.try_get(1)?)?));
    }
    Ok(news)
}

async fn take_news(connection: &mut SqliteConnection, taken: NewsTaken, at: Timestamp) -> Result<(), StoreError> {
    if let Some(since) = taken.since {
        let row = sqlx::query("SELECT milestone, comment FROM mail_cursor").fetch_one(&mut *connection).await?;
        if (row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?) != (since.milestone, since.comment) {
            return Ok(());
        }
    }
    for (incident, kept) in &taken.moved_on {
        let passing: Vec<&str> = Notice::ALL.into_iter().filter(|one| one.passes()).map(Notice::as_str).collect();
        // What was written with a request is news all the same.
        sqlx::query(
            "UPDATE mail SET \
               notice = iif(about ->> '$.comments' IS NULL, notice, 'comment'), about = json_remove(about, '$.state'), \
               state = iif(about ->> '$.comments' IS NULL, 'withdrawn', state), \
               settled_at = iif(about ->> '$.comments' IS NULL, ?1, settled_at), \
               last_error = iif(about ->> '$.comments' IS NULL, 'the case went on', last_error) \
             WHERE incident = ?2 AND state = 'waiting' AND notice IN (SELECT value FROM json_each(?3)) \
               AND (?4 IS NULL OR substr(reason, 1, length(?4)) <> ?4)",
        )
        .bind(at.as_millisecond())
        .bind(incident.0)
        .bind(serde_json::json!(passing).to_string())
        .bind(kept)
        .execute(&mut *connection)
        .await?;
    }
    for telling in &taken.tellings {
        tell(connection, telling, at).await?;
    }
    for incident in &taken.look {
        for party in parties(connection, *incident).await? {
            if let Some(site) = &party.told_by {
                withdraw(connection, *incident, &party, site, at).await?;
            }
        }
        look(connection, *incident, Some(at)).await?;
    }
    sqlx::query("UPDATE mail_cursor SET milestone = max(milestone, ?), comment = max(comment, ?)")
        .bind(taken.cursor.milestone)
        .bind(taken.cursor.comment)
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM comment_shown WHERE id <= ?").bind(taken.cursor.shown).execute(&mut *connection).await?;
    Ok(())
}

/// The comments of a telling that the mail which stands under its reason does not have, for one person: a request is written as
/// soon as it is seen, and what was said with it may come to be read later.
async fn left_over(
    connection: &mut SqliteConnection,
    telling: &Telling,
    party: &Party,
) -> Result<Option<Telling>, StoreError> {
    if telling.notice == Notice::Comment || telling.about.comments.is_empty() {
        return Ok(None);
    }
    // And those that they wrote themselves.
    let known: Vec<String> = sqlx::query_scalar(
        "SELECT replace(c.value, '-', '') FROM mail m, json_each(m.about, '$.comments') c \
         WHERE m.incident = ?1 AND m.reason = ?2 AND m.address = ?3 \
         UNION ALL SELECT uid FROM comment WHERE incident = ?1 AND party = ?4",
    )
    .bind(telling.incident.0)
    .bind(&telling.reason)
    .bind(party.address.as_str())
    .bind(party.id)
    .fetch_all(&mut *connection)
    .await?;
    let is_new = |id: &&Uuid| !known.contains(&id.simple().to_string());
    Ok(telling.comments_apart(telling.about.comments.iter().filter(is_new).copied().collect(), party))
}

/// Writes a mail for each of the case's people who is to have it; what was written for the reason stays as it is. Whoever was
/// taken out and comes again is told after all. To whom another site writes that mail is withdrawn at once. Whom somebody else has named on a form is told nothing before the case is open,
/// and then what was said until now: else anybody could write to anybody by this site.
pub async fn tell(connection: &mut SqliteConnection, telling: &Telling, at: Timestamp) -> Result<(), StoreError> {
    let kept_out = kept_out(connection, telling.incident).await?;
    for party in parties(connection, telling.incident).await? {
        let is_first = kept_out.contains(&party.id);
        if is_first && telling.notice != Notice::Opened {
            continue;
        }
        let is_meant = match &telling.audience {
            Audience::All => true,
            Audience::Except(author) => party.id != *author,
            Audience::Only(address) => party.address.as_str().eq_ignore_ascii_case(address.as_str()),
        };
        if !is_meant {
            continue;
        }
        let mut about = telling.about.clone();
        if is_first {
            about.comments = held_back(connection, telling.incident, &party).await?;
        }
        let written = sqlx::query(
            "INSERT INTO mail \
               (incident, reason, notice, about, party, role, name, address, language, made_at, next_attempt) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10) \
             ON CONFLICT (coalesce(incident, 0), reason, address) DO UPDATE SET state = 'waiting', \
               made_at = excluded.made_at, attempts = 0, next_attempt = excluded.next_attempt, settled_at = NULL, last_error = NULL \
             WHERE mail.state = 'withdrawn' AND ?11",
        )
        .bind(telling.incident.0)
        .bind(&telling.reason)
        .bind(telling.notice.as_str())
        .bind(serde_json::json!(about).to_string())
        .bind(party.id)
        .bind(party.role.as_str())
        .bind(&party.name)
        .bind(party.address.as_str())
        .bind(party.language.as_str())
        .bind(at.as_millisecond())
        .bind(party.told_by.is_none())
        .execute(&mut *connection)
        .await?;
        if written.rows_affected() == 0
            && let Some(apart) = left_over(connection, telling, &party).await?
        {
            Box::pin(tell(connection, &apart, at)).await?;
        }
        if let Some(site) = &party.told_by {
            withdraw(connection, telling.incident, &party, site, at).await?;
        } else {
            claim(connection, telling.incident, &party.address, at).await?;
        }
        if telling.notice == Notice::Opened {
            sqlx::query("UPDATE party SET greeted = 1 WHERE incident = ? AND address = ?")
                .bind(telling.incident.0)
                .bind(party.address.as_str())
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(())
}

/// The people, by number, whom somebody else has named on a form and who were not told yet that their case is open.
async fn kept_out(connection: &mut SqliteConnection, incident: IncidentId) -> Result<Vec<i64>, StoreError> {
    let numbers = sqlx::query_scalar("SELECT id FROM party WHERE incident = ? AND by_form = 1 AND greeted = 0");
    Ok(numbers.bind(incident.0).fetch_all(&mut *connection).await?)
}

/// The comments that all others were told of so far. What is news still is told to everybody.
async fn held_back(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    party: &Party,
) -> Result<Vec<Uuid>, StoreError> {
    let said: Vec<String> = sqlx::query_scalar(
        "SELECT uid FROM comment WHERE incident = ?1 AND internal = 0 AND deleted = 0 AND party IS NOT ?2 \
           AND id <= (SELECT comment FROM mail_cursor) AND id NOT IN (SELECT comment FROM comment_shown) ORDER BY id",
    )
    .bind(incident.0)
    .bind(party.id)
    .fetch_all(&mut *connection)
    .await?;
    Ok(said.iter().filter_map(|uid| Uuid::try_parse(uid).ok()).collect())
}

/// What became of the last mail of each person who is in the case and written to here, of those that were written under any of these reasons.
pub async fn deliveries(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    reasons: &[String],
) -> Result<Deliveries, StoreError> {
    let elsewhere = parties(connection, incident).await?.into_iter().filter(|party| party.told_by.is_some());
    let elsewhere: Vec<i64> = elsewhere.map(|party| party.id).collect();
    let row = sqlx::query(
        "WITH last AS (SELECT p.role AS role, m.state AS state, m.settled_at AS settled_at, m.about ->> '$.within' AS within \
           FROM party p LEFT JOIN mail m ON m.id = \
           (SELECT max(id) FROM mail WHERE coalesce(incident, 0) = p.incident AND address = p.address \
              AND reason IN (SELECT value FROM json_each(?2))) \
           WHERE p.incident = ?1 AND p.removed = 0 AND p.id NOT IN (SELECT value FROM json_each(?3))) \
         SELECT count(*) FILTER (WHERE state = 'waiting'), count(*) FILTER (WHERE state = 'sent'), \
           count(*) FILTER (WHERE state = 'refused'), max(settled_at) FILTER (WHERE state = 'sent'), \
           count(*) FILTER (WHERE state IS NULL OR state = 'withdrawn'), max(within), \
           count(DISTINCT role) - count(DISTINCT role) FILTER (WHERE state = 'sent') FROM last",
    )
    .bind(incident.0)
    .bind(serde_json::json!(reasons).to_string())
    .bind(serde_json::json!(elsewhere).to_string())
    .fetch_one(&mut *connection)
    .await?;
    Ok(Deliveries {
        waiting: count(&row, 0)?,
        sent: count(&row, 1)?,
        refused: count(&row, 2)?,
        last_sent: row.try_get::<Option<i64>, _>(3)?.map(instant).transpose()?,
        missing: count(&row, 4)?,
        within: row.try_get::<Option<i64>, _>(5)?.map(|within| Duration::from_millis(within.unsigned_abs())),
        unreached: count(&row, 6)?,
    })
}

async fn due(connection: &mut SqliteConnection, now: Timestamp, limit: i64) -> Result<Vec<DueMail>, StoreError> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT coalesce(party, 0), role, name, address, language, id, incident, notice, about, made_at, attempts \
         FROM mail AS m WHERE state = 'waiting' AND next_attempt <= ? AND {FIRST} ORDER BY next_attempt, id LIMIT ?"
    )))
    .bind(now.as_millisecond())
    .bind(limit)
    .fetch_all(&mut *connection)
    .await?;
    let mut due = Vec::with_capacity(rows.len());
    for row in rows {
        let (id, incident): (i64, Option<i64>) = (row.try_get(5)?, row.try_get(6)?);
        let thread: Vec<(i64, Option<String>)> = sqlx::query_as(
            "SELECT id, message FROM (SELECT id, message FROM mail WHERE incident = ?1 AND address = ?2 AND id < ?3 AND state = 'sent' \
               ORDER BY id LIMIT 1) \
             UNION SELECT id, message FROM (SELECT id, message FROM mail WHERE incident = ?1 AND address = ?2 AND id < ?3 \
               AND state = 'sent' ORDER BY id DESC LIMIT ?4) ORDER BY 1",
        )
        .bind(incident)
        .bind(row.try_get::<&str, _>(3)?)
        .bind(id)
        .bind(THREAD - 1)
        .fetch_all(&mut *connection)
        .await?;
        let notice: &str = row.try_get(7)?;
        due.push(DueMail {
            id,
            incident: incident.map(IncidentId),
            notice: Notice::parse(notice).ok_or_else(|| unreadable("notice", notice))?,
            about: serde_json::from_str(row.try_get(8)?).map_err(|fault| unreadable("about", &fault.to_string()))?,
            to: party(&row)?,
            made_at: instant(row.try_get(9)?)?,
            attempts: u32::try_from(row.try_get::<i64, _>(10)?).unwrap_or(u32::MAX),
            thread,
        });
    }
    Ok(due)
}

async fn settle(
    connection: &mut SqliteConnection,
    id: i64,
    outcome: MailOutcome,
    line: Option<HistoryLine>,
    at: Timestamp,
) -> Result<(), StoreError> {
    let (state, reason, next, name) = match outcome {
        MailOutcome::Sent { name } => ("sent", None, None, Some(name)),
        MailOutcome::Later { next, reason } => ("waiting", Some(reason), Some(next), None),
        MailOutcome::Refused { reason } => ("refused", Some(reason), None, None),
        MailOutcome::Withdrawn { reason } => ("withdrawn", Some(reason), None, None),
    };
    let settled: Option<Option<i64>> = sqlx::query_scalar(
        "UPDATE mail SET state = ?2, last_error = ?3, attempts = attempts + (?2 IN ('waiting', 'refused')), \
           next_attempt = coalesce(?4, next_attempt), settled_at = iif(?2 = 'waiting', NULL, ?5), \
           message = coalesce(?6, message) \
         WHERE id = ?1 AND (state = 'waiting' OR state = 'withdrawn' AND ?2 = 'sent') RETURNING incident",
    )
    .bind(id)
    .bind(state)
    .bind(reason)
    .bind(next.map(Timestamp::as_millisecond))
    .bind(at.as_millisecond())
    .bind(name)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(incident) = settled else { return Ok(()) };
    if let (Some(incident), "sent" | "refused") = (incident, state) {
        // The next step counts from here.
        look(connection, IncidentId(incident), Some(at)).await?;
    }
    insert_history(connection, &line).await
}

async fn retry(
    connection: &mut SqliteConnection,
    mail: Option<i64>,
    who: String,
    at: Timestamp,
) -> Result<u64, StoreError> {
    // The time for which it is tried begins anew.
    let rows: Vec<(i64, Option<i64>, String, String)> = sqlx::query_as(
        "UPDATE mail SET state = 'waiting', attempts = 0, made_at = ?1, next_attempt = ?1, settled_at = NULL \
         WHERE id IN (SELECT m.id FROM mail m LEFT JOIN party p ON p.id = m.party WHERE m.state = 'refused' \
             AND (?2 IS NULL OR m.id = ?2) AND (m.party IS NULL OR p.removed = 0) ORDER BY m.id LIMIT ?3) \
         RETURNING id, incident, notice, address",
    )
    .bind(at.as_millisecond())
    .bind(mail)
    .bind(RETRIED)
    .fetch_all(&mut *connection)
    .await?;
    for (id, incident, notice, address) in &rows {
        let detail = format!("mail {id} ({notice}) to {address} is tried again");
        let Some(incident) = incident else {
            let context = Context::default();
            let note = Note { at, who: who.clone(), action: Action::MailRetried, peer: None, detail, context };
            append_note(connection, &note).await?;
            continue;
        };
        let line = HistoryLine {
            incident: IncidentId(*incident),
            at,
            who: who.clone(),
            action: Action::MailRetried.as_str().into(),
            exchange: None,
            seq: None,
            detail,
        };
        insert_history(connection, [&line]).await?;
        look(connection, IncidentId(*incident), Some(at)).await?;
    }
    Ok(rows.len() as u64)
}

async fn look(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    due: Option<Timestamp>,
) -> Result<(), StoreError> {
    match due {
        Some(due) => sqlx::query(
            "INSERT INTO reminder_due VALUES (?, ?) ON CONFLICT (incident) DO UPDATE SET due = excluded.due",
        )
        .bind(incident.0)
        .bind(due.as_millisecond()),
        None => sqlx::query("DELETE FROM reminder_due WHERE incident = ?").bind(incident.0),
    }
    .execute(&mut *connection)
    .await?;
    Ok(())
}

async fn look_again(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    due: Option<Timestamp>,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM left_to_people WHERE incident = ?").bind(incident.0).execute(&mut *connection).await?;
    look(connection, incident, due).await
}

async fn leave(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    reason: String,
    line: HistoryLine,
) -> Result<(), StoreError> {
    let said = sqlx::query(
        "INSERT INTO left_to_people VALUES (?, ?) ON CONFLICT (incident) DO UPDATE SET reason = excluded.reason \
         WHERE reason <> excluded.reason",
    )
    .bind(incident.0)
    .bind(&reason)
    .execute(&mut *connection)
    .await?;
    if said.rows_affected() > 0 {
        insert_history(connection, [&line]).await?;
    }
    look(connection, incident, None).await
}

async fn take_step(connection: &mut SqliteConnection, step: StepTaken) -> Result<Written, StoreError> {
    let incident = step.write.incident;
    let last: Option<i64> = sqlx::query_scalar("SELECT max(id) FROM milestone WHERE incident = ?")
        .bind(incident.0)
        .fetch_one(&mut *connection)
        .await?;
    if last.unwrap_or_default() != step.seen {
        return Ok(Written::Stale);
    }
    let written = write::write(connection, vec![step.write]).await?.into_iter().next().unwrap_or(Written::Gone);
    if written == Written::Done {
        if let Some(telling) = &step.telling {
            tell(connection, telling, step.at).await?;
        }
        look(connection, incident, Some(step.at)).await?;
    }
    Ok(written)
}

/// The first columns: number, role, name, address and language.
fn party(row: &SqliteRow) -> Result<Party, StoreError> {
    let (role, language): (&str, &str) = (row.try_get(1)?, row.try_get(4)?);
    Ok(Party {
        id: row.try_get(0)?,
        role: Role::parse(role).ok_or_else(|| unreadable("role", role))?,
        name: row.try_get(2)?,
        address: address(row.try_get(3)?)?,
        language: language.parse().map_err(|_| unreadable("language", language))?,
        told_by: None,
    })
}

fn row(row: &SqliteRow) -> Result<MailRow, StoreError> {
    let state: String = row.try_get(4)?;
    let next = row.try_get::<i64, _>(7)?;
    Ok(MailRow {
        id: row.try_get(0)?,
        incident: row.try_get::<Option<i64>, _>(1)?.map(IncidentId),
        notice: row.try_get(2)?,
        address: row.try_get(3)?,
        made_at: instant(row.try_get(5)?)?,
        attempts: u32::try_from(row.try_get::<i64, _>(6)?).unwrap_or(u32::MAX),
        next_attempt: if state == "waiting" { Some(instant(next)?) } else { None },
        settled_at: row.try_get::<Option<i64>, _>(8)?.map(instant).transpose()?,
        last_error: row.try_get(9)?,
        state,
    })
}

fn address(text: &str) -> Result<MailAddress, StoreError> {
    text.parse().map_err(|_| unreadable("address", "no address"))
}

fn count(row: &SqliteRow, column: usize) -> Result<usize, StoreError> {
    Ok(usize::try_from(row.try_get::<i64, _>(column)?).unwrap_or_default())
}

fn instant(milliseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(milliseconds).map_err(|fault| unreadable("instant", &fault.to_string()))
}

fn unreadable(what: &str, why: &str) -> StoreError {
    StoreError::Failed(format!("a mail's {what} does not read: {why}"))
}
