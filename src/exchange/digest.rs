//! Digests over the exchanges with one peer, made from the store: a change that no detector saw is in them as well. The
//! same at both ends, so that two sites find what differs between them without moving it.

use std::collections::{BTreeMap, HashSet};

use super::{Engine, EngineError, settle};
use crate::case::agreed::together;
use crate::case::{
    Agreed, Alias, Between, ContentDigest, ExchangeId, FieldMap, Incident, IncidentId, Standing, Texts, Towards,
    may_be_canceled,
};
use crate::protocol::{BATCH_LIMIT, DigestPage, DigestPart, ExchangeDigest, PART_LIMIT, ProblemType};
use crate::state::{ExchangeKey, ExchangeRecord};

/// Whole records that are in memory at once: each may hold a description of a quarter of a megabyte.
pub(super) const SLICE: usize = 20;

/// One exchange in one picture: what state knows of it, and its incident.
pub(super) struct Picture {
    pub key: ExchangeKey,
    pub record: ExchangeRecord,
    pub incident: Option<Incident>,
    /// What was announced between the two sites.
    pub files: BTreeMap<String, ContentDigest>,
    /// Whether something is on its way, so that the two sites need not agree now.
    pub in_motion: bool,
}

/// What a store has of its exchanges with one peer.
#[derive(Default)]
pub(super) struct Digests {
    /// In order.
    pub all: Vec<(ExchangeId, u64)>,
    /// Those that another exchange of the same incident followed: the peer compares them with a record that is about the
    /// other one here.
    pub superseded: HashSet<ExchangeId>,
}

impl Picture {
    /// The record, as both sites should have it.
    pub fn agreed(&self, incident: &Incident, fields: &FieldMap, texts: Texts) -> Agreed {
        let ExchangeKey { peer, exchange } = &self.key;
        let (towards, canceled) = (self.record.leg.towards(), self.record.shadow.is_canceled());
        let between = Between { peer, exchange: *exchange, towards, fields, texts, canceled };
        Agreed::of(incident, between).with_files(Some(&self.files))
    }
}

impl Engine {
    /// A client asks for digests of its exchanges: in parts, or one by one where they are few.
    pub async fn digests(
        &self,
        client: &Alias,
        after: Option<ExchangeId>,
        through: Option<ExchangeId>,
        texts: Texts,
    ) -> Result<DigestPage, EngineError> {
        self.may_compare(client, texts)?;
        let digests = self.store_digests(client, (Towards::Client, texts), after, through).await?.all;
        Ok(match digests.len() > BATCH_LIMIT {
            true => DigestPage { parts: parts(&digests, through), ..DigestPage::default() },
            false => DigestPage { exchanges: digests.iter().map(one).collect(), ..DigestPage::default() },
        })
    }

    /// What is hidden from a client is not compared with it word by word: the answer would tell of it.
    pub(super) fn may_compare(&self, client: &Alias, texts: Texts) -> Result<(), EngineError> {
        if texts == Texts::Whole && self.settings().hides_addresses_from(client) {
            return Err(ProblemType::BadRequest.with("addresses are hidden here; ask without `whole`").into());
        }
        Ok(())
    }

    /// Every exchange with `peer` in a range, in order, with the digest of its record.
    pub(super) async fn store_digests(
        &self,
        peer: &Alias,
        (towards, texts): (Towards, Texts),
        after: Option<ExchangeId>,
        through: Option<ExchangeId>,
    ) -> Result<Digests, EngineError> {
        let (settings, scene) = (self.settings(), self.scene());
        let fields = settings.fields(peer);
        let mut digests = Digests::default();
        let mut last = after;
        loop {
            let page = self.store().referenced(peer, last, SLICE).await?.incidents;
            if page.is_empty() {
                return Ok(digests);
            }
            let ids: Vec<IncidentId> = page.iter().map(|incident| incident.id).collect();
            let files = self.store().announced_files(peer, &ids).await?;
            let canceled = self.canceled(peer, &page).await?;
            for incident in page {
                // A record comes once for each of its references, in the order of these.
                let of_peer = incident.references.iter().filter(|one| one.peer == *peer);
                let next =
                    of_peer.filter(|one| last.is_none_or(|last| one.exchange > last)).min_by_key(|one| one.exchange);
                let Some(reference) = next else { return Ok(digests) };
                if through.is_some_and(|through| reference.exchange > through) {
                    return Ok(digests);
                }
                last = Some(reference.exchange);
                if reference.towards == towards {
                    let exchange = reference.exchange;
                    let is_superseded = settle::is_superseded(&scene, towards, exchange, &incident);
                    let digest = match reference.standing {
                        // What was given back is each site's own again.
                        Standing::Rejected => 0,
                        _ if is_superseded => {
                            digests.superseded.insert(exchange);
                            0
                        }
                        _ => {
                            let between = Between {
                                peer,
                                exchange,
                                towards,
                                fields,
                                texts,
                                canceled: canceled.contains(&exchange),
                            };
                            Agreed::of(&incident, between).with_files(files.get(&incident.id)).digest()
                        }
                    };
                    digests.all.push((exchange, digest));
                }
            }
        }
    }

    /// Those of records that do not show by themselves whether a Cancel ended them.
    async fn canceled(&self, peer: &Alias, page: &[Incident]) -> Result<HashSet<ExchangeId>, EngineError> {
        let doubtful = page.iter().filter(|one| may_be_canceled(&one.work)).flat_map(|one| &one.references);
        let keys: Vec<ExchangeKey> =
            doubtful.filter(|one| one.peer == *peer).map(|one| ExchangeKey::new(peer, one.exchange)).collect();
        if keys.is_empty() {
            return Ok(HashSet::new());
        }
        let records = self.records(&keys).await?;
        let ended = |record: &Option<ExchangeRecord>| record.as_ref().is_some_and(|one| one.shadow.is_canceled());
        Ok(keys.iter().zip(&records).filter(|(_, record)| ended(record)).map(|(key, _)| key.exchange).collect())
    }

    /// These exchanges, each in one picture of state and store; unknown ones are left out.
    pub(super) async fn pictures(&self, peer: &Alias, exchanges: &[ExchangeId]) -> Result<Vec<Picture>, EngineError> {
        self.detect_all().await?;
        let keys: Vec<ExchangeKey> = exchanges.iter().map(|exchange| ExchangeKey::new(peer, *exchange)).collect();
        let (records, incidents, mut files) = {
            let _alone = self.0.between_record_and_shadow.write().await;
            let records = self.records(&keys).await?;
            let ids: Vec<IncidentId> = records.iter().flatten().filter_map(ExchangeRecord::incident).collect();
            let incidents = self.store().load(&ids).await?.incidents;
            (records, incidents, self.store().announced_files(peer, &ids).await?)
        };
        // Changes that came while the picture was taken are operations now.
        self.detect_all().await?;
        let later = self.records(&keys).await?;
        let picture = |((key, record), later): ((ExchangeKey, Option<ExchangeRecord>), Option<ExchangeRecord>)| {
            let (record, later) = (record?, later?);
            Some(Picture {
                files: record.incident().and_then(|id| files.remove(&id)).unwrap_or_default(),
                in_motion: (record.sent, record.applied) != (later.sent, later.applied)
                    || !record.pending.is_empty()
                    || record.changed_meanwhile
                    || record.paused
                    || record.parked.is_some()
                    || record.held.is_some(),
                incident: incidents.iter().find(|incident| Some(incident.id) == record.incident()).cloned(),
                key,
                record,
            })
        };
        Ok(keys.into_iter().zip(records).zip(later).filter_map(picture).collect())
    }

    async fn records(&self, keys: &[ExchangeKey]) -> Result<Vec<Option<ExchangeRecord>>, EngineError> {
        let keys = keys.to_vec();
        Ok(self.state().read(move |view| keys.iter().map(|key| view.exchange(key)).collect()).await?)
    }
}

fn one((exchange, digest): &(ExchangeId, u64)) -> ExchangeDigest {
    ExchangeDigest { exchange: *exchange, digest: shown(*digest) }
}

/// Parts of about equal size; the last one ends where the range does.
fn parts(digests: &[(ExchangeId, u64)], through: Option<ExchangeId>) -> Vec<DigestPart> {
    let chunks: Vec<_> = digests.chunks(digests.len().div_ceil(PART_LIMIT).max(1)).collect();
    let last = chunks.len().saturating_sub(1);
    let part = |(index, chunk): (usize, &&[(ExchangeId, u64)])| DigestPart {
        through: if index == last { through } else { chunk.last().map(|(exchange, _)| *exchange) },
        count: chunk.len() as u64,
        digest: shown(together(chunk)),
    };
    chunks.iter().enumerate().map(part).collect()
}

/// A digest as it goes over the wire.
pub(super) fn shown(digest: u64) -> String {
    format!("{digest:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(count: u128) -> Vec<(ExchangeId, u64)> {
        (0..count).map(|number| (ExchangeId::from_bytes(number.to_be_bytes()), number as u64)).collect()
    }

    #[test]
    fn a_hundred_thousand_are_cut_into_parts_that_are_answered_one_by_one() {
        let all = digests(100_000);
        let cut = parts(&all, None);
        assert!(cut.len() <= PART_LIMIT && cut.iter().all(|part| part.count as usize <= BATCH_LIMIT));
        assert_eq!(cut.iter().map(|part| part.count).sum::<u64>(), 100_000);
        assert_eq!(cut.last().unwrap().through, None, "the last part is open to what only the client has");
        assert!(cut.windows(2).all(|pair| pair[1].through.is_none() || pair[0].through < pair[1].through));
    }

    #[test]
    fn one_change_changes_one_part() {
        let all = digests(5_000);
        let mut changed = all.clone();
        changed[4_321].1 += 1;
        let (one, two) = (parts(&all, None), parts(&changed, None));
        assert_eq!(one.iter().zip(&two).filter(|(one, two)| one != two).count(), 1);
    }
}
