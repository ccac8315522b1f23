//! Collects the faults while the file is read, so that reading goes on behind each of them.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::Range;

use super::problems::{Problem, Problems};
use super::source::Source;

/// Proof that a fault was recorded: only [`Faults`] makes one. A reading function returns it in place of a value, and so a
/// value can be missing only if the list of faults is not empty.
#[derive(Debug)]
pub(super) struct Refused(Fault);

/// A key and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    pub key: String,
    pub span: Range<usize>,
}

#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub spot: Spot,
    pub message: String,
    pub help: String,
    /// Show the line up to here only, in bytes from the start of the file.
    pub cut: Option<usize>,
    pub nature: Nature,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// The text is not TOML.
    Syntax,
    /// A value breaks a rule.
    Value,
    /// Something is missing. Not told beside faults of syntax, which are the likelier reason.
    Absence,
}

#[derive(Default)]
pub(super) struct Faults {
    list: RefCell<Vec<Fault>>,
}

impl Faults {
    /// A value breaks a rule.
    pub fn refuse(&self, spot: Spot, message: impl Into<String>, help: impl Into<String>) -> Refused {
        self.add(Fault { spot, message: message.into(), help: help.into(), cut: None, nature: Nature::Value })
    }

    /// Something is missing.
    pub fn absent(&self, spot: Spot, message: impl Into<String>, help: impl Into<String>) -> Refused {
        self.add(Fault { spot, message: message.into(), help: help.into(), cut: None, nature: Nature::Absence })
    }

    pub fn add(&self, fault: Fault) -> Refused {
        self.list.borrow_mut().push(fault.clone());
        Refused(fault)
    }

    /// The value if all went well, else the list. A value that stands in a line with a fault of syntax is not judged
    /// again: the parser had to guess it.
    pub fn settle<T>(self, result: Result<T, Refused>, file: &str, text: &str) -> Result<T, Problems> {
        let mut list = self.list.into_inner();
        let source = Source::new(text);
        let line_of = |fault: &Fault| source.line(fault.spot.span.start);
        let broken: HashSet<usize> = list.iter().filter(|fault| fault.nature == Nature::Syntax).map(line_of).collect();
        if !broken.is_empty() {
            list.retain(|fault| match fault.nature {
                Nature::Syntax => true,
                Nature::Value => !fault.spot.span.is_empty() && !broken.contains(&line_of(fault)),
                Nature::Absence => false,
            });
        }
        let problem = |fault: Fault| Problem {
            place: Some(source.place(fault.spot.span, fault.cut)),
            key: fault.spot.key,
            message: fault.message,
            help: fault.help,
        };
        list.sort_by_key(|fault| (fault.spot.span.start, fault.spot.span.end));
        let more = list.len().saturating_sub(Problems::LIMIT);
        let mut problems = list.into_iter().take(Problems::LIMIT).map(problem);
        match (problems.next(), result) {
            (None, Ok(value)) => Ok(value),
            (Some(first), _) => Err(Problems::new(file, first, problems.collect(), more)),
            (None, Err(Refused(fault))) => Err(Problems::new(file, problem(fault), Vec::new(), 0)),
        }
    }
}
