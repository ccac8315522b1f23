//! `status`: the site and its peers.

use jiff::Timestamp;

use super::Output;
use super::exit::Failure;
use super::local::Local;
use super::print::{self, Column, Paint, Table, ago, span};
use crate::protocol::operator::{PeerStatus, StatusAnswer};

/// Prints how the site stands.
pub async fn run(local: &Local, output: Output) -> Result<(), Failure> {
    let status = fetch(local).await?;
    if output.json {
        return print::out(&print::json(&status)?);
    }
    print::out(&shown(&status, Timestamp::now(), print::width(), print::colour_out()))
}

/// Asks how the site stands.
pub async fn fetch(local: &Local) -> Result<StatusAnswer, Failure> {
    local.get("the status cannot be told", "/v1/status").await
}

fn shown(status: &StatusAnswer, now: Timestamp, width: Option<usize>, colour: bool) -> String {
    let mut text = format!(
        "site {}, casebridge {}, started {}\nexchanges {}, operations queued {}, parked {}\n",
        print::safe(&status.alias),
        print::safe(&status.version),
        span(status.started_at, now),
        status.exchanges,
        status.queued,
        status.parked
    );
    if !status.peers.is_empty() {
        let mut table = Table::new(&COLUMNS);
        status.peers.iter().for_each(|peer| table.row(cells(peer, now)));
        text.push('\n');
        text.push_str(&table.render(width));
    }
    text.push('\n');
    if status.warnings.is_empty() {
        text.push_str(&Paint::Green.on("all is well", colour));
        text.push('\n');
    }
    for warning in &status.warnings {
        text.push_str(&format!("{} {}\n", Paint::Yellow.on("warning:", colour), print::safe(warning)));
    }
    text
}

const COLUMNS: [Column; 9] = [
    Column::new("PEER", 8, 0),
    Column::new("TOWARDS", 8, 5),
    Column::new("HEALTH", 12, 1),
    Column::new("LAST CONTACT", 12, 2),
    Column::new("QUEUED", 6, 3),
    Column::new("TRIES", 5, 7),
    Column::new("NEXT TRY", 8, 4),
    Column::new("CLOCK", 8, 6),
    Column::new("VERSION", 7, 8),
];

fn cells(peer: &PeerStatus, now: Timestamp) -> [Option<String>; 9] {
    [
        Some(peer.alias.clone()),
        Some(peer.towards.clone()),
        Some(peer.health.clone()),
        Some(peer.last_contact.map_or("never".to_owned(), |at| ago(at, now))),
        Some(peer.queued.to_string()),
        Some(peer.attempts).filter(|attempts| *attempts > 0).map(|attempts| attempts.to_string()),
        peer.next_attempt.map(|at| if at > now { ago(at, now) } else { "now".to_owned() }),
        peer.clock_difference_seconds.map(clock),
        peer.version.clone(),
    ]
}

/// A clock difference as people say it.
pub fn clock(seconds: f64) -> String {
    if seconds.abs() < 0.05 { "same".to_owned() } else { format!("{seconds:+.1} s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_in_trouble_is_seen_at_once() {
        let at = |text: &str| -> Timestamp { text.parse().expect("an instant") };
        let peer = PeerStatus {
            alias: "partner".into(),
            towards: "upstream".into(),
            health: "down".into(),
            last_contact: Some(at("2026-11-21T11:00:00Z")),
            next_attempt: Some(at("2026-11-21T12:00:30Z")),
            attempts: 4,
            last_error: Some("nobody answers".into()),
            version: Some("0.1.0".into()),
            clock_difference_seconds: Some(-2.04),
            queued: 17,
        };
        let status = StatusAnswer {
            alias: "north".into(),
            version: "0.1.0".into(),
            started_at: at("2026-11-21T10:00:00Z"),
            peers: vec![peer],
            exchanges: 3,
            queued: 17,
            parked: 0,
            warnings: vec!["partner: nobody answers\u{1b}".into()],
        };
        let text = shown(&status, at("2026-11-21T12:00:00Z"), None, false);
        for part in ["partner  upstream  down    60 min ago", "in 30 s", "-2.0 s", "17", "nobody answers\\u{1b}\n"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
