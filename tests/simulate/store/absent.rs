//! What there is none of in this world: files, forms, contacts.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use casebridge::case::{Alias, CaseRole, Contact, ContentDigest, ExchangeId, IncidentId, Party, PassTag, Transfer};
use casebridge::store::{
    Appended, AttachmentStore, Begun, ContactDetail, ContactQuery, ContactStore, DueAttachment, Expected, FailedFile,
    FilledForm, Intake, LinkRule, Moving, Offered, PageStore, Prepared, SentMail, StoreError, TakenMail, UsedPass,
};
use jiff::Timestamp;

use super::Store;

pub fn no_files<T>() -> Result<T, StoreError> {
    Err(StoreError::Failed("there are no files in this world".into()))
}

#[async_trait]
impl AttachmentStore for Store {
    async fn due_attachments(&self, _: usize) -> Result<Vec<DueAttachment>, StoreError> {
        Ok(Vec::new())
    }

    async fn prepared(&self, _: i64, _: Prepared, _: Timestamp) -> Result<(), StoreError> {
        no_files()
    }

    async fn uploads(&self, _: &Alias, _: i64, _: usize) -> Result<Vec<Moving>, StoreError> {
        Ok(Vec::new())
    }

    async fn downloads(&self, _: &Alias, _: i64, _: usize) -> Result<Vec<Moving>, StoreError> {
        Ok(Vec::new())
    }

    async fn expected(&self, _: &Alias, _: ExchangeId, _: &ContentDigest) -> Result<Option<Expected>, StoreError> {
        Ok(None)
    }

    async fn offered(&self, _: &Alias, _: ExchangeId, _: &ContentDigest) -> Result<Option<Offered>, StoreError> {
        Ok(None)
    }

    async fn content(&self, _: i64, _: u64, _: usize) -> Result<Vec<u8>, StoreError> {
        no_files()
    }

    async fn append(&self, _: i64, _: u64, _: Vec<u8>, _: Timestamp) -> Result<Appended, StoreError> {
        no_files()
    }

    async fn begin_content(&self, _: &ContentDigest, _: u64) -> Result<Begun, StoreError> {
        no_files()
    }

    async fn gone(&self, _: i64, _: Result<(), String>, _: Timestamp) -> Result<(), StoreError> {
        no_files()
    }

    async fn served(&self, _: i64, _: u64, _: u64, _: Timestamp) -> Result<(), StoreError> {
        no_files()
    }

    async fn given_up(&self, _: i64, _: String, _: Timestamp) -> Result<(), StoreError> {
        no_files()
    }

    async fn announced_files(
        &self,
        _: &Alias,
        _: &[IncidentId],
    ) -> Result<HashMap<IncidentId, BTreeMap<String, ContentDigest>>, StoreError> {
        Ok(HashMap::new())
    }

    async fn ready_again(&self, _: IncidentId, _: &Alias, _: Vec<String>) -> Result<(), StoreError> {
        no_files()
    }

    async fn failed_files(&self, _: Option<IncidentId>, _: usize) -> Result<Vec<FailedFile>, StoreError> {
        Ok(Vec::new())
    }

    async fn retry_files(&self, _: Option<IncidentId>, _: &str, _: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn transfers(&self, _: IncidentId) -> Result<Vec<Transfer>, StoreError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl PageStore for Store {
    async fn take_mail(&self, _: Intake, _: LinkRule, _: Timestamp) -> Result<TakenMail, StoreError> {
        Ok(TakenMail::TooMany)
    }

    async fn intake(&self, _: i64) -> Result<Option<Intake>, StoreError> {
        Ok(None)
    }

    async fn take_form(&self, _: FilledForm) -> Result<IncidentId, StoreError> {
        Err(StoreError::Failed("there are no forms here".into()))
    }

    async fn party(&self, incident: IncidentId, party: i64) -> Result<Option<Party>, StoreError> {
        Ok(self.read(|shelf| shelf.mails.party(incident, party)))
    }

    async fn sent_mails(&self, _: &[i64]) -> Result<Vec<SentMail>, StoreError> {
        Ok(Vec::new())
    }

    async fn mail_bounced(&self, _: i64, _: Timestamp) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn used_pass(&self, tag: PassTag) -> Result<Option<UsedPass>, StoreError> {
        Ok(self.read(|shelf| shelf.passes.get(&tag).copied()))
    }
}

/// The simulated sites know nobody.
#[async_trait]
impl ContactStore for Store {
    async fn contacts(&self, _: &ContactQuery) -> Result<Vec<ContactDetail>, StoreError> {
        Ok(Vec::new())
    }

    async fn people(&self, _: IncidentId) -> Result<Vec<(CaseRole, Contact)>, StoreError> {
        Ok(Vec::new())
    }
}
