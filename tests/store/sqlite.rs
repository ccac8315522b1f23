//! The suite on SQLite, and what is SQLite's own: locks, other versions, broken rows, query plans.

mod plan;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use casebridge::case::{CaseTemplate, Edit, IncidentId};
use casebridge::config::settings;
use casebridge::store::{Cursor, IncidentStore, ListQuery, SqliteStore, StoreError, Write, Writer};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, QueryBuilder, Sqlite, SqliteConnection};
use tempfile::TempDir;

use crate::suite::{Bench, Program, Row, at, client, conformance, deposit, ids, load, open_of, row};

struct SqliteBench {
    directory: TempDir,
}

async fn bench() -> SqliteBench {
    SqliteBench { directory: tempfile::tempdir().unwrap() }
}

impl SqliteBench {
    fn path(&self) -> PathBuf {
        self.directory.path().join("store").join("incidents.db")
    }

    fn settings(&self) -> settings::Store {
        settings::Store {
            path: self.path(),
            poll_interval: Duration::from_secs(1),
            batch: 500,
            busy_timeout: Duration::from_secs(60),
        }
    }

    async fn connection(&self) -> SqliteConnection {
        // The store makes the file and its tables.
        self.open().await;
        SqliteConnectOptions::new()
            .filename(self.path())
            .busy_timeout(Duration::from_secs(60))
            .foreign_keys(true)
            .connect()
            .await
            .unwrap()
    }
}

#[async_trait]
impl Bench for SqliteBench {
    async fn open(&self) -> Arc<dyn IncidentStore> {
        Arc::new(SqliteStore::open(&self.settings()).await.unwrap())
    }

    async fn other(&self) -> Box<dyn Program> {
        Box::new(Other(self.connection().await))
    }
}

struct Other(SqliteConnection);

impl Other {
    async fn say(&mut self, statement: &'static str) {
        sqlx::raw_sql(statement).execute(&mut self.0).await.unwrap();
    }
}

#[async_trait]
impl Program for Other {
    async fn begin(&mut self) {
        // Takes the lock with its first write, as most programs do.
        self.say("BEGIN").await;
    }

    async fn commit(&mut self) {
        self.say("COMMIT").await;
    }

    async fn roll_back(&mut self) {
        self.say("ROLLBACK").await;
    }

    async fn insert(&mut self, row: Row) -> IncidentId {
        let mut insert: QueryBuilder<Sqlite> = QueryBuilder::new("INSERT INTO incident (host_event_id, synopsis");
        if row.id.is_some() {
            insert.push(", id");
        }
        if row.created_at.is_some() {
            insert.push(", created_at");
        }
        for (column, _) in row.columns {
            insert.push(", ").push(column);
        }
        insert.push(") VALUES (").push_bind(row.host_event_id).push(", 'made by another program'");
        if let Some(id) = row.id {
            insert.push(", ").push_bind(id);
        }
        if let Some(created_at) = row.created_at {
            insert.push(", ").push_bind(created_at);
        }
        for (_, value) in row.columns {
            insert.push(", ").push_bind(value);
        }
        insert.push(") RETURNING id");
        IncidentId(insert.build_query_scalar().fetch_one(&mut self.0).await.unwrap())
    }

    async fn set(&mut self, incident: IncidentId, column: &'static str, value: Option<&str>) {
        let mut update: QueryBuilder<Sqlite> = QueryBuilder::new("UPDATE incident SET ");
        update.push(column).push(" = ").push_bind(value.map(str::to_owned)).push(" WHERE id = ").push_bind(incident.0);
        assert_eq!(update.build().execute(&mut self.0).await.unwrap().rows_affected(), 1);
    }

    async fn comment(&mut self, incident: IncidentId, text: &str) {
        sqlx::query("INSERT INTO comment (incident, author, text) VALUES (?, 'another program', ?)")
            .bind(incident.0)
            .bind(text)
            .execute(&mut self.0)
            .await
            .unwrap();
    }

    async fn forget_milestones(&mut self) -> String {
        let changed = sqlx::query("UPDATE milestone SET at = '2020-01-01T00:00:00Z'").execute(&mut self.0).await;
        assert!(changed.is_err());
        sqlx::query("DELETE FROM milestone").execute(&mut self.0).await.unwrap_err().to_string()
    }

    async fn delete(&mut self, incident: IncidentId) {
        sqlx::query("DELETE FROM incident WHERE id = ?").bind(incident.0).execute(&mut self.0).await.unwrap();
    }
}

conformance! { super::bench:
    commenting:
        an_edit_of_our_own_is_news_and_comes_behind_every_comment,
        an_edit_that_comes_late_or_twice_changes_nothing,
        nobody_edits_what_another_site_wrote,
        what_yields_takes_the_text_of_its_author_however_often_it_was_edited_here,
        what_a_peer_edits_is_no_news_and_has_a_new_place;
    contacts:
        h_01_those_who_arrive_at_once_under_one_address_are_one_contact,
        h_02_somebody_whose_names_are_known_is_never_changed_and_what_differs_is_noted_once,
        h_03_a_temporary_contact_is_completed_and_keeps_its_number_in_all_its_cases,
        h_04_whoever_is_not_there_is_made_as_far_as_the_names_are_told,
        h_06_what_is_delivered_again_or_says_nothing_new_touches_nobody;
    depositing:
        a_07_an_event_that_is_deposited_twice_is_one_incident,
        a_07_an_event_that_stands_twice_in_one_batch_is_one_incident,
        a_07_batches_that_come_at_once_make_one_incident_of_each_event,
        an_empty_batch_stores_nothing,
        a_06_every_field_of_a_deposit_reads_back_unchanged,
        a_09_files_are_stored_awaited_or_failed_as_the_bundle_says,
        a_13_a_file_that_comes_late_is_added_once,
        awaited_files_are_paged_each_once;
    cases:
        m_01_every_attribute_survives_the_store,
        an_edit_beside_the_record_counts_as_a_revision_and_a_stale_one_changes_nothing,
        m_01_whoever_resolves_a_case_is_kept_until_it_is_resolved_again,
        every_filter_of_a_case_list_chooses_what_it_names,
        every_order_of_a_case_list_holds_and_pages_visit_each_case_once,
        a_page_of_cases_goes_on_after_what_was_seen_though_the_list_grew,
        a_41_a_list_holds_what_its_caller_sees_and_nothing_else,
        a_52_a_flag_is_unread_until_its_user_has_looked,
        a_53_what_was_deleted_from_the_lists_is_shown_only_to_whom_asks_for_it,
        m_11_a_document_is_put_replaced_and_removed,
        m_12_a_comment_of_the_initiators_stays_marked,
        a_case_that_another_program_broke_is_told_and_hides_no_other,
        a_case_opened_by_hand_is_there_with_all_that_was_said_of_it;
    changing:
        inserts_edits_and_comments_of_another_program_are_reported,
        a_deposit_is_reported_once,
        pages_follow_the_cursor_until_there_is_no_more,
        a_record_that_changes_again_is_reported_as_it_stands_now,
        a_change_that_is_taken_back_is_not_reported,
        nothing_that_the_bridge_does_is_reported_back_to_it,
        a_change_of_others_right_after_the_bridges_own_is_reported,
        what_an_operator_writes_is_reported,
        invariant_8_a_row_with_an_older_number_and_time_that_is_committed_late_is_reported,
        invariant_8_a_row_written_early_and_committed_late_is_reported,
        invariant_8_a_reader_amid_many_writers_misses_nothing,
        a_newest_row_that_is_deleted_hides_no_later_change,
        a_row_that_came_and_went_unread_leaves_no_news,
        a_cursor_outlives_the_store_that_gave_it;
    events:
        a_reader_sees_each_line_once_and_goes_on_after_a_restart,
        what_a_reader_has_before_it_is_known_without_its_lines,
        of_many_who_read_the_same_lines_one_takes_them,
        whoever_waits_is_woken_by_what_is_written,
        a_place_that_was_never_given_is_moved_by_nobody,
        a_47_what_another_program_did_is_untold_until_it_stands_in_the_history;
    paging:
        r_02_a_mail_is_taken_once_and_a_sender_gets_so_many_links,
        r_02_a_form_makes_one_incident_with_its_people,
        r_06_a_write_by_a_link_that_was_used_is_skipped_whole;
    mailing:
        r_03_news_are_milestones_public_comments_and_people_each_once,
        r_05_a_step_is_taken_with_its_mails_on_a_case_that_stands_as_it_stood,
        r_05_the_last_mail_of_each_person_who_is_there_counts_and_a_person_is_told_once,
        r_05_what_a_notice_said_is_kept_and_what_was_sent_to_who_was_taken_out_counts_as_sent,
        r_05_a_case_is_not_closed_under_somebody_who_was_added_since_its_people_were_counted,
        r_08_the_language_of_an_address_is_remembered_and_a_case_has_so_many_people,
        r_03_a_comment_is_not_lost_under_a_reason_that_is_taken,
        r_03_what_another_reading_took_is_not_taken_again,
        r_03_a_comment_that_becomes_public_later_is_news_then,
        r_09_a_mail_is_written_once_for_its_reason_and_settled_once;
    opening:
        an_exchange_is_opened_once,
        the_same_exchange_of_two_clients_is_two_incidents,
        a_clients_event_may_have_the_name_of_one_of_our_own,
        an_exchange_that_stands_twice_in_one_batch_is_opened_once,
        what_nobody_has_decided_on_is_news_and_what_is_held_is_not,
        tasks_that_open_at_once_open_once,
        an_exchange_stays_opened_when_the_store_is_opened_again,
        what_is_handed_back_is_what_stands_in_the_store,
        a_case_template_is_filled_with_the_new_number,
        an_exchange_that_is_there_comes_back_with_its_present_case,
        a_template_that_gives_no_case_id_opens_nothing,
        numbers_that_other_programs_chose_are_stepped_over;
    milestones:
        m_02_the_state_follows_whoever_changes_the_record,
        m_02_a_state_that_its_phase_does_not_have_is_not_taken,
        m_02_a_case_that_is_entered_in_a_state_has_the_milestone_of_it,
        a_milestone_is_kept_once_and_counted_by_who_knew_what,
        two_who_act_at_once_leave_the_same_state_at_both_sites,
        nobody_changes_what_happened;
    promising:
        m_05_whatever_comes_or_changes_is_looked_at_once,
        a_promise_is_kept_as_it_was_made_and_is_news,
        a_peer_changes_its_own_promises_only_and_makes_not_too_many,
        m_01_lists_are_ordered_by_the_due_date_that_stays_while_a_clock_stands_still,
        m_08_a_job_sees_what_is_due_in_its_order,
        m_06_a_resolved_case_is_queued_once_for_each_time;
    linking:
        a_62_an_incident_that_was_entered_beforehand_is_linked_once,
        what_is_foreign_taken_unknown_or_not_unique_is_not_linked,
        what_an_operation_came_to_is_told_once;
    writing:
        invariant_2_an_operation_takes_effect_once,
        invariant_2_an_operation_that_stands_twice_in_one_call_takes_effect_once,
        an_operation_that_was_applied_is_told_so_even_when_the_record_moved_on,
        the_same_number_of_another_peer_or_exchange_is_another_operation,
        a_write_that_was_decided_on_an_older_revision_is_stale,
        the_second_of_two_writes_in_one_call_that_expect_one_revision_is_stale,
        a_write_to_no_incident_is_gone,
        what_an_edit_leaves_out_stays_and_what_it_clears_goes,
        a_32_the_upstreams_case_stands_beside_the_one_that_is_shown,
        a_reference_keeps_its_transaction_and_its_count,
        a_recount_sets_the_number_outright,
        a_recount_holds_for_what_follows_in_the_same_call,
        c_31_a_comment_arrives_once,
        two_writes_to_one_incident_in_one_call_follow_each_other,
        writes_of_both_kinds_can_share_a_call,
        a_call_of_many_writes_is_all_done,
        the_first_and_the_last_instant_that_an_operation_may_carry_are_kept;
    listing:
        every_filter_chooses_what_it_names,
        every_order_holds_in_both_directions,
        times_are_ordered_whoever_wrote_them,
        pages_visit_each_incident_once_whatever_the_order,
        a_page_goes_on_after_what_was_seen_though_the_list_grew,
        a_page_that_is_none_of_this_list_is_an_error;
    reacting:
        a_51_the_list_keeps_its_order_and_one_person_changes_it_at_a_time,
        a_47_what_an_event_leads_to_is_entered_once,
        a_49_a_deed_is_due_again_after_a_failure_and_ends_once,
        what_goes_beyond_the_room_is_given_up_and_not_lost,
        a_49_the_files_of_an_incident_are_those_that_are_there;
    reading:
        a_number_that_is_not_there_is_left_out,
        references_come_without_their_records_in_order_of_their_exchange,
        referenced_records_come_in_order_of_their_exchange,
        a_record_with_two_references_comes_whole_for_each,
        history_is_the_newest_lines_oldest_first,
        a_store_that_is_open_twice_is_one_store;
    evidence:
        a_54_an_entry_has_the_machine_and_the_old_and_the_new_values,
        a_54_the_tokens_that_the_history_tells_of_are_remembered,
        h_07_everything_that_writes_history_is_chained,
        a_receipt_stands_beside_what_it_proves_once_and_a_wrong_one_is_told,
        what_arrived_is_signed_for_and_what_nobody_signed_for_is_found_once,
        keys_are_kept_in_their_order_and_one_is_present;
    sharing:
        c_34_what_a_peer_announces_is_awaited_arrives_and_is_replaced,
        a_content_goes_on_where_it_ends_and_a_wrong_one_begins_anew,
        a_content_that_is_wrong_too_often_is_given_up,
        a_file_has_gone_once_all_of_it_was_fetched_from_the_first_byte_on,
        a_file_of_a_peers_takes_the_place_of_no_other_site_s,
        a_file_that_is_refused_is_told_once,
        a_content_is_known_only_to_whom_it_came_from,
        a_file_of_ours_goes_to_each_peer_once_and_not_back_to_its_own,
        what_is_decided_and_what_became_of_it_is_told_once,
        what_was_announced_both_ways_is_known_by_name_and_comes_or_goes_again;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_a_newer_version_is_refused_and_left_as_it_is() {
    let bench = bench().await;
    let mut other = Other(bench.connection().await);
    other.say("PRAGMA user_version = 99").await;
    let refused = SqliteStore::open(&bench.settings()).await.err();
    assert_eq!(refused, Some(StoreError::Newer { found: 99, known: 1 }));
    other.say("PRAGMA user_version = 1").await;
    bench.open().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_store_is_refused_and_left_as_it_is() {
    let bench = bench().await;
    std::fs::create_dir_all(bench.path().parent().unwrap()).unwrap();
    std::fs::write(bench.path(), "dear diary, this is no database at all").unwrap();
    let refused = SqliteStore::open(&bench.settings()).await.err().unwrap();
    assert!(matches!(&refused, StoreError::Failed(reason) if reason.contains("incidents.db")), "{refused}");
    assert_eq!(std::fs::read(bench.path()).unwrap(), b"dear diary, this is no database at all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_store_that_many_open_at_once_gets_one_identity() {
    let bench = bench().await;
    let opening: Vec<_> = (0..6)
        .map(|_| {
            let settings = bench.settings();
            tokio::spawn(async move { SqliteStore::open(&settings).await.unwrap().site() })
        })
        .collect();
    let mut sites = Vec::new();
    for one in opening {
        sites.push(one.await.unwrap());
    }
    assert!(sites.iter().all(|site| *site == sites[0]), "{sites:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_another_program_holds_the_lock_too_long_the_store_is_busy_and_writes_nothing() {
    let bench = bench().await;
    let impatient = settings::Store { busy_timeout: Duration::from_millis(300), ..bench.settings() };
    let store: Arc<dyn IncidentStore> = Arc::new(SqliteStore::open(&impatient).await.unwrap());
    let mut other = Other(bench.connection().await);
    let incident = other.insert(row("edge-1")).await;
    other.say("BEGIN IMMEDIATE").await;

    let busy = |error: StoreError| assert!(matches!(error, StoreError::Busy(_)), "{error}");
    busy(store.deposit(vec![deposit("edge-2")], at(0)).await.unwrap_err());
    busy(store.open(vec![open_of(client(), 1)]).await.unwrap_err());
    let edit = Edit { solution: Some(Some("replaced".into())), ..Edit::default() };
    let write = Write { edit, ..Write::to(incident, Writer::Bridge) };
    busy(store.write(vec![write]).await.unwrap_err());
    assert_eq!(load(&store, incident).await.revision, 1, "reading goes on meanwhile");
    assert!(matches!(store.trouble(), Some(StoreError::Busy(_))), "{:?}", store.trouble());

    other.commit().await;
    assert_eq!(ids(&store.list(&all()).await.unwrap().loaded), [incident]);
    assert!(store.deposit(vec![deposit("edge-2")], at(0)).await.unwrap()[0].new);
    assert_eq!(store.trouble(), None);
}

fn all() -> ListQuery {
    ListQuery { limit: 100, ..ListQuery::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_does_not_read_is_told_and_hides_no_other() {
    let bench = bench().await;
    let store = bench.open().await;
    let mut other = Other(bench.connection().await);
    let sound = other.insert(row("edge-1")).await;
    // The schema refuses most of it; a program can still look the other way.
    other.say("PRAGMA ignore_check_constraints = ON").await;
    let cases: [(&'static str, &str, &str); 8] = [
        ("form", r#"{"priority":"urgent"}"#, "form"),
        ("form", r#"{"nonsense":1}"#, "form"),
        ("manifest", r#"["a list"]"#, "manifest"),
        ("trace_route", r#"["../etc"]"#, "trace_route"),
        ("created_at", "12:30", "created_at"),
        ("case_id", "a\nb", "case_id"),
        ("client", "no alias", "client"),
        ("generation", "-1", ""),
    ];
    let mut broken = Vec::new();
    for (number, (column, value, _)) in cases.into_iter().enumerate() {
        let name: &'static str = ["b-0", "b-1", "b-2", "b-3", "b-4", "b-5", "b-6", "b-7"][number];
        let incident = other.insert(row(name)).await;
        other.set(incident, column, Some(value)).await;
        broken.push(incident);
    }
    let later = other.insert(row("edge-2")).await;

    let page = store.changes(&Cursor::default(), 100).await.unwrap();
    assert_eq!(ids(&page.loaded), [sound, later]);
    assert_eq!(page.loaded.unreadable.iter().map(|(id, _)| *id).collect::<Vec<_>>(), broken);
    for ((_, reason), (column, _, named)) in page.loaded.unreadable.iter().zip(cases) {
        assert!(reason.contains(named), "{column}: {reason}");
    }
    assert!(!store.has_changes(&page.cursor).await.unwrap(), "it is passed, not met again and again");
    assert_eq!(ids(&store.list(&all()).await.unwrap().loaded), [sound, later]);

    other.set(broken[0], "form", Some(r#"{"priority":"2 - High"}"#)).await;
    let page = store.changes(&page.cursor, 100).await.unwrap();
    assert_eq!(ids(&page.loaded), [broken[0]], "once it is corrected it is news");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_or_reference_that_does_not_read_is_told_and_hides_no_other() {
    let bench = bench().await;
    let store = bench.open().await;
    let mut other = Other(bench.connection().await);
    let mut made = Vec::new();
    for name in ["edge-1", "edge-2", "edge-3", "edge-4"] {
        made.push(other.insert(row(name)).await);
        other.comment(*made.last().unwrap(), "fine").await;
    }
    other.say("PRAGMA ignore_check_constraints = ON").await;
    other
        .say("INSERT INTO comment (uid, incident, author, text) VALUES ('ticket 7', 1, 'a script', 'own number')")
        .await;
    other
        .say("INSERT INTO comment (incident, author, text, written_at) VALUES (2, 'a script', 'half a time', '12:30')")
        .await;
    other.say("INSERT INTO reference (peer, exchange, incident, towards, standing, holder) VALUES ('p', 'x', 3, 'client', 'closed', 'us')").await;

    let page = store.changes(&Cursor::default(), 100).await.unwrap();
    assert_eq!(ids(&page.loaded), [made[3]]);
    let told: Vec<_> = page.loaded.unreadable.iter().map(|(id, reason)| (*id, reason.as_str())).collect();
    let reason = |what: &str, named: &str| format!("a {what}'s {named} does not read");
    let mut wanted = [
        (made[2], reason("reference", "exchange")),
        (made[0], reason("comment", "uid")),
        (made[1], reason("comment", "written_at")),
    ];
    wanted.sort();
    let mut told: Vec<_> = told.into_iter().map(|(id, reason)| (id, reason.to_owned())).collect();
    told.sort();
    assert_eq!(told, wanted);
    assert!(!store.has_changes(&page.cursor).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_not_read_is_refused_to_the_program_that_writes_it() {
    let bench = bench().await;
    let mut connection = bench.connection().await;
    sqlx::raw_sql("INSERT INTO incident (host_event_id, synopsis) VALUES ('edge-1', 'Chassis alarm')")
        .execute(&mut connection)
        .await
        .unwrap();
    for statement in [
        "UPDATE incident SET priority = 'urgent'",
        "UPDATE incident SET phase = 'done'",
        "UPDATE incident SET submission = 'yes'",
        "UPDATE incident SET completion_code = ''",
        "UPDATE incident SET kind = 'Event'",
        "UPDATE incident SET form = '{'",
        "UPDATE incident SET manifest = 'router=re0'",
        "UPDATE incident SET created_at = 'now'",
        "UPDATE incident SET occurred_at = '12:30'",
        "UPDATE incident SET expected_resolution = 'tomorrow'",
        "UPDATE incident SET synopsis = ''",
        "INSERT INTO incident (host_event_id, synopsis) VALUES ('', 'Chassis alarm')",
        "INSERT INTO comment (incident, author, text, uid) VALUES (1, 'a script', 'why', 'ticket 7')",
        "INSERT INTO comment (incident, author, text, written_at) VALUES (1, 'a script', 'why', '12:30')",
    ] {
        let refused = sqlx::raw_sql(statement).execute(&mut connection).await.unwrap_err().to_string();
        assert!(refused.contains("CHECK constraint failed"), "{statement}: {refused}");
    }
    for statement in [
        "UPDATE incident SET occurred_at = '2026-11-21 12:30:00', expected_resolution = '2026-11-21T12:30:00.5+02:00'",
        "UPDATE incident SET occurred_at = '2026-11-21', created_at = '2026-11-21T12:30Z'",
        "UPDATE incident SET occurred_at = NULL, priority = NULL, completion_code = NULL",
        "INSERT INTO comment (incident, author, text, written_at) VALUES (1, 'a script', 'why', '2026-11-21 12:30')",
    ] {
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
        load(&bench.open().await, IncidentId(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_the_store_cannot_take_leaves_nothing_of_its_call() {
    let bench = bench().await;
    let store = bench.open().await;
    let template = CaseTemplate { id: String::new(), link: None, status: "Accepted".into() };
    let mut refused = open_of(client(), 2);
    refused.accept = Some(template);
    assert!(store.open(vec![open_of(client(), 1), refused]).await.is_err());
    assert_eq!(ids(&store.list(&all()).await.unwrap().loaded), []);
    assert!(store.open(vec![open_of(client(), 1)]).await.unwrap()[0].new, "and the store goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program_edits_and_deletes_its_comments_and_no_others() {
    let bench = bench().await;
    let store = bench.open().await;
    let mut other = Other(bench.connection().await);
    let incident = other.insert(row("edge-1")).await;
    other.comment(incident, "first").await;
    let mut cursor = Cursor::default();
    let page = store.changes(&cursor, 10).await.unwrap();
    cursor = page.cursor;
    other.say("UPDATE comment SET text = 'second'").await;
    let page = store.changes(&cursor, 10).await.unwrap();
    let edited = &page.loaded.incidents[0].comments[0];
    assert_eq!((edited.text.as_str(), edited.edits, edited.position), ("second", 1, 2));
    let gone = sqlx::raw_sql("DELETE FROM comment").execute(&mut other.0).await.unwrap_err();
    assert!(gone.to_string().contains("set deleted = 1"), "{gone}");
    other.say("UPDATE comment SET origin = 'partner'").await;
    let foreign = sqlx::raw_sql("UPDATE comment SET text = 'third'").execute(&mut other.0).await.unwrap_err();
    assert!(foreign.to_string().contains("is edited there"), "{foreign}");
}

#[tokio::test]
async fn an_incident_is_not_replaced_and_once_a_peer_has_it_not_deleted() {
    let bench = bench().await;
    let mut other = bench.connection().await;
    let refused = async |other: &mut SqliteConnection, sql: &'static str| {
        sqlx::query(sql).execute(other).await.map(|_| ()).unwrap_err().to_string()
    };
    sqlx::query("INSERT INTO incident (host_event_id, synopsis) VALUES ('e-1', 'one')")
        .execute(&mut other)
        .await
        .unwrap();
    sqlx::query("INSERT INTO comment (incident, author, text) VALUES (1, 'anna', 'kept')")
        .execute(&mut other)
        .await
        .unwrap();
    for sql in [
        "INSERT OR REPLACE INTO incident (host_event_id, synopsis) VALUES ('e-1', 'two')",
        "REPLACE INTO incident (id, host_event_id, synopsis) VALUES (1, 'e-2', 'two')",
    ] {
        let reason = refused(&mut other, sql).await;
        assert!(reason.contains("an incident is not replaced: UPDATE its row"), "{sql}: {reason}");
    }
    // What others mean by these stays.
    let plain = refused(&mut other, "INSERT INTO incident (host_event_id, synopsis) VALUES ('e-1', 'two')").await;
    assert!(plain.contains("UNIQUE constraint failed: incident.host_event_id"), "{plain}");
    for sql in [
        "INSERT OR IGNORE INTO incident (host_event_id, synopsis) VALUES ('e-1', 'two')",
        "INSERT INTO incident (host_event_id, synopsis) VALUES ('e-1', 'two') ON CONFLICT DO NOTHING",
    ] {
        assert_eq!(sqlx::query(sql).execute(&mut other).await.unwrap().rows_affected(), 0, "{sql}");
    }
    let kept: (String, i64) = sqlx::query_as("SELECT synopsis, (SELECT count(*) FROM comment) FROM incident")
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert_eq!(kept, ("one".to_owned(), 1));

    sqlx::query(
        "INSERT INTO reference (peer, exchange, incident, towards, standing, holder) \
         VALUES ('partner', 'x', 1, 'upstream', 'submitted', 'peer')",
    )
    .execute(&mut other)
    .await
    .unwrap();
    sqlx::query("PRAGMA foreign_keys = off").execute(&mut other).await.unwrap();
    let reason = refused(&mut other, "DELETE FROM incident").await;
    assert!(reason.contains("not deleted: cancel it, or set active = 0"), "{reason}");
}
