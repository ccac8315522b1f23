//! A clock that went back (design, invariant 7): what stands in the due index for later than any delay could have put it
//! there is due now.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tracing::warn;

use super::retry::later;
use super::{Engine, EngineError, settle};
use crate::state::{ExchangeKey, Lane};

/// A smaller step back is a correction: what is due waits so much longer, and no more.
const JUMP: i64 = 60_000;

impl Engine {
    /// At the start nobody knows whether the clock went back meanwhile. Every delay that the settings allow may be right.
    pub(super) async fn check_due_index(&self) -> Result<(), EngineError> {
        let retry = self.settings().retry;
        self.bring_forward(retry.max.max(retry.retry_after_max)).await
    }

    /// While the daemon runs, the jump itself is seen; then only the back-off counts.
    pub(super) async fn mind_the_clock(&self) -> Result<(), EngineError> {
        let now = self.now().as_millisecond();
        let latest = self.0.latest.fetch_max(now, Ordering::SeqCst);
        if latest - now < JUMP {
            return Ok(());
        }
        self.0.latest.store(now, Ordering::SeqCst);
        warn!(event = "clock_went_back", seconds = (latest - now) / 1000, "what was due before is due now");
        self.bring_forward(self.settings().retry.max).await?;
        self.0.to_push.notify_one();
        self.0.to_open.notify_one();
        Ok(())
    }

    /// What waits for longer than `longest` with something to do, or for twice as long as a case may be without a look.
    async fn bring_forward(&self, longest: Duration) -> Result<(), EngineError> {
        /// Exchanges of one transaction.
        const PAGE: usize = 500;
        let settings = self.settings();
        let now = self.now();
        let upstream =
            settings.upstream.as_ref().map(|u| (Lane::Upstream(u.alias.clone()), later(now, u.check_after * 2)));
        let send_by = later(now, longest);
        for (lane, look_by) in upstream.into_iter().chain([(Lane::Clients, send_by)]) {
            let late = self.state().read(move |view| {
                let mut late = view.due_after(&lane, send_by)?;
                // An exchange with nothing to send stands there with no place in the outbox.
                late.retain(|entry| entry.head != 0 || entry.at > look_by);
                Ok(late)
            });
            let keys: Vec<ExchangeKey> = late.await?.into_iter().map(|entry| entry.key).collect();
            for page in keys.chunks(PAGE) {
                self.brought_forward(page.to_vec(), now).await?;
            }
        }
        Ok(())
    }

    async fn brought_forward(&self, keys: Vec<ExchangeKey>, now: Timestamp) -> Result<(), EngineError> {
        self.state()
            .transact(move |transaction| keys.iter().try_for_each(|key| settle::due_now(transaction, key, now)))
            .await
    }
}
