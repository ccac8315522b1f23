//! The conformance suite that every store adapter passes, and the adapters bound to it.

mod sqlite;
mod suite;
