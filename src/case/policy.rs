//! Policies that submit, accept or escalate: filters as in A-48, in order, first match wins.

use super::form::{Form, Priority};
use super::incident::{Event, Incident};
use super::kind::Kind;

/// What a matching policy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PolicyAction {
    #[default]
    Submit,
    /// Leave it to a person.
    Hold,
}

/// One policy. Every filter that is set must match; a disabled policy does nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policy {
    /// Unique; at most 64 letters, digits, blanks, hyphens and underscores.
    pub name: String,
    pub enabled: bool,
    pub action: PolicyAction,
    pub kinds: Vec<Kind>,
    pub priorities: Vec<Priority>,
    pub groups: Vec<String>,
    /// The whole device name.
    pub device: Option<String>,
    /// The whole serial number.
    pub serial: Option<String>,
    /// All of these words stand in synopsis or description, whatever their case.
    pub has_words: Vec<String>,
    /// None of these words does.
    pub has_not_words: Vec<String>,
    /// What the policy fills into the form.
    pub form: Form,
}

impl Policy {
    pub fn matches(&self, incident: &Incident) -> bool {
        self.enabled && self.fits(incident)
    }

    /// Whether it would match, were it enabled.
    fn fits(&self, incident: &Incident) -> bool {
        let event = &incident.event;
        // Each client is a group of its own.
        let group = incident.group.clone().or_else(|| incident.client.as_ref().map(ToString::to_string));
        let listed = |wanted: &[String], value: &Option<String>| {
            wanted.is_empty() || value.as_ref().is_some_and(|value| wanted.contains(value))
        };
        (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && (self.priorities.is_empty() || event.priority.is_some_and(|p| self.priorities.contains(&p)))
            && listed(&self.groups, &group)
            && (self.device.is_none() || self.device == event.device)
            && (self.serial.is_none() || self.serial == event.serial)
            && words_stand(event, &self.has_words, &self.has_not_words)
    }
}

/// Whether all of the first words stand in synopsis or description, and none of the second.
pub(super) fn words_stand(event: &Event, has_words: &[String], has_not_words: &[String]) -> bool {
    if has_words.is_empty() && has_not_words.is_empty() {
        return true;
    }
    let text = format!("{}\n{}", event.synopsis, event.description).to_lowercase();
    let words: std::collections::HashSet<&str> =
        text.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_').collect();
    let has = |word: &String| words.contains(word.to_lowercase().as_str());
    has_words.iter().all(has) && !has_not_words.iter().any(has)
}

/// The first enabled policy that matches.
pub fn first_match<'a>(policies: &'a [Policy], incident: &Incident) -> Option<&'a Policy> {
    policies.iter().find(|policy| policy.matches(incident))
}

/// The first disabled policy that would match: whoever wonders why none did may have forgotten it.
pub fn first_disabled<'a>(policies: &'a [Policy], incident: &Incident) -> Option<&'a Policy> {
    policies.iter().find(|policy| !policy.enabled && policy.fits(incident))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::example::incident;

    fn policy() -> Policy {
        Policy { name: "all".into(), enabled: true, ..Policy::default() }
    }

    #[test]
    fn a_48_all_filters_must_match() {
        let mut record = incident();
        record.event.device = Some("edge1".into());
        record.event.priority = Some(Priority::High);
        record.event.description = "Power supply 0 failed".into();
        let matching = Policy {
            kinds: vec![Kind::Event],
            priorities: vec![Priority::High],
            device: Some("edge1".into()),
            has_words: vec!["POWER".into(), "alarm".into()],
            has_not_words: vec!["test".into()],
            ..policy()
        };
        assert!(matching.matches(&record));
        for broken in [
            Policy { kinds: vec![Kind::EventRma], ..matching.clone() },
            Policy { priorities: vec![Priority::Low], ..matching.clone() },
            Policy { device: Some("edge2".into()), ..matching.clone() },
            Policy { serial: Some("JN1".into()), ..matching.clone() },
            Policy { groups: vec!["north".into()], ..matching.clone() },
            Policy { has_words: vec!["pow".into()], ..matching.clone() },
            Policy { has_not_words: vec!["failed".into()], ..matching.clone() },
            Policy { enabled: false, ..matching.clone() },
        ] {
            assert!(!broken.matches(&record), "{broken:?}");
        }
    }

    #[test]
    fn a_41_a_policy_can_be_aimed_at_one_client() {
        let record = Incident { client: Some("north".parse().unwrap()), ..incident() };
        assert!(Policy { groups: vec!["north".into()], ..policy() }.matches(&record));
        assert!(!Policy { groups: vec!["south".into()], ..policy() }.matches(&record));
    }

    #[test]
    fn a_51_the_first_match_in_order_wins() {
        let hold = Policy { name: "hold".into(), action: PolicyAction::Hold, ..policy() };
        let disabled = Policy { name: "off".into(), enabled: false, ..policy() };
        let policies = [disabled, hold, policy()];
        assert_eq!(first_match(&policies, &incident()).map(|p| p.name.as_str()), Some("hold"));
        assert_eq!(first_disabled(&policies, &incident()).map(|p| p.name.as_str()), Some("off"));
        assert_eq!(first_disabled(&policies[1..], &incident()), None);
    }
}
