//! Something happened, and a policy wants it told: what the lines of the history lead to is entered once, in
//! the transaction that moves past them.

use serde::Serialize;

use super::{Engine, EngineError};
use crate::case::text::shown;
use crate::case::{Case, Incident, IncidentId, Kind, Owned, Reactions, Trigger};
use crate::store::{Event, NewRun};

/// The reader of the history that this is.
pub(super) const CONSUMER: &str = "reactions";
/// Lines taken in one step.
const PAGE: usize = 500;
/// The most deeds that may wait; what is more is given up at once, and said so.
const WAITING: usize = 100_000;
/// The longest solution that is told, in bytes; the record has it whole.
const SHOWN: usize = 4096;

/// What a receiver is told: the payload of a webhook, the standard input of a command.
#[derive(Debug, Serialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    trigger: Trigger,
    timestamp: jiff::Timestamp,
    data: Data<'a>,
}

#[derive(Debug, Serialize)]
struct Data<'a> {
    site: &'a str,
    /// The number of the line in this site's history.
    event: i64,
    reaction: &'a str,
    who: &'a str,
    action: &'a str,
    detail: &'a str,
    incident: Told<'a>,
}

/// The incident, as it stands when its event is read. Comments stay here: some are internal.
#[derive(Debug, Serialize)]
struct Told<'a> {
    id: IncidentId,
    host_event_id: &'a str,
    kind: &'static str,
    synopsis: &'a str,
    priority: Option<&'static str>,
    severity: Option<&'a str>,
    device: Option<&'a str>,
    serial: Option<&'a str>,
    group: Option<&'a str>,
    client: Option<&'a str>,
    submission: &'static str,
    phase: &'static str,
    case: Option<&'a Case>,
    solution: Option<String>,
    tracking_number: Option<&'a str>,
}

impl Engine {
    /// One page of what happened. Returns how many lines it held; call again at once until that is 0.
    pub async fn react(&self) -> Result<usize, EngineError> {
        let unread = self.store().unread(CONSUMER).await?;
        if unread.is_empty() {
            return Ok(0);
        }
        // Asked after the end was seen: what a reaction that is made now waits for comes behind it.
        if !self.store().reactions().await?.reactions.0.iter().any(|one| one.reaction.enabled) {
            let lines = unread.through - unread.after;
            self.store().pass(unread).await?;
            return Ok(lines as usize);
        }
        let page = self.store().events(CONSUMER, PAGE).await?;
        if page.events.is_empty() {
            return Ok(0);
        }
        let reactions = self.store().reactions().await?.reactions;
        let runs = self.runs(&page.events, &reactions).await?;
        self.store().queue_runs(page.seen, runs, WAITING).await?;
        Ok(page.events.len())
    }

    /// What the lines lead to.
    async fn runs(&self, events: &[Event], reactions: &Reactions) -> Result<Vec<NewRun>, EngineError> {
        let wanted = |event: &&Event| {
            // The kind of the incident decides between the first and the last trigger only.
            let triggers =
                [Kind::Event, Kind::Information].map(|kind| Trigger::of(&event.line.action, &event.line.who, kind));
            let waits = |one: &Owned| one.reaction.enabled && triggers.contains(&Some(one.reaction.trigger));
            reactions.0.iter().any(waits)
        };
        let wanted: Vec<&Event> = events.iter().filter(wanted).collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut ids: Vec<IncidentId> = wanted.iter().map(|event| event.line.incident).collect();
        ids.sort_unstable();
        ids.dedup();
        let incidents = self.store().load(&ids).await?.incidents;
        let mut runs = Vec::new();
        for event in wanted {
            let Some(incident) = incidents.iter().find(|one| one.id == event.line.incident) else { continue };
            let Some(trigger) = Trigger::of(&event.line.action, &event.line.who, incident.event.kind) else { continue };
            for one in reactions.acting(trigger, incident) {
                runs.extend(self.deeds(event, trigger, incident, one)?);
            }
        }
        Ok(runs)
    }

    fn deeds(
        &self,
        event: &Event,
        trigger: Trigger,
        incident: &Incident,
        one: &Owned,
    ) -> Result<Vec<NewRun>, EngineError> {
        let settings = self.settings();
        let data = Data {
            site: settings.site.alias.as_str(),
            event: event.number,
            reaction: &one.reaction.name,
            who: &event.line.who,
            action: &event.line.action,
            detail: &event.line.detail,
            incident: told(incident),
        };
        let message = Message { trigger, timestamp: event.line.at, data };
        let message = serde_json::to_string(&message).map_err(|fault| {
            crate::store::StoreError::Failed(format!(
                "the message of event {} cannot be written: {fault}",
                event.number
            ))
        })?;
        let deed = |(index, deed): (usize, &crate::case::Deed)| NewRun {
            event: event.number,
            reaction: one.id,
            action: index as u32,
            incident: incident.id,
            name: one.reaction.name.clone(),
            target: deed.target.clone(),
            attach_bundle: deed.attach_bundle,
            message: message.clone(),
            at: self.now(),
        };
        Ok(one.reaction.actions.iter().enumerate().map(deed).collect())
    }
}

fn told(incident: &Incident) -> Told<'_> {
    let event = &incident.event;
    Told {
        id: incident.id,
        host_event_id: &event.host_event_id,
        kind: event.kind.as_str(),
        synopsis: &event.synopsis,
        priority: event.priority.map(|priority| priority.as_str()),
        severity: event.severity.as_deref(),
        device: event.device.as_deref(),
        serial: event.serial.as_deref(),
        group: incident.group.as_deref(),
        client: incident.client.as_ref().map(|client| client.as_str()),
        submission: incident.submission.as_str(),
        phase: incident.work.phase.as_str(),
        case: incident.case.as_ref(),
        solution: incident.work.solution.as_deref().map(|solution| shown(solution, SHOWN)),
        tracking_number: incident.form.tracking_number.as_deref(),
    }
}
