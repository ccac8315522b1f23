//! Settings become parts; they run until told to stop. The only room that spawns long-lived tasks.

mod connections;
mod error;
mod identified;
mod late;
mod listen;
mod loops;
mod reactions;
mod reload;
mod secrets;
mod start;
mod systemd;
mod tls;
mod unheard;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::case::SiteId;
use crate::config::Settings;
use crate::config::settings::LogFormat;
use crate::jobs::{ExpiryCheck, Scheduler};
use crate::peer::HttpUpstream;
use crate::telemetry;

pub use error::DaemonError;
use secrets::Secrets;

/// Runs a site until SIGTERM or SIGINT. `config` is read again at SIGHUP; `text` is what stands in it.
pub async fn run(config: &Path, text: String, settings: Settings) -> Result<(), DaemonError> {
    let format = match settings.log.format {
        LogFormat::Text => telemetry::Format::Text,
        LogFormat::Json => telemetry::Format::Json,
        LogFormat::Journald => telemetry::Format::Journald,
    };
    telemetry::install(format, &settings.log.level)?;
    let alias = settings.site.alias.to_string();
    info!(event = "starting", site = alias, version = env!("CARGO_PKG_VERSION"), "starting");
    let outcome = serve(config, text, settings).await;
    match &outcome {
        Ok(()) => info!(event = "stopped", site = alias, "stopped"),
        Err(error) => error!(event = "failed", site = alias, reason = %error, "stopped by a fault"),
    }
    outcome
}

async fn serve(config: &Path, text: String, settings: Settings) -> Result<(), DaemonError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(DaemonError::signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DaemonError::signals)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(DaemonError::signals)?;

    // Store and state hold what customers wrote: for the site's own group, not for everyone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o027));
    systemd::status("opening store and state");
    let stop_within = settings.site.stop_within;
    let started = settings.clone();
    let engine = start::engine(settings).await?;
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let doors = listen::open(&engine, &started, &tasks, &stop).await?;
    loops::spawn(&engine, &started, &tasks, &stop);
    let scheduler =
        Scheduler::start(start::jobs(&engine, &started), started.schedule.zone(), &engine, &tasks, &stop).await?;
    systemd::spawn_watchdog(&engine, &tasks, &stop);
    systemd::ready(&started);
    info!(
        event = "ready",
        site = %started.site.alias,
        upstream = started.upstream.as_ref().map(|upstream| upstream.alias.to_string()),
        clients = started.clients.len(),
        listen = doors.address().map(|address| address.to_string()),
        socket = %started.site.socket.display(),
        "ready"
    );

    ExpiryCheck::look(&engine).await;
    let catching_up = engine.clone();
    tasks.spawn(async move { reload::catch_up(&catching_up).await });
    let mut secrets = Secrets::of(text, &started);
    let outcome = loop {
        tokio::select! {
            _ = terminate.recv() => break Ok("SIGTERM"),
            _ = interrupt.recv() => break Ok("SIGINT"),
            _ = hang_up.recv() => reload::reload(config, &mut secrets, &engine, &doors).await,
            () = secrets.changed() => reload::reread(config, &mut secrets, &engine, &doors).await,
            reason = engine.state_failed() => break Err(DaemonError::StateFailed(reason)),
        }
    };

    systemd::stopping();
    match &outcome {
        Ok(signal) => info!(event = "stopping", signal, within_seconds = stop_within.as_secs(), "stopping"),
        Err(fault) => error!(event = "stopping", reason = %fault, "stopping"),
    }
    stop.cancel();
    doors.close(stop_within);
    scheduler.stop().await;
    tasks.close();
    if tokio::time::timeout(stop_within, tasks.wait()).await.is_err() {
        warn!(event = "stop_cut_short", "some work did not finish in time; it goes on at the next start");
    }
    // A reader that holds on to a connection leaves files beside the store, which the next start takes back into it.
    let _ = tokio::time::timeout(stop_within, engine.close()).await;
    outcome.map(|_| ())
}

/// Tries what only a start would find out: the templates of mails, and certificates with their keys. Returns which
/// certificates have ended or end soon, a sentence each.
pub fn check(settings: &Settings) -> Result<Vec<String>, DaemonError> {
    start::post(settings, SiteId(uuid::Uuid::nil()))?;
    if let Some(tls) = settings.listen.as_ref().and_then(|listen| listen.tls.as_ref()) {
        tls::read(tls)?;
    }
    if let Some(upstream) = &settings.upstream {
        HttpUpstream::new(upstream)?;
    }
    Ok(ExpiryCheck::ending_soon(settings, Timestamp::now()))
}

/// Sets the state directory aside, for the next start to rebuild it from the store and the peers. Refuses while a daemon
/// uses it. Returns where the old one is now, and why the history does not tell that `who` did it, if it does not.
pub async fn rebuild_state(settings: &Settings, who: String) -> Result<(PathBuf, Option<DaemonError>), DaemonError> {
    let aside = start::set_state_aside(settings)?;
    let untold = start::note_set_aside(settings, who, &aside).await.err();
    Ok((aside, untold))
}
