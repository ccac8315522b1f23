//! The tasks that carry the flow. Each waits for one thing, does one step, and never gives up: a fault is said once, and
//! tried again after a pause.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use super::{reactions, unheard};
use crate::config::Settings;
use crate::exchange::{Engine, EngineError, Pushed};
use crate::inbox::Inbox;
use crate::inbox::mail::{MailInbox, Postman};

/// The longest sleep of a loop that has nothing to do.
pub(super) const IDLE: Duration = Duration::from_secs(60);
/// The most files that are on their way at once.
const TRANSFERS: usize = 4;
/// How long it is gathered what clients take, while they take much.
const GATHERED: Duration = Duration::from_millis(250);
/// The pause after a fault of the site's own.
const PAUSE: Duration = Duration::from_secs(1);
/// How long what an upstream said of itself counts.
const ASKED_AGAIN: Duration = Duration::from_secs(900);

pub fn spawn(engine: &Engine, settings: &Settings, tasks: &TaskTracker, stop: &CancellationToken) {
    tasks.spawn(until(stop.clone(), detect(engine.clone())));
    tasks.spawn(until(stop.clone(), prepare(engine.clone())));
    tasks.spawn(until(stop.clone(), reactions::react(engine.clone())));
    tasks.spawn(until(stop.clone(), reactions::carry_out(engine.clone())));
    tasks.spawn(until(stop.clone(), receipts(engine.clone())));
    tasks.spawn(until(stop.clone(), time(engine.clone())));
    tasks.spawn(until(stop.clone(), unheard::watch(engine.clone())));
    tasks.spawn(until(stop.clone(), close(engine.clone())));
    if let Some(upstream) = &settings.upstream {
        for _ in 0..TRANSFERS {
            tasks.spawn(until(stop.clone(), transfer(engine.clone())));
        }
        tasks.spawn(until(stop.clone(), probe(engine.clone())));
        for _ in 0..upstream.in_flight {
            tasks.spawn(until_idle(stop.clone(), engine.clone()));
        }
        tasks.spawn(until(stop.clone(), poll(engine.clone())));
    }
    // Without [mail], too: the people of another site may not have answered, and this one be the one that closes their case.
    tasks.spawn(until(stop.clone(), mail(engine.clone())));
    if settings.listen.is_some() {
        tasks.spawn(until(stop.clone(), open(engine.clone())));
        tasks.spawn(until(stop.clone(), tell_taken(engine.clone())));
    }
    for inbox in &settings.inboxes {
        let inbox = Inbox::new(inbox.clone(), settings.bundle.clone(), Arc::new(engine.clone()));
        tasks.spawn(inbox.run(stop.clone()));
    }
    for (inbox, links) in settings.mail_inboxes.iter().filter_map(|inbox| Some((inbox, engine.links()?))) {
        let postman = Postman::new(engine.clone(), links, inbox.clone());
        tasks.spawn(MailInbox::new(inbox.clone(), Arc::new(postman)).run(stop.clone()));
    }
}

/// Every step of these loops can be dropped at any await: what it began in state or store ends in a task or thread of
/// its own, and is found again at the next start.
async fn until(stop: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

async fn detect(engine: Engine) {
    let mut trouble = Trouble::new(&engine, "detect");
    loop {
        engine.wait_for_changes().await;
        let outcome = engine.detect_all().await;
        trouble.after(outcome).await;
    }
}

/// Asks the upstream who it is: at start, after each back-off step while it is down, and now and then while it is up, for
/// its clock, its certificate and what it has learned since.
async fn probe(engine: Engine) {
    loop {
        if engine.upstream_is_up() {
            let _ = tokio::time::timeout(ASKED_AGAIN, engine.upstream_down()).await;
        }
        let wait = match engine.next_probe().await {
            Ok(Some(at)) => Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default(),
            _ => Duration::ZERO,
        };
        // A clock that went back must not keep the peer waiting for days.
        tokio::time::sleep(wait.min(engine.settings().retry.retry_after_max)).await;
        if engine.probe().await.is_err() && wait.is_zero() {
            tokio::task::yield_now().await;
        }
    }
}

/// What is in flight when the stop comes is finished: the answer of a request that the upstream has already taken.
async fn until_idle(stop: CancellationToken, engine: Engine) {
    let mut trouble = Trouble::new(&engine, "push");
    while !stop.is_cancelled() {
        let wait = match engine.push().await {
            Ok(Pushed::Some(_)) => {
                trouble.after(Ok(())).await;
                continue;
            }
            Ok(Pushed::Nothing) => engine.wait_for_due(IDLE),
            Ok(Pushed::Down) => {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = engine.upstream_up() => {}
                }
                continue;
            }
            Err(fault) => {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = trouble.after(Err(fault)) => {}
                }
                continue;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            outcome = wait => trouble.after(outcome).await,
        }
    }
}

async fn poll(engine: Engine) {
    let mut trouble = Trouble::new(&engine, "poll");
    loop {
        engine.feed_ready().await;
        let wait = engine.settings().upstream.as_ref().map_or(IDLE, |upstream| upstream.poll_interval);
        let asked = tokio::time::Instant::now();
        match engine.poll_updates(wait).await {
            Ok(news) => {
                trouble.after(Ok(())).await;
                // A peer that answers at once with nothing, or nothing new, is asked once a second.
                if news == 0 {
                    tokio::time::sleep_until((asked + PAUSE).min(asked + wait)).await;
                }
            }
            // The peer's trouble was told by its health.
            Err(EngineError::Peer(_)) => {}
            Err(fault) => trouble.after(Err(fault)).await,
        }
    }
}

async fn prepare(engine: Engine) {
    let mut trouble = Trouble::new(&engine, "prepare");
    loop {
        match engine.prepare_attachments().await {
            Ok(0) => {
                trouble.after(Ok(())).await;
                engine.wait_for_attachments().await;
            }
            outcome => trouble.after(outcome.map(|_| ())).await,
        }
    }
}

async fn time(engine: Engine) {
    let mut trouble = Trouble::new(&engine, "time");
    loop {
        engine.wait_for_untimed().await;
        let outcome = engine.time_cases().await;
        trouble.after(outcome.map(|_| ())).await;
    }
}

async fn close(engine: Engine) {
    let mut trouble = Trouble::new(&engine, "close");
    loop {
        let outcome = engine.work_closings().await;
        trouble.after(outcome.map(|_| ())).await;
        engine.wait_for_closings(IDLE).await;
    }
}

async fn transfer(engine: Engine) {
    let mut trouble = Trouble::new(&engine, "transfer");
    loop {
        engine.feed_ready().await;
        let outcome = engine.transfer(IDLE).await;
        trouble.after(outcome).await;
    }
}

async fn receipts(engine: Engine) {
    let mut trouble = Trouble::new(&engine, "receipts");
    loop {
        let outcome = engine.exchange_receipts().await;
        trouble.after(outcome).await;
        // Many operations are signed for at once.
        tokio::time::sleep(PAUSE).await;
        engine.wait_for_receipts(IDLE).await;
    }
}

async fn mail(engine: Engine) {
    let mut trouble = Trouble::new(&engine, "mail");
    loop {
        // Each step of the reminders at its instant: a schedule would be late by a part of its minute.
        let outcome = match engine.remind().await {
            Ok(_) => engine.send_mails().await,
            Err(fault) => Err(fault),
        };
        match outcome {
            Ok(due) => {
                engine.wait_for_mail(due, IDLE).await;
                trouble.after(Ok(())).await;
            }
            Err(fault) => trouble.after(Err(fault)).await,
        }
    }
}

async fn open(engine: Engine) {
    let mut trouble = Trouble::new(&engine, "open");
    loop {
        let outcome = match engine.wait_for_received(IDLE).await {
            Ok(()) => engine.open_received().await.map(|_| ()),
            Err(fault) => Err(fault),
        };
        trouble.after(outcome).await;
    }
}

async fn tell_taken(engine: Engine) {
    let mut trouble = Trouble::new(&engine, "tell taken");
    loop {
        engine.wait_for_taken().await;
        let outcome = engine.tell_taken().await;
        trouble.after(outcome).await;
        tokio::time::sleep(GATHERED).await;
    }
}

/// Says a fault once when it begins and once when it is over, and pauses in between.
pub(super) struct Trouble {
    engine: Engine,
    task: &'static str,
    reason: Option<String>,
}

impl Trouble {
    pub fn new(engine: &Engine, task: &'static str) -> Self {
        Self { engine: engine.clone(), task, reason: None }
    }

    pub async fn after(&mut self, outcome: Result<(), EngineError>) {
        match outcome {
            Ok(()) => {
                if self.reason.take().is_some() {
                    self.engine.task_fails(self.task, None);
                    info!(event = "task_recovered", task = self.task, "works again");
                }
            }
            Err(fault) => {
                let reason = fault.to_string();
                if self.reason.as_ref() != Some(&reason) {
                    self.engine.task_fails(self.task, Some(&reason));
                    error!(event = "task_failing", task = self.task, reason, "tried again each second");
                    self.reason = Some(reason);
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
