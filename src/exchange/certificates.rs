//! What proves who is who, and when it ends: certificates and tokens of this site, and the certificates that peers show. Warned
//! of days ahead, in the log and in `status`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use tracing::{error, warn};

use super::Engine;
use crate::case::Alias;

/// Warned of when fewer days are left.
const DAYS: i64 = 30;
const DAY: i64 = 86_400;

/// Whose, and when it ends.
#[derive(Default)]
pub(super) struct Endings(Mutex<Book>);

#[derive(Default)]
struct Book {
    own: Vec<(String, Timestamp)>,
    peers: BTreeMap<Alias, Timestamp>,
}

impl Engine {
    /// What this site itself relies on; takes the place of what was told before.
    pub fn rely_on(&self, own: Vec<(String, Timestamp)>) {
        self.0.endings.0.lock().unwrap_or_else(PoisonError::into_inner).own = own;
    }

    /// A peer showed its certificate. Told at once when it ends soon, and then by the daily look.
    pub fn saw_certificate(&self, peer: &Alias, ends: Timestamp) {
        let mut book = self.0.endings.0.lock().unwrap_or_else(PoisonError::into_inner);
        if book.peers.insert(peer.clone(), ends) != Some(ends) {
            drop(book);
            tell(&of_peer(peer), ends, Timestamp::now());
        }
    }

    /// Everything that ends some day, the soonest first.
    pub fn endings(&self) -> Vec<(String, Timestamp)> {
        let settings = self.settings();
        let book = self.0.endings.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tokens = settings
            .tokens
            .iter()
            .filter_map(|token| Some((format!("token {} of {}", token.id, token.holder), token.expires_at?)));
        let peers = book.peers.iter().map(|(peer, ends)| (of_peer(peer), *ends));
        let mut endings: Vec<_> = book.own.iter().cloned().chain(peers).chain(tokens).collect();
        endings.sort_by_key(|(_, ends)| *ends);
        endings
    }

    /// Logs what ends soon. Returns how much was looked at.
    pub fn tell_endings(&self) -> usize {
        let (endings, now) = (self.endings(), Timestamp::now());
        endings.iter().for_each(|(what, ends)| tell(what, *ends, now));
        endings.len()
    }

    /// What ends soon, a sentence each.
    pub(super) fn ending_soon(&self) -> Vec<String> {
        let now = Timestamp::now();
        self.endings().into_iter().filter_map(|(what, ends)| ends_soon(&what, ends, now)).collect()
    }
}

/// The sentence about what has ended, or ends within 30 days.
pub fn ends_soon(what: &str, ends: Timestamp, now: Timestamp) -> Option<String> {
    let day = ends.strftime("%F");
    match days(ends, now) {
        left if left < 0 => Some(format!("{what} ended on {day}")),
        1 => Some(format!("{what} ends in 1 day, on {day}")),
        left if left < DAYS => Some(format!("{what} ends in {left} days, on {day}")),
        _ => None,
    }
}

fn of_peer(peer: &Alias) -> String {
    format!("the certificate that {peer} shows")
}

fn days(ends: Timestamp, now: Timestamp) -> i64 {
    (ends.as_second() - now.as_second()).div_euclid(DAY)
}

fn tell(certificate: &str, ends: Timestamp, now: Timestamp) {
    let days = days(ends, now);
    if days < 0 {
        error!(event = "certificate_expired", certificate, days, "it has ended");
    } else if days < DAYS {
        warn!(event = "certificate_expires", certificate, days, "it ends soon");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_until_the_end_are_counted() {
        let ends = "2027-01-31T00:00:00Z".parse().unwrap();
        assert_eq!(days(ends, "2027-01-01T00:00:00Z".parse().unwrap()), 30);
        assert_eq!(days(ends, "2027-02-02T00:00:00Z".parse().unwrap()), -2);
    }
}
