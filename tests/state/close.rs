//! Closing: in order, and the database is free when it is done.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use casebridge::state::StateError;

use crate::scene::{Scene, exchanges, key, record, released, submit};

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_state_can_be_opened_again_at_once_though_clones_are_left() {
    let scene = Scene::new();
    for number in 0..60 {
        let state = scene.open();
        let clone = state.clone();
        submit(&state, number, 10).await;
        state.close().await.unwrap();
        let again = scene.open();
        assert_eq!(exchanges(&again).await.unwrap(), (0..=number).collect::<Vec<_>>());
        assert_eq!(exchanges(&clone).await, Err(StateError::Closed));
        again.close().await.unwrap();
        clone.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_before_a_close_is_durable_and_what_comes_after_is_refused() {
    let scene = Scene::new();
    let state = scene.open();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let (begun, beginning) = tokio::sync::oneshot::channel();
    let before = tokio::spawn({
        let state = state.clone();
        async move {
            state
                .transact::<_, StateError, _>(move |transaction| {
                    let _ = begun.send(());
                    held.recv().unwrap();
                    transaction.put_exchange(&key(1), &record(1))
                })
                .await
        }
    });
    beginning.await.unwrap();
    let left = state.clone();
    let mut close = pin!(state.close());
    // Polled once, the close has taken its place in the queue behind the step.
    assert!(close.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let after = left.transact::<_, StateError, _>(|transaction| transaction.put_exchange(&key(2), &record(2)));
    let mut after = pin!(after);
    let polled = after.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Pending);
    hold.send(()).unwrap();
    assert_eq!(before.await.unwrap(), Ok(()));
    assert_eq!(after.await, Err(StateError::Closed));
    close.await.unwrap();
    assert_eq!(exchanges(&scene.open()).await.unwrap(), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_closed_in_order_did_not_fail() {
    let scene = Scene::new();
    let state = scene.open();
    let left = state.clone();
    state.close().await.unwrap();
    let mut failed = pin!(left.failed());
    assert!(failed.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(left.clone().close().await, Ok(()), "closing it twice is no fault");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_dropped_is_released_too() {
    let scene = Scene::new();
    let state = scene.open();
    submit(&state, 1, 10).await;
    drop(state);
    released(&scene.path()).await;
    let again = scene.open();
    assert_eq!(exchanges(&again).await.unwrap(), [1]);
}
