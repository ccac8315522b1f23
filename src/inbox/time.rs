//! When something happened, in the spellings that devices print.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// The accepted spellings, for a sentence that refuses another one.
pub(super) const ACCEPTED: &str =
    "2026-11-21T12:00:00Z, 2026-11-21T13:00:00+01:00 or 2026-11-21 12:00:00 followed by UTC, an offset or a US zone";

/// Reads RFC 3339 (`2026-11-21T12:00:00Z`, `2026-11-21 13:00:00+01:00`) and `YYYY-MM-DD HH:MM:SS ZONE`, where the zone
/// is `Z`, `UTC`, `GMT`, `UT`, an offset (`+01:00`, `+0100`), or one of the US abbreviations whose offset RFC 5322,
/// section 4.3, fixes. Fractions of a second are allowed. A time without a zone is refused: it names no instant; so is
/// any other abbreviation, because most of them mean several zones.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    if let Ok(instant) = text.parse() {
        return Some(instant);
    }
    let (local, zone) = text.rsplit_once(' ')?;
    let local: DateTime = local.trim_end().parse().ok()?;
    offset(zone)?.to_timestamp(local).ok()
}

fn offset(zone: &str) -> Option<Offset> {
    let hours = match zone {
        "Z" | "UTC" | "GMT" | "UT" => 0,
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        numeric => return numeric_offset(numeric),
    };
    Offset::from_hours(hours).ok()
}

/// `+HH:MM` or `+HHMM`.
fn numeric_offset(zone: &str) -> Option<Offset> {
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let digits = digits.replacen(':', "", 1);
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    if minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_of_one_instant() {
        let noon: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for text in [
            "2026-11-21T12:00:00Z",
            "2026-11-21 12:00:00Z",
            "2026-11-21T13:00:00+01:00",
            "2026-11-21 12:00:00 UTC",
            "2026-11-21 12:00:00 Z",
            "2026-11-21 12:00:00.000 GMT",
            "2026-11-21 04:00:00 PST",
            "2026-11-21 13:30:00 +0130",
            "2026-11-21 10:30:00 -01:30",
        ] {
            assert_eq!(read(text), Some(noon), "{text}");
        }
    }

    #[test]
    fn a_time_that_names_no_instant_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026-11-21 12:00:00",
            "2026-11-21 12:00:00 IST",
            "2026-11-21 12:00:00 +1",
            "2026-11-21 12:00:00 +0199",
            "2026-11-21 12:00:00 +é00",
            "2026-02-30 12:00:00 UTC",
            "Sat Nov 21 12:00:00 UTC 2026",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
