//! Instants and spans. Instants are shown in UTC, as they stand in the log and in the history.

use jiff::Timestamp;

/// `2026-11-21 12:00:00Z`
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// `3 min ago`, or `in 12 s`: what has begun counts as a whole second, so that what is to come is never `in 0 s`.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let milliseconds = now.as_millisecond().saturating_sub(at.as_millisecond());
    match milliseconds {
        ..0 => format!("in {}", length(milliseconds.saturating_neg().saturating_add(999) / 1000)),
        _ => format!("{} ago", length(milliseconds / 1000)),
    }
}

/// Both: `2026-11-21 12:00:00Z (3 min ago)`.
pub fn span(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", time(at), ago(at, now))
}

/// A number of seconds in the largest unit that it fills.
fn length(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("an instant")
    }

    #[test]
    fn an_instant_is_shown_in_utc() {
        assert_eq!(time(at(1_795_262_400)), "2026-11-21 12:00:00Z");
        assert_eq!(span(at(1_795_262_400), at(1_795_262_700)), "2026-11-21 12:00:00Z (5 min ago)");
    }

    #[test]
    fn a_span_is_shown_in_one_unit() {
        let rows = [(0, "0 s ago"), (119, "119 s ago"), (120, "2 min ago"), (-12, "in 12 s"), (7_200, "2 h ago")];
        for (seconds, shown) in rows {
            assert_eq!(ago(at(0), at(seconds)), shown);
        }
        assert_eq!(length(3 * 86_400), "3 d");
        let soon = Timestamp::from_millisecond(20).expect("an instant");
        assert_eq!((ago(soon, at(0)), ago(at(0), soon)), ("in 1 s".to_owned(), "0 s ago".to_owned()));
    }
}
