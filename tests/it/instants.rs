//! Every instant of what is asked of people: the real store and the engine's own round over a clock that is
//! moved by hand, across the night in which the clocks of Europe change. Answers come at each point between the steps, by
//! mail, by page and by a peer; and the site is down for two days at each point.

use std::time::Duration;

use casebridge::case::pass::Subject;
use casebridge::case::{CaseAction, IncidentId, Language, Milestone, Pass, PassTag, Purpose, teller};
use casebridge::exchange::{Engine, Leads, Replied};
use casebridge::protocol::operator::{AcceptRequest, OpenRequest};
use casebridge::protocol::{MailsQuery, OperationBatch, OperationRequest, PartyRequest};
use casebridge::state::State;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::mail::{ANNA, Bench, answer, by_bert};
use crate::support::caller::{create, operation};

/// Mails come in, too.
const MAILS: &str = "[pages]\naddress = \"https://desk.example\"\n[[mail_inbox]]\ndir = \"{dir}/inbox\"\n";
/// From each step to the next, in seconds.
const DAY: i64 = 24 * 3600;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Input,
    Closing,
}

impl Asked {
    const ALL: [Asked; 2] = [Asked::Input, Asked::Closing];

    /// What people are told, a day after one another.
    fn told(self) -> &'static [&'static str] {
        match self {
            Asked::Input => &[
                "] Your answer is needed",
                "] Reminder 1 of 3",
                "] Reminder 2 of 3",
                "] Reminder 3 of 3",
                "] The case will be closed in 24 hours",
                "] Closed, since no answer came",
            ],
            Asked::Closing => &[
                "] Resolved: may the case be closed?",
                "] Reminder: may the case be closed?",
                "] The case will be closed in 24 hours",
                "] Completed",
            ],
        }
    }

    /// How many pauses there are in which an answer may come.
    fn points(self) -> usize {
        self.told().len() - 1
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Mail,
    Page,
    Peer,
}

impl Way {
    const ALL: [Way; 3] = [Way::Mail, Way::Page, Way::Peer];
}

/// A case, and when and how it is answered.
#[derive(Debug)]
struct Story {
    id: IncidentId,
    party: i64,
    asked: Asked,
    way: Way,
    point: Option<usize>,
    /// What was told of it, with the seconds since it was asked.
    told: Vec<(i64, &'static str)>,
}

impl Story {
    /// As its mails are headed.
    fn head(&self) -> String {
        format!("[CM{}-{}]", if self.way == Way::Peer { "north" } else { "partner" }, self.id)
    }
}

struct World {
    bench: Bench,
    running: Option<(Engine, State)>,
    begun: Timestamp,
    stories: Vec<Story>,
}

impl World {
    async fn begin() -> Self {
        let bench = Bench::with(MAILS);
        let running = Some(bench.start().await);
        let begun = bench.clock.now();
        Self { bench, running, begun, stories: Vec::new() }
    }

    fn engine(&self) -> &Engine {
        &self.running.as_ref().unwrap().0
    }

    async fn opens(&mut self, asked: Asked, way: Way, point: Option<usize>) {
        let engine = self.engine();
        let number = self.stories.len() as i64 + 1;
        let by = || "bert".to_owned();
        let id = if way == Way::Peer {
            self.receives(create(number as u64)).await;
            engine.open_received().await.unwrap();
            let id = IncidentId(number);
            engine.accept(id, &AcceptRequest { operator: by(), ..AcceptRequest::default() }).await.unwrap();
            id
        } else {
            let request = OpenRequest { synopsis: "Fan failed".into(), operator: by(), ..OpenRequest::default() };
            engine.open_by_hand(request).await.unwrap()
        };
        assert_eq!(id.0, number);
        let party = PartyRequest { address: ANNA.into(), operator: by(), ..PartyRequest::default() };
        engine.add_party(id, &party).await.unwrap();
        let party = engine.parties(id).await.unwrap()[0].id;
        self.stories.push(Story { id, party, asked, way, point, told: Vec::new() });
    }

    /// An operation of the client's.
    async fn receives(&self, operation: Value) {
        let request: OperationRequest = serde_json::from_str(&operation.to_string()).unwrap();
        let batch = OperationBatch { protocol: None, operations: vec![request], unknown: None };
        let results = self.engine().receive(&"north".parse().unwrap(), batch).await.unwrap();
        let outcome = serde_json::to_value(&results[0]).unwrap();
        assert!(["applied", "received"].contains(&outcome["outcome"].as_str().unwrap()), "{outcome}");
    }

    /// All is told that was to be told before, and all are asked.
    async fn asks(&mut self) {
        self.bench.look(self.engine()).await;
        self.bench.sent();
        for story in &self.stories {
            let action = if story.asked == Asked::Input { CaseAction::RequestInput } else { CaseAction::Resolve };
            self.engine().act(story.id, action, &by_bert()).await.unwrap();
        }
        self.begun = self.bench.clock.now();
        self.looks().await;
    }

    /// Mails are read, and the client shows itself.
    fn listens(&self) {
        self.bench.listens(self.engine());
        self.engine().heard_from(&"north".parse().unwrap(), self.bench.clock.now());
    }

    /// What is due is done. Each mail is entered with its case.
    async fn looks(&mut self) {
        self.bench.look(self.engine()).await;
        let at = self.bench.clock.now().duration_since(self.begun).as_secs();
        for subject in self.bench.sent() {
            let story = self.stories.iter_mut().find(|one| subject.starts_with(&one.head())).unwrap();
            // An answer has a mail of its own: that the case goes on.
            let of_the_round = story.asked.told().iter().find(|told| subject.contains(**told));
            story.told.extend(of_the_round.map(|told| (at, *told)));
        }
    }

    /// Goes on by so many seconds, and looks at their end. What came in until then was heard.
    async fn goes_on(&mut self, seconds: i64) {
        let last = seconds.min(10);
        self.bench.clock.advance((seconds - last) * 1000);
        self.listens();
        self.bench.clock.advance(last * 1000);
        self.listens();
        self.looks().await;
    }

    /// So many days after the asking, with a look at the last second before it.
    async fn reaches(&mut self, day: usize) {
        let left = day as i64 * DAY - self.bench.clock.now().duration_since(self.begun).as_secs();
        self.goes_on(left - 1).await;
        self.goes_on(1).await;
    }

    /// Those are answered whose point it is.
    async fn hears(&self, point: usize) {
        let now = self.bench.clock.now();
        for story in self.stories.iter().filter(|one| one.point == Some(point)) {
            let (id, party, number) = (story.id, story.party, story.id.0);
            let engine = self.engine();
            match story.way {
                Way::Mail => {
                    let said = "It hums.".to_owned();
                    let replied = engine.replied((id, party), answer(&format!("mail {id}"), &said)).await.unwrap();
                    assert_eq!(replied, Replied::Comment);
                }
                Way::Page => {
                    let purpose = if story.asked == Asked::Input { Purpose::Answer } else { Purpose::NotSolved };
                    let subject = Subject::Party { incident: id, party };
                    let expires_at = now + SignedDuration::from_hours(1);
                    let query = MailsQuery { incident: Some(id.0), ..MailsQuery::default() };
                    let mails = engine.mails(&query).await.unwrap().mails;
                    let asked = mails.iter().find(|one| one.notice == "closing_asked").map_or(1, |one| one.mail as u64);
                    let pass = Pass { purpose, subject, expires_at, serial: asked };
                    let tag = PassTag([number as u8; 16]);
                    let leads = engine.follow(&pass, tag, "It hums.", Language::English).await.unwrap();
                    assert!(matches!(leads, Leads::Done { .. }), "{leads:?}");
                }
                Way::Peer => {
                    let comment =
                        json!({"id": Uuid::now_v7(), "author": "nora", "written_at": now, "text": "It hums."});
                    // Its own people have answered a closing that they were asked for there.
                    let fact = json!({"notice": "closing-answered"});
                    let milestone = json!({"id": Uuid::now_v7(), "n": 1000, "at": now, "fact": fact});
                    let content = match story.asked {
                        Asked::Input => json!({"comments": [comment]}),
                        Asked::Closing => json!({"comments": [comment], "milestones": [milestone]}),
                    };
                    self.receives(operation(number as u64, 2, "update", content)).await;
                }
            }
        }
    }

    /// The site is away for two days.
    async fn is_down(&mut self) {
        let (engine, state) = self.running.take().unwrap();
        drop(engine);
        state.close().await.unwrap();
        self.bench.clock.advance(2 * DAY * 1000);
        self.running = Some(self.bench.start().await);
    }

    async fn is_closed(&self, story: &Story) -> bool {
        self.engine().show(story.id).await.unwrap().row.phase == "close"
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r_04_r_07_each_step_is_taken_at_its_instant_and_an_answer_at_any_point_stops_them() {
    let mut world = World::begin().await;
    for asked in Asked::ALL {
        world.opens(asked, Way::Mail, None).await;
        world.opens(asked, Way::Peer, None).await;
        for point in 0..asked.points() {
            for way in Way::ALL {
                world.opens(asked, way, Some(point)).await;
            }
        }
    }
    world.asks().await;
    for day in 1..=Asked::Input.points() {
        world.goes_on(DAY / 2).await;
        world.hears(day - 1).await;
        world.looks().await;
        world.reaches(day).await;
    }
    world.goes_on(30 * DAY).await;
    for story in &world.stories {
        let all = story.asked.told();
        let told = story.point.map_or(all, |point| &all[..=point]);
        let expected: Vec<(i64, &str)> = told.iter().enumerate().map(|(day, told)| (day as i64 * DAY, *told)).collect();
        assert_eq!(story.told, expected, "{story:?}");
        assert_eq!(world.is_closed(story).await, story.point.is_none(), "{story:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r_04_r_07_two_days_of_downtime_at_any_point_bring_one_mail_and_close_nothing_too_early() {
    for point in 0..Asked::Input.points() {
        let mut world = World::begin().await;
        for asked in Asked::ALL.into_iter().filter(|asked| point < asked.points()) {
            world.opens(asked, Way::Mail, None).await;
            world.opens(asked, Way::Peer, None).await;
            for way in Way::ALL {
                // Answered while it was down: it is heard when the site has looked at its cases already.
                world.opens(asked, way, Some(point)).await;
            }
        }
        world.asks().await;
        for day in 1..=point {
            world.reaches(day).await;
        }
        world.goes_on(DAY / 2).await;
        let before: Vec<usize> = world.stories.iter().map(|story| story.told.len()).collect();
        world.is_down().await;
        world.looks().await;
        assert!(world.stories.iter().map(|story| story.told.len()).eq(before.iter().copied()), "nothing was heard yet");
        world.hears(point).await;
        world.goes_on(10).await;
        for (story, before) in world.stories.iter().zip(before) {
            let new = usize::from(story.point.is_none());
            assert_eq!(story.told.len(), before + new, "down at {point}: one mail, no burst: {story:?}");
        }
        for _ in 0..4 * Asked::Input.points() {
            world.goes_on(DAY / 4).await;
        }
        for story in &world.stories {
            let told: Vec<&str> = story.told.iter().map(|(_, told)| *told).collect();
            let all = story.asked.told();
            assert_eq!(told, story.point.map_or(all, |point| &all[..=point]), "down at {point}: {story:?}");
            let soonest = story.told.windows(2).map(|two| two[1].0 - two[0].0).min();
            assert!(soonest.is_none_or(|soonest| soonest >= DAY), "down at {point}: {story:?}");
            assert_eq!(world.is_closed(story).await, story.point.is_none(), "down at {point}: {story:?}");
        }
    }
}

/// The other site has people in the case too: it is waited for until it asks for the end, and the notice comes from there or here.
#[tokio::test(flavor = "multi_thread")]
async fn r_05_a_case_with_people_at_both_sites_is_closed_when_each_has_had_the_notice_for_its_full_time() {
    let mut world = World::begin().await;
    world.opens(Asked::Input, Way::Peer, None).await;
    world.asks().await;
    let mut seq = 1;
    let mut hears = async |world: &World, name: &str| {
        seq += 1;
        let at = world.bench.clock.now();
        let step = json!({"id": Uuid::now_v7(), "n": 1000 + seq, "at": at, "fact": {"notice": name}});
        world.receives(operation(1, seq, "update", json!({"milestones": [step]}))).await;
    };
    // What the other site tells its own people, these hear from their own.
    world.goes_on(DAY / 2).await;
    hears(&world, "input-reminder-1").await;
    hears(&world, "input-held").await;
    world.looks().await;
    let told = Asked::Input.told();
    assert_eq!(world.stories[0].told, [(0, told[0]), (DAY / 2, told[1])]);
    for _ in 0..3 {
        world.goes_on(DAY).await;
    }
    assert_eq!(world.stories[0].told[4], (3 * DAY + DAY / 2, told[4]), "the notice");
    world.goes_on(DAY).await;
    world.goes_on(DAY / 2).await;
    assert!(!world.is_closed(&world.stories[0]).await, "theirs had it later");
    hears(&world, "input-close").await;
    world.looks().await;
    assert!(world.is_closed(&world.stories[0]).await);
}

/// The other site's people did not answer, and it asks for the end of the case: those of this site had no notice yet.
#[tokio::test(flavor = "multi_thread")]
async fn r_05_the_people_of_the_site_that_is_asked_to_close_have_a_notice_for_its_full_time_before() {
    let mut world = World::begin().await;
    world.opens(Asked::Input, Way::Peer, None).await;
    world.asks().await;
    world.goes_on(DAY / 2).await;
    let at = world.bench.clock.now();
    let step = |n: u32, name: &str| json!({"id": Uuid::now_v7(), "n": n, "at": at, "fact": {"notice": name}});
    let steps = json!({"milestones": [step(1000, "input-notice"), step(1001, "input-close")]});
    world.receives(operation(1, 2, "update", steps)).await;
    world.looks().await;
    let told = Asked::Input.told();
    assert_eq!(world.stories[0].told, [(0, told[0]), (DAY / 2, told[4])]);
    world.goes_on(DAY - 1).await;
    assert!(!world.is_closed(&world.stories[0]).await);
    world.goes_on(1).await;
    assert!(world.is_closed(&world.stories[0]).await);
    assert_eq!(world.stories[0].told.last(), Some(&(DAY / 2 + DAY, told[5])));
}

/// The other site was the first to say that it writes to Anna.
async fn north_writes_to_anna() -> (World, Milestone) {
    let mut world = World::begin().await;
    world.opens(Asked::Input, Way::Peer, None).await;
    let word = teller::tells(Uuid::now_v7(), world.bench.clock.now(), &ANNA.parse().unwrap());
    let word = Milestone { n: 1, ..word };
    world.receives(operation(1, 2, "update", json!({"milestones": [word]}))).await;
    // Two states of one instant would be dated by the machine's clock.
    world.bench.clock.advance(1000);
    world.asks().await;
    assert_eq!(world.stories[0].told, []);
    (world, word)
}

#[tokio::test(flavor = "multi_thread")]
async fn r_07_whom_the_other_site_writes_to_gets_no_mail_from_here_before_it_takes_its_word_back() {
    let (mut world, word) = north_writes_to_anna().await;
    let party = world.engine().parties(IncidentId(1)).await.unwrap().remove(0);
    assert_eq!(party.told_by.map(|site| site.to_string()).as_deref(), Some("north"));
    let history = serde_json::to_string(&world.engine().show(IncidentId(1)).await.unwrap().history).unwrap();
    for told in ["opened", "input_requested"] {
        assert!(history.contains(&format!("{told} to {ANNA}: north writes to them about this case")), "{history}");
    }
    for _ in 0..3 {
        world.goes_on(DAY).await;
    }
    assert_eq!(world.stories[0].told, [], "nor is anybody reminded");
    let end = Milestone { n: 1000, ..teller::leaves(Uuid::now_v7(), world.bench.clock.now(), &word) };
    world.receives(operation(1, 3, "update", json!({"milestones": [end]}))).await;
    world.looks().await;
    for _ in 0..5 {
        world.goes_on(DAY).await;
    }
    let told = Asked::Input.told().iter().enumerate();
    let expected: Vec<(i64, &str)> = told.map(|(day, told)| ((3 + day as i64) * DAY, *told)).collect();
    assert_eq!(world.stories[0].told, expected);
    assert!(world.is_closed(&world.stories[0]).await);
}

/// It is away and does not know what is asked; away and knows it; there, and silent.
#[tokio::test(flavor = "multi_thread")]
async fn r_07_whom_a_site_writes_to_that_is_away_is_written_to_here_after_a_while() {
    const MINUTE: i64 = 60;
    // A peer that shows itself may say nothing more for a while.
    for (is_told, is_there, after, by) in [
        (false, false, 15 * MINUTE, 20 * MINUTE),
        (true, false, DAY + 14 * MINUTE, DAY + 16 * MINUTE),
        (true, true, 8 * DAY - MINUTE, 8 * DAY + 20 * MINUTE),
    ] {
        let (mut world, _) = north_writes_to_anna().await;
        // The request is on its way.
        world.engine().detect_all().await.unwrap();
        if is_told {
            let north = "north".parse().unwrap();
            let cursor = world.engine().exchanges(&north, None, 10).await.unwrap().cursor;
            world.engine().updates(&north, Some(&cursor), Duration::ZERO, 10).await.unwrap();
            world.engine().tell_taken().await.unwrap();
        }
        loop {
            let left = after - world.bench.clock.now().duration_since(world.begun).as_secs();
            world.bench.clock.advance(left.min(6 * 3600) * 1000);
            if is_there {
                world.listens();
            }
            world.looks().await;
            assert_eq!(world.stories[0].told, [], "{is_told} {is_there}");
            if left <= 6 * 3600 {
                break;
            }
        }
        for _ in 0..(by - after) / 30 {
            world.bench.clock.advance(30_000);
            if is_there {
                world.listens();
            }
        }
        world.looks().await;
        assert_eq!(world.stories[0].told, [(by, Asked::Input.told()[0])], "{is_told} {is_there}");
        let shown = world.engine().show(IncidentId(1)).await.unwrap();
        let history = serde_json::to_string(&shown.history).unwrap();
        assert!(history.contains(&format!("this site writes to {ANNA} in its place")), "{history}");
        // The other one knows of it when it is back: it gets both words with the request.
        for _ in 0..5 {
            world.goes_on(DAY).await;
        }
        assert_eq!(world.stories[0].told.len(), Asked::Input.told().len(), "{:?}", world.stories[0]);
        assert!(world.is_closed(&world.stories[0]).await);
    }
}

/// Its people here joined when the others had been told the notice already.
#[tokio::test(flavor = "multi_thread")]
async fn r_05_who_joins_after_the_notice_of_the_other_site_has_it_for_its_full_time() {
    let mut world = World::begin().await;
    world.opens(Asked::Input, Way::Peer, None).await;
    world.asks().await;
    world.goes_on(DAY / 2).await;
    let at = world.bench.clock.now();
    let step = |n: u32, name: &str| json!({"id": Uuid::now_v7(), "n": n, "at": at, "fact": {"notice": name}});
    world.receives(operation(1, 2, "update", json!({"milestones": [step(1000, "input-notice")]}))).await;
    world.looks().await;
    world.goes_on(DAY / 2).await;
    let bert =
        PartyRequest { address: "bert@customer.example".into(), operator: "bert".into(), ..PartyRequest::default() };
    world.engine().add_party(IncidentId(1), &bert).await.unwrap();
    world.looks().await;
    let told = Asked::Input.told();
    assert_eq!(world.stories[0].told[1..], [(DAY / 2, told[4]), (DAY, told[4])]);
    world.goes_on(DAY - 1).await;
    assert!(!world.is_closed(&world.stories[0]).await);
    world.goes_on(1).await;
    assert!(world.is_closed(&world.stories[0]).await);
}
