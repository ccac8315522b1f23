//! One site: a store and a state on the disk, an engine over them, and a clock that is moved by hand.

use std::collections::BTreeSet;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use casebridge::case::{CaseState, Deposit, Event, HistoryLine, Incident, IncidentId, Priority};
use casebridge::clock::Clock;
use casebridge::config::{Cron, Settings};
use casebridge::exchange::{Engine, Parts, Pushed};
use casebridge::jobs::is_due;
use casebridge::peer::Upstream;
use casebridge::state::State;
use casebridge::store::{DeadlineStore, IncidentStore, Seen, SqliteStore};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tempfile::TempDir;

use super::line::{End, Line};
use super::{DAY, DAYS, START, WRONG, at};

const PARTNER: &str = r#"
[listen]
address = "127.0.0.1:1"
[[client]]
alias = "north"
user = "u"
password_file = "password"
[[case.accept]]
name = "all"
[[calendar]]
name = "office"
time_zone = "Europe/Paris"
monday = ["08:00-12:00", "13:00-17:00"]
tuesday = ["08:00-12:00", "13:00-17:00"]
wednesday = ["08:00-12:00", "13:00-17:00"]
thursday = ["08:00-12:00", "13:00-17:00"]
friday = ["08:00-12:00", "13:00-16:00"]
holidays = ["2026-11-11", "2026-12-25", "2027-01-01", "2027-03-29", "2027-05-06", "2027-07-14"]
[[sla]]
name = "respond"
goal = "answer"
within = "8h"
warn_before = "2h"
calendar = "office"
[[sla]]
name = "mend"
within = "40h"
warn_before = "8h"
[[solution]]
name = "Hardware"
[[process]]
name = "Repair"
solution = "Hardware"
[[case_type]]
name = "Chassis"
process = "Repair"
auto_close_after = "5d"
due_within = "30h"
due_warn_before = "6h"
due_calendar = "office"
slas = ["respond", "mend"]
[job.due_date_check]
case_types = ["Chassis"]
"#;

const NORTH: &str = r#"
[upstream]
alias = "partner"
url = "http://127.0.0.1:1"
user = "u"
password_file = "password"
[[submit.policy]]
name = "all"
[[calendar]]
name = "shop"
time_zone = "America/New_York"
saturday = ["00:00-24:00"]
sunday = ["00:00-03:00", "12:00-24:00"]
[[sla]]
name = "promised to the floor"
within = "60h"
warn_before = "12h"
calendar = "shop"
[[solution]]
name = "Floor"
[[process]]
name = "Floor"
solution = "Floor"
[[case_type]]
name = "Floor"
process = "Floor"
slas = ["promised to the floor"]
"#;

/// Those of case management, by the names that the scheduler knows them by.
pub const JOBS: [&str; 3] = ["sla_check", "due_date_check", "auto_close"];

pub struct Site {
    pub alias: &'static str,
    dir: TempDir,
    settings: Settings,
    store: SqliteStore,
    /// Other programs' way to the store.
    rows: SqlitePool,
    state: Option<State>,
    pub engine: Option<Engine>,
    pub clock: Clock,
    /// How many seconds ahead it is.
    wrong: i64,
    /// When its jobs have something to do, as the rules say; and the end of each day, when all of them run.
    pub wakes: BTreeSet<i64>,
    /// From north to the partner.
    pub line: Arc<Line>,
    up: bool,
}

impl Site {
    pub async fn partner() -> Self {
        let mut site = Self::new("partner", PARTNER, 0, Arc::default()).await;
        site.start().await;
        site
    }

    pub async fn north(partner: &Site) -> Self {
        let mut site = Self::new("north", NORTH, WRONG, Arc::clone(&partner.line)).await;
        site.start().await;
        site
    }

    async fn new(alias: &'static str, text: &str, wrong: i64, line: Arc<Line>) -> Self {
        // In memory where the machine has such a place: a year of flushes is no part of the story.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let secret = dir.path().join("password");
        let file = std::fs::File::options().create_new(true).write(true).mode(0o600).open(secret).unwrap();
        std::io::Write::write_all(&mut &file, b"correct horse battery").unwrap();
        let text = format!("[site]\nalias = \"{alias}\"\ndata_dir = \"{}\"\n{text}", dir.path().display());
        let mut settings = Settings::parse(&text, "config.toml", dir.path()).unwrap_or_else(|fault| panic!("{fault}"));
        // The clock stands still while something is tried again.
        (settings.retry.first, settings.retry.max) = (Duration::ZERO, Duration::ZERO);
        let store = SqliteStore::open(&settings.store).await.unwrap();
        let options = SqliteConnectOptions::new().filename(&settings.store.path).busy_timeout(Duration::from_secs(60));
        let rows = SqlitePool::connect_with(options).await.unwrap();
        let clock = Clock::manual(at(START + wrong));
        let wakes = (1..=DAYS).map(|day| START + day * DAY).collect();
        Self { alias, dir, settings, store, rows, state: None, engine: None, clock, wrong, wakes, line, up: false }
    }

    /// A process comes up.
    pub async fn start(&mut self) {
        assert!(self.dir.path().exists());
        let state = State::open(&self.settings.state, self.store.site(), self.clock.now()).unwrap();
        let is_north = self.settings.upstream.is_some();
        let upstream: Option<Arc<dyn Upstream>> =
            if is_north { Some(Arc::new(End(Arc::clone(&self.line)))) } else { None };
        let parts = Parts {
            settings: self.settings.clone(),
            store: Arc::new(self.store.clone()),
            state: state.clone(),
            upstream,
            clock: self.clock.clone(),
            key: casebridge::exchange::SiteKey::unkept().unwrap(),
        };
        let engine = Engine::start(parts).await.unwrap();
        if !is_north {
            *self.line.engine.lock().unwrap() = Some(engine.clone());
        }
        (self.state, self.engine) = (Some(state), Some(engine));
    }

    /// The process ends.
    pub async fn stop(&mut self) {
        *self.line.engine.lock().unwrap() = None;
        self.engine = None;
        if let Some(state) = self.state.take() {
            state.close().await.unwrap();
        }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    /// So many cases of a story come.
    pub async fn deposit(&self, story: usize, count: usize) {
        let deposit = |case: usize| {
            let event = Event {
                host_event_id: format!("edge-{story}-{case}"),
                synopsis: format!("Chassis alarm of story {story}"),
                priority: Some([Priority::Critical, Priority::Low][case % 2]),
                ..Event::default()
            };
            Deposit { event, ..Deposit::default() }
        };
        self.engine().deposit((0..count).map(deposit).collect()).await.unwrap();
    }

    /// People move the cases of a story with another tool. What cannot be moved there any more is left alone.
    pub async fn people(&self, story: usize, state: CaseState) {
        let Some(_) = self.engine else { return };
        let (set, only) = match state {
            CaseState::Resolved => ("phase = 'review', solution = 'Reseated'", "phase = 'initial_support'"),
            CaseState::Reopened => ("phase = 'initial_support'", "phase <> 'initial_support' AND state <> 'canceled'"),
            CaseState::Canceled => ("phase = 'close', completion_code = 'withdrawn_by_user'", "phase <> 'close'"),
            _ => ("state = ?1", "phase = 'initial_support' AND state <> ?1"),
        };
        let moved = format!("UPDATE incident SET {set}, state_since = ?2 WHERE synopsis = ?3 AND {only} AND ?1 <> ''");
        sqlx::query(sqlx::AssertSqlSafe(moved))
            .bind(state.as_str())
            .bind(self.clock.now().to_string())
            .bind(format!("Chassis alarm of story {story}"))
            .execute(&self.rows)
            .await
            .unwrap();
    }

    /// Looks what is promised on what came.
    pub async fn time(&self) {
        self.engine().time_cases().await.unwrap();
    }

    pub async fn detect(&self) {
        self.engine().detect_all().await.unwrap();
    }

    /// Whatever goes up and comes down.
    pub async fn talk(&mut self) {
        self.detect().await;
        let engine = self.engine().clone();
        if !self.up {
            let _ = engine.probe().await;
        }
        while let Ok(Pushed::Some(_)) = engine.push().await {}
        loop {
            match engine.poll_updates(Duration::ZERO).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(_) => {
                    self.up = engine.probe().await.is_ok();
                    break;
                }
            }
        }
        self.time().await;
        self.detect().await;
    }

    /// The jobs whose schedules fire now.
    pub async fn run_jobs(&self, crons: &[Cron; 3]) {
        let now = self.clock.now();
        let before = now.checked_sub(SignedDuration::from_secs(1)).unwrap();
        for (job, cron) in JOBS.into_iter().zip(crons) {
            if cron.next_after(before, &TimeZone::UTC) == Some(now) {
                self.run_if_due(job, cron).await;
            }
        }
    }

    /// What the scheduler does when the process has come up. Returns how many jobs had missed a run.
    pub async fn catch_up(&self, crons: &[Cron; 3]) -> usize {
        let mut ran = 0;
        for (job, cron) in JOBS.into_iter().zip(crons) {
            ran += usize::from(self.run_if_due(job, cron).await);
        }
        ran
    }

    /// Runs a job if the last run that the state remembers says so.
    async fn run_if_due(&self, job: &'static str, cron: &Cron) -> bool {
        let Some(engine) = &self.engine else { return false };
        let last = engine.last_run(job).await.unwrap();
        if !is_due(cron, &TimeZone::UTC, last, self.clock.now()) {
            return false;
        }
        match job {
            "sla_check" => assert_eq!(engine.check_slas(false, &Seen::all()).await.unwrap().failed, []),
            "due_date_check" => assert_eq!(engine.check_due_dates(false, &Seen::all()).await.unwrap().failed, []),
            _ => {
                engine.queue_closings(false, &Seen::all()).await.unwrap();
                engine.work_closings().await.unwrap();
            }
        }
        engine.ran(job).await.unwrap();
        true
    }

    /// What has been done is done once.
    pub async fn is_done(&self) {
        let Some(engine) = &self.engine else { return };
        assert_eq!(engine.check_slas(true, &Seen::all()).await.unwrap().found, 0);
        assert_eq!(engine.check_due_dates(true, &Seen::all()).await.unwrap().found, 0);
        assert_eq!(engine.queue_closings(true, &Seen::all()).await.unwrap().found, 0);
    }

    /// The runs that have something to do by the rules, from now on: each job's own instant, at its next tick.
    pub async fn plan(&mut self, crons: &[Cron; 3]) {
        let now = self.clock.now();
        for (next, cron) in self.next().await.into_iter().zip(crons) {
            let Some(next) = next else { continue };
            let from = if next > now { next.checked_sub(SignedDuration::from_secs(1)).unwrap() } else { now };
            self.wakes.extend(cron.next_after(from, &TimeZone::UTC).map(|tick| tick.as_second() - self.wrong));
        }
    }

    /// When SLAs, due dates and closing have something to do next.
    async fn next(&self) -> [Option<Timestamp>; 3] {
        if self.engine.is_none() {
            return [None; 3];
        }
        self.store.refresh_deadlines().await.unwrap();
        let next: (Option<i64>, Option<i64>, Option<i64>) = sqlx::query_as(
            "SELECT (SELECT min(next_at) FROM deadline WHERE kind = 'sla' AND origin IS NULL), \
               (SELECT min(next_at) FROM deadline WHERE kind = 'due' AND origin IS NULL), \
               (SELECT 1000 * min(unixepoch(state_since) + 5 * 86400) FROM incident \
                WHERE state = 'resolved' AND case_type = 'Chassis')",
        )
        .fetch_one(&self.rows)
        .await
        .unwrap();
        [next.0, next.1, next.2].map(|at| Timestamp::from_millisecond(at?).ok())
    }

    pub async fn all(&self) -> Vec<Incident> {
        self.load("SELECT id FROM incident").await
    }

    /// Those that are not over.
    pub async fn open(&self) -> Vec<Incident> {
        self.load("SELECT id FROM incident WHERE state NOT IN ('completed', 'canceled')").await
    }

    async fn load(&self, which: &'static str) -> Vec<Incident> {
        let ids: Vec<i64> = sqlx::query_scalar(which).fetch_all(&self.rows).await.unwrap();
        let ids: Vec<IncidentId> = ids.into_iter().map(IncidentId).collect();
        self.store.load(&ids).await.unwrap().incidents
    }

    pub async fn history(&self, incident: IncidentId) -> Vec<HistoryLine> {
        self.store.history(incident, 10_000).await.unwrap()
    }
}
