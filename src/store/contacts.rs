//! The people whom cases are passed between. Who they are comes with the records themselves, and is written with them; here
//! they are read.

use async_trait::async_trait;

use super::StoreError;
use crate::case::{Alias, CaseRole, Contact, ContactAddress, IncidentId};

/// Which contacts.
#[derive(Debug, Clone, Default)]
pub struct ContactQuery {
    pub address: Option<ContactAddress>,
    /// Those of which the address alone is known, or the others.
    pub temporary: Option<bool>,
    /// Those behind this number.
    pub after: i64,
    pub limit: usize,
}

/// A contact, and what hangs on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactDetail {
    pub contact: Contact,
    /// The peer that told the names; none of this site's own people.
    pub origin: Option<Alias>,
    /// The newest cases first.
    pub cases: Vec<(IncidentId, CaseRole)>,
    /// What was told and not taken over, each with who told it (H-02).
    pub differences: Vec<(Option<Alias>, String)>,
}

#[async_trait]
pub trait ContactStore: Send + Sync {
    /// In the order of their numbers.
    async fn contacts(&self, query: &ContactQuery) -> Result<Vec<ContactDetail>, StoreError>;

    /// Who hands a case over, and who gets it.
    async fn people(&self, incident: IncidentId) -> Result<Vec<(CaseRole, Contact)>, StoreError>;
}
