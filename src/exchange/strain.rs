//! What the daemon had too little of lately. Whoever asks for `status` once it answers again shall hear of it.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::Engine;

/// What there can be too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strain {
    /// Connections are closed at the door.
    Connections,
    /// No file and no connection can be opened.
    Descriptors,
}

/// When each was felt last.
#[derive(Default)]
pub(super) struct Strains {
    connections: Mutex<Option<Timestamp>>,
    descriptors: Mutex<Option<Timestamp>>,
}

impl Strains {
    /// For so long it is told of.
    const LATELY: SignedDuration = SignedDuration::from_mins(10);

    fn of(&self, strain: Strain) -> &Mutex<Option<Timestamp>> {
        match strain {
            Strain::Connections => &self.connections,
            Strain::Descriptors => &self.descriptors,
        }
    }

    pub(super) fn warnings(&self, now: Timestamp) -> impl Iterator<Item = String> {
        [Strain::Connections, Strain::Descriptors].into_iter().filter_map(move |strain| {
            let last = *self.of(strain).lock().unwrap_or_else(PoisonError::into_inner);
            let last = last.filter(|last| now.duration_since(*last) < Self::LATELY)?;
            Some(match strain {
                Strain::Connections => format!(
                    "too many connections, the last time at {last}: strangers are closed at the door; \
                     `connections_limited` in the log names their addresses"
                ),
                Strain::Descriptors => format!(
                    "no file descriptors were left, the last time at {last}; raise LimitNOFILE or lower listen.connections"
                ),
            })
        })
    }
}

impl Engine {
    /// Takes note that there was too little.
    pub fn ran_out(&self, strain: Strain) {
        *self.0.strains.of(strain).lock().unwrap_or_else(PoisonError::into_inner) = Some(self.now());
    }
}
