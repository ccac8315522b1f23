//! The way from north to the partner, in one process: it can be cut, and the partner can be down.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use casebridge::case::{ContentDigest, ExchangeId, Texts};
use casebridge::exchange::{Engine, EngineError};
use casebridge::peer::{PeerError, Upstream};
use casebridge::protocol::{
    ContentRange, DigestPage, ExchangePage, OperationAnswer, OperationBatch, SiteAnswer, TransactionList, UpdateAnswer,
};

#[derive(Default)]
pub struct Line {
    pub engine: Mutex<Option<Engine>>,
    cut: AtomicBool,
}

impl Line {
    pub fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }

    fn partner(&self) -> Result<Engine, PeerError> {
        let engine = self.engine.lock().unwrap().clone();
        match engine.filter(|_| !self.cut.load(Ordering::SeqCst)) {
            Some(engine) => Ok(engine),
            None => Err(PeerError::Unreachable("nobody listens".into())),
        }
    }
}

/// What north holds of it.
pub struct End(pub Arc<Line>);

fn failed(error: EngineError) -> PeerError {
    match error {
        EngineError::Refused(problem) => PeerError::Refused { problem, retry_after: None },
        other => PeerError::BrokenOff(other.to_string()),
    }
}

fn north() -> casebridge::case::Alias {
    "north".parse().unwrap()
}

#[async_trait]
impl Upstream for End {
    async fn site(&self) -> Result<SiteAnswer, PeerError> {
        self.0.partner()?;
        Ok(SiteAnswer {
            alias: "partner".parse().unwrap(),
            client: north(),
            version: "0".into(),
            protocol: "1.0".into(),
            time: jiff::Timestamp::UNIX_EPOCH,
            capabilities: Vec::new(),
            key: None,
            endorsements: Vec::new(),
        })
    }

    async fn operations(&self, batch: &OperationBatch) -> Result<OperationAnswer, PeerError> {
        let results = self.0.partner()?.receive(&north(), batch.clone()).await.map_err(failed)?;
        Ok(OperationAnswer { results })
    }

    async fn transactions(&self, exchanges: &[ExchangeId]) -> Result<TransactionList, PeerError> {
        self.0.partner()?.transactions(&north(), exchanges.to_vec()).await.map_err(failed)
    }

    async fn updates(&self, after: &str, _: Duration, limit: usize) -> Result<UpdateAnswer, PeerError> {
        self.0.partner()?.updates(&north(), Some(after), Duration::ZERO, limit).await.map_err(failed)
    }

    async fn exchanges(&self, after: Option<ExchangeId>, limit: usize) -> Result<ExchangePage, PeerError> {
        self.0.partner()?.exchanges(&north(), after, limit).await.map_err(failed)
    }

    async fn exchanges_of(&self, exchanges: &[ExchangeId], texts: Texts) -> Result<ExchangePage, PeerError> {
        self.0.partner()?.exchanges_of(&north(), exchanges, texts).await.map_err(failed)
    }

    async fn digests(
        &self,
        after: Option<ExchangeId>,
        through: Option<ExchangeId>,
        texts: Texts,
    ) -> Result<DigestPage, PeerError> {
        self.0.partner()?.digests(&north(), after, through, texts).await.map_err(failed)
    }

    async fn attachment_offset(&self, _: ExchangeId, _: &ContentDigest) -> Result<Option<u64>, PeerError> {
        Ok(None)
    }

    async fn put_attachment(
        &self,
        _: ExchangeId,
        _: &ContentDigest,
        _: ContentRange,
        _: Vec<u8>,
    ) -> Result<u64, PeerError> {
        Ok(0)
    }

    async fn get_attachment(&self, _: ExchangeId, _: &ContentDigest, _: u64, _: u64) -> Result<Vec<u8>, PeerError> {
        Ok(Vec::new())
    }
}
