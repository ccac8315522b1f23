//! Large values in pieces: sled writes big messages to files that it never syncs, so no value may be big.

use std::borrow::Cow;

use super::{StateError, VALUE_LIMIT};

/// Leads the head of a value that was cut; a whole value begins with its version, which is not zero.
const CUT: u8 = 0;

/// The head to store under the value's own key, and the pieces to store beside it.
pub fn cut(bytes: Vec<u8>) -> (Vec<u8>, Vec<Vec<u8>>) {
    if bytes.len() <= VALUE_LIMIT {
        return (bytes, Vec::new());
    }
    let pieces: Vec<Vec<u8>> = bytes.chunks(VALUE_LIMIT).map(<[u8]>::to_vec).collect();
    let mut head = vec![CUT];
    head.extend_from_slice(&(pieces.len() as u32).to_be_bytes());
    (head, pieces)
}

/// How many pieces belong to this head.
pub fn count(head: &[u8]) -> usize {
    match head {
        [CUT, a, b, c, d] => u32::from_be_bytes([*a, *b, *c, *d]) as usize,
        _ => 0,
    }
}

/// The whole value again.
pub fn join<B: AsRef<[u8]>>(
    head: &[u8],
    mut piece: impl FnMut(usize) -> Result<Option<B>, StateError>,
) -> Result<Cow<'_, [u8]>, StateError> {
    let pieces = count(head);
    if pieces == 0 {
        return Ok(Cow::Borrowed(head));
    }
    let mut whole = Vec::new();
    for number in 0..pieces {
        let next = piece(number)?.ok_or_else(|| StateError::Damaged("a piece of a large record is missing".into()))?;
        whole.extend_from_slice(next.as_ref());
    }
    Ok(Cow::Owned(whole))
}
