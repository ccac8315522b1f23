//! The attachments and logs sections: files that a bundle carries, lists, or says could not be made.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::xml::{Element, Step, Xml};
use super::{BundleFault, join};
use crate::case::{Deposit, DepositedFile, FileContent};
use crate::inbox::shown::{shortened, shown};

/// The element names of a file. They mean the same; a bundle uses the one that reads best.
const FILES: [&str; 3] = ["attachment", "archive", "file"];
/// The element that tells part by part what could be made.
const STATUS: &str = "status";
/// How much of a reason is kept, in characters.
const REASON_LIMIT: usize = 1024;

/// Reads a section, from behind its start tag to its end.
pub fn read(xml: &mut Xml<'_>, path: &str, files: &mut Vec<DepositedFile>) -> Result<(), BundleFault> {
    loop {
        match xml.step()? {
            Step::Open(element) if FILES.contains(&element.name.as_str()) => push(files, file(xml, path, &element)?)?,
            Step::Open(element) if element.name == STATUS => status(xml, &join(path, STATUS), files)?,
            Step::Open(element) => return Err(unexpected(xml, path, &element.name)),
            Step::Text(text) if text.trim().is_empty() => {}
            Step::Text(_) => return Err(BundleFault::StrayText { path: shown(path) }),
            Step::Close | Step::End => return Ok(()),
        }
    }
}

/// Appends a file, up to the limit of a deposit.
pub fn push(files: &mut Vec<DepositedFile>, file: DepositedFile) -> Result<(), BundleFault> {
    if files.len() == Deposit::FILE_LIMIT {
        return Err(BundleFault::TooManyFiles);
    }
    files.push(file);
    Ok(())
}

fn file(xml: &mut Xml<'_>, path: &str, element: &Element) -> Result<DepositedFile, BundleFault> {
    let path = join(path, &element.name);
    let name = element.attribute("name").or(element.attribute("href"));
    let name = name.ok_or_else(|| BundleFault::NoName { path: shown(&path) })?.to_owned();
    let encoding = element.attribute("encoding");
    let content = match encoding {
        Some("xml") => FileContent::Embedded(xml.inner()?.trim().as_bytes().to_vec()),
        Some("base64") => FileContent::Embedded(decode(&text(xml, &path)?, &name)?),
        Some("text") => FileContent::Embedded(text(xml, &path)?.into_bytes()),
        Some(other) => return Err(BundleFault::Encoded { name: shown(&name), shown: shown(other) }),
        None => match text(xml, &path)? {
            blank if blank.trim().is_empty() => FileContent::Listed,
            text => FileContent::Embedded(text.into_bytes()),
        },
    };
    Ok(DepositedFile { name, media_type: element.attribute("media-type").map(str::to_owned), content })
}

/// Base64 as XML writers lay it out: with line breaks and indentation.
fn decode(text: &str, name: &str) -> Result<Vec<u8>, BundleFault> {
    let dense: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(dense).map_err(|_| BundleFault::Base64 { name: shown(name) })
}

/// `<status><part name="x" made="no">reason</part></status>`.
fn status(xml: &mut Xml<'_>, path: &str, files: &mut Vec<DepositedFile>) -> Result<(), BundleFault> {
    loop {
        match xml.step()? {
            Step::Open(element) if element.name == "part" => {
                let path = join(path, "part");
                let name = element.attribute("name").ok_or_else(|| BundleFault::NoName { path: shown(&path) })?;
                let reason = text(xml, &path)?;
                match element.attribute("made") {
                    Some("yes") => {}
                    Some("no") => {
                        let reason = match reason.trim() {
                            "" => "the device gives no reason".to_owned(),
                            given => shortened(given, REASON_LIMIT),
                        };
                        let content = FileContent::Failed { reason };
                        push(files, DepositedFile { name: name.to_owned(), media_type: None, content })?;
                    }
                    _ => return Err(BundleFault::Made { name: shown(name) }),
                }
            }
            Step::Open(element) => return Err(unexpected(xml, path, &element.name)),
            Step::Text(text) if text.trim().is_empty() => {}
            Step::Text(_) => return Err(BundleFault::StrayText { path: shown(path) }),
            Step::Close | Step::End => return Ok(()),
        }
    }
}

/// The text of an element that has no elements in it. As long as the file that it stands in.
fn text(xml: &mut Xml<'_>, path: &str) -> Result<String, BundleFault> {
    let mut content = String::new();
    loop {
        match xml.step()? {
            Step::Text(text) => content.push_str(&text),
            Step::Open(element) => return Err(unexpected(xml, path, &element.name)),
            Step::Close | Step::End => return Ok(content),
        }
    }
}

fn unexpected(xml: &Xml<'_>, path: &str, name: &str) -> BundleFault {
    BundleFault::Unexpected { path: shown(&join(path, name)), place: xml.place() }
}
