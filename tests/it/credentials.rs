//! Credentials of clients: tokens, passwords and their rotation, without a restart and without a gap.

use crate::support::caller::{Caller, hear};
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::site::write_secret;
use crate::support::{Pair, Site, eventually};

const LOGIN: &str = "user = \"north\"\npassword_file = \"password\"\n";
/// Files are looked at as often as a test wants to wait.
const SOON: &str = "reread_secrets = \"50ms\"\n";

fn look_soon(pair: &Pair) {
    for site in [&pair.end_user, &pair.partner] {
        site.edit_config("[site]\n", &format!("[site]\n{SOON}"));
    }
}

fn new_token(partner: &Site) -> String {
    partner.command(&["token", "new", "--client", "north"]).ok().trim().to_owned()
}

async fn logged(site: &Site, what: &str, count: usize) {
    let told = format!("{what}, {count} times, at {}", site.alias);
    eventually(&told, || async { (site.log().matches(what).count() >= count).then_some(()) }).await;
}

async fn status_of(port: u16, token: &str) -> u16 {
    let caller = Caller::north(port);
    hear(caller.stranger("GET", "/v1/site").header("authorization", format!("Bearer {token}"))).await.status
}

/// A pair in which the end user shows a token, and that token; neither started.
async fn with_token() -> (Pair, String) {
    let pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    look_soon(&pair);
    pair.partner.edit_config(LOGIN, "");
    let token = new_token(&pair.partner);
    write_secret(&pair.end_user.path("token"), &format!("{token}\n"));
    pair.end_user.edit_config(LOGIN, "token_file = \"token\"\n");
    (pair, token)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_rotated_while_cases_flow_and_a_revoked_one_lets_nobody_in() {
    let (mut pair, first) = with_token().await;
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 3).await;
    pair.wait_all_open(3).await;

    // The new one counts beside the old one, as soon as the daemon has seen it.
    let second = new_token(&pair.partner);
    let port = pair.wire.target_port();
    eventually("the second token to count", || async { (status_of(port, &second).await == 200).then_some(()) }).await;
    assert_eq!(status_of(port, &first).await, 200);
    write_secret(&pair.end_user.path("token"), &second);
    logged(&pair.end_user, "event=\"secrets_reread\"", 1).await;
    let id = first.split('_').nth(1).unwrap();
    let listed = pair.partner.command(&["token", "list"]).ok();
    assert!(listed.contains(id) && listed.contains("north"), "{listed}");
    pair.partner.command(&["token", "revoke", id]).ok();
    eventually("the first token to be refused", || async { (status_of(port, &first).await == 401).then_some(()) })
        .await;
    pair.end_user.insert(10, 3).await;
    pair.wait_all_open(6).await;
    assert!(!pair.end_user.log().contains("peer_down"), "nobody noticed");

    // What is kept is a digest, and nobody repeats a token.
    let kept = std::fs::read_to_string(pair.partner.path("tokens.json")).unwrap();
    for token in [&first, &second] {
        for text in [&kept, &pair.partner.log(), &pair.end_user.log(), &listed] {
            assert!(!text.contains(token.as_str()), "{text}");
        }
    }
    let id = second.split('_').nth(1).unwrap();
    let told = pair.partner.command(&["token", "revoke", id, "--json"]).json();
    assert_eq!((&told["id"], &told["revoked"]), (&id.into(), &true.into()));
    logged(&pair.end_user, "event=\"peer_down\"", 1).await;
    pair.partner.command(&["token", "revoke", id]).refused(1, &["none with this ID"]);
    pair.partner.command(&["token", "revoke", id, "--json"]).refused(1, &["\"exit\": 1", "none with this ID"]);
    let status = pair.partner.get("/v1/status").await.body["warnings"].to_string();
    assert!(status.contains("nobody can come in as north"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_is_warned_of_and_then_is_as_good_as_none() {
    let (mut pair, _) = with_token().await;
    let soon = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(72)).to_string();
    let made = pair.partner.command(&["token", "new", "--client", "north", "--expires", &soon, "--json"]).json();
    pair.partner.start().await;
    let warnings = pair.partner.get("/v1/status").await.body["warnings"].to_string();
    let id = made["id"].as_str().unwrap();
    assert!(warnings.contains(&format!("token {id} of client north ends in")), "{warnings}");
    logged(&pair.partner, "event=\"certificate_expires\"", 1).await;
    let port = pair.wire.target_port();
    assert_eq!(status_of(port, made["token"].as_str().unwrap()).await, 200);
    // As if three days had gone by.
    let path = pair.partner.path("tokens.json");
    let kept = std::fs::read_to_string(&path).unwrap();
    let ends = made["expires_at"].as_str().unwrap();
    write_secret(&path, &kept.replace(ends, "2026-01-01T00:00:00Z"));
    eventually("its end", || async { (status_of(port, made["token"].as_str().unwrap()).await == 401).then_some(()) })
        .await;
    pair.partner.command(&["token", "new", "--client", "nobody"]).refused(1, &["no [[client]] nobody"]);
    let past = pair.partner.command(&["token", "new", "--client", "north", "--expires", "2020-01-01T00:00:00Z"]);
    past.refused(2, &["in the past"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_changed_at_both_sites_without_a_gap_and_without_a_signal() {
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    look_soon(&pair);
    write_secret(&pair.partner.path("old"), "correct horse battery");
    pair.partner.edit_config(LOGIN, &format!("{LOGIN}previous_password_file = \"old\"\n"));
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.end_user.insert(0, 2).await;
    pair.wait_all_open(2).await;
    write_secret(&pair.partner.path("password"), "a new horse");
    logged(&pair.partner, "event=\"secrets_reread\"", 1).await;
    pair.end_user.insert(10, 2).await;
    pair.wait_all_open(4).await;
    write_secret(&pair.end_user.path("password"), "a new horse");
    logged(&pair.end_user, "event=\"secrets_reread\"", 1).await;
    write_secret(&pair.partner.path("old"), "nobody has this");
    logged(&pair.partner, "event=\"secrets_reread\"", 2).await;
    pair.end_user.insert(20, 2).await;
    pair.wait_all_open(6).await;
    assert!(!pair.end_user.log().contains("peer_down"), "{}", pair.end_user.log());
    assert_eq!(Caller::north(pair.wire.target_port()).get("/v1/site").await.status, 401, "the old one is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_credentials_that_is_none_changes_nothing_and_is_told() {
    let (mut pair, token) = with_token().await;
    pair.partner.start().await;
    let port = pair.wire.target_port();
    let path = pair.partner.path("tokens.json");
    let good = std::fs::read_to_string(&path).unwrap();
    write_secret(&path, "{\"version\": 1, \"tok\u{1b}[2J");
    logged(&pair.partner, "event=\"reload_refused\"", 1).await;
    assert!(pair.partner.log().contains("holds no tokens: line 1"), "{}", pair.partner.log());
    assert!(!pair.partner.log().contains("[2J"), "what stood there is not repeated");
    assert_eq!(status_of(port, &token).await, 200);
    // A half-finished configuration is not taken in passing.
    pair.partner.edit_config("[site]", "[site");
    write_secret(&path, &good);
    logged(&pair.partner, "event=\"secrets_reread\"", 1).await;
    assert_eq!(status_of(port, &token).await, 200);
}
