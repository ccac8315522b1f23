//! Connections of clients: so many in all and from one address, and none that takes its answers too slowly.

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum_server::accept::Accept;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tracing::warn;

use crate::clock::network;
use crate::config::settings::Listen;
use crate::exchange::{Engine, Strain};
use crate::telemetry::Seldom;

/// Lets connections in, up to the limits.
#[derive(Clone)]
pub struct Bounded(Arc<Inner>);

struct Inner {
    most: usize,
    /// So many of them for networks from which nobody showed credentials yet: strangers from many addresses shut no client out
    /// that was there before.
    most_strangers: usize,
    most_each: usize,
    read_within: Duration,
    write_within: Duration,
    open: Mutex<Open>,
    told: Seldom<IpAddr>,
    known: Known,
    full: Box<dyn Fn() + Send + Sync>,
}

/// Whether somebody came in with credentials from a network.
pub type Known = Box<dyn Fn(IpAddr) -> bool + Send + Sync>;

#[derive(Default)]
struct Open {
    count: usize,
    each: HashMap<IpAddr, usize>,
}

/// Half of the file descriptors that this process may have, the most that it is given: a connection that finds none waits
/// unseen at the door, and the store and the state need theirs.
fn affordable() -> usize {
    let limit = getrlimit(Resource::Nofile);
    // A refusal leaves the limit as it is, which is then what counts.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let descriptors = getrlimit(Resource::Nofile).current;
    descriptors.map_or(usize::MAX, |count| usize::try_from(count / 2).unwrap_or(usize::MAX))
}

impl Bounded {
    pub fn new(listen: &Listen, known: Known, engine: Engine) -> Self {
        let most = listen.connections.min(affordable());
        if most < listen.connections {
            let wanted = listen.connections;
            warn!(event = "connections_lowered", connections = most, wanted, "file descriptors are too few");
        }
        Self(Arc::new(Inner {
            most,
            most_strangers: most - most / 4,
            most_each: listen.connections_per_address,
            read_within: listen.read_timeout,
            write_within: listen.write_timeout,
            open: Mutex::default(),
            told: Seldom::default(),
            known,
            full: Box::new(move || engine.ran_out(Strain::Connections)),
        }))
    }

    /// The time for the handshake of TLS.
    pub fn handshake_within(&self) -> Duration {
        self.0.read_within
    }

    /// Who has one IPv6 address has all of its network.
    fn enter(&self, address: IpAddr) -> Option<Place> {
        let address = network(address);
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        let each = open.each.get(&address).copied().unwrap_or_default();
        let is_full = open.count >= self.0.most || open.count >= self.0.most_strangers && !(self.0.known)(address);
        if is_full {
            (self.0.full)();
        }
        if is_full || each >= self.0.most_each {
            return None;
        }
        open.count += 1;
        open.each.insert(address, each + 1);
        Some(Place { inner: Arc::clone(&self.0), address })
    }
}

impl<S> Accept<TcpStream, S> for Bounded {
    type Stream = Connection;
    type Service = S;
    type Future = Ready<io::Result<(Connection, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let accepted = stream.peer_addr().and_then(|address| {
            let address = network(address.ip());
            let place = self.enter(address).ok_or_else(|| {
                if let Some(connections) = self.0.told.note(address, Instant::now()) {
                    warn!(event = "connections_limited", %address, connections, "too many connections; these were closed");
                }
                io::Error::from(io::ErrorKind::ConnectionRefused)
            })?;
            stream.set_nodelay(true)?;
            Ok((Connection { stream, write_within: self.0.write_within, deadline: None, _place: place }, service))
        });
        ready(accepted)
    }
}

/// One of the open connections.
struct Place {
    inner: Arc<Inner>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.inner.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.count -= 1;
        let left = open.each.get(&self.address).copied().unwrap_or_default().saturating_sub(1);
        if left == 0 {
            open.each.remove(&self.address);
        } else {
            open.each.insert(self.address, left);
        }
    }
}

/// A connection whose answers are taken in time, or it ends: from the first byte that waits until nothing waits any more.
pub struct Connection {
    stream: TcpStream,
    write_within: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

impl Connection {
    /// What a write came to: one that has to wait sets the deadline, which stands until everything was written.
    fn written<T>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_pending() {
            let within = self.write_within;
            let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(within)));
            if deadline.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        outcome
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        if outcome.is_ready() {
            self.deadline = None;
        }
        self.written(context, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        self.written(context, outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn bounded(most: usize, most_each: usize, known: Known) -> Bounded {
        Bounded(Arc::new(Inner {
            most,
            most_strangers: most - most / 4,
            most_each,
            read_within: Duration::from_secs(1),
            write_within: Duration::from_secs(1),
            open: Mutex::default(),
            told: Seldom::default(),
            known,
            full: Box::new(|| ()),
        }))
    }

    #[test]
    fn strangers_from_many_addresses_leave_places_for_whoever_was_there_before() {
        let client = IpAddr::from([192, 0, 2, 7]);
        let bounded = bounded(64, 4, Box::new(move |network| network == client));
        let held: Vec<Place> =
            (0..200).flat_map(|host| [host; 4]).filter_map(|host| bounded.enter([10, 0, 0, host].into())).collect();
        assert_eq!(held.len(), 48);
        assert!(bounded.enter(client).is_some() && bounded.enter([10, 0, 1, 1].into()).is_none());
        drop(held);
        assert!(bounded.enter([10, 0, 1, 1].into()).is_some());
    }

    #[test]
    fn a_network_of_ipv6_addresses_has_the_places_of_one_address() {
        let bounded = bounded(64, 4, Box::new(|_| false));
        let of = |network: u16, host: u16| Ipv6Addr::new(0x2001, 0xdb8, 1, network, 0, 0, 0, host).into();
        let held: Vec<Place> = (0..200).filter_map(|host| bounded.enter(of(1, host))).collect();
        assert_eq!(held.len(), 4);
        assert!(bounded.enter(of(2, 1)).is_some(), "another network gets in");
        drop(held);
        assert!(bounded.enter(of(1, 9)).is_some());
    }
}
