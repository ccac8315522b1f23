//! A client's Create becomes an incident here: in the store first, once for its exchange, then in state. When the store
//! is slow, the request itself is made durable and answered "received".

use serde_json::value::RawValue;
use tracing::{info, warn};

use super::apply::digest;
use super::{Engine, EngineError, settle};
use crate::case::policy::first_match;
use crate::case::{
    Alias, CaseTemplate, ContentDigest, Create, Form, Incident, IncidentId, PolicyAction, Submission, Work,
};
use crate::protocol::{Outcome, ProblemType};
use crate::state::ExchangeKey;
use crate::store::{Open, Opened, StoreError};
use crate::telemetry::{CrashPoint, crash_point, discreet_name};

pub(super) type Request = (usize, ExchangeKey, Box<Create>, Box<RawValue>);

impl Engine {
    pub(super) async fn open(
        &self,
        client: &Alias,
        creates: Vec<Request>,
    ) -> Result<Vec<(usize, Outcome)>, EngineError> {
        let (links, creates): (Vec<Request>, Vec<Request>) =
            creates.into_iter().partition(|(_, _, create, _)| create.form.link.is_some());
        let mut outcomes = match links.is_empty() {
            true => Vec::new(),
            false => self.open_linked(client, links).await?,
        };
        if !creates.is_empty() {
            outcomes.extend(self.open_new(client, creates).await?);
        }
        Ok(outcomes)
    }

    async fn open_new(&self, client: &Alias, creates: Vec<Request>) -> Result<Vec<(usize, Outcome)>, EngineError> {
        let settings = self.settings();
        let answer_within = settings.listen.as_ref().map(|listen| listen.answer_within).unwrap_or_default();
        let opens = creates.iter().map(|(_, key, create, raw)| self.to_open(key, create, raw)).collect();
        let open = async {
            let moved = self.0.between_record_and_shadow.read().await;
            (self.store().open(opens).await, moved)
        };
        // Cancelling does not undo: the store finishes in a task of its own, and opening again finds what it made.
        // What a person changes as soon as the record stands is compared once its exchange is known.
        let (opened, _moved) = match tokio::time::timeout(answer_within, open).await {
            Ok((Ok(opened), moved)) => (opened, moved),
            Ok((Err(StoreError::Newer { found, known }), _)) => return Err(StoreError::Newer { found, known }.into()),
            Ok((Err(fault), _)) => return self.keep(creates, &fault.to_string()).await,
            Err(_) => return self.keep(creates, "the incident store takes longer than `answer_within`").await,
        };
        crash_point(CrashPoint::IncidentOpened);
        let outcomes = creates
            .iter()
            .zip(&opened)
            .map(|((index, ..), opened)| {
                let outcome = match opened.incident.id.to_string().parse() {
                    Ok(transaction) => Outcome::Applied { transaction },
                    Err(_) => Outcome::Later { problem: ProblemType::Internal.with("no transaction ID") },
                };
                (*index, outcome)
            })
            .collect();
        self.settle_opened(client, creates, opened).await?;
        Ok(outcomes)
    }

    pub(super) async fn settle_opened(
        &self,
        client: &Alias,
        creates: Vec<Request>,
        opened: Vec<Opened>,
    ) -> Result<(), EngineError> {
        for ((_, key, ..), opened) in creates.iter().zip(&opened).filter(|(_, opened)| opened.new) {
            info!(
                event = "incident_opened",
                peer = %client,
                exchange = %key.exchange,
                incident = opened.incident.id.0,
                transaction = %opened.incident.id,
                case = opened.incident.case.as_ref().map(|case| discreet_name(case.id.as_str())).as_deref(),
                "a client's incident stands in the store"
            );
        }
        let undecided = opened.iter().any(|opened| opened.incident.submission == Submission::Undecided);
        let scene = self.scene();
        let (news, withheld) = self
            .state()
            .transact::<_, EngineError, _>(move |transaction| {
                let (mut news, mut withheld) = (false, Vec::new());
                for ((_, key, _, raw), opened) in creates.iter().zip(&opened) {
                    let (told, parked) = settle::opened(transaction, key, &opened.incident, digest(raw), &scene)?;
                    news |= told;
                    withheld.extend(parked.map(|parked| (key.clone(), opened.incident.id, parked)));
                }
                Ok((news, withheld))
            })
            .await?;
        crash_point(CrashPoint::OpenCommitted);
        if undecided {
            self.0.changed.notify_one();
        }
        if news {
            self.feed(client).notify_waiters();
        }
        self.note_withheld(withheld).await
    }

    /// The requests themselves become durable; `open_received` puts them into the store later.
    async fn keep(&self, creates: Vec<Request>, reason: &str) -> Result<Vec<(usize, Outcome)>, EngineError> {
        warn!(event = "store_slow", operations = creates.len(), reason, "answered \"received\"");
        let outcomes = creates.iter().map(|(index, ..)| (*index, Outcome::Received)).collect();
        let now = self.now();
        self.state()
            .transact::<_, EngineError, _>(move |transaction| {
                creates.into_iter().try_for_each(|(_, key, _, raw)| settle::received(transaction, &key, raw, now))
            })
            .await?;
        crash_point(CrashPoint::ReceivedCommitted);
        self.0.to_open.notify_one();
        Ok(outcomes)
    }

    pub(super) fn to_open(&self, key: &ExchangeKey, create: &Create, raw: &RawValue) -> Open {
        let mut create = create.clone();
        // Whoever hands it on has to be seen by the next site, whatever it calls itself.
        if create.trace_route.last() != Some(&key.peer) {
            create.trace_route.retain(|alias| *alias != key.peer);
            create.trace_route.push(key.peer.clone());
        }
        Open {
            peer: key.peer.clone(),
            exchange: key.exchange,
            sha256: ContentDigest::of(raw.get().as_bytes()),
            accept: self.accept_template(&key.peer, &create),
            submission: self.opened_submission(),
            at: self.now(),
            create,
        }
    }

    /// Where policies may hand it on, the detector asks them; elsewhere a person decides.
    fn opened_submission(&self) -> Submission {
        match self.relays() && !self.settings().case.escalate.is_empty() {
            true => Submission::Undecided,
            false => Submission::Held,
        }
    }

    /// The template, when a policy accepts such an incident without a person.
    fn accept_template(&self, client: &Alias, create: &Create) -> Option<CaseTemplate> {
        let settings = self.settings();
        if settings.case.accept.is_empty() {
            return None;
        }
        let candidate = Incident {
            id: IncidentId(0),
            revision: 0,
            generation: 0,
            group: None,
            client: Some(client.clone()),
            trace_route: Vec::new(),
            created_at: create.created_at,
            event: create.event.clone(),
            submission: Submission::Held,
            assignment: None,
            active: true,
            form: Form::default(),
            work: Work::default(),
            case: None,
            upstream_case: None,
            own_case: Default::default(),
            references: Vec::new(),
            comments: Vec::new(),
            milestones: Vec::new(),
            deadlines: Vec::new(),
            announced: Vec::new(),
        };
        let policy = first_match(&settings.case.accept, &candidate)?;
        (policy.action == PolicyAction::Submit).then(|| self.case_template())
    }

    pub(super) fn case_template(&self) -> CaseTemplate {
        let settings = self.settings();
        CaseTemplate {
            id: settings.case.id_template.clone(),
            link: settings.case.link_template.clone(),
            status: settings.case.opened_status.clone(),
        }
    }
}
