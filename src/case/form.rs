//! The form that goes with a submission (A-17 to A-21), checked before anything is sent.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::contact::{ContactAddress, Person, PersonFault};
use super::link::LinkTo;
use super::text::{TextFault, line, paragraph, shown};

/// What the submitting person fills in. Everything may be left out; a policy or the settings can supply defaults. Read like
/// this, it comes from a peer, whose version may know more fields; what a person writes is read by [`strict`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Form {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_up: Option<FollowUp>,
    /// Mail addresses that the partner keeps informed (A-21), at most [`Form::CC_LIMIT`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub cc: Vec<MailAddress>,
    /// The customer's own number for this incident (A-17, A-22), at most 64 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
    /// The customer's site as the partner knows it (A-17), at most 64 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_id: Option<String>,
    /// What the person wants to add, at most 16,384 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whom the partner may ask about it (H-01).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<Person>,
    /// The address of the person at the partner whom it is for (H-04).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub recipient: Option<ContactAddress>,
    /// The upstream has a case for this already (A-62).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkTo>,
}

#[derive(Default, Deserialize)]
#[serde(remote = "Form", default, deny_unknown_fields)]
struct Strict {
    priority: Option<Priority>,
    follow_up: Option<FollowUp>,
    cc: Vec<MailAddress>,
    tracking_number: Option<String>,
    site_id: Option<String>,
    comment: Option<String>,
    contact: Option<Person>,
    recipient: Option<ContactAddress>,
    link: Option<LinkTo>,
}

/// A form of a person's: a field that is not known is a slip of the pen, and refused.
pub fn strict<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Form, D::Error> {
    Strict::deserialize(deserializer)
}

impl Form {
    pub const CC_LIMIT: usize = 50;

    /// Checks what the types of the fields do not already guarantee. Call it where a form comes in.
    pub fn check(&self) -> Result<(), FormFault> {
        if self.cc.len() > Self::CC_LIMIT {
            return Err(FormFault::TooManyAddresses { given: self.cc.len(), limit: Self::CC_LIMIT });
        }
        for (field, value) in [("tracking_number", &self.tracking_number), ("site_id", &self.site_id)] {
            if let Some(value) = value {
                line(value, 64).map_err(|fault| FormFault::Text { field, fault })?;
            }
        }
        if let Some(contact) = &self.contact {
            contact.check()?;
        }
        if let Some(comment) = &self.comment {
            paragraph(comment, 16_384).map_err(|fault| FormFault::Text { field: "comment", fault })?;
        }
        Ok(())
    }

    /// This form, with what it leaves out taken from `defaults`. A link is meant once and never taken over.
    pub fn or(&self, defaults: &Form) -> Form {
        Form {
            priority: self.priority.or(defaults.priority),
            follow_up: self.follow_up.or(defaults.follow_up),
            cc: if self.cc.is_empty() { defaults.cc.clone() } else { self.cc.clone() },
            tracking_number: self.tracking_number.clone().or_else(|| defaults.tracking_number.clone()),
            site_id: self.site_id.clone().or_else(|| defaults.site_id.clone()),
            comment: self.comment.clone().or_else(|| defaults.comment.clone()),
            contact: self.contact.clone().or_else(|| defaults.contact.clone()),
            recipient: self.recipient.clone().or_else(|| defaults.recipient.clone()),
            link: self.link.clone(),
        }
    }
}

/// Why a form was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormFault {
    #[error("priority must be one of {}, spelled exactly so", list(&Priority::ALL.map(Priority::as_str)))]
    Priority,
    #[error("follow-up method must be one of {}, spelled exactly so", list(&FollowUp::ALL.map(FollowUp::as_str)))]
    FollowUp,
    #[error("'{shown}' in the CC list is not a mail address")]
    Address { shown: String },
    #[error("the CC list holds {given} addresses; at most {limit} are allowed")]
    TooManyAddresses { given: usize, limit: usize },
    #[error("{field} {fault}")]
    Text { field: &'static str, fault: TextFault },
    #[error("the contact's {0}")]
    Contact(#[from] PersonFault),
    #[error("site ID is missing; this site's settings require one (submit.require_site_id)")]
    SiteIdMissing,
}

fn list(values: &[&str]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
    quoted.join(", ")
}

/// A value from a closed list whose spelling is fixed by the source system.
macro_rules! spelled {
    ($(#[$doc:meta])* $name:ident, $fault:expr, { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $(#[serde(rename = $text)] $variant),+ }

        impl $name {
            pub const ALL: [$name; [$($text),+].len()] = [$($name::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some([$($text),+])).into()
            }
        }

        impl ToSchema for $name {}

        impl FromStr for $name {
            type Err = FormFault;

            fn from_str(text: &str) -> Result<Self, FormFault> {
                Self::ALL.into_iter().find(|value| value.as_str() == text).ok_or($fault)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

spelled!(
    /// The four priorities, case-sensitive (A-18).
    Priority, FormFault::Priority,
    { Critical = "1 - Critical", High = "2 - High", Medium = "3 - Medium", Low = "4 - Low" }
);

spelled!(
    /// How the partner reports back to people (A-19).
    FollowUp, FormFault::FollowUp,
    { FullText = "Email Full Text Update", WebLink = "Email Secure Web Link", Phone = "Phone Call" }
);

/// A mail address of the form `local@domain` (RFC 5321, section 4.1.2, without quoting and without address literals).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MailAddress(String);

impl MailAddress {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MailAddress {
    type Err = FormFault;

    fn from_str(text: &str) -> Result<Self, FormFault> {
        let fault = || FormFault::Address { shown: shown(text, 80) };
        let (local, domain) = text.rsplit_once('@').ok_or_else(fault)?;
        let local_fits = (1..=64).contains(&local.len())
            && local.chars().all(|c| c.is_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c))
            && !local.starts_with('.')
            && !local.ends_with('.');
        let domain_fits = domain.len() <= 253
            && domain.split('.').count() >= 2
            && domain.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && label.chars().all(|c| c.is_alphanumeric() || c == '-')
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            });
        if local_fits && domain_fits { Ok(Self(text.to_owned())) } else { Err(fault()) }
    }
}

impl TryFrom<String> for MailAddress {
    type Error = FormFault;

    fn try_from(text: String) -> Result<Self, FormFault> {
        text.parse()
    }
}

impl From<MailAddress> for String {
    fn from(address: MailAddress) -> String {
        address.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_18_the_four_priorities_are_case_sensitive() {
        for text in ["1 - Critical", "2 - High", "3 - Medium", "4 - Low"] {
            assert_eq!(text.parse::<Priority>().map(Priority::as_str), Ok(text));
        }
        for wrong in ["1 - critical", "5", ""] {
            let fault = wrong.parse::<Priority>().expect_err(wrong).to_string();
            assert!(fault.contains("\"1 - Critical\", \"2 - High\", \"3 - Medium\", \"4 - Low\""), "{fault}");
        }
    }

    #[test]
    fn a_19_other_follow_up_methods_are_refused() {
        assert!("Phone Call".parse::<FollowUp>().is_ok());
        assert_eq!("phone call".parse::<FollowUp>(), Err(FormFault::FollowUp));
    }

    #[test]
    fn a_21_an_invalid_cc_address_is_refused_by_name() {
        assert!("noc+night@north.example".parse::<MailAddress>().is_ok());
        for wrong in ["noc", "@north.example", "noc@", "noc@north", "a b@north.example", "noc@-north.example"] {
            let fault = wrong.parse::<MailAddress>().expect_err(wrong).to_string();
            assert!(fault.contains(wrong), "{fault}");
        }
    }

    #[test]
    fn a_form_takes_from_the_defaults_what_it_leaves_out() {
        let defaults = Form { priority: Some(Priority::Low), site_id: Some("B1".into()), ..Form::default() };
        let form = Form { priority: Some(Priority::High), ..Form::default() }.or(&defaults);
        assert_eq!((form.priority, form.site_id.as_deref()), (Some(Priority::High), Some("B1")));
    }

    #[test]
    fn what_a_newer_peer_adds_is_left_alone_and_what_a_person_misspells_is_not() {
        let text = r#"{"site_id": "B1", "urgency": "red"}"#;
        assert_eq!(serde_json::from_str::<Form>(text).unwrap().site_id.as_deref(), Some("B1"));
        let fault = strict(&mut serde_json::Deserializer::from_str(text)).unwrap_err().to_string();
        assert!(fault.contains("urgency"), "{fault}");
        let whole = Form {
            priority: Some(Priority::Low),
            follow_up: Some(FollowUp::Phone),
            cc: vec!["noc@north.example".parse().unwrap()],
            tracking_number: Some("T".into()),
            site_id: Some("B1".into()),
            comment: Some("c".into()),
            contact: Some(Person::at("anna@north.example".parse().unwrap())),
            recipient: Some("rita@partner.example".parse().unwrap()),
            link: None,
        };
        let text = serde_json::to_string(&whole).unwrap();
        assert_eq!(strict(&mut serde_json::Deserializer::from_str(&text)).unwrap(), whole);
    }

    #[test]
    fn a_forms_texts_are_bounded() {
        let form = Form { tracking_number: Some("x".repeat(65)), ..Form::default() };
        assert!(form.check().is_err());
        let form = Form { comment: Some("\u{7}".into()), ..Form::default() };
        assert!(form.check().is_err());
    }
}
