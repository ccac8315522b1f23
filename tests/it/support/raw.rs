//! Bytes as they are: a connection that says what it likes, and a server that answers as it likes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The longest wait for the other end to hang up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything that comes until the other end hangs up; fails when it does not.
pub async fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut buffer = [0; 65536];
    loop {
        match tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.expect("the other end hangs up") {
            Ok(count) if count > 0 => heard.extend_from_slice(&buffer[..count]),
            // A reset is an end as well.
            _ => return heard,
        }
    }
}

/// What a misbehaving server says to one request.
#[derive(Clone)]
pub enum Say {
    /// These bytes, and hangs up.
    Bytes(Vec<u8>),
    /// These bytes, and then nothing for ever.
    Half(Vec<u8>),
    /// The first bytes, and the second ones again and again as fast as they are taken.
    Endless(Vec<u8>, Vec<u8>),
    /// Hangs up without a word.
    HangUp,
}

type Rule = dyn Fn(&str) -> Say + Send + Sync;

/// A server that speaks bytes.
pub struct Server {
    pub port: u16,
    requests: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// `rule` gets the head of each request, and what of its body came along.
    pub async fn start(rule: impl Fn(&str) -> Say + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let (counted, rule): (_, Arc<Rule>) = (Arc::clone(&requests), Arc::new(rule));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&rule), Arc::clone(&counted)));
            }
        });
        Self { port, requests, task }
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, rule: Arc<Rule>, counted: Arc<AtomicUsize>) {
    let mut request = vec![0; 65536];
    let Ok(count @ 1..) = stream.read(&mut request).await else { return };
    counted.fetch_add(1, Ordering::SeqCst);
    match rule(&String::from_utf8_lossy(&request[..count])) {
        Say::Bytes(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            while stream.read(&mut request).await.is_ok_and(|count| count > 0) {}
        }
        Say::Half(bytes) => {
            let _ = stream.write_all(&bytes).await;
            while stream.read(&mut request).await.is_ok_and(|count| count > 0) {}
        }
        Say::Endless(first, again) => {
            let _ = stream.write_all(&first).await;
            while stream.write_all(&again).await.is_ok() {}
        }
        Say::HangUp => {}
    }
}

/// An answer in HTTP, with these headers besides the length.
pub fn http(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A good answer in JSON.
pub fn json(body: &serde_json::Value) -> Say {
    Say::Bytes(http("200 OK", "content-type: application/json\r\n", body.to_string().as_bytes()))
}
