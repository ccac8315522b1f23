//! What comes from the network, counted by the address that it comes from: an address with too much of it waits.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::bucket::Bucket;

/// So many addresses are told apart.
const ROOM: usize = 4096;

/// What each address has done of late.
#[derive(Default)]
pub struct Throttle(Mutex<Book>);

#[derive(Default)]
struct Book {
    each: HashMap<IpAddr, Bucket>,
    /// For those that have no room of their own any more.
    others: Option<Bucket>,
}

impl Throttle {
    /// How long this address has to wait for its turn; nothing when it has one now.
    pub fn wait(&self, from: IpAddr, per_minute: usize, now: Instant) -> Option<Duration> {
        self.with(from, per_minute, now, |bucket, rate| bucket.wait(now, rate, per_minute as f64))
    }

    /// The same, and its turn is taken.
    pub fn take(&self, from: IpAddr, per_minute: usize, now: Instant) -> Option<Duration> {
        self.with(from, per_minute, now, |bucket, rate| bucket.take(now, rate, per_minute as f64))
    }

    fn with<T>(&self, from: IpAddr, per_minute: usize, now: Instant, act: impl FnOnce(&mut Bucket, f64) -> T) -> T {
        let rate = per_minute as f64 / 60.0;
        let burst = per_minute as f64;
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let network = network(from);
        if book.each.len() >= ROOM && !book.each.contains_key(&network) {
            book.each.retain(|_, bucket| !bucket.is_full(now, rate, burst));
            if book.each.len() >= ROOM {
                return act(book.others.get_or_insert_with(|| Bucket::new(now, burst)), rate);
            }
        }
        act(book.each.entry(network).or_insert_with(|| Bucket::new(now, burst)), rate)
    }
}

/// Who has one IPv6 address has all of its network.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_tries_much_waits_and_another_does_not() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let (stranger, neighbour) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for _ in 0..6 {
            assert_eq!(throttle.wait(stranger, 6, start), None);
            throttle.take(stranger, 6, start);
        }
        let wait = throttle.wait(stranger, 6, start).expect("too many");
        assert!(wait > Duration::from_secs(9) && wait <= Duration::from_secs(10), "{wait:?}");
        assert_eq!(throttle.wait(neighbour, 6, start), None);
        assert_eq!(throttle.wait(stranger, 6, start + Duration::from_secs(11)), None, "one more may be tried");
    }

    #[test]
    fn a_network_of_addresses_is_one() {
        let address = |text: &str| network(text.parse().unwrap());
        assert_eq!(address("2001:db8:1:2::1"), address("2001:db8:1:2:ffff::9"));
        assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    }

    #[test]
    fn however_many_addresses_there_are_it_stays_small() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for number in 0..20_000u32 {
            throttle.take(IpAddr::V4(number.into()), 6, now);
        }
        assert_eq!(throttle.0.lock().unwrap().each.len(), ROOM);
    }
}
