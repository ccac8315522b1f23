//! A person's decisions on an incident: accept, update, resolve, close, reopen, cancel, reject. Each changes the record in the store; the
//! detector finds the change, and the outgoing table says what travels. An edit made with any other tool travels alike.

use std::time::Duration;

use uuid::Uuid;

use super::{Engine, EngineError};
use crate::case::text::line;
use crate::case::{
    Action, Alias, Case, CaseAction, CaseId, CaseLink, Comment, CompletionCode, Edit, Ending, Field, HandOver,
    Incident, IncidentId, Person, Phase, PhaseGroup, Reference, Standing, Submission, Towards, reopened_remark,
};
use crate::protocol::ProblemType;
use crate::protocol::operator::{AcceptRequest, WorkRequest};
use crate::store::{ContactQuery, Write, Writer, Written};

/// Rounds of the daemon, a peer's operation perhaps, changing the record at the same moment.
pub(super) const TRIES: usize = 5;

/// What a person does with an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Update,
    Resolve,
    Close,
    Reopen,
    /// What was submitted is not wanted any more (C-08).
    Cancel,
    Reject,
}

impl Decision {
    /// Whichever command a code comes with: one that withdraws or refuses a shared case cancels or rejects it (C-08, C-09).
    fn meant(self, incident: &Incident, request: &WorkRequest) -> Self {
        let is_shared = incident.references.iter().any(|one| one.standing != Standing::Rejected);
        let code = request.completion_code.as_deref().and_then(CompletionCode::parse);
        match (self, code.filter(|_| is_shared)) {
            (Decision::Resolve | Decision::Close, Some(CompletionCode::WithdrawnByUser)) => Decision::Cancel,
            (Decision::Resolve | Decision::Close, Some(CompletionCode::RequestRejected)) => Decision::Reject,
            _ => self,
        }
    }
}

impl Engine {
    /// Takes a client's case: its ID comes from the request or from the template. Returns the case.
    pub async fn accept(&self, id: IncidentId, request: &AcceptRequest) -> Result<Case, EngineError> {
        for _ in 1..TRIES {
            match self.accept_once(id, request).await {
                Err(fault) if fault.is_busy() => {}
                other => return other,
            }
        }
        self.accept_once(id, request).await
    }

    async fn accept_once(&self, id: IncidentId, request: &AcceptRequest) -> Result<Case, EngineError> {
        let incident = self.incident(id).await?;
        let client = client_reference(&incident)?;
        if let Some(case) = &incident.case {
            return Err(action(format!("incident {id} was accepted already, as case {}", case.id)));
        }
        if !client.standing.is_open() {
            return Err(action(format!("the exchange is {}", client.standing.as_str())));
        }
        let case = self.case_taken(&incident, client, request).await?;
        let edit = Edit {
            case: Some(case.clone()),
            comments: self.comment(&request.comment, &request.operator)?,
            ..Edit::default()
        };
        let detail = opened_as(&case);
        let write = self.edited(&incident, edit, Action::CaseAccepted, &request.operator, detail);
        self.write_decision(Write { hand_over: Some(HandOver::Approved), ..write }).await?;
        Ok(case)
    }

    /// The case that a client's incident becomes with whoever takes it.
    async fn case_taken(
        &self,
        incident: &Incident,
        client: &Reference,
        request: &AcceptRequest,
    ) -> Result<Case, EngineError> {
        let mut case = self.filled_template(incident.id, &client.peer)?;
        if let Some(given) = &request.case_id {
            case.id = given.parse::<CaseId>().map_err(|fault| form(format!("case ID {fault}")))?;
            case.link = match request.case_link {
                Some(_) => None,
                None => self.case_template().link_of(&case.id, incident.id, &client.peer).map_err(|fault| {
                    form(format!(
                        "with this case ID the link_template of the settings gives no link: {fault}; give --case-link"
                    ))
                })?,
            };
        }
        if let Some(given) = &request.case_link {
            case.link = Some(given.parse::<CaseLink>().map_err(|fault| form(format!("case link {fault}")))?);
        }
        if let Some(status) = &request.status {
            case.status = status.clone();
        }
        case.contact = self.taker(incident, request.contact.as_ref()).await?;
        case.check().map_err(|fault| form(fault.to_string()))?;
        Ok(case)
    }

    /// The case that a client's incident becomes with whoever begins to work on it here: none where somebody has taken
    /// it, or where it was handed on and becomes the upstream's.
    pub(super) async fn case_begun(&self, incident: &Incident) -> Result<Option<Case>, EngineError> {
        if !is_to_be_taken(incident) {
            return Ok(None);
        }
        self.case_taken(incident, client_reference(incident)?, &AcceptRequest::default()).await.map(Some)
    }

    /// The write that begins the work on a case, with which a client's is taken as by [`accept`](Self::accept).
    pub(super) fn taking(&self, case: Option<Case>, write: Write, operator: &str) -> Write {
        let Some(case) = case else { return write };
        let mut history = vec![self.line(write.incident, Action::CaseAccepted, operator, opened_as(&case))];
        history.extend(write.history);
        let edit = Edit { case: Some(case), ..write.edit };
        Write { edit, history, hand_over: Some(HandOver::Approved), ..write }
    }

    /// Changes a record as one of the decisions says.
    pub async fn decide_on(
        &self,
        id: IncidentId,
        decision: Decision,
        request: &WorkRequest,
    ) -> Result<(), EngineError> {
        for _ in 1..TRIES {
            match self.decide_once(id, decision, None, request).await {
                Err(fault) if fault.is_busy() => {}
                other => return other,
            }
        }
        self.decide_once(id, decision, None, request).await
    }

    /// `asked` is the action of case management that the decision was made with.
    pub(super) async fn decide_once(
        &self,
        id: IncidentId,
        decision: Decision,
        asked: Option<CaseAction>,
        request: &WorkRequest,
    ) -> Result<(), EngineError> {
        let incident = self.incident(id).await?;
        check_revision(&incident, request.revision)?;
        if let Some(asked) = asked {
            asked.leads_to(incident.state()).map_err(|illegal| action(illegal.to_string()))?;
        }
        if decision == Decision::Cancel && asked.is_none() && !self.is_submitted(&incident).await? {
            return Err(action(format!("incident {id} was submitted to nobody; there is nothing to cancel")));
        }
        let decision = decision.meant(&incident, request);
        let ends = matches!(decision, Decision::Resolve | Decision::Close);
        let incident = if ends && is_untaken(&incident) {
            // Who solves a case here has taken it; what is refused of it changes nothing.
            let case = Some(self.filled_template(id, &client_reference(&incident)?.peer)?);
            self.edit_for(&Incident { case, ..incident }, decision, request)?;
            let taken = AcceptRequest { operator: request.operator.clone(), ..AcceptRequest::default() };
            self.accept_once(id, &taken).await?;
            self.incident(id).await?
        } else {
            incident
        };
        let edit = self.edit_for(&incident, decision, request)?;
        if decision == Decision::Reopen && self.stays_closed(&incident).await? {
            return self.submit_anew(&incident, edit, &request.operator).await;
        }
        if edit == Edit::default() {
            let of_the_case = request.status.is_some() || request.contact.is_some();
            return Err(form(match of_the_case && incident.client.is_none() {
                true => "the status of a case, and who has it, is told by the site that it was submitted to".into(),
                false => "nothing to change was given".into(),
            }));
        }
        let detail = match decision {
            Decision::Update => "updated",
            Decision::Resolve => "resolved",
            Decision::Close => "closed",
            Decision::Reopen => "reopened",
            Decision::Cancel => "canceled",
            Decision::Reject => "rejected",
        };
        let write = self.edited(&incident, edit, Action::Edited, &request.operator, detail.into());
        let hand_over = (decision == Decision::Reject).then_some(HandOver::Rejected);
        self.write_decision(Write { hand_over, person: request.person.clone(), ..write }).await
    }

    /// Who has taken a case here: who is named, else whom it was for, where that is somebody of this site's own. What
    /// one peer told of its people is no other's affair.
    async fn taker(&self, incident: &Incident, named: Option<&Person>) -> Result<Option<Person>, EngineError> {
        let address = named.map(|person| &person.address).or(incident.form.recipient.as_ref());
        let Some(address) = address.filter(|_| named.is_none_or(|person| person.names().is_none())) else {
            return Ok(named.cloned());
        };
        let query = ContactQuery { address: Some(address.clone()), temporary: Some(false), after: 0, limit: 1 };
        let known = self.store().contacts(&query).await?.into_iter().find(|one| one.origin.is_none());
        Ok(known.map(|one| one.contact.person()).or_else(|| named.cloned()))
    }

    pub(super) fn edit_for(
        &self,
        incident: &Incident,
        decision: Decision,
        request: &WorkRequest,
    ) -> Result<Edit, EngineError> {
        let ours = incident.references.iter().any(|reference| reference.towards == Towards::Client);
        if decision == Decision::Reject && !ours {
            return Err(action(format!("incident {} is no client's; cancel it, or close it", incident.id)));
        }
        if matches!(decision, Decision::Reopen | Decision::Update) {
            check_not_given_back(incident)?;
        }
        if ours && incident.case.is_none() && matches!(decision, Decision::Resolve | Decision::Close) {
            return Err(action(format!("incident {} has no case yet; accept it first", incident.id)));
        }
        let of_the_case = request.status.is_some() || request.contact.is_some();
        if ours && incident.case.is_none() && decision == Decision::Update && of_the_case {
            let id = incident.id;
            return Err(action(format!(
                "incident {id} is not accepted yet, so there is no case to tell of; `casebridge accept {id}` first"
            )));
        }
        let tells = request.solution.is_some()
            || request.completion_code.is_some()
            || request.expected_resolution.is_some()
            || request.status.is_some()
            || request.contact.is_some();
        let is_shared = incident.references.iter().any(|one| one.standing != Standing::Rejected);
        if decision == Decision::Update && tells && is_shared && Ending::of(&incident.work).is_some() {
            let id = incident.id;
            return Err(action(format!("incident {id} was canceled, and nothing more of it is told; reopen it first")));
        }
        let code = match &request.completion_code {
            Some(text) => Some(CompletionCode::parse(text).ok_or_else(|| {
                let known: Vec<_> = CompletionCode::ALL.iter().map(|code| code.as_str()).collect();
                form(format!("completion code must be one of {}", known.join(", ")))
            })?),
            None => None,
        };
        if let Some(solution) = &request.solution {
            crate::case::text::paragraph(solution, 65_536).map_err(|fault| form(format!("solution {fault}")))?;
        }
        if let Some(expected) = request.expected_resolution {
            crate::case::text::instant(expected).map_err(|fault| form(format!("expected resolution {fault}")))?;
        }
        let (phase, status, ending) = match decision {
            Decision::Update => (None, None, None),
            Decision::Resolve => (Some(Phase::Review), Some(Case::RESOLVED), Some(CompletionCode::Fulfilled)),
            Decision::Close => (Some(Phase::Close), Some(Case::CLOSED), Some(CompletionCode::Fulfilled)),
            Decision::Reopen => (Some(Phase::InitialSupport), Some(Case::REOPENED), None),
            Decision::Cancel => (Some(Phase::Close), Some(Case::CANCELED), Some(CompletionCode::WithdrawnByUser)),
            Decision::Reject => (Some(Phase::Close), Some(Case::REJECTED), Some(CompletionCode::RequestRejected)),
        };
        let closed = incident.work.phase == Phase::Close;
        if closed && !matches!(decision, Decision::Update | Decision::Reopen) {
            return Err(action(format!("incident {} is closed already", incident.id)));
        }
        if decision == Decision::Reopen && incident.work.phase.group() == PhaseGroup::Resolution {
            return Err(action(format!("incident {} is open", incident.id)));
        }
        let code = match decision {
            Decision::Reject | Decision::Cancel => ending,
            // A code that was left from before a reopening ends nothing by itself.
            _ => code
                .or_else(|| ending.filter(|_| incident.work.completion_code.is_none_or(CompletionCode::ends_at_once))),
        };
        let reopens = decision == Decision::Reopen;
        let mut comments = self.comment(&request.comment, &request.operator)?;
        if let Some(solution) = incident.work.solution.as_ref().filter(|_| reopens) {
            let kept = self.comment(&Some(reopened_remark(solution)), &request.operator)?;
            comments.extend(kept.into_iter().map(|comment| Comment { internal: true, ..comment }));
        }
        let edit = Edit {
            phase,
            solution: request.solution.clone().map(Some).or(reopens.then_some(None)),
            completion_code: code.map(Some).or(reopens.then_some(None)),
            expected_resolution: request.expected_resolution.map(Some),
            case: self.told_case(incident, ours, request.status.as_deref().or(status), request.contact.as_ref())?,
            comments,
            ..Edit::default()
        };
        self.check_ownership(incident, decision, &edit)?;
        Ok(edit)
    }

    /// The case as the settings fill it in for a client's incident.
    pub(super) fn filled_template(&self, id: IncidentId, client: &Alias) -> Result<Case, EngineError> {
        let filled = self.case_template().fill(id, client);
        filled.map_err(|fault| action(format!("the case template of the settings gives no case ID or link: {fault}")))
    }

    /// Whether the upstream has it, or is to have it: an exchange begins before the store knows of it.
    async fn is_submitted(&self, incident: &Incident) -> Result<bool, EngineError> {
        let upward: Vec<Standing> =
            incident.references.iter().filter(|one| one.towards == Towards::Upstream).map(|one| one.standing).collect();
        if !upward.is_empty() {
            return Ok(upward.iter().any(|standing| *standing != Standing::Rejected));
        }
        let Some(key) = super::settle::upward_key(&self.scene(), incident) else { return Ok(false) };
        if incident.submission == Submission::Requested {
            return Ok(true);
        }
        Ok(self.state().read(move |view| view.exchange(&key)).await?.is_some())
    }

    /// What another site has in hand is changed there; notes flow regardless (C-48).
    pub(super) fn check_ownership(
        &self,
        incident: &Incident,
        decision: Decision,
        edit: &Edit,
    ) -> Result<(), EngineError> {
        // Whoever submitted a case may withdraw it, and whoever it was submitted to may refuse it, at any time.
        if matches!(decision, Decision::Cancel | Decision::Reject) {
            return Ok(());
        }
        let settings = self.settings();
        let reopens = decision == Decision::Reopen;
        let changes = |field: &Field| match field {
            Field::Phase => edit.phase.is_some(),
            Field::Solution => edit.solution.is_some() && !reopens,
            Field::CompletionCode => edit.completion_code.is_some() && !reopens,
            Field::ExpectedResolution => edit.expected_resolution.is_some(),
        };
        for one in incident.references.iter().filter(|one| one.standing.is_open() || reopens) {
            let phase = incident.work.phase.group();
            let free = |field: Field| settings.exchange.ownership.may_change(field, phase, one.holder, one.towards);
            if let Some(field) = Field::ALL.into_iter().filter(changes).find(|field| !free(*field)) {
                return Err(ProblemType::NotOwner
                    .with(format!(
                        "{} of incident {} is {}'s to change; add a comment, or take the case back with `casebridge take {}`",
                        field.as_str(),
                        incident.id,
                        one.peer,
                        incident.id
                    ))
                    .into());
            }
        }
        Ok(())
    }

    /// The case with another status, or in the hands of somebody else, where the case is ours to speak of.
    fn told_case(
        &self,
        incident: &Incident,
        ours: bool,
        status: Option<&str>,
        contact: Option<&Person>,
    ) -> Result<Option<Case>, EngineError> {
        if let Some(status) = status {
            line(status, 64).map_err(|fault| form(format!("status {fault}")))?;
        }
        let Some(known) = incident.case.as_ref().filter(|_| ours) else { return Ok(None) };
        let case = Case {
            status: status.unwrap_or(&known.status).to_owned(),
            contact: contact.or(known.contact.as_ref()).cloned(),
            ..known.clone()
        };
        case.check().map_err(|fault| form(fault.to_string()))?;
        Ok(Some(case).filter(|case| case != known))
    }

    pub(super) fn comment(&self, text: &Option<String>, operator: &str) -> Result<Vec<Comment>, EngineError> {
        let Some(text) = text else { return Ok(Vec::new()) };
        let comment = Comment {
            id: Uuid::now_v7(),
            author: operator.to_owned(),
            written_at: self.now(),
            text: text.clone(),
            ..Comment::default()
        };
        comment.check().map_err(|fault| form(format!("comment {fault}")))?;
        Ok(vec![comment])
    }

    pub(super) async fn edit(
        &self,
        incident: &Incident,
        edit: Edit,
        action: Action,
        operator: &str,
        detail: String,
    ) -> Result<(), EngineError> {
        self.write_decision(self.edited(incident, edit, action, operator, detail)).await
    }

    /// The write that a person's edit is.
    pub(super) fn edited(
        &self,
        incident: &Incident,
        edit: Edit,
        action: Action,
        operator: &str,
        detail: String,
    ) -> Write {
        // What was decided on how the record stands counts only while it stands so; a remark counts always.
        let Edit { phase, solution, completion_code, expected_resolution, case, state, .. } = &edit;
        let decided = phase.is_some()
            || state.is_some()
            || solution.is_some()
            || completion_code.is_some()
            || expected_resolution.is_some()
            || case.is_some();
        Write {
            expected_revision: decided.then_some(incident.revision),
            edit: Edit { since: Some(self.now()), ..edit },
            history: vec![self.line(incident.id, action, operator, detail)],
            ..Write::to(incident.id, Writer::Operator)
        }
    }

    /// Writes what was decided on the record as it stood, and has it told at once: what is decided next is told for itself,
    /// each status in its turn.
    pub(super) async fn write_decision(&self, write: Write) -> Result<(), EngineError> {
        /// With much to detect before it, the decision is told when its turn comes.
        const WITHIN: Duration = Duration::from_secs(2);
        match self.write_one(write).await? {
            Written::Done => {
                if !matches!(tokio::time::timeout(WITHIN, self.detect_all()).await, Ok(Ok(()))) {
                    self.0.changed.notify_one();
                }
                Ok(())
            }
            _ => Err(ProblemType::Busy.with("the record changed at the same moment; look at it and try again").into()),
        }
    }
}

/// What was given back to its client is over here: nothing of it travels, and the client submits it anew (C-18).
pub(super) fn check_not_given_back(incident: &Incident) -> Result<(), EngineError> {
    let mut with_clients = incident.references.iter().filter(|one| one.towards == Towards::Client).peekable();
    if with_clients.peek().is_some() && with_clients.all(|one| one.standing == Standing::Rejected) {
        return Err(action(format!("incident {} was rejected; its client submits it anew", incident.id)));
    }
    Ok(())
}

/// Whether it is a client's, and nobody here has decided about it yet.
fn is_untaken(incident: &Incident) -> bool {
    let open = |one: &Reference| one.towards == Towards::Client && one.standing.is_open();
    incident.case.is_none() && incident.references.iter().any(open)
}

/// Whether whoever begins to work on it takes it: what was handed on, or may be by a policy, becomes the case of the
/// site above.
pub(super) fn is_to_be_taken(incident: &Incident) -> bool {
    let above = |one: &Reference| one.towards == Towards::Upstream && one.standing != Standing::Rejected;
    let stays = incident.submission == Submission::Held && !incident.references.iter().any(above);
    is_untaken(incident) && stays
}

/// How the history tells that a client's incident became a case.
fn opened_as(case: &Case) -> String {
    format!("case {} opened", case.id)
}

pub(super) fn client_reference(incident: &Incident) -> Result<&Reference, EngineError> {
    incident.references.iter().find(|reference| reference.towards == Towards::Client).ok_or_else(|| {
        action(format!("incident {} was not submitted by a client; there is nothing to accept", incident.id))
    })
}

pub(super) fn action(detail: String) -> EngineError {
    ProblemType::Action.with(detail).into()
}

pub(super) fn form(detail: String) -> EngineError {
    ProblemType::Form.with(detail).into()
}

/// Refuses what was decided on a case that moved on since.
pub(super) fn check_revision(incident: &Incident, revision: Option<i64>) -> Result<(), EngineError> {
    match revision {
        Some(revision) if incident.revision != revision => Err(stale(incident.revision, revision)),
        _ => Ok(()),
    }
}

pub(super) fn stale(found: i64, given: i64) -> EngineError {
    ProblemType::Stale
        .with(format!("it is at revision {found}, and revision {given} was given; look at it again"))
        .into()
}
