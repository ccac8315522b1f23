//! What a client may ask, and what a stranger may try: who oversteps is told so and harms no other, and one line a minute
//! says who it was.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::caller::{Caller, SECOND_CLIENT, assert_problem, create, create_with, hear, second_client};
use crate::support::pair::partner_config;
use crate::support::raw::until_closed;
use crate::support::wire::free_port;
use crate::support::{Site, eventually};

/// A partner with these settings in `[listen]`, and these in the section of north.
async fn partner(listen: &str, north: &str) -> (Site, u16) {
    let port = free_port();
    let mut site = Site::new("partner", &partner_config(port, ""));
    second_client(&site);
    site.edit_config("[listen]\n", &format!("[listen]\n{listen}"));
    let client = "password_file = \"password\"\n";
    site.edit_config(client, &format!("{client}{north}{SECOND_CLIENT}"));
    site.start().await;
    (site, port)
}

fn logged(site: &Site, what: &str) -> usize {
    site.log().matches(what).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_too_fast_is_told_when_to_come_back_and_no_other_notices() {
    let (site, port) = partner("", "[client.limits]\nrequests_per_second = 1\nburst = 3\n").await;
    let (north, south) = (Caller::north(port), Caller::south(port));
    let mut replies = Vec::new();
    for _ in 0..20 {
        replies.push(north.get("/v1/site").await);
        assert_eq!(south.get("/v1/site").await.status, 200, "nobody else is held up");
    }
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status != 200).collect();
    assert!(refused.len() >= 10 && replies[..3].iter().all(|reply| reply.status == 200), "{replies:?}");
    for reply in refused {
        assert_problem(reply, 429, "too-many-requests", &["client.limits.requests_per_second"]);
        assert_eq!(reply.headers["retry-after"], "1");
    }
    assert_eq!(logged(&site, "event=\"client_limited\" peer=\"north\""), 1, "{}", site.log());
    // What is refused has no effect, and what waits is taken later.
    let taken = eventually("the next one to be taken", || async {
        let reply = north.post(json!([create(1)])).await;
        (reply.status == 200).then_some(reply)
    })
    .await;
    assert_eq!(taken.body["results"][0]["outcome"], "applied");
    assert_eq!(site.count("SELECT count(*) FROM incident").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_too_many_requests_under_way_is_told_so_and_no_other_notices() {
    let (site, port) = partner("", "[client.limits]\nat_once = 2\n").await;
    let (north, south) = (Caller::north(port), Caller::south(port));
    let cursor = north.get("/v1/exchanges").await.body["cursor"].as_str().unwrap().to_owned();
    // The question below may be the second one under way: whoever is refused for it asks again.
    let wait =
        |caller: Caller, path: String| tokio::spawn(async move { while caller.get(&path).await.status == 429 {} });
    let path = format!("/v1/updates?after={cursor}&wait=600");
    let waiting = [wait(north.clone(), path.clone()), wait(north.clone(), path.clone())];
    let refused = eventually("both to be under way", || async {
        let reply = north.get("/v1/site").await;
        (reply.status == 429).then_some(reply)
    })
    .await;
    assert_problem(&refused, 429, "too-many-requests", &["client.limits.at_once"]);
    assert_eq!(south.get("/v1/site").await.status, 200);
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    eventually("room", || async { (north.get("/v1/site").await.status == 200).then_some(()) }).await;
    assert_eq!(logged(&site, "event=\"client_limited\""), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_a_largest_body_of_its_own() {
    let (_site, port) = partner("", "[client.limits]\nmax_body = \"64 KiB\"\n").await;
    let large = json!([create_with(1, "/event/synopsis", json!("x".repeat(70_000)))]);
    assert_problem(&Caller::north(port).post(large.clone()).await, 413, "too-large", &["65536"]);
    assert_eq!(Caller::south(port).post(large).await.status, 200, "read, and refused for what is in it");
}

/// A caller at another address of this machine.
async fn from(address: &str, port: u16, user: &str, password: &str) -> (u16, Value) {
    let http = reqwest::Client::builder().no_proxy().local_address(Some(address.parse().unwrap())).build().unwrap();
    let request = http.get(format!("http://127.0.0.1:{port}/v1/site")).basic_auth(user, Some(password));
    let reply = hear(request).await;
    (reply.status, json!(reply.headers.get("retry-after").map(|value| value.to_str().unwrap().to_owned())))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_guesses_waits_and_locks_nobody_out() {
    let (site, port) = partner("failures_per_minute = 3\n", "").await;
    let (north, south) = (Caller::north(port), Caller::south(port));
    assert_eq!(north.get("/v1/site").await.status, 200);
    let guess = |number: u32| from("127.0.0.1", port, "north", ["wrong horse", "other horse"][number as usize % 2]);
    for number in 0..3 {
        assert_eq!(guess(number).await.0, 401);
    }
    for number in 0..20 {
        let (status, retry_after) = guess(number).await;
        assert_eq!(status, 429);
        let seconds: u64 = retry_after.as_str().expect("when to come back").parse().unwrap();
        assert!((1..=20).contains(&seconds), "{seconds}");
    }
    // Whoever was let in before goes on, from the same address; whoever was not waits, right or wrong, so that nobody learns
    // anything; and another address does not notice.
    assert_eq!(north.get("/v1/site").await.status, 200);
    assert_problem(&south.get("/v1/site").await, 429, "too-many-requests", &["this address"]);
    assert_eq!(from("127.0.0.2", port, "south", "staple correct horse").await.0, 200);
    assert_eq!(south.get("/v1/site").await.status, 429, "a guess that is right waits like any other");
    assert_eq!(from("127.0.0.2", port, "south", "staple correct horse").await.0, 200);
    assert_eq!(logged(&site, "event=\"client_unauthorized\""), 1, "{}", site.log());
    assert!(site.log().contains("address=\"127.0.0.1\"") && !site.log().contains("wrong horse"));
}

const SLOW: &str = "read_timeout = \"300ms\"\nwrite_timeout = \"400ms\"\n";

async fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_says_nothing_is_cut_off() {
    let (_site, port) = partner(SLOW, "").await;
    assert_eq!(until_closed(&mut connect(port).await).await, b"");
    // And one that goes quiet after a request.
    let mut stream = connect(port).await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(until_closed(&mut stream).await.ends_with(b"ok\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_byte_by_byte_is_cut_off() {
    let (_site, port) = partner(SLOW, "").await;
    let (mut reading, mut writing) = connect(port).await.into_split();
    let dripping = tokio::spawn(async move {
        writing.write_all(b"GET /healthz HTTP/1.1\r\nx: ").await.unwrap();
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut heard = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(30), reading.read_to_end(&mut heard)).await;
    assert!(closed.is_ok() && !heard.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&heard));
    dripping.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_byte_by_byte_is_answered_when_the_time_is_up() {
    let (site, port) = partner(SLOW, "").await;
    let (mut reading, mut writing) = connect(port).await.into_split();
    let head = "POST /v1/operations HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
        authorization: Basic bm9ydGg6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\ncontent-length: 100000\r\n\r\n";
    let dripping = tokio::spawn(async move {
        writing.write_all(head.as_bytes()).await.unwrap();
        while writing.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut heard = vec![0; 4096];
    let count = tokio::time::timeout(Duration::from_secs(30), reading.read(&mut heard)).await.unwrap().unwrap();
    assert!(heard[..count].starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&heard[..count]));
    dripping.abort();
    assert_eq!(site.count("SELECT count(*) FROM incident").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_read_is_cut_off() {
    let (_site, port) = partner(SLOW, "").await;
    let mut stream = connect(port).await;
    // Far more than the machine keeps for it on both ends.
    let requests = "GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n".repeat(2000);
    let start = Instant::now();
    let sending = async {
        let _ = stream.write_all(requests.as_bytes()).await;
    };
    // It does not read, so it is stuck in writing until it is cut off.
    let _ = tokio::time::timeout(Duration::from_secs(20), sending).await;
    let cut = eventually("the end of the connection", || async {
        let error = stream.take_error().ok().flatten();
        let closed = matches!(stream.try_write(b"x"), Err(fault) if fault.kind() != std::io::ErrorKind::WouldBlock);
        (error.is_some() || closed).then_some(())
    });
    cut.await;
    println!("cut off after {:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_so_many_from_one_address_and_another_gets_in() {
    let (site, port) = partner("connections_per_address = 3\nconnections = 8\n", "").await;
    let mut held = Vec::new();
    let mut closed = 0;
    // Which of the first ones gets in is up to the server.
    for _ in 0..6 {
        let mut one = connect(port).await;
        match tokio::time::timeout(Duration::from_secs(1), one.read(&mut [0; 8])).await {
            Ok(Ok(0) | Err(_)) => closed += 1,
            _ => held.push(one),
        }
    }
    assert_eq!((held.len(), closed), (3, 3));
    assert_eq!(from("127.0.0.2", port, "north", "correct horse battery").await.0, 200);
    assert_eq!(logged(&site, "event=\"connections_limited\""), 1, "{}", site.log());
    drop(held);
    eventually("room", || async {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = http.get(format!("http://127.0.0.1:{port}/healthz")).send().await;
        answer.is_ok_and(|answer| answer.status().is_success()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_from_many_addresses_shut_no_client_out_that_was_there_before() {
    let (site, port) = partner("connections = 8\n", "").await;
    assert_eq!(Caller::north(port).get("/v1/site").await.status, 200);
    let mut held = Vec::new();
    for host in 10..30 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("127.0.0.{host}:0").parse().unwrap()).unwrap();
        held.push(socket.connect(format!("127.0.0.1:{port}").parse().unwrap()).await.unwrap());
    }
    eventually("some of them to be closed", || async {
        (logged(&site, "event=\"connections_limited\"") > 10).then_some(())
    })
    .await;
    assert_eq!(Caller::north(port).get("/v1/site").await.status, 200, "with a connection of its own");
    let told = site.command(&["status"]).ok();
    assert!(told.contains("too many connections"), "{told}");
    drop(held);
    eventually("room for whoever is new", || async {
        (from("127.0.0.2", port, "south", "staple correct horse").await.0 == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_everything_again_and_again_is_told_so_and_no_other_waits_for_it() {
    const COUNT: u64 = 1000;
    let (site, port) = partner("", "").await;
    let (north, south) = (Caller::north(port), Caller::south(port));
    let creates: Vec<Value> = (1..=COUNT).map(create).collect();
    assert_eq!(south.post(json!(creates)).await.status, 200);
    eventually("all of them", || async {
        (site.count("SELECT count(*) FROM incident").await == COUNT as i64).then_some(())
    })
    .await;
    for path in ["/v1/digests", "/v1/exchanges?limit=1000"] {
        let asked: Vec<_> = (0..20)
            .map(|_| {
                let south = south.clone();
                tokio::spawn(async move { south.get(path).await })
            })
            .collect();
        assert_eq!(north.get(path).await.status, 200);
        let mut statuses = Vec::new();
        for one in asked {
            let reply = one.await.unwrap();
            if reply.status == 429 {
                assert_problem(&reply, 429, "too-many-requests", &["of one client are answered at once"]);
                assert_eq!(reply.headers["retry-after"], "1");
            }
            statuses.push(reply.status);
        }
        assert!(statuses.contains(&200) && statuses.contains(&429), "{path}: {statuses:?}");
        assert_eq!(south.get(path).await.status, 200, "one after the other they are answered");
    }
    assert_eq!(logged(&site, "event=\"client_limited\" peer=\"south\""), 2, "{}", site.log());
}

/// Bodies within the limits that would become many times as large, or take long to read.
pub fn heavy() -> Vec<String> {
    const BYTES: usize = 15 << 20;
    let repeated = |one: &str| one.repeat(BYTES / one.len());
    let operation = |content: &str| format!("{{\"exchange\":\"{:032x}\",\"seq\":1,\"operation\":{content}}}", 7);
    let batch = |operations: &str| format!("{{\"operations\":[{operations}]}}");
    let large = format!("{{\"kind\":\"update\",\"content\":{{\"solution\":\"{}\"}}}},", "x".repeat(14_000));
    vec![
        batch(&operation(&format!("{{\"content\":[{}0]}}", repeated("0,")))),
        batch(&operation(&format!(
            "{{\"kind\":\"create\",\"content\":{{\"trace_route\":[{}\"a\"]}}}}",
            repeated("\"a\",")
        ))),
        batch(&format!("{}{}", format!("{},", operation("0")).repeat(70_000), operation("0"))),
        batch(&vec![operation(large.trim_end_matches(',')); 1000].join(",")),
        format!("{{\"operations\":[{}", repeated("[")),
        repeated(" "),
    ]
}

/// Posts every one of [`heavy`] several times at once, and says what became of those.
pub async fn burden(caller: &Caller, times: usize) -> Vec<Option<u16>> {
    let mut asking = tokio::task::JoinSet::new();
    for body in std::iter::repeat_n(heavy(), times).flatten() {
        let post = caller.request("POST", "/v1/operations").header("content-type", "application/json");
        asking.spawn(async move { post.body(body).send().await.ok().map(|answer| answer.status().as_u16()) });
    }
    asking.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_have_so_much_room_and_a_small_request_waits_for_none_of_it() {
    let (site, port) = partner("", "").await;
    let (north, south) = (Caller::north(port), Caller::south(port));
    let burdened = tokio::spawn(async move { burden(&north, 3).await });
    for _ in 0..50 {
        assert_eq!(south.get("/v1/site").await.status, 200);
    }
    let statuses = burdened.await.unwrap();
    let allowed = [200, 400, 408, 422, 429, 503].map(Some);
    assert!(statuses.iter().all(|status| allowed.contains(status) || status.is_none()), "{statuses:?}");
    assert!(statuses.iter().any(|status| matches!(status, Some(400 | 422))), "{statuses:?}");
    let most = crate::hostile::most_memory(&site);
    println!("{} MiB, {statuses:?}", most >> 20);
    assert!(most < 192 << 20, "{most} bytes");
    assert_eq!(site.count("SELECT count(*) FROM incident").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_too_many_values_and_a_head_that_is_too_long_are_refused() {
    let (_site, port) = partner("", "").await;
    let north = Caller::north(port);
    let zeros = json!([{"exchange": "1", "seq": 1, "operation": vec![0; 400_001]}]);
    assert_problem(&north.post(zeros).await, 400, "bad-request", &["more than 400000 values"]);
    assert_problem(
        &north.post(json!(vec![create(1); 1001])).await,
        422,
        "batch-limit",
        &["1 to 1000", "this one more"],
    );
    let mut stream = connect(port).await;
    let head = format!("GET /healthz HTTP/1.1\r\nhost: a\r\nx: {}", "x".repeat(200_000));
    let _ = stream.write_all(head.as_bytes()).await;
    let heard = until_closed(&mut stream).await;
    assert!(heard.is_empty() || heard.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&heard));
}
