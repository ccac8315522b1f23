//! Who has a case in hand: a person gives it to another site, takes it back, or switches its exchange off and on.

use super::work::{action, check_not_given_back, form};
use super::{Engine, EngineError, settle};
use crate::case::evidence::Context;
use crate::case::text::line;
use crate::case::{
    Action, Case, Edit, Form, HandOver, Holder, Incident, IncidentId, OperationKind, Reference, Towards,
};
use crate::protocol::operator::{ActiveRequest, AssignRequest, TakeRequest};
use crate::store::Write;

/// The longest name of a group, in bytes.
const GROUP_LIMIT: usize = 128;

/// In the history, of an exchange that a person stopped.
pub(super) const SWITCHED_OFF: &str = "exchange switched off";

impl Engine {
    /// Assigns a record to a group. One that belongs to another site hands the case over (C-03): it is submitted when it
    /// was not yet; one of a client's asks that client for an answer (C-51). One of our own takes it back (C-04).
    pub async fn assign(&self, id: IncidentId, request: &AssignRequest) -> Result<String, EngineError> {
        let group = line(&request.group, GROUP_LIMIT).map_err(|fault| form(format!("group {fault}")))?;
        let settings = self.settings();
        let incident = self.incident(id).await?;
        check_not_given_back(&incident)?;
        let groups = &settings.exchange.groups;
        let open = |one: &&Reference| one.standing.is_open() && groups.is_external(group, &one.peer);
        let target = incident.references.iter().find(open);
        let upstream = settings.upstream.as_ref().filter(|upstream| groups.is_external(group, &upstream.alias));
        if target.is_none() && upstream.is_some() && incident.client.is_none() {
            self.submit(id, Form::default(), &request.operator).await?;
        }
        if let Some(reference) = target {
            if reference.holder == Holder::Peer && incident.assignment.is_some() {
                return Err(action(format!("{} has the case in hand already", reference.peer)));
            }
            if reference.towards == Towards::Client && incident.case.is_none() {
                return Err(action(format!("incident {id} has no case yet; accept it first")));
            }
        }
        let incident = self.incident(id).await?;
        let edit = Edit {
            assignment: Some(Some(group.to_owned())),
            case: target.filter(|one| one.towards == Towards::Client).and_then(|_| self.pending(&incident)),
            comments: self.comment(&request.comment, &request.operator)?,
            ..Edit::default()
        };
        let detail = format!("assigned to {group}");
        // Who has it in hand changes when the detector finds the new group; the decision is here (H-05).
        let mut context = Context::default();
        if let Some(one) = target {
            context.note("holder", Some(one.holder.as_str()), Some(Holder::Peer.as_str()));
            context.note("hand_over", None, Some(&format!("to {}, {}", one.peer, one.standing.as_str())));
        }
        let hand_over = target
            .filter(|one| one.holder == Holder::Us)
            .and_then(|one| HandOver::of(OperationKind::Assign, one.towards.from_there()));
        let write = self.edited(&incident, edit, Action::Assigned, &request.operator, detail.clone());
        self.write_decision(Write { context, hand_over, ..write }).await?;
        Ok(detail)
    }

    /// The case with the status of one that waits for its client (C-51).
    fn pending(&self, incident: &Incident) -> Option<Case> {
        let status = self.settings().case.pending_status.clone();
        incident.case.clone().map(|case| Case { status, ..case })
    }

    /// Takes a case back that another site has in hand (C-48).
    pub async fn take_back(&self, id: IncidentId, request: &TakeRequest) -> Result<(), EngineError> {
        let incident = self.incident(id).await?;
        let away = |one: &&Reference| one.standing.is_open() && one.holder == Holder::Peer;
        let Some(reference) = incident.references.iter().find(away) else {
            return Err(action(format!("no other site has incident {id} in hand")));
        };
        // The group that stands for this site; leaving an external group is what the table calls Accept.
        let ours = self.settings().site.alias.to_string();
        let edit = Edit {
            assignment: Some(Some(ours)),
            comments: self.comment(&request.comment, &request.operator)?,
            ..Edit::default()
        };
        let detail = format!("taken back from {}", reference.peer);
        let mut context = Context::default();
        context.note("holder", Some(reference.holder.as_str()), Some(Holder::Us.as_str()));
        context.note(
            "hand_over",
            None,
            Some(&format!("back from {}, {}", reference.peer, reference.standing.as_str())),
        );
        let hand_over = HandOver::of(OperationKind::Accept, reference.towards.from_there());
        let write = self.edited(&incident, edit, Action::Assigned, &request.operator, detail);
        self.write_decision(Write { context, hand_over, ..write }).await
    }

    /// Stops the exchange of a record in both directions, or lets it go on (C-59).
    pub async fn set_active(&self, id: IncidentId, request: &ActiveRequest) -> Result<(), EngineError> {
        let incident = self.incident(id).await?;
        check_not_given_back(&incident)?;
        let told = if request.active { "switched on" } else { "switched off" };
        if incident.active == request.active {
            return Err(action(format!("the exchange of incident {id} is {told} already")));
        }
        let edit = Edit { active: Some(request.active), ..Edit::default() };
        let detail = if request.active { "exchange switched on" } else { SWITCHED_OFF };
        self.edit(&incident, edit, Action::Edited, &request.operator, detail.into()).await?;
        if request.active {
            self.retry_files(Some(id), &request.operator).await?;
            self.detect_all().await?;
        }
        Ok(())
    }

    /// What was held back on its way in follows; when there is nothing, that is no fault.
    pub(super) async fn let_in(&self, id: IncidentId) -> Result<(), EngineError> {
        match self.retry(Some(id), "casebridge").await {
            Ok(_) | Err(EngineError::Refused(_)) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// What a stop interrupted while it was let in: nothing keeps it back any more.
    pub(super) async fn let_in_interrupted(&self) -> Result<(), EngineError> {
        /// Exchanges that are looked at; a stop interrupts one, or a few.
        const LIMIT: usize = 10_000;
        let parked = self.state().read(|view| view.parked(LIMIT)).await?;
        let interrupted: Vec<IncidentId> = parked
            .iter()
            .filter(|(_, record)| settle::is_free(record))
            .filter_map(|(_, record)| record.incident())
            .collect();
        for incident in interrupted {
            self.let_in(incident).await?;
        }
        Ok(())
    }
}
