//! Stories over real parts: real daemons as processes, real HTTP, real SQLite and sled.

mod support;

mod adopt;
mod attachments;
mod both;
mod circles;
mod cli;
mod clock;
mod converge;
mod crash_points;
mod damage;
mod faults;
mod fields;
mod flow;
mod inbox;
mod kill;
mod link;
mod logs;
mod lost;
mod manual;
mod openapi;
mod outbound;
mod ownership;
mod peer_test;
mod poison;
mod power_cut;
mod reconcile;
mod relay_kill;
mod relay_sites;
mod signals;
mod slow_store;
mod tenants;
mod why;
mod wire;
