//! The steps of an exchange: towards the upstream, and towards a client. A relay holds one of each. A step holds just
//! the values that exist by then; an event that cannot follow is an error value naming both.

use serde::{Deserialize, Serialize};

use super::derive::Towards;
use super::id::{CaseId, IncidentId, TransactionId};
use super::incident::Standing;
use super::operation::{Changes, Operation, OperationKind};
use super::ownership::Holder;
use super::phase::{Phase, PhaseGroup};
use super::shadow::Shadow;

/// One end of one exchange.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leg {
    Upward { incident: IncidentId, step: Upward },
    Downward(Downward),
}

/// Towards the site that we submit to. The three waits are the first three waiting steps: for the transaction
/// ID, for the case ID and link, for updates; each ends where the next begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum Upward {
    /// The Create is on its way; no answer yet.
    Creating,
    /// The upstream has the Create but could not store the incident yet: its transaction ID is polled for.
    AwaitingTransaction,
    /// Acknowledged; the case ID and link are polled for.
    AwaitingCase {
        transaction: TransactionId,
    },
    /// The case is open; updates are polled for.
    Open {
        transaction: TransactionId,
        case: CaseId,
    },
    Closed {
        transaction: TransactionId,
        case: Option<CaseId>,
    },
    /// The upstream refused or gave back the case. A tombstone: late messages are answered "rejected".
    Rejected,
}

/// Towards a site that submits to us.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum Downward {
    /// The Create is durable here, but the incident store has not taken it yet.
    Received,
    /// The incident stands in our store; a person decides.
    Deciding {
        incident: IncidentId,
    },
    Open {
        incident: IncidentId,
        case: CaseId,
    },
    Closed {
        incident: IncidentId,
        case: Option<CaseId>,
    },
    Rejected {
        incident: IncidentId,
    },
}

/// An event that cannot follow the present step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot follow while the exchange is {step}")]
pub struct Illegal {
    pub step: &'static str,
    pub event: &'static str,
}

/// Whether an operation may follow in the phase that both sites know the case to be in (C-20), with the site that sent it or
/// the one that got it having it in hand. Asked where the sender knew everything that was said: what merely crossed
/// another change is no fault. After a Cancel nobody is at fault either: how it ended stands (C-13).
pub fn legal(operation: &Operation, agreed: &Shadow, holder: Holder) -> Result<(), Illegal> {
    use OperationKind::{Accept, Assign, Reopen, Resolve, Update};
    use PhaseGroup::{Done, Resolution, Validation};
    let kind = operation.kind();
    let illegal = |step| Err(Illegal { step, event: kind.as_str() });
    let over = if agreed.phase.group() == Done { "closed" } else { "resolved" };
    match (kind, agreed.phase.group()) {
        (Reopen, Resolution) => illegal("open"),
        (Assign, _) if holder == Holder::Us => illegal("in this site's hands already"),
        (_, Validation | Done) if agreed.is_canceled() => Ok(()),
        (Resolve, Done) | (Accept | Assign, Validation | Done) => illegal(over),
        // How it ended is said anew by a Resolve or a Close (C-07, C-12).
        (Update, Validation | Done) if operation.changes().is_some_and(says_how_it_stands) => illegal(over),
        _ => Ok(()),
    }
}

fn says_how_it_stands(changes: &Changes) -> bool {
    changes.solution.is_some() || changes.completion_code.is_some() || changes.expected_resolution.is_some()
}

impl Upward {
    pub fn name(&self) -> &'static str {
        match self {
            Upward::Creating => "creating",
            Upward::AwaitingTransaction => "awaiting_transaction",
            Upward::AwaitingCase { .. } => "awaiting_case",
            Upward::Open { .. } => "open",
            Upward::Closed { .. } => "closed",
            Upward::Rejected => "rejected",
        }
    }

    pub fn transaction(&self) -> Option<&TransactionId> {
        match self {
            Upward::AwaitingCase { transaction }
            | Upward::Open { transaction, .. }
            | Upward::Closed { transaction, .. } => Some(transaction),
            Upward::Creating | Upward::AwaitingTransaction | Upward::Rejected => None,
        }
    }

    /// The Create was answered "received". Said twice, it changes nothing.
    pub fn received(self) -> Result<Self, Illegal> {
        match self {
            Upward::Creating => Ok(Upward::AwaitingTransaction),
            step @ (Upward::AwaitingTransaction
            | Upward::AwaitingCase { .. }
            | Upward::Open { .. }
            | Upward::Closed { .. }) => Ok(step),
            Upward::Rejected => Err(Illegal { step: "rejected", event: "the answer \"received\"" }),
        }
    }

    /// The transaction ID came. The first one counts; a different one later is the upstream's fault and refused.
    pub fn acknowledged(self, transaction: TransactionId) -> Result<Self, Illegal> {
        match self {
            Upward::Creating | Upward::AwaitingTransaction => Ok(Upward::AwaitingCase { transaction }),
            step if step.transaction() == Some(&transaction) => Ok(step),
            step => Err(Illegal { step: step.name(), event: "another transaction ID" }),
        }
    }

    /// An operation passed between the sites, in either direction.
    pub fn operated(self, operation: &Operation) -> Result<Self, Illegal> {
        let kind = operation.kind();
        let case = operation.changes().and_then(|changes| changes.case.as_ref()).map(|case| case.id.clone());
        let illegal = |step| Err(Illegal { step, event: kind.as_str() });
        let (transaction, known) = match self {
            Upward::Creating => return illegal("creating"),
            Upward::AwaitingTransaction => return illegal("awaiting_transaction"),
            Upward::Rejected if kind == OperationKind::Reject => return Ok(Upward::Rejected),
            Upward::Rejected => return illegal("rejected"),
            Upward::AwaitingCase { transaction } => (transaction, None),
            Upward::Open { transaction, case } => (transaction, Some(case)),
            Upward::Closed { transaction, case } => {
                let case = case.or_else(|| operation.changes().and_then(|c| c.case.as_ref()).map(|c| c.id.clone()));
                return Ok(match (kind, case) {
                    (OperationKind::Reopen, Some(case)) => Upward::Open { transaction, case },
                    (OperationKind::Reopen, None) => Upward::AwaitingCase { transaction },
                    (OperationKind::Reject, _) => Upward::Rejected,
                    (_, case) => Upward::Closed { transaction, case },
                });
            }
        };
        match (kind, case.or(known)) {
            (OperationKind::Create, _) => illegal("acknowledged"),
            (OperationKind::Reject, _) => Ok(Upward::Rejected),
            (OperationKind::Close | OperationKind::Cancel, case) => Ok(Upward::Closed { transaction, case }),
            (_, Some(case)) => Ok(Upward::Open { transaction, case }),
            (_, None) => Ok(Upward::AwaitingCase { transaction }),
        }
    }
}

impl Downward {
    pub fn name(&self) -> &'static str {
        match self {
            Downward::Received => "received",
            Downward::Deciding { .. } => "deciding",
            Downward::Open { .. } => "open",
            Downward::Closed { .. } => "closed",
            Downward::Rejected { .. } => "rejected",
        }
    }

    pub fn incident(&self) -> Option<IncidentId> {
        match self {
            Downward::Received => None,
            Downward::Deciding { incident }
            | Downward::Open { incident, .. }
            | Downward::Closed { incident, .. }
            | Downward::Rejected { incident } => Some(*incident),
        }
    }

    /// An operation passed between the sites, in either direction.
    pub fn operated(self, operation: &Operation) -> Result<Self, Illegal> {
        let kind = operation.kind();
        let given = operation.changes().and_then(|changes| changes.case.as_ref()).map(|case| case.id.clone());
        let illegal = |step| Err(Illegal { step, event: kind.as_str() });
        let (incident, known, closed) = match self {
            Downward::Received => return illegal("received"),
            Downward::Rejected { incident } if kind == OperationKind::Reject => {
                return Ok(Downward::Rejected { incident });
            }
            Downward::Rejected { .. } => return illegal("rejected"),
            Downward::Deciding { incident } => (incident, None, false),
            Downward::Open { incident, case } => (incident, Some(case), false),
            Downward::Closed { incident, case } => (incident, case, true),
        };
        let case = given.or(known);
        match kind {
            OperationKind::Create => illegal(if closed { "closed" } else { "open" }),
            OperationKind::Reject => Ok(Downward::Rejected { incident }),
            OperationKind::Close | OperationKind::Cancel => Ok(Downward::Closed { incident, case }),
            kind if closed && kind != OperationKind::Reopen => Ok(Downward::Closed { incident, case }),
            _ => Ok(match case {
                Some(case) => Downward::Open { incident, case },
                None => Downward::Deciding { incident },
            }),
        }
    }
}

impl Leg {
    pub fn towards(&self) -> Towards {
        match self {
            Leg::Upward { .. } => Towards::Upstream,
            Leg::Downward(_) => Towards::Client,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Leg::Upward { step, .. } => step.name(),
            Leg::Downward(step) => step.name(),
        }
    }

    pub fn incident(&self) -> Option<IncidentId> {
        match self {
            Leg::Upward { incident, .. } => Some(*incident),
            Leg::Downward(step) => step.incident(),
        }
    }

    pub fn is_over(&self) -> bool {
        matches!(
            self,
            Leg::Upward { step: Upward::Closed { .. } | Upward::Rejected, .. }
                | Leg::Downward(Downward::Closed { .. } | Downward::Rejected { .. })
        )
    }

    pub fn operated(self, operation: &Operation) -> Result<Self, Illegal> {
        match self {
            Leg::Upward { incident, step } => Ok(Leg::Upward { incident, step: step.operated(operation)? }),
            Leg::Downward(step) => step.operated(operation).map(Leg::Downward),
        }
    }

    /// The agreed phase alone says whether the case is closed, in whichever order two changes met.
    pub fn in_phase(self, agreed: Phase) -> Self {
        match self {
            Leg::Upward { incident, step: Upward::Closed { transaction, case } } if agreed != Phase::Close => {
                let step = match case {
                    Some(case) => Upward::Open { transaction, case },
                    None => Upward::AwaitingCase { transaction },
                };
                Leg::Upward { incident, step }
            }
            Leg::Downward(Downward::Closed { incident, case }) if agreed != Phase::Close => Leg::Downward(match case {
                Some(case) => Downward::Open { incident, case },
                None => Downward::Deciding { incident },
            }),
            leg => leg,
        }
    }

    /// After an operation of ours arrived at the peer. One whose phase is not the agreed one any more, because an
    /// operation of the peer's overtook its answer, moves no step.
    pub fn arrived(self, operation: &Operation, agreed: Phase) -> Self {
        let counts = match operation.kind() {
            OperationKind::Close | OperationKind::Cancel => agreed == Phase::Close,
            OperationKind::Reopen => agreed != Phase::Close,
            _ => true,
        };
        if counts { self.clone().operated(operation).unwrap_or(self) } else { self }
    }

    /// The word for people. `resolved` is the phase of the record, not a step of the exchange.
    pub fn standing(&self, resolved: bool) -> Standing {
        match self {
            Leg::Upward { step: Upward::Creating | Upward::AwaitingTransaction, .. }
            | Leg::Downward(Downward::Received) => Standing::Submitted,
            Leg::Upward { step: Upward::Closed { .. }, .. } | Leg::Downward(Downward::Closed { .. }) => {
                Standing::Closed
            }
            Leg::Upward { step: Upward::Rejected, .. } | Leg::Downward(Downward::Rejected { .. }) => Standing::Rejected,
            _ if resolved => Standing::Resolved,
            Leg::Upward { step: Upward::AwaitingCase { .. }, .. } | Leg::Downward(Downward::Deciding { .. }) => {
                Standing::Acknowledged
            }
            Leg::Upward { step: Upward::Open { .. }, .. } | Leg::Downward(Downward::Open { .. }) => Standing::Created,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::incident::Case;
    use crate::case::phase::CompletionCode;

    fn transaction() -> TransactionId {
        "4711".parse().unwrap()
    }

    fn with_case() -> Changes {
        let case = Case { id: "CASE-1".parse().unwrap(), link: None, status: "Open".into(), contact: None };
        Changes { case: Some(case), ..Changes::default() }
    }

    #[test]
    fn the_three_waits_follow_each_other() {
        let step = Upward::Creating.received().unwrap();
        assert_eq!(step.name(), "awaiting_transaction");
        let step = step.acknowledged(transaction()).unwrap();
        assert_eq!(step.name(), "awaiting_case");
        let step = step.operated(&Operation::Accept(with_case())).unwrap();
        assert_eq!(step.name(), "open");
        let step = step.operated(&Operation::Resolve(Changes::default())).unwrap();
        assert_eq!(step.name(), "open");
        let step = step.operated(&Operation::Close(Changes::default())).unwrap();
        assert_eq!(step.name(), "closed");
    }

    #[test]
    fn a_28_no_step_is_skipped_in_silence() {
        let fault = Upward::Creating.operated(&Operation::Accept(with_case())).unwrap_err();
        assert_eq!(fault.to_string(), "accept cannot follow while the exchange is creating");
        // One without a case ID takes the case back, which may be before there is one (C-04).
        let waits = Upward::AwaitingCase { transaction: transaction() };
        assert_eq!(waits.clone().operated(&Operation::Accept(Changes::default())), Ok(waits));
    }

    #[test]
    fn a_second_transaction_id_is_refused_and_the_same_one_is_not() {
        let step = Upward::AwaitingCase { transaction: transaction() };
        assert_eq!(step.clone().acknowledged(transaction()), Ok(step.clone()));
        assert!(step.acknowledged("4712".parse().unwrap()).is_err());
    }

    #[test]
    fn after_a_reject_everything_is_refused_but_the_reject_again() {
        let rejected = Downward::Rejected { incident: IncidentId(1) };
        assert!(rejected.clone().operated(&Operation::Reject(Changes::default())).is_ok());
        assert!(rejected.operated(&Operation::Update(Changes::default())).is_err());
    }

    #[test]
    fn c_20_what_the_phase_does_not_allow_is_illegal() {
        use Operation::{Accept, Assign, Cancel, Close, Reopen, Resolve, Update};
        let open = Shadow::default();
        let resolved = Shadow { phase: Phase::Review, ..Shadow::default() };
        let closed = Shadow { phase: Phase::Close, ..Shadow::default() };
        let canceled = Shadow { completion_code: Some(CompletionCode::WithdrawnByUser), ..closed.clone() };
        let nothing = Changes::default;
        let solved = || Changes { solution: Some(Some("Reseated".into())), ..nothing() };
        for (operation, agreed, holder, expected) in [
            (Resolve(nothing()), &open, Holder::Us, None),
            (Resolve(nothing()), &closed, Holder::Us, Some("resolve cannot follow while the exchange is closed")),
            (Resolve(nothing()), &canceled, Holder::Us, None),
            (Reopen(nothing()), &open, Holder::Us, Some("reopen cannot follow while the exchange is open")),
            (Reopen(nothing()), &canceled, Holder::Us, None),
            (Assign(nothing()), &open, Holder::Peer, None),
            (
                Assign(nothing()),
                &open,
                Holder::Us,
                Some("assign cannot follow while the exchange is in this site's hands already"),
            ),
            (Assign(nothing()), &closed, Holder::Peer, Some("assign cannot follow while the exchange is closed")),
            (Accept(nothing()), &open, Holder::Us, None),
            (Accept(nothing()), &resolved, Holder::Us, Some("accept cannot follow while the exchange is resolved")),
            (Update(solved()), &open, Holder::Us, None),
            (Update(solved()), &resolved, Holder::Us, Some("update cannot follow while the exchange is resolved")),
            (Update(solved()), &closed, Holder::Us, Some("update cannot follow while the exchange is closed")),
            (Update(solved()), &canceled, Holder::Us, None),
            (Update(nothing()), &closed, Holder::Us, None),
            (Close(solved()), &closed, Holder::Us, None),
            (Cancel(nothing()), &closed, Holder::Us, None),
        ] {
            let fault = legal(&operation, agreed, holder).err().map(|fault| fault.to_string());
            assert_eq!(fault.as_deref(), expected, "{operation:?} {agreed:?}");
        }
    }

    #[test]
    fn a_late_update_does_not_reopen_a_closed_case_and_a_reopen_does() {
        let closed = Downward::Closed { incident: IncidentId(1), case: Some("CASE-1".parse().unwrap()) };
        let late = closed.clone().operated(&Operation::Update(with_case())).unwrap();
        assert_eq!(late.name(), "closed");
        assert_eq!(closed.operated(&Operation::Reopen(Changes::default())).unwrap().name(), "open");
    }
}
