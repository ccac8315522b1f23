//! Foreign text in our own sentences: short, and harmless on a terminal.

pub(super) use crate::case::text::shown as shortened;

/// The most bytes of a deposit that a sentence repeats.
pub const SHOWN_LIMIT: usize = 80;

/// Text of a deposit, as a sentence may repeat it.
pub fn shown(text: &str) -> String {
    shortened(text, SHOWN_LIMIT)
}
