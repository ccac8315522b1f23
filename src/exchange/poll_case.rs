//! The waits that are asked about directly: the transaction ID after "received", and a case without news for long.

use std::sync::Arc;

use tracing::{debug, warn};

use super::push::Task;
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
                        warn!(event = "exchange_behind", peer = %alias, exchange = %task.key.exchange, "re-adopting");
                        self.adopt_again(alias).await?;
                    }
                    let (key, now, check_at) = (task.key, self.now(), self.check_at());
                    debug!(event = "exchange_checked", peer = %alias, exchange = %key.exchange, "no news");
                    self.state().transact(move |transaction| settle::checked(transaction, &key, now, check_at)).await?;
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
