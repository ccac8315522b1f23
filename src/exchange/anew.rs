//! A case that its site closed for good (C-50): the incident is submitted anew, and the old case is left as it ended.

use std::sync::Arc;

use super::push::{Task, in_their_words};
use super::{Engine, EngineError, settle};
use crate::case::{Action, Alias, Comment, Edit, HistoryLine, Incident, Phase, Reference, Standing, Submission};
use crate::peer::Upstream;
use crate::protocol::site::capability;
use crate::protocol::{Problem, ProblemType};
use crate::state::{ExchangeKey, PeerRecord};
use crate::store::{Write, Writer, Written};

impl Engine {
    /// Whether the upstream has closed the case and does not open it again (C-50).
    pub(super) async fn stays_closed(&self, incident: &Incident) -> Result<bool, EngineError> {
        let Some(key) = settle::upward_key(&self.scene(), incident) else { return Ok(false) };
        let closed = |one: &Reference| one.exchange == key.exchange && one.standing == Standing::Closed;
        if incident.work.phase != Phase::Close || !incident.references.iter().any(closed) {
            return Ok(false);
        }
        let record = self.state().read(move |view| view.peer(&key.peer)).await?;
        Ok(!opens_closed_cases(&record))
    }

    /// Opens a new case for an incident whose old one stays closed; the old case's ID stays in the history (C-50).
    pub(super) async fn submit_anew(&self, incident: &Incident, edit: Edit, operator: &str) -> Result<(), EngineError> {
        // No Reopen arrives there: what was tried before is news for the new case.
        let told = edit.comments.into_iter().map(|comment| Comment { internal: false, ..comment });
        let edit = Edit { comments: told.collect(), ..edit };
        let write = Write {
            expected_revision: Some(incident.revision),
            edit,
            submission: Some(Submission::Requested),
            generation: Some(incident.generation + 1),
            history: vec![anew_line(self, incident, operator)],
            ..Write::to(incident.id, Writer::Operator)
        };
        match self.write_one(write).await? {
            Written::Done => {
                self.0.changed.notify_one();
                Ok(())
            }
            _ => Err(ProblemType::Busy.with("the record changed at the same moment; look at it and try again").into()),
        }
    }

    /// Reopenings that the upstream refused. One that does not open closed cases any more may never have told so: it is asked,
    /// and what it will not open again is submitted anew. The others need a person.
    pub(super) async fn take_unopened(
        &self,
        alias: &Alias,
        upstream: &Arc<dyn Upstream>,
        refused: Vec<(Task, Problem)>,
    ) -> Result<Vec<(ExchangeKey, String)>, EngineError> {
        if refused.is_empty() {
            return Ok(Vec::new());
        }
        self.peer_answered(alias, Some(upstream.site().await?)).await?;
        let peer = alias.clone();
        let opens = opens_closed_cases(&self.state().read(move |view| view.peer(&peer)).await?);
        let mut parked = Vec::new();
        for (task, problem) in refused {
            match task.record.incident().filter(|_| !opens) {
                Some(id) => self.begin_anew(&task.key, &self.incident(id).await?).await?,
                None => parked.push((task.key, in_their_words(&problem))),
            }
        }
        Ok(parked)
    }

    async fn begin_anew(&self, key: &ExchangeKey, incident: &Incident) -> Result<(), EngineError> {
        if settle::upward_key(&self.scene(), incident).as_ref() == Some(key) {
            let line = HistoryLine { exchange: Some(key.exchange), ..anew_line(self, incident, "casebridge") };
            let write = Write {
                expected_revision: Some(incident.revision),
                submission: Some(Submission::Requested),
                generation: Some(incident.generation + 1),
                history: vec![line],
                ..Write::to(incident.id, Writer::Operator)
            };
            // One that changed at the same moment is refused again, and looked at again.
            if self.write_one(write).await? != Written::Done {
                return Ok(());
            }
        }
        let key = key.clone();
        self.state().transact::<_, EngineError, _>(move |transaction| Ok(settle::left(transaction, &key)?)).await?;
        self.0.changed.notify_one();
        Ok(())
    }
}

/// A peer that was not reached yet is believed to be like most.
fn opens_closed_cases(peer: &PeerRecord) -> bool {
    peer.version.is_none() || peer.capabilities.iter().any(|one| one == capability::REOPEN)
}

fn anew_line(engine: &Engine, incident: &Incident, who: &str) -> HistoryLine {
    let old = incident.case.as_ref().map_or_else(|| "the case".to_owned(), |case| format!("case {}", case.id));
    let detail = format!("{old} is closed and does not open again; submitted anew");
    engine.line(incident.id, Action::Submitted, who, detail)
}
