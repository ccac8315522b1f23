//! `[retry]`: the pace after a failure, and the end of patience.

use crate::case::Patience;
use crate::config::defaults;
use crate::config::item::quoted;
use crate::config::reader::Reader;
use crate::config::settings::Retry;
use crate::config::units::show_duration;

pub fn retry(mut table: Reader<'_>) -> Retry {
    let retry = Retry {
        first: table.duration("first", defaults::RETRY_FIRST),
        factor: table.number("factor", defaults::RETRY_FACTOR),
        max: table.duration("max", defaults::RETRY_MAX),
        give_up_after: table.duration("give_up_after", defaults::RETRY_GIVE_UP_AFTER),
        retry_after_max: table.duration("retry_after_max", defaults::RETRY_AFTER_MAX),
        patience: Patience {
            repeats: u32::try_from(table.count("repeats", defaults::RETRY_REPEATS)).unwrap_or(u32::MAX),
            within: table.duration("repeats_within", defaults::RETRY_REPEATS_WITHIN),
        },
    };
    if table.is_sound() && retry.first > retry.max {
        let (first, max) = (quoted(&show_duration(retry.first)), quoted(&show_duration(retry.max)));
        let spot = table.spot_of("first").or_else(|| table.spot_of("max")).unwrap_or(table.spot.clone());
        let message = format!("the first delay, {first}, is longer than the longest, {max}");
        table.faults.refuse(spot, message, "set retry.first to at most retry.max");
    }
    table.finish();
    retry
}
