//! The files of one deposit: names that can be trusted, and one entry per name.

use std::collections::HashMap;

use super::shown::shortened;
use crate::case::text::{TextFault, line};
use crate::case::{DepositedFile, FileContent};

/// The longest name of a file, in bytes.
const NAME_LIMIT: usize = 256;

/// Why `name` cannot be looked for beside a deposit; it comes from outside, and could lead anywhere.
pub(super) fn unsafe_to_fetch(name: &str) -> Option<&'static str> {
    if name.contains(['/', '\\']) {
        Some("its name holds a slash; only files beside the deposit are fetched")
    } else if name.contains("..") {
        Some("its name holds \"..\"; only files beside the deposit are fetched")
    } else if name.starts_with('.') {
        Some("its name begins with a dot; hidden files are not fetched")
    } else if line(name, NAME_LIMIT).is_err() {
        Some("its name is empty, longer than 256 bytes, or holds characters that cannot be seen")
    } else {
        None
    }
}

/// A name or media type that breaks the rules for a line; the number counts from 1.
pub(super) type FileFault = (usize, &'static str, TextFault);

/// Checks the files and brings them to one entry per name.
///
/// - A listed file whose name cannot be looked for becomes a failed one.
/// - Listed and also failed: failed, nobody needs to wait for it. Listed and also there: there.
/// - A second content or failure under one name is kept as `name (2)`: nothing that a bundle says is dropped.
pub(super) fn in_order(files: Vec<DepositedFile>) -> Result<Vec<DepositedFile>, FileFault> {
    let mut kept: Vec<DepositedFile> = Vec::with_capacity(files.len());
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut copies: HashMap<String, usize> = HashMap::new();
    for (number, file) in (1..).zip(files) {
        let mut file = refuse_unsafe(file);
        if let Some(place) = places.get(&file.name).copied()
            && let Some(earlier) = kept.get_mut(place)
        {
            if file.content == FileContent::Listed {
                continue;
            }
            if earlier.content == FileContent::Listed {
                earlier.media_type = file.media_type.or(earlier.media_type.take());
                earlier.content = file.content;
                continue;
            }
            let count = copies.entry(file.name.clone()).or_insert(1);
            // Ends: a deposit has a limited number of names.
            let name = loop {
                *count += 1;
                let name = format!("{} ({count})", file.name);
                if !places.contains_key(&name) {
                    break name;
                }
            };
            file.name = name;
        }
        line(&file.name, NAME_LIMIT).map_err(|fault| (number, "name", fault))?;
        if let Some(media_type) = &file.media_type {
            line(media_type, NAME_LIMIT).map_err(|fault| (number, "media type", fault))?;
        }
        places.insert(file.name.clone(), kept.len());
        kept.push(file);
    }
    Ok(kept)
}

fn refuse_unsafe(mut file: DepositedFile) -> DepositedFile {
    if file.content == FileContent::Listed
        && let Some(reason) = unsafe_to_fetch(&file.name)
    {
        file.content = FileContent::Failed { reason: format!("it was not fetched: {reason}") };
        if line(&file.name, NAME_LIMIT).is_err() {
            // Four bytes for each character at most, and the ellipsis.
            file.name = match shortened(&file.name, 60) {
                blank if blank.trim().is_empty() => "(a file without a name)".to_owned(),
                shown => shown,
            };
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, content: FileContent) -> DepositedFile {
        DepositedFile { name: name.into(), media_type: None, content }
    }

    fn embedded(text: &str) -> FileContent {
        FileContent::Embedded(text.as_bytes().to_vec())
    }

    fn failed() -> FileContent {
        FileContent::Failed { reason: "no space".into() }
    }

    #[test]
    fn a_13_a_name_that_could_lead_elsewhere_is_not_looked_for() {
        let long = "x".repeat(1000);
        for name in ["../secret", "/etc/passwd", "a\\b", "..", "a..b", ".hidden", "a\nb", "", " ", &long] {
            let files = in_order(vec![file(name, FileContent::Listed)]).expect(name);
            assert!(matches!(&files[0].content, FileContent::Failed { .. }), "{name}");
            assert!(line(&files[0].name, NAME_LIMIT).is_ok(), "{name}");
        }
        let files = in_order(vec![file("messages.0.gz", FileContent::Listed)]).unwrap();
        assert_eq!(files[0].content, FileContent::Listed);
    }

    #[test]
    fn a_carried_file_may_have_the_path_that_it_had_on_the_device() {
        let files = in_order(vec![file("/var/log/messages", embedded("x"))]).unwrap();
        assert_eq!(files[0].name, "/var/log/messages");
        assert!(matches!(in_order(vec![file("a\nb", embedded("x"))]), Err((1, "name", TextFault::Control(10)))));
    }

    #[test]
    fn one_entry_per_name_and_nothing_dropped() {
        let files = in_order(vec![
            file("a", FileContent::Listed),
            file("a", embedded("one")),
            file("a", FileContent::Listed),
            file("a (2)", embedded("taken")),
            file("a", embedded("two")),
            file("b", FileContent::Listed),
            file("b", failed()),
            file("c", embedded("half")),
            file("c", failed()),
        ])
        .unwrap();
        let expected = [
            file("a", embedded("one")),
            file("a (2)", embedded("taken")),
            file("a (3)", embedded("two")),
            file("b", failed()),
            file("c", embedded("half")),
            file("c (2)", failed()),
        ];
        assert_eq!(files, expected);
    }
}
