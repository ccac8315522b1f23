//! History as evidence (H-07): each entry is chained to the one before it, and peers sign what they received.
//!
//! `entry` is what a line of history proves, `merkle` lets one signature stand for many operations, `key` signs, `receipt`
//! is what a peer hands over, `export` what a site hands out, and `verify` reads it with nothing else at hand.

pub mod entry;
pub mod export;
pub mod key;
pub mod merkle;
pub mod receipt;
#[cfg(test)]
mod tests;
pub mod verify;

pub use entry::{Context, Entry, Kept, Travelled, Way, chained, hash_of, root_of};
pub use export::{Begin, End, Exported, Line, Whose};
pub use key::{Endorsement, KeyFault, PublicKey, Signature, SigningKey};
pub use receipt::{Head, Proof, Receipt, ReceiptFault, Received, Statement};
pub use verify::{Finding, Keys, Report, ToldElsewhere, Verifier, heads_in};
