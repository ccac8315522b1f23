//! The engine: the same at every site. What it does follows the flow of an incident, and so do its files:
//!
//! - towards an upstream: `manual`, `detect`, `submit`, `link`, `push`, `poll_case`, `poll_updates`;
//! - towards a client: `receive`, `open`, `work` and `act` (a person's decisions), `overrule`, `feed`, `snapshot`;
//! - with the people of a case: `page` (links), `intake` (mails);
//! - files, apart from the operations: `prepare`, `transfer`, `attachments`;
//! - both ways: `fields`, `read`, `apply`, `untold`, `forward`, `health`, `retry`, `park`;
//! - between both stores: `digest`, `reconcile`, `resync`; what they sign for: `receipts`, `keys`;
//! - after a kill: `behind`; after lost state: `adopt`; after a jump of the clock: `clock_back`;
//! - clocks: `timing` (what is promised on a case), `deadlines`, `closing`, `jobs`;
//! - what else a site does when something happens: `react`, `carry_out`, `report`; kept by `reactions`;
//! - for people: `caller` (who gives a command), `inspect`, `why`, `cases`, `contacts`, `story`; by mail: `parties`, `tell`, `chase`, `hearing`, `post`.
//!
//! `settle` alone writes state.

mod act;
mod adopt;
mod anew;
mod apply;
mod attachments;
mod behind;
mod caller;
mod carry_out;
mod cases;
mod certificates;
mod chase;
mod clock_back;
mod closing;
mod contacts;
mod deadlines;
mod detect;
mod digest;
mod failing;
mod feed;
mod fields;
mod forward;
#[cfg(test)]
mod fuzz;
mod hand_over;
mod health;
mod hearing;
mod inspect;
mod intake;
mod jobs;
mod keys;
mod link;
mod manual;
mod noted;
mod open;
mod overrule;
mod page;
mod park;
mod parties;
mod poll_case;
mod poll_updates;
mod post;
mod prepare;
mod push;
mod react;
mod reactions;
mod read;
mod receipts;
mod receive;
mod reconcile;
mod remark;
mod report;
mod resync;
mod retry;
mod settle;
mod snapshot;
mod stand_in;
mod story;
mod strain;
mod submit;
mod taken;
mod tell;
mod timing;
mod transfer;
mod untold;
mod why;
mod work;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use crate::case::evidence::{Endorsement, PublicKey};
use crate::case::{Alias, ContentDigest, Deposit, ExchangeId, IncidentId, Links, SiteId};
use crate::clock::Clock;
use crate::config::Settings;
use crate::config::site_key::KeyFile;
use crate::notify::{Post, Webhooks};
use crate::peer::{PeerError, Upstream};
use crate::protocol::{Problem, ProblemType};
use crate::state::{PeerRecord, State, StateError};
use crate::store::{Appended, AwaitedAttachment, Begun, Cursor, Deposited, IncidentStore, StoreError};
use crate::telemetry::{CrashPoint, Seldom, crash_point};

pub use caller::{by_user, who};
pub use carry_out::ToDo;
pub use cases::{CaseCall, Download, Spool, WORK};
pub use certificates::ends_soon;
pub use feed::{FeedError, Position};
pub use intake::{Answer, Answered, Replied, Unanswered};
pub use keys::SiteKey;
pub use page::{CaseView, Leads, Shut};
pub use push::Pushed;
pub use retry::Backoff;
pub use strain::Strain;
pub use work::Decision;

/// Operations of one exchange that may wait for the peer before further changes are gathered into one.
const PENDING_LIMIT: usize = 64;

/// Why a step of the engine did not succeed. Nothing of the step is left behind; the loops try again.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The caller asked for something that is not possible.
    #[error("{0}")]
    Refused(Box<Problem>),
}

impl EngineError {
    /// Whether the same thing may work in a moment.
    fn is_busy(&self) -> bool {
        matches!(self, EngineError::Refused(problem) if problem.is(ProblemType::Busy))
    }
}

impl From<Problem> for EngineError {
    fn from(problem: Problem) -> Self {
        EngineError::Refused(Box::new(problem))
    }
}

/// What a site's engine is made of.
pub struct Parts {
    pub settings: Settings,
    pub store: Arc<dyn IncidentStore>,
    pub state: State,
    /// The way to the upstream, where the settings name one.
    pub upstream: Option<Arc<dyn Upstream>>,
    pub clock: Clock,
    pub key: SiteKey,
}

/// The engine of one site. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    settings: RwLock<Arc<Settings>>,
    upstream: RwLock<Option<Arc<dyn Upstream>>>,
    store: Arc<dyn IncidentStore>,
    state: State,
    clock: Clock,
    /// The latest instant that was seen, in milliseconds since 1970.
    latest: AtomicI64,
    started_at: Timestamp,
    /// Incidents that do not read, as the detector found them; the state has the same.
    unreadable: Mutex<BTreeSet<IncidentId>>,
    /// How far the store was read. Held by the one pass that reads it.
    detecting: tokio::sync::Mutex<Cursor>,
    /// What the last stop interrupted is taken up once.
    interrupted: tokio::sync::OnceCell<()>,
    /// Shared by those who write a record first and move its shadow then; taken alone by whoever compares the two.
    between_record_and_shadow: tokio::sync::RwLock<()>,
    /// Exchanges whose operation is on its way to the upstream right now.
    in_flight: Mutex<HashSet<ExchangeId>>,
    /// Whether the upstream can be talked to, as the last contact showed.
    upstream_up: watch::Sender<bool>,
    changed: Notify,
    to_push: Notify,
    to_open: Notify,
    /// Files may be there of which nobody decided yet whether they go.
    to_prepare: Notify,
    transfers: transfer::Transfers,
    taken: taken::Taken,
    /// Whether every exchange of the upstream's is known, so that its feed can be followed.
    upstream_known: watch::Sender<bool>,
    adopting: tokio::sync::Mutex<()>,
    feeds: Mutex<HashMap<Alias, Arc<Notify>>>,
    /// The key that this site signs with, and its file.
    own_key: RwLock<keys::Own>,
    key_file: Option<KeyFile>,
    /// Held by who changes how a key stands.
    settling_keys: tokio::sync::Mutex<()>,
    /// Held by who tells of tokens.
    noting_tokens: tokio::sync::Mutex<()>,
    /// What the upstream said of its key since this was last looked at.
    upstream_key: Mutex<Option<(PublicKey, Vec<Endorsement>)>>,
    receipts_due: Notify,
    /// Keys that nobody endorsed, and receipts that prove nothing.
    key_told: Seldom<Alias>,
    receipts_told: Seldom<(Alias, String)>,
    /// When operations without a receipt were last looked for.
    receipts_looked: Seldom<()>,
    /// When each client last showed itself.
    contacts: Mutex<HashMap<Alias, PeerRecord>>,
    endings: certificates::Endings,
    /// The site's mail, where it has any.
    post: RwLock<Option<Arc<Post>>>,
    /// What signs the links in mails, where the site has pages.
    links: OnceLock<Arc<Links>>,
    /// Held by the one pass that writes what people are told.
    telling: tokio::sync::Mutex<()>,
    /// Held by the one that sends.
    mail_server: tokio::sync::Mutex<post::ServerHealth>,
    /// Why no mail goes out.
    mail_trouble: Mutex<Option<String>>,
    to_mail: Notify,
    silence: intake::Silence,
    hearing: hearing::Hearing,
    overlooked: intake::Overlooked,
    failing: failing::Failing,
    strains: strain::Strains,
    /// The way out is another one: what the old one suffered does not count.
    is_new_post: AtomicBool,
    /// Held by the one run of a job of case management.
    checking: tokio::sync::Mutex<()>,
    /// Cases may wait to be closed.
    to_close: Notify,
    /// Told when a person asks for a job, by its name.
    asked: Mutex<HashMap<&'static str, Arc<Notify>>>,
    /// Why a peer was said to be down, lately.
    down_told: Seldom<(Alias, Option<String>)>,
    told_of_peer: Mutex<health::Told>,
    /// When the upstream's feed lacked something the last time.
    read_anew_at: Mutex<Option<Timestamp>>,
    /// Operations of exchanges that nobody here knows.
    unknown_told: Seldom<Alias>,
    /// Exchanges in a peer's list that nobody here knows.
    orphans_told: Seldom<Alias>,
    /// What a peer's feed lacked, and that it began anew.
    gaps_told: Seldom<Alias>,
    restarts_told: Seldom<Alias>,
    /// Operations of clients that were refused, and of those the ones that went round.
    refused_told: Seldom<Alias>,
    loops_told: Seldom<Alias>,
    /// Targets of reactions that fail.
    reaction_failing: Seldom<String>,
    webhooks: Webhooks,
}

impl Engine {
    /// Puts the parts together and reads where the last run stopped. The references of every client are adopted when
    /// the state is new.
    pub async fn start(parts: Parts) -> Result<Self, EngineError> {
        let (cursor, unreadable) =
            parts.state.transact::<_, StateError, _>(|t| Ok((t.store_cursor()?, t.unreadable()?))).await?;
        let SiteKey { key, file } = parts.key;
        let own_key = keys::Own::of(key, &parts.store.keys(None).await?);
        let engine = Self(Arc::new(Inner {
            own_key: RwLock::new(own_key),
            key_file: file,
            settling_keys: tokio::sync::Mutex::new(()),
            noting_tokens: tokio::sync::Mutex::new(()),
            upstream_key: Mutex::default(),
            receipts_due: Notify::new(),
            key_told: Seldom::default(),
            receipts_told: Seldom::default(),
            receipts_looked: Seldom::default(),
            latest: AtomicI64::new(parts.clock.now().as_millisecond()),
            started_at: parts.clock.now(),
            settings: RwLock::new(Arc::new(parts.settings)),
            upstream: RwLock::new(parts.upstream),
            store: parts.store,
            state: parts.state,
            clock: parts.clock,
            unreadable: Mutex::new(unreadable.into_iter().map(IncidentId).collect()),
            detecting: tokio::sync::Mutex::new(Cursor(cursor.unwrap_or_default())),
            interrupted: tokio::sync::OnceCell::new(),
            between_record_and_shadow: tokio::sync::RwLock::new(()),
            in_flight: Mutex::new(HashSet::new()),
            upstream_up: watch::Sender::new(false),
            changed: Notify::new(),
            to_push: Notify::new(),
            to_open: Notify::new(),
            to_prepare: Notify::new(),
            transfers: transfer::Transfers::default(),
            taken: taken::Taken::default(),
            upstream_known: watch::Sender::new(false),
            adopting: tokio::sync::Mutex::new(()),
            feeds: Mutex::new(HashMap::new()),
            contacts: Mutex::new(HashMap::new()),
            endings: certificates::Endings::default(),
            post: RwLock::default(),
            links: OnceLock::new(),
            telling: tokio::sync::Mutex::default(),
            mail_server: tokio::sync::Mutex::default(),
            mail_trouble: Mutex::default(),
            to_mail: Notify::new(),
            silence: intake::Silence::default(),
            hearing: hearing::Hearing::default(),
            overlooked: intake::Overlooked::default(),
            failing: failing::Failing::default(),
            strains: strain::Strains::default(),
            is_new_post: AtomicBool::new(false),
            checking: tokio::sync::Mutex::new(()),
            to_close: Notify::new(),
            asked: Mutex::new(HashMap::new()),
            down_told: Seldom::default(),
            told_of_peer: Mutex::default(),
            read_anew_at: Mutex::default(),
            unknown_told: Seldom::default(),
            orphans_told: Seldom::default(),
            gaps_told: Seldom::default(),
            restarts_told: Seldom::default(),
            refused_told: Seldom::default(),
            loops_told: Seldom::default(),
            reaction_failing: Seldom::default(),
            webhooks: Webhooks::default(),
        }));
        engine.store().follow(&[react::CONSUMER]).await?;
        engine.check_due_index().await?;
        let settings = engine.settings();
        let clients = settings.clients.iter().map(|client| &client.alias);
        for peer in clients.chain(settings.upstream.iter().map(|upstream| &upstream.alias)) {
            engine.catch_up_references(peer).await?;
        }
        engine.adopt_clients().await?;
        Ok(engine)
    }

    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.0.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes new settings, and a new way to the upstream that belongs to them; takes up the exchanges of new clients.
    pub async fn reload(&self, settings: Settings, upstream: Option<Arc<dyn Upstream>>) -> Result<(), EngineError> {
        *self.0.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        *self.0.upstream.write().unwrap_or_else(PoisonError::into_inner) = upstream;
        self.0.changed.notify_one();
        self.0.to_push.notify_one();
        self.adopt_clients().await
    }

    /// Stores incidents, each once, and wakes the detector.
    pub async fn deposit(&self, deposits: Vec<Deposit>) -> Result<Vec<Deposited>, EngineError> {
        let deposited = self.store().deposit(deposits, self.now()).await?;
        crash_point(CrashPoint::DepositStored);
        self.0.changed.notify_one();
        Ok(deposited)
    }

    /// Listed attachments that are not there yet.
    pub async fn awaited_attachments(&self, after: i64, limit: usize) -> Result<Vec<AwaitedAttachment>, EngineError> {
        Ok(self.store().awaited_attachments(after, limit).await?)
    }

    /// A content of the site's own, to be written in pieces.
    pub async fn begin_content(&self, sha256: &ContentDigest, bytes: u64) -> Result<Begun, EngineError> {
        Ok(self.store().begin_content(sha256, bytes).await?)
    }

    /// The next piece of a content.
    pub async fn append(&self, content: i64, start: u64, piece: Vec<u8>) -> Result<Appended, EngineError> {
        Ok(self.store().append(content, start, piece, self.now()).await?)
    }

    /// Gives a listed attachment its content.
    pub async fn add_attachment(&self, id: i64, content: i64) -> Result<(), EngineError> {
        self.store().add_attachment(id, content, self.now()).await?;
        self.0.to_prepare.notify_one();
        Ok(())
    }

    /// Sees a new value when something may have happened.
    pub fn happenings(&self) -> watch::Receiver<()> {
        self.store().happenings()
    }

    /// Resolves when the state can no longer be written: the process has to stop.
    pub async fn state_failed(&self) -> String {
        self.0.state.failed().await
    }

    /// Lets go of the incident store, after the last of the work.
    pub async fn close(&self) {
        self.store().close().await;
    }

    /// Whether the state writes files that it never syncs; it must not.
    pub fn state_has_blobs(&self) -> bool {
        self.0.state.has_blobs()
    }

    /// Answers when the committer does: the watchdog's question.
    pub async fn is_alive(&self) -> bool {
        self.0.state.transact::<_, StateError, _>(|_| Ok(())).await.is_ok()
    }

    fn store(&self) -> &Arc<dyn IncidentStore> {
        &self.0.store
    }

    fn state(&self) -> &State {
        &self.0.state
    }

    /// The time by the engine's clock.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The number of this site, which its store was made with.
    pub fn site(&self) -> SiteId {
        self.0.store.site()
    }

    fn upstream(&self) -> Option<(Alias, Arc<dyn Upstream>)> {
        let peer = self.0.upstream.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let alias = self.settings().upstream.as_ref()?.alias.clone();
        Some((alias, peer))
    }

    /// Tells a client's waiting polls that there is news.
    fn feed(&self, client: &Alias) -> Arc<Notify> {
        let mut feeds = self.0.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(feeds.entry(client.clone()).or_default())
    }

    /// Wakes whoever carries operations to these peers.
    fn wake(&self, peers: &HashSet<Alias>) {
        let upstream = self.settings().upstream.as_ref().map(|upstream| upstream.alias.clone());
        for peer in peers {
            if upstream.as_ref() == Some(peer) {
                self.0.to_push.notify_one();
            } else {
                self.feed(peer).notify_waiters();
            }
        }
    }

    /// Does nothing until the store may hold news, or `poll` says so.
    pub async fn wait_for_changes(&self) {
        let poll = self.settings().store.poll_interval;
        loop {
            let told = tokio::time::timeout(poll, self.0.changed.notified()).await.is_ok();
            let cursor = self.0.detecting.lock().await.clone();
            // A store that cannot be asked is asked by the pass itself, which reports the fault.
            if told || self.store().has_changes(&cursor).await.unwrap_or(true) {
                return;
            }
        }
    }
}
