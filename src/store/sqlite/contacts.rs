//! People in rows. Who is told of by a record is looked up, made or completed in the transaction that writes the record: the
//! write lock and the unique address make one contact of however many arrive at once (H-01).

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::SqliteStore;
use super::history::NewEntry;
use super::read::json as to_json;
use crate::case::evidence::Context;
use crate::case::{
    Action, Alias, CaseRole, Contact, ContactAddress, HandOver, HistoryLine, IncidentId, Introduction, Person, Towards,
};
use crate::store::{ContactDetail, ContactQuery, ContactStore, StoreError, Write};

/// The cases, and the differences, that are shown of one contact.
const SHOWN: i64 = 100;

#[async_trait]
impl ContactStore for SqliteStore {
    async fn contacts(&self, query: &ContactQuery) -> Result<Vec<ContactDetail>, StoreError> {
        // One picture: a contact and its cases belong together.
        let mut connection = self.readers.begin().await?;
        // Each by its index.
        let statement = match (&query.address, query.temporary) {
            (Some(_), _) => {
                "SELECT id, address, first_name, last_name, phone, origin FROM contact \
                 WHERE address = ?4 AND id > ?1 AND (?2 IS NULL OR temporary = ?2) LIMIT ?3"
            }
            (None, Some(true)) => {
                "SELECT id, address, first_name, last_name, phone, origin FROM contact \
                 WHERE temporary = 1 AND id > ?1 AND ?2 ORDER BY id LIMIT ?3"
            }
            (None, _) => {
                "SELECT id, address, first_name, last_name, phone, origin FROM contact \
                 WHERE id > ?1 AND (?2 IS NULL OR temporary = ?2) ORDER BY id LIMIT ?3"
            }
        };
        let bound = sqlx::query(statement).bind(query.after).bind(query.temporary).bind(query.limit as i64);
        let bound = match &query.address {
            Some(address) => bound.bind(address.as_str()),
            None => bound,
        };
        let rows = bound.fetch_all(&mut *connection).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let Some(contact) = contact(row)? else {
                let id: i64 = row.try_get(0)?;
                return Err(StoreError::Failed(format!("the address of contact {id} is none; correct the row")));
            };
            found.push(ContactDetail {
                origin: origin(row.try_get(5)?)?,
                cases: cases(&mut connection, contact.id).await?,
                differences: differences(&mut connection, contact.id).await?,
                contact,
            });
        }
        Ok(found)
    }

    async fn people(&self, incident: IncidentId) -> Result<Vec<(CaseRole, Contact)>, StoreError> {
        let rows = sqlx::query(
            "SELECT c.id, c.address, c.first_name, c.last_name, c.phone, p.role FROM case_contact p \
             JOIN contact c ON c.id = p.contact WHERE p.incident = ? ORDER BY p.role DESC",
        )
        .bind(incident.0)
        .fetch_all(&self.readers)
        .await?;
        let mut people = Vec::with_capacity(rows.len());
        for row in &rows {
            let role = role(row.try_get(5)?)?;
            people.extend(contact(row)?.map(|contact| (role, contact)));
        }
        Ok(people)
    }
}

async fn cases(connection: &mut SqliteConnection, contact: i64) -> Result<Vec<(IncidentId, CaseRole)>, StoreError> {
    let rows =
        sqlx::query("SELECT incident, role FROM case_contact WHERE contact = ? ORDER BY incident DESC, role LIMIT ?")
            .bind(contact)
            .bind(SHOWN)
            .fetch_all(&mut *connection)
            .await?;
    rows.iter().map(|row| Ok((IncidentId(row.try_get(0)?), role(row.try_get(1)?)?))).collect()
}

async fn differences(
    connection: &mut SqliteConnection,
    contact: i64,
) -> Result<Vec<(Option<Alias>, String)>, StoreError> {
    let rows =
        sqlx::query("SELECT nullif(origin, ''), told FROM contact_difference WHERE contact = ? ORDER BY 1, 2 LIMIT ?")
            .bind(contact)
            .bind(SHOWN)
            .fetch_all(&mut *connection)
            .await?;
    rows.iter().map(|row| Ok((origin(row.try_get(0)?)?, row.try_get(1)?))).collect()
}

/// A row that begins with `id, address, first_name, last_name, phone`; none where another program wrote what is no address.
fn contact(row: &SqliteRow) -> Result<Option<Contact>, StoreError> {
    contact_at(row, 0)
}

fn contact_at(row: &SqliteRow, first: usize) -> Result<Option<Contact>, StoreError> {
    let Ok(address) = row.try_get::<String, _>(first + 1)?.parse() else { return Ok(None) };
    Ok(Some(Contact {
        id: row.try_get(first)?,
        address,
        first_name: row.try_get(first + 2)?,
        last_name: row.try_get(first + 3)?,
        phone: row.try_get(first + 4)?,
    }))
}

fn origin(text: Option<String>) -> Result<Option<Alias>, StoreError> {
    let unread = |_| StoreError::Failed("the origin of a contact does not read".into());
    text.map(|text| text.parse()).transpose().map_err(unread)
}

fn role(text: String) -> Result<CaseRole, StoreError> {
    CaseRole::parse(&text).ok_or_else(|| StoreError::Failed("the role of a contact does not read".into()))
}

/// What a record that is written says of people.
pub struct Telling<'a> {
    pub incident: IncidentId,
    pub hand_over: Option<HandOver>,
    /// Who has the case at the site that it was submitted to.
    pub contact: Option<&'a Person>,
    /// The peer that says so; none where it is this site.
    pub teller: Option<&'a Alias>,
    /// The line of history that tells of the write.
    pub line: Option<&'a HistoryLine>,
}

impl Write {
    /// What it says of people.
    pub(super) fn telling(&self) -> Telling<'_> {
        let case = self.edit.case.as_ref().and_then(|case| case.contact.as_ref());
        let theirs = self.upstream_case.as_ref().and_then(|case| case.contact.as_ref());
        // Who has a case is told by the site that it was submitted to.
        let reference = self.reference.as_ref().filter(|one| one.towards == Towards::Upstream);
        Telling {
            incident: self.incident,
            hand_over: self.hand_over,
            contact: case.or(theirs),
            teller: reference.map(|reference| &reference.peer),
            line: self.history.first(),
        }
    }
}

/// What came of it, for the history.
#[derive(Default)]
pub struct Told {
    /// The old and the new contact, and the status of the distribution (H-05).
    pub context: Context,
    /// What was told of people whose names are known already (H-02).
    pub differences: Vec<NewEntry>,
}

/// The people of a case as its record and the store have them.
struct People {
    /// Of the form: whom to ask, and whom it is for.
    contact: Option<Person>,
    recipient: Option<ContactAddress>,
    /// Whose form it is, where it is not our own.
    client: Option<Alias>,
    known: HashMap<CaseRole, Contact>,
}

/// Looks up, makes and completes the people that are told of. Says for each telling, in order, what came of it.
pub async fn take(connection: &mut SqliteConnection, tellings: &[Telling<'_>]) -> Result<Vec<Told>, StoreError> {
    let speaks = |one: &&Telling<'_>| one.hand_over.is_some() || one.contact.is_some();
    let ids: Vec<IncidentId> = tellings.iter().filter(speaks).map(|one| one.incident).collect();
    let mut people = if ids.is_empty() { HashMap::new() } else { people(connection, &ids).await? };
    let mut all = Vec::with_capacity(tellings.len());
    for telling in tellings {
        let mut told = Told::default();
        if let Some(people) = people.get_mut(&telling.incident) {
            introduce(connection, telling, people, &mut told).await?;
        }
        if let Some(hand_over) = telling.hand_over {
            told.context.note("distribution", None, Some(hand_over.as_str()));
        }
        all.push(told);
    }
    Ok(all)
}

/// Those of the cases of which anybody is known, one statement for all.
async fn people(
    connection: &mut SqliteConnection,
    ids: &[IncidentId],
) -> Result<HashMap<IncidentId, People>, StoreError> {
    let rows = sqlx::query(
        "SELECT i.id, i.form -> '$.contact', i.form ->> '$.recipient', i.client, \
           p.role, c.id, c.address, c.first_name, c.last_name, c.phone \
         FROM json_each(?) j JOIN incident i ON i.id = j.value \
         LEFT JOIN case_contact p ON p.incident = i.id LEFT JOIN contact c ON c.id = p.contact",
    )
    .bind(to_json(ids))
    .fetch_all(&mut *connection)
    .await?;
    let mut found: HashMap<IncidentId, People> = HashMap::new();
    for row in rows {
        let one = found.entry(IncidentId(row.try_get(0)?)).or_insert(People {
            // What another program wrote may be no person.
            contact: row.try_get::<Option<String>, _>(1)?.and_then(|text| serde_json::from_str(&text).ok()),
            recipient: row.try_get::<Option<String>, _>(2)?.and_then(|text| text.parse().ok()),
            client: origin(row.try_get(3)?)?,
            known: HashMap::new(),
        });
        if let Some(part) = row.try_get::<Option<String>, _>(4)? {
            let role = role(part)?;
            one.known.extend(contact_at(&row, 5)?.map(|contact| (role, contact)));
        }
    }
    Ok(found)
}

async fn introduce(
    connection: &mut SqliteConnection,
    telling: &Telling<'_>,
    people: &mut People,
    told: &mut Told,
) -> Result<(), StoreError> {
    let recipient = people.known.get(&CaseRole::Recipient).map(|known| known.id);
    let before = people.known.get(&CaseRole::Recipient).map(ToString::to_string);
    let mut introduced: Vec<(CaseRole, Person, Option<Alias>)> = Vec::new();
    // A policy at the other site may have taken the case before the store heard that it was handed over.
    let is_new = |role: CaseRole| {
        telling.hand_over == Some(HandOver::Submitted)
            || (telling.hand_over.is_some() && !people.known.contains_key(&role))
    };
    if let Some(one) = people.contact.clone().filter(|_| is_new(CaseRole::Sender)) {
        introduced.push((CaseRole::Sender, one, people.client.clone()));
    }
    if let Some(address) = people.recipient.clone().filter(|_| is_new(CaseRole::Recipient)) {
        introduced.push((CaseRole::Recipient, Person::at(address), people.client.clone()));
    }
    introduced.extend(telling.contact.map(|one| (CaseRole::Recipient, one.clone(), telling.teller.cloned())));
    for (role, person, teller) in introduced.into_iter().filter(|(_, person, _)| person.check().is_ok()) {
        let contact = meet(connection, telling, &person, teller.as_ref(), told).await?;
        if people.known.get(&role).map(|known| known.id) != Some(contact.id) {
            sqlx::query(
                "INSERT INTO case_contact (incident, role, contact) VALUES (?, ?, ?) \
                 ON CONFLICT (incident, role) DO UPDATE SET contact = excluded.contact",
            )
            .bind(telling.incident.0)
            .bind(role.as_str())
            .bind(contact.id)
            .execute(&mut *connection)
            .await?;
        }
        people.known.insert(role, contact);
    }
    let name = |role: CaseRole| people.known.get(&role).map(ToString::to_string);
    let (old, new) = match telling.hand_over {
        Some(hand_over) => {
            let (from, to) = hand_over.between();
            (name(from), name(to))
        }
        None => (before, name(CaseRole::Recipient)),
    };
    let is_another = people.known.get(&CaseRole::Recipient).map(|known| known.id) != recipient;
    if telling.hand_over.is_none() && is_another {
        told.context.note("distribution", None, standing(connection, telling).await?.as_deref());
    }
    told.context.note("contact", old.as_deref(), new.as_deref());
    Ok(())
}

/// How the hand-over of a case stands whose recipient is another one from now on, by who has it in hand.
async fn standing(connection: &mut SqliteConnection, telling: &Telling<'_>) -> Result<Option<String>, StoreError> {
    let towards = if telling.teller.is_some() { Towards::Upstream } else { Towards::Client };
    let standing = sqlx::query_scalar(
        "SELECT iif((towards = 'client') = (holder = 'us'), ?3, ?4) FROM reference \
         WHERE incident = ?1 AND towards = ?2 ORDER BY exchange DESC LIMIT 1",
    );
    let bound = standing.bind(telling.incident.0).bind(towards.as_str());
    let bound = bound.bind(HandOver::Approved.as_str()).bind(HandOver::Returned.as_str());
    Ok(bound.fetch_optional(&mut *connection).await?)
}

/// The contact of that address, as it stands once this was told.
async fn meet(
    connection: &mut SqliteConnection,
    telling: &Telling<'_>,
    person: &Person,
    teller: Option<&Alias>,
    told: &mut Told,
) -> Result<Contact, StoreError> {
    let known = find(connection, &person.address).await?;
    let at = telling.line.map(|line| line.at.to_string());
    let origin = teller.map(Alias::as_str);
    match (Introduction::of(known.as_ref(), person), known) {
        (Introduction::Keep, Some(contact)) => return Ok(contact),
        (Introduction::KeepAndNote, Some(contact)) => {
            note(connection, telling, &contact, person, teller, told).await?;
            return Ok(contact);
        }
        (Introduction::Complete, Some(contact)) => {
            let (first, last) = person.names().unwrap_or((Contact::PENDING, Contact::CREATION));
            sqlx::query(
                "UPDATE contact SET first_name = ?, last_name = ?, phone = coalesce(?, phone), origin = ?, \
                 updated_at = coalesce(?, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) WHERE id = ?",
            )
            .bind(first)
            .bind(last)
            .bind(&person.phone)
            .bind(origin)
            .bind(at)
            .bind(contact.id)
            .execute(&mut *connection)
            .await?;
        }
        (_, _) => {
            let (first, last) = person.names().unwrap_or((Contact::PENDING, Contact::CREATION));
            sqlx::query(
                "INSERT INTO contact (address, first_name, last_name, phone, origin, created_at, updated_at) \
                 SELECT ?1, ?2, ?3, ?4, ?5, t, t FROM (SELECT coalesce(?6, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) AS t) \
                 WHERE true ON CONFLICT (address) DO NOTHING",
            )
            .bind(person.address.as_str())
            .bind(first)
            .bind(last)
            .bind(&person.phone)
            .bind(origin)
            .bind(at)
            .execute(&mut *connection)
            .await?;
        }
    }
    let gone = || StoreError::Failed("a contact that was just written is gone".into());
    find(connection, &person.address).await?.ok_or_else(gone)
}

/// Once for what one site tells of one contact.
async fn note(
    connection: &mut SqliteConnection,
    telling: &Telling<'_>,
    contact: &Contact,
    person: &Person,
    teller: Option<&Alias>,
    told: &mut Told,
) -> Result<(), StoreError> {
    let Some(line) = telling.line else { return Ok(()) };
    let said = match &person.phone {
        Some(phone) => format!("{person}, phone {phone}"),
        None => person.to_string(),
    };
    let origin = teller.map(Alias::as_str).unwrap_or_default();
    let noted =
        sqlx::query("INSERT INTO contact_difference (contact, origin, told) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
            .bind(contact.id)
            .bind(origin)
            .bind(&said)
            .execute(&mut *connection)
            .await?;
    if noted.rows_affected() > 0 {
        let line = HistoryLine {
            action: Action::ContactDiffers.as_str().into(),
            seq: None,
            detail: format!("told of {said}; the contact stays {contact}"),
            ..line.clone()
        };
        let entry = NewEntry::from(&line);
        told.differences.push(if origin.is_empty() { entry } else { entry.with_peer(origin) });
    }
    Ok(())
}

async fn find(connection: &mut SqliteConnection, address: &ContactAddress) -> Result<Option<Contact>, StoreError> {
    let row = sqlx::query("SELECT id, address, first_name, last_name, phone FROM contact WHERE address = ?")
        .bind(address.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    row.as_ref().map_or(Ok(None), contact)
}

/// Somebody of this site's own whose names are known.
pub async fn own(connection: &mut SqliteConnection, address: &ContactAddress) -> Result<Option<Person>, StoreError> {
    let row = sqlx::query(
        "SELECT id, address, first_name, last_name, phone FROM contact \
         WHERE address = ? AND origin IS NULL AND temporary = 0",
    )
    .bind(address.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    let known = row.as_ref().map_or(Ok(None), contact)?;
    Ok(known.map(|contact| contact.person()).filter(|person| person.check().is_ok()))
}
