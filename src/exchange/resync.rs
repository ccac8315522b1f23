//! One exchange is settled anew, because a person says so: towards the upstream it is read from there; towards a client
//! everything is told once more; a relay does both, in this order.

use super::poll_case::FORGOTTEN;
use super::work::{action, check_not_given_back};
use super::{Engine, EngineError, settle};
use crate::case::text::counted;
use crate::case::{Action, Incident, IncidentId, Leg, Reference, Standing, Texts, Towards, Upward};
use crate::protocol::ProblemType;
use crate::protocol::site::capability;
use crate::state::ExchangeKey;
use crate::store::{Write, Writer};

impl Engine {
    /// Settles the exchanges of one incident anew. Returns what was done, in a sentence.
    pub async fn resync(&self, id: IncidentId, operator: &str) -> Result<String, EngineError> {
        let incident = self.incident(id).await?;
        check_not_given_back(&incident)?;
        let below = incident.references.iter().find(|reference| reference.towards == Towards::Client);
        let done = match below {
            None => self.read_again(id, operator).await?,
            Some(below) if !self.has_case_above(&incident) => self.restate(id, below).await?,
            // What the upstream has comes first: the client is told that too. One of the two is better than none.
            Some(below) => match (self.read_again(id, operator).await, self.restate(id, below).await) {
                (Ok(above), Ok(below)) => format!("{above}; {below}"),
                (Ok(above), Err(fault)) => format!("{above}; not so towards {}: {fault}", below.peer),
                (Err(fault), Ok(below)) => format!("{below}; not so towards the site above: {fault}"),
                (Err(fault), Err(_)) => return Err(fault),
            },
        };
        self.retry_files(Some(id), operator).await?;
        let history = vec![self.line(id, Action::Resynced, operator, done.clone())];
        self.write_one(Write { history, ..Write::to(id, Writer::Bridge) }).await?;
        Ok(done)
    }

    /// Whether the site above works on it, or did, and the settings still name that site.
    fn has_case_above(&self, incident: &Incident) -> bool {
        let Some((alias, _)) = self.upstream() else { return false };
        let counts = |one: &Reference| one.towards == Towards::Upstream && one.standing != Standing::Rejected;
        incident.references.iter().any(|reference| reference.peer == alias && counts(reference))
    }

    async fn read_again(&self, id: IncidentId, operator: &str) -> Result<String, EngineError> {
        let (alias, upstream) = self.upstream_with(capability::RECONCILE).await?;
        let key = ExchangeKey::new(&alias, self.upward_exchange(id, &alias).await?);
        let again = key.clone();
        let record = self.state().read(move |view| view.exchange(&again)).await?;
        if record.as_ref().is_some_and(|one| matches!(one.leg, Leg::Upward { step: Upward::Rejected, .. })) {
            return Err(action(format!("{alias} rejected incident {id}; submit it anew")));
        }
        if record.is_some_and(|record| !record.pending.is_empty() && record.parked.is_none()) {
            return Err(ProblemType::Action
                .with(format!(
                    "operations of incident {id} are under way to {alias}; wait, or see `casebridge why {id}`"
                ))
                .into());
        }
        let page = upstream.exchanges_of(&[key.exchange], Texts::Hidden).await?.exchanges;
        if !page.iter().any(|one| one.exchange == key.exchange) {
            self.park(vec![(key, FORGOTTEN.to_owned())]).await?;
            return Err(ProblemType::Action.with(format!("{alias} does not know the exchange; it is parked")).into());
        }
        let orphans = self.adopt_page(&alias, page).await?;
        self.tell_orphans(&alias, &orphans);
        let scene = self.scene();
        self.state()
            .transact::<_, EngineError, _>(move |transaction| settle::rearmed(transaction, &key, &scene))
            .await?;
        self.0.to_push.notify_one();
        // What no reading shows: a comment whose text was changed behind its author's back, at either site.
        let left = self.reconcile(Some(id), Some(operator)).await?;
        let open = left.differences.iter().filter(|row| !row.repaired).count();
        let still = match (open, left.in_motion) {
            (0, 0) => String::new(),
            (0, _) => "; what is on its way was not compared".to_owned(),
            (count, _) => {
                format!("; {} still: see `casebridge reconcile {id}`", counted(count, "field differs", "fields differ"))
            }
        };
        Ok(format!("incident {id} is settled anew, as {alias} has it{still}"))
    }

    async fn restate(&self, id: IncidentId, reference: &Reference) -> Result<String, EngineError> {
        self.detect_all().await?;
        let key = ExchangeKey::new(&reference.peer, reference.exchange);
        let told = {
            let _alone = self.0.between_record_and_shadow.write().await;
            let (incident, key, scene) = (self.incident(id).await?, key.clone(), self.scene());
            self.state()
                .transact::<_, EngineError, _>(move |transaction| {
                    Ok(settle::restated(transaction, &key, &incident, &scene)?)
                })
                .await?
        };
        let told = told.map_err(|parked| {
            let kind = ProblemType::Action;
            EngineError::from(kind.with(format!("{} {} is parked: {}", parked.operation, parked.seq, parked.reason)))
        })?;
        if !told {
            return Err(ProblemType::Action
                .with(format!("there is nothing to tell {} of incident {id}", key.peer))
                .into());
        }
        self.feed(&key.peer).notify_waiters();
        Ok(format!("{} is told everything of incident {id} once more", key.peer))
    }
}
