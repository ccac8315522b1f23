//! Room for large bodies. One client has as much of it as one of the largest takes, and all clients together twice that; what is
//! read of a client's is read in turn. So neither the memory nor the processor is one client's alone, and a small request waits
//! for none of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Refusal;
use crate::case::Alias;
use crate::protocol::ProblemType;

/// Up to here a body is a small one, which needs no room.
pub const SMALL: usize = 64 << 10;
/// What one client has, and all together, in KiB. A body that is allowed to be larger takes all that its client has.
const EACH: usize = 16 << 10;
const ALL: usize = 2 * EACH;
/// When whoever found none is to come back.
const COME_BACK: Duration = Duration::from_secs(1);

/// The room of all clients. There are no more entries than clients in the settings of one run.
pub struct Rooms {
    all: Arc<Semaphore>,
    clients: Mutex<HashMap<Alias, Room>>,
}

impl Default for Rooms {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(ALL)), clients: Mutex::default() }
    }
}

/// The room of one client.
#[derive(Clone)]
pub struct Room {
    own: Arc<Semaphore>,
    all: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

/// The room that one body takes, until it was answered.
#[derive(Debug)]
pub struct Held {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Rooms {
    pub fn of(&self, client: &Alias) -> Room {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Room {
            own: Arc::new(Semaphore::new(EACH)),
            all: Arc::clone(&self.all),
            turn: Arc::new(Semaphore::new(1)),
        };
        clients.entry(client.clone()).or_insert_with(new).clone()
    }
}

impl Room {
    /// Room for so many bytes, once there is.
    pub async fn enter(&self, bytes: usize, within: Duration) -> Result<Held, Refusal> {
        let amount = u32::try_from(bytes.div_ceil(1024).min(EACH)).unwrap_or(u32::MAX);
        // Its own first: whoever waits for that keeps nobody else's.
        let entering = async {
            let own = Arc::clone(&self.own).acquire_many_owned(amount).await;
            (own, Arc::clone(&self.all).acquire_many_owned(amount).await)
        };
        match tokio::time::timeout(within, entering).await {
            Ok((Ok(own), Ok(all))) => Ok(Held { _own: own, _all: all }),
            _ => {
                let problem = ProblemType::Busy.with("too many large bodies are under way; send this one again");
                Err(Refusal::wait(problem, COME_BACK))
            }
        }
    }

    /// The turn to have a large body read. None where there are no turns any more, which never is.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turn).acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_client_that_fills_its_room_waits_and_another_has_its_own() {
        let rooms = Rooms::default();
        let [north, south, west] = ["north", "south", "west"].map(|alias| rooms.of(&alias.parse().unwrap()));
        let held = north.enter(16 << 20, SOON).await.ok().unwrap();
        assert!(north.enter(1 << 20, SOON).await.is_err());
        let second = south.enter(1 << 30, SOON).await.ok().unwrap();
        assert!(west.enter(1 << 20, SOON).await.is_err(), "all of them together");
        drop(second);
        assert!(west.enter(1 << 20, SOON).await.is_ok());
        drop(held);
        let several = [north.enter(4 << 20, SOON).await, north.enter(4 << 20, SOON).await];
        assert!(several.iter().all(Result::is_ok), "smaller ones side by side");
    }

    #[tokio::test]
    async fn what_one_client_sends_is_read_in_turn() {
        let rooms = Rooms::default();
        let (north, again) = (rooms.of(&"north".parse().unwrap()), rooms.of(&"north".parse().unwrap()));
        let turn = north.turn().await;
        assert!(tokio::time::timeout(SOON, again.turn()).await.is_err());
        assert!(tokio::time::timeout(SOON, rooms.of(&"south".parse().unwrap()).turn()).await.is_ok());
        drop(turn);
        assert!(tokio::time::timeout(SOON, again.turn()).await.is_ok());
    }
}
