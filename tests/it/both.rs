//! Both sites change the same incident at the same moment, each another field: neither change undoes the other.

use sqlx::AssertSqlSafe;

use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::{Pair, Site, eventually};

const COUNT: i64 = 150;
const ROUNDS: usize = 60;

async fn execute(site: &Site, sql: String) {
    let store = site.store().await;
    sqlx::query(AssertSqlSafe(sql)).execute(&store).await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_here_does_not_take_back_what_comes_from_there() {
    let mut pair = Pair::new(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.edit_config("poll_interval = \"50ms\"", "poll_interval = \"20ms\"");
    pair.partner.start().await;
    pair.end_user.start().await;
    pair.end_user.insert(0, COUNT as usize).await;
    pair.wait_all_open(COUNT).await;
    let ours = async {
        for round in 1..=ROUNDS {
            let sql = "INSERT INTO comment (incident, author, text) SELECT id, 'anna', 'still down ";
            execute(&pair.end_user, format!("{sql}{round}' FROM incident")).await;
        }
    };
    let theirs = async {
        for round in 1..=ROUNDS {
            let sql = format!("UPDATE incident SET solution = 'try {round}', case_status = 'Step {round}'");
            execute(&pair.partner, sql).await;
        }
    };
    tokio::join!(ours, theirs);
    for site in [&pair.end_user, &pair.partner] {
        let what = format!("every comment and the last solution at {}", site.alias);
        eventually(&what, || async {
            let comments = site.count("SELECT count(*) FROM comment").await;
            let solved = "SELECT count(*) FROM incident WHERE solution = 'try 60' AND case_status = 'Step 60'";
            let solved = site.count(solved).await;
            (comments == COUNT * ROUNDS as i64 && solved == COUNT).then_some(())
        })
        .await;
    }
    pair.at_rest(COUNT).await;
    // Nothing that came from there was told back: the only news from here are comments.
    let echoes = "SELECT count(*) FROM history WHERE who = 'peer north' AND detail LIKE '%solution%'";
    assert_eq!(pair.partner.count(echoes).await, 0, "no echo");
    assert_eq!(pair.partner.count("SELECT count(*) FROM incident WHERE solution IS NOT 'try 60'").await, 0);
}
