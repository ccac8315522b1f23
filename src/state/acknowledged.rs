//! The number of the last commit that was acknowledged, beside the database: sled takes a damaged log for a shorter one,
//! and opens an older state without a word.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const NAME: &str = "acknowledged";

pub struct Acknowledged(File);

impl Acknowledged {
    pub fn open(directory: &Path) -> io::Result<Self> {
        let options = File::options().read(true).write(true).create(true).truncate(false).open(directory.join(NAME));
        Ok(Self(options?))
    }

    /// Zero when no commit was acknowledged yet; none when the number does not read.
    pub fn read(&self) -> io::Result<Option<u64>> {
        let mut bytes = [0; 12];
        match self.0.read_exact_at(&mut bytes, 0) {
            Ok(()) => Ok(decode(bytes)),
            Err(_) if self.0.metadata()?.len() == 0 => Ok(Some(0)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Not synced: a number that is too low only notices less, and it is never ahead of the database, which was synced
    /// before.
    pub fn write(&self, commit: u64) -> io::Result<()> {
        let number = commit.to_be_bytes();
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&number);
        bytes[8..].copy_from_slice(&crc32fast::hash(&number).to_be_bytes());
        self.0.write_all_at(&bytes, 0)
    }
}

fn decode(bytes: [u8; 12]) -> Option<u64> {
    let (number, sum) = bytes.split_first_chunk::<8>()?;
    (crc32fast::hash(number).to_be_bytes() == sum).then(|| u64::from_be_bytes(*number))
}
