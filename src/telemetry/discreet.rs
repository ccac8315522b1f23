//! Reasons quote what they complain of. For the person who corrects it that is right; for the log it is too much.

use std::borrow::Cow;

/// The sentence without what it quotes, which is somebody's text, and without mail addresses. A command of this program's
/// in backticks stays, and so does the name of a policy.
pub fn discreet(reason: &str) -> Cow<'_, str> {
    if !reason.contains(['@', '"', '\'', '`']) {
        return Cow::Borrowed(reason);
    }
    let without_quotes = ['"', '\'', '`'].into_iter().fold(reason.to_owned(), |text, mark| without_quotes(&text, mark));
    Cow::Owned(without_addresses(&without_quotes))
}

fn without_addresses(text: &str) -> String {
    let words = text.split(' ').map(|word| if word.contains('@') { "(address)" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// A rule that a value breaks, without the value. What stands in backticks is a name of the rule's own.
pub fn discreet_value(rule: &str) -> Cow<'_, str> {
    if !rule.contains(['@', '"', '\'']) {
        return Cow::Borrowed(rule);
    }
    let without_quotes = ['"', '\''].into_iter().fold(rule.to_owned(), |text, mark| without_quotes(&text, mark));
    Cow::Owned(without_addresses(&without_quotes))
}

/// A name that a foreign program gave, such as that of a file or of a case, without the mail addresses in it. What is no
/// part of an address stays.
pub fn discreet_name(name: &str) -> Cow<'_, str> {
    if !name.contains('@') {
        return Cow::Borrowed(name);
    }
    let is_address = |c: char| c.is_alphanumeric() || "@.-_+%=".contains(c);
    let mut told = String::new();
    let mut rest = name;
    while let Some(at) = rest.find('@') {
        let before = rest[..at].char_indices().rfind(|(_, c)| !is_address(*c));
        let start = before.map_or(0, |(index, c)| index + c.len_utf8());
        let end = rest[at..].find(|c| !is_address(c)).map_or(rest.len(), |after| at + after);
        told.push_str(&rest[..start]);
        told.push_str("(address)");
        rest = &rest[end..];
    }
    told.push_str(rest);
    Cow::Owned(told)
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
    fn a_name_is_told_without_the_addresses_in_it() {
        for (name, told) in [
            ("edge1-2026.xml", "edge1-2026.xml"),
            ("CASE-7", "CASE-7"),
            ("ann.mueller@customer.example.xml", "(address)"),
            ("CASE-ann@secret.example", "(address)"),
            ("mail of ann@a.example, bob@b.example (2)", "mail of (address), (address) (2)"),
            ("é ann@a.exämple€x@", "é (address)€(address)"),
        ] {
            assert_eq!(discreet_name(name), told);
        }
    }

    #[test]
    fn a_rule_is_told_without_the_value_that_breaks_it() {
        for (rule, told) in [
            ("\"ann.secret@north\" is not a mail address", "(...) is not a mail address"),
            ("`user` must not hold a colon: ann@north", "`user` must not hold a colon: (address)"),
            ("there is no `password_file`", "there is no `password_file`"),
        ] {
            assert_eq!(discreet_value(rule), told);
        }
    }

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
