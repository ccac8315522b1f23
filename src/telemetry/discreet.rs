//! Reasons quote what they complain of. For the person who corrects it that is right; for the log it is too much.

use std::borrow::Cow;

/// The sentence without what it quotes, which is somebody's text, and without mail addresses. A command of this program's
/// in backticks stays, and so does the name of a policy.
pub fn discreet(reason: &str) -> Cow<'_, str> {
    if !reason.contains(['@', '"', '\'', '`']) {
        return Cow::Borrowed(reason);
    }
    let without_quotes = ['"', '\'', '`'].into_iter().fold(reason.to_owned(), |text, mark| without_quotes(&text, mark));
    let words = without_quotes.split(' ').map(|word| if word.contains('@') { "(address)" } else { word });
    Cow::Owned(words.collect::<Vec<_>>().join(" "))
}

/// What stands between the first and the last of one mark is left out: a quoted text may hold the mark itself.
fn without_quotes(text: &str, mark: char) -> String {
    let stays = |at: usize| match mark {
        // An apostrophe inside a word quotes nothing.
        '\'' => text[..at].ends_with(char::is_alphanumeric),
        '`' => text[at + 1..].starts_with("casebridge "),
        _ => text[..at].ends_with("policy "),
    };
    let Some(first) = text.match_indices(mark).map(|(at, _)| at).find(|at| !stays(*at) && !is_closing(text, *at, mark))
    else {
        return text.to_owned();
    };
    match text.rfind(mark).filter(|last| *last > first) {
        Some(last) => format!("{}(...){}", &text[..first], &text[last + 1..]),
        None => format!("{}(...)", &text[..first]),
    }
}

/// Whether a mark ends the quotation of a command or of a policy's name.
fn is_closing(text: &str, at: usize, mark: char) -> bool {
    let opening = match mark {
        '`' => "`casebridge ",
        '"' => "policy \"",
        _ => return false,
    };
    text[..at].rfind(opening).is_some_and(|start| !text[start + opening.len()..at].contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_left_out_and_the_rest_stays() {
        let rows = [
            ("site ID is missing", "site ID is missing"),
            ("'anna@north' in the CC list is not a mail address", "(...) in the CC list is not a mail address"),
            ("anna@north in the CC list is not one", "(address) in the CC list is not one"),
            ("\"a \"quoted\" secret\" is no priority", "(...) is no priority"),
            ("the peer's word isn't known", "the peer's word isn't known"),
            ("unknown field `secret`, expected one", "unknown field (...), expected one"),
            ("see `casebridge parked` at the peer's site", "see `casebridge parked` at the peer's site"),
            ("see `casebridge parked`; `secret` is no field", "see `casebridge parked`; (...) is no field"),
            ("held by policy \"night\"", "held by policy \"night\""),
            ("policy \"night\": \"secret\" is no priority", "policy \"night\": (...) is no priority"),
            ("it breaks off in \"a secret", "it breaks off in (...)"),
        ];
        for (reason, told) in rows {
            assert_eq!(discreet(reason), told);
        }
    }
}
