//! The people of a case by their links and mails: real mails in a real directory, a real daemon, and a
//! browser that is none: whatever it is able to send.

use std::sync::Arc;

use casebridge::case::pass::Subject;
use casebridge::case::{IncidentId, Links, Pass, Purpose};
use casebridge::config::page_key;
use jiff::{SignedDuration, Timestamp};
use reqwest::Client;
use serde_json::json;

use crate::support::pair::partner_config;
use crate::support::wire::free_port;
use crate::support::{Site, eventually};

/// A partner with pages and a directory of mails. Nobody takes the mails that it writes, so that they stand where a test
/// looks at them.
struct Desk {
    site: Site,
    client: Client,
    address: String,
    links: Arc<Links>,
}

impl Desk {
    async fn start() -> Self {
        Self::start_with("").await
    }

    async fn start_with(pages: &str) -> Self {
        let mut desk = Self::new(pages);
        desk.run().await;
        desk
    }

    /// Starts the daemon. Its door for commands opens before the one in the network.
    async fn run(&mut self) {
        self.site.start().await;
        let style = format!("{}/p/style.css", self.address);
        eventually("the pages", || async { self.client.get(&style).send().await.ok() }).await;
    }

    /// Configured and not started.
    fn new(pages: &str) -> Self {
        let port = free_port();
        let address = format!("http://127.0.0.1:{port}");
        let more = format!(
            "[pages]\naddress = \"{address}\"\nrequests_per_minute = 10000\n{pages}\n[mail]\nhost = \"127.0.0.1\"\n\
             port = {}\ntls = \"none\"\nfrom = \"Support <support@desk.example>\"\n\
             [[mail_inbox]]\ndir = \"{{dir}}/mail\"\npoll_interval = \"50ms\"\nsettle = \"0s\"\nlinks_per_hour = 3\n",
            free_port(),
        );
        let site = Site::new("partner", &partner_config(port, &more));
        std::fs::create_dir(site.path("mail")).unwrap();
        let key = page_key(&site.path("")).unwrap();
        let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { links: Arc::new(Links::new(key, address.clone())), site, client, address }
    }

    /// Puts a mail where the mail server would.
    fn deliver(&self, name: &str, mail: &str) {
        let unfinished = self.site.path("mail").join(format!("{name}.tmp"));
        std::fs::write(&unfinished, mail).unwrap();
        std::fs::rename(unfinished, self.site.path("mail").join(name)).unwrap();
    }

    async fn until_done(&self, name: &str) {
        let path = self.site.path("mail/done").join(name);
        eventually(&format!("{name} in done"), || async { path.exists().then_some(()) }).await;
    }

    async fn until(&self, what: &str, sql: &'static str, wanted: i64) {
        eventually(what, || async { (self.site.count(sql).await == wanted).then_some(()) }).await;
    }

    async fn get(&self, url: &str) -> (u16, String) {
        let answer = self.client.get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn post(&self, url: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.client.post(url).header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The link that the mail with this number has in it.
    async fn form_link(&self) -> String {
        let made = "SELECT made_at FROM mail WHERE notice = 'form' ORDER BY id LIMIT 1";
        let made = Timestamp::from_millisecond(self.site.count(made).await).unwrap();
        let expires_at = made + SignedDuration::from_hours(7 * 24);
        let serial = self.site.count("SELECT id FROM mail WHERE notice = 'form' ORDER BY id LIMIT 1").await as u64;
        self.links.url(&Pass { purpose: Purpose::Form, subject: Subject::Intake(1), expires_at, serial })
    }

    fn pass(&self, purpose: Purpose, incident: i64) -> Pass {
        let expires_at = Timestamp::now() + SignedDuration::from_hours(1);
        let subject = Subject::Party { incident: IncidentId(incident), party: incident };
        Pass { purpose, subject, expires_at, serial: 1 }
    }

    /// As it stands in the last mail that asks for it.
    async fn link(&self, purpose: Purpose, incident: i64) -> String {
        let mut pass = self.pass(purpose, incident);
        if matches!(purpose, Purpose::Confirm | Purpose::NotSolved) {
            let sql = format!("SELECT max(id) FROM mail WHERE incident = {incident} AND notice = 'closing_asked'");
            let asks = || async {
                let store = self.site.store().await;
                let id: Option<i64> =
                    sqlx::query_scalar(sqlx::AssertSqlSafe(sql.as_str())).fetch_one(&store).await.unwrap();
                store.close().await;
                id
            };
            pass.serial = eventually("the mail that asks", asks).await as u64;
        }
        self.links.url(&pass)
    }

    /// A case with one party, each with the same number.
    async fn case(&self, number: i64, set: &str) {
        self.site.insert(number as usize, 1).await;
        let store = self.site.store().await;
        let party = "INSERT INTO party (id, incident, role, name, address, language, greeted) \
                     VALUES (?1, ?1, 'customer', 'Anna', 'anna@north.example', 'fr', 1)";
        sqlx::query(party).bind(number).execute(&store).await.unwrap();
        let set = format!("UPDATE incident SET {set} WHERE id = {number}");
        sqlx::query(sqlx::AssertSqlSafe(set)).execute(&store).await.unwrap();
        store.close().await;
    }

    async fn text(&self, sql: &'static str) -> String {
        let store = self.site.store().await;
        let text = sqlx::query_scalar(sql).fetch_one(&store).await.unwrap();
        store.close().await;
        text
    }
}

fn mail(id: &str) -> String {
    format!(
        "From: Anna <anna@north.example>\r\nMessage-ID: <{id}@north.example>\r\nSubject: No dial tone\r\n\r\nSince ten.\r\n"
    )
}

const FILLED: [(&str, &str); 6] = [
    ("title", "No dial tone in Lyon"),
    ("description", "Since ten.\r\n<script>alert(1)</script>"),
    ("device", "pbx-7"),
    ("priority", "2"),
    ("contact", "Anna, +33 1"),
    ("also", "help@integrator.example"),
];

#[tokio::test(flavor = "multi_thread")]
async fn r_02_a_mail_gets_a_form_the_form_makes_one_incident_and_its_acceptance_opens_the_ticket_once() {
    let desk = Desk::start().await;
    desk.deliver("1", &mail("1"));
    desk.until("the mail with the link", "SELECT count(*) FROM mail WHERE notice = 'form'", 1).await;
    desk.until_done("1").await;
    // The same mail again, as after a crash of the mail server: still one link.
    desk.deliver("2", &mail("1"));
    desk.until_done("2").await;
    assert_eq!(desk.site.count("SELECT count(*) FROM mail").await, 1);
    assert_eq!(desk.site.count("SELECT count(*) FROM incident").await, 0, "a mail makes no incident by itself");

    let link = desk.form_link().await;
    // A mail scanner looks at every link, as often as it likes.
    for _ in 0..3 {
        let (status, page) = desk.get(&link).await;
        assert!(status == 200 && page.contains("No dial tone") && page.contains("Since ten."), "{status} {page}");
    }
    assert_eq!(desk.site.count("SELECT count(*) FROM incident").await, 0, "looking changes nothing");

    let (status, page) = desk.post(&link, &[("title", "\"><script>"), ("priority", "9")]).await;
    assert_eq!(status, 422, "{page}");
    assert!(page.contains("aria-invalid") && !page.contains("<script>") && page.contains("&#60;script&#62;"), "{page}");

    for _ in 0..2 {
        assert_eq!(desk.post(&link, &FILLED).await.0, 303, "pressed twice, it leads to the same page");
        let (status, page) = desk.get(&link).await;
        assert!(status == 200 && page.contains("incident number 1") && !page.contains("<form"), "{status} {page}");
    }
    assert_eq!(desk.site.count("SELECT count(*) FROM incident WHERE submission = 'held'").await, 1);
    let who = "SELECT group_concat(DISTINCT who) FROM history WHERE action IN ('deposited', 'party_added')";
    assert_eq!(desk.text(who).await, "person Anna", "H-05: who sent the form");
    let told = "SELECT count(*) FROM mail WHERE notice = 'received' AND incident = 1";
    assert_eq!(desk.site.count(told).await, 1, "one acknowledgement, for who wrote");
    let opened = "SELECT count(*) FROM mail WHERE notice = 'opened'";
    assert_eq!(desk.site.count(opened).await, 0, "support has not accepted it yet");

    let store = desk.site.store().await;
    sqlx::query("UPDATE incident SET state = 'in_process' WHERE id = 1").execute(&store).await.unwrap();
    desk.until("the opening mails", opened, 2).await;
    sqlx::query("UPDATE incident SET state = 'on_hold' WHERE id = 1").execute(&store).await.unwrap();
    let held = "SELECT count(*) FROM mail WHERE about ->> 'state' = 'on_hold'";
    desk.until("what comes after", held, 2).await;
    assert_eq!(desk.site.count(opened).await, 2, "once");
    store.close().await;
    let log = desk.site.log();
    assert!(!log.contains("north.example") && !log.contains("dial tone"), "no address and no text in the log");
}

/// Else anybody could have this site write to anybody, in their own words.
#[tokio::test(flavor = "multi_thread")]
async fn r_02_who_is_named_on_a_form_is_told_nothing_before_somebody_here_works_on_it() {
    let desk = Desk::start().await;
    desk.deliver("1", &mail("1"));
    desk.until_done("1").await;
    let link = desk.form_link().await;
    assert_eq!(desk.post(&link, &FILLED).await.0, 303);
    let reply = desk.links.reply_address("support@desk.example", &desk.pass(Purpose::Reply, 1)).unwrap();
    let answer = |id: &str, text: &str| {
        format!("From: anna@north.example\r\nTo: {reply}\r\nMessage-ID: <{id}@x>\r\n\r\n{text}\r\n")
    };
    for (file, text) in [("a", "Buy at evil.example."), ("b", "It hums.")] {
        desk.deliver(file, &answer(file, text));
        desk.until_done(file).await;
    }
    desk.until("both to be looked at", "SELECT comment = (SELECT max(id) FROM comment) FROM mail_cursor", 1).await;
    assert_eq!(desk.site.count("SELECT count(*) FROM comment").await, 2);
    let to = "SELECT count(*) FROM mail WHERE address = 'help@integrator.example'";
    assert_eq!(desk.site.count(to).await, 0);

    desk.site.execute("UPDATE incident SET state = 'in_process' WHERE id = 1").await;
    let state = "SELECT count(*) FROM mail WHERE address = 'help@integrator.example' AND notice = 'state'";
    desk.until("what comes after", state, 1).await;
    let opened = "SELECT group_concat(json_array_length(about, '$.comments')) FROM mail \
                  WHERE address = 'help@integrator.example' AND notice = 'opened'";
    assert_eq!(desk.text(opened).await, "2", "with what was said until then");
    assert_eq!(desk.site.count(to).await, 2, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn r_02_an_incident_of_a_form_that_is_canceled_is_told_of_to_nobody_but_its_sender() {
    let desk = Desk::start().await;
    desk.deliver("1", &mail("1"));
    desk.until_done("1").await;
    assert_eq!(desk.post(&desk.form_link().await, &FILLED).await.0, 303);
    desk.site.execute("UPDATE incident SET phase = 'close', completion_code = 'withdrawn_by_user'").await;
    desk.until("the end", "SELECT count(*) FROM mail WHERE notice = 'closed'", 1).await;
    assert_eq!(desk.site.count("SELECT count(*) FROM mail WHERE address <> 'anna@north.example'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn r_08_a_header_of_a_mail_program_takes_back_no_language_that_a_person_said() {
    let desk = Desk::start().await;
    desk.site.insert(0, 1).await;
    desk.site.command(&["party", "add", "1", "anna@north.example", "--language", "fr"]).ok();
    let remembered = "SELECT language FROM party_language WHERE address = 'anna@north.example'";
    let english = |id: &str| format!("Content-Language: en-US\r\n{}", mail(id));
    desk.deliver("1", &english("1"));
    desk.until_done("1").await;
    assert_eq!(desk.text("SELECT language FROM mail WHERE notice = 'form'").await, "fr");
    let link = desk.form_link().await;
    let (_, page) = desk.get(&link).await;
    assert!(page.contains("<html lang=\"fr\">"), "{page}");
    // As a browser sends the form: with the language that it was shown in.
    assert_eq!(desk.post(&format!("{link}?lang=fr"), &FILLED).await.0, 303);
    assert_eq!(desk.text("SELECT language FROM mail WHERE notice = 'received'").await, "fr");
    assert_eq!(desk.text(remembered).await, "fr");

    // Of somebody of whom nothing is known the header counts, and what they choose is remembered.
    desk.deliver("2", &english("2").replace("anna@", "zoe@"));
    desk.until_done("2").await;
    let of_zoe = "SELECT language FROM mail WHERE notice = 'form' AND address = 'zoe@north.example'";
    assert_eq!(desk.text(of_zoe).await, "en");
    let made = desk.site.count("SELECT made_at FROM mail ORDER BY id DESC LIMIT 1").await;
    let serial = desk.site.count("SELECT max(id) FROM mail").await as u64;
    let expires_at = Timestamp::from_millisecond(made).unwrap() + SignedDuration::from_hours(7 * 24);
    let pass = Pass { purpose: Purpose::Form, subject: Subject::Intake(2), expires_at, serial };
    assert_eq!(desk.post(&format!("{}?lang=fr", desk.links.url(&pass)), &FILLED).await.0, 303);
    assert_eq!(desk.text("SELECT language FROM party_language WHERE address = 'zoe@north.example'").await, "fr");
}

#[tokio::test(flavor = "multi_thread")]
async fn r_02_what_nobody_sees_of_what_was_copied_into_a_page_keeps_nobody_from_sending_it() {
    let desk = Desk::start().await;
    desk.deliver("1", &mail("1"));
    desk.until_done("1").await;
    let filled = [
        ("title", "No\u{200b} dial\ttone"),
        ("description", "ok\u{202e}txt"),
        ("device", "pbx-7\u{feff}"),
        ("priority", "2"),
        ("contact", "\u{202a}+33 1 23\u{202c}"),
        ("also", "\u{2066}help@integrator.example\u{2069}"),
    ];
    assert_eq!(desk.post(&desk.form_link().await, &filled).await.0, 303);
    let stored =
        "SELECT synopsis || '/' || description || '/' || device || '/' || (manifest ->> 'contact') FROM incident";
    assert_eq!(desk.text(stored).await, "No dial tone/oktxt/pbx-7/+33 1 23");

    let desk = Desk::start().await;
    desk.case(1, "state = 'input_requested'").await;
    assert_eq!(desk.post(&desk.link(Purpose::Answer, 1).await, &[("text", "ok\u{202e}txt")]).await.0, 303);
    assert_eq!(desk.text("SELECT text FROM comment").await, "oktxt");
}

#[tokio::test(flavor = "multi_thread")]
async fn r_02_a_link_that_is_forged_late_or_meant_for_something_else_opens_nothing() {
    let desk = Desk::start().await;
    desk.case(1, "phase = 'review', solution = 'Restarted.'").await;
    let right = desk.link(Purpose::Confirm, 1).await;
    for forged in [
        format!("{}/p/x", desk.address),
        format!("{}/p/{}", desk.address, "a".repeat(60)),
        format!("{}/p/{}", desk.address, "%00%ff".repeat(20)),
        format!("{}/p/{}", desk.address, "a".repeat(4000)),
        format!("{}a", right),
        right.replace("/p/", "/p/a"),
    ] {
        for (status, page) in [desk.get(&forged).await, desk.post(&forged, &FILLED).await] {
            assert!(matches!(status, 400 | 404), "{status}: {forged} {page}");
        }
    }
    let hour = SignedDuration::from_hours(1);
    let late = Pass { expires_at: Timestamp::now() - hour, ..desk.pass(Purpose::Confirm, 1) };
    let (status, page) = desk.post(&desk.links.url(&late), &[]).await;
    assert!(status == 410 && page.contains("a expiré"), "in the person's language: {status} {page}");
    let foreign = [
        Pass { purpose: Purpose::Form, ..desk.pass(Purpose::Confirm, 1) },
        Pass { purpose: Purpose::Reply, ..desk.pass(Purpose::Confirm, 1) },
        Pass { subject: Subject::Intake(1), ..desk.pass(Purpose::Confirm, 1) },
        Pass { subject: Subject::Party { incident: IncidentId(1), party: 7 }, ..desk.pass(Purpose::Confirm, 1) },
        Pass { subject: Subject::Party { incident: IncidentId(7), party: 1 }, ..desk.pass(Purpose::Confirm, 1) },
    ];
    for pass in foreign {
        assert_eq!(desk.post(&desk.links.url(&pass), &FILLED).await.0, 404, "{pass:?}");
    }
    assert_eq!(desk.site.count("SELECT count(*) FROM incident WHERE phase = 'review'").await, 1);
    assert_eq!(desk.site.count("SELECT count(*) FROM pass").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn r_02_a_post_that_is_enormous_or_no_form_is_refused_in_words() {
    let desk = Desk::start().await;
    desk.case(1, "state = 'input_requested'").await;
    let link = desk.link(Purpose::Answer, 1).await;
    let huge = "x".repeat(1 << 20);
    let (status, page) = desk.post(&link, &[("text", &huge)]).await;
    assert!(status == 413 && page.contains("<h1>"), "{status} {page}");
    let long = "x".repeat(17_000);
    assert_eq!(desk.post(&link, &[("text", &long)]).await.0, 422);
    assert_eq!(desk.post(&link, &[("text", " \r\n")]).await.0, 422);
    assert_eq!(desk.post(&link, &[("text", "\u{202e}\u{200b}")]).await.0, 422);
    let answer = desk.client.post(&link).header("content-type", "multipart/form-data").body("x").send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(desk.client.put(&link).send().await.unwrap().status(), 405);
    assert_eq!(desk.site.count("SELECT count(*) FROM comment").await, 0);
    assert_eq!(desk.post(&link, &[("text", "It rings.")]).await.0, 303, "and the link is still good");
}

#[tokio::test(flavor = "multi_thread")]
async fn r_05_an_answer_by_the_page_is_a_comment_once_and_the_case_goes_on() {
    let desk = Desk::start().await;
    desk.case(1, "state = 'input_requested', synopsis = '<b>Alarm</b>', priority = NULL").await;
    let link = desk.link(Purpose::Answer, 1).await;
    let (status, page) = desk.get(&link).await;
    assert_eq!(status, 200);
    assert!(
        page.contains("lang=\"fr\"") && page.contains("Votre réponse"),
        "as the person is spoken to in mails: {page}"
    );
    assert!(page.contains("&#60;b&#62;Alarm&#60;/b&#62;") && !page.contains("<b>"), "{page}");
    let (_, english) = desk.get(&format!("{link}?lang=en")).await;
    assert!(english.contains("lang=\"en\"") && english.contains("Your answer"), "{english}");
    for text in ["It rings again.", "Pressed twice."] {
        assert_eq!(desk.post(&link, &[("text", text)]).await.0, 303);
    }
    assert_eq!(desk.site.count("SELECT count(*) FROM comment WHERE text = 'It rings again.'").await, 1);
    let who = "SELECT who FROM history WHERE detail LIKE 'answer by a link%'";
    assert_eq!(desk.text(who).await, "person Anna", "no operator");
    assert_eq!(desk.site.count("SELECT count(*) FROM comment").await, 1);
    assert_eq!(desk.text("SELECT author FROM comment").await, "Anna", "no address: it may go to another site");
    assert_eq!(desk.site.count("SELECT party FROM comment").await, 1);
    assert_eq!(desk.text("SELECT state FROM incident").await, "in_process");
}

#[tokio::test(flavor = "multi_thread")]
async fn r_06_confirm_closes_and_not_solved_reopens_and_each_link_works_once() {
    let desk = Desk::start().await;
    desk.case(1, "phase = 'review', solution = 'Restarted.'").await;
    desk.case(2, "phase = 'review', solution = 'Restarted.'").await;
    let (confirm, late) = (desk.link(Purpose::Confirm, 1).await, desk.link(Purpose::NotSolved, 1).await);
    let (_, page) = desk.get(&confirm).await;
    assert!(page.contains("Restarted.") && page.contains("<button"), "{page}");
    assert_eq!(desk.text("SELECT phase FROM incident WHERE id = 1").await, "review", "looking changes nothing");
    for _ in 0..2 {
        assert_eq!(desk.post(&confirm, &[]).await.0, 303);
    }
    assert_eq!(desk.text("SELECT phase FROM incident WHERE id = 1").await, "close");
    assert!(desk.get(&confirm).await.1.contains("role=\"status\""));
    let (status, page) = desk.post(&late, &[("text", "No. It <b>hums</b>.")]).await;
    assert_eq!(status, 409, "it is closed, and stays so");
    assert!(page.contains("No. It &#60;b&#62;hums&#60;/b&#62;."), "what was written is not lost: {page}");
    assert_eq!(desk.text("SELECT phase FROM incident WHERE id = 1").await, "close");

    let (not_solved, late) = (desk.link(Purpose::NotSolved, 2).await, desk.link(Purpose::Confirm, 2).await);
    for _ in 0..2 {
        assert_eq!(desk.post(&not_solved, &[("text", "It still hums.")]).await.0, 303);
    }
    assert_eq!(desk.text("SELECT state FROM incident WHERE id = 2").await, "reopened");
    assert_eq!(desk.site.count("SELECT count(*) FROM comment WHERE text = 'It still hums.'").await, 1);
    assert_eq!(desk.post(&late, &[]).await.0, 409, "there is nothing to confirm");
    assert_eq!(desk.text("SELECT state FROM incident WHERE id = 2").await, "reopened");
}

#[tokio::test(flavor = "multi_thread")]
async fn r_06_a_link_of_an_earlier_solution_closes_no_later_one() {
    let desk = Desk::start().await;
    desk.case(1, "phase = 'review', solution = 'Restarted.'").await;
    let (confirm, not_solved) = (desk.link(Purpose::Confirm, 1).await, desk.link(Purpose::NotSolved, 1).await);
    desk.site.act("/v1/incidents/1/reopen", json!({"operator": "bert"})).await;
    desk.site.act("/v1/incidents/1/resolve", json!({"operator": "bert", "solution": "Replaced."})).await;
    desk.until("the second question", "SELECT count(*) FROM mail WHERE notice = 'closing_asked'", 2).await;
    for (earlier, fields) in [(confirm, &[][..]), (not_solved, &[("text", "It hums.")][..])] {
        let english = format!("{earlier}?lang=en");
        for (status, page) in [desk.get(&english).await, desk.post(&english, fields).await] {
            assert!(status == 409 && page.contains("about an earlier solution"), "{status} {page}");
        }
    }
    assert_eq!(desk.text("SELECT phase FROM incident").await, "review", "nobody has confirmed this one");
    assert_eq!(desk.post(&desk.link(Purpose::Confirm, 1).await, &[]).await.0, 303);
    assert_eq!(desk.text("SELECT phase FROM incident").await, "close");
}

#[tokio::test(flavor = "multi_thread")]
async fn r_04_links_in_an_answer_reach_nobody_else_and_an_answer_with_nothing_new_is_none() {
    let desk = Desk::start().await;
    desk.case(1, "state = 'input_requested'").await;
    let reply = desk.links.reply_address("support@desk.example", &desk.pass(Purpose::Reply, 1)).unwrap();
    let link = desk.link(Purpose::Answer, 1).await;
    let answer = |id: &str, text: &str| {
        format!("From: anna@north.example\r\nTo: {reply}\r\nMessage-ID: <{id}@x>\r\n\r\n{text}\r\n")
    };
    let quoted = format!("On Monday, Support wrote:\r\n> Answer here: {link}\r\n> or to {reply}");
    desk.deliver("empty", &answer("1", &quoted));
    let held = desk.site.path("mail/quarantine/empty.reason");
    eventually("the mail to be held", || async { held.exists().then_some(()) }).await;
    assert_eq!(desk.text("SELECT state FROM incident").await, "input_requested", "nothing was answered");

    let pass = link.rsplit('/').next().unwrap();
    let wrapped = format!("https://safe.example/?url=http%3A%2F%2Fdesk%2Fp%2F{pass}&x=1");
    let said = format!("I pressed {link} and {wrapped}\r\nwrote to {reply}, and it rings.");
    desk.deliver("said", &answer("2", &said));
    desk.until_done("said").await;
    assert_eq!(desk.post(&link, &[("text", &said)]).await.0, 303);
    for sql in ["SELECT text FROM comment ORDER BY id LIMIT 1", "SELECT text FROM comment ORDER BY id DESC LIMIT 1"] {
        let text = desk.text(sql).await;
        assert!(text.contains("/p/[…] and") && text.contains("%2Fp%2F[…]&") && text.contains("it rings"), "{text}");
        assert!(!text.contains(pass) && text.contains("support+[…]@desk.example"), "{text}");
    }
    assert_eq!(desk.site.count("SELECT count(*) FROM comment").await, 2);

    let part = "--b\r\n\r\nHere it is.\r\n--b\r\nContent-Type: text/plain; name=trace.txt\r\n\
                Content-Disposition: attachment; filename=trace.txt\r\n\r\nx\r\n--b--";
    let mail = answer("3", part).replacen("Message-ID", "Content-Type: multipart/mixed; boundary=b\r\nMessage-ID", 1);
    desk.deliver("file", &mail);
    let kept = desk.site.path("mail/with_files/file");
    eventually("the mail where housekeeping does not go", || async { kept.exists().then_some(()) }).await;
    let text = desk.text("SELECT text FROM comment ORDER BY id DESC LIMIT 1").await;
    assert_eq!(text, "Here it is.\n\n[1 attached: trace.txt]");
    let told = desk.text("SELECT detail FROM history WHERE detail LIKE '%by mail%' ORDER BY id DESC LIMIT 1").await;
    assert!(told.contains("its files stand in with_files/file of the mail inbox"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r_08_programs_without_marks_end_no_loop_by_themselves_so_answers_are_counted() {
    let desk = Desk::start().await;
    desk.case(1, "state = 'input_requested'").await;
    let reply = desk.links.reply_address("support@desk.example", &desk.pass(Purpose::Reply, 1)).unwrap();
    let away = "Réponse automatique : votre ticket";
    let answer = |id: &str, subject: &str| {
        let header = format!("From: anna@north.example\r\nTo: {reply}\r\nMessage-ID: <{id}@x>\r\nSubject: {subject}");
        format!("{header}\r\n\r\nI am away {id}.\r\n")
    };
    desk.deliver("away", &answer("away", away));
    let looked_at = desk.site.path("mail/quarantine/away.reason");
    eventually("what may be an absence notice to wait for a person", || async { looked_at.exists().then_some(()) })
        .await;
    assert_eq!(desk.text("SELECT state FROM incident").await, "input_requested");
    for number in 0..21 {
        desk.deliver(&format!("{number:02}"), &answer(&number.to_string(), "Re: your case"));
    }
    let folders = [desk.site.path("mail/done"), desk.site.path("mail/quarantine")];
    let all = || async {
        let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
        let mails = files.filter(|file| !file.as_ref().unwrap().path().to_string_lossy().ends_with(".reason"));
        (mails.count() == 22).then_some(())
    };
    eventually("all answers", all).await;
    assert_eq!(desk.site.count("SELECT count(*) FROM comment").await, 20, "and one is held");

    desk.deliver("new", &mail("new"));
    let form = "SELECT count(*) FROM mail WHERE notice = 'form'";
    desk.until("the link", form, 1).await;
    let number = desk.site.count("SELECT id FROM mail WHERE notice = 'form'").await;
    let site = desk.text("SELECT replace(value, '-', '') FROM meta WHERE name = 'site'").await;
    let name = format!("{number}.{}.{site}@desk.example", desk.links.mark(number));
    desk.deliver("loop", &mail("loop").replace("Subject", &format!("In-Reply-To: <{name}>\r\nSubject")));
    let held = desk.site.path("mail/quarantine/loop.reason");
    eventually("the answer to the form to be held", || async { held.exists().then_some(()) }).await;
    assert_eq!(desk.site.count(form).await, 1, "no link for the answer to a link");
}

#[tokio::test(flavor = "multi_thread")]
async fn r_04_an_answer_by_mail_is_a_comment_of_its_case_and_a_strangers_is_held() {
    let desk = Desk::start().await;
    desk.case(1, "state = 'input_requested'").await;
    let reply = desk.links.reply_address("support@desk.example", &desk.pass(Purpose::Reply, 1)).unwrap();
    let from = |sender: &str, id: &str, more: &str| {
        format!(
            "From: {sender}\r\nTo: {reply}\r\nMessage-ID: <{id}@x.example>\r\n{more}Subject: Re: another case\r\n\r\n\
             It rings.\r\n\r\nOn Monday, Support wrote:\r\n> Does it ring?\r\n"
        )
    };
    desk.deliver("away", &from("anna@north.example", "0", "Auto-Submitted: auto-replied\r\n"));
    desk.until_done("away").await;
    desk.deliver("stranger", &from("eve@evil.example", "1", ""));
    let held = desk.site.path("mail/quarantine/stranger.reason");
    eventually("the mail of a stranger to be held", || async { held.exists().then_some(()) }).await;
    assert_eq!(desk.site.count("SELECT count(*) FROM comment").await, 0);
    assert_eq!(desk.text("SELECT state FROM incident").await, "input_requested", "neither of them is an answer");
    for name in ["answer", "again"] {
        desk.deliver(name, &from("Anna <ANNA@north.example>", "2", ""));
        desk.until_done(name).await;
    }
    assert_eq!(desk.text("SELECT text FROM comment").await, "It rings.");
    assert_eq!(desk.text("SELECT state FROM incident").await, "in_process");

    // By the mail that it answers, without a signed address.
    let site = desk.text("SELECT replace(value, '-', '') FROM meta WHERE name = 'site'").await;
    let store = desk.site.store().await;
    let sent = "INSERT INTO mail (id, incident, reason, notice, party, role, name, address, language, state, made_at, next_attempt) \
                VALUES (70, 1, 'x', 'comment', 1, 'customer', 'Anna', 'anna@north.example', 'fr', 'sent', 0, 0)";
    sqlx::query(sent).execute(&store).await.unwrap();
    store.close().await;
    let mark = desk.links.mark(70);
    let header = format!("In-Reply-To: <70.{mark}.{site}@desk.example>\r\n");
    let answer = from("anna@north.example", "3", &header).replace(&reply, "support@desk.example");
    desk.deliver("thread", &answer);
    desk.until_done("thread").await;
    assert_eq!(desk.site.count("SELECT count(*) FROM comment").await, 2);
    assert_eq!(desk.site.count("SELECT count(*) FROM mail WHERE notice = 'form'").await, 0, "nobody got a form");

    let bounce = |name: &str| {
        format!(
            "From: MAILER-DAEMON@x.example\r\nReturn-Path: <>\r\nContent-Type: multipart/report; boundary=r\r\n\r\n--r\r\n\
         Content-Type: message/delivery-status\r\n\r\nAction: failed\r\n--r\r\nContent-Type: text/rfc822-headers\r\n\r\n\
         Message-ID: <{name}.{site}@desk.example>\r\n\r\n--r--\r\n"
        )
    };
    let refused = "SELECT count(*) FROM mail WHERE id = 70 AND state = 'refused'";
    for (file, name, counted) in [("made-up", "70".to_owned(), 0), ("bounce", format!("70.{mark}"), 1)] {
        desk.deliver(file, &bounce(&name));
        desk.until_done(file).await;
        assert_eq!(desk.site.count(refused).await, counted, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r_04_whoever_got_one_mail_speaks_for_nobody_else() {
    let desk = Desk::start().await;
    desk.case(1, "state = 'input_requested'").await;
    let site = desk.text("SELECT replace(value, '-', '') FROM meta WHERE name = 'site'").await;
    let bert = "INSERT INTO party (id, incident, role, name, address, language, greeted) \
                VALUES (9, 1, 'integrator', 'Bert', 'bert@north.example', 'en', 1)";
    desk.site.execute(bert).await;
    let sent = "INSERT INTO mail (id, incident, reason, notice, party, role, name, address, language, state, made_at, next_attempt) \
                VALUES (70, 1, 'x', 'comment', 9, 'integrator', 'Bert', 'bert@north.example', 'en', 'sent', 0, 0)";
    desk.site.execute(sent).await;
    let signed = desk.links.reply_address("support@desk.example", &desk.pass(Purpose::Reply, 1)).unwrap();
    let name = |number: i64| format!("{number}.{}.{site}@desk.example", desk.links.mark(number));
    let answer = |from: &str, to: &str, answers: &str, id: &str| {
        format!("From: {from}\r\nTo: {to}\r\nMessage-ID: <{id}@x>\r\nIn-Reply-To: <{answers}>\r\n\r\nIt rings.\r\n")
    };
    // Bert has the mail 70, and would speak as Anna; or has seen the address that Anna answers to.
    let forged = [
        ("as-anna", answer("anna@north.example", "support@desk.example", &name(70), "1")),
        ("to-anna", answer("bert@north.example", &signed, "none@desk.example", "2")),
    ];
    for (file, mail) in forged {
        desk.deliver(file, &mail);
        let held = desk.site.path(&format!("mail/quarantine/{file}.reason"));
        eventually("the mail to be held", || async { held.exists().then_some(()) }).await;
    }
    // A number that nobody signed answers nothing: it is a new mail.
    let mark = desk.links.mark(70);
    for (file, name) in
        [("bare", format!("70.{site}@desk.example")), ("wrong", format!("71.{mark}.{site}@desk.example"))]
    {
        desk.deliver(file, &answer("anna@north.example", "support@desk.example", &name, file));
        desk.until_done(file).await;
    }
    assert_eq!(desk.site.count("SELECT count(*) FROM comment").await, 0);
    assert_eq!(desk.site.count("SELECT count(*) FROM mail WHERE notice = 'form'").await, 2);
    desk.deliver("own", &answer("bert@north.example", "support@desk.example", &name(70), "3"));
    desk.until_done("own").await;
    assert_eq!(desk.text("SELECT author FROM comment").await, "Bert");
}

#[tokio::test(flavor = "multi_thread")]
async fn r_07_an_answer_by_mail_stops_a_closing_and_one_to_a_closed_case_gets_a_form() {
    let desk = Desk::start().await;
    desk.case(1, "phase = 'review', solution = 'Restarted.'").await;
    desk.case(2, "phase = 'close', solution = 'Restarted.'").await;
    let answer = |incident: i64, id: &str, text: &str| {
        let to = desk.links.reply_address("support@desk.example", &desk.pass(Purpose::Reply, incident)).unwrap();
        format!("From: anna@north.example\r\nTo: {to}\r\nMessage-ID: <{id}@x>\r\n\r\n{text}\r\n")
    };
    desk.deliver("resolved", &answer(1, "1", "It is NOT solved."));
    desk.until_done("resolved").await;
    let answered = "SELECT count(*) FROM milestone WHERE incident = 1 AND fact ->> 'notice' = 'closing-answered'";
    assert_eq!(desk.site.count(answered).await, 1, "which goes to the other site as well");
    desk.until("it in the status", "SELECT count(*) FROM left_to_people WHERE incident = 1", 1).await;
    // Another mail with the same ID is another mail; a copy is not.
    for (file, text) in [("same-id", "It hums."), ("copy", "It hums.")] {
        desk.deliver(file, &answer(1, "1", text));
        desk.until_done(file).await;
    }
    assert_eq!(desk.site.count("SELECT count(*) FROM comment WHERE incident = 1").await, 2);

    desk.deliver("closed", &answer(2, "2", "It is back."));
    desk.until_done("closed").await;
    assert_eq!(desk.site.count("SELECT count(*) FROM comment WHERE incident = 2").await, 0);
    assert_eq!(desk.site.count("SELECT count(*) FROM mail WHERE notice = 'form'").await, 1, "where it is read");
}

#[tokio::test(flavor = "multi_thread")]
async fn r_09_a_bounce_without_a_report_is_known_by_the_copy_in_it_or_by_where_it_went() {
    let desk = Desk::start().await;
    desk.case(1, "state = 'input_requested'").await;
    let site = desk.text("SELECT replace(value, '-', '') FROM meta WHERE name = 'site'").await;
    // In one statement: the daemon's own mail, made in between, would take the second number.
    desk.site
        .execute(
            "INSERT INTO mail (id, incident, reason, notice, party, role, name, address, language, state, made_at, next_attempt) \
             SELECT value, 1, value, 'comment', 1, 'customer', 'Anna', 'anna@north.example', 'fr', 'sent', 0, 0 \
             FROM json_each('[70, 71]')",
        )
        .await;
    let pass = Pass { serial: 71, ..desk.pass(Purpose::Reply, 1) };
    let signed = desk.links.reply_address("support@desk.example", &pass).unwrap();
    let bounce = |to: &str, more: &str| {
        format!(
            "From: MAILER-DAEMON@x.example\r\nTo: {to}\r\nSubject: failure notice\r\n\r\nNo mailbox here.\r\n{more}"
        )
    };
    let copy = format!("--- Below is a copy.\r\n\r\nMessage-ID: <70.{}.{site}@desk.example>\r\n", desk.links.mark(70));
    desk.deliver("copy", &bounce("support@desk.example", &copy));
    desk.deliver("signed", &bounce(&signed, ""));
    desk.until("both", "SELECT count(*) FROM mail WHERE id IN (70, 71) AND state = 'refused'", 2).await;
    assert_eq!(desk.site.count("SELECT count(*) FROM comment").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn r_02_one_sender_gets_so_many_links_and_programs_get_none() {
    let desk = Desk::start().await;
    for number in 0..6 {
        desk.deliver(&format!("{number}"), &mail(&number.to_string()));
    }
    desk.deliver("program", &mail("p").replace("Subject", "Precedence: bulk\r\nSubject"));
    let crowd = "a@b.example, ".repeat(1000);
    desk.deliver(
        "crowd",
        &mail("c").replace("anna@", "bert@").replace("Subject", &format!("To: {crowd}x@y.example\r\nSubject")),
    );
    for name in ["0", "1", "2", "3", "4", "5", "program", "crowd"] {
        desk.until_done(name).await;
    }
    assert_eq!(desk.site.count("SELECT count(*) FROM mail WHERE address = 'anna@north.example'").await, 3);
    assert_eq!(desk.site.count("SELECT count(*) FROM mail").await, 4, "and one for the sender to a thousand others");
    let log = desk.site.log();
    eventually("the log", || async { desk.site.log().contains("mail_unanswered").then_some(()) }).await;
    assert!(!log.contains("north.example"), "no addresses in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn r_02_who_writes_in_the_names_of_many_makes_this_site_write_to_few_and_a_person_is_told() {
    let mut desk = Desk::new("");
    desk.site.edit_config("links_per_hour = 3", "links_per_hour = 3\nanswers_per_hour = 4");
    desk.run().await;
    let from =
        |sender: &str, path: &str| mail(sender).replace("anna@", &format!("{sender}@")).replacen("From", path, 1);
    desk.deliver("forged", &from("forged", "Return-Path: <x@evil.example>\r\nFrom"));
    desk.until_done("forged").await;
    assert_eq!(desk.site.count("SELECT count(*) FROM mail").await, 0);
    for number in 0..10 {
        desk.deliver(&format!("{number}"), &from(&format!("n{number}"), "Return-Path: <y@north.example>\r\nFrom"));
    }
    for number in 0..10 {
        desk.until_done(&number.to_string()).await;
    }
    assert_eq!(desk.site.count("SELECT count(*) FROM mail").await, 4, "of ten senders");
    let lines = desk.site.log().lines().filter(|line| line.contains("mail_unanswered")).count();
    assert_eq!(lines, 2, "a line a minute for each reason");
    let status = desk.site.command(&["status"]).ok();
    assert!(status.contains("7 mails that came in got no answer"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r_02_a_person_is_told_of_mails_that_a_mail_program_took_out_of_the_inbox() {
    let desk = Desk::start().await;
    for folder in ["new", "tmp", "cur"] {
        std::fs::create_dir(desk.site.path("mail").join(folder)).unwrap();
    }
    std::fs::write(desk.site.path("mail/cur/1:2,S"), mail("1")).unwrap();
    eventually("the line", || async { desk.site.log().contains("mail_overlooked").then_some(()) }).await;
    let status = desk.site.command(&["status"]).ok();
    assert!(status.contains("1 mails in ") && status.contains("move to new/ what is to be taken"), "{status}");
    std::fs::rename(desk.site.path("mail/cur/1:2,S"), desk.site.path("mail/new/1")).unwrap();
    desk.until_done("1").await;
    eventually("nothing to be told", || async {
        (!desk.site.command(&["status"]).ok().contains("mails in ")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r_02_a_mail_and_a_form_are_taken_once_whenever_the_site_dies_over_them() {
    let mut desk = Desk::new("");
    desk.site.crash_at("MailTaken");
    desk.deliver("1", &mail("1"));
    desk.site.spawn();
    desk.site.exited().await;
    desk.site.crash_at("FormTaken");
    desk.run().await;
    desk.until_done("1").await;
    assert_eq!(desk.site.count("SELECT count(*) FROM mail").await, 1);
    let link = desk.form_link().await;
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(FILLED).finish();
    let request = desk.client.post(&link).header("content-type", "application/x-www-form-urlencoded").body(body);
    assert!(request.send().await.is_err(), "it dies before it answers");
    desk.site.exited().await;
    desk.run().await;
    assert_eq!(desk.post(&link, &FILLED).await.0, 303, "pressed again");
    assert_eq!(desk.site.count("SELECT count(*) FROM incident").await, 1);
    assert_eq!(desk.site.count("SELECT count(*) FROM mail WHERE notice = 'received'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_say_nothing_to_others_and_one_address_asks_so_much() {
    let desk = Desk::start().await;
    let answer = desk.client.get(format!("{}/p/x", desk.address)).header("accept-language", "fr").send().await.unwrap();
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let policy = header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(header("referrer-policy").as_deref(), Some("no-referrer"));
    assert_eq!(header("cache-control").as_deref(), Some("no-store"));
    assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
    assert_eq!(answer.status(), 404);
    assert!(answer.text().await.unwrap().contains("Ce lien ne mène nulle part"));
    let style = desk.client.get(format!("{}/p/style.css", desk.address)).send().await.unwrap();
    assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");

    let mut busy = Desk::new("");
    busy.site.edit_config("requests_per_minute = 10000", "requests_per_minute = 5");
    busy.run().await;
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(busy.get(&format!("{}/p/x", busy.address)).await.0);
    }
    assert!(answers.starts_with(&[404]) && answers.ends_with(&[429]), "{answers:?}");
}
