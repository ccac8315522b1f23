//! A token bucket: so many at once, and so many a second for ever.

use std::time::{Duration, Instant};

/// What is left, and when that was counted.
#[derive(Debug)]
pub struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub fn new(now: Instant, burst: f64) -> Self {
        Self { left: burst, at: now }
    }

    fn fill(&mut self, now: Instant, rate: f64, burst: f64) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * rate).min(burst);
        self.at = now;
    }

    /// How long until there is one to take; nothing when there is.
    pub fn wait(&mut self, now: Instant, rate: f64, burst: f64) -> Option<Duration> {
        self.fill(now, rate, burst);
        (self.left < 1.0).then(|| Duration::try_from_secs_f64((1.0 - self.left) / rate).unwrap_or(Duration::MAX))
    }

    /// Takes one. How long to wait where there is none.
    pub fn take(&mut self, now: Instant, rate: f64, burst: f64) -> Option<Duration> {
        let wait = self.wait(now, rate, burst);
        if wait.is_none() {
            self.left -= 1.0;
        }
        wait
    }

    pub fn is_full(&mut self, now: Instant, rate: f64, burst: f64) -> bool {
        self.fill(now, rate, burst);
        self.left >= burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(start, 5.0);
        let taken = (0..10).filter(|_| bucket.take(start, 2.0, 5.0).is_none()).count();
        assert_eq!(taken, 5);
        assert_eq!(bucket.wait(start, 2.0, 5.0), Some(Duration::from_millis(500)));
        let later = start + Duration::from_millis(1000);
        assert_eq!((0..10).filter(|_| bucket.take(later, 2.0, 5.0).is_none()).count(), 2);
        assert!(!bucket.is_full(later, 2.0, 5.0) && bucket.is_full(start + Duration::from_secs(60), 2.0, 5.0));
    }
}
