//! What must hold at every step, and what must be there at the end.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use casebridge::case::{Incident, PhaseGroup, Towards};

use super::model::{Model, PERSON};
use super::site::Site;

pub mod answers;
mod deeds;
mod desk;
mod mails;
mod promises;
mod receipts;

/// Panics with the invariant that is broken.
pub fn at_every_step(sites: &[Site], model: &Model) {
    for site in sites {
        let shelf = site.store.shelf.lock().unwrap();
        let mut names = HashSet::new();
        let mut exchanges = HashSet::new();
        for incident in shelf.incidents.values() {
            let name = (incident.client.clone(), incident.event.host_event_id.clone());
            assert!(names.insert(name), "{} is there twice at {}", incident.event.host_event_id, site.alias);
            for reference in &incident.references {
                let key = (reference.peer.clone(), reference.exchange);
                assert!(exchanges.insert(key), "one exchange, two incidents at {}", site.alias);
            }
            answers::taken_once(incident, site);
            let expected = &model.0[&incident.event.host_event_id];
            let mut seen = HashSet::new();
            for comment in incident.comments.iter().filter(|one| one.author == PERSON) {
                assert!(seen.insert(comment.id), "a comment is doubled at {}", site.alias);
                let text = expected.comments.get(&comment.id);
                assert_eq!(text, Some(&comment.text), "nobody wrote this comment");
            }
        }
    }
    for pair in sites.windows(2) {
        let [lower, upper] = pair else { continue };
        let (below, above) = (lower.store.shelf.lock().unwrap(), upper.store.shelf.lock().unwrap());
        for incident in below.incidents.values() {
            let Some(reference) = incident.references.iter().find(|one| one.towards == Towards::Upstream) else {
                continue;
            };
            let Some(transaction) = &reference.transaction else {
                assert!(incident.case.is_none() || lower.index > 0, "a case without a transaction");
                continue;
            };
            let theirs = above.incidents.values().find(|one| one.id.to_string() == transaction.as_str());
            let theirs =
                theirs.unwrap_or_else(|| panic!("transaction {transaction} was acknowledged and is not there"));
            assert_eq!(theirs.event.host_event_id, incident.event.host_event_id, "somebody else's transaction");
            if let Some(case) = &incident.case {
                let id = theirs.case.as_ref().map(|case| &case.id);
                assert_eq!(id, Some(&case.id), "the case of {}", incident.event.host_event_id);
            }
        }
    }
}

/// No operation has taken effect twice, no deadline was noted twice, no case closed that was not resolved by then, and none is
/// in two people's hands.
pub fn once(sites: &[Site]) {
    for site in sites {
        let shelf = site.store.shelf.lock().unwrap();
        for lines in shelf.history.values() {
            let mut seen = HashSet::new();
            for line in
                lines.iter().filter(|line| matches!(line.action.as_str(), "operation_applied" | "case_accepted"))
            {
                let (Some(exchange), Some(seq)) = (line.exchange, line.seq) else { continue };
                let new = seen.insert((exchange, seq));
                assert!(new, "operation {seq} took effect twice at {}: {}", site.alias, line.detail);
            }
        }
        for incident in shelf.incidents.values() {
            let lines = shelf.history.get(&incident.id).map_or(&[][..], Vec::as_slice);
            promises::noted_once(incident, lines, &site.alias);
        }
        desk::as_told(site, &shelf);
        deeds::queued_once(&shelf.deeds, &site.alias);
        mails::told_once(site, &shelf);
        receipts::sound(&shelf.chain, &site.alias);
    }
}

/// Both records, or all three, are what the model says.
pub fn at_the_end(sites: &[Site], model: &Model) {
    for site in sites {
        let shelf = site.store.shelf.lock().unwrap();
        deeds::all_done(&shelf, &site.alias);
        mails::all_told(site, &shelf);
        receipts::complete(&shelf.chain, &site.alias);
    }
    for (event, expected) in &model.0 {
        let mut records: Vec<Incident> = Vec::new();
        for site in sites {
            let shelf = site.store.shelf.lock().unwrap();
            let found: Vec<Incident> =
                shelf.incidents.values().filter(|one| one.event.host_event_id == *event).cloned().collect();
            assert_eq!(found.len(), 1, "{event} at {}", site.alias);
            records.extend(found);
        }
        answers::none_lost(sites, &records);
        mails::one_writes(event, sites, &records);
        let top = records.last().expect("there are sites");
        let mut lines = sites.iter().zip(&records).rev().map(|(site, record)| {
            let shelf = site.store.shelf.lock().unwrap();
            shelf.history.get(&record.id).cloned().unwrap_or_default()
        });
        let at_the_top = lines.next().unwrap_or_default();
        let ending = promises::ending(&at_the_top, &lines.flatten().collect::<Vec<_>>(), expected);
        for (record, site) in records.iter().zip(sites) {
            let whose = format!("{event} at {}", site.alias);
            let comments: BTreeMap<_, _> = record
                .comments
                .iter()
                .filter(|one| one.author == PERSON)
                .map(|one| (one.id, one.text.clone()))
                .collect();
            assert_eq!(comments, expected.comments, "the comments of {whose}");
            let unanswered = top.work.solution.clone().filter(|text| text == "Closed, since nobody answered");
            let unsaid = || top.work.solution.clone().filter(|text| text == site.default_solution());
            let solution = expected.solution.clone().or(unanswered).or_else(unsaid);
            assert_eq!(record.work.solution, solution, "the solution of {whose}");
            let phase = record.work.phase.group();
            let is_left = phase == PhaseGroup::Validation && answers::is_left(record);
            assert!(is_left || ending.allows(phase), "the phase of {whose} is {phase:?}, not {:?}", ending.phase);
            assert_eq!(record.state(), top.state(), "the state of {whose}");
            assert_eq!(record.stops(), top.stops(), "the clocks of {whose}");
            let case = record.case.as_ref().unwrap_or_else(|| panic!("there is no case for {whose}"));
            assert_eq!(Some(case), top.case.as_ref(), "the case of {whose}");
            if let Some(status) = &ending.status {
                assert_eq!(case.status, *status, "the status of {whose}");
            }
            promises::agreed(record, top, &whose);
            let towards: BTreeSet<&str> = record.references.iter().map(|one| one.towards.as_str()).collect();
            assert_eq!(towards.len(), record.references.len(), "one exchange each way: {whose}");
        }
    }
}
