//! Everything that is left to chance (splitmix64), and a digest of all that happened.

use std::sync::atomic::{AtomicU64, Ordering};

pub struct Dice {
    state: AtomicU64,
    digest: AtomicU64,
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        let state = seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x9e37_79b9;
        Self { state: AtomicU64::new(state), digest: AtomicU64::new(0) }
    }

    pub fn below(&self, sides: u64) -> u64 {
        let mut z = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    pub fn one_in(&self, sides: u64) -> bool {
        self.below(sides) == 0
    }

    pub fn pick<T: Clone>(&self, of: &[T]) -> Option<T> {
        (!of.is_empty()).then(|| of[self.below(of.len() as u64) as usize].clone())
    }

    /// Something happened.
    pub fn note(&self, what: &str) {
        let mut digest = self.digest.load(Ordering::Relaxed);
        for byte in what.bytes() {
            digest = (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.digest.store(digest, Ordering::Relaxed);
    }

    pub fn digest(&self) -> u64 {
        self.digest.load(Ordering::Relaxed)
    }
}
