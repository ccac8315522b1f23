//! Operators and their tokens: what each permission opens, what does not let anybody in (M-03), and the codes of the answers
//! (M-04).

use std::collections::BTreeSet;

use casebridge::api::cases::Endpoint;
use casebridge::case::{Code, Permission, Permissions};
use casebridge::config::token::{self, Holder, Operator};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::deadlines::{PROMISES, WITH_DUE_DATES};
use crate::support::caller::{Caller, Reply, assert_problem, hear};
use crate::support::pair::{ACCEPT_ALL, partner_config};
use crate::support::site::write_secret;
use crate::support::wire::free_port;
use crate::support::{Site, eventually};

/// A partner that is not started yet, and the port that it will listen at.
fn partner(more: &str) -> (Site, Caller) {
    let port = free_port();
    let config = partner_config(port, more).replace("[site]\n", "[site]\nreread_secrets = \"50ms\"\n");
    let config = config.replace("[listen]\n", "[listen]\nfailures_per_minute = 10000\n");
    (Site::new("partner", &config), Caller::north(port))
}

/// The network's door opens a moment after the socket's.
async fn start(site: &mut Site, caller: &Caller) {
    site.start().await;
    let healthy = || caller.stranger("GET", "/healthz").send();
    eventually("the door to the network", || async { healthy().await.is_ok().then_some(()) }).await;
}

/// A token of an operator with these permissions, as `casebridge token new` makes it.
fn token_with(site: &Site, permissions: Permissions) -> String {
    token_of(site, "ann", &[], permissions)
}

fn token_of(site: &Site, name: &str, groups: &[&str], permissions: Permissions) -> String {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    let operator = Operator { name: name.into(), groups, scopes: permissions, role: None };
    let (kept, text) = token::new(Holder::Operator(operator), Timestamp::now(), None, None);
    token::change(&site.path("tokens.json"), "operator ann", Timestamp::now(), |tokens| tokens.push(kept)).unwrap();
    token::shown(&text).to_owned()
}

async fn ask(caller: &Caller, token: &str, method: &str, path: &str) -> Reply {
    hear(caller.stranger(method, path).bearer_auth(token)).await
}

/// The endpoint with places that no case has.
async fn call(caller: &Caller, token: &str, endpoint: Endpoint) -> Reply {
    let path = endpoint.path().replace("{id}", "99999999").replace(['{', '}'], "");
    ask(caller, token, endpoint.method().as_str(), &path).await
}

#[tokio::test(flavor = "multi_thread")]
async fn m_03_each_endpoint_is_open_to_its_permissions_and_case_all_and_to_no_other() {
    let (mut site, caller) = partner("");
    let tokens = Permission::ALL.map(|one| (one, token_with(&site, Permissions::from_iter([one]))));
    start(&mut site, &caller).await;
    let mut wrong = Vec::new();
    for endpoint in Endpoint::ALL {
        for (permission, token) in &tokens {
            let reply = call(&caller, token, *endpoint).await;
            let allowed = *permission == Permission::Everything || endpoint.permissions().contains(permission);
            let is_right = match allowed {
                // Whatever the call says, it was let through to the handler, which is there.
                true => ![401, 403, 405].contains(&reply.status) && !reply.text.contains("see /openapi.json"),
                false => reply.status == 403 && reply.body["type"] == "urn:casebridge:problem:forbidden",
            };
            if !is_right {
                wrong.push(format!(
                    "{permission}: {} {}: {} {}",
                    endpoint.method(),
                    endpoint.path(),
                    reply.status,
                    reply.text
                ));
            }
            if !allowed {
                let detail = reply.body["detail"].as_str().unwrap_or_default();
                let named = endpoint.permissions().iter().all(|one| detail.contains(one.as_str()));
                assert!(
                    named && !detail.contains("99999999"),
                    "it says what is missing and nothing of a case: {detail}"
                );
            }
            let code = endpoint.code().map(|code| code.as_str());
            if reply.status >= 400 && reply.body["code"].as_str() != code {
                wrong.push(format!(
                    "{} {}: code {}, not {code:?}",
                    endpoint.method(),
                    endpoint.path(),
                    reply.body["code"]
                ));
            }
        }
        // The socket's own permissions stand for CASE_ALL.
        let path = endpoint.path().replace("{id}", "99999999").replace(['{', '}'], "");
        let reply = hear(site.request(endpoint.method().as_str(), &path)).await;
        assert!(![401, 403, 405].contains(&reply.status), "{endpoint:?}: {reply:?}");
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_operators_token_in_force_opens_nothing_and_is_told_why() {
    let (mut site, caller) = partner("");
    let good = token_with(&site, Permissions::EVERYTHING);
    let ends = "2099-01-01T00:00:00Z";
    let made = ["token", "new", "--owner", "bert", "--scope", "CASE_VIEW", "--expires", ends, "--json"];
    let ended = site.command(&made).json();
    let client = site.command(&["token", "new", "--client", "north"]).ok().trim().to_owned();
    start(&mut site, &caller).await;
    let cases = |token: String| {
        let caller = caller.clone();
        async move { ask(&caller, &token, "GET", "/v1/cases").await }
    };
    let own = ended["token"].as_str().unwrap().to_owned();
    for token in [&good, &own] {
        assert_eq!(cases(token.clone()).await.status, 200);
    }
    // As if the years had gone by.
    let path = site.path("tokens.json");
    let kept = std::fs::read_to_string(&path).unwrap();
    write_secret(&path, &kept.replace(ends, "2026-01-01T00:00:00Z"));
    eventually("its end", || async { (cases(own.clone()).await.status == 401).then_some(()) }).await;
    let unknown = format!("cbt_5f0a11c3_{}", "0".repeat(64));
    let answers = [cases(own.clone()).await, cases(unknown).await, cases("x".into()).await];
    for reply in &answers {
        assert_problem(reply, 401, "unauthorized", &["token of an operator", "has ended or was revoked"]);
        assert_eq!(reply.text, answers[0].text, "nothing tells one of them from another");
    }
    assert_problem(&hear(caller.stranger("GET", "/v1/cases")).await, 401, "unauthorized", &["Authorization: Bearer"]);

    // A client's credentials are good, at another door; and an operator's do not open that one.
    assert_problem(&caller.get("/v1/cases").await, 403, "forbidden", &["a client's credentials"]);
    assert_problem(&cases(client.clone()).await, 403, "forbidden", &["a client's credentials"]);
    assert_eq!(ask(&caller, &client, "GET", "/v1/site").await.status, 200);
    let reply = ask(&caller, &good, "GET", "/v1/site").await;
    assert_problem(&reply, 401, "unauthorized", &["an operator's token"]);

    let id = good.split('_').nth(1).unwrap();
    let listed = site.command(&["token", "list"]).ok();
    assert!(listed.contains(id) && listed.contains("operator ann") && listed.contains("CASE_ALL"), "{listed}");
    let warnings = site.get("/v1/status").await.body["warnings"].to_string();
    assert!(warnings.contains("of operator bert ended"), "{warnings}");
    site.command(&["token", "revoke", id]).ok();
    eventually("the token to be refused", || async { (cases(good.clone()).await.status == 401).then_some(()) }).await;
    for token in [&good, &own, &client] {
        for text in [&site.log(), &listed, &std::fs::read_to_string(&path).unwrap()] {
            assert!(!text.contains(token.as_str()), "nobody repeats a token");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_operators_tokens_waits_and_who_was_let_in_does_not() {
    let (mut site, caller) = partner("");
    site.edit_config("failures_per_minute = 10000", "failures_per_minute = 3");
    let token = token_with(&site, Permissions::EVERYTHING);
    start(&mut site, &caller).await;
    assert_eq!(ask(&caller, &token, "GET", "/v1/cases").await.status, 200);
    let wrong = format!("cbt_5f0a11c3_{}", "0".repeat(64));
    for expected in [401, 401, 401, 429] {
        assert_eq!(ask(&caller, &wrong, "GET", "/v1/cases").await.status, expected);
    }
    assert_eq!(ask(&caller, &token, "GET", "/v1/cases").await.status, 200);
    assert!(site.log().contains("client_unauthorized"), "{}", site.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_what_the_configuration_says_also_for_tokens_that_were_made_before() {
    const ROLE: &str = "[[role]]\nname = \"desk\"\npermissions = [\"CASE_COMMENT_VIEW\"]\n";
    let (mut site, caller) = partner(ROLE);
    let new = |more: &[&str]| site.command(&[&["token", "new", "--owner", "ann"], more].concat());
    new(&[]).refused(2, &["--scope"]);
    new(&["--role", "dekS"]).refused(1, &["no [[role]] \"dekS\"", "desk"]);
    new(&["--scope", "CASE_VEIW"]).refused(2, &["CASE_VEIW", "CASE_VIEW"]);
    new(&["--scope", "CASE_VIEW", "--client", "north"]).refused(2, &["--client"]);
    new(&["--scope", "CASE_VIEW", "--group", ""]).refused(2, &["--group"]);
    let token = new(&["--role", "desk", "--scope", "CASE_HOLD", "--group", "noc"]).ok().trim().to_owned();
    start(&mut site, &caller).await;
    let status = |method: &'static str, path: &'static str| {
        let (caller, token) = (caller.clone(), token.clone());
        async move { ask(&caller, &token, method, path).await.status }
    };
    assert_eq!(status("GET", "/v1/cases").await, 403);
    assert_eq!(status("GET", "/v1/cases/99999999/comments").await, 404);
    assert_ne!(status("POST", "/v1/cases/99999999/hold").await, 403, "its own scope counts beside the role");
    site.edit_config("CASE_COMMENT_VIEW", "CASE_VIEW");
    site.signal("HUP");
    eventually("the role to be another one", || async { (status("GET", "/v1/cases").await == 200).then_some(()) })
        .await;
    assert_eq!(status("GET", "/v1/cases/99999999/comments").await, 403);
    site.edit_config("\"desk\"", "\"front\"");
    site.signal("HUP");
    eventually("the role to be gone", || async { (status("GET", "/v1/cases").await == 403).then_some(()) }).await;
    assert_eq!(status("POST", "/v1/cases/99999999/hold").await, 403, "it may have narrowed what its holder saw");
    let warnings = site.get("/v1/status").await.body["warnings"].to_string();
    assert!(warnings.contains("has the role \\\"desk\\\", of which there is no [[role]]"), "{warnings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_help_of_token_new_says_what_the_table_says() {
    let (site, _) = partner("");
    let help = site.command(&["token", "new", "--help"]).ok();
    // Long lines are broken.
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for permission in Permission::ALL {
        assert!(words.contains(permission.as_str()) && words.contains(permission.about()), "{permission}: {help}");
        assert!(permission.opens_nothing_because().is_none_or(|why| words.contains(why)), "{permission}");
    }
    for endpoint in Endpoint::ALL {
        let line = format!("{} {}: {}", endpoint.method(), endpoint.path(), endpoint.help());
        assert!(words.contains(&line), "{line}: {help}");
    }
}

async fn send(caller: &Caller, token: &str, method: &str, path: &str, body: Value) -> Reply {
    hear(caller.stranger(method, path).bearer_auth(token).json(&body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn m_03_the_permissions_to_view_narrow_lists_single_cases_and_what_is_done_alike() {
    let (mut site, caller) = partner("");
    let all = token_with(&site, Permissions::EVERYTHING);
    use Permission::*;
    let of = |name: &str, groups: &[&str], more: &[Permission]| {
        let permissions = [Hold, CommentView].iter().chain(more).copied().collect();
        (token_of(&site, name, groups, permissions), name.to_owned())
    };
    let mine = of("ann", &[], &[ViewMine]);
    // Work is given to those only who may do it.
    let assigned = of("bert", &[], &[ViewAssigned, Process]);
    let grouped = of("carl", &["noc"], &[ViewAssigned]);
    let unassigned = of("dora", &[], &[ViewUnassigned]);
    let both = of("ann", &[], &[ViewMine, ViewUnassigned]);
    let blind = of("emil", &[], &[]);
    start(&mut site, &caller).await;
    for (case, users, groups) in [
        (json!({"details": "of ann, for bert", "operator": "ann"}), json!(["bert"]), json!([])),
        (json!({"details": "of fred, for the desk", "operator": "fred"}), json!([]), json!(["noc"])),
        (json!({"details": "of fred, for nobody", "operator": "fred"}), json!([]), json!([])),
    ] {
        let made = send(&caller, &all, "POST", "/v1/cases", case).await;
        assert_eq!(made.status, 200, "{made:?}");
        let path = format!("/v1/cases/{}/assignment", made.body["number"]);
        assert_eq!(send(&caller, &all, "PUT", &path, json!({"users": users, "groups": groups})).await.status, 200);
    }
    let nothing = ask(&caller, &mine.0, "GET", "/v1/cases/99").await;
    assert_problem(&nothing, 404, "not-found", &[]);
    for ((token, who), seen) in [
        (&mine, &[1][..]),
        (&assigned, &[1]),
        (&grouped, &[2]),
        (&unassigned, &[3]),
        (&both, &[1, 3]),
        (&(all.clone(), "everybody's".to_owned()), &[1, 2, 3]),
    ] {
        let list = ask(&caller, token, "GET", "/v1/cases").await;
        let numbers: Vec<&Value> = list.body["cases"].as_array().unwrap().iter().map(|case| &case["number"]).collect();
        assert_eq!(json!(numbers), json!(seen), "the list of {who}: {}", list.text);
        for number in 1..=3 {
            let path = format!("/v1/cases/{number}");
            for (method, path) in [("GET", path.clone()), ("GET", format!("{path}/comments"))] {
                let reply = ask(&caller, token, method, &path).await;
                match seen.contains(&number) {
                    true => assert_eq!(reply.status, 200, "{who} {method} {path}: {}", reply.text),
                    // Word for word as what does not exist.
                    false => assert_eq!((reply.status, &reply.body["detail"]), (404, &nothing.body["detail"]), "{who}"),
                }
            }
            if !seen.contains(&number) {
                let reply = send(&caller, token, "POST", &format!("{path}/hold"), json!({})).await;
                assert_eq!(
                    (reply.status, &reply.body["detail"]),
                    (404, &nothing.body["detail"]),
                    "{who} holds {number}"
                );
            }
        }
    }
    // Who may not view at all may act, and is told no more than how the case is named and stands.
    assert_eq!(ask(&caller, &blind.0, "GET", "/v1/cases/2").await.status, 403);
    assert_ne!(send(&caller, &blind.0, "POST", "/v1/cases/2/hold", json!({})).await.status, 404);
    let other = send(&caller, &mine.0, "POST", "/v1/cases/1/hold", json!({"operator": "fred"})).await;
    assert_problem(&other, 403, "forbidden", &["CASE_INSTANCE_PROXY_SAVE"]);
}

/// Nothing runs by itself.
const NEVER: &str =
    "[schedule]\nauto_close = \"0 0 0 29 2 *\"\ndue_date_check = \"0 0 0 29 2 *\"\nsla_check = \"0 0 0 29 2 *\"\n";

/// The jobs are for all cases; whoever asks for them is told of those that it sees.
#[tokio::test(flavor = "multi_thread")]
async fn m_06_m_07_m_08_whoever_asks_what_the_jobs_find_is_told_of_the_cases_that_it_sees() {
    use Permission::*;
    let (mut site, caller) = partner(&format!("{NEVER}{PROMISES}{WITH_DUE_DATES}"));
    let of = |name: &str, groups: &[&str], more: &[Permission]| {
        let permissions = [AutocloseView, CheckSla, CheckDueDates].iter().chain(more).copied().collect();
        token_of(&site, name, groups, permissions)
    };
    let (all, tenant, mine) = (of("alba", &[], &[]), of("tina", &["tenant-a"], &[View]), of("max", &[], &[ViewMine]));
    start(&mut site, &caller).await;
    let ago = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 hours')";
    let cases = [(1, "tenant-a"), (2, "tenant-b"), (3, "tenant-a"), (4, "tenant-b"), (5, "tenant-b")];
    for (number, group) in cases {
        site.execute(format!(
            "INSERT INTO incident (id, host_event_id, synopsis, device_group, created_at) \
             VALUES ({number}, 'edge-{number}', 'Chassis alarm', '{group}', {ago})"
        ))
        .await;
    }
    site.execute(format!("UPDATE incident SET phase = 'review', state_since = {ago} WHERE id IN (3, 4)")).await;
    eventually("the promises", || async { (site.count("SELECT count(*) FROM deadline").await == 10).then_some(()) })
        .await;
    site.execute("UPDATE incident SET form = '{\"nonsense\": 1}' WHERE id = 5").await;
    let asked = async |token: &str, method: &str, path: &str| {
        let reply = ask(&caller, token, method, path).await;
        assert_eq!(reply.status, 200, "{method} {path}: {reply:?}");
        let numbers = |list: &Value| -> Vec<i64> {
            list.as_array().into_iter().flatten().map(|one| one["incident"].as_i64().unwrap()).collect()
        };
        let (cases, failed) = (numbers(&reply.body["cases"]), numbers(&reply.body["failed"]));
        assert_eq!(reply.body["found"], cases.len(), "{path} counts no other: {reply:?}");
        (cases, failed)
    };
    let none = || (vec![], vec![]);
    let closings = "/v1/cases/auto-close";
    assert_eq!(asked(&all, "GET", closings).await, (vec![3, 4], vec![]));
    assert_eq!(asked(&tenant, "GET", closings).await, (vec![3], vec![]));
    assert_eq!(asked(&mine, "GET", closings).await, none());
    assert_eq!(site.count("SELECT count(*) FROM closing").await, 0, "it only tells");
    let noted = async || site.count("SELECT count(*) FROM milestone WHERE fact ->> '$.deadline' IS NOT NULL").await;
    for (path, done) in [("/v1/checks/slas", 4), ("/v1/checks/due-dates", 8)] {
        let dry = format!("{path}?dry_run=true");
        assert_eq!(asked(&all, "POST", &dry).await, (vec![1, 1, 2, 2], vec![5]), "a warning and a violation each");
        assert_eq!(asked(&tenant, "POST", &dry).await, (vec![1, 1], vec![]));
        assert_eq!(asked(&mine, "POST", &dry).await, none());
        assert_eq!(noted().await, done - 4, "{path}: a dry run notes nothing");
        assert_eq!(asked(&tenant, "POST", path).await, (vec![1, 1], vec![]));
        assert_eq!(noted().await, done, "{path} ran for all, whoever asked");
        assert_eq!(asked(&all, "POST", path).await, (vec![], vec![5]), "each once");
        assert_eq!(ask(&caller, &all, "POST", &format!("{path}?dry_run=maybe")).await.status, 400);
    }
}

/// More cases of others fall due before the caller's own than an answer shows.
#[tokio::test(flavor = "multi_thread")]
async fn m_06_m_08_who_sees_few_cases_is_told_of_them_however_many_others_come_first() {
    use Permission::*;
    let (mut site, caller) = partner(&format!("{NEVER}{PROMISES}"));
    let may = Permissions::from_iter([AutocloseView, CheckSla, View]);
    let (tenant, all) = (token_of(&site, "tina", &["tenant-a"], may), token_of(&site, "alba", &[], may));
    start(&mut site, &caller).await;
    let ago = |hours| format!("strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-{hours} hours')");
    for (phase, first) in [("initial_support", 1), ("review", 2001)] {
        site.execute(format!(
            "WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {first} + 1100) \
             INSERT INTO incident (id, host_event_id, synopsis, device_group, phase, created_at, state_since) \
             SELECT i, 'e-' || i, 'Fan', iif(i = {first} + 1100, 'tenant-a', 'tenant-b'), '{phase}', at, at \
             FROM (SELECT i, iif(i = {first} + 1100, {}, {}) AS at FROM n)",
            ago(3),
            ago(4)
        ))
        .await;
    }
    eventually("the promises", || async {
        (site.count("SELECT count(*) FROM untimed").await
            + site.count("SELECT count(*) FROM deadline WHERE stale").await
            == 0)
            .then_some(())
    })
    .await;
    for (method, path, own, each) in
        [("GET", "/v1/cases/auto-close", 3101, 1), ("POST", "/v1/checks/slas?dry_run=true", 1101, 2)]
    {
        let everything = ask(&caller, &all, method, path).await;
        assert_eq!(everything.body["found"], 1101 * each, "{path}");
        assert_eq!(everything.body["cases"].as_array().unwrap().len(), 1000, "{path}: no more than a person reads");
        let told = ask(&caller, &tenant, method, path).await.body;
        let numbers: Vec<_> = told["cases"].as_array().unwrap().iter().map(|one| one["incident"].clone()).collect();
        assert_eq!((&told["found"], numbers), (&json!(each), vec![json!(own); each]), "{path}");
    }
}

/// As `casebridge accept` takes it, by whoever begins to work on it: also where it is in process already.
#[tokio::test(flavor = "multi_thread")]
async fn m_02_an_operator_takes_a_clients_case_over_the_network_by_claiming_it_or_taking_it_into_process() {
    use Permission::*;
    let (mut site, caller) = partner("");
    let [ann, max] = [(&[View, Process, Hold, Input, Permission::Comment] as &[_], "ann"), (&[View, Resolve], "max")]
        .map(|(permissions, name)| token_of(&site, name, &[], permissions.iter().copied().collect()));
    start(&mut site, &caller).await;
    for (number, verb) in [(1, "process"), (2, "claim"), (3, "claim")] {
        let transaction = caller.create(number).await;
        let at = |verb: &str| format!("/v1/cases/{number}/{verb}");
        let has_case = async || caller.get(&format!("/v1/transactions/{transaction}")).await.body["case"]["id"].clone();
        for verb in ["hold", "request-input"] {
            assert_eq!(send(&caller, &ann, "POST", &at(verb), json!({})).await.status, 200, "{verb}");
        }
        if number == 3 {
            site.execute("UPDATE incident SET state = 'in_process' WHERE id = 3").await;
            assert_eq!(send(&caller, &ann, "POST", &at("process"), json!({})).await.status, 409, "it is already");
        }
        assert_eq!(has_case().await, Value::Null, "nobody works on it yet");
        let refused = send(&caller, &max, "POST", &at(verb), json!({})).await;
        assert_eq!((refused.status, has_case().await), (403, Value::Null), "{refused:?}");
        let taken = send(&caller, &ann, "POST", &at(verb), json!({"comment": "On it"})).await;
        assert_eq!(taken.status, 200, "{taken:?}");
        let own = format!("CASE-{number}");
        eventually("the case", || async { (has_case().await == own.as_str()).then_some(()) }).await;
        let shown = site.get(&format!("/v1/incidents/{number}")).await.body;
        let lines = shown["history"].as_array().unwrap().iter();
        let whose: Vec<_> = lines.filter(|line| line["action"] == "case_accepted").map(|line| &line["who"]).collect();
        assert_eq!(whose, [&json!("operator ann")], "{shown}");
        // Once: it is the same case from then on.
        send(&caller, &ann, "POST", &at("hold"), json!({})).await;
        send(&caller, &ann, "POST", &at("process"), json!({})).await;
        send(&caller, &ann, "POST", &at("claim"), json!({})).await;
        assert_eq!(site.count("SELECT count(*) FROM history WHERE action = 'case_accepted'").await, number as i64);
        site.command(&["accept", &number.to_string()]).refused(6, &["accepted already", &own]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn m_04_each_call_answers_with_its_code_and_every_code_that_can_come_up_does() {
    let (mut site, caller) = partner(ACCEPT_ALL);
    let token = token_with(&site, Permissions::EVERYTHING);
    start(&mut site, &caller).await;
    for number in 1..=2 {
        caller.create(number).await;
    }
    for number in 1..=2 {
        eventually("the cases to be accepted", || async {
            let shown = site.get(&format!("/v1/incidents/{number}")).await.body;
            shown["case_id"].is_string().then_some(())
        })
        .await;
    }
    let own = send(&caller, &token, "POST", "/v1/cases", json!({"details": "Fan tray 2 is loud"})).await;
    let own_case = |rest: &str| format!("/v1/cases/{}{rest}", own.body["number"]);
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut answered = |call: String, reply: Reply, code: &'static str| {
        let known = Code::ALL.into_iter().find(|one| one.as_str() == code).expect("it is in the catalogue");
        let said = (reply.body["code"].as_str(), reply.body["message"].as_str());
        if reply.status != 200 || said != (Some(code), Some(known.message())) {
            wrong.push(format!("{call}, not {code}: {} {}", reply.status, reply.text));
        }
        seen.insert(known);
    };
    let upload = hear(caller.stranger("PUT", &own_case("/documents/a.txt")).bearer_auth(&token).body("abc")).await;
    let path = own_case("/documents/a.txt");
    answered("create".into(), own, "CASE0600");
    answered("upload".into(), upload, "CASE0510");
    answered("remove".into(), hear(caller.stranger("DELETE", &path).bearer_auth(&token)).await, "CASE0500");
    let none = || json!({});
    for (method, path, body, code) in [
        ("PATCH", "/v1/cases/1", json!({"location": "Room 4"}), "CASE0602"),
        ("POST", "/v1/cases/1/process", none(), "CASE0615"),
        ("POST", "/v1/cases/1/request-input", none(), "CASE0617"),
        ("POST", "/v1/cases/1/hold", none(), "CASE0627"),
        ("POST", "/v1/cases/1/open", none(), "CASE0612"),
        ("POST", "/v1/cases/1/claim", none(), "CASE0642"),
        ("POST", "/v1/cases/1/unclaim", none(), "CASE0644"),
        ("POST", "/v1/cases/1/comments", json!({"text": "On it"}), "CASE0609"),
        ("POST", "/v1/cases/1/initiator-comments", json!({"text": "Still loud"}), "CASE0623"),
        ("POST", "/v1/cases/1/tags", json!({"tag": "urgent"}), "CASE0636"),
        ("DELETE", "/v1/cases/1/tags/urgent", none(), "CASE0637"),
        ("POST", "/v1/cases/1/resolve", json!({"resolution": "Reseated"}), "CASE0619"),
        ("POST", "/v1/cases/1/reopen", none(), "CASE0631"),
        ("POST", "/v1/cases/1/complete", none(), "CASE0621"),
        ("POST", "/v1/cases/2/cancel", none(), "CASE0629"),
        ("POST", "/v1/checks/slas", none(), "CASE9006"),
        ("POST", "/v1/checks/due-dates", none(), "CASE9008"),
    ] {
        let reply = send(&caller, &token, method, path, body).await;
        answered(format!("{method} {path}"), reply, code);
    }
    assert_eq!(wrong, Vec::<String>::new());
    let expected: BTreeSet<Code> = Code::ALL.into_iter().filter(|code| code.never_because().is_none()).collect();
    assert_eq!(seen, expected);
    // A refusal has the code of its call, and a call without a code none.
    let again = send(&caller, &token, "POST", "/v1/cases/1/hold", none()).await;
    assert_eq!((again.status, again.body["code"].as_str()), (409, Some("CASE0627")), "{again:?}");
    let list = ask(&caller, &token, "GET", "/v1/cases").await;
    assert!(list.status == 200 && list.body["code"].is_null() && list.body["message"].is_null(), "{list:?}");
}
