//! The engine, as the inbox sees it.

use super::{Awaited, DepositError, Deposited, Depositor};
use crate::case::Deposit;
use crate::exchange::{Engine, EngineError};
use crate::store::StoreError;

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

    async fn add_attachment(&self, id: i64, content: Vec<u8>) -> Result<(), DepositError> {
        Engine::add_attachment(self, id, content).await.map_err(fault)
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
