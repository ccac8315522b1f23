//! Where deposits go afterwards: `done`, or `quarantine` with the reason beside it. Foreign names are made harmless first.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::folder::Folder;
use super::settled::Print;
use crate::telemetry::{CrashPoint, crash_point, discreet_name};

/// The longest safe name before its hash, in bytes.
const SAFE_LIMIT: usize = 120;
/// How many numbers are tried for a name that is taken; after that the time is the number.
const NUMBER_LIMIT: u32 = 100;

/// A foreign name as plain ASCII: letters, digits and `.`, `-`, `_`, `+`, `,`, `=`, `@`; everything else, and a dot or hyphen
/// at the beginning, as `%XX`. Two names never become the same: one that is cut gets a hash of the whole.
pub(super) fn safe_name(name: &OsStr) -> String {
    let bytes = name.as_encoded_bytes();
    let mut safe = String::new();
    for (at, byte) in bytes.iter().copied().enumerate() {
        let plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'+' | b',' | b'=' | b'@')
            || (at > 0 && matches!(byte, b'.' | b'-'));
        let before = safe.len();
        if plain {
            safe.push(byte.into());
        } else {
            safe.push_str(&format!("%{byte:02X}"));
        }
        if safe.len() > SAFE_LIMIT {
            safe.truncate(before);
            let digest = Sha256::digest(bytes);
            // Unlike any name that was not cut, this one holds a tilde.
            safe.push('~');
            digest.iter().take(4).for_each(|byte| safe.push_str(&format!("{byte:02x}")));
            break;
        }
    }
    if safe.is_empty() { "%".to_owned() } else { safe }
}

/// The name as the log may have it.
pub(super) fn told_name(name: &OsStr) -> String {
    discreet_name(&safe_name(name)).into_owned()
}

/// The folders of one inbox. Only files directly in the inbox itself are deposits.
#[derive(Debug, Clone)]
pub(super) struct Folders {
    pub inbox: Folder,
    pub done: Folder,
    pub quarantine: Folder,
    pub attachments: Folder,
}

impl Folders {
    /// Opens them, and makes what is missing. Whoever may write into the inbox could lay a link here and have deposits moved
    /// elsewhere, so each must be a real directory.
    pub fn open(inbox: &Path) -> io::Result<Self> {
        let inbox = Folder::open(inbox)?;
        Ok(Self {
            done: inbox.made("done")?,
            quarantine: inbox.made("quarantine")?,
            attachments: inbox.made("attachments")?,
            inbox,
        })
    }
}

/// A file as it was looked at. Its name may have become another one's since: whoever writes the newest file over the one
/// before does so at any moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub folder: &'a Folder,
    pub name: &'a OsStr,
    pub print: &'a Print,
}

impl Seen<'_> {
    /// Moves that file and no other: where another one has its name, or its content has changed, it is as if it were gone.
    fn shift(&self, folder: &Folder, renamed: &str) -> io::Result<()> {
        if Print::of(&self.folder.look(self.name)?) != *self.print {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.shift_and_look(folder, renamed)
    }

    /// The same for what comes between the look and the move: it goes back, beside whatever has its name by then.
    fn shift_and_look(&self, folder: &Folder, renamed: &str) -> io::Result<()> {
        self.folder.shift(self.name, folder, renamed)?;
        if self.print.is_of(&folder.look(renamed)?) {
            return Ok(());
        }
        folder.shift(OsStr::new(renamed), self.folder, &free(self.folder, &safe_name(self.name), &[""]))?;
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Moves a file into `folder` under its safe name, with a number behind it if that is taken. `NotFound` where it is not
/// there any more.
pub(super) fn put(seen: Seen<'_>, folder: &Folder, safe: &str) -> io::Result<()> {
    seen.shift(folder, &free(folder, safe, &[""]))?;
    crash_point(CrashPoint::DepositMoved);
    Ok(())
}

/// Moves a file into quarantine. The reason is durable before the file goes, so that no file is ever there without one.
pub(super) fn set_apart(
    seen: Seen<'_>,
    folder: &Folder,
    original: &OsStr,
    reason: &str,
    remedy: &str,
    now: SystemTime,
) -> io::Result<()> {
    let safe = free(folder, &safe_name(original), &["", ".reason"]);
    let beside = format!("{safe}.reason");
    let mut file = folder.create(&beside)?;
    let text = format!(
        "time: {}\nfile: {}\nreason: {reason}\nremedy: {remedy}\n",
        Timestamp::try_from(now).unwrap_or_default(),
        original.as_encoded_bytes().escape_ascii(),
    );
    let moved = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    crash_point(CrashPoint::ReasonWritten);
    let moved = moved.and_then(|()| seen.shift(folder, &safe));
    if let Err(error) = moved {
        // The file was not moved; a reason alone would only mislead. If it cannot be removed either, it does no harm.
        let _ = folder.remove(&beside);
        return Err(error);
    }
    crash_point(CrashPoint::QuarantineMoved);
    folder.sync()
}

/// `safe`, or `safe.1`, `safe.2` and so on: the first for which nothing with any of the endings is there. Nobody else
/// writes into the folder, so it stays free.
fn free(folder: &Folder, safe: &str, endings: &[&str]) -> String {
    let taken = |name: &str| endings.iter().any(|end| folder.look(format!("{name}{end}")).is_ok());
    if !taken(safe) {
        return safe.to_owned();
    }
    let numbered = (1..=NUMBER_LIMIT).map(|number| format!("{safe}.{number}"));
    let mut timed = std::iter::repeat_with(|| format!("{safe}.{}", Timestamp::now().as_nanosecond()));
    numbered.into_iter().find(|name| !taken(name)).or_else(|| timed.next()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::*;

    fn safe(name: &[u8]) -> String {
        safe_name(OsStr::from_bytes(name))
    }

    #[test]
    fn hostile_names_become_plain_ones() {
        assert_eq!(safe(b"edge1-2026.xml"), "edge1-2026.xml");
        assert_eq!(safe(b"-rf"), "%2Drf");
        assert_eq!(safe(b".."), "%2E.");
        assert_eq!(safe(b"a\nb\x1b[31m"), "a%0Ab%1B%5B31m");
        assert_eq!(safe(b"a/b%41"), "a%2Fb%2541");
        assert_eq!(safe(b"\xff\xfe"), "%FF%FE");
        assert_eq!(safe("é".as_bytes()), "%C3%A9");
        assert_eq!(safe(b""), "%");
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        assert_eq!(safe(&[b'x'; 120]).len(), 120);
        let (one, two) = (safe(&[b'x'; 250]), safe(&[b'x'; 251]));
        assert_ne!(one, two);
        assert!(one.len() <= SAFE_LIMIT + 9 && one.is_ascii(), "{one}");
        assert!(safe(&[b'\n'; 250]).len() <= SAFE_LIMIT + 9);
    }

    #[test]
    fn nothing_in_a_folder_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::open(dir.path()).unwrap();
        let count = NUMBER_LIMIT + 5;
        for number in 0..count {
            fs::write(dir.path().join("a.xml"), number.to_string()).unwrap();
            put(seen(&folders, "a.xml", &print(&folders, "a.xml")), &folders.done, "a.xml").unwrap();
        }
        assert_eq!(fs::read_dir(dir.path().join("done")).unwrap().count(), count as usize);
        assert_eq!(fs::read_to_string(dir.path().join("done/a.xml.2")).unwrap(), "2");
    }

    fn print(folders: &Folders, name: &str) -> Print {
        Print::of(&folders.inbox.look(name).unwrap())
    }

    fn seen<'a>(folders: &'a Folders, name: &'a str, print: &'a Print) -> Seen<'a> {
        Seen { folder: &folders.inbox, name: OsStr::new(name), print }
    }

    fn quarantine(folders: &Folders, name: &str, print: &Print) -> io::Result<()> {
        let (seen, then) = (seen(folders, name, print), SystemTime::UNIX_EPOCH);
        set_apart(seen, &folders.quarantine, seen.name, "the file is empty", "Put it back.", then)
    }

    #[test]
    fn another_file_that_took_the_name_stays_and_so_does_one_that_was_written_to_again() {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::open(dir.path()).unwrap();
        let path = dir.path().join("latest.json");
        let is_gone = |moved: io::Result<()>| assert_eq!(moved.unwrap_err().kind(), io::ErrorKind::NotFound);
        let is_empty = |folder: &str| assert_eq!(fs::read_dir(dir.path().join(folder)).unwrap().count(), 0, "{folder}");
        fs::write(&path, "first").unwrap();
        let first = print(&folders, "latest.json");
        fs::write(dir.path().join("next"), "second").unwrap();
        fs::rename(dir.path().join("next"), &path).unwrap();
        is_gone(put(seen(&folders, "latest.json", &first), &folders.done, "latest.json"));
        is_gone(quarantine(&folders, "latest.json", &first));
        // It comes between the look and the move.
        is_gone(seen(&folders, "latest.json", &first).shift_and_look(&folders.done, "latest.json"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        let second = print(&folders, "latest.json");
        fs::write(&path, "third!").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        is_gone(put(seen(&folders, "latest.json", &second), &folders.done, "latest.json"));
        ["done", "quarantine"].into_iter().for_each(is_empty);
        put(seen(&folders, "latest.json", &print(&folders, "latest.json")), &folders.done, "latest.json").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("done/latest.json")).unwrap(), "third!");
    }

    #[test]
    fn a_reason_never_takes_the_place_of_a_deposit() {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::open(dir.path()).unwrap();
        for name in ["a.reason", "a"] {
            fs::write(dir.path().join(name), name).unwrap();
            quarantine(&folders, name, &print(&folders, name)).unwrap();
        }
        let read = |name: &str| fs::read_to_string(dir.path().join("quarantine").join(name)).unwrap();
        assert_eq!(read("a.reason"), "a.reason");
        assert_eq!(read("a.1"), "a");
        assert_eq!(
            read("a.1.reason"),
            "time: 1970-01-01T00:00:00Z\nfile: a\nreason: the file is empty\n\
             remedy: Put it back.\n"
        );
    }

    #[test]
    fn a_file_that_vanishes_leaves_no_reason_behind() {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::open(dir.path()).unwrap();
        fs::write(dir.path().join("gone"), "").unwrap();
        let seen = print(&folders, "gone");
        fs::remove_file(dir.path().join("gone")).unwrap();
        assert!(quarantine(&folders, "gone", &seen).is_err());
        assert_eq!(fs::read_dir(dir.path().join("quarantine")).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_a_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        symlink("/tmp", dir.path().join("done")).unwrap();
        let refused = Folders::open(dir.path()).unwrap_err().to_string();
        assert!(refused.ends_with("done is not a directory"), "{refused}");
    }

    #[test]
    fn what_is_moved_goes_where_the_folder_was_whatever_stands_there_now() {
        let (dir, foreign) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folders = Folders::open(dir.path()).unwrap();
        for folder in ["done", "quarantine"] {
            fs::rename(dir.path().join(folder), dir.path().join(format!("{folder}-away"))).unwrap();
            symlink(foreign.path(), dir.path().join(folder)).unwrap();
        }
        for name in ["a", "b"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        put(seen(&folders, "a", &print(&folders, "a")), &folders.done, "a").unwrap();
        quarantine(&folders, "b", &print(&folders, "b")).unwrap();
        assert_eq!(fs::read_dir(foreign.path()).unwrap().count(), 0);
        assert!(["done-away/a", "quarantine-away/b"].iter().all(|path| dir.path().join(path).exists()));
    }
}
