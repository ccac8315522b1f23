//! What is promised on cases, and the jobs that watch over it (M-05 to M-10): once each, whatever dies in between, and the same
//! instants at both sites.

use std::time::Duration;

use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL, partner_config};
use crate::support::wire::free_port;
use crate::support::{Pair, Site, eventually};

/// Jobs that run when a test says so.
const BY_HAND: &str = "[schedule]\nauto_close = \"0 0 0 29 2 *\"\ndue_date_check = \"0 0 0 29 2 *\"\n\
                       sla_check = \"0 0 0 29 2 *\"\n";
/// And all the time.
const ALWAYS: &str =
    "[schedule]\nauto_close = \"* * * * * *\"\ndue_date_check = \"* * * * * *\"\nsla_check = \"* * * * * *\"\n";

/// An hour until the solution, and until a resolved case is closed.
pub const PROMISES: &str = r#"
[[sla]]
name = "mend"
within = "1h"
warn_before = "30m"
[[solution]]
name = "Hardware"
[[process]]
name = "Repair"
solution = "Hardware"
[[case_type]]
name = "Chassis"
process = "Repair"
auto_close_after = "1h"
due_within = "90m"
due_warn_before = "15m"
slas = ["mend"]
"#;
pub const WITH_DUE_DATES: &str = "[job.due_date_check]\ncase_types = [\"Chassis\"]\n";

fn partner(more: &str) -> Site {
    Site::new("partner", &partner_config(free_port(), &format!("{PROMISES}{more}")))
}

/// A case of two hours ago, as another program enters it.
async fn old_case(site: &Site, name: &str) {
    let entered = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 hours')";
    site.execute(format!(
        "INSERT INTO incident (host_event_id, synopsis, created_at) VALUES ('{name}', 'Chassis alarm', {entered})"
    ))
    .await;
}

async fn promised(site: &Site, count: i64) {
    eventually("the promises", || async { (site.count("SELECT count(*) FROM deadline").await == count).then_some(()) })
        .await;
}

async fn noted(site: &Site, word: &'static str) -> (i64, i64) {
    let pool = site.store().await;
    let milestones = format!("SELECT count(*) FROM milestone WHERE fact ->> '$.deadline.passed' = '{word}'");
    let action = if word == "warned" { "deadline_warned" } else { "deadline_missed" };
    let lines = format!("SELECT count(*) FROM history WHERE action = '{action}'");
    let milestones = sqlx::query_scalar(AssertSqlSafe(milestones)).fetch_one(&pool).await.unwrap();
    (milestones, sqlx::query_scalar(AssertSqlSafe(lines)).fetch_one(&pool).await.unwrap())
}

/// The instants as a site's store has them.
async fn instants(site: &Site) -> Vec<(String, Option<i64>, Option<i64>)> {
    let pool = site.store().await;
    sqlx::query_as("SELECT uid, warns_at, due_at FROM deadline WHERE stale = 0 ORDER BY uid")
        .fetch_all(&pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn m_08_what_one_site_promises_falls_on_the_same_millisecond_at_the_other() {
    let at_partner = format!("{ACCEPT_ALL}{PROMISES}");
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: &at_partner }).await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "open").await;
    let both = async |what: &'static str, is: fn(&Option<i64>) -> bool| {
        eventually(what, || async {
            let (ours, theirs) = (instants(&pair.end_user).await, instants(&pair.partner).await);
            (ours.len() == 2 && ours == theirs && ours.iter().all(|(_, _, due)| is(due))).then_some(ours)
        })
        .await
    };
    let first = both("both sites to know them", Option::is_some).await;
    pair.end_user.execute("UPDATE incident SET state = 'on_hold' WHERE id = 1").await;
    // Its own change of the store is looked at by a site's next write or job; the partner's came as an operation.
    pair.end_user.act("/v1/jobs/sla_check/run", json!({})).await;
    both("both clocks to stand still", Option::is_none).await;
    pair.partner.execute("UPDATE incident SET state = 'in_process' WHERE id = 1").await;
    eventually("the case to go on", || async {
        pair.partner.act("/v1/jobs/sla_check/run", json!({})).await;
        instants(&pair.end_user).await.iter().all(|(_, _, due)| due.is_some()).then_some(())
    })
    .await;
    let after = both("both clocks to run again", Option::is_some).await;
    assert!(after.iter().zip(&first).all(|(after, first)| after.2 > first.2), "{first:?} {after:?}");
    let dropped = "UPDATE incident SET case_type = 'Unknown' WHERE id = 1";
    pair.partner.execute(dropped).await;
    both("a type that nobody knows to change nothing", Option::is_some).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn m_07_m_08_m_10_a_run_by_hand_says_case_by_case_what_happens_and_does_it_once() {
    let mut site = partner(&format!("{BY_HAND}{WITH_DUE_DATES}"));
    site.start().await;
    old_case(&site, "old").await;
    promised(&site, 2).await;
    for (job, name) in [("sla_check", "mend"), ("due_date_check", "the due date")] {
        let dry = site.command(&["job", "run", job, "--dry-run", "--json"]).json();
        assert_eq!((&dry["found"], &dry["dry_run"]), (&json!(2), &json!(true)), "{dry}");
        let what: Vec<_> = dry["cases"].as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap()).collect();
        assert_eq!(what, ["warn", "violate"]);
        assert!(dry["cases"][1]["why"].as_str().unwrap().contains(name), "{dry}");
    }
    assert_eq!((noted(&site, "warned").await, noted(&site, "violated").await), ((0, 0), (0, 0)), "nothing was changed");
    for (job, expected) in [("sla_check", 1), ("due_date_check", 2)] {
        let last_run = || async {
            let jobs = site.get("/v1/jobs").await.body["jobs"].as_array().unwrap().clone();
            jobs.into_iter().find(|row| row["name"] == job).unwrap()["last_run"].clone()
        };
        let before = last_run().await;
        let done = site.act(&format!("/v1/jobs/{job}/run"), json!({"operator": "anna"})).await;
        assert_ne!(last_run().await, before, "{job}: a run by hand is a run");
        assert_eq!(done["found"], 2, "{done}");
        assert_eq!(site.act(&format!("/v1/jobs/{job}/run"), json!({})).await["found"], 0, "once");
        assert_eq!(
            (noted(&site, "warned").await, noted(&site, "violated").await),
            ((expected, expected), (expected, expected))
        );
    }
    let list = site.command(&["job", "list"]).ok();
    for name in ["auto_close", "due_date_check", "sla_check", "housekeeping", "UTC"] {
        assert!(list.contains(name), "{list}");
    }
    site.command(&["job", "run", "coffee"]).refused(6, &["coffee", "sla_check"]);
    site.command(&["job", "run", "housekeeping", "--dry-run"]).refused(6, &["dry-run"]);
    assert!(site.command(&["job", "run", "housekeeping"]).ok().contains("runs now"));
    eventually("the job to run", || async { (site.log().matches("job=\"housekeeping\"").count() >= 2).then_some(()) })
        .await;
}

/// What the jobs have warned of and what people put to a case is shown at both sites.
#[tokio::test(flavor = "multi_thread")]
async fn m_01_slas_that_were_warned_of_marks_of_the_due_date_and_documents_are_shown_at_both_sites() {
    // Warned of from the first second on.
    let promises = PROMISES
        .replace("warn_before = \"30m\"", "warn_before = \"3599s\"")
        .replace("due_warn_before = \"15m\"", "due_warn_before = \"5399s\"")
        .replace("slas = [\"mend\"]", "slas = [\"mend\", \"some day\"]");
    let some_day = "[[sla]]\nname = \"some day\"\nwithin = \"8h\"\nwarn_before = \"1h\"\n";
    let at_partner = format!("{ACCEPT_ALL}{some_day}{promises}{BY_HAND}{WITH_DUE_DATES}");
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: &at_partner }).await;
    pair.end_user.insert(0, 1).await;
    pair.end_user.step(1, "partner", "open").await;
    let shown = async |site: &Site| site.get("/v1/cases/1").await.body;
    let before = eventually("the promises", || async {
        let case = shown(&pair.partner).await;
        (case["slaInstanceIds"].as_array()?.len() == 2 && case["dueDate"].is_string()).then_some(case)
    })
    .await;
    assert_eq!((&before["messageWarnedSLAs"], &before["documents"]), (&json!([]), &json!([])), "nobody looked yet");
    eventually("what comes near to be noted", || async {
        pair.partner.act("/v1/jobs/sla_check/run", json!({})).await;
        pair.partner.act("/v1/jobs/due_date_check/run", json!({})).await;
        (noted(&pair.partner, "warned").await == (2, 2)).then_some(())
    })
    .await;
    let put = pair.partner.request("PUT", "/v1/cases/1/documents/photo.jpg").header("content-type", "image/jpeg");
    assert_eq!(put.body("fan tray").send().await.unwrap().status(), 200);
    let pool = pair.partner.store().await;
    let mend: String = sqlx::query_scalar("SELECT uid FROM deadline WHERE promise ->> '$.name' = 'mend'")
        .fetch_one(&pool)
        .await
        .unwrap();
    for site in [&pair.end_user, &pair.partner] {
        let case = eventually(&format!("all of it at {}", site.alias), || async {
            let case = shown(site).await;
            (case["markedDueDateWarning"] == true && case["documents"][0]["state"] == "stored").then_some(case)
        })
        .await;
        let warned: Vec<String> = case["messageWarnedSLAs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_str().unwrap().replace('-', ""))
            .collect();
        assert_eq!(warned, [mend.as_str()], "the other one has hours left: {case}");
        assert_eq!(case["markedDueDateExceeded"], false, "{case}");
        assert_eq!(case["slaInstanceIds"].as_array().map(Vec::len), Some(2), "{case}");
        let of = |name: &str| {
            let all = case["slas"].as_array().unwrap();
            all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{case}")).clone()
        };
        for (name, warned) in [("mend", true), ("some day", false)] {
            let sla = of(name);
            let told = (&sla["goal"], &sla["warned"], &sla["missed"]);
            assert_eq!(told, (&json!("solution"), &json!(warned), &json!(false)), "{case}");
            assert!(sla["warnsAt"].as_str() < sla["dueAt"].as_str() && sla["dueAt"].is_string(), "{case}");
        }
        let told = site.command(&["case", "show", "1"]).ok();
        assert!(told.contains("mend: solution due 2") && told.contains(", warned of\n"), "{told}");
        assert!(told.contains("some day: solution due 2") && told.contains(", warning at 2"), "{told}");
        let document = &case["documents"][0];
        assert_eq!(
            (&document["name"], &document["bytes"], &document["mediaType"]),
            (&json!("photo.jpg"), &json!(8), &json!("image/jpeg")),
            "{case}"
        );
        let content = site.request("GET", document["link"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(content.bytes().await.unwrap(), "fan tray");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn m_07_where_no_case_type_is_configured_no_due_date_is_looked_at() {
    let mut site = partner(BY_HAND);
    site.start().await;
    old_case(&site, "old").await;
    promised(&site, 2).await;
    let done = site.act("/v1/jobs/due_date_check/run", json!({})).await;
    assert_eq!(done["found"], 0);
    assert!(done["note"].as_str().unwrap().contains("[job.due_date_check]"), "{done}");
    assert_eq!(noted(&site, "violated").await, (0, 0));
}

/// A dispatcher corrects the type of a case whose due date is over.
#[tokio::test(flavor = "multi_thread")]
async fn m_07_another_type_makes_a_due_date_that_is_warned_of_and_missed_for_itself() {
    let types = "[[case_type]]\nname = \"Slow\"\nprocess = \"Repair\"\ndue_within = \"3h\"\ndue_warn_before = \"90m\"\n\
                 [[case_type]]\nname = \"Free\"\nprocess = \"Repair\"\n\
                 [job.due_date_check]\ncase_types = [\"Chassis\", \"Slow\"]\n";
    let mut site = partner(&format!("{BY_HAND}{types}"));
    site.start().await;
    old_case(&site, "old").await;
    promised(&site, 2).await;
    let run = async || {
        let done = site.act("/v1/jobs/due_date_check/run", json!({})).await;
        done["cases"].as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let shown = async || site.get("/v1/cases/1").await.body;
    let marks = |case: &serde_json::Value| {
        ["markedDueDateWarning", "markedDueDateExceeded"].map(|mark| case[mark].as_bool().unwrap())
    };
    let retyped = async |name: &str| {
        let before = shown().await["dueDate"].clone();
        let body = json!({"caseTypeName": name});
        let done = site.request("PATCH", "/v1/cases/1").json(&body).send().await.unwrap();
        assert_eq!(done.status(), 200);
        eventually("other promises", || async {
            let case = shown().await;
            (case["dueDate"] != before).then_some(case)
        })
        .await
    };
    let breached = async || site.get("/v1/cases?breached=true").await.body["cases"].as_array().unwrap().len();
    let first =
        eventually("what is over to be found", || async { Some(run().await).filter(|found| !found.is_empty()) });
    assert_eq!(first.await, ["warn", "violate"]);
    assert_eq!(marks(&shown().await), [true, true]);
    assert_eq!(breached().await, 1);
    assert_eq!(marks(&retyped("Slow").await), [false, false], "nothing of it has come to pass");
    assert_eq!(breached().await, 0, "what counts no more is no breach");
    assert_eq!(run().await, ["warn"]);
    assert_eq!(marks(&shown().await), [true, false]);
    let free = retyped("Free").await;
    assert_eq!((&free["dueDate"], marks(&free)), (&json!(null), [false, false]));
    assert_eq!(marks(&retyped("Chassis").await), [true, true], "the same promise as before");
    assert_eq!(run().await, Vec::<String>::new(), "it was told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn m_09_a_case_that_fails_stops_the_job_only_where_the_settings_say_so() {
    for (job, settings) in [
        ("sla_check", "[job.sla_check]\ncontinue = false\n"),
        ("due_date_check", "[job.due_date_check]\ncase_types = [\"Chassis\"]\ncontinue = false\n"),
    ] {
        fails_at_one_case(job, settings).await;
    }
}

async fn fails_at_one_case(job: &str, settings: &str) {
    let mut site = partner(&format!("{BY_HAND}{settings}"));
    let run = format!("/v1/jobs/{job}/run");
    site.start().await;
    old_case(&site, "broken").await;
    promised(&site, 2).await;
    old_case(&site, "sound").await;
    promised(&site, 4).await;
    site.execute("UPDATE incident SET form = '{\"nonsense\": 1}' WHERE id = 1").await;
    let stopped = site.act(&run, json!({})).await;
    assert_eq!((&stopped["stopped"], &stopped["found"]), (&json!(true), &json!(0)), "{stopped}");
    assert_eq!(stopped["failed"][0]["incident"], 1);
    assert!(site.log().contains("job_case_failed"));
    site.command(&["job", "run", job]).refused(1, &["stopped before its end", "incident 1", "continue = true"]);
    assert_eq!(noted(&site, "violated").await, (0, 0), "it stopped at the first error");

    site.stop().await;
    site.edit_config("continue = false", "continue = true");
    site.start().await;
    site.command(&["job", "run", job, "--dry-run"]).ok();
    let done = site.act(&run, json!({})).await;
    assert_eq!((&done["stopped"], &done["failed"][0]["incident"]), (&json!(null), &json!(1)), "{done}");
    eventually("the sound case", || async { (noted(&site, "violated").await == (1, 1)).then_some(()) }).await;
}

/// A site dies at each place between a step of the jobs and the next one, and each thing happens once.
#[tokio::test(flavor = "multi_thread")]
async fn m_06_m_08_who_dies_between_two_steps_closes_and_warns_once() {
    for point in
        ["DeadlineFound", "DeadlineNoted", "ClosingsQueued", "CaseClosed", "ClosingSettled", "DeadlinesRefreshed"]
    {
        let mut site = partner(&format!("{ALWAYS}{WITH_DUE_DATES}"));
        site.start().await;
        site.kill();
        old_case(&site, "late").await;
        old_case(&site, "resolved").await;
        site.execute(
            "UPDATE incident SET phase = 'review', state_since = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 hours') WHERE id = 2",
        )
        .await;
        if point == "DeadlinesRefreshed" {
            site.start().await;
            promised(&site, 4).await;
            site.kill();
        }
        site.crash_at(point);
        site.spawn();
        // Any other write computes the deadlines along with its own; this point is passed where none was first.
        for _ in 0..100 {
            if point != "DeadlinesRefreshed" || !site.is_running() {
                break;
            }
            site.execute("INSERT INTO milestone (incident, fact) VALUES (1, '{\"named\":\"Technician on site\"}')")
                .await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        site.exited().await;
        site.start().await;
        eventually(point, || async {
            let closed = site.count("SELECT count(*) FROM incident WHERE state = 'completed'").await == 1;
            let queue = site.count("SELECT count(*) FROM closing WHERE outcome IS NULL").await == 0;
            let missed = noted(&site, "violated").await == (2, 2);
            (closed && queue && missed).then_some(())
        })
        .await;
        assert_eq!(noted(&site, "warned").await, (2, 2), "{point}: the SLA and the due date, once each");
        assert_eq!(site.count("SELECT count(*) FROM history WHERE action = 'auto_closed'").await, 1, "{point}");
        assert_eq!(site.count("SELECT count(*) FROM closing").await, 1, "{point}");
        // The one that was resolved had its solution in time.
        assert_eq!(
            site.count("SELECT count(*) FROM milestone WHERE incident = 2 AND state IS NULL").await,
            0,
            "{point}"
        );
        site.stop().await;
    }
}

/// An auto-close travels as the operation that the tables say.
#[tokio::test(flavor = "multi_thread")]
async fn m_06_a_resolved_case_is_closed_at_both_sites_by_a_close_and_a_reopened_one_is_not() {
    let at_partner = format!("{ACCEPT_ALL}{PROMISES}{BY_HAND}");
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: &at_partner }).await;
    pair.end_user.insert(0, 2).await;
    for id in [1, 2] {
        pair.end_user.step(id, "partner", "open").await;
        pair.partner
            .execute(format!(
                "UPDATE incident SET phase = 'review', solution = 'Reseated', \
                 state_since = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 hours') WHERE id = {id}"
            ))
            .await;
        pair.end_user.when(id, "the solution", |shown| shown["phase"] == "review").await;
    }
    promised(&pair.partner, 4).await;
    let dry = pair.partner.act("/v1/jobs/auto_close/run", json!({"dry_run": true})).await;
    assert_eq!(dry["found"], 2, "{dry}");
    pair.end_user.act("/v1/incidents/2/reopen", json!({"operator": "bob"})).await;
    pair.partner.when(2, "the case to be open again", |shown| shown["phase"] == "initial_support").await;
    assert_eq!(pair.partner.act("/v1/jobs/auto_close/run", json!({})).await["found"], 1);
    pair.end_user.when(1, "the close", |shown| shown["phase"] == "close").await;
    let closed = "SELECT count(*) FROM history WHERE action = 'operation_applied' AND detail LIKE 'close%'";
    assert_eq!(pair.end_user.count(closed).await, 1);
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident WHERE state = 'completed'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn m_06_a_resolved_case_that_does_not_read_is_told_and_closed_once_it_does() {
    let mut site = partner(BY_HAND);
    site.start().await;
    old_case(&site, "one").await;
    promised(&site, 2).await;
    site.execute(
        "UPDATE incident SET phase = 'review', state_since = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 hours') WHERE id = 1",
    )
    .await;
    site.execute("UPDATE incident SET form = '{\"nonsense\": 1}' WHERE id = 1").await;
    for dry_run in [true, false] {
        let told = site.act("/v1/jobs/auto_close/run", json!({"dry_run": dry_run})).await;
        assert_eq!((&told["found"], &told["failed"][0]["incident"]), (&json!(0), &json!(1)), "{told}");
        assert!(told["failed"][0]["reason"].as_str().unwrap().contains("does not read"), "{told}");
    }
    site.execute("UPDATE incident SET form = '{}' WHERE id = 1").await;
    let dry = site.act("/v1/jobs/auto_close/run", json!({"dry_run": true})).await;
    assert!(dry["cases"][0]["why"].as_str().unwrap().ends_with("close after 1h"), "{dry}");
    assert_eq!(site.act("/v1/jobs/auto_close/run", json!({})).await["found"], 1);
    let closed = "SELECT count(*) FROM incident WHERE state = 'completed'";
    eventually("the close", || async { (site.count(closed).await == 1).then_some(()) }).await;
    site.stop().await;
}

/// One that was queued and does not read by then is tried again, however often that takes.
#[tokio::test(flavor = "multi_thread")]
async fn m_06_a_queued_case_that_does_not_read_stays_queued() {
    let mut site = partner(BY_HAND);
    site.start().await;
    old_case(&site, "one").await;
    promised(&site, 2).await;
    site.stop().await;
    site.execute(
        "UPDATE incident SET phase = 'review', state_since = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 hours') WHERE id = 1",
    )
    .await;
    site.execute("UPDATE incident SET form = '{\"nonsense\": 1}' WHERE id = 1").await;
    site.execute(
        "INSERT INTO closing (incident, resolved_at, queued_at, next_at, attempts) \
         SELECT id, state_since, state_since, 0, 99 FROM incident",
    )
    .await;
    site.start().await;
    let later = "SELECT count(*) FROM closing WHERE outcome IS NULL AND next_at > 0 AND reason LIKE '%does not read%'";
    eventually("another try", || async { (site.count(later).await == 1).then_some(()) }).await;
    assert!(!site.log().contains("auto_close_refused"), "nobody refused it");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn m_08_what_stands_still_only_later_by_a_wrong_clock_is_not_missed_before_it_is_due() {
    let mut site = partner(BY_HAND);
    site.start().await;
    site.insert(0, 1).await;
    promised(&site, 2).await;
    // By the clock of a peer's, it was put on hold two hours from now; it is due in one.
    site.execute(
        "INSERT INTO milestone (incident, at, fact) \
         VALUES (1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+2 hours'), '{\"state\":\"on_hold\"}')",
    )
    .await;
    site.act("/v1/jobs/sla_check/run", json!({"dry_run": true})).await;
    let due = "SELECT count(*) FROM deadline WHERE due_at > 1000 * unixepoch() AND stale = 0";
    assert_eq!(site.count(due).await, 2, "both are still to come");
    assert_eq!(site.get("/v1/cases/1").await.body["state"], "on_hold");
    assert_eq!(site.get("/v1/cases?breached=true").await.body["cases"], json!([]));
    site.stop().await;
}
