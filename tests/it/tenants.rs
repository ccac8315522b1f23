//! A tenant can neither read, poll nor guess another's transaction: whatever it asks, the answer is the same, byte
//! for byte, as for a transaction that never was.

use serde_json::{Value, json};

use crate::support::caller::{
    Caller, Reply, SECOND_CLIENT, assert_problem, assert_refused, create_with, exchange, operation, second_client,
    update,
};
use crate::support::pair::partner_config;
use crate::support::wire::free_port;
use crate::support::{Site, eventually};

/// A partner with two clients. North has one incident, accepted and under work, with news that it has not fetched.
struct Tenants {
    partner: Site,
    north: Caller,
    south: Caller,
    /// North's transaction.
    transaction: String,
    /// North's cursor from before the news.
    cursor: String,
}

const NORTHS: u64 = 1;
/// An exchange that nobody ever had.
const NOBODYS: u64 = 0xdead;

impl Tenants {
    async fn start() -> Self {
        let port = free_port();
        let mut partner = Site::new("partner", &partner_config(port, SECOND_CLIENT));
        second_client(&partner);
        partner.start().await;
        let (north, south) = (Caller::north(port), Caller::south(port));
        let transaction = north.create(NORTHS).await;
        let cursor = north.get("/v1/exchanges").await.body["cursor"].as_str().unwrap().to_owned();
        partner
            .act(&format!("/v1/incidents/{transaction}/accept"), json!({"operator": "bert", "comment": "secret"}))
            .await;
        eventually("the news", || async {
            let queued = partner.get("/v1/outbox").await.body["total"] == 1;
            let shown = partner.get(&format!("/v1/incidents/{transaction}")).await.body;
            (queued && shown["standing"] == "created").then_some(())
        })
        .await;
        Self { partner, north, south, transaction, cursor }
    }

    /// Everything that north can see of its exchange, without acknowledging anything.
    async fn as_north_sees_it(&self) -> Vec<Value> {
        let mut seen = Vec::new();
        for path in [
            format!("/v1/transactions/{}", self.transaction),
            format!("/v1/transactions?exchange={}", exchange(NORTHS)),
            format!("/v1/exchanges?after={}", exchange(0)),
            format!("/v1/updates?after={}", self.cursor),
        ] {
            let reply = self.north.get(&path).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
            seen.push(reply.body);
        }
        seen.push(self.partner.get(&format!("/v1/incidents/{}", self.transaction)).await.body);
        seen
    }
}

/// All that a client can tell two answers apart by.
fn told(reply: &Reply) -> (u16, Vec<(String, String)>, &str) {
    let headers = reply.headers.iter().filter(|(name, _)| *name != "date");
    let mut headers: Vec<_> =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    headers.sort();
    (reply.status, headers, &reply.text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_41_another_clients_transaction_is_as_unknown_as_one_that_never_was() {
    let tenants = Tenants::start().await;
    let before = tenants.as_north_sees_it().await;
    let south = &tenants.south;
    assert!(before[0]["case"]["id"].is_string(), "there is something to see: {}", before[0]);

    let theirs = south.get(&format!("/v1/transactions/{}", tenants.transaction)).await;
    for never in ["999999", "0", "-1", "x", "9223372036854775807"] {
        let unknown = south.get(&format!("/v1/transactions/{never}")).await;
        assert_problem(&unknown, 404, "not-found", &[]);
        assert_eq!(told(&theirs), told(&unknown), "{never}");
    }
    let theirs = south.get(&format!("/v1/transactions?exchange={}", exchange(NORTHS))).await;
    let unknown = south.get(&format!("/v1/transactions?exchange={}", exchange(NOBODYS))).await;
    assert_eq!(told(&theirs), told(&unknown));
    assert_eq!(theirs.body, json!({"transactions": []}));

    let empty = south.get("/v1/exchanges").await;
    assert_eq!((&empty.body["exchanges"], &empty.body["more"]), (&json!([]), &json!(false)));
    let around = south.get(&format!("/v1/exchanges?after={}", exchange(NORTHS - 1))).await;
    assert_eq!(told(&around), told(&empty), "not by turning pages either");

    // Nor by polling: from the beginning, or from where north stands.
    let own = empty.body["cursor"].as_str().unwrap();
    let feed = south.get(&format!("/v1/updates?after={own}")).await;
    assert_eq!((feed.status, &feed.body["operations"]), (200, &json!([])));
    let norths_next = tenants.north.get(&format!("/v1/updates?after={}", tenants.cursor)).await.body["cursor"].clone();
    let norths_next = norths_next.as_str().unwrap();
    let (epoch, _) = own.split_once('-').unwrap();
    let theirs = south.get(&format!("/v1/updates?after={norths_next}")).await;
    let future = south.get(&format!("/v1/updates?after={epoch}-77")).await;
    assert_problem(&theirs, 410, "cursor-lost", &[]);
    assert_eq!(told(&theirs), told(&future));
    assert_eq!(tenants.as_north_sees_it().await, before, "and nothing of north's was acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_41_nobody_operates_on_another_clients_exchange() {
    let tenants = Tenants::start().await;
    let before = tenants.as_north_sees_it().await;
    let south = &tenants.south;
    for kind in ["assign", "accept", "update", "resolve", "close", "reject", "cancel", "reopen"] {
        for seq in [1, 2, 3] {
            let operate = |number| south.operate(operation(number, seq, kind, json!({"solution": "mine now"})));
            let (mut theirs, mut unknown) = (operate(NORTHS).await, operate(NOBODYS).await);
            assert_refused(&theirs, 409, "unknown-exchange", &[]);
            // The exchange is repeated as it was asked for; nothing else differs.
            assert_eq!(theirs["exchange"].take(), exchange(NORTHS));
            assert_eq!(unknown["exchange"].take(), exchange(NOBODYS));
            assert_eq!(theirs, unknown, "{kind} {seq}");
        }
    }
    // Something that is wrong in itself is wrong in the same words.
    for wrong in [json!({"kind": "delete"}), json!({"kind": "update", "content": {"solution": "\u{1b}"}})] {
        let operate = |number| south.operate(json!({"exchange": exchange(number), "seq": 2, "operation": wrong}));
        assert_eq!(operate(NORTHS).await["problem"], operate(NOBODYS).await["problem"]);
    }
    assert_eq!(tenants.as_north_sees_it().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_41_a_create_with_anothers_exchange_and_natural_key_opens_an_incident_of_ones_own() {
    let tenants = Tenants::start().await;
    let before = tenants.as_north_sees_it().await;
    let (north, south) = (&tenants.north, &tenants.south);
    // The same exchange and the same host event; only the client is another.
    let mine = south.create(NORTHS).await;
    assert_ne!(mine, tenants.transaction);
    assert_eq!(tenants.partner.count("SELECT count(*) FROM incident").await, 2);
    assert_eq!(tenants.partner.get(&format!("/v1/incidents/{mine}")).await.body["client"], "south");
    assert_eq!(tenants.as_north_sees_it().await, before);

    // From here on the two go their own ways under one name.
    let result = south.operate(update(NORTHS, 2, "south's")).await;
    assert_eq!((&result["outcome"], &result["transaction"]), (&json!("applied"), &json!(mine)));
    assert_eq!(tenants.as_north_sees_it().await, before);
    let result = north.operate(update(NORTHS, 2, "north's")).await;
    assert_eq!((&result["outcome"], &result["transaction"]), (&json!("applied"), &json!(tenants.transaction)));
    let solution = |id: String| {
        let partner = &tenants.partner;
        async move { partner.get(&format!("/v1/incidents/{id}")).await.body["solution"].clone() }
    };
    assert_eq!(solution(mine.clone()).await, "south's");
    assert_eq!(solution(tenants.transaction.clone()).await, "north's");

    tenants.partner.act(&format!("/v1/incidents/{mine}/accept"), json!({"operator": "bert"})).await;
    eventually("south's case", || async {
        let cursor = south.get(&format!("/v1/transactions?exchange={}", exchange(NORTHS))).await;
        (cursor.body["transactions"][0]["step"] == "open").then_some(())
    })
    .await;
    let answer = south.get(&format!("/v1/transactions/{mine}")).await;
    assert_eq!(answer.body["case"]["id"], format!("CASE-{mine}"));
    assert_eq!(south.get("/v1/exchanges").await.body["exchanges"].as_array().unwrap().len(), 1);
    assert_eq!(north.get("/v1/exchanges").await.body["exchanges"].as_array().unwrap().len(), 1);

    // Neither the trace route nor anything else in a Create says who speaks; the credentials do.
    let posing = create_with(3, "/trace_route", json!(["north"]));
    let transaction = south.operate(posing).await["transaction"].as_str().unwrap().to_owned();
    assert_eq!(tenants.partner.get(&format!("/v1/incidents/{transaction}")).await.body["client"], "south");
    assert_problem(&north.get(&format!("/v1/transactions/{transaction}")).await, 404, "not-found", &[]);
}
