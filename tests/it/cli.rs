//! The commands as a person uses them: what they print, how they end, and what they say when they cannot.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::pair::Plan;
use crate::support::{Fault, Pair, Site, casebridge, eventually, finish, operator, program};

/// The commands that ask the daemon, each with arguments that make it do so.
const ASKING: &[&[&str]] = &[
    &["deposit", "tests/data/bundles/event.xml"],
    &["submit", "1"],
    &["submit", "1", "--save-draft"],
    &["escalate", "1"],
    &["override", "1", "--clear"],
    &["incidents"],
    &["case", "list"],
    &["case", "claim", "1"],
    &["show", "1"],
    &["status"],
    &["outbox"],
    &["parked"],
    &["retry", "--all"],
    &["accept", "1"],
    &["update", "1", "--comment", "news"],
    &["resolve", "1"],
    &["close", "1"],
    &["reject", "1"],
    &["contact", "list"],
    &["contact", "show", "rita@partner.example"],
    &["reaction", "list"],
    &["reaction", "runs"],
    &["reaction", "retry", "--all"],
];

#[test]
fn every_command_explains_itself() {
    let help = casebridge(&["--help"]).ok();
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let expected = [
        "run",
        "check-config",
        "demo",
        "deposit",
        "submit",
        "escalate",
        "link",
        "open",
        "incidents",
        "case",
        "show",
        "history",
        "why",
        "status",
        "outbox",
        "parked",
        "retry",
        "reconcile",
        "resync",
        "accept",
        "override",
        "update",
        "resolve",
        "close",
        "reopen",
        "cancel",
        "reject",
        "assign",
        "take",
        "pause",
        "resume",
        "comment",
        "reaction",
        "party",
        "contact",
        "mails",
        "test-peer",
        "key",
        "token",
        "job",
        "state",
        "help",
    ];
    assert_eq!(commands, expected);
    for code in 0..9 {
        assert!(help.contains(&format!("\n  {code}  ")), "exit code {code}: {help}");
    }
    for command in &commands[..commands.len() - 1] {
        let text = casebridge(&[command, "--help"]).ok();
        assert!(text.contains(&format!("Usage: casebridge {command}")), "{text}");
        assert!(text.contains("--config <FILE>"), "{text}");
        let about = text.lines().next().unwrap_or_default();
        assert!(help.contains(about.split(':').next().unwrap()), "\"{about}\" of {command} stands in the list as well");
    }
    assert!(casebridge(&["state", "rebuild", "--help"]).ok().contains("Set the state aside"));
    assert!(casebridge(&["--version"]).ok().contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_wrong_command_line_is_explained_on_standard_error() {
    casebridge(&[]).refused(2, &["Usage:"]);
    casebridge(&["incident"]).refused(2, &["unrecognized subcommand 'incident'", "incidents"]);
    casebridge(&["show", "--jsn", "1"]).refused(2, &["--json"]);
    let done = casebridge(&["submit", "one"]).refused(2, &["'one'", "<ID>"]);
    assert_eq!(done.out, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_config_tells_what_a_sound_file_makes_of_the_site() {
    let pair = Pair::new(Plan::default()).await;
    let text = pair.end_user.command(&["check-config"]).ok();
    for part in ["is sound", "north (end user)", "partner at http://127.0.0.1:", "as north", "test-peer"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = pair.partner.command(&["check-config"]).ok();
    for part in ["partner (partner)", "without TLS", "1: north", "mode 0660"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("correct horse"), "the password is nobody's business: {text}");
    let value = pair.end_user.command(&["check-config", "--json"]).json();
    assert_eq!((&value["ok"], &value["role"], &value["alias"]), (&json!(true), &json!("end user"), &json!("north")));
    // The example that ships needs a password and an inbox beside it, and nothing else.
    let dir = tempfile::tempdir().unwrap();
    let inbox = dir.path().join("inbox");
    std::fs::create_dir(&inbox).unwrap();
    crate::support::site::write_secret(&dir.path().join("upstream.password"), "correct horse");
    let example = std::fs::read_to_string("config.example.toml").unwrap();
    let example = example.replace("dir = \"/var/lib/casebridge/inbox\"", "dir = \"inbox\"");
    std::fs::write(dir.path().join("config.toml"), example).unwrap();
    let done = casebridge(&["check-config", "--config", dir.path().join("config.toml").to_str().unwrap()]);
    assert!(done.ok().contains("north (end user)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_config_names_every_fault_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    let check = |text: &str, more: &[&str]| {
        std::fs::write(&file, text).unwrap();
        finish(program(["check-config", "--config", file.to_str().unwrap()].iter().chain(more)))
    };
    let bad = "[site]\nalias = \"north site\"\nstop_within = \"forever\"\n\n[[inbox]]\ndir = \"missing\"\n  grup = 1\n";
    let at = |place: &str| format!("{}:{place}", file.display());
    let done = check(bad, &[]);
    let places = [at("1:1"), at("2:9"), at("3:15"), at("6:7"), at("7:3")];
    let mut said: Vec<&str> = places.iter().map(String::as_str).collect();
    said.extend(["site.alias", "site.stop_within", "did you mean \"group\"?", "mkdir -p", "5 problems"]);
    let done = done.refused(3, &said);
    assert_eq!(done.out, "");
    let positions: Vec<usize> = places.iter().map(|place| done.err.find(place.as_str()).unwrap()).collect();
    assert!(positions.is_sorted(), "in the order of their lines: {}", done.err);

    let done = check(bad, &["--json"]);
    let value: Value = serde_json::from_str(&done.out).unwrap();
    let problems = value["problems"].as_array().unwrap();
    let found: Vec<_> = problems.iter().map(|one| (one["line"].clone(), one["column"].clone())).collect();
    assert_eq!(found, [(1, 1), (2, 9), (3, 15), (6, 7), (7, 3)].map(|(line, column)| (json!(line), json!(column))));
    done.refused(3, &["it has 5 problems"]);

    check("[site\nalias = \n", &[]).refused(3, &[&at("1:6"), "TOML"]);
    check("", &[]).refused(3, &["[site] is missing"]);
    std::fs::remove_file(&file).unwrap();
    casebridge(&["check-config", "--config", file.to_str().unwrap()]).refused(3, &[file.to_str().unwrap()]);
    // What is wrong with a directory is said once, in however many inboxes it stands.
    let twice = "[site]\nalias = \"north\"\n[[inbox]]\ndir = \"missing\"\n[[inbox]]\ndir = \"missing\"\n";
    let done = check(twice, &[]).refused(3, &["is already used by inbox[1].dir", "3 problems"]);
    assert_eq!(done.err.matches("it does not exist").count(), 1, "{}", done.err);
    assert!(!done.err.contains("one in the other"), "{}", done.err);
    // The daemon refuses the same file with the same words.
    std::fs::write(&file, bad).unwrap();
    let run = casebridge(&["run", "--config", file.to_str().unwrap()]).refused(3, &["5 problems"]);
    assert_eq!(run.err, check(bad, &[]).err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_does_not_run_is_named_with_the_remedy() {
    let mut pair = Pair::new(Plan::default()).await;
    let nobody = |site: &Site, what: &str| {
        for arguments in ASKING {
            let done = site.command(arguments).refused(4, &[what, "casebridge run --config"]);
            assert_eq!((done.out.as_str(), done.err.lines().count()), ("", 1), "{arguments:?}: {}", done.err);
            assert!(done.err.starts_with("error: "), "{}", done.err);
        }
    };
    nobody(&pair.end_user, "there is no socket");
    pair.end_user.start().await;
    pair.end_user.kill();
    nobody(&pair.end_user, "nobody listens at the socket");
    let missing = pair.end_user.path("missing.toml");
    casebridge(&["status", "--config", missing.to_str().unwrap()]).refused(3, &["there is no configuration"]);
    let socket = pair.end_user.path("elsewhere");
    casebridge(&["status", "--socket", socket.to_str().unwrap()]).refused(4, &[socket.to_str().unwrap()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_say_what_became_of_them() {
    let mut pair = Pair::new(Plan::default()).await;
    pair.end_user.start().await;
    let site = &pair.end_user;
    let first = site.command(&["deposit", "tests/data/bundles/event.xml"]).ok();
    assert_eq!(
        first.trim_end(),
        "tests/data/bundles/event.xml became incident 1 (event edge1-JN11A2B3C-20261121-120000-1)"
    );
    let by = "SELECT count(*) FROM history WHERE action = 'deposited' AND who LIKE 'operator _%'";
    assert_eq!(site.count(by).await, 1, "H-05: who handed it in");
    let second = site.command(&["deposit", "tests/data/bundles/event.xml"]).ok();
    assert!(second.contains("was there before, as incident 1"), "{second}");
    let value = site.command(&["deposit", "--json", "tests/data/incidents/whole.json"]).json();
    assert_eq!((&value[0]["new"], &value[0]["host_event_id"]), (&json!(true), &json!("edge5-JN55-20261121-160000-1")));

    let expected = std::fs::read_to_string("tests/data/bundles/bad/missing_synopsis.xml.expected").unwrap();
    let reason = expected.lines().next().unwrap();
    site.command(&["deposit", "tests/data/bundles/bad/missing_synopsis.xml"]).refused(6, &["is not taken", reason]);
    let said = ["has no place in a bundle. Remove it, or correct bundle.paths"];
    site.command(&["deposit", "tests/data/bundles/bad/unknown_section.xml"]).refused(6, &said);
    site.command(&["deposit", "tests/data/bundles"]).refused(1, &["it is not a file"]);
    site.command(&["deposit", "no-such-file.xml"]).refused(1, &["no-such-file.xml", "cannot be read"]);
    // One that is refused does not keep the others.
    let files = ["deposit", "tests/data/bundles/bad/empty.xml", "tests/data/bundles/off_box.xml"];
    let done = site.command(&files).refused(6, &["empty.xml is not taken", "1 of 2 files were not taken"]);
    assert!(done.out.contains("off_box.xml became incident "), "{}", done.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn incidents_are_filtered_sorted_and_paged() {
    let mut pair = Pair::new(Plan::default()).await;
    pair.end_user.start().await;
    let site = &pair.end_user;
    assert_eq!(site.command(&["incidents"]).ok().trim_end(), "There is no such incident.");
    site.insert(0, 23).await;
    for file in
        ["tests/data/bundles/on_demand.xml", "tests/data/bundles/event_rma.xml", "tests/data/incidents/whole.json"]
    {
        site.command(&["deposit", file]).ok();
    }
    let ids = |arguments: &[&str]| -> Vec<i64> {
        let arguments: Vec<&str> = ["incidents", "--json"].iter().chain(arguments).copied().collect();
        let value = site.command(&arguments).json();
        value["incidents"].as_array().unwrap().iter().map(|row| row["incident"].as_i64().unwrap()).collect()
    };
    let all: Vec<i64> = (1..=26).collect();
    assert_eq!(ids(&[]), all);
    assert_eq!(ids(&["--sort", "-id"]), all.iter().rev().copied().collect::<Vec<_>>());
    assert_eq!(ids(&["--kind", "on_demand"]), [24]);
    assert_eq!(ids(&["--kind", "event_rma"]), [25]);
    assert_eq!(ids(&["--priority", "1 - Critical"]), [25]);
    assert_eq!(ids(&["--device", "edge5"]), [26]);
    assert_eq!(ids(&["--group", "north"]), [26]);
    assert_eq!(ids(&["--tracking-number", "N-4711"]), [26]);
    assert_eq!(ids(&["--device", "edge1", "--limit", "1000"]), (1..=23).collect::<Vec<_>>());
    assert_eq!(ids(&["--device", "edge1", "--priority", "1 - Critical"]), [0; 0]);
    assert_eq!(ids(&["--case-id", "CASE-1"]), [0; 0]);
    assert_eq!(ids(&["--phase", "initial_support", "--limit", "3"]), [1, 2, 3]);
    assert_eq!(ids(&["--sort", "priority", "--limit", "2"])[0], 25, "the most urgent first");
    assert_eq!(ids(&["--all"]), all);
    let held = || async { (ids(&["--submission", "held"]) == all).then_some(()) };
    eventually("every one to wait for a person", held).await;

    for sort in
        ["id", "-id", "created_at", "-created_at", "priority", "-priority", "device", "-device", "group", "-group"]
    {
        let whole = ids(&["--sort", sort]);
        let (mut paged, mut after) = (Vec::new(), None::<String>);
        for _ in 0..10 {
            let mut arguments = vec!["incidents", "--json", "--limit", "7", "--sort", sort];
            arguments.extend(after.iter().flat_map(|mark| ["--after", mark.as_str()]));
            let value = site.command(&arguments).json();
            paged.extend(value["incidents"].as_array().unwrap().iter().map(|row| row["incident"].as_i64().unwrap()));
            after = value["next"].as_str().map(str::to_owned);
            if after.is_none() {
                break;
            }
        }
        assert_eq!(paged, whole, "page after page, sorted by {sort}");
        assert_eq!(paged.len(), 26, "each once, sorted by {sort}");
    }
    let text = site.command(&["incidents", "--limit", "2"]).ok();
    assert_eq!(text.lines().count(), 4, "a header, two rows, and the mark of the next page: {text}");
    assert!(text.contains("(there are more: --after "), "{text}");
    for part in ["SYNOPSIS", "Chassis alarm 0", "2 - High", "held"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    site.command(&["incidents", "--kind", "storm"]).refused(2, &["event_rma", "health_check"]);
    site.command(&["incidents", "--sort", "colour"]).refused(2, &["-created_at"]);
    site.command(&["incidents", "--limit", "0"]).refused(2, &["from 1 to 1000"]);
    site.command(&["incidents", "--after", "nonsense"]).refused(6, &["cannot be listed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_checked_before_anything_is_sent() {
    let pair = Pair::start(Plan::default()).await;
    let site = &pair.end_user;
    site.command(&["deposit", "tests/data/bundles/event.xml"]).ok();
    let submit = |more: &[&str]| {
        let arguments: Vec<&str> = ["submit", "1"].iter().chain(more).copied().collect();
        site.command(&arguments)
    };
    let priorities = ["\"1 - Critical\"", "\"2 - High\"", "\"3 - Medium\"", "\"4 - Low\""];
    for wrong in ["2 - high", "High", "2", ""] {
        submit(&["--priority", wrong]).refused(2, &priorities);
    }
    let methods = ["\"Email Full Text Update\"", "\"Email Secure Web Link\"", "\"Phone Call\""];
    submit(&["--follow-up", "phone call"]).refused(2, &methods);
    submit(&["--cc", "noc@north.example,anna"]).refused(2, &["'anna' in the CC list is not a mail address"]);
    let many: Vec<String> = (0..51).map(|number| format!("n{number}@north.example")).collect();
    submit(&["--cc", &many.join(",")]).refused(6, &["51 addresses", "at most 50"]);
    submit(&["--tracking-number", &"7".repeat(65)]).refused(6, &["tracking_number is 65 bytes long", "at most 64"]);
    submit(&["--site-id", "a\nb"]).refused(6, &["site_id holds the control character U+000A"]);
    submit(&["--comment", "\u{1b}[2J"]).refused(6, &["comment holds the control character U+001B"]);
    site.command(&["submit", "99"]).refused(6, &["there is no incident 99", "casebridge incidents"]);
    let shown = site.command(&["show", "1", "--json"]).json();
    assert_eq!((&shown["form"], &shown["exchanges"]), (&json!({}), &json!([])), "nothing of it was kept or sent");

    let form =
        ["--priority", "1 - Critical", "--follow-up", "Phone Call", "--tracking-number", "N-17", "--site-id", "BER1"];
    let more = ["--cc", "noc@north.example,lead@north.example", "--comment", "Please\nhurry", "--json"];
    let answer = submit(&[form.as_slice(), more.as_slice()].concat()).json();
    assert_eq!(answer, json!({"incident": 1, "message": "incident 1 is submitted"}));
    let theirs = eventually("the partner to have it", || async {
        let done = pair.partner.command(&["show", "1", "--json"]);
        (done.code == 0).then(|| done.json())
    })
    .await;
    let expected = json!({"priority": "1 - Critical", "follow_up": "Phone Call", "tracking_number": "N-17",
        "cc": ["noc@north.example", "lead@north.example"], "site_id": "BER1", "comment": "Please\nhurry"});
    assert_eq!(theirs["form"], expected, "every field arrived");
    // Once only.
    submit(&[]).refused(6, &["was already submitted", "casebridge show"]);
    submit(&["--save-draft"]).refused(6, &["was already submitted"]);
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident").await, 1);
    // At a site without an upstream there is nobody to submit to.
    pair.partner.command(&["submit", "1"]).refused(6, &["has no [upstream]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_kept_and_not_sent() {
    let mut pair = Pair::start(Plan::default()).await;
    pair.end_user.insert(0, 2).await;
    let form =
        ["--priority", "3 - Medium", "--tracking-number", "N-20", "--site-id", "HAM2", "--comment", "call first"];
    let draft = [["submit", "1", "--save-draft"].as_slice(), form.as_slice(), &["--cc", "noc@north.example"]].concat();
    let said = pair.end_user.command(&draft).ok();
    assert_eq!(said.trim_end(), "the form of incident 1 is saved");

    // Another one that is submitted afterwards passes it: nothing of the draft travels.
    pair.end_user.command(&["submit", "2"]).ok();
    eventually("the other one at the partner", || async {
        (pair.partner.count("SELECT count(*) FROM incident").await == 1).then_some(())
    })
    .await;
    let there = "SELECT count(*) FROM incident WHERE host_event_id LIKE '%-1'";
    assert_eq!(pair.partner.count(there).await, 1, "it is the other one");
    let shown = pair.end_user.command(&["show", "1", "--json"]).json();
    assert_eq!((&shown["submission"], &shown["exchanges"]), (&json!("draft"), &json!([])));

    // The values come again, also after a restart, and a second draft changes only what it names.
    assert_eq!(pair.end_user.stop().await, 0);
    pair.end_user.start().await;
    pair.end_user.command(&["submit", "1", "--save-draft", "--priority", "2 - High"]).ok();
    let text = pair.end_user.command(&["show", "1"]).ok();
    for part in ["2 - High", "N-20", "HAM2", "call first", "noc@north.example", "draft"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    pair.end_user.command(&["submit", "1", "--site-id", "BER1"]).ok();
    eventually("both at the partner", || async {
        (pair.partner.count("SELECT count(*) FROM incident").await == 2).then_some(())
    })
    .await;
    let theirs = pair.partner.command(&["show", "2", "--json"]).json();
    let expected = json!({"priority": "2 - High", "tracking_number": "N-20", "cc": ["noc@north.example"],
        "site_id": "BER1", "comment": "call first"});
    assert_eq!(theirs["form"], expected);

    // Found by the customer's own number at both sites; an unknown one is an empty list and no failure.
    for (site, incident) in [(&pair.end_user, 1), (&pair.partner, 2)] {
        let list = site.command(&["incidents", "--tracking-number", "N-20", "--json"]).json();
        assert_eq!(list["incidents"].as_array().unwrap().len(), 1);
        assert_eq!(list["incidents"][0]["incident"], incident);
        let none = site.command(&["incidents", "--tracking-number", "N-21", "--json"]).json();
        assert_eq!(none["incidents"], json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_works_a_case_with_commands_alone() {
    let pair = Pair::start(Plan::default()).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    north.command(&["deposit", "tests/data/bundles/event.xml"]).ok();
    north.command(&["submit", "1"]).ok();
    let at_partner = || async { (partner.command(&["show", "1"]).code == 0).then_some(()) };
    eventually("the incident at the partner", at_partner).await;

    partner.command(&["accept", "1", "--case-link", "javascript:alert(1)"]).refused(6, &["case link"]);
    partner.command(&["accept", "1", "--case-id", " "]).refused(6, &["case ID"]);
    north.command(&["accept", "1"]).refused(6, &["was not submitted by a client"]);

    // A case ID of their own ticket system, as it is written there.
    let link = "https://desk.example/?q=T+2026%2F17";
    let accept = ["accept", "1", "--case-id", "T 2026/17 – Störung (b)", "--case-link", link, "--status", "Angenommen"];
    let said = partner.command(&[accept.as_slice(), &["--comment", "On it"]].concat()).ok();
    assert_eq!(said.trim_end(), "incident 1 is accepted as case T 2026/17 – Störung (b)");
    partner.command(&["accept", "1"]).refused(6, &["was accepted already, as case T 2026/17"]);
    let ours = eventually("the case at the end user", || async {
        let row = north.command(&["show", "1", "--json"]).json();
        row["case_id"].is_string().then_some(row)
    })
    .await;
    let case = (ours["case_id"].as_str(), ours["case_link"].as_str(), ours["case_status"].as_str());
    assert_eq!(case, (Some("T 2026/17 – Störung (b)"), Some(link), Some("Angenommen")));
    let found = north.command(&["incidents", "--case-id", "T 2026/17 – Störung (b)", "--json"]).json();
    assert_eq!(found["incidents"][0]["incident"], 1);

    let news = ["update", "1", "--status", "In Progress", "--comment", "Part is on its way"];
    partner.command(&[news.as_slice(), &["--expected-resolution", "2026-11-25T12:00:00Z"]].concat()).ok();
    eventually("the news", || async {
        let text = north.command(&["show", "1"]).ok();
        let news = ["In Progress", "Part is on its way", "2026-11-25 12:00:00Z"];
        news.iter().all(|part| text.contains(part)).then_some(())
    })
    .await;
    partner.command(&["update", "1"]).refused(2, &["--comment"]);
    partner.command(&["update", "1", "--expected-resolution", "tomorrow"]).refused(2, &["tomorrow"]);

    partner.command(&["resolve", "1", "--solution", "Card reseated"]).ok();
    partner.command(&["close", "1", "--code", "fulfilled"]).ok();
    partner.command(&["close", "1"]).refused(6, &["is closed already"]);
    partner.command(&["close", "1", "--code", "done"]).refused(2, &["fulfilled", "withdrawn_by_user"]);
    let closed = eventually("the end", || async {
        let row = north.command(&["show", "1", "--json"]).json();
        (row["exchanges"][0]["step"] == "closed").then_some(row)
    })
    .await;
    assert_eq!((&closed["solution"], &closed["phase"]), (&json!("Card reseated"), &json!("close")));
    assert_eq!(closed["completion_code"], "fulfilled");
    let who: Vec<&str> = closed["history"].as_array().unwrap().iter().filter_map(|line| line["who"].as_str()).collect();
    assert!(who.contains(&operator("anna").as_str()) && who.contains(&"peer partner"), "{who:?}");

    for site in [north, partner] {
        // A client's next poll acknowledges, and what it acknowledged is told to the histories first.
        eventually("an empty outbox", || async {
            let told = site.command(&["outbox"]).ok();
            (told.trim_end() == "Every operation was acknowledged.").then_some(())
        })
        .await;
        assert_eq!(site.command(&["parked"]).ok().trim_end(), "Nothing needs a person.");
        let status = site.command(&["status"]).ok();
        assert!(status.contains("all is well") && status.contains("operations queued 0, parked 0"), "{status}");
        let status = site.command(&["status", "--json"]).json();
        assert_eq!((&status["queued"], &status["exchanges"]), (&json!(0), &json!(1)));
        assert_eq!(status["peers"][0]["health"], "up");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_incident_comes_back_and_can_be_submitted_anew() {
    let pair = Pair::start(Plan::default()).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    north.insert(0, 1).await;
    north.command(&["submit", "1"]).ok();
    let at_partner = || async { (partner.command(&["show", "1"]).code == 0).then_some(()) };
    eventually("the incident at the partner", at_partner).await;
    partner.command(&["reject", "1", "--comment", "not ours"]).ok();
    partner.command(&["reject", "1"]).refused(6, &["closed already"]);
    let row = eventually("the rejection", || async {
        let row = north.command(&["show", "1", "--json"]).json();
        (row["standing"] == "rejected").then_some(row)
    })
    .await;
    assert_eq!(row["submission"], "held");
    assert_eq!(row["comments"][0]["text"], "not ours");
    north.command(&["submit", "1", "--comment", "it is yours"]).ok();
    eventually("it once more", || async { (partner.count("SELECT count(*) FROM incident").await == 2).then_some(()) })
        .await;
    partner.command(&["accept", "2"]).ok();
    eventually("the case", || async {
        (north.command(&["show", "1", "--json"]).json()["case_id"] == "CASE-2").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_and_what_is_parked_is_told_with_the_reason_and_can_be_retried() {
    let mut pair = Pair::new(Plan::default()).await;
    pair.end_user.edit_config("[retry]", "[retry]\ngive_up_after = \"1s\"");
    pair.partner.start().await;
    pair.wire.set(Fault::Down);
    pair.end_user.start().await;
    let north = &pair.end_user;
    north.insert(0, 3).await;
    north.command(&["retry", "1"]).refused(6, &["nothing of incident 1 is parked", "casebridge parked"]);
    north.command(&["retry", "99"]).refused(6, &["99"]);
    assert_eq!(north.command(&["retry", "--all"]).ok().trim_end(), "Nothing was parked.");
    north.command(&["submit", "1"]).ok();
    let parked = eventually("it to be parked", || async {
        let value = north.command(&["parked", "--json"]).json();
        (value["total"] == 1).then_some(value)
    })
    .await;
    let row = &parked["parked"][0];
    assert_eq!((&row["incident"], &row["operation"], &row["seq"]), (&json!(1), &json!("create"), &json!(1)));
    assert!(row["reason"].as_str().unwrap().contains("could not be reached since"), "{parked}");
    let text = north.command(&["parked"]).ok();
    assert!(text.contains("could not be reached since") && text.contains("casebridge retry ID"), "{text}");
    let status = north.command(&["status"]).ok();
    assert!(status.contains("warning: partner: ") && status.contains("1 exchange needs a person"), "{status}");
    assert!(north.command(&["show", "1"]).ok().contains("a person here: create 1 is parked"));

    pair.wire.set(Fault::None);
    eventually("the peer", || async { north.log().contains("peer_up").then_some(()) }).await;
    assert_eq!(north.command(&["retry", "1"]).ok().trim_end(), "1 exchange is tried again.");
    eventually("its outcome", || async {
        let row = north.command(&["show", "1", "--json"]).json();
        row["transaction"].is_string().then_some(())
    })
    .await;
    assert_eq!(north.command(&["parked", "--json"]).json()["total"], 0);

    // While the peer is away again, what waits is listed with its tries.
    pair.wire.set(Fault::Down);
    eventually("the outage", || async {
        (north.command(&["status", "--json"]).json()["peers"][0]["health"] == "down").then_some(())
    })
    .await;
    north.command(&["submit", "2"]).ok();
    let page = eventually("it to wait", || async {
        let page = north.command(&["outbox", "--json"]).json();
        (page["total"] == 1).then_some(page)
    })
    .await;
    let row = &page["operations"][0];
    assert_eq!((&row["incident"], &row["operation"], &row["peer"]), (&json!(2), &json!("create"), &json!("partner")));
    let text = north.command(&["show", "2"]).ok();
    assert!(text.contains("the peer does not answer"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_an_incident_holds_steers_the_terminal() {
    let mut pair = Pair::new(Plan::default()).await;
    pair.end_user.start().await;
    let site = &pair.end_user;
    // Escape sequences, line separators and invisible tags are refused at the door; another program writes them past it, and
    // some text is harmless to us and not to a terminal: the left-to-right mark.
    let event = "{\"event\": {\"host_event_id\": \"e-1\", \"synopsis\": \"fan\\u001b]0;owned\\u0007\"}}";
    let file = site.path("hostile.json");
    std::fs::write(&file, event).unwrap();
    site.command(&["deposit", file.to_str().unwrap()]).refused(6, &["U+001B"]);
    for hidden in ["\\u2028", "\\udb40\\udc41"] {
        std::fs::write(&file, event.replace("\\u001b]0;owned\\u0007", hidden)).unwrap();
        site.command(&["deposit", file.to_str().unwrap()]).refused(6, &["U+"]);
    }
    let quiet = "{\"event\": {\"host_event_id\": \"e-2\", \"synopsis\": \"fan\\u200e 2\"}}";
    std::fs::write(&file, quiet).unwrap();
    site.command(&["deposit", file.to_str().unwrap()]).ok();
    let store = site.store().await;
    for sql in [
        "INSERT INTO incident (host_event_id, synopsis) VALUES ('e-3', 'fan ' || char(27) || '[2J')",
        "UPDATE incident SET device = 'a' || char(8232) || char(917569) || 'b' WHERE id = 1",
        "INSERT INTO comment (incident, author, text) VALUES (1, 'x' || char(155) || 'y', 'see ' || char(27) || '[31m')",
        "UPDATE incident SET case_status = 'o' || char(13) || 'k' WHERE id = 1",
    ] {
        sqlx::query(sql).execute(&store).await.unwrap();
    }
    store.close().await;
    for arguments in [
        ["incidents"].as_slice(),
        &["incidents", "--json"],
        &["show", "1"],
        &["show", "1", "--json"],
        &["show", "2"],
        &["status"],
        &["outbox"],
    ] {
        let done = site.command(arguments);
        let shown = format!("{}{}", done.out, done.err);
        let steers = |c: &char| (c.is_control() && *c != '\n') || ['\u{200e}', '\u{2028}', '\u{e0041}'].contains(c);
        assert_eq!(shown.chars().find(steers), None, "{arguments:?}: {}", shown.escape_debug());
    }
    // In a pipe there is no colour either, and the text is still there.
    let list = site.command(&["incidents"]).ok();
    assert!(list.contains("fan\\u{200e} 2"), "{list}");
}

/// What the demo tells, in this order.
const STORY: &[&str] = &[
    "casebridge demo",
    "the partner's daemon starts",
    "the end user's daemon starts; it listens nowhere",
    "lies in the inbox: event.xml",
    "detected: incident 1, edge1: PSU 0 output failure",
    "submitted, with priority 2 - High",
    "Create Case goes out to partner",
    "acknowledged: transaction ID 1",
    "incident 1 is here, for north",
    "an operator accepts it",
    "written back: case CASE-1, https://desk.example/CASE-1",
    "status In Progress, and a comment",
    "status In Progress; ",
    "resolved, with the solution",
    "status Resolved; ",
    "Both records side by side",
];

fn demo(arguments: &[&str], home: &Path) -> String {
    let mut command = program(arguments);
    command.env("TMPDIR", home);
    let done = finish(command);
    assert_eq!(done.err, "", "nothing to complain of");
    let out = done.ok();
    let mut rest = out.as_str();
    for step in STORY {
        let at = rest.find(step).unwrap_or_else(|| panic!("\"{step}\" is told in its turn: {out}"));
        rest = &rest[at + step.len()..];
    }
    assert!(!out.contains('\u{1b}'), "no colour in a pipe");
    out
}

/// Processes that were started for something in this directory.
fn processes_of(dir: &Path) -> usize {
    let dir = dir.as_os_str().as_encoded_bytes();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let command_lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    command_lines.filter(|line| line.windows(dir.len()).any(|part| part == dir)).count()
}

#[test]
fn the_demo_tells_the_whole_story_and_leaves_nothing_behind() {
    let home = tempfile::Builder::new().prefix("cb-").tempdir().unwrap();
    let out = demo(&["demo"], home.path());
    assert!(out.contains("casebridge demo --keep"), "{out}");
    let closed = out.lines().find(|line| line.starts_with("case status")).unwrap_or_default();
    assert_eq!(closed.matches("Closed").count(), 2, "both records end alike: {out}");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing is left");
    assert_eq!(processes_of(home.path()), 0, "no daemon is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_that_is_killed_leaves_no_daemon() {
    let home = tempfile::Builder::new().prefix("cb-").tempdir().unwrap();
    let mut demo = program(["demo"]);
    let mut demo = demo.env("TMPDIR", home.path()).stdout(std::process::Stdio::null()).spawn().unwrap();
    eventually("both daemons", || async { (processes_of(home.path()) == 2).then_some(()) }).await;
    demo.kill().unwrap();
    demo.wait().unwrap();
    eventually("their end", || async { (processes_of(home.path()) == 0).then_some(()) }).await;
}

#[test]
fn the_demo_keeps_its_files_on_request() {
    let home = tempfile::Builder::new().prefix("cb-").tempdir().unwrap();
    let out = demo(&["demo", "--keep"], home.path());
    let kept: Vec<&Path> = out
        .lines()
        .filter(|line| {
            ["configuration", "store", "state", "log"].iter().any(|name| line.contains(&format!(" {name} ")))
        })
        .filter_map(|line| line.split_whitespace().last())
        .map(Path::new)
        .filter(|path| path.starts_with(home.path()))
        .collect();
    assert_eq!(kept.len(), 8, "four files of each site: {out}");
    for path in &kept {
        assert!(path.exists(), "{}", path.display());
    }
    assert_eq!(processes_of(home.path()), 0, "no daemon is left");
    // What is left works: the record can be looked at with a daemon of one's own.
    let config = kept.iter().find(|path| path.ends_with("north/config.toml")).unwrap();
    casebridge(&["check-config", "--config", config.to_str().unwrap()]).ok();
}
