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
/// Bytes of a file that say of which kind it is.
const BEGINNING: usize = 512;
/// The longest stretch of a text without a place where it can be cut.
const STRETCH: usize = 1 << 20;

/// What a file is by its first bytes, where addresses are hidden.
#[derive(Debug, PartialEq, Eq)]
enum Nature {
    /// Of a known kind in which nobody reads addresses with the eye alone.
    Binary,
    /// It holds files as they are, and would be damaged by a word that is shorter.
    Archive,
    /// Its bytes will say whether it is a text.
    Open,
}

/// Why a file stays, where addresses are hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Unhidden {
    #[error("it is an archive whose files cannot be looked into; attach them one by one, or pack them with gzip or xz")]
    Archive,
    #[error("it is neither clearly a text nor of a known binary kind")]
    Unclear,
    #[error("it has some in an encoding in which they cannot be taken out")]
    Wide,
    #[error("it is a text without an end of a word")]
    Uncut,
}

impl From<Unhidden> for Prepared {
    fn from(reason: Unhidden) -> Self {
        Prepared::Skipped { reason: format!("addresses are to be hidden, and {reason}") }
    }
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
        match nature(&self.store().content(one.content, 0, BEGINNING).await?) {
            Nature::Binary => Ok(Prepared::Ready { content: one.content, told_as: Some(hide_addresses(&one.name)) }),
            Nature::Archive => Ok(Unhidden::Archive.into()),
            Nature::Open => self.hidden(one).await,
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
        if let Some(reason) = text.stays {
            return Ok(reason.into());
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

/// Compressed files, captures, programs and their cores, pictures.
const BINARY: [&[u8]; 15] = [
    b"\x1f\x8b",
    b"\x1f\x9d",
    b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
    b"\x04\x22\x4d\x18",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\xc3\xd4",
    b"\x4d\x3c\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
    b"\x7fELF",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"\xcf\xfa\xed\xfe",
];

/// What holds small files without compressing them: cpio, ar, zip; tar says so further on.
const ARCHIVE: [&[u8]; 4] = [b"070701", b"070707", b"!<arch>\n", b"PK\x03\x04"];

fn nature(beginning: &[u8]) -> Nature {
    let starts = |known: &&[u8]| beginning.starts_with(known);
    let is_tar = beginning.get(257..262) == Some(b"ustar");
    // What both begin with could be text as well.
    let is_bzip2 = beginning.starts_with(b"BZh") && beginning.get(4..10) == Some(b"1AY&SY");
    let is_pcapng = matches!(beginning.get(8..12), Some(b"\x1a\x2b\x3c\x4d" | b"\x4d\x3c\x2b\x1a"));
    match () {
        () if is_tar || ARCHIVE.iter().any(starts) => Nature::Archive,
        () if is_bzip2 || is_pcapng || BINARY.iter().any(starts) => Nature::Binary,
        () => Nature::Open,
    }
}

/// Whether a part of a file is no text. What a log that was cut begins with, or a crash leaves in it, are NULs, which say
/// nothing; what came over a serial line has other stray ones, and is a text all the same.
fn is_unclear(piece: &[u8]) -> bool {
    /// Bytes that are judged by themselves: a few of another kind do not vanish among many.
    const WINDOW: usize = 4 << 10;
    /// So many say nothing about a share.
    const STRAY: usize = 3;
    let is_control = |byte: &&u8| byte.is_ascii_control() && !matches!(byte, 0 | b'\t'..=b'\r' | 0x1b);
    // In compressed or random bytes every ninth is one, in programs and captures more.
    piece.chunks(WINDOW).any(|window| {
        let letters = window.iter().filter(|byte| **byte != 0).count();
        window.iter().filter(is_control).count() > STRAY + letters / 20
    })
}

/// Whether addresses are left between whose letters there are NULs, as in UTF-16 and UTF-32.
fn has_wide(hidden: &[u8]) -> bool {
    if !hidden.contains(&0) {
        return false;
    }
    let narrow: Vec<u8> = hidden.iter().copied().filter(|byte| *byte != 0).collect();
    hide_in(&narrow) != narrow
}

/// Whether no address goes on behind this place, not in an encoding with NULs between its letters either.
fn is_seam(text: &[u8], at: usize) -> bool {
    match text.get(at) {
        Some(0) => at.checked_sub(3).and_then(|from| text.get(from..at)).is_some_and(|before| before == [0; 3]),
        Some(byte) => !may_be_of_address(*byte),
        None => false,
    }
}

/// A text that is read in pieces, each without its addresses: cut where no address can be.
struct Text {
    content: i64,
    read: u64,
    rest: Vec<u8>,
    is_over: bool,
    /// Why it does not go, which its pieces have shown.
    stays: Option<Unhidden>,
}

impl Text {
    fn new(content: i64) -> Self {
        Self { content, read: 0, rest: Vec::new(), is_over: false, stays: None }
    }

    async fn next(&mut self, engine: &Engine) -> Result<Option<Vec<u8>>, EngineError> {
        while !self.is_over && self.stays.is_none() {
            let piece = engine.store().content(self.content, self.read, PIECE).await?;
            if piece.is_empty() {
                self.is_over = true;
                let rest = std::mem::take(&mut self.rest);
                return Ok(self.hide(&rest).filter(|piece| !piece.is_empty()));
            }
            self.read += piece.len() as u64;
            self.rest.extend_from_slice(&piece);
            if let Some(cut) = (0..self.rest.len()).rev().find(|at| is_seam(&self.rest, *at)) {
                let after = self.rest.split_off(cut + 1);
                let piece = std::mem::replace(&mut self.rest, after);
                return Ok(self.hide(&piece));
            }
            if self.rest.len() > STRETCH {
                self.stays = Some(if is_unclear(&self.rest) { Unhidden::Unclear } else { Unhidden::Uncut });
            }
        }
        Ok(None)
    }

    fn hide(&mut self, piece: &[u8]) -> Option<Vec<u8>> {
        let hidden = hide_in(piece);
        self.stays = match () {
            () if is_unclear(piece) => Some(Unhidden::Unclear),
            () if has_wide(&hidden) => Some(Unhidden::Wide),
            () => None,
        };
        self.stays.is_none().then_some(hidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "neighbor 10.9.9.9 is down, retry in 30 s\n";

    fn wide(text: &str, width: usize) -> Vec<u8> {
        text.bytes().flat_map(|byte| [vec![byte], vec![0; width - 1]].concat()).collect()
    }

    /// What becomes of a whole text.
    fn hidden(text: &[u8]) -> Result<Vec<u8>, Unhidden> {
        let mut reader = Text::new(1);
        reader.hide(text).ok_or_else(|| reader.stays.unwrap_or(Unhidden::Uncut))
    }

    /// A generator of numbers stands for a compressed file without its beginning.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 7_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    #[test]
    fn what_a_person_can_read_is_a_text_whatever_nuls_are_in_it() {
        let cut = [LOG.as_bytes(), b"\0\0tail 10.8.8.8\n"].concat();
        let coloured = format!("\u{1b}[31m{LOG}\u{1b}[0m");
        // What stays of a log that was copied and truncated while somebody wrote it.
        let sparse = [vec![0; 300_000], LOG.repeat(50).into_bytes()].concat();
        let torn = [LOG.as_bytes(), &[0; 4096], LOG.as_bytes(), b"\x01\x02noise"].concat();
        for text in [LOG.as_bytes(), &cut, coloured.as_bytes(), &sparse, &torn, b"10.9.9.9\0", b"\xff\0\x01", b""] {
            let hidden = hidden(text).unwrap();
            assert!(!String::from_utf8_lossy(&hidden).contains("10."), "{hidden:?}");
        }
    }

    #[test]
    fn addresses_with_nuls_between_their_letters_keep_a_file_here_wherever_they_stand() {
        let marked = [vec![0xff, 0xfe], wide(LOG, 2)].concat();
        let among = [LOG.repeat(100).into_bytes(), wide("from 10.7.7.7 on", 2), LOG.repeat(100).into_bytes()].concat();
        let sparse = [vec![0; 200_000], wide(LOG, 2)].concat();
        for text in [wide(LOG, 2), wide(LOG, 4), [vec![0], wide(LOG, 2)].concat(), marked, among, sparse] {
            assert_eq!(hidden(&text), Err(Unhidden::Wide), "{text:?}");
        }
        assert_eq!(hidden(&wide("nobody", 2)), Ok(wide("nobody", 2)), "there is nothing to hide");
        // Nor is one cut in two where a piece ends.
        let text = wide(" 10.7.7.7", 2);
        assert!((2..text.len()).all(|at| !is_seam(&text, at)), "{text:?}");
        assert!(is_seam(&text, 0) && is_seam(&[b'1', 0, 0, 0, 0], 4) && !is_seam(&[b'1', 0, 0, 0], 3));
    }

    #[test]
    fn what_is_neither_a_text_nor_of_a_known_kind_stays_here() {
        let mostly = [LOG.repeat(10_000).into_bytes(), noise(4096), LOG.repeat(10_000).into_bytes()].concat();
        let numbers: Vec<u8> = (1..2000_u32).flat_map(u32::to_le_bytes).collect();
        for bytes in [noise(4096), noise(200), mostly, numbers] {
            assert_eq!(nature(&bytes), Nature::Open);
            assert_eq!(hidden(&bytes), Err(Unhidden::Unclear));
        }
        let mut tar = vec![0; 1024];
        tar[..8].copy_from_slice(b"node.log");
        tar[257..262].copy_from_slice(b"ustar");
        tar.extend(LOG.bytes());
        assert_eq!(nature(&tar), Nature::Archive);
        assert_eq!(nature(b"PK\x03\x04\x0a\0"), Nature::Archive, "it may hold them as they are");
        let program = [b"\x7fELF".to_vec(), vec![0; 200], LOG.as_bytes().to_vec()].concat();
        for bytes in [&program[..], b"\x1f\x8b\x08\0", b"\xd4\xc3\xb2\xa1\x02"] {
            assert_eq!(nature(bytes), Nature::Binary, "{bytes:?}");
        }
    }
}
