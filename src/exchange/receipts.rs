//! Receipts (H-07): each site signs for what it has received from the other. They are made from the histories, where every
//! operation stands with its digest, and go apart from the operations: a missing, late or wrong one holds up nothing, and
//! a crash at any instant loses none.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, error, warn};

use super::{Engine, EngineError};
use crate::case::evidence::{Endorsement, PublicKey, Receipt, Received};
use crate::case::{Alias, ExchangeId, Towards};
use crate::peer::Upstream;
use crate::protocol::site::capability;
use crate::protocol::{ProblemType, ReceiptAnswer, ReceiptTaken};
use crate::state::{ExchangeKey, View};
use crate::store::history::OnTheWay;

/// Rounds of one pass: so many receipts go in one direction before others are served.
const ROUNDS: usize = 20;

impl Engine {
    /// Returns when there may be receipts to exchange, at the latest after `longest`.
    pub async fn wait_for_receipts(&self, longest: Duration) {
        let _ = tokio::time::timeout(longest, self.0.receipts_due.notified()).await;
    }

    /// Gets the upstream's receipts and hands in our own; says of which operations there is none.
    pub async fn exchange_receipts(&self) -> Result<(), EngineError> {
        self.note_own_key().await?;
        if let (Some((alias, upstream)), true) = (self.upstream(), self.upstream_is_up()) {
            let peer = alias.clone();
            let record = self.state().read(move |view| view.peer(&peer)).await?;
            if record.capabilities.iter().any(|one| one == capability::RECEIPTS) {
                self.meet_upstream_key(&alias).await?;
                // Trouble with the connection is told where operations meet it.
                match self.exchange_with(&alias, &upstream).await {
                    Err(EngineError::Peer(fault)) => debug!(event = "receipts_later", peer = %alias, reason = %fault),
                    other => other?,
                }
                self.tell_missing(&alias).await?;
            }
        }
        // There may be many.
        let clients = self.settings();
        let is_time = self.0.receipts_looked.note((), Instant::now()).is_some();
        for client in clients.clients.iter().filter(|_| is_time) {
            // Older clients hand in none.
            if !self.store().keys(Some(&client.alias)).await?.is_empty() {
                self.tell_missing(&client.alias).await?;
            }
        }
        Ok(())
    }

    /// The upstream's key, as it tells it beside its name.
    async fn meet_upstream_key(&self, alias: &Alias) -> Result<(), EngineError> {
        let told = self.0.upstream_key.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((key, endorsements)) = told {
            self.meet_key(alias, key, &endorsements).await?;
        }
        Ok(())
    }

    /// Keeps what the upstream told of its key.
    pub(super) fn heard_key(&self, key: Option<PublicKey>, endorsements: Vec<Endorsement>) {
        *self.0.upstream_key.lock().unwrap_or_else(PoisonError::into_inner) = key.map(|key| (key, endorsements));
        self.0.receipts_due.notify_one();
    }

    async fn exchange_with(&self, alias: &Alias, upstream: &Arc<dyn Upstream>) -> Result<(), EngineError> {
        for _ in 0..ROUNDS {
            let marks = self.store().marks(alias).await?;
            let Some(receipt) = upstream.receipts(marks.taken, Receipt::LIMIT).await?.receipt else { break };
            let Ok(through) = self.take_receipt(alias, &receipt).await? else { break };
            if through <= marks.taken {
                break;
            }
            self.store().mark(alias, None, Some(through)).await?;
        }
        for _ in 0..ROUNDS {
            let marks = self.store().marks(alias).await?;
            let Some(receipt) = self.sign_for(alias, Towards::Client, marks.given, Receipt::LIMIT).await? else {
                break;
            };
            let through = upstream.give_receipt(&receipt).await?.through;
            let last = receipt.operations.iter().map(|one| one.number).max().unwrap_or(marks.given);
            // A peer cannot have taken what it was not given.
            let through = through.min(last);
            if through <= marks.given {
                break;
            }
            self.store().mark(alias, Some(through), None).await?;
        }
        Ok(())
    }

    /// Signs for up to `limit` operations of a peer's behind the entry numbered `after`.
    async fn sign_for(
        &self,
        peer: &Alias,
        towards: Towards,
        after: u64,
        limit: usize,
    ) -> Result<Option<Receipt>, EngineError> {
        let arrived = self.store().arrived(peer, after, limit.clamp(1, Receipt::LIMIT)).await?;
        if arrived.is_empty() {
            return Ok(None);
        }
        // Read after them: it is not behind any of them.
        let head = self.store().head().await?;
        let operations = arrived
            .into_iter()
            .map(|one| Received {
                exchange: one.exchange,
                towards,
                seq: one.seq,
                sha256: one.sha256,
                at: one.at,
                number: one.number,
            })
            .collect();
        let (key, endorsements) = self.own_key();
        let from = (self.site(), self.settings().site.alias.clone());
        let receipt = Receipt::sign(&key, from, self.now(), head, operations, endorsements);
        Ok(Some(receipt.map_err(|fault| EngineError::from(ProblemType::Internal.with(fault.to_string())))?))
    }

    /// Keeps a peer's receipt. Returns up to which of the peer's entries that is done, or why it is worth nothing.
    async fn take_receipt(&self, peer: &Alias, receipt: &Receipt) -> Result<Result<u64, String>, EngineError> {
        let is_upstream = self.settings().upstream.as_ref().is_some_and(|upstream| upstream.alias == *peer);
        let towards = if is_upstream { Towards::Upstream } else { Towards::Client };
        if let Err(fault) = receipt.check(towards) {
            self.tell_wrong(peer, &fault.to_string());
            return Ok(Err(fault.to_string()));
        }
        if !self.meet_key(peer, receipt.statement.key, &receipt.endorsements).await? {
            return Ok(Err(format!("key {} waits for a person here", receipt.statement.key.fingerprint())));
        }
        // Looked up first: what leaves the outbox stands in the history.
        let on_the_way = self.on_the_way(peer, receipt).await?;
        let taking = self.store().take_receipt(peer, receipt, &on_the_way, self.now()).await?;
        for reason in &taking.wrong {
            self.tell_wrong(peer, reason);
        }
        Ok(Ok(taking.through))
    }

    /// Operations of the receipt that this site's history does not tell of yet: the peer has them, and its answer or its
    /// cursor did not come.
    async fn on_the_way(&self, peer: &Alias, receipt: &Receipt) -> Result<OnTheWay, EngineError> {
        /// What a client may have taken without telling is at the head of its feed.
        const HEAD: usize = 10_000;
        let signed: HashSet<ExchangeId> = receipt.operations.iter().map(|one| one.exchange).collect();
        let peer = peer.clone();
        let found = move |view: View<'_>| {
            let mut found = OnTheWay::new();
            let mut client = false;
            for exchange in &signed {
                let Some(record) = view.exchange(&ExchangeKey::new(&peer, *exchange))? else { continue };
                client |= record.leg.towards() == Towards::Client;
                for position in &record.pending {
                    found.extend(view.outbox(&peer, *position)?.map(|entry| (*exchange, entry.seq)));
                }
            }
            if client {
                let head = view.outbox_after(&peer, 0, HEAD)?.into_iter().map(|(_, entry)| (entry.exchange, entry.seq));
                found.extend(head.filter(|(exchange, _)| signed.contains(exchange)));
            }
            Ok(found)
        };
        Ok(self.state().read(found).await?)
    }

    fn tell_wrong(&self, peer: &Alias, reason: &str) {
        if let Some(count) = self.0.receipts_told.note((peer.clone(), reason.to_owned()), Instant::now()) {
            error!(event = "receipt_wrong", peer = %peer, count, reason, "a receipt does not prove what it should; the exchange goes on");
        }
    }

    /// Operations that a peer took, and did not sign for in time.
    async fn tell_missing(&self, peer: &Alias) -> Result<(), EngineError> {
        const PAGE: usize = 1000;
        let within = jiff::SignedDuration::try_from(self.settings().history.receipt_within).unwrap_or_default();
        let before = self.now().checked_sub(within).unwrap_or(jiff::Timestamp::MIN);
        for _ in 0..ROUNDS {
            let unproved = self.store().look_for_unproved(peer, before, PAGE).await?;
            if let Some(entry) = unproved.first {
                let operations = unproved.operations;
                warn!(event = "receipt_missing", peer = %peer, operations, entry, "it took operations and did not sign for them in time");
            }
            if !unproved.more {
                break;
            }
        }
        Ok(())
    }

    /// What this site signs for, of a client's operations behind the entry numbered `after`.
    pub async fn receipt_for(&self, client: &Alias, after: u64, limit: usize) -> Result<ReceiptAnswer, EngineError> {
        self.note_own_key().await?;
        Ok(ReceiptAnswer { receipt: self.sign_for(client, Towards::Upstream, after, limit).await? })
    }

    /// A client hands in a receipt.
    pub async fn receipt_of(&self, client: &Alias, receipt: &Receipt) -> Result<ReceiptTaken, EngineError> {
        match self.take_receipt(client, receipt).await? {
            Ok(through) => Ok(ReceiptTaken { through }),
            Err(reason) => Err(ProblemType::Receipt.with(reason).into()),
        }
    }
}
