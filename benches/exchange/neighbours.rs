//! What one client notices while another one misbehaves: the time of a single incident, against that of a quiet partner.

use std::time::Duration;

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
    println!(
        "ratio  one incident, another client floods {:>7.1}   (goal: at most 2; median {noisy:.0} ms, quiet {quiet:.0} ms)",
        noisy / quiet
    );
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
