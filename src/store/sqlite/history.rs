//! The one place where history is written: each entry is chained to the one before it, under the write lock.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::read::json as to_json;
use super::{SqliteStore, rows};
use crate::case::evidence::{
    Context, Entry, Head, Kept, PublicKey, Receipt, Received, ToldElsewhere, Way, chained, root_of,
};
use crate::case::{Action, Alias, ContentDigest, ExchangeId, HistoryLine, IncidentId};
use crate::store::history::{
    Arrived, HistoryStore, KeyStanding, KnownKey, Marks, Note, Of, OnTheWay, Taking, Unproved,
};
use crate::store::{StoreError, Write};
use crate::telemetry::CrashPoint;

/// What is told once of one operation, or of one record that a peer reads as a whole.
const TOLD_ONCE: [Action; 4] = [Action::Acknowledged, Action::OperationSent, Action::Adopted, Action::Shown];

/// The machine's own name.
static NODE: LazyLock<String> = LazyLock::new(|| rustix::system::uname().nodename().to_string_lossy().into_owned());

/// An entry that is to be made.
#[derive(Debug, Clone, Default)]
pub struct NewEntry {
    incident: Option<IncidentId>,
    at: String,
    who: String,
    action: String,
    exchange: Option<String>,
    seq: Option<i64>,
    peer: Option<String>,
    way: Option<Way>,
    sha256: Option<String>,
    detail: String,
    context: Option<String>,
    content: Option<String>,
}

impl NewEntry {
    /// The lines of a write. What went over the wire and what changed stands with the line that tells of it.
    pub fn of(write: &Write, changed: &Context) -> Vec<Self> {
        let mut entries: Vec<Self> = write.history.iter().map(Self::from).collect();
        let peer = write.reference.as_ref().map(|reference| reference.peer.to_string());
        for entry in entries.iter_mut().filter(|entry| entry.exchange.is_some()) {
            entry.peer.clone_from(&peer);
        }
        let told = |seq: u64| move |entry: &Self| entry.seq == Some(seq as i64);
        let travelled = write.travelled.as_ref();
        let place = travelled.and_then(|one| entries.iter().position(told(one.seq)));
        if let (Some(one), Some(entry)) = (travelled, place.and_then(|place| entries.get_mut(place))) {
            entry.peer = Some(one.peer.to_string());
            entry.way = Some(one.way);
            entry.sha256 = Some(one.sha256.to_string());
            entry.content.clone_from(&one.content);
        }
        if let Some(entry) = entries.get_mut(place.unwrap_or(0)) {
            let context = write.context.clone().with(changed);
            entry.context = (!context.is_empty()).then(|| to_json(&context));
        }
        entries
    }

    /// With an operation of the peer's that it tells of.
    pub fn arrived(self, peer: &Alias, sha256: &ContentDigest) -> Self {
        Self { peer: Some(peer.to_string()), way: Some(Way::In), sha256: Some(sha256.to_string()), ..self }
    }

    pub fn with_peer(self, peer: &str) -> Self {
        Self { peer: Some(peer.to_owned()), ..self }
    }

    pub fn with_context(self, context: &Context) -> Self {
        Self { context: (!context.is_empty()).then(|| to_json(context)), ..self }
    }

    fn about_the_site(note: &Note) -> Self {
        let one = Self {
            at: note.at.to_string(),
            who: note.who.clone(),
            action: note.action.as_str().into(),
            peer: note.peer.as_ref().map(ToString::to_string),
            detail: note.detail.clone(),
            ..Self::default()
        };
        one.with_context(&note.context)
    }

    /// Whether it says what an operation of ours came to, which is told once however often its answer is read: a Create that
    /// was acknowledged before a power cut took that back is acknowledged, or taken, again.
    fn is_told_once(&self) -> bool {
        TOLD_ONCE.iter().any(|action| self.action == action.as_str())
    }
}

impl From<&HistoryLine> for NewEntry {
    fn from(line: &HistoryLine) -> Self {
        Self {
            incident: Some(line.incident),
            at: line.at.to_string(),
            who: line.who.clone(),
            action: line.action.clone(),
            exchange: line.exchange.map(|exchange| exchange.to_string()),
            seq: line.seq.map(|seq| seq as i64),
            detail: line.detail.clone(),
            ..Self::default()
        }
    }
}

/// Lines without more to them.
pub async fn insert_history(
    connection: &mut SqliteConnection,
    lines: impl IntoIterator<Item = &HistoryLine>,
) -> Result<(), StoreError> {
    append(connection, lines.into_iter().map(NewEntry::from).collect()).await.map(|_| ())
}

/// Chains entries to the last one there is. Returns the number of the last one.
pub async fn append(connection: &mut SqliteConnection, entries: Vec<NewEntry>) -> Result<u64, StoreError> {
    let entries = without_told(connection, entries).await?;
    let (site, head) = end(connection).await?;
    let Head { mut number, hash: mut previous } = head;
    if entries.is_empty() {
        return Ok(number);
    }
    let mut rows = Vec::with_capacity(entries.len());
    for new in entries {
        number += 1;
        let NewEntry { incident, at, who, action, exchange, seq, peer, way, sha256, detail, context, content } = new;
        let raw = context.as_ref().map(|text| serde_json::value::RawValue::from_string(text.clone())).transpose();
        let unwritable = |fault: serde_json::Error| StoreError::Failed(format!("an entry cannot be written: {fault}"));
        let entry = Entry {
            number,
            previous,
            site: site.clone(),
            node: NODE.clone(),
            at,
            incident: incident.map(|incident| incident.0),
            who,
            action,
            exchange,
            seq,
            peer,
            way: way.map(|way| way.as_str().to_owned()),
            sha256,
            detail,
            context: raw.map_err(unwritable)?,
        };
        let (_, hash) = chained(&entry).map_err(unwritable)?;
        previous = hash.clone();
        rows.push([
            number.into(),
            entry.incident.into(),
            entry.at.into(),
            entry.who.into(),
            entry.action.into(),
            entry.exchange.into(),
            entry.seq.into(),
            entry.detail.into(),
            entry.node.into(),
            entry.peer.into(),
            entry.way.into(),
            entry.sha256.into(),
            context.into(),
            hash.to_string().into(),
            content.into(),
        ]);
    }
    rows::execute(
        connection,
        "INSERT INTO history (id, incident, at, who, action, exchange, seq, detail, \
           node, peer, way, sha256, context, hash, content) VALUES",
        "",
        rows,
    )
    .await?;
    Ok(number)
}

/// The site, and where its history ends. A number that was given out is not given out again, so that a removed end shows.
async fn end(connection: &mut SqliteConnection) -> Result<(String, Head), StoreError> {
    let row = sqlx::query(
        "SELECT m.value, h.hash, \
           max(coalesce(h.id, 0), coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'history'), 0)) \
         FROM meta m LEFT JOIN history h ON h.id = (SELECT max(id) FROM history) WHERE m.name = 'site'",
    )
    .fetch_one(&mut *connection)
    .await?;
    let site: String = row.try_get(0)?;
    let hash = match row.try_get::<Option<String>, _>(1)? {
        Some(hash) => hash.parse().map_err(|_| StoreError::Failed("the history's last hash does not read".into()))?,
        None => root_of(&site),
    };
    Ok((site, Head { number: row.try_get::<i64, _>(2)? as u64, hash }))
}

/// What other tables tell of the history. Whoever cuts its end off has to know all of them.
async fn told_elsewhere(connection: &mut SqliteConnection) -> Result<ToldElsewhere, StoreError> {
    let last: Option<(i64, String)> = sqlx::query_as(
        "SELECT entry, place FROM (SELECT max(max(entry), max(receipt)) AS entry, 'a receipt' AS place FROM receipted \
           UNION ALL SELECT max(given), 'what peers have receipts for' FROM receipt_mark \
           UNION ALL SELECT max(looked), 'the search for receipts' FROM receipt_mark \
           UNION ALL SELECT max(position), 'a reader' FROM consumer \
           UNION ALL SELECT max(event), 'a reaction' FROM reaction_run) \
         WHERE entry IS NOT NULL ORDER BY entry DESC LIMIT 1",
    )
    .fetch_optional(&mut *connection)
    .await?;
    // What was taken up anew from the peer counts on from there.
    let applied: Option<(i64, String, i64)> = sqlx::query_as(
        "SELECT r.incident, r.peer, r.applied FROM reference r WHERE r.applied > 0 AND NOT EXISTS \
           (SELECT 1 FROM history h WHERE h.incident = r.incident AND h.exchange = r.exchange \
              AND (h.way = 'in' AND h.seq >= r.applied OR h.action = ?)) ORDER BY r.incident LIMIT 1",
    )
    .bind(Action::Adopted.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    let is_blank: bool = sqlx::query_scalar(
        "SELECT NOT EXISTS (SELECT 1 FROM history) \
           AND (EXISTS (SELECT 1 FROM incident) OR EXISTS (SELECT 1 FROM signing_key))",
    )
    .fetch_one(&mut *connection)
    .await?;
    let untold = match applied {
        Some((incident, peer, applied)) => {
            Some(format!("operation {applied} of {peer} was applied to incident {incident}, and no entry tells of it"))
        }
        None => is_blank.then(|| "the site has worked, and its history is empty".to_owned()),
    };
    Ok(ToldElsewhere { last: last.map(|(entry, place)| (entry as u64, place)), untold })
}

/// Without what was told before.
async fn without_told(connection: &mut SqliteConnection, entries: Vec<NewEntry>) -> Result<Vec<NewEntry>, StoreError> {
    if !entries.iter().any(NewEntry::is_told_once) {
        return Ok(entries);
    }
    let keys: Vec<_> = entries
        .iter()
        .map(|entry| {
            let incident = entry.incident.filter(|_| entry.is_told_once());
            (incident, &entry.exchange, entry.seq, &entry.sha256)
        })
        .collect();
    // The same number with another content is another operation: a peer that lost its state counts anew.
    let told: Vec<i64> = sqlx::query_scalar(
        "SELECT j.key FROM jsonb_each(?1) j WHERE EXISTS (SELECT 1 FROM history h \
           WHERE h.incident = j.value ->> 0 AND h.exchange = j.value ->> 1 AND h.seq = j.value ->> 2 \
             AND h.action IN (?2, ?3, ?4, ?5) AND h.sha256 IS j.value ->> 3)",
    )
    .bind(to_json(&keys))
    .bind(TOLD_ONCE[0].as_str())
    .bind(TOLD_ONCE[1].as_str())
    .bind(TOLD_ONCE[2].as_str())
    .bind(TOLD_ONCE[3].as_str())
    .fetch_all(&mut *connection)
    .await?;
    let told: HashSet<i64> = told.into_iter().collect();
    let mut seen = HashSet::new();
    let mut left = Vec::with_capacity(entries.len());
    for (index, entry) in entries.into_iter().enumerate() {
        let once = entry.is_told_once();
        let key = (entry.incident, entry.exchange.clone(), entry.seq, entry.sha256.clone());
        if once && (told.contains(&(index as i64)) || entry.seq.is_some() && !seen.insert(key)) {
            continue;
        }
        left.push(entry);
    }
    Ok(left)
}

/// What [`kept`] reads.
macro_rules! columns {
    () => {
        "h.id, h.at, h.incident, h.who, h.action, h.exchange, h.seq, h.peer, h.way, h.sha256, h.detail, h.context, \
         h.node, h.hash, h.content"
    };
}

/// A row as an entry. One of which something does not read has no hash, and is named for that.
fn kept(row: &SqliteRow, site: &str, previous: ContentDigest) -> Result<Kept, StoreError> {
    let mut is_whole = true;
    let mut text = |index: usize| -> Result<Option<String>, StoreError> {
        let Some(bytes) = row.try_get::<Option<&[u8]>, _>(index)? else { return Ok(None) };
        let text = String::from_utf8_lossy(bytes);
        is_whole &= matches!(text, Cow::Borrowed(_));
        Ok(Some(text.into_owned()))
    };
    let written = text(11)?;
    let context = written.clone().and_then(|text| serde_json::value::RawValue::from_string(text).ok());
    let mut kept = Kept {
        entry: Entry {
            number: row.try_get::<i64, _>(0)? as u64,
            previous,
            site: site.to_owned(),
            node: text(12)?.unwrap_or_default(),
            at: text(1)?.unwrap_or_default(),
            incident: row.try_get(2)?,
            who: text(3)?.unwrap_or_default(),
            action: text(4)?.unwrap_or_default(),
            exchange: text(5)?,
            seq: row.try_get(6)?,
            peer: text(7)?,
            way: text(8)?,
            sha256: text(9)?,
            detail: text(10)?.unwrap_or_default(),
            context,
        },
        hash: text(13)?.unwrap_or_default(),
        content: text(14)?,
    };
    // JSON has no blanks around it that anybody wrote.
    is_whole &= kept.entry.context.as_ref().map(|context| context.get()) == written.as_deref();
    if !is_whole {
        kept.hash.clear();
    }
    Ok(kept)
}

/// A hash that may have been changed.
fn hash_in(bytes: Option<&[u8]>) -> Option<ContentDigest> {
    std::str::from_utf8(bytes?).ok()?.parse().ok()
}

async fn entries(
    connection: &mut SqliteConnection,
    site: &str,
    of: &Of,
    after: u64,
    limit: usize,
) -> Result<Vec<Kept>, StoreError> {
    // The hash before a row stands in the row before it, whichever incident that is about.
    const BEFORE: &str = "(SELECT b.hash FROM history b WHERE b.id < h.id ORDER BY b.id DESC LIMIT 1) AS previous";
    let (statement, peer, incident) = match of {
        Of::All => (
            concat!("SELECT ", columns!(), ", ?4 AS previous FROM history h WHERE h.id > ?1 ORDER BY h.id LIMIT ?2")
                .to_owned(),
            None,
            None,
        ),
        Of::Incident(incident) => (
            format!(
                concat!(
                    "SELECT ",
                    columns!(),
                    ", {} FROM history h WHERE h.incident = ?3 AND h.id > ?1 ORDER BY h.id LIMIT ?2"
                ),
                BEFORE
            ),
            None,
            Some(incident.0),
        ),
        Of::Sent { peer, incident: Some(incident) } => (
            format!(
                concat!(
                    "SELECT ",
                    columns!(),
                    ", {} FROM history h WHERE h.incident = ?3 AND h.id > ?1 AND h.peer = ?4 \
                 AND h.way IN ('out', 'refused', 'shown') AND h.content IS NOT NULL ORDER BY h.id LIMIT ?2"
                ),
                BEFORE
            ),
            Some(peer.to_string()),
            Some(incident.0),
        ),
        Of::Sent { peer, incident: None } => (
            format!(
                concat!(
                    "SELECT ",
                    columns!(),
                    ", {} FROM history h WHERE h.id > ?1 AND h.peer = ?4 \
                 AND h.way IN ('out', 'refused', 'shown') AND h.content IS NOT NULL ORDER BY h.id LIMIT ?2"
                ),
                BEFORE
            ),
            Some(peer.to_string()),
            None,
        ),
    };
    // Of the whole, each row has the hash before it in the row that was read before.
    let mut previous = None;
    if *of == Of::All {
        let before: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT hash FROM history WHERE id <= ? ORDER BY id DESC LIMIT 1")
                .bind(after as i64)
                .fetch_optional(&mut *connection)
                .await?;
        previous = Some(hash_in(before.as_deref()).unwrap_or_else(|| root_of(site)));
    }
    // Made of the literals above only.
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(after as i64)
        .bind(limit as i64)
        .bind(incident)
        .bind(peer)
        .fetch_all(&mut *connection)
        .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let before = match previous.take() {
            Some(before) => before,
            None => hash_in(row.try_get(15)?).unwrap_or_else(|| root_of(site)),
        };
        let one = kept(row, site, before)?;
        if *of == Of::All {
            previous = Some(one.hash.parse().unwrap_or_else(|_| root_of(site)));
        }
        found.push(one);
    }
    Ok(found)
}

/// An operation of ours that a peer has taken.
#[derive(Default)]
struct Own {
    entry: u64,
    incident: Option<IncidentId>,
    sha256: String,
    proved: bool,
}

async fn take_receipt(
    connection: &mut SqliteConnection,
    peer: Alias,
    receipt: Receipt,
    on_the_way: OnTheWay,
    at: Timestamp,
) -> Result<Taking, StoreError> {
    let mut taking = Taking::default();
    let mut disputes = Vec::new();
    if let Some((reason, detail)) = note_head(connection, &peer, &receipt).await? {
        taking.wrong.push(reason);
        disputes.push((None, 0, detail));
    }
    let exchanges: HashSet<String> = receipt.operations.iter().map(|one| one.exchange.to_string()).collect();
    // In this order: SQLite would begin with all references of the peer.
    let rows = sqlx::query(
        "WITH j (exchange) AS MATERIALIZED (SELECT value FROM json_each(?1)) \
         SELECT h.exchange, h.seq, h.id, h.sha256, EXISTS (SELECT 1 FROM receipted d WHERE d.entry = h.id), h.incident \
         FROM j CROSS JOIN reference r ON r.peer = ?2 AND r.exchange = j.exchange \
         CROSS JOIN history h ON h.incident = r.incident AND h.exchange = j.exchange AND h.peer = ?2 AND h.way = 'out'",
    )
    .bind(to_json(&exchanges))
    .bind(peer.as_str())
    .fetch_all(&mut *connection)
    .await?;
    let mut own: HashMap<(String, i64), Vec<Own>> = HashMap::new();
    for row in &rows {
        let Some(seq) = row.try_get::<Option<i64>, _>(1)? else { continue };
        let one = Own {
            entry: row.try_get::<i64, _>(2)? as u64,
            sha256: row.try_get::<Option<String>, _>(3)?.unwrap_or_default(),
            proved: row.try_get(4)?,
            incident: row.try_get::<Option<i64>, _>(5)?.map(IncidentId),
        };
        own.entry((row.try_get(0)?, seq)).or_default().push(one);
    }
    let mut proved = Vec::new();
    let mut waiting: Option<u64> = None;
    for (place, one) in receipt.operations.iter().enumerate() {
        let key = (one.exchange.to_string(), one.seq as i64);
        let known = own.get_mut(&key).map_or(&mut [][..], Vec::as_mut_slice);
        let (is_known, whose) = (!known.is_empty(), known.first().and_then(|known| known.incident));
        match known.iter_mut().find(|known| known.sha256 == one.sha256.as_str()) {
            Some(known) if known.proved => {}
            Some(known) => {
                known.proved = true;
                proved.push((known.entry, place));
            }
            None if on_the_way.contains(&(one.exchange, one.seq)) => _ = waiting.get_or_insert(one.number),
            None if !is_known => {}
            None => {
                let said = wrong(one);
                disputes.push((whose, place, format!("{peer}: {said}")));
                taking.wrong.push(said);
            }
        }
    }
    // Before the receipt itself, so that who reads on knows of them.
    keep_disputes(connection, &peer, &receipt, at, disputes).await?;
    let last = receipt.operations.iter().map(|one| one.number).max().unwrap_or(0);
    taking.through = waiting.map_or(last, |number| number.saturating_sub(1));
    taking.proved = proved.len();
    if proved.is_empty() {
        return Ok(taking);
    }
    let content = to_json(&receipt);
    let entry = NewEntry {
        at: at.to_string(),
        who: format!("peer {peer}"),
        action: Action::Receipt.as_str().into(),
        peer: Some(peer.to_string()),
        sha256: Some(ContentDigest::of(content.as_bytes()).to_string()),
        detail: format!("{peer} has signed for {} operations", proved.len()),
        content: Some(content),
        ..NewEntry::default()
    };
    let number = append(connection, vec![entry]).await?;
    sqlx::query("INSERT INTO receipted SELECT value ->> 0, ?2, value ->> 1 FROM json_each(?1)")
        .bind(to_json(&proved))
        .bind(number as i64)
        .execute(&mut *connection)
        .await?;
    Ok(taking)
}

fn wrong(one: &Received) -> String {
    format!("it has signed for another operation {} of exchange {} than went there", one.seq, one.exchange)
}

/// Keeps what a peer has signed that is not so, each once: the case, the place in the receipt, and a sentence.
async fn keep_disputes(
    connection: &mut SqliteConnection,
    peer: &Alias,
    receipt: &Receipt,
    at: Timestamp,
    disputes: Vec<(Option<IncidentId>, usize, String)>,
) -> Result<(), StoreError> {
    if disputes.is_empty() {
        return Ok(());
    }
    let known: Vec<i64> = sqlx::query_scalar(
        "SELECT j.key FROM json_each(?1) j WHERE EXISTS (SELECT 1 FROM history h \
           WHERE h.incident IS j.value ->> 0 AND h.action = ?2 AND h.detail = j.value ->> 2)",
    )
    .bind(to_json(&disputes))
    .bind(Action::ReceiptWrong.as_str())
    .fetch_all(&mut *connection)
    .await?;
    let known: HashSet<i64> = known.into_iter().collect();
    let is_news = |(index, _): &(usize, _)| !known.contains(&(*index as i64));
    let news: Vec<_> = disputes.into_iter().enumerate().filter(is_news).map(|(_, one)| one).collect();
    let places: Vec<usize> = news.iter().map(|(_, place, _)| *place).collect();
    let mut entries = Vec::with_capacity(news.len());
    for ((incident, _, detail), proof) in news.into_iter().zip(receipt.proofs(&places)) {
        let content = to_json(&proof);
        let operation = incident.map(|_| &proof.operation);
        entries.push(NewEntry {
            incident,
            at: at.to_string(),
            who: format!("peer {peer}"),
            action: Action::ReceiptWrong.as_str().into(),
            exchange: operation.map(|one| one.exchange.to_string()),
            seq: operation.map(|one| one.seq as i64),
            peer: Some(peer.to_string()),
            sha256: Some(ContentDigest::of(content.as_bytes()).to_string()),
            detail,
            content: Some(content),
            ..NewEntry::default()
        });
    }
    append(connection, entries).await.map(|_| ())
}

/// A history that a peer has signed once does not become shorter. What is wrong, and how it is kept: the latter names what
/// was known only, so that it is kept once.
async fn note_head(
    connection: &mut SqliteConnection,
    peer: &Alias,
    receipt: &Receipt,
) -> Result<Option<(String, String)>, StoreError> {
    let known: Option<Option<String>> = sqlx::query_scalar("SELECT head FROM receipt_mark WHERE peer = ?")
        .bind(peer.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    let known = known.flatten().and_then(|text| serde_json::from_str::<Head>(&text).ok());
    let head = &receipt.statement.head;
    let wrong = known.and_then(|known| {
        let reason = match head.number.cmp(&known.number) {
            Ordering::Less => format!(
                "its history ends with entry {}, and it has signed for one that ended with entry {}",
                head.number, known.number
            ),
            Ordering::Equal if head.hash != known.hash => {
                format!("entry {} of its history is another one than it has signed before", head.number)
            }
            Ordering::Equal | Ordering::Greater => return None,
        };
        let number = known.number;
        Some((reason, format!("{peer}: its history is not the one with entry {number} that it has signed for before")))
    });
    sqlx::query(
        "INSERT INTO receipt_mark (peer, head) VALUES (?, ?) ON CONFLICT (peer) DO UPDATE SET head = excluded.head",
    )
    .bind(peer.as_str())
    .bind(to_json(head))
    .execute(&mut *connection)
    .await?;
    Ok(wrong)
}

/// What there is, and up to which entry that was looked through.
async fn look_for_unproved(
    connection: &mut SqliteConnection,
    peer: &Alias,
    before: Timestamp,
    limit: usize,
) -> Result<(Unproved, Option<i64>), StoreError> {
    let rows = sqlx::query(
        "SELECT h.id, h.at, EXISTS (SELECT 1 FROM receipted d WHERE d.entry = h.id) FROM history h \
         WHERE h.peer = ?1 AND h.way = 'out' AND h.seq IS NOT NULL \
           AND h.id > coalesce((SELECT looked FROM receipt_mark WHERE peer = ?1), 0) ORDER BY h.id LIMIT ?2",
    )
    .bind(peer.as_str())
    .bind(limit as i64)
    .fetch_all(&mut *connection)
    .await?;
    let mut unproved = Unproved { more: rows.len() == limit, ..Unproved::default() };
    let mut looked = None;
    for row in &rows {
        let at: Option<Timestamp> = row.try_get::<&str, _>(1)?.parse().ok();
        if at.is_some_and(|at| at > before) {
            unproved.more = false;
            break;
        }
        let entry = row.try_get::<i64, _>(0)?;
        looked = Some(entry);
        if !row.try_get::<bool, _>(2)? {
            unproved.operations += 1;
            unproved.first.get_or_insert(entry as u64);
        }
    }
    Ok((unproved, looked))
}

async fn set_key(connection: &mut SqliteConnection, key: KnownKey, note: Note) -> Result<(), StoreError> {
    let peer = key.peer.as_ref().map(Alias::as_str).unwrap_or_default();
    let before = match key.standing {
        KeyStanding::Present => "UPDATE signing_key SET standing = 'past' WHERE peer = ? AND standing = 'present'",
        KeyStanding::Past | KeyStanding::Offered => "DELETE FROM signing_key WHERE peer = ? AND standing = 'offered'",
    };
    sqlx::query(before).bind(peer).execute(&mut *connection).await?;
    sqlx::query(
        "INSERT INTO signing_key (peer, key, standing, since, endorsement) VALUES (?, ?, ?, ?, ?) \
         ON CONFLICT (peer, key) DO UPDATE SET standing = excluded.standing, since = excluded.since",
    )
    .bind(peer)
    .bind(key.key.to_string())
    .bind(key.standing.as_str())
    .bind(key.since.to_string())
    .bind(key.endorsement.as_ref().map(to_json))
    .execute(&mut *connection)
    .await?;
    append_note(connection, &note).await
}

pub async fn append_note(connection: &mut SqliteConnection, note: &Note) -> Result<(), StoreError> {
    append(connection, vec![NewEntry::about_the_site(note)]).await.map(|_| ())
}

fn known_key(row: &SqliteRow) -> Result<KnownKey, StoreError> {
    let damaged = |what: &str| StoreError::Failed(format!("{what} in signing_key does not read"));
    let peer: &str = row.try_get(0)?;
    let key: PublicKey = row.try_get::<&str, _>(1)?.parse().map_err(|_| damaged("a key"))?;
    let standing: &str = row.try_get(2)?;
    let endorsement: Option<&str> = row.try_get(4)?;
    Ok(KnownKey {
        peer: match peer {
            "" => None,
            peer => Some(peer.parse().map_err(|_| damaged("a peer"))?),
        },
        key,
        standing: KeyStanding::ALL
            .into_iter()
            .find(|one| one.as_str() == standing)
            .ok_or_else(|| damaged("a standing"))?,
        since: row.try_get::<&str, _>(3)?.parse().map_err(|_| damaged("an instant"))?,
        endorsement: endorsement.map(serde_json::from_str).transpose().map_err(|_| damaged("an endorsement"))?,
    })
}

impl SqliteStore {
    /// What the store tells of its history beside it.
    pub async fn told_elsewhere(&self) -> Result<ToldElsewhere, StoreError> {
        let mut connection = self.readers.begin().await?;
        told_elsewhere(&mut connection).await
    }
}

#[async_trait]
impl HistoryStore for SqliteStore {
    async fn entries(&self, of: &Of, after: u64, limit: usize) -> Result<Vec<Kept>, StoreError> {
        // One picture: each hash belongs to the row before it.
        let mut connection = self.readers.begin().await?;
        entries(&mut connection, &self.site.0.to_string(), of, after, limit).await
    }

    async fn head(&self) -> Result<Head, StoreError> {
        let mut connection = self.readers.acquire().await?;
        end(&mut connection).await.map(|(_, head)| head)
    }

    async fn note(&self, note: Note) -> Result<(), StoreError> {
        self.in_transaction(CrashPoint::StoreWritten, move |connection| {
            Box::pin(async move { append_note(connection, &note).await })
        })
        .await
    }

    async fn noted_tokens(&self) -> Result<Vec<(String, bool)>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        Ok(sqlx::query_as("SELECT id, revoked FROM noted_token").fetch_all(&mut *connection).await?)
    }

    async fn note_tokens(&self, noted: Vec<(String, bool)>, notes: Vec<Note>) -> Result<(), StoreError> {
        self.in_transaction(CrashPoint::StoreWritten, move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO noted_token SELECT value ->> 0, value ->> 1 FROM json_each(?) WHERE true \
                     ON CONFLICT (id) DO UPDATE SET revoked = excluded.revoked",
                )
                .bind(to_json(&noted))
                .execute(&mut *connection)
                .await?;
                append(connection, notes.iter().map(NewEntry::about_the_site).collect()).await.map(|_| ())
            })
        })
        .await
    }

    async fn arrived(&self, peer: &Alias, after: u64, limit: usize) -> Result<Vec<Arrived>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let rows = sqlx::query(
            "SELECT id, at, exchange, seq, sha256 FROM history \
             WHERE peer = ? AND way = 'in' AND seq IS NOT NULL AND id > ? ORDER BY id LIMIT ?",
        )
        .bind(peer.as_str())
        .bind(after as i64)
        .bind(limit as i64)
        .fetch_all(&mut *connection)
        .await?;
        let read = |row: &SqliteRow| -> Result<Arrived, StoreError> {
            let damaged =
                || StoreError::Failed("an entry of the history does not read; `casebridge history verify`".into());
            let (exchange, sha256): (Option<&str>, Option<&str>) = (row.try_get(2)?, row.try_get(4)?);
            let exchange: ExchangeId = exchange.and_then(|text| text.parse().ok()).ok_or_else(damaged)?;
            Ok(Arrived {
                number: row.try_get::<i64, _>(0)? as u64,
                at: row.try_get::<&str, _>(1)?.parse().map_err(|_| damaged())?,
                exchange,
                seq: row.try_get::<i64, _>(3)? as u64,
                sha256: sha256.and_then(|text| text.parse().ok()).ok_or_else(damaged)?,
            })
        };
        rows.iter().map(read).collect()
    }

    async fn take_receipt(
        &self,
        peer: &Alias,
        receipt: &Receipt,
        on_the_way: &OnTheWay,
        at: Timestamp,
    ) -> Result<Taking, StoreError> {
        let (peer, receipt, on_the_way) = (peer.clone(), receipt.clone(), on_the_way.clone());
        self.in_transaction(CrashPoint::ReceiptKept, move |connection| {
            Box::pin(take_receipt(connection, peer, receipt, on_the_way, at))
        })
        .await
    }

    async fn receipts_of(&self, entries: &[u64], until: u64) -> Result<Vec<(u64, Receipt, usize)>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let rows = sqlx::query(
            "SELECT d.entry, d.receipt, d.place FROM receipted d \
             WHERE d.entry IN (SELECT value FROM json_each(?)) AND d.receipt <= ?",
        )
        .bind(to_json(entries))
        .bind(until as i64)
        .fetch_all(&mut *connection)
        .await?;
        let mut known: HashMap<i64, Receipt> = HashMap::new();
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let number: i64 = row.try_get(1)?;
            let receipt = match known.get(&number) {
                Some(receipt) => receipt.clone(),
                None => {
                    let content: Option<String> = sqlx::query_scalar("SELECT content FROM history WHERE id = ?")
                        .bind(number)
                        .fetch_one(&mut *connection)
                        .await?;
                    let damaged = |_| StoreError::Failed(format!("the receipt in entry {number} does not read"));
                    let receipt: Receipt = serde_json::from_str(&content.unwrap_or_default()).map_err(damaged)?;
                    known.insert(number, receipt.clone());
                    receipt
                }
            };
            found.push((row.try_get::<i64, _>(0)? as u64, receipt, row.try_get::<i64, _>(2)? as usize));
        }
        Ok(found)
    }

    async fn marks(&self, peer: &Alias) -> Result<Marks, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let row: Option<(i64, i64, i64)> =
            sqlx::query_as("SELECT given, taken, looked FROM receipt_mark WHERE peer = ?")
                .bind(peer.as_str())
                .fetch_optional(&mut *connection)
                .await?;
        let (given, taken, looked) = row.unwrap_or_default();
        Ok(Marks { given: given as u64, taken: taken as u64, looked: looked as u64 })
    }

    async fn mark(&self, peer: &Alias, given: Option<u64>, taken: Option<u64>) -> Result<(), StoreError> {
        let (peer, given, taken) =
            (peer.to_string(), given.map(|number| number as i64), taken.map(|number| number as i64));
        self.in_transaction(CrashPoint::ReceiptMarked, move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO receipt_mark (peer, given, taken) VALUES (?1, coalesce(?2, 0), coalesce(?3, 0)) \
                     ON CONFLICT (peer) DO UPDATE SET given = coalesce(?2, given), taken = coalesce(?3, taken)",
                )
                .bind(peer)
                .bind(given)
                .bind(taken)
                .execute(&mut *connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    async fn look_for_unproved(&self, peer: &Alias, before: Timestamp, limit: usize) -> Result<Unproved, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let (unproved, looked) = look_for_unproved(&mut connection, peer, before, limit).await?;
        drop(connection);
        let (Some(looked), peer) = (looked, peer.to_string()) else { return Ok(unproved) };
        self.in_transaction(CrashPoint::ReceiptMarked, move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO receipt_mark (peer, looked) VALUES (?, ?) \
                     ON CONFLICT (peer) DO UPDATE SET looked = excluded.looked",
                )
                .bind(peer)
                .bind(looked)
                .execute(&mut *connection)
                .await?;
                Ok(unproved)
            })
        })
        .await
    }

    async fn keys(&self, peer: Option<&Alias>) -> Result<Vec<KnownKey>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let rows =
            sqlx::query("SELECT peer, key, standing, since, endorsement FROM signing_key WHERE peer = ? ORDER BY id")
                .bind(peer.map(Alias::as_str).unwrap_or_default())
                .fetch_all(&mut *connection)
                .await?;
        rows.iter().map(known_key).collect()
    }

    async fn set_key(&self, key: KnownKey, note: Note) -> Result<(), StoreError> {
        self.in_transaction(CrashPoint::KeySet, move |connection| Box::pin(set_key(connection, key, note))).await
    }
}
