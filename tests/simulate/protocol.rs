//! A model of the protocol: one incident, two sites, and every order in which requests, answers, deaths and losses can come.
//! All of its states are visited. The steps of an exchange and the rule of its numbers are the program's own
//! ([`Upward`], [`Downward`], [`Sequence`]); what is modelled around them is who stores what before whom.
//!
//! Requests may arrive at any time after they were made, twice or never, also from a process that is dead by then. A site
//! dies between any two of its durable steps, as often as it likes. One of the two loses its state once;
//! `CASEBRIDGE_MODEL=full` visits the worlds in which
//! both do, and in which the partner works on the same operation twice at the same moment.

use std::collections::{HashMap, VecDeque};

use casebridge::case::{
    Case, Changes, Create, Downward, Event, Form, IncidentId, Operation, Sequence, TransactionId, Upward,
};

/// The end user's side of the exchange, small enough to be told apart by its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Up {
    Creating,
    AwaitingTransaction,
    AwaitingCase,
    Open,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Down {
    Received,
    Deciding,
    Open,
    Closed,
}

/// What an operation says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Says {
    Create { comment: bool },
    Comment,
    Accept,
    Close,
}

fn transaction() -> TransactionId {
    "1".parse().unwrap()
}

fn case() -> Case {
    Case { id: "CASE-1".parse().unwrap(), link: None, status: "Open".into(), contact: None }
}

impl Up {
    fn real(self) -> Upward {
        let (transaction, case) = (transaction(), case().id);
        match self {
            Up::Creating => Upward::Creating,
            Up::AwaitingTransaction => Upward::AwaitingTransaction,
            Up::AwaitingCase => Upward::AwaitingCase { transaction },
            Up::Open => Upward::Open { transaction, case },
            Up::Closed => Upward::Closed { transaction, case: Some(case) },
        }
    }

    fn of(step: &Upward) -> Self {
        match step {
            Upward::Creating => Up::Creating,
            Upward::AwaitingTransaction => Up::AwaitingTransaction,
            Upward::AwaitingCase { .. } => Up::AwaitingCase,
            Upward::Open { .. } => Up::Open,
            Upward::Closed { .. } => Up::Closed,
            Upward::Rejected => panic!("nobody rejects here"),
        }
    }
}

impl Down {
    fn real(self) -> Downward {
        let (incident, case) = (IncidentId(1), case().id);
        match self {
            Down::Received => Downward::Received,
            Down::Deciding => Downward::Deciding { incident },
            Down::Open => Downward::Open { incident, case },
            Down::Closed => Downward::Closed { incident, case: Some(case) },
        }
    }

    fn operated(self, says: Says) -> Self {
        match self.real().operated(&says.operation()).expect("it can follow") {
            Downward::Received => Down::Received,
            Downward::Deciding { .. } => Down::Deciding,
            Downward::Open { .. } => Down::Open,
            Downward::Closed { .. } => Down::Closed,
            Downward::Rejected { .. } => panic!("nobody rejects here"),
        }
    }
}

impl Says {
    fn operation(self) -> Operation {
        let with_case = || Changes { case: Some(case()), ..Changes::default() };
        match self {
            Says::Create { .. } => Operation::Create(Box::new(Create {
                incident: IncidentId(1),
                trace_route: Vec::new(),
                event: Event::default(),
                form: Form::default(),
                created_at: jiff::Timestamp::UNIX_EPOCH,
                comments: Vec::new(),
            })),
            Says::Comment => Operation::Update(Changes::default()),
            Says::Accept => Operation::Accept(with_case()),
            Says::Close => Operation::Close(with_case()),
        }
    }
}

/// What the incident store of the end user has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct LowerStore {
    commented: bool,
    /// The reference: it has a transaction, and this many of the partner's operations are in effect.
    transaction: bool,
    applied: u64,
    case: bool,
    closed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct UpExchange {
    step: Up,
    sent: u64,
    pending: Vec<(u64, Says)>,
    applied: u64,
    /// The shadow: the comment is told, or on its way.
    told: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct LowerState {
    exchange: Option<UpExchange>,
    /// The cursor of the feed, once the partner's exchanges are known.
    cursor: Option<(u8, u64)>,
}

/// How the partner sees the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Snapshot {
    step: Down,
    applied: u64,
    sent: u64,
    comment: bool,
    case: bool,
    closed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Request {
    Operation(u64, Says),
    Transaction,
    Poll((u8, u64)),
    Exchanges,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Answer {
    Applied,
    Received,
    Later,
    OutOfOrder,
    /// The number of the incident, once it is in the store; or no such exchange.
    Transaction(Option<bool>),
    Feed((u8, u64), Vec<(u64, Says)>),
    CursorLost,
    Exchanges((u8, u64), Option<Snapshot>),
}

/// One of the end user's two loops: what it asked, and what it has heard of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Loop {
    asked: Option<Request>,
    heard: Option<Answer>,
    /// The answer is in the store, and not in the state yet.
    stored: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Lower {
    store: LowerStore,
    state: LowerState,
    push: Loop,
    poll: Loop,
    /// Times that its state can still be lost.
    losses: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct UpperStore {
    incidents: u8,
    applied: u64,
    comments: u8,
    case: bool,
    closed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct DownExchange {
    step: Down,
    sent: u64,
    applied: u64,
    told_case: bool,
    told_closed: bool,
    /// The Create that the store could not take yet.
    kept: Option<Says>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct UpperState {
    epoch: u8,
    exchange: Option<DownExchange>,
    outbox: Vec<(u64, u64, Says)>,
    last: u64,
}

/// A request that the partner works on, and what it is in the middle of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Work {
    seq: u64,
    says: Says,
    stored: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Upper {
    store: UpperStore,
    state: UpperState,
    work: Vec<Work>,
    /// Times that its state can still be lost.
    losses: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct World {
    lower: Lower,
    upper: Upper,
    /// Operations that are on their way and may arrive at any time, again and again.
    past: Vec<(u64, Says)>,
    /// Operations that the partner works on at the same moment, at the most.
    at_once: usize,
}

/// What goes wrong in the model on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// The partner answers before the operation is in its state and store.
    AnswersEarly,
    /// The partner's store does not guard an exchange.
    OpensAnew,
    /// The end user takes the feed's cursor before it has what came with it.
    TakesCursorEarly,
}

impl World {
    /// Every world that can follow.
    fn next(&self, flaw: Flaw) -> Vec<World> {
        let mut worlds = Vec::new();
        self.lower_acts(&mut worlds);
        self.lower_hears(&mut worlds, flaw);
        self.upper_acts(&mut worlds, flaw);
        self.upper_answers(&mut worlds, flaw);
        self.fate(&mut worlds);
        worlds
    }

    fn with(&self, change: impl FnOnce(&mut World)) -> World {
        let mut world = self.clone();
        change(&mut world);
        world
    }

    /// A person's comment, the detector, and the two loops.
    fn lower_acts(&self, worlds: &mut Vec<World>) {
        let Lower { store, state, push, poll, .. } = &self.lower;
        if !store.commented {
            worlds.push(self.with(|world| world.lower.store.commented = true));
        }
        if let Some(detected) = self.detected() {
            worlds.push(detected);
        }
        worlds.extend(self.reconciled());
        if push.asked.is_none() {
            let head = state.exchange.as_ref().and_then(|exchange| exchange.pending.first().copied());
            let waits = state.exchange.as_ref().is_some_and(|exchange| exchange.step == Up::AwaitingTransaction);
            let request = match (state.cursor, head) {
                // Adopted first, and before that everything in the store is known.
                (None, _) if self.detected().is_none() => Some(Request::Exchanges),
                (Some(_), _) if waits => Some(Request::Transaction),
                (Some(_), Some((seq, says))) => Some(Request::Operation(seq, says)),
                _ => None,
            };
            if let Some(request) = request {
                worlds.push(self.with(|world| {
                    if let Request::Operation(seq, says) = request
                        && !world.past.contains(&(seq, says))
                    {
                        world.past.push((seq, says));
                    }
                    world.lower.push.asked = Some(request);
                }));
            }
        }
        if let (None, Some(cursor)) = (&poll.asked, state.cursor) {
            worlds.push(self.with(|world| world.lower.poll.asked = Some(Request::Poll(cursor))));
        }
    }

    /// The store's news as operations.
    fn detected(&self) -> Option<World> {
        let store = self.lower.store;
        match &self.lower.state.exchange {
            None if !store.transaction => Some(self.with(|world| {
                let create = Says::Create { comment: store.commented };
                world.lower.state.exchange = Some(UpExchange {
                    step: Up::Creating,
                    sent: 1,
                    pending: vec![(1, create)],
                    applied: 0,
                    told: store.commented,
                });
            })),
            Some(exchange) if store.commented && !exchange.told => Some(self.with(|world| {
                let exchange = world.lower.state.exchange.as_mut().unwrap();
                tell(exchange);
            })),
            _ => None,
        }
    }

    /// The comparison of both stores finds a comment that the partner does not have. A Create that was sent by an end user
    /// that then lost its state, and comes late, lacks what was added since.
    fn reconciled(&self) -> Option<World> {
        let exchange = self.lower.state.exchange.as_ref()?;
        let is_quiet = exchange.pending.is_empty() && self.lower.state.cursor.is_some() && self.upper.work.is_empty();
        let lacks = self.lower.store.transaction && exchange.told && self.upper.store.comments == 0;
        (is_quiet && lacks).then(|| self.with(|world| tell(world.lower.state.exchange.as_mut().unwrap())))
    }

    /// What was heard goes into the store, and then into the state.
    fn lower_hears(&self, worlds: &mut Vec<World>, flaw: Flaw) {
        if let Some(answer) = &self.lower.push.heard {
            worlds.push(self.with(|world| {
                let stored = std::mem::replace(&mut world.lower.push.stored, true);
                if world.take_pushed(answer, stored) {
                    world.lower.push = Loop::default();
                }
            }));
        }
        if let Some(answer) = &self.lower.poll.heard {
            worlds.push(self.with(|world| {
                let stored = std::mem::replace(&mut world.lower.poll.stored, true);
                if world.take_polled(answer, stored, flaw) {
                    world.lower.poll = Loop::default();
                }
            }));
        }
    }

    /// True when it is done with the answer.
    fn take_pushed(&mut self, answer: &Answer, stored: bool) -> bool {
        let Lower { store, state, push, .. } = &mut self.lower;
        match answer {
            Answer::Applied | Answer::Transaction(Some(true)) if !stored => {
                store.transaction = true;
                return false;
            }
            Answer::Applied | Answer::Transaction(Some(true)) => {
                let Some(exchange) = &mut state.exchange else { return true };
                let was_asked = exchange.step == Up::AwaitingTransaction;
                exchange.step = Up::of(&exchange.step.real().acknowledged(transaction()).expect("the same one"));
                let done = match push.asked {
                    Some(Request::Operation(seq, _)) => exchange.pending.first().is_some_and(|head| head.0 == seq),
                    _ => was_asked,
                };
                if done && !exchange.pending.is_empty() {
                    exchange.pending.remove(0);
                }
            }
            Answer::Received => {
                let Some(exchange) = &mut state.exchange else { return true };
                exchange.step = Up::of(&exchange.step.real().received().expect("it can follow"));
            }
            // It had the Create, and has it no more.
            Answer::Transaction(None) => {
                if let Some(exchange) = &mut state.exchange
                    && exchange.step == Up::AwaitingTransaction
                {
                    exchange.step = Up::Creating;
                }
            }
            Answer::Transaction(Some(false)) | Answer::Later => {}
            Answer::OutOfOrder => panic!("the partner misses an operation: {self:?}"),
            Answer::Exchanges(_, snapshot) if !stored => {
                if let Some(snapshot) = snapshot {
                    store.transaction |= snapshot.step != Down::Received;
                    store.case |= snapshot.case;
                    store.closed |= snapshot.closed;
                    store.applied = snapshot.sent;
                }
                return false;
            }
            Answer::Exchanges(cursor, snapshot) => {
                if let Some(snapshot) = snapshot {
                    adopt(state, store, snapshot);
                }
                state.cursor = Some(*cursor);
            }
            Answer::Feed(..) | Answer::CursorLost => panic!("that answers a poll"),
        }
        true
    }

    fn take_polled(&mut self, answer: &Answer, stored: bool, flaw: Flaw) -> bool {
        let Lower { store, state, poll, .. } = &mut self.lower;
        let (cursor, operations) = match answer {
            Answer::CursorLost => {
                state.cursor = None;
                return true;
            }
            Answer::Feed(cursor, operations) => (*cursor, operations),
            _ => panic!("that answers a push"),
        };
        if flaw == Flaw::TakesCursorEarly && state.cursor.is_some() {
            state.cursor = Some(cursor);
        }
        let first = operations.first().copied();
        let (Some((seq, says)), Some(exchange)) = (first, &mut state.exchange) else {
            // Everything is taken; the other loop may have begun anew meanwhile.
            if state.cursor.is_some() {
                state.cursor = Some(cursor);
            }
            return true;
        };
        let rest = |poll: &mut Loop| {
            poll.heard = Some(Answer::Feed(cursor, operations[1..].to_vec()));
            poll.stored = false;
        };
        match Sequence::of(seq, exchange.applied) {
            Sequence::Repeated => rest(poll),
            Sequence::Early { .. } => {
                state.cursor = None;
                return true;
            }
            Sequence::Next if !stored => {
                // The store's own guard.
                if Sequence::of(seq, store.applied) != Sequence::Repeated {
                    store.applied = seq;
                    store.transaction = true;
                    store.case |= matches!(says, Says::Accept | Says::Close);
                    store.closed |= says == Says::Close;
                }
            }
            Sequence::Next => {
                exchange.applied = seq;
                let step = exchange.step.real().acknowledged(transaction()).expect("the same one");
                exchange.step = Up::of(&step.operated(&says.operation()).expect("it can follow"));
                rest(poll);
            }
        }
        false
    }

    /// The person at the desk, the detector, and the Create that is kept.
    fn upper_acts(&self, worlds: &mut Vec<World>, flaw: Flaw) {
        let Upper { store, state, .. } = &self.upper;
        if store.incidents > 0 && !store.case {
            worlds.push(self.with(|world| world.upper.store.case = true));
        }
        if store.case && !store.closed {
            worlds.push(self.with(|world| world.upper.store.closed = true));
        }
        let Some(exchange) = &state.exchange else { return };
        if let Some(create) = exchange.kept {
            worlds.push(self.with(|world| {
                world.upper.open(create, flaw);
                world.upper.opened();
            }));
            // It dies in between.
            worlds.push(self.with(|world| {
                world.upper.open(create, flaw);
                world.upper.work.clear();
            }));
            return;
        }
        let says = match () {
            () if store.case && !exchange.told_case => Says::Accept,
            () if store.closed && !exchange.told_closed => Says::Close,
            () => return,
        };
        worlds.push(self.with(|world| {
            let state = &mut world.upper.state;
            let exchange = state.exchange.as_mut().unwrap();
            exchange.told_case = true;
            exchange.told_closed |= says == Says::Close;
            exchange.sent += 1;
            exchange.step = exchange.step.operated(says);
            state.last += 1;
            state.outbox.push((state.last, exchange.sent, says));
        }));
    }

    fn upper_answers(&self, worlds: &mut Vec<World>, flaw: Flaw) {
        // Something arrives, now or again.
        for (seq, says) in &self.past {
            if self.upper.work.len() < self.at_once {
                let asked = self.lower.push.asked == Some(Request::Operation(*seq, *says));
                if let Some(world) = self.arrives(*seq, *says, asked && self.lower.push.heard.is_none(), flaw) {
                    worlds.extend(world);
                }
            }
        }
        for index in 0..self.upper.work.len() {
            worlds.push(self.work_on(index, flaw));
        }
        if self.lower.push.heard.is_none() {
            let answer = match &self.lower.push.asked {
                Some(Request::Transaction) => Some(Answer::Transaction(
                    self.upper.state.exchange.as_ref().map(|exchange| exchange.step != Down::Received),
                )),
                Some(Request::Exchanges) => {
                    let state = &self.upper.state;
                    Some(Answer::Exchanges((state.epoch, state.last), self.upper.snapshot()))
                }
                _ => None,
            };
            worlds.extend(answer.map(|answer| self.with(|world| world.lower.push.heard = Some(answer))));
        }
        if let (Some(Request::Poll((epoch, after))), None) = (&self.lower.poll.asked, &self.lower.poll.heard) {
            worlds.push(self.with(|world| {
                let state = &mut world.upper.state;
                if *epoch != state.epoch || *after > state.last {
                    world.lower.poll.heard = Some(Answer::CursorLost);
                    return;
                }
                // The cursor acknowledges what comes before it.
                state.outbox.retain(|(position, ..)| position > after);
                let operations = state.outbox.iter().map(|(_, seq, says)| (*seq, *says)).collect();
                world.lower.poll.heard = Some(Answer::Feed((state.epoch, state.last), operations));
            }));
        }
    }

    /// An operation is at the partner: it is answered at once, or worked on.
    fn arrives(&self, seq: u64, says: Says, is_asked: bool, flaw: Flaw) -> Option<Vec<World>> {
        let answer = |answer: Answer| {
            let world = self.with(|world| {
                if is_asked {
                    world.lower.push.heard = Some(answer);
                }
            });
            Some(vec![world])
        };
        let work = || {
            self.with(|world| {
                world.upper.work.push(Work { seq, says, stored: false });
                if flaw == Flaw::AnswersEarly && is_asked {
                    world.lower.push.heard = Some(Answer::Applied);
                }
            })
        };
        let Some(exchange) = &self.upper.state.exchange else {
            let Says::Create { .. } = says else {
                // Refused, which would need a person; only something out of its time may hear that.
                assert!(!is_asked, "the partner does not know the exchange: {self:?}");
                return None;
            };
            // The store may be too slow: then the Create itself is kept.
            let kept = self.with(|world| {
                world.upper.state.exchange = Some(DownExchange {
                    step: Down::Received,
                    sent: 0,
                    applied: 0,
                    told_case: false,
                    told_closed: false,
                    kept: Some(says),
                });
                if is_asked {
                    world.lower.push.heard = Some(Answer::Received);
                }
            });
            return Some(vec![work(), kept]);
        };
        if exchange.kept.is_some() {
            return answer(if seq == 1 { Answer::Received } else { Answer::Later });
        }
        match Sequence::of(seq, exchange.applied) {
            Sequence::Repeated => answer(Answer::Applied),
            Sequence::Early { .. } => answer(Answer::OutOfOrder),
            Sequence::Next => Some(vec![work()]),
        }
    }

    /// Store first, then state, then the answer.
    fn work_on(&self, index: usize, flaw: Flaw) -> World {
        self.with(|world| {
            let Work { seq, says, stored } = world.upper.work[index].clone();
            if !stored {
                match says {
                    Says::Create { .. } => world.upper.open(says, flaw),
                    _ => {
                        let store = &mut world.upper.store;
                        if Sequence::of(seq, store.applied) == Sequence::Next {
                            store.applied = seq;
                            // It has an ID, and is there once.
                            store.comments = 1;
                        }
                    }
                }
                world.upper.work[index].stored = true;
                return;
            }
            match says {
                Says::Create { .. } => world.upper.opened(),
                _ => {
                    if let Some(exchange) = &mut world.upper.state.exchange
                        && Sequence::of(seq, exchange.applied) == Sequence::Next
                    {
                        exchange.applied = seq;
                        exchange.step = exchange.step.operated(says);
                    }
                }
            }
            world.upper.work.remove(index);
            let is_asked = world.lower.push.asked == Some(Request::Operation(seq, says));
            if is_asked && world.lower.push.heard.is_none() {
                world.lower.push.heard = Some(Answer::Applied);
            }
        })
    }

    /// Deaths, losses of state, and answers that never come.
    fn fate(&self, worlds: &mut Vec<World>) {
        let dead_lower = self.with(|world| (world.lower.push, world.lower.poll) = (Loop::default(), Loop::default()));
        worlds.push(dead_lower.clone());
        if self.lower.losses > 0 {
            worlds.push(dead_lower.with(|world| {
                world.lower.losses -= 1;
                world.lower.state = LowerState::default();
            }));
        }
        let dead_upper = self.with(|world| world.upper.work.clear());
        worlds.push(dead_upper.clone());
        if self.upper.losses > 0 {
            worlds.push(dead_upper.with(|world| {
                world.upper.losses -= 1;
                world.upper.begin_anew();
            }));
        }
        for pushing in [true, false] {
            let mut world = self.clone();
            let Lower { push, poll, .. } = &mut world.lower;
            let waits = if pushing { push } else { poll };
            if waits.asked.is_some() && !waits.stored {
                *waits = Loop::default();
                worlds.push(world);
            }
        }
    }

    /// What must never be.
    fn check(&self) {
        let (lower, upper) = (self.lower.store, self.upper.store);
        assert!(upper.incidents <= 1, "the incident is there twice");
        assert!(upper.comments <= 1, "the comment is there twice");
        assert!(!lower.transaction || upper.incidents == 1, "acknowledged, and not there");
        assert!(!lower.case || upper.case, "a case that nobody opened");
        assert!(!lower.closed || upper.closed, "closed by nobody");
    }

    fn is_done(&self) -> bool {
        let (lower, upper) = (self.lower.store, self.upper.store);
        let exchange = self.lower.state.exchange.as_ref();
        upper.incidents == 1
            && upper.comments == 1
            && lower.transaction
            && lower.case
            && lower.closed
            && exchange.is_some_and(|exchange| exchange.pending.is_empty() && exchange.step == Up::Closed)
            && self.upper.state.exchange.as_ref().is_some_and(|exchange| exchange.step == Down::Closed)
            && self.upper.state.outbox.is_empty()
    }
}

/// The comment becomes the next operation.
fn tell(exchange: &mut UpExchange) {
    exchange.told = true;
    exchange.sent += 1;
    exchange.pending.push((exchange.sent, Says::Comment));
}

/// The end user knows the exchange again, or better.
fn adopt(state: &mut LowerState, store: &LowerStore, snapshot: &Snapshot) {
    let step = match snapshot.step {
        Down::Received => Up::AwaitingTransaction,
        Down::Deciding => Up::AwaitingCase,
        Down::Open => Up::Open,
        Down::Closed => Up::Closed,
    };
    let exchange = state.exchange.get_or_insert_with(|| UpExchange {
        step,
        sent: 0,
        pending: Vec::new(),
        applied: 0,
        told: false,
    });
    exchange.step = step;
    exchange.pending.retain(|(seq, _)| *seq > snapshot.applied);
    exchange.sent = exchange.sent.max(snapshot.applied);
    exchange.applied = snapshot.sent;
    // What it has is agreed on.
    exchange.told |= snapshot.comment;
    if store.commented && !exchange.told {
        tell(exchange);
    }
}

impl Upper {
    fn open(&mut self, create: Says, flaw: Flaw) {
        if self.store.incidents == 0 || flaw == Flaw::OpensAnew {
            self.store.incidents += 1;
            self.store.applied = 1;
            self.store.comments = u8::from(create == Says::Create { comment: true });
        }
    }

    fn opened(&mut self) {
        if self.state.exchange.as_ref().is_none_or(|exchange| exchange.kept.is_some()) {
            self.state.exchange = Some(DownExchange {
                step: Down::Deciding,
                sent: 0,
                applied: 1,
                told_case: false,
                told_closed: false,
                kept: None,
            });
        }
    }

    /// After lost state: what the store's reference says, and a feed of a new epoch.
    fn begin_anew(&mut self) {
        let UpperStore { incidents, applied, case, closed, .. } = self.store;
        let step = match (closed, case) {
            (true, _) => Down::Closed,
            (_, true) => Down::Open,
            _ => Down::Deciding,
        };
        let adopted = DownExchange { step, sent: 0, applied, told_case: case, told_closed: closed, kept: None };
        let exchange = (incidents > 0).then_some(adopted);
        self.state = UpperState { epoch: self.state.epoch + 1, exchange, outbox: Vec::new(), last: 0 };
    }

    fn snapshot(&self) -> Option<Snapshot> {
        let exchange = self.state.exchange.as_ref()?;
        let UpperStore { comments, case, closed, .. } = self.store;
        Some(Snapshot {
            step: exchange.step,
            applied: exchange.applied,
            sent: exchange.sent,
            comment: comments > 0,
            case: case && exchange.told_case,
            closed: closed && exchange.told_closed,
        })
    }
}

/// Visits every world. Returns how many there are, and how the first comes about that cannot come to its end any more.
fn explore(flaw: Flaw, losses: (u8, u8), at_once: usize) -> (usize, Option<String>) {
    let mut known: HashMap<World, usize> = HashMap::new();
    let mut before: Vec<Vec<usize>> = Vec::new();
    let mut done = Vec::new();
    let mut first = World::default();
    (first.lower.losses, first.upper.losses) = losses;
    first.at_once = at_once;
    let mut queue = VecDeque::from([first.clone()]);
    known.insert(first, 0);
    before.push(Vec::new());
    while let Some(world) = queue.pop_front() {
        let from = known[&world];
        world.check();
        if world.is_done() {
            done.push(from);
        }
        for next in world.next(flaw) {
            let count = known.len();
            let to = *known.entry(next.clone()).or_insert(count);
            if to == count {
                before.push(Vec::new());
                queue.push_back(next);
            }
            before[to].push(from);
        }
        assert!(known.len() < 5_000_000, "the model is finite");
    }
    // Backwards from every good end.
    let mut ends = vec![false; before.len()];
    while let Some(world) = done.pop() {
        if !std::mem::replace(&mut ends[world], true) {
            done.extend(&before[world]);
        }
    }
    let story = ends.iter().position(|ends| !ends).map(|stuck| {
        let worlds: HashMap<usize, &World> = known.iter().map(|(world, number)| (*number, world)).collect();
        let mut story = vec![format!("{:#?}", worlds[&stuck])];
        let mut at = stuck;
        // The first that led to a world was found before it.
        while at != 0 {
            at = before[at][0];
            story.push(format!("{:?}", worlds[&at]));
        }
        story.reverse();
        story.join("\n")
    });
    (ends.len(), story)
}

fn is_sound(losses: (u8, u8), at_once: usize) {
    let (worlds, stuck) = explore(Flaw::None, losses, at_once);
    println!("{worlds} worlds");
    assert!(worlds > 1000, "only {worlds}");
    assert!(stuck.is_none(), "from the last of these there is no way to the end:\n{}", stuck.unwrap_or_default());
}

#[test]
fn the_protocol_is_exactly_once_and_ends_though_the_end_user_loses_its_state() {
    is_sound((1, 0), 1);
}

#[test]
fn the_protocol_is_exactly_once_and_ends_though_the_partner_loses_its_state() {
    is_sound((0, 1), 1);
}

#[test]
#[ignore = "225,000 worlds, a minute of them: tests/run"]
fn the_protocol_is_exactly_once_and_ends_though_both_lose_their_state() {
    is_sound((1, 1), 2);
}

/// The model finds what it is made for.
#[test]
fn a_flawed_protocol_is_found_out() {
    for flaw in [Flaw::AnswersEarly, Flaw::OpensAnew, Flaw::TakesCursorEarly] {
        let found = std::panic::catch_unwind(|| explore(flaw, (0, 0), 1));
        assert!(found.is_err() || found.is_ok_and(|(_, stuck)| stuck.is_some()), "{flaw:?}");
    }
}
