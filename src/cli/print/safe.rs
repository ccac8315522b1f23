//! Text from outside, made harmless: it can neither steer the terminal nor pretend to be another text.

use std::borrow::Cow;
use std::fmt::Write;

use crate::case::text::is_deceptive;

/// One line of text. Control characters, escape sequences, line breaks and bidirectional controls are shown as escapes.
pub fn safe(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// A text of several lines, each behind `indent`; tabs stay.
pub fn safe_lines(text: &str, indent: &str) -> String {
    let mut shown = String::new();
    for line in text.lines() {
        let parts: Vec<_> = line.split('\t').map(safe).collect();
        shown.push_str(indent);
        shown.push_str(&parts.join("\t"));
        shown.push('\n');
    }
    shown
}

/// JSON as written by a serializer, which escapes only some of these characters; the meaning stays the same.
pub fn safe_json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        // A line break in a string is an escape already; the others are between the values.
        if !is_unsafe(c) || c == '\n' {
            shown.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\u{unit:04x}");
        }
    }
    shown
}

/// Controls, what no line may hold, and what an honest text may and a terminal stumbles over: directional marks and the byte
/// order mark.
fn is_unsafe(c: char) -> bool {
    c.is_control() || is_deceptive(c) || matches!(c, '\u{200E}' | '\u{200F}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_as_it_is() {
        for text in ["", "PSU 0 – Ausfall ⚡ 電源", "C:\\temp"] {
            assert!(matches!(safe(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn what_steers_a_terminal_is_shown_as_an_escape() {
        let rows = [
            ("\u{1b}]0;owned\u{7}", "\\u{1b}]0;owned\\u{7}"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("a\rb\nc\td\0", "a\\rb\\nc\\td\\u{0}"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
            ("\u{2066}x\u{2069}\u{200f}", "\\u{2066}x\\u{2069}\\u{200f}"),
            ("a\u{2028}b\u{e0041}", "a\\u{2028}b\\u{e0041}"),
        ];
        for (text, shown) in rows {
            assert_eq!(safe(text), shown);
        }
    }

    #[test]
    fn a_paragraph_keeps_its_lines_and_tabs_and_nothing_else() {
        assert_eq!(safe_lines("a\r\n\tb\u{1b}c\rd", "  "), "  a\n  \tb\\u{1b}c\\rd\n");
        assert_eq!(safe_lines("", "  "), "");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let value = serde_json::json!({ "a": "x\u{1b}\u{9b}\u{202e}\u{e0041}\n\u{7f}é" });
        let shown = safe_json(&serde_json::to_string_pretty(&value).expect("JSON"));
        assert!(!shown.replace('\n', "").contains(is_unsafe), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"), value);
    }
}
