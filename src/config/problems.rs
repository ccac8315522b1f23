//! What is wrong with a configuration file: every fault at once, each with its line, the rule and a remedy.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str};

use super::source::Place;

/// One fault. No text in it holds a password: what a key like `password` is set to is never repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, for example `upstream.poll_interval` or `client[2].user` (counted from 1). Empty for the file as a whole.
    pub key: String,
    /// Which value breaks which rule.
    pub message: String,
    /// What to do about it.
    pub help: String,
    /// Where it stands. `None` when the file could not be read at all.
    pub place: Option<Place>,
}

/// The faults of one file, in the order of their lines; never empty.
///
/// `Display` shows them without colour, as [`Problems::render`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    file: String,
    list: Vec<Problem>,
    /// How many there are beyond the list.
    more: usize,
}

impl Problems {
    /// The most that are told: a file with more of them is another one than was meant.
    pub(super) const LIMIT: usize = 100;

    pub(super) fn new(file: &str, first: Problem, mut rest: Vec<Problem>, more: usize) -> Self {
        rest.insert(0, first);
        rest.sort_by_key(|problem| problem.place.as_ref().map(|place| (place.span.start, place.span.end)));
        Self { file: file.to_owned(), list: rest, more }
    }

    /// The name of the file, as it was given to [`super::Settings::load`] or [`super::Settings::parse`].
    pub fn file(&self) -> &str {
        &self.file
    }

    /// At least one, at most 100.
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.len() + self.more
    }

    /// The faults as a person reads them: rule, `file:line:column`, the line with a mark below it, remedy.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for problem in &self.list {
            text.push_str(&renderer.render(&[problem.group(&self.file)]));
            text.push_str("\n\n");
        }
        let count = match self.count() {
            1 => "1 problem".to_owned(),
            count if self.more > 0 => format!("{count} problems, of which these are the first"),
            count => format!("{count} problems"),
        };
        text.push_str(&format!("{}: {count}", normalize_untrusted_str(&self.file)));
        // The renderer leaves these, and some terminals obey them.
        text.replace(|c| matches!(c, '\u{80}'..='\u{9f}'), "\u{fffd}")
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

impl Problem {
    fn group<'a>(&'a self, file: &'a str) -> Group<'a> {
        let title = if self.key.is_empty() { self.message.clone() } else { format!("{}: {}", self.key, self.message) };
        let group = Level::ERROR.primary_title(title);
        let group = match &self.place {
            Some(Place { line, shown: Some(shown), mark, .. }) => {
                let Range { start, end } = mark.clone();
                let mark = AnnotationKind::Primary.span(start..end);
                group.element(Snippet::source(shown).line_start(*line).path(file).annotation(mark))
            }
            Some(Place { line, column, shown: None, .. }) => {
                group.element(Origin::path(file).line(*line).char_column(*column))
            }
            None => group.element(Origin::path(file)),
        };
        group.element(Level::HELP.message(normalize_untrusted_str(&self.help)))
    }
}
