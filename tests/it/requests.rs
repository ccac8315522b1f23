//! What anybody who reaches the door can send there: bytes that are nearly HTTP, to a real partner.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::fuzz::{Target, assert_harmless};
use crate::support::Site;
use crate::support::caller::Caller;
use crate::support::pair::partner_config;
use crate::support::wire::free_port;

/// "north:correct horse battery".
const CREDENTIALS: &str = "Authorization: Basic bm9ydGg6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn requests() {
    let target = Target {
        name: "request",
        words: &[
            "GET ",
            "HEAD ",
            "PUT ",
            "POST ",
            "BREW ",
            " HTTP/1.1\r\n",
            " HTTP/1.0\r\n",
            " HTTP/2.0\r\n",
            "\r\n\r\n",
            "Host: a\r\n",
            CREDENTIALS,
            "Authorization: Basic !\r\n",
            "Authorization: Basic bm9ydGg=\r\n",
            "Authorization: Bearer x\r\n",
            "/v1/operations",
            "/v1/transactions?exchange=",
            "/v1/transactions/1",
            "/v1/updates?after=",
            "&wait=0",
            "&limit=0",
            "/v1/exchanges?after=",
            "/v1/digests?after=",
            "/v1/attachments/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855?exchange=00000000000000000000000000000001",
            "/v2/site",
            "/openapi.json",
            "/../",
            "//",
            "?",
            "&",
            "#",
            "00000000000000000000000000000001",
            "Content-Length: 5\r\n",
            "Content-Length: -1\r\n",
            "Transfer-Encoding: chunked\r\n",
            "5\r\nabcde\r\n0\r\n\r\n",
            "Content-Type: application/json\r\n",
            "Content-Range: bytes 0-4/5\r\n",
            "Content-Range: bytes 0-18446744073709551615/18446744073709551615\r\n",
            "Range: bytes=0-\r\n",
            "Expect: 100-continue\r\n",
            "Connection: close\r\n",
            "Connection: Upgrade\r\nUpgrade: h2c\r\n",
            "Content-Encoding: gzip\r\n",
            "{\"operations\":[]}",
        ],
        samples: &[],
        tries: 1500,
    };
    let port = free_port();
    let mut partner = Site::new("partner", &partner_config(port, ""));
    partner.edit_config("[listen]", "[listen]\nmax_wait = \"1s\"\nread_timeout = \"1s\"");
    partner.start().await;
    tokio::task::block_in_place(|| target.run(|bytes| heard(port, bytes)));
    assert_eq!(partner.count("SELECT count(*) FROM incident").await, 0, "nothing of it became an incident");
    assert_eq!(Caller::north(port).get("/v1/site").await.status, 200, "and the partner works");
    let log = partner.log();
    assert!(!log.contains("panic"), "{log}");
    assert!(log.lines().count() < 200, "no request fills the log");
}

/// Sends it and hangs up; what was answered first.
fn heard(port: u16, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // A partner that has heard enough may hang up first.
    let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    if stream.read_to_end(&mut answer).is_err() || answer.is_empty() {
        return "hung up".into();
    }
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(status < 500, "{answer}");
    let is_problem = head.contains("application/problem+json");
    if is_problem && !body.is_empty() {
        assert_harmless(body.split_once("\r\n").map_or(body, |(first, _)| first), 1000);
    }
    format!(
        "{} {}",
        ['a', 'b', 'c', 'd', 'e'][usize::from(status / 100) - 1],
        body.chars().take(300).collect::<String>()
    )
}
