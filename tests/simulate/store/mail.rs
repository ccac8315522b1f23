//! The people of a site's cases, the mails that wait for them, and when they are to be looked after.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use casebridge::case::{HistoryLine, Incident, IncidentId, MailAddress, Notice, Party, Phase, teller};
use casebridge::store::mail::{
    About, Audience, Deliveries, DueMail, MailCursor, MailNews, MailOutcome, MailQuery, MailRow, NewParty, NewsTaken,
    PartyAdded, StepTaken, Telling,
};
use casebridge::store::{MailStore, StoreError, Written};
use jiff::Timestamp;
use uuid::Uuid;

use super::Store;
use crate::bugs::Bug;
use crate::carrier::Carried;
use crate::dice::Dice;
use crate::shelf::Shelf;

#[derive(Default)]
pub struct Mails {
    pub people: Vec<Person>,
    pub all: Vec<Mail>,
    cursor: MailCursor,
    due: BTreeMap<IncidentId, Timestamp>,
    /// What a person has to go on with, and why.
    left: BTreeMap<IncidentId, String>,
}

pub struct Person {
    pub incident: IncidentId,
    pub party: Party,
    greeted: bool,
    /// The last milestone or comment that was there before.
    pub since: i64,
    /// How many events were.
    pub came: usize,
}

pub struct Mail {
    pub incident: IncidentId,
    pub reason: String,
    pub notice: Notice,
    pub about: About,
    pub to: Party,
    pub stands: Stands,
    /// Withdrawn, because another site writes to them.
    pub left: bool,
    pub settled_at: Option<Timestamp>,
    pub carried: Carried,
    /// How many events were there when it was written.
    pub made: usize,
    made_at: Timestamp,
    attempts: u32,
    next: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    Waiting,
    Sent,
    Refused,
    Withdrawn,
}

impl Mails {
    /// By the number that its Message-ID is made from.
    pub fn get(&mut self, id: i64) -> &mut Mail {
        &mut self.all[id as usize]
    }

    /// Somebody of some case.
    pub fn someone(&self, dice: &Dice) -> Option<(IncidentId, Party)> {
        let all: Vec<(IncidentId, Party)> = self.people.iter().map(|one| (one.incident, one.party.clone())).collect();
        dice.pick(&all)
    }

    /// Somebody of a case, by number.
    pub fn party(&self, incident: IncidentId, number: i64) -> Option<Party> {
        self.of(incident).map(|one| &one.party).find(|party| party.id == number).cloned()
    }

    fn of(&self, incident: IncidentId) -> impl Iterator<Item = &Person> {
        self.people.iter().filter(move |one| one.incident == incident)
    }

    /// What waits, and for no earlier one to the same person in the same case.
    fn firsts(&self) -> impl Iterator<Item = (usize, &Mail)> {
        let mut seen = BTreeSet::new();
        let waiting = self.all.iter().enumerate().filter(|(_, one)| one.stands == Stands::Waiting);
        waiting.filter(move |(_, one)| seen.insert((one.incident, one.to.address.as_str())))
    }

    fn look(&mut self, incident: IncidentId, due: Option<Timestamp>) {
        match due {
            Some(due) => _ = self.due.insert(incident, due),
            None => _ = self.due.remove(&incident),
        }
    }
}

/// What is still to be told at this site, or waited for; none when all is said.
pub fn runs(shelf: &Shelf) -> Option<String> {
    let mails = &shelf.mails;
    if news(shelf, 1).is_news {
        return Some("there is news".into());
    }
    if let Some((incident, due)) = mails.due.first_key_value() {
        return Some(format!("the people of incident {incident} are looked after at {due}"));
    }
    mails.all.iter().position(|one| one.stands == Stands::Waiting).map(|id| format!("mail {id} waits"))
}

/// Whether people may know that the case is open.
pub fn is_open(incident: &Incident) -> bool {
    incident.client.is_none() || incident.case.is_some()
}

fn news(shelf: &Shelf, limit: usize) -> MailNews {
    let since = shelf.mails.cursor;
    let mut news = MailNews { since, cursor: since, ..MailNews::default() };
    for incident in shelf.incidents.values() {
        let milestones = incident.milestones.iter().filter(|one| one.position > news.cursor.milestone);
        news.milestones.extend(milestones.map(|one| (incident.id, one.clone())));
        let comments = incident.comments.iter().filter(|one| one.position > news.cursor.comment);
        news.comments.extend(comments.map(|one| (incident.id, one.clone())));
    }
    news.milestones.sort_by_key(|(_, one)| one.position);
    news.milestones.truncate(limit);
    news.comments.sort_by_key(|(_, one)| one.position);
    news.comments.truncate(limit);
    let is_to_greet = |one: &&Person| {
        let incident = &shelf.incidents[&one.incident];
        !one.greeted && is_open(incident) && incident.work.phase != Phase::Close
    };
    let to_greet = shelf.mails.people.iter().filter(is_to_greet);
    news.ungreeted = to_greet.take(limit).map(|one| (one.incident, one.party.address.clone())).collect();
    news.is_news = !(news.milestones.is_empty() && news.comments.is_empty() && news.ungreeted.is_empty());
    let last = |known: i64, position: Option<i64>| position.unwrap_or(known);
    news.cursor = MailCursor {
        milestone: last(news.cursor.milestone, news.milestones.last().map(|(_, one)| one.position)),
        comment: last(news.cursor.comment, news.comments.last().map(|(_, one)| one.position)),
        shown: 0,
    };
    news.comments.retain(|(_, one)| !one.internal && !one.deleted);
    news
}

fn take_news(shelf: &mut Shelf, taken: NewsTaken, at: Timestamp) {
    if taken.since.is_some_and(|since| since != shelf.mails.cursor) {
        return;
    }
    for (incident, kept) in &taken.moved_on {
        let is_kept = |one: &Mail| kept.as_ref().is_some_and(|kept| one.reason.starts_with(kept.as_str()));
        for one in &mut shelf.mails.all {
            let waits = one.incident == *incident && one.stands == Stands::Waiting && one.notice.passes();
            if waits && !is_kept(one) {
                match one.about.comments.is_empty() {
                    true => (one.stands, one.settled_at) = (Stands::Withdrawn, Some(at)),
                    false => (one.notice, one.about.state) = (Notice::Comment, None),
                }
            }
        }
    }
    taken.tellings.into_iter().for_each(|telling| tell(shelf, telling, at));
    for incident in taken.look {
        withdraw(shelf, incident, at);
        shelf.mails.look(incident, Some(at));
    }
    let cursor = &mut shelf.mails.cursor;
    cursor.milestone = cursor.milestone.max(taken.cursor.milestone);
    cursor.comment = cursor.comment.max(taken.cursor.comment);
}

/// The people of a case, with the other sites that write to them.
fn parties(shelf: &Shelf, incident: IncidentId) -> Vec<Party> {
    let tellers = shelf.incidents.get(&incident).map(Incident::tellers);
    let told_by = |party: &Party| tellers.as_ref()?.of_person(&party.address)?.origin.clone();
    shelf.mails.of(incident).map(|one| Party { told_by: told_by(&one.party), ..one.party.clone() }).collect()
}

/// What waits for somebody to whom another site writes is not sent.
fn withdraw(shelf: &mut Shelf, incident: IncidentId, at: Timestamp) {
    for party in parties(shelf, incident).into_iter().filter(|one| one.told_by.is_some()) {
        let is_theirs = |one: &&mut Mail| one.incident == incident && one.to.address == party.address;
        for one in shelf.mails.all.iter_mut().filter(is_theirs).filter(|one| one.stands == Stands::Waiting) {
            (one.stands, one.left, one.settled_at) = (Stands::Withdrawn, true, Some(at));
        }
    }
}

/// Whoever is written to here is told of to the other sites.
fn claim(shelf: &mut Shelf, id: IncidentId, told: &[MailAddress], at: Timestamp) {
    for address in told {
        let incident = &shelf.incidents[&id];
        let is_elsewhere = incident.references.iter().any(|one| one.standing.is_open());
        let is_said = incident.tellers().ours(address).next().is_some();
        if is_elsewhere && !is_said {
            shelf.say(id, |word| teller::tells(word, at, address));
        }
    }
}

fn tell(shelf: &mut Shelf, telling: Telling, at: Timestamp) {
    let made = shelf.events.len();
    let elsewhere = parties(shelf, telling.incident).into_iter().filter(|one| one.told_by.is_some());
    let elsewhere: BTreeSet<i64> = elsewhere.map(|one| one.id).collect();
    let mut told = Vec::new();
    let Mails { people, all, .. } = &mut shelf.mails;
    let mut apart = Vec::new();
    let comments = &shelf.incidents[&telling.incident].comments;
    for person in people.iter_mut().filter(|one| one.incident == telling.incident) {
        let party = &person.party;
        let is_meant = match &telling.audience {
            Audience::All => true,
            Audience::Except(author) => party.id != *author,
            Audience::Only(address) => party.address == *address,
        };
        if !is_meant {
            continue;
        }
        person.greeted |= telling.notice == Notice::Opened;
        let is_ours = !elsewhere.contains(&party.id);
        told.extend(is_ours.then(|| party.address.clone()));
        let is_same = |one: &Mail| {
            one.incident == telling.incident && one.reason == telling.reason && one.to.address == party.address
        };
        if let Some(same) = all.iter_mut().find(|one| is_same(one)) {
            if same.stands == Stands::Withdrawn && is_ours {
                same.left = false;
                (same.stands, same.settled_at, same.next) = (Stands::Waiting, None, at);
                (same.made_at, same.attempts) = (at, 0);
            } else if telling.notice != Notice::Comment {
                let is_own = |id: &Uuid| comments.iter().any(|one| one.id == *id && one.party == Some(party.id));
                let is_new = |id: &&Uuid| !same.about.comments.contains(id) && !is_own(id);
                let left = telling.about.comments.iter().filter(is_new).copied().collect();
                apart.extend(telling.comments_apart(left, party));
            }
            continue;
        }
        all.push(Mail {
            incident: telling.incident,
            reason: telling.reason.clone(),
            notice: telling.notice,
            about: telling.about.clone(),
            to: party.clone(),
            stands: if is_ours { Stands::Waiting } else { Stands::Withdrawn },
            left: !is_ours,
            settled_at: None,
            carried: Carried::default(),
            made,
            made_at: at,
            attempts: 0,
            next: at,
        });
    }
    let incident = telling.incident;
    apart.into_iter().for_each(|telling| tell(shelf, telling, at));
    claim(shelf, incident, &told, at);
}

fn settle(shelf: &mut Shelf, id: i64, outcome: MailOutcome, line: Option<HistoryLine>, at: Timestamp) {
    let one = shelf.mails.get(id);
    let is_sent = matches!(outcome, MailOutcome::Sent { .. });
    if one.stands != Stands::Waiting && !(is_sent && one.stands == Stands::Withdrawn) {
        return;
    }
    let incident = one.incident;
    match outcome {
        MailOutcome::Later { next, .. } => {
            (one.next, one.attempts) = (next, one.attempts + 1);
            return;
        }
        MailOutcome::Sent { .. } => one.stands = Stands::Sent,
        MailOutcome::Refused { .. } => one.stands = Stands::Refused,
        MailOutcome::Withdrawn { .. } => one.stands = Stands::Withdrawn,
    }
    one.settled_at = Some(at);
    if one.stands != Stands::Withdrawn {
        shelf.mails.look(incident, Some(at));
    }
    line.into_iter().for_each(|line| shelf.told(line));
}

pub fn deliveries(shelf: &Shelf, incident: IncidentId, reasons: &[String]) -> Deliveries {
    let mails = &shelf.mails;
    let last = |person: &Person| {
        let is_theirs = |one: &&Mail| one.incident == incident && one.to.address == person.party.address;
        mails.all.iter().rev().filter(is_theirs).find(|one| reasons.contains(&one.reason))
    };
    let mut counted = Deliveries::default();
    let (mut roles, mut reached) = (BTreeSet::new(), BTreeSet::new());
    let elsewhere = parties(shelf, incident).into_iter().filter(|one| one.told_by.is_some());
    let elsewhere: BTreeSet<i64> = elsewhere.map(|one| one.id).collect();
    let ours = mails.of(incident).filter(|person| !elsewhere.contains(&person.party.id));
    for (person, mail) in ours.map(|person| (person, last(person))) {
        roles.insert(person.party.role.as_str());
        counted.within = counted.within.max(mail.and_then(|mail| mail.about.within).map(Duration::from_millis));
        match mail.map(|mail| (mail.stands, mail.settled_at)) {
            Some((Stands::Sent, at)) => {
                counted.sent += 1;
                reached.insert(person.party.role.as_str());
                counted.last_sent = counted.last_sent.max(at);
            }
            Some((Stands::Waiting, _)) => counted.waiting += 1,
            Some((Stands::Refused, _)) => counted.refused += 1,
            Some((Stands::Withdrawn, _)) | None => counted.missing += 1,
        }
    }
    counted.unreached = roles.len() - reached.len();
    counted
}

fn add_party(shelf: &mut Shelf, incident: IncidentId, new: NewParty, line: HistoryLine) -> PartyAdded {
    if !shelf.incidents.contains_key(&incident) {
        return PartyAdded::Gone;
    }
    let language = new.language.unwrap_or(new.otherwise);
    let (since, came) = (shelf.positions(), shelf.events.len());
    let people = &mut shelf.mails.people;
    let party = Party {
        id: people.len() as i64,
        role: new.role,
        name: new.name,
        address: new.address,
        language,
        told_by: None,
    };
    match people.iter_mut().find(|one| one.incident == incident && one.party.address == party.address) {
        Some(known) => known.party = Party { id: known.party.id, ..party },
        None => people.push(Person { incident, party, greeted: false, since, came }),
    }
    shelf.mails.look(incident, Some(line.at));
    shelf.told(line);
    PartyAdded::Added(language)
}

#[async_trait]
impl MailStore for Store {
    async fn add_party(
        &self,
        incident: IncidentId,
        party: NewParty,
        line: HistoryLine,
    ) -> Result<PartyAdded, StoreError> {
        self.commit(|shelf| Ok(add_party(shelf, incident, party, line))).await
    }

    async fn remove_party(&self, _: IncidentId, _: &MailAddress, _: HistoryLine) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn parties(&self, incident: IncidentId) -> Result<Vec<Party>, StoreError> {
        Ok(self.read(|shelf| parties(shelf, incident)))
    }

    async fn mail_news(&self, limit: usize) -> Result<MailNews, StoreError> {
        Ok(self.read(|shelf| news(shelf, limit)))
    }

    async fn take_mail_news(&self, taken: NewsTaken, at: Timestamp) -> Result<(), StoreError> {
        self.commit(|shelf| {
            take_news(shelf, taken, at);
            Ok(())
        })
        .await
    }

    async fn due_mails(&self, now: Timestamp, limit: usize) -> Result<Vec<DueMail>, StoreError> {
        Ok(self.read(|shelf| {
            let all = &shelf.mails.all;
            let thread = |id: usize, mail: &Mail| {
                let before = all[..id].iter().enumerate().filter(|(_, one)| {
                    one.incident == mail.incident && one.to.address == mail.to.address && one.stands == Stands::Sent
                });
                before.map(|(id, _)| (id as i64, None)).collect()
            };
            let mut due: Vec<(usize, &Mail)> = shelf.mails.firsts().filter(|(_, one)| one.next <= now).collect();
            due.sort_by_key(|(id, one)| (one.next, *id));
            let one = |(id, mail): (usize, &Mail)| DueMail {
                id: id as i64,
                incident: Some(mail.incident),
                notice: mail.notice,
                about: mail.about.clone(),
                to: mail.to.clone(),
                made_at: mail.made_at,
                attempts: mail.attempts,
                thread: thread(id, mail),
            };
            due.into_iter().take(limit).map(one).collect()
        }))
    }

    async fn waits(&self, id: i64) -> Result<bool, StoreError> {
        Ok(self.read(|shelf| shelf.mails.all[id as usize].stands == Stands::Waiting))
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.read(|shelf| {
            let waiting = shelf.mails.firsts().map(|(_, one)| one.next);
            waiting.chain(shelf.mails.due.values().copied()).min()
        }))
    }

    async fn settle_mail(
        &self,
        id: i64,
        outcome: MailOutcome,
        line: Option<HistoryLine>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        if self.bug == Some(Bug::ForgetsThatItWasSent) && matches!(outcome, MailOutcome::Sent { .. }) && id % 4 == 0 {
            return Ok(());
        }
        let settled = self
            .commit(|shelf| {
                settle(shelf, id, outcome, line, at);
                Ok(())
            })
            .await;
        if settled.is_err() {
            self.shelf.lock().unwrap().mails.get(id).carried.doubt(false);
        }
        settled
    }

    async fn deliveries(&self, incident: IncidentId, reasons: &[String]) -> Result<Deliveries, StoreError> {
        Ok(self.read(|shelf| deliveries(shelf, incident, reasons)))
    }

    async fn due_reminders(&self, now: Timestamp, limit: usize) -> Result<Vec<IncidentId>, StoreError> {
        Ok(self.read(|shelf| {
            let due = shelf.mails.due.iter().filter(|(_, due)| **due <= now);
            let mut due: Vec<(Timestamp, IncidentId)> = due.map(|(incident, due)| (*due, *incident)).collect();
            due.sort_unstable();
            due.into_iter().take(limit).map(|(_, incident)| incident).collect()
        }))
    }

    async fn look_again(&self, incident: IncidentId, due: Option<Timestamp>) -> Result<(), StoreError> {
        self.commit(|shelf| {
            shelf.mails.left.remove(&incident);
            shelf.mails.look(incident, due);
            Ok(())
        })
        .await
    }

    async fn look_at_all(&self, at: Timestamp) -> Result<(), StoreError> {
        self.commit(|shelf| {
            shelf.mails.due.values_mut().for_each(|due| *due = at.min(*due));
            Ok(())
        })
        .await
    }

    async fn leave_to_people(&self, incident: IncidentId, reason: &str, line: HistoryLine) -> Result<(), StoreError> {
        self.commit(|shelf| {
            if shelf.mails.left.insert(incident, reason.to_owned()).as_deref() != Some(reason) {
                shelf.told(line);
            }
            shelf.mails.look(incident, None);
            Ok(())
        })
        .await
    }

    async fn left_to_people(&self, limit: usize) -> Result<Vec<(IncidentId, String)>, StoreError> {
        let left =
            |shelf: &Shelf| shelf.mails.left.iter().map(|(id, reason)| (*id, reason.clone())).take(limit).collect();
        Ok(self.read(left))
    }

    async fn take_step(&self, step: StepTaken) -> Result<Written, StoreError> {
        self.commit(|shelf| {
            let id = step.write.incident;
            let Some(incident) = shelf.incidents.get(&id) else { return Ok(Written::Gone) };
            if incident.milestones.iter().map(|one| one.position).max().unwrap_or_default() != step.seen {
                return Ok(Written::Stale);
            }
            let written = shelf.write(vec![step.write], self.bug).remove(0);
            if written == Written::Done {
                step.telling.into_iter().for_each(|telling| tell(shelf, telling, step.at));
                shelf.mails.look(id, Some(step.at));
            }
            Ok(written)
        })
        .await
    }

    async fn mails(&self, _: &MailQuery) -> Result<Vec<MailRow>, StoreError> {
        Ok(Vec::new())
    }

    async fn retry_mails(&self, _: Option<i64>, _: &str, _: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn mail_counts(&self, _: usize) -> Result<(u64, u64), StoreError> {
        Ok((0, 0))
    }
}
