//! `[[calendar]]`, `[[priority]]`, `[[sla]]`, `[[solution]]`, `[[process]]`, `[[case_type]]`: what the site offers its
//! customers (M-05). Each section names those that stand above it here, so there are no circles.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::case::calendar::{Calendar, Hours, Working};
use crate::case::case_type::{CaseType, Definitions, PriorityNote, Process, Sla, Solution, Terms};
use crate::case::deadline::{Deadline, Goal};
use crate::case::{Policy, Priority};
use crate::config::claims::Claims;
use crate::config::defaults::Bounded;
use crate::config::faults::{Faults, Refused, Spot};
use crate::config::item::{Item, quoted};
use crate::config::reader::Reader;

use super::policy::{choices, matching, priorities};

/// The most sections of one kind.
const LIMIT: usize = 200;
/// The most SLAs of one case type.
const SLA_LIMIT: usize = 16;
/// The longest name, in bytes.
const NAME_LIMIT: usize = 128;
/// The longest description, in bytes.
const DESCRIPTION_LIMIT: usize = 1024;

const MINUTE: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(Deadline::LONGEST);
/// Any Monday: the hours of a calendar come again each week.
const MONDAY: Timestamp = Timestamp::constant(1_767_571_200, 0);

pub fn definitions(file: &mut Reader<'_>) -> Definitions {
    let calendars = each(file, "calendar", calendar);
    let priorities = priority_notes(file);
    let slas = each(file, "sla", |table, name| sla(table, name, &calendars));
    let solutions = each(file, "solution", |mut table, name| {
        let description = table.line("description", DESCRIPTION_LIMIT);
        table.finish();
        Ok(Solution { name: name?, description })
    });
    let processes = each(file, "process", |table, name| process(table, name, &solutions));
    let case_types = each(file, "case_type", |table, name| case_type(table, name, &processes, &slas, &calendars));
    Definitions { solutions: plain(solutions), processes: plain(processes), priorities, case_types: plain(case_types) }
}

fn plain<T>(named: Vec<(String, T)>) -> Vec<T> {
    named.into_iter().map(|(_, one)| one).collect()
}

/// Those that read, by their names. The name is read first; a section whose name does not read is read to its end.
fn each<'t, T>(
    file: &mut Reader<'t>,
    key: &'static str,
    mut read: impl FnMut(Reader<'t>, Result<String, Refused>) -> Result<T, Refused>,
) -> Vec<(String, T)> {
    let mut names = Claims::default();
    let one = |mut table: Reader<'t>| {
        let name = name(&mut table, key, &mut names);
        let known = name.as_ref().ok().cloned();
        let read = read(table, name);
        Some((known?, read.ok()?))
    };
    file.sections(key, LIMIT).into_iter().filter_map(one).collect()
}

fn name(table: &mut Reader<'_>, key: &str, names: &mut Claims) -> Result<String, Refused> {
    let item = table.required("name", "give it a name, for example name = \"Hardware repair\"")?;
    let name = item.line(NAME_LIMIT)?.to_owned();
    names.claim(&item, name.clone(), &format!("each [[{key}]] needs a name of its own"));
    Ok(name)
}

/// One of those that were defined above.
fn reference<'d, T>(item: &Item<'_>, key: &str, defined: &'d [(String, T)]) -> Result<&'d T, Refused> {
    if defined.is_empty() {
        let name = item.line(NAME_LIMIT)?;
        let message = format!("{} is not defined", quoted(name));
        return Err(item.refuse(message, format!("add [[{key}]] with this name, or leave it out")));
    }
    let words: Vec<(&str, &T)> = defined.iter().map(|(name, one)| (name.as_str(), one)).collect();
    item.choice(&words)
}

/// From a minute to ten years.
fn span(item: &Item<'_>) -> Result<Duration, Refused> {
    let most = Duration::from_millis(u64::MAX);
    let span = item.duration(Bounded { default: MINUTE, least: Duration::ZERO, most })?;
    if span < MINUTE || span > LONGEST {
        return Err(item.refuse("lasts less than a minute or more than ten years", "write for example \"8h\""));
    }
    Ok(span)
}

const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

fn calendar(mut table: Reader<'_>, name: Result<String, Refused>) -> Result<Calendar, Refused> {
    let zone = table
        .required("time_zone", "name the time zone in which the hours stand, for example \"Europe/Paris\"")
        .and_then(|item| zone(&item));
    let hours = DAYS.map(|day| table.take(day, |item| item.list(Calendar::HOURS, hours)).unwrap_or_default());
    let mut holidays = table.take("holidays", |item| item.list(Calendar::HOLIDAYS, holiday)).unwrap_or_default();
    holidays.sort_unstable();
    holidays.dedup();
    let (spot, faults, sound) = (table.spot.clone(), table.faults, table.is_sound());
    table.finish();
    name?;
    let calendar = Calendar { zone: zone?, hours, holidays };
    if sound && let Err(fault) = calendar.check() {
        let help = "write the hours of each day in order, for example monday = [\"08:00-12:00\", \"13:00-17:00\"]";
        return Err(faults.refuse(spot, fault.to_string(), help));
    }
    Ok(calendar)
}

/// A name of the time zone database.
pub(super) fn zone(item: &Item<'_>) -> Result<String, Refused> {
    let text = item.line(64)?;
    match TimeZone::get(text) {
        Ok(zone) if !zone.is_unknown() => Ok(text.to_owned()),
        _ => {
            let help =
                "write a name of the IANA database, for example \"Europe/Paris\"; the machine needs its tzdata package";
            Err(item.refuse(format!("{} is not a time zone that this machine knows", quoted(text)), help))
        }
    }
}

fn hours(item: &Item<'_>) -> Result<Hours, Refused> {
    let text = item.text()?;
    text.parse().map_err(|fault| {
        item.refuse(
            format!("{} {fault}", quoted(text)),
            "write for example \"08:00-12:30\"; \"24:00\" is the end of the day, and a night is two of them",
        )
    })
}

fn holiday(item: &Item<'_>) -> Result<Date, Refused> {
    let text = item.text()?;
    text.parse()
        .map_err(|_| item.refuse(format!("{} is not a day", quoted(text)), "write year, month and day: \"2026-12-25\""))
}

/// What the site has to say about some of the four priorities. They are the exchange's, and have no other names.
fn priority_notes(file: &mut Reader<'_>) -> Vec<PriorityNote> {
    let mut taken = Claims::default();
    let one = |mut table: Reader<'_>| {
        let help = "name one of the four priorities, for example name = \"1 - Critical\"";
        let priority = table.required("name", help).and_then(|item| {
            let priority = item.choice(&priorities())?;
            taken.claim(&item, priority.as_str().to_owned(), "each of the four is described once");
            Ok(priority)
        });
        let description = table.line("description", DESCRIPTION_LIMIT);
        table.finish();
        Some(PriorityNote { priority: priority.ok()?, description })
    };
    file.sections("priority", LIMIT).into_iter().filter_map(one).collect()
}

/// The working time of an SLA or a due date.
struct Span {
    within: Result<Duration, Refused>,
    warn_before: Option<(Duration, Spot)>,
    calendar: Option<Calendar>,
}

impl Span {
    fn read(
        table: &mut Reader<'_>,
        [within, warn_before, by]: [&'static str; 3],
        calendars: &[(String, Calendar)],
    ) -> Self {
        let help = "write the working time that may go by, for example \"8h\": a day of work is not \"1d\"";
        Self {
            within: table.required(within, help).and_then(|item| span(&item)),
            warn_before: table.item(warn_before).and_then(|item| Some((span(&item).ok()?, item.spot.clone()))),
            calendar: table.item(by).and_then(|item| reference(&item, "calendar", calendars).ok().cloned()),
        }
    }

    /// What contradicts itself is refused: a warning that comes no sooner than the end, hours that never add up.
    fn terms(self, table: &Spot, faults: &Faults) -> Result<Terms, Refused> {
        let Self { within, warn_before, calendar } = self;
        let within = within?;
        if let Some((before, spot)) = &warn_before
            && *before >= within
        {
            let message = "the warning would come before the clock starts";
            return Err(faults.refuse(spot.clone(), message, "warn later: write less than the whole time"));
        }
        let counted = Working::by(calendar.as_ref());
        if counted.is_some_and(|working| working.after(MONDAY, milliseconds(within)).is_none()) {
            let message = "its calendar has too few hours: it would take longer than ten years";
            return Err(faults.refuse(table.clone(), message, "write less time, or more hours into the calendar"));
        }
        Ok(Terms { within, warn_before: warn_before.map(|(before, _)| before), calendar })
    }
}

fn sla(mut table: Reader<'_>, name: Result<String, Refused>, calendars: &[(String, Calendar)]) -> Result<Sla, Refused> {
    let goal = table.choice("goal", &Goal::ALL.map(|goal| (goal.as_str(), goal)), Goal::default());
    let priorities = choices(&mut table, "priorities", &priorities());
    let span = Span::read(&mut table, ["within", "warn_before", "calendar"], calendars);
    let (spot, faults) = (table.spot.clone(), table.faults);
    table.finish();
    let terms = span.terms(&spot, faults);
    Ok(Sla { name: name?, goal, priorities, terms: terms? })
}

fn process(
    mut table: Reader<'_>,
    name: Result<String, Refused>,
    solutions: &[(String, Solution)],
) -> Result<Process, Refused> {
    let solution = table
        .required("solution", "name the [[solution]] that it belongs to")
        .and_then(|item| reference(&item, "solution", solutions));
    let description = table.line("description", DESCRIPTION_LIMIT);
    table.finish();
    Ok(Process { name: name?, solution: solution?.name.clone(), description })
}

fn case_type(
    mut table: Reader<'_>,
    name: Result<String, Refused>,
    processes: &[(String, Process)],
    slas: &[(String, Sla)],
    calendars: &[(String, Calendar)],
) -> Result<CaseType, Refused> {
    let process = table
        .required("process", "name the [[process]] that it belongs to")
        .and_then(|item| reference(&item, "process", processes));
    let description = table.line("description", DESCRIPTION_LIMIT);
    let filter = matching(&mut table, name);
    let auto_close_after = table.take("auto_close_after", span);
    let has_due = ["due_within", "due_warn_before", "due_calendar"].iter().any(|key| table.spot_of(key).is_some());
    let keys = ["due_within", "due_warn_before", "due_calendar"];
    let due = match has_due {
        true => Some(Span::read(&mut table, keys, calendars)),
        false => {
            // Known here, if not used.
            keys.iter().for_each(|key| drop(table.item(key)));
            None
        }
    };
    let chosen = table.take("slas", |item| item.list(SLA_LIMIT, |one| promised(one, slas))).unwrap_or_default();
    let (spot, faults) = (table.spot.clone(), table.faults);
    table.finish();
    let (filter, process) = (filter?, process?);
    let due = due.map(|span| span.terms(&spot, faults)).transpose()?;
    for (index, (at, sla)) in chosen.iter().enumerate() {
        if chosen.iter().take(index).any(|(_, other)| other.name == sla.name) {
            return Err(faults.refuse(at.clone(), "stands here twice", "name each SLA once"));
        }
        let earlier = chosen.iter().take(index).map(|(_, other)| other);
        if let Some((answer, solution)) = earlier.filter_map(|other| contradict(&filter, other, sla)).next() {
            let (answer, solution) = (quoted(&answer.name), quoted(&solution.name));
            let message = format!("{answer} promises an answer later than {solution} does a solution");
            return Err(faults.refuse(
                at.clone(),
                message,
                "let the answer be due before the solution, for each priority",
            ));
        }
        let meets = |priority| filter.priorities.contains(priority);
        if !sla.priorities.is_empty() && !filter.priorities.is_empty() && !sla.priorities.iter().any(meets) {
            let message = format!("{} is for priorities that no case of this type has", quoted(&sla.name));
            return Err(faults.refuse(at.clone(), message, "take it out, or let the type or the SLA have others"));
        }
    }
    Ok(CaseType {
        name: filter.name.clone(),
        process: process.name.clone(),
        solution: process.solution.clone(),
        description,
        filter,
        auto_close_after,
        due,
        slas: chosen.into_iter().map(|(_, sla)| sla).collect(),
    })
}

/// The answer and the solution of two, where the one is promised only after the other.
fn contradict<'a>(filter: &Policy, one: &'a Sla, other: &'a Sla) -> Option<(&'a Sla, &'a Sla)> {
    let has = |list: &[Priority], priority| list.is_empty() || list.contains(&priority);
    let meet = Priority::ALL.into_iter().any(|priority| {
        has(&filter.priorities, priority) && has(&one.priorities, priority) && has(&other.priorities, priority)
    });
    let (answer, solution) = match (one.goal, other.goal) {
        (Goal::Answer, Goal::Solution) => (one, other),
        (Goal::Solution, Goal::Answer) => (other, one),
        _ => return None,
    };
    (meet && end_after(&answer.terms, &solution.terms)).then_some((answer, solution))
}

/// Whether these terms end after the others at whatever hour of a week a case comes.
fn end_after(one: &Terms, other: &Terms) -> bool {
    const WEEK: i64 = 7 * 24;
    // A holiday may lie in any week, and changes no rule.
    let plain = |terms: &Terms| terms.calendar.clone().map(|calendar| Calendar { holidays: Vec::new(), ..calendar });
    let calendars = (plain(one), plain(other));
    let (Some(by_one), Some(by_other)) = (Working::by(calendars.0.as_ref()), Working::by(calendars.1.as_ref())) else {
        return false;
    };
    (0..WEEK).all(|hour| {
        let comes = MONDAY.saturating_add(SignedDuration::from_hours(hour)).unwrap_or(MONDAY);
        let ends = by_one.after(comes, milliseconds(one.within));
        ends.is_some() && ends > by_other.after(comes, milliseconds(other.within))
    })
}

fn milliseconds(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn promised(item: &Item<'_>, slas: &[(String, Sla)]) -> Result<(Spot, Sla), Refused> {
    Ok((item.spot.clone(), reference(item, "sla", slas)?.clone()))
}
