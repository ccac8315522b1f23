//! Bugs that are built into the simulated parts on purpose, to show that the simulation finds such things.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The store forgets which exchanges it has opened an incident for.
    OpensTwice,
    /// The store does not look whether an operation has taken effect.
    AppliesTwice,
    /// The store's cursor passes over a change now and then.
    LeavesOutAChange,
    /// The disk says that it is synced, and is not.
    LiesAboutSync,
    /// Something on the way says "applied" in the partner's name.
    AcknowledgesNothing,
    /// The store keeps that a deadline was warned of in the history, and not always in the record.
    ForgetsAWarning,
    /// What a page of events led to is queued after the reader has moved past it.
    MovesOnBeforeItQueues,
    /// That a mail was sent is not always written.
    ForgetsThatItWasSent,
    /// The store does not look on which revision of a case somebody took it in hand.
    TakesStaleClaims,
    /// A site believes that it has one receipt more than it was given.
    PassesOverAReceipt,
}
