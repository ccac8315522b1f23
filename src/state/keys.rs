//! The keys of the records and their order: the kind first, then what tells records of one kind apart.

use super::exchange::{ExchangeKey, peer_prefix};
use crate::case::Alias;

/// What a record is, as the first byte of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Chunk = b'c',
    Exchange = b'e',
    Inbound = b'i',
    Meta = b'm',
    Outbox = b'o',
    Parked = b'p',
    Peer = b'r',
}

impl Kind {
    pub const ALL: [Kind; 7] =
        [Kind::Chunk, Kind::Exchange, Kind::Inbound, Kind::Meta, Kind::Outbox, Kind::Parked, Kind::Peer];

    /// Whether its values carry the envelope of `record.rs`; the others are indexes, or pieces of one.
    pub fn has_envelope(self) -> bool {
        !matches!(self, Kind::Parked | Kind::Chunk)
    }

    fn key(self, rest: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(1 + rest.len());
        key.push(self as u8);
        key.extend_from_slice(rest);
        key
    }
}

pub fn exchange_key(key: &ExchangeKey) -> Vec<u8> {
    Kind::Exchange.key(&key.encode())
}

pub fn parked_key(key: &ExchangeKey) -> Vec<u8> {
    Kind::Parked.key(&key.encode())
}

/// Of an exchange's or a parked entry's key: what it names.
pub fn named_exchange(key: &[u8]) -> Option<ExchangeKey> {
    ExchangeKey::decode(key.get(1..)?)
}

/// All exchanges with one peer.
pub fn exchanges_of(peer: &Alias) -> Vec<u8> {
    Kind::Exchange.key(&peer_prefix(peer))
}

/// Peer, then position: a peer's outbox is one range, in order.
pub fn outbox_key(peer: &Alias, position: u64) -> Vec<u8> {
    let mut key = Kind::Outbox.key(&peer_prefix(peer));
    key.extend_from_slice(&position.to_be_bytes());
    key
}

pub fn inbound_key(key: &ExchangeKey, seq: u64) -> Vec<u8> {
    let mut inbound = Kind::Inbound.key(&key.encode());
    inbound.extend_from_slice(&seq.to_be_bytes());
    inbound
}

pub fn peer_key(peer: &Alias) -> Vec<u8> {
    Kind::Peer.key(&peer_prefix(peer))
}

pub fn meta_key(name: &str) -> Vec<u8> {
    Kind::Meta.key(name.as_bytes())
}

/// The piece with this number of the record with this key.
pub fn chunk_key(of: &[u8], number: usize) -> Vec<u8> {
    let mut key = Kind::Chunk.key(of);
    key.extend_from_slice(&(number as u32).to_be_bytes());
    key
}
