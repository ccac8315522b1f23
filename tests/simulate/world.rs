//! The world: at each step one thing happens, and the dice say which.

mod overlap;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use casebridge::case::{
    Action, Case, CaseAction, CaseState, Comment, Deposit, Edit, Event, HistoryLine, Incident, IncidentId, Permissions,
    Phase, Priority, Tag,
};
use casebridge::exchange::{CaseCall, Engine, EngineError, Pushed};
use casebridge::protocol::PartyRequest;
use casebridge::protocol::operator::WorkRequest;
use casebridge::store::{Seen, Write, Writer};
use uuid::Uuid;

use super::bugs::Bug;
use super::carrier::{self, Carrier};
use super::check;
use super::dice::Dice;
use super::executor::{Executor, Gates};
use super::model::{Expected, Model, PERSON, REOPENED, RESOLVED, STATUS};
use super::network::Network;
use super::people::{self, People, Said, Way};
use super::shelf::Shelf;
use super::site::{Site, at_once};
use super::store::mail::Stands;
use super::store::{deadline, mail, reaction};

/// Whether a story is told while it happens.
pub static TELL: AtomicBool = AtomicBool::new(false);

/// Things that happen in one story before everything is well again.
const STEPS: u64 = 700;
/// The most incidents of one story.
const INCIDENTS: u64 = 4;
/// Rounds after which everything has to be at rest.
const PATIENCE: usize = 60;
const HOUR: i64 = 3_600_000;
/// Who may have to do with a case.
const PEOPLE: [&str; 2] = ["customer@home.example", "integrator@away.example"];
/// In the stories with such a seed cases are withdrawn at the top, in the others at the lowest site: how a case ends that one
/// withdraws while the other reopens and withdraws it is left to people.
const WITHDRAWS_ABOVE: u64 = 0;
/// Who works on cases, at each site.
const STAFF: [&str; 2] = ["anna", "bert"];
/// What is promised differs between them.
const PRIORITIES: [Priority; 2] = [Priority::Critical, Priority::Low];

pub struct World {
    seed: u64,
    dice: Arc<Dice>,
    executor: Executor,
    gates: Gates,
    network: Arc<Network>,
    sites: Vec<Site>,
    model: Model,
}

/// What a daemon's loops do, each as often as the dice say.
const DUTIES: [&str; 18] = [
    "detect",
    "probe",
    "push",
    "push too",
    "poll",
    "open",
    "tell",
    "time",
    "check SLAs",
    "check due dates",
    "queue closings",
    "close",
    "react",
    "carry out",
    "mail",
    "receipts",
    "answers",
    "answers too",
];

async fn duty(engine: Engine, shelf: Arc<Mutex<Shelf>>, said: Arc<Mutex<People>>, name: &'static str) {
    // What a loop does before each pass: it looks when something is due. Nobody lets the time pass in between.
    match name {
        "push" | "push too" => drop(at_once(engine.wait_for_due(Duration::ZERO))),
        "open" => drop(at_once(engine.wait_for_received(Duration::ZERO))),
        _ => {}
    }
    let outcome = match name {
        "detect" => engine.detect_all().await,
        "probe" => engine.probe().await,
        "push" | "push too" => loop {
            match engine.push().await {
                Ok(Pushed::Some(_)) => {}
                other => break other.map(|_| ()),
            }
        },
        "poll" => loop {
            match engine.poll_updates(Duration::ZERO).await {
                Ok(1..) => {}
                other => break other.map(|_| ()),
            }
        },
        "open" => engine.open_received().await.map(|_| ()),
        "time" => engine.time_cases().await.map(|_| ()),
        "check SLAs" => engine.check_slas(false, &Seen::all()).await.map(|_| ()),
        "check due dates" => engine.check_due_dates(false, &Seen::all()).await.map(|_| ()),
        "queue closings" => engine.queue_closings(false, &Seen::all()).await.map(|_| ()),
        "close" => engine.work_closings().await.map(|_| ()),
        "react" => loop {
            match engine.react().await {
                Ok(1..) => {}
                other => break other.map(|_| ()),
            }
        },
        "receipts" => engine.exchange_receipts().await,
        "answers" | "answers too" => people::answer(&engine, &said, name == "answers").await,
        "carry out" => carry_out(&engine, &shelf).await,
        "mail" => match engine.remind().await {
            Ok(_) => engine.send_mails().await.map(|_| ()),
            Err(fault) => Err(fault),
        },
        _ => engine.tell_taken().await,
    };
    // A fault is the next pass's affair, as in the daemon's loops.
    if let (Err(fault), true) = (outcome, TELL.load(Ordering::Relaxed)) {
        println!("  {name}: {fault}");
    }
}

/// Does what is due, until nothing is.
async fn carry_out(engine: &Engine, shelf: &Mutex<Shelf>) -> Result<(), EngineError> {
    loop {
        let runs = engine.to_do(&HashSet::new()).await?.runs;
        if runs.is_empty() {
            return Ok(());
        }
        for run in runs {
            shelf.lock().unwrap().deeds.at_work = Some(run.id);
            engine.carry_out(&run).await?;
        }
    }
}

impl World {
    pub fn new(seed: u64, bug: Option<Bug>) -> Self {
        let dice = Arc::new(Dice::new(seed));
        let count = if seed % 3 == 2 { 3 } else { 2 };
        let gates = Gates::default();
        let sites: Vec<Site> = (0..count).map(|index| Site::new(index, count, &gates, bug)).collect();
        let network = Arc::new(Network {
            aliases: sites.iter().map(|site| site.alias.clone()).collect(),
            engines: Mutex::new(sites.iter().map(|_| None).collect()),
            disks: sites.iter().map(|site| site.disk.clone()).collect(),
            shelves: sites.iter().map(|site| Arc::clone(&site.store.shelf)).collect(),
            gates: gates.clone(),
            dice: Arc::clone(&dice),
            faulty: AtomicBool::new(true),
            cut: sites.iter().map(|_| AtomicBool::new(false)).collect(),
            mail: Mutex::default(),
            past: Mutex::default(),
            carried: AtomicU64::new(0),
            bug,
            wrong: Mutex::default(),
        });
        let carrier = |site: &Site| Carrier {
            site: site.index,
            shelf: Arc::clone(&site.store.shelf),
            network: Arc::clone(&network),
        };
        carrier::employ(sites.iter().map(carrier).collect());
        Self { seed, dice, executor: Executor::default(), gates, network, sites, model: Model::default() }
    }

    fn tell(&self, what: impl FnOnce() -> String) {
        if TELL.load(Ordering::Relaxed) {
            let what = what();
            println!("{what}");
        }
    }

    pub fn run(&mut self) {
        for step in 0..STEPS {
            match self.dice.below(100) {
                0..40 => self.go_on(),
                40..70 => self.let_pass(),
                70..92 => self.begin(),
                _ => self.fate(),
            }
            self.look(step % 16 == 0);
        }
    }

    /// One task goes one step on.
    fn go_on(&mut self) {
        if let Some(id) = self.dice.pick(&self.executor.ready()) {
            self.step(id);
        }
    }

    fn step(&mut self, id: u64) {
        if let Some((site, name)) = self.executor.step(id) {
            self.dice.note(name);
            self.tell(|| format!("  {name} at {} goes on", self.sites[site].alias));
        }
        for (site, work) in std::mem::take(&mut *self.network.mail.lock().unwrap()) {
            self.executor.spawn(site, "serve", work);
        }
    }

    /// The disk answers, or the network carries something: in any order, which is delay and reordering.
    fn let_pass(&mut self) {
        if let Some((id, what)) = self.dice.pick(&self.gates.closed()) {
            self.tell(|| format!("  {what:?} lets pass"));
            self.gates.open(id);
        }
    }

    /// A site that runs does one of its duties; one that is down comes up.
    fn begin(&mut self) {
        let index = self.dice.below(self.sites.len() as u64) as usize;
        let engine = self.network.engines.lock().unwrap()[index].clone();
        let Some(engine) = engine else {
            if !self.executor.is_busy(index, "start") {
                self.start(index);
            }
            return;
        };
        let name = DUTIES[self.dice.below(DUTIES.len() as u64) as usize];
        if !self.executor.is_busy(index, name) {
            let (shelf, said) = (Arc::clone(&self.network.shelves[index]), Arc::clone(&self.sites[index].people));
            self.executor.spawn(index, name, duty(engine, shelf, said, name));
        }
    }

    fn start(&mut self, index: usize) {
        let network = Arc::clone(&self.network);
        if let Some(starting) = self.sites[index].start(&network) {
            self.tell(|| format!("{} starts", self.sites[index].alias));
            self.executor.spawn(index, "start", starting);
        }
    }

    /// Something that nobody at the sites' daemons has asked for.
    fn fate(&mut self) {
        let index = self.dice.below(self.sites.len() as u64) as usize;
        match self.dice.below(43) {
            0..4 => self.deposit(),
            4..10 => self.comment(index),
            10..13 => self.work_on(),
            13..15 => self.move_on(index),
            15..17 => self.kill(index, false),
            17..19 => self.kill(index, true),
            19 => {
                self.tell(|| format!("{}: its next sync fails", self.sites[index].alias));
                self.sites[index].disk.fail_sync();
            }
            20 => {
                let full = !self.sites[index].disk.is_full();
                self.tell(|| format!("{}: disk full: {full}", self.sites[index].alias));
                self.sites[index].disk.set_full(full);
            }
            21 => {
                let cut = self.network.cut[index].fetch_xor(true, Ordering::SeqCst);
                self.tell(|| format!("{}: the way up is cut: {}", self.sites[index].alias, !cut));
            }
            22 => {
                let jump = (self.dice.below(48) as i64 - 24) * HOUR;
                self.tell(|| format!("{}: the clock jumps by {} h", self.sites[index].alias, jump / HOUR));
                self.sites[index].clock.advance(jump);
            }
            23..25 => {
                self.tell(|| "something comes again".into());
                self.network.replay();
                self.take_mail();
            }
            25..28 => {
                let hours = self.dice.below(6) as i64;
                self.tell(|| format!("{hours} hours pass"));
                self.sites.iter().for_each(|site| site.clock.advance(hours * HOUR));
            }
            28 => self.prioritize(index),
            29..32 => self.join(index),
            32..35 => self.take_in_hand(index),
            35..37 => self.withdraw(),
            37..40 => self.answer(index),
            _ => self.sites.iter().for_each(|site| site.clock.advance(self.dice.below(5000) as i64)),
        }
    }

    fn take_mail(&mut self) {
        for (site, work) in std::mem::take(&mut *self.network.mail.lock().unwrap()) {
            self.executor.spawn(site, "serve", work);
        }
    }

    /// The process dies wherever it is; with the power, what was not synced is lost as well.
    fn kill(&mut self, index: usize, power: bool) {
        self.tell(|| format!("{} dies{}", self.sites[index].alias, if power { ", its power is cut" } else { "" }));
        self.executor.end(index);
        self.network.engines.lock().unwrap()[index] = None;
        let site = &mut self.sites[index];
        site.state = None;
        let mut shelf = site.store.shelf.lock().unwrap();
        shelf.deeds.all.iter_mut().for_each(|one| one.carried.doubt(one.end.is_some()));
        shelf.mails.all.iter_mut().for_each(|one| one.carried.doubt(one.stands != Stands::Waiting));
        drop(shelf);
        if power {
            let kept = self.dice.below(site.disk.unsynced() as u64 + 1) as usize;
            site.disk.cut_power(kept);
        }
        // Whoever waited for its answer is told.
        self.take_mail();
    }

    fn deposit(&mut self) {
        let number = self.model.0.len() as u64;
        if number >= INCIDENTS {
            return;
        }
        let event = format!("edge-{number}");
        self.tell(|| format!("{event} happens"));
        let shelf = &mut *self.sites[0].store.shelf.lock().unwrap();
        let deposit = Deposit {
            event: Event {
                host_event_id: event.clone(),
                synopsis: "Chassis alarm".into(),
                priority: Some(PRIORITIES[number as usize % 2]),
                ..Event::default()
            },
            ..Deposit::default()
        };
        shelf.deposit(vec![deposit], self.sites[0].clock.now());
        self.model.0.insert(event, Expected::default());
    }

    /// Somebody at a site is to be told of one of its cases from now on.
    fn join(&mut self, index: usize) {
        let (incident, address) = (self.some_incident(index), self.dice.pick(&PEOPLE));
        let engine = self.network.engines.lock().unwrap()[index].clone();
        let (Some(incident), Some(address), Some(engine)) = (incident, address, engine) else { return };
        self.tell(|| format!("{address} belongs to {} at {}", incident.event.host_event_id, self.sites[index].alias));
        let request = PartyRequest {
            role: None,
            name: String::new(),
            address: address.into(),
            language: None,
            operator: PERSON.into(),
        };
        self.executor.spawn(index, "join", async move {
            let _ = engine.add_party(incident.id, &request).await;
        });
    }

    /// Somebody claims a case, gives it back, hands it to somebody, or puts a tag to it. Such things stay at the site.
    fn take_in_hand(&mut self, index: usize) {
        let (incident, person, other) = (self.some_incident(index), self.dice.pick(&STAFF), self.dice.pick(&STAFF));
        let (choice, number) = (self.dice.below(5), self.dice.below(1000));
        let engine = self.network.engines.lock().unwrap()[index].clone();
        let (Some(incident), Some(person), Some(other), Some(engine)) = (incident, person, other, engine) else {
            return;
        };
        let alias = self.sites[index].alias.clone();
        let name = ["claim", "claim", "unclaim", "assign", "tag"][choice as usize];
        self.tell(|| format!("{person} at {alias}: {name} {}", incident.event.host_event_id));
        let call = CaseCall {
            case: incident.id,
            revision: None,
            operator: person.into(),
            person: person.parse().expect("a name"),
            may: Permissions::EVERYTHING,
        };
        let tagged = Arc::clone(&self.sites[index].tagged);
        // What is refused, or fails, is not done; what dies may be.
        self.executor.spawn(index, name, async move {
            let request = WorkRequest::default();
            match name {
                "claim" => drop(engine.act_on_case(&call, CaseAction::Claim, request).await),
                "unclaim" => drop(engine.act_on_case(&call, CaseAction::Unclaim, request).await),
                "assign" => {
                    let users = if number % 3 == 0 { Vec::new() } else { vec![other.parse().expect("a name")] };
                    drop(engine.assign_case(&call, users, Vec::new()).await);
                }
                _ => {
                    let tag: Tag = format!("{alias}-{number}").parse().expect("a tag");
                    if engine.tag_case(&call, tag.clone()).await.is_ok() {
                        tagged.lock().unwrap().insert((call.case, tag));
                    }
                }
            }
        });
    }

    /// One of a case's people answers: by mail, or by the button of a page.
    fn answer(&mut self, index: usize) {
        let site = &self.sites[index];
        let shelf = site.store.shelf.lock().unwrap();
        let Some((incident, party)) = shelf.mails.someone(&self.dice) else { return };
        let event = shelf.incidents[&incident].event.host_event_id.clone();
        drop(shelf);
        let number = self.dice.below(u64::MAX);
        let way = if self.dice.one_in(2) { Way::Mail } else { Way::Link };
        let text = format!("answer {number:x} by {way:?} at {}, of {event}", site.alias);
        self.tell(|| text.clone());
        let said = Said { incident, party: party.id, address: party.address, way, text, number };
        site.people.lock().unwrap().waiting.push(said);
    }

    /// Another program says how urgent an incident is, and with that what is promised on it.
    fn prioritize(&mut self, index: usize) {
        let Some(incident) = self.some_incident(index) else { return };
        let priority = PRIORITIES[self.dice.below(2) as usize];
        self.tell(|| format!("{} at {}: {priority:?}", incident.event.host_event_id, self.sites[index].alias));
        self.sites[index].store.shelf.lock().unwrap().prioritize(incident.id, priority);
    }

    /// One of the incidents that a site has.
    fn some_incident(&self, index: usize) -> Option<Incident> {
        let shelf = self.sites[index].store.shelf.lock().unwrap();
        let all: Vec<IncidentId> = shelf.incidents.keys().copied().collect();
        shelf.incidents.get(&self.dice.pick(&all)?).cloned()
    }

    fn comment(&mut self, index: usize) {
        let Some(incident) = self.some_incident(index) else { return };
        let id = Uuid::from_u128(u128::from(self.dice.below(u64::MAX)) << 64 | u128::from(self.dice.below(u64::MAX)));
        let event = incident.event.host_event_id.clone();
        let text = format!("said at {}", self.sites[index].alias);
        self.tell(|| format!("a comment on {event} at {}", self.sites[index].alias));
        let written_at = self.sites[index].clock.now();
        let comment = Comment { id, author: PERSON.into(), written_at, text: text.clone(), ..Comment::default() };
        self.edit(index, incident.id, "commented".into(), Edit { comments: vec![comment], ..Edit::default() });
        self.model.0.get_mut(&event).expect("it was deposited").comments.insert(id, text);
    }

    /// Somebody at the top works on a case.
    fn work_on(&mut self) {
        let index = self.sites.len() - 1;
        let Some(incident) = self.some_incident(index) else { return };
        let Some(case) = incident.case.clone() else { return };
        let expected = self.model.0.get_mut(&incident.event.host_event_id).expect("it was deposited");
        let number = self.dice.below(1000);
        let withdraws = self.seed % 2 == WITHDRAWS_ABOVE;
        let mut edit = Edit::default();
        let mut solve = |edit: &mut Edit| {
            expected.solution = Some(format!("solution {number}"));
            edit.solution = Some(expected.solution.clone());
        };
        let what = match self.dice.below(10) {
            0..2 => {
                solve(&mut edit);
                "solution"
            }
            2..4 if incident.work.phase == Phase::InitialSupport => {
                solve(&mut edit);
                edit.phase = Some(Phase::Review);
                RESOLVED
            }
            2..4 => {
                edit = reopening();
                // What a Cancel left at the other site gives way to what is said here.
                if is_canceled(&incident) {
                    solve(&mut edit);
                }
                REOPENED
            }
            4 => return self.act(index, &incident, CaseAction::Complete),
            5 if withdraws => return self.act(index, &incident, CaseAction::Cancel),
            _ => {
                let status = format!("status {number}");
                expected.status = Some(status.clone());
                edit.case = Some(Case { status, ..case });
                STATUS
            }
        };
        self.tell(|| format!("{} at the top: {edit:?}", incident.event.host_event_id));
        self.edit(index, incident.id, what.into(), edit);
    }

    /// Somebody at the lowest site does not want a case any more.
    fn withdraw(&mut self) {
        let Some(incident) = self.some_incident(0) else { return };
        if incident.case.is_some() && self.seed % 2 != WITHDRAWS_ABOVE {
            self.act(0, &incident, CaseAction::Cancel);
        }
    }

    /// What was canceled is taken up again: only then is told what was said since (C-13). Says whether there was any.
    fn take_up_again(&mut self) -> bool {
        let index = self.sites.len() - 1;
        let mut any = false;
        let all: Vec<Incident> = self.sites[index].store.shelf.lock().unwrap().incidents.values().cloned().collect();
        for incident in all.into_iter().filter(is_canceled) {
            let expected = self.model.0.get_mut(&incident.event.host_event_id).expect("it was deposited");
            expected.solution = Some("taken up again".into());
            let edit = Edit { solution: Some(expected.solution.clone()), ..reopening() };
            self.tell(|| format!("{} is taken up again", incident.event.host_event_id));
            self.edit(index, incident.id, REOPENED.into(), edit);
            any = true;
        }
        any
    }

    /// The same by command: the engine decides whether it may be.
    fn act(&mut self, index: usize, incident: &Incident, asked: CaseAction) {
        let Some(engine) = self.network.engines.lock().unwrap()[index].clone() else { return };
        let (event, alias) = (&incident.event.host_event_id, &self.sites[index].alias);
        self.tell(|| format!("{} of {event} at {alias}, by command", asked.as_str()));
        let (id, request) = (incident.id, WorkRequest { operator: STAFF[0].into(), ..WorkRequest::default() });
        // What is refused, or fails, is not done; what dies may be.
        self.executor.spawn(index, asked.as_str(), async move {
            let _ = engine.act(id, asked, &request).await;
        });
    }

    /// Somebody at any site puts a case on hold, asks for input, goes on with it.
    fn move_on(&mut self, index: usize) {
        let Some(incident) = self.some_incident(index) else { return };
        let actions = [CaseAction::Open, CaseAction::Process, CaseAction::RequestInput, CaseAction::Hold];
        let asked = actions[self.dice.below(actions.len() as u64) as usize];
        if self.dice.one_in(2) {
            return self.act(index, &incident, asked);
        }
        let Ok(state) = asked.leads_to(incident.state()) else { return };
        let alias = &self.sites[index].alias;
        self.tell(|| format!("{} of {} at {alias}", asked.as_str(), incident.event.host_event_id));
        let what = format!("state {}", state.as_str());
        self.edit(index, incident.id, what, Edit { state: Some(state), ..Edit::default() });
    }

    fn edit(&self, index: usize, incident: IncidentId, what: String, edit: Edit) {
        let now = self.sites[index].clock.now();
        let line = HistoryLine {
            incident,
            at: now,
            who: PERSON.into(),
            action: Action::Edited.as_str().into(),
            exchange: None,
            seq: None,
            detail: what,
        };
        let edit = Edit { since: Some(now), ..edit };
        let write = Write { edit, history: vec![line], ..Write::to(incident, Writer::Operator) };
        self.sites[index].store.shelf.lock().unwrap().write(vec![write], None);
    }

    /// After each step: who has to die dies, and everything is as it must be.
    fn look(&mut self, closely: bool) {
        for index in 0..self.sites.len() {
            let failed = self.sites[index].state.as_ref().is_some_and(|state| at_once(state.failed()).is_some());
            if failed {
                // Whether what could not be synced is on the disk, nobody knows.
                let power = self.dice.one_in(2);
                self.kill(index, power);
            }
        }
        if let Some(wrong) = self.network.wrong.lock().unwrap().take() {
            panic!("{wrong}");
        }
        let look = |site: &Site| std::mem::take(&mut site.store.shelf.lock().unwrap().touched);
        if self.sites.iter().filter(|site| look(site)).count() > 0 {
            check::at_every_step(&self.sites, &self.model);
        }
        if closely {
            check::once(&self.sites);
        }
    }

    /// Everything is well again and goes on until it is at rest. Returns the digest of the story.
    pub fn end(mut self) -> u64 {
        self.tell(|| "everything is well again".into());
        self.network.faulty.store(false, Ordering::SeqCst);
        for (index, site) in self.sites.iter().enumerate() {
            site.disk.set_full(false);
            site.disk.heal();
            self.network.cut[index].store(false, Ordering::SeqCst);
        }
        self.rest();
        if self.take_up_again() {
            self.rest();
        }
        check::once(&self.sites);
        check::at_the_end(&self.sites, &self.model);
        for (index, site) in self.sites.iter().enumerate() {
            let engine = self.network.engines.lock().unwrap()[index].clone().expect("it runs");
            let parked = at_once(engine.parked(10)).expect("the state does not wait").expect("it reads");
            assert_eq!(parked.total, 0, "{}: {:?}", site.alias, parked.parked);
            let outbox = at_once(engine.outbox(10)).expect("the state does not wait").expect("it reads");
            assert_eq!(outbox.total, 0, "{}: something is left in the outbox", site.alias);
        }
        self.dice.digest()
    }

    /// Goes on until nobody has anything to say.
    fn rest(&mut self) {
        self.finish();
        let mut quiet = 0;
        for _ in 0..PATIENCE {
            let before = (self.network.carried.load(Ordering::SeqCst), self.written());
            // After a jump back and a restart something may wait for as long as the settings let a peer wish.
            self.sites.iter().for_each(|site| site.clock.advance(6 * HOUR));
            for index in 0..self.sites.len() {
                for name in DUTIES {
                    let engine = self.network.engines.lock().unwrap()[index].clone();
                    match engine {
                        Some(engine) => {
                            let shelf = Arc::clone(&self.network.shelves[index]);
                            let said = Arc::clone(&self.sites[index].people);
                            self.executor.spawn(index, name, duty(engine, shelf, said, name));
                        }
                        None => self.start(index),
                    }
                    self.finish();
                }
            }
            // What a job noted goes on its way in the round after, and arrives in the one after that.
            let moved = (self.network.carried.load(Ordering::SeqCst), self.written()) != before;
            quiet = if moved || self.waits().is_some() { 0 } else { quiet + 1 };
            if quiet == 2 {
                break;
            }
        }
        assert_eq!(quiet, 2, "seed {}: it does not come to rest: {:?}", self.seed, self.waits());
    }

    /// How many lines of history there are at all sites.
    fn written(&self) -> usize {
        let lines = |site: &Site| site.store.shelf.lock().unwrap().history.values().map(Vec::len).sum::<usize>();
        self.sites.iter().map(lines).sum()
    }

    /// What still waits for its time, at one of the sites.
    fn waits(&self) -> Option<String> {
        self.sites.iter().find_map(|site| {
            let shelf = site.store.shelf.lock().unwrap();
            let is_top = site.index + 1 == self.sites.len();
            let runs = deadline::runs(&shelf, is_top).or_else(|| reaction::runs(&shelf)).or_else(|| mail::runs(&shelf));
            runs.map(|what| format!("{}: {what}", site.alias))
        })
    }

    /// Until nobody has anything to do.
    fn finish(&mut self) {
        for step in 0.. {
            assert!(step < 100_000, "somebody never ends: {:?}", self.executor.waiting());
            let (ready, closed) = (self.executor.ready(), self.gates.closed());
            if let Some(id) = ready.first() {
                self.step(*id);
            } else if let Some((id, _)) = closed.first() {
                self.gates.open(*id);
            } else {
                break;
            }
            self.look(false);
        }
        assert!(self.executor.is_idle(), "each waits for the other: {:?}", self.executor.waiting());
    }
}

/// By another program, at the site above all others.
fn reopening() -> Edit {
    Edit { phase: Some(Phase::InitialSupport), completion_code: Some(None), ..Edit::default() }
}

fn is_canceled(incident: &Incident) -> bool {
    incident.state() == CaseState::Canceled
}
