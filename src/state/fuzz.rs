//! What a damaged disk can put into a record, its key and its head.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::exchange::{ExchangeRecord, InboundEntry, MetaRecord, OutboxEntry, PeerRecord};
use super::keys::{exchange_key, named_exchange};
use super::{StateError, chunk, record};
use crate::fuzz::{Target, assert_harmless};

#[test]
fn records() {
    let target = Target {
        name: "record",
        words: &[
            "{\"leg\":{",
            "\"upward\"",
            "\"downward\"",
            "\"shadow\":{",
            "\"sent\":0",
            "\"touched\":{",
            "\"holder\":\"us\"",
            "\"applied\":0",
            "\"pending\":[1]",
            "\"due\":{\"at\":\"2026-11-21T10:00:00Z\",\"attempts\":1}",
            "\"progress\":{",
            "\"heard\":",
            "\"since\":",
            "\"parked\":{\"seq\":1,\"operation\":\"update\",\"reason\":\"x\"",
            "\"exchange\":\"00000000000000000000000000000001\"",
            "\"operation\":{\"kind\":\"update\",\"content\":{}}",
            "\"kind\":\"create\"",
            "\"queued_at\":\"2026-11-21T10:00:00Z\"",
            "\"seen\":1",
            "\"epoch\":\"01234567-89ab-cdef-0123-456789abcdef\"",
            "\"cursor\":\"a-1\"",
            "\"clock_difference\":-1",
            "north\0",
            "\0\0\0\0\0",
        ],
        samples: &[],
        tries: 4000,
    };
    target.run(|bytes| {
        framing(bytes);
        let answers = [
            read::<ExchangeRecord>(bytes),
            read::<OutboxEntry>(bytes),
            read::<InboundEntry>(bytes),
            read::<PeerRecord>(bytes),
            read::<MetaRecord>(bytes),
            read::<u64>(bytes),
        ];
        answers.join(" | ")
    });
}

/// A content behind a checksum that is right, as a fault of the program's own would leave it.
fn read<T: Serialize + DeserializeOwned + Debug>(content: &[u8]) -> String {
    let mut bytes = vec![1];
    bytes.extend_from_slice(&crc32fast::hash(content).to_le_bytes());
    bytes.extend_from_slice(content);
    match record::decode::<T>(&bytes) {
        Ok(read) => {
            let written = record::encode(&read).unwrap();
            let again: T = record::decode(&written).unwrap();
            assert_eq!(format!("{again:?}"), format!("{read:?}"), "it reads back as written");
            "a record".into()
        }
        Err(fault) => told(&fault),
    }
}

fn framing(bytes: &[u8]) {
    if let Err(fault) = record::verify(bytes) {
        told(&fault);
    }
    let none = |_| Ok(None::<Vec<u8>>);
    if let Err(fault) = chunk::join(bytes, none) {
        told(&fault);
    }
    if let Some(name) = named_exchange(bytes) {
        assert_eq!(exchange_key(&name)[1..], bytes[1..]);
    }
}

fn told(fault: &StateError) -> String {
    assert_harmless(&fault.to_string(), 400);
    fault.to_string()
}
