//! `[schedule]`: when the regular work is done.

use crate::config::cron::{Cron, CronFault};
use crate::config::defaults;
use crate::config::faults::Refused;
use crate::config::item::{Item, quoted};
use crate::config::reader::Reader;
use crate::config::settings::Schedule;

use super::definitions::zone;

pub fn schedule(mut table: Reader<'_>) -> Result<Schedule, Refused> {
    let time_zone = table.take("time_zone", zone).unwrap_or_else(|| defaults::SCHEDULE_TIME_ZONE.to_owned());
    let mut at = |key: &'static str, default: &str| match table.item(key) {
        Some(item) => cron(&item),
        // No default is refused, as a test says; the key is where somebody would look for it.
        None => Cron::parse(default).map_err(|fault| table.missing(key, &fault.to_string())),
    };
    let housekeeping = at("housekeeping", defaults::SCHEDULE_HOUSEKEEPING);
    let late_attachments = at("late_attachments", defaults::SCHEDULE_LATE_ATTACHMENTS);
    let expiry_check = at("expiry_check", defaults::SCHEDULE_EXPIRY_CHECK);
    let reconcile = at("reconcile", defaults::SCHEDULE_RECONCILE);
    let auto_close = at("auto_close", defaults::SCHEDULE_AUTO_CLOSE);
    let due_date_check = at("due_date_check", defaults::SCHEDULE_DUE_DATE_CHECK);
    let sla_check = at("sla_check", defaults::SCHEDULE_SLA_CHECK);
    let case_check = at("case_check", defaults::SCHEDULE_CASE_CHECK);
    let keep_done = table.duration("keep_done", defaults::SCHEDULE_KEEP_DONE);
    table.finish();
    Ok(Schedule {
        time_zone,
        housekeeping: housekeeping?,
        late_attachments: late_attachments?,
        expiry_check: expiry_check?,
        reconcile: reconcile?,
        auto_close: auto_close?,
        due_date_check: due_date_check?,
        sla_check: sla_check?,
        case_check: case_check?,
        keep_done,
    })
}

fn cron(item: &Item<'_>) -> Result<Cron, Refused> {
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
    if let Some(c) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || " \t*/,-?#".contains(*c))) {
        return Err(item.refuse(format!("{c:?} cannot stand in a schedule"), format!("write {FORM}")));
    }
    Cron::parse(&fields.join(" ")).map_err(|fault| match fault {
        CronFault::Never => {
            let message = format!("{} never fires: no month has such a day", quoted(text));
            item.refuse(message, "write a day that comes")
        }
        CronFault::Syntax(_) => item.refuse(format!("{} {fault}", quoted(text)), format!("write {FORM}")),
    })
}
