//! People, their mails and their reminders: rows that are written once for a reason.

use std::sync::Arc;
use std::time::Duration;

use casebridge::case::{
    CaseState, Comment, Edit, Fact, HistoryLine, IncidentId, Language, Milestone, Notice, Party, Phase, Role,
};
use casebridge::store::mail::{
    About, Audience, Deliveries, MailNews, MailOutcome, MailQuery, NewParty, NewsTaken, PartyAdded, StepTaken, Telling,
};
use casebridge::store::{IncidentStore, PeopleTold, Write, Writer, Written};
use uuid::Uuid;

use super::{Bench, at, comment, deposited, load, write};

const ANNA: &str = "anna@customer.example";

fn line(incident: IncidentId, action: &str) -> HistoryLine {
    HistoryLine {
        incident,
        at: at(0),
        who: "operator bert".into(),
        action: action.into(),
        exchange: None,
        seq: None,
        detail: "told".into(),
    }
}

async fn joins(
    store: &Arc<dyn IncidentStore>,
    incident: IncidentId,
    address: &str,
    language: Option<Language>,
) -> PartyAdded {
    let party = NewParty {
        role: Role::Customer,
        name: String::new(),
        address: address.parse().unwrap(),
        language,
        otherwise: Language::English,
    };
    store.add_party(incident, party, line(incident, "party_added")).await.unwrap()
}

fn telling(incident: IncidentId, reason: &str, notice: Notice) -> Telling {
    Telling { incident, reason: reason.into(), notice, about: About::default(), audience: Audience::All }
}

async fn tells(store: &Arc<dyn IncidentStore>, tellings: Vec<Telling>, second: i64) {
    store.take_mail_news(NewsTaken { tellings, ..NewsTaken::default() }, at(second)).await.unwrap();
}

pub async fn r_08_the_language_of_an_address_is_remembered_and_a_case_has_so_many_people(bench: &dyn Bench) {
    let store = bench.open().await;
    let (first, second) = (deposited(&store, "edge-1").await, deposited(&store, "edge-2").await);
    assert_eq!(joins(&store, first, ANNA, Some(Language::French)).await, PartyAdded::Added(Language::French));
    assert_eq!(joins(&store, second, "Anna@Customer.example", None).await, PartyAdded::Added(Language::French));
    assert_eq!(joins(&store, first, "bert@customer.example", None).await, PartyAdded::Added(Language::English));
    assert_eq!(joins(&store, first, ANNA, None).await, PartyAdded::Added(Language::French));
    let people = store.parties(first).await.unwrap();
    assert_eq!(people.len(), 2, "nobody is there twice");
    assert!(people[0].id > 0 && people[0].language == Language::French);
    for number in 2..Party::LIMIT {
        joins(&store, first, &format!("p{number}@customer.example"), None).await;
    }
    assert_eq!(joins(&store, first, "one@too-many.example", None).await, PartyAdded::TooMany);
    assert_eq!(joins(&store, IncidentId(99), ANNA, None).await, PartyAdded::Gone);
    let bert = "bert@customer.example".parse().unwrap();
    assert!(store.remove_party(first, &bert, line(first, "party_removed")).await.unwrap());
    assert!(!store.remove_party(first, &bert, line(first, "party_removed")).await.unwrap());
    assert_eq!(store.parties(first).await.unwrap().len(), Party::LIMIT - 1);
    assert_eq!(joins(&store, first, "one@too-many.example", None).await, PartyAdded::Added(Language::English));
}

pub async fn r_03_news_are_milestones_public_comments_and_people_each_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    joins(&store, incident, ANNA, None).await;
    let milestone = Milestone::new(Uuid::from_u128(9), at(5), Fact::State(CaseState::OnHold));
    let internal = Comment { internal: true, ..comment(2, "note") };
    let edit = Edit { comments: vec![comment(1, "said"), internal], milestones: vec![milestone], ..Edit::default() };
    assert_eq!(write(&store, Write { edit, ..Write::to(incident, Writer::Operator) }).await, Written::Done);
    let news = store.mail_news(10).await.unwrap();
    assert!(news.is_news);
    assert_eq!(news.comments.iter().map(|(_, one)| one.id).collect::<Vec<_>>(), [Uuid::from_u128(1)]);
    assert_eq!(news.milestones.iter().filter_map(|(_, one)| one.state()).collect::<Vec<_>>(), [CaseState::OnHold]);
    assert_eq!(news.ungreeted, [(incident, ANNA.parse().unwrap())]);
    let opened =
        Telling { audience: Audience::Only(ANNA.parse().unwrap()), ..telling(incident, "opened", Notice::Opened) };
    let taken = NewsTaken { cursor: news.cursor, tellings: vec![opened], ..NewsTaken::default() };
    store.take_mail_news(taken.clone(), at(6)).await.unwrap();
    store.take_mail_news(taken, at(7)).await.unwrap();
    assert!(!store.mail_news(10).await.unwrap().is_news);
    assert_eq!(store.due_mails(at(10), 10).await.unwrap().len(), 1, "once");
    let reopened = bench.open().await;
    assert!(!reopened.mail_news(10).await.unwrap().is_news, "a restart tells nothing anew");
}

pub async fn r_03_a_comment_is_not_lost_under_a_reason_that_is_taken(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    joins(&store, incident, ANNA, None).await;
    let with = |numbers: &[u128]| {
        let comments = numbers.iter().map(|number| Uuid::from_u128(*number)).collect();
        let about = About { state: Some(CaseState::InputRequested), comments, ..About::default() };
        Telling { about, ..telling(incident, "request 1", Notice::InputRequested) }
    };
    tells(&store, vec![with(&[1])], 5).await;
    tells(&store, vec![with(&[1, 2])], 6).await;
    tells(&store, vec![with(&[2])], 7).await;
    let due = store.due_mails(at(10), 10).await.unwrap();
    let first = due.iter().map(|mail| (mail.notice, mail.about.comments.clone())).collect::<Vec<_>>();
    assert_eq!(first, [(Notice::InputRequested, vec![Uuid::from_u128(1)])], "one after the other");
    store.settle_mail(due[0].id, MailOutcome::Sent { name: "a".into() }, None, at(11)).await.unwrap();
    let due = store.due_mails(at(12), 10).await.unwrap();
    let second = due.iter().map(|mail| (mail.notice, mail.about.comments.clone())).collect::<Vec<_>>();
    assert_eq!(second, [(Notice::Comment, vec![Uuid::from_u128(2)])], "once");
}

/// Of two readings that began at one place, the second writes nothing.
pub async fn r_03_what_another_reading_took_is_not_taken_again(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    joins(&store, incident, ANNA, None).await;
    let said = Edit { comments: vec![comment(1, "said")], ..Edit::default() };
    write(&store, Write { edit: said, ..Write::to(incident, Writer::Operator) }).await;
    let news = store.mail_news(10).await.unwrap();
    for reason in ["first", "second"] {
        let tellings = vec![telling(incident, reason, Notice::Comment)];
        let taken = NewsTaken { since: Some(news.since), cursor: news.cursor, tellings, ..NewsTaken::default() };
        store.take_mail_news(taken, at(6)).await.unwrap();
    }
    let mails = store.mails(&MailQuery { limit: 10, ..MailQuery::default() }).await.unwrap();
    assert_eq!(mails.len(), 1, "{mails:?}");
}

pub async fn r_03_a_comment_that_becomes_public_later_is_news_then(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let internal = |number| Comment { internal: true, ..comment(number, "note") };
    let said = Edit { comments: vec![internal(1), internal(2), internal(3)], ..Edit::default() };
    write(&store, Write { edit: said, ..Write::to(incident, Writer::Operator) }).await;
    let publish = |number, deleted| {
        // A comment that is there already is edited.
        let edited = Comment { edits: 1, deleted, ..comment(number, "note") };
        let edit = Edit { comments: vec![edited], ..Edit::default() };
        write(&store, Write { edit, ..Write::to(incident, Writer::Operator) })
    };
    // Before anybody has looked it is a comment like any other.
    publish(1, false).await;
    let told = |news: &MailNews| news.comments.iter().map(|(_, one)| one.id.as_u128()).collect::<Vec<_>>();
    let news = store.mail_news(10).await.unwrap();
    assert_eq!(told(&news), [1]);
    store.take_mail_news(NewsTaken { cursor: news.cursor, ..NewsTaken::default() }, at(6)).await.unwrap();
    assert!(!store.mail_news(10).await.unwrap().is_news);
    publish(2, false).await;
    publish(3, true).await;
    let news = store.mail_news(10).await.unwrap();
    assert_eq!((told(&news), news.is_news), (vec![2], true), "what is taken back at once is told nobody");
    store.take_mail_news(NewsTaken { cursor: news.cursor, ..NewsTaken::default() }, at(7)).await.unwrap();
    assert!(!bench.open().await.mail_news(10).await.unwrap().is_news, "once");
}

pub async fn r_09_a_mail_is_written_once_for_its_reason_and_settled_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    joins(&store, incident, ANNA, None).await;
    joins(&store, incident, "bert@customer.example", None).await;
    let audience = Audience::Except(store.parties(incident).await.unwrap()[0].id);
    tells(&store, vec![Telling { audience, ..telling(incident, "comment", Notice::Comment) }], 1).await;
    for second in [2, 3] {
        tells(&store, vec![telling(incident, "request", Notice::InputRequested)], second).await;
    }
    let due = store.due_mails(at(5), 10).await.unwrap();
    assert_eq!(
        due.iter().map(|mail| mail.to.address.as_str()).collect::<Vec<_>>(),
        ["bert@customer.example", ANNA],
        "what else Bert is told comes after it"
    );
    let behind = due[0].id + 2;
    let counted = |counts: Deliveries| (counts.waiting, counts.sent, counts.refused);
    assert_eq!(counted(store.deliveries(incident, &["request".into()]).await.unwrap()), (2, 0, 0));
    let later = MailOutcome::Later { next: at(60), reason: "451".into() };
    store.settle_mail(due[0].id, later, None, at(5)).await.unwrap();
    let sent = line(incident, "mail_sent");
    for second in [6, 7] {
        store
            .settle_mail(due[1].id, MailOutcome::Sent { name: "first".into() }, Some(sent.clone()), at(second))
            .await
            .unwrap();
    }
    let refused = MailOutcome::Refused { reason: "550".into() };
    store.settle_mail(behind, refused, None, at(8)).await.unwrap();
    let counts = store.deliveries(incident, &["request".into()]).await.unwrap();
    assert_eq!((counted(counts), counts.last_sent), ((0, 1, 1), Some(at(6))), "said twice, it changes nothing");
    let told = store.history(incident, 100).await.unwrap();
    assert_eq!(told.iter().filter(|line| line.action == "mail_sent").count(), 1);
    assert_eq!(store.due_mails(at(59), 10).await.unwrap(), []);
    assert!(store.next_due().await.unwrap().is_some(), "whoever joined is looked after");
    let again = store.due_mails(at(60), 10).await.unwrap();
    assert_eq!((again.len(), again[0].attempts), (1, 1));
    assert_eq!(store.mail_counts(10).await.unwrap(), (1, 1));
    // The next one to Anna goes into the thread of what she has got.
    tells(&store, vec![telling(incident, "closed", Notice::Closed)], 9).await;
    let due_now = store.due_mails(at(9), 10).await.unwrap();
    let threads: Vec<_> = due_now.iter().map(|mail| mail.thread.clone()).collect();
    let named = Some("first".to_owned());
    assert_eq!(threads, [vec![(due[1].id, named)]], "as it went out; Bert's waits for the one before");
    let listed = |state: &str| {
        let store = Arc::clone(&store);
        let query = MailQuery { incident: Some(incident), state: Some(state.to_owned()), limit: 10 };
        async move { store.mails(&query).await.unwrap() }
    };
    let refused = listed("refused").await;
    assert_eq!((refused.len(), refused[0].last_error.as_deref()), (1, Some("550")));
    assert_eq!(listed("waiting").await.len(), 3);
    let anna = ANNA.parse().unwrap();
    assert!(store.remove_party(incident, &anna, line(incident, "party_removed")).await.unwrap());
    assert_eq!((listed("waiting").await.len(), listed("withdrawn").await.len()), (2, 1));
}

pub async fn r_05_a_step_is_taken_with_its_mails_on_a_case_that_stands_as_it_stood(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    joins(&store, incident, ANNA, None).await;
    assert_eq!(store.due_reminders(at(0), 10).await.unwrap(), [incident], "whoever joins is to be looked after");
    store.look_again(incident, Some(at(3000))).await.unwrap();
    store.look_at_all(at(30)).await.unwrap();
    store.look_at_all(at(300)).await.unwrap();
    assert_eq!(store.due_reminders(at(29), 10).await.unwrap(), []);
    assert_eq!(store.next_due().await.unwrap(), Some(at(30)));
    let notice = |number: u128, name: &str| {
        let milestone = Milestone::new(Uuid::from_u128(number), at(30), Fact::Notice(name.into()));
        let edit = Edit { milestones: vec![milestone], ..Edit::default() };
        Write { edit, ..Write::to(incident, Writer::Operator) }
    };
    let step = |seen, write, reason: &str| StepTaken {
        seen,
        write,
        telling: Some(telling(incident, reason, Notice::InputReminder)),
        at: at(30),
    };
    assert_eq!(store.take_step(step(0, notice(1, "input-reminder-1"), "one")).await.unwrap(), Written::Done);
    assert_eq!(store.take_step(step(0, notice(2, "input-reminder-2"), "two")).await.unwrap(), Written::Stale);
    let seen = load(&store, incident).await.milestones;
    assert_eq!(seen.len(), 1);
    assert_eq!(store.due_mails(at(30), 10).await.unwrap().len(), 1, "no mail of a step that was not taken");
    let next = step(seen[0].position, notice(2, "input-reminder-2"), "two");
    assert_eq!(store.take_step(next).await.unwrap(), Written::Done);
    // Another state: what asks is not sent any more.
    let kept = Some("t".to_owned());
    let moved_on = NewsTaken { moved_on: vec![(incident, kept)], ..NewsTaken::default() };
    store.take_mail_news(moved_on, at(31)).await.unwrap();
    let due = store.due_mails(at(40), 10).await.unwrap();
    assert_eq!(due.len(), 1, "what is about the state that it is in stays");
    let moved_on = NewsTaken { moved_on: vec![(incident, None)], look: vec![incident], ..NewsTaken::default() };
    store.take_mail_news(moved_on, at(31)).await.unwrap();
    assert_eq!(store.due_mails(at(40), 10).await.unwrap(), []);
    // What was written with it is told all the same.
    let about = About { state: Some(CaseState::Resolved), comments: vec![Uuid::from_u128(9)], ..About::default() };
    let asked = Telling { about, ..telling(incident, "three", Notice::ClosingAsked) };
    store.take_mail_news(NewsTaken { tellings: vec![asked], ..NewsTaken::default() }, at(32)).await.unwrap();
    let moved_on = NewsTaken { moved_on: vec![(incident, None)], ..NewsTaken::default() };
    store.take_mail_news(moved_on, at(33)).await.unwrap();
    let due = store.due_mails(at(40), 10).await.unwrap();
    assert_eq!(due.iter().map(|one| (one.notice, one.about.state)).collect::<Vec<_>>(), [(Notice::Comment, None)]);
    store.settle_mail(due[0].id, MailOutcome::Sent { name: "first".into() }, None, at(40)).await.unwrap();
    store.look_again(incident, None).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), None);
}

pub async fn r_05_the_last_mail_of_each_person_who_is_there_counts_and_a_person_is_told_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    joins(&store, incident, ANNA, None).await;
    tells(&store, vec![telling(incident, "request", Notice::InputRequested)], 1).await;
    let counted = |reasons: &[&str]| {
        let (store, reasons) = (Arc::clone(&store), reasons.iter().map(ToString::to_string).collect::<Vec<_>>());
        async move {
            let counts = store.deliveries(incident, &reasons).await.unwrap();
            (counts.missing, counts.waiting, counts.sent, counts.refused)
        }
    };
    let due = store.due_mails(at(5), 10).await.unwrap();
    store.settle_mail(due[0].id, MailOutcome::Refused { reason: "550".into() }, None, at(5)).await.unwrap();
    assert_eq!(counted(&["request"]).await, (0, 0, 0, 1));
    assert_eq!(counted(&["notice"]).await, (1, 0, 0, 0), "nobody has it");
    let anna = ANNA.parse().unwrap();
    store.remove_party(incident, &anna, line(incident, "party_removed")).await.unwrap();
    assert_eq!(counted(&["request"]).await, (0, 0, 0, 0), "who was taken out does not count");
    assert_eq!(store.retry_mails(None, "operator bert", at(6)).await.unwrap(), 0);
    joins(&store, incident, "bert@customer.example", None).await;
    assert_eq!(counted(&["request"]).await, (1, 0, 0, 0));
    tells(&store, vec![telling(incident, "request", Notice::InputRequested)], 7).await;
    assert_eq!(counted(&["request", "reminder"]).await, (0, 1, 0, 0));
    // Taken out while a mail waits, and there again: the mail is written after all.
    let bert = "bert@customer.example".parse().unwrap();
    store.remove_party(incident, &bert, line(incident, "party_removed")).await.unwrap();
    joins(&store, incident, "bert@customer.example", None).await;
    assert_eq!(counted(&["request"]).await, (1, 0, 0, 0));
    tells(&store, vec![telling(incident, "request", Notice::InputRequested)], 8).await;
    assert_eq!(counted(&["request"]).await, (0, 1, 0, 0));
    joins(&store, incident, ANNA, None).await;
    assert_eq!(store.retry_mails(Some(due[0].id), "operator bert", at(9)).await.unwrap(), 1);
    assert_eq!(store.retry_mails(Some(due[0].id), "operator bert", at(9)).await.unwrap(), 0, "it waits already");
    let told = store.history(incident, 100).await.unwrap();
    assert_eq!(told.iter().filter(|line| line.action == "mail_retried").count(), 1);

    for reason in ["left", "left", "for another reason"] {
        store.leave_to_people(incident, reason, line(incident, "reminded")).await.unwrap();
    }
    let told = store.history(incident, 100).await.unwrap();
    assert_eq!(told.iter().filter(|line| line.action == "reminded").count(), 2, "the same is said once");
    assert_eq!(store.left_to_people(10).await.unwrap(), [], "it does not wait for people");
    let edit = Edit { state: Some(CaseState::InputRequested), ..Edit::default() };
    assert_eq!(write(&store, Write { edit, ..Write::to(incident, Writer::Operator) }).await, Written::Done);
    assert_eq!(store.left_to_people(10).await.unwrap(), [(incident, "for another reason".to_owned())]);
    store.look_again(incident, None).await.unwrap();
    assert_eq!(store.left_to_people(10).await.unwrap(), []);
}

pub async fn r_05_what_a_notice_said_is_kept_and_what_was_sent_to_who_was_taken_out_counts_as_sent(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    joins(&store, incident, ANNA, None).await;
    let about = About { within: Some(5000), ..About::default() };
    tells(&store, vec![Telling { about, ..telling(incident, "notice", Notice::InputNotice) }], 1).await;
    let told = store.deliveries(incident, &["notice".to_owned()]).await.unwrap();
    assert_eq!((told.within, told.unreached), (Some(Duration::from_secs(5)), 1));
    let mail = store.due_mails(at(5), 10).await.unwrap()[0].id;
    assert!(store.waits(mail).await.unwrap());
    store.remove_party(incident, &ANNA.parse().unwrap(), line(incident, "party_removed")).await.unwrap();
    assert!(!store.waits(mail).await.unwrap());
    for second in [6, 7] {
        let sent = MailOutcome::Sent { name: "first".into() };
        store.settle_mail(mail, sent, Some(line(incident, "mail_sent")), at(second)).await.unwrap();
    }
    let mails = store.mails(&MailQuery { limit: 10, ..MailQuery::default() }).await.unwrap();
    assert_eq!((mails[0].state.as_str(), mails[0].settled_at), ("sent", Some(at(6))));
    let lines = store.history(incident, 100).await.unwrap();
    assert_eq!(lines.iter().filter(|line| line.action == "mail_sent").count(), 1);
    joins(&store, incident, ANNA, None).await;
    assert_eq!(store.deliveries(incident, &["notice".to_owned()]).await.unwrap().unreached, 0);
}

pub async fn r_05_a_case_is_not_closed_under_somebody_who_was_added_since_its_people_were_counted(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let close = |people: PeopleTold| {
        let edit = Edit { phase: Some(Phase::Close), ..Edit::default() };
        Write { edit, people: Some(people), ..Write::to(incident, Writer::Operator) }
    };
    let reasons = vec!["notice".to_owned()];
    let nobody = PeopleTold::default();
    joins(&store, incident, ANNA, None).await;
    assert_eq!(write(&store, close(nobody.clone())).await, Written::Stale, "there was nobody to be told");
    tells(&store, vec![telling(incident, "notice", Notice::InputNotice)], 1).await;
    let due = store.due_mails(at(1), 10).await.unwrap();
    store.settle_mail(due[0].id, MailOutcome::Sent { name: "first".into() }, None, at(1)).await.unwrap();
    let told = PeopleTold { deliveries: store.deliveries(incident, &reasons).await.unwrap(), reasons };
    joins(&store, incident, "bert@customer.example", None).await;
    let step = StepTaken { seen: 0, write: close(told.clone()), telling: None, at: at(2) };
    assert_eq!(store.take_step(step.clone()).await.unwrap(), Written::Stale, "one more has to be told");
    assert_ne!(load(&store, incident).await.work.phase, Phase::Close);
    let bert = "bert@customer.example".parse().unwrap();
    store.remove_party(incident, &bert, line(incident, "party_removed")).await.unwrap();
    assert_eq!(store.take_step(step).await.unwrap(), Written::Done);
    assert_eq!(load(&store, incident).await.work.phase, Phase::Close);
}
