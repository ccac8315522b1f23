//! Reactions are found and carried out apart from the exchange of cases: nothing here is waited for there.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::{Id, JoinSet};

use super::loops::{IDLE, Trouble};
use crate::exchange::{Engine, EngineError};

/// How long events are gathered before they are looked at.
const GATHERED: Duration = Duration::from_millis(100);

/// What happened becomes what is to be done.
pub async fn react(engine: Engine) {
    let mut trouble = Trouble::new(&engine, "react");
    let mut happenings = engine.happenings();
    loop {
        happenings.mark_unchanged();
        match engine.react().await {
            Ok(0) => {
                trouble.after(Ok(())).await;
                // A closed channel belongs to a store that is gone, and its daemon with it.
                let _ = tokio::time::timeout(IDLE, happenings.changed()).await;
                tokio::time::sleep(GATHERED).await;
            }
            outcome => trouble.after(outcome.map(|_| ())).await,
        }
    }
}

/// What is to be done is done, one thing at a time for each target.
pub async fn carry_out(engine: Engine) {
    let mut trouble = Trouble::new(&engine, "carry out");
    let mut happenings = engine.happenings();
    let mut under_way: JoinSet<Result<(), EngineError>> = JoinSet::new();
    let mut busy: HashMap<Id, String> = HashMap::new();
    loop {
        happenings.mark_unchanged();
        let targets: HashSet<String> = busy.values().cloned().collect();
        let wait = match engine.to_do(&targets).await {
            Ok(to_do) => {
                for run in to_do.runs {
                    let (engine, target) = (engine.clone(), run.target.clone());
                    let task = under_way.spawn(async move { engine.carry_out(&run).await });
                    busy.insert(task.id(), target);
                }
                trouble.after(Ok(())).await;
                let wait = to_do.next.map(|next| Duration::try_from(next.duration_since(Timestamp::now())));
                wait.map_or(IDLE, |wait| wait.unwrap_or_default().min(IDLE))
            }
            Err(fault) => {
                trouble.after(Err(fault)).await;
                Duration::ZERO
            }
        };
        let gathered = async {
            // A closed channel belongs to a store that is gone, and its daemon with it.
            let _ = happenings.changed().await;
            tokio::time::sleep(GATHERED).await;
        };
        tokio::select! {
            biased;
            Some(ended) = under_way.join_next_with_id() => {
                let (id, outcome) = match ended {
                    Ok((id, outcome)) => (id, outcome),
                    Err(panicked) => (panicked.id(), Ok(())),
                };
                busy.remove(&id);
                if outcome.is_err() {
                    trouble.after(outcome).await;
                }
            }
            () = gathered => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}
