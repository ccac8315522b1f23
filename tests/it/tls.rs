//! TLS between two sites: intermediates, certificates of clients, their renewal, and warnings before they end.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::peer_test::{failed, over_tls, serve, test_peer, trust};
use crate::support::certificates::{Authority, Pem, in_days};
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL, partner_config};
use crate::support::raw::until_closed;
use crate::support::site::write_secret;
use crate::support::wire::free_port;
use crate::support::{Pair, Site, eventually};

const BUSY: Plan<'static> = Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL };
const LOGIN: &str = "user = \"north\"\npassword_file = \"password\"\n";

/// A pair in which the partner knows the authority of clients, and north is bound to a name; north shows this certificate.
async fn mutual(clients: &Authority, shown: &Pem, client_keys: &str) -> Pair {
    let authority = Authority::new("Partner CA");
    let pair = over_tls(BUSY, &authority.issue("127.0.0.1", 2090), authority.pem()).await;
    std::fs::write(pair.partner.path("clients.pem"), clients.pem()).unwrap();
    pair.partner.edit_config("key = \"key.pem\"\n", "key = \"key.pem\"\nclient_ca_file = \"clients.pem\"\n");
    pair.partner.edit_config(LOGIN, &format!("{client_keys}certificate_name = \"north.example\"\n"));
    show(&pair.end_user, shown);
    pair.end_user
        .edit_config("[upstream]\n", "[upstream]\ncertificate_file = \"client.pem\"\nkey_file = \"client-key.pem\"\n");
    pair
}

fn show(end_user: &Site, certificate: &Pem) {
    std::fs::write(end_user.path("client.pem"), &certificate.certificate).unwrap();
    write_secret(&end_user.path("client-key.pem"), &certificate.key);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_with_intermediates_is_served_and_trusted_by_its_root() {
    let root = Authority::new("Root");
    let middle = root.intermediate("Middle");
    let leaf = middle.issue("127.0.0.1", 2090);
    let chain = Pem { certificate: format!("{}{}", leaf.certificate, middle.pem()), key: leaf.key };
    let mut pair = over_tls(BUSY, &chain, root.pem()).await;
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 2).await;
    pair.wait_all_open(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_bound_to_a_certificate_is_nobody_without_it() {
    let clients = Authority::new("Clients CA");
    let mut pair = mutual(&clients, &clients.issue("north.example", 2090), LOGIN).await;
    pair.partner.start().await;
    assert!(test_peer(&pair).ok().contains("knows us as  north"));
    // The right password with a certificate for another, of the same authority.
    show(&pair.end_user, &clients.issue("south.example", 2090));
    failed(test_peer(&pair), "does not accept our user name and password, token or certificate", "check `user`");
    // And with none.
    pair.end_user.edit_config("certificate_file = \"client.pem\"\nkey_file = \"client-key.pem\"\n", "");
    failed(test_peer(&pair), "does not accept our user name and password, token or certificate", "check `user`");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_alone_is_enough_where_that_was_agreed_on_and_another_authoritys_is_not() {
    let clients = Authority::new("Clients CA");
    let mut pair = mutual(&clients, &clients.issue("North.Example", 2090), "").await;
    pair.end_user.edit_config(LOGIN, "");
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 2).await;
    pair.wait_all_open(2).await;
    show(&pair.end_user, &Authority::new("Clients CA").issue("north.example", 2090));
    let done = test_peer(&pair);
    assert_eq!(done.code, 5, "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_certificate_that_ends_soon_is_warned_of_at_both_ends() {
    let clients = Authority::new("Clients CA");
    let mut pair = mutual(&clients, &clients.issue_until("north.example", in_days(9)), LOGIN).await;
    let authority = Authority::new("Partner CA");
    serve(&pair, &authority.issue_until("127.0.0.1", in_days(11)));
    trust(&pair, authority.pem());
    pair.partner.start().await;
    pair.end_user.start().await;
    let rows = [
        (&pair.partner, "[listen.tls] certificate ends in 10 days"),
        (&pair.partner, "the certificate that north shows ends in 8 days"),
        (&pair.end_user, "the certificate that partner shows ends in 10 days"),
        (&pair.end_user, "[upstream] certificate_file ends in 8 days"),
    ];
    for (site, warning) in rows {
        eventually(warning, || async {
            site.get("/v1/status").await.body["warnings"].to_string().contains(warning).then_some(())
        })
        .await;
    }
    for (site, certificate) in [
        (&pair.partner, "[listen.tls] certificate"),
        (&pair.partner, "the certificate that north shows"),
        (&pair.end_user, "the certificate that partner shows"),
        (&pair.end_user, "[upstream] certificate_file"),
    ] {
        eventually(certificate, || async {
            let line = format!("event=\"certificate_expires\" certificate=\"{certificate}\"");
            site.log().contains(&line).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn renewed_certificates_count_at_both_ends_without_a_signal() {
    let (old, new) = (Authority::new("Old CA"), Authority::new("New CA"));
    let mut pair = over_tls(BUSY, &old.issue("127.0.0.1", 2090), old.pem()).await;
    for site in [&pair.end_user, &pair.partner] {
        site.edit_config("[site]\n", "[site]\nreread_secrets = \"50ms\"\n");
    }
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 2).await;
    pair.wait_all_open(2).await;
    // Both authorities are trusted for a while.
    trust(&pair, &format!("{}{}", old.pem(), new.pem()));
    let reread = async |site: &Site| {
        eventually("the files to be read again", || async {
            site.log().contains("event=\"secrets_reread\"").then_some(())
        })
        .await;
    };
    reread(&pair.end_user).await;
    serve(&pair, &new.issue("127.0.0.1", 2090));
    reread(&pair.partner).await;
    trust(&pair, new.pem());
    eventually("the new one to be served and trusted", || async { (test_peer(&pair).code == 0).then_some(()) }).await;
    pair.end_user.insert(10, 2).await;
    pair.wait_all_open(4).await;
    assert!(!pair.end_user.log().contains("peer_down"), "{}", pair.end_user.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_authority_was_withdrawn_is_nobody_on_its_open_connection_too() {
    let (old, new) = (Authority::new("Clients CA"), Authority::new("Other CA"));
    let shown = old.issue("north.example", 2090);
    let mut pair = mutual(&old, &shown, "").await;
    pair.partner.edit_config("[site]\n", "[site]\nreread_secrets = \"50ms\"\n");
    pair.partner.start().await;
    // One connection for all of them.
    let identity = format!("{}{}", shown.certificate, shown.key);
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_danger_accept_invalid_certs(true)
        .identity(reqwest::Identity::from_pem(identity.as_bytes()).unwrap())
        .build()
        .unwrap();
    let url = format!("https://127.0.0.1:{}/v1/site", pair.wire.target_port());
    let ask = async || {
        let answer = http.get(&url).send().await.ok()?;
        let closes = answer.headers().get("connection").is_some_and(|value| value == "close");
        let status = answer.status().as_u16();
        let _ = answer.bytes().await;
        Some((status, closes))
    };
    assert_eq!(ask().await, Some((200, false)));
    // The old one counts beside the new one: nobody notices.
    let rereads = || pair.partner.log().matches("event=\"secrets_reread\"").count();
    std::fs::write(pair.partner.path("clients.pem"), format!("{}{}", old.pem(), new.pem())).unwrap();
    eventually("both to count", || async { (rereads() == 1).then_some(()) }).await;
    assert_eq!(ask().await, Some((200, false)));
    std::fs::write(pair.partner.path("clients.pem"), new.pem()).unwrap();
    eventually("the new one to count", || async { (rereads() == 2).then_some(()) }).await;
    assert_eq!(ask().await, Some((401, true)), "and the connection ends");
    assert_eq!(ask().await, None, "no other one is made with that certificate");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_stalls_is_cut_off_and_one_that_is_none_too() {
    let authority = Authority::new("Partner CA");
    let mut pair = over_tls(BUSY, &authority.issue("127.0.0.1", 2090), authority.pem()).await;
    pair.partner.edit_config("[listen]\n", "[listen]\nread_timeout = \"300ms\"\n");
    pair.partner.start().await;
    for said in ["", "\u{16}\u{3}\u{1}", "GET /v1/site HTTP/1.1\r\nhost: a\r\n\r\n"] {
        let mut stream = TcpStream::connect(("127.0.0.1", pair.wire.target_port())).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let heard = until_closed(&mut stream).await;
        assert!(!heard.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&heard));
    }
    assert!(test_peer(&pair).ok().contains("Success"));
    let told = pair.partner.log().matches("event=\"handshake_failed\"").count();
    assert_eq!(told, 1, "a line a minute for one address: {}", pair.partner.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_without_encryption_beyond_this_machine_is_told_of() {
    let port = free_port();
    let mut site = Site::new("partner", &partner_config(port, ""));
    site.edit_config(
        &format!("address = \"127.0.0.1:{port}\""),
        &format!("address = \"0.0.0.0:{port}\"\nallow_plain_http = true"),
    );
    site.start().await;
    let told = site.log();
    let line = told.lines().find(|line| line.contains("event=\"plain_http\"")).expect("a line");
    assert!(line.contains(" WARN ") && line.contains("0.0.0.0"), "{line}");
}
