//! History as evidence (H-07): each entry is chained to the one before it, and peers sign what they received.
//!
//! `entry` is what a line of history proves, `merkle` lets one signature stand for many operations, `key` signs, `receipt`
//! is what a peer hands over.

pub mod entry;
pub mod key;
pub mod merkle;
pub mod receipt;

pub use entry::{Context, Entry, Kept, Travelled, Way, chained, hash_of, root_of};
pub use key::{Endorsement, KeyFault, PublicKey, Signature, SigningKey};
pub use receipt::{Head, Proof, Receipt, ReceiptFault, Received, Statement};
