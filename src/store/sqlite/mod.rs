//! The embedded default: one SQLite file, open to every other program on the site. The files in
//! `schema` document it.

mod cases;
mod claim;
mod columns;
mod contacts;
mod content;
mod deadline;
mod deposit;
mod events;
mod history;
mod link;
mod list;
mod mail;
mod open;
mod page;
mod reaction;
mod read;
mod rows;
mod sharing;
mod values;
mod write;

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    AwaitedAttachment, ChangePage, Cursor, Deposited, IncidentStore, ListPage, ListQuery, Loaded, Open, Opened,
    StoreError, Write, Written,
};
use crate::case::{Alias, Attachment, Deposit, ExchangeId, HistoryLine, IncidentId, Reference, SiteId};
use crate::config::settings;
use crate::telemetry::{CrashPoint, crash_point};

/// One file for each idea, in the order in which they are made.
const SCHEMAS: &[&str] = &[
    include_str!("schema/01_exchange.sql"),
    include_str!("schema/02_milestones.sql"),
    include_str!("schema/03_cases.sql"),
    include_str!("schema/04_deadlines.sql"),
    include_str!("schema/05_mail.sql"),
    include_str!("schema/06_pages.sql"),
    include_str!("schema/07_reactions.sql"),
    include_str!("schema/08_history.sql"),
    include_str!("schema/09_contacts.sql"),
];
const SCHEMA_VERSION: i64 = 1;

/// Cheap to clone. One connection writes, a few read.
#[derive(Clone)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    site: SiteId,
    /// Told after each commit.
    happened: Arc<watch::Sender<()>>,
    /// Why the last write failed, if it did.
    trouble: Arc<Mutex<Option<StoreError>>>,
    _claim: Option<Arc<File>>,
}

/// Rows that SQLite's thread may be ahead of whoever reads them.
const ROWS: usize = 512;

/// Pages that a connection keeps, as SQLite wants it said: minus so many KiB. The system has the file in memory as well.
const WRITER_KIB: &str = "-8192";
const READERS_KIB: &str = "-2048";

/// What to look at when permissions are in the way.
const MAY_WRITE: &str = "may the user that casebridge runs as write to the file and into its directory?";

impl SqliteStore {
    /// Opens the store, and creates it when the file is not there.
    pub async fn open(settings: &settings::Store) -> Result<Self, StoreError> {
        if let Some(parent) = settings.path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent)
                .map_err(|error| StoreError::Failed(format!("{} cannot be made: {error}", parent.display())))?;
        }
        // SQLite opens a file that may only be read without a word.
        if let Err(error) = rustix::fs::access(&settings.path, rustix::fs::Access::WRITE_OK)
            && error != rustix::io::Errno::NOENT
        {
            let path = settings.path.display();
            return Err(StoreError::Failed(format!("{path} cannot be opened: {error}; {MAY_WRITE}")));
        }
        let options = options(settings)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An acknowledged write survives a power cut (design, invariant 1).
            .synchronous(SqliteSynchronous::Full);
        let writer = pool(settings, 1, options.clone().pragma("cache_size", WRITER_KIB)).await?;
        let site = {
            let mut connection = writer.acquire().await?;
            create_or_check(&mut connection).await.map_err(|fault| cannot_open(&settings.path, fault))?
        };
        let readers = pool(settings, 2, options).await?;
        Ok(Self { writer, readers, site, happened: Arc::default(), trouble: Arc::default(), _claim: None })
    }

    /// Opens a store that is there, to read it: nothing is made, and nothing can be written.
    pub async fn open_to_read(settings: &settings::Store) -> Result<Self, StoreError> {
        let failed = |reason: &str| StoreError::Failed(format!("{} {reason}", settings.path.display()));
        if let Err(fault) = std::fs::metadata(&settings.path) {
            return Err(match fault.kind() {
                std::io::ErrorKind::NotFound => failed("is not there"),
                _ => failed(&format!("cannot be opened: {fault}")),
            });
        }
        let readers = pool(settings, 2, options(settings).read_only(true)).await?;
        let site = {
            let mut connection = readers.acquire().await?;
            match version(&mut connection).await.map_err(|fault| cannot_open(&settings.path, fault))? {
                0 => return Err(failed("holds no incident store")),
                found if found > SCHEMA_VERSION => return Err(StoreError::Newer { found, known: SCHEMA_VERSION }),
                _ => site(&mut connection).await?,
            }
        };
        let writer = readers.clone();
        Ok(Self { writer, readers, site, happened: Arc::default(), trouble: Arc::default(), _claim: None })
    }

    /// The store as that of the one daemon that works on it. Other programs come and go beside it.
    pub fn claimed(self, settings: &settings::Store) -> Result<Self, StoreError> {
        let claim = claim::claim(&settings.path)?;
        Ok(Self { _claim: Some(Arc::new(claim)), ..self })
    }

    /// Runs `work` in one transaction that takes the write lock at once. In a task of its own: a caller that goes away,
    /// such as a dropped request, cannot leave it half done. `done` lies behind its commit.
    async fn in_transaction<T, F>(&self, done: CrashPoint, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, T> + Send + 'static,
    {
        let (writer, happened) = (self.writer.clone(), Arc::clone(&self.happened));
        let trouble = Arc::clone(&self.trouble);
        let task = tokio::spawn(async move {
            let outcome = match writer.acquire().await {
                Ok(mut connection) => {
                    let outcome = transact(&mut connection, done, work).await;
                    happened.send_replace(());
                    if outcome.is_err() {
                        // SQLite takes some transactions back by itself, on a full disk for one. sqlx believes it to be in
                        // them for ever after, and begins no other on this connection.
                        let _ = connection.close().await;
                    }
                    outcome
                }
                Err(fault) => Err(fault.into()),
            };
            *trouble.lock().unwrap_or_else(PoisonError::into_inner) = outcome.as_ref().err().cloned();
            outcome
        });
        task.await.unwrap_or_else(|error| Err(StoreError::Failed(error.to_string())))
    }
}

async fn transact<T, F>(connection: &mut SqliteConnection, done: CrashPoint, work: F) -> Result<T, StoreError>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, T>,
{
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let result = work(&mut transaction).await?;
    crash_point(CrashPoint::StoreCommitting);
    transaction.commit().await?;
    crash_point(done);
    Ok(result)
}

type Work<'c, T> = std::pin::Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'c>>;

/// Of every connection.
fn options(settings: &settings::Store) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(&settings.path)
        .busy_timeout(settings.busy_timeout)
        .foreign_keys(true)
        // A page of rows comes over from SQLite's thread without a stop on the way.
        .row_buffer_size(ROWS)
        .pragma("cache_size", READERS_KIB)
        .pragma("temp_store", "memory")
}

async fn pool(
    settings: &settings::Store,
    connections: u32,
    options: SqliteConnectOptions,
) -> Result<SqlitePool, StoreError> {
    let pool = SqlitePoolOptions::new().max_connections(connections).acquire_timeout(settings.busy_timeout * 4);
    let pool = connect(pool.test_before_acquire(false), options, settings.busy_timeout).await;
    pool.map_err(|fault| cannot_open(&settings.path, fault))
}

/// Several that make a new store WAL at the same moment do not wait for each other inside SQLite, so they do here.
async fn connect(
    pool: SqlitePoolOptions,
    options: SqliteConnectOptions,
    patience: Duration,
) -> Result<SqlitePool, StoreError> {
    const PAUSE: Duration = Duration::from_millis(20);
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        match pool.clone().connect_with(options.clone()).await.map_err(StoreError::from) {
            Err(StoreError::Busy(_)) if tokio::time::Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            other => return other,
        }
    }
}

fn cannot_open(path: &Path, fault: StoreError) -> StoreError {
    match fault {
        StoreError::Failed(reason) => StoreError::Failed(format!("{} cannot be opened: {reason}", path.display())),
        other => other,
    }
}

async fn create_or_check(connection: &mut SqliteConnection) -> Result<SiteId, StoreError> {
    match create_or_write(connection).await {
        // A store that is there and in use by another program for now does not keep the daemon from starting.
        Err(StoreError::Busy(reason)) => match version(connection).await? {
            SCHEMA_VERSION => site(connection).await,
            _ => Err(StoreError::Busy(reason)),
        },
        other => other,
    }
}

async fn version(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("PRAGMA user_version").fetch_one(connection).await?)
}

async fn create_or_write(connection: &mut SqliteConnection) -> Result<SiteId, StoreError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let found = version(&mut transaction).await?;
    if found > SCHEMA_VERSION {
        return Err(StoreError::Newer { found, known: SCHEMA_VERSION });
    }
    if found == 0 {
        for &schema in SCHEMAS {
            sqlx::raw_sql(schema).execute(&mut *transaction).await?;
        }
        sqlx::query("INSERT INTO meta VALUES ('site', ?)")
            .bind(Uuid::new_v4().to_string())
            .execute(&mut *transaction)
            .await?;
        sqlx::raw_sql("PRAGMA user_version = 1").execute(&mut *transaction).await?;
    }
    let site = site(&mut transaction).await?;
    transaction.commit().await?;
    Ok(site)
}

async fn site(connection: &mut SqliteConnection) -> Result<SiteId, StoreError> {
    let site: String = sqlx::query_scalar("SELECT value FROM meta WHERE name = 'site'").fetch_one(connection).await?;
    let site = Uuid::parse_str(&site).map_err(|_| StoreError::Failed("the store's site ID does not read".into()))?;
    Ok(SiteId(site))
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        /// SQLite's primary result codes for what passes: busy, locked, full.
        const PASSING: [i64; 3] = [5, 6, 13];
        /// And for what permissions forbid: read-only, cannot be opened.
        const FORBIDDEN: [i64; 2] = [8, 14];
        let code = error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<i64>().ok());
        let is = |codes: &[i64]| code.is_some_and(|code| codes.contains(&(code & 0xff)));
        if is(&PASSING) || matches!(error, sqlx::Error::PoolTimedOut) {
            StoreError::Busy(error.to_string())
        } else if is(&FORBIDDEN) {
            StoreError::Failed(format!("{error}; {MAY_WRITE}"))
        } else {
            StoreError::Failed(error.to_string())
        }
    }
}

#[async_trait]
impl IncidentStore for SqliteStore {
    fn site(&self) -> SiteId {
        self.site
    }

    async fn close(&self) {
        self.readers.close().await;
        // The last connection takes the WAL back into the file.
        self.writer.close().await;
    }

    fn trouble(&self) -> Option<StoreError> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn changes(&self, after: &Cursor, limit: usize) -> Result<ChangePage, StoreError> {
        // One picture: a record and its references belong together.
        let mut connection = self.readers.begin().await?;
        read::changes(&mut connection, after, limit).await
    }

    async fn has_changes(&self, after: &Cursor) -> Result<bool, StoreError> {
        let mut connection = self.readers.acquire().await?;
        read::has_changes(&mut connection, after).await
    }

    async fn load(&self, incidents: &[IncidentId]) -> Result<Loaded, StoreError> {
        // One picture: a record and its references belong together.
        let mut connection = self.readers.begin().await?;
        read::load(&mut connection, incidents).await
    }

    async fn referenced(&self, peer: &Alias, after: Option<ExchangeId>, limit: usize) -> Result<Loaded, StoreError> {
        // One picture: a record and its references belong together.
        let mut connection = self.readers.begin().await?;
        read::referenced(&mut connection, peer, after, limit).await
    }

    async fn references(
        &self,
        peer: &Alias,
        after: Option<ExchangeId>,
        limit: usize,
    ) -> Result<Vec<(IncidentId, Reference)>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        read::references_at(&mut connection, peer, after, limit).await
    }

    async fn deposit(&self, deposits: Vec<Deposit>, at: Timestamp) -> Result<Vec<Deposited>, StoreError> {
        self.in_transaction(CrashPoint::StoreDeposited, move |connection| {
            Box::pin(deposit::deposit(connection, deposits, at))
        })
        .await
    }

    async fn open(&self, opens: Vec<Open>) -> Result<Vec<Opened>, StoreError> {
        self.in_transaction(CrashPoint::StoreOpened, move |connection| Box::pin(open::open(connection, opens))).await
    }

    async fn link(&self, opens: Vec<Open>) -> Result<Vec<Option<Opened>>, StoreError> {
        self.in_transaction(CrashPoint::StoreLinked, move |connection| Box::pin(link::link(connection, opens))).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<Vec<Written>, StoreError> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        self.in_transaction(CrashPoint::StoreWritten, move |connection| Box::pin(write::write(connection, writes)))
            .await
    }

    async fn list(&self, query: &ListQuery) -> Result<ListPage, StoreError> {
        // One picture: a record and its references belong together.
        let mut connection = self.readers.begin().await?;
        list::list(&mut connection, query).await
    }

    async fn history(&self, incident: IncidentId, limit: usize) -> Result<Vec<HistoryLine>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        read::history(&mut connection, incident, limit).await
    }

    async fn attachments(&self, incident: IncidentId) -> Result<Vec<Attachment>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        deposit::attachments(&mut connection, incident).await
    }

    async fn awaited_attachments(&self, after: i64, limit: usize) -> Result<Vec<AwaitedAttachment>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        deposit::awaited(&mut connection, after, limit).await
    }

    async fn add_attachment(&self, id: i64, content: i64, at: Timestamp) -> Result<(), StoreError> {
        self.in_transaction(CrashPoint::AttachmentAdded, move |connection| {
            Box::pin(deposit::add_attachment(connection, id, content, at))
        })
        .await
    }
}
