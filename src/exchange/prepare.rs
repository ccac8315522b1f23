//! Which files of an incident go to which peer: decided once for each, before it is announced. A file that stays is named
//! in the history; the case goes all the same (C-60). Where addresses are hidden, a text becomes another file.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tracing::info;

use super::{Engine, EngineError, who};
use crate::case::hide::{hide_addresses, hide_in, may_be_of_address};
use crate::case::{ContentDigest, IncidentId};
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

    /// Files that were given up are decided about once more, and what waits for its next try does not wait: a person says
    /// so. Returns how many were given up.
    pub(super) async fn retry_files(&self, incident: Option<IncidentId>, operator: &str) -> Result<u64, EngineError> {
        let count = self.store().retry_files(incident, &who(operator), self.now()).await?;
        self.0.to_prepare.notify_one();
        self.0.transfers.again(self.now());
        Ok(count)
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
            return Ok(Prepared::Ready { content: one.content, told_as: None });
        }
        let told_as = Some(hide_addresses(&one.name));
        match nature(&self.store().content(one.content, 0, PIECE).await?) {
            Nature::Binary => Ok(Prepared::Ready { content: one.content, told_as }),
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
        let prepared = Prepared::Ready { content: begun.content, told_as: Some(hide_addresses(&one.name)) };
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

/// A log that was cut, or what came over a serial line, has a stray NUL and is a text all the same.
fn nature(beginning: &[u8]) -> Nature {
    /// Below this, a few bytes say nothing about a share.
    const FEW: usize = 64;
    let is_marked = beginning.starts_with(&[0xff, 0xfe]) || beginning.starts_with(&[0xfe, 0xff]);
    if is_marked || is_spread(beginning, 2) || is_spread(beginning, 4) {
        return Nature::Wide;
    }
    let is_control = |byte: &&u8| byte.is_ascii_control() && !matches!(byte, b'\t'..=b'\r' | 0x1b);
    let controls = beginning.iter().filter(is_control).count();
    // In compressed or random bytes every ninth is one, in programs and captures more.
    let is_binary = match beginning.len() {
        ..FEW => std::str::from_utf8(beginning).is_err() && controls > 0,
        length => controls > length / 20,
    };
    if is_binary { Nature::Binary } else { Nature::Text }
}

/// Whether most characters are one printable byte among NULs, as in UTF-16 and UTF-32 without a mark.
fn is_spread(beginning: &[u8], width: usize) -> bool {
    let is_one = |piece: &&[u8]| {
        let mut others = piece.iter().filter(|byte| **byte != 0);
        others.next().is_some_and(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
            && others.next().is_none()
    };
    let pieces = beginning.len() / width;
    pieces > 0 && beginning.chunks_exact(width).filter(is_one).count() > pieces / 2
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

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str, width: usize) -> Vec<u8> {
        text.bytes().flat_map(|byte| [vec![byte], vec![0; width - 1]].concat()).collect()
    }

    #[test]
    fn what_a_person_can_read_is_a_text_and_what_they_cannot_is_none() {
        let log = "neighbor 10.9.9.9 is down, retry in 30 s\n";
        let cut = [log.as_bytes(), b"\0\0tail 10.8.8.8\n"].concat();
        let coloured = format!("\u{1b}[31m{log}\u{1b}[0m");
        for text in [log.as_bytes(), &cut, &log.repeat(50).into_bytes(), coloured.as_bytes(), b"10.9.9.9\0", b""] {
            assert!(matches!(nature(text), Nature::Text), "{text:?}");
        }
        let marked = [vec![0xff, 0xfe], wide("ü", 2)].concat();
        for text in [wide(log, 2), wide(log, 4), [vec![0], wide(log, 2)].concat(), marked] {
            assert!(matches!(nature(&text), Nature::Wide), "{text:?}");
        }
        // A generator of numbers stands for a compressed file.
        let mut state = 7_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(4096)
        .collect();
        let program = [b"\x7fELF".to_vec(), vec![0; 200], log.as_bytes().to_vec()].concat();
        for bytes in [&noise[..], &noise[..200], &program, b"\xff\0\x01"] {
            assert!(matches!(nature(bytes), Nature::Binary), "{bytes:?}");
        }
    }
}
