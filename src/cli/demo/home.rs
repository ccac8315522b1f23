//! The temporary directory of a demo, and what is in it before the daemons start.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::teller::Side;
use crate::cli::exit::{Exit, Failure};

/// The longest path of a socket that every system takes, in bytes.
const SOCKET_LIMIT: usize = 100;
/// The incident that the demo tells of.
const BUNDLE: &[u8] = include_bytes!("../../../tests/data/bundles/event.xml");

/// A directory that only we may enter, with one directory for each site.
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// Makes the directory and the inbox; the configurations follow when the port is known.
    pub fn make() -> Result<Self, Failure> {
        let id = Uuid::new_v4().simple().to_string();
        let home = Self { dir: std::env::temp_dir().join(format!("casebridge-{}", id.get(..8).unwrap_or(&id))) };
        if home.socket(Side::Partner).as_os_str().len() >= SOCKET_LIMIT {
            let why = format!("the path {} is too long for a Unix socket", home.dir.display());
            return Err(Failure::new(
                Exit::Failed,
                "the demo cannot start",
                why,
                "set TMPDIR to a shorter one: TMPDIR=/tmp",
            ));
        }
        home.fill().map_err(|error| home.fault("made", &error))?;
        Ok(home)
    }

    fn fill(&self) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        builder.create(&self.dir)?;
        for side in [Side::North, Side::Partner] {
            builder.create(self.site(side))?;
            builder.create(self.site(side).join("data"))?;
        }
        builder.create(self.inbox())?;
        let password = Uuid::new_v4().simple().to_string();
        secret(&self.site(Side::North).join("upstream.password"), &password)?;
        secret(&self.site(Side::Partner).join("north.password"), &password)
    }

    /// Writes both configurations, with a port that is free now. It may be taken before the partner listens there.
    pub fn configure(&self) -> Result<(), Failure> {
        let write = || {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            std::fs::write(self.config(Side::North), north(port))?;
            std::fs::write(self.config(Side::Partner), partner(port))
        };
        write().map_err(|error| self.fault("filled", &error))
    }

    /// Puts the sample bundle into the inbox, whole: it is written elsewhere and moved.
    pub fn deposit(&self) -> Result<(), Failure> {
        let part = self.site(Side::North).join("event.xml.part");
        std::fs::write(&part, BUNDLE)
            .and_then(|()| std::fs::rename(&part, self.inbox().join("event.xml")))
            .map_err(|error| self.fault("filled", &error))
    }

    /// Removes everything.
    pub fn remove(&self) -> Result<(), Failure> {
        std::fs::remove_dir_all(&self.dir).map_err(|error| self.fault("removed", &error))
    }

    /// All of it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All of one site.
    pub fn site(&self, side: Side) -> PathBuf {
        self.dir.join(side.alias())
    }

    /// The configuration, as a person would write it.
    pub fn config(&self, side: Side) -> PathBuf {
        self.site(side).join("config.toml")
    }

    /// Where its daemon takes commands.
    pub fn socket(&self, side: Side) -> PathBuf {
        self.site(side).join("data/casebridge.sock")
    }

    /// Its incident store.
    pub fn store(&self, side: Side) -> PathBuf {
        self.site(side).join("data/incidents.db")
    }

    /// Its state of the exchanges.
    pub fn state(&self, side: Side) -> PathBuf {
        self.site(side).join("data/state")
    }

    /// What its daemon logs.
    pub fn log(&self, side: Side) -> PathBuf {
        self.site(side).join("log")
    }

    /// Where the end user's bundles arrive.
    pub fn inbox(&self) -> PathBuf {
        self.site(Side::North).join("inbox")
    }

    fn fault(&self, verb: &str, error: &io::Error) -> Failure {
        let what = format!("the demo's directory {} cannot be {verb}", self.dir.display());
        Failure::new(Exit::Failed, what, error, "set TMPDIR to another directory")
    }
}

/// A file that only its owner may read.
fn secret(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

/// The end user: an inbox and an upstream. The short times make a story of seconds; a real site leaves them out.
fn north(port: u16) -> String {
    format!(
        r#"[site]
alias = "north"
data_dir = "data"
stop_within = "2s"

[store]
poll_interval = "50ms"

[[inbox]]
dir = "inbox"
group = "core routers"
poll_interval = "50ms"
settle = "50ms"

[upstream]
alias = "partner"
url = "http://127.0.0.1:{port}"
user = "north"
password_file = "upstream.password"
poll_interval = "10s"

[retry]
first = "100ms"
max = "1s"
"#
    )
}

/// The partner: an address to listen at and a client.
fn partner(port: u16) -> String {
    format!(
        r#"[site]
alias = "partner"
data_dir = "data"
stop_within = "2s"

[store]
poll_interval = "50ms"

[listen]
address = "127.0.0.1:{port}"

[[client]]
alias = "north"
user = "north"
password_file = "north.password"

[case]
id_template = "CASE-{{incident}}"
link_template = "https://desk.example/{{case}}"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn both_configurations_are_sound_and_the_paths_are_theirs() {
        let home = Home::make().expect("a directory");
        home.configure().expect("configurations");
        for side in [Side::North, Side::Partner] {
            let settings = Settings::load(&home.config(side)).expect("sound");
            assert_eq!(settings.site.alias.as_str(), side.alias());
            assert_eq!(settings.site.socket, home.socket(side));
            assert_eq!(settings.store.path, home.store(side));
            assert_eq!(settings.state.path, home.state(side));
            assert_eq!(settings.upstream.is_some(), side == Side::North);
            assert!(settings.inboxes.iter().all(|inbox| inbox.dir == home.inbox()));
        }
        home.deposit().expect("a bundle");
        assert_eq!(std::fs::read(home.inbox().join("event.xml")).expect("a file"), BUNDLE);
        home.remove().expect("no directory");
        assert!(!home.dir().exists());
    }

    #[test]
    fn nobody_else_may_look_in() {
        let home = Home::make().expect("a directory");
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(home.dir()), 0o700);
        assert_eq!(mode(&home.site(Side::North).join("upstream.password")), 0o600);
        assert_eq!(mode(&home.site(Side::Partner).join("north.password")), 0o600);
        home.remove().expect("no directory");
    }
}
