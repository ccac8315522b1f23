//! The networks from which somebody came in with credentials since the start. When connections are scarce, theirs go first.

use std::collections::{HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// The latest ones that were new.
#[derive(Debug, Default)]
pub struct CameIn(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    known: HashSet<IpAddr>,
    order: VecDeque<IpAddr>,
}

impl CameIn {
    /// More than there are clients, each from a few networks.
    const KEPT: usize = 16_384;

    pub fn has(&self, network: IpAddr) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).known.contains(&network)
    }

    pub fn add(&self, network: IpAddr) {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !book.known.insert(network) {
            return;
        }
        book.order.push_back(network);
        if book.order.len() > Self::KEPT
            && let Some(oldest) = book.order.pop_front()
        {
            book.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_networks_are_kept_and_the_oldest_goes() {
        let networks = CameIn::default();
        let network = |number: usize| IpAddr::from((number as u32).to_be_bytes());
        for number in (0..=CameIn::KEPT).chain(0..1) {
            networks.add(network(number));
            networks.add(network(number));
        }
        assert!(networks.has(network(0)) && networks.has(network(CameIn::KEPT)) && !networks.has(network(1)));
        assert_eq!(networks.0.lock().unwrap().order.len(), CameIn::KEPT);
    }
}
