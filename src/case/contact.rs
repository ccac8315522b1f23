//! The people whom a case is passed between (H-01 to H-05): who a person is told by the mail address, and what is told of
//! somebody who is known already changes nothing but a contact of which only the address was known.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::derive::Towards;
use super::form::MailAddress;
use super::operation::OperationKind;
use super::text::{TextFault, line, shown};

/// The address of a contact, in the one spelling in which two are compared: in small letters, without blanks around it
/// (H-01).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContactAddress(String);

impl ContactAddress {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{shown}' is not a mail address; write it like anna@north.example")]
pub struct NotAnAddress {
    shown: String,
}

impl std::str::FromStr for ContactAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let fault = || NotAnAddress { shown: shown(text, 80) };
        // In some languages a small letter is two signs, one of which no address has.
        let folded: MailAddress = text.trim().to_lowercase().parse().map_err(|_| fault())?;
        Ok(Self(folded.into()))
    }
}

impl TryFrom<String> for ContactAddress {
    type Error = NotAnAddress;

    fn try_from(text: String) -> Result<Self, NotAnAddress> {
        text.parse()
    }
}

impl From<ContactAddress> for String {
    fn from(address: ContactAddress) -> String {
        address.0
    }
}

impl fmt::Display for ContactAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Somebody as one site tells the other of them: the address, and what else is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Person {
    pub address: ContactAddress,
    /// One line, at most 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// The same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// One line, at most 64 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// Why a person is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {fault}")]
pub struct PersonFault {
    pub field: &'static str,
    pub fault: TextFault,
}

impl Person {
    /// Of whom the address alone is known.
    pub fn at(address: ContactAddress) -> Self {
        Self { address, first_name: None, last_name: None, phone: None }
    }

    pub fn check(&self) -> Result<(), PersonFault> {
        let fields =
            [("first_name", &self.first_name, 128), ("last_name", &self.last_name, 128), ("phone", &self.phone, 64)];
        for (field, value, limit) in fields {
            if let Some(value) = value {
                line(value, limit).map_err(|fault| PersonFault { field, fault })?;
            }
        }
        Ok(())
    }

    /// First and last name, where both are real ones.
    pub fn names(&self) -> Option<(&str, &str)> {
        let names = (self.first_name.as_deref()?.trim(), self.last_name.as_deref()?.trim());
        let real = !names.0.is_empty() && !names.1.is_empty() && names != (Contact::PENDING, Contact::CREATION);
        real.then_some(names)
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names() {
            Some((first, last)) => write!(f, "{first} {last} <{}>", self.address),
            None => self.address.fmt(f),
        }
    }
}

/// Somebody as this site's store has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Never changes.
    pub id: i64,
    pub address: ContactAddress,
    pub first_name: String,
    pub last_name: String,
    pub phone: Option<String>,
}

impl Contact {
    /// The first and the last name of a contact of which only the address is known.
    pub const PENDING: &str = "Pending";
    pub const CREATION: &str = "CREATION";

    /// Whether the names are still to come.
    pub fn is_temporary(&self) -> bool {
        self.first_name == Self::PENDING && self.last_name == Self::CREATION
    }

    /// As a peer is told of them.
    pub fn person(&self) -> Person {
        match self.is_temporary() {
            true => Person::at(self.address.clone()),
            false => Person {
                address: self.address.clone(),
                first_name: Some(self.first_name.clone()),
                last_name: Some(self.last_name.clone()),
                phone: self.phone.clone(),
            },
        }
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} <{}>", self.first_name, self.last_name, self.address)
    }
}

/// What somebody's being told of means for the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Introduction {
    /// Nobody has this address: a contact is made, a temporary one where the names are not told (H-04).
    Create { temporary: bool },
    /// A temporary contact gets what is told, and keeps its number (H-03).
    Complete,
    /// All of it is known, or nothing is told.
    Keep,
    /// It is somebody whose names are known: the contact stays, and what was told is noted (H-02).
    KeepAndNote,
}

impl Introduction {
    /// | in the store | told | |
    /// |---|---|---|
    /// | nobody | the address | a temporary contact is made |
    /// | nobody | both names | a normal contact is made |
    /// | temporary | the address, or one name | it stays |
    /// | temporary | both names | it is completed |
    /// | normal | the address, or the same | it stays |
    /// | normal | another name or number | it stays, and the difference is noted |
    pub fn of(known: Option<&Contact>, told: &Person) -> Self {
        match (known, told.names()) {
            (None, names) => Introduction::Create { temporary: names.is_none() },
            (Some(contact), Some(_)) if contact.is_temporary() => Introduction::Complete,
            (Some(_), None) => Introduction::Keep,
            (Some(contact), Some(names)) => {
                let phone = told.phone.as_deref().map(str::trim).filter(|phone| !phone.is_empty());
                let same_phone = phone.is_none() || phone == contact.phone.as_deref();
                let same_names = names == (contact.first_name.as_str(), contact.last_name.as_str());
                if same_names && same_phone { Introduction::Keep } else { Introduction::KeepAndNote }
            }
        }
    }
}

/// In which part somebody has to do with a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaseRole {
    /// Hands it over: whom the site that it was submitted to may ask.
    Sender,
    /// Gets it: whom it is for, and from the acceptance on who has taken it.
    Recipient,
}

impl CaseRole {
    pub fn as_str(self) -> &'static str {
        match self {
            CaseRole::Sender => "sender",
            CaseRole::Recipient => "recipient",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [CaseRole::Sender, CaseRole::Recipient].into_iter().find(|role| role.as_str() == text)
    }
}

/// One hand-over of a case from person to person (H-05).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandOver {
    /// Submitted: it waits for the recipient.
    Submitted,
    /// Given to the recipient again.
    HandedOver,
    /// The recipient has taken it.
    Approved,
    /// The recipient has refused it.
    Rejected,
    /// It is with the sender again.
    Returned,
}

impl HandOver {
    /// Which hand-over an operation is. `by` says which of the two sites speaks: the upstream, or its client.
    ///
    /// | operation | of the upstream | of the client |
    /// |---|---|---|
    /// | Create | | submitted |
    /// | Accept | approved | returned: it takes the case back |
    /// | Assign | returned: it asks the client | handed over again |
    /// | Reject | rejected | |
    /// | others | | |
    pub fn of(operation: OperationKind, by: Towards) -> Option<Self> {
        match (operation, by) {
            (OperationKind::Create, Towards::Client) => Some(HandOver::Submitted),
            (OperationKind::Accept, Towards::Upstream) => Some(HandOver::Approved),
            (OperationKind::Accept, Towards::Client) => Some(HandOver::Returned),
            (OperationKind::Assign, Towards::Upstream) => Some(HandOver::Returned),
            (OperationKind::Assign, Towards::Client) => Some(HandOver::HandedOver),
            (OperationKind::Reject, Towards::Upstream) => Some(HandOver::Rejected),
            _ => None,
        }
    }

    /// The status of the distribution, as the history tells it.
    pub fn as_str(self) -> &'static str {
        match self {
            HandOver::Submitted | HandOver::HandedOver => "pending",
            HandOver::Approved => "approved",
            HandOver::Rejected => "rejected",
            HandOver::Returned => "returned",
        }
    }

    /// The part of whom it leaves, and of whom it goes to.
    pub fn between(self) -> (CaseRole, CaseRole) {
        match self {
            HandOver::Submitted | HandOver::HandedOver | HandOver::Approved => (CaseRole::Sender, CaseRole::Recipient),
            HandOver::Rejected | HandOver::Returned => (CaseRole::Recipient, CaseRole::Sender),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(first: Option<&str>, last: Option<&str>) -> Person {
        let name = |name: Option<&str>| name.map(str::to_owned);
        Person { first_name: name(first), last_name: name(last), ..Person::at("rita@partner.example".parse().unwrap()) }
    }

    fn contact(first: &str, last: &str) -> Contact {
        Contact {
            id: 7,
            address: "rita@partner.example".parse().unwrap(),
            first_name: first.into(),
            last_name: last.into(),
            phone: Some("+1 555".into()),
        }
    }

    #[test]
    fn h_01_addresses_compare_without_regard_to_case_and_surrounding_blanks() {
        let one: ContactAddress = "rita@partner.example".parse().unwrap();
        for other in ["Rita@Partner.Example", " rita@partner.example", "RITA@PARTNER.EXAMPLE\t"] {
            assert_eq!(other.parse::<ContactAddress>().unwrap(), one, "{other:?}");
        }
        assert_eq!("JÖRG@nörth.example".parse::<ContactAddress>().unwrap().as_str(), "jörg@nörth.example");
        assert_ne!("rita@partner.example.org".parse::<ContactAddress>().unwrap(), one);
        for wrong in
            ["", "rita", "rita @partner.example", "rita@partner.example\nBcc: all@north.example", "İ@partner.example"]
        {
            assert!(wrong.parse::<ContactAddress>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn h_02_h_03_h_04_each_row_of_the_table() {
        let temporary = contact(Contact::PENDING, Contact::CREATION);
        let normal = contact("Rita", "Roy");
        let (address, half) = (person(None, None), person(Some("Rita"), None));
        let (named, other) = (person(Some("Rita"), Some("Roy")), person(Some("Rita"), Some("Hayworth")));
        let phone = |phone: &str| Person { phone: Some(phone.into()), ..named.clone() };
        let pending = person(Some("Pending"), Some("CREATION"));
        let blank = person(Some(" "), Some("Roy"));
        let rows = [
            (None, &address, Introduction::Create { temporary: true }),
            (None, &half, Introduction::Create { temporary: true }),
            (None, &blank, Introduction::Create { temporary: true }),
            (None, &pending, Introduction::Create { temporary: true }),
            (None, &named, Introduction::Create { temporary: false }),
            (Some(&temporary), &address, Introduction::Keep),
            (Some(&temporary), &half, Introduction::Keep),
            (Some(&temporary), &pending, Introduction::Keep),
            (Some(&temporary), &named, Introduction::Complete),
            (Some(&normal), &address, Introduction::Keep),
            (Some(&normal), &half, Introduction::Keep),
            (Some(&normal), &pending, Introduction::Keep),
            (Some(&normal), &named, Introduction::Keep),
            (Some(&normal), &phone("+1 555"), Introduction::Keep),
            (Some(&normal), &phone("+1 666"), Introduction::KeepAndNote),
            (Some(&normal), &other, Introduction::KeepAndNote),
        ];
        for (known, told, expected) in rows {
            assert_eq!(Introduction::of(known, told), expected, "{known:?}, told {told:?}");
        }
    }

    #[test]
    fn h_05_each_operation_is_the_hand_over_that_the_table_says() {
        use OperationKind::{Accept, Assign, Create, Reject};
        let (above, below) = (Towards::Upstream, Towards::Client);
        let rows = [
            (Create, below, "pending"),
            (Accept, above, "approved"),
            (Accept, below, "returned"),
            (Assign, above, "returned"),
            (Assign, below, "pending"),
            (Reject, above, "rejected"),
        ];
        for kind in OperationKind::ALL {
            for by in [above, below] {
                let expected = rows.iter().find(|row| (row.0, row.1) == (kind, by)).map(|row| row.2);
                assert_eq!(HandOver::of(kind, by).map(HandOver::as_str), expected, "{kind} by {by:?}");
            }
        }
        let to_recipient = (CaseRole::Sender, CaseRole::Recipient);
        assert_eq!(HandOver::Approved.between(), to_recipient);
        assert_eq!(HandOver::Returned.between(), (to_recipient.1, to_recipient.0));
    }

    #[test]
    fn a_person_with_a_hostile_name_is_refused() {
        assert_eq!(person(Some("Rita"), Some("Roy")).check(), Ok(()));
        let fault = person(Some("Rita"), Some("Roy\r\nBcc: all@north.example")).check().unwrap_err();
        assert_eq!((fault.field, fault.fault), ("last_name", TextFault::Control(13)));
        assert!(person(Some(&"x".repeat(129)), None).check().is_err());
    }

    #[test]
    fn an_older_peers_person_reads_and_a_newer_ones_too() {
        let person: Person = serde_json::from_str(r#"{"address": " Rita@Partner.example ", "title": "Dr"}"#).unwrap();
        assert_eq!(person, Person::at("rita@partner.example".parse().unwrap()));
        assert_eq!(serde_json::to_string(&person).unwrap(), r#"{"address":"rita@partner.example"}"#);
    }
}
