//! What this site does when something happens (A-47 to A-51): on which event, for which incidents, and whom it tells.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::form::Priority;
use super::history::Action;
use super::id::{Alias, IncidentId};
use super::incident::Incident;
use super::kind::Kind;
use super::policy::words_stand;
use super::text::{TextFault, line};

/// What a reaction waits for (A-47).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A new incident is in the store: from an inbox, from another program, or a client's.
    IncidentDetected,
    /// An incident was handed to the site above, by a person or a policy.
    IncidentSubmitted,
    /// The case of an incident got its ID.
    CaseAssigned,
    /// Something about a case is new, from this site or from another.
    CaseUpdated,
    /// A bundle came that only informs and never becomes a case.
    IntelligenceReceived,
}

impl Trigger {
    pub const ALL: [Trigger; 5] = [
        Trigger::IncidentDetected,
        Trigger::IncidentSubmitted,
        Trigger::CaseAssigned,
        Trigger::CaseUpdated,
        Trigger::IntelligenceReceived,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Trigger::IncidentDetected => "incident_detected",
            Trigger::IncidentSubmitted => "incident_submitted",
            Trigger::CaseAssigned => "case_assigned",
            Trigger::CaseUpdated => "case_updated",
            Trigger::IntelligenceReceived => "intelligence_received",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trigger| trigger.as_str() == text)
    }

    /// What a line of the history stands for. `action` is its word, `who` did it, `kind` is that of its incident.
    pub fn of(action: &str, who: &str, kind: Kind) -> Option<Self> {
        const NEW: [Action; 3] = [Action::Deposited, Action::Detected, Action::IncidentOpened];
        const SUBMITTED: [Action; 2] = [Action::Submitted, Action::Escalated];
        // A file that comes with its incident, or after the announcement of the other site, is part of another event.
        const BY_HAND: Action = Action::AttachmentAdded;
        const UPDATED: [Action; 9] = [
            Action::OperationApplied,
            Action::Edited,
            Action::Overridden,
            Action::Commented,
            Action::Assigned,
            Action::StateChanged,
            Action::AutoClosed,
            Action::DocumentRemoved,
            Action::MilestoneReached,
        ];
        let by_hand = action == BY_HAND.as_str() && who.starts_with("operator ");
        let is = |actions: &[Action]| actions.iter().any(|one| one.as_str() == action);
        match () {
            () if is(&NEW) && !kind.is_submittable() => Some(Trigger::IntelligenceReceived),
            () if is(&NEW) => Some(Trigger::IncidentDetected),
            () if is(&SUBMITTED) => Some(Trigger::IncidentSubmitted),
            () if is(&[Action::CaseAccepted]) => Some(Trigger::CaseAssigned),
            () if by_hand || is(&UPDATED) => Some(Trigger::CaseUpdated),
            () => None,
        }
    }
}

/// Which incidents are meant (A-48). All that is set must match.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// One of these, when there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 4)]
    pub priorities: Vec<Priority>,
    /// The whole device name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 256)]
    pub device: Option<String>,
    /// The whole serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 256)]
    pub serial: Option<String>,
    /// All of these words stand in synopsis or description, whatever their case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 256)]
    pub has_words: Option<String>,
    /// None of these words does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 256)]
    pub has_not_words: Option<String>,
}

impl Filter {
    /// Characters of each text (A-48).
    pub const TEXT_LIMIT: usize = 256;

    pub fn matches(&self, incident: &Incident) -> bool {
        let event = &incident.event;
        let words = |text: &Option<String>| -> Vec<String> {
            text.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect()
        };
        (self.priorities.is_empty() || event.priority.is_some_and(|priority| self.priorities.contains(&priority)))
            && (self.device.is_none() || self.device == event.device)
            && (self.serial.is_none() || self.serial == event.serial)
            && words_stand(event, &words(&self.has_words), &words(&self.has_not_words))
    }

    fn check(&self) -> Result<(), ReactionFault> {
        for (field, text) in [
            ("device", &self.device),
            ("serial", &self.serial),
            ("has_words", &self.has_words),
            ("has_not_words", &self.has_not_words),
        ] {
            let Some(text) = text else { continue };
            line(text, 4 * Self::TEXT_LIMIT).map_err(|fault| ReactionFault::Text { field, fault })?;
            let length = text.chars().count();
            if length > Self::TEXT_LIMIT {
                return Err(ReactionFault::TooLong { field, length });
            }
        }
        for (field, text) in [("has_words", &self.has_words), ("has_not_words", &self.has_not_words)] {
            let is_word = |word: &str| word.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
            if let Some(word) = text.iter().flat_map(|text| text.split_whitespace()).find(|word| !is_word(word)) {
                return Err(ReactionFault::Word { field, word: super::text::shown(word, 40) });
            }
        }
        Ok(())
    }
}

/// For whose incidents (A-50). Nothing set means all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// Only these, when there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<i64>, max_items = 1000)]
    pub incidents: Vec<IncidentId>,
    /// A device group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 128)]
    pub group: Option<String>,
    /// A client: the organisation whose incidents these are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<Alias>,
}

impl Scope {
    const INCIDENTS: usize = 1000;

    pub fn matches(&self, incident: &Incident) -> bool {
        (self.incidents.is_empty() || self.incidents.contains(&incident.id))
            && (self.group.is_none() || self.group == incident.group)
            && (self.client.is_none() || self.client == incident.client)
    }
}

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deed {
    /// The name of a `[[reaction_target...]]` in the settings: only there stands where things go.
    #[schema(min_length = 1, max_length = 64)]
    pub target: String,
    /// Whether the files of the incident go with it; by mail only (A-49).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attach_bundle: bool,
}

/// A reaction policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reaction {
    /// Unique among those of its owner; 1 to 64 letters, digits, blanks, hyphens and underscores (A-48).
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub enabled: bool,
    pub trigger: Trigger,
    #[serde(default)]
    pub filter: Filter,
    #[serde(default)]
    pub scope: Scope,
    #[schema(min_items = 1, max_items = 10)]
    pub actions: Vec<Deed>,
    /// When it matches, no later one of its owner's is looked at for this event (A-51).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub last: bool,
}

fn yes() -> bool {
    true
}

/// Why a reaction cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReactionFault {
    #[error("the name must have 1 to 64 letters, digits, blanks, hyphens and underscores")]
    Name,
    #[error("{field} {fault}")]
    Text { field: &'static str, fault: TextFault },
    #[error("{field} has {length} characters; at most {} are allowed", Filter::TEXT_LIMIT)]
    TooLong { field: &'static str, length: usize },
    #[error(
        "\"{word}\" in {field} is not one word, so it would never be found; words have letters, digits, '-' and '_'"
    )]
    Word { field: &'static str, word: String },
    #[error("it names {given} incidents; at most {} are allowed", Scope::INCIDENTS)]
    TooManyIncidents { given: usize },
    #[error("it has {given} actions; 1 to {} are allowed", Reaction::ACTIONS)]
    Actions { given: usize },
    #[error("the settings have no [[reaction_target]] named \"{name}\"; there are: {known}")]
    NoTarget { name: String, known: String },
    #[error("only a mail takes the incident's files with it; \"{name}\" is none")]
    NotByMail { name: String },
    #[error("{owner} has a reaction named \"{name}\" already")]
    NameTaken { owner: String, name: String },
    #[error("there is no reaction {0}; see `casebridge reaction list`")]
    Unknown(i64),
    #[error("a copy keeps its trigger: {0}")]
    FixedTrigger(&'static str),
    #[error("there are {given} reactions; at most {limit} are allowed")]
    TooMany { given: usize, limit: usize },
}

impl Reaction {
    const ACTIONS: usize = 10;
    const NAME: usize = 64;

    /// Whether this one acts on an event of this incident.
    pub fn matches(&self, trigger: Trigger, incident: &Incident) -> bool {
        self.enabled && self.trigger == trigger && self.scope.matches(incident) && self.filter.matches(incident)
    }

    /// Checks everything but the targets, which the settings know.
    pub fn check(&self) -> Result<(), ReactionFault> {
        let plain = self.name.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        if self.name.trim().is_empty() || self.name.chars().count() > Self::NAME || !plain {
            return Err(ReactionFault::Name);
        }
        self.filter.check()?;
        if self.scope.incidents.len() > Scope::INCIDENTS {
            return Err(ReactionFault::TooManyIncidents { given: self.scope.incidents.len() });
        }
        if let Some(group) = &self.scope.group {
            line(group, 128).map_err(|fault| ReactionFault::Text { field: "group", fault })?;
        }
        if self.actions.is_empty() || self.actions.len() > Self::ACTIONS {
            return Err(ReactionFault::Actions { given: self.actions.len() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::example::incident;

    fn reaction() -> Reaction {
        serde_json::from_str(r#"{"name": "tell", "trigger": "case_updated", "actions": [{"target": "desk"}]}"#).unwrap()
    }

    #[test]
    fn a_47_each_kind_of_event_has_its_lines() {
        let rows = [
            ("deposited", Kind::Event, Some(Trigger::IncidentDetected)),
            ("detected", Kind::Event, Some(Trigger::IncidentDetected)),
            ("incident_opened", Kind::OnDemand, Some(Trigger::IncidentDetected)),
            ("deposited", Kind::Information, Some(Trigger::IntelligenceReceived)),
            ("submitted", Kind::Event, Some(Trigger::IncidentSubmitted)),
            ("escalated", Kind::Event, Some(Trigger::IncidentSubmitted)),
            ("case_accepted", Kind::Event, Some(Trigger::CaseAssigned)),
            ("operation_applied", Kind::Event, Some(Trigger::CaseUpdated)),
            ("edited", Kind::Event, Some(Trigger::CaseUpdated)),
            ("attachment_added", Kind::Event, Some(Trigger::CaseUpdated)),
            ("document_removed", Kind::Event, Some(Trigger::CaseUpdated)),
            ("milestone_reached", Kind::Event, Some(Trigger::CaseUpdated)),
            ("operation_sent", Kind::Event, None),
            ("held", Kind::Event, None),
            ("conflict_found", Kind::Event, None),
        ];
        for (action, kind, expected) in rows {
            assert_eq!(Trigger::of(action, "operator bert", kind), expected, "{action}");
            let by_us = Trigger::of(action, "casebridge", kind);
            assert_eq!(by_us, expected.filter(|_| action != "attachment_added"), "{action}");
        }
    }

    #[test]
    fn a_48_all_filters_of_a_reaction_must_match_and_a_disabled_one_does_nothing() {
        let mut record = incident();
        record.event.device = Some("edge1".into());
        record.event.serial = Some("JN1".into());
        record.event.priority = Some(Priority::High);
        record.event.description = "Power supply 0 failed".into();
        let filter = Filter {
            priorities: vec![Priority::Critical, Priority::High],
            device: Some("edge1".into()),
            serial: Some("JN1".into()),
            has_words: Some("POWER supply".into()),
            has_not_words: Some("test lab".into()),
        };
        let matching = Reaction { filter: filter.clone(), ..reaction() };
        assert!(matching.matches(Trigger::CaseUpdated, &record));
        let with = |filter| Reaction { filter, ..reaction() };
        for broken in [
            with(Filter { priorities: vec![Priority::Low], ..filter.clone() }),
            with(Filter { device: Some("edge2".into()), ..filter.clone() }),
            with(Filter { serial: Some("JN2".into()), ..filter.clone() }),
            with(Filter { has_words: Some("power fan".into()), ..filter.clone() }),
            with(Filter { has_not_words: Some("lab failed".into()), ..filter.clone() }),
            Reaction { enabled: false, ..matching.clone() },
            Reaction { trigger: Trigger::CaseAssigned, ..matching.clone() },
        ] {
            assert!(!broken.matches(Trigger::CaseUpdated, &record), "{broken:?}");
        }
    }

    #[test]
    fn a_50_a_scope_is_some_incidents_a_group_or_a_client() {
        let mut record = incident();
        record.group = Some("core".into());
        record.client = Some("north".parse().unwrap());
        let other = IncidentId(record.id.0 + 1);
        for (scope, expected) in [
            (Scope::default(), true),
            (Scope { incidents: vec![record.id, other], ..Scope::default() }, true),
            (Scope { incidents: vec![other], ..Scope::default() }, false),
            (Scope { group: Some("core".into()), ..Scope::default() }, true),
            (Scope { group: Some("edge".into()), ..Scope::default() }, false),
            (Scope { client: Some("north".parse().unwrap()), ..Scope::default() }, true),
            (Scope { client: Some("south".parse().unwrap()), ..Scope::default() }, false),
        ] {
            assert_eq!(scope.matches(&record), expected, "{scope:?}");
        }
    }

    #[test]
    fn a_48_names_and_texts_have_their_rules() {
        let named = |name: &str| Reaction { name: name.into(), ..reaction() };
        for name in ["a", "Night desk_2 -x", "Équipe de nuit", &"x".repeat(64)] {
            assert_eq!(named(name).check(), Ok(()), "{name}");
        }
        for name in ["", "  ", "a/b", "a\nb", "a;b", &"x".repeat(65)] {
            assert_eq!(named(name).check(), Err(ReactionFault::Name), "{name}");
        }
        let device = |length| {
            let filter = Filter { device: Some("é".repeat(length)), ..Filter::default() };
            Reaction { filter, ..reaction() }.check()
        };
        assert_eq!(device(256), Ok(()));
        assert_eq!(device(257), Err(ReactionFault::TooLong { field: "device", length: 257 }));
        let words = Filter { has_words: Some("power sup*".into()), ..Filter::default() };
        assert!(matches!(Reaction { filter: words, ..reaction() }.check(), Err(ReactionFault::Word { .. })));
        assert!(Reaction { actions: Vec::new(), ..reaction() }.check().is_err());
        let text = r#"{"name": "x", "trigger": "case_updated", "actions": [], "comand": "rm"}"#;
        assert!(serde_json::from_str::<Reaction>(text).is_err(), "a slip of the pen is refused");
    }
}
