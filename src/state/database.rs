//! What the records stand on, as a trait: sled where the daemon runs, and a disk that fails on demand where its behaviour
//! is simulated.

use super::StateError;

/// A key or value as it was read. Cheap to clone.
pub type Bytes = sled::IVec;
/// A record as a range yields it.
pub type Pair = Result<(Bytes, Bytes), StateError>;

/// One ordered map. What was written is read again at once, and is durable after the next `sync`.
pub trait Database: Send + Sync {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StateError>;

    /// What lies from the first key on and before the second, in order.
    fn range(&self, from: Vec<u8>, to: Vec<u8>) -> Box<dyn Iterator<Item = Pair>>;

    /// All of them or none; no value takes its key out.
    fn write(&self, writes: &mut dyn Iterator<Item = (&[u8], Option<&Bytes>)>) -> Result<(), StateError>;

    /// Makes durable what was written up to now, as the commit with this number. An error is final.
    fn sync(&self, commit: u64) -> Result<(), StateError>;

    /// The number of the last commit that was made durable, as far as it is known apart from the records; zero when none
    /// was.
    fn acknowledged(&self) -> Result<u64, StateError>;
}
