//! What a site's history proves: which operations went and came, and what the peers have signed for.

use std::collections::BTreeMap;

use async_trait::async_trait;
use casebridge::case::evidence::{Head, Kept, Receipt, Travelled, Way, root_of};
use casebridge::case::{Alias, ContentDigest, ExchangeId, SiteId};
use casebridge::store::StoreError;
use casebridge::store::history::{
    Arrived, HistoryStore, KeyStanding, KnownKey, Marks, Note, Of, OnTheWay, Taking, Unproved,
};
use jiff::Timestamp;

use super::Store;
use crate::bugs::Bug;

/// An operation that travelled.
#[derive(Debug)]
pub struct Line {
    pub peer: Alias,
    pub way: Way,
    pub exchange: ExchangeId,
    pub seq: u64,
    pub at: Timestamp,
    pub sha256: ContentDigest,
    pub hash: ContentDigest,
    /// Whether the peer has signed for it.
    pub proved: bool,
}

#[derive(Default)]
pub struct Chain {
    pub lines: Vec<Line>,
    pub keys: Vec<KnownKey>,
    /// What peers have signed that is not so.
    pub wrong: Vec<String>,
    marks: BTreeMap<Alias, Marks>,
    /// The end of each peer's history that it has signed last.
    heads: BTreeMap<Alias, Head>,
}

impl Chain {
    pub fn add(&mut self, exchange: ExchangeId, at: Timestamp, travelled: Travelled) {
        let Travelled { peer, way, seq, sha256, .. } = travelled;
        let before = self.lines.last().map(|line| line.hash.to_string()).unwrap_or_default();
        let hash = ContentDigest::of(format!("{before} {exchange} {seq} {sha256}").as_bytes());
        self.lines.push(Line { peer, way, exchange, seq, at, sha256, hash, proved: false });
    }

    fn head(&self, site: SiteId) -> Head {
        let hash = self.lines.last().map(|line| line.hash.clone());
        Head { number: self.lines.len() as u64, hash: hash.unwrap_or_else(|| root_of(&site.0.to_string())) }
    }

    fn arrived(&self, peer: &Alias, after: u64, limit: usize) -> Vec<Arrived> {
        let numbered = self.lines.iter().zip(1..).skip(after as usize);
        let theirs = numbered.filter(|(line, _)| line.peer == *peer && line.way == Way::In);
        let one = |(line, number): (&Line, u64)| Arrived {
            number,
            at: line.at,
            exchange: line.exchange,
            seq: line.seq,
            sha256: line.sha256.clone(),
        };
        theirs.map(one).take(limit).collect()
    }

    fn take(&mut self, peer: &Alias, receipt: &Receipt, on_the_way: &OnTheWay) -> Taking {
        let mut taking = Taking::default();
        let head = &receipt.statement.head;
        if let Some(known) = self.heads.get(peer)
            && (head.number < known.number || head.number == known.number && head.hash != known.hash)
        {
            taking.wrong.push(format!("entry {} of its history is gone, or another one", known.number));
        }
        self.heads.insert(peer.clone(), head.clone());
        let mut waiting: Option<u64> = None;
        for one in &receipt.operations {
            let is_ours = |line: &&mut Line| {
                line.way == Way::Out && (&line.peer, line.exchange, line.seq) == (peer, one.exchange, one.seq)
            };
            let mut known: Vec<&mut Line> = self.lines.iter_mut().filter(is_ours).collect();
            let is_known = !known.is_empty();
            match known.iter_mut().find(|line| line.sha256 == one.sha256) {
                Some(line) => line.proved = true,
                None if on_the_way.contains(&(one.exchange, one.seq)) => _ = waiting.get_or_insert(one.number),
                None if !is_known => {}
                None => taking.wrong.push(format!("operation {} of {} was another one", one.seq, one.exchange)),
            }
        }
        let last = receipt.operations.iter().map(|one| one.number).max().unwrap_or(0);
        taking.through = waiting.map_or(last, |number| number.saturating_sub(1));
        self.wrong.extend(taking.wrong.iter().cloned());
        taking
    }
}

#[async_trait]
impl HistoryStore for Store {
    async fn entries(&self, _: &Of, _: u64, _: usize) -> Result<Vec<Kept>, StoreError> {
        Ok(Vec::new())
    }

    async fn head(&self) -> Result<Head, StoreError> {
        Ok(self.read(|shelf| shelf.chain.head(self.site)))
    }

    async fn note(&self, _: Note) -> Result<(), StoreError> {
        Ok(())
    }

    async fn noted_tokens(&self) -> Result<Vec<(String, bool)>, StoreError> {
        Ok(Vec::new())
    }

    async fn note_tokens(&self, _: Vec<(String, bool)>, _: Vec<Note>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn arrived(&self, peer: &Alias, after: u64, limit: usize) -> Result<Vec<Arrived>, StoreError> {
        Ok(self.read(|shelf| shelf.chain.arrived(peer, after, limit)))
    }

    async fn take_receipt(
        &self,
        peer: &Alias,
        receipt: &Receipt,
        on_the_way: &OnTheWay,
        _: Timestamp,
    ) -> Result<Taking, StoreError> {
        self.commit(|shelf| Ok(shelf.chain.take(peer, receipt, on_the_way))).await
    }

    async fn receipts_of(&self, _: &[u64], _: u64) -> Result<Vec<(u64, Receipt, usize)>, StoreError> {
        Ok(Vec::new())
    }

    async fn marks(&self, peer: &Alias) -> Result<Marks, StoreError> {
        Ok(self.read(|shelf| shelf.chain.marks.get(peer).cloned().unwrap_or_default()))
    }

    async fn mark(&self, peer: &Alias, given: Option<u64>, taken: Option<u64>) -> Result<(), StoreError> {
        let bug = self.bug;
        self.commit(|shelf| {
            let marks = shelf.chain.marks.entry(peer.clone()).or_default();
            marks.given = given.unwrap_or(marks.given);
            let ahead = u64::from(bug == Some(Bug::PassesOverAReceipt));
            marks.taken = taken.map_or(marks.taken, |taken| taken + ahead);
            Ok(())
        })
        .await
    }

    async fn look_for_unproved(&self, _: &Alias, _: Timestamp, _: usize) -> Result<Unproved, StoreError> {
        Ok(Unproved::default())
    }

    async fn keys(&self, peer: Option<&Alias>) -> Result<Vec<KnownKey>, StoreError> {
        Ok(self.read(|shelf| shelf.chain.keys.iter().filter(|one| one.peer.as_ref() == peer).cloned().collect()))
    }

    async fn set_key(&self, key: KnownKey, _: Note) -> Result<(), StoreError> {
        self.commit(|shelf| {
            let of_whom = shelf.chain.keys.iter_mut().filter(|one| one.peer == key.peer);
            of_whom.filter(|one| one.standing == key.standing).for_each(|one| one.standing = KeyStanding::Past);
            shelf.chain.keys.push(key);
            Ok(())
        })
        .await
    }
}
