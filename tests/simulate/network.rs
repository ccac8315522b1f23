//! The ways between the sites. A call waits for the world on its way and on its way back; either can be lost, and what was
//! sent once can come again at any later time.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use casebridge::case::evidence::Receipt;
use casebridge::case::{Alias, ContentDigest, ExchangeId, Texts};
use casebridge::exchange::{Engine, EngineError};
use casebridge::peer::{PeerError, Upstream};
use casebridge::protocol::site::capability;
use casebridge::protocol::{
    ContentRange, DigestPage, ExchangePage, OperationAnswer, OperationBatch, OperationRequest, OperationResult,
    Outcome, ReceiptAnswer, ReceiptTaken, SiteAnswer, TransactionList, UpdateAnswer,
};
use tokio::sync::oneshot;

use super::bugs::Bug;
use super::dice::Dice;
use super::disk::Disk;
use super::executor::{Gates, Wait};
use super::shelf::Shelf;

pub type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What every way shares.
pub struct Network {
    pub aliases: Vec<Alias>,
    /// None while a site is down.
    pub engines: Mutex<Vec<Option<Engine>>>,
    pub disks: Vec<Disk>,
    pub shelves: Vec<Arc<Mutex<Shelf>>>,
    pub gates: Gates,
    pub dice: Arc<Dice>,
    pub faulty: AtomicBool,
    /// The way from each site to its upstream is cut.
    pub cut: Vec<AtomicBool>,
    /// What a site has to do for a call, on its way to the executor.
    pub mail: Mutex<Vec<(usize, Work)>>,
    pub past: Mutex<Vec<(usize, Vec<OperationRequest>)>>,
    pub carried: AtomicU64,
    pub bug: Option<Bug>,
    /// A number that nobody may know, in words.
    pub wrong: Mutex<Option<String>>,
}

impl Network {
    fn engine(&self, site: usize) -> Option<Engine> {
        self.engines.lock().unwrap()[site].clone()
    }

    fn serve(&self, site: usize, work: impl Future<Output = ()> + Send + 'static) {
        self.mail.lock().unwrap().push((site, Box::pin(work)));
    }

    /// Something that was sent before arrives once more, out of its time.
    pub fn replay(&self) {
        let past = self.past.lock().unwrap();
        let Some((from, batch)) = self.dice.pick(&past) else { return };
        drop(past);
        let Some(engine) = self.engine(from + 1) else { return };
        let client = self.aliases[from].clone();
        self.serve(from + 1, async move {
            let _ = engine.receive(&client, OperationBatch::ours(batch)).await;
        });
    }

    /// The number that an exchange's incident has at a site.
    fn transaction(&self, site: usize, exchange: ExchangeId) -> Option<casebridge::case::TransactionId> {
        let shelf = self.shelves[site].lock().unwrap();
        let has =
            |incident: &&casebridge::case::Incident| incident.references.iter().any(|one| one.exchange == exchange);
        shelf.incidents.values().find(has)?.id.to_string().parse().ok()
    }

    /// What leaves a site has to be durable there: a number that a power cut takes back could be given to something else.
    fn check_durable(&self, from: usize, to: usize, exchange: ExchangeId, seq: u64) {
        let durable = self.disks[from].durably_sent(&self.aliases[to], exchange);
        if durable < seq {
            let what = format!("operation {seq} left site {from}, whose disk knows {durable} for good");
            self.wrong.lock().unwrap().get_or_insert(what);
        }
    }
}

/// From a site to the one above.
pub struct Wire {
    pub from: usize,
    pub network: Arc<Network>,
}

impl Wire {
    fn to(&self) -> usize {
        self.from + 1
    }

    fn client(&self) -> Alias {
        self.network.aliases[self.from].clone()
    }

    async fn way(&self) -> Result<(), PeerError> {
        let network = &self.network;
        network.gates.pass(Wait::Wire(self.from)).await;
        if network.cut[self.from].load(Ordering::SeqCst) {
            return Err(PeerError::Unreachable("the way is cut".into()));
        }
        let lost = network.faulty.load(Ordering::SeqCst) && network.dice.one_in(10);
        if lost { Err(PeerError::TimedOut) } else { Ok(()) }
    }

    /// One request and its answer. The partner works on it whatever becomes of who asked.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(Engine) -> Pin<Box<dyn Future<Output = Result<T, EngineError>> + Send>> + Send + 'static,
    ) -> Result<T, PeerError> {
        self.way().await?;
        let Some(engine) = self.network.engine(self.to()) else {
            return Err(PeerError::Unreachable("nobody listens".into()));
        };
        let (sender, receiver) = oneshot::channel();
        self.network.serve(self.to(), async move {
            let _ = sender.send(work(engine).await);
        });
        let answer = receiver.await.map_err(|_| PeerError::BrokenOff("it died".into()))?;
        self.way().await?;
        answer.map_err(|error| match error {
            EngineError::Refused(problem) => PeerError::Refused { problem, retry_after: None },
            other => PeerError::BrokenOff(other.to_string()),
        })
    }
}

#[async_trait]
impl Upstream for Wire {
    async fn site(&self) -> Result<SiteAnswer, PeerError> {
        self.way().await?;
        if self.network.engine(self.to()).is_none() {
            return Err(PeerError::Unreachable("nobody listens".into()));
        }
        Ok(SiteAnswer {
            alias: self.network.aliases[self.to()].clone(),
            client: self.client(),
            version: "0".into(),
            protocol: "1.0".into(),
            time: jiff::Timestamp::UNIX_EPOCH,
            capabilities: vec![capability::RECEIPTS.into()],
            key: None,
            endorsements: Vec::new(),
        })
    }

    async fn operations(&self, batch: &OperationBatch) -> Result<OperationAnswer, PeerError> {
        let network = &self.network;
        network.carried.fetch_add(batch.operations.len() as u64, Ordering::SeqCst);
        for one in &batch.operations {
            network.dice.note(&format!("{} sends {} {}", self.from, one.exchange, one.seq));
            network.check_durable(self.from, self.to(), one.exchange, one.seq);
        }
        network.past.lock().unwrap().push((self.from, batch.operations.clone()));
        let (client, batch) = (self.client(), batch.clone());
        if network.bug == Some(Bug::AcknowledgesNothing)
            && let Some(one) = batch.operations.iter().find(|one| one.seq > 1)
            && network.dice.one_in(4)
            && let Some(transaction) = network.transaction(self.to(), one.exchange)
        {
            let outcome = Outcome::Applied { transaction };
            let one = OperationResult { exchange: one.exchange, seq: one.seq, outcome };
            return Ok(OperationAnswer { results: vec![one] });
        }
        let results = self.call(|engine| Box::pin(async move { engine.receive(&client, batch).await })).await?;
        Ok(OperationAnswer { results })
    }

    async fn transactions(&self, exchanges: &[ExchangeId]) -> Result<TransactionList, PeerError> {
        let (client, exchanges) = (self.client(), exchanges.to_vec());
        self.call(|engine| Box::pin(async move { engine.transactions(&client, exchanges).await })).await
    }

    async fn updates(&self, after: &str, _: Duration, limit: usize) -> Result<UpdateAnswer, PeerError> {
        let (client, after) = (self.client(), after.to_owned());
        let limit = if self.network.dice.one_in(3) { 2 } else { limit };
        let answer = self
            .call(move |engine| {
                Box::pin(async move {
                    let asked = engine.updates(&client, Some(&after), Duration::ZERO, limit);
                    // Nobody lets time pass: who has to wait for news has none.
                    let empty = UpdateAnswer { protocol: None, cursor: after.clone(), operations: Vec::new() };
                    super::site::at_once(asked).unwrap_or(Ok(empty))
                })
            })
            .await?;
        self.network.carried.fetch_add(answer.operations.len() as u64, Ordering::SeqCst);
        for one in &answer.operations {
            self.network.dice.note(&format!("{} hears {} {}", self.from, one.exchange, one.seq));
            self.network.check_durable(self.to(), self.from, one.exchange, one.seq);
        }
        Ok(answer)
    }

    async fn receipts(&self, after: u64, limit: usize) -> Result<ReceiptAnswer, PeerError> {
        let client = self.client();
        let limit = if self.network.dice.one_in(3) { 2 } else { limit };
        self.call(move |engine| Box::pin(async move { engine.receipt_for(&client, after, limit).await })).await
    }

    async fn give_receipt(&self, receipt: &Receipt) -> Result<ReceiptTaken, PeerError> {
        let (client, receipt) = (self.client(), receipt.clone());
        self.call(move |engine| Box::pin(async move { engine.receipt_of(&client, &receipt).await })).await
    }

    async fn exchanges(&self, after: Option<ExchangeId>, limit: usize) -> Result<ExchangePage, PeerError> {
        let client = self.client();
        self.call(move |engine| Box::pin(async move { engine.exchanges(&client, after, limit).await })).await
    }

    async fn exchanges_of(&self, exchanges: &[ExchangeId], texts: Texts) -> Result<ExchangePage, PeerError> {
        let (client, exchanges) = (self.client(), exchanges.to_vec());
        self.call(move |engine| Box::pin(async move { engine.exchanges_of(&client, &exchanges, texts).await })).await
    }

    async fn digests(
        &self,
        after: Option<ExchangeId>,
        through: Option<ExchangeId>,
        texts: Texts,
    ) -> Result<DigestPage, PeerError> {
        let client = self.client();
        self.call(move |engine| Box::pin(async move { engine.digests(&client, after, through, texts).await })).await
    }

    async fn attachment_offset(&self, _: ExchangeId, _: &ContentDigest) -> Result<Option<u64>, PeerError> {
        Ok(None)
    }

    async fn put_attachment(
        &self,
        _: ExchangeId,
        _: &ContentDigest,
        range: ContentRange,
        _: Vec<u8>,
    ) -> Result<u64, PeerError> {
        Ok(range.end)
    }

    async fn get_attachment(&self, _: ExchangeId, _: &ContentDigest, _: u64, _: u64) -> Result<Vec<u8>, PeerError> {
        Ok(Vec::new())
    }
}
