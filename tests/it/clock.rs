//! Time is not trusted (invariant 7): a peer whose clock is wrong, and a clock of our own that jumps.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use casebridge::case::{ContentDigest, Deposit, Event, ExchangeId, Texts};
use casebridge::clock::Clock;
use casebridge::config::Settings;
use casebridge::exchange::{Engine, Parts, Pushed, SiteKey};
use casebridge::peer::{PeerError, Upstream};
use casebridge::protocol::{
    ContentRange, DigestPage, ExchangePage, OperationAnswer, OperationBatch, OperationRequest, OperationResult,
    Outcome, ProblemType, SiteAnswer, TransactionAnswer, TransactionList, TransactionStep, UpdateAnswer,
};
use casebridge::state::State;
use casebridge::store::{IncidentStore, SqliteStore};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::Connection;
use tempfile::TempDir;

use crate::support::eventually;
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL, end_user_config, partner_config};
use crate::support::relay::{Relayed, Twist};
use crate::support::site::write_secret;

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_whose_clock_is_an_hour_wrong_is_told_of_and_nothing_else_changes() {
    for hours in [1, -1] {
        let mut pair = Relayed::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
        pair.relay.twist(move |call| {
            if call.path != "/v1/site" {
                return Twist::Pass;
            }
            Twist::Tell(Box::new(move |mut site| {
                let time: Timestamp = site["time"].as_str().unwrap().parse().unwrap();
                site["time"] = json!(time + SignedDuration::from_hours(hours));
                site
            }))
        });
        pair.run().await;
        pair.end_user.insert(0, 20).await;
        pair.open(20).await;
        let status = pair.end_user.get("/v1/status").await.body;
        let difference = status["peers"][0]["clock_difference_seconds"].as_f64().unwrap();
        // The request itself takes a moment.
        assert!((difference - 3600.0 * hours as f64).abs() < 30.0, "{difference}");
        assert_eq!(status["warnings"], json!(["the clocks of this site and of partner differ by more than 30 s"]));
        assert_eq!((&status["peers"][0]["health"], &status["parked"]), (&json!("up"), &json!(0)));
        assert_eq!(pair.opened().await, (20, 20));
        pair.partner.act("/v1/incidents/1/close", json!({"operator": "bert", "comment": "done"})).await;
        eventually("the end", || async {
            let closed = pair.end_user.count("SELECT count(*) FROM incident WHERE phase = 'close'").await;
            (closed == 1).then_some(())
        })
        .await;
    }
}

/// A site in this process, whose clock moves by hand.
struct Bench {
    dir: TempDir,
    clock: Clock,
    settings: Settings,
    upstream: Arc<Fake>,
}

const NOON: &str = "2026-11-21T12:00:00Z";
const DAY: i64 = 86_400_000;

impl Bench {
    fn new(config: impl Fn(u16, &str) -> String, more: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("cb-").tempdir().unwrap();
        std::fs::create_dir(dir.path().join("inbox")).unwrap();
        write_secret(&dir.path().join("password"), "correct horse battery");
        let text = config(1, more).replace("{dir}", dir.path().to_str().unwrap());
        let text = text.replace("first = \"50ms\"\nmax = \"400ms\"", "first = \"10s\"\nmax = \"60s\"");
        let settings = Settings::parse(&text, "config.toml", dir.path()).map_err(|fault| fault.to_string()).unwrap();
        Self { dir, clock: Clock::manual(NOON.parse().unwrap()), settings, upstream: Arc::default() }
    }

    /// The engine, and its state, which has to be closed before the next start.
    async fn start(&self) -> (Engine, State) {
        let store = SqliteStore::open(&self.settings.store).await.unwrap();
        let state = State::open(&self.settings.state, store.site(), self.clock.now()).unwrap();
        let upstream: Option<Arc<dyn Upstream>> = match self.settings.upstream {
            Some(_) => Some(Arc::clone(&self.upstream) as Arc<dyn Upstream>),
            None => None,
        };
        let parts = Parts {
            settings: self.settings.clone(),
            store: Arc::new(store),
            state: state.clone(),
            upstream,
            clock: self.clock.clone(),
            key: SiteKey::unkept().unwrap(),
        };
        (Engine::start(parts).await.unwrap(), state)
    }
}

/// An upstream that takes everything, or fails over everything.
#[derive(Default)]
struct Fake {
    fails: AtomicBool,
    away: AtomicBool,
    batches: AtomicU64,
    taken: Mutex<Vec<(ExchangeId, u64)>>,
    /// Its feed begins anew; and its answers to operations, and then its pages, wait for the story.
    restarted: AtomicBool,
    /// Its feed tells of exchanges that nobody knows, and each page has a cursor of its own.
    invents: AtomicBool,
    answers: Gate,
    pages: Gate,
}

/// Open, until a story closes it.
#[derive(Default)]
struct Gate {
    closed: AtomicBool,
    reached: AtomicBool,
    opened: tokio::sync::Notify,
}

impl Gate {
    async fn pass(&self) {
        if self.closed.load(Ordering::SeqCst) {
            self.reached.store(true, Ordering::SeqCst);
            self.opened.notified().await;
        }
    }
}

#[async_trait]
impl Upstream for Fake {
    async fn site(&self) -> Result<SiteAnswer, PeerError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(PeerError::TimedOut);
        }
        Ok(SiteAnswer {
            alias: "partner".parse().unwrap(),
            client: "north".parse().unwrap(),
            version: "0".into(),
            protocol: "1.0".into(),
            time: NOON.parse().unwrap(),
            capabilities: Vec::new(),
            key: None,
            endorsements: Vec::new(),
        })
    }

    async fn operations(&self, batch: &OperationBatch) -> Result<OperationAnswer, PeerError> {
        self.batches.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            let problem = Box::new(ProblemType::Internal.with("no"));
            return Err(PeerError::Refused { problem, retry_after: None });
        }
        self.answers.pass().await;
        let mut taken = self.taken.lock().unwrap();
        let results = batch.operations.iter().map(|one| {
            taken.push((one.exchange, one.seq));
            let transaction = format!("T-{}", one.exchange).parse().unwrap();
            OperationResult { exchange: one.exchange, seq: one.seq, outcome: Outcome::Applied { transaction } }
        });
        Ok(OperationAnswer { results: results.collect() })
    }

    async fn transactions(&self, exchanges: &[ExchangeId]) -> Result<TransactionList, PeerError> {
        let pending = |exchange: &ExchangeId| TransactionAnswer {
            exchange: *exchange,
            transaction: format!("T-{exchange}").parse().ok(),
            step: TransactionStep::Pending,
            case: None,
        };
        Ok(TransactionList { transactions: exchanges.iter().map(pending).collect() })
    }

    async fn updates(&self, after: &str, _: Duration, _: usize) -> Result<UpdateAnswer, PeerError> {
        if self.restarted.load(Ordering::SeqCst) {
            let problem = Box::new(ProblemType::CursorLost.with("it began anew"));
            return Err(PeerError::Refused { problem, retry_after: None });
        }
        if self.invents.load(Ordering::SeqCst) {
            let next = after.trim_start_matches("c-").parse::<u64>().unwrap() + 1;
            let operation = json!({"kind": "update", "content": {}});
            let one = json!({"exchange": format!("{next:032x}"), "seq": 1, "transaction": "1", "operation": operation});
            let answer = json!({"cursor": format!("c-{next}"), "operations": [one]});
            return Ok(serde_json::from_str(&answer.to_string()).unwrap());
        }
        Ok(UpdateAnswer { protocol: None, cursor: after.to_owned(), operations: Vec::new() })
    }

    async fn exchanges(&self, _: Option<ExchangeId>, _: usize) -> Result<ExchangePage, PeerError> {
        self.pages.pass().await;
        Ok(ExchangePage { cursor: "c-0".into(), exchanges: Vec::new(), more: false })
    }

    async fn exchanges_of(&self, _: &[ExchangeId], _: Texts) -> Result<ExchangePage, PeerError> {
        self.exchanges(None, 0).await
    }

    async fn digests(&self, _: Option<ExchangeId>, _: Option<ExchangeId>, _: Texts) -> Result<DigestPage, PeerError> {
        Ok(DigestPage::default())
    }

    async fn attachment_offset(&self, _: ExchangeId, _: &ContentDigest) -> Result<Option<u64>, PeerError> {
        Ok(None)
    }

    async fn put_attachment(
        &self,
        _: ExchangeId,
        _: &ContentDigest,
        range: ContentRange,
        _: Vec<u8>,
    ) -> Result<u64, PeerError> {
        Ok(range.end)
    }

    async fn get_attachment(&self, _: ExchangeId, _: &ContentDigest, _: u64, _: u64) -> Result<Vec<u8>, PeerError> {
        Ok(Vec::new())
    }
}

fn deposit(number: usize) -> Deposit {
    let event =
        Event { host_event_id: format!("edge1-{number}"), synopsis: "Chassis alarm".into(), ..Event::default() };
    Deposit { event, ..Deposit::default() }
}

const SOON: Duration = Duration::from_millis(1);

/// An end user with one incident that the upstream failed over once.
async fn failed_once(bench: &Bench) -> (Engine, State) {
    let (engine, state) = bench.start().await;
    engine.probe().await.unwrap();
    bench.upstream.fails.store(true, Ordering::SeqCst);
    engine.deposit(vec![deposit(1)]).await.unwrap();
    engine.detect_all().await.unwrap();
    assert_eq!(engine.push().await.unwrap(), Pushed::Some(1));
    bench.upstream.fails.store(false, Ordering::SeqCst);
    // The back-off holds.
    engine.wait_for_due(SOON).await.unwrap();
    assert_eq!(engine.push().await.unwrap(), Pushed::Nothing);
    (engine, state)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_back_a_day_keeps_no_operation_waiting_for_a_day() {
    let bench = Bench::new(end_user_config, SUBMIT_ALL);
    let (engine, _state) = failed_once(&bench).await;
    bench.clock.advance(-DAY);
    engine.wait_for_due(SOON).await.unwrap();
    assert_eq!(engine.push().await.unwrap(), Pushed::Some(1));
    assert_eq!(bench.upstream.taken.lock().unwrap().len(), 1);
    // What was acknowledged is not sent again, whatever the clock does.
    for jump in [-DAY, 3 * DAY, -DAY] {
        bench.clock.advance(jump);
        engine.wait_for_due(SOON).await.unwrap();
        engine.push().await.unwrap();
    }
    assert_eq!(bench.upstream.taken.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_back_while_the_daemon_is_down_is_noticed_at_the_start() {
    let bench = Bench::new(end_user_config, SUBMIT_ALL);
    let (engine, state) = failed_once(&bench).await;
    drop(engine);
    state.close().await.unwrap();
    bench.clock.advance(-DAY);
    let (engine, _state) = bench.start().await;
    engine.probe().await.unwrap();
    assert_eq!(engine.push().await.unwrap(), Pushed::Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_correction_of_the_clock_does_not_cut_a_back_off_short() {
    let bench = Bench::new(end_user_config, SUBMIT_ALL);
    let (engine, _state) = failed_once(&bench).await;
    bench.clock.advance(-2_000);
    engine.wait_for_due(SOON).await.unwrap();
    assert_eq!(engine.push().await.unwrap(), Pushed::Nothing);
    bench.clock.advance(12_000);
    assert_eq!(engine.push().await.unwrap(), Pushed::Some(1), "and it ends when its time has come");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_was_heard_of_in_the_future_is_asked_for_once() {
    let bench = Bench::new(end_user_config, SUBMIT_ALL);
    let (engine, _state) = failed_once(&bench).await;
    bench.clock.advance(60_000);
    assert_eq!(engine.push().await.unwrap(), Pushed::Some(1));
    // The next look is a day away, and stays so.
    bench.clock.advance(DAY / 24);
    assert_eq!(engine.check_silent().await.unwrap(), 0);
    bench.clock.advance(-DAY);
    assert_eq!(engine.check_silent().await.unwrap(), 1);
    assert_eq!(engine.check_silent().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_ahead_gives_nothing_up() {
    let mut bench = Bench::new(end_user_config, SUBMIT_ALL);
    bench.settings.retry.retry_after_max = Duration::from_secs(60);
    let (engine, _state) = failed_once(&bench).await;
    bench.upstream.fails.store(true, Ordering::SeqCst);
    // A machine without a battery starts in 1970, and learns the time when the network is there.
    bench.clock.advance(56 * 365 * DAY);
    assert_eq!(engine.push().await.unwrap(), Pushed::Some(1));
    bench.upstream.away.store(true, Ordering::SeqCst);
    engine.probe().await.unwrap_err();
    bench.clock.advance(30 * DAY);
    engine.probe().await.unwrap_err();
    assert_eq!(engine.parked(10).await.unwrap().total, 0, "two failures are no week of failures");
    bench.upstream.away.store(false, Ordering::SeqCst);
    bench.upstream.fails.store(false, Ordering::SeqCst);
    engine.probe().await.unwrap();
    assert_eq!(engine.push().await.unwrap(), Pushed::Some(1));
    assert_eq!(engine.parked(10).await.unwrap().total, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_could_not_take_is_not_kept_back_by_a_clock_that_jumps() {
    let more = "[store]\nbusy_timeout = \"100ms\"\n";
    let config = |port: u16, _: &str| partner_config(port, "").replace("[store]\n", more);
    let mut bench = Bench::new(config, "");
    bench.settings.listen.as_mut().unwrap().answer_within = Duration::from_secs(30);
    let (engine, _state) = bench.start().await;
    let path = bench.dir.path().join("incidents.db");
    let mut lock = sqlx::SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut lock).await.unwrap();
    let request: OperationRequest = serde_json::from_value(crate::support::caller::create(1)).unwrap();
    let results = engine.receive(&"north".parse().unwrap(), OperationBatch::ours(vec![request])).await.unwrap();
    assert_eq!(results[0].outcome, Outcome::Received);
    assert_eq!(engine.open_received().await.unwrap(), 1, "and it is put off once more");
    sqlx::query("ROLLBACK").execute(&mut lock).await.unwrap();
    bench.clock.advance(-DAY);
    engine.wait_for_received(SOON).await.unwrap();
    assert_eq!(engine.open_received().await.unwrap(), 1);
    let listed = engine.incidents(&Default::default()).await.unwrap();
    assert_eq!(listed.incidents.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_while_the_exchanges_are_read_anew_is_not_taken_for_forgotten() {
    let bench = Bench::new(end_user_config, SUBMIT_ALL);
    let (engine, _state) = bench.start().await;
    engine.probe().await.unwrap();
    assert_eq!(engine.push().await.unwrap(), Pushed::Nothing);
    engine.deposit(vec![deposit(1)]).await.unwrap();
    engine.detect_all().await.unwrap();
    bench.upstream.answers.closed.store(true, Ordering::SeqCst);
    bench.upstream.pages.closed.store(true, Ordering::SeqCst);
    let spawn = || {
        tokio::spawn({
            let engine = engine.clone();
            async move { engine.push().await }
        })
    };
    let create = spawn();
    eventually("the create under way", || async { (bench.upstream.batches.load(Ordering::SeqCst) == 1).then_some(()) })
        .await;
    bench.upstream.restarted.store(true, Ordering::SeqCst);
    engine.poll_updates(SOON).await.unwrap();
    bench.upstream.restarted.store(false, Ordering::SeqCst);
    let adopts = spawn();
    eventually("the pages to be asked for", || async {
        bench.upstream.pages.reached.load(Ordering::SeqCst).then_some(())
    })
    .await;
    bench.upstream.answers.opened.notify_one();
    assert_eq!(create.await.unwrap().unwrap(), Pushed::Some(1));
    bench.upstream.pages.opened.notify_one();
    adopts.await.unwrap().unwrap();
    assert_eq!(engine.parked(10).await.unwrap().total, 0, "the upstream has just said that it has it");
}

/// The loop that polls goes on at once after news alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_invents_exchanges_has_no_news_however_its_cursor_goes_on() {
    let bench = Bench::new(end_user_config, SUBMIT_ALL);
    let (engine, _state) = bench.start().await;
    engine.probe().await.unwrap();
    assert_eq!(engine.push().await.unwrap(), Pushed::Nothing);
    bench.upstream.invents.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(engine.poll_updates(SOON).await.unwrap(), 0);
    }
}
