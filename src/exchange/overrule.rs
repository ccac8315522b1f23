//! A person decides, for one case, which ID, link and status its client sees.

use super::work::{action, check_not_given_back, client_reference, form};
use super::{Engine, EngineError};
use crate::case::{Action, Case, CaseId, CaseLink, Edit, Incident, IncidentId, OwnCase, PhaseGroup};
use crate::protocol::operator::OverrideRequest;
use crate::store::{Write, Writer};

impl Engine {
    /// What is given is shown from now on, whatever the upstream says; `clear` gives the upstream's values back. Returns
    /// the case as the client sees it.
    pub async fn overrule(&self, id: IncidentId, request: &OverrideRequest) -> Result<Case, EngineError> {
        let incident = self.incident(id).await?;
        let client = &client_reference(&incident)?.peer;
        check_not_given_back(&incident)?;
        let Some(shown) = incident.case.clone() else {
            return Err(action(format!("incident {id} has no case yet; accept it with a case ID of its own")));
        };
        let given = request.case_id.is_some() || request.case_link.is_some() || request.status.is_some();
        let (case, own_case, detail) = match (given, request.clear) {
            (true, true) => return Err(form("values to show and `clear` exclude each other".into())),
            (false, false) => return Err(form("nothing to show was given".into())),
            (false, true) if incident.own_case == OwnCase::default() => {
                return Err(action(format!("nothing of the case of incident {id} is overridden")));
            }
            (false, true) => match incident.upstream_case.clone() {
                Some(case) => (case, OwnCase::default(), "the upstream's case is shown again"),
                None => {
                    let case = restored(&incident, shown, self.filled_template(id, client)?);
                    (case, OwnCase::default(), "the case as the settings fill it in is shown again")
                }
            },
            (true, false) => {
                let (case, own_case) = overridden(&incident, shown, request)?;
                (case, own_case, "the case is shown in our own words")
            }
        };
        let write = Write {
            expected_revision: Some(incident.revision),
            edit: Edit { case: Some(case.clone()), ..Edit::default() },
            own_case: Some(own_case),
            history: vec![self.line(id, Action::Overridden, &request.operator, format!("{detail}: {}", case.id))],
            ..Write::to(id, Writer::Operator)
        };
        self.write_decision(write).await?;
        Ok(case)
    }
}

/// The case that no upstream has, with the parts that are ours taken from the template and the state.
fn restored(incident: &Incident, shown: Case, template: Case) -> Case {
    let own = incident.own_case;
    let status = match (own.status, incident.work.phase.group()) {
        (false, _) => shown.status,
        (true, PhaseGroup::Resolution) => template.status,
        (true, PhaseGroup::Validation) => Case::RESOLVED.to_owned(),
        (true, PhaseGroup::Done) => Case::CLOSED.to_owned(),
    };
    let (id, link) = (if own.id { template.id } else { shown.id }, if own.link { template.link } else { shown.link });
    Case { id, link, status, contact: shown.contact }
}

/// The case with the values that are given, and which parts are ours then. An ID of ours never stands with a link to
/// somebody else's case.
fn overridden(incident: &Incident, mut case: Case, request: &OverrideRequest) -> Result<(Case, OwnCase), EngineError> {
    let mut own_case = incident.own_case;
    if let Some(given) = &request.case_id {
        case.id = given.parse::<CaseId>().map_err(|fault| form(format!("case ID {fault}")))?;
        case.link = None;
        (own_case.id, own_case.link) = (true, true);
    }
    if let Some(given) = &request.case_link {
        case.link = Some(given.parse::<CaseLink>().map_err(|fault| form(format!("case link {fault}")))?);
        own_case.link = true;
    }
    if let Some(status) = &request.status {
        case.status = status.clone();
        own_case.status = true;
    }
    case.check().map_err(|fault| form(format!("status {fault}")))?;
    Ok((case, own_case))
}
