//! What a case has for the people who work on it, beside its incident record (M-01): who began it, who works on it, who looks
//! on, where it is, how far it has come. It stays at this site; what the Case Exchange tables know travels with the record.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::form::Priority;
use super::id::{NameFault, name};
use super::incident::Event;
use super::state::CaseState;
use super::text::{TextFault, line, paragraph};

name!(
    /// A person, as tokens, the socket's commands and other systems name people: one line, at most 128 bytes.
    UserName,
    128,
    |_| Ok(())
);

name!(
    /// A group of people: one line, at most 128 bytes.
    GroupName,
    128,
    |_| Ok(())
);

name!(
    /// The name of a case type of the configuration: one line, at most 128 bytes.
    CaseTypeName,
    128,
    |_| Ok(())
);

name!(
    /// A word that people sort cases by: one line, at most 64 bytes.
    Tag,
    64,
    |_| Ok(())
);

/// A case beside its incident record. What nobody has said is empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Instance {
    pub case_type: Option<CaseTypeName>,
    /// Who asked for it; may be another than who entered it.
    pub initiator: Option<Initiator>,
    /// Who entered it.
    pub created_by: Option<UserName>,
    /// Unassigned when there are neither users nor groups.
    pub assigned_users: BTreeSet<UserName>,
    pub assigned_groups: BTreeSet<GroupName>,
    pub tags: BTreeSet<Tag>,
    pub watchers: BTreeSet<UserName>,
    pub location: Location,
    pub completed: Percent,
    pub resolution: Option<Resolution>,
    pub relation: Option<Relation>,
    pub owner: Option<Owner>,
    /// Who is to look at it.
    pub flags: BTreeMap<UserName, Flag>,
    /// Whether it was deleted from the lists; nothing else changes with that.
    pub deleted: bool,
}

impl Instance {
    /// The most members of each of its sets.
    pub const MEMBERS: usize = 100;

    pub fn is_unassigned(&self) -> bool {
        self.assigned_users.is_empty() && self.assigned_groups.is_empty()
    }
}

/// Who asked for a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Initiator {
    /// A user or a customer, as the type says: one line, at most 128 bytes.
    #[serde(rename = "initiatorId")]
    pub id: UserName,
    #[serde(rename = "initiatorType", default)]
    pub kind: InitiatorType,
    /// One line, at most 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// One line, at most 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
}

impl Initiator {
    /// The user of this name.
    pub fn user(id: UserName) -> Self {
        Self { id, kind: InitiatorType::User, first_name: None, last_name: None }
    }

    pub fn check(&self) -> Result<(), InstanceFault> {
        for (field, value) in [("firstName", &self.first_name), ("lastName", &self.last_name)] {
            if let Some(value) = value {
                line(value, 128).map_err(|fault| InstanceFault::Text { field, fault })?;
            }
        }
        Ok(())
    }
}

/// What an initiator's ID means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum InitiatorType {
    #[default]
    User,
    Customer,
}

impl InitiatorType {
    pub const ALL: [InitiatorType; 2] = [InitiatorType::User, InitiatorType::Customer];

    pub fn as_str(self) -> &'static str {
        match self {
            InitiatorType::User => "USER",
            InitiatorType::Customer => "CUSTOMER",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Location {
    /// One line, at most 256 bytes.
    pub name: Option<String>,
    pub id: Option<Uuid>,
    /// The organization's own: one line, at most 64 bytes.
    pub code: Option<String>,
}

/// How far the work has come, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "u8")]
pub struct Percent(u8);

impl Percent {
    pub fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<i64> for Percent {
    type Error = InstanceFault;

    fn try_from(percent: i64) -> Result<Self, InstanceFault> {
        match u8::try_from(percent) {
            Ok(percent @ 0..=100) => Ok(Self(percent)),
            _ => Err(InstanceFault::Percent(percent)),
        }
    }
}

impl From<Percent> for u8 {
    fn from(percent: Percent) -> u8 {
        percent.0
    }
}

/// Who marked it as resolved, and when. Kept until it is resolved again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// As the history names whoever did it: a person, a peer, the daemon itself.
    pub by: Option<String>,
    pub at: Timestamp,
}

/// The case that this one came from, as it stood when the two were related.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Relation {
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    pub display_id: String,
    pub details: String,
    pub state: CaseState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub related_at: Timestamp,
}

/// Who answers for a case at this site, and how the work stands for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub user: UserName,
    pub status: OwnerStatus,
}

/// The owner's own word for how the work stands; without an owner a case is "Unassigned".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub enum OwnerStatus {
    #[default]
    Assigned,
    #[serde(rename = "In Progress")]
    InProgress,
    Completed,
}

impl OwnerStatus {
    pub const ALL: [OwnerStatus; 3] = [OwnerStatus::Assigned, OwnerStatus::InProgress, OwnerStatus::Completed];
    /// Of a case without an owner.
    pub const NONE: &str = "Unassigned";

    pub fn as_str(self) -> &'static str {
        match self {
            OwnerStatus::Assigned => "Assigned",
            OwnerStatus::InProgress => "In Progress",
            OwnerStatus::Completed => "Completed",
        }
    }
}

impl FromStr for OwnerStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.map(OwnerStatus::as_str);
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| format!("must be one of {}, spelled exactly so", known.join(", ")))
    }
}

impl fmt::Display for OwnerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A case that somebody put before somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    pub by: String,
    pub at: Timestamp,
    /// Until whom it is for has looked.
    pub unread: bool,
}

/// What to change. `None` leaves an attribute as it is, `Some(None)` clears it; a set comes whole.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InstanceEdit {
    /// The title.
    pub details: Option<String>,
    pub description: Option<String>,
    pub priority: Option<Priority>,
    pub case_type: Option<Option<CaseTypeName>>,
    pub initiator: Option<Initiator>,
    pub created_by: Option<UserName>,
    pub location_name: Option<Option<String>>,
    pub location_id: Option<Option<Uuid>>,
    pub location_code: Option<Option<String>>,
    pub completed: Option<Percent>,
    pub relation: Option<Option<Relation>>,
    pub owner: Option<Option<Owner>>,
    pub deleted: Option<bool>,
    pub assigned_users: Option<BTreeSet<UserName>>,
    pub assigned_groups: Option<BTreeSet<GroupName>>,
    pub tags: Option<BTreeSet<Tag>>,
    pub watchers: Option<BTreeSet<UserName>>,
    pub flags: Option<BTreeMap<UserName, Flag>>,
}

impl InstanceEdit {
    /// What the types do not already say. Call it where an edit comes in.
    pub fn check(&self) -> Result<(), InstanceFault> {
        let at = |field| move |fault| InstanceFault::Text { field, fault };
        if let Some(details) = &self.details {
            line(details, Event::SYNOPSIS_LIMIT).map_err(at("details"))?;
        }
        if let Some(description) = &self.description {
            paragraph(description, Event::DESCRIPTION_LIMIT).map_err(at("description"))?;
        }
        if let Some(initiator) = &self.initiator {
            initiator.check()?;
        }
        if let Some(Some(name)) = &self.location_name {
            line(name, 256).map_err(at("location"))?;
        }
        if let Some(Some(code)) = &self.location_code {
            line(code, 64).map_err(at("locationCode"))?;
        }
        for (field, members) in [
            ("assignedToUsers", self.assigned_users.as_ref().map(BTreeSet::len)),
            ("assignedToGroups", self.assigned_groups.as_ref().map(BTreeSet::len)),
            ("tags", self.tags.as_ref().map(BTreeSet::len)),
            ("watchers", self.watchers.as_ref().map(BTreeSet::len)),
            ("flags", self.flags.as_ref().map(BTreeMap::len)),
        ] {
            if let Some(given) = members.filter(|given| *given > Instance::MEMBERS) {
                return Err(InstanceFault::Members { field, given });
            }
        }
        Ok(())
    }
}

/// Why a value of a case was refused. Says what is wrong, never repeats the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstanceFault {
    #[error("{field} {fault}")]
    Text { field: &'static str, fault: TextFault },
    #[error("{field} {fault}")]
    Name { field: &'static str, fault: NameFault },
    #[error("{0} is no percentage; give 0 to 100")]
    Percent(i64),
    #[error("{field} has {given} members; at most {limit} are allowed", limit = Instance::MEMBERS)]
    Members { field: &'static str, given: usize },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(count: usize) -> BTreeSet<UserName> {
        (0..count).map(|number| format!("user {number}").parse().unwrap()).collect()
    }

    #[test]
    fn values_are_checked_at_the_door() {
        let sound = InstanceEdit {
            details: Some("Fan tray 2 failed".into()),
            description: Some(String::new()),
            location_code: Some(Some("B-17".into())),
            watchers: Some(users(Instance::MEMBERS)),
            ..InstanceEdit::default()
        };
        assert_eq!(sound.check(), Ok(()));
        let refused = [
            (InstanceEdit { details: Some(" ".into()), ..sound.clone() }, "details must not be empty"),
            (InstanceEdit { details: Some("a\nb".into()), ..sound.clone() }, "details holds the control character"),
            (InstanceEdit { description: Some("\u{1b}".into()), ..sound.clone() }, "description holds"),
            (InstanceEdit { location_name: Some(Some("x".repeat(257))), ..sound.clone() }, "location is 257 bytes"),
            (InstanceEdit { location_code: Some(Some("x".repeat(65))), ..sound.clone() }, "locationCode is 65 bytes"),
            (InstanceEdit { watchers: Some(users(101)), ..sound.clone() }, "watchers has 101 members"),
        ];
        for (edit, reason) in refused {
            let fault = edit.check().unwrap_err().to_string();
            assert!(fault.starts_with(reason), "{reason}: {fault}");
        }
        let named = Initiator { last_name: Some("x".repeat(129)), ..Initiator::user("ann".parse().unwrap()) };
        assert!(named.check().is_err());
        assert!(Percent::try_from(101).is_err() && Percent::try_from(100).is_ok());
        assert!("x".repeat(65).parse::<Tag>().is_err() && "\u{202e}".parse::<UserName>().is_err());
        assert!("in progress".parse::<OwnerStatus>().unwrap_err().contains("In Progress"));
    }
}
