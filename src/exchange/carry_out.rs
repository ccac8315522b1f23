//! What reactions want done is done, from the queue: one deed at a time for each target, so that a receiver which hangs
//! holds up nobody else and the exchange least of all.
//!
//! Each attempt is entered before it is made, and then what became of it. Who dies in between does it again: a receiver sees the
//! same ID twice, never an event that was left out; a command sees which attempt it is, and that the one before it is over.

use std::collections::HashSet;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tracing::{debug, error, warn};
use uuid::Uuid;

use super::health::elapsed;
use super::{Backoff, Engine, EngineError};
use crate::case::Trigger;
use crate::config::settings::ReactionTo;
use crate::notify::{Undelivered, command, snmp};
use crate::store::{Run, RunEnd};
use crate::telemetry::{CrashPoint, crash_point, discreet};

/// What there is to do now, and when there is more.
pub struct ToDo {
    /// One for each target at most.
    pub runs: Vec<Run>,
    pub next: Option<Timestamp>,
}

impl Engine {
    /// What is due for targets that are not `busy`.
    pub async fn to_do(&self, busy: &HashSet<String>) -> Result<ToDo, EngineError> {
        let now = self.now();
        let mut to_do = ToDo { runs: Vec::new(), next: None };
        for (target, at) in self.store().waiting_targets().await? {
            if busy.contains(&target) {
                continue;
            }
            if at > now {
                to_do.next = Some(to_do.next.map_or(at, |next| next.min(at)));
            } else if let Some(run) = self.store().due_run(&target, now).await? {
                to_do.runs.push(run);
            }
        }
        Ok(to_do)
    }

    /// Does one deed, unless it has ended since it was read, and enters what became of it.
    pub async fn carry_out(&self, run: &Run) -> Result<(), EngineError> {
        let Some(attempts) = self.store().run_begun(run.id).await? else { return Ok(()) };
        let run = &Run { attempts, ..run.clone() };
        let outcome = self.attempt(run).await;
        crash_point(CrashPoint::ReactionDone);
        let now = self.now();
        let end = match outcome {
            Ok(()) => {
                debug!(
                    event = "reaction_done",
                    incident = run.incident.0,
                    reaction = run.name,
                    target = run.target,
                    attempt = run.attempts,
                    "done"
                );
                RunEnd::Done
            }
            Err(fault) => self.failed(run, fault, now),
        };
        Ok(self.store().run_ended(run.id, end, now).await?)
    }

    fn failed(&self, run: &Run, fault: Undelivered, now: Timestamp) -> RunEnd {
        let attempts = run.attempts;
        let backoff = Backoff::new(self.settings().retry);
        let reason = discreet(&fault.reason);
        if fault.is_final || backoff.is_over(run.queued_at, now, attempts) {
            error!(
                event = "reaction_given_up",
                incident = run.incident.0,
                reaction = run.name,
                target = run.target,
                attempt = attempts,
                reason = &*reason,
                "not done; see `casebridge reaction runs`"
            );
            return RunEnd::GivenUp { reason: fault.reason };
        }
        if let Some(count) = self.0.reaction_failing.note(run.target.clone(), Instant::now()) {
            warn!(
                event = "reaction_failing",
                incident = run.incident.0,
                reaction = run.name,
                target = run.target,
                attempt = attempts,
                count,
                reason = &*reason,
                "tried again later; cases are exchanged all the same"
            );
        }
        RunEnd::Again { at: backoff.next(now, attempts, fault.retry_after), reason: fault.reason }
    }

    async fn attempt(&self, run: &Run) -> Result<(), Undelivered> {
        let settings = self.settings();
        let target = settings.reaction_targets.iter().find(|target| target.name == run.target);
        let target = target
            .ok_or_else(|| Undelivered::now(format!("the settings have no [[reaction_target]] \"{}\"", run.target)))?;
        let id = self.message_id(run);
        match &target.to {
            ReactionTo::Mail { addresses } => self.report(run, &id, addresses).await,
            ReactionTo::Webhook(to) => self.0.webhooks.send(to, &id, &run.message, self.now()).await,
            ReactionTo::Snmp { address, community, oid } => {
                let message: Value = serde_json::from_str(&run.message).unwrap_or_default();
                let uptime = elapsed(self.0.started_at, self.now()).as_millis() / 10;
                let trap = trap(run, &id, uptime as u32, &message);
                snmp::send(address, community, oid, &trap).await
            }
            ReactionTo::Command { program, arguments, within } => {
                let environment = [
                    ("CASEBRIDGE_MESSAGE_ID", id.clone()),
                    ("CASEBRIDGE_INCIDENT", run.incident.to_string()),
                    ("CASEBRIDGE_REACTION", run.name.clone()),
                    ("CASEBRIDGE_ATTEMPT", run.attempts.to_string()),
                ];
                command::run(&id, program, arguments, *within, &environment, &run.message).await
            }
        }
    }

    /// The same for each attempt, and for no other deed of any site.
    fn message_id(&self, run: &Run) -> String {
        let name = format!("{} {} {} {}", self.site().0, run.event, run.reaction, run.action);
        let hash: [u8; 32] = Sha256::digest(name.as_bytes()).into();
        let [bytes @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = hash;
        format!("msg_{}", Uuid::new_v8(bytes).simple())
    }
}

/// The number is that of the trigger, from 1; the texts are numbered as they stand here.
fn trap<'a>(run: &Run, id: &'a str, uptime: u32, message: &'a Value) -> snmp::Trap<'a> {
    let text = |path: &str| message.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let trigger = Trigger::parse(text("/type"));
    let number = Trigger::ALL.iter().position(|one| Some(*one) == trigger).map_or(0, |at| at as u32 + 1);
    let texts = [
        id,
        text("/data/site"),
        text("/data/reaction"),
        text("/data/incident/host_event_id"),
        text("/data/incident/synopsis"),
        text("/data/incident/priority"),
        text("/data/incident/device"),
        text("/data/incident/case/id"),
        text("/data/incident/case/status"),
    ];
    let numbered = (1..).zip(texts).collect();
    snmp::Trap { request: (run.id & i64::from(i32::MAX)) as i32, uptime, number, texts: numbered }
}
