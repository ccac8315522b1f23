//! Reactions: the list is written by one person at a time, and what an event leads to is entered once (A-47, A-49).

use std::sync::Arc;

use casebridge::case::evidence::Context;
use casebridge::case::{Action, IncidentId, Owned, Reaction, Reactions};
use casebridge::store::history::Note;
use casebridge::store::{IncidentStore, NewRun, PageSeen, ReactionList, RunEnd};

use super::{Bench, at, content, deposited};

fn owned(id: i64, name: &str) -> Owned {
    let text = format!(r#"{{"name": "{name}", "trigger": "case_updated", "actions": [{{"target": "desk"}}]}}"#);
    let reaction: Reaction = serde_json::from_str(&text).unwrap();
    Owned { id, owner: "ann".into(), copy_of: None, reaction }
}

fn run(event: i64, incident: IncidentId, target: &str) -> NewRun {
    NewRun {
        event,
        reaction: 1,
        action: 0,
        incident,
        name: "tell".into(),
        target: target.into(),
        attach_bundle: true,
        message: r#"{"type": "case_updated"}"#.into(),
        at: at(0),
    }
}

/// A reader that stands at the beginning, with one line before it.
async fn followed(store: &Arc<dyn IncidentStore>) -> (IncidentId, PageSeen) {
    store.follow(&["reactions"]).await.unwrap();
    let incident = deposited(store, "edge-1").await;
    (incident, store.events("reactions", 10).await.unwrap().seen)
}

fn note() -> Note {
    Note {
        at: at(0),
        who: "operator anna".into(),
        action: Action::ReactionsChanged,
        peer: None,
        detail: "changed".into(),
        context: Context::default(),
    }
}

pub async fn a_51_the_list_keeps_its_order_and_one_person_changes_it_at_a_time(bench: &dyn Bench) {
    let store = bench.open().await;
    let empty = store.reactions().await.unwrap();
    assert_eq!(empty, ReactionList::default());
    let reactions = Reactions(vec![owned(3, "third"), owned(1, "first"), owned(2, "second")]);
    assert!(store.set_reactions(ReactionList { reactions: reactions.clone(), ..empty.clone() }, note()).await.unwrap());
    assert!(!store.set_reactions(empty, note()).await.unwrap(), "somebody else was faster");
    let store = bench.open().await;
    assert_eq!(store.reactions().await.unwrap().reactions, reactions);
}

pub async fn a_47_what_an_event_leads_to_is_entered_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let (incident, seen) = followed(&store).await;
    let runs = vec![run(1, incident, "desk"), NewRun { action: 1, ..run(1, incident, "pager") }];
    assert!(store.queue_runs(seen.clone(), runs.clone(), 100).await.unwrap());
    assert!(!store.queue_runs(seen, runs, 100).await.unwrap(), "the place has moved");
    assert_eq!(store.events("reactions", 10).await.unwrap().events, []);
    let page = store.runs(10).await.unwrap();
    assert_eq!((page.due, page.given_up, page.runs.len()), (2, 0, 0), "what never failed is not shown");
    let waiting = store.waiting_targets().await.unwrap();
    assert_eq!(waiting, [("desk".to_owned(), at(0)), ("pager".to_owned(), at(0))]);
}

pub async fn a_49_a_deed_is_due_again_after_a_failure_and_ends_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let (incident, seen) = followed(&store).await;
    store.queue_runs(seen, vec![run(1, incident, "desk"), run(2, incident, "desk")], 100).await.unwrap();
    let first = store.due_run("desk", at(0)).await.unwrap().unwrap();
    assert_eq!((first.event, first.attempts, first.attach_bundle), (1, 0, true));
    let reason = "no answer".to_owned();
    assert_eq!(store.run_begun(first.id).await.unwrap(), Some(1));
    assert_eq!(store.due_run("desk", at(0)).await.unwrap().unwrap().attempts, 1, "whoever dies over it has begun it");
    store.run_ended(first.id, RunEnd::Again { at: at(60), reason: reason.clone() }, at(1)).await.unwrap();
    assert_eq!(store.due_run("desk", at(1)).await.unwrap().unwrap().event, 2, "the next one does not wait for it");
    assert_eq!(store.runs(10).await.unwrap().runs[0].0.last_error.as_ref(), Some(&reason));
    store.run_ended(2, RunEnd::Done, at(2)).await.unwrap();
    assert_eq!(store.due_run("desk", at(59)).await.unwrap(), None);
    assert_eq!(store.waiting_targets().await.unwrap(), [("desk".to_owned(), at(60))]);
    let again = store.due_run("desk", at(60)).await.unwrap().unwrap();
    assert_eq!((again.id, again.attempts, &again.message), (first.id, 1, &first.message));
    store.run_ended(first.id, RunEnd::GivenUp { reason: "gone".into() }, at(61)).await.unwrap();
    store.run_ended(first.id, RunEnd::Done, at(62)).await.unwrap();
    assert_eq!(store.run_begun(first.id).await.unwrap(), None, "it has ended");
    assert_eq!(store.runs(10).await.unwrap().given_up, 1, "it ended once");
    assert_eq!(store.retry_runs(Some(7), at(70)).await.unwrap(), 0);
    assert_eq!(store.retry_runs(None, at(70)).await.unwrap(), 1);
    assert_eq!(store.due_run("desk", at(70)).await.unwrap().unwrap().attempts, 0);
    assert_eq!(store.forget_runs(at(2)).await.unwrap(), 0);
    assert_eq!(store.forget_runs(at(100)).await.unwrap(), 1, "what is due stays");
}

pub async fn what_goes_beyond_the_room_is_given_up_and_not_lost(bench: &dyn Bench) {
    let store = bench.open().await;
    let (incident, seen) = followed(&store).await;
    let runs = (1..=5).map(|event| run(event, incident, "desk")).collect();
    store.queue_runs(seen, runs, 3).await.unwrap();
    let page = store.runs(10).await.unwrap();
    assert_eq!((page.due, page.given_up), (3, 2));
    assert!(page.runs[0].0.last_error.as_deref().unwrap().contains("3 deeds wait"));
}

pub async fn a_49_the_files_of_an_incident_are_those_that_are_there(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    assert_eq!(store.files(incident).await.unwrap(), []);
    let core = content(&store, b"core file").await;
    let files = vec![casebridge::case::DepositedFile {
        name: "core".into(),
        media_type: None,
        content: casebridge::case::FileContent::Listed,
    }];
    let deposit = casebridge::case::Deposit { files, ..super::deposit("edge-2") };
    let other = store.deposit(vec![deposit], at(0)).await.unwrap()[0].incident;
    assert_eq!(store.files(other).await.unwrap(), [], "it is awaited");
    let awaited = store.awaited_attachments(0, 10).await.unwrap();
    store.add_attachment(awaited[0].id, core, at(1)).await.unwrap();
    let files = store.files(other).await.unwrap();
    assert_eq!((files.len(), files[0].name.as_str(), files[0].bytes, files[0].content), (1, "core", 9, core));
}
