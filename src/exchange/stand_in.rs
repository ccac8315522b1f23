//! Those to whom another site of the case writes, while that site is away, or there and silent. After a
//! while this site takes the other's word back for it and writes to them itself: nobody is left without a mail.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::hearing::Presence;
use super::{Engine, EngineError};
use crate::case::reminder::{Delivery, GRACE, Next, Pace, Round};
use crate::case::{Action, Alias, Edit, Incident, Milestone, Party, teller};
use crate::store::{Write, Writer};

/// A site that is there and does not take its next step for so long after it would be due here does not write to them.
const SILENT: SignedDuration = SignedDuration::from_hours(7 * 24);

impl Engine {
    /// Takes over whom a site writes to that is away: a quarter of an hour after the round began where it does not know
    /// of it, else when its next step is late by that. Where it is not time yet, says when to look again.
    pub(super) async fn take_over(
        &self,
        incident: &Incident,
        round: &Round<'_>,
        people: &[Party],
        pace: &Pace,
    ) -> Result<TakenOver, EngineError> {
        let sites: BTreeSet<&Alias> = people.iter().filter_map(|one| one.told_by.as_ref()).collect();
        let mut again: Option<Timestamp> = None;
        for site in sites {
            let at = self.is_late_at(incident, round, site, pace).await?;
            if at <= self.now() {
                return self.take_over_from(incident, site, people).await;
            }
            again = Some(again.map_or(at, |again| again.min(at)));
        }
        Ok(again.map_or(TakenOver::Nobody, TakenOver::Later))
    }

    /// When it is to be looked again; from now on back, that it is late.
    async fn is_late_at(
        &self,
        incident: &Incident,
        round: &Round<'_>,
        site: &Alias,
        pace: &Pace,
    ) -> Result<Timestamp, EngineError> {
        let now = self.now();
        let later = |at: Timestamp| at.checked_add(GRACE).unwrap_or(Timestamp::MAX);
        let last = round.last.map_or(round.begun.at, |(_, milestone)| milestone.at).min(now);
        let next = match round.next(pace, Delivery::Out(last), true) {
            Next::At(_, at) => at,
            Next::Wait => last,
        };
        // It is looked then whether the request has gone there.
        let soon = |since: Timestamp| Some(later(since.max(last))).filter(|soon| *soon > now);
        match self.presence(site) {
            Presence::There(since) => {
                // What it said meanwhile comes right after it is back.
                let silent = next.checked_add(SILENT).unwrap_or(Timestamp::MAX).max(later(since));
                // It may be away later.
                Ok(if silent <= now { silent } else { silent.min(soon(last).unwrap_or(later(next.max(now)))) })
            }
            Presence::Away(since) => {
                if let Some(soon) = soon(since) {
                    return Ok(soon);
                }
                let known = self.known(incident).await?;
                let is_told = known.iter().all(|one| one.key.peer != *site || one.pending.is_empty());
                Ok(if is_told { later(since.max(next)) } else { now })
            }
        }
    }

    async fn take_over_from(
        &self,
        incident: &Incident,
        site: &Alias,
        people: &[Party],
    ) -> Result<TakenOver, EngineError> {
        let tellers = incident.tellers();
        let theirs: Vec<&Party> = people.iter().filter(|one| one.told_by.as_ref() == Some(site)).collect();
        let words = theirs.iter().filter_map(|one| tellers.of_person(&one.address));
        let words: Vec<&Milestone> = words.filter(|one| one.origin.as_ref() == Some(site)).collect();
        let addresses: Vec<&str> = theirs.iter().map(|one| one.address.as_str()).collect();
        let detail =
            format!("{site} is away, or does not go on: this site writes to {} in its place", addresses.join(", "));
        let milestones = words.into_iter().map(|word| teller::leaves(Uuid::now_v7(), self.now(), word)).collect();
        let write = Write {
            edit: Edit { milestones, ..Edit::default() },
            history: vec![self.line_of_daemon(incident.id, Action::Reminded, detail)],
            ..Write::to(incident.id, Writer::Operator)
        };
        Ok(match self.write_step(incident, write, None).await? {
            true => TakenOver::Done,
            // The record moved on: it is looked at again.
            false => TakenOver::Later(self.now()),
        })
    }
}

/// What became of those to whom another site writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TakenOver {
    /// There are none.
    Nobody,
    /// That site writes to them; it is looked again then.
    Later(Timestamp),
    /// This site writes to some of them from now on.
    Done,
}
