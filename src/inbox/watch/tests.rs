//! A directory, an engine that can be told to fail, and time moved by hand.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::case::{ContentDigest, IncidentId};
use crate::inbox::look::{PASS_LIMIT, REST_PASSES, WATCH_LIMIT};
use crate::inbox::samples::{sample, settings as bundle_settings};
use crate::inbox::{Awaited, Begun, Deposited};

/// An engine in memory. Incidents are numbered from 1, attachments across all incidents from 1.
#[derive(Default)]
struct Engine {
    incidents: Mutex<BTreeMap<String, i64>>,
    deposits: Mutex<Vec<Deposit>>,
    awaited: Mutex<Vec<Awaited>>,
    added: Mutex<Vec<(i64, Vec<u8>)>>,
    /// By their numbers, from 1.
    contents: Mutex<Vec<Vec<u8>>>,
    /// What the next calls answer instead.
    failures: Mutex<VecDeque<Option<DepositError>>>,
    /// Sizes of the batches that came.
    batches: Mutex<Vec<usize>>,
    /// A host event ID that is never taken.
    refused: Mutex<Option<String>>,
    /// A file, and what somebody writes over it while a deposit is stored.
    overwritten: Mutex<Option<(std::path::PathBuf, String)>>,
    /// What was told of the directory: that it cannot be used, or can be again.
    blocked: Mutex<Vec<bool>>,
}

impl Engine {
    fn fail(&self, error: DepositError) {
        self.failures.lock().unwrap().push_back(Some(error));
    }

    /// The call after the next fails.
    fn fail_second(&self, error: DepositError) {
        self.failures.lock().unwrap().extend([None, Some(error)]);
    }

    fn failure(&self) -> Result<(), DepositError> {
        self.failures.lock().unwrap().pop_front().flatten().map_or(Ok(()), Err)
    }

    fn added(&self) -> Vec<(i64, Vec<u8>)> {
        self.added.lock().unwrap().clone()
    }

    fn events(&self) -> Vec<String> {
        self.deposits.lock().unwrap().iter().map(|deposit| deposit.event.host_event_id.clone()).collect()
    }
}

#[async_trait::async_trait]
impl Depositor for Engine {
    async fn deposit(&self, deposits: Vec<Deposit>) -> Result<Vec<Deposited>, DepositError> {
        self.batches.lock().unwrap().push(deposits.len());
        self.failure()?;
        if let Some((path, content)) = self.overwritten.lock().unwrap().take() {
            let beside = path.with_extension("part");
            fs::write(&beside, content).unwrap();
            File::options().write(true).open(&beside).unwrap().set_modified(SystemTime::now() - SETTLE * 2).unwrap();
            fs::rename(beside, path).unwrap();
        }
        let refused = self.refused.lock().unwrap().clone();
        if deposits.iter().any(|deposit| Some(&deposit.event.host_event_id) == refused.as_ref()) {
            return Err(DepositError::Refused("the device is not known here".into()));
        }
        let mut answers = Vec::new();
        for deposit in deposits {
            let mut incidents = self.incidents.lock().unwrap();
            let next = incidents.len() as i64 + 1;
            let known = incidents.get(&deposit.event.host_event_id).copied();
            let incident = IncidentId(known.unwrap_or(next));
            answers.push(Deposited { incident, new: known.is_none() });
            if known.is_some() {
                continue;
            }
            incidents.insert(deposit.event.host_event_id.clone(), next);
            let mut awaited = self.awaited.lock().unwrap();
            for file in deposit.files.iter().filter(|file| file.content == FileContent::Listed) {
                let id = awaited.len() as i64 + 1;
                let host_event_id = deposit.event.host_event_id.clone();
                let group = deposit.group.clone();
                awaited.push(Awaited { id, incident, host_event_id, name: file.name.clone(), group });
            }
            self.deposits.lock().unwrap().push(deposit);
        }
        Ok(answers)
    }

    async fn awaited_attachments(&self, after: i64, limit: usize) -> Result<Vec<Awaited>, DepositError> {
        self.failure()?;
        let added: Vec<i64> = self.added().into_iter().map(|(id, _)| id).collect();
        let awaited = self.awaited.lock().unwrap();
        let open = awaited.iter().filter(|awaited| awaited.id > after && !added.contains(&awaited.id));
        Ok(open.take(limit).cloned().collect())
    }

    async fn begin_content(&self, _: &ContentDigest, _: u64) -> Result<Begun, DepositError> {
        self.failure()?;
        let mut contents = self.contents.lock().unwrap();
        contents.push(Vec::new());
        Ok(Begun { content: contents.len() as i64, received: 0 })
    }

    async fn append(&self, content: i64, start: u64, piece: Vec<u8>) -> Result<(), DepositError> {
        let mut contents = self.contents.lock().unwrap();
        assert_eq!(contents[content as usize - 1].len() as u64, start);
        contents[content as usize - 1].extend(piece);
        Ok(())
    }

    async fn add_attachment(&self, id: i64, content: i64) -> Result<(), DepositError> {
        self.failure()?;
        let content = self.contents.lock().unwrap()[content as usize - 1].clone();
        self.added.lock().unwrap().push((id, content));
        Ok(())
    }

    fn blocked(&self, _: &Path, reason: Option<&str>) {
        self.blocked.lock().unwrap().push(reason.is_some());
    }
}

const SETTLE: Duration = Duration::from_secs(10);

/// An inbox in a directory of its own.
struct Place {
    dir: tempfile::TempDir,
    engine: Arc<Engine>,
    inbox: Inbox,
}

impl Place {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut settings::Inbox)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = Arc::new(Engine::default());
        let mut settings = settings::Inbox {
            dir: dir.path().to_owned(),
            group: None,
            poll_interval: Duration::from_secs(1),
            settle: SETTLE,
            max_bytes: 1024 * 1024,
            max_attachment_bytes: 1024 * 1024,
        };
        change(&mut settings);
        let inbox = Inbox::new(settings, bundle_settings(), engine.clone());
        Self { dir, engine, inbox }
    }

    /// A file that nobody has written to for a long time.
    fn drop(&self, name: impl AsRef<OsStr>, content: impl AsRef<[u8]>) {
        let path = self.dir.path().join(name.as_ref());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        File::options().append(true).open(path).unwrap().set_modified(long_ago()).unwrap();
    }

    fn drop_event(&self, name: impl AsRef<OsStr>, event: &str) {
        self.drop(name, incident(event));
    }

    /// The pass that sees the files, and the one that takes them.
    async fn two_passes(&mut self) -> PassSummary {
        self.inbox.pass().await;
        self.inbox.pass().await
    }

    fn list(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path().join(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.dir.path().join(path)).expect(path)
    }

    /// The files directly in the inbox.
    fn left(&self) -> Vec<String> {
        let folders = ["attachments", "done", "quarantine"];
        self.list(".").into_iter().filter(|name| !folders.contains(&name.as_str())).collect()
    }
}

fn long_ago() -> SystemTime {
    SystemTime::now() - Duration::from_secs(3600)
}

fn incident(event: &str) -> String {
    format!(r#"{{"event":{{"host_event_id":"{event}","synopsis":"Chassis alarm"}}}}"#)
}

fn incident_listing(event: &str, names: &[&str]) -> String {
    let files: Vec<_> = names.iter().map(|name| format!(r#"{{"name":"{name}","listed":true}}"#)).collect();
    format!(r#"{{"event":{{"host_event_id":"{event}","synopsis":"s"}},"files":[{}]}}"#, files.join(","))
}

#[tokio::test]
async fn a_01_one_valid_bundle_makes_one_incident() {
    let mut place = Place::new();
    place.drop("event.xml", sample("bundles/event.xml"));
    let summary = place.two_passes().await;
    assert_eq!(summary, PassSummary { deposited: 1, ..PassSummary::default() });
    assert_eq!(place.engine.events(), ["edge1-JN11A2B3C-20261121-120000-1"]);
    assert_eq!(place.list("done"), ["event.xml"]);
    assert_eq!(place.inbox.pass().await, PassSummary::default());
}

#[tokio::test]
async fn a_02_what_was_there_before_the_start_and_what_comes_later_are_taken_once_each() {
    let mut place = Place::new();
    place.drop_event("first.json", "e-1");
    place.two_passes().await;
    place.drop_event("second.json", "e-2");
    place.two_passes().await;
    let Place { dir, engine, .. } = place;
    let settings = settings::Inbox {
        dir: dir.path().to_owned(),
        group: None,
        poll_interval: Duration::ZERO,
        settle: SETTLE,
        max_bytes: 1024,
        max_attachment_bytes: 1024,
    };
    let mut restarted = Inbox::new(settings, bundle_settings(), engine.clone());
    restarted.pass().await;
    assert_eq!(restarted.pass().await, PassSummary::default());
    assert_eq!(engine.events(), ["e-1", "e-2"]);
}

#[tokio::test]
async fn a_03_incidents_get_the_group_of_their_inbox_and_another_is_refused() {
    let mut place = Place::with(|settings| settings.group = Some("north".into()));
    place.drop_event("a.json", "e-1");
    place.drop("b.json", r#"{"event":{"host_event_id":"e-2","synopsis":"s"},"group":"south"}"#);
    place.two_passes().await;
    assert_eq!(place.engine.deposits.lock().unwrap()[0].group.as_deref(), Some("north"));
    assert!(place.text("quarantine/b.json.reason").contains("the group \"south\""));
}

#[tokio::test]
async fn a_07_the_same_event_twice_is_one_incident_and_both_files_are_done() {
    let mut place = Place::new();
    place.drop_event("a.json", "e-1");
    place.drop_event("b.json", "e-1");
    assert_eq!(place.two_passes().await, PassSummary { deposited: 1, known: 1, ..PassSummary::default() });
    place.drop_event("a.json", "e-1");
    place.drop_event("c.json", "e-2");
    assert_eq!(place.two_passes().await, PassSummary { deposited: 1, known: 1, ..PassSummary::default() });
    assert_eq!(place.list("done"), ["a.json", "a.json.1", "b.json", "c.json"]);
    assert_eq!(place.engine.events(), ["e-1", "e-2"]);
}

#[tokio::test]
async fn a_12_bad_deposits_are_set_apart_and_later_good_ones_go_on() {
    let mut place = Place::new();
    let bad = ["malformed.xml", "missing_synopsis.xml", "unknown_root.xml", "utf16.xml", "entity_bomb.xml"];
    for name in bad {
        place.drop(name, sample(&format!("bundles/bad/{name}")));
    }
    place.drop_event("zz.json", "e-1");
    let summary = place.two_passes().await;
    assert_eq!((summary.quarantined, summary.deposited), (bad.len(), 1));
    for name in bad {
        let kept = fs::read(place.dir.path().join("quarantine").join(name)).unwrap();
        assert_eq!(kept, sample(&format!("bundles/bad/{name}")), "{name}: the original bytes");
        let expected = String::from_utf8(sample(&format!("bundles/bad/{name}.expected"))).unwrap();
        let reason = place.text(&format!("quarantine/{name}.reason"));
        let (what, remedy) = expected.trim_end().split_once('\n').unwrap();
        assert!(reason.contains(&format!("file: {name}\nreason: {what}\nremedy: {remedy}\n")), "{reason}");
    }
    assert!(place.left().is_empty());
}

#[tokio::test]
async fn a_12_a_huge_file_is_set_apart_without_being_read() {
    let mut place = Place::new();
    place.drop("huge.xml", "");
    // A sparse file: reading a terabyte would not end well.
    let huge = File::options().write(true).open(place.dir.path().join("huge.xml")).unwrap();
    huge.set_len(1 << 40).unwrap();
    huge.set_modified(long_ago()).unwrap();
    assert_eq!(place.two_passes().await.quarantined, 1);
    let reason = place.text("quarantine/huge.xml.reason");
    for part in ["has 1099511627776 bytes; at most 1048576 are read", "held in memory as a whole", "raise max_size"] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
}

#[tokio::test]
async fn a_12_hostile_names_are_made_harmless() {
    let mut place = Place::new();
    let long = "x".repeat(240) + ".json";
    let names: [&[u8]; 4] = [b"-rf\n\x1b[31m.json", b"\xff\xfe.json", "störung.json".as_bytes(), long.as_bytes()];
    for (number, name) in names.iter().enumerate() {
        place.drop_event(OsStr::from_bytes(name), &format!("e-{number}"));
    }
    place.drop(OsStr::from_bytes(b"bad\n.json"), "{");
    let summary = place.two_passes().await;
    assert_eq!((summary.deposited, summary.quarantined), (4, 1));
    for name in [place.list("done"), place.list("quarantine")].concat() {
        assert!(name.len() <= 150 && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name}");
    }
    assert!(place.text("quarantine/bad%0A.json.reason").contains("file: bad\\n.json\n"));
}

#[tokio::test]
async fn a_file_that_is_still_written_is_left_alone() {
    let mut place = Place::new();
    let path = place.dir.path().join("a.json");
    fs::write(&path, "{\"event\":").unwrap();
    let start = fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(place.inbox.pass_at(start).await.waiting, 1);
    assert_eq!(place.inbox.pass_at(start + SETTLE / 2).await.waiting, 1, "too young");
    place.drop_event("a.json", "e-1");
    assert_eq!(place.inbox.pass_at(start + SETTLE * 2).await.waiting, 1, "it changed since the last look");
    assert_eq!(place.inbox.pass_at(start + SETTLE * 3).await.deposited, 1);
}

#[tokio::test]
async fn names_that_say_unfinished_are_left_alone() {
    let mut place = Place::new();
    for name in [".hidden.xml", "a.xml.part", "b.tmp"] {
        place.drop(name, "x");
    }
    assert_eq!(place.two_passes().await, PassSummary::default());
    assert_eq!(place.left().len(), 3);
}

#[tokio::test]
async fn only_regular_files_are_taken() {
    let mut place = Place::new();
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), incident("stolen")).unwrap();
    symlink(outside.path(), place.dir.path().join("link.json")).unwrap();
    fs::create_dir(place.dir.path().join("directory.json")).unwrap();
    let _socket = UnixListener::bind(place.dir.path().join("socket.json")).unwrap();
    assert_eq!(place.two_passes().await, PassSummary::default());
    assert_eq!(place.left(), ["directory.json", "link.json", "socket.json"]);
}

#[tokio::test]
async fn a_file_that_vanishes_is_no_fault() {
    let mut place = Place::new();
    place.drop_event("a.json", "e-1");
    place.inbox.pass().await;
    fs::remove_file(place.dir.path().join("a.json")).unwrap();
    assert_eq!(place.inbox.pass().await, PassSummary::default());
    // Between the look and the reading:
    place.drop_event("b.json", "e-2");
    place.inbox.pass().await;
    let (folders, look) = place.inbox.look(SystemTime::now()).await.unwrap();
    fs::remove_file(place.dir.path().join("b.json")).unwrap();
    let mut summary = PassSummary::default();
    place.inbox.take(&folders, look.ready, SystemTime::now(), &mut summary).await;
    assert_eq!(summary, PassSummary::default());
}

#[tokio::test]
async fn an_unreadable_file_is_set_apart() {
    let mut place = Place::new();
    place.drop_event("a.json", "e-1");
    place.drop_event("b.json", "e-2");
    let path = place.dir.path().join("a.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if File::open(&path).is_ok() {
        return; // The superuser may read everything.
    }
    let summary = place.two_passes().await;
    assert_eq!((summary.quarantined, summary.deposited), (1, 1));
    assert!(place.text("quarantine/a.json.reason").contains("permission denied"));
}

#[tokio::test]
async fn a_file_that_cannot_be_moved_rests_and_the_others_go_on() {
    let mut place = Place::new();
    place.drop_event("a.json", "e-1");
    place.inbox.pass().await;
    let error = io::Error::other("the disk is read-only");
    let mut summary = PassSummary::default();
    place.inbox.stick(OsStr::new("a.json"), &error, &mut summary);
    assert_eq!(summary.stuck, 1);
    place.drop_event("b.json", "e-2");
    place.two_passes().await;
    assert_eq!(place.engine.events(), ["e-2"]);
    for _ in 0..REST_PASSES {
        place.inbox.pass().await;
    }
    assert_eq!(place.engine.events(), ["e-2", "e-1"]);
}

#[tokio::test]
async fn a_busy_store_ends_the_pass_and_nothing_is_lost() {
    let mut place = Place::new();
    place.drop_event("a.json", "e-1");
    place.drop("b.json", "{");
    place.engine.fail(DepositError::Transient("database is locked".into()));
    let summary = place.two_passes().await;
    assert_eq!(summary, PassSummary { delayed: true, quarantined: 1, ..PassSummary::default() });
    assert_eq!(place.left(), ["a.json"]);
    assert_eq!(place.inbox.pass().await.deposited, 1);
    assert!(place.left().is_empty());
}

#[tokio::test]
async fn a_refused_deposit_is_set_apart_alone() {
    let mut place = Place::new();
    for number in 0..3 {
        place.drop_event(format!("{number}.json"), &format!("e-{number}"));
    }
    *place.engine.refused.lock().unwrap() = Some("e-1".into());
    let summary = place.two_passes().await;
    assert_eq!((summary.deposited, summary.quarantined), (2, 1));
    assert_eq!(*place.engine.batches.lock().unwrap(), [3, 1, 1, 1]);
    assert!(place.text("quarantine/1.json.reason").contains("the device is not known here"));
}

#[tokio::test]
async fn a_crash_before_the_move_brings_the_deposit_again() {
    let mut place = Place::new();
    place.drop_event("a.json", "e-1");
    let deposit = read(incident("e-1").as_bytes(), &bundle_settings()).unwrap();
    place.engine.deposit(vec![deposit]).await.unwrap();
    assert_eq!(place.two_passes().await.known, 1);
    assert_eq!(place.list("done"), ["a.json"]);
}

#[tokio::test]
async fn a_pass_is_bounded_goes_by_name_and_deposits_in_batches() {
    let mut place = Place::new();
    for number in 0..PASS_LIMIT + 50 {
        place.drop_event(format!("{number:05}.json"), &format!("e-{number:05}"));
    }
    let summary = place.two_passes().await;
    assert_eq!((summary.deposited, summary.more), (PASS_LIMIT, true));
    assert_eq!(*place.engine.batches.lock().unwrap(), [CHUNK_FILES; PASS_LIMIT / CHUNK_FILES]);
    let summary = place.inbox.pass().await;
    assert_eq!((summary.deposited, summary.more), (50, false));
    let events = place.engine.events();
    assert!(events.is_sorted() && events.len() == PASS_LIMIT + 50);
    const { assert!(WATCH_LIMIT >= PASS_LIMIT) };
}

#[test]
fn a_chunk_is_bounded_in_bytes_and_never_empty() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let file = File::create(&path).unwrap();
    let sized = |bytes: u64| {
        file.set_len(bytes).unwrap();
        let print = crate::inbox::settled::Print::of(&fs::metadata(&path).unwrap());
        Candidate { name: "a".into(), print }
    };
    let files = vec![sized(CHUNK_BYTES * 2), sized(1), sized(CHUNK_BYTES - 1), sized(1)];
    let sizes: Vec<_> = chunks(files).iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 2, 1]);
}

#[tokio::test]
async fn a_missing_inbox_is_reported_and_taken_up_again() {
    let mut place = Place::new();
    let dir = place.dir.path().to_owned();
    fs::remove_dir(&dir).unwrap();
    assert!(place.inbox.pass().await.blocked);
    assert!(place.inbox.pass().await.blocked);
    assert_eq!(*place.engine.blocked.lock().unwrap(), [true], "once");
    fs::create_dir(&dir).unwrap();
    place.drop_event("a.json", "e-1");
    assert_eq!(place.two_passes().await.deposited, 1);
    assert_eq!(*place.engine.blocked.lock().unwrap(), [true, false]);
}

#[tokio::test]
async fn a_02_a_file_that_is_written_over_while_its_deposit_is_stored_is_read_as_well() {
    let mut place = Place::new();
    place.drop_event("latest.json", "e-1");
    let path = place.dir.path().join("latest.json");
    let next = fs::read_to_string(&path).unwrap().replace("e-1", "e-2");
    *place.engine.overwritten.lock().unwrap() = Some((path, next));
    place.two_passes().await;
    assert_eq!(place.engine.events(), ["e-1"]);
    place.two_passes().await;
    assert_eq!(place.engine.events(), ["e-1", "e-2"], "it came under the same name, and is another one");
    assert_eq!(fs::read_dir(place.dir.path().join("done")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_stop_ends_the_watcher() {
    let place = Place::new();
    let stop = CancellationToken::new();
    stop.cancel();
    place.inbox.run(stop).await;
}

#[tokio::test]
async fn the_watcher_takes_deposits_until_it_is_stopped() {
    let place = Place::with(|settings| settings.poll_interval = Duration::ZERO);
    place.drop_event("a.json", "e-1");
    let stop = CancellationToken::new();
    let running = tokio::spawn(place.inbox.run(stop.clone()));
    let deposited = async {
        while place.engine.events().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), deposited).await.unwrap();
    stop.cancel();
    running.await.unwrap();
    assert_eq!(place.engine.events(), ["e-1"]);
}

#[tokio::test]
async fn a_09_listed_files_that_are_there_are_added_right_after_the_deposit() {
    let mut place = Place::new();
    place.drop("a.json", incident_listing("edge1/x-1", &["messages", "chassisd.log", "missing"]));
    place.drop("attachments/edge1%2Fx-1/messages", "one");
    place.drop("attachments/chassisd.log", "two");
    place.drop("attachments/other", "three");
    place.two_passes().await;
    assert_eq!(place.engine.added(), [(1, b"one".to_vec()), (2, b"two".to_vec())]);
    assert_eq!(place.list("done"), ["a.json", "edge1%2Fx-1.chassisd.log", "edge1%2Fx-1.messages"]);
    assert_eq!(place.list("attachments"), ["edge1%2Fx-1", "other"]);
}

#[tokio::test]
async fn a_13_an_attachment_that_comes_late_is_added_to_its_incident() {
    let mut place = Place::new();
    place.drop("a.json", incident_listing("e-1", &["messages"]));
    place.two_passes().await;
    assert_eq!(place.inbox.fetch_awaited().await, FetchSummary { awaited: 1, ..FetchSummary::default() });

    place.drop("attachments/e-1/messages", "late");
    place.engine.fail(DepositError::Transient("down".into()));
    assert!(place.inbox.fetch_awaited().await.delayed);
    assert!(place.engine.added().is_empty());

    let attachments = place.inbox.attachments();
    assert_eq!(attachments.fetch_awaited().await, FetchSummary { awaited: 1, added: 1, delayed: false });
    assert_eq!(place.engine.added(), [(1, b"late".to_vec())]);
    assert_eq!(attachments.fetch_awaited().await, FetchSummary::default());
    assert_eq!(place.engine.events(), ["e-1"], "no second incident");
}

#[tokio::test]
async fn a_13_only_settled_regular_files_of_the_own_group_are_added() {
    let mut place = Place::with(|settings| settings.group = Some("north".into()));
    place.drop("a.json", incident_listing("e-1", &["young", "link", "big", "kept"]));
    place.two_passes().await;
    fs::write(place.dir.path().join("attachments/young"), "x").unwrap();
    symlink("/etc/passwd", place.dir.path().join("attachments/link")).unwrap();
    place.drop("attachments/big", vec![0; 1024 * 1024 + 1]);
    place.drop("attachments/kept", "x");
    place.engine.awaited.lock().unwrap()[3].group = Some("south".into());
    assert_eq!(place.inbox.fetch_awaited().await, FetchSummary { awaited: 4, ..FetchSummary::default() });
    assert_eq!(place.list("attachments").len(), 4);
}

#[tokio::test]
async fn a_13_a_path_in_a_name_leads_nowhere() {
    let mut place = Place::new();
    place.drop("a.json", incident_listing("..", &["../secret", "fine"]));
    place.drop("secret", "not an incident, and not an attachment either");
    place.two_passes().await;
    let deposits = place.engine.deposits.lock().unwrap();
    assert!(matches!(&deposits[0].files[0].content, FileContent::Failed { .. }));
    assert_eq!(place.engine.awaited.lock().unwrap().len(), 1);
    assert!(place.engine.added().is_empty());
}

#[tokio::test]
async fn a_13_a_refused_attachment_is_set_apart() {
    let mut place = Place::new();
    place.drop("a.json", incident_listing("e-1", &["messages"]));
    place.two_passes().await;
    place.drop("attachments/messages", "late");
    // The search succeeds, the adding is refused.
    place.engine.fail_second(DepositError::Refused("the incident is closed".into()));
    assert_eq!(place.inbox.fetch_awaited().await.added, 0);
    assert!(place.text("quarantine/e-1.messages.reason").contains("the incident is closed"));
}

#[tokio::test]
async fn a_13_many_awaited_attachments_are_looked_through_in_pages() {
    let mut place = Place::new();
    let names: Vec<String> = (0..250).map(|number| format!("log.{number}")).collect();
    place.drop("a.json", incident_listing("e-1", &names.iter().map(String::as_str).collect::<Vec<_>>()));
    place.two_passes().await;
    place.drop("attachments/e-1/log.249", "last");
    let summary = place.inbox.fetch_awaited().await;
    assert_eq!(summary, FetchSummary { awaited: 250, added: 1, delayed: false });
}
