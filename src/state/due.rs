//! What is due when. In memory only: it follows from the records, and is made anew from them when the state is opened.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::exchange::{DueEntry, ExchangeKey, ExchangeRecord};
use crate::case::{Alias, Towards};

/// One part of the due index: what one loop serves. No lane can starve another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Towards this upstream.
    Upstream(Alias),
    /// Towards all clients.
    Clients,
}

/// Where an exchange stands: what was queued first goes first among those of one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    lane: Lane,
    at: Timestamp,
    head: u64,
}

impl Place {
    /// None when there is nothing to do.
    pub fn of(key: &ExchangeKey, record: &ExchangeRecord) -> Option<Self> {
        let lane = match record.leg.towards() {
            Towards::Upstream => Lane::Upstream(key.peer.clone()),
            Towards::Client => Lane::Clients,
        };
        let head = record.pending.first().copied().unwrap_or(0);
        Some(Self { lane, at: record.due.as_ref()?.at, head })
    }
}

#[derive(Default)]
pub struct DueIndex {
    lanes: HashMap<Lane, BTreeSet<(Timestamp, u64, ExchangeKey)>>,
    places: HashMap<ExchangeKey, Place>,
}

impl DueIndex {
    /// Moves an exchange to its place, or takes it out.
    pub fn put(&mut self, key: ExchangeKey, place: Option<Place>) {
        if let Some(old) = self.places.remove(&key)
            && let Some(lane) = self.lanes.get_mut(&old.lane)
        {
            lane.remove(&(old.at, old.head, key.clone()));
        }
        if let Some(place) = place {
            self.lanes.entry(place.lane.clone()).or_default().insert((place.at, place.head, key.clone()));
            self.places.insert(key, place);
        }
    }

    /// What is due in one lane, the longest due first.
    pub fn of(&self, lane: &Lane) -> impl Iterator<Item = DueEntry> {
        let entries = self.lanes.get(lane).into_iter().flatten();
        entries.map(|(at, _, key)| DueEntry { key: key.clone(), at: *at })
    }

    /// What is due in one lane after an instant.
    pub fn after(&self, lane: &Lane, instant: Timestamp) -> impl Iterator<Item = DueEntry> {
        let later = self.lanes.get(lane).into_iter().flat_map(|lane| lane.iter().rev());
        let later = later.take_while(move |(at, ..)| *at > instant);
        later.map(|(at, _, key)| DueEntry { key: key.clone(), at: *at })
    }
}
