//! One look at the directory: which files are ready to be read.

use std::collections::{BinaryHeap, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::time::{Duration, SystemTime};

use super::folder::Folder;
use super::place::Seen;
use super::settled::{Print, rests};

/// The most files that one pass reads.
pub(super) const PASS_LIMIT: usize = 1000;
/// The most files that are remembered from one pass to the next; with more in the directory, those with the lowest names.
pub(super) const WATCH_LIMIT: usize = 10_000;
/// How many passes a file rests that could not be read or moved.
pub(super) const REST_PASSES: u64 = 100;
/// The most names of things that are not files, for one look.
const OTHERS_LIMIT: usize = 100;

/// A file that was there at the last look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watched {
    print: Print,
    /// The first pass that may read it.
    from_pass: u64,
    /// The last look at which it was not there; none when it may have been there before the first one.
    since: Option<SystemTime>,
}

/// The files of the directory as the last look left them.
#[derive(Debug, Default)]
pub(super) struct Table(HashMap<OsString, Watched>);

impl Table {
    /// Leaves a file alone for a while, so that one that cannot be moved does not keep the others waiting.
    pub fn rest(&mut self, name: &OsStr, pass: u64) {
        if let Some(watched) = self.0.get_mut(name) {
            watched.from_pass = pass.saturating_add(REST_PASSES);
        }
    }
}

/// A file that is ready.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub name: OsString,
    pub print: Print,
}

impl Candidate {
    /// To be moved out of the folder that it was found in.
    pub fn seen_in<'a>(&'a self, folder: &'a Folder) -> Seen<'a> {
        Seen { folder, name: &self.name, print: &self.print }
    }
}

/// When, and how long a file must have been left alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub pass: u64,
    pub now: SystemTime,
    /// When it was looked before.
    pub before: Option<SystemTime>,
    pub settle: Duration,
}

/// What a look found.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub table: Table,
    /// At most [`PASS_LIMIT`], the lowest name first.
    pub ready: Vec<Candidate>,
    /// More were ready than one pass reads.
    pub more: bool,
    /// Files that are not ready yet.
    pub waiting: usize,
    /// All files that were there at this instant are ready, or rest; none when there is no such instant.
    pub through: Option<SystemTime>,
    /// Links, directories, sockets and pipes; our own folders left out.
    pub others: Vec<OsString>,
}

/// Looks at everything in `dir`; `before` is the table of the last look. A file is ready when it looks as it did then, and
/// was left alone for the time that the settings say.
pub(super) fn look(dir: &Folder, mut before: Table, moment: Moment) -> io::Result<Look> {
    let mut look = Look { through: Some(moment.now), ..Look::default() };
    let mut ready = Lowest::of(PASS_LIMIT);
    let mut unknown = Lowest::of(WATCH_LIMIT);
    for entry in dir.entries()? {
        let (name, kind) = entry?;
        if is_left_alone(&name) {
            continue;
        }
        if !kind.is_file() {
            let own = kind.is_dir() && ["done", "quarantine", "attachments"].iter().any(|own| name == *own);
            if !own && look.others.len() < OTHERS_LIMIT {
                look.others.push(name);
            }
            continue;
        }
        let Some(earlier) = before.0.remove(&name) else {
            unknown.push(name);
            continue;
        };
        // What vanished in between is no longer our concern.
        let Ok(metadata) = dir.look(&name) else { continue };
        let print = Print::of(&metadata);
        let watched = if print == earlier.print { earlier } else { Watched { print, from_pass: 0, ..earlier } };
        if print != earlier.print || !rests(&metadata, moment.settle, moment.now) {
            look.waiting += 1;
            look.through = look.through.min(watched.since);
        } else if watched.from_pass <= moment.pass {
            ready.push(name.clone());
        }
        look.table.0.insert(name, watched);
    }
    let room = WATCH_LIMIT.saturating_sub(look.table.0.len());
    if unknown.overflowed || unknown.names.len() > room {
        look.through = None;
    }
    for name in unknown.into_sorted().into_iter().take(room) {
        if let Ok(metadata) = dir.look(&name) {
            look.waiting += 1;
            look.through = look.through.min(moment.before);
            let watched = Watched { print: Print::of(&metadata), from_pass: 0, since: moment.before };
            look.table.0.insert(name, watched);
        }
    }
    look.more = ready.overflowed;
    let candidate = |name: OsString| look.table.0.get(&name).map(|watched| Candidate { print: watched.print, name });
    look.ready = ready.into_sorted().into_iter().filter_map(candidate).collect();
    Ok(look)
}

/// A sender that writes in place uses such a name until it is done.
fn is_left_alone(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") || name.ends_with(b".part") || name.ends_with(b".tmp")
}

/// The lowest names of many, in bounded memory.
struct Lowest {
    names: BinaryHeap<OsString>,
    limit: usize,
    overflowed: bool,
}

impl Lowest {
    fn of(limit: usize) -> Self {
        Self { names: BinaryHeap::new(), limit, overflowed: false }
    }

    fn push(&mut self, name: OsString) {
        self.names.push(name);
        if self.names.len() > self.limit {
            self.names.pop();
            self.overflowed = true;
        }
    }

    fn into_sorted(self) -> Vec<OsString> {
        self.names.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_names_are_kept() {
        let mut lowest = Lowest::of(2);
        for name in ["c", "a", "d", "b"] {
            lowest.push(name.into());
        }
        assert!(lowest.overflowed);
        assert_eq!(lowest.into_sorted(), ["a", "b"]);
    }

    #[test]
    fn names_of_unfinished_files_are_left_alone() {
        for name in [".hidden", "a.xml.part", "a.tmp"] {
            assert!(is_left_alone(OsStr::new(name)), "{name}");
        }
        for name in ["a.xml", "part", "tmp", "-a"] {
            assert!(!is_left_alone(OsStr::new(name)), "{name}");
        }
    }
}
