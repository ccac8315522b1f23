//! The site's own key pair: made at the first start, kept in a file of its own, exchanged for a new one when a person says
//! so. The state of the site can be lost without it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::item::quoted;
use super::secret;
use super::settings::History;
use crate::case::evidence::{KeyFault, PublicKey, SigningKey};

/// The longest file of a key, in bytes.
const LIMIT: u64 = 4096;
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// What is wrong with the key, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}; {help}")]
pub struct SiteKeyFault {
    pub message: String,
    pub help: String,
}

/// Where the private key stands.
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
    /// systemd hands it over, and nobody here can exchange it.
    is_credential: bool,
}

impl KeyFile {
    pub fn of(settings: &History) -> Self {
        Self { path: settings.key_file.clone(), is_credential: settings.is_credential }
    }

    /// The key in the file, and whether it was made just now. `present` is the public key that the store knows of: where a
    /// crash came between the store and the file, the file follows.
    pub fn open(&self, present: Option<PublicKey>) -> Result<(SigningKey, bool), SiteKeyFault> {
        if !self.is_credential {
            self.follow(present)?;
            if is_absent(&self.path) {
                let key = self.prepare()?;
                self.settle()?;
                return Ok((key, true));
            }
        }
        Ok((read(&self.path)?, false))
    }

    fn follow(&self, present: Option<PublicKey>) -> Result<(), SiteKeyFault> {
        let beside = self.beside();
        if is_absent(&beside) {
            return Ok(());
        }
        if read(&beside).is_ok_and(|key| Some(key.public()) == present) {
            return self.settle();
        }
        fs::remove_file(&beside).map_err(|fault| self.unwritable(&fault))
    }

    /// Makes a new key and keeps it beside the one that counts.
    pub fn prepare(&self) -> Result<SigningKey, SiteKeyFault> {
        if self.is_credential {
            return Err(SiteKeyFault {
                message: format!("{} is a credential, which is exchanged where it comes from", self.shown()),
                help: "exchange it there, restart, and let each peer confirm it with `casebridge key pin`".to_owned(),
            });
        }
        let made = |fault: KeyFault| SiteKeyFault { message: fault.to_string(), help: "try again".to_owned() };
        let key = SigningKey::make().map_err(made)?;
        let der = key.to_pkcs8().map_err(made)?;
        self.write(&BASE64_STANDARD.encode(der)).map_err(|fault| self.unwritable(&fault))?;
        Ok(key)
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let beside = self.beside();
        match fs::remove_file(&beside) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
            _ => {}
        }
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&beside)?;
        writeln!(file, "{BEGIN}\n{text}\n{END}")?;
        file.sync_all()
    }

    /// The one that was prepared counts from now on.
    pub fn settle(&self) -> Result<(), SiteKeyFault> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let settled = fs::rename(self.beside(), &self.path).and_then(|()| File::open(directory)?.sync_all());
        settled.map_err(|fault| self.unwritable(&fault))
    }

    fn beside(&self) -> PathBuf {
        self.path.with_extension("key.new")
    }

    fn shown(&self) -> String {
        quoted(&self.path.to_string_lossy())
    }

    fn unwritable(&self, fault: &io::Error) -> SiteKeyFault {
        SiteKeyFault {
            message: format!("{} cannot be written: {}", self.shown(), secret::reason(fault)),
            help: "let the user that casebridge runs as write into its directory, or name another file with \
                   history.key_file"
                .to_owned(),
        }
    }
}

fn is_absent(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|fault| fault.kind() == io::ErrorKind::NotFound)
}

fn read(path: &Path) -> Result<SigningKey, SiteKeyFault> {
    let bytes =
        secret::read_private(path, LIMIT).map_err(|fault| SiteKeyFault { message: fault.message, help: fault.help })?;
    let der = std::str::from_utf8(&bytes).ok().and_then(|text| {
        let body = text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
        BASE64_STANDARD.decode(body.split_ascii_whitespace().collect::<String>()).ok()
    });
    let key = der.and_then(|der| SigningKey::from_pkcs8(&der).ok());
    key.ok_or_else(|| SiteKeyFault {
        message: format!("{} holds no Ed25519 key in PEM form", quoted(&path.to_string_lossy())),
        help: "put back a copy of it; without one remove the file: a new key is made, and each peer has to confirm it \
               with `casebridge key pin`"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;

    fn file(dir: &Path) -> KeyFile {
        let key_file = dir.join("history.key");
        KeyFile::of(&History { key_file, is_credential: false, receipt_within: Duration::ZERO })
    }

    #[test]
    fn the_key_is_made_once_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let (first, made) = file(dir.path()).open(None).unwrap();
        let (again, made_again) = file(dir.path()).open(None).unwrap();
        assert_eq!((first.public(), made, made_again), (again.public(), true, false));
        let mode = fs::metadata(dir.path().join("history.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_new_key_counts_when_the_store_knows_of_it_and_else_never_was() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(dir.path());
        let (old, _) = file.open(None).unwrap();
        file.prepare().unwrap();
        assert_eq!(file.open(Some(old.public())).unwrap().0.public(), old.public(), "died before the store knew");
        let new = file.prepare().unwrap();
        assert_eq!(file.open(Some(new.public())).unwrap().0.public(), new.public(), "died before the file followed");
        assert_eq!(file.open(Some(new.public())).unwrap().0.public(), new.public());
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_without_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.key");
        for text in ["", "hunter22", BEGIN, &format!("{BEGIN}\nhunter22\n{END}\n")] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let fault = file(dir.path()).open(None).unwrap_err().to_string();
            assert!(fault.contains("history.key") && !fault.contains("hunter"), "{fault}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(file(dir.path()).open(None).unwrap_err().to_string().contains("open to every user"));
    }
}
