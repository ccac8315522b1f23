//! Why a daemon does not start or go on, and the exit code that says so.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::tls::TlsFault;
use crate::config::PageKeyFault;
use crate::config::site_key::SiteKeyFault;
use crate::exchange::EngineError;
use crate::jobs::ScheduleError;
use crate::notify::PostError;
use crate::peer::PeerError;
use crate::state::OpenError;
use crate::store::StoreError;
use crate::telemetry::InstallError;

#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error("{0}")]
    Log(#[from] InstallError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{fault}{}", remedy(fault))]
    State {
        #[from]
        fault: OpenError,
    },
    #[error("the engine does not start: {0}")]
    Engine(#[from] EngineError),
    #[error("[upstream] cannot be used: {0}")]
    Upstream(#[from] PeerError),
    #[error("{0}")]
    Post(#[from] PostError),
    #[error("{0}")]
    PageKey(#[from] PageKeyFault),
    #[error("{0}")]
    Schedule(#[from] ScheduleError),
    #[error("[listen] address {address} cannot be opened: {source}; is another program there?")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("[listen.tls] cannot be used: {0}")]
    Tls(#[from] TlsFault),
    #[error("the socket {path} cannot be opened: {reason}")]
    Socket { path: PathBuf, reason: String },
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
    #[error("the key of [history] cannot be used: {0}")]
    Key(String),
    #[error("the state cannot be written any more: {0}; after a restart everything unacknowledged is done again")]
    StateFailed(String),
    #[error("{path} cannot be set aside: {reason}")]
    SetAside { path: PathBuf, reason: String },
}

fn remedy(error: &OpenError) -> &'static str {
    match error {
        OpenError::Damaged { .. } => {
            "; `casebridge state rebuild` sets it aside and rebuilds from store and peers, nothing is lost"
        }
        _ => "",
    }
}

impl DaemonError {
    pub(super) fn signals(error: std::io::Error) -> Self {
        DaemonError::Signals(error)
    }

    pub(super) fn key(fault: SiteKeyFault) -> Self {
        DaemonError::Key(fault.to_string())
    }

    /// The exit code of the process: 3 for settings, 7 for state, 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            DaemonError::Log(_)
            | DaemonError::Key(_)
            | DaemonError::Schedule(_)
            | DaemonError::Upstream(_)
            | DaemonError::Tls(_)
            | DaemonError::Post(_) => 3,
            DaemonError::State { .. } => 7,
            _ => 1,
        }
    }
}
