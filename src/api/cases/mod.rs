//! The cases, for people and programs of the site: `/v1/cases...` and what belongs to it. The same calls are answered over
//! the Unix socket and, for operators with a token, over the network.
//!
//! `endpoints` is the one table of what there is and who may use it; the routes are made from it here. `door` decides who
//! calls and whether that is allowed, `answer` gives answers their codes, `describe` writes the table into the
//! OpenAPI document. The other files hold the calls themselves.

mod actions;
mod activities;
pub mod answer;
mod call;
mod checks;
mod comments;
mod create;
mod definitions;
mod describe;
mod documents;
pub mod door;
mod edit;
pub mod endpoints;
mod list;
mod milestones;
mod people;
mod show;
mod tags;
#[cfg(test)]
mod tests;

use axum::{Router, middleware};

use super::Door;

pub use answer::Coded;
pub use describe::{SCHEME, TAG, describe};
pub use door::Caller;
pub use endpoints::Endpoint;

/// The way that callers come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The Unix socket: whoever may write to its file may do everything.
    Socket,
    /// The network: an operator's token says what it may be used for.
    Network,
}

/// Every endpoint of the table, each behind the door.
pub fn router(door: &Door, way: Way) -> Router<Door> {
    Endpoint::ALL.iter().fold(Router::new(), |router, endpoint| {
        let gate = door::Gate { door: door.clone(), way, endpoint: *endpoint };
        let handler = endpoint.handler().layer(middleware::from_fn_with_state(gate, door::enter));
        router.route(endpoint.path(), handler)
    })
}
