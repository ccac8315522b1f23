//! Where the file stands: what its relative paths and its credentials are resolved against.

use std::cell::RefCell;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// A file, and what tells its content from another without reading it; nothing where there is no such file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    path: PathBuf,
    mark: Option<(u64, u64, i64, i64)>,
}

impl Watched {
    pub fn of(path: &Path) -> Self {
        let mark = |metadata: Metadata| (metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec());
        Self { path: path.to_owned(), mark: std::fs::metadata(path).ok().map(mark) }
    }

    pub fn is(&self, path: &Path) -> bool {
        self.path == path
    }

    /// The same file as it is now.
    pub fn again(&self) -> Self {
        Self::of(&self.path)
    }
}

/// The directory of the file, and the directory in which systemd hands over credentials.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    dir: PathBuf,
    pub credentials: Option<PathBuf>,
    /// The files with credentials that the text names.
    secrets: RefCell<Vec<Watched>>,
}

impl Origin {
    /// `dir` may be relative to the working directory.
    pub fn new(dir: &Path, credentials: Option<PathBuf>) -> Self {
        // An empty path has no absolute form; it stands for the working directory.
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        Self { dir, credentials, secrets: RefCell::default() }
    }

    /// As a program that runs under systemd finds it.
    pub fn of(dir: &Path) -> Self {
        Self::new(dir, std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from))
    }

    /// The same place, with nothing noted.
    pub fn anew(&self) -> Self {
        Self { secrets: RefCell::default(), ..self.clone() }
    }

    /// Notes a file with a credential, which may be exchanged for another while the daemon runs. To be called before the file
    /// is read, so that no change goes unseen.
    pub fn holds_secret(&self, path: &Path) {
        self.secrets.borrow_mut().push(Watched::of(path));
    }

    /// What was noted.
    pub fn secrets(&self) -> Vec<Watched> {
        self.secrets.take()
    }

    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.join(path)
    }
}

/// The path without `.` and `..`, by its letters alone: the disk is not asked, so symbolic links stay unseen.
pub(super) fn normalized(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_of_a_path_are_one_path() {
        for other in ["/srv/in/", "/srv/./in", "/srv/x/../in", "/../srv/in", "//srv/in"] {
            assert_eq!(normalized(Path::new(other)), Path::new("/srv/in"), "{other}");
        }
    }

    #[test]
    fn relative_paths_start_beside_the_file() {
        let origin = Origin::new(Path::new("/etc/casebridge"), None);
        assert_eq!(origin.resolve("north.password"), Path::new("/etc/casebridge/north.password"));
        assert_eq!(origin.resolve("/run/x"), Path::new("/run/x"));
    }
}
