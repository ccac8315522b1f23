//! What people were told: once for each reason, nothing left out, and no case closed behind their backs.

use std::collections::{BTreeMap, BTreeSet};

use casebridge::case::reminder::{ANSWERED, reason};
use casebridge::case::{Action, Comment, Fact, HistoryLine, Incident, Milestone, Notice, Phase};
use casebridge::config::settings::Reminders;

use super::promises::is;
use crate::model::{ASKED, UNANSWERED, UNANSWERED_BELOW};
use crate::shelf::Shelf;
use crate::site::Site;
use crate::store::mail::{Mail, Person, Stands, is_open};

/// One mail for each reason and person; and no step that was known to be taken.
pub fn told_once(site: &Site, shelf: &Shelf) {
    let mut written = BTreeSet::new();
    for one in &shelf.mails.all {
        let new = written.insert((one.incident, one.reason.as_str(), one.to.address.as_str()));
        assert!(new, "two mails for one reason at {}: {} in {}", site.alias, one.reason, one.incident);
    }
    for incident in shelf.incidents.values() {
        chased_alone(incident, site);
    }
}

/// This site took no step of a round that its record had already, by whichever site.
fn chased_alone(incident: &Incident, site: &Site) {
    let rank = |one: &Milestone| (one.n, one.id);
    // Each site says for itself that its own people are to be waited for, that they had their time, and that one answered.
    let of_one_site = |name: &str| name.ends_with("-held") || name.ends_with("-close") || name == ANSWERED;
    let is_step = |one: &&Milestone| matches!(&one.fact, Fact::Notice(name) if !of_one_site(name));
    let steps = || incident.milestones.iter().filter(is_step);
    for ours in steps().filter(|one| one.origin.is_none()) {
        for known in steps().filter(|one| one.position < ours.position && one.fact == ours.fact) {
            let between = |one: &&Milestone| rank(known) < rank(one) && rank(one) < rank(ours);
            let went_on = incident.milestones.iter().filter(|one| one.state().is_some()).any(|one| between(&one));
            assert!(went_on, "{:?} was taken twice in {} at {}", ours.fact, incident.id, site.alias);
        }
    }
}

/// Everything that was to be told was, or was refused by whoever was to have it.
pub fn all_told(site: &Site, shelf: &Shelf) {
    for (id, one) in shelf.mails.all.iter().enumerate() {
        let whose = format!("mail {id} at {}, {} in {}", site.alias, one.notice.as_str(), one.incident);
        match one.stands {
            Stands::Sent => assert!(one.carried.taken > 0, "{whose} is said to be sent"),
            Stands::Refused => assert!(one.carried.refused, "{whose} is said to be refused"),
            Stands::Withdrawn => assert!(one.notice.passes() || one.left, "{whose} is withdrawn"),
            Stands::Waiting => panic!("{whose} waits"),
        }
    }
    for person in &shelf.mails.people {
        let incident = &shelf.incidents[&person.incident];
        let mails = || shelf.mails.all.iter().filter(|one| is_to(one, person));
        let whose = format!("{} of {} at {}", person.party.address.as_str(), incident.id, site.alias);
        let greeted = mails().any(|one| one.notice == Notice::Opened);
        let is_over = incident.work.phase == Phase::Close;
        assert!(greeted == is_open(incident) || is_over && !greeted, "{whose} is told that the case is open");
        let is_news = |one: &&Comment| one.position > person.since && one.party != Some(person.party.id);
        for comment in incident.comments.iter().filter(is_news) {
            let is_told = |one: &Mail| one.stands != Stands::Withdrawn || one.left;
            let told = mails().any(|one| one.about.comments.contains(&comment.id) && is_told(one));
            assert!(told, "{whose} was not told of the comment {}", comment.id);
        }
        let states = incident.milestones.iter().filter(|one| one.state() == Some(incident.state()));
        let Some(last) = states.max_by_key(|one| one.position) else { continue };
        let told = mails().any(|one| one.reason == reason(last));
        assert!(told || last.position <= person.since, "{whose} was not told that it is {}", incident.state());
    }
    for incident in shelf.incidents.values() {
        let lines = shelf.events.iter().enumerate().filter(|(_, line)| line.incident == incident.id);
        for (index, line) in lines {
            match line.detail.as_str() {
                UNANSWERED => warned(site, shelf, index, line),
                UNANSWERED_BELOW | ASKED => in_time(site, shelf, line),
                _ => {}
            }
        }
    }
}

/// One site alone writes to whoever belongs to a case at several: as all their records say.
pub fn one_writes(event: &str, sites: &[Site], records: &[Incident]) {
    let mut writers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut said = BTreeSet::new();
    for (site, record) in sites.iter().zip(records) {
        let shelf = site.store.shelf.lock().unwrap();
        for person in shelf.mails.people.iter().filter(|one| one.incident == record.id) {
            let address = person.party.address.as_str();
            let word = record.tellers().of_person(&person.party.address);
            let writers = writers.entry(address.to_owned()).or_default();
            match word.map(|word| &word.origin) {
                Some(Some(_)) => {}
                Some(None) | None => writers.push(site.alias.as_str()),
            }
            said.extend(word.map(|_| address.to_owned()));
        }
    }
    for address in said {
        assert!(writers[&address].len() <= 1, "{:?} write to {address} of {event}", writers[&address]);
    }
}

/// No site closes a case for another one, or asks for its end, sooner than its own people had the notice for its full time.
fn in_time(site: &Site, shelf: &Shelf, close: &HistoryLine) {
    let Reminders { input, closing } = site.reminders();
    for person in shelf.mails.people.iter().filter(|one| one.incident == close.incident) {
        let notices = shelf.mails.all.iter().filter(|one| is_to(one, person) && one.stands == Stands::Sent);
        let sent = |one: &Mail, at| one.settled_at.is_some_and(|sent| sent <= at);
        for mail in notices.filter(|one| sent(one, close.at)) {
            let full = match mail.notice {
                Notice::InputNotice => input.close,
                Notice::ClosingNotice => closing.close,
                _ => continue,
            };
            let whose = format!("{} of {} at {}", person.party.address.as_str(), close.incident, site.alias);
            assert!(mail.settled_at.is_some_and(|sent| sent + full <= close.at), "{whose} had a day less");
        }
    }
}

fn is_to(mail: &Mail, person: &Person) -> bool {
    mail.incident == person.incident && mail.to.address == person.party.address
}

/// Whoever belonged to the case when the notice was written had it for its full time before the case was closed.
fn warned(site: &Site, shelf: &Shelf, closed: usize, close: &HistoryLine) {
    let whose = format!("incident {} at {}", close.incident, site.alias);
    let is_notice = |line: &HistoryLine| is(line, Action::Reminded) && line.detail.ends_with("-notice");
    let mut before = shelf.events[..closed].iter().enumerate().filter(|(_, line)| line.incident == close.incident);
    let Some((noticed, line)) = before.rfind(|(_, line)| is_notice(line)) else {
        panic!("{whose} was closed without a notice");
    };
    let Reminders { input, closing } = site.reminders();
    let full = if line.detail.starts_with("input") { input.close } else { closing.close };
    let written = || shelf.mails.all.iter().filter(|one| one.incident == close.incident && one.made == noticed + 1);
    let notices: Vec<&Mail> =
        written().filter(|one| matches!(one.notice, Notice::InputNotice | Notice::ClosingNotice)).collect();
    for person in shelf.mails.people.iter().filter(|one| one.incident == close.incident && one.came < noticed) {
        let mail = notices.iter().find(|one| is_to(one, person));
        let mail = mail.unwrap_or_else(|| panic!("{} of {whose} had no notice", person.party.address.as_str()));
        let settled = mail.settled_at.unwrap_or_else(|| panic!("a notice of {whose} waited"));
        match mail.stands {
            Stands::Sent => assert!(settled + full <= close.at, "{whose} was closed before its time"),
            Stands::Refused => {}
            Stands::Withdrawn if mail.left => {}
            other => panic!("a notice of {whose} is {other:?}"),
        }
    }
}
