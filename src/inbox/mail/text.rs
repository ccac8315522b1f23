//! What a person wrote: plain text, without what it quotes, without the signature, without anything that moves a cursor.

use mail_parser::decoders::html::html_to_text;

use crate::case::text::is_hidden;

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
    let (quotations, mut blocks, mut open, mut quoted) = (quotations(html), 0, Vec::new(), 0usize);
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        if quoted == 0 {
            text.push_str(before);
        }
        if is_tag(tag, BLOCK) {
            let quotes = quotations.get(blocks).is_some_and(|quotes| *quotes);
            if quoted == 0 {
                text.push_str(if quotes { "<br>&gt; <br>" } else { "<br>" });
            }
            quoted += usize::from(quotes);
            open.push(quotes);
            blocks += 1;
        } else if is_tag(tag, BLOCK_END) {
            quoted -= usize::from(open.pop().unwrap_or_default());
        } else if quoted == 0 && ENDS.iter().any(|end| is_tag(tag, end)) {
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

const BLOCK: &str = "<blockquote";
const BLOCK_END: &str = "</blockquote";

fn is_tag(tag: &str, name: &str) -> bool {
    tag.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

/// Which of the `blockquote`s quote a mail, in their order. An indentation is made with the same element, and what stands behind
/// one that does not end may be its writer's own.
fn quotations(html: &str) -> Vec<bool> {
    let (mut quotations, mut open) = (Vec::new(), Vec::new());
    let tags = html.match_indices('<').map(|(at, _)| &html[at..]);
    for tag in tags {
        if is_tag(tag, BLOCK) {
            open.push((quotations.len(), says_that_it_quotes(tag)));
            quotations.push(false);
        } else if is_tag(tag, BLOCK_END)
            && let Some((place, quotes)) = open.pop()
            && let Some(one) = quotations.get_mut(place)
        {
            *one = quotes;
        }
    }
    quotations
}

/// By its type, by the class that mail programs give it, or by the line at its side.
fn says_that_it_quotes(tag: &str) -> bool {
    /// Longer than what any mail program writes.
    const LONG: usize = 400;
    let attributes = tag.get(BLOCK.len()..tag.floor_char_boundary(LONG)).unwrap_or_default();
    let attributes = attributes.split('>').next().unwrap_or_default().to_ascii_lowercase();
    let plain: String = attributes.chars().filter(|c| !matches!(c, '"' | '\'') && !c.is_whitespace()).collect();
    plain.contains("type=cite") || plain.contains("quote") || plain.contains("border-left")
}

/// The text of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// What its writer wrote: quoted mails and the signature are left out. May be empty.
    pub own: String,
    /// The whole, where there is nothing else: a mail that was passed on, or an answer in which nothing was written.
    pub quoted: String,
}

pub fn said(text: &str) -> Said {
    let text = plain(text);
    let own = without_quotes(&text);
    let is_said = own.lines().any(|line| !line.trim().is_empty() && line != LEFT_OUT);
    match is_said {
        true => Said { own: shortened(&own, LIMIT), quoted: String::new() },
        false => Said { own: String::new(), quoted: shortened(&text, LIMIT) },
    }
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
        let (trimmed, below) = (line.trim_start(), &lines[at + 1..]);
        if is_signature(line, below) || begins_quoted_mail(trimmed, below) {
            break;
        }
        if is_of_a_telephone(trimmed) && is_the_end(below) {
            continue;
        }
        if trimmed.starts_with('>') {
            if own.last() != Some(&LEFT_OUT) {
                // The line above says whose words follow, perhaps in two.
                while own.last().is_some_and(|line| line.is_empty()) {
                    own.pop();
                }
                if own.last().is_some_and(|line| introduces(line)) {
                    own.pop();
                    if own.last().is_some_and(|line| begins_introduction(line)) {
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

/// `On Monday, Support wrote:` and `Le lundi, Support a écrit :`. It stands above a quotation, so a word more does no harm.
fn introduces(line: &str) -> bool {
    const WROTE: [&str; 7] = ["wrote", "a écrit", "schrieb", "escribió", "ha scritto", "schreef", "escreveu"];
    let line = line.trim_end();
    line.strip_suffix(':').is_some_and(|line| WROTE.iter().any(|word| line.contains(word)))
}

/// The first line of such an introduction in two.
fn begins_introduction(line: &str) -> bool {
    ["On ", "Le ", "Am ", "El ", "Il ", "Op ", "Em "].iter().any(|word| line.starts_with(word))
}

/// Two dashes and a blank. Without the blank they may also part one thing from another, with more below than a signature has.
fn is_signature(line: &str, below: &[&str]) -> bool {
    const LINES: usize = 8;
    let rest = || below.iter().take_while(|line| !line.starts_with('>') && !introduces(line));
    line == "-- " || line == "--" && rest().filter(|line| !line.is_empty()).count() <= LINES
}

/// What telephones put below every mail.
fn is_of_a_telephone(line: &str) -> bool {
    const SENT: [&str; 9] = [
        "Sent from ",
        "Get Outlook for ",
        "Envoyé de mon ",
        "Envoyé depuis ",
        "Envoyé à partir de ",
        "Téléchargez Outlook ",
        "Télécharger Outlook ",
        "Von meinem ",
        "Gesendet ",
    ];
    line.len() < 80 && SENT.iter().any(|words| line.starts_with(words))
}

/// Whether nothing more of the writer's own can follow: these are the last lines, or a quotation begins.
fn is_the_end(below: &[&str]) -> bool {
    let Some(at) = below.iter().position(|line| !line.is_empty()) else { return true };
    let (next, rest) = (below[at], &below[at + 1..]);
    let is_wrote = introduces(next) || begins_introduction(next) && rest.first().is_some_and(|line| introduces(line));
    next.starts_with('>') || is_wrote || is_signature(next, rest) || begins_quoted_mail(next, rest)
}

/// What mail programs put over a mail that they append as it is.
fn begins_quoted_mail(line: &str, below: &[&str]) -> bool {
    if is_head_of_mail(line, below) {
        return true;
    }
    let dashes = line.trim_matches('-').trim();
    let words =
        ["Original Message", "Message d'origine", "Message d’origine", "Forwarded message", "Message transféré"];
    if line.starts_with("--") && words.iter().any(|word| dashes.eq_ignore_ascii_case(word)) {
        return true;
    }
    let rule = line.len() >= 10 && line.chars().all(|c| c == '_');
    rule && below.first().is_some_and(|next| names(next, &FROM))
}

const FROM: [&str; 3] = ["From", "De", "Von"];

/// Outlook quotes without any mark: who wrote, when, and to whom stand above, in this order.
fn is_head_of_mail(line: &str, below: &[&str]) -> bool {
    let after = |names_of: &[&str], lines: &[&str], within: usize| {
        lines.iter().take(within).position(|line| names(line, names_of)).map(|at| at + 1)
    };
    let Some(sent) = after(&["Sent", "Envoyé", "Date", "Gesendet"], below, 3).filter(|_| names(line, &FROM)) else {
        return false;
    };
    after(&["To", "À", "A", "Subject", "Objet", "An", "Betreff"], &below[sent..], 3).is_some()
}

/// `From: ...`, also as `De : ...` and `*From:* ...`.
fn names(line: &str, names: &[&str]) -> bool {
    let line = line.trim_start().trim_start_matches('*');
    let Some((name, _)) = line.split_once(':') else { return false };
    names.contains(&name.trim_end().trim_end_matches('*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(text: &str) -> String {
        said(text).own
    }

    #[test]
    fn quotations_and_signatures_are_left_out() {
        let text = "It rings again.\r\n\r\nOn Mon, 23 Nov 2026 at 10:00,\nSupport <s@desk.example> wrote:\n> Does it ring?\n>> x\n\n\
                    Thanks\n-- \nAnna\nNorth Ltd\n";
        assert_eq!(own(text), "It rings again.\n[…]\nThanks");
        assert_eq!(own("Oui.\n\nLe lun. 23 nov. 2026, Support a écrit :\n\n> Ça sonne ?\n"), "Oui.");
        assert_eq!(own("Yes\n-----Original Message-----\nFrom: Support\nold"), "Yes");
        assert_eq!(own("Yes\n________________________________\nFrom: Support\nold"), "Yes");
        assert_eq!(own("__________\nhere it is"), "__________\nhere it is");
    }

    #[test]
    fn what_is_nothing_but_a_quotation_is_nobodys_word() {
        let quotation = "On Mon, Support <s@desk.example> wrote:\n\n> Does it ring?\n> https://desk.example/p/abc\n";
        assert_eq!(said(&format!("\n{quotation}")), Said { own: String::new(), quoted: quotation.trim().into() });
        assert_eq!(said("\n\n"), Said::default());
    }

    #[test]
    fn the_way_in_which_outlook_quotes_is_known_by_its_head() {
        let english = "Thanks, looking.\n\nFrom: Support <s@desk.example>\nSent: Monday, 23 November 2026 10:00\n\
                       To: Anna <anna@north.example>\nSubject: [CM-1] Closed?\n\nhttps://desk.example/p/abc\n";
        assert_eq!(own(english), "Thanks, looking.");
        let french = "Merci.\n\nDe\u{a0}: Support\nEnvoyé\u{a0}: lundi\nÀ\u{a0}: Anna\nObjet\u{a0}: [CM-1]\n\nold";
        assert_eq!(own(french), "Merci.");
        assert_eq!(own("Yes\n\n*From:* Support\n*Date:* Monday\n*To:* Anna\n\nold"), "Yes");
        let html = "<p>Thanks.</p><div><p><b>From:</b> Support<br><b>Sent:</b> Monday<br><b>To:</b> Anna<br>\
                    <b>Subject:</b> x</p></div><p>old</p>";
        assert_eq!(own(&of_html(html)), "Thanks.");
        let trace = "The trace:\nFrom: <sip:1@north.example>\nTo: <sip:2@north.example>\nDate: Monday";
        assert_eq!(own(trace), trace, "headers of a telephone call are no quoted mail");
    }

    #[test]
    fn what_a_telephone_or_a_hasty_writer_puts_below_is_left_out() {
        for below in [
            "--\nAnna",
            "Sent from my iPhone",
            "Envoyé de mon iPhone",
            "Von meinem iPhone gesendet",
            "Get Outlook for iOS",
        ] {
            assert_eq!(own(&format!("It rings.\n\n{below}\n")), "It rings.");
            let quoted = format!("It rings.\n\n{below}\n\nOn Monday,\nSupport wrote:\n> Does it?\n");
            assert_eq!(own(&quoted), "It rings.");
        }
        assert_eq!(own("Ja.\n\nAm Mo., 23. Nov. 2026 schrieb Support <s@desk.example>:\n> x\n"), "Ja.");
        assert_eq!(own("Ja.\n\nAm Mo., 23. Nov. 2026 um 10:00\nschrieb Support:\n> x\n"), "Ja.");
    }

    #[test]
    fn what_only_looks_like_a_signature_is_its_writers_own() {
        let text = "Sent from my side: the log.\nIt rings.";
        assert_eq!(own(text), text);
        let parted = format!("First\n--\n{}", ["line"; 9].join("\n"));
        assert_eq!(own(&parted), parted);
        assert_eq!(own("First\n-- \nAnna"), "First");
    }

    #[test]
    fn an_indentation_is_its_writers_own_and_so_is_what_stands_behind_a_quotation_that_does_not_end() {
        let indented = "<div>See:</div><blockquote style=\"margin:0 0 0 40px;border:none\"><div>error 5</div></blockquote>\
                        <div>Thanks</div>";
        assert_eq!(own(&of_html(indented)), "See:\n\nerror 5\nThanks");
        let gmail = "<div>Yes</div><div class=\"gmail_quote\"><div class=\"gmail_attr\">On Monday, Support wrote:<br></div>\
                     <blockquote class=\"gmail_quote\" style=\"margin:0\">Does it <blockquote>x</blockquote> ring?</blockquote></div>";
        assert_eq!(own(&of_html(gmail)), "Yes");
        let open = "<div><blockquote type=\"cite\">Does it ring?</div><div>It rings.</div>";
        assert!(own(&of_html(open)).contains("It rings."));
        let line = "<p>Yes</p><blockquote style='border-left: 1px solid #00f'>old</blockquote>";
        assert_eq!(own(&of_html(line)), "Yes");
        assert!(own(&of_html(&"<blockquote type=cite>".repeat(50_000))).is_empty(), "and ends in time");
    }

    #[test]
    fn html_becomes_text_without_its_scripts_and_quotations() {
        let html = "<html><head><title>t</title><style>p{}</style></head><body><div>It rings</div><div>again &amp; again.</div>\
                    <script>alert(1)</script><BlockQuote type=cite>Does it <blockquote>x</blockquote>ring?</blockquote>\
                    <p onclick='x()'>Thanks</p></body></html>";
        let text = own(&of_html(html));
        assert_eq!(text, "It rings\nagain & again.\n[…]\nThanks");
    }

    #[test]
    fn nothing_in_a_text_moves_a_cursor_and_nothing_is_endless() {
        assert_eq!(own("a\u{1b}[31m\u{202e}b\u{200b}\u{0}c"), "a[31mbc");
        assert_eq!(one_line("a\r\nBcc: all@x\tb"), "a Bcc: all@x b");
        let long = own(&"é".repeat(LIMIT));
        assert!(long.len() <= LIMIT && long.ends_with(LEFT_OUT));
    }
}
