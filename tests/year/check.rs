//! What must hold: at either site each warning, violation and close once, at its instant, in time and in order; and both sites
//! know the same.

use std::collections::{BTreeMap, BTreeSet};

use casebridge::case::{CaseState, Deadline, Fact, HistoryLine, Incident, Instants, Passed};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::site::Site;
use super::{DOWN, EACH, STORIES, World, at};

/// How many things happened, by their names.
type Seen = BTreeMap<String, usize>;

/// After everything is over.
pub async fn at_the_end(world: &World) {
    let (here, there) = (world.partner.all().await, world.north.all().await);
    assert_eq!((here.len(), there.len()), (STORIES * EACH, STORIES * EACH));
    agree(&here, &there);
    let mut seen = Seen::new();
    for (site, incidents) in [(&world.partner, &here), (&world.north, &there)] {
        for incident in incidents {
            assert_ne!(incident.state(), CaseState::Resolved, "each was closed in the end: {}", incident.id);
            let history = site.history(incident.id).await;
            promises(site, incident, &history, &mut seen);
            closings(site, incident, &history, &mut seen);
        }
    }
    println!("{seen:?}, and {} deadlines compared while they came nearer", world.compared);
    for (what, at_least) in [
        ("partner: deadline_warned", 500),
        ("partner: deadline_missed", 200),
        ("partner: auto_closed", 300),
        ("north: deadline_warned", 300),
        ("north: deadline_missed", 300),
    ] {
        assert!(seen.get(what).is_some_and(|count| *count > at_least), "{what}: {seen:?}");
    }
    assert!(world.compared > 5000, "{} were compared", world.compared);
}

/// What was promised on these cases, by whichever site, falls on the same second at both, and the same has happened to them.
/// Returns how many deadlines come nearer.
pub fn agree(here: &[Incident], there: &[Incident]) -> usize {
    let named = |incidents: &[Incident]| incidents.iter().map(|one| one.event.host_event_id.clone()).collect();
    let (ours, theirs): (BTreeSet<String>, BTreeSet<String>) = (named(here), named(there));
    assert_eq!(ours, theirs, "the cases");
    let there: BTreeMap<&str, &Incident> = there.iter().map(|one| (one.event.host_event_id.as_str(), one)).collect();
    let mut run = 0;
    for incident in here {
        let theirs = there[incident.event.host_event_id.as_str()];
        assert_eq!(incident.state(), theirs.state(), "{incident:?}\n{theirs:?}");
        assert_eq!(promised(incident), promised(theirs), "{incident:#?}\n{theirs:#?}");
        assert_eq!(incident.deadlines.len(), 4, "three of the partner's, one of north's");
        // After a Cancel nothing is told, also not what was done before it was heard of (C-13).
        if incident.state() != CaseState::Canceled {
            assert_eq!(happened(incident), happened(theirs), "{incident:#?}\n{theirs:#?}");
        }
        run += promised(incident).values().filter(|instants| instants.due_at.is_some()).count();
    }
    run
}

fn promised(incident: &Incident) -> BTreeMap<Uuid, Instants> {
    let of = |one: &Deadline| one.instants(&incident.milestones, incident.state());
    incident.deadlines.iter().map(|one| (one.id, of(one))).collect()
}

fn happened(incident: &Incident) -> BTreeSet<(u32, Uuid, String)> {
    incident.milestones.iter().map(|one| (one.n, one.id, format!("{} {:?}", one.at, one.fact))).collect()
}

/// What the site promised on a case.
fn promises(site: &Site, incident: &Incident, history: &[HistoryLine], seen: &mut Seen) {
    for (passed, action) in [(Passed::Warned, "deadline_warned"), (Passed::Violated, "deadline_missed")] {
        let is_own = |fact: &Fact| {
            let own = incident.deadlines.iter().filter(|one| one.origin.is_none());
            own.map(|one| Fact::Deadline { deadline: one.id, passed }).any(|one| one == *fact)
        };
        let noted = incident.milestones.iter().filter(|one| is_own(&one.fact)).count();
        let told = history.iter().filter(|line| line.action == action).count();
        assert_eq!(noted, told, "{action} in {} at {}: {history:#?}", incident.id, site.alias);
    }
    for deadline in incident.deadlines.iter().filter(|one| one.origin.is_none()) {
        let mut last: Option<(u32, Timestamp)> = None;
        for (passed, action) in [(Passed::Warned, "deadline_warned"), (Passed::Violated, "deadline_missed")] {
            let fact = Fact::Deadline { deadline: deadline.id, passed };
            let noted: Vec<_> = incident.milestones.iter().filter(|one| one.fact == fact).collect();
            assert!(noted.len() <= 1, "{passed:?} of {} in {} at {}", deadline.name, incident.id, site.alias);
            let Some(one) = noted.first() else { continue };
            assert!(last.is_none_or(|last| last < (one.n, one.at)), "in order");
            last = Some((one.n, one.at));
            // At its instant: the one that the rules gave when the job looked, and the job looked in time.
            let ours: Vec<_> = history
                .iter()
                .filter(|line| line.action == action && line.detail.contains(&one.at.to_string()))
                .filter(|line| line.detail.contains(&deadline.name))
                .collect();
            assert_eq!(ours.len(), 1, "{action} of {} in {}: {history:#?}", deadline.name, incident.id);
            in_time(site, history, one.at, ours[0].at, if deadline.name == "due date" { 900 } else { 300 });
            *seen.entry(format!("{}: {action}", site.alias)).or_default() += 1;
        }
        let next = deadline.next(&incident.milestones, incident.state());
        assert!(next.is_none_or(|(_, at)| at > site.clock.now()), "{next:?} of {} was left", incident.id);
    }
}

/// Each close belongs to one time of being resolved.
fn closings(site: &Site, incident: &Incident, history: &[HistoryLine], seen: &mut Seen) {
    let mut resolved: Vec<Timestamp> = incident
        .milestones
        .iter()
        .filter(|one| one.state() == Some(CaseState::Resolved))
        .map(|one| one.at.checked_add(SignedDuration::from_hours(5 * 24)).unwrap())
        .collect();
    for close in history.iter().filter(|line| line.action == "auto_closed") {
        let due = resolved.iter().rposition(|due| *due <= close.at).expect("long enough");
        in_time(site, history, resolved.swap_remove(due), close.at, 3600);
        *seen.entry(format!("{}: auto_closed", site.alias)).or_default() += 1;
    }
}

/// A job that runs in so many seconds' steps noted it with its next run, or with its first after it heard of the move that it
/// follows from. What fell due while the site was down it made up for as soon as it came up.
fn in_time(site: &Site, history: &[HistoryLine], due: Timestamp, noted: Timestamp, step: i64) {
    let moves = history.iter().filter(|line| line.action == "operation_applied" && line.at <= noted);
    let heard = moves.map(|line| line.at).max().unwrap_or(due);
    let was_down = site.alias == "partner" && DOWN.contains(&due.as_second());
    let (from, step) = match was_down && heard < at(DOWN.end) {
        true => (at(DOWN.end), 0),
        false => (due.max(heard), step),
    };
    let late = noted.as_second() - from.as_second();
    assert!(due <= noted && late <= step, "due {due}, heard of {heard}, noted {noted} at {}", site.alias);
}
