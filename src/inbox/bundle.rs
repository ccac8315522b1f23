//! Bundles: XML incidents with a manifest, trend data, attachments and logs (A-04 to A-11).
//!
//! The element names of a Juniper Message Bundle are not public. The reader goes by a configurable map from paths to
//! fields ([`Bundle::paths`]); the names below are the defaults, made up by us:
//!
//! ```xml
//! <juniper-message-bundle>
//!   <manifest>                                        mandatory, once
//!     <host-event-id>..</host-event-id>               mandatory: the natural key
//!     <bundle-type>event</bundle-type>                a word of [bundle.kinds]; an event without it
//!     <problem-synopsis>..</problem-synopsis>         mandatory, one line
//!     <problem-class>, <service-type>, <time-occurred>, <event-type-group>, <event-type>, <problem-description>,
//!     <priority>, <severity>, <device-name>, <chassis-serial>
//!     <router><model>MX480</model></router>           anything else is kept as "router/model" = "MX480",
//!     <routing-engine slot="0"/>                      an attribute as "routing-engine/@slot" = "0"
//!   </manifest>
//!   <trend-data>..</trend-data>                       kept as it stands, as the file "trend-data.xml"
//!   <attachments>
//!     <status>
//!       <part name="show chassis" made="no">why not</part>
//!     </status>
//!     <attachment name="show version" media-type="text/plain">Junos: ..</attachment>
//!     <attachment name="core.gz" encoding="base64">H4sIA..</attachment>
//!     <attachment name="configuration" encoding="xml"><configuration/></attachment>
//!     <attachment name="later.txt"/>                  only listed: fetched from beside the bundle
//!   </attachments>
//!   <logs>
//!     <archive name="logs.tgz" encoding="base64">..</archive>
//!     <file href="messages.0.gz"/>                    only listed; without a name the href is the name
//!   </logs>
//! </juniper-message-bundle>
//! ```
//!
//! Prefixes are ignored, blanks around a field are dropped, a repeated unknown element is kept as `path[2]`. Everything
//! that this shape has no place for is refused, outside the manifest by its path.

mod fields;
mod parts;
mod xml;

pub use xml::{Place, XmlFault, XmlProblem};

use crate::case::{Deposit, DepositedFile, EventFault, FileContent, FormFault};
use crate::config::settings::Bundle;

use super::encoding::{EncodingFault, utf8};
use super::shown::shown;
use super::time;
use fields::{Found, Map, Section};
use xml::{Element, Step, TEXT_LIMIT, Xml};

/// The name under which trend data is kept.
pub const TREND_DATA: &str = "trend-data.xml";

/// Why a bundle cannot be read. What it repeats of the bundle is short and harmless. Names that nobody here knows stand
/// between quotation marks, and the log leaves out what does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleFault {
    #[error(transparent)]
    Encoding(#[from] EncodingFault),
    #[error(transparent)]
    Xml(#[from] XmlFault),
    #[error("the root element at {place} is \"{shown}\"; bundles begin with {known}")]
    Root { shown: String, known: String, place: Place },
    #[error("the section {path} is missing, which every bundle must have")]
    NoManifest { path: String },
    #[error("the element \"{path}\" at {place} has no place in a bundle")]
    Unexpected { path: String, place: Place },
    #[error("there is text directly in {path}, where only elements belong")]
    StrayText { path: String },
    #[error("{path} is given twice")]
    Repeated { path: String },
    #[error("{path} is missing or empty")]
    Missing { path: String },
    #[error("the kind \"{shown}\" is unknown; known are {known}")]
    Kind { shown: String, known: String },
    #[error("{path} is \"{shown}\", but {fault}")]
    Priority { path: String, shown: String, fault: FormFault },
    #[error("{path} is \"{shown}\", which is not a time that can be read; write {}", time::ACCEPTED)]
    Time { path: String, shown: String },
    #[error("the file in {path} has neither a name nor an href")]
    NoName { path: String },
    #[error("the content of the file \"{name}\" is said to be \"{shown}\"; known are \"text\", \"base64\" and \"xml\"")]
    Encoded { name: String, shown: String },
    #[error("the content of the file \"{name}\" is not valid base64")]
    Base64 { name: String },
    #[error("the status of the part \"{name}\" does not say made=\"yes\" or made=\"no\"")]
    Made { name: String },
    #[error("there are more than {} files", Deposit::FILE_LIMIT)]
    TooManyFiles,
    #[error(transparent)]
    Event(#[from] EventFault),
}

/// Reads one bundle. Texts are checked for structure only; [`Event::check`](crate::case::Event::check) does the rest.
pub fn read_bundle(bytes: &[u8], settings: &Bundle) -> Result<Deposit, BundleFault> {
    let map = Map::new(&settings.paths);
    let mut reader = Reader {
        xml: Xml::new(utf8(bytes)?)?,
        map: &map,
        found: Found::default(),
        files: Vec::new(),
        manifest_seen: false,
    };
    reader.root(settings)?;
    if !reader.manifest_seen {
        return Err(BundleFault::NoManifest { path: settings.paths.manifest.clone() });
    }
    let event = reader.found.into_event(&map, settings)?;
    let hold = event.event_type.as_ref().is_some_and(|event_type| settings.disabled_event_types.contains(event_type));
    Ok(Deposit { event, files: reader.files, hold, ..Deposit::default() })
}

/// A path and the next step of it. The root element's own path is empty.
fn join(path: &str, step: &str) -> String {
    if path.is_empty() { step.to_owned() } else { format!("{path}/{step}") }
}

struct Reader<'a> {
    xml: Xml<'a>,
    map: &'a Map,
    found: Found,
    files: Vec<DepositedFile>,
    manifest_seen: bool,
}

impl Reader<'_> {
    fn root(&mut self, settings: &Bundle) -> Result<(), BundleFault> {
        // `End` cannot come first: a document without a root is a fault.
        let Step::Open(root) = self.xml.step()? else { return Ok(()) };
        if !settings.roots.iter().any(|known| fields::local(known) == root.name) {
            let known: Vec<_> = settings.roots.iter().map(|name| format!("<{name}>")).collect();
            let (shown, known) = (shown(&root.name), known.join(" or "));
            return Err(BundleFault::Root { shown, known, place: self.xml.place() });
        }
        self.attributes("", &root, false)?;
        let (text, _) = self.content("", false)?;
        if !text.is_empty() {
            return Err(BundleFault::StrayText { path: shown(&root.name) });
        }
        // Whatever follows the root is a fault, and only this step sees it.
        self.xml.step()?;
        Ok(())
    }

    /// The rest of the element at `path`: its text without the blanks around it, and whether it has elements.
    fn content(&mut self, path: &str, in_manifest: bool) -> Result<(String, bool), BundleFault> {
        let mut content = String::new();
        let mut has_elements = false;
        loop {
            match self.xml.step()? {
                Step::Open(element) => {
                    has_elements = true;
                    self.element(path, &element, in_manifest)?;
                }
                Step::Text(text) if content.len() + text.len() > TEXT_LIMIT => {
                    return Err(self.xml.fault(XmlProblem::TextTooLong).into());
                }
                Step::Text(text) => content.push_str(&text),
                Step::Close | Step::End => return Ok((content.trim().to_owned(), has_elements)),
            }
        }
    }

    /// Calls itself through `content`; the depth limit of the document bounds it.
    fn element(&mut self, parent: &str, element: &Element, in_manifest: bool) -> Result<(), BundleFault> {
        let path = join(parent, &element.name);
        let section = self.map.section(&path);
        match section {
            Some(Section::Attachments | Section::Logs) => return parts::read(&mut self.xml, &path, &mut self.files),
            Some(Section::TrendData) => return self.trend_data(),
            Some(Section::Manifest) if std::mem::replace(&mut self.manifest_seen, true) => {
                return Err(BundleFault::Repeated { path });
            }
            Some(Section::Manifest) | None => {}
        }
        let is_manifest = section.is_some();
        let in_manifest = in_manifest || is_manifest;
        let is_field = self.map.field(&path).is_some();
        if !in_manifest && !is_field && !self.map.leads_somewhere(&path) {
            return Err(BundleFault::Unexpected { path: shown(&path), place: self.xml.place() });
        }
        self.attributes(&path, element, in_manifest)?;
        let (text, has_elements) = self.content(&path, in_manifest)?;
        let is_value = is_field || (in_manifest && !is_manifest);
        if is_value && (!text.is_empty() || !has_elements) {
            self.found.take(self.map, &path, &text, in_manifest)?;
        } else if !is_value && !text.is_empty() {
            return Err(BundleFault::StrayText { path: shown(&path) });
        }
        Ok(())
    }

    fn attributes(&mut self, path: &str, element: &Element, in_manifest: bool) -> Result<(), BundleFault> {
        for (name, value) in &element.attributes {
            self.found.take(self.map, &join(path, &format!("@{name}")), value.trim(), in_manifest)?;
        }
        Ok(())
    }

    fn trend_data(&mut self) -> Result<(), BundleFault> {
        let inside = self.xml.inner()?.trim();
        if inside.is_empty() {
            return Ok(());
        }
        let file = DepositedFile {
            name: TREND_DATA.to_owned(),
            media_type: Some("application/xml".to_owned()),
            content: FileContent::Embedded(inside.as_bytes().to_vec()),
        };
        parts::push(&mut self.files, file)
    }
}
