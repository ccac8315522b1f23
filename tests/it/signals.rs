//! Signals: a stop that loses nothing, a reload that says what it did; and what systemd is told.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL, end_user_config};
use crate::support::site::write_secret;
use crate::support::{Fault, Pair, Site, eventually};

const COUNT: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_middle_of_the_work_ends_in_order_and_loses_nothing() {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.give(COUNT).await;
    eventually("some of them to be under way", || async {
        (pair.partner.count("SELECT count(*) FROM incident").await > 0).then_some(())
    })
    .await;
    assert_eq!(pair.end_user.stop().await, 0);
    assert_eq!(pair.partner.stop().await, 0);
    for site in [&pair.end_user, &pair.partner] {
        let log = site.log();
        assert!(log.contains("event=\"stopping\" signal=\"SIGTERM\"") && log.contains("event=\"stopped\""), "{log}");
        assert!(!log.contains("stop_cut_short") && !log.contains("ERROR"), "in order: {log}");
        assert!(!site.path("s").exists(), "the socket is gone");
        assert!(!site.path("incidents.db-wal").exists(), "the store is one file, which can be carried away");
    }
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.wait_all_open(COUNT as i64).await;
    pair.touch().await;
    pair.at_rest(COUNT as i64).await;
    pair.touched_at_rest().await;
    pair.end_user.signal("INT");
    assert_eq!(pair.end_user.exited().await, 0, "Ctrl-C ends it as well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_peer_that_is_away() {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    eventually("the first contact", || async { pair.end_user.log().contains("exchanges_adopted").then_some(()) }).await;
    pair.wire.set(Fault::Down);
    pair.give(20).await;
    eventually("an outage", || async { pair.end_user.log().contains("peer_down").then_some(()) }).await;
    assert_eq!(pair.end_user.stop().await, 0);
    assert!(!pair.end_user.log().contains("stop_cut_short"), "{}", pair.end_user.log());
    pair.wire.set(Fault::None);
    pair.end_user.start().await;
    pair.at_rest(20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_the_log_that_pauses_holds_up_neither_the_work_nor_the_stop() {
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.partner.start().await;
    // A pipe that stays open, and that nobody reads.
    let pipe = pair.end_user.path("pipe").display().to_string();
    let script = format!("mkfifo {pipe} && exec 3<> {pipe} && exec \"$@\" 2> {pipe}");
    pair.end_user.under(&["sh", "-c", &script, "sh"]);
    pair.end_user.start().await;
    pair.give(400).await;
    pair.wait_all_open(400).await;
    assert_eq!(pair.end_user.stop().await, 0);
}

/// How often something was logged.
fn logged(site: &Site, what: &str) -> usize {
    site.log().matches(what).count()
}

async fn arrived(pair: &Pair, count: i64) {
    eventually("the incidents at the partner", || async {
        (pair.partner.count("SELECT count(*) FROM incident").await == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_policy_takes_effect_at_a_reload() {
    let pair = Pair::start(Plan::default()).await;
    pair.end_user.insert(0, 3).await;
    eventually("them to be held", || async {
        (pair.end_user.count("SELECT count(*) FROM incident WHERE submission = 'held'").await == 3).then_some(())
    })
    .await;
    pair.end_user.edit_config("[[inbox]]", &format!("{SUBMIT_ALL}[[inbox]]"));
    pair.partner.edit_config("[case]", &format!("{ACCEPT_ALL}[case]"));
    pair.end_user.reload("reloaded").await;
    pair.partner.reload("reloaded").await;
    pair.end_user.insert(3, 2).await;
    arrived(&pair, 2).await;
    eventually("their cases", || async {
        (pair.end_user.count("SELECT count(*) FROM incident WHERE case_id IS NOT NULL").await == 2).then_some(())
    })
    .await;
    assert_eq!(
        pair.end_user.count("SELECT count(*) FROM incident WHERE submission = 'held'").await,
        3,
        "decided before"
    );
    assert_eq!(logged(&pair.end_user, "reload_incomplete"), 0, "all of it could be reloaded");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_restart_is_named_and_stays_as_it_was() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.edit_config("alias = \"north\"", "alias = \"south\"");
    pair.end_user.edit_config("alias = \"partner\"", "alias = \"vendor\"");
    pair.end_user.edit_config("[log]", "[log]\nformat = \"json\"");
    pair.end_user.reload("reload_incomplete").await;
    let log = pair.end_user.log();
    let line = log.lines().find(|line| line.contains("reload_incomplete")).unwrap();
    assert!(line.contains("keys=\"[site], [log], [upstream] alias\""), "{line}");
    let status = pair.end_user.get("/v1/status").await.body;
    assert_eq!((&status["alias"], &status["peers"][0]["alias"]), (&"north".into(), &"partner".into()));
    pair.give(5).await;
    pair.at_rest(5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_changes_nothing_and_says_why() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    let good = std::fs::read_to_string(pair.end_user.path("config.toml")).unwrap();
    pair.end_user.edit_config("[[submit.policy]]\nname = \"all\"\n", "[submit]\nrequire_site_id = \"perhaps\"\n");
    pair.end_user.edit_config("first = \"50ms\"", "first = \"soon\"");
    pair.end_user.reload("reload_refused").await;
    eventually("both faults", || async { (logged(&pair.end_user, "reload_refused") == 2).then_some(()) }).await;
    let log = pair.end_user.log();
    for key in [".toml:28:19: submit.require_site_id: ", ".toml:12:9: retry.first: "] {
        assert!(log.contains(key), "{key}: {log}");
    }
    pair.end_user.insert(0, 3).await;
    pair.wait_all_open(3).await;
    // What is no TOML at all, and a file that is gone.
    std::fs::write(pair.end_user.path("config.toml"), "[site\n").unwrap();
    pair.end_user.reload("reload_refused").await;
    std::fs::remove_file(pair.end_user.path("config.toml")).unwrap();
    pair.end_user.reload("reload_refused").await;
    assert_eq!(logged(&pair.end_user, "event=\"reloaded\""), 0);
    pair.end_user.insert(3, 3).await;
    pair.wait_all_open(6).await;
    // Corrected, it is taken.
    std::fs::write(pair.end_user.path("config.toml"), good).unwrap();
    pair.end_user.reload("reloaded").await;
    pair.end_user.insert(6, 3).await;
    pair.at_rest(9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_a_reload_adds_can_connect_and_one_that_it_removes_cannot() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.give(3).await;
    pair.at_rest(3).await;
    let config = end_user_config(pair.wire.port(), SUBMIT_ALL).replace("\"north\"", "\"south\"");
    let mut south = Site::new("south", &config);
    write_secret(&south.path("password"), "southern horse");
    south.command(&["test-peer"]).refused(5, &["does not accept our user name and password"]);
    write_secret(&pair.partner.path("south-password"), "southern horse");
    let client = "[[client]]\nalias = \"south\"\nuser = \"south\"\npassword_file = \"south-password\"\n";
    pair.partner.edit_config("[case]", &format!("{client}[case]"));
    pair.partner.reload("reloaded").await;
    assert!(south.command(&["test-peer"]).ok().contains("knows us as  south"));
    south.start().await;
    south.insert(100, 3).await;
    eventually("the cases of the new client", || async {
        (south.count("SELECT count(*) FROM incident WHERE case_id IS NOT NULL").await == 3).then_some(())
    })
    .await;
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident WHERE client = 'south'").await, 3);
    // The other client goes on as before.
    pair.end_user.insert(10, 2).await;
    pair.wait_all_open(5).await;

    pair.partner.edit_config(client, "");
    pair.partner.reload("reloaded").await;
    south.command(&["test-peer"]).refused(5, &["does not accept our user name and password"]);
    pair.end_user.insert(20, 2).await;
    pair.wait_all_open(7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_credentials_fail_at_the_next_call_and_what_waits_goes_on_with_the_new_ones() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.give(3).await;
    pair.at_rest(3).await;
    write_secret(&pair.partner.path("password"), "a new horse");
    pair.partner.reload("reloaded").await;
    pair.end_user.insert(10, 2).await;
    eventually("the refusal", || async {
        let log = pair.end_user.log();
        let line = log.lines().find(|line| line.contains("event=\"peer_down\""))?.to_owned();
        line.contains("does not accept our user name and password").then_some(())
    })
    .await;
    let status = pair.end_user.get("/v1/status").await.body;
    assert_eq!(status["peers"][0]["health"], "unauthorized", "{status}");
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident").await, 3, "nothing was let in");
    assert_eq!(pair.end_user.get("/v1/parked").await.body["total"], 0, "what waits is not at fault");
    // Tried again and again, and told once a minute.
    eventually("more tries", || async {
        (pair.end_user.get("/v1/status").await.body["peers"][0]["attempts"].as_u64() >= Some(4)).then_some(())
    })
    .await;
    assert_eq!(logged(&pair.partner, "event=\"client_unauthorized\""), 1, "{}", pair.partner.log());

    write_secret(&pair.end_user.path("password"), "a new horse");
    pair.end_user.reload("reloaded").await;
    pair.at_rest(5).await;
}

/// What systemd would hear.
struct Systemd {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Systemd {
    /// Takes the place of systemd for the next start of the site.
    fn of(site: &mut Site) -> Self {
        let path = site.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        site.environment("NOTIFY_SOCKET", path.to_str().unwrap());
        Self { socket, heard: Vec::new() }
    }

    /// Waits for a message, after those already looked at, all of whose lines begin so. Returns it.
    async fn hears(&mut self, lines: &[&str]) -> String {
        let mut looked_at = 0;
        for _ in 0..2000 {
            let mut buffer = [0; 4096];
            while let Ok(count) = self.socket.recv(&mut buffer) {
                self.heard.push(String::from_utf8(buffer[..count].to_vec()).unwrap());
            }
            while looked_at < self.heard.len() {
                let message = &self.heard[looked_at];
                looked_at += 1;
                if lines.iter().all(|line| message.lines().any(|said| said.starts_with(line))) {
                    let message = message.clone();
                    self.heard.drain(..looked_at);
                    return message;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited in vain for: {lines:?}; heard {:?}", self.heard);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_told_what_happens() {
    let mut pair = Pair::new(Plan::default()).await;
    pair.partner.start().await;
    let mut systemd = Systemd::of(&mut pair.end_user);
    pair.end_user.environment("WATCHDOG_USEC", "300000");
    pair.end_user.spawn();
    let opening = systemd.hears(&["STATUS="]).await;
    assert!(!opening.contains("READY=1"), "not before it is: {opening}");
    systemd.hears(&["READY=1", "STATUS=site north, upstream partner"]).await;
    assert_eq!(pair.end_user.get("/readyz").await.status, 200, "ready means ready");

    // As long as the parts answer, with what a person wants to know.
    for _ in 0..3 {
        systemd.hears(&["WATCHDOG=1", "STATUS="]).await;
    }
    systemd.hears(&["WATCHDOG=1", "STATUS=partner up; 0 queued, 0 parked"]).await;

    pair.end_user.signal("HUP");
    let reloading = systemd.hears(&["RELOADING=1", "MONOTONIC_USEC="]).await;
    let instant = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
    assert!(instant.parse::<u64>().unwrap() > 0, "{reloading}");
    systemd.hears(&["READY=1", "STATUS="]).await;
    // A reload that is refused ends as well, or systemd would wait for it.
    let good = std::fs::read(pair.end_user.path("config.toml")).unwrap();
    std::fs::write(pair.end_user.path("config.toml"), "[site").unwrap();
    pair.end_user.signal("HUP");
    systemd.hears(&["RELOADING=1", "MONOTONIC_USEC="]).await;
    systemd.hears(&["READY=1"]).await;
    std::fs::write(pair.end_user.path("config.toml"), good).unwrap();
    systemd.hears(&["WATCHDOG=1"]).await;

    pair.end_user.signal("TERM");
    systemd.hears(&["STOPPING=1"]).await;
    assert_eq!(pair.end_user.exited().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_not_told_that_a_daemon_is_ready_which_cannot_start() {
    let mut pair = Pair::new(Plan::default()).await;
    std::fs::write(
        pair.end_user.path("incidents.db"),
        "this is no database, and long enough to be taken for one\n".repeat(9),
    )
    .unwrap();
    let mut systemd = Systemd::of(&mut pair.end_user);
    pair.end_user.spawn();
    assert_eq!(pair.end_user.exited().await, 1);
    systemd.hears(&["STATUS=opening"]).await;
    assert!(!systemd.heard.iter().any(|message| message.contains("READY=1")), "{:?}", systemd.heard);
}
