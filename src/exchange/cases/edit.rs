//! Edits of a case by hand, and its deletion from the lists.

use super::{CaseCall, Change, check_not_over};
use crate::case::text::paragraph;
use crate::case::{Action, Edit, Incident, Initiator, Instance, InstanceEdit};
use crate::exchange::work::{check_not_given_back, form};
use crate::exchange::{Decision, Engine, EngineError};
use crate::protocol::cases::{CaseAnswer, EditCase};

impl Engine {
    /// Changes what the request names. What the tables of Case Exchange know of it travels.
    pub async fn edit_case(&self, call: &CaseCall, request: &EditCase) -> Result<CaseAnswer, EngineError> {
        if let Some(resolution) = &request.resolution {
            paragraph(resolution, 65_536).map_err(|fault| form(format!("resolution {fault}")))?;
            if resolution.trim().is_empty() {
                return Err(form("resolution must not be empty".into()));
            }
        }
        if request.is_empty() {
            return Err(form("nothing to change was given".into()));
        }
        if request.active == Some(false) {
            return Err(form("a case is taken from the lists by deleting it".into()));
        }
        self.change(call, Action::Edited, |incident, instance| {
            let resolution = request.resolution.clone().filter(|new| incident.work.solution.as_ref() != Some(new));
            let edit = Edit { solution: resolution.map(Some), ..Edit::default() };
            if edit != Edit::default() {
                check_not_given_back(incident)?;
                self.check_ownership(incident, Decision::Update, &edit)?;
            }
            let (beside, named) = beside(request, incident, instance)?;
            if beside.case_type.is_some() || beside.priority.is_some() {
                let case_type = beside.case_type.as_ref().unwrap_or(&instance.case_type);
                let priority = beside.priority.or(incident.form.priority).or(incident.event.priority);
                self.check_type(case_type.as_ref(), priority, call.may)?;
            }
            if beside == InstanceEdit::default() && edit == Edit::default() {
                return Ok(None);
            }
            let listed = InstanceEdit { deleted: beside.deleted, ..InstanceEdit::default() };
            if beside != listed || edit != Edit::default() {
                check_not_over(incident)?;
            }
            let resolution = edit.solution.is_some().then_some("resolution");
            let named: Vec<&str> = named.into_iter().chain(resolution).collect();
            Ok(Some(Change { edit, instance: beside, taken: None, told: format!("changed: {}", named.join(", ")) }))
        })
        .await
    }

    /// Takes a case from the lists. Nothing else changes: what comes for it is stored, and does not bring it back.
    pub async fn delete_case(&self, call: &CaseCall) -> Result<CaseAnswer, EngineError> {
        self.change(call, Action::Edited, |_, instance| {
            let edit = InstanceEdit { deleted: Some(true), ..InstanceEdit::default() };
            Ok((!instance.deleted).then(|| Change::beside(edit, "deleted from the lists")))
        })
        .await
    }
}

/// What of the request is new, and by which names.
fn beside(
    request: &EditCase,
    incident: &Incident,
    instance: &Instance,
) -> Result<(InstanceEdit, Vec<&'static str>), EngineError> {
    let priority = incident.form.priority.or(incident.event.priority);
    let place = &instance.location;
    let initiator = initiator(request, instance)?;
    let edit = InstanceEdit {
        details: request.details.clone().filter(|new| *new != incident.event.synopsis),
        description: request.description.clone().filter(|new| *new != incident.event.description),
        priority: request.priority.filter(|new| Some(*new) != priority),
        case_type: request.case_type_name.clone().filter(|new| *new != instance.case_type),
        initiator: initiator.filter(|new| instance.initiator.as_ref() != Some(new)),
        location_name: request.location.clone().filter(|new| *new != place.name),
        location_id: request.location_id.filter(|new| *new != place.id),
        location_code: request.location_code.clone().filter(|new| *new != place.code),
        completed: request.completed_percent.filter(|new| *new != instance.completed),
        deleted: request.active.map(|active| !active).filter(|new| *new != instance.deleted),
        ..InstanceEdit::default()
    };
    let named = [
        ("details", edit.details.is_some()),
        ("description", edit.description.is_some()),
        ("priority", edit.priority.is_some()),
        ("case type", edit.case_type.is_some()),
        ("initiator", edit.initiator.is_some()),
        ("location", edit.location_name.is_some() || edit.location_id.is_some() || edit.location_code.is_some()),
        ("completed percent", edit.completed.is_some()),
        ("active", edit.deleted.is_some()),
    ];
    let named = named.into_iter().filter_map(|(name, changed)| changed.then_some(name)).collect();
    Ok((edit, named))
}

/// The initiator as the request makes it: the parts that it leaves out stay.
fn initiator(request: &EditCase, instance: &Instance) -> Result<Option<Initiator>, EngineError> {
    if !request.names_initiator() {
        return Ok(None);
    }
    let known = instance.initiator.as_ref();
    let id = request.initiator_id.clone().or_else(|| known.map(|known| known.id.clone()));
    let id = id.ok_or_else(|| form("the case has no initiator; name one with initiatorId".into()))?;
    // The names are the person's.
    let known = known.filter(|known| known.id == id);
    let name = |given: &Option<String>, known: Option<&Option<String>>| given.clone().or_else(|| known?.clone());
    Ok(Some(Initiator {
        kind: request.initiator_type.or(known.map(|known| known.kind)).unwrap_or_default(),
        first_name: name(&request.first_name, known.map(|known| &known.first_name)),
        last_name: name(&request.last_name, known.map(|known| &known.last_name)),
        id,
    }))
}
