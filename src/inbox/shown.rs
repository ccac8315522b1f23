//! Foreign text in our own sentences: short, and harmless on a terminal.

/// The most characters of a deposit that a sentence repeats.
pub const SHOWN_LIMIT: usize = 80;

/// `text` as a sentence may repeat it: control characters, line breaks and invisible formatting are escaped, and it is
/// cut after 80 characters.
pub fn shown(text: &str) -> String {
    shortened(text, SHOWN_LIMIT)
}

/// The same with a limit of its own, in characters.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    let mut kept = String::new();
    let mut length = 0;
    for c in text.chars() {
        // `escape_debug` also escapes the characters that reorder or hide text.
        let escaped: String = if matches!(c, '\'' | '"') { c.into() } else { c.escape_debug().collect() };
        length += escaped.chars().count();
        if length > limit {
            kept.push('…');
            break;
        }
        kept.push_str(&escaped);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_short_and_plain() {
        assert_eq!(shown("chassis \"alarm\""), "chassis \"alarm\"");
        assert_eq!(shown("\u{1b}[31m\n\u{202e}"), "\\u{1b}[31m\\n\\u{202e}");
        assert_eq!(shown(&"x".repeat(1000)), format!("{}…", "x".repeat(80)));
        assert!(shown(&"\u{1b}".repeat(1000)).chars().count() <= SHOWN_LIMIT + 1);
    }
}
