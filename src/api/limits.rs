//! What one caller may ask, a client or an operator's token: so many requests a second, and so many at once. Who asks for more
//! is told to come back later, and no other caller notices.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::warn;

use super::Door;
use super::auth::Caller;
use super::problem::Refusal;
use crate::clock::Bucket;
use crate::config::defaults;
use crate::config::settings::ClientLimits;
use crate::protocol::ProblemType;
use crate::telemetry::Seldom;

/// How many requests of each caller there are. There are no more entries than callers in the settings of one run.
pub struct Limits<K> {
    callers: Mutex<HashMap<K, Count>>,
    told: Seldom<K>,
}

struct Count {
    bucket: Bucket,
    under_way: Arc<()>,
}

/// One request that is under way.
#[derive(Debug)]
pub struct Place {
    _under_way: Arc<()>,
}

/// How a client oversteps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overstep {
    Rate(Duration),
    AtOnce,
}

/// What an operator's token may ask: as much as a client about whom nothing is said.
const OPERATOR: ClientLimits = ClientLimits {
    requests_per_second: defaults::CLIENT_REQUESTS_PER_SECOND.default,
    burst: defaults::CLIENT_BURST.default,
    at_once: defaults::CLIENT_AT_ONCE.default,
    max_body_bytes: None,
};

/// How fast the client asks is bounded already.
const UNHURRIED: ClientLimits =
    ClientLimits { requests_per_second: 1_000_000, burst: 1_000_000, at_once: 1, max_body_bytes: None };

impl Overstep {
    /// Which limit, and when to come back.
    fn told(self) -> (&'static str, Duration) {
        match self {
            Overstep::Rate(wait) => ("requests_per_second", wait),
            Overstep::AtOnce => ("at_once", Duration::from_secs(1)),
        }
    }
}

impl<K> Default for Limits<K> {
    fn default() -> Self {
        Self { callers: Mutex::default(), told: Seldom::default() }
    }
}

impl<K: Clone + Eq + Hash> Limits<K> {
    fn enter(&self, caller: &K, limits: ClientLimits, now: Instant) -> Result<Place, Overstep> {
        let (rate, burst) = (limits.requests_per_second as f64, limits.burst as f64);
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let count = callers
            .entry(caller.clone())
            .or_insert_with(|| Count { bucket: Bucket::new(now, burst), under_way: Arc::new(()) });
        // One of them is the entry's own.
        if Arc::strong_count(&count.under_way) > limits.at_once {
            return Err(Overstep::AtOnce);
        }
        match count.bucket.take(now, rate, burst) {
            Some(wait) => Err(Overstep::Rate(wait)),
            None => Ok(Place { _under_way: Arc::clone(&count.under_way) }),
        }
    }
}

pub async fn limit(State(door): State<Door>, request: Request, next: Next) -> Response {
    let settings = door.engine.settings();
    let caller = request.extensions().get::<Caller>().map(|Caller(alias)| alias.clone());
    let client = caller.and_then(|alias| settings.clients.iter().find(|client| client.alias == alias));
    let Some(client) = client else {
        return Refusal::from(ProblemType::Unauthorized.with("give the credentials of a client")).into_response();
    };
    let now = Instant::now();
    match door.limits.enter(&client.alias, client.limits, now) {
        Ok(_place) => next.run(request).await,
        Err(overstep) => {
            let (limit, wait) = overstep.told();
            let limit = format!("client.limits.{limit}");
            if let Some(requests) = door.limits.told.note(client.alias.clone(), now) {
                warn!(event = "client_limited", peer = %client.alias, requests, limit, "a client asks for too much");
            }
            let detail = format!("more than this site lets one client ask ({limit})");
            Refusal::wait(ProblemType::TooManyRequests.with(detail), wait).into_response()
        }
    }
}

/// Questions that read through much of the store: each client has so few of them under way at once that the others notice
/// little. Its own end user asks them one after the other.
pub async fn few(
    State((door, path, at_once)): State<(Door, &'static str, usize)>,
    request: Request,
    next: Next,
) -> Response {
    let Some(Caller(client)) = request.extensions().get::<Caller>().cloned() else {
        return Refusal::from(ProblemType::Unauthorized.with("give the credentials of a client")).into_response();
    };
    let (limits, now) = (ClientLimits { at_once, ..UNHURRIED }, Instant::now());
    match door.reads.enter(&(client.clone(), path), limits, now) {
        Ok(_place) => next.run(request).await,
        Err(overstep) => {
            let (_, wait) = overstep.told();
            if let Some(requests) = door.reads.told.note((client.clone(), path), now) {
                warn!(event = "client_limited", peer = %client, requests, limit = path, "a client asks for too much");
            }
            let detail = format!("{at_once} questions to {path} of one client are answered at once");
            Refusal::wait(ProblemType::TooManyRequests.with(detail), wait).into_response()
        }
    }
}

/// A place for a request that came with this token of an operator's, by its ID.
pub fn operator(door: &Door, token: &String) -> Result<Place, Refusal> {
    let now = Instant::now();
    door.operators.enter(token, OPERATOR, now).map_err(|overstep| {
        let (limit, wait) = overstep.told();
        if let Some(requests) = door.operators.told.note(token.clone(), now) {
            warn!(event = "operator_limited", token, requests, limit, "an operator's token asks for too much");
        }
        let detail = format!("more than this site lets one token ask ({limit})");
        Refusal::wait(ProblemType::TooManyRequests.with(detail), wait)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Alias;

    const LIMITS: ClientLimits = ClientLimits { requests_per_second: 2, burst: 3, at_once: 2, max_body_bytes: None };

    #[test]
    fn a_client_that_asks_too_fast_waits_and_another_does_not() {
        let (limits, now) = (Limits::<Alias>::default(), Instant::now());
        let (north, south) = ("north".parse().unwrap(), "south".parse().unwrap());
        for _ in 0..3 {
            assert!(limits.enter(&north, LIMITS, now).is_ok());
        }
        assert_eq!(limits.enter(&north, LIMITS, now).err(), Some(Overstep::Rate(Duration::from_millis(500))));
        assert!(limits.enter(&south, LIMITS, now).is_ok());
        assert!(limits.enter(&north, LIMITS, now + Duration::from_millis(500)).is_ok());
    }

    #[test]
    fn a_client_has_so_many_requests_under_way_and_the_end_of_one_makes_room() {
        let (limits, now) = (Limits::<Alias>::default(), Instant::now());
        let north = "north".parse().unwrap();
        let limits_at_once = ClientLimits { requests_per_second: 1000, burst: 1000, ..LIMITS };
        let first = limits.enter(&north, limits_at_once, now).unwrap();
        let _second = limits.enter(&north, limits_at_once, now).unwrap();
        assert_eq!(limits.enter(&north, limits_at_once, now).err(), Some(Overstep::AtOnce));
        drop(first);
        assert!(limits.enter(&north, limits_at_once, now).is_ok());
    }
}
