//! A person submits an incident, hands a client's on to the site above, or saves the form for later
//! . All are changes of the record; the detector does the rest.

use tracing::info;

use super::{Engine, EngineError, caller, settle};
use crate::case::{
    Action, Edit, Form, FormFault, HistoryLine, Incident, IncidentId, Phase, Standing, Submission, Towards,
};
use crate::protocol::ProblemType;
use crate::state::ExchangeRecord;
use crate::store::{Write, Writer, Written};
use crate::telemetry::discreet_name;

/// Rounds of somebody else, the detector perhaps, changing the record at the same moment.
const TRIES: usize = 5;

/// How the last hand-over ended is no news of the next one.
pub(super) fn anew() -> Edit {
    Edit { phase: Some(Phase::InitialSupport), solution: Some(None), completion_code: Some(None), ..Edit::default() }
}

impl Engine {
    /// Submits an incident, once: a second time is refused. What `form` leaves out comes from the saved draft and
    /// the settings.
    pub async fn submit(&self, id: IncidentId, form: Form, operator: &str) -> Result<(), EngineError> {
        self.hand_over(id, form, operator, Action::Submitted).await
    }

    /// Hands a client's incident on to the site above, once. What `form` leaves out comes from the client's form and
    /// the settings.
    pub async fn escalate(&self, id: IncidentId, form: Form, operator: &str) -> Result<(), EngineError> {
        self.hand_over(id, form, operator, Action::Escalated).await
    }

    async fn hand_over(&self, id: IncidentId, form: Form, operator: &str, action: Action) -> Result<(), EngineError> {
        let settings = self.settings();
        let of_the_client =
            !form.cc.is_empty() || form.tracking_number.is_some() || form.site_id.is_some() || form.contact.is_some();
        if action == Action::Escalated && of_the_client && self.hides_clients() {
            let reason = "with upstream.hide_clients, CC, tracking number and site ID come from [submit.defaults], and \
                          no contact goes up";
            return Err(ProblemType::Form.with(reason).into());
        }
        if settings.upstream.is_none() {
            return Err(ProblemType::NotConnected
                .with("this site has no [upstream] in its settings; the incident stays as it is")
                .into());
        }
        for _ in 0..TRIES {
            let incident = self.incident(id).await?;
            let again = self.refuse_twice(&incident, true).await?;
            let for_client = action == Action::Escalated;
            check_origin(&incident, for_client)
                .and_then(|()| self.check_submittable(&incident))
                .map_err(|reason| EngineError::from(ProblemType::NotSubmittable.with(reason)))?;
            // Whom the client meant is a person of ours.
            let recipient = incident.form.recipient.clone().filter(|_| !for_client);
            let known = Form { recipient, ..incident.form.clone() };
            let form = form.or(&known).or(&settings.submit.defaults);
            self.check_form(&form).map_err(|fault| EngineError::from(ProblemType::Form.with(fault.to_string())))?;
            let detail = match &form.link {
                Some(to) => format!("{} by hand, to be linked to {to}", action.as_str()),
                None => format!("{} by hand", action.as_str()),
            };
            let write = Write {
                expected_revision: Some(incident.revision),
                submission: Some(Submission::Requested),
                form: Some(form),
                generation: again.then_some(incident.generation + 1),
                edit: if again { anew() } else { Edit::default() },
                history: vec![self.line(id, action, operator, detail)],
                ..Write::to(id, Writer::Operator)
            };
            if self.write_one(write).await? == Written::Done {
                self.0.changed.notify_one();
                return Ok(());
            }
        }
        Err(ProblemType::Busy.with("the incident keeps changing; try again").into())
    }

    /// Keeps a form for the later submission; nothing is sent.
    pub async fn save_draft(&self, id: IncidentId, form: Form, operator: &str) -> Result<(), EngineError> {
        form.check().map_err(|fault| EngineError::from(ProblemType::Form.with(fault.to_string())))?;
        for _ in 0..TRIES {
            let incident = self.incident(id).await?;
            self.refuse_twice(&incident, false).await?;
            let write = Write {
                expected_revision: Some(incident.revision),
                submission: Some(Submission::Draft),
                form: Some(form.or(&incident.form)),
                history: vec![self.line(id, Action::DraftSaved, operator, "form saved".into())],
                ..Write::to(id, Writer::Operator)
            };
            if self.write_one(write).await? == Written::Done {
                return Ok(());
            }
        }
        Err(ProblemType::Busy.with("the incident keeps changing; try again").into())
    }

    /// Whether it is submitted anew, after a Reject; an error when it is submitted already. A Create that the upstream
    /// refused may be `corrected`.
    async fn refuse_twice(&self, incident: &Incident, corrected: bool) -> Result<bool, EngineError> {
        let scene = self.scene();
        let (key, present) = (settle::upward_key(&scene, incident), settle::present(&scene, incident));
        let twice = |how: String| {
            let reason = format!("incident {} was already submitted{how}", incident.id);
            Err(ProblemType::AlreadySubmitted.with(reason).into())
        };
        let requested = incident.submission == Submission::Requested;
        if let Some(reference) = present {
            return match reference.standing {
                Standing::Rejected => Ok(true),
                standing => twice(format!(" to {} and is {}", reference.peer, standing.as_str())),
            };
        }
        // The record learns of a policy's submission when the upstream has taken it.
        let begun = match key {
            Some(key) => self.state().read(move |view| view.exchange(&key)).await?,
            None => None,
        };
        match begun {
            Some(record) if corrected && settle::is_untaken(&record) => Ok(false),
            Some(ExchangeRecord { submitted_by: Some(by), .. }) => {
                twice(format!(" by policy \"{}\" and is on its way", by.policy))
            }
            None if !requested => {
                Ok(incident.references.iter().any(|reference| reference.towards == Towards::Upstream))
            }
            _ => twice(" and is on its way".into()),
        }
    }

    /// Whether the record itself can become a case; the reason is a sentence for people.
    pub(super) fn check_submittable(&self, incident: &Incident) -> Result<(), String> {
        if !incident.event.kind.is_submittable() {
            return Err(format!("an incident of kind {} never becomes a case", incident.event.kind.as_str()));
        }
        incident.event.check().map_err(|fault| fault.to_string())
    }

    pub(super) fn check_form(&self, form: &Form) -> Result<(), FormFault> {
        form.check()?;
        if self.settings().submit.require_site_id && form.site_id.is_none() {
            return Err(FormFault::SiteIdMissing);
        }
        Ok(())
    }

    /// The incident as it stands now.
    pub(super) async fn incident(&self, id: IncidentId) -> Result<Incident, EngineError> {
        let loaded = self.store().load(&[id]).await?;
        if let Some((_, reason)) = loaded.unreadable.first() {
            return Err(ProblemType::Action.with(format!("incident {id} does not read: {reason}")).into());
        }
        loaded
            .incidents
            .into_iter()
            .next()
            .ok_or_else(|| ProblemType::NotFound.with(format!("there is no incident {id}")).into())
    }

    pub(super) async fn write_one(&self, write: Write) -> Result<Written, EngineError> {
        let acted = write.history.iter().find(|line| line.who.starts_with("operator ")).map(|line| line.action.clone());
        let incident = write.incident;
        let written = self.store().write(vec![write]).await?.first().copied().unwrap_or(Written::Gone);
        if let (Written::Done, Some(action)) = (written, acted) {
            // What was done is done, whether or not the log can tell on which case.
            let on = self.incident(incident).await.ok();
            let case = on.as_ref().and_then(|on| on.case.as_ref()).map(|case| discreet_name(case.id.as_str()));
            // A relay's two are told apart by their peer; its client's is the one that people here know.
            let reference = on.as_ref().and_then(|on| {
                let client = on.references.iter().find(|reference| reference.towards == Towards::Client);
                client.or(on.references.first())
            });
            let transaction = reference.and_then(|one| match one.towards {
                Towards::Upstream => one.transaction.as_ref().map(ToString::to_string),
                Towards::Client => Some(incident.to_string()),
            });
            info!(
                event = "operator_action",
                incident = incident.0,
                peer = reference.map(|one| one.peer.as_str()),
                exchange = reference.map(|one| one.exchange.to_string()),
                transaction,
                case = case.as_deref(),
                action,
                "an operator acted"
            );
        }
        Ok(written)
    }

    pub(super) fn line(&self, incident: IncidentId, action: Action, operator: &str, detail: String) -> HistoryLine {
        self.line_by(incident, action, caller::who(operator), detail)
    }

    /// `who` is told as it is.
    pub(super) fn line_by(&self, incident: IncidentId, action: Action, who: String, detail: String) -> HistoryLine {
        HistoryLine { incident, at: self.now(), who, action: action.as_str().into(), exchange: None, seq: None, detail }
    }
}

/// Each of the two verbs is for its own incidents: nobody hands a client's on by mistake.
fn check_origin(incident: &Incident, for_client: bool) -> Result<(), String> {
    let client = incident.references.iter().find(|reference| reference.towards == Towards::Client);
    match (client, for_client) {
        (Some(_), false) => Err("it was opened for a client; `casebridge escalate` hands it on".into()),
        (None, true) => Err("no client submitted it; `casebridge submit` hands it over".into()),
        (Some(client), true) if !client.standing.is_open() => {
            Err(format!("the exchange with {} is {}", client.peer, client.standing.as_str()))
        }
        _ => Ok(()),
    }
}
