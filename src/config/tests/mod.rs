//! The whole way from a text to settings or problems.

mod any_input;
mod bad_files;
mod example;
mod fuzz;
mod load;
mod values;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::origin::Origin;
use super::settings::{Login, Upstream};
use super::{Problems, Settings, parse};

const TOKEN: &str = "cbt_5f0a11c3_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";
const SITE: &str = "[site]\nalias = \"north\"\n";
const UPSTREAM: &str = "[upstream]\nalias = \"partner\"\nurl = \"https://partner.example:8443\"\nuser = \"north\"\n\
                        password_file = \"good.password\"\n";

/// The directory of a configuration, with the secrets that the tests name.
fn directory() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("credentials")).unwrap();
    for (name, content, mode) in [
        ("good.password", "correct horse\n".as_bytes(), 0o640),
        ("upstream.password", b"correct horse\r\n", 0o600),
        ("branch.password", b"battery staple", 0o640),
        ("credentials/upstream", b"from systemd\n", 0o400),
        ("open.password", b"correct horse", 0o644),
        ("short.password", b"7 bytes\n", 0o640),
        ("long.password", &[b'x'; 33], 0o640),
        ("two-lines.password", b"correct\nhorse\n", 0o640),
        ("binary.password", b"\xff\xfe123456", 0o640),
        ("branch-old.password", b"staple battery", 0o640),
        ("upstream.token", TOKEN.as_bytes(), 0o640),
        ("hooks.whsec", b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", 0o640),
        ("nms.community", b"c0mmun1ty\n", 0o640),
        ("no.token", b"hunter22", 0o640),
        ("partner-ca.pem", b"-----BEGIN CERTIFICATE-----\n", 0o644),
        ("mail.password", b"x\n", 0o640),
        ("mail-ca.pem", b"-----BEGIN CERTIFICATE-----\n", 0o644),
        ("clients-ca.pem", b"-----BEGIN CERTIFICATE-----\n", 0o644),
        ("north-chain.pem", b"-----BEGIN CERTIFICATE-----\n", 0o644),
        ("north-key.pem", b"-----BEGIN PRIVATE KEY-----\n", 0o640),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    dir
}

/// The password that is shown to the upstream.
fn password(upstream: &Upstream) -> &str {
    match &upstream.login {
        Login::Password { password, .. } => password.expose_secret(),
        other => panic!("{other:?}"),
    }
}

fn origin(dir: &Path) -> Origin {
    Origin::new(dir, Some(dir.join("credentials")))
}

fn read(text: &str) -> Result<Settings, Problems> {
    let dir = directory();
    parse(text, "casebridge.toml", &origin(dir.path()))
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn example() -> String {
    fs::read_to_string(repository().join("config.example.toml")).unwrap()
}
