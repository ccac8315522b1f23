//! Deposits are UTF-8. Anything else is refused by name, because a guess would change the text in silence.

use super::shown::shown;

/// Why bytes are not a text that we read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodingFault {
    #[error("it is encoded as {0}, and only UTF-8 is read")]
    Other(String),
    #[error("it is not valid UTF-8 at byte {at} (counted from 0)")]
    Invalid { at: usize },
}

/// The text, without a byte order mark. A declaration in the first line of XML must not say anything but UTF-8.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, EncodingFault> {
    if let Some(name) = wide(bytes) {
        return Err(EncodingFault::Other(name.to_owned()));
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if let Some(name) = declared(bytes)
        && !name.eq_ignore_ascii_case("utf-8")
    {
        return Err(EncodingFault::Other(shown(&name)));
    }
    std::str::from_utf8(bytes).map_err(|fault| EncodingFault::Invalid { at: fault.valid_up_to() })
}

/// Encodings with more than one byte for every character, known by their first bytes (XML 1.0, appendix F).
fn wide(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] | [0, 0, 0, b'<', ..] | [b'<', 0, 0, 0, ..] => Some("UTF-32"),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some("UTF-16"),
        [b'<' | b'{', 0, ..] | [0, b'<' | b'{', ..] => Some("UTF-16"),
        _ => None,
    }
}

/// What an XML declaration says. It is plain ASCII whatever it declares, so it is read before the text is decoded.
fn declared(bytes: &[u8]) -> Option<String> {
    const DECLARATION_LIMIT: usize = 256;
    let start = bytes.get(..bytes.len().min(DECLARATION_LIMIT))?;
    let start = String::from_utf8_lossy(start.strip_prefix(b"<?xml")?);
    let (declaration, _) = start.split_once("?>")?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value[1..].split_once(quote).map(|(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_8_is_read_with_and_without_a_mark() {
        assert_eq!(utf8("\u{feff}é".as_bytes()), Ok("é"));
        assert_eq!(utf8(b"<?xml version='1.0' encoding='utf-8'?>"), Ok("<?xml version='1.0' encoding='utf-8'?>"));
    }

    #[test]
    fn other_encodings_are_refused_by_name() {
        let other = |name: &str| Err(EncodingFault::Other(name.into()));
        assert_eq!(utf8(b"\xFF\xFE<\0"), other("UTF-16"));
        assert_eq!(utf8(b"\0<\0a"), other("UTF-16"));
        assert_eq!(utf8(b"\xFF\xFE\0\0"), other("UTF-32"));
        assert_eq!(utf8(b"<?xml version=\"1.0\" encoding = \"ISO-8859-1\" ?><a>\xE9</a>"), other("ISO-8859-1"));
        assert_eq!(utf8(b"<a>\xE9</a>"), Err(EncodingFault::Invalid { at: 3 }));
    }
}
