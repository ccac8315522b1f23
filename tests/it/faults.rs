//! Real faults under real daemons: disks, clocks, networks, names and limits. In each: nothing is acknowledged that is not
//! kept, the log says what is wrong, and all is well again without a hand. `tests/faults` runs these, as root.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use casebridge::case::ContentDigest;
use serde_json::json;

use crate::support::attachment::noise;
use crate::support::caller::Caller;
use crate::support::certificates::Authority;
use crate::support::disk::{Disk, run};
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL, end_user_config, partner_config};
use crate::support::raw::Server;
use crate::support::site::write_secret;
use crate::support::wire::free_port;
use crate::support::{Fault, Pair, Site, eventually};
use crate::{hostile, limits};

/// Hands one event to a site; its incident, if the site says that it has it.
async fn deposit(site: &Site, event: &str) -> Option<i64> {
    let body = json!({"event": {"host_event_id": event, "synopsis": "Chassis alarm"}}).to_string();
    let answer = site.request("POST", "/v1/deposits").body(body).send().await.ok()?;
    let good = answer.status().is_success();
    let answer: serde_json::Value = answer.json().await.ok()?;
    good.then(|| answer["incident"].as_i64().expect("its number"))
}

/// Deposits until the site refuses or dies; what it said that it has.
async fn deposit_until_refused(site: &Site, name: &str) -> Vec<String> {
    let mut taken = Vec::new();
    for number in 0..5000 {
        let event = format!("{name}-{number}");
        if deposit(site, &event).await.is_none() {
            return taken;
        }
        taken.push(event);
    }
    panic!("nothing was ever refused");
}

async fn has_all(site: &Site, events: &[String]) {
    let store = site.store().await;
    let there: Vec<String> = sqlx::query_scalar("SELECT host_event_id FROM incident").fetch_all(&store).await.unwrap();
    store.close().await;
    for event in events {
        assert!(there.contains(event), "{event} was acknowledged");
    }
}

/// What systemd does: a daemon that has ended is started again, until it is ready.
async fn revive(site: &mut Site) {
    eventually_mut(site, "it to be ready", |site| {
        if !site.is_running() {
            site.kill();
            site.spawn();
        }
        site.request("GET", "/readyz")
    })
    .await;
}

async fn eventually_mut(site: &mut Site, what: &str, mut ask: impl FnMut(&mut Site) -> reqwest::RequestBuilder) {
    for _ in 0..300 {
        if ask(site).send().await.is_ok_and(|answer| answer.status().is_success()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("waited in vain for {what}: {}", site.log());
}

async fn logged(site: &Site, what: &str) {
    eventually(what, || async { site.log().contains(what).then_some(()) }).await;
}

/// `casebridge status` tells of it; where the daemon has ended over it, that it does not run.
async fn told(site: &Site, what: &str) {
    eventually(&format!("status to tell {what:?}"), || async {
        let told = site.command(&["status"]);
        (told.out.contains(what) || told.err.contains("the daemon does not run")).then_some(())
    })
    .await;
}

/// Each of the end user's incidents stands at the partner, once, with its case written back.
async fn ends_whole(pair: &Pair) {
    let count = pair.end_user.count("SELECT count(*) FROM incident").await;
    pair.at_rest(count).await;
}

/// A pair of which one site stands on this disk.
async fn pair_on(disk: &std::path::Path, end_users: bool) -> Pair {
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    if end_users {
        pair.end_user = Site::within(disk, "north", &end_user_config(pair.wire.port(), SUBMIT_ALL));
    } else {
        pair.partner = Site::within(disk, "partner", &partner_config(pair.wire.target_port(), ACCEPT_ALL));
    }
    // The log is on another disk.
    let site = if end_users { &pair.end_user } else { &pair.partner };
    let log = disk.with_extension("log");
    std::fs::write(&log, "").unwrap();
    std::os::unix::fs::symlink(log, site.path("log")).unwrap();
    // The configuration is on it for good.
    run("sync", &[]);
    pair
}

/// Memory as a disk, of this size; empties itself at the end.
struct Small(tempfile::TempDir);

impl Small {
    fn new(size: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display().to_string();
        run("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs", &path]);
        Self(dir)
    }

    fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::File::create(self.0.path().join("filler")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: tests/faults"]
async fn a_full_disk_at_the_end_user_refuses_and_recovers() {
    let disk = Small::new("80m");
    let mut pair = pair_on(disk.0.path(), true).await;
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 20).await;
    pair.wait_all_open(20).await;
    disk.fill();
    let taken = deposit_until_refused(&pair.end_user, "full").await;
    eventually("the log to tell", || async {
        let log = pair.end_user.log();
        (log.contains("No space left") || log.contains("disk is full")).then_some(())
    })
    .await;
    told(&pair.end_user, "disk is full").await;
    disk.free();
    revive(&mut pair.end_user).await;
    eventually("deposits to be taken again", || deposit(&pair.end_user, "afterwards")).await;
    has_all(&pair.end_user, &taken).await;
    ends_whole(&pair).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: tests/faults"]
async fn a_full_disk_at_the_partner_keeps_the_end_user_waiting_and_loses_nothing() {
    let disk = Small::new("80m");
    let mut pair = pair_on(disk.0.path(), false).await;
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 20).await;
    pair.wait_all_open(20).await;
    disk.fill();
    pair.end_user.insert(100, 400).await;
    eventually("the log to tell", || async {
        let log = pair.partner.log();
        (log.contains("No space left") || log.contains("disk is full")).then_some(())
    })
    .await;
    // What was acknowledged so far is there.
    let acknowledged = pair.end_user.count("SELECT count(*) FROM reference WHERE transaction_id IS NOT NULL").await;
    assert!(acknowledged < 420, "the disk was full");
    told(&pair.partner, "disk is full").await;
    disk.free();
    revive(&mut pair.partner).await;
    pair.wait_all_open(420).await;
    ends_whole(&pair).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: tests/faults"]
async fn a_disk_that_may_only_be_read_is_told_at_the_start() {
    let disk = Disk::new();
    let mut pair = pair_on(&disk.path(), true).await;
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 3).await;
    pair.wait_all_open(3).await;
    assert_eq!(pair.end_user.stop().await, 0);
    disk.remount("ro");
    let told = pair.end_user.command(&["run"]);
    assert!(told.code != 0 && told.err.contains("Read-only file system"), "{}: {}", told.code, told.err);
    disk.remount("rw");
    pair.end_user.start().await;
    pair.end_user.insert(10, 3).await;
    pair.wait_all_open(6).await;
    ends_whole(&pair).await;
    pair.end_user.kill();
    drop(pair);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: tests/faults"]
async fn a_disk_that_becomes_read_only_refuses_and_recovers_after_a_restart() {
    let disk = Disk::new();
    let mut pair = pair_on(&disk.path(), true).await;
    pair.partner.start().await;
    pair.end_user.start().await;
    let mut taken = Vec::new();
    for number in 0..10 {
        let event = format!("before-{number}");
        assert!(deposit(&pair.end_user, &event).await.is_some());
        taken.push(event);
    }
    disk.abort();
    taken.extend(deposit_until_refused(&pair.end_user, "aborted").await);
    told(&pair.end_user, "nothing was stored the last time").await;
    pair.end_user.kill();
    disk.repair();
    revive(&mut pair.end_user).await;
    has_all(&pair.end_user, &taken).await;
    ends_whole(&pair).await;
    pair.end_user.kill();
    drop(pair);
}

/// Makes a library to start a daemon with from a source among the tests' data.
fn preloaded(made: &tempfile::TempDir, name: &str) -> String {
    let library = made.path().join(format!("{name}.so")).display().to_string();
    run("cc", &["-O2", "-shared", "-fPIC", "-o", &library, &format!("tests/data/{name}.c")]);
    library
}

/// The end user's syncs of this kind fail for a while.
async fn syncs_fail(call: &str) {
    let made = tempfile::tempdir().unwrap();
    let library = preloaded(&made, "sync");
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    let fault = pair.end_user.path("sync");
    pair.end_user.environment("LD_PRELOAD", library);
    pair.end_user.environment("CASEBRIDGE_SYNC", fault.display().to_string());
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 5).await;
    pair.wait_all_open(5).await;
    std::fs::write(&fault, call).unwrap();
    let mut taken = deposit_until_refused(&pair.end_user, "before").await;
    told(&pair.end_user, "nothing was stored the last time").await;
    logged(&pair.end_user, "error").await;
    match call {
        // State that may not be on the disk is not gone on with.
        "fdatasync" => assert_ne!(pair.end_user.exited().await, 0),
        _ => assert!(pair.end_user.is_running()),
    }
    std::fs::remove_file(&fault).unwrap();
    // As systemd would, where it ended.
    revive(&mut pair.end_user).await;
    for number in 0..20 {
        let event = format!("after-{number}");
        assert!(deposit(&pair.end_user, &event).await.is_some(), "{event} is taken: {}", pair.end_user.log());
        taken.push(event);
    }
    has_all(&pair.end_user, &taken).await;
    ends_whole(&pair).await;
    // What was said to be there is there for whoever reads the disk alone.
    pair.end_user.kill();
    revive(&mut pair.end_user).await;
    has_all(&pair.end_user, &taken).await;
    ends_whole(&pair).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a C compiler: tests/faults"]
async fn a_sync_of_the_state_that_fails_stops_the_daemon_and_a_restart_goes_on() {
    syncs_fail("fdatasync").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a C compiler: tests/faults"]
async fn a_sync_of_the_store_that_fails_refuses_the_deposit() {
    syncs_fail("fsync").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a C compiler: tests/faults"]
async fn a_clock_that_jumps_by_hours_under_running_daemons_changes_nothing() {
    let made = tempfile::tempdir().unwrap();
    // Ours and not libfaketime, which asks for memory before there is an allocator.
    let library = preloaded(&made, "clock");
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    let set = |site: &Site, hours: i64| std::fs::write(site.path("clock"), (hours * 3600).to_string()).unwrap();
    for site in [&mut pair.partner, &mut pair.end_user] {
        set(site, 0);
        let clock = site.path("clock").display().to_string();
        site.environment("LD_PRELOAD", library.clone());
        site.environment("CASEBRIDGE_CLOCK", clock);
        site.start().await;
    }
    let mut count = 0;
    let jumps = [(10, 0), (-14, 0), (-14, 30), (0, -2), (0, 0)];
    for (round, (ours, theirs)) in jumps.into_iter().enumerate() {
        pair.end_user.insert(1000 * round, 10).await;
        set(&pair.end_user, ours);
        set(&pair.partner, theirs);
        pair.end_user.insert(1000 * round + 500, 10).await;
        count += 20;
        pair.wait_all_open(count).await;
    }
    logged(&pair.end_user, "clock_went_back").await;
    ends_whole(&pair).await;
    // Each was asked for its time when the clocks agreed.
    assert_eq!(pair.end_user.stop().await, 0);
    set(&pair.partner, 3);
    pair.end_user.start().await;
    told(&pair.end_user, "the clocks of this site and of partner differ").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes its time: tests/faults"]
async fn a_network_that_loses_cuts_and_swallows_delays_and_nothing_else() {
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.edit_config("request_timeout = \"5s\"", "request_timeout = \"1s\"");
    pair.end_user.edit_config("connect_timeout = \"2s\"", "connect_timeout = \"1s\"");
    pair.partner.start().await;
    pair.end_user.start().await;
    let faults = [
        Fault::LoseRequest,
        Fault::LoseAnswer,
        Fault::CutAfter(3000),
        Fault::Swallow,
        Fault::CutAfter(20_000),
        Fault::Down,
        Fault::LoseAnswer,
        Fault::Swallow,
    ];
    for (round, fault) in faults.into_iter().enumerate() {
        pair.end_user.insert(100 * round, 15).await;
        pair.wire.set(fault);
        pair.end_user.insert(100 * round + 50, 15).await;
        let tried = pair.wire.tried();
        eventually("a few tries", || async { (pair.wire.tried() > tried + 2).then_some(()) }).await;
        if matches!(fault, Fault::Down) {
            told(&pair.end_user, "partner: ").await;
        }
        pair.wire.set(Fault::None);
    }
    logged(&pair.end_user, "peer_down").await;
    pair.wait_all_open(8 * 30).await;
    ends_whole(&pair).await;
}

/// Two network namespaces with a cable between them.
struct Cable {
    ours: String,
    theirs: String,
}

impl Cable {
    fn new() -> Self {
        /// Two stories with a cable may be told at once.
        static CABLES: AtomicU32 = AtomicU32::new(0);
        let id = format!("{}-{}", std::process::id(), CABLES.fetch_add(1, Ordering::Relaxed));
        let cable = Self { ours: format!("cb-a-{id}"), theirs: format!("cb-b-{id}") };
        let (ours, theirs) = (cable.ours.as_str(), cable.theirs.as_str());
        run("ip", &["netns", "add", ours]);
        run("ip", &["netns", "add", theirs]);
        run("ip", &["link", "add", "cable", "netns", ours, "type", "veth", "peer", "name", "cable", "netns", theirs]);
        for (space, address) in [(ours, "10.77.0.1/24"), (theirs, "10.77.0.2/24")] {
            run("ip", &["-n", space, "addr", "add", address, "dev", "cable"]);
            run("ip", &["-n", space, "link", "set", "lo", "up"]);
            run("ip", &["-n", space, "link", "set", "cable", "up"]);
        }
        cable
    }

    fn pull(&self) {
        run("ip", &["-n", &self.ours, "link", "set", "cable", "down"]);
    }

    fn plug(&self) {
        run("ip", &["-n", &self.ours, "link", "set", "cable", "up"]);
    }

    /// What the kernel does with packets that arrive at either end, as nftables says it.
    fn rule(&self, rule: &str) {
        let rules = format!(
            "add table inet weather; add chain inet weather arriving {{ type filter hook input priority 0; }}; \
             add rule inet weather arriving {rule}"
        );
        for space in [&self.ours, &self.theirs] {
            run("ip", &["netns", "exec", space, "nft", &rules]);
        }
    }

    /// So many bits a second, in both directions, and what waits longer than this is dropped.
    fn narrow(&self, rate: &str, latency: &str) {
        for space in [&self.ours, &self.theirs] {
            let queue = ["tbf", "rate", rate, "burst", "4kb", "latency", latency];
            run("tc", &[&["-n", space, "qdisc", "add", "dev", "cable", "root"], &queue[..]].concat());
        }
    }

    fn clear(&self) {
        for space in [&self.ours, &self.theirs] {
            run("ip", &["netns", "exec", space, "nft", "flush ruleset"]);
        }
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for space in [&self.ours, &self.theirs] {
            let _ = std::process::Command::new("ip").args(["netns", "del", space]).status();
        }
    }
}

/// The pair speaks TLS at this address and name.
fn over_tls(pair: &Pair, listen: &str, url: &str, host: &str) {
    let authority = Authority::new("Test CA");
    let pem = authority.issue(host, 2090);
    std::fs::write(pair.partner.path("chain.pem"), &pem.certificate).unwrap();
    write_secret(&pair.partner.path("key.pem"), &pem.key);
    std::fs::write(pair.end_user.path("ca.pem"), authority.pem()).unwrap();
    let tls = "[listen.tls]\ncertificate = \"chain.pem\"\nkey = \"key.pem\"\n[[client]]";
    pair.partner.edit_config("[[client]]", tls);
    pair.partner.edit_config(&format!("127.0.0.1:{}", pair.wire.target_port()), listen);
    let old = format!("url = \"http://127.0.0.1:{}\"", pair.wire.port());
    pair.end_user.edit_config(&old, &format!("ca_file = \"ca.pem\"\nurl = \"{url}\""));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: tests/faults"]
async fn a_cable_that_is_pulled_and_plugged_in_again() {
    let cable = Cable::new();
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    over_tls(&pair, "10.77.0.2:8443", "https://10.77.0.2:8443", "10.77.0.2");
    pair.end_user.edit_config("request_timeout = \"5s\"", "request_timeout = \"1s\"");
    pair.end_user.edit_config("connect_timeout = \"2s\"", "connect_timeout = \"1s\"");
    pair.partner.under(&["ip", "netns", "exec", &cable.theirs]);
    pair.end_user.under(&["ip", "netns", "exec", &cable.ours]);
    pair.partner.start().await;
    pair.end_user.start().await;
    for round in 0..3 {
        pair.end_user.insert(100 * round, 10).await;
        pair.wait_all_open(20 * round as i64 + 10).await;
        cable.pull();
        pair.end_user.insert(100 * round + 50, 10).await;
        eventually("it to be noticed", || async {
            (pair.end_user.log().matches("event=\"peer_down\"").count() > round).then_some(())
        })
        .await;
        eventually("status to tell it", || async {
            let status = pair.end_user.get("/v1/status").await.body;
            (status["peers"][0]["health"] != "up").then_some(())
        })
        .await;
        cable.plug();
        pair.wait_all_open(20 * round as i64 + 20).await;
    }
    ends_whole(&pair).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: tests/faults"]
async fn a_kernel_that_loses_resets_and_delays_packets_slows_the_exchange_and_nothing_else() {
    let cable = Cable::new();
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    over_tls(&pair, "10.77.0.2:8443", "https://10.77.0.2:8443", "10.77.0.2");
    pair.partner.under(&["ip", "netns", "exec", &cable.theirs]);
    pair.end_user.under(&["ip", "netns", "exec", &cable.ours]);
    pair.partner.start().await;
    pair.end_user.start().await;
    let content = |round: usize| noise(round as u64 + 3, 200_000);
    for (round, rule) in
        ["numgen random mod 100 < 15 drop", "tcp dport 8443 numgen random mod 100 < 10 reject with tcp reset"]
            .into_iter()
            .enumerate()
    {
        cable.rule(rule);
        pair.end_user.insert(100 * round, 30).await;
        pair.end_user.attach(1, &format!("core-{round}"), &content(round)).await;
        pair.wait_all_open(30 * round as i64 + 30).await;
        cable.clear();
    }
    cable.rule("tcp dport 8443 reject with tcp reset");
    pair.end_user.insert(300, 10).await;
    logged(&pair.end_user, "peer_down").await;
    told(&pair.end_user, "partner: ").await;
    cable.clear();
    pair.wait_all_open(70).await;
    cable.narrow("400kbit", "300ms");
    pair.end_user.insert(200, 30).await;
    pair.wait_all_open(100).await;
    for round in 0..2 {
        eventually("the file", || async {
            let there = pair.partner.file(1, &format!("core-{round}")).await?;
            (ContentDigest::of(&there) == ContentDigest::of(&content(round))).then_some(())
        })
        .await;
    }
    ends_whole(&pair).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: tests/faults"]
async fn a_name_that_does_not_resolve_for_a_while() {
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    let port = pair.wire.target_port();
    over_tls(&pair, &format!("127.0.0.1:{port}"), &format!("https://partner.test:{port}"), "partner.test");
    let hosts = pair.end_user.path("hosts");
    std::fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();
    let script = format!("mount --bind {} /etc/hosts && exec \"$@\"", hosts.display());
    pair.end_user.under(&["unshare", "-m", "sh", "-c", &script, "sh"]);
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 10).await;
    logged(&pair.end_user, "the host name is unknown").await;
    told(&pair.end_user, "the host name is unknown").await;
    // In place: the daemon sees this very file.
    std::fs::write(&hosts, "127.0.0.1 localhost partner.test\n").unwrap();
    pair.wait_all_open(10).await;
    ends_whole(&pair).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs prlimit: tests/faults"]
async fn a_partner_without_file_descriptors_goes_on_when_it_has_some_again() {
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.partner.under(&["prlimit", "--nofile=64"]);
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 10).await;
    pair.wait_all_open(10).await;
    let mut held = Vec::new();
    for _ in 0..100 {
        held.extend(std::net::TcpStream::connect(("127.0.0.1", pair.wire.target_port())));
    }
    pair.end_user.insert(100, 50).await;
    logged(&pair.partner, "connections_limited").await;
    assert!(pair.partner.is_running());
    drop(held);
    pair.wait_all_open(60).await;
    ends_whole(&pair).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs prlimit: tests/faults"]
async fn a_running_partner_whose_descriptors_are_taken_away_says_so_and_goes_on_when_it_has_some_again() {
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 10).await;
    pair.wait_all_open(10).await;
    let process = pair.partner.process_id().to_string();
    run("prlimit", &["--pid", &process, "--nofile=4:1024"]);
    pair.end_user.insert(100, 20).await;
    logged(&pair.partner, "descriptors_exhausted").await;
    assert!(pair.partner.is_running());
    run("prlimit", &["--pid", &process, "--nofile=1024:1024"]);
    told(&pair.partner, "no file descriptors were left").await;
    pair.wait_all_open(30).await;
    ends_whole(&pair).await;
}

/// A group of processes that may have so much memory.
struct Group(std::path::PathBuf);

impl Group {
    fn new(name: &str, bytes: u64) -> Self {
        let root = std::path::Path::new("/sys/fs/cgroup");
        let old = root.join("memory");
        let (at, limit) = if old.is_dir() { (old, "memory.limit_in_bytes") } else { (root.to_owned(), "memory.max") };
        let group = at.join(format!("casebridge-{name}-{}", std::process::id()));
        std::fs::create_dir(&group).unwrap();
        std::fs::write(group.join(limit), bytes.to_string()).unwrap();
        Self(group)
    }

    fn joined(&self) -> String {
        format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.0.display())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: tests/faults"]
async fn a_memory_limit_is_kept_under_many_incidents_and_a_large_file() {
    const MEGABYTES: u64 = 128;
    let groups = [Group::new("a", MEGABYTES << 20), Group::new("b", MEGABYTES << 20)];
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    for (site, group) in [(&mut pair.partner, &groups[0]), (&mut pair.end_user, &groups[1])] {
        site.edit_config("level = \"debug\"", "level = \"info\"");
        site.under(&["sh", "-c", &group.joined(), "sh"]);
        site.start().await;
    }
    let content = noise(7, 100_000_000);
    pair.end_user.insert(0, 1000).await;
    pair.end_user.attach(1, "core", &content).await;
    pair.wait_all_open(1000).await;
    eventually("the file", || async {
        let there = pair.partner.file(1, "core").await?;
        (ContentDigest::of(&there) == ContentDigest::of(&content)).then_some(())
    })
    .await;
    for site in [&mut pair.partner, &mut pair.end_user] {
        assert!(site.is_running(), "{} was not killed for its memory", site.alias);
        assert_eq!(site.log().matches("event=\"starting\"").count(), 1);
    }
    ends_whole(&pair).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: tests/faults"]
async fn a_memory_limit_is_kept_under_answers_and_bodies_that_mean_harm() {
    const MEGABYTES: u64 = 192;
    let group = Group::new("c", MEGABYTES << 20);
    for (path, reason, said) in hostile::swelling() {
        let server = Server::start(hostile::but_at(path, said)).await;
        let mut site = hostile::end_user(server.port);
        site.under(&["sh", "-c", &group.joined(), "sh"]);
        site.start().await;
        logged(&site, reason).await;
        assert!(site.is_running(), "{path}");
    }
    let port = free_port();
    let mut site = Site::new("partner", &partner_config(port, ""));
    site.under(&["sh", "-c", &group.joined(), "sh"]);
    site.start().await;
    let north = Caller::north(port);
    limits::burden(&north, 4).await;
    assert!(site.is_running());
    assert_eq!(north.get("/v1/site").await.status, 200);
}
