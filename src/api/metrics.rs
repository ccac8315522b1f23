//! `GET /v1/metrics`: what `status` says, for a machine that looks often (OpenMetrics 1.0).

use std::fmt::Write;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use super::Door;
use super::problem::Refusal;
use crate::protocol::operator::{PeerStatus, StatusAnswer};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Peers, queues, and when certificates and tokens end, as OpenMetrics text.
#[utoipa::path(get, path = "/v1/metrics", tag = "local", responses(
    (status = 200, body = String, content_type = "application/openmetrics-text")
))]
pub async fn metrics(State(door): State<Door>) -> Result<Response, Refusal> {
    let text = text(&door.engine.status().await?, &door.engine.endings());
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

fn text(status: &StatusAnswer, endings: &[(String, Timestamp)]) -> String {
    let mut page = Page(String::new());
    page.gauge("casebridge_start_time_seconds", "When this run began.");
    page.sample("casebridge_start_time_seconds", &[("version", &status.version)], status.started_at.as_second());
    page.gauge("casebridge_exchanges", "Exchanges that this site knows.");
    page.sample("casebridge_exchanges", &[], status.exchanges);
    page.gauge("casebridge_parked", "Exchanges that need a person.");
    page.sample("casebridge_parked", &[], status.parked);
    let each = |page: &mut Page, name, help, value: fn(&PeerStatus) -> Option<i64>| {
        page.gauge(name, help);
        for peer in &status.peers {
            if let Some(value) = value(peer) {
                page.sample(name, &[("peer", &peer.alias), ("towards", &peer.towards)], value);
            }
        }
    };
    each(&mut page, "casebridge_peer_up", "Whether the last contact went well.", |peer| {
        (peer.health != "unknown").then_some(i64::from(peer.health == "up"))
    });
    each(&mut page, "casebridge_peer_last_contact_seconds", "When a peer was last heard of.", |peer| {
        peer.last_contact.map(Timestamp::as_second)
    });
    each(&mut page, "casebridge_peer_queued", "Operations that a peer has not acknowledged.", |peer| {
        i64::try_from(peer.queued).ok()
    });
    page.gauge("casebridge_credential_end_seconds", "When a certificate or a token ends.");
    for (what, ends) in endings {
        page.sample("casebridge_credential_end_seconds", &[("credential", what)], ends.as_second());
    }
    page.0.push_str("# EOF\n");
    page.0
}

struct Page(String);

impl Page {
    fn gauge(&mut self, name: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "# TYPE {name} gauge\n# HELP {name} {help}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let label = |(name, value): &(&str, &str)| {
            format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
        };
        let labels: Vec<String> = labels.iter().map(label).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_open_metrics() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let peer = PeerStatus {
            alias: "partner".into(),
            towards: "upstream".into(),
            health: "down".into(),
            last_contact: Some(at("2026-11-21T11:00:00Z")),
            next_attempt: None,
            attempts: 4,
            last_error: None,
            version: None,
            clock_difference_seconds: None,
            queued: 17,
        };
        let status = StatusAnswer {
            alias: "north".into(),
            version: "0.1.0".into(),
            started_at: at("2026-11-21T10:00:00Z"),
            peers: vec![peer],
            exchanges: 3,
            queued: 17,
            parked: 2,
            warnings: Vec::new(),
        };
        let page = text(&status, &[("a \"b\"\\\n".into(), at("2027-01-31T00:00:00Z"))]);
        for line in [
            "# TYPE casebridge_exchanges gauge",
            "casebridge_parked 2",
            "casebridge_peer_up{peer=\"partner\",towards=\"upstream\"} 0",
            "casebridge_peer_last_contact_seconds{peer=\"partner\",towards=\"upstream\"} 1795258800",
            "casebridge_peer_queued{peer=\"partner\",towards=\"upstream\"} 17",
            "casebridge_credential_end_seconds{credential=\"a \\\"b\\\"\\\\\\n\"} 1801353600",
        ] {
            assert!(page.lines().any(|one| one == line), "{line}\n{page}");
        }
        assert!(page.ends_with("\n# EOF\n"));
    }
}
