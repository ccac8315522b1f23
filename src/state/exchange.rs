//! The record of one exchange, and the entries that hang on it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::case::{Alias, ExchangeId, Form, Holder, IncidentId, Leg, OperationKind, Progress, Shadow, Touched};

/// An exchange is known by its peer and its ID: two clients can never reach each other's, whatever IDs they use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeKey {
    pub peer: Alias,
    pub exchange: ExchangeId,
}

impl ExchangeKey {
    pub fn new(peer: &Alias, exchange: ExchangeId) -> Self {
        Self { peer: peer.clone(), exchange }
    }

    /// The alias, a zero byte (no alias holds one), the ID.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut key = peer_prefix(&self.peer);
        key.extend_from_slice(self.exchange.as_bytes());
        key
    }

    pub(super) fn decode(key: &[u8]) -> Option<Self> {
        let (peer, rest) = split_peer(key)?;
        Some(Self { peer, exchange: ExchangeId::from_bytes(rest.try_into().ok()?) })
    }
}

pub(super) fn peer_prefix(peer: &Alias) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(Alias::LIMIT + 17);
    prefix.extend_from_slice(peer.as_str().as_bytes());
    prefix.push(0);
    prefix
}

pub(super) fn split_peer(key: &[u8]) -> Option<(Alias, &[u8])> {
    let zero = key.iter().position(|byte| *byte == 0)?;
    let peer = std::str::from_utf8(&key[..zero]).ok()?.parse().ok()?;
    Some((peer, &key[zero + 1..]))
}

/// What this site knows of one exchange.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExchangeRecord {
    pub leg: Leg,
    /// When the exchange came to where it stands: its step, who has the case in hand, and whether that is solved.
    pub since: Timestamp,
    /// When the peer last gave news of this exchange.
    pub heard: Timestamp,
    pub shadow: Shadow,
    /// The last sequence number that an operation of ours got.
    pub sent: u64,
    /// Which of our operations last set each field.
    pub touched: Touched,
    /// The first operation of the peer's that was not known when a change was made here that is not sent yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<u64>,
    pub holder: Holder,
    /// Nothing passes while the record says so (C-59).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// The last operation of the peer's that took effect here.
    pub applied: u64,
    /// The digest of that operation: the same number with another content is a conflict, not a repetition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_digest: Option<u64>,
    /// The places in the outbox of what the peer has not acknowledged, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<u64>,
    /// When there is something to do, and how often it was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Due>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<Parked>,
    /// The first operation of the peer's that cannot take effect here; later ones wait behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Parked>,
    /// The incident changed while too much was pending; it is looked at again when the outbox has drained.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changed_meanwhile: bool,
    /// Whether the peer's operations bring anything new.
    #[serde(default, skip_serializing_if = "is_default")]
    pub progress: Progress,
    /// The policy that submitted the incident, until the store knows of the submission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_by: Option<SubmittedBy>,
}

fn is_default(progress: &Progress) -> bool {
    *progress == Progress::default()
}

/// A policy's submission, to be written back with the transaction ID.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubmittedBy {
    pub policy: String,
    pub at: Timestamp,
    /// None for a client's incident, whose form is the client's own.
    pub form: Option<Form>,
}

/// The retry state of an exchange: a restart neither forgets nor hammers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Due {
    pub at: Timestamp,
    pub attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// An operation that needs a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parked {
    pub since: Timestamp,
    pub seq: u64,
    pub operation: OperationKind,
    pub reason: String,
    /// The peer refused it, or it never went out: it has had no effect there.
    #[serde(default)]
    pub untaken: bool,
}

/// An operation that a peer has not yet acknowledged.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutboxEntry {
    pub exchange: ExchangeId,
    pub seq: u64,
    pub kind: OperationKind,
    /// The last operation of the peer's that had taken effect here when this one was made.
    pub seen: u64,
    pub queued_at: Timestamp,
    /// As it goes over the wire.
    pub operation: Box<serde_json::value::RawValue>,
    /// What it changes, for the history; a Create speaks for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    /// The same in our words, where the peer has others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ours: Option<Box<serde_json::value::RawValue>>,
    /// Why it cannot go as it stands: a value of it has no word at the peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmapped: Option<String>,
}

impl OutboxEntry {
    /// The operation in our words.
    pub fn in_our_words(&self) -> &str {
        self.ours.as_ref().unwrap_or(&self.operation).get()
    }
}

/// An operation of a peer's that is durable here and not yet in effect: a Create that the store could not take yet, or
/// one that is parked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InboundEntry {
    pub seq: u64,
    pub received_at: Timestamp,
    /// The last operation of ours that the peer knew of, where it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
    pub operation: Box<serde_json::value::RawValue>,
}

/// What is known of a peer as a whole: trouble with the connection is its state, not that of each operation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerRecord {
    pub last_contact: Option<Timestamp>,
    pub version: Option<String>,
    /// The peer's clock less ours, in milliseconds.
    pub clock_difference: Option<i64>,
    pub down_since: Option<Timestamp>,
    pub attempts: u32,
    pub next_attempt: Option<Timestamp>,
    pub last_error: Option<String>,
    pub unauthorized: bool,
    /// Whether the alert for giving up was raised in this outage.
    pub given_up: bool,
    /// The cursor of its feed.
    pub cursor: Option<String>,
    /// Whether every exchange was re-adopted since this state was made.
    pub adopted: bool,
    /// What it can do beyond the operations of protocol 1.0, by its own word.
    pub capabilities: Vec<String>,
}

/// What a state belongs to and how it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetaRecord {
    /// Tells feeds of different states apart; a client's cursor names it.
    pub epoch: uuid::Uuid,
    pub created_at: Timestamp,
    /// The incident store that this state belongs to.
    pub site: crate::case::SiteId,
}

/// Where an exchange stands in the due index.
#[derive(Debug, Clone, PartialEq)]
pub struct DueEntry {
    pub key: ExchangeKey,
    pub at: Timestamp,
}

impl ExchangeRecord {
    /// An exchange in which nothing was sent and nothing has arrived yet.
    pub fn begun(leg: Leg, shadow: Shadow, now: Timestamp) -> Self {
        let holder = Holder::at_first(leg.towards());
        Self {
            leg,
            holder,
            touched: Touched::default(),
            unseen: None,
            paused: false,
            since: now,
            heard: now,
            shadow,
            sent: 0,
            applied: 0,
            applied_digest: None,
            pending: Vec::new(),
            due: None,
            parked: None,
            held: None,
            changed_meanwhile: false,
            progress: Progress::default(),
            submitted_by: None,
        }
    }

    /// The incident that the exchange is about, if it exists here yet.
    pub fn incident(&self) -> Option<IncidentId> {
        self.leg.incident()
    }
}
