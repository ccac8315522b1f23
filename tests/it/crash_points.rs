//! The crash matrix (invariants 1 and 2): a site dies at each of the build's crash points, alone and while the other site
//! dies at one of its own, again and again in one story. `CASEBRIDGE_CRASH_PAIRS=all cargo test --test it crash_points`
//! runs every pair; without it each point meets some of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use casebridge::telemetry::CrashPoint;
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::support::attachment::noise;
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::receiver::{Mood, Receiver, SECRET};
use crate::support::relay::{Relayed, Said, Twist};
use crate::support::site::write_secret;
use crate::support::{Pair, Site, eventually};

/// What an end user passes in one round. The number is the pass, where the first one lies in the start.
const END_USER: [&str; 27] = [
    "StoreCommitting:2",
    "StoreDeposited",
    "CasesTimed",
    "StoreWritten",
    "AttachmentDecided",
    "ContentAppended",
    "AttachmentGone",
    "StateApplied:3",
    "StateSynced:4",
    "StateFlushed:5",
    "DepositMoved",
    "ReasonWritten",
    "QuarantineMoved",
    "DepositStored",
    "HeldMarked",
    "DetectCommitted",
    "PushAnswered",
    "TransactionWrittenBack",
    "AnswerCommitted",
    "FeedAnswered:2",
    "FeedWrittenBack",
    "FeedCommitted:2",
    "FeedAcknowledged:2",
    "StateApplied:9",
    "DeadlinesRefreshed",
    "DeadlineFound",
    "DeadlineNoted",
];

/// What a partner passes.
const PARTNER: [&str; 22] = [
    "StoreCommitting:2",
    "StoreOpened",
    "StoreWritten",
    "AttachmentDecided",
    "ContentAppended",
    "AttachmentGone",
    "StateApplied:3",
    "StateSynced:4",
    "StateFlushed:5",
    "OperationsAnswered",
    "UpdatesAnswered",
    "TakenTold",
    "HeldMarked",
    "DetectCommitted",
    "IncidentOpened",
    "OpenCommitted",
    "OperationApplied",
    "ApplyCommitted",
    "ReactionsQueued",
    "ReactionBegun",
    "ReactionDone",
    "ReactionEnded",
];

/// What the end user promises on each case. Those that are entered in a round are two hours old.
const PROMISES: &str = r#"
[schedule]
sla_check = "* * * * * *"
[[sla]]
name = "mend"
within = "1h"
[[solution]]
name = "Hardware"
[[process]]
name = "Repair"
solution = "Hardware"
[[case_type]]
name = "Chassis"
process = "Repair"
slas = ["mend"]
"#;

/// The points off this road, and whose story each is.
const ELSEWHERE: [(CrashPoint, &str); 24] = [
    (CrashPoint::EventsPassed, "tests/it/reactions.rs"),
    (CrashPoint::ReactionsSet, "tests/it/reactions.rs"),
    (CrashPoint::MailTaken, "tests/it/pages.rs"),
    (CrashPoint::FormTaken, "tests/it/pages.rs"),
    (CrashPoint::ReceiptKept, "tests/it/history.rs"),
    (CrashPoint::ReceiptMarked, "tests/it/history.rs"),
    (CrashPoint::KeySet, "tests/it/history.rs"),
    (CrashPoint::StateCreated, "tests/it/crash_points.rs"),
    (CrashPoint::AttachmentAdded, "tests/it/crash_points.rs"),
    (CrashPoint::ContentBegun, "tests/it/crash_points.rs"),
    (CrashPoint::AttachmentGivenUp, "tests/it/crash_points.rs"),
    (CrashPoint::StoreLinked, "tests/it/link.rs"),
    (CrashPoint::ReceivedCommitted, "tests/it/kill.rs"),
    (CrashPoint::AdoptedPage, "tests/it/relay_kill.rs"),
    (CrashPoint::Reconciled, "tests/it/reconcile.rs"),
    (CrashPoint::PartyChanged, "tests/it/mail.rs"),
    (CrashPoint::MailQueued, "tests/it/mail.rs"),
    (CrashPoint::MailAccepted, "tests/it/mail.rs"),
    (CrashPoint::MailSettled, "tests/it/mail.rs"),
    (CrashPoint::StepTaken, "tests/it/mail.rs"),
    (CrashPoint::ReminderMoved, "tests/it/mail.rs"),
    (CrashPoint::ClosingsQueued, "tests/it/deadlines.rs"),
    (CrashPoint::ClosingSettled, "tests/it/deadlines.rs"),
    (CrashPoint::CaseClosed, "tests/it/deadlines.rs"),
];

fn name(point: &str) -> &str {
    point.split_once(':').map_or(point, |(name, _)| name)
}

/// Where the build passes each point, by name.
fn passed_in(dir: &Path, found: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            passed_in(&path, found);
        } else if !path.ends_with("telemetry/crash.rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for part in text.split("CrashPoint::").skip(1) {
                let name = part.chars().take_while(|letter| letter.is_alphanumeric()).collect();
                found.entry(name).or_default().insert(path.display().to_string());
            }
        }
    }
}

/// Prints the list: `cargo test --test it crash_points::every -- --nocapture`.
#[test]
fn every_point_of_the_build_has_its_place_and_a_story_in_which_a_site_dies_there() {
    let mut places = BTreeMap::new();
    passed_in(Path::new("src"), &mut places);
    for point in CrashPoint::ALL {
        let place = places.get(&point.name()).unwrap_or_else(|| panic!("{point:?} lies nowhere"));
        let on_the_road = END_USER.iter().chain(&PARTNER).any(|one| name(one) == point.name());
        let story = ELSEWHERE.iter().find(|(one, _)| *one == point).map(|(_, story)| *story);
        assert!(on_the_road != story.is_some(), "{point:?} has one story");
        if let Some(story) = story {
            let text = std::fs::read_to_string(story).unwrap();
            assert!(text.contains(&format!("\"{}", point.name())), "{point:?} is in {story}");
        }
        let places: Vec<&str> = place.iter().map(String::as_str).collect();
        println!("{:<24} {:<40} {}", point.name(), places.join(", "), story.unwrap_or("the matrix"));
    }
}

/// A pair that dies round after round, what it was given, and who hears of each incident at the partner.
struct Chain {
    pair: Pair,
    receiver: Receiver,
    rounds: i64,
}

impl Chain {
    async fn begin() -> Self {
        let receiver = Receiver::new(Mood::Takes).await;
        let (end_user, partner) =
            (format!("{SUBMIT_ALL}{PROMISES}"), format!("{ACCEPT_ALL}{}", receiver.target("desk")));
        let mut pair = Pair::new(Plan { end_user: &end_user, partner: &partner }).await;
        write_secret(&pair.partner.path("whsec"), SECRET);
        pair.partner.start().await;
        let reaction = json!({"name": "new", "trigger": "incident_detected", "actions": [{"target": "desk"}]});
        let add = json!({"operator": "anna", "change": {"do": "add", "reaction": reaction}});
        pair.partner.act("/v1/reactions", add).await;
        pair.end_user.start().await;
        pair.end_user.insert(0, 1).await;
        pair.wait_all_open(1).await;
        pair.end_user.kill();
        pair.partner.kill();
        Self { pair, receiver, rounds: 0 }
    }

    /// Something of everything, while both are down.
    async fn give(&self) {
        let (end_user, partner, round) = (&self.pair.end_user, &self.pair.partner, self.rounds);
        end_user.insert(1000 + round as usize, 1).await;
        let entered = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 hours') WHERE id = (SELECT max(id) FROM incident)";
        end_user.execute(format!("UPDATE incident SET created_at = {entered}")).await;
        end_user.execute(self.step()).await;
        let bundle = std::fs::read_to_string("tests/data/bundles/event.xml").unwrap();
        let bundle = bundle.replace("120000-1</host-event-id>", &format!("120000-{}</host-event-id>", round + 100));
        std::fs::write(end_user.path(&format!("inbox/good-{round}.xml")), bundle).unwrap();
        std::fs::write(end_user.path(&format!("inbox/bad-{round}.xml")), "<no bundle>").unwrap();
        let comment = format!("INSERT INTO comment (incident, author, text) VALUES (1, 'anna', 'still down {round}')");
        end_user.execute(comment).await;
        end_user.attach(1, &format!("up-{round}"), &noise(round as u64 + 1, 3000)).await;
        partner.execute(format!("UPDATE incident SET case_status = 'round {round}' WHERE id = 1")).await;
        partner.attach(1, &format!("down-{round}"), &noise(round as u64 + 1_000_000, 3000)).await;
    }

    /// A step of the first case, by SQL: its deadlines have to be computed anew.
    fn step(&self) -> String {
        format!("INSERT INTO milestone (incident, fact) VALUES (1, '{{\"named\":\"round {}\"}}')", self.rounds)
    }

    /// Each of the two dies at its point, in whichever order, and is started again while the other goes on.
    async fn round(&mut self, at_end_user: Option<&str>, at_partner: Option<&str>) {
        self.rounds += 1;
        self.give().await;
        let step = self.step();
        let mut sites = [(&mut self.pair.partner, at_partner), (&mut self.pair.end_user, at_end_user)];
        for (site, point) in &mut sites {
            if let Some(point) = point {
                site.crash_at(point);
            }
            site.spawn();
        }
        for look in 1..=3000 {
            for (site, point) in &mut sites {
                if !site.is_running() {
                    assert!(point.take().is_some(), "{} died once, in round {}", site.alias, self.rounds);
                    site.kill();
                    site.spawn();
                }
            }
            if sites.iter().all(|(_, point)| point.is_none()) {
                break;
            }
            // Any other write computes the deadlines along with its own; this point is passed where none was first.
            if look % 50 == 0 && sites.iter().any(|(_, point)| *point == Some("DeadlinesRefreshed")) {
                let end_user = &sites[1].0;
                end_user.execute(step.clone()).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for (site, point) in sites {
            assert_eq!(point, None, "{} came to this point in round {}", site.alias, self.rounds);
            site.kill();
        }
    }

    /// Both records are whole, and nothing is there twice.
    async fn end(mut self) {
        self.pair.partner.start().await;
        self.pair.end_user.start().await;
        let Self { pair, receiver, rounds } = self;
        let (end_user, partner) = (&pair.end_user, &pair.partner);
        pair.wait_all_open(1 + 2 * rounds).await;
        for site in [end_user, partner] {
            eventually("what was missed at both sites", || async {
                let missed = "SELECT count(*) FROM milestone WHERE fact ->> '$.deadline.passed' = 'violated'";
                (site.count(missed).await == rounds).then_some(())
            })
            .await;
        }
        let told = || {
            let told: BTreeSet<(i64, String)> =
                receiver.hits().iter().map(|hit| (hit.incident(), hit.id().to_owned())).collect();
            told.into_iter().map(|(incident, _)| incident).collect::<Vec<_>>()
        };
        eventually("each incident to be told of", || async { (told().len() as i64 > 2 * rounds).then_some(()) }).await;
        for site in [end_user, partner] {
            eventually("the comments", || async { (all_of(site, "comment").await == rounds).then_some(()) }).await;
            eventually("the files of both sites", || async {
                let stored = "SELECT count(*) FROM attachment WHERE state = 'stored' AND incident = 1";
                (site.count(stored).await == 2 * rounds).then_some(())
            })
            .await;
        }
        let status = format!("SELECT count(*) FROM incident WHERE id = 1 AND case_status = 'round {rounds}'");
        eventually("the last status", || async {
            let store = end_user.store().await;
            let count: i64 = sqlx::query_scalar(AssertSqlSafe(status.clone())).fetch_one(&store).await.unwrap();
            store.close().await;
            (count == 1).then_some(())
        })
        .await;
        pair.at_rest(1 + 2 * rounds).await;
        for site in [end_user, partner] {
            assert_eq!(all_of(site, "comment").await, rounds, "no comment is doubled at {}", site.alias);
            assert_eq!(all_of(site, "attachment").await, 2 * rounds, "no file is doubled at {}", site.alias);
            let twice = "SELECT count(*) FROM (SELECT 1 FROM history WHERE seq IS NOT NULL AND action = 'operation_applied' \
                         GROUP BY incident, exchange, seq HAVING count(*) > 1)";
            assert_eq!(site.count(twice).await, 0, "no operation took effect twice at {}", site.alias);
        }
        let missed = "SELECT count(*) FROM history WHERE action = 'deadline_missed'";
        assert_eq!(end_user.count(missed).await, rounds, "each deadline is missed once");
        assert_eq!(told(), (1..=1 + 2 * rounds).collect::<Vec<_>>(), "each incident is told of under one ID");
        let names = |folder: &str| {
            let entries = std::fs::read_dir(end_user.path(folder)).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<BTreeSet<_>>()
        };
        let expected = |kind: &str| (1..=rounds).map(|round| format!("{kind}-{round}.xml")).collect::<BTreeSet<_>>();
        eventually("an empty inbox", || async {
            (names("inbox").iter().all(|name| !name.ends_with(".xml"))).then_some(())
        })
        .await;
        assert_eq!(names("inbox/done"), expected("good"));
        // One that died between reason and move has a number behind it now.
        let apart = names("inbox/quarantine");
        let files: Vec<&String> = apart.iter().filter(|name| !name.ends_with(".reason")).collect();
        let whose: BTreeSet<String> =
            files.iter().map(|name| name.split_inclusive(".xml").next().unwrap().to_owned()).collect();
        assert_eq!((files.len() as i64, whose), (rounds, expected("bad")), "each once");
        for file in files {
            assert!(apart.contains(&format!("{file}.reason")), "{file} has its reason");
        }
    }
}

async fn all_of(site: &Site, table: &'static str) -> i64 {
    match table {
        "comment" => site.count("SELECT count(*) FROM comment").await,
        _ => site.count("SELECT count(*) FROM attachment WHERE incident = 1").await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_user_dies_at_each_point_alone() {
    let mut chain = Chain::begin().await;
    for point in END_USER {
        chain.round(Some(point), None).await;
    }
    chain.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_partner_dies_at_each_point_alone() {
    let mut chain = Chain::begin().await;
    for point in PARTNER {
        chain.round(None, Some(point)).await;
    }
    chain.end().await;
}

/// Each point of the end user's with one of the partner's, `shift` places on.
async fn pairs(shift: usize) {
    let mut chain = Chain::begin().await;
    for index in 0..END_USER.len().max(PARTNER.len()) {
        let points = (END_USER[index % END_USER.len()], PARTNER[(index + shift) % PARTNER.len()]);
        chain.round(Some(points.0), Some(points.1)).await;
    }
    chain.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_die_in_one_round_each_at_its_own_point() {
    let all = std::env::var("CASEBRIDGE_CRASH_PAIRS").is_ok_and(|which| which == "all");
    for shift in 0..if all { PARTNER.len() } else { 1 } {
        pairs(shift).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_dies_while_it_makes_its_state_starts_again() {
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    for site in [&mut pair.partner, &mut pair.end_user] {
        site.crash_at("StateCreated");
        site.spawn();
        site.exited().await;
        site.start().await;
    }
    pair.give(3).await;
    pair.at_rest(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_attachment_is_added_once_whenever_the_site_dies_over_it() {
    for point in ["ContentBegun", "ContentAppended", "AttachmentAdded"] {
        let mut site = Pair::new(Plan::default()).await.end_user;
        site.start().await;
        std::fs::copy("tests/data/bundles/event.xml", site.path("inbox/event.xml")).unwrap();
        eventually("the incident", || async { (all_of(&site, "attachment").await > 0).then_some(()) }).await;
        let attachments = all_of(&site, "attachment").await;
        assert_eq!(site.stop().await, 0);
        let folder = site.path("inbox/attachments/edge1-JN11A2B3C-20261121-120000-1");
        std::fs::create_dir_all(&folder).unwrap();
        let late = folder.join("show tech-support.txt");
        std::fs::write(&late, "everything about edge1").unwrap();
        let an_hour_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
        std::fs::File::options().write(true).open(&late).unwrap().set_modified(an_hour_ago).unwrap();
        site.crash_at(point);
        site.spawn();
        site.exited().await;
        site.start().await;
        eventually("the file", || async { site.file(1, "show tech-support.txt").await }).await;
        assert_eq!(all_of(&site, "attachment").await, attachments, "{point}");
        let told = "SELECT count(*) FROM history WHERE action = 'attachment_added'";
        assert_eq!(site.count(told).await, 1, "{point}: told once");
        assert_eq!(site.count("SELECT count(*) FROM content WHERE complete = 0").await, 0, "{point}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_given_up_is_given_up_once() {
    let mut pair = Relayed::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.relay.twist(|call| match call.method == "GET" && call.path.starts_with("/v1/attachments/") {
        true => Twist::Say(Said::problem(422, "attachment-refused", "gone")),
        false => Twist::Pass,
    });
    pair.end_user.crash_at("AttachmentGivenUp");
    pair.partner.spawn();
    pair.end_user.spawn();
    pair.end_user.ready().await;
    pair.end_user.insert(0, 1).await;
    pair.open(1).await;
    pair.partner.attach(1, "fix", &noise(1, 3000)).await;
    pair.end_user.exited().await;
    pair.end_user.start().await;
    let told = "SELECT count(*) FROM history WHERE action = 'attachment_failed'";
    assert_eq!(pair.end_user.count(told).await, 1);
    let tried = pair.relay.calls().iter().filter(|call| call.path.starts_with("/v1/attachments/")).count();
    assert_eq!(tried, 1, "and not asked for again");
}
