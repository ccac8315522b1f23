//! Stories over real parts: real daemons as processes, real HTTP, real SQLite and sled.

mod support;

mod adopt;
mod cli;
mod damage;
mod flow;
mod inbox;
mod kill;
mod logs;
mod lost;
mod peer_test;
mod signals;
