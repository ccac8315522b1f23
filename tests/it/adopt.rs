//! sled can be lost (invariant 4): every exchange is taken up again from the store and the peer.

use std::time::Duration;

use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::{Fault, Pair, eventually};

const COUNT: usize = 300;

async fn in_the_middle(pair: &Pair) {
    pair.give(COUNT).await;
    eventually("some of them to be under way", || async {
        (pair.partner.count("SELECT count(*) FROM incident").await > 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_user_loses_its_state_in_the_middle() {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    in_the_middle(&pair).await;
    pair.end_user.kill();
    pair.end_user.lose_state();
    pair.end_user.start().await;
    pair.wait_all_open(COUNT as i64).await;
    pair.touch().await;
    pair.at_rest(COUNT as i64).await;
    pair.touched_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_partner_loses_its_state_in_the_middle() {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    in_the_middle(&pair).await;
    pair.partner.kill();
    pair.partner.lose_state();
    pair.partner.start().await;
    pair.wait_all_open(COUNT as i64).await;
    pair.touch().await;
    pair.at_rest(COUNT as i64).await;
    pair.touched_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_user_loses_its_state_after_the_partner_committed_and_before_any_answer() {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    eventually("the first contact", || async { pair.end_user.log().contains("exchanges_adopted").then_some(()) }).await;
    pair.wire.set(Fault::LoseAnswer);
    pair.give(COUNT).await;
    eventually("the partner to commit", || async {
        (pair.partner.count("SELECT count(*) FROM incident").await == COUNT as i64).then_some(())
    })
    .await;
    pair.end_user.kill();
    pair.end_user.lose_state();
    // Without the policy that submitted them, only the peer still knows of these exchanges.
    pair.end_user.edit_config(SUBMIT_ALL, "");
    pair.wire.set(Fault::None);
    pair.end_user.start().await;
    pair.at_rest(COUNT as i64).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_lose_their_state_and_news_from_before_is_not_lost() {
    let mut pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.give(COUNT).await;
    pair.at_rest(COUNT as i64).await;
    pair.wire.set(Fault::Down);
    pair.touch().await;
    // Both sites have what they would tell each other, and neither can.
    tokio::time::sleep(Duration::from_millis(200)).await;
    pair.end_user.kill();
    pair.partner.kill();
    pair.end_user.lose_state();
    pair.partner.lose_state();
    pair.wire.set(Fault::None);
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.at_rest(COUNT as i64).await;
    pair.touched_at_rest().await;
}
