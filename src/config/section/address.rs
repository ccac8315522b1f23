//! Addresses of sites: what may follow `url =`, and which hosts are this machine itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address without path: scheme, host, port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Without a slash at its end.
    pub url: String,
    pub is_https: bool,
    /// Whether what is sent there stays on this machine.
    pub is_loopback: bool,
}

/// Why an address was refused. Never repeats it: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    #[error("must start with https:// or http://")]
    Scheme,
    #[error("must not hold a user name or password")]
    UserInformation,
    #[error("must end behind the host and its port, without path, query or fragment")]
    Path,
    #[error("has no valid host name or IP address")]
    Host,
    #[error("has no valid port: 1 to 65535 are")]
    Port,
}

impl std::str::FromStr for Address {
    type Err = AddressFault;

    fn from_str(text: &str) -> Result<Self, AddressFault> {
        let (is_https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(AddressFault::Scheme),
        };
        if rest.contains('@') {
            return Err(AddressFault::UserInformation);
        }
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '\\']) {
            return Err(AddressFault::Path);
        }
        let (host, port) = split(authority)?;
        if port.is_some_and(|port| !port.bytes().all(|b| b.is_ascii_digit()) || port.parse().unwrap_or(0) == 0u16) {
            return Err(AddressFault::Port);
        }
        let url = text.strip_suffix('/').unwrap_or(text).to_owned();
        Ok(Self { url, is_https, is_loopback: is_loopback(host)? })
    }
}

/// Host and port. An IPv6 address stands in brackets, which are left out here.
fn split(authority: &str) -> Result<(Host<'_>, Option<&str>), AddressFault> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or(AddressFault::Host)?;
        let address: Ipv6Addr = address.parse().map_err(|_| AddressFault::Host)?;
        let port = if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or(AddressFault::Port)?) };
        return Ok((Host::Ip(address.into()), port));
    }
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    // A name whose last label is a number is read as an IPv4 address by HTTP clients.
    let last = host.rsplit('.').next().unwrap_or_default();
    if last.starts_with(|c: char| c.is_ascii_digit()) {
        let address: Ipv4Addr = host.parse().map_err(|_| AddressFault::Host)?;
        return Ok((Host::Ip(address.into()), port));
    }
    Ok((Host::Name(host), port))
}

/// The IP address that a sound address names in place of a host name.
pub fn literal(url: &str) -> Option<IpAddr> {
    let (_, authority) = url.split_once("://")?;
    match split(authority.trim_end_matches('/')).ok()? {
        (Host::Ip(address), _) => Some(address),
        (Host::Name(_), _) => None,
    }
}

/// Whether this is a host and a port.
pub fn socket(text: &str) -> bool {
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse().unwrap_or(0) != 0u16;
    matches!(split(text), Ok((host, Some(port))) if is_loopback(host).is_ok() && is_port(port))
}

#[derive(Debug, Clone, Copy)]
enum Host<'a> {
    Ip(IpAddr),
    Name(&'a str),
}

fn is_loopback(host: Host<'_>) -> Result<bool, AddressFault> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    match host {
        Host::Ip(address) => Ok(address.is_loopback()),
        Host::Name(name) if name.len() <= 253 && name.split('.').all(label) => {
            Ok(name.eq_ignore_ascii_case("localhost"))
        }
        Host::Name(_) => Err(AddressFault::Host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_scheme_host_and_port() {
        for (text, is_https, is_loopback) in [
            ("https://partner.example", true, false),
            ("https://partner.example:8443/", true, false),
            ("http://127.0.0.1:80", false, true),
            ("http://127.9.9.9", false, true),
            ("http://[::1]:8080", false, true),
            ("http://LocalHost", false, true),
            ("http://localhost.example", false, false),
            ("https://[2001:db8::1]", true, false),
        ] {
            let url = text.trim_end_matches('/').to_owned();
            assert_eq!(text.parse(), Ok(Address { url, is_https, is_loopback }));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (text, fault) in [
            ("partner.example", AddressFault::Scheme),
            ("ftp://partner.example", AddressFault::Scheme),
            ("https://north:secret@partner.example", AddressFault::UserInformation),
            ("https://partner.example/casebridge", AddressFault::Path),
            ("https://partner.example?x", AddressFault::Path),
            ("https://partner.example#x", AddressFault::Path),
            ("https://", AddressFault::Host),
            ("https://partner..example", AddressFault::Host),
            ("https://partner example", AddressFault::Host),
            ("https://pärtner.example", AddressFault::Host),
            ("https://127.1", AddressFault::Host),
            ("http://0x7f000001", AddressFault::Host),
            ("https://[::1", AddressFault::Host),
            ("https://2001:db8::1", AddressFault::Host),
            ("https://partner.example:", AddressFault::Port),
            ("https://partner.example:0", AddressFault::Port),
            ("https://partner.example:65536", AddressFault::Port),
            ("https://partner.example:+80", AddressFault::Port),
            ("https://[::1]x", AddressFault::Port),
        ] {
            assert_eq!(text.parse::<Address>(), Err(fault), "{text}");
        }
    }
}
