//! The people of a case: who is told of it by mail. They stay at this site.

use tracing::info;

use super::work::{action, form};
use super::{Engine, EngineError, caller};
use crate::case::{Action, HistoryLine, IncidentId, MailAddress, Party};
use crate::protocol::ProblemType;
use crate::protocol::{MailAnswer, MailPage, MailsQuery, PartyRequest};
use crate::store::mail::{MailQuery, MailRow, NewParty, PartyAdded};

impl Engine {
    /// Adds somebody, who is told that the case is open. Who is there already is changed.
    pub async fn add_party(&self, id: IncidentId, request: &PartyRequest) -> Result<Party, EngineError> {
        let Some(mail) = self.settings().mail.clone() else {
            return Err(action("this site sends no mail; add [mail] to its settings".into()));
        };
        let address: MailAddress = request.address.parse().map_err(|_| {
            form(format!("the address {} is none; write it like anna@north.example", shown(&request.address)))
        })?;
        let role = request.role.unwrap_or_default();
        let new = NewParty {
            role,
            name: request.name.trim().to_owned(),
            address: address.clone(),
            language: request.language,
            otherwise: mail.language,
        };
        let mut party = Party {
            id: 0,
            role,
            name: new.name.clone(),
            address,
            language: request.language.unwrap_or(mail.language),
            told_by: None,
        };
        party.check().map_err(|fault| form(fault.to_string()))?;
        let line = self.party_line(id, Action::PartyAdded, &request.operator, &party.address, role.as_str());
        match self.store().add_party(id, new, line).await? {
            PartyAdded::Added(language) => {
                self.0.to_mail.notify_one();
                party.language = language;
                Ok(party)
            }
            PartyAdded::TooMany => Err(action(format!("a case has at most {} people; remove one first", Party::LIMIT))),
            PartyAdded::Gone => Err(ProblemType::NotFound.with(format!("there is no incident {id}")).into()),
        }
    }

    /// Takes somebody out of a case; what waits for them is not sent any more.
    pub async fn remove_party(&self, id: IncidentId, request: &PartyRequest) -> Result<(), EngineError> {
        let unknown = || {
            let detail =
                format!("{} is no party of incident {id}; see `casebridge party list {id}`", shown(&request.address));
            EngineError::from(ProblemType::NotFound.with(detail))
        };
        let address: MailAddress = request.address.parse().map_err(|_| unknown())?;
        let line = self.party_line(id, Action::PartyRemoved, &request.operator, &address, "party");
        match self.store().remove_party(id, &address, line).await? {
            true => Ok(()),
            false => Err(unknown()),
        }
    }

    pub async fn parties(&self, id: IncidentId) -> Result<Vec<Party>, EngineError> {
        self.incident(id).await?;
        Ok(self.store().parties(id).await?)
    }

    /// The mails, the newest first.
    pub async fn mails(&self, query: &MailsQuery) -> Result<MailPage, EngineError> {
        const LIMIT: usize = 1000;
        const STATES: [&str; 4] = ["waiting", "sent", "refused", "withdrawn"];
        if let Some(state) = query.state.as_deref().filter(|state| !STATES.contains(state)) {
            return Err(form(format!("{} is no state of a mail; they are {}", shown(state), STATES.join(", "))));
        }
        let query = MailQuery {
            incident: query.incident.map(IncidentId),
            state: query.state.clone(),
            limit: query.limit.unwrap_or(100).clamp(1, LIMIT),
        };
        let mails = self.store().mails(&query).await?.into_iter().map(answer).collect();
        Ok(MailPage { mails })
    }

    /// Has what the mail server refused tried again, one mail or all of them, when its reason is gone. Returns how many.
    pub async fn retry_mails(&self, mail: Option<i64>, operator: &str) -> Result<u64, EngineError> {
        let rearmed = self.store().retry_mails(mail, &caller::who(operator), self.now()).await?;
        if let (0, Some(mail)) = (rearmed, mail) {
            let detail =
                format!("no mail {mail} to somebody of a case was refused; see `casebridge mails --state refused`");
            return Err(ProblemType::NotFound.with(detail).into());
        }
        info!(event = "mails_retried", mails = rearmed, "what was refused is tried again");
        self.0.to_mail.notify_one();
        Ok(rearmed)
    }

    fn party_line(
        &self,
        incident: IncidentId,
        what: Action,
        operator: &str,
        address: &MailAddress,
        role: &str,
    ) -> HistoryLine {
        self.line(incident, what, operator, format!("{role} {}", address.as_str()))
    }
}

fn answer(row: MailRow) -> MailAnswer {
    MailAnswer {
        mail: row.id,
        incident: row.incident.map(|incident| incident.0),
        notice: row.notice,
        address: row.address,
        state: row.state,
        made_at: row.made_at,
        attempts: row.attempts,
        next_attempt: row.next_attempt,
        settled_at: row.settled_at,
        last_error: row.last_error,
    }
}

fn shown(text: &str) -> String {
    format!("\"{}\"", crate::case::text::shown(text, 80))
}
