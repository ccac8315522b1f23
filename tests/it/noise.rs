//! What a peer does again and again: one line a minute says so, and it is asked ever more seldom.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::support::caller::{Caller, exchange, operation};
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL, end_user_config, partner_config};
use crate::support::raw::{Server, json as answer};
use crate::support::relay::{Relayed, Said, Twist};
use crate::support::wire::free_port;
use crate::support::{Site, eventually};

/// Lines of this event that an operator sees; what is written for whoever searches does not count.
fn told(site: &Site, event: &str) -> usize {
    let event = format!("event=\"{event}\"");
    site.log().lines().filter(|line| line.contains(&event) && !line.contains(" DEBUG ")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_operations_that_are_refused_are_one_line() {
    let port = free_port();
    let mut site = Site::new("partner", &partner_config(port, ""));
    site.start().await;
    let north = Caller::north(port);
    let mut looped = crate::support::caller::create(5000);
    looped["operation"]["content"]["trace_route"] = json!(["north", "partner"]);
    for _ in 0..3 {
        let mut batch: Vec<Value> =
            (0..900).map(|number| operation(number, 2, "update", json!({"comment": "x"}))).collect();
        batch.extend((0..90).map(|number| operation(number, 1, "nonsense", json!({}))));
        batch.extend((0..10).map(|number| {
            let mut one = looped.clone();
            one["exchange"] = json!(exchange(5000 + number));
            one
        }));
        let reply = north.post(json!(batch)).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let refused = reply.body["results"].as_array().unwrap().iter().filter(|one| one["outcome"] == "refused");
        assert_eq!(refused.count(), 1000);
    }
    assert_eq!((told(&site, "operation_refused"), told(&site, "loop_refused")), (1, 1));
}

/// A pair with one open case, and what its exchange is called.
async fn open_case() -> (Relayed, String) {
    let pair = Relayed::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 1).await;
    pair.open(1).await;
    let shown = pair.end_user.get("/v1/incidents/1").await.body;
    (pair, shown["exchanges"][0]["exchange"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_has_a_fault_each_time_is_left_alone_longer_and_longer() {
    /// Far more than an honest outage of a moment comes to.
    const ATTEMPTS: u64 = 5;
    let gap = |exchange: &str| {
        let stray = json!({"exchange": exchange, "seq": 99, "transaction": "1", "operation": {}});
        Said::plain(200, &json!({"cursor": "0-1", "operations": [stray]}).to_string())
            .with("content-type", "application/json")
    };
    let lost = |_: &str| Said::problem(410, "cursor-lost", "another feed");
    let gone = |_: &str| Said::plain(410, "gone");
    type Fault<'f> = &'f dyn Fn(&str) -> Said;
    for (fault, event) in [(&gap as Fault, "feed_gap"), (&lost, "feed_restarted"), (&gone, "peer_down")] {
        let (pair, exchange) = open_case().await;
        let said = fault(&exchange);
        let lists = pair.relay.count("/v1/exchanges");
        pair.relay.twist(move |call| match call.path == "/v1/updates" {
            true => Twist::Say(said.clone()),
            false => Twist::Pass,
        });
        eventually("the back-off to grow", || async {
            let peer = pair.end_user.get("/v1/status").await.body["peers"][0].clone();
            (peer["attempts"].as_u64()? >= ATTEMPTS).then_some(())
        })
        .await;
        assert_eq!(told(&pair.end_user, event), 1, "{event}");
        assert!(told(&pair.end_user, "peer_down") <= 1 && told(&pair.end_user, "peer_up") <= 2, "{event}");
        let lists = pair.relay.count("/v1/exchanges") - lists;
        assert!(lists as u64 <= 2 * ATTEMPTS + 4, "{event}: read anew {lists} times");
        pair.relay.pass();
        pair.partner.act("/v1/incidents/1/update", json!({"comment": "on its way", "operator": "bert"})).await;
        eventually("the comment", || async {
            (pair.end_user.count("SELECT count(*) FROM comment").await == 1).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_unknown_exchanges_is_one_line_and_has_an_end() {
    const PAGE: u64 = 500;
    let next = AtomicU64::new(0);
    let server = Server::start(move |request| {
        let asked = request.split(' ').nth(1).unwrap_or_default();
        if !asked.starts_with("/v1/exchanges") {
            return answer(&json!({"alias": "partner", "client": "north", "version": "0.1.0", "protocol": "1.1",
                "time": jiff::Timestamp::now().to_string(), "capabilities": []}));
        }
        let first = next.fetch_add(PAGE, Ordering::SeqCst);
        let one = |number: u64| {
            json!({"exchange": exchange(number + 1), "incident": 1, "step": "open", "applied": 0, "sent": 0,
                "record": {}})
        };
        let exchanges: Vec<Value> = (first..first + PAGE).map(one).collect();
        answer(&json!({"cursor": "a-1", "exchanges": exchanges, "more": true}))
    })
    .await;
    let mut site = Site::new("north", &end_user_config(server.port, SUBMIT_ALL));
    site.start().await;
    eventually("the end of it", || async { site.log().contains("that nobody here knows").then_some(()) }).await;
    assert_eq!((told(&site, "exchange_orphaned"), told(&site, "peer_down")), (1, 1), "{}", site.log());
    assert_eq!(site.log().lines().filter(|line| line.len() > 2000).count(), 0, "the first of them are named");
}
