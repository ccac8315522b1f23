//! The site that we submit to, as a trait and as an HTTP client.

mod error;
mod http;

use std::time::Duration;

use async_trait::async_trait;

use crate::case::ExchangeId;
use crate::protocol::{
    DigestPage, ExchangePage, OperationAnswer, OperationBatch, SiteAnswer, TransactionList, UpdateAnswer,
};

pub use error::PeerError;
pub use http::HttpUpstream;

/// The calls of the wire protocol, from a client's end.
#[async_trait]
pub trait Upstream: Send + Sync {
    async fn site(&self) -> Result<SiteAnswer, PeerError>;

    async fn operations(&self, batch: &OperationBatch) -> Result<OperationAnswer, PeerError>;

    /// The transactions of at most [`crate::protocol::TRANSACTION_LIMIT`] exchanges.
    async fn transactions(&self, exchanges: &[ExchangeId]) -> Result<TransactionList, PeerError>;

    /// Waits up to `wait` for news after the cursor.
    async fn updates(&self, after: &str, wait: Duration, limit: usize) -> Result<UpdateAnswer, PeerError>;

    async fn exchanges(&self, after: Option<ExchangeId>, limit: usize) -> Result<ExchangePage, PeerError>;

    /// At most [`crate::protocol::TRANSACTION_LIMIT`] exchanges with their records; asked of a peer that has `reconcile`.
    async fn exchanges_of(&self, exchanges: &[ExchangeId]) -> Result<ExchangePage, PeerError>;

    /// Digests over the exchanges after the first and up to the second; asked of a peer that has `reconcile`.
    async fn digests(&self, after: Option<ExchangeId>, through: Option<ExchangeId>) -> Result<DigestPage, PeerError>;
}
