//! Which fields go to a peer and come from it, and in whose words (C-29, C-42). A map stands at the door: it turns what
//! travels into the peer's words and what arrives into ours, and a value without a word passes in neither direction.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::apply::Edit;
use super::form::{FollowUp, Priority};
use super::incident::Work;
use super::kind::Kind;
use super::ownership::Field;
use super::phase::CompletionCode;
use super::shadow::{Mark, Shadow};
use super::text::shown;

/// Which way a field travels, seen from the site whose settings say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// With the Create, and never again.
    Once,
    Both,
    Out,
    In,
    Never,
}

impl Direction {
    pub const ALL: [Direction; 5] = [Direction::Once, Direction::Both, Direction::Out, Direction::In, Direction::Never];

    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Once => "once",
            Direction::Both => "both",
            Direction::Out => "out",
            Direction::In => "in",
            Direction::Never => "never",
        }
    }

    fn sends(self) -> bool {
        matches!(self, Direction::Once | Direction::Both | Direction::Out)
    }

    fn takes(self) -> bool {
        matches!(self, Direction::Once | Direction::Both | Direction::In)
    }
}

/// The directions that a field may have; the first is its default. Neither side could do without the mandatory ones.
const MANDATORY: &[Direction] = &[Direction::Once];
const EVENT: &[Direction] = &[Direction::Once, Direction::Never];
const SHARED: &[Direction] = &[Direction::Both, Direction::Out, Direction::In, Direction::Never];
/// Goes with the case ID, which goes always.
const CASE: &[Direction] = &[Direction::Both];

/// Which values of a field can have other words at the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// None: the values are texts, times or lists.
    Never,
    /// Whatever the site writes.
    Free,
    /// These, and no others.
    These(&'static [&'static str]),
}

macro_rules! fields {
    ($($name:ident = $text:literal, $places:expr, $words:expr, $directions:expr;)+) => {
        /// A field that an operation carries.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum FieldName { $($name),+ }

        impl FieldName {
            pub const ALL: &'static [FieldName] = &[$(FieldName::$name),+];

            pub fn as_str(self) -> &'static str {
                match self { $(FieldName::$name => $text),+ }
            }

            /// Where it stands in an operation's content, as JSON pointers.
            fn places(self) -> &'static [&'static str] {
                match self { $(FieldName::$name => &$places),+ }
            }

            pub fn words(self) -> Words {
                match self { $(FieldName::$name => $words),+ }
            }

            pub fn directions(self) -> &'static [Direction] {
                match self { $(FieldName::$name => $directions),+ }
            }
        }
    };
}

fields! {
    HostEventId = "host_event_id", ["/event/host_event_id"], Words::Never, MANDATORY;
    Synopsis = "synopsis", ["/event/synopsis"], Words::Never, MANDATORY;
    Kind = "kind", ["/event/kind"], Words::These(KINDS), EVENT;
    Description = "description", ["/event/description"], Words::Never, EVENT;
    Priority = "priority", ["/event/priority", "/form/priority"], Words::These(PRIORITIES), EVENT;
    Severity = "severity", ["/event/severity"], Words::Free, EVENT;
    ProblemClass = "problem_class", ["/event/problem_class"], Words::Free, EVENT;
    ServiceType = "service_type", ["/event/service_type"], Words::Free, EVENT;
    EventType = "event_type", ["/event/event_type"], Words::Free, EVENT;
    EventTypeGroup = "event_type_group", ["/event/event_type_group"], Words::Free, EVENT;
    OccurredAt = "occurred_at", ["/event/occurred_at"], Words::Never, EVENT;
    Device = "device", ["/event/device"], Words::Free, EVENT;
    Serial = "serial", ["/event/serial"], Words::Free, EVENT;
    Manifest = "manifest", ["/event/manifest"], Words::Never, EVENT;
    FollowUp = "follow_up", ["/form/follow_up"], Words::These(FOLLOW_UPS), EVENT;
    Cc = "cc", ["/form/cc"], Words::Never, EVENT;
    TrackingNumber = "tracking_number", ["/form/tracking_number"], Words::Never, EVENT;
    SiteId = "site_id", ["/form/site_id"], Words::Free, EVENT;
    FormComment = "form_comment", ["/form/comment"], Words::Never, EVENT;
    CaseStatus = "case_status", ["/case/status"], Words::Free, CASE;
    Solution = "solution", ["/solution"], Words::Never, SHARED;
    CompletionCode = "completion_code", ["/completion_code"], Words::These(CODES), SHARED;
    ExpectedResolution = "expected_resolution", ["/expected_resolution"], Words::Never, SHARED;
    Comments = "comments", ["/comments"], Words::Never, SHARED;
}

const PRIORITIES: &[&str] =
    &[Priority::Critical.as_str(), Priority::High.as_str(), Priority::Medium.as_str(), Priority::Low.as_str()];
const FOLLOW_UPS: &[&str] = &[FollowUp::FullText.as_str(), FollowUp::WebLink.as_str(), FollowUp::Phone.as_str()];
const CODES: &[&str] = &[
    CompletionCode::Fulfilled.as_str(),
    CompletionCode::WithdrawnByUser.as_str(),
    CompletionCode::RequestRejected.as_str(),
    CompletionCode::AbandonedByUser.as_str(),
];
/// Those that can become a case.
const KINDS: &[&str] = &[
    Kind::Event.as_str(),
    Kind::EventRma.as_str(),
    Kind::EventLowEnd.as_str(),
    Kind::OnDemand.as_str(),
    Kind::OnDemandRma.as_str(),
    Kind::HealthCheck.as_str(),
    Kind::BiosCheck.as_str(),
    Kind::OffBox.as_str(),
];

impl FieldName {
    /// The one of the fields that both sides keep the same and that somebody owns.
    pub fn owned(self) -> Option<Field> {
        match self {
            FieldName::Solution => Some(Field::Solution),
            FieldName::CompletionCode => Some(Field::CompletionCode),
            FieldName::ExpectedResolution => Some(Field::ExpectedResolution),
            _ => None,
        }
    }

    /// Whether a value of it can mean no value at all at the other side: the receiver can do without one (C-29).
    pub fn can_be_none(self) -> bool {
        self.words() != Words::Never && !matches!(self, FieldName::Kind | FieldName::CaseStatus)
    }
}

/// Our words for the values of a field, and the peer's: one to one, so that what goes out and comes back is what it was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Values {
    out: BTreeMap<String, String>,
    back: BTreeMap<String, String>,
    /// Words of ours, and of the peer's, that are no value at the other side.
    none_out: BTreeSet<String>,
    none_in: BTreeSet<String>,
    keep: bool,
}

/// What a value is at the other side of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Is(String),
    /// No value, because the map says so.
    None,
    /// Nobody said.
    Missing,
}

impl Values {
    /// With `keep`, a value that stands on neither side of the map travels as it is.
    pub fn new(keep: bool) -> Self {
        Self { keep, ..Self::default() }
    }

    /// The word of ours that has this word of the peer's already, if there is one: then nothing is added.
    pub fn add(&mut self, ours: &str, theirs: &str) -> Result<(), String> {
        if let Some(first) = self.back.get(theirs) {
            return Err(first.clone());
        }
        self.out.insert(ours.to_owned(), theirs.to_owned());
        self.back.insert(theirs.to_owned(), ours.to_owned());
        Ok(())
    }

    /// A word of ours that is told as no value. False when it has a word of the peer's.
    pub fn add_none_out(&mut self, ours: &str) -> bool {
        !self.out.contains_key(ours) && self.none_out.insert(ours.to_owned())
    }

    /// A word of the peer's that is no value here. False when it has a word of ours.
    pub fn add_none_in(&mut self, theirs: &str) -> bool {
        !self.back.contains_key(theirs) && self.none_in.insert(theirs.to_owned())
    }

    pub fn has(&self, ours: &str) -> bool {
        self.keep || self.out.contains_key(ours) || self.none_out.contains(ours)
    }

    fn word(&self, value: &str, way: Way) -> Word {
        let (there, back, none) = match way {
            Way::Out => (&self.out, &self.back, &self.none_out),
            Way::In => (&self.back, &self.out, &self.none_in),
        };
        match there.get(value) {
            Some(word) => Word::Is(word.clone()),
            None if none.contains(value) => Word::None,
            // Kept, a word of the other side's would come back as another one.
            None if self.keep && !back.contains_key(value) => Word::Is(value.to_owned()),
            None => Word::Missing,
        }
    }
}

/// What the settings say about one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub direction: Direction,
    pub values: Option<Values>,
}

/// What one side of the configuration says about the fields of one peer. A field that it does not name travels as ever.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldMap(BTreeMap<FieldName, Rule>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Out,
    In,
}

const OURS: &str = "has no word of the peer's in the field map";
const THEIRS: &str = "is no word of the sender's in the receiver's field map";

/// A value that has no word on the other side of the map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: \"{}\" {}", field.as_str(), shown(value, 80), if *is_theirs { THEIRS } else { OURS })]
pub struct Unmapped {
    field: FieldName,
    value: String,
    is_theirs: bool,
}

impl FieldMap {
    /// The map that changes nothing.
    pub fn plain() -> &'static FieldMap {
        static PLAIN: FieldMap = FieldMap(BTreeMap::new());
        &PLAIN
    }

    pub fn new(rules: BTreeMap<FieldName, Rule>) -> Self {
        Self(rules)
    }

    pub fn rules(&self) -> impl Iterator<Item = (FieldName, &Rule)> {
        self.0.iter().map(|(field, rule)| (*field, rule))
    }

    pub fn is_plain(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the field goes to the peer.
    pub fn sends(&self, field: FieldName) -> bool {
        self.0.get(&field).is_none_or(|rule| rule.direction.sends())
    }

    /// Whether the field is taken from the peer.
    pub fn takes(&self, field: FieldName) -> bool {
        self.0.get(&field).is_none_or(|rule| rule.direction.takes())
    }

    /// The peer's word for a value of ours.
    pub fn word(&self, field: FieldName, value: &str) -> Option<String> {
        match self.outward(field, value) {
            Word::Is(word) => Some(word),
            Word::None | Word::Missing => None,
        }
    }

    /// Whether the peer is told no value where the record has this one.
    pub fn is_none_there(&self, field: FieldName, value: &str) -> bool {
        self.outward(field, value) == Word::None
    }

    fn outward(&self, field: FieldName, value: &str) -> Word {
        match self.0.get(&field).and_then(|rule| rule.values.as_ref()) {
            Some(values) => values.word(value, Way::Out),
            None => Word::Is(value.to_owned()),
        }
    }

    /// Makes of an operation's content what goes to the peer.
    pub fn translate_out(&self, content: &mut Value) -> Result<(), Unmapped> {
        let (_, unmapped) = self.translate(content, Way::Out);
        unmapped.into_iter().next().map_or(Ok(()), Err)
    }

    /// Makes of the content of an operation of the peer's what it means here. Hands back the fields that are left alone.
    pub fn translate_in(&self, content: &mut Value) -> Result<Vec<FieldName>, Unmapped> {
        let (left, unmapped) = self.translate(content, Way::In);
        unmapped.into_iter().next().map_or(Ok(left), Err)
    }

    /// As [`FieldMap::translate_out`] for a whole record: what has no word is left out.
    pub fn tell(&self, record: &mut Value) {
        self.translate(record, Way::Out);
    }

    /// As [`FieldMap::translate_in`] for a whole record: what has no word is left out, and named.
    pub fn hear(&self, record: &mut Value) -> Vec<Unmapped> {
        self.translate(record, Way::In).1
    }

    fn translate(&self, content: &mut Value, way: Way) -> (Vec<FieldName>, Vec<Unmapped>) {
        let (mut left, mut unmapped) = (Vec::new(), Vec::new());
        for (field, rule) in &self.0 {
            let passes = match way {
                Way::Out => rule.direction.sends(),
                Way::In => rule.direction.takes(),
            };
            for place in field.places() {
                let Some(value) = content.pointer_mut(place) else { continue };
                if !passes {
                    remove(content, place);
                    if left.last() != Some(field) {
                        left.push(*field);
                    }
                } else if let (Some(values), Some(text)) = (&rule.values, value.as_str()) {
                    match values.word(text, way) {
                        Word::Is(word) => *value = Value::String(word),
                        // Said of what both sites keep the same, and left out of what only the Create tells.
                        Word::None if field.owned().is_some() => *value = Value::Null,
                        Word::None => remove(content, place),
                        Word::Missing => {
                            let value = text.to_owned();
                            unmapped.push(Unmapped { field: *field, value, is_theirs: way == Way::In });
                            // A case is not told without its status.
                            remove(content, if *field == FieldName::CaseStatus { "/case" } else { place });
                        }
                    }
                }
            }
        }
        (left, unmapped)
    }

    /// What of an edit is taken here, also where a rule made it (C-15, C-16, C-19).
    pub fn taken(&self, mut edit: Edit) -> Edit {
        if !self.takes(FieldName::Solution) {
            edit.solution = None;
        }
        if !self.takes(FieldName::CompletionCode) {
            edit.completion_code = None;
        }
        if !self.takes(FieldName::ExpectedResolution) {
            edit.expected_resolution = None;
        }
        edit
    }

    /// The shadow as a compare with what arrives needs it: a field that is not sent holds no change of ours that the peer
    /// could still hear of.
    pub fn level(&self, mut shadow: Shadow, work: &Work) -> Shadow {
        if !self.sends(FieldName::Solution) {
            shadow.solution = work.solution.as_deref().map(Mark::of);
        }
        if !self.sends(FieldName::CompletionCode) {
            shadow.completion_code = work.completion_code;
        }
        if !self.sends(FieldName::ExpectedResolution) {
            shadow.expected_resolution = work.expected_resolution;
        }
        shadow
    }

    /// The shadow of a record that was read whole: what has no word was left out there.
    pub fn wordless(&self, mut shadow: Shadow) -> Shadow {
        let has = |field, value: &str| self.outward(field, value) != Word::Missing;
        shadow.case = shadow.case.filter(|case| has(FieldName::CaseStatus, &case.status));
        shadow.completion_code = shadow.completion_code.filter(|code| has(FieldName::CompletionCode, code.as_str()));
        shadow
    }

    /// Whether both sites keep the field the same: it travels both ways.
    pub fn is_shared(&self, field: FieldName) -> bool {
        self.sends(field) && self.takes(field)
    }
}

fn remove(content: &mut Value, place: &str) {
    let Some((parent, key)) = place.rsplit_once('/') else { return };
    if let Some(parent) = content.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.remove(key);
    }
}

#[cfg(test)]
mod tests;
