//! Cases for the people who work on them: `list` finds them, `read` makes records of rows, `write` changes what a case has
//! beside its incident record, `documents` are the files that people put to it, `words` keeps the index of titles.

mod documents;
mod list;
mod read;
mod words;
mod write;

use std::collections::HashMap;

use async_trait::async_trait;

use super::SqliteStore;
use crate::case::{HistoryLine, IncidentId, Instance, UserName};
use crate::store::{CasePage, CaseQuery, CaseStore, Document, Put, StoreError, StoredDocument};
use crate::telemetry::CrashPoint;

pub use write::{edit, revises, set_columns};

#[async_trait]
impl CaseStore for SqliteStore {
    async fn cases(&self, query: &CaseQuery) -> Result<CasePage, StoreError> {
        if list::looks_for_words(query) {
            words::catch_up(self).await?;
        }
        // One picture: a row and its marks belong together.
        let mut connection = self.readers.begin().await?;
        list::list(&mut connection, query).await
    }

    async fn instances(
        &self,
        incidents: &[IncidentId],
    ) -> Result<HashMap<IncidentId, Result<Instance, String>>, StoreError> {
        let mut connection = self.readers.begin().await?;
        read::instances(&mut connection, incidents).await
    }

    async fn looked_at(
        &self,
        incident: IncidentId,
        user: &UserName,
        revision: Option<i64>,
    ) -> Result<Option<i64>, StoreError> {
        let user = user.clone();
        self.in_transaction(CrashPoint::StoreWritten, move |connection| {
            Box::pin(write::looked_at(connection, incident, user, revision))
        })
        .await
    }

    async fn document(&self, incident: IncidentId, name: &str) -> Result<Option<StoredDocument>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        documents::document(&mut connection, incident, name).await
    }

    async fn put_document(&self, document: Document, line: HistoryLine) -> Result<Put, StoreError> {
        self.in_transaction(CrashPoint::AttachmentAdded, move |connection| {
            Box::pin(documents::put(connection, document, line))
        })
        .await
    }

    async fn remove_document(
        &self,
        incident: IncidentId,
        name: &str,
        revision: Option<i64>,
        line: HistoryLine,
    ) -> Result<Put, StoreError> {
        let name = name.to_owned();
        self.in_transaction(CrashPoint::StoreWritten, move |connection| {
            Box::pin(documents::remove(connection, incident, name, revision, line))
        })
        .await
    }
}
