//! `[site]`, `[log]`, `[store]` and `[state]`: the installation itself.

use std::path::{Path, PathBuf};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::case::Alias;
use crate::case::evidence::PublicKey;
use crate::config::claims::Claims;
use crate::config::defaults;
use crate::config::faults::{Refused, Spot};
use crate::config::item::{Item, quoted};
use crate::config::origin::Origin;
use crate::config::reader::Reader;
use crate::config::settings::{Log, LogFormat, OnDamage, Site, State, Store};
use crate::config::token::{self, Tokens};
use crate::config::units;

/// The longest path of a Unix socket, in bytes (unix(7): 108 with the final zero).
const SOCKET_PATH_LIMIT: usize = 107;
/// The longest path, in bytes.
pub(super) const PATH_LIMIT: usize = 4096;

pub fn site(mut table: Reader<'_>, origin: &Origin, aliases: &mut Claims) -> Result<Site, Refused> {
    let alias = alias(&mut table, "alias = \"north\", the name that this site's partner knows it by", aliases);
    let data_dir = path(&mut table, "data_dir", origin).unwrap_or_else(|| defaults::DATA_DIR.into());
    let socket = socket(&mut table, origin, &data_dir);
    let socket_mode = table.take("socket_mode", socket_mode).unwrap_or(defaults::SOCKET_MODE);
    let stop_within = table.duration("stop_within", defaults::STOP_WITHIN);
    let why_notes = table.flag("why_notes", defaults::WHY_NOTES);
    let test_mode = table.flag("test_mode", defaults::TEST_MODE);
    let tokens_file = path(&mut table, "tokens_file", origin).unwrap_or_else(|| defaults::tokens_file(&data_dir));
    let reread_secrets = table.duration("reread_secrets", defaults::REREAD_SECRETS);
    table.finish();
    Ok(Site {
        alias: alias?,
        data_dir,
        socket: socket?,
        socket_mode,
        stop_within,
        why_notes,
        test_mode,
        tokens_file,
        reread_secrets,
    })
}

/// What stands in `site.tokens_file`; nothing where there is no such file.
pub fn tokens(site: &Site, file: &Reader<'_>, origin: &Origin) -> Result<Tokens, Refused> {
    origin.holds_secret(&site.tokens_file);
    token::read(&site.tokens_file).map_err(|fault| {
        let spot = file.spot_of("site").unwrap_or(file.spot.clone());
        let spot = Spot { key: "site.tokens_file".to_owned(), ..spot };
        file.faults.refuse(spot, fault.message, fault.help)
    })
}

pub fn log(mut table: Reader<'_>) -> Log {
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json), ("journald", LogFormat::Journald)];
    let format = table.choice("format", &formats, defaults::LOG_FORMAT);
    let level = table.take("level", level);
    table.finish();
    Log { format, level: level.unwrap_or_else(|| defaults::LOG_LEVEL.to_owned()) }
}

pub fn store(mut table: Reader<'_>, origin: &Origin, data_dir: &Path) -> Store {
    let store = Store {
        path: path(&mut table, "path", origin).unwrap_or_else(|| defaults::store_path(data_dir)),
        poll_interval: table.duration("poll_interval", defaults::STORE_POLL_INTERVAL),
        batch: table.count("batch", defaults::STORE_BATCH),
        busy_timeout: table.duration("busy_timeout", defaults::STORE_BUSY_TIMEOUT),
    };
    table.finish();
    store
}

pub fn state(mut table: Reader<'_>, origin: &Origin, data_dir: &Path) -> State {
    let state = State {
        path: path(&mut table, "path", origin).unwrap_or_else(|| defaults::state_path(data_dir)),
        group: table.count("group", defaults::STATE_GROUP),
        cache_bytes: table.size("cache", defaults::STATE_CACHE),
        on_damage: table.choice(
            "on_damage",
            &[("rebuild", OnDamage::Rebuild), ("stop", OnDamage::Stop)],
            defaults::STATE_ON_DAMAGE,
        ),
    };
    table.finish();
    state
}

/// `key`: the public key that a peer signs its receipts with.
pub(super) fn peer_key(table: &mut Reader<'_>) -> Option<PublicKey> {
    table.take("key", |item| item.parsed("write the 44 characters that `casebridge key show` prints at the other site"))
}

/// The alias of a section; no other section may have the same one.
pub(super) fn alias(table: &mut Reader<'_>, example: &str, aliases: &mut Claims) -> Result<Alias, Refused> {
    let help = "an alias has 1 to 64 letters, digits, '-', '_' and '.', and starts with a letter or digit";
    let item = table.required("alias", &format!("write {example}"))?;
    let alias: Alias = item.parsed(help)?;
    aliases.claim(&item, alias.to_string(), "each site needs an alias of its own");
    Ok(alias)
}

/// A path; a relative one starts at the directory of the file.
pub(super) fn path(table: &mut Reader<'_>, key: &'static str, origin: &Origin) -> Option<PathBuf> {
    table.line(key, PATH_LIMIT).map(|path| origin.resolve(path))
}

fn socket(table: &mut Reader<'_>, origin: &Origin, data_dir: &Path) -> Result<PathBuf, Refused> {
    let item = table.item("socket");
    let path = match &item {
        Some(item) => origin.resolve(item.line(PATH_LIMIT)?),
        None => defaults::socket(data_dir),
    };
    let length = path.as_os_str().len();
    if length <= SOCKET_PATH_LIMIT {
        return Ok(path);
    }
    let message = format!("the path of the socket has {length} bytes; the system allows {SOCKET_PATH_LIMIT}");
    let help = "set site.socket to a shorter path, for example \"/run/casebridge/casebridge.sock\"";
    Err(match item {
        Some(item) => item.refuse(message, help),
        None => table.faults.refuse(table.spot.clone(), message, help),
    })
}

/// The socket is the door for commands, so it stays closed to users outside of the owner and the group.
fn socket_mode(item: &Item<'_>) -> Result<u32, Refused> {
    let help =
        "write four octal digits, for example \"0660\": the owner and the members of the group may give commands";
    let text = item.text()?;
    let mode = units::mode(text).ok_or_else(|| item.refuse(format!("{} is not a file mode", quoted(text)), help))?;
    if mode & 0o007 != 0 {
        return Err(item.refuse(format!("{} lets every user of this machine give commands", quoted(text)), help));
    }
    if mode & 0o600 != 0o600 {
        return Err(item.refuse(format!("{} shuts out the owner", quoted(text)), help));
    }
    Ok(mode)
}

fn level(item: &Item<'_>) -> Result<String, Refused> {
    let text = item.line(1024)?;
    let help = "write error, warn, info or debug, or a filter such as \"casebridge::exchange=debug,info\"";
    match EnvFilter::builder().parse(text) {
        Ok(filter) if filter.max_level_hint() == Some(LevelFilter::TRACE) => {
            Err(item.refuse(format!("{} asks for more than the program tells", quoted(text)), help))
        }
        Ok(_) => Ok(text.to_owned()),
        Err(fault) => Err(item.refuse(format!("{} is not a log filter: {fault}", quoted(text)), help)),
    }
}
