//! Which path in a bundle means which field, and what was found there.

use std::collections::BTreeMap;

use super::BundleFault;
use crate::case::{Event, EventFault, Kind};
use crate::config::settings::{Bundle, BundlePaths};
use crate::inbox::shown::shown;
use crate::inbox::time;

/// What [`Event::check`] allows in the rest of a manifest.
const MANIFEST_ENTRIES: usize = 256;
const MANIFEST_BYTES: usize = 65_536;

/// The fields of an event that a path can be configured for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    HostEventId,
    Kind,
    ProblemClass,
    ServiceType,
    OccurredAt,
    EventTypeGroup,
    EventType,
    Synopsis,
    Description,
    Priority,
    Severity,
    Device,
    Serial,
}

/// The sections of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Manifest,
    TrendData,
    Attachments,
    Logs,
}

/// The configured paths, ready to be asked. An attribute is the last step of a path: `manifest/router/@model`. Prefixes
/// in the settings are dropped, as they are in bundles.
pub struct Map {
    fields: [(String, Field); 13],
    sections: [(String, Section); 4],
}

impl Map {
    pub fn new(paths: &BundlePaths) -> Self {
        let plain = |path: &String| path.split('/').map(local).collect::<Vec<_>>().join("/");
        Self {
            fields: [
                (plain(&paths.host_event_id), Field::HostEventId),
                (plain(&paths.kind), Field::Kind),
                (plain(&paths.problem_class), Field::ProblemClass),
                (plain(&paths.service_type), Field::ServiceType),
                (plain(&paths.occurred_at), Field::OccurredAt),
                (plain(&paths.event_type_group), Field::EventTypeGroup),
                (plain(&paths.event_type), Field::EventType),
                (plain(&paths.synopsis), Field::Synopsis),
                (plain(&paths.description), Field::Description),
                (plain(&paths.priority), Field::Priority),
                (plain(&paths.severity), Field::Severity),
                (plain(&paths.device), Field::Device),
                (plain(&paths.serial), Field::Serial),
            ],
            sections: [
                (plain(&paths.manifest), Section::Manifest),
                (plain(&paths.trend_data), Section::TrendData),
                (plain(&paths.attachments), Section::Attachments),
                (plain(&paths.logs), Section::Logs),
            ],
        }
    }

    pub fn field(&self, path: &str) -> Option<Field> {
        self.fields.iter().find(|(known, _)| known == path).map(|(_, field)| *field)
    }

    pub fn section(&self, path: &str) -> Option<Section> {
        self.sections.iter().find(|(known, _)| known == path).map(|(_, section)| *section)
    }

    /// Whether something that is configured stands below `path`.
    pub fn leads_somewhere(&self, path: &str) -> bool {
        let below = |known: &String| known.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        self.fields.iter().any(|(known, _)| below(known)) || self.sections.iter().any(|(known, _)| below(known))
    }

    fn path(&self, wanted: Field) -> String {
        let found = self.fields.iter().find(|(_, field)| *field == wanted);
        found.map(|(path, _)| path.clone()).unwrap_or_default()
    }

    fn section_path(&self, wanted: Section) -> &str {
        self.sections.iter().find(|(_, section)| *section == wanted).map_or("", |(path, _)| path)
    }
}

/// What a bundle said, field by field, and the rest of its manifest.
#[derive(Default)]
pub struct Found {
    fields: BTreeMap<Field, String>,
    rest: BTreeMap<String, String>,
    /// How often a path of the rest was seen; the second is kept as `path[2]`.
    seen: BTreeMap<String, usize>,
    rest_bytes: usize,
}

impl Found {
    /// A value at `path`. Outside the manifest only configured paths are kept.
    pub fn take(&mut self, map: &Map, path: &str, value: &str, in_manifest: bool) -> Result<(), BundleFault> {
        if let Some(field) = map.field(path) {
            // Two different answers to one question: taking either would be a guess.
            if self.fields.insert(field, value.to_owned()).is_some() {
                return Err(BundleFault::Repeated { path: shown(path) });
            }
        } else if in_manifest {
            let name = path.strip_prefix(map.section_path(Section::Manifest)).unwrap_or(path).trim_start_matches('/');
            self.keep(name, value)?;
        }
        Ok(())
    }

    fn keep(&mut self, name: &str, value: &str) -> Result<(), BundleFault> {
        self.rest_bytes += name.len() + value.len();
        // Stops here and not at the end, because long paths over many small elements take far more room than the file.
        if self.rest.len() >= MANIFEST_ENTRIES || self.rest_bytes > MANIFEST_BYTES {
            let fault = EventFault::Manifest { entries: self.rest.len() + 1, bytes: self.rest_bytes };
            return Err(BundleFault::Event(fault));
        }
        let count = self.seen.entry(name.to_owned()).or_default();
        *count += 1;
        let name = if *count == 1 { name.to_owned() } else { format!("{name}[{count}]") };
        self.rest.insert(name, value.to_owned());
        Ok(())
    }

    /// The event that the values make. The mandatory ones must be there.
    pub fn into_event(mut self, map: &Map, settings: &Bundle) -> Result<Event, BundleFault> {
        let mut given = |field| self.fields.remove(&field).filter(|value| !value.is_empty());
        let missing = |field| move || BundleFault::Missing { path: map.path(field) };
        Ok(Event {
            host_event_id: given(Field::HostEventId).ok_or_else(missing(Field::HostEventId))?,
            synopsis: given(Field::Synopsis).ok_or_else(missing(Field::Synopsis))?,
            kind: given(Field::Kind).map_or(Ok(Kind::default()), |word| kind(&word, settings))?,
            priority: given(Field::Priority)
                .map(|text| {
                    text.parse().map_err(|fault| BundleFault::Priority {
                        path: map.path(Field::Priority),
                        shown: shown(&text),
                        fault,
                    })
                })
                .transpose()?,
            occurred_at: given(Field::OccurredAt)
                .map(|text| {
                    let path = || map.path(Field::OccurredAt);
                    time::read(&text).ok_or_else(|| BundleFault::Time { path: path(), shown: shown(&text) })
                })
                .transpose()?,
            description: given(Field::Description).unwrap_or_default(),
            severity: given(Field::Severity),
            problem_class: given(Field::ProblemClass),
            service_type: given(Field::ServiceType),
            event_type: given(Field::EventType),
            event_type_group: given(Field::EventTypeGroup),
            device: given(Field::Device),
            serial: given(Field::Serial),
            manifest: self.rest,
        })
    }
}

/// A step of a path, or the name of a root element, without its prefix.
pub fn local(step: &str) -> String {
    let (at, name) = match step.strip_prefix('@') {
        Some(name) => ("@", name),
        None => ("", step),
    };
    format!("{at}{}", name.rsplit_once(':').map_or(name, |(_, local)| local))
}

fn kind(word: &str, settings: &Bundle) -> Result<Kind, BundleFault> {
    let known = settings.kinds.iter().find(|(known, _)| known == word);
    known.map(|(_, kind)| *kind).ok_or_else(|| {
        let words: Vec<_> = settings.kinds.iter().map(|(known, _)| format!("\"{known}\"")).collect();
        BundleFault::Kind { shown: shown(word), known: words.join(", ") }
    })
}
