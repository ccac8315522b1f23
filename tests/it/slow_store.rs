//! A partner whose incident store is slow answers "received" once the request is durable; the transaction ID is then
//! polled for by exchange, then the case ID, then updates. The three waits follow each other, and the one poll ends where
//! the next begins.

use serde_json::{Value, json};
use sqlx::Connection;

use crate::support::eventually;
use crate::support::pair::{Plan, SUBMIT_ALL};
use crate::support::relay::{Relayed, creates, operates};

const COUNT: usize = 3;

/// A pair whose partner has received Creates that its store could not take: another program holds it.
async fn received() -> (Relayed, sqlx::SqliteConnection) {
    let mut pair = Relayed::new(Plan { end_user: SUBMIT_ALL, ..Plan::default() }).await;
    pair.partner.edit_config("[listen]", "[listen]\nanswer_within = \"50ms\"");
    pair.partner.edit_config("[store]", "[store]\nbusy_timeout = \"100ms\"");
    pair.run().await;
    let lock = hold(&pair).await;
    pair.end_user.insert(0, COUNT).await;
    for id in 1..=COUNT {
        let exchange = exchange_in(&pair, id, "awaiting_transaction").await;
        let told = exchange["waits_for"].as_str().unwrap();
        assert_eq!(told, "the transaction ID: partner has the Create and has not stored the incident yet");
        assert_eq!(exchange["transaction"], Value::Null);
    }
    (pair, lock)
}

async fn hold(pair: &Relayed) -> sqlx::SqliteConnection {
    let path = pair.partner.path("incidents.db");
    let mut connection = sqlx::SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
    connection
}

async fn release(mut lock: sqlx::SqliteConnection) {
    sqlx::query("ROLLBACK").execute(&mut lock).await.unwrap();
    lock.close().await.unwrap();
}

/// The exchange of an incident at the end user, once it stands in this step.
async fn exchange_in(pair: &Relayed, incident: usize, step: &str) -> Value {
    eventually(&format!("incident {incident} to be {step}"), || async {
        let shown = pair.end_user.get(&format!("/v1/incidents/{incident}")).await.body;
        let exchange = shown["exchanges"][0].clone();
        (exchange["step"] == step).then_some(exchange)
    })
    .await
}

fn polls(pair: &Relayed) -> usize {
    pair.relay.count("/v1/transactions")
}

/// The rest of the way, once the store works again: transaction, case, updates, each once.
async fn completes(pair: &Relayed) {
    for id in 1..=COUNT {
        let exchange = exchange_in(pair, id, "awaiting_case").await;
        assert_eq!(exchange["waits_for"], "the case ID and link: a person at partner decides");
        assert!(exchange["transaction"].is_string(), "{exchange}");
    }
    assert_eq!(pair.opened().await, (COUNT as i64, COUNT as i64));
    let polls_before = polls(pair);
    for id in 1..=COUNT {
        pair.partner.act(&format!("/v1/incidents/{id}/accept"), json!({"operator": "bert"})).await;
    }
    for id in 1..=COUNT {
        let exchange = exchange_in(pair, id, "open").await;
        assert_eq!(exchange["waits_for"], "updates from partner");
    }
    for id in 1..=COUNT {
        pair.partner.act(&format!("/v1/incidents/{id}/close"), json!({"operator": "bert"})).await;
    }
    for id in 1..=COUNT {
        exchange_in(pair, id, "closed").await;
        let shown = pair.end_user.get(&format!("/v1/incidents/{id}")).await.body;
        let told: Vec<&str> =
            shown["history"].as_array().unwrap().iter().filter_map(|line| line["action"].as_str()).collect();
        let told: Vec<&str> = told.into_iter().filter(|action| *action != "operation_postponed").collect();
        assert_eq!(told, ["detected", "submitted", "acknowledged", "case_accepted", "operation_applied"]);
    }
    assert_eq!(polls(pair), polls_before, "with the transaction ID, the poll for it has ended");
    assert_eq!(pair.end_user.get("/v1/parked").await.body["total"], 0);
    assert_eq!(pair.end_user.get("/v1/outbox").await.body["total"], 0);
    assert_eq!(pair.opened().await, (COUNT as i64, COUNT as i64));
}

/// How often each Create was sent.
fn sent(pair: &Relayed) -> usize {
    pair.relay.calls().iter().filter(|call| operates(call)).map(|call| creates(call).len()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_26_received_survives_the_partners_death_and_the_three_waits_follow_each_other() {
    let (mut pair, lock) = received().await;
    assert_eq!(pair.opened().await, (0, 0));
    // The partner dies with what it received, and comes back while its store still cannot take it.
    pair.partner.kill();
    let asked = polls(&pair);
    pair.partner.start().await;
    eventually("the transactions to be asked for again", || async {
        let calls = pair.relay.calls();
        let asked = calls.iter().filter(|call| call.path == "/v1/transactions").skip(asked);
        (asked.filter(|call| call.status == Some(200)).count() >= 2).then_some(())
    })
    .await;
    for id in 1..=COUNT {
        exchange_in(&pair, id, "awaiting_transaction").await;
    }
    assert_eq!(pair.end_user.get("/v1/parked").await.body["total"], 0);
    release(lock).await;
    completes(&pair).await;
    assert_eq!(sent(&pair), COUNT, "each Create was sent once");
    // In the log, one wait after the other, for each.
    let log = pair.end_user.log();
    for id in 1..=COUNT {
        let places: Vec<usize> = ["create_received", "operation_acknowledged", "operation_applied"]
            .iter()
            .map(|event| {
                let exchange = pair_exchange(&log, id);
                let line = |line: &&str| line.contains(&format!("event=\"{event}\"")) && line.contains(&exchange);
                log.lines().position(|text| line(&text)).unwrap_or_else(|| panic!("{event} of {id}: {log}"))
            })
            .collect();
        assert!(places.is_sorted(), "{places:?}");
    }
}

/// The exchange of an incident, as the log names it.
fn pair_exchange(log: &str, id: usize) -> String {
    let mark = format!("event=\"incident_submitted\" incident={id} ");
    let line = log.lines().find(|line| line.contains(&mark)).unwrap();
    line.split("exchange=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn received_survives_the_end_users_death() {
    let (mut pair, lock) = received().await;
    pair.end_user.kill();
    pair.end_user.start().await;
    for id in 1..=COUNT {
        exchange_in(&pair, id, "awaiting_transaction").await;
    }
    release(lock).await;
    completes(&pair).await;
    assert_eq!(sent(&pair), COUNT);
}

#[tokio::test(flavor = "multi_thread")]
async fn received_survives_the_loss_of_the_end_users_state() {
    let (mut pair, lock) = received().await;
    pair.end_user.kill();
    pair.end_user.lose_state();
    pair.end_user.start().await;
    release(lock).await;
    let told = || async { pair.opened().await == (COUNT as i64, COUNT as i64) };
    eventually("the incidents", || async { told().await.then_some(()) }).await;
    for id in 1..=COUNT {
        exchange_in(&pair, id, "awaiting_case").await;
    }
    assert_eq!(pair.opened().await, (COUNT as i64, COUNT as i64));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_received_and_is_lost_with_the_partners_state_is_sent_again() {
    let (mut pair, lock) = received().await;
    pair.partner.kill();
    pair.partner.lose_state();
    release(lock).await;
    pair.partner.start().await;
    completes(&pair).await;
    assert_eq!(sent(&pair), 2 * COUNT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_26_without_a_slow_store_nothing_is_polled_for_apart_from_updates() {
    let pair = Relayed::start(Plan { end_user: SUBMIT_ALL, ..Plan::default() }).await;
    let began = pair.relay.calls().len();
    pair.end_user.insert(0, COUNT).await;
    completes(&pair).await;
    let calls = pair.relay.calls();
    let (updates, others): (Vec<_>, Vec<_>) = calls[began..].iter().partition(|call| call.path == "/v1/updates");
    // What each site signed for goes its own way.
    let others = others.iter().filter(|call| call.path != "/v1/receipts");
    let others: Vec<_> = others.map(|call| (call.method.as_str(), call.path.as_str())).collect();
    assert_eq!(others, [("POST", "/v1/operations")], "one Create for all, and then only updates");
    assert!(updates.iter().all(|call| call.method == "GET" && call.query.contains("wait=2")), "{updates:?}");
}
