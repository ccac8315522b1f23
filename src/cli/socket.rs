//! Where the daemon of a configuration listens for commands.
//!
//! Only two keys of the file are read, and not the settings as a whole: the person at the terminal need not be allowed to
//! read the passwords or to write into the inboxes, and the credentials of a systemd service exist only for the service.

use std::io;
use std::path::{Path, PathBuf};

use toml::Table;

use super::exit::{Exit, Failure};
use crate::config::defaults;

/// `site.socket`, or what it is when the file does not say.
pub fn of(config: &Path) -> Result<PathBuf, Failure> {
    let shown = config.display();
    let fail =
        |why: String, remedy: &str| Failure::new(Exit::Configuration, "the daemon's socket is not known", why, remedy);
    let text = std::fs::read_to_string(config).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => fail(
            format!("there is no configuration {shown}"),
            "name it with --config FILE, or the socket with --socket FILE",
        ),
        io::ErrorKind::PermissionDenied => fail(
            format!("you may not read the configuration {shown}"),
            "name the socket with --socket FILE, or join the group of the file",
        ),
        _ => fail(format!("the configuration {shown} cannot be read: {error}"), "name another with --config FILE"),
    })?;
    let unreadable = |why: String| fail(why, "`casebridge check-config` shows what is wrong with it");
    let table: Table = text.parse().map_err(|_| unreadable(format!("the configuration {shown} is not TOML")))?;
    let base = std::path::absolute(config).ok().and_then(|path| path.parent().map(Path::to_owned)).unwrap_or_default();
    let key = |name: &str| match table.get("site").and_then(|site| site.get(name)) {
        None => Ok(None),
        Some(value) => match value.as_str() {
            Some(path) => Ok(Some(base.join(path))),
            None => Err(unreadable(format!("site.{name} in {shown} is not a path"))),
        },
    };
    match key("socket")? {
        Some(socket) => Ok(socket),
        None => Ok(defaults::socket(&key("data_dir")?.unwrap_or_else(|| defaults::DATA_DIR.into()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket_of(text: &str) -> (PathBuf, Result<PathBuf, Failure>) {
        let dir = tempfile::tempdir().expect("a directory");
        let config = dir.path().join("config.toml");
        std::fs::write(&config, text).expect("a file");
        (dir.path().to_owned(), of(&config))
    }

    #[test]
    fn the_socket_is_where_the_settings_say() {
        let rows = [
            ("", "/var/lib/casebridge/casebridge.sock"),
            ("[site]\nsocket = '/run/cb.sock'\ndata_dir = '/srv'", "/run/cb.sock"),
            ("[site]\ndata_dir = '/srv'", "/srv/casebridge.sock"),
        ];
        for (text, expected) in rows {
            assert_eq!(socket_of(text).1, Ok(expected.into()), "{text}");
        }
        let (dir, socket) = socket_of("[site]\ndata_dir = 'data'");
        assert_eq!(socket, Ok(dir.join("data/casebridge.sock")));
    }

    #[test]
    fn a_command_needs_neither_passwords_nor_inboxes() {
        let text =
            "[site]\nalias = 'north'\n[upstream]\npassword_file = 'credential:upstream'\n[[inbox]]\ndir = '/nowhere'";
        assert!(socket_of(text).1.is_ok());
    }

    #[test]
    fn what_is_wrong_with_the_file_is_said() {
        for text in ["[site", "[site]\nsocket = 7"] {
            let failure = socket_of(text).1.expect_err(text);
            assert_eq!(failure.exit, Exit::Configuration);
            assert!(failure.to_string().contains("check-config"), "{failure}");
        }
        let failure = of(Path::new("/nonexistent/config.toml")).expect_err("no file");
        assert!(failure.to_string().contains("--config FILE"), "{failure}");
    }
}
