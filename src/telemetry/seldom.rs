//! What a peer does many times a second is one line a minute in the log.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts what happens to each of many, and says when it is time for a line about it.
#[derive(Debug)]
pub struct Seldom<K>(Mutex<Book<K>>);

#[derive(Debug)]
struct Book<K> {
    each: HashMap<K, Told>,
    /// For those that have no room of their own any more.
    others: Option<Told>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    /// How often since then.
    unsaid: u64,
}

impl<K> Default for Seldom<K> {
    fn default() -> Self {
        Self(Mutex::new(Book { each: HashMap::new(), others: None }))
    }
}

const ONCE_EACH: Duration = Duration::from_secs(60);
/// So many are told apart.
const ROOM: usize = 1024;

impl<K: Eq + Hash> Seldom<K> {
    /// Takes note of one. Returns how many are to be told of now, this one included.
    pub fn note(&self, key: K, now: Instant) -> Option<u64> {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if book.each.len() >= ROOM && !book.each.contains_key(&key) {
            // What is older than a minute has nothing to hold back any more. What it counted since its line, and nobody asked
            // for, goes with it: room for whoever comes next tells more.
            book.each.retain(|_, told| now.saturating_duration_since(told.at) < ONCE_EACH);
            if book.each.len() >= ROOM {
                return Told::note(&mut book.others, now);
            }
        }
        let mut told = book.each.remove(&key);
        let count = Told::note(&mut told, now);
        book.each.extend(told.map(|told| (key, told)));
        count
    }
}

impl<K: Eq + Hash + Clone> Seldom<K> {
    /// Those of whom more came than was told of, a minute after the last line: how many of each are to be told of now.
    pub fn overdue(&self, now: Instant) -> Vec<(K, u64)> {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = |told: &Told| told.unsaid > 0 && now.saturating_duration_since(told.at) >= ONCE_EACH;
        let overdue = book.each.iter_mut().filter(|(_, told)| due(told));
        overdue.map(|(key, told)| (key.clone(), std::mem::replace(told, Told { at: now, unsaid: 0 }).unsaid)).collect()
    }
}

impl Told {
    fn note(slot: &mut Option<Told>, now: Instant) -> Option<u64> {
        match slot {
            Some(told) if now.saturating_duration_since(told.at) < ONCE_EACH => {
                told.unsaid += 1;
                None
            }
            before => {
                let count = before.as_ref().map_or(0, |told| told.unsaid) + 1;
                *before = Some(Told { at: now, unsaid: 0 });
                Some(count)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_within_the_minute_is_told_when_it_is_over_though_nothing_comes_any_more() {
        let (seldom, start) = (Seldom::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!([seldom.note("north", at(0)), seldom.note("south", at(0))], [Some(1); 2]);
        assert_eq!([seldom.note("north", at(4)), seldom.note("north", at(5))], [None; 2]);
        assert_eq!(seldom.overdue(at(59)), []);
        assert_eq!(seldom.overdue(at(60)), [("north", 2)]);
        assert_eq!(seldom.overdue(at(300)), [], "once");
        assert_eq!(seldom.note("north", at(119)), None, "that was a line");
    }

    #[test]
    fn many_of_one_are_one_line_a_minute_and_the_others_have_their_own() {
        let (seldom, start) = (Seldom::default(), Instant::now());
        let after = |key: &'static str, seconds| seldom.note(key, start + Duration::from_secs(seconds));
        assert_eq!(after("north", 0), Some(1));
        assert_eq!([after("north", 1), after("north", 30), after("north", 59)], [None; 3]);
        assert_eq!(after("south", 30), Some(1));
        assert_eq!(after("north", 60), Some(4), "with those that were not told of");
        assert_eq!(after("north", 61), None);
        assert_eq!(after("north", 200), Some(2));
    }

    #[test]
    fn a_minute_after_a_crowd_whoever_is_new_has_a_line_of_its_own_again() {
        let (seldom, start) = (Seldom::default(), Instant::now());
        for key in (0..ROOM + 10).chain(0..ROOM + 10) {
            seldom.note(key, start);
        }
        let later = start + ONCE_EACH;
        assert_eq!([5001, 5002, 5003].map(|key| seldom.note(key, later)), [Some(1); 3]);
    }

    #[test]
    fn however_many_there_are_it_stays_small() {
        let (seldom, now) = (Seldom::default(), Instant::now());
        let told = (0..100_000).filter(|key| seldom.note(*key, now).is_some()).count();
        assert_eq!(told, ROOM + 1, "those without room are told of together");
        assert_eq!(seldom.0.lock().unwrap().each.len(), ROOM);
    }
}
