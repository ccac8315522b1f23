//! A case without an incident: a person opens it by hand, and it takes the same path as one that a device reported.

use uuid::Uuid;

use super::{Engine, EngineError, caller};
use crate::case::{Deposit, Event, Form, IncidentId, Kind};
use crate::protocol::operator::OpenRequest;
use crate::protocol::{Problem, ProblemType};

impl Engine {
    /// Stores the incident under a name of its own, held or submitted at once.
    pub async fn open_by_hand(&self, request: OpenRequest) -> Result<IncidentId, EngineError> {
        let deposit = deposit(&request)?;
        self.open_deposit(deposit, request.submit, &request.operator).await
    }

    /// The same with what a deposit can say besides.
    pub(super) async fn open_deposit(
        &self,
        deposit: Deposit,
        submit: bool,
        operator: &str,
    ) -> Result<IncidentId, EngineError> {
        if submit {
            if self.settings().upstream.is_none() {
                return Err(ProblemType::NotConnected.with("this site has no [upstream] in its settings").into());
            }
            if !deposit.event.kind.is_submittable() {
                let reason = format!("an incident of kind {} never becomes a case", deposit.event.kind.as_str());
                return Err(ProblemType::NotSubmittable.with(reason).into());
            }
            let form = deposit.form.or(&self.settings().submit.defaults);
            self.check_form(&form).map_err(|fault| EngineError::from(ProblemType::Form.with(fault.to_string())))?;
        }
        let deposit = Deposit { opened_by: Some(caller::who(operator)), ..deposit };
        let deposited = self.deposit(vec![deposit]).await?;
        let one = deposited.first().ok_or_else(|| ProblemType::Internal.with("nothing was stored"))?;
        if submit {
            self.submit(one.incident, Form::default(), operator).await?;
        }
        Ok(one.incident)
    }
}

pub(super) fn deposit(request: &OpenRequest) -> Result<Deposit, Problem> {
    let kind = match &request.kind {
        Some(text) => Kind::parse(text).ok_or_else(|| {
            let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
            ProblemType::Form.with(format!("kind must be one of {}", known.join(", ")))
        })?,
        None => Kind::OnDemand,
    };
    let mut event = Event {
        host_event_id: format!("manual-{}", Uuid::now_v7()),
        kind,
        synopsis: request.synopsis.clone(),
        description: request.description.clone(),
        priority: request.priority,
        device: request.device.clone(),
        serial: request.serial.clone(),
        ..Event::default()
    };
    if let Some(due) = request.due {
        event.manifest.insert("due".into(), due.to_string());
    }
    event.check().map_err(|fault| ProblemType::Form.with(fault.to_string()))?;
    let form = Form { priority: request.priority, comment: request.comment.clone(), ..Form::default() };
    form.check().map_err(|fault| ProblemType::Form.with(fault.to_string()))?;
    Ok(Deposit { event, form, hold: true, ..Deposit::default() })
}
