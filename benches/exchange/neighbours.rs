//! What one client notices while another one misbehaves: the time of a single incident and of a plain question, against those at a
//! quiet partner.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::pair::{KEEN, Pair};

/// Incidents of each measurement.
const COUNT: usize = 41;
/// Each of so many connections asks two hundred times a second: together several times what a client may ask.
const ASKING: usize = 16;
const PAUSE: Duration = Duration::from_millis(5);
/// Connections that begin a request and never end it.
const HANGING: usize = 32;
/// Bytes of a body that is no batch.
const NONSENSE: usize = 64 << 10;
/// Connections with bodies as large as they may be.
const BURDENING: usize = 4;
const BURDEN: usize = 14 << 20;
/// Plain questions of each measurement.
const QUESTIONS: usize = 200;

pub async fn measure() {
    let pair = Pair::start(KEEN).await;
    pair.single_incidents(0, 5).await;
    let (quiet, _) = pair.single_incidents(5, COUNT).await;
    let mut noise = JoinSet::new();
    for number in 0..ASKING {
        let password = if number % 4 == 0 { "wrong" } else { "correct horse battery" };
        noise.spawn(ask(pair.port, password));
    }
    for _ in 0..HANGING {
        noise.spawn(hang(pair.port));
    }
    let (noisy, _) = pair.single_incidents(5 + COUNT, COUNT).await;
    noise.shutdown().await;
    fill(pair.port).await;
    for number in 0..ASKING {
        noise.spawn(read(pair.port, READS[number % READS.len()]));
    }
    let (read, _) = pair.single_incidents(5 + 2 * COUNT, COUNT).await;
    noise.shutdown().await;
    let quiet_question = question(pair.port).await;
    let bodies = heavy();
    for number in 0..BURDENING {
        noise.spawn(burden(pair.port, bodies[number % bodies.len()].clone()));
    }
    let noisy_question = question(pair.port).await;
    noise.shutdown().await;
    println!(
        "ratio  one question, another client sends all that it may {:>7.1}   (median {noisy_question:.1} ms, quiet {quiet_question:.1} ms)",
        noisy_question / quiet_question
    );
    println!(
        "ratio  one incident, another client floods {:>7.1}   (goal: at most 2; median {noisy:.0} ms, quiet {quiet:.0} ms)",
        noisy / quiet
    );
    println!(
        "ratio  one incident, another client reads all that is its own {:>7.1}   (goal: at most 2; median {read:.0} ms, quiet {quiet:.0} ms)",
        read / quiet
    );
}

/// Incidents of the client that reads.
const OWN: usize = 5_000;
const READS: [&str; 4] = ["/v1/digests", "/v1/exchanges?limit=500", "/v1/receipts", "/v1/exchanges?limit=1000"];

/// Opens as many incidents as the client that reads shall have.
async fn fill(port: u16) {
    let client = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{port}/v1/operations");
    for batch in 0..OWN / 500 {
        let create = |number: usize| {
            serde_json::json!({"exchange": format!("{number:032x}"), "seq": 1, "operation": {"kind": "create", "content": {
                "incident": number, "trace_route": ["south"],
                "event": {"host_event_id": format!("read-{number}"), "synopsis": "Chassis alarm"}}}})
        };
        let first = 1 + batch * 500;
        let batch = serde_json::json!({"operations": (first..first + 500).map(create).collect::<Vec<_>>()});
        let asked = client.post(&url).basic_auth("south", Some("correct horse battery")).json(&batch);
        if let Ok(answer) = asked.send().await {
            let _ = answer.bytes().await;
        }
    }
}

/// Everything that a client may read, again and again.
async fn read(port: u16, path: &'static str) {
    let client = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{port}{path}");
    loop {
        if let Ok(answer) = client.get(&url).basic_auth("south", Some("correct horse battery")).send().await {
            let _ = answer.bytes().await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The median time of a plain question, in milliseconds.
async fn question(port: u16) -> f64 {
    let client = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{port}/v1/site");
    let mut times = Vec::with_capacity(QUESTIONS);
    for _ in 0..QUESTIONS {
        let asked = Instant::now();
        let answer = client.get(&url).basic_auth("north", Some("correct horse battery")).send().await;
        if let Ok(answer) = answer {
            let _ = answer.bytes().await;
        }
        times.push(asked.elapsed().as_secs_f64() * 1000.0);
        tokio::time::sleep(PAUSE).await;
    }
    times.sort_by(f64::total_cmp);
    times[QUESTIONS / 2]
}

/// Batches within the limits: many operations, one of many values, and more operations than there may be.
fn heavy() -> Vec<String> {
    let operation = |content: &str| format!("{{\"exchange\":\"{:032x}\",\"seq\":1,\"operation\":{content}}}", 7);
    let batch = |operations: &str| format!("{{\"operations\":[{operations}]}}");
    let large = format!("{{\"kind\":\"update\",\"content\":{{\"solution\":\"{}\"}}}}", "x".repeat(BURDEN / 1000 - 200));
    vec![
        batch(&vec![operation(&large); 1000].join(",")),
        batch(&operation(&format!("{{\"content\":[{}0]}}", "0,".repeat(BURDEN / 2)))),
        batch(&vec![operation("0"); BURDEN / 80].join(",")),
    ]
}

/// The same body again and again.
async fn burden(port: u16, body: String) {
    let client = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{port}/v1/operations");
    loop {
        let asked = client.post(&url).basic_auth("south", Some("correct horse battery"));
        if let Ok(answer) = asked.header("content-type", "application/json").body(body.clone()).send().await {
            let _ = answer.bytes().await;
        }
    }
}

/// Bodies that are no batch, as fast as the pause allows, with right or wrong credentials.
async fn ask(port: u16, password: &'static str) {
    let client = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{port}/v1/operations");
    loop {
        let asked = client.post(&url).basic_auth("south", Some(password)).header("content-type", "application/json");
        if let Ok(answer) = asked.body(vec![b'['; NONSENSE]).send().await {
            let _ = answer.bytes().await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A request whose head never ends, again each time that it is cut off.
async fn hang(port: u16) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await {
            let mut written = stream.write_all(b"POST /v1/operations HTTP/1.1\r\n").await;
            while written.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
                written = stream.write_all(b"x").await;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
