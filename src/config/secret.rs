//! Secrets are read from files, never from the configuration itself: a file has permissions, and a configuration is copied,
//! mailed and kept under version control.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;

use super::faults::Refused;
use super::item::{Item, quoted};
use super::origin::Origin;
use super::reader::Reader;
use super::token;
use crate::case::text::line;

/// The lengths of a password in bytes. The upper one is that of A-37.
pub(super) const PASSWORD: RangeInclusive<usize> = 8..=32;
/// The longest file of a token, in bytes.
const TOKEN_LIMIT: u64 = 256;
/// The lengths of a webhook's key in bytes, as its scheme has them.
const WEBHOOK: std::ops::RangeInclusive<usize> = 24..=64;
/// The longest certificate file in bytes.
const CERTIFICATE_LIMIT: u64 = 1 << 20;

/// `password_file`: the path of a file that holds nothing but the password, or `credential:NAME` for one that systemd hands
/// over. A `password` in the configuration is refused.
pub(super) fn password(table: &mut Reader<'_>, origin: &Origin) -> Result<SecretString, Refused> {
    password_of(table, origin, PASSWORD)
}

/// The same for a password of another length, in bytes.
pub(super) fn password_of(
    table: &mut Reader<'_>,
    origin: &Origin,
    length: RangeInclusive<usize>,
) -> Result<SecretString, Refused> {
    let refused = table.forbidden(
        "password",
        "a password does not belong in this file",
        "write it into a file of its own, chmod 640, and name that file with password_file",
    );
    let Some(item) = table.item("password_file") else {
        let help = "name a file that holds the password, for example password_file = \"upstream.password\"";
        return Err(refused.unwrap_or_else(|| table.missing("password_file", help)));
    };
    password_within(&item, origin, length)
}

/// The password in the file that this key names.
pub(super) fn password_in(item: &Item<'_>, origin: &Origin) -> Result<SecretString, Refused> {
    password_within(item, origin, PASSWORD)
}

fn password_within(item: &Item<'_>, origin: &Origin, length: RangeInclusive<usize>) -> Result<SecretString, Refused> {
    let path = locate(item, origin)?;
    let refuse = |fault: Fault| item.refuse(fault.message, fault.help);
    // One byte more than a password with its line break, so that a longer file is noticed and not read.
    let bytes = read_private(&path, *length.end() as u64 + 3).map_err(refuse)?;
    check(bytes, &path, length).map_err(refuse)
}

/// `token_file`: the path of a file that holds nothing but a token, or a credential of systemd's.
pub(super) fn token(item: &Item<'_>, origin: &Origin) -> Result<SecretString, Refused> {
    let path = locate(item, origin)?;
    let bytes = read_private(&path, TOKEN_LIMIT).map_err(|fault| item.refuse(fault.message, fault.help))?;
    let text = String::from_utf8(bytes).unwrap_or_default();
    let text = text.trim_ascii_end();
    if token::is_token(text) {
        return Ok(text.to_owned().into());
    }
    let message = format!("{} holds no token", quoted(&path.to_string_lossy()));
    Err(item.refuse(message, "it must hold one line: what `casebridge token new` showed at the upstream"))
}

/// `key_file`: a private key, PEM.
pub(super) fn key(item: &Item<'_>, origin: &Origin) -> Result<SecretString, Refused> {
    let path = locate(item, origin)?;
    let refuse = |fault: Fault| item.refuse(fault.message, fault.help);
    let bytes = read_private(&path, CERTIFICATE_LIMIT).map_err(refuse)?;
    match String::from_utf8(bytes) {
        Ok(text) if text.contains("PRIVATE KEY-----") => Ok(text.into()),
        _ => {
            let message = format!("{} holds no private key in PEM form", quoted(&path.to_string_lossy()));
            Err(item.refuse(message, "it must have a line that reads -----BEGIN PRIVATE KEY-----"))
        }
    }
}

/// `secret_file` of a webhook: `whsec_` and 24 to 64 bytes in Base64.
pub(super) fn webhook(item: &Item<'_>, origin: &Origin) -> Result<SecretString, Refused> {
    let path = locate(item, origin)?;
    let bytes = read_private(&path, TOKEN_LIMIT).map_err(|fault| item.refuse(fault.message, fault.help))?;
    let text = String::from_utf8(bytes).unwrap_or_default();
    let text = text.trim_ascii_end();
    let key = text.strip_prefix("whsec_").and_then(|key| STANDARD.decode(key).ok());
    if key.is_some_and(|key| WEBHOOK.contains(&key.len())) {
        return Ok(text.to_owned().into());
    }
    let message = format!("{} holds no secret for webhooks", quoted(&path.to_string_lossy()));
    let help = "it must hold one line: whsec_ and 24 to 64 bytes in Base64, for example from: \
                echo \"whsec_$(head -c 32 /dev/urandom | base64)\"";
    Err(item.refuse(message, help))
}

/// `community_file`: one line of at most 64 bytes.
pub(super) fn community(item: &Item<'_>, origin: &Origin) -> Result<SecretString, Refused> {
    let path = locate(item, origin)?;
    let bytes = read_private(&path, TOKEN_LIMIT).map_err(|fault| item.refuse(fault.message, fault.help))?;
    let text = String::from_utf8(bytes).unwrap_or_default();
    match line(text.trim_ascii_end(), 64) {
        Ok(text) => Ok(text.to_owned().into()),
        Err(fault) => {
            let message = format!("the community in {} {fault}", quoted(&path.to_string_lossy()));
            Err(item.refuse(message, "it must be one line of 1 to 64 bytes"))
        }
    }
}

/// Certificates, PEM.
pub(super) fn certificates(item: &Item<'_>, origin: &Origin) -> Result<Vec<u8>, Refused> {
    let path = locate(item, origin)?;
    let refuse = |fault: Fault| item.refuse(fault.message, fault.help);
    let bytes = read(&path, CERTIFICATE_LIMIT).map_err(refuse)?;
    if bytes.windows(BEGIN_CERTIFICATE.len()).any(|window| window == BEGIN_CERTIFICATE) {
        Ok(bytes)
    } else {
        let message = format!("{} holds no certificate in PEM form", quoted(&path.to_string_lossy()));
        Err(item.refuse(message, "it must have lines that read -----BEGIN CERTIFICATE-----"))
    }
}

const BEGIN_CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// What is wrong with a file, without its content.
pub(super) struct Fault {
    pub message: String,
    pub help: String,
}

/// The file of a secret.
fn locate(item: &Item<'_>, origin: &Origin) -> Result<PathBuf, Refused> {
    let path = named(item, origin)?;
    origin.holds_secret(&path);
    Ok(path)
}

/// The file of a secret that need not be there yet, and whether systemd hands it over.
pub(super) fn place(item: &Item<'_>, origin: &Origin) -> Result<(PathBuf, bool), Refused> {
    let path = named(item, origin)?;
    Ok((path, item.text()?.starts_with("credential:")))
}

fn named(item: &Item<'_>, origin: &Origin) -> Result<PathBuf, Refused> {
    let text = item.line(4096)?;
    let Some(name) = text.strip_prefix("credential:") else { return Ok(origin.resolve(text)) };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        let message = format!("{} is not the name of a credential", quoted(name));
        return Err(
            item.refuse(message, "a name holds letters, digits, '-', '_' and '.', and starts with none of these marks")
        );
    }
    match &origin.credentials {
        Some(directory) => Ok(directory.join(name)),
        None => Err(item.refuse(
            "there are no credentials: CREDENTIALS_DIRECTORY is not set",
            format!("start casebridge as a systemd service with LoadCredential={name}:/path/of/the/file"),
        )),
    }
}

fn check(bytes: Vec<u8>, path: &Path, length: RangeInclusive<usize>) -> Result<SecretString, Fault> {
    let shown = quoted(&path.to_string_lossy());
    let fault = |message: String, help: &str| Err(Fault { message, help: help.to_owned() });
    let Ok(mut text) = String::from_utf8(bytes) else {
        return fault(format!("the password in {shown} is not UTF-8 text"), "write it in plain letters and digits");
    };
    let end = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text)).map_or(text.len(), str::len);
    text.truncate(end);
    if !length.contains(&text.len()) {
        let (least, most) = (length.start(), length.end());
        let length = if text.len() > *most { "longer".to_owned() } else { format!("{} bytes", text.len()) };
        return fault(
            format!("the password in {shown} must have {least} to {most} bytes; it is {length}"),
            "agree on another password with the other site",
        );
    }
    if text.chars().any(char::is_control) {
        return fault(
            format!("the password in {shown} holds a control character or a second line"),
            "the file must hold nothing but the password, in one line",
        );
    }
    Ok(text.into())
}

/// Reads a file that holds a secret: one that every user can open is refused.
pub(super) fn read_private(path: &Path, limit: u64) -> Result<Vec<u8>, Fault> {
    check_private(path)?;
    read(path, limit)
}

/// Refuses a file that users other than its owner and its group can open.
pub(super) fn check_private(path: &Path) -> Result<(), Fault> {
    let metadata = regular(path)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o007 == 0 {
        return Ok(());
    }
    let path = path.to_string_lossy();
    let message = format!("{} is open to every user of this machine (mode {mode:04o})", quoted(&path));
    Err(Fault { message, help: format!("chmod 640 {path}") })
}

/// Refuses what is not a file that this program may read.
pub(super) fn check_readable(path: &Path) -> Result<(), Fault> {
    regular(path)?;
    File::open(path).map(|_| ()).map_err(|fault| unreadable(path, &fault))
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Fault> {
    regular(path)?;
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
        io::Result::Ok(bytes)
    };
    let bytes = read().map_err(|fault| unreadable(path, &fault))?;
    if bytes.len() as u64 > limit {
        let message = format!("{} is too long: more than {limit} bytes", quoted(&path.to_string_lossy()));
        return Err(Fault { message, help: "name another file".to_owned() });
    }
    Ok(bytes)
}

/// Opening a pipe would wait for its other end, so it is never tried.
fn regular(path: &Path) -> Result<fs::Metadata, Fault> {
    let metadata = fs::metadata(path).map_err(|fault| unreadable(path, &fault))?;
    if metadata.is_file() {
        return Ok(metadata);
    }
    let message = format!("{} is not a file", quoted(&path.to_string_lossy()));
    Err(Fault { message, help: "name a regular file".to_owned() })
}

fn unreadable(path: &Path, fault: &io::Error) -> Fault {
    let help = match fault.kind() {
        io::ErrorKind::NotFound => {
            "make the file, or correct the path; a relative path starts beside the configuration file"
        }
        io::ErrorKind::PermissionDenied => {
            "let the user or the group that casebridge runs as read the file and enter its directory"
        }
        _ => "correct the path",
    };
    let message = format!("{} cannot be read: {}", quoted(&path.to_string_lossy()), reason(fault));
    Fault { message, help: help.to_owned() }
}

/// The reason in words that are the same on every machine.
pub(super) fn reason(fault: &io::Error) -> String {
    match fault.kind() {
        io::ErrorKind::NotFound => "it does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => fault.to_string(),
    }
}
