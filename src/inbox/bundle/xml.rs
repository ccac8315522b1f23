//! XML with limits: a document in steps, where everything that could explode, hide or lie is refused.

use std::borrow::Cow;
use std::fmt;

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::errors::{Error, IllFormedError};
use quick_xml::escape::{EscapeError, resolve_xml_entity};
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::inbox::shown::{shortened, shown};

/// How deep elements may stand in each other, the root counted.
pub const DEPTH_LIMIT: usize = 32;
/// How many elements a document may have.
pub const ELEMENT_LIMIT: usize = 100_000;
/// How many attributes an element may have.
pub const ATTRIBUTE_LIMIT: usize = 64;
/// The longest name of an element or attribute, in bytes.
pub const NAME_LIMIT: usize = 128;
/// The longest text of one element outside attachments, in bytes: as long as a description may be (C-30).
pub const TEXT_LIMIT: usize = 262_144;

/// What is wrong with a document, and in which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct XmlFault {
    /// Counted from 1.
    pub line: usize,
    pub problem: XmlProblem,
}

/// A place in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlProblem {
    #[error("the XML is malformed: {0}")]
    Malformed(String),
    #[error("the document ends inside an element; it was probably cut off")]
    Truncated,
    #[error("there is no element in the document")]
    NoRoot,
    #[error("something follows or precedes the root element")]
    OutsideRoot,
    #[error("a DOCTYPE is not allowed, because it can declare entities")]
    Doctype,
    #[error("the entity '{0}' is not one of the five that XML predefines")]
    Entity(String),
    #[error("the character U+{0:04X} is not allowed in XML 1.0")]
    Character(u32),
    #[error("elements stand more than {DEPTH_LIMIT} deep in each other")]
    TooDeep,
    #[error("there are more than {ELEMENT_LIMIT} elements")]
    TooManyElements,
    #[error("an element has more than {ATTRIBUTE_LIMIT} attributes")]
    TooManyAttributes,
    #[error("the text of an element is longer than {TEXT_LIMIT} bytes")]
    TextTooLong,
    #[error("a name is longer than {NAME_LIMIT} bytes or has characters that a name cannot have")]
    Name,
}

/// A start tag. Names are local names: prefixes are dropped, and so are namespace declarations.
#[derive(Debug)]
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
}

impl Element {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What comes next in a document.
#[derive(Debug)]
pub enum Step<'a> {
    Open(Element),
    Text(Cow<'a, str>),
    Close,
    /// The document is over, and was complete.
    End,
}

/// A document that is read step by step.
pub struct Xml<'a> {
    source: &'a str,
    reader: Reader<&'a [u8]>,
    depth: usize,
    elements: usize,
    /// Where the last step began, in bytes.
    mark: usize,
    /// The last step opened an element that is empty, as in `<a/>`.
    closes: bool,
}

impl<'a> Xml<'a> {
    pub fn new(source: &'a str) -> Result<Self, XmlFault> {
        let mut reader = Reader::from_str(source);
        reader.config_mut().check_comments = true;
        let mut xml = Self { source, reader, depth: 0, elements: 0, mark: 0, closes: false };
        if let Some((at, c)) = source.char_indices().find(|(_, c)| !is_allowed(*c)) {
            xml.mark = at;
            return Err(xml.fault(XmlProblem::Character(c.into())));
        }
        Ok(xml)
    }

    pub fn step(&mut self) -> Result<Step<'a>, XmlFault> {
        // Ends: each turn takes at least one byte of the source, or returns.
        loop {
            self.mark = self.position();
            if std::mem::take(&mut self.closes) {
                self.depth = self.depth.saturating_sub(1);
                return Ok(Step::Close);
            }
            let event = self.reader.read_event().map_err(|error| self.fault(problem(error)))?;
            match event {
                Event::Start(tag) => return self.open(&tag),
                Event::Empty(tag) => {
                    self.closes = true;
                    return self.open(&tag);
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Step::Close);
                }
                Event::Text(text) if self.depth > 0 => return Ok(Step::Text(text.xml10_content())),
                Event::Text(text) if text.xml10_content().trim().is_empty() => {}
                Event::CData(text) if self.depth > 0 => return Ok(Step::Text(text.xml10_content())),
                Event::GeneralRef(name) if self.depth > 0 => return self.reference(&name),
                Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => {
                    return Err(self.fault(XmlProblem::OutsideRoot));
                }
                Event::DocType(_) => return Err(self.fault(XmlProblem::Doctype)),
                Event::Decl(_) if self.mark > 0 => {
                    return Err(self.fault(XmlProblem::Malformed("the XML declaration is not at the beginning".into())));
                }
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof if self.depth > 0 => return Err(self.fault(XmlProblem::Truncated)),
                Event::Eof if self.elements == 0 => return Err(self.fault(XmlProblem::NoRoot)),
                Event::Eof => return Ok(Step::End),
            }
        }
    }

    /// The source of everything inside the element that was just opened, up to and including its end tag. The limits
    /// hold in there as well.
    pub fn inner(&mut self) -> Result<&'a str, XmlFault> {
        let start = self.position();
        let outside = self.depth.saturating_sub(1);
        loop {
            match self.step()? {
                Step::Close if self.depth == outside => break,
                Step::End => break,
                Step::Open(_) | Step::Text(_) | Step::Close => {}
            }
        }
        Ok(self.source.get(start..self.mark).unwrap_or_default())
    }

    /// Names the line of the last step.
    pub fn fault(&self, problem: XmlProblem) -> XmlFault {
        XmlFault { line: self.place().line, problem }
    }

    /// Where the last step began.
    pub fn place(&self) -> Place {
        let before = self.source.get(..self.mark).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        Place { line: 1 + before.matches('\n').count(), column: 1 + line.chars().count() }
    }

    fn position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }

    fn open(&mut self, tag: &BytesStart<'a>) -> Result<Step<'a>, XmlFault> {
        if self.depth == 0 && self.elements > 0 {
            return Err(self.fault(XmlProblem::OutsideRoot));
        }
        self.depth += 1;
        self.elements += 1;
        if self.depth > DEPTH_LIMIT {
            return Err(self.fault(XmlProblem::TooDeep));
        }
        if self.elements > ELEMENT_LIMIT {
            return Err(self.fault(XmlProblem::TooManyElements));
        }
        let name = self.name(tag.local_name().as_ref())?;
        let mut attributes = Vec::new();
        for attribute in tag.attributes() {
            let malformed = |error: String| XmlProblem::Malformed(error);
            let attribute = attribute.map_err(|error| self.fault(malformed(error.to_string())))?;
            if attributes.len() == ATTRIBUTE_LIMIT {
                return Err(self.fault(XmlProblem::TooManyAttributes));
            }
            let value =
                attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| self.fault(problem(error)))?;
            if let Some(c) = value.chars().find(|c| !is_allowed(*c)) {
                return Err(self.fault(XmlProblem::Character(c.into())));
            }
            if attribute.key.as_namespace_binding().is_none() {
                attributes.push((self.name(attribute.key.local_name().as_ref())?, value.into_owned()));
            }
        }
        Ok(Step::Open(Element { name, attributes }))
    }

    fn name(&self, name: &str) -> Result<String, XmlFault> {
        let begins = |c: char| c.is_alphabetic() || c == '_';
        let fits = name.len() <= NAME_LIMIT
            && name.starts_with(begins)
            && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if fits { Ok(name.to_owned()) } else { Err(self.fault(XmlProblem::Name)) }
    }

    fn reference(&self, reference: &BytesRef<'a>) -> Result<Step<'a>, XmlFault> {
        if let Some(c) = reference.resolve_char_ref().map_err(|error| self.fault(problem(error)))? {
            if !is_allowed(c) {
                return Err(self.fault(XmlProblem::Character(c.into())));
            }
            return Ok(Step::Text(Cow::Owned(c.into())));
        }
        let name: &str = reference;
        match resolve_xml_entity(name) {
            Some(text) => Ok(Step::Text(Cow::Borrowed(text))),
            None => Err(self.fault(XmlProblem::Entity(shown(name)))),
        }
    }
}

/// The characters that XML 1.0 knows (section 2.2).
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{FFFD}' | '\u{10000}'..)
}

/// The reader's errors without what they repeat of the document.
fn problem(error: Error) -> XmlProblem {
    let malformed = |text: &str| XmlProblem::Malformed(text.to_owned());
    match error {
        Error::Syntax(error) => XmlProblem::Malformed(error.to_string()),
        Error::IllFormed(IllFormedError::MismatchedEndTag { expected, found }) => {
            let (expected, found) = (shortened(&expected, 40), shortened(&found, 40));
            XmlProblem::Malformed(format!("the end tag \"{found}\" stands where \"{expected}\" is expected"))
        }
        Error::IllFormed(IllFormedError::UnmatchedEndTag(_)) => malformed("an end tag has no start tag"),
        Error::IllFormed(IllFormedError::UnclosedReference) => malformed("'&' begins a reference that has no ';'"),
        Error::IllFormed(IllFormedError::DoubleHyphenInComment) => malformed("a comment holds '--'"),
        Error::IllFormed(_) => malformed("it is not well-formed"),
        Error::InvalidAttr(error) => XmlProblem::Malformed(error.to_string()),
        Error::Escape(EscapeError::UnrecognizedEntity(_, name)) => XmlProblem::Entity(shown(&name)),
        Error::Escape(_) => malformed("a character reference cannot be read"),
        Error::Io(_) | Error::Encoding(_) | Error::Namespace(_) => malformed("it cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(source: &str) -> Result<usize, XmlProblem> {
        let mut xml = Xml::new(source).map_err(|fault| fault.problem)?;
        let mut steps = 0;
        while !matches!(xml.step().map_err(|fault| fault.problem)?, Step::End) {
            steps += 1;
        }
        Ok(steps)
    }

    #[test]
    fn limits_hold() {
        let nested = |depth: usize| "<a>".repeat(depth) + &"</a>".repeat(depth);
        assert!(walk(&nested(DEPTH_LIMIT)).is_ok());
        assert_eq!(walk(&nested(DEPTH_LIMIT + 1)), Err(XmlProblem::TooDeep));
        let wide = |count: usize| format!("<r>{}</r>", "<a/>".repeat(count));
        assert!(walk(&wide(ELEMENT_LIMIT - 1)).is_ok());
        assert_eq!(walk(&wide(ELEMENT_LIMIT)), Err(XmlProblem::TooManyElements));
        let attributes = |count: usize| {
            let list: String = (0..count).map(|n| format!(" a{n}=''")).collect();
            format!("<r{list}/>")
        };
        assert!(walk(&attributes(ATTRIBUTE_LIMIT)).is_ok());
        assert_eq!(walk(&attributes(ATTRIBUTE_LIMIT + 1)), Err(XmlProblem::TooManyAttributes));
        assert_eq!(walk(&format!("<{}/>", "n".repeat(NAME_LIMIT + 1))), Err(XmlProblem::Name));
    }

    #[test]
    fn only_predefined_entities_and_character_references_are_resolved() {
        assert!(walk("<a b='&lt;&#x41;'>&amp;&gt;&quot;&apos;&#65;</a>").is_ok());
        assert_eq!(walk("<a>&bomb;</a>"), Err(XmlProblem::Entity("bomb".into())));
        assert_eq!(walk("<a b='&bomb;'/>"), Err(XmlProblem::Entity("bomb".into())));
        assert_eq!(walk("<!DOCTYPE a><a/>"), Err(XmlProblem::Doctype));
        for character in ["<a>&#27;</a>", "<a b='&#27;'/>", "<a>\u{1b}</a>"] {
            assert_eq!(walk(character), Err(XmlProblem::Character(27)), "{character}");
        }
    }

    #[test]
    fn a_document_is_one_root_and_nothing_else() {
        assert_eq!(walk(""), Err(XmlProblem::NoRoot));
        assert_eq!(walk("<a><b></b>"), Err(XmlProblem::Truncated));
        for outside in ["<a/><b/>", "<a/>text", "text<a/>", "<a/>&amp;", "<a/><![CDATA[x]]>"] {
            assert_eq!(walk(outside), Err(XmlProblem::OutsideRoot), "{outside}");
        }
        assert!(matches!(walk("<a></b>"), Err(XmlProblem::Malformed(_))));
        assert!(matches!(walk(" <?xml version='1.0'?><a/>"), Err(XmlProblem::Malformed(_))));
    }

    #[test]
    fn the_inside_of_an_element_is_returned_as_it_stands() {
        let mut xml = Xml::new("<r><t><x a='1'/>&lt;<!-- c --></t><t/><e/></r>").unwrap();
        let mut found = Vec::new();
        loop {
            match xml.step().unwrap() {
                Step::Open(element) if element.name == "t" => found.push(xml.inner().unwrap()),
                Step::End => break,
                _ => {}
            }
        }
        assert_eq!(found, ["<x a='1'/>&lt;<!-- c -->", ""]);
    }

    #[test]
    fn a_fault_names_its_line() {
        let mut xml = Xml::new("<a>\n\n<b></c></a>").unwrap();
        let fault = loop {
            if let Err(fault) = xml.step() {
                break fault;
            }
        };
        assert_eq!(fault.line, 3);
    }
}
