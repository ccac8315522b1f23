//! Answers that were given while a site was away: real daemons, whose loops run in no order.

use serde_json::json;

use crate::mail::ANNA;
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL, partner_config};
use crate::support::post_office::{PostOffice, Taken};
use crate::support::wire::free_port;
use crate::support::{Pair, Site, eventually};

/// One second from each step to the next, and three to the end.
const SOON: &str = "[mail.reminders]\ninput = [\"1s\"]\ninput_notice = \"1s\"\ninput_close = \"3s\"\n";
const IS_OVER: &str = "SELECT count(*) FROM mail WHERE notice = 'input_notice' AND state = 'sent' \
                       AND strftime('%s', 'now') - settled_at / 1000 > 4";

/// A partner with pages and a directory of mails.
async fn desk(office: &PostOffice, more: &str) -> Site {
    let port = free_port();
    let mails = "[[mail_inbox]]\ndir = \"{dir}/mail\"\npoll_interval = \"2s\"\nsettle = \"0s\"\nmax_size = \"10KiB\"\n";
    let pages = format!("[pages]\naddress = \"http://127.0.0.1:{port}\"\n{mails}");
    let mut site = Site::new("partner", &partner_config(port, &format!("{}{more}{pages}", office.config())));
    std::fs::create_dir(site.path("mail")).unwrap();
    site.start().await;
    site
}

/// A case whose customer is asked for an answer.
async fn asks(site: &Site, synopsis: &str) {
    site.act("/v1/incidents", json!({"synopsis": synopsis, "operator": "bert"})).await;
    site.act("/v1/incidents/1/parties", json!({"address": ANNA, "operator": "bert"})).await;
    site.execute("UPDATE incident SET state = 'input_requested' WHERE id = 1").await;
}

async fn gets(office: &PostOffice, told: &str) -> Taken {
    eventually(told, || async { office.of(ANNA).into_iter().find(|mail| mail.subject().contains(told)) }).await
}

/// Puts a mail to the address that a mail of the site's is answered to where the mail server would put it.
fn answers(site: &Site, mail: &Taken, head: &str, text: &str) {
    let to = mail.header("Reply-To").unwrap();
    let reply = format!("{head}To: {to}\r\nSubject: Re: x\r\nMessage-ID: <1@customer.example>\r\n\r\n{text}\r\n");
    let unfinished = site.path("mail").join("1.tmp");
    std::fs::write(&unfinished, reply).unwrap();
    std::fs::rename(unfinished, site.path("mail/1")).unwrap();
}

/// The notice is noted as sent.
async fn is_out(site: &Site) {
    let out = "SELECT count(*) FROM mail WHERE notice = 'input_notice' AND state = 'sent'";
    eventually("the notice to be noted", || async { (site.count(out).await == 1).then_some(()) }).await;
}

/// What the notice said is over.
async fn is_over(site: &Site) {
    eventually("the end of the notice's time", || async { (site.count(IS_OVER).await == 1).then_some(()) }).await;
}

async fn is_answered(site: &Site) {
    eventually("the answer", || async { (site.count("SELECT count(*) FROM comment").await == 1).then_some(()) }).await;
    let going_on = "SELECT count(*) FROM incident WHERE phase <> 'close' AND state = 'in_process'";
    assert_eq!(site.count(going_on).await, 1, "{}", site.get("/v1/incidents/1").await.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn r_05_an_answer_by_mail_that_came_while_the_site_was_down_is_heard_before_the_case_is_closed() {
    let office = PostOffice::open().await;
    let mut site = desk(&office, SOON).await;
    asks(&site, "Fan failed").await;
    let notice = gets(&office, "will be closed in").await;
    is_out(&site).await;
    assert_eq!(site.stop().await, 0);
    answers(&site, &notice, &format!("From: {ANNA}\r\n"), "It hums.");
    is_over(&site).await;
    site.start().await;
    is_answered(&site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r_05_an_answer_at_another_site_that_was_given_while_this_one_was_down_is_heard_before_the_case_is_closed() {
    let office = PostOffice::open().await;
    let accept = format!("{ACCEPT_ALL}{}{SOON}", office.config());
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: &accept }).await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "open").await;
    pair.partner.act("/v1/incidents/1/parties", json!({"address": ANNA, "operator": "bert"})).await;
    pair.partner.execute("UPDATE incident SET state = 'input_requested' WHERE id = 1").await;
    gets(&office, "will be closed in").await;
    is_out(&pair.partner).await;
    assert_eq!(pair.partner.stop().await, 0);
    pair.end_user.act("/v1/incidents/1/comments", json!({"text": "It hums.", "operator": "nora"})).await;
    is_over(&pair.partner).await;
    pair.partner.start().await;
    is_answered(&pair.partner).await;
    eventually("the same at the other site", || async {
        let going_on = "SELECT count(*) FROM incident WHERE phase <> 'close' AND state = 'in_process'";
        (pair.end_user.count(going_on).await == 1).then_some(())
    })
    .await;
}

/// A directory that cannot be read holds answers that nobody knows of.
#[tokio::test(flavor = "multi_thread")]
async fn r_05_nobody_is_reminded_while_mails_cannot_be_read() {
    let office = PostOffice::open().await;
    let mut site = desk(&office, SOON).await;
    assert_eq!(site.stop().await, 0);
    std::fs::write(site.path("mail/done"), "no directory").unwrap_or_else(|_| {
        std::fs::remove_dir(site.path("mail/done")).unwrap();
        std::fs::write(site.path("mail/done"), "no directory").unwrap();
    });
    site.start().await;
    asks(&site, "Fan failed").await;
    let asked = gets(&office, "Your answer is needed").await;
    // The reminder is due; what looks at it puts it off again and again.
    let put_off = "SELECT count(*) FROM mail m JOIN reminder_due r ON r.incident = m.incident \
                   WHERE m.notice = 'input_requested' AND r.due > m.settled_at + 4000";
    eventually("a reminder that is put off", || async { (site.count(put_off).await == 1).then_some(()) }).await;
    assert_eq!(site.count("SELECT count(*) FROM mail WHERE notice = 'input_reminder'").await, 0);
    answers(&site, &asked, &format!("From: {ANNA}\r\n"), "It hums.");
    std::fs::remove_file(site.path("mail/done")).unwrap();
    is_answered(&site).await;
    assert!(office.of(ANNA).iter().all(|mail| !mail.subject().contains("Reminder")));
}

/// What cannot be taken as an answer may be one.
#[tokio::test(flavor = "multi_thread")]
async fn r_05_an_answer_that_is_held_ends_the_round_and_a_person_reads_it() {
    let office = PostOffice::open().await;
    let long = "x".repeat(20_000);
    let anna = format!("From: {ANNA}\r\n");
    for (head, text, told) in [
        ("From: eve@elsewhere.example\r\n", "It hums.", "its sender is not the person"),
        (anna.as_str(), "-----Original Message-----\r\nFrom: x\r\n\r\nIt hums.", "nothing is written in it"),
        (&format!("{anna}Precedence: bulk\r\n"), "It hums.", "is marked as what programs write"),
        (anna.as_str(), long.as_str(), "at most 10240 are allowed"),
    ] {
        let more = "[mail.reminders]\ninput = [\"4s\"]\n";
        let site = desk(&office, more).await;
        asks(&site, told).await;
        let asks = || async {
            let mails = office.of(ANNA).into_iter();
            mails
                .filter(|mail| mail.subject().contains("Your answer is needed"))
                .find(|mail| mail.subject().contains(told))
        };
        let asked = eventually("the request", asks).await;
        answers(&site, &asked, head, text);
        eventually(told, || async {
            let status = site.get("/v1/status").await.body["warnings"].to_string();
            status.contains("an answer by mail could not be taken").then_some(())
        })
        .await;
        let history = site.get("/v1/incidents/1").await.body["history"].to_string();
        assert!(history.contains(told) && history.contains("quarantine/ of its inbox, as 1"), "{history}");
        assert_eq!(site.count("SELECT count(*) FROM reminder_due").await, 0, "nothing more happens by itself");
        assert_eq!(site.count("SELECT count(*) FROM incident WHERE state = 'input_requested'").await, 1, "{told}");
    }
}

/// Lists and servers have addresses of their own, and people write from there.
#[tokio::test(flavor = "multi_thread")]
async fn r_04_who_answers_from_an_address_of_a_list_or_a_server_is_heard_and_an_absence_notice_is_not() {
    let office = PostOffice::open().await;
    for (address, more) in [(ANNA, "List-Id: <all.customer.example>\r\n"), ("postmaster@customer.example", "")] {
        let site = desk(&office, "").await;
        site.act("/v1/incidents", json!({"synopsis": "Fan failed", "operator": "bert"})).await;
        site.act("/v1/incidents/1/parties", json!({"address": address, "operator": "bert"})).await;
        site.execute("UPDATE incident SET state = 'input_requested' WHERE id = 1").await;
        let asked = eventually("the request", || async {
            office.of(address).into_iter().find(|mail| mail.subject().contains("Your answer is needed"))
        })
        .await;
        answers(&site, &asked, &format!("From: {address}\r\nAuto-Submitted: auto-replied\r\n"), "I am away.");
        let done = site.path("mail/done/1");
        eventually("the notice in done", || async { done.exists().then_some(()) }).await;
        assert_eq!(site.count("SELECT count(*) FROM comment").await, 0);
        assert_eq!(site.count("SELECT count(*) FROM reminder_due").await, 1, "it is no answer");
        answers(&site, &asked, &format!("From: {address}\r\n{more}"), "It hums.");
        is_answered(&site).await;
        // To nobody in particular, and of somebody else, such mails stay unanswered.
        let stranger = format!("From: noreply@elsewhere.example\r\n{more}");
        std::fs::remove_file(&done).unwrap();
        answers(&site, &asked, &stranger, "Your ticket is 7.");
        eventually("the mail in done", || async { site.path("mail/done/1").exists().then_some(()) }).await;
        assert_eq!(site.count("SELECT count(*) FROM mail WHERE notice = 'form'").await, 0);
    }
}
