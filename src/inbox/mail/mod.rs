//! Mails that come in: a Maildir, or a directory into which a mail server writes each mail as a file, is looked at like
//! an inbox of deposits. A mail makes no incident: its sender gets a link to a form. An answer to a mail of ours becomes a
//! comment of its case.
//!
//! In reading order: [`read()`] makes a [`Letter`] of a file, with `parts` (the structure), `text` (what a person wrote),
//! `nature` (who or what wrote it) and `origin` (whether the servers that it came over name the same sender); `take` decides what becomes of it; [`MailInbox`] watches the directory.

mod nature;
mod origin;
mod parts;
mod read;
mod take;
mod text;
mod watch;

pub use nature::Nature;
pub use read::{Envelope, Letter, MailFault, read};
pub use take::{MailTaker, Postman, Taken};
pub use watch::{MailInbox, MailSummary};
