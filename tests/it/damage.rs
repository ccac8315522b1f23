//! State and store that are damaged, foreign, newer or in use: never replaced in silence, never changed, and told with
//! the way on.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use crate::support::command::Done;
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::{Pair, Site, eventually, finish, program};

const COUNT: i64 = 40;

/// A way to damage a state directory.
type Damage = fn(&Path);

/// Every record, somewhere in it.
fn flip_bits(state: &Path) {
    let mut bytes = std::fs::read(state.join("db")).unwrap();
    let marks: Vec<usize> =
        bytes.windows(7).enumerate().filter(|(_, part)| part == b"{\"leg\":").map(|(at, _)| at).collect();
    assert!(marks.len() >= COUNT as usize, "the records are where they are looked for: {}", marks.len());
    marks.into_iter().for_each(|at| bytes[at + 3] ^= 1);
    std::fs::write(state.join("db"), bytes).unwrap();
}

fn cut_short(state: &Path) {
    let file = std::fs::File::options().write(true).open(state.join("db")).unwrap();
    file.set_len(20_000).unwrap();
}

fn empty(state: &Path) {
    std::fs::write(state.join("db"), "").unwrap();
}

fn garbage(state: &Path) {
    let length = std::fs::metadata(state.join("db")).unwrap().len() as usize;
    let bytes: Vec<u8> = (0..length).map(|at| (at as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    std::fs::write(state.join("db"), bytes).unwrap();
}

fn garbage_in_conf(state: &Path) {
    std::fs::write(state.join("conf"), "not the configuration of a database").unwrap();
}

/// Every file below, with its bytes.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in std::fs::read_dir(next).unwrap().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => dirs.push(entry.path()),
                false => {
                    let name = entry.path().strip_prefix(dir).unwrap().to_owned();
                    found.insert(name, std::fs::read(entry.path()).unwrap());
                }
            }
        }
    }
    found
}

/// The directories that were set aside, the oldest first.
fn set_aside(site: &Site) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(site.path(""))
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("state.set-aside-"))
        .collect();
    found.sort();
    found
}

/// A pair that has exchanged some incidents, with the end user killed.
async fn interrupted() -> Pair {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.give(COUNT as usize).await;
    pair.at_rest(COUNT).await;
    pair.end_user.kill();
    pair
}

/// A start that fails with this code, having said all of this.
async fn refused_start(site: &mut Site, code: i32, said: &[&str]) {
    let before = site.log().len();
    site.spawn();
    let ended = site.exited().await;
    let log = site.log().split_off(before);
    assert_eq!(ended, code, "{log}");
    for part in said {
        assert!(log.contains(part), "\"{part}\" is said: {log}");
    }
    assert!(log.lines().last().unwrap_or_default().starts_with("error: "), "the last word is for people: {log}");
}

/// After the start everything is taken up again, nothing is doubled, and the work goes on.
async fn goes_on(pair: &mut Pair) {
    pair.end_user.start().await;
    eventually("the exchanges to be taken up again", || async {
        let status = pair.end_user.get("/v1/status").await.body;
        (status["exchanges"] == COUNT).then_some(())
    })
    .await;
    pair.at_rest(COUNT).await;
    pair.touch().await;
    pair.touched_at_rest().await;
    pair.end_user.insert(1000, 5).await;
    pair.at_rest(COUNT + 5).await;
}

async fn is_rebuilt_by_itself(damage: Damage) {
    let mut pair = interrupted().await;
    let state = pair.end_user.path("state");
    let sound = contents(&state);
    damage(&state);
    goes_on(&mut pair).await;
    let log = pair.end_user.log();
    let line = log.lines().find(|line| line.contains("event=\"state_damaged\"")).expect(&log);
    let [kept] = set_aside(&pair.end_user).try_into().expect("one directory was set aside");
    assert!(line.contains("ERROR") && line.contains(kept.to_str().unwrap()), "{line}");
    // sled cuts off what it cannot read before anybody is asked; whatever was there is there, and so is the rest.
    let kept = contents(&kept);
    for name in sound.keys() {
        assert!(kept.contains_key(name), "{} is kept", name.display());
    }
    assert_eq!(kept[Path::new("acknowledged")], sound[Path::new("acknowledged")]);
}

async fn stops_for_a_person(damage: Damage) {
    let mut pair = interrupted().await;
    pair.end_user.edit_config("[retry]", "[state]\non_damage = \"stop\"\n[retry]");
    let state = pair.end_user.path("state");
    damage(&state);
    for _ in 0..2 {
        refused_start(&mut pair.end_user, 7, &["is damaged: ", "`casebridge state rebuild`", "event=\"failed\""]).await;
    }
    assert_eq!(set_aside(&pair.end_user), Vec::<PathBuf>::new(), "nothing happened by itself");
    let damaged = contents(&state);
    let said = pair.end_user.command(&["state", "rebuild"]).ok();
    let [kept] = set_aside(&pair.end_user).try_into().expect("one directory was set aside");
    assert!(said.contains(kept.to_str().unwrap()) && said.contains("Start the daemon"), "{said}");
    assert!(contents(&kept) == damaged, "every byte is kept");
    assert!(!state.exists());
    goes_on(&mut pair).await;
    assert!(!pair.end_user.log().contains("event=\"state_damaged\""));
}

macro_rules! damages {
    ($($name:ident: $damage:ident;)+) => {
        mod rebuild {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::is_rebuilt_by_itself(super::$damage).await;
            })+
        }
        mod stop {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::stops_for_a_person(super::$damage).await;
            })+
        }
    };
}

damages! {
    flipped_bits: flip_bits;
    a_database_that_ends_early: cut_short;
    an_empty_database: empty;
    a_database_of_garbage: garbage;
    garbage_in_its_configuration: garbage_in_conf;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_from_its_directory_is_damage_and_no_new_beginning() {
    let mut pair = interrupted().await;
    pair.end_user.edit_config("[retry]", "[state]\non_damage = \"stop\"\n[retry]");
    std::fs::remove_file(pair.end_user.path("state/db")).unwrap();
    refused_start(&mut pair.end_user, 7, &["is damaged: ", "`casebridge state rebuild`"]).await;
    // Also before sled made a new file there.
    std::fs::remove_file(pair.end_user.path("state/db")).unwrap();
    pair.end_user.command(&["state", "rebuild"]).ok();
    goes_on(&mut pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_the_place_of_the_state_is_told_with_what_to_do() {
    let mut pair = Pair::new(Plan::default()).await;
    std::fs::write(pair.end_user.path("state"), "a file").unwrap();
    let said = ["that is no directory; move it away, or set [state] path"];
    refused_start(&mut pair.end_user, 7, &said).await;
    pair.end_user.command(&["state", "rebuild"]).refused(7, &said);
    std::fs::remove_file(pair.end_user.path("state")).unwrap();
    pair.end_user.start().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rebuilding_is_for_a_daemon_that_is_stopped() {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.give(COUNT as usize).await;
    pair.at_rest(COUNT).await;
    let refused =
        pair.end_user.command(&["state", "rebuild"]).refused(1, &["cannot be set aside", "stop the daemon first"]);
    assert_eq!(refused.out, "");
    assert_eq!(set_aside(&pair.end_user), Vec::<PathBuf>::new());
    pair.end_user.insert(500, 1).await;
    pair.wait_all_open(COUNT + 1).await;
    assert_eq!(pair.end_user.stop().await, 0);
    // Twice in a row each keeps its own.
    for number in 1..=2 {
        pair.end_user.command(&["state", "rebuild"]).ok();
        assert_eq!(set_aside(&pair.end_user).len(), number);
        pair.end_user.command(&["state", "rebuild"]).refused(1, &["there is no state"]);
        pair.end_user.start().await;
        pair.at_rest(COUNT + 1).await;
        assert_eq!(pair.end_user.stop().await, 0);
    }
}

/// Makes a record look as if a version of tomorrow had written it.
fn from_tomorrow(state: &Path) {
    let db = sled::Config::new().path(state).segment_size(8 << 20).open().unwrap();
    let tree = db.open_tree("records").unwrap();
    let (key, value) = tree.scan_prefix("m").next().expect("there is a record").unwrap();
    let mut value = value.to_vec();
    assert_eq!(value[0], 1, "the envelope begins with its version");
    value[0] = 2;
    tree.insert(key, value).unwrap();
    db.flush().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_of_a_newer_version_is_never_replaced_by_itself() {
    let mut pair = interrupted().await;
    // The default, which would rebuild a damaged one.
    from_tomorrow(&pair.end_user.path("state"));
    let said = ["was written by a newer version", "format 2, this one knows 1", "casebridge state rebuild"];
    for _ in 0..2 {
        refused_start(&mut pair.end_user, 7, &said).await;
    }
    assert_eq!(set_aside(&pair.end_user), Vec::<PathBuf>::new());
    assert!(!pair.end_user.log().contains("state_damaged"));
    pair.end_user.command(&["state", "rebuild"]).ok();
    goes_on(&mut pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_belongs_to_another_store_is_refused() {
    let mut pair = interrupted().await;
    pair.end_user.edit_config("[store]", "[store]\npath = \"other.db\"");
    refused_start(&mut pair.end_user, 7, &["belongs to another incident store", "[store] path"]).await;
    pair.end_user.edit_config("path = \"other.db\"\n", "");
    goes_on(&mut pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_is_refused_and_the_first_goes_on() {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    let config = std::fs::read_to_string(pair.end_user.path("config.toml")).unwrap();
    let second = |name: &str, from: &str, to: &str| {
        assert!(config.contains(from), "{from}");
        std::fs::write(pair.end_user.path(name), config.replace(from, to)).unwrap();
        finish(program(["run", "--config", pair.end_user.path(name).to_str().unwrap()]))
    };
    second("same.toml", "", "").refused(7, &["is in use by another process", "already running"]);
    let dir = pair.end_user.path("");
    let dir = dir.to_str().unwrap().trim_end_matches('/');
    second("state.toml", &format!("{dir}/s\""), "elsewhere\"").refused(7, &["is in use by another process"]);
    // Everything its own but the socket.
    let other = format!("data_dir = \"{dir}/other\"");
    second("socket.toml", &format!("data_dir = \"{dir}\""), &other).refused(1, &["another daemon answers there"]);
    // Everything its own but the store: each would hear of half the changes.
    let store = format!("data_dir = \"{dir}/third\"\nsocket = \"{dir}/other.s\"");
    let config = config
        .replace(&format!("data_dir = \"{dir}\""), &store)
        .replace("[store]", &format!("[store]\npath = \"{dir}/incidents.db\""));
    let config = config.replace(&format!("socket = \"{dir}/s\"\n"), "");
    std::fs::write(pair.end_user.path("store.toml"), config).unwrap();
    finish(program(["run", "--config", pair.end_user.path("store.toml").to_str().unwrap()]))
        .refused(1, &["another daemon works on", "incidents.db"]);
    // A file that is no socket is nobody's to remove.
    std::fs::write(pair.end_user.path("precious"), "text").unwrap();
    let config = std::fs::read_to_string(pair.end_user.path("config.toml")).unwrap();
    let config = config
        .replace(&format!("{dir}/s\""), &format!("{dir}/precious\""))
        .replace(&format!("data_dir = \"{dir}\""), &other);
    std::fs::write(pair.end_user.path("file.toml"), config).unwrap();
    finish(program(["run", "--config", pair.end_user.path("file.toml").to_str().unwrap()]))
        .refused(1, &["a file that is no socket stands there"]);
    assert_eq!(std::fs::read_to_string(pair.end_user.path("precious")).unwrap(), "text");
    assert!(pair.end_user.is_running());
    pair.give(5).await;
    pair.at_rest(5).await;
    // At the partner also the address.
    let config = std::fs::read_to_string(pair.partner.path("config.toml")).unwrap();
    let dir = pair.partner.path("");
    let config = config.replace(&format!("\"{}", dir.to_str().unwrap().trim_end_matches('/')), "\"other");
    std::fs::write(pair.partner.path("address.toml"), config).unwrap();
    finish(program(["run", "--config", pair.partner.path("address.toml").to_str().unwrap()]))
        .refused(1, &["[listen] address 127.0.0.1:", "is another program there?"]);
    pair.end_user.insert(10, 5).await;
    pair.at_rest(10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_a_killed_daemon_left_is_no_hindrance() {
    let mut pair = interrupted().await;
    assert!(pair.end_user.path("s").exists(), "it is still there");
    goes_on(&mut pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_a_newer_version_is_refused_and_left_as_it_is() {
    let mut pair = interrupted().await;
    let store = pair.end_user.store().await;
    sqlx::query("PRAGMA user_version = 99").execute(&store).await.unwrap();
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&store).await.unwrap();
    store.close().await;
    let before = std::fs::read(pair.end_user.path("incidents.db")).unwrap();
    refused_start(&mut pair.end_user, 1, &["made by a newer version (schema 99, this program knows "]).await;
    assert!(std::fs::read(pair.end_user.path("incidents.db")).unwrap() == before, "every byte is there");
    let version = before_version(&before);
    assert_eq!(version, 99);
}

/// Where SQLite keeps `user_version`.
fn before_version(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[60..64].try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_no_database_is_refused_and_left_as_it_is() {
    let pair = Pair::new(Plan::default()).await;
    let mut site = pair.end_user;
    let bytes = "This is the diary of an operator.\n".repeat(200);
    std::fs::write(site.path("incidents.db"), &bytes).unwrap();
    refused_start(&mut site, 1, &["incidents.db", "file is not a database"]).await;
    assert_eq!(std::fs::read_to_string(site.path("incidents.db")).unwrap(), bytes);
    std::fs::remove_file(site.path("incidents.db")).unwrap();
    std::fs::create_dir(site.path("incidents.db")).unwrap();
    refused_start(&mut site, 1, &["incidents.db", "cannot be opened"]).await;
}

/// Runs the daemon until it ends by itself, as somebody whom permissions bind. Root is bound by none, so it becomes
/// nobody, with the directory of the site given to that user.
fn run_bound(site: &Site) -> Done {
    const NOBODY: u32 = 65_534;
    let mut command = program(["run", "--config"]);
    command.arg(site.path("config.toml"));
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        for entry in walk(&site.path("")) {
            std::os::unix::fs::lchown(entry, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        command.uid(NOBODY).gid(NOBODY);
    }
    finish(command)
}

/// A directory and everything below it.
fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    let mut next = 0;
    while next < found.len() {
        if found[next].is_dir() {
            found.extend(std::fs::read_dir(&found[next]).unwrap().flatten().map(|entry| entry.path()));
        }
        next += 1;
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_may_not_be_read_or_written_are_named() {
    let mut pair = interrupted().await;
    pair.partner.kill();
    let site = &pair.end_user;
    let mode = |path: &str, mode: u32| {
        std::fs::set_permissions(site.path(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    // What SQLite still has in its log goes into the file now, and not when the next one opens it.
    let program = site.store().await;
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&program).await.unwrap();
    program.close().await;
    let before = contents(&site.path("state"));
    let store = std::fs::read(site.path("incidents.db")).unwrap();
    mode("incidents.db", 0o000);
    run_bound(site).refused(1, &["incidents.db", "may the user that casebridge runs as"]);
    mode("incidents.db", 0o440);
    run_bound(site).refused(1, &["incidents.db", "may the user that casebridge runs as"]);
    mode("incidents.db", 0o640);
    mode("state/db", 0o000);
    run_bound(site).refused(7, &["state", "Permission denied"]);
    mode("state/db", 0o640);
    mode("state", 0o000);
    run_bound(site).refused(7, &["state", "Permission denied"]);
    mode("state", 0o750);
    assert!(contents(&site.path("state")) == before, "the state is as it was");
    assert!(std::fs::read(site.path("incidents.db")).unwrap() == store, "the store is as it was");
    // A directory in which nothing can be made.
    let fresh = Pair::new(Plan::default()).await.end_user;
    std::fs::create_dir(fresh.path("data")).unwrap();
    fresh.edit_config(
        &format!("data_dir = \"{}", fresh.path("").to_str().unwrap().trim_end_matches('/')),
        &format!("data_dir = \"{}data", fresh.path("").to_str().unwrap()),
    );
    std::fs::set_permissions(fresh.path("data"), std::fs::Permissions::from_mode(0o555)).unwrap();
    run_bound(&fresh).refused(1, &["data/incidents.db", "may the user that casebridge runs as"]);
}
