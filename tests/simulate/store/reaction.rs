//! The reaction policies of a site, and the queue of what they led to.

use std::collections::BTreeMap;

use async_trait::async_trait;
use casebridge::case::IncidentId;
use casebridge::store::history::Note;
use casebridge::store::{BundleFile, NewRun, PageSeen, ReactionList, ReactionStore, Run, RunEnd, RunPage, StoreError};
use jiff::Timestamp;

use super::Store;
use crate::bugs::Bug;
use crate::carrier::Carried;
use crate::shelf::Shelf;

#[derive(Default)]
pub struct Deeds {
    pub list: ReactionList,
    pub all: Vec<Deed>,
    /// The one that is being done, by its number.
    pub at_work: Option<i64>,
}

pub struct Deed {
    pub run: Run,
    pub due: Timestamp,
    /// How it ended.
    pub end: Option<RunEnd>,
    /// The Message-ID that it went out with first.
    pub name: Option<String>,
    pub carried: Carried,
}

impl Deeds {
    pub fn get(&mut self, id: i64) -> &mut Deed {
        &mut self.all[id as usize]
    }

    fn queue(&mut self, runs: Vec<NewRun>) {
        for new in runs {
            let key = (new.event, new.reaction, new.action);
            if self.all.iter().any(|one| (one.run.event, one.run.reaction, one.run.action) == key) {
                continue;
            }
            let run = Run {
                id: self.all.len() as i64,
                event: new.event,
                reaction: new.reaction,
                action: new.action,
                incident: new.incident,
                name: new.name,
                target: new.target,
                attach_bundle: new.attach_bundle,
                message: new.message,
                queued_at: new.at,
                attempts: 0,
                last_error: None,
            };
            self.all.push(Deed { run, due: new.at, end: None, name: None, carried: Carried::default() });
        }
    }

    fn due(&self) -> impl Iterator<Item = &Deed> {
        self.all.iter().filter(|one| one.end.is_none())
    }
}

/// What reactions still have to do; none when they are through.
pub fn runs(shelf: &Shelf) -> Option<String> {
    let behind = shelf.places.iter().find(|(_, place)| **place < shelf.events.len() as i64);
    if let Some((consumer, place)) = behind {
        return Some(format!("{consumer} stand at {place}"));
    }
    shelf.deeds.due().next().map(|one| format!("deed {} is due", one.run.id))
}

#[async_trait]
impl ReactionStore for Store {
    async fn reactions(&self) -> Result<ReactionList, StoreError> {
        Ok(self.read(|shelf| shelf.deeds.list.clone()))
    }

    async fn set_reactions(&self, _: ReactionList, _: Note) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn queue_runs(&self, seen: PageSeen, runs: Vec<NewRun>, _: usize) -> Result<bool, StoreError> {
        if self.bug == Some(Bug::MovesOnBeforeItQueues) {
            let moved = self.commit(|shelf| Ok(shelf.pass(&seen))).await?;
            let queue = |shelf: &mut Shelf| {
                shelf.deeds.queue(runs);
                Ok(true)
            };
            return if moved { self.commit(queue).await } else { Ok(false) };
        }
        self.commit(|shelf| {
            let moved = shelf.pass(&seen);
            if moved {
                shelf.deeds.queue(runs);
            }
            Ok(moved)
        })
        .await
    }

    async fn waiting_targets(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        Ok(self.read(|shelf| {
            let mut targets: BTreeMap<String, Timestamp> = BTreeMap::new();
            for one in shelf.deeds.due() {
                let first = targets.entry(one.run.target.clone()).or_insert(one.due);
                *first = one.due.min(*first);
            }
            targets.into_iter().collect()
        }))
    }

    async fn due_run(&self, target: &str, now: Timestamp) -> Result<Option<Run>, StoreError> {
        Ok(self.read(|shelf| {
            let due = shelf.deeds.due().filter(|one| one.run.target == target && one.due <= now);
            due.min_by_key(|one| (one.due, one.run.id)).map(|one| one.run.clone())
        }))
    }

    async fn run_begun(&self, id: i64) -> Result<Option<u32>, StoreError> {
        self.commit(|shelf| {
            let one = shelf.deeds.get(id);
            if one.end.is_some() {
                return Ok(None);
            }
            one.run.attempts += 1;
            Ok(Some(one.run.attempts))
        })
        .await
    }

    async fn run_ended(&self, id: i64, end: RunEnd, _: Timestamp) -> Result<(), StoreError> {
        let settled = self
            .commit(|shelf| {
                let one = shelf.deeds.get(id);
                match end {
                    _ if one.end.is_some() => {}
                    RunEnd::Again { at, reason } => {
                        (one.due, one.run.last_error) = (at, Some(reason));
                    }
                    end => one.end = Some(end),
                }
                Ok(())
            })
            .await;
        if settled.is_err() {
            self.shelf.lock().unwrap().deeds.get(id).carried.doubt(false);
        }
        settled
    }

    async fn files(&self, _: IncidentId) -> Result<Vec<BundleFile>, StoreError> {
        Ok(Vec::new())
    }

    async fn runs(&self, _: usize) -> Result<RunPage, StoreError> {
        Ok(RunPage::default())
    }

    async fn retry_runs(&self, _: Option<i64>, _: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn forget_runs(&self, _: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }
}
