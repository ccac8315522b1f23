//! What the people of cases do by mail and by the links in their mails. It waits outside of the sites, in a directory of mails or
//! at a browser, until somebody says what became of it; a site that dies over it gets it once more.

use std::collections::BTreeMap;
use std::sync::Mutex;

use casebridge::case::pass::Subject;
use casebridge::case::{IncidentId, Language, MailAddress, Pass, PassTag, Purpose};
use casebridge::exchange::{Answer, Engine, EngineError, Leads, Replied};

/// By which way an answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Mail,
    Link,
}

/// One answer of one person.
#[derive(Debug, Clone)]
pub struct Said {
    pub incident: IncidentId,
    /// The number of the person at the site.
    pub party: i64,
    pub address: MailAddress,
    pub way: Way,
    /// Tells it from every other one.
    pub text: String,
    pub number: u64,
}

#[derive(Default)]
pub struct People {
    /// In the directory, or at the browser.
    pub waiting: Vec<Said>,
    /// By its text: whether the site has said that it took it.
    pub settled: BTreeMap<String, bool>,
}

impl People {
    /// The site has said what became of it.
    fn settle(&mut self, said: &Said, taken: bool) {
        self.waiting.retain(|one| one.number != said.number);
        // Pressed again, a button may do what it did not do before; it never undoes anything.
        let before = self.settled.insert(said.text.clone(), taken).unwrap_or_default();
        assert!(taken || !before, "{} was taken, and then it was not", said.text);
    }
}

/// Presses the buttons, and where `mails` are read, reads those: one reads them, and several may press.
pub async fn answer(engine: &Engine, people: &Mutex<People>, mails: bool) -> Result<(), EngineError> {
    let waiting = people.lock().unwrap().waiting.clone();
    for said in waiting.into_iter().filter(|one| mails || one.way == Way::Link) {
        let taken = match said.way {
            Way::Mail => by_mail(engine, &said).await?,
            Way::Link => by_link(engine, &said).await?,
        };
        people.lock().unwrap().settle(&said, taken);
    }
    Ok(())
}

async fn by_mail(engine: &Engine, said: &Said) -> Result<bool, EngineError> {
    let answer = Answer {
        id: format!("mail {}", said.number),
        sender: said.address.clone(),
        text: said.text.clone(),
        language: None,
        files: None,
    };
    let replied = engine.replied((said.incident, said.party), answer).await?;
    Ok(matches!(replied, Replied::Comment | Replied::Known))
}

async fn by_link(engine: &Engine, said: &Said) -> Result<bool, EngineError> {
    let pass = Pass {
        purpose: Purpose::Answer,
        subject: Subject::Party { incident: said.incident, party: said.party },
        expires_at: "2030-01-01T00:00:00Z".parse().expect("an instant"),
        serial: said.number,
    };
    let tag = PassTag(u128::from(said.number).to_be_bytes());
    let leads = match engine.leads(&pass, tag).await? {
        Leads::Case(_) => engine.follow(&pass, tag, &said.text, Language::English).await?,
        other => other,
    };
    Ok(matches!(leads, Leads::Done { .. }))
}
