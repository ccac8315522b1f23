//! Text at the door: length and characters are checked once, where a value comes in.

use std::fmt::Display;

use jiff::Timestamp;

/// Why a text was refused. Says what is wrong, never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    #[error("must not be empty")]
    Empty,
    #[error("is {bytes} bytes long; at most {limit} are allowed")]
    TooLong { bytes: usize, limit: usize },
    #[error("holds the control character U+{0:04X}")]
    Control(u32),
    #[error("lies before the year 0000, where RFC 3339 ends")]
    Year,
}

/// A value that stands in one line: a name, an ID, a synopsis. No control characters, no line breaks of any kind, nothing that
/// reorders or hides what a person sees.
pub fn line(text: &str, limit: usize) -> Result<&str, TextFault> {
    if text.trim().is_empty() {
        return Err(TextFault::Empty);
    }
    check(text, limit, |c| c.is_control() || is_deceptive(c))
}

/// A text of several lines: a description, a comment. Line breaks and tabs are allowed, other control characters are not.
pub fn paragraph(text: &str, limit: usize) -> Result<&str, TextFault> {
    check(text, limit, |c| (c.is_control() && !matches!(c, '\n' | '\r' | '\t')) || is_bidi_control(c))
}

/// An instant with a year of four digits: one that every store and every peer can write down.
pub fn instant(at: Timestamp) -> Result<(), TextFault> {
    /// 0000-01-01T00:00:00Z.
    const FIRST: Timestamp = Timestamp::constant(-62_167_219_200, 0);
    if at < FIRST { Err(TextFault::Year) } else { Ok(()) }
}

/// A count with its words, in the singular where it is one: "1 warning", "2 warnings".
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(count: N, one: &str, many: &str) -> String {
    format!("{count} {}", if count == N::from(1) { one } else { many })
}

/// Everything but the unreserved characters of RFC 3986 as `%XX`.
pub fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn check(text: &str, limit: usize, refused: impl Fn(char) -> bool) -> Result<&str, TextFault> {
    if text.len() > limit {
        return Err(TextFault::TooLong { bytes: text.len(), limit });
    }
    match text.chars().find(|c| refused(*c)) {
        Some(c) => Err(TextFault::Control(c.into())),
        None => Ok(text),
    }
}

/// The Unicode controls that reorder what a person sees (Unicode Technical Report 36, section 3.3).
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Those, line and paragraph separators, interlinear annotation, invisible tags: one line that shows them is not the line that
/// is stored.
pub fn is_deceptive(c: char) -> bool {
    is_bidi_control(c) || matches!(c, '\u{2028}' | '\u{2029}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// What nobody sees of what a person wrote: controls but for line ends and tabs, what reorders or hides text, marks without
/// width. It comes along when text is copied, from an address book for one, and is left out where text comes in from people.
pub fn is_hidden(c: char) -> bool {
    let separates = matches!(c, '\n' | '\t' | '\u{2028}' | '\u{2029}');
    !separates && (c.is_control() || is_deceptive(c) || matches!(c, '\u{200B}' | '\u{FEFF}'))
}

/// Foreign text in our own sentences: what could move a cursor or hide text is escaped, and what is longer than `limit`
/// bytes is cut.
pub fn shown(text: &str, limit: usize) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        // `escape_debug` also escapes the characters that reorder or hide text.
        let escaped: String = if matches!(c, '\'' | '"') { c.into() } else { c.escape_debug().collect() };
        if shown.len() + escaped.len() > limit {
            shown.push('…');
            break;
        }
        shown.push_str(&escaped);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_of_visible_text() {
        assert_eq!(line("Chassis alarm", 64), Ok("Chassis alarm"));
        assert_eq!(line(" ", 64), Err(TextFault::Empty));
        assert_eq!(line("a\nb", 64), Err(TextFault::Control(10)));
        assert_eq!(line("\u{1b}[31m", 64), Err(TextFault::Control(27)));
        assert_eq!(line("\u{202e}gpj.exe", 64), Err(TextFault::Control(0x202e)));
        for hidden in ['\u{2028}', '\u{2029}', '\u{61c}', '\u{fff9}', '\u{e0041}'] {
            assert_eq!(line(&format!("a{hidden}b"), 64), Err(TextFault::Control(hidden.into())));
        }
        assert_eq!(line("abc", 2), Err(TextFault::TooLong { bytes: 3, limit: 2 }));
    }

    #[test]
    fn what_people_wrote_without_what_nobody_sees_is_a_line() {
        let copied: String = "\u{202a}+33\u{200b} 1\u{202c}\u{61c}\u{0}\r".chars().filter(|c| !is_hidden(*c)).collect();
        assert_eq!(line(&copied, 64), Ok("+33 1"));
        assert!(!"a b\n\té\u{a0}\u{2028}".chars().any(is_hidden));
    }

    #[test]
    fn an_instant_has_a_year_of_four_digits() {
        assert_eq!(instant("0000-01-01T00:00:00Z".parse().unwrap()), Ok(()));
        assert_eq!(instant(Timestamp::MAX), Ok(()));
        assert_eq!(instant("-000001-12-31T23:59:59.999999999Z".parse().unwrap()), Err(TextFault::Year));
        assert_eq!(instant(Timestamp::MIN), Err(TextFault::Year));
    }

    #[test]
    fn a_paragraph_may_have_lines_and_may_be_empty() {
        assert_eq!(paragraph("a\r\n\tb", 64), Ok("a\r\n\tb"));
        assert_eq!(paragraph("", 64), Ok(""));
        assert_eq!(paragraph("a\0", 64), Err(TextFault::Control(0)));
    }

    #[test]
    fn what_is_shown_is_short_and_plain() {
        assert_eq!(shown("chassis \"alarm\"", 80), "chassis \"alarm\"");
        assert_eq!(shown("\u{1b}[31m\n\u{202e}", 80), "\\u{1b}[31m\\n\\u{202e}");
        assert_eq!(shown(&"x".repeat(1000), 80), format!("{}…", "x".repeat(80)));
        for hostile in ["\u{1b}", "\u{1f600}"] {
            assert!(shown(&hostile.repeat(1000), 80).len() <= 80 + '…'.len_utf8());
        }
    }
}
