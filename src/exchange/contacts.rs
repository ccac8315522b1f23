//! The people whom cases are passed between, as people ask for them (H-01 to H-05).

use super::work::form;
use super::{Engine, EngineError};
use crate::case::{Alias, CaseRole, ContactAddress, IncidentId, NotAnAddress};
use crate::protocol::{CaseContact, ContactAnswer, ContactCase, ContactDifference, ContactPage, ContactsQuery};
use crate::store::{ContactDetail, ContactQuery};

impl Engine {
    /// One page of contacts, in the order in which they came.
    pub async fn contacts(&self, query: &ContactsQuery) -> Result<ContactPage, EngineError> {
        const LIMIT: usize = 1000;
        let address: Option<ContactAddress> = query
            .address
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|fault: NotAnAddress| form(fault.to_string()))?;
        let limit = query.limit.unwrap_or(100).clamp(1, LIMIT);
        let after = query.after.unwrap_or(0);
        let found = self.store().contacts(&ContactQuery { address, temporary: query.temporary, after, limit }).await?;
        let next = found.last().map(|one| one.contact.id).filter(|_| found.len() == limit);
        Ok(ContactPage { contacts: found.into_iter().map(answer).collect(), next })
    }

    /// Who hands a case over, and who gets it.
    pub(super) async fn people(&self, id: IncidentId) -> Result<Vec<CaseContact>, EngineError> {
        let people = self.store().people(id).await?;
        Ok(people.into_iter().map(|(role, contact)| CaseContact::of(role, contact)).collect())
    }
}

fn answer(detail: ContactDetail) -> ContactAnswer {
    let ContactDetail { contact, origin, cases, differences } = detail;
    let case = |(incident, role): (IncidentId, CaseRole)| ContactCase { incident: incident.0, role };
    let told = |alias: Option<Alias>| alias.map(|alias| alias.to_string());
    ContactAnswer {
        contact: contact.id,
        temporary: contact.is_temporary(),
        address: contact.address.into(),
        first_name: contact.first_name,
        last_name: contact.last_name,
        phone: contact.phone,
        told_by: told(origin),
        cases: cases.into_iter().map(case).collect(),
        differences: differences
            .into_iter()
            .map(|(by, text)| ContactDifference { told_by: told(by), told: text })
            .collect(),
    }
}
