//! The listening sockets: a Unix socket for the commands at every site, an address for clients at a partner's. A site
//! without clients opens no network socket at all.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use super::DaemonError;
use super::connections::Bounded;
use super::identified::Identified;
use super::tls::{self, Authorities, Encrypted, TlsFault};
use crate::api::{self, Door};
use crate::case::Deposit;
use crate::config::Settings;
use crate::config::settings::{Bundle, Listen};
use crate::console::{self, Console};
use crate::exchange::Engine;
use crate::inbox;

/// The open doors.
pub struct Doors {
    local: Handle<std::os::unix::net::SocketAddr>,
    peers: Option<Peers>,
}

/// The door in the network.
struct Peers {
    handle: Handle<SocketAddr>,
    tls: Option<RustlsConfig>,
    authorities: Authorities,
    address: SocketAddr,
}

impl Doors {
    pub fn address(&self) -> Option<SocketAddr> {
        self.peers.as_ref().map(|peers| peers.address)
    }

    /// No new requests; those under way have `within` to end.
    pub fn close(&self, within: Duration) {
        self.local.graceful_shutdown(Some(within));
        if let Some(peers) = &self.peers {
            peers.handle.graceful_shutdown(Some(within));
        }
    }

    /// Reads certificate, key and the authorities of clients again. Connections that are open keep the site's certificate; that
    /// of the client has to hold before the new authorities.
    pub async fn reload_tls(&self, settings: &Settings) -> Result<(), TlsFault> {
        let tls = settings.listen.as_ref().and_then(|listen| listen.tls.as_ref());
        if let (Some(peers), Some(tls)) = (&self.peers, tls)
            && let Some(config) = &peers.tls
        {
            let read = tls::configuration(tls).await?;
            config.reload_from_config(read.server);
            peers.authorities.set(read.clients);
        }
        Ok(())
    }
}

pub async fn open(
    engine: &Engine,
    settings: &Settings,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Doors, DaemonError> {
    let bundle = settings.bundle.clone();
    let door = Door::new(engine.clone(), stop.clone(), Arc::new(move |bytes: Vec<u8>| read(&bytes, &bundle)));
    // The network first: whoever is told over the socket that the site is ready finds its door in the network open.
    let peers = match &settings.listen {
        Some(listen) => {
            let clients = api::peer_router(door.clone());
            let all = match engine.links() {
                Some(links) => clients.merge(console::router(Console::new(engine.clone(), links))),
                None => clients,
            };
            let bounded = Bounded::new(
                listen,
                Box::new({
                    let door = door.clone();
                    move |network| door.knows(network)
                }),
                engine.clone(),
            );
            Some(open_peers(all, listen, bounded, tasks).await?)
        }
        None => None,
    };
    let local = open_local(door, settings, tasks)?;
    Ok(Doors { local, peers })
}

/// A file that came over the socket, read as the inbox reads one.
fn read(bytes: &[u8], bundle: &Bundle) -> Result<Deposit, String> {
    inbox::read(bytes, bundle).map_err(|fault| format!("{fault}. {}", fault.remedy()))
}

fn open_local(
    door: Door,
    settings: &Settings,
    tasks: &TaskTracker,
) -> Result<Handle<std::os::unix::net::SocketAddr>, DaemonError> {
    let path = &settings.site.socket;
    let refused = |reason: String| DaemonError::Socket { path: path.clone(), reason };
    let io = |error: std::io::Error| refused(error.to_string());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(io)?;
    }
    // A socket that somebody answers on belongs to a running daemon; one that nobody does was left by a killed one.
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(refused("another daemon answers there".into()));
    }
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path).map_err(io)?,
        Ok(_) => return Err(refused("a file that is no socket stands there; set site.socket to another path".into())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
    }
    let listener = UnixListener::bind(path).map_err(io)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(settings.site.socket_mode)).map_err(io)?;
    listener.set_nonblocking(true).map_err(io)?;
    let handle = Handle::new();
    let server = axum_server::from_unix(listener).map_err(io)?.handle(handle.clone());
    let mut server = server.acceptor(Identified::new()).http1_only();
    bound_headers(server.http_builder(), Duration::from_secs(20));
    let service = api::local_router(door).into_make_service();
    let path = path.clone();
    tasks.spawn(async move {
        if let Err(error) = server.serve(service).await {
            error!(event = "door_closed", door = "local", reason = %error, "commands are not answered any more");
        }
        if let Err(error) = std::fs::remove_file(&path) {
            warn!(event = "socket_left", reason = %error, "the socket's file stays");
        }
    });
    Ok(handle)
}

async fn open_peers(
    routes: Router,
    listen: &Listen,
    bounded: Bounded,
    tasks: &TaskTracker,
) -> Result<Peers, DaemonError> {
    let refused = |source: std::io::Error| DaemonError::Listen { address: listen.address, source };
    let listener = TcpListener::bind(listen.address).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let handle = Handle::new();
    let authorities = Authorities::default();
    let mut opened = Peers { handle: handle.clone(), tls: None, authorities: authorities.clone(), address };
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    let closed = |outcome: std::io::Result<()>| {
        if let Err(error) = outcome {
            error!(event = "door_closed", door = "peers", reason = %error, "clients are not answered any more");
        }
    };
    match &listen.tls {
        Some(tls) => {
            let read = tls::configuration(tls).await?;
            authorities.set(read.clients);
            let config = RustlsConfig::from_config(read.server);
            opened.tls = Some(config.clone());
            let server = axum_server::from_tcp(listener).map_err(refused)?.handle(handle);
            let mut server = server.acceptor(Encrypted::new(config, authorities, bounded)).http1_only();
            bound_headers(server.http_builder(), listen.read_timeout);
            tasks.spawn(async move { closed(server.serve(service).await) });
        }
        None => {
            if !listen.address.ip().is_loopback() {
                warn!(event = "plain_http", address = %listen.address, "credentials and cases travel unencrypted");
            }
            let server = axum_server::from_tcp(listener).map_err(refused)?.handle(handle);
            let mut server = server.acceptor(bounded).http1_only();
            bound_headers(server.http_builder(), listen.read_timeout);
            tasks.spawn(async move { closed(server.serve(service).await) });
        }
    }
    Ok(opened)
}

/// A caller that sends its headers slowly, or none, is cut off. Only a server that does not wait to see which version of HTTP
/// it is to speak counts that time from the first moment on.
fn bound_headers<E>(builder: &mut hyper_util::server::conn::auto::Builder<E>, within: Duration) {
    /// A head of that size is none of ours, and nobody has to show credentials before it ends.
    const HEAD: usize = 64 << 10;
    let mut http = builder.http1();
    http.timer(hyper_util::rt::TokioTimer::new()).header_read_timeout(within).max_headers(64).max_buf_size(HEAD);
}
