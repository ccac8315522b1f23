//! What a busy pair is given to do, and what must be true when it has come to rest.

use std::collections::HashMap;

use sqlx::Row;

use super::{Pair, eventually};

/// Incidents whose records other programs touch while they are exchanged.
const TOUCHED: i64 = 5;

impl Pair {
    /// Gives the end user `count` incidents, one of which comes through the inbox.
    pub async fn give(&self, count: usize) {
        self.end_user.insert(0, count - 1).await;
        let incoming = self.end_user.path("inbox/event.part");
        std::fs::copy("tests/data/bundles/event.xml", &incoming).unwrap();
        std::fs::rename(incoming, self.end_user.path("inbox/event.xml")).unwrap();
    }

    /// Another program comments at the end user and resolves at the partner.
    pub async fn touch(&self) {
        let store = self.end_user.store().await;
        sqlx::query(
            "INSERT INTO comment (incident, author, text) SELECT id, 'anna', 'still down' FROM incident WHERE id <= ?",
        )
        .bind(TOUCHED)
        .execute(&store)
        .await
        .unwrap();
        store.close().await;
        let store = self.partner.store().await;
        sqlx::query(
            "UPDATE incident SET phase = 'review', solution = 'reseated', case_status = 'Resolved' \
             WHERE id <= ? AND case_id IS NOT NULL AND phase = 'initial_support'",
        )
        .bind(TOUCHED)
        .execute(&store)
        .await
        .unwrap();
        store.close().await;
    }

    /// Whether every case ID is back.
    pub async fn all_open(&self, count: i64) -> bool {
        self.end_user.count("SELECT count(*) FROM incident WHERE case_id IS NOT NULL").await == count
    }

    pub async fn wait_all_open(&self, count: i64) {
        eventually("every case ID", || async { self.all_open(count).await.then_some(()) }).await;
    }

    /// Exactly one incident at the partner for each at the end user, every case ID written back, and nothing left that
    /// has no outcome.
    pub async fn at_rest(&self, count: i64) {
        self.wait_all_open(count).await;
        for site in [&self.end_user, &self.partner] {
            eventually("empty outboxes", || async {
                let outbox = site.get("/v1/outbox").await.body;
                (outbox["total"] == 0).then_some(())
            })
            .await;
            let parked = site.get("/v1/parked").await.body;
            assert_eq!(parked["total"], 0, "{}: {parked}", site.alias);
        }
        assert_eq!(self.partner.count("SELECT count(*) FROM incident").await, count, "one incident each");
        assert_eq!(self.partner.count("SELECT count(*) FROM reference").await, count, "one reference each");

        let store = self.partner.store().await;
        let rows = sqlx::query("SELECT host_event_id, id, case_id FROM incident").fetch_all(&store).await.unwrap();
        let theirs: HashMap<String, (String, String)> =
            rows.iter().map(|row| (row.get(0), (row.get::<i64, _>(1).to_string(), row.get(2)))).collect();
        store.close().await;
        let store = self.end_user.store().await;
        let rows = sqlx::query(
            "SELECT i.host_event_id, r.transaction_id, i.case_id, i.submission FROM incident i \
             LEFT JOIN reference r ON r.incident = i.id",
        )
        .fetch_all(&store)
        .await
        .unwrap();
        store.close().await;
        assert_eq!(rows.len() as i64, count);
        for row in rows {
            let (event, transaction, case): (String, Option<String>, Option<String>) =
                (row.get(0), row.get(1), row.get(2));
            let (their_transaction, their_case) = &theirs[&event];
            assert_eq!(transaction.as_ref(), Some(their_transaction), "the transaction ID of {event}");
            assert_eq!(case.as_ref(), Some(their_case), "the case ID of {event}");
            assert_eq!(row.get::<String, _>(3), "requested", "the submission of {event} is known");
        }
    }

    /// Every comment and every solution arrived once.
    pub async fn touched_at_rest(&self) {
        eventually("every comment and solution", || async {
            let comments = self.partner.count("SELECT count(*) FROM comment WHERE origin = 'north'").await;
            let solved = "SELECT count(*) FROM incident WHERE solution = 'reseated' AND phase = 'review'";
            let solutions = self.end_user.count(solved).await;
            let resolved = self.partner.count(solved).await;
            (comments >= TOUCHED && solutions == TOUCHED && resolved == TOUCHED).then_some(())
        })
        .await;
        assert_eq!(self.partner.count("SELECT count(*) FROM comment").await, TOUCHED, "no comment is doubled");
        assert_eq!(self.end_user.count("SELECT count(*) FROM comment").await, TOUCHED, "no comment comes back");
    }
}
