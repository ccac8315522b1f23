//! The feed to one client: operations in the order they were queued, behind a cursor that acknowledges what comes
//! before it.

use std::time::Duration;

use uuid::Uuid;

use super::{Engine, EngineError};
use crate::case::{Alias, TransactionId};
use crate::protocol::{BATCH_LIMIT, PAGE_BYTES, ProblemType, UpdateAnswer, UpdateOperation, Version};
use crate::state::ExchangeKey;

/// A place in a client's feed. Its text names the state that it belongs to, so a cursor from before a loss is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    epoch: Uuid,
    number: u64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.epoch.simple(), self.number)
    }
}

/// Why a cursor was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one of this site's feed; read `GET /v1/exchanges` for a new one")]
pub struct FeedError;

impl std::str::FromStr for Position {
    type Err = FeedError;

    fn from_str(text: &str) -> Result<Self, FeedError> {
        let (epoch, number) = text.split_once('-').ok_or(FeedError)?;
        let position = Self {
            epoch: Uuid::try_parse(epoch).map_err(|_| FeedError)?,
            number: number.parse().map_err(|_| FeedError)?,
        };
        // Both parts could be spelled in other ways, none of which this site has given out.
        if position.to_string() == text { Ok(position) } else { Err(FeedError) }
    }
}

impl Engine {
    /// What comes after `after`, waiting up to `wait` for the first of it. Everything up to `after` is durable at the
    /// client, and soon forgotten here.
    pub async fn updates(
        &self,
        client: &Alias,
        after: Option<&str>,
        wait: Duration,
        limit: usize,
    ) -> Result<UpdateAnswer, EngineError> {
        let lost = |fault: FeedError| EngineError::from(ProblemType::CursorLost.with(fault.to_string()));
        let after: Position = after.ok_or(FeedError).and_then(str::parse).map_err(lost)?;
        if after.epoch != self.state().epoch() {
            return Err(lost(FeedError));
        }
        let news = self.feed(client);
        self.acknowledge(client, after.number, lost).await?;
        self.in_touch(client, wait);
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            // Listening begins before looking, so nothing is missed in between.
            let told = news.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            let operations = self.read_feed(client, after.number, limit.clamp(1, BATCH_LIMIT)).await?;
            if let Some((last, _)) = operations.last() {
                let cursor = Position { number: *last, ..after }.to_string();
                let operations = operations.into_iter().map(|(_, one)| one).collect();
                return Ok(UpdateAnswer { protocol: Some(Version::OURS), cursor, operations });
            }
            if tokio::time::timeout_at(deadline, told).await.is_err() {
                let cursor = after.to_string();
                return Ok(UpdateAnswer { protocol: Some(Version::OURS), cursor, operations: Vec::new() });
            }
        }
    }

    /// The cursor behind everything that was ever queued for this client.
    pub(super) async fn feed_end(&self, client: &Alias) -> Result<Position, EngineError> {
        let (epoch, client) = (self.state().epoch(), client.clone());
        let number = self
            .state()
            .transact::<_, EngineError, _>(move |transaction| Ok(transaction.last_position(&client)?))
            .await?;
        Ok(Position { epoch, number })
    }

    async fn acknowledge(
        &self,
        client: &Alias,
        through: u64,
        lost: impl Fn(FeedError) -> EngineError,
    ) -> Result<(), EngineError> {
        let (peer, now) = (client.clone(), self.now());
        let is_news = self
            .state()
            .read(move |view| {
                if through > view.last_position(&peer)? {
                    return Ok(None);
                }
                Ok(Some(!view.outbox_through(&peer, through, 1)?.is_empty()))
            })
            .await?;
        let Some(is_news) = is_news else { return Err(lost(FeedError)) };
        if is_news {
            self.0.taken.note(client, through);
        }
        self.heard_from(client, now);
        Ok(())
    }

    async fn read_feed(
        &self,
        client: &Alias,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, UpdateOperation)>, EngineError> {
        let peer = client.clone();
        let operations = self
            .state()
            .read(move |view| {
                let mut operations = Vec::new();
                let mut bytes = 0;
                for (position, entry) in view.outbox_after(&peer, after, limit)? {
                    if bytes >= PAGE_BYTES {
                        break;
                    }
                    bytes += entry.operation.get().len();
                    let record = view.exchange(&ExchangeKey::new(&peer, entry.exchange))?;
                    let incident = record.and_then(|record| record.incident());
                    let transaction = incident.and_then(|id| id.to_string().parse::<TransactionId>().ok());
                    // Nothing is queued for a client before its incident stands in the store.
                    let Some(transaction) = transaction else { continue };
                    let one = UpdateOperation {
                        exchange: entry.exchange,
                        seq: entry.seq,
                        seen: Some(entry.seen),
                        transaction,
                        operation: entry.operation,
                        unknown: None,
                    };
                    operations.push((position, one));
                }
                Ok(operations)
            })
            .await?;
        Ok(operations)
    }

    /// Remembers when a client last showed itself; kept in memory, told by `status`.
    pub fn heard_from(&self, client: &Alias, at: jiff::Timestamp) {
        let mut contacts = self.0.contacts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let contact = contacts.entry(client.clone()).or_default();
        contact.last_contact = Some(at);
        drop(contacts);
        self.in_touch(client, Duration::ZERO);
    }

    /// The client's version, as its requests name it.
    pub fn heard_version(&self, client: &Alias, version: &str) {
        let mut contacts = self.0.contacts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let contact = contacts.entry(client.clone()).or_default();
        if contact.version.as_deref() != Some(version) {
            contact.version = Some(crate::case::text::shown(version, 40));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_as_written_and_nothing_else_reads() {
        let position = Position { epoch: Uuid::from_u128(9), number: 42 };
        assert_eq!(position.to_string().parse(), Ok(position));
        for wrong in ["", "-", "1", "x-1", &format!("{}-", Uuid::from_u128(9).simple()), "\u{0}"] {
            assert_eq!(wrong.parse::<Position>(), Err(FeedError), "{wrong:?}");
        }
    }
}
