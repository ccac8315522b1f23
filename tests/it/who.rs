//! Who did it: whatever changes something leaves a line with the user who wanted it, and nobody passes for somebody else
//! (A-54).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::pair::{Plan, SUBMIT_ALL};
use crate::support::{Pair, Site, casebridge, eventually, operator};

/// The commands that change nothing.
const READING: [&str; 27] = [
    "run",
    "check-config",
    "demo",
    "incidents",
    "case list",
    "case show",
    "case activities",
    "show",
    "history",
    "history export",
    "history verify",
    "history disclosed",
    "why",
    "status",
    "outbox",
    "parked",
    "reaction list",
    "reaction export",
    "reaction runs",
    "party list",
    "contact list",
    "contact show",
    "mails",
    "test-peer",
    "key show",
    "token list",
    "job list",
];

/// Nobody answers there: what is escalated is soon parked.
const PARTNER: &str = r#"
[upstream]
alias = "vendor"
url = "http://127.0.0.1:1"
user = "partner"
password_file = "password"
[mail]
host = "127.0.0.1"
port = 1
tls = "none"
from = "support@partner.example"
[[reaction_target.mail]]
name = "desk"
to = ["desk@partner.example"]
"#;

/// Every command that there is, by the program's own help.
fn commands() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![Vec::<String>::new()];
    while let Some(path) = open.pop() {
        let words: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let help = casebridge(&words).ok();
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let below: Vec<&str> =
            names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
        let name = path.join(" ");
        if below.is_empty() || READING.contains(&name.as_str()) {
            found.insert(name);
        }
        open.extend(below.into_iter().map(|one| path.iter().cloned().chain([one.to_owned()]).collect()));
    }
    found
}

/// The lines that tell of the one who gives the commands here.
async fn told(site: &Site) -> i64 {
    let store = site.store().await;
    let lines = sqlx::query_scalar("SELECT count(*) FROM history WHERE who = ? AND node <> '' AND at <> ''");
    let count = lines.bind(operator("anna")).fetch_one(&store).await.unwrap();
    store.close().await;
    count
}

/// Whose commands were given.
struct Given {
    commands: BTreeSet<String>,
    given: BTreeSet<String>,
}

impl Given {
    fn note(&mut self, arguments: &[&str]) {
        let begins = |command: &&String| arguments.join(" ").starts_with(command.as_str());
        let command = self.commands.iter().filter(begins).max_by_key(|command| command.len());
        self.given.insert(command.unwrap_or_else(|| panic!("{arguments:?}")).clone());
    }

    /// Gives a command, which leaves a line. Returns what it prints.
    async fn at(&mut self, site: &Site, arguments: &[&str]) -> String {
        let before = told(site).await;
        let printed = site.command(arguments).ok();
        assert!(told(site).await > before, "{arguments:?} leaves no line");
        self.note(arguments);
        printed
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_54_every_command_of_an_operator_leaves_a_line_with_user_time_and_machine() {
    let mut given = Given { commands: commands(), given: BTreeSet::new() };
    let mut pair = Pair::new(Plan { end_user: "", partner: PARTNER }).await;
    pair.partner.edit_config("[retry]", "[retry]\ngive_up_after = \"1s\"");
    pair.partner.start().await;
    pair.end_user.start().await;
    exchanged(&mut given, &pair).await;
    on_a_case(&mut given, &pair.partner).await;
    about_the_site(&mut given, &pair).await;
    while_it_is_stopped(&mut given, &mut pair.partner).await;
    let reading: BTreeSet<String> = READING.map(str::to_owned).into();
    let missing: Vec<&String> = given.commands.iter().filter(|one| !reading.contains(*one)).collect();
    let missing: Vec<&&String> = missing.iter().filter(|one| !given.given.contains(**one)).collect();
    assert!(missing.is_empty(), "nobody has looked whether these leave a line: {missing:?}");
}

/// What people do with what goes from site to site.
async fn exchanged(given: &mut Given, pair: &Pair) {
    let (north, partner) = (&pair.end_user, &pair.partner);
    given.at(north, &["deposit", "tests/data/bundles/event.xml"]).await;
    for synopsis in ["Fan", "Disk", "Door"] {
        given.at(north, &["open", "--synopsis", synopsis]).await;
    }
    given.at(north, &["submit", "1", "--save-draft"]).await;
    for incident in 1..=3 {
        given.at(north, &["submit", &incident.to_string()]).await;
        eventually("it to be there", || async {
            (partner.count("SELECT count(*) FROM incident").await == incident).then_some(())
        })
        .await;
    }
    given.at(partner, &["accept", "1"]).await;
    north.step(1, "partner", "open").await;
    given.at(partner, &["update", "1", "--comment", "On its way"]).await;
    given.at(partner, &["override", "1", "--status", "Taken"]).await;
    given.at(partner, &["comment", "1", "On it"]).await;
    given.at(partner, &["assign", "1", "north"]).await;
    given.at(partner, &["take", "1"]).await;
    given.at(partner, &["pause", "1"]).await;
    given.at(partner, &["resume", "1"]).await;
    given.at(partner, &["resolve", "1", "--solution", "Replaced"]).await;
    given.at(partner, &["reopen", "1"]).await;
    given.at(partner, &["reject", "2"]).await;
    given.at(partner, &["escalate", "3"]).await;
    eventually("it to be parked", || async { (partner.get("/v1/parked").await.body["total"] == 1).then_some(()) })
        .await;
    given.at(partner, &["retry", "3"]).await;
    given.at(north, &["cancel", "3"]).await;
    given.at(north, &["link", "4", "--transaction", "1"]).await;
    given.at(north, &["resync", "1"]).await;
    eventually("both to be at rest", || async {
        let waits = [north, partner]
            .map(|site| async { site.get("/v1/incidents/1").await.body["exchanges"][0]["pending"] != json!([]) });
        let [here, there] = waits;
        let differs = north.act("/v1/reconcile", json!({"incident": 1})).await;
        (!here.await && !there.await && differs["differences"] == json!([])).then_some(())
    })
    .await;
    north.execute("UPDATE incident SET bridge = bridge + 1, solution = 'Nobody saw this' WHERE id = 1").await;
    given.at(north, &["reconcile", "1", "--apply"]).await;
    given.at(partner, &["close", "1"]).await;
}

/// What people do with a case of their own.
async fn on_a_case(given: &mut Given, site: &Site) {
    let created = given.at(site, &["case", "create", "--details", "It is loud", "--json"]).await;
    let number = serde_json::from_str::<Value>(&created).unwrap()["number"].to_string();
    let file = site.path("manual.txt");
    std::fs::write(&file, "Turn it off, and on again.").unwrap();
    for arguments in [
        &["edit", "--completed", "40"][..],
        &["comment", "It still beeps"],
        &["upload", file.to_str().unwrap()],
        &["documents", "--remove", "manual.txt"],
        &["tag", "loud"],
        &["claim"],
        &["unclaim"],
        &["assign", "--user", "bert"],
        &["watch"],
        &["milestone", "Technician on site"],
        &["relate", "1"],
        &["owner", "olga"],
        &["flag", "dora"],
        &["process"],
        &["open"],
        &["request-input"],
        &["hold"],
        &["resolve"],
        &["reopen"],
        &["complete"],
        &["reopen"],
        &["cancel"],
        &["delete"],
    ] {
        let words: Vec<&str> =
            ["case", arguments[0], &number].into_iter().chain(arguments[1..].iter().copied()).collect();
        given.at(site, &words).await;
    }
    given.at(site, &["party", "add", "1", "anna@north.example"]).await;
    given.at(site, &["party", "remove", "1", "anna@north.example"]).await;
    site.execute(
        "INSERT INTO mail (reason, notice, role, name, address, language, state, made_at, next_attempt) \
         VALUES ('form 1', 'form', 'customer', '', 'zoe@north.example', 'en', 'refused', 0, 0)",
    )
    .await;
    given.at(site, &["mails", "retry", "--all"]).await;
}

async fn about_the_site(given: &mut Given, pair: &Pair) {
    let (north, partner) = (&pair.end_user, &pair.partner);
    let key = partner.command(&["key", "show", "--json"]).json()["keys"][0]["key"].as_str().unwrap().to_owned();
    given.at(north, &["key", "pin", "--peer", "partner", "--key", &key]).await;
    given.at(north, &["key", "rotate"]).await;
    given.at(partner, &["job", "run", "sla_check"]).await;
    let reaction = |name: &str| json!({"name": name, "trigger": "incident_detected", "actions": [{"target": "desk"}]});
    let written = |name: &str, value: Value| {
        let path = partner.path(name);
        std::fs::write(&path, value.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (one, other) = (written("one.json", reaction("one")), written("other.json", reaction("other")));
    let many = written("many.json", json!([reaction("third")]));
    given.at(partner, &["reaction", "add", &one]).await;
    given.at(partner, &["reaction", "copy", "1", "two"]).await;
    given.at(partner, &["reaction", "edit", "1", &other]).await;
    for words in [&["enable", "2"][..], &["disable", "2"], &["move", "2", "1"], &["delete", "2"], &["import", &many]] {
        given.at(partner, &[&["reaction"][..], words].concat()).await;
    }
    given.at(partner, &["reaction", "retry", "--all"]).await;
}

/// What the history tells of tokens: who, and what.
async fn tokens(site: &Site) -> Vec<(String, String)> {
    let store = site.store().await;
    let lines = sqlx::query_as("SELECT who, detail FROM history WHERE action = 'tokens_changed' ORDER BY id");
    let lines = lines.fetch_all(&store).await.unwrap();
    store.close().await;
    lines
}

/// The next start tells of it.
async fn while_it_is_stopped(given: &mut Given, site: &mut Site) {
    site.stop().await;
    let made = site.command(&["token", "new", "--client", "north", "--json"]).json()["id"].as_str().unwrap().to_owned();
    site.command(&["token", "revoke", &made]).ok();
    let kept = site.command(&["token", "new", "--owner", "eve", "--scope", "CASE_VIEW", "--json"]).json();
    let kept = kept["id"].as_str().unwrap();
    given.at(site, &["state", "rebuild"]).await;
    assert!(tokens(site).await.is_empty());
    site.start().await;
    let lines = eventually("the tokens", || async { Some(tokens(site).await).filter(|lines| !lines.is_empty()) }).await;
    let expected = [
        format!("token {made} of client north made at "),
        format!("token {made} of client north revoked at "),
        format!("token {kept} of operator eve made at "),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for ((who, detail), expected) in lines.iter().zip(expected) {
        assert!(*who == operator("anna") && detail.starts_with(&expected), "{who}: {detail}");
    }
    // Somebody edits the file, and does not say who it is.
    site.stop().await;
    let path = site.path("tokens.json");
    std::fs::write(&path, "{\"version\": 1, \"tokens\": []}").unwrap();
    site.start().await;
    let lines =
        eventually("the one that is gone", || async { Some(tokens(site).await).filter(|lines| lines.len() == 4) })
            .await;
    let told = format!("token {kept} found revoked; its file does not say by whom");
    assert_eq!(lines[3], ("casebridge".to_owned(), told));
    given.note(&["token", "new"]);
    given.note(&["token", "revoke"]);
    assert!(site.command(&["history", "verify"]).ok().contains("are as they were written"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_at_the_socket_passes_for_the_daemon_or_for_another_user() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: "" }).await;
    pair.end_user.insert(0, 1).await;
    let site = &pair.partner;
    eventually("it to be there", || async { (site.count("SELECT count(*) FROM incident").await == 1).then_some(()) })
        .await;
    let comment = |name: &str| json!({"text": "Mine", "operator": name});
    for name in ["casebridge", "ann (uid 0)"] {
        site.act("/v1/incidents/1/comments", comment(name)).await;
    }
    let resolve = json!({"solution": "Replaced", "operator": "casebridge"});
    site.act("/v1/incidents/1/accept", json!({"operator": "bert"})).await;
    site.act("/v1/incidents/1/resolve", resolve).await;
    let shown = site.get("/v1/incidents/1").await.body;
    let lines = shown["history"].as_array().unwrap().iter();
    let who: Vec<&str> =
        lines.filter(|line| line["action"] == "commented").map(|line| line["who"].as_str().unwrap()).collect();
    assert_eq!(who, ["casebridge", "ann [uid 0)"].map(operator));
    let case = site.get("/v1/cases/1").await.body;
    assert!(case.to_string().contains(&format!("\"resolvedBy\":\"{}\"", operator("casebridge"))), "{case}");
}
