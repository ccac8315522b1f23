//! What people do by their links and mails: each mail is answered once, each form makes one incident, each link works once
//!

use casebridge::case::{Comment, Deposit, Edit, Form, IncidentId, Language, PassTag, Purpose};
use casebridge::store::mail::MailQuery;
use casebridge::store::{
    FilledForm, Intake, LinkRule, PassUse, SentMail, Spoken, TakenMail, UsedPass, Write, Writer, Written,
};

use super::{Bench, at, comment, deposited, event, load, write};

fn mail(number: u8) -> Intake {
    Intake {
        message_id: format!("{number}@north.example"),
        answerable: Some(format!("{number}@north.example")),
        inbox: "/var/mail/support".into(),
        sender: "anna@north.example".parse().unwrap(),
        name: Some("Anna".into()),
        language: Some(Language::French),
        subject: "No dial tone".into(),
        text: "Since ten.".into(),
    }
}

const RULE: LinkRule = LinkRule {
    since: jiff::Timestamp::constant(1_790_000_000, 0),
    most: 2,
    most_of_all: 4,
    otherwise: Language::English,
};

fn used(number: u8, purpose: Purpose) -> PassUse {
    PassUse { tag: PassTag([number; 16]), purpose, at: at(100) }
}

pub async fn r_02_a_mail_is_taken_once_and_a_sender_gets_so_many_links(bench: &dyn Bench) {
    let store = bench.open().await;
    let TakenMail::New(first) = store.take_mail(mail(1), RULE, at(10)).await.unwrap() else { panic!("it is new") };
    assert_eq!(store.take_mail(mail(1), RULE, at(20)).await.unwrap(), TakenMail::Known(first));
    assert_eq!(store.intake(first).await.unwrap(), Some(mail(1)));
    assert_eq!(store.intake(first + 1).await.unwrap(), None);
    assert!(matches!(store.take_mail(mail(2), RULE, at(20)).await.unwrap(), TakenMail::New(_)));
    assert_eq!(store.take_mail(mail(3), RULE, at(20)).await.unwrap(), TakenMail::TooMany);
    let later = LinkRule { since: at(15), ..RULE };
    assert!(matches!(store.take_mail(mail(3), later, at(30)).await.unwrap(), TakenMail::New(_)));
    let by = |number: u8, inbox: &str| {
        let sender = format!("{number}@crowd.example").parse().unwrap();
        Intake { sender, inbox: inbox.into(), ..mail(number) }
    };
    let one = by(4, "/var/mail/support");
    assert!(matches!(store.take_mail(one, RULE, at(31)).await.unwrap(), TakenMail::New(_)));
    let more = by(5, "/var/mail/support");
    assert_eq!(store.take_mail(more, RULE, at(32)).await.unwrap(), TakenMail::TooManyOfAll);
    let other = by(6, "/var/mail/sales");
    assert!(matches!(store.take_mail(other, RULE, at(33)).await.unwrap(), TakenMail::New(_)), "another inbox");
    let mails = store.mails(&MailQuery { limit: 10, ..MailQuery::default() }).await.unwrap();
    assert_eq!(mails.len(), 5, "each that was taken is answered");
    assert!(mails.iter().all(|mail| mail.notice == "form" && mail.incident.is_none()), "{mails:?}");
}

pub async fn r_02_a_form_makes_one_incident_with_its_people(bench: &dyn Bench) {
    let store = bench.open().await;
    let TakenMail::New(intake) = store.take_mail(mail(1), RULE, at(10)).await.unwrap() else { panic!("it is new") };
    let form = || FilledForm {
        intake,
        used: used(1, Purpose::Form),
        language: Spoken { language: Language::English, is_chosen: true },
        also: Some("help@integrator.example".parse().unwrap()),
        deposit: Deposit { event: event("form-1"), form: Form::default(), hold: true, ..Deposit::default() },
    };
    let incident = store.take_form(form()).await.unwrap();
    assert_eq!(store.take_form(form()).await.unwrap(), incident, "sent twice");
    assert_eq!(load(&store, incident).await.event.host_event_id, "form-1");
    let parties = store.parties(incident).await.unwrap();
    let seen: Vec<_> = parties.iter().map(|one| (one.address.as_str(), one.role.as_str(), one.language)).collect();
    assert_eq!(
        seen,
        [
            ("anna@north.example", "customer", Language::English),
            ("help@integrator.example", "integrator", Language::English)
        ]
    );
    assert_eq!(store.party(incident, parties[0].id).await.unwrap().as_ref(), Some(&parties[0]));
    assert_eq!(store.party(IncidentId(incident.0 + 1), parties[0].id).await.unwrap(), None, "of another case");
    let told = store.mails(&MailQuery { incident: Some(incident), limit: 10, ..MailQuery::default() }).await.unwrap();
    let to: Vec<_> = told.iter().map(|mail| (mail.notice.as_str(), mail.address.as_str())).collect();
    assert_eq!(to, [("received", "anna@north.example")], "who was named by somebody else waits");
    let done = UsedPass { purpose: Purpose::Form, incident, at: at(100) };
    assert_eq!(store.used_pass(PassTag([1; 16])).await.unwrap(), Some(done));
    assert_eq!(store.used_pass(PassTag([2; 16])).await.unwrap(), None);
    let sent = store.sent_mails(&[999, told[0].id]).await.unwrap();
    let of = parties.iter().find(|party| party.address.as_str() == told[0].address).unwrap();
    let received = SentMail { about: Some((incident, of.id)), address: of.address.clone(), reason: "received".into() };
    assert_eq!(sent, [received]);
    let link = store.mails(&MailQuery { limit: 100, ..MailQuery::default() }).await.unwrap().pop().unwrap();
    let to_the_form = store.sent_mails(&[link.id]).await.unwrap();
    assert_eq!((link.notice.as_str(), to_the_form[0].about), ("form", None), "it belongs to no case");
    assert!(!store.mail_bounced(told[0].id, at(200)).await.unwrap(), "it did not go out yet");
}

pub async fn r_06_a_write_by_a_link_that_was_used_is_skipped_whole(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "a").await;
    let by_link = |number: u128, pass: u8| Write {
        edit: Edit { comments: vec![Comment { ..comment(number, "by a link") }], ..Edit::default() },
        pass: Some(used(pass, Purpose::Answer)),
        ..Write::to(incident, Writer::Operator)
    };
    assert_eq!(write(&store, by_link(1, 1)).await, Written::Done);
    assert_eq!(write(&store, by_link(2, 1)).await, Written::Used);
    assert_eq!(write(&store, by_link(3, 2)).await, Written::Done);
    assert_eq!(load(&store, incident).await.comments.len(), 2);
    let stale = Write { expected_revision: Some(-1), ..by_link(4, 3) };
    assert_eq!(write(&store, stale).await, Written::Stale);
    assert_eq!(store.used_pass(PassTag([3; 16])).await.unwrap(), None, "what did not take effect used no link");
}
