//! Who carries what a site tells, its mail server: it may not listen, may refuse, and may take something without anybody
//! hearing that it did.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use casebridge::case::SiteId;
use casebridge::config::Settings;
use casebridge::notify::{Letter, MailError, Mailer, Post};

use super::executor::Wait;
use super::network::Network;
use super::shelf::Shelf;
use super::store::mail::Stands;

/// What became of one thing that was to be told.
#[derive(Debug, Default)]
pub struct Carried {
    /// How often it was taken.
    pub taken: u32,
    /// How often its site could not know, or not write, that it was.
    pub doubts: u32,
    /// Whether it was said that it never will be.
    pub refused: bool,
}

impl Carried {
    /// The site dies; what was taken and is not settled will be told again.
    pub fn doubt(&mut self, is_settled: bool) {
        self.doubts += u32::from(self.taken > 0 && !is_settled);
    }
}

/// From one site.
pub struct Carrier {
    pub site: usize,
    pub shelf: Arc<Mutex<Shelf>>,
    pub network: Arc<Network>,
}

thread_local! {
    /// Of the story that this thread tells.
    static CARRIERS: RefCell<Vec<Arc<Carrier>>> = const { RefCell::new(Vec::new()) };
}

/// Whoever carries for the site of this number in the story that is told.
struct Present(usize);

#[async_trait]
impl Mailer for Present {
    async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        let carrier = CARRIERS.with_borrow(|all| Arc::clone(&all[self.0]));
        carrier.carry(letter).await
    }
}

/// From now on these carry.
pub fn employ(carriers: Vec<Carrier>) {
    CARRIERS.set(carriers.into_iter().map(Arc::new).collect());
}

/// The mail of a site of so many. Its templates are read once for all stories.
pub fn post(index: usize, count: usize, settings: &Settings, site: SiteId) -> Arc<Post> {
    static POSTS: Mutex<BTreeMap<(usize, usize), Arc<Post>>> = Mutex::new(BTreeMap::new());
    let mail = settings.mail.as_ref().expect("each site sends mail");
    let make = || Arc::new(Post::over(Arc::new(Present(index)), mail, &settings.site.alias, site).unwrap());
    Arc::clone(POSTS.lock().unwrap().entry((index, count)).or_insert_with(make))
}

impl Carrier {
    async fn way(&self) {
        self.network.gates.pass(Wait::Mail(self.site)).await;
    }

    /// What became of a letter so far, by its Message-ID; and whether it is settled.
    fn on_row<T>(&self, id: &str, act: impl FnOnce(&mut Carried, bool) -> T) -> T {
        let shelf = &mut *self.shelf.lock().unwrap();
        if !id.starts_with("<msg_") {
            let number = id.trim_start_matches('<').split('.').next().and_then(|number| number.parse().ok());
            let mail = shelf.mails.get(number.expect("a mail has its number"));
            let is_settled = matches!(mail.stands, Stands::Sent | Stands::Refused);
            return act(&mut mail.carried, is_settled);
        }
        let wrong = |what: String| _ = self.network.wrong.lock().unwrap().get_or_insert(what);
        let number = shelf.deeds.at_work.expect("somebody does it");
        if shelf.deeds.all.iter().any(|one| one.run.id != number && one.name.as_deref() == Some(id)) {
            wrong(format!("{id} stands for two deeds at site {}", self.site));
        }
        let one = shelf.deeds.get(number);
        if one.name.get_or_insert_with(|| id.to_owned()) != id {
            wrong(format!("deed {number} of site {} goes out under two names", self.site));
        }
        act(&mut one.carried, one.end.is_some())
    }

    async fn carry(&self, letter: &Letter) -> Result<(), MailError> {
        let id = message_id(letter);
        self.way().await;
        let dice = &self.network.dice;
        let faulty = self.network.faulty.load(Ordering::SeqCst);
        match if faulty { dice.below(24) } else { u64::MAX } {
            0..3 => return Err(MailError::Server("nobody listens".into())),
            3..5 => return Err(MailError::Later("not now".into())),
            5 => {
                self.on_row(&id, |one, _| one.refused = true);
                return Err(MailError::Never("nobody of that name".into()));
            }
            _ => {}
        }
        let known = self.on_row(&id, |one, is_settled| {
            one.taken += 1;
            is_settled || one.taken > 1 + one.doubts
        });
        if known {
            let what = format!("{id} goes out once more, and its site knows that it is out");
            self.network.wrong.lock().unwrap().get_or_insert(what);
        }
        dice.note(&id);
        self.way().await;
        if faulty && dice.one_in(8) {
            self.on_row(&id, |one, _| one.doubts += 1);
            return Err(MailError::Server("the line broke".into()));
        }
        Ok(())
    }
}

fn message_id(letter: &Letter) -> String {
    let text = String::from_utf8_lossy(letter.bytes());
    let line = text.lines().find_map(|line| line.strip_prefix("Message-ID: "));
    line.expect("each letter has one").trim().to_owned()
}
