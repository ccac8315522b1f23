//! What the store says of an exchange for people, its standing and who has the case in hand, is written after state. A kill
//! between the two leaves it behind; it follows at the next start.

use super::detect::reference;
use super::{Engine, EngineError};
use crate::case::{Alias, IncidentId, Phase, Reference, Standing, Towards};
use crate::state::{ExchangeKey, ExchangeRecord};
use crate::store::{ReferenceWrite, Write, Writer};

/// References read in one go.
const PAGE: usize = 1_000;

impl Engine {
    /// Brings the references with `peer` to where state is. Called before anything else moves.
    pub(super) async fn catch_up_references(&self, peer: &Alias) -> Result<(), EngineError> {
        let mut after = None;
        loop {
            let page = self.store().references(peer, after, PAGE).await?;
            let Some((_, last)) = page.last() else { return Ok(()) };
            after = Some(last.exchange);
            let keys: Vec<ExchangeKey> =
                page.iter().map(|(_, one)| ExchangeKey::new(&one.peer, one.exchange)).collect();
            let records = self
                .state()
                .read(move |view| keys.iter().map(|key| view.exchange(key)).collect::<Result<Vec<_>, _>>())
                .await?;
            let writes =
                page.iter().zip(records).filter_map(|((id, one), record)| follows(*id, one, &record?)).collect();
            self.store().write(writes).await?;
        }
    }
}

/// The write that a reference lacks; none where an operation that comes again will bring it.
fn follows(incident: IncidentId, known: &Reference, record: &ExchangeRecord) -> Option<Write> {
    let comes_again = known.applied > record.applied;
    let standing = match known.towards {
        // It is acknowledged in the store first.
        Towards::Upstream if !record.pending.is_empty() => known.standing,
        _ => record.leg.standing(record.shadow.phase == Phase::Review),
    };
    let is_there = (known.holder, known.standing) == (record.holder, standing);
    if comes_again || is_there || record.incident() != Some(incident) || standing == Standing::Submitted {
        return None;
    }
    let key = ExchangeKey::new(&known.peer, known.exchange);
    let reference = reference(&key, known.towards, None, standing);
    let reference = Some(ReferenceWrite { holder: Some(record.holder), ..reference });
    Some(Write { reference, ..Write::to(incident, Writer::Bridge) })
}
