//! Settings of one site, from a TOML file.
//!
//! A text becomes [`Settings`], in which every value is checked and every default filled in, or [`Problems`]: all faults
//! at once, each with its line and a remedy. `config.example.toml` explains every key.
//!
//! The way of a value: `section/` names the key and its rule, `reader` takes it out of the parsed text, `units` and
//! `secret` understand it, `faults` collects what is wrong, `problems` shows it.

pub mod certificate;
mod claims;
pub mod cron;
pub mod defaults;
mod disk;
mod document;
mod faults;
mod file;
mod item;
pub mod net;
mod origin;
mod page_key;
mod places;
pub mod problems;
mod reader;
mod secret;
mod section;
pub mod settings;
pub mod site_key;
mod source;
mod spelling;
mod syntax;
pub mod token;
mod units;

#[cfg(test)]
mod tests;

use std::path::Path;

use toml::de::DeTable;

use disk::Disk;
use faults::{Faults, Refused};
use origin::Origin;

pub use cron::Cron;
pub use origin::Watched;
pub use page_key::{PageKeyFault, page_key};
pub use problems::{Problem, Problems};
pub use settings::Settings;
pub use source::Place;
pub use units::show_duration;

impl Settings {
    /// Reads the file and the secrets that it names, and checks them, on the disk as well: TLS files must be readable. An
    /// inbox may be on a disk that is not mounted yet, or not any more; the daemon says so and waits for it.
    pub fn load(path: &Path) -> Result<Settings, Problems> {
        Self::load_text(path, &Self::text(path)?)
    }

    /// [`Settings::load`], and inboxes must be there and writable, too.
    pub fn check(path: &Path) -> Result<Settings, Problems> {
        read_whole(path, &Self::text(path)?, Disk::check)
    }

    /// The text of a file, to be read with [`Settings::load_text`], now and again.
    pub fn text(path: &Path) -> Result<String, Problems> {
        file::read(path, &path.to_string_lossy())
    }

    /// [`Settings::load`], with this text in place of the file's. The secrets are read anew.
    pub fn load_text(path: &Path, text: &str) -> Result<Settings, Problems> {
        read_whole(path, text, Disk::check_files)
    }

    /// Reads a text as a file of the name `name` in the directory `base_dir`. The disk is asked for nothing but the
    /// passwords and certificates that the text names.
    pub fn parse(text: &str, name: &str, base_dir: &Path) -> Result<Settings, Problems> {
        parse(text, name, &Origin::of(base_dir))
    }
}

fn read_whole(path: &Path, text: &str, check: fn(Disk, &Faults)) -> Result<Settings, Problems> {
    let name = path.to_string_lossy();
    let origin = Origin::of(path.parent().unwrap_or(Path::new("")));
    let faults = Faults::default();
    let mut disk = Disk::default();
    let settings = read(text, &origin, &faults, &mut disk);
    check(disk, &faults);
    faults.settle(settings, &name, text)
}

fn parse(text: &str, name: &str, origin: &Origin) -> Result<Settings, Problems> {
    let faults = Faults::default();
    let settings = read(text, origin, &faults, &mut Disk::default());
    faults.settle(settings, name, text)
}

fn read(text: &str, origin: &Origin, faults: &Faults, disk: &mut Disk) -> Result<Settings, Refused> {
    let sound = syntax::check(text, faults);
    let (table, _) = DeTable::parse_recoverable(&sound);
    document::document(table.get_ref(), &origin.anew(), faults, disk)
}
