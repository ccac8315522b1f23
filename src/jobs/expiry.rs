//! Once a day: certificates that end soon are warned of, days ahead.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tracing::{error, warn};
use x509_parser::pem::Pem;

use super::Job;
use crate::exchange::Engine;

/// Warned of when fewer days are left.
const DAYS: i64 = 30;

/// Looks at our own certificate and at the upstream's authority.
pub struct ExpiryCheck {
    engine: Engine,
}

impl ExpiryCheck {
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl Job for ExpiryCheck {
    fn name(&self) -> &'static str {
        "expiry_check"
    }

    fn at_least_every(&self) -> Duration {
        Duration::from_secs(86_400)
    }

    async fn run(&self) -> String {
        let settings = self.engine.settings();
        let mut files = Vec::new();
        if let Some(tls) = settings.listen.as_ref().and_then(|listen| listen.tls.as_ref()) {
            match std::fs::read(&tls.certificate) {
                Ok(pem) => files.push(("[listen.tls] certificate", pem)),
                Err(reason) => {
                    warn!(event = "certificate_unreadable", %reason, "[listen.tls] certificate cannot be read")
                }
            }
        }
        if let Some(ca) = settings.upstream.as_ref().and_then(|upstream| upstream.ca.clone()) {
            files.push(("[upstream] ca_file", ca));
        }
        let mut checked = 0;
        for (name, pem) in &files {
            for days in days_left(pem, Timestamp::now()) {
                checked += 1;
                if days < 0 {
                    error!(event = "certificate_expired", certificate = name, days, "a certificate has expired");
                } else if days < DAYS {
                    warn!(event = "certificate_expires", certificate = name, days, "a certificate expires soon");
                }
            }
        }
        format!("{checked} certificates looked at")
    }
}

/// The days that each certificate of a PEM file is still good for; below zero when it has ended.
fn days_left(pem: &[u8], now: Timestamp) -> Vec<i64> {
    Pem::iter_from_buffer(pem)
        .flatten()
        .filter_map(|pem| Some(pem.parse_x509().ok()?.validity().not_after.timestamp()))
        .map(|end| (end - now.as_second()).div_euclid(86_400))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_until_the_end_are_counted() {
        let mut parameters = rcgen::CertificateParams::new(vec!["noc.example".into()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(2027, 1, 31);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        let days = |now: &str| days_left(pem.as_bytes(), now.parse().unwrap());
        assert_eq!(days("2027-01-01T00:00:00Z"), [30]);
        assert_eq!(days("2027-02-02T00:00:00Z"), [-2]);
        assert!(days_left(b"no certificate", Timestamp::UNIX_EPOCH).is_empty());
    }
}
