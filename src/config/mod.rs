//! Settings of one site, from a TOML file.
//!
//! A text becomes [`Settings`], in which every value is checked and every default filled in, or [`Problems`]: all faults
//! at once, each with its line and a remedy. `config.example.toml` explains every key.
//!
//! The way of a value: `section/` names the key and its rule, `reader` takes it out of the parsed text, `units` and
//! `secret` understand it, `faults` collects what is wrong, `problems` shows it.

mod claims;
pub mod defaults;
mod disk;
mod faults;
mod item;
mod origin;
pub mod problems;
mod reader;
mod secret;
mod section;
pub mod settings;
mod source;
mod spelling;
mod units;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use toml::Spanned;
use toml::de::DeTable;

use claims::Claims;
use disk::Disk;
use faults::{Fault, Faults, Nature, Refused, Spot};
use origin::Origin;
use reader::Reader;
use section::{bundle, case, inbox, peers, policy, retry, schedule, site};

pub use problems::{Problem, Problems};
pub use settings::Settings;
pub use source::Place;

/// The longest configuration file, in bytes.
const FILE_LIMIT: u64 = 1 << 20;

impl Settings {
    /// Reads the file and the secrets that it names, and checks everything, on the disk as well: inboxes must be writable,
    /// TLS files readable.
    pub fn load(path: &Path) -> Result<Settings, Problems> {
        let name = path.to_string_lossy();
        let text = read_file(path).map_err(|problem| Problems::new(&name, problem, Vec::new()))?;
        let origin = Origin::of(path.parent().unwrap_or(Path::new("")));
        let faults = Faults::default();
        let mut disk = Disk::default();
        let settings = read(&text, &origin, &faults, &mut disk);
        disk.check(&faults);
        faults.settle(settings, &name, &text)
    }

    /// Reads a text as a file of the name `name` in the directory `base_dir`. The disk is asked for nothing but the
    /// passwords and certificates that the text names.
    pub fn parse(text: &str, name: &str, base_dir: &Path) -> Result<Settings, Problems> {
        parse(text, name, &Origin::of(base_dir))
    }
}

fn parse(text: &str, name: &str, origin: &Origin) -> Result<Settings, Problems> {
    let faults = Faults::default();
    let settings = read(text, origin, &faults, &mut Disk::default());
    faults.settle(settings, name, text)
}

fn read(text: &str, origin: &Origin, faults: &Faults, disk: &mut Disk) -> Result<Settings, Refused> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let spot = Spot { key: String::new(), span };
        let (message, help) = (error.message().to_owned(), syntax_help(error.message()).to_owned());
        faults.add(Fault { spot, message, help, cut: None, nature: Nature::Syntax });
    }
    document(&table, origin, faults, disk)
}

fn document(
    table: &Spanned<DeTable<'_>>,
    origin: &Origin,
    faults: &Faults,
    disk: &mut Disk,
) -> Result<Settings, Refused> {
    let mut file = Reader::new(table.get_ref(), faults);
    let mut aliases = Claims::new("alias");
    let mut users = Claims::new("user name");
    let mut directories = Claims::new("directory");

    let site = match file.optional_section("site") {
        Some(table) => table.and_then(|table| site::site(table, origin, &mut aliases)),
        None => {
            Err(file.faults.absent(file.spot.clone(), "[site] is missing", "write [site], and alias = \"north\" below"))
        }
    };
    let data_dir = site.as_ref().map_or(Path::new(defaults::DATA_DIR), |site| site.data_dir.as_path()).to_owned();
    let log = site::log(file.section("log"));
    let store = site::store(file.section("store"), origin, &data_dir);
    let state = site::state(file.section("state"), origin, &data_dir);
    let inboxes = collect(file.sections("inbox", inbox::INBOX_LIMIT), |table| {
        inbox::inbox(table, origin, &mut directories, disk)
    });
    let bundle = bundle::bundle(file.section("bundle"));
    let upstream = file
        .optional_section("upstream")
        .map(|table| table.and_then(|table| peers::upstream(table, origin, &mut aliases)));
    let listen_spot = file.spot_of("listen");
    let listen =
        file.optional_section("listen").map(|table| table.and_then(|table| peers::listen(table, origin, disk)));
    let client_spot = file.spot_of("client");
    let clients = collect(file.sections("client", peers::CLIENT_LIMIT), |table| {
        peers::client(table, origin, &mut aliases, &mut users)
    });
    let retry = retry::retry(file.section("retry"));
    let submit = policy::submit(file.section("submit"));
    let case = case::case(file.section("case"));
    let schedule = schedule::schedule(file.section("schedule"));

    partners(&file, upstream.is_some(), listen_spot, client_spot);
    file.finish();
    Ok(Settings {
        site: site?,
        log,
        store,
        state,
        inboxes: inboxes?,
        bundle,
        upstream: upstream.transpose()?,
        listen: listen.transpose()?,
        clients: clients?,
        retry,
        submit,
        case,
        schedule,
    })
}

/// Every section is read before the first refusal ends it.
fn collect<'t, T>(
    tables: Vec<Reader<'t>>,
    read: impl FnMut(Reader<'t>) -> Result<T, Refused>,
) -> Result<Vec<T>, Refused> {
    let read: Vec<Result<T, Refused>> = tables.into_iter().map(read).collect();
    read.into_iter().collect()
}

/// A site has somebody to exchange with, and a door exactly if somebody comes in.
fn partners(file: &Reader<'_>, has_upstream: bool, listen: Option<Spot>, client: Option<Spot>) {
    match (listen, client) {
        (None, Some(client)) => {
            let help = "add [listen] with the address at which the clients reach this site";
            file.faults.absent(client, "there are clients, but this site does not listen", help);
        }
        (Some(listen), None) => {
            let help = "add a [[client]] for each site that submits to this one, or take [listen] away";
            file.faults.absent(listen, "nobody may come in: there is no [[client]]", help);
        }
        (None, None) if !has_upstream => {
            let spot = file.spot_of("site").unwrap_or(file.spot.clone());
            let help = "add [upstream] (the site that this one submits to), or [listen] and [[client]] (those that submit to it)";
            file.faults.absent(Spot { key: String::new(), ..spot }, "this site would exchange with nobody", help);
        }
        _ => {}
    }
}

fn syntax_help(message: &str) -> &'static str {
    if message.contains("duplicate key") {
        "every key and every [section] may stand only once; [[section]] may stand several times"
    } else {
        "the form of the file is TOML 1.0, https://toml.io/en/v1.0.0; texts stand in double quotes"
    }
}

fn read_file(path: &Path) -> Result<String, Problem> {
    let problem =
        |message: String, help: &str, place| Problem { key: String::new(), message, help: help.to_owned(), place };
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(FILE_LIMIT + 1).read_to_end(&mut bytes)?;
        io::Result::Ok(bytes)
    };
    let bytes = read().map_err(|fault| {
        let help = "config.example.toml is a file to start from; its path is given with --config";
        problem(format!("the configuration cannot be read: {}", secret::reason(&fault)), help, None)
    })?;
    if bytes.len() as u64 > FILE_LIMIT {
        let message = format!("the configuration is too long: more than {FILE_LIMIT} bytes");
        return Err(problem(message, "name a configuration file", None));
    }
    String::from_utf8(bytes).map_err(|fault| {
        let at = fault.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(fault.as_bytes());
        let place = source::Source::new(&text).place(at..at, None);
        problem("the text is not UTF-8".to_owned(), "save the file as UTF-8", Some(place))
    })
}
