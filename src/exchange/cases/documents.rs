//! Files that people put to a case, look at, and take from it (M-11). They go to the peers as every attachment does.

use super::spool::SpoolFault;
use super::{CaseCall, Spool};
use crate::case::text::line;
use crate::case::{Action, IncidentId, Permission};
use crate::exchange::work::{action, check_revision, form, stale};
use crate::exchange::{Engine, EngineError};
use crate::protocol::ProblemType;
use crate::protocol::cases::CaseAnswer;
use crate::store::{Appended, Document, Put};

/// Bytes of a file that are in memory at once.
const PIECE: usize = 1 << 20;
/// The longest name of a file, in bytes.
const NAME_LIMIT: usize = 256;

/// A file to be read piece by piece.
#[derive(Debug, Clone)]
pub struct Download {
    pub media_type: Option<String>,
    pub bytes: u64,
    pub sha256: String,
    content: i64,
}

impl From<SpoolFault> for EngineError {
    fn from(fault: SpoolFault) -> Self {
        match &fault {
            SpoolFault::TooLong(_) => ProblemType::TooLarge.with(fault.to_string()).into(),
            SpoolFault::Disk(_) => ProblemType::Busy.with(fault.to_string()).into(),
        }
    }
}

impl Engine {
    /// Where a file waits until it is whole.
    pub async fn spool(&self) -> Result<Spool, EngineError> {
        let settings = self.settings();
        Ok(Spool::new(settings.site.data_dir.clone(), settings.case.max_document).await?)
    }

    /// Puts a whole file to a case, in place of one of the same name that somebody here put there.
    pub async fn put_document(
        &self,
        call: &CaseCall,
        name: String,
        media_type: Option<String>,
        spool: Spool,
    ) -> Result<CaseAnswer, EngineError> {
        line(&name, NAME_LIMIT).map_err(|fault| form(format!("the name of the document {fault}")))?;
        if let Some(media_type) = &media_type {
            line(media_type, NAME_LIMIT).map_err(|fault| form(format!("Content-Type {fault}")))?;
        }
        check_revision(&self.incident(call.case).await?, call.revision)?;
        let content = self.stored(spool).await?;
        let told = self.line(call.case, Action::AttachmentAdded, &call.operator, name.clone());
        let document =
            Document { incident: call.case, name: name.clone(), media_type, content, revision: call.revision };
        match self.store().put_document(document, told).await? {
            Put::Done => {
                self.0.to_prepare.notify_one();
                self.case_answer(call.case).await
            }
            Put::Gone => Err(ProblemType::Busy.with("the file was replaced at the same moment; send it again").into()),
            Put::Foreign(_) if !call.may.allow(Permission::DocView) => {
                Err(action(format!("{name} is not yours to replace; give yours another name")))
            }
            Put::Foreign(Some(peer)) => Err(action(format!("{name} came from {peer}; give yours another name"))),
            Put::Foreign(None) => {
                Err(action(format!("{name} is still to come with its bundle; give yours another name")))
            }
            Put::Stale(found) => Err(stale(found, call.revision.unwrap_or_default())),
            Put::Full => Err(action("the case has as many documents as it can have; remove one first".into())),
        }
    }

    /// The content in the store, piece by piece.
    async fn stored(&self, spool: Spool) -> Result<i64, EngineError> {
        /// Rounds of somebody else bringing the same content at the same moment.
        const ROUNDS: usize = 5;
        let mut file = spool.end().await?;
        let begun = self.begin_content(&file.sha256, file.bytes).await?;
        if begun.complete {
            return Ok(begun.content);
        }
        let mut start = begun.received;
        let mut elsewhere = 0;
        loop {
            let piece = file.read(start, PIECE).await?;
            match self.append(begun.content, start, piece).await? {
                Appended::Complete => return Ok(begun.content),
                Appended::Part(received) => start = received,
                Appended::Elsewhere(received) if elsewhere < ROUNDS => {
                    elsewhere += 1;
                    start = received;
                }
                Appended::Elsewhere(_) | Appended::WrongDigest => {
                    return Err(ProblemType::Busy
                        .with("the file was replaced at the same moment; send it again")
                        .into());
                }
            }
        }
    }

    /// A file of a case.
    pub async fn document(&self, id: IncidentId, name: &str) -> Result<Download, EngineError> {
        let found = self.store().document(id, name).await?;
        let found =
            found.ok_or_else(|| EngineError::from(ProblemType::NotFound.with("the case has no such document")))?;
        let (media_type, bytes, sha256, content) = (found.media_type, found.bytes, found.sha256, found.content);
        Ok(Download { media_type, bytes, sha256, content })
    }

    /// The next piece of a file; empty at its end.
    pub async fn document_piece(&self, download: &Download, start: u64) -> Result<Vec<u8>, EngineError> {
        Ok(self.store().content(download.content, start, PIECE).await?)
    }

    /// Takes a file from a case. What a peer has of it stays there.
    pub async fn remove_document(&self, call: &CaseCall, name: &str) -> Result<CaseAnswer, EngineError> {
        let told = self.line(call.case, Action::DocumentRemoved, &call.operator, name.to_owned());
        match self.store().remove_document(call.case, name, call.revision, told).await? {
            Put::Done => self.case_answer(call.case).await,
            Put::Stale(found) => Err(stale(found, call.revision.unwrap_or_default())),
            Put::Gone | Put::Foreign(_) | Put::Full => {
                Err(ProblemType::NotFound.with("the case has no such document").into())
            }
        }
    }
}
