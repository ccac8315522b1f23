//! Places in the text of the file, and the lines there as they may be shown: without what could be a password.

use std::ops::Range;

/// Where a fault stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// In bytes from the start of the file.
    pub span: Range<usize>,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1. Where the line is cut before a secret, a fault inside the secret stands at the cut.
    pub column: usize,
    /// The line, cut before a secret; none where it is too long to be looked at.
    pub(super) shown: Option<String>,
    /// What to mark in it, in bytes.
    pub(super) mark: Range<usize>,
}

/// The lines of one file.
pub(super) struct Source<'t> {
    lines: Vec<Line<'t>>,
}

struct Line<'t> {
    /// In bytes from the start of the file.
    start: usize,
    text: &'t str,
    /// Where the secret part begins, in bytes from the start of the line.
    secret: Option<usize>,
}

/// The most bytes that are marked: a longer value would push its own beginning out of sight.
const MARKED: usize = 72;

/// The longest line that is shown, in bytes.
const SHOWN: usize = 400;

/// What stands in place of the part of a line that is not shown.
const HIDDEN: &str = "...";

impl<'t> Source<'t> {
    pub fn new(text: &'t str) -> Self {
        let mut lines = Vec::new();
        let mut start = 0;
        let mut going_on = Continuation::None;
        for piece in text.split('\n') {
            let line = piece.strip_suffix('\r').unwrap_or(piece);
            let secret = if going_on == Continuation::None { secret_start(line) } else { Some(0) };
            let hidden = secret.and_then(|at| line.get(at..)).unwrap_or_default();
            going_on = going_on.after(secret.is_some(), hidden);
            lines.push(Line { start, text: line, secret });
            start += piece.len() + 1;
        }
        Self { lines }
    }

    /// In which line a byte stands, counted from 1.
    pub fn line(&self, byte: usize) -> usize {
        self.lines.partition_point(|line| line.start <= byte).max(1)
    }

    /// The place of `span`. With `cut`, the line is shown up to there only, in bytes from the start of the file.
    pub fn place(&self, span: Range<usize>, cut: Option<usize>) -> Place {
        let number = self.line(span.start);
        let Some(line) = self.lines.get(number - 1) else {
            return Place { span, line: 1, column: 1, shown: Some(String::new()), mark: 0..0 };
        };
        let cut = cut.map(|cut| cut.saturating_sub(line.start)).into_iter().chain(line.secret).min();
        let mut shown = line.text.to_owned();
        if let Some(cut) = cut.filter(|cut| *cut < shown.len()) {
            shown.truncate(floor(&shown, cut));
            shown.push_str(HIDDEN);
        }
        let last = shown.len().min(cut.unwrap_or(usize::MAX));
        let start = floor(&shown, (span.start - line.start).min(last));
        let end = span.end.saturating_sub(line.start).min(start + MARKED);
        let end = floor(&shown, end).max(start);
        let column = shown.get(..start).map_or(0, |before| before.chars().count()) + 1;
        let shown = Some(shown).filter(|shown| shown.len() <= SHOWN);
        Place { span, line: number, column, mark: start..end, shown }
    }
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Whether a hidden value goes on in the next line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Continuation {
    None,
    /// Nothing but `=` was there.
    NextLine,
    /// A string of several lines, up to these quotes.
    Until(&'static str),
}

impl Continuation {
    fn after(self, is_secret: bool, hidden: &str) -> Self {
        match self {
            Continuation::Until(quotes) if !hidden.contains(quotes) => self,
            Continuation::Until(_) | Continuation::NextLine => Continuation::None,
            Continuation::None if !is_secret => Continuation::None,
            Continuation::None => {
                let open = |quotes: &&str| hidden.matches(*quotes).count() % 2 == 1;
                match ["\"\"\"", "'''"].into_iter().find(open) {
                    Some(quotes) => Continuation::Until(quotes),
                    None if hidden.trim_matches(|c: char| c == '=' || c.is_whitespace()).is_empty() => {
                        Continuation::NextLine
                    }
                    None => Continuation::None,
                }
            }
        }
    }
}

/// Where in a line a secret may begin: behind a key that speaks of a password, or behind the scheme of an address with
/// user information. It goes by the letters, not by the grammar, so that it also holds for lines that are not TOML.
fn secret_start(line: &str) -> Option<usize> {
    let password = password_start(line);
    let address = line.find("://").map(|at| at + 3).filter(|at| line.get(*at..).is_some_and(|rest| rest.contains('@')));
    password.into_iter().chain(address).min()
}

fn password_start(line: &str) -> Option<usize> {
    let letters = line.to_ascii_lowercase();
    letters.match_indices("passw").find_map(|(at, _)| {
        let word = letters.get(at..)?.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()?;
        let end = at + word.len();
        let rest = letters.get(end..)?.trim_start_matches(['"', '\'', ' ', '\t']);
        let first = letters.get(..at)?.chars().all(|c| c.is_whitespace() || c == '"' || c == '\'');
        let is_key = rest.starts_with('=') || first;
        (is_key && word != "password_file").then_some(end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, line: usize) -> String {
        let start = text.split('\n').take(line - 1).map(|line| line.len() + 1).sum();
        Source::new(text).place(start..start, None).shown.unwrap()
    }

    #[test]
    fn a_place_counts_lines_and_characters() {
        let text = "a = 1\r\nbé = ü\n";
        let place = Source::new(text).place(13..15, None);
        assert_eq!((place.line, place.column, place.mark.clone()), (2, 6, 6..8));
        assert_eq!(place.shown.as_deref(), Some("bé = ü"));
        let end = Source::new(text).place(text.len()..text.len(), None);
        assert_eq!((end.line, end.column), (3, 1));
        let nothing = Source::new("").place(0..0, None);
        assert_eq!((nothing.line, nothing.column), (1, 1));
    }

    #[test]
    fn nothing_behind_a_password_key_is_shown() {
        for line in [
            "password = \"hunter22\"",
            "  \"password\" = 'hunter22'",
            "upstream.password = \"hunter22\"",
            "upstream = { user = \"u\", password = \"hunter22\" }",
            "password \"hunter22\"",
            "Passwort = hunter22",
            "password=hunter22",
            "url = \"https://north:hunter22@partner.example\"",
        ] {
            let shown = shown(line, 1);
            assert!(shown.ends_with(HIDDEN) && !shown.contains("hunter"), "{shown}");
        }
        assert_eq!(shown("password_file = \"north.password\"", 1), "password_file = \"north.password\"");
    }

    #[test]
    fn a_hidden_value_stays_hidden_over_several_lines() {
        let text = "password = \"\"\"\nhunter22\nhunter22\"\"\"\nuser = \"north\"";
        assert_eq!([shown(text, 2), shown(text, 3)], [HIDDEN, HIDDEN]);
        assert_eq!(shown(text, 4), "user = \"north\"");
        let text = "password =\n\"hunter22\"\nuser = \"north\"";
        assert_eq!([shown(text, 2), shown(text, 3)], [HIDDEN, "user = \"north\""]);
    }
}
