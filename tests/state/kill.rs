//! Design, invariant 1: what was acknowledged is there after `kill -9`, at whatever instant it comes.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::scene::{Scene, exchanges, open, peer, submit};

const CHILD: &str = "CASEBRIDGE_STATE_TEST_CHILD";

/// Commits for ever, from several tasks at once, and says which commits were acknowledged.
async fn commit_until_killed(path: &Path, first: u64) {
    let state = open(path).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for lane in 0..8 {
        let state = state.clone();
        tasks.spawn(async move {
            for turn in 0.. {
                let number = first + turn * 8 + lane;
                submit(&state, number, if number.is_multiple_of(20) { 100_000 } else { 200 }).await;
                let mut out = std::io::stdout().lock();
                writeln!(out, "acknowledged {number}").and_then(|()| out.flush()).unwrap();
            }
        });
    }
    tasks.join_next().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_1_no_acknowledged_commit_is_lost_to_kill_9() {
    if let Ok(plan) = std::env::var(CHILD) {
        let (first, path) = plan.split_once(' ').unwrap();
        return commit_until_killed(Path::new(path), first.parse().unwrap()).await;
    }
    let scene = Scene::new();
    let mut acknowledged: Vec<u64> = Vec::new();
    for kill in 0..15u64 {
        // This very test again, as the process to kill.
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::invariant_1_no_acknowledged_commit_is_lost_to_kill_9", "--nocapture"])
            .env(CHILD, format!("{} {}", kill * 1_000_000, scene.path().display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Each time at another point, after so many acknowledgements that more are under way.
        let mut wanted = 5 + kill * 9;
        let number = |line: String| line.strip_prefix("acknowledged ").and_then(|number| number.parse::<u64>().ok());
        while wanted > 0 {
            let line = lines.next().expect("the child goes on until it is killed").unwrap();
            if let Some(number) = number(line) {
                acknowledged.push(number);
                wanted -= 1;
            }
        }
        child.kill().unwrap();
        // What it said before it died counts too.
        acknowledged.extend(lines.map_while(Result::ok).filter_map(number));
        child.wait().unwrap();

        let state = open(&scene.path()).unwrap();
        let there = exchanges(&state).await.unwrap();
        let lost: Vec<&u64> = acknowledged.iter().filter(|number| there.binary_search(number).is_err()).collect();
        assert_eq!(lost, Vec::<&u64>::new(), "after kill {kill}");
        let outbox = state.read(|view| view.outbox_after(&peer(), 0, usize::MAX)).await.unwrap();
        assert_eq!(outbox.len(), there.len(), "each exchange with its operation, in one piece");
        state.close().await.unwrap();
    }
    assert!(acknowledged.len() > 15 * 5);
}
