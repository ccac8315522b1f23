//! A directory, and a taker that can be told to fail.

use std::collections::VecDeque;
use std::fs;
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::case::IncidentId;
use crate::inbox::mail::{Envelope, Letter};

#[derive(Default)]
struct Taker {
    taken: Mutex<Vec<String>>,
    failures: Mutex<VecDeque<Untaken>>,
    heard: Mutex<Vec<SystemTime>>,
    overlooked: Mutex<Vec<usize>>,
    held: Mutex<Vec<String>>,
    blocked: Mutex<Vec<bool>>,
}

#[async_trait::async_trait]
impl MailTaker for Taker {
    async fn take(&self, letter: Letter, _: &str) -> Result<Taken, Untaken> {
        if let Some(failure) = self.failures.lock().unwrap().pop_front() {
            return Err(failure);
        }
        self.taken.lock().unwrap().push(letter.id);
        Ok(Taken::Comment(IncidentId(1)))
    }

    async fn held(&self, envelope: Envelope, fault: &MailFault, file: &str) -> Result<(), Untaken> {
        self.held.lock().unwrap().push(format!("{} {file}: {fault}", envelope.from.as_str()));
        Ok(())
    }

    fn heard(&self, through: SystemTime) {
        self.heard.lock().unwrap().push(through);
    }

    fn overlooks(&self, mails: usize) {
        self.overlooked.lock().unwrap().push(mails);
    }

    fn blocked(&self, reason: Option<&str>) {
        self.blocked.lock().unwrap().push(reason.is_some());
    }
}

struct Place {
    dir: tempfile::TempDir,
    taker: Arc<Taker>,
    inbox: MailInbox,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings::MailInbox {
            dir: dir.path().to_owned(),
            poll_interval: Duration::from_secs(1),
            settle: Duration::ZERO,
            max_bytes: 1000,
            links_per_hour: 1,
            answers_per_hour: 1,
        };
        let taker = Arc::new(Taker::default());
        let inbox = MailInbox::new(settings, taker.clone());
        Self { dir, taker, inbox }
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    /// Two looks: a file is read when it was the same at the look before.
    async fn pass(&mut self) -> MailSummary {
        let stop = CancellationToken::new();
        self.inbox.pass(&stop).await;
        self.inbox.pass(&stop).await
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path().join(folder)).unwrap();
        let files = entries.map(|entry| entry.unwrap()).filter(|entry| entry.file_type().unwrap().is_file());
        let mut names: Vec<String> = files.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn mail(id: &str) -> String {
    format!("From: a@b.example\nMessage-ID: <{id}>\n\nx\n")
}

#[tokio::test]
async fn r_02_a_mail_is_taken_and_moved_to_done_and_a_hostile_one_to_quarantine_with_the_reason() {
    let mut place = Place::new();
    place.put("1", &mail("one"));
    place.put("2", "From: a@b.example\nFrom: c@d.example\n\nx");
    place.put("3", &"x".repeat(1001));
    place.put("5", &format!("{}{}", mail("five"), "x".repeat(1001)));
    place.put("4", &mail("four"));
    let summary = place.pass().await;
    assert_eq!((summary.taken, summary.quarantined, summary.delayed), (2, 3, false));
    assert_eq!((place.names("done"), place.names("")), (vec!["1".into(), "4".into()], vec![]));
    assert_eq!(place.names("quarantine"), ["2", "2.reason", "3", "3.reason", "5", "5.reason"]);
    assert_eq!(*place.taker.held.lock().unwrap(), ["a@b.example 5: it has 1041 bytes; at most 1000 are allowed"]);
    let reason = fs::read_to_string(place.dir.path().join("quarantine/2.reason")).unwrap();
    assert!(reason.contains("more than one sender") && reason.contains("remedy: "), "{reason}");
}

#[tokio::test]
async fn in_a_maildir_what_is_new_is_read_and_what_is_being_written_is_not() {
    let mut place = Place::new();
    for folder in ["new", "cur", "tmp"] {
        fs::create_dir(place.dir.path().join(folder)).unwrap();
    }
    place.put("new/1795.M1P2.host", &mail("one"));
    place.put("tmp/1795.M2P2.host", &mail("two"));
    assert_eq!(place.pass().await.taken, 1);
    assert_eq!(place.taker.taken.lock().unwrap().len(), 1);
    assert_eq!((place.names("done").len(), place.names("tmp").len(), place.names("new").len()), (1, 1, 0));
}

#[tokio::test]
async fn while_the_store_is_busy_mails_wait_and_one_for_a_person_is_held() {
    let mut place = Place::new();
    place.taker.failures.lock().unwrap().push_back(Untaken::Later("busy".into()));
    place.put("1", &mail("one"));
    let summary = place.pass().await;
    assert!(summary.delayed && summary.taken == 0 && place.names("") == ["1"]);
    place.taker.failures.lock().unwrap().push_back(Untaken::Held(MailFault::Stranger { incident: 7 }));
    place.pass().await;
    assert_eq!((place.names(""), place.names("done")), (vec![], vec![]));
    let reason = fs::read_to_string(place.dir.path().join("quarantine/1.reason")).unwrap();
    assert!(reason.contains("case 7") && reason.contains("casebridge party add"), "{reason}");
}

#[tokio::test]
async fn no_mail_is_read_through_a_link() {
    let mut place = Place::new();
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    fs::write(elsewhere.path(), mail("one")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), place.dir.path().join("1")).unwrap();
    assert_eq!(place.pass().await.taken, 0);
    assert!(fs::symlink_metadata(place.dir.path().join("1")).unwrap().is_symlink(), "it stays, and is told of");
}

/// A look says up to when everything was read: not past a mail that was seen and not taken yet.
#[tokio::test]
async fn r_05_what_stands_in_the_directory_is_heard_once_it_was_taken() {
    let mut place = Place::new();
    let stop = CancellationToken::new();
    let heard = |place: &Place| place.taker.heard.lock().unwrap().last().copied();
    let now = SystemTime::now();
    place.put("1", &mail("one"));
    place.inbox.pass(&stop).await;
    assert_eq!(heard(&place), None, "it was there before the first look");
    place.taker.failures.lock().unwrap().push_back(Untaken::Later("busy".into()));
    assert!(place.inbox.pass(&stop).await.delayed);
    assert_eq!(heard(&place), None, "it was not taken");
    place.inbox.pass(&stop).await;
    let first = heard(&place).unwrap();
    assert!(first >= now, "everything is taken");
    place.put("2", &mail("two"));
    place.inbox.pass(&stop).await;
    assert_eq!(heard(&place), Some(first), "another one came since");
    // Whatever came meanwhile, what was there before is taken.
    place.put("3", &mail("three"));
    place.inbox.pass(&stop).await;
    let second = heard(&place).unwrap();
    assert!(second > first);
    fs::rename(place.dir.path(), place.dir.path().with_extension("away")).unwrap();
    fs::write(place.dir.path(), "no directory").unwrap();
    place.inbox.pass(&stop).await;
    assert_eq!(heard(&place), Some(second), "it cannot be read");
    assert_eq!(*place.taker.blocked.lock().unwrap(), [true]);
    fs::remove_file(place.dir.path()).unwrap();
    fs::rename(place.dir.path().with_extension("away"), place.dir.path()).unwrap();
    place.inbox.pass(&stop).await;
    assert_eq!(heard(&place), Some(second), "nobody knows since when they are there");
    assert_eq!(*place.taker.blocked.lock().unwrap(), [true, false]);
    place.inbox.pass(&stop).await;
    assert!(heard(&place).unwrap() > second);
}

/// An IMAP server moves to `cur` whatever somebody has had a look at.
#[tokio::test]
async fn r_02_mails_of_a_maildir_that_somebody_has_looked_at_are_told_of_and_left_alone() {
    let mut place = Place::new();
    for folder in ["new", "tmp", "cur"] {
        fs::create_dir(place.dir.path().join(folder)).unwrap();
    }
    place.put("new/1", &mail("one"));
    assert_eq!(place.pass().await.taken, 1);
    assert_eq!(*place.taker.overlooked.lock().unwrap(), [0; 0]);
    place.put("cur/2:2,S", &mail("two"));
    place.put("cur/3:2,", &mail("three"));
    place.put("cur/.index", "");
    assert_eq!(place.pass().await.taken, 0);
    assert_eq!(*place.taker.overlooked.lock().unwrap(), [2], "once");
    assert_eq!(place.names("cur"), [".index", "2:2,S", "3:2,"]);
    for name in ["2:2,S", "3:2,"] {
        fs::rename(place.dir.path().join("cur").join(name), place.dir.path().join("new").join(name)).unwrap();
    }
    assert_eq!(place.pass().await.taken, 2);
    assert_eq!(*place.taker.overlooked.lock().unwrap(), [2, 0]);
}
