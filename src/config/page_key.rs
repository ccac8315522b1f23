//! The key that signs the links of the pages: made at the first start, kept in a file of its own, shown to nobody. Without the
//! file every link that went out before is worth nothing any more; nothing else is lost.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::item::quoted;
use super::secret;
use crate::case::PassKey;

/// The file, in the data directory.
const NAME: &str = "pages.key";
/// 32 bytes as hexadecimal digits, and the end of the line.
const LENGTH: u64 = 65;

/// What is wrong with the file, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}; {help}")]
pub struct PageKeyFault {
    message: String,
    help: String,
}

/// The key in the data directory, which is made where there is none. Of the programs that could do so at once there is one:
/// the daemon, which has the store for itself.
pub fn page_key(data_dir: &Path) -> Result<PassKey, PageKeyFault> {
    let path = data_dir.join(NAME);
    if fs::symlink_metadata(&path).is_err_and(|fault| fault.kind() == io::ErrorKind::NotFound) {
        make(&path).map_err(|fault| PageKeyFault {
            message: format!("{} cannot be made: {}", quoted(&path.to_string_lossy()), secret::reason(&fault)),
            help: "let the user that casebridge runs as write into the data directory".to_owned(),
        })?;
    }
    let bytes = secret::read_private(&path, LENGTH)
        .map_err(|fault| PageKeyFault { message: fault.message, help: fault.help })?;
    key(&bytes).ok_or_else(|| PageKeyFault {
        message: format!("{} holds no key", quoted(&path.to_string_lossy())),
        help: "put back a copy of the file, or remove it: then a new one is made, and links in earlier mails end"
            .to_owned(),
    })
}

fn key(bytes: &[u8]) -> Option<PassKey> {
    let text = std::str::from_utf8(bytes).ok()?.trim_ascii_end();
    let mut key = [0; 32];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != key.len() || !rest.is_empty() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(PassKey::new(key))
}

/// Whole or not at all: what a crash leaves of the file beside it is written anew.
fn make(path: &Path) -> io::Result<()> {
    let beside = path.with_extension("key.new");
    match fs::remove_file(&beside) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
        _ => {}
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&beside)?;
    // Each of them has 122 random bits of the system's.
    let mut random = Sha256::new();
    (0..4).for_each(|_| random.update(Uuid::new_v4().as_bytes()));
    let digits: String = random.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(file, "{digits}")?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use jiff::Timestamp;

    use super::*;
    use crate::case::pass::Subject;
    use crate::case::{Pass, Purpose};

    fn pass() -> Pass {
        Pass { purpose: Purpose::Form, subject: Subject::Intake(1), expires_at: Timestamp::MAX, serial: 1 }
    }

    #[test]
    fn the_key_is_made_once_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = page_key(dir.path()).unwrap().sign(&pass());
        assert_eq!(page_key(dir.path()).unwrap().sign(&pass()), first, "it is the same at the next start");
        let metadata = fs::metadata(dir.path().join(NAME)).unwrap();
        assert_eq!((metadata.permissions().mode() & 0o777, metadata.len()), (0o600, LENGTH));
        let other = tempfile::tempdir().unwrap();
        assert_ne!(page_key(other.path()).unwrap().sign(&pass()), first, "each site has its own");
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_without_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        for text in ["", "hunter22", &"0".repeat(63), &"g".repeat(64), &"+0".repeat(32), &"0".repeat(66)] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let fault = page_key(dir.path()).unwrap_err().to_string();
            assert!(fault.contains(NAME) && !fault.contains("hunter"), "{fault}");
        }
        fs::write(&path, format!("{}\n", "0".repeat(64))).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(page_key(dir.path()).unwrap_err().to_string().contains("open to every user"));
    }
}
