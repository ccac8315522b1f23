//! SIGHUP: takes what can change while running, and says what cannot.

use std::path::Path;

use tracing::{error, info, warn};

use super::listen::Doors;
use super::{start, systemd};
use crate::config::Settings;
use crate::exchange::Engine;

pub async fn reload(config: &Path, engine: &Engine, doors: &Doors) {
    systemd::reloading();
    match load(config).await {
        Ok(mut settings) => {
            let fixed = keep_fixed(&engine.settings(), &mut settings);
            match start::upstream(&settings) {
                Ok(upstream) => {
                    if let Err(reason) = doors.reload_tls(&settings).await {
                        error!(event = "tls_not_reloaded", %reason, "the certificate in use stays");
                    }
                    if let Err(fault) = engine.reload(settings, upstream).await {
                        error!(event = "clients_not_adopted", reason = %fault, "new clients are taken up at a restart");
                    }
                    if !fixed.is_empty() {
                        warn!(event = "reload_incomplete", keys = fixed.join(", "), "these take effect at a restart");
                    }
                    info!(event = "reloaded", "the settings are in force");
                }
                Err(fault) => error!(event = "reload_refused", reason = %fault, "the settings in use stay"),
            }
        }
        Err(problems) => {
            for line in problems.lines() {
                error!(event = "reload_refused", reason = line, "the settings in use stay");
            }
        }
    }
    systemd::reloaded();
}

async fn load(config: &Path) -> Result<Settings, String> {
    let path = config.to_owned();
    let loaded = tokio::task::spawn_blocking(move || Settings::load(&path)).await;
    match loaded {
        Ok(Ok(settings)) => Ok(settings),
        Ok(Err(problems)) => Err(problems
            .list()
            .iter()
            .map(|problem| format!("{}: {} {}", problem.key, problem.message, problem.help))
            .collect::<Vec<_>>()
            .join("\n")),
        Err(fault) => Err(fault.to_string()),
    }
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
    keep("[[inbox]]", format!("{:?}", old.inboxes) == format!("{:?}", new.inboxes));
    keep("[bundle]", format!("{:?}", old.bundle) == format!("{:?}", new.bundle));
    keep("[schedule]", format!("{:?}", old.schedule) == format!("{:?}", new.schedule));
    let alias = |settings: &Settings| settings.upstream.as_ref().map(|upstream| upstream.alias.clone());
    keep("[upstream] alias", alias(old) == alias(new));
    let in_flight = |settings: &Settings| settings.upstream.as_ref().map(|upstream| upstream.in_flight);
    keep("[upstream] in_flight", in_flight(old) == in_flight(new));
    let address = |settings: &Settings| settings.listen.as_ref().map(|listen| (listen.address, listen.tls.is_some()));
    keep("[listen] address", address(old) == address(new));
    new.site = old.site.clone();
    new.log = old.log.clone();
    new.store = old.store.clone();
    new.state = old.state.clone();
    new.inboxes = old.inboxes.clone();
    new.bundle = old.bundle.clone();
    new.schedule = old.schedule.clone();
    if alias(old) != alias(new) {
        new.upstream = old.upstream.clone();
    }
    if address(old) != address(new) {
        new.listen = old.listen.clone();
    }
    fixed
}
