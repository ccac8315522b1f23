//! The site in the middle dies between any two persistence steps, and any of the three loses its state: nothing is lost,
//! and nothing is doubled.

use std::time::Duration;

use crate::support::attachment::noise;
use crate::support::pair::{ACCEPT_ALL, SUBMIT_ALL};
use crate::support::row::{ESCALATE_ALL, Row, RowPlan};
use crate::support::{Fault, Site, eventually};

const COUNT: i64 = 12;
/// Incidents that both ends touch while they are exchanged.
const TOUCHED: i64 = 4;

fn busy() -> RowPlan<'static> {
    RowPlan { north: SUBMIT_ALL, partner: ESCALATE_ALL, vendor: ACCEPT_ALL }
}

async fn all_open(row: &Row) -> bool {
    row.north.count("SELECT count(*) FROM incident WHERE case_id LIKE 'vendor-%'").await == COUNT
}

async fn touch(row: &Row) {
    row.north
        .execute(
            "INSERT INTO comment (incident, author, text) SELECT id, 'anna', 'still down' FROM incident WHERE id <= 4",
        )
        .await;
    row.vendor
        .execute(
            "UPDATE incident SET phase = 'review', solution = 'reseated', case_status = 'Resolved' \
             WHERE host_event_id IN (SELECT host_event_id FROM incident ORDER BY host_event_id LIMIT 4)",
        )
        .await;
    row.north.attach(1, "core", &core()).await;
    row.vendor.attach(1, "fix", &fix()).await;
}

/// A file of the end user's, of more than one piece.
fn core() -> Vec<u8> {
    noise(1, 300_000)
}

/// A file of the vendor's.
fn fix() -> Vec<u8> {
    noise(2, 300_000)
}

async fn at_rest(row: &Row) {
    eventually("every case ID of the vendor's", || async { all_open(row).await.then_some(()) }).await;
    for site in row.sites() {
        let what = format!("every comment and solution at {}", site.alias);
        eventually(&what, || async {
            let comments = site.count("SELECT count(*) FROM comment").await;
            let solved = "SELECT count(*) FROM incident WHERE solution = 'reseated' AND phase = 'review'";
            (comments >= TOUCHED && site.count(solved).await == TOUCHED).then_some(())
        })
        .await;
    }
    for site in row.sites() {
        let case_of_core = "SELECT coalesce(max(incident), 0) FROM attachment WHERE name = 'core'";
        let case_of_fix = "SELECT coalesce(max(incident), 0) FROM attachment WHERE name = 'fix'";
        for (name, case, content) in [("core", case_of_core, core()), ("fix", case_of_fix, fix())] {
            eventually(&format!("{name} at {}", site.alias), || async {
                (site.file(site.count(case).await, name).await.as_ref() == Some(&content)).then_some(())
            })
            .await;
        }
    }
    row.at_rest().await;
    for (site, arrived) in row.sites().into_iter().zip([1, 2, 1]) {
        assert_eq!(site.count("SELECT count(*) FROM attachment").await, 2, "{}", site.alias);
        let added = "SELECT count(*) FROM history WHERE action = 'attachment_added'";
        assert_eq!(site.count(added).await, arrived, "each came once to {}", site.alias);
        let lost = "SELECT count(*) FROM history WHERE action IN ('attachment_failed', 'conflict_found')";
        assert_eq!(site.count(lost).await, 0, "{}", site.alias);
    }
    for (site, references) in row.sites().into_iter().zip([1, 2, 1]) {
        assert_eq!(site.count("SELECT count(*) FROM comment").await, TOUCHED, "{}", site.alias);
        assert_eq!(site.count("SELECT count(*) FROM incident").await, COUNT, "{}", site.alias);
        assert_eq!(site.count("SELECT count(*) FROM reference").await, references * COUNT, "{}", site.alias);
        let solved = "SELECT count(*) FROM incident WHERE case_status = 'Resolved'";
        assert_eq!(site.count(solved).await, TOUCHED, "{}", site.alias);
    }
}

/// A busy row whose middle dies at `point`, is started again, and brings everything to its end.
async fn the_middle_dies(point: &str) {
    let mut row = Row::new(busy()).await;
    row.partner.crash_at(point);
    row.vendor.start().await;
    row.partner.spawn();
    row.north.start().await;
    row.north.insert(0, COUNT as usize).await;
    let mut touched = false;
    // What both ends say comes when the cases are open, in case the point lies behind that.
    for _ in 0..2000 {
        if !row.partner.is_running() {
            break;
        }
        if !touched && all_open(&row).await {
            touch(&row).await;
            touched = true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!row.partner.is_running(), "{point} was reached");
    row.partner.exited().await;
    row.partner.start().await;
    if !touched {
        eventually("every case ID of the vendor's", || async { all_open(&row).await.then_some(()) }).await;
        touch(&row).await;
    }
    at_rest(&row).await;
}

macro_rules! crash_matrix {
    ($($name:ident: $point:literal;)+) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            the_middle_dies($point).await;
        })+
    };
}

crash_matrix! {
    after_opening_a_clients_incidents: "IncidentOpened";
    after_committing_what_it_opened: "OpenCommitted";
    after_handing_them_on: "DetectCommitted";
    after_the_upstreams_answer: "PushAnswered";
    after_writing_the_transaction_id_back: "TransactionWrittenBack";
    after_writing_the_case_back: "FeedWrittenBack";
    after_committing_the_case_for_both: "FeedCommitted";
    after_writing_a_solution_back: "FeedWrittenBack:3";
    after_taking_a_comment_of_the_clients: "OperationApplied";
    after_committing_it_for_both: "ApplyCommitted";
    after_deciding_about_a_file: "AttachmentDecided";
    after_a_piece_of_a_file: "ContentAppended";
    after_taking_the_whole_file: "ContentAppended:3";
    after_handing_a_file_on: "AttachmentGone";
    after_writing_state: "StateApplied:9";
    after_syncing_state: "StateFlushed:10";
}

/// One of the three dies in the middle of it all and loses its state.
async fn loses_its_state(which: fn(&mut Row) -> &mut Site) {
    let mut row = Row::start(busy()).await;
    row.north.insert(0, COUNT as usize).await;
    eventually("the first at the vendor", || async {
        (row.vendor.count("SELECT count(*) FROM incident").await > 0).then_some(())
    })
    .await;
    let site = which(&mut row);
    site.kill();
    site.lose_state();
    site.start().await;
    eventually("every case ID of the vendor's", || async { all_open(&row).await.then_some(()) }).await;
    touch(&row).await;
    at_rest(&row).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_user_loses_its_state_in_the_middle() {
    loses_its_state(|row| &mut row.north).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_partner_loses_its_state_in_the_middle() {
    loses_its_state(|row| &mut row.partner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vendor_loses_its_state_in_the_middle() {
    loses_its_state(|row| &mut row.vendor).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_middle_loses_its_state_while_both_ends_have_news_for_each_other() {
    let mut row = Row::start(busy()).await;
    row.north.insert(0, COUNT as usize).await;
    eventually("every case ID of the vendor's", || async { all_open(&row).await.then_some(()) }).await;
    row.at_rest().await;
    for wire in [&row.lower, &row.upper] {
        wire.set(Fault::Down);
    }
    touch(&row).await;
    row.partner.kill();
    row.partner.lose_state();
    // It dies once more while it takes up its exchanges.
    row.partner.crash_at("AdoptedPage:2");
    for wire in [&row.lower, &row.upper] {
        wire.set(Fault::None);
    }
    row.partner.spawn();
    row.partner.exited().await;
    row.partner.start().await;
    at_rest(&row).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_kills_in_the_middle_loses_and_doubles_nothing() {
    let mut row = Row::start(busy()).await;
    row.north.insert(0, COUNT as usize).await;
    for round in 0..10u64 {
        tokio::time::sleep(Duration::from_millis(40 + 37 * round % 190)).await;
        if round == 6 {
            eventually("every case ID of the vendor's", || async { all_open(&row).await.then_some(()) }).await;
            touch(&row).await;
        }
        row.partner.kill();
        row.partner.spawn();
    }
    row.partner.ready().await;
    at_rest(&row).await;
}
