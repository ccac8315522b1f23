//! The connection test: each thing that can be wrong between two sites has a reason and a remedy of its own. And
//! TLS between them: certificates, their authority, their renewal.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::certificates::{Authority, Pem};
use crate::support::command::Done;
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::site::write_secret;
use crate::support::wire::free_port;
use crate::support::{Pair, eventually};

/// A pair that is to speak TLS, neither started.
pub async fn over_tls(plan: Plan<'_>, certificate: &Pem, authority: &str) -> Pair {
    let pair = Pair::new(plan).await;
    serve(&pair, certificate);
    pair.partner.edit_config("[[client]]", "[listen.tls]\ncertificate = \"chain.pem\"\nkey = \"key.pem\"\n[[client]]");
    trust(&pair, authority);
    pair.end_user.edit_config("url = \"http://", "ca_file = \"ca.pem\"\nurl = \"https://");
    pair
}

/// Puts the files in place that the partner serves.
pub fn serve(pair: &Pair, certificate: &Pem) {
    std::fs::write(pair.partner.path("chain.pem"), &certificate.certificate).unwrap();
    write_secret(&pair.partner.path("key.pem"), &certificate.key);
}

/// Puts the file in place that the end user trusts.
pub fn trust(pair: &Pair, authority: &str) {
    std::fs::write(pair.end_user.path("ca.pem"), authority).unwrap();
}

fn point_at(pair: &Pair, url: &str) {
    pair.end_user.edit_config(&format!("http://127.0.0.1:{}", pair.wire.port()), url);
}

pub fn test_peer(pair: &Pair) -> Done {
    pair.end_user.command(&["test-peer"])
}

/// What every failed test says: the peer, the reason, what to look at.
pub fn failed(done: Done, reason: &str, remedy: &str) {
    let done = done.refused(5, &["partner at http", "failed the test", reason, remedy]);
    assert_eq!((done.out.as_str(), done.err.lines().count()), ("", 1), "{}", done.err);
    assert!(!done.err.contains("correct horse"), "{}", done.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_works_is_told_with_name_version_and_clock() {
    let mut pair = Pair::new(Plan::default()).await;
    pair.partner.start().await;
    let text = test_peer(&pair).ok();
    for part in ["Success", "partner at http://127.0.0.1:", "knows us as  north", "protocol 1.", "its clock"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("warning"), "{text}");
    let value = pair.end_user.command(&["test-peer", "--json"]).json();
    assert_eq!(
        (&value["ok"], &value["site"]["client"], &value["warnings"]),
        (&json!(true), &json!("north"), &json!([]))
    );
    // Another name than agreed on works, and is warned of.
    pair.end_user.edit_config("alias = \"partner\"", "alias = \"vendor\"");
    let text = test_peer(&pair).ok();
    assert!(text.contains("warning: the site calls itself partner, and [upstream] calls it vendor"), "{text}");
    // A site without an upstream has nothing to test.
    pair.partner.command(&["test-peer"]).refused(3, &["there is no site above to test", "add the section"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_user_are_told_alike() {
    let mut pair = Pair::new(Plan::default()).await;
    pair.partner.start().await;
    write_secret(&pair.end_user.path("password"), "another horse");
    let refusal = "does not accept our user name and password";
    failed(test_peer(&pair), refusal, "check `user` and `password_file`");
    write_secret(&pair.end_user.path("password"), "correct horse battery");
    pair.end_user.edit_config("user = \"north\"", "user = \"nobody\"");
    failed(test_peer(&pair), refusal, "check `user` and `password_file`");
    let done = pair.end_user.command(&["test-peer", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(value["ok"], false);
    assert!(value["reason"].as_str().unwrap().contains(refusal), "{value}");
    assert_eq!(done.code, 5);
    assert!(!pair.partner.log().contains("another horse"), "what was tried is not logged");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_host_is_told() {
    let pair = Pair::new(Plan::default()).await;
    point_at(&pair, "https://partner.invalid:8443");
    failed(test_peer(&pair), "the host name is unknown", "check `url` in [upstream] and the name service");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_where_nobody_listens_is_told() {
    let pair = Pair::new(Plan::default()).await;
    point_at(&pair, &format!("http://127.0.0.1:{}", free_port()));
    failed(test_peer(&pair), "nobody answers there (Connection refused", "is the peer's daemon running");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_told_at_both_ends() {
    let authority = Authority::new("Test CA");
    let mut pair = over_tls(Plan::default(), &authority.issue("127.0.0.1", 2021), authority.pem()).await;
    pair.partner.start().await;
    failed(test_peer(&pair), "the peer's certificate has expired", "its operator has to renew it");
    // Once at each start, however lately it looked before.
    for starts in 1..=2 {
        eventually("the partner to notice by itself", || async {
            (pair.partner.log().matches("event=\"certificate_expired\"").count() == starts).then_some(())
        })
        .await;
        pair.partner.stop().await;
        pair.partner.start().await;
    }
    let warned = pair.partner.command(&["check-config"]).ok();
    assert!(warned.contains("warning: [listen.tls] certificate ended on 2021-01-01"), "{warned}");
    let warned = pair.partner.command(&["check-config", "--json"]).json();
    assert_eq!(warned["warnings"].as_array().map(Vec::len), Some(1), "{warned}");
}

/// Files that do not fit are found before the start, by the words that the start would have.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_keys_that_do_not_fit_are_told_by_check_config() {
    let authority = Authority::new("Test CA");
    let (one, other) = (authority.issue("127.0.0.1", 2090), authority.issue("127.0.0.1", 2090));
    let pair = over_tls(Plan::default(), &one, authority.pem()).await;
    let garbage = |kind: &str| format!("-----BEGIN {kind}-----\nZ2FyYmFnZQ==\n-----END {kind}-----\n");
    assert!(pair.partner.command(&["check-config"]).ok().contains("is sound"));
    let mismatch = ["do not belong together", "name the key that the first certificate of the file was made with"];
    let rows = [
        (one.certificate.clone(), other.key.clone(), mismatch),
        (garbage("CERTIFICATE"), one.key.clone(), ["the certificate cannot be read", "in PEM form"]),
        (one.certificate.clone(), garbage("PRIVATE KEY"), ["the key cannot be read", "in PEM form"]),
    ];
    for (certificate, key, said) in rows {
        serve(&pair, &Pem { certificate, key });
        let said = [&said[..], &["[listen.tls] cannot be used", "chain.pem", "key.pem"]].concat();
        let told = pair.partner.command(&["check-config"]).refused(3, &said).err;
        assert!(pair.partner.command(&["run"]).refused(3, &said).err.ends_with(&told), "{told}");
    }

    let keys = "[upstream]\ncertificate_file = \"client.pem\"\nkey_file = \"client-key.pem\"\n";
    pair.end_user.edit_config("[upstream]\n", keys);
    std::fs::write(pair.end_user.path("client.pem"), &one.certificate).unwrap();
    write_secret(&pair.end_user.path("client-key.pem"), &one.key);
    assert!(pair.end_user.command(&["check-config"]).ok().contains("is sound"));
    write_secret(&pair.end_user.path("client-key.pem"), &other.key);
    let said = ["`certificate_file` and `key_file` in [upstream]", mismatch[0], mismatch[1]];
    for (command, code) in [("check-config", 3), ("run", 3), ("test-peer", 5)] {
        let done = pair.end_user.command(&[command]).refused(code, &said);
        assert!(!done.err.contains("serve TLS"), "{}", done.err);
    }
    write_secret(&pair.end_user.path("client-key.pem"), &one.key);
    trust(&pair, &garbage("CERTIFICATE"));
    pair.end_user.command(&["check-config"]).refused(3, &["`ca_file` in [upstream]", "cannot be read"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_authority_that_serves_a_host_is_told() {
    let own = Authority::serving("127.0.0.1");
    let mut pair = over_tls(Plan::default(), &own, &own.certificate).await;
    pair.partner.start().await;
    failed(test_peer(&pair), "one of an authority (CA:TRUE)", "another one, with basicConstraints=critical,CA:FALSE");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_untrusted_certificate_is_told_and_the_right_authority_helps() {
    let authority = Authority::new("Test CA");
    let other = Authority::new("Other CA");
    let mut pair = over_tls(Plan::default(), &authority.issue("127.0.0.1", 2090), other.pem()).await;
    pair.partner.start().await;
    failed(test_peer(&pair), "the peer's certificate is not trusted", "set `ca_file` in [upstream]");
    eventually("the other end to tell it", || async {
        let log = pair.partner.log();
        (log.contains("event=\"handshake_failed\"") && log.contains("UnknownCA")).then_some(())
    })
    .await;
    trust(&pair, authority.pem());
    assert!(test_peer(&pair).ok().contains("Success"));
    // Without a file of its own, the system's authorities count, and this one is not among them.
    pair.end_user.edit_config("ca_file = \"ca.pem\"", "");
    failed(test_peer(&pair), "the peer's certificate is not trusted", "set `ca_file` in [upstream]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_host_is_told() {
    let authority = Authority::new("Test CA");
    let mut pair = over_tls(Plan::default(), &authority.issue("other.example", 2090), authority.pem()).await;
    pair.partner.start().await;
    failed(test_peer(&pair), "the peer's certificate is for another name", "check the host in `url`");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_on_one_side_only_is_told() {
    let authority = Authority::new("Test CA");
    let mut pair = over_tls(Plan::default(), &authority.issue("127.0.0.1", 2090), authority.pem()).await;
    pair.partner.edit_config("[listen.tls]\ncertificate = \"chain.pem\"\nkey = \"key.pem\"\n", "");
    pair.partner.start().await;
    failed(test_peer(&pair), "the encrypted connection failed", "does the peer serve TLS there?");
    pair.partner.kill();
    pair.partner.edit_config("[[client]]", "[listen.tls]\ncertificate = \"chain.pem\"\nkey = \"key.pem\"\n[[client]]");
    pair.end_user.edit_config("url = \"https://", "url = \"http://");
    pair.partner.start().await;
    failed(test_peer(&pair), "the connection broke off", "is it the peer's daemon that listens there");
}

/// A server that answers every request with these bytes; none at all when there are none.
async fn answering(bytes: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                if stream.read(&mut request).await.is_ok_and(|count| count > 0) && !bytes.is_empty() {
                    let _ = stream.write_all(&bytes).await;
                    let _ = stream.shutdown().await;
                }
                // The other end hangs up.
                while stream.read(&mut request).await.is_ok_and(|count| count > 0) {}
            });
        }
    });
    port
}

fn http(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_of_the_protocol_is_told() {
    let site = json!({"alias": "partner", "client": "north", "version": "9.0.0", "protocol": "2.0",
        "time": "2026-11-21T12:00:00Z", "capabilities": []});
    let pair = Pair::new(Plan::default()).await;
    let port = answering(http("200 OK", "application/json", &site.to_string())).await;
    point_at(&pair, &format!("http://127.0.0.1:{port}"));
    failed(test_peer(&pair), "the peer speaks protocol 2.0, we speak 1.", "one of the two has to be updated");

    // Older sites say their version and nothing else.
    for detail in ["3.1", "v1 was asked for; this site speaks 3.1"] {
        let pair = Pair::new(Plan::default()).await;
        let problem =
            json!({"type": "urn:casebridge:problem:unknown-version", "title": "x", "status": 404, "detail": detail});
        let port = answering(http("404 Not Found", "application/problem+json", &problem.to_string())).await;
        point_at(&pair, &format!("http://127.0.0.1:{port}"));
        failed(test_peer(&pair), "the peer speaks protocol 3.1, we speak 1.", "one of the two has to be updated");
    }
    // A newer minor version is no trouble.
    let mut newer = site.clone();
    newer["protocol"] = json!("1.7");
    newer["time"] = json!("2020-01-01T00:00:00Z");
    newer["something_new"] = json!(true);
    let pair = Pair::new(Plan::default()).await;
    let port = answering(http("200 OK", "application/json", &newer.to_string())).await;
    point_at(&pair, &format!("http://127.0.0.1:{port}"));
    let text = test_peer(&pair).ok();
    assert!(text.contains("protocol 1.7") && text.contains("warning: the clocks differ by -"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn something_that_is_not_casebridge_is_told() {
    let page = "<html><body>It works!</body></html>";
    let rows = [
        (http("200 OK", "text/html", page), "the answer is not casebridge's protocol", "check `url`"),
        (
            http("404 Not Found", "text/html", page),
            "answered with status 404 Not Found, and no problem document",
            "is that casebridge?",
        ),
        (http("302 Found", "text/html", ""), "answered with status 302", "is that casebridge?"),
        (
            http("200 OK", "application/json", "{\"alias\": \"\\u001b[2J\"}"),
            "at `alias`: holds the control character",
            "check `url`",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "the connection broke off", "is it the peer's daemon"),
        (Vec::new(), "no answer in time", "the peer is slow or the network loses packets"),
    ];
    for (answer, reason, remedy) in rows {
        let pair = Pair::new(Plan::default()).await;
        pair.end_user.edit_config("timeout = \"2s\"", "timeout = \"500ms\"");
        pair.end_user.edit_config("timeout = \"5s\"", "timeout = \"500ms\"");
        point_at(&pair, &format!("http://127.0.0.1:{}", answering(answer).await));
        let done = test_peer(&pair);
        assert!(!done.err.contains('\u{1b}'), "{}", done.err);
        failed(done, reason, remedy);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_incident_goes_over_tls() {
    let authority = Authority::new("Test CA");
    let plan = Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL };
    let mut pair = over_tls(plan, &authority.issue("127.0.0.1", 2090), authority.pem()).await;
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.give(20).await;
    pair.wait_all_open(20).await;
    pair.touch().await;
    pair.at_rest(20).await;
    pair.touched_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_served_after_a_reload() {
    let (old, new) = (Authority::new("Old CA"), Authority::new("New CA"));
    let plan = Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL };
    let mut pair = over_tls(plan, &old.issue("127.0.0.1", 2090), old.pem()).await;
    pair.partner.start().await;
    assert!(test_peer(&pair).ok().contains("Success"));
    let reload = async |count: usize| {
        pair.partner.signal("HUP");
        eventually("the reload", || async {
            (pair.partner.log().matches("event=\"reloaded\"").count() == count).then_some(())
        })
        .await;
    };

    // What does not read changes nothing, and is said.
    std::fs::write(pair.partner.path("chain.pem"), "no certificate").unwrap();
    reload(1).await;
    assert!(pair.partner.log().contains("event=\"tls_not_reloaded\""), "{}", pair.partner.log());
    assert!(test_peer(&pair).ok().contains("Success"), "the old one is still served");

    serve(&pair, &new.issue("127.0.0.1", 2090));
    reload(2).await;
    failed(test_peer(&pair), "the peer's certificate is not trusted", "set `ca_file`");
    trust(&pair, new.pem());
    assert!(test_peer(&pair).ok().contains("Success"), "the new one is served");
    pair.end_user.start().await;
    pair.give(5).await;
    pair.at_rest(5).await;
}
