//! `config.example.toml` says what the program does.

use super::{directory, example, origin, parse, password, read};

#[test]
fn the_example_is_an_end_users_file_as_shipped() {
    let settings = read(&example()).unwrap();
    let upstream = settings.upstream.unwrap();
    assert_eq!((settings.site.alias.as_str(), upstream.alias.as_str()), ("north", "partner"));
    assert_eq!(password(&upstream), "correct horse", "the line break is no part of it");
    assert!(settings.listen.is_none() && settings.clients.is_empty());
}

/// With every `#key = value` and `#[section]` in force the example is a relay that says nothing new: whoever reads it sees
/// the real defaults. What has no default is said again here.
#[test]
fn the_example_shows_the_real_defaults() {
    let is_code = |line: &str| line.starts_with("#[") || line.starts_with('#') && is_key(&line[1..]);
    fn is_key(line: &str) -> bool {
        line.split_once(" = ").is_some_and(|(key, _)| key.chars().all(|c| c.is_alphanumeric() || "_-".contains(c)))
    }
    let uncomment = |line: &str| if is_code(line) { line[1..].to_owned() } else { line.to_owned() };
    let shown: Vec<String> = example().lines().map(uncomment).collect();
    let shown = shown.join("\n");
    let minimal = r#"
        [site]
        alias = "north"
        [[inbox]]
        dir = "/var/lib/casebridge/inbox"
        group = "core routers"
        [[mail_inbox]]
        dir = "/var/lib/casebridge/mail"
        [pages]
        address = "https://desk.example"
        name = "Support of North"
        [mail]
        host = "mail.north.example"
        ca_file = "mail-ca.pem"
        user = "casebridge"
        password_file = "mail.password"
        from = "Support <support@north.example>"
        reply_to = "answers@north.example"
        templates = "mail-templates"
        [upstream]
        alias = "partner"
        url = "https://partner.example:8443"
        user = "north"
        password_file = "upstream.password"
        certificate_file = "north-chain.pem"
        key_file = "north-key.pem"
        ca_file = "partner-ca.pem"
        key = "mOOQ8vhbBNoKvRvAX0Z9b+VZtrVlYOk0Yf2gnfX0z5k="
        [[upstream.field]]
        name = "priority"
        values = { "1 - Critical" = "P1", "2 - High" = "P2", "3 - Medium" = "P3", "4 - Low" = "P4" }
        [listen]
        address = "0.0.0.0:8443"
        tls = { certificate = "chain.pem", key = "key.pem", client_ca_file = "clients-ca.pem" }
        [[client]]
        alias = "branch"
        user = "branch"
        password_file = "branch.password"
        previous_password_file = "branch-old.password"
        certificate_name = "branch.example"
        key = "mOOQ8vhbBNoKvRvAX0Z9b+VZtrVlYOk0Yf2gnfX0z5k="
        limits = { max_body = "16 MiB" }
        [[client.field]]
        name = "case_status"
        default = "keep"
        values = { "Open" = "New", "Pending Customer" = "Waiting", "In Progress" = "Active" }
        [submit.defaults]
        priority = "3 - Medium"
        follow_up = "Email Full Text Update"
        cc = ["noc@north.example"]
        site_id = "B-17"
        comment = "Please call the night shift first."
        [[submit.policy]]
        name = "chassis alarms"
        kinds = ["event", "event_rma"]
        priorities = ["1 - Critical", "2 - High"]
        groups = ["core routers"]
        device = "edge1"
        serial = "JN1234567890"
        has_words = ["chassis", "alarm"]
        has_not_words = ["test"]
        priority = "2 - High"
        follow_up = "Phone Call"
        cc = ["night@north.example"]
        site_id = "B-17"
        comment = "Submitted by a policy."
        [case]
        link_template = "https://desk.example/cases/{case}"
        [[case.accept]]
        name = "everything critical"
        kinds = ["event"]
        priorities = ["1 - Critical"]
        groups = ["branch"]
        device = "edge1"
        serial = "JN1234567890"
        has_words = ["alarm"]
        has_not_words = ["test"]
        [[case.escalate]]
        name = "routing engines"
        kinds = ["event"]
        priorities = ["1 - Critical"]
        groups = ["branch"]
        device = "edge1"
        serial = "JN1234567890"
        has_words = ["alarm"]
        has_not_words = ["test"]
        [[role]]
        name = "night shift"
        permissions = ["CASE_VIEW", "CASE_PROCESS", "CASE_RESOLVE", "CASE_COMMENT"]
        [exchange.owner]
        phase = "site"
        solution = "site"
        completion_code = "site"
        expected_resolution = "site"
        [[exchange.group]]
        name = "Vendor NOC"
        system = "partner"
        [[reaction_target.mail]]
        name = "night desk by mail"
        to = ["night@north.example"]
        [[reaction_target.webhook]]
        name = "chat"
        url = "https://hooks.example/casebridge"
        secret_file = "hooks.whsec"
        ca_file = "partner-ca.pem"
        [[reaction_target.snmp]]
        name = "network management"
        address = "nms.example:162"
        community_file = "nms.community"
        [[reaction_target.command]]
        name = "pager"
        command = ["/usr/local/bin/page", "--high"]
        [[calendar]]
        name = "office"
        time_zone = "Europe/Paris"
        monday = ["08:00-12:00", "13:00-17:00"]
        tuesday = ["08:00-12:00", "13:00-17:00"]
        wednesday = ["08:00-12:00", "13:00-17:00"]
        thursday = ["08:00-12:00", "13:00-17:00"]
        friday = ["08:00-12:00", "13:00-16:00"]
        saturday = ["09:00-12:00"]
        sunday = ["09:00-10:00"]
        holidays = ["2026-12-25", "2027-01-01"]
        [[priority]]
        name = "1 - Critical"
        description = "The network is down."
        [[sla]]
        name = "solve"
        within = "16h"
        warn_before = "4h"
        calendar = "office"
        priorities = ["1 - Critical", "2 - High"]
        [[solution]]
        name = "Hardware"
        description = "All that can be touched."
        [[process]]
        name = "Repair"
        solution = "Hardware"
        description = "A part is replaced."
        [[case_type]]
        name = "Chassis"
        process = "Repair"
        description = "Fans, power supplies, cards."
        kinds = ["event"]
        priorities = ["1 - Critical", "2 - High"]
        groups = ["branch"]
        device = "edge1"
        serial = "JN1234567890"
        has_words = ["alarm"]
        has_not_words = ["test"]
        auto_close_after = "3d"
        due_within = "40h"
        due_warn_before = "8h"
        due_calendar = "office"
        slas = ["solve"]
        [job.due_date_check]
        case_types = ["Chassis"]
    "#;
    let dir = directory();
    let read =
        |text: &str| parse(text, "casebridge.toml", &origin(dir.path())).unwrap_or_else(|fault| panic!("{fault}"));
    let (shown, real) = (format!("{:#?}", read(&shown)), format!("{:#?}", read(minimal)));
    for (shown, real) in shown.lines().zip(real.lines()) {
        assert_eq!(shown.trim(), real.trim(), "the example shows another value than the real one");
    }
    assert_eq!(shown.lines().count(), real.lines().count());
}

/// Each key that the reader knows stands in the example: with a wrong key in every section, the reader lists them.
#[test]
fn the_example_shows_every_key() {
    let example = example();
    let sections = [
        "site",
        "log",
        "store",
        "state",
        "history",
        "bundle",
        "bundle.paths",
        "upstream",
        "listen",
        "listen.tls",
        "retry",
        "pages",
        "mail",
        "mail.retry",
        "mail.reminders",
        "submit",
        "submit.defaults",
        "case",
        "exchange",
        "exchange.owner",
        "schedule",
        "reaction_target",
        "job.due_date_check",
        "job.sla_check",
    ];
    let lists = [
        "inbox",
        "mail_inbox",
        "client",
        "client.field",
        "upstream.field",
        "submit.policy",
        "case.accept",
        "case.escalate",
        "exchange.group",
        "reaction_target.mail",
        "reaction_target.webhook",
        "reaction_target.snmp",
        "reaction_target.command",
        "calendar",
        "priority",
        "sla",
        "solution",
        "process",
        "case_type",
        "role",
    ];
    let count = sections.len() + lists.len() + 1;
    let tables = sections.map(|name| format!("[{name}]\nx-x = 1\n")).concat();
    let text = tables + &lists.map(|name| format!("[[{name}]]\nx-x = 1\n")).concat();
    let problems = read(&(text + "[client.limits]\nx-x = 1\n")).expect_err("unknown keys");
    let lists: Vec<_> =
        problems.list().iter().filter_map(|problem| problem.help.strip_prefix("known here: ")).collect();
    assert_eq!(lists.len(), count);
    for key in lists.iter().flat_map(|list| list.split(", ")) {
        let shown = |line: &str| {
            let line = line.trim_start_matches('#');
            line.starts_with(&format!("{key} = ")) || line.trim_matches(['[', ']']).split('.').any(|part| part == key)
        };
        assert!(example.lines().any(shown), "{key} is not in the example");
    }
}
