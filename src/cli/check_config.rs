//! `check-config`: every problem of a configuration at once, or what the site will be.

use std::path::Path;

use serde_json::{Value, json};

use super::exit::{Exit, Failure};
use super::run::failure;
use super::{Output, print};
use crate::config::settings::Login;
use crate::config::{Problem, Problems, Settings};

/// Checks the file, the secrets that it names, the directories, and what else a start would try.
pub fn run(config: &Path, output: Output) -> Result<(), Failure> {
    match Settings::check(config) {
        Ok(settings) => match crate::daemon::check(&settings) {
            Ok(warnings) if output.json => print::out(&print::json(&as_json(&settings, &warnings))?),
            Ok(warnings) => print::out(&summary(config, &settings, &warnings)),
            Err(fault) => Err(failure(&fault)),
        },
        Err(problems) if output.json => {
            let list: Vec<Value> = problems.list().iter().map(problem).collect();
            print::out(&print::json(&json!({ "ok": false, "problems": list }))?)?;
            Err(count(config, &problems))
        }
        Err(problems) => Err(Failure::rendered(Exit::Configuration, problems.render(print::colour_err()))),
    }
}

fn count(config: &Path, problems: &Problems) -> Failure {
    let what = format!("{} cannot be used", config.display());
    let why = match problems.count() {
        1 => "it has 1 problem".to_owned(),
        count => format!("it has {count} problems"),
    };
    Failure::new(Exit::Configuration, what, why, "each stands there with its remedy")
}

fn problem(problem: &Problem) -> Value {
    json!({
        "key": problem.key,
        "message": problem.message,
        "help": problem.help,
        "line": problem.place.as_ref().map(|place| place.line),
        "column": problem.place.as_ref().map(|place| place.column),
    })
}

fn as_json(settings: &Settings, warnings: &[String]) -> Value {
    json!({
        "ok": true,
        "alias": settings.site.alias,
        "role": role(settings),
        "upstream": settings.upstream.as_ref().map(|upstream| json!({ "alias": upstream.alias, "url": upstream.url })),
        "listen": settings.listen.as_ref().map(|listen| listen.address.to_string()),
        "clients": settings.clients.iter().map(|client| client.alias.as_str()).collect::<Vec<_>>(),
        "inboxes": settings.inboxes.iter().map(|inbox| inbox.dir.to_string_lossy()).collect::<Vec<_>>(),
        "store": settings.store.path.to_string_lossy(),
        "state": settings.state.path.to_string_lossy(),
        "socket": settings.site.socket.to_string_lossy(),
        "warnings": warnings,
    })
}

/// What the sections make the site.
fn role(settings: &Settings) -> &'static str {
    match (settings.upstream.is_some(), settings.listen.is_some() || !settings.clients.is_empty()) {
        (true, true) => "relay",
        (true, false) => "end user",
        (false, true) => "partner",
        (false, false) => "on its own",
    }
}

fn summary(config: &Path, settings: &Settings, warnings: &[String]) -> String {
    /// Clients and inboxes that are named.
    const NAMED: usize = 10;
    let named = |names: Vec<String>| {
        let more = names.len().saturating_sub(NAMED);
        let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        if more > 0 { format!("{shown} and {more} more") } else { shown }
    };
    let mut lines = vec![("site", format!("{} ({})", settings.site.alias, role(settings)))];
    if let Some(upstream) = &settings.upstream {
        let login = match &upstream.login {
            Login::Password { user, .. } => format!("as {user}"),
            Login::Token(_) => "with a token".to_owned(),
            Login::Certificate => "with a certificate".to_owned(),
        };
        lines.push(("submits to", format!("{} at {}, {login}", upstream.alias, upstream.url)));
    }
    if let Some(listen) = &settings.listen {
        let tls = if listen.tls.is_some() { "TLS" } else { "without TLS" };
        lines.push(("listens at", format!("{} ({tls})", listen.address)));
    }
    if !settings.clients.is_empty() {
        let clients = settings.clients.iter().map(|client| client.alias.to_string()).collect();
        lines.push(("clients", format!("{}: {}", settings.clients.len(), named(clients))));
    }
    if !settings.inboxes.is_empty() {
        lines.push(("inboxes", named(settings.inboxes.iter().map(|inbox| inbox.dir.display().to_string()).collect())));
    }
    if !settings.submit.policies.is_empty() {
        lines.push(("policies", settings.submit.policies.len().to_string()));
    }
    lines.push(("store", settings.store.path.display().to_string()));
    lines.push(("state", settings.state.path.display().to_string()));
    lines.push(("socket", format!("{} (mode {:04o})", settings.site.socket.display(), settings.site.socket_mode)));
    let mut text = format!("{} is sound.\n", print::safe(&config.to_string_lossy()));
    for (name, value) in lines {
        text.push_str(&format!("  {name:<11} {}\n", print::safe(&value)));
    }
    for warning in warnings {
        let label = print::Paint::Yellow.on("warning:", print::colour_out());
        text.push_str(&format!("{label} {}; renew it\n", print::safe(warning)));
    }
    if settings.upstream.is_some() {
        text.push_str("`casebridge test-peer` tries the connection to the site above.\n");
    }
    text
}
