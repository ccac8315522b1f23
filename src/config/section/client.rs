//! `[[client]]`: a site that submits to this one.

use crate::case::Towards;
use crate::config::claims::Claims;
use crate::config::defaults;
use crate::config::faults::Refused;
use crate::config::item::{Item, quoted};
use crate::config::origin::Origin;
use crate::config::reader::Reader;
use crate::config::secret;
use crate::config::settings::{Client, ClientLimits, ClientLogin};

use super::attachments::attachments;
use super::fields::{FIELD_LIMIT, FieldMaps};
use super::login::{user, user_name};
use super::site::{alias, peer_key};

/// The most clients of one site.
pub const CLIENT_LIMIT: usize = 10_000;

/// What only one client may have.
#[derive(Default)]
pub struct Names {
    users: Claims,
    certificates: Claims,
}

pub fn client(
    mut table: Reader<'_>,
    origin: &Origin,
    knows_certificates: bool,
    aliases: &mut Claims,
    names: &mut Names,
    maps: &mut FieldMaps,
) -> Result<Client, Refused> {
    let alias = alias(&mut table, "alias = \"north\", the alias in the [site] of the client", aliases);
    let login = login(&mut table, origin, names).transpose();
    let certificate_name =
        table.item("certificate_name").map(|item| certificate_name(&item, knows_certificates, names)).transpose();
    let internal_comments = table.flag("internal_comments", defaults::INTERNAL_COMMENTS);
    let limits = limits(table.section("limits"));
    let attachments = attachments(table.section("attachments"));
    let fields = maps.read(table.sections("field", FIELD_LIMIT), Towards::Client);
    let key = peer_key(&mut table);
    table.finish();
    Ok(Client {
        alias: alias?,
        login: login?,
        certificate_name: certificate_name?,
        internal_comments,
        limits,
        attachments,
        fields,
        key,
    })
}

/// Nothing where the client comes with a token or its certificate.
fn login(table: &mut Reader<'_>, origin: &Origin, names: &mut Names) -> Option<Result<ClientLogin, Refused>> {
    let keys = ["user", "password_file", "previous_password_file"];
    if keys.iter().chain(&["password"]).all(|key| table.spot_of(key).is_none()) {
        // Known here, if not used.
        keys.iter().for_each(|key| drop(table.item(key)));
        return None;
    }
    let user = user(table).and_then(|item| {
        let user = user_name(&item)?;
        names.users.claim(&item, user.clone(), "each client needs a user name of its own");
        Ok(user)
    });
    let password = secret::password(table, origin);
    let previous = table.item("previous_password_file").map(|item| secret::password_in(&item, origin)).transpose();
    let login = || Ok(ClientLogin { user: user?, password: password?, previous_password: previous? });
    Some(login())
}

/// A DNS name, in small letters.
fn certificate_name(item: &Item<'_>, knows_certificates: bool, names: &mut Names) -> Result<String, Refused> {
    let text = item.line(253)?;
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if !text.split('.').all(label) {
        let help = "write the DNS name in the client's certificate, for example \"north.example\"";
        return Err(item.refuse(format!("{} is not a DNS name", quoted(text)), help));
    }
    if !knows_certificates {
        let help = "add client_ca_file to [listen.tls]: the authority that issued the certificate";
        return Err(item.refuse("no certificate of a client can be checked here", help));
    }
    let name = text.to_ascii_lowercase();
    names.certificates.claim(item, name.clone(), "each client needs a certificate of its own");
    Ok(name)
}

fn limits(mut table: Reader<'_>) -> ClientLimits {
    let limits = ClientLimits {
        requests_per_second: table.count("requests_per_second", defaults::CLIENT_REQUESTS_PER_SECOND),
        burst: table.count("burst", defaults::CLIENT_BURST),
        at_once: table.count("at_once", defaults::CLIENT_AT_ONCE),
        max_body_bytes: table
            .take("max_body", |item| item.size(defaults::LISTEN_MAX_BODY))
            .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
    };
    table.finish();
    limits
}
