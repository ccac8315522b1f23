//! `[[mail_inbox]]`: directories of mails that came in.

use crate::config::claims::Claims;
use crate::config::defaults;
use crate::config::disk::{Disk, Want};
use crate::config::faults::Refused;
use crate::config::origin::{Origin, normalized};
use crate::config::reader::Reader;
use crate::config::settings::MailInbox;

use super::site::PATH_LIMIT;

/// The most of them.
pub const MAIL_INBOX_LIMIT: usize = 16;

/// `directories` has the directories of all inboxes.
pub fn mail_inbox(
    mut table: Reader<'_>,
    origin: &Origin,
    directories: &mut Claims,
    disk: &mut Disk,
) -> Result<MailInbox, Refused> {
    let dir = table.required("dir", "write dir = \"/var/lib/casebridge/mail\"").and_then(|item| {
        let dir = origin.resolve(item.line(PATH_LIMIT)?);
        let help = "deposits and mails are read differently: give each inbox a directory of its own";
        directories.claim(&item, normalized(&dir).to_string_lossy().into_owned(), help);
        disk.want(item.spot, dir.clone(), Want::WritableDirectory);
        Ok(dir)
    });
    let poll_interval = table.duration("poll_interval", defaults::MAIL_INBOX_POLL_INTERVAL);
    let settle = table.duration("settle", defaults::MAIL_INBOX_SETTLE);
    let max_bytes = table.size("max_size", defaults::MAIL_INBOX_MAX_SIZE);
    let links_per_hour = table.count("links_per_hour", defaults::MAIL_INBOX_LINKS_PER_HOUR);
    let answers_per_hour = table.count("answers_per_hour", defaults::MAIL_INBOX_ANSWERS_PER_HOUR);
    table.finish();
    Ok(MailInbox { dir: dir?, poll_interval, settle, max_bytes, links_per_hour, answers_per_hour })
}
