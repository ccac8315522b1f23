//! How fast incidents are exchanged, and what an idle daemon costs. Two real daemons, both durable, on this machine.
//!
//! `cargo bench` prints ratios within one run: the absolute figures are those of the machine. `cargo bench -- idle`
//! runs one part; the parts are `raw`, `batched`, `single`, `latency`, `neighbours`, `failing`, `idle`, `drift`, `jobs`, `lists`, `attachment`
//! (1 GiB, or as many MiB as `CASEBRIDGE_BENCH_MIB` says).

mod drift;
mod failing;
mod jobs;
mod lists;
mod neighbours;
mod pair;

use std::path::Path;
use std::time::{Duration, Instant};

use pair::{FILES, LIMIT, ONE_BY_ONE, Pair};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

/// Incidents of the main measurement.
const MANY: usize = 10_000;
/// Incidents where every step is taken one by one.
const FEW: usize = 1_000;

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
        if runs("neighbours") {
            neighbours::measure().await;
        }
        if runs("failing") {
            failing::measure().await;
        }
        if runs("idle") {
            idle().await;
        }
        if runs("drift") {
            drift::measure().await;
        }
        if runs("jobs") {
            jobs::measure().await;
        }
        if runs("lists") {
            lists::measure().await;
        }
        if runs("attachment") {
            attachment().await;
        }
    });
}

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
    exchanged_by(&Pair::start(kind).await, kind, count, rounds).await
}

async fn exchanged_by(pair: &Pair, kind: &str, count: usize, rounds: usize) -> f64 {
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
    let (median, most) = pair.single_incidents(0, 21).await;
    println!("time   one incident when idle, ms         median {median:.0}, most {most:.0}");
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
