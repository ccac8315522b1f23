//! TLS at the door: certificate and key of the site, and where clients may show theirs, the authority that issued them.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tower_http::add_extension::AddExtension;
use tracing::warn;

use super::connections::{Bounded, Connection};
use crate::api::{Presented, Vouched};
use crate::case::text::shown;
use crate::clock::network;
use crate::config::certificate::{self, PairFault};
use crate::config::settings::ListenTls;
use crate::telemetry::Seldom;

/// What the door shows, and whose word it takes for a client.
pub struct Configuration {
    pub server: Arc<ServerConfig>,
    pub clients: Option<Arc<dyn ClientCertVerifier>>,
}

/// Why the files of `[listen.tls]` are of no use; each with its remedy.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    #[error("{path} cannot be read: {reason}; let the user that casebridge runs as read it, or name another file")]
    Unreadable { path: PathBuf, reason: io::Error },
    #[error("certificate = {certificate}, key = {key}: {fault}")]
    Pair { certificate: PathBuf, key: PathBuf, fault: PairFault },
    #[error(
        "client_ca_file holds a certificate that cannot be used ({0}); it must hold those of authorities in PEM form"
    )]
    Authorities(String),
    #[error("they were not read to the end ({0}); try again")]
    Unfinished(String),
}

/// Reads the files and puts them together; one that does not fit the others is a fault.
pub async fn configuration(tls: &ListenTls) -> Result<Configuration, TlsFault> {
    let tls = tls.clone();
    let reading = tokio::task::spawn_blocking(move || read(&tls)).await;
    reading.map_err(|fault| TlsFault::Unfinished(fault.to_string()))?
}

/// The same, without leaving the thread.
pub fn read(tls: &ListenTls) -> Result<Configuration, TlsFault> {
    let file =
        |path: &PathBuf| std::fs::read(path).map_err(|reason| TlsFault::Unreadable { path: path.clone(), reason });
    let pair = certificate::pair(&file(&tls.certificate)?, &file(&tls.key)?).map_err(|fault| {
        let (certificate, key) = (tls.certificate.clone(), tls.key.clone());
        TlsFault::Pair { certificate, key, fault }
    })?;
    let clients = tls.client_ca.as_deref().map(authorities).transpose().map_err(TlsFault::Authorities)?;
    let builder = ServerConfig::builder();
    let builder = match &clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(Arc::clone(clients)),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Configuration { server: Arc::new(config), clients })
}

/// The authorities of clients, PEM. Which clients have to show a certificate is said for each of them.
fn authorities(pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.map_err(|fault| fault.to_string())?).map_err(|fault| fault.to_string())?;
    }
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build();
    verifier.map_err(|fault| fault.to_string())
}

/// The authorities whose word counts now. What they vouched for once is asked again on connections that are open.
#[derive(Debug, Clone, Default)]
pub struct Authorities(Arc<RwLock<Option<Arc<dyn ClientCertVerifier>>>>);

impl Authorities {
    pub fn set(&self, clients: Option<Arc<dyn ClientCertVerifier>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = clients;
    }

    fn now(&self) -> Option<Arc<dyn ClientCertVerifier>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The certificates that a client showed, and who found them good.
#[derive(Debug)]
struct Chain {
    certificates: Vec<CertificateDer<'static>>,
    authorities: Authorities,
    /// Whoever looked at them last, and what came of it.
    looked: RwLock<Option<(Arc<dyn ClientCertVerifier>, bool)>>,
}

impl Vouched for Chain {
    fn holds(&self) -> bool {
        let Some(now) = self.authorities.now() else { return false };
        if let Some((before, held)) = &*self.looked.read().unwrap_or_else(PoisonError::into_inner)
            && Arc::ptr_eq(before, &now)
        {
            return *held;
        }
        let Some((leaf, rest)) = self.certificates.split_first() else { return false };
        let holds = now.verify_client_cert(leaf, rest, UnixTime::now()).is_ok();
        *self.looked.write().unwrap_or_else(PoisonError::into_inner) = Some((now, holds));
        holds
    }
}

/// Encrypts a connection, and hands the certificate of the client on to its requests.
#[derive(Clone)]
pub struct Encrypted {
    inner: RustlsAcceptor<Bounded>,
    authorities: Authorities,
    told: Arc<Seldom<IpAddr>>,
}

impl Encrypted {
    pub fn new(config: RustlsConfig, authorities: Authorities, bounded: Bounded) -> Self {
        let handshake = bounded.handshake_within();
        let inner = RustlsAcceptor::new(config).handshake_timeout(handshake).acceptor(bounded);
        Self { inner, authorities, told: Arc::default() }
    }
}

/// Somebody who does not get as far as a request: a wrong certificate, no TLS at all, nothing in time. Whoever only looks
/// whether the port is open, and whoever was told of as one too many, is not told of.
fn failed(told: &Seldom<IpAddr>, address: IpAddr, fault: &io::Error) {
    let is_idle = matches!(fault.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionRefused);
    if let (false, Some(handshakes)) = (is_idle, told.note(address, Instant::now())) {
        let reason = shown(&fault.to_string(), 200);
        warn!(event = "handshake_failed", %address, handshakes, reason, "no TLS came about");
    }
}

type Accepted<S> = io::Result<(TlsStream<Connection>, AddExtension<S, Option<Presented>>)>;

impl<S: Send + 'static> Accept<TcpStream, S> for Encrypted {
    type Stream = TlsStream<Connection>;
    type Service = AddExtension<S, Option<Presented>>;
    type Future = Pin<Box<dyn Future<Output = Accepted<S>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let address = stream.peer_addr().map(|address| network(address.ip()));
        let accepting = self.inner.accept(stream, service);
        let (told, authorities) = (Arc::clone(&self.told), self.authorities.clone());
        Box::pin(async move {
            let address = address?;
            let (stream, service) = accepting.await.inspect_err(|fault| failed(&told, address, fault))?;
            let (_, session) = stream.get_ref();
            let shown = session.peer_certificates().unwrap_or_default();
            let presented = shown.first().and_then(|der| certificate::read(der)).map(|one| {
                let certificates = shown.iter().map(|one| one.clone().into_owned()).collect();
                let vouched = Arc::new(Chain { certificates, authorities, looked: RwLock::default() });
                Presented { names: one.names, ends: one.ends, vouched }
            });
            Ok((stream, AddExtension::new(service, presented)))
        })
    }
}
