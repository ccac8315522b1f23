//! When to try again: `backoff` gives the delays, state keeps the attempts, and a peer's wish to be left alone wins within
//! a bound.

use std::time::Duration;

use backoff::ExponentialBackoffBuilder;
use backoff::backoff::Backoff as _;
use jiff::Timestamp;

use super::health::elapsed;
use crate::config::settings;

/// The delays of one kind of trouble. Stateless: the number of the attempt is kept in state, so a restart neither
/// forgets nor hammers.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    settings: settings::Retry,
}

impl Backoff {
    pub fn new(settings: settings::Retry) -> Self {
        Self { settings }
    }

    /// The delay after failed attempt number `attempt`, counted from 1: the nominal delay, of which a random part between
    /// half and all is waited, so that many that failed together do not come back together.
    pub fn delay(&self, attempt: u32, retry_after: Option<Duration>) -> Duration {
        if let Some(wish) = retry_after {
            return wish.clamp(Duration::from_secs(1), self.settings.retry_after_max);
        }
        // `backoff` spreads around an interval by a share of it: three quarters, give or take a third, is half to all.
        let mut policy = ExponentialBackoffBuilder::new()
            .with_initial_interval(self.nominal(attempt).mul_f64(0.75))
            .with_randomization_factor(1.0 / 3.0)
            .with_max_elapsed_time(None)
            .build();
        policy.next_backoff().unwrap_or(self.settings.max).min(self.settings.max)
    }

    pub fn next(&self, now: Timestamp, attempt: u32, retry_after: Option<Duration>) -> Timestamp {
        later(now, self.delay(attempt, retry_after))
    }

    /// Whether it was tried for longer than the settings allow. So long a time holds so many tries at the least; a clock
    /// that jumps ahead makes none.
    pub fn is_over(&self, since: Timestamp, now: Timestamp, attempts: u32) -> bool {
        let longest = self.settings.max.max(self.settings.retry_after_max);
        let least = self.settings.give_up_after.as_secs_f64() / longest.as_secs_f64();
        elapsed(since, now) >= self.settings.give_up_after && f64::from(attempts) >= least.floor()
    }

    fn nominal(&self, attempt: u32) -> Duration {
        let factor = self.settings.factor.powi(attempt.saturating_sub(1).min(64) as i32);
        let seconds = self.settings.first.as_secs_f64() * factor;
        Duration::from_secs_f64(seconds.min(self.settings.max.as_secs_f64()))
    }
}

/// `now` plus a delay; the end of time when there is no such instant.
pub(super) fn later(now: Timestamp, delay: Duration) -> Timestamp {
    let delay = jiff::SignedDuration::try_from(delay).unwrap_or(jiff::SignedDuration::MAX);
    now.checked_add(delay).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::case::Patience;

    fn backoff() -> Backoff {
        Backoff::new(settings::Retry {
            first: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_secs(300),
            give_up_after: Duration::from_secs(7 * 86_400),
            retry_after_max: Duration::from_secs(3600),
            patience: Patience { repeats: 50, within: Duration::from_secs(600) },
        })
    }

    proptest! {
        #[test]
        fn delays_grow_to_the_cap_and_stay_between_half_and_all(attempt in 1u32..1000) {
            let nominal = 2f64.powi((attempt - 1).min(64) as i32).min(300.0);
            let delay = backoff().delay(attempt, None).as_secs_f64();
            prop_assert!(delay >= nominal * 0.499 && delay <= nominal * 1.001, "{delay} of {nominal}");
        }
    }

    #[test]
    fn a_clock_that_jumps_ahead_does_not_end_the_tries() {
        let (then, now) = (Timestamp::UNIX_EPOCH, "2026-11-21T10:00:00Z".parse().unwrap());
        assert!(!backoff().is_over(then, now, 2));
        assert!(backoff().is_over(then, now, 168), "a week of hours");
        assert!(!backoff().is_over(now, now, 100_000));
        assert!(!backoff().is_over(now, then, 100_000), "nor does one that went back");
    }

    #[test]
    fn the_peers_wish_wins_within_its_bounds() {
        let hours = Duration::from_secs(86_400);
        assert_eq!(backoff().delay(1, Some(Duration::from_secs(42))), Duration::from_secs(42));
        assert_eq!(backoff().delay(1, Some(hours)), Duration::from_secs(3600));
        assert_eq!(backoff().delay(1, Some(Duration::ZERO)), Duration::from_secs(1));
    }
}
