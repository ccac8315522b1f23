//! What it costs the exchange that nobody takes what it leads to: mails, webhooks and commands all fail, at both sites.

use std::process::Command;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::pair::{Daemon, FAILING, Pair};

/// Incidents of each round, and rounds: each incident leads to deeds for all targets, and so many may wait.
const COUNT: usize = 3_000;
const ROUNDS: usize = 5;
/// As in the configuration of such a pair.
const TARGETS: [&str; 5] = ["hangs", "refuses", "mail", "fails", "never ends"];

pub async fn measure() {
    let quiet = crate::exchanged("", COUNT, ROUNDS).await;
    let mut silence = JoinSet::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    silence.spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let pair = Pair::start_with(FAILING, port).await;
    react(&pair.end_user, "case_assigned");
    react(&pair.partner, "incident_detected");
    let failing = crate::exchanged_by(&pair, FAILING, COUNT, ROUNDS).await;
    silence.shutdown().await;
    println!(
        "ratio  exchanged, all receivers failing   {:>8.2}   (goal: at least 0.8; {failing:.0} /s, without reactions {quiet:.0} /s)",
        failing / quiet
    );
}

/// A reaction for each target.
fn react(site: &Daemon, trigger: &str) {
    for target in TARGETS {
        let reaction = format!(
            "{{\"name\": \"{target}\", \"trigger\": \"{trigger}\", \"actions\": [{{\"target\": \"{target}\"}}]}}"
        );
        let file = site.path("reaction.json");
        std::fs::write(&file, reaction).unwrap();
        let added = Command::new(env!("CARGO_BIN_EXE_casebridge"))
            .args(["reaction", "add"])
            .arg(&file)
            .arg("--config")
            .arg(site.path("config.toml"))
            .output()
            .unwrap();
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    }
}
