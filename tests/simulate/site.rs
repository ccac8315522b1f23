//! One site of a story: what outlives its process, and how a process comes up on it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use casebridge::case::evidence::SigningKey;
use casebridge::case::{Alias, Deed, Filter, IncidentId, Owned, Reaction, Reactions, Scope, SiteId, Tag, Trigger};
use casebridge::clock::Clock;
use casebridge::config::Settings;
use casebridge::config::settings::Reminders;
use casebridge::exchange::{Engine, Parts, SiteKey};
use casebridge::notify::Post;
use casebridge::peer::Upstream;
use casebridge::state::State;
use casebridge::store::ReactionList;
use uuid::Uuid;

use super::bugs::Bug;
use super::carrier;
use super::disk::Disk;
use super::executor::Gates;
use super::model::PERSON;
use super::network::{Network, Wire};
use super::people::People;
use super::shelf::Shelf;
use super::store::Store;

pub struct Site {
    pub index: usize,
    pub alias: Alias,
    pub store: Store,
    pub disk: Disk,
    pub clock: Clock,
    /// What people here were told that a case has from now on.
    pub tagged: Arc<Mutex<BTreeSet<(IncidentId, Tag)>>>,
    /// What those who have to do with its cases say.
    pub people: Arc<Mutex<People>>,
    settings: Settings,
    post: Arc<Post>,
    /// Its own for good, as a file on the disk is.
    key: Vec<u8>,
    /// Of the process that runs.
    pub state: Option<State>,
    pub starting: bool,
}

/// The value of a future that does not wait.
pub fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

impl Site {
    /// The site number `index` of so many, the last of which is at the top.
    pub fn new(index: usize, count: usize, gates: &Gates, bug: Option<Bug>) -> Self {
        let disk = Disk::lying(bug == Some(Bug::LiesAboutSync));
        let store = Store {
            index,
            site: SiteId(Uuid::from_u128(index as u128 + 1)),
            shelf: Arc::new(Mutex::new(Shelf::of(index as u64 + 1))),
            disk: disk.clone(),
            gates: gates.clone(),
            bug,
            happened: Arc::default(),
        };
        store.shelf.lock().unwrap().deeds.list = policies();
        let noon = "2026-11-21T12:00:00Z".parse().unwrap();
        let settings = settings(index, count);
        Self {
            index,
            alias: settings.site.alias.clone(),
            key: SigningKey::make().unwrap().to_pkcs8().unwrap(),
            post: carrier::post(index, count, &settings, store.site),
            store,
            disk,
            clock: Clock::manual(noon),
            tagged: Arc::default(),
            people: Arc::default(),
            settings,
            state: None,
            starting: false,
        }
    }

    /// What stands for the solution of a case that was completed without one.
    pub fn default_solution(&self) -> &str {
        &self.settings.exchange.default_solution
    }

    /// When this site's people are reminded.
    pub fn reminders(&self) -> &Reminders {
        &self.settings.mail.as_ref().expect("each site sends mail").reminders
    }

    /// A process that comes up; it is in the network when it has read its state. None when the disk does not let it.
    pub fn start(&mut self, network: &Arc<Network>) -> Option<impl Future<Output = ()> + use<>> {
        let database = Arc::new(self.disk.clone());
        let state = State::on(database, self.store.site, self.clock.now()).ok()?;
        self.state = Some(state.clone());
        self.starting = true;
        let (index, network) = (self.index, Arc::clone(network));
        let upstream: Option<Arc<dyn Upstream>> = match self.settings.upstream {
            Some(_) => Some(Arc::new(Wire { from: index, network: Arc::clone(&network) })),
            None => None,
        };
        let parts = Parts {
            settings: self.settings.clone(),
            store: Arc::new(self.store.clone()),
            state,
            upstream,
            clock: self.clock.clone(),
            key: SiteKey { key: SigningKey::from_pkcs8(&self.key).unwrap(), file: None },
        };
        let post = Arc::clone(&self.post);
        Some(async move {
            // One that cannot start is started again, like one that died.
            let engine = Engine::start(parts).await.ok();
            if let Some(engine) = &engine {
                engine.set_post(Some(post));
            }
            network.engines.lock().unwrap()[index] = engine;
        })
    }
}

/// Whoever stands at the top closes what stays resolved.
const PROMISES_AT_THE_TOP: &str = r#"
[[calendar]]
name = "long days"
time_zone = "Europe/Paris"
monday = ["06:00-22:00"]
tuesday = ["06:00-22:00"]
wednesday = ["06:00-22:00"]
thursday = ["06:00-22:00"]
friday = ["06:00-22:00"]
saturday = ["06:00-22:00"]
sunday = ["06:00-22:00"]
[[sla]]
name = "respond"
goal = "answer"
within = "4h"
warn_before = "1h"
priorities = ["1 - Critical"]
[[sla]]
name = "mend"
within = "9h"
warn_before = "2h"
calendar = "long days"
[[solution]]
name = "Hardware"
[[process]]
name = "Repair"
solution = "Hardware"
[[case_type]]
name = "Chassis"
process = "Repair"
auto_close_after = "6h"
due_within = "12h"
due_warn_before = "3h"
slas = ["respond", "mend"]
[job.due_date_check]
case_types = ["Chassis"]
"#;

const PROMISES: &str = r#"
[[sla]]
name = "promised to the floor"
within = "7h"
warn_before = "1h"
priorities = ["1 - Critical"]
[[sla]]
name = "promised to all"
within = "10h"
[[solution]]
name = "Floor"
[[process]]
name = "Floor"
solution = "Floor"
[[case_type]]
name = "Floor"
process = "Floor"
slas = ["promised to the floor", "promised to all"]
"#;

const REMINDERS: &str = r#"
[mail.reminders]
input = ["1h", "90m", "1h"]
input_notice = "1h"
input_close = "2h"
closing = ["1h"]
closing_notice = "1h"
closing_close = "2h"
"#;

const TARGETS: [&str; 2] = ["desk", "night"];

/// One is told what is new about a case, the other that there is an incident, and both that it has a case.
fn policies() -> ReactionList {
    let deed = |target: &&str| Deed { target: (*target).into(), attach_bundle: false };
    let policy = |id, name: &str, trigger, targets: &[&str]| Owned {
        id,
        owner: PERSON.into(),
        copy_of: None,
        reaction: Reaction {
            name: name.into(),
            enabled: true,
            trigger,
            filter: Filter::default(),
            scope: Scope::default(),
            actions: targets.iter().map(deed).collect(),
            last: false,
        },
    };
    let all = vec![
        policy(1, "news", Trigger::CaseUpdated, &TARGETS[..1]),
        policy(2, "cases", Trigger::CaseAssigned, &TARGETS),
        policy(3, "incidents", Trigger::IncidentDetected, &TARGETS[1..]),
    ];
    ReactionList { version: 1, reactions: Reactions(all) }
}

const NAMES: [&str; 3] = ["north", "partner", "vendor"];

/// What each site is to do: the lowest submits everything, those in the middle hand everything on, the last accepts it.
fn settings(index: usize, count: usize) -> Settings {
    static PARSED: Mutex<BTreeMap<(usize, usize), Settings>> = Mutex::new(BTreeMap::new());
    let mut parsed = PARSED.lock().unwrap();
    if let Some(settings) = parsed.get(&(index, count)) {
        return settings.clone();
    }
    let dir = tempfile::tempdir().unwrap();
    write_secret(&dir.path().join("password"));
    let mut text = format!("[site]\nalias = \"{}\"\ndata_dir = \"{}\"\n", NAMES[index], dir.path().display());
    if index > 0 {
        text += "[listen]\naddress = \"127.0.0.1:1\"\n";
        text += &format!("[[client]]\nalias = \"{}\"\nuser = \"u\"\npassword_file = \"password\"\n", NAMES[index - 1]);
        text += &format!("[case]\nid_template = \"{}-{{incident}}\"\n", NAMES[index]);
        text += "link_template = \"https://desk.example/{case}\"\n";
    }
    let is_last = index + 1 == count;
    text += match (index, is_last) {
        (0, _) => "[[submit.policy]]\nname = \"all\"\n",
        (_, true) => "[[case.accept]]\nname = \"all\"\n",
        (_, false) => "[[case.escalate]]\nname = \"all\"\n",
    };
    if !is_last {
        text += &format!("[upstream]\nalias = \"{}\"\nurl = \"http://127.0.0.1:1\"\n", NAMES[index + 1]);
        text += "user = \"u\"\npassword_file = \"password\"\n";
    }
    let from = format!("{}.example", NAMES[index]);
    text += &format!("[mail]\nhost = \"127.0.0.1\"\ntls = \"none\"\nfrom = \"support@{from}\"\n");
    text += REMINDERS;
    for target in TARGETS {
        text += &format!("[[reaction_target.mail]]\nname = \"{target}\"\nto = [\"{target}@{from}\"]\n");
    }
    text += if is_last { PROMISES_AT_THE_TOP } else { PROMISES };
    let parse = Settings::parse(&text, "config.toml", dir.path());
    let mut settings = parse.map_err(|fault| fault.to_string()).unwrap();
    // Real delays have a random part of their own. Here the world decides when something is tried again.
    (settings.retry.first, settings.retry.max) = (Duration::ZERO, Duration::ZERO);
    if let Some(mail) = &mut settings.mail {
        (mail.retry.first, mail.retry.max) = (Duration::ZERO, Duration::ZERO);
    }
    parsed.insert((index, count), settings.clone());
    settings
}

fn write_secret(path: &Path) {
    use std::os::unix::fs::OpenOptionsExt;
    let file = std::fs::File::options().create_new(true).write(true).mode(0o600).open(path).unwrap();
    std::io::Write::write_all(&mut &file, b"correct horse battery").unwrap();
}
