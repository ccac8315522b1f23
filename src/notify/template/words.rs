//! The filters, tests and other templates that a template names. A trial runs only the branches that it comes through; what
//! is named in the others would fail on somebody's mail.

use minijinja::{Environment, ErrorKind, context};

/// What of its words is in no program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// `filter`, `test` or `template`.
    pub kind: &'static str,
    pub name: String,
    /// Where it stands, in bytes from the beginning.
    pub at: usize,
}

pub fn unknown(environment: &Environment<'_>, source: &str) -> Vec<Unknown> {
    let mut found: Vec<Unknown> = tags(source).into_iter().flat_map(|(at, tag)| named(at, tag)).collect();
    found.retain(|one| match one.kind {
        "template" => environment.get_template(&one.name).is_err(),
        "filter" => fails(environment, &format!("{{{{ x|{} }}}}", one.name), ErrorKind::UnknownFilter),
        _ => fails(environment, &format!("{{{{ x is {} }}}}", one.name), ErrorKind::UnknownTest),
    });
    found
}

fn fails(environment: &Environment<'_>, expression: &str, kind: ErrorKind) -> bool {
    let rendered = environment.template_from_str(expression).and_then(|one| one.render(context! { x => "x" }));
    rendered.is_err_and(|error| error.kind() == kind)
}

/// What stands between the braces, with its place.
fn tags(source: &str) -> Vec<(usize, &str)> {
    let (mut tags, mut at) = (Vec::new(), 0);
    while let Some(begin) = source[at..].find('{').map(|found| at + found) {
        let end = match source.as_bytes().get(begin + 1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            Some(b'#') => "#}",
            _ => {
                at = begin + 1;
                continue;
            }
        };
        let inner = begin + 2;
        let Some(length) = source[inner..].find(end) else { break };
        let tag = &source[inner..inner + length];
        at = inner + length + end.len();
        if end == "%}" && tag.trim_matches(['-', '+', ' ']) == "raw" {
            at = source[at..].find("endraw").map_or(source.len(), |found| at + found);
        } else if end != "#}" {
            tags.push((inner, tag));
        }
    }
    tags
}

/// A word, a text in quotes without them, or another character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'t> {
    Word(&'t str),
    Text(&'t str),
    Sign(char),
}

fn named(at: usize, tag: &str) -> Vec<Unknown> {
    let tokens = tokens(tag);
    let mut named = Vec::new();
    let mut add = |kind, name: &str, place: usize| named.push(Unknown { kind, name: name.into(), at: at + place });
    for (index, (_, token)) in tokens.iter().enumerate() {
        let next = |more: usize| tokens.get(index + more).copied();
        match (token, next(1)) {
            (Token::Sign('|'), Some((place, Token::Word(name)))) => add("filter", name, place),
            (Token::Word("filter"), Some((place, Token::Word(name)))) if index == 0 => add("filter", name, place),
            (Token::Word("is"), Some((_, Token::Word("not")))) => {
                if let Some((place, Token::Word(name))) = next(2) {
                    add("test", name, place);
                }
            }
            (Token::Word("is"), Some((place, Token::Word(name)))) => add("test", name, place),
            (Token::Word("include" | "import" | "from" | "extends"), Some((place, Token::Text(name))))
                if index == 0 =>
            {
                add("template", name, place);
            }
            _ => {}
        }
    }
    named
}

fn tokens(tag: &str) -> Vec<(usize, Token<'_>)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut tokens, mut at) = (Vec::new(), 0);
    while let Some(first) = tag[at..].chars().next() {
        let rest = &tag[at..];
        let length = if matches!(first, '"' | '\'') {
            let mut is_escaped = false;
            let ends = |c: char| {
                let ends = c == first && !is_escaped;
                is_escaped = c == '\\' && !is_escaped;
                ends
            };
            let inner = rest[1..].find(ends).unwrap_or(rest.len() - 1);
            tokens.push((at, Token::Text(&rest[1..1 + inner])));
            (inner + 2).min(rest.len())
        } else if is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            tokens.push((at, Token::Word(&rest[..end])));
            end
        } else {
            let marks_blanks = tokens.is_empty() && matches!(first, '-' | '+');
            if !first.is_whitespace() && !marks_blanks {
                tokens.push((at, Token::Sign(first)));
            }
            first.len_utf8()
        };
        at += length;
    }
    tokens
}
