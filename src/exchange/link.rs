//! An incident is linked to a case that the site above has already. It travels as a Create that names the case, so
//! that what holds for every Create holds for it: one exchange, one incident, however often it is sent.

use tracing::info;

use super::open::Request;
use super::push::Task;
use super::{Engine, EngineError, settle};
use crate::case::evidence::Way;
use crate::case::{
    Action, Alias, Form, HistoryLine, IncidentId, LinkTo, Operation, OperationKind, Standing, Submission, Towards,
};
use crate::protocol::site::capability;
use crate::protocol::{Outcome, ProblemType};
use crate::state::OutboxEntry;
use crate::store::{Write, Writer};
use crate::telemetry::{CrashPoint, crash_point};

/// Links of one request that are looked up; each may read much of the store.
const LIMIT: usize = 10;

impl Engine {
    /// Submits an incident as one that the upstream has a case for.
    pub async fn link(&self, id: IncidentId, to: LinkTo, operator: &str) -> Result<(), EngineError> {
        self.upstream_with(capability::LINK).await?;
        self.submit(id, Form { link: Some(to), ..Form::default() }, operator).await
    }

    /// Gives clients' exchanges the incidents that were entered here for them. Another client's is as unknown as one that
    /// never was.
    pub(super) async fn open_linked(
        &self,
        client: &Alias,
        mut requests: Vec<Request>,
    ) -> Result<Vec<(usize, Outcome)>, EngineError> {
        let later = |reason: &str| Outcome::Later { problem: ProblemType::Busy.with(reason) };
        let rest = requests.split_off(requests.len().min(LIMIT));
        let mut outcomes: Vec<_> = rest.iter().map(|(index, ..)| (*index, later("links take turns"))).collect();
        let opens = requests.iter().map(|(_, key, create, raw)| self.to_open(key, create, raw)).collect();
        let _moved = self.0.between_record_and_shadow.read().await;
        let linked = match self.store().link(opens).await {
            Ok(linked) => linked,
            Err(fault) => {
                outcomes.extend(requests.iter().map(|(index, ..)| (*index, later(&fault.to_string()))));
                return Ok(outcomes);
            }
        };
        crash_point(CrashPoint::IncidentOpened);
        let (mut opened, mut settling) = (Vec::new(), Vec::new());
        for (request, linked) in requests.into_iter().zip(linked) {
            let transaction = linked.as_ref().and_then(|one| one.incident.id.to_string().parse().ok());
            match (linked, transaction) {
                (Some(one), Some(transaction)) => {
                    outcomes.push((request.0, Outcome::Applied { transaction }));
                    opened.push(one);
                    settling.push(request);
                }
                _ => {
                    let reason = "there is no such case that could be linked to";
                    outcomes.push((request.0, Outcome::Refused { problem: ProblemType::NotFound.with(reason) }));
                }
            }
        }
        self.settle_opened(client, settling, opened).await?;
        Ok(outcomes)
    }

    /// The upstream has no such case: the incident is a person's again, who links it anew or submits it.
    pub(super) async fn take_unlinked(&self, refused: Vec<(Task, String)>) -> Result<(), EngineError> {
        if refused.is_empty() {
            return Ok(());
        }
        let mut writes = Vec::new();
        for (task, reason) in &refused {
            let Some(incident) = task.record.incident() else { continue };
            info!(
                event = "link_refused",
                peer = %task.key.peer,
                exchange = %task.key.exchange,
                incident = incident.0,
                "the peer has no such case; the incident is held"
            );
            let reference = super::detect::reference(&task.key, Towards::Upstream, None, Standing::Rejected);
            let held = HistoryLine {
                incident,
                at: self.now(),
                who: format!("peer {}", task.key.peer),
                action: Action::Held.as_str().into(),
                exchange: Some(task.key.exchange),
                seq: Some(1),
                detail: format!("not linked: {reason}"),
            };
            writes.push(Write {
                submission: Some(Submission::Held),
                reference: Some(reference),
                history: vec![held],
                travelled: task.travelled(Way::Refused),
                ..Write::to(incident, Writer::Bridge)
            });
        }
        self.store().write(writes).await?;
        let now = self.now();
        self.state()
            .transact::<_, EngineError, _>(move |transaction| {
                refused.iter().try_for_each(|(task, _)| Ok(settle::unlinked(transaction, &task.key, now)?))
            })
            .await
    }
}

/// Whether what was sent is a Create that names a case.
pub(super) fn links(entry: &OutboxEntry) -> bool {
    entry.kind == OperationKind::Create
        && matches!(serde_json::from_str(entry.in_our_words()), Ok(Operation::Create(create)) if create.form.link.is_some())
}
