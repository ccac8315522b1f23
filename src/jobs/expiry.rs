//! Once a day and at each start: certificates and tokens that end soon are warned of, days ahead.

use async_trait::async_trait;
use jiff::Timestamp;
use tracing::warn;

use super::Job;
use crate::config::{Settings, certificate};
use crate::exchange::{Engine, ends_soon};

/// Looks at everything that this site relies on, and at what its peers showed.
pub struct ExpiryCheck {
    engine: Engine,
}

impl ExpiryCheck {
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }

    /// Tells the engine what this site relies on, for `status`.
    pub async fn look(engine: &Engine) {
        let settings = engine.settings();
        let looked = tokio::task::spawn_blocking(move || own(&settings)).await;
        engine.rely_on(looked.unwrap_or_default());
    }

    /// Which certificates of these settings have ended, or end within 30 days, a sentence each.
    pub fn ending_soon(settings: &Settings, now: Timestamp) -> Vec<String> {
        own(settings).iter().filter_map(|(what, ends)| ends_soon(what, *ends, now)).collect()
    }
}

#[async_trait]
impl Job for ExpiryCheck {
    fn name(&self) -> &'static str {
        "expiry_check"
    }

    /// Whoever restarts the daemon looks at its log then, and what has ended is told in it.
    fn runs_at_start(&self) -> bool {
        true
    }

    async fn run(&self) -> String {
        Self::look(&self.engine).await;
        format!("{} certificates and tokens looked at", self.engine.tell_endings())
    }
}

/// The certificates of this site, as its settings name them.
fn own(settings: &Settings) -> Vec<(String, Timestamp)> {
    let mut files: Vec<(&str, Vec<u8>)> = Vec::new();
    if let Some(tls) = settings.listen.as_ref().and_then(|listen| listen.tls.as_ref()) {
        match std::fs::read(&tls.certificate) {
            Ok(pem) => files.push(("[listen.tls] certificate", pem)),
            Err(reason) => warn!(event = "certificate_unreadable", %reason, "[listen.tls] certificate cannot be read"),
        }
        files.extend(tls.client_ca.clone().map(|pem| ("[listen.tls] client_ca_file", pem)));
    }
    if let Some(upstream) = &settings.upstream {
        files.extend(upstream.ca.clone().map(|pem| ("[upstream] ca_file", pem)));
        let identity = upstream.identity.as_ref().map(|identity| identity.certificate.clone());
        files.extend(identity.map(|pem| ("[upstream] certificate_file", pem)));
    }
    let ends = |(name, pem): (&str, Vec<u8>)| {
        certificate::ends(&pem).into_iter().map(|ends| (name.to_owned(), ends)).collect::<Vec<_>>()
    };
    files.into_iter().flat_map(ends).collect()
}
