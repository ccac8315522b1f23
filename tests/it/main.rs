//! Stories over real parts: real daemons as processes, real HTTP, real SQLite and sled.

mod adopt;
mod attachments;
mod behind;
mod both;
mod circles;
mod cli;
mod clock;
mod converge;
mod damage;
mod fields;
mod flow;
#[path = "../fuzz/mod.rs"]
mod fuzz;
mod given_back;
mod inbox;
mod kill;
mod link;
mod logs;
mod lost;
mod manual;
mod openapi;
mod outbound;
mod ownership;
mod paused;
mod peer_test;
mod poison;
mod reconcile;
mod relay_kill;
mod relay_sites;
mod relay_words;
mod requests;
mod signals;
mod slow_store;
mod support;
mod tenants;
mod why;
mod wire;

