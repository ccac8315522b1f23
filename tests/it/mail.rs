//! The people of a case are told by mail, as a mail server gets it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use casebridge::case::{CaseAction, Role};
use casebridge::clock::Clock;
use casebridge::config::Settings;
use casebridge::exchange::{Answer, Engine, Parts, Replied};
use casebridge::notify::{Letter, MailError, Mailer, Post};
use casebridge::protocol::operator::{OpenRequest, WorkRequest};
use casebridge::protocol::{MailsQuery, PartyRequest};
use casebridge::state::State;
use casebridge::store::{IncidentStore, Seen, SqliteStore};
use jiff::Timestamp;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::Barrier;

use crate::support::certificates::Authority;
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL, partner_config};
use crate::support::post_office::{Mood, PostOffice, Taken};
use crate::support::site::write_secret;
use crate::support::wire::free_port;
use crate::support::{Pair, Site, eventually};

pub const ANNA: &str = "anna@customer.example";
const HELP: &str = "help@integrator.example";

/// A partner with a mail server, one case, and its two people.
async fn desk(office: &PostOffice) -> Site {
    let mut site = Pair::new(Plan { partner: &office.config(), ..Plan::default() }).await.partner;
    site.start().await;
    site.act("/v1/incidents", json!({"synopsis": "Fan <1> & \"2\" failed", "operator": "bert"})).await;
    add_people(&site).await;
    site
}

async fn add_people(site: &Site) {
    let anna = json!({"address": ANNA, "name": "Anna Müller", "language": "fr", "operator": "bert"});
    site.act("/v1/incidents/1/parties", anna).await;
    let help = json!({"address": HELP, "role": "integrator", "operator": "bert"});
    site.act("/v1/incidents/1/parties", help).await;
}

async fn gets(office: &PostOffice, address: &str, count: usize) -> Vec<Taken> {
    let what = format!("{count} mails for {address}");
    eventually(&what, || async { Some(office.of(address)).filter(|mails| mails.len() >= count) }).await
}

/// How many of them are different mails.
fn different(mails: &[Taken]) -> usize {
    mails.iter().map(Taken::id).collect::<BTreeSet<_>>().len()
}

/// Nothing of a case is under way any more.
async fn at_rest(site: &Site) {
    eventually("no mail to wait", || async {
        (site.count("SELECT count(*) FROM mail WHERE state = 'waiting'").await == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r_01_r_08_whoever_has_to_do_with_a_case_is_told_that_it_is_open_once_and_in_their_language() {
    let office = PostOffice::open().await;
    let site = desk(&office).await;
    let (anna, help) = (gets(&office, ANNA, 1).await, gets(&office, HELP, 1).await);
    assert!(help[0].subject().starts_with("[CMpartner-1] Case opened - Fan"), "{}", help[0].subject());
    assert!(anna[0].subject().contains("CMpartner-1") && anna[0].text.contains("Bonjour"), "{}", anna[0].text);
    for mail in [&anna[0], &help[0]] {
        let header = |name| mail.header(name).unwrap_or_default();
        assert_eq!(header("Auto-Submitted"), "auto-generated");
        assert_eq!(header("X-Auto-Response-Suppress"), "All");
        assert!(header("Content-Type").starts_with("multipart/alternative"), "{}", header("Content-Type"));
        assert!(header("Message-ID").ends_with("@partner.example>"), "{}", header("Message-ID"));
        assert_eq!(mail.header("In-Reply-To"), None, "it is the first of its thread");
    }
    // Added once more, nobody is told once more; and what somebody reads is remembered.
    add_people(&site).await;
    site.act("/v1/incidents", json!({"synopsis": "Another one", "operator": "bert"})).await;
    site.command(&["party", "add", "2", ANNA]).ok();
    let anna = gets(&office, ANNA, 2).await;
    assert!(anna[1].subject().contains("CMpartner-2") && anna[1].text.contains("Bonjour"), "{}", anna[1].text);
    at_rest(&site).await;
    assert_eq!(office.taken().len(), 3);
    let listed = site.command(&["mails", "--json"]).json();
    assert_eq!(listed["mails"].as_array().unwrap().len(), 3);
    assert!(site.command(&["party", "list", "1"]).ok().contains(HELP));
}

#[tokio::test(flavor = "multi_thread")]
async fn r_03_r_04_r_06_states_and_public_comments_are_told_in_one_thread_and_internal_notes_never() {
    let office = PostOffice::open().await;
    let site = desk(&office).await;
    gets(&office, HELP, 1).await;
    let note = json!({"text": "SECRET: the customer is wrong", "internal": true, "operator": "bert"});
    site.act("/v1/incidents/1/comments", note).await;
    site.act("/v1/incidents/1/comments", json!({"text": "A <b>technician</b>\nis coming", "operator": "bert"})).await;
    let mails = gets(&office, HELP, 2).await;
    assert!(mails[1].text.contains("technician") && mails[1].subject().contains("New comment"), "{}", mails[1].text);
    for (state, told) in [("in_process", "In Process"), ("input_requested", "Your answer is needed")] {
        site.execute(format!("UPDATE incident SET state = '{state}' WHERE id = 1")).await;
        let count = office.of(HELP).len() + 1;
        let mails = gets(&office, HELP, count).await;
        assert!(mails[count - 1].subject().contains(told), "{}", mails[count - 1].subject());
    }
    site.act("/v1/incidents/1/resolve", json!({"solution": "Fan replaced", "operator": "bert"})).await;
    let mails = gets(&office, HELP, 5).await;
    assert!(mails[4].subject().contains("may the case be closed?"), "{}", mails[4].subject());
    assert!(mails[4].text.contains("Fan replaced"), "{}", mails[4].text);
    site.act("/v1/incidents/1/close", json!({"operator": "bert"})).await;
    let mails = gets(&office, HELP, 6).await;
    gets(&office, ANNA, 6).await;
    for (index, mail) in mails.iter().enumerate().skip(1) {
        assert_eq!(mail.header("In-Reply-To"), Some(mails[index - 1].id()));
        assert!(mail.header("References").unwrap().starts_with(&mails[0].id()), "the first one heads the thread");
    }
    at_rest(&site).await;
    assert!(office.taken().iter().all(|mail| !mail.text.contains("SECRET")));
    assert_eq!(office.taken().len(), 12, "each to both, and nothing twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn r_08_who_wrote_it_and_who_was_removed_are_not_told() {
    let office = PostOffice::open().await;
    let site = desk(&office).await;
    gets(&office, ANNA, 1).await;
    gets(&office, HELP, 1).await;
    let said = "INSERT INTO comment (incident, author, text, party) SELECT 1, 'Anna Müller', 'Still down', id FROM party \
                WHERE address = 'anna@customer.example'";
    site.execute(said).await;
    gets(&office, HELP, 2).await;
    // What somebody gives as the author, a peer for one, keeps nothing from the people of this site.
    let given = format!("x <{ANNA}>");
    site.act("/v1/incidents/1/comments", json!({"text": "For all", "operator": given})).await;
    gets(&office, HELP, 3).await;
    assert!(gets(&office, ANNA, 2).await[1].text.contains("For all"));
    site.command(&["party", "remove", "1", HELP]).ok();
    site.command(&["party", "remove", "1", HELP]).refused(6, &["is no party of incident 1"]);
    site.act("/v1/incidents/1/comments", json!({"text": "On our way", "operator": "bert"})).await;
    assert!(gets(&office, ANNA, 3).await[2].text.contains("On our way"));
    at_rest(&site).await;
    assert_eq!((office.of(ANNA).len(), office.of(HELP).len()), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn r_08_addresses_that_are_none_and_too_many_people_are_refused_with_the_reason() {
    let office = PostOffice::open().await;
    let site = desk(&office).await;
    let post = async |body| site.post("/v1/incidents/1/parties", body).await;
    for address in
        ["anna", "anna@customer.example\r\nBcc: all@customer.example", "<anna@customer.example>", "a@ö.example", ""]
    {
        let answer = post(json!({"address": address, "operator": "bert"})).await;
        assert_eq!(answer.status, 422, "{address}: {}", answer.body);
        assert!(answer.body["detail"].as_str().unwrap().contains("address"), "{}", answer.body);
    }
    let answer = post(json!({"address": "x@customer.example", "name": "X\r\nBcc: all@customer.example"})).await;
    assert!(answer.status == 422 && answer.body["detail"].as_str().unwrap().contains("name"), "{}", answer.body);
    for number in 0..18 {
        let answer = post(json!({"address": format!("p{number}@customer.example"), "operator": "bert"})).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let answer = post(json!({"address": "p18@customer.example", "operator": "bert"})).await;
    assert_eq!(
        (answer.status, answer.body["detail"].as_str()),
        (409, Some("a case has at most 20 people; remove one first"))
    );
    let answer = site.post("/v1/incidents/99/parties", json!({"address": ANNA})).await;
    assert_eq!(answer.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn r_09_with_the_mail_server_in_trouble_cases_are_exchanged_and_all_is_delivered_once_afterwards() {
    let office = PostOffice::open().await;
    let accept = format!("{ACCEPT_ALL}{}", office.config());
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: &accept }).await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "open").await;
    add_people(&pair.partner).await;
    gets(&office, HELP, 1).await;
    gets(&office, ANNA, 1).await;
    for (round, mood) in [Mood::Closes, Mood::Defers, Mood::Silent].into_iter().enumerate() {
        office.set(mood);
        let update = json!({"comment": format!("round {round}"), "operator": "bert"});
        pair.partner.act("/v1/incidents/1/update", update).await;
        // The other site has it, while the mails wait.
        let count = round as i64 + 1;
        eventually("the comment at the end user", || async {
            (pair.end_user.count("SELECT count(*) FROM comment").await == count).then_some(())
        })
        .await;
        eventually("a try in vain", || async {
            let tried = "SELECT count(*) FROM mail WHERE state = 'waiting' AND attempts > 0 AND last_error IS NOT NULL";
            (pair.partner.count(tried).await > 0).then_some(())
        })
        .await;
        assert_eq!(office.of(HELP).len(), 1);
        if mood != Mood::Defers {
            eventually("the trouble in the status", || async {
                let status = pair.partner.get("/v1/status").await.body;
                status["warnings"].to_string().contains("the mail server: 127.0.0.1").then_some(())
            })
            .await;
        }
    }
    office.set(Mood::Takes);
    at_rest(&pair.partner).await;
    let ids = different(&office.taken());
    assert_eq!(ids, office.taken().len(), "no mail twice");
    for address in [ANNA, HELP] {
        for round in 0..3 {
            // Comments that came while the server was silent may stand in one mail.
            let told = office.of(address).iter().filter(|mail| mail.text.contains(&format!("> round {round}"))).count();
            assert_eq!(told, 1, "round {round} for {address}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r_09_a_mail_that_is_refused_for_good_is_seen_in_every_place() {
    let office = PostOffice::open().await;
    let site = desk(&office).await;
    site.command(&["party", "add", "1", "nobody@customer.example"]).ok();
    eventually("the refusal", || async {
        (site.count("SELECT count(*) FROM mail WHERE state = 'refused'").await == 1).then_some(())
    })
    .await;
    let listed = site.command(&["mails", "--state", "refused"]).ok();
    assert!(listed.contains("nobody@customer.example") && listed.contains("no such user here"), "{listed}");
    assert!(site.command(&["status"]).ok().contains("1 mail was refused for good"));
    let history = site.get("/v1/incidents/1").await.body["history"].to_string();
    assert!(history.contains("mail_refused") && history.contains("no such user here"), "{history}");
    assert!(
        site.log().contains("mail_refused") && !site.log().contains("nobody@customer.example"),
        "no addresses there"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn r_09_a_server_that_wants_a_password_refuses_no_mail_for_good_and_what_was_refused_is_tried_again() {
    let office = PostOffice::open().await;
    office.set(Mood::Locked);
    let site = desk(&office).await;
    eventually("the trouble in the status", || async {
        let status = site.get("/v1/status").await.body;
        status["warnings"].to_string().contains("Authentication required").then_some(())
    })
    .await;
    let refused = "SELECT count(*) FROM mail WHERE state = 'refused'";
    assert_eq!(site.count(refused).await, 0);
    office.set(Mood::Takes);
    assert_eq!((gets(&office, ANNA, 1).await.len(), gets(&office, HELP, 1).await.len()), (1, 1));

    site.command(&["party", "add", "1", "nobody@customer.example"]).ok();
    eventually("the refusal", || async { (site.count(refused).await == 1).then_some(()) }).await;
    site.command(&["mails", "retry"]).refused(2, &["MAIL"]);
    site.command(&["mails", "retry", "1"]).refused(6, &["no mail 1 to somebody of a case was refused"]);
    assert!(site.command(&["mails", "retry", "--all"]).ok().contains("1 mail is tried again"));
    eventually("the second refusal", || async {
        let told = site.get("/v1/incidents/1").await.body["history"].to_string();
        (told.contains("mail_retried") && told.matches("\"mail_refused\"").count() == 2).then_some(())
    })
    .await;
    site.command(&["party", "remove", "1", "nobody@customer.example"]).ok();
    assert!(site.command(&["mails", "retry", "--all"]).ok().contains("0 mails"), "who was taken out is not written to");
}

#[tokio::test(flavor = "multi_thread")]
async fn r_09_mails_go_out_over_tls_from_the_first_byte_to_a_server_that_is_known_alone() {
    let authority = Authority::new("mail");
    let office = PostOffice::open_implicit(&authority.issue("127.0.0.1", 2100)).await;
    let config = office.config().replace("tls = \"none\"", "tls = \"implicit\"\nca_file = \"{dir}/mail-ca.pem\"");
    let start = async |ca: &str| {
        let mut site = Site::new("partner", &partner_config(free_port(), &config));
        std::fs::write(site.path("mail-ca.pem"), ca).unwrap();
        site.start().await;
        site.act("/v1/incidents", json!({"synopsis": "Fan failed", "operator": "bert"})).await;
        add_people(&site).await;
        site
    };
    let wrong = start(Authority::new("another").pem()).await;
    eventually("the trouble in the status", || async {
        let status = wrong.get("/v1/status").await.body;
        status["warnings"].to_string().contains("certificate").then_some(())
    })
    .await;
    assert_eq!(office.taken().len(), 0);
    let _site = start(authority.pem()).await;
    assert!(gets(&office, ANNA, 1).await[0].text.contains("Bonjour"));
}

/// The end user's people do not answer, and the partner has the case in hand.
#[tokio::test(flavor = "multi_thread")]
async fn r_05_the_site_that_has_the_case_in_hand_closes_it_when_the_people_of_the_other_one_do_not_answer() {
    let office = PostOffice::open().await;
    let submit = format!("{SUBMIT_ALL}{}", office.config());
    let pair = Pair::start(Plan { end_user: &submit, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "open").await;
    add_people(&pair.end_user).await;
    pair.partner.execute("UPDATE incident SET state = 'input_requested' WHERE id = 1").await;
    for address in [ANNA, HELP] {
        eventually("the request", || async { (office.of(address).len() >= 2).then_some(()) }).await;
    }
    // They had the notice long ago.
    let told = "INSERT INTO mail (incident, reason, notice, party, role, name, address, language, state, made_at, \
                settled_at, next_attempt) SELECT 1, m.uid || ' input-notice', 'input_notice', p.id, p.role, p.name, \
                p.address, p.language, 'sent', 0, 0, 0 FROM party p, milestone m WHERE m.state = 'input_requested'";
    pair.end_user.execute(told).await;
    let notice = "INSERT INTO milestone (incident, fact) VALUES (1, '{\"notice\":\"input-notice\"}')";
    pair.end_user.execute(notice).await;
    let closed = "SELECT count(*) FROM incident WHERE phase = 'close' AND completion_code = 'abandoned_by_user'";
    for site in [&pair.partner, &pair.end_user] {
        eventually("the end at both sites", || async { (site.count(closed).await == 1).then_some(()) }).await;
    }
    let history = pair.end_user.get("/v1/incidents/1").await.body["history"].to_string();
    assert!(history.contains("the site that has the case in hand is asked to close it"), "{history}");
    let history = pair.partner.get("/v1/incidents/1").await.body["history"].to_string();
    assert!(history.contains("closed for the other site, whose people did not answer"), "{history}");
}

/// Each site tells its own, and the one that has not the case in hand says when they had their time.
#[tokio::test(flavor = "multi_thread")]
async fn r_05_the_people_of_both_sites_are_asked_reminded_and_warned_before_the_case_is_closed() {
    let office = PostOffice::open().await;
    let pace =
        |close: &str| format!("[mail.reminders]\ninput = [\"1s\"]\ninput_notice = \"1s\"\ninput_close = \"{close}\"\n");
    let submit = format!("{SUBMIT_ALL}{}{}", office.config(), pace("1s"));
    let accept = format!("{ACCEPT_ALL}{}{}", office.config(), pace("5s"));
    let pair = Pair::start(Plan { end_user: &submit, partner: &accept }).await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "open").await;
    pair.end_user.act("/v1/incidents/1/parties", json!({"address": ANNA, "operator": "bert"})).await;
    pair.partner.act("/v1/incidents/1/parties", json!({"address": HELP, "operator": "bert"})).await;
    pair.partner.execute("UPDATE incident SET state = 'input_requested' WHERE id = 1").await;
    for address in [ANNA, HELP] {
        for told in ["Your answer is needed", "Reminder 1 of 1", "will be closed in", "no answer came"] {
            let is_told =
                || async { office.of(address).iter().any(|mail| mail.subject().contains(told)).then_some(()) };
            eventually(&format!("{told} for {address}"), is_told).await;
        }
    }
    for notice in ["input-held", "input-close"] {
        let sql = format!("SELECT count(*) FROM milestone WHERE fact ->> 'notice' = '{notice}'");
        let store = pair.partner.store().await;
        let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&store).await.unwrap();
        assert_eq!(count, 1, "the partner waited for it: {notice}");
        store.close().await;
    }
}

/// Whoever belongs to the case at both sites hears of it from the one that was the first to write to them.
#[tokio::test(flavor = "multi_thread")]
async fn r_07_two_sites_never_chase_one_customer_twice() {
    let office = PostOffice::open().await;
    let pace = "[mail.reminders]\ninput = [\"1s\"]\ninput_notice = \"1s\"\ninput_close = \"2s\"\n";
    let (submit, accept) = (SUBMIT_ALL, ACCEPT_ALL);
    let submit = format!("{submit}{}{pace}", office.config().replace("support@", "north@"));
    let accept = format!("{accept}{}{pace}", office.config());
    let pair = Pair::start(Plan { end_user: &submit, partner: &accept }).await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "open").await;
    let joins = json!({"address": ANNA, "operator": "bert"});
    pair.partner.act("/v1/incidents/1/parties", joins.clone()).await;
    let known = "SELECT count(*) FROM milestone WHERE fact ->> 'notice' GLOB 'tells-*' AND origin = 'partner'";
    eventually("the partner's word", || async { (pair.end_user.count(known).await == 1).then_some(()) }).await;
    pair.end_user.act("/v1/incidents/1/parties", joins).await;
    eventually("the greeting that is left to the partner", || async {
        let left = "SELECT count(*) FROM mail WHERE notice = 'opened' AND state = 'withdrawn'";
        (pair.end_user.count(left).await == 1).then_some(())
    })
    .await;
    let people = pair.end_user.get("/v1/incidents/1/parties").await.body;
    assert_eq!(people["parties"][0]["told_by"], "partner", "{people}");
    pair.partner.execute("UPDATE incident SET state = 'input_requested' WHERE id = 1").await;
    let closed = "SELECT count(*) FROM incident WHERE phase = 'close' AND completion_code = 'abandoned_by_user'";
    for site in [&pair.partner, &pair.end_user] {
        eventually("the end at both sites", || async { (site.count(closed).await == 1).then_some(()) }).await;
        at_rest(site).await;
    }
    eventually("the end by mail", || async {
        office.of(ANNA).iter().any(|mail| mail.subject().contains("no answer came")).then_some(())
    })
    .await;
    assert_eq!(pair.end_user.count("SELECT count(*) FROM mail WHERE state <> 'withdrawn'").await, 0);
    let mails = office.of(ANNA);
    for told in ["Your answer is needed", "Reminder 1 of 1", "will be closed in", "no answer came"] {
        let count = mails.iter().filter(|mail| mail.subject().contains(told)).count();
        assert_eq!(count, 1, "{told}");
    }
    let history = pair.end_user.get("/v1/incidents/1").await.body["history"].to_string();
    assert!(history.contains("mail_left") && history.contains("partner writes to them"), "{history}");
    assert!(history.contains("notice: it writes to a person of the case") && !history.contains("tells-"), "{history}");
    // What went over the wire names nobody.
    let told = "SELECT count(*) FROM milestone WHERE fact LIKE '%customer.example%'";
    assert_eq!(pair.end_user.count(told).await, 0);
}

/// Whatever the instant at which the site dies: every mail arrives, and none twice but for the one that had been taken.
#[tokio::test(flavor = "multi_thread")]
async fn r_09_a_site_that_dies_over_a_mail_sends_it_once() {
    // The reminders are counted anew at each start, too.
    for point in ["PartyChanged", "MailQueued", "MailAccepted", "MailSettled", "ReminderMoved:2", "StepTaken"] {
        let office = PostOffice::open().await;
        let config = format!("{}[mail.reminders]\ninput = [\"1s\"]\n", office.config());
        let mut site = Pair::new(Plan { partner: &config, ..Plan::default() }).await.partner;
        site.start().await;
        site.act("/v1/incidents", json!({"synopsis": "Fan failed", "operator": "bert"})).await;
        assert_eq!(site.stop().await, 0);
        site.crash_at(point);
        site.start().await;
        // Its answer may die with it.
        let anna = json!({"address": ANNA, "operator": "bert"});
        let _ = site.request("POST", "/v1/incidents/1/parties").json(&anna).send().await;
        site.execute("UPDATE incident SET state = 'input_requested' WHERE id = 1").await;
        site.exited().await;
        site.start().await;
        eventually("that it is open, the request, and a reminder", || async {
            (different(&office.of(ANNA)) == 3).then_some(())
        })
        .await;
        at_rest(&site).await;
        let mails = office.of(ANNA).len();
        assert_eq!(different(&office.of(ANNA)), 3, "{point}: by their Message-ID");
        assert!(mails == 3 || point == "MailAccepted" && mails == 4, "{point}: {mails} times");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r_09_a_mail_whose_answer_is_lost_comes_again_with_the_same_name() {
    let office = PostOffice::open().await;
    office.set(Mood::LosesTheAnswer);
    let site = desk(&office).await;
    gets(&office, ANNA, 1).await;
    office.set(Mood::Takes);
    at_rest(&site).await;
    let ids: Vec<String> = office.of(ANNA).iter().map(Taken::id).collect();
    assert!(ids.len() >= 2 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

/// The way out of a site in this process, and what went through it.
#[derive(Default)]
struct Pigeon {
    subjects: Mutex<Vec<String>>,
    is_ill: Mutex<bool>,
    /// Where it meets somebody before it sets out, and again before it arrives.
    rests: Mutex<Option<Arc<Barrier>>>,
}

#[async_trait]
impl Mailer for Pigeon {
    async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        if *self.is_ill.lock().unwrap() {
            return Err(MailError::Server("it does not fly".into()));
        }
        if letter.envelope().to().iter().any(|to| to.to_string().starts_with("nobody@")) {
            return Err(MailError::Never("no such user here".into()));
        }
        let rests = self.rests.lock().unwrap().take();
        if let Some(place) = rests {
            place.wait().await;
            place.wait().await;
        }
        let text = String::from_utf8(letter.bytes().to_vec()).unwrap().replace("\r\n ", " ");
        let subject = text.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap();
        self.subjects.lock().unwrap().push(subject.to_owned());
        Ok(())
    }
}

/// A site in this process, whose clock moves by hand.
pub struct Bench {
    _dir: TempDir,
    pub clock: Clock,
    settings: Settings,
    pigeon: Arc<Pigeon>,
}

const HOUR: i64 = 3_600_000;

impl Bench {
    /// On the day before the clocks of Europe change.
    pub fn new() -> Self {
        Self::with("")
    }

    pub fn with(more: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("cb-").tempdir().unwrap();
        std::fs::create_dir(dir.path().join("inbox")).unwrap();
        write_secret(&dir.path().join("password"), "correct horse battery");
        let mail = "[mail]\nhost = \"localhost\"\ntls = \"none\"\nfrom = \"support@partner.example\"\n";
        let text = partner_config(1, &format!("{mail}{more}")).replace("{dir}", dir.path().to_str().unwrap());
        let settings = Settings::parse(&text, "config.toml", dir.path()).map_err(|fault| fault.to_string()).unwrap();
        let clock = Clock::manual("2027-03-27T12:00:00Z".parse::<Timestamp>().unwrap());
        Self { _dir: dir, clock, settings, pigeon: Arc::default() }
    }

    /// The state has to be closed before the next start.
    pub async fn start(&self) -> (Engine, State) {
        let store = SqliteStore::open(&self.settings.store).await.unwrap();
        let site = store.site();
        let state = State::open(&self.settings.state, site, self.clock.now()).unwrap();
        let parts = Parts {
            settings: self.settings.clone(),
            store: Arc::new(store),
            state: state.clone(),
            upstream: None,
            clock: self.clock.clone(),
            key: casebridge::exchange::SiteKey::unkept().unwrap(),
        };
        let engine = Engine::start(parts).await.unwrap();
        let mail = self.settings.mail.as_ref().unwrap();
        let way: Arc<dyn Mailer> = Arc::clone(&self.pigeon) as Arc<dyn Mailer>;
        engine.set_post(Some(Arc::new(Post::over(way, mail, &self.settings.site.alias, site).unwrap())));
        (engine, state)
    }

    /// Everything that is due is done.
    pub async fn look(&self, engine: &Engine) {
        for _ in 0..3 {
            engine.remind().await.unwrap();
            engine.send_mails().await.unwrap();
        }
    }

    /// The mails of every directory were read.
    pub fn listens(&self, engine: &Engine) {
        self.settings.mail_inboxes.iter().for_each(|inbox| engine.heard_mails(&inbox.dir, self.clock.now()));
    }

    /// Goes on hour by hour.
    async fn hours(&self, engine: &Engine, hours: i64) {
        for _ in 0..hours {
            self.clock.advance(HOUR);
            self.look(engine).await;
        }
    }

    /// What another program does to the store.
    async fn execute(&self, sql: impl sqlx::SqlSafeStr) {
        let path = self._dir.path().join("incidents.db");
        let store = sqlx::SqlitePool::connect(&format!("sqlite:{}", path.display())).await.unwrap();
        sqlx::query(sql).execute(&store).await.unwrap();
        store.close().await;
    }

    /// What `status` says of cases.
    async fn warnings(&self, engine: &Engine) -> String {
        engine.status().await.unwrap().warnings.join("\n")
    }

    /// What was sent since the last question.
    pub fn sent(&self) -> Vec<String> {
        std::mem::take(&mut *self.pigeon.subjects.lock().unwrap())
    }
}

/// Anna's, by mail.
pub fn answer(mail: &str, text: &str) -> Answer {
    Answer { id: mail.into(), sender: ANNA.parse().unwrap(), text: text.into(), language: None, files: None }
}

pub fn by_bert() -> WorkRequest {
    WorkRequest { operator: "bert".into(), ..WorkRequest::default() }
}

async fn case(engine: &Engine) -> casebridge::case::IncidentId {
    let request = OpenRequest { synopsis: "Fan failed".into(), operator: "bert".into(), ..OpenRequest::default() };
    let id = engine.open_by_hand(request).await.unwrap();
    let party = PartyRequest { address: ANNA.into(), operator: "bert".into(), ..PartyRequest::default() };
    engine.add_party(id, &party).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn r_05_a_request_is_reminded_of_three_times_announced_and_closed_and_an_answer_stops_it() {
    let bench = Bench::new();
    let (engine, _state) = bench.start().await;
    let id = case(&engine).await;
    bench.look(&engine).await;
    assert_eq!(bench.sent().len(), 1);
    engine.act(id, CaseAction::RequestInput, &by_bert()).await.unwrap();
    bench.look(&engine).await;
    for told in ["Your answer is needed", "Reminder 1 of 3", "Reminder 2 of 3"] {
        let sent = bench.sent();
        assert!(sent.len() == 1 && sent[0].contains(told), "{told}: {sent:?}");
        bench.hours(&engine, 23).await;
        assert_eq!(bench.sent(), [""; 0], "not before its time");
        bench.hours(&engine, 1).await;
    }
    assert!(bench.sent()[0].contains("Reminder 3 of 3"));
    // What the staff says is no answer; the customer's is.
    let by_anna = WorkRequest { operator: ANNA.into(), ..WorkRequest::default() };
    engine.act(id, CaseAction::Process, &by_anna).await.unwrap();
    bench.hours(&engine, 100).await;
    assert!(bench.sent().iter().all(|subject| subject.contains("In Process")), "nothing is asked any more");
    engine.act(id, CaseAction::RequestInput, &by_bert()).await.unwrap();
    bench.look(&engine).await;
    bench.hours(&engine, 5 * 24).await;
    let sent = bench.sent();
    let told = ["answer is needed", "1 of 3", "2 of 3", "3 of 3", "will be closed in 24 hours", "no answer came"];
    assert_eq!(sent.len(), told.len(), "{sent:?}");
    assert!(sent.iter().zip(told).all(|(subject, told)| subject.contains(told)), "{sent:?}");
    let shown = engine.show(id).await.unwrap();
    assert_eq!((shown.row.phase.as_str(), shown.completion_code.as_deref()), ("close", Some("abandoned_by_user")));
}

#[tokio::test(flavor = "multi_thread")]
async fn r_09_after_an_outage_of_the_mail_server_mails_come_in_their_order_and_what_is_over_does_not() {
    let bench = Bench::new();
    let (engine, _state) = bench.start().await;
    *bench.pigeon.is_ill.lock().unwrap() = true;
    let id = case(&engine).await;
    bench.look(&engine).await;
    for state in ["in_process", "on_hold", "in_process"] {
        bench.execute(sqlx::AssertSqlSafe(format!("UPDATE incident SET state = '{state}'"))).await;
        bench.hours(&engine, 1).await;
    }
    for text in ["Taken back", "A technician is coming"] {
        bench
            .execute(sqlx::AssertSqlSafe(format!(
                "INSERT INTO comment (incident, author, text) VALUES (1, 'bert', '{text}')"
            )))
            .await;
        bench.hours(&engine, 1).await;
    }
    bench.execute("UPDATE comment SET deleted = 1 WHERE text = 'Taken back'").await;
    engine.act(id, CaseAction::RequestInput, &by_bert()).await.unwrap();
    bench.look(&engine).await;
    *bench.pigeon.is_ill.lock().unwrap() = false;
    bench.hours(&engine, 2).await;
    let sent = bench.sent();
    let expected = ["Case opened", "New comment", "Your answer is needed"];
    assert!(sent.len() == 3 && sent.iter().zip(expected).all(|(subject, told)| subject.contains(told)), "{sent:?}");
    // Whoever comes when it is over is not told that it is open.
    for action in [CaseAction::Resolve, CaseAction::Complete] {
        engine.act(id, action, &by_bert()).await.unwrap();
        bench.look(&engine).await;
    }
    bench.sent();
    joins(&engine, id, "late@customer.example").await;
    bench.look(&engine).await;
    assert_eq!(bench.sent(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn r_05_shorter_times_count_for_what_waits_already() {
    let mut bench = Bench::new();
    let (engine, state) = bench.start().await;
    let id = case(&engine).await;
    engine.act(id, CaseAction::RequestInput, &by_bert()).await.unwrap();
    bench.hours(&engine, 2).await;
    bench.sent();
    drop(engine);
    state.close().await.unwrap();
    let hour = std::time::Duration::from_secs(3600);
    bench.settings.mail.as_mut().unwrap().reminders.input.reminders = vec![hour; 3];
    let (engine, _state) = bench.start().await;
    engine.count_reminders_anew().await.unwrap();
    bench.look(&engine).await;
    let sent = bench.sent();
    assert!(sent.len() == 1 && sent[0].contains("Reminder 1 of 3"), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r_05_a_notice_that_is_out_keeps_the_time_that_it_gave() {
    let mut bench = Bench::new();
    let (engine, state) = bench.start().await;
    let id = case(&engine).await;
    engine.act(id, CaseAction::RequestInput, &by_bert()).await.unwrap();
    bench.look(&engine).await;
    bench.hours(&engine, 4 * 24).await;
    assert!(bench.sent().last().unwrap().contains("will be closed in 24 hours"));
    drop(engine);
    state.close().await.unwrap();
    bench.settings.mail.as_mut().unwrap().reminders.input.close = std::time::Duration::from_secs(3);
    let (engine, _state) = bench.start().await;
    engine.count_reminders_anew().await.unwrap();
    bench.hours(&engine, 23).await;
    assert_ne!(engine.show(id).await.unwrap().row.phase, "close", "not before its time");
    // Whoever joins is told what counts for all.
    joins(&engine, id, HELP).await;
    bench.look(&engine).await;
    assert!(bench.sent().last().unwrap().contains("will be closed in 24 hours"));
    bench.hours(&engine, 24).await;
    assert_eq!(engine.show(id).await.unwrap().row.phase, "close");
}

/// How the last mail to somebody stands.
async fn stands(engine: &Engine, address: &str) -> String {
    let mails = engine.mails(&MailsQuery::default()).await.unwrap().mails;
    mails.into_iter().find(|mail| mail.address == address).unwrap().state
}

#[tokio::test(flavor = "multi_thread")]
async fn r_08_who_is_taken_out_while_mails_go_out_gets_none_but_the_one_under_way() {
    let bench = Bench::new();
    let (engine, _state) = bench.start().await;
    let id = case(&engine).await;
    joins(&engine, id, HELP).await;
    let place = Arc::new(Barrier::new(2));
    *bench.pigeon.rests.lock().unwrap() = Some(Arc::clone(&place));
    engine.tell_parties().await.unwrap();
    let sending = tokio::spawn({
        let engine = engine.clone();
        async move { engine.send_mails().await.unwrap() }
    });
    // The first one is on its way, and the second one was read with it.
    place.wait().await;
    leaves(&engine, id, ANNA).await;
    leaves(&engine, id, HELP).await;
    place.wait().await;
    sending.await.unwrap();
    assert_eq!(bench.sent().len(), 1, "nothing to who was not in the case any more");
    assert_eq!((stands(&engine, ANNA).await.as_str(), stands(&engine, HELP).await.as_str()), ("sent", "withdrawn"));
    let told = serde_json::to_string(&engine.show(id).await.unwrap().history).unwrap();
    assert!(told.matches("mail_sent").count() == 1 && told.contains(&format!("opened to {ANNA}")), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r_05_a_case_whose_customer_was_never_reached_is_left_to_a_person() {
    let bench = Bench::new();
    let (engine, _state) = bench.start().await;
    let request = OpenRequest { synopsis: "Fan failed".into(), operator: "bert".into(), ..OpenRequest::default() };
    let id = engine.open_by_hand(request).await.unwrap();
    joins(&engine, id, "nobody@customer.example").await;
    let help = PartyRequest { role: Some(Role::Integrator), ..party(HELP) };
    engine.add_party(id, &help).await.unwrap();
    engine.act(id, CaseAction::RequestInput, &by_bert()).await.unwrap();
    bench.look(&engine).await;
    bench.hours(&engine, 10 * 24).await;
    assert!(bench.sent().last().unwrap().contains("will be closed in 24 hours"), "the integrator has all mails");
    assert_ne!(engine.show(id).await.unwrap().row.phase, "close");
    assert!(bench.warnings(&engine).await.contains("none of the mails to its customer"));
    // The right address gets the notice, and its full time.
    joins(&engine, id, ANNA).await;
    bench.look(&engine).await;
    bench.hours(&engine, 23).await;
    assert_ne!(engine.show(id).await.unwrap().row.phase, "close");
    bench.hours(&engine, 1).await;
    assert_eq!(engine.show(id).await.unwrap().row.phase, "close");
}

#[tokio::test(flavor = "multi_thread")]
async fn r_07_two_days_of_downtime_and_a_dead_mail_server_bring_no_burst_and_close_nothing_too_early() {
    let bench = Bench::new();
    let (engine, state) = bench.start().await;
    let id = case(&engine).await;
    engine.act(id, CaseAction::Resolve, &by_bert()).await.unwrap();
    bench.look(&engine).await;
    bench.sent();
    drop(engine);
    state.close().await.unwrap();
    bench.clock.advance(48 * HOUR);
    let (engine, _state) = bench.start().await;
    bench.look(&engine).await;
    let sent = bench.sent();
    assert!(sent.len() == 1 && sent[0].contains("Reminder"), "one mail: {sent:?}");
    // The notice is due while no mail goes out.
    *bench.pigeon.is_ill.lock().unwrap() = true;
    bench.hours(&engine, 60).await;
    assert_eq!(engine.show(id).await.unwrap().row.phase, "review", "not closed before its notice is out");
    *bench.pigeon.is_ill.lock().unwrap() = false;
    bench.hours(&engine, 1).await;
    let sent = bench.sent();
    assert!(sent.len() == 1 && sent[0].contains("will be closed in 24 hours"), "{sent:?}");
    bench.hours(&engine, 23).await;
    assert_eq!(engine.show(id).await.unwrap().row.phase, "review");
    bench.hours(&engine, 1).await;
    assert_eq!(engine.show(id).await.unwrap().row.phase, "close");
    bench.look(&engine).await;
    let sent = bench.sent();
    assert!(sent.len() == 1 && sent[0].contains("Completed"), "{sent:?}");
}

fn party(address: &str) -> PartyRequest {
    PartyRequest { address: address.into(), operator: "bert".into(), ..PartyRequest::default() }
}

async fn joins(engine: &Engine, id: casebridge::case::IncidentId, address: &str) {
    engine.add_party(id, &party(address)).await.unwrap();
}

async fn leaves(engine: &Engine, id: casebridge::case::IncidentId, address: &str) {
    engine.remove_party(id, &party(address)).await.unwrap();
}

/// Before the reminder, after it, and after the notice.
#[tokio::test(flavor = "multi_thread")]
async fn r_07_an_answer_to_a_resolved_case_stops_its_closing_and_a_person_decides() {
    for (answered, mails) in [(1, 1), (25, 2), (49, 3)] {
        let bench = Bench::new();
        let (engine, _state) = bench.start().await;
        let id = case(&engine).await;
        bench.look(&engine).await;
        bench.sent();
        engine.act(id, CaseAction::Resolve, &by_bert()).await.unwrap();
        bench.look(&engine).await;
        bench.hours(&engine, answered).await;
        assert_eq!(bench.sent().len(), mails, "asked, and reminded");
        let anna = engine.parties(id).await.unwrap()[0].id;
        let replied = engine.replied((id, anna), answer("1", "It is NOT solved")).await;
        assert_eq!(replied.unwrap(), Replied::Comment);
        bench.hours(&engine, 100).await;
        assert_eq!(bench.sent(), [""; 0], "nothing is asked any more");
        let shown = engine.show(id).await.unwrap();
        assert_eq!(shown.row.phase, "review", "answered after {answered} hours");
        let told = serde_json::to_string(&shown.history).unwrap();
        assert!(!told.contains("nobody answered") && told.contains("left to a person"), "{told}");
        assert!(bench.warnings(&engine).await.contains("its customer answered after it was resolved"));
        // The staff goes on with it: a new round begins.
        engine.act(id, CaseAction::Reopen, &by_bert()).await.unwrap();
        engine.act(id, CaseAction::Resolve, &by_bert()).await.unwrap();
        bench.look(&engine).await;
        bench.hours(&engine, 72).await;
        assert_eq!(engine.show(id).await.unwrap().row.phase, "close");
        assert!(!bench.warnings(&engine).await.contains("its customer answered"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r_05_who_joins_after_the_notice_has_it_for_its_full_time_before_the_case_is_closed() {
    let bench = Bench::new();
    let (engine, _state) = bench.start().await;
    let id = case(&engine).await;
    engine.act(id, CaseAction::RequestInput, &by_bert()).await.unwrap();
    bench.look(&engine).await;
    bench.hours(&engine, 4 * 24 + 12).await;
    assert!(bench.sent().last().unwrap().contains("will be closed in 24 hours"));
    leaves(&engine, id, ANNA).await;
    joins(&engine, id, HELP).await;
    bench.look(&engine).await;
    let sent = bench.sent();
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(sent.iter().any(|subject| subject.contains("will be closed in 24 hours")), "{sent:?}");
    bench.hours(&engine, 23).await;
    assert_ne!(engine.show(id).await.unwrap().row.phase, "close", "not before its full time");
    // Who comes back is told again, as whoever was never there.
    joins(&engine, id, ANNA).await;
    bench.hours(&engine, 1).await;
    assert_eq!(engine.show(id).await.unwrap().row.phase, "close", "Anna had her notice long ago");
}

#[tokio::test(flavor = "multi_thread")]
async fn r_04_a_wrong_address_is_told_of_and_the_right_one_gets_what_is_asked() {
    let bench = Bench::new();
    let (engine, _state) = bench.start().await;
    let request = OpenRequest { synopsis: "Fan failed".into(), operator: "bert".into(), ..OpenRequest::default() };
    let id = engine.open_by_hand(request).await.unwrap();
    joins(&engine, id, "nobody@customer.example").await;
    engine.act(id, CaseAction::RequestInput, &by_bert()).await.unwrap();
    bench.look(&engine).await;
    bench.hours(&engine, 48).await;
    assert_eq!(bench.sent(), [""; 0]);
    assert!(bench.warnings(&engine).await.contains("nobody of its people can be reached by mail"));
    leaves(&engine, id, "nobody@customer.example").await;
    joins(&engine, id, ANNA).await;
    bench.look(&engine).await;
    let sent = bench.sent();
    assert!(sent.len() == 2 && sent.iter().any(|subject| subject.contains("Your answer is needed")), "{sent:?}");
    assert!(!bench.warnings(&engine).await.contains("nobody of its people"));
    bench.hours(&engine, 24).await;
    assert!(bench.sent()[0].contains("Reminder 1 of 3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn r_07_auto_close_leaves_a_case_to_its_people_and_their_notice() {
    let bench = Bench::with(
        "[[solution]]\nname = \"S\"\n[[process]]\nname = \"P\"\nsolution = \"S\"\n[[case_type]]\nname = \"Fault\"\nprocess = \"P\"\nauto_close_after = \"1h\"\n",
    );
    let (engine, _state) = bench.start().await;
    let id = case(&engine).await;
    bench.execute("UPDATE incident SET case_type = 'Fault'").await;
    engine.act(id, CaseAction::Resolve, &by_bert()).await.unwrap();
    bench.look(&engine).await;
    bench.hours(&engine, 40).await;
    assert!(engine.queue_closings(false, &Seen::all()).await.unwrap().cases.is_empty(), "it is not even listed");
    assert_eq!(engine.work_closings().await.unwrap(), 0);
    assert_eq!(engine.show(id).await.unwrap().row.phase, "review");
    // Without its people nobody is asked, and its type decides.
    leaves(&engine, id, ANNA).await;
    assert_eq!(engine.queue_closings(false, &Seen::all()).await.unwrap().cases.len(), 1);
    joins(&engine, id, HELP).await;
    assert_eq!(engine.work_closings().await.unwrap(), 0, "somebody joined since");
    assert_eq!(engine.show(id).await.unwrap().row.phase, "review");
}

#[tokio::test(flavor = "multi_thread")]
async fn r_05_shorter_times_count_from_the_next_start_on() {
    let office = PostOffice::open().await;
    let mut site = desk(&office).await;
    site.execute("UPDATE incident SET state = 'input_requested' WHERE id = 1").await;
    let due = "SELECT coalesce(max(due), 0) / 1000 - strftime('%s', 'now') FROM reminder_due";
    eventually("the first reminder, a day from now", || async {
        (23..25).contains(&(site.count(due).await / 3600)).then_some(())
    })
    .await;
    site.stop().await;
    site.edit_config("[mail]", "[mail.reminders]\ninput = [\"2h\", \"2h\", \"2h\"]\n[mail]");
    site.start().await;
    eventually("the first reminder, two hours from now", || async {
        (1..2).contains(&(site.count(due).await / 3600)).then_some(())
    })
    .await;
}
