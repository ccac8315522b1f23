//! A store whose every call takes as long as the world wants, and which can be full. A call that is cut off by the death
//! of its site has taken effect, or has not.

mod absent;
mod cases;
pub mod deadline;
pub mod evidence;
pub mod mail;
pub mod reaction;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use casebridge::case::{Alias, Attachment, Deposit, ExchangeId, HistoryLine, Incident, IncidentId, Reference, SiteId};
use casebridge::store::{
    AwaitedAttachment, ChangePage, Cursor, Deposited, Event, EventPage, EventStore, IncidentStore, ListPage, ListQuery,
    Loaded, Open, Opened, PageSeen, StoreError, Untold, Write, Written,
};
use jiff::Timestamp;
use tokio::sync::watch;

use super::bugs::Bug;
use super::disk::Disk;
use super::executor::{Gates, Wait};
use super::shelf::Shelf;

#[derive(Clone)]
pub struct Store {
    pub index: usize,
    pub site: SiteId,
    pub shelf: Arc<Mutex<Shelf>>,
    pub disk: Disk,
    pub gates: Gates,
    pub bug: Option<Bug>,
    pub happened: Arc<watch::Sender<()>>,
}

impl Store {
    async fn commit<T>(&self, work: impl FnOnce(&mut Shelf) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.gates.pass(Wait::Disk(self.index)).await;
        if self.disk.is_full() {
            return Err(StoreError::Busy("database or disk is full".into()));
        }
        let outcome = work(&mut self.shelf.lock().unwrap());
        self.happened.send_replace(());
        self.gates.pass(Wait::Disk(self.index)).await;
        outcome
    }

    fn read<T>(&self, look: impl FnOnce(&Shelf) -> T) -> T {
        look(&self.shelf.lock().unwrap())
    }
}

fn number(cursor: &Cursor) -> i64 {
    cursor.0.parse().unwrap_or(0)
}

fn loaded(incidents: Vec<Incident>) -> Loaded {
    Loaded { incidents, unreadable: Vec::new() }
}

#[async_trait]
impl IncidentStore for Store {
    fn site(&self) -> SiteId {
        self.site
    }

    fn trouble(&self) -> Option<StoreError> {
        None
    }

    async fn changes(&self, after: &Cursor, limit: usize) -> Result<ChangePage, StoreError> {
        Ok(self.read(|shelf| {
            let mut changed: Vec<(i64, IncidentId)> =
                shelf.changes.iter().map(|(id, at)| (*at, *id)).filter(|(at, _)| *at > number(after)).collect();
            changed.sort_unstable();
            changed.truncate(limit);
            let last = changed.last().map_or(number(after), |(at, _)| *at);
            if self.bug == Some(Bug::LeavesOutAChange) && last % 7 == 0 {
                changed.pop();
            }
            let incidents = changed.iter().map(|(_, id)| shelf.incidents[id].clone()).collect();
            ChangePage { loaded: loaded(incidents), cursor: Cursor(last.to_string()), more: changed.len() == limit }
        }))
    }

    async fn has_changes(&self, after: &Cursor) -> Result<bool, StoreError> {
        Ok(self.read(|shelf| shelf.changes.values().any(|at| *at > number(after))))
    }

    async fn load(&self, incidents: &[IncidentId]) -> Result<Loaded, StoreError> {
        self.gates.pass(Wait::Disk(self.index)).await;
        let mut wanted = incidents.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        Ok(self.read(|shelf| loaded(wanted.iter().filter_map(|id| shelf.incidents.get(id).cloned()).collect())))
    }

    async fn referenced(&self, peer: &Alias, after: Option<ExchangeId>, limit: usize) -> Result<Loaded, StoreError> {
        Ok(self.read(|shelf| {
            let mut found: Vec<(ExchangeId, Incident)> = Vec::new();
            for incident in shelf.incidents.values() {
                let of_peer = incident.references.iter().filter(|one| one.peer == *peer);
                found.extend(of_peer.map(|one| (one.exchange, incident.clone())));
            }
            found.retain(|(exchange, _)| after.is_none_or(|after| *exchange > after));
            found.sort_by_key(|(exchange, _)| *exchange);
            loaded(found.into_iter().take(limit).map(|(_, incident)| incident).collect())
        }))
    }

    async fn references(
        &self,
        peer: &Alias,
        after: Option<ExchangeId>,
        limit: usize,
    ) -> Result<Vec<(IncidentId, Reference)>, StoreError> {
        Ok(self.read(|shelf| {
            let all =
                shelf.incidents.values().flat_map(|one| one.references.iter().map(|reference| (one.id, reference)));
            let of_peer = all.filter(|(_, one)| one.peer == *peer && after.is_none_or(|after| one.exchange > after));
            let mut found: Vec<(IncidentId, Reference)> = of_peer.map(|(id, one)| (id, one.clone())).collect();
            found.sort_by_key(|(_, one)| one.exchange);
            found.truncate(limit);
            found
        }))
    }

    async fn deposit(&self, deposits: Vec<Deposit>, at: Timestamp) -> Result<Vec<Deposited>, StoreError> {
        self.commit(|shelf| Ok(shelf.deposit(deposits, at))).await
    }

    async fn open(&self, opens: Vec<Open>) -> Result<Vec<Opened>, StoreError> {
        self.commit(|shelf| shelf.open(opens, self.bug)).await
    }

    async fn link(&self, opens: Vec<Open>) -> Result<Vec<Option<Opened>>, StoreError> {
        Ok(opens.iter().map(|_| None).collect())
    }

    async fn write(&self, writes: Vec<Write>) -> Result<Vec<Written>, StoreError> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        self.commit(|shelf| Ok(shelf.write(writes, self.bug))).await
    }

    async fn list(&self, _: &ListQuery) -> Result<ListPage, StoreError> {
        Ok(ListPage::default())
    }

    async fn history(&self, incident: IncidentId, limit: usize) -> Result<Vec<HistoryLine>, StoreError> {
        let lines = self.read(|shelf| shelf.history.get(&incident).cloned()).unwrap_or_default();
        Ok(lines[lines.len().saturating_sub(limit)..].to_vec())
    }

    async fn attachments(&self, _: IncidentId) -> Result<Vec<Attachment>, StoreError> {
        Ok(Vec::new())
    }

    async fn awaited_attachments(&self, _: i64, _: usize) -> Result<Vec<AwaitedAttachment>, StoreError> {
        Ok(Vec::new())
    }

    async fn add_attachment(&self, _: i64, _: i64, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl EventStore for Store {
    async fn follow(&self, consumers: &[&'static str]) -> Result<(), StoreError> {
        self.commit(|shelf| {
            let end = shelf.events.len() as i64;
            for consumer in consumers {
                shelf.places.entry(consumer).or_insert(end);
                shelf.followed.entry(consumer).or_insert(end);
            }
            Ok(())
        })
        .await
    }

    async fn events(&self, consumer: &'static str, limit: usize) -> Result<EventPage, StoreError> {
        Ok(self.read(|shelf| {
            let place = shelf.places.get(consumer).copied();
            let after = place.unwrap_or(shelf.events.len() as i64);
            let lines = shelf.events.iter().enumerate().skip(after as usize).take(limit);
            let events: Vec<Event> =
                lines.map(|(index, line)| Event { number: index as i64 + 1, line: line.clone() }).collect();
            let seen = PageSeen { consumer, after, through: after + events.len() as i64 };
            EventPage { events, seen }
        }))
    }

    async fn unread(&self, consumer: &'static str) -> Result<PageSeen, StoreError> {
        Ok(self.read(|shelf| {
            let through = shelf.events.len() as i64;
            PageSeen { consumer, after: shelf.places.get(consumer).copied().unwrap_or(through), through }
        }))
    }

    async fn pass(&self, seen: PageSeen) -> Result<bool, StoreError> {
        self.commit(|shelf| Ok(shelf.pass(&seen))).await
    }

    fn happenings(&self) -> watch::Receiver<()> {
        self.happened.subscribe()
    }

    /// Everything here was deposited or opened.
    async fn untold(&self, _: &[IncidentId]) -> Result<Vec<(IncidentId, Untold)>, StoreError> {
        Ok(Vec::new())
    }
}
