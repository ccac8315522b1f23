//! The incident form: what somebody wrote, and what is wrong with it.

use super::body::Fields;
use super::words::Words;
use crate::case::text::{line, paragraph};
use crate::case::{Deposit, Event, Form, Kind, MailAddress, Priority};

/// The longest values, in bytes.
pub const TITLE: usize = 200;
pub const TEXT: usize = 16_384;
const DEVICE: usize = 128;
const CONTACT: usize = 200;

/// What stands in the fields, right or wrong: it is shown again until it is right.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IncidentForm {
    pub title: String,
    pub description: String,
    pub device: String,
    pub priority: String,
    pub contact: String,
    /// A mail address.
    pub also: String,
}

/// What is wrong with each field, in the words of a language.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    pub title: Option<&'static str>,
    pub description: Option<&'static str>,
    pub device: Option<&'static str>,
    pub priority: Option<&'static str>,
    pub contact: Option<&'static str>,
    pub also: Option<&'static str>,
}

impl Faults {
    pub fn any(&self) -> bool {
        [self.title, self.description, self.device, self.priority, self.contact, self.also].iter().any(Option::is_some)
    }
}

impl IncidentForm {
    pub fn of(fields: &Fields) -> Self {
        let line = |name| fields.get(name).trim().replace('\t', " ");
        Self {
            title: line("title"),
            description: fields.get("description").trim().to_owned(),
            device: line("device"),
            priority: line("priority"),
            contact: line("contact"),
            also: line("also"),
        }
    }

    /// The priority as the form names it: by its digit.
    fn priority(&self) -> Option<Priority> {
        Priority::ALL.into_iter().find(|priority| priority.as_str().split(' ').next() == Some(&self.priority))
    }

    /// Who else is to be told.
    pub fn also(&self) -> Option<MailAddress> {
        self.also.parse().ok().filter(|address: &MailAddress| address.as_str().is_ascii())
    }

    pub fn check(&self, words: &'static Words) -> Faults {
        let wrong = |is_right: bool, words| (!is_right).then_some(words);
        let optional = |text: &str, limit| text.is_empty() || line(text, limit).is_ok();
        Faults {
            title: wrong(line(&self.title, TITLE).is_ok(), words.title_fault),
            description: wrong(is_text(&self.description), words.text_fault),
            device: wrong(optional(&self.device, DEVICE), words.line_fault),
            priority: wrong(self.priority().is_some(), words.priority_fault),
            contact: wrong(optional(&self.contact, CONTACT), words.line_fault),
            also: wrong(self.also.is_empty() || self.also().is_some(), words.also_fault),
        }
    }

    /// What the form means, once nothing is wrong with it: held, since support looks at it first.
    pub fn deposit(&self, intake: i64) -> Deposit {
        let mut event = Event {
            host_event_id: format!("form-{intake}"),
            kind: Kind::OnDemand,
            synopsis: self.title.clone(),
            description: self.description.clone(),
            priority: self.priority(),
            device: Some(self.device.clone()).filter(|device| !device.is_empty()),
            ..Event::default()
        };
        if !self.contact.is_empty() {
            event.manifest.insert("contact".into(), self.contact.clone());
        }
        let form = Form { priority: self.priority(), ..Form::default() };
        Deposit { event, form, hold: true, ..Deposit::default() }
    }
}

/// A text that somebody has to write.
pub fn is_text(text: &str) -> bool {
    !text.trim().is_empty() && paragraph(text, TEXT).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::words::ENGLISH;
    use super::*;

    fn filled() -> IncidentForm {
        IncidentForm {
            title: "No dial tone".into(),
            description: "Since ten.\nAll phones.".into(),
            device: String::new(),
            priority: "2".into(),
            contact: "Anna, +33 1 23 45 67 89".into(),
            also: "help@integrator.example".into(),
        }
    }

    #[test]
    fn r_02_a_form_is_right_or_each_wrong_field_is_named() {
        assert!(!filled().check(&ENGLISH).any());
        let wrong = IncidentForm {
            title: "two\nlines".into(),
            description: " ".into(),
            device: "x".repeat(129),
            priority: "5".into(),
            contact: "\u{202e}".into(),
            also: "help@integrator".into(),
        };
        let faults = wrong.check(&ENGLISH);
        let each = [faults.title, faults.description, faults.device, faults.priority, faults.contact, faults.also];
        assert!(each.iter().all(Option::is_some), "{each:?}");
        assert!(IncidentForm { title: "x".repeat(TITLE + 1), ..filled() }.check(&ENGLISH).any());
        assert!(IncidentForm { description: "x".repeat(TEXT + 1), ..filled() }.check(&ENGLISH).any());
    }

    #[test]
    fn r_02_what_a_form_says_stands_in_the_incident() {
        let deposit = filled().deposit(7);
        assert_eq!((deposit.event.check(), deposit.form.check(), deposit.hold), (Ok(()), Ok(()), true));
        assert_eq!(deposit.event.priority, Some(Priority::High));
        assert_eq!(deposit.event.host_event_id, "form-7");
        assert_eq!(deposit.event.manifest["contact"], "Anna, +33 1 23 45 67 89");
    }
}
