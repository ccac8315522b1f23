//! A case that a person opens by hand, with everything that is said about it (M-01). It takes the same path as any other.

use std::collections::BTreeSet;

use crate::case::text::line;
use crate::case::{
    CaseTypeName, Event, IncidentId, Initiator, InitiatorType, Instance, InstanceEdit, Permission, Permissions,
    Priority, UserName,
};
use crate::exchange::work::form;
use crate::exchange::{Engine, EngineError, manual};
use crate::protocol::cases::{CaseAnswer, CreateCase};
use crate::protocol::operator::OpenRequest;

impl Engine {
    /// Opens a case. Its initiator is `person`, unless the request names another; `creator` enters it.
    pub async fn create_case(
        &self,
        request: CreateCase,
        operator: &str,
        [person, creator]: [&UserName; 2],
        may: Permissions,
    ) -> Result<CaseAnswer, EngineError> {
        let instance = instance(&request, person, creator)?;
        instance.check().map_err(|fault| form(fault.to_string()))?;
        line(&request.details, Event::SYNOPSIS_LIMIT).map_err(|fault| form(format!("details {fault}")))?;
        self.check_may_work(instance.assigned_users.iter().flatten())?;
        self.check_type(request.case_type_name.as_ref(), request.priority, may)?;
        if let Some(group) = &request.device_group {
            line(group, GROUP_LIMIT).map_err(|fault| form(format!("deviceGroup {fault}")))?;
        }
        let open = OpenRequest {
            synopsis: request.details,
            description: request.description,
            kind: request.kind,
            priority: request.priority,
            device: request.device,
            serial: request.serial,
            comment: request.comment,
            due: None,
            submit: request.submit,
            operator: operator.to_owned(),
        };
        let mut deposit = manual::deposit(&open)?;
        deposit.group = request.device_group;
        deposit.instance = Some(Box::new(instance));
        let id: IncidentId = self.open_deposit(deposit, open.submit, operator).await?;
        self.case_answer(id).await
    }
}

/// The longest name of a device group, in bytes.
pub(super) const GROUP_LIMIT: usize = 128;

impl Engine {
    /// Refuses a type that the configuration does not have, and a priority that cases of the type cannot have. What there is
    /// instead is told to whoever may view the definitions.
    pub(super) fn check_type(
        &self,
        name: Option<&CaseTypeName>,
        priority: Option<Priority>,
        may: Permissions,
    ) -> Result<(), EngineError> {
        let Some(name) = name else { return Ok(()) };
        let told = may.allow(Permission::DefView);
        let definitions = &self.settings().definitions;
        let Some(case_type) = definitions.case_type(name.as_str()) else {
            let known: Vec<&str> = definitions.case_types.iter().map(|one| one.name.as_str()).collect();
            return Err(form(match known.is_empty() {
                _ if !told => format!("there is no case type {name}"),
                true => format!("there is no case type {name}; the configuration of this site has none"),
                false => format!("there is no case type {name}; there are {}", known.join(", ")),
            }));
        };
        let allowed = &case_type.filter.priorities;
        match priority {
            Some(priority) if !allowed.is_empty() && !allowed.contains(&priority) => {
                if !told {
                    return Err(form(format!("cases of type {name} do not have the priority {}", priority.as_str())));
                }
                let allowed: Vec<&str> = allowed.iter().map(|one| one.as_str()).collect();
                Err(form(format!("cases of type {name} have a priority of {}", allowed.join(", "))))
            }
            _ => Ok(()),
        }
    }
}

fn instance(request: &CreateCase, person: &UserName, creator: &UserName) -> Result<InstanceEdit, EngineError> {
    if request.initiator_type == Some(InitiatorType::Customer) && request.initiator_id.is_none() {
        return Err(form("name the customer with initiatorId; without it whoever calls is the initiator".into()));
    }
    let initiator = Initiator {
        id: request.initiator_id.as_ref().unwrap_or(person).clone(),
        kind: request.initiator_type.unwrap_or_default(),
        first_name: request.first_name.clone(),
        last_name: request.last_name.clone(),
    };
    fn set<T: Ord + Clone>(members: &[T]) -> Result<Option<BTreeSet<T>>, EngineError> {
        if members.len() > Instance::MEMBERS {
            return Err(form(format!(
                "a list has {} members; at most {} are allowed",
                members.len(),
                Instance::MEMBERS
            )));
        }
        Ok((!members.is_empty()).then(|| members.iter().cloned().collect()))
    }
    Ok(InstanceEdit {
        case_type: request.case_type_name.clone().map(Some),
        initiator: Some(initiator),
        created_by: Some(creator.clone()),
        location_name: request.location.clone().map(Some),
        location_id: request.location_id.map(Some),
        location_code: request.location_code.clone().map(Some),
        assigned_users: set(&request.assigned_to_users)?,
        assigned_groups: set(&request.assigned_to_groups)?,
        tags: set(&request.tags)?,
        watchers: set(&request.watchers)?,
        ..InstanceEdit::default()
    })
}
