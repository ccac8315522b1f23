//! `[listen]`: the door for other sites.

use std::net::SocketAddr;

use crate::config::defaults;
use crate::config::disk::{Disk, Want};
use crate::config::faults::Refused;
use crate::config::item::{Item, quoted};
use crate::config::origin::Origin;
use crate::config::reader::Reader;
use crate::config::secret;
use crate::config::settings::{Listen, ListenTls};

pub fn listen(mut table: Reader<'_>, origin: &Origin, disk: &mut Disk) -> Result<Listen, Refused> {
    let tls = table.optional_section("tls").map(|section| section.and_then(|table| tls(table, origin, disk)));
    let allow_plain_http = table.flag("allow_plain_http", defaults::ALLOW_PLAIN_HTTP);
    let address = table
        .required("address", "write address = \"0.0.0.0:8443\"")
        .and_then(|item| address(&item, tls.is_some() || allow_plain_http));
    let max_body = table.size("max_body", defaults::LISTEN_MAX_BODY);
    let answer_within = table.duration("answer_within", defaults::LISTEN_ANSWER_WITHIN);
    let read_timeout = table.duration("read_timeout", defaults::LISTEN_READ_TIMEOUT);
    let max_wait = table.duration("max_wait", defaults::LISTEN_MAX_WAIT);
    let write_timeout = table.duration("write_timeout", defaults::LISTEN_WRITE_TIMEOUT);
    let connections = table.count("connections", defaults::LISTEN_CONNECTIONS);
    let connections_per_address = table.count("connections_per_address", defaults::LISTEN_CONNECTIONS_PER_ADDRESS);
    let failures_per_minute = table.count("failures_per_minute", defaults::LISTEN_FAILURES_PER_MINUTE);
    table.finish();
    Ok(Listen {
        address: address?,
        tls: tls.transpose()?,
        // The bound is far below what any machine's addresses hold.
        max_body_bytes: usize::try_from(max_body).unwrap_or(usize::MAX),
        answer_within,
        read_timeout,
        max_wait,
        write_timeout,
        connections,
        connections_per_address,
        failures_per_minute,
    })
}

fn tls(mut table: Reader<'_>, origin: &Origin, disk: &mut Disk) -> Result<ListenTls, Refused> {
    let mut file = |key, help, want| {
        let item = table.required(key, help)?;
        let (path, _) = secret::place(&item, origin)?;
        origin.holds_secret(&path);
        disk.want(item.spot, path.clone(), want);
        Ok(path)
    };
    let certificate = file("certificate", "write certificate = \"chain.pem\"", Want::ReadableFile);
    let key = file("key", "write key = \"key.pem\"", Want::PrivateFile);
    let client_ca = table.item("client_ca_file").map(|item| secret::certificates(&item, origin)).transpose();
    table.finish();
    Ok(ListenTls { certificate: certificate?, key: key?, client_ca: client_ca? })
}

fn address(item: &Item<'_>, is_protected: bool) -> Result<SocketAddr, Refused> {
    let text = item.text()?;
    let help = "write an IP address and a port, for example \"0.0.0.0:8443\" or \"[::]:8443\"";
    let address: SocketAddr =
        text.parse().map_err(|_| item.refuse(format!("{} is not an address to listen at", quoted(text)), help))?;
    if is_protected || address.ip().is_loopback() {
        return Ok(address);
    }
    Err(item.refuse(
        format!("{} is open to other machines, and without TLS passwords and cases travel unencrypted", quoted(text)),
        "add [listen.tls], or, if something else encrypts the way, allow_plain_http = true in [listen]",
    ))
}
