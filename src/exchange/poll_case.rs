//! The waits that are asked about directly: the transaction ID after "received", and a case without news for long.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use super::health::elapsed;
use super::push::{Task, What};
use super::settle;
use super::{Engine, EngineError};
use crate::case::{Alias, ExchangeId, Leg, Upward};
use crate::peer::Upstream;
use crate::protocol::{TRANSACTION_LIMIT, TransactionAnswer, TransactionStep};
use crate::state::PeerRecord;

/// Why an exchange is parked that the upstream once had.
pub(super) const FORGOTTEN: &str = "the peer does not know this exchange any more";

impl Engine {
    pub(super) async fn ask_transactions(
        &self,
        alias: &Alias,
        upstream: &Arc<dyn Upstream>,
        tasks: Vec<Task>,
    ) -> Result<(), EngineError> {
        let mut tasks = tasks.into_iter().peekable();
        while tasks.peek().is_some() {
            let page: Vec<Task> = tasks.by_ref().take(TRANSACTION_LIMIT).collect();
            let ids: Vec<ExchangeId> = page.iter().map(|task| task.key.exchange).collect();
            let answers = upstream.transactions(&ids).await?.transactions;
            self.take_transaction_answers(alias, page, answers).await?;
        }
        Ok(())
    }

    /// Asks for every open case that was without news for longer than `check_after`. Returns how many those were.
    pub async fn check_silent(&self) -> Result<usize, EngineError> {
        /// Exchanges read in one go.
        const PAGE: usize = 500;
        let Some((alias, upstream)) = self.upstream() else { return Ok(0) };
        if !self.upstream_is_up() {
            return Ok(0);
        }
        let span = self.settings().upstream.as_ref().map_or(Duration::MAX, |upstream| upstream.check_after);
        let (mut after, mut count) = (None, 0);
        loop {
            let (peer, now) = (alias.clone(), self.now());
            let page = self.state().read(move |view| view.exchanges_after(&peer, after, PAGE)).await?;
            let Some((last, _)) = page.last() else { return Ok(count) };
            after = Some(last.exchange);
            let silent: Vec<Task> = page
                .into_iter()
                .filter(|(_, record)| {
                    let waits = matches!(
                        &record.leg,
                        Leg::Upward { step: Upward::AwaitingCase { .. } | Upward::Open { .. }, .. }
                    );
                    // Heard of in the future: the clock went back, and nobody knows how long ago that was.
                    let silent = elapsed(record.heard, now) >= span || record.heard > now;
                    waits && record.parked.is_none() && record.pending.is_empty() && silent
                })
                .map(|(key, record)| Task { key, record, what: What::Ask, asked: None })
                .collect();
            count += silent.len();
            self.ask_transactions(&alias, &upstream, silent).await?;
        }
    }

    async fn take_transaction_answers(
        &self,
        alias: &Alias,
        page: Vec<Task>,
        answers: Vec<TransactionAnswer>,
    ) -> Result<(), EngineError> {
        let mut acknowledged = Vec::new();
        let mut unknown = Vec::new();
        for task in page {
            let answer = answers.iter().find(|answer| answer.exchange == task.key.exchange);
            let waits = matches!(task.record.leg, Leg::Upward { step: Upward::AwaitingTransaction, .. });
            match answer {
                None if waits => {
                    // Lost with the peer's state, before it stood in the peer's store. Sent twice, it opens one case.
                    let key = task.key.clone();
                    if self.state().transact(move |transaction| settle::forgotten(transaction, &key)).await? {
                        self.postpone(&task.key, "the peer lost the Create; it is sent again", None).await?;
                    } else {
                        unknown.push((task.key, FORGOTTEN.to_owned()));
                    }
                }
                None => unknown.push((task.key, FORGOTTEN.to_owned())),
                Some(TransactionAnswer { transaction: Some(id), .. }) if waits => {
                    acknowledged.push((task, id.clone()));
                }
                Some(TransactionAnswer { transaction: None, .. }) => {
                    self.postpone(&task.key, "the peer has the request and no transaction ID yet", None).await?;
                }
                Some(answer) => {
                    if is_behind(&task, answer) {
                        // The feed should have brought this; take the whole picture from the peer.
                        let incident = task.record.incident().map(|incident| incident.0);
                        warn!(event = "exchange_behind", peer = %alias, exchange = %task.key.exchange, incident, "re-adopting");
                        self.adopt_again(alias).await?;
                    }
                    let (key, now) = (task.key, self.now());
                    debug!(event = "exchange_checked", peer = %alias, exchange = %key.exchange, "no news");
                    self.state().transact(move |transaction| settle::checked(transaction, &key, now)).await?;
                }
            }
        }
        self.take_transactions(alias, acknowledged).await?;
        self.park(unknown).await
    }

    /// The next pass reads every exchange from the upstream again.
    pub(super) async fn adopt_again(&self, alias: &Alias) -> Result<(), EngineError> {
        self.0.upstream_known.send_replace(false);
        let peer = alias.clone();
        self.state()
            .transact(move |transaction| {
                let record = PeerRecord { adopted: false, ..transaction.peer(&peer)? };
                Ok(transaction.put_peer(&peer, &record)?)
            })
            .await
    }
}

/// Whether the upstream is further than we are.
fn is_behind(task: &Task, answer: &TransactionAnswer) -> bool {
    match &task.record.leg {
        Leg::Upward { step: Upward::AwaitingCase { .. }, .. } => answer.step != TransactionStep::Pending,
        Leg::Upward { step: Upward::Open { case, .. }, .. } => {
            answer.step != TransactionStep::Open || answer.case.as_ref().map(|case| &case.id) != Some(case)
        }
        _ => false,
    }
}
