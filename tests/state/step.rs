//! Steps: what they see, what they leave, and what the indexes say afterwards.

use std::collections::HashSet;

use casebridge::case::{Downward, Leg};
use casebridge::state::{ExchangeKey, ExchangeRecord, InboundEntry, Lane, PeerRecord, State, StateError};

use crate::scene::{Scene, at, blobs, due, entry, exchanges, key, lane, parked, peer, record, submit};

/// A caller's own error, as the engine has one.
#[derive(Debug, PartialEq, thiserror::Error)]
enum Refused {
    #[error("the caller changed its mind")]
    Mind,
    #[error(transparent)]
    State(#[from] StateError),
}

async fn put(state: &State, number: u64, record: ExchangeRecord) {
    let put = state.transact::<_, StateError, _>(move |transaction| transaction.put_exchange(&key(number), &record));
    put.await.unwrap();
}

async fn next_position(state: &State) -> u64 {
    state.transact::<_, StateError, _>(|transaction| transaction.enqueue(&peer(), &entry(1, 10))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_leaves_no_writes() {
    let scene = Scene::new();
    let state = scene.open();
    submit(&state, 1, 10).await;
    let failed = state
        .transact::<(), _, _>(|transaction| {
            transaction.enqueue(&peer(), &entry(2, 200_000))?;
            transaction.put_exchange(&key(2), &ExchangeRecord { due: due(1), parked: parked(), ..record(2) })?;
            transaction.put_exchange(&key(1), &record(99))?;
            transaction.put_store_cursor("17")?;
            transaction.put_peer(&peer(), &PeerRecord { attempts: 3, ..PeerRecord::default() })?;
            Err(Refused::Mind)
        })
        .await;
    assert_eq!(failed, Err(Refused::Mind));
    assert_eq!(exchanges(&state).await.unwrap(), [1]);
    state
        .read(|view| {
            assert_eq!(view.outbox_len(&peer(), 10)?, 1);
            assert_eq!((view.count()?, view.parked_count(100)), (1, 0));
            assert_eq!(view.due(&lane(), at(100), 10).len(), 1);
            assert_eq!(view.peer(&peer())?, PeerRecord::default());
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(state.transact::<_, StateError, _>(|t| t.store_cursor()).await.unwrap(), None);
    assert_eq!(next_position(&state).await, 2, "the position was not used up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_panics_is_an_error_to_its_caller_and_the_state_goes_on() {
    let scene = Scene::new();
    let state = scene.open();
    submit(&state, 1, 10).await;
    let panicked = state
        .transact::<(), StateError, _>(|transaction| {
            transaction.put_exchange(&key(2), &record(2))?;
            panic!("a step that a test makes panic");
        })
        .await;
    assert_eq!(panicked, Err(StateError::Panicked));
    let panicked = state.read::<(), _>(|_| panic!("a read that a test makes panic")).await;
    assert_eq!(panicked, Err(StateError::Panicked));
    submit(&state, 3, 10).await;
    assert_eq!(exchanges(&state).await.unwrap(), [1, 3]);
}

/// The first step holds the committer until all the others wait: they become one group, good and bad side by side.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_group_each_step_sees_the_ones_before_it_and_fails_for_itself() {
    let scene = Scene::new();
    let state = scene.open();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let holding = tokio::spawn({
        let state = state.clone();
        async move { state.transact::<_, StateError, _>(move |_| Ok(held.recv().is_ok())).await }
    });
    let steps: Vec<_> = (1..=30)
        .map(|number| {
            let state = state.clone();
            tokio::spawn(async move {
                state
                    .transact::<_, Refused, _>(move |transaction| {
                        let position = transaction.enqueue(&peer(), &entry(number, 10))?;
                        assert_eq!(transaction.last_position(&peer())?, position);
                        assert!(transaction.outbox(&peer(), position)?.is_some());
                        transaction.put_exchange(&key(number), &record(number))?;
                        assert_eq!(transaction.exchange(&key(number))?, Some(record(number)));
                        match number % 3 {
                            0 => Err(Refused::Mind),
                            1 => Ok(position),
                            _ => panic!("a step that a test makes panic"),
                        }
                    })
                    .await
            })
        })
        .collect();
    hold.send(()).unwrap();
    assert!(holding.await.unwrap().unwrap());
    let mut positions = Vec::new();
    for (number, step) in (1..=30).zip(steps) {
        match step.await.unwrap() {
            Ok(position) => positions.push(position),
            Err(Refused::Mind) => assert_eq!(number % 3, 0),
            Err(Refused::State(fault)) => assert_eq!((fault, number % 3), (StateError::Panicked, 2)),
        }
    }
    positions.sort_unstable();
    assert_eq!(positions, (1..=10).collect::<Vec<_>>(), "each its own, and none was lost to a failed one");
    assert_eq!(exchanges(&state).await.unwrap(), (1..=30).filter(|number| number % 3 == 1).collect::<Vec<_>>());
    assert_eq!(state.read(|view| view.outbox_len(&peer(), 100)).await.unwrap(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_that_are_asked_for_at_once_all_become_durable() {
    let scene = Scene::new();
    let state = scene.open();
    let steps: Vec<_> = (0..500)
        .map(|number| {
            let state = state.clone();
            tokio::spawn(async move { submit(&state, number, 50).await })
        })
        .collect();
    let mut positions = Vec::new();
    for step in steps {
        positions.push(step.await.unwrap());
    }
    positions.sort_unstable();
    assert_eq!(positions, (1..=500).collect::<Vec<_>>());
    state.close().await.unwrap();
    assert_eq!(exchanges(&scene.open()).await.unwrap(), (0..500).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_only_grow_though_the_outbox_drains_and_the_state_is_reopened() {
    let scene = Scene::new();
    let state = scene.open();
    for wanted in 1..=3 {
        assert_eq!(next_position(&state).await, wanted);
    }
    let drained = state.transact::<_, StateError, _>(|transaction| {
        let positions = transaction.positions_through(&peer(), u64::MAX, 10)?;
        positions.iter().try_for_each(|position| transaction.dequeue(&peer(), *position))?;
        Ok(positions)
    });
    assert_eq!(drained.await.unwrap(), [1, 2, 3]);
    assert_eq!(next_position(&state).await, 4);
    state.close().await.unwrap();
    let state = scene.open();
    assert_eq!(next_position(&state).await, 5);
    let other = "north".parse().unwrap();
    let step = state.transact::<_, StateError, _>(move |transaction| transaction.enqueue(&other, &entry(1, 10)));
    assert_eq!(step.await.unwrap(), 1, "another peer counts for itself");
    let waiting = state.read(|view| view.outbox_after(&peer(), 4, 10)).await.unwrap();
    assert_eq!(waiting.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_due_index_follows_the_records() {
    let scene = Scene::new();
    let state = scene.open();
    for (number, second) in [(1, 30), (2, 10), (3, 20)] {
        put(&state, number, ExchangeRecord { due: due(second), ..record(number) }).await;
    }
    let due_at = |second| {
        let state = state.clone();
        async move {
            let due = state.read(move |view| Ok(view.due(&lane(), at(second), 10))).await.unwrap();
            due.into_iter().map(|entry| entry.key).collect::<Vec<ExchangeKey>>()
        }
    };
    assert_eq!(due_at(9).await, []);
    assert_eq!(due_at(20).await, [key(2), key(3)], "the longest due first, and what is due just now");
    assert_eq!(state.read(|view| Ok(view.next_due(&lane(), &HashSet::new()))).await.unwrap(), Some(at(10)));

    put(&state, 2, ExchangeRecord { due: due(40), ..record(2) }).await;
    put(&state, 3, record(3)).await;
    assert_eq!(due_at(100).await, [key(1), key(2)], "moved, and gone");
    put(&state, 1, ExchangeRecord { due: due(30), sent: 1, applied: 7, ..record(1) }).await;
    assert_eq!(due_at(100).await, [key(1), key(2)], "another change leaves it where it is");
    assert_eq!(state.read(|view| Ok(view.due(&lane(), at(100), 1))).await.unwrap()[0].at, at(30));

    let there_and_back = state.transact::<_, StateError, _>(|transaction| {
        transaction.put_exchange(&key(1), &record(1))?;
        transaction.put_exchange(&key(1), &ExchangeRecord { due: due(5), ..record(1) })?;
        transaction.put_exchange(&key(2), &record(2))
    });
    there_and_back.await.unwrap();
    assert_eq!(due_at(100).await, [key(1)]);
    assert_eq!(state.read(|view| Ok(view.next_due(&lane(), &HashSet::new()))).await.unwrap(), Some(at(5)));
    state.close().await.unwrap();
    assert_eq!(scene.open().read(|view| Ok(view.next_due(&lane(), &HashSet::new()))).await.unwrap(), Some(at(5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_leaves_what_the_step_before_it_in_the_group_made_due() {
    let scene = Scene::new();
    let state = scene.open();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let (begun, beginning) = tokio::sync::oneshot::channel();
    let holding = tokio::spawn({
        let state = state.clone();
        async move {
            let step = state.transact::<_, StateError, _>(move |_| {
                let _ = begun.send(());
                Ok(held.recv().is_ok())
            });
            step.await
        }
    });
    beginning.await.unwrap();
    let first = state.transact::<_, Refused, _>(|transaction| {
        Ok(transaction.put_exchange(&key(1), &ExchangeRecord { due: due(5), ..record(1) })?)
    });
    let second = state.transact::<(), Refused, _>(|transaction| {
        transaction.put_exchange(&key(1), &ExchangeRecord { due: due(9), ..record(1) })?;
        transaction.put_exchange(&key(2), &ExchangeRecord { due: due(9), ..record(2) })?;
        Err(Refused::Mind)
    });
    // Joined, they take their places in the queue in this order before either is waited for.
    let (first, second, released) = tokio::join!(first, second, async { hold.send(()) });
    assert_eq!((first, second), (Ok(()), Err(Refused::Mind)));
    released.unwrap();
    assert!(holding.await.unwrap().unwrap());
    let due = state.read(|view| Ok(view.due(&lane(), at(100), 10))).await.unwrap();
    assert_eq!(due.iter().map(|entry| (entry.key.clone(), entry.at)).collect::<Vec<_>>(), [(key(1), at(5))]);
    state.close().await.unwrap();
    assert_eq!(scene.open().read(|view| Ok(view.due(&lane(), at(100), 10))).await.unwrap(), due, "as it is made anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_one_instant_what_was_queued_first_is_due_first_and_the_other_direction_is_a_lane_of_its_own() {
    let scene = Scene::new();
    let state = scene.open();
    for (number, position) in [(1, 9), (2, 4), (3, 7)] {
        let enqueued = state.transact::<_, StateError, _>(move |transaction| {
            while transaction.last_position(&peer())? < 9 {
                transaction.enqueue(&peer(), &entry(1, 10))?;
            }
            let record = ExchangeRecord { due: due(10), pending: vec![position], ..record(number) };
            transaction.put_exchange(&key(number), &record)
        });
        enqueued.await.unwrap();
    }
    let received = ExchangeRecord { leg: Leg::Downward(Downward::Received), due: due(10), ..record(4) };
    put(&state, 4, received).await;
    let due_in = |lane: Lane| {
        let state = state.clone();
        async move {
            let due = state.read(move |view| Ok(view.due(&lane, at(10), 10))).await.unwrap();
            due.into_iter().map(|entry| entry.key).collect::<Vec<ExchangeKey>>()
        }
    };
    assert_eq!(due_in(lane()).await, [key(2), key(3), key(1)]);
    assert_eq!(due_in(Lane::Clients).await, [key(4)]);
    assert_eq!(due_in(Lane::Upstream("partner2".parse().unwrap())).await, []);
    put(&state, 2, ExchangeRecord { due: due(10), pending: vec![9], ..record(2) }).await;
    assert_eq!(due_in(lane()).await[0], key(3), "its first operation was acknowledged");
    let except = HashSet::from([key(1).exchange, key(2).exchange, key(3).exchange]);
    assert_eq!(state.read(move |view| Ok(view.next_due(&lane(), &except))).await.unwrap(), None);
    state.close().await.unwrap();
    scene.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parked_are_listed_until_they_go_on() {
    let scene = Scene::new();
    let state = scene.open();
    put(&state, 1, ExchangeRecord { due: due(1), ..record(1) }).await;
    let mut waiting = ExchangeRecord { due: due(1), ..record(2) };
    waiting.park(parked().unwrap());
    put(&state, 2, waiting.clone()).await;
    let listed = |state: State| async move {
        let parked = state.read(|view| Ok((view.parked(10)?, view.parked_count(100)))).await.unwrap();
        assert_eq!(parked.0.len() as u64, parked.1);
        parked.0
    };
    assert_eq!(listed(state.clone()).await, [(key(2), waiting.clone())]);
    assert_eq!(
        state.read(|view| Ok(view.due(&lane(), at(10), 10))).await.unwrap().len(),
        1,
        "nothing is tried for it meanwhile"
    );
    put(&state, 2, ExchangeRecord { sent: 9, ..waiting }).await;
    assert_eq!(listed(state.clone()).await[0].1.sent, 9);
    put(&state, 2, ExchangeRecord { held: parked(), ..record(2) }).await;
    assert_eq!(listed(state.clone()).await.len(), 1, "one that the peer's operation holds up needs a person too");
    put(&state, 2, record(2)).await;
    assert_eq!(listed(state).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_operation_is_kept_in_pieces_and_reads_back_whole() {
    // The last is larger than what sled keeps in its log.
    let bytes = |number| match number {
        59 => 3_000_000,
        number if number % 2 == 0 => 200_000,
        _ => 7_000,
    };
    let scene = Scene::new();
    let state = scene.open();
    for number in 0..60 {
        submit(&state, number, bytes(number)).await;
    }
    let read_back = |state: State| async move {
        let entries = state.read(|view| view.outbox_after(&peer(), 0, 100)).await.unwrap();
        assert_eq!(entries.len(), 60);
        for (number, (_, found)) in entries.into_iter().enumerate() {
            let wanted = entry(number as u64, bytes(number as u64));
            assert_eq!(found.operation.get(), wanted.operation.get());
        }
    };
    read_back(state.clone()).await;
    let within =
        state.transact::<_, StateError, _>(|t| Ok(t.outbox(&peer(), 1)?.map(|entry| entry.operation.get().len())));
    assert_eq!(within.await.unwrap(), Some(200_011));
    assert!(!state.has_blobs());
    assert_eq!(blobs(&scene.path()), 0, "sled would never sync them");
    state.close().await.unwrap();
    let state = scene.open();
    read_back(state.clone()).await;
    let all_gone = state.transact::<_, StateError, _>(|transaction| {
        (1..=60).try_for_each(|position| transaction.dequeue(&peer(), position))?;
        (1..=60).try_for_each(|position| {
            assert!(transaction.outbox(&peer(), position)?.is_none());
            Ok(())
        })
    });
    all_gone.await.unwrap();
    assert_eq!(state.read(|view| view.outbox_len(&peer(), 100)).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_received_operation_is_replaced_by_a_smaller_one_and_leaves_no_pieces() {
    let scene = Scene::new();
    let state = scene.open();
    let inbound = |bytes| InboundEntry { seq: 1, received_at: at(0), seen: None, operation: entry(1, bytes).operation };
    for bytes in [200_000, 70_000, 10] {
        let put = state.transact::<_, StateError, _>(move |t| t.put_inbound(&key(1), &inbound(bytes)));
        put.await.unwrap();
        let found = state.transact::<_, StateError, _>(|t| t.inbound(&key(1), 1)).await.unwrap().unwrap();
        assert_eq!(found.operation.get().len(), bytes + 11);
    }
    state.close().await.unwrap();
    let database = sled::Config::new().path(scene.path()).segment_size(8 << 20).open().unwrap();
    assert_eq!(database.open_tree("records").unwrap().scan_prefix("c").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_large_is_refused_and_nothing_else_is_held_up() {
    let scene = Scene::new();
    let state = scene.open();
    let huge = ExchangeRecord { pending: (0..100_000).collect(), ..record(1) };
    let refused = state.transact::<_, StateError, _>(move |transaction| transaction.put_exchange(&key(1), &huge)).await;
    assert!(matches!(refused, Err(StateError::ValueTooLarge { what: "exchange", .. })), "{refused:?}");
    submit(&state, 2, 10).await;
    assert_eq!(exchanges(&state).await.unwrap(), [2]);
}
