//! Forms, links and the mails that they came from.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{Row, SqliteConnection};

use super::{SqliteStore, deposit};
use crate::case::{IncidentId, Language, PassTag, Purpose};
use crate::store::{FilledForm, Intake, PageStore, PassUse, StoreError, TakenMail, UsedPass};
use crate::telemetry::CrashPoint;

#[async_trait]
impl PageStore for SqliteStore {
    async fn take_mail(
        &self,
        mail: Intake,
        since: Timestamp,
        most: usize,
        at: Timestamp,
    ) -> Result<TakenMail, StoreError> {
        self.in_transaction(CrashPoint::MailTaken, move |connection| {
            Box::pin(take_mail(connection, mail, since, most, at))
        })
        .await
    }

    async fn intake(&self, id: i64) -> Result<Option<Intake>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        intake(&mut connection, id).await
    }

    async fn take_form(&self, form: FilledForm) -> Result<IncidentId, StoreError> {
        self.in_transaction(CrashPoint::FormTaken, move |connection| Box::pin(take_form(connection, form))).await
    }

    async fn used_pass(&self, tag: PassTag) -> Result<Option<UsedPass>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        used(&mut connection, tag).await
    }
}

async fn take_mail(
    connection: &mut SqliteConnection,
    mail: Intake,
    since: Timestamp,
    most: usize,
    at: Timestamp,
) -> Result<TakenMail, StoreError> {
    let known: Option<i64> = sqlx::query_scalar("SELECT id FROM intake WHERE message_id = ?")
        .bind(&mail.message_id)
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(known) = known {
        return Ok(TakenMail::Known(known));
    }
    let lately: i64 = sqlx::query_scalar("SELECT count(*) FROM intake WHERE sender = ? AND at > ?")
        .bind(mail.sender.as_str())
        .bind(since.to_string())
        .fetch_one(&mut *connection)
        .await?;
    if lately as usize >= most {
        return Ok(TakenMail::TooMany);
    }
    let id = sqlx::query_scalar(
        "INSERT INTO intake (message_id, at, sender, name, language, subject, text) VALUES (?, ?, ?, ?, ?, ?, ?) \
         RETURNING id",
    )
    .bind(&mail.message_id)
    .bind(at.to_string())
    .bind(mail.sender.as_str())
    .bind(&mail.name)
    .bind(mail.language.map(Language::as_str))
    .bind(&mail.subject)
    .bind(&mail.text)
    .fetch_one(&mut *connection)
    .await?;
    Ok(TakenMail::New(id))
}

async fn intake(connection: &mut SqliteConnection, id: i64) -> Result<Option<Intake>, StoreError> {
    let row = sqlx::query("SELECT message_id, sender, name, language, subject, text FROM intake WHERE id = ?")
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let sender: String = row.try_get(1)?;
    let language: Option<String> = row.try_get(3)?;
    Ok(Some(Intake {
        message_id: row.try_get(0)?,
        sender: sender.parse().map_err(|_| StoreError::Failed(format!("the sender of intake {id} does not read")))?,
        name: row.try_get(2)?,
        language: language.as_deref().and_then(Language::of_tag),
        subject: row.try_get(4)?,
        text: row.try_get(5)?,
    }))
}

async fn take_form(connection: &mut SqliteConnection, form: FilledForm) -> Result<IncidentId, StoreError> {
    let known: Option<Option<i64>> = sqlx::query_scalar("SELECT incident FROM intake WHERE id = ?")
        .bind(form.intake)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(known) = known else {
        return Err(StoreError::Failed(format!("there is no intake {}", form.intake)));
    };
    if let Some(known) = known {
        return Ok(IncidentId(known));
    }
    let at = form.used.at;
    let deposited = deposit::deposit(connection, vec![form.deposit], at).await?;
    let Some(one) = deposited.first() else { return Err(StoreError::Failed("nothing was stored".into())) };
    sqlx::query("UPDATE intake SET incident = ?, language = ? WHERE id = ?")
        .bind(one.incident.0)
        .bind(form.language.as_str())
        .bind(form.intake)
        .execute(&mut *connection)
        .await?;
    take_pass(connection, &form.used, one.incident).await?;
    Ok(one.incident)
}

async fn used(connection: &mut SqliteConnection, tag: PassTag) -> Result<Option<UsedPass>, StoreError> {
    let row = sqlx::query("SELECT purpose, incident, at FROM pass WHERE tag = ?")
        .bind(tag.to_string())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let (purpose, at): (String, String) = (row.try_get(0)?, row.try_get(2)?);
    let purpose = Purpose::ALL.into_iter().find(|one| one.as_str() == purpose);
    let (Some(purpose), Ok(at)) = (purpose, at.parse()) else {
        return Err(StoreError::Failed("a row of table pass does not read".into()));
    };
    Ok(Some(UsedPass { purpose, incident: IncidentId(row.try_get(1)?), at }))
}

/// Whether the link was still good; it is not from now on.
pub async fn take_pass(
    connection: &mut SqliteConnection,
    used: &PassUse,
    incident: IncidentId,
) -> Result<bool, StoreError> {
    let taken = sqlx::query("INSERT INTO pass (tag, purpose, incident, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(used.tag.to_string())
        .bind(used.purpose.as_str())
        .bind(incident.0)
        .bind(used.at.to_string())
        .execute(&mut *connection)
        .await?;
    Ok(taken.rows_affected() > 0)
}
