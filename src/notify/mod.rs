//! What goes out of the site when something happened: webhooks, SNMP traps, local commands. Every wait and every body is
//! bounded, and nothing is tried again here: the queues are the only ones that do.

pub mod command;
pub mod snmp;
mod undelivered;
pub mod webhook;

pub use undelivered::Undelivered;
