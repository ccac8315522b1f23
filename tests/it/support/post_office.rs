//! A mail server that keeps what it takes, and behaves as a story wants it to.

use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::certificates::Pem;

/// How the server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Takes,
    /// Says 451 to every mail.
    Defers,
    /// Wants a password before it hears of any mail.
    Locked,
    /// Closes each connection at once.
    Closes,
    /// Says nothing at all.
    Silent,
    /// Takes a mail and closes before it says so.
    LosesTheAnswer,
}

/// One mail that was taken.
#[derive(Debug, Clone)]
pub struct Taken {
    pub to: Vec<String>,
    pub text: String,
}

impl Taken {
    /// The value of a header, unfolded.
    pub fn header(&self, name: &str) -> Option<String> {
        let head = self.text.split("\r\n\r\n").next()?.replace("\r\n ", " ").replace("\r\n\t", " ");
        head.split("\r\n").find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    }

    pub fn id(&self) -> String {
        self.header("Message-ID").expect("a Message-ID")
    }

    pub fn subject(&self) -> String {
        self.header("Subject").expect("a subject")
    }
}

struct Inner {
    mood: Mutex<Mood>,
    taken: Mutex<Vec<Taken>>,
}

/// Ends with the test.
#[derive(Clone)]
pub struct PostOffice {
    inner: Arc<Inner>,
    port: u16,
}

impl PostOffice {
    pub async fn open() -> Self {
        Self::open_with(None).await
    }

    /// One that speaks TLS from the first byte.
    pub async fn open_implicit(pem: &Pem) -> Self {
        let chain = CertificateDer::pem_slice_iter(pem.certificate.as_bytes()).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        Self::open_with(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn open_with(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner = Arc::new(Inner { mood: Mutex::new(Mood::Takes), taken: Mutex::default() });
        let office = Self { inner: Arc::clone(&inner), port };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (inner, tls) = (Arc::clone(&inner), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(inner, stream).await,
                        // Whoever speaks no TLS is not spoken to.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(inner, stream).await;
                            }
                        }
                    }
                });
            }
        });
        office
    }

    /// `[mail]` for it.
    pub fn config(&self) -> String {
        format!(
            "[mail]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"Support <support@partner.example>\"\n\
             connect_timeout = \"2s\"\nsend_timeout = \"2s\"\n[mail.retry]\nfirst = \"50ms\"\nmax = \"200ms\"\n",
            self.port
        )
    }

    pub fn set(&self, mood: Mood) {
        *self.inner.mood.lock().unwrap() = mood;
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.inner.taken.lock().unwrap().clone()
    }

    /// What somebody has got, in order.
    pub fn of(&self, address: &str) -> Vec<Taken> {
        self.taken().into_iter().filter(|mail| mail.to == [address]).collect()
    }
}

async fn serve(inner: Arc<Inner>, stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mood = || *inner.mood.lock().unwrap();
    let mut stream = BufReader::new(stream);
    let mut to = Vec::new();
    let mut line = String::new();
    let mut say = "220 post office\r\n".to_owned();
    loop {
        // It may have changed since the connection came.
        match mood() {
            Mood::Closes => return,
            Mood::Silent => return std::future::pending().await,
            _ => {}
        }
        if stream.get_mut().write_all(say.as_bytes()).await.is_err() {
            return;
        }
        line.clear();
        if !matches!(stream.read_line(&mut line).await, Ok(1..)) {
            return;
        }
        let command = line.to_ascii_uppercase();
        say = if command.starts_with("EHLO") {
            "250-post office\r\n250 8BITMIME\r\n".into()
        } else if command.starts_with("MAIL") && mood() == Mood::Defers {
            "451 4.3.0 later\r\n".into()
        } else if command.starts_with("MAIL") && mood() == Mood::Locked {
            "530 5.7.0 Authentication required\r\n".into()
        } else if command.starts_with("RCPT TO:<NOBODY@") {
            "550 5.1.1 no such user here\r\n".into()
        } else if command.starts_with("RCPT") {
            to.push(line.trim()["RCPT TO:<".len()..].trim_end_matches('>').to_owned());
            "250 ok\r\n".into()
        } else if command.starts_with("DATA") {
            if stream.get_mut().write_all(b"354 go on\r\n").await.is_err() {
                return;
            }
            let Some(text) = message(&mut stream).await else { return };
            inner.taken.lock().unwrap().push(Taken { to: std::mem::take(&mut to), text });
            if mood() == Mood::LosesTheAnswer {
                return;
            }
            "250 ok\r\n".into()
        } else if command.starts_with("QUIT") {
            "221 bye\r\n".into()
        } else {
            "250 ok\r\n".into()
        };
    }
}

async fn message(stream: &mut BufReader<impl AsyncRead + Unpin>) -> Option<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if !matches!(stream.read_line(&mut line).await, Ok(1..)) {
            return None;
        }
        if line == ".\r\n" {
            return Some(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
