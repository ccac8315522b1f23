//! The exchanges that were written last, as they stand on the disk. One that moves is looked at several times in a row,
//! and reading its record anew each time costs more than keeping it.

use std::collections::HashMap;

use super::exchange::{ExchangeKey, ExchangeRecord};

/// Records of a generation: two of them are kept, some ten megabytes at the most.
const LIMIT: usize = 4_000;

#[derive(Default)]
pub struct Recent {
    young: HashMap<ExchangeKey, ExchangeRecord>,
    old: HashMap<ExchangeKey, ExchangeRecord>,
}

impl Recent {
    pub fn get(&self, key: &ExchangeKey) -> Option<&ExchangeRecord> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// What stood here before is gone from both generations' sight.
    pub fn put(&mut self, key: ExchangeKey, record: ExchangeRecord) {
        if self.young.len() >= LIMIT {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Downward, ExchangeId, Leg, Shadow};

    #[test]
    fn the_latest_record_is_told_and_memory_stays_bounded() {
        let mut recent = Recent::default();
        let key =
            |number: u128| ExchangeKey::new(&"north".parse().unwrap(), ExchangeId::from_bytes(number.to_be_bytes()));
        let record = |sent| ExchangeRecord {
            sent,
            ..ExchangeRecord::begun(Leg::Downward(Downward::Received), Shadow::default(), jiff::Timestamp::UNIX_EPOCH)
        };
        for number in 0..3 * LIMIT as u128 {
            recent.put(key(number), record(1));
            recent.put(key(0), record(number as u64));
            assert_eq!(recent.get(&key(0)).unwrap().sent, number as u64);
            assert!(recent.young.len() + recent.old.len() <= 2 * LIMIT);
        }
        assert!(recent.get(&key(1)).is_none(), "the oldest are forgotten");
    }
}
