//! A file is read when nobody is writing it any more, and only the file that was looked at is read.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, SystemTime};

use rustix::io::Errno;

use super::folder::Folder;

/// What a file looked like: as long as this stays the same, nobody wrote to it and it is still the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Print {
    /// The size, in bytes.
    pub bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    place: (u64, u64),
}

impl Print {
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            place: (metadata.dev(), metadata.ino()),
        }
    }

    /// Whether it still is the same file with the same content, whatever it is called by now.
    pub fn is_of(&self, metadata: &Metadata) -> bool {
        let now = Self::of(metadata);
        (now.bytes, now.modified, now.place) == (self.bytes, self.modified, self.place)
    }
}

/// Whether the file was left alone for `settle`. A file from the future, as a machine with a wrong clock leaves it, is
/// taken as old too: waiting until our clock gets there could mean years.
pub(super) fn rests(metadata: &Metadata, settle: Duration, now: SystemTime) -> bool {
    let Ok(modified) = metadata.modified() else { return false };
    now.duration_since(modified).unwrap_or_else(|ahead| ahead.duration()) >= settle
}

/// Why a file was not read.
#[derive(Debug)]
pub(super) enum Unread {
    /// Somebody took it away.
    Vanished,
    /// It is not as it was when it was looked at: somebody still writes it, or put something else in its place.
    Changing,
    /// This process may not read it.
    Denied,
    Failed(io::Error),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Unread::Vanished,
            io::ErrorKind::PermissionDenied => Unread::Denied,
            // A link stands there now.
            _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => Unread::Changing,
            _ => Unread::Failed(error),
        }
    }
}

/// Opens the file that `print` was taken of.
pub(super) fn open(folder: &Folder, name: &OsStr, print: &Print) -> Result<File, Unread> {
    let file = folder.read(name)?;
    check(&file, print)?;
    Ok(file)
}

/// Reads the file that `print` was taken of, and never more than was there.
pub(super) fn read_whole(folder: &Folder, name: &OsStr, print: &Print) -> Result<Vec<u8>, Unread> {
    let file = open(folder, name, print)?;
    let mut content = Vec::new();
    (&file).take(print.bytes.saturating_add(1)).read_to_end(&mut content)?;
    check(&file, print)?;
    Ok(content)
}

/// Up to `most` bytes of an open file, which still is the one that `print` was taken of; none at its end.
pub(super) fn read_piece(file: &File, print: &Print, start: u64, most: usize) -> Result<Vec<u8>, Unread> {
    let most = print.bytes.saturating_sub(start).min(most as u64);
    let mut piece = vec![0; usize::try_from(most).unwrap_or_default()];
    file.read_exact_at(&mut piece, start)?;
    check(file, print)?;
    Ok(piece)
}

fn check(file: &File, print: &Print) -> Result<(), Unread> {
    let metadata = file.metadata()?;
    if metadata.is_file() && Print::of(&metadata) == *print { Ok(()) } else { Err(Unread::Changing) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_the_file_that_was_looked_at_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let (path, other) = (dir.path().join("a"), dir.path().join("b"));
        let print = || Print::of(&folder.look("a").unwrap());
        let read = |print: &Print| read_whole(&folder, OsStr::new("a"), print);
        fs::write(&path, "one").unwrap();
        fs::write(&other, "two").unwrap();
        let seen = print();
        assert_eq!(read(&seen).unwrap(), b"one");

        fs::write(&path, "longer").unwrap();
        assert!(matches!(read(&seen), Err(Unread::Changing)));

        fs::remove_file(&path).unwrap();
        assert!(matches!(read(&seen), Err(Unread::Vanished)));

        symlink(&other, &path).unwrap();
        assert!(matches!(read(&print()), Err(Unread::Changing)), "a link is not followed");
    }

    #[test]
    fn a_file_rests_when_it_is_old_or_from_the_future() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let now = SystemTime::now();
        let settle = Duration::from_secs(60);
        let rests_at = |modified: SystemTime| {
            File::create(&path).unwrap().set_modified(modified).unwrap();
            rests(&fs::metadata(&path).unwrap(), settle, now)
        };
        assert!(!rests_at(now));
        assert!(!rests_at(now + Duration::from_secs(30)));
        assert!(rests_at(now - settle));
        assert!(rests_at(now + Duration::from_secs(86_400)));
    }
}
