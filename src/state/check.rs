//! Reads everything once, when the state is opened: a wrong checksum, a record of a newer version, a missing exchange, and
//! a list that lost its way are all noticed here and not at work. Says what is due on the way.

use super::due::{DueIndex, Place};
use super::exchange::ExchangeKey;
use super::keys::{Kind, chunk_key, named_exchange, outbox_key, parked_key};
use super::recent::Recent;
use super::records::Records;
use super::transaction::needs_a_person;
use super::{ExchangeRecord, StateError, View, chunk, record};

pub fn check(records: &Records) -> Result<DueIndex, StateError> {
    let mut found = Found::default();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.has_envelope()) {
        for item in records.of(kind) {
            let (key, value) = item?;
            let piece = |number| records.get(&chunk_key(&key, number));
            let whole = chunk::join(&value, piece)?;
            record::verify(&whole)?;
            if kind == Kind::Exchange {
                let name = named_exchange(&key);
                let name = name.ok_or_else(|| StateError::Damaged("an exchange's key does not read".into()))?;
                found.exchange(records, name, &record::decode(&whole)?)?;
            }
        }
    }
    expect(
        "exchanges were recorded",
        View { records, recent: &Recent::default(), due: &found.due }.count()?,
        found.exchanges,
    )?;
    expect("exchanges are parked", found.parked, entries(records, Kind::Parked)?)?;
    Ok(found.due)
}

#[derive(Default)]
struct Found {
    exchanges: u64,
    parked: u64,
    due: DueIndex,
}

impl Found {
    /// What the record says of other records must stand there.
    fn exchange(&mut self, records: &Records, key: ExchangeKey, record: &ExchangeRecord) -> Result<(), StateError> {
        let missing = |what: &str| Err(StateError::Damaged(format!("{what} of an exchange is missing")));
        self.exchanges += 1;
        if needs_a_person(record) {
            self.parked += 1;
            if records.get(&parked_key(&key))?.is_none() {
                return missing("the entry among the parked");
            }
        }
        for position in &record.pending {
            if records.get(&outbox_key(&key.peer, *position))?.is_none() {
                return missing("a pending operation");
            }
        }
        let place = Place::of(&key, record);
        self.due.put(key, place);
        Ok(())
    }
}

fn entries(records: &Records, kind: Kind) -> Result<u64, StateError> {
    let mut entries = 0;
    for item in records.of(kind) {
        item?;
        entries += 1;
    }
    Ok(entries)
}

fn expect(what: &str, expected: u64, found: u64) -> Result<(), StateError> {
    if found == expected {
        return Ok(());
    }
    Err(StateError::Damaged(format!("{expected} {what}, {found} are there")))
}
