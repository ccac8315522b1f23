//! The whole way from a text to settings or problems. The bad files and their messages are in `tests/data/config`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::origin::Origin;
use super::{Problems, Settings, parse};

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
        ("north.password", b"battery staple", 0o640),
        ("credentials/upstream", b"from systemd\n", 0o400),
        ("open.password", b"correct horse", 0o644),
        ("short.password", b"7 bytes\n", 0o640),
        ("long.password", &[b'x'; 33], 0o640),
        ("two-lines.password", b"correct\nhorse\n", 0o640),
        ("binary.password", b"\xff\xfe123456", 0o640),
        ("partner-ca.pem", b"-----BEGIN CERTIFICATE-----\n", 0o644),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    dir
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

/// With `CASEBRIDGE_BLESS` set, the expected messages are written instead: look at the difference before you commit it.
#[test]
fn every_bad_file_gets_its_message() {
    let bless = std::env::var_os("CASEBRIDGE_BLESS").is_some();
    let dir = directory();
    let mut files: Vec<_> = fs::read_dir(repository().join("tests/data/config"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 25, "{} files", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let problems = parse(&text, name, &origin(dir.path())).expect_err(name);
        let rendered = problems.to_string().replace(dir.path().to_str().unwrap(), "/etc/casebridge") + "\n";
        assert!(!rendered.contains("hunter"), "{name} shows a password:\n{rendered}");
        assert!(!format!("{problems:?}").contains("hunter"), "{name} keeps a password");
        for problem in problems.list() {
            let place = problem.place.as_ref().unwrap();
            let shown = format!("--> {name}:{}:{}\n", place.line, place.column);
            assert!(rendered.contains(&shown), "{name}: {shown} is not in\n{rendered}");
        }
        let expected = file.with_extension("expected");
        if bless {
            fs::write(expected, rendered).unwrap();
        } else if fs::read_to_string(expected).unwrap_or_default() != rendered {
            wrong.push(format!("{name}:\n{rendered}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
