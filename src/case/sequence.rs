//! Whose turn an operation is: each direction of an exchange counts its operations, and each takes effect once and in
//! order (design, invariant 2).

/// An operation's number, seen by the site that has put the first so many into effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sequence {
    /// In effect already: it gets the same answer again.
    Repeated,
    Next,
    /// Something before it is missing.
    Early {
        expected: u64,
    },
}

impl Sequence {
    pub fn of(seq: u64, applied: u64) -> Self {
        if seq <= applied {
            return Sequence::Repeated;
        }
        match applied.saturating_add(1) {
            expected if seq == expected => Sequence::Next,
            expected => Sequence::Early { expected },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_is_next_whatever_was_before() {
        assert_eq!(Sequence::of(1, 0), Sequence::Next);
        assert_eq!(Sequence::of(1, 1), Sequence::Repeated);
        assert_eq!(Sequence::of(0, 0), Sequence::Repeated);
        assert_eq!(Sequence::of(3, 1), Sequence::Early { expected: 2 });
        assert_eq!(Sequence::of(u64::MAX, u64::MAX), Sequence::Repeated);
    }
}
