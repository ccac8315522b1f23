//! A client's side of the files: what it announced it may hand over, and what was announced to it it may have. What it has
//! no business with is as unknown as what never was: a digest opens nothing.

use tracing::{info, warn};

use super::{Engine, EngineError};
use crate::case::{Alias, AttachmentNote, ContentDigest, ExchangeId};
use crate::protocol::attachment::{PIECE_LEAST, PIECE_LIMIT};
use crate::protocol::{AttachmentAnswer, ContentRange, Problem, ProblemType};
use crate::store::{Appended, Expected, Incoming};

impl Engine {
    /// The files of an operation, each with the reason why it is not taken, if there is one.
    pub(super) fn incoming(&self, peer: &Alias, notes: &[AttachmentNote]) -> Vec<Incoming> {
        if notes.is_empty() {
            return Vec::new();
        }
        let (now, settings) = (self.now(), self.settings());
        let sharing = settings.sharing(peer);
        let refused = |note: &AttachmentNote| sharing?.may_receive(&note.name, note.bytes).err();
        let incoming = |note: &AttachmentNote| Incoming {
            note: note.clone(),
            refused: refused(note).map(|reason| reason.to_string()),
            at: now,
        };
        notes.iter().map(incoming).collect()
    }

    /// How many bytes of a file are here.
    pub async fn attachment_offset(
        &self,
        client: &Alias,
        exchange: ExchangeId,
        sha256: &ContentDigest,
    ) -> Result<u64, EngineError> {
        Ok(self.expected(client, exchange, sha256).await?.received)
    }

    /// Takes one piece of a file. The answer is given once it is durable.
    pub async fn put_attachment(
        &self,
        client: &Alias,
        exchange: ExchangeId,
        sha256: &ContentDigest,
        range: ContentRange,
        piece: Vec<u8>,
    ) -> Result<AttachmentAnswer, EngineError> {
        let file = self.expected(client, exchange, sha256).await?;
        if range.bytes != file.bytes {
            let detail = format!("it was announced with {} bytes and comes with {}", file.bytes, range.bytes);
            return Err(ProblemType::AttachmentLength.with(detail).into());
        }
        if piece.len() as u64 != range.end - range.start {
            let detail =
                format!("Content-Range tells of {} bytes, the body has {}", range.end - range.start, piece.len());
            return Err(ProblemType::AttachmentLength.with(detail).into());
        }
        if range.end < range.bytes && (piece.len() as u64) < PIECE_LEAST {
            let detail = format!("a piece that is not the last one has at least {PIECE_LEAST} bytes");
            return Err(ProblemType::AttachmentLength.with(detail).into());
        }
        match self.store().append(file.content, range.start, piece, self.now()).await? {
            Appended::Part(received) => Ok(AttachmentAnswer { received, bytes: file.bytes }),
            Appended::Complete => {
                self.arrived(client, file.incident.0, file.bytes);
                Ok(AttachmentAnswer { received: file.bytes, bytes: file.bytes })
            }
            Appended::Elsewhere(received) => {
                let detail = format!("{received} bytes are here; go on with the next one");
                Err(ProblemType::AttachmentOffset.with(detail).into())
            }
            Appended::WrongDigest => {
                warn!(event = "attachment_wrong", peer = %client, incident = file.incident.0, "another file than announced");
                let detail = "all bytes came, and their SHA-256 is another one; begin anew";
                Err(ProblemType::AttachmentDigest.with(detail).into())
            }
        }
    }

    /// Up to one piece of a file that was announced to the client.
    pub async fn get_attachment(
        &self,
        client: &Alias,
        exchange: ExchangeId,
        sha256: &ContentDigest,
        (start, last): (u64, Option<u64>),
    ) -> Result<(ContentRange, Vec<u8>), EngineError> {
        let file = self.store().offered(client, exchange, sha256).await?;
        let file = file.ok_or_else(|| EngineError::from(unknown()))?;
        check_active(file.active)?;
        if start >= file.bytes {
            return Err(ProblemType::Range.with(format!("the file has {} bytes", file.bytes)).into());
        }
        let most = last.map_or(PIECE_LIMIT, |last| (last - start).saturating_add(1)).min(PIECE_LIMIT);
        let piece = self.store().content(file.content, start, most as usize).await?;
        let range = ContentRange { start, end: start + piece.len() as u64, bytes: file.bytes };
        self.store().served(file.id, range.start, range.end, self.now()).await?;
        Ok((range, piece))
    }

    async fn expected(
        &self,
        client: &Alias,
        exchange: ExchangeId,
        sha256: &ContentDigest,
    ) -> Result<Expected, EngineError> {
        let file = self.store().expected(client, exchange, sha256).await?.ok_or_else(unknown)?;
        check_active(file.active)?;
        match file.refused {
            Some(reason) => Err(ProblemType::AttachmentRefused.with(reason).into()),
            None => Ok(file),
        }
    }

    /// A file of a peer's is whole; it may have to go on to another one.
    pub(super) fn arrived(&self, peer: &Alias, incident: i64, bytes: u64) {
        info!(event = "attachment_received", peer = %peer, incident, bytes, "a peer's attachment is here");
        self.0.to_prepare.notify_one();
    }
}

/// While a case is switched off, its files stay where they are (C-59).
fn check_active(active: bool) -> Result<(), Problem> {
    if active {
        Ok(())
    } else {
        Err(ProblemType::Inactive.with("the exchange of this case is switched off at this site"))
    }
}

fn unknown() -> Problem {
    ProblemType::NotFound.with("this exchange has no such attachment")
}
