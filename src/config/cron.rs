//! When scheduled work is due: a cron expression in a time zone.

use std::fmt;

use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Six fields, seconds first.
#[derive(Clone, PartialEq)]
pub struct Cron {
    text: String,
    pattern: croner::Cron,
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronFault {
    #[error("does not read: {0}")]
    Syntax(String),
    /// Such as the 30th of February.
    #[error("never fires")]
    Never,
}

impl Cron {
    pub fn parse(text: &str) -> Result<Self, CronFault> {
        let parser = CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).dom_and_dow(true).build();
        let pattern = parser.parse(text).map_err(|fault| CronFault::Syntax(fault.to_string()))?;
        let cron = Self { text: text.to_owned(), pattern };
        // Days and years come again after at most 400 of them; no zone takes part in that.
        match cron.next_after(Timestamp::UNIX_EPOCH, &TimeZone::UTC) {
            Some(_) => Ok(cron),
            None => Err(CronFault::Never),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first instant after `at` at which it fires by the clocks of `zone`. One that falls into an hour which is left
    /// out fires when that is over. In an hour that comes twice a fixed time fires once, and steps (`*/5`) go on.
    pub fn next_after(&self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let from = at.to_zoned(zone.clone());
        self.pattern.find_next_occurrence(&from, false).ok().map(|next| next.timestamp())
    }

    /// An expression that fires whenever this one does in any zone: at its seconds of each minute.
    pub fn wakes(&self) -> String {
        let seconds = self.text.split_whitespace().next().unwrap_or("0");
        format!("{seconds} * * * * *")
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fires(expression: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let cron = Cron::parse(expression).unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let first: Timestamp = from.parse().unwrap();
        let next = |at: &Timestamp| cron.next_after(*at, &zone);
        std::iter::successors(next(&first), next).take(count).map(|at| at.to_string()).collect()
    }

    #[test]
    fn m_10_a_daily_schedule_keeps_its_time_of_day_over_daylight_saving() {
        assert_eq!(
            fires("0 30 6 * * *", "Europe/Berlin", "2027-03-26T12:00:00Z", 3),
            ["2027-03-27T05:30:00Z", "2027-03-28T04:30:00Z", "2027-03-29T04:30:00Z"]
        );
        // 02:30 is left out in spring and comes twice in autumn.
        assert_eq!(
            fires("0 30 2 * * *", "Europe/Berlin", "2027-03-27T12:00:00Z", 2),
            ["2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"]
        );
        assert_eq!(
            fires("0 30 2 * * *", "Europe/Berlin", "2027-10-30T12:00:00Z", 2),
            ["2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z"]
        );
    }

    #[test]
    fn m_10_the_default_schedules_fire_as_often_as_the_source_says() {
        use crate::config::defaults;
        let within_a_day = |expression: &str| {
            let all = fires(expression, "Etc/UTC", "2026-11-22T00:00:00Z", 300);
            all.iter().filter(|at| at.as_str() <= "2026-11-23T00:00:00Z").count()
        };
        assert_eq!(within_a_day(defaults::SCHEDULE_AUTO_CLOSE), 24);
        assert_eq!(within_a_day(defaults::SCHEDULE_DUE_DATE_CHECK), 96);
        assert_eq!(within_a_day(defaults::SCHEDULE_SLA_CHECK), 288);
    }

    #[test]
    fn what_never_fires_is_no_schedule() {
        assert_eq!(Cron::parse("0 0 0 30 2 *"), Err(CronFault::Never));
        assert!(Cron::parse("0 0 0 29 2 *").is_ok(), "in leap years");
        assert!(matches!(Cron::parse("0 0 25 * * *"), Err(CronFault::Syntax(_))));
        assert_eq!(Cron::parse("*/20 5 1 * * *").unwrap().wakes(), "*/20 * * * * *");
    }
}
