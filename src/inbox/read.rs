//! From bytes to a checked deposit, whatever the format.

use super::bundle::{BundleFault, XmlFault, XmlProblem, read_bundle};
use super::encoding::{EncodingFault, utf8};
use super::files;
use super::incident::{IncidentFault, read_incident};
use super::shown::shown;
use crate::case::text::{TextFault, line};
use crate::case::{Deposit, EventFault, FormFault};
use crate::config::settings::Bundle;

/// The longest name of a group, in bytes: as long as one in the settings.
const GROUP_LIMIT: usize = 128;

/// What a deposit is written in. Its content tells, never its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// XML: the first character that is not blank is `<`.
    Bundle,
    /// JSON: the first character that is not blank is `{`.
    Incident,
}

impl Format {
    pub fn of(bytes: &[u8]) -> Result<Self, Fault> {
        match utf8(bytes)?.trim_start().chars().next() {
            Some('<') => Ok(Format::Bundle),
            Some('{') => Ok(Format::Incident),
            Some(_) => Err(Fault::Format),
            None => Err(Fault::Empty),
        }
    }
}

/// Why a deposit is refused: what is wrong and why. [`Fault::remedy`] says what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the file is empty")]
    Empty,
    #[error("the file is neither a bundle (XML, beginning with '<') nor an incident (JSON, beginning with '{{')")]
    Format,
    #[error("the file cannot be read as text: {0}")]
    Encoding(#[from] EncodingFault),
    #[error("the bundle cannot be read: {0}")]
    Bundle(BundleFault),
    #[error("the incident cannot be read: {0}")]
    Incident(IncidentFault),
    #[error("the event is not acceptable: {0}")]
    Event(#[from] EventFault),
    #[error("the form is not acceptable: {0}")]
    Form(#[from] FormFault),
    #[error("the group is not acceptable: it {0}")]
    Group(TextFault),
    #[error("the incident says that it belongs to the group \"{shown}\", but this inbox serves another")]
    ForeignGroup { shown: String },
    #[error("file {number} is not acceptable: its {field} {fault}")]
    File { number: usize, field: &'static str, fault: TextFault },
    #[error("the deposit has {bytes} bytes; at most {limit} are read, since it is held in memory as a whole")]
    TooLarge { bytes: u64, limit: u64 },
    #[error("the file has {bytes} bytes; at most {limit} are taken, by max_attachment_size of its inbox")]
    AttachmentTooLarge { bytes: u64, limit: u64 },
    #[error("the file cannot be opened: permission denied")]
    Unreadable,
    #[error("the incident store does not take it: {0}")]
    Refused(String),
}

impl Fault {
    /// What a person can do, in one sentence.
    pub fn remedy(&self) -> &'static str {
        match self {
            Fault::Empty => "Find out why the sender wrote nothing, and deposit the file again.",
            Fault::Format => "Deposit bundles and incidents only; files that belong to them go into `attachments`.",
            Fault::Encoding(_) | Fault::Incident(IncidentFault::Encoding(_)) => RECODE,
            Fault::Bundle(fault) => bundle_remedy(fault),
            Fault::Incident(_) => "Correct the JSON at the place that is named, and deposit it again.",
            Fault::Event(_) | Fault::Form(_) | Fault::Group(_) | Fault::File { .. } => {
                "Correct the field that is named, and deposit the file again."
            }
            Fault::ForeignGroup { .. } => "Deposit it in the inbox of that group, or leave the group out.",
            Fault::TooLarge { .. } => {
                "Deposit large files beside the incident, in `attachments`, or raise max_size in the settings of this inbox."
            }
            Fault::AttachmentTooLarge { .. } => "Raise max_attachment_size in the settings of this inbox.",
            Fault::Unreadable => "Let the daemon's user read the file, and move it back into the inbox.",
            Fault::Refused(_) => "Correct what the store names, and deposit the file again.",
        }
    }
}

const RECODE: &str =
    "Deposit UTF-8 text only: convert it, or if it is a file that belongs to an incident, put it into `attachments`.";

fn bundle_remedy(fault: &BundleFault) -> &'static str {
    match fault {
        BundleFault::Encoding(_) => RECODE,
        BundleFault::Xml(XmlFault { problem: XmlProblem::Doctype | XmlProblem::Entity(_), .. }) => {
            "Have the sender write XML without a DOCTYPE and without entities of its own, and deposit it again."
        }
        BundleFault::Xml(_) => "Have the bundle made or transferred again, and deposit it again.",
        BundleFault::Root { .. } => "If it is a bundle, add its root element to bundle.roots in the settings.",
        BundleFault::Kind { .. } => "If the kind is meant, add the word to bundle.kinds in the settings.",
        BundleFault::NoManifest { .. } | BundleFault::Missing { .. } => {
            "Complete the bundle, or correct bundle.paths in the settings if the field stands elsewhere."
        }
        BundleFault::Unexpected { .. } | BundleFault::StrayText { .. } => {
            "Remove it, or correct bundle.paths in the settings if it means something."
        }
        _ => "Correct what is named, and deposit the bundle again.",
    }
}

/// Reads and checks one deposit. What comes out can be stored as it is.
pub fn read(bytes: &[u8], settings: &Bundle) -> Result<Deposit, Fault> {
    let mut deposit = match Format::of(bytes)? {
        Format::Bundle => read_bundle(bytes, settings).map_err(Fault::Bundle)?,
        Format::Incident => read_incident(bytes).map_err(Fault::Incident)?,
    };
    deposit.event.check()?;
    deposit.form.check()?;
    if let Some(group) = &deposit.group {
        line(group, GROUP_LIMIT).map_err(Fault::Group)?;
    }
    deposit.files =
        files::in_order(deposit.files).map_err(|(number, field, fault)| Fault::File { number, field, fault })?;
    // A switched-off event type is stored, never submitted, however it came.
    let event_type = deposit.event.event_type.as_ref();
    deposit.hold |= event_type.is_some_and(|event_type| settings.disabled_event_types.contains(event_type));
    Ok(deposit)
}

/// Gives the deposit the group of the inbox that it lies in. An inbox belongs to one group, so a deposit that
/// names another is refused: whoever may write here speaks for this group only.
pub(super) fn into_group(mut deposit: Deposit, group: Option<&str>) -> Result<Deposit, Fault> {
    let Some(group) = group else { return Ok(deposit) };
    match &deposit.group {
        Some(other) if other != group => Err(Fault::ForeignGroup { shown: shown(other) }),
        _ => {
            deposit.group = Some(group.to_owned());
            Ok(deposit)
        }
    }
}
