//! `[[inbox]]`: watched directories.

use crate::config::claims::Claims;
use crate::config::defaults;
use crate::config::disk::{Disk, Want};
use crate::config::faults::Refused;
use crate::config::origin::{Origin, normalized};
use crate::config::reader::Reader;
use crate::config::settings::Inbox;

use super::site::PATH_LIMIT;

/// The most inboxes of one site.
pub const INBOX_LIMIT: usize = 256;
/// The longest name of a device group, in bytes.
pub(super) const GROUP_LIMIT: usize = 128;

/// `directories` has the directories of the other inboxes: a directory serves one group at a time.
pub fn inbox(
    mut table: Reader<'_>,
    origin: &Origin,
    directories: &mut Claims,
    disk: &mut Disk,
) -> Result<Inbox, Refused> {
    let dir = table.required("dir", "write dir = \"/var/lib/casebridge/inbox\"").and_then(|item| {
        let dir = origin.resolve(item.line(PATH_LIMIT)?);
        let help = "a directory serves one group (A-03): give each [[inbox]] a directory of its own";
        // What is wrong with a directory is told once.
        if directories.claim(&item, normalized(&dir).to_string_lossy().into_owned(), help) {
            disk.want(item.spot, dir.clone(), Want::WritableDirectory);
        }
        Ok(dir)
    });
    let group = table.line("group", GROUP_LIMIT);
    let poll_interval = table.duration("poll_interval", defaults::INBOX_POLL_INTERVAL);
    let settle = table.duration("settle", defaults::INBOX_SETTLE);
    let max_bytes = table.size("max_size", defaults::INBOX_MAX_SIZE);
    let max_attachment_bytes = table.size("max_attachment_size", defaults::INBOX_MAX_ATTACHMENT_SIZE);
    table.finish();
    Ok(Inbox { dir: dir?, group, poll_interval, settle, max_bytes, max_attachment_bytes })
}
