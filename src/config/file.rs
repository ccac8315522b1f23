//! The file as a text.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::problems::{Problem, Problems};
use super::secret::reason;
use super::source::{Place, Source};

/// The longest configuration file, in bytes.
const LIMIT: u64 = 1 << 20;

pub(super) fn read(path: &Path, name: &str) -> Result<String, Problems> {
    let refuse = |message: String, help: &str, place: Option<Place>| {
        let problem = Problem { key: String::new(), message, help: help.to_owned(), place };
        Problems::new(name, problem, Vec::new(), 0)
    };
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(LIMIT + 1).read_to_end(&mut bytes)?;
        io::Result::Ok(bytes)
    };
    let bytes = read().map_err(|fault| {
        let help = "config.example.toml is a file to start from";
        refuse(format!("the configuration cannot be read: {}", reason(&fault)), help, None)
    })?;
    if bytes.len() as u64 > LIMIT {
        let message = format!("the configuration is too long: more than {LIMIT} bytes");
        return Err(refuse(message, "name a configuration file", None));
    }
    String::from_utf8(bytes).map_err(|fault| {
        let at = fault.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(fault.as_bytes());
        let place = Source::new(&text).place(at..at, None);
        refuse("the text is not UTF-8".to_owned(), "save the file as UTF-8", Some(place))
    })
}
