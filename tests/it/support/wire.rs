//! The network between two sites: a TCP proxy that misbehaves on purpose.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use casebridge::case::ContentDigest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the wire does with connections and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    #[default]
    None,
    /// Connections are refused at once.
    Down,
    /// The connection dies as soon as the client sends operations: they never arrive.
    LoseRequest,
    /// Operations arrive; the connection dies as soon as their answer begins.
    LoseAnswer,
    /// Connections stay, and whatever is sent vanishes.
    Swallow,
    /// Each connection dies once it has carried so many bytes, both ways together.
    CutAfter(u64),
}

type Files = Arc<Mutex<Vec<String>>>;

/// Forwards one port to another.
pub struct Wire {
    port: u16,
    target: u16,
    fault: Arc<Mutex<Fault>>,
    /// Connections that were tried, requests that were passed on.
    tried: Arc<AtomicU64>,
    carried: Arc<AtomicU64>,
    /// Requests about the content of files, by their first lines.
    files: Files,
    task: tokio::task::JoinHandle<()>,
}

impl Wire {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = free_port();
        let fault = Arc::new(Mutex::new(Fault::None));
        let tried = Arc::new(AtomicU64::new(0));
        let carried = Arc::new(AtomicU64::new(0));
        let files = Files::default();
        let (told, counted, weighed) = (Arc::clone(&fault), Arc::clone(&tried), Arc::clone(&carried));
        let asked = Arc::clone(&files);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                if *told.lock().unwrap() != Fault::Down {
                    tokio::spawn(carry(client, target, Arc::clone(&told), Arc::clone(&weighed), Arc::clone(&asked)));
                }
            }
        });
        Self { port, target, fault, tried, carried, files, task }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn target_port(&self) -> u16 {
        self.target
    }

    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// Bytes that went through so far.
    pub fn carried(&self) -> u64 {
        self.carried.load(Ordering::SeqCst)
    }

    /// Requests about the file with this content so far, whatever they ask.
    pub fn asked_for(&self, content: &[u8]) -> usize {
        let sha256 = ContentDigest::of(content);
        self.files.lock().unwrap().iter().filter(|line| line.contains(sha256.as_str())).count()
    }

    /// Connections that the client tried so far.
    pub fn tried(&self) -> u64 {
        self.tried.load(Ordering::SeqCst)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, target: u16, fault: Arc<Mutex<Fault>>, carried: Arc<AtomicU64>, files: Files) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let now = |fault: &Arc<Mutex<Fault>>| *fault.lock().unwrap();
    let there = Arc::clone(&fault);
    let own = Arc::new(AtomicU64::new(0));
    // False once the connection is to die.
    let weigh = {
        let fault = Arc::clone(&fault);
        move |count: usize| {
            carried.fetch_add(count as u64, Ordering::SeqCst);
            let sum = own.fetch_add(count as u64, Ordering::SeqCst) + count as u64;
            !matches!(*fault.lock().unwrap(), Fault::CutAfter(limit) if sum > limit)
        }
    };
    let weigh_back = weigh.clone();
    // Only operations are lost; the peer shows itself alive in every other way.
    let operating = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&operating);
    let out = async move {
        let mut buffer = vec![0; 65536];
        loop {
            let count = from_client.read(&mut buffer).await.unwrap_or(0);
            if buffer[..count].starts_with(b"POST /v1/operations") {
                seen.store(true, Ordering::SeqCst);
            }
            let line = String::from_utf8_lossy(&buffer[..count.min(200)]).lines().next().unwrap_or_default().to_owned();
            if line.contains(" /v1/attachments/") {
                files.lock().unwrap().push(line);
            }
            let lost = now(&there) == Fault::LoseRequest && seen.load(Ordering::SeqCst);
            if count == 0 || lost || now(&there) == Fault::Down || !weigh(count) {
                return;
            }
            if now(&there) == Fault::Swallow {
                continue;
            }
            if to_server.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    };
    let back = async move {
        let mut buffer = vec![0; 65536];
        loop {
            let count = from_server.read(&mut buffer).await.unwrap_or(0);
            let lost = now(&fault) == Fault::LoseAnswer && operating.load(Ordering::SeqCst);
            if count == 0 || lost || now(&fault) == Fault::Down || !weigh_back(count) {
                return;
            }
            if now(&fault) == Fault::Swallow {
                continue;
            }
            if to_client.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = out => {}
        () = back => {}
    }
}

/// A port that nobody uses just now. Not one of those that the system gives to connections: they come and go while a site is
/// down.
pub fn free_port() -> u16 {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    let first = u64::from(std::process::id()) * 101;
    loop {
        let port = 20_000 + ((first + TAKEN.fetch_add(1, Ordering::SeqCst)) % 12_000) as u16;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
