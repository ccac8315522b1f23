//! `[schedule]`: when the regular work is done.

use crate::config::defaults;
use crate::config::faults::Refused;
use crate::config::item::{Item, quoted};
use crate::config::reader::Reader;
use crate::config::settings::Schedule;

pub fn schedule(mut table: Reader<'_>) -> Schedule {
    let mut cron = |key, default: &str| table.take(key, cron).unwrap_or_else(|| default.to_owned());
    let housekeeping = cron("housekeeping", defaults::SCHEDULE_HOUSEKEEPING);
    let late_attachments = cron("late_attachments", defaults::SCHEDULE_LATE_ATTACHMENTS);
    let expiry_check = cron("expiry_check", defaults::SCHEDULE_EXPIRY_CHECK);
    let reconcile = cron("reconcile", defaults::SCHEDULE_RECONCILE);
    let keep_done = table.duration("keep_done", defaults::SCHEDULE_KEEP_DONE);
    table.finish();
    Schedule { housekeeping, late_attachments, expiry_check, reconcile, keep_done }
}

/// Checks the form only: the values of the fields are checked by the scheduler, when the daemon starts.
fn cron(item: &Item<'_>) -> Result<String, Refused> {
    const FORM: &str = "second, minute, hour, day of month, month, day of week; for example \"0 30 6 * * *\"";
    let text = item.line(128)?;
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() == 5 {
        let message = format!("six fields are needed, and {} has five", quoted(text));
        return Err(item.refuse(message, format!("put the second in front: \"0 {}\"", fields.join(" "))));
    }
    if fields.len() != 6 {
        let message = format!("six fields are needed, and {} has {}", quoted(text), fields.len());
        return Err(item.refuse(message, format!("write {FORM}")));
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || " \t*/,-?#".contains(*c))) {
        Some(c) => Err(item.refuse(format!("{c:?} cannot stand in a schedule"), format!("write {FORM}"))),
        None => Ok(fields.join(" ")),
    }
}
