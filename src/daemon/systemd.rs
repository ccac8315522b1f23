//! What systemd is told: ready, reloading, stopping, a status line, and that the parts still answer. Outside systemd
//! nothing of it does anything.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error};

use crate::case::text::counted;
use crate::config::Settings;
use crate::exchange::Engine;

pub fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

pub fn ready(settings: &Settings) {
    let upstream =
        settings.upstream.as_ref().map_or(String::new(), |upstream| format!(", upstream {}", upstream.alias));
    let text = format!("site {}{upstream}, {} clients", settings.site.alias, settings.clients.len());
    tell(&[NotifyState::Ready, NotifyState::Status(&text)]);
}

pub fn reloading() {
    // Without the instant systemd takes the reload for a failed one.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now, NotifyState::Status("reloading")]),
        Err(error) => debug!(event = "systemd_not_told", reason = %error, "no monotonic clock"),
    }
}

/// A reload is over, whatever became of it.
pub fn reloaded(outcome: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(outcome)]);
}

pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!(event = "systemd_not_told", reason = %error, "not told");
    }
}

/// Pets the watchdog as long as the committer answers, and keeps the status line true.
pub fn spawn_watchdog(engine: &Engine, tasks: &TaskTracker, stop: &CancellationToken) {
    let Some(interval) = sd_notify::watchdog_enabled() else { return };
    let (engine, stop) = (engine.clone(), stop.clone());
    tasks.spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(interval / 3) => {}
            }
            match tokio::time::timeout(interval / 3, engine.is_alive()).await {
                Ok(true) => {
                    let line = status_line(&engine).await;
                    tell(&[NotifyState::Watchdog, NotifyState::Status(&line)]);
                }
                Ok(false) | Err(_) => {
                    error!(event = "watchdog_silent", "the state's committer does not answer; systemd is not told");
                }
            }
        }
    });
}

async fn status_line(engine: &Engine) -> String {
    match tokio::time::timeout(Duration::from_secs(2), engine.status()).await {
        Ok(Ok(status)) => {
            let peers: Vec<String> =
                status.peers.iter().take(5).map(|peer| format!("{} {}", peer.alias, peer.health)).collect();
            let warnings = match status.warnings.first() {
                Some(first) => format!("; {}: {first}", counted(status.warnings.len(), "warning", "warnings")),
                None => String::new(),
            };
            format!("{}; {} queued, {} parked{warnings}", peers.join(", "), status.queued, status.parked)
        }
        _ => "busy".to_owned(),
    }
}
