//! What it costs to find one silent change among a hundred thousand open cases, over a wire that is counted.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use tokio::net::{TcpListener, TcpStream};

use crate::pair::{COUNTED, LIMIT, Pair};

const CASES: usize = 100_000;
/// Incidents that are deposited at once.
const STEP: usize = 10_000;
/// The case that is changed behind the bridge's back.
const CHANGED: i64 = 50_001;

pub async fn measure() {
    let wire = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pair = Pair::start_with(COUNTED, wire.local_addr().unwrap().port()).await;
    let bytes = Arc::new(AtomicU64::new(0));
    tokio::spawn(forward(wire, pair.port, Arc::clone(&bytes)));
    for first in (0..CASES).step_by(STEP) {
        pair.deposit(first, STEP).await;
        pair.wait_for_cases(first + STEP).await;
    }
    let before = settled(&bytes).await;

    let options = SqliteConnectOptions::new().filename(pair.partner.path("incidents.db")).busy_timeout(LIMIT);
    let store = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let silently = sqlx::query("UPDATE incident SET bridge = bridge + 1, solution = 'Reseated' WHERE id = ?");
    silently.bind(CHANGED).execute(&store).await.unwrap();
    let start = Instant::now();
    let found = Command::new(env!("CARGO_BIN_EXE_casebridge"))
        .args(["reconcile", "--json", "--config"])
        .arg(pair.end_user.path("config.toml"))
        .output()
        .unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let answer: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(answer["compared"], CASES, "{answer}");
    let differences = answer["differences"].as_array().unwrap();
    assert_eq!(differences.len(), 1, "{answer}");
    assert_eq!((&differences[0]["field"], &differences[0]["there"]), (&"solution".into(), &"Reseated".into()));
    let moved = bytes.load(Ordering::Relaxed) - before;
    println!(
        "drift  one silent change among {CASES} cases: named in {seconds:.1} s, {:.0} KiB over the wire, where the cases took {:.0} MiB",
        moved as f64 / 1024.0,
        before as f64 / 1_048_576.0
    );
}

/// The bytes once nothing more comes.
async fn settled(bytes: &AtomicU64) -> u64 {
    loop {
        let before = bytes.load(Ordering::Relaxed);
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        if bytes.load(Ordering::Relaxed) == before {
            return before;
        }
    }
}

async fn forward(wire: TcpListener, port: u16, bytes: Arc<AtomicU64>) {
    while let Ok((mut near, _)) = wire.accept().await {
        let bytes = Arc::clone(&bytes);
        tokio::spawn(async move {
            let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
            let (mut far_in, mut far_out) = far.into_split();
            let (mut near_in, mut near_out) = near.split();
            tokio::join!(pass(&mut near_in, &mut far_out, &bytes), pass(&mut far_in, &mut near_out, &bytes));
        });
    }
}

async fn pass(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    bytes: &AtomicU64,
) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut piece = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        bytes.fetch_add(length as u64, Ordering::Relaxed);
        if to.write_all(&piece[..length]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
