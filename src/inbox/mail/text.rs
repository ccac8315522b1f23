//! What a person wrote: plain text, without what it quotes, without the signature, without anything that moves a cursor.

use mail_parser::decoders::html::html_to_text;

/// The longest text, in bytes.
const LIMIT: usize = 16_000;
/// Stands where something was left out.
const LEFT_OUT: &str = "[…]";

/// Makes plain text of HTML. Scripts, styles and everything else that is no text stay behind.
pub fn of_html(html: &str) -> String {
    html_to_text(&with_lines(html))
}

/// Where a browser begins a new line, the library does not always; and a quotation has no marks but its element.
fn with_lines(html: &str) -> String {
    const ENDS: [&str; 9] = ["</div", "</li", "</tr", "</h1", "</h2", "</h3", "</h4", "</pre", "</ul"];
    let mut text = String::with_capacity(html.len());
    let mut quoted = 0usize;
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        if quoted == 0 {
            text.push_str(before);
        }
        let is = |name: &str| tag.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        if is("<blockquote") {
            if quoted == 0 {
                text.push_str("<br>&gt; <br>");
            }
            quoted += 1;
        } else if is("</blockquote") {
            quoted = quoted.saturating_sub(1);
        } else if quoted == 0 && ENDS.iter().any(|end| is(end)) {
            text.push_str("<br>");
        }
        if quoted == 0 {
            text.push('<');
        }
        rest = &tag[1..];
    }
    if quoted == 0 {
        text.push_str(rest);
    }
    text
}

/// What somebody wrote in this mail: quoted mails and the signature are left out, unless there is nothing else.
pub fn written(text: &str) -> String {
    let text = plain(text);
    let own = without_quotes(&text);
    let said = own.lines().any(|line| !line.trim().is_empty() && line != LEFT_OUT);
    shortened(if said { &own } else { &text }, LIMIT)
}

/// One line, of a header: what would end the line or move a cursor is a blank.
pub fn one_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if is_hidden(c) || c == '\n' || c == '\t' { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most so many bytes, and a mark where it was cut.
pub fn shortened(text: &str, limit: usize) -> String {
    let text = text.trim();
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit - LEFT_OUT.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{LEFT_OUT}", &text[..end])
}

fn is_hidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200B}' | '\u{FEFF}')
}

/// Lines that end at their last letter, never more than one empty one in a row.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.lines() {
        let line: String =
            line.chars().filter(|c| !is_hidden(*c)).map(|c| if c == '\u{a0}' { ' ' } else { c }).collect();
        // Two dashes and a blank begin a signature: the blank counts.
        let line = if line == "-- " { "-- " } else { line.trim_end() };
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 2 {
            plain.push_str(line);
            plain.push('\n');
        }
    }
    plain
}

fn without_quotes(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut own: Vec<&str> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        if *line == "-- " || begins_quoted_mail(trimmed, lines.get(at + 1).copied().unwrap_or_default()) {
            break;
        }
        if trimmed.starts_with('>') {
            if own.last() != Some(&LEFT_OUT) {
                // The line above says whose words follow, perhaps in two.
                while own.last().is_some_and(|line| line.is_empty()) {
                    own.pop();
                }
                if own.last().is_some_and(|line| introduces(line)) {
                    own.pop();
                    if own.last().is_some_and(|line| line.starts_with("On ") || line.starts_with("Le ")) {
                        own.pop();
                    }
                    while own.last().is_some_and(|line| line.is_empty()) {
                        own.pop();
                    }
                }
                own.push(LEFT_OUT);
            }
            continue;
        }
        if line.is_empty() && own.last() == Some(&LEFT_OUT) {
            continue;
        }
        own.push(line);
    }
    while own.last().is_some_and(|line| line.is_empty() || *line == LEFT_OUT) {
        own.pop();
    }
    own.join("\n")
}

/// `On Monday, Support wrote:` and `Le lundi, Support a écrit :`
fn introduces(line: &str) -> bool {
    let line = line.trim_end();
    let Some(line) = line.strip_suffix(':') else { return false };
    let line = line.trim_end();
    line.ends_with("wrote") || line.ends_with("a écrit")
}

/// What mail programs put over a mail that they append as it is.
fn begins_quoted_mail(line: &str, next: &str) -> bool {
    let dashes = line.trim_matches('-').trim();
    let words =
        ["Original Message", "Message d'origine", "Message d’origine", "Forwarded message", "Message transféré"];
    if line.starts_with("--") && words.iter().any(|word| dashes.eq_ignore_ascii_case(word)) {
        return true;
    }
    let rule = line.len() >= 10 && line.chars().all(|c| c == '_');
    rule && ["From:", "De :", "De:"].iter().any(|name| next.trim_start().starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotations_and_signatures_are_left_out() {
        let text = "It rings again.\r\n\r\nOn Mon, 23 Nov 2026 at 10:00,\nSupport <s@desk.example> wrote:\n> Does it ring?\n>> x\n\n\
                    Thanks\n-- \nAnna\nNorth Ltd\n";
        assert_eq!(written(text), "It rings again.\n[…]\nThanks");
        assert_eq!(written("Oui.\n\nLe lun. 23 nov. 2026, Support a écrit :\n\n> Ça sonne ?\n"), "Oui.");
        assert_eq!(written("Yes\n-----Original Message-----\nFrom: Support\nold"), "Yes");
        assert_eq!(written("Yes\n________________________________\nFrom: Support\nold"), "Yes");
        assert_eq!(written("__________\nhere it is"), "__________\nhere it is");
    }

    #[test]
    fn what_is_nothing_but_a_quotation_stays_whole() {
        assert_eq!(written("> see above\n"), "> see above");
        assert_eq!(written("\n\n"), "");
    }

    #[test]
    fn html_becomes_text_without_its_scripts_and_quotations() {
        let html = "<html><head><title>t</title><style>p{}</style></head><body><div>It rings</div><div>again &amp; again.</div>\
                    <script>alert(1)</script><BlockQuote type=cite>Does it <blockquote>x</blockquote>ring?</blockquote>\
                    <p onclick='x()'>Thanks</p></body></html>";
        let text = written(&of_html(html));
        assert_eq!(text, "It rings\nagain & again.\n[…]\nThanks");
    }

    #[test]
    fn nothing_in_a_text_moves_a_cursor_and_nothing_is_endless() {
        assert_eq!(written("a\u{1b}[31m\u{202e}b\u{200b}\u{0}c"), "a[31mbc");
        assert_eq!(one_line("a\r\nBcc: all@x\tb"), "a Bcc: all@x b");
        let long = written(&"é".repeat(LIMIT));
        assert!(long.len() <= LIMIT && long.ends_with(LEFT_OUT));
    }
}
