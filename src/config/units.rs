//! How durations, sizes and file modes are written in the file.

use std::time::Duration;

/// The units of a duration, the smallest first, with their milliseconds.
const TIMES: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
/// The units of a size, the smallest first, with their bytes.
const SIZES: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// How to write a duration, for the remedy of a fault.
pub(super) const DURATION_FORM: &str = "a whole number and one of ms, s, m, h, d, for example \"30s\"";
/// How to write a size, for the remedy of a fault.
pub(super) const SIZE_FORM: &str = "a whole number and one of B, KiB, MiB, GiB, for example \"64 MiB\"";

/// `250ms`, `30s`, `5m`, `2h`, `7d`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    amount(text, &TIMES).map(Duration::from_millis)
}

/// `64 MiB`, `8KiB`, in bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    amount(text, &SIZES)
}

/// The duration in the largest unit that fits without a rest.
pub fn show_duration(duration: Duration) -> String {
    let (amount, unit) = largest(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &TIMES);
    format!("{amount}{unit}")
}

/// The size in the largest unit that fits without a rest.
pub(super) fn show_size(bytes: u64) -> String {
    let (amount, unit) = largest(bytes, &SIZES);
    format!("{amount} {unit}")
}

/// `0660`: three octal digits behind a zero.
pub(super) fn mode(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('0')?;
    let octal = digits.len() == 3 && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    if octal { u32::from_str_radix(digits, 8).ok() } else { None }
}

fn amount(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn largest<'a>(amount: u64, units: &[(&'a str, u64)]) -> (u64, &'a str) {
    let fits = |(_, factor): &&(&str, u64)| amount >= *factor && amount.is_multiple_of(*factor);
    units
        .iter()
        .rev()
        .find(fits)
        .map_or((amount, units.first().map_or("", |unit| unit.0)), |(unit, factor)| (amount / factor, *unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back_as_shown() {
        for text in ["250ms", "30s", "5m", "2h", "7d", "0ms"] {
            assert_eq!(duration(text).map(show_duration).as_deref(), Some(text));
        }
        assert_eq!(duration("120s").map(show_duration).as_deref(), Some("2m"));
        for wrong in ["", "5", "m", "1.5s", "-1s", "5 min", "1h30m", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_read_back_as_shown() {
        for text in ["100 B", "8 KiB", "64 MiB", "2 GiB"] {
            assert_eq!(size(text).map(show_size).as_deref(), Some(text));
        }
        assert_eq!(size("8KiB"), Some(8192));
        for wrong in ["", "64", "64 MB", "64  MiB", "99999999999 GiB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_mode_is_octal() {
        assert_eq!(mode("0660"), Some(0o660));
        for wrong in ["660", "0o660", "0668", "06600", "0", ""] {
            assert_eq!(mode(wrong), None, "{wrong}");
        }
    }
}
