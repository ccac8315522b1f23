//! SIGHUP, and new credentials: takes what can change while running, and says what cannot.

use std::path::Path;

use tracing::{error, info, warn};

use super::listen::Doors;
use super::secrets::Secrets;
use super::{start, systemd};
use crate::config::settings::Listen;
use crate::config::{Problem, Problems, Settings};
use crate::exchange::Engine;
use crate::jobs::ExpiryCheck;
use crate::telemetry::discreet_value;

/// Reads the configuration and its secrets again.
pub async fn reload(config: &Path, secrets: &mut Secrets, engine: &Engine, doors: &Doors) {
    systemd::reloading();
    let path = config.to_owned();
    let text = tokio::task::spawn_blocking(move || Settings::text(&path)).await;
    let outcome =
        match text.map_err(|fault| fault.to_string()).and_then(|text| text.map_err(|problems| lines(&problems))) {
            Ok(text) => {
                let settings = load(config, text.clone()).await;
                if let Ok(settings) = &settings {
                    secrets.took(text, settings);
                }
                let taken = take(settings, engine, doors).await;
                if taken != Taken::None {
                    info!(event = "reloaded", "the settings are in force");
                    engine.note_settings_read().await;
                }
                taken
            }
            Err(reason) => {
                refuse(&reason);
                Taken::None
            }
        };
    systemd::reloaded(match outcome {
        Taken::All => "settings reloaded",
        Taken::Some => "settings reloaded; some take effect at a restart",
        Taken::None => "reload refused; the settings in use stay",
    });
}

/// Reads the secrets again, because one of their files has changed. The configuration stays as it was read last.
pub async fn reread(config: &Path, secrets: &mut Secrets, engine: &Engine, doors: &Doors) {
    // Before they are read: what changes from now on is seen by the next look.
    secrets.passed_over();
    let text = secrets.text().to_owned();
    let settings = load(config, text.clone()).await;
    if let Ok(settings) = &settings {
        secrets.took(text, settings);
    }
    if take(settings, engine, doors).await != Taken::None {
        info!(event = "secrets_reread", "a file with credentials has changed; what is in it counts");
    }
}

/// What of the settings is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    All,
    /// The rest takes effect at a restart.
    Some,
    None,
}

/// Puts settings into force.
async fn take(settings: Result<Settings, String>, engine: &Engine, doors: &Doors) -> Taken {
    let mut settings = match settings {
        Ok(settings) => settings,
        Err(reason) => {
            refuse(&reason);
            return Taken::None;
        }
    };
    let fixed = keep_fixed(&engine.settings(), &mut settings);
    let upstream = match start::upstream(&settings) {
        Ok(upstream) => upstream,
        Err(fault) => {
            refuse(&fault.to_string());
            return Taken::None;
        }
    };
    let post = match start::post(&settings, engine.site()) {
        Ok(post) => post,
        Err(fault) => {
            refuse(&fault.to_string());
            return Taken::None;
        }
    };
    if let Err(reason) = doors.reload_tls(&settings).await {
        error!(event = "tls_not_reloaded", %reason, "the certificate in use stays");
    }
    if let Err(fault) = engine.reload(settings, upstream).await {
        error!(event = "clients_not_adopted", reason = %fault, "new clients are taken up at a restart");
    }
    engine.set_post(post);
    catch_up(engine).await;
    ExpiryCheck::look(engine).await;
    engine.tell_endings();
    if fixed.is_empty() {
        return Taken::All;
    }
    warn!(event = "reload_incomplete", keys = fixed.join(", "), "these take effect at a restart");
    Taken::Some
}

/// What may have changed while the daemon was stopped.
pub async fn catch_up(engine: &Engine) {
    engine.note_tokens().await;
    count_reminders_anew(engine).await;
}

/// The times of the reminders may be others than those by which cases wait.
async fn count_reminders_anew(engine: &Engine) {
    if let Err(fault) = engine.count_reminders_anew().await {
        warn!(event = "reminders_not_counted", reason = %fault, "cases that wait already keep their times until a reload");
    }
}

fn refuse(reason: &str) {
    for line in reason.lines() {
        error!(event = "reload_refused", reason = line, "the settings in use stay");
    }
}

async fn load(config: &Path, text: String) -> Result<Settings, String> {
    let path = config.to_owned();
    let loaded = tokio::task::spawn_blocking(move || Settings::load_text(&path, &text)).await;
    loaded.map_err(|fault| fault.to_string())?.map_err(|problems| lines(&problems))
}

fn lines(problems: &Problems) -> String {
    let line = |problem: &Problem| {
        let place = problem.place.as_ref().map(|place| format!(":{}:{}", place.line, place.column)).unwrap_or_default();
        let key = if problem.key.is_empty() { String::new() } else { format!("{}: ", problem.key) };
        format!("{}{place}: {key}{}; {}", problems.file(), discreet_value(&problem.message), problem.help)
    };
    problems.list().iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Keeps what only a restart can change, and names the keys that would have changed.
fn keep_fixed(old: &Settings, new: &mut Settings) -> Vec<&'static str> {
    let mut fixed = Vec::new();
    let mut keep = |key: &'static str, same: bool| {
        if !same {
            fixed.push(key);
        }
    };
    keep("[site]", format!("{:?}", old.site) == format!("{:?}", new.site));
    keep("[log]", old.log == new.log);
    keep("[store]", format!("{:?}", old.store) == format!("{:?}", new.store));
    keep("[state]", format!("{:?}", old.state) == format!("{:?}", new.state));
    keep("[history] key_file", old.history.key_file == new.history.key_file);
    keep("[[inbox]]", format!("{:?}", old.inboxes) == format!("{:?}", new.inboxes));
    keep("[[mail_inbox]]", format!("{:?}", old.mail_inboxes) == format!("{:?}", new.mail_inboxes));
    keep("[bundle]", format!("{:?}", old.bundle) == format!("{:?}", new.bundle));
    keep("[schedule]", format!("{:?}", old.schedule) == format!("{:?}", new.schedule));
    let pages = |settings: &Settings| settings.pages.as_ref().map(|pages| pages.address.clone());
    keep("[pages] address", pages(old) == pages(new));
    keep("[mail]", old.mail.is_some() == new.mail.is_some());
    let alias = |settings: &Settings| settings.upstream.as_ref().map(|upstream| upstream.alias.clone());
    keep("[upstream] alias", alias(old) == alias(new));
    let in_flight = |settings: &Settings| settings.upstream.as_ref().map(|upstream| upstream.in_flight);
    keep("[upstream] in_flight", in_flight(old) == in_flight(new));
    let address = |settings: &Settings| settings.listen.as_ref().map(|listen| (listen.address, listen.tls.is_some()));
    let bounds = |settings: &Settings| {
        let bounds = |listen: &Listen| (listen.connections, listen.connections_per_address, listen.write_timeout);
        settings.listen.as_ref().map(bounds)
    };
    keep("[listen] address", address(old) == address(new));
    // With another address the whole section waits.
    keep("[listen] connections, write_timeout", address(old) != address(new) || bounds(old) == bounds(new));
    new.site = old.site.clone();
    new.log = old.log.clone();
    new.store = old.store.clone();
    new.state = old.state.clone();
    new.history.key_file.clone_from(&old.history.key_file);
    new.history.is_credential = old.history.is_credential;
    new.inboxes = old.inboxes.clone();
    new.mail_inboxes = old.mail_inboxes.clone();
    new.bundle = old.bundle.clone();
    new.schedule = old.schedule.clone();
    if old.mail.is_some() != new.mail.is_some() {
        new.mail = old.mail.clone();
    }
    if alias(old) != alias(new) {
        new.upstream = old.upstream.clone();
    }
    if pages(old) != pages(new) {
        new.pages = old.pages.clone();
    }
    if address(old) != address(new) {
        new.listen = old.listen.clone();
    }
    fixed
}
