//! Which files of an incident go to which peer: decided once for each, before it is announced. A file that stays is named
//! in the history; the case goes all the same (C-60). Where addresses are hidden, a text becomes another file.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tracing::info;

use super::{Engine, EngineError};
use crate::case::ContentDigest;
use crate::case::hide::{hide_in, may_be_of_address};
use crate::store::{Appended, DueAttachment, Prepared};

/// Bytes of a text that are looked at in one go.
const PIECE: usize = 256 << 10;
/// The longest stretch of a text without a place where it can be cut.
const STRETCH: usize = 1 << 20;

/// What a file is, where addresses are hidden.
enum Nature {
    Text,
    /// Nobody reads addresses in it with the eye alone.
    Binary,
    /// A text in an encoding whose addresses are not found.
    Wide,
}

impl Engine {
    /// Decides about some of the files that came to be due. Returns how many.
    pub async fn prepare_attachments(&self) -> Result<usize, EngineError> {
        /// Files of one pass.
        const PAGE: usize = 100;
        let due = self.store().due_attachments(PAGE).await?;
        for one in &due {
            let decision = self.decide_about(one).await?;
            if let Prepared::Skipped { reason } = &decision {
                info!(event = "attachment_skipped", incident = one.incident.0, peer = %one.peer, reason, "stays here");
            }
            self.store().prepared(one.id, decision, self.now()).await?;
            self.0.changed.notify_one();
        }
        Ok(due.len())
    }

    /// Returns when a file may be due, at the latest after a while: another program may have put it into the store.
    pub async fn wait_for_attachments(&self) {
        let longest = self.settings().store.poll_interval.max(Duration::from_secs(1));
        // Out of time is as good a reason to look as being told.
        let _ = tokio::time::timeout(longest, self.0.to_prepare.notified()).await;
    }

    async fn decide_about(&self, one: &DueAttachment) -> Result<Prepared, EngineError> {
        let settings = self.settings();
        let Some(sharing) = settings.sharing(&one.peer) else {
            return Ok(Prepared::Skipped { reason: "the settings name no such peer".into() });
        };
        if let Err(reason) = sharing.may_send(&one.name, one.bytes) {
            return Ok(Prepared::Skipped { reason: reason.to_string() });
        }
        if !sharing.hide_addresses {
            return Ok(Prepared::Ready { content: one.content });
        }
        match nature(&self.store().content(one.content, 0, PIECE).await?) {
            Nature::Binary => Ok(Prepared::Ready { content: one.content }),
            Nature::Wide => {
                let reason = "addresses are to be hidden, and cannot be found in a text of this encoding".into();
                Ok(Prepared::Skipped { reason })
            }
            Nature::Text => self.hidden(one).await,
        }
    }

    /// The text without its addresses, as a content of its own; written once, however often it is asked for.
    async fn hidden(&self, one: &DueAttachment) -> Result<Prepared, EngineError> {
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        let mut text = Text::new(one.content);
        while let Some(piece) = text.next(self).await? {
            hash.update(&piece);
            bytes += piece.len() as u64;
        }
        if text.is_uncut {
            let reason = "addresses are to be hidden, and it is a text without an end of a word".into();
            return Ok(Prepared::Skipped { reason });
        }
        let begun = self.store().begin_content(&ContentDigest::ended(hash), bytes).await?;
        let prepared = Prepared::Ready { content: begun.content };
        if begun.complete {
            return Ok(prepared);
        }
        let (mut text, mut at) = (Text::new(one.content), 0);
        while let Some(piece) = text.next(self).await? {
            let (start, length) = (at, piece.len() as u64);
            at += length;
            // What stands already was written before a crash.
            if at <= begun.received && at < bytes {
                continue;
            }
            let skip = begun.received.saturating_sub(start).min(length);
            let rest = piece.get(skip as usize..).unwrap_or_default().to_vec();
            if self.store().append(begun.content, start + skip, rest, self.now()).await? == Appended::Complete {
                return Ok(prepared);
            }
        }
        if bytes == 0 {
            self.store().append(begun.content, 0, Vec::new(), self.now()).await?;
        }
        Ok(prepared)
    }
}

fn nature(beginning: &[u8]) -> Nature {
    if beginning.starts_with(&[0xff, 0xfe]) || beginning.starts_with(&[0xfe, 0xff]) {
        Nature::Wide
    } else if beginning.contains(&0) {
        Nature::Binary
    } else {
        Nature::Text
    }
}

/// A text that is read in pieces, each without its addresses: cut where no address can be.
struct Text {
    content: i64,
    read: u64,
    rest: Vec<u8>,
    is_over: bool,
    /// It cannot be cut.
    is_uncut: bool,
}

impl Text {
    fn new(content: i64) -> Self {
        Self { content, read: 0, rest: Vec::new(), is_over: false, is_uncut: false }
    }

    async fn next(&mut self, engine: &Engine) -> Result<Option<Vec<u8>>, EngineError> {
        while !self.is_over && !self.is_uncut {
            let piece = engine.store().content(self.content, self.read, PIECE).await?;
            if piece.is_empty() {
                self.is_over = true;
                let rest = std::mem::take(&mut self.rest);
                return Ok(Some(hide_in(&rest)).filter(|piece| !piece.is_empty()));
            }
            self.read += piece.len() as u64;
            self.rest.extend_from_slice(&piece);
            if let Some(cut) = self.rest.iter().rposition(|byte| !may_be_of_address(*byte)) {
                let after = self.rest.split_off(cut + 1);
                return Ok(Some(hide_in(&std::mem::replace(&mut self.rest, after))));
            }
            self.is_uncut = self.rest.len() > STRETCH;
        }
        Ok(None)
    }
}
