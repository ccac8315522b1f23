//! The people whom a case is for: the customer who has the trouble, and the integrator who helps. They are
//! this site's own: no other site is told of them, but that it writes to them ([`super::teller`]).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::form::MailAddress;
use super::id::Alias;
use super::language::Language;
use super::text::{TextFault, line};

/// One person of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Party {
    /// Its number in the store.
    pub id: i64,
    pub role: Role,
    /// One line, at most 128 bytes; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[schema(value_type = String)]
    pub address: MailAddress,
    pub language: Language,
    /// The other site of the case that writes to them about it; none where this one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub told_by: Option<Alias>,
}

/// Why somebody cannot be a party.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartyFault {
    #[error("the name {0}")]
    Name(TextFault),
    #[error(
        "the address has letters beyond ASCII, which not every mail server takes; write the domain in its xn-- form"
    )]
    Address,
}

impl Party {
    /// The most parties of one case.
    pub const LIMIT: usize = 20;

    pub fn check(&self) -> Result<(), PartyFault> {
        if !self.name.is_empty() {
            line(&self.name, 128).map_err(PartyFault::Name)?;
        }
        if self.address.as_str().is_ascii() { Ok(()) } else { Err(PartyFault::Address) }
    }

    /// As the author of a comment. Comments go to other sites, and addresses never do: whoever has no name is told by the part
    /// in the case.
    pub fn author(&self) -> &str {
        author(self.role, &self.name)
    }

    /// As the history tells who did something (H-05).
    pub fn who(&self) -> String {
        who(self.role, &self.name)
    }
}

/// A person of a case is no operator: what they may do, a link or an answer of theirs says.
pub fn who(role: Role, name: &str) -> String {
    format!("person {}", author(role, name))
}

fn author(role: Role, name: &str) -> &str {
    if name.is_empty() { role.as_str() } else { name }
}

/// In which part somebody has to do with a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    #[default]
    Customer,
    Integrator,
}

impl Role {
    pub const ALL: [Role; 2] = [Role::Customer, Role::Integrator];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Customer => "customer",
            Role::Integrator => "integrator",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anna() -> Party {
        Party {
            id: 1,
            role: Role::Customer,
            name: "Anna".into(),
            address: "anna@north.example".parse().unwrap(),
            language: Language::French,
            told_by: None,
        }
    }

    #[test]
    fn r_08_the_author_of_a_comment_has_no_address() {
        assert_eq!(anna().author(), "Anna");
        assert_eq!(Party { name: String::new(), ..anna() }.author(), "customer");
    }

    #[test]
    fn h_05_a_person_of_a_case_is_told_apart_from_an_operator() {
        assert_eq!(anna().who(), "person Anna");
        assert_eq!(Party { name: String::new(), ..anna() }.who(), "person customer");
    }

    #[test]
    fn r_08_a_name_that_would_make_a_header_is_refused() {
        assert_eq!(anna().check(), Ok(()));
        let hostile = Party { name: "Anna\r\nBcc: all@north.example".into(), ..anna() };
        assert_eq!(hostile.check(), Err(PartyFault::Name(TextFault::Control(13))));
        let beyond = Party { address: "anna@nörth.example".parse().unwrap(), ..anna() };
        assert_eq!(beyond.check(), Err(PartyFault::Address));
        for wrong in ["anna", "anna@north", "anna@north.example\n", "<anna@north.example>", "a b@north.example"] {
            assert!(wrong.parse::<MailAddress>().is_err(), "{wrong}");
        }
    }
}
