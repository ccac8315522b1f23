//! Forms, links and the mails that they came from.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{Row, SqliteConnection};

use super::history::insert_history;
use super::{SqliteStore, deposit, mail};
use crate::case::{Action, Deposit, HistoryLine, IncidentId, Language, Notice, Party, PassTag, Purpose, Role, party};
use crate::store::mail::{About, Audience, NewParty, Telling};
use crate::store::{FilledForm, Intake, LinkRule, PageStore, PassUse, SentMail, StoreError, TakenMail, UsedPass};
use crate::telemetry::CrashPoint;

#[async_trait]
impl PageStore for SqliteStore {
    async fn take_mail(&self, mail: Intake, rule: LinkRule, at: Timestamp) -> Result<TakenMail, StoreError> {
        self.in_transaction(CrashPoint::MailTaken, move |connection| Box::pin(take_mail(connection, mail, rule, at)))
            .await
    }

    async fn intake(&self, id: i64) -> Result<Option<Intake>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        intake(&mut connection, id).await
    }

    async fn take_form(&self, form: FilledForm) -> Result<IncidentId, StoreError> {
        self.in_transaction(CrashPoint::FormTaken, move |connection| Box::pin(take_form(connection, form))).await
    }

    async fn party(&self, incident: IncidentId, party: i64) -> Result<Option<Party>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        party_of(&mut connection, incident, party).await
    }

    async fn sent_mails(&self, mails: &[i64]) -> Result<Vec<SentMail>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let mut sent = Vec::new();
        for mail in mails {
            let row: Option<(Option<i64>, Option<i64>, String, String)> =
                sqlx::query_as("SELECT incident, party, address, reason FROM mail WHERE id = ?")
                    .bind(mail)
                    .fetch_optional(&mut *connection)
                    .await?;
            let Some((incident, party, address, reason)) = row else { continue };
            let address =
                address.parse().map_err(|_| StoreError::Failed(format!("the address of mail {mail} does not read")))?;
            sent.push(SentMail { about: incident.map(IncidentId).zip(party), address, reason });
        }
        Ok(sent)
    }

    async fn mail_bounced(&self, mail: i64, at: Timestamp) -> Result<bool, StoreError> {
        self.in_transaction(CrashPoint::MailTaken, move |connection| Box::pin(bounced(connection, mail, at))).await
    }

    async fn used_pass(&self, tag: PassTag) -> Result<Option<UsedPass>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        used(&mut connection, tag).await
    }
}

async fn take_mail(
    connection: &mut SqliteConnection,
    mail: Intake,
    rule: LinkRule,
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
        .bind(rule.since.to_string())
        .fetch_one(&mut *connection)
        .await?;
    if lately as usize >= rule.most {
        return Ok(TakenMail::TooMany);
    }
    let of_all: i64 = sqlx::query_scalar("SELECT count(*) FROM intake WHERE inbox = ? AND at > ?")
        .bind(&mail.inbox)
        .bind(rule.since.to_string())
        .fetch_one(&mut *connection)
        .await?;
    if of_all as usize >= rule.most_of_all {
        return Ok(TakenMail::TooManyOfAll);
    }
    let id = sqlx::query_scalar(
        "INSERT INTO intake (message_id, inbox, at, sender, name, language, subject, text, answerable) \
         VALUES (?1, ?2, ?3, ?4, ?5, coalesce((SELECT language FROM party_language WHERE address = ?4), ?6), ?7, ?8, ?9) \
         RETURNING id",
    )
    .bind(&mail.message_id)
    .bind(&mail.inbox)
    .bind(at.to_string())
    .bind(mail.sender.as_str())
    .bind(&mail.name)
    .bind(mail.language.map(Language::as_str))
    .bind(&mail.subject)
    .bind(&mail.text)
    .bind(&mail.answerable)
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO mail (reason, notice, about, role, name, address, language, made_at, next_attempt) \
         VALUES ('form ' || ?1, ?2, ?3, ?4, ?5, ?6, \
           coalesce((SELECT language FROM intake WHERE id = ?1), ?7), ?8, ?8)",
    )
    .bind(id)
    .bind(Notice::Form.as_str())
    .bind(serde_json::json!(About { intake: Some(id), ..About::default() }).to_string())
    .bind(Role::default().as_str())
    .bind(mail.name.as_deref().unwrap_or_default())
    .bind(mail.sender.as_str())
    .bind(rule.otherwise.as_str())
    .bind(at.as_millisecond())
    .execute(&mut *connection)
    .await?;
    Ok(TakenMail::New(id))
}

async fn intake(connection: &mut SqliteConnection, id: i64) -> Result<Option<Intake>, StoreError> {
    let row = sqlx::query(
        "SELECT message_id, sender, name, language, subject, text, inbox, answerable FROM intake WHERE id = ?",
    )
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
        inbox: row.try_get(6)?,
        answerable: row.try_get(7)?,
    }))
}

async fn take_form(connection: &mut SqliteConnection, form: FilledForm) -> Result<IncidentId, StoreError> {
    let Some(mail) = intake(connection, form.intake).await? else {
        return Err(StoreError::Failed(format!("there is no intake {}", form.intake)));
    };
    let known: Option<i64> = sqlx::query_scalar("SELECT incident FROM intake WHERE id = ?")
        .bind(form.intake)
        .fetch_one(&mut *connection)
        .await?;
    if let Some(known) = known {
        return Ok(IncidentId(known));
    }
    let at = form.used.at;
    let who = party::who(Role::Customer, mail.name.as_deref().unwrap_or_default());
    let handed_in = Deposit { handed_in_by: Some(who.clone()), ..form.deposit };
    let deposited = deposit::deposit(connection, vec![handed_in], at).await?;
    let Some(one) = deposited.first() else { return Err(StoreError::Failed("nothing was stored".into())) };
    sqlx::query("UPDATE intake SET incident = ?, language = ? WHERE id = ?")
        .bind(one.incident.0)
        .bind(form.language.language.as_str())
        .bind(form.intake)
        .execute(&mut *connection)
        .await?;
    take_pass(connection, &form.used, one.incident).await?;
    let person = |role, name: Option<String>, address, language| NewParty {
        role,
        name: name.unwrap_or_default(),
        address,
        language,
        otherwise: form.language.language,
    };
    let sender_address = mail.sender.clone();
    let remembered: Option<String> = sqlx::query_scalar("SELECT language FROM party_language WHERE address = ?")
        .bind(sender_address.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    // A mail program's header, or a browser's, takes back nothing that a person said.
    let said = (form.language.is_chosen || remembered.is_none()).then_some(form.language.language);
    let sender = person(Role::Customer, mail.name, mail.sender, said);
    let also = form.also.map(|address| person(Role::Integrator, None, address, None));
    for party in std::iter::once(sender).chain(also) {
        let line = HistoryLine {
            incident: one.incident,
            at,
            who: who.clone(),
            action: Action::PartyAdded.as_str().into(),
            exchange: None,
            seq: None,
            detail: format!("{} {}", party.role.as_str(), party.address.as_str()),
        };
        mail::add_party(connection, one.incident, party, line).await?;
    }
    // Who wrote the mail has the link from it; anybody else is a name that a stranger wrote down.
    sqlx::query("UPDATE party SET by_form = 1 WHERE incident = ? AND address <> ?")
        .bind(one.incident.0)
        .bind(sender_address.as_str())
        .execute(&mut *connection)
        .await?;
    let telling = Telling {
        incident: one.incident,
        reason: Notice::Received.as_str().into(),
        notice: Notice::Received,
        about: About::default(),
        audience: Audience::All,
    };
    mail::tell(connection, &telling, at).await?;
    Ok(one.incident)
}

async fn party_of(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    party: i64,
) -> Result<Option<Party>, StoreError> {
    let row =
        sqlx::query("SELECT role, name, address, language FROM party WHERE id = ? AND incident = ? AND removed = 0")
            .bind(party)
            .bind(incident.0)
            .fetch_optional(&mut *connection)
            .await?;
    let Some(row) = row else { return Ok(None) };
    let (role, address, language): (String, String, String) = (row.try_get(0)?, row.try_get(2)?, row.try_get(3)?);
    let (Some(role), Ok(address), Some(language)) = (Role::parse(&role), address.parse(), Language::of_tag(&language))
    else {
        return Err(StoreError::Failed(format!("party {party} does not read")));
    };
    Ok(Some(Party { id: party, role, name: row.try_get(1)?, address, language, told_by: None }))
}

async fn bounced(connection: &mut SqliteConnection, mail: i64, at: Timestamp) -> Result<bool, StoreError> {
    let row: Option<(Option<i64>, String)> = sqlx::query_as(
        "UPDATE mail SET state = 'refused', settled_at = ?, last_error = 'it came back as undeliverable' \
         WHERE id = ? AND state = 'sent' RETURNING incident, notice",
    )
    .bind(at.as_millisecond())
    .bind(mail)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((incident, notice)) = row else { return Ok(false) };
    let line = incident.map(|incident| HistoryLine {
        incident: IncidentId(incident),
        at,
        who: "casebridge".into(),
        action: Action::MailRefused.as_str().into(),
        exchange: None,
        seq: None,
        detail: format!("mail {mail} ({notice}) came back as undeliverable"),
    });
    insert_history(connection, line.iter()).await?;
    Ok(true)
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
