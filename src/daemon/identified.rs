//! Whose process calls over the Unix socket. The kernel says it (SO_PEERCRED), whatever the caller says.

use std::future::{Ready, ready};
use std::io;

use axum_server::accept::Accept;
use tokio::net::UnixStream;
use tower_http::add_extension::AddExtension;

use crate::api::Calling;

/// Hands the user who calls on to the requests.
#[derive(Clone, Copy)]
pub struct Identified {
    /// Stands for every user whom the kernel does not show to this process: all but root, for a service with private users.
    hidden: Option<u32>,
}

impl Identified {
    pub fn new() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self { hidden: hidden(&read("/proc/sys/kernel/overflowuid"), &read("/proc/self/uid_map")) }
    }
}

/// The number under which users are shown that `map` does not have (user_namespaces(7)).
fn hidden(overflow: &str, map: &str) -> Option<u32> {
    let overflow = overflow.trim().parse().ok()?;
    let holds = |line: &str| {
        let mut fields = line.split_whitespace().map(str::parse::<u32>);
        match (fields.next(), fields.nth(1)) {
            (Some(Ok(first)), Some(Ok(count))) => (first..first.saturating_add(count)).contains(&overflow),
            _ => false,
        }
    };
    (!map.lines().any(holds)).then_some(overflow)
}

impl<S> Accept<UnixStream, S> for Identified {
    type Stream = UnixStream;
    type Service = AddExtension<S, Calling>;
    type Future = Ready<io::Result<(UnixStream, AddExtension<S, Calling>)>>;

    fn accept(&self, stream: UnixStream, service: S) -> Self::Future {
        let caller = stream.peer_cred().map(|peer| Some(peer.uid()).filter(|uid| Some(*uid) != self.hidden));
        ready(caller.map(|caller| (stream, AddExtension::new(service, Calling(caller)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_hidden_among_private_users_has_no_number() {
        let everybody = "         0          0 4294967295\n";
        let private = "         0          0          1\n     61234      61234          1\n";
        assert_eq!(hidden("65534\n", everybody), None);
        assert_eq!(hidden("65534\n", private), Some(65534));
        assert_eq!(hidden("", private), None);
    }
}
