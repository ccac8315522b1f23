//! Who may change what: one owner at a time, by phase or by field; notes flow regardless (C-47, C-48).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::derive::Towards;
use super::id::Alias;
use super::phase::PhaseGroup;

/// A field that both sides keep the same and that somebody owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    Phase,
    Solution,
    CompletionCode,
    ExpectedResolution,
}

impl Field {
    pub const ALL: [Field; 4] = [Field::Phase, Field::Solution, Field::CompletionCode, Field::ExpectedResolution];

    pub fn as_str(self) -> &'static str {
        match self {
            Field::Phase => "phase",
            Field::Solution => "solution",
            Field::CompletionCode => "completion_code",
            Field::ExpectedResolution => "expected_resolution",
        }
    }
}

/// Who has the case in hand, seen from this site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    Us,
    Peer,
}

impl Holder {
    /// A Create hands the case to the site above.
    pub fn at_first(towards: Towards) -> Self {
        match towards {
            Towards::Upstream => Holder::Peer,
            Towards::Client => Holder::Us,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Holder::Us => "us",
            Holder::Peer => "peer",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Holder::Us, Holder::Peer].into_iter().find(|holder| holder.as_str() == text)
    }
}

/// The rule for a phase or a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owner {
    /// Whoever has the case in hand: Assign gives it away, Accept takes it.
    #[default]
    Holder,
    /// The site that submitted the case.
    Client,
    /// The site that the case was submitted to.
    Site,
}

impl Owner {
    pub const ALL: [Owner; 3] = [Owner::Holder, Owner::Client, Owner::Site];

    pub fn as_str(self) -> &'static str {
        match self {
            Owner::Holder => "holder",
            Owner::Client => "client",
            Owner::Site => "site",
        }
    }
}

/// The rules of a site. A field's rule wins over its phase's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ownership {
    pub resolution: Owner,
    pub validation: Owner,
    pub done: Owner,
    pub fields: BTreeMap<Field, Owner>,
}

impl Ownership {
    /// Whether the field is ours, in an exchange that looks `towards` the peer.
    pub fn is_ours(&self, field: Field, phase: PhaseGroup, holder: Holder, towards: Towards) -> bool {
        self.rule(field, phase).is_ours(holder, towards)
    }

    /// Whether a person here may change the field (C-48). What is resolved may be closed or opened again at either site,
    /// unless a rule names one of them.
    pub fn may_change(&self, field: Field, phase: PhaseGroup, holder: Holder, towards: Towards) -> bool {
        let ends = field == Field::Phase && phase != PhaseGroup::Resolution;
        let rule = self.rule(field, phase);
        rule.is_ours(holder, towards) || (ends && rule == Owner::Holder)
    }

    /// Whether the field belongs to the same one of the two sites in every phase, whoever has the case in hand.
    pub fn is_always(&self, field: Field, owner: Owner) -> bool {
        let phases = [PhaseGroup::Resolution, PhaseGroup::Validation, PhaseGroup::Done];
        phases.into_iter().all(|phase| self.rule(field, phase) == owner)
    }

    fn rule(&self, field: Field, phase: PhaseGroup) -> Owner {
        let of_phase = match phase {
            PhaseGroup::Resolution => self.resolution,
            PhaseGroup::Validation => self.validation,
            PhaseGroup::Done => self.done,
        };
        self.fields.get(&field).copied().unwrap_or(of_phase)
    }
}

impl Owner {
    fn is_ours(self, holder: Holder, towards: Towards) -> bool {
        match self {
            Owner::Holder => holder == Holder::Us,
            Owner::Client => towards == Towards::Upstream,
            Owner::Site => towards == Towards::Client,
        }
    }
}

/// The assignment groups that belong to another site (C-01, C-02). The alias of a site is a group of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Groups(pub BTreeMap<String, Alias>);

impl Groups {
    /// Whether a record that is assigned to `group` is in the hands of `peer`.
    pub fn is_external(&self, group: &str, peer: &Alias) -> bool {
        group == peer.as_str() || self.0.get(group) == Some(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_47_the_rule_of_a_field_wins_over_the_rule_of_its_phase() {
        let rules = Ownership {
            validation: Owner::Client,
            fields: BTreeMap::from([(Field::ExpectedResolution, Owner::Site)]),
            ..Ownership::default()
        };
        let (resolution, validation) = (PhaseGroup::Resolution, PhaseGroup::Validation);
        for (field, phase, holder, towards, ours) in [
            (Field::Solution, resolution, Holder::Us, Towards::Upstream, true),
            (Field::Solution, resolution, Holder::Peer, Towards::Upstream, false),
            (Field::Solution, resolution, Holder::Peer, Towards::Client, false),
            (Field::Solution, validation, Holder::Peer, Towards::Upstream, true),
            (Field::Solution, validation, Holder::Us, Towards::Client, false),
            (Field::ExpectedResolution, validation, Holder::Peer, Towards::Client, true),
            (Field::ExpectedResolution, resolution, Holder::Us, Towards::Upstream, false),
        ] {
            assert_eq!(
                rules.is_ours(field, phase, holder, towards),
                ours,
                "{field:?} {phase:?} {holder:?} {towards:?}"
            );
        }
    }

    #[test]
    fn c_02_a_group_is_external_by_its_system() {
        let partner: Alias = "partner".parse().unwrap();
        let groups = Groups(BTreeMap::from([("Vendor NOC".to_owned(), partner.clone())]));
        assert!(groups.is_external("Vendor NOC", &partner) && groups.is_external("partner", &partner));
        assert!(!groups.is_external("Night shift", &partner));
    }
}
