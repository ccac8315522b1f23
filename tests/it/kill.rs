//! `kill -9` between any two persistence steps at either site (invariants 1 and 2), and at any other instant.

use std::time::Duration;

use crate::support::attachment::noise;
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::{Pair, Site, eventually};

const COUNT: usize = 20;

#[derive(Clone, Copy, PartialEq)]
enum At {
    EndUser,
    Partner,
}

/// A busy pair in which one site dies at `point`, is started again, and brings everything to its end.
async fn dies(at: At, point: &str) {
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    let partner_config = if point.starts_with("ReceivedCommitted") { "answer_within = \"50ms\"" } else { "" };
    pair.partner.edit_config("[listen]", &format!("[listen]\n{partner_config}"));
    match at {
        At::EndUser => pair.end_user.crash_at(point),
        At::Partner => pair.partner.crash_at(point),
    }
    pair.partner.spawn();
    pair.end_user.spawn();
    // The stores exist from here on, whoever has died already.
    for site in [&pair.end_user, &pair.partner] {
        eventually("the store", || async { site.log().contains("ready").then_some(()) }).await;
    }
    let lock = match point.starts_with("ReceivedCommitted") {
        true => Some(hold_the_store(&pair).await),
        false => None,
    };
    pair.give(COUNT).await;
    let mut touched = false;
    // The comments and solutions come when the cases are open, in case the point lies behind them.
    for _ in 0..3000 {
        let dead = match at {
            At::EndUser => !pair.end_user.is_running(),
            At::Partner => !pair.partner.is_running(),
        };
        if dead {
            break;
        }
        if !touched && pair.all_open(COUNT as i64).await {
            pair.touch().await;
            touched = true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    if let Some(mut connection) = lock {
        sqlx::query("ROLLBACK").execute(&mut connection).await.unwrap();
    }
    let site = match at {
        At::EndUser => &mut pair.end_user,
        At::Partner => &mut pair.partner,
    };
    assert!(!site.is_running(), "{point} was reached");
    site.exited().await;
    site.start().await;
    pair.wait_all_open(COUNT as i64).await;
    if !touched {
        pair.touch().await;
    }
    pair.at_rest(COUNT as i64).await;
    pair.touched_at_rest().await;
}

async fn hold_the_store(pair: &Pair) -> sqlx::SqliteConnection {
    use sqlx::Connection;
    let path = pair.partner.path("incidents.db");
    let mut connection = sqlx::SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
    connection
}

macro_rules! crash_matrix {
    ($($name:ident: $at:ident $point:literal;)+) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            dies(At::$at, $point).await;
        })+
    };
}

crash_matrix! {
    end_user_dies_after_the_deposit: EndUser "DepositStored";
    end_user_dies_after_marking_what_is_held: EndUser "HeldMarked";
    end_user_dies_after_detecting: EndUser "DetectCommitted";
    end_user_dies_after_the_answer_to_create: EndUser "PushAnswered";
    end_user_dies_after_writing_the_transaction_id_back: EndUser "TransactionWrittenBack";
    end_user_dies_after_committing_the_answer: EndUser "AnswerCommitted";
    end_user_dies_after_the_answer_to_an_update: EndUser "PushAnswered:3";
    end_user_dies_before_acknowledging_the_feed: EndUser "FeedAcknowledged:2";
    end_user_dies_after_the_feed_answered: EndUser "FeedAnswered:2";
    end_user_dies_after_writing_the_case_id_back: EndUser "FeedWrittenBack";
    end_user_dies_after_writing_a_solution_back: EndUser "FeedWrittenBack:3";
    end_user_dies_after_committing_the_feed: EndUser "FeedCommitted:2";
    end_user_dies_after_writing_state: EndUser "StateApplied:7";
    end_user_dies_after_syncing_state: EndUser "StateFlushed:8";
    partner_dies_after_opening_the_incidents: Partner "IncidentOpened";
    partner_dies_after_committing_what_it_opened: Partner "OpenCommitted";
    partner_dies_after_keeping_what_the_store_could_not_take: Partner "ReceivedCommitted";
    partner_dies_after_applying_an_update: Partner "OperationApplied";
    partner_dies_after_committing_an_update: Partner "ApplyCommitted";
    partner_dies_after_detecting: Partner "DetectCommitted";
    partner_dies_after_writing_state: Partner "StateApplied:12";
    partner_dies_after_syncing_state: Partner "StateFlushed:13";
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_kills_at_both_sites_loses_and_doubles_nothing() {
    const MANY: usize = 400;
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    let mut next = dice();
    pair.give(MANY / 2).await;
    for round in 0..16 {
        if round == 4 {
            pair.end_user.insert(1000, MANY - MANY / 2).await;
        }
        strike(&mut pair, &mut next).await;
    }
    pair.partner.ready().await;
    pair.end_user.ready().await;
    pair.wait_all_open(MANY as i64).await;
    pair.touch().await;
    pair.at_rest(MANY as i64).await;
    pair.touched_at_rest().await;
}

/// The seed is printed by a failure, and repeats the order of the kills.
fn dice() -> impl FnMut(u64) -> u64 {
    let seed: u64 = std::env::var("CASEBRIDGE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64
    });
    println!("CASEBRIDGE_SEED={seed}");
    let mut random = seed | 1;
    move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    }
}

/// Kills either side, both or none after a moment, and starts it again.
async fn strike(pair: &mut Pair, next: &mut impl FnMut(u64) -> u64) {
    tokio::time::sleep(Duration::from_millis(next(400))).await;
    let (end_user, partner) = (next(3) > 0, next(3) > 0);
    if end_user {
        pair.end_user.kill();
    }
    if partner {
        pair.partner.kill();
    }
    tokio::time::sleep(Duration::from_millis(next(100))).await;
    if partner {
        pair.partner.spawn();
    }
    if end_user {
        pair.end_user.spawn();
    }
}

/// One person's round at a site: a remark, an edit of the last one, a field, a step, a hand-over, the switch, a file.
async fn work_on(site: &Site, count: i64, round: u64, next: &mut impl FnMut(u64) -> u64) {
    let store = site.store().await;
    let say = |sql: &'static str| sqlx::query(sql);
    for incident in 1..=count {
        let text = format!("{} {round}", site.alias);
        let change = match next(13) {
            0 | 1 => say("INSERT INTO comment (incident, author, text) VALUES (?1, 'a person', ?2)"),
            2 => say("UPDATE comment SET text = ?2 WHERE id = (SELECT max(id) FROM comment \
                 WHERE incident = ?1 AND origin IS NULL AND author = 'a person' AND deleted = 0)"),
            3 => say("UPDATE comment SET deleted = 1 WHERE id = (SELECT min(id) FROM comment \
                 WHERE incident = ?1 AND origin IS NULL AND author = 'a person' AND deleted = 0) AND ?2 <> ''"),
            4 => say("UPDATE incident SET solution = ?2 WHERE id = ?1"),
            5 => say("UPDATE incident SET phase = 'review', solution = ?2 WHERE id = ?1 AND phase = 'initial_support'"),
            6 => say("UPDATE incident SET phase = 'initial_support', solution = NULL, completion_code = NULL \
                 WHERE id = ?1 AND phase <> 'initial_support' AND ?2 <> ''"),
            7 => say("UPDATE incident SET phase = 'close' WHERE id = ?1 AND phase = 'review' AND ?2 <> ''"),
            8 => say("UPDATE incident SET assignment = 'partner' WHERE id = ?1 AND ?2 <> ''"),
            9 => say("UPDATE incident SET assignment = 'north' WHERE id = ?1 AND ?2 <> ''"),
            10 => say("UPDATE incident SET active = 0 WHERE id = ?1 AND ?2 <> ''"),
            11 => say("UPDATE incident SET active = 1 WHERE id = ?1 AND ?2 <> ''"),
            _ => {
                site.attach(incident, &format!("{} {}", site.alias, next(3)), &noise(next(u64::MAX), 40_000)).await;
                continue;
            }
        };
        change.bind(incident).bind(text).execute(&store).await.unwrap();
    }
    store.close().await;
}

/// Everything that both sites are to have of every case.
async fn shared_story(site: &Site) -> Vec<String> {
    let store = site.store().await;
    let mut told = Vec::new();
    for sql in [
        "SELECT host_event_id || ' ' || replace(phase, 'escalate', 'initial_support') || ' ' || coalesce(solution, '-') \
           || ' ' || coalesce(case_id, '-') || ' ' || coalesce(case_status, '-') FROM incident",
        "SELECT i.host_event_id || ' ' || c.uid || ' ' || c.edits || ' ' || c.deleted || ' ' || iif(c.deleted, '', c.text) \
           FROM comment c JOIN incident i ON i.id = c.incident WHERE c.author = 'a person'",
        "SELECT i.host_event_id || ' ' || a.name || ' ' || a.state || ' ' || coalesce(a.sha256, '-') \
           FROM attachment a JOIN incident i ON i.id = a.incident",
    ] {
        told.extend(sqlx::query_scalar::<_, String>(sql).fetch_all(&store).await.unwrap());
    }
    store.close().await;
    told.sort();
    told
}

/// For whoever has to find out why two records differ.
async fn how_it_came(site: &Site, event: &str) -> Vec<String> {
    let store = site.store().await;
    let sql = "SELECT i.id || ' ' || h.at || ' ' || h.who || ' ' || h.action || ' ' || coalesce(h.seq, '-') || ' ' || h.detail \
               FROM history h JOIN incident i ON i.id = h.incident WHERE i.host_event_id = ? ORDER BY h.id";
    let mut told: Vec<String> = sqlx::query_scalar(sql).bind(event).fetch_all(&store).await.unwrap();
    let id: i64 = sqlx::query_scalar("SELECT id FROM incident WHERE host_event_id = ?")
        .bind(event)
        .fetch_one(&store)
        .await
        .unwrap();
    store.close().await;
    told.push(site.get(&format!("/v1/incidents/{id}")).await.body["exchanges"].to_string());
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_kills_among_edits_and_files_ends_with_the_same_cases_at_both_sites() {
    const COUNT: i64 = 40;
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    let mut next = dice();
    pair.end_user.insert(0, COUNT as usize).await;
    pair.wait_all_open(COUNT).await;
    for round in 0..12 {
        for side in 0..2 {
            let site = if side == 0 { &pair.end_user } else { &pair.partner };
            work_on(site, COUNT, round, &mut next).await;
        }
        strike(&mut pair, &mut next).await;
    }
    pair.partner.ready().await;
    pair.end_user.ready().await;
    for site in [&pair.end_user, &pair.partner] {
        site.execute("UPDATE incident SET active = 1 WHERE active = 0").await;
    }
    let mut apart = Vec::new();
    for _ in 0..300 {
        let (ours, theirs) = (shared_story(&pair.end_user).await, shared_story(&pair.partner).await);
        let only = |these: &[String], those: &[String], whose: &str| -> Vec<String> {
            these.iter().filter(|line| !those.contains(line)).map(|line| format!("{whose}: {line}")).collect()
        };
        apart = [only(&ours, &theirs, "end user"), only(&theirs, &ours, "partner")].concat();
        if apart.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut story = Vec::new();
    for line in &apart {
        let event = line.split(' ').find(|word| word.starts_with("edge1")).unwrap_or_default();
        for site in [&pair.end_user, &pair.partner] {
            story.extend(how_it_came(site, event).await);
        }
    }
    assert_eq!(apart, Vec::<String>::new(), "both sites have the same: {story:#?}");
    let last = shared_story(&pair.end_user).await;
    for site in [&pair.end_user, &pair.partner] {
        let parked = site.get("/v1/parked").await.body;
        assert_eq!(parked["total"], 0, "{}: {parked}", site.alias);
        assert!(site.log().contains("operation_"), "{} took part", site.alias);
    }
    assert!(last.iter().any(|line| line.contains(" stored ")), "files took part");
    let kinds = "SELECT count(DISTINCT substr(detail, 1, 6)) FROM history WHERE action = 'operation_applied' \
                 AND substr(detail, 1, 6) IN ('assign', 'accept')";
    for site in [&pair.end_user, &pair.partner] {
        assert_eq!(site.count(kinds).await, 2, "cases were handed over to {}, and given back", site.alias);
    }
}
