//! Stories over real parts: real daemons as processes, real HTTP, real SQLite and sled.

mod support;

mod adopt;
mod flow;
mod kill;
mod lost;
mod poison;
mod tenants;
mod wire;
