//! The site that we submit to, as a trait and as an HTTP client.

mod error;
mod http;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::case::evidence::Receipt;
use crate::case::{ContentDigest, ExchangeId, Texts};
use crate::protocol::{
    ContentRange, DigestPage, ExchangePage, OperationAnswer, OperationBatch, ReceiptAnswer, ReceiptTaken, SiteAnswer,
    TransactionList, UpdateAnswer,
};

pub use error::PeerError;
pub use http::HttpUpstream;

/// The calls of the wire protocol, from a client's end.
#[async_trait]
pub trait Upstream: Send + Sync {
    async fn site(&self) -> Result<SiteAnswer, PeerError>;

    /// When the certificate ends that it showed last.
    fn certificate_ends(&self) -> Option<Timestamp> {
        None
    }

    async fn operations(&self, batch: &OperationBatch) -> Result<OperationAnswer, PeerError>;

    /// The transactions of at most [`crate::protocol::TRANSACTION_LIMIT`] exchanges.
    async fn transactions(&self, exchanges: &[ExchangeId]) -> Result<TransactionList, PeerError>;

    /// Waits up to `wait` for news after the cursor.
    async fn updates(&self, after: &str, wait: Duration, limit: usize) -> Result<UpdateAnswer, PeerError>;

    /// What it signs for, of our operations that its history has behind the entry numbered `after`; asked of a peer that
    /// has `receipts`.
    async fn receipts(&self, _after: u64, _limit: usize) -> Result<ReceiptAnswer, PeerError> {
        Ok(ReceiptAnswer { receipt: None })
    }

    /// Hands in what we sign for.
    async fn give_receipt(&self, _receipt: &Receipt) -> Result<ReceiptTaken, PeerError> {
        Ok(ReceiptTaken { through: 0 })
    }

    async fn exchanges(&self, after: Option<ExchangeId>, limit: usize) -> Result<ExchangePage, PeerError>;

    /// At most [`crate::protocol::TRANSACTION_LIMIT`] exchanges with their records; asked of a peer that has `reconcile`.
    async fn exchanges_of(&self, exchanges: &[ExchangeId], texts: Texts) -> Result<ExchangePage, PeerError>;

    /// Digests over the exchanges after the first and up to the second; asked of a peer that has `reconcile`.
    async fn digests(
        &self,
        after: Option<ExchangeId>,
        through: Option<ExchangeId>,
        texts: Texts,
    ) -> Result<DigestPage, PeerError>;

    /// How many bytes of a file it has; none where the exchange awaits no such file.
    async fn attachment_offset(&self, exchange: ExchangeId, sha256: &ContentDigest) -> Result<Option<u64>, PeerError>;

    /// Hands over one piece. Returns how many bytes it has after that.
    async fn put_attachment(
        &self,
        exchange: ExchangeId,
        sha256: &ContentDigest,
        range: ContentRange,
        piece: Vec<u8>,
    ) -> Result<u64, PeerError>;

    /// Up to `most` bytes of a file that it announced, from `start` on.
    async fn get_attachment(
        &self,
        exchange: ExchangeId,
        sha256: &ContentDigest,
        start: u64,
        most: u64,
    ) -> Result<Vec<u8>, PeerError>;
}
