//! The story of a case, or of the whole site, as evidence: entry by entry, with what peers signed; and what a peer has ever
//! seen.

use std::collections::HashMap;

use serde_json::Value;

use super::{Engine, EngineError};
use crate::case::evidence::{Begin, End, Exported, Head, Kept, Line, Proof, Way, Whose};
use crate::case::{Alias, IncidentId};
use crate::protocol::ProblemType;
use crate::protocol::history::{Disclosed, DisclosedPage, HistoryEnd, HistoryPage, HistoryQuery, Seen};
use crate::store::history::Of;

/// The most entries of one page.
const PAGE: usize = 1000;

impl Engine {
    /// A page of entries as an export holds them.
    pub async fn history_page(&self, query: &HistoryQuery) -> Result<HistoryPage, EngineError> {
        let incident = query.incident.map(IncidentId);
        if let Some(id) = incident {
            self.incident(id).await?;
        }
        let limit = query.limit.unwrap_or(100).clamp(1, PAGE);
        let until = match query.until {
            Some(until) => until,
            None => self.store().head().await?.number,
        };
        let (lines, next) = self.lines(incident, query.after.unwrap_or(0), until, limit).await?;
        let lines = lines.into_iter().map(|(_, line)| line).collect();
        Ok(HistoryPage { begin: self.begin(incident), lines, until, next })
    }

    /// Up to `limit` lines behind the entry numbered `after`, with their entries' numbers, as they were when the history
    /// ended with the entry `until`; and where more of them begin.
    async fn lines(
        &self,
        incident: Option<IncidentId>,
        after: u64,
        until: u64,
        limit: usize,
    ) -> Result<(Vec<(u64, Line)>, Option<u64>), EngineError> {
        let mut kept = self.store().entries(&incident.map_or(Of::All, Of::Incident), after, limit).await?;
        let next = kept.last().filter(|_| kept.len() == limit).map(|last| last.entry.number);
        kept.retain(|one| one.entry.number <= until);
        // Of a whole history, the receipts are among the entries.
        let mut proofs = if incident.is_some() { self.proofs(&kept, until).await? } else { HashMap::new() };
        let line = |one: &Kept| Ok((one.entry.number, Line::of(one, proofs.remove(&one.entry.number))?));
        let lines: Result<_, serde_json::Error> = kept.iter().map(line).collect();
        Ok((lines.map_err(unwritable)?, next.filter(|next| *next < until)))
    }

    fn begin(&self, incident: Option<IncidentId>) -> Begin {
        let alias = self.settings().site.alias.clone();
        let (site, incident) = (self.site().0.to_string(), incident.map(|incident| incident.0));
        Begin { export: Whose { version: 1, site, alias, incident } }
    }

    async fn proofs(&self, kept: &[Kept], until: u64) -> Result<HashMap<u64, Proof>, EngineError> {
        let numbers: Vec<u64> = kept.iter().map(|one| one.entry.number).collect();
        let found = self.store().receipts_of(&numbers, until).await?;
        Ok(found.into_iter().filter_map(|(entry, receipt, place)| Some((entry, receipt.proof(place)?))).collect())
    }

    /// The signed end of an export that was read up to the entry numbered `after`.
    pub async fn history_end(&self, query: &HistoryQuery) -> Result<HistoryEnd, EngineError> {
        let incident = query.incident.map(IncidentId);
        let last = query.after.unwrap_or(0);
        let until = query.until.unwrap_or(last);
        let mut signed = Vec::new();
        let mut head = None;
        // A whole history is held by its last hash.
        let mut next = Some(if incident.is_some() { 0 } else { last.saturating_sub(1) });
        while let Some(after) = next.filter(|after| *after < last) {
            let (lines, more) = self.lines(incident, after, until, PAGE).await?;
            for (number, line) in lines.iter().filter(|(number, _)| *number <= last) {
                head = Some((*number, line.hash.clone()));
                if incident.is_some() {
                    signed.push((*number, line.sealed().map_err(unwritable)?));
                }
            }
            next = more;
        }
        let whose = self.begin(incident).export;
        let head = match head {
            Some((number, hash)) => {
                Head { number, hash: hash.parse().map_err(|_| ProblemType::Internal.with("a hash"))? }
            }
            None => Head { number: 0, hash: crate::case::evidence::root_of(&whose.site) },
        };
        let lines = incident.map(|_| signed);
        let key = self.own_key().0;
        let end = End { export: whose, head, lines, at: self.now(), key: key.public() };
        let signed: Exported =
            end.signed(&key).map_err(|fault| EngineError::from(ProblemType::Internal.with(fault.to_string())))?;
        Ok(HistoryEnd { end: signed })
    }

    /// What a peer has ever seen of one case, or of all: every operation that went there, and what may have gone.
    pub async fn disclosed(&self, query: &HistoryQuery) -> Result<DisclosedPage, EngineError> {
        let Some(peer) = query.peer.clone() else {
            return Err(ProblemType::Form.with("`peer` is missing: whose view is it?").into());
        };
        let incident = query.incident.map(IncidentId);
        let (limit, after) = (query.limit.unwrap_or(100).clamp(1, PAGE), query.after.unwrap_or(0));
        let kept = self.store().entries(&Of::Sent { peer: peer.clone(), incident }, after, limit).await?;
        if kept.is_empty() && after == 0 && !self.has_met(&peer).await? {
            return Err(ProblemType::Form
                .with(format!("neither the settings nor the history know a peer {peer}"))
                .into());
        }
        let proofs = self.proofs(&kept, i64::MAX as u64).await?;
        let next = kept.last().filter(|_| kept.len() == limit).map(|last| last.entry.number);
        let mut operations: Vec<Disclosed> =
            kept.iter().filter_map(|one| disclosed(one, proofs.get(&one.entry.number))).collect();
        let mut files = Vec::new();
        if let (Some(id), 0) = (incident, after) {
            let record = self.incident(id).await?;
            files = self.store().transfers(id).await?;
            files.retain(|file| file.peer == peer.as_str() && file.direction == "to");
            for known in self.known(&record).await?.into_iter().filter(|known| known.key.peer == peer) {
                operations.extend(known.pending.into_iter().map(|(_, entry)| Disclosed {
                    entry: None,
                    incident: Some(id.0),
                    at: entry.queued_at.to_string(),
                    exchange: entry.exchange,
                    seq: entry.seq,
                    outcome: "under way".to_owned(),
                    operation: entry.kind.to_string(),
                    fields: fields(entry.operation.get()),
                    signed: None,
                }));
            }
        }
        Ok(DisclosedPage { operations, files, next })
    }

    /// Whether the settings name a peer, or something ever went to it or came from it. One that is left out of the settings has
    /// seen what it has.
    async fn has_met(&self, peer: &Alias) -> Result<bool, EngineError> {
        let settings = self.settings();
        let clients = settings.clients.iter().map(|client| &client.alias);
        if settings.upstream.iter().map(|upstream| &upstream.alias).chain(clients).any(|known| known == peer) {
            return Ok(true);
        }
        let sent = Of::Sent { peer: peer.clone(), incident: None };
        Ok(!self.store().entries(&sent, 0, 1).await?.is_empty() || !self.store().arrived(peer, 0, 1).await?.is_empty())
    }
}

fn unwritable(fault: serde_json::Error) -> EngineError {
    ProblemType::Internal.with(format!("an entry: {fault}")).into()
}

fn disclosed(kept: &Kept, proof: Option<&Proof>) -> Option<Disclosed> {
    let content = kept.content.as_deref()?;
    let kind =
        serde_json::from_str::<Value>(content).ok().and_then(|value| Some(value.get("kind")?.as_str()?.to_owned()));
    Some(Disclosed {
        entry: Some(kept.entry.number),
        incident: kept.entry.incident,
        at: kept.entry.at.clone(),
        exchange: kept.entry.exchange.as_ref()?.parse().ok()?,
        seq: kept.entry.seq? as u64,
        outcome: match kept.entry.way.as_deref() {
            Some(way) if way == Way::Refused.as_str() => "refused",
            Some(way) if way == Way::Shown.as_str() => "to be read",
            _ => "taken",
        }
        .to_owned(),
        operation: kind.unwrap_or_default(),
        fields: fields(content),
        signed: proof.map(|proof| proof.operation.at),
    })
}

/// Every value in an operation, with its place.
fn fields(operation: &str) -> Vec<Seen> {
    let mut seen = Vec::new();
    if let Ok(value) = serde_json::from_str::<Value>(operation) {
        walk("", value.get("content").unwrap_or(&Value::Null), &mut seen);
    }
    seen
}

/// The reader of JSON goes no deeper than 128, and so does this.
fn walk(place: &str, value: &Value, seen: &mut Vec<Seen>) {
    let below = |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| walk(&below(name), value, seen)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| walk(&below(&index.to_string()), value, seen));
        }
        Value::Null if place.is_empty() => {}
        Value::String(text) => seen.push(Seen { field: place.to_owned(), value: text.clone() }),
        other => seen.push(Seen { field: place.to_owned(), value: other.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_an_operation_is_told_with_its_place() {
        let told = fields(
            r#"{"kind":"update","content":{"solution":null,"comments":[{"text":"from ***","edits":1}],"case":{"id":"C-1"}}}"#,
        );
        let told: Vec<(&str, &str)> = told.iter().map(|one| (one.field.as_str(), one.value.as_str())).collect();
        let expected =
            [("case.id", "C-1"), ("comments.0.edits", "1"), ("comments.0.text", "from ***"), ("solution", "null")];
        assert_eq!(told, expected);
        assert_eq!(fields("{"), []);
    }
}
