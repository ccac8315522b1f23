//! The envelope of every value: a version, a checksum of our own (sled does not notice every flipped bit), JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StateError;
use crate::case::text::shown;

/// The version that this program writes. A newer one is refused.
const VERSION: u8 = 1;
const HEADER: usize = 5;

pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StateError> {
    /// More than most records need, in bytes.
    const ROOM: usize = 2048;
    let mut bytes = Vec::with_capacity(ROOM);
    bytes.extend([VERSION, 0, 0, 0, 0]);
    serde_json::to_writer(&mut bytes, value).map_err(|error| StateError::Encode(error.to_string()))?;
    let sum = crc32fast::hash(&bytes[HEADER..]);
    bytes[1..HEADER].copy_from_slice(&sum.to_le_bytes());
    Ok(bytes)
}

pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StateError> {
    let payload = verify(bytes)?;
    serde_json::from_slice(payload)
        .map_err(|error| StateError::Damaged(format!("a record does not read: {}", shown(&error.to_string(), 200))))
}

/// Checks version and checksum without reading the content.
pub fn verify(bytes: &[u8]) -> Result<&[u8], StateError> {
    let (header, payload) = bytes
        .split_at_checked(HEADER)
        .ok_or_else(|| StateError::Damaged(format!("a record is only {} bytes long", bytes.len())))?;
    if header[0] > VERSION {
        return Err(StateError::Newer { found: header[0].into(), known: VERSION.into() });
    }
    if crc32fast::hash(payload).to_le_bytes() != header[1..] {
        return Err(StateError::Damaged("a record's checksum is wrong".into()));
    }
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_flipped_bit_is_noticed(text in ".{0,64}", at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = encode(&text).unwrap();
            prop_assert_eq!(decode::<String>(&bytes).unwrap(), text);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            // A version that became lower is still read; there is none below ours yet.
            prop_assume!(at != 0 || bytes[0] > VERSION);
            prop_assert!(decode::<String>(&bytes).is_err());
        }

        #[test]
        fn any_bytes_are_an_answer_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode::<String>(&bytes);
        }
    }
}
