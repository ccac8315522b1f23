//! What runs all the time searches an index: its cost grows with what it finds, not with what is there. The statements
//! are taken as the store sends them.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use casebridge::case::evidence::SigningKey;
use casebridge::case::{
    AttachmentNote, ContentDigest, Deposit, DepositedFile, Edit, FileContent, Holder, IncidentId, Person, Phase,
};
use casebridge::store::history::OnTheWay;
use casebridge::store::{Cursor, Incoming, ListFilter, ListQuery, Place, ReferenceWrite, Timing, Write, Writer};
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};
use tracing::field::{Field, Visit};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::{Bench, at, bench, client, deposit, open_of};
use crate::suite::evidence::{receipt, received};
use crate::suite::{comment, content, deadline, exchange, peer, reference};

static STATEMENTS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

struct Statements;

impl<S: tracing::Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        event.record(&mut Statements);
    }
}

impl Visit for Statements {
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "db.statement" {
            let statement = value.split_whitespace().collect::<Vec<_>>().join(" ");
            STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner).insert(statement);
        }
    }
}

/// The steps of SQLite's plan for the one statement that holds all of `parts`.
async fn plan(connection: &mut SqliteConnection, parts: &[&str]) -> Vec<String> {
    let known = STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let chosen: Vec<&String> = known.iter().filter(|one| parts.iter().all(|part| one.contains(part))).collect();
    assert_eq!(chosen.len(), 1, "{parts:?} among {known:#?}");
    let explained = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", chosen[0])));
    let steps = explained.fetch_all(connection).await.unwrap();
    steps.iter().map(|step| step.get("detail")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_all_the_time_searches_an_index() {
    let statements = Statements.with_filter(Targets::new().with_target("sqlx::query", LevelFilter::DEBUG));
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(statements)).unwrap();
    let bench = bench().await;
    let store = bench.open().await;
    let files = vec![DepositedFile { name: "core".into(), media_type: None, content: FileContent::Listed }];
    let incident = store.deposit(vec![Deposit { files, ..deposit("edge-1") }], at(0)).await.unwrap()[0].incident;
    store.deposit(vec![deposit("edge-1")], at(0)).await.unwrap();
    store.changes(&Cursor::default(), 10).await.unwrap();
    store.has_changes(&Cursor::default()).await.unwrap();
    store.load(&[incident]).await.unwrap();
    store.referenced(&client(), None, 10).await.unwrap();
    store.open(vec![open_of(client(), 1)]).await.unwrap();
    let mut for_somebody = open_of(client(), 2);
    for_somebody.create.form.contact = Some(Person::at("anna@north.example".parse().unwrap()));
    store.open(vec![for_somebody]).await.unwrap();
    store.people(incident).await.unwrap();
    let write = Write {
        edit: Edit { solution: Some(None), comments: vec![comment(1, "why")], ..Edit::default() },
        reference: Some(reference(1, Some(1))),
        ..Write::to(incident, Writer::Bridge)
    };
    store.write(vec![write]).await.unwrap();
    store.history(incident, 10).await.unwrap();
    store.attachments(incident).await.unwrap();
    let awaited = store.awaited_attachments(0, 10).await.unwrap();
    store.add_attachment(awaited[0].id, content(&store, b"core").await, at(1)).await.unwrap();
    let note = AttachmentNote { name: "fix".into(), media_type: None, bytes: 1, sha256: ContentDigest::of(b"x") };
    let announced = Write {
        reference: Some(ReferenceWrite { holder: Some(Holder::Peer), ..reference(1, Some(2)) }),
        attachments: vec![Incoming { note: note.clone(), refused: None, at: at(1) }],
        ..Write::to(incident, Writer::Bridge)
    };
    store.write(vec![announced]).await.unwrap();
    store.due_attachments(10).await.unwrap();
    store.uploads(&peer(), 0, 10).await.unwrap();
    let awaited = store.downloads(&peer(), 0, 10).await.unwrap();
    store.expected(&peer(), exchange(1), &note.sha256).await.unwrap();
    store.offered(&peer(), exchange(1), &note.sha256).await.unwrap();
    store.append(awaited[0].content, 0, b"x".to_vec(), at(2)).await.unwrap();
    store.content(awaited[0].content, 0, 10).await.unwrap();
    store.transfers(incident).await.unwrap();
    store.failed_files(Some(incident), 10).await.unwrap();
    store.untimed(IncidentId(0), 10).await.unwrap();
    let timing = Timing {
        incident,
        expected_revision: None,
        case_type: Some("repair".into()),
        deadlines: vec![deadline(1, None)],
    };
    store.time(vec![timing]).await.unwrap();
    store.refresh_deadlines().await.unwrap();
    store.passing(None, at(1), Place::default(), 10).await.unwrap();
    store.passing(Some("repair"), at(1), Place::default(), 10).await.unwrap();
    let resolved = Edit { phase: Some(Phase::Review), since: Some(at(1)), ..Edit::default() };
    store.write(vec![Write { edit: resolved, ..Write::to(incident, Writer::Operator) }]).await.unwrap();
    let resolved = store.resolved("repair", at(1), Place::default(), 10).await.unwrap();
    store.queue_closings(resolved, at(1)).await.unwrap();
    store.closings(at(1), 10).await.unwrap();
    let receipt = receipt(&SigningKey::make().unwrap(), vec![received(2, "2")], 20);
    store.take_receipt(&peer(), &receipt, &OnTheWay::new(), at(4)).await.unwrap();
    let filters = vec![(ListFilter::TrackingNumber, "T-1".into())];
    store.list(&ListQuery { filters, limit: 10, ..ListQuery::default() }).await.unwrap();

    let mut connection = bench.connection().await;
    for (parts, wanted) in [
        (&["i.client", "i.change_seq > ?"][..], &["SEARCH i USING INDEX incident_change (change_seq>?)"][..]),
        (&["EXISTS", "change_seq > ?"], &["USING COVERING INDEX incident_change (change_seq>?)"]),
        (&["i.client", "WHERE i.id IN"], &["SEARCH i USING INTEGER PRIMARY KEY (rowid=?)"]),
        (&["FROM reference WHERE incident IN"], &["SEARCH reference USING INDEX reference_incident (incident=?)"]),
        (
            &["LEFT JOIN case_contact p"],
            &["SEARCH i USING INTEGER PRIMARY KEY (rowid=?)", "SEARCH p USING PRIMARY KEY (incident=?)"],
        ),
        (&["FROM case_contact p JOIN"], &["SEARCH p USING PRIMARY KEY (incident=?)", "SEARCH c USING INTEGER PRIMARY"]),
        (&["phone FROM contact WHERE address = ?"], &["SEARCH contact USING INDEX"]),
        (&["FROM comment WHERE incident IN"], &["SEARCH comment USING INDEX"]),
        (
            &["FROM reference r JOIN"],
            &["SEARCH r USING PRIMARY KEY (peer=? AND exchange>?)", "SEARCH i USING INTEGER PRIMARY"],
        ),
        (&["jsonb_each", "SELECT j.key, r.incident"], &["SEARCH r USING PRIMARY KEY (peer=? AND exchange=?)"]),
        (
            &["SELECT j.key, i.revision"],
            &["SEARCH i USING INTEGER PRIMARY KEY (rowid=?)", "SEARCH r USING PRIMARY KEY (peer=? AND exchange=?)"],
        ),
        (
            &["UPDATE incident SET revision", "solution = j.column3"],
            &["SEARCH incident USING INTEGER PRIMARY KEY (rowid=?)"],
        ),
        (
            &["FROM j CROSS JOIN reference r"],
            &[
                "SEARCH r USING PRIMARY KEY (peer=? AND exchange=?)",
                "SEARCH h USING INDEX history_incident (incident=?)",
            ],
        ),
        (&["SELECT id FROM incident WHERE host_event_id"], &["USING INDEX incident_host_event (host_event_id=?)"]),
        (&["FROM attachment a JOIN"], &["SEARCH a USING INDEX attachment_awaited (id>?)", "SEARCH i USING INTEGER"]),
        (&["SELECT name, media_type, state", "FROM attachment WHERE incident"], &["SEARCH attachment USING INDEX"]),
        (&["FROM outgoing o JOIN", "WHERE o.incident IN"], &["SEARCH o USING INDEX outgoing_incident (incident=?)"]),
        (&["FROM outgoing o JOIN", "o.state = 'due'"], &["USING INDEX outgoing_due"]),
        (&["FROM outgoing o JOIN", "o.state = 'ready'"], &["SEARCH o USING INDEX outgoing_ready (peer=? AND id>?)"]),
        (
            &["FROM outgoing o JOIN", "o.exchange = ?"],
            &["SEARCH o USING INDEX outgoing_exchange (peer=? AND exchange=?)"],
        ),
        (
            &["FROM incoming i JOIN", "i.state = 'awaited'"],
            &["SEARCH i USING INDEX incoming_awaited (peer=? AND id>?)"],
        ),
        (
            &["FROM incoming i JOIN", "i.exchange = ?"],
            &["SEARCH i USING INDEX incoming_exchange (peer=? AND exchange=?)"],
        ),
        (
            &["coalesce(o.told_as", "o.incident = ?1 UNION"],
            &["SEARCH o USING INDEX outgoing_failed (incident=?)", "SEARCH i USING INDEX incoming_failed (incident=?)"],
        ),
        (&["UPDATE incoming SET state = 'arrived'"], &["SEARCH incoming USING INDEX incoming_content (content=?)"]),
        (&["SELECT start, data FROM content_part"], &["SEARCH content_part USING INDEX"]),
        (&["UNION ALL", "'from'"], &["SEARCH o USING INDEX outgoing_incident (incident=?)", "SEARCH i USING INDEX"]),
        (&["FROM untimed u JOIN"], &["SEARCH u USING INTEGER PRIMARY KEY (rowid>?)", "SEARCH i USING INTEGER PRIMARY"]),
        (&["UPDATE reference SET applied"], &["SEARCH reference USING PRIMARY KEY (peer=? AND exchange=?)"]),
        (&["UPDATE incident SET case_type"], &["SEARCH incident USING INTEGER PRIMARY KEY (rowid=?)"]),
        // M-06 to M-08: the jobs read what is due, and nothing else.
        (&["INDEXED BY deadline_sla"], &["SEARCH deadline USING INDEX deadline_sla (next_at>? AND next_at<?)"]),
        (
            &["INDEXED BY deadline_due"],
            &["SEARCH deadline USING INDEX deadline_due (case_type=? AND next_at>? AND next_at<?)"],
        ),
        (
            &["INDEXED BY incident_resolved"],
            &[
                "SEARCH i USING INDEX incident_resolved (case_type=? AND <expr>>? AND <expr><?)",
                "SEARCH c USING COVERING",
            ],
        ),
        (
            &["FROM closing c JOIN"],
            &["SEARCH c USING INDEX closing_open (next_at<?)", "SEARCH i USING INTEGER PRIMARY"],
        ),
        (&["SELECT DISTINCT incident FROM deadline"], &["SEARCH i USING INTEGER PRIMARY KEY (rowid=?)"]),
        (&["FROM deadline WHERE incident IN"], &["SEARCH deadline USING INDEX", "(incident=?)"]),
        (&["FROM history WHERE incident"], &["SEARCH history USING INDEX history_incident (incident=?)"]),
        (&["sort_key", "'tracking_number' ="], &["SEARCH i USING INDEX incident_tracking (<expr>=?)"]),
    ] {
        let steps = plan(&mut connection, parts).await;
        for wanted in wanted {
            assert!(steps.iter().any(|step| step.contains(wanted)), "{wanted} in {steps:#?} for {parts:?}");
        }
        let scanned = steps.iter().find(|step| step.starts_with("SCAN") && !is_of_the_call(step));
        assert_eq!(scanned, None, "for {parts:?}");
    }
}

/// Walks through what the call itself handed over, or through what a subquery found.
fn is_of_the_call(step: &str) -> bool {
    [
        "SCAN json_each",
        "SCAN jsonb_each",
        "SCAN rows",
        "SCAN j ",
        "SCAN j\n",
        "SCAN CONSTANT",
        "SCAN o USING INDEX outgoing_due",
        "SCAN d ",
        "SCAN deadline USING COVERING INDEX deadline_stale",
        "SCAN deadline USING INDEX deadline_stale",
    ]
    .iter()
    .any(|start| format!("{step} ").starts_with(start))
}
