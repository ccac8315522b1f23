//! `[upstream]`, `[listen]` and `[[client]]`: the other sites.

use std::net::SocketAddr;

use crate::case::Towards;
use crate::config::claims::Claims;
use crate::config::defaults;
use crate::config::disk::{Disk, Want};
use crate::config::faults::Refused;
use crate::config::item::{Item, quoted};
use crate::config::origin::Origin;
use crate::config::reader::Reader;
use crate::config::secret;
use crate::config::settings::{Client, Listen, ListenTls, Upstream};
use crate::config::units::show_duration;

use super::address::Address;
use super::attachments::attachments;
use super::fields::FieldMaps;
use super::site::{PATH_LIMIT, alias};

/// The most clients of one site.
pub const CLIENT_LIMIT: usize = 10_000;
/// The most sections for fields of one peer.
const FIELD_LIMIT: usize = 100;
/// The longest user name, in bytes.
const USER_LIMIT: usize = 128;

pub fn upstream(
    mut table: Reader<'_>,
    origin: &Origin,
    aliases: &mut Claims,
    maps: &mut FieldMaps,
) -> Result<Upstream, Refused> {
    let alias = alias(&mut table, "alias = \"partner\", the alias in the [site] of the upstream", aliases);
    let allow_plain_http = table.flag("allow_plain_http", defaults::ALLOW_PLAIN_HTTP);
    let url = table
        .required("url", "write url = \"https://partner.example:8443\"")
        .and_then(|item| url(&item, allow_plain_http));
    let user = user(&mut table).and_then(|item| user_name(&item));
    let password = secret::password(&mut table, origin);
    let ca = table.item("ca_file").map(|item| secret::certificates(&item, origin)).transpose();
    let poll_interval = table.duration("poll_interval", defaults::UPSTREAM_POLL_INTERVAL);
    let connect_timeout = table.duration("connect_timeout", defaults::UPSTREAM_CONNECT_TIMEOUT);
    let request_timeout = table.duration("request_timeout", defaults::UPSTREAM_REQUEST_TIMEOUT);
    if table.is_sound() && connect_timeout > request_timeout {
        let spot = table.spot_of("connect_timeout").or_else(|| table.spot_of("request_timeout"));
        let spot = spot.unwrap_or(table.spot.clone());
        let (connect, request) = (quoted(&show_duration(connect_timeout)), quoted(&show_duration(request_timeout)));
        let message = format!("the time to connect, {connect}, is longer than the time for a whole request, {request}");
        table.faults.refuse(spot, message, "set connect_timeout to at most request_timeout");
    }
    let batch = table.count("batch", defaults::UPSTREAM_BATCH);
    let in_flight = table.count("in_flight", defaults::UPSTREAM_IN_FLIGHT);
    let check_after = table.duration("check_after", defaults::UPSTREAM_CHECK_AFTER);
    let hide_clients = table.flag("hide_clients", defaults::UPSTREAM_HIDE_CLIENTS);
    let internal_comments = table.flag("internal_comments", defaults::INTERNAL_COMMENTS);
    let attachments = attachments(table.section("attachments"));
    let fields = maps.read(table.sections("field", FIELD_LIMIT), Towards::Upstream);
    table.finish();
    Ok(Upstream {
        alias: alias?,
        url: url?,
        user: user?,
        password: password?,
        ca: ca?,
        poll_interval,
        connect_timeout,
        request_timeout,
        batch,
        in_flight,
        check_after,
        hide_clients,
        internal_comments,
        attachments,
        fields,
    })
}

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
    table.finish();
    Ok(Listen {
        address: address?,
        tls: tls.transpose()?,
        // The bound is far below what any machine's addresses hold.
        max_body_bytes: usize::try_from(max_body).unwrap_or(usize::MAX),
        answer_within,
        read_timeout,
        max_wait,
    })
}

pub fn client(
    mut table: Reader<'_>,
    origin: &Origin,
    aliases: &mut Claims,
    users: &mut Claims,
    maps: &mut FieldMaps,
) -> Result<Client, Refused> {
    let alias = alias(&mut table, "alias = \"north\", the alias in the [site] of the client", aliases);
    let user = user(&mut table).and_then(|item| {
        let user = user_name(&item)?;
        users.claim(&item, user.clone(), "each client needs a user name of its own");
        Ok(user)
    });
    let password = secret::password(&mut table, origin);
    let internal_comments = table.flag("internal_comments", defaults::INTERNAL_COMMENTS);
    let attachments = attachments(table.section("attachments"));
    let fields = maps.read(table.sections("field", FIELD_LIMIT), Towards::Client);
    table.finish();
    Ok(Client { alias: alias?, user: user?, password: password?, internal_comments, attachments, fields })
}

fn tls(mut table: Reader<'_>, origin: &Origin, disk: &mut Disk) -> Result<ListenTls, Refused> {
    let mut file = |key, help, want| {
        let item = table.required(key, help)?;
        let path = origin.resolve(item.line(PATH_LIMIT)?);
        disk.want(item.spot, path.clone(), want);
        Ok(path)
    };
    let certificate = file("certificate", "write certificate = \"chain.pem\"", Want::ReadableFile);
    let key = file("key", "write key = \"key.pem\"", Want::PrivateFile);
    table.finish();
    Ok(ListenTls { certificate: certificate?, key: key? })
}

fn url(item: &Item<'_>, allow_plain_http: bool) -> Result<String, Refused> {
    let text = item.line(2048)?;
    let address: Address = text.parse().map_err(|fault: super::address::AddressFault| {
        item.refuse(format!("the address {fault}"), "write it like \"https://partner.example:8443\"")
    })?;
    if address.is_https || address.is_loopback || allow_plain_http {
        return Ok(address.url);
    }
    Err(item.refuse(
        format!("{} would send the password and all cases unencrypted", quoted(text)),
        "write https://, or, if something else encrypts the way, allow_plain_http = true in [upstream]",
    ))
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

fn user<'t>(table: &mut Reader<'t>) -> Result<Item<'t>, Refused> {
    table.required("user", "write the user name that both sites agreed on, for example user = \"north\"")
}

/// At most 128 bytes, and no colon: HTTP's Basic authentication ends the name there (RFC 7617).
fn user_name(item: &Item<'_>) -> Result<String, Refused> {
    let text = item.line(USER_LIMIT)?;
    if !text.contains(':') {
        return Ok(text.to_owned());
    }
    Err(item.refuse(format!("{} holds a colon", quoted(text)), "choose a user name without ':' (RFC 7617)"))
}
