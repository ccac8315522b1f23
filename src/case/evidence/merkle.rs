//! The hash tree of RFC 6962, section 2.1: one hash stands for many leaves, and a short path shows that a leaf is among them.

use sha2::{Digest, Sha256};

pub type Hash = [u8; 32];

/// A leaf is told from a node by its first byte.
pub fn leaf(content: &[u8]) -> Hash {
    let mut hash = Sha256::new_with_prefix([0]);
    hash.update(content);
    hash.finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut hash = Sha256::new_with_prefix([1]);
    hash.update(left);
    hash.update(right);
    hash.finalize().into()
}

/// Where a tree of more than one leaf is cut: the largest power of two below its size.
fn cut(count: usize) -> usize {
    count.next_power_of_two() / 2
}

/// The hash over all leaves.
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(cut(many.len()));
            node(&root(left), &root(right))
        }
    }
}

/// What leads from the leaf with this index up to the root, lowest first.
pub fn path(leaves: &[Hash], index: usize) -> Vec<Hash> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let at = cut(leaves.len());
    let (left, right) = leaves.split_at(at);
    let (mut path, sibling) = match index < at {
        true => (self::path(left, index), root(right)),
        false => (self::path(right, index - at), root(left)),
    };
    path.push(sibling);
    path
}

/// The root that a leaf and its path lead to; none where such a path cannot be.
pub fn climb(leaf: Hash, index: usize, count: usize, path: &[Hash]) -> Option<Hash> {
    if index >= count {
        return None;
    }
    if count == 1 {
        return path.is_empty().then_some(leaf);
    }
    let (sibling, rest) = path.split_last()?;
    let at = cut(count);
    match index < at {
        true => Some(node(&climb(leaf, index, at, rest)?, sibling)),
        false => Some(node(sibling, &climb(leaf, index - at, count - at, rest)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roots_are_those_of_the_rfcs_own_test_vectors() {
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let leaves: Vec<Hash> = inputs.iter().map(|one| leaf(one)).collect();
        let hex = |hash: Hash| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(root(&[])), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(hex(root(&leaves[..1])), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        assert_eq!(hex(root(&leaves[..3])), "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
        assert_eq!(hex(root(&leaves)), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    }

    #[test]
    fn every_leaf_of_every_tree_climbs_to_its_root_and_no_other_does() {
        for count in 1..40 {
            let leaves: Vec<Hash> = (0..count).map(|number: usize| leaf(&number.to_be_bytes())).collect();
            for index in 0..count {
                let path = path(&leaves, index);
                assert_eq!(climb(leaves[index], index, count, &path), Some(root(&leaves)), "{index} of {count}");
                assert_ne!(climb(leaf(b"other"), index, count, &path), Some(root(&leaves)));
                assert_eq!(climb(leaves[index], count, count, &path), None);
                let longer = [path.as_slice(), &[leaf(b"more")]].concat();
                assert_ne!(climb(leaves[index], index, count, &longer), Some(root(&leaves)));
            }
        }
    }
}
