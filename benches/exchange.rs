//! How fast incidents are exchanged, and what an idle daemon costs. Two real daemons, both durable, on this machine.
//!
//! `cargo bench` prints ratios within one run: the absolute figures are those of the machine. `cargo bench -- idle`
//! runs one part; the parts are `raw`, `batched`, `single`, `latency`, `idle`, `attachment` (1 GiB, or as many MiB as
//! `CASEBRIDGE_BENCH_MIB` says).

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use tempfile::TempDir;

/// Incidents of the main measurement.
const MANY: usize = 10_000;
/// Incidents where every step is taken one by one.
const FEW: usize = 1_000;
/// The longest that any part may take.
const LIMIT: Duration = Duration::from_secs(600);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let runs = |part: &str| wanted.is_empty() || wanted.iter().any(|name| name == part);
    runtime.block_on(async {
        let raw = if runs("raw") { Some(raw_commits().await) } else { None };
        let single = if runs("single") { Some(exchanged(ONE_BY_ONE, FEW, 3).await) } else { None };
        let batched = if runs("batched") { Some(exchanged("", MANY, 5).await) } else { None };
        if let (Some(batched), Some(raw)) = (batched, raw) {
            println!("ratio  batched / raw one-row commits      {:>8.1}", batched / raw);
        }
        if let (Some(batched), Some(single)) = (batched, single) {
            println!("ratio  batched / one by one               {:>8.1}   (goal: at least 10)", batched / single);
        }
        if runs("latency") {
            latency().await;
        }
        if runs("idle") {
            idle().await;
        }
        if runs("attachment") {
            attachment().await;
        }
    });
}

const ONE_BY_ONE: &str = "one by one";
const FILES: &str = "files";

/// (a) One row, one durable commit, on the same disk, as SQLite does it with the settings of the store.
async fn raw_commits() -> f64 {
    const ROWS: usize = 5_000;
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(dir.path().join("raw.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    sqlx::query("CREATE TABLE row (id INTEGER PRIMARY KEY, text TEXT)").execute(&pool).await.unwrap();
    let start = Instant::now();
    for _ in 0..ROWS {
        sqlx::query("INSERT INTO row (text) VALUES ('Chassis alarm')").execute(&pool).await.unwrap();
    }
    let rate = ROWS as f64 / start.elapsed().as_secs_f64();
    println!("rate   raw one-row durable commits        {rate:>8.0} /s");
    rate
}

/// Incidents a second from the commit of their rows to the last case ID written back: the median of some rounds on one
/// pair of daemons.
async fn exchanged(kind: &str, count: usize, rounds: usize) -> f64 {
    let pair = Pair::start(kind).await;
    pair.deposit(0, 100).await;
    pair.wait_for_cases(100).await;
    let mut rates = Vec::new();
    for round in 0..rounds {
        let (first, before) = (1_000_000 * (round + 1), pair.cpu());
        let start = Instant::now();
        pair.deposit(first, count).await;
        pair.wait_for_cases(100 + count * (round + 1)).await;
        let seconds = start.elapsed().as_secs_f64();
        let after = pair.cpu();
        rates.push(count as f64 / seconds);
        let name = if kind.is_empty() { "batched" } else { kind };
        println!(
            "round  {name:<14} {count:>6} in {seconds:>6.2} s   {:>8.0} /s   CPU us/incident: end user {:.0}, partner {:.0}",
            count as f64 / seconds,
            (after.0 - before.0) * 1e6 / count as f64,
            (after.1 - before.1) * 1e6 / count as f64,
        );
    }
    rates.sort_by(f64::total_cmp);
    let median = rates[rates.len() / 2];
    println!("rate   exchanged, {:<24} {median:>8.0} /s", if kind.is_empty() { "batched" } else { kind });
    median
}

/// One incident at an idle pair with default settings, from the commit of its row to its case ID.
async fn latency() {
    let pair = Pair::start("").await;
    let mut times = Vec::new();
    for number in 0..21 {
        let start = Instant::now();
        pair.deposit(number, 1).await;
        pair.wait_for_cases(number + 1).await;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        tokio::time::sleep(Duration::from_millis(137)).await;
    }
    times.sort_by(f64::total_cmp);
    println!("time   one incident when idle, ms         median {:.0}, most {:.0}", times[10], times[20]);
}

/// What a pair costs that has nothing to do.
async fn idle() {
    const MEASURED: Duration = Duration::from_secs(30);
    let pair = Pair::start("").await;
    let mut open = 0;
    for target in [0, 10_000, 100_000] {
        while open < target {
            let count = (target - open).min(10_000);
            pair.deposit(open, count).await;
            open += count;
            pair.wait_for_cases(open).await;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        let before = pair.cpu();
        tokio::time::sleep(MEASURED).await;
        let after = pair.cpu();
        let minute = |seconds: f64| seconds * 60.0 / MEASURED.as_secs_f64() * 1000.0;
        println!(
            "idle   {target:>6} open: CPU ms/minute end user {:>5.0}, partner {:>5.0}; memory MiB end user {}, partner {}",
            minute(after.0 - before.0),
            minute(after.1 - before.1),
            pair.end_user.memory(),
            pair.partner.memory(),
        );
    }
}

/// One large file, from the inbox of the end user into the partner's store: it is never whole in memory.
async fn attachment() {
    let mib: usize = std::env::var("CASEBRIDGE_BENCH_MIB").ok().and_then(|mib| mib.parse().ok()).unwrap_or(1024);
    let pair = Pair::start(FILES).await;
    let (end_user, partner) = (&pair.end_user, &pair.partner);
    let before = (end_user.peak(), partner.peak());
    write_noise(&end_user.path("inbox/attachments/core"), mib);
    let bundle = "<jmb><manifest><host-event-id>edge1-1</host-event-id><problem-synopsis>Chassis alarm</problem-synopsis>\
        </manifest><attachments><attachment name=\"core\"/></attachments></jmb>";
    let start = Instant::now();
    std::fs::write(end_user.path("inbox/event.xml"), bundle).unwrap();
    let options = SqliteConnectOptions::new().filename(partner.path("incidents.db")).busy_timeout(LIMIT);
    let store = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    loop {
        let arrived =
            sqlx::query_scalar::<_, i64>("SELECT bytes FROM attachment WHERE name = 'core' AND state = 'stored'");
        if let Some(bytes) = arrived.fetch_optional(&store).await.unwrap() {
            assert_eq!(bytes as usize, mib << 20);
            break;
        }
        assert!(start.elapsed() < LIMIT, "no file after {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "file   {mib} MiB, inbox to partner's store: {seconds:.1} s, {:.0} MiB/s; most memory MiB end user {} (before {}), \
         partner {} (before {})   (goal: below 64); largest WAL MiB {} and {}",
        mib as f64 / seconds,
        end_user.peak(),
        before.0,
        partner.peak(),
        before.1,
        end_user.wal(),
        partner.wal(),
    );
}

fn write_noise(path: &Path, mib: usize) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    let mut state = 1_u64;
    for _ in 0..mib {
        let mut piece = Vec::with_capacity(1 << 20);
        while piece.len() < 1 << 20 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            piece.extend_from_slice(&state.to_le_bytes());
        }
        file.write_all(&piece).unwrap();
    }
}

struct Pair {
    end_user: Daemon,
    partner: Daemon,
    store: SqlitePool,
}

impl Pair {
    async fn start(kind: &str) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (common, inbox, upstream) = match kind {
            ONE_BY_ONE => ("[store]\nbatch = 1\n[state]\ngroup = 1\n", "", "batch = 1\nin_flight = 1\n"),
            FILES => ("", "[[inbox]]\ndir = \"DIR/inbox\"\nmax_size = \"1 GiB\"\nsettle = \"0s\"\n", ""),
            _ => ("", "", ""),
        };
        let partner = Daemon::start(&format!(
            "[site]\nalias = \"partner\"\ndata_dir = \"DIR\"\nsocket = \"DIR/s\"\n{common}\
             [listen]\naddress = \"127.0.0.1:{port}\"\n\
             [[client]]\nalias = \"north\"\nuser = \"north\"\npassword_file = \"password\"\n\
             [case]\nlink_template = \"https://partner.example/{{case}}\"\n[[case.accept]]\nname = \"all\"\n"
        ))
        .await;
        let end_user = Daemon::start(&format!(
            "[site]\nalias = \"north\"\ndata_dir = \"DIR\"\nsocket = \"DIR/s\"\n{common}{inbox}\
             [upstream]\nalias = \"partner\"\nurl = \"http://127.0.0.1:{port}\"\nuser = \"north\"\n\
             password_file = \"password\"\n{upstream}[[submit.policy]]\nname = \"all\"\n"
        ))
        .await;
        let options = SqliteConnectOptions::new().filename(end_user.path("incidents.db")).busy_timeout(LIMIT);
        let store = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        Self { end_user, partner, store }
    }

    /// Rows of about a kilobyte, in one transaction, as another program inserts them.
    async fn deposit(&self, first: usize, count: usize) {
        sqlx::query(
            "WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1 + ?2) \
             INSERT INTO incident (host_event_id, synopsis, description, device, serial, priority, severity, \
               problem_class, service_type, event_type, event_type_group, occurred_at, manifest) \
             SELECT 'edge1-JN119A7C1AFA-20261121-' || i, 'Chassis alarm on edge1: power supply ' || i || ' failed', \
               printf('%.600c', 'x'), 'edge1.ber.north.example', 'JN119A7C1AFA', '2 - High', 'major', 'Support', \
               'reactive', 'PSU_FAILURE', 'hardware', '2026-11-21T12:00:00Z', '{\"router/model\":\"mx960\"}' FROM n",
        )
        .bind(first as i64)
        .bind(count as i64)
        .execute(&self.store)
        .await
        .unwrap();
    }

    /// Until the first `count` incidents have their case. What has one is not looked at again: a benchmark that reads the
    /// whole store at each look measures itself.
    async fn wait_for_cases(&self, count: usize) {
        let (start, mut done) = (Instant::now(), 0_i64);
        loop {
            let open: Option<i64> =
                sqlx::query_scalar("SELECT id FROM incident WHERE id > ? AND case_id IS NULL ORDER BY id LIMIT 1")
                    .bind(done)
                    .fetch_optional(&self.store)
                    .await
                    .unwrap();
            done = open.map_or(count as i64, |open| open - 1);
            if done >= count as i64 {
                return;
            }
            assert!(start.elapsed() < LIMIT, "{done} of {count} cases after {LIMIT:?}");
            tokio::time::sleep(Duration::from_millis(if count < 1000 { 2 } else { 10 })).await;
        }
    }

    /// CPU seconds of end user and partner so far.
    fn cpu(&self) -> (f64, f64) {
        (self.end_user.cpu(), self.partner.cpu())
    }
}

struct Daemon {
    dir: TempDir,
    child: Child,
}

impl Daemon {
    async fn start(config: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("cb-bench-").tempdir().unwrap();
        let config = config.replace("DIR", dir.path().to_str().unwrap());
        std::fs::create_dir_all(dir.path().join("inbox/attachments")).unwrap();
        std::fs::write(dir.path().join("config.toml"), config).unwrap();
        write_secret(&dir.path().join("password"));
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_casebridge"))
            .args(["run", "--config"])
            .arg(dir.path().join("config.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let daemon = Self { dir, child };
        let start = Instant::now();
        while !std::fs::read_to_string(daemon.path("log")).unwrap().contains("event=\"ready\"") {
            assert!(start.elapsed() < Duration::from_secs(30), "the daemon does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        daemon
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        ticks / 100.0
    }

    /// Resident, in MiB.
    fn memory(&self) -> u64 {
        self.status("VmRSS")
    }

    /// The most that ever was resident, in MiB.
    fn peak(&self) -> u64 {
        self.status("VmHWM")
    }

    /// The store's WAL, in MiB: the file is used anew and never made shorter.
    fn wal(&self) -> u64 {
        std::fs::metadata(self.path("incidents.db-wal")).map_or(0, |file| file.len() >> 20)
    }

    fn status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_secret(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, "correct horse battery").unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
