//! A damaged database is told, never taken for a smaller one, and never takes the process with it.

use std::path::{Path, PathBuf};

use casebridge::state::{OpenError, set_aside};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::scene::{Scene, at, exchanges, open, peer, submit};

const EXCHANGES: u64 = 40;

/// A state with exchanges in it, closed, and its database file.
async fn furnished() -> (Scene, Vec<u8>) {
    let scene = Scene::new();
    let state = scene.open();
    for number in 0..EXCHANGES {
        submit(&state, number, if number == 20 { 200_000 } else { 300 }).await;
    }
    state.close().await.unwrap();
    let bytes = std::fs::read(scene.path().join("db")).unwrap();
    (scene, bytes)
}

/// The same directory with another database file.
fn copy_with(scene: &Scene, name: &str, database: &[u8]) -> PathBuf {
    let copy = scene.beside(name);
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(scene.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
    }
    std::fs::write(copy.join("db"), database).unwrap();
    copy
}

/// Whether everything is there; else the damage was told.
async fn whole(path: &Path) -> bool {
    match open(path) {
        Ok(state) => {
            assert_eq!(exchanges(&state).await.unwrap(), (0..EXCHANGES).collect::<Vec<_>>());
            let outbox = state.read(|view| view.outbox_after(&peer(), 0, 100)).await.unwrap();
            assert_eq!(outbox.len() as u64, EXCHANGES);
            state.close().await.unwrap();
            true
        }
        Err(OpenError::Damaged { .. } | OpenError::Io { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flipped_bytes_are_told_or_harmless_wherever_they_are() {
    let (scene, bytes) = furnished().await;
    assert!(whole(&copy_with(&scene, "untouched", &bytes)).await);
    let written: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let runtime = tokio::runtime::Handle::current();
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(80) });
    let anywhere = prop::collection::vec((any::<prop::sample::Index>(), 1u8..=255), 1..4);
    let round = std::cell::Cell::new(0);
    let told = tokio::task::block_in_place(|| {
        runner.run(&anywhere, |flips| {
            round.set(round.get() + 1);
            let mut damaged = bytes.clone();
            for (at, mask) in flips {
                damaged[written[at.index(written.len())]] ^= mask;
            }
            let copy = copy_with(&scene, &format!("copy-{}", round.get()), &damaged);
            runtime.block_on(whole(&copy));
            std::fs::remove_dir_all(copy).unwrap();
            Ok(())
        })
    });
    told.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_cut_short_is_not_taken_for_a_smaller_one() {
    let (scene, bytes) = furnished().await;
    for (number, length) in [0, 1, bytes.len() / 3, bytes.len() / 2, bytes.len() - 100].into_iter().enumerate() {
        let copy = copy_with(&scene, &format!("copy-{number}"), &bytes[..length]);
        assert!(!whole(&copy).await, "{length} of {} bytes", bytes.len());
    }
    let copy = copy_with(&scene, "gone", &bytes);
    std::fs::remove_file(copy.join("db")).unwrap();
    assert!(!whole(&copy).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_database_is_not_taken_for_the_present_one() {
    let (scene, older) = furnished().await;
    let state = scene.open();
    submit(&state, EXCHANGES, 10).await;
    state.close().await.unwrap();
    let refused = open(&copy_with(&scene, "older", &older)).err().unwrap();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused:?}");
    assert!(refused.to_string().contains("was acknowledged"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_the_last_commit_is_checked_itself() {
    let (scene, bytes) = furnished().await;
    let copy = copy_with(&scene, "flipped", &bytes);
    let mut number = std::fs::read(copy.join("acknowledged")).unwrap();
    number[7] ^= 1;
    std::fs::write(copy.join("acknowledged"), &number).unwrap();
    assert!(!whole(&copy).await);
    let copy = copy_with(&scene, "short", &bytes);
    std::fs::write(copy.join("acknowledged"), &number[..5]).unwrap();
    assert!(!whole(&copy).await);
    // A power cut at the first start can leave it empty; then there is only less to notice.
    let copy = copy_with(&scene, "empty", &bytes);
    std::fs::write(copy.join("acknowledged"), "").unwrap();
    assert!(whole(&copy).await);
    assert!(std::fs::metadata(copy.join("acknowledged")).unwrap().len() > 0, "and it counts on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_state_is_set_aside_in_the_same_process_and_a_new_one_begins() {
    let (scene, mut bytes) = furnished().await;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(scene.path().join("db"), &bytes).unwrap();
    assert!(!whole(&scene.path()).await);
    assert!(!whole(&scene.path()).await, "sled cuts off what it cannot read; that does not make it whole");
    let aside = set_aside(&scene.path(), at(0)).unwrap();
    let state = scene.open();
    submit(&state, 1, 10).await;
    assert_eq!(exchanges(&state).await.unwrap(), [1]);
    assert!(aside.join("db").exists(), "the old one is kept for whoever wants to look at it");
}
