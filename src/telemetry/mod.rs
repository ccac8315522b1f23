//! Logs: one event name and one set of field names per fact, in text, JSON or journald form.
//!
//! An event is written as `info!(event = "case_opened", incident = %id, ...)`. Fields have the same name everywhere:
//! `incident`, `exchange`, `peer`, `transaction`, `case`, `seq`, `operation`, `attempt`, `next_attempt`, `reason`. No
//! secret, no mail address and no incident text at the default level.

mod crash;
mod discreet;
mod fields;
mod install;
mod outlet;
mod seldom;

pub use crash::{CrashPoint, crash_point};
pub use discreet::{discreet, discreet_name, discreet_value};
pub use install::{Format, InstallError, install};
pub use outlet::lines_lost;
pub use seldom::Seldom;
