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
    /// At the start nobody knows whether the clock went back meanwhile, nor whether something that was under way at a jump
    /// has told its time from before. Every delay that the settings allow may be right.
    pub(super) async fn check_due_index(&self) -> Result<(), EngineError> {
        self.bring_forward(self.longest_delay()).await
    }

    /// The latest instant for which anything can rightly stand in the due index.
    pub(super) fn latest_due(&self) -> Timestamp {
        later(self.now(), self.longest_delay())
    }

    fn longest_delay(&self) -> Duration {
        let retry = self.settings().retry;
        retry.max.max(retry.retry_after_max)
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

    /// What waits for longer than `longest`.
    async fn bring_forward(&self, longest: Duration) -> Result<(), EngineError> {
        /// Exchanges of one transaction.
        const PAGE: usize = 500;
        let now = self.now();
        let latest = later(now, longest);
        let upstream = self.settings().upstream.as_ref().map(|upstream| Lane::Upstream(upstream.alias.clone()));
        for lane in upstream.into_iter().chain([Lane::Clients]) {
            let late = self.state().read(move |view| Ok(view.due_after(&lane, latest))).await?;
            for page in late.chunks(PAGE) {
                let keys: Vec<ExchangeKey> = page.iter().map(|entry| entry.key.clone()).collect();
                self.state()
                    .transact::<_, EngineError, _>(move |transaction| {
                        keys.iter().try_for_each(|key| settle::due_now(transaction, key, now))
                    })
                    .await?;
            }
        }
        Ok(())
    }
}
