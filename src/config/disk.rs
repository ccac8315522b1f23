//! What only the disk can tell: whether the directories and files that the settings name are there and usable. Kept apart
//! from reading, so that a text can be checked without its machine.

use std::fs;
use std::path::{Path, PathBuf};

use super::faults::{Faults, Spot};
use super::item::quoted;
use super::secret::{self, reason};

/// What the settings rely on, noted while they are read.
#[derive(Default)]
pub(super) struct Disk {
    wanted: Vec<(Spot, PathBuf, Want)>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Want {
    /// A directory in which we can make others.
    WritableDirectory,
    ReadableFile,
    /// A readable file that other users cannot open.
    PrivateFile,
}

impl Disk {
    pub fn want(&mut self, spot: Spot, path: PathBuf, want: Want) {
        self.wanted.push((spot, path, want));
    }

    /// The files alone.
    pub fn check_files(mut self, faults: &Faults) {
        self.wanted.retain(|(.., want)| !matches!(want, Want::WritableDirectory));
        self.check(faults);
    }

    pub fn check(self, faults: &Faults) {
        for (spot, path, want) in self.wanted {
            let checked = match want {
                Want::WritableDirectory => writable_directory(&path),
                Want::ReadableFile => secret::check_readable(&path),
                Want::PrivateFile => secret::check_private(&path).and_then(|()| secret::check_readable(&path)),
            };
            if let Err(secret::Fault { message, help }) = checked {
                faults.refuse(spot, message, help);
            }
        }
    }
}

/// Makes a directory and takes it away again: nothing else tells for certain, and directories in it are what is needed.
fn writable_directory(path: &Path) -> Result<(), secret::Fault> {
    let shown = quoted(&path.to_string_lossy());
    let path_text = path.to_string_lossy();
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => {
            let message = format!("{shown} is not a directory");
            return Err(secret::Fault { message, help: "name a directory".to_owned() });
        }
        Err(fault) => {
            let message = format!("{shown} cannot be used: {}", reason(&fault));
            let help = format!("mkdir -p {path_text}, and let the user that casebridge runs as write there");
            return Err(secret::Fault { message, help });
        }
    }
    let probe = path.join(format!(".casebridge-probe-{}", std::process::id()));
    match fs::create_dir(&probe) {
        Ok(()) => {
            // Left behind it does no harm: the inbox passes over directories.
            let _ = fs::remove_dir(&probe);
            Ok(())
        }
        Err(fault) => Err(secret::Fault {
            message: format!("{shown} is not writable: {}", reason(&fault)),
            help: format!("chown the directory to the user that casebridge runs as, and chmod u+rwx {path_text}"),
        }),
    }
}
