//! casebridge keeps an incident the same at an end user's, a partner's and a vendor's site until its case is closed.
//!
//! One daemon per site. It watches the site's own incident store, hands the incidents that a person or a policy submits
//! to the site above, and writes back what that site answers:
//!
//! ```text
//! deposit -> detect -> submit -> Create Case -> transaction ID -> (poll) case ID + link -> (poll) updates -> closed
//! ```
//!
//! A room may use what stands below it, never above, never beside:
//!
//! ```text
//! main, cli                        parse, call, print
//! daemon                           settings become parts; run until told to stop; systemd
//! api  console  inbox  jobs        the doors
//! exchange                         the engine, and the only writer of state
//! store    peer  state   notify    one outside thing each
//! protocol                         what goes over the wire
//! config                           settings
//! case     telemetry  clock        the domain (no I/O, no clock); logs and crash points; time
//! ```

pub mod api;
pub mod case;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod daemon;
pub mod exchange;
#[cfg(test)]
#[path = "../tests/fuzz/mod.rs"]
mod fuzz;
pub mod inbox;
pub mod jobs;
pub mod notify;
pub mod peer;
pub mod protocol;
pub mod state;
pub mod store;
pub mod telemetry;
