//! How the mails read. A template for each notice, as text and as HTML, in each language, is in the program; a directory of the
//! site's may have others in their place. All are read and tried when the daemon starts.

mod builtin;
mod loops;
mod words;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use minijinja::{Environment, Error, UndefinedBehavior};
use serde::Serialize;

use crate::case::text::shown;
use crate::case::{Language, Notice};

/// The largest template file, in bytes.
const FILE_LIMIT: u64 = 64 << 10;
/// What one mail may cost, in steps of the templates' machine: a loop that does not end is stopped.
const FUEL: u64 = 1_000_000;
/// The longest subject, in letters.
const SUBJECT_LIMIT: usize = 200;
/// The most faults that are told at once.
const FAULT_LIMIT: usize = 20;
/// With it a template of the text begins.
const SUBJECT: &str = "Subject: ";

/// What a template may name.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Fields {
    /// The alias of the site.
    pub site: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseFields>,
    pub party: PartyFields,
    /// The state as a word, and as people say it.
    pub state: String,
    pub state_label: String,
    pub comments: Vec<CommentFields>,
    /// Which reminder it is, counted from 1, and how many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reminder: Option<usize>,
    pub reminders: usize,
    /// The time until the case is closed.
    pub within: String,
    pub links: LinkFields,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct CaseFields {
    /// The display ID, and the number of the incident.
    pub id: String,
    pub number: i64,
    pub synopsis: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solution: Option<String>,
    /// The case of the site above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub their_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct PartyFields {
    pub name: String,
    /// `customer` or `integrator`.
    pub role: String,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct CommentFields {
    pub author: String,
    pub text: String,
}

/// The pages that a mail leads to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LinkFields {
    /// The incident form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_solved: Option<String>,
}

impl Fields {
    /// One with everything in it, to try templates with.
    fn full() -> Self {
        let text = || "x".to_owned();
        Self {
            site: text(),
            case: Some(CaseFields {
                id: text(),
                number: 1,
                synopsis: text(),
                device: Some(text()),
                solution: Some(text()),
                their_id: Some(text()),
                link: Some(text()),
            }),
            party: PartyFields { name: text(), role: text() },
            state: text(),
            state_label: text(),
            comments: vec![CommentFields { author: text(), text: text() }],
            reminder: Some(1),
            reminders: 1,
            within: text(),
            links: LinkFields {
                form: Some(text()),
                answer: Some(text()),
                confirm: Some(text()),
                not_solved: Some(text()),
            },
        }
    }

    /// The same without what may be missing.
    fn bare() -> Self {
        let case = CaseFields { id: "x".into(), synopsis: "x".into(), ..CaseFields::default() };
        let links = LinkFields { form: Some("x".into()), ..LinkFields::default() };
        Self { case: Some(case), reminder: Some(1), links, ..Fields::default() }
    }

    /// Every name that a template may use: `case.id`, and also `case`.
    fn names() -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(Self::full()) {
            for (name, value) in fields {
                for (below, _) in value.as_object().into_iter().flatten() {
                    names.insert(format!("{name}.{below}"));
                }
                names.insert(name);
            }
        }
        names
    }
}

/// A mail's texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub subject: String,
    pub plain: String,
    pub html: String,
}

/// A template that was tried and failed on this mail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RenderFault(String);

/// What is wrong with templates, each with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFaults(Vec<String>);

impl TemplateFaults {
    /// Each of them, a sentence.
    pub fn list(&self) -> &[String] {
        &self.0
    }
}

impl std::error::Error for TemplateFaults {}

impl fmt::Display for TemplateFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

/// The templates of a site.
pub struct Templates {
    environment: Environment<'static>,
}

impl Templates {
    /// The program's own, and in their place those of the directory.
    pub fn load(directory: Option<&Path>) -> Result<Self, TemplateFaults> {
        let mut faults = Vec::new();
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        for (name, source) in builtin::TEMPLATES {
            let own = directory.map_or(Ok(None), |directory| read(directory, name));
            let source = match own {
                Ok(own) => own.unwrap_or_else(|| source.to_owned()),
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            if let Err(error) = environment.add_template_owned(name, source.clone()) {
                faults.push(told(name, &source, &error));
            }
        }
        if let Some(directory) = directory {
            faults.extend(strangers(directory));
        }
        let templates = Self { environment };
        if faults.is_empty() {
            faults = templates.check();
        }
        if !faults.is_empty() {
            faults.truncate(FAULT_LIMIT);
            return Err(TemplateFaults(faults));
        }
        let mut environment = templates.environment;
        // What was tried with everything and with little is not to fail on a mail in between.
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        Ok(Self { environment })
    }

    /// The texts of one mail.
    pub fn render(&self, notice: Notice, language: Language, fields: &Fields) -> Result<Text, RenderFault> {
        let render = |ending: &str| {
            let name = format!("{}/{}.{ending}", language.as_str(), notice.as_str());
            let rendered = self.environment.get_template(&name).and_then(|template| template.render(context(fields)));
            rendered.map_err(|error| RenderFault(told(&name, "", &error)))
        };
        let (plain, html) = (render("txt")?, render("html")?);
        let (subject, plain) =
            split(&plain).ok_or_else(|| RenderFault(format!("{} has no subject", notice.as_str())))?;
        Ok(Text { subject, plain, html })
    }

    /// Tries every template with all fields and with few.
    fn check(&self) -> Vec<String> {
        let names = Fields::names();
        let mut faults = Vec::new();
        for (name, template) in self.environment.templates() {
            let source = template.source();
            // What is wrong with the loops of a template that does not parse without them, its trial shows.
            let (opened, each) = loops::opened(source);
            let opened = self.environment.template_from_str(&opened).map(|one| one.undeclared_variables(true));
            let named = opened.unwrap_or_else(|_| template.undeclared_variables(true));
            let mut unknown: Vec<String> = named.into_iter().collect();
            let is_known = |field: &String| names.contains(field) || FUNCTIONS.contains(&field.as_str());
            unknown.retain(|field| !is_known(field) && !loops::is_known(field, &each));
            unknown.sort();
            for field in &unknown {
                let (line, column) = place(source, find(source, field));
                let known = loops::known(field, &each).unwrap_or_else(|| names.iter().cloned().collect());
                faults.push(format!(
                    "{name}, line {line}, column {column}: there is no field {}; known are {}",
                    shown(field, 80),
                    known.join(", ")
                ));
            }
            let words = words::unknown(&self.environment, source);
            for word in &words {
                let (line, column) = place(source, word.at);
                faults.push(format!(
                    "{name}, line {line}, column {column}: there is no {} {}",
                    word.kind,
                    shown(&word.name, 80)
                ));
            }
            if !unknown.is_empty() || !words.is_empty() {
                continue;
            }
            for fields in [Fields::full(), Fields::bare()] {
                match template.render(context(&fields)) {
                    Err(error) => {
                        faults.push(told(name, source, &error));
                        break;
                    }
                    Ok(text) if name.ends_with(".txt") && !has_head(&text) => {
                        faults.push(format!(
                            "{name}, line 1, column 1: the first line must be \"{SUBJECT}\" and the subject, the second empty"
                        ));
                        break;
                    }
                    Ok(_) => {}
                }
            }
        }
        faults.sort();
        faults
    }
}

/// Names that are no fields.
const FUNCTIONS: [&str; 4] = ["range", "dict", "namespace", "debug"];

fn context(fields: &Fields) -> minijinja::Value {
    minijinja::Value::from(minijinja::value::Serde(fields))
}

/// Whether the subject stands there alone, as in a trial, whose fields have no lines.
fn has_head(text: &str) -> bool {
    split(text).is_some() && text.split_once("\n\n").is_some_and(|(head, _)| !head.contains('\n'))
}

/// Subject and text. The subject is one line, whatever a field holds.
fn split(text: &str) -> Option<(String, String)> {
    let (head, body) = text.split_once("\n\n")?;
    let subject = head.strip_prefix(SUBJECT)?;
    let words = subject.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    let subject: String = words.collect::<Vec<_>>().join(" ").chars().take(SUBJECT_LIMIT).collect();
    if subject.is_empty() { None } else { Some((subject, body.to_owned())) }
}

/// The site's own file for a template, where there is one.
fn read(directory: &Path, name: &str) -> Result<Option<String>, String> {
    let path = directory.join(name);
    match std::fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
        Ok(metadata) if !metadata.is_file() => return Err(format!("{} is not a file", path.display())),
        Ok(metadata) if metadata.len() > FILE_LIMIT => {
            return Err(format!("{} is longer than {} KiB", path.display(), FILE_LIMIT >> 10));
        }
        Ok(_) => {}
    }
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.replace("\r\n", "\n"))),
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
    }
}

/// Files of the directory that stand for nothing: a misspelt name would leave the program's own template in use.
fn strangers(directory: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    if let Err(error) = std::fs::read_dir(directory) {
        return vec![format!("{} cannot be read: {error}", directory.display())];
    }
    for language in Language::ALL {
        let Ok(entries) = std::fs::read_dir(directory.join(language.as_str())) else { continue };
        for entry in entries.flatten().take(1000) {
            let name = format!("{}/{}", language.as_str(), entry.file_name().to_string_lossy());
            let is_template = name.ends_with(".txt") || name.ends_with(".html");
            if is_template && !builtin::TEMPLATES.iter().any(|(known, _)| *known == name) {
                let names: Vec<&str> = Notice::ALL.into_iter().map(Notice::as_str).collect();
                faults.push(format!(
                    "{} is no template of a mail; their names are layout.html, and with .txt and .html {}",
                    shown(&name, 120),
                    names.join(", ")
                ));
            }
        }
    }
    faults
}

/// The fault of a template with its place.
fn told(name: &str, source: &str, error: &Error) -> String {
    let file = error.name().unwrap_or(name);
    let reason = shown(error.detail().unwrap_or(&error.kind().to_string()), 300);
    let source = error.template_source().unwrap_or(source);
    let column = error.range().map(|range| place(source, range.start).1);
    match (error.line(), column) {
        (Some(line), Some(column)) => format!("{file}, line {line}, column {column}: {reason}"),
        (Some(line), None) => format!("{file}, line {line}: {reason}"),
        _ => format!("{file}: {reason}"),
    }
}

/// Where a name stands in a tag of the template, in bytes from its beginning.
fn find(source: &str, name: &str) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let in_tag = |at: usize| {
        let before = &source[..at];
        let (opened, closed) = (before.rfind("{{").max(before.rfind("{%")), before.rfind("}}").max(before.rfind("%}")));
        opened.is_some() && opened > closed
    };
    let whole = |at: &usize| {
        !source[..*at].ends_with(|c: char| is_word(c) || c == '.')
            && !source[at + name.len()..].starts_with(is_word)
            && in_tag(*at)
    };
    source.match_indices(name).map(|(at, _)| at).find(whole).unwrap_or_default()
}

/// Line and column, counted from 1.
fn place(source: &str, at: usize) -> (usize, usize) {
    let before = &source[..source.floor_char_boundary(at)];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests;
