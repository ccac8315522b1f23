//! The engine, as the inbox sees it.

use std::path::Path;

use super::{Awaited, Begun, DepositError, Deposited, Depositor};
use crate::case::{ContentDigest, Deposit};
use crate::exchange::{Engine, EngineError};
use crate::store::{Appended, StoreError};

#[async_trait::async_trait]
impl Depositor for Engine {
    async fn deposit(&self, deposits: Vec<Deposit>) -> Result<Vec<Deposited>, DepositError> {
        let deposited = Engine::deposit(self, deposits).await.map_err(fault)?;
        Ok(deposited.into_iter().map(|one| Deposited { incident: one.incident, new: one.new }).collect())
    }

    async fn awaited_attachments(&self, after: i64, limit: usize) -> Result<Vec<Awaited>, DepositError> {
        let awaited = Engine::awaited_attachments(self, after, limit).await.map_err(fault)?;
        Ok(awaited
            .into_iter()
            .map(|one| Awaited {
                id: one.id,
                incident: one.incident,
                host_event_id: one.host_event_id,
                name: one.name,
                group: one.group,
            })
            .collect())
    }

    async fn begin_content(&self, sha256: &ContentDigest, bytes: u64) -> Result<Begun, DepositError> {
        let begun = Engine::begin_content(self, sha256, bytes).await.map_err(fault)?;
        Ok(Begun { content: begun.content, received: begun.received })
    }

    async fn append(&self, content: i64, start: u64, piece: Vec<u8>) -> Result<(), DepositError> {
        match Engine::append(self, content, start, piece).await.map_err(fault)? {
            Appended::Part(_) | Appended::Complete => Ok(()),
            Appended::Elsewhere(_) | Appended::WrongDigest => {
                Err(DepositError::Transient("the file changed while it was read".into()))
            }
        }
    }

    async fn add_attachment(&self, id: i64, content: i64) -> Result<(), DepositError> {
        Engine::add_attachment(self, id, content).await.map_err(fault)
    }

    fn blocked(&self, dir: &Path, reason: Option<&str>) {
        self.inbox_blocked(dir, reason);
    }
}

/// A lock and a full disk pass; what the store itself refuses, such as a broken rule of its schema, does not.
fn fault(error: EngineError) -> DepositError {
    match error {
        EngineError::Store(StoreError::Busy(reason)) => DepositError::Transient(reason),
        EngineError::Store(StoreError::Failed(reason)) if reason.contains("CHECK constraint") => {
            DepositError::Refused(reason)
        }
        other => DepositError::Transient(other.to_string()),
    }
}
