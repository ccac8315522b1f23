//! The line above a comment: when, who, and what sets it apart from others.

use jiff::Timestamp;

use super::{safe, time};

/// What sets a comment apart, where anything does.
#[derive(Debug, Clone, Copy)]
pub struct Marks<'a> {
    /// Of whom the case was opened for (M-12).
    pub initiator: bool,
    /// For this site's own people.
    pub internal: bool,
    /// A BCP 47 tag, such as `fr`.
    pub language: Option<&'a str>,
    /// The site that it came from.
    pub origin: Option<&'a str>,
}

/// Without a line end; harmless on a terminal.
pub fn comment(at: Timestamp, author: &str, marks: Marks<'_>) -> String {
    let Marks { initiator, internal, language, origin } = marks;
    let marks = [
        initiator.then(|| "initiator".to_owned()),
        internal.then(|| "internal".to_owned()),
        language.map(str::to_owned),
        origin.map(|site| format!("from {site}")),
    ];
    let marks: Vec<String> = marks.into_iter().flatten().collect();
    let line = format!("{} {}", time(at), safe(author));
    if marks.is_empty() { line } else { format!("{line} ({})", safe(&marks.join(", "))) }
}
