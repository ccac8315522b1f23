//! Large values in pieces: sled writes big messages to files that it never syncs, so no value may be big.

use super::tree::Tree;
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
pub fn join(
    head: Vec<u8>,
    mut piece: impl FnMut(usize) -> Result<Option<Vec<u8>>, StateError>,
) -> Result<Vec<u8>, StateError> {
    let pieces = count(&head);
    if pieces == 0 {
        return Ok(head);
    }
    let mut whole = Vec::new();
    for number in 0..pieces {
        let next = piece(number)?;
        whole.extend(next.ok_or_else(|| StateError::Damaged("a piece of a large record is missing".into()))?);
    }
    Ok(whole)
}

pub fn key(tree: Tree, key: &[u8], number: usize) -> Vec<u8> {
    let mut chunk = tree.name().as_bytes().to_vec();
    chunk.push(b'/');
    chunk.extend_from_slice(key);
    chunk.extend_from_slice(&(number as u32).to_be_bytes());
    chunk
}
