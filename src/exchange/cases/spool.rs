//! A file on its way in, whose digest is not known before its end. It waits on the disk, under no name, so that nothing is left
//! of it when the daemon dies, and its memory does not grow with it.

use std::io;
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use uuid::Uuid;

use crate::case::ContentDigest;

/// The bytes so far.
pub struct Spool {
    file: File,
    hash: Sha256,
    bytes: u64,
    limit: u64,
}

/// Why a piece was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SpoolFault {
    #[error("at most {0} bytes are taken")]
    TooLong(u64),
    #[error("the file cannot be kept until it is whole: {0}")]
    Disk(#[from] io::Error),
}

impl Spool {
    /// An empty one in this directory, for so many bytes.
    pub(super) async fn new(directory: PathBuf, limit: u64) -> Result<Self, SpoolFault> {
        let path = directory.join(format!(".upload-{}", Uuid::new_v4().simple()));
        let file = File::options().read(true).write(true).create_new(true).open(&path).await?;
        tokio::fs::remove_file(&path).await?;
        Ok(Self { file, hash: Sha256::new(), bytes: 0, limit })
    }

    /// Takes the next piece.
    pub async fn push(&mut self, piece: &[u8]) -> Result<(), SpoolFault> {
        if self.bytes + piece.len() as u64 > self.limit {
            return Err(SpoolFault::TooLong(self.limit));
        }
        self.file.write_all(piece).await?;
        self.hash.update(piece);
        self.bytes += piece.len() as u64;
        Ok(())
    }

    /// All of it is there.
    pub(super) async fn end(mut self) -> Result<Spooled, SpoolFault> {
        self.file.flush().await?;
        Ok(Spooled { file: self.file, sha256: ContentDigest::ended(self.hash), bytes: self.bytes })
    }
}

/// A whole file.
pub(super) struct Spooled {
    file: File,
    pub sha256: ContentDigest,
    pub bytes: u64,
}

impl Spooled {
    /// Up to `most` bytes from `start` on.
    pub async fn read(&mut self, start: u64, most: usize) -> Result<Vec<u8>, SpoolFault> {
        self.file.seek(io::SeekFrom::Start(start)).await?;
        let mut piece = Vec::with_capacity(most.min(usize::try_from(self.bytes.saturating_sub(start)).unwrap_or(most)));
        (&mut self.file).take(most as u64).read_to_end(&mut piece).await?;
        Ok(piece)
    }
}
