//! What reactions led to: each deed of each event once.

use std::collections::BTreeSet;

use casebridge::case::{Alias, Trigger};
use casebridge::store::RunEnd;

use crate::shelf::Shelf;
use crate::store::reaction::Deeds;

/// No deed was queued twice.
pub fn queued_once(deeds: &Deeds, alias: &Alias) {
    let mut queued = BTreeSet::new();
    for one in &deeds.all {
        let run = &one.run;
        assert!(queued.insert((run.event, run.reaction, run.action)), "event {} led to it twice at {alias}", run.event);
    }
}

/// Every event led to what the policies say, and all of that was done, or refused by whoever was to be told.
pub fn all_done(shelf: &Shelf, alias: &Alias) {
    let from = shelf.followed.values().copied().min().unwrap_or_default() as usize;
    let mut wanted = BTreeSet::new();
    for (index, line) in shelf.events.iter().enumerate().skip(from) {
        let trigger = Trigger::of(&line.action, &line.who, shelf.incidents[&line.incident].event.kind);
        let policies = &shelf.deeds.list.reactions.0;
        for one in policies.iter().filter(|one| Some(one.reaction.trigger) == trigger) {
            wanted.extend((0..one.reaction.actions.len()).map(|action| (index as i64 + 1, one.id, action as u32)));
        }
    }
    let queued: BTreeSet<_> =
        shelf.deeds.all.iter().map(|one| (one.run.event, one.run.reaction, one.run.action)).collect();
    assert_eq!(queued, wanted, "what the events led to at {alias}");
    for one in &shelf.deeds.all {
        match &one.end {
            Some(RunEnd::Done) => assert!(one.carried.taken > 0, "deed {} at {alias} was not done", one.run.id),
            Some(RunEnd::GivenUp { reason }) => {
                assert!(one.carried.refused, "deed {} at {alias} was given up: {reason}", one.run.id);
            }
            other => panic!("deed {} at {alias} did not end: {other:?}", one.run.id),
        }
    }
}
