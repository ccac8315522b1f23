//! What can go wrong with a peer, each with its own reason and remedy.

use std::error::Error;
use std::time::Duration;

use reqwest::StatusCode;

use crate::config::certificate::PairFault;
use crate::protocol::Problem;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PeerError {
    #[error("the host name is unknown; check `url` in [upstream] and the name service")]
    UnknownHost,
    #[error("nobody answers there ({0}); is the peer's daemon running, and the way to it open?")]
    Unreachable(String),
    #[error("the connection broke off ({0}); is it the peer's daemon that listens there, and the way to it sound?")]
    BrokenOff(String),
    #[error("no answer in time; the peer is slow or the network loses packets")]
    TimedOut,
    #[error("the peer's certificate has expired; its operator has to renew it (also check this machine's clock)")]
    CertificateExpired,
    #[error("the peer's certificate is not trusted ({0}); set `ca_file` in [upstream] to the authority that issued it")]
    CertificateUntrusted(String),
    #[error(
        "the peer's certificate is one of an authority (CA:TRUE), which may not serve a host; its operator has to make \
         another one, with basicConstraints=critical,CA:FALSE"
    )]
    CertificateOfAuthority,
    /// Ours; found before anybody is asked.
    #[error("`certificate_file` and `key_file` in [upstream]: {0}")]
    Identity(PairFault),
    #[error("`ca_file` in [upstream] holds a certificate that cannot be read; it must hold certificates in PEM form")]
    Authorities,
    #[error("the peer's certificate is for another name ({0}); check the host in `url` in [upstream]")]
    CertificateName(String),
    #[error("the encrypted connection failed ({0}); check `url` in [upstream]: does the peer serve TLS there?")]
    Tls(String),
    #[error(
        "the peer does not accept our user name and password, token or certificate; check `user` and `password_file`, or `token_file`, in [upstream]"
    )]
    Unauthorized,
    #[error("the peer speaks protocol {theirs}, we speak {ours}; one of the two has to be updated")]
    Version { theirs: String, ours: &'static str },
    /// The peer said what it does not like.
    #[error("the peer refused: {problem}")]
    Refused { problem: Box<Problem>, retry_after: Option<Duration> },
    /// Another server answered, one in between perhaps.
    #[error(
        "the peer's address answered with status {status}, and no problem document; is that casebridge? check `url` in [upstream]"
    )]
    Status { status: StatusCode, retry_after: Option<Duration> },
    #[error("the answer is not casebridge's protocol ({0}); check `url` in [upstream]")]
    Malformed(String),
}

impl PeerError {
    /// How long the peer asked us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            PeerError::Refused { retry_after, .. } | PeerError::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the request itself is at fault: the same one will be refused again. An address that is not there, or a
    /// body that came too slowly, is no fault of what was in it.
    pub fn blames_request(&self) -> bool {
        match self {
            PeerError::Refused { problem, .. } => matches!(problem.status, 400 | 409 | 413 | 422 | 500),
            PeerError::Status { status, .. } => matches!(status.as_u16(), 413 | 500),
            _ => false,
        }
    }

    /// Whether the peer itself says that it did nothing of what was asked for.
    pub fn is_refusal(&self) -> bool {
        matches!(self, PeerError::Refused { problem, .. } if problem.status < 500)
    }

    /// Whether the connection ended over the request. That may be the network, or what is in it.
    pub fn ended_connection(&self) -> bool {
        match self {
            PeerError::BrokenOff(_) | PeerError::TimedOut => true,
            // What a server in between says when the one behind it is gone.
            PeerError::Status { status, .. } => matches!(status.as_u16(), 502 | 504),
            _ => false,
        }
    }

    /// Whether the peer failed over the request, and did not refuse it.
    pub fn is_failure(&self) -> bool {
        match self {
            PeerError::Refused { problem, .. } => problem.status == 500,
            PeerError::Status { status, .. } => *status == StatusCode::INTERNAL_SERVER_ERROR,
            _ => false,
        }
    }

    /// What a failed call says of the connection.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        if let Some(tls) = tls_error(error) {
            return match tls {
                rustls::Error::InvalidCertificate(
                    rustls::CertificateError::Expired | rustls::CertificateError::ExpiredContext { .. },
                ) => PeerError::CertificateExpired,
                rustls::Error::InvalidCertificate(
                    fault @ (rustls::CertificateError::NotValidForName
                    | rustls::CertificateError::NotValidForNameContext { .. }),
                ) => PeerError::CertificateName(fault.to_string()),
                // Nothing but its text tells this one.
                rustls::Error::InvalidCertificate(fault) if fault.to_string().contains("CaUsedAsEndEntity") => {
                    PeerError::CertificateOfAuthority
                }
                rustls::Error::InvalidCertificate(fault) => PeerError::CertificateUntrusted(fault.to_string()),
                other => PeerError::Tls(other.to_string()),
            };
        }
        if error.is_timeout() {
            return PeerError::TimedOut;
        }
        if whole_chain(error).contains("dns error") {
            return PeerError::UnknownHost;
        }
        let reason = innermost(error);
        if error.is_connect() { PeerError::Unreachable(reason) } else { PeerError::BrokenOff(reason) }
    }
}

/// The TLS fault among the causes of `error`.
fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    if let Some(tls) = error.downcast_ref() {
        return Some(tls);
    }
    // An I/O error leaves what it was made of out of its sources.
    let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    inside.and_then(|inside| tls_error(inside)).or_else(|| error.source().and_then(tls_error))
}

fn innermost(error: &reqwest::Error) -> String {
    let mut reason: &dyn Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

fn whole_chain(error: &reqwest::Error) -> String {
    let mut chain = String::new();
    let mut next: Option<&dyn Error> = Some(error);
    while let Some(error) = next {
        chain.push_str(&error.to_string());
        chain.push_str("; ");
        next = error.source();
    }
    chain
}
