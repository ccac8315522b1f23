//! Stories over real parts: real daemons as processes, real HTTP, real SQLite and sled.

mod support;

mod adopt;
mod clock;
mod flow;
mod kill;
mod lost;
mod openapi;
mod outbound;
mod poison;
mod slow_store;
mod tenants;
mod wire;
