//! Where the file stands: what its relative paths and its credentials are resolved against.

use std::path::{Component, Path, PathBuf};

/// The directory of the file, and the directory in which systemd hands over credentials.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    dir: PathBuf,
    pub credentials: Option<PathBuf>,
}

impl Origin {
    /// `dir` may be relative to the working directory.
    pub fn new(dir: &Path, credentials: Option<PathBuf>) -> Self {
        // An empty path has no absolute form; it stands for the working directory.
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        Self { dir, credentials }
    }

    /// As a program that runs under systemd finds it.
    pub fn of(dir: &Path) -> Self {
        Self::new(dir, std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from))
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
