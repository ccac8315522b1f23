//! `[upstream]`: the site that this one submits to.

use crate::case::Towards;
use crate::config::claims::Claims;
use crate::config::defaults;
use crate::config::faults::Refused;
use crate::config::item::{Item, quoted};
use crate::config::origin::Origin;
use crate::config::reader::Reader;
use crate::config::secret;
use crate::config::settings::{Identity, Login, Upstream};
use crate::config::units::show_duration;

use super::address::Address;
use super::attachments::attachments;
use super::fields::{FIELD_LIMIT, FieldMaps};
use super::login::{user, user_name};
use super::site::{alias, peer_key};

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
    let identity = identity(&mut table, origin).transpose();
    let login = login(&mut table, origin, !matches!(identity, Ok(None)));
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
    let key = peer_key(&mut table);
    table.finish();
    let is_exposed = url.as_ref().is_ok_and(|url| !url.is_https && !url.is_loopback);
    Ok(Upstream {
        alias: alias?,
        url: url?.url,
        is_exposed,
        login: login?,
        identity: identity?,
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
        key,
    })
}

/// User and password, or a token, or the certificate alone.
fn login(table: &mut Reader<'_>, origin: &Origin, has_certificate: bool) -> Result<Login, Refused> {
    let has_password = ["user", "password_file", "password"].iter().any(|key| table.spot_of(key).is_some());
    match table.item("token_file") {
        Some(item) if has_password => {
            // Read and refused all the same, so that no key of them counts as unknown.
            let _ = (user(table), secret::password(table, origin));
            Err(item.refuse("stands beside `user` and `password_file`", "keep one of the two"))
        }
        Some(item) => secret::token(&item, origin).map(Login::Token),
        None if has_certificate && !has_password => Ok(Login::Certificate),
        None => {
            let user = user(table).and_then(|item| user_name(&item));
            let password = secret::password(table, origin);
            Ok(Login::Password { user: user?, password: password? })
        }
    }
}

/// Our own certificate, and its key in a file that other users cannot open.
fn identity(table: &mut Reader<'_>, origin: &Origin) -> Option<Result<Identity, Refused>> {
    let (certificate, key) = (table.item("certificate_file"), table.item("key_file"));
    let missing = |key: &str, other: &str| {
        let help = format!("name both: certificate_file and key_file belong together, and {other} is there");
        Err(table.missing(key, &help))
    };
    match (certificate, key) {
        (None, None) => None,
        (Some(_), None) => Some(missing("key_file", "certificate_file")),
        (None, Some(_)) => Some(missing("certificate_file", "key_file")),
        (Some(certificate), Some(key)) => {
            let (certificate, key) = (secret::certificates(&certificate, origin), secret::key(&key, origin));
            Some(certificate.and_then(|certificate| Ok(Identity { certificate, key: key? })))
        }
    }
}

fn url(item: &Item<'_>, allow_plain_http: bool) -> Result<Address, Refused> {
    let text = item.line(2048)?;
    let address: Address = text.parse().map_err(|fault: super::address::AddressFault| {
        item.refuse(format!("the address {fault}"), "write it like \"https://partner.example:8443\"")
    })?;
    if address.is_https || address.is_loopback || allow_plain_http {
        return Ok(address);
    }
    Err(item.refuse(
        format!("{} would send the password and all cases unencrypted", quoted(text)),
        "write https://, or, if something else encrypts the way, allow_plain_http = true in [upstream]",
    ))
}
