//! Reads everything once, when the state is opened: a wrong checksum, a record of a newer version, a missing exchange, and
//! an index that lost its way are all noticed here and not at work.

use super::exchange::ExchangeKey;
use super::transaction::{needs_a_person, place};
use super::tree::{Lane, Tree, Trees, due_key, outbox_key};
use super::{ExchangeRecord, StateError, View, chunk, record};

pub fn check(trees: &Trees) -> Result<(), StateError> {
    let mut found = Found::default();
    for tree in Tree::ALL.into_iter().filter(|tree| tree.has_records()) {
        for item in trees.tree(tree).iter() {
            let (key, value) = item?;
            let piece = |number| trees.get(Tree::Chunk, &chunk::key(tree, &key, number));
            let whole = chunk::join(value.to_vec(), piece)?;
            record::verify(&whole)?;
            if tree == Tree::Exchange {
                found.exchange(trees, &key, &record::decode(&whole)?)?;
            }
        }
    }
    expect("exchanges were recorded", View { trees }.count()?, found.exchanges)?;
    expect("exchanges are due", found.due, entries(trees, Tree::Due)?)?;
    expect("exchanges are parked", found.parked, entries(trees, Tree::Parked)?)
}

#[derive(Default)]
struct Found {
    exchanges: u64,
    due: u64,
    parked: u64,
}

impl Found {
    /// What the record says of other trees must stand there.
    fn exchange(&mut self, trees: &Trees, key: &[u8], record: &ExchangeRecord) -> Result<(), StateError> {
        let missing = |what: &str| Err(StateError::Damaged(format!("{what} of an exchange is missing")));
        let Some(name) = ExchangeKey::decode(key) else { return missing("the name") };
        self.exchanges += 1;
        if let Some((at, head)) = place(record) {
            let lane = Lane::of(&name, record.leg.towards());
            self.due += 1;
            if trees.get(Tree::Due, &due_key(&lane, at, head, key))?.is_none() {
                return missing("the due entry");
            }
        }
        if needs_a_person(record) {
            self.parked += 1;
            if trees.get(Tree::Parked, key)?.is_none() {
                return missing("the entry among the parked");
            }
        }
        for position in &record.pending {
            if trees.get(Tree::Outbox, &outbox_key(&name.peer, *position))?.is_none() {
                return missing("a pending operation");
            }
        }
        Ok(())
    }
}

fn entries(trees: &Trees, tree: Tree) -> Result<u64, StateError> {
    let mut entries = 0;
    for item in trees.tree(tree).iter() {
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
