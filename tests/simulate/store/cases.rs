//! What cases have beside their records, for the people who work on them. Nobody lists cases here.

use std::collections::HashMap;

use async_trait::async_trait;
use casebridge::case::{HistoryLine, IncidentId, Instance, UserName};
use casebridge::store::{CasePage, CaseQuery, CaseStore, Document, Put, StoreError, StoredDocument};

use super::Store;
use super::absent::no_files;
use crate::executor::Wait;

#[async_trait]
impl CaseStore for Store {
    async fn cases(&self, _: &CaseQuery) -> Result<CasePage, StoreError> {
        Ok(CasePage::default())
    }

    async fn instances(
        &self,
        incidents: &[IncidentId],
    ) -> Result<HashMap<IncidentId, Result<Instance, String>>, StoreError> {
        self.gates.pass(Wait::Disk(self.index)).await;
        Ok(self.read(|shelf| {
            let there = incidents.iter().filter(|id| shelf.incidents.contains_key(id));
            there.map(|id| (*id, Ok(shelf.instances.get(id).cloned().unwrap_or_default()))).collect()
        }))
    }

    async fn looked_at(&self, _: IncidentId, _: &UserName, _: Option<i64>) -> Result<Option<i64>, StoreError> {
        Ok(None)
    }

    async fn document(&self, _: IncidentId, _: &str) -> Result<Option<StoredDocument>, StoreError> {
        Ok(None)
    }

    async fn put_document(&self, _: Document, _: HistoryLine) -> Result<Put, StoreError> {
        no_files()
    }

    async fn remove_document(&self, _: IncidentId, _: &str, _: Option<i64>, _: HistoryLine) -> Result<Put, StoreError> {
        no_files()
    }
}
