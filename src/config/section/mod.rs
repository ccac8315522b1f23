//! The sections of the file, one function each: from a table to its part of the settings.

pub(super) mod address;
mod attachments;
pub(super) mod bundle;
pub(super) mod case;
pub(super) mod client;
pub(super) mod definitions;
pub(super) mod exchange;
pub(super) mod fields;
pub(super) mod history;
pub(super) mod inbox;
pub(super) mod job;
pub(super) mod listen;
mod login;
pub(super) mod mail;
pub(super) mod mail_inbox;
pub(super) mod pages;
pub(super) mod policy;
pub(super) mod reaction;
pub(super) mod retry;
pub(super) mod role;
pub(super) mod schedule;
pub(super) mod site;
pub(super) mod upstream;
