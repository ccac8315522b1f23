//! Waiting is a look that is repeated, with a limit; it says what it waited for.

use std::time::{Duration, Instant};

/// The most patience with a machine that does many things at once.
const LIMIT: Duration = Duration::from_secs(180);

/// Returns what `look` finds. Fails, naming `what`, when it finds nothing within the limit.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < LIMIT, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
