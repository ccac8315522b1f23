//! A directory that was opened once, and what stands in it by name. Whoever may write into an inbox can swap a folder in it
//! for a link to any other place, at any moment: what is looked at, read and moved here stays in the folder that was opened.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;

/// An open directory. Clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    /// Where it stood when it was opened; for words only.
    path: PathBuf,
    place: Arc<OwnedFd>,
}

/// To go on from there; neither reads it.
const PLACE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Folder {
    /// A directory that the settings name. A link to it is the operator's.
    pub fn open(path: &Path) -> io::Result<Self> {
        let place = openat(CWD, path, PLACE, Mode::empty())?;
        Ok(Self { path: path.to_owned(), place: Arc::new(place) })
    }

    /// A directory in this one. A link to one is refused.
    pub fn inside(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        let path = self.path.join(name.as_ref());
        match openat(&*self.place, name.as_ref(), PLACE | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(place) => Ok(Self { path, place: Arc::new(place) }),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(io::Error::other(format!("{} is not a directory", path.display()))),
            Err(error) => Err(error.into()),
        }
    }

    /// The same; made where there is none.
    pub fn made(&self, name: &str) -> io::Result<Self> {
        match self.inside(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                mkdirat(&*self.place, name, Mode::from_raw_mode(0o777))?;
                self.inside(name)
            }
            found => found,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What stands under a name; of a link, the link itself.
    pub fn look(&self, name: impl AsRef<OsStr>) -> io::Result<Metadata> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        File::from(openat(&*self.place, name.as_ref(), flags, Mode::empty())?).metadata()
    }

    /// Opens a file to be read. A link is refused, and a pipe does not wait for its other end.
    pub fn read(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(openat(&*self.place, name, flags, Mode::empty())?))
    }

    /// Opens a file to be written that was not there.
    pub fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(File::from(openat(&*self.place, name, flags, Mode::from_raw_mode(0o666))?))
    }

    /// Moves what stands under a name into another folder, under another one.
    pub fn shift(&self, name: &OsStr, folder: &Self, renamed: &str) -> io::Result<()> {
        Ok(renameat(&*self.place, name, &*folder.place, renamed)?)
    }

    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&*self.place, name, AtFlags::empty())?)
    }

    pub fn sync(&self) -> io::Result<()> {
        File::from(self.itself()?).sync_all()
    }

    /// Everything in it, with what it is. What vanishes meanwhile is left out.
    pub fn entries(&self) -> io::Result<impl Iterator<Item = io::Result<(OsString, FileType)>>> {
        let entries = Dir::new(self.itself()?)?;
        Ok(entries.filter_map(|entry| match entry {
            Ok(entry) => {
                let name = OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
                let kind = match entry.file_type() {
                    // Not every file system tells.
                    FileType::Unknown => FileType::from_raw_mode(self.look(&name).ok()?.mode()),
                    kind => kind,
                };
                Some(Ok((name, kind)))
            }
            Err(error) => Some(Err(error.into())),
        }))
    }

    /// Open to be read, which its place alone is not.
    fn itself(&self) -> io::Result<OwnedFd> {
        Ok(openat(&*self.place, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_that_is_swapped_for_a_link_leads_nowhere_else() {
        let (inbox, foreign) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(foreign.path().join("history.key"), "secret").unwrap();
        fs::create_dir(inbox.path().join("attachments")).unwrap();
        let root = Folder::open(inbox.path()).unwrap();
        let attachments = root.inside("attachments").unwrap();

        fs::rename(inbox.path().join("attachments"), inbox.path().join("away")).unwrap();
        symlink(foreign.path(), inbox.path().join("attachments")).unwrap();
        let key = OsStr::new("history.key");
        assert_eq!(attachments.look(key).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(attachments.read(key).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(attachments.shift(key, &root, "k").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(attachments.entries().unwrap().flatten().all(|(name, _)| name == "." || name == ".."));
        attachments.create("new").unwrap();
        assert!(inbox.path().join("away/new").exists() && !foreign.path().join("new").exists());
        assert!(root.inside("attachments").is_err(), "and is not opened again");
        assert!(foreign.path().join("history.key").exists());
    }

    #[test]
    fn neither_a_link_nor_what_it_leads_to_is_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "text").unwrap();
        symlink("a", dir.path().join("link")).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        assert!(folder.look("link").unwrap().is_symlink());
        assert!(folder.read(OsStr::new("link")).is_err());
        let kinds: Vec<_> = folder.entries().unwrap().flatten().filter(|(name, _)| name == "link").collect();
        assert_eq!(kinds, [("link".into(), FileType::Symlink)]);
    }
}
