//! Opening: everything is found again, and whoever may not have the state is told why.

use std::path::Path;

use casebridge::case::SiteId;
use casebridge::state::{OpenError, PeerRecord, State, StateError, set_aside};
use uuid::Uuid;

use crate::scene::{Scene, at, due, exchanges, key, open, parked, peer, record, released, settings, site, submit};

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_opened_again_has_everything() {
    let scene = Scene::new();
    let state = scene.open();
    let epoch = state.epoch();
    for number in 0..20 {
        submit(&state, number, 100).await;
    }
    let known = PeerRecord { attempts: 2, cursor: Some("c-7".into()), adopted: true, ..PeerRecord::default() };
    let stored = state.transact::<_, StateError, _>({
        let known = known.clone();
        move |transaction| {
            transaction.put_peer(&peer(), &known)?;
            transaction.put_store_cursor("41")?;
            transaction.put_last_run("expiry", at(3))?;
            let record = casebridge::state::ExchangeRecord { due: due(5), parked: parked(), ..record(7) };
            transaction.put_exchange(&key(7), &record)
        }
    });
    stored.await.unwrap();
    state.close().await.unwrap();

    let state = scene.open();
    assert_eq!(state.epoch(), epoch);
    assert_eq!(exchanges(&state).await.unwrap(), (0..20).collect::<Vec<_>>());
    let (count, parked, outbox) =
        state.read(|view| Ok((view.count()?, view.parked_count(100), view.outbox_len(&peer(), 100)?))).await.unwrap();
    assert_eq!((count, parked, outbox), (20, 1, 20));
    let rest = state.transact::<_, StateError, _>(|t| Ok((t.peer(&peer())?, t.store_cursor()?, t.last_run("expiry")?)));
    assert_eq!(rest.await.unwrap(), (known, Some("41".into()), Some(at(3))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_opener_is_told_that_the_state_is_in_use() {
    let scene = Scene::new();
    let state = scene.open();
    submit(&state, 1, 10).await;
    let refused = open(&scene.path()).err().unwrap();
    assert_eq!(refused, OpenError::InUse { path: scene.path() });
    assert!(refused.to_string().contains("already running"), "{refused}");
    submit(&state, 2, 10).await;
    assert_eq!(exchanges(&state).await.unwrap(), [1, 2], "the first one is not disturbed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_another_incident_store_is_refused() {
    let scene = Scene::new();
    let state = scene.open();
    submit(&state, 1, 10).await;
    state.close().await.unwrap();
    let refused = State::open(&settings(&scene.path()), SiteId(Uuid::from_u128(8)), at(1)).err().unwrap();
    assert_eq!(refused, OpenError::ForeignStore { path: scene.path() });
    assert!(refused.to_string().contains("[store] path and [state] path"), "{refused}");
}

/// Changes the database as another version of the program would have written it.
async fn rewrite(path: &Path, change: impl FnOnce(&sled::Db)) {
    let database = sled::Config::new().path(path).segment_size(8 << 20).open().unwrap();
    change(&database);
    database.flush().unwrap();
    drop(database);
    released(path).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_a_newer_version_is_refused_with_the_way_out() {
    for kind in ["e", "o", "m"] {
        let scene = Scene::new();
        let state = scene.open();
        submit(&state, 1, 10).await;
        submit(&state, 2, 10).await;
        state.close().await.unwrap();
        rewrite(&scene.path(), |database| {
            let tree = database.open_tree("records").unwrap();
            let (key, value) = tree.scan_prefix(kind).last().unwrap().unwrap();
            let mut newer = value.to_vec();
            newer[0] = 2;
            tree.insert(key, newer).unwrap();
        })
        .await;
        let refused = open(&scene.path()).err().unwrap();
        assert_eq!(refused, OpenError::Newer { path: scene.path(), found: 2, known: 1 }, "in {kind}");
        assert!(refused.to_string().contains("`casebridge state rebuild`"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_points_nowhere_or_is_missing_is_damage() {
    type Change = fn(&sled::Tree);
    /// The first record of a kind, by the letter that its key begins with.
    fn first(records: &sled::Tree, kind: &str) -> (sled::IVec, sled::IVec) {
        records.scan_prefix(kind).next().unwrap().unwrap()
    }
    let changes: [(&str, Change); 6] = [
        ("exchanges were recorded", |records| {
            records.remove(first(records, "e").0).unwrap();
        }),
        ("the entry among the parked", |records| {
            records.remove(first(records, "p").0).unwrap();
        }),
        ("exchanges are parked", |records| {
            records.insert("pnobody", &[]).unwrap();
        }),
        ("a pending operation", |records| {
            records.remove(first(records, "o").0).unwrap();
        }),
        ("a piece of a large record", |records| {
            records.remove(first(records, "c").0).unwrap();
        }),
        ("checksum", |records| {
            let (key, value) = first(records, "o");
            let mut other = value.to_vec();
            *other.last_mut().unwrap() ^= 1;
            records.insert(key, other).unwrap();
        }),
    ];
    for (wanted, change) in changes {
        let scene = Scene::new();
        let state = scene.open();
        submit(&state, 1, 10).await;
        submit(&state, 2, 200_000).await;
        let park = state.transact::<_, StateError, _>(|transaction| {
            let record = casebridge::state::ExchangeRecord { parked: parked(), ..record(3) };
            transaction.put_exchange(&key(3), &record)
        });
        park.await.unwrap();
        state.close().await.unwrap();
        rewrite(&scene.path(), |database| change(&database.open_tree("records").unwrap())).await;
        let refused = open(&scene.path()).err().map(|refused| refused.to_string()).unwrap_or_default();
        assert!(refused.contains("is damaged") && refused.contains(wanted), "{wanted}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_was_set_aside_is_kept_and_a_new_one_begins() {
    let scene = Scene::new();
    let state = scene.open();
    let epoch = state.epoch();
    submit(&state, 1, 10).await;
    state.close().await.unwrap();
    let aside = set_aside(&scene.path(), at(0)).unwrap();
    assert!(aside.file_name().unwrap().to_str().unwrap().starts_with("state.set-aside-2026"), "{aside:?}");
    assert!(!scene.path().exists());

    let state = scene.open();
    assert_ne!(state.epoch(), epoch, "feeds of the two are told apart");
    assert_eq!(exchanges(&state).await.unwrap(), Vec::<u64>::new());
    let before = State::open(&settings(&aside), site(), at(1)).unwrap();
    assert_eq!(before.epoch(), epoch);
    assert_eq!(exchanges(&before).await.unwrap(), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_no_directory_is_told() {
    let scene = Scene::new();
    std::fs::write(scene.path(), "a file").unwrap();
    let refused = open(&scene.path()).err().unwrap();
    assert!(matches!(refused, OpenError::NotADirectory { .. }), "{refused:?}");
    assert!(refused.to_string().contains("move it away, or set [state] path"), "{refused}");
}
