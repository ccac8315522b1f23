//! `PUT/HEAD/GET /v1/attachments/{sha256}?exchange=`: the content of an announced file, in pieces. A broken connection
//! loses one piece, and the next one goes on behind what is there.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The answer to a piece: it is durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AttachmentAnswer {
    /// So many bytes are there, from the beginning on.
    pub received: u64,
    pub bytes: u64,
}

/// The header of a `HEAD` that says how many bytes are there.
pub const OFFSET: &str = "upload-offset";

/// The most bytes of one piece.
pub const PIECE_LIMIT: u64 = 1 << 20;
/// The least bytes of a piece that is not the last one.
pub const PIECE_LEAST: u64 = 64 << 10;

/// Which bytes of a file a piece is: the value of `Content-Range`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    pub start: u64,
    /// One more than the last byte's number.
    pub end: u64,
    /// The length of the whole.
    pub bytes: u64,
}

impl std::fmt::Display for ContentRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "bytes {}-{}/{}", self.start, self.end.saturating_sub(1), self.bytes)
    }
}

impl ContentRange {
    /// Reads `bytes 0-131071/1048576`. An empty range has no spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let (range, bytes) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (start, last) = range.split_once('-')?;
        let (start, last, bytes) = (number(start)?, number(last)?, number(bytes)?);
        (start <= last && last < bytes).then(|| Self { start, end: last + 1, bytes })
    }
}

/// Reads the one range of `bytes=65536-131071` or `bytes=65536-`, as first byte and, where it is given, last byte.
pub fn read_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (start, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let start = number(start)?;
    match last {
        "" => Some((start, None)),
        last => number(last).filter(|last| *last >= start).map(|last| (start, Some(last))),
    }
}

/// Digits alone: `str::parse` also takes a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_reads_back_as_written_and_nothing_else_reads() {
        let range = ContentRange { start: 10, end: 20, bytes: 30 };
        assert_eq!(range.to_string(), "bytes 10-19/30");
        assert_eq!(ContentRange::parse(&range.to_string()), Some(range));
        for wrong in [
            "",
            "bytes",
            "bytes 1-0/5",
            "bytes 0-5/5",
            "bytes 0-4/*",
            "bytes +0-4/5",
            "bytes 0-4/99999999999999999999",
            "items 0-4/5",
        ] {
            assert_eq!(ContentRange::parse(wrong), None, "{wrong}");
        }
        assert_eq!(read_range("bytes=5-"), Some((5, None)));
        assert_eq!(read_range("bytes=5-9"), Some((5, Some(9))));
        for wrong in ["", "bytes=-5", "bytes=9-5", "bytes=1-2,4-5", "bytes=x-"] {
            assert_eq!(read_range(wrong), None, "{wrong}");
        }
    }
}
