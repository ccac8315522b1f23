//! What clients have taken of their feeds: the histories say so, and then it is forgotten here. For all clients together,
//! so that busy feeds do not cost a store transaction for each poll. The marks are in memory: after a restart a client's
//! next poll brings its own again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::push::sent_line;
use super::{Engine, EngineError, settle};
use crate::case::Alias;
use crate::case::evidence::{Travelled, Way};
use crate::state::{ExchangeKey, View};
use crate::store::{Write, Writer};
use crate::telemetry::{CrashPoint, crash_point};

/// Entries that one pass takes at the most; the rest goes with the next one.
const PASS: usize = 5_000;

/// Up to where each client has its feed, where that is not told yet.
#[derive(Default)]
pub(super) struct Taken {
    through: Mutex<HashMap<Alias, u64>>,
    told: Notify,
}

impl Taken {
    /// Everything up to this position is durable at the client.
    pub(super) fn note(&self, client: &Alias, through: u64) {
        let mut all = self.through.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(client.clone()).or_default();
        *known = through.max(*known);
        drop(all);
        self.told.notify_one();
    }

    fn all(&self) -> Vec<(Alias, u64)> {
        let all = self.through.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(client, through)| (client.clone(), *through)).collect()
    }

    /// A later mark of the same client stays.
    fn forget(&self, client: &Alias, through: u64) {
        let mut all = self.through.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(client) == Some(&through) {
            all.remove(client);
        }
    }
}

impl Engine {
    /// Returns when a client has taken something.
    pub async fn wait_for_taken(&self) {
        self.0.taken.told.notified().await;
    }

    /// Tells the histories what clients took, and forgets it.
    pub async fn tell_taken(&self) -> Result<(), EngineError> {
        let outcome = self.tell_some(self.0.taken.all()).await;
        match &outcome {
            Ok(true) => {}
            Ok(false) | Err(_) => self.0.taken.told.notify_one(),
        }
        outcome.map(|_| ())
    }

    /// As much as one pass takes. Returns whether that was all.
    async fn tell_some(&self, marks: Vec<(Alias, u64)>) -> Result<bool, EngineError> {
        let (now, count) = (self.now(), marks.len());
        let lines = move |view: View<'_>| {
            let (mut writes, mut told, mut left) = (Vec::new(), Vec::new(), PASS);
            for (client, through) in marks {
                let entries = view.outbox_through(&client, through, left)?;
                for entry in &entries {
                    let key = ExchangeKey::new(&client, entry.exchange);
                    let Some(incident) = view.exchange(&key)?.and_then(|record| record.incident()) else { continue };
                    let Some(line) = sent_line(now, &key, incident, entry) else { continue };
                    let travelled = Some(Travelled::ours(&client, Way::Out, entry.seq, &entry.operation));
                    writes.push(Write { history: vec![line], travelled, ..Write::to(incident, Writer::Bridge) });
                }
                left -= entries.len();
                told.push((client, through, entries.len()));
                if left == 0 {
                    break;
                }
            }
            Ok((writes, told, left))
        };
        let (writes, mut told, left) = self.state().read(lines).await?;
        self.store().write(writes).await?;
        crash_point(CrashPoint::TakenTold);
        let taken = told.clone();
        self.state()
            .transact::<_, EngineError, _>(move |transaction| {
                for (client, through, count) in taken {
                    settle::acknowledged_through(transaction, &client, through, count)?;
                }
                Ok(())
            })
            .await?;
        let is_all = left > 0 && told.len() == count;
        if left == 0 {
            // Where the pass ended there may be more.
            told.pop();
        }
        for (client, through, _) in told {
            self.0.taken.forget(&client, through);
        }
        Ok(is_all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_moves_forward_only_and_one_that_came_meanwhile_stays() {
        let (taken, north): (Taken, Alias) = (Taken::default(), "north".parse().unwrap());
        taken.note(&north, 7);
        taken.note(&north, 3);
        assert_eq!(taken.all(), [(north.clone(), 7)]);
        taken.note(&north, 9);
        taken.forget(&north, 7);
        assert_eq!(taken.all(), [(north.clone(), 9)], "it came while 7 was told");
        taken.forget(&north, 9);
        assert!(taken.all().is_empty());
    }
}
