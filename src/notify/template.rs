//! How the mails read. A template for each notice, as text and as HTML, in each language, is in the program; a directory of the
//! site's may have others in their place. All are read and tried when the daemon starts.

mod aliases;
mod builtin;
mod loops;
mod probe;
mod words;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use minijinja::{Environment, Error, UndefinedBehavior};
use serde::Serialize;

use self::probe::Trial;
use crate::case::text::shown;
use crate::case::{Language, Notice};

/// The largest template file, in bytes.
const FILE_LIMIT: u64 = 64 << 10;
/// What one mail may cost, in steps of the templates' machine: a loop that does not end is stopped.
const FUEL: u64 = 1_000_000;
/// The longest subject, in letters.
const SUBJECT_LIMIT: usize = 200;
/// The most entries of a folder that are looked at.
const ENTRIES: usize = 1000;
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
        let [full, bare] = [Fields::full(), Fields::bare()].map(|fields| serde_json::json!(fields));
        let mut faults = Vec::new();
        for (name, template) in self.environment.templates() {
            let source = template.source();
            // What is wrong with the loops of a template that does not parse without them, its trial shows.
            let (opened, each) = loops::opened(source);
            let (opened, aliases) = aliases::opened(&opened);
            let opened = self.environment.template_from_str(&opened).map(|one| one.undeclared_variables(true));
            let named = opened.unwrap_or_else(|_| template.undeclared_variables(true));
            let mut unknown: Vec<String> = named.into_iter().collect();
            let is_known = |field: &String| {
                names.contains(field) || FUNCTIONS.contains(&field.as_str()) || loops::is_known(field, &each)
            };
            unknown.retain(|field| !aliases::meant(field, &aliases).iter().any(is_known));
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
            for fields in [&full, &bare] {
                let trial = Trial::of(fields, &full);
                let rendered = template.render(trial.context());
                let asked = trial.unknown();
                // What another template asks for, of which this one is made, is told of that one.
                let mut own = asked.iter().filter_map(|(group, field)| Some((attribute(source, field)?, group, field)));
                if let Some((at, group, field)) = own.next() {
                    let (line, column) = place(source, at);
                    let field = shown(&format!("{group}.{field}"), 80);
                    faults.push(format!(
                        "{name}, line {line}, column {column}: there is no field {field}; known are {}",
                        names.iter().cloned().collect::<Vec<_>>().join(", "),
                    ));
                    break;
                }
                match rendered {
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
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => return vec![format!("{} cannot be read: {error}", directory.display())],
    };
    let languages = Language::ALL.map(Language::as_str);
    for entry in entries.flatten().take(ENTRIES) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_own = languages.contains(&name.as_str());
        if entry.path().is_dir() {
            let below = names_in(&entry.path());
            match is_own {
                true => {
                    faults.extend(below.iter().map(|file| format!("{name}/{file}")).filter_map(|file| misnamed(&file)))
                }
                false => faults.extend(below.iter().find(|file| is_known(file)).map(|file| {
                    format!(
                        "{} is never used: mails are written in the languages {}",
                        shown(&format!("{name}/{file}"), 120),
                        languages.join(" and ")
                    )
                })),
            }
        } else if is_known(&name) {
            faults.push(format!("{name} is never used: put it into {}/", languages.join("/ or ")));
        }
    }
    faults.sort();
    faults
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(ENTRIES);
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Whether a file is called like a template, in whichever folder.
fn is_known(file: &str) -> bool {
    builtin::TEMPLATES.iter().any(|(known, _)| known.rsplit('/').next() == Some(file))
}

fn misnamed(name: &str) -> Option<String> {
    let is_template = name.ends_with(".txt") || name.ends_with(".html");
    (is_template && !builtin::TEMPLATES.iter().any(|(known, _)| *known == name)).then(|| {
        let names: Vec<&str> = Notice::ALL.into_iter().map(Notice::as_str).collect();
        format!(
            "{} is no template of a mail; their names are layout.html, and with .txt and .html {}",
            shown(name, 120),
            names.join(", ")
        )
    })
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
    let whole = |at: &usize| !source[..*at].ends_with(|c: char| is_word(c) || c == '.') && is_named(source, *at, name);
    source.match_indices(name).map(|(at, _)| at).find(whole).unwrap_or_default()
}

/// Where a tag of the template asks something for the field with this name.
fn attribute(source: &str, name: &str) -> Option<usize> {
    let below = |at: &usize| source[..*at].ends_with(['.', '\'', '"']) && is_named(source, *at, name);
    source.match_indices(name).map(|(at, _)| at).find(below)
}

fn is_named(source: &str, at: usize, name: &str) -> bool {
    let before = &source[..at];
    let (opened, closed) = (before.rfind("{{").max(before.rfind("{%")), before.rfind("}}").max(before.rfind("%}")));
    opened.is_some() && opened > closed && !source[at + name.len()..].starts_with(is_word)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Line and column, counted from 1.
fn place(source: &str, at: usize) -> (usize, usize) {
    let before = &source[..source.floor_char_boundary(at)];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests;
