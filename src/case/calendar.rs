//! Working time: how much of it lies between two instants, and when so much of it has gone by. Opening hours stand in a
//! time zone, which has days of 23 and of 25 hours.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::text::{TextFault, line};

/// When people work. It travels with each deadline that is counted by it, so that the other site needs none of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Calendar {
    /// A name of the IANA database, such as `Europe/Paris`.
    pub zone: String,
    /// For each day of the week, Monday first, the hours in order.
    #[schema(value_type = Vec<Vec<String>>)]
    pub hours: [Vec<Hours>; 7],
    /// Days without hours, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub holidays: Vec<Date>,
}

/// From one time of a day to a later one; `24:00` is its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    /// In minutes after midnight.
    from: u16,
    to: u16,
}

/// Why hours do not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoursFault {
    #[error("is not written as \"08:00-17:30\"")]
    Form,
    #[error("ends before it has begun")]
    Empty,
}

/// The end of a day, in minutes.
const DAY: u16 = 24 * 60;

impl FromStr for Hours {
    type Err = HoursFault;

    fn from_str(text: &str) -> Result<Self, HoursFault> {
        let (from, to) = text.split_once('-').ok_or(HoursFault::Form)?;
        let (from, to) = (minute(from).ok_or(HoursFault::Form)?, minute(to).ok_or(HoursFault::Form)?);
        if from < to { Ok(Self { from, to }) } else { Err(HoursFault::Empty) }
    }
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| match text.len() == 2 && text.bytes().all(|digit| digit.is_ascii_digit()) {
        true => text.parse::<u16>().ok(),
        false => None,
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let all = hour * 60 + minute;
    (minute < 60 && all <= DAY).then_some(all)
}

impl TryFrom<String> for Hours {
    type Error = HoursFault;

    fn try_from(text: String) -> Result<Self, HoursFault> {
        text.parse()
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> String {
        hours.to_string()
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

/// Why a calendar cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarFault {
    #[error("time zone {0}")]
    Zone(TextFault),
    #[error("has more than {} hours for a day, or {} holidays", Calendar::HOURS, Calendar::HOLIDAYS)]
    Size,
    #[error("has hours or holidays that are not in order")]
    Order,
    #[error("has no hours at all")]
    NeverOpen,
}

impl Calendar {
    /// The most hours of one day.
    pub const HOURS: usize = 12;
    /// The most holidays.
    pub const HOLIDAYS: usize = 400;

    /// Whether it can be counted by. A time zone that this machine does not know is no fault: another may.
    pub fn check(&self) -> Result<(), CalendarFault> {
        line(&self.zone, 64).map_err(CalendarFault::Zone)?;
        if self.hours.iter().any(|day| day.len() > Self::HOURS) || self.holidays.len() > Self::HOLIDAYS {
            return Err(CalendarFault::Size);
        }
        let follow = |day: &Vec<Hours>| day.windows(2).all(|two| two[0].to <= two[1].from);
        if !self.hours.iter().all(follow) || !self.holidays.is_sorted() {
            return Err(CalendarFault::Order);
        }
        if self.hours.iter().all(Vec::is_empty) {
            return Err(CalendarFault::NeverOpen);
        }
        Ok(())
    }

    /// Without the holidays that lie before `from`, as it travels.
    pub fn since(&self, from: Timestamp) -> Self {
        let first = TimeZone::UTC.to_datetime(from).date().yesterday().unwrap_or(Date::MIN);
        let holidays = self.holidays.iter().filter(|day| **day >= first).copied().collect();
        Self { holidays, ..self.clone() }
    }
}

/// Working time as it can be counted: by a calendar in a time zone that this machine knows, or around the clock.
#[derive(Debug, Clone)]
pub enum Working<'a> {
    Always,
    By { calendar: &'a Calendar, zone: TimeZone },
}

/// Ten years: nobody waits longer, and no calendar of a peer's keeps this site counting for longer.
const DAYS: usize = 3653;

impl<'a> Working<'a> {
    /// None where the time zone is not known here.
    pub fn by(calendar: Option<&'a Calendar>) -> Option<Self> {
        match calendar {
            None => Some(Self::Always),
            Some(calendar) => Some(Self::By { calendar, zone: TimeZone::get(&calendar.zone).ok()? }),
        }
    }

    /// The first instant at which `milliseconds` of working time have gone by since `from`; none where that takes longer
    /// than ten years.
    pub fn after(&self, from: Timestamp, milliseconds: i64) -> Option<Timestamp> {
        if milliseconds <= 0 {
            return Some(from);
        }
        let mut left = milliseconds;
        for (start, end) in self.spans(from) {
            let length = end.as_millisecond().saturating_sub(start.as_millisecond());
            if length >= left {
                return Timestamp::from_millisecond(start.as_millisecond().checked_add(left)?).ok();
            }
            left -= length;
        }
        None
    }

    /// The working time from one instant to another, in milliseconds.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> i64 {
        let within = |(start, end): (Timestamp, Timestamp)| {
            let end = end.min(to);
            (start < to).then(|| end.as_millisecond() - start.as_millisecond())
        };
        self.spans(from).map_while(within).sum()
    }

    /// The times of work from `from` on, in order and without overlaps.
    fn spans(&self, from: Timestamp) -> Box<dyn Iterator<Item = (Timestamp, Timestamp)> + '_> {
        match self {
            Self::Always => Box::new(std::iter::once((from, Timestamp::MAX))),
            Self::By { calendar, zone } => {
                let first = zone.to_datetime(from).date();
                let days = std::iter::successors(Some(first), |day| day.tomorrow().ok()).take(DAYS);
                let open = days.filter(|day| calendar.holidays.binary_search(day).is_err()).flat_map(|day| {
                    let weekday = day.weekday().to_monday_zero_offset() as usize;
                    calendar.hours.get(weekday).into_iter().flatten().map(move |hours| (day, *hours))
                });
                let spans = open.filter_map(move |(day, hours)| {
                    let start = instant(zone, day, hours.from)?.max(from);
                    let end = instant(zone, day, hours.to)?;
                    (start < end).then_some((start, end))
                });
                Box::new(spans)
            }
        }
    }
}

/// When a minute of a day begins: the first time where the clocks go back over it, and the moment of the jump where they
/// go forward over it. So what is later by the clock on the wall is never earlier.
fn instant(zone: &TimeZone, day: Date, minute: u16) -> Option<Timestamp> {
    let (day, minute) = if minute >= DAY { (day.tomorrow().ok()?, 0) } else { (day, minute) };
    let wall = day.at((minute / 60) as i8, (minute % 60) as i8, 0, 0);
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(wall).ok()
        }
        AmbiguousOffset::Gap { after, .. } => {
            let before_the_jump = after.to_timestamp(wall).ok()?;
            zone.following(before_the_jump).next().map(|jump| jump.timestamp())
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    pub fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Monday to Friday, with a break.
    pub fn office(zone: &str) -> Calendar {
        let day: Vec<Hours> = ["08:00-12:00", "13:00-17:00"].iter().map(|text| text.parse().unwrap()).collect();
        let hours = std::array::from_fn(|weekday| if weekday < 5 { day.clone() } else { Vec::new() });
        Calendar { zone: zone.into(), hours, holidays: vec![date(2026, 12, 25), date(2027, 1, 1)] }
    }

    const HOUR: i64 = 3_600_000;

    fn after(calendar: &Calendar, from: &str, hours: i64) -> String {
        let working = Working::by(Some(calendar)).unwrap();
        working.after(at(from), hours * HOUR).unwrap().to_string()
    }

    #[test]
    fn m_05_nights_weekends_and_holidays_are_no_working_time() {
        let paris = office("Europe/Paris");
        assert_eq!(after(&paris, "2026-11-23T07:00:00Z", 3), "2026-11-23T10:00:00Z");
        assert_eq!(after(&paris, "2026-11-23T07:00:00Z", 4), "2026-11-23T11:00:00Z", "the end of the morning itself");
        assert_eq!(after(&paris, "2026-11-23T07:00:00Z", 5), "2026-11-23T13:00:00Z", "after the break");
        assert_eq!(after(&paris, "2026-11-20T15:00:00Z", 2), "2026-11-23T08:00:00Z", "over the weekend");
        assert_eq!(after(&paris, "2026-12-24T15:30:00Z", 1), "2026-12-28T07:30:00Z", "Christmas is a Friday");
        assert_eq!(after(&paris, "2026-11-22T01:00:00Z", 1), "2026-11-23T08:00:00Z", "it starts while nobody works");
    }

    #[test]
    fn m_05_working_time_goes_on_over_a_change_of_daylight_saving() {
        let mut paris = office("Europe/Paris");
        // The clocks go forward on Sunday, 2027-03-28, and back on 2027-10-31.
        assert_eq!(after(&paris, "2027-03-26T15:00:00Z", 2), "2027-03-29T07:00:00Z");
        assert_eq!(after(&paris, "2027-10-29T14:00:00Z", 2), "2027-11-01T08:00:00Z");
        paris.hours = std::array::from_fn(|_| vec!["00:00-24:00".parse().unwrap()]);
        assert_eq!(after(&paris, "2027-03-27T23:00:00Z", 23), "2027-03-28T22:00:00Z", "a day of 23 hours");
        assert_eq!(after(&paris, "2027-10-30T22:00:00Z", 25), "2027-10-31T23:00:00Z", "and one of 25");
        // Hours that begin where the clocks jump begin with the jump.
        paris.hours = std::array::from_fn(|_| vec!["02:30-04:00".parse().unwrap()]);
        assert_eq!(after(&paris, "2027-03-27T23:00:00Z", 1), "2027-03-28T02:00:00Z");
    }

    #[test]
    fn a_zone_that_skips_a_day_and_one_with_a_gap_at_midnight_are_counted() {
        let mut calendar = office("Pacific/Apia");
        calendar.hours = std::array::from_fn(|_| vec!["00:00-24:00".parse().unwrap()]);
        // 2011-12-30 did not happen there.
        assert_eq!(after(&calendar, "2011-12-29T10:00:00Z", 48), "2011-12-31T10:00:00Z");
        calendar.zone = "Africa/Cairo".into();
        assert_eq!(after(&calendar, "2027-04-28T00:00:00Z", 72), "2027-05-01T00:00:00Z");
    }

    #[test]
    fn a_calendar_that_hardly_opens_ends_the_count() {
        let mut calendar = office("Etc/UTC");
        calendar.hours = Default::default();
        calendar.hours[6] = vec!["10:00-10:01".parse().unwrap()];
        let working = Working::by(Some(&calendar)).unwrap();
        assert_eq!(working.after(at("2026-11-22T00:00:00Z"), 24 * HOUR), None);
        assert!(Working::by(Some(&Calendar { zone: "Europe/Nowhere".into(), ..calendar.clone() })).is_none());
    }

    #[test]
    fn what_a_peer_sends_is_checked() {
        let sound = office("Europe/Paris");
        assert_eq!(sound.check(), Ok(()));
        let mut crossing = sound.clone();
        crossing.hours[0] = vec!["08:00-12:00".parse().unwrap(), "11:00-13:00".parse().unwrap()];
        assert_eq!(crossing.check(), Err(CalendarFault::Order));
        assert_eq!(Calendar { hours: Default::default(), ..sound.clone() }.check(), Err(CalendarFault::NeverOpen));
        let holidays = (1..=401).map(|n| date(2026, 1, 1).checked_add(jiff::Span::new().days(n)).unwrap()).collect();
        assert_eq!(Calendar { holidays, ..sound.clone() }.check(), Err(CalendarFault::Size));
        assert!(Calendar { zone: "a\nb".into(), ..sound.clone() }.check().is_err());
        for wrong in ["8:00-12:00", "08:00", "08:60-09:00", "12:00-12:00", "13:00-12:00", "23:00-24:01", "+8:00-09:00"]
        {
            assert!(wrong.parse::<Hours>().is_err(), "{wrong}");
        }
        let told = serde_json::to_string(&sound).unwrap();
        assert_eq!(serde_json::from_str::<Calendar>(&told).unwrap(), sound);
        assert_eq!(sound.since(at("2026-12-30T00:00:00Z")).holidays, [date(2027, 1, 1)]);
    }

    pub fn calendars() -> impl Strategy<Value = Calendar> {
        let zones =
            ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Cairo", "Etc/UTC"];
        let day = prop::collection::btree_set(0..=DAY, 0..6).prop_map(|edges| {
            let edges: Vec<u16> = edges.into_iter().collect();
            edges.chunks_exact(2).map(|two| Hours { from: two[0], to: two[1] }).collect::<Vec<_>>()
        });
        let holidays = prop::collection::btree_set(0i64..400, 0..20);
        let days = prop::array::uniform7(day);
        (prop::sample::select(zones.to_vec()), days, holidays).prop_filter_map(
            "never open",
            |(zone, hours, holidays)| {
                let first = date(2026, 11, 1);
                let holidays = holidays.into_iter().filter_map(|n| first.checked_add(jiff::Span::new().days(n)).ok());
                let calendar = Calendar { zone: zone.into(), hours, holidays: holidays.collect() };
                calendar.check().is_ok().then_some(calendar)
            },
        )
    }

    pub fn instants() -> impl Strategy<Value = Timestamp> {
        (1_793_500_000_000i64..1_825_000_000_000).prop_map(|ms| Timestamp::from_millisecond(ms).unwrap())
    }

    proptest! {
        #[test]
        fn working_time_is_monotone_additive_and_counted_back(
            calendar in calendars(), from in instants(), one in 1i64..100 * HOUR, two in 1i64..100 * HOUR,
        ) {
            let working = Working::by(Some(&calendar)).unwrap();
            let Some(sum) = working.after(from, one + two) else { return Ok(()) };
            let first = working.after(from, one).unwrap();
            prop_assert!(from < first && first < sum, "monotone");
            prop_assert_eq!(working.after(first, two), Some(sum), "additive");
            prop_assert_eq!(working.between(from, sum), one + two, "counted back");
            let later = Timestamp::from_millisecond(from.as_millisecond() + two).unwrap();
            prop_assert!(working.after(later, one).unwrap() >= first, "a later start ends no earlier");
        }

        /// Against the slow way: each minute is looked up on the wall.
        #[test]
        fn each_minute_counts_that_is_open_on_the_wall(mut calendar in calendars(), from in instants(), minutes in 1i64..20_000) {
            // Which of two equal times opens is a matter of taste, and tested above; clocks change at night, in Cairo before midnight.
            for hours in calendar.hours.iter_mut().flatten() {
                (hours.from, hours.to) = (hours.from.clamp(4 * 60, 22 * 60), hours.to.clamp(4 * 60, 22 * 60));
            }
            calendar.hours.iter_mut().for_each(|day| day.retain(|hours| hours.from < hours.to));
            let from = Timestamp::from_second(from.as_second() / 60 * 60).unwrap();
            let to = Timestamp::from_second(from.as_second() + minutes * 60).unwrap();
            let zone = TimeZone::get(&calendar.zone).unwrap();
            let open = (0..minutes).filter(|minute| {
                let wall = zone.to_datetime(Timestamp::from_second(from.as_second() + minute * 60).unwrap());
                let of_day = wall.hour() as u16 * 60 + wall.minute() as u16;
                let hours = &calendar.hours[wall.date().weekday().to_monday_zero_offset() as usize];
                !calendar.holidays.contains(&wall.date()) && hours.iter().any(|one| one.from <= of_day && of_day < one.to)
            });
            let working = Working::by(Some(&calendar)).unwrap();
            prop_assert_eq!(working.between(from, to), open.count() as i64 * 60_000);
        }
    }
}
